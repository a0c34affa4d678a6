#include "base/mem.h"
#include "base/utf8.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Every character there is: written, read back, and every shorter piece of it is one ill-formed subpart. */
static void every_character_goes_there_and_back(void **state)
{
	(void)state;
	for (uint32_t code = 0; code <= 0x10ffff; code++) {
		char bytes[4];
		unsigned n = utf8_encode(code, bytes);
		bool surrogate = code >= 0xd800 && code <= 0xdfff;
		assert_int_equal(n, surrogate ? 3 : code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4);
		struct utf8_char c = utf8_next(str_of(bytes, n));
		assert_int_equal(c.code, surrogate ? UTF8_REPLACEMENT : code);
		assert_int_equal(c.n, n);
		assert_true(str_is_utf8(str_of(bytes, n)));
		for (unsigned cut = 1; cut < n; cut++) {
			c = utf8_next(str_of(bytes, cut));
			assert_true(c.code == UTF8_INVALID && c.n == cut);
		}
	}
	char bytes[4];
	assert_int_equal(utf8_encode(0x110000, bytes), 3);
	assert_memory_equal(bytes, "\xef\xbf\xbd", 3);
	assert_int_equal(utf8_next(STR_EMPTY).n, 0);
}

/* Unicode 15, table 3-8 and its neighbours: how many bytes belong to each ill-formed subpart. */
static void ill_formed_bytes_fall_into_maximal_subparts(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		unsigned subparts[8]; /* lengths; 0 ends */
	} rows[] = {
		{"\xc0\xaf", {1, 1}},
		{"\xe0\x80\xbf", {1, 1, 1}},
		{"\xf0\x81\x82\x41", {1, 1, 1, 1}},
		{"\xed\xa0\x80", {1, 1, 1}},
		{"\xed\xaf\x41", {1, 1, 1}},
		{"\xf4\x91\x92\x93", {1, 1, 1, 1}},
		{"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf", {2, 1, 3, 2}},
		{"\xff\x41", {1, 1}},
		{"\x80\x41", {1, 1}},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str rest = str_from(rows[i].bytes);
		for (size_t k = 0; rest.n > 0; k++) {
			struct utf8_char c = utf8_next(rest);
			assert_int_equal(c.n, rows[i].subparts[k]);
			assert_int_equal(c.code, rest.p[0] == 'A' ? 'A' : UTF8_INVALID);
			rest = str_slice(rest, c.n, rest.n);
		}
	}
}

static void cutting_keeps_characters_whole(void **state)
{
	(void)state;
	struct str text = S("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"); /* 1, 2, 3, 4 and 1 bytes */
	static const size_t lengths[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
	for (size_t max = 0; max < ARRAY_LEN(lengths); max++)
		assert_int_equal(utf8_cut(text, max).n, lengths[max]);
	assert_int_equal(utf8_cut(S("\x80\x80\x80\x80\x80"), 4).n, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_character_goes_there_and_back),
		cmocka_unit_test(ill_formed_bytes_fall_into_maximal_subparts),
		cmocka_unit_test(cutting_keeps_characters_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
