/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is pinned: where, whether it is complete, and whether it is what this executable would
 * have made. Run by custodyd. Trusts nothing under the pin directory: every object is asked for
 * its kind, type, sizes, program and attach point.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cgroup.h"
#include "cleanup.h"
#include "policy_internal.h"

#define POLICY_PROGRAM_MAPS_MAX 32

int policy_pin_path(const char *dir, const char *kind, const char *name, char *ret, size_t size)
{
	int n = snprintf(ret, size, "%s/%s-%s", dir, kind, name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int policy_pin_exists(const char *dir, bool *ret)
{
	cleanup_dir DIR *stream = opendir(dir);
	const struct dirent *entry;
	bool found = false;

	if (!stream) {
		if (errno != ENOENT)
			return -errno;
		*ret = false;
		return 0;
	}
	errno = 0;
	while (!found && (entry = readdir(stream)))
		found = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	if (!found && errno != 0)
		return -errno;
	*ret = found;
	return 0;
}

/*
 * The fd of a pinned object that must be of a kind: "bpf-map" or "bpf-link", which is how the
 * kernel names its anonymous inode (bpf_map_new_fd(), bpf_link_new_fd()).
 */
static int policy_pin_open(const char *dir, const char *prefix, const char *name,
			   const char *kind, char *error, size_t size)
{
	char path[CUSTODY_PATH_SIZE], proc[64], target[64];
	cleanup_fd int fd = -1;
	ssize_t n;
	int r = policy_pin_path(dir, prefix, name, path, sizeof(path));

	if (r < 0)
		return r;
	fd = bpf_obj_get(path);
	if (fd < 0 && errno == ENOENT) {
		(void)snprintf(error, size, "%s is missing", path);
		return -EUCLEAN;
	}
	if (fd < 0) {
		r = -errno;
		(void)snprintf(error, size, "%s cannot be opened: %s", path, strerror(-r));
		return r;
	}
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (!strstr(target, kind)) {
		(void)snprintf(error, size, "%s is a %s and not a %s", path, target, kind);
		return -EUCLEAN;
	}
	return TAKE_FD(fd);
}

static int policy_pin_compare_map(const char *name, int fd, const struct bpf_map *map,
				  char *error, size_t size)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	if (info.type == bpf_map__type(map) && info.key_size == bpf_map__key_size(map) &&
	    info.value_size == bpf_map__value_size(map) &&
	    info.max_entries == bpf_map__max_entries(map) &&
	    info.map_flags == bpf_map__map_flags(map))
		return 0;
	(void)snprintf(error, size, "pinned map %s has another type or size than this version's",
		       name);
	return -EUCLEAN;
}

int policy_pin_open_maps(const char *dir, struct bpf_object *object, struct policy *policy,
			 char *error, size_t size)
{
	for (int i = 0; i < _POLICY_MAP_MAX; i++) {
		const char *name = policy_map_names[i];
		const struct bpf_map *map = bpf_object__find_map_by_name(object, name);
		int r;

		if (!map)
			return -ENOENT;
		r = policy_pin_open(dir, "map", name, "bpf-map", error, size);
		if (r < 0)
			return r;
		policy->maps[i] = r;
		r = policy_pin_compare_map(name, policy->maps[i], map, error, size);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- links ---- */

static int policy_pin_read_program(int fd, struct bpf_prog_info *ret, __u32 *maps, __u32 n_maps)
{
	struct bpf_prog_info info = { .nr_map_ids = n_maps, .map_ids = (__u64)(uintptr_t)maps };
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	if (info.nr_map_ids > n_maps)
		return -E2BIG;
	*ret = info;
	return 0;
}

/* Is every map that the program uses one of the pinned ones? */
static int policy_pin_check_program_maps(const struct policy *policy, const __u32 *maps, __u32 n,
					 bool *ret)
{
	__u32 ids[_POLICY_MAP_MAX];
	bool all = true;

	for (int i = 0; i < _POLICY_MAP_MAX; i++) {
		struct bpf_map_info info = { 0 };
		__u32 len = sizeof(info);

		if (bpf_obj_get_info_by_fd(policy->maps[i], &info, &len) < 0)
			return -errno;
		ids[i] = info.id;
	}
	for (__u32 i = 0; i < n; i++) {
		bool found = false;

		for (int j = 0; j < _POLICY_MAP_MAX; j++)
			found = found || ids[j] == maps[i];
		all = all && found;
	}
	*ret = all;
	return 0;
}

/* The pinned link's program against the one that this executable has just loaded. */
static int policy_pin_check_program(const struct policy_link_row *row, __u32 id,
				    struct bpf_object *object, const struct policy *policy,
				    char *error, size_t size)
{
	struct bpf_program *ours = bpf_object__find_program_by_name(object, row->program);
	__u32 maps[POLICY_PROGRAM_MAPS_MAX] = { 0 }, none[POLICY_PROGRAM_MAPS_MAX];
	cleanup_fd int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info pinned, wanted;
	bool same_maps = false;
	int r;

	if (fd < 0)
		return -errno;
	if (!ours)
		return -ENOENT;
	r = policy_pin_read_program(fd, &pinned, maps, ARRAY_SIZE(maps));
	if (r == 0)
		r = policy_pin_read_program(bpf_program__fd(ours), &wanted, none,
					    ARRAY_SIZE(none));
	if (r == 0)
		r = policy_pin_check_program_maps(policy, maps, pinned.nr_map_ids, &same_maps);
	if (r < 0)
		return r;
	/* The tag is the kernel's digest of the instructions. */
	if (pinned.type == wanted.type && memcmp(pinned.tag, wanted.tag, sizeof(wanted.tag)) == 0 &&
	    pinned.nr_map_ids == wanted.nr_map_ids && same_maps)
		return 0;
	(void)snprintf(error, size, "pinned link %s runs another program than this version's",
		       row->name);
	return -EUCLEAN;
}

static int policy_pin_check_attach(const struct policy_link_row *row, __u32 hook, int fd,
				   __u64 cgroup, __u32 *ret_program, char *error, size_t size)
{
	struct bpf_link_info info = { 0 };
	char name[128] = "";
	__u32 len = sizeof(info);
	bool right;

	if (row->tracepoint) {
		info.raw_tracepoint.tp_name = (__u64)(uintptr_t)name;
		info.raw_tracepoint.tp_name_len = sizeof(name);
	}
	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	if (row->tracepoint)
		right = info.type == BPF_LINK_TYPE_RAW_TRACEPOINT &&
			strcmp(name, row->tracepoint) == 0;
	else if (row->hook)
		right = info.type == BPF_LINK_TYPE_TRACING &&
			info.tracing.attach_type == row->attach_type &&
			info.tracing.target_btf_id == hook;
	else
		right = info.type == BPF_LINK_TYPE_CGROUP && info.cgroup.cgroup_id == cgroup &&
			info.cgroup.attach_type == row->attach_type;
	if (!right) {
		(void)snprintf(error, size,
			       "pinned link %s is not attached where it belongs (its cgroup was "
			       "removed, or it belongs to another custodyd)", row->name);
		return -EUCLEAN;
	}
	*ret_program = info.prog_id;
	return 0;
}

int policy_pin_check_links(const char *dir, struct bpf_object *object, const char *cgroup,
			   const struct policy *policy, char *error, size_t size)
{
	__u64 cgroup_id = 0;
	int r = cgroup_read_id(cgroup, &cgroup_id);

	if (r < 0)
		return r;
	for (int i = 0; i < _POLICY_LINK_MAX; i++) {
		const struct policy_link_row *row = &policy_links[i];
		cleanup_fd int fd = -1;
		__u32 program = 0;

		if (!policy_wants_link(policy, (enum policy_link)i))
			continue;
		fd = policy_pin_open(dir, "link", row->name, "bpf-link", error, size);
		if (fd < 0)
			return fd;
		r = policy_pin_check_attach(row, policy->hooks[i], fd, cgroup_id, &program,
					    error, size);
		if (r == 0)
			r = policy_pin_check_program(row, program, object, policy, error, size);
		if (r < 0)
			return r;
	}
	return 0;
}

int policy_pin_check_config(const struct policy *policy, const char *cgroup, char *error,
			    size_t size)
{
	struct policy_config now = { 0 }, wanted = { 0 };
	__u32 zero = 0;
	int r;

	if (!(policy->planes & CUSTODY_PLANE_LSM))
		return 0;
	r = cgroup_read_id(cgroup, &wanted.cgroup_id);
	if (r == 0)
		r = cgroup_read_level(cgroup, &wanted.level);
	if (r < 0)
		return r;
	if (bpf_map_lookup_elem(policy->maps[POLICY_MAP_CONFIG], &zero, &now) < 0)
		return -errno;
	if (memcmp(&now, &wanted, sizeof(now)) == 0)
		return 0;
	(void)snprintf(error, size, "pinned map config is about another cgroup than %s", cgroup);
	return -EUCLEAN;
}

int policy_pin_read_planes(const char *dir, __u32 *ret)
{
	char path[CUSTODY_PATH_SIZE];
	__u32 planes = 0;
	struct stat st;
	int r;

	for (int i = 0; i < _POLICY_LINK_MAX; i++) {
		r = policy_pin_path(dir, "link", policy_links[i].name, path, sizeof(path));
		if (r < 0)
			return r;
		if (stat(path, &st) == 0)
			planes |= policy_links[i].plane;
		else if (errno != ENOENT)
			return -errno;
	}
	*ret = planes;
	return 0;
}

static int policy_pin_unlink(const char *dir, const char *kind, const char *name)
{
	char path[CUSTODY_PATH_SIZE];
	int r = policy_pin_path(dir, kind, name, path, sizeof(path));

	if (r < 0)
		return r;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int policy_pin_remove(const char *dir)
{
	int r = 0;

	for (int i = 0; r == 0 && i < _POLICY_LINK_MAX; i++)
		r = policy_pin_unlink(dir, "link", policy_links[i].name);
	for (int i = 0; r == 0 && i < _POLICY_MAP_MAX; i++)
		r = policy_pin_unlink(dir, "map", policy_map_names[i]);
	if (r < 0)
		return r;
	return rmdir(dir) < 0 && errno != ENOENT ? -errno : 0;
}
