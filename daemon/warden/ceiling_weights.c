/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The size of the weights: see ceiling_weights.h. Run by custodyd. Trusts what the file system says
 * is stored, not what a file claims to be.
 */
#include "ceiling_weights.h"

#include <errno.h>
#include <fts.h>
#include <stddef.h>
#include <sys/stat.h>

#define CEILING_ENTRIES_MAX (1U << 17)
#define CEILING_BLOCK 512ULL	/* unit of st_blocks */

static void ceiling_close_walk(FTS **walk)
{
	if (*walk)
		(void)fts_close(*walk);
}

/* Sparse files and hard links must not buy a higher ceiling. */
static __u64 ceiling_weigh(const struct stat *st)
{
	__u64 size = (__u64)st->st_size, stored = (__u64)st->st_blocks * CEILING_BLOCK;

	return (size < stored ? size : stored) / (st->st_nlink > 1 ? st->st_nlink : 1);
}

int ceiling_weights_measure(const char *path, __u64 *ret)
{
	char *const paths[] = { (char *)path, NULL };
	__attribute__((cleanup(ceiling_close_walk))) FTS *walk =
		fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	unsigned int n = 0;
	__u64 sum = 0;
	FTSENT *entry;

	if (!walk)
		return -errno;
	errno = 0;
	while ((entry = fts_read(walk))) {
		if (++n > CEILING_ENTRIES_MAX)
			return -E2BIG;
		if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR ||
		    entry->fts_info == FTS_NS)
			return entry->fts_errno ? -entry->fts_errno : -EIO;
		if (entry->fts_info == FTS_F && S_ISREG(entry->fts_statp->st_mode) &&
		    __builtin_add_overflow(sum, ceiling_weigh(entry->fts_statp), &sum))
			return -EOVERFLOW;
	}
	if (errno != 0)
		return -errno;
	*ret = sum;
	return 0;
}
