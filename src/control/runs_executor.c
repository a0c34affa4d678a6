#include "action/set.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/time.h"
#include "base/wait.h"
#include "control/keeper_client.h"
#include "control/runs_private.h"
#include "text/json_members.h"
#include <errno.h>
#include <stdlib.h>

#define PREVIEW_MS  5000
#define PREVIEW_MAX ((size_t)1 * MIB)
#define AGAIN_MAX   3                  /* times that a set of actions may change under a claim */
#define MIND_NS     (60 * TIME_SECOND) /* the least often that the clock is looked at: it may be set */
#define AWAY_NS     (1 * TIME_SECOND)  /* until one is tried again for which a process was away */
#define LOCKED      "{\"unavailable\":\"vault locked\"}"

/* A job of an executor's, of either kind. */
struct turn {
	struct runs *runs;
	char id[RUN_ID_SIZE];
};

/* What the minder has to do. */
enum {
	MIND_DUE = 1,      /* there is a new row with a time of its own */
	MIND_LOCKED = 2,   /* grants end */
	MIND_UNLOCKED = 4, /* what awaits the vault goes on, and what could not be shown without it */
	MIND_PARTS = 8,    /* some action or connector is another */
	MIND_QUEUED = 16,
	MIND_PREVIEWS = 32, /* some were not fetched */
	MIND_ENDS = 64,     /* of runs, that could not be written (runs_ends.c) */
	/* What a database that failed may have come between. */
	MIND_CHANGES = MIND_UNLOCKED | MIND_PARTS | MIND_QUEUED,
};

static void mind_soon(struct runs *runs, unsigned tasks)
{
	pthread_mutex_lock(&runs->lock);
	runs->tasks_again |= tasks;
	if (runs->again_ns == 0)
		runs->again_ns = clock_monotonic_ns(NULL) + AWAY_NS;
	pthread_cond_signal(&runs->wake);
	pthread_mutex_unlock(&runs->lock);
}

/* What is not taken stays as it is in the database. */
static void later(struct runs *runs, struct workers *by, struct str id, void (*work)(void *user), unsigned otherwise)
{
	struct turn *turn = NEW(struct turn);
	turn->runs = runs;
	memcpy(turn->id, id.p, MIN(id.n, sizeof turn->id - 1));
	if (workers_add(by, work, turn))
		return;
	log_warn("run_not_taken", log_str("run", id));
	free(turn);
	if (!runs_is_draining(runs))
		mind_soon(runs, otherwise);
}

/* ------------------------------------------------------------------------------------------------------------- changes */

static int do_change(struct db_tx *tx, void *user, struct err *err)
{
	const struct run_change *change = user;
	return run_change(tx, change, NULL, NULL, err);
}

/* One that its state does not take any more was changed by somebody else, who won. */
static void apply(struct runs *runs, struct run_change *change, enum run_state state)
{
	struct err err;
	err_clear(&err);
	change->now_ns = clock_wall_ns(NULL);
	change->who = audit_of_service(AUDIT_APPROVAL_REFUSED, "control"); /* the type is made of the event */
	if (db_write(runs->control->db, do_change, change, &err) == 0) {
		runs_announce(runs, change->id, state);
		return;
	}
	if (err.class != ERR_CONFLICT)
		log_error("run_not_changed", log_str("run", change->id), log_err(&err));
	if (runs_is_away(&err))
		mind_soon(runs, MIND_CHANGES);
}

static void refuse(struct runs *runs, struct str id, struct str part)
{
	struct run_change change = {.id = id, .event = RUN_EVENT_REFUSE, .reason = part};
	apply(runs, &change, RUN_REFUSED);
}

bool runs_is_away(const struct err *err)
{
	return err->class == ERR_UNAVAILABLE || err->class == ERR_PROTOCOL || err->class == ERR_STORE_ERROR;
}

/* --------------------------------------------------------------------------------------------------------------- claim */

struct claim {
	struct runs *runs;
	struct arena *arena;
	const struct run_plan *plan;
	struct str id, bound; /* bound: what it would be bound to now */
	bool again;           /* the set is not that of the plan any more */
	struct run run;       /* as it was claimed, or refused */
};

