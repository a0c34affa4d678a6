#include "base/mem.h"
#include "launch/plan.h"
#include "text/json.h"
#include "text/toml.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ID    "01JZ0000000000000000000000"
#define OTHER "01JZ0000000000000000000001"
#define GUEST "/opt/aileron/bin/aileron-guest"

static struct err err;

/* ------------------------------------------------------------------------------------------------------------- files */

/* Files as people keep them, and as they are with us: everything else byte for byte. */
static const struct {
	const char *agent, *before, *after;
} files[] = {
	{"claude", "",
	 "{\n  \"mcpServers\": {\n    \"aileron\": {\n      \"type\": \"stdio\",\n      \"command\": \"" GUEST
	 "\",\n      \"args\": [\"mcp\",\"--as\",\"" ID "\"]\n    }\n  }\n}\n"},
	{"claude",
	 "{\n  // mine\n  \"mcpServers\": {\n    \"other\": {\"command\": \"x\"} // keep\n  },\n  \"n\": 1.50\n}\n",
	 "{\n  // mine\n  \"mcpServers\": {\n    \"other\": {\"command\": \"x\"}, // keep\n    \"aileron\": {\n"
	 "      \"type\": \"stdio\",\n      \"command\": \"" GUEST "\",\n      \"args\": [\"mcp\",\"--as\",\"" ID
	 "\"]\n    }\n  },\n  \"n\": 1.50\n}\n"},
	{"codex", "# mine\nmodel = \"m\" # why\n\n[mcp_servers.other]\ncommand = 'x'\n",
	 "# mine\nmodel = \"m\" # why\n\n[mcp_servers.other]\ncommand = 'x'\n\n[mcp_servers.aileron]\ncommand = "
	 "\"" GUEST "\"\nargs = [\"mcp\", \"--as\", \"" ID "\"]\ndefault_tools_approval_mode = \"approve\"\n"},
	{"goose", "# mine\nGOOSE_MODE: approve\nextensions:\n  developer:\n    enabled: true # yes\n",
	 "# mine\nGOOSE_MODE: approve\nextensions:\n  developer:\n    enabled: true # yes\n  aileron:\n    type: "
	 "stdio\n"
	 "    name: aileron\n    enabled: true\n    cmd: " GUEST "\n    args:\n      - mcp\n      - --as\n      - \"" ID
	 "\"\n    timeout: 300\n"},
	{"opencode", "{\n  \"$schema\": \"s\", // mine\n}\n",
	 "{\n  \"$schema\": \"s\", // mine\n  \"mcp\": {\n    \"aileron\": {\n      \"type\": \"local\",\n"
	 "      \"command\": [\"" GUEST "\",\"mcp\",\"--as\",\"" ID "\"],\n      \"enabled\": true\n    }\n  },\n}\n"},
	{"gemini", "{\n  \"ui\": {}\n}\n",
	 "{\n  \"ui\": {},\n  \"mcpServers\": {\n    \"aileron\": {\n      \"command\": \"" GUEST
	 "\",\n      \"args\": [\"mcp\",\"--as\",\"" ID "\"],\n      \"trust\": true\n    }\n  }\n}\n"},
	{"cursor", "{}\n",
	 "{\n  \"mcpServers\": {\n    \"aileron\": {\n      \"type\": \"stdio\",\n      \"command\": \"" GUEST
	 "\",\n      \"args\": [\"mcp\",\"--as\",\"" ID "\"]\n    }\n  }\n}\n"},
	{"vscode", "{\n\t\"servers\": {}\n}\n",
	 "{\n\t\"servers\": {\n\t\t\"aileron\": {\n\t\t\t\"type\": \"stdio\",\n\t\t\t\"command\": \"" GUEST
	 "\",\n\t\t\t\"args\": [\"mcp\",\"--as\",\"" ID "\"]\n\t\t}\n\t}\n}\n"},
	{"pi", "",
	 "{\n  \"mcpServers\": {\n    \"aileron\": {\n      \"command\": \"" GUEST
	 "\",\n      \"args\": [\"mcp\",\"--as\",\"" ID "\"]\n    }\n  }\n}\n"},
};

