/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every program does the same way: find the jail, count, decide what is news, emit.
 *
 * Order in every program: the verdict first, then the counter, then the event. Nothing below
 * can change a verdict: a helper that fails is counted by site in `errors`, a full ring or a spent
 * budget in the counter's `lost`. Counters are added to atomically although they are per CPU,
 * because a packet's program may interrupt a task's program on the same CPU.
 */
#ifndef CUSTODY_BPF_COMMON_H
#define CUSTODY_BPF_COMMON_H

#include <stdbool.h>

#include "maps.h"

#define NO_SYSCALL 0xffffffffU

/* What a verdict is about: filled by each program before it counts and emits. */
struct subject {
	__u64 cgroup_id;
	__u32 jail_id;
	__u16 class;
	__u16 object;
};

/*
 * A subject that is nobody yet. Not by an initializer: that may become a constant in a data
 * section, which libbpf makes a map of, and every map of the programs has to be a pinned one.
 */
static __always_inline struct subject subject_new(__u16 class, __u16 object)
{
	struct subject s;

	__builtin_memset(&s, 0, sizeof(s));
	s.class = class;
	s.object = object;
	return s;
}

static __always_inline void error_count(__u32 site)
{
	__u64 *n = bpf_map_lookup_elem(&errors, &site);

	if (n)
		__sync_fetch_and_add(n, 1);
}

/* The words of an entry that must be 0 together, so that it costs one branch (P4). */
static __always_inline bool jail_is_known(const struct policy_jail *jail)
{
	__u32 role = jail->role - POLICY_ROLE_MODEL;

	return !((jail->version ^ POLICY_ENTRY_VERSION) | (jail->flags & ~POLICY_FLAGS_ALL) |
		 (role & ~1U));
}

/*
 * For programs that run below custody's cgroup: no entry is an error, and a denial (P1); so is
 * one that makes no sense (P4).
 */
static __always_inline struct policy_jail *jail_find(__u64 cgroup_id)
{
	struct policy_jail *jail = bpf_map_lookup_elem(&jails, &cgroup_id);

	if (!jail) {
		error_count(POLICY_ERROR_NO_JAIL);
		return NULL;
	}
	if (!jail_is_known(jail)) {
		error_count(POLICY_ERROR_MALFORMED);
		return NULL;
	}
	return jail;
}

/* The device of the jail's policy, or NULL: it has none, or one that makes no sense. */
static __always_inline struct policy_device *device_find(const struct policy_device_key *key)
{
	struct policy_device *device = bpf_map_lookup_elem(&devices, key);

	if (!device)
		return NULL;
	if ((device->version ^ POLICY_ENTRY_VERSION) | (device->object >> 16) |
	    (device->access & ~(__u32)(BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE))) {
		error_count(POLICY_ERROR_MALFORMED);
		return NULL;
	}
	if (device->ioctls >= _POLICY_IOCTLS_MAX) {
		error_count(POLICY_ERROR_MALFORMED);
		return NULL;
	}
	return device;
}

/* The endpoint of the jail's policy, or NULL: it has none, or one that makes no sense. */
static __always_inline struct policy_endpoint *endpoint_find(const struct policy_endpoint_key *key)
{
	struct policy_endpoint *endpoint = bpf_map_lookup_elem(&endpoints, key);

	if (!endpoint)
		return NULL;
	if ((endpoint->rights & ~(__u32)(POLICY_ENDPOINT_BIND | POLICY_ENDPOINT_CONNECT)) |
	    (endpoint->endpoint >> 16)) {
		error_count(POLICY_ERROR_MALFORMED);
		return NULL;
	}
	return endpoint;
}

/* Has `restrict` taken this endpoint from the jail? */
static __always_inline bool jail_lost_endpoint(const struct policy_jail *jail,
					       const struct policy_endpoint *endpoint)
{
	if ((jail->flags & POLICY_FLAG_CUT_EGRESS) && (endpoint->rights & POLICY_ENDPOINT_CONNECT))
		return true;
	return jail->cut >> (endpoint->endpoint & 31) & 1;
}

