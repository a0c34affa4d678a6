#include "base/ascii.h"
#include "base/utf8.h"
#include "text/canonical.h"

/* One pass over the text: each function steps over what begins at p, or says that it is not as it should be. */
struct sight {
	const char *p, *end;
	unsigned depth;
};

static bool step_over(struct sight *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static bool step_over_word(struct sight *s, struct str word)
{
	if (!str_starts(str_of(s->p, (size_t)(s->end - s->p)), word))
		return false;
	s->p += word.n;
	return true;
}

/* Behind the backslash: a letter, or \u00XX for the controls that have none. */
static bool step_over_escape(struct sight *s)
{
	if (s->p == s->end)
		return false;
	char c = *s->p++;
	if (c != 'u')
		return c == '"' || c == '\\' || c == 'b' || c == 'f' || c == 'n' || c == 'r' || c == 't';
	if (s->end - s->p < 4 || s->p[0] != '0' || s->p[1] != '0' || (s->p[2] != '0' && s->p[2] != '1'))
		return false;
	char low = s->p[3];
	bool has_letter = s->p[2] == '0' && (low == '8' || low == '9' || low == 'a' || low == 'c' || low == 'd');
	s->p += 4;
	return !has_letter && (ascii_is_digit(low) || (low >= 'a' && low <= 'f'));
}

/* What stands for itself in a string; of the rest, what begins a character of several bytes is looked at. */
static const bool plain[256] = {[' ' ... '"' - 1] = true, ['"' + 1 ... '\\' - 1] = true, ['\\' + 1 ... 0x7f] = true};

/* A high bit for each byte below n, and perhaps for bytes above one that is; n is at most 128. */
static uint64_t bytes_below(uint64_t word, uint64_t n)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	return (word - ones * n) & ~word & (ones << 7);
}

/* Eight at a time as long as all are plain: most of a text is. */
static void step_over_plain(struct sight *s)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	while (s->end - s->p >= 8) {
		uint64_t word;
		memcpy(&word, s->p, sizeof word);
		if ((word & (ones << 7)) != 0 || bytes_below(word, ' ') != 0 ||
		    bytes_below(word ^ (ones * '"'), 1) != 0 || bytes_below(word ^ (ones * '\\'), 1) != 0)
			break;
		s->p += 8;
	}
	while (s->p != s->end && plain[(unsigned char)*s->p])
		s->p++;
}

static bool step_over_string(struct sight *s, bool escapes, struct str *ret_inside)
{
	if (!step_over(s, '"'))
		return false;
	const char *start = s->p;
	for (;;) {
		step_over_plain(s);
		if (s->p == s->end)
			return false;
		if (*s->p == '"')
			break;
		if (*s->p == '\\') {
			s->p++;
			if (!escapes || !step_over_escape(s))
				return false;
			continue;
		}
		struct utf8_char c = utf8_next(str_of(s->p, (size_t)(s->end - s->p)));
		if ((unsigned char)*s->p < 0x80 || c.code == UTF8_INVALID)
			return false;
		s->p += c.n;
	}
	*ret_inside = str_of(start, (size_t)(s->p - start));
	s->p++;
	return true;
}

static bool step_over_integer(struct sight *s)
{
	bool negative = step_over(s, '-');
	const char *start = s->p;
	while (s->p != s->end && ascii_is_digit(*s->p))
		s->p++;
	uint64_t value;
	return str_to_u64(str_of(start, (size_t)(s->p - start)), UINT64_C(1) << 53, &value) && (value > 0 || !negative);
}

static bool step_over_value(struct sight *s);

static bool step_over_array(struct sight *s)
{
	s->p++;
	if (step_over(s, ']'))
		return true;
	do {
		if (!step_over_value(s))
			return false;
	} while (step_over(s, ','));
	return step_over(s, ']');
}

static bool step_over_object(struct sight *s, json_canonical_member *member, void *user)
{
	s->p++;
	if (step_over(s, '}'))
		return true;
	struct str before = STR_EMPTY, name;
	bool first = true;
	do {
		if (!step_over_string(s, false, &name) || !step_over(s, ':') || (!first && str_cmp(before, name) >= 0))
			return false;
		const char *value = s->p;
		if (!step_over_value(s))
			return false;
		if (member != NULL)
			member(user, name, str_of(value, (size_t)(s->p - value)));
		before = name;
		first = false;
	} while (step_over(s, ','));
	return step_over(s, '}');
}

static bool step_over_nested(struct sight *s, json_canonical_member *member, void *user)
{
	if (s->depth == 0)
		return false;
	s->depth--;
	bool good = *s->p == '[' ? step_over_array(s) : step_over_object(s, member, user);
	s->depth++;
	return good;
}

static bool step_over_value(struct sight *s)
{
	if (s->p == s->end)
		return false;
	struct str inside;
	switch (*s->p) {
	case '"':
		return step_over_string(s, true, &inside);
	case '[':
	case '{':
		return step_over_nested(s, NULL, NULL);
	case 't':
		return step_over_word(s, S("true"));
	case 'f':
		return step_over_word(s, S("false"));
	case 'n':
		return step_over_word(s, S("null"));
	default:
		return step_over_integer(s);
	}
}

bool json_canonical_at_sight(struct str text, unsigned depth, json_canonical_member *member, void *user)
{
	if (text.n == 0)
		return false;
	struct sight s = {.p = text.p, .end = text.p + text.n, .depth = depth};
	bool good = *s.p == '{' ? step_over_nested(&s, member, user) : step_over_value(&s);
	return good && s.p == s.end;
}
