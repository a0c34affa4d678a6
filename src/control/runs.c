#include "base/hex.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/time.h"
#include "base/ulid.h"
#include "base/wait.h"
#include "control/parent_client.h"
#include "control/runs_private.h"
#include "crypto/digest.h"
#include "supervise/supervise.h"
#include "text/json_members.h"
#include <stdio.h>
#include <stdlib.h>

/* --------------------------------------------------------------------------------------------------------------- begin */

static void read_settings(struct runs *runs)
{
	const struct supervise_start *start = runs->control->start;
	runs->may_grant = str_eq(supervise_setting(start, SETTING_APPROVAL_GRANTS), S("1"));
	runs->confirms = str_eq(supervise_setting(start, SETTING_APPROVAL_CONFIRM), S("passphrase"));
	runs->expiry_ns = supervise_setting_u64(start, SETTING_APPROVAL_EXPIRY_S, RUN_EXPIRY_DEFAULT_S) * TIME_SECOND;
	/* Until when one is good is bound by itself: another expiry changes nothing for what waits. */
	char text[64], digits[SHA256_HEX_TEXT_SIZE];
	int n = snprintf(text, sizeof text, "confirm=%d\ngrants=%d\n", runs->confirms, runs->may_grant);
	snprintf(runs->policy, sizeof runs->policy, "sha256:%s", sha256_hex(str_of(text, (size_t)n), digits));
}

static int do_interrupt(struct db_tx *tx, void *user, struct err *err)
{
	(void)user;
	return run_interrupt_open(tx, clock_wall_ns(NULL), err);
}

struct runs *runs_new(struct control *control, struct err *err)
{
	struct runs *runs = NEW(struct runs);
	runs->control = control;
	pthread_mutex_init(&runs->lock, NULL);
	wait_init(&runs->changed);
	wait_init(&runs->wake);
	read_settings(runs);
	if (db_write(control->db, do_interrupt, NULL, err) == 0)
		return runs;
	runs_free(runs);
	return NULL;
}

void runs_free(struct runs *runs)
{
	if (runs == NULL)
		return;
	runs_stop(runs);
	pthread_cond_destroy(&runs->wake);
	pthread_cond_destroy(&runs->changed);
	pthread_mutex_destroy(&runs->lock);
	free(runs);
}

/* --------------------------------------------------------------------------------------------------------------- the end */

bool runs_is_draining(struct runs *runs)
{
	pthread_mutex_lock(&runs->lock);
	bool draining = runs->draining;
	pthread_mutex_unlock(&runs->lock);
	return draining;
}

void runs_drain(struct runs *runs)
{
	pthread_mutex_lock(&runs->lock);
	runs->draining = true;
	pthread_cond_broadcast(&runs->changed);
	pthread_mutex_unlock(&runs->lock);
}

void runs_settle(struct runs *runs, uint64_t until_ns)
{
	pthread_mutex_lock(&runs->lock);
	while (runs->running != NULL && wait_until(&runs->changed, &runs->lock, until_ns))
		;
	pthread_mutex_unlock(&runs->lock);
}

/* ------------------------------------------------------------------------------------------------------------- changes */

void runs_on_change(struct runs *runs, void (*changed)(void *user, struct str run_id, enum run_state state), void *user)
{
	pthread_mutex_lock(&runs->lock);
	if (runs->n_listeners == RUNS_LISTENERS_MAX)
		BUG("more than %d listen to runs", RUNS_LISTENERS_MAX);
	runs->listeners[runs->n_listeners].fn = changed;
	runs->listeners[runs->n_listeners++].user = user;
	pthread_mutex_unlock(&runs->lock);
}

void runs_announce(struct runs *runs, struct str id, enum run_state state)
{
	pthread_mutex_lock(&runs->lock);
	runs->changes++;
	size_t n = runs->n_listeners; /* they are never taken away */
	pthread_cond_broadcast(&runs->changed);
	pthread_mutex_unlock(&runs->lock);
	for (size_t i = 0; i < n; i++)
		runs->listeners[i].fn(runs->listeners[i].user, id, state);
}

/* ----------------------------------------------------------------------------------------------------------- asked for */

/* One that asks, from the arguments to the row. */
struct asking {
	struct runs *runs;
	struct arena *arena;
	const struct run_request *request;
	struct run_plan plan;
	struct run run;
	struct str request_key;
	bool gated;
};

