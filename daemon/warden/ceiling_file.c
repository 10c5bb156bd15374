/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The account of a model, read, checked and replaced in one step: see ceiling_file.h. Run by
 * custodyd. Trusts no byte that it has not compared with the digest.
 */
#include "ceiling_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "plan.h"

static int ceiling_file_digest(const struct ceiling_file *file, __u8 ret[CUSTODY_DIGEST_SIZE])
{
	unsigned int n = CUSTODY_DIGEST_SIZE;

	return EVP_Digest(file, offsetof(struct ceiling_file, digest), ret, &n, EVP_sha256(),
			  NULL) == 1 ? 0 : -EIO;
}

void ceiling_file_begin(struct ceiling_file *file, const char *name)
{
	memset(file, 0, sizeof(*file));
	file->magic = CEILING_FILE_MAGIC;
	file->version = CEILING_FILE_VERSION;
	file->size = sizeof(*file);
	(void)snprintf(file->name, sizeof(file->name), "%s", name);
}

static const char *ceiling_file_judge(const struct ceiling_file *file, const char *name)
{
	__u8 digest[CUSTODY_DIGEST_SIZE];

	if (file->magic != CEILING_FILE_MAGIC || file->version != CEILING_FILE_VERSION ||
	    file->size != sizeof(*file))
		return "it is not an account of this version";
	if (ceiling_file_digest(file, digest) < 0 ||
	    memcmp(digest, file->digest, sizeof(digest)) != 0)
		return "its digest is wrong";
	if (!memchr(file->name, '\0', sizeof(file->name)) || strcmp(file->name, name) != 0)
		return "it is another model's";
	if (file->n_rows > CEILING_FILE_ROWS)
		return "it has too many rows";
	for (__u32 i = 0; i < file->n_rows; i++) {
		if (!memchr(file->rows[i].endpoint, '\0', CEILING_FILE_ENDPOINT))
			return "an endpoint in it has no end";
	}
	return NULL;
}

int ceiling_file_check(const void *bytes, size_t n, const char *name, const char **ret_why)
{
	struct ceiling_file file;
	const char *why;

	if (n != sizeof(file)) {
		*ret_why = "it has the wrong size";
		return -EPROTO;
	}
	memcpy(&file, bytes, sizeof(file));
	why = ceiling_file_judge(&file, name);
	if (!why)
		return 0;
	*ret_why = why;
	return -EPROTO;
}

static int ceiling_file_path(const char *dir, const char *name, const char *suffix, char *ret,
			     size_t size)
{
	int n = plan_check_name(name) ? snprintf(ret, size, "%s/%s%s", dir, name, suffix) : -1;

	return n < 0 || (size_t)n >= size ? -EINVAL : 0;
}

int ceiling_file_load(const char *dir, const char *name, struct ceiling_file *ret,
		      const char **ret_why)
{
	char path[CUSTODY_PATH_SIZE * 2 + CUSTODY_NAME_SIZE];
	__u8 bytes[sizeof(*ret) + 1];
	cleanup_fd int fd = -1;
	struct stat st;
	ssize_t n;
	int r = ceiling_file_path(dir, name, "", path, sizeof(path));

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 0022)) {
		*ret_why = "it is not a file that only root may write";
		return -EPROTO;
	}
	n = read(fd, bytes, sizeof(bytes));
	if (n < 0)
		return -errno;
	r = ceiling_file_check(bytes, (size_t)n, name, ret_why);
	if (r == 0)
		memcpy(ret, bytes, sizeof(*ret));
	return r;
}

static int ceiling_file_write(const char *path, const struct ceiling_file *file)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, file, sizeof(*file));
	if (n >= 0 && (size_t)n != sizeof(*file))
		return -ENOSPC;
	return n < 0 || fsync(fd) < 0 ? -errno : 0;
}

int ceiling_file_save(const char *dir, struct ceiling_file *file)
{
	char path[CUSTODY_PATH_SIZE * 2 + CUSTODY_NAME_SIZE];
	char temporary[sizeof(path) + 8];
	cleanup_fd int directory = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = directory < 0 ? -errno : ceiling_file_digest(file, file->digest);

	if (r == 0)
		r = ceiling_file_path(dir, file->name, "", path, sizeof(path));
	/* No name of a model begins with a dot. */
	if (r == 0)
		(void)snprintf(temporary, sizeof(temporary), "%s/.%s", dir, file->name);
	if (r == 0)
		r = ceiling_file_write(temporary, file);
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r == 0 && fsync(directory) < 0)
		r = -errno;
	return r;
}

int ceiling_file_remove(const char *dir, const char *name)
{
	char path[CUSTODY_PATH_SIZE * 2 + CUSTODY_NAME_SIZE];
	int r = ceiling_file_path(dir, name, "", path, sizeof(path));

	if (r < 0)
		return r;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

struct ceiling_row *ceiling_file_find(struct ceiling_file *file, const char *endpoint)
{
	struct ceiling_row *row;

	for (__u32 i = 0; i < file->n_rows && i < CEILING_FILE_ROWS; i++) {
		if (strcmp(file->rows[i].endpoint, endpoint) == 0)
			return &file->rows[i];
	}
	if (file->n_rows >= CEILING_FILE_ROWS || strlen(endpoint) >= CEILING_FILE_ENDPOINT)
		return NULL;
	row = &file->rows[file->n_rows++];
	(void)snprintf(row->endpoint, sizeof(row->endpoint), "%s", endpoint);
	return row;
}
