/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Paths, one component after the other. Global functions of their own file: such a function is
 * verified once for a program, and not again in each round of each loop, on each way to it.
 */
#include "file.h"

#define PATH_STEP 16

/*
 * With a variable offset the verifier wants a constant size, so the room is taken in steps: at
 * most PATH_STEP - 1 bytes at the end stay unused. The steps ascend because the verifier follows
 * the last of them first: what it has found safe for the longest name it takes for the others.
 */
int file_append_name(struct custody_event *event, __u64 dentry_address)
{
	const struct dentry *dentry = (const struct dentry *)dentry_address;
	const unsigned char *name = NULL;
	__u32 at, len = 0;
	long r = 0;

	if (!event)
		return 0;
	at = event->path_len;
	if (bpf_core_read(&name, sizeof(name), &dentry->d_name.name) ||
	    bpf_core_read(&len, sizeof(len), &dentry->d_name.len)) {
		error_count(POLICY_ERROR_PATH_READ);
		return 0;
	}
	if (at > CUSTODY_EVENT_PATH_SIZE - PATH_STEP) {
		event->flags |= EVENT_FLAG_PATH_TRUNCATED;
		return 0;
	}
#pragma clang loop unroll(full)
	for (__u32 room = PATH_STEP; room <= CUSTODY_EVENT_PATH_SIZE; room += PATH_STEP) {
		if (at + room > CUSTODY_EVENT_PATH_SIZE - PATH_STEP) {
			r = bpf_probe_read_kernel_str(event->path + at, room, name);
			break;
		}
	}
	if (r < 0)
		error_count(POLICY_ERROR_PATH_READ);
	if (r <= 0 || (__u32)r - 1 < len)
		event->flags |= EVENT_FLAG_PATH_TRUNCATED;
	if (r <= 0)
		return 0;
	/* Read again: what the verifier knows of it differs by step, and it would go on in each. */
	at = event->path_len + (__u32)r;
	event->path[(at - 1) & (CUSTODY_EVENT_PATH_SIZE - 1)] = '/';
	event->path_len = (__u16)at;
	return (__u32)r - 1 == len;
}

struct path_walk {
	struct custody_event *event;
	const struct dentry *dentry;
	const struct dentry *root;
	bool done;	/* and file_append_name() has said what it had to leave out */
};

/* One component of a path; 1 ends it. */
static long path_step(__u64 i, struct path_walk *walk)
{
	const struct dentry *dentry = walk->dentry;
	struct dentry *parent = NULL;

	(void)i;
	walk->done = !dentry || dentry == walk->root;
	if (walk->done)
		return 1;
	if (bpf_core_read(&parent, sizeof(parent), &dentry->d_parent)) {
		error_count(POLICY_ERROR_PATH_READ);
		return 1;
	}
	/* Its own parent and not the mount's root: a nameable file of no tree (a memfd). */
	walk->done = !file_append_name(walk->event, (__u64)dentry) || parent == dentry;
	walk->dentry = parent;
	return walk->done;
}

int file_write_path(struct custody_event *event, __u64 dentry_address, __u64 root_address)
{
	struct path_walk walk = {
		.event = event,
		.dentry = (const struct dentry *)dentry_address,
		.root = (const struct dentry *)root_address,
	};

	if (!event)
		return 0;
	(void)bpf_loop(PATH_COMPONENTS_MAX, path_step, &walk, 0);
	if (!walk.done && walk.dentry != walk.root)
		event->flags |= EVENT_FLAG_PATH_TRUNCATED;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
