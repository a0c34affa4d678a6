/*
 * door: Streamable HTTP over http/server (docs/formats/mcp.md)
 *
 * One path for POST, GET and DELETE, all revisions from 2025-03-26 on. Host and Origin were judged by the server; who asks
 * was established by the owner before. A POST is answered as JSON, or as server-sent events from the first notification on,
 * or after MCP_HTTP_JSON_MS; GET is the stream of a session's list changes. Session ids verify themselves under the key of
 * the core and belong to their caller, so they outlive a restart; one that was ended by DELETE is remembered as such until
 * the restart.
 *
 * On the turning thread of the core, which is the loop's of the server.
 */
#pragma once
#include "http/server/server.h"
#include "mcp/mcp.h"

#define MCP_HTTP_JSON_MS 15000 /* after so long an answer becomes a stream, which then is kept alive as often */

struct mcp_door;
struct mcp_door *mcp_door_new(struct mcp *mcp) __attribute__((warn_unused_result, returns_nonnull));
/* After the server: no exchange is open any more. NULL is fine. */
void mcp_door_free(struct mcp_door *door);
DEFINE_AUTO(mcp_door, mcp_door_free)
/* Answers the exchange, now or later. `caller` is copied. */
void mcp_door_serve(struct mcp_door *door, struct http_exchange *exchange, const struct mcp_caller *caller);
