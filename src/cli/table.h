/*
 * table: rows in columns that line up
 *
 * A column is as wide as its widest cell; on a terminal the columns that may shrink do, so that a row fits on a line, and
 * what is cut ends in "…". Into a pipe or a file everything is written in full. Cells may come from outside: hidden
 * characters are made visible. One thread.
 */
#pragma once
#include "cli/print.h"

#define TABLE_COLUMNS_MAX 8
#define TABLE_BELOW       (~0U)

struct table_column {
	const char *title;
	/* Columns below which it is not cut; 0 = never cut; TABLE_BELOW = never, and on a line of its own where rows do not fit */
	unsigned least;
};
struct table;
struct table *table_new(const struct table_column *columns, size_t n)
	__attribute__((warn_unused_result, returns_nonnull));
void table_free(struct table *table); /* NULL is fine */
DEFINE_AUTO(table, table_free)
/* The next cell, from left to right, row by row. */
void table_cell(struct table *table, struct str text);
void table_cell_styled(struct table *table, enum print_style style, struct str text);
/* The heading and all rows; nothing when there are no rows. */
void table_print(const struct table *table, struct printer *printer);
