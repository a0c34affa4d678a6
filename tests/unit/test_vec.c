#include "base/vec.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <cmocka.h>

struct point {
	int x, y;
};

static void an_empty_one_has_no_memory_and_no_elements(void **state)
{
	(void)state;
	VEC(struct point) points = VEC_INIT(3);
	assert_null(points.items);
	VEC_FOREACH (point, &points)
		fail_msg("element %p of an empty array", (void *)point);
	vec_clear(&points);
	vec_release(&points);
	assert_int_equal(points.cap, 3);
}

static void a_push_past_the_cap_changes_nothing(void **state)
{
	(void)state;
	AUTO_VEC(struct point) points = VEC_INIT(2);
	assert_true(vec_push(&points, (struct point){1, 2}));
	assert_true(vec_push(&points, (struct point){.x = 3, .y = 4}));
	assert_false(vec_push(&points, (struct point){5, 6}));
	assert_int_equal(points.n, 2);
	assert_int_equal(points.items[1].x, 3);
	assert_int_equal(points.room, 2);

	vec_release(&points);
	assert_true(vec_push(&points, (struct point){7, 8}));
	assert_int_equal(vec_last(&points)->y, 8);
}

static void an_element_may_be_pushed_again_while_the_array_moves(void **state)
{
	(void)state;
	AUTO_VEC(int) numbers = VEC_INIT(100);
	assert_true(vec_push(&numbers, 7));
	while (numbers.n < 100)
		assert_true(vec_push(&numbers, numbers.items[0]));
	VEC_FOREACH (number, &numbers)
		assert_int_equal(*number, 7);
}

static void reserving_does_not_overflow(void **state)
{
	(void)state;
	AUTO_VEC(int) numbers = VEC_INIT(10);
	assert_true(vec_push(&numbers, 1));
	assert_false(vec_reserve(&numbers, SIZE_MAX));
	assert_false(vec_reserve(&numbers, 10));
	assert_true(vec_reserve(&numbers, 9));
	assert_int_equal(numbers.room, 10);
}

static void removing_keeps_or_breaks_the_order_as_asked(void **state)
{
	(void)state;
	AUTO_VEC(int) numbers = VEC_INIT(10);
	for (int i = 0; i < 5; i++)
		assert_true(vec_push(&numbers, i));
	vec_remove(&numbers, 1);
	assert_memory_equal(numbers.items, ((int[]){0, 2, 3, 4}), 4 * sizeof(int));
	vec_swap_remove(&numbers, 0);
	assert_memory_equal(numbers.items, ((int[]){4, 2, 3}), 3 * sizeof(int));
	assert_int_equal(vec_pop(&numbers), 3);
}

static void taking_from_an_empty_one_ends_the_program(void **state)
{
	(void)state;
	pid_t child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		fclose(stderr);
		VEC(int) numbers = VEC_INIT(10);
		vec_pop(&numbers);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_one_has_no_memory_and_no_elements),
		cmocka_unit_test(a_push_past_the_cap_changes_nothing),
		cmocka_unit_test(an_element_may_be_pushed_again_while_the_array_moves),
		cmocka_unit_test(reserving_does_not_overflow),
		cmocka_unit_test(removing_keeps_or_breaks_the_order_as_asked),
		cmocka_unit_test(taking_from_an_empty_one_ends_the_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
