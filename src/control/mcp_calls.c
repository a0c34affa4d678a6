#include "control/mcp_calls.h"
#include "approval/run_table.h"
#include "base/ascii.h"
#include "base/time.h"
#include "base/version.h"
#include "control/actions.h"
#include "control/mcp_service.h"
#include "control/mcp_tasks.h"
#include "control/mcp_tools.h"
#include "text/json_members.h"

#define STATUS_WAIT_NS (UINT64_C(10) * 60 * TIME_SECOND) /* for the end of a call that is asked for by its id */
#define FAULTS_TOLD    5

/* ------------------------------------------------------------------------------------------------------------- a run */

/* What is left to say when the error itself does not: the model must know whether trying again is safe. */
static const char *whether_it_ran(const struct run *run, const struct err *err)
{
	if (run->state != RUN_FAILED && run->state != RUN_OUTCOME_UNKNOWN && run->state != RUN_CANCELLED)
		return ""; /* run_error() has said it */
	struct str ran = STR_EMPTY;
	(void)err_detail_get(err, "ran", &ran);
	if (str_eq(ran, S("no")))
		return " (it did not run)";
	return str_eq(ran, S("maybe")) || run->state == RUN_OUTCOME_UNKNOWN ? " (it may have run)" : " (it ran)";
}

static void put_error(struct mcp_answer *answer, const struct err *err, const char *behind)
{
	AUTO_BUF text = BUF_INIT(2 * ERR_MESSAGE_MAX);
	buf_addf(&text, "%s: %s%s", err_row(err->class)->name, err->message, behind);
	mcp_answer_tool_error(answer, buf_str(&text));
}

static void put_failure(struct mcp_answer *answer, const struct run *run)
{
	struct err err;
	run_error(run, &err);
	put_error(answer, &err, whether_it_ran(run, &err));
}