/* Which part is not what was approved, "" = all is. */
static struct str check_parts(struct claim *claim, const struct run *run, uint64_t now_ns)
{
	struct actions *actions = claim->runs->control->actions;
	const struct action_set *set = actions_hold(actions);
	const struct action_entry *entry = action_named(set, run->action);
	struct str part = STR_EMPTY;
	claim->again = set->generation != claim->plan->set->generation;
	if (entry != NULL && !entry->enabled)
		part = S("the action is switched off");
	else if (now_ns >= run->expires_ns)
		part = S("the time it was good for is over");
	else
		part = approval_difference(claim->arena, run->bound, claim->bound);
	actions_release(set);
	return part;
}

static int do_claim(struct db_tx *tx, void *user, struct err *err)
{
	struct claim *claim = user;
	uint64_t now = clock_wall_ns(NULL);
	struct run *run = &claim->run;
	int found = run_find(tx, claim->arena, claim->id, run, err);
	if (found <= 0)
		return found < 0 ? -1 : fail(err, ERR_NOT_FOUND, "there is no run '%.*s'", STR_FMT(claim->id));
	struct str part = check_parts(claim, run, now);
	if (claim->again)
		return fail(err, ERR_CONFLICT, "the actions changed");
	const struct run_change change = {
		.id = claim->id,
		.event = part.n > 0 ? RUN_EVENT_REFUSE : RUN_EVENT_CLAIM,
		.now_ns = now,
		.who = audit_of_service(AUDIT_RUN_STARTED, "control"),
		.reason = part,
	};
	run->claimed_ns = now;
	return run_change(tx, &change, &run->state, NULL, err);
}

static void work_off(struct claim *claim, struct running_run *running)
{
	struct err err;
	err_clear(&err);
	struct run_work work = {
		.runs = claim->runs,
		.arena = claim->arena,
		.run = &claim->run,
		.plan = claim->plan,
		.running = running,
		.by = {.actor = AUDIT_ACTOR_AGENT, .actor_id = claim->run.caller.id},
	};
	if (str_eq(claim->run.caller.id, S("user")))
		work.by.actor = AUDIT_ACTOR_HUMAN;
	if (run_work(&work, &err) < 0)
		log_error("run_not_begun", log_z("run", running->id), log_err(&err));
}

/* 0 claimed and done, or not to be claimed; 1 to be tried again at once; -1. */
static int claim_and_run(struct runs *runs, struct running_run *running, const struct run *run, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct run_plan plan = {0};
	struct claim claim = {.runs = runs, .arena = arena, .plan = &plan, .id = run->id};
	bool locked = false;
	if (run_plan_make(runs, arena, run->action, &plan, err) < 0)
		return -1;
	int rc = run_plan_vault_locked(runs, arena, &plan, &locked, err);
	if (rc == 0 && locked) {
		struct run_change change = {
			.id = run->id,
			.event = RUN_EVENT_AWAIT,
			.awaits_until_ns = clock_wall_ns(NULL) + RUN_AWAITING_VAULT_S * TIME_SECOND,
		};
		apply(runs, &change, RUN_AWAITING_VAULT);
		runs_mind(runs);
	} else if (rc == 0) {
		rc = run_plan_bound(&plan, arena, run, APPROVAL_TEXT_DIGEST, &claim.bound, err);
		if (rc == 0)
			rc = run_plan_pin(&plan, err);
		if (rc == 0)
			rc = db_write(runs->control->db, do_claim, &claim, err);
		if (rc == 0)
			runs_announce(runs, run->id, claim.run.state);
		if (rc == 0 && claim.run.state == RUN_RUNNING)
			work_off(&claim, running);
	}
	run_plan_release(&plan);
	return rc < 0 && claim.again ? 1 : rc;
}

static void execute_once(struct runs *runs, struct running_run *running, int left)
{
	AUTO(arena) *arena = arena_new();
	struct err err;
	struct run run;
	err_clear(&err);
	int rc = runs_get(runs, arena, STR_EMPTY, str_from(running->id), &run, &err);
	if (rc == 0 && run.state != RUN_QUEUED)
		return;
	if (rc == 0)
		rc = claim_and_run(runs, running, &run, &err);
	if (rc > 0 && left > 0)
		execute_once(runs, running, left - 1);
	else if (rc > 0 || (rc < 0 && runs_is_away(&err)))
		mind_soon(runs, MIND_QUEUED);
	else if (rc < 0 && err.class != ERR_CONFLICT)
		refuse(runs, str_from(running->id), str_from(err.message));
}

