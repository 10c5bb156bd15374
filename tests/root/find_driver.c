/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks for a model in a file by its index of fingerprints; for the privileged tests. Trusts its
 * arguments.
 *
 *     find_driver INDEX FILE
 *
 * Prints: values of the index, how many of them the file holds, occurrences. Exits 1 when that
 * cannot be done, or the index is none.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "fingerprint.h"

#define FIND_BLOCK 65537 /* odd, so that windows lie across blocks */

static int find_fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "find_driver: %s %s\n", what, why);
	return 1;
}

static int find_load(const char *path, struct fingerprint_index *ret)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_ptr __u8 *bytes = malloc(FINGERPRINT_FILE_MAX + 1);
	const char *why = "";
	ssize_t n = fd < 0 || !bytes ? -1 : read(fd, bytes, FINGERPRINT_FILE_MAX + 1);

	if (n < 0)
		return find_fail(path, "cannot be read");
	return fingerprint_decode(bytes, (size_t)n, ret, &why) < 0 ? find_fail(path, why) : 0;
}

static int find_scan(const char *path, const struct fingerprint_index *index)
{
	cleanup_ptr __u8 *seen = calloc(index->n / 8 + 1, 1);
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct fingerprint_scan scan;
	__u8 block[FIND_BLOCK];
	ssize_t n;

	if (fd < 0 || !seen)
		return find_fail(path, "cannot be read");
	fingerprint_scan_begin(&scan, index);
	scan.seen = seen;
	while ((n = read(fd, block, sizeof(block))) > 0)
		fingerprint_scan_add(&scan, block, (size_t)n);
	if (n < 0)
		return find_fail(path, "cannot be read");
	(void)printf("%zu %zu %llu\n", index->n, scan.distinct, (unsigned long long)scan.hits);
	return 0;
}

int main(int argc, char **argv)
{
	cleanup_fingerprint_index struct fingerprint_index index = { 0 };

	if (argc != 3)
		return find_fail("takes", "INDEX FILE");
	if (find_load(argv[1], &index) != 0)
		return 1;
	return find_scan(argv[2], &index);
}
