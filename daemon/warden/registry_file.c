/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registries on disk: see registry_file.h. Run by custodyd. Trusts root's own directory; of the
 * text nothing but its size and that nobody can change it any more.
 */
#include "registry_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "custody/model.h"
#include "fingerprint.h"
#include "plan.h"

#define REGISTRY_FILE_NEW ".registry.json.new"
#define REGISTRY_FILE_NEW_INDEX ".fingerprints.new"
#define REGISTRY_FILE_INDEX_COUNT 40 /* offset in its head (fingerprint.h) */
#define REGISTRY_FILE_SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

int registry_file_find(int models, const char *name)
{
	char path[CUSTODY_NAME_SIZE + sizeof(REGISTRY_FILE) + 1];
	struct stat st;

	if (!plan_check_name(name))
		return -EINVAL;
	(void)snprintf(path, sizeof(path), "%s/%s", name, REGISTRY_FILE);
	return fstatat(models, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int registry_file_check(int fd, size_t most, size_t *ret_n)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	/* -1, of a file that is no memfd, has every bit. */
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    st.st_size > (off_t)most || seals < 0 ||
	    (seals & REGISTRY_FILE_SEALS) != REGISTRY_FILE_SEALS)
		return -EPROTO;
	*ret_n = (size_t)st.st_size;
	return 0;
}