static void make_id(struct arena *arena, uint64_t now_ns, struct str *ret)
{
	char id[ULID_SIZE];
	ulid_make(now_ns, id);
	*ret = arena_str(arena, str_from(id));
}

static void make_approval_id(struct arena *arena, uint64_t now_ns, struct str *ret)
{
	char time[TIME_COMPACT_SIZE], digits[17];
	unsigned char random[8];
	rand_bytes(random, sizeof random);
	struct str stamp = str_from(time_format_compact(now_ns, time));
	*ret = arena_printf(arena, "act-%.*s-%s", STR_FMT(str_slice(stamp, 0, stamp.n - 1)),
			    hex_format(str_of(random, sizeof random), digits));
}

static int read_arguments(struct asking *asking, struct err *err)
{
	const struct json *given = asking->request->args;
	AUTO(json) *none = given == NULL ? json_parse(S("{}"), JSON_READ_STRICT, err) : NULL;
	AUTO_BUF args = BUF_INIT(LIMIT_INPUT);
	if (action_arguments(asking->plan.action, given != NULL ? given : none, &args, err) < 0)
		return -1;
	asking->run.args = arena_str(asking->arena, buf_str(&args));
	return 0;
}

static int begin_run(struct asking *asking, struct err *err)
{
	const struct run_request *request = asking->request;
	const struct action *action = asking->plan.action;
	asking->run = (struct run){
		.caller = request->caller,
		.call_id = request->call_id,
		.action = action->name,
		.action_version = action->version,
		.action_hash = action->hash,
		.requested_ns = clock_wall_ns(NULL),
	};
	make_id(asking->arena, asking->run.requested_ns, &asking->run.id);
	return read_arguments(asking, err);
}

/* A grant that holds, of a vault that is open. */
static int find_grant(struct asking *asking, struct err *err)
{
	struct runs *runs = asking->runs;
	struct grant like = {
		.caller = asking->run.caller.id,
		.session = asking->run.caller.session,
		.action = asking->run.action,
	};
	bool locked = false;
	if (!runs->may_grant || !asking->plan.action->approval_grants || !runs_grants_hold(runs))
		return 0;
	if (run_plan_bound(&asking->plan, asking->arena, &asking->run, APPROVAL_TEXT_GRANT, &like.bound, err) < 0 ||
	    run_plan_vault_locked(runs, asking->arena, &asking->plan, &locked, err) < 0)
		return -1;
	if (locked)
		return 0;
	struct db_tx *tx = db_read(runs->control->db);
	int found = grant_find(tx, asking->arena, &like, clock_wall_ns(NULL), &asking->run.grant_id, err);
	db_done(tx);
	return found < 0 ? -1 : 0;
}

static int decide_gate(struct asking *asking, struct err *err)
{
	struct run *run = &asking->run;
	if (asking->plan.action->approval_required && find_grant(asking, err) < 0)
		return -1;
	asking->gated = asking->plan.action->approval_required && run->grant_id.n == 0;
	run->state = asking->gated ? RUN_PENDING_APPROVAL : RUN_RUNNING;
	if (asking->gated && run->args.n > RUN_ASKED_ARGS_MAX)
		return fail(err, ERR_INVALID_REQUEST,
			    "the arguments are longer than the %zu KiB that a person can be asked to approve",
			    RUN_ASKED_ARGS_MAX / KIB);
	if (!asking->gated) {
		run->claimed_ns = run->requested_ns;
		return 0;
	}
	run->expires_ns = run->requested_ns + asking->runs->expiry_ns;
	make_approval_id(asking->arena, run->requested_ns, &run->approval_id);
	struct str text;
	unsigned char key[APPROVAL_DIGEST];
	if (run_plan_bound(&asking->plan, asking->arena, run, APPROVAL_TEXT_DIGEST, &run->bound, err) < 0 ||
	    run_plan_bound(&asking->plan, asking->arena, run, APPROVAL_TEXT_REQUEST, &text, err) < 0)
		return -1;
	approval_digest(text, key);
	asking->request_key = arena_str(asking->arena, str_of(key, sizeof key));
	return 0;
}

/* The run that was there first. */
static int find_call(struct asking *asking, struct run *ret, struct err *err)
{
	const struct run_request *request = asking->request;
	if (request->call_id.n == 0)
		return 0;
	struct db_tx *tx = db_read(asking->runs->control->db);
	int found = run_find_call(tx, asking->arena, request->caller.id, request->call_id, ret, err);
	db_done(tx);
	return found;
}

