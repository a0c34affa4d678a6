#include "text/json_members.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void members_are_written_in_one_form(void **state)
{
	(void)state;
	static const struct str list[] = {{"a", 1}, {"b", 1}};
	AUTO_BUF text = BUF_INIT(4096);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_u64(&w, "exact", (UINT64_C(1) << 53) - 1);
	member_u64(&w, "clamped", UINT64_MAX);
	member_time(&w, "time", 1 * TIME_SECOND + 7 * TIME_MILLISECOND);
	member_list(&w, "list", list, 2);
	member_list(&w, "none", NULL, 0);
	member_words(&w, "words", S(" x  y"), ' ');
	member_words(&w, "no_words", STR_EMPTY, ' ');
	member_begin_object(&w, "object");
	member_raw(&w, "raw", S("[null]"));
	jsonw_end_object(&w);
	jsonw_end_object(&w);
	assert_string_equal(text.p, "{\"exact\":9007199254740991,\"clamped\":9007199254740991,"
				    "\"time\":\"1970-01-01T00:00:01.007Z\",\"list\":[\"a\",\"b\"],\"none\":[],"
				    "\"words\":[\"x\",\"y\"],\"no_words\":[],\"object\":{\"raw\":[null]}}");
}

static void what_is_not_given_is_left_out(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(4096);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str_given(&w, "a", STR_EMPTY);
	member_u64_given(&w, "b", 0);
	member_time_given(&w, "c", 0);
	member_words_given(&w, "d", STR_EMPTY, ' ');
	member_str_given(&w, "e", S("x"));
	member_u64_given(&w, "f", 1);
	member_words_given(&w, "g", S("y"), ' ');
	jsonw_end_object(&w);
	assert_string_equal(text.p, "{\"e\":\"x\",\"f\":1,\"g\":[\"y\"]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_written_in_one_form),
		cmocka_unit_test(what_is_not_given_is_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
