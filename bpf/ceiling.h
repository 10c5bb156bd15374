/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Charging a packet to its jail's ceilings (custody/ceiling.h): the model's own and its
 * endpoint's together, under one lock, so that no number of processors gets past either.
 *
 * Nothing may be called while the lock is held: what is to be told is noted and told afterwards.
 */
#ifndef CUSTODY_BPF_CEILING_H
#define CUSTODY_BPF_CEILING_H

#include "common.h"

#define CEILING_NSEC 1000000000ULL

/* A copy whose bounds clang does not know: it checks them where the verifier sees it. */
static __always_inline __u64 ceiling_hide(__u64 slot)
{
	asm volatile("" : "+r"(slot));
	return slot;
}

/* What a cgroup_skb/egress program returns: the second bit has TCP slow down (enter CWR). */
enum ceiling_verdict {
	CEILING_DROP = 0,	/* the sender gets EPERM */
	CEILING_PASS = 1,
	CEILING_DROP_SLOW = 2,	/* TCP keeps the packet and sends it later */
	CEILING_PASS_SLOW = 3,
};

struct ceiling_charge {
	__u64 now;
	__u32 len;
	__u32 endpoint;		/* slot; CEILING_MODEL: none */
	__u32 slot;		/* where it did not fit ... */
	__u32 cause;		/* ... enum ceiling_cause, and why; 0: it fits */
	bool first;		/* not so before */
	bool wake;
	bool slow;
};

/* What the time since the last filling is worth, never more: rounding is to the model's loss. */
static __always_inline void ceiling_fill(const struct ceiling_limit *limit,
					 struct ceiling_account *account, __u64 now)
{
	__u64 elapsed = now - account->filled_ns;
	__u64 bytes;

	/* `now` was taken before the lock: another processor may have been later and first. */
	if (limit->rate == 0 || now <= account->filled_ns)
		return;
	if (elapsed >= limit->fill_ns) {
		account->tokens = limit->burst;
		account->filled_ns = now;
		return;
	}
	bytes = elapsed * limit->rate / CEILING_NSEC;
	if (bytes == 0)
		return;
	account->filled_ns += (bytes * CEILING_NSEC + limit->rate - 1) / limit->rate;
	account->tokens += bytes;
	if (account->tokens > limit->burst)
		account->tokens = limit->burst;
}

/* enum ceiling_cause; 0: it fits. */
static __always_inline __u32 ceiling_check(const struct ceiling_limits *limits,
					   const struct ceiling_limit *limit,
					   const struct ceiling_account *account, __u32 len)
{
	__u64 used = account->used + len;

	if ((account->crossed & CEILING_BY_TOTAL) && limits->on_total != CEILING_THROTTLE)
		return CEILING_BY_TOTAL;
	if ((account->crossed & CEILING_BY_RATE) && limits->on_rate != CEILING_THROTTLE)
		return CEILING_BY_RATE;
	if (limit->total && used > limit->total)
		return CEILING_BY_TOTAL;
	if (used > limit->granted)
		return CEILING_BY_GRANT;
	return limit->rate && account->tokens < len ? CEILING_BY_RATE : 0;
}

static __always_inline void ceiling_refuse(struct ceiling_account *account,
					   struct ceiling_charge *charge, __u32 slot)
{
	charge->slot = slot;
	account->dropped++;
	account->dropped_bytes += charge->len;
	if (charge->cause == CEILING_BY_GRANT)
		return;
	charge->first = !(account->crossed & charge->cause);
	account->crossed |= charge->cause;
	charge->wake = charge->first;
}

static __always_inline void ceiling_take(const struct ceiling_limit *limit,
					 struct ceiling_account *account,
					 struct ceiling_charge *charge)
{
	__u64 before = account->used;

	account->used = before + charge->len;
	if (before <= limit->wake && account->used > limit->wake)
		charge->wake = true;
	if (limit->rate == 0)
		return;
	account->tokens -= charge->len;
	if (account->tokens < limit->burst / 4)
		charge->slow = true;
}

