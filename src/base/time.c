#include "base/time.h"
#include "base/mem.h"
#include <stdio.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec now;
	if (clock_gettime(id, &now) != 0 || now.tv_sec < 0)
		BUG("clock %d cannot be read or stands before 1970", (int)id);
	return (uint64_t)now.tv_sec * TIME_SECOND + (uint64_t)now.tv_nsec;
}

static uint64_t system_monotonic(void *context)
{
	(void)context;
	return read_clock(CLOCK_MONOTONIC);
}

static uint64_t system_wall(void *context)
{
	(void)context;
	return read_clock(CLOCK_REALTIME);
}

const struct clock clock_system = {.monotonic = system_monotonic, .wall = system_wall};

uint64_t clock_monotonic_ns(const struct clock *clock)
{
	return clock == NULL ? system_monotonic(NULL) : clock->monotonic(clock->context);
}

uint64_t clock_wall_ns(const struct clock *clock)
{
	return clock == NULL ? system_wall(NULL) : clock->wall(clock->context);
}

int time_ms_until(uint64_t deadline_ns, uint64_t now_ns)
{
	if (deadline_ns == UINT64_MAX)
		return -1;
	uint64_t left = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	uint64_t ms = left / TIME_MILLISECOND + (left % TIME_MILLISECOND != 0);
	return (int)MIN(ms, (uint64_t)TIME_POLL_MAX_MS);
}

/*
 * Days to a date by counting from 0000-03-01: with the leap day last, each year of a 400-year era has the same months,
 * and month lengths from March follow (153 m + 2) / 5.
 */
static void set_date(struct time_utc *utc, uint64_t days)
{
	enum { DAYS_TO_1970 = 719468, ERA = 146097, CENTURY = 36524, FOUR_YEARS = 1460 };
	utc->weekday = (unsigned)((days + 4) % 7); /* 1970-01-01 was a Thursday */
	uint64_t shifted = days + DAYS_TO_1970;
	unsigned of_era = (unsigned)(shifted % ERA);
	unsigned year = (of_era - of_era / FOUR_YEARS + of_era / CENTURY - of_era / (ERA - 1)) / 365;
	unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
	unsigned march_month = (5 * of_year + 2) / 153;
	utc->day = of_year - (153 * march_month + 2) / 5 + 1;
	utc->month = march_month < 10 ? march_month + 3 : march_month - 9;
	utc->year = (unsigned)(shifted / ERA) * 400 + year + (utc->month <= 2 ? 1 : 0);
}

struct time_utc time_utc(uint64_t wall_ns)
{
	uint64_t seconds = wall_ns / TIME_SECOND;
	unsigned of_day = (unsigned)(seconds % 86400);
	struct time_utc utc = {
		.hour = of_day / 3600,
		.minute = of_day / 60 % 60,
		.second = of_day % 60,
		.nanosecond = (unsigned)(wall_ns % TIME_SECOND),
	};
	set_date(&utc, seconds / 86400);
	return utc;
}

/* Decimal with leading zeros, exactly `digits` long; returns what follows. */
static char *put_digits(char *to, unsigned value, unsigned digits)
{
	for (unsigned i = digits; i > 0; i--, value /= 10)
		to[i - 1] = (char)('0' + value % 10);
	return to + digits;
}

static char *put_char(char *to, char c)
{
	*to = c;
	return to + 1;
}

const char *time_format_rfc3339(uint64_t wall_ns, unsigned digits, char ret[TIME_RFC3339_SIZE])
{
	struct time_utc utc = time_utc(wall_ns);
	char *to = put_char(put_digits(ret, utc.year, 4), '-');
	to = put_char(put_digits(to, utc.month, 2), '-');
	to = put_char(put_digits(to, utc.day, 2), 'T');
	to = put_char(put_digits(to, utc.hour, 2), ':');
	to = put_char(put_digits(to, utc.minute, 2), ':');
	to = put_digits(to, utc.second, 2);
	if (digits > 0) {
		char fraction[9];
		put_digits(fraction, utc.nanosecond, sizeof fraction);
		to = put_char(to, '.');
		memcpy(to, fraction, MIN(digits, sizeof fraction));
		to += MIN(digits, sizeof fraction);
	}
	*put_char(to, 'Z') = '\0';
	return ret;
}

static char *put_compact_date(char *to, const struct time_utc *utc)
{
	return put_digits(put_digits(put_digits(to, utc->year, 4), utc->month, 2), utc->day, 2);
}

const char *time_format_compact(uint64_t wall_ns, char ret[TIME_COMPACT_SIZE])
{
	struct time_utc utc = time_utc(wall_ns);
	char *to = put_char(put_compact_date(ret, &utc), 'T');
	to = put_digits(put_digits(put_digits(to, utc.hour, 2), utc.minute, 2), utc.second, 2);
	*put_char(to, 'Z') = '\0';
	return ret;
}

const char *time_format_compact_date(uint64_t wall_ns, char ret[TIME_COMPACT_DATE_SIZE])
{
	struct time_utc utc = time_utc(wall_ns);
	*put_compact_date(ret, &utc) = '\0';
	return ret;
}
