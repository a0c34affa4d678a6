#include "base/escape.h"
#include "cli/cli.h"
#include "cli/suggest.h"
#include "cli/table.h"
#include "cli/verb_functions.h"
#include "daemon/config.h"
#include "text/json_members.h"

static int row_of(struct str key, struct err *err)
{
	char shown[ESCAPE_SHOWN_SIZE];
	int row = config_row_named(key);
	if (row >= 0)
		return row;
	for (int i = 0; i < CONFIG__MAX; i++) {
		if (suggest_is_near(key, str_from(config_rows[i].key)))
			return fail(err, ERR_USAGE, "there is no setting '%s'; did you mean '%s'?",
				    escape_shown(key, shown), config_rows[i].key);
	}
	return fail(err, ERR_USAGE, "there is no setting '%s'; `aileron config list` shows all",
		    escape_shown(key, shown));
}

/* The file's settings; one process has one. */
static const struct config *load(struct cli *cli, struct err *err)
{
	static struct config config;
	return config_load(cli->state_dir, &config, err) < 0 ? NULL : &config;
}

static void put_row(struct cli *cli, const struct config *config, int row)
{
	struct json_writer w;
	jsonw_init(&w, &cli->out.out, JSON_WRITER_PLAIN);
	jsonw_begin_object(&w);
	member_z(&w, "key", config_rows[row].key);
	member_z(&w, "value", config->text[row]);
	member_z(&w, "default", config_rows[row].otherwise);
	member_bool(&w, "set", config->set[row]);
	member_z(&w, "about", config_rows[row].about);
	jsonw_end_object(&w);
	print_text(&cli->out, "\n");
}

int verb_config_list(struct cli *cli, struct err *err)
{
	static const struct table_column columns[] = {{"KEY", 0}, {"VALUE", 8}, {"SET", 0}, {"ABOUT", 16}};
	const struct config *config = load(cli, err);
	if (config == NULL)
		return -1;
	AUTO(table) *table = table_new(columns, ARRAY_LEN(columns));
	for (int i = 0; i < CONFIG__MAX; i++) {
		if (cli->json) {
			put_row(cli, config, i);
			continue;
		}
		table_cell(table, str_from(config_rows[i].key));
		table_cell(table, str_from(config->text[i]));
		table_cell(table, config->set[i] ? S("yes") : S("-"));
		table_cell(table, str_from(config_rows[i].about));
	}
	table_print(table, &cli->out);
	return CLI_OK;
}

int verb_config_get(struct cli *cli, struct err *err)
{
	int row = row_of(str_from(cli_argument(cli, 0)), err);
	const struct config *config = row < 0 ? NULL : load(cli, err);
	if (config == NULL)
		return -1;
	if (cli->json)
		put_row(cli, config, row);
	else
		print_text(&cli->out, "%s\n", config->text[row]);
	return CLI_OK;
}

/* What approvals are bound to (control/runs.c): those that wait are refused under another. */
static bool is_policy(int row)
{
	return row == CONFIG_APPROVALS_GRANTS || row == CONFIG_APPROVALS_CONFIRM;
}

static const char *effect_of(int row)
{
	return is_policy(row) ? "; 'aileron daemon restart' puts it into effect and refuses what waits for a person"
			      : "; 'aileron daemon restart' puts it into effect";
}

static int change(struct cli *cli, const char *text, struct err *err)
{
	int row = row_of(str_from(cli_argument(cli, 0)), err);
	int changed = row < 0 ? -1 : config_change(cli->state_dir, row, text, err);
	const struct config *config = changed < 0 ? NULL : load(cli, err);
	if (config == NULL)
		return -1;
	if (cli->json)
		put_row(cli, config, row);
	else
		print_text(&cli->out, "%s is %s%s%s\n", config_rows[row].key,
			   config->text[row][0] != '\0' ? config->text[row] : "not set",
			   text == NULL ? ", the default" : "", changed > 0 ? effect_of(row) : "");
	return CLI_OK;
}

int verb_config_set(struct cli *cli, struct err *err)
{
	return change(cli, cli_argument(cli, 1), err);
}

int verb_config_unset(struct cli *cli, struct err *err)
{
	return change(cli, NULL, err);
}
