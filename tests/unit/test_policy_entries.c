/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Map entries made from a plan: what is there, what is refused, and that the most that a plan
 * may ask for fits.
 *
 * link: daemon/warden/policy_entries.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "custody/guard.h"
#include "../../daemon/warden/policy_internal.h"

struct fixture {
	struct custody_plan plan;
	struct policy_entries entries;
};

static int fixture_make(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	f->plan.ioctl_set = PLAN_IOCTLS_ALL;
	*state = f;
	return 0;
}

static int fixture_free(void **state)
{
	free(*state);
	return 0;
}

static struct plan_endpoint *fixture_add_endpoint(struct fixture *f, __u16 port)
{
	struct plan_endpoint *endpoint = &f->plan.endpoints[f->plan.n_endpoints++];

	endpoint->kind = PLAN_ENDPOINT_LISTEN;
	endpoint->family = PLAN_FAMILY_INET;
	endpoint->protocol = IPPROTO_TCP;
	endpoint->port = port;
	endpoint->address[0] = 127;
	return endpoint;
}

static struct plan_device *fixture_add_device(struct fixture *f, __u32 major, __u32 minor)
{
	struct plan_device *device = &f->plan.devices[f->plan.n_devices++];

	device->type = 'c';
	device->major = major;
	device->minor = minor;
	return device;
}

static unsigned int fixture_count(const struct fixture *f, __u16 class, __u16 object)
{
	unsigned int n = 0;

	for (__u32 i = 0; i < f->entries.n_counters; i++) {
		const struct policy_counter_key *key = &f->entries.counters[i];

		n += key->jail_id == 7 && key->class == class && key->object == object;
	}
	return n;
}

static void test_empty_plan(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), 0);
	assert_int_equal(f->entries.n_endpoints, 0);
	assert_int_equal(f->entries.n_devices, POLICY_DEVICES_STANDARD);
	for (__u32 i = 0; i < POLICY_DEVICES_STANDARD; i++) {
		const struct policy_device_entry *entry = &f->entries.devices[i];

		assert_int_equal(entry->key.jail_id, 7);
		assert_int_equal(entry->key.type, BPF_DEVCG_DEV_CHAR);
		assert_int_equal(entry->key.major, 1);
		assert_int_equal(entry->value.access, BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE);
		assert_int_equal(entry->value.object, POLICY_OBJECT_DEVICE_STANDARD + i);
		assert_int_equal(fixture_count(f, POLICY_CLASS_DEVICE, entry->value.object), 1);
	}
	assert_int_equal(fixture_count(f, POLICY_CLASS_GUARD, GUARD_ARTIFACT), 1);
	assert_int_equal(fixture_count(f, POLICY_CLASS_GUARD, GUARD_READ), 1);
	assert_int_equal(fixture_count(f, POLICY_CLASS_GUARD, GUARD_CGROUP), 1);
	assert_int_equal(fixture_count(f, POLICY_CLASS_CEILING, POLICY_OBJECT_NONE), 1);
	for (__u16 class = POLICY_CLASS_OPEN; class < POLICY_CLASS_GUARD; class++)
		assert_int_equal(fixture_count(f, class, 0) +
				 fixture_count(f, class, POLICY_OBJECT_NONE), 1);
}

static void test_endpoints(void **state)
{
	struct fixture *f = *state;

	fixture_add_endpoint(f, 8080);
	fixture_add_endpoint(f, 8081)->family = PLAN_FAMILY_UNIX;
	fixture_add_endpoint(f, 443)->kind = PLAN_ENDPOINT_EGRESS;
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), 0);
	assert_int_equal(f->entries.n_endpoints, 2);
	assert_int_equal(f->entries.endpoints[0].value.rights, POLICY_ENDPOINT_BIND);
	assert_int_equal(f->entries.endpoints[0].key.port, 8080);
	assert_int_equal(f->entries.endpoints[1].value.rights, POLICY_ENDPOINT_CONNECT);
	assert_int_equal(f->entries.endpoints[1].value.endpoint, 2);
	for (__u16 class = POLICY_CLASS_BIND; class <= POLICY_CLASS_INGRESS; class++) {
		assert_int_equal(fixture_count(f, class, 0), 1);
		assert_int_equal(fixture_count(f, class, 1), 0);
		assert_int_equal(fixture_count(f, class, 2), 1);
	}
	assert_int_equal(fixture_count(f, POLICY_CLASS_CEILING, 0), 1);
	assert_int_equal(fixture_count(f, POLICY_CLASS_CEILING, 2), 1);
}

