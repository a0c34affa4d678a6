#include "base/time.h"
#include "cli/arguments.h"
#include "cli/consent.h"
#include "cli/list.h"
#include "cli/unlock.h"
#include "cli/verb_functions.h"
#include "text/json_members.h"
#include "base/limits.h"

#define PATH_BYTES_MAX 4096

static void put_row(struct cli *cli, struct table *table, const struct json *item)
{
	(void)cli;
	bool trusted = cli_bool(item, "signed"), linked = cli_bool(item, "linked");
	table_cell(table, cli_str(item, "fqn"));
	table_cell(table, cli_str(item, "version"));
	table_cell(table, cli_str(item, "credential_kind"));
	table_cell_styled(table, trusted ? PRINT_GOOD : PRINT_WARN,
			  trusted  ? S("signed")
			  : linked ? S("linked, unsigned")
				   : S("unsigned"));
	table_cell(table, cli_str(item, "path"));
}

int verb_connector_list(struct cli *cli, struct err *err)
{
	static const struct table_column columns[] = {
		{"CONNECTOR", 24}, {"VERSION", 0}, {"CREDENTIAL", 0}, {"TRUST", 0}, {"FOLDER", 12},
	};
	const struct cli_list list = {OP_CONNECTOR_LIST, STR_EMPTY, "items", columns, ARRAY_LEN(columns), put_row};
	return cli_list(cli, &list, err);
}

static int show(struct cli *cli, const struct json *connector)
{
	if (cli->json)
		print_json(&cli->out, connector);
	else
		consent_describe(cli, &cli->out, connector);
	return CLI_OK;
}

int verb_connector_show(struct cli *cli, struct err *err)
{
	AUTO(json) *connector = NULL;
	const struct client_request request = {
		.operation = OP_CONNECTOR_SHOW,
		.parameters = {str_from(cli_argument(cli, 0))},
	};
	return cli_call(cli, &request, &connector, err) < 0 ? -1 : show(cli, connector);
}

