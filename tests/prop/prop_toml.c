/*
 * A random tree is written as TOML, each part in a spelling chosen at random (kinds of strings, bases, inline tables,
 * dotted keys, headers, comments, line ends), and must be read back as the same tree, in the same order.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "text/toml.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { DOCUMENTS = 3000, CHILDREN_MAX = 5, DEEPEST = 5 };

struct node {
	enum toml_type type;
	struct str name;
	struct str text; /* strings, dates and times */
	int64_t integer;
	double real;
	struct node *children;
	size_t n;
};

struct writer {
	struct arena *arena;
	struct buf out;
	const char *newline;
};

static unsigned pick(unsigned n)
{
	return (unsigned)rand() % n;
}

/* ---- trees ---- */

static struct str random_text(struct arena *arena)
{
	static const char *const pieces[] = {"a",  "Z",  "0", "_", "-", " ",          ".",    "\"",   "'", "\\",
					     "\n", "\t", "#", "=", "é", "\U0001F600", "\x01", "\x7f", "]", "\r"};
	AUTO_BUF text = BUF_INIT(256);
	for (unsigned n = pick(8); n > 0; n--)
		buf_add_z(&text, pieces[pick(pick(2) ? 5 : ARRAY_LEN(pieces))]);
	return arena_str(arena, buf_str(&text));
}

static void fill_scalar(struct arena *arena, struct node *node)
{
	static const struct {
		enum toml_type type;
		struct str text;
	} datetimes[] = {
		{TOML_OFFSET_DATETIME, {"2024-02-29T23:59:60.5+05:30", 27}},
		{TOML_LOCAL_DATETIME, {"1979-05-27 07:32:00", 19}},
		{TOML_LOCAL_DATE, {"0000-01-01", 10}},
		{TOML_LOCAL_TIME, {"00:00:00.000001", 15}},
	};
	switch (pick(5)) {
	case 0:
		node->type = TOML_BOOLEAN;
		node->integer = pick(2);
		return;
	case 1:
		node->type = TOML_INTEGER;
		node->integer = (int64_t)((uint64_t)rand() << 33 ^ (uint64_t)rand()) >> pick(64);
		if (pick(2) && node->integer > INT64_MIN)
			node->integer = -node->integer;
		return;
	case 2:
		node->type = TOML_FLOAT;
		node->real = (double)(rand() - RAND_MAX / 2) / (double)(1 + pick(1000));
		return;
	case 3: {
		unsigned which = pick(ARRAY_LEN(datetimes));
		node->type = datetimes[which].type;
		node->text = datetimes[which].text;
		return;
	}
	default:
		node->type = TOML_STRING;
		node->text = random_text(arena);
	}
}

static bool has_child(const struct node *node, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(node->children[i].name, name))
			return true;
	}
	return false;
}

static void fill(struct arena *arena, struct node *node, unsigned depth, bool is_table)
{
	if (!is_table && (depth >= DEEPEST || pick(3) > 0)) {
		fill_scalar(arena, node);
		return;
	}
	node->type = is_table || pick(2) ? TOML_TABLE : TOML_ARRAY;
	node->n = depth < DEEPEST ? pick(CHILDREN_MAX + 1) : 0;
	node->children = arena_array(arena, CHILDREN_MAX + 1, sizeof *node->children);
	bool of_tables = node->type == TOML_ARRAY && pick(2);
	for (size_t i = 0; i < node->n; i++) {
		struct node *child = &node->children[i];
		fill(arena, child, depth + 1, of_tables);
		while (node->type == TOML_TABLE && has_child(node, i, child->name))
			child->name = random_text(arena);
	}
}

/* ---- their text ---- */

static void blanks(struct writer *writer)
{
	for (unsigned n = pick(3); n > 0; n--)
		buf_add_char(&writer->out, pick(4) ? ' ' : '\t');
}

static void end_line(struct writer *writer)
{
	blanks(writer);
	if (pick(6) == 0)
		buf_add_z(&writer->out, "# [not] = a 'table'");
	buf_add_z(&writer->out, writer->newline);
	if (pick(6) == 0)
		buf_add_z(&writer->out, writer->newline);
}

static void put_escaped(struct writer *writer, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c < 0x20 || c == 0x7f || (c < 0x80 && pick(8) == 0))
			buf_addf(&writer->out, pick(2) ? "\\u%04x" : "\\U%08X", c);
		else if (c == '"' || c == '\\')
			buf_addf(&writer->out, "\\%c", c);
		else
			buf_add_char(&writer->out, (char)c);
	}
}

