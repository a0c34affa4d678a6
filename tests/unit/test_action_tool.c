/* An action as a tool and in words: names, schemas, hints, rows for people, what it may call, when it is tried again. */
#include "action/action.h"
#include "action/retry.h"
#include "action/set.h"
#include "base/time.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct err err; /* large; cleared before each use */

#define NOTES          "github://acme/notes"
#define OTHER          "github://acme/other"
#define IDENTITY(name) "+++\nname = \"" name "\"\nversion = \"1.2.3\"\nsource = \"github://acme/notes/a@1.0.0\"\n"
#define CONNECTOR(fqn, capabilities)                                                                                   \
	"[[requires.connectors]]\nname = \"" fqn "\"\nversion = \"1.0.0\"\nhash = \"sha256:bound-at-release\"\n"       \
	"capabilities = [" capabilities "]\n"
#define MATCH                "[match]\nintent = \"i\"\n"
#define HEAD(name)           IDENTITY(name) CONNECTOR(NOTES, "\"get\", \"put\"") MATCH
#define STEP(id, fqn, op)    "[[execute]]\nid = \"" id "\"\nconnector = \"" fqn "\"\nop = \"" op "\"\n"
#define INPUT(name, type)    "[[inputs]]\nname = \"" name "\"\ntype = \"" type "\"\ndescription = \"the " name "\"\n"
#define OPTIONAL(name, type) INPUT(name, type) "required = false\n"
#define PREVIEW(op)          "[approval]\nrequired = true\n[approval.preview]\nop = \"" op "\"\nrender = {A = \"a\"}\n"
#define END                  "+++\n"

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
	struct json *json = json_parse(str_from(text), JSON_READ_STRICT, &err);
	if (json == NULL)
		fail_msg("%s: %s", text, err.message);
	return json;
}

/* ---- tools ---- */

static void tool_names_are_words_of_forty_characters(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"share-note", "share_note"},
		{"a.b-c_d9", "a_b_c_d9"},
		{"abcdefghij-abcdefghij-abcdefghij-abcdefg", "abcdefghij_abcdefghij_abcdefghij_abcdefg"},
		/* 41 characters: printf %s NAME | sha256sum */
		{"abcdefghij-abcdefghij-abcdefghij-abcdefgh", "abcdefghij_abcdefghij_abcdefghi_7667933d"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char name[ACTION_TOOL_NAME_MAX];
		action_tool_name(str_from(rows[i][0]), name);
		assert_string_equal(name, rows[i][1]);
	}
}

static void input_schemas_are_closed(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"", "{\"type\":\"object\",\"additionalProperties\":false}"},
		{INPUT("a", "string") OPTIONAL("b", "integer") "label = \"Bee\"\n",
		 "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"description\":\"the a\"},"
		 "\"b\":{\"type\":\"integer\",\"title\":\"Bee\",\"description\":\"the b\"}},\"required\":[\"a\"],"
		 "\"additionalProperties\":false}"},
		{OPTIONAL("l", "array") INPUT("m", "array") "items_type = \"object\"\n",
		 "{\"type\":\"object\",\"properties\":{\"l\":{\"type\":\"array\",\"description\":\"the "
		 "l\",\"items\":{}},"
		 "\"m\":{\"type\":\"array\",\"description\":\"the m\",\"items\":{\"type\":\"object\"}}},"
		 "\"required\":[\"m\"],\"additionalProperties\":false}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF text = BUF_INIT(1 << 16), schema = BUF_INIT(1 << 16);
		buf_addf(&text, "%s%s%s", HEAD("a") STEP("s", NOTES, "get"), rows[i][0], END);
		AUTO(action) *action = parse(text.p);
		action_input_schema(action, &schema);
		assert_string_equal(schema.p, rows[i][1]);
	}
}

static void the_output_schema_names_every_member_of_the_envelope(void **state)
{
	(void)state;
	static const char *const members[] = {"status", "action",      "run_id",  "output",
					      "steps",  "approval_id", "message", "review_url"};
	AUTO_BUF schema = BUF_INIT(1 << 16);
	action_output_schema(&schema);
	AUTO(json) *json = json_of(schema.p);
	const struct json *properties = json_member(json, S("properties"));
	assert_int_equal(json_length(properties), ARRAY_LEN(members));
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		assert_int_equal(json_kind(json_member(properties, str_from(members[i]))), JSON_KIND_OBJECT);
	assert_int_equal(json_length(json_member(json, S("required"))), 3);
	struct str type;
	assert_true(json_get_str(json_member(json, S("type")), &type) && str_eq(type, S("object")));
}

