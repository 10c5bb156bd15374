/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How the LSM plane writes down what it decided. A global function of its own file: such a
 * function is verified once for a program, whatever its callers know of its arguments.
 */
#include "lsm.h"

int lsm_report(const struct subject *s, const struct open_file *file, int error, __u32 access,
	       __u32 flags)
{
	struct policy_counter *counter;
	struct custody_event *event;

	if (!s || !file)
		return 0;
	counter = counter_add(s, error == 0, 0);
	if (!error && !seen_first(s, file->device, file->inode))
		return 0;
	event = lsm_begin_event(s, error, counter);
	if (!event)
		return 0;
	event_set_file(event, file);
	event->access = access;
	event->flags |= flags;
	event_submit(event, counter);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
