#include "egress/oauth_answer.h"
#include "base/ascii.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <stddef.h>

#define SECONDS_MAX UINT64_C(315360000) /* 10 years */

/* `at` to `end` is still to be read; what is decoded is written over what was read. */
struct reader {
	char *at, *end;
	struct err *err;
};

static int fail_shape(const struct reader *r)
{
	return fail(r->err, ERR_PARSE_ERROR, "the answer of the token endpoint is not a JSON object as it must be");
}

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
		r->at++;
}

static bool take(struct reader *r, char c)
{
	skip_blanks(r);
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

/* ---- strings ---- */

static int read_hex4(struct reader *r, uint32_t *ret)
{
	uint32_t code = 0;
	if (r->end - r->at < 4)
		return fail_shape(r);
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(*r->at++);
		if (digit < 0)
			return fail_shape(r);
		code = code << 4 | (uint32_t)digit;
	}
	*ret = code;
	return 0;
}

/* Behind "\u". U+0000 and half of a surrogate pair are refused. */
static int read_unicode(struct reader *r, uint32_t *ret)
{
	uint32_t code, low;
	if (read_hex4(r, &code) != 0)
		return -1;
	if (code >= 0xd800 && code < 0xdc00) {
		if (r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u')
			return fail_shape(r);
		r->at += 2;
		if (read_hex4(r, &low) != 0)
			return -1;
		if (low < 0xdc00 || low > 0xdfff)
			return fail_shape(r);
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	} else if ((code >= 0xdc00 && code <= 0xdfff) || code == 0) {
		return fail_shape(r);
	}
	*ret = code;
	return 0;
}

/* Behind a backslash; what it stands for is never longer. */
static int read_escape(struct reader *r, char **out)
{
	static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
	uint32_t code;
	if (r->at == r->end)
		return fail_shape(r);
	char c = *r->at++;
	if (c == 'u') {
		if (read_unicode(r, &code) != 0)
			return -1;
		*out += utf8_encode(code, *out);
		return 0;
	}
	const char *place = memchr(names, c, sizeof names - 1);
	if (place == NULL)
		return fail_shape(r);
	*(*out)++ = bytes[place - names];
	return 0;
}

/* Behind its first quote. Decoded where it stands. */
static int read_string(struct reader *r, struct str *ret)
{
	char *start = r->at, *out = r->at;
	while (r->at < r->end && *r->at != '"') {
		if ((unsigned char)*r->at < ' ')
			return fail_shape(r);
		if (*r->at == '\\') {
			r->at++;
			if (read_escape(r, &out) != 0)
				return -1;
			continue;
		}
		struct utf8_char c = utf8_next(str_of(r->at, (size_t)(r->end - r->at)));
		if (c.code == UTF8_INVALID)
			return fail_shape(r);
		memmove(out, r->at, c.n);
		out += c.n;
		r->at += c.n;
	}
	if (r->at == r->end)
		return fail_shape(r);
	r->at++;
	*ret = str_of(start, (size_t)(out - start));
	return 0;
}

/* ---- what does not matter ---- */

static size_t skip_digits(struct reader *r)
{
	const char *start = r->at;
	while (r->at < r->end && ascii_is_digit(*r->at))
		r->at++;
	return (size_t)(r->at - start);
}

/* RFC 8259, 6. The whole of its text is *ret. */
static int read_number(struct reader *r, struct str *ret)
{
	const char *start = r->at;
	if (r->at < r->end && *r->at == '-')
		r->at++;
	const char *first = r->at;
	size_t digits = skip_digits(r);
	if (digits == 0 || (digits > 1 && *first == '0'))
		return fail_shape(r);
	if (r->at < r->end && *r->at == '.') {
		r->at++;
		if (skip_digits(r) == 0)
			return fail_shape(r);
	}
	if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
		r->at++;
		if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
			r->at++;
		if (skip_digits(r) == 0)
			return fail_shape(r);
	}
	*ret = str_of(start, (size_t)(r->at - start));
	return 0;
}

static bool take_word(struct reader *r, struct str word)
{
	if (!str_starts(str_of(r->at, (size_t)(r->end - r->at)), word))
		return false;
	r->at += word.n;
	return true;
}

static int skip_scalar(struct reader *r)
{
	struct str ignored;
	if (take(r, '"'))
		return read_string(r, &ignored);
	if (take_word(r, S("null")) || take_word(r, S("true")) || take_word(r, S("false")))
		return 0;
	return read_number(r, &ignored);
}

/* Behind a '{' or between two members: the name and the colon. */
static int read_name(struct reader *r, struct str *ret)
{
	if (!take(r, '"') || read_string(r, ret) != 0 || !take(r, ':'))
		return fail_shape(r);
	return 0;
}

/* One value of any kind, without recursion: `closers` says what is open. */
static int skip_value(struct reader *r)
{
	char closers[OAUTH_ANSWER_DEPTH];
	struct str name;
	size_t depth = 0;
	do {
		skip_blanks(r);
		bool object = take(r, '{'), opened = object || take(r, '[');
		if (opened && depth == sizeof closers)
			return fail_shape(r);
		if (opened)
			closers[depth++] = object ? '}' : ']';
		else if (skip_scalar(r) != 0)
			return -1;
		/* Closes what ends here; else the next element or member follows. */
		bool empty = opened;
		while (depth > 0 && take(r, closers[depth - 1])) {
			depth--;
			empty = false;
		}
		if (depth == 0)
			break;
		if (!empty && !take(r, ','))
			return fail_shape(r);
		if (closers[depth - 1] == '}' && read_name(r, &name) != 0)
			return -1;
	} while (true);
	return 0;
}

