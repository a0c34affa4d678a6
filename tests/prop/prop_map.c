#include "base/map.h"
#include "prop/generator.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* The model: key number k is present or not, with a value and the moment it was added. */
enum { KEYS = 200 };
struct model {
	bool present[KEYS];
	uintptr_t value[KEYS];
	int added[KEYS];
	size_t count;
};

static struct str key_of(size_t k, char room[32])
{
	/* Some keys share prefixes, one is empty, one holds a NUL. */
	int n = k == 0 ? 0 : snprintf(room, 32, "key%c%zu", k % 7 == 0 ? '\0' : '-', k);
	return (struct str){room, (size_t)n};
}

static void agrees(const struct map *map, const struct model *model)
{
	assert_int_equal(map_count(map), model->count);
	struct map_iter it = {0};
	size_t seen = 0;
	int last = -1;
	while (map_next(map, &it)) {
		size_t k = 0;
		char room[32];
		while (k < KEYS && !str_eq(key_of(k, room), it.key))
			k++;
		assert_true(k < KEYS && model->present[k]);
		assert_int_equal((uintptr_t)it.value, model->value[k]);
		assert_true(model->added[k] > last); /* the order of insertion */
		last = model->added[k];
		seen++;
	}
	assert_int_equal(seen, model->count);
}

static void step(struct generator *g, struct map *map, struct model *model, int now)
{
	char room[32];
	size_t k = generate_below(g, KEYS);
	struct str key = key_of(k, room);
	uintptr_t value = (uintptr_t)generate(g);
	uintptr_t before = model->present[k] ? model->value[k] : 0;
	bool full = model->count >= map_cap(map);
	bool added = false;
	switch (generate_below(g, 5)) {
	case 0:
	case 1:
		assert_int_equal((uintptr_t)map_remove(map, key), before);
		model->count -= model->present[k];
		model->present[k] = false;
		break;
	case 2:
		added = map_add(map, key, (void *)value);
		assert_int_equal(added, !model->present[k] && !full);
		break;
	default: {
		void *old = (void *)1;
		bool set = map_set(map, key, (void *)value, &old);
		assert_int_equal(set, model->present[k] || !full);
		assert_int_equal((uintptr_t)old, set ? before : 1);
		if (set && model->present[k])
			model->value[k] = value;
		added = set && !model->present[k];
	}
	}
	if (added) {
		model->present[k] = true;
		model->value[k] = value;
		model->added[k] = now;
		model->count++;
	}
	assert_int_equal(map_has(map, key), model->present[k]);
	assert_int_equal((uintptr_t)map_get(map, key), model->present[k] ? model->value[k] : 0);
}

static void behaves_like_a_table_of_keys(void **state)
{
	(void)state;
	struct generator g = {2};
	for (int round = 0; round < 40; round++) {
		size_t cap = round % 3 == 0 ? KEYS : generate_below(&g, KEYS);
		AUTO(map) *map = map_new(cap);
		struct model model = {0};
		for (int now = 0; now < 1500; now++) {
			step(&g, map, &model, now);
			if (now % 300 == 0)
				agrees(map, &model);
		}
		agrees(map, &model);
	}
}

static void entries_may_be_removed_while_walking(void **state)
{
	(void)state;
	AUTO(map) *map = map_new(1000);
	for (uintptr_t k = 1; k < 1000; k++) {
		char room[32];
		assert_true(map_add(map, key_of(k, room), (void *)k));
	}
	struct map_iter it = {0};
	uintptr_t expected = 1;
	while (map_next(map, &it)) {
		assert_int_equal((uintptr_t)it.value, expected++);
		if ((uintptr_t)it.value % 3 != 0)
			assert_ptr_equal(map_remove(map, it.key), it.value);
	}
	assert_int_equal(expected, 1000);
	assert_int_equal(map_count(map), 333);
	expected = 3;
	for (it = (struct map_iter){0}; map_next(map, &it); expected += 3)
		assert_int_equal((uintptr_t)it.value, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(behaves_like_a_table_of_keys),
		cmocka_unit_test(entries_may_be_removed_while_walking),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