static void edit(const struct program *program, struct str text, const char *id, struct buf *out)
{
	const struct program_guest guest = {S(GUEST), str_from(id), STR_EMPTY};
	AUTO_BUF entry = BUF_INIT(10000);
	assert_int_equal(program_put_entry(program, &guest, &entry, &err), 0);
	if (program_edit(program, text, "file", buf_str(&entry), out, &err) < 0)
		fail_msg("%s: %s", program->name, err.message);
}

static enum program_found find(const struct program *program, struct str text, char id[PROGRAM_ID_SIZE])
{
	enum program_found found;
	if (program_find(program, text, "file", &found, id, &err) < 0)
		fail_msg("%s: %s", program->name, err.message);
	return found;
}

static void test_there_and_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		const struct program *program = program_named(str_from(files[i].agent));
		AUTO_BUF after = BUF_INIT(100000), again = BUF_INIT(100000), other = BUF_INIT(100000);
		AUTO_BUF back = BUF_INIT(100000);
		char id[PROGRAM_ID_SIZE] = "";
		assert_int_equal(find(program, str_from(files[i].before), id), PROGRAM_ABSENT);
		edit(program, str_from(files[i].before), ID, &after);
		if (strcmp(after.p, files[i].after) != 0)
			fail_msg("%s gives:\n%s", program->name, after.p);
		assert_int_equal(find(program, buf_str(&after), id), PROGRAM_OURS);
		assert_string_equal(id, ID);
		/* The same entry once more changes nothing; another one replaces it. */
		edit(program, buf_str(&after), ID, &again);
		assert_string_equal(again.p, after.p);
		edit(program, buf_str(&after), OTHER, &other);
		assert_int_equal(find(program, buf_str(&other), id), PROGRAM_OURS);
		assert_string_equal(id, OTHER);
		assert_int_equal(program_edit(program, buf_str(&other), "file", (struct str){0}, &back, &err), 0);
		assert_int_equal(find(program, buf_str(&back), id), PROGRAM_ABSENT);
	}
}

static void test_whose_it_is(void **state)
{
	(void)state;
	static const struct {
		const char *agent, *text;
		enum program_found found;
	} cases[] = {
		{"claude",
		 "{\"mcpServers\":{\"aileron\":{\"command\":\"/old/aileron-mcp\",\"args\":[\"mcp\",\"--as\",\"" ID
		 "\"]}}}",
		 PROGRAM_OURS},
		{"claude", "{\"mcpServers\":{\"aileron\":{\"command\":\"mine\"}}}", PROGRAM_FOREIGN},
		{"claude",
		 "{\"mcpServers\":{\"aileron\":{\"command\":\"aileron-guest\",\"args\":[\"mcp\",\"--as\",\"x\"]}}}",
		 PROGRAM_FOREIGN},
		{"claude",
		 "{\"mcpServers\":{\"aileron\":{\"command\":\"aileron-guest\",\"args\":[\"mcp\",\"--as\",\"" ID
		 "\",\"more\"]}}}",
		 PROGRAM_FOREIGN},
		{"claude", "{\"mcpServers\":{\"aileron\":{\"command\":\"aileron-guest\",\"args\":[1,2,3]}}}",
		 PROGRAM_FOREIGN},
		{"claude", "{\"mcpServers\":{\"aileron\":{\"url\":\"http://x\"}}}", PROGRAM_FOREIGN},
		{"claude", "{\"mcpServers\":{\"aileron\":null}}", PROGRAM_FOREIGN},
		{"claude", "{\"mcpServers\":7}", PROGRAM_ABSENT},
		{"opencode", "{\"mcp\":{\"aileron\":{\"command\":[\"sh\",\"mcp\",\"--as\",\"" ID "\"]}}}",
		 PROGRAM_FOREIGN},
		{"codex", "[mcp_servers.aileron]\nurl = \"http://x\"\n", PROGRAM_FOREIGN},
		{"codex", "[mcp_servers.aileron]\ncommand = \"aileron-guest\"\nargs = [\"mcp\", 1, \"x\"]\n",
		 PROGRAM_FOREIGN},
		{"goose", "extensions:\n  aileron:\n    cmd: mine\n", PROGRAM_FOREIGN},
		{"goose", "extensions:\n  aileron:\n    cmd: aileron-guest\n    args: [mcp, --as, " ID ", x, y]\n",
		 PROGRAM_FOREIGN},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char id[PROGRAM_ID_SIZE];
		if (find(program_named(str_from(cases[i].agent)), str_from(cases[i].text), id) != cases[i].found)
			fail_msg("case %zu", i);
	}
	enum program_found found;
	char id[PROGRAM_ID_SIZE];
	assert_int_equal(program_find(program_named(S("claude")), S("{\n\"a\": ;}"), "f.json", &found, id, &err), -1);
	assert_int_equal(err.class, ERR_PARSE_ERROR);
	assert_int_equal(program_find(program_named(S("codex")), S("a = "), "f.toml", &found, id, &err), -1);
	assert_int_equal(program_find(program_named(S("goose")), S("a: [\n"), "f.yaml", &found, id, &err), -1);
}

