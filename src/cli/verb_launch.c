#include "cli/agent_process.h"
#include "cli/registration.h"
#include "cli/session_hold.h"
#include "cli/verb_functions.h"
#include "daemon/config.h"
#include "launch/plan.h"
#include "os/file.h"
#include "text/json_members.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define REQUEST_MAX   ((size_t)64 << 10)
#define VARIABLES_MAX ((size_t)4096)
#define LISTED_MAX    1000 /* of the operation */

extern char **environ;

/* What was begun and is to be ended, in the order in which it was begun. */
struct launch {
	struct cli *cli;
	const struct program *program;
	struct str path;           /* of the program */
	struct str session;        /* "" = none yet */
	struct session_hold *hold; /* NULL = not yet */
	char id[PROGRAM_ID_SIZE];  /* of the agent; "" = not yet */
	char *folder;              /* of the run's files; NULL = not yet */
	struct plan plan;
	struct config config;
	struct str anthropic_url, openai_url;
	bool anthropic_injected, openai_injected;
};

static const char *variable_of(const char *name)
{
	const char *value = getenv(name);
	return value != NULL ? value : "";
}

static bool is_set(const char *name)
{
	return variable_of(name)[0] != '\0';
}

/* ---------------------------------------------------------------------------------------------------------- the session */

/* A gateway is used where it is offered and nothing of the person's own stands in its place. */
static void take_gateway(struct launch *launch, const struct json *session)
{
	const struct config *config = &launch->config;
	launch->anthropic_injected =
		config->text[CONFIG_GATEWAY_INJECT_ANTHROPIC][0] != '\0' && !is_set("ANTHROPIC_API_KEY");
	launch->openai_injected = config->text[CONFIG_GATEWAY_INJECT_OPENAI][0] != '\0';
	struct arena *arena = launch->cli->arena;
	const struct json *gateway = json_member(session, S("gateway"));
	if (!is_set("ANTHROPIC_BASE_URL"))
		launch->anthropic_url = arena_str(arena, cli_str(gateway, "anthropic_url"));
	/* A login of ChatGPT's goes to another service than a key. */
	if (launch->openai_injected || is_set("OPENAI_API_KEY"))
		launch->openai_url = arena_str(arena, cli_str(gateway, "openai_url"));
}

