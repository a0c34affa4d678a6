#include "text/percent.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void each_set_leaves_its_own(void **state)
{
	(void)state;
	static const struct {
		struct str text;
		const char *unreserved, *form;
	} rows[] = {
		{S(""), "", ""},
		{S("aZ09-._"), "aZ09-._", "aZ09-._"},
		{S("~*"), "~%2A", "%7E*"},
		{S(" +%/"), "%20%2B%25%2F", "%20%2B%25%2F"},
		{S("\0\x1f\x7f\xc3\xb6"), "%00%1F%7F%C3%B6", "%00%1F%7F%C3%B6"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF out = BUF_INIT(100);
		percent_escape(&out, PERCENT_UNRESERVED, rows[i].text);
		assert_string_equal(out.n > 0 ? out.p : "", rows[i].unreserved);
		buf_clear(&out);
		percent_escape(&out, PERCENT_FORM, rows[i].text);
		assert_string_equal(out.n > 0 ? out.p : "", rows[i].form);
	}
}

static void what_is_written_is_read(void **state)
{
	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		char escape[4] = "";
		assert_ptr_equal(percent_write(escape, (char)byte), escape + 3);
		assert_int_equal(percent_at(str_from(escape), 0), byte);
	}
}

static void half_an_escape_is_none(void **state)
{
	(void)state;
	static const struct {
		struct str text;
		size_t at;
		int byte;
	} rows[] = {
		{S("%41"), 0, 0x41}, {S("%aF"), 0, 0xaf}, {S("x%00"), 1, 0}, {S("%41"), 1, -1},  {S("%4"), 0, -1},
		{S("%"), 0, -1},     {S("%4g"), 0, -1},   {S("%g4"), 0, -1}, {S("%%41"), 0, -1}, {S("%%41"), 1, 0x41},
		{S("a%4"), 1, -1},   {S("%414"), 3, -1},  {S(""), 0, -1},    {S("%41"), 9, -1},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(percent_at(rows[i].text, rows[i].at), rows[i].byte);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_set_leaves_its_own),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(half_an_escape_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
