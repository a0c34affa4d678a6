/*
 * The steps of a run against a connector that fails as a table says, with a clock that goes on whenever it is looked at: what is
 * tried again, after how long, and what the rows and the record have of it.
 */
#include "approval/run_table.h"
#include "base/time.h"
#include "base/wait.h"
#include "control/runs_private.h"
#include "audit_fixture.h"

#define TICK (20 * TIME_MILLISECOND)

/* How one attempt goes. */
struct attempt {
	enum err_class class; /* ERR_NONE: it succeeds */
	bool retriable, unsent, never_sent;
	unsigned requests;
};

static struct lab {
	struct control control;
	struct runs runs;
	struct clock clock;
	uint64_t now; /* of the clock */
	const struct attempt *attempts;
	size_t n_attempts, called;
	uint64_t called_at[8];
	struct running_run *cancelled_at; /* with the first look at the clock after this many calls … */
	size_t cancelled_after;
} lab;

static uint64_t tick(void *context)
{
	struct lab *l = context;
	if (l->cancelled_at != NULL && l->called == l->cancelled_after)
		l->cancelled_at->cancelled = true;
	return l->now += TICK;
}

/* -------------------------------------------------------------------------------------- in the place of control/invoke.c */

static void fail_as_told(const struct attempt *attempt, struct err *ret)
{
	err_clear(ret);
	(fail)(ret, attempt->class, "attempt %zu", lab.called);
	ret->retriable = attempt->retriable;
	if (attempt->unsent)
		err_detail_int(ret, "unsent", 1);
}

int invoke_connector(struct invoke *invoke, struct err *err)
{
	assert_true(lab.called < lab.n_attempts);
	const struct attempt *attempt = &lab.attempts[lab.called];
	lab.called_at[lab.called++] = lab.now;
	struct execution execution = {
		.connector = invoke->step->opened->row.fqn,
		.content_hash = S("sha256:0"),
		.op = invoke->op,
		.of = &invoke->step->of,
	};
	struct executions *executions = invoke->control->executions;
	if (execution_start_end(execution_start_begin(executions, &invoke->by, &execution), err) < 0)
		return -1;
	invoke->sent = !attempt->never_sent;
	invoke->result.report.requests = attempt->requests;
	invoke->result.output = BUF_INIT(64);
	buf_add_z(&invoke->result.output, "{\"done\":true}");
	struct execution_end end = {.report = &invoke->result.report, .ret_audit_id = invoke->audit_id};
	if (attempt->class != ERR_NONE) {
		fail_as_told(attempt, &invoke->result.error);
		end.error = &invoke->result.error;
	}
	assert_int_equal(execution_end(executions, &invoke->by, &execution, NULL, &end, err), 0);
	if (end.error != NULL)
		*err = *end.error;
	return end.error == NULL ? 0 : -1;
}

void invoke_release(struct invoke *invoke)
{
	buf_release(&invoke->result.output);
}

/* --------------------------------------------------------------------------------------------------------------- the lab */

static int start(void **state)
{
	if (fixture_start(state) < 0)
		return -1;
	lab = (struct lab){.control.db = *state, .control.executions = executions_new(*state)};
	lab.clock = (struct clock){.monotonic = tick, .context = &lab};
	lab.runs = (struct runs){.control = &lab.control, .clock = &lab.clock};
	pthread_mutex_init(&lab.runs.lock, NULL);
	wait_init(&lab.runs.changed);
	return 0;
}

static int stop(void **state)
{
	pthread_cond_destroy(&lab.runs.changed);
	pthread_mutex_destroy(&lab.runs.lock);
	int rc = fixture_stop(state);
	executions_free(lab.control.executions);
	return rc;
}

#define FQN "github://acme/notes"
#define HEAD                                                                                                           \
	"+++\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"github://acme/notes/a@1.0.0\"\n"                           \
	"[[requires.connectors]]\nname = \"" FQN "\"\nversion = \"1.0.0\"\n"                                           \
	"hash = \"sha256:bound-at-release\"\ncapabilities = [\"put\"]\n[match]\nintent = \"i\"\n"                      \
	"[[execute]]\nid = \"send\"\nconnector = \"" FQN "\"\nop = \"put\"\n"

