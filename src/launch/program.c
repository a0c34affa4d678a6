#include "launch/program.h"
#include "text/json.h"
#include "text/json_members.h"
#include "text/jsonc_edit.h"
#include "text/toml.h"
#include "text/toml_edit.h"
#include "text/yaml.h"
#include "text/yaml_edit.h"

#define GOOSE_TIMEOUT_S 300

const struct program programs[] = {
	{
		.name = "claude",
		.title = "Claude Code",
		.command = "claude",
		.how_to_install = "npm install -g @anthropic-ai/claude-code",
		.variable = "CLAUDE_CONFIG_DIR",
		.in_variable = ".claude.json",
		.base = "HOME",
		.in_base = ".claude.json",
		.syntax = PROGRAM_JSON,
		.key = "mcpServers",
		.entry = PROGRAM_ENTRY_STDIO,
		.launch = PROGRAM_LAUNCH_CLAUDE,
		.route = PROGRAM_ROUTE_ANTHROPIC,
	},
	{
		.name = "codex",
		.title = "Codex",
		.command = "codex",
		.how_to_install = "npm install -g @openai/codex",
		.variable = "CODEX_HOME",
		.in_variable = "config.toml",
		.base = "HOME",
		.in_base = ".codex/config.toml",
		.syntax = PROGRAM_TOML,
		.key = "mcp_servers",
		.entry = PROGRAM_ENTRY_CODEX,
		.launch = PROGRAM_LAUNCH_OVERRIDES,
		.route = PROGRAM_ROUTE_OPENAI,
	},
	{
		.name = "goose",
		.title = "goose",
		.command = "goose",
		.how_to_install = "see https://goose-docs.ai",
		.base = "XDG_CONFIG_HOME",
		.in_base = "goose/config.yaml",
		.syntax = PROGRAM_YAML,
		.key = "extensions",
		.entry = PROGRAM_ENTRY_GOOSE,
		.launch = PROGRAM_LAUNCH_EXTENSION,
	},
	{
		.name = "opencode",
		.title = "opencode",
		.command = "opencode",
		.how_to_install = "npm install -g opencode-ai",
		.base = "XDG_CONFIG_HOME",
		.in_base = "opencode/opencode.json",
		.instead = "opencode/opencode.jsonc",
		.syntax = PROGRAM_JSON,
		.key = "mcp",
		.entry = PROGRAM_ENTRY_OPENCODE,
		.launch = PROGRAM_LAUNCH_CONTENT,
	},
	{
		/* For one run it takes settings from files of root's alone. */
		.name = "gemini",
		.title = "Gemini CLI",
		.how_to_install = "npm install -g @google/gemini-cli",
		.variable = "GEMINI_CLI_HOME",
		.in_variable = ".gemini/settings.json",
		.base = "HOME",
		.in_base = ".gemini/settings.json",
		.syntax = PROGRAM_JSON,
		.key = "mcpServers",
		.entry = PROGRAM_ENTRY_TRUSTED,
	},
	{
		.name = "cursor",
		.title = "Cursor",
		.how_to_install = "see https://cursor.com",
		.base = "HOME",
		.in_base = ".cursor/mcp.json",
		.syntax = PROGRAM_JSON,
		.key = "mcpServers",
		.entry = PROGRAM_ENTRY_STDIO,
	},
	{
		.name = "vscode",
		.title = "Visual Studio Code",
		.how_to_install = "see https://code.visualstudio.com",
		.base = "XDG_CONFIG_HOME",
		.in_base = "Code/User/mcp.json",
		.syntax = PROGRAM_JSON,
		.key = "servers",
		.entry = PROGRAM_ENTRY_STDIO,
	},
	{
		.name = "pi",
		.title = "pi with pi-mcp-adapter",
		.command = "pi",
		.how_to_install = "see https://pi.dev, then `pi install npm:pi-mcp-adapter`",
		.variable = "PI_CODING_AGENT_DIR",
		.in_variable = "mcp.json",
		.base = "HOME",
		.in_base = ".pi/agent/mcp.json",
		.syntax = PROGRAM_JSON,
		.key = "mcpServers",
		.entry = PROGRAM_ENTRY_PLAIN,
		.launch = PROGRAM_LAUNCH_PI,
	},
	{.name = NULL},
};

