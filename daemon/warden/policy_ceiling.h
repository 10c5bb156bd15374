/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ceilings and accounts of one jail in the kernel: made from a plan, installed, read back, read.
 * Run by custodyd only. Trusts the checked plan, and the accounts that the packet program keeps.
 */
#ifndef CUSTODY_WARDEN_POLICY_CEILING_H
#define CUSTODY_WARDEN_POLICY_CEILING_H

#include "custody/ceiling.h"
#include "policy.h"

/* True when the plan has a ceiling, so that its jail needs an account. */
bool policy_has_ceilings(const struct custody_plan *plan);

/*
 * Rates, bursts, totals and actions of the plan; `total` is the model's own one, which the plan
 * may leave to the size of the weights. Nothing is granted yet of a slot that has a total. Pure.
 */
void policy_build_ceilings(const struct custody_plan *plan, __u64 total,
			   struct ceiling_limits *ret);

/* Adds both entries, which must not exist, and reads them back. 0 or -errno. */
int policy_put_ceilings(struct policy *policy, __u32 jail_id, const struct ceiling_limits *limits,
			const struct ceiling_accounts *accounts);

/* Replaces the limits in one step and reads them back: no packet sees a mixture. 0 or -errno. */
int policy_set_ceilings(struct policy *policy, __u32 jail_id, const struct ceiling_limits *limits);

/* Both entries; the accounts as they are between two packets. 0, -ENOENT or -errno. */
int policy_read_ceilings(struct policy *policy, __u32 jail_id, struct ceiling_limits *ret_limits,
			 struct ceiling_accounts *ret_accounts);

/* fd of the ring buffer by which the kernel asks for a look; stays the policy's. */
int policy_wakes_fd(const struct policy *policy);

#endif
