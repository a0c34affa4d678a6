#include "action/retry.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/time.h"
#include "base/wait.h"
#include "control/runs_private.h"
#include "text/json_members.h"
#include <stdlib.h>

#define RESULT_MAX ((size_t)ACTION_STEPS_MAX * MIB + 8 * LIMIT_STDOUT)

/* What it takes beside what was asked; too large for a worker's stack. */
struct at_work {
	struct run_work *work;
	struct running_run *running, own;
	struct json *args;
	struct json *outputs[ACTION_STEPS_MAX]; /* of the steps so far */
	struct str texts[ACTION_STEPS_MAX];     /* the same as they came */
	struct invoke invoke;
	struct invoke_step place;
	struct run_step row;
	size_t step;
	bool only_reads;   /* no step changes anything: its row may be written with its end */
	bool inserted;     /* the row is there */
	bool started;      /* a step's start was written, if its job was committed */
	bool step_over;    /* the step had ended before it was written */
	bool began;        /* some step was sent to a runner, and not proved to have gone no further */
	uint64_t pause_ns; /* before the next try; 0 = there is none */
	struct buf result; /* of a run that completed */
	struct buf error_text;
	struct err error; /* why the run ended otherwise */
	bool ends;        /* with this attempt: as `event` says */
	enum run_event event;
	bool recorded; /* the end is in the database */
};

static const struct run_plan *plan_of(const struct at_work *w)
{
	return w->work->plan;
}

static const struct action_step *step_of(const struct at_work *w)
{
	return &plan_of(w)->action->steps[w->step];
}

/* ---------------------------------------------------------------------------------------------------------- cancelling */

void runs_enter(struct runs *runs, struct running_run *running, struct str id)
{
	memcpy(running->id, id.p, MIN(id.n, sizeof running->id - 1));
	pthread_mutex_lock(&runs->lock);
	running->next = runs->running;
	runs->running = running;
	pthread_mutex_unlock(&runs->lock);
}

void runs_leave(struct runs *runs, struct running_run *running)
{
	pthread_mutex_lock(&runs->lock);
	struct running_run **at = &runs->running;
	while (*at != running)
		at = &(*at)->next;
	*at = running->next;
	if (runs->draining)
		pthread_cond_broadcast(&runs->changed);
	pthread_mutex_unlock(&runs->lock);
}

static bool is_gone(void *user)
{
	const struct at_work *w = user;
	return w->running->cancelled || w->work->runs->control->over ||
	       (w->work->gone != NULL && w->work->gone(w->work->user));
}

/* True when the time passed, false when it was cancelled meanwhile. */
static bool pause_before_retry(struct at_work *w)
{
	struct runs *runs = w->work->runs;
	uint64_t now = clock_monotonic_ns(runs->clock), until = now + w->pause_ns;
	for (; !is_gone(w) && now < until; now = clock_monotonic_ns(runs->clock)) {
		pthread_mutex_lock(&runs->lock);
		(void)wait_until(&runs->changed, &runs->lock, MIN(until, now + RUNS_GONE_POLL_NS));
		pthread_mutex_unlock(&runs->lock);
	}
	return !is_gone(w);
}

/* ------------------------------------------------------------------------------------------------------------- its end */

static void put_result(struct at_work *w, struct buf *out)
{
	const struct action *action = plan_of(w)->action;
	struct json_writer j;
	jsonw_init(&j, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&j);
	member_str(&j, "action", action->name);
	member_raw(&j, "output", w->texts[action->n_steps - 1]);
	member_begin_object(&j, "steps");
	for (size_t i = 0; i < action->n_steps; i++) {
		jsonw_key(&j, action->steps[i].id);
		jsonw_raw(&j, w->texts[i]);
	}
	jsonw_end_object(&j);
	jsonw_end_object(&j);
}

static void end_with(struct at_work *w, enum run_event event)
{
	w->ends = true;
	w->event = event;
	buf_clear(&w->error_text);
	if (event == RUN_EVENT_COMPLETE)
		return;
	err_detail(&w->error, "ran", event == RUN_EVENT_LOSE ? S("maybe") : (w->began ? S("yes") : S("no")));
	run_put_error(&w->error_text, &w->error);
}

static void end_cancelled(struct at_work *w)
{
	err_clear(&w->error);
	fail(&w->error, ERR_CANCELLED,
	     w->began ? "the run was cancelled after it had begun: %zu of %zu steps were done"
		      : "the run was cancelled before it began: nothing ran (%zu of %zu steps)",
	     w->step, plan_of(w)->action->n_steps);
	end_with(w, RUN_EVENT_STOP);
}

