#include "text/jsonc_edit.h"
#include "base/escape.h"
#include "base/mem.h"
#include "text/json.h"
#include "text/json_writer.h"

#define BYTE_ORDER_MARK S("\xef\xbb\xbf")
#define UNIT_MAX        16 /* blanks of one level */

/* ----------------------------------------------------------------------------------------------------------- stripping */

static uint32_t line_of(struct str text, size_t at)
{
	uint32_t line = 1;
	for (size_t i = 0; i < at; i++)
		line += text.p[i] == '\n';
	return line;
}

static bool is_gap(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t behind_string(struct str text, size_t at)
{
	for (at++; at < text.n && text.p[at] != '"'; at++) {
		if (text.p[at] == '\\')
			at++;
	}
	return MIN(at + 1, text.n);
}

static size_t behind_comment(struct str text, size_t at)
{
	if (text.p[at + 1] == '/') {
		while (at < text.n && text.p[at] != '\n')
			at++;
		return at;
	}
	size_t end = str_find(str_slice(text, at + 2, text.n), S("*/"));
	return end == STR_NPOS ? STR_NPOS : at + 2 + end + 2;
}

static void blank(char *p, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		if (p[i] != '\n' && p[i] != '\r')
			p[i] = ' ';
	}
}

/* A comma before a bracket that closes. */
static void blank_commas(char *p, size_t n)
{
	struct str text = str_of(p, n);
	size_t comma = STR_NPOS;
	for (size_t i = 0; i < n;) {
		if (p[i] == '"') {
			comma = STR_NPOS;
			i = behind_string(text, i);
			continue;
		}
		if (p[i] == ',')
			comma = i;
		else if ((p[i] == '}' || p[i] == ']') && comma != STR_NPOS)
			p[comma] = ' ';
		if (p[i] != ',' && !is_gap(p[i]))
			comma = STR_NPOS;
		i++;
	}
}

int jsonc_strip(struct str text, const char *file, struct buf *out, struct err *err)
{
	size_t begin = out->n;
	buf_add_str(out, text);
	if (buf_check(out, "the text", err) < 0)
		return -1;
	char *p = out->p + begin;
	if (str_starts(text, BYTE_ORDER_MARK))
		blank(p, 0, BYTE_ORDER_MARK.n);
	for (size_t i = 0; i < text.n;) {
		bool comment = text.p[i] == '/' && i + 1 < text.n && (text.p[i + 1] == '/' || text.p[i + 1] == '*');
		if (comment) {
			size_t end = behind_comment(text, i);
			if (end == STR_NPOS) {
				(void)fail(err, ERR_PARSE_ERROR, "a comment that does not end");
				return err_at(err, file, line_of(text, i));
			}
			blank(p, i, end);
			i = end;
		} else {
			i = text.p[i] == '"' ? behind_string(text, i) : i + 1;
		}
	}
	blank_commas(p, text.n);
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------ finding */

/* Of a text that is known to be JSON: where a member stands. */
struct member {
	size_t key, begin, end; /* of its value, from its first byte to behind its last */
};
struct object {
	size_t open, close; /* its braces */
	bool empty;
	struct member first, last; /* unless it is empty */
};

static size_t skip_gaps(struct str plain, size_t at)
{
	while (at < plain.n && is_gap(plain.p[at]))
		at++;
	return at;
}

static size_t behind_value(struct str plain, size_t at)
{
	if (plain.p[at] == '"')
		return behind_string(plain, at);
	size_t depth = 0;
	while (at < plain.n) {
		char c = plain.p[at];
		if (c == '"') {
			at = behind_string(plain, at);
			continue;
		}
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth-- == 0)
			return at;
		else if (depth == 0 && (c == ',' || is_gap(c)))
			return at;
		at++;
		if (depth == 0 && (c == '}' || c == ']'))
			return at;
	}
	return at;
}

static bool key_is(struct str plain, size_t at, struct str name)
{
	AUTO_BUF list = BUF_INIT((size_t)1 << 20);
	struct str key;
	buf_add_char(&list, '[');
	buf_add_str(&list, str_slice(plain, at, behind_string(plain, at)));
	buf_add_char(&list, ']');
	AUTO(json) *json = json_parse(buf_str(&list), JSON_READ_ALLOW_NUL, NULL);
	return json != NULL && json_get_str(json_at(json, 0), &key) && str_eq(key, name);
}

