/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Keys and values of the guard's maps: what custody holds against every other process of the
 * host, root's among them. Written by custodyd, decided on by bpf/lsm_guard.bpf.c and
 * bpf/lsm_artifact.bpf.c.
 *
 * Empty maps guard nothing. Invariants:
 *   G1  who is custody is a question of the process (thread group and start time), never of its
 *       cgroup, uid, name or executable alone: none of those can root change for another.
 *   G2  a process becomes custody by custodyd's word, or by the door: it executes custodyd's own
 *       executable, untraced and as root, as a child of the keeper or of pid 1, while no custodyd
 *       lives. Both are in the ledger: every pass through the door is an event.
 *   G3  inodes get into `guarded` by the kernel's own word: custodyd opens the file while
 *       `guard_learn` is set, and the file_open program enters what it sees there.
 */
#ifndef CUSTODY_GUARD_H
#define CUSTODY_GUARD_H

#include <linux/types.h>

#include "custody/limits.h"

/* Clock ticks of /proc/PID/stat's start time, which is all that user space learns of it. */
#define GUARD_TICK_NS 10000000ULL

/* What is guarded: the counters' and events' object in POLICY_CLASS_GUARD. */
enum guard_object {
	GUARD_MAP = 1,		/* event's inode: map id */
	GUARD_PROGRAM,		/* event's inode: program id */
	GUARD_LINK,		/* event's inode: link id */
	GUARD_PIN,		/* a pinned object's inode, or their directory */
	GUARD_TRACE,		/* event's inode: process id; access: PTRACE_MODE_* */
	GUARD_SIGNAL,		/* event's inode: process id; access: signal */
	GUARD_LIMIT,		/* event's inode: process id; access: RLIMIT_* */
	GUARD_LEDGER,		/* ledger and evidence directories, and files in them */
	GUARD_KEY,		/* signing keys: not even to be read */
	GUARD_STATE,		/* what a successor of custodyd relies on */
	GUARD_EXECUTABLE,	/* what custodyd executes */
	GUARD_CGROUP,		/* custody's cgroups and the files in them */
	GUARD_MOUNT,		/* where any of it is mounted */
	GUARD_ARTIFACT,		/* weights: changing them */
	GUARD_READ,		/* weights: reading them */
	GUARD_NODE,		/* device nodes that only jails may open */
	GUARD_DOOR,		/* a custodyd that was let in, or was not */
	GUARD_ESCAPE,		/* a process of a jail that was moved out of its cgroup */
	_GUARD_OBJECT_MAX,
};

/* `access` of an event of the guard's that is about a file, where no open asks. */
enum guard_change {
	GUARD_CHANGE_UNLINK = 1U << 28,
	GUARD_CHANGE_RENAME,
	GUARD_CHANGE_LINK,
	GUARD_CHANGE_MOUNT,
	GUARD_CHANGE_UMOUNT,
	GUARD_CHANGE_ATTRIBUTE,		/* mode, owner, size, times, extended ones, lists */
	GUARD_CHANGE_RECEIVE,		/* opened by another process, and passed on */
	GUARD_CHANGE_IOCTL,		/* flags, generation and the like */
	GUARD_CHANGE_WRITE,		/* an inode that was to be opened for writing */
	_GUARD_CHANGE_MAX,
};

/* `access` of an event of GUARD_DOOR: why a custodyd was not let in. */
enum guard_door {
	GUARD_DOOR_TRACED = 1,
	GUARD_DOOR_NOT_ROOT,
	GUARD_DOOR_STRANGER,	/* its parent is neither the keeper nor pid 1 */
	GUARD_DOOR_FULL,	/* no room among the guardians */
	_GUARD_DOOR_MAX,
};

/* How an inode is guarded. Whatever its flags: no removal, renaming, linking or mounting over. */
enum guard_flag {
	GUARD_FLAG_WRITE = 1U << 0,	/* not to be written; a directory: entries stay */
	GUARD_FLAG_READ = 1U << 1,	/* not to be read */
	GUARD_FLAG_CHILDREN = 1U << 2,	/* a directory: nor are files in it */
	GUARD_FLAG_WATCH = 1U << 3,	/* reading is recorded, and allowed or not by host policy */
};

/* map `guarded`: HASH. device in kernel encoding (super_block.s_dev). */
struct guard_key {
	__u64 inode;
	__u32 device;
	__u32 pad;
};

