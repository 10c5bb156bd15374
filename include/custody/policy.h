/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Keys and values of the policy maps: what custodyd installs, reads back, and BPF decides from.
 *
 * One copy for both sides. Invariants:
 *   P1  a cgroup below custody's that has no entry in `jails` is denied everything.
 *   P2  BPF never inserts policy or counters; a counter that is missing is a counted error.
 *   P3  keys are zeroed before they are filled: padding is part of the hash.
 *   P4  an entry of another version, or with a role, flag, right, label or class that the program
 *       does not know, is treated as missing: what it is about is denied, and it is counted in
 *       `errors`.
 */
#ifndef CUSTODY_POLICY_H
#define CUSTODY_POLICY_H

#include <linux/types.h>

#include "custody/limits.h"

#define POLICY_ENTRY_VERSION 1	/* of the values of jails, devices and zones */

/* Which process of a jail a cgroup holds: <jail>/model or <jail>/broker. */
enum policy_role {
	POLICY_ROLE_MODEL = 1,
	POLICY_ROLE_BROKER = 2,
};

enum policy_flag {
	POLICY_FLAG_LOOPBACK = 1U << 0,	/* private loopback of the jail's netns may be used */
	POLICY_FLAG_OPEN = 1U << 1,	/* committed: zones installed, go given */
	POLICY_FLAG_DRAINING = 1U << 2,	/* no new connection in: ingress SYN without ACK dropped */
	POLICY_FLAG_JIT = 1U << 3,	/* anonymous memory may become executable */
	POLICY_FLAG_MEMFD = 1U << 4,	/* memfds may be opened again; with JIT, be executable */
	POLICY_FLAG_LSM = 1U << 5,	/* the LSM plane reports opens: observe leaves them to it */
	POLICY_FLAG_CEILING = 1U << 8,	/* bytes out are charged: custody/ceiling.h */
	/* What `restrict` took from a running model, with policy_jail.cut: set, never cleared. */
	POLICY_FLAG_CUT_EGRESS = 1U << 24,	/* no endpoint may be reached any more */
	POLICY_FLAG_CUT_DEVICES = 1U << 25,	/* devices of the plan; the standard ones stay */
	POLICY_FLAG_CUT_SCRATCH = 1U << 26,	/* scratch, /tmp, /dev/shm: no more writing opens */
	POLICY_FLAGS_ALL = 0x13f | 7U << 24,
};

#define POLICY_FLAGS_CUT                                                                        \
	(POLICY_FLAG_CUT_EGRESS | POLICY_FLAG_CUT_DEVICES | POLICY_FLAG_CUT_SCRATCH)

/*
 * map `config`: ARRAY of one, written by custodyd before it attaches a program, then frozen.
 * Programs that every process of the host runs through tell by it who is in custody.
 */
struct policy_config {
	__u64 cgroup_id;	/* custody's cgroup, above all jails */
	__u32 level;		/* its depth: children of the root of cgroup2 have 1 */
	__u32 pad;
};

/* map `jails`: HASH, key __u64 cgroup id */
struct policy_jail {
	__u32 jail_id;		/* never 0, never reused on this ledger */
	__u32 role;		/* enum policy_role */
	__u32 flags;		/* enum policy_flag mask */
	__u32 version;		/* POLICY_ENTRY_VERSION */
	__u32 cut;		/* bit per index of plan.endpoints: dropped by `restrict` */
	__u32 pad;
};
_Static_assert(CUSTODY_ENDPOINTS_MAX <= 32, "policy_jail.cut has a bit for every endpoint");

/* map `endpoints`: HASH. Ports in host order. An IPv4 address takes the first 4 bytes. */
struct policy_endpoint_key {
	__u32 jail_id;
	__u8 family;		/* 4 or 6 */
	__u8 protocol;		/* IPPROTO_TCP or IPPROTO_UDP */
	__u16 port;
	__u8 address[16];
};

enum policy_endpoint_right {
	POLICY_ENDPOINT_BIND = 1U << 0,
	POLICY_ENDPOINT_CONNECT = 1U << 1,
};

struct policy_endpoint {
	__u32 endpoint;		/* index into plan.endpoints: the counters' object */
	__u32 rights;		/* enum policy_endpoint_right mask */
};

/* Addresses of host names come on top of one entry for each endpoint. */
#define POLICY_ENDPOINTS_MAX (CUSTODY_JAILS_MAX * CUSTODY_ENDPOINTS_MAX * CUSTODY_ADDRESSES_MAX)

