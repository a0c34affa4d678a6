/* The action file: what is read, and every rule with the line and the words of its error. */
#include "action/action.h"
#include "action/set.h"
#include "crypto/digest.h"
#include "os/file.h"
#include "text/json_writer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct err err; /* large; cleared before each use */

#define HASH     "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define NOTES    "github://acme/notes"
#define IDENTITY "name = \"a\"\nversion = \"1.0.0\"\nsource = \"github://acme/notes/actions/a@1.0.0\"\n" /* 2 to 4 */
#define CONNECTOR                                                                                                      \
	"[[requires.connectors]]\nname = \"" NOTES "\"\nversion = \"1.0.0\"\nhash = \"" HASH "\"\n" /* 5 to 8 */
#define REQUIRES CONNECTOR "capabilities = [\"get\"]\n"                                             /* 9 */
#define MATCH    "[match]\nintent = \"read one\"\n"                                                 /* 10, 11 */
#define HEAD     IDENTITY REQUIRES MATCH
#define STEP     "[[execute]]\nid = \"s\"\nconnector = \"" NOTES "\"\nop = \"get\"\n"
#define INPUT    "[[inputs]]\nname = \"x\"\ntype = \"string\"\ndescription = \"d\"\n"
#define FRONT(s) "+++\n" s "+++\n"
#define GOOD     FRONT(HEAD STEP)

static struct action *accept(const char *text)
{
	err_clear(&err);
	struct action *action = action_parse(str_from(text), "a.md", &err);
	if (action == NULL)
		fail_msg("%s (line %u) in:\n%s", err.message, err.line, text);
	return action;
}

struct refusal {
	const char *text;
	unsigned line;
	const char *why;
};

static void refuse(const struct refusal *refusal, enum err_class class)
{
	err_clear(&err);
	struct action *action = action_parse(str_from(refusal->text), "a.md", &err);
	if (action != NULL)
		fail_msg("accepted, though '%s' was expected:\n%s", refusal->why, refusal->text);
	if (err.class != class || strstr(err.message, refusal->why) == NULL || err.line != refusal->line)
		fail_msg("%s '%s' (line %u), expected '%s' (line %u) of:\n%s", err_row(err.class)->name, err.message,
			 err.line, refusal->why, refusal->line, refusal->text);
	assert_string_equal(err.file, "a.md");
}

static void is(struct str text, const char *expected)
{
	if (!str_eq(text, str_from(expected)))
		fail_msg("'%.*s' is not '%s'", STR_FMT(text), expected);
}

static void json_is(const struct json *json, const char *expected)
{
	AUTO_BUF text = BUF_INIT(1 << 20);
	struct json_writer w;
	jsonw_init(&w, &text, JSON_WRITER_PLAIN);
	jsonw_value(&w, json);
	is(buf_str(&text), expected);
}

/* ---- the envelope ---- */

