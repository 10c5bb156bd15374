/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One path component. A global function of its own file: such a function is verified once, and
 * not again in each round of each program's loop.
 */
#include "file.h"

#define PATH_STEP 16

/*
 * With a variable offset the verifier wants a constant size, so the room is taken in steps: at
 * most PATH_STEP - 1 bytes at the end stay unused.
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
#pragma clang loop unroll(full)
	for (__u32 room = CUSTODY_EVENT_PATH_SIZE; room >= PATH_STEP; room -= PATH_STEP) {
		if (at <= CUSTODY_EVENT_PATH_SIZE - room) {
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
	at += (__u32)r;
	event->path[(at - 1) & (CUSTODY_EVENT_PATH_SIZE - 1)] = '/';
	event->path_len = (__u16)at;
	return (__u32)r - 1 == len;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