static bool fits_literal(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c == '\'' || (c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static void put_string(struct writer *writer, struct str text, bool may_span_lines)
{
	if (fits_literal(text) && pick(2)) {
		bool three = may_span_lines && pick(2);
		const char *quotes = three ? "'''" : "'";
		buf_addf(&writer->out, "%s%s%.*s%s", quotes, three ? writer->newline : "", STR_FMT(text), quotes);
		return;
	}
	bool three = may_span_lines && pick(2);
	buf_add_z(&writer->out, three ? "\"\"\"" : "\"");
	if (three && pick(2))
		buf_addf(&writer->out, "\\ %s%s \t", writer->newline, writer->newline);
	/* Blanks behind an escaped line end would be swallowed, so the first character is escaped. */
	if (three && text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t' || text.p[0] == '\n' || text.p[0] == '\r')) {
		buf_addf(&writer->out, "\\u%04x", (unsigned)(unsigned char)text.p[0]);
		text = str_slice(text, 1, text.n);
	}
	put_escaped(writer, text);
	buf_add_z(&writer->out, three ? "\"\"\"" : "\"");
}

static void put_key(struct writer *writer, struct str key)
{
	bool bare = key.n > 0;
	for (size_t i = 0; i < key.n; i++)
		bare = bare && str_find_char(S("aZ0_-"), key.p[i]) != STR_NPOS;
	if (bare && pick(3) > 0)
		buf_add_str(&writer->out, key);
	else
		put_string(writer, key, false);
}

static void put_integer(struct writer *writer, int64_t integer)
{
	unsigned spelling = integer >= 0 ? pick(4) : 0;
	if (spelling == 1)
		buf_addf(&writer->out, "0x%" PRIX64, (uint64_t)integer);
	else if (spelling == 2)
		buf_addf(&writer->out, "0o%" PRIo64, (uint64_t)integer);
	else if (integer >= 1000 && pick(2))
		buf_addf(&writer->out, "+%" PRId64 "_%03" PRId64, integer / 1000, integer % 1000);
	else
		buf_addf(&writer->out, "%" PRId64, integer);
}

static void put_inline(struct writer *writer, const struct node *node, bool may_span_lines);

static void put_children(struct writer *writer, const struct node *node, bool may_span_lines)
{
	bool array = node->type == TOML_ARRAY;
	for (size_t i = 0; i < node->n; i++) {
		if (array && may_span_lines && pick(3) == 0)
			end_line(writer);
		blanks(writer);
		if (!array) {
			put_key(writer, node->children[i].name);
			buf_add_z(&writer->out, pick(2) ? " = " : "=");
		}
		/* Lines end within arrays and multi-line strings even when those stand in an inline table. */
		put_inline(writer, &node->children[i], may_span_lines);
		blanks(writer);
		if (i + 1 < node->n || (array && pick(4) == 0))
			buf_add_char(&writer->out, ',');
	}
}

static void put_inline(struct writer *writer, const struct node *node, bool may_span_lines)
{
	switch (node->type) {
	case TOML_STRING:
		put_string(writer, node->text, may_span_lines);
		break;
	case TOML_INTEGER:
		put_integer(writer, node->integer);
		break;
	case TOML_FLOAT:
		buf_addf(&writer->out, "%.17e", node->real);
		break;
	case TOML_BOOLEAN:
		buf_add_z(&writer->out, node->integer ? "true" : "false");
		break;
	case TOML_ARRAY:
		buf_add_char(&writer->out, '[');
		put_children(writer, node, may_span_lines);
		buf_add_char(&writer->out, ']');
		break;
	case TOML_TABLE:
		buf_add_char(&writer->out, '{');
		put_children(writer, node, may_span_lines);
		buf_add_char(&writer->out, '}');
		break;
	case TOML_OFFSET_DATETIME:
	case TOML_LOCAL_DATETIME:
	case TOML_LOCAL_DATE:
	case TOML_LOCAL_TIME:
		buf_add_str(&writer->out, node->text);
	}
}

/* A non-empty table whose last members are spelled `prefix.key = value`. */
static void put_dotted(struct writer *writer, const char *prefix, const struct node *table)
{
	for (size_t i = 0; i < table->n; i++) {
		blanks(writer);
		buf_add_z(&writer->out, prefix);
		buf_add_z(&writer->out, pick(3) ? "." : " . ");
		put_key(writer, table->children[i].name);
		buf_add_z(&writer->out, " = ");
		put_inline(writer, &table->children[i], true);
		end_line(writer);
	}
}

static const char *key_text(struct writer *writer, const char *prefix, struct str name)
{
	struct writer key = {.arena = writer->arena, .out = BUF_INIT(4096), .newline = "\n"};
	if (prefix[0] != '\0')
		buf_addf(&key.out, "%s.", prefix);
	put_key(&key, name);
	const char *text = arena_z(writer->arena, buf_str(&key.out));
	buf_release(&key.out);
	return text;
}

static bool is_table_array(const struct node *node)
{
	bool tables = node->type == TOML_ARRAY && node->n > 0;
	for (size_t i = 0; i < node->n; i++)
		tables = tables && node->children[i].type == TOML_TABLE;
	return tables;
}

/* Once a header has been written no plain member may follow, so whatever comes behind the first is written by headers. */
static size_t plain_members(const struct node *table)
{
	size_t plain = table->n;
	while (plain > 0 &&
	       (table->children[plain - 1].type == TOML_TABLE || is_table_array(&table->children[plain - 1])))
		plain--;
	return plain + pick((unsigned)(table->n - plain + 1));
}

static void put_table(struct writer *writer, const char *path, const struct node *table)
{
	size_t plain = plain_members(table);
	for (size_t i = 0; i < plain; i++) {
		const struct node *member = &table->children[i];
		if (member->type == TOML_TABLE && member->n > 0 && pick(2)) {
			put_dotted(writer, key_text(writer, "", member->name), member);
			continue;
		}
		put_key(writer, member->name);
		blanks(writer);
		buf_add_char(&writer->out, '=');
		blanks(writer);
		put_inline(writer, member, true);
		end_line(writer);
	}
	for (size_t i = plain; i < table->n; i++) {
		const struct node *member = &table->children[i];
		const char *inner = key_text(writer, path, member->name);
		bool array = member->type == TOML_ARRAY;
		for (size_t k = 0; k < (array ? member->n : 1); k++) {
			blanks(writer);
			buf_addf(&writer->out, array ? "[[ %s ]]" : "[ %s ]", inner);
			end_line(writer);
			put_table(writer, inner, array ? &member->children[k] : member);
		}
	}
}

/* ---- the comparison ---- */

static bool same(const struct node *node, const struct toml_value *value)
{
	struct str text;
	int64_t integer;
	double real;
	bool boolean;
	if (toml_type(value) != node->type || toml_length(value) != node->n)
		return false;
	if (toml_get_str(value, &text) || toml_get_datetime(value, &text))
		return str_eq(text, node->text);
	if (toml_get_int(value, &integer))
		return integer == node->integer;
	if (toml_get_float(value, &real))
		return real == node->real;
	if (toml_get_bool(value, &boolean))
		return boolean == (node->integer != 0);
	struct toml_iter it;
	size_t i = 0;
	for (toml_iter_init(&it, value); toml_iter_next(&it); i++) {
		if (!str_eq(it.name, node->children[i].name) || !same(&node->children[i], it.value))
			return false;
	}
	return true;
}

static void reads_back_what_was_written(void **state)
{
	(void)state;
	static struct err err;
	size_t bytes = 0;
	srand(20);
	for (int i = 0; i < DOCUMENTS; i++) {
		AUTO(arena) *arena = arena_new();
		struct node tree = {0};
		fill(arena, &tree, 0, true);
		struct writer writer = {.arena = arena, .out = BUF_INIT(8 << 20), .newline = pick(2) ? "\n" : "\r\n"};
		put_table(&writer, "", &tree);
		assert_true(buf_ok(&writer.out));
		const struct toml_value *root;
		if (toml_parse(arena, buf_str(&writer.out), NULL, &root, &err) < 0)
			fail_msg("document %d: %s in line %u of:\n%s", i, err.message, err.line, writer.out.p);
		if (!same(&tree, root))
			fail_msg("document %d is read differently:\n%s", i, writer.out.p);
		bytes += writer.out.n;
		buf_release(&writer.out);
	}
	print_message("%d documents, %zu bytes\n", DOCUMENTS, bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_back_what_was_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
