#include "control/mcp_tools.h"
#include "text/json_members.h"
#include <stdatomic.h>
#include <stdlib.h>

#define SCHEMA_MAX ((size_t)4 << 20) /* of one action: its file is at most ACTION_MAX */
#define BUILT_IN   2
#define SHORT      1400 /* bytes of a description behind which a paragraph is still read: clients cut at 2 KiB */

#define GATED                                                                                                          \
	"This action needs a person's approval. The call returns at once with status \"pending_approval\", an "        \
	"approval "                                                                                                    \
	"id and a message: show that message to the user word for word. After approval it runs by itself; use "        \
	"check_action_status to learn the outcome."

struct mcp_tool_list {
	struct mcp_tools tools;
	struct arena *arena;
	atomic_size_t holders;
};

const struct mcp_tools *mcp_tool_list_hold(struct mcp_tool_list *list)
{
	list->holders++;
	return &list->tools;
}

void mcp_tool_list_release(const struct mcp_tools *tools)
{
	struct mcp_tool_list *list = (struct mcp_tool_list *)(uintptr_t)tools;
	if (list == NULL || --list->holders > 0)
		return;
	arena_free(list->arena);
	free(list);
}

static struct str kept(struct arena *arena, const struct buf *buf)
{
	return buf_ok(buf) ? arena_str(arena, buf_str(buf)) : STR_EMPTY;
}

static struct str describe(struct arena *arena, const struct action *action)
{
	struct str text = action_description(action);
	if (text.n == 0)
		text = action->name;
	if (!action->approval_required)
		return arena_str(arena, text);
	if (text.n > SHORT)
		return arena_printf(arena, GATED "\n\n%.*s", STR_FMT(text));
	return arena_printf(arena, "%.*s\n\n" GATED, STR_FMT(text));
}

static struct str annotate(struct arena *arena, struct str title, const struct action_hints *hints)
{
	AUTO_BUF text = BUF_INIT(SCHEMA_MAX);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str_given(&w, "title", title);
	member_bool(&w, "readOnlyHint", hints->read_only);
	member_bool(&w, "destructiveHint", hints->destructive);
	member_bool(&w, "idempotentHint", hints->idempotent);
	member_bool(&w, "openWorldHint", hints->open_world);
	jsonw_end_object(&w);
	return kept(arena, &text);
}

static struct mcp_tool tool_of(struct arena *arena, const struct action_entry *entry, struct str output_schema)
{
	AUTO_BUF schema = BUF_INIT(SCHEMA_MAX);
	const struct action_hints hints = action_hints(entry->action);
	action_input_schema(entry->action, &schema);
	struct str title = arena_str(arena, action_title(entry->action));
	return (struct mcp_tool){
		.name = arena_str(arena, str_from(entry->tool)),
		.title = title,
		.description = describe(arena, entry->action),
		.input_schema = kept(arena, &schema),
		.output_schema = output_schema,
		.annotations = annotate(arena, title, &hints),
	};
}

static void put_built_in(struct arena *arena, struct mcp_tool tools[BUILT_IN], struct str output_schema)
{
	const struct action_hints reads = {.read_only = true, .idempotent = true};
	tools[0] = (struct mcp_tool){
		.name = S(MCP_TOOL_STATUS),
		.title = S("Check an action's status"),
		.description =
			S("Says what became of a call that needed a person's approval, or whose answer was lost: "
			  "completed with its output, still waiting, or why it did not run. Give one of the ids."),
		.input_schema =
			S("{\"type\":\"object\",\"properties\":{"
			  "\"approval_id\":{\"type\":\"string\",\"description\":\"of the call's answer\"},"
			  "\"run_id\":{\"type\":\"string\",\"description\":\"of the call's answer\"},"
			  "\"call_id\":{\"type\":\"string\",\"description\":\"as a lost call's answer names it\"}},"
			  "\"additionalProperties\":false}"),
		.output_schema = output_schema,
		.annotations = annotate(arena, S("Check an action's status"), &reads),
	};
	tools[1] = (struct mcp_tool){
		.name = S(MCP_TOOL_DIAGNOSTICS),
		.title = S("Aileron diagnostics"),
		.description = S("Says whether the Aileron daemon can be reached and what to do when it cannot."),
		.input_schema = S("{\"type\":\"object\",\"additionalProperties\":false}"),
		.annotations = annotate(arena, S("Aileron diagnostics"), &reads),
	};
}

struct mcp_tool_list *mcp_tool_list_new(const struct action_set *set)
{
	struct mcp_tool_list *list = NEW(struct mcp_tool_list);
	list->holders = 1;
	list->arena = arena_new();
	AUTO_BUF output = BUF_INIT(SCHEMA_MAX);
	action_output_schema(&output);
	struct str output_schema = kept(list->arena, &output);
	struct mcp_tool *tools = arena_array(list->arena, set->n + BUILT_IN, sizeof tools[0]);
	size_t n = 0;
	for (size_t i = 0; i < set->n; i++) {
		const struct action_entry *entry = &set->items[i];
		if (!entry->enabled || entry->tool[0] == '\0')
			continue;
		tools[n] = tool_of(list->arena, entry, output_schema);
		n += tools[n].input_schema.n > 0;
	}
	put_built_in(list->arena, &tools[n], output_schema);
	list->tools = (struct mcp_tools){.generation = set->generation, .items = tools, .n = n + BUILT_IN};
	return list;
}