static void hints_come_from_the_steps(void **state)
{
	(void)state;
#define S1(more) STEP("s", NOTES, "get") more
#define S2(more) STEP("t", NOTES, "put") more
	static const struct {
		const char *steps;
		struct action_hints hints; /* read only, destructive, idempotent, open world */
	} rows[] = {
		{S1(""), {false, true, false, true}},
		{S1("idempotent = true\n"), {false, true, true, true}},
		{S1("effect = \"read\"\n"), {true, false, true, true}},
		{S1("effect = \"write\"\n"), {false, false, false, true}},
		{S1("effect = \"write\"\nidempotent = true\n"), {false, false, true, true}},
		{S1("effect = \"destructive\"\n"), {false, true, false, true}},
		{S1("effect = \"read\"\n") S2("effect = \"write\"\n"), {false, false, false, true}},
		{S1("effect = \"read\"\n") S2(""), {false, true, false, true}},
		{S1("effect = \"read\"\n") S2("effect = \"write\"\nidempotent = true\n"), {false, false, true, true}},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF text = BUF_INIT(1 << 16);
		buf_addf(&text, "%s%s%s", HEAD("a"), rows[i].steps, END);
		AUTO(action) *action = parse(text.p);
		struct action_hints hints = action_hints(action);
		if (memcmp(&hints, &rows[i].hints, sizeof hints) != 0)
			fail_msg("%s: %d %d %d %d", rows[i].steps, hints.read_only, hints.destructive, hints.idempotent,
				 hints.open_world);
	}
	AUTO(action) *inside =
		parse(IDENTITY("a") CONNECTOR(NOTES, "\"get\"") "hosts = []\n" MATCH S1("effect = \"read\"\n") END);
	assert_false(action_hints(inside).open_world);
}

/* ---- rows for people ---- */

static void previews_show_what_their_paths_find(void **state)
{
	(void)state;
	AUTO(action) *action = parse(HEAD("a") STEP(
		"s", NOTES,
		"put") "[approval]\nrequired = true\n[approval.preview]\n"
		       "op = \"get\"\nmultiline = [\"Text\"]\n[approval.preview.render]\n"
		       "Title = \"note.title\"\nOwner = \"note.headers.Owner\"\n\"2nd tag\" = \"note.tags.1\"\n"
		       "Text = \"note.body\"\nSize = \"note.size\"\nGone = \"note.gone\"\nNull = \"note.null\"\n"
		       "Leaf = \"note.title.x\"\nAll = \"note.tags\"\n" END);
	AUTO(json) *output =
		json_of("{\"note\":{\"title\":\"<b>T</b>\",\"headers\":[{\"name\":\"Owner\",\"value\":\"me\"}],"
			"\"tags\":[\"a\",{\"b\":1.0}],\"body\":\"1\\n2\",\"size\":2.50,\"null\":null}}");
	AUTO_BUF out = BUF_INIT(1 << 16);
	assert_int_equal(action_preview_render(action, output, &out, &err), 0);
	assert_string_equal(
		out.p,
		"{\"fields\":[{\"label\":\"Title\",\"value\":\"<b>T</b>\"},{\"label\":\"Owner\",\"value\":\"me\"},"
		"{\"label\":\"2nd tag\",\"value\":\"{\\\"b\\\":1}\"},"
		"{\"label\":\"Text\",\"value\":\"1\\n2\",\"multiline\":true},{\"label\":\"Size\",\"value\":\"2.5\"},"
		"{\"label\":\"Gone\",\"missing\":true},{\"label\":\"Null\",\"missing\":true},"
		"{\"label\":\"Leaf\",\"missing\":true},"
		"{\"label\":\"All\",\"value\":\"[\\\"a\\\",{\\\"b\\\":1}]\"}]}");
	buf_clear(&out);
	assert_int_equal(action_preview_render(action, NULL, &out, &err), 0);
	assert_null(strstr(out.p, "value"));
}

static void preview_arguments_are_the_previews_alone(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"args = {id = \"${args.s}\", s = \"${args.s}\", k = [\"${args.i}\"]}\n",
		 "{\"id\":\"x\",\"s\":\"x\",\"k\":[]}"},
		{"args = {of = \"${s.note.id}\"}\n", "{\"of\":\"(from step s)\"}"},
		{"args = {}\n", "{}"},
		{"", "{}"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF text = BUF_INIT(1 << 16), out = BUF_INIT(1 << 16);
		buf_addf(&text, "%s%s%s", HEAD("a") STEP("s", NOTES, "put") PREVIEW("get"), rows[i][0],
			 INPUT("s", "string") OPTIONAL("i", "integer") END);
		AUTO(action) *action = parse(text.p);
		AUTO(json) *args = json_of("{\"s\":\"x\"}");
		assert_int_equal(action_preview_arguments(action, args, &out, &err), 0);
		assert_string_equal(out.p, rows[i][1]);
	}
}

