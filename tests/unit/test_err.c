#include "base/err.h"
#include "base/mem.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
/* cmocka has a fail() of its own. */
static int (*const make)(struct err *err, enum err_class class, const char *fmt, ...) = fail;
#include <cmocka.h>

static void a_failure_starts_with_what_its_class_says(void **state)
{
	(void)state;
	struct err err = {.line = 7, .file = "old", .details = "\"old\":1", .details_n = 7, .os_errno = 5};
	assert_int_equal(make(&err, ERR_NETWORK_ERROR, "cannot reach '%s'", "h:1"), -1);
	assert_int_equal(err.class, ERR_NETWORK_ERROR);
	assert_int_equal(err.boundary, BOUNDARY_EXTERNAL);
	assert_true(err.retriable);
	assert_string_equal(err.message, "cannot reach 'h:1'");
	assert_string_equal(err.file, "");
	assert_string_equal(err.details, "");
	assert_int_equal(err.line, 0);
	assert_int_equal(err.os_errno, 0);
	assert_int_equal(err.details_n, 0);
}

static void programs_end_with_the_status_of_the_class(void **state)
{
	(void)state;
	assert_int_equal(err_row(ERR_USAGE)->exit_status, 2);
	assert_int_equal(err_row(ERR_UNREACHABLE)->exit_status, 69);
	assert_int_equal(err_row(ERR_APPROVAL_TIMEOUT)->exit_status, 75);
	assert_int_equal(err_row(ERR_VAULT_LOCKED)->exit_status, 77);
	assert_int_equal(err_row(ERR_VAULT_MISSING)->exit_status, 77);
	assert_int_equal(err_row(ERR_MISSING_PASSPHRASE)->exit_status, 77);
	assert_int_equal(err_row(ERR_CAPABILITY_DENIED)->exit_status, 1);
}

static void every_class_and_boundary_is_found_by_its_name(void **state)
{
	(void)state;
	for (int i = ERR_NONE + 1; i < ERR_CLASS__MAX; i++) {
		const struct err_row *row = err_row((enum err_class)i);
		assert_int_equal(err_class_named(str_from(row->name)), i);
		assert_true((row->http_status >= 400 || i == ERR_PENDING_APPROVAL) && row->exit_status > 0 &&
			    row->title[0] != '\0');
		assert_true(row->boundary != BOUNDARY_NONE);
	}
	for (int i = BOUNDARY_NONE + 1; i < BOUNDARY__MAX; i++)
		assert_true(err_boundary_name((enum err_boundary)i)[0] != '\0');
	assert_int_equal(err_class_named(S("none")), ERR_NONE);
	assert_int_equal(err_class_named(S("")), ERR_NONE);
	assert_int_equal(err_class_named(S("Network_error")), ERR_NONE);
	assert_string_equal(err_boundary_name(BOUNDARY__MAX), "");
}

/* What third parties see; the numbers are a contract. */
static void the_wire_classes_keep_their_status(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int http;
		const char *boundary;
	} rows[] = {
		{"capability_denied", 403, "sandbox"},
		{"binding_required", 412, "runtime"},
		{"binding_failed", 412, "runtime"},
		{"resource_limit_exceeded", 507, "sandbox"},
		{"connector_runtime_error", 500, "sandbox"},
		{"connector_load_failed", 422, "runtime"},
		{"network_error", 502, "external"},
		{"external_api_error", 502, "external"},
		{"hash_mismatch", 422, "runtime"},
		{"signature_failure", 422, "runtime"},
		{"spawn_sandbox_unavailable", 501, "runtime"},
		{"approval_denied", 403, "runtime"},
		{"approval_timeout", 408, "runtime"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct err_row *row = err_row(err_class_named(str_from(rows[i].name)));
		assert_string_equal(row->name, rows[i].name);
		assert_int_equal(row->http_status, rows[i].http);
		assert_string_equal(err_boundary_name(row->boundary), rows[i].boundary);
	}
}