struct guard_inode {
	__u32 jail_id;		/* who is told of it: one of its owners; 0: custody itself */
	__u32 object;		/* enum guard_object */
	__u32 flags;		/* enum guard_flag mask */
	__u32 generation;	/* tells another file that has been given the same number */
	__u32 owners;		/* entries in `guard_owners`; 0: custody's own */
	__u32 pad;
};

/* map `guard_owners`: HASH, value __u32 1. Jails that an inode is guarded for: models share. */
struct guard_owner_key {
	__u32 jail_id;
	__u32 device;
	__u64 inode;
};

/*
 * map `guard_learn`: ARRAY of one. object 0: not learning; GUARD_READ: nothing is entered, only
 * looked at (the executable of a reader). Only custodyd's own opens count.
 */
struct guard_learn {
	struct guard_inode as;	/* generation is the kernel's */
	struct guard_key last;	/* the inode that was entered last */
	__u32 last_generation;
	__u32 learnt;		/* inodes entered since it was set */
	__u32 failed;		/* inodes that could not be: full, or guarded as something else */
	__u32 written;		/* inodes that somebody had open for writing */
};

/* map `guard_objects`: HASH, value __u32 1 */
struct guard_object_key {
	__u32 type;		/* GUARD_MAP, GUARD_PROGRAM or GUARD_LINK */
	__u32 id;
};

/* What a process may. Every guarded process is custody's, or its keeper. */
enum guard_right {
	GUARD_RIGHT_SELF = 1U << 0,	/* is custody's: not traced, signalled or limited */
	GUARD_RIGHT_BPF = 1U << 1,	/* fds of maps, programs and links */
	GUARD_RIGHT_FILES = 1U << 2,	/* ledger, keys, state, cgroups, pins, weights: writing */
	GUARD_RIGHT_TASKS = 1U << 3,	/* tracing and signals */
	GUARD_RIGHT_KEEPER = 1U << 4,	/* may signal, and start a custodyd; is not traced */
	GUARD_RIGHT_WARDEN = 1U << 5,	/* is custodyd: its children are guarded from birth */
	GUARD_RIGHT_INIT = 1U << 6,	/* is a jail's first process: guarded, and may nothing */
};

/* map `guardians`: HASH, key __u32 thread group id in the initial pid namespace */
struct guard_process {
	__u64 start;		/* of the leader since boot, in GUARD_TICK_NS */
	__u32 rights;		/* enum guard_right mask */
	__u32 pad;
};

enum guard_setting {
	GUARD_SETTING_DENY_READ = 1U << 0,	/* of weights, but by `guard_readers` */
	GUARD_SETTING_NODES = 1U << 1,		/* `guard_nodes` are for jails only */
};

/* map `guard_config`: ARRAY of one */
struct guard_config {
	struct guard_key executable;	/* custodyd's; inode 0: no door, and jails are open */
	__u32 generation;		/* of the executable */
	__u32 settings;			/* enum guard_setting mask */
	__u32 warden;			/* thread group of the last custodyd */
	__u32 pad;
};

/*
 * map `guard_readers`: HASH, value __u32: of an executable its generation, of a uid 1. One of the
 * two; the other is 0.
 */
struct guard_reader_key {
	struct guard_key executable;
	__u32 uid;		/* uid + 1 */
	__u32 pad;
};

/* map `guard_nodes`: HASH, key __u32 major of character devices, value __u32 1 */

#define GUARD_INODES_MAX	65536
#define GUARD_ARTIFACTS_MAX	4096	/* files below one model directory */
#define GUARD_ARTIFACT_DEPTH	16	/* directories below each other */
#define GUARD_OBJECTS_MAX	1024
#define GUARD_PROCESSES_MAX	(8 * CUSTODY_JAILS_MAX)
#define GUARD_READERS_MAX	256
#define GUARD_NODES_MAX		64

_Static_assert(sizeof(struct guard_key) == 16, "guard_key");
_Static_assert(sizeof(struct guard_inode) == 24, "guard_inode");
_Static_assert(sizeof(struct guard_owner_key) == 16, "guard_owner_key");
_Static_assert(sizeof(struct guard_learn) == 56, "guard_learn");
_Static_assert(sizeof(struct guard_object_key) == 8, "guard_object_key");
_Static_assert(sizeof(struct guard_process) == 16, "guard_process");
_Static_assert(sizeof(struct guard_config) == 32, "guard_config");
_Static_assert(sizeof(struct guard_reader_key) == 24, "guard_reader_key");

#endif
