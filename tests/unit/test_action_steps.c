/* Arguments against inputs, and what each step is given. */
#include "action/action.h"
#include "action/template.h"
#include "text/json_writer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct err err; /* large; cleared before each use */

#define HEAD                                                                                                           \
	"+++\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"github://acme/notes/a@1.0.0\"\n"                           \
	"[[requires.connectors]]\nname = \"github://acme/notes\"\nversion = \"1.0.0\"\n"                               \
	"hash = \"sha256:bound-at-release\"\ncapabilities = [\"get\", \"put\"]\n[match]\nintent = \"i\"\n"
#define STEP(id)             "[[execute]]\nid = \"" id "\"\nconnector = \"github://acme/notes\"\nop = \"get\"\n"
#define INPUT(name, type)    "[[inputs]]\nname = \"" name "\"\ntype = \"" type "\"\ndescription = \"d\"\n"
#define OPTIONAL(name, type) INPUT(name, type) "required = false\n"
#define LIST(name, items)    OPTIONAL(name, "array") "items_type = \"" items "\"\n"
#define END                  "+++\n"
#define INPUTS                                                                                                         \
	INPUT("s", "string")                                                                                           \
	OPTIONAL("i", "integer")                                                                                       \
	OPTIONAL("n", "number")                                                                                        \
	OPTIONAL("b", "boolean")                                                                                       \
	OPTIONAL("o", "object") OPTIONAL("l", "array") LIST("ls", "string") LIST("li", "integer") LIST("lo", "object")

static struct action *parse(const char *text)
{
	err_clear(&err);
	struct action *action = action_parse(str_from(text), "a.md", &err);
	if (action == NULL)
		fail_msg("%s (line %u) in:\n%s", err.message, err.line, text);
	return action;
}

static struct json *json_of(const char *text)
{
	err_clear(&err);
	struct json *json = json_parse(str_from(text), JSON_READ_STRICT, &err);
	if (json == NULL)
		fail_msg("%s: %s", text, err.message);
	return json;
}

/* ---- arguments ---- */

static void arguments_become_canonical_json(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"{\"s\":\"x\"}", "{\"s\":\"x\"}"},
		{"{\"s\":\"\",\"i\":null,\"o\":null}", "{\"s\":\"\"}"},
		{"{ \"s\" : \"\\u0041\\/\", \"i\": 7 }", "{\"i\":7,\"s\":\"A/\"}"},
		{"{\"s\":\"\",\"i\":1.0}", "{\"i\":1,\"s\":\"\"}"},
		{"{\"s\":\"\",\"i\":-0.0,\"n\":-0}", "{\"i\":0,\"n\":0,\"s\":\"\"}"},
		{"{\"s\":\"\",\"i\":9007199254740991}", "{\"i\":9007199254740991,\"s\":\"\"}"},
		{"{\"s\":\"\",\"i\":-9007199254740991.0}", "{\"i\":-9007199254740991,\"s\":\"\"}"},
		{"{\"s\":\"\",\"n\":1e-7,\"b\":true}", "{\"b\":true,\"n\":1e-7,\"s\":\"\"}"},
		{"{\"s\":\"\",\"n\":3,\"l\":[1,\"a\",null,[2.50]]}", "{\"l\":[1,\"a\",null,[2.5]],\"n\":3,\"s\":\"\"}"},
		{"{\"s\":\"\",\"o\":{\"b\":1,\"a\":null,\"\":{}}}", "{\"o\":{\"\":{},\"a\":null,\"b\":1},\"s\":\"\"}"},
		{"{\"s\":\"\",\"ls\":[],\"li\":[1,2.0],\"lo\":[{}]}",
		 "{\"li\":[1,2],\"lo\":[{}],\"ls\":[],\"s\":\"\"}"},
	};
	AUTO(action) *action = parse(HEAD STEP("x") INPUTS END);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(json) *given = json_of(rows[i][0]);
		AUTO_BUF out = BUF_INIT(1 << 16);
		if (action_arguments(action, given, &out, &err) < 0)
			fail_msg("%s: %s", rows[i][0], err.message);
		assert_string_equal(out.p, rows[i][1]);
	}
}