/* ------------------------------------------------------------------------------------------------------------- paths */

static const char *variable(void *user, const char *name)
{
	for (const char *const *pair = user; pair[0] != NULL; pair += 2) {
		if (strcmp(pair[0], name) == 0)
			return pair[1];
	}
	return NULL;
}

static void path_is(const char *agent, const char *const *variables, const char *expected)
{
	AUTO(arena) *arena = arena_new();
	struct program_paths paths;
	const struct program *program = program_named(str_from(agent));
	assert_int_equal(program_paths(program, arena, variable, (void *)(uintptr_t)variables, &paths, &err), 0);
	assert_string_equal(paths.file.p, expected);
}

static void test_paths(void **state)
{
	(void)state;
	static const char *const home[] = {"HOME", "/h", NULL};
	static const char *const all[] = {"HOME",
					  "/h",
					  "CLAUDE_CONFIG_DIR",
					  "/c",
					  "CODEX_HOME",
					  "/x",
					  "XDG_CONFIG_HOME",
					  "/g",
					  "PI_CODING_AGENT_DIR",
					  "/p",
					  "GEMINI_CLI_HOME",
					  "/m",
					  NULL};
	static const char *const relative[] = {"HOME", "/h", "XDG_CONFIG_HOME", "g", "CODEX_HOME", "", NULL};
	static const char *const nothing[] = {NULL};
	path_is("claude", home, "/h/.claude.json");
	path_is("codex", home, "/h/.codex/config.toml");
	path_is("goose", home, "/h/.config/goose/config.yaml");
	path_is("opencode", home, "/h/.config/opencode/opencode.json");
	path_is("gemini", home, "/h/.gemini/settings.json");
	path_is("cursor", home, "/h/.cursor/mcp.json");
	path_is("vscode", home, "/h/.config/Code/User/mcp.json");
	path_is("pi", home, "/h/.pi/agent/mcp.json");
	path_is("claude", all, "/c/.claude.json");
	path_is("codex", all, "/x/config.toml");
	path_is("goose", all, "/g/goose/config.yaml");
	path_is("pi", all, "/p/mcp.json");
	path_is("gemini", all, "/m/.gemini/settings.json");
	path_is("vscode", relative, "/h/.config/Code/User/mcp.json");
	path_is("codex", relative, "/h/.codex/config.toml");
	AUTO(arena) *arena = arena_new();
	struct program_paths paths;
	assert_int_equal(
		program_paths(program_named(S("claude")), arena, variable, (void *)(uintptr_t)nothing, &paths, &err),
		-1);
}

/* -------------------------------------------------------------------------------------------------------------- plans */

