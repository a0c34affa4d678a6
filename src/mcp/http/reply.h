/*
 * reply: one exchange of HTTP as a sink
 *
 * JSON as long as nothing is told before the answer, server-sent events from then on, or after MCP_HTTP_JSON_MS. A reply that
 * was finished is freed by replies_sweep(), on the loop's thread: what the server says of a client that is gone may be under
 * way when a worker answers.
 */
#pragma once
#include "http/server/server.h"
#include "mcp/core.h"

/* What a client takes. */
struct accepted {
	bool json, stream;
};
struct accepted accepted_of(const struct http_exchange *x);

struct replies;
struct replies *replies_new(struct mcp *mcp) __attribute__((warn_unused_result, returns_nonnull));
void replies_free(struct replies *replies); /* when none is open; NULL is fine */
void replies_sweep(struct replies *replies);

/* `cancels`: a client that is gone has cancelled. */
struct mcp_sink *reply_new(struct replies *replies, struct http_exchange *x, const struct mcp_caller *caller,
			   struct accepted accepted, bool cancels) __attribute__((warn_unused_result, returns_nonnull));
/* For what has no answer: 202. */
struct mcp_sink *reply_empty_new(struct replies *replies, struct http_exchange *x)
	__attribute__((warn_unused_result, returns_nonnull));
/* A stream that is open at once. */
struct mcp_sink *reply_stream_new(struct replies *replies, struct http_exchange *x, const struct mcp_caller *caller)
	__attribute__((warn_unused_result, returns_nonnull));
