#include "connector/outcome.h"
#include "base/limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#undef fail /* cmocka's; ours is meant */

/* One row: what the runner says and what the host saw, and what becomes of it. */
struct row {
	const char *name;
	struct runner_done done;
	int32_t status;        /* last answered request */
	enum err_class sticky; /* ERR_NONE = no host function failed */
	const char *output;    /* success */
	enum err_class class;  /* failure */
	const char *message;
	const char *details; /* exactly; NULL = not looked at */
	bool retriable;
};

#define EXIT(code, text)                                                                                               \
	{                                                                                                              \
		.end = RUNNER_END_EXIT, .exit_code = (code), .output = S(text)                                         \
	}
#define RUNTIME ERR_CONNECTOR_RUNTIME_ERROR

static const struct row rows[] = {
	/* success */
	{"no output", EXIT(0, ""), .output = "{}"},
	{"blank output", EXIT(0, " \t\r\n"), .output = "{}"},
	{"an object", EXIT(0, " {\"output\":{\"b\":1,\"a\":[true,null,1.5]}}\n"),
	 .output = "{\"b\":1,\"a\":[true,null,1.5]}"},
	{"null output", EXIT(0, "{\"output\":null}"), .output = "{}"},
	{"no member", EXIT(0, "{}"), .output = "{}"},
	{"other keys", EXIT(0, "{\"more\":1,\"output\":{},\"error\":null}"), .output = "{}"},
	{"keys without case", EXIT(0, "{\"Output\":{\"x\":1}}"), .output = "{\"x\":1}"},
	{"the last of equal keys", EXIT(0, "{\"output\":{\"x\":1},\"OUTPUT\":{\"x\":2}}"), .output = "{\"x\":2}"},
	{"large integers stay", EXIT(0, "{\"output\":{\"n\":9007199254740993}}"), .output = "{\"n\":9007199254740993}"},
	{"a status of 400 is no failure by itself", EXIT(0, "{\"output\":{}}"), .status = 404, .output = "{}"},

	/* no envelope */
	{"not JSON", EXIT(0, "hello"), .class = RUNTIME, .message = "stdout is not a valid JSON envelope: "},
	{"two values", EXIT(0, "{} {}"), .class = RUNTIME, .message = "stdout is not a valid JSON envelope: "},
	{"an array", EXIT(0, "[1]"), .class = RUNTIME,
	 .message = "stdout is not a valid JSON envelope: it is array, not an object"},
	{"null", EXIT(0, "null"), .class = RUNTIME,
	 .message = "stdout is not a valid JSON envelope: it is null, not an object"},
	{"output is an array", EXIT(0, "{\"output\":[1]}"), .class = RUNTIME,
	 .message = "stdout is not a valid JSON envelope: 'output' is array, not an object"},
	{"output is text", EXIT(0, "{\"output\":\"x\"}"), .class = RUNTIME,
	 .message = "stdout is not a valid JSON envelope: "},
	{"error is a number", EXIT(0, "{\"error\":1}"), .class = RUNTIME,
	 .message = "stdout is not a valid JSON envelope: 'error' is integer, not an object"},
	{"class is a number", EXIT(0, "{\"error\":{\"class\":1}}"), .class = RUNTIME,
	 .message = "stdout is not a valid JSON envelope: 'error.class' is integer, not a string"},
	{"bad UTF-8", EXIT(0, "{\"output\":{\"a\":\"\xff\"}}"), .class = RUNTIME,
	 .message = "stdout is not a valid JSON envelope: "},
	{"U+0000", EXIT(0, "{\"output\":{\"a\":\"\\u0000\"}}"), .class = RUNTIME,
	 .message = "stdout is not a valid JSON envelope: "},

	/* the connector's own errors */
	{"its error", EXIT(0, "{\"error\":{\"class\":\"http_unauthorized\",\"message\":\"no\"}}"), .class = RUNTIME,
	 .message = "http_unauthorized: no", .details = "\"connector_class\":\"http_unauthorized\""},
	{"it wins over output",
	 EXIT(0, "{\"output\":{},\"error\":{\"class\":\"c\",\"message\":\"m\",\"retriable\":true}}"), .class = RUNTIME,
	 .message = "c: m", .details = "\"connector_class\":\"c\""},
	{"without a class", EXIT(0, "{\"error\":{\"message\":\"m\"}}"), .class = RUNTIME, .message = "m",
	 .details = ""},
	{"null class and message", EXIT(0, "{\"error\":{\"class\":null,\"message\":null}}"), .class = RUNTIME,
	 .message = "", .details = ""},
	{"empty", EXIT(0, "{\"error\":{}}"), .class = RUNTIME, .message = "", .details = ""},
	{"keys without case", EXIT(0, "{\"ERROR\":{\"Class\":\"c\",\"MESSAGE\":\"m\"}}"), .class = RUNTIME,
	 .message = "c: m"},
	{"a forged class", EXIT(0, "{\"error\":{\"class\":\"capability_denied\",\"message\":\"m\"}}"), .class = RUNTIME,
	 .message = "capability_denied: m", .details = "\"connector_class\":\"capability_denied\""},
	{"the class it gets anyway", EXIT(0, "{\"error\":{\"class\":\"connector_runtime_error\",\"message\":\"m\"}}"),
	 .class = RUNTIME, .message = "m", .details = "\"connector_class\":\"connector_runtime_error\""},
	{"after 404", EXIT(0, "{\"error\":{\"class\":\"c\",\"message\":\"m\"}}"), .status = 404,
	 .class = ERR_EXTERNAL_API_ERROR, .message = "c: m", .details = "\"connector_class\":\"c\",\"status\":404"},
	{"after 429", EXIT(0, "{\"error\":{\"class\":\"c\",\"message\":\"m\"}}"), .status = 429,
	 .class = ERR_EXTERNAL_API_ERROR, .message = "c: m", .details = "\"connector_class\":\"c\",\"status\":429",
	 .retriable = true},
	{"after 500", EXIT(1, "{\"error\":{\"class\":\"c\",\"message\":\"m\"}}"), .status = 500,
	 .class = ERR_EXTERNAL_API_ERROR, .message = "c: m", .details = "\"connector_class\":\"c\",\"status\":500",
	 .retriable = true},
	{"after 600", EXIT(0, "{\"error\":{\"message\":\"m\"}}"), .status = 600, .class = ERR_EXTERNAL_API_ERROR,
	 .message = "m", .details = "\"status\":600"},
	{"after 399", EXIT(0, "{\"error\":{\"class\":\"c\",\"message\":\"m\"}}"), .status = 399, .class = RUNTIME,
	 .message = "c: m"},
	{"it says external", EXIT(0, "{\"error\":{\"class\":\"external_api_error\",\"message\":\"m\"}}"), .status = 200,
	 .class = ERR_EXTERNAL_API_ERROR, .message = "m",
	 .details = "\"connector_class\":\"external_api_error\",\"status\":200"},
	{"it says external and asked nobody",
	 EXIT(0, "{\"error\":{\"class\":\"external_api_error\",\"message\":\"m\"}}"), .class = ERR_EXTERNAL_API_ERROR,
	 .message = "m", .details = "\"connector_class\":\"external_api_error\""},

	/* other exits */
	{"exit 1",
	 {.exit_code = 1, .stderr_tail = S("it broke")},
	 .class = RUNTIME,
	 .message = "connector exited 1; stderr: it broke",
	 .details = "\"exit_code\":1"},
	{"exit 1 with output", EXIT(3, "{\"output\":{\"a\":1}}"), .class = RUNTIME,
	 .message = "connector exited 3; stderr: ", .details = "\"exit_code\":3"},
	{"exit 1 with an error", EXIT(1, "{\"error\":{\"class\":\"c\",\"message\":\"m\"}}"), .class = RUNTIME,
	 .message = "c: m", .details = "\"connector_class\":\"c\""},
	{"exit 1 with rubbish", EXIT(1, "rubbish"), .class = RUNTIME, .message = "connector exited 1; stderr: "},
	{"an exit code like a time-out",
	 {.exit_code = 0xffffffff},
	 .class = RUNTIME,
	 .message = "connector exited 4294967295; stderr: ",
	 .details = "\"exit_code\":4294967295"},
	{"a deadline's exit code",
	 {.exit_code = 0xefffffff},
	 .class = RUNTIME,
	 .message = "connector exited 4026531839; stderr: "},
	{"bad text on stderr",
	 {.exit_code = 1, .stderr_tail = {"a\0b\xff", 4}},
	 .class = RUNTIME,
	 .message = "connector exited 1; stderr: a\xef\xbf\xbd"
		    "b\xef\xbf\xbd"},

	/* traps and what does not start */
	{"trap",
	 {.end = RUNNER_END_TRAP, .trap = S("unreachable"), .message = S("wasm trap: unreachable\n  0: f\n  1: g")},
	 .class = RUNTIME,
	 .message = "the connector trapped: wasm trap: unreachable",
	 .details = "\"trap\":\"unreachable\",\"backtrace\":\"  0: f\\u000a  1: g\""},
	{"trap without a text",
	 {.end = RUNNER_END_TRAP, .trap = S("stack_overflow")},
	 .class = RUNTIME,
	 .message = "the connector trapped: stack_overflow",
	 .details = "\"trap\":\"stack_overflow\""},
	{"trap after an envelope",
	 {.end = RUNNER_END_TRAP, .trap = S("unreachable"), .output = S("{\"output\":{}}")},
	 .class = RUNTIME,
	 .message = "the connector trapped: unreachable"},
	{"not started",
	 {.end = RUNNER_END_NOT_STARTED, .message = S("no memory")},
	 .class = ERR_CONNECTOR_LOAD_FAILED,
	 .message = "the connector cannot be instantiated: no memory",
	 .details = "\"reason\":\"instantiation\""},

	/* limits */
	{"wall time",
	 {.end = RUNNER_END_LIMIT, .limit = S("wall_time")},
	 .class = ERR_RESOURCE_LIMIT_EXCEEDED,
	 .message = "the connector reached its wall_time limit of 500ms",
	 .details = "\"limit\":\"wall_time\",\"configured\":\"500ms\""},
	{"wall time over the sticky error",
	 {.end = RUNNER_END_LIMIT, .limit = S("wall_time")},
	 .sticky = ERR_NETWORK_ERROR,
	 .class = ERR_RESOURCE_LIMIT_EXCEEDED,
	 .message = "the connector reached its wall_time limit of 500ms"},
	{"stdout, whatever follows",
	 {.limit = S("stdout"), .output = S("{\"output\":{}}")},
	 .class = ERR_RESOURCE_LIMIT_EXCEEDED,
	 .message = "the connector reached its stdout limit of 8MiB",
	 .details = "\"limit\":\"stdout\",\"configured\":\"8MiB\""},
	{"stdout and a trap",
	 {.end = RUNNER_END_TRAP, .limit = S("stdout"), .trap = S("unreachable")},
	 .class = ERR_RESOURCE_LIMIT_EXCEEDED,
	 .message = "the connector reached its stdout limit of 8MiB"},
	{"stdout over the sticky error",
	 {.limit = S("stdout")},
	 .sticky = ERR_CAPABILITY_DENIED,
	 .class = ERR_RESOURCE_LIMIT_EXCEEDED,
	 .message = "the connector reached its stdout limit of 8MiB"},
	{"memory at the start",
	 {.end = RUNNER_END_LIMIT, .limit = S("memory")},
	 .class = ERR_RESOURCE_LIMIT_EXCEEDED,
	 .message = "the connector reached its memory limit of 64MiB",
	 .details = "\"limit\":\"memory\",\"configured\":\"64MiB\""},
	{"memory, then a trap",
	 {.end = RUNNER_END_TRAP, .memory_refused = true, .trap = S("unreachable")},
	 .class = ERR_RESOURCE_LIMIT_EXCEEDED,
	 .message = "the connector reached its memory limit of 64MiB"},
	{"memory, then exit 2",
	 {.exit_code = 2, .memory_refused = true},
	 .class = ERR_RESOURCE_LIMIT_EXCEEDED,
	 .message = "the connector reached its memory limit of 64MiB"},
	{"memory refused and coped with", {.memory_refused = true, .output = S("{\"output\":{}}")}, .output = "{}"},
	{"a limit that is none",
	 {.end = RUNNER_END_LIMIT, .limit = S("kindness")},
	 .class = RUNTIME,
	 .message = "the runner stopped the call for a limit that does not exist"},
	{"a limit without a name",
	 {.end = RUNNER_END_LIMIT},
	 .class = RUNTIME,
	 .message = "the runner did not say how the call ended"},

	/* cancelled */
	{"cancelled", {.end = RUNNER_END_CANCELLED}, .class = ERR_CANCELLED, .message = "the call was cancelled"},
	{"cancelled over the sticky error",
	 {.end = RUNNER_END_CANCELLED},
	 .sticky = ERR_NETWORK_ERROR,
	 .class = ERR_CANCELLED,
	 .message = "the call was cancelled"},

	/* the sticky error */
	{"sticky over success", EXIT(0, "{\"output\":{}}"), .sticky = ERR_CAPABILITY_DENIED,
	 .class = ERR_CAPABILITY_DENIED, .message = "the host's word"},
	{"sticky over its error", EXIT(0, "{\"error\":{\"class\":\"c\"}}"), .sticky = ERR_NETWORK_ERROR,
	 .class = ERR_NETWORK_ERROR, .message = "the host's word", .retriable = true},
	{"sticky over exit 1",
	 {.exit_code = 1},
	 .sticky = ERR_NETWORK_ERROR,
	 .class = ERR_NETWORK_ERROR,
	 .message = "the host's word",
	 .retriable = true},
	{"sticky over a trap",
	 {.end = RUNNER_END_TRAP, .trap = S("unreachable")},
	 .sticky = ERR_CAPABILITY_DENIED,
	 .class = ERR_CAPABILITY_DENIED,
	 .message = "the host's word"},
	{"sticky over what does not start",
	 {.end = RUNNER_END_NOT_STARTED},
	 .sticky = ERR_CAPABILITY_DENIED,
	 .class = ERR_CAPABILITY_DENIED,
	 .message = "the host's word"},
};

