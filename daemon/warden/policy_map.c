/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One jail's entries in the policy maps: install, read back, count, remove. Run by custodyd, the
 * only writer of these maps in user space.
 *
 * Every entry that decides is read back and compared before the call returns.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cleanup.h"
#include "policy.h"
#include "policy_guard.h"
#include "policy_internal.h"

#define POLICY_VALUE_MAX 64	/* bytes of the largest value that is read back */
#define POLICY_BATCH 256	/* entries read by one call */
#define POLICY_BATCH_MAX 65536	/* a hash bucket cannot hold more */
#define POLICY_REMOVE_PASSES 4	/* programs may still add to `seen` while we remove */

/* Adds an entry that must not exist and reads it back. */
static int policy_put_entry(const struct policy *policy, enum policy_map map, const void *key,
			    const void *value, size_t size)
{
	unsigned char now[POLICY_VALUE_MAX];

	if (size > sizeof(now))
		return -EINVAL;
	if (bpf_map_update_elem(policy->maps[map], key, value, BPF_NOEXIST) < 0)
		return -errno;
	if (bpf_map_lookup_elem(policy->maps[map], key, now) < 0)
		return -errno;
	return memcmp(now, value, size) == 0 ? 0 : -EIO;
}

/* Adds a counter of zeros on every CPU and reads it back. */
int policy_put_counter(const struct policy *policy, const struct policy_counter_key *key)
{
	cleanup_ptr struct policy_counter *zeros = NULL, *now = NULL;
	int cpus = libbpf_num_possible_cpus();
	size_t size;

	if (cpus < 0)
		return cpus;
	size = (size_t)cpus * sizeof(*zeros);
	zeros = calloc(1, size);
	now = malloc(size);
	if (!zeros || !now)
		return -ENOMEM;
	if (bpf_map_update_elem(policy->maps[POLICY_MAP_COUNTERS], key, zeros, BPF_NOEXIST) < 0)
		return -errno;
	if (bpf_map_lookup_elem(policy->maps[POLICY_MAP_COUNTERS], key, now) < 0)
		return -errno;
	return memcmp(now, zeros, size) == 0 ? 0 : -EIO;
}

static int policy_put_cgroup(const struct policy *policy, __u64 cgroup, __u32 jail_id, __u32 role,
			     __u32 flags)
{
	struct policy_jail jail = { .jail_id = jail_id, .role = role, .flags = flags,
				    .version = POLICY_ENTRY_VERSION };

	return policy_put_entry(policy, POLICY_MAP_JAILS, &cgroup, &jail, sizeof(jail));
}

static int policy_put_entries(const struct policy *policy, const struct policy_entries *entries)
{
	int r = 0;

	for (__u32 i = 0; r == 0 && i < entries->n_counters; i++)
		r = policy_put_counter(policy, &entries->counters[i]);
	for (__u32 i = 0; r == 0 && i < entries->n_endpoints; i++)
		r = policy_put_entry(policy, POLICY_MAP_ENDPOINTS, &entries->endpoints[i].key,
				     &entries->endpoints[i].value,
				     sizeof(entries->endpoints[i].value));
	for (__u32 i = 0; r == 0 && i < entries->n_devices; i++)
		r = policy_put_entry(policy, POLICY_MAP_DEVICES, &entries->devices[i].key,
				     &entries->devices[i].value,
				     sizeof(entries->devices[i].value));
	for (__u32 i = 0; r == 0 && i < entries->n_ioctls; i++)
		r = policy_put_entry(policy, POLICY_MAP_IOCTLS, &entries->ioctls[i].key,
				     &entries->ioctls[i].value, sizeof(entries->ioctls[i].value));
	return r;
}

