/* The thread that minds the clock, and what changes do to runs that wait. */
#include "base/log.h"
#include "base/time.h"
#include "base/wait.h"
#include "control/runs_private.h"
#include <errno.h>
#include <stdlib.h>

#define MIND_NS (60 * TIME_SECOND) /* the least often that the clock is looked at: it may be set */
#define AWAY_NS (1 * TIME_SECOND)  /* until one is tried again for which a process was away */

void runs_mind_soon(struct runs *runs, unsigned tasks)
{
	pthread_mutex_lock(&runs->lock);
	runs->tasks_again |= tasks;
	if (runs->again_ns == 0)
		runs->again_ns = clock_monotonic_ns(NULL) + AWAY_NS;
	pthread_cond_signal(&runs->wake);
	pthread_mutex_unlock(&runs->lock);
}

static int list_open(struct runs *runs, struct arena *arena, enum run_state state, struct run_list *ret)
{
	struct err err;
	err_clear(&err);
	const struct run_filter filter = {.state = str_from(run_state_name(state)), .open = true};
	struct db_tx *tx = db_read(runs->control->db);
	int rc = run_list(tx, arena, &filter, ret, &err);
	db_done(tx);
	if (rc < 0) {
		log_error("runs_not_listed", log_err(&err));
		runs_mind_soon(runs, MIND_CHANGES | MIND_PREVIEWS);
	}
	return rc;
}

static void execute_queued(struct runs *runs)
{
	AUTO(arena) *arena = arena_new();
	struct run_list list = {0};
	if (list_open(runs, arena, RUN_QUEUED, &list) < 0)
		return;
	for (size_t i = list.n; i-- > 0;) /* the oldest first */
		runs_execute_later(runs, list.items[i].id);
}

static void end_due(struct runs *runs)
{
	AUTO(arena) *arena = arena_new();
	struct run_list due = {0};
	struct err err;
	err_clear(&err);
	struct db_tx *tx = db_read(runs->control->db);
	int rc = run_list_due(tx, arena, clock_wall_ns(NULL), &due, &err);
	db_done(tx);
	if (rc < 0)
		log_error("runs_not_listed", log_err(&err));
	for (size_t i = 0; rc == 0 && i < due.n; i++) {
		struct run_change change = {.id = due.items[i].id, .event = RUN_EVENT_EXPIRE};
		if (due.items[i].state == RUN_PENDING_APPROVAL)
			runs_apply(runs, &change, RUN_EXPIRED);
		else
			runs_refuse(runs, due.items[i].id, S("the vault stayed locked for too long"));
	}
}

static int do_end_grants(struct db_tx *tx, void *user, struct err *err)
{
	return grant_end(tx, user, err) < 0 ? -1 : 0;
}

static void end_grants(struct runs *runs, struct str why)
{
	struct err err;
	err_clear(&err);
	struct grant_end end = {
		.why = why, .now_ns = clock_wall_ns(NULL), .who = audit_of_service(AUDIT_GRANT_REVOKED, "control")};
	uint64_t locks = runs_locks(runs);
	if (db_write(runs->control->db, do_end_grants, &end, &err) == 0) {
		pthread_mutex_lock(&runs->lock);
		runs->locks_ended = locks;
		pthread_mutex_unlock(&runs->lock);
		return;
	}
	log_error("grants_not_ended", log_err(&err));
	runs_mind_soon(runs, MIND_LOCKED);
}

static void resume_awaiting(struct runs *runs)
{
	AUTO(arena) *arena = arena_new();
	struct run_list list = {0};
	if (list_open(runs, arena, RUN_AWAITING_VAULT, &list) == 0) {
		for (size_t i = list.n; i-- > 0;) {
			struct run_change change = {.id = list.items[i].id, .event = RUN_EVENT_RESUME};
			runs_apply(runs, &change, RUN_QUEUED);
			runs_execute_later(runs, list.items[i].id);
		}
	}
}

/* What could not be shown while the vault was locked; with `lost`, what a kill or a full queue came between too. */
static void fetch_previews(struct runs *runs, bool lost)
{
	AUTO(arena) *arena = arena_new();
	struct run_list list = {0};
	if (list_open(runs, arena, RUN_PENDING_APPROVAL, &list) < 0)
		return;
	for (size_t i = 0; i < list.n; i++) {
		const struct run *run = &list.items[i];
		if (str_eq(run->preview, S(RUNS_PREVIEW_LOCKED)) || (lost && run->preview.n == 0))
			runs_preview_later(runs, run->id);
	}
}

/* A byte of what one waits for is another: refused, unless it cannot be looked at now. */
static void check_one(struct runs *runs, const struct run *run)
{
	AUTO(arena) *arena = arena_new();
	struct run_plan plan = {0};
	struct err err;
	struct str now;
	err_clear(&err);
	int rc = run_plan_make(runs, arena, run->action, &plan, &err);
	if (rc == 0)
		rc = run_plan_bound(&plan, arena, run, APPROVAL_TEXT_DIGEST, &now, &err);
	if (rc == 0) {
		struct str part = approval_difference(arena, run->bound, now);
		if (part.n > 0)
			runs_refuse(runs, run->id, part);
	} else if (err.class != ERR_ACTION_DISABLED && !runs_is_away(&err)) {
		runs_refuse(runs, run->id, str_from(err.message));
	}
	run_plan_release(&plan);
}

