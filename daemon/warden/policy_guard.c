/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard's maps: what is put in, read back and taken out. Run by custodyd, from guard.c. Trusts
 * the kernel's word on which inode it saw, and nothing else (invariant G3).
 */
#include "policy_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "cleanup.h"
#include "policy_internal.h"

static const __u32 policy_guard_zero;
static const __u32 policy_guard_one = 1;

static int policy_guard_put(const struct policy *policy, enum policy_map map, const void *key,
			    const void *value, size_t size)
{
	unsigned char now[64];

	if (size > sizeof(now))
		return -EINVAL;
	if (bpf_map_update_elem(policy->maps[map], key, value, BPF_ANY) < 0)
		return -errno;
	if (bpf_map_lookup_elem(policy->maps[map], key, now) < 0)
		return -errno;
	return memcmp(now, value, size) == 0 ? 0 : -EIO;
}

int policy_guard_add_process(struct policy *policy, __u32 pid, __u64 start, __u32 rights)
{
	struct guard_process process = { .start = start, .rights = rights };

	return policy_guard_put(policy, POLICY_MAP_GUARDIANS, &pid, &process, sizeof(process));
}

int policy_guard_read_process(struct policy *policy, __u32 pid, struct guard_process *ret)
{
	struct guard_process process;

	if (bpf_map_lookup_elem(policy->maps[POLICY_MAP_GUARDIANS], &pid, &process) < 0)
		return -errno;
	*ret = process;
	return 0;
}

int policy_guard_read_config(const struct policy *policy, struct guard_config *ret)
{
	struct guard_config config;

	if (bpf_map_lookup_elem(policy->maps[POLICY_MAP_GUARD_CONFIG], &policy_guard_zero,
				&config) < 0)
		return -errno;
	*ret = config;
	return 0;
}

int policy_guard_set_config(struct policy *policy, const struct guard_config *config)
{
	return policy_guard_put(policy, POLICY_MAP_GUARD_CONFIG, &policy_guard_zero, config,
				sizeof(*config));
}

/* ---- objects ---- */

static int policy_guard_add_object(struct policy *policy, __u32 type, __u32 id)
{
	struct guard_object_key key = { .type = type, .id = id };

	return policy_guard_put(policy, POLICY_MAP_GUARD_OBJECTS, &key, &policy_guard_one,
				sizeof(policy_guard_one));
}

static int policy_guard_add_link(struct policy *policy, const char *dir, const char *name)
{
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);
	char path[CUSTODY_PATH_SIZE];
	cleanup_fd int fd = -1;
	int r = policy_pin_path(dir, "link", name, path, sizeof(path));

	if (r < 0)
		return r;
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	r = policy_guard_add_object(policy, GUARD_LINK, info.id);
	return r < 0 ? r : policy_guard_add_object(policy, GUARD_PROGRAM, info.prog_id);
}

int policy_guard_add_objects(struct policy *policy, const char *dir)
{
	int r = 0;

	for (int i = 0; r == 0 && i < _POLICY_MAP_MAX; i++) {
		struct bpf_map_info info = { 0 };
		__u32 len = sizeof(info);

		if (bpf_obj_get_info_by_fd(policy->maps[i], &info, &len) < 0)
			return -errno;
		r = policy_guard_add_object(policy, GUARD_MAP, info.id);
	}
	for (int i = 0; r == 0 && i < _POLICY_LINK_MAX; i++) {
		if (policy_wants_link(policy, (enum policy_link)i))
			r = policy_guard_add_link(policy, dir, policy_links[i].name);
	}
	return r;
}

int policy_guard_add_counters(struct policy *policy)
{
	struct policy_counter_key key = { .class = POLICY_CLASS_GUARD };
	int r = 0;

	for (__u16 object = GUARD_MAP; (r == 0 || r == -EEXIST) && object < _GUARD_OBJECT_MAX;
	     object++) {
		key.object = object;
		r = policy_put_counter(policy, &key);
	}
	return r == -EEXIST ? 0 : r;
}

/* ---- inodes ---- */

int policy_guard_begin(struct policy *policy, const struct guard_inode *as)
{
	struct guard_learn learn = { .as = *as };

	return policy_guard_put(policy, POLICY_MAP_GUARD_LEARN, &policy_guard_zero, &learn,
				sizeof(learn));
}

int policy_guard_learn(struct policy *policy, int at, const char *name,
		       struct guard_learn *ret_before, bool *ret_written)
{
	int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int error = fd < 0 ? -errno : 0;
	struct guard_learn now;

