/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Device nodes: every open or mknod by a task below custody's cgroup. Only (type, major, minor)
 * that the jail's policy names, only read and write; making nodes is never allowed.
 */
#include "common.h"

#define DEVICE_ALLOW 1
#define DEVICE_DENY 0	/* the task gets EPERM */

static __always_inline void device_report(const struct subject *s,
					  const struct policy_device_key *key, __u32 access,
					  bool allowed)
{
	struct policy_counter *counter = counter_add(s, allowed, 0);
	__u64 device = (__u64)key->major << 32 | key->minor;
	struct custody_event *event;

	if (allowed && !seen_first(s, device, (__u64)key->type << 32 | access))
		return;
	event = event_open(s, counter, EVENT_PLANE_CGROUP, allowed ? EVENT_ALLOWED : EVENT_DENIED);
	if (!event)
		return;
	event_set_task(event);
	event->device = device;
	event->access = access;
	event->error = allowed ? 0 : -1; /* EPERM */
	event_submit(event, counter);
}

SEC("cgroup/dev")
int custody_device(struct bpf_cgroup_dev_ctx *ctx)
{
	struct subject s = subject_new(POLICY_CLASS_DEVICE, POLICY_OBJECT_NONE);
	struct policy_device_key key = {};
	struct policy_device *device;
	struct policy_jail *jail;
	bool allowed = false;
	__u32 access;

	s.cgroup_id = bpf_get_current_cgroup_id();
	jail = jail_find(s.cgroup_id);
	if (!jail)
		return DEVICE_DENY;
	s.jail_id = jail->jail_id;
	access = ctx->access_type >> 16;
	key.jail_id = jail->jail_id;
	key.type = ctx->access_type & 0xffff;
	key.major = ctx->major;
	key.minor = ctx->minor;
	device = jail_find_device(jail, &key);
	if (device) {
		s.object = device->object;
		allowed = !(access & BPF_DEVCG_ACC_MKNOD) && !(access & ~device->access);
	}
	device_report(&s, &key, access, allowed);
	return allowed ? DEVICE_ALLOW : DEVICE_DENY;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
