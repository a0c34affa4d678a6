/* Random documents: what is written reads back as the same, and damage is refused or changes what is read. */
#include "text/json_writer.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static uint64_t seed = 20260101;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t below(uint64_t n)
{
	return draw() % n;
}

/* Pieces that need care somewhere: escapes, every length of UTF-8, what looks like structure or like numbers. */
static struct str draw_string(char room[64])
{
	static const char *const pieces[] = {
		"a",
		"Z9",
		"\"",
		"\\",
		"/",
		"\n",
		"\x01",
		"\x7f",
		"<&>",
		"\xc3\xa9",
		"\xe2\x80\xa8",
		"\xf0\x9f\x98\x80",
		"[{",
		"}]",
		"-0",
		"99999999999999999999",
		"e",
		",",
		":",
		" ",
		"\\u0000",
		"\xef\xbf\xbd",
	};
	size_t n = 0;
	for (uint64_t count = below(5); count > 0; count--) {
		struct str piece = str_from(pieces[below(ARRAY_LEN(pieces))]);
		if (n + piece.n > 64)
			break;
		memcpy(room + n, piece.p, piece.n);
		n += piece.n;
	}
	return str_of(room, n);
}

static void write_number(struct json_writer *w)
{
	static const int64_t edges[] = {0, 1, -1, INT64_MAX, INT64_MIN, INT64_C(1) << 53, (INT64_C(1) << 53) + 1};
	if (below(3) == 0) {
		jsonw_int(w, edges[below(ARRAY_LEN(edges))]);
	} else if (below(2) == 0) {
		jsonw_int(w, (int64_t)draw() >> below(64));
	} else {
		uint64_t bits = draw();
		double value;
		memcpy(&value, &bits, sizeof value);
		jsonw_real(w, isfinite(value) ? value : 0.5);
	}
}

static void write_value(struct json_writer *w, int depth)
{
	char room[64];
	switch (below(depth > 0 ? 7 : 5)) {
	case 0:
		jsonw_null(w);
		break;
	case 1:
		jsonw_bool(w, below(2) == 0);
		break;
	case 2:
	case 3:
		write_number(w);
		break;
	case 4:
		jsonw_str(w, draw_string(room));
		break;
	case 5:
		jsonw_begin_array(w);
		for (uint64_t n = below(6); n > 0; n--)
			write_value(w, depth - 1);
		jsonw_end_array(w);
		break;
	default:
		jsonw_begin_object(w);
		for (uint64_t n = below(6); n > 0; n--) {
			/* A number in front keeps the keys of one object apart. */
			char key[80];
			struct str tail = draw_string(room);
			int digits = snprintf(key, sizeof key, "%u", (unsigned)n);
			memcpy(key + digits, tail.p, tail.n);
			jsonw_key(w, str_of(key, (size_t)digits + tail.n));
			write_value(w, depth - 1);
		}
		jsonw_end_object(w);
		break;
	}
}

static void write_again(const struct json *json, enum json_writer_mode mode, struct buf *out)
{
	struct json_writer w;
	buf_clear(out);
	jsonw_init(&w, out, mode);
	jsonw_value(&w, json);
	assert_true(buf_ok(out));
}

static struct json *read_back(struct str text)
{
	struct err err = {0};
	struct json *json = json_parse(text, JSON_READ_STRICT, &err);
	if (json == NULL)
		fail_msg("'%.*s' was refused: %s", STR_FMT(text), err.message);
	return json;
}

static void what_is_written_reads_back_as_the_same(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(1 << 20);
	AUTO_BUF again = BUF_INIT(1 << 20);
	for (int round = 0; round < 20000; round++) {
		struct json_writer w;
		buf_clear(&text);
		jsonw_init(&w, &text, JSON_WRITER_PLAIN);
		write_value(&w, 5);
		AUTO(json) *json = read_back(buf_str(&text));
		write_again(json, JSON_WRITER_PLAIN, &again);
		assert_string_equal(again.p, text.p);

		/* Once sorted and widened to doubles, the GO form is its own image. */
		write_again(json, JSON_WRITER_GO, &text);
		AUTO(json) *sorted = read_back(buf_str(&text));
		write_again(sorted, JSON_WRITER_GO, &again);
		assert_string_equal(again.p, text.p);
	}
}

static void every_double_reads_back_as_itself(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(100);
	for (int round = 0; round < 200000; round++) {
		uint64_t bits = draw();
		if (round % 4 == 0) /* powers of two and their neighbours, where doubles are spaced unevenly */
			bits = (bits & UINT64_C(0xfff0000000000000)) + below(3) - 1;
		double value;
		memcpy(&value, &bits, sizeof value);
		if (!isfinite(value))
			continue;
		struct json_writer w;
		buf_clear(&text);
		jsonw_init(&w, &text, JSON_WRITER_GO);
		jsonw_real(&w, value);
		AUTO(json) *json = read_back(buf_str(&text));
		double got = 0;
		assert_true(json_get_real(json, &got));
		assert_true(got == value && signbit(got) == signbit(value));
	}
}

/* Cut anywhere, an object or array is refused: its end is missing. */
static void every_cut_is_refused(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(1 << 20);
	for (int round = 0; round < 200; round++) {
		struct json_writer w;
		buf_clear(&text);
		jsonw_init(&w, &text, JSON_WRITER_PLAIN);
		jsonw_begin_array(&w);
		write_value(&w, 3);
		jsonw_end_array(&w);
		for (size_t n = 0; n < text.n; n++) {
			/* The exact size lets the sanitizer see a read past the end. */
			AUTO_FREE char *copy = xmalloc(n + 1);
			memcpy(copy, text.p, n);
			struct err err = {0};
			assert_null(json_parse(str_of(copy, n), JSON_READ_STRICT, &err));
			assert_int_equal(err.class, ERR_PARSE_ERROR);
		}
	}
}

/* Whatever is read from a damaged text can be written, and that reads back. */
static void a_changed_byte_is_refused_or_read_as_json(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(1 << 20);
	AUTO_BUF again = BUF_INIT(1 << 20);
	for (int round = 0; round < 20000; round++) {
		struct json_writer w;
		buf_clear(&text);
		jsonw_init(&w, &text, JSON_WRITER_PLAIN);
		write_value(&w, 3);
		text.p[below(text.n)] = (char)draw();
		AUTO(json) *json = json_parse(buf_str(&text), (unsigned)below(4), NULL);
		if (json == NULL)
			continue;
		write_again(json, JSON_WRITER_PLAIN, &again);
		AUTO(json) *second = read_back(buf_str(&again));
		write_again(second, JSON_WRITER_PLAIN, &text);
		assert_string_equal(again.p, text.p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_reads_back_as_the_same),
		cmocka_unit_test(every_double_reads_back_as_itself),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(a_changed_byte_is_refused_or_read_as_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
