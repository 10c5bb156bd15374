/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading /proc. Run by custody-sweeper. Trusts the kernel's numbers; names and paths in the
 * lines are other processes' and are never followed.
 */
#include "procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

int procfs_open(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int procfs_open_dir(int dir, const char *name, DIR **ret)
{
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *opened;

	if (fd < 0)
		return -errno;
	opened = fdopendir(fd);
	if (!opened)
		return -errno;
	(void)TAKE_FD(fd);
	*ret = opened;
	return 0;
}

int procfs_open_file(int dir, const char *name, FILE **ret)
{
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	FILE *opened;

	if (fd < 0)
		return -errno;
	opened = fdopen(fd, "re");
	if (!opened)
		return -errno;
	(void)TAKE_FD(fd);
	*ret = opened;
	return 0;
}

bool procfs_parse_number(const char *name, unsigned int *ret)
{
	unsigned long value;
	char *end;

	if (name[0] < '0' || name[0] > '9')
		return false;
	value = strtoul(name, &end, 10);
	if (*end != '\0' || value > ~0U)
		return false;
	*ret = (unsigned int)value;
	return true;
}

void procfs_read_comm(int pid_dir, char *ret, size_t size)
{
	cleanup_fd int fd = openat(pid_dir, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);

	if (n <= 0) {
		(void)snprintf(ret, size, "?");
		return;
	}
	if (ret[n - 1] == '\n')
		n--;
	ret[n] = '\0';
}

bool procfs_parse_mount(const char *line, __u64 *ret_id, unsigned int *ret_major,
			unsigned int *ret_minor)
{
	unsigned long long id;
	unsigned int major;
	unsigned int minor;

	if (sscanf(line, "%llu %*u %u:%u ", &id, &major, &minor) != 3)
		return false;
	*ret_id = id;
	*ret_major = major;
	*ret_minor = minor;
	return true;
}

bool procfs_parse_map(const char *line, unsigned int *ret_major, unsigned int *ret_minor,
		      __u64 *ret_inode)
{
	unsigned long long inode;
	unsigned int major;
	unsigned int minor;

	if (sscanf(line, "%*x-%*x %*4s %*x %x:%x %llu", &major, &minor, &inode) != 3)
		return false;
	*ret_major = major;
	*ret_minor = minor;
	*ret_inode = inode;
	return true;
}
