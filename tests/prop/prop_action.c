/* Random templates against a model that knows their pieces; arguments whose canonical form is its own. */
#include "action/action.h"
#include "prop/generator.h"
#include "text/jcs.h"
#include "text/json_writer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct generator g = {.state = 20260815};
static struct err err; /* large; cleared before each use */

#define HEAD                                                                                                           \
	"+++\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"github://acme/notes/a@1.0.0\"\n"                           \
	"[[requires.connectors]]\nname = \"github://acme/notes\"\nversion = \"1.0.0\"\n"                               \
	"hash = \"sha256:bound-at-release\"\ncapabilities = [\"get\"]\n[match]\nintent = \"i\"\n"
#define INPUT(name, type)                                                                                              \
	"[[inputs]]\nname = \"" name "\"\ntype = \"" type "\"\ndescription = \"d\"\nrequired = false\n"
#define STEP(id) "[[execute]]\nid = \"" id "\"\nconnector = \"github://acme/notes\"\nop = \"get\"\n"
#define FILE_HEAD                                                                                                      \
	HEAD INPUT("s", "string") INPUT("i", "integer") INPUT("o", "object") INPUT("l", "array") STEP("one") STEP("tw" \
														  "o")

/* What a template is made of, and what it says as text and, alone, as JSON. NULL text: nothing is written in this way. */
struct piece {
	const char *written, *text, *alone;
};
static const struct piece literals[] = {
	{"a", "a", NULL},
	{" ", " ", NULL},
	{"$", "$", NULL},
	{"{", "{", NULL},
	{"}", "}", NULL},
	{"${", "${", NULL},
	{"${HOME}", "${HOME}", NULL},
	{"\xc3\xa9", "\xc3\xa9", NULL},
	{"\\\"", "\"", NULL},
	{"\\\\", "\\", NULL},
	{"\\n", "\n", NULL},
};
/* The arguments below hold these. */
static const struct piece references[] = {
	{"${args.s}", "a \"${one.n}\"", "\"a \\\"${one.n}\\\"\""},
	{"${args.i}", "-42", "\"-42\""},
	{"${args.o}", "{\"a\":[1.5],\"b\":{}}", "\"{\\\"a\\\":[1.5],\\\"b\\\":{}}\""},
	{"${args.l}", "", ""},
	{"${one.n}", "1234567890123456", "1234567890123456"},
	{"${one.t}", "true", "true"},
	{"${one.z}", "", "null"},
	{"${one.o.s.1}", "x", "\"x\""},
	{"${one.o}", "{\"s\":[0,\"x\"]}", "{\"s\":[0,\"x\"]}"},
};
#define ARGS   "{\"i\":-42,\"o\":{\"a\":[1.5],\"b\":{}},\"s\":\"a \\\"${one.n}\\\"\"}"
#define ANSWER "{\"n\":1234567890123456,\"t\":true,\"z\":null,\"o\":{\"s\":[0,\"x\"]}}"

/* A template of pieces in `written`; returns what becomes of it, as JSON, in `expected`; "" = its key is left out. */
static void make(struct buf *written, struct buf *expected)
{
	AUTO_BUF text = BUF_INIT(1 << 16);
	struct json_writer w;
	const struct piece *piece = NULL;
	size_t n = generate_below(&g, 8), all = n;
	for (; n > 0; n--) {
		bool literal = generate_below(&g, 2) == 0;
		piece = literal ? &literals[generate_below(&g, ARRAY_LEN(literals))]
				: &references[generate_below(&g, ARRAY_LEN(references))];
		buf_add_z(written, piece->written);
		buf_add_z(&text, piece->text);
	}
	if (all == 1 && piece->alone != NULL) {
		buf_add_z(expected, piece->alone);
		return;
	}
	jsonw_init(&w, expected, JSON_WRITER_PLAIN);
	jsonw_str(&w, buf_str(&text));
}

