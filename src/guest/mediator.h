/*
 * mediator: lines of MCP between one client and a daemon that may come and go
 *
 * What passes is passed on as it is, but for a random id that every tools/call gets (`params._meta["aileron/call-id"]`), by
 * which the daemon knows it again. When the daemon is away, requests wait for it for MEDIATOR_PATIENCE_MS, and are answered
 * here then (away.h); of a call that was on its way the answer is waited for longer, MEDIATOR_LOST_MS. When the daemon is back,
 * the client's handshake is said again for it (initialize, initialized, the level of logging), what waits is sent, what
 * only reads is sent again, and a call that was on its way is *asked for by its id* (check_action_status {call_id}): only
 * one that the daemon never took is sent again.
 *
 * The mediator remembers the MEDIATOR_OPEN_MAX requests that are under way; more are refused. A batch (2025-03-26) is passed on
 * unread and is lost with the connection. No I/O, no clock; one thread. Times are milliseconds of one clock.
 */
#pragma once
#include "base/buf.h"
#include "base/mem.h"

#define MEDIATOR_LINE_MAX    ((size_t)4 << 20)  /* of the client's, as of mcp/mcp.h */
#define MEDIATOR_KEPT_MAX    ((size_t)64 << 10) /* a longer request is not kept, so never sent again */
#define MEDIATOR_OPEN_MAX    64
#define MEDIATOR_PATIENCE_MS 2000
#define MEDIATOR_LOST_MS     30000
#define MEDIATOR_CALL_ID     32 /* digits */

struct mediator;
struct mediator_options {
	/* A line without its end; to_daemon only between mediator_connected() and mediator_disconnected(). */
	void (*to_client)(void *user, struct str line);
	void (*to_daemon)(void *user, struct str line);
	void *user;
	struct str version; /* of this program; outlives the mediator */
};
/* The daemon is away, and soon here: requests wait until mediator_disconnected() or the time is over. */
struct mediator *mediator_new(const struct mediator_options *options, uint64_t now_ms)
	__attribute__((warn_unused_result, returns_nonnull));
void mediator_free(struct mediator *mediator); /* NULL is fine */
DEFINE_AUTO(mediator, mediator_free)

void mediator_from_client(struct mediator *mediator, struct str line, uint64_t now_ms);
void mediator_from_client_too_long(struct mediator *mediator); /* a line was thrown away */
void mediator_from_daemon(struct mediator *mediator, struct str line);

void mediator_connected(struct mediator *mediator);
/* Lost, or another try that failed, for this reason (a sentence without its stop); it is kept. */
void mediator_disconnected(struct mediator *mediator, struct str why, uint64_t now_ms);
/* It is there and does not let this guest in: nothing is waited for, what was on its way is answered at once, too. */
void mediator_refused(struct mediator *mediator, struct str why, uint64_t now_ms);
/* When mediator_tick() is wanted; UINT64_MAX = never. */
uint64_t mediator_deadline(const struct mediator *mediator);
void mediator_tick(struct mediator *mediator, uint64_t now_ms);
size_t mediator_open(const struct mediator *mediator); /* requests under way */
