/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policy.c, policy_pin.c, policy_links.c, policy_map.c and policy_entries.c share. Nobody else
 * includes it.
 */
#ifndef CUSTODY_WARDEN_POLICY_INTERNAL_H
#define CUSTODY_WARDEN_POLICY_INTERNAL_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "custody/limits.h"
#include "custody/plan.h"
#include "custody/policy.h"

struct bpf_object;

/* ---- the sets that are pinned, each all or nothing ---- */

enum policy_map {
	POLICY_MAP_CONFIG = 0,
	POLICY_MAP_JAILS,
	POLICY_MAP_ENDPOINTS,
	POLICY_MAP_DEVICES,
	POLICY_MAP_IOCTLS,
	POLICY_MAP_ZONES,
	POLICY_MAP_COUNTERS,
	POLICY_MAP_ERRORS,
	POLICY_MAP_SEEN,
	POLICY_MAP_SOCKETS,
	POLICY_MAP_MARKS,
	POLICY_MAP_EVENTS,
	POLICY_MAP_CEILINGS,
	POLICY_MAP_ACCOUNTS,
	POLICY_MAP_WAKES,
	POLICY_MAP_GUARDED,
	POLICY_MAP_GUARD_OWNERS,
	POLICY_MAP_GUARD_OBJECTS,
	POLICY_MAP_GUARDIANS,
	POLICY_MAP_GUARD_CONFIG,
	POLICY_MAP_GUARD_LEARN,
	POLICY_MAP_GUARD_READERS,
	POLICY_MAP_GUARD_NODES,
	_POLICY_MAP_MAX,
};

/* Names of the maps in the BPF object; the pin is "map-NAME". */
extern const char *const policy_map_names[_POLICY_MAP_MAX];

enum policy_link {
	POLICY_LINK_DEVICE = 0,
	POLICY_LINK_SOCK_CREATE,
	POLICY_LINK_BIND4,
	POLICY_LINK_BIND6,
	POLICY_LINK_CONNECT4,
	POLICY_LINK_CONNECT6,
	POLICY_LINK_SENDMSG4,
	POLICY_LINK_SENDMSG6,
	POLICY_LINK_EGRESS,
	POLICY_LINK_INGRESS,
	POLICY_LINK_SYS_EXIT,
	POLICY_LINK_SIGNAL,
	POLICY_LINK_EXEC,
	POLICY_LINK_EXIT,
	POLICY_LINK_FILE_OPEN,
	POLICY_LINK_PATH_MKNOD,
	POLICY_LINK_PATH_MKDIR,
	POLICY_LINK_PATH_SYMLINK,
	POLICY_LINK_PATH_LINK,
	POLICY_LINK_PATH_UNLINK,
	POLICY_LINK_PATH_RMDIR,
	POLICY_LINK_PATH_RENAME,
	POLICY_LINK_PATH_TRUNCATE,
	POLICY_LINK_FILE_TRUNCATE,
	POLICY_LINK_PATH_CHMOD,
	POLICY_LINK_PATH_CHOWN,
	POLICY_LINK_INODE_SETATTR,
	POLICY_LINK_INODE_SETXATTR,
	POLICY_LINK_INODE_REMOVEXATTR,
	POLICY_LINK_INODE_SET_ACL,
	POLICY_LINK_INODE_REMOVE_ACL,
	POLICY_LINK_BPRM_CHECK_SECURITY,
	POLICY_LINK_MMAP_FILE,
	POLICY_LINK_FILE_MPROTECT,
	POLICY_LINK_PTRACE,
	POLICY_LINK_TRACEME,
	POLICY_LINK_TASK_KILL,
	POLICY_LINK_CAPABLE,
	POLICY_LINK_USERNS,
	POLICY_LINK_MOUNT,
	POLICY_LINK_MOVE_MOUNT,
	POLICY_LINK_UMOUNT,
	POLICY_LINK_PIVOT_ROOT,
	POLICY_LINK_BPF,
	POLICY_LINK_BPF_MAP,
	POLICY_LINK_BPF_PROG,
	POLICY_LINK_PERF,
	POLICY_LINK_MODULE_REQUEST,
	POLICY_LINK_READ_FILE,
	POLICY_LINK_LOAD_DATA,
	POLICY_LINK_ANON_INODE,
	POLICY_LINK_URING_CREDS,
	POLICY_LINK_URING_SQPOLL,
	POLICY_LINK_URING_CMD,
	POLICY_LINK_RECEIVE,
	POLICY_LINK_IOCTL,
	POLICY_LINK_IOCTL_COMPAT,
	POLICY_LINK_DEVICE_OPEN,
	POLICY_LINK_DEVICE_MMAP,
	POLICY_LINK_GUARD_MAP,
	POLICY_LINK_GUARD_PROGRAM,
	POLICY_LINK_GUARD_BPF,
	POLICY_LINK_GUARD_TRACE,
	POLICY_LINK_GUARD_SIGNAL,
	POLICY_LINK_GUARD_SIGIO,
	POLICY_LINK_GUARD_LIMIT,
	POLICY_LINK_GUARD_DOOR,
	POLICY_LINK_GUARD_PERMISSION,
	POLICY_LINK_GUARD_OPEN,
	POLICY_LINK_GUARD_RECEIVE,
	POLICY_LINK_GUARD_UNLINK,
	POLICY_LINK_GUARD_RMDIR,
	POLICY_LINK_GUARD_RENAME,
	POLICY_LINK_GUARD_LINK,
	POLICY_LINK_GUARD_SETXATTR,
	POLICY_LINK_GUARD_REMOVEXATTR,
	POLICY_LINK_GUARD_SET_ACL,
	POLICY_LINK_GUARD_REMOVE_ACL,
	POLICY_LINK_GUARD_SETATTR,
	POLICY_LINK_GUARD_IOCTL,
	POLICY_LINK_GUARD_IOCTL_COMPAT,
	POLICY_LINK_GUARD_MOUNT,
	POLICY_LINK_GUARD_MOVE_MOUNT,
	POLICY_LINK_GUARD_UMOUNT,
	POLICY_LINK_GUARD_EXIT,
	POLICY_LINK_GUARD_ESCAPE,
	_POLICY_LINK_MAX,
};

