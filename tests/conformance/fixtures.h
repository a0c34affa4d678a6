/*
 * fixtures: what the conformance suite calls, as a backend
 *
 * Tools, prompts, resources and tasks with the names, inputs and texts that the suite documents. In no program but
 * aileron-mcp-fixtures.
 */
#pragma once
#include "mcp/mcp.h"

#define PNG "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
#define WAV "UklGRiwAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQgAAACAgICAgICAgA=="

/* A tool's row: what it is, and what it does. */
struct fixture {
	const char *name, *description;
	const char *input;  /* JSON schema; NULL = no arguments */
	const char *answer; /* content of an answer that is always the same; NULL = `serve` */
	mcp_serve *serve;
};

/* `mcp` is set when there is one: tools that make changes tell it. */
struct fixtures {
	struct mcp *mcp;
};
void fixtures_backend(struct fixtures *fixtures, struct mcp_backend *ret);

extern const struct fixture plain_fixtures[], round_fixtures[], task_fixtures[];
extern const size_t n_plain_fixtures, n_round_fixtures, n_task_fixtures;

/* prompts.c, resources.c */
extern const struct mcp_items fixture_prompts, fixture_resources, fixture_templates;
void fixture_get_prompt(void *user, struct mcp_call *call, struct mcp_answer *answer);
void fixture_complete(void *user, struct mcp_call *call, struct mcp_answer *answer);
void fixture_read(void *user, struct mcp_call *call, struct mcp_answer *answer);

/* tasks.c */
bool fixture_task_get(void *user, const struct mcp_caller *caller, struct str id, struct mcp_answer *answer);
bool fixture_task_update(void *user, const struct mcp_caller *caller, struct str id, const struct json *inputs);
bool fixture_task_cancel(void *user, const struct mcp_caller *caller, struct str id);

/* An argument that is a string, "" when there is none; of an answer of the client's, a member of its content. */
struct str argument_of(const struct mcp_call *call, const char *name);
struct str content_of(const struct json *answer, const char *name);
/* Answers with one text. */
void say(struct mcp_answer *answer, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void fixture_pause(unsigned ms);

/* Questions that several fixtures ask. */
#define FORM(message, properties, required)                                                                            \
	"{\"mode\":\"form\",\"message\":\"" message                                                                    \
	"\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{" properties "},\"required\":[" required "]}}"
#define FORM_NAME FORM("What is your name?", "\"name\":{\"type\":\"string\"}", "\"name\"")
#define SAMPLE(text, tokens)                                                                                           \
	"{\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":\"" text                            \
	"\"}}],\"maxTokens\":" tokens "}"
