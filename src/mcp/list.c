/*
 * Lists, a page at a time. A page is kept as text, and is given out again until the list has another generation; a cursor is the
 * name behind which the next page begins, sealed.
 */
#include "base/log.h"
#include "mcp/core.h"
#include "text/json_members.h"

#define PAGE_ITEMS   1000
#define PAGES_KEPT   64
#define CURSOR_LABEL S("cursor")

/* What a revision's clients know of a tool; the rows of one shape are told alike. */
enum shape { SHAPE_PLAIN, SHAPE_ANNOTATED, SHAPE_STRUCTURED, SHAPE_FREE };

static enum shape shape_of(enum mcp_version version)
{
	static const enum shape shapes[MCP_VERSION__MAX] = {
		[MCP_2024_11_05] = SHAPE_PLAIN,      [MCP_2025_03_26] = SHAPE_ANNOTATED,
		[MCP_2025_06_18] = SHAPE_STRUCTURED, [MCP_2025_11_25] = SHAPE_STRUCTURED,
		[MCP_2026_07_28] = SHAPE_FREE,
	};
	return shapes[version];
}

/* What was asked last: many tools have one and the same schema. */
struct root {
	struct str schema;
	bool is_object;
};

static bool has_object_root(struct root *last, struct str schema)
{
	if (schema.n == 0 || (schema.p == last->schema.p && schema.n == last->schema.n))
		return last->is_object && schema.n > 0;
	AUTO(json) *document = json_parse(schema, JSON_READ_SENSITIVE, NULL);
	struct str type;
	bool is_object = json_get_str(json_member(document, S("type")), &type) && str_eq(type, S("object"));
	*last = (struct root){schema, is_object};
	return is_object;
}

static void member_raw_given(struct json_writer *w, const char *name, struct str json)
{
	if (json.n > 0)
		member_raw(w, name, json);
}

static void put_tool(struct json_writer *w, const struct mcp_tool *tool, enum shape shape, struct root *last)
{
	jsonw_begin_object(w);
	member_str(w, "name", tool->name);
	if (shape >= SHAPE_STRUCTURED)
		member_str_given(w, "title", tool->title);
	member_str(w, "description", tool->description);
	member_raw(w, "inputSchema", tool->input_schema);
	/* Clients of before refuse the whole list for one schema with another root. */
	if (shape == SHAPE_FREE || (shape == SHAPE_STRUCTURED && has_object_root(last, tool->output_schema)))
		member_raw_given(w, "outputSchema", tool->output_schema);
	if (shape >= SHAPE_ANNOTATED)
		member_raw_given(w, "annotations", tool->annotations);
	if (shape >= SHAPE_STRUCTURED)
		member_raw_given(w, "_meta", tool->meta);
	jsonw_end_object(w);
}

/* What is listed, whichever list it is. */
struct source {
	enum mcp_list list;
	const struct mcp_tools *tools;
	const struct mcp_items *items;
	size_t n;
};

static struct str name_at(const struct source *source, size_t i)
{
	return source->tools != NULL ? source->tools->items[i].name : source->items->items[i].name;
}

static void put_cursor(const struct mcp *mcp, const struct source *source, struct str name, struct buf *out)
{
	const unsigned char list = (unsigned char)source->list;
	seal_put(mcp->options.key, CURSOR_LABEL, str_of(&list, 1), name, out);
}

/* Where the page begins: false when the cursor is none of ours, or its name is listed no more. */
static bool find_start(struct mcp *mcp, const struct source *source, const struct json *cursor, size_t *ret)
{
	struct str text;
	*ret = 0;
	if (cursor == NULL)
		return true;
	const unsigned char list = (unsigned char)source->list;
	AUTO_BUF name = BUF_INIT(SEAL_PAYLOAD_MAX);
	if (!json_get_str(cursor, &text) || !seal_open(mcp->options.key, CURSOR_LABEL, str_of(&list, 1), text, &name))
		return false;
	for (size_t i = 0; i < source->n; i++) {
		if (!str_eq(name_at(source, i), buf_str(&name)))
			continue;
		*ret = i + 1;
		return true;
	}
	return false;
}

