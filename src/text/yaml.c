#include "text/yaml.h"
#include "base/escape.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct yaml_value {
	enum yaml_kind kind;
	bool boolean;
	int64_t integer;
	struct str text, name; /* of a scalar; of a member */
	uint32_t line;
	struct yaml_span span;
	size_t n;
	struct yaml_value *first, *last, *next;
};

/* One document under way. */
struct reading {
	struct arena *arena;
	yaml_parser_t parser;
	const char *file;
	struct str text;
	size_t skipped; /* of a byte order mark in front */
	size_t values;
	/* libyaml counts characters: the last that was asked for, and its byte. */
	size_t character, byte;
};

/* ---------------------------------------------------------------------------------------------------------- failures */

static int fail_line(const struct reading *r, size_t line, struct err *err, const char *what)
{
	(void)fail(err, ERR_PARSE_ERROR, "line %zu: %s", line, what);
	return err_at(err, r->file, (uint32_t)line);
}

static int fail_mark(const struct reading *r, yaml_mark_t mark, struct err *err, const char *what)
{
	return fail_line(r, mark.line + 1, err, what);
}

static int fail_libyaml(const struct reading *r, struct err *err)
{
	const yaml_parser_t *p = &r->parser;
	if (p->error == YAML_MEMORY_ERROR)
		BUG("out of memory");
	size_t line = p->error == YAML_READER_ERROR ? 1 : p->problem_mark.line + 1;
	return fail_line(r, line, err, p->problem != NULL ? p->problem : "this is no YAML");
}

/* --------------------------------------------------------------------------------------------------------- positions */

/* Marks come in rising order but for a few, so that this walks each text about twice. */
static size_t byte_of(struct reading *r, yaml_mark_t mark)
{
	if (mark.index < r->character) {
		r->character = 0;
		r->byte = r->skipped;
	}
	while (r->character < mark.index && r->byte < r->text.n) {
		r->byte += utf8_next(str_slice(r->text, r->byte, r->text.n)).n;
		r->character++;
	}
	return r->byte;
}

/* ----------------------------------------------------------------------------------------------------------- scalars */

static bool is_decimal(struct str text)
{
	size_t i = text.n > 0 && (text.p[0] == '-' || text.p[0] == '+') ? 1 : 0;
	if (i == text.n)
		return false;
	for (; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
	}
	return true;
}

static bool read_int(struct str text, int64_t *ret)
{
	bool negative = text.p[0] == '-';
	uint64_t magnitude;
	struct str digits = str_slice(text, negative || text.p[0] == '+' ? 1 : 0, text.n);
	if (!str_to_u64(digits, (uint64_t)INT64_MAX + (negative ? 1 : 0), &magnitude))
		return false;
	*ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	return true;
}

static int read_plain(const struct reading *r, struct yaml_value *value, struct err *err)
{
	struct str t = value->text;
	value->kind = YAML_STR;
	if (t.n == 0 || str_eq(t, S("~")) || str_eq(t, S("null"))) {
		value->kind = YAML_NULL;
	} else if (str_eq(t, S("true")) || str_eq(t, S("false"))) {
		value->kind = YAML_BOOL;
		value->boolean = t.p[0] == 't';
	} else if (is_decimal(t)) {
		value->kind = YAML_INT;
		if (!read_int(t, &value->integer))
			return fail_line(r, value->line, err, "an integer with leading zeros, or beyond 64 bits");
	}
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------- values */

static struct yaml_value *new_value(struct reading *r, const yaml_event_t *event, struct err *err)
{
	if (r->values == YAML_VALUES_MAX) {
		(void)fail_mark(r, event->start_mark, err, "more than 10000 values");
		return NULL;
	}
	r->values++;
	struct yaml_value *value = ARENA_NEW(r->arena, struct yaml_value);
	value->line = (uint32_t)event->start_mark.line + 1;
	value->span.begin = byte_of(r, event->start_mark);
	value->span.key = value->span.begin;
	value->span.end = byte_of(r, event->end_mark);
	return value;
}

static int read_value(struct reading *r, const yaml_event_t *event, unsigned depth, struct yaml_value **ret,
		      struct err *err);

static int read_scalar(struct reading *r, const yaml_event_t *event, struct yaml_value **ret, struct err *err)
{
	if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL)
		return fail_mark(r, event->start_mark, err, "anchors and tags are not taken here");
	struct str text = str_of((const char *)event->data.scalar.value, event->data.scalar.length);
	if (memchr(text.p, '\0', text.n) != NULL)
		return fail_mark(r, event->start_mark, err, "U+0000 in a text");
	struct yaml_value *value = new_value(r, event, err);
	if (value == NULL)
		return -1;
	value->text = arena_str(r->arena, text);
	value->kind = YAML_STR;
	*ret = value;
	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? read_plain(r, value, err) : 0;
}

