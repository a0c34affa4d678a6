/*
 * time: clocks that tests can replace, dates as text, durations as text
 *
 * Times are unsigned nanoseconds: since an arbitrary point (monotonic) or since 1970-01-01T00:00:00Z (wall, until the
 * year 2554). Dates are proleptic Gregorian UTC without leap seconds; no locale and no time zone is ever read. No
 * allocation; any thread.
 */
#pragma once
#include "base/err.h"
#include "base/str.h"

#define TIME_MICROSECOND UINT64_C(1000)
#define TIME_MILLISECOND UINT64_C(1000000)
#define TIME_SECOND      UINT64_C(1000000000)
#define TIME_MINUTE      (60 * TIME_SECOND)
#define TIME_HOUR        (60 * TIME_MINUTE)

/* Passed by pointer to whoever needs time; NULL means the system's. Must outlive its users. */
struct clock {
	uint64_t (*monotonic)(void *context); /* never goes back */
	uint64_t (*wall)(void *context);
	void *context;
};
extern const struct clock clock_system;

uint64_t clock_monotonic_ns(const struct clock *clock);
uint64_t clock_wall_ns(const struct clock *clock);

/*
 * What poll() is to wait until `deadline_ns` when it is `now_ns`: milliseconds, rounded up so that the time is over when it
 * returns, at most TIME_POLL_MAX_MS; 0 when it is, -1 for UINT64_MAX, which never comes.
 */
#define TIME_POLL_MAX_MS 3600000
int time_ms_until(uint64_t deadline_ns, uint64_t now_ns);

/* A moment in UTC, taken apart. */
struct time_utc {
	unsigned year, month, day; /* month and day from 1 */
	unsigned hour, minute, second, nanosecond;
	unsigned weekday; /* 0 = Sunday */
};
struct time_utc time_utc(uint64_t wall_ns);

/* Each fills `ret` with NUL-terminated text and returns it. */
#define TIME_RFC3339_SIZE 31
/* `digits`, 0 to 9, of the second's fraction, cut and not rounded: "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678Z" */
const char *time_format_rfc3339(uint64_t wall_ns, unsigned digits, char ret[TIME_RFC3339_SIZE]);
#define TIME_COMPACT_SIZE 17
const char *time_format_compact(uint64_t wall_ns, char ret[TIME_COMPACT_SIZE]); /* "20260102T030405Z" */
#define TIME_COMPACT_DATE_SIZE 9
const char *time_format_compact_date(uint64_t wall_ns, char ret[TIME_COMPACT_DATE_SIZE]); /* "20260102" */

/* As Go's time.Duration prints it: "0s", "1.5µs", "500ms", "1.5s", "5m0s", "1h0m30s". Returns ret. */
#define DURATION_TEXT_SIZE 32
const char *duration_format(uint64_t ns, char ret[DURATION_TEXT_SIZE]);

/*
 * Reads what duration_format() writes and the like: numbers with a unit (h m s ms us µs ns) from the larger unit to the
 * smaller, each unit once: "1500ms", "30s", "2m", "1.5s", "1h30m". No sign, no blank, no bare number, no fraction below
 * a nanosecond. VALIDATION_ERROR when the text is anything else or is longer than `max` nanoseconds.
 */
int duration_parse(struct str text, uint64_t max, uint64_t *ret_ns, struct err *err)
	__attribute__((warn_unused_result));
