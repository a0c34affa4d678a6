#include "base/ascii.h"
#include "base/time.h"
#include "cli/browser.h"
#include "cli/table.h"
#include "cli/verb_functions.h"
#include "text/json_writer.h"

/* -------------------------------------------------------------------------------------------------------------- status */

/* "proven", what is missing, or that nothing came yet. */
static void confinement_cell(struct cli *cli, struct table *table, const struct json *process)
{
	const struct json *confinement = json_member(process, S("confinement"));
	const struct json *missing = json_member(confinement, S("missing"));
	if (confinement == NULL)
		table_cell_styled(table, PRINT_WARN, S("not proven yet"));
	else if (json_length(missing) > 0)
		table_cell_styled(table, PRINT_WARN,
				  arena_printf(cli->arena, "without %s", cli_joined(cli, missing, ", ").p));
	else
		table_cell_styled(table, PRINT_GOOD, S("proven"));
}

static struct str number(struct cli *cli, const struct json *object, const char *member)
{
	return arena_printf(cli->arena, "%lld", (long long)cli_int(object, member));
}

static struct str pid_text(struct cli *cli, const struct json *process)
{
	if (!cli_bool(process, "running"))
		return S("not running");
	struct str pid = number(cli, process, "pid");
	return cli_bool(process, "silent") ? arena_printf(cli->arena, "%.*s hangs", STR_FMT(pid)) : pid;
}

static void put_processes(struct cli *cli, const struct json *processes)
{
	static const struct table_column columns[] = {
		{"PROCESS", 0}, {"PID", 0}, {"SINCE", 0}, {"RESTARTS", 0}, {"CONFINEMENT", 10}, {"LAST END", 10},
	};
	AUTO(table) *table = table_new(columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < json_length(processes); i++) {
		const struct json *process = json_at(processes, i);
		bool works = cli_bool(process, "running") && !cli_bool(process, "silent");
		table_cell(table, cli_str(process, "role"));
		table_cell_styled(table, works ? PRINT_PLAIN : PRINT_BAD, pid_text(cli, process));
		table_cell(table, cli_time(cli, cli_str(process, "started_at")));
		table_cell(table, number(cli, process, "restarts"));
		confinement_cell(cli, table, process);
		table_cell(table, cli_str(process, "last_end"));
	}
	print_text(&cli->out, "\n");
	table_print(table, &cli->out);
}

static void put_runners(struct cli *cli, const struct json *runners)
{
	static const struct table_column columns[] = {{"RUNNER", 16}, {"PID", 0}, {"CALLS", 0}, {"CONFINEMENT", 10}};
	if (json_length(runners) == 0)
		return;
	AUTO(table) *table = table_new(columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < json_length(runners); i++) {
		const struct json *runner = json_at(runners, i);
		table_cell(table, cli_str(runner, "connector"));
		table_cell(table, number(cli, runner, "pid"));
		table_cell(table, number(cli, runner, "calls"));
		confinement_cell(cli, table, runner);
	}
	print_text(&cli->out, "\n");
	table_print(table, &cli->out);
}

/* "2 runners have crashed, the last at TIME, of NAME: signal 9 (Killed)" */
static void put_crashes(struct cli *cli, const struct json *crashes)
{
	long long count = (long long)cli_int(crashes, "count");
	struct str connector = cli_str(crashes, "last_connector");
	if (count == 0)
		return;
	print_text(&cli->out, "\n");
	print_styled(&cli->out, PRINT_WARN, count == 1 ? "%lld runner has crashed" : "%lld runners have crashed",
		     count);
	print_text(&cli->out, ", the last at ");
	print_from(&cli->out, cli_time(cli, cli_str(crashes, "last_at")));
	print_text(&cli->out, connector.n > 0 ? ", of " : "");
	print_from(&cli->out, connector);
	print_text(&cli->out, ": ");
	print_from(&cli->out, cli_str(crashes, "last_end"));
	print_text(&cli->out, "\n");
}

static void put_proofs(struct cli *cli, const struct json *processes, const char *name)
{
	for (size_t i = 0; i < json_length(processes); i++) {
		const struct json *process = json_at(processes, i);
		const struct json *proof = json_member(json_member(process, S("confinement")), S("proof"));
		print_text(&cli->out, "\n");
		print_styled(&cli->out, PRINT_BOLD, "%s", cli_visible(cli, cli_str(process, name)).p);
		print_text(&cli->out, "\n");
		for (size_t j = 0; j < json_length(proof); j++) {
			struct str line = STR_EMPTY;
			(void)json_get_str(json_at(proof, j), &line);
			print_text(&cli->out, "  ");
			print_from(&cli->out, line);
			print_text(&cli->out, "\n");
		}
	}
}

