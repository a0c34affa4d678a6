#include "text/json_writer.h"
#include "base/ascii.h"
#include "base/utf8.h"
#include <math.h>

void jsonw_init(struct json_writer *w, struct buf *out, enum json_writer_mode mode)
{
	*w = (struct json_writer){.out = out, .mode = mode};
}

static void put_comma(struct json_writer *w)
{
	if (w->need_comma)
		buf_add_char(w->out, ',');
	w->need_comma = true;
}

static void begin(struct json_writer *w, char bracket)
{
	put_comma(w);
	buf_add_char(w->out, bracket);
	w->need_comma = false;
	w->depth++;
}

static void end(struct json_writer *w, char bracket)
{
	if (w->depth == 0)
		BUG("'%c' closes nothing", bracket);
	buf_add_char(w->out, bracket);
	w->need_comma = true;
	w->depth--;
}

void jsonw_begin_object(struct json_writer *w)
{
	begin(w, '{');
}

void jsonw_end_object(struct json_writer *w)
{
	end(w, '}');
}

void jsonw_begin_array(struct json_writer *w)
{
	begin(w, '[');
}

void jsonw_end_array(struct json_writer *w)
{
	end(w, ']');
}

/* Bytes that never stand for themselves, in PLAIN mode and what GO mode adds; bytes above ASCII are looked at. */
enum { ESCAPED = 1, ESCAPED_BY_GO = 2, MULTIBYTE = 4 };

static unsigned byte_class(unsigned char c)
{
	static const unsigned char classes[256] = {
		[0 ... 0x1f] = ESCAPED,      ['"'] = ESCAPED,       ['\\'] = ESCAPED,
		['<'] = ESCAPED_BY_GO,       ['>'] = ESCAPED_BY_GO, ['&'] = ESCAPED_BY_GO,
		[0x80 ... 0xff] = MULTIBYTE,
	};
	return classes[c];
}

static void put_escape(struct json_writer *w, uint32_t unit)
{
	static const char letters[] = {
		['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't', ['"'] = '"', ['\\'] = '\\',
	};
	if (unit < sizeof letters && letters[unit] != '\0')
		buf_add(w->out, (const char[]){'\\', letters[unit]}, 2);
	else
		buf_addf(w->out, "\\u%04x", unit);
}

/* Writes the character at the start of `rest`, which has bytes above ASCII, and returns how many it has. */
static size_t put_multibyte(struct json_writer *w, struct str rest)
{
	bool go = w->mode == JSON_WRITER_GO;
	struct utf8_char c = utf8_next(rest);
	if (c.code == UTF8_INVALID) {
		if (go)
			put_escape(w, UTF8_REPLACEMENT);
		else
			buf_add_str(w->out, S("\xef\xbf\xbd"));
		return 1;
	}
	if (go && (c.code == 0x2028 || c.code == 0x2029))
		put_escape(w, c.code);
	else
		buf_add(w->out, rest.p, c.n);
	return c.n;
}

static void put_string(struct json_writer *w, struct str s)
{
	unsigned special = ESCAPED | MULTIBYTE | (w->mode == JSON_WRITER_GO ? ESCAPED_BY_GO : 0);
	buf_add_char(w->out, '"');
	for (size_t i = 0; i < s.n;) {
		size_t start = i;
		while (i < s.n && (byte_class((unsigned char)s.p[i]) & special) == 0)
			i++;
		buf_add(w->out, s.p + start, i - start);
		if (i == s.n)
			break;
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x80) {
			i += put_multibyte(w, str_slice(s, i, s.n));
		} else {
			put_escape(w, c);
			i++;
		}
	}
	buf_add_char(w->out, '"');
}

void jsonw_key(struct json_writer *w, struct str key)
{
	put_comma(w);
	put_string(w, key);
	buf_add_char(w->out, ':');
	w->need_comma = false;
}

void jsonw_str(struct json_writer *w, struct str value)
{
	put_comma(w);
	put_string(w, value);
}

void jsonw_int(struct json_writer *w, int64_t value)
{
	put_comma(w);
	buf_addf(w->out, "%lld", (long long)value);
}

/* A positive double as 0.DIGITS * 10^point, with the fewest digits. */
struct decimal {
	char digits[18];
	int n;
	int point;
};

/* `value` rounded to n digits. The locale may choose any decimal separator. */
static struct decimal round_to(double value, int n)
{
	char text[48];
	snprintf(text, sizeof text, "%.*e", n - 1, value);
	struct decimal d = {.n = 0};
	const char *p = text;
	for (; *p != 'e'; p++) {
		if (ascii_is_digit(*p))
			d.digits[d.n++] = *p;
	}
	bool negative = p[1] == '-';
	int exponent = 0;
	for (p += 2; *p != '\0'; p++)
		exponent = exponent * 10 + (*p - '0');
	d.point = (negative ? -exponent : exponent) + 1;
	return d;
}

/* An integer and an exponent need no decimal separator, so no locale matters. */
static double decimal_value(const struct decimal *d)
{
	char text[48];
	snprintf(text, sizeof text, "%.*se%d", d->n, d->digits, d->point - d->n);
	return strtod(text, NULL);
}

