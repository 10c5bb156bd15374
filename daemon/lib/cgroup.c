/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup v2 directories: find, make, kill, freeze, measure, remove. Run by custodyd, the sweeper
 * and doctor. Trusts the kernel's cgroupfs. See Documentation/admin-guide/cgroup-v2.rst.
 */
#include "cgroup.h"
#include "cgroup_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

#define CGROUP_DEPTH_MAX 32	/* of a subtree that is walked */

static const struct {
	enum cgroup_controller bit;
	const char *name;
} cgroup_controllers[] = {
	{ CGROUP_MEMORY, "memory" },
	{ CGROUP_PIDS, "pids" },
	{ CGROUP_CPU, "cpu" },
	{ CGROUP_IO, "io" },
};

/* ---- one file of a cgroup directory ---- */

int cgroup_open_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int cgroup_read_file(int dir, const char *name, char *text, size_t size)
{
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pread(fd, text, size - 1, 0);
	if (n < 0)
		return -errno;
	if ((size_t)n == size - 1)
		return -EOVERFLOW;
	text[n] = '\0';
	return 0;
}

int cgroup_write_file(int dir, const char *name, const char *text)
{
	cleanup_fd int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/* ---- walking a subtree, children before their parent ---- */

/* name is NULL for the directory that the walk began with. */
typedef int (*cgroup_walk_fn)(int parent, const char *name, int dir, void *data);

static int cgroup_walk(int parent, const char *name, int fd, int depth, cgroup_walk_fn fn,
		       void *data);

static int cgroup_walk_child(int fd, const struct dirent *entry, int depth, cgroup_walk_fn fn,
			     void *data)
{
	cleanup_fd int child = -1;

	if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 ||
	    strcmp(entry->d_name, "..") == 0)
		return 0;
	child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (child < 0)
		return errno == ENOENT ? 0 : -errno;
	return cgroup_walk(fd, entry->d_name, child, depth + 1, fn, data);
}

static int cgroup_walk(int parent, const char *name, int fd, int depth, cgroup_walk_fn fn,
		       void *data)
{
	cleanup_fd int copy = -1;
	cleanup_dir DIR *dir = NULL;
	const struct dirent *entry;
	int r;

	if (depth > CGROUP_DEPTH_MAX)
		return -ELOOP;
	copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copy < 0)
		return -errno;
	dir = fdopendir(copy);
	if (!dir)
		return -errno;
	(void)TAKE_FD(copy);
	for (;;) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			break;
		r = cgroup_walk_child(fd, entry, depth, fn, data);
		if (r < 0)
			return r;
	}
	if (errno != 0)
		return -errno;
	return fn(parent, name, fd, data);
}

static int cgroup_walk_path(const char *path, cgroup_walk_fn fn, void *data)
{
	cleanup_fd int fd = cgroup_open_directory(path);

	if (fd < 0)
		return fd;
	return cgroup_walk(-1, NULL, fd, 0, fn, data);
}

/* ---- finding and making ---- */

/* mountinfo writes space, tab, newline and backslash as \ooo. In place. */
static void cgroup_unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in; in++) {
		if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' &&
		    in[2] <= '7' && in[3] >= '0' && in[3] <= '7') {
			*out++ = (char)((in[1] - '0') * 64 + (in[2] - '0') * 8 + (in[3] - '0'));
			in += 3;
			continue;
		}
		*out++ = *in;
	}
	*out = '\0';
}

/*
 * "36 35 98:0 /root /mount/point options - fstype source superoptions" (proc(5)). True and
 * `point` when it is a whole cgroup2 hierarchy.
 */
static bool cgroup_parse_mount(char *line, char **point)
{
	char *fields[5], *save = NULL, *rest = strstr(line, " - ");

	if (!rest || strncmp(rest, " - cgroup2 ", 11) != 0)
		return false;
	*rest = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
		if (!fields[i])
			return false;
	}
	/* A cgroup namespace shows its own root as "/"; "/.." is above it. */
	if (strncmp(fields[3], "/..", 3) == 0)
		return false;
	cgroup_unescape(fields[4]);
	*point = fields[4];
	return true;
}

int cgroup_find_mount(char *ret, size_t size)
{
	cleanup_file FILE *file = fopen("/proc/self/mountinfo", "re");
	cleanup_ptr char *line = NULL;
	size_t room = 0;
	char *point;

	if (!file)
		return -errno;
	while (getline(&line, &room, file) > 0) {
		if (!cgroup_parse_mount(line, &point))
			continue;
		if (strlen(point) >= size)
			return -ENAMETOOLONG;
		memcpy(ret, point, strlen(point) + 1);
		return 0;
	}
	return ferror(file) ? -EIO : -ENOENT;
}