/*
 * map `peers`: LRU_HASH, value __u64 time (monotonic clock, ns) of the last datagram that came from
 * there to a published UDP endpoint: for so long the model may answer.
 */
struct policy_peer_key {
	__u32 jail_id;
	__u16 endpoint;
	__u16 port;		/* of the peer */
	__u8 address[16];	/* IPv4 as ::ffff:a.b.c.d */
};

#define POLICY_PEERS_MAX	65536
#define POLICY_PEER_NS		60000000000ULL

/* map `devices`: HASH */
struct policy_device_key {
	__u32 jail_id;
	__u32 type;		/* BPF_DEVCG_DEV_CHAR or BPF_DEVCG_DEV_BLOCK */
	__u32 major;
	__u32 minor;
};

/*
 * Every jail has null, zero, full, random and urandom, under the object numbers that follow
 * those of the plan's own devices.
 */
#define POLICY_DEVICES_STANDARD 5
#define POLICY_OBJECT_DEVICE_STANDARD CUSTODY_DEVICES_MAX

struct policy_device {
	__u32 access;		/* BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE; never MKNOD */
	__u32 object;		/* index: the counters' object */
	__u32 ioctls;		/* enum policy_ioctls: whose numbers are compared, if at all */
	__u32 version;		/* POLICY_ENTRY_VERSION */
};

/* Whose ioctl numbers a device has. */
enum policy_ioctls {
	POLICY_IOCTLS_ANY = 0,	/* not compared: what the cgroup plane opens may be asked all */
	POLICY_IOCTLS_NVIDIA,	/* the frontend, major 195: low 8 bits */
	POLICY_IOCTLS_UVM,	/* the whole word */
	POLICY_IOCTLS_DRM,	/* low 8 bits */
	POLICY_IOCTLS_KFD,	/* low 8 bits */
	_POLICY_IOCTLS_MAX,
};

/* map `ioctls`: HASH. A number without an entry is denied. */
struct policy_ioctl_key {
	__u32 jail_id;
	__u32 class;		/* enum policy_ioctls, never ANY */
	__u32 number;		/* what the driver compares: see enum policy_ioctls */
};

struct policy_ioctl {
	__u32 object;		/* row of the set: the counters' object */
};

#define POLICY_IOCTL_ROWS_MAX 128	/* rows of a set, each with its counter */
#define POLICY_IOCTL_NUMBERS_MAX 256	/* numbers of a set: a row may hold several */

/* What a zone is for. Its number is what events and counters carry as label. */
enum custody_label {
	CUSTODY_LABEL_NONE = 0,	/* not a zone of this jail */
	CUSTODY_LABEL_ROOT,	/* the jail's own root tmpfs, read-only after building */
	CUSTODY_LABEL_WEIGHTS,	/* model.path */
	CUSTODY_LABEL_RUNTIME,	/* files.read: programs and libraries */
	CUSTODY_LABEL_DATA,	/* files.data: read-only, never executed */
	CUSTODY_LABEL_WRITE,	/* files.write: outputs that outlive the jail */
	CUSTODY_LABEL_SCRATCH,	/* files.scratch and /tmp: private, gone at stop */
	CUSTODY_LABEL_SHM,	/* /dev/shm */
	CUSTODY_LABEL_DEV,	/* /dev tmpfs */
	CUSTODY_LABEL_DEVICE,	/* one device node */
	CUSTODY_LABEL_PROC,	/* /proc of the jail's pid namespace */
	CUSTODY_LABEL_SYS,	/* what of /sys a profile grants */
	_CUSTODY_LABEL_MAX,
};

enum custody_right {
	CUSTODY_RIGHT_READ = 1U << 0,
	CUSTODY_RIGHT_WRITE = 1U << 1,
	CUSTODY_RIGHT_CREATE = 1U << 2,
	CUSTODY_RIGHT_EXEC = 1U << 3,
	CUSTODY_RIGHT_IOCTL = 1U << 4,
	CUSTODY_RIGHTS_ALL = 0x1f,
};

/* map `zones`: HASH */
struct policy_zone_key {
	__u32 jail_id;
	__u32 pad;
	__u64 mount_id;		/* statx stx_mnt_id as seen inside the jail's mount namespace */
};

struct policy_zone {
	__u32 zone;		/* index in the jail's zone report: the counters' object */
	__u32 rights;		/* enum custody_right mask */
	__u32 label;		/* enum custody_label */
	__u32 version;		/* POLICY_ENTRY_VERSION */
};

