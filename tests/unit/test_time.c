#include "base/mem.h"
#include "base/time.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void waits_are_rounded_up_and_bounded(void **state)
{
	(void)state;
	static const struct {
		uint64_t deadline, now;
		int ms;
	} rows[] = {
		{0, 0, 0},
		{5, 9, 0},
		{1, 0, 1},
		{TIME_MILLISECOND, 0, 1},
		{TIME_MILLISECOND + 1, 0, 2},
		{TIME_SECOND + 7, 7, 1000},
		{TIME_HOUR + 1, 0, TIME_POLL_MAX_MS},
		{UINT64_MAX - 1, 0, TIME_POLL_MAX_MS},
		{UINT64_MAX, 0, -1},
		{UINT64_MAX, UINT64_MAX, -1},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(time_ms_until(rows[i].deadline, rows[i].now), rows[i].ms);
}

static void writes_known_dates(void **state)
{
	(void)state;
	static const struct {
		uint64_t seconds;
		const char *rfc3339, *compact, *date;
		unsigned weekday;
	} rows[] = {
		{0, "1970-01-01T00:00:00Z", "19700101T000000Z", "19700101", 4},
		{951782399, "2000-02-28T23:59:59Z", "20000228T235959Z", "20000228", 1},
		{951782400, "2000-02-29T00:00:00Z", "20000229T000000Z", "20000229", 2},
		{1440938160, "2015-08-30T12:36:00Z", "20150830T123600Z", "20150830", 0},
		{1618884473, "2021-04-20T02:07:53Z", "20210420T020753Z", "20210420", 2},
		{4107542400, "2100-03-01T00:00:00Z", "21000301T000000Z", "21000301", 1},
		{UINT64_MAX / TIME_SECOND, "2554-07-21T23:34:33Z", "25540721T233433Z", "25540721", 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[TIME_RFC3339_SIZE];
		uint64_t ns = rows[i].seconds * TIME_SECOND + 9;
		assert_string_equal(time_format_rfc3339(ns, 0, text), rows[i].rfc3339);
		assert_string_equal(time_format_compact(ns, text), rows[i].compact);
		assert_string_equal(time_format_compact_date(ns, text), rows[i].date);
		assert_int_equal(time_utc(ns).weekday, rows[i].weekday);
	}
}

static void cuts_the_fraction_to_the_digits_asked_for(void **state)
{
	(void)state;
	char text[TIME_RFC3339_SIZE];
	uint64_t ns = TIME_SECOND + 98765432;
	assert_string_equal(time_format_rfc3339(ns, 1, text), "1970-01-01T00:00:01.0Z");
	assert_string_equal(time_format_rfc3339(ns, 3, text), "1970-01-01T00:00:01.098Z");
	assert_string_equal(time_format_rfc3339(ns, 9, text), "1970-01-01T00:00:01.098765432Z");
	assert_string_equal(time_format_rfc3339(ns, 12, text), "1970-01-01T00:00:01.098765432Z");
}

static uint64_t read_argument(void *context)
{
	return ++*(uint64_t *)context;
}

static void a_clock_can_be_replaced(void **state)
{
	(void)state;
	uint64_t now = 41;
	struct clock clock = {.monotonic = read_argument, .wall = read_argument, .context = &now};
	assert_int_equal(clock_monotonic_ns(&clock), 42);
	assert_int_equal(clock_wall_ns(&clock), 43);

	uint64_t before = clock_monotonic_ns(&clock_system);
	assert_true(clock_monotonic_ns(NULL) >= before);
	assert_true(clock_wall_ns(NULL) > UINT64_C(1700000000) * TIME_SECOND);
	assert_true(clock_wall_ns(&clock_system) > UINT64_C(1700000000) * TIME_SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_are_rounded_up_and_bounded),
		cmocka_unit_test(writes_known_dates),
		cmocka_unit_test(cuts_the_fraction_to_the_digits_asked_for),
		cmocka_unit_test(a_clock_can_be_replaced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