static __u32 cgroup_parse_controllers(char *text)
{
	char *save = NULL;
	__u32 mask = 0;

	for (char *word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		for (size_t i = 0; i < ARRAY_SIZE(cgroup_controllers); i++) {
			if (strcmp(word, cgroup_controllers[i].name) == 0)
				mask |= cgroup_controllers[i].bit;
		}
	}
	return mask;
}

static int cgroup_read_mask(int dir, const char *name, __u32 *ret)
{
	char text[CGROUP_FILE_SIZE];
	int r = cgroup_read_file(dir, name, text, sizeof(text));

	if (r < 0)
		return r;
	*ret = cgroup_parse_controllers(text);
	return 0;
}

int cgroup_read_controllers(const char *path, __u32 *ret)
{
	cleanup_fd int fd = cgroup_open_directory(path);

	if (fd < 0)
		return fd;
	return cgroup_read_mask(fd, "cgroup.controllers", ret);
}

int cgroup_read_enabled(const char *path, __u32 *ret)
{
	cleanup_fd int fd = cgroup_open_directory(path);

	if (fd < 0)
		return fd;
	return cgroup_read_mask(fd, "cgroup.subtree_control", ret);
}

void cgroup_list_controllers(__u32 mask, char *ret, size_t size)
{
	size_t used = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(cgroup_controllers) && used < size; i++) {
		if (cgroup_controllers[i].bit & mask)
			used += (size_t)snprintf(ret + used, size - used, "%s%s", used ? " " : "",
						 cgroup_controllers[i].name);
	}
}

int cgroup_enable_controllers(const char *path, __u32 want, __u32 *ret)
{
	cleanup_fd int fd = cgroup_open_directory(path);
	__u32 offered = 0, enabled = 0;
	char word[16];
	int r;

	if (fd < 0)
		return fd;
	r = cgroup_read_mask(fd, "cgroup.controllers", &offered);
	/* One that cannot be enabled keeps none of the others from it: what is read back counts. */
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(cgroup_controllers); i++) {
		if (!(cgroup_controllers[i].bit & want & offered))
			continue;
		(void)snprintf(word, sizeof(word), "+%s", cgroup_controllers[i].name);
		(void)cgroup_write_file(fd, "cgroup.subtree_control", word);
	}
	if (r >= 0)
		r = cgroup_read_mask(fd, "cgroup.subtree_control", &enabled);
	if (r < 0)
		return r;
	*ret = enabled & want;
	return 0;
}

int cgroup_make(const char *path)
{
	return mkdir(path, 0755) < 0 ? -errno : 0;
}

int cgroup_read_id(const char *path, __u64 *ret)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(__u64)];
	} u = { .handle = { .handle_bytes = sizeof(__u64) } };
	int mount;

	/* kernfs gives the 64-bit node id, which is the cgroup id (cgroup_get_from_id()). */
	if (name_to_handle_at(AT_FDCWD, path, &u.handle, &mount, 0) < 0)
		return -errno;
	if (u.handle.handle_bytes != sizeof(__u64))
		return -EPROTO;
	memcpy(ret, u.handle.f_handle, sizeof(*ret));
	return 0;
}

int cgroup_read_level(const char *path, __u32 *ret)
{
	char at[PATH_MAX];
	struct statfs fs;
	__u32 level = 0;
	__u64 id = 0;
	char *slash;
	int r;

	if (strlen(path) >= sizeof(at))
		return -ENAMETOOLONG;
	(void)snprintf(at, sizeof(at), "%s", path);
	for (;;) {
		if (statfs(at, &fs) < 0)
			return -errno;
		if (fs.f_type != CGROUP2_SUPER_MAGIC)
			return -EXDEV;
		r = cgroup_read_id(at, &id);
		if (r < 0)
			return r;
		/* kernfs numbers its nodes from the root on (kernfs_create_root()). */
		if (id == 1)
			break;
		slash = strrchr(at, '/');
		if (!slash || slash == at)
			return -EXDEV;
		*slash = '\0';
		level++;
	}
	*ret = level;
	return 0;
}

/* ---- state ---- */

/* The value of "key N" in cgroup.events. */
static int cgroup_parse_event(const char *text, const char *key, bool *ret)
{
	size_t len = strlen(key);

	while (text && *text) {
		if (strncmp(text, key, len) == 0 && text[len] == ' ') {
			*ret = text[len + 1] == '1';
			return 0;
		}
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return -ENODATA;
}

int cgroup_read_populated(const char *path, bool *ret)
{
	cleanup_fd int dir = cgroup_open_directory(path);
	char text[CGROUP_FILE_SIZE];
	int r;

	if (dir < 0)
		return dir;
	r = cgroup_read_file(dir, "cgroup.events", text, sizeof(text));
	return r < 0 ? r : cgroup_parse_event(text, "populated", ret);
}

static __u64 cgroup_now_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000 + (__u64)now.tv_nsec / 1000000;
}

