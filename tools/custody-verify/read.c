/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a bundle's files and a key file. Run by custody-verify. Trusts nothing that it finds.
 */
#include "read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "escape.h"

void read_free_files(struct read_files *files)
{
	free(files->statement);
	free(files->records);
	free(files->head);
	memset(files, 0, sizeof(*files));
}

static int read_fill(int fd, char *bytes, size_t n)
{
	size_t used = 0;

	while (used < n) {
		ssize_t got = read(fd, bytes + used, n - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		used += (size_t)got;
	}
	return 0;
}

/* A regular file of 1 to max bytes. */
static int read_file(int dirfd, const char *name, int flags, size_t max, char **ret, size_t *ret_n)
{
	cleanup_fd int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
	cleanup_ptr char *bytes = NULL;
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOTSUP;
	if (st.st_size <= 0 || (size_t)st.st_size > max)
		return -EFBIG;
	bytes = malloc((size_t)st.st_size);
	if (!bytes)
		return -ENOMEM;
	r = read_fill(fd, bytes, (size_t)st.st_size);
	if (r < 0)
		return r;
	*ret_n = (size_t)st.st_size;
	*ret = TAKE_PTR(bytes);
	return 0;
}

static const char *read_describe(int error)
{
	switch (error) {
	case -ENOENT:
		return "is missing";
	case -ELOOP:
		return "is a symbolic link, which evidence never is";
	case -ENOTSUP:
		return "is not a regular file";
	case -EFBIG:
		return "is empty, or larger than evidence can be";
	default:
		return strerror(-error);
	}
}

static bool read_refuse_strangers(int dirfd, char *problem, size_t size)
{
	cleanup_dir DIR *dir = NULL;
	cleanup_fd int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		dir = fdopendir(fd);
	if (!dir) {
		(void)snprintf(problem, size, "the bundle cannot be listed: %s", strerror(errno));
		return false;
	}
	(void)TAKE_FD(fd);
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		char name[ESCAPE_SIZE(sizeof(e->d_name))];

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    strcmp(e->d_name, RETIREMENT_FILE_STATEMENT) == 0 ||
		    strcmp(e->d_name, RETIREMENT_FILE_RECORDS) == 0 ||
		    strcmp(e->d_name, RETIREMENT_FILE_HEAD) == 0)
			continue;
		(void)escape_text(e->d_name, sizeof(e->d_name), false, name, sizeof(name));
		(void)snprintf(problem, size, "%.255s: this file is no part of any evidence", name);
		return false;
	}
	return true;
}

static bool read_one(int dirfd, const char *name, size_t max, char **ret, size_t *ret_n,
		     char *problem, size_t size)
{
	int r = read_file(dirfd, name, O_NOFOLLOW, max, ret, ret_n);

	if (r < 0)
		(void)snprintf(problem, size, "%s: %s", name, read_describe(r));
	return r == 0;
}

bool read_bundle(const char *path, struct read_files *ret, char *problem, size_t size)
{
	cleanup_fd int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0) {
		char name[ESCAPE_SIZE(CUSTODY_PATH_SIZE)];

		(void)escape_text(path, strlen(path), false, name, sizeof(name));
		(void)snprintf(problem, size, "%.1024s: %s; name the directory that `custodyctl "
			       "evidence export` made", name, strerror(errno));
		return false;
	}
	return read_refuse_strangers(dir, problem, size) &&
	       read_one(dir, RETIREMENT_FILE_HEAD, CHECK_HEAD_MAX, &ret->head, &ret->head_n,
			problem, size) &&
	       read_one(dir, RETIREMENT_FILE_STATEMENT, CHECK_STATEMENT_MAX, &ret->statement,
			&ret->statement_n, problem, size) &&
	       read_one(dir, RETIREMENT_FILE_RECORDS, CHECK_RECORDS_MAX, &ret->records,
			&ret->records_n, problem, size);
}

bool read_key(const char *path, struct key **ret, char *problem, size_t size)
{
	char name[ESCAPE_SIZE(CUSTODY_PATH_SIZE)];
	cleanup_ptr char *text = NULL;
	size_t n = 0;
	int r = read_file(AT_FDCWD, path, 0, KEY_FILE_MAX, &text, &n);

	(void)escape_text(path, strlen(path), false, name, sizeof(name));
	if (r < 0) {
		(void)snprintf(problem, size, "key %.1024s: %s", name, read_describe(r));
		return false;
	}
	r = key_parse_public(text, n, ret);
	if (r < 0)
		(void)snprintf(problem, size,
			       "key %.1024s: it is neither an Ed25519 public key in PEM "
			       "(ledger.pub) nor a vkey line (ledger.vkey)", name);
	return r == 0;
}
