/*
 * str: text that somebody else owns, by value
 *
 * A pointer and a length; the bytes need no NUL and may contain any value. Passing one lends the bytes for the duration
 * of the call; a function that keeps them says `_dup`. {NULL, 0} is the empty string. No function here allocates.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
	const char *p;
	size_t n;
};

/* A literal as a str, and how to print one: printf("%.*s", STR_FMT(s)) (cut at INT_MAX). */
#define S(literal) ((struct str){("" literal), sizeof(literal) - 1})
#define STR_FMT(s) (int)((s).n > 0x7fffffff ? 0x7fffffff : (s).n), ((s).n > 0 ? (s).p : "")
#define STR_EMPTY  ((struct str){NULL, 0})
/* A constant that is written in digits, as a literal of these digits. */
#define STR_DIGITS(number)     STR_AS_WRITTEN(number)
#define STR_AS_WRITTEN(number) #number

struct str str_from(const char *z); /* of a NUL-terminated string; NULL gives the empty str */
struct str str_of(const void *p, size_t n);

bool str_eq(struct str a, struct str b);
bool str_eq_fold(struct str a, struct str b); /* ASCII letters without case; other bytes as they are */
int str_cmp(struct str a, struct str b);      /* by unsigned bytes, then length */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);

#define STR_NPOS ((size_t)-1)
size_t str_find(struct str s, struct str needle); /* first offset, or STR_NPOS; an empty needle is found at 0 */
size_t str_find_char(struct str s, char c);
size_t str_find_last_char(struct str s, char c);

/* [from, to) clamped to the string. */
struct str str_slice(struct str s, size_t from, size_t to);
/* Splits at the first `c`: *ret_head gets what is before it, the result is what is after; without one, head = s. */
struct str str_cut(struct str s, char c, struct str *ret_head);
/* Whether a comma-separated list has it, case and blanks aside: fields of HTTP such as Connection (RFC 9110, 5.6.1). */
bool str_listed(struct str list, struct str item);
struct str str_trim(struct str s); /* without ASCII space, tab, CR, LF, VT, FF at both ends */
bool str_blank(struct str s);      /* empty or only such characters */

/* Strict decimal: digits only, no sign, no leading zero but "0" itself, at most `max`. False leaves *ret untouched. */
bool str_to_u64(struct str s, uint64_t max, uint64_t *ret);

/* Whether the bytes are well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). */
bool str_is_utf8(struct str s);
