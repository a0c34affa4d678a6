#include "control/holds.h"
#include "base/log.h"
#include "base/time.h"
#include "base/vec.h"
#include "control/agents.h"
#include "control/answer.h"
#include "control/event.h"
#include "control/gateway.h"
#include "control/runs.h"
#include "control/session.h"
#include "control/workers.h"
#include "os/loop.h"
#include <pthread.h>
#include <stdlib.h>

struct hold {
	struct holds *holds;
	struct hold *next;
	struct http_exchange *x;
	char session[ULID_SIZE];
	bool released; /* its session has ended */
};

struct holds {
	struct control *control;
	struct loop_source *sweep, *wake;

	pthread_mutex_t lock; /* all below */
	struct hold *first;
	size_t n;
	bool stopped;
};

/* ----------------------------------------------------------------------------------------------------- a session's end */

struct session_job {
	struct control *control;
	struct session session;
	struct event event;
	char id[ULID_SIZE];
};

static int put_event(struct session_job *job, const struct audit_event *by, enum audit_type type, bool continued,
		     struct err *err)
{
	struct audit_event who = *by;
	who.type = type;
	event_begin(&job->event, who);
	member_str(&job->event.json, "aileron.session.id", job->session.id);
	if (continued)
		member_bool(&job->event.json, "aileron.session.continued", true);
	return event_end(&job->event, err);
}

static int do_end(struct db_tx *tx, void *user, struct err *err)
{
	const struct session_job *job = user;
	if (session_end(tx, job->session.id, job->session.ended_ns, job->session.exit_code, err) < 0)
		return -1;
	return event_append(tx, &job->event, err);
}

int holds_end_session(struct control *control, struct str session, int exit_code, const struct audit_event *by,
		      struct err *err)
{
	struct session_job job = {
		.session = {.id = session, .ended_ns = clock_wall_ns(NULL), .exit_code = exit_code},
	};
	holds_release(control->holds, session);
	agents_end_session(control->agents, session, by);
	gateway_end_session(control->gateway, session);
	if (runs_end_session(control->runs, session, err) < 0)
		return -1;
	int rc = put_event(&job, by, AUDIT_SESSION_ENDED, false, err);
	if (rc == 0)
		rc = db_write(control->db, do_end, &job, err);
	event_release(&job.event);
	return rc;
}

/* On a worker. */
static void end_abandoned(void *user)
{
	AUTO_FREE struct session_job *job = user;
	struct err err;
	const struct audit_event by = audit_of_service(AUDIT_SESSION_ENDED, "daemon");
	err_clear(&err);
	if (holds_end_session(job->control, str_from(job->id), -1, &by, &err) < 0 && err.class != ERR_CONFLICT)
		log_error("session_not_ended", log_err(&err));
}

static void end_later(struct control *control, const char session[ULID_SIZE])
{
	struct session_job *job = NEW(struct session_job);
	job->control = control;
	memcpy(job->id, session, ULID_SIZE);
	if (!workers_add(control->workers, end_abandoned, job))
		free(job); /* the daemon stops, or too much waits: the next one's start sees to it */
}

/* ----------------------------------------------------------------------------------- what was not taken up again */

/* On a worker: launches whose session ended with an earlier daemon. */
static void revoke_left_over(void *user)
{
	struct control *control = user;
	AUTO(arena) *arena = arena_new();
	AUTO_VEC(struct str) left = VEC_INIT(AGENTS_VALID_MAX);
	const struct audit_event by = audit_of_service(AUDIT_AGENT_REVOKED, "daemon");
	struct db_tx *tx = db_read(control->db);
	struct db_stmt *q = db_stmt(tx, "SELECT sessions.id FROM agents JOIN sessions ON sessions.id = agents.session"
					" WHERE agents.revoked_ns IS NULL AND sessions.ended_ns IS NOT NULL");
	while (db_step(q, NULL) == 1 && vec_push(&left, arena_str(arena, db_str(q, 0))))
		continue;
	db_finish(q);
	db_done(tx);
	for (size_t i = 0; i < left.n; i++)
		agents_end_session(control->agents, left.items[i], &by);
}

static void on_sweep(void *user, int what)
{
	(void)what;
	struct holds *holds = user;
	if (!workers_add(holds->control->workers, revoke_left_over, holds->control))
		log_warn("launches_not_looked_at");
}

/* ---------------------------------------------------------------------------------------------------------- the holds */

/* Under the lock. */
static bool is_held(const struct holds *holds, struct str session)
{
	for (const struct hold *hold = holds->first; hold != NULL; hold = hold->next) {
		if (str_eq(session, str_from(hold->session)) && !hold->released)
			return true;
	}
	return false;
}

/* Under the lock, on the loop's thread, which alone takes holds off and frees them: on_gone() may be on its way there. */
static void drop(struct holds *holds, struct hold *hold)
{
	struct hold **link = &holds->first;
	while (*link != hold)
		link = &(*link)->next;
	*link = hold->next;
	holds->n--;
	http_on_gone(hold->x, NULL, NULL);
	http_stream_end(hold->x);
	free(hold);
}

static void on_gone(void *user)
{
	struct hold *hold = user;
	struct holds *holds = hold->holds;
	char session[ULID_SIZE];
	memcpy(session, hold->session, sizeof session);
	pthread_mutex_lock(&holds->lock);
	bool ends = !hold->released;
	drop(holds, hold);
	ends = ends && !is_held(holds, str_from(session));
	pthread_mutex_unlock(&holds->lock);
	if (ends)
		end_later(holds->control, session);
}

