/* SPDX-License-Identifier: Apache-2.0 */
/* Paths under a movable root. Run by custodyd and the tools. Trusts its caller's root. */
#include "paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int paths_join(const char *root, const char *path, char *ret, size_t size)
{
	const char *prefix = root ? root : "";

	if (strlen(prefix) + strlen(path) >= size)
		return -ENAMETOOLONG;
	(void)snprintf(ret, size, "%s%s", prefix, path);
	return 0;
}

int paths_find_libexec(char *ret, size_t size)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return -errno;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return -EINVAL;
	*slash = '\0';
	if (strlen(self) >= size)
		return -ENAMETOOLONG;
	(void)snprintf(ret, size, "%s", self);
	return 0;
}

int paths_make_directory(const char *path, unsigned int mode)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, n + 1);
	for (char *c = part + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
		*c = '/';
	}
	if (mkdir(part, mode) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}
