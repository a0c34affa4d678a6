#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "text/json.h"
#include "text/toml.h"
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "skips.h"

#define CASES SHARED_VECTORS "/toml-test/tests"

struct fixture {
	struct arena *arena;
	struct err err;
	const struct toml_value *root;
};

static int setup(void **state)
{
	struct fixture *fixture = NEW(struct fixture);
	fixture->arena = arena_new();
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	arena_free(fixture->arena);
	free(fixture);
	return 0;
}

static void parse(struct fixture *fixture, const char *text)
{
	if (toml_parse(fixture->arena, str_from(text), "t.toml", &fixture->root, &fixture->err) < 0)
		fail_msg("%s in line %u of:\n%s", fixture->err.message, fixture->err.line, text);
}

/* The text must be refused in that line and column, for a reason that contains `why`. */
static void refuse(struct fixture *fixture, const char *text, unsigned line, unsigned column, const char *why)
{
	const struct toml_value *untouched = fixture->root;
	err_clear(&fixture->err);
	if (toml_parse(fixture->arena, str_from(text), "t.toml", &fixture->root, &fixture->err) == 0)
		fail_msg("accepted:\n%s", text);
	assert_ptr_equal(fixture->root, untouched);
	assert_int_equal(fixture->err.class, ERR_PARSE_ERROR);
	assert_string_equal(fixture->err.file, "t.toml");
	if (strstr(fixture->err.message, why) == NULL)
		fail_msg("'%s' does not contain '%s'", fixture->err.message, why);
	char place[32];
	snprintf(place, sizeof place, "(column %u)", column);
	if (strstr(fixture->err.message, place) == NULL || fixture->err.line != line)
		fail_msg("'%s' in line %u is not in line %u, column %u", fixture->err.message, fixture->err.line, line,
			 column);
}

static struct str text_of(const struct toml_value *root, const char *key)
{
	struct str text = STR_EMPTY;
	assert_true(toml_get_str(toml_member(root, str_from(key)), &text));
	return text;
}

static int64_t int_of(const struct toml_value *root, const char *key)
{
	int64_t integer = 0;
	assert_true(toml_get_int(toml_member(root, str_from(key)), &integer));
	return integer;
}

/* ---- the conformance cases ---- */

static char *read_case(const char *name, size_t *ret_n)
{
	AUTO_FREE char *path = xasprintf(CASES "/%s", name);
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		fail_msg("cannot open '%s': %s", path, strerror(errno));
	size_t room = 1 << 20;
	char *text = xmalloc(room);
	*ret_n = fread(text, 1, room, file);
	fclose(file);
	assert_true(*ret_n < room);
	return text;
}

/*
 * Our JSON reader refuses U+0000, which three of the expected values hold: there and in what is compared with them it
 * becomes U+F8FF, which no case uses.
 */
#define STAND_IN "\xef\xa3\xbf"

static struct str without_nul_escapes(struct arena *arena, struct str json)
{
	AUTO_BUF out = BUF_INIT(2 * json.n + 1);
	for (size_t i = 0; i < json.n; i++) {
		if (json.p[i] != '\\') {
			buf_add_char(&out, json.p[i]);
		} else if (str_starts(str_slice(json, i, json.n), S("\\u0000"))) {
			buf_add_z(&out, STAND_IN);
			i += 5;
		} else {
			buf_add(&out, json.p + i, 2);
			i++;
		}
	}
	return arena_str(arena, buf_str(&out));
}

static struct str without_nuls(struct arena *arena, struct str text)
{
	AUTO_BUF out = BUF_INIT(3 * text.n + 1);
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '\0')
			buf_add_char(&out, text.p[i]);
		else
			buf_add_z(&out, STAND_IN);
	}
	return arena_str(arena, buf_str(&out));
}

/* "1987-07-05 17:45:56.600z" as "1987-07-05T17:45:56.6Z": the spellings of one moment that the cases mix. */
static struct str plain_datetime(struct arena *arena, struct str text)
{
	AUTO_BUF out = BUF_INIT(text.n + 1);
	bool fraction = false;
	for (size_t i = 0; i <= text.n; i++) {
		char c = i < text.n ? text.p[i] : '\0';
		if (fraction && (c < '0' || c > '9')) {
			while (out.p[out.n - 1] == '0')
				buf_truncate(&out, out.n - 1);
			if (out.p[out.n - 1] == '.')
				buf_truncate(&out, out.n - 1);
			fraction = false;
		}
		if (c == '.')
			fraction = true;
		if (c == ' ' || c == 't')
			c = 'T';
		if (c == 'z')
			c = 'Z';
		if (c != '\0')
			buf_add_char(&out, c);
	}
	return arena_str(arena, buf_str(&out));
}

