#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "text/toml_edit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct err err;

#define NEW_TABLE "[m.a]\ncommand = \"x\"\n\n[m.a.env]\nK = \"v\"\n"
#define LINES     "command = \"x\"\n\n[m.a.env]\nK = \"v\"\n"

static const struct {
	const char *before, *lines, *after; /* lines NULL removes; after NULL: refused */
} edits[] = {
	{"", LINES, NEW_TABLE},
	{"model = \"x\" # mine", LINES, "model = \"x\" # mine\n\n" NEW_TABLE},
	{"# top\n[m.b]\nx = 1\n", LINES, "# top\n[m.b]\nx = 1\n\n" NEW_TABLE},
	{"[m.a]\ncommand = \"old\"\nargs = [\n  \"[y]\",\n]\n\n# of b\n[m.b]\nx = 1\n", LINES,
	 NEW_TABLE "\n# of b\n[m.b]\nx = 1\n"},
	{"[m.a]\nx = 1\n\n[other]\ny = 2\n\n[m.a.env]\nz = 3\n\n[last]\n", LINES,
	 NEW_TABLE "\n[other]\ny = 2\n\n[last]\n"},
	{"a = 1\n\n[m.a]\nx = 1\n\n[m.a.env]\nz = 3\n\n[last]\n", NULL, "a = 1\n\n[last]\n"},
	{"a = 1\n\n[m.a]\nx = \"\"\"\n[m.a]\n\"\"\"\n", NULL, "a = 1\n"},
	{"a = 1\n\n\n" NEW_TABLE, NULL, "a = 1\n\n"},
	{"a = 1\r\n\r\n[m.a]\r\nx = 1\r\n", NULL, "a = 1\r\n"},
	{"a = 1\n\n" NEW_TABLE "\n# mine\n", NULL, "a = 1\n\n# mine\n"},
	{"# mine\n" NEW_TABLE, NULL, "# mine\n"},
	{NEW_TABLE, NULL, ""},
	{"a = 1\n", NULL, "a = 1\n"},
	{"[m]\n[m.b]\nx = 1\n", NULL, "[m]\n[m.b]\nx = 1\n"},
	{"[m.'a']\nx = 1\n", LINES, NEW_TABLE},
	{"a = 1\r\n", "x = 1\n", "a = 1\r\n\r\n[m.a]\r\nx = 1\r\n"},
	{"m = {a = {x = 1}}\n", LINES, NULL},
	{"[m]\na.x = 1\n", LINES, NULL},
	{"[m]\na = 1\n", LINES, NULL},
	{"m = 1\n", LINES, NULL},
	{"[[m]]\nx = 1\n", LINES, NULL},
	{"[m\n", LINES, NULL},
};

static void check(size_t i)
{
	static const struct str path[] = {S("m"), S("a")};
	const struct toml_edit edit = {path, ARRAY_LEN(path), str_from(edits[i].lines)};
	AUTO_BUF out = BUF_INIT(10000);
	bool changed = false;
	int rc = toml_edit(str_from(edits[i].before), "t.toml", &edit, &out, &changed, &err);
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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_edits)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
