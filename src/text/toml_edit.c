#include "text/toml_edit.h"
#include "base/ascii.h"
#include "base/mem.h"
#include "text/toml.h"
#include <math.h>

#define HEADERS_MAX TOML_VALUES_MAX

struct editing {
	struct str text;
	const struct toml_edit *edit;
	struct buf *out;
	const char *newline;
	uint32_t *headers; /* lines that begin a table, rising; n of them */
	size_t n;
};

/* ------------------------------------------------------------------------------------------------------------- lines */

/* Offset of the beginning of a line, 1 and up; the text's end when there are fewer. */
static size_t line_at(struct str text, uint32_t line)
{
	size_t at = 0;
	for (uint32_t i = 1; i < line && at < text.n; i++) {
		size_t end = str_find_char(str_slice(text, at, text.n), '\n');
		at = end == STR_NPOS ? text.n : at + end + 1;
	}
	return at;
}

static struct str line_text(struct str text, size_t at)
{
	struct str line;
	(void)str_cut(str_slice(text, at, text.n), '\n', &line);
	return str_trim(line);
}

static void add_header(struct editing *e, const struct toml_value *value)
{
	uint32_t line = toml_line(value);
	if (!str_starts(line_text(e->text, line_at(e->text, line)), S("[")) || e->n == HEADERS_MAX)
		return;
	/* A table that a deeper header implies has the line of that one. */
	for (size_t i = 0; i < e->n; i++) {
		if (e->headers[i] == line)
			return;
	}
	size_t i = e->n++;
	while (i > 0 && e->headers[i - 1] > line) {
		e->headers[i] = e->headers[i - 1];
		i--;
	}
	e->headers[i] = line;
}

/* Tables and arrays of tables: everything that can stand under a header. */
static void collect(struct editing *e, const struct toml_value *value)
{
	struct toml_iter it;
	for (toml_iter_init(&it, value); toml_iter_next(&it);) {
		if (toml_type(it.value) == TOML_TABLE)
			add_header(e, it.value);
		if (toml_type(it.value) == TOML_TABLE || toml_type(it.value) == TOML_ARRAY)
			collect(e, it.value);
	}
}

/* ------------------------------------------------------------------------------------------------------------ writing */

static void put(struct editing *e, size_t from, size_t to)
{
	buf_add_str(e->out, str_slice(e->text, from, to));
}

static bool is_bare(struct str key)
{
	for (size_t i = 0; i < key.n; i++) {
		if (!ascii_is_alnum(key.p[i]) && key.p[i] != '-' && key.p[i] != '_')
			return false;
	}
	return key.n > 0;
}

void toml_put_text(struct buf *out, struct str text)
{
	buf_add_char(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c == '"' || c == '\\')
			buf_addf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_addf(out, "\\u%04x", c);
		else
			buf_add_char(out, (char)c);
	}
	buf_add_char(out, '"');
}

static void put_table(struct editing *e)
{
	buf_add_char(e->out, '[');
	for (size_t i = 0; i < e->edit->n_path; i++) {
		if (i > 0)
			buf_add_char(e->out, '.');
		if (is_bare(e->edit->path[i]))
			buf_add_str(e->out, e->edit->path[i]);
		else
			toml_put_text(e->out, e->edit->path[i]);
	}
	buf_add_z(e->out, "]");
	buf_add_z(e->out, e->newline);
	for (struct str rest = e->edit->lines, line; rest.n > 0;) {
		rest = str_cut(rest, '\n', &line);
		buf_add_str(e->out, line);
		buf_add_z(e->out, e->newline);
	}
}

static void append(struct editing *e)
{
	put(e, 0, e->text.n);
	if (e->text.n > 0 && !str_ends(e->text, S("\n")))
		buf_add_z(e->out, e->newline);
	if (e->text.n > 0)
		buf_add_z(e->out, e->newline);
	put_table(e);
}

/* ------------------------------------------------------------------------------------------------------------ changes */

/* Behind the last line of a table that is neither blank nor a comment: what follows belongs to the next one. */
static size_t behind_table(const struct editing *e, size_t from, size_t to)
{
	size_t behind = from;
	while (from < to) {
		struct str line = line_text(e->text, from);
		size_t next = str_find_char(str_slice(e->text, from, to), '\n');
		from = next == STR_NPOS ? to : from + next + 1;
		if (line.n > 0 && line.p[0] != '#')
			behind = from;
	}
	return behind;
}

static bool is_below(const struct toml_value *table, uint32_t line)
{
	struct toml_iter it;
	if (toml_type(table) == TOML_TABLE && toml_line(table) == line)
		return true;
	for (toml_iter_init(&it, table); toml_iter_next(&it);) {
		bool holds = toml_type(it.value) == TOML_TABLE || toml_type(it.value) == TOML_ARRAY;
		if (holds && is_below(it.value, line))
			return true;
	}
	return false;
}

/* What append() put before a table at the end of the text. */
static void drop_blank_line(struct buf *out, size_t begin)
{
	struct str text = str_slice(buf_str(out), begin, out->n);
	size_t last = text.n > 0 ? text.n - 1 : 0;
	while (last > 0 && text.p[last - 1] != '\n')
		last--;
	if (last > 0 && str_blank(str_slice(text, last, text.n)))
		buf_truncate(out, begin + last);
}

