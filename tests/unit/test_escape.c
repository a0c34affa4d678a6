#include "base/escape.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct row {
	struct str text;
	const char *json, *visible, *quoted;
};

static const struct row rows[] = {
	{{"", 0}, "", "", ""},
	{{"plain text, 1+1=2", 17}, "plain text, 1+1=2", "plain text, 1+1=2", "plain text, 1+1=2"},
	{{"a\"b\\c", 5}, "a\\\"b\\\\c", "a\"b\\c", "a\\\"b\\\\c"},
	{{"\n\r\t", 3}, "\\n\\r\\t", "\\n\\r\\t", "\\n\\r\\t"},
	{{"\0\x1b[2J\x7f", 6}, "\\u0000\\u001b[2J\\u007f", "\\x00\\x1b[2J\\x7f", "\\x00\\x1b[2J\\x7f"},
	{{"\xc2\x9b"
	  "31m\xc2\x85",
	  7},
	 "\\u009b31m\\u0085",
	 "\\u009b31m\\u0085",
	 "\\u009b31m\\u0085"},
	{{"\xe2\x80\xae"
	  "x\xe2\x81\xa6",
	  7},
	 "\\u202ex\\u2066",
	 "\\u202ex\\u2066",
	 "\\u202ex\\u2066"},
	{{"\xe2\x80\xa8\xe2\x80\xa9", 6}, "\\u2028\\u2029", "\\u2028\\u2029", "\\u2028\\u2029"},
	{{"\xf3\xa0\x81\x81", 4}, "\\udb40\\udc41", "\\u{e0041}", "\\u{e0041}"},
	{{"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", 11},
	 "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80",
	 "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80",
	 "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"},
	{{"\x9b"
	  "1\xff",
	  3},
	 "\xef\xbf\xbd"
	 "1\xef\xbf\xbd",
	 "\\x9b1\\xff",
	 "\\x9b1\\xff"},
	{{"\xf0\x9f\x98", 3}, "\xef\xbf\xbd", "\\xf0\\x9f\\x98", "\\xf0\\x9f\\x98"},
	{{"\xed\xa0\x80", 3}, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80"},
};

static void writes_each_form_as_documented(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF buf = BUF_INIT(100);
		escape_json(&buf, rows[i].text);
		assert_string_equal(buf.p, rows[i].json);
		buf_clear(&buf);
		escape_visible(&buf, rows[i].text);
		assert_string_equal(buf.p, rows[i].visible);
		buf_clear(&buf);
		escape_quoted(&buf, rows[i].text);
		assert_string_equal(buf.p, rows[i].quoted);
	}
}

static void hides_the_documented_characters_and_their_neighbours_not(void **state)
{
	(void)state;
	static const struct {
		uint32_t from, to;
	} ranges[] = {
		{0, 0x1f},        {0x7f, 0x9f},     {0xad, 0xad},       {0x61c, 0x61c},
		{0x200b, 0x200b}, {0x200e, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},
		{0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe0fff},
	};
	size_t range = 0;
	for (uint32_t code = 0; code <= 0x10ffff; code++) {
		while (range < ARRAY_LEN(ranges) && code > ranges[range].to)
			range++;
		bool expected = range < ARRAY_LEN(ranges) && code >= ranges[range].from;
		if (escape_hides(code) != expected)
			fail_msg("U+%04X", code);
	}
}

static void stops_at_the_cap_of_the_buffer(void **state)
{
	(void)state;
	AUTO_BUF buf = BUF_INIT(5);
	escape_visible(&buf, S("abc\x1b"
			       "d"));
	assert_false(buf_ok(&buf));
	assert_string_equal(buf.p, "abc");
}

static void cuts_between_escapes(void **state)
{
	(void)state;
	static const struct {
		size_t most;
		const char *shown;
	} cuts[] = {{3, "..."},
		    {4, "a..."},
		    {5, "a..."},
		    {6, "a..."},
		    {7, "a..."},
		    {8, "a\\x1b..."},
		    {9, "a\\x1b..."},
		    {10, "a\\x1b..."},
		    {11, "a\\x1b\xe2\x82\xac"
			 "bcd"},
		    {12, "a\\x1b\xe2\x82\xac"
			 "bcd"}};
	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		AUTO_BUF buf = BUF_INIT(100);
		buf_add_z(&buf, "> ");
		escape_cut(&buf,
			   S("a\x1b\xe2\x82\xac"
			     "bcd"),
			   cuts[i].most, escape_visible);
		assert_string_equal(buf.p + 2, cuts[i].shown);
		assert_true(buf.n - 2 <= cuts[i].most);
	}
}

static void shows_any_text_in_its_room(void **state)
{
	(void)state;
	static char text[2000];
	char shown[ESCAPE_SHOWN_SIZE];
	for (int fill = 0; fill < 256; fill += 5) {
		memset(text, fill, sizeof text);
		for (size_t n = 0; n < 300; n++) {
			escape_shown(str_of(text, n), shown);
			assert_true(strlen(shown) < sizeof shown && str_is_utf8(str_from(shown)));
			assert_int_equal(n == 0, shown[0] == '\0');
		}
		escape_shown(str_of(text, sizeof text), shown);
		assert_true(str_ends(str_from(shown), S("...")) && strlen(shown) > sizeof shown - 10);
	}
	assert_string_equal(escape_shown(S("a\nb"), shown), "a\\nb");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_each_form_as_documented),
		cmocka_unit_test(hides_the_documented_characters_and_their_neighbours_not),
		cmocka_unit_test(stops_at_the_cap_of_the_buffer),
		cmocka_unit_test(cuts_between_escapes),
		cmocka_unit_test(shows_any_text_in_its_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