struct asked {
	struct arena *arena;
	const struct run_new *new;
	struct run there; /* that was joined */
	bool joined;
};

static int do_ask(struct db_tx *tx, void *user, struct err *err)
{
	struct asked *asked = user;
	int found = run_join(tx, asked->arena, asked->new, &asked->there, err);
	asked->joined = found == 1;
	if (found != 0)
		return found < 0 ? -1 : 0;
	return run_insert(tx, asked->new, err);
}

static int ask_person(struct asking *asking, const struct run_new *new, struct err *err)
{
	struct runs *runs = asking->runs;
	struct asked asked = {.arena = asking->arena, .new = new};
	if (db_write(runs->control->db, do_ask, &asked, err) < 0)
		return -1;
	if (asked.joined) {
		asking->run = asked.there;
		return 0;
	}
	runs_mind(runs);
	runs_announce(runs, asking->run.id, asking->run.state);
	if (runs->control->parent != NULL)
		parent_notify(runs->control->parent, asking->run.approval_id);
	if (asking->plan.action->preview.present)
		runs_preview_later(runs, asking->run.id);
	return 0;
}

static int run_now(struct asking *asking, const struct run_new *new, struct err *err)
{
	const struct run_request *request = asking->request;
	struct run_work work = {
		.runs = asking->runs,
		.arena = asking->arena,
		.run = &asking->run,
		.plan = &asking->plan,
		.insert = new,
		.by = request->by,
		.progress = request->progress,
		.gone = request->gone,
		.user = request->user,
	};
	return run_plan_pin(&asking->plan, err) < 0 ? -1 : run_work(&work, err);
}

static int ask_once(struct asking *asking, struct run *ret, struct err *err)
{
	if (begin_run(asking, err) < 0 || decide_gate(asking, err) < 0)
		return -1;
	if (asking->request->dry_run) {
		if (runs_tell_plan(asking->arena, &asking->plan, &asking->run, &asking->run.result, err) < 0)
			return -1;
		*ret = asking->run;
		return 0;
	}
	struct run_new new = {.run = &asking->run, .request_key = asking->request_key, .who = asking->request->by};
	int rc = asking->gated ? ask_person(asking, &new, err) : run_now(asking, &new, err);
	if (rc < 0 && err->class == ERR_CONFLICT) {
		struct run there;
		if (find_call(asking, &there, NULL) == 1) {
			*ret = there;
			return 0;
		}
	}
	if (rc == 0)
		*ret = asking->run;
	return rc;
}

static int ask(struct asking *asking, struct run *ret, struct err *err)
{
	int rc = ask_once(asking, ret, err);
	if (rc == 0 || err->class != ERR_CONFLICT || asking->run.grant_id.n == 0)
		return rc;
	err_clear(err); /* the grant has ended meanwhile: a person is asked, or another one holds */
	return ask_once(asking, ret, err);
}

int runs_request(struct runs *runs, struct arena *arena, const struct run_request *request, struct run *ret,
		 struct err *err)
{
	struct asking asking = {.runs = runs, .arena = arena, .request = request};
	if (request->call_id.n > RUN_CALL_ID_MAX)
		return fail(err, ERR_INVALID_REQUEST, "'call_id' is longer than %d bytes", RUN_CALL_ID_MAX);
	int there = request->dry_run ? 0 : find_call(&asking, ret, err);
	if (there != 0)
		return there < 0 ? -1 : 0;
	if (run_plan_make(runs, arena, request->action, &asking.plan, err) < 0)
		return -1;
	int rc = ask(&asking, ret, err);
	if (rc == 0) {
		/* What is told outlives the set of actions. */
		ret->action = arena_str(arena, ret->action);
		ret->action_version = arena_str(arena, ret->action_version);
		ret->action_hash = arena_str(arena, ret->action_hash);
	}
	run_plan_release(&asking.plan);
	return rc;
}

/* --------------------------------------------------------------------------------------------------------- asked about */

int runs_get(struct runs *runs, struct arena *arena, struct str caller, struct str id, struct run *ret, struct err *err)
{
	struct run run;
	struct db_tx *tx = db_read(runs->control->db);
	int found = run_find(tx, arena, id, &run, err);
	db_done(tx);
	if (found < 0)
		return -1;
	if (found == 0 || (caller.n > 0 && !str_eq(caller, run.caller.id)))
		return fail(err, ERR_NOT_FOUND, "there is no run '%.*s'",
			    STR_FMT(str_slice(id, 0, RUN_APPROVAL_ID_SIZE)));
	*ret = run;
	return 0;
}

