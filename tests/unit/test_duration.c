#include "base/mem.h"
#include "base/time.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* The left column is what Go prints for the right one. */
static void writes_durations_as_go_does(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t ns;
	} rows[] = {
		{"0s", 0},
		{"1ns", 1},
		{"1.1\xc2\xb5s", 1100},
		{"2.2ms", 2200 * TIME_MICROSECOND},
		{"500ms", 500 * TIME_MILLISECOND},
		{"3.3s", 3300 * TIME_MILLISECOND},
		{"30s", 30 * TIME_SECOND},
		{"1m30s", 90 * TIME_SECOND},
		{"4m5s", 4 * TIME_MINUTE + 5 * TIME_SECOND},
		{"4m5.001s", 4 * TIME_MINUTE + 5001 * TIME_MILLISECOND},
		{"5m0s", 5 * TIME_MINUTE},
		{"1h0m0s", TIME_HOUR},
		{"5h6m7.001s", 5 * TIME_HOUR + 6 * TIME_MINUTE + 7001 * TIME_MILLISECOND},
		{"8m0.000000001s", 8 * TIME_MINUTE + 1},
		{"2562047h47m16.854775807s", INT64_MAX},
		{"5124095h34m33.709551615s", UINT64_MAX},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[DURATION_TEXT_SIZE];
		assert_string_equal(duration_format(rows[i].ns, text), rows[i].text);
	}
}

static void reads_durations(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t ns;
	} rows[] = {
		{"1500ms", 1500 * TIME_MILLISECOND},
		{"30s", 30 * TIME_SECOND},
		{"2m", 2 * TIME_MINUTE},
		{"1.5s", 1500 * TIME_MILLISECOND},
		{"0.5h", 30 * TIME_MINUTE},
		{"1.5m", 90 * TIME_SECOND},
		{"0s", 0},
		{"7us", 7000},
		{"7\xc2\xb5s", 7000},
		{"7\xce\xbcs", 7000},
		{"0.001us", 1},
		{"1h0m0.000000001s", TIME_HOUR + 1},
		{"1.5h30s", 90 * TIME_MINUTE + 30 * TIME_SECOND},
		{"18446744073709551615ns", UINT64_MAX},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t ns = 1;
		struct err err = {0};
		if (duration_parse(str_from(rows[i].text), UINT64_MAX, &ns, &err) < 0)
			fail_msg("%s", err.message);
		assert_int_equal(ns, rows[i].ns);
	}
}

static void refuses_everything_else(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"",
		"s",
		"30",
		"0",
		"-1s",
		"+1s",
		" 1s",
		"1s ",
		"1 s",
		"1S",
		"1sec",
		"1.s",
		".5s",
		"1..5s",
		"1.5.5s",
		"01s",
		"1e3s",
		"1,5s",
		"1s30m",
		"1s1s",
		"1us1\xc2\xb5s",
		"0.5ns",
		"1d",
		"1s\n",
		"1.0000000001s",
		"1m-1s",
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t ns = 7;
		struct err err = {0};
		if (duration_parse(str_from(rows[i]), UINT64_MAX, &ns, &err) == 0)
			fail_msg("'%s' was read as %lu", rows[i], ns);
		assert_int_equal(err.class, ERR_VALIDATION_ERROR);
		assert_non_null(strstr(err.message, "is not a duration: write it like"));
		assert_int_equal(ns, 7);
	}
}

static void says_what_the_most_is(void **state)
{
	(void)state;
	uint64_t ns = 7;
	struct err err = {0};
	assert_int_equal(duration_parse(S("5m0.001s"), 5 * TIME_MINUTE, &ns, &err), -1);
	assert_string_equal(err.message, "'5m0.001s' is too long: at most 5m0s is accepted");
	assert_int_equal(duration_parse(S("5m"), 5 * TIME_MINUTE, &ns, &err), 0);

	static const char *const overflowing[] = {"18446744073709551616ns", "99999999999999999999s", "5124096h",
						  "5124095h35m", "18446744073709551615h"};
	for (size_t i = 0; i < ARRAY_LEN(overflowing); i++) {
		assert_int_equal(duration_parse(str_from(overflowing[i]), UINT64_MAX, &ns, &err), -1);
		assert_non_null(strstr(err.message, "is too long"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_durations_as_go_does),
		cmocka_unit_test(reads_durations),
		cmocka_unit_test(refuses_everything_else),
		cmocka_unit_test(says_what_the_most_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