static void check_all(struct runs *runs)
{
	static const enum run_state states[] = {RUN_PENDING_APPROVAL, RUN_AWAITING_VAULT, RUN_QUEUED};
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		AUTO(arena) *arena = arena_new();
		struct run_list list = {0};
		if (list_open(runs, arena, states[i], &list) < 0)
			return;
		for (size_t k = 0; k < list.n; k++)
			check_one(runs, &list.items[k]);
	}
}

/* When to look again, monotonic. */
static uint64_t next_look(struct runs *runs)
{
	uint64_t due = 0, now = clock_monotonic_ns(NULL), wall = clock_wall_ns(NULL);
	struct err err;
	err_clear(&err);
	struct db_tx *tx = db_read(runs->control->db);
	if (run_next_due(tx, &due, &err) < 0)
		log_error("runs_not_listed", log_err(&err));
	db_done(tx);
	/* What is due still could not be ended. */
	uint64_t left = due == 0 ? MIND_NS : (due > wall ? due - wall : AWAY_NS);
	return now + MIN(left, MIND_NS);
}

static void do_tasks(struct runs *runs, unsigned tasks)
{
	if (tasks & MIND_LOCKED)
		end_grants(runs, S("lock"));
	if (tasks & MIND_ENDS)
		runs_end_again(runs);
	if (tasks & MIND_PARTS)
		check_all(runs);
	if (tasks & MIND_UNLOCKED)
		resume_awaiting(runs);
	if (tasks & (MIND_UNLOCKED | MIND_PREVIEWS))
		fetch_previews(runs, tasks & MIND_PREVIEWS);
	if (tasks & MIND_QUEUED)
		execute_queued(runs);
	end_due(runs);
}

/* Of what there is to do, until there is something; false at the end. */
static bool await_tasks(struct runs *runs, uint64_t until_ns, unsigned *ret)
{
	pthread_mutex_lock(&runs->lock);
	bool over = false;
	while (!runs->stopping && !over && runs->tasks == 0) {
		uint64_t until = runs->again_ns != 0 ? MIN(until_ns, runs->again_ns) : until_ns;
		over = !wait_until(&runs->wake, &runs->lock, until) || clock_monotonic_ns(NULL) >= until;
	}
	*ret = runs->tasks;
	runs->tasks = 0;
	if (runs->again_ns != 0 && clock_monotonic_ns(NULL) >= runs->again_ns) {
		*ret |= runs->tasks_again;
		runs->tasks_again = 0;
		runs->again_ns = 0;
	}
	bool go_on = !runs->stopping;
	pthread_mutex_unlock(&runs->lock);
	return go_on;
}

static void *mind(void *user)
{
	struct runs *runs = user;
	unsigned tasks = MIND_UNLOCKED | MIND_QUEUED | MIND_PREVIEWS;
	do {
		do_tasks(runs, tasks);
	} while (await_tasks(runs, next_look(runs), &tasks));
	return NULL;
}

static void tell_minder(struct runs *runs, unsigned task)
{
	pthread_mutex_lock(&runs->lock);
	runs->tasks |= task;
	pthread_cond_signal(&runs->wake);
	pthread_mutex_unlock(&runs->lock);
}

void runs_mind(struct runs *runs)
{
	tell_minder(runs, MIND_DUE);
}

void runs_mind_ends(struct runs *runs)
{
	runs_mind_soon(runs, MIND_ENDS);
}

uint64_t runs_locks(struct runs *runs)
{
	pthread_mutex_lock(&runs->lock);
	uint64_t locks = runs->locks;
	pthread_mutex_unlock(&runs->lock);
	return locks;
}

bool runs_grants_hold(struct runs *runs)
{
	pthread_mutex_lock(&runs->lock);
	bool hold = runs->locks == runs->locks_ended;
	pthread_mutex_unlock(&runs->lock);
	return hold;
}

void runs_tell_vault(struct runs *runs, bool unlocked)
{
	pthread_mutex_lock(&runs->lock);
	runs->locks += !unlocked; /* before the minder's job that ends the grants */
	pthread_mutex_unlock(&runs->lock);
	tell_minder(runs, unlocked ? MIND_UNLOCKED : MIND_LOCKED);
}

static void actions_changed(void *user)
{
	struct runs *runs = user;
	tell_minder(runs, MIND_PARTS);
}

/* ------------------------------------------------------------------------------------------------------- start and stop */

int runs_start(struct runs *runs, struct err *err)
{
	runs->executors = workers_new(RUNS_EXECUTORS, RUNS_WAITING_MAX);
	runs->previewers = workers_new(RUNS_PREVIEWERS, RUNS_WAITING_MAX);
	actions_on_change(runs->control->actions, actions_changed, runs);
	errno = pthread_create(&runs->minder, NULL, mind, runs);
	if (errno != 0)
		return fail_errno(err, "cannot start the thread that minds what waits for a person");
	runs->minding = true;
	return 0;
}

void runs_stop(struct runs *runs)
{
	if (runs->minding) {
		pthread_mutex_lock(&runs->lock);
		runs->stopping = true;
		pthread_cond_signal(&runs->wake);
		pthread_mutex_unlock(&runs->lock);
		pthread_join(runs->minder, NULL);
		runs->minding = false;
	}
	workers_free(runs->executors);
	workers_free(runs->previewers);
	runs->executors = runs->previewers = NULL;
	runs_end_again(runs);
	runs_forget_ends(runs);
}
