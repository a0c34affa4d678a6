#include "action/action.h"
#include "action/set.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/list.h"
#include "cli/verb_functions.h"
#include "os/file.h"
#include "text/json_members.h"
#include <stdlib.h>

/* ------------------------------------------------------------------------------------------------------------ validate */

/* One problem: "file:line: message", or an object a line. */
static void tell_problem(struct cli *cli, const char *file, const struct err *problem)
{
	struct json_writer w;
	if (cli->json) {
		jsonw_init(&w, &cli->out.out, JSON_WRITER_PLAIN);
		jsonw_begin_object(&w);
		member_z(&w, "file", file);
		if (problem->class != ERR_NONE) {
			member_z(&w, "class", err_row(problem->class)->name);
			member_z(&w, "message", problem->message);
			member_u64_given(&w, "line", problem->line);
		}
		member_bool(&w, "valid", problem->class == ERR_NONE);
		jsonw_end_object(&w);
		buf_add_char(&cli->out.out, '\n');
		return;
	}
	if (problem->class == ERR_NONE)
		return;
	print_from(&cli->out, str_from(file));
	if (problem->line > 0)
		print_text(&cli->out, ":%u", problem->line);
	print_text(&cli->out, ": ");
	print_from(&cli->out, str_from(problem->message));
	print_text(&cli->out, "\n");
}

static int check_alone(const struct action *action, struct err *problem)
{
	for (size_t i = 0; i < action->n_steps; i++) {
		if (action_check_step(action, i, problem) < 0)
			return -1;
	}
	return 0;
}

static struct action *read_action(const char *path, struct err *problem)
{
	AUTO_BUF text = BUF_INIT(ACTION_MAX);
	if (file_read(path, &text, problem) < 0)
		return NULL;
	AUTO(action) *action = action_parse(buf_str(&text), path, problem);
	if (action == NULL || check_alone(action, problem) < 0)
		return NULL;
	return TAKE(action);
}

/* The files that are good alone are a set, of which a preview's operation must be. */
static bool check_set(struct cli *cli, struct action **actions, size_t n)
{
	static struct err problem;
	const struct action **good = arena_array(cli->arena, n, sizeof(struct action *));
	size_t n_good = 0;
	bool all = true;
	for (size_t i = 0; i < n; i++) {
		if (actions[i] != NULL)
			good[n_good++] = actions[i];
	}
	for (size_t i = 0; i < n_good; i++) {
		err_clear(&problem);
		all &= action_check_in_set(good[i], good, n_good, &problem) == 0;
		tell_problem(cli, good[i]->file.p, &problem);
	}
	return all;
}

int verb_action_validate(struct cli *cli, struct err *err)
{
	(void)err;
	static struct err problem;
	size_t n = cli->line->n_arguments;
	struct action **actions = arena_array(cli->arena, n, sizeof(struct action *));
	bool all = true;
	for (size_t i = 0; i < n; i++) {
		err_clear(&problem);
		actions[i] = read_action(cli_argument(cli, i), &problem);
		if (actions[i] != NULL)
			continue;
		all = false;
		tell_problem(cli, cli_argument(cli, i), &problem);
	}
	all &= check_set(cli, actions, n);
	for (size_t i = 0; i < n; i++)
		action_free(actions[i]);
	if (all && !cli->json)
		print_text(&cli->out, "%zu %s: no problem\n", n, n == 1 ? "file" : "files");
	return all ? CLI_OK : CLI_FAILED;
}

/* ---------------------------------------------------------------------------------------------------------------- list */

/* What else is wrong, on standard error: "file:line: message". */
static void tell_faults(struct cli *cli, const struct json *faults)
{
	for (size_t i = 0; i < json_length(faults); i++) {
		const struct json *fault = json_at(faults, i);
		struct str file = cli_visible(cli, cli_str(fault, "file"));
		struct str message = cli_visible(cli, cli_str(fault, "message"));
		long long line = (long long)cli_int(fault, "line");
		if (line > 0)
			print_note("%s:%lld: %s", file.p, line, message.p);
		else
			print_note("%s%s%s", file.n > 0 ? file.p : "", file.n > 0 ? ": " : "", message.p);
	}
}

