/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text tables: columns as wide as their widest cell. Run by custodyctl. Cells are taken as they
 * are: whoever adds one has escaped it.
 */
#ifndef CUSTODYCTL_TABLE_H
#define CUSTODYCTL_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 13

struct table {
	size_t n_columns;
	bool right[TABLE_COLUMNS_MAX];	/* numbers */
	size_t width[TABLE_COLUMNS_MAX];
	char **cells;			/* owned, row by row; the first row is the heading */
	size_t n_cells;
};

/* Columns by heading; one that starts with '>' is set to the right. NULL ends the list. */
int table_open(struct table *table, const char *const *headings);

/* Copies n_columns cells. 0 or -ENOMEM. */
int table_add_row(struct table *table, const char *const *cells);

/* Heading and rows; the heading in bold when colour is set. */
void table_print(const struct table *table, FILE *out, bool colour);

void table_close(struct table *table);
#define cleanup_table __attribute__((cleanup(table_close)))

#endif
