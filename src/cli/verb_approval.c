#include "base/hex.h"
#include "base/limits.h"
#include "cli/approving.h"
#include "cli/arguments.h"
#include "cli/list.h"
#include "cli/verb_functions.h"
#include "text/json_members.h"

/* ------------------------------------------------------------------------------------------------------------- looking */

static struct str first_connector(const struct json *pending)
{
	return cli_str(json_at(json_member(pending, S("steps")), 0), "connector");
}

static void put_row(struct cli *cli, struct table *table, const struct json *pending)
{
	table_cell(table, cli_time(cli, cli_str(pending, "requested_at")));
	table_cell(table, cli_str(pending, "id"));
	table_cell(table, cli_str(pending, "action_name"));
	table_cell(table, cli_str(json_member(pending, S("caller")), "name"));
	table_cell(table, first_connector(pending));
	table_cell(table, cli_time(cli, cli_str(pending, "expires_at")));
}

int verb_approval_list(struct cli *cli, struct err *err)
{
	static const struct table_column columns[] = {
		{"ASKED", 0}, {"ID", 0}, {"ACTION", 12}, {"BY", 6}, {"CONNECTOR", 12}, {"EXPIRES", 0},
	};
	const struct cli_list list = {OP_APPROVAL_LIST, STR_EMPTY, "items", columns, ARRAY_LEN(columns), put_row};
	return cli_list(cli, &list, err);
}

int verb_approval_show(struct cli *cli, struct err *err)
{
	AUTO(json) *pending = NULL;
	if (approving_get(cli, str_from(cli_argument(cli, 0)), &pending, err) < 0)
		return -1;
	if (cli->json)
		print_json(&cli->out, pending);
	else
		approving_show(cli, &cli->out, pending, verb_switch(cli->line, "full"));
	return CLI_OK;
}

/* ------------------------------------------------------------------------------------------------------------ deciding */

static bool waits(const struct json *pending)
{
	return str_eq(cli_str(pending, "state"), S("pending_approval"));
}