int verb_connector_link(struct cli *cli, struct err *err)
{
	AUTO(json) *connector = NULL;
	struct str path;
	AUTO_BUF body = BUF_INIT((size_t)16 * PATH_BYTES_MAX);
	const char *name = verb_text(cli->line, "name");
	struct json_writer w;
	if (cli_absolute(cli, cli_argument(cli, 0), &path, err) < 0)
		return -1;
	jsonw_init(&w, &body, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str(&w, "path", path);
	if (name != NULL)
		member_str(&w, "name", str_from(name));
	jsonw_end_object(&w);
	const struct client_request request = {.operation = OP_CONNECTOR_LINK, .body = buf_str(&body)};
	return cli_call(cli, &request, &connector, err) < 0 ? -1 : show(cli, connector);
}

int verb_connector_unlink(struct cli *cli, struct err *err)
{
	AUTO(json) *answer = NULL;
	const struct client_request request = {
		.operation = OP_CONNECTOR_UNLINK,
		.parameters = {str_from(cli_argument(cli, 0))},
	};
	if (cli_call(cli, &request, &answer, err) < 0)
		return -1;
	struct str bindings = cli_joined(cli, json_member(answer, S("bindings")), ", ");
	if (bindings.n > 0)
		print_note("its bindings stay: %s", bindings.p);
	return cli_say(cli, answer, "Unlinked %s\n", cli_visible(cli, cli_str(answer, "fqn")).p);
}

/* ----------------------------------------------------------------------------------------------------------------- call */

static int make_call(struct cli *cli, struct buf *body, uint64_t *ret_ms, struct err *err)
{
	const char *op = verb_text(cli->line, "op"), *timeout = verb_text(cli->line, "timeout");
	uint64_t ns = LIMIT_WALL_CEILING_MS * MS;
	struct json_writer w;
	if (op == NULL || op[0] == '\0')
		return fail(err, ERR_USAGE, "--op is required: the operation to call");
	if (timeout != NULL && duration_parse(str_from(timeout), LIMIT_WALL_CEILING_MS * MS, &ns, err) < 0)
		return cli_refuse("timeout", err);
	AUTO(json) *args = arguments_read(cli, &(struct arguments_wish){.single = "arg"}, err);
	if (args == NULL)
		return -1;
	jsonw_init(&w, body, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_str(&w, "op", str_from(op));
	jsonw_key(&w, S("args"));
	jsonw_value(&w, args);
	if (timeout != NULL)
		member_u64(&w, "timeout_ms", MAX(ns / MS, 1));
	if (verb_switch(cli->line, "trace"))
		member_bool(&w, "trace", true);
	jsonw_end_object(&w);
	*ret_ms = ns / MS;
	return buf_check(body, "the call", err);
}

static void put_lines(struct printer *out, const struct json *lines, const char *prefix, const char *member)
{
	for (size_t i = 0; i < json_length(lines); i++) {
		const struct json *line = json_at(lines, i);
		print_text(out, "[%s", prefix);
		if (cli_str(line, "level").n > 0)
			print_text(out, " ");
		print_from(out, cli_str(line, "level"));
		print_text(out, "] ");
		print_from(out, cli_str(line, member));
		if (json_member(line, S("us")) != NULL)
			print_text(out, " (%lld \xc2\xb5s)", (long long)cli_int(line, "us"));
		print_text(out, "\n");
	}
}

/* What happened beside the answer, on standard error. */
static void tell(struct cli *cli, const struct json *report)
{
	struct printer out;
	printer_init(&out, STDERR_FILENO);
	if (cli_bool(report, "changed")) {
		print_text(&out, "aileron: the linked folder changed since its last use: ");
		print_from(&out, cli_str(report, "previous_hash"));
		print_text(&out, " is now ");
		print_from(&out, cli_str(report, "content_hash"));
		print_text(&out, "\n");
	}
	put_lines(&out, json_member(report, S("trace")), "trace", "text");
	put_lines(&out, json_member(report, S("logs")), "connector", "message");
	if (verb_switch(cli->line, "report"))
		print_text(&out,
			   "aileron: %lld \xc2\xb5s, of which %lld in %lld requests; %lld bytes of memory; %s runner\n",
			   (long long)cli_int(report, "total_us"), (long long)cli_int(report, "request_us"),
			   (long long)cli_int(report, "requests"), (long long)cli_int(report, "memory_peak"),
			   cli_bool(report, "warm") ? "a warm" : "a new");
	(void)!print_flush(&out, NULL);
	printer_release(&out);
}

/* Whether it needs the vault is known when it is called: then a person at a terminal may open it. */
static int call(struct cli *cli, const struct client_request *request, struct json **ret, struct err *err)
{
	static struct err first;
	err_clear(&first);
	if (cli_call(cli, request, ret, &first) == 0)
		return 0;
	if (unlock_is_wanted(&first))
		return unlock_before_verb(cli, err) < 0 ? -1 : cli_call(cli, request, ret, err);
	*err = first;
	return -1;
}

int verb_connector_call(struct cli *cli, struct err *err)
{
	AUTO(json) *answer = NULL;
	AUTO_BUF body = BUF_INIT(2 * LIMIT_INPUT);
	uint64_t ms;
	if (make_call(cli, &body, &ms, err) < 0)
		return -1;
	const struct client_request request = {
		.operation = OP_CONNECTOR_CALL,
		.parameters = {str_from(cli_argument(cli, 0))},
		.body = buf_str(&body),
		.timeout_ms = ms + LIMIT_COMPILE_MS + CLIENT_TIMEOUT_MS,
	};
	if (call(cli, &request, &answer, err) < 0)
		return -1;
	if (cli->json) {
		print_json(&cli->out, answer);
		return CLI_OK;
	}
	tell(cli, json_member(answer, S("report")));
	print_json(&cli->out, json_member(answer, S("output")));
	return CLI_OK;
}
