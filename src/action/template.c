#include "action/template.h"
#include "base/ascii.h"
#include "base/mem.h"

static bool is_head(char c)
{
	return ascii_is_alnum(c) || c == '_' || c == '-';
}

/* Bytes of the path at the start of the text: up to its '}', or 0 when it is none. */
static size_t path_length(struct str text)
{
	bool empty = true; /* the segment */
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (c == '}')
			return empty ? 0 : i;
		if ((unsigned char)c < 0x20 || c == 0x7f || c == '{' || c == '$' || (c == '.' && empty))
			return 0;
		empty = c == '.';
	}
	return 0;
}

/* At "${": false when what follows is no head. */
static bool read_reference(struct str text, struct reference *ret)
{
	size_t end = 2;
	while (end < text.n && is_head(text.p[end]))
		end++;
	if (end == 2)
		return false;
	*ret = (struct reference){REFERENCE_NONE, str_slice(text, 0, end), str_slice(text, 2, end), STR_EMPTY};
	if (end == text.n || text.p[end] != '.')
		return true;
	size_t n = path_length(str_slice(text, end + 1, text.n));
	if (n == 0)
		return true;
	ret->kind = str_eq(ret->head, S("args")) ? REFERENCE_ARGUMENT : REFERENCE_STEP;
	ret->path = str_slice(text, end + 1, end + 1 + n);
	ret->text = str_slice(text, 0, end + 1 + n + 1);
	return true;
}

bool template_next(struct str *rest, struct str *ret_text, struct reference *ret)
{
	for (size_t from = 0;;) {
		size_t at = str_find(str_slice(*rest, from, rest->n), S("${"));
		if (at == STR_NPOS)
			break;
		at += from;
		if (read_reference(str_slice(*rest, at, rest->n), ret)) {
			*ret_text = str_slice(*rest, 0, at);
			*rest = str_slice(*rest, at + ret->text.n, rest->n);
			return true;
		}
		from = at + 2;
	}
	*ret_text = *rest;
	*rest = STR_EMPTY;
	return false;
}

bool template_is_exact(struct str text, struct reference *ret)
{
	struct str before;
	return str_starts(text, S("${")) && template_next(&text, &before, ret) && before.n == 0 && text.n == 0 &&
	       ret->kind != REFERENCE_NONE;
}

/* ---- paths ---- */

/* The `value` of the entry with this name; false when the array is no list of {name, value} up to it, or has none such. */
static bool find_named(const struct json *array, struct str name, const struct json **ret)
{
	for (size_t i = 0; i < json_length(array); i++) {
		const struct json *entry = json_at(array, i);
		struct str found;
		if (!json_get_str(json_member(entry, S("name")), &found))
			return false;
		if (str_eq(found, name)) {
			*ret = json_member(entry, S("value"));
			return true;
		}
	}
	return false;
}

static const struct json *step_into(const struct json *from, struct str segment)
{
	const struct json *found;
	uint64_t index;
	switch (json_kind(from)) {
	case JSON_KIND_OBJECT:
		return json_member(from, segment);
	case JSON_KIND_ARRAY:
		if (find_named(from, segment, &found))
			return found;
		return str_to_u64(segment, SIZE_MAX, &index) ? json_at(from, (size_t)index) : NULL;
	case JSON_KIND_NULL:
	case JSON_KIND_BOOL:
	case JSON_KIND_INT:
	case JSON_KIND_REAL:
	case JSON_KIND_STR:
		return NULL;
	}
	return NULL;
}

const struct json *path_walk(const struct json *from, struct str path)
{
	while (from != NULL && path.n > 0) {
		struct str segment;
		path = str_cut(path, '.', &segment);
		from = step_into(from, segment);
	}
	return from;
}