/* Reads the object whose brace is at `at`; true when it has the member, whose place is then *ret_found. */
static bool read_object(struct str plain, size_t at, struct str name, struct object *ret, struct member *ret_found)
{
	bool found = false;
	*ret = (struct object){.open = at, .empty = true};
	at = skip_gaps(plain, at + 1);
	while (plain.p[at] != '}') {
		struct member m = {.key = at};
		at = skip_gaps(plain, behind_string(plain, at));
		m.begin = skip_gaps(plain, at + 1); /* behind the colon */
		m.end = behind_value(plain, m.begin);
		if (ret->empty)
			ret->first = m;
		ret->last = m;
		ret->empty = false;
		if (!found && key_is(plain, m.key, name)) {
			found = true;
			*ret_found = m;
		}
		at = skip_gaps(plain, m.end);
		if (plain.p[at] == ',')
			at = skip_gaps(plain, at + 1);
	}
	ret->close = at;
	return found;
}

/* ------------------------------------------------------------------------------------------------------------ writing */

struct editing {
	struct str text, plain;
	const struct jsonc_edit *edit;
	struct buf *out;
	const char *newline;
	struct str unit; /* of indentation */
};

static size_t line_begin(struct str text, size_t at)
{
	while (at > 0 && text.p[at - 1] != '\n')
		at--;
	return at;
}

/* The blanks at the beginning of the line that `at` is in. */
static struct str indent_at(struct str text, size_t at)
{
	size_t begin = line_begin(text, at), end = begin;
	while (end < at && (text.p[end] == ' ' || text.p[end] == '\t'))
		end++;
	return str_slice(text, begin, end);
}

static struct str find_unit(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '\n')
			continue;
		size_t end = i + 1;
		while (end < text.n && (text.p[end] == ' ' || text.p[end] == '\t'))
			end++;
		if (end > i + 1 && end < text.n && text.p[end] == '"')
			return str_slice(text, i + 1, MIN(end, i + 1 + UNIT_MAX));
	}
	return S("  ");
}

static void put(struct editing *e, size_t from, size_t to)
{
	buf_add_str(e->out, str_slice(e->text, from, to));
}

static void put_line(struct editing *e, struct str indent, size_t levels)
{
	buf_add_z(e->out, e->newline);
	buf_add_str(e->out, indent);
	for (size_t i = 0; i < levels; i++)
		buf_add_str(e->out, e->unit);
}

static void put_quoted(struct editing *e, struct str text)
{
	struct json_writer w;
	jsonw_init(&w, e->out, JSON_WRITER_PLAIN);
	jsonw_str(&w, text);
}

static void put_json(struct editing *e, const struct json *json, struct str indent, size_t level);

static void put_members(struct editing *e, const struct json *json, struct str indent, size_t level)
{
	struct json_iter it;
	size_t n = 0;
	buf_add_char(e->out, '{');
	for (json_iter_init(&it, json); json_iter_next(&it); n++) {
		if (n > 0)
			buf_add_char(e->out, ',');
		put_line(e, indent, level + 1);
		put_quoted(e, it.name);
		buf_add_z(e->out, ": ");
		put_json(e, it.value, indent, level + 1);
	}
	put_line(e, indent, level);
	buf_add_char(e->out, '}');
}

/* Objects in lines, everything else in one. */
static void put_json(struct editing *e, const struct json *json, struct str indent, size_t level)
{
	if (json_kind(json) == JSON_KIND_OBJECT && json_length(json) > 0) {
		put_members(e, json, indent, level);
		return;
	}
	struct json_writer w;
	jsonw_init(&w, e->out, JSON_WRITER_PLAIN);
	jsonw_value(&w, json);
}

/* "key": value, with the keys from `depth` on around it. */
static void put_keys(struct editing *e, size_t depth, struct str indent, const struct json *value)
{
	size_t deeper = e->edit->n_path - 1 - depth;
	for (size_t i = 0; i <= deeper; i++) {
		if (i > 0)
			put_line(e, indent, i);
		put_quoted(e, e->edit->path[depth + i]);
		buf_add_z(e->out, i < deeper ? ": {" : ": ");
	}
	put_json(e, value, indent, deeper);
	for (size_t i = deeper; i > 0; i--) {
		put_line(e, indent, i - 1);
		buf_add_char(e->out, '}');
	}
}

/* ------------------------------------------------------------------------------------------------------------ changes */

/* Where the comma behind a value is, also one before a bracket that closes; STR_NPOS = there is none. */
static size_t comma_behind(const struct editing *e, size_t at)
{
	while (at < e->text.n && is_gap(e->text.p[at]))
		at++;
	return at < e->text.n && e->text.p[at] == ',' ? at : STR_NPOS;
}

