#include "text/form.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_escapes(void **state)
{
	(void)state;
	AUTO_BUF out = BUF_INIT(256);
	form_escape(&out, S("a Z9*-._~/:\xc3\xa9&=+%"));
	assert_string_equal(out.p, "a+Z9*-._%7E%2F%3A%C3%A9%26%3D%2B%25");
}

static void test_pairs(void **state)
{
	(void)state;
	AUTO_BUF out = BUF_INIT(256);
	buf_add_z(&out, "https://a.example/auth?");
	form_put(&out, S("scope"), S("mail.read mail.send"));
	form_put(&out, S("x&y"), S(""));
	assert_string_equal(out.p, "https://a.example/auth?scope=mail.read+mail.send&x%26y=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_escapes), cmocka_unit_test(test_pairs)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