static void system_failures_carry_errno(void **state)
{
	(void)state;
	struct err err = {0};
	errno = ENOENT;
	assert_int_equal(fail_errno(&err, "cannot open '%s'", "x"), -1);
	assert_string_equal(err.message, "cannot open 'x': No such file or directory");
	assert_int_equal(err.class, ERR_SYSTEM);
	assert_int_equal(err.os_errno, ENOENT);
	assert_int_equal(errno, ENOENT);
}

static void context_goes_in_front_and_keeps_the_class(void **state)
{
	(void)state;
	struct err err = {0};
	make(&err, ERR_LIMIT, "too many");
	assert_int_equal(wrap(&err, "reading '%s'", "a"), -1);
	assert_int_equal(wrap(&err, "loading"), -1);
	assert_string_equal(err.message, "loading: reading 'a': too many");
	assert_int_equal(err.class, ERR_LIMIT);
}

/* A message may be made from the one that it replaces. */
static void an_error_may_quote_itself(void **state)
{
	(void)state;
	struct err err = {0};
	make(&err, ERR_LIMIT, "inner");
	make(&err, ERR_SYSTEM, "outer (%s)", err.message);
	assert_string_equal(err.message, "outer (inner)");
}

static void everything_accepts_no_error(void **state)
{
	(void)state;
	assert_int_equal(make(NULL, ERR_LIMIT, "x"), -1);
	assert_int_equal(fail_errno(NULL, "x"), -1);
	assert_int_equal(wrap(NULL, "x"), -1);
	assert_int_equal(err_at(NULL, "f", 1), -1);
	assert_int_equal(err_set_boundary(NULL, BOUNDARY_ACTION), -1);
	err_clear(NULL);
	err_detail(NULL, "k", S("v"));
	err_detail_int(NULL, "k", 1);
	err_detail_list(NULL, "k", NULL, 0);
}

/* Characters of every width at every place of the cut. */
static void a_long_message_is_cut_between_characters(void **state)
{
	(void)state;
	static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
	for (size_t c = 0; c < ARRAY_LEN(characters); c++) {
		for (int shift = 0; shift < 4; shift++) {
			char text[3 * ERR_MESSAGE_MAX] = "";
			size_t n = (size_t)shift;
			memset(text, '-', n);
			while (n < 2 * ERR_MESSAGE_MAX) {
				memcpy(text + n, characters[c], strlen(characters[c]));
				n += strlen(characters[c]);
			}
			struct err err = {0};
			make(&err, ERR_LIMIT, "%s", text);
			assert_true(strlen(err.message) > ERR_MESSAGE_MAX - 8);
			assert_true(str_is_utf8(str_from(err.message)));
			assert_true(str_ends(str_from(err.message), S("...")));
			wrap(&err, "%s", "context");
			assert_true(str_is_utf8(str_from(err.message)));
			assert_true(str_ends(str_from(err.message), S("...")));
			err_at(&err, text, 1);
			assert_true(str_is_utf8(str_from(err.file)));
		}
	}
}

static void details_are_members_of_an_object(void **state)
{
	(void)state;
	struct err err = {0};
	make(&err, ERR_LIMIT, "x");
	err_detail(&err, "text", S("a\"b\\c\n\x1b\xff\xc3\xa9"));
	err_detail_int(&err, "low", INT64_MIN);
	err_detail_list(&err, "list", (const struct str[]){S("a"), S("b")}, 2);
	err_detail_list(&err, "none", NULL, 0);
	assert_string_equal(err.details, "\"text\":\"a\\\"b\\\\c\\u000a\\u001b\xef\xbf\xbd\xc3\xa9\","
					 "\"low\":-9223372036854775808,\"list\":[\"a\",\"b\"],\"none\":[]");
	assert_int_equal(err.details_n, strlen(err.details));
}

