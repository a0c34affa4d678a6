#include "base/mem.h"
#include "http/server/server.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void escapes_are_undone_or_refused(void **state)
{
	(void)state;
	static const struct {
		struct str escaped;
		bool plus;
		const char *text; /* NULL = refused */
	} cases[] = {
		{S(""), false, ""},       {S("abc"), false, "abc"},    {S("a%20b%2Fc"), false, "a b/c"},
		{S("a+b"), false, "a+b"}, {S("a+b%2b"), true, "a b+"}, {S("%c3%B6"), false, "\xc3\xb6"},
		{S("%"), false, NULL},    {S("%4"), false, NULL},      {S("x%4g"), false, NULL},
		{S("%%41"), false, NULL}, {S("%00"), false, NULL},     {S("a\0b"), false, NULL},
		{S("%ff"), false, NULL},  {S("%c3"), false, NULL},     {S("%ed%a0%80"), false, NULL}, /* a surrogate */
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF out = BUF_INIT(100);
		buf_add_z(&out, "before ");
		assert_int_equal(http_unescape(&out, cases[i].escaped, cases[i].plus), cases[i].text != NULL);
		AUTO_FREE char *want = xasprintf("before %s", cases[i].text != NULL ? cases[i].text : "");
		assert_string_equal(out.p, want);
	}
	AUTO_BUF small = BUF_INIT(2);
	assert_false(http_unescape(&small, S("abc"), false));
}

static void a_query_is_taken_apart(void **state)
{
	(void)state;
	AUTO_BUF out = BUF_INIT(1000);
	struct str query = S("&a=1&&b&c=&=d&e=f=g&"), name, value;
	while (http_query_next(&query, &name, &value))
		buf_addf(&out, "[%.*s|%.*s]", STR_FMT(name), STR_FMT(value));
	assert_string_equal(out.p, "[a|1][b|][c|][|d][e|f=g]");
	query = STR_EMPTY;
	assert_false(http_query_next(&query, &name, &value));
}

static void an_event_has_no_line_that_is_not_data(void **state)
{
	(void)state;
	AUTO_BUF out = BUF_INIT(1000);
	http_put_event(&out, STR_EMPTY, STR_EMPTY, STR_EMPTY);
	http_put_event(&out, S("a"), S("1"), S("x\n\ny\rz\r\n"));
	assert_string_equal(out.p, "data: \n\nevent: a\nid: 1\ndata: x\ndata: \ndata: y\ndata: z\ndata: \n\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_are_undone_or_refused),
		cmocka_unit_test(a_query_is_taken_apart),
		cmocka_unit_test(an_event_has_no_line_that_is_not_data),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
