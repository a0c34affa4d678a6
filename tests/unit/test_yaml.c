#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "text/yaml.h"
#include "text/yaml_edit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct err err;

static const struct yaml_value *parse(struct arena *arena, const char *text)
{
	const struct yaml_value *root = NULL;
	if (yaml_parse(arena, str_from(text), "t.yaml", &root, &err) < 0)
		fail_msg("%s in:\n%s", err.message, text);
	return root;
}

static void test_kinds(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum yaml_kind kind;
	} rows[] = {
		{"", YAML_NULL},           {"~", YAML_NULL},      {"null", YAML_NULL},       {"# only\n", YAML_NULL},
		{"true", YAML_BOOL},       {"false", YAML_BOOL},  {"yes", YAML_STR},         {"on", YAML_STR},
		{"True", YAML_STR},        {"12", YAML_INT},      {"-12", YAML_INT},         {"+1", YAML_INT},
		{"1.5", YAML_STR},         {"0x10", YAML_STR},    {"\"12\"", YAML_STR},      {"'true'", YAML_STR},
		{"|\n  true\n", YAML_STR}, {"[1, 2]", YAML_LIST}, {"- 1\n- 2\n", YAML_LIST}, {"{a: 1}", YAML_MAP},
		{"a: 1\n", YAML_MAP},      {"24h", YAML_STR},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) *arena = arena_new();
		if (yaml_kind(parse(arena, rows[i].text)) != rows[i].kind)
			fail_msg("'%s' is %s", rows[i].text, yaml_kind_name(yaml_kind(parse(arena, rows[i].text))));
	}
}

static void test_values(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	const struct yaml_value *root = parse(arena, "\xef\xbb\xbfhub:\n  url: https://a.example/x # here\n  n: "
						     "-9223372036854775808\nlist:\n- true\n- two\nempty:\n");
	struct str text;
	int64_t n;
	bool flag;
	assert_true(yaml_get_str(yaml_member(yaml_member(root, S("hub")), S("url")), &text));
	assert_true(str_eq(text, S("https://a.example/x")));
	assert_int_equal(yaml_line(yaml_member(yaml_member(root, S("hub")), S("url"))), 2);
	assert_true(yaml_get_int(yaml_member(yaml_member(root, S("hub")), S("n")), &n));
	assert_true(n == INT64_MIN);
	struct yaml_iter it;
	yaml_iter_init(&it, yaml_member(root, S("list")));
	assert_true(yaml_iter_next(&it) && yaml_get_bool(it.value, &flag) && flag);
	assert_true(yaml_iter_next(&it) && yaml_get_text(it.value, &text) && str_eq(text, S("two")));
	assert_false(yaml_iter_next(&it));
	assert_int_equal(yaml_kind(yaml_member(root, S("empty"))), YAML_NULL);
	assert_null(yaml_member(root, S("absent")));
	assert_false(yaml_get_bool(yaml_member(root, S("absent")), &flag));
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned line;
		const char *why;
	} rows[] = {
		{"a: 1\nb: 2\na: 3\n", 3, "'a' stands there twice"},
		{"a: &x 1\nb: *x\n", 1, "anchors"},
		{"a: 1\nb: *x\n", 2, "aliases"},
		{"a: !!str 1\n", 1, "tags"},
		{"? [a]\n: 1\n", 1, "no scalar"},
		{"a: 1\n---\nb: 1\n", 2, "second document"},
		{"a: 9223372036854775808\n", 1, "64 bits"},
		{"a: \"\\0\"\n", 1, "U+0000"},
		{"a: [1,\nb: 2\n", 3, ""},
		{"\ta: 1\n", 1, ""},
		{"a: \xff\n", 1, "UTF-8"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(arena) *arena = arena_new();
		const struct yaml_value *root = NULL;
		err_clear(&err);
		if (yaml_parse(arena, str_from(rows[i].text), "t.yaml", &root, &err) == 0)
			fail_msg("accepted:\n%s", rows[i].text);
		assert_null(root);
		assert_int_equal(err.class, ERR_PARSE_ERROR);
		if (err.line != rows[i].line || strstr(err.message, rows[i].why) == NULL)
			fail_msg("line %u: '%s' of:\n%s", (unsigned)err.line, err.message, rows[i].text);
	}
}

static void test_caps(void **state)
{
	(void)state;
	AUTO_BUF deep = BUF_INIT(1000);
	for (int i = 0; i < YAML_DEPTH_MAX + 1; i++)
		buf_add_char(&deep, '[');
	for (int i = 0; i < YAML_DEPTH_MAX + 1; i++)
		buf_add_char(&deep, ']');
	AUTO(arena) *arena = arena_new();
	const struct yaml_value *root = NULL;
	assert_int_equal(yaml_parse(arena, buf_str(&deep), NULL, &root, &err), -1);
	assert_non_null(strstr(err.message, "nested deeper"));
	assert_int_equal(yaml_parse(arena, str_slice(buf_str(&deep), 1, deep.n - 1), NULL, &root, &err), 0);
	AUTO_BUF many = BUF_INIT(100000);
	for (int i = 0; i < YAML_VALUES_MAX; i++)
		buf_add_z(&many, "- a\n");
	assert_int_equal(yaml_parse(arena, buf_str(&many), NULL, &root, &err), -1);
	assert_non_null(strstr(err.message, "values"));
}

