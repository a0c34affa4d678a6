/* names: what an argument may be, for the scripts of completion.c. It starts no daemon and waits for none. */
#include "base/ascii.h"
#include "cli/cli.h"
#include "cli/verb_functions.h"
#include "daemon/config.h"
#include "launch/program.h"

#define PATIENCE_MS 2000

static const struct {
	const char *kind;
	enum api_operation_id operation;
	const char *items, *member;
} lists[] = {
	{"actions", OP_ACTION_LIST, "items", "name"},   {"agents", OP_AGENT_LIST, "items", "id"},
	{"approvals", OP_APPROVAL_LIST, "items", "id"}, {"backups", OP_BACKUP_LIST, "backups", "name"},
	{"bindings", OP_BINDING_LIST, "items", "name"}, {"connectors", OP_CONNECTOR_LIST, "items", "fqn"},
	{"entries", OP_VAULT_LIST, "entries", "path"},  {"grants", OP_GRANT_LIST, "items", "id"},
	{"members", OP_MEMBER_LIST, "members", "name"}, {"runs", OP_RUN_LIST, "items", "id"},
	{"sessions", OP_SESSION_LIST, "items", "id"},
};

/* A shell may look at what is offered as at a text of its own: what means something there is left out. */
static bool is_plain(struct str name)
{
	for (size_t i = 0; i < name.n; i++) {
		if (!ascii_is_alnum(name.p[i]) && str_find_char(S("-_./:@+"), name.p[i]) == STR_NPOS)
			return false;
	}
	return name.n > 0;
}

static void put(struct cli *cli, struct str name)
{
	if (is_plain(name))
		print_text(&cli->out, "%.*s\n", STR_FMT(name));
}

static int put_list(struct cli *cli, size_t which, struct err *err)
{
	AUTO(json) *answer = NULL;
	const struct client_request request = {.operation = lists[which].operation, .timeout_ms = PATIENCE_MS};
	int found = cli_client_if_alive(cli, err);
	if (found <= 0)
		return found < 0 ? -1 : CLI_OK;
	if (client_call(cli->client, &request, &answer, err) < 0)
		return -1;
	const struct json *items = json_member(answer, str_from(lists[which].items));
	for (size_t i = 0; i < json_length(items); i++)
		put(cli, cli_str(json_at(items, i), lists[which].member));
	return CLI_OK;
}

int verb_names(struct cli *cli, struct err *err)
{
	struct str kind = str_from(cli_argument(cli, 0));
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		if (str_eq(kind, str_from(lists[i].kind)))
			return put_list(cli, i, err);
	}
	bool settings = str_eq(kind, S("settings"));
	if (!settings && !str_eq(kind, S("programs")))
		return fail(err, ERR_USAGE, "nothing is listed as '%.*s'", STR_FMT(kind));
	for (int i = 0; settings && i < CONFIG__MAX; i++)
		put(cli, str_from(config_rows[i].key));
	for (size_t i = 0; !settings && programs[i].name != NULL; i++)
		put(cli, str_from(programs[i].name));
	return CLI_OK;
}