static void append(struct yaml_value *parent, struct yaml_value *child)
{
	if (parent->last != NULL)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
	parent->n++;
}

static int add_key(struct reading *r, const struct yaml_value *map, struct yaml_value *key, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	if (yaml_member(map, key->text) == NULL)
		return 0;
	(void)fail(err, ERR_PARSE_ERROR, "line %u: the key '%s' stands there twice", (unsigned)key->line,
		   escape_shown(key->text, shown));
	return err_at(err, r->file, key->line);
}

/* What is in a mapping or a sequence, to its end event. */
static int read_children(struct reading *r, struct yaml_value *parent, unsigned depth, struct err *err)
{
	struct yaml_value *key = NULL;
	for (;;) {
		yaml_event_t event;
		if (yaml_parser_parse(&r->parser, &event) == 0)
			return fail_libyaml(r, err);
		bool over = event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT;
		struct yaml_value *value = NULL;
		int rc = 0;
		if (over)
			parent->span.end = parent->span.flow ? byte_of(r, event.end_mark) : parent->span.end;
		else if (parent->kind == YAML_MAP && key == NULL && event.type != YAML_SCALAR_EVENT)
			rc = fail_mark(r, event.start_mark, err, "a key that is no scalar");
		else
			rc = read_value(r, &event, depth, &value, err);
		yaml_event_delete(&event);
		if (rc < 0 || over)
			return rc;
		if (parent->kind == YAML_MAP && key == NULL) {
			key = value;
			if (add_key(r, parent, key, err) < 0)
				return -1;
			continue;
		}
		if (key != NULL) {
			value->name = key->text;
			value->span.key = key->span.begin;
			key = NULL;
		}
		append(parent, value);
		parent->span.end = value->span.end;
	}
}

static int read_value(struct reading *r, const yaml_event_t *event, unsigned depth, struct yaml_value **ret,
		      struct err *err)
{
	if (event->type == YAML_SCALAR_EVENT)
		return read_scalar(r, event, ret, err);
	if (event->type == YAML_ALIAS_EVENT)
		return fail_mark(r, event->start_mark, err, "aliases are not taken here");
	bool is_map = event->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *anchor = is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
	const yaml_char_t *tag = is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag;
	if (anchor != NULL || tag != NULL)
		return fail_mark(r, event->start_mark, err, "anchors and tags are not taken here");
	if (depth == YAML_DEPTH_MAX)
		return fail_mark(r, event->start_mark, err, "nested deeper than 64 mappings and lists");
	struct yaml_value *value = new_value(r, event, err);
	if (value == NULL)
		return -1;
	value->kind = is_map ? YAML_MAP : YAML_LIST;
	value->span.flow = is_map ? event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE
				  : event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
	*ret = value;
	return read_children(r, value, depth + 1, err);
}

/* ----------------------------------------------------------------------------------------------------------- document */

static int check_text(const struct reading *r, struct err *err)
{
	size_t line = 1;
	for (size_t i = 0; i < r->text.n;) {
		struct utf8_char c = utf8_next(str_slice(r->text, i, r->text.n));
		if (c.code == UTF8_INVALID)
			return fail_line(r, line, err, "this is not UTF-8");
		if (c.code == '\n')
			line++;
		i += c.n;
	}
	return 0;
}

