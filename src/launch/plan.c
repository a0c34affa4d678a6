#include "launch/plan.h"
#include "text/json_members.h"
#include "text/jsonc_edit.h"
#include "text/toml_edit.h"

#define TEXT_MAX       ((size_t)1 << 20)
#define GATEWAY_PREFIX S("/llm/") /* the capability is behind it */

struct planning {
	const struct plan_input *input;
	struct arena *arena;
	struct plan *plan;
	bool full;
};

static void add_argument(struct planning *p, struct str argument)
{
	if (p->plan->n_arguments == PLAN_ARGUMENTS_MAX)
		p->full = true;
	else
		p->plan->arguments[p->plan->n_arguments++] = argument;
}

static void add_variable(struct planning *p, const char *name, struct str value)
{
	if (p->plan->n_variables == PLAN_VARIABLES_MAX)
		BUG("more than %d variables", PLAN_VARIABLES_MAX);
	p->plan->variables[p->plan->n_variables++] = (struct plan_variable){str_from(name), value};
}

static struct str add_file(struct planning *p, const char *name, struct str text)
{
	if (p->plan->n_files == PLAN_FILES_MAX)
		BUG("more than %d files", PLAN_FILES_MAX);
	struct str path = arena_printf(p->arena, "%.*s/%s", STR_FMT(p->input->folder), name);
	p->plan->files[p->plan->n_files++] = (struct plan_file){path, arena_str(p->arena, text)};
	return path;
}

static void add_persons(struct planning *p, size_t from)
{
	for (size_t i = from; i < p->input->n_arguments; i++)
		add_argument(p, str_from(p->input->arguments[i]));
}

/* A configuration in the program's own form, over one that holds without us. */
static int put_configuration(struct planning *p, struct str before, struct buf *out, struct err *err)
{
	AUTO_BUF entry = BUF_INIT(TEXT_MAX);
	if (program_put_entry(p->input->program, &p->input->guest, &entry, err) < 0)
		return -1;
	return program_edit(p->input->program, before, "the settings", buf_str(&entry), out, err);
}

/* ---------------------------------------------------------------------------------------------------- each program's */

/* "--name=value": a value of its own would be followed, for this program's parser, by the person's first words. */
static int plan_config_file(struct planning *p, struct err *err)
{
	AUTO_BUF text = BUF_INIT(TEXT_MAX);
	if (put_configuration(p, STR_EMPTY, &text, err) < 0)
		return -1;
	struct str path = add_file(p, PLAN_FILE, buf_str(&text));
	add_argument(p, arena_printf(p->arena, "--mcp-config=%.*s", STR_FMT(path)));
	if (p->input->program->launch == PROGRAM_LAUNCH_CLAUDE) {
		add_argument(p, S("--strict-mcp-config"));
		add_argument(p, S("--allowedTools=mcp__" PROGRAM_SERVER));
	}
	add_persons(p, 0);
	return 0;
}

static void add_override(struct planning *p, const char *key, struct str value)
{
	add_argument(p, S("-c"));
	add_argument(p, arena_printf(p->arena, "%s=%.*s", key, STR_FMT(value)));
}

static struct str toml_text(struct planning *p, struct str text)
{
	AUTO_BUF quoted = BUF_INIT(TEXT_MAX);
	toml_put_text(&quoted, text);
	return arena_str(p->arena, buf_str(&quoted));
}

/*
 * Arguments are for every user of the machine to read: what lets a session through goes by a variable, and the base URL has "-"
 * in its place (docs/formats/gateway.md).
 */
static int add_provider(struct planning *p, struct err *err)
{
	struct str url = p->input->openai_url, capability;
	size_t at = str_find(url, GATEWAY_PREFIX);
	if (at == STR_NPOS)
		return fail(err, ERR_PROTOCOL, "the gateway's address has no part '%.*s'", STR_FMT(GATEWAY_PREFIX));
	struct str before = str_slice(url, 0, at + GATEWAY_PREFIX.n);
	struct str behind = str_cut(str_slice(url, before.n, url.n), '/', &capability);
	struct str base = arena_printf(p->arena, "%.*s-/%.*s", STR_FMT(before), STR_FMT(behind));
	add_override(p, "model_provider", S("\"" PROGRAM_SERVER "\""));
	add_override(p, "model_providers." PROGRAM_SERVER,
		     arena_printf(p->arena,
				  "{ name = \"OpenAI by way of Aileron\", base_url = %.*s, "
				  "env_key = \"OPENAI_API_KEY\", wire_api = \"responses\", "
				  "env_http_headers = { \"Aileron-Capability\" = \"" PLAN_CAPABILITY "\" } }",
				  STR_FMT(toml_text(p, base))));
	add_variable(p, PLAN_CAPABILITY, capability);
	if (p->input->openai_injected)
		add_variable(p, "OPENAI_API_KEY", S(PLAN_PLACEHOLDER));
	p->plan->routed = true;
	return 0;
}

