/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was measured before, so that a model that is the same is not read again. Run by custodyd.
 * /var/lib/custody/measured/NAME, root's alone: a header and the table that a measurer made. It is
 * only ever believed as far as the kernel confirms it:
 *
 * C1  A file with fs-verity is its digest: the kernel checks what is read against it. The measurer
 *     asks the kernel for it each time.
 * C2  Any other file is the same only if its identity is, and nobody can have written to it in
 *     between: since before it was read, the guard has held every file for the jail that it was
 *     read for (a jail's number is never used twice, so an entry under it has stood all the time),
 *     and the mount below it is still that mount (its unique number, Linux 6.8), so that no file
 *     system was taken away, changed and brought back.
 * C3  A cache that does not hold, is torn, or is of another version is none: the model is read.
 *     So nothing here needs to be on disk before the launch goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "measure.h"
#include "measured.h"
#include "paths.h"
#include "policy_guard.h"

#define MEASURE_CACHE_MAGIC 0x434d4d43U /* "CMMC" */
#define MEASURE_CACHE_VERSION 1

struct measure_cache {
	__u32 magic;
	__u32 version;
	__u32 jail_id; /* for which it was measured, or found to be the same */
	__u32 guarded; /* 1: the guard was around the files before they were read */
	__u64 mount; /* unique id of the host's mount; 0: the kernel has none */
	char boot[40]; /* /proc/sys/kernel/random/boot_id */
	__u8 digest[CUSTODY_DIGEST_SIZE]; /* SHA-256 of all this with zeros here, and the table */
};

static int measure_cache_path(const struct jail *jail, const char *before, char *ret, size_t size)
{
	char below[CUSTODY_NAME_SIZE + 64];

	(void)snprintf(below, sizeof(below), "%s/%s%s", PATHS_MEASURED, before, jail->name);
	return paths_join(jail->warden->root, below, ret, size);
}

static int measure_cache_read_boot(char ret[40])
{
	cleanup_fd int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, 39);

	if (n <= 0)
		return -EIO;
	ret[n] = '\0';
	return 0;
}

static int measure_cache_digest(const struct measure_cache *head, const void *table, size_t n,
				__u8 ret[CUSTODY_DIGEST_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct measure_cache blank = *head;
	unsigned int size = CUSTODY_DIGEST_SIZE;
	bool ok;

	memset(blank.digest, 0, sizeof(blank.digest));
	ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	     EVP_DigestUpdate(ctx, &blank, sizeof(blank)) == 1 &&
	     EVP_DigestUpdate(ctx, table, n) == 1 && EVP_DigestFinal_ex(ctx, ret, &size) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

/* The table behind the header; NULL when the whole does not hold. */
static const struct measured_table *measure_cache_check(const struct measured_map *file,
							struct measured_map *ret_table)
{
	const struct measure_cache *head = file->data;
	__u8 digest[CUSTODY_DIGEST_SIZE];

	if (!head || file->size <= sizeof(*head) || head->magic != MEASURE_CACHE_MAGIC ||
	    head->version != MEASURE_CACHE_VERSION || !memchr(head->boot, '\0', sizeof(head->boot)))
		return NULL;
	ret_table->data = head + 1;
	ret_table->size = file->size - sizeof(*head);
	if (measure_cache_digest(head, ret_table->data, ret_table->size, digest) < 0 ||
	    memcmp(digest, head->digest, sizeof(digest)) != 0)
		return NULL;
	return measured_check_table(ret_table);
}

/* C2. */
static bool measure_cache_is_held(const struct jail *jail, const struct measure_cache *head,
				  const struct measured_table *table)
{
	const struct measured_file *files = measured_files(table);
	char boot[40] = "";

	if (!(jail->planes_active & CUSTODY_PLANE_GUARD) || head->guarded != 1 ||
	    head->jail_id == 0 || head->mount == 0 || head->mount != jail->model_mount)
		return false;
	if (measure_cache_read_boot(boot) < 0 || strcmp(boot, head->boot) != 0)
		return false;
	for (__u64 i = 0; i < table->n_files; i++) {
		if (!policy_guard_holds(jail->warden->policy, head->jail_id, files[i].device,
					files[i].inode, files[i].generation))
			return false;
	}
	return true;
}

void measure_cache_load(const struct jail *jail, int known_fd, bool *ret_trust)
{
	cleanup_measured_map struct measured_map file = { 0 };
	struct measured_map bytes = { 0 };
	const struct measured_table *table;
	char path[CUSTODY_PATH_SIZE * 2];
	cleanup_fd int fd = -1;
	struct stat st;

	*ret_trust = false;
	if (measure_cache_path(jail, "", path, sizeof(path)) < 0)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != 0 ||
	    (st.st_mode & 0077) || measured_map_fd(fd, MEASURED_TABLE_MAX, &file) < 0)
		return;
	table = measure_cache_check(&file, &bytes);
	if (!table) {
		log_warning("%s does not hold, ignoring: %s is read again.", path, jail->name);
		return;
	}
	/* A table that is cut off is none to the measurer. */
	if (measured_write(known_fd, bytes.data, bytes.size) < 0)
		return;
	*ret_trust = measure_cache_is_held(jail, file.data, table);
}

static int measure_cache_write(const char *path, const struct measure_cache *head,
			       const struct measured_map *table)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : measured_write(fd, head, sizeof(*head));

	return r < 0 ? r : measured_write(fd, table->data, table->size);
}

void measure_cache_save(const struct jail *jail, int table_fd)
{
	struct measure_cache head = {
		.magic = MEASURE_CACHE_MAGIC,
		.version = MEASURE_CACHE_VERSION,
		.jail_id = jail->id,
		.guarded = (jail->measured.flags & MEASURED_GUARDED) != 0,
		.mount = jail->model_mount,
	};
	cleanup_measured_map struct measured_map table = { 0 };
	char path[CUSTODY_PATH_SIZE * 2], temporary[CUSTODY_PATH_SIZE * 2];
	int r = measured_map_fd(table_fd, MEASURED_TABLE_MAX, &table);

	if (r == 0)
		r = measure_cache_read_boot(head.boot);
	if (r == 0)
		r = measure_cache_digest(&head, table.data, table.size, head.digest);
	if (r == 0)
		r = measure_cache_path(jail, "", path, sizeof(path));
	/* No name of a model begins with a dot. */
	if (r == 0)
		r = measure_cache_path(jail, ".", temporary, sizeof(temporary));
	if (r == 0)
		r = measure_cache_write(temporary, &head, &table);
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0)
		log_warning("What was measured of %s could not be kept (%s), ignoring: the next "
			    "launch reads it again.",
			    jail->name, strerror(-r));
}

void measure_cache_forget(const struct jail *jail)
{
	char path[CUSTODY_PATH_SIZE * 2];

	if (measure_cache_path(jail, "", path, sizeof(path)) == 0 && unlink(path) < 0 &&
	    errno != ENOENT)
		log_warning("%s could not be removed (%s), ignoring.", path, strerror(errno));
}