struct policy_link_row {
	const char *name;	/* the pin is "link-NAME" */
	const char *program;	/* in the BPF object */
	__u32 plane;		/* enum custody_plane */
	__u32 attach_type;	/* enum bpf_attach_type */
	const char *tracepoint;	/* of the observe plane */
	const char *hook;	/* of the LSM plane: security_HOOK() */
	bool newer;		/* a hook that came after Linux 6.1: left out where there is none */
};

extern const struct policy_link_row policy_links[_POLICY_LINK_MAX];

struct policy {
	int maps[_POLICY_MAP_MAX];	/* -1 when not open */
	__u32 planes;
	__u32 hooks[_POLICY_LINK_MAX];	/* BTF ids of the LSM plane's hooks; 0: not here */
};

/*
 * Finds the hooks of the LSM plane in this kernel, if it is among policy->planes. -EOPNOTSUPP,
 * with the reason in words, when one is missing that every kernel from 6.1 on has.
 */
int policy_find_hooks(struct policy *policy, char *error, size_t size);

/* Does a complete set of pins on this kernel, for policy->planes, have this link? */
bool policy_wants_link(const struct policy *policy, enum policy_link link);

/* "<dir>/<kind>-<name>" */
int policy_pin_path(const char *dir, const char *kind, const char *name, char *ret, size_t size);

/* True when the directory exists and holds something. */
int policy_pin_exists(const char *dir, bool *ret);

/*
 * Opens every pinned map into policy->maps and compares type, sizes and flags with the object
 * that this executable carries (open, not loaded).
 */
int policy_pin_open_maps(const char *dir, struct bpf_object *object, struct policy *policy,
			 char *error, size_t size);

/*
 * Checks the pinned links of policy->planes: present, attached to this cgroup (or tracepoint, or
 * hook) with the right type, running the very program that `object` (loaded, sharing the pinned
 * maps) has, on the pinned maps and no others.
 */
int policy_pin_check_links(const char *dir, struct bpf_object *object, const char *cgroup,
			   const struct policy *policy, char *error, size_t size);

/* Is the pinned `config` about this cgroup? */
int policy_pin_check_config(const struct policy *policy, const char *cgroup, char *error,
			    size_t size);

/* Planes of which at least one link is pinned. */
int policy_pin_read_planes(const char *dir, __u32 *ret);

/* Unlinks every pin of the sets and the directory. Absent is 0. */
int policy_pin_remove(const char *dir);

/* Adds a counter of zeros on every CPU and reads it back. -EEXIST when it is there. */
int policy_put_counter(const struct policy *policy, const struct policy_counter_key *key);

/* ---- entries of one jail, made from a plan; pure ---- */

struct policy_endpoint_entry {
	struct policy_endpoint_key key;
	struct policy_endpoint value;
};

struct policy_device_entry {
	struct policy_device_key key;
	struct policy_device value;
};

struct policy_ioctl_entry {
	struct policy_ioctl_key key;
	struct policy_ioctl value;
};

struct policy_entries {
	__u32 n_endpoints;
	__u32 n_devices;
	__u32 n_ioctls;
	__u32 n_counters;
	struct policy_endpoint_entry endpoints[CUSTODY_ENDPOINTS_MAX];
	struct policy_device_entry devices[CUSTODY_DEVICES_MAX + POLICY_DEVICES_STANDARD];
	struct policy_ioctl_entry ioctls[POLICY_IOCTL_NUMBERS_MAX];
	struct policy_counter_key counters[POLICY_COUNTERS_MAX];
};

/*
 * Everything but the zones and their counters. Unix endpoints have no entry: the kernel asks no
 * cgroup program about them. Returns 0, -EINVAL for counts or kinds out of range, -EEXIST when
 * two endpoints or two devices are the same.
 */
int policy_build_entries(const struct custody_plan *plan, __u32 jail_id,
			 struct policy_entries *ret);

#endif
