#include "connector/call_limits.h"
#include "base/limits.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void zero_is_the_default(void **state)
{
	(void)state;
	struct call_limits none = {0};
	struct call_limits got = call_limits_resolve(&none, NULL);
	assert_int_equal(got.wall_time, 30 * UINT64_C(1000000000));
	assert_int_equal(got.memory, 64 * MIB);
	assert_int_equal(got.stdout_bytes, 8 * MIB);
	assert_int_equal(got.log_lines, 1000);
	assert_int_equal(got.request_body, 8 * MIB);
	assert_int_equal(got.response_body, 32 * MIB);
}

static void the_caller_wins_over_the_manifest(void **state)
{
	(void)state;
	struct manifest_limits manifest = {.memory_bytes = 8 * MIB, .wall_time_ms = 200};
	struct call_limits asked = {.memory = 16 * MIB};
	struct call_limits got = call_limits_resolve(&asked, &manifest);
	assert_int_equal(got.memory, 16 * MIB);
	assert_int_equal(got.wall_time, 200 * MS);
}

static void above_the_ceiling_is_clamped(void **state)
{
	(void)state;
	struct manifest_limits manifest = {.memory_bytes = UINT64_MAX, .wall_time_ms = UINT64_MAX};
	struct call_limits asked = {
		.stdout_bytes = UINT64_MAX, .log_lines = 5000, .request_body = GIB, .response_body = GIB};
	struct call_limits got = call_limits_resolve(&asked, &manifest);
	assert_int_equal(got.memory, GIB);
	assert_int_equal(got.wall_time, 300 * UINT64_C(1000000000));
	assert_int_equal(got.stdout_bytes, 8 * MIB);
	assert_int_equal(got.log_lines, 1000);
	assert_int_equal(got.request_body, 8 * MIB);
	assert_int_equal(got.response_body, 32 * MIB);
}

static void memory_is_whole_pages(void **state)
{
	(void)state;
	struct call_limits asked = {.memory = 1};
	assert_int_equal(call_limits_resolve(&asked, NULL).memory, 64 * KIB);
	asked.memory = 64 * KIB + 1;
	assert_int_equal(call_limits_resolve(&asked, NULL).memory, 128 * KIB);
	asked.memory = GIB - 1;
	assert_int_equal(call_limits_resolve(&asked, NULL).memory, GIB);
}

static void assignments_are_read(void **state)
{
	(void)state;
	struct call_limits limits = {0};
	struct err err = {0};
	assert_int_equal(call_limits_set(&limits, S("wall_time=1500ms"), &err), 0);
	assert_int_equal(call_limits_set(&limits, S("memory=32MiB"), &err), 0);
	assert_int_equal(call_limits_set(&limits, S("stdout=4096"), &err), 0);
	assert_int_equal(call_limits_set(&limits, S("log=10"), &err), 0);
	assert_int_equal(call_limits_set(&limits, S("request_body=1KiB"), &err), 0);
	assert_int_equal(call_limits_set(&limits, S("response_body=2KiB"), &err), 0);
	assert_int_equal(limits.wall_time, 1500 * MS);
	assert_int_equal(limits.memory, 32 * MIB);
	assert_int_equal(limits.stdout_bytes, 4096);
	assert_int_equal(limits.log_lines, 10);
	assert_int_equal(limits.request_body, KIB);
	assert_int_equal(limits.response_body, 2 * KIB);
}

static void bad_assignments_change_nothing(void **state)
{
	(void)state;
	static const char *const bad[] = {"",           "memory",   "memory=",     "memory=0",   "memory=-1",
					  "memory=1MB", "memory=x", "wall_time=5", "log=1KiB",   "log=ten",
					  "compile=1s", "=1",       "Memory=1",    "stdout=1.5", "wall_time=0s"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct call_limits limits = {0}, before = {0};
		struct err err = {0};
		assert_int_equal(call_limits_set(&limits, str_from(bad[i]), &err), -1);
		assert_int_equal(err.class, ERR_USAGE);
		assert_memory_equal(&limits, &before, sizeof limits);
	}
}

static void every_limit_is_named_with_what_was_configured(void **state)
{
	(void)state;
	static const struct {
		const char *name, *details;
	} rows[] = {
		{"wall_time", "\"limit\":\"wall_time\",\"configured\":\"1m30s\""},
		{"memory", "\"limit\":\"memory\",\"configured\":\"64MiB\""},
		{"stdout", "\"limit\":\"stdout\",\"configured\":\"8MiB\""},
		{"log", "\"limit\":\"log\",\"configured\":\"1000\""},
		{"request_body", "\"limit\":\"request_body\",\"configured\":\"8MiB\""},
		{"response_body", "\"limit\":\"response_body\",\"configured\":\"32MiB\""},
	};
	struct call_limits asked = {.wall_time = 90000 * MS};
	struct call_limits limits = call_limits_resolve(&asked, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = {0};
		assert_int_equal(call_limits_exceeded(&limits, str_from(rows[i].name), &err), -1);
		assert_int_equal(err.class, ERR_RESOURCE_LIMIT_EXCEEDED);
		assert_string_equal(err.details, rows[i].details);
	}
	struct err err = {0};
	assert_int_equal(call_limits_exceeded(&limits, S("patience"), &err), -1);
	assert_int_equal(err.class, ERR_CONNECTOR_RUNTIME_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zero_is_the_default),
		cmocka_unit_test(the_caller_wins_over_the_manifest),
		cmocka_unit_test(above_the_ceiling_is_clamped),
		cmocka_unit_test(memory_is_whole_pages),
		cmocka_unit_test(assignments_are_read),
		cmocka_unit_test(bad_assignments_change_nothing),
		cmocka_unit_test(every_limit_is_named_with_what_was_configured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
