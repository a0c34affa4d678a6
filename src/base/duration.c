/* The textual half of base/time.h. */
#include "base/ascii.h"
#include "base/escape.h"
#include "base/mem.h"
#include "base/time.h"
#include <stdio.h>

static const struct unit {
	struct str name;
	uint64_t ns;
} units[] = {
	/* from large to small */
	{{"h", 1}, TIME_HOUR},
	{{"m", 1}, TIME_MINUTE},
	{{"s", 1}, TIME_SECOND},
	{{"ms", 2}, TIME_MILLISECOND},
	{{"\xc2\xb5s", 3}, TIME_MICROSECOND}, /* the micro sign, which Go prints */
	{{"us", 2}, TIME_MICROSECOND},
	{{"\xce\xbcs", 3}, TIME_MICROSECOND}, /* the Greek letter, which looks the same */
	{{"ns", 2}, 1},
};

/* "12" or "12.5", with the fraction's trailing zeros left out; scale is a power of ten. Returns the length. */
static int put_decimal(char *to, size_t room, uint64_t value, uint64_t scale)
{
	int n = snprintf(to, room, "%llu", (unsigned long long)(value / scale));
	uint64_t fraction = value % scale;
	for (char separator = '.'; fraction > 0; separator = '\0') {
		if (separator != '\0')
			to[n++] = separator;
		scale /= 10;
		to[n++] = (char)('0' + fraction / scale);
		fraction %= scale;
	}
	to[n] = '\0';
	return n;
}

const char *duration_format(uint64_t ns, char ret[DURATION_TEXT_SIZE])
{
	const char *suffix = "s";
	uint64_t scale = TIME_SECOND;
	int n = 0;
	if (ns > 0 && ns < TIME_SECOND) {
		scale = ns < TIME_MICROSECOND ? 1 : ns < TIME_MILLISECOND ? TIME_MICROSECOND : TIME_MILLISECOND;
		suffix = scale == 1 ? "ns" : scale == TIME_MICROSECOND ? "\xc2\xb5s" : "ms";
	}
	if (ns >= TIME_HOUR)
		n += snprintf(ret, DURATION_TEXT_SIZE, "%lluh", (unsigned long long)(ns / TIME_HOUR));
	if (ns >= TIME_MINUTE)
		n += snprintf(ret + n, (size_t)(DURATION_TEXT_SIZE - n), "%llum",
			      (unsigned long long)(ns % TIME_HOUR / TIME_MINUTE));
	n += put_decimal(ret + n, (size_t)(DURATION_TEXT_SIZE - n), ns % TIME_MINUTE, scale);
	memcpy(ret + n, suffix, strlen(suffix) + 1);
	return ret;
}

/* Takes the digits at the start of the text. */
static struct str take_digits(struct str *text)
{
	size_t n = 0;
	while (n < text->n && ascii_is_digit(text->p[n]))
		n++;
	struct str digits = str_slice(*text, 0, n);
	*text = str_slice(*text, n, text->n);
	return digits;
}

static const struct unit *take_unit(struct str *text)
{
	size_t n = 0;
	while (n < text->n && !ascii_is_digit(text->p[n]) && text->p[n] != '.')
		n++;
	struct str name = str_slice(*text, 0, n);
	*text = str_slice(*text, n, text->n);
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (str_eq(units[i].name, name))
			return &units[i];
	}
	return NULL;
}

/* The decimal fraction of a unit in nanoseconds; false when it is not a whole number of them. */
static bool fraction_of(uint64_t unit_ns, struct str digits, uint64_t *ret)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < digits.n; i++) {
		if (unit_ns % 10 != 0)
			return false;
		unit_ns /= 10;
		sum += (uint64_t)(digits.p[i] - '0') * unit_ns;
	}
	*ret = sum;
	return true;
}

enum taken { TAKEN, NOT_A_DURATION, TOO_LONG };

/* One number with its unit, which must be smaller than *below. Adds to *sum. */
static enum taken take_component(struct str *text, uint64_t *below, uint64_t *sum)
{
	struct str whole = take_digits(text), fraction = STR_EMPTY;
	if (whole.n == 0 || (whole.n > 1 && whole.p[0] == '0'))
		return NOT_A_DURATION;
	if (text->n > 0 && text->p[0] == '.') {
		*text = str_slice(*text, 1, text->n);
		fraction = take_digits(text);
		if (fraction.n == 0)
			return NOT_A_DURATION;
	}
	const struct unit *unit = take_unit(text);
	uint64_t part = 0, number = 0;
	if (unit == NULL || unit->ns >= *below || !fraction_of(unit->ns, fraction, &part))
		return NOT_A_DURATION;
	*below = unit->ns;
	if (!str_to_u64(whole, UINT64_MAX, &number) || __builtin_mul_overflow(number, unit->ns, &number) ||
	    __builtin_add_overflow(number, part, &number) || __builtin_add_overflow(*sum, number, sum))
		return TOO_LONG;
	return TAKEN;
}

int duration_parse(struct str text, uint64_t max, uint64_t *ret_ns, struct err *err)
{
	struct str rest = text;
	uint64_t below = UINT64_MAX, sum = 0;
	enum taken taken = text.n > 0 ? TAKEN : NOT_A_DURATION;
	while (taken == TAKEN && rest.n > 0)
		taken = take_component(&rest, &below, &sum);
	char shown[ESCAPE_SHOWN_SIZE];
	if (taken == NOT_A_DURATION)
		return fail(err, ERR_VALIDATION_ERROR, "'%s' is not a duration: write it like 30s, 500ms or 1m30s",
			    escape_shown(text, shown));
	if (taken == TOO_LONG || sum > max) {
		char most[DURATION_TEXT_SIZE];
		return fail(err, ERR_VALIDATION_ERROR, "'%s' is too long: at most %s is accepted",
			    escape_shown(text, shown), duration_format(max, most));
	}
	*ret_ns = sum;
	return 0;
}