static uint64_t changes_so_far(struct runs *runs)
{
	pthread_mutex_lock(&runs->lock);
	uint64_t changes = runs->changes;
	pthread_mutex_unlock(&runs->lock);
	return changes;
}

/* False: the time is over, or nobody waits any more. */
static bool wait_for_change(struct runs *runs, uint64_t seen, uint64_t until_ns, bool (*gone)(void *user), void *user)
{
	bool changed = false;
	for (;;) {
		uint64_t now = clock_monotonic_ns(NULL);
		if (now >= until_ns || runs_is_draining(runs) || (gone != NULL && gone(user)))
			return false;
		pthread_mutex_lock(&runs->lock);
		if (runs->changes == seen && !runs->draining)
			(void)wait_until(&runs->changed, &runs->lock, MIN(until_ns, now + RUNS_GONE_POLL_NS));
		changed = runs->changes != seen;
		pthread_mutex_unlock(&runs->lock);
		if (changed)
			return true;
	}
}

int runs_wait(struct runs *runs, struct arena *arena, struct str caller, struct str id, uint64_t until_ns,
	      bool (*gone)(void *user), void *user, struct run *ret, struct err *err)
{
	struct run run;
	for (;;) {
		uint64_t seen = changes_so_far(runs);
		/* Not the caller's arena: it would grow with each change of others. */
		AUTO(arena) *own = arena_new();
		if (runs_get(runs, own, caller, id, &run, err) < 0)
			return -1;
		if (run_state_is_terminal(run.state) || !wait_for_change(runs, seen, until_ns, gone, user))
			return runs_get(runs, arena, caller, id, ret, err);
	}
}

int runs_await(struct runs *runs, uint64_t *seen, uint64_t until_ns, bool (*gone)(void *user), void *user)
{
	uint64_t now = changes_so_far(runs) + 1; /* 0 stands for "never looked" */
	if (now == *seen) {
		(void)wait_for_change(runs, now - 1, until_ns, gone, user);
		now = changes_so_far(runs) + 1;
	}
	bool changed = now != *seen;
	*seen = now;
	return runs_is_draining(runs) ? -1 : changed;
}

/* ----------------------------------------------------------------------------------------------------------- cancelled */

static bool stop_running(struct runs *runs, struct str id)
{
	bool found = false;
	pthread_mutex_lock(&runs->lock);
	for (struct running_run *at = runs->running; at != NULL; at = at->next) {
		if (str_eq(str_from(at->id), id)) {
			at->cancelled = true;
			found = true;
		}
	}
	pthread_cond_broadcast(&runs->changed); /* one that pauses before it tries again */
	pthread_mutex_unlock(&runs->lock);
	return found;
}

struct cancel_job {
	struct run_change change;
	enum run_state state;
};

static int do_cancel(struct db_tx *tx, void *user, struct err *err)
{
	struct cancel_job *job = user;
	return run_change(tx, &job->change, &job->state, NULL, err);
}

int runs_cancel(struct runs *runs, struct str caller, struct str id, const struct audit_event *by, struct err *err)
{
	AUTO(arena) *arena = arena_new();
	struct run run;
	if (runs_get(runs, arena, caller, id, &run, err) < 0)
		return -1;
	/* One that an executor has and did not claim yet is cancelled by its row alone, or not at all. */
	if (run.state == RUN_RUNNING && stop_running(runs, run.id))
		return 0;
	struct cancel_job job = {
		.change =
			{
				.id = run.id,
				.event = RUN_EVENT_CANCEL,
				.now_ns = clock_wall_ns(NULL),
				.who = *by,
				.reason = by->actor == AUDIT_ACTOR_HUMAN ? S("cancelled by a person")
									 : S("cancelled by its caller"),
			},
	};
	if (db_write(runs->control->db, do_cancel, &job, err) == 0) {
		runs_announce(runs, run.id, job.state);
		return 0;
	}
	/* Claimed since it was read: then it runs, and can be stopped. */
	if (err->class != ERR_CONFLICT || !stop_running(runs, run.id))
		return -1;
	err_clear(err);
	return 0;
}