static void check_detail(const struct err *err, const char *key, const char *expected)
{
	struct str got = S("untouched");
	if (err_detail_get(err, key, &got) != (expected != NULL))
		fail_msg("'%s' is %s", key, expected != NULL ? "missing" : "there");
	if (!str_eq(got, str_from(expected != NULL ? expected : "untouched")))
		fail_msg("'%s' is '%.*s'", key, STR_FMT(got));
}

static void a_detail_comes_back_as_it_was_added(void **state)
{
	(void)state;
	struct err err = {0};
	check_detail(&err, "text", NULL);
	make(&err, ERR_LIMIT, "x");
	check_detail(&err, "text", NULL);
	err_detail(&err, "text", S("a, b: {c} [d] \xc3\xa9"));
	err_detail(&err, "quoted", S("\",\"inner\":\"1\\"));
	err_detail_int(&err, "low", INT64_MIN);
	err_detail(&err, "empty", S(""));
	err_detail_list(&err, "list", (const struct str[]){S("a]"), S("\"low\":7")}, 2);
	err_detail_list(&err, "none", NULL, 0);
	err_detail(&err, "last", S("z"));
	check_detail(&err, "text", "a, b: {c} [d] \xc3\xa9");
	check_detail(&err, "quoted", "\\\",\\\"inner\\\":\\\"1\\\\");
	check_detail(&err, "low", "-9223372036854775808");
	check_detail(&err, "empty", "");
	check_detail(&err, "list", "[\"a]\",\"\\\"low\\\":7\"]");
	check_detail(&err, "none", "[]");
	check_detail(&err, "last", "z");
	/* No part of a name, nothing from within a value. */
	check_detail(&err, "inner", NULL);
	check_detail(&err, "las", NULL);
	check_detail(&err, "", NULL);
	check_detail(NULL, "last", NULL);
	err_detail_int(&err, "last", 2);
	check_detail(&err, "last", "2");
}

/* Details may come from another process: whatever they are, nothing behind them is read. */
static void details_that_are_cut_short_have_what_is_whole(void **state)
{
	(void)state;
	static const char whole[] = "\"a\":{\"b\":[1,\"\\\\\"]},\"c\":\"d\\u0041\"";
	for (size_t n = 0; n < sizeof whole; n++) {
		struct err err = {.details_n = (uint32_t)n};
		memcpy(err.details, whole, n);
		struct str got = STR_EMPTY;
		bool there = err_detail_get(&err, "c", &got);
		assert_true(!there || got.n == 0 || (got.p >= err.details && got.p + got.n <= err.details + n));
		assert_true(there || n < sizeof whole - 1);
	}
}

static size_t count(const char *text, const char *part)
{
	size_t n = 0;
	for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
		n++;
	return n;
}

/* The note stands once, whatever comes after: a repeated key would make the object unreadable. */
static void a_detail_that_does_not_fit_is_left_out_and_noted_once(void **state)
{
	(void)state;
	static char big[ERR_DETAILS_MAX];
	memset(big, 'x', sizeof big);
	struct err err = {0};
	make(&err, ERR_LIMIT, "x");
	err_detail_int(&err, "before", 1);
	err_detail(&err, "big", str_of(big, sizeof big));
	assert_string_equal(err.details, "\"before\":1,\"details_truncated\":true");
	err_detail_int(&err, "after", 2);
	err_detail(&err, "big", str_of(big, sizeof big));
	assert_int_equal(count(err.details, "details_truncated"), 1);
	assert_int_equal(err.details_n, strlen(err.details));
}