static struct run_change change_of(const struct at_work *w)
{
	return (struct run_change){
		.id = w->work->run->id,
		.event = w->event,
		.now_ns = clock_wall_ns(NULL),
		.who = w->work->by,
		.result = w->event == RUN_EVENT_COMPLETE ? buf_str(&w->result) : STR_EMPTY,
		.error = w->event == RUN_EVENT_COMPLETE ? NULL : &w->error,
		.text = buf_str(&w->error_text),
	};
}

/* Whether the run is over before it was written: its row is, with its end. */
static bool writes_at_once(const struct at_work *w)
{
	return w->step_over && w->ends && !w->inserted;
}

static int change(struct db_tx *tx, struct at_work *w, struct err *err)
{
	struct run *run = w->work->run;
	const struct run_change change = change_of(w);
	char audit_id[AUDIT_ID_SIZE];
	int rc = writes_at_once(w) ? run_insert_over(tx, w->work->insert, &change, &run->state, audit_id, err)
				   : run_change(tx, &change, &run->state, audit_id, err);
	if (rc < 0)
		return -1;
	run->ended_ns = change.now_ns;
	run->audit_id = arena_str(w->work->arena, str_from(audit_id));
	return 0;
}

/* -------------------------------------------------------------------------------------- one attempt, in the two jobs */

static int on_started(struct db_tx *tx, void *user, const struct execution *execution, bool over, struct err *err)
{
	struct at_work *w = user;
	w->step_over = over;
	if (!w->inserted && w->work->run->grant_id.n > 0 && !runs_grants_hold(w->work->runs))
		return fail(err, ERR_CONFLICT, "the vault was locked meanwhile, which ends grants");
	if (!w->inserted && (writes_at_once(w) ? run_tell_new : run_insert)(tx, w->work->insert, err) < 0)
		return -1;
	w->row.binding = execution->binding;
	w->row.content_hash = execution->content_hash;
	w->row.started_ns = execution->started_ns;
	if (run_step_begin(tx, &w->row, over, err) < 0)
		return -1;
	w->started = true;
	return 0;
}

/* Whether nothing of the call had left this machine: egress says so of its one request. */
static bool was_unsent(const struct at_work *w, const struct err *error)
{
	if (!w->invoke.sent)
		return true;
	struct str unsent;
	return err_detail_get(error, "unsent", &unsent) && str_eq(unsent, S("1")) &&
	       w->invoke.result.report.requests <= 1;
}

/* Whether the connector itself said what failed (outcome.h). */
static bool is_own_report(const struct err *error)
{
	struct str class;
	return err_detail_get(error, "connector_class", &class);
}

/* What an end that no service told us means for a step that changes something: nobody knows. */
static bool may_have_run(const struct at_work *w, const struct err *error, bool unsent)
{
	bool harmless = step_of(w)->effect == ACTION_READ || run_plan_is_safe(plan_of(w), w->step);
	if (harmless || unsent)
		return false;
	/* Its own report is an answer; that it was stopped, or died, after it had asked a service is none. */
	if (error->class == ERR_CONNECTOR_RUNTIME_ERROR || error->class == ERR_RESOURCE_LIMIT_EXCEEDED)
		return w->invoke.result.report.requests > 0 && !is_own_report(error);
	return error->class == ERR_CANCELLED || error->class == ERR_NETWORK_ERROR || !err_class_is_closed(error->class);
}

static void judge_failure(struct at_work *w, const struct err *error)
{
	bool unsent = was_unsent(w, error), safe = run_plan_is_safe(plan_of(w), w->step);
	uint32_t chance = (uint32_t)rand_u64();
	w->pause_ns = error->class == ERR_CANCELLED ? 0 : action_retry_ns(error, w->row.attempt, safe, unsent, chance);
	if (w->pause_ns > 0)
		return;
	if (may_have_run(w, error, unsent)) {
		err_clear(&w->error);
		fail(&w->error, ERR_OUTCOME_UNKNOWN, "step '%.*s' may have taken effect; it is not run again: %s",
		     STR_FMT(step_of(w)->id), error->message);
		err_detail(&w->error, "cause", str_from(err_row(error->class)->name));
		err_detail(&w->error, "step", step_of(w)->id);
		end_with(w, RUN_EVENT_LOSE);
		return;
	}
	if (error->class == ERR_CANCELLED) {
		end_cancelled(w);
		return;
	}
	w->error = *error;
	err_detail(&w->error, "step", step_of(w)->id);
	if (w->row.attempt > 1)
		err_detail_int(&w->error, "retried", w->row.attempt - 1);
	end_with(w, RUN_EVENT_FAIL);
}

