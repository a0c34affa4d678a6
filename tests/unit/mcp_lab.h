/*
 * mcp_lab: a small server of the Model Context Protocol whose threads are the test's
 *
 * Two tools: "echo" answers its arguments as text and structured content; what "act" does is its argument "do": "error",
 * "internal", "huge", "progress" (1, 1, 3 of 4), "log" (debug, info, error), "ask", "asks" (a round of 2026-07-28), "task",
 * "needs", "cancelled". One prompt, one resource. What is to be done elsewhere waits in `jobs` until lab_work(), unless `jobs_max`
 * is 0: then it is done at once. The clock stands where the test puts it. What was written is in `out`, a line a message.
 */
#pragma once
#include "mcp/mcp.h"
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>

enum { LAB_JOBS = 128, LAB_TOOLS = 600 };

struct mcp_lab {
	struct mcp *mcp;
	struct mcp_peer *peer;
	struct buf out;
	sem_t said; /* posted with each message */
	struct mcp_tools tools;
	struct mcp_tool items[LAB_TOOLS];
	char names[LAB_TOOLS][24];
	struct {
		void (*work)(void *job);
		void *what;
	} jobs[LAB_JOBS];
	size_t n_jobs, jobs_max;
	_Atomic uint64_t now_ns;
	atomic_size_t n_wakes;
	size_t n_held;
	char cancelled_task[64], updated_task[64];
	bool was_cancelled; /* what "cancelled" found */
	bool is_tame;       /* nothing huge, and no waiting for a client's answers */
};

#define LAB_KEY "0123456789abcdef0123456789abcdef"

static uint64_t lab_now(void *context)
{
	return ((struct mcp_lab *)context)->now_ns;
}

static const struct mcp_tools *lab_hold(void *user)
{
	struct mcp_lab *lab = user;
	lab->n_held++;
	return &lab->tools;
}

static void lab_release_tools(void *user, const struct mcp_tools *tools)
{
	(void)tools;
	((struct mcp_lab *)user)->n_held--;
}

static struct str lab_argument(struct mcp_call *call, const char *name)
{
	struct str value = STR_EMPTY;
	(void)json_get_str(json_member(mcp_call_arguments(call), str_from(name)), &value);
	return value;
}

static const struct mcp_task lab_task = {
	.id = {"tk_1", 4},
	.status = MCP_TASK_WORKING,
	.message = {"waiting", 7},
	.created_ns = 1000 * TIME_MILLISECOND,
	.updated_ns = 2000 * TIME_MILLISECOND,
	.ttl_ms = 600000,
	.poll_ms = 2000,
	.meta = {"\"a.b/c\":1", 9},
};

static void lab_ask(const struct mcp_lab *lab, struct mcp_call *call, struct mcp_answer *answer)
{
	struct err err = {0};
	AUTO(json) *got = mcp_call_ask(call, S("roots/list"), S("{}"), lab->is_tame ? 0 : 20000, &err);
	struct str text = STR_EMPTY;
	(void)json_get_str(json_member(got, S("text")), &text);
	mcp_answer_text(answer, got != NULL ? text : str_from(err.message));
}

static void lab_ask_round(struct mcp_call *call, struct mcp_answer *answer)
{
	const struct json *got = mcp_call_input(call, S("k"));
	if (got != NULL) {
		mcp_answer_text(answer, mcp_call_state(call));
		return;
	}
	mcp_answer_ask(answer, S("k"), S("elicitation/create"), S("{\"message\":\"m\"}"));
	buf_add_str(&answer->state, S("round 1"));
}

static void lab_act(struct mcp_lab *lab, struct mcp_call *call, struct mcp_answer *answer)
{
	struct str what = lab_argument(call, "do");
	if (str_eq(what, S("error"))) {
		mcp_answer_tool_error(answer, S("no\nluck"));
	} else if (str_eq(what, S("internal"))) {
		mcp_answer_error(answer, MCP_INTERNAL_ERROR, S("broke"), STR_EMPTY);
	} else if (str_eq(what, S("huge")) && !lab->is_tame) {
		while (buf_ok(&answer->content))
			mcp_answer_text(answer, S(LAB_KEY LAB_KEY LAB_KEY LAB_KEY LAB_KEY LAB_KEY LAB_KEY LAB_KEY));
	} else if (str_eq(what, S("progress"))) {
		mcp_call_progress(call, 1, -1, S("one"));
		mcp_call_progress(call, 1, -1, S("again"));
		mcp_call_progress(call, 3, 4, STR_EMPTY);
	} else if (str_eq(what, S("log"))) {
		mcp_call_log(call, MCP_DEBUG, S("l"), S("1"));
		mcp_call_log(call, MCP_INFO, S("l"), S("2"));
		mcp_call_log(call, MCP_ERROR, STR_EMPTY, S("3"));
	} else if (str_eq(what, S("ask"))) {
		lab_ask(lab, call, answer);
	} else if (str_eq(what, S("asks"))) {
		lab_ask_round(call, answer);
	} else if (str_eq(what, S("task"))) {
		mcp_answer_task(answer, &lab_task);
	} else if (str_eq(what, S("needs"))) {
		mcp_answer_needs(answer, S("\"sampling\":{}"));
	} else if (str_eq(what, S("cancelled"))) {
		lab->was_cancelled = mcp_call_is_cancelled(call);
	} else if (str_eq(what, S("who"))) {
		mcp_answer_text(answer, mcp_call_client(call));
		mcp_answer_text(answer, mcp_call_caller(call)->id);
	}
}

