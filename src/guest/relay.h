/*
 * relay: lines of MCP between one client and a daemon that may come and go
 *
 * What passes is passed on as it is, but for a random id that every tools/call gets (`params._meta["aileron/call-id"]`), by
 * which the daemon knows it again. When the daemon is away, requests wait for it for RELAY_PATIENCE_MS, and are answered
 * here then (away.h); of a call that was on its way the answer is waited for longer, RELAY_LOST_MS. When the daemon is back,
 * the client's handshake is said again for it (initialize, initialized, the level of logging), what waits is sent, what
 * only reads is sent again, and a call that was on its way is *asked for by its id* (check_action_status {call_id}): only
 * one that the daemon never took is sent again.
 *
 * The relay remembers the RELAY_OPEN_MAX requests that are under way; more are refused. A batch (2025-03-26) is passed on
 * unread and is lost with the connection. No I/O, no clock; one thread. Times are milliseconds of one clock.
 */
#pragma once
#include "base/buf.h"
#include "base/mem.h"

#define RELAY_LINE_MAX    ((size_t)4 << 20)  /* of the client's, as of mcp/mcp.h */
#define RELAY_KEPT_MAX    ((size_t)64 << 10) /* a longer request is not kept, so never sent again */
#define RELAY_OPEN_MAX    64
#define RELAY_PATIENCE_MS 2000
#define RELAY_LOST_MS     30000
#define RELAY_CALL_ID     32 /* digits */

struct relay;
struct relay_options {
	/* A line without its end; to_daemon only between relay_connected() and relay_disconnected(). */
	void (*to_client)(void *user, struct str line);
	void (*to_daemon)(void *user, struct str line);
	void *user;
	struct str version; /* of this program; outlives the relay */
};
/* The daemon is away, and soon here: requests wait until relay_disconnected() or the time is over. */
struct relay *relay_new(const struct relay_options *options, uint64_t now_ms)
	__attribute__((warn_unused_result, returns_nonnull));
void relay_free(struct relay *relay); /* NULL is fine */
DEFINE_AUTO(relay, relay_free)

void relay_from_client(struct relay *relay, struct str line, uint64_t now_ms);
void relay_from_client_too_long(struct relay *relay); /* a line was thrown away */
void relay_from_daemon(struct relay *relay, struct str line);

void relay_connected(struct relay *relay);
/* Lost, or another try that failed, for this reason (a sentence without its stop); it is kept. */
void relay_disconnected(struct relay *relay, struct str why, uint64_t now_ms);
/* When relay_tick() is wanted; UINT64_MAX = never. */
uint64_t relay_deadline(const struct relay *relay);
void relay_tick(struct relay *relay, uint64_t now_ms);
size_t relay_open(const struct relay *relay); /* requests under way */
