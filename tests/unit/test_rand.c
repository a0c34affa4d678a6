#include "base/rand.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void two_draws_differ(void **state)
{
	(void)state;
	unsigned char a[300] = {0}, b[300] = {0}, zeros[300] = {0};
	rand_bytes(a, sizeof a);
	rand_bytes(b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a);
	assert_memory_not_equal(a + 268, zeros, 32); /* filled to the end */
	rand_bytes(NULL, 0);
}

struct script {
	const uint64_t *values;
	size_t next;
};

static void fill_from_script(void *context, void *ret, size_t n)
{
	struct script *script = context;
	assert_int_equal(n, sizeof(uint64_t));
	memcpy(ret, &script->values[script->next++], n);
}

/* With bound 3 the values 0 and 1 would come once more than 2 if UINT64_MAX were taken. */
static void values_of_the_incomplete_run_are_drawn_again(void **state)
{
	(void)state;
	static const uint64_t values[] = {UINT64_MAX, UINT64_MAX - 1, 5, UINT64_MAX};
	struct script script = {.values = values};
	struct rand_source source = {.fill = fill_from_script, .context = &script};
	rand_replace(&source);
	assert_int_equal(rand_below(3), (UINT64_MAX - 1) % 3);
	assert_int_equal(script.next, 2);
	assert_int_equal(rand_below(4), 1);
	assert_int_equal(rand_below(256), 255); /* divides 2^64: nothing is drawn again */
	assert_int_equal(script.next, 4);
	rand_replace(NULL);
}

static void stays_below_its_bound(void **state)
{
	(void)state;
	size_t seen[7] = {0};
	for (int i = 0; i < 7000; i++) {
		uint64_t value = rand_below(7);
		assert_true(value < 7);
		seen[value]++;
	}
	for (int i = 0; i < 7; i++)
		assert_true(seen[i] > 700); /* 1000 expected; ten standard deviations away */
	assert_int_equal(rand_below(1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_draws_differ),
		cmocka_unit_test(values_of_the_incomplete_run_are_drawn_again),
		cmocka_unit_test(stays_below_its_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