/* The device's entry; NULL when policy does not name it, or `restrict` has taken it. */
static __always_inline struct policy_device *jail_find_device(const struct policy_jail *jail,
							      const struct policy_device_key *key)
{
	struct policy_device *device = device_find(key);

	if (device && (jail->flags & POLICY_FLAG_CUT_DEVICES) &&
	    device->object < POLICY_OBJECT_DEVICE_STANDARD)
		return NULL;
	return device;
}

static __always_inline struct policy_counter *counter_find(const struct subject *s)
{
	struct policy_counter_key key = {
		.jail_id = s->jail_id,
		.class = s->class,
		.object = s->object,
	};
	struct policy_counter *counter = bpf_map_lookup_elem(&counters, &key);

	if (!counter)
		error_count(POLICY_ERROR_COUNTER_MISSING);
	return counter;
}

/* The counter of the subject, with the verdict added; NULL was counted as an error. */
static __always_inline struct policy_counter *counter_add(const struct subject *s, bool allowed,
							  __u64 bytes)
{
	struct policy_counter *counter = counter_find(s);

	if (!counter)
		return NULL;
	if (allowed) {
		__sync_fetch_and_add(&counter->allowed, 1);
		if (bytes)
			__sync_fetch_and_add(&counter->bytes, bytes);
	} else {
		__sync_fetch_and_add(&counter->denied, 1);
	}
	return counter;
}

static __always_inline void peer_set_address(struct policy_peer_key *key, __u8 family,
					     const __u8 *address)
{
	if (family == 4) {
		key->address[10] = 0xff;
		key->address[11] = 0xff;
		__builtin_memcpy(key->address + 12, address, 4);
		return;
	}
	__builtin_memcpy(key->address, address, 16);
}

/* True when (subject, a, b) was not seen before. When it cannot be told, it is news. */
static __always_inline bool seen_first(const struct subject *s, __u64 a, __u64 b)
{
	struct policy_seen_key key = {
		.jail_id = s->jail_id,
		.class = s->class,
		.object = s->object,
		.a = a,
		.b = b,
	};
	__u64 *n = bpf_map_lookup_elem(&seen, &key);
	__u64 one = 1;
	long r;

	if (n) {
		__sync_fetch_and_add(n, 1);
		return false;
	}
	r = bpf_map_update_elem(&seen, &key, &one, BPF_NOEXIST);
	if (r == 0)
		return true;
	if (r == -17 /* EEXIST: another CPU was faster */)
		return false;
	error_count(POLICY_ERROR_SEEN_UPDATE);
	return true;
}

/*
 * Takes one event from the jail's budget (policy.h); 0 when it has none left. Global, in
 * budget.bpf.c: verified once for a program, and what comes after it not for each way out of it.
 */
int budget_take(__u32 jail_id);

/* A zeroed event with its head filled, or NULL, counted as lost: no budget, or a full ring. */
static __always_inline struct custody_event *event_open(const struct subject *s,
							struct policy_counter *counter,
							__u8 plane, __u8 verdict)
{
	struct custody_event *event = NULL;

	if (budget_take(s->jail_id))
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		if (counter)
			__sync_fetch_and_add(&counter->lost, 1);
		return NULL;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->size = sizeof(*event);
	event->version = EVENT_VERSION;
	event->verdict = verdict;
	event->jail_id = s->jail_id;
	event->time_ns = bpf_ktime_get_boot_ns();
	event->cgroup_id = s->cgroup_id;
	event->class = s->class;
	event->object = s->object;
	event->plane = plane;
	event->syscall = NO_SYSCALL;
	return event;
}

/* Whose doing it is; only where the program runs in that task. */
static __always_inline void event_set_task(struct custody_event *event)
{
	__u64 id = bpf_get_current_pid_tgid();

	event->pid = id >> 32;
	event->tid = (__u32)id;
	(void)bpf_get_current_comm(event->comm, sizeof(event->comm));
}

static __always_inline void event_submit(struct custody_event *event,
					 struct policy_counter *counter)
{
	bpf_ringbuf_submit(event, 0);
	if (counter)
		__sync_fetch_and_add(&counter->emitted, 1);
}

#endif
