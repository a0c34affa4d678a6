#include "api/timestamp.h"
#include "base/ascii.h"
#include "base/escape.h"
#include "base/time.h"

struct reader {
	struct str rest;
	bool bad;
};

static unsigned read_digits(struct reader *r, size_t n, unsigned least, unsigned most)
{
	unsigned value = 0;
	if (r->rest.n < n)
		r->bad = true;
	for (size_t i = 0; i < n && !r->bad; i++) {
		if (!ascii_is_digit(r->rest.p[i]))
			r->bad = true;
		value = value * 10 + (unsigned)(r->rest.p[i] - '0');
	}
	if (r->bad || value < least || value > most) {
		r->bad = true;
		return least;
	}
	r->rest = str_slice(r->rest, n, r->rest.n);
	return value;
}

static char read_one_of(struct reader *r, const char *chars)
{
	for (const char *c = chars; *c != '\0' && r->rest.n > 0; c++) {
		if (ascii_lower(r->rest.p[0]) == *c) {
			r->rest = str_slice(r->rest, 1, r->rest.n);
			return *c;
		}
	}
	r->bad = true;
	return '\0';
}

static uint64_t read_fraction(struct reader *r)
{
	if (!str_starts(r->rest, S(".")))
		return 0;
	size_t n = 1;
	uint64_t value = 0, unit = TIME_SECOND;
	for (; n < r->rest.n && ascii_is_digit(r->rest.p[n]); n++) {
		unit /= 10;
		value += unit * (uint64_t)(r->rest.p[n] - '0');
	}
	if (n == 1 || n > 10)
		r->bad = true;
	r->rest = str_slice(r->rest, n, r->rest.n);
	return value;
}

/* Days since 1970-01-01 of a Gregorian date; months are counted from March, so that the leap day comes last. */
static uint64_t days_of(unsigned year, unsigned month, unsigned day)
{
	uint64_t y = month <= 2 ? year - 1 : year;
	uint64_t m = month <= 2 ? month + 9 : month - 3;
	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

static unsigned days_in(unsigned year, unsigned month)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return month == 2 && leap ? 29 : days[month - 1];
}

/* Seconds east of UTC. */
static int64_t read_offset(struct reader *r)
{
	char sign = read_one_of(r, "z+-");
	if (sign == 'z' || r->bad)
		return 0;
	unsigned hours = read_digits(r, 2, 0, 23);
	(void)read_one_of(r, ":");
	int64_t seconds = INT64_C(3600) * hours + INT64_C(60) * read_digits(r, 2, 0, 59);
	return sign == '-' ? -seconds : seconds;
}

int timestamp_parse(struct str text, uint64_t *ret_ns, struct err *err)
{
	struct reader r = {.rest = text};
	unsigned year = read_digits(&r, 4, 1970, 2553);
	(void)read_one_of(&r, "-");
	unsigned month = read_digits(&r, 2, 1, 12);
	(void)read_one_of(&r, "-");
	unsigned day = read_digits(&r, 2, 1, days_in(year, month));
	(void)read_one_of(&r, "t");
	uint64_t seconds = days_of(year, month, day) * 86400;
	seconds += read_digits(&r, 2, 0, 23) * UINT64_C(3600);
	(void)read_one_of(&r, ":");
	seconds += read_digits(&r, 2, 0, 59) * UINT64_C(60);
	(void)read_one_of(&r, ":");
	seconds += read_digits(&r, 2, 0, 60);
	uint64_t fraction = read_fraction(&r);
	int64_t offset = read_offset(&r);
	if (r.bad || r.rest.n > 0 || (offset > 0 && (uint64_t)offset > seconds)) {
		char shown[ESCAPE_SHOWN_SIZE];
		return fail(err, ERR_INVALID_REQUEST,
			    "'%s' is no time as RFC 3339 writes it, as in 2026-01-02T03:04:05Z",
			    escape_shown(text, shown));
	}
	*ret_ns = (uint64_t)((int64_t)seconds - offset) * TIME_SECOND + fraction;
	return 0;
}