static void execute(void *user)
{
	struct turn *turn = user;
	struct runs *runs = turn->runs;
	struct running_run running = {0};
	if (!runs_is_draining(runs)) {
		runs_enter(runs, &running, str_from(turn->id));
		execute_once(runs, &running, AGAIN_MAX);
		runs_leave(runs, &running);
		/* Whoever cancelled it meanwhile was told yes: it must not run later, if it was not claimed. */
		struct run_change change = {
			.id = str_from(running.id), .event = RUN_EVENT_CANCEL, .reason = S("cancelled")};
		if (running.cancelled)
			apply(runs, &change, RUN_CANCELLED);
	}
	free(turn);
}

void runs_execute_later(struct runs *runs, struct str id)
{
	later(runs, runs->executors, id, execute, MIND_QUEUED);
}

/* ------------------------------------------------------------------------------------------------------------- preview */

static void put_unavailable(struct buf *out, struct str why)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str(&w, "unavailable", why);
	jsonw_end_object(&w);
}

struct fetch {
	struct invoke invoke;
	struct invoke_step place;
};

/* What runs before anybody was asked must be what other actions call idempotent, and no gated one calls at all. */
static int check_preview(struct runs *runs, struct arena *arena, const struct action *action, struct err *err)
{
	const struct action_set *set = actions_hold(runs->control->actions);
	const struct action **all = arena_array(arena, set->n + 1, sizeof(struct action *));
	for (size_t i = 0; i < set->n; i++)
		all[i] = set->items[i].action;
	int rc = action_check_in_set(action, all, set->n, err);
	actions_release(set);
	return rc;
}

static int ask_preview(struct runs *runs, struct arena *arena, const struct run_plan *plan, const struct run *run,
		       struct fetch *fetch, struct err *err)
{
	const struct action *action = plan->action;
	size_t connector = action->steps[0].connector;
	AUTO_BUF text = BUF_INIT(LIMIT_INPUT);
	AUTO(json) *args = json_parse(run->args, JSON_READ_STRICT, err);
	if (args == NULL || check_preview(runs, arena, action, err) < 0 ||
	    action_check_op(action, connector, action->preview.op, err) < 0 ||
	    action_preview_arguments(action, args, &text, err) < 0)
		return -1;
	AUTO(json) *given = json_parse(buf_str(&text), JSON_READ_STRICT, err);
	if (given == NULL)
		return -1;
	fetch->place = (struct invoke_step){
		.opened = &plan->opened[connector],
		.use = &plan->uses[connector],
		.hosts = action->connectors[connector].hosts,
		.of = {.run = run->id, .step = S("preview"), .action = run->action, .approval = run->approval_id},
	};
	fetch->invoke = (struct invoke){
		.control = runs->control,
		.arena = arena,
		.by = audit_of_service(AUDIT_EXECUTION_STARTED, "control"),
		.op = action->preview.op,
		.args = given,
		.step = &fetch->place,
		.timeout_ms = PREVIEW_MS,
	};
	return invoke_connector(&fetch->invoke, err);
}

static int fetch_preview(struct runs *runs, struct arena *arena, const struct run_plan *plan, const struct run *run,
			 struct buf *out, struct err *err)
{
	struct fetch *fetch = NEW(struct fetch);
	int rc = ask_preview(runs, arena, plan, run, fetch, err);
	AUTO(json) *output = rc == 0 ? json_parse(buf_str(&fetch->invoke.result.output), JSON_READ_STRICT, err) : NULL;
	if (rc == 0)
		rc = output != NULL ? action_preview_render(plan->action, output, out, err) : -1;
	invoke_release(&fetch->invoke);
	free(fetch);
	return rc;
}

static struct str why_unavailable(struct arena *arena, const struct err *err)
{
	struct str limit;
	if (err->class == ERR_RESOURCE_LIMIT_EXCEEDED && err_detail_get(err, "limit", &limit) &&
	    str_eq(limit, S("wall_time")))
		return S("timeout");
	return arena_printf(arena, "%s: %s", err_row(err->class)->name, err->message);
}

struct preview_job {
	struct str id, preview;
};

