#include "artifact/schema.h"
#include "base/buf.h"
#include "base/utf8.h"

enum {
	UNKNOWN_MAX = 100, /* names in one error */
	NAME_MAX_SHOWN = 500,
};

struct reader {
	struct arena *arena;
	const char *file;
	struct err *err;
	struct str unknown[UNKNOWN_MAX];
	size_t unknown_n;
	bool more; /* unknown keys without a place in `unknown` */
	uint32_t unknown_line;
};

/* One table on its way into one struct; `path` is its dotted name, "" for the root. */
struct target {
	const struct schema *schema;
	void *object;
	struct str path;
};

static int read_table(struct reader *reader, const struct toml_value *table, const struct target *target);

static struct str dotted(struct reader *reader, struct str path, struct str key)
{
	struct str text = toml_key_text(reader->arena, key);
	return path.n == 0 ? text : arena_printf(reader->arena, "%.*s.%.*s", STR_FMT(path), STR_FMT(text));
}

static void *field(const struct target *target, size_t offset)
{
	return (char *)target->object + offset;
}

static int fail_type(struct reader *reader, const struct toml_value *value, struct str path, const char *want)
{
	fail(reader->err, ERR_PARSE_ERROR, "'%.*s' must be %s, not %s", STR_FMT(path), want,
	     toml_type_name(toml_type(value)));
	return err_at(reader->err, reader->file, toml_line(value));
}

/* ---- one reader a kind ---- */

static int get_string(struct reader *reader, const struct toml_value *value, struct str path, const char *want,
		      struct str *ret)
{
	struct str text;
	if (!toml_get_str(value, &text))
		return fail_type(reader, value, path, want);
	if (str_find_char(text, '\0') != STR_NPOS) {
		fail(reader->err, ERR_PARSE_ERROR, "'%.*s' must not contain U+0000", STR_FMT(path));
		return err_at(reader->err, reader->file, toml_line(value));
	}
	*ret = text;
	return 0;
}

static int read_string(struct reader *reader, const struct toml_value *value, const struct schema_row *row,
		       const struct target *target)
{
	return get_string(reader, value, target->path, "a string", field(target, row->offset));
}

static int read_strings(struct reader *reader, const struct toml_value *value, const struct schema_row *row,
			const struct target *target)
{
	if (toml_type(value) != TOML_ARRAY)
		return fail_type(reader, value, target->path, "an array of strings");
	struct str *items = arena_array(reader->arena, toml_length(value) + 1, sizeof *items);
	size_t n = 0;
	struct toml_iter it;
	for (toml_iter_init(&it, value); toml_iter_next(&it); n++) {
		if (get_string(reader, it.value, target->path, "an array of strings alone", &items[n]) < 0)
			return -1;
	}
	*(struct str_list *)field(target, row->offset) = (struct str_list){items, n};
	return 0;
}

static int read_integer(struct reader *reader, const struct toml_value *value, const struct schema_row *row,
			const struct target *target)
{
	if (!toml_get_int(value, field(target, row->offset)))
		return fail_type(reader, value, target->path, "an integer");
	return 0;
}

static int read_boolean(struct reader *reader, const struct toml_value *value, const struct schema_row *row,
			const struct target *target)
{
	if (!toml_get_bool(value, field(target, row->offset)))
		return fail_type(reader, value, target->path, "true or false");
	return 0;
}

static int read_open(struct reader *reader, const struct toml_value *value, const struct schema_row *row,
		     const struct target *target)
{
	if (toml_type(value) != TOML_TABLE)
		return fail_type(reader, value, target->path, "a table");
	*(const struct toml_value **)field(target, row->offset) = value;
	return 0;
}

static int read_inner_table(struct reader *reader, const struct toml_value *value, const struct schema_row *row,
			    const struct target *target)
{
	if (toml_type(value) != TOML_TABLE)
		return fail_type(reader, value, target->path, "a table");
	struct target inner = {row->table, field(target, row->offset), target->path};
	return read_table(reader, value, &inner);
}

/* Elements of an array of tables, or members of a table of tables. */
static int read_many(struct reader *reader, const struct toml_value *value, const struct schema_row *row,
		     const struct target *target)
{
	bool named = row->kind == SCHEMA_MAP;
	if (toml_type(value) != (named ? TOML_TABLE : TOML_ARRAY))
		return fail_type(reader, value, target->path, named ? "a table" : "an array of tables");
	size_t size = row->table->size;
	char *objects = arena_array(reader->arena, toml_length(value) + 1, size);
	size_t n = 0;
	struct toml_iter it;
	for (toml_iter_init(&it, value); toml_iter_next(&it); n++) {
		struct target inner = {row->table, objects + n * size, target->path};
		if (named) {
			inner.path = dotted(reader, target->path, it.name);
			*(struct str *)field(&inner, row->table->name) = it.name;
		}
		if (toml_type(it.value) != TOML_TABLE)
			return fail_type(reader, it.value, inner.path, named ? "a table" : "an array of tables alone");
		if (read_table(reader, it.value, &inner) < 0)
			return -1;
	}
	memcpy(field(target, row->offset), &objects, sizeof objects); /* whatever type the pointer there has */
	*(size_t *)field(target, row->count) = n;
	return 0;
}

