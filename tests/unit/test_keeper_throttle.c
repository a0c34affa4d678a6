#include "vault/keeper_throttle.h"
#include "base/mem.h"
#include "base/time.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void three_are_free_then_it_doubles_up_to_a_minute(void **state)
{
	(void)state;
	static const uint64_t waits[] = {0, 0, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000};
	struct keeper_throttle throttle = {0};
	uint64_t now = 7 * TIME_SECOND;
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		assert_int_equal(keeper_throttle_left_ms(&throttle, now), 0);
		keeper_throttle_wrong(&throttle, now);
		assert_int_equal(keeper_throttle_left_ms(&throttle, now), waits[i]);
		if (waits[i] > 0) {
			now += waits[i] * TIME_MILLISECOND - 1;
			assert_int_equal(keeper_throttle_left_ms(&throttle, now), 1);
			now++;
		}
	}
}

static void a_right_one_starts_anew(void **state)
{
	(void)state;
	struct keeper_throttle throttle = {0};
	for (int i = 0; i < 10; i++)
		keeper_throttle_wrong(&throttle, TIME_SECOND);
	keeper_throttle_right(&throttle);
	assert_int_equal(keeper_throttle_left_ms(&throttle, TIME_SECOND), 0);
	keeper_throttle_wrong(&throttle, TIME_SECOND);
	assert_int_equal(keeper_throttle_left_ms(&throttle, TIME_SECOND), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_are_free_then_it_doubles_up_to_a_minute),
		cmocka_unit_test(a_right_one_starts_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