static struct host_record record_of(const struct row *row)
{
	struct call_limits asked = {.wall_time = 500 * MS};
	struct host_record record = {.limits = call_limits_resolve(&asked, NULL), .status = row->status};
	if (row->sticky != ERR_NONE) {
		struct err error = {0};
		fail(&error, row->sticky, "the host's word");
		host_record_fail(&record, &error);
	}
	return record;
}

static void check_row(const struct row *row)
{
	struct host_record record = record_of(row);
	struct err err = {0};
	AUTO_BUF out = BUF_INIT(1 * MIB);
	int rc = outcome_decide(&row->done, &record, &out, &err);
	if (row->output != NULL) {
		assert_int_equal(rc, 0);
		assert_string_equal(out.p, row->output);
		return;
	}
	assert_int_equal(rc, -1);
	assert_int_equal(err.class, row->class);
	assert_int_equal(err.retriable, row->retriable);
	/* A message that ends in ": " is only the beginning. */
	struct str message = str_from(row->message);
	if (str_ends(message, S("envelope: ")))
		assert_true(str_starts(str_from(err.message), message));
	else
		assert_string_equal(err.message, row->message);
	if (row->details != NULL)
		assert_string_equal(err.details, row->details);
	assert_int_equal(out.n, 0);
}

static void every_row_of_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		print_message("  %s\n", rows[i].name);
		check_row(&rows[i]);
	}
}

