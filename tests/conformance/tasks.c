/* Tools that become tasks; what a task is now follows from the clock and from what it was told. */
#include "fixtures.h"
#include "base/rand.h"
#include "text/json_writer.h"
#include <pthread.h>

#define TASKS_MAX 256
#define INPUTS    2

enum kind { COMPUTES, FAILS, BREAKS, CONFIRMS, GREETS };

struct task {
	char id[40], text[256];
	enum kind kind;
	uint64_t created_ns, updated_ns, due_ns;
	const char *waits[INPUTS]; /* keys of what is not answered yet; NULL = nothing */
	bool cancelled;
};

static struct task tasks[TASKS_MAX];
static size_t n_tasks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct task *task_new(enum kind kind, double seconds)
{
	struct task *task = &tasks[n_tasks++ % TASKS_MAX];
	*task = (struct task){.kind = kind, .created_ns = clock_wall_ns(NULL)};
	task->updated_ns = task->created_ns;
	task->due_ns = task->created_ns + (uint64_t)(seconds * (double)TIME_SECOND);
	snprintf(task->id, sizeof task->id, "tk_%016llx%016llx", (unsigned long long)rand_u64(),
		 (unsigned long long)rand_u64());
	return task;
}

static void put_inputs(const struct task *task, struct buf *out)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	for (size_t i = 0; i < INPUTS; i++) {
		if (task->waits[i] == NULL)
			continue;
		jsonw_key(&w, str_from(task->waits[i]));
		jsonw_raw(&w, S("{\"method\":\"elicitation/create\",\"params\":" FORM(
				      "Please answer",
				      "\"confirm\":{\"type\":\"boolean\"},\"name\":{\"type\":\"string\"}", "") "}"));
	}
	jsonw_end_object(&w);
}

static enum mcp_task_status status_of(const struct task *task)
{
	if (task->cancelled)
		return MCP_TASK_CANCELLED;
	for (size_t i = 0; i < INPUTS; i++) {
		if (task->waits[i] != NULL)
			return MCP_TASK_INPUT_REQUIRED;
	}
	if (clock_wall_ns(NULL) < task->due_ns)
		return MCP_TASK_WORKING;
	return task->kind == BREAKS ? MCP_TASK_FAILED : MCP_TASK_COMPLETED;
}

static void answer_with(const struct task *task, struct mcp_answer *answer)
{
	AUTO_BUF inputs = BUF_INIT(MCP_MESSAGE_MAX), content = BUF_INIT(MCP_MESSAGE_MAX);
	put_inputs(task, &inputs);
	struct json_writer w;
	buf_add_str(&content, S("{\"type\":\"text\",\"text\":"));
	jsonw_init(&w, &content, JSON_WRITER_PLAIN);
	jsonw_str(&w, str_from(task->text));
	buf_add_char(&content, '}');
	enum mcp_task_status status = status_of(task);
	mcp_answer_task(answer, &(struct mcp_task){
					.id = str_from(task->id),
					.status = status,
					.message = status == MCP_TASK_FAILED ? S("the job broke") : STR_EMPTY,
					.created_ns = task->created_ns,
					.updated_ns = task->updated_ns,
					.ttl_ms = 600000,
					.poll_ms = 200,
					.inputs = buf_str(&inputs),
					.content = buf_str(&content),
					.is_error = task->kind == FAILS,
				});
}

static struct task *task_named(struct str id)
{
	for (size_t i = 0; i < TASKS_MAX; i++) {
		if (tasks[i].id[0] != '\0' && str_eq(str_from(tasks[i].id), id))
			return &tasks[i];
	}
	return NULL;
}

bool fixture_task_get(void *user, const struct mcp_caller *caller, struct str id, struct mcp_answer *answer)
{
	(void)user;
	(void)caller;
	pthread_mutex_lock(&lock);
	const struct task *task = task_named(id);
	if (task != NULL)
		answer_with(task, answer);
	pthread_mutex_unlock(&lock);
	return task != NULL;
}

bool fixture_task_update(void *user, const struct mcp_caller *caller, struct str id, const struct json *inputs)
{
	(void)user;
	(void)caller;
	pthread_mutex_lock(&lock);
	struct task *task = task_named(id);
	for (size_t i = 0; task != NULL && i < INPUTS; i++) {
		if (task->waits[i] == NULL || json_member(inputs, str_from(task->waits[i])) == NULL)
			continue;
		task->waits[i] = NULL;
		task->updated_ns = clock_wall_ns(NULL);
	}
	pthread_mutex_unlock(&lock);
	return task != NULL;
}