static int read_document(struct reading *r, const struct yaml_value **ret, struct err *err)
{
	struct yaml_value *root = NULL;
	for (;;) {
		yaml_event_t event;
		if (yaml_parser_parse(&r->parser, &event) == 0)
			return fail_libyaml(r, err);
		int rc = 0;
		bool over = event.type == YAML_STREAM_END_EVENT;
		bool is_value = event.type == YAML_SCALAR_EVENT || event.type == YAML_ALIAS_EVENT ||
				event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT;
		if (event.type == YAML_DOCUMENT_START_EVENT && root != NULL)
			rc = fail_mark(r, event.start_mark, err, "a second document");
		else if (is_value)
			rc = read_value(r, &event, 0, &root, err);
		yaml_event_delete(&event);
		if (rc < 0)
			return -1;
		if (over)
			break;
	}
	*ret = root != NULL ? root : ARENA_NEW(r->arena, struct yaml_value);
	return 0;
}

int yaml_parse(struct arena *arena, struct str text, const char *file, const struct yaml_value **ret_root,
	       struct err *err)
{
	struct reading r = {.arena = arena, .file = file, .text = text.n > 0 ? text : S("")};
	if (str_starts(text, S("\xef\xbb\xbf")))
		r.byte = r.skipped = 3;
	if (check_text(&r, err) < 0)
		return -1;
	if (yaml_parser_initialize(&r.parser) == 0)
		BUG("out of memory");
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)r.text.p + r.skipped, r.text.n - r.skipped);
	int rc = read_document(&r, ret_root, err);
	yaml_parser_delete(&r.parser);
	return rc;
}

/* ------------------------------------------------------------------------------------------------------------ looking */

enum yaml_kind yaml_kind(const struct yaml_value *value)
{
	return value == NULL ? YAML_NULL : value->kind;
}

const char *yaml_kind_name(enum yaml_kind kind)
{
	static const char *const names[] = {
		[YAML_NULL] = "nothing", [YAML_BOOL] = "true or false", [YAML_INT] = "an integer",
		[YAML_STR] = "a text",   [YAML_LIST] = "a list",        [YAML_MAP] = "a mapping",
	};
	return names[kind];
}

uint32_t yaml_line(const struct yaml_value *value)
{
	return value == NULL ? 0 : value->line;
}

bool yaml_get_bool(const struct yaml_value *value, bool *ret)
{
	if (yaml_kind(value) != YAML_BOOL)
		return false;
	*ret = value->boolean;
	return true;
}

bool yaml_get_int(const struct yaml_value *value, int64_t *ret)
{
	if (yaml_kind(value) != YAML_INT)
		return false;
	*ret = value->integer;
	return true;
}

bool yaml_get_str(const struct yaml_value *value, struct str *ret)
{
	return yaml_kind(value) == YAML_STR && yaml_get_text(value, ret);
}

bool yaml_get_text(const struct yaml_value *value, struct str *ret)
{
	if (value == NULL || value->kind == YAML_LIST || value->kind == YAML_MAP)
		return false;
	*ret = value->text;
	return true;
}

size_t yaml_length(const struct yaml_value *value)
{
	return value == NULL ? 0 : value->n;
}

const struct yaml_value *yaml_member(const struct yaml_value *map, struct str name)
{
	if (yaml_kind(map) != YAML_MAP)
		return NULL;
	const struct yaml_value *member = map->first;
	while (member != NULL && !str_eq(member->name, name))
		member = member->next;
	return member;
}

void yaml_iter_init(struct yaml_iter *it, const struct yaml_value *value)
{
	*it = (struct yaml_iter){.next = value == NULL ? NULL : value->first};
}

bool yaml_iter_next(struct yaml_iter *it)
{
	if (it->next == NULL)
		return false;
	it->value = it->next;
	it->name = it->value->name;
	it->next = it->value->next;
	return true;
}

struct yaml_span yaml_span(const struct yaml_value *value)
{
	return value->span;
}
