#include "cli/print.h"
#include "base/mem.h"
#include "cli/table.h"
#include <fcntl.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define HOSTILE "a\033[31mred\033[0m\n\xe2\x80\xaetxt\x07"

static struct printer out;

static int set_up(void **state)
{
	(void)state;
	printer_init(&out, open("/dev/null", O_WRONLY | O_CLOEXEC));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(out.fd);
	printer_release(&out);
	return 0;
}

static void assert_nothing_drives_a_terminal(void)
{
	for (size_t i = 0; i < out.out.n; i++) {
		unsigned char c = (unsigned char)out.out.p[i];
		assert_true(c >= 0x20 || c == '\n');
		assert_true(c != 0x7f);
	}
	assert_null(strstr(out.out.p, "\xe2\x80\xae"));
}

static void outside_text_is_visible(void **state)
{
	(void)state;
	print_from(&out, S(HOSTILE));
	print_pair(&out, "Label", S(HOSTILE));
	AUTO(json) *json =
		json_parse(S("{\"x\\u001b\":\"a\\u001b[31m\\u202e\\n\",\"n\":[1,null]}"), JSON_READ_STRICT, NULL);
	print_json(&out, json);
	assert_nothing_drives_a_terminal();
	assert_non_null(strstr(out.out.p, "\\x1b[31mred"));
	assert_non_null(strstr(out.out.p, "{\"x\\u001b\":\"a\\u001b[31m\\u202e\\n\",\"n\":[1,null]}"));
	assert_non_null(strstr(out.out.p, "Label         a\\x1b"));
}

static void a_page_of_json_has_a_line_a_member(void **state)
{
	(void)state;
	AUTO(json) *json =
		json_parse(S("{\"a\":[1,{\"b\\u202e\":\"x\\n\"}],\"e\":{},\"l\":[]}"), JSON_READ_STRICT, NULL);
	AUTO(json) *text = json_parse(S("\"a\\u001b\""), JSON_READ_STRICT, NULL);
	buf_clear(&out.out);
	print_json_page(&out, json);
	print_json_page(&out, text);
	assert_nothing_drives_a_terminal();
	assert_string_equal(out.out.p, "{\n  \"a\": [\n    1,\n    {\n      \"b\\u202e\": \"x\\n\"\n    }\n  ],\n"
				       "  \"e\": {},\n  \"l\": []\n}\n\"a\\u001b\"\n");
}

static void lists_are_lines(void **state)
{
	(void)state;
	AUTO(json) *some = json_parse(S("[{\"a\":1},{\"a\":2}]"), JSON_READ_STRICT, NULL);
	AUTO(json) *none = json_parse(S("[]"), JSON_READ_STRICT, NULL);
	print_json_list(&out, some);
	print_json_list(&out, none);
	print_json_list(&out, NULL);
	assert_string_equal(out.out.p, "{\"a\":1}\n{\"a\":2}\n[]\n[]\n");
}

static void colours_are_for_terminals(void **state)
{
	(void)state;
	print_styled(&out, PRINT_BAD, "%d", 7);
	assert_string_equal(out.out.p, "7");
	out.colours = true;
	print_styled(&out, PRINT_BAD, "%d", 7);
	print_styled(&out, PRINT_PLAIN, "%d", 8);
	assert_string_equal(out.out.p, "7\033[31m7\033[0m8");
	out.colours = false;
}

static void no_color_is_kept(void **state)
{
	(void)state;
	int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	assert_true(terminal >= 0);
	struct printer one;
	unsetenv("NO_COLOR");
	setenv("TERM", "xterm", 1);
	printer_init(&one, terminal);
	assert_true(one.terminal && one.colours);
	printer_release(&one);
	setenv("NO_COLOR", "1", 1);
	printer_init(&one, terminal);
	assert_true(one.terminal && !one.colours);
	printer_release(&one);
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	printer_init(&one, terminal);
	assert_false(one.colours);
	printer_release(&one);
	close(terminal);
}

static void widths(void **state)
{
	(void)state;
	assert_int_equal(print_width(S("")), 0);
	assert_int_equal(print_width(S("abc")), 3);
	assert_int_equal(print_width(S("\xc3\xa4")), 1);
	assert_int_equal(print_width(S("a\xcc\x88")), 1);
	assert_int_equal(print_width(S("\xe6\xbc\xa2\xe5\xad\x97")), 4);
	assert_int_equal(print_width(S("\xf0\x9f\x98\x80")), 2);
	AUTO(arena) *arena = arena_new();
	assert_true(str_eq(print_cut(arena, S("abcdef"), 6), S("abcdef")));
	assert_true(str_eq(print_cut(arena, S("abcdef"), 4), S("abc\xe2\x80\xa6")));
	assert_true(str_eq(print_cut(arena, S("\xe6\xbc\xa2\xe5\xad\x97x"), 4), S("\xe6\xbc\xa2\xe2\x80\xa6")));
	assert_true(str_eq(print_cut(arena, S("abc"), 0), S("abc")));
}

