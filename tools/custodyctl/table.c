/* SPDX-License-Identifier: Apache-2.0 */
/* Text tables. Run by custodyctl. Trusts its caller to have escaped the cells. */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int table_add_cell(struct table *table, const char *text)
{
	size_t column = table->n_cells % table->n_columns;
	size_t n = strlen(text);
	char **cells = reallocarray(table->cells, table->n_cells + 1, sizeof(*cells));

	if (!cells)
		return -ENOMEM;
	table->cells = cells;
	cells[table->n_cells] = strdup(text);
	if (!cells[table->n_cells])
		return -ENOMEM;
	table->n_cells++;
	if (n > table->width[column])
		table->width[column] = n;
	return 0;
}

int table_open(struct table *table, const char *const *headings)
{
	*table = (struct table){ 0 };
	for (size_t i = 0; headings[i]; i++)
		table->n_columns++;
	if (table->n_columns == 0 || table->n_columns > TABLE_COLUMNS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < table->n_columns; i++) {
		int r;

		table->right[i] = headings[i][0] == '>';
		r = table_add_cell(table, headings[i] + table->right[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

int table_add_row(struct table *table, const char *const *cells)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		int r = table_add_cell(table, cells[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

void table_print(const struct table *table, FILE *out, bool colour)
{
	for (size_t i = 0; i < table->n_cells; i++) {
		size_t column = i % table->n_columns;
		bool last = column + 1 == table->n_columns;
		int width = (int)table->width[column];

		if (i == 0 && colour)
			(void)fputs("\033[1m", out);
		if (table->right[column])
			(void)fprintf(out, "%*s", width, table->cells[i]);
		else if (last)
			(void)fputs(table->cells[i], out);
		else
			(void)fprintf(out, "%-*s", width, table->cells[i]);
		if (last && i < table->n_columns && colour)
			(void)fputs("\033[0m", out);
		(void)fputs(last ? "\n" : "  ", out);
	}
}

void table_close(struct table *table)
{
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct table){ 0 };
}
