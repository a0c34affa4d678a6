#include "cli/arguments.h"
#include "cli/card.h"
#include "cli/desktop.h"
#include "cli/event_stream.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static struct cli cli;
static struct err err;

static int set_up(void **state)
{
	(void)state;
	cli = (struct cli){.arena = arena_new()};
	printer_init(&cli.out, -1);
	cli.out.width = 60;
	err_clear(&err);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	printer_release(&cli.out);
	arena_free(cli.arena);
	return 0;
}

static struct json *parse(const char *text)
{
	struct json *json = json_parse(str_from(text), JSON_READ_STRICT, &err);
	if (json == NULL)
		fail_msg("%s", err.message);
	return json;
}

static bool says(const char *part)
{
	return str_find(buf_str(&cli.out.out), str_from(part)) != STR_NPOS;
}

static size_t lines_with(const char *beginning)
{
	size_t n = 0;
	struct str rest = buf_str(&cli.out.out);
	while (rest.n > 0) {
		struct str line;
		rest = str_cut(rest, '\n', &line);
		n += str_starts(line, str_from(beginning));
	}
	return n;
}

/* ----------------------------------------------------------------------------------------------------------- arguments */

static int put_one(const char *inputs, const char *given, struct buf *ret)
{
	AUTO(json) *list = parse(inputs);
	const struct arguments_wish wish = {.single = "arg", .inputs = list};
	struct json_writer w;
	err_clear(&err);
	jsonw_init(&w, ret, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	int rc = arguments_put(&w, &wish, str_from(given), &err);
	if (rc == 0)
		jsonw_end_object(&w);
	return rc;
}

#define INPUTS                                                                                                         \
	"[{\"name\":\"s\",\"type\":\"string\"},{\"name\":\"i\",\"type\":\"integer\"},"                                 \
	"{\"name\":\"n\",\"type\":\"number\"},{\"name\":\"b\",\"type\":\"boolean\"},"                                  \
	"{\"name\":\"a\",\"type\":\"array\"},{\"name\":\"o\",\"type\":\"object\"}]"

static void arguments_are_typed(void **state)
{
	(void)state;
	static const struct {
		const char *given, *wanted;
	} good[] = {
		{"s=7", "{\"s\":\"7\"}"},
		{"s=", "{\"s\":\"\"}"},
		{"s=a=b", "{\"s\":\"a=b\"}"},
		{"i=7", "{\"i\":7}"},
		{"i=-7", "{\"i\":-7}"},
		{"n=1.5", "{\"n\":1.5}"},
		{"n=2", "{\"n\":2}"},
		{"b=false", "{\"b\":false}"},
		{"a=[1,\"x\"]", "{\"a\":[1,\"x\"]}"},
		{"o={\"k\":null}", "{\"o\":{\"k\":null}}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		AUTO_BUF text = BUF_INIT(1024);
		assert_int_equal(put_one(INPUTS, good[i].given, &text), 0);
		assert_string_equal(text.p, good[i].wanted);
	}
}

static void what_no_input_takes_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"i=x",   "i=\"7\"", "i=",     "b=yes", "b=1",    "a={}", "o=[]",
		"n=1,2", "n=NaN",   "none=1", "s",     "s=\xff", "a=[1", "o={\"k\":1,\"k\":2}"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_BUF text = BUF_INIT(1024);
		assert_int_equal(put_one(INPUTS, bad[i], &text), -1);
		assert_int_equal(err.class, ERR_USAGE);
		assert_non_null(strstr(err.message, "--arg"));
	}
	AUTO_BUF text = BUF_INIT(1024);
	assert_int_equal(put_one("[]", "x=1", &text), -1);
	assert_non_null(strstr(err.message, "takes nothing"));
}

/* ---------------------------------------------------------------------------------------------------------------- card */

