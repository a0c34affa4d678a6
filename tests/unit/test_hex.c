#include "base/hex.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void writes_lower_case_and_reads_both(void **state)
{
	(void)state;
	AUTO_BUF buf = BUF_INIT(100);
	hex_encode(&buf, S("\x00\x0f\xf0\xff"));
	assert_string_equal(buf.p, "000ff0ff");
	char text[9];
	assert_string_equal(hex_format(S("\xde\xad\xbe\xef"), text), "deadbeef");
	assert_string_equal(hex_format(STR_EMPTY, text), "");

	buf_clear(&buf);
	assert_int_equal(hex_decode(&buf, S("DeadBeeF00"), NULL), 0);
	assert_true(str_eq(buf_str(&buf), S("\xde\xad\xbe\xef\0")));
}

static void refuses_what_is_not_pairs_of_digits(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"a", "an odd number of hexadecimal digits: 1"},     {"abc", "an odd number of hexadecimal digits: 3"},
		{"0x00", "not a hexadecimal digit at offset 1"},     {"0g", "not a hexadecimal digit at offset 1"},
		{" 00 ", "not a hexadecimal digit at offset 0"},     {"00\n", "not a hexadecimal digit at offset 2"},
		{"\xc3\xa9", "not a hexadecimal digit at offset 0"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF buf = BUF_INIT(100);
		struct err err = {0};
		buf_add_z(&buf, "kept");
		assert_int_equal(hex_decode(&buf, str_from(rows[i].text), &err), -1);
		assert_int_equal(err.class, ERR_PARSE_ERROR);
		assert_string_equal(err.message, rows[i].message);
		assert_string_equal(buf.p, "kept");
	}
}

static void stops_at_the_cap_of_the_buffer(void **state)
{
	(void)state;
	struct err err = {0};
	AUTO_BUF buf = BUF_INIT(3);
	hex_encode(&buf, S("ab"));
	assert_false(buf_ok(&buf));
	buf_clear(&buf);
	assert_int_equal(hex_decode(&buf, S("0001020304"), &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(buf.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_lower_case_and_reads_both),
		cmocka_unit_test(refuses_what_is_not_pairs_of_digits),
		cmocka_unit_test(stops_at_the_cap_of_the_buffer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
