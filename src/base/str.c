#include "base/str.h"
#include "base/ascii.h"
#include <string.h>

struct str str_from(const char *z)
{
	return z == NULL ? STR_EMPTY : (struct str){z, strlen(z)};
}

struct str str_of(const void *p, size_t n)
{
	return (struct str){p, n};
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
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
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
		if (!ascii_is_digit(s.p[i]))
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

bool str_listed(struct str list, struct str item)
{
	while (list.n > 0) {
		struct str one;
		list = str_cut(list, ',', &one);
		if (str_eq_fold(str_trim(one), item))
			return true;
	}
	return false;
}