static __u32 policy_read_flags(const struct policy *policy, const struct custody_plan *plan)
{
	__u32 flags = 0;

	if (plan->flags & PLAN_FLAG_LOOPBACK)
		flags |= POLICY_FLAG_LOOPBACK;
	if (plan->flags & PLAN_FLAG_JIT)
		flags |= POLICY_FLAG_JIT;
	if (plan->flags & PLAN_FLAG_MEMFD)
		flags |= POLICY_FLAG_MEMFD;
	if (policy->planes & CUSTODY_PLANE_LSM)
		flags |= POLICY_FLAG_LSM;
	if (plan->on_rate || plan->on_ceiling)
		flags |= POLICY_FLAG_CEILING;
	return flags;
}

int policy_install_jail(struct policy *policy, __u32 jail_id, __u64 cgroup_model,
			__u64 cgroup_broker, const struct custody_plan *plan)
{
	__u32 flags = policy_read_flags(policy, plan);
	struct policy_entries entries;
	__u64 left = 0;
	int r;

	if (cgroup_model == 0 || cgroup_broker == 0 || cgroup_model == cgroup_broker)
		return -EINVAL;
	r = policy_build_entries(plan, jail_id, &entries);
	if (r < 0)
		return r;
	r = policy_count_entries(policy, jail_id, &left);
	if (r < 0)
		return r;
	if (left != 0)
		return -EEXIST;
	/* The cgroups come last: until then the programs deny them everything (P1). */
	r = policy_put_entries(policy, &entries);
	if (r == 0)
		r = policy_put_cgroup(policy, cgroup_broker, jail_id, POLICY_ROLE_BROKER,
				      flags & POLICY_FLAG_CEILING);
	if (r == 0)
		r = policy_put_cgroup(policy, cgroup_model, jail_id, POLICY_ROLE_MODEL, flags);
	if (r < 0)
		(void)policy_remove_jail(policy, jail_id);
	return r;
}

int policy_add_destination(struct policy *policy, __u32 jail_id, __u32 endpoint, __u16 port,
			   const struct resolved_address *address, bool own)
{
	struct policy_endpoint value = { .endpoint = endpoint, .rights = POLICY_ENDPOINT_CONNECT };
	struct policy_endpoint_key key = { .jail_id = jail_id, .family = address->family,
					   .protocol = IPPROTO_TCP, .port = port };
	struct policy_endpoint now;
	int r;

	if (jail_id == 0 || port == 0 || endpoint >= CUSTODY_ENDPOINTS_MAX)
		return -EINVAL;
	memcpy(key.address, address->address, address->family == 4 ? 4 : 16);
	r = policy_put_entry(policy, POLICY_MAP_ENDPOINTS, &key, &value, sizeof(value));
	if (r != -EEXIST)
		return r;
	/* Listed by itself, or another name's too: counted there. Never what is published. */
	if (bpf_map_lookup_elem(policy->maps[POLICY_MAP_ENDPOINTS], &key, &now) < 0)
		return -errno;
	if (now.rights != POLICY_ENDPOINT_CONNECT || (own && now.endpoint != endpoint))
		return -EADDRINUSE;
	return 0;
}

/* What is counted by zone. */
static const __u16 policy_zone_classes[] = {
	POLICY_CLASS_OPEN, POLICY_CLASS_EXEC, POLICY_CLASS_CHANGE, POLICY_CLASS_EXECMAP,
	POLICY_CLASS_RECEIVE,
};

