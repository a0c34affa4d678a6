#include "base/str.h"
#include <string.h>

struct str str_from(const char *z)
{
	return z == NULL ? STR_EMPTY : (struct str){z, strlen(z)};
}

struct str str_of(const void *p, size_t n)
{
	return (struct str){p, n};
}

static unsigned char fold(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_eq_fold(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		if (fold(a.p[i]) != fold(b.p[i]))
			return false;
	}
	return true;
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n == 0 ? 0 : memcmp(a.p, b.p, n);
	if (order != 0)
		return order;
	return (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq(str_slice(s, 0, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_eq(str_slice(s, s.n - suffix.n, s.n), suffix);
}

size_t str_find(struct str s, struct str needle)
{
	if (needle.n == 0)
		return 0;
	if (s.n < needle.n)
		return STR_NPOS;
	const char *at = memmem(s.p, s.n, needle.p, needle.n);
	return at == NULL ? STR_NPOS : (size_t)(at - s.p);
}

size_t str_find_char(struct str s, char c)
{
	const char *at = s.n == 0 ? NULL : memchr(s.p, c, s.n);
	return at == NULL ? STR_NPOS : (size_t)(at - s.p);
}

size_t str_find_last_char(struct str s, char c)
{
	const char *at = s.n == 0 ? NULL : memrchr(s.p, c, s.n);
	return at == NULL ? STR_NPOS : (size_t)(at - s.p);
}

struct str str_slice(struct str s, size_t from, size_t to)
{
	if (to > s.n)
		to = s.n;
	if (from >= to)
		return STR_EMPTY;
	return (struct str){s.p + from, to - from};
}

struct str str_cut(struct str s, char c, struct str *ret_head)
{
	size_t at = str_find_char(s, c);
	if (at == STR_NPOS) {
		*ret_head = s;
		return STR_EMPTY;
	}
	*ret_head = str_slice(s, 0, at);
	return str_slice(s, at + 1, s.n);
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
	while (s.n > 0 && is_space(s.p[0]))
		s = (struct str){s.p + 1, s.n - 1};
	while (s.n > 0 && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool str_blank(struct str s)
{
	return str_trim(s).n == 0;
}

bool str_to_u64(struct str s, uint64_t max, uint64_t *ret)
{
	if (s.n == 0 || (s.n > 1 && s.p[0] == '0'))
		return false;
	uint64_t value = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		uint64_t digit = (uint64_t)(s.p[i] - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (value > max)
		return false;
	*ret = value;
	return true;
}

/*
 * Length of the well-formed sequence at p (1 to 4), or 0. The second byte's range closes overlong forms, surrogates and
 * what lies above U+10FFFF (Unicode 15, table 3-7).
 */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
	unsigned char b = p[0];
	if (b < 0x80)
		return 1;
	size_t n = b >= 0xc2 && b <= 0xdf ? 2 : b >= 0xe0 && b <= 0xef ? 3 : b >= 0xf0 && b <= 0xf4 ? 4 : 0;
	if (n == 0 || n > left)
		return 0;
	unsigned char low = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
	unsigned char high = b == 0xed ? 0x9f : b == 0xf4 ? 0x8f : 0xbf;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

bool str_is_utf8(struct str s)
{
	for (size_t i = 0; i < s.n;) {
		size_t n = utf8_sequence((const unsigned char *)s.p + i, s.n - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}