static void a_template_is_its_pieces(void **state)
{
	(void)state;
	AUTO(json) *args = json_parse(S(ARGS), JSON_READ_STRICT, NULL);
	AUTO(json) *answer = json_parse(S(ANSWER), JSON_READ_STRICT, NULL);
	const struct json *answers[] = {answer};
	const struct action_outputs outputs = {answers, 1};
	for (int round = 0; round < 3000; round++) {
		AUTO_BUF file = BUF_INIT(1 << 16), wanted = BUF_INIT(1 << 16), got = BUF_INIT(1 << 16);
		buf_add_z(&file, FILE_HEAD "[execute.inputs]\n");
		buf_add_char(&wanted, '{');
		for (size_t n = 1 + generate_below(&g, 4), i = 0; i < n; i++) {
			AUTO_BUF expected = BUF_INIT(1 << 14);
			buf_addf(&file, "k%zu = \"", i);
			make(&file, &expected);
			buf_add_z(&file, "\"\n");
			if (expected.n > 0)
				buf_addf(&wanted, "\"k%zu\":%s,", i, expected.p);
		}
		/* The call's arguments follow, in their order. */
		buf_add_str(&wanted, str_slice(S(ARGS), 1, sizeof ARGS));
		buf_add_z(&file, "+++\n");
		err_clear(&err);
		AUTO(action) *action = action_parse(buf_str(&file), "a.md", &err);
		if (action == NULL || action_step_arguments(action, 1, args, &outputs, &got, &err) < 0)
			fail_msg("%s (line %u) in:\n%s", err.message, err.line, file.p);
		if (strcmp(got.p, wanted.p) != 0)
			fail_msg("%s\nexpected\n%s\nof\n%s", got.p, wanted.p, file.p);
	}
}

static void put_value(struct buf *out, int depth)
{
	static const char *const plain[] = {
		"null", "true", "0", "-0", "1.0", "1.5e-3", "\"\"", "\"\\u00e9\\n\"", "9007199254740991"};
	size_t kind = generate_below(&g, depth > 0 ? 4 : 2);
	if (kind < 2) {
		buf_add_z(out, plain[generate_below(&g, ARRAY_LEN(plain))]);
		return;
	}
	size_t n = generate_below(&g, 4);
	buf_add_char(out, kind == 2 ? '[' : '{');
	for (size_t i = 0; i < n; i++) {
		buf_add_z(out, i > 0 ? ", " : "");
		if (kind == 3)
			buf_addf(out, "\"%s%zu\":", i % 2 == 0 ? "\\ud83d\\ude00" : "\\uffee", (7 * i) % 4);
		put_value(out, depth - 1);
	}
	buf_add_char(out, kind == 2 ? ']' : '}');
}

static void arguments_are_accepted_as_they_were_made(void **state)
{
	(void)state;
	AUTO(action) *action = action_parse(S(FILE_HEAD "+++\n"), "a.md", &err);
	assert_non_null(action);
	for (int round = 0; round < 5000; round++) {
		AUTO_BUF text = BUF_INIT(1 << 16), first = BUF_INIT(1 << 16), again = BUF_INIT(1 << 16);
		AUTO_BUF plain = BUF_INIT(1 << 16);
		buf_add_z(&text, "{\"o\":{\"x\":");
		put_value(&text, 4);
		buf_add_z(&text, "},\"l\":[");
		put_value(&text, 4);
		buf_addf(&text, "],\"i\":%d%s}", (int)generate_below(&g, 2000) - 1000,
			 generate_below(&g, 2) ? ".0" : "");
		AUTO(json) *given = json_parse(buf_str(&text), JSON_READ_STRICT, &err);
		if (given == NULL || action_arguments(action, given, &first, &err) < 0)
			fail_msg("%s: %s", text.p, err.message);
		AUTO(json) *back = json_parse(buf_str(&first), JSON_READ_STRICT, &err);
		assert_int_equal(action_arguments(action, back, &again, &err), 0);
		assert_string_equal(first.p, again.p);
		/* And it is the canonical form of itself as a whole. */
		assert_int_equal(jcs_write(&plain, back, JCS_STRICT, &err), 0);
		assert_string_equal(first.p, plain.p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_template_is_its_pieces),
		cmocka_unit_test(arguments_are_accepted_as_they_were_made),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