#define HOSTILE "x\\u001b[2J\\u202etxt\\u0007\\nApproval      act-other\\nAsked by      nobody\\n\\u200b"
#define CARD(text)                                                                                                     \
	"{\"id\":\"act-1\",\"state\":\"pending_approval\",\"action_name\":\"" text "\",\"title\":\"" text              \
	"\",\"caller\":{\"id\":\"" text "\",\"name\":\"" text "\"},\"session_id\":\"" text                             \
	"\",\"working_dir\":\"" text                                                                                   \
	"\",\"requested_at\":\"2026-01-02T03:04:05Z\",\"expires_at\":\"2026-01-03T03:04:05Z\",\"args\":{\"" text       \
	"\":\"" text "\",\"list\":[\"" text "\"]},\"steps\":[{\"id\":\"" text "\",\"op\":\"" text                      \
	"\",\"effect\":\"destructive\",\"connector\":\"" text "\",\"publisher\":\"" text                               \
	"\",\"content_hash\":\"sha256:1\",\"linked\":true,\"signed\":false,\"hosts\":[\"" text                         \
	"\"],\"binding\":\"" text "\",\"identity\":\"" text "\",\"arguments\":{\"" text "\":\"" text                   \
	"\"}}],\"preview\":{\"fields\":[{\"label\":\"" text "\",\"value\":\"" text "\"}]},\"problem\":\"" text         \
	"\",\"digest\":\"00\"}"

static void nothing_of_a_hostile_text_drives_or_begins_a_line(void **state)
{
	(void)state;
	AUTO(json) *card = parse(CARD(HOSTILE));
	const struct card_view view = {.now_ns = UINT64_C(1767323105) * 1000000000};
	card_print(&cli, &cli.out, card, &view);
	for (size_t i = 0; i < cli.out.out.n; i++) {
		unsigned char c = (unsigned char)cli.out.out.p[i];
		assert_true((c >= 0x20 && c != 0x7f) || c == '\n');
	}
	assert_false(says("\xe2\x80\xae"));
	assert_false(says("\xe2\x80\x8b"));
	assert_true(says("\\x1b[2J\\u202etxt"));
	assert_int_equal(lines_with("Approval "), 1);
	assert_int_equal(lines_with("Asked by"), 1);
	assert_true(says("act-1"));
}

/* Neither may the terminal's own wrapping put a part of it at the left. */
static void long_texts_are_wrapped_behind_a_bar(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(8192);
	buf_add_z(&text, "{\"body\":\"");
	for (int i = 0; i < 300; i++)
		buf_add_z(&text, "0123456789");
	buf_add_z(&text, "\"}");
	AUTO(json) *args = parse(text.p);
	card_print_arguments(&cli.out, "Arguments", args, false);
	assert_true(says("... and 1800 more bytes: --full shows them"));
	assert_true(lines_with("    | ") >= 1200 / 54);
	assert_int_equal(lines_with("0"), 0);
	buf_clear(&cli.out.out);
	card_print_arguments(&cli.out, "Arguments", args, true);
	assert_false(says("more bytes"));
	size_t digits = 0;
	for (size_t i = 0; i < cli.out.out.n; i++)
		digits += cli.out.out.p[i] >= '0' && cli.out.out.p[i] <= '9';
	assert_int_equal(digits, 3000);
	struct str rest = buf_str(&cli.out.out);
	while (rest.n > 0) {
		struct str line;
		rest = str_cut(rest, '\n', &line);
		assert_true(print_width(line) <= 60);
	}
}

static void lines_are_folded_by_number_too(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(8192);
	buf_add_z(&text, "{\"body\":\"first");
	for (int i = 0; i < 100; i++)
		buf_add_z(&text, "\\n");
	buf_add_z(&text, "hidden\"}");
	AUTO(json) *args = parse(text.p);
	card_print_arguments(&cli.out, "Arguments", args, false);
	assert_true(says("first"));
	assert_false(says("hidden"));
	assert_true(says("more bytes"));
}

/* "7" is not 7, and " a" is not "a". */
static void values_that_could_be_mistaken_have_their_quotes(void **state)
{
	(void)state;
	AUTO(json) *args = parse("{\"a\":\"7\",\"b\":7,\"c\":\"\",\"d\":\" x\",\"e\":\"true\",\"f\":\"plain\"}");
	card_print_arguments(&cli.out, "Arguments", args, false);
	static const char *const rows[] = {"a: \"7\"\n",  "b: 7\n",        "c: \"\"\n",
					   "d: \" x\"\n", "e: \"true\"\n", "f: plain\n"};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_true(says(rows[i]));
}

static void what_a_step_does_is_said_in_words(void **state)
{
	(void)state;
	AUTO(json) *steps = parse("[{\"op\":\"send\",\"effect\":\"unknown\",\"connector\":\"github://acme/mail\","
				  "\"publisher\":\"acme\",\"linked\":true,\"signed\":false,\"pinned\":\"differs\","
				  "\"hosts\":[\"*\"],\"content_hash\":\"sha256:1\",\"arguments\":{}}]");
	cli.out.width = 0;
	card_print_steps(&cli, &cli.out, steps, false);
	static const char *const parts[] = {
		"may change or destroy something",     "any public host", "nobody", "unsigned",
		"not what the action was written for", "sha256:1"};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		assert_true(says(parts[i]));
}

