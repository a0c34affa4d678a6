/*
 * tether: one connection to the daemon, from the request that opens it to its end
 *
 * Non-blocking: the owner polls the descriptor for tether_events() and calls tether_turn(). The session that the daemon gave
 * this guest is kept in `session`, and named when a connection is made anew, so that it is continued.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#define TETHER_ANSWER_MAX  ((size_t)40 << 20) /* a line of the daemon's */
#define TETHER_QUEUE_HIGH  ((size_t)1 << 20)  /* queued for the daemon, above which its source is not read */
#define TETHER_OPEN_MS     3000               /* to be let in */
#define TETHER_SESSION_MAX 64

struct tether;
struct tether_listener {
	void (*opened)(void *user);
	void (*line)(void *user, struct str line);
	void *user;
};
/* NULL with an error when it cannot even begin. `session` (TETHER_SESSION_MAX bytes) is read and written, and outlives it. */
struct tether *tether_new(const char *id, char *session, const struct tether_listener *listener, uint64_t now_ms,
			  struct err *err) __attribute__((warn_unused_result));
void tether_free(struct tether *tether); /* NULL is fine */
DEFINE_AUTO(tether, tether_free)

int tether_fd(const struct tether *tether);
short tether_events(const struct tether *tether, bool may_read); /* of poll() */
uint64_t tether_deadline(const struct tether *tether);           /* UINT64_MAX = none */
/* -1: it is over, and why. */
int tether_turn(struct tether *tether, short events, uint64_t now_ms, struct err *err)
	__attribute__((warn_unused_result));
void tether_send(struct tether *tether, struct str line); /* after `opened`; queued */
size_t tether_queued(const struct tether *tether);
