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

/*
 * Tasks, and what is only looked at when there is something to refuse, are read by bpf_core_read()
 * and not by following pointers: for each pointer that a program follows, the verifiers since 6.3
 * search all of the kernel's types by name, up to four times, which was most of what these programs
 * cost at start. What every process of the host comes by follows pointers.
 */

/* enum guard_right mask of a process: 0 for everybody who is not known (G1). */
static __always_inline __u32 guard_find_rights(__u32 tgid, const struct task_struct *task)
{
	const struct guard_process *process = bpf_map_lookup_elem(&guardians, &tgid);
	const struct task_struct *leader = NULL;
	__u64 start = 0;

	if (!process)
		return 0;
	(void)bpf_core_read(&leader, sizeof(leader), &task->group_leader);
	if (bpf_core_read(&start, sizeof(start), &leader->start_boottime) ||
	    start / GUARD_TICK_NS != process->start)
		return 0;
	return process->rights;
}

/* That of a task's process. The task may be a mere number to the verifier. */
static __always_inline __u32 guard_read_rights(const struct task_struct *task)
{
	__u32 tgid = 0;

	if (bpf_core_read(&tgid, sizeof(tgid), &task->tgid))
		return 0;
	return guard_find_rights(tgid, task);
}

static __always_inline bool guard_has_right(__u32 right)
{
	return (guard_find_rights(bpf_get_current_pid_tgid() >> 32, bpf_get_current_task_btf()) &
		right) != 0;
}

/* The jail of the current task by its cgroup; 0 for none. */
static __always_inline __u32 guard_read_jail(void)
{
	__u64 cgroup = bpf_get_current_cgroup_id();
	const struct policy_jail *jail = bpf_map_lookup_elem(&jails, &cgroup);

	return jail ? jail->jail_id : 0;
}

/* ---- which inode ---- */

static __always_inline void guard_read_key(const struct inode *inode, struct guard_key *ret)
{
	ret->inode = inode->i_ino;
	ret->device = inode->i_sb->s_dev;
	ret->pad = 0;
}

/* The same by bpf_core_read(), of an inode that may be a mere number; returns its generation. */
static __always_inline __u32 guard_probe_key(const struct inode *inode, struct guard_key *ret)
{
	struct super_block *super = NULL;
	unsigned long number = 0;
	__u32 generation = 0;
	long r = 0;

	r |= bpf_core_read(&number, sizeof(number), &inode->i_ino);
	r |= bpf_core_read(&generation, sizeof(generation), &inode->i_generation);
	r |= bpf_core_read(&super, sizeof(super), &inode->i_sb);
	r |= bpf_core_read(&ret->device, sizeof(ret->device), &super->s_dev);
	if (r)
		error_count(POLICY_ERROR_FILE_READ);
	ret->inode = number;
	ret->pad = 0;
	return generation;
}

/* For an event: only when there is one to write. */
static __always_inline struct dentry *guard_read_dentry(const struct file *file)
{
	return BPF_CORE_READ(file, f_path.dentry);
}

static __always_inline struct guard_inode *guard_find_key(const struct guard_key *key,
							  __u32 generation)
{
	struct guard_inode *found = bpf_map_lookup_elem(&guarded, key);

	return found && found->generation == generation ? found : NULL;
}

static __always_inline struct guard_inode *guard_find_inode(const struct inode *inode,
							    struct guard_key *ret)
{
	if (!inode)
		return NULL;
	guard_read_key(inode, ret);
	return guard_find_key(ret, inode->i_generation);
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