/* False when the jail has no account: an error, and the packet is dropped. */
static __always_inline bool ceiling_decide(__u32 jail_id, struct ceiling_charge *charge)
{
	struct ceiling_limits *limits = bpf_map_lookup_elem(&ceilings, &jail_id);
	struct ceiling_accounts *account = bpf_map_lookup_elem(&accounts, &jail_id);
	struct ceiling_account *whole, *part;
	const struct ceiling_limit *limit;
	__u64 slot = ceiling_hide(charge->endpoint);

	if (!limits || !account || slot > CEILING_MODEL) {
		error_count(POLICY_ERROR_CEILING_MISSING);
		return false;
	}
	whole = &account->slot[CEILING_MODEL];
	part = &account->slot[slot];
	limit = &limits->slot[slot];
	bpf_spin_lock(&account->lock);
	ceiling_fill(&limits->slot[CEILING_MODEL], whole, charge->now);
	charge->cause = ceiling_check(limits, &limits->slot[CEILING_MODEL], whole, charge->len);
	if (charge->cause) {
		ceiling_refuse(whole, charge, CEILING_MODEL);
	} else if (slot != CEILING_MODEL) {
		ceiling_fill(limit, part, charge->now);
		charge->cause = ceiling_check(limits, limit, part, charge->len);
		if (charge->cause)
			ceiling_refuse(part, charge, (__u32)slot);
		else
			ceiling_take(limit, part, charge);
	}
	if (!charge->cause)
		ceiling_take(&limits->slot[CEILING_MODEL], whole, charge);
	bpf_spin_unlock(&account->lock);
	/* Rates are held by TCP itself; what is used up for good is told to the sender. */
	if (charge->cause == CEILING_BY_RATE)
		charge->slow = limits->on_rate == CEILING_THROTTLE;
	else if (charge->cause)
		charge->slow = charge->cause == CEILING_BY_GRANT;
	return true;
}

static __always_inline void ceiling_report(const struct subject *s,
					   const struct ceiling_charge *charge, __u16 port)
{
	struct subject own = *s;
	struct policy_counter *counter;
	struct custody_event *event;

	own.class = POLICY_CLASS_CEILING;
	own.object = charge->slot == CEILING_MODEL ? POLICY_OBJECT_NONE : (__u16)charge->slot;
	counter = counter_add(&own, false, 0);
	if (!charge->first)
		return;
	event = event_open(&own, counter, EVENT_PLANE_CGROUP, EVENT_DENIED);
	if (!event)
		return;
	event->access = charge->cause;
	event->port = port;
	event->error = -1; /* EPERM */
	event_submit(event, counter);
}

/* A ring that is full has a wake in it already. */
static __always_inline void ceiling_wake(__u32 jail_id)
{
	__u32 *wake = bpf_ringbuf_reserve(&wakes, sizeof(*wake), 0);

	if (!wake)
		return;
	*wake = jail_id;
	bpf_ringbuf_submit(wake, 0);
}

/* s: of the packet, its object the endpoint or NONE. Returns enum ceiling_verdict. */
static __always_inline int ceiling_charge(const struct subject *s, __u32 len, __u16 port)
{
	struct ceiling_charge charge = {
		.now = bpf_ktime_get_ns(),
		.len = len,
		.endpoint = s->object < CUSTODY_ENDPOINTS_MAX ? s->object : CEILING_MODEL,
	};

	if (!ceiling_decide(s->jail_id, &charge))
		return CEILING_DROP;
	if (charge.cause)
		ceiling_report(s, &charge, port);
	if (charge.wake)
		ceiling_wake(s->jail_id);
	if (charge.cause)
		return charge.slow ? CEILING_DROP_SLOW : CEILING_DROP;
	return charge.slow ? CEILING_PASS_SLOW : CEILING_PASS;
}

/* Is nothing of the jail, or nothing to this endpoint, let out any more? */
static __always_inline bool ceiling_is_shut(__u32 jail_id, __u32 endpoint)
{
	struct ceiling_limits *limits = bpf_map_lookup_elem(&ceilings, &jail_id);
	struct ceiling_accounts *account = bpf_map_lookup_elem(&accounts, &jail_id);
	__u64 slot = ceiling_hide(endpoint);
	__u32 shuts = 0;

	if (!limits || !account || slot > CEILING_MODEL) {
		error_count(POLICY_ERROR_CEILING_MISSING);
		return true;
	}
	if (limits->on_total != CEILING_THROTTLE)
		shuts |= CEILING_BY_TOTAL;
	if (limits->on_rate != CEILING_THROTTLE)
		shuts |= CEILING_BY_RATE;
	return ((account->slot[CEILING_MODEL].crossed | account->slot[slot].crossed) &
		shuts) != 0;
}

#endif
