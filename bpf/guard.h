/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the guard's programs share: who is custody, whose an inode is, and how what was done, or
 * was not, is written down. See custody/guard.h for the invariants.
 *
 * These programs judge every process of the host. Their first test is what most calls end at:
 * one load and comparison (inode_permission), or one look-up in a map that does not have it.
 *
 * All answer -EPERM. `ret` is what programs before us answered: a refusal stays one.
 */
#ifndef CUSTODY_BPF_GUARD_H
#define CUSTODY_BPF_GUARD_H

#include "kernel.h"
#include "common.h"
#include "file.h"

#define EPERM 1

/* ---- who acts ---- */

/* enum guard_right mask of a task's process: 0 for everybody who is not known (G1). */
static __always_inline __u32 guard_read_rights(const struct task_struct *task)
{
	__u32 tgid = task->tgid;
	const struct guard_process *process = bpf_map_lookup_elem(&guardians, &tgid);

	if (!process || task->group_leader->start_boottime / GUARD_TICK_NS != process->start)
		return 0;
	return process->rights;
}

static __always_inline bool guard_has_right(__u32 right)
{
	return (guard_read_rights(bpf_get_current_task_btf()) & right) != 0;
}

/* The jail of the current task by its cgroup; 0 for none. */
static __always_inline __u32 guard_read_jail(void)
{
	__u64 cgroup = bpf_get_current_cgroup_id();
	const struct policy_jail *jail = bpf_map_lookup_elem(&jails, &cgroup);

	return jail ? jail->jail_id : 0;
}

/* ---- which inode ---- */

static __always_inline struct guard_inode *guard_find_inode(const struct inode *inode,
							    struct guard_key *ret)
{
	struct guard_inode *found;

	if (!inode)
		return NULL;
	ret->inode = inode->i_ino;
	ret->device = inode->i_sb->s_dev;
	ret->pad = 0;
	found = bpf_map_lookup_elem(&guarded, ret);
	return found && found->generation == inode->i_generation ? found : NULL;
}

/* May the current task use the inode as only those with `right`, or its own jails, may? */
static __always_inline bool guard_may_use(const struct guard_inode *found,
					  const struct guard_key *key, __u32 right)
{
	struct guard_owner_key owner = { .device = key->device, .inode = key->inode };

	if (guard_has_right(right))
		return true;
	if (found->object != GUARD_ARTIFACT)
		return false;
	owner.jail_id = guard_read_jail();
	return owner.jail_id && bpf_map_lookup_elem(&guard_owners, &owner);
}

/* ---- what is written down ---- */

struct guard_case {
	__u32 jail_id;
	__u32 object;		/* enum guard_object */
	__u64 device;
	__u64 inode;
	__u32 access;
	__s32 error;		/* 0: it was allowed */
	struct dentry *dentry;	/* NULL: no path is known */
};

/*
 * Counts and emits. A global function, in guard_report.bpf.c: verified once for a program, and not
 * again at each call. Returns 0.
 */
int guard_report(const struct guard_case *what);

static __always_inline int guard_deny_inode(const struct guard_inode *found,
					    const struct guard_key *key, struct dentry *dentry,
					    __u32 access)
{
	struct guard_case what = {
		.jail_id = found->jail_id,
		.object = found->object,
		.device = key->device,
		.inode = key->inode,
		.access = access,
		.error = -EPERM,
		.dentry = dentry,
	};

	(void)guard_report(&what);
	return -EPERM;	/* a constant: later kernels check what a hook may answer */
}

/* About something that is no file. */
static __always_inline int guard_deny(__u32 object, __u64 number, __u32 access)
{
	struct guard_case what = {
		.object = object,
		.inode = number,
		.access = access,
		.error = -EPERM,
	};

	(void)guard_report(&what);
	return -EPERM;	/* a constant: later kernels check what a hook may answer */
}

#endif
