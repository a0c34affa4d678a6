#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "text/jsonc_edit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct err err;

static const struct {
	const char *before, *path, *value,
		*after; /* path with '|' between keys; value NULL removes; after NULL: refused */
} edits[] = {
	{"", "a", "1", "{\n  \"a\": 1\n}\n"},
	{"{}", "a|b", "{\"x\":[1,2]}", "{\n  \"a\": {\n    \"b\": {\n      \"x\": [1,2]\n    }\n  }\n}"},
	{"{\n\t\"a\": 1\n}\n", "b", "{\"x\":1}", "{\n\t\"a\": 1,\n\t\"b\": {\n\t\t\"x\": 1\n\t}\n}\n"},
	{"{\n  // one\n  \"a\": 1, // behind\n}\n", "b", "2", "{\n  // one\n  \"a\": 1, // behind\n  \"b\": 2,\n}\n"},
	{"{\n  \"a\": 1 // behind, it\n}\n", "b", "2", "{\n  \"a\": 1, // behind, it\n  \"b\": 2\n}\n"},
	{"{\"a\":1}", "b", "2", "{\"a\":1, \"b\": 2}"},
	{"{\"a\": 1, \"b\": {\"c\": 2}}", "b|c", "3", "{\"a\": 1, \"b\": {\"c\": 3}}"},
	{"{\"a\": 1, \"b\": {\"c\": 2}}", "b|c", NULL, "{\"a\": 1}"},
	{"{\n  \"a\": 1,\n  \"b\": 2\n}\n", "b", NULL, "{\n  \"a\": 1\n}\n"},
	{"{\n  \"a\": 1,\n  \"b\": 2\n}\n", "a", NULL, "{\n  \"b\": 2\n}\n"},
	{"{\n  \"a\": 1, // keep\n  \"b\": 2,\n}\n", "b", NULL, "{\n  \"a\": 1, // keep\n}\n"},
	{"{\n  \"a\": {\n    \"b\": 1\n  },\n  \"c\": 2\n}\n", "a|b", NULL, "{\n  \"c\": 2\n}\n"},
	{"{\n  \"a\": {\n    \"b\": 1,\n  },\n}\n", "a|b", NULL, "{}\n"},
	{"{\n  // mine\n  \"a\": 1\n}\n", "a", NULL, "{\n  // mine\n}\n"},
	{"{\"a\": 1}", "x|y", NULL, "{\"a\": 1}"},
	{"{\"\\u0061\": 1, \"s\": \"}{,//\\\"\"}", "a", "2", "{\"\\u0061\": 2, \"s\": \"}{,//\\\"\"}"},
	{"{\r\n  \"a\": 1\r\n}\r\n", "b", "2", "{\r\n  \"a\": 1,\r\n  \"b\": 2\r\n}\r\n"},
	{"\xef\xbb\xbf{/* x */}", "b", "2", "\xef\xbb\xbf{/* x */\n  \"b\": 2\n}"},
	{"{\n  // nothing yet\n}\n", "b", "2", "{\n  // nothing yet\n  \"b\": 2\n}\n"},
	{"{\"a\": {}}", "a|b", "1", "{\"a\": {\n  \"b\": 1\n}}"},
	{"{\"a\": [1]}", "a|b", "1", NULL},
	{"[1]", "a", "1", NULL},
	{"{\"a\": 1", "a", "1", NULL},
	{"{\"a\": 1, \"a\": 2}", "a", "1", NULL},
	{"{ /* no end", "a", "1", NULL},
	{"{\"a\": 1}", "b", "{", NULL},
};

static void check(size_t i)
{
	struct str path[JSONC_EDIT_PATH_MAX];
	struct jsonc_edit edit = {.path = path, .value = str_from(edits[i].value)};
	for (struct str rest = str_from(edits[i].path); rest.n > 0;)
		rest = str_cut(rest, '|', &path[edit.n_path++]);
	AUTO_BUF out = BUF_INIT(10000);
	bool changed = false;
	int rc = jsonc_edit(str_from(edits[i].before), "t.json", &edit, &out, &changed, &err);
	if (edits[i].after == NULL) {
		if (rc == 0)
			fail_msg("edit %zu gives:\n%s", i, out.p);
		return;
	}
	if (rc < 0)
		fail_msg("edit %zu: %s, made of it:\n%s", i, err.message, out.p);
	if (strcmp(out.p, edits[i].after) != 0)
		fail_msg("edit %zu gives:\n%s", i, out.p);
	assert_int_equal(changed, strcmp(edits[i].before, edits[i].after) != 0);
}

static void test_edits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(edits); i++)
		check(i);
}

static void test_lines_of_errors(void **state)
{
	(void)state;
	static const struct str path[] = {S("a")};
	const struct jsonc_edit edit = {path, 1, S("1")};
	AUTO_BUF out = BUF_INIT(1000);
	assert_int_equal(jsonc_edit(S("{\n // x\n \"b\": ;\n}"), "t.json", &edit, &out, NULL, &err), -1);
	assert_int_equal(err.class, ERR_PARSE_ERROR);
	assert_int_equal(err.line, 3);
	assert_string_equal(err.file, "t.json");
	assert_int_equal(jsonc_edit(S("{\n\n /* x"), "t.json", &edit, &out, NULL, &err), -1);
	assert_int_equal(err.line, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_edits), cmocka_unit_test(test_lines_of_errors)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
