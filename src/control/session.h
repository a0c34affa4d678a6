/*
 * session: one run of an agent, from `launch` to its end
 *
 * A row of the table `sessions`; what begins and ends with it is sessions.h. Its id is a ULID (base/ulid.h), so ids sort by
 * time. A session without an end that was started before this daemon is an orphan and is ended when control starts. An end
 * is final when somebody said so, a person or the launch itself; a session that only lost its daemon or its connection may
 * be continued. An agent over HTTP is its own session, from its registration until it is revoked (agents.h): it is listed with
 * them, and nothing else of this is for it. Any thread.
 */
#pragma once
#include "base/arena.h"
#include "store/db.h"
#include "text/json_writer.h"

struct session {
	struct str id, agent, working_dir;
	struct str caller;             /* of `agents`, whose guest's it is; "" = none. Written, not read */
	uint64_t started_ns, ended_ns; /* ended: 0 = it runs */
	int exit_code;                 /* -1 = not known */
	bool is_agent;                 /* a row of `agents`. Read, not written */
};

struct session_query {
	struct str id;    /* "" = any; else that one alone */
	struct str agent; /* "" = any */
	uint64_t since_ns;
	bool active_only;
	uint32_t limit; /* 1 and up */
};
/*
 * Newest first; strings are borrowed for the length of the call. Non-zero of `row` ends. Of agents those whose token was made for
 * HTTP; by its id any that may come that way.
 */
typedef int session_row(void *user, const struct session *session);
int session_list(struct db_tx *tx, const struct session_query *query, session_row *row, void *user, struct err *err)
	__attribute__((warn_unused_result));
bool session_is_open(struct db *db, struct str id);
/* False, too, of what is no row: the session of an agent over HTTP is the agent itself. */
bool session_is_over(struct db *db, struct str id);
/* The same two in a transaction: 1, 0 or -1. */
int session_is_open_in(struct db_tx *tx, struct str id, struct err *err) __attribute__((warn_unused_result));
int session_is_over_in(struct db_tx *tx, struct str id, struct err *err) __attribute__((warn_unused_result));
/* Whether that agent's guest had this session, and may go on with it. */
bool session_is_to_continue(struct db *db, struct str id, struct str caller);

/* In a job of the writer. */
int session_insert(struct db_tx *tx, const struct session *session, struct err *err)
	__attribute__((warn_unused_result));
/*
 * An open one, or with an exit code for good what ended without one and not for good: 1; 0 when it has ended already, which may
 * become final by this; SESSION_NOT_FOUND.
 */
int session_end(struct db_tx *tx, const struct session *ended, bool final, struct err *err)
	__attribute__((warn_unused_result));
/* 1 when it had ended and goes on, 0 when it runs; CONFLICT when its end was final; SESSION_NOT_FOUND. */
int session_continue(struct db_tx *tx, struct str id, struct err *err) __attribute__((warn_unused_result));
/* Ends what was started before `daemon_started_ns`; how many, or -1. */
int64_t session_reap(struct db_tx *tx, uint64_t daemon_started_ns, uint64_t now_ns, struct err *err)
	__attribute__((warn_unused_result));

/* The members of the API's Session, into an object that is open. */
void session_put_members(struct json_writer *w, const struct session *session);
