#include "cli/table.h"
#include "base/escape.h"
#include "base/vec.h"
#include <stdlib.h>

#define CELLS_MAX ((size_t)1 << 20)
#define CELL_MAX  ((size_t)16 << 10) /* bytes that are looked at */
#define GAP       2
#define FOLDED    4 /* blanks before what is on a line of its own */

struct cell {
	struct str text; /* visible */
	enum print_style style;
};

struct table {
	struct table_column columns[TABLE_COLUMNS_MAX];
	size_t n;
	struct arena *arena;
	VEC(struct cell) cells;
};

struct table *table_new(const struct table_column *columns, size_t n)
{
	if (n > TABLE_COLUMNS_MAX)
		BUG("a table of %zu columns", n);
	struct table *table = NEW(struct table);
	memcpy(table->columns, columns, n * sizeof *columns);
	table->n = n;
	table->arena = arena_new();
	table->cells.cap = CELLS_MAX;
	return table;
}

void table_free(struct table *table)
{
	if (table == NULL)
		return;
	vec_release(&table->cells);
	arena_free(table->arena);
	free(table);
}

void table_cell_styled(struct table *table, enum print_style style, struct str text)
{
	AUTO_BUF visible = BUF_INIT(4 * CELL_MAX + ESCAPE_CHAR_MAX);
	escape_cut(&visible, text, CELL_MAX, escape_visible);
	struct cell cell = {.text = arena_str(table->arena, buf_str(&visible)), .style = style};
	(void)vec_push(&table->cells, cell);
}

void table_cell(struct table *table, struct str text)
{
	table_cell_styled(table, PRINT_PLAIN, text);
}

static void natural_widths(const struct table *table, unsigned widths[TABLE_COLUMNS_MAX])
{
	for (size_t i = 0; i < table->n; i++)
		widths[i] = print_width(str_from(table->columns[i].title));
	for (size_t i = 0; i < table->cells.n; i++) {
		unsigned width = print_width(table->cells.items[i].text);
		widths[i % table->n] = MAX(widths[i % table->n], width);
	}
}

static bool may_fold(const struct table *table, size_t column)
{
	return table->columns[column].least == TABLE_BELOW;
}

/* Whether a row is too wide also when each column gives what it may: then some go below. */
static bool must_fold(const struct table *table, const unsigned widths[TABLE_COLUMNS_MAX], unsigned most)
{
	unsigned total = (unsigned)(table->n - 1) * GAP;
	for (size_t i = 0; i < table->n; i++) {
		unsigned least = table->columns[i].least;
		total += least == 0 ? widths[i] : MIN(least, widths[i]);
	}
	return total > most;
}

/* Takes from the widest column that may give, one at a time, until a row fits or none may. */
static void shrink(const struct table *table, unsigned widths[TABLE_COLUMNS_MAX], bool folded, unsigned most)
{
	unsigned total = 0;
	for (size_t i = 0; i < table->n; i++)
		total += folded && may_fold(table, i) ? 0 : widths[i] + (total > 0 ? GAP : 0);
	while (total > most) {
		size_t widest = table->n;
		for (size_t i = 0; i < table->n; i++) {
			if (table->columns[i].least == 0 || widths[i] <= table->columns[i].least)
				continue;
			if (widest == table->n || widths[i] > widths[widest])
				widest = i;
		}
		if (widest == table->n)
			return;
		widths[widest]--;
		total--;
	}
}

static void put_row(const struct table *table, struct printer *printer, const struct cell *cells,
		    const unsigned *widths, bool folded)
{
	unsigned blanks = 0;
	for (size_t i = 0; i < table->n; i++) {
		if (folded && may_fold(table, i))
			continue;
		struct str text =
			printer->width > 0 ? print_cut(table->arena, cells[i].text, widths[i]) : cells[i].text;
		print_text(printer, "%*s", (int)blanks, "");
		print_styled(printer, cells[i].style, "%.*s", STR_FMT(text));
		blanks = widths[i] - MIN(print_width(text), widths[i]) + GAP;
	}
	print_text(printer, "\n");
	for (size_t i = 0; folded && i < table->n; i++) {
		if (!may_fold(table, i))
			continue;
		print_text(printer, "%*s", FOLDED, "");
		print_styled(printer, cells[i].style, "%.*s", STR_FMT(cells[i].text));
		print_text(printer, "\n");
	}
}

void table_print(const struct table *table, struct printer *printer)
{
	unsigned widths[TABLE_COLUMNS_MAX] = {0};
	struct cell heading[TABLE_COLUMNS_MAX];
	if (table->cells.n == 0)
		return;
	natural_widths(table, widths);
	bool folded = printer->width > 0 && must_fold(table, widths, printer->width);
	if (printer->width > 0)
		shrink(table, widths, folded, printer->width);
	for (size_t i = 0; i < table->n; i++)
		heading[i] = (struct cell){.text = str_from(table->columns[i].title), .style = PRINT_BOLD};
	put_row(table, printer, heading, widths, folded);
	for (size_t i = 0; i + table->n <= table->cells.n; i += table->n)
		put_row(table, printer, table->cells.items + i, widths, folded);
}
