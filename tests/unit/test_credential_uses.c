/* Whose call a permit's number belongs to: known until many others have ended after it. */
#include "control/credential_uses.h"
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct credential_uses *uses;
static struct arena *arena;

static int set_up(void **state)
{
	(void)state;
	uses = credential_uses_new();
	arena = arena_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	credential_uses_free(uses);
	arena_free(arena);
	return 0;
}

static bool is_known(uint64_t use)
{
	char execution[32];
	struct str expected = str_of(execution, (size_t)snprintf(execution, sizeof execution, "call %d", (int)use));
	struct credential_call found = credential_uses_find(uses, arena, use);
	if (found.execution.n == 0 && found.operation.n == 0)
		return false;
	assert_true(str_eq(found.execution, expected));
	assert_true(str_eq(found.operation, S("send")));
	return true;
}

static void begin(uint64_t use)
{
	char execution[32];
	struct str id = str_of(execution, (size_t)snprintf(execution, sizeof execution, "call %d", (int)use));
	credential_uses_add(uses, use, &(struct credential_call){id, S("send")});
}

static void a_use_is_known_while_its_call_runs_and_after(void **state)
{
	(void)state;
	assert_false(is_known(1));
	begin(1);
	begin(2);
	assert_true(is_known(1));
	credential_uses_end(uses, 1);
	assert_true(is_known(1));
	assert_true(is_known(2));
	assert_false(is_known(3));
	/* One that was never known, a gateway's, may end like any other. */
	credential_uses_end(uses, 3);
	assert_true(is_known(1));
}

static void what_ended_long_ago_is_forgotten(void **state)
{
	(void)state;
	begin(1);
	begin(2);
	credential_uses_end(uses, 2);
	for (uint64_t use = 3; use < 1024 + 2; use++) {
		begin(use);
		credential_uses_end(uses, use);
		assert_true(is_known(2));
	}
	begin(2000);
	credential_uses_end(uses, 2000);
	assert_false(is_known(2));
	assert_true(is_known(3));
	assert_true(is_known(1)); /* it runs */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_use_is_known_while_its_call_runs_and_after, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_ended_long_ago_is_forgotten, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
