#include "base/time.h"
#include "prop/generator.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static bool is_leap(unsigned year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Counts the calendar day by day, as a person would, through every day that can be told. */
static void every_day_follows_the_one_before(void **state)
{
	(void)state;
	static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	unsigned year = 1970, month = 1, day = 1, weekday = 4;
	for (uint64_t days = 0; days <= UINT64_MAX / (86400 * TIME_SECOND); days++) {
		struct time_utc utc = time_utc(days * 86400 * TIME_SECOND);
		assert_true(utc.year == year && utc.month == month && utc.day == day && utc.weekday == weekday);
		weekday = (weekday + 1) % 7;
		if (++day > lengths[month - 1] + (month == 2 && is_leap(year) ? 1 : 0)) {
			day = 1;
			month++;
		}
		if (month > 12) {
			month = 1;
			year++;
		}
	}
	assert_int_equal(year, 2554);
}

static void the_time_of_day_adds_up(void **state)
{
	(void)state;
	struct generator g = {8};
	for (int round = 0; round < 100000; round++) {
		uint64_t ns = generate(&g);
		struct time_utc utc = time_utc(ns);
		assert_true(utc.hour < 24 && utc.minute < 60 && utc.second < 60 && utc.nanosecond < TIME_SECOND);
		assert_int_equal(ns % (86400 * TIME_SECOND), utc.hour * TIME_HOUR + utc.minute * TIME_MINUTE +
								     utc.second * TIME_SECOND + utc.nanosecond);
	}
}

static void a_duration_is_read_as_it_was_written(void **state)
{
	(void)state;
	struct generator g = {9};
	for (int round = 0; round < 200000; round++) {
		/* All magnitudes, round numbers included. */
		uint64_t ns = generate(&g) >> generate_below(&g, 64);
		static const uint64_t steps[] = {1, 1000, 1000000, 100000000, TIME_SECOND, TIME_MINUTE, TIME_HOUR};
		ns -= ns % steps[generate_below(&g, 7)];
		char text[DURATION_TEXT_SIZE];
		uint64_t back = 1;
		assert_int_equal(duration_parse(str_from(duration_format(ns, text)), UINT64_MAX, &back, NULL), 0);
		assert_int_equal(back, ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_day_follows_the_one_before),
		cmocka_unit_test(the_time_of_day_adds_up),
		cmocka_unit_test(a_duration_is_read_as_it_was_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
