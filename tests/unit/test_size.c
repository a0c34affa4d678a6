#include "base/limits.h"
#include "base/mem.h"
#include "base/size.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void reads_and_writes_sizes(void **state)
{
	(void)state;
	static const struct {
		const char *text, *written;
		uint64_t bytes;
	} rows[] = {
		{"0", "0", 0},
		{"0GiB", "0", 0},
		{"1", "1", 1},
		{"1048576", "1MiB", MIB},
		{"64KiB", "64KiB", 64 * KIB},
		{"32MiB", "32MiB", 32 * MIB},
		{"1GiB", "1GiB", GIB},
		{"1024MiB", "1GiB", GIB},
		{"1025", "1025", 1025},
		{"17179869183GiB", "17179869183GiB", 17179869183 * GIB},
		{"18446744073709551615", "18446744073709551615", UINT64_MAX},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t bytes = 1;
		char text[SIZE_TEXT_SIZE];
		assert_int_equal(size_parse(str_from(rows[i].text), UINT64_MAX, &bytes, NULL), 0);
		assert_int_equal(bytes, rows[i].bytes);
		assert_string_equal(size_format(bytes, text), rows[i].written);
	}
}

static void refuses_everything_else(void **state)
{
	(void)state;
	static const char *const rows[] = {"",     "MiB",  "-1", "+1",   " 1",  "1 ", "1 MiB", "1.5MiB", "1MB",    "1M",
					   "1mib", "1kib", "01", "0x10", "1e6", "1B", "1\n",   "1TiB",   "1KiBKiB"};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t bytes = 7;
		struct err err = {0};
		if (size_parse(str_from(rows[i]), UINT64_MAX, &bytes, &err) == 0)
			fail_msg("'%s' was read as %lu", rows[i], bytes);
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
		assert_non_null(strstr(err.message, "is not an amount of bytes: write it like"));
		assert_int_equal(bytes, 7);
	}
}

static void says_what_the_most_is(void **state)
{
	(void)state;
	uint64_t bytes = 7;
	struct err err = {0};
	assert_int_equal(size_parse(S("2GiB"), GIB, &bytes, &err), -1);
	assert_string_equal(err.message, "'2GiB' is too large: at most 1GiB is accepted");
	assert_int_equal(size_parse(S("1073741825"), GIB, &bytes, &err), -1);
	assert_int_equal(size_parse(S("2KiB"), 2047, &bytes, &err), -1);
	assert_int_equal(size_parse(S("17179869184GiB"), UINT64_MAX, &bytes, &err), -1);
	assert_int_equal(size_parse(S("18446744073709551616"), UINT64_MAX, &bytes, &err), -1);
	assert_non_null(strstr(err.message, "is too large"));
	assert_int_equal(bytes, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes_sizes),
		cmocka_unit_test(refuses_everything_else),
		cmocka_unit_test(says_what_the_most_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