/*
 * The nearest decimal of n digits reads back as the same double unless n is too small, with one exception: below a
 * power of two doubles lie twice as dense, so that the nearest 16 digits may miss it where the next larger ones still
 * hit.
 */
static bool next_larger_hits(struct decimal *d, double value)
{
	struct decimal larger = *d;
	int i = larger.n - 1;
	while (i > 0 && larger.digits[i] == '9')
		larger.digits[i--] = '0';
	if (larger.digits[i] == '9')
		return false;
	larger.digits[i]++;
	if (decimal_value(&larger) != value)
		return false;
	*d = larger;
	return true;
}

static struct decimal shortest(double value)
{
	enum { ALWAYS_EXACT_BACK = 15, ENOUGH = 17 };
	/* Every decimal of up to 15 digits survives the way through a normal double; denormals have fewer digits. */
	int n = value < 0x1p-1022 ? 1 : ALWAYS_EXACT_BACK;
	struct decimal d = round_to(value, n);
	while (n < ENOUGH && decimal_value(&d) != value && !next_larger_hits(&d, value))
		d = round_to(value, ++n);
	while (d.n > 1 && d.digits[d.n - 1] == '0')
		d.n--;
	return d;
}

static void put_fixed(struct buf *out, const struct decimal *d)
{
	if (d->point <= 0) {
		buf_add_str(out, S("0."));
		for (int i = d->point; i < 0; i++)
			buf_add_char(out, '0');
		buf_add(out, d->digits, (size_t)d->n);
		return;
	}
	for (int i = 0; i < MAX(d->n, d->point); i++) {
		if (i == d->point)
			buf_add_char(out, '.');
		buf_add_char(out, i < d->n ? d->digits[i] : '0');
	}
}

static void put_exponential(struct buf *out, const struct decimal *d)
{
	buf_add_char(out, d->digits[0]);
	if (d->n > 1) {
		buf_add_char(out, '.');
		buf_add(out, d->digits + 1, (size_t)(d->n - 1));
	}
	buf_addf(out, "e%+d", d->point - 1);
}

void jsonw_real(struct json_writer *w, double value)
{
	if (!isfinite(value)) {
		jsonw_null(w);
		return;
	}
	put_comma(w);
	if (signbit(value))
		buf_add_char(w->out, '-');
	value = fabs(value);
	if (value < 0x1p53 && value == floor(value)) {
		buf_addf(w->out, "%llu", (unsigned long long)value);
		return;
	}
	struct decimal d = shortest(value);
	if (value < 1e-6 || value >= 1e21)
		put_exponential(w->out, &d);
	else
		put_fixed(w->out, &d);
}

void jsonw_bool(struct json_writer *w, bool value)
{
	jsonw_raw(w, value ? S("true") : S("false"));
}

void jsonw_null(struct json_writer *w)
{
	jsonw_raw(w, S("null"));
}

void jsonw_raw(struct json_writer *w, struct str json)
{
	put_comma(w);
	buf_add_str(w->out, json);
}

void jsonw_raw_members(struct json_writer *w, struct str members)
{
	if (members.n > 0)
		jsonw_raw(w, members);
}

static int by_name(const void *a, const void *b)
{
	const struct json_iter *one = a;
	const struct json_iter *other = b;
	return str_cmp(one->name, other->name);
}

static void put_members(struct json_writer *w, const struct json *object)
{
	struct json_iter it;
	json_iter_init(&it, object);
	if (w->mode == JSON_WRITER_PLAIN) {
		while (json_iter_next(&it)) {
			jsonw_key(w, it.name);
			jsonw_value(w, it.value);
		}
		return;
	}
	size_t n = json_length(object);
	AUTO_FREE struct json_iter *members = xcalloc(MAX(n, 1), sizeof *members);
	for (size_t i = 0; json_iter_next(&it); i++)
		members[i] = it;
	qsort(members, n, sizeof *members, by_name);
	for (size_t i = 0; i < n; i++) {
		jsonw_key(w, members[i].name);
		jsonw_value(w, members[i].value);
	}
}

static void put_number(struct json_writer *w, const struct json *value)
{
	int64_t integer;
	double real = 0;
	if (w->mode == JSON_WRITER_PLAIN && json_get_int(value, &integer))
		jsonw_int(w, integer);
	else if (json_get_real(value, &real))
		jsonw_real(w, real);
}

void jsonw_value(struct json_writer *w, const struct json *value)
{
	bool truth = false;
	struct str text = STR_EMPTY;
	switch (json_kind(value)) {
	case JSON_KIND_NULL:
		jsonw_null(w);
		break;
	case JSON_KIND_BOOL:
		json_get_bool(value, &truth);
		jsonw_bool(w, truth);
		break;
	case JSON_KIND_INT:
	case JSON_KIND_REAL:
		put_number(w, value);
		break;
	case JSON_KIND_STR:
		json_get_str(value, &text);
		jsonw_str(w, text);
		break;
	case JSON_KIND_ARRAY:
		jsonw_begin_array(w);
		for (size_t i = 0; i < json_length(value); i++)
			jsonw_value(w, json_at(value, i));
		jsonw_end_array(w);
		break;
	case JSON_KIND_OBJECT:
		jsonw_begin_object(w);
		put_members(w, value);
		jsonw_end_object(w);
		break;
	}
}