/* ---- what matters ---- */

enum member_kind { MEMBER_TOKEN, MEMBER_TEXT, MEMBER_CODE, MEMBER_SECONDS };

static const struct member {
	struct str name;
	enum member_kind kind;
	size_t offset;
} members[] = {
#define MEMBER(name, kind)                                                                                             \
	{                                                                                                              \
		{#name, sizeof #name - 1}, MEMBER_##kind, offsetof(struct oauth_answer, name)                          \
	}
	MEMBER(access_token, TOKEN),
	MEMBER(refresh_token, TOKEN),
	MEMBER(device_code, TOKEN),
	MEMBER(token_type, TEXT),
	MEMBER(scope, TEXT),
	MEMBER(user_code, TEXT),
	MEMBER(verification_uri, TEXT),
	MEMBER(verification_uri_complete, TEXT),
	MEMBER(expires_in, SECONDS),
	MEMBER(interval, SECONDS),
	MEMBER(error, CODE),
#undef MEMBER
	{{"verification_url", 16},
	 MEMBER_TEXT,
	 offsetof(struct oauth_answer, verification_uri)}, /* Google's spelling */
};

static bool is_visible(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] <= ' ' || text.p[i] > '~')
			return false;
	}
	return true;
}

static bool is_printable(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
			return false;
	}
	return true;
}

static bool is_code(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (!ascii_is_letter(c) && !ascii_is_digit(c) && c != '_' && c != '-' && c != '.')
			return false;
	}
	return text.n <= OAUTH_CODE_MAX;
}

static int fail_member(const struct reader *r, const struct member *member, const char *why)
{
	return fail(r->err, ERR_VALIDATION_ERROR, "'%.*s' in the answer of the token endpoint %s",
		    STR_FMT(member->name), why);
}

static int set_text(const struct reader *r, const struct member *member, struct str text, struct oauth_answer *ret)
{
	struct str *place = (struct str *)(void *)((char *)ret + member->offset);
	bool good = member->kind == MEMBER_TOKEN ? is_visible(text) : is_printable(text);
	if (place->n > 0)
		return fail_member(r, member, "is given twice");
	if (member->kind == MEMBER_CODE) {
		ret->has_error = true;
		*place = is_code(text) ? text : STR_EMPTY;
		return 0;
	}
	if (!good)
		return fail_member(r, member, "has characters that it may not have");
	*place = text;
	ret->has_scope = ret->has_scope || place == &ret->scope;
	return 0;
}

/* A fraction is left out; what is not positive is as if it had not been said. */
static int set_seconds(const struct reader *r, const struct member *member, struct str text, struct oauth_answer *ret)
{
	uint64_t *place = (uint64_t *)(void *)((char *)ret + member->offset), seconds = 0;
	struct str whole;
	(void)str_cut(text, '.', &whole);
	if (*place != 0)
		return fail_member(r, member, "is given twice");
	if (!str_starts(text, S("-")) && !str_to_u64(whole, SECONDS_MAX, &seconds))
		return fail_member(r, member, "is no number of seconds below ten years");
	*place = seconds;
	return 0;
}

static int read_member(struct reader *r, struct str name, struct oauth_answer *ret)
{
	const struct member *member = NULL;
	for (size_t i = 0; i < ARRAY_LEN(members) && member == NULL; i++) {
		if (str_eq(members[i].name, name))
			member = &members[i];
	}
	if (member == NULL)
		return skip_value(r);
	skip_blanks(r);
	if (take_word(r, S("null")))
		return 0;
	struct str text;
	bool quoted = take(r, '"');
	if (!quoted && member->kind != MEMBER_SECONDS)
		return fail_member(r, member, "is not a text");
	if ((quoted ? read_string(r, &text) : read_number(r, &text)) != 0)
		return -1;
	return member->kind == MEMBER_SECONDS ? set_seconds(r, member, text, ret) : set_text(r, member, text, ret);
}

static int read_answer(struct reader *r, struct oauth_answer *ret)
{
	struct str name;
	if (!take(r, '{'))
		return fail_shape(r);
	if (!take(r, '}')) {
		do {
			if (read_name(r, &name) != 0 || read_member(r, name, ret) != 0)
				return -1;
		} while (take(r, ','));
		if (!take(r, '}'))
			return fail_shape(r);
	}
	skip_blanks(r);
	return r->at == r->end ? 0 : fail_shape(r);
}

int oauth_answer_parse(char *text, size_t n, struct oauth_answer *ret, struct err *err)
{
	struct oauth_answer answer = {.expires_in = 0};
	struct reader r = {.at = text, .end = text + n, .err = err};
	if (n > OAUTH_ANSWER_MAX)
		return fail(err, ERR_PARSE_ERROR, "the answer of the token endpoint is too large");
	if (read_answer(&r, &answer) != 0)
		return -1;
	*ret = answer;
	return 0;
}