/* Each header of the table or below it goes with its lines; the new one stands where the first was. */
static void replace(struct editing *e, const struct toml_value *table)
{
	size_t kept = 0, begin = e->out->n;
	bool put_it = e->edit->lines.p != NULL;
	for (size_t i = 0; i < e->n; i++) {
		if (!is_below(table, e->headers[i]))
			continue;
		size_t from = line_at(e->text, e->headers[i]);
		size_t to = i + 1 < e->n ? line_at(e->text, e->headers[i + 1]) : e->text.n;
		size_t behind = behind_table(e, from, to);
		put(e, kept, from);
		if (put_it)
			put_table(e);
		/* Of what is removed the blank line behind it goes, too. */
		if (!put_it && behind < e->text.n && line_text(e->text, behind).n == 0)
			behind += line_at(str_slice(e->text, behind, e->text.n), 2);
		put_it = false;
		kept = behind;
	}
	if (e->edit->lines.p == NULL && kept == e->text.n)
		drop_blank_line(e->out, begin);
	put(e, kept, e->text.n);
}

static const struct toml_value *find(const struct toml_value *root, const struct toml_edit *edit)
{
	for (size_t i = 0; i < edit->n_path; i++)
		root = toml_member(root, edit->path[i]);
	return root;
}

/* ------------------------------------------------------------------------------------------------------ what came of it */

static bool is_same_scalar(const struct toml_value *a, const struct toml_value *b)
{
	struct str x = STR_EMPTY, y = STR_EMPTY;
	int64_t i = 0, j = 0;
	double f = 0, g = 0;
	bool p = false, q = false;
	if (toml_get_str(a, &x))
		return toml_get_str(b, &y) && str_eq(x, y);
	if (toml_get_datetime(a, &x))
		return toml_get_datetime(b, &y) && str_eq(x, y);
	if (toml_get_int(a, &i))
		return toml_get_int(b, &j) && i == j;
	if (toml_get_float(a, &f))
		return toml_get_float(b, &g) && (f == g || (isnan(f) && isnan(g)));
	return toml_get_bool(a, &p) && toml_get_bool(b, &q) && p == q;
}

static bool is_same(const struct toml_value *a, const struct toml_value *b)
{
	if (b == NULL || toml_type(a) != toml_type(b) || toml_length(a) != toml_length(b))
		return false;
	if (toml_type(a) != TOML_TABLE && toml_type(a) != TOML_ARRAY)
		return is_same_scalar(a, b);
	struct toml_iter i, j;
	toml_iter_init(&i, a);
	toml_iter_init(&j, b);
	while (toml_iter_next(&i) && toml_iter_next(&j)) {
		bool table = toml_type(a) == TOML_TABLE;
		if (!is_same(i.value, table ? toml_member(b, i.name) : j.value))
			return false;
	}
	return true;
}

/* Beside `table`, which stands there now (NULL: nothing does), everything is as it was. */
static bool is_only_change(const struct toml_edit *edit, const struct toml_value *a, const struct toml_value *b,
			   const struct toml_value *table)
{
	for (size_t depth = 0; depth < edit->n_path; depth++) {
		struct toml_iter it;
		size_t n = 0;
		struct str key = edit->path[depth];
		for (toml_iter_init(&it, a); a != NULL && toml_iter_next(&it);) {
			if (!str_eq(it.name, key) && !is_same(it.value, toml_member(b, it.name)))
				return false;
			n += !str_eq(it.name, key);
		}
		if (toml_length(b) - (toml_member(b, key) != NULL ? 1 : 0) != n)
			return false;
		a = toml_member(a, key);
		b = toml_member(b, key);
	}
	return table == NULL ? b == NULL : is_same(table, b);
}

static int check_result(struct arena *arena, struct str result, const struct toml_edit *edit,
			const struct toml_value *before, struct err *err)
{
	const struct toml_value *after, *alone = NULL;
	AUTO_BUF text = BUF_INIT(edit->lines.n + 4096);
	struct editing e = {.edit = edit, .out = &text, .newline = "\n"};
	if (edit->lines.p != NULL) {
		put_table(&e);
		if (toml_parse(arena, buf_str(&text), NULL, &alone, err) < 0)
			return wrap(err, "the new table");
		alone = find(alone, edit);
	}
	if (toml_parse(arena, result, NULL, &after, NULL) == 0 && is_only_change(edit, before, after, alone))
		return 0;
	return fail(err, ERR_VALIDATION_ERROR,
		    "the table is written in a way that cannot be changed here; do it by hand");
}

int toml_edit(struct str text, const char *file, const struct toml_edit *edit, struct buf *out, bool *ret_changed,
	      struct err *err)
{
	AUTO(arena) *arena = arena_new();
	const struct toml_value *before;
	if (toml_parse(arena, text, file, &before, err) < 0)
		return -1;
	struct editing e = {text, edit, out, str_find(text, S("\r\n")) != STR_NPOS ? "\r\n" : "\n", NULL, 0};
	size_t begin = out->n;
	const struct toml_value *table = find(before, edit);
	bool changed = table != NULL || edit->lines.p != NULL;
	AUTO_FREE uint32_t *headers = xcalloc(HEADERS_MAX, sizeof *headers);
	e.headers = headers;
	collect(&e, before);
	if (table != NULL)
		replace(&e, table);
	else if (changed)
		append(&e);
	else
		put(&e, 0, text.n);
	if (buf_check(out, "the changed text", err) < 0 ||
	    check_result(arena, str_slice(buf_str(out), begin, out->n), edit, before, err) < 0)
		return -1;
	if (ret_changed != NULL)
		*ret_changed = changed;
	return 0;
}
