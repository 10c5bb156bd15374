/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The budget of events that each jail has, so that one that makes noise does not drown the others.
 */
#include "common.h"

#define BUDGET_INTERVAL (1000000000ULL / POLICY_EVENTS_RATE)
#define BUDGET_TRIES 4

/*
 * Takes one event from a budget, as a leaky bucket that is one number. A budget that cannot be
 * found or made lets the event pass; one that others change all the time does not, or many
 * processors together would get past it.
 */
int budget_take(__u32 jail_id)
{
	struct policy_seen_key key = { .jail_id = jail_id };
	__u64 now = bpf_ktime_get_ns();
	__u64 *due = bpf_map_lookup_elem(&seen, &key);

	if (!due) {
		__u64 paid = now + BUDGET_INTERVAL;

		if (bpf_map_update_elem(&seen, &key, &paid, BPF_ANY))
			error_count(POLICY_ERROR_SEEN_UPDATE);
		return 1;
	}
#pragma clang loop unroll(full)
	for (int i = 0; i < BUDGET_TRIES; i++) {
		__u64 old = *(volatile __u64 *)due;
		__u64 paid = (old > now ? old : now) + BUDGET_INTERVAL;

		if (paid - now > POLICY_EVENTS_BURST * BUDGET_INTERVAL)
			return 0;
		if (__sync_val_compare_and_swap(due, old, paid) == old)
			return 1;
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
