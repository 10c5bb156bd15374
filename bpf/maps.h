/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map, declared once; maps.bpf.c defines them, and the static linker joins the two by name
 * and definition. Keys and values are in custody/policy.h.
 *
 * Who writes: custodyd all of config, jails, endpoints, devices, ioctls, zones and the keys of
 * counters; the programs only counters' values, errors, seen, sockets, marks and events (P2).
 */
#ifndef CUSTODY_BPF_MAPS_H
#define CUSTODY_BPF_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "custody/ceiling.h"
#include "custody/event.h"
#include "custody/guard.h"
#include "custody/limits.h"
#include "custody/policy.h"

struct map_config {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct policy_config);
};

struct map_jails {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * CUSTODY_JAILS_MAX);
	__type(key, __u64);
	__type(value, struct policy_jail);
};

struct map_endpoints {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CUSTODY_JAILS_MAX * CUSTODY_ENDPOINTS_MAX);
	__type(key, struct policy_endpoint_key);
	__type(value, struct policy_endpoint);
};

struct map_devices {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CUSTODY_JAILS_MAX * (CUSTODY_DEVICES_MAX + POLICY_DEVICES_STANDARD));
	__type(key, struct policy_device_key);
	__type(value, struct policy_device);
};

struct map_ioctls {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CUSTODY_JAILS_MAX * POLICY_IOCTL_NUMBERS_MAX);
	__type(key, struct policy_ioctl_key);
	__type(value, struct policy_ioctl);
};

struct map_zones {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CUSTODY_JAILS_MAX * CUSTODY_ZONES_MAX);
	__type(key, struct policy_zone_key);
	__type(value, struct policy_zone);
};

struct map_counters {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CUSTODY_JAILS_MAX * POLICY_COUNTERS_MAX + _GUARD_OBJECT_MAX);
	__type(key, struct policy_counter_key);
	__type(value, struct policy_counter);
};

struct map_errors {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, _POLICY_ERROR_MAX);
	__type(key, __u32);
	__type(value, __u64);
};

struct map_seen {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct policy_seen_key);
	__type(value, __u64);
};

/* Who made a socket. Lives and dies with the socket; not inherited by accepted ones. */
struct socket_origin {
	__u32 jail_id;
	__u32 role;		/* enum policy_role */
};

struct map_sockets {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_origin);
};

/* What the LSM plane refused the task last; taken by the observe plane when the call ends. */
struct task_mark {
	__s32 error;		/* 0: nothing */
	__u32 syscall;
};

struct map_marks {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_mark);
};

struct map_events {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, CUSTODY_RING_SIZE);
};

/* Ceilings: custody/ceiling.h. */
struct map_ceilings {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CUSTODY_JAILS_MAX);
	__type(key, __u32);
	__type(value, struct ceiling_limits);
};

struct map_accounts {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, CUSTODY_JAILS_MAX);
	__type(key, __u32);
	__type(value, struct ceiling_accounts);
};

struct map_wakes {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, CEILING_WAKES_SIZE);
};

/*
 * The guard's: custody/guard.h. guardians also loses entries to the program at a process's end,
 * and gains custodyd's by the door; guarded and guard_owners gain what custodyd has them learn.
 */
struct map_guarded {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, GUARD_INODES_MAX);
	__type(key, struct guard_key);
	__type(value, struct guard_inode);
};

struct map_guard_owners {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, GUARD_INODES_MAX);
	__type(key, struct guard_owner_key);
	__type(value, __u32);
};

struct map_guard_objects {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GUARD_OBJECTS_MAX);
	__type(key, struct guard_object_key);
	__type(value, __u32);
};

struct map_guardians {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GUARD_PROCESSES_MAX);
	__type(key, __u32);
	__type(value, struct guard_process);
};

struct map_guard_config {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct guard_config);
};

struct map_guard_learn {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct guard_learn);
};

struct map_guard_readers {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GUARD_READERS_MAX);
	__type(key, struct guard_reader_key);
	__type(value, __u32);
};

struct map_guard_nodes {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, GUARD_NODES_MAX);
	__type(key, __u32);
	__type(value, __u32);
};

extern struct map_config config SEC(".maps");
extern struct map_jails jails SEC(".maps");
extern struct map_endpoints endpoints SEC(".maps");
extern struct map_devices devices SEC(".maps");
extern struct map_ioctls ioctls SEC(".maps");
extern struct map_zones zones SEC(".maps");
extern struct map_counters counters SEC(".maps");
extern struct map_errors errors SEC(".maps");
extern struct map_seen seen SEC(".maps");
extern struct map_sockets sockets SEC(".maps");
extern struct map_marks marks SEC(".maps");
extern struct map_events events SEC(".maps");
extern struct map_ceilings ceilings SEC(".maps");
extern struct map_accounts accounts SEC(".maps");
extern struct map_wakes wakes SEC(".maps");
extern struct map_guarded guarded SEC(".maps");
extern struct map_guard_owners guard_owners SEC(".maps");
extern struct map_guard_objects guard_objects SEC(".maps");
extern struct map_guardians guardians SEC(".maps");
extern struct map_guard_config guard_config SEC(".maps");
extern struct map_guard_learn guard_learn SEC(".maps");
extern struct map_guard_readers guard_readers SEC(".maps");
extern struct map_guard_nodes guard_nodes SEC(".maps");

#endif
