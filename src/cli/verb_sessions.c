#include "cli/cli.h"
#include "cli/table.h"
#include "cli/verb_runs.h"

static struct str exit_code_of(struct cli *cli, const struct json *session)
{
	int64_t code;
	if (!json_get_int(json_member(session, S("exit_code")), &code))
		return STR_EMPTY;
	return arena_printf(cli->arena, "%lld", (long long)code);
}

static enum print_style style_of(struct str status)
{
	if (str_eq(status, S("running")))
		return PRINT_GOOD;
	return str_eq(status, S("orphaned")) ? PRINT_WARN : PRINT_PLAIN;
}

int verb_sessions_list(struct cli *cli, struct err *err)
{
	static const struct table_column columns[] = {
		{"STARTED", 0}, {"ID", 0}, {"STATUS", 0}, {"AGENT", 8}, {"EXIT", 0}, {"FOLDER", 12},
	};
	AUTO_BUF query = BUF_INIT(4096);
	AUTO(json) *answer = NULL;
	struct str since;
	if (cli_since(cli, "since", &since, err) < 0)
		return -1;
	if (verb_switch(cli->line, "active"))
		client_query_add(&query, "active_only", S("true"));
	if (verb_text(cli->line, "agent") != NULL)
		client_query_add(&query, "agent", str_from(verb_text(cli->line, "agent")));
	if (since.n > 0)
		client_query_add(&query, "since", since);
	if (verb_text(cli->line, "limit") != NULL)
		client_query_add(&query, "limit", str_from(verb_text(cli->line, "limit")));
	const struct client_request request = {.operation = OP_SESSION_LIST, .query = buf_str(&query)};
	if (cli_call(cli, &request, &answer, err) < 0)
		return -1;
	const struct json *items = json_member(answer, S("items"));
	if (cli->json) {
		print_json_list(&cli->out, items);
		return CLI_OK;
	}
	AUTO(table) *table = table_new(columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < json_length(items); i++) {
		const struct json *session = json_at(items, i);
		struct str status = cli_str(session, "status");
		table_cell(table, cli_time(cli, cli_str(session, "started_at")));
		table_cell(table, cli_str(session, "id"));
		table_cell_styled(table, style_of(status), status);
		table_cell(table, cli_str(session, "agent"));
		table_cell(table, exit_code_of(cli, session));
		table_cell(table, cli_str(session, "working_dir"));
	}
	table_print(table, &cli->out);
	return CLI_OK;
}

int verb_sessions_get(struct cli *cli, struct err *err)
{
	AUTO(json) *session = NULL;
	const struct client_request request = {
		.operation = OP_SESSION_GET,
		.parameters = {str_from(cli_argument(cli, 0))},
	};
	if (cli_call(cli, &request, &session, err) < 0)
		return -1;
	if (cli->json) {
		print_json(&cli->out, session);
		return CLI_OK;
	}
	print_pair(&cli->out, "Session", cli_str(session, "id"));
	print_pair(&cli->out, "Agent", cli_str(session, "agent"));
	print_pair(&cli->out, "Status", cli_str(session, "status"));
	print_pair(&cli->out, "Started", cli_time(cli, cli_str(session, "started_at")));
	if (cli_str(session, "ended_at").n > 0)
		print_pair(&cli->out, "Ended", cli_time(cli, cli_str(session, "ended_at")));
	if (exit_code_of(cli, session).n > 0)
		print_pair(&cli->out, "Exit code", exit_code_of(cli, session));
	print_pair(&cli->out, "Folder", cli_str(session, "working_dir"));
	return CLI_OK;
}
