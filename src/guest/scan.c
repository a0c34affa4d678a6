#include "guest/scan.h"
#include "base/hex.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_blanks(struct str text, size_t at)
{
	while (at < text.n && is_blank(text.p[at]))
		at++;
	return at;
}

/* Behind the string that begins here, or STR_NPOS. */
static size_t skip_string(struct str text, size_t at)
{
	if (at >= text.n || text.p[at] != '"')
		return STR_NPOS;
	for (at++; at < text.n; at++) {
		if (text.p[at] == '"')
			return at + 1;
		if (text.p[at] == '\\')
			at++;
	}
	return STR_NPOS;
}

/* Behind the braces and brackets that begin here; a bit a level says which of the two it is. */
static size_t skip_nested(struct str text, size_t at)
{
	unsigned char is_object[SCAN_DEPTH_MAX / 8];
	size_t depth = 0;
	while (at < text.n) {
		char c = text.p[at];
		if (c == '"') {
			at = skip_string(text, at);
			if (at == STR_NPOS)
				return STR_NPOS;
			continue;
		}
		at++;
		if (c == '{' || c == '[') {
			if (depth == SCAN_DEPTH_MAX)
				return STR_NPOS;
			unsigned bit = 1u << depth % 8;
			unsigned char *byte = &is_object[depth++ / 8];
			*byte = (unsigned char)(c == '{' ? *byte | bit : *byte & ~bit);
		} else if (c == '}' || c == ']') {
			depth--;
			bool object = (is_object[depth / 8] & 1u << depth % 8) != 0;
			if (object != (c == '}'))
				return STR_NPOS;
			if (depth == 0)
				return at;
		}
	}
	return STR_NPOS;
}

static size_t skip_value(struct str text, size_t at)
{
	if (at >= text.n)
		return STR_NPOS;
	if (text.p[at] == '"')
		return skip_string(text, at);
	if (text.p[at] == '{' || text.p[at] == '[')
		return skip_nested(text, at);
	size_t from = at;
	while (at < text.n && !is_blank(text.p[at]) && text.p[at] != ',' && text.p[at] != '}' && text.p[at] != ']')
		at++;
	return at > from ? at : STR_NPOS;
}

/* One member: behind it, or STR_NPOS. */
static size_t take_member(struct str text, size_t at, struct str *ret_name, struct str *ret_value)
{
	size_t end = skip_string(text, at);
	if (end == STR_NPOS)
		return STR_NPOS;
	*ret_name = str_slice(text, at + 1, end - 1);
	at = skip_blanks(text, end);
	if (at >= text.n || text.p[at] != ':')
		return STR_NPOS;
	at = skip_blanks(text, at + 1);
	end = skip_value(text, at);
	if (end == STR_NPOS)
		return STR_NPOS;
	*ret_value = str_slice(text, at, end);
	return skip_blanks(text, end);
}

static void note(struct scan_member *members, size_t n, struct str name, struct str value)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(name, str_from(members[i].name)))
			members[i].value = value;
	}
}

/* With members NULL it only looks whether the text is an object. */
static bool walk(struct str text, struct scan_member *members, size_t n)
{
	size_t at = skip_blanks(text, 0);
	if (at >= text.n || text.p[at] != '{')
		return false;
	at = skip_blanks(text, at + 1);
	bool more = at < text.n && text.p[at] != '}';
	while (more) {
		struct str name, value;
		at = take_member(text, at, &name, &value);
		if (at >= text.n)
			return false;
		note(members, members != NULL ? n : 0, name, value);
		more = text.p[at] == ',';
		if (more)
			at = skip_blanks(text, at + 1);
	}
	return at < text.n && text.p[at] == '}' && skip_blanks(text, at + 1) == text.n;
}

bool scan_object(struct str text, struct scan_member *members, size_t n)
{
	return walk(text, NULL, 0) && walk(text, members, n);
}

struct str scan_member(struct str text, const char *name)
{
	struct scan_member member = {.name = name};
	return scan_object(text, &member, 1) ? member.value : STR_EMPTY;
}

bool scan_is_string(struct str raw, struct str text)
{
	return raw.n == text.n + 2 && raw.p[0] == '"' && str_eq(str_slice(raw, 1, raw.n - 1), text);
}

/* The character of an escape that begins here, and behind it; '\0' when it is none of ASCII. */
static char take_escape(struct str text, size_t *at)
{
	static const char spelled[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	char c = text.p[(*at)++];
	const char *found = c != '\0' ? strchr(spelled, c) : NULL;
	if (found != NULL)
		return meant[found - spelled];
	if (c != 'u' || text.n - *at < 4)
		return '\0';
	int value = 0;
	for (size_t end = *at + 4; *at < end; (*at)++) {
		int digit = hex_digit(text.p[*at]);
		if (digit < 0)
			return '\0';
		value = value << 4 | digit;
	}
	return value < 0x80 ? (char)value : '\0';
}

struct str scan_text(struct str raw, char ret[SCAN_TEXT_MAX])
{
	if (raw.n < 2 || raw.p[0] != '"')
		return STR_EMPTY;
	struct str spelled = str_slice(raw, 1, raw.n - 1);
	size_t n = 0;
	for (size_t at = 0; at < spelled.n && n < SCAN_TEXT_MAX; n++) {
		char c = spelled.p[at++];
		if (c == '\\' && at < spelled.n)
			c = take_escape(spelled, &at);
		if (c == '\0')
			return spelled;
		ret[n] = c;
		if (n + 1 == SCAN_TEXT_MAX && at < spelled.n)
			return spelled;
	}
	return str_of(ret, n);
}