static void insert(struct editing *e, const struct object *parent, size_t depth, const struct json *value)
{
	if (parent->empty) {
		struct str outer = indent_at(e->text, parent->open);
		AUTO_BUF inner = BUF_INIT(4096);
		buf_add_str(&inner, outer);
		buf_add_str(&inner, e->unit);
		put(e, 0, parent->open + 1);
		/* What stands between the braces can only be blanks and comments. */
		size_t inside = parent->close;
		while (inside > parent->open + 1 && is_gap(e->text.p[inside - 1]))
			inside--;
		put(e, parent->open + 1, inside);
		put_line(e, buf_str(&inner), 0);
		put_keys(e, depth, buf_str(&inner), value);
		put_line(e, outer, 0);
		put(e, parent->close, e->text.n);
		return;
	}
	/* A comma of the text's own behind the last member is used; else ours goes directly behind its value. */
	size_t end = parent->last.end;
	size_t comma = comma_behind(e, end);
	bool has_comma = comma != STR_NPOS;
	bool one_line = line_begin(e->text, parent->last.key) <= parent->open;
	struct str indent = indent_at(e->text, parent->last.key);
	size_t at = has_comma ? comma + 1 : end;
	put(e, 0, at);
	if (!has_comma)
		buf_add_char(e->out, ',');
	if (one_line) {
		buf_add_char(e->out, ' ');
	} else {
		/* A comment behind the last member stays on its line. */
		size_t rest = at;
		while (rest < parent->close && e->text.p[rest] != '\n')
			rest++;
		struct str tail = str_slice(e->text, at, rest);
		if (!str_blank(tail) && rest < parent->close) {
			while (rest > at && (e->text.p[rest - 1] == '\r'))
				rest--;
			put(e, at, rest);
			at = rest;
		}
		put_line(e, indent, 0);
	}
	put_keys(e, depth, indent, value);
	if (has_comma)
		buf_add_char(e->out, ',');
	put(e, at, e->text.n);
}

static void replace(struct editing *e, const struct member *m, const struct json *value)
{
	put(e, 0, m->begin);
	put_json(e, value, indent_at(e->text, m->key), 0);
	put(e, m->end, e->text.n);
}

/* Whether nothing but gaps and a comma would be left of the object. */
static bool is_alone(const struct editing *e, const struct object *parent, const struct member *m)
{
	size_t comma = comma_behind(e, m->end);
	size_t behind = comma != STR_NPOS ? comma + 1 : m->end;
	return parent->first.key == parent->last.key && str_blank(str_slice(e->text, parent->open + 1, m->key)) &&
	       str_blank(str_slice(e->text, behind, parent->close));
}

/*
 * The member with the comma that parts it from a neighbour; with its whole line when it has one for itself. An object that is
 * left without anything is "{}", as insert() mostly found it.
 */
static void drop(struct editing *e, const struct object *parent, const struct member *m)
{
	size_t from = m->key, to = m->end;
	size_t comma = comma_behind(e, m->end);
	size_t before = STR_NPOS;
	if (is_alone(e, parent, m)) {
		put(e, 0, parent->open + 1);
		put(e, parent->close, e->text.n);
		return;
	}
	if (comma != STR_NPOS) {
		to = comma + 1;
	} else if (m->key != parent->first.key) {
		before = m->key;
		while (e->plain.p[before] != ',')
			before--;
	}
	size_t line = line_begin(e->text, from), rest = to;
	while (rest < e->text.n && e->text.p[rest] != '\n' && is_gap(e->text.p[rest]))
		rest++;
	if (str_blank(str_slice(e->text, line, from)) && rest < e->text.n && e->text.p[rest] == '\n') {
		from = line;
		to = rest + 1;
	}
	if (before == STR_NPOS) {
		put(e, 0, from);
	} else {
		put(e, 0, before);
		if (!str_blank(str_slice(e->text, before + 1, from)) || from == line)
			put(e, before + 1, from);
	}
	put(e, to, e->text.n);
}

static int check_object(const struct editing *e, const struct member *m, size_t depth, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	if (e->plain.p[m->begin] == '{')
		return 0;
	return fail(err, ERR_VALIDATION_ERROR, "'%s' is no object; change it by hand",
		    escape_shown(e->edit->path[depth], shown));
}