static int say_decided(struct cli *cli, const struct json *pending, bool approved)
{
	const char *id = cli_visible(cli, cli_str(pending, "id")).p,
		   *run = cli_visible(cli, cli_str(pending, "run_id")).p;
	struct json_writer w;
	if (!cli->json) {
		if (approved)
			print_text(&cli->out, "Approved %s; 'aileron runs show %s' tells what comes of it\n", id, run);
		else
			print_text(&cli->out, "Denied %s; it did not run\n", id);
		return CLI_OK;
	}
	jsonw_init(&w, &cli->out.out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str(&w, "id", cli_str(pending, "id"));
	member_str(&w, "run_id", cli_str(pending, "run_id"));
	member_bool(&w, "approved", approved);
	jsonw_end_object(&w);
	print_text(&cli->out, "\n");
	return CLI_OK;
}

/* The arguments that were typed in the place of those asked for; *ret stays NULL when none were. */
static int read_edited(struct cli *cli, const struct json *pending, struct json **ret, struct err *err)
{
	AUTO(json) *action = NULL;
	struct arguments_wish wish = {.single = "edit", .base = json_member(pending, S("args"))};
	if (!arguments_given(cli, &wish))
		return 0;
	if (!cli_bool(pending, "editable"))
		return fail(err, ERR_USAGE,
			    "the arguments of '%.*s' cannot be changed: its file does not say approval.editable",
			    STR_FMT(cli_str(pending, "action_name")));
	const struct client_request request = {.operation = OP_ACTION_SHOW,
					       .parameters = {cli_str(pending, "action_name")}};
	if (cli_call(cli, &request, &action, err) < 0)
		return -1;
	wish.inputs = json_member(action, S("inputs"));
	*ret = arguments_read(cli, &wish, err);
	return *ret == NULL ? -1 : 0;
}

/* 1 when the person wants it. What it is about is shown on standard error when standard output is for a program. */
static int show_and_ask(struct cli *cli, const struct json *pending, const struct approving *approving, struct err *err)
{
	struct printer errors;
	printer_init(&errors, STDERR_FILENO);
	struct printer *out = cli->json ? &errors : &cli->out;
	approving_show(cli, out, pending, verb_switch(cli->line, "full"));
	approving_show_edited(out, approving);
	int rc = print_flush(out, err);
	printer_release(&errors);
	if (rc < 0)
		return -1;
	return cli_confirm(cli, err,
			   approving->grant ? "Approve %s, and any more of it for 15 minutes?" : "Approve %s?",
			   cli_visible(cli, cli_str(pending, "action_name")).p);
}

int verb_approval_approve(struct cli *cli, struct err *err)
{
	AUTO(json) *pending = NULL;
	AUTO(json) *edited = NULL;
	if (approving_get(cli, str_from(cli_argument(cli, 0)), &pending, err) < 0)
		return -1;
	/* Too late: the daemon says who was first. */
	if (waits(pending) && read_edited(cli, pending, &edited, err) < 0)
		return -1;
	const struct approving approving = {
		.approved = true,
		.grant = verb_switch(cli->line, "grant"),
		.edited = edited,
	};
	int wanted = waits(pending) ? show_and_ask(cli, pending, &approving, err) : 1;
	if (wanted != 1)
		return wanted < 0 ? -1 : CLI_OK;
	return approving_decide(cli, pending, &approving, err) < 0 ? -1 : say_decided(cli, pending, true);
}

int verb_approval_deny(struct cli *cli, struct err *err)
{
	AUTO(json) *pending = NULL;
	const char *flag = verb_text(cli->line, "reason"), *behind = cli_argument(cli, 1);
	if (flag != NULL && behind != NULL)
		return fail(err, ERR_USAGE, "the reason is given twice: by --reason and behind the id");
	const char *reason = flag != NULL ? flag : behind;
	const struct approving approving = {.reason = reason != NULL ? str_from(reason) : STR_EMPTY};
	if (approving_get(cli, str_from(cli_argument(cli, 0)), &pending, err) < 0 ||
	    approving_decide(cli, pending, &approving, err) < 0)
		return -1;
	return say_decided(cli, pending, false);
}

/* -------------------------------------------------------------------------------------------------------------- grants */

/* Through whichever connector. */
static struct str hosts_of(struct cli *cli, const struct json *grant)
{
	const struct json *connectors = json_member(json_member(grant, S("bound")), S("connectors"));
	AUTO_BUF all = BUF_INIT(PRINT_MAX);
	for (size_t i = 0; i < json_length(connectors); i++) {
		struct str hosts = cli_joined(cli, json_member(json_at(connectors, i), S("hosts")), ", ");
		if (hosts.n > 0)
			buf_addf(&all, "%s%.*s", all.n > 0 ? ", " : "", STR_FMT(hosts));
	}
	return all.n > 0 ? arena_str(cli->arena, buf_str(&all)) : S("-");
}

static void put_grant(struct cli *cli, struct table *table, const struct json *grant)
{
	table_cell(table, cli_str(grant, "id"));
	table_cell(table, cli_str(grant, "action"));
	table_cell(table, cli_str(grant, "caller_name"));
	table_cell(table, cli_str(grant, "session"));
	table_cell(table, hosts_of(cli, grant));
	table_cell(table, cli_time(cli, cli_str(grant, "expires_at")));
}

int verb_approval_grants(struct cli *cli, struct err *err)
{
	static const struct table_column columns[] = {
		{"ID", 0}, {"ACTION", 12}, {"BY", 8}, {"SESSION", 8}, {"HOSTS", 12}, {"UNTIL", 0},
	};
	const struct cli_list list = {OP_GRANT_LIST, STR_EMPTY, "items", columns, ARRAY_LEN(columns), put_grant};
	return cli_list(cli, &list, err);
}

int verb_approval_revoke(struct cli *cli, struct err *err)
{
	const struct client_request request = {
		.operation = OP_GRANT_REVOKE,
		.parameters = {str_from(cli_argument(cli, 0))},
	};
	if (cli_call(cli, &request, NULL, err) < 0)
		return -1;
	return cli_say(cli, NULL, "Revoked %s\n", cli_visible(cli, str_from(cli_argument(cli, 0))).p);
}
