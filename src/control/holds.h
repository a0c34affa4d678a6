/*
 * holds: sessions that last as long as a connection
 *
 * Whoever launches an agent keeps one stream open for its session (POST /v1/sessions/{id}/hold). When the last one of a
 * session ends, however that came about (an end said in so many words, a signal that cannot be handled, a lost machine),
 * the session ends (sessions.h), without an exit code; when the session ends otherwise, so do its streams.
 *
 * A daemon that stops ends the streams and not the sessions. The next one counts them as orphans at its start, and a hold of
 * one takes it up again. Any thread.
 */
#pragma once
#include "control/control.h"

#define HOLDS_MAX 256

struct holds;
/* With control->sessions, to which it listens. */
struct holds *holds_new(struct control *control, struct err *err) __attribute__((warn_unused_result));
/* On the loop's thread, when the daemon stops: all streams end, and from then on none begins. */
void holds_stop(struct holds *holds);
void holds_free(struct holds *holds); /* after sessions_stop(); NULL is fine */
DEFINE_AUTO(holds, holds_free)

/*
 * On a worker: answers the exchange with a stream and keeps it. SESSION_NOT_FOUND; CONFLICT when the session has ended
 * otherwise than with a daemon; UNAVAILABLE above HOLDS_MAX or when the daemon stops. A refusal changes nothing.
 */
int holds_take(struct holds *holds, struct http_exchange *x, struct str session, const struct audit_event *by,
	       struct err *err) __attribute__((warn_unused_result));
