/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence on disk. Run by custody-recorder. Trusts the log that it wrote itself, not what else
 * lies in the evidence directory.
 */
#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "retirement.h"
#include "write_all.h"

#define BUNDLE_TEMPORARY	".unfinished"
#define BUNDLE_ATTEMPTS_MAX	1000

static const char *const bundle_files[] = {
	RETIREMENT_FILE_STATEMENT, RETIREMENT_FILE_RECORDS, RETIREMENT_FILE_HEAD,
};

static int bundle_create(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);

	return fd < 0 ? -errno : fd;
}

static int bundle_finish(int fd)
{
	if (fchmod(fd, 0640) < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

static int bundle_write_file(int dirfd, const char *name, const char *bytes, size_t n)
{
	cleanup_fd int fd = bundle_create(dirfd, name);
	int r = fd < 0 ? fd : write_all(fd, bytes, n);

	return r < 0 ? r : bundle_finish(fd);
}

static int bundle_copy_records(int dirfd, const struct bundle *bundle)
{
	cleanup_fd int fd = bundle_create(dirfd, RETIREMENT_FILE_RECORDS);
	__u64 at = bundle->first;
	char buffer[65536];

	if (fd < 0)
		return fd;
	while (at < bundle->end) {
		size_t want = sizeof(buffer);
		ssize_t n;
		int r;

		if (want > bundle->end - at)
			want = (size_t)(bundle->end - at);
		n = pread(bundle->log_fd, buffer, want, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		r = write_all(fd, buffer, (size_t)n);
		if (r < 0)
			return r;
		at += (__u64)n;
	}
	return bundle_finish(fd);
}

/* What an unfinished attempt left, and nothing else: an unknown file makes it fail. */
static int bundle_remove_temporary(int evidence_fd)
{
	cleanup_fd int dir = openat(evidence_fd, BUNDLE_TEMPORARY,
				    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	for (size_t i = 0; i < ARRAY_SIZE(bundle_files); i++) {
		if (unlinkat(dir, bundle_files[i], 0) < 0 && errno != ENOENT)
			return -errno;
	}
	return unlinkat(evidence_fd, BUNDLE_TEMPORARY, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static int bundle_fill(int evidence_fd, const struct bundle *bundle)
{
	cleanup_fd int dir = -1;
	int r;

	if (mkdirat(evidence_fd, BUNDLE_TEMPORARY, 0700) < 0)
		return -errno;
	dir = openat(evidence_fd, BUNDLE_TEMPORARY,
		     O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return -errno;
	r = bundle_copy_records(dir, bundle);
	if (r == 0)
		r = bundle_write_file(dir, RETIREMENT_FILE_HEAD, bundle->note,
				      strlen(bundle->note));
	if (r == 0)
		r = bundle_write_file(dir, RETIREMENT_FILE_STATEMENT, bundle->statement,
				      bundle->statement_n);
	if (r < 0)
		return r;
	return fchmod(dir, 0750) < 0 || fsync(dir) < 0 ? -errno : 0;
}

static int bundle_publish(int evidence_fd, const struct bundle *bundle, char *ret, size_t size)
{
	for (int attempt = 1; attempt <= BUNDLE_ATTEMPTS_MAX; attempt++) {
		char name[CUSTODY_NAME_SIZE * 2];
		int n;

		if (attempt == 1)
			n = snprintf(name, sizeof(name), "%s-%u", bundle->name, bundle->jail_id);
		else
			n = snprintf(name, sizeof(name), "%s-%u.%d", bundle->name,
				     bundle->jail_id, attempt);
		if (n < 0 || (size_t)n >= sizeof(name) || (size_t)n >= size)
			return -ENAMETOOLONG;
		if (renameat2(evidence_fd, BUNDLE_TEMPORARY, evidence_fd, name,
			      RENAME_NOREPLACE) == 0) {
			memcpy(ret, name, (size_t)n + 1);
			return fsync(evidence_fd) < 0 ? -errno : 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

int bundle_write(int evidence_fd, const struct bundle *bundle, char *ret, size_t size)
{
	int r = bundle_remove_temporary(evidence_fd);

	if (r < 0)
		return r;
	r = bundle_fill(evidence_fd, bundle);
	if (r == 0)
		r = bundle_publish(evidence_fd, bundle, ret, size);
	if (r < 0)
		(void)bundle_remove_temporary(evidence_fd);
	return r;
}
