/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registries on disk: see registry_file.h. Run by custodyd. Trusts root's own directory; of the
 * text nothing but its size and that nobody can change it any more.
 */
#include "registry_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "custody/model.h"
#include "plan.h"

#define REGISTRY_FILE_NEW ".registry.json.new"
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

static int registry_file_check(int text_fd, size_t *ret_n)
{
	int seals = fcntl(text_fd, F_GET_SEALS);
	struct stat st;

	/* -1, of a file that is no memfd, has every bit. */
	if (fstat(text_fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    st.st_size > (off_t)REGISTRY_TEXT_MAX || seals < 0 ||
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

static int registry_file_fill(int dir, gid_t group, int text_fd, size_t n)
{
	cleanup_fd int fd = openat(dir, REGISTRY_FILE_NEW, O_WRONLY | O_CREAT | O_TRUNC |
				   O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = registry_file_write(fd, text_fd, n);
	if (r == 0 && (fchown(fd, 0, group) < 0 || fchmod(fd, 0640) < 0 || fsync(fd) < 0))
		r = -errno;
	return r;
}

int registry_file_replace(int models, const char *name, gid_t group, int text_fd)
{
	/* its own description: the lock goes when it is closed */
	cleanup_fd int lock = openat(models, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int dir = -1;
	size_t n = 0;
	int r = plan_check_name(name) ? registry_file_check(text_fd, &n) : -EINVAL;

	if (r == 0 && (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0))
		r = -errno;
	if (r == 0)
		r = registry_file_open(models, name, group, &dir);
	if (r == 0)
		r = registry_file_fill(dir, group, text_fd, n);
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