static void the_envelope_is_two_lines_around_toml(void **state)
{
	(void)state;
	static const struct {
		const char *text, *body;
	} rows[] = {
		{GOOD, ""},
		{"\xef\xbb\xbf" GOOD, ""},
		{"\n \t\n" GOOD, ""},
		{"\xef\xbb\xbf\n" GOOD, ""},
		{"  +++\t\n" HEAD STEP " +++ ", ""},
		{GOOD "\n# T\n\ntext\n", "\n# T\n\ntext"},
		{GOOD "text", "text"},
		{GOOD "a\r\nb\r\n", "a\nb"},
		{GOOD "+++\nx", "+++\nx"},
		{GOOD "a\n\n", "a\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(action) *action = accept(rows[i].text);
		is(action->name, "a");
		is(action->body, rows[i].body);
	}
}

static void carriage_returns_before_line_ends_do_not_matter(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(1 << 16);
	for (const char *p = GOOD "# T\n"; *p != '\0'; p++)
		buf_addf(&text, "%s%c", *p == '\n' ? "\r" : "", *p);
	AUTO(action) *action = accept(text.p);
	is(action->version, "1.0.0");
	is(action->body, "# T");
	is(action_title(action), "T");
}

static void what_is_no_envelope_is_told_with_its_line(void **state)
{
	(void)state;
	static const struct refusal rows[] = {
		{"", 0, "the file is empty"},
		{"\n  \n\t", 0, "the file is empty"},
		{"---\nname = \"a\"\n---\n", 1, "begins with a line '+++', not with '---'"},
		{"\n\nhello\n+++\n", 3, "not with 'hello'"},
		{"\n++++\n", 2, "not with '++++'"},
		{"\n+++\n" HEAD, 2, "has no closing line '+++'"},
		{"+++", 1, "has no closing line"},
		{"+++\nname = \"a\"\n\xef\xbb\xbf+++\n", 1, "has no closing line"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refuse(&rows[i], ERR_PARSE_ERROR);
}

static void a_delimiter_ends_the_front_matter_even_in_a_string(void **state)
{
	(void)state;
	refuse(&(struct refusal){"+++\nname = \"\"\"\n+++\n\"\"\"\n+++\n", 3, "the string is not closed"},
	       ERR_PARSE_ERROR);
}

static void a_file_that_is_too_large_is_refused(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(ACTION_MAX + 1);
	buf_add_z(&text, GOOD);
	while (text.n < ACTION_MAX)
		buf_add_char(&text, 'x');
	AUTO(action) *largest = accept(text.p);
	assert_int_equal(largest->body.n, ACTION_MAX - strlen(GOOD));
	buf_add_char(&text, 'x');
	err_clear(&err);
	assert_null(action_parse(buf_str(&text), "a.md", &err));
	assert_int_equal(err.class, ERR_LIMIT);
	assert_string_equal(err.file, "a.md");
}

/* ---- parsing ---- */

static void bad_toml_and_unknown_keys_are_parse_errors(void **state)
{
	(void)state;
	static const struct refusal rows[] = {
		{"\n+++\nname = \"a\nversion = \"1\"\n+++\n", 3, "column"},
		{"+++\nname = 1\n+++\n", 2, "'name' must be a string, not an integer"},
		{FRONT(IDENTITY "color = \"red\"\n" REQUIRES), 5, "unknown key: color"},
		{FRONT(HEAD STEP "retries = 3\n[failure]\nx = 1\n"), 16,
		 "unknown keys: execute.retries, failure, failure.x"},
		{FRONT(HEAD STEP "[outputs]\n"), 16, "unknown key: outputs"},
		{FRONT(HEAD STEP "idempotent = \"yes\"\n"), 16,
		 "'execute.idempotent' must be true or false, not a string"},
		{FRONT(HEAD STEP "inputs = 1\n"), 16, "'execute.inputs' must be a table, not an integer"},
		{FRONT(HEAD STEP "[approval]\nrequired = 1\n"), 17, "'approval.required' must be true or false"},
		{FRONT(HEAD STEP "[approval]\nauto = true\n"), 17, "unknown key: approval.auto"},
		{FRONT(HEAD "execute = 1\n"), 12, "unknown key: match.execute"},
		{FRONT(IDENTITY "inputs = 1\n"), 5, "'inputs' must be an array of tables"},
		{FRONT(HEAD STEP "\n# three\n[match]\n"), 18, "match"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refuse(&rows[i], ERR_PARSE_ERROR);
}

/* ---- rules, in the order of docs/formats/action.md ---- */

static void every_rule_has_its_line(void **state)
{
	(void)state;
#define V  "version = \"1.0.0\"\n"
#define SO "source = \"github://acme/notes/actions/a@1.0.0\"\n"
#define C1 "[[requires.connectors]]\n"
#define CN "name = \"" NOTES "\"\n"
#define CV "version = \"1.0.0\"\n"
#define CH "hash = \"" HASH "\"\n"
	static const struct refusal rows[] = {
		/* identity */
		{FRONT(V), 1, "'name' is required"},
		{FRONT("name = \"\"\n"), 2, "'name' is required"},
		{FRONT("name = \"Share\"\n"), 2, "'name' is 'Share'"},
		{FRONT("name = \"-a\"\n"), 2, "'name' is '-a'"},
		{FRONT("name = \"a b\"\n"), 2, "'name' is 'a b'"},
		{FRONT("name = \"a/../b\"\n"), 2, "'name' is"},
		{FRONT("name = \"a\"\n" SO), 1, "'version' is required"},
		{FRONT("name = \"a\"\nversion = \"v1\"\n" SO), 3, "'version'"},
		{FRONT("name = \"a\"\nversion = \"1.0\"\n"), 3, "'version'"},
		{FRONT("name = \"a\"\n" V), 1, "'source' is required"},
		{FRONT("name = \"a\"\n" V "source = \"github://acme/notes\"\n"), 4, "invalid source"},
		{FRONT("name = \"a\"\n" V "source = \"github://acme/notes@1\"\n"), 4, "invalid source"},
		{FRONT("name = \"a\"\n" V "source = \"ftp://acme/notes@1.0.0\"\n"), 4, "invalid source"},
		/* connectors */
		{FRONT(IDENTITY), 1, "'requires.connectors' is required"},
		{FRONT(IDENTITY "[requires]\n"), 5, "'requires.connectors' is required"},
		{FRONT(IDENTITY "[requires]\nconnectors = []\n"), 6, "'requires.connectors' is required"},
		{FRONT(IDENTITY C1 CV), 5, "'name' is required"},
		{FRONT(IDENTITY C1 "name = \"notes\"\n" CV), 6, "'name'"},
		{FRONT(IDENTITY C1 "name = \"" NOTES "@1.0.0\"\n" CV), 6, "'name'"},
		{FRONT(IDENTITY C1 CN CH), 5, "'version' is required"},
		{FRONT(IDENTITY C1 CN "version = \"^1.0.0\"\n"), 7, "'version'"},
		{FRONT(IDENTITY C1 CN CV), 5, "'hash' is required"},
		{FRONT(IDENTITY C1 CN CV "hash = \"md5:1\"\n"), 8, "'hash' is 'md5:1'"},
		{FRONT(IDENTITY C1 CN CV "hash = \"sha256:\"\n"), 8, "'hash' is 'sha256:'"},
		{FRONT(IDENTITY C1 CN CV "hash = \"sha256:..\"\n"), 8, "64 lower-case hexadecimal digits"},
		{FRONT(IDENTITY C1 CN CV CH), 5, "'capabilities' is required"},
		{FRONT(IDENTITY C1 CN CV CH "capabilities = []\n"), 9, "'capabilities' is required"},
		{FRONT(IDENTITY C1 CN CV CH "capabilities = [\"get\", \" \"]\n"), 9, "entry 2 is blank"},
		{FRONT(IDENTITY REQUIRES C1 CN CV CH), 10, "'capabilities' is required"},
		{FRONT(IDENTITY REQUIRES "hosts = [\"api.example.com\"]\n"), 10, "entry 1 is 'api.example.com'"},
		{FRONT(IDENTITY REQUIRES "hosts = [\"a:1\", \"a:0\"]\n"), 10, "entry 2 is 'a:0'"},
		{FRONT(IDENTITY REQUIRES "hosts = [\":443\"]\n"), 10, "entry 1 is ':443'"},
		/* match */
		{FRONT(IDENTITY REQUIRES), 1, "'match.intent' is required"},
		{FRONT(IDENTITY REQUIRES "[match]\n"), 10, "'match.intent' is required"},
		{FRONT(IDENTITY REQUIRES "[match]\nintent = \" \"\n"), 11, "'match.intent' is required"},
		/* inputs */
		{FRONT(HEAD "[[inputs]]\ntype = \"string\"\n"), 12, "'name' is required"},
		{FRONT(HEAD "[[inputs]]\nname = \"Id\"\n"), 13, "input 'Id'"},
		{FRONT(HEAD "[[inputs]]\nname = \"1x\"\n"), 13, "input '1x'"},
		{FRONT(HEAD "[[inputs]]\nname = \"a-b\"\n"), 13, "input 'a-b'"},
		{FRONT(HEAD INPUT INPUT), 17, "input 'x' is there already"},
		{FRONT(HEAD "[[inputs]]\nname = \"x\"\n"), 12, "needs a 'type'"},
		{FRONT(HEAD "[[inputs]]\nname = \"x\"\ntype = \"text\"\n"), 14, "has type 'text'"},
		{FRONT(HEAD "[[inputs]]\nname = \"x\"\ntype = \"String\"\n"), 14, "has type 'String'"},
		{FRONT(HEAD "[[inputs]]\nname = \"x\"\ntype = \"string\"\n"), 12, "needs a 'description'"},
		{FRONT(HEAD "[[inputs]]\nname = \"x\"\ntype = \"string\"\ndescription = \" \"\n"), 15,
		 "needs a 'description'"},
		{FRONT(HEAD INPUT "label = \"  \"\n"), 16, "blank 'label'"},
		{FRONT(HEAD "[[inputs]]\nname = \"x\"\ntype = \"integer\"\ndescription = \"d\"\nmultiline = true\n"),
		 16, "only a string is 'multiline'"},
		{FRONT(HEAD INPUT "items_type = \"string\"\n"), 16, "only an array has 'items_type'"},
		{FRONT(HEAD
		       "[[inputs]]\nname = \"x\"\ntype = \"array\"\ndescription = \"d\"\nitems_type = \"array\"\n"),
		 16, "items of type 'array'"},
		{FRONT(HEAD "[[inputs]]\nname = \"x\"\ntype = \"array\"\ndescription = \"d\"\nitems_type = \"any\"\n"),
		 16, "items of type 'any'"},
		/* execute: at least one */
		{FRONT(HEAD), 1, "'execute' is required"},
		{FRONT("execute = []\n" HEAD), 2, "'execute' is required"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refuse(&rows[i], ERR_VALIDATION_ERROR);
}

static void every_rule_of_preview_and_steps_has_its_line(void **state)
{
	(void)state;
#define PV  "[approval.preview]\n"
#define OP  "op = \"get\"\n"
#define RE  "render = {A = \"a\"}\n"
#define TWO HEAD STEP "[[execute]]\nid = \"t\"\nconnector = \"" NOTES "\"\nop = \"get\"\n"
	static const struct refusal rows[] = {
		/* preview: STEP is lines 12 to 15 */
		{FRONT(HEAD STEP PV), 16, "'op' is required"},
		{FRONT(HEAD STEP PV "op = \" \"\n"), 17, "'op' is required"},
		{FRONT(HEAD STEP PV OP), 16, "'render' is required"},
		{FRONT(HEAD STEP PV OP "render = {}\n"), 18, "'render' is required"},
		{FRONT(HEAD STEP PV OP RE "args = {id = \"${args.y}\"}\n"), 19, "'${args.y}' names no input"},
		{FRONT(HEAD STEP PV OP RE "args = {id = [{a = \"x ${t.y}\"}]}\n"), 19, "'${t.y}' names no step"},
		{FRONT(HEAD STEP PV OP "render = {A = 1}\n"), 18, "'render' of 'A' must be a string, not an integer"},
		{FRONT(HEAD STEP PV OP "render = {\" \" = \"a\"}\n"), 18, "'render' has a blank label"},
		{FRONT(HEAD STEP PV OP "render = {A = \" \"}\n"), 18, "'render' of 'A' has a blank path"},
		{FRONT(HEAD STEP PV OP RE "multiline = [\"A\", \"B\"]\n"), 19, "'multiline' names 'B'"},
		/* the preview comes before the steps */
		{FRONT(HEAD "[[execute]]\n" PV), 13, "'op' is required"},
		/* steps */
		{FRONT(HEAD "[[execute]]\n"), 12, "'id' is required"},
		{FRONT(HEAD STEP STEP), 17, "step 's' is there already"},
		{FRONT(HEAD "[[execute]]\nid = \"s\"\n"), 12, "'connector' is required"},
		{FRONT(HEAD "[[execute]]\nid = \"s\"\nconnector = \"github://acme/Notes\"\n"), 14,
		 "connector 'github://acme/Notes' is not in 'requires.connectors'"},
		{FRONT(HEAD "[[execute]]\nid = \"s\"\nconnector = \"" NOTES "\"\n"), 12, "'op' is required"},
		{FRONT(HEAD STEP "effect = \"delete\"\n"), 16, "'effect' is 'delete'"},
		/* references */
		{FRONT(HEAD STEP "[execute.inputs]\na = 1\nb = \"${args.z}\"\n"), 18, "'${args.z}' names no input"},
		{FRONT(HEAD INPUT STEP "[execute.inputs]\nb = \"${args.X}\"\n"), 21, "'${args.X}' names no input"},
		{FRONT(HEAD INPUT STEP "[execute.inputs]\nb = \"${args.x.y}\"\n"), 21, "'${args.x.y}' names no input"},
		{FRONT(HEAD INPUT STEP "[execute.inputs]\nb = \"a ${args.x\"\n"), 21, "'${args' is no reference"},
		{FRONT(HEAD INPUT STEP "[execute.inputs]\nb = \"${args}\"\n"), 21, "'${args' is no reference"},
		{FRONT(HEAD STEP "[execute.inputs]\nb = \"${s.id}\"\n"), 17,
		 "'${s.id}' is what the step itself will answer"},
		{FRONT(HEAD STEP "[execute.inputs]\nb = [\n1,\n\"${t.id}\",\n]\n"), 19, "'${t.id}' names no step"},
		{FRONT(TWO "[execute.inputs]\nb = \"${s}\"\n"), 21, "'${s' is no reference"},
		{FRONT(TWO "[execute.inputs]\nb = \"${s.a..b}\"\n"), 21, "'${s' is no reference"},
		{FRONT(HEAD STEP "[execute.inputs]\nb = \"${t.id}\"\n[[execute]]\nid = \"t\"\nconnector = \"" NOTES
				 "\"\nop = \"get\"\n"),
		 17, "'${t.id}' is of a step that comes later"},
		/* values that no number or text of ours can say */
		{FRONT(HEAD STEP "[execute.inputs]\nb = inf\n"), 17, "a number must be finite"},
		{FRONT(HEAD STEP "[execute.inputs]\nb = 9007199254740992\n"), 17, "an integer beyond 2^53 - 1"},
		{FRONT(HEAD STEP "[execute.inputs]\nb = \"\\u0000\"\n"), 17, "a text must not contain U+0000"},
		{FRONT(HEAD STEP "[execute.inputs]\n\"\\u0000\" = 1\n"), 17, "a key must not contain U+0000"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		refuse(&rows[i], ERR_VALIDATION_ERROR);
}

/* One more than is accepted, of each that is counted. */
static void what_is_counted_has_a_most(void **state)
{
	(void)state;
	static const struct {
		const char *before, *row, *after, *why;
		int most;
	} rows[] = {
		{IDENTITY, CONNECTOR "capabilities = [\"get\"]\n", MATCH STEP, "more than 32 connectors",
		 ACTION_REQUIRES_MAX},
		{HEAD, "[[inputs]]\nname = \"x%d\"\ntype = \"string\"\ndescription = \"d\"\n", STEP,
		 "more than 128 inputs", ACTION_INPUTS_MAX},
		{HEAD, "[[execute]]\nid = \"s%d\"\nconnector = \"" NOTES "\"\nop = \"get\"\n", "", "more than 64 steps",
		 ACTION_STEPS_MAX},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF text = BUF_INIT(ACTION_MAX);
		for (int extra = 0; extra < 2; extra++) {
			buf_clear(&text);
			buf_addf(&text, "+++\n%s", rows[i].before);
			for (int n = 0; n < rows[i].most + extra; n++) {
				const char *at = strstr(rows[i].row, "%d");
				size_t head = at != NULL ? (size_t)(at - rows[i].row) : strlen(rows[i].row);
				buf_add(&text, rows[i].row, head);
				if (at != NULL)
					buf_addf(&text, "%d%s", n, at + 2);
			}
			buf_addf(&text, "%s+++\n", rows[i].after);
			err_clear(&err);
			AUTO(action) *action = action_parse(buf_str(&text), "a.md", &err);
			assert_int_equal(action == NULL, extra);
			if (extra == 1)
				assert_non_null(strstr(err.message, rows[i].why));
		}
	}
}

static void words_have_a_most(void **state)
{
	(void)state;
	char word[ACTION_WORD_MAX + 2] = "";
	memset(word, 'a', ACTION_WORD_MAX);
	for (int extra = 0; extra < 2; extra++) {
		AUTO_BUF text = BUF_INIT(ACTION_MAX);
		word[ACTION_WORD_MAX] = extra == 1 ? 'a' : '\0';
		buf_addf(&text, "+++\nname = \"%s\"\n%s", word, V SO REQUIRES MATCH STEP "+++\n");
		err_clear(&err);
		AUTO(action) *action = action_parse(buf_str(&text), NULL, &err);
		assert_int_equal(action == NULL, extra);
	}
	assert_non_null(strstr(err.message, "longer than 128 bytes"));
	assert_string_equal(err.file, "");
}

/* ---- what is read ---- */

static void reads_the_gated_example(void **state)
{
	(void)state;
	AUTO_BUF text = BUF_INIT(ACTION_MAX);
	char hex[SHA256_HEX_TEXT_SIZE];
	assert_int_equal(file_read(SOURCE_DIR "/tests/data/actions/share-note.md", &text, &err), 0);
	AUTO(action) *a = accept(text.p);
	is(a->name, "share-note");
	is(a->version, "2.1.0");
	is(a->source, "github://acme/notes/actions/share-note@2.1.0");
	is(a->intent, "give somebody a link to a note");
	is(action_title(a), "Share a note");
	is(action_description(a), "Sends a read-only link to people.\n\nA person is asked first.");
	assert_string_equal(a->hash.p + 7, sha256_hex(buf_str(&text), hex));
	assert_int_equal(a->n_connectors, 1);
	is(a->connectors[0].name, NOTES);
	assert_int_equal(a->connectors[0].capabilities.n, 3);
	assert_false(a->connectors[0].unpinned);
	assert_int_equal(a->connectors[0].line, 7);
	is(a->connectors[0].hosts.items[1], "files.notes.example:8443");
	assert_true(a->approval_required && a->approval_editable && a->approval_grants);

	assert_int_equal(a->n_inputs, 8);
	assert_true(a->inputs[0].required && !a->inputs[1].required);
	is(a->inputs[0].label, "Note");
	is(a->inputs[1].label, "");
	assert_true(a->inputs[2].multiline);
	assert_int_equal(a->inputs[3].type, ACTION_ARRAY);
	assert_int_equal(a->inputs[3].items, ACTION_STRING);
	assert_int_equal(a->inputs[4].type, ACTION_OBJECT);
	assert_int_equal(a->inputs[5].type, ACTION_INTEGER);
	assert_int_equal(a->inputs[6].type, ACTION_NUMBER);
	assert_int_equal(a->inputs[7].type, ACTION_BOOLEAN);

	assert_int_equal(a->n_steps, 2);
	is(a->steps[1].id, "share");
	is(a->steps[1].op, "share_note");
	assert_true(a->steps[0].has_idempotent && a->steps[0].idempotent);
	assert_true(a->steps[1].has_idempotent && !a->steps[1].idempotent);
	assert_int_equal(a->steps[0].effect, ACTION_READ);
	assert_int_equal(a->steps[1].effect, ACTION_WRITE);
	json_is(a->steps[0].inputs, "{\"id\":\"${args.note_id}\"}");
	json_is(a->steps[1].inputs,
		"{\"title\":\"Shared: ${args.note_id}\",\"body\":\"${args.message}\",\"link\":\"${find.url}\","
		"\"mode\":\"read\",\"until\":\"2026-12-31\",\"limits\":{\"views\":10,\"rate\":0.5},"
		"\"tags\":[\"shared\",\"${args.note_id}\",\"${args.part}\"],\"public\":false}");

	assert_true(a->preview.present);
	is(a->preview.op, "get_note");
	json_is(a->preview.args, "{\"id\":\"${args.note_id}\",\"options\":{\"parts\":[\"head\",\"${args.part}\"]}}");
	assert_int_equal(a->preview.n_render, 4);
	is(a->preview.render[0].label, "Title");
	is(a->preview.render[1].path, "note.headers.Owner");
	is(a->preview.render[2].label, "First tag");
	assert_true(a->preview.render[3].multiline && !a->preview.render[2].multiline);
}

static void what_is_not_given_has_its_default(void **state)
{
	(void)state;
	AUTO(action) *a = accept(FRONT(IDENTITY C1 CN CV "hash = \"sha256:bound-at-release\"\n"
							 "capabilities = [\"get\"]\n" MATCH STEP));
	assert_true(a->connectors[0].unpinned);
	assert_null(a->connectors[0].hosts.items);
	assert_null(a->steps[0].inputs);
	assert_false(a->steps[0].has_idempotent);
	assert_int_equal(a->steps[0].effect, ACTION_EFFECT_UNKNOWN);
	assert_false(a->approval_required || a->approval_editable || a->approval_grants || a->preview.present);
	is(action_title(a), "read one");
	is(action_description(a), "read one");
}

static void text_with_dollars_that_is_no_reference_stays(void **state)
{
	(void)state;
	AUTO(action) *a = accept(FRONT(HEAD STEP "[execute.inputs]\n"
						 "a = \"$5 ${HOME} ${} ${.x} $${ {s.x} ${other\"\n"));
	json_is(a->steps[0].inputs, "{\"a\":\"$5 ${HOME} ${} ${.x} $${ {s.x} ${other\"}");
}

static void the_first_heading_is_the_title(void **state)
{
	(void)state;
	static const struct {
		const char *body, *title, *description;
	} rows[] = {
		{"", "read one", "read one"},
		{"text", "read one", "text"},
		{"# Title\n", "Title", "read one"},
		{"\n## Title ##\n\ntext\n", "Title", "text"},
		{"#Title\n", "read one", "#Title"},
		{"####### Title\n", "read one", "####### Title"},
		{"before\n# C#\nafter\n", "C#", "before\nafter"},
		{"```\n# no\n```\n# Yes\n", "Yes", "```\n# no\n```"},
		{"#\n# Second\n", "Second", "#"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_BUF text = BUF_INIT(1 << 16);
		buf_addf(&text, "%s%s", GOOD, rows[i].body);
		AUTO(action) *a = accept(text.p);
		is(action_title(a), rows[i].title);
		is(action_description(a), rows[i].description);
	}
}

/* ---- the examples ---- */

static void the_examples_are_a_set(void **state)
{
	(void)state;
	static const char *const names[] = {"list-notes", "add-note", "welcome-note"};
	struct action *actions[ARRAY_LEN(names)];
	const struct action *set[ARRAY_LEN(names)];
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[256];
		AUTO_BUF text = BUF_INIT(ACTION_MAX);
		snprintf(path, sizeof path, SOURCE_DIR "/examples/actions/%s.md", names[i]);
		assert_int_equal(file_read(path, &text, &err), 0);
		set[i] = actions[i] = accept(text.p);
		is(set[i]->name, names[i]);
		for (size_t step = 0; step < set[i]->n_steps; step++)
			assert_int_equal(action_check_step(set[i], step, &err), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (action_check_in_set(set[i], set, ARRAY_LEN(names), &err) != 0)
			fail_msg("%s: %s", names[i], err.message);
	}
	assert_true(action_hints(set[0]).read_only && !action_hints(set[1]).read_only);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		action_free(actions[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_envelope_is_two_lines_around_toml),
		cmocka_unit_test(carriage_returns_before_line_ends_do_not_matter),
		cmocka_unit_test(what_is_no_envelope_is_told_with_its_line),
		cmocka_unit_test(a_delimiter_ends_the_front_matter_even_in_a_string),
		cmocka_unit_test(a_file_that_is_too_large_is_refused),
		cmocka_unit_test(bad_toml_and_unknown_keys_are_parse_errors),
		cmocka_unit_test(every_rule_has_its_line),
		cmocka_unit_test(every_rule_of_preview_and_steps_has_its_line),
		cmocka_unit_test(what_is_counted_has_a_most),
		cmocka_unit_test(words_have_a_most),
		cmocka_unit_test(reads_the_gated_example),
		cmocka_unit_test(what_is_not_given_has_its_default),
		cmocka_unit_test(text_with_dollars_that_is_no_reference_stays),
		cmocka_unit_test(the_first_heading_is_the_title),
		cmocka_unit_test(the_examples_are_a_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