static void boundaries_follow_the_class(void **state)
{
	(void)state;
	struct host_record record = {.status = 404};
	struct runner_done done = EXIT(0, "{\"error\":{\"class\":\"c\",\"message\":\"m\"}}");
	struct err err = {0};
	AUTO_BUF out = BUF_INIT(1 * KIB);
	assert_int_equal(outcome_decide(&done, &record, &out, &err), -1);
	assert_int_equal(err.boundary, BOUNDARY_EXTERNAL);
	record.status = 0;
	assert_int_equal(outcome_decide(&done, &record, &out, &err), -1);
	char text[256];
	assert_string_equal(err_text(&err, text, sizeof text), "connector_runtime_error: c: m (boundary=sandbox)");
}

/* A success after a failure clears it; a failure after a success keeps the status that was seen. */
static void the_record_is_sticky_until_an_answer(void **state)
{
	(void)state;
	struct host_record record = {0};
	struct err error = {0};
	fail(&error, ERR_NETWORK_ERROR, "no route");
	host_record_fail(&record, &error);
	host_record_answer(&record, 204);
	assert_false(record.failed);
	host_record_answer(&record, 503);
	host_record_fail(&record, &error);
	assert_true(record.failed);
	assert_int_equal(record.status, 503);
}

static void classes_that_are_not_for_callers_stay_inside(void **state)
{
	(void)state;
	struct host_record record = {0};
	struct err error = {0};
	fail(&error, ERR_SYSTEM, "no memory");
	host_record_fail(&record, &error);
	assert_int_equal(record.error.class, ERR_CONNECTOR_RUNTIME_ERROR);
	assert_string_equal(record.error.message, "no memory");
	fail(&error, ERR_APPROVAL_TIMEOUT, "the last of the others");
	host_record_fail(&record, &error);
	assert_int_equal(record.error.class, ERR_APPROVAL_TIMEOUT);
	fail(&error, ERR_UNCONFINED, "no landlock");
	host_record_fail(&record, &error);
	assert_int_equal(record.error.class, ERR_UNCONFINED);
}

