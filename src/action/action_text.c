#include "action/action_text.h"
#include "artifact/schema.h"

/* ---- the schema: one table of docs/formats/action.md each ---- */

#define OF(member)      offsetof(struct action_text, member)
#define CONNECTOR(name) offsetof(struct connector_text, name)
#define INPUT(name)     offsetof(struct input_text, name)
#define STEP(name)      offsetof(struct step_text, name)

static const struct schema_row connector_rows[] = {
	{.key = "name", .kind = SCHEMA_STRING, .offset = CONNECTOR(row.name)},
	{.key = "version", .kind = SCHEMA_STRING, .offset = CONNECTOR(row.version)},
	{.key = "hash", .kind = SCHEMA_STRING, .offset = CONNECTOR(row.hash)},
	{.key = "capabilities", .kind = SCHEMA_STRINGS, .offset = CONNECTOR(row.capabilities)},
	{.key = "hosts", .kind = SCHEMA_STRINGS, .offset = CONNECTOR(row.hosts)},
};
static const struct schema connector_schema = {
	.rows = connector_rows,
	.n = ARRAY_LEN(connector_rows),
	.size = sizeof(struct connector_text),
	.has_self = true,
	.self = CONNECTOR(at),
};

static const struct schema_row requires_rows[] = {
	{.key = "connectors",
	 .kind = SCHEMA_TABLES,
	 .offset = OF(connectors),
	 .count = OF(n_connectors),
	 .table = &connector_schema},
};
static const struct schema requires_schema = {.rows = requires_rows, .n = ARRAY_LEN(requires_rows)};

static const struct schema_row match_rows[] = {
	{.key = "intent", .kind = SCHEMA_STRING, .offset = OF(intent)},
};
static const struct schema match_schema = {.rows = match_rows, .n = ARRAY_LEN(match_rows)};

static const struct schema_row input_rows[] = {
	{.key = "name", .kind = SCHEMA_STRING, .offset = INPUT(row.name)},
	{.key = "type", .kind = SCHEMA_STRING, .offset = INPUT(type)},
	{.key = "required",
	 .kind = SCHEMA_BOOLEAN,
	 .offset = INPUT(row.required),
	 .has_flag = true,
	 .flag = INPUT(has_required)},
	{.key = "description", .kind = SCHEMA_STRING, .offset = INPUT(row.description)},
	{.key = "label", .kind = SCHEMA_STRING, .offset = INPUT(row.label)},
	{.key = "multiline", .kind = SCHEMA_BOOLEAN, .offset = INPUT(row.multiline)},
	{.key = "items_type", .kind = SCHEMA_STRING, .offset = INPUT(items_type)},
};
static const struct schema input_schema = {
	.rows = input_rows,
	.n = ARRAY_LEN(input_rows),
	.size = sizeof(struct input_text),
	.has_self = true,
	.self = INPUT(at),
};

static const struct schema_row step_rows[] = {
	{.key = "id", .kind = SCHEMA_STRING, .offset = STEP(row.id)},
	{.key = "connector", .kind = SCHEMA_STRING, .offset = STEP(connector)},
	{.key = "op", .kind = SCHEMA_STRING, .offset = STEP(row.op)},
	{.key = "idempotent",
	 .kind = SCHEMA_BOOLEAN,
	 .offset = STEP(row.idempotent),
	 .has_flag = true,
	 .flag = STEP(row.has_idempotent)},
	{.key = "effect", .kind = SCHEMA_STRING, .offset = STEP(effect)},
	{.key = "inputs", .kind = SCHEMA_OPEN, .offset = STEP(inputs)},
};
static const struct schema step_schema = {
	.rows = step_rows,
	.n = ARRAY_LEN(step_rows),
	.size = sizeof(struct step_text),
	.has_self = true,
	.self = STEP(at),
};

static const struct schema_row preview_rows[] = {
	{.key = "op", .kind = SCHEMA_STRING, .offset = OF(preview.op)},
	{.key = "args", .kind = SCHEMA_OPEN, .offset = OF(preview.args)},
	{.key = "render", .kind = SCHEMA_OPEN, .offset = OF(preview.render)},
	{.key = "multiline", .kind = SCHEMA_STRINGS, .offset = OF(preview.multiline)},
};
static const struct schema preview_schema = {
	.rows = preview_rows,
	.n = ARRAY_LEN(preview_rows),
	.has_self = true,
	.self = OF(preview.at),
};

static const struct schema_row approval_rows[] = {
	{.key = "required", .kind = SCHEMA_BOOLEAN, .offset = OF(approval_required)},
	{.key = "editable", .kind = SCHEMA_BOOLEAN, .offset = OF(approval_editable)},
	{.key = "grants", .kind = SCHEMA_BOOLEAN, .offset = OF(approval_grants)},
	{.key = "preview",
	 .kind = SCHEMA_TABLE,
	 .table = &preview_schema,
	 .has_flag = true,
	 .flag = OF(preview.present)},
};
static const struct schema approval_schema = {.rows = approval_rows, .n = ARRAY_LEN(approval_rows)};

static const struct schema_row action_rows[] = {
	{.key = "name", .kind = SCHEMA_STRING, .offset = OF(name)},
	{.key = "version", .kind = SCHEMA_STRING, .offset = OF(version)},
	{.key = "source", .kind = SCHEMA_STRING, .offset = OF(source)},
	{.key = "requires", .kind = SCHEMA_TABLE, .table = &requires_schema},
	{.key = "match", .kind = SCHEMA_TABLE, .table = &match_schema},
	{.key = "inputs", .kind = SCHEMA_TABLES, .offset = OF(inputs), .count = OF(n_inputs), .table = &input_schema},
	{.key = "execute", .kind = SCHEMA_TABLES, .offset = OF(steps), .count = OF(n_steps), .table = &step_schema},
	{.key = "approval", .kind = SCHEMA_TABLE, .table = &approval_schema},
};
static const struct schema action_schema = {
	.rows = action_rows,
	.n = ARRAY_LEN(action_rows),
	.has_self = true,
	.self = OF(root),
};

/* ---- reading ---- */

int action_text_read(struct arena *arena, struct str front, struct action_text *text, struct err *err)
{
	/* As many empty lines as stand before it, so that every line that TOML counts is one of the file. */
	AUTO_BUF toml = BUF_INIT(2 * ACTION_MAX);
	for (uint32_t i = 0; i < text->line; i++)
		buf_add_char(&toml, '\n');
	buf_add_str(&toml, front);
	const struct toml_value *root;
	if (toml_parse(arena, buf_str(&toml), text->file, &root, err) < 0)
		return -1;
	struct schema_source source = {arena, text->file};
	return schema_read(&action_schema, root, &source, text, err);
}
