/* SPDX-License-Identifier: Apache-2.0 */
/* Text tables. Run by custodyctl. Trusts its caller to have escaped the cells. */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Columns that UTF-8 text takes, counting every code point as one. */
static size_t table_find_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static int table_add_cell(struct table *table, const char *text)
{
	size_t column = table->n_cells % table->n_columns;
	size_t n = table_find_width(text);
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

static void table_print_cell(const struct table *table, size_t i, FILE *out)
{
	size_t column = i % table->n_columns;
	int pad = (int)(table->width[column] - table_find_width(table->cells[i]));
	bool last = column + 1 == table->n_columns;

	if (table->right[column])
		(void)fprintf(out, "%*s%s", pad, "", table->cells[i]);
	else if (last)
		(void)fputs(table->cells[i], out);
	else
		(void)fprintf(out, "%s%*s", table->cells[i], pad, "");
}

void table_print(const struct table *table, FILE *out, bool colour)
{
	for (size_t i = 0; i < table->n_cells; i++) {
		bool last = (i + 1) % table->n_columns == 0;

		if (i == 0 && colour)
			(void)fputs("\033[1m", out);
		table_print_cell(table, i, out);
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