static void put_page(struct cli *cli, const struct json *status)
{
	static const struct {
		const char *label, *member;
	} counts[] = {{"Actions", "action_count"},
		      {"Approvals", "approval_count"},
		      {"Connectors", "connector_count"},
		      {"Bindings", "binding_count"},
		      {"Sessions", "session_count"}};
	struct printer *out = &cli->out;
	struct str vault = cli_str(status, "vault_state");
	print_styled(out, PRINT_BOLD, "aileron");
	print_text(out, " ");
	print_from(out, cli_str(status, "version"));
	print_text(out, ", running since ");
	print_from(out, cli_time(cli, cli_str(status, "started_at")));
	print_text(out, " UTC\n\n");
	print_pair(out, "Listen", cli_str(status, "listen_addr"));
	print_pair(out, "State dir", cli_str(status, "state_dir"));
	print_pair_styled(out, "Vault", str_eq(vault, S("unlocked")) ? PRINT_GOOD : PRINT_WARN,
			  cli_visible(cli, vault).p);
	if (cli_int(status, "awaiting_vault_count") > 0)
		print_pair_styled(out, "Approved runs", PRINT_WARN,
				  arena_printf(cli->arena, "%lld wait for the vault: 'aileron vault unlock'",
					       (long long)cli_int(status, "awaiting_vault_count"))
					  .p);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		print_pair(out, counts[i].label, number(cli, status, counts[i].member));
	print_text(out, "%-14s%lld events\n", "Audit", (long long)cli_int(json_member(status, S("audit")), "events"));
	put_processes(cli, json_member(status, S("processes")));
	put_runners(cli, json_member(status, S("runners")));
	put_crashes(cli, json_member(status, S("runner_crashes")));
	if (!verb_switch(cli->line, "proof"))
		return;
	put_proofs(cli, json_member(status, S("processes")), "role");
	put_proofs(cli, json_member(status, S("runners")), "connector");
}

static int put_not_running(struct cli *cli)
{
	if (cli->json) {
		struct json_writer w;
		jsonw_init(&w, &cli->out.out, JSON_WRITER_PLAIN);
		jsonw_begin_object(&w);
		jsonw_key(&w, S("running"));
		jsonw_bool(&w, false);
		jsonw_key(&w, S("state_dir"));
		jsonw_str(&w, str_from(cli->state_dir));
		jsonw_end_object(&w);
		print_text(&cli->out, "\n");
	} else {
		print_text(&cli->out, "The daemon is not running; any verb that needs it starts it.\n");
		print_pair(&cli->out, "State dir", str_from(cli->state_dir));
	}
	return CLI_UNREACHABLE;
}

int verb_status(struct cli *cli, struct err *err)
{
	AUTO(json) *status = NULL;
	int alive = cli_client_if_alive(cli, err);
	if (alive <= 0)
		return alive < 0 ? -1 : put_not_running(cli);
	const struct client_request request = {.operation = OP_STATUS, .timeout_ms = 5000};
	if (client_call(cli->client, &request, &status, err) < 0)
		return -1;
	if (cli->json)
		print_json(&cli->out, status);
	else
		put_page(cli, status);
	return CLI_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- open */

/* Which view of the page: what agents are told to pass on is "approval ID". */
static int choose_view(struct cli *cli, struct str *ret, struct err *err)
{
	size_t n = cli->line->n_arguments;
	struct str view = str_from(cli_argument(cli, 0)), id = str_from(cli_argument(cli, 1));
	*ret = n == 0 ? S("/") : S("/approvals");
	if (n == 0 || (n == 1 && str_eq(view, S("approvals"))))
		return 0;
	bool valid = id.n > 0 && str_eq(view, S("approval"));
	for (size_t i = 0; i < id.n; i++)
		valid = valid && (ascii_is_alnum(id.p[i]) || id.p[i] == '-');
	if (!valid)
		return fail(err, ERR_USAGE, "what can be opened is the page, or 'approvals' or 'approval ID' on it");
	*ret = arena_printf(cli->arena, "/approvals?focus=%.*s", STR_FMT(id));
	return 0;
}

/* Opened, or printed with the cause: who asked has the address either way. */
static void open_or_print(struct cli *cli, struct str url)
{
	static struct err why;
	err_clear(&why);
	bool print = verb_switch(cli->line, "print");
	if (!print && browser_open(cli, url, &why) == 0) {
		print_text(&cli->out, "Opened %s in the browser\n", client_url(cli->client));
		return;
	}
	if (!print)
		print_note("no browser was opened, %s; open this address in one", why.message);
	print_from(&cli->out, url);
	print_text(&cli->out, "\n");
}

int verb_open(struct cli *cli, struct err *err)
{
	AUTO(json) *answer = NULL;
	struct str view;
	if (choose_view(cli, &view, err) < 0)
		return -1;
	if (cli_call(cli, &(struct client_request){.operation = OP_TOKEN_CODE}, &answer, err) < 0)
		return -1;
	struct str url = arena_printf(cli->arena, "%s%.*s#code=%.*s", client_url(cli->client), STR_FMT(view),
				      STR_FMT(cli_str(answer, "code")));
	if (!cli->json) {
		open_or_print(cli, url);
		return CLI_OK;
	}
	struct json_writer w;
	jsonw_init(&w, &cli->out.out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	jsonw_key(&w, S("url"));
	jsonw_str(&w, url);
	jsonw_end_object(&w);
	print_text(&cli->out, "\n");
	return CLI_OK;
}
