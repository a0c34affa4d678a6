#include "base/ascii.h"
#include "base/arena.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <stdlib.h>
#include <cmocka.h>

#define DIGITS "0123456789"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool among(const char *set, char c)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static void every_byte_is_of_its_kind(void **state)
{
	(void)state;
	for (int i = 0; i < 256; i++) {
		char c = (char)(unsigned char)i;
		assert_int_equal(ascii_is_digit(c), among(DIGITS, c));
		assert_int_equal(ascii_is_lower(c), among(LOWER, c));
		assert_int_equal(ascii_is_upper(c), among(UPPER, c));
		assert_int_equal(ascii_is_letter(c), among(LOWER UPPER, c));
		char lower = among(UPPER, c) ? LOWER[strchr(UPPER, c) - UPPER] : c;
		assert_int_equal(ascii_lower(c), lower);
	}
}

static void a_lower_copy_leaves_the_text(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	struct str text = S("API.Example:443 \xc3\x84");
	assert_true(str_eq(arena_lower(arena, text), S("api.example:443 \xc3\x84")));
	assert_true(str_eq(text, S("API.Example:443 \xc3\x84")));
	assert_int_equal(arena_lower(arena, STR_EMPTY).n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_is_of_its_kind),
		cmocka_unit_test(a_lower_copy_leaves_the_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