static const char *const list_members[MCP_LIST__MAX] = {
	[MCP_PROMPTS] = "prompts",
	[MCP_RESOURCES] = "resources",
	[MCP_TEMPLATES] = "resourceTemplates",
	[MCP_TOOLS] = "tools",
};

static void put_page(struct mcp *mcp, const struct source *source, size_t from, enum shape shape, struct buf *out)
{
	struct root last = {0};
	size_t most = mcp->options.page > 0 ? mcp->options.page : PAGE_ITEMS, end = MIN(source->n, from + most);
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	member_begin_array(&w, list_members[source->list]);
	for (size_t i = from; i < end; i++) {
		if (source->tools != NULL)
			put_tool(&w, &source->tools->items[i], shape, &last);
		else
			jsonw_raw(&w, source->items->items[i].json);
	}
	jsonw_end_array(&w);
	if (end == source->n)
		return;
	AUTO_BUF cursor = BUF_INIT(2 * SEAL_PAYLOAD_MAX);
	put_cursor(mcp, source, name_at(source, end - 1), &cursor);
	member_str(&w, "nextCursor", buf_str(&cursor));
}

void pages_clear(struct mcp *mcp)
{
	VEC_FOREACH (page, &mcp->pages)
		buf_release(&page->members);
	vec_clear(&mcp->pages);
}

static const struct page *page_kept(struct mcp *mcp, const struct page *wanted)
{
	VEC_FOREACH (page, &mcp->pages) {
		if (page->list == wanted->list && page->shape == wanted->shape && page->from == wanted->from)
			return page;
	}
	return NULL;
}

static void answer_page(struct mcp_call *call, const struct source *source, size_t from)
{
	struct mcp *mcp = call->mcp;
	if (source->tools != NULL && source->tools->generation != mcp->pages_of) {
		pages_clear(mcp);
		mcp->pages_of = source->tools->generation;
	}
	struct page page = {source->list, shape_of(call->version), from, BUF_INIT(MCP_ANSWER_MAX)};
	const struct page *kept = page_kept(mcp, &page);
	if (kept != NULL) {
		call_result(call, buf_str(&kept->members));
		return;
	}
	put_page(mcp, source, from, page.shape, &page.members);
	if (buf_ok(&page.members))
		call_result(call, buf_str(&page.members));
	else
		call_refuse(call, 200, MCP_INTERNAL_ERROR, S("the list is larger than this server sends"), STR_EMPTY);
	if (!buf_ok(&page.members) || !vec_push(&mcp->pages, page))
		buf_release(&page.members);
}

static enum mcp_list list_of(const struct mcp_call *call)
{
	struct str name = call->method->name;
	if (str_eq(name, S("tools/list")))
		return MCP_TOOLS;
	if (str_eq(name, S("prompts/list")))
		return MCP_PROMPTS;
	return str_eq(name, S("resources/list")) ? MCP_RESOURCES : MCP_TEMPLATES;
}

void serve_list(struct mcp_call *call)
{
	struct mcp *mcp = call->mcp;
	const struct mcp_backend *backend = &mcp->backend;
	static const struct mcp_items none = {0};
	const struct mcp_items *const items[MCP_LIST__MAX] = {
		[MCP_PROMPTS] = backend->prompts,
		[MCP_RESOURCES] = backend->resources,
		[MCP_TEMPLATES] = backend->templates,
	};
	struct source source = {.list = list_of(call)};
	log_debug("mcp_listed", log_str("method", call->method->name), log_str("client", str_from(call->client)),
		  log_str("caller", call->caller.is.id));
	if (source.list == MCP_TOOLS) {
		source.tools = backend->tools_hold(backend->user);
		source.n = source.tools->n;
	} else {
		source.items = items[source.list] != NULL ? items[source.list] : &none;
		source.n = source.items->n;
	}
	size_t from;
	if (find_start(mcp, &source, json_member(call->message->params, S("cursor")), &from))
		answer_page(call, &source, from);
	else
		call_bad_params(
			call,
			"'cursor' is not one that this server gave for this list as it is now; begin without one");
	if (source.tools != NULL)
		backend->tools_release(backend->user, source.tools);
}