int policy_install_zones(struct policy *policy, __u32 jail_id, const struct jail_zone *zones,
			 __u32 n)
{
	if (n > CUSTODY_ZONES_MAX || jail_id == 0)
		return -EINVAL;
	for (__u32 i = 0; i < n; i++) {
		struct policy_counter_key counter = { .jail_id = jail_id, .object = (__u16)i };
		struct policy_zone_key key = { .jail_id = jail_id, .mount_id = zones[i].mount_id };
		struct policy_zone zone = { .zone = i, .rights = zones[i].rights,
					    .label = zones[i].label,
					    .version = POLICY_ENTRY_VERSION };
		int r = 0;

		/* Counters first: a zone that decides must be able to count. */
		for (size_t j = 0; r == 0 && j < ARRAY_SIZE(policy_zone_classes); j++) {
			counter.class = policy_zone_classes[j];
			r = policy_put_counter(policy, &counter);
		}
		if (r == 0)
			r = policy_put_entry(policy, POLICY_MAP_ZONES, &key, &zone, sizeof(zone));
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Adds flags and cut endpoints to the entry of a cgroup, which must have that role, and reads it
 * back. One change of one entry: a program sees all of it or nothing.
 */
static int policy_add_flags(struct policy *policy, __u64 cgroup, __u32 role, __u32 flags, __u32 cut)
{
	int fd = policy->maps[POLICY_MAP_JAILS];
	struct policy_jail jail, now;

	if (bpf_map_lookup_elem(fd, &cgroup, &jail) < 0)
		return -errno;
	if (jail.role != role)
		return -EINVAL;
	jail.flags |= flags;
	jail.cut |= cut;
	if (bpf_map_update_elem(fd, &cgroup, &jail, BPF_EXIST) < 0)
		return -errno;
	if (bpf_map_lookup_elem(fd, &cgroup, &now) < 0)
		return -errno;
	return memcmp(&now, &jail, sizeof(jail)) == 0 ? 0 : -EIO;
}

int policy_open_jail(struct policy *policy, __u64 cgroup_model)
{
	return policy_add_flags(policy, cgroup_model, POLICY_ROLE_MODEL, POLICY_FLAG_OPEN, 0);
}

int policy_drain_jail(struct policy *policy, __u64 cgroup_broker)
{
	return policy_add_flags(policy, cgroup_broker, POLICY_ROLE_BROKER, POLICY_FLAG_DRAINING, 0);
}

int policy_restrict_jail(struct policy *policy, __u64 cgroup_model, __u64 cgroup_broker,
			 __u32 flags, __u32 cut)
{
	int r;

	if (flags & ~POLICY_FLAGS_CUT)
		return -EINVAL;
	r = policy_add_flags(policy, cgroup_broker, POLICY_ROLE_BROKER, flags, cut);
	return r < 0 ? r : policy_add_flags(policy, cgroup_model, POLICY_ROLE_MODEL, flags, cut);
}

/* ---- walking a map ---- */

/* Returns 0 to go on or -errno to stop. The entry may be deleted. */
typedef int (*policy_walk_fn)(const struct policy *policy, enum policy_map map, const void *key,
			      const void *value, void *data);

struct policy_walk {
	__u32 key_size;
	__u32 value_size;	/* of all CPUs together */
	__u32 room;		/* entries that fit into keys and values */
	unsigned char *keys;
	unsigned char *values;
};

static void policy_free_walk(struct policy_walk *walk)
{
	cleanup_free_ptr(&walk->keys);
	cleanup_free_ptr(&walk->values);
}

static int policy_grow_walk(struct policy_walk *walk, __u32 room)
{
	policy_free_walk(walk);
	walk->keys = calloc(room, walk->key_size);
	walk->values = calloc(room, walk->value_size);
	if (!walk->keys || !walk->values)
		return -ENOMEM;
	walk->room = room;
	return 0;
}

static int policy_start_walk(const struct policy *policy, enum policy_map map,
			     struct policy_walk *walk)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);
	int cpus = 1;

	if (bpf_obj_get_info_by_fd(policy->maps[map], &info, &len) < 0)
		return -errno;
	if (info.type == BPF_MAP_TYPE_PERCPU_HASH) {
		cpus = libbpf_num_possible_cpus();
		if (cpus < 0)
			return cpus;
	}
	walk->key_size = info.key_size;
	walk->value_size = (info.value_size + 7) / 8 * 8 * (__u32)cpus;
	return policy_grow_walk(walk, POLICY_BATCH);
}

/*
 * By batches, which the kernel takes bucket by bucket: unlike "next key", that neither starts
 * again nor leaves out old entries when others come and go meanwhile.
 */