static int change(struct editing *e, const struct json *value, bool *ret_changed, struct err *err)
{
	struct object objects[JSONC_EDIT_PATH_MAX];
	struct member members[JSONC_EDIT_PATH_MAX] = {0};
	size_t at = skip_gaps(e->plain, 0), depth = 0;
	bool found = false;
	for (;; depth++) {
		found = read_object(e->plain, at, e->edit->path[depth], &objects[depth], &members[depth]);
		if (!found || depth + 1 == e->edit->n_path)
			break;
		if (check_object(e, &members[depth], depth, err) < 0)
			return -1;
		at = members[depth].begin;
	}
	*ret_changed = found || value != NULL;
	if (!*ret_changed) {
		put(e, 0, e->text.n);
	} else if (value == NULL) {
		while (depth > 0 && objects[depth].first.key == objects[depth].last.key)
			depth--;
		drop(e, &objects[depth], &members[depth]);
	} else if (found) {
		replace(e, &members[depth], value);
	} else {
		insert(e, &objects[depth], depth, value);
	}
	return 0;
}

/* ------------------------------------------------------------------------------------------------------ what came of it */

static bool is_same(const struct json *a, const struct json *b)
{
	AUTO_BUF x = BUF_INIT((size_t)16 << 20), y = BUF_INIT((size_t)16 << 20);
	struct json_writer w;
	jsonw_init(&w, &x, JSON_WRITER_PLAIN);
	jsonw_value(&w, a);
	jsonw_init(&w, &y, JSON_WRITER_PLAIN);
	jsonw_value(&w, b);
	return buf_ok(&x) && buf_ok(&y) && str_eq(buf_str(&x), buf_str(&y));
}

static size_t others(const struct json *object, struct str name)
{
	return json_length(object) - (json_member(object, name) != NULL ? 1 : 0);
}

static bool is_only_change(const struct jsonc_edit *edit, const struct json *a, const struct json *b,
			   const struct json *value)
{
	for (size_t depth = 0; depth < edit->n_path; depth++) {
		struct str key = edit->path[depth];
		struct json_iter it;
		if (others(a, key) != others(b, key))
			return false;
		for (json_iter_init(&it, a); json_iter_next(&it);) {
			const struct json *other = json_member(b, it.name);
			if (!str_eq(it.name, key) && (other == NULL || !is_same(it.value, other)))
				return false;
		}
		a = json_member(a, key);
		b = json_member(b, key);
	}
	return value == NULL ? b == NULL : b != NULL && is_same(b, value);
}

static struct json *read_plain(struct str plain, const char *file, struct err *err)
{
	AUTO(json) *json = json_parse(plain, JSON_READ_ALLOW_NUL, err);
	if (json == NULL) {
		if (err != NULL)
			(void)err_at(err, file, err->line);
		return NULL;
	}
	if (json_kind(json) != JSON_KIND_OBJECT) {
		(void)fail(err, ERR_VALIDATION_ERROR, "the text is no object; change it by hand");
		(void)err_at(err, file, 1);
		return NULL;
	}
	return TAKE(json);
}

static int check_result(struct str result, const struct jsonc_edit *edit, const struct json *before,
			const struct json *value, struct err *err)
{
	AUTO_BUF plain = BUF_INIT(result.n + 1);
	AUTO(json) *after = NULL;
	if (jsonc_strip(result, NULL, &plain, NULL) == 0)
		after = read_plain(buf_str(&plain), NULL, NULL);
	if (after != NULL && is_only_change(edit, before, after, value))
		return 0;
	return fail(err, ERR_VALIDATION_ERROR, "the text is of a form in which this cannot be changed; do it by hand");
}

int jsonc_edit(struct str text, const char *file, const struct jsonc_edit *edit, struct buf *out, bool *ret_changed,
	       struct err *err)
{
	if (str_blank(text))
		text = S("{}\n");
	AUTO_BUF plain = BUF_INIT(text.n + 1);
	AUTO(json) *value = NULL;
	if (jsonc_strip(text, file, &plain, err) < 0)
		return -1;
	AUTO(json) *before = read_plain(buf_str(&plain), file, err);
	if (before == NULL)
		return -1;
	if (edit->value.p != NULL) {
		value = json_parse(edit->value, JSON_READ_STRICT, err);
		if (value == NULL)
			return wrap(err, "the new value");
	}
	bool changed;
	size_t begin = out->n;
	struct editing e = {
		text,           buf_str(&plain), edit, out, str_find(text, S("\r\n")) != STR_NPOS ? "\r\n" : "\n",
		find_unit(text)};
	if (change(&e, value, &changed, err) < 0 || buf_check(out, "the changed text", err) < 0)
		return -1;
	if (check_result(str_slice(buf_str(out), begin, out->n), edit, before, value, err) < 0)
		return -1;
	if (ret_changed != NULL)
		*ret_changed = changed;
	return 0;
}
