#include "text/wire.h"
#include "text/json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void the_bytes_are_little_endian(void **state)
{
	(void)state;
	AUTO_BUF out = BUF_INIT(100);
	wire_put_u8(&out, 0xfe);
	wire_put_u16(&out, 0x1234);
	wire_put_u32(&out, 0x89abcdef);
	wire_put_u64(&out, 0x0102030405060708);
	wire_put_i32(&out, -2);
	wire_put_bool(&out, true);
	wire_put_bool(&out, false);
	wire_put_str(&out, S("ab"));
	static const unsigned char want[] =
		"\xfe\x34\x12\xef\xcd\xab\x89\x08\x07\x06\x05\x04\x03\x02\x01\xfe\xff\xff\xff"
		"\x01\x00\x02\x00\x00\x00"
		"ab";
	assert_int_equal(out.n, sizeof want - 1);
	assert_memory_equal(out.p, want, out.n);

	struct wire_reader r = wire_reader(buf_str(&out));
	assert_int_equal(wire_u8(&r), 0xfe);
	assert_int_equal(wire_u16(&r), 0x1234);
	assert_int_equal(wire_u32(&r), 0x89abcdef);
	assert_int_equal(wire_u64(&r), 0x0102030405060708);
	assert_int_equal(wire_i32(&r), -2);
	assert_true(wire_bool(&r));
	assert_false(wire_bool(&r));
	struct str s = wire_str(&r);
	assert_true(str_eq(s, S("ab")));
	assert_ptr_equal(s.p, out.p + out.n - 2);
	assert_int_equal(wire_done(&r, "hello", NULL), 0);
}

static void what_is_left_over_is_an_error(void **state)
{
	(void)state;
	struct err err = {0};
	struct wire_reader r = wire_reader(S("\x01\x02\x03"));
	assert_int_equal(wire_u8(&r), 1);
	assert_int_equal(wire_done(&r, "hello", &err), -1);
	assert_int_equal(err.class, ERR_PROTOCOL);
	assert_string_equal(err.message, "message 'hello' has 2 bytes too many");
}

static void after_a_bad_field_all_is_zero(void **state)
{
	(void)state;
	struct err err = {0};
	struct wire_reader r = wire_reader(S("\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff"));
	assert_false(wire_bool(&r)); /* neither 0 nor 1 */
	assert_int_equal(wire_u8(&r), 0);
	assert_int_equal(wire_u64(&r), 0);
	assert_int_equal(wire_str(&r).n, 0);
	assert_int_equal(wire_count(&r, 1), 0);
	assert_int_equal(wire_done(&r, "hello", &err), -1);
	assert_string_equal(err.message, "message 'hello' is cut short or has a field out of range");
}

static void a_string_longer_than_the_body_is_bad(void **state)
{
	(void)state;
	static const struct str bodies[] = {{"", 0},
					    {"\x01\0\0", 3},
					    {"\x01\0\0\0", 4},
					    {"\xff\xff\xff\xff"
					     "abc",
					     7}};
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct wire_reader r = wire_reader(bodies[i]);
		assert_int_equal(wire_str(&r).n, 0);
		assert_true(r.bad);
	}
}

static void a_count_is_believed_only_when_so_many_can_follow(void **state)
{
	(void)state;
	struct wire_reader r = wire_reader((struct str){"\x03\0\0\0"
							"abcdef",
							10});
	struct wire_reader again = r;
	assert_int_equal(wire_count(&r, 2), 3);
	assert_false(r.bad);
	assert_int_equal(wire_count(&again, 3), 0);
	assert_true(again.bad);

	r = wire_reader((struct str){"\xff\xff\xff\xff", 4});
	assert_int_equal(wire_count(&r, SIZE_MAX), 0);
	assert_true(r.bad);
	r = wire_reader((struct str){"\2\0\0\0", 4});
	assert_int_equal(wire_count(&r, SIZE_MAX / 2 + 1), 0); /* the product of the two is 0 in 64 bits */
	assert_true(r.bad);
	r = wire_reader((struct str){"\0\0\0\0", 4});
	assert_int_equal(wire_count(&r, SIZE_MAX), 0);
	assert_false(r.bad);
}

static struct err sample_error(void)
{
	struct err err = {0};
	(fail)(&err, ERR_CAPABILITY_DENIED, "host '%s' is not granted", "example.com");
	err_at(&err, "connector.toml", 12);
	err_detail(&err, "requested", S("network:\"example.com\":443"));
	err_detail_list(&err, "granted", (const struct str[]){S("a"), S("b")}, 2);
	err.os_errno = 13;
	err.retriable = true;
	err_set_boundary(&err, BOUNDARY_ACTION);
	return err;
}

static void assert_same_error(const struct err *a, const struct err *b)
{
	assert_int_equal(a->class, b->class);
	assert_int_equal(a->boundary, b->boundary);
	assert_int_equal(a->retriable, b->retriable);
	assert_int_equal(a->os_errno, b->os_errno);
	assert_int_equal(a->line, b->line);
	assert_int_equal(a->details_n, b->details_n);
	assert_string_equal(a->file, b->file);
	assert_string_equal(a->message, b->message);
	assert_string_equal(a->details, b->details);
}