/* `target->path` is that of the value. */
typedef int read_fn(struct reader *reader, const struct toml_value *value, const struct schema_row *row,
		    const struct target *target);

static read_fn *const readers[SCHEMA_KIND__MAX] = {
	[SCHEMA_STRING] = read_string,   [SCHEMA_STRINGS] = read_strings, [SCHEMA_INTEGER] = read_integer,
	[SCHEMA_BOOLEAN] = read_boolean, [SCHEMA_OPEN] = read_open,       [SCHEMA_TABLE] = read_inner_table,
	[SCHEMA_TABLES] = read_many,     [SCHEMA_MAP] = read_many,
};

/* ---- unknown keys ---- */

static bool is_noted(const struct reader *reader, struct str path)
{
	for (size_t i = 0; i < reader->unknown_n; i++) {
		if (str_eq(reader->unknown[i], path))
			return true;
	}
	return false;
}

/* The key and every key below it; the tables of one array have the same names, which are noted once. */
static void note_unknown(struct reader *reader, const struct toml_value *value, struct str path)
{
	if (reader->unknown_n == 0)
		reader->unknown_line = toml_line(value);
	if (!is_noted(reader, path))
		reader->unknown[reader->unknown_n++] = path;
	struct toml_iter it;
	for (toml_iter_init(&it, value); toml_iter_next(&it);) {
		if (reader->unknown_n == UNKNOWN_MAX)
			reader->more = true;
		if (reader->more)
			return;
		if (toml_type(value) == TOML_TABLE)
			note_unknown(reader, it.value, dotted(reader, path, it.name));
		else if (toml_type(it.value) == TOML_TABLE)
			note_unknown(reader, it.value, path);
	}
}

static int fail_unknown(struct reader *reader)
{
	AUTO_BUF names = BUF_INIT(ERR_MESSAGE_MAX - 64);
	for (size_t i = 0; i < reader->unknown_n; i++) {
		struct str name = utf8_cut(reader->unknown[i], NAME_MAX_SHOWN);
		buf_addf(&names, "%s%.*s", i == 0 ? "" : ", ", STR_FMT(name));
	}
	bool more = reader->more || !buf_ok(&names);
	fail(reader->err, ERR_PARSE_ERROR, "unknown key%s: %s%s", reader->unknown_n == 1 ? "" : "s", names.p,
	     more ? ", and more" : "");
	err_detail_list(reader->err, "unknown_keys", reader->unknown, reader->unknown_n);
	return err_at(reader->err, reader->file, reader->unknown_line);
}

/* ---- tables ---- */

static const struct schema_row *row_named(const struct schema *schema, struct str key)
{
	for (size_t i = 0; i < schema->n; i++) {
		if (str_eq(key, str_from(schema->rows[i].key)))
			return &schema->rows[i];
	}
	return NULL;
}

static int read_table(struct reader *reader, const struct toml_value *table, const struct target *target)
{
	if (target->schema->has_self)
		*(const struct toml_value **)field(target, target->schema->self) = table;
	struct toml_iter it;
	for (toml_iter_init(&it, table); toml_iter_next(&it);) {
		const struct schema_row *row = row_named(target->schema, it.name);
		struct target inner = *target;
		inner.path = dotted(reader, target->path, it.name);
		if (row == NULL && reader->unknown_n == UNKNOWN_MAX) {
			reader->more = true;
			continue;
		}
		if (row == NULL) {
			note_unknown(reader, it.value, inner.path);
			continue;
		}
		if (readers[row->kind](reader, it.value, row, &inner) < 0)
			return -1;
		if (row->has_flag)
			*(bool *)field(target, row->flag) = true;
	}
	return 0;
}

int schema_read(const struct schema *schema, const struct toml_value *root, const struct schema_source *source,
		void *object, struct err *err)
{
	struct reader reader = {.arena = source->arena, .file = source->file, .err = err};
	struct target target = {schema, object, STR_EMPTY};
	if (read_table(&reader, root, &target) < 0)
		return -1;
	return reader.unknown_n == 0 ? 0 : fail_unknown(&reader);
}
