/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lsm.h"

SEC("lsm/file_open")
int lsm_file_open(__u64 *ctx) /* struct file *, ret */
{
	struct subject s = { .class = POLICY_CLASS_OPEN };
	int ret = (int)ctx[1];

	if (ret)
		return ret;
	if (!lsm_find_model(&s, &ret))
		return ret;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