void mcp_calls_put_run(struct control *control, struct mcp_answer *answer, const struct run *run)
{
	if (run_state_is_terminal(run->state) && run->state != RUN_COMPLETED) {
		put_failure(answer, run);
		return;
	}
	struct json_writer w;
	jsonw_init(&w, &answer->structured, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	run_put_envelope_members(control, &w, run);
	jsonw_end_object(&w);
	if (!buf_ok(&answer->structured)) {
		mcp_answer_tool_error(answer, S("it ran, and what it answered is too large to be told here"));
		buf_clear(&answer->structured);
		return;
	}
	if (run->state != RUN_COMPLETED) {
		AUTO(json) *envelope = json_parse(buf_str(&answer->structured), JSON_READ_STRICT, NULL);
		struct str message = STR_EMPTY;
		(void)json_get_str(json_member(envelope, S("message")), &message);
		mcp_answer_text(answer, message);
	}
	mcp_answer_text(answer, buf_str(&answer->structured));
}

/* --------------------------------------------------------------------------------------------------------- an action */

struct serving {
	struct control *control;
	struct mcp_call *call;
};

static bool is_gone(void *user)
{
	const struct serving *serving = user;
	return mcp_call_is_cancelled(serving->call) || serving->control->over;
}

static void on_progress(void *user, size_t done, size_t total, struct str message)
{
	struct serving *serving = user;
	mcp_call_progress(serving->call, (double)done, (double)total, message);
}

static bool is_call_id(struct str id)
{
	for (size_t i = 0; i < id.n; i++) {
		if (!ascii_is_letter(id.p[i]) && !ascii_is_digit(id.p[i]) && id.p[i] != '-' && id.p[i] != '_')
			return false;
	}
	return id.n > 0 && id.n <= RUN_CALL_ID_MAX;
}

/* Of the guest; what is none is as good as absent. */
static struct str call_id_of(const struct mcp_call *call)
{
	struct str id = STR_EMPTY;
	(void)json_get_str(json_member(mcp_call_meta(call), S("aileron/call-id")), &id);
	return is_call_id(id) ? id : STR_EMPTY;
}

/* The action behind a tool; "" = it went while the call came. */
static struct str action_behind(struct control *control, struct arena *arena, struct str tool)
{
	const struct action_set *set = actions_hold(control->actions);
	const struct action_entry *entry = action_of_tool(set, tool);
	struct str name = entry != NULL ? arena_str(arena, entry->action->name) : STR_EMPTY;
	actions_release(set);
	return name;
}

static void serve_action(struct serving *serving, struct arena *arena, struct mcp_answer *answer)
{
	struct control *control = serving->control;
	struct mcp_call *call = serving->call;
	const struct mcp_caller *caller = mcp_call_caller(call);
	const struct run_request request = {
		.caller = {.id = caller->id,
			   .name = caller->name,
			   .session = caller->session,
			   .working_dir = mcp_service_folder(control->mcp, arena, caller->session)},
		.call_id = call_id_of(call),
		.action = action_behind(control, arena, mcp_call_name(call)),
		.args = mcp_call_arguments(call),
		.by = {.actor = AUDIT_ACTOR_AGENT, .actor_id = caller->id},
		.progress = on_progress,
		.gone = is_gone,
		.user = serving,
	};
	struct run run;
	struct err err = {0};
	if (is_gone(serving)) { /* before its turn came: it may be sent anew by then, and must not run twice */
		mcp_answer_tool_error(answer, S("cancelled: it was given up before it began (it did not run)"));
	} else if (mcp_service_is_stopping(control->mcp)) {
		mcp_answer_tool_error(answer,
				      S("unavailable: the daemon is stopping; try again in a moment (it did not run)"));
	} else if (request.action.n == 0) {
		mcp_answer_tool_error(answer, S("not_found: this tool is not there any more; list the tools anew"));
	} else if (runs_request(control->runs, arena, &request, &run, &err) < 0) {
		put_error(answer, &err, " (it did not run)");
	} else if (run.state == RUN_PENDING_APPROVAL && mcp_call_can(call, MCP_CAN_TASKS)) {
		if (mcp_tasks_answer(control, caller, &run, answer, &err) < 0)
			put_error(answer, &err, " (it waits for approval; ask check_action_status)");
	} else {
		mcp_calls_put_run(control, answer, &run);
	}
}

/* --------------------------------------------------------------------------------------------------- the status of one */

struct asked {
	struct str id, call_id;
};

static int read_asked(const struct json *arguments, struct asked *ret, struct err *err)
{
	struct json_iter it;
	size_t n = 0;
	for (json_iter_init(&it, arguments); json_iter_next(&it);) {
		struct str value;
		if (!json_get_str(it.value, &value) || value.n == 0)
			return fail(err, ERR_INVALID_REQUEST, "'%.*s' must be an id", STR_FMT(it.name));
		if (str_eq(it.name, S("call_id")))
			ret->call_id = value;
		else if (str_eq(it.name, S("approval_id")) || str_eq(it.name, S("run_id")))
			ret->id = value;
		else
			return fail(err, ERR_INVALID_REQUEST, "there is no argument '%.*s'", STR_FMT(it.name));
		n++;
	}
	return n == 1 ? 0 : fail(err, ERR_INVALID_REQUEST, "give one of 'approval_id', 'run_id' and 'call_id'");
}

static int find_by_call(struct control *control, struct arena *arena, struct str caller, struct asked *asked,
			struct err *err)
{
	struct run run;
	struct db_tx *tx = db_read(control->db);
	int found = run_find_call(tx, arena, caller, asked->call_id, &run, err);
	db_done(tx);
	if (found == 0)
		return fail(err, ERR_NOT_FOUND, "no call of that id ever came here; it did not run");
	if (found == 1)
		asked->id = run.id;
	return found < 0 ? -1 : 0;
}

/* One that nobody has to approve ends soon, and its end is what the caller asks for. */
static int look(struct serving *serving, struct arena *arena, const struct asked *asked, struct run *ret,
		struct err *err)
{
	struct runs *runs = serving->control->runs;
	struct str caller = mcp_call_caller(serving->call)->id;
	if (runs_get(runs, arena, caller, asked->id, ret, err) < 0)
		return -1;
	if (asked->call_id.n == 0 || ret->approval_id.n > 0 || run_state_is_terminal(ret->state))
		return 0;
	uint64_t until = clock_monotonic_ns(NULL) + STATUS_WAIT_NS;
	return runs_wait(runs, arena, caller, asked->id, until, is_gone, serving, ret, err);
}

static void serve_status(struct serving *serving, struct arena *arena, struct mcp_answer *answer)
{
	struct asked asked = {0};
	struct run run;
	struct err err = {0};
	if (read_asked(mcp_call_arguments(serving->call), &asked, &err) < 0) {
		put_error(answer, &err, "");
		return;
	}
	struct str caller = mcp_call_caller(serving->call)->id;
	if (asked.call_id.n > 0 && find_by_call(serving->control, arena, caller, &asked, &err) < 0) {
		/* The guest sends the call then: it never began. */
		if (err.class == ERR_NOT_FOUND)
			buf_add_z(&answer->meta, "\"aileron/call\":\"unknown\"");
		put_error(answer, &err, "");
		return;
	}
	if (look(serving, arena, &asked, &run, &err) < 0)
		put_error(answer, &err, "");
	else
		mcp_calls_put_run(serving->control, answer, &run);
}

/* -------------------------------------------------------------------------------------------------------- diagnostics */

static void put_faults(struct buf *text, const struct action_set *set)
{
	size_t told = 0;
	for (size_t i = 0; i < set->n && told < FAULTS_TOLD; i++) {
		const struct action_entry *entry = &set->items[i];
		if (entry->tool_problem.n == 0)
			continue;
		buf_addf(text, "\nLeft out: action '%.*s': %.*s", STR_FMT(entry->action->name),
			 STR_FMT(entry->tool_problem));
		told++;
	}
	if (set->n_faults > 0)
		buf_addf(text,
			 "\n%zu linked files are no valid actions; the person can see them with `aileron action list`.",
			 set->n_faults);
}

static void serve_diagnostics(struct serving *serving, struct mcp_answer *answer)
{
	const struct action_set *set = actions_hold(serving->control->actions);
	size_t n = 0;
	for (size_t i = 0; i < set->n; i++)
		n += set->items[i].enabled && set->items[i].tool[0] != '\0';
	AUTO_BUF text = BUF_INIT((size_t)16 << 10);
	buf_addf(&text, "OK: the Aileron daemon " AILERON_VERSION " answers; %zu actions are tools.", n);
	if (n == 0)
		buf_add_z(&text, " A person links actions with `aileron action link`.");
	put_faults(&text, set);
	actions_release(set);
	mcp_answer_text(answer, buf_str(&text));
}

void mcp_calls_serve(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	struct serving serving = {.control = user, .call = call};
	AUTO(arena) *arena = arena_new();
	if (str_eq(mcp_call_name(call), S(MCP_TOOL_STATUS)))
		serve_status(&serving, arena, answer);
	else if (str_eq(mcp_call_name(call), S(MCP_TOOL_DIAGNOSTICS)))
		serve_diagnostics(&serving, answer);
	else
		serve_action(&serving, arena, answer);
}
