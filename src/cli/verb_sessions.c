#include "cli/list.h"
#include "cli/verb_functions.h"

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

static void put_session(struct cli *cli, struct table *table, const struct json *session)
{
	struct str status = cli_str(session, "status");
	table_cell(table, cli_time(cli, cli_str(session, "started_at")));
	table_cell(table, cli_str(session, "id"));
	table_cell_styled(table, style_of(status), status);
	table_cell(table, cli_str(session, "agent"));
	table_cell(table, exit_code_of(cli, session));
	table_cell(table, cli_str(session, "working_dir"));
}

int verb_sessions_list(struct cli *cli, struct err *err)
{
	static const struct table_column columns[] = {
		{"STARTED", 0}, {"ID", 0}, {"STATUS", 0}, {"AGENT", 8}, {"EXIT", 0}, {"FOLDER", 12},
	};
	static const struct cli_parameter filters[] = {
		{"active", "active_only"}, {"agent", "agent"}, {"since", "since"}, {"limit", "limit"}};
	struct cli_list list = {OP_SESSION_LIST, STR_EMPTY, "items", columns, ARRAY_LEN(columns), put_session};
	return cli_query(cli, filters, ARRAY_LEN(filters), &list.query, err) < 0 ? -1 : cli_list(cli, &list, err);
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
	if (cli_str(session, "working_dir").n > 0)
		print_pair(&cli->out, "Folder", cli_str(session, "working_dir"));
	return CLI_OK;
}