/* What a counter counts; `object` is its zone, endpoint, device or 0. */
enum policy_class {
	POLICY_CLASS_OPEN = 1,	/* object: zone, or POLICY_OBJECT_NONE for no zone */
	POLICY_CLASS_EXEC,	/* object: zone or NONE */
	POLICY_CLASS_EXIT,	/* object 0 */
	POLICY_CLASS_DEVICE,	/* object: device index or NONE */
	POLICY_CLASS_SOCKET,	/* object: 0; socket creation */
	POLICY_CLASS_BIND,	/* object: endpoint or NONE */
	POLICY_CLASS_CONNECT,	/* object: endpoint or NONE */
	POLICY_CLASS_SENDMSG,	/* object: endpoint or NONE */
	POLICY_CLASS_EGRESS,	/* object: endpoint or NONE; bytes out, packets in `allowed` */
	POLICY_CLASS_INGRESS,	/* object: endpoint or NONE; bytes in */
	POLICY_CLASS_SYSCALL,	/* object 0; denials seen at syscall exit */
	POLICY_CLASS_CHANGE,	/* object: zone or NONE; access: enum policy_change */
	POLICY_CLASS_EXECMAP,	/* object: zone or NONE; a file became executable memory */
	POLICY_CLASS_TASK,	/* object: enum policy_task */
	POLICY_CLASS_IOCTL,	/* object: row of the ioctl set; NONE: not in it, or no set */
	POLICY_CLASS_RECEIVE,	/* object: zone or NONE; a file passed in by another process */
	POLICY_CLASS_MMAP,	/* object: device index or NONE; a device's memory was mapped */
	POLICY_CLASS_GUARD,	/* object: enum guard_object (custody/guard.h) */
	POLICY_CLASS_CEILING,	/* object: endpoint, NONE the model's own; access: ceiling_cause */
	POLICY_CLASS_RESOLVE,	/* object: endpoint; a host name was resolved (events only) */
	POLICY_CLASS_LIMIT,	/* object: enum policy_limit (events only); access: how often since
				   the last event, inode: in all */
	_POLICY_CLASS_MAX,
};

#define POLICY_OBJECT_NONE 0xffff

/* A limit of the whole jail that was run into: `object` of an event of class LIMIT. */
enum policy_limit {
	POLICY_LIMIT_MEMORY = 1,	/* processes killed: limits.memory */
	POLICY_LIMIT_HOST_MEMORY,	/* processes killed: the host had no memory left */
	POLICY_LIMIT_PROCESSES,		/* forks refused: limits.processes */
	_POLICY_LIMIT_MAX,
};

/* What was done to a file or directory entry: `access` of an event of class CHANGE. */
enum policy_change {
	POLICY_CHANGE_CREATE = 1,	/* a regular file, by open or mknod */
	POLICY_CHANGE_NODE,		/* mknod of anything else */
	POLICY_CHANGE_MKDIR,
	POLICY_CHANGE_SYMLINK,
	POLICY_CHANGE_LINK,
	POLICY_CHANGE_UNLINK,
	POLICY_CHANGE_RMDIR,
	POLICY_CHANGE_RENAME,
	POLICY_CHANGE_TRUNCATE,
	POLICY_CHANGE_MODE,
	POLICY_CHANGE_OWNER,
	POLICY_CHANGE_TIMES,
	POLICY_CHANGE_XATTR,		/* extended attributes, access control lists among them */
	_POLICY_CHANGE_MAX,
};

/* `access` of an event of class EXECMAP: a mapping's PROT_* bits, and how it came about. */
enum policy_execmap {
	POLICY_EXECMAP_PROTECT = 1U << 16,	/* mprotect of a mapping that was there */
	POLICY_EXECMAP_ANONYMOUS = 1U << 17,	/* no file, or no longer its contents */
	POLICY_EXECMAP_MEMFD = 1U << 18,	/* a file of memory only */
	POLICY_EXECMAP_UNLINKED = 1U << 19,	/* a file that no directory names */
};

/*
 * What a model tried on other processes, on its own privileges, on the kernel: object of class
 * TASK. `access` and `inode` of the event say more.
 */
enum policy_task {
	POLICY_TASK_PTRACE = 0,	/* access: PTRACE_MODE_* of the kernel; inode: the other's pid */
	POLICY_TASK_SIGNAL,	/* access: the signal; inode: the other's pid */
	POLICY_TASK_CAPABLE,	/* access: the capability; first of a process only */
	POLICY_TASK_USERNS,
	POLICY_TASK_MOUNT,	/* access: flags of mount(2), umount2(2) */
	POLICY_TASK_BPF,	/* access: command of bpf(2) */
	POLICY_TASK_PERF,
	POLICY_TASK_MODULE,	/* access: kernel_read_file_id; 0 for a module asked for by name */
	POLICY_TASK_URING,	/* access: enum policy_uring */
	POLICY_TASK_USERFAULT,
	_POLICY_TASK_MAX,
};

