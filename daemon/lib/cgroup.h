/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup v2 directories: find, make, kill, freeze, measure, remove. Run by custodyd, the sweeper
 * and doctor. Trusts the kernel's cgroupfs. Paths are absolute directories.
 */
#ifndef CUSTODY_CGROUP_H
#define CUSTODY_CGROUP_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Mount point of cgroup2 from /proc/self/mountinfo (never assumed). Returns 0, -ENOENT, -errno. */
int cgroup_find_mount(char *ret, size_t size);

enum cgroup_controller {
	CGROUP_MEMORY = 1U << 0, CGROUP_PIDS = 1U << 1, CGROUP_CPU = 1U << 2, CGROUP_IO = 1U << 3,
	CGROUP_CONTROLLERS_ALL = 0xf,
};

/* Controllers that cgroup.controllers of this directory offers. */
int cgroup_read_controllers(const char *path, __u32 *ret);

/* Those that are enabled for its children: cgroup.subtree_control. */
int cgroup_read_enabled(const char *path, __u32 *ret);

/* "memory io" */
void cgroup_list_controllers(__u32 mask, char *ret, size_t size);

/* Enables those of `want` that are offered for the children of path; *ret = what is enabled. */
int cgroup_enable_controllers(const char *path, __u32 want, __u32 *ret);

/* mkdir; existing is -EEXIST. */
int cgroup_make(const char *path);

/* The kernel's cgroup id (what bpf_get_current_cgroup_id() returns). */
int cgroup_read_id(const char *path, __u64 *ret);

/*
 * How deep the cgroup lies below the root of the hierarchy (root 0, its children 1), which is
 * what bpf_get_current_ancestor_cgroup_id() counts in. -EXDEV when the mount does not begin at
 * that root (a container with a cgroup namespace of its own), so that it cannot be told.
 */
int cgroup_read_level(const char *path, __u32 *ret);

#define CGROUP_DISKS_MAX 16

struct cgroup_disk {
	__u32 major;
	__u32 minor;
};

/* Limits by the controllers in `enabled`; 0 = no limit. Swap is set to 0 with memory. */
struct cgroup_limits {
	__u64 memory;		/* bytes */
	__u64 memory_high;
	__u64 processes;
	__u64 cpu_percent;	/* 100 = one core */
	__u64 io_read;		/* bytes a second, of each of the disks */
	__u64 io_write;
	__u32 n_disks;
	struct cgroup_disk disks[CGROUP_DISKS_MAX];
};

/* Writes them and reads each back: -EIO when the kernel says anything else than was written. */
int cgroup_set_limits(const char *path, __u32 enabled, const struct cgroup_limits *limits);

/* Whoever of this cgroup is killed for want of memory takes all of it along: memory.oom.group. */
int cgroup_set_oom_group(const char *path);

/* How often limits were run into, the subtree included. 0 where there is no controller. */
struct cgroup_hits {
	__u64 oom;		/* memory: its own limit was reached with nothing to reclaim */
	__u64 oom_kill;		/* processes killed, for that or because the host had no memory */
	__u64 oom_group_kill;	/* cgroups killed as a whole */
	__u64 forks;		/* forks refused */
};
int cgroup_read_hits(const char *path, struct cgroup_hits *ret);

/* cgroup.events "populated" of the subtree. */
int cgroup_read_populated(const char *path, bool *ret);

/* Processes in the subtree. */
int cgroup_count_processes(const char *path, __u32 *ret);

/* memory.current, or the sum of RSS when there is no memory controller. */
int cgroup_read_memory(const char *path, __u64 *ret);

/* Freezes or thaws the subtree and waits, at most timeout_ms, until the kernel says so. */
int cgroup_freeze(const char *path, bool freeze, int timeout_ms);

/* SIGKILLs the subtree (cgroup.kill) and waits, at most timeout_ms, until it is empty. */
int cgroup_kill(const char *path, int timeout_ms);

/* Removes the empty subtree. Absent is 0. */
int cgroup_remove(const char *path);

#endif
