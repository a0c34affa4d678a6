/* The backend, and what its parts share. */
#include "fixtures.h"
#include <stdio.h>
#include <time.h>

struct str argument_of(const struct mcp_call *call, const char *name)
{
	struct str value = STR_EMPTY;
	(void)json_get_str(json_member(mcp_call_arguments(call), str_from(name)), &value);
	return value;
}

struct str content_of(const struct json *answer, const char *name)
{
	struct str value = STR_EMPTY;
	(void)json_get_str(json_member(json_member(answer, S("content")), str_from(name)), &value);
	return value;
}

void say(struct mcp_answer *answer, const char *fmt, ...)
{
	AUTO_BUF text = BUF_INIT(MCP_MESSAGE_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_addv(&text, fmt, ap);
	va_end(ap);
	mcp_answer_text(answer, buf_str(&text));
}

void fixture_pause(unsigned ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

/* ---- Tools ---- */

static struct mcp_tool tools[64];
static struct mcp_tools list = {.generation = 1, .items = tools};

static const struct fixture *fixture_named(struct str name)
{
	const struct {
		const struct fixture *rows;
		size_t n;
	} tables[] = {
		{plain_fixtures, n_plain_fixtures},
		{round_fixtures, n_round_fixtures},
		{task_fixtures, n_task_fixtures},
	};
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		for (size_t i = 0; i < tables[t].n; i++) {
			if (str_eq(name, str_from(tables[t].rows[i].name)))
				return &tables[t].rows[i];
		}
	}
	return NULL;
}

static void add_tools(const struct fixture *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		tools[list.n++] = (struct mcp_tool){
			.name = str_from(rows[i].name),
			.description = str_from(rows[i].description),
			.input_schema = str_from(rows[i].input != NULL
							 ? rows[i].input
							 : "{\"type\":\"object\",\"additionalProperties\":false}"),
		};
}

static const struct mcp_tools *hold(void *user)
{
	(void)user;
	return &list;
}

static void release(void *user, const struct mcp_tools *held)
{
	(void)user;
	(void)held;
}

static void call_tool(void *user, struct mcp_call *call, struct mcp_answer *answer)
{
	const struct fixture *fixture = fixture_named(mcp_call_name(call));
	if (fixture == NULL)
		BUG("a tool that is listed is none");
	if (fixture->answer != NULL)
		buf_add_z(&answer->content, fixture->answer);
	else
		fixture->serve(user, call, answer);
}

void fixtures_backend(struct fixtures *fixtures, struct mcp_backend *ret)
{
	list.n = 0;
	add_tools(plain_fixtures, n_plain_fixtures);
	add_tools(round_fixtures, n_round_fixtures);
	add_tools(task_fixtures, n_task_fixtures);
	*ret = (struct mcp_backend){
		.user = fixtures,
		.name = S("aileron-mcp-fixtures"),
		.version = S("1"),
		.instructions = S("For the conformance suite."),
		.logging = true,
		.lists_change = true,
		.lists_are_public = true,
		.ttl_ms = 60000,
		.tools_hold = hold,
		.tools_release = release,
		.tools_call = call_tool,
		.task_get = fixture_task_get,
		.task_update = fixture_task_update,
		.task_cancel = fixture_task_cancel,
		.prompts = &fixture_prompts,
		.resources = &fixture_resources,
		.templates = &fixture_templates,
		.prompts_get = fixture_get_prompt,
		.resources_read = fixture_read,
		.complete = fixture_complete,
		.subscribe = true,
	};
}