enum policy_uring {
	POLICY_URING_MAKE = 0,
	POLICY_URING_CREDS,	/* the rest: with a ring that was made elsewhere */
	POLICY_URING_SQPOLL,
	POLICY_URING_CMD,
};

/* Most counters of one jail: by zone, by device, by endpoint, each with NONE, and single ones. */
#define POLICY_COUNTERS_MAX                                                                     \
	(5 * (CUSTODY_ZONES_MAX + 1) +                                                          \
	 2 * (CUSTODY_DEVICES_MAX + POLICY_DEVICES_STANDARD + 1) +                              \
	 6 * (CUSTODY_ENDPOINTS_MAX + 1) + (POLICY_IOCTL_ROWS_MAX + 1) + _POLICY_TASK_MAX + 6)

/* map `counters`: PERCPU_HASH, entries made by custodyd at launch, summed by custodyd */
struct policy_counter_key {
	__u32 jail_id;
	__u16 class;		/* enum policy_class */
	__u16 object;
};

struct policy_counter {
	__u64 allowed;
	__u64 denied;
	__u64 bytes;
	__u64 emitted;		/* events that reached the ring buffer */
	__u64 lost;		/* events that did not: the ring was full, or the budget spent */
};

/* map `errors`: PERCPU_ARRAY of __u64, one slot for each place where a helper can fail */
enum policy_error_site {
	POLICY_ERROR_COUNTER_MISSING = 0,
	POLICY_ERROR_SEEN_UPDATE,
	POLICY_ERROR_FILE_READ,
	POLICY_ERROR_PATH_READ,
	POLICY_ERROR_NO_JAIL,		/* P1: a cgroup of ours without an entry was denied */
	POLICY_ERROR_SOCKET_STORAGE,
	POLICY_ERROR_TASK_STORAGE,
	POLICY_ERROR_MALFORMED,		/* P4: an entry was taken for missing */
	POLICY_ERROR_CEILING_MISSING,	/* a jail with ceilings without its account: dropped */
	_POLICY_ERROR_MAX,
};

/*
 * Events that one jail may emit: so many at once (a large program's first sights), and so many a
 * second for good. What is more is counted as lost: a jail that makes denials at the speed of
 * system calls would otherwise fill the ring, in which the events of other jails are then lost,
 * and the disk of the ledger (27 kB a second are 2.3 GB a day).
 */
#define POLICY_EVENTS_BURST	32768ULL
#define POLICY_EVENTS_RATE	64ULL

/*
 * map `seen`: LRU_HASH, value __u64 count. Decides only whether an allowed access is news. The key
 * of class 0, else all zero but the jail, is the jail's budget: its value is the time (monotonic
 * clock, ns) at which the events so far would be paid for at the rate.
 */
struct policy_seen_key {
	__u32 jail_id;
	__u16 class;
	__u16 object;
	__u64 a;		/* device, address part, ... */
	__u64 b;		/* inode, port, ... */
};

_Static_assert(sizeof(struct policy_config) == 16, "policy_config");
_Static_assert(sizeof(struct policy_jail) == 24, "policy_jail");
_Static_assert(sizeof(struct policy_endpoint_key) == 24, "policy_endpoint_key");
_Static_assert(sizeof(struct policy_peer_key) == 24, "policy_peer_key");
_Static_assert(sizeof(struct policy_endpoint) == 8, "policy_endpoint");
_Static_assert(sizeof(struct policy_device_key) == 16, "policy_device_key");
_Static_assert(sizeof(struct policy_device) == 16, "policy_device");
_Static_assert(sizeof(struct policy_ioctl_key) == 12, "policy_ioctl_key");
_Static_assert(sizeof(struct policy_ioctl) == 4, "policy_ioctl");
_Static_assert(sizeof(struct policy_zone_key) == 16, "policy_zone_key");
_Static_assert(sizeof(struct policy_zone) == 16, "policy_zone");
_Static_assert(sizeof(struct policy_counter_key) == 8, "policy_counter_key");
_Static_assert(sizeof(struct policy_counter) == 40, "policy_counter");
_Static_assert(sizeof(struct policy_seen_key) == 24, "policy_seen_key");

#endif
