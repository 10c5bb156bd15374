/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ceilings and accounts in the policy maps: see policy_ceiling.h. Run by custodyd. Trusts the
 * checked plan; what it installs it reads back.
 */
#include "policy_ceiling.h"

#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>

#include "policy_internal.h"

#define POLICY_NSEC 1000000000ULL

bool policy_has_ceilings(const struct custody_plan *plan)
{
	return plan->on_rate != 0 || plan->on_ceiling != 0;
}

void policy_build_ceilings(const struct custody_plan *plan, __u64 total,
			   struct ceiling_limits *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->on_rate = plan->on_rate;
	ret->on_total = plan->on_ceiling;
	for (__u32 i = 0; i < CEILING_SLOTS; i++) {
		struct ceiling_limit *limit = &ret->slot[i];

		limit->rate = plan->ceilings[i].rate;
		limit->total = i == CEILING_MODEL ? total : plan->ceilings[i].total;
		limit->granted = limit->total ? 0 : CEILING_NONE;
		limit->wake = CEILING_NONE;
		if (limit->rate == 0)
			continue;
		limit->burst = limit->rate / CEILING_BURST_PART;
		if (limit->burst < CEILING_BURST_MIN)
			limit->burst = CEILING_BURST_MIN;
		limit->fill_ns = limit->burst * POLICY_NSEC / limit->rate;
	}
}

static int policy_check_limits(struct policy *policy, __u32 jail_id,
			       const struct ceiling_limits *limits)
{
	struct ceiling_limits now;

	if (bpf_map_lookup_elem(policy->maps[POLICY_MAP_CEILINGS], &jail_id, &now) < 0)
		return -errno;
	return memcmp(&now, limits, sizeof(now)) == 0 ? 0 : -EIO;
}

int policy_put_ceilings(struct policy *policy, __u32 jail_id, const struct ceiling_limits *limits,
			const struct ceiling_accounts *accounts)
{
	struct ceiling_accounts now;

	if (bpf_map_update_elem(policy->maps[POLICY_MAP_ACCOUNTS], &jail_id, accounts,
				BPF_NOEXIST) < 0 ||
	    bpf_map_lookup_elem_flags(policy->maps[POLICY_MAP_ACCOUNTS], &jail_id, &now,
				      BPF_F_LOCK) < 0)
		return -errno;
	if (memcmp(now.slot, accounts->slot, sizeof(now.slot)) != 0)
		return -EIO;
	if (bpf_map_update_elem(policy->maps[POLICY_MAP_CEILINGS], &jail_id, limits, BPF_NOEXIST) <
	    0)
		return -errno;
	return policy_check_limits(policy, jail_id, limits);
}

int policy_set_ceilings(struct policy *policy, __u32 jail_id, const struct ceiling_limits *limits)
{
	if (bpf_map_update_elem(policy->maps[POLICY_MAP_CEILINGS], &jail_id, limits, BPF_EXIST) < 0)
		return -errno;
	return policy_check_limits(policy, jail_id, limits);
}

int policy_read_ceilings(struct policy *policy, __u32 jail_id, struct ceiling_limits *ret_limits,
			 struct ceiling_accounts *ret_accounts)
{
	struct ceiling_accounts accounts;
	struct ceiling_limits limits;

	if (bpf_map_lookup_elem(policy->maps[POLICY_MAP_CEILINGS], &jail_id, &limits) < 0 ||
	    bpf_map_lookup_elem_flags(policy->maps[POLICY_MAP_ACCOUNTS], &jail_id, &accounts,
				      BPF_F_LOCK) < 0)
		return -errno;
	*ret_limits = limits;
	*ret_accounts = accounts;
	return 0;
}

int policy_wakes_fd(const struct policy *policy)
{
	return policy->maps[POLICY_MAP_WAKES];
}