static void arguments_that_do_not_fit_are_refused_by_name(void **state)
{
	(void)state;
	static const char *const rows[][3] = {
		{"{}", "s", "'s' is required"},
		{"{\"s\":null}", "s", "'s' is required"},
		{"{\"s\":1}", "s", "'s' must be a string, not an integer"},
		{"{\"s\":\"\",\"zz\":1}", "zz", "'zz' is not one that the action declares"},
		{"{\"zz\":null,\"s\":\"\"}", "zz", "'zz' is not one that the action declares"},
		{"{\"s\":\"\",\"i\":1.5}", "i", "'i' must be an integer, not a number"},
		{"{\"s\":\"\",\"i\":\"1\"}", "i", "'i' must be an integer, not a string"},
		{"{\"s\":\"\",\"i\":9007199254740992}", "i", "'i' is beyond 2^53 - 1"},
		{"{\"s\":\"\",\"i\":-9007199254740992}", "i", "'i' is beyond 2^53 - 1"},
		{"{\"s\":\"\",\"i\":1e300}", "i", "'i' is beyond 2^53 - 1"},
		{"{\"s\":\"\",\"n\":10000000000000000001}", "n", "'n' is beyond 2^53 - 1"},
		{"{\"s\":\"\",\"n\":true}", "n", "'n' must be a number, not a boolean"},
		{"{\"s\":\"\",\"b\":0}", "b", "'b' must be a boolean, not an integer"},
		{"{\"s\":\"\",\"o\":[]}", "o", "'o' must be an object, not an array"},
		{"{\"s\":\"\",\"l\":{}}", "l", "'l' must be an array, not an object"},
		{"{\"s\":\"\",\"ls\":[\"a\",1]}", "ls[1]", "'ls[1]' must be a string, not an integer"},
		{"{\"s\":\"\",\"li\":[null]}", "li[0]", "'li[0]' must be an integer, not null"},
		{"{\"s\":\"\",\"o\":{\"a\":[{\"b\":1e16}]}}", "o.a[0].b", "'o.a[0].b' is beyond 2^53 - 1"},
		{"{\"s\":\"\",\"l\":[9007199254740993]}", "l[0]", "'l[0]' is beyond 2^53 - 1"},
		{"[]", "", "the arguments must be an object"},
	};
	AUTO(action) *action = parse(HEAD STEP("x") INPUTS END);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(json) *given = json_of(rows[i][0]);
		AUTO_BUF out = BUF_INIT(1 << 16);
		char detail[64];
		buf_add_z(&out, "kept");
		if (action_arguments(action, given, &out, &err) == 0)
			fail_msg("accepted: %s", rows[i][0]);
		assert_int_equal(err.class, ERR_INVALID_REQUEST);
		snprintf(detail, sizeof detail, "\"field\":\"%s\"", rows[i][1]);
		if (strstr(err.message, rows[i][2]) == NULL ||
		    (rows[i][1][0] != '\0' && strstr(err.details, detail) == NULL))
			fail_msg("%s: '%s' {%s}, expected '%s'", rows[i][0], err.message, err.details, rows[i][2]);
		assert_string_equal(out.p, "kept");
	}
}

static void absent_arguments_are_an_empty_object(void **state)
{
	(void)state;
	AUTO(action) *action = parse(HEAD STEP("x") END);
	AUTO_BUF out = BUF_INIT(64);
	assert_int_equal(action_arguments(action, NULL, &out, &err), 0);
	assert_string_equal(out.p, "{}");
}

static void deep_arguments_are_refused(void **state)
{
	(void)state;
	AUTO(action) *action = parse(HEAD STEP("x") INPUT("l", "array") END);
	for (int extra = 0; extra < 2; extra++) {
		AUTO_BUF text = BUF_INIT(1 << 12), out = BUF_INIT(1 << 12);
		buf_add_z(&text, "{\"l\":");
		for (int i = 0; i < ACTION_DEPTH_MAX + extra; i++)
			buf_add_char(&text, '[');
		for (int i = 0; i < ACTION_DEPTH_MAX + extra; i++)
			buf_add_char(&text, ']');
		buf_add_char(&text, '}');
		AUTO(json) *given = json_of(text.p);
		assert_int_equal(action_arguments(action, given, &out, &err), -extra);
	}
	assert_non_null(strstr(err.message, "nested too deeply"));
}

