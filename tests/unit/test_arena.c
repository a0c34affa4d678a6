#include "base/arena.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <cmocka.h>

static void a_piece_larger_than_any_block_is_served(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	char *big = arena_alloc(arena, 5 << 20);
	memset(big, 1, 5 << 20);
	char *small = arena_alloc(arena, 1);
	assert_int_equal(*small, 0);
	assert_true(arena_used(arena) >= (5 << 20) + 1);
	arena_clear(arena);
	assert_int_equal(*(char *)arena_alloc(arena, 1), 0);
	arena_free(NULL);
}

/* Clearing keeps the first block, and what was written into it must not come back. */
static void memory_is_zero_after_a_clear(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	memset(arena_alloc(arena, 1000), 0xff, 1000);
	arena_clear(arena);
	const char *again = arena_alloc(arena, 2000);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(again[i], 0);
}

static void an_empty_piece_is_no_null(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	assert_non_null(arena_alloc(arena, 0));
	assert_string_equal(arena_z(arena, STR_EMPTY), "");
	assert_string_equal(arena_str(arena, STR_EMPTY).p, "");
	assert_int_equal(*ARENA_NEW(arena, int), 0);
}

static void an_impossible_array_ends_the_program(void **state)
{
	(void)state;
	pid_t child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		fclose(stderr);
		struct arena *arena = arena_new();
		arena_array(arena, SIZE_MAX / 4, 8);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_piece_larger_than_any_block_is_served),
		cmocka_unit_test(memory_is_zero_after_a_clear),
		cmocka_unit_test(an_empty_piece_is_no_null),
		cmocka_unit_test(an_impossible_array_ends_the_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
