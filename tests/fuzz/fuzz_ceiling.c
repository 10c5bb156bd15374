/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as the account of a model on disk. Input beginning with 'm' is laid over an
 * account, and its digest is put right, so that the checks behind it are reached; any other is the
 * file itself. What is accepted is that model's, and every row of it can be found and no more.
 * Trusts nothing.
 * link: daemon/warden/ceiling_file.c
 */
#include <openssl/sha.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/warden/ceiling_file.h"

#define FUZZ_NAME "digits"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_require(int condition)
{
	if (!condition)
		abort();
}

static void fuzz_check_accepted(const void *bytes)
{
	struct ceiling_file file;
	struct ceiling_row *row;

	memcpy(&file, bytes, sizeof(file));
	fuzz_require(strcmp(file.name, FUZZ_NAME) == 0 && file.n_rows <= CEILING_FILE_ROWS);
	for (__u32 i = 0; i < file.n_rows; i++) {
		row = ceiling_file_find(&file, file.rows[i].endpoint);
		fuzz_require(row && row <= &file.rows[i] &&
			     strcmp(row->endpoint, file.rows[i].endpoint) == 0);
	}
	row = ceiling_file_find(&file, "tcp:192.0.2.77:7");
	fuzz_require(!row || row < file.rows + CEILING_FILE_ROWS);
	fuzz_require(file.n_rows <= CEILING_FILE_ROWS);
}

/* The input is a list of {offset u16, length u8, bytes}: the struct has more than 8 KiB. */
static void fuzz_overlay(const uint8_t *data, size_t size, unsigned char *bytes)
{
	while (size >= 3) {
		size_t at = (data[0] | (size_t)data[1] << 8) % offsetof(struct ceiling_file, digest);
		size_t n = data[2];

		data += 3;
		size -= 3;
		n = n < size ? n : size;
		n = n < sizeof(struct ceiling_file) - at ? n : sizeof(struct ceiling_file) - at;
		memcpy(bytes + at, data, n);
		data += n;
		size -= n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ceiling_file file;
	const char *why = NULL;
	const void *bytes = data;
	int r;

	if (size > 0 && data[0] == 'm') {
		ceiling_file_begin(&file, FUZZ_NAME);
		(void)ceiling_file_find(&file, "");
		(void)ceiling_file_find(&file, "tcp:10.0.0.5:443");
		fuzz_overlay(data + 1, size - 1, (unsigned char *)&file);
		(void)SHA256((const unsigned char *)&file, offsetof(struct ceiling_file, digest),
			     file.digest);
		bytes = &file;
		size = sizeof(file);
	}
	r = ceiling_file_check(bytes, size, FUZZ_NAME, &why);
	fuzz_require(r == 0 || (why && *why));
	if (r == 0)
		fuzz_check_accepted(bytes);
	return 0;
}
