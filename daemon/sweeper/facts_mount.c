/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts of the scratch file systems that live, or may live (facts_kernel.c), and of the files of
 * the jail's namespaces, in every mount namespace that a task lives in. Run by custody-sweeper.
 * mountinfo shows what is below the task's root, so a namespace is looked at once for each root; a
 * mount is known by its id and counted once.
 *
 * What this cannot see: a mount namespace in which no task lives, kept by an fd or a bind mount;
 * the kernel's answer in facts_kernel.c covers it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "procfs.h"
#include "sweep.h"

/* One number for the root of a task; a root that cannot be told apart is looked at again. */
static __u64 facts_mount_read_root(int task)
{
	struct statx stx;

	if (statx(task, "root", AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO, &stx) < 0)
		return ~0ULL;
	return makedev(stx.stx_dev_major, stx.stx_dev_minor) * 0x9e3779b97f4a7c15ULL ^ stx.stx_ino;
}

/* A namespace that is bind mounted: the root of its mount is "net:[4026532008]". */
static bool facts_mount_is_namespace(const struct sweep *sweep, const char *line, __u64 dev)
{
	unsigned long long inode;

	return sscanf(line, "%*u %*u %*u:%*u %*[a-z_]:[%llu]", &inode) == 1 &&
	       facts_kernel_is_namespace(sweep, dev, inode);
}

static void facts_mount_look_line(struct sweep *sweep, const char *line, const char *who)
{
	unsigned int major;
	unsigned int minor;
	__u64 dev;
	__u64 id;

	if (!procfs_parse_mount(line, &id, &major, &minor))
		return;
	dev = makedev(major, minor);
	if (facts_kernel_is_scratch(sweep, dev) && sweep_files_note(&sweep->seen_mounts, 0, id))
		sweep_add(sweep, FACT_SCRATCH_MOUNTS, 1, "mount %llu, seen by %s",
			  (unsigned long long)id, who);
	if (facts_mount_is_namespace(sweep, line, dev) &&
	    sweep_files_note(&sweep->seen_mounts, 0, id))
		sweep_add(sweep, FACT_NAMESPACE_PIDS, 1, "mount %llu of one, seen by %s",
			  (unsigned long long)id, who);
}

int facts_mount_look_task(struct sweep *sweep, int task, __u64 mount_ns, const char *who)
{
	cleanup_file FILE *file = NULL;
	cleanup_ptr char *line = NULL;
	size_t room = 0;
	int r;

	if (sweep->n_scratch == 0 && sweep->namespaces == 0)
		return 0;
	if (mount_ns != 0 &&
	    !sweep_files_note(&sweep->seen_views, mount_ns, facts_mount_read_root(task)))
		return 0;
	r = procfs_open_file(task, "mountinfo", &file);
	/* EINVAL: the task has left its namespaces, it is exiting. */
	if (r < 0)
		return sweep_is_gone(r) || r == -EINVAL ? 0 : r;
	while (getline(&line, &room, file) > 0)
		facts_mount_look_line(sweep, line, who);
	return ferror(file) ? -EIO : 0;
}
