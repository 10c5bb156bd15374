/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How the guard writes down what it saw. A global function of its own file: such a function is
 * verified once, whatever its callers know of its argument.
 */
#include "guard.h"

/* Up to the root of the file system: which mount it was reached by says nothing here. */
static __always_inline void guard_set_path(struct custody_event *event, struct dentry *dentry)
{
	struct super_block *super = NULL;
	struct dentry *root = NULL;

	if (bpf_core_read(&super, sizeof(super), &dentry->d_sb) ||
	    bpf_core_read(&root, sizeof(root), &super->s_root))
		error_count(POLICY_ERROR_PATH_READ);
	(void)file_write_path(event, (__u64)dentry, (__u64)root);
}

int guard_report(const struct guard_case *what)
{
	struct subject s = subject_new(POLICY_CLASS_GUARD, 0);
	struct policy_counter *counter;
	struct custody_event *event;

	if (!what)
		return 0;
	s.jail_id = what->jail_id;
	s.object = (__u16)what->object;
	s.cgroup_id = bpf_get_current_cgroup_id();
	counter = counter_add(&s, what->error == 0, 0);
	event = event_open(&s, counter, EVENT_PLANE_LSM,
			   what->error ? EVENT_DENIED : EVENT_OBSERVED);
	if (!event)
		return 0;
	event_set_task(event);
	if (what->dentry)
		guard_set_path(event, what->dentry);
	event->device = what->device;
	event->inode = what->inode;
	event->access = what->access;
	event->error = what->error;
	event_submit(event, counter);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
