/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as what custodyd and the measurer pass to each other, and as what is
 * kept of a measurement: a table of measured files ("t"; "T": its head is put right, so that the
 * checks behind it are reached), or the inputs of a measurement (anything else). Of what is
 * accepted every array and name lies inside. Trusts nothing.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "measured.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every byte: ASan says when one lies outside. */
static unsigned int fuzz_touch(const void *at, size_t n)
{
	const unsigned char *byte = at;
	unsigned int sum = 0;

	while (n-- > 0)
		sum += *byte++;
	return sum;
}

static unsigned int fuzz_walk(const struct measured_table *table)
{
	const struct measured_file *files = measured_files(table);
	unsigned int sum = 0;

	for (__u64 i = 0; i < table->n_files; i++) {
		const char *name = measured_name(table, &files[i]);

		sum += fuzz_touch(name, strlen(name) + 1);
		/* Many files may share pieces, so only the ends are read. */
		if (files[i].n_pieces > 0) {
			const struct measured_piece *piece =
				&measured_pieces(table)[files[i].first_piece];

			sum += fuzz_touch(piece, sizeof(*piece));
			sum += fuzz_touch(piece + files[i].n_pieces - 1, sizeof(*piece));
		}
		if (!measured_is_same(&files[i], &files[i]))
			abort();
	}
	return sum;
}

static unsigned int fuzz_inputs(const struct measured_map *map)
{
	const struct measured_inputs *inputs = measured_check_inputs(map);
	unsigned int sum = 0;

	for (__u32 i = 0; inputs && i < inputs->n; i++) {
		const struct measured_input *input = &inputs->input[i];

		sum += fuzz_touch((const char *)map->data + input->off, input->size);
		sum += (unsigned int)strlen(input->name);
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char kind = size > 0 ? (char)data[0] : 0;
	const size_t n = kind == 't' || kind == 'T' ? size - 1 : size;
	struct measured_map map = { .data = malloc(n > 0 ? n : 1), .size = n };
	struct measured_table *head = (void *)(uintptr_t)map.data;
	const struct measured_table *table = NULL;
	volatile unsigned int sum = 0;

	if (!map.data)
		return 0;
	memcpy((void *)(uintptr_t)map.data, data + (size - n), n);
	if (kind == 'T' && n >= sizeof(*head)) {
		head->magic = MEASURED_TABLE_MAGIC;
		head->version = MEASURED_TABLE_VERSION;
		head->size = n;
	}
	if (n != size)
		table = measured_check_table(&map);
	else
		sum = fuzz_inputs(&map);
	if (table)
		sum = fuzz_walk(table);
	(void)sum;
	free((void *)(uintptr_t)map.data);
	return 0;
}