static int do_store_preview(struct db_tx *tx, void *user, struct err *err)
{
	const struct preview_job *job = user;
	return run_store_preview(tx, job->id, job->preview, err);
}

static int make_preview(struct runs *runs, struct arena *arena, const struct run *run, struct buf *out, struct err *err)
{
	struct run_plan plan = {0};
	bool locked = false;
	if (run_plan_make(runs, arena, run->action, &plan, err) < 0)
		return -1;
	int rc = run_plan_vault_locked(runs, arena, &plan, &locked, err);
	if (rc == 0 && locked)
		buf_add_str(out, S(LOCKED));
	else if (rc == 0 && plan.action->preview.present)
		rc = fetch_preview(runs, arena, &plan, run, out, err);
	run_plan_release(&plan);
	return rc;
}

static void store_preview(struct runs *runs, struct str id, struct str preview)
{
	struct err err;
	err_clear(&err);
	struct preview_job job = {id, preview};
	if (db_write(runs->control->db, do_store_preview, &job, &err) < 0)
		log_warn("preview_not_stored", log_str("run", id), log_err(&err));
	else
		runs_announce(runs, id, RUN_PENDING_APPROVAL);
}

static bool has_preview(struct runs *runs, struct str name)
{
	const struct action_set *set = actions_await(runs->control->actions, NULL);
	const struct action_entry *entry = set != NULL ? action_named(set, name) : NULL;
	bool has = entry != NULL && entry->action != NULL && entry->action->preview.present;
	actions_release(set);
	return has;
}

/* Somebody else may have fetched it by now. */
static bool is_awaited(struct runs *runs, const struct run *run)
{
	return runs_awaits_preview(runs, run) ||
	       (run->state == RUN_PENDING_APPROVAL && str_eq(run->preview, S(LOCKED)));
}

static void preview(void *user)
{
	struct turn *turn = user;
	struct runs *runs = turn->runs;
	AUTO(arena) *arena = arena_new();
	AUTO_BUF text = BUF_INIT(PREVIEW_MAX);
	struct err err;
	struct run run;
	err_clear(&err);
	if (!runs_is_draining(runs) && runs_get(runs, arena, STR_EMPTY, str_from(turn->id), &run, &err) == 0 &&
	    is_awaited(runs, &run)) {
		bool made = make_preview(runs, arena, &run, &text, &err) == 0 && buf_ok(&text);
		if (!made) {
			buf_clear(&text);
			put_unavailable(&text, why_unavailable(arena, &err));
		}
		if (made || !runs->control->over) /* what the end of this process broke off is fetched by the next */
			store_preview(runs, run.id, buf_str(&text));
	}
	free(turn);
}

void runs_preview_later(struct runs *runs, struct str id)
{
	later(runs, runs->previewers, id, preview, MIND_PREVIEWS);
}

bool runs_awaits_preview(struct runs *runs, const struct run *run)
{
	return run->state == RUN_PENDING_APPROVAL && run->preview.n == 0 && has_preview(runs, run->action);
}

/* ----------------------------------------------------------------------------------------------------------- the minder */

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
		mind_soon(runs, MIND_CHANGES | MIND_PREVIEWS);
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
			apply(runs, &change, RUN_EXPIRED);
		else
			refuse(runs, due.items[i].id, S("the vault stayed locked for too long"));
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
	if (db_write(runs->control->db, do_end_grants, &end, &err) == 0)
		return;
	log_error("grants_not_ended", log_err(&err));
	mind_soon(runs, MIND_LOCKED);
}

static void resume_awaiting(struct runs *runs)
{
	AUTO(arena) *arena = arena_new();
	struct run_list list = {0};
	if (list_open(runs, arena, RUN_AWAITING_VAULT, &list) == 0) {
		for (size_t i = list.n; i-- > 0;) {
			struct run_change change = {.id = list.items[i].id, .event = RUN_EVENT_RESUME};
			apply(runs, &change, RUN_QUEUED);
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
		if (str_eq(run->preview, S(LOCKED)) || (lost && run->preview.n == 0))
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
			refuse(runs, run->id, part);
	} else if (err.class != ERR_ACTION_DISABLED && !runs_is_away(&err)) {
		refuse(runs, run->id, str_from(err.message));
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
	mind_soon(runs, MIND_ENDS);
}

void runs_tell_vault(struct runs *runs, bool unlocked)
{
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