static void spans_are_for_people(void **state)
{
	(void)state;
	const uint64_t minute = UINT64_C(60) * 1000000000;
	assert_string_equal(card_span(&cli, 0, minute - 1).p, "less than a minute");
	assert_string_equal(card_span(&cli, 5 * minute, minute).p, "less than a minute");
	assert_string_equal(card_span(&cli, 0, 59 * minute).p, "59 min");
	assert_string_equal(card_span(&cli, 0, 125 * minute).p, "2 h 5 min");
}

/* -------------------------------------------------------------------------------------------------------------- events */

static int take_event(void *user, struct str name, struct str data, struct err *ret_err)
{
	struct buf *all = user;
	if (str_eq(name, S("bad")))
		return (fail)(ret_err, ERR_PARSE_ERROR, "bad");
	buf_addf(all, "[%.*s|%.*s]", STR_FMT(name), STR_FMT(data));
	return 0;
}

static void events_come_in_any_pieces(void **state)
{
	(void)state;
	static const char text[] =
		": heartbeat\n\nevent: pending\ndata: {\"a\":\ndata: 1}\n\nid: 7\ndata:x\n\nevent: none\n\n"
		"event: two\r\ndata: y\r\n\r\n";
	for (size_t step = 1; step < sizeof text; step++) {
		AUTO_BUF all = BUF_INIT(1024);
		struct event_stream stream;
		event_stream_init(&stream, take_event, &all);
		for (size_t at = 0; at < sizeof text - 1; at += step)
			assert_int_equal(
				event_stream_take(&stream, str_of(text + at, MIN(step, sizeof text - 1 - at)), &err),
				0);
		assert_string_equal(all.p, "[pending|{\"a\":\n1}][|x][two|y]");
		event_stream_release(&stream);
	}
	AUTO_BUF all = BUF_INIT(1024);
	struct event_stream stream;
	event_stream_init(&stream, take_event, &all);
	assert_int_equal(event_stream_take(&stream, S("event: bad\ndata: 1\n\n"), &err), -1);
	event_stream_release(&stream);
}

/* ------------------------------------------------------------------------------------------------------------- the bus */

/* An error in answer to message 2, as a bus writes it. */
static const unsigned char refusal[] = {
	'l', 3, 1,   1, 0, 0, 0, 0, 9,   0,   0,   0, 20, 0, 0, 0, /* fields: 20 bytes */
	5,   1, 'u', 0, 2, 0, 0, 0,                                /* it answers 2 */
	4,   1, 's', 0, 3, 0, 0, 0, 'a', '.', 'b', 0, 0,  0, 0, 0,
};

static void answers_of_the_bus_are_read(void **state)
{
	(void)state;
	struct desktop_answer answer;
	assert_int_equal(desktop_read_answer(str_of(refusal, sizeof refusal), &answer, &err), 0);
	assert_true(answer.failed);
	assert_int_equal(answer.serial, 2);
	assert_true(str_eq(answer.error, S("a.b")));
}

static void broken_answers_are_refused(void **state)
{
	(void)state;
	struct desktop_answer answer;
	unsigned char copy[sizeof refusal];
	for (size_t n = 0; n < sizeof refusal; n++)
		assert_int_equal(desktop_read_answer(str_of(refusal, n), &answer, &err), -1);
	/* Whatever one byte is, it is read within its bounds. */
	for (size_t i = 0; i < sizeof refusal; i++) {
		for (int value = 0; value < 256; value++) {
			memcpy(copy, refusal, sizeof copy);
			copy[i] = (unsigned char)value;
			(void)!desktop_read_answer(str_of(copy, sizeof copy), &answer, NULL);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(arguments_are_typed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_no_input_takes_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_of_a_hostile_text_drives_or_begins_a_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(long_texts_are_wrapped_behind_a_bar, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lines_are_folded_by_number_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(values_that_could_be_mistaken_have_their_quotes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_a_step_does_is_said_in_words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(spans_are_for_people, set_up, tear_down),
		cmocka_unit_test_setup_teardown(events_come_in_any_pieces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(answers_of_the_bus_are_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(broken_answers_are_refused, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