static bool same_integer(const struct toml_value *value, struct str expected)
{
	int64_t integer;
	if (!toml_get_int(value, &integer))
		return false;
	char text[32];
	snprintf(text, sizeof text, "%lld", (long long)integer);
	return str_eq(str_from(text), expected);
}

static bool same_float(struct arena *arena, const struct toml_value *value, struct str expected)
{
	double real;
	if (!toml_get_float(value, &real))
		return false;
	double want = strtod(arena_z(arena, expected), NULL);
	return isnan(want) ? isnan(real) : real == want && signbit(real) == signbit(want);
}

static bool same_scalar(struct arena *arena, const struct toml_value *value, struct str type, struct str expected)
{
	static const struct {
		struct str name;
		enum toml_type type;
	} datetimes[] = {
		{{"datetime", 8}, TOML_OFFSET_DATETIME},
		{{"datetime-local", 14}, TOML_LOCAL_DATETIME},
		{{"date-local", 10}, TOML_LOCAL_DATE},
		{{"time-local", 10}, TOML_LOCAL_TIME},
	};
	struct str text;
	bool boolean;
	if (str_eq(type, S("string")))
		return toml_get_str(value, &text) && str_eq(without_nuls(arena, text), expected);
	if (str_eq(type, S("integer")))
		return same_integer(value, expected);
	if (str_eq(type, S("float")))
		return same_float(arena, value, expected);
	if (str_eq(type, S("bool")))
		return toml_get_bool(value, &boolean) && str_eq(expected, boolean ? S("true") : S("false"));
	for (size_t i = 0; i < ARRAY_LEN(datetimes); i++) {
		if (str_eq(type, datetimes[i].name))
			return toml_type(value) == datetimes[i].type && toml_get_datetime(value, &text) &&
			       str_eq(plain_datetime(arena, text), plain_datetime(arena, expected));
	}
	return false;
}

static bool same_value(struct arena *arena, const struct toml_value *value, const struct json *expected)
{
	struct str type, scalar;
	if (value == NULL || expected == NULL)
		return false;
	if (json_get_str(json_member(expected, S("type")), &type) &&
	    json_get_str(json_member(expected, S("value")), &scalar))
		return same_scalar(arena, value, type, scalar);

	enum toml_type want = json_kind(expected) == JSON_KIND_ARRAY ? TOML_ARRAY : TOML_TABLE;
	if (toml_type(value) != want || toml_length(value) != json_length(expected))
		return false;
	struct toml_iter it;
	size_t i = 0;
	for (toml_iter_init(&it, value); toml_iter_next(&it); i++) {
		const struct json *twin =
			want == TOML_ARRAY ? json_at(expected, i) : json_member(expected, without_nuls(arena, it.name));
		if (!same_value(arena, it.value, twin))
			return false;
	}
	return true;
}

static bool valid_case_passes(struct arena *arena, const char *name)
{
	size_t n;
	AUTO_FREE char *text = read_case(name, &n);
	static struct err err;
	const struct toml_value *root;
	if (toml_parse(arena, str_of(text, n), name, &root, &err) < 0) {
		print_error("%s:%u: %s\n", name, err.line, err.message);
		return false;
	}
	AUTO_FREE char *json_name = xasprintf("%.*s.json", (int)(strlen(name) - strlen(".toml")), name);
	AUTO_FREE char *json_text = read_case(json_name, &n);
	AUTO(json) *expected = json_parse(without_nul_escapes(arena, str_of(json_text, n)), JSON_READ_STRICT, &err);
	if (expected == NULL)
		fail_msg("%s: %s", json_name, err.message);
	if (same_value(arena, root, expected))
		return true;
	print_error("%s: other values than expected\n", name);
	return false;
}

