/*
 * list: verbs that ask for a list and show it
 */
#pragma once
#include "cli/cli.h"
#include "cli/table.h"

/* The parameter of a query that a flag of the verb stands for. */
struct cli_parameter {
	const char *flag, *parameter;
};
/*
 * A query of the flags that were given: switches as "true", times as RFC 3339 (cli_since()), others as they are. *ret lives
 * as long as the cli.
 */
int cli_query(struct cli *cli, const struct cli_parameter *parameters, size_t n, struct str *ret, struct err *err)
	__attribute__((warn_unused_result));

struct cli_list {
	enum api_operation_id operation;
	struct str query;
	const char *items; /* the member of the answer that is the list */
	const struct table_column *columns;
	size_t n_columns;
	void (*put_row)(struct cli *cli, struct table *table, const struct json *item);
};
/*
 * Asks, and shows a table, or with --json an item a line. An answer whose `verified` is false is shown with a note. The
 * exit status.
 */
int cli_list(struct cli *cli, const struct cli_list *list, struct err *err) __attribute__((warn_unused_result));