static void a_full_buffer_is_a_limit(void **state)
{
	(void)state;
	AUTO(action) *action = parse(HEAD STEP("x") INPUT("s", "string") END);
	AUTO(json) *given = json_of("{\"s\":\"0123456789\"}");
	AUTO_BUF out = BUF_INIT(10);
	assert_int_equal(action_arguments(action, given, &out, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
	assert_int_equal(out.n, 0);
}

/* ---- templates ---- */

static void templates_are_split_at_references(void **state)
{
	(void)state;
	static const struct {
		const char *text, *pieces;
	} rows[] = {
		{"", "[]"},
		{"plain", "[plain]"},
		{"${args.x}", "[]A(x)[]"},
		{"a ${args.x}${f-1.b.0.c d}z", "[a ]A(x)[]S(f-1:b.0.c d)[z]"},
		{"${HOME} $ $$ ${", "[]N(HOME)[} $ $$ ${]"},
		{"${args.x", "[]N(args)[.x]"},
		{"${args.${args.x}}", "[]N(args)[.]A(x)[}]"},
		{"${s.}${s..a}${s.a.}", "[]N(s)[.}]N(s)[..a}]N(s)[.a.}]"},
		{"${s.a\n}", "[]N(s)[.a\n}]"},
		{"$${s.a}", "[$]S(s:a)[]"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF pieces = BUF_INIT(1 << 12);
		struct str rest = str_from(rows[i].text), text;
		struct reference r;
		while (template_next(&rest, &text, &r)) {
			buf_addf(&pieces, "[%.*s]", STR_FMT(text));
			if (r.kind == REFERENCE_NONE)
				buf_addf(&pieces, "N(%.*s)", STR_FMT(r.head));
			else if (r.kind == REFERENCE_ARGUMENT)
				buf_addf(&pieces, "A(%.*s)", STR_FMT(r.path));
			else
				buf_addf(&pieces, "S(%.*s:%.*s)", STR_FMT(r.head), STR_FMT(r.path));
		}
		buf_addf(&pieces, "[%.*s]", STR_FMT(text));
		assert_string_equal(pieces.p, rows[i].pieces);
	}
}

static void paths_lead_through_objects_lists_and_headers(void **state)
{
	(void)state;
	AUTO(json) *json =
		json_of("{\"a\":{\"b\":[10,{\"c\":true}]},\"h\":[{\"name\":\"To\",\"value\":\"x\"},"
			"{\"name\":\"1\",\"value\":\"y\"},{\"name\":\"No\"},{\"other\":1},"
			"{\"name\":\"Late\",\"value\":\"z\"}],\"m\":[{\"name\":\"0\"}],\"n\":null,\"s\":\"t\"}");
	static const char *const rows[][2] = {
		{"a.b.0", "10"}, {"a.b.1.c", "true"}, {"h.To", "\"x\""},      {"h.1", "\"y\""},    {"h.3.other", "1"},
		{"n", "null"},   {"s", "\"t\""},      {"h.0.value", "\"x\""}, {"h.No", NULL},      {"h.Late", NULL},
		{"h.to", NULL},  {"a.b.2", NULL},     {"a.b.00", NULL},       {"a.b.-1", NULL},    {"s.x", NULL},
		{"n.x", NULL},   {"a.c", NULL},       {"m.0", NULL},          {"a.b.1.c.d", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct json *found = path_walk(json, str_from(rows[i][0]));
		AUTO_BUF text = BUF_INIT(1 << 12);
		struct json_writer w;
		if (found == NULL || rows[i][1] == NULL) {
			if (found != NULL || rows[i][1] != NULL)
				fail_msg("%s", rows[i][0]);
			continue;
		}
		jsonw_init(&w, &text, JSON_WRITER_PLAIN);
		jsonw_value(&w, found);
		assert_string_equal(text.p, rows[i][1]);
	}
}

/* One step's inputs, the call's arguments, and what the first step answered; what the second is given. */
struct filling {
	const char *inputs, *args, *answer, *expected;
};

#define FILLING_INPUTS                                                                                                 \
	OPTIONAL("s", "string")                                                                                        \
	OPTIONAL("i", "integer")                                                                                       \
	OPTIONAL("n", "number")                                                                                        \
	OPTIONAL("b", "boolean")                                                                                       \
	OPTIONAL("o", "object") OPTIONAL("l", "array")

static struct action *two_steps(const char *inputs)
{
	AUTO_BUF text = BUF_INIT(ACTION_MAX);
	buf_addf(&text, "%s%s%s[execute.inputs]\n%s%s", HEAD FILLING_INPUTS, STEP("one"), STEP("two"), inputs, END);
	return parse(text.p);
}

static void steps_get_templates_filled_and_the_rest(void **state)
{
	(void)state;
#define ANSWER                                                                                                         \
	"{\"t\":\"x\",\"i\":-9007199254740991,\"w\":1234567890123456789,\"r\":1000000.0,\"f\":0.1,\"z\":null,\"y\":"   \
	"true,"                                                                                                        \
	"\"l\":[{\"b\":1,\"a\":[2]}],\"note\":{\"id\":7}}"
	static const struct filling rows[] = {
		/* constants as they are */
		{"k = 1\nf = 1.5\nt = true\nd = 2026-01-02T03:04:05Z\nl = [1, \"a\", {b = \"\"}]\n", "{}", ANSWER,
		 "{\"k\":1,\"f\":1.5,\"t\":true,\"d\":\"2026-01-02T03:04:05Z\",\"l\":[1,\"a\",{\"b\":\"\"}]}"},
		/* exact: a step's keeps its type, an argument's under its own name */
		{"a = \"${one.t}\"\nb2 = \"${one.i}\"\nc = \"${one.z}\"\nd = \"${one.l}\"\ne = \"${one.note.id}\"\n"
		 "g = \"${one.l.0.a}\"\n",
		 "{}", ANSWER,
		 "{\"a\":\"x\",\"b2\":-9007199254740991,\"c\":null,\"d\":[{\"b\":1,\"a\":[2]}],\"e\":7,\"g\":[2]}"},
		{"i = \"${args.i}\"\no = \"${args.o}\"\n", "{\"i\":5,\"o\":{\"a\":[1]}}", ANSWER,
		 "{\"i\":5,\"o\":{\"a\":[1]}}"},
		{"k = {i = \"${args.i}\"}\n", "{\"i\":5}", ANSWER, "{\"k\":{\"i\":5},\"i\":5}"},
		/* under another name it is a text, as it always was */
		{"id = \"${args.i}\"\n", "{\"i\":5}", ANSWER, "{\"id\":\"5\",\"i\":5}"},
		{"k = [\"${args.o}\"]\n", "{\"o\":{\"b\":1,\"a\":2}}", ANSWER,
		 "{\"k\":[\"{\\\"a\\\":2,\\\"b\\\":1}\"],\"o\":{\"b\":1,\"a\":2}}"},
		/* embedded: text */
		{"k = \"<${one.t}|${one.w}|${one.r}|${one.f}|${one.z}|${one.y}>\"\n", "{}", ANSWER,
		 "{\"k\":\"<x|1234567890123456789|1000000|0.1||true>\"}"},
		{"k = \"${one.l} ${one.note}\"\n", "{}", ANSWER,
		 "{\"k\":\"[{\\\"a\\\":[2],\\\"b\\\":1}] {\\\"id\\\":7}\"}"},
		{"k = \"a${args.s}b${args.i}\"\n", "{\"s\":\"\\\"q\\\"\",\"i\":-3}", ANSWER,
		 "{\"k\":\"a\\\"q\\\"b-3\",\"s\":\"\\\"q\\\"\",\"i\":-3}"},
		/* what is inserted is never looked at again */
		{"k = \"${args.s}!\"\n", "{\"s\":\"${one.t}${args.i}\"}", ANSWER,
		 "{\"k\":\"${one.t}${args.i}!\",\"s\":\"${one.t}${args.i}\"}"},
		/* absent: left out when exact, empty when embedded */
		{"i = \"${args.i}\"\nid = \"${args.s}\"\nk = \"[${args.s}]\"\nl2 = [\"a\", \"${args.s}\"]\n", "{}",
		 ANSWER, "{\"k\":\"[]\",\"l2\":[\"a\"]}"},
		{"k = {i = \"${args.i}\"}\n", "{}", ANSWER, "{\"k\":{}}"},
		/* the step's own words win over the call's */
		{"s = \"fixed\"\ni = 1\n", "{\"s\":\"mine\",\"i\":2,\"n\":0.5}", ANSWER,
		 "{\"s\":\"fixed\",\"i\":1,\"n\":0.5}"},
		{"s = \"${one.t}\"\n", "{\"s\":\"mine\"}", ANSWER, "{\"s\":\"x\"}"},
		{"s = \"about ${args.i}\"\n", "{\"s\":\"mine\",\"i\":1}", ANSWER, "{\"s\":\"about 1\",\"i\":1}"},
		{"", "{\"s\":\"a\",\"b\":false}", ANSWER, "{\"s\":\"a\",\"b\":false}"},
		/* what looks like a reference and is none */
		{"k = \"${HOME} ${s.\"\n", "{}", ANSWER, "{\"k\":\"${HOME} ${s.\"}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(action) *action = two_steps(rows[i].inputs);
		AUTO(json) *args = json_of(rows[i].args), *answer = json_of(rows[i].answer);
		const struct json *answers[] = {answer};
		const struct action_outputs outputs = {answers, 1};
		AUTO_BUF out = BUF_INIT(1 << 16);
		if (action_step_arguments(action, 1, args, &outputs, &out, &err) < 0)
			fail_msg("%s: %s", rows[i].inputs, err.message);
		assert_string_equal(out.p, rows[i].expected);
	}
}

static void a_field_that_is_not_there_is_told(void **state)
{
	(void)state;
	static const char *const rows[] = {"k = \"${one.note.id}\"\n", "k = [\"see ${one.note.id}\"]\n"};
	static const char *const answers[] = {"{}", "{\"note\":{}}", "{\"note\":null}", "[]", "\"x\"", NULL};
	for (size_t i = 0; i < ARRAY_LEN(rows) * ARRAY_LEN(answers); i++) {
		AUTO(action) *action = two_steps(rows[i % 2]);
		AUTO(json) *args = json_of("{}");
		const char *text = answers[i / 2];
		AUTO(json) *answer = text == NULL ? NULL : json_of(text);
		const struct json *items[] = {answer};
		const struct action_outputs outputs = {items, 1};
		AUTO_BUF out = BUF_INIT(1 << 16);
		err_clear(&err);
		assert_int_equal(action_step_arguments(action, 1, args, &outputs, &out, &err), -1);
		assert_int_equal(err.class, ERR_CONNECTOR_RUNTIME_ERROR);
		assert_int_equal(err.boundary, BOUNDARY_RUNTIME);
		assert_string_equal(err.message,
				    "'${one.note.id}' is not there: step 'one' answered without 'note.id'");
		assert_string_equal(err.details, "\"step\":\"one\",\"field\":\"note.id\"");
		assert_int_equal(out.n, 0);
		assert_int_equal(action_step_arguments(action, 1, args, NULL, &out, &err), -1);
	}
}

/* An id that is rounded on its way names another thing. */
static void numbers_that_would_change_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *inputs, *answer;
		bool fits;
	} rows[] = {
		{"k = \"${one.v}\"\n", "{\"v\":9007199254740991}", true},
		{"k = \"${one.v}\"\n", "{\"v\":9007199254740992}", false},
		{"k = \"${one.v}\"\n", "{\"v\":{\"a\":[0,-9007199254740993]}}", false},
		{"k = \"${one.v}\"\n", "{\"v\":12345678901234567890}", false},
		{"k = \"${one.v.0}\"\n", "{\"v\":[1,9007199254740993]}", true},
		{"k = \"${one.v}\"\n", "{\"v\":\"12345678901234567890\"}", true},
		{"k = \"#${one.v}\"\n", "{\"v\":9223372036854775807}", true},
		{"k = \"#${one.v}\"\n", "{\"v\":9223372036854775808}", false},
		{"k = \"#${one.v}\"\n", "{\"v\":[{\"a\":1e20}]}", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(action) *action = two_steps(rows[i].inputs);
		AUTO(json) *args = json_of("{}"), *answer = json_of(rows[i].answer);
		const struct json *items[] = {answer};
		const struct action_outputs outputs = {items, 1};
		AUTO_BUF out = BUF_INIT(1 << 16);
		err_clear(&err);
		int made = action_step_arguments(action, 1, args, &outputs, &out, &err);
		if ((made == 0) != rows[i].fits)
			fail_msg("%s of %s: '%s' %s", rows[i].inputs, rows[i].answer, out.p, err.message);
		if (rows[i].fits)
			continue;
		assert_int_equal(err.class, ERR_CONNECTOR_RUNTIME_ERROR);
		assert_non_null(strstr(err.message, "step 'one' has to answer it as a string"));
		assert_int_equal(out.n, 0);
	}
}

static void before_anything_ran_the_steps_name_stands_in(void **state)
{
	(void)state;
	AUTO(action) *action = two_steps("a = \"${one.t}\"\nb2 = \"see ${one.u.v}, ${args.s}\"\ni = \"${args.i}\"\n");
	AUTO(json) *args = json_of("{\"s\":\"x\",\"i\":3}");
	AUTO_BUF out = BUF_INIT(1 << 16);
	assert_int_equal(action_step_shown(action, 1, args, &out, &err), 0);
	assert_string_equal(out.p, "{\"a\":\"(from step one)\",\"b2\":\"see (from step one), x\",\"i\":3,\"s\":\"x\"}");
}

/* A small file and a small call must not become a large one. */
static void templates_that_explode_are_a_limit(void **state)
{
	(void)state;
	AUTO_BUF inputs = BUF_INIT(ACTION_MAX), big = BUF_INIT(2 << 20), out = BUF_INIT((size_t)64 << 20);
	buf_add_z(&inputs, "k = \"");
	for (int i = 0; i < 5000; i++)
		buf_add_z(&inputs, "${args.s}");
	buf_add_z(&inputs, "\"\n");
	for (int many = 0; many < 2; many++) {
		if (many == 1) {
			buf_clear(&inputs);
			for (int i = 0; i < 5000; i++)
				buf_addf(&inputs, "k%d = \"${args.s}\"\n", i);
		}
		AUTO(action) *action = two_steps(inputs.p);
		buf_clear(&big);
		buf_add_z(&big, "{\"s\":\"");
		for (int i = 0; i < 1 << 20; i++)
			buf_add_char(&big, 'x');
		buf_add_z(&big, "\"}");
		AUTO(json) *args = json_of(big.p);
		err_clear(&err);
		assert_int_equal(action_step_arguments(action, 1, args, NULL, &out, &err), -1);
		assert_int_equal(err.class, ERR_LIMIT);
		assert_int_equal(out.n, 0);
		assert_true(out.room < 2 * ACTION_ARGUMENTS_MAX + (4 << 20));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_become_canonical_json),
		cmocka_unit_test(arguments_that_do_not_fit_are_refused_by_name),
		cmocka_unit_test(absent_arguments_are_an_empty_object),
		cmocka_unit_test(deep_arguments_are_refused),
		cmocka_unit_test(a_full_buffer_is_a_limit),
		cmocka_unit_test(templates_are_split_at_references),
		cmocka_unit_test(paths_lead_through_objects_lists_and_headers),
		cmocka_unit_test(steps_get_templates_filled_and_the_rest),
		cmocka_unit_test(a_field_that_is_not_there_is_told),
		cmocka_unit_test(numbers_that_would_change_are_refused),
		cmocka_unit_test(before_anything_ran_the_steps_name_stands_in),
		cmocka_unit_test(templates_that_explode_are_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