static void arguments_are_rows_in_declared_order(void **state)
{
	(void)state;
	AUTO(action) *action = parse(HEAD("a") STEP("s", NOTES, "put") INPUT("z", "string") "label = \"Zed\"\n" INPUT(
		"t", "string") "multiline = true\n" OPTIONAL("n", "number") OPTIONAL("b", "boolean")
					     OPTIONAL("o", "object") INPUT("l", "array") INPUT("m", "string")
						     OPTIONAL("e", "array") END);
	AUTO(json) *args = json_of("{\"b\":true,\"e\":[],\"l\":[1,\"a\"],\"n\":1000000.0,\"o\":{\"a\":{\"b\":[]}},"
				   "\"t\":\"1\\n2\",\"z\":\"\"}");
	AUTO_BUF out = BUF_INIT(1 << 16);
	assert_int_equal(action_input_fields(action, args, &out, &err), 0);
	assert_string_equal(
		out.p,
		"[{\"label\":\"Zed\",\"value\":\"\"},{\"label\":\"t\",\"value\":\"1\\n2\",\"multiline\":true},"
		"{\"label\":\"n\",\"value\":\"1000000\"},{\"label\":\"b\",\"value\":\"true\"},"
		"{\"label\":\"o\",\"value\":\"{\\n  \\\"a\\\": {\\n    \\\"b\\\": []\\n  }\\n}\",\"multiline\":true},"
		"{\"label\":\"l\",\"value\":\"[\\n  1,\\n  \\\"a\\\"\\n]\",\"multiline\":true},"
		"{\"label\":\"m\",\"missing\":true},{\"label\":\"e\",\"value\":\"[]\",\"multiline\":true}]");
}

static void long_values_are_cut_and_say_so(void **state)
{
	(void)state;
	AUTO(action) *action = parse(HEAD("a") STEP("s", NOTES, "put") PREVIEW("get") END);
	for (int nested = 0; nested < 2; nested++) {
		AUTO_BUF text = BUF_INIT(4 << 20), out = BUF_INIT(1 << 20);
		buf_add_z(&text, nested ? "{\"a\":[0" : "{\"a\":\"");
		for (int i = 0; i < 1 << 20; i++)
			buf_add_z(&text, nested ? ",0" : "\xc3\xa9");
		buf_add_z(&text, nested ? "]}" : "\"}");
		AUTO(json) *output = json_of(text.p);
		assert_int_equal(action_preview_render(action, output, &out, &err), 0);
		assert_in_range(out.n, 65536, 65536 + 100);
		assert_non_null(strstr(out.p, "...\"}]}"));
		assert_true(str_is_utf8(buf_str(&out)));
	}
	AUTO_BUF small = BUF_INIT(10);
	AUTO(json) *output = json_of("{\"a\":\"b\"}");
	assert_int_equal(action_preview_render(action, output, &small, &err), -1);
	assert_int_equal(err.class, ERR_LIMIT);
}

/* ---- what may be called ---- */

static void a_step_may_call_what_is_declared(void **state)
{
	(void)state;
	AUTO(action) *action = parse(IDENTITY("a") CONNECTOR(NOTES, "\"get\"") CONNECTOR(OTHER, "\"put\"") MATCH STEP(
		"s", NOTES, "get") STEP("t", NOTES, "put") STEP("u", OTHER, "put") STEP("v", NOTES, "Get") END);
	assert_int_equal(action_check_op(action, 0, S("get"), &err), 0);
	assert_int_equal(action_check_op(action, 1, S("get"), &err), -1);
	assert_int_equal(err.class, ERR_CAPABILITY_DENIED);
	err_clear(&err);
	assert_int_equal(action_check_step(action, 0, &err), 0);
	assert_int_equal(action_check_step(action, 2, &err), 0);
	assert_int_equal(action_check_step(action, 3, &err), -1);
	err_clear(&err);
	assert_int_equal(action_check_step(action, 1, &err), -1);
	assert_int_equal(err.class, ERR_CAPABILITY_DENIED);
	assert_int_equal(err.boundary, BOUNDARY_ACTION);
	assert_int_equal(err.line, 21);
	assert_string_equal(err.details,
			    "\"action\":\"a\",\"action_version\":\"1.2.3\",\"connector\":\"" NOTES
			    "\",\"connector_version\":\"1.0.0\",\"requested\":\"put\",\"declared_subset\":[\"get\"]");
}

