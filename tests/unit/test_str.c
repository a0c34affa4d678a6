#include "base/mem.h"
#include "base/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void empty_strings_are_equal_whatever_they_point_to(void **state)
{
	(void)state;
	assert_true(str_eq(STR_EMPTY, S("")));
	assert_true(str_eq(str_from(NULL), str_of("x", 0)));
	assert_true(str_eq_fold(STR_EMPTY, S("")));
	assert_int_equal(str_cmp(STR_EMPTY, S("")), 0);
	assert_true(str_starts(STR_EMPTY, S("")) && str_ends(STR_EMPTY, STR_EMPTY));
	assert_int_equal(str_find(STR_EMPTY, STR_EMPTY), 0);
	assert_int_equal(str_find(STR_EMPTY, S("a")), STR_NPOS);
	assert_int_equal(str_find_char(STR_EMPTY, 'a'), STR_NPOS);
	assert_int_equal(str_find_last_char(STR_EMPTY, 'a'), STR_NPOS);
	assert_true(str_blank(STR_EMPTY));
	assert_true(str_is_utf8(STR_EMPTY));
	assert_int_equal(str_slice(STR_EMPTY, 0, 9).n, 0);
}

static void compares_by_unsigned_bytes_then_length(void **state)
{
	(void)state;
	assert_true(str_cmp(S("a"), S("b")) < 0);
	assert_true(str_cmp(S("ab"), S("a")) > 0);
	assert_true(str_cmp(S("\xff"), S("a")) > 0);
	assert_true(str_cmp(S("a\0b"), S("a\0c")) < 0);
	assert_true(str_eq_fold(S("aZ[\xc3\x89"), S("Az[\xc3\x89")));
	assert_false(str_eq_fold(S("[@"), S("{`")));
	assert_false(str_eq_fold(S("\xc3\x89"), S("\xc3\xa9")));
	assert_false(str_eq(S("a"), S("a\0")));
}

static void slices_and_cuts_stay_within(void **state)
{
	(void)state;
	struct str s = S("key=a=b"), head;
	assert_true(str_eq(str_slice(s, 4, 99), S("a=b")));
	assert_int_equal(str_slice(s, 5, 3).n, 0);
	assert_int_equal(str_slice(s, SIZE_MAX, SIZE_MAX).n, 0);
	assert_true(str_eq(str_cut(s, '=', &head), S("a=b")));
	assert_true(str_eq(head, S("key")));
	assert_true(str_eq(str_cut(s, '?', &head), STR_EMPTY));
	assert_true(str_eq(head, s));
	assert_int_equal(str_find_last_char(s, '='), 5);
	assert_true(str_eq(str_trim(S(" \t\r\n\v\fa b\f ")), S("a b")));
	assert_true(str_listed(S("close,\tUpgrade , x"), S("upgrade")) && str_listed(S("x"), S("x")));
	assert_false(str_listed(S("upgraded, up"), S("upgrade")) || str_listed(STR_EMPTY, S("x")));
	assert_false(str_blank(S(" \xc2\xa0"))); /* only ASCII is blank */
	assert_false(str_blank(S("\0")));
}

static void reads_strict_decimals(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t max, value;
		bool ok;
	} rows[] = {
		{"0", 0, 0, true},
		{"18446744073709551615", UINT64_MAX, UINT64_MAX, true},
		{"18446744073709551616", UINT64_MAX, 0, false},
		{"18446744073709551625", UINT64_MAX, 0, false},
		{"99999999999999999999", UINT64_MAX, 0, false},
		{"255", 255, 255, true},
		{"256", 255, 0, false},
		{"", 9, 0, false},
		{"00", 9, 0, false},
		{"01", 9, 0, false},
		{"+1", 9, 0, false},
		{"-1", UINT64_MAX, 0, false},
		{" 1", 9, 0, false},
		{"1 ", 9, 0, false},
		{"0x1", 9, 0, false},
		{"1\xd9\xa1", UINT64_MAX, 0, false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t value = 7;
		assert_int_equal(str_to_u64(str_from(rows[i].text), rows[i].max, &value), rows[i].ok);
		assert_int_equal(value, rows[i].ok ? rows[i].value : 7);
	}
}

static void prints_with_its_length(void **state)
{
	(void)state;
	AUTO_FREE char *text = xasprintf("%.*s|%.*s", STR_FMT(str_slice(S("abc"), 0, 2)), STR_FMT(STR_EMPTY));
	assert_string_equal(text, "ab|");
	AUTO_FREE char *copy = str_dup(S("a\0b"));
	assert_memory_equal(copy, "a\0b", 4);
	AUTO_FREE char *none = xstrdup(NULL);
	assert_string_equal(none, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_strings_are_equal_whatever_they_point_to),
		cmocka_unit_test(compares_by_unsigned_bytes_then_length),
		cmocka_unit_test(slices_and_cuts_stay_within),
		cmocka_unit_test(reads_strict_decimals),
		cmocka_unit_test(prints_with_its_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