static struct table *example(void)
{
	static const struct table_column columns[] = {{"NAME", 4}, {"KIND", 0}, {"WHERE", 6}};
	struct table *table = table_new(columns, 3);
	table_cell(table, S("one"));
	table_cell(table, S("api_key"));
	table_cell(table, S("a rather long place to be"));
	table_cell(table, S("\xe6\xbc\xa2"));
	table_cell_styled(table, PRINT_GOOD, S("x"));
	table_cell(table, S("y\nz"));
	return table;
}

static void columns_line_up(void **state)
{
	(void)state;
	AUTO(table) *table = example();
	table_print(table, &out);
	assert_string_equal(out.out.p, "NAME  KIND     WHERE\n"
				       "one   api_key  a rather long place to be\n"
				       "\xe6\xbc\xa2    x        y\\nz\n");
}

static void columns_give_way_on_a_terminal(void **state)
{
	(void)state;
	AUTO(table) *table = example();
	out.width = 24;
	table_print(table, &out);
	out.width = 0;
	assert_string_equal(out.out.p, "NAME  KIND     WHERE\n"
				       "one   api_key  a rather\xe2\x80\xa6\n"
				       "\xe6\xbc\xa2    x        y\\nz\n");
}

/* An id that another verb takes is whole, whatever the terminal's width. */
static void what_cannot_be_cut_goes_below(void **state)
{
	(void)state;
	static const struct {
		unsigned width;
		const char *printed;
	} cases[] = {
		{24, "TIME  ID            WHAT\nnow   audit-6c3c5d  lon\xe2\x80\xa6\n"},
		{23, "TIME  WHAT\n    ID\nnow   long words\n    audit-6c3c5d\n"},
		{12, "TIME  WHAT\n    ID\nnow   long \xe2\x80\xa6\n    audit-6c3c5d\n"},
		{0, "TIME  ID            WHAT\nnow   audit-6c3c5d  long words\n"},
	};
	static const struct table_column columns[] = {{"TIME", 0}, {"ID", TABLE_BELOW}, {"WHAT", 4}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(table) *table = table_new(columns, 3);
		table_cell(table, S("now"));
		table_cell(table, S("audit-6c3c5d"));
		table_cell(table, S("long words"));
		buf_clear(&out.out);
		out.width = cases[i].width;
		table_print(table, &out);
		out.width = 0;
		assert_string_equal(out.out.p, cases[i].printed);
	}
}

static void no_rows_no_heading(void **state)
{
	(void)state;
	static const struct table_column columns[] = {{"NAME", 0}};
	AUTO(table) *table = table_new(columns, 1);
	table_print(table, &out);
	assert_string_equal(out.out.p, "");
}

static void a_hostile_cell_stays_in_its_row(void **state)
{
	(void)state;
	static const struct table_column columns[] = {{"A", 0}, {"B", 0}};
	AUTO(table) *table = table_new(columns, 2);
	char *huge = xmalloc(1 << 20);
	memset(huge, '\033', 1 << 20);
	table_cell(table, S(HOSTILE));
	table_cell(table, str_of(huge, 1 << 20));
	free(huge);
	table_print(table, &out);
	assert_nothing_drives_a_terminal();
	size_t lines = 0;
	for (size_t i = 0; i < out.out.n; i++)
		lines += out.out.p[i] == '\n';
	assert_int_equal(lines, 2);
	assert_true(out.out.n < 80000);
}

static void a_reader_that_went_is_nobodys_failure(void **state)
{
	(void)state;
	int ends[2];
	struct printer one;
	static struct err err;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	printer_init(&one, ends[1]);
	close(ends[0]);
	print_text(&one, "nobody reads this");
	assert_int_equal(print_flush(&one, &err), 0);
	close(ends[1]);
	print_text(&one, "nor this");
	assert_int_equal(print_flush(&one, &err), -1);
	assert_int_equal(err.class, ERR_SYSTEM);
	printer_release(&one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(outside_text_is_visible, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_page_of_json_has_a_line_a_member, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lists_are_lines, set_up, tear_down),
		cmocka_unit_test_setup_teardown(colours_are_for_terminals, set_up, tear_down),
		cmocka_unit_test(no_color_is_kept),
		cmocka_unit_test(widths),
		cmocka_unit_test_setup_teardown(columns_line_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_cut_goes_below, set_up, tear_down),
		cmocka_unit_test_setup_teardown(columns_give_way_on_a_terminal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_rows_no_heading, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_hostile_cell_stays_in_its_row, set_up, tear_down),
		cmocka_unit_test(a_reader_that_went_is_nobodys_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
