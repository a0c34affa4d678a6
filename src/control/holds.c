#include "control/holds.h"
#include "base/ulid.h"
#include "control/answer.h"
#include "control/sessions.h"
#include "os/loop.h"
#include <pthread.h>
#include <stdlib.h>

struct hold {
	struct holds *holds;
	struct hold *next;
	struct http_exchange *x;
	char session[ULID_SIZE];
	bool began;    /* its stream is there; before, it is a place, and its taker's */
	bool released; /* its session has ended */
};

struct holds {
	struct control *control;
	struct loop_source *wake;

	pthread_mutex_t lock; /* all below */
	struct hold *first;
	size_t n;
	bool stopped;
};

/* ---------------------------------------------------------------------------------------------------------- the holds */

/* Under the lock. */
static bool is_held(const struct holds *holds, struct str session)
{
	for (const struct hold *hold = holds->first; hold != NULL; hold = hold->next) {
		if (str_eq(session, str_from(hold->session)) && hold->began && !hold->released)
			return true;
	}
	return false;
}

/* Under the lock. */
static void take_off(struct holds *holds, struct hold *hold)
{
	struct hold **link = &holds->first;
	while (*link != hold)
		link = &(*link)->next;
	*link = hold->next;
	holds->n--;
	free(hold);
}

/* Under the lock, on the loop's thread, which alone takes those off that began: on_gone() may be on its way there. */
static void drop(struct holds *holds, struct hold *hold)
{
	struct http_exchange *x = hold->x;
	http_on_gone(x, NULL, NULL);
	take_off(holds, hold);
	http_stream_end(x);
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
	const struct session lost = {.id = str_from(session), .exit_code = -1};
	if (ends)
		sessions_end_later(holds->control->sessions, &lost, true);
}

/* On the loop's thread: those that were released, or all. */
static void drop_released(struct holds *holds, bool all)
{
	pthread_mutex_lock(&holds->lock);
	holds->stopped = holds->stopped || all;
	for (struct hold *hold = holds->first, *next; hold != NULL; hold = next) {
		next = hold->next;
		if (hold->began && (hold->released || all))
			drop(holds, hold);
	}
	pthread_mutex_unlock(&holds->lock);
}

static void on_wake(void *user, int what)
{
	(void)what;
	drop_released(user, false);
}

static void on_session_ended(void *user, struct str session)
{
	struct holds *holds = user;
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

static bool has_session(void *user, struct str session)
{
	struct holds *holds = user;
	pthread_mutex_lock(&holds->lock);
	bool held = is_held(holds, session);
	pthread_mutex_unlock(&holds->lock);
	return held;
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
	const struct sessions_listener listener = {on_session_ended, has_session, holds};
	sessions_listen(control->sessions, &listener);
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
	pthread_mutex_destroy(&holds->lock);
	free(holds);
}

/* ------------------------------------------------------------------------------------------------------------- taking */

/* It counts from now on: what finds no room changes nothing, and an end that comes meanwhile finds it. */
static struct hold *take_place(struct holds *holds, struct http_exchange *x, struct str session, struct err *err)
{
	struct hold *hold = NULL;
	pthread_mutex_lock(&holds->lock);
	if (holds->stopped) {
		fail(err, ERR_UNAVAILABLE, "the daemon is stopping");
	} else if (holds->n == HOLDS_MAX) {
		fail(err, ERR_UNAVAILABLE, "%d sessions are held already; end some", HOLDS_MAX);
	} else {
		hold = NEW(struct hold);
		*hold = (struct hold){.holds = holds, .next = holds->first, .x = x};
		memcpy(hold->session, session.p, session.n);
		holds->first = hold;
		holds->n++;
	}
	pthread_mutex_unlock(&holds->lock);
	return hold;
}

/* Under the lock. */
static int check_place(const struct hold *hold, struct err *err)
{
	if (hold->holds->stopped)
		return fail(err, ERR_UNAVAILABLE, "the daemon is stopping");
	if (hold->released)
		return fail(err, ERR_CONFLICT, "the session '%s' has ended already", hold->session);
	return 0;
}

static void begin(struct hold *hold)
{
	const struct h1_header revision = answer_revision();
	const struct http_answer head = {
		.status = 200, .content_type = S("text/event-stream"), .headers = &revision, .n_headers = 1};
	hold->began = true;
	http_stream_begin(hold->x, &head);
	(void)!http_stream_write(hold->x, S(": held\n\n"));
	http_on_gone(hold->x, on_gone, hold);
}

int holds_take(struct holds *holds, struct http_exchange *x, struct str session, const struct audit_event *by,
	       struct err *err)
{
	if (session.n != ULID_SIZE - 1)
		return fail(err, ERR_SESSION_NOT_FOUND, "there is no session '%.*s'", STR_FMT(session));
	struct hold *hold = take_place(holds, x, session, err);
	if (hold == NULL)
		return -1;
	int rc = sessions_continue(holds->control->sessions, session, by, err);
	pthread_mutex_lock(&holds->lock);
	if (rc == 0)
		rc = check_place(hold, err);
	if (rc == 0)
		begin(hold);
	else
		take_off(holds, hold);
	pthread_mutex_unlock(&holds->lock);
	return rc;
}
