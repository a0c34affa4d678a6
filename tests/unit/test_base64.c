#include "base/base64.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void assert_encodes(const char *bytes, enum base64_form form, const char *text)
{
	AUTO_BUF buf = BUF_INIT(100);
	base64_encode(&buf, str_from(bytes), form);
	assert_string_equal(buf.p, text);
	assert_int_equal(base64_size(strlen(bytes), form), strlen(text));

	AUTO_BUF back = BUF_INIT(100);
	assert_int_equal(base64_decode(&back, str_from(text), form, NULL), 0);
	assert_string_equal(back.p, bytes);
}

/* RFC 4648, section 10. */
static void agrees_with_the_rfc(void **state)
{
	(void)state;
	static const char *const rows[][3] = {
		{"", "", ""},
		{"f", "Zg==", "Zg"},
		{"fo", "Zm8=", "Zm8"},
		{"foo", "Zm9v", "Zm9v"},
		{"foob", "Zm9vYg==", "Zm9vYg"},
		{"fooba", "Zm9vYmE=", "Zm9vYmE"},
		{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
		{"\xfb\xff\xbf", "+/+/", "+/+/"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_encodes(rows[i][0], BASE64_STANDARD, rows[i][1]);
		assert_encodes(rows[i][0], BASE64_STANDARD_NOPAD, rows[i][2]);
	}
	assert_encodes("\xfb\xff\xbf", BASE64_URL, "-_-_");
	assert_encodes("\xff\xfe", BASE64_URL, "__4=");
	assert_encodes("\xff\xfe", BASE64_URL_NOPAD, "__4");
}

static void has_one_spelling_for_every_text(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum base64_form form;
		const char *message;
	} rows[] = {
		{"Zg", BASE64_STANDARD, "base64 of 2 characters, not a multiple of four"},
		{"Zg=", BASE64_STANDARD, "base64 of 3 characters, not a multiple of four"},
		{"Zg==", BASE64_STANDARD_NOPAD, "not a base64 character at offset 2"},
		{"Zg==", BASE64_URL_NOPAD, "not a base64 character at offset 2"},
		{"Z===", BASE64_STANDARD, "not a base64 character at offset 1"},
		{"====", BASE64_STANDARD, "not a base64 character at offset 0"},
		{"Zg==Zg==", BASE64_STANDARD, "not a base64 character at offset 2"},
		{"Zm9v=", BASE64_STANDARD, "base64 of 5 characters, not a multiple of four"},
		{"Zm9v====", BASE64_STANDARD, "not a base64 character at offset 4"},
		{"Zh==", BASE64_STANDARD, "base64 with bits set behind its last byte"},
		{"Zm9=", BASE64_STANDARD, "base64 with bits set behind its last byte"},
		{"Zh", BASE64_URL_NOPAD, "base64 with bits set behind its last byte"},
		{"A", BASE64_URL_NOPAD, "base64 ends in the middle of a byte"},
		{"Zm9vA", BASE64_STANDARD_NOPAD, "base64 ends in the middle of a byte"},
		{"-_-_", BASE64_STANDARD, "not a base64 character at offset 0"},
		{"A+/A", BASE64_URL, "not a base64 character at offset 1"},
		{"Zm9v\n", BASE64_STANDARD_NOPAD, "not a base64 character at offset 4"},
		{"Zm 9", BASE64_STANDARD, "not a base64 character at offset 2"},
		{"Zm\xc3\xa9", BASE64_STANDARD, "not a base64 character at offset 2"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF buf = BUF_INIT(100);
		struct err err = {0};
		buf_add_z(&buf, "kept");
		assert_int_equal(base64_decode(&buf, str_from(rows[i].text), rows[i].form, &err), -1);
		assert_int_equal(err.class, ERR_PARSE_ERROR);
		assert_string_equal(err.message, rows[i].message);
		assert_string_equal(buf.p, "kept");
		assert_true(buf_ok(&buf));
	}
}

static void stops_at_the_cap_of_the_buffer(void **state)
{
	(void)state;
	struct err err = {0};
	AUTO_BUF buf = BUF_INIT(5);
	base64_encode(&buf, S("abcd"), BASE64_STANDARD);
	assert_false(buf_ok(&buf));
	assert_int_equal(buf.n, 0);
	buf_clear(&buf);
	assert_int_equal(base64_decode(&buf, S("YWJjZGVm"), BASE64_STANDARD, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(buf.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_rfc),
		cmocka_unit_test(has_one_spelling_for_every_text),
		cmocka_unit_test(stops_at_the_cap_of_the_buffer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