static int plan_overrides(struct planning *p, struct err *err)
{
	const struct program_guest *guest = &p->input->guest;
	struct str home = guest->state_home;
	add_override(p, "mcp_servers." PROGRAM_SERVER ".command", toml_text(p, guest->path));
	add_override(p, "mcp_servers." PROGRAM_SERVER ".args",
		     arena_printf(p->arena, "[\"mcp\", \"--as\", %.*s]", STR_FMT(toml_text(p, guest->id))));
	add_override(p, "mcp_servers." PROGRAM_SERVER ".default_tools_approval_mode", S("\"approve\""));
	if (home.n > 0)
		add_override(p, "mcp_servers." PROGRAM_SERVER ".env.AILERON_HOME", toml_text(p, home));
	if (p->input->openai_url.n > 0 && add_provider(p, err) < 0)
		return -1;
	add_persons(p, 0);
	return 0;
}

static int plan_content(struct planning *p, struct err *err)
{
	AUTO_BUF text = BUF_INIT(TEXT_MAX);
	if (put_configuration(p, p->input->content, &text, err) < 0)
		return -1;
	add_variable(p, "OPENCODE_CONFIG_CONTENT", arena_str(p->arena, buf_str(&text)));
	add_persons(p, 0);
	return 0;
}

/* The flag belongs to the subcommands that talk to a model; it is split at blanks. */
static int plan_extension(struct planning *p, struct err *err)
{
	const struct program_guest *guest = &p->input->guest;
	struct str first = p->input->n_arguments > 0 ? str_from(p->input->arguments[0]) : S("session");
	if (!str_eq(first, S("session")) && !str_eq(first, S("run")))
		return fail(err, ERR_USAGE, "goose can be launched as 'session' or 'run', not as '%.*s'",
			    STR_FMT(first));
	struct str blank = str_find_char(guest->path, ' ') != STR_NPOS ? guest->path : guest->state_home;
	if (str_find_char(blank, ' ') != STR_NPOS)
		return fail(err, ERR_USAGE, "goose cannot be told of '%.*s', which has a blank in its path",
			    STR_FMT(blank));
	add_argument(p, first);
	add_argument(p, S("--with-extension"));
	struct str home = guest->state_home.n > 0
				  ? arena_printf(p->arena, "AILERON_HOME=%.*s ", STR_FMT(guest->state_home))
				  : STR_EMPTY;
	add_argument(p, arena_printf(p->arena, "%.*s%.*s mcp --as %.*s", STR_FMT(home), STR_FMT(guest->path),
				     STR_FMT(guest->id)));
	add_persons(p, 1);
	return 0;
}

static int plan_by_program(struct planning *p, struct err *err)
{
	switch (p->input->program->launch) {
	case PROGRAM_LAUNCH_CLAUDE:
	case PROGRAM_LAUNCH_PI:
		return plan_config_file(p, err);
	case PROGRAM_LAUNCH_OVERRIDES:
		return plan_overrides(p, err);
	case PROGRAM_LAUNCH_CONTENT:
		return plan_content(p, err);
	case PROGRAM_LAUNCH_EXTENSION:
		return plan_extension(p, err);
	case PROGRAM_LAUNCH_NONE:
		break;
	}
	return fail(err, ERR_USAGE, "%s cannot be told of us for one run", p->input->program->title);
}

int plan_make(const struct plan_input *input, struct arena *arena, struct plan *ret, struct err *err)
{
	*ret = (struct plan){0};
	struct planning p = {.input = input, .arena = arena, .plan = ret};
	if (plan_by_program(&p, err) < 0)
		return -1;
	if (p.full)
		return fail(err, ERR_USAGE, "there are more than %d arguments with ours", PLAN_ARGUMENTS_MAX);
	if (input->program->route == PROGRAM_ROUTE_ANTHROPIC && input->anthropic_url.n > 0) {
		add_variable(&p, "ANTHROPIC_BASE_URL", input->anthropic_url);
		if (input->anthropic_injected)
			add_variable(&p, "ANTHROPIC_AUTH_TOKEN", S(PLAN_PLACEHOLDER));
		ret->routed = true;
	}
	return 0;
}
