#include "base/map.h"
#include "base/rand.h"
#include "base/siphash.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void a_replaced_key_keeps_its_place(void **state)
{
	(void)state;
	AUTO(map) *map = map_new(3);
	int a, b, c;
	void *old = &c;
	assert_true(map_set(map, S("a"), &a, &old));
	assert_null(old);
	assert_true(map_set(map, S("b"), &b, NULL));
	assert_true(map_set(map, S("a"), &c, &old));
	assert_ptr_equal(old, &a);

	struct map_iter it = {0};
	assert_true(map_next(map, &it));
	assert_true(str_eq(it.key, S("a")));
	assert_ptr_equal(it.value, &c);
	assert_true(map_next(map, &it));
	assert_true(str_eq(it.key, S("b")));
	assert_false(map_next(map, &it));
}

static void a_key_past_the_cap_changes_nothing(void **state)
{
	(void)state;
	AUTO(map) *map = map_new(1);
	int a, b;
	void *old = &b;
	assert_true(map_add(map, S("a"), &a));
	assert_false(map_add(map, S("a"), &b));
	assert_false(map_add(map, S("b"), &b));
	assert_false(map_set(map, S("b"), &b, &old));
	assert_ptr_equal(old, &b);
	assert_true(map_set(map, S("a"), &b, NULL));
	assert_int_equal(map_count(map), 1);
	assert_ptr_equal(map_remove(map, S("a")), &b);
	assert_true(map_add(map, S("b"), &b));

	AUTO(map) *none = map_new(0);
	assert_false(map_add(none, S(""), &a));
	assert_null(map_get(none, S("")));
	assert_null(map_remove(none, S("")));
}

static void null_is_a_value_that_find_tells_from_absence(void **state)
{
	(void)state;
	AUTO(map) *map = map_new(2);
	assert_true(map_add(map, S("here"), NULL));
	void *value = map;
	assert_true(map_find(map, S("here"), &value));
	assert_null(value);
	value = map;
	assert_false(map_find(map, S("there"), &value));
	assert_ptr_equal(value, map);
	assert_true(map_has(map, S("here")));
}

static size_t freed;

static void count_free(void *value)
{
	freed += *(size_t *)value;
}

static void freeing_with_its_values_frees_each_that_is_left(void **state)
{
	(void)state;
	size_t sizes[] = {1, 10, 100};
	struct map *map = map_new(3);
	assert_true(map_add(map, S("a"), &sizes[0]));
	assert_true(map_add(map, S("b"), &sizes[1]));
	assert_true(map_add(map, S("c"), &sizes[2]));
	assert_ptr_equal(map_remove(map, S("b")), &sizes[1]);
	map_free_with(map, count_free);
	assert_int_equal(freed, 101);
	map_free(NULL);
	map_free_with(NULL, count_free);
}

static void fill_zero(void *context, void *ret, size_t n)
{
	++*(int *)context;
	memset(ret, 0, n);
}

/* Each map must draw its own seed: one that leaks does not open the others. */
static void every_map_draws_a_seed(void **state)
{
	(void)state;
	int draws = 0;
	struct rand_source source = {.fill = fill_zero, .context = &draws};
	rand_replace(&source);
	map_free(map_new(1));
	map_free(map_new(1));
	rand_replace(NULL);
	assert_int_equal(draws, 2);
}

/* Keys that all fall into one slot are found, removed and added again, past the holes that removing leaves. */
static void colliding_keys_are_kept_apart(void **state)
{
	(void)state;
	int draws = 0;
	struct rand_source source = {.fill = fill_zero, .context = &draws};
	rand_replace(&source);
	AUTO(map) *map = map_new(100);
	rand_replace(NULL);
	uint32_t keys[5];
	size_t found = 0;
	for (uint32_t key = 0; found < ARRAY_LEN(keys); key++) {
		if (siphash((struct siphash_key){0, 0}, str_of(&key, sizeof key)) % 16 == 15)
			keys[found++] = key;
	}
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < found; i++)
			assert_true(map_add(map, str_of(&keys[i], sizeof keys[i]), &keys[i]));
		for (size_t i = 0; i < found; i++) {
			assert_ptr_equal(map_remove(map, str_of(&keys[i], sizeof keys[i])), &keys[i]);
			for (size_t j = 0; j < found; j++)
				assert_int_equal(map_has(map, str_of(&keys[j], sizeof keys[j])), j > i);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_replaced_key_keeps_its_place),
		cmocka_unit_test(a_key_past_the_cap_changes_nothing),
		cmocka_unit_test(null_is_a_value_that_find_tells_from_absence),
		cmocka_unit_test(freeing_with_its_values_frees_each_that_is_left),
		cmocka_unit_test(every_map_draws_a_seed),
		cmocka_unit_test(colliding_keys_are_kept_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