/* Waits until `key` of cgroup.events has the value. kernfs wakes POLLPRI at each change. */
static int cgroup_wait_event(int dir, const char *key, bool value, int timeout_ms)
{
	cleanup_fd int fd = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	__u64 end = cgroup_now_ms() + (timeout_ms > 0 ? (__u64)timeout_ms : 0);
	char text[CGROUP_FILE_SIZE];

	if (fd < 0)
		return -errno;
	for (;;) {
		struct pollfd event = { .fd = fd, .events = POLLPRI };
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
		bool is = !value;
		__u64 now;
		int r;

		if (n < 0)
			return -errno;
		text[n] = '\0';
		r = cgroup_parse_event(text, key, &is);
		if (r < 0)
			return r;
		if (is == value)
			return 0;
		now = cgroup_now_ms();
		if (now >= end)
			return -ETIMEDOUT;
		if (poll(&event, 1, end - now > INT_MAX ? INT_MAX : (int)(end - now)) < 0 &&
		    errno != EINTR)
			return -errno;
	}
}

int cgroup_freeze(const char *path, bool freeze, int timeout_ms)
{
	cleanup_fd int dir = cgroup_open_directory(path);
	int r;

	if (dir < 0)
		return dir;
	r = cgroup_write_file(dir, "cgroup.freeze", freeze ? "1" : "0");
	return r < 0 ? r : cgroup_wait_event(dir, "frozen", freeze, timeout_ms);
}

int cgroup_kill(const char *path, int timeout_ms)
{
	cleanup_fd int dir = cgroup_open_directory(path);
	int r;

	if (dir < 0)
		return dir;
	r = cgroup_write_file(dir, "cgroup.kill", "1");
	return r < 0 ? r : cgroup_wait_event(dir, "populated", false, timeout_ms);
}

static int cgroup_remove_one(int parent, const char *name, int dir, void *data)
{
	(void)dir;
	(void)data;
	if (!name)
		return 0;
	return unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int cgroup_remove(const char *path)
{
	int r = cgroup_walk_path(path, cgroup_remove_one, NULL);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* ---- processes ---- */

struct cgroup_sum {
	__u64 value;
	bool rss;	/* sum resident bytes instead of processes */
};

/* Resident bytes of one process; gone is 0. */
static __u64 cgroup_read_rss(const char *pid)
{
	cleanup_file FILE *file = NULL;
	uint64_t size, resident;
	char path[64];

	if (snprintf(path, sizeof(path), "/proc/%.16s/statm", pid) >= (int)sizeof(path))
		return 0;
	file = fopen(path, "re");
	if (!file || fscanf(file, "%" SCNu64 " %" SCNu64, &size, &resident) != 2)
		return 0;
	return resident * (__u64)sysconf(_SC_PAGESIZE);
}

static int cgroup_sum_one(int parent, const char *name, int dir, void *data)
{
	cleanup_fd int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	cleanup_file FILE *file = NULL;
	struct cgroup_sum *sum = data;
	char line[64];

	(void)parent;
	(void)name;
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "re");
	if (!file)
		return -errno;
	(void)TAKE_FD(fd);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		sum->value += sum->rss ? cgroup_read_rss(line) : 1;
	}
	return ferror(file) ? -EIO : 0;
}

int cgroup_count_processes(const char *path, __u32 *ret)
{
	struct cgroup_sum sum = { 0 };
	int r = cgroup_walk_path(path, cgroup_sum_one, &sum);

	if (r < 0)
		return r;
	*ret = (__u32)sum.value;
	return 0;
}

int cgroup_read_memory(const char *path, __u64 *ret)
{
	cleanup_fd int dir = cgroup_open_directory(path);
	struct cgroup_sum sum = { .rss = true };
	char text[CGROUP_FILE_SIZE];
	int r;

	if (dir < 0)
		return dir;
	r = cgroup_read_file(dir, "memory.current", text, sizeof(text));
	if (r == 0) {
		*ret = strtoull(text, NULL, 10);
		return 0;
	}
	if (r != -ENOENT)
		return r;
	r = cgroup_walk_path(path, cgroup_sum_one, &sum);
	if (r < 0)
		return r;
	*ret = sum.value;
	return 0;
}
