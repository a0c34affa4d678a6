#include "base/ulid.h"
#include "base/time.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void an_id_is_a_ulid(void **state)
{
	(void)state;
	char id[ULID_SIZE];
	const unsigned char zero[10] = {0};
	unsigned char ones[10];
	memset(ones, 0xff, sizeof ones);
	ulid_format(0, zero, id);
	assert_string_equal(id, "00000000000000000000000000");
	ulid_format((UINT64_C(1) << 48) - 1, ones, id);
	assert_string_equal(id, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
	/* The example of the ULID specification: 2016-07-30T23:54:10.259Z. */
	ulid_format(UINT64_C(1469922850259), zero, id);
	assert_memory_equal(id, "01ARZ3NDEK", 10);
	const unsigned char counted[10] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 33};
	ulid_format(1, counted, id);
	assert_string_equal(id, "00000000010000000000000011");
}

static void ids_sort_by_time(void **state)
{
	(void)state;
	char before[ULID_SIZE] = "", id[ULID_SIZE];
	const unsigned char zero[10] = {0};
	for (uint64_t ms = 1; ms < UINT64_C(1) << 47; ms *= 3) {
		ulid_format(ms, zero, id);
		assert_true(strcmp(before, id) < 0);
		memcpy(before, id, sizeof id);
	}
}

/* Made from the nanoseconds of the clock; the rest is another every time. */
static void a_new_one_has_its_time(void **state)
{
	(void)state;
	char a[ULID_SIZE], b[ULID_SIZE];
	ulid_make(UINT64_C(1469922850259) * TIME_MILLISECOND + 999999, a);
	ulid_make(UINT64_C(1469922850259) * TIME_MILLISECOND, b);
	assert_memory_equal(a, "01ARZ3NDEK", 10);
	assert_memory_equal(b, "01ARZ3NDEK", 10);
	assert_int_equal(strlen(a), ULID_SIZE - 1);
	assert_string_not_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_is_a_ulid),
		cmocka_unit_test(ids_sort_by_time),
		cmocka_unit_test(a_new_one_has_its_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
