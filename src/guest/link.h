/*
 * link: one connection to the daemon, from the request that opens it to its end
 *
 * Non-blocking: the owner polls the descriptor for link_events() and calls link_turn(). The session that the daemon gave
 * this guest is kept in `session`, and named when a connection is made anew, so that it is continued.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#define LINK_ANSWER_MAX  ((size_t)40 << 20) /* a line of the daemon's */
#define LINK_QUEUE_HIGH  ((size_t)1 << 20)  /* queued for the daemon, above which its source is not read */
#define LINK_OPEN_MS     3000               /* to be let in */
#define LINK_SESSION_MAX 64

struct link;
struct link_listener {
	void (*opened)(void *user);
	void (*line)(void *user, struct str line);
	void *user;
};
/* NULL with an error when it cannot even begin. `session` (LINK_SESSION_MAX bytes) is read and written, and outlives it. */
struct link *link_new(const char *id, char *session, const struct link_listener *listener, uint64_t now_ms,
		      struct err *err) __attribute__((warn_unused_result));
void link_free(struct link *link); /* NULL is fine */
DEFINE_AUTO(link, link_free)

int link_fd(const struct link *link);
short link_events(const struct link *link, bool may_read); /* of poll() */
uint64_t link_deadline(const struct link *link);           /* UINT64_MAX = none */
/* -1: it is over, and why. */
int link_turn(struct link *link, short events, uint64_t now_ms, struct err *err) __attribute__((warn_unused_result));
void link_send(struct link *link, struct str line); /* after `opened`; queued */
size_t link_queued(const struct link *link);
