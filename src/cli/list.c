#include "cli/list.h"
#include "api/query.h"

#define QUERY_MAX ((size_t)16 << 10)

int cli_query(struct cli *cli, const struct cli_parameter *parameters, size_t n, struct str *ret, struct err *err)
{
	const struct operation *operation = operation_at(cli->line->verb->operations[0]);
	AUTO_BUF query = BUF_INIT(QUERY_MAX);
	for (size_t i = 0; i < n; i++) {
		const char *name = parameters[i].flag;
		const struct verb_flag *flag = verb_flag_named(cli->line->verb, str_from(name));
		struct str value = STR_EMPTY;
		if (flag != NULL && flag->kind == FLAG_SWITCH)
			value = verb_switch(cli->line, name) ? S("true") : STR_EMPTY;
		else if (flag != NULL && flag->kind != FLAG_TIME)
			value = str_from(verb_text(cli->line, name));
		else if (cli_since(cli, name, &value, err) < 0)
			return -1;
		/* What the daemon would refuse is a wrong command line. */
		if (value.n > 0 && api_query_check(operation, str_from(parameters[i].parameter), value, err) < 0)
			return cli_refuse(name, err);
		if (value.n > 0)
			client_query_add(&query, parameters[i].parameter, value);
	}
	if (buf_check(&query, "the query", err) < 0)
		return -1;
	*ret = arena_str(cli->arena, buf_str(&query));
	return 0;
}

int cli_list(struct cli *cli, const struct cli_list *list, struct err *err)
{
	AUTO(json) *answer = NULL;
	const struct client_request request = {.operation = list->operation, .query = list->query};
	if (cli_call(cli, &request, &answer, err) < 0)
		return -1;
	const struct json *items = json_member(answer, str_from(list->items));
	if (cli->json) {
		print_json_list(&cli->out, items);
		return CLI_OK;
	}
	AUTO(table) *table = table_new(list->columns, list->n_columns);
	for (size_t i = 0; i < json_length(items); i++)
		list->put_row(cli, table, json_at(items, i));
	table_print(table, &cli->out);
	bool verified;
	if (json_get_bool(json_member(answer, S("verified")), &verified) && !verified)
		print_note("the vault is not unlocked: this was not verified");
	if (cli_int(answer, "awaiting_vault") > 0)
		print_note("approved runs that wait for the vault: %lld; 'aileron vault unlock' lets them go on",
			   (long long)cli_int(answer, "awaiting_vault"));
	return CLI_OK;
}