static bool invalid_case_passes(struct arena *arena, const char *name)
{
	size_t n;
	AUTO_FREE char *text = read_case(name, &n);
	static struct err err;
	err_clear(&err);
	const struct toml_value *root = NULL;
	if (toml_parse(arena, str_of(text, n), name, &root, &err) == 0) {
		print_error("%s: accepted\n", name);
		return false;
	}
	return root == NULL && err.class == ERR_PARSE_ERROR && err.line > 0 && strcmp(err.file, name) == 0;
}

static void passes_every_conformance_case(void **state)
{
	struct fixture *fixture = *state;
	FILE *list = fopen(CASES "/files-toml-1.0.0", "r");
	if (list == NULL) {
		skip_because("no conformance cases in " CASES);
	}
	size_t valid = 0, invalid = 0, failed = 0;
	char name[256];
	while (fgets(name, sizeof name, list) != NULL) {
		name[strcspn(name, "\n")] = '\0';
		if (!str_ends(str_from(name), S(".toml")))
			continue;
		bool is_valid = str_starts(str_from(name), S("valid/"));
		*(is_valid ? &valid : &invalid) += 1;
		failed += (is_valid ? valid_case_passes : invalid_case_passes)(fixture->arena, name) ? 0 : 1;
		arena_clear(fixture->arena);
	}
	fclose(list);
	print_message("%zu valid and %zu invalid cases, %zu failed\n", valid, invalid, failed);
	assert_true(valid > 200 && invalid > 450);
	assert_int_equal(failed, 0);
}

/* ---- ours ---- */

static void keeps_the_order_and_the_places_of_the_text(void **state)
{
	struct fixture *fixture = *state;
	parse(fixture, "zeta = 1\n"
		       "alpha = ['é', 2]\n"
		       "[table]\n"
		       "x.y = 1\n");
	struct toml_iter it;
	static const char *const names[] = {"zeta", "alpha", "table"};
	size_t i = 0;
	for (toml_iter_init(&it, fixture->root); toml_iter_next(&it); i++)
		assert_true(i < ARRAY_LEN(names) && str_eq(it.name, str_from(names[i])));
	assert_int_equal(i, 3);

	const struct toml_value *alpha = toml_member(fixture->root, S("alpha"));
	assert_int_equal(toml_line(alpha), 2);
	toml_iter_init(&it, alpha);
	assert_true(toml_iter_next(&it));
	assert_int_equal(it.name.n, 0);
	assert_int_equal(toml_column(it.value), 10);
	assert_true(toml_iter_next(&it));
	assert_int_equal(toml_column(it.value), 15); /* é is one column */
	assert_false(toml_iter_next(&it));

	const struct toml_value *table = toml_member(fixture->root, S("table"));
	assert_int_equal(toml_line(table), 3);
	assert_int_equal(toml_line(toml_member(toml_member(table, S("x")), S("y"))), 4);
}