static int start_session(struct launch *launch, struct err *err)
{
	struct cli *cli = launch->cli;
	AUTO_FREE char *here = getcwd(NULL, 0);
	AUTO_BUF body = BUF_INIT(REQUEST_MAX);
	struct json_writer w;
	if (here == NULL)
		return fail_errno(err, "cannot tell the working directory");
	jsonw_init(&w, &body, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_z(&w, "agent", launch->program->name);
	member_z(&w, "working_dir", here);
	jsonw_end_object(&w);
	AUTO(json) *session = NULL;
	const struct client_request call = {.operation = OP_SESSION_START, .body = buf_str(&body)};
	if (buf_check(&body, "the request", err) < 0 || cli_call(cli, &call, &session, err) < 0)
		return -1;
	launch->session = arena_str(cli->arena, cli_str(session, "id"));
	take_gateway(launch, session);
	launch->hold = session_hold_new(cli, launch->session, err);
	return launch->hold != NULL ? 0 : wrap(err, "holding the session '%.*s'", STR_FMT(launch->session));
}

static void end_session(struct launch *launch, int exit_code)
{
	static struct err err;
	char body[48];
	if (launch->session.n == 0)
		return;
	int n = exit_code >= 0 ? snprintf(body, sizeof body, "{\"exit_code\":%d}", exit_code)
			       : snprintf(body, sizeof body, "{\"exit_code\":null}");
	const struct client_request call = {
		.operation = OP_SESSION_END, .parameters = {launch->session}, .body = str_of(body, (size_t)n)};
	err_clear(&err);
	/* Found anew: it may have been started anew since. */
	client_free(TAKE(launch->cli->client));
	/* The end of the stream does it too; what is lost is the exit status. */
	if (cli_call(launch->cli, &call, NULL, &err) < 0 && err.class != ERR_CONFLICT)
		print_note("the end of the session was not told: %s", err.message);
	session_hold_free(TAKE(launch->hold));
}

/* ------------------------------------------------------------------------------------------------------------ the files */

static int make_folder(struct launch *launch, struct err *err)
{
	const char *state_dir = launch->cli->state_dir;
	AUTO_FREE char *run = xasprintf("%s/run", state_dir);
	AUTO_FREE char *all = xasprintf("%s/run/launch", state_dir);
	launch->folder = xasprintf("%s/%.*s", all, STR_FMT(launch->session));
	if (file_make_private_folder(run, err) < 0 || file_make_private_folder(all, err) < 0)
		return -1;
	return file_make_private_folder(launch->folder, err);
}

static int write_files(const struct launch *launch, struct err *err)
{
	for (size_t i = 0; i < launch->plan.n_files; i++) {
		if (file_publish(launch->plan.files[i].path.p, launch->plan.files[i].text, 0600, err) < 0)
			return -1;
	}
	return 0;
}

static void remove_files(struct launch *launch)
{
	for (size_t i = 0; i < launch->plan.n_files; i++)
		(void)unlink(launch->plan.files[i].path.p);
	if (launch->folder != NULL)
		(void)rmdir(launch->folder);
	free(TAKE(launch->folder));
}

static bool is_open(const struct json *list, const char *id)
{
	const struct json *items = json_member(list, S("items"));
	for (size_t i = 0; i < json_length(items); i++) {
		if (str_eq(cli_str(json_at(items, i), "id"), str_from(id)))
			return true;
	}
	return false;
}

/* What launches left behind that were killed: a file that we name ourselves, of a session that has ended. */
static void sweep_folder(const char *all, const char *name, const struct json *open)
{
	if (name[0] == '.' || is_open(open, name))
		return;
	AUTO_FREE char *folder = xasprintf("%s/%s", all, name);
	AUTO_FREE char *file = xasprintf("%s/" PLAN_FILE, folder);
	(void)unlink(file);
	(void)rmdir(folder);
}

/* The folders are listed first: a launch that begins meanwhile has its session before its folder. */
static int sweep_folders(struct cli *cli, struct err *err)
{
	AUTO_FREE char *all = xasprintf("%s/run/launch", cli->state_dir);
	struct dirent **entries = NULL;
	int n = scandir(all, &entries, NULL, NULL);
	if (n < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "cannot read '%s'", all);
	AUTO(json) *list = NULL;
	AUTO_FREE char *query = xasprintf("active_only=true&limit=%d", LISTED_MAX);
	const struct client_request call = {.operation = OP_SESSION_LIST, .query = str_from(query)};
	int rc = cli_call(cli, &call, &list, err);
	bool all_listed = rc == 0 && json_length(json_member(list, S("items"))) < LISTED_MAX;
	for (int i = 0; i < n; i++) {
		if (all_listed)
			sweep_folder(all, entries[i]->d_name, list);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

/* ------------------------------------------------------------------------------------------------------------- the plan */

static int make_plan(struct launch *launch, struct err *err)
{
	struct cli *cli = launch->cli;
	struct plan_input input = {
		.program = launch->program,
		.anthropic_url = launch->anthropic_url,
		.openai_url = launch->openai_url,
		.anthropic_injected = launch->anthropic_injected,
		.openai_injected = launch->openai_injected,
		.arguments = cli->line->arguments + 1,
		.n_arguments = cli->line->n_arguments - 1,
		.content = str_from(variable_of("OPENCODE_CONFIG_CONTENT")),
	};
	if (registration_guest(cli, str_from(launch->id), &input.guest, err) < 0 || make_folder(launch, err) < 0)
		return -1;
	input.folder = str_from(launch->folder);
	return plan_make(&input, cli->arena, &launch->plan, err);
}

/* ------------------------------------------------------------------------------------------------------ its environment */

static bool is_named(const char *entry, struct str name)
{
	struct str text = str_from(entry);
	return str_starts(text, name) && text.n > name.n && text.p[name.n] == '=';
}

/* What is set anew, and what is the person's alone. */
static bool is_left_out(const struct launch *launch, const char *entry)
{
	static const char *const withheld[] = {"AILERON_TOKEN", "AILERON_VAULT_PASSPHRASE", "AILERON_URL",
					       "AILERON_SESSION_ID", "AILERON_APPROVAL_URL"};
	for (size_t i = 0; i < ARRAY_LEN(withheld); i++) {
		if (is_named(entry, str_from(withheld[i])))
			return true;
	}
	for (size_t i = 0; i < launch->plan.n_variables; i++) {
		if (is_named(entry, launch->plan.variables[i].name))
			return true;
	}
	return false;
}

static int check_environment(struct err *err)
{
	size_t n = 0;
	while (environ[n] != NULL && n <= VARIABLES_MAX)
		n++;
	if (n > VARIABLES_MAX)
		return fail(err, ERR_LIMIT,
			    "the environment has more than %zu variables; unset what the agent does not need",
			    VARIABLES_MAX);
	return 0;
}

/* Of an environment that was checked. */
static const char *const *make_environment(const struct launch *launch)
{
	struct arena *arena = launch->cli->arena;
	const char *url = client_url(launch->cli->client);
	size_t n = 0, given = 0;
	while (environ[given] != NULL)
		given++;
	const char **envp = arena_array(arena, given + PLAN_VARIABLES_MAX + 4, sizeof *envp);
	for (size_t i = 0; i < given; i++) {
		if (!is_left_out(launch, environ[i]))
			envp[n++] = environ[i];
	}
	envp[n++] = arena_printf(arena, "AILERON_URL=%s", url).p;
	envp[n++] = arena_printf(arena, "AILERON_SESSION_ID=%.*s", STR_FMT(launch->session)).p;
	envp[n++] = arena_printf(arena, "AILERON_APPROVAL_URL=%s/approvals", url).p;
	for (size_t i = 0; i < launch->plan.n_variables; i++) {
		const struct plan_variable *variable = &launch->plan.variables[i];
		envp[n++] = arena_printf(arena, "%.*s=%.*s", STR_FMT(variable->name), STR_FMT(variable->value)).p;
	}
	envp[n] = NULL;
	return envp;
}

static const char *const *make_arguments(const struct launch *launch)
{
	const struct plan *plan = &launch->plan;
	const char **argv = arena_array(launch->cli->arena, plan->n_arguments + 2, sizeof *argv);
	argv[0] = launch->program->command;
	for (size_t i = 0; i < plan->n_arguments; i++)
		argv[i + 1] = arena_z(launch->cli->arena, plan->arguments[i]);
	argv[plan->n_arguments + 1] = NULL;
	return argv;
}

/* ------------------------------------------------------------------------------------------------------------ the banner */

static void say_vault(struct cli *cli)
{
	AUTO(json) *status = NULL;
	const struct client_request call = {.operation = OP_VAULT_STATUS};
	if (cli_call(cli, &call, &status, NULL) < 0)
		return;
	if (str_eq(cli_str(status, "state"), S("locked")))
		print_note("the vault is locked: what needs a credential waits until `aileron vault unlock`");
}

static void say_banner(const struct launch *launch)
{
	print_note("session %.*s of %s; what waits for you is at %s/approvals (`aileron open` lets you in)",
		   STR_FMT(launch->session), launch->program->title, client_url(launch->cli->client));
	if (!launch->plan.routed && launch->program->route != PROGRAM_ROUTE_NONE)
		print_note("its model is asked directly, not through the gateway");
	say_vault(launch->cli);
}

/* -------------------------------------------------------------------------------------------------------------- the verb */

static int carry_out(struct launch *launch, struct err *err)
{
	struct cli *cli = launch->cli;
	if (registration_sweep(cli, err) < 0 || sweep_folders(cli, err) < 0 || start_session(launch, err) < 0)
		return -1;
	const struct registration_request request = {
		.name = launch->program->name,
		.kind = "launch",
		.program = launch->program->name,
		.session = launch->session,
	};
	if (registration_make(cli, &request, launch->id, err) < 0 || make_plan(launch, err) < 0 ||
	    write_files(launch, err) < 0)
		return -1;
	say_banner(launch);
	const struct agent_process process = {launch->path.p, make_arguments(launch), make_environment(launch)};
	return agent_process_run(&process, err);
}

static int find_program(struct launch *launch, struct err *err)
{
	struct arena *arena = launch->cli->arena;
	const char *name = cli_argument(launch->cli, 0);
	launch->program = program_named(str_from(name));
	if (launch->program != NULL && launch->program->launch == PROGRAM_LAUNCH_NONE)
		return fail(err, ERR_USAGE,
			    "%s cannot be told of us for one run; `aileron mcp install %s` registers with it",
			    launch->program->title, launch->program->name);
	if (launch->program == NULL)
		return fail(err, ERR_USAGE, "'%s' is no agent that can be launched: %.*s", name,
			    STR_FMT(program_names(arena, true)));
	if (agent_process_find(launch->program->command, getenv("PATH"), arena, &launch->path, err) == 0)
		return 0;
	return fail(err, ERR_NOT_FOUND, "%s is not installed: there is no program '%s' in %s; to install it: %s",
		    launch->program->title, launch->program->command, variable_of("PATH"),
		    launch->program->how_to_install);
}

int verb_launch(struct cli *cli, struct err *err)
{
	static struct launch launch; /* one process has one */
	launch.cli = cli;
	if (find_program(&launch, err) < 0 || check_environment(err) < 0)
		return -1;
	if (config_load(cli->state_dir, &launch.config, err) < 0)
		return wrap(err, "reading the configuration");
	if (cli_client(cli, err) == NULL)
		return -1;
	agent_process_prepare();
	int status = carry_out(&launch, err);
	end_session(&launch, status);
	/* Its token went with the session. */
	if (launch.id[0] != '\0')
		registration_forget(cli, launch.id);
	remove_files(&launch);
	return status;
}
