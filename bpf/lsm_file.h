/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* LSM programs that judge a file: what they write down about it. */
#ifndef CUSTODY_BPF_LSM_FILE_H
#define CUSTODY_BPF_LSM_FILE_H

#include "lsm.h"
#include "file.h"

/*
 * Counts a verdict about a file, emits it when it is a denial or the first sight of the file,
 * and returns it. `access` as the subject's class defines it. zone: NULL for none.
 */
static __always_inline int lsm_report_file(const struct subject *s, const struct open_file *file,
					   const struct policy_zone *zone, int error, __u32 access)
{
	struct policy_counter *counter = counter_add(s, error == 0, 0);
	struct custody_event *event;

	if (!error && !seen_first(s, file->device, file->inode))
		return error;
	event = lsm_begin_event(s, error, counter);
	if (!event)
		return error;
	event_set_file(event, file);
	event->access = access;
	if (!zone)
		event->flags |= EVENT_FLAG_NO_ZONE;
	event_submit(event, counter);
	return error;
}

#endif
