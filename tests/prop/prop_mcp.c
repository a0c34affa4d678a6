/* Ids come back as they were written, values are found as their own bytes, and what was sealed opens for nobody else. */
#include "mcp/message.h"
#include "mcp/seal.h"
#include "text/json_writer.h"
#include "prop/generator.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "unit/mcp_lab.h"

static void put_blanks(struct generator *g, struct buf *out)
{
	static const char blanks[] = " \t\r ";
	for (uint64_t n = generate_below(g, 3); n > 0; n--)
		buf_add_char(out, blanks[generate_below(g, 4)]);
}

static void put_text(struct generator *g, struct buf *out)
{
	static const char *const pieces[] = {"a", "\\\"", "\\\\",    "]",        "}",   "{", "[",
					     ",", ":",    "\\u00e9", "\xc3\xa9", "\\n", " ", "0"};
	buf_add_char(out, '"');
	for (uint64_t n = generate_below(g, 8); n > 0; n--)
		buf_add_z(out, pieces[generate_below(g, ARRAY_LEN(pieces))]);
	buf_add_char(out, '"');
}

static void put_id(struct generator *g, struct buf *out)
{
	if (generate_below(g, 2) == 0) {
		put_text(g, out);
		return;
	}
	if (generate_below(g, 3) == 0)
		buf_add_char(out, '-');
	buf_add_char(out, (char)('1' + generate_below(g, 9)));
	for (uint64_t n = generate_below(g, 30); n > 0; n--)
		buf_add_char(out, (char)('0' + generate_below(g, 10)));
}

static void put_value(struct generator *g, struct buf *out, unsigned depth)
{
	static const char *const plain[] = {"0", "-1.5e3", "true", "false", "null", "{}", "[]", "[ ]"};
	uint64_t kind = generate_below(g, depth > 0 ? 4 : 2);
	if (kind == 0) {
		buf_add_z(out, plain[generate_below(g, ARRAY_LEN(plain))]);
	} else if (kind == 1) {
		put_text(g, out);
	} else {
		buf_add_char(out, kind == 2 ? '[' : '{');
		for (uint64_t i = 0, n = 1 + generate_below(g, 4); i < n; i++) {
			if (i > 0)
				buf_add_char(out, ',');
			put_blanks(g, out);
			if (kind == 3)
				buf_addf(out, "\"%c\" :", (char)('a' + i));
			put_blanks(g, out);
			put_value(g, out, depth - 1);
			put_blanks(g, out);
		}
		buf_add_char(out, kind == 2 ? ']' : '}');
	}
}

static void an_id_comes_back_as_it_was(void **state)
{
	(void)state;
	struct generator g = {11};
	AUTO(mcp_lab) *lab = mcp_lab_new(0);
	lab_connect(lab, "a");
	for (int round = 0; round < 3000; round++) {
		AUTO_BUF id = BUF_INIT(1000), line = BUF_INIT(10000), expected = BUF_INIT(10000);
		put_id(&g, &id);
		bool first = generate_below(&g, 2) == 0;
		buf_add_char(&line, '{');
		if (first)
			buf_addf(&line, "\"id\":%s , ", id.p);
		buf_add_z(&line, "\"params\":{\"id\":7,\"x\":");
		put_value(&g, &line, 3);
		buf_add_z(&line, "},\"jsonrpc\":\"2.0\",\"method\":\"ping\"");
		if (!first)
			buf_addf(&line, ",\"\\u0069d\":%s ", id.p);
		buf_add_char(&line, '}');
		buf_addf(&expected, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}", id.p);
		assert_string_equal(lab_feed(lab, line.p), expected.p);
	}
}

/* Every value within, found by its bytes, is the value that the reader has. */
static void check_raw(struct str text, const struct json *value)
{
	AUTO(json) *again = json_parse(text, JSON_READ_STRICT, NULL);
	assert_non_null(again);
	AUTO_BUF a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
	struct json_writer w;
	jsonw_init(&w, &a, JSON_WRITER_PLAIN);
	jsonw_value(&w, value);
	jsonw_init(&w, &b, JSON_WRITER_PLAIN);
	jsonw_value(&w, again);
	assert_string_equal(a.p, b.p);
	for (size_t i = 0, at = 0; json_kind(value) == JSON_KIND_ARRAY && i < json_length(value); i++)
		check_raw(message_next_element(text, &at), json_at(value, i));
	struct json_iter it;
	for (json_iter_init(&it, value); json_iter_next(&it);)
		check_raw(message_raw_member(text, value, it.name), it.value);
}

static void values_are_found_as_their_bytes(void **state)
{
	(void)state;
	struct generator g = {12};
	for (int round = 0; round < 3000; round++) {
		AUTO_BUF text = BUF_INIT(1 << 20);
		put_blanks(&g, &text);
		put_value(&g, &text, 4);
		AUTO(json) *value = json_parse(buf_str(&text), JSON_READ_STRICT, NULL);
		assert_non_null(value);
		check_raw(buf_str(&text), value);
	}
}

static void what_is_sealed_opens_for_its_context_alone(void **state)
{
	(void)state;
	struct generator g = {13};
	unsigned char key[MCP_KEY_SIZE] = {1}, other_key[MCP_KEY_SIZE] = {2};
	for (int round = 0; round < 500; round++) {
		char payload_room[80], context_room[40];
		struct str payload = generate_bytes(&g, payload_room, sizeof payload_room);
		struct str context = generate_bytes(&g, context_room, sizeof context_room);
		AUTO_BUF text = BUF_INIT(1000), back = BUF_INIT(1000), longer = BUF_INIT(1000);
		seal_put(key, S("l"), context, payload, &text);
		assert_true(seal_open(key, S("l"), context, buf_str(&text), &back));
		assert_true(str_eq(buf_str(&back), payload));
		buf_add_str(&longer, context);
		buf_add_char(&longer, 'x');
		assert_false(seal_open(key, S("m"), context, buf_str(&text), &back));
		assert_false(seal_open(key, S("l"), buf_str(&longer), buf_str(&text), &back));
		assert_false(seal_open(other_key, S("l"), context, buf_str(&text), &back));
		size_t at = generate_below(&g, text.n);
		text.p[at] = text.p[at] == 'A' ? 'B' : 'A';
		assert_false(seal_open(key, S("l"), context, buf_str(&text), &back));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_comes_back_as_it_was),
		cmocka_unit_test(values_are_found_as_their_bytes),
		cmocka_unit_test(what_is_sealed_opens_for_its_context_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
