#include "base/arena.h"
#include "prop/generator.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* Each piece is filled with its own byte; when all are made, none may have been touched by another. */
static void pieces_are_zeroed_aligned_and_apart(void **state)
{
	(void)state;
	enum { PIECES = 400 };
	struct generator g = {14};
	AUTO(arena) *arena = arena_new();
	for (int round = 0; round < 100; round++) {
		unsigned char *pieces[PIECES];
		size_t sizes[PIECES], sum = 0;
		for (size_t i = 0; i < PIECES; i++) {
			sizes[i] = generate_below(&g, 20) == 0 ? generate_below(&g, 9000) : generate_below(&g, 100);
			pieces[i] = arena_alloc(arena, sizes[i]);
			assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(pieces[i][k], 0);
			memset(pieces[i], (int)(i % 251) + 1, sizes[i]);
			sum += sizes[i];
			assert_true(arena_used(arena) >= sum);
			assert_true(arena_used(arena) <= sum + (i + 1) * _Alignof(max_align_t));
		}
		for (size_t i = 0; i < PIECES; i++) {
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(pieces[i][k], i % 251 + 1);
		}
		arena_clear(arena);
		assert_int_equal(arena_used(arena), 0);
	}
}

static void texts_are_copies_with_a_nul(void **state)
{
	(void)state;
	struct generator g = {15};
	AUTO(arena) *arena = arena_new();
	for (int round = 0; round < 5000; round++) {
		char room[50];
		struct str text = generate_bytes(&g, room, sizeof room);
		struct str copy = arena_str(arena, text);
		const char *z = arena_z(arena, text);
		assert_true(copy.n == text.n && copy.p != text.p && z != copy.p);
		assert_memory_equal(copy.p, text.p, text.n);
		assert_memory_equal(z, text.p, text.n);
		assert_true(copy.p[copy.n] == '\0' && z[text.n] == '\0');
		struct str printed = arena_printf(arena, "%zu|%*s", text.n, (int)generate_below(&g, 200), "x");
		assert_int_equal(strlen(printed.p), printed.n);
		assert_true(str_ends(printed, S("x")));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
		cmocka_unit_test(texts_are_copies_with_a_nul),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