static const struct json *connectors_of(const struct json *action)
{
	return json_member(json_member(action, S("requires")), S("connectors"));
}

/* "1 missing, 1 differs"; "" = each is there as pinned, or not pinned. */
static struct str connector_trouble(struct cli *cli, const struct json *action)
{
	const struct json *connectors = connectors_of(action);
	unsigned missing = 0, differs = 0;
	for (size_t i = 0; i < json_length(connectors); i++) {
		const struct json *connector = json_at(connectors, i);
		missing += str_eq(cli_str(connector, "status"), S("missing"));
		differs += str_eq(cli_str(connector, "pinned"), S("differs"));
	}
	if (missing == 0 && differs == 0)
		return STR_EMPTY;
	if (missing > 0 && differs > 0)
		return arena_printf(cli->arena, "%u missing, %u not as pinned", missing, differs);
	return missing > 0 ? arena_printf(cli->arena, "%u missing", missing)
			   : arena_printf(cli->arena, "%u not as pinned", differs);
}

static void put_row(struct cli *cli, struct table *table, const struct json *action)
{
	bool enabled = cli_bool(action, "enabled");
	bool asks = cli_bool(json_member(action, S("approval")), "required");
	struct str trouble = connector_trouble(cli, action);
	size_t problems = json_length(json_member(action, S("problems")));
	table_cell(table, cli_str(action, "name"));
	table_cell(table, cli_str(action, "version"));
	table_cell_styled(table, enabled ? PRINT_GOOD : PRINT_FAINT, enabled ? S("on") : S("off"));
	table_cell(table, asks ? S("asks") : S("runs at once"));
	if (trouble.n == 0)
		table_cell(table, S("linked"));
	else
		table_cell_styled(table, PRINT_WARN, trouble);
	if (problems > 0)
		table_cell_styled(table, PRINT_WARN, arena_printf(cli->arena, "%zu", problems));
	else
		table_cell(table, STR_EMPTY);
	table_cell(table, cli_str(action, "path"));
}