static void an_error_survives_the_way(void **state)
{
	(void)state;
	struct err sent[] = {sample_error(), {0}, {0}};
	for (int i = 0; i < 4000; i++) /* until details are full and say so */
		err_detail_int(&sent[2], "key", i);
	char longest[ERR_MESSAGE_MAX];
	memset(longest, 'm', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	memcpy(sent[2].message, longest, sizeof longest);

	for (size_t i = 0; i < ARRAY_LEN(sent); i++) {
		AUTO_BUF out = BUF_INIT(20000);
		wire_put_err(&out, &sent[i]);
		struct wire_reader r = wire_reader(buf_str(&out));
		struct err got = sample_error();
		wire_get_err(&r, &got);
		assert_int_equal(wire_done(&r, "failure", NULL), 0);
		assert_same_error(&got, &sent[i]);
	}
}

/* An error whose fields are not all as err.h says, as a peer gone wrong would send it. */
static void put_raw_error(struct buf *out, uint8_t class, uint8_t boundary, struct str message, struct str details)
{
	wire_put_u8(out, class);
	wire_put_u8(out, boundary);
	wire_put_bool(out, false);
	wire_put_i32(out, 0);
	wire_put_u32(out, 0);
	wire_put_str(out, STR_EMPTY);
	wire_put_str(out, message);
	wire_put_str(out, details);
}

static void an_error_that_breaks_its_rules_is_bad(void **state)
{
	(void)state;
	static char long_text[ERR_DETAILS_MAX];
	memset(long_text, 'x', sizeof long_text);
	const struct {
		bool good;
		uint8_t class, boundary;
		struct str message, details;
	} rows[] = {
		{true, ERR_USAGE, BOUNDARY_RUNTIME, S("m"), S("\"a\":1,\"b\":{}")},
		{true, ERR_USAGE, BOUNDARY_RUNTIME, S("m"), S(" \"a\" : 1 ")},
		{true, ERR_USAGE, BOUNDARY_RUNTIME, S("\xff"), STR_EMPTY},
		{false, ERR_CLASS__MAX, BOUNDARY_RUNTIME, S("m"), STR_EMPTY},
		{false, 255, BOUNDARY_RUNTIME, S("m"), STR_EMPTY},
		{false, ERR_USAGE, BOUNDARY__MAX, S("m"), STR_EMPTY},
		{false, ERR_USAGE, BOUNDARY_RUNTIME, S("a\0b"), STR_EMPTY},
		{false, ERR_USAGE, BOUNDARY_RUNTIME, {long_text, ERR_MESSAGE_MAX}, STR_EMPTY},
		{false, ERR_USAGE, BOUNDARY_RUNTIME, S("m"), {long_text, ERR_DETAILS_MAX}},
		{false, ERR_USAGE, BOUNDARY_RUNTIME, S("m"), S("a")},
		{false, ERR_USAGE, BOUNDARY_RUNTIME, S("m"), S(" ")},
		{false, ERR_USAGE, BOUNDARY_RUNTIME, S("m"), S("{\"a\":1}")},
		{false, ERR_USAGE, BOUNDARY_RUNTIME, S("m"), S("\"a\":1},{\"b\":2")},
		{false, ERR_USAGE, BOUNDARY_RUNTIME, S("m"), S("\"a\":1}}")},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF out = BUF_INIT(20000);
		put_raw_error(&out, rows[i].class, rows[i].boundary, rows[i].message, rows[i].details);
		struct wire_reader r = wire_reader(buf_str(&out));
		struct err got = sample_error();
		wire_get_err(&r, &got);
		if (r.bad == rows[i].good)
			fail_msg("row %zu must be %s", i, rows[i].good ? "good" : "bad");
		assert_int_equal(got.class, rows[i].good ? rows[i].class : ERR_NONE);
	}
}

static void a_full_buffer_is_remembered(void **state)
{
	(void)state;
	AUTO_BUF out = BUF_INIT(5);
	wire_put_str(&out, S("ab"));
	assert_false(buf_ok(&out));
	AUTO_BUF huge = BUF_INIT(5);
	wire_put_str(&huge, (struct str){"", (size_t)UINT32_MAX + 1});
	assert_false(buf_ok(&huge));
	assert_int_equal(huge.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bytes_are_little_endian),
		cmocka_unit_test(what_is_left_over_is_an_error),
		cmocka_unit_test(after_a_bad_field_all_is_zero),
		cmocka_unit_test(a_string_longer_than_the_body_is_bad),
		cmocka_unit_test(a_count_is_believed_only_when_so_many_can_follow),
		cmocka_unit_test(an_error_survives_the_way),
		cmocka_unit_test(an_error_that_breaks_its_rules_is_bad),
		cmocka_unit_test(a_full_buffer_is_remembered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
