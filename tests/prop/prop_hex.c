#include "base/hex.h"
#include "base/mem.h"
#include "prop/generator.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void writes_what_printf_writes_and_reads_it_back(void **state)
{
	(void)state;
	struct generator g = {5};
	for (int round = 0; round < 5000; round++) {
		char room[40], expected[81] = "", formatted[81];
		struct str bytes = generate_bytes(&g, room, sizeof room);
		for (size_t i = 0; i < bytes.n; i++)
			snprintf(expected + 2 * i, 3, "%02x", (unsigned)(unsigned char)bytes.p[i]);
		AUTO_BUF text = BUF_INIT(200);
		AUTO_BUF back = BUF_INIT(200);
		hex_encode(&text, bytes);
		assert_string_equal(text.p, expected);
		assert_string_equal(hex_format(bytes, formatted), expected);
		for (size_t i = 0; i < text.n; i++) {
			if (text.p[i] >= 'a' && generate_below(&g, 2) == 0)
				text.p[i] = (char)(text.p[i] - 'a' + 'A');
		}
		assert_int_equal(hex_decode(&back, buf_str(&text), NULL), 0);
		assert_true(str_eq(buf_str(&back), bytes));
	}
}

static void knows_the_digits_of_all_bytes(void **state)
{
	(void)state;
	static const char all[] = "0123456789abcdefABCDEF";
	for (int c = -128; c < 128; c++) {
		const char *at = c == 0 ? NULL : strchr(all, c);
		int place = at == NULL ? -1 : (int)(at - all);
		assert_int_equal(hex_digit((char)c), place < 16 ? place : place - 6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_printf_writes_and_reads_it_back),
		cmocka_unit_test(knows_the_digits_of_all_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
