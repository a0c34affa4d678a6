#include "text/toml_parser.h"
#include "base/hex.h"
#include <math.h>

enum { SHOWN_MAX = 60 }; /* bytes of a bad scalar in a message */

static int fail_scalar(struct toml_parser *parser, struct str token, const char *why)
{
	bool cut = token.n > SHOWN_MAX;
	struct str shown = str_slice(token, 0, SHOWN_MAX);
	return toml_fail(parser, "'%.*s%s' %s", STR_FMT(shown), cut ? "..." : "", why);
}

/* What a number, boolean or date is made of; everything else ends it. */
static bool is_scalar_byte(int c)
{
	return toml_is_bare(c) || c == '+' || c == '.' || c == ':';
}

static struct str scalar_run(const struct toml_parser *parser, size_t from)
{
	size_t n = from;
	while (is_scalar_byte(toml_peek_at(parser, n)))
		n++;
	return str_slice(parser->text, parser->at, parser->at + n);
}

static bool next_is_digit(const struct toml_parser *parser, size_t ahead)
{
	int c = toml_peek_at(parser, ahead);
	return c >= 0 && ascii_is_digit((char)c);
}

/* ---- numbers ---- */

static int digit_value(char c, unsigned base)
{
	int value = hex_digit(c);
	return value < (int)base ? value : -1;
}

/* Digits of the base, with single underscores between them. */
static bool are_digits(struct str s, unsigned base)
{
	bool after_digit = false;
	for (size_t i = 0; i < s.n; i++) {
		bool digit = digit_value(s.p[i], base) >= 0;
		if (!digit && !(s.p[i] == '_' && after_digit))
			return false;
		after_digit = digit;
	}
	return after_digit;
}

static bool is_decimal(struct str s)
{
	return are_digits(s, 10) && (s.n == 1 || s.p[0] != '0');
}

static int read_integer(struct toml_parser *parser, struct str token, struct str digits, unsigned base,
			struct toml_value *value)
{
	bool negative = token.p[0] == '-';
	uint64_t max = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
	uint64_t sum = 0;
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] == '_')
			continue;
		uint64_t digit = (uint64_t)digit_value(digits.p[i], base);
		if (sum > (max - digit) / base)
			return fail_scalar(parser, token, "does not fit in 64 bits");
		sum = sum * base + digit;
	}
	value->type = TOML_INTEGER;
	value->as.integer = negative ? (int64_t)(0 - sum) : (int64_t)sum;
	return 0;
}

/* Whether digits (behind the sign) read `decimal [. digits] [e [sign] digits]`. */
static bool is_float(struct str s)
{
	struct str exponent = STR_EMPTY;
	bool has_exponent = false;
	for (size_t i = 0; i < s.n && !has_exponent; i++) {
		if (s.p[i] == 'e' || s.p[i] == 'E') {
			exponent = str_slice(s, i + 1, s.n);
			s = str_slice(s, 0, i);
			has_exponent = true;
		}
	}
	if (exponent.n > 0 && (exponent.p[0] == '+' || exponent.p[0] == '-'))
		exponent = str_slice(exponent, 1, exponent.n);
	if (has_exponent && !are_digits(exponent, 10))
		return false;

	size_t point = str_find_char(s, '.');
	if (point == STR_NPOS)
		return is_decimal(s);
	return is_decimal(str_slice(s, 0, point)) && are_digits(str_slice(s, point + 1, s.n), 10);
}

/* The syntax is checked, so strtod() sees nothing that a locale of ours could read otherwise. */
static int read_float(struct toml_parser *parser, struct str token, struct toml_value *value)
{
	buf_clear(&parser->scratch);
	for (size_t i = 0; i < token.n; i++) {
		if (token.p[i] != '_')
			buf_add_char(&parser->scratch, token.p[i]);
	}
	double real = strtod(parser->scratch.p, NULL);
	if (!isfinite(real))
		return fail_scalar(parser, token, "is larger than a float can be");
	value->type = TOML_FLOAT;
	value->as.real = real;
	return 0;
}

static int read_number(struct toml_parser *parser, struct str token, struct toml_value *value)
{
	static const struct {
		struct str prefix;
		unsigned base;
	} bases[] = {{{"0x", 2}, 16}, {{"0o", 2}, 8}, {{"0b", 2}, 2}};

	for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
		if (!str_starts(token, bases[i].prefix))
			continue;
		struct str digits = str_slice(token, bases[i].prefix.n, token.n);
		if (!are_digits(digits, bases[i].base))
			return fail_scalar(parser, token, "is not a number");
		return read_integer(parser, token, digits, bases[i].base, value);
	}

	bool has_sign = token.p[0] == '+' || token.p[0] == '-';
	struct str digits = str_slice(token, has_sign ? 1 : 0, token.n);
	if (str_eq(digits, S("inf")) || str_eq(digits, S("nan"))) {
		double real = digits.p[0] == 'i' ? (double)INFINITY : (double)NAN;
		value->type = TOML_FLOAT;
		value->as.real = token.p[0] == '-' ? -real : real;
		return 0;
	}
	if (is_decimal(digits))
		return read_integer(parser, token, digits, 10, value);
	if (is_float(digits))
		return read_float(parser, token, value);
	return fail_scalar(parser, token, "is no value; text goes in quotes, and a number has no leading zero");
}

