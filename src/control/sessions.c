#include "control/sessions.h"
#include "approval/grant.h"
#include "base/log.h"
#include "base/time.h"
#include "base/vec.h"
#include "control/agents.h"
#include "control/event.h"
#include "os/loop.h"
#include <pthread.h>
#include <stdlib.h>

#define LEFT_OVER_MAX 4096

/* One job of the writer. What nobody waits for has its strings in an arena of its own. */
struct change {
	struct sessions *sessions;
	struct change *next;        /* of those that could not be written */
	struct change *next_ending; /* of ends that are final */
	struct arena *arena;
	struct session session;
	struct audit_event by;
	bool final;
	bool is_ending; /* among `ending` */
	bool had_ended; /* what the job found */
	bool failed;    /* before */
};

struct sessions {
	struct db *db;
	struct agents *agents;
	struct loop_source *wake, *again, *sweep;
	bool waiting;      /* the loop's: `again` runs */
	uint64_t began_ns; /* Unix */

	pthread_mutex_t lock; /* all below */
	struct sessions_listener listeners[SESSIONS_LISTENERS];
	size_t n_listeners;
	bool stopped;
	struct change *failed; /* ends; one a session */
	struct change *ending; /* ends that are final, from before they are written until they are */
};

/* ---------------------------------------------------------------------------------------------------------- listeners */

void sessions_listen(struct sessions *sessions, const struct sessions_listener *listener)
{
	pthread_mutex_lock(&sessions->lock);
	if (sessions->n_listeners == SESSIONS_LISTENERS)
		BUG("too many listen for sessions");
	sessions->listeners[sessions->n_listeners++] = *listener;
	pthread_mutex_unlock(&sessions->lock);
}

void sessions_stop(struct sessions *sessions)
{
	if (sessions == NULL)
		return;
	pthread_mutex_lock(&sessions->lock);
	sessions->n_listeners = 0;
	sessions->stopped = true;
	pthread_mutex_unlock(&sessions->lock);
}

/* In this process, now. */
static void cut_off(struct sessions *sessions, struct str id)
{
	pthread_mutex_lock(&sessions->lock);
	if (!sessions->stopped) /* who listens for agents has gone, too */
		agents_forget_session(sessions->agents, id);
	for (size_t i = 0; i < sessions->n_listeners; i++)
		sessions->listeners[i].ended(sessions->listeners[i].user, id);
	pthread_mutex_unlock(&sessions->lock);
}

static bool is_had(struct sessions *sessions, struct str id)
{
	bool had = false;
	pthread_mutex_lock(&sessions->lock);
	for (size_t i = 0; i < sessions->n_listeners && !had; i++) {
		const struct sessions_listener *listener = &sessions->listeners[i];
		had = listener->has != NULL && listener->has(listener->user, id);
	}
	pthread_mutex_unlock(&sessions->lock);
	return had;
}

/* ------------------------------------------------------------------------------------ final ends that are not written */

/* Under the lock. */
static void join_ending(struct change *change)
{
	struct sessions *sessions = change->sessions;
	if (change->is_ending)
		return;
	change->is_ending = true;
	change->next_ending = sessions->ending;
	sessions->ending = change;
}

static void leave_ending(struct change *change)
{
	if (!change->is_ending)
		return;
	struct sessions *sessions = change->sessions;
	pthread_mutex_lock(&sessions->lock);
	struct change **link = &sessions->ending;
	while (*link != change)
		link = &(*link)->next_ending;
	*link = change->next_ending;
	pthread_mutex_unlock(&sessions->lock);
	change->is_ending = false;
}

/* From now on, whatever becomes of its row. */
static void begin_end(struct change *change)
{
	struct sessions *sessions = change->sessions;
	if (change->final) {
		pthread_mutex_lock(&sessions->lock);
		join_ending(change);
		pthread_mutex_unlock(&sessions->lock);
	}
	cut_off(sessions, change->session.id);
}

bool sessions_is_open(struct sessions *sessions, struct str id)
{
	bool ends = false;
	pthread_mutex_lock(&sessions->lock);
	for (const struct change *change = sessions->ending; change != NULL && !ends; change = change->next_ending)
		ends = str_eq(change->session.id, id);
	pthread_mutex_unlock(&sessions->lock);
	return !ends && session_is_open(sessions->db, id);
}

/* --------------------------------------------------------------------------------------------------- in the database */

static int append(struct db_tx *tx, const struct change *change, enum audit_type type, bool continued, struct err *err)
{
	AUTO_EVENT event;
	struct audit_event who = change->by;
	who.type = type;
	event_begin(&event, who);
	member_str(&event.json, "aileron.session.id", change->session.id);
	member_str_given(&event.json, "aileron.agent.id", change->session.caller);
	member_str_given(&event.json, "aileron.session.agent", change->session.agent);
	if (continued)
		member_bool(&event.json, "aileron.session.continued", true);
	return event_end(&event, err) < 0 ? -1 : event_append(tx, &event, err);
}