static void says_where_and_why(void **state)
{
	static const struct {
		const char *text;
		unsigned line, column;
		const char *why;
	} cases[] = {
		{"a = 1\nb =\n", 2, 4, "expected a value, not the end of the line"},
		{"a = 1\nb", 2, 2, "expected '=' behind the key, not the end of the text"},
		{"é = 1", 1, 1, "expected a key, not byte 0xc3"},
		{"a = 'é' x", 1, 9, "expected the end of the line, not 'x'"},
		{"a = 1\r\nb = 2\rc = 3", 2, 6, "expected the end of the line, not byte 0x0d"},
		{"a = \"x\ny\"", 1, 7, "not closed before the end of the line"},
		{"a = '''x\ny", 2, 2, "not closed before the end of the text"},
		{"a = \"\x01\"", 1, 6, "control character U+0001 in a string"},
		{"# \x7f", 1, 3, "control character U+007F in a comment"},
		{"a = \"\\q\"", 1, 6, "a backslash here must start one of"},
		{"a = \"\\u12G4\"", 1, 10, "4 hexadecimal digits"},
		{"a = \"\\ud800\"", 1, 8, "U+D800 is not a character"},
		{"a = \"\\U00110000\"", 1, 8, "U+110000 is not a character"},
		{"a = \"x\xff\"", 1, 7, "byte 0xff is not UTF-8"},
		{"a = '\xed\xa0\x80'", 1, 6, "byte 0xed is not UTF-8"},
		{"\"\"\"a\"\"\" = 1", 1, 1, "a key cannot be a multi-line string"},
		{"a = 01", 1, 5, "'01' is no value"},
		{"a = 1__0", 1, 5, "'1__0' is no value"},
		{"a = 0x_1", 1, 5, "'0x_1' is not a number"},
		{"a = +0x1", 1, 5, "'+0x1' is no value"},
		{"a = 9223372036854775808", 1, 5, "'9223372036854775808' does not fit in 64 bits"},
		{"a = -9223372036854775809", 1, 5, "does not fit in 64 bits"},
		{"a = 0x8000000000000000", 1, 5, "does not fit in 64 bits"},
		{"a = 18446744073709551616", 1, 5, "does not fit in 64 bits"},
		{"a = 1e999", 1, 5, "'1e999' is larger than a float can be"},
		{"a = 1.", 1, 5, "'1.' is no value"},
		{"a = .5", 1, 5, "'.5' is no value"},
		{"a = yes", 1, 5, "'yes' is no value; text goes in quotes"},
		{"a = 2023-02-29", 1, 5, "'2023-02-29' is no date or time"},
		{"a = 2024-01-", 1, 5, "'2024-01-' is no date or time"},
		{"a = 2024-01-01 24:00:00", 1, 5, "'2024-01-01 24:00:00' is no date or time"},
		{"a = 12:30", 1, 5, "'12:30' is no date or time"},
		{"a = 2024-01-01T00:00:00+24:00", 1, 5, "is no date or time"},
		{"a = [1 2]", 1, 8, "expected ',' or ']', not '2'"},
		{"a = {b = 1,}", 1, 12, "expected a key, not '}'"},
		{"a = {b = 1\n}", 1, 11, "expected ',' or '}' on the same line, not the end of the line"},
		{"[a\n", 1, 3, "expected ']' behind the name"},
		{"[[a]\n", 1, 4, "expected ']]' behind the name"},
	};
	struct fixture *fixture = *state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		refuse(fixture, cases[i].text, cases[i].line, cases[i].column, cases[i].why);
}

static void refuses_to_define_anything_twice(void **state)
{
	static const struct {
		const char *text;
		unsigned line, column;
		const char *why;
	} cases[] = {
		{"a = 1\n'a' = 2", 2, 1, "'a' is already defined as an integer in line 1"},
		{"[a]\n[b]\n[a]", 3, 2, "'a' is already defined as a table in line 1"},
		{"[a]\nb.c = 1\n[a.b]", 3, 4, "'b' is already defined as a table in line 2"},
		{"[a.b]\n[a]\nb.c = 1", 3, 1, "'b' is already defined as a table in line 1"},
		{"[a.b.c]\n[a]\nb.d = 1\n[a.b]", 4, 4, "'b' is already defined as a table in line 1"},
		{"a = {}\n[a.b]", 2, 2, "'a' is already defined as a table in line 1"},
		{"a = {}\na.b = 1", 2, 1, "'a' is already defined as a table in line 1"},
		{"a = {b = {}, b.c = 1}", 1, 14, "'b' is already defined as a table"},
		{"a = []\n[[a]]", 2, 3, "'a' is already defined as an array in line 1"},
		{"[[a]]\n[a]", 2, 2, "'a' is already defined as an array in line 1"},
		{"[a]\n[[a]]", 2, 3, "'a' is already defined as a table in line 1"},
		{"[a.b]\n[[a]]", 2, 3, "'a' is already defined as a table in line 1"},
		{"a.b = 1\n[a]", 2, 2, "'a' is already defined as a table in line 1"},
		{"a.b = 1\na.b.c = 2", 2, 3, "'b' is already defined as an integer in line 1"},
		{"\"x\\u001b[0m\" = 1\n\"x\\u001b[0m\" = 1", 2, 1, "'\"x\\x1b[0m\"' is already defined"},
	};
	struct fixture *fixture = *state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		refuse(fixture, cases[i].text, cases[i].line, cases[i].column, cases[i].why);
}

static void lets_open_tables_grow(void **state)
{
	struct fixture *fixture = *state;
	parse(fixture, "[a.b.c]\nx = 1\n[a]\nb.y = 2\n[a.b.d]\nz = 3\n"
		       "[[e]]\nf.g = 1\n[e.f.h]\ni = 1\n[[e]]\n[e.f]\n");
	const struct toml_value *b = toml_member(toml_member(fixture->root, S("a")), S("b"));
	assert_int_equal(int_of(toml_member(b, S("c")), "x"), 1);
	assert_int_equal(int_of(b, "y"), 2);
	assert_int_equal(int_of(toml_member(b, S("d")), "z"), 3);
	assert_int_equal(toml_length(toml_member(fixture->root, S("e"))), 2);
}