static void lab_call(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	struct mcp_lab *lab = user;
	if (!str_eq(mcp_call_name(call), S("echo"))) {
		lab_act(lab, call, answer);
		return;
	}
	mcp_answer_text(answer, mcp_call_arguments_text(call));
	buf_add_str(&answer->structured, mcp_call_arguments_text(call));
}

static void lab_prompt(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	(void)call;
	buf_add_str(&answer->content, S("\"messages\":[]"));
}

static void lab_read(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	(void)call;
	mcp_answer_error(answer, MCP_RESOURCE_NOT_FOUND, S("none"), S("{\"uri\":\"x:y\"}"));
}

static void lab_complete(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	(void)user;
	(void)call;
	buf_add_str(&answer->content, S("\"completion\":{\"values\":[]}"));
}

static bool lab_task_get(void *user, const struct mcp_caller *caller, struct str id, struct mcp_answer *answer)
{
	(void)user;
	(void)caller;
	if (!str_eq(id, lab_task.id))
		return false;
	struct mcp_task done = lab_task;
	done.status = MCP_TASK_COMPLETED;
	done.content = S("{\"type\":\"text\",\"text\":\"done\"}");
	done.structured = S("{\"n\":1}");
	mcp_answer_task(answer, &done);
	return true;
}

static bool lab_task_update(void *user, const struct mcp_caller *caller, struct str id, const struct json *inputs)
{
	(void)caller;
	(void)inputs;
	struct mcp_lab *lab = user;
	snprintf(lab->updated_task, sizeof lab->updated_task, "%.*s", STR_FMT(id));
	return str_eq(id, lab_task.id);
}

static bool lab_task_cancel(void *user, const struct mcp_caller *caller, struct str id)
{
	(void)caller;
	struct mcp_lab *lab = user;
	snprintf(lab->cancelled_task, sizeof lab->cancelled_task, "%.*s", STR_FMT(id));
	return str_eq(id, lab_task.id);
}

static inline bool lab_run(void *user, const struct mcp_caller *caller, void (*work)(void *job), void *what)
{
	(void)caller;
	struct mcp_lab *lab = user;
	if (lab->jobs_max == 0) {
		work(what);
		return true;
	}
	if (lab->n_jobs == lab->jobs_max)
		return false;
	lab->jobs[lab->n_jobs].work = work;
	lab->jobs[lab->n_jobs++].what = what;
	return true;
}

/* Does all that waits, first come first served. */
static inline void lab_work(struct mcp_lab *lab)
{
	for (size_t i = 0; i < lab->n_jobs; i++)
		lab->jobs[i].work(lab->jobs[i].what);
	lab->n_jobs = 0;
}

static inline void lab_wake(void *user)
{
	((struct mcp_lab *)user)->n_wakes++;
}

static inline void lab_write(void *user, struct str message)
{
	struct mcp_lab *lab = user;
	if (str_find_char(message, '\n') != STR_NPOS)
		BUG("a line end within a message");
	buf_add_str(&lab->out, message);
	buf_add_char(&lab->out, '\n');
	sem_post(&lab->said);
}

#define LAB_ECHO_SCHEMA "{\"type\":\"object\",\n \"properties\":{\"t\":{\"type\":\"string\"}}}"
static void lab_add_tools(struct mcp_lab *lab, size_t n)
{
	lab->items[0] = (struct mcp_tool){
		.name = S("echo"),
		.title = S("Echo"),
		.description = S("Says it again"),
		.input_schema = S(LAB_ECHO_SCHEMA),
		.output_schema = S("{\"type\":\"object\"}"),
		.annotations = S("{\"readOnlyHint\":true}"),
		.meta = S("{\"a.b/c\":1}"),
	};
	lab->items[1] = (struct mcp_tool){
		.name = S("act"),
		.description = S("Does it"),
		.input_schema =
			S("{\"type\":\"object\",\"properties\":{\"do\":{\"type\":\"string\",\"x-mcp-header\":\"Do\"},"
			  "\"n\":{\"type\":\"integer\",\"x-mcp-header\":\"N\"}}}"),
		.output_schema = S("{\"type\":\"array\"}"),
	};
	for (size_t i = 2; i < n; i++) {
		snprintf(lab->names[i], sizeof lab->names[i], "tool_%zu", i);
		lab->items[i] = lab->items[0];
		lab->items[i].name = str_from(lab->names[i]);
	}
	lab->tools = (struct mcp_tools){.generation = lab->tools.generation + 1, .items = lab->items, .n = n};
}

