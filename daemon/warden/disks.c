/* SPDX-License-Identifier: Apache-2.0 */
/* See disks.h. Run by custodyd. Trusts the kernel's sysfs. */
#include "disks.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cleanup.h"

#define DISKS_XFS_MAGIC 0x58465342	/* fs/xfs; in no header of linux/ */

/* File systems whose write-back is charged to the cgroup that wrote: SB_I_CGROUPWB. */
static bool disks_charges_writers(__u32 magic)
{
	return magic == EXT4_SUPER_MAGIC || magic == DISKS_XFS_MAGIC || magic == F2FS_SUPER_MAGIC;
}

static bool disks_is_memory(__u32 magic)
{
	return magic == TMPFS_MAGIC || magic == RAMFS_MAGIC;
}

/* io.max is of whole disks: a partition's is its parent in sysfs. */
static int disks_find_whole(dev_t dev, struct cgroup_disk *ret)
{
	char path[96], text[32] = "";
	cleanup_file FILE *file = NULL;
	unsigned int major, minor;

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", major(dev),
		       minor(dev));
	if (access(path, F_OK) < 0) {
		*ret = (struct cgroup_disk){ major(dev), minor(dev) };
		return errno == ENOENT ? 0 : -errno;
	}
	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", major(dev), minor(dev));
	file = fopen(path, "re");
	if (!file)
		return -errno;
	if (!fgets(text, sizeof(text), file) || sscanf(text, "%u:%u", &major, &minor) != 2)
		return -EPROTO;
	*ret = (struct cgroup_disk){ major, minor };
	return 0;
}

static int disks_put(struct cgroup_limits *limits, const struct cgroup_disk *disk)
{
	for (__u32 i = 0; i < limits->n_disks; i++) {
		if (limits->disks[i].major == disk->major && limits->disks[i].minor == disk->minor)
			return 0;
	}
	if (limits->n_disks >= CGROUP_DISKS_MAX)
		return -E2BIG;
	limits->disks[limits->n_disks++] = *disk;
	return 0;
}

int disks_add(struct cgroup_limits *limits, const char *path, bool write, const char **ret_why)
{
	struct cgroup_disk disk = { 0 };
	char node[64];
	struct statfs fs;
	struct stat st;
	int r;

	*ret_why = "it cannot be looked at";
	if (stat(path, &st) < 0 || statfs(path, &fs) < 0)
		return -errno;
	if (disks_is_memory((__u32)fs.f_type))
		return 0;
	*ret_why = "its file system has no disk of its own (network, overlay, btrfs, ...)";
	(void)snprintf(node, sizeof(node), "/sys/dev/block/%u:%u", major(st.st_dev),
		       minor(st.st_dev));
	if (major(st.st_dev) == 0 || access(node, F_OK) < 0)
		return -ENODEV;
	*ret_why = "on its file system nobody is charged for what is flushed later (ext4, xfs and "
		   "f2fs do that)";
	if (write && !disks_charges_writers((__u32)fs.f_type))
		return -EOPNOTSUPP;
	*ret_why = "its disk cannot be found in /sys/dev/block";
	r = disks_find_whole(st.st_dev, &disk);
	if (r < 0)
		return r;
	*ret_why = "the model's files lie on too many disks";
	return disks_put(limits, &disk);
}