/* Every size around the edge: the details always fit their field and end in a whole member. */
static void details_at_the_edge_stay_whole(void **state)
{
	(void)state;
	static char text[ERR_DETAILS_MAX];
	memset(text, 'x', sizeof text);
	for (size_t n = ERR_DETAILS_MAX - 80; n < ERR_DETAILS_MAX; n++) {
		struct err err = {0};
		make(&err, ERR_LIMIT, "x");
		err_detail(&err, "k", str_of(text, n));
		err_detail_int(&err, "n", 1);
		assert_int_equal(err.details_n, strlen(err.details));
		assert_true(err.details_n < ERR_DETAILS_MAX);
		char last = err.details[err.details_n - 1];
		assert_true(last == '1' || last == 'e');
		bool fits = err.details[1] == 'k';
		assert_int_equal(count(err.details, "x"), fits ? n : 0);
		assert_true(fits || count(err.details, "details_truncated") == 1);
	}
}

static void prints_both_text_forms(void **state)
{
	(void)state;
	char text[100];
	struct err err = {0};
	make(&err, ERR_CAPABILITY_DENIED, "host 'x' is not granted");
	assert_string_equal(err_text(&err, text, sizeof text),
			    "capability_denied: host 'x' is not granted (boundary=sandbox)");
	assert_string_equal(err_text_at(&err, text, sizeof text), "capability_denied: host 'x' is not granted");
	assert_int_equal(err_at(&err, "m.toml", 0), -1);
	assert_string_equal(err_text_at(&err, text, sizeof text),
			    "capability_denied: host 'x' is not granted (m.toml)");
	err_at(&err, "m.toml", 12);
	assert_string_equal(err_text_at(&err, text, sizeof text),
			    "capability_denied: host 'x' is not granted (m.toml:12)");
	assert_int_equal(err_set_boundary(&err, BOUNDARY_CONNECTOR_MANIFEST), -1);
	assert_string_equal(err_text(&err, text, 24), "capability_denied: host");
}

static void a_bug_names_its_place_and_ends_the_program(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(ends[1], STDERR_FILENO);
		BUG("%s happened", "it");
	}
	close(ends[1]);
	char text[200] = "";
	ssize_t got = 0;
	for (size_t n = 0; (got = read(ends[0], text + n, sizeof text - 1 - n)) > 0;)
		n += (size_t)got;
	assert_int_equal(got, 0);
	close(ends[0]);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(text, "internal error at "));
	assert_non_null(strstr(text, "test_err.c:"));
	assert_non_null(strstr(text, ": it happened\n"));
}

static void the_closed_set_ends_where_callers_stop_seeing(void **state)
{
	(void)state;
	assert_true(err_class_is_closed(ERR_CAPABILITY_DENIED));
	assert_true(err_class_is_closed(ERR_APPROVAL_TIMEOUT));
	assert_true(err_class_is_closed(ERR_OUTCOME_UNKNOWN));
	assert_false(err_class_is_closed(ERR_PARSE_ERROR));
	assert_false(err_class_is_closed(ERR_NONE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_closed_set_ends_where_callers_stop_seeing),
		cmocka_unit_test(a_failure_starts_with_what_its_class_says),
		cmocka_unit_test(programs_end_with_the_status_of_the_class),
		cmocka_unit_test(every_class_and_boundary_is_found_by_its_name),
		cmocka_unit_test(the_wire_classes_keep_their_status),
		cmocka_unit_test(system_failures_carry_errno),
		cmocka_unit_test(context_goes_in_front_and_keeps_the_class),
		cmocka_unit_test(an_error_may_quote_itself),
		cmocka_unit_test(everything_accepts_no_error),
		cmocka_unit_test(a_long_message_is_cut_between_characters),
		cmocka_unit_test(details_are_members_of_an_object),
		cmocka_unit_test(a_detail_comes_back_as_it_was_added),
		cmocka_unit_test(details_that_are_cut_short_have_what_is_whole),
		cmocka_unit_test(a_detail_that_does_not_fit_is_left_out_and_noted_once),
		cmocka_unit_test(details_at_the_edge_stay_whole),
		cmocka_unit_test(prints_both_text_forms),
		cmocka_unit_test(a_bug_names_its_place_and_ends_the_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
