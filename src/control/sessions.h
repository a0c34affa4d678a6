/*
 * sessions: what starts, continues and ends a session
 *
 * A session is a row (session.h) and what lives with it: tokens of a launch (agents.h), a capability of the gateway
 * (gateway.h), grants (approval/grant.h), the stream that holds it (holds.h) or its guest's connection (mcp_guests.h).
 * Here alone it begins, goes on and ends, each with its event.
 *
 * An end takes effect in this process at once, whatever becomes of the rest: tokens and capability open nothing any more,
 * streams and connections end. Then one job of the writer closes the row, revokes the tokens and ends the grants. What
 * cannot be written is tried again each SESSIONS_AGAIN_MS.
 *
 * What a person or the launch ended is over. What was only lost, with a connection or with a daemon, may be continued by who
 * had it; of what an earlier control left, a launch that nobody has taken up again SESSIONS_RETURN_MS after this one's
 * start is over, and what was a guest's is ended. Any thread, but for what is marked.
 */
#pragma once
#include "audit/audit.h"
#include "base/mem.h"
#include "control/session.h"

#define SESSIONS_RETURN_MS 60000
#define SESSIONS_AGAIN_MS  1000

struct agents;
struct loop;
struct sessions;
/* On the loop's thread. */
struct sessions *sessions_new(struct loop *loop, struct db *db, struct agents *agents, struct err *err)
	__attribute__((warn_unused_result));
/* When nobody is let in any more: what ends from now on is written, and no listener is called, those of agents included. */
void sessions_stop(struct sessions *sessions);
/* After the database, whose writer tells of ends. NULL is fine. */
void sessions_free(struct sessions *sessions);
DEFINE_AUTO(sessions, sessions_free)

/* Who has something that lives with sessions. They may not wait, nor call sessions with a lock that these take. */
#define SESSIONS_LISTENERS 4
struct sessions_listener {
	void (*ended)(void *user, struct str id); /* more than once, and on any thread */
	bool (*has)(void *user, struct str id);   /* somebody is connected for it; NULL = never */
	void *user;
};
/* Before there are sessions. */
void sessions_listen(struct sessions *sessions, const struct sessions_listener *listener);

/* On a worker, as whatever waits for a commit. */
int sessions_start(struct sessions *sessions, const struct session *session, const struct audit_event *by,
		   struct err *err) __attribute__((warn_unused_result));
/* 0, too, when it runs. SESSION_NOT_FOUND; CONFLICT when it is over. */
int sessions_continue(struct sessions *sessions, struct str id, const struct audit_event *by, struct err *err)
	__attribute__((warn_unused_result));
/* The exit code is -1 when it is not known. CONFLICT when it had ended; what goes with it is ended all the same. */
int sessions_end(struct sessions *sessions, struct str id, int exit_code, const struct audit_event *by, struct err *err)
	__attribute__((warn_unused_result));

/* Without waiting, in this order; everything is copied. Of a guest, by its agent, which is the session's caller. */
void sessions_start_later(struct sessions *sessions, const struct session *session);
/* One that is over meanwhile is told as ended. */
void sessions_continue_later(struct sessions *sessions, const struct session *session);
/* Id, exit code and caller; without a caller the daemon does it. `final`: nobody continues it. */
void sessions_end_later(struct sessions *sessions, const struct session *session, bool final);

/* Not when its end is only to be written still: what cannot be, because the disk is full, is over all the same. */
bool sessions_is_open(struct sessions *sessions, struct str id);

/*
 * On the loop's thread: what an earlier control left and nobody has taken up again. By itself after SESSIONS_RETURN_MS, and
 * again as long as it is false: the database did not tell of all.
 */
bool sessions_end_left_over(struct sessions *sessions);
