#include "cli/suggest.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static unsigned distance(const char *a, const char *b)
{
	return suggest_distance(str_from(a), str_from(b));
}

static void distances(void **state)
{
	(void)state;
	assert_int_equal(distance("", ""), 0);
	assert_int_equal(distance("abc", ""), 3);
	assert_int_equal(distance("", "abc"), 3);
	assert_int_equal(distance("status", "status"), 0);
	assert_int_equal(distance("Status", "status"), 0);
	assert_int_equal(distance("statu", "status"), 1);
	assert_int_equal(distance("sttaus", "status"), 1);
	assert_int_equal(distance("stats", "status"), 1);
	assert_int_equal(distance("xtatus", "status"), 1);
	assert_int_equal(distance("kitten", "sitting"), 3);
	assert_int_equal(distance("ab", "ba"), 1);
}

/* The definition, in the slow way. */
static unsigned model(struct str a, struct str b)
{
	if (a.n == 0 || b.n == 0)
		return (unsigned)(a.n + b.n);
	struct str a1 = str_slice(a, 0, a.n - 1), b1 = str_slice(b, 0, b.n - 1);
	unsigned best = model(a1, b1) + (a.p[a.n - 1] != b.p[b.n - 1]);
	best = MIN(best, MIN(model(a1, b) + 1, model(a, b1) + 1));
	if (a.n > 1 && b.n > 1 && a.p[a.n - 1] == b.p[b.n - 2] && a.p[a.n - 2] == b.p[b.n - 1])
		best = MIN(best, model(str_slice(a, 0, a.n - 2), str_slice(b, 0, b.n - 2)) + 1);
	return best;
}

static void as_the_definition_says(void **state)
{
	(void)state;
	uint64_t seed = 7;
	for (int i = 0; i < 400; i++) {
		char a[7], b[7];
		size_t n[2];
		for (int side = 0; side < 2; side++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
			n[side] = (seed >> 33) % 6;
			for (size_t j = 0; j < n[side]; j++)
				(side == 0 ? a : b)[j] = (char)('a' + (seed >> (40 + 3 * j)) % 3);
		}
		struct str sa = str_of(a, n[0]), sb = str_of(b, n[1]);
		assert_int_equal(suggest_distance(sa, sb), model(sa, sb));
		assert_int_equal(suggest_distance(sb, sa), model(sa, sb));
	}
}

static void near_and_far(void **state)
{
	(void)state;
	assert_true(suggest_is_near(S("lst"), S("list")));
	assert_true(suggest_is_near(S("conector"), S("connector")));
	assert_true(suggest_is_near(S("conn"), S("connector")));
	assert_false(suggest_is_near(S("x"), S("status")));
	assert_false(suggest_is_near(S(""), S("status")));
	assert_false(suggest_is_near(S("put"), S("run")));
	assert_false(suggest_is_near(S("audit"), S("vault")));
	char longer[200];
	memset(longer, 'a', sizeof longer);
	assert_false(suggest_is_near(str_of(longer, sizeof longer), str_of(longer, sizeof longer)));
	assert_int_equal(suggest_distance(str_of(longer, sizeof longer), S("a")), SUGGEST_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distances),
		cmocka_unit_test(as_the_definition_says),
		cmocka_unit_test(near_and_far),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