static void test_ipv4_takes_four_bytes(void **state)
{
	struct fixture *f = *state;

	memset(fixture_add_endpoint(f, 80)->address, 0xff, 16);
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), 0);
	assert_int_equal(f->entries.endpoints[0].key.address[3], 0xff);
	assert_int_equal(f->entries.endpoints[0].key.address[4], 0);
}

static void test_refusals(void **state)
{
	struct fixture *f = *state;
	struct plan_endpoint *endpoint = fixture_add_endpoint(f, 80);
	struct plan_endpoint good = *endpoint;

	f->entries.n_devices = 99;
	assert_int_equal(policy_build_entries(&f->plan, 0, &f->entries), -EINVAL);
	endpoint->family = 5;
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), -EINVAL);
	*endpoint = good;
	endpoint->protocol = IPPROTO_SCTP;
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), -EINVAL);
	*endpoint = good;
	endpoint->port = 0;
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), -EINVAL);
	*endpoint = good;
	endpoint->kind = 3;
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), -EINVAL);
	*endpoint = good;
	fixture_add_endpoint(f, 80)->kind = PLAN_ENDPOINT_EGRESS;
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), -EEXIST);
	f->plan.n_endpoints = CUSTODY_ENDPOINTS_MAX + 1;
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), -EINVAL);
	f->plan.n_endpoints = 0;
	fixture_add_device(f, 195, 0)->type = 'x';
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), -EINVAL);
	f->plan.devices[0].type = 'c';
	fixture_add_device(f, 195, 0);
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), -EEXIST);
	f->plan.n_devices = CUSTODY_DEVICES_MAX + 1;
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), -EINVAL);
	/* untouched on failure */
	assert_int_equal(f->entries.n_devices, 99);
}

static void test_standard_device_in_plan(void **state)
{
	struct fixture *f = *state;

	fixture_add_device(f, 1, 3);
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), 0);
	assert_int_equal(f->entries.n_devices, POLICY_DEVICES_STANDARD);
	assert_int_equal(f->entries.devices[0].value.object, 0);
	assert_int_equal(fixture_count(f, POLICY_CLASS_DEVICE, 0), 1);
	assert_int_equal(fixture_count(f, POLICY_CLASS_DEVICE, POLICY_OBJECT_DEVICE_STANDARD), 0);
}

static void test_largest_plan(void **state)
{
	struct fixture *f = *state;

	for (__u16 i = 0; i < CUSTODY_ENDPOINTS_MAX; i++)
		fixture_add_endpoint(f, (__u16)(1000 + i));
	for (__u32 i = 0; i < CUSTODY_DEVICES_MAX; i++)
		fixture_add_device(f, 195, i);
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), 0);
	assert_int_equal(f->entries.n_endpoints, CUSTODY_ENDPOINTS_MAX);
	assert_int_equal(f->entries.n_devices, CUSTODY_DEVICES_MAX + POLICY_DEVICES_STANDARD);
	/* What is left of the contract's number are the zones', five each, and the ioctl set's. */
	assert_int_equal(f->entries.n_counters,
			 POLICY_COUNTERS_MAX - 5 * CUSTODY_ZONES_MAX - POLICY_IOCTL_ROWS_MAX);
}

static void fixture_add_path(struct fixture *f, __u32 major, __u32 minor, const char *path)
{
	struct plan_device *device = fixture_add_device(f, major, minor);

	device->path.off = f->plan.pool_used;
	device->path.len = (__u32)strlen(path);
	memcpy(f->plan.pool + device->path.off, path, strlen(path) + 1);
	f->plan.pool_used += (__u32)strlen(path) + 1;
}

static const struct policy_ioctl_entry *fixture_find_ioctl(const struct fixture *f, __u32 class,
							   __u32 number)
{
	const struct policy_ioctl_entry *found = NULL;

	for (__u32 i = 0; i < f->entries.n_ioctls; i++) {
		const struct policy_ioctl_entry *entry = &f->entries.ioctls[i];

		if (entry->key.class != class || entry->key.number != number)
			continue;
		assert_null(found); /* no number twice */
		assert_int_equal(entry->key.jail_id, 7);
		found = entry;
	}
	return found;
}