/* On the loop's thread: those that were released, or all. */
static void drop_released(struct holds *holds, bool all)
{
	pthread_mutex_lock(&holds->lock);
	holds->stopped = holds->stopped || all;
	for (struct hold *hold = holds->first, *next; hold != NULL; hold = next) {
		next = hold->next;
		if (hold->released || all)
			drop(holds, hold);
	}
	pthread_mutex_unlock(&holds->lock);
}

static void on_wake(void *user, int what)
{
	(void)what;
	drop_released(user, false);
}

struct holds *holds_new(struct control *control, struct err *err)
{
	AUTO(holds) *holds = NEW(struct holds);
	pthread_mutex_init(&holds->lock, NULL);
	holds->control = control;
	holds->wake = loop_wakeup(control->loop, on_wake, holds, err);
	if (holds->wake == NULL)
		return NULL;
	loop_source_background(holds->wake);
	holds->sweep = loop_timer(control->loop, on_sweep, holds);
	loop_source_background(holds->sweep);
	loop_timer_start(holds->sweep, HOLDS_RETURN_MS, 0);
	return TAKE(holds);
}

void holds_stop(struct holds *holds)
{
	drop_released(holds, true);
}

void holds_free(struct holds *holds)
{
	if (holds == NULL)
		return;
	while (holds->first != NULL) {
		struct hold *hold = holds->first;
		holds->first = hold->next;
		free(hold);
	}
	loop_source_free(holds->wake);
	loop_source_free(holds->sweep);
	pthread_mutex_destroy(&holds->lock);
	free(holds);
}

void holds_release(struct holds *holds, struct str session)
{
	bool any = false;
	pthread_mutex_lock(&holds->lock);
	for (struct hold *hold = holds->first; hold != NULL; hold = hold->next) {
		if (!str_eq(session, str_from(hold->session)))
			continue;
		hold->released = true;
		any = true;
	}
	pthread_mutex_unlock(&holds->lock);
	if (any)
		loop_wake(holds->wake);
}

/* ------------------------------------------------------------------------------------------------------------- taking */

/* An orphan of an earlier daemon runs on; what has ended in so many words does not. */
static int do_continue(struct db_tx *tx, void *user, struct err *err)
{
	const struct session_job *job = user;
	struct db_stmt *update = db_stmt(tx, "UPDATE sessions SET ended_ns = NULL WHERE id = ? AND ended_ns IS NOT NULL"
					     " AND exit_code IS NULL AND EXISTS (SELECT 1 FROM agents WHERE"
					     " agents.session = sessions.id AND agents.revoked_ns IS NULL)");
	db_bind_str(update, job->session.id);
	int64_t changed = db_run(update, err);
	if (changed < 0)
		return -1;
	if (changed == 0)
		return fail(err, ERR_CONFLICT, "the session '%.*s' has ended already", STR_FMT(job->session.id));
	return event_append(tx, &job->event, err);
}

struct found {
	bool found, open;
};

static int note_found(void *user, const struct session *session)
{
	*(struct found *)user = (struct found){true, session->ended_ns == 0};
	return 1;
}

static int open_session(struct control *control, struct str session, const struct audit_event *by, struct err *err)
{
	struct found found = {0};
	const struct session_query query = {.id = session, .limit = 1};
	struct db_tx *tx = db_read(control->db);
	int rc = session_list(tx, &query, note_found, &found, err);
	db_done(tx);
	if (rc < 0 || found.open)
		return rc;
	if (!found.found)
		return fail(err, ERR_SESSION_NOT_FOUND, "there is no session '%.*s'", STR_FMT(session));
	struct session_job job = {.session = {.id = session}};
	rc = put_event(&job, by, AUDIT_SESSION_STARTED, true, err);
	if (rc == 0)
		rc = db_write(control->db, do_continue, &job, err);
	event_release(&job.event);
	return rc;
}

static int check_room(struct holds *holds, struct err *err)
{
	if (holds->stopped)
		return fail(err, ERR_UNAVAILABLE, "the daemon is stopping");
	if (holds->n == HOLDS_MAX)
		return fail(err, ERR_UNAVAILABLE, "%d sessions are held already; end some", HOLDS_MAX);
	return 0;
}

int holds_take(struct holds *holds, struct http_exchange *x, struct str session, const struct audit_event *by,
	       struct err *err)
{
	if (session.n != ULID_SIZE - 1)
		return fail(err, ERR_SESSION_NOT_FOUND, "there is no session '%.*s'", STR_FMT(session));
	if (open_session(holds->control, session, by, err) < 0)
		return -1;
	const struct h1_header revision = answer_revision();
	const struct http_answer head = {
		.status = 200, .content_type = S("text/event-stream"), .headers = &revision, .n_headers = 1};
	pthread_mutex_lock(&holds->lock);
	int rc = check_room(holds, err);
	if (rc == 0) {
		struct hold *hold = NEW(struct hold);
		*hold = (struct hold){.holds = holds, .next = holds->first, .x = x};
		memcpy(hold->session, session.p, session.n);
		holds->first = hold;
		holds->n++;
		http_stream_begin(x, &head);
		(void)!http_stream_write(x, S(": held\n\n"));
		http_on_gone(x, on_gone, hold);
	}
	pthread_mutex_unlock(&holds->lock);
	return rc;
}