static void check_tail(const char *text, bool cut, size_t max, const char *expected)
{
	AUTO_BUF out = BUF_INIT(4096);
	outcome_tail(&out, str_from(text), cut, max);
	assert_string_equal(out.p, expected);
}

static void tails_say_that_they_are_cut(void **state)
{
	(void)state;
	check_tail("abcde", false, 4, "...bcde");
	check_tail("abcd", false, 4, "abcd");
	check_tail("abcd", true, 4, "...abcd");
	check_tail("", false, 4, "");
	check_tail("x\xc3\xa4yz", false, 3, "...yz"); /* not from the middle of a character */
	check_tail("x\xe2\x82\xac", false, 2, "...");
	check_tail("line\nline", false, 20, "line\nline");
}

static void long_texts_are_cut_and_nothing_overflows(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(1 * MIB);
	buf_add_z(&text, "{\"error\":{\"class\":\"");
	for (int i = 0; i < 50000; i++)
		buf_add_z(&text, "k");
	buf_add_z(&text, "\",\"message\":\"");
	for (int i = 0; i < 50000; i++)
		buf_add_z(&text, "\xc3\xa4");
	buf_add_z(&text, "\"}}");
	struct runner_done done = {.output = buf_str(&text)};
	struct host_record record = {0};
	struct err err = {0};
	AUTO_BUF out = BUF_INIT(1 * KIB);
	assert_int_equal(outcome_decide(&done, &record, &out, &err), -1);
	assert_true(str_starts(str_from(err.message), S("kkkk")));
	assert_true(str_is_utf8(str_from(err.message)));
}

static void output_that_does_not_fit_is_a_limit(void **state)
{
	(void)state;
	struct runner_done done = EXIT(0, "{\"output\":{\"a\":\"bbbbbbbbbbbbbbbbbbbb\"}}");
	struct host_record record = {0};
	struct err err = {0};
	AUTO_BUF out = BUF_INIT(10);
	assert_int_equal(outcome_decide(&done, &record, &out, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(outcome_decide(&done, &record, &out, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_the_table),
		cmocka_unit_test(boundaries_follow_the_class),
		cmocka_unit_test(the_record_is_sticky_until_an_answer),
		cmocka_unit_test(classes_that_are_not_for_callers_stay_inside),
		cmocka_unit_test(tails_say_that_they_are_cut),
		cmocka_unit_test(long_texts_are_cut_and_nothing_overflows),
		cmocka_unit_test(output_that_does_not_fit_is_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