static void judge_success(struct at_work *w)
{
	struct err err;
	w->texts[w->step] = arena_str(w->work->arena, buf_str(&w->invoke.result.output));
	if (w->step + 1 < plan_of(w)->action->n_steps)
		return;
	put_result(w, &w->result);
	err_clear(&err);
	if (buf_check(&w->result, "what the steps put out", &err) == 0) {
		end_with(w, RUN_EVENT_COMPLETE);
		return;
	}
	w->error = err;
	end_with(w, RUN_EVENT_FAIL);
}

static void on_ending(void *user, const struct execution_end *end)
{
	struct at_work *w = user;
	w->began = w->began || end->error == NULL || !was_unsent(w, end->error);
	w->row.ended_ns = clock_wall_ns(NULL);
	w->row.class = end->error == NULL ? STR_EMPTY : str_from(err_row(end->error->class)->name);
	if (end->error == NULL)
		judge_success(w);
	else
		judge_failure(w, end->error);
}

static int on_ended(struct db_tx *tx, void *user, const struct execution_end *end, struct err *err)
{
	(void)end;
	struct at_work *w = user;
	if (!w->step_over && run_step_end(tx, &w->row, err) < 0)
		return -1;
	return w->ends ? change(tx, w, err) : 0;
}

/* --------------------------------------------------------------------------------------------------------- one attempt */

static void describe(struct at_work *w, uint32_t attempt)
{
	const struct run *run = w->work->run;
	const struct action_step *step = step_of(w);
	const struct action_connector *connector = &plan_of(w)->action->connectors[step->connector];
	const struct connector_opened *opened = &plan_of(w)->opened[step->connector];
	w->ends = false;
	w->pause_ns = 0;
	w->row = (struct run_step){
		.run = run->id,
		.step = (uint32_t)w->step,
		.attempt = attempt,
		.name = step->id,
		.connector = opened->row.fqn,
		.op = step->op,
		.effect = str_from(action_effect_name(step->effect)),
	};
	w->place = (struct invoke_step){
		.opened = opened,
		.use = &plan_of(w)->uses[step->connector],
		.hosts = connector->hosts,
		.of =
			{
				.run = run->id,
				.step = step->id,
				.action = run->action,
				.approval = run->approval_id,
				.grant = run->grant_id,
				.session = run->caller.session,
				.pinned_hash = connector->hash,
				.relaxed = w->only_reads,
				.started = on_started,
				.ending = on_ending,
				.ended = on_ended,
				.user = w,
			},
	};
}

/* 0: it was carried out and judged; -1: it could not be, nor be recorded. */
static int attempt_step(struct at_work *w, const struct json *args, uint32_t attempt, struct err *err)
{
	describe(w, attempt);
	w->invoke = (struct invoke){
		.control = w->work->runs->control,
		.arena = w->work->arena,
		.by = w->work->by,
		.op = step_of(w)->op,
		.args = args,
		.step = &w->place,
		.gone = is_gone,
		.user = w,
	};
	int called = invoke_connector(&w->invoke, err);
	/* With an id its end is on record, as it was judged, and so is that of the run. */
	bool told = called == 0 || w->invoke.audit_id[0] != '\0';
	/* It was there before its end was to be written, if it was not sent at once and refused as a double. */
	bool begun = w->started || w->invoke.sent;
	w->inserted = w->inserted || told || (begun && !(w->only_reads && err->class == ERR_CONFLICT));
	w->recorded = told && w->ends;
	bool is_last = w->step + 1 == plan_of(w)->action->n_steps;
	if (told && w->row.class.n == 0 && !is_last) { /* what follows may name parts of it */
		w->outputs[w->step] = json_parse(w->texts[w->step], JSON_READ_STRICT, err);
		told = w->outputs[w->step] != NULL;
	}
	invoke_release(&w->invoke);
	return told ? 0 : -1;
}

static int make_arguments(struct at_work *w, struct json **ret, struct err *err)
{
	const struct action *action = plan_of(w)->action;
	const struct action_outputs outputs = {(const struct json *const *)w->outputs, action->n_steps};
	AUTO_BUF text = BUF_INIT(LIMIT_INPUT);
	if (action_step_arguments(action, w->step, w->args, &outputs, &text, err) < 0)
		return -1;
	*ret = json_parse(buf_str(&text), JSON_READ_STRICT, err);
	return *ret != NULL ? 0 : -1;
}