static int registry_file_enter(int models, const char *name, int *ret)
{
	*ret = openat(models, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

/*
 * A directory that the planner may read gets the model's name when it is one, and is on disk before
 * anything is in it. No name of a model begins with a dot: one that a crash left is used again.
 */
static int registry_file_make(int models, const char *name, gid_t group)
{
	char temporary[CUSTODY_NAME_SIZE + 8];
	cleanup_fd int dir = -1;
	int r;

	(void)snprintf(temporary, sizeof(temporary), ".%s.new", name);
	if (mkdirat(models, temporary, 0700) < 0 && errno != EEXIST)
		return -errno;
	r = registry_file_enter(models, temporary, &dir);
	if (r < 0)
		return r;
	if (fchown(dir, 0, group) < 0 || fchmod(dir, 0750) < 0 ||
	    renameat(models, temporary, models, name) < 0 || fsync(models) < 0)
		return -errno;
	return 0;
}

static int registry_file_open(int models, const char *name, gid_t group, int *ret)
{
	int r = registry_file_enter(models, name, ret);

	if (r != -ENOENT)
		return r;
	r = registry_file_make(models, name, group);
	return r < 0 ? r : registry_file_enter(models, name, ret);
}

static int registry_file_write(int fd, int text_fd, size_t n)
{
	const char *text = mmap(NULL, n, PROT_READ, MAP_SHARED, text_fd, 0);
	size_t done = 0;
	int r = 0;

	if (text == MAP_FAILED)
		return -errno;
	while (r == 0 && done < n) {
		ssize_t w = write(fd, text + done, n - done);

		if (w > 0)
			done += (size_t)w;
		else if (w == 0 || errno != EINTR)
			r = w < 0 ? -errno : -EIO;
	}
	(void)munmap((void *)text, n);
	return r;
}

/* n bytes of `from` on disk, under a name of its own. */
static int registry_file_fill(int dir, const char *temporary, const struct stat *as, int from,
			      size_t n)
{
	cleanup_fd int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW |
				   O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = registry_file_write(fd, from, n);
	if (r == 0 && (fchown(fd, as->st_uid, as->st_gid) < 0 || fchmod(fd, as->st_mode) < 0 ||
		       fsync(fd) < 0))
		r = -errno;
	return r;
}

/* ---- the index ---- */

int registry_file_digest_index(int index_fd, __u8 ret[CUSTODY_DIGEST_SIZE])
{
	size_t n = 0;
	int r = registry_file_check(index_fd, FINGERPRINT_FILE_MAX, &n);
	void *bytes;

	if (r < 0)
		return r;
	bytes = mmap(NULL, n, PROT_READ, MAP_SHARED, index_fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	r = EVP_Digest(bytes, n, ret, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
	(void)munmap(bytes, n);
	return r;
}

void registry_file_name_index(const __u8 digest[CUSTODY_DIGEST_SIZE],
			      char ret[REGISTRY_FILE_INDEX_SIZE])
{
	char *at = ret + strlen(REGISTRY_FILE_INDEX);

	memcpy(ret, REGISTRY_FILE_INDEX, strlen(REGISTRY_FILE_INDEX));
	for (size_t i = 0; i < CUSTODY_DIGEST_SIZE; i++)
		(void)snprintf(at + 2 * i, 3, "%02x", digest[i]);
}

bool registry_file_has_index(int models, const char *name, const __u8 digest[CUSTODY_DIGEST_SIZE])
{
	char path[CUSTODY_NAME_SIZE + REGISTRY_FILE_INDEX_SIZE + 1];
	char file[REGISTRY_FILE_INDEX_SIZE];
	cleanup_fd int fd = -1;
	__u64 count = 0;
	struct stat st;

	registry_file_name_index(digest, file);
	(void)snprintf(path, sizeof(path), "%s/%s", name, file);
	fd = openat(models, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & 0077) && st.st_size <= (off_t)FINGERPRINT_FILE_MAX &&
	       pread(fd, &count, sizeof(count), REGISTRY_FILE_INDEX_COUNT) == sizeof(count) &&
	       count <= FINGERPRINT_VALUES_MAX &&
	       (__u64)st.st_size == FINGERPRINT_HEAD_SIZE + 8 * count + FINGERPRINT_TRAILER_SIZE;
}

/* One that is there already is written again: it may be that its bytes are not the right ones. */
static int registry_file_put_index(int dir, int index_fd)
{
	const struct stat as = { .st_uid = geteuid(), .st_gid = getegid(), .st_mode = 0600 };
	char name[REGISTRY_FILE_INDEX_SIZE];
	__u8 digest[CUSTODY_DIGEST_SIZE];
	size_t n = 0;
	int r = registry_file_check(index_fd, FINGERPRINT_FILE_MAX, &n);

	if (r == 0)
		r = registry_file_digest_index(index_fd, digest);
	if (r < 0)
		return r;
	registry_file_name_index(digest, name);
	r = registry_file_fill(dir, REGISTRY_FILE_NEW_INDEX, &as, index_fd, n);
	if (r == 0 && (renameat(dir, REGISTRY_FILE_NEW_INDEX, dir, name) < 0 || fsync(dir) < 0))
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir, REGISTRY_FILE_NEW_INDEX, 0);
	return r;
}

/* Whose close lets go of the lock: a description of its own. */
static int registry_file_lock(int models)
{
	cleanup_fd int lock = openat(models, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0 ? -errno : TAKE_FD(lock);
}

int registry_file_restore_index(int models, const char *name, int index_fd)
{
	cleanup_fd int lock = -1;
	cleanup_fd int dir = -1;
	int r;

	if (!plan_check_name(name))
		return -EINVAL;
	lock = registry_file_lock(models);
	r = lock < 0 ? lock : registry_file_enter(models, name, &dir);
	return r < 0 ? r : registry_file_put_index(dir, index_fd);
}

/* ---- the text ---- */

int registry_file_replace(int models, const char *name, gid_t group, int text_fd, int index_fd)
{
	const struct stat as = { .st_uid = 0, .st_gid = group, .st_mode = 0640 };
	cleanup_fd int lock = -1;
	cleanup_fd int dir = -1;
	size_t n = 0;
	int r = plan_check_name(name) ? registry_file_check(text_fd, REGISTRY_TEXT_MAX, &n) :
					-EINVAL;

	if (r == 0)
		r = lock = registry_file_lock(models);
	if (r >= 0)
		r = registry_file_open(models, name, group, &dir);
	if (r == 0 && index_fd >= 0)
		r = registry_file_put_index(dir, index_fd);
	if (r == 0)
		r = registry_file_fill(dir, REGISTRY_FILE_NEW, &as, text_fd, n);
	if (r == 0 && renameat(dir, REGISTRY_FILE_NEW, dir, REGISTRY_FILE) < 0)
		r = -errno;
	if (r < 0) {
		if (dir >= 0)
			(void)unlinkat(dir, REGISTRY_FILE_NEW, 0);
		return r;
	}
	/* In place already; that it stays there after a power cut cannot be promised otherwise. */
	return fsync(dir) < 0 ? -EUCLEAN : 0;
}
