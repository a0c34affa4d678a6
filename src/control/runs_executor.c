#include "base/log.h"
#include "base/time.h"
#include "control/keeper_client.h"
#include "control/runs_private.h"
#include <stdlib.h>

#define AGAIN_MAX 3 /* times that a set of actions may change under a claim */

void runs_later(struct runs *runs, struct workers *by, struct str id, void (*work)(void *user), unsigned otherwise)
{
	struct turn *turn = NEW(struct turn);
	turn->runs = runs;
	memcpy(turn->id, id.p, MIN(id.n, sizeof turn->id - 1));
	if (workers_add(by, work, turn))
		return;
	log_warn("run_not_taken", log_str("run", id));
	free(turn);
	if (!runs_is_draining(runs))
		runs_mind_soon(runs, otherwise);
}

/* ------------------------------------------------------------------------------------------------------------- changes */

static int do_change(struct db_tx *tx, void *user, struct err *err)
{
	const struct run_change *change = user;
	return run_change(tx, change, NULL, NULL, err);
}

void runs_apply(struct runs *runs, struct run_change *change, enum run_state state)
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
		runs_mind_soon(runs, MIND_CHANGES);
}

void runs_refuse(struct runs *runs, struct str id, struct str part)
{
	struct run_change change = {.id = id, .event = RUN_EVENT_REFUSE, .reason = part};
	runs_apply(runs, &change, RUN_REFUSED);
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
		runs_apply(runs, &change, RUN_AWAITING_VAULT);
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
		runs_mind_soon(runs, MIND_QUEUED);
	else if (rc < 0 && err.class != ERR_CONFLICT)
		runs_refuse(runs, str_from(running->id), str_from(err.message));
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
	}
	free(turn);
}

void runs_execute_later(struct runs *runs, struct str id)
{
	runs_later(runs, runs->executors, id, execute, MIND_QUEUED);
}