static int policy_walk_map(const struct policy *policy, enum policy_map map, policy_walk_fn fn,
			   void *data)
{
	__attribute__((cleanup(policy_free_walk))) struct policy_walk walk = { 0 };
	bool first = true, last = false;
	__u32 in = 0, out = 0;
	int r = policy_start_walk(policy, map, &walk);

	while (r == 0 && !last) {
		__u32 n = walk.room;

		r = bpf_map_lookup_batch(policy->maps[map], first ? NULL : &in, &out, walk.keys,
					 walk.values, &n, NULL);
		if (r == -ENOSPC && walk.room < POLICY_BATCH_MAX) {
			r = policy_grow_walk(&walk, walk.room * 2);
			continue;
		}
		last = r == -ENOENT;
		if (r < 0 && !last)
			return r;
		r = 0;
		for (__u32 i = 0; r == 0 && i < n; i++)
			r = fn(policy, map, walk.keys + (size_t)i * walk.key_size,
			       walk.values + (size_t)i * walk.value_size, data);
		in = out;
		first = false;
	}
	return r;
}

/* ---- counting and removing ---- */

/* Maps whose entries belong to a jail, in the order of removal: first what lets it do things. */
static const enum policy_map policy_jail_maps[] = {
	POLICY_MAP_JAILS, POLICY_MAP_ENDPOINTS, POLICY_MAP_DEVICES, POLICY_MAP_IOCTLS,
	POLICY_MAP_ZONES, POLICY_MAP_COUNTERS,	POLICY_MAP_SEEN,	POLICY_MAP_GUARD_OWNERS,
	POLICY_MAP_CEILINGS, POLICY_MAP_ACCOUNTS,
	POLICY_MAP_PEERS,
};

/* All keys but those of `jails` begin with the jail's id. */
static __u32 policy_read_jail_id(enum policy_map map, const void *key, const void *value)
{
	__u32 id;

	memcpy(&id, map == POLICY_MAP_JAILS ? value : key, sizeof(id));
	return id;
}
_Static_assert(offsetof(struct policy_jail, jail_id) == 0 &&
		       offsetof(struct policy_endpoint_key, jail_id) == 0 &&
		       offsetof(struct policy_device_key, jail_id) == 0 &&
		       offsetof(struct policy_ioctl_key, jail_id) == 0 &&
		       offsetof(struct policy_zone_key, jail_id) == 0 &&
		       offsetof(struct policy_counter_key, jail_id) == 0 &&
		       offsetof(struct policy_seen_key, jail_id) == 0 &&
		       offsetof(struct policy_peer_key, jail_id) == 0 &&
		       offsetof(struct guard_owner_key, jail_id) == 0,
	       "policy_read_jail_id() reads the first word");

struct policy_tally {
	__u32 jail_id;
	bool remove;
	bool keep_artifacts;	/* they, and what counts them, are as if they were not there */
	__u64 n;
};

/* What is denied around a model that has stopped is on record as long as it is denied. */
static bool policy_keeps(const struct policy *policy, enum policy_map map, const void *key)
{
	struct policy_counter_key counter;

	if (map == POLICY_MAP_GUARD_OWNERS)
		return policy_guard_is_artifact(policy, key);
	if (map != POLICY_MAP_COUNTERS)
		return false;
	memcpy(&counter, key, sizeof(counter));
	return counter.class == POLICY_CLASS_GUARD && counter.object != GUARD_CGROUP;
}

static int policy_tally_entry(const struct policy *policy, enum policy_map map, const void *key,
			      const void *value, void *data)
{
	struct policy_tally *tally = data;

	if (policy_read_jail_id(map, key, value) != tally->jail_id)
		return 0;
	if (tally->keep_artifacts && policy_keeps(policy, map, key))
		return 0;
	tally->n++;
	if (!tally->remove)
		return 0;
	if (map == POLICY_MAP_GUARD_OWNERS) {
		int r = policy_guard_forget(policy, key);

		if (r < 0)
			return r;
	}
	if (bpf_map_delete_elem(policy->maps[map], key) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

static int policy_tally_maps(const struct policy *policy, struct policy_tally *tally)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(policy_jail_maps); i++)
		r = policy_walk_map(policy, policy_jail_maps[i], policy_tally_entry, tally);
	return r;
}