static const struct mcp_item lab_prompts[] = {{{"p", 1}, {"{\"name\":\"p\"}", 12}}};
static const struct mcp_item lab_resources[] = {{{"x:y", 3}, {"{\"uri\":\"x:y\",\"name\":\"r\"}", 24}}};
static const struct mcp_items lab_prompt_items = {lab_prompts, 1}, lab_resource_items = {lab_resources, 1};

static inline struct mcp_backend lab_backend(struct mcp_lab *lab)
{
	return (struct mcp_backend){
		.user = lab,
		.name = S("lab"),
		.version = S("1"),
		.instructions = S("Be brief."),
		.logging = true,
		.lists_change = true,
		.ttl_ms = 5000,
		.tools_hold = lab_hold,
		.tools_release = lab_release_tools,
		.tools_call = lab_call,
		.task_get = lab_task_get,
		.task_update = lab_task_update,
		.task_cancel = lab_task_cancel,
		.prompts = &lab_prompt_items,
		.resources = &lab_resource_items,
		.prompts_get = lab_prompt,
		.resources_read = lab_read,
		.complete = lab_complete,
		.subscribe = true,
	};
}

static struct clock lab_clock; /* of the lab that was made last */

/* The core over `backend`; a peer is made apart. */
static inline void lab_start_with(struct mcp_lab *lab, const struct mcp_backend *backend, size_t page,
				  bool (*run)(void *user, const struct mcp_caller *caller, void (*work)(void *job),
					      void *what),
				  void (*wake)(void *user))
{
	lab_clock = (struct clock){lab_now, lab_now, lab};
	struct mcp_options options = {
		.backend = backend, .page = page, .run = run, .wake = wake, .user = lab, .clock = &lab_clock};
	memcpy(options.key, LAB_KEY, sizeof options.key);
	sem_init(&lab->said, 0, 0);
	lab->mcp = mcp_new(&options);
}

static inline void lab_start(struct mcp_lab *lab, const struct mcp_backend *backend, size_t page)
{
	lab_start_with(lab, backend, page, lab_run, lab_wake);
}

static inline struct mcp_lab *mcp_lab_new(size_t page)
{
	struct mcp_lab *lab = NEW(struct mcp_lab);
	lab->out = BUF_INIT(256 << 20);
	lab->now_ns = TIME_HOUR;
	lab_add_tools(lab, 2);
	struct mcp_backend backend = lab_backend(lab);
	lab_start(lab, &backend, page);
	return lab;
}

static inline void lab_connect(struct mcp_lab *lab, const char *caller)
{
	lab->peer = mcp_peer_new(
		lab->mcp,
		&(struct mcp_peer_options){.caller = {.id = str_from(caller)}, .write = lab_write, .user = lab});
}

static inline void mcp_lab_free(struct mcp_lab *lab)
{
	if (lab == NULL)
		return;
	mcp_peer_free(lab->peer);
	lab_work(lab);
	mcp_free(lab->mcp);
	if (lab->n_held != 0)
		BUG("%zu lists are still held", lab->n_held);
	buf_release(&lab->out);
	sem_destroy(&lab->said);
	free(lab);
}
DEFINE_AUTO(mcp_lab, mcp_lab_free)

/* What was written since, one message a line; to be read before the next call. */
static inline const char *lab_said(struct mcp_lab *lab)
{
	static struct buf said = BUF_INIT(256 << 20);
	buf_clear(&said);
	buf_add_str(&said, str_trim(buf_str(&lab->out)));
	buf_clear(&lab->out);
	return said.p;
}

static inline const char *lab_feed(struct mcp_lab *lab, const char *line)
{
	mcp_peer_feed(lab->peer, str_from(line));
	return lab_said(lab);
}

/* A handshake, without a look at its answer. */
static inline void lab_greet(struct mcp_lab *lab, const char *version, const char *capabilities)
{
	AUTO_FREE char *line =
		xasprintf("{\"jsonrpc\":\"2.0\",\"id\":\"i\",\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
			  "\"%s\",\"capabilities\":%s,\"clientInfo\":{\"name\":\"c\",\"version\":\"2\"}}}",
			  version, capabilities);
	(void)lab_feed(lab, line);
	(void)lab_feed(lab, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
}

#define LAB_P           "io.modelcontextprotocol/"
#define LAB_META        "\"" LAB_P "protocolVersion\":\"2026-07-28\",\"" LAB_P "clientCapabilities\":"
#define LAB_SERVER_INFO "\"" LAB_P "serverInfo\":{\"name\":\"lab\",\"version\":\"1\"}"
