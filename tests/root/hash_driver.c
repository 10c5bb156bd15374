/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes a directory as `custodyctl model sign` does, once for each word, and says what it took;
 * for tests/bench and the privileged tests. Trusts its arguments.
 *
 *     hash_driver DIR THREADS SHARD-SIZE|0 INDEX|-|none
 *
 * SHARD-SIZE 0: whole files. INDEX: where the index of fingerprints is written; "-": it is made and
 * forgotten; "none": none is made. Prints: seconds, seconds of processor time, digest, size of the
 * index, its values, peak memory in bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "fingerprint.h"
#include "oms.h"

static double hash_read_clock(clockid_t clock)
{
	struct timespec now = { 0 };

	(void)clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Of this program alone: getrusage() begins with what forked it. */
static unsigned long hash_read_peak(void)
{
	cleanup_file FILE *file = fopen("/proc/self/status", "re");
	unsigned long kib = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "VmHWM: %lu kB", &kib) == 1)
			return kib * 1024;
	}
	return ~0UL;
}

static int hash_fail(const char *what, int r, const char *why)
{
	(void)fprintf(stderr, "hash_driver: %s: %s %s\n", what, strerror(-r), why);
	return 1;
}

static int hash_write_index(const struct fingerprint_index *index, const char *path, size_t *ret_n)
{
	cleanup_ptr __u8 *bytes = NULL;
	cleanup_fd int fd = -1;
	int r = fingerprint_encode(index, &bytes, ret_n);

	if (r < 0 || strcmp(path, "-") == 0)
		return r;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	return write(fd, bytes, *ret_n) == (ssize_t)*ret_n ? 0 : -EIO;
}

int main(int argc, char **argv)
{
	cleanup_fingerprint_index struct fingerprint_index index = { 0 };
	cleanup_oms_manifest struct oms_manifest *manifest = NULL;
	struct oms_model model = { .dirfd = -1 };
	char hex[OMS_HEX_SIZE];
	struct oms_why why = { 0 };
	double began, seconds, processor;
	size_t n = 0;
	int r;

	if (argc != 5)
		return hash_fail("wants DIR THREADS SHARD-SIZE INDEX", -EINVAL, "");
	model.dirfd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	model.threads = (unsigned int)strtoul(argv[2], NULL, 10);
	model.ret_fingerprints = strcmp(argv[4], "none") == 0 ? NULL : &index;
	if (model.dirfd < 0)
		return hash_fail(argv[1], -errno, "");
	r = oms_manifest_make(strcmp(argv[3], "0") == 0 ? OMS_FILES : OMS_SHARDS, "m", NULL,
			      &manifest);
	if (r < 0)
		return hash_fail(argv[1], r, "");
	if (manifest->method == OMS_SHARDS)
		manifest->shard_size = strtoull(argv[3], NULL, 10);
	began = hash_read_clock(CLOCK_MONOTONIC);
	processor = hash_read_clock(CLOCK_PROCESS_CPUTIME_ID);
	r = oms_measure(&model, NULL, manifest, &why);
	if (r == 0 && model.ret_fingerprints)
		r = hash_write_index(&index, argv[4], &n);
	seconds = hash_read_clock(CLOCK_MONOTONIC) - began;
	processor = hash_read_clock(CLOCK_PROCESS_CPUTIME_ID) - processor;
	if (r < 0)
		return hash_fail(argv[1], r, why.text);
	r = oms_statement_digest(manifest, &why);
	if (r < 0)
		return hash_fail(argv[1], r, why.text);
	oms_print_hex(manifest->root, hex);
	(void)printf("%.6f %.6f %s %zu %zu %lu\n", seconds, processor, hex, n, index.n,
		     hash_read_peak());
	return 0;
}