static void test_ioctls(void **state)
{
	struct fixture *f = *state;

	f->plan.pool_used = 1;
	fixture_add_path(f, 195, 0, "/dev/nvidia0");
	fixture_add_path(f, 195, 255, "/dev/nvidiactl");
	fixture_add_path(f, 510, 0, "/dev/nvidia-uvm");
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), 0);
	assert_int_equal(f->entries.n_ioctls, 0);
	assert_int_equal(f->entries.devices[0].value.ioctls, POLICY_IOCTLS_ANY);
	f->plan.ioctl_set = PLAN_IOCTLS_COMPUTE;
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), 0);
	assert_int_equal(f->entries.devices[0].value.ioctls, POLICY_IOCTLS_NVIDIA);
	assert_int_equal(f->entries.devices[1].value.ioctls, POLICY_IOCTLS_NVIDIA);
	assert_int_equal(f->entries.devices[2].value.ioctls, POLICY_IOCTLS_UVM);
	assert_int_equal(f->entries.devices[3].value.ioctls, POLICY_IOCTLS_ANY); /* /dev/null */
	assert_non_null(fixture_find_ioctl(f, POLICY_IOCTLS_NVIDIA, 0x2a));
	assert_null(fixture_find_ioctl(f, POLICY_IOCTLS_NVIDIA, 211));
	assert_non_null(fixture_find_ioctl(f, POLICY_IOCTLS_UVM, 0x30000001));
	assert_null(fixture_find_ioctl(f, POLICY_IOCTLS_UVM, 62));
	assert_null(fixture_find_ioctl(f, POLICY_IOCTLS_DRM, 0));
	for (__u32 i = 0; i < f->entries.n_ioctls; i++) {
		const struct policy_ioctl_entry *entry = &f->entries.ioctls[i];

		(void)fixture_find_ioctl(f, entry->key.class, entry->key.number);
		assert_int_equal(fixture_count(f, POLICY_CLASS_IOCTL, (__u16)entry->value.object),
				 1);
	}
}

/* All four drivers at once fit; a set that is none, and a device without numbers, do not pass. */
static void test_ioctls_bounds(void **state)
{
	struct fixture *f = *state;

	f->plan.pool_used = 1;
	f->plan.ioctl_set = PLAN_IOCTLS_COMPUTE;
	fixture_add_path(f, 195, 0, "/dev/nvidia0");
	fixture_add_path(f, 510, 0, "/dev/nvidia-uvm");
	fixture_add_path(f, 226, 128, "/dev/dri/renderD128");
	fixture_add_path(f, 511, 0, "/dev/kfd");
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), 0);
	assert_int_equal(f->entries.devices[3].value.ioctls, POLICY_IOCTLS_KFD);
	assert_non_null(fixture_find_ioctl(f, POLICY_IOCTLS_DRM, 0x9f));
	assert_null(fixture_find_ioctl(f, POLICY_IOCTLS_DRM, 0xa0));
	assert_non_null(fixture_find_ioctl(f, POLICY_IOCTLS_KFD, 0x15));
	f->plan.ioctl_set = _PLAN_IOCTLS_MAX;
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), -EINVAL);
	f->plan.ioctl_set = PLAN_IOCTLS_COMPUTE;
	fixture_add_path(f, 10, 200, "/dev/net/tun");
	assert_int_equal(policy_build_entries(&f->plan, 7, &f->entries), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_empty_plan, fixture_make, fixture_free),
		cmocka_unit_test_setup_teardown(test_endpoints, fixture_make, fixture_free),
		cmocka_unit_test_setup_teardown(test_ipv4_takes_four_bytes, fixture_make,
						fixture_free),
		cmocka_unit_test_setup_teardown(test_refusals, fixture_make, fixture_free),
		cmocka_unit_test_setup_teardown(test_standard_device_in_plan, fixture_make,
						fixture_free),
		cmocka_unit_test_setup_teardown(test_ioctls, fixture_make, fixture_free),
		cmocka_unit_test_setup_teardown(test_ioctls_bounds, fixture_make, fixture_free),
		cmocka_unit_test_setup_teardown(test_largest_plan, fixture_make, fixture_free),
	};

	return cmocka_run_group_tests_name("policy_entries", tests, NULL, NULL);
}
