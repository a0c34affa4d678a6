#include "text/yaml_edit.h"
#include "base/ascii.h"
#include "base/escape.h"
#include "text/yaml.h"

#define INDENT          2
#define BYTE_ORDER_MARK S("\xef\xbb\xbf")

struct editing {
	struct str text;
	const char *file;
	const struct yaml_edit *edit;
	struct buf *out;
	const char *newline; /* as the text has them */
};

/* ------------------------------------------------------------------------------------------------------------- lines */

static size_t line_begin(struct str text, size_t at)
{
	while (at > 0 && text.p[at - 1] != '\n')
		at--;
	return at;
}

/* Behind the line that `at` is in; `at` itself when it is the beginning of one. */
static size_t line_end(struct str text, size_t at)
{
	if (at > 0 && text.p[at - 1] == '\n')
		return at;
	while (at < text.n && text.p[at++] != '\n')
		;
	return at;
}

static void put(struct editing *e, size_t from, size_t to)
{
	buf_add_str(e->out, str_slice(e->text, from, to));
}

static void put_indent(struct editing *e, size_t columns)
{
	for (size_t i = 0; i < columns; i++)
		buf_add_char(e->out, ' ');
}

/* --------------------------------------------------------------------------------------------------------- the new text */

/* `key:` and the value, behind it or under it. */
static void put_value(struct editing *e, size_t column)
{
	struct str rest = e->edit->value;
	while (str_ends(rest, S("\n")))
		rest.n--;
	if (str_find_char(rest, '\n') == STR_NPOS) {
		buf_add_char(e->out, ' ');
		buf_add_str(e->out, rest);
		return;
	}
	while (rest.n > 0) {
		struct str line;
		rest = str_cut(rest, '\n', &line);
		buf_add_z(e->out, e->newline);
		put_indent(e, column + INDENT);
		buf_add_str(e->out, line);
	}
}

/* The keys from `depth` on, each deeper than the one before, and the value; whole lines. */
static void put_keys(struct editing *e, size_t depth, size_t column)
{
	for (size_t i = depth; i < e->edit->n_path; i++, column += INDENT) {
		put_indent(e, column);
		yaml_put_text(e->out, e->edit->path[i]);
		buf_add_char(e->out, ':');
		if (i + 1 < e->edit->n_path)
			buf_add_z(e->out, e->newline);
	}
	put_value(e, column - INDENT);
	buf_add_z(e->out, e->newline);
}

/* ------------------------------------------------------------------------------------------------------------ changes */