int verb_action_list(struct cli *cli, struct err *err)
{
	static const struct table_column columns[] = {
		{"ACTION", 16},    {"VERSION", 0},  {"STATE", 0}, {"APPROVAL", 0},
		{"CONNECTORS", 0}, {"PROBLEMS", 0}, {"FILE", 12},
	};
	AUTO(json) *answer = NULL;
	const struct client_request request = {.operation = OP_ACTION_LIST};
	if (cli_call(cli, &request, &answer, err) < 0)
		return -1;
	const struct json *items = json_member(answer, S("items"));
	AUTO(table) *table = table_new(columns, ARRAY_LEN(columns));
	if (cli->json)
		print_json_list(&cli->out, items);
	for (size_t i = 0; !cli->json && i < json_length(items); i++)
		put_row(cli, table, json_at(items, i));
	table_print(table, &cli->out);
	tell_faults(cli, json_member(answer, S("load_errors")));
	return CLI_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- show */

static void put_connector(struct cli *cli, const struct json *connector)
{
	struct printer *out = &cli->out;
	struct str pinned = cli_str(connector, "pinned");
	struct str hosts = cli_joined(cli, json_member(connector, S("hosts")), ", ");
	if (cli_bool(connector, "any_public_host"))
		hosts = S("any public host");
	print_text(out, "\n%-14s", "Connector");
	print_from(out, cli_str(connector, "name"));
	print_text(out, " ");
	print_from(out, cli_str(connector, "version"));
	print_text(out, "\n");
	if (str_eq(cli_str(connector, "status"), S("missing")))
		print_pair_styled(out, "Status", PRINT_WARN, "missing: link or install it first");
	else if (str_eq(pinned, S("differs")))
		print_pair_styled(out, "Status", PRINT_WARN, "linked, and not what the action was written for");
	else
		print_pair(out, "Status", str_eq(pinned, S("match")) ? S("linked, as pinned") : S("linked, unpinned"));
	print_pair(out, "Pinned", cli_str(connector, "hash"));
	if (cli_str(connector, "actual_hash").n > 0)
		print_pair(out, "Content", cli_str(connector, "actual_hash"));
	print_pair(out, "May call", cli_joined(cli, json_member(connector, S("capabilities")), ", "));
	print_pair(out, "May reach", hosts.n > 0 ? hosts : S("nothing"));
}

static void put_step(struct cli *cli, const struct json *step)
{
	struct printer *out = &cli->out;
	print_text(out, "%-14s", "Step");
	print_from(out, cli_str(step, "id"));
	print_text(out, ": ");
	print_from(out, cli_str(step, "op"));
	print_text(out, " of ");
	print_from(out, cli_str(step, "connector"));
	print_text(out, " (");
	print_from(out, str_eq(cli_str(step, "effect"), S("unknown")) ? S("may change or destroy")
								      : cli_str(step, "effect"));
	print_text(out, ")\n");
}

static void put_input(struct cli *cli, const struct json *input)
{
	struct printer *out = &cli->out;
	print_text(out, "%-14s", "Input");
	print_from(out, cli_str(input, "name"));
	print_text(out, cli_bool(input, "required") ? ": " : ", optional: ");
	print_from(out, cli_str(input, "type"));
	print_text(out, " - ");
	print_from(out, cli_str(input, "description"));
	print_text(out, "\n");
}

static void each(struct cli *cli, const struct json *array, void (*put)(struct cli *cli, const struct json *item))
{
	for (size_t i = 0; i < json_length(array); i++)
		put(cli, json_at(array, i));
}

static struct str approval_words(const struct json *approval)
{
	if (!cli_bool(approval, "required"))
		return S("not asked for: it runs at once");
	if (cli_bool(approval, "editable"))
		return S("a person decides about each run, and may change its arguments");
	return S("a person decides about each run");
}

static void put_problem(struct cli *cli, const struct json *problem)
{
	struct str text = STR_EMPTY;
	if (json_get_str(problem, &text))
		print_pair_styled(&cli->out, "Problem", PRINT_WARN, cli_visible(cli, text).p);
}

/* All that it may do. */
static void describe(struct cli *cli, const struct json *action)
{
	struct printer *out = &cli->out;
	struct str tool = cli_str(action, "tool");
	print_text(out, "%-14s", "Action");
	print_from(out, cli_str(action, "name"));
	print_text(out, " ");
	print_from(out, cli_str(action, "version"));
	print_text(out, "\n");
	print_pair(out, "Title", cli_str(action, "title"));
	print_pair(out, "For", cli_str(json_member(action, S("match")), "intent"));
	print_pair_styled(out, "State", cli_bool(action, "enabled") ? PRINT_GOOD : PRINT_WARN,
			  cli_bool(action, "enabled") ? "on" : "off: offered to nobody");
	print_pair(out, "Tool", tool.n > 0 ? tool : S("none"));
	print_pair_styled(out, "Trust", PRINT_WARN, "linked, unsigned: whatever the file says is done");
	print_pair(out, "File", cli_str(action, "path"));
	print_pair(out, "Content", cli_str(action, "hash"));
	print_pair(out, "Source", cli_str(action, "source"));
	print_pair(out, "Approval", approval_words(json_member(action, S("approval"))));
	each(cli, json_member(action, S("problems")), put_problem);
	each(cli, json_member(action, S("inputs")), put_input);
	each(cli, json_member(action, S("execute")), put_step);
	each(cli, connectors_of(action), put_connector);
}

static int show(struct cli *cli, const struct json *action)
{
	if (cli->json)
		print_json(&cli->out, action);
	else
		describe(cli, action);
	return CLI_OK;
}

int verb_action_show(struct cli *cli, struct err *err)
{
	AUTO(json) *action = NULL;
	const struct client_request request = {
		.operation = OP_ACTION_SHOW,
		.parameters = {str_from(cli_argument(cli, 0))},
	};
	return cli_call(cli, &request, &action, err) < 0 ? -1 : show(cli, action);
}

/* -------------------------------------------------------------------------------------------------------- link, unlink */

static void begin_body(struct buf *body, struct json_writer *w)
{
	jsonw_init(w, body, JSON_WRITER_PLAIN);
	jsonw_begin_object(w);
}

int verb_action_link(struct cli *cli, struct err *err)
{
	AUTO(json) *answer = NULL;
	AUTO_BUF body = BUF_INIT(64 * KIB);
	struct str path;
	struct json_writer w;
	if (cli_absolute(cli, cli_argument(cli, 0), &path, err) < 0)
		return -1;
	begin_body(&body, &w);
	member_str(&w, "path", path);
	jsonw_end_object(&w);
	const struct client_request request = {.operation = OP_ACTION_LINK, .body = buf_str(&body)};
	if (buf_check(&body, "the path", err) < 0 || cli_call(cli, &request, &answer, err) < 0)
		return -1;
	const struct json *actions = json_member(answer, S("actions"));
	const struct json *faults = json_member(answer, S("load_errors"));
	for (size_t i = 0; !cli->json && i < json_length(actions); i++) {
		print_text(&cli->out, "Linked ");
		print_from(&cli->out, cli_str(json_at(actions, i), "name"));
		print_text(&cli->out, "\n");
	}
	if (cli->json)
		print_json(&cli->out, answer);
	else if (json_length(actions) == 0 && json_length(faults) == 0)
		print_note("the folder has no action yet; what is put there later is found");
	tell_faults(cli, faults);
	if (json_length(faults) == 0)
		return CLI_OK;
	if (!cli->json)
		print_note("'%.*s' is linked all the same, and read again when it changes; 'aileron action unlink' "
			   "forgets "
			   "it",
			   STR_FMT(cli_visible(cli, cli_str(answer, "path"))));
	return CLI_FAILED;
}

/* A path, unless it can only be a name; as the daemon knows it when it is still there. */
static int put_what(struct cli *cli, struct json_writer *w, struct err *err)
{
	const char *given = cli_argument(cli, 0);
	struct str text = str_from(given);
	if (str_find_char(text, '/') == STR_NPOS && !str_ends(text, S(".md")) && !str_eq(text, S(".")) &&
	    !str_eq(text, S(".."))) {
		member_str(w, "name", text);
		return 0;
	}
	struct str path;
	AUTO_FREE char *real = realpath(given, NULL);
	if (cli_absolute(cli, real != NULL ? real : given, &path, err) < 0)
		return -1;
	member_str(w, "path", path);
	return 0;
}

int verb_action_unlink(struct cli *cli, struct err *err)
{
	AUTO(json) *answer = NULL;
	AUTO_BUF body = BUF_INIT(64 * KIB);
	struct json_writer w;
	begin_body(&body, &w);
	if (put_what(cli, &w, err) < 0)
		return -1;
	jsonw_end_object(&w);
	const struct client_request request = {.operation = OP_ACTION_UNLINK, .body = buf_str(&body)};
	if (buf_check(&body, "the path", err) < 0 || cli_call(cli, &request, &answer, err) < 0)
		return -1;
	struct str gone = cli_joined(cli, json_member(answer, S("actions")), ", ");
	if (gone.n > 0)
		print_note("no longer there: %s", gone.p);
	return cli_say(cli, answer, "Unlinked %s\n", cli_visible(cli, cli_str(answer, "path")).p);
}

/* ----------------------------------------------------------------------------------------------------- enable, disable */

static int switch_action(struct cli *cli, bool enabled, struct err *err)
{
	AUTO(json) *action = NULL;
	const struct client_request request = {
		.operation = OP_ACTION_PATCH,
		.parameters = {str_from(cli_argument(cli, 0))},
		.body = enabled ? S("{\"enabled\":true}") : S("{\"enabled\":false}"),
	};
	if (cli_call(cli, &request, &action, err) < 0)
		return -1;
	return cli_say(cli, action, enabled ? "%s is on\n" : "%s is off: it is offered to nobody\n",
		       cli_visible(cli, cli_str(action, "name")).p);
}

int verb_action_enable(struct cli *cli, struct err *err)
{
	return switch_action(cli, true, err);
}

int verb_action_disable(struct cli *cli, struct err *err)
{
	return switch_action(cli, false, err);
}