static void reads_line_ends_of_either_kind_alike(void **state)
{
	struct fixture *fixture = *state;
	parse(fixture, "a = '''\r\none\r\ntwo'''\r\nb = \"\"\"x \\ \r\n\r\n  y\"\"\"\r\nc = '''\r\n\r\n'''");
	assert_true(str_eq(text_of(fixture->root, "a"), S("one\ntwo")));
	assert_true(str_eq(text_of(fixture->root, "b"), S("x y")));
	assert_true(str_eq(text_of(fixture->root, "c"), S("\n")));
}

static void answers_only_for_the_type_that_is_there(void **state)
{
	struct fixture *fixture = *state;
	parse(fixture, "s = '1'\ni = 1\nf = 1.0\nb = false\nd = 2024-01-01\n");
	static const char *const keys[] = {"s", "i", "f", "b", "d", "absent"};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const struct toml_value *value = toml_member(fixture->root, str_from(keys[i]));
		struct str text = S("untouched");
		int64_t integer = 77;
		double real = 77;
		bool boolean = true;
		assert_int_equal(toml_get_str(value, &text), i == 0);
		assert_int_equal(toml_get_int(value, &integer), i == 1);
		assert_int_equal(toml_get_float(value, &real), i == 2);
		assert_int_equal(toml_get_bool(value, &boolean), i == 3);
		assert_int_equal(integer, i == 1 ? 1 : 77);
		assert_true(real == (i == 2 ? 1.0 : 77.0));
		assert_int_equal(boolean, i != 3);
		assert_true(i == 0 || str_eq(text, S("untouched")));
		assert_int_equal(toml_get_datetime(value, &text), i == 4);
		assert_int_equal(toml_length(value), 0);
		assert_null(toml_member(value, S("x")));
		struct toml_iter it;
		toml_iter_init(&it, value);
		assert_false(toml_iter_next(&it));
	}
	assert_int_equal(toml_length(fixture->root), 5);
}

static void reads_the_extremes_of_integers(void **state)
{
	struct fixture *fixture = *state;
	parse(fixture, "a = 9_223_372_036_854_775_807\nb = -9223372036854775808\nc = 0x7fff_FFFF_ffff_FFFF\n"
		       "d = -0\ne = 0b1\nf = 0o777\n");
	assert_true(int_of(fixture->root, "a") == INT64_MAX);
	assert_true(int_of(fixture->root, "b") == INT64_MIN);
	assert_true(int_of(fixture->root, "c") == INT64_MAX);
	assert_int_equal(int_of(fixture->root, "d"), 0);
	assert_int_equal(int_of(fixture->root, "e"), 1);
	assert_int_equal(int_of(fixture->root, "f"), 511);
}

/* `head`, then `open` n times, `middle`, `close` n times, `tail`. */
static const char *nested(struct fixture *fixture, const char *head, const char *open, size_t n, const char *middle,
			  const char *close)
{
	AUTO_BUF text = BUF_INIT(4 << 20);
	buf_add_z(&text, head);
	for (size_t i = 0; i < n; i++)
		buf_add_z(&text, open);
	buf_add_z(&text, middle);
	for (size_t i = 0; i < n; i++)
		buf_add_z(&text, close);
	assert_true(buf_ok(&text));
	return arena_z(fixture->arena, buf_str(&text));
}

