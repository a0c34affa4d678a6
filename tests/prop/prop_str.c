#include "base/str.h"
#include "base/utf8.h"
#include "prop/generator.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static bool model_starts(struct str s, size_t at, struct str part)
{
	for (size_t i = 0; i < part.n; i++) {
		if (at + i >= s.n || s.p[at + i] != part.p[i])
			return false;
	}
	return at + part.n <= s.n;
}

/* Strings over two letters meet every case of overlap soon. */
static void finds_what_a_plain_loop_finds(void **state)
{
	(void)state;
	struct generator g = {10};
	for (int round = 0; round < 100000; round++) {
		char room_a[12], room_b[5];
		struct str s = generate_text(&g, S("aB"), room_a, sizeof room_a);
		struct str part = generate_text(&g, S("aB"), room_b, sizeof room_b);
		size_t found = STR_NPOS;
		for (size_t at = 0; at <= s.n && found == STR_NPOS; at++) {
			if (model_starts(s, at, part))
				found = at;
		}
		assert_int_equal(str_find(s, part), found);
		assert_int_equal(str_starts(s, part), model_starts(s, 0, part));
		assert_int_equal(str_ends(s, part), part.n <= s.n && model_starts(s, s.n - part.n, part));
		assert_int_equal(str_eq(s, part), s.n == part.n && model_starts(s, 0, part));
		assert_int_equal(str_cmp(s, part) == 0, str_eq(s, part));
		assert_int_equal(str_cmp(s, part) < 0, str_cmp(part, s) > 0);
		struct str head, tail = str_cut(s, 'B', &head);
		size_t letter = str_find_char(s, 'B');
		assert_int_equal(head.n, letter == STR_NPOS ? s.n : letter);
		assert_int_equal(head.n + tail.n, letter == STR_NPOS ? s.n : s.n - 1);
	}
}

static void reads_the_decimals_that_printf_writes(void **state)
{
	(void)state;
	struct generator g = {11};
	for (int round = 0; round < 100000; round++) {
		uint64_t value = generate(&g) >> generate_below(&g, 64), max = generate(&g) >> generate_below(&g, 64);
		uint64_t back = value + 1;
		char text[24];
		int n = snprintf(text, sizeof text, "%lu", value);
		assert_int_equal(str_to_u64(str_of(text, (size_t)n), max, &back), value <= max);
		assert_int_equal(back, value <= max ? value : value + 1);
	}
}

/* The check of whole texts against the reader of single characters, on bytes that are nearly right. */
static void knows_utf8_as_the_decoder_does(void **state)
{
	(void)state;
	struct generator g = {12};
	size_t valid = 0;
	for (int round = 0; round < 300000; round++) {
		char room[5];
		struct str text = generate_text(
			&g, S("a\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xed\xef\xf0\xf1\xf4\xf5\xff"),
			room, sizeof room);
		bool expected = true;
		for (struct str rest = text; rest.n > 0;) {
			struct utf8_char c = utf8_next(rest);
			expected = expected && c.code != UTF8_INVALID;
			rest = str_slice(rest, c.n, rest.n);
		}
		assert_int_equal(str_is_utf8(text), expected);
		valid += expected;
	}
	assert_true(valid > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_a_plain_loop_finds),
		cmocka_unit_test(reads_the_decimals_that_printf_writes),
		cmocka_unit_test(knows_utf8_as_the_decoder_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
