#include "text/toml.h"
#include "base/escape.h"
#include "base/utf8.h"
#include "text/toml_parser.h"

enum { SHOWN_MAX = 200 }; /* bytes of a key in a message */

enum toml_type toml_type(const struct toml_value *value)
{
	return value->type;
}

const char *toml_type_name(enum toml_type type)
{
	static const char *const names[] = {
		[TOML_STRING] = "a string",
		[TOML_INTEGER] = "an integer",
		[TOML_FLOAT] = "a float",
		[TOML_BOOLEAN] = "a boolean",
		[TOML_OFFSET_DATETIME] = "a date and time",
		[TOML_LOCAL_DATETIME] = "a local date and time",
		[TOML_LOCAL_DATE] = "a local date",
		[TOML_LOCAL_TIME] = "a local time",
		[TOML_ARRAY] = "an array",
		[TOML_TABLE] = "a table",
	};
	return names[type];
}

uint32_t toml_line(const struct toml_value *value)
{
	return value->line;
}

uint32_t toml_column(const struct toml_value *value)
{
	return value->column;
}

static bool has_type(const struct toml_value *value, enum toml_type type)
{
	return value != NULL && value->type == type;
}

bool toml_get_str(const struct toml_value *value, struct str *ret)
{
	if (!has_type(value, TOML_STRING))
		return false;
	*ret = value->as.text;
	return true;
}

bool toml_get_int(const struct toml_value *value, int64_t *ret)
{
	if (!has_type(value, TOML_INTEGER))
		return false;
	*ret = value->as.integer;
	return true;
}

bool toml_get_float(const struct toml_value *value, double *ret)
{
	if (!has_type(value, TOML_FLOAT))
		return false;
	*ret = value->as.real;
	return true;
}

bool toml_get_bool(const struct toml_value *value, bool *ret)
{
	if (!has_type(value, TOML_BOOLEAN))
		return false;
	*ret = value->as.boolean;
	return true;
}

bool toml_get_datetime(const struct toml_value *value, struct str *ret)
{
	if (value == NULL || value->type < TOML_OFFSET_DATETIME || value->type > TOML_LOCAL_TIME)
		return false;
	*ret = value->as.text;
	return true;
}

static bool has_children(const struct toml_value *value)
{
	return has_type(value, TOML_TABLE) || has_type(value, TOML_ARRAY);
}

size_t toml_length(const struct toml_value *value)
{
	return has_children(value) ? value->as.children.n : 0;
}

const struct toml_value *toml_member(const struct toml_value *table, struct str name)
{
	if (!has_type(table, TOML_TABLE))
		return NULL;
	const struct toml_value *member = table->as.children.first;
	while (member != NULL && !str_eq(member->name, name))
		member = member->next;
	return member;
}

void toml_iter_init(struct toml_iter *it, const struct toml_value *value)
{
	*it = (struct toml_iter){.next = has_children(value) ? value->as.children.first : NULL};
}

bool toml_iter_next(struct toml_iter *it)
{
	if (it->next == NULL)
		return false;
	it->value = it->next;
	it->name = it->value->name;
	it->next = it->value->next;
	return true;
}

static bool is_bare_key(struct str key)
{
	for (size_t i = 0; i < key.n; i++) {
		if (!toml_is_bare((unsigned char)key.p[i]))
			return false;
	}
	return key.n > 0;
}

struct str toml_key_text(struct arena *arena, struct str key)
{
	const char *quote = is_bare_key(key) ? "" : "\"";
	struct str shown = utf8_cut(key, SHOWN_MAX);
	AUTO_BUF out = BUF_INIT(8 * SHOWN_MAX);
	buf_add_z(&out, quote);
	escape_quoted(&out, shown);
	buf_add_z(&out, shown.n < key.n ? "..." : "");
	buf_add_z(&out, quote);
	return arena_str(arena, buf_str(&out));
}
