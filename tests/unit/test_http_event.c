#include "base/mem.h"
#include "http/server/server.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

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
		cmocka_unit_test(an_event_has_no_line_that_is_not_data),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