const struct program *program_named(struct str name)
{
	for (const struct program *program = programs; program->name != NULL; program++) {
		if (str_eq(name, str_from(program->name)))
			return program;
	}
	return NULL;
}

struct str program_names(struct arena *arena, bool launched)
{
	struct str all = STR_EMPTY;
	for (const struct program *program = programs; program->name != NULL; program++) {
		if (!launched || program->launch != PROGRAM_LAUNCH_NONE)
			all = arena_printf(arena, "%.*s%s%s", STR_FMT(all), all.n > 0 ? ", " : "", program->name);
	}
	return all;
}

/* ------------------------------------------------------------------------------------------------------------- the file */

static const char *set_variable(program_variable *variable, void *user, const char *name)
{
	const char *value = variable(user, name);
	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* What the XDG Base Directory Specification 0.8 says of a path that is not absolute: it is ignored. */
static int base_folder(const struct program *program, struct arena *arena, program_variable *variable, void *user,
		       struct str *ret, struct err *err)
{
	const char *base = set_variable(variable, user, program->base);
	const char *home = set_variable(variable, user, "HOME");
	if (base != NULL && base[0] == '/')
		*ret = arena_printf(arena, "%s", base);
	else if (home == NULL || home[0] != '/')
		return fail(err, ERR_SYSTEM, "HOME does not say where the files of %s are", program->title);
	else if (strcmp(program->base, "HOME") == 0)
		*ret = arena_printf(arena, "%s", home);
	else
		*ret = arena_printf(arena, "%s/.config", home);
	return 0;
}

int program_paths(const struct program *program, struct arena *arena, program_variable *variable, void *user,
		  struct program_paths *ret, struct err *err)
{
	const char *folder = program->variable != NULL ? set_variable(variable, user, program->variable) : NULL;
	struct str base;
	if (folder != NULL) {
		*ret = (struct program_paths){.file = arena_printf(arena, "%s/%s", folder, program->in_variable)};
		return 0;
	}
	if (base_folder(program, arena, variable, user, &base, err) < 0)
		return -1;
	*ret = (struct program_paths){.file = arena_printf(arena, "%.*s/%s", STR_FMT(base), program->in_base)};
	if (program->instead != NULL)
		ret->instead = arena_printf(arena, "%.*s/%s", STR_FMT(base), program->instead);
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------ the entry */

static void put_arguments(struct json_writer *w, const struct program_guest *guest)
{
	jsonw_str(w, S("mcp"));
	jsonw_str(w, S("--as"));
	jsonw_str(w, guest->id);
}

static void put_environment(struct json_writer *w, const char *name, const struct program_guest *guest)
{
	if (guest->state_home.n == 0)
		return;
	member_begin_object(w, name);
	member_str(w, "AILERON_HOME", guest->state_home);
	jsonw_end_object(w);
}

static void put_json(const struct program *program, const struct program_guest *guest, struct buf *out)
{
	struct json_writer w;
	jsonw_init(&w, out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	if (program->entry == PROGRAM_ENTRY_OPENCODE) {
		member_str(&w, "type", S("local"));
		member_begin_array(&w, "command");
		jsonw_str(&w, guest->path);
		put_arguments(&w, guest);
		jsonw_end_array(&w);
		member_bool(&w, "enabled", true);
		put_environment(&w, "environment", guest);
	} else {
		if (program->entry == PROGRAM_ENTRY_STDIO)
			member_str(&w, "type", S("stdio"));
		member_str(&w, "command", guest->path);
		member_begin_array(&w, "args");
		put_arguments(&w, guest);
		jsonw_end_array(&w);
		put_environment(&w, "env", guest);
		if (program->entry == PROGRAM_ENTRY_TRUSTED)
			member_bool(&w, "trust", true);
	}
	jsonw_end_object(&w);
}

static void put_toml(const struct program_guest *guest, struct buf *out)
{
	buf_add_z(out, "command = ");
	toml_put_text(out, guest->path);
	buf_add_z(out, "\nargs = [\"mcp\", \"--as\", ");
	toml_put_text(out, guest->id);
	buf_add_z(out, "]\ndefault_tools_approval_mode = \"approve\"\n");
	if (guest->state_home.n == 0)
		return;
	buf_add_z(out, "env = { AILERON_HOME = ");
	toml_put_text(out, guest->state_home);
	buf_add_z(out, " }\n");
}

static void put_yaml(const struct program_guest *guest, struct buf *out)
{
	buf_add_z(out, "type: stdio\nname: " PROGRAM_SERVER "\nenabled: true\ncmd: ");
	yaml_put_text(out, guest->path);
	buf_add_z(out, "\nargs:\n  - mcp\n  - --as\n  - ");
	yaml_put_text(out, guest->id);
	if (guest->state_home.n > 0) {
		buf_add_z(out, "\nenvs:\n  AILERON_HOME: ");
		yaml_put_text(out, guest->state_home);
	}
	buf_addf(out, "\ntimeout: %d\n", GOOSE_TIMEOUT_S);
}

int program_put_entry(const struct program *program, const struct program_guest *guest, struct buf *out,
		      struct err *err)
{
	switch (program->syntax) {
	case PROGRAM_JSON:
		put_json(program, guest, out);
		break;
	case PROGRAM_TOML:
		put_toml(guest, out);
		break;
	case PROGRAM_YAML:
		put_yaml(guest, out);
		break;
	}
	return buf_check(out, "the entry", err);
}

/* -------------------------------------------------------------------------------------------------- finding it again */

static bool is_id(struct str id)
{
	for (size_t i = 0; i < id.n; i++) {
		if (!((id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'A' && id.p[i] <= 'Z')))
			return false;
	}
	return id.n == PROGRAM_ID_SIZE - 1;
}

/* Ours is what starts the guest, wherever it lies, and says as whom. `words` are the command and its arguments. */
#define WORDS 4
static enum program_found judge(const struct str words[WORDS], size_t n, char ret_id[PROGRAM_ID_SIZE])
{
	if (n != WORDS)
		return PROGRAM_FOREIGN;
	size_t slash = str_find_last_char(words[0], '/');
	struct str base = slash == STR_NPOS ? words[0] : str_slice(words[0], slash + 1, words[0].n);
	if ((!str_eq(base, S("aileron-guest")) && !str_eq(base, S("aileron-mcp"))) || !str_eq(words[1], S("mcp")) ||
	    !str_eq(words[2], S("--as")) || !is_id(words[3]))
		return PROGRAM_FOREIGN;
	memcpy(ret_id, words[3].p, words[3].n);
	ret_id[words[3].n] = '\0';
	return PROGRAM_OURS;
}

static size_t take_json(const struct json *value, struct str words[WORDS], size_t n)
{
	if (n < WORDS && json_get_str(value, &words[n]))
		return n + 1;
	for (size_t i = 0; i < json_length(value); i++) {
		struct str text;
		if (!json_get_str(json_at(value, i), &text) || n == WORDS)
			return WORDS + 1;
		words[n++] = text;
	}
	return n;
}

static int find_json(const struct program *program, struct str text, const char *file, enum program_found *ret,
		     char ret_id[PROGRAM_ID_SIZE], struct err *err)
{
	AUTO_BUF plain = BUF_INIT(PROGRAM_FILE_MAX + 1);
	if (jsonc_strip(text, file, &plain, err) < 0)
		return -1;
	AUTO(json) *root = str_blank(buf_str(&plain)) ? json_parse(S("{}"), JSON_READ_STRICT, err)
						      : json_parse(buf_str(&plain), JSON_READ_STRICT, err);
	if (root == NULL)
		return wrap(err, "reading '%s'", file);
	const struct json *entry = json_member(json_member(root, str_from(program->key)), S(PROGRAM_SERVER));
	struct str words[WORDS];
	size_t n = take_json(json_member(entry, S("command")), words, 0);
	n = take_json(json_member(entry, S("args")), words, n);
	*ret = entry != NULL ? judge(words, n, ret_id) : PROGRAM_ABSENT;
	return 0;
}

static int find_toml(const struct program *program, struct str text, const char *file, enum program_found *ret,
		     char ret_id[PROGRAM_ID_SIZE], struct err *err)
{
	AUTO(arena) *arena = arena_new();
	const struct toml_value *root;
	if (toml_parse(arena, text, file, &root, err) < 0)
		return -1;
	const struct toml_value *entry = toml_member(toml_member(root, str_from(program->key)), S(PROGRAM_SERVER));
	struct str words[WORDS];
	struct toml_iter it;
	size_t n = toml_get_str(toml_member(entry, S("command")), &words[0]) ? 1 : 0;
	for (toml_iter_init(&it, toml_member(entry, S("args"))); n <= WORDS && toml_iter_next(&it); n++) {
		if (n == WORDS || !toml_get_str(it.value, &words[n]))
			n = WORDS;
	}
	*ret = entry != NULL ? judge(words, n, ret_id) : PROGRAM_ABSENT;
	return 0;
}

static int find_yaml(const struct program *program, struct str text, const char *file, enum program_found *ret,
		     char ret_id[PROGRAM_ID_SIZE], struct err *err)
{
	AUTO(arena) *arena = arena_new();
	const struct yaml_value *root;
	if (yaml_parse(arena, text, file, &root, err) < 0)
		return -1;
	const struct yaml_value *entry = yaml_member(yaml_member(root, str_from(program->key)), S(PROGRAM_SERVER));
	struct str words[WORDS];
	struct yaml_iter it;
	size_t n = yaml_get_str(yaml_member(entry, S("cmd")), &words[0]) ? 1 : 0;
	for (yaml_iter_init(&it, yaml_member(entry, S("args"))); n <= WORDS && yaml_iter_next(&it); n++) {
		if (n == WORDS || !yaml_get_text(it.value, &words[n]))
			n = WORDS;
	}
	*ret = entry != NULL ? judge(words, n, ret_id) : PROGRAM_ABSENT;
	return 0;
}

int program_find(const struct program *program, struct str text, const char *file, enum program_found *ret,
		 char ret_id[PROGRAM_ID_SIZE], struct err *err)
{
	switch (program->syntax) {
	case PROGRAM_JSON:
		return find_json(program, text, file, ret, ret_id, err);
	case PROGRAM_TOML:
		return find_toml(program, text, file, ret, ret_id, err);
	case PROGRAM_YAML:
		return find_yaml(program, text, file, ret, ret_id, err);
	}
	BUG("syntax %d", (int)program->syntax);
}

int program_edit(const struct program *program, struct str text, const char *file, struct str entry, struct buf *out,
		 struct err *err)
{
	const struct str path[] = {str_from(program->key), S(PROGRAM_SERVER)};
	const struct jsonc_edit json = {path, ARRAY_LEN(path), entry};
	const struct toml_edit toml = {path, ARRAY_LEN(path), entry};
	const struct yaml_edit yaml = {path, ARRAY_LEN(path), entry};
	switch (program->syntax) {
	case PROGRAM_JSON:
		return jsonc_edit(text, file, &json, out, NULL, err);
	case PROGRAM_TOML:
		return toml_edit(text, file, &toml, out, NULL, err);
	case PROGRAM_YAML:
		return yaml_edit(text, file, &yaml, out, NULL, err);
	}
	BUG("syntax %d", (int)program->syntax);
}