static void bounds_the_depth(void **state)
{
	struct fixture *fixture = *state;
	enum { MOST = TOML_DEPTH_MAX };
	static const char why[] = "nested deeper than 128 tables and arrays";
	parse(fixture, nested(fixture, "a = ", "[", MOST, "", "]"));
	parse(fixture, nested(fixture, "a = ", "[", MOST - 1, "1", "]"));
	refuse(fixture, nested(fixture, "a = ", "[", MOST, "1", "]"), 1, 5 + MOST, why);
	parse(fixture, nested(fixture, "", "a.", MOST - 1, "a = 1", ""));
	refuse(fixture, nested(fixture, "", "a.", MOST, "a = 1", ""), 1, 1 + 2 * MOST, why);
	parse(fixture, nested(fixture, "[", "a.", MOST - 1, "a]", ""));
	refuse(fixture, nested(fixture, "[", "a.", MOST, "a]", ""), 1, 2 + 2 * MOST, why);
	refuse(fixture, nested(fixture, "[[", "a.", MOST - 1, "a]]", ""), 1, 1 + 2 * MOST, why);
	parse(fixture, nested(fixture, "a = ", "{a=", MOST - 1, "1", "}"));
	refuse(fixture, nested(fixture, "a = ", "{a=", MOST, "1", "}"), 1, 3 + 3 * MOST, why);
	/* Far deeper than the stack would bear. */
	refuse(fixture, nested(fixture, "a = ", "[", 1 << 20, "", "]"), 1, 5 + MOST, why);
}

static void bounds_the_number_of_values(void **state)
{
	struct fixture *fixture = *state;
	enum { MOST = TOML_VALUES_MAX - 2 }; /* the root and the array count */
	parse(fixture, nested(fixture, "a = [", "1,", MOST, "]", ""));
	refuse(fixture, nested(fixture, "a = [", "1,", MOST + 1, "]", ""), 1, 6 + 2 * MOST, "more than 10000 values");
}

static void reads_nothing_as_an_empty_table(void **state)
{
	struct fixture *fixture = *state;
	static const char *const texts[] = {"", "\n\r\n", "# only this", "\xef\xbb\xbf"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		parse(fixture, texts[i]);
		assert_int_equal(toml_type(fixture->root), TOML_TABLE);
		assert_int_equal(toml_length(fixture->root), 0);
	}
	assert_int_equal(toml_parse(fixture->arena, STR_EMPTY, NULL, &fixture->root, &fixture->err), 0);
}

static void does_not_count_the_byte_order_mark(void **state)
{
	struct fixture *fixture = *state;
	refuse(fixture, "\xef\xbb\xbf= 1", 1, 1, "expected a key, not '='");
	refuse(fixture, "a = 1\n\xef\xbb\xbf= 1", 2, 1, "expected a key, not byte 0xef");
}

static void makes_keys_fit_for_messages(void **state)
{
	struct fixture *fixture = *state;
	struct arena *arena = fixture->arena;
	assert_true(str_eq(toml_key_text(arena, S("bare-Key_1")), S("bare-Key_1")));
	assert_true(str_eq(toml_key_text(arena, S("")), S("\"\"")));
	assert_true(str_eq(toml_key_text(arena, S("a.b")), S("\"a.b\"")));
	assert_true(str_eq(toml_key_text(arena, S("a\"b\n")), S("\"a\\\"b\\n\"")));
	assert_true(str_eq(toml_key_text(arena, S("a\x1b[2Jb")), S("\"a\\x1b[2Jb\"")));
	char long_text[300];
	memset(long_text, 'x', sizeof long_text);
	struct str cut = toml_key_text(arena, str_of(long_text, sizeof long_text));
	assert_int_equal(cut.n, 203);
	assert_true(str_ends(cut, S("x...")));
}

/* The text may go away, or be changed, as soon as it is read. */
static void does_not_refer_to_the_text(void **state)
{
	struct fixture *fixture = *state;
	char text[] = "key = 'value'\nday = 2024-01-01\n";
	parse(fixture, text);
	memset(text, '!', sizeof text);
	assert_true(str_eq(text_of(fixture->root, "key"), S("value")));
	struct str day;
	assert_true(toml_get_datetime(toml_member(fixture->root, S("day")), &day));
	assert_true(str_eq(day, S("2024-01-01")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(passes_every_conformance_case),
		TEST(keeps_the_order_and_the_places_of_the_text),
		TEST(says_where_and_why),
		TEST(refuses_to_define_anything_twice),
		TEST(lets_open_tables_grow),
		TEST(reads_line_ends_of_either_kind_alike),
		TEST(answers_only_for_the_type_that_is_there),
		TEST(reads_the_extremes_of_integers),
		TEST(bounds_the_depth),
		TEST(bounds_the_number_of_values),
		TEST(reads_nothing_as_an_empty_table),
		TEST(does_not_count_the_byte_order_mark),
		TEST(makes_keys_fit_for_messages),
		TEST(does_not_refer_to_the_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