static int do_start(struct db_tx *tx, void *user, struct err *err)
{
	const struct change *change = user;
	if (session_insert(tx, &change->session, err) < 0)
		return -1;
	return append(tx, change, AUDIT_SESSION_STARTED, false, err);
}

static int do_continue(struct db_tx *tx, void *user, struct err *err)
{
	const struct change *change = user;
	int got = session_continue(tx, change->session.id, err);
	return got <= 0 ? got : append(tx, change, AUDIT_SESSION_STARTED, true, err);
}

static int do_end(struct db_tx *tx, void *user, struct err *err)
{
	struct change *change = user;
	const struct session *session = &change->session;
	int got = session_end(tx, session, change->final, err);
	if (got < 0 || agents_revoke_session(tx, session->id, &change->by, session->ended_ns, err) < 0)
		return -1;
	const struct grant_end grants = {
		.session = session->id,
		.why = S("session ended"),
		.now_ns = session->ended_ns,
		.who = audit_of_service(AUDIT_GRANT_REVOKED, "control"),
	};
	if (grant_end(tx, &grants, err) < 0)
		return -1;
	change->had_ended = got == 0;
	return got == 0 ? 0 : append(tx, change, AUDIT_SESSION_ENDED, false, err);
}

/* ------------------------------------------------------------------------------------------------- what nobody waits for */

static struct change *change_new(struct sessions *sessions, const struct session *session, const struct audit_event *by)
{
	struct change *change = NEW(struct change);
	struct arena *arena = arena_new();
	change->sessions = sessions;
	change->arena = arena;
	change->session = *session;
	change->session.id = arena_str(arena, session->id);
	change->session.agent = arena_str(arena, session->agent);
	change->session.working_dir = arena_str(arena, session->working_dir);
	change->session.caller = arena_str(arena, session->caller);
	change->by = (struct audit_event){.actor = by->actor, .actor_id = arena_str(arena, by->actor_id)};
	return change;
}

static void change_free(struct change *change)
{
	leave_ending(change);
	arena_free(change->arena);
	free(change);
}

static struct audit_event by_agent(const struct session *session)
{
	return (struct audit_event){.actor = AUDIT_ACTOR_AGENT, .actor_id = session->caller};
}

static void started(void *user, const struct err *err)
{
	struct change *change = user;
	if (err != NULL && err->class == ERR_CONFLICT) /* it was ended while its guest came back */
		cut_off(change->sessions, change->session.id);
	else if (err != NULL)
		log_error("session_not_started", log_err(err));
	change_free(change);
}

void sessions_start_later(struct sessions *sessions, const struct session *session)
{
	const struct audit_event by = by_agent(session);
	db_write_later(sessions->db, do_start, change_new(sessions, session, &by), started);
}

void sessions_continue_later(struct sessions *sessions, const struct session *session)
{
	const struct audit_event by = by_agent(session);
	db_write_later(sessions->db, do_continue, change_new(sessions, session, &by), started);
}

/* ---------------------------------------------------------------------------------------------------------------- ends */

/* Takes it over. The newest end of a session is in the place of those before. */
static void try_again(struct change *change)
{
	struct sessions *sessions = change->sessions;
	change->failed = true;
	pthread_mutex_lock(&sessions->lock);
	struct change **link = &sessions->failed;
	while (*link != NULL && !str_eq((*link)->session.id, change->session.id))
		link = &(*link)->next;
	struct change *before = *link;
	change->next = before != NULL ? before->next : NULL;
	change->final = change->final || (before != NULL && before->final);
	if (change->final)
		join_ending(change);
	*link = change;
	pthread_mutex_unlock(&sessions->lock);
	if (before != NULL)
		change_free(before);
	loop_wake(sessions->wake);
}

static bool is_to_try_again(const struct err *err)
{
	return err->class != ERR_SESSION_NOT_FOUND;
}

static void ended(void *user, const struct err *err)
{
	struct change *change = user;
	if (err != NULL && !change->failed)
		log_error("session_not_ended", log_err(err));
	if (err != NULL && is_to_try_again(err)) {
		try_again(change);
		return;
	}
	/* Nothing comes after the row's end: what came since it was cut off has ended, too. A guest may be back already. */
	if (change->final)
		cut_off(change->sessions, change->session.id);
	change_free(change);
}

void sessions_end_later(struct sessions *sessions, const struct session *session, bool final)
{
	const struct audit_event by =
		session->caller.n > 0 ? by_agent(session) : audit_of_service(AUDIT_SESSION_ENDED, "daemon");
	struct change *change = change_new(sessions, session, &by);
	change->session.ended_ns = clock_wall_ns(NULL);
	change->final = final;
	begin_end(change);
	db_write_later(sessions->db, do_end, change, ended);
}

static void on_wake(void *user, int what)
{
	(void)what;
	struct sessions *sessions = user;
	if (!sessions->waiting) /* starting it anew would put it off for as long as others fail */
		loop_timer_start(sessions->again, SESSIONS_AGAIN_MS, 0);
	sessions->waiting = true;
}

