#include "base/vec.h"
#include "prop/generator.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* The model is a plain array with a counter. */
static void behaves_like_an_array_with_a_cap(void **state)
{
	(void)state;
	enum { ROUNDS = 300, STEPS = 400, CAP_MAX = 97 };
	struct generator g = {1};
	for (int round = 0; round < ROUNDS; round++) {
		size_t cap = generate_below(&g, CAP_MAX + 1), n = 0;
		uint64_t model[CAP_MAX];
		AUTO_VEC(uint64_t) vec = VEC_INIT(cap);
		for (int step = 0; step < STEPS; step++) {
			uint64_t value = generate(&g);
			size_t i = n > 0 ? generate_below(&g, n) : 0;
			switch (generate_below(&g, 10)) {
			case 0:
				if (n > 0)
					assert_int_equal(vec_pop(&vec), model[--n]);
				break;
			case 1:
				if (n > 0) {
					vec_remove(&vec, i);
					memmove(model + i, model + i + 1, (n - i - 1) * sizeof model[0]);
					n--;
				}
				break;
			case 2:
				if (n > 0) {
					vec_swap_remove(&vec, i);
					model[i] = model[--n];
				}
				break;
			case 3:
				value %= CAP_MAX + 2;
				assert_int_equal(vec_reserve(&vec, value), n + value <= cap);
				assert_true(n + value > cap || vec.room - n >= value);
				break;
			default:
				assert_int_equal(vec_push(&vec, value), n < cap);
				if (n < cap)
					model[n++] = value;
			}
			assert_int_equal(vec.n, n);
			assert_true(vec.n <= vec.room && vec.room <= cap);
			if (n > 0) {
				assert_memory_equal(vec.items, model, n * sizeof model[0]);
				assert_int_equal(*vec_last(&vec), model[n - 1]);
			}
		}
		size_t seen = 0;
		VEC_FOREACH (item, &vec)
			assert_int_equal(*item, model[seen++]);
		assert_int_equal(seen, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(behaves_like_an_array_with_a_cap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