static struct plan plan_of(struct arena *arena, const char *agent, const char *const *arguments, size_t n)
{
	const struct plan_input input = {
		.program = program_named(str_from(agent)),
		.guest = {S(GUEST), S(ID), S("/state")},
		.folder = S("/run/here"),
		.anthropic_url = S("http://127.0.0.1:1/llm/SECRET/anthropic"),
		.openai_url = S("http://127.0.0.1:1/llm/SECRET/openai/v1"),
		.arguments = arguments,
		.n_arguments = n,
		.content = S("{\"model\": \"mine\"}"),
	};
	struct plan plan;
	if (plan_make(&input, arena, &plan, &err) < 0)
		fail_msg("%s: %s", agent, err.message);
	return plan;
}

static void test_plans_of_claude_and_pi(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	const char *const arguments[] = {"-p", "hello"};
	struct plan plan = plan_of(arena, "claude", arguments, 2);
	assert_int_equal(plan.n_arguments, 5);
	assert_string_equal(plan.arguments[0].p, "--mcp-config=/run/here/" PLAN_FILE);
	assert_string_equal(plan.arguments[1].p, "--strict-mcp-config");
	assert_string_equal(plan.arguments[2].p, "--allowedTools=mcp__aileron");
	assert_string_equal(plan.arguments[4].p, "hello");
	assert_int_equal(plan.n_variables, 1);
	assert_string_equal(plan.variables[0].name.p, "ANTHROPIC_BASE_URL");
	assert_true(plan.routed);
	assert_int_equal(plan.n_files, 1);
	AUTO(json) *file = json_parse(plan.files[0].text, JSON_READ_STRICT, &err);
	const struct json *entry = json_member(json_member(file, S("mcpServers")), S("aileron"));
	struct str home;
	assert_true(json_get_str(json_member(json_member(entry, S("env")), S("AILERON_HOME")), &home));
	assert_true(str_eq(home, S("/state")));
	plan = plan_of(arena, "pi", arguments, 2);
	assert_int_equal(plan.n_arguments, 3);
	assert_false(plan.routed);
}

/* Each override is TOML, and together they are the table. */
static void test_plan_of_codex(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	const char *const arguments[] = {"exec", "hello"};
	struct plan plan = plan_of(arena, "codex", arguments, 2);
	AUTO_BUF text = BUF_INIT(10000);
	size_t i = 0;
	for (; str_eq(plan.arguments[i], S("-c")); i += 2)
		buf_addf(&text, "%.*s\n", STR_FMT(plan.arguments[i + 1]));
	assert_int_equal(i + 2, plan.n_arguments);
	const struct toml_value *root;
	if (toml_parse(arena, buf_str(&text), "overrides", &root, &err) < 0)
		fail_msg("%s in\n%s", err.message, text.p);
	const struct toml_value *server = toml_member(toml_member(root, S("mcp_servers")), S("aileron"));
	struct str word;
	assert_true(toml_get_str(toml_member(server, S("command")), &word) && str_eq(word, S(GUEST)));
	assert_int_equal(toml_length(toml_member(server, S("args"))), 3);
	assert_true(toml_get_str(toml_member(root, S("model_provider")), &word) && str_eq(word, S("aileron")));
	const struct toml_value *provider = toml_member(toml_member(root, S("model_providers")), S("aileron"));
	assert_true(toml_get_str(toml_member(provider, S("wire_api")), &word) && str_eq(word, S("responses")));
	/* Arguments are for every user to read: what lets the session through is in a variable. */
	assert_true(toml_get_str(toml_member(provider, S("base_url")), &word) &&
		    str_eq(word, S("http://127.0.0.1:1/llm/-/openai/v1")));
	assert_true(toml_get_str(toml_member(toml_member(provider, S("env_http_headers")), S("Aileron-Capability")),
				 &word));
	assert_int_equal(plan.n_variables, 1);
	assert_true(str_eq(plan.variables[0].name, word) && str_eq(plan.variables[0].value, S("SECRET")));
	for (i = 0; i < plan.n_arguments; i++)
		assert_int_equal(str_find(plan.arguments[i], S("SECRET")), STR_NPOS);
	assert_int_equal(plan.n_files, 0);
}