bool fixture_task_cancel(void *user, const struct mcp_caller *caller, struct str id)
{
	(void)user;
	(void)caller;
	pthread_mutex_lock(&lock);
	struct task *task = task_named(id);
	if (task != NULL && (status_of(task) == MCP_TASK_WORKING || status_of(task) == MCP_TASK_INPUT_REQUIRED))
		task->cancelled = true;
	pthread_mutex_unlock(&lock);
	return task != NULL;
}

/* ---- Tools ---- */

static void greet(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	say(answer, "Hello, %.*s!", STR_FMT(argument_of(call, "name")));
}

static void begin(struct mcp_answer *answer, enum kind kind, double seconds, struct str text,
		  const char *const waits[INPUTS])
{
	pthread_mutex_lock(&lock);
	struct task *task = task_new(kind, seconds);
	snprintf(task->text, sizeof task->text, "%.*s", STR_FMT(text));
	for (size_t i = 0; i < INPUTS; i++)
		task->waits[i] = waits[i];
	answer_with(task, answer);
	pthread_mutex_unlock(&lock);
}

static const char *const nothing[INPUTS] = {NULL};

static void compute(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	double seconds = 0;
	(void)json_get_real(json_member(mcp_call_arguments(call), S("seconds")), &seconds);
	AUTO_FREE char *text = xasprintf("Computed: %.*s", STR_FMT(argument_of(call, "label")));
	if (mcp_call_can(call, MCP_CAN_TASKS) && seconds > 0) {
		begin(answer, COMPUTES, seconds, str_from(text), nothing);
		return;
	}
	for (double waited = 0; waited < seconds && !mcp_call_is_cancelled(call); waited += 0.02)
		fixture_pause(20);
	say(answer, "%s", text);
}

/* What cannot be but a task. */
static bool needs_task(struct mcp_call *call, struct mcp_answer *answer)
{
	if (mcp_call_can(call, MCP_CAN_TASKS))
		return false;
	mcp_answer_needs(answer, S("\"extensions\":{\"io.modelcontextprotocol/tasks\":{}}"));
	return true;
}

static void fail_later(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	if (!needs_task(call, answer))
		begin(answer, FAILS, 1, S("The job failed."), nothing);
}

static void break_later(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	if (!needs_task(call, answer))
		begin(answer, BREAKS, 0.5, S(""), nothing);
}

static void confirm(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	AUTO_FREE char *text = xasprintf("Deleted: %.*s", STR_FMT(argument_of(call, "filename")));
	if (!needs_task(call, answer))
		begin(answer, CONFIRMS, 0, str_from(text), (const char *const[INPUTS]){"confirm", NULL});
}

static void ask_two(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	if (!needs_task(call, answer))
		begin(answer, CONFIRMS, 0, S("Both are answered."), (const char *const[INPUTS]){"first", "second"});
}

static void greet_as_task(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	const struct json *got = mcp_call_input(call, S("user_name"));
	if (needs_task(call, answer))
		return;
	if (got == NULL) {
		mcp_answer_ask(answer, S("user_name"), S("elicitation/create"), S(FORM_NAME));
		return;
	}
	AUTO_FREE char *text = xasprintf("Hello, %.*s!", STR_FMT(content_of(got, "name")));
	begin(answer, GREETS, 0.2, str_from(text), nothing);
}

#define OBJECT(properties) "{\"type\":\"object\",\"properties\":{" properties "}}"
#define A_STRING(name)     "\"" name "\":{\"type\":\"string\",\"description\":\"one text\"}"
const struct fixture task_fixtures[] = {
	{"greet", "Greets at once", OBJECT(A_STRING("name")), NULL, greet},
	{"slow_compute", "Takes its time",
	 OBJECT("\"seconds\":{\"type\":\"number\",\"description\":\"how long\"}," A_STRING("label")), NULL, compute},
	{"failing_job", "Fails after a second", NULL, NULL, fail_later},
	{"protocol_error_job", "Ends in an error of the protocol", NULL, NULL, break_later},
	{"confirm_delete", "Asks before it goes on", OBJECT(A_STRING("filename")), NULL, confirm},
	{"multi_input", "Asks two things at once", NULL, NULL, ask_two},
	{"test_tool_with_task", "Asks, then becomes a task", NULL, NULL, greet_as_task},
};
const size_t n_task_fixtures = ARRAY_LEN(task_fixtures);
