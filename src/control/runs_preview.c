/* What a person is shown of the world before the run: one read-only operation, fetched ahead, shown as data, never told to the agent. */
#include "action/set.h"
#include "base/limits.h"
#include "base/log.h"
#include "control/runs_private.h"
#include "text/json_members.h"
#include <stdlib.h>

#define PREVIEW_MS  5000
#define PREVIEW_MAX ((size_t)1 * MIB)

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
static int check_preview(struct arena *arena, const struct run_plan *plan, struct err *err)
{
	const struct action_set *set = plan->set;
	const struct action **all = arena_array(arena, set->n + 1, sizeof(struct action *));
	for (size_t i = 0; i < set->n; i++)
		all[i] = set->items[i].action;
	return action_check_in_set(plan->action, all, set->n, err);
}

int run_preview_arguments(struct arena *arena, const struct run_plan *plan, const struct json *args, struct buf *out,
			  struct err *err)
{
	const struct action *action = plan->action;
	if (check_preview(arena, plan, err) < 0 ||
	    action_check_op(action, action->steps[0].connector, action->preview.op, err) < 0)
		return -1;
	return action_preview_arguments(action, args, out, err);
}

static int ask_preview(struct runs *runs, struct arena *arena, const struct run_plan *plan, const struct run *run,
		       struct fetch *fetch, struct err *err)
{
	const struct action *action = plan->action;
	size_t connector = action->steps[0].connector;
	AUTO_BUF text = BUF_INIT(LIMIT_INPUT);
	AUTO(json) *args = json_parse(run->args, JSON_READ_STRICT, err);
	if (args == NULL || run_preview_arguments(arena, plan, args, &text, err) < 0)
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
		buf_add_str(out, S(RUNS_PREVIEW_LOCKED));
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
	       (run->state == RUN_PENDING_APPROVAL && str_eq(run->preview, S(RUNS_PREVIEW_LOCKED)));
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
	runs_later(runs, runs->previewers, id, preview, MIND_PREVIEWS);
}

bool runs_awaits_preview(struct runs *runs, const struct run *run)
{
	return run->state == RUN_PENDING_APPROVAL && run->preview.n == 0 && has_preview(runs, run->action);
}