static void on_again(void *user, int what)
{
	(void)what;
	struct sessions *sessions = user;
	sessions->waiting = false;
	pthread_mutex_lock(&sessions->lock);
	struct change *change = TAKE(sessions->failed);
	pthread_mutex_unlock(&sessions->lock);
	while (change != NULL) {
		struct change *next = change->next;
		if (!change->final && is_had(sessions, change->session.id))
			change_free(change); /* its guest is back */
		else
			db_write_later(sessions->db, do_end, change, ended);
		change = next;
	}
}

bool sessions_end_left_over(struct sessions *sessions)
{
	AUTO(arena) *arena = arena_new();
	AUTO_VEC(struct session) left = VEC_INIT(LEFT_OVER_MAX);
	struct db_tx *tx = db_read(sessions->db);
	struct db_stmt *q = db_stmt(
		tx, "SELECT id, caller FROM sessions WHERE ended_ns IS NULL AND started_ns < ? AND (caller IS NOT NULL"
		    " OR id IN (SELECT session FROM agents WHERE revoked_ns IS NULL)) UNION "
		    "SELECT id, caller FROM sessions WHERE ended_ns IS NOT NULL"
		    " AND id IN (SELECT session FROM agents WHERE revoked_ns IS NULL)");
	db_bind_int(q, (int64_t)sessions->began_ns);
	int got;
	while ((got = db_step(q, NULL)) == 1) {
		const struct session session = {
			.id = arena_str(arena, db_str(q, 0)),
			.caller = arena_str(arena, db_str(q, 1)),
			.exit_code = -1,
		};
		if (!vec_push(&left, session))
			break;
	}
	db_finish(q);
	db_done(tx);
	for (size_t i = 0; i < left.n; i++) {
		if (!is_had(sessions, left.items[i].id))
			sessions_end_later(sessions, &left.items[i], left.items[i].caller.n == 0);
	}
	return got == 0;
}

static void on_sweep(void *user, int what)
{
	(void)what;
	struct sessions *sessions = user;
	if (!sessions_end_left_over(sessions))
		loop_timer_start(sessions->sweep, SESSIONS_RETURN_MS, 0);
}

/* ---------------------------------------------------------------------------------------------- what is waited for */

int sessions_start(struct sessions *sessions, const struct session *session, const struct audit_event *by,
		   struct err *err)
{
	struct change change = {.session = *session, .by = *by};
	return db_write(sessions->db, do_start, &change, err);
}

int sessions_continue(struct sessions *sessions, struct str id, const struct audit_event *by, struct err *err)
{
	struct change change = {.session = {.id = id}, .by = *by};
	return session_is_open(sessions->db, id) ? 0 : db_write(sessions->db, do_continue, &change, err);
}

int sessions_end(struct sessions *sessions, struct str id, int exit_code, const struct audit_event *by, struct err *err)
{
	struct change change = {
		.sessions = sessions,
		.session = {.id = id, .ended_ns = clock_wall_ns(NULL), .exit_code = exit_code},
		.by = *by,
		.final = true,
	};
	begin_end(&change);
	int rc = db_write(sessions->db, do_end, &change, err);
	cut_off(sessions, id); /* what was being registered meanwhile */
	if (rc < 0 && (err == NULL || is_to_try_again(err))) {
		struct change *later = change_new(sessions, &change.session, by);
		later->final = true;
		try_again(later);
	}
	leave_ending(&change);
	if (rc == 0 && change.had_ended)
		return fail(err, ERR_CONFLICT, "the session '%.*s' has ended already", STR_FMT(id));
	return rc;
}

/* ---------------------------------------------------------------------------------------------------------- life cycle */

struct sessions *sessions_new(struct loop *loop, struct db *db, struct agents *agents, struct err *err)
{
	AUTO(sessions) *sessions = NEW(struct sessions);
	pthread_mutex_init(&sessions->lock, NULL);
	sessions->db = db;
	sessions->agents = agents;
	sessions->began_ns = clock_wall_ns(NULL);
	sessions->wake = loop_wakeup(loop, on_wake, sessions, err);
	if (sessions->wake == NULL)
		return NULL;
	loop_source_background(sessions->wake);
	sessions->again = loop_timer(loop, on_again, sessions);
	loop_source_background(sessions->again);
	sessions->sweep = loop_timer(loop, on_sweep, sessions);
	loop_source_background(sessions->sweep);
	loop_timer_start(sessions->sweep, SESSIONS_RETURN_MS, 0);
	return TAKE(sessions);
}

void sessions_free(struct sessions *sessions)
{
	if (sessions == NULL)
		return;
	while (sessions->failed != NULL) {
		struct change *change = sessions->failed;
		sessions->failed = change->next;
		change_free(change);
	}
	loop_source_free(sessions->wake);
	loop_source_free(sessions->again);
	loop_source_free(sessions->sweep);
	pthread_mutex_destroy(&sessions->lock);
	free(sessions);
}
