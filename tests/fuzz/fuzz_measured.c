/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a table of what was measured, and as a measurer's inputs, as they are
 * and with what stands at the head put right. What is accepted is walked through as its readers do:
 * nothing lies outside, names ascend, and every file is the same as itself.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "measured.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static uint64_t sum;

static void add(const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + at[i];
}

static void walk_table(const struct measured_table *table)
{
	const struct measured_file *files = measured_files(table);
	const char *last = NULL;

	for (__u64 i = 0; i < table->n_files; i++) {
		const char *name = measured_name(table, &files[i]);

		if (last && strcmp(last, name) >= 0)
			abort();
		last = name;
		add(&files[i], sizeof(files[i]));
		add(name, strlen(name));
		add(measured_pieces(table) + files[i].first_piece,
		    files[i].n_pieces * sizeof(struct measured_piece));
		if (!measured_is_same(&files[i], &files[i]) ||
		    measured_is_same_verity(&files[i], &files[i]) != (files[i].verity != 0))
			abort();
		if (i > 0 && measured_is_same(&files[i - 1], &files[i]) &&
		    files[i - 1].inode != files[i].inode)
			abort();
	}
}

static void check_table(const void *bytes, size_t n)
{
	const struct measured_map map = { .data = n > 0 ? bytes : NULL, .size = n };
	const struct measured_table *table = measured_check_table(&map);

	if (table)
		walk_table(table);
}

static void check_inputs(const void *bytes, size_t n)
{
	const struct measured_map map = { .data = n > 0 ? bytes : NULL, .size = n };
	const struct measured_inputs *inputs = measured_check_inputs(&map);

	for (__u32 i = 0; inputs && i < inputs->n; i++) {
		add((const char *)bytes + inputs->input[i].off, inputs->input[i].size);
		add(inputs->input[i].name, strlen(inputs->input[i].name));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const size_t room = n > sizeof(struct measured_inputs) ? n : sizeof(struct measured_inputs);
	struct measured_inputs *inputs;
	struct measured_table *table = malloc(n + 1);

	if (!table)
		return 0;
	memcpy(table, data, n);
	check_table(table, n);
	check_inputs(table, n);
	if (n >= sizeof(*table)) {
		table->magic = MEASURED_TABLE_MAGIC;
		table->version = MEASURED_TABLE_VERSION;
		table->size = n;
		check_table(table, n);
	}
	free(table);
	inputs = calloc(1, room);
	if (!inputs)
		return 0;
	memcpy(inputs, data, n);
	inputs->magic = MEASURED_INPUTS_MAGIC;
	inputs->n %= MEASURED_INPUTS_MAX + 2;
	check_inputs(inputs, room);
	free(inputs);
	return 0;
}