/* Of an action whose one step says that of itself, and a manifest that says this of all. */
struct sample {
	const char *step, *manifest;
	const struct attempt *attempts;
	size_t n_attempts;
};

static struct run carry_out(struct arena *arena, const struct sample *sample)
{
	struct err err;
	err_clear(&err);
	struct str text = arena_printf(arena, HEAD "%s+++\n", sample->step);
	AUTO(action) *action = action_parse(text, "a.md", &err);
	if (action == NULL)
		fail_msg("%s", err.message);
	struct connector_manifest manifest = {.idempotency = str_from(sample->manifest)};
	struct connector_opened opened = CONNECTOR_OPENED_INIT;
	opened.row.fqn = S(FQN);
	opened.manifest = &manifest;
	struct credential_use use = {0};
	const struct run_plan plan = {.action = action, .opened = &opened, .uses = &use};
	struct run run = {
		.id = S("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
		.caller = {.id = S("user"), .name = S("user")},
		.action = arena_str(arena, action->name),
		.action_version = arena_str(arena, action->version),
		.action_hash = arena_str(arena, action->hash),
		.args = S("{}"),
		.state = RUN_RUNNING,
		.requested_ns = clock_wall_ns(NULL),
	};
	const struct run_new new = {.run = &run, .who = {.actor = AUDIT_ACTOR_HUMAN, .actor_id = S("user")}};
	struct running_run running = {0};
	struct run_work work = {
		.runs = &lab.runs,
		.arena = arena,
		.run = &run,
		.plan = &plan,
		.running = &running,
		.insert = &new,
		.by = new.who,
	};
	lab.attempts = sample->attempts;
	lab.n_attempts = sample->n_attempts;
	lab.called = 0;
	if (lab.cancelled_after > 0)
		lab.cancelled_at = &running;
	runs_enter(&lab.runs, &running, run.id);
	if (run_work(&work, &err) < 0)
		fail_msg("%s", err.message);
	runs_leave(&lab.runs, &running);
	return run;
}

/* As the database has it. */
static struct run stored(struct arena *arena, struct str id, struct run_step_list *ret_steps)
{
	struct run run;
	struct db_tx *tx = db_read(lab.control.db);
	assert_int_equal(run_find(tx, arena, id, &run, NULL), 1);
	assert_int_equal(run_steps(tx, arena, id, ret_steps, NULL), 0);
	db_done(tx);
	return run;
}

static void must_be(const struct run *run, enum run_state state, enum err_class class, const char *ran)
{
	struct err error;
	run_error(run, &error);
	if (run->state != state || (class != ERR_NONE && error.class != class))
		fail_msg("it is %s with %s: %s", run_state_name(run->state), err_row(error.class)->name, error.message);
	struct str told = STR_EMPTY;
	assert_int_equal(ran != NULL, err_detail_get(&error, "ran", &told));
	assert_true(ran == NULL || str_eq(told, str_from(ran)));
}

/* --------------------------------------------------------------------------------------------------------------- retried */

#define NETWORK(...)                                                                                                   \
	{                                                                                                              \
		.class = ERR_NETWORK_ERROR, .retriable = true, __VA_ARGS__                                             \
	}
#define SUCCESS                                                                                                        \
	{                                                                                                              \
		.requests = 1                                                                                          \
	}

static const struct attempt all_lost[] = {NETWORK(.requests = 1), NETWORK(.requests = 1), NETWORK(.requests = 1),
					  NETWORK(.requests = 1)};
static const struct attempt none_left[] = {
	NETWORK(.requests = 1, .unsent = true), NETWORK(.requests = 1, .unsent = true),
	NETWORK(.requests = 1, .unsent = true), NETWORK(.requests = 1, .unsent = true)};
static const struct attempt second_answers[] = {NETWORK(.requests = 1, .unsent = true), SUCCESS};
static const struct attempt second_is_lost[] = {NETWORK(.requests = 1, .unsent = true), NETWORK(.requests = 1)};
static const struct attempt earlier_request[] = {NETWORK(.requests = 2, .unsent = true)};
static const struct attempt refused_for_good[] = {{.class = ERR_EXTERNAL_API_ERROR, .requests = 1}};
static const struct attempt busy[] = {{.class = ERR_EXTERNAL_API_ERROR, .retriable = true, .requests = 1}, SUCCESS};
static const struct attempt not_begun[] = {{.class = ERR_BINDING_REQUIRED, .never_sent = true}};

#define SAFE        "idempotent = true\n"
#define UNSAFE      "idempotent = false\n"
#define ATTEMPTS(a) a, ARRAY_LEN(a)

static void what_may_run_twice_is_tried_again_and_nothing_else(void **state)
{
	(void)state;
	static const struct {
		struct sample sample;
		size_t calls;
		enum run_state state;
		enum err_class class;
		const char *ran;
	} rows[] = {
		{{SAFE, "", ATTEMPTS(all_lost)}, 4, RUN_FAILED, ERR_NETWORK_ERROR, "yes"},
		{{"", "idempotent", ATTEMPTS(all_lost)}, 4, RUN_FAILED, ERR_NETWORK_ERROR, "yes"},
		/* The step's own word counts before the manifest's, and nothing said is no yes. */
		{{UNSAFE, "idempotent", ATTEMPTS(all_lost)}, 1, RUN_OUTCOME_UNKNOWN, ERR_OUTCOME_UNKNOWN, "maybe"},
		{{"", "", ATTEMPTS(all_lost)}, 1, RUN_OUTCOME_UNKNOWN, ERR_OUTCOME_UNKNOWN, "maybe"},
		/* What never left this machine may be tried again, once, twice, thrice; then it did not run. */
		{{UNSAFE, "", ATTEMPTS(none_left)}, 4, RUN_FAILED, ERR_NETWORK_ERROR, "no"},
		{{UNSAFE, "", ATTEMPTS(second_answers)}, 2, RUN_COMPLETED, ERR_NONE, NULL},
		{{UNSAFE, "", ATTEMPTS(second_is_lost)}, 2, RUN_OUTCOME_UNKNOWN, ERR_OUTCOME_UNKNOWN, "maybe"},
		{{UNSAFE, "", ATTEMPTS(earlier_request)}, 1, RUN_OUTCOME_UNKNOWN, ERR_OUTCOME_UNKNOWN, "maybe"},
		/* An answer is one, and only some are worth another try. */
		{{SAFE, "", ATTEMPTS(refused_for_good)}, 1, RUN_FAILED, ERR_EXTERNAL_API_ERROR, "yes"},
		{{SAFE, "", ATTEMPTS(busy)}, 2, RUN_COMPLETED, ERR_NONE, NULL},
		{{UNSAFE, "", ATTEMPTS(busy)}, 1, RUN_FAILED, ERR_EXTERNAL_API_ERROR, "yes"},
		{{SAFE, "", ATTEMPTS(not_begun)}, 1, RUN_FAILED, ERR_BINDING_REQUIRED, "no"},
		/* Reading has no effect that could be unknown. */
		{{"effect = \"read\"\n", "", ATTEMPTS(all_lost)}, 1, RUN_FAILED, ERR_NETWORK_ERROR, "yes"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) *arena = arena_new();
		struct run_step_list steps;
		stop(state);
		assert_int_equal(start(state), 0);
		struct run told = carry_out(arena, &rows[i].sample);
		struct run run = stored(arena, told.id, &steps);
		assert_int_equal(told.state, run.state);
		if (rows[i].class != ERR_NONE)
			must_be(&run, rows[i].state, rows[i].class, rows[i].ran);
		else
			assert_int_equal(run.state, rows[i].state);
		assert_int_equal(lab.called, rows[i].calls);
		assert_int_equal(steps.n, rows[i].calls);
		for (size_t k = 0; k < steps.n; k++) {
			assert_int_equal(steps.items[k].attempt, k + 1);
			assert_int_not_equal(steps.items[k].ended_ns, 0);
		}
	}
}

static void one_two_and_four_seconds_pass_before(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	struct run_step_list steps;
	struct run run = carry_out(arena, &(struct sample){SAFE, "", ATTEMPTS(all_lost)});
	uint64_t pause = TIME_SECOND;
	for (size_t i = 1; i < lab.called; i++, pause *= 2) {
		uint64_t waited = lab.called_at[i] - lab.called_at[i - 1];
		assert_true(waited >= pause && waited <= pause + pause / 5 + 4 * TICK);
	}
	struct err error;
	struct str retried;
	run = stored(arena, run.id, &steps);
	run_error(&run, &error);
	assert_true(err_detail_get(&error, "retried", &retried) && str_eq(retried, S("3")));
	assert_true(fixture_verify_db(lab.control.db, fixture_public_key()).intact);
}

static void a_pause_ends_with_a_cancel(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	struct run_step_list steps;
	lab.cancelled_after = 2;
	struct run run = carry_out(arena, &(struct sample){SAFE, "", ATTEMPTS(all_lost)});
	run = stored(arena, run.id, &steps);
	must_be(&run, RUN_CANCELLED, ERR_CANCELLED, "yes");
	assert_int_equal(lab.called, 2);
	assert_true(lab.now < lab.called_at[1] + TIME_SECOND);
}

/* ----------------------------------------------------------------------------------------------------------------- shown */

static struct str step_as_shown(struct arena *arena, const struct credential_use *use)
{
	AUTO(action) *action = action_parse(S(HEAD "+++\n"), "a.md", NULL);
	struct connector_manifest manifest = {.publisher = S("acme")};
	struct connector_opened opened = CONNECTOR_OPENED_INIT;
	opened.row.fqn = S(FQN);
	opened.manifest = &manifest;
	struct credential_use own = *use;
	const struct run_plan plan = {.action = action, .opened = &opened, .uses = &own};
	AUTO(json) *args = json_parse(S("{}"), JSON_READ_STRICT, NULL);
	AUTO_BUF text = BUF_INIT(4096);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	assert_int_equal(run_put_steps(&w, &plan, args, NULL), 0);
	AUTO(json) *steps = json_parse(buf_str(&text), JSON_READ_STRICT, NULL);
	struct str identity = STR_EMPTY, binding = STR_EMPTY;
	(void)json_get_str(json_member(json_at(steps, 0), S("identity")), &identity);
	(void)json_get_str(json_member(json_at(steps, 0), S("binding")), &binding);
	return arena_printf(arena, "%.*s with %.*s", STR_FMT(identity), STR_FMT(binding));
}

static void each_identity_that_may_be_used_is_shown(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	struct binding bindings[] = {
		{.name = S("aws_sigv4/s/work"), .fields = {.kind = S("aws_sigv4"), .identity = S("work")}},
		{.name = S("aws_sigv4/s/home"), .fields = {.kind = S("aws_sigv4"), .account = S("me@home")}},
	};
	struct credential_use use = {.bindings = {bindings, 2, true}, .names = S("aws_sigv4/s/work aws_sigv4/s/home")};
	assert_true(str_eq(step_as_shown(arena, &use), S("work, me@home with aws_sigv4/s/work aws_sigv4/s/home")));
	use = (struct credential_use){.bindings = {bindings, 1, true}, .names = S("aws_sigv4/s/work")};
	assert_true(str_eq(step_as_shown(arena, &use), S("work with aws_sigv4/s/work")));
	assert_true(str_eq(step_as_shown(arena, &(struct credential_use){0}), S(" with ")));
}

/* ------------------------------------------------------------------------------------------------------------------ away */

static void only_what_says_nothing_of_a_run_is_away(void **state)
{
	(void)state;
	for (int i = ERR_NONE + 1; i < ERR_CLASS__MAX; i++) {
		struct err err;
		err_clear(&err);
		err.class = (enum err_class)i;
		bool away = i == ERR_UNAVAILABLE || i == ERR_PROTOCOL || i == ERR_STORE_ERROR;
		assert_int_equal(runs_is_away(&err), away);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_may_run_twice_is_tried_again_and_nothing_else, start, stop),
		cmocka_unit_test_setup_teardown(one_two_and_four_seconds_pass_before, start, stop),
		cmocka_unit_test_setup_teardown(a_pause_ends_with_a_cancel, start, stop),
		cmocka_unit_test(each_identity_that_may_be_used_is_shown),
		cmocka_unit_test(only_what_says_nothing_of_a_run_is_away),
	};
	return cmocka_run_group_tests(tests, fixture_enter, fixture_leave);
}