/* ----------------------------------------------------------------------------------------------------------- editing */

static const struct {
	const char *before, *path, *value,
		*after; /* path with '/' between keys; value NULL removes; after NULL: refused */
} edits[] = {
	{"", "a/b", "true", "a:\n  b: true\n"},
	{"# mine\n", "a", "1", "# mine\na: 1\n"},
	{"a: 1", "b", "2", "a: 1\nb: 2\n"},
	{"a: 1 # one\nb: 2\n", "a", "3", "a: 3 # one\nb: 2\n"},
	{"a:\n    x: 1\n\n    # last\n    y: 2 # two\n# end\nb: 2\n", "a/z", "3",
	 "a:\n    x: 1\n\n    # last\n    y: 2 # two\n    z: 3\n# end\nb: 2\n"},
	{"a:\n  x: 1\n", "a/x", NULL, ""},
	{"a:\n  x: 1 # gone\n  y: 2\n", "a/x", NULL, "a:\n  y: 2\n"},
	{"a:\nb: 1\n", "a/x", "1", "a:\n  x: 1\nb: 1\n"},
	{"a: 1\n", "c/d", NULL, "a: 1\n"},
	{"e:\n  k:\n    t: x\n    l:\n    - 1\n  m: 2\n", "e/k", "t: y\nn: 3\n",
	 "e:\n  k:\n    t: y\n    n: 3\n  m: 2\n"},
	{"e:\n  k: |\n    text\n  m: 2\n", "e/k", "5", "e:\n  k: 5\n  m: 2\n"},
	{"e:\n  k: |\n    text\n  m: 2\n", "e/k", NULL, "e:\n  m: 2\n"},
	{"a: 1\r\n", "b/c", "2", "a: 1\r\nb:\r\n  c: 2\r\n"},
	{"\xc3\xa4: \"\xf0\x9f\x98\x80\" # \xc3\xb6\nb: 1\n", "b", "2",
	 "\xc3\xa4: \"\xf0\x9f\x98\x80\" # \xc3\xb6\nb: 2\n"},
	{"\"a:b\": 1\n", "a:b", "2", "\"a:b\": 2\n"},
	{"a: {x: 1}\n", "a/y", "2", NULL},
	{"a: {x: 1}\n", "a/x", NULL, ""},
	{"a: {x: 1, y: 2}\n", "a/x", NULL, NULL},
	{"a: [1]\n", "a/y", "2", NULL},
	{"a: text\n", "a/y", "2", NULL},
	{"- 1\n", "a", "2", NULL},
	{"a: [\n", "a", "2", NULL},
};

static void check_edit(size_t i)
{
	struct str path[YAML_EDIT_PATH_MAX];
	struct yaml_edit edit = {.path = path};
	struct str rest = str_from(edits[i].path);
	while (rest.n > 0)
		rest = str_cut(rest, '/', &path[edit.n_path++]);
	edit.value = str_from(edits[i].value);
	AUTO_BUF out = BUF_INIT(1000);
	int rc = yaml_edit(str_from(edits[i].before), "t.yaml", &edit, &out, NULL, &err);
	if (edits[i].after == NULL) {
		assert_int_equal(rc, -1);
		return;
	}
	if (rc < 0)
		fail_msg("edit %zu: %s", i, err.message);
	if (strcmp(out.p, edits[i].after) != 0)
		fail_msg("edit %zu gives:\n%s", i, out.p);
}

static void test_edits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(edits); i++)
		check_edit(i);
}

static void test_texts_come_back(void **state)
{
	(void)state;
	static const struct str texts[] = {S("plain"),        S(""),
					   S("true"),         S("NO"),
					   S("12"),           S("a b"),
					   S("a: b"),         S("#x"),
					   S("\"\\\n\t\x7f"), S("/usr/bin/x-y_z.1"),
					   S("\xc3\xa4"),     S("-"),
					   S("null"),         S("~")};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO(arena) *arena = arena_new();
		AUTO_BUF out = BUF_INIT(1000);
		struct str text = STR_EMPTY;
		yaml_put_text(&out, texts[i]);
		if (!yaml_get_str(parse(arena, out.p), &text) || !str_eq(text, texts[i]))
			fail_msg("%s is not %.*s", out.p, STR_FMT(texts[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds), cmocka_unit_test(test_values), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_caps),  cmocka_unit_test(test_edits),  cmocka_unit_test(test_texts_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