static void test_plans_of_opencode_and_goose(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	struct plan plan = plan_of(arena, "opencode", NULL, 0);
	assert_int_equal(plan.n_variables, 1);
	AUTO(json) *content = json_parse(plan.variables[0].value, JSON_READ_STRICT, &err);
	assert_non_null(json_member(json_member(content, S("mcp")), S("aileron")));
	assert_non_null(json_member(content, S("model")));
	const char *const arguments[] = {"run", "-t", "hello"};
	plan = plan_of(arena, "goose", arguments, 3);
	assert_int_equal(plan.n_arguments, 5);
	assert_string_equal(plan.arguments[1].p, "--with-extension");
	assert_string_equal(plan.arguments[2].p, "AILERON_HOME=/state " GUEST " mcp --as " ID);
	plan = plan_of(arena, "goose", NULL, 0);
	assert_string_equal(plan.arguments[0].p, "session");
}

static void test_placeholders(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	static const char *const agents[] = {"claude", "codex"};
	static const char *const names[] = {"ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY"};
	for (size_t i = 0; i < ARRAY_LEN(agents); i++) {
		struct plan_input input = {.program = program_named(str_from(agents[i])),
					   .guest = {S(GUEST), S(ID), STR_EMPTY},
					   .anthropic_url = S("http://127.0.0.1:1/llm/C/anthropic"),
					   .openai_url = S("http://127.0.0.1:1/llm/C/openai/v1"),
					   .anthropic_injected = true,
					   .openai_injected = true};
		struct plan plan;
		assert_int_equal(plan_make(&input, arena, &plan, &err), 0);
		const struct plan_variable *last = &plan.variables[plan.n_variables - 1];
		assert_true(str_eq(last->name, str_from(names[i])) && str_eq(last->value, S(PLAN_PLACEHOLDER)));
		/* Without the gateway there is nothing that would put the key in. */
		input.anthropic_url = input.openai_url = STR_EMPTY;
		assert_int_equal(plan_make(&input, arena, &plan, &err), 0);
		assert_int_equal(plan.n_variables, 0);
		assert_false(plan.routed);
	}
}

static void test_plans_that_cannot_be(void **state)
{
	(void)state;
	AUTO(arena) *arena = arena_new();
	struct plan plan;
	const char *const arguments[] = {"configure"};
	struct plan_input input = {.program = program_named(S("goose")),
				   .guest = {S(GUEST), S(ID), STR_EMPTY},
				   .arguments = arguments,
				   .n_arguments = 1};
	assert_int_equal(plan_make(&input, arena, &plan, &err), -1);
	assert_int_equal(err.class, ERR_USAGE);
	input.n_arguments = 0;
	input.guest.path = S("/a b/aileron-guest");
	assert_int_equal(plan_make(&input, arena, &plan, &err), -1);
	assert_non_null(strstr(err.message, "'/a b/aileron-guest'"));
	input.guest.path = S(GUEST);
	input.guest.state_home = S("/c d/.aileron");
	assert_int_equal(plan_make(&input, arena, &plan, &err), -1);
	assert_non_null(strstr(err.message, "'/c d/.aileron'"));
	input.program = program_named(S("gemini"));
	assert_int_equal(plan_make(&input, arena, &plan, &err), -1);
	input.program = program_named(S("opencode"));
	input.content = S("{");
	assert_int_equal(plan_make(&input, arena, &plan, &err), -1);
	const char *many[PLAN_ARGUMENTS_MAX + 1];
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = "x";
	input = (struct plan_input){.program = program_named(S("pi")),
				    .guest = {S(GUEST), S(ID), STR_EMPTY},
				    .arguments = many,
				    .n_arguments = ARRAY_LEN(many)};
	assert_int_equal(plan_make(&input, arena, &plan, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_whose_it_is),
		cmocka_unit_test(test_paths),          cmocka_unit_test(test_plans_of_claude_and_pi),
		cmocka_unit_test(test_plan_of_codex),  cmocka_unit_test(test_plans_of_opencode_and_goose),
		cmocka_unit_test(test_placeholders),   cmocka_unit_test(test_plans_that_cannot_be),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
