/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* LSM programs that judge a file: what they write down about it. */
#ifndef CUSTODY_BPF_LSM_FILE_H
#define CUSTODY_BPF_LSM_FILE_H

#include "lsm.h"

/*
 * Counts a verdict about a file, emits it when it is a denial or the first sight of the file,
 * and returns it. `access` as the subject's class defines it. zone: NULL for none.
 */
static __always_inline int lsm_report_file(const struct subject *s, const struct open_file *file,
					   const struct policy_zone *zone, int error, __u32 access)
{
	(void)lsm_report(s, file, error, access, zone ? 0 : EVENT_FLAG_NO_ZONE);
	return error;
}

#endif
