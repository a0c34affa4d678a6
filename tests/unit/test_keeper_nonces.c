#include "vault/keeper_nonces.h"
#include "base/mem.h"
#include "base/time.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define START (5 * TIME_SECOND)

static void each_is_good_once(void **state)
{
	(void)state;
	static struct keeper_nonces nonces;
	unsigned char a[SEALED_NONCE], b[SEALED_NONCE];
	keeper_nonces_give(&nonces, START, a);
	keeper_nonces_give(&nonces, START, b);
	assert_memory_not_equal(a, b, sizeof a);
	assert_true(keeper_nonces_use(&nonces, START, b));
	assert_false(keeper_nonces_use(&nonces, START, b));
	assert_true(keeper_nonces_use(&nonces, START, a));
	unsigned char made_up[SEALED_NONCE] = {1};
	assert_false(keeper_nonces_use(&nonces, START, made_up));
}

static void none_is_good_for_longer_than_a_minute(void **state)
{
	(void)state;
	static struct keeper_nonces nonces;
	unsigned char a[SEALED_NONCE], b[SEALED_NONCE];
	keeper_nonces_give(&nonces, START, a);
	keeper_nonces_give(&nonces, START, b);
	assert_true(keeper_nonces_use(&nonces, START + 60 * TIME_SECOND - 1, a));
	assert_false(keeper_nonces_use(&nonces, START + 60 * TIME_SECOND, b));
	assert_false(keeper_nonces_use(&nonces, START, b)); /* used up */
}

static void an_empty_slot_is_no_nonce(void **state)
{
	(void)state;
	static struct keeper_nonces nonces;
	unsigned char zero[SEALED_NONCE] = {0};
	assert_false(keeper_nonces_use(&nonces, 0, zero));
}

static void so_many_are_out_at_once(void **state)
{
	(void)state;
	static struct keeper_nonces nonces;
	static unsigned char given[KEEPER_NONCES_MAX + 1][SEALED_NONCE];
	for (size_t i = 0; i <= KEEPER_NONCES_MAX; i++)
		keeper_nonces_give(&nonces, START, given[i]);
	assert_false(keeper_nonces_use(&nonces, START, given[0])); /* the oldest made room */
	for (size_t i = 1; i <= KEEPER_NONCES_MAX; i++)
		assert_true(keeper_nonces_use(&nonces, START, given[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_good_once),
		cmocka_unit_test(none_is_good_for_longer_than_a_minute),
		cmocka_unit_test(an_empty_slot_is_no_nonce),
		cmocka_unit_test(so_many_are_out_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