	if (fd >= 0)
		(void)close(fd);
	if (bpf_map_lookup_elem(policy->maps[POLICY_MAP_GUARD_LEARN], &policy_guard_zero,
				&now) < 0)
		return -errno;
	/* Pinned links cannot be opened; they have been seen all the same. */
	if (now.failed != ret_before->failed)
		return -ENOSPC;
	if (now.learnt == ret_before->learnt)
		return error ? error : -ENOTSUP;
	*ret_written = now.written != ret_before->written;
	*ret_before = now;
	return 0;
}

int policy_guard_end(struct policy *policy)
{
	struct guard_inode none = { 0 };

	return policy_guard_begin(policy, &none);
}

/* Deletes every entry; nothing else writes to the map meanwhile. */
static int policy_guard_empty(struct policy *policy, enum policy_map map)
{
	unsigned char key[64];

	while (bpf_map_get_next_key(policy->maps[map], NULL, key) == 0) {
		if (bpf_map_delete_elem(policy->maps[map], key) < 0)
			return -errno;
	}
	return errno == ENOENT ? 0 : -errno;
}

int policy_guard_clear_readers(struct policy *policy)
{
	return policy_guard_empty(policy, POLICY_MAP_GUARD_READERS);
}

int policy_guard_clear_nodes(struct policy *policy)
{
	return policy_guard_empty(policy, POLICY_MAP_GUARD_NODES);
}

int policy_guard_add_reader(struct policy *policy, const struct guard_reader_key *key, __u32 value)
{
	return policy_guard_put(policy, POLICY_MAP_GUARD_READERS, key, &value, sizeof(value));
}

int policy_guard_add_node(struct policy *policy, __u32 major)
{
	return policy_guard_put(policy, POLICY_MAP_GUARD_NODES, &major, &policy_guard_one,
				sizeof(policy_guard_one));
}

int policy_guard_open(struct policy *policy)
{
	static const enum policy_map order[] = { POLICY_MAP_GUARDED, POLICY_MAP_GUARD_OWNERS,
						 POLICY_MAP_GUARD_OBJECTS, POLICY_MAP_GUARD_NODES,
						 POLICY_MAP_GUARDIANS };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(order); i++)
		r = policy_guard_empty(policy, order[i]);
	return r;
}

bool policy_guard_is_artifact(const struct policy *policy, const struct guard_owner_key *owner)
{
	struct guard_key key = { .inode = owner->inode, .device = owner->device };
	struct guard_inode entry;

	return bpf_map_lookup_elem(policy->maps[POLICY_MAP_GUARDED], &key, &entry) == 0 &&
	       entry.object == GUARD_ARTIFACT;
}

bool policy_guard_holds(const struct policy *policy, __u32 jail_id, __u64 device, __u64 inode,
			__u64 generation)
{
	struct guard_owner_key owner = {
		.jail_id = jail_id,
		/* as super_block.s_dev has it */
		.device = (__u32)(major(device) << 20 | minor(device)),
		.inode = inode,
	};
	struct guard_key key = { .inode = inode, .device = owner.device };
	struct guard_inode entry;
	__u32 one;

	return bpf_map_lookup_elem(policy->maps[POLICY_MAP_GUARD_OWNERS], &owner, &one) == 0 &&
	       bpf_map_lookup_elem(policy->maps[POLICY_MAP_GUARDED], &key, &entry) == 0 &&
	       entry.object == GUARD_ARTIFACT && (entry.flags & GUARD_FLAG_WRITE) &&
	       entry.generation == (__u32)generation;
}

int policy_guard_forget(const struct policy *policy, const struct guard_owner_key *owner)
{
	struct guard_key key = { .inode = owner->inode, .device = owner->device };
	int fd = policy->maps[POLICY_MAP_GUARDED];
	struct guard_inode entry;

	if (bpf_map_lookup_elem(fd, &key, &entry) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (entry.owners <= 1)
		return bpf_map_delete_elem(fd, &key) < 0 && errno != ENOENT ? -errno : 0;
	entry.owners--;
	/* Whose it was is gone: what happens to it is now told to nobody's jail, but custody's. */
	if (entry.jail_id == owner->jail_id)
		entry.jail_id = 0;
	return bpf_map_update_elem(fd, &key, &entry, BPF_EXIST) < 0 ? -errno : 0;
}