int policy_count_entries(struct policy *policy, __u32 jail_id, __u64 *ret)
{
	struct policy_tally tally = { .jail_id = jail_id };
	int r = policy_tally_maps(policy, &tally);

	if (r < 0)
		return r;
	*ret = tally.n;
	return 0;
}

static int policy_remove_entries(struct policy *policy, __u32 jail_id, bool keep_artifacts)
{
	__u64 left = 1;
	int r = 0;

	for (int i = 0; left != 0 && i < POLICY_REMOVE_PASSES; i++) {
		struct policy_tally tally = { .jail_id = jail_id, .remove = true,
					      .keep_artifacts = keep_artifacts };
		struct policy_tally rest = { .jail_id = jail_id,
					     .keep_artifacts = keep_artifacts };

		r = policy_tally_maps(policy, &tally);
		if (r == 0)
			r = policy_tally_maps(policy, &rest);
		if (r < 0)
			return r;
		left = rest.n;
	}
	return left == 0 ? 0 : -EBUSY;
}

int policy_remove_jail(struct policy *policy, __u32 jail_id)
{
	return policy_remove_entries(policy, jail_id, false);
}

int policy_release_jail(struct policy *policy, __u32 jail_id)
{
	return policy_remove_entries(policy, jail_id, true);
}

/* ---- reading counters ---- */

struct policy_counter_walk {
	__u32 jail_id;
	bool all;		/* whatever jail_id */
	int cpus;
	policy_counter_fn fn;
	void *data;
};

static int policy_sum_counter(const struct policy *policy, enum policy_map map, const void *key,
			      const void *value, void *data)
{
	const struct policy_counter *cpu = value;
	struct policy_counter_walk *walk = data;
	struct policy_counter sum = { 0 };
	struct policy_counter_key copy;

	(void)policy;
	(void)map;
	memcpy(&copy, key, sizeof(copy));
	if (!walk->all && copy.jail_id != walk->jail_id)
		return 0;
	for (int i = 0; i < walk->cpus; i++) {
		sum.allowed += cpu[i].allowed;
		sum.denied += cpu[i].denied;
		sum.bytes += cpu[i].bytes;
		sum.emitted += cpu[i].emitted;
		sum.lost += cpu[i].lost;
	}
	walk->fn(&copy, &sum, walk->data);
	return 0;
}

static int policy_walk_counters(struct policy *policy, struct policy_counter_walk *walk)
{
	walk->cpus = libbpf_num_possible_cpus();
	if (walk->cpus < 0)
		return walk->cpus;
	return policy_walk_map(policy, POLICY_MAP_COUNTERS, policy_sum_counter, walk);
}

int policy_read_counters(struct policy *policy, __u32 jail_id, policy_counter_fn fn, void *data)
{
	struct policy_counter_walk walk = { .jail_id = jail_id, .fn = fn, .data = data };

	return policy_walk_counters(policy, &walk);
}

int policy_read_all_counters(struct policy *policy, policy_counter_fn fn, void *data)
{
	struct policy_counter_walk walk = { .all = true, .fn = fn, .data = data };

	return policy_walk_counters(policy, &walk);
}

int policy_read_errors(struct policy *policy, __u64 ret[_POLICY_ERROR_MAX])
{
	cleanup_ptr __u64 *values = NULL;
	__u64 sums[_POLICY_ERROR_MAX] = { 0 };
	int cpus = libbpf_num_possible_cpus();

	if (cpus < 0)
		return cpus;
	values = calloc((size_t)cpus, sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (__u32 site = 0; site < _POLICY_ERROR_MAX; site++) {
		if (bpf_map_lookup_elem(policy->maps[POLICY_MAP_ERRORS], &site, values) < 0)
			return -errno;
		for (int i = 0; i < cpus; i++)
			sums[site] += values[i];
	}
	memcpy(ret, sums, sizeof(sums));
	return 0;
}