static void a_previews_operation_must_be_harmless(void **state)
{
	(void)state;
#define GATED(op) HEAD("gated") STEP("s", NOTES, "put") PREVIEW(op) END
#define READER    HEAD("reader") STEP("r", NOTES, "get") "idempotent = true\n" END
#define MAYBE     HEAD("maybe") STEP("r", NOTES, "get") END
#define ELSEWHERE                                                                                                      \
	IDENTITY("elsewhere") CONNECTOR(OTHER, "\"get\"") MATCH STEP("r", OTHER, "get") "idempotent = true\n" END
#define GUARDED HEAD("guarded") STEP("r", NOTES, "get") "[approval]\nrequired = true\n" END
	static const struct {
		const char *files[3];
		const char *why; /* NULL: nothing is wrong with the first */
	} rows[] = {
		{{GATED("get"), READER}, NULL},
		{{READER}, NULL},
		{{GATED("list"), READER}, "'list' is not among the 'capabilities'"},
		{{GATED("get")}, "is no step with 'idempotent = true'"},
		{{GATED("get"), MAYBE}, "is no step with 'idempotent = true'"},
		{{GATED("get"), ELSEWHERE}, "is no step with 'idempotent = true'"},
		{{GATED("get"), READER, GUARDED}, "needs approval itself, in action 'guarded'"},
		{{GATED("put"), READER}, "is no step with 'idempotent = true'"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct action *actions[3] = {NULL};
		const struct action *set[3];
		size_t n = 0;
		for (; n < 3 && rows[i].files[n] != NULL; n++)
			set[n] = actions[n] = parse(rows[i].files[n]);
		err_clear(&err);
		int checked = action_check_in_set(set[0], set, n, &err);
		if ((checked < 0) != (rows[i].why != NULL) ||
		    (rows[i].why != NULL && strstr(err.message, rows[i].why) == NULL))
			fail_msg("%zu: '%s', expected '%s'", i, err.message, rows[i].why != NULL ? rows[i].why : "");
		if (rows[i].why != NULL) {
			assert_int_equal(err.class, ERR_VALIDATION_ERROR);
			assert_int_equal(err.line, 18);
			assert_string_equal(err.file, "a.md");
		}
		while (n > 0)
			action_free(actions[--n]);
	}
}

/* ---- retrying ---- */

static void what_may_help_is_tried_thrice(void **state)
{
	(void)state;
	static const struct {
		enum err_class class;
		bool retriable, safe, unsent;
		unsigned n;
		uint32_t random;
		uint64_t ns;
	} rows[] = {
		{ERR_NETWORK_ERROR, true, true, false, 1, 0, TIME_SECOND},
		{ERR_NETWORK_ERROR, true, true, false, 2, 0, 2 * TIME_SECOND},
		{ERR_NETWORK_ERROR, true, true, false, 3, 0, 4 * TIME_SECOND},
		{ERR_NETWORK_ERROR, true, true, false, 4, 0, 0},
		{ERR_NETWORK_ERROR, true, true, false, 0, 0, 0},
		{ERR_NETWORK_ERROR, true, true, false, 1, UINT32_MAX, TIME_SECOND * 12 / 10},
		{ERR_NETWORK_ERROR, true, true, false, 3, UINT32_MAX, TIME_SECOND * 48 / 10},
		{ERR_NETWORK_ERROR, true, false, false, 1, 0, 0},
		{ERR_NETWORK_ERROR, true, false, true, 1, 0, TIME_SECOND},
		{ERR_NETWORK_ERROR, false, true, true, 1, 0, 0},
		{ERR_EXTERNAL_API_ERROR, true, true, false, 1, 0, TIME_SECOND},
		{ERR_EXTERNAL_API_ERROR, false, true, false, 1, 0, 0},
		{ERR_CONNECTOR_RUNTIME_ERROR, true, true, true, 1, 0, 0},
		{ERR_RESOURCE_LIMIT_EXCEEDED, true, true, true, 1, 0, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		err_clear(&err);
		(fail)(&err, rows[i].class, "it failed");
		err.retriable = rows[i].retriable;
		uint64_t ns = action_retry_ns(&err, rows[i].n, rows[i].safe, rows[i].unsent, rows[i].random);
		if (ns != rows[i].ns)
			fail_msg("row %zu: %llu", i, (unsigned long long)ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tool_names_are_words_of_forty_characters),
		cmocka_unit_test(input_schemas_are_closed),
		cmocka_unit_test(the_output_schema_names_every_member_of_the_envelope),
		cmocka_unit_test(hints_come_from_the_steps),
		cmocka_unit_test(previews_show_what_their_paths_find),
		cmocka_unit_test(preview_arguments_are_the_previews_alone),
		cmocka_unit_test(arguments_are_rows_in_declared_order),
		cmocka_unit_test(long_values_are_cut_and_say_so),
		cmocka_unit_test(a_step_may_call_what_is_declared),
		cmocka_unit_test(a_previews_operation_must_be_harmless),
		cmocka_unit_test(what_may_help_is_tried_thrice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
