/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Map entries of one jail from its plan. Pure: no system call, no allocation. Run by custodyd;
 * trusts nothing of the plan that it does not check itself.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include "cleanup.h"
#include "custody/guard.h"
#include "ioctl_set.h"
#include "plan.h"
#include "policy_internal.h"

/* Character devices with major 1 that every jail may read and write. */
static const __u32 policy_standard_minors[] = { 3 /* null */, 5 /* zero */, 7 /* full */,
						8 /* random */, 9 /* urandom */ };
_Static_assert(ARRAY_SIZE(policy_standard_minors) == POLICY_DEVICES_STANDARD,
	       "the contract counts the standard devices");

static void policy_add_counter(struct policy_entries *entries, __u32 jail_id, __u16 class,
			       __u32 object)
{
	struct policy_counter_key *key = &entries->counters[entries->n_counters++];

	key->jail_id = jail_id;
	key->class = class;
	key->object = (__u16)object;
}

static int policy_add_endpoint(struct policy_entries *entries, __u32 jail_id, __u32 index,
			       const struct plan_endpoint *endpoint)
{
	struct policy_endpoint_entry *entry = &entries->endpoints[entries->n_endpoints];
	size_t len = endpoint->family == PLAN_FAMILY_INET ? 4 : 16;

	if (endpoint->family == PLAN_FAMILY_UNIX)
		return 0;
	if (endpoint->family != PLAN_FAMILY_INET && endpoint->family != PLAN_FAMILY_INET6)
		return -EINVAL;
	if (endpoint->protocol != IPPROTO_TCP && endpoint->protocol != IPPROTO_UDP)
		return -EINVAL;
	if (endpoint->port == 0)
		return -EINVAL;
	entry->key.jail_id = jail_id;
	entry->key.family = (__u8)endpoint->family;
	entry->key.protocol = (__u8)endpoint->protocol;
	entry->key.port = endpoint->port;
	memcpy(entry->key.address, endpoint->address, len);
	entry->value.endpoint = index;
	if (endpoint->kind == PLAN_ENDPOINT_LISTEN)
		entry->value.rights = POLICY_ENDPOINT_BIND;
	else if (endpoint->kind == PLAN_ENDPOINT_EGRESS)
		entry->value.rights = POLICY_ENDPOINT_CONNECT;
	else
		return -EINVAL;
	for (__u32 i = 0; i < entries->n_endpoints; i++) {
		if (memcmp(&entries->endpoints[i].key, &entry->key, sizeof(entry->key)) == 0)
			return -EEXIST;
	}
	entries->n_endpoints++;
	for (__u16 class = POLICY_CLASS_BIND; class <= POLICY_CLASS_INGRESS; class++)
		policy_add_counter(entries, jail_id, class, index);
	policy_add_counter(entries, jail_id, POLICY_CLASS_CEILING, index);
	return 0;
}

static bool policy_has_device(const struct policy_entries *entries,
			      const struct policy_device_key *key)
{
	for (__u32 i = 0; i < entries->n_devices; i++) {
		if (memcmp(&entries->devices[i].key, key, sizeof(*key)) == 0)
			return true;
	}
	return false;
}

static void policy_add_device(struct policy_entries *entries, const struct policy_device_key *key,
			      __u32 object)
{
	struct policy_device_entry *entry = &entries->devices[entries->n_devices++];

	entry->key = *key;
	entry->value.access = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;
	entry->value.object = object;
	entry->value.version = POLICY_ENTRY_VERSION;
	policy_add_counter(entries, key->jail_id, POLICY_CLASS_DEVICE, object);
	policy_add_counter(entries, key->jail_id, POLICY_CLASS_MMAP, object);
}

static bool policy_has_ioctls(const struct policy_entries *entries, __u32 class)
{
	for (__u32 i = 0; i < entries->n_ioctls; i++) {
		if (entries->ioctls[i].key.class == class)
			return true;
	}
	return false;
}

static int policy_add_ioctl_row(struct policy_entries *entries, __u32 jail_id, __u32 index)
{
	const struct ioctl_row *row = &ioctl_set_compute[index];

	if (row->last - row->first >= POLICY_IOCTL_NUMBERS_MAX - entries->n_ioctls)
		return -E2BIG;
	for (__u32 number = row->first; number <= row->last; number++) {
		entries->ioctls[entries->n_ioctls++] = (struct policy_ioctl_entry){
			.key = { .jail_id = jail_id, .class = row->class, .number = number },
			.value = { .object = index },
		};
	}
	policy_add_counter(entries, jail_id, POLICY_CLASS_IOCTL, index);
	return 0;
}

