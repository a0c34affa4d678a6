/* Random documents: the canonical form is its own, whatever order and spelling it came in, and no other text is. */
#include "prop/generator.h"
#include "text/canonical.h"
#include "text/json_writer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct generator g = {.state = 20260401};

/* A string with every kind of character that is written in more than one way; half of them escaped. */
static void put_string(struct buf *out, size_t salt)
{
	static const char *const pieces[][2] = {
		{"a", "\\u0061"},    {"/", "\\/"},           {"\\n", "\\u000a"},
		{"\\\"", "\\u0022"}, {"\\\\", "\\u005c"},    {"\xc3\xa9", "\\u00E9"},
		{"\x7f", "\\u007F"}, {"\\u001b", "\\u001B"}, {"\xf0\x9f\x98\x80", "\\ud83d\\ude00"},
	};
	buf_add_char(out, '"');
	for (size_t n = generate_below(&g, 5); n > 0; n--)
		buf_add_z(out, pieces[generate_below(&g, ARRAY_LEN(pieces))][generate_below(&g, 2)]);
	if (salt > 0)
		buf_addf(out, "%zu", salt);
	buf_add_char(out, '"');
}

static void put_blank(struct buf *out)
{
	static const char *const blanks[] = {"", "", " ", "\n\t", "\r"};
	buf_add_z(out, blanks[generate_below(&g, ARRAY_LEN(blanks))]);
}

static void put_value(struct buf *out, int depth)
{
	static const char *const plain[] = {
		"null", "true", "false", "0", "-1", "9007199254740992", "-9007199254740992"};
	size_t kind = generate_below(&g, depth > 0 ? 5 : 3);
	if (kind < 2) {
		buf_add_z(out, plain[generate_below(&g, ARRAY_LEN(plain))]);
	} else if (kind == 2) {
		put_string(out, 0);
	} else {
		buf_add_char(out, kind == 3 ? '[' : '{');
		size_t n = generate_below(&g, 6);
		for (size_t i = 1; i <= n; i++) {
			put_blank(out);
			if (kind == 4) {
				put_string(out, i * 7 % 11); /* a salt that is not in order keeps keys apart */
				put_blank(out);
				buf_add_char(out, ':');
				put_blank(out);
			}
			put_value(out, depth - 1);
			put_blank(out);
			if (i < n)
				buf_add_char(out, ',');
		}
		buf_add_char(out, kind == 3 ? ']' : '}');
	}
}

static void make_canonical(struct str text, struct buf *out)
{
	struct err err = {0};
	AUTO(json) *json = json_parse(text, JSON_READ_STRICT, &err);
	if (json == NULL)
		fail_msg("'%.*s': %s", STR_FMT(text), err.message);
	buf_clear(out);
	if (json_canonical(out, json, &err) != 0)
		fail_msg("'%.*s': %s", STR_FMT(text), err.message);
}

static void the_canonical_form_of_itself_is_itself(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(1 << 20), first = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
	for (int round = 0; round < 20000; round++) {
		buf_clear(&text);
		put_value(&text, 4);
		make_canonical(buf_str(&text), &first);
		make_canonical(buf_str(&first), &again);
		assert_string_equal(first.p, again.p);
		assert_true(json_is_canonical(buf_str(&first)));
		assert_int_equal(json_is_canonical(buf_str(&text)), str_eq(buf_str(&text), buf_str(&first)));
	}
}

struct told {
	const struct json *json;
	size_t n;
};

static void compare_member(void *user, struct str name, struct str value)
{
	struct told *told = user;
	AUTO_BUF form = BUF_INIT(1 << 20);
	assert_int_equal(json_canonical(&form, json_member(told->json, name), NULL), 0);
	assert_true(str_eq(buf_str(&form), value));
	told->n++;
}

/* What is seen to be canonical without a tree is so by the tree, for any text; forms without escapes in names are seen. */
static void what_is_seen_at_sight_is_so(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(1 << 20), form = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
	size_t seen = 0;
	for (int round = 0; round < 20000; round++) {
		buf_clear(&text);
		put_value(&text, 3);
		make_canonical(buf_str(&text), &form);
		if (round % 2 == 1) {
			size_t at = generate_below(&g, form.n);
			form.p[at] = (char)generate(&g);
		}
		/* The exact size lets the sanitizer see a look past the end. */
		AUTO_FREE char *copy = xmalloc(form.n);
		memcpy(copy, form.p, form.n);
		if (!json_canonical_at_sight(str_of(copy, form.n), 10, NULL, NULL)) {
			assert_true(round % 2 == 1 || str_find_char(buf_str(&form), '\\') != STR_NPOS);
			continue;
		}
		seen++;
		AUTO(json) *json = json_parse(buf_str(&form), JSON_READ_ALLOW_NUL, NULL);
		assert_non_null(json);
		buf_clear(&again);
		assert_int_equal(json_canonical(&again, json, NULL), 0);
		assert_true(str_eq(buf_str(&again), buf_str(&form)));
		struct told told = {.json = json};
		assert_true(json_canonical_at_sight(buf_str(&form), 10, compare_member, &told));
		assert_int_equal(told.n, json_kind(json) == JSON_KIND_OBJECT ? json_length(json) : 0);
	}
	assert_in_range(seen, 5000, 20000);
}

/* A changed, missing or added byte gives another value's form, or a text that is no form at all. */
static void a_damaged_form_is_another_values_or_none(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(1 << 20), form = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
	for (int round = 0; round < 20000; round++) {
		buf_clear(&text);
		put_value(&text, 3);
		make_canonical(buf_str(&text), &form);
		size_t at = generate_below(&g, form.n);
		form.p[at] = (char)(form.p[at] ^ (1 << generate_below(&g, 7)));
		if (!json_is_canonical(buf_str(&form)))
			continue;
		AUTO(json) *json = json_parse(buf_str(&form), JSON_READ_ALLOW_NUL, NULL);
		assert_non_null(json);
		buf_clear(&again);
		assert_int_equal(json_canonical(&again, json, NULL), 0);
		assert_string_equal(again.p, form.p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_canonical_form_of_itself_is_itself),
		cmocka_unit_test(what_is_seen_at_sight_is_so),
		cmocka_unit_test(a_damaged_form_is_another_values_or_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