/* ---- dates and times (RFC 3339, with TOML's local forms) ---- */

/* Takes `n` digits off the front that name a number from min to max. */
static bool take_number(struct str *rest, size_t n, unsigned min, unsigned max, unsigned *ret)
{
	if (rest->n < n)
		return false;
	unsigned sum = 0;
	for (size_t i = 0; i < n; i++) {
		if (!ascii_is_digit(rest->p[i]))
			return false;
		sum = sum * 10 + (unsigned)(rest->p[i] - '0');
	}
	if (sum < min || sum > max)
		return false;
	*rest = str_slice(*rest, n, rest->n);
	*ret = sum;
	return true;
}

static bool take_char(struct str *rest, const char *any_of)
{
	if (rest->n == 0 || rest->p[0] == '\0' || strchr(any_of, rest->p[0]) == NULL)
		return false;
	*rest = str_slice(*rest, 1, rest->n);
	return true;
}

static unsigned days_in(unsigned month, unsigned year)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return month == 2 && leap ? 29 : days[month - 1];
}

static bool take_date(struct str *rest)
{
	unsigned year, month, day;
	return take_number(rest, 4, 0, 9999, &year) && take_char(rest, "-") && take_number(rest, 2, 1, 12, &month) &&
	       take_char(rest, "-") && take_number(rest, 2, 1, days_in(month, year), &day);
}

/* A second of 60 is a leap second. */
static bool take_time(struct str *rest)
{
	unsigned ignored;
	if (!(take_number(rest, 2, 0, 23, &ignored) && take_char(rest, ":") && take_number(rest, 2, 0, 59, &ignored) &&
	      take_char(rest, ":") && take_number(rest, 2, 0, 60, &ignored)))
		return false;
	if (!take_char(rest, "."))
		return true;
	size_t digits = 0;
	while (take_char(rest, "0123456789"))
		digits++;
	return digits > 0;
}

static bool take_offset(struct str *rest)
{
	unsigned ignored;
	if (take_char(rest, "Zz"))
		return true;
	return take_char(rest, "+-") && take_number(rest, 2, 0, 23, &ignored) && take_char(rest, ":") &&
	       take_number(rest, 2, 0, 59, &ignored);
}

static bool datetime_type(struct str s, bool has_date, enum toml_type *ret)
{
	enum toml_type type = TOML_LOCAL_TIME;
	if (has_date) {
		if (!take_date(&s))
			return false;
		type = s.n == 0 ? TOML_LOCAL_DATE : TOML_LOCAL_DATETIME;
	}
	if (type != TOML_LOCAL_DATE) {
		if ((has_date && !take_char(&s, "Tt ")) || !take_time(&s))
			return false;
		if (has_date && s.n > 0) {
			type = TOML_OFFSET_DATETIME;
			if (!take_offset(&s))
				return false;
		}
	}
	*ret = type;
	return s.n == 0;
}

static int read_datetime(struct toml_parser *parser, struct str token, bool has_date, struct toml_value *value)
{
	if (!datetime_type(token, has_date, &value->type))
		return fail_scalar(parser, token,
				   "is no date or time; write it as 2006-01-02T15:04:05Z or a part of it");
	value->as.text = arena_str(parser->arena, token);
	return 0;
}

static bool starts_with_digits(struct str s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i >= s.n || !ascii_is_digit(s.p[i]))
			return false;
	}
	return true;
}

int toml_read_scalar(struct toml_parser *parser, struct toml_value *value)
{
	struct str token = scalar_run(parser, 0);
	if (token.n == 0)
		return toml_fail_expected(parser, "a value");
	bool has_date = starts_with_digits(token, 4) && token.n > 4 && token.p[4] == '-';
	bool is_time = starts_with_digits(token, 2) && token.n > 2 && token.p[2] == ':';
	/* A date may have its time behind one space instead of a T. */
	if (has_date && token.n == 10 && toml_peek_at(parser, 10) == ' ' && next_is_digit(parser, 11))
		token = scalar_run(parser, 11);

	int result = 0;
	if (str_eq(token, S("true")) || str_eq(token, S("false"))) {
		value->type = TOML_BOOLEAN;
		value->as.boolean = token.p[0] == 't';
	} else if (has_date || is_time) {
		result = read_datetime(parser, token, has_date, value);
	} else {
		result = read_number(parser, token, value);
	}
	if (result == 0)
		toml_advance(parser, token.n);
	return result;
}