/* The set's numbers for the driver behind a device, and that this device is held to them. */
static int policy_add_ioctls(struct policy_entries *entries, __u32 jail_id,
			     const struct custody_plan *plan, const struct plan_device *device)
{
	__u32 class = ioctl_set_find_class(device->major, plan_string(plan, device->path));
	int r = 0;

	if (plan->ioctl_set == PLAN_IOCTLS_ALL)
		return 0;
	if (plan->ioctl_set != PLAN_IOCTLS_COMPUTE || class == POLICY_IOCTLS_ANY)
		return -EINVAL;
	entries->devices[entries->n_devices - 1].value.ioctls = class;
	if (policy_has_ioctls(entries, class))
		return 0;
	for (__u32 i = 0; r == 0 && i < ioctl_set_compute_n; i++) {
		if (ioctl_set_compute[i].class == class)
			r = policy_add_ioctl_row(entries, jail_id, i);
	}
	return r;
}

static int policy_add_devices(struct policy_entries *entries, __u32 jail_id,
			      const struct custody_plan *plan)
{
	int r;

	for (__u32 i = 0; i < plan->n_devices; i++) {
		const struct plan_device *device = &plan->devices[i];
		struct policy_device_key key = { .jail_id = jail_id };

		if (device->type != 'c' && device->type != 'b')
			return -EINVAL;
		key.type = device->type == 'c' ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK;
		key.major = device->major;
		key.minor = device->minor;
		if (policy_has_device(entries, &key))
			return -EEXIST;
		policy_add_device(entries, &key, i);
		r = policy_add_ioctls(entries, jail_id, plan, device);
		if (r < 0)
			return r;
	}
	/* One that the plan names as well keeps the plan's number. */
	for (__u32 i = 0; i < POLICY_DEVICES_STANDARD; i++) {
		struct policy_device_key key = { .jail_id = jail_id,
						 .type = BPF_DEVCG_DEV_CHAR,
						 .major = 1,
						 .minor = policy_standard_minors[i] };

		if (!policy_has_device(entries, &key))
			policy_add_device(entries, &key, POLICY_OBJECT_DEVICE_STANDARD + i);
	}
	return 0;
}

int policy_build_entries(const struct custody_plan *plan, __u32 jail_id,
			 struct policy_entries *ret)
{
	struct policy_entries entries;
	int r;

	if (jail_id == 0 || plan->n_endpoints > CUSTODY_ENDPOINTS_MAX ||
	    plan->n_devices > CUSTODY_DEVICES_MAX)
		return -EINVAL;
	memset(&entries, 0, sizeof(entries));
	for (__u32 i = 0; i < plan->n_endpoints; i++) {
		r = policy_add_endpoint(&entries, jail_id, i, &plan->endpoints[i]);
		if (r < 0)
			return r;
	}
	r = policy_add_devices(&entries, jail_id, plan);
	if (r < 0)
		return r;
	policy_add_counter(&entries, jail_id, POLICY_CLASS_OPEN, POLICY_OBJECT_NONE);
	policy_add_counter(&entries, jail_id, POLICY_CLASS_EXEC, POLICY_OBJECT_NONE);
	policy_add_counter(&entries, jail_id, POLICY_CLASS_EXIT, 0);
	policy_add_counter(&entries, jail_id, POLICY_CLASS_DEVICE, POLICY_OBJECT_NONE);
	policy_add_counter(&entries, jail_id, POLICY_CLASS_SOCKET, 0);
	for (__u16 class = POLICY_CLASS_BIND; class <= POLICY_CLASS_INGRESS; class++)
		policy_add_counter(&entries, jail_id, class, POLICY_OBJECT_NONE);
	policy_add_counter(&entries, jail_id, POLICY_CLASS_SYSCALL, 0);
	policy_add_counter(&entries, jail_id, POLICY_CLASS_CHANGE, POLICY_OBJECT_NONE);
	policy_add_counter(&entries, jail_id, POLICY_CLASS_EXECMAP, POLICY_OBJECT_NONE);
	for (__u16 task = 0; task < _POLICY_TASK_MAX; task++)
		policy_add_counter(&entries, jail_id, POLICY_CLASS_TASK, task);
	policy_add_counter(&entries, jail_id, POLICY_CLASS_MMAP, POLICY_OBJECT_NONE);
	policy_add_counter(&entries, jail_id, POLICY_CLASS_IOCTL, POLICY_OBJECT_NONE);
	policy_add_counter(&entries, jail_id, POLICY_CLASS_RECEIVE, POLICY_OBJECT_NONE);
	policy_add_counter(&entries, jail_id, POLICY_CLASS_CEILING, POLICY_OBJECT_NONE);
	policy_add_counter(&entries, jail_id, POLICY_CLASS_GUARD, GUARD_ARTIFACT);
	policy_add_counter(&entries, jail_id, POLICY_CLASS_GUARD, GUARD_READ);
	policy_add_counter(&entries, jail_id, POLICY_CLASS_GUARD, GUARD_CGROUP);
	*ret = entries;
	return 0;
}
