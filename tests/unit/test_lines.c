#include "control/lines.h"
#include "base/limits.h"
#include "text/json.h"
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define ROOM (6 * MIB)

static struct lines lines;

static int set_up(void **state)
{
	(void)state;
	lines_begin(&lines, ROOM);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	lines_release(&lines);
	return 0;
}

/* The longest lines that there are, all of one byte; how many of them the array holds. */
static size_t kept_of(unsigned n, char byte)
{
	static char line[LIMIT_LOG_LINE];
	memset(line, byte, sizeof line);
	for (unsigned i = 0; i < n; i++)
		lines_add_log(&lines, S("info"), str_of(line, sizeof line));
	struct str text = lines_end(&lines);
	assert_true(text.n <= ROOM);
	AUTO(json) *json = json_parse(text, JSON_READ_ALLOW_NUL, NULL);
	assert_int_equal(json_kind(json), JSON_KIND_ARRAY);
	size_t kept = json_length(json);
	struct str message = STR_EMPTY;
	assert_true(json_get_str(json_member(json_at(json, kept - 1), S("message")), &message));
	assert_int_equal(message.n, sizeof line);
	assert_int_equal(kept + lines.dropped, n);
	return kept;
}

static void plain_lines_all_fit(void **state)
{
	(void)state;
	assert_int_equal(kept_of(LIMIT_LOG_LINES, 'x'), LIMIT_LOG_LINES);
}

static void lines_that_double_are_dropped_and_counted(void **state)
{
	(void)state;
	assert_true(kept_of(LIMIT_LOG_LINES, '"') < LIMIT_LOG_LINES);
}

static void lines_that_grow_sixfold_are_dropped_and_counted(void **state)
{
	(void)state;
	assert_true(kept_of(LIMIT_LOG_LINES, '\x01') < LIMIT_LOG_LINES / 2);
}

static void bytes_that_are_no_text_fit_too(void **state)
{
	(void)state;
	static char line[LIMIT_TRACE_LINE];
	memset(line, '\xff', sizeof line);
	for (unsigned i = 0; i < LIMIT_TRACE_LINES; i++)
		lines_add_trace(&lines, str_of(line, sizeof line), UINT64_MAX);
	AUTO(json) *json = json_parse(lines_end(&lines), JSON_READ_STRICT, NULL);
	assert_int_equal(json_length(json) + lines.dropped, LIMIT_TRACE_LINES);
	assert_true(lines.dropped > 0);
}

static void no_lines_are_an_array_too(void **state)
{
	(void)state;
	assert_true(str_eq(lines_end(&lines), S("[]")));
	assert_int_equal(lines.dropped, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(plain_lines_all_fit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lines_that_double_are_dropped_and_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lines_that_grow_sixfold_are_dropped_and_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bytes_that_are_no_text_fit_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_lines_are_an_array_too, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