static int run_step(struct at_work *w, struct err *err)
{
	struct json *args = NULL;
	if (make_arguments(w, &args, err) < 0)
		return -1;
	int rc = 0;
	for (uint32_t attempt = 1; rc == 0; attempt++) {
		rc = attempt_step(w, args, attempt, err);
		if (rc < 0 || w->ends || w->pause_ns == 0)
			break;
		if (!pause_before_retry(w)) {
			end_cancelled(w);
			break;
		}
	}
	json_free(args);
	return rc;
}

/* ----------------------------------------------------------------------------------------------------------- the steps */

static void tell_progress(const struct at_work *w, size_t done)
{
	const struct action *action = plan_of(w)->action;
	if (w->work->progress != NULL)
		w->work->progress(w->work->user, done, action->n_steps,
				  done < action->n_steps ? action->steps[done].id : S("done"));
}

/* Until one ends the run. A failure that is not of a call's ends it too, once the run is there. */
static int do_steps(struct at_work *w, struct err *err)
{
	const struct action *action = plan_of(w)->action;
	for (w->step = 0; w->step < action->n_steps; w->step++) {
		if (is_gone(w)) {
			end_cancelled(w);
			return 0;
		}
		tell_progress(w, w->step);
		if (run_step(w, err) < 0)
			return -1;
		if (w->ends)
			return 0;
	}
	return 0;
}

/* What stopped it between its calls, or kept a call's end from the record. */
static void end_otherwise(struct at_work *w, const struct err *error)
{
	if (w->invoke.sent && w->invoke.audit_id[0] == '\0') {
		err_clear(&w->error);
		fail(&w->error, ERR_OUTCOME_UNKNOWN, "how step '%.*s' ended could not be recorded: %s",
		     STR_FMT(step_of(w)->id), error->message);
		w->row.class = str_from(err_row(ERR_OUTCOME_UNKNOWN)->name);
		end_with(w, RUN_EVENT_LOSE);
		return;
	}
	w->error = *error;
	end_with(w, RUN_EVENT_FAIL);
}

/* Of one that is there and whose end is not. */
static void record_end(struct at_work *w)
{
	struct run *run = w->work->run;
	const struct run_end end = {.last = w->row, .change = change_of(w), .insert = w->work->insert};
	char audit_id[AUDIT_ID_SIZE] = "";
	run->state = RUN_RUNNING; /* whatever a job that was undone has said */
	bool written = runs_end(w->work->runs, &end, audit_id);
	/* Until it is on disk nobody can be told for sure. */
	run->state = RUN_OUTCOME_UNKNOWN;
	if (written)
		(void)run_next(RUN_RUNNING, w->event, &run->state);
	run->ended_ns = end.change.now_ns;
	run->audit_id = arena_str(w->work->arena, str_from(audit_id));
}

static bool only_reads(const struct action *action)
{
	for (size_t i = 0; i < action->n_steps; i++) {
		if (action->steps[i].effect != ACTION_READ)
			return false;
	}
	return true;
}

static int carry_out(struct at_work *w, struct err *err)
{
	w->inserted = w->work->insert == NULL;
	/* Under a grant its row is written before, when the grant holds still. */
	w->only_reads = only_reads(plan_of(w)->action) && w->work->run->grant_id.n == 0;
	w->args = json_parse(w->work->run->args, JSON_READ_STRICT, err);
	int rc = w->args != NULL ? do_steps(w, err) : -1;
	if (rc < 0 && !w->inserted)
		return -1;
	if (rc == 0 && !w->inserted) {
		*err = w->error;
		return -1;
	}
	if (rc < 0)
		end_otherwise(w, err);
	if (!w->recorded)
		record_end(w);
	struct run *run = w->work->run;
	if (w->event == RUN_EVENT_COMPLETE) {
		tell_progress(w, plan_of(w)->action->n_steps);
		run->result = arena_str(w->work->arena, buf_str(&w->result));
	} else {
		run->error = arena_str(w->work->arena, buf_str(&w->error_text));
	}
	return 0;
}

int run_work(struct run_work *work, struct err *err)
{
	struct at_work *w = NEW(struct at_work);
	w->work = work;
	w->result = BUF_INIT(RESULT_MAX);
	w->error_text = BUF_INIT(RUN_ERROR_MAX);
	w->running = work->running != NULL ? work->running : &w->own;
	if (work->running == NULL)
		runs_enter(work->runs, w->running, work->run->id);
	int rc = carry_out(w, err);
	if (work->running == NULL)
		runs_leave(work->runs, w->running);
	for (size_t i = 0; i < ACTION_STEPS_MAX; i++)
		json_free(w->outputs[i]);
	json_free(w->args);
	buf_release(&w->result);
	buf_release(&w->error_text);
	free(w);
	if (rc == 0)
		runs_announce(work->runs, work->run->id, work->run->state);
	return rc;
}