static size_t column_of(const struct editing *e, size_t at)
{
	size_t begin = line_begin(e->text, at);
	return at - begin - (begin == 0 && str_starts(e->text, BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.n : 0);
}

static bool is_gap(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* In the place of a value that is there, with what follows it on its line. */
static void replace(struct editing *e, const struct yaml_value *value)
{
	struct yaml_span span = yaml_span(value);
	/* A value of several lines goes with its lines; what stands behind a value of one line (a comment) stays. */
	size_t end = span.end;
	struct str old = str_slice(e->text, span.begin, end);
	bool lines = str_find_char(old, '\n') != STR_NPOS || str_find_char(e->edit->value, '\n') != STR_NPOS;
	size_t colon = span.key;
	while (e->text.p[colon] != ':' || (colon + 1 < span.begin && !is_gap(e->text.p[colon + 1])))
		colon++;
	put(e, 0, colon + 1);
	put_value(e, column_of(e, span.key));
	if (lines) {
		buf_add_z(e->out, e->newline);
		put(e, line_end(e->text, end), e->text.n);
	} else {
		put(e, end, e->text.n);
	}
}

/* Behind the last member of a mapping, or in the place of what is nothing yet. */
static int insert(struct editing *e, const struct yaml_value *parent, size_t depth, struct err *err)
{
	if (yaml_kind(parent) == YAML_NULL) {
		struct yaml_span span = yaml_span(parent);
		size_t column = depth == 0 ? 0 : column_of(e, span.key) + INDENT;
		size_t at = depth == 0 ? e->text.n : line_end(e->text, span.key + 1);
		put(e, 0, at);
		if (at > 0 && e->text.p[at - 1] != '\n')
			buf_add_z(e->out, e->newline);
		put_keys(e, depth, column);
		put(e, at, e->text.n);
		return 0;
	}
	char shown[ESCAPE_SHOWN_SIZE];
	struct str name = depth == 0 ? S("the document") : e->edit->path[depth - 1];
	if (yaml_kind(parent) != YAML_MAP)
		return fail(err, ERR_VALIDATION_ERROR, "'%s' is %s and not a mapping; change it by hand",
			    escape_shown(name, shown), yaml_kind_name(yaml_kind(parent)));
	if (yaml_span(parent).flow)
		return fail(err, ERR_VALIDATION_ERROR,
			    "'%s' is written in braces; write it in lines, or change it by hand",
			    escape_shown(name, shown));
	struct yaml_iter it;
	size_t column = 0;
	yaml_iter_init(&it, parent);
	if (yaml_iter_next(&it))
		column = column_of(e, yaml_span(it.value).key);
	size_t at = line_end(e->text, yaml_span(parent).end);
	put(e, 0, at);
	if (at > 0 && e->text.p[at - 1] != '\n')
		buf_add_z(e->out, e->newline);
	put_keys(e, depth, column);
	put(e, at, e->text.n);
	return 0;
}

static int drop(struct editing *e, const struct yaml_value *const *found, struct err *err)
{
	size_t depth = e->edit->n_path;
	while (depth > 1 && yaml_length(found[depth - 1]) == 1)
		depth--;
	if (yaml_span(found[depth - 1]).flow)
		return fail(err, ERR_VALIDATION_ERROR, "what is to go is written in braces; change it by hand");
	struct yaml_span span = yaml_span(found[depth]);
	put(e, 0, line_begin(e->text, span.key));
	put(e, line_end(e->text, MAX(span.end, span.key + 1)), e->text.n);
	return 0;
}

static int change(struct editing *e, const struct yaml_value *root, bool *ret_changed, struct err *err)
{
	const struct yaml_value *found[YAML_EDIT_PATH_MAX + 1] = {root};
	size_t depth = 0;
	const struct yaml_value *next;
	while (depth < e->edit->n_path && (next = yaml_member(found[depth], e->edit->path[depth])) != NULL)
		found[++depth] = next;
	bool there = depth == e->edit->n_path;
	*ret_changed = there || e->edit->value.p != NULL;
	if (!*ret_changed)
		put(e, 0, e->text.n);
	else if (e->edit->value.p == NULL)
		return drop(e, found, err);
	else if (!there)
		return insert(e, found[depth], depth, err);
	else if (depth > 0 && yaml_span(found[depth - 1]).flow)
		return fail(err, ERR_VALIDATION_ERROR, "what is to be set is written in braces; change it by hand");
	else
		replace(e, found[depth]);
	return 0;
}

/* Of the last of the path's members that are there. */
static uint32_t line_of(const struct yaml_edit *edit, const struct yaml_value *value)
{
	uint32_t line = yaml_line(value);
	for (size_t i = 0; i < edit->n_path && value != NULL; i++) {
		value = yaml_member(value, edit->path[i]);
		line = value != NULL ? yaml_line(value) : line;
	}
	return line;
}

/* ------------------------------------------------------------------------------------------------------ what came of it */

static bool is_same(const struct yaml_value *a, const struct yaml_value *b)
{
	struct str x = STR_EMPTY, y = STR_EMPTY;
	if (yaml_kind(a) != yaml_kind(b) || yaml_length(a) != yaml_length(b))
		return false;
	if (yaml_get_text(a, &x) && (!yaml_get_text(b, &y) || !str_eq(x, y)))
		return false;
	struct yaml_iter i, j;
	yaml_iter_init(&i, a);
	yaml_iter_init(&j, b);
	while (yaml_iter_next(&i) && yaml_iter_next(&j)) {
		if (!str_eq(i.name, j.name) || !is_same(i.value, j.value))
			return false;
	}
	return true;
}

static size_t others(const struct yaml_value *map, struct str name)
{
	return yaml_length(map) - (yaml_member(map, name) != NULL ? 1 : 0);
}

/* The members beside those of the path are the same on each level. */
static bool is_only_change(const struct yaml_edit *edit, const struct yaml_value *a, const struct yaml_value *b)
{
	for (size_t depth = 0; depth < edit->n_path; depth++) {
		struct str key = edit->path[depth];
		struct yaml_iter it;
		if (others(a, key) != others(b, key))
			return false;
		for (yaml_iter_init(&it, a); yaml_iter_next(&it);) {
			if (!str_eq(it.name, key) && !is_same(it.value, yaml_member(b, it.name)))
				return false;
		}
		a = yaml_member(a, key);
		b = yaml_member(b, key);
	}
	return (b != NULL) == (edit->value.p != NULL);
}

int yaml_edit(struct str text, const char *file, const struct yaml_edit *edit, struct buf *out, bool *ret_changed,
	      struct err *err)
{
	AUTO(arena) *arena = arena_new();
	const struct yaml_value *root, *result;
	bool changed;
	if (yaml_parse(arena, text, file, &root, err) < 0)
		return -1;
	size_t begin = out->n;
	struct editing e = {text, file, edit, out, str_find(text, S("\r\n")) != STR_NPOS ? "\r\n" : "\n"};
	if (change(&e, root, &changed, err) < 0)
		return err_at(err, file, line_of(edit, root));
	if (buf_check(out, "the changed text", err) < 0)
		return -1;
	if (yaml_parse(arena, str_slice(buf_str(out), begin, out->n), file, &result, NULL) < 0 ||
	    !is_only_change(edit, root, result)) {
		fail(err, ERR_VALIDATION_ERROR, "the text is of a form in which this cannot be changed; do it by hand");
		return err_at(err, file, line_of(edit, root));
	}
	if (ret_changed != NULL)
		*ret_changed = changed;
	return 0;
}

/* Plain: letters, digits and a few marks, beginning with a letter, and none of the words that are no text. */
static bool is_plain(struct str text)
{
	static const struct str words[] = {S("null"), S("true"), S("false"), S("yes"), S("no"),
					   S("on"),   S("off"),  S("y"),     S("n")};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (str_eq_fold(text, words[i]))
			return false;
	}
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		bool mark = i > 0 && (c == '-' || c == '_' || c == '.' || c == '/');
		if (!ascii_is_letter(c) && !(i > 0 && ascii_is_digit(c)) && !mark && !(i == 0 && c == '/'))
			return false;
	}
	return text.n > 0;
}

void yaml_put_text(struct buf *out, struct str text)
{
	static const char hex[] = "0123456789abcdef";
	if (is_plain(text)) {
		buf_add_str(out, text);
		return;
	}
	buf_add_char(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c == '"' || c == '\\') {
			buf_add_char(out, '\\');
			buf_add_char(out, (char)c);
		} else if (c < 0x20 || c == 0x7f) {
			buf_add_str(out, S("\\x"));
			buf_add_char(out, hex[c >> 4]);
			buf_add_char(out, hex[c & 15]);
		} else {
			buf_add_char(out, (char)c);
		}
	}
	buf_add_char(out, '"');
}
