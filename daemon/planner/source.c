/* SPDX-License-Identifier: Apache-2.0 */
/* Reading profiles from directories. Run by the planner. Trusts no file. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "confine.h"
#include "plan.h"
#include "value.h"

#define SOURCE_NAMES_MAX 8 /* that a message lists */

int source_read_fd(int fd, char **ret_text, size_t *ret_size)
{
	cleanup_ptr char *text = NULL;
	struct stat st;
	size_t used = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	text = malloc(PROFILE_TEXT_MAX + 2);
	if (!text)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read(fd, text + used, PROFILE_TEXT_MAX + 1 - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
		if (used > PROFILE_TEXT_MAX)
			return -EFBIG;
	}
	text[used] = '\0';
	*ret_text = TAKE_PTR(text);
	*ret_size = used;
	return 0;
}

int source_read_at(int directory, const char *name, char **ret_text, size_t *ret_size)
{
	cleanup_fd int fd =
		openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? -errno : source_read_fd(fd, ret_text, ret_size);
}

void source_name_directory(struct source_directory *directory, const char *fallback)
{
	char link[64];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", directory->fd);
	n = readlink(link, directory->path, sizeof(directory->path) - 1);
	if (n > 0 && directory->path[0] == '/')
		directory->path[n] = '\0';
	else
		(void)snprintf(directory->path, sizeof(directory->path), "%s", fallback);
}

int source_read(void *context, const char *name, char **ret_text, size_t *ret_size, char **ret_path)
{
	const struct source *source = context;
	char file[CUSTODY_NAME_SIZE + 8];

	if (!plan_check_name(name))
		return -EINVAL;
	(void)snprintf(file, sizeof(file), "%s.ini", name);
	for (size_t i = 0; i < source->n; i++) {
		const struct source_directory *directory = &source->directories[i];
		cleanup_fd int fd = -1;

		if (directory->fd < 0)
			continue;
		fd = openat(directory->fd, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (asprintf(ret_path, "%s/%s", directory->path, file) < 0) {
			*ret_path = NULL;
			return -ENOMEM;
		}
		return fd < 0 ? -errno : source_read_fd(fd, ret_text, ret_size);
	}
	return -ENOENT;
}

struct source_names {
	char near[SOURCE_NAMES_MAX][CUSTODY_NAME_SIZE];
	size_t n_near;
	char all[SOURCE_NAMES_MAX][CUSTODY_NAME_SIZE];
	size_t n_all;
};

static void source_add_name(char list[SOURCE_NAMES_MAX][CUSTODY_NAME_SIZE], size_t *n,
			    const char *name)
{
	for (size_t i = 0; i < *n; i++) {
		if (strcmp(list[i], name) == 0)
			return;
	}
	if (*n < SOURCE_NAMES_MAX)
		(void)snprintf(list[(*n)++], CUSTODY_NAME_SIZE, "%s", name);
}

/* A profile that is there: near when it takes few changes, or one begins with the other. */
static void source_take_name(struct source_names *names, const char *wanted, const char *name)
{
	size_t n = strlen(name) < strlen(wanted) ? strlen(name) : strlen(wanted);
	size_t changes = strlen(wanted) < 8 ? strlen(wanted) / 4 + 1 : 3;

	source_add_name(names->all, &names->n_all, name);
	if (value_distance(wanted, name, changes) <= changes || strncmp(name, wanted, n) == 0)
		source_add_name(names->near, &names->n_near, name);
}

static void source_collect_names(const struct source_directory *directory, const char *wanted,
				 struct source_names *names)
{
	cleanup_dir DIR *dir = NULL;
	int fd = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;

	if (fd < 0)
		return;
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		char name[CUSTODY_NAME_SIZE];
		size_t n = strlen(entry->d_name);

		if (n < 5 || n - 4 >= sizeof(name) || strcmp(entry->d_name + n - 4, ".ini") != 0)
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", (int)(n - 4), entry->d_name);
		if (plan_check_name(name))
			source_take_name(names, wanted, name);
	}
}

void source_explain(void *context, const char *name, char *ret, size_t size)
{
	const struct source *source = context;
	struct source_names names = { 0 };
	size_t used;
	size_t n;

	used = (size_t)snprintf(ret, size, "no profile %s.ini in", name);
	for (size_t i = 0; i < source->n && used < size; i++) {
		used += (size_t)snprintf(ret + used, size - used, "%s %.160s", i > 0 ? " and" : "",
					 source->directories[i].path);
		if (source->directories[i].fd >= 0)
			source_collect_names(&source->directories[i], name, &names);
	}
	n = names.n_near > 0 ? names.n_near : names.n_all;
	if (used < size)
		used += (size_t)snprintf(ret + used, size - used, "%s",
					 names.n_near > 0 ? "; did you mean"
					 : n > 0	  ? "; there are"
							  : "; there are no profiles at all");
	for (size_t i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(ret + used, size - used, "%s %s", i > 0 ? "," : "",
					 names.n_near > 0 ? names.near[i] : names.all[i]);
	if (names.n_near > 0 && used < size)
		(void)snprintf(ret + used, size - used, "?");
}

int source_confine(const struct source *source, int *ret_abi)
{
	static const char *const syscalls[] = {
		"openat", "getdents64", "memfd_create",
		"sysinfo", /* qsort() of glibc sizes its buffer by it */
	};
	struct confine_path paths[SOURCE_DIRECTORIES];
	size_t n = 0;
	int abi;
	int r;

	for (size_t i = 0; i < source->n; i++) {
		if (source->directories[i].fd >= 0)
			paths[n++] =
				(struct confine_path){ source->directories[i].fd, CONFINE_READ };
	}
	abi = confine_enter_landlock(paths, n, true);
	if (abi < 0)
		return abi;
	r = confine_enter_seccomp(syscalls, ARRAY_SIZE(syscalls));
	if (r < 0)
		return r;
	*ret_abi = abi;
	return 0;
}
