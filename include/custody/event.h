/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One event: what BPF puts into the ring buffer, what the broker reports, and, unchanged, what
 * an event record of the ledger holds. Fixed size, zeroed before it is filled.
 *
 * Trust: pid, cgroup, plane, verdict, errno, device, inode, mount and addresses are the kernel's.
 * comm and path are chosen by whoever named the program or the file: they are bytes, not text,
 * until they have been escaped for printing.
 */
#ifndef CUSTODY_EVENT_H
#define CUSTODY_EVENT_H

#include <linux/types.h>
#include <stddef.h>

#include "custody/limits.h"

#define EVENT_VERSION 1

enum event_verdict {
	EVENT_ALLOWED = 1,	/* first sight of something that policy allows */
	EVENT_DENIED = 2,	/* every denial */
	EVENT_OBSERVED = 3,	/* neither: exec, exit */
};

/* Who decided or saw. Bits of enum custody_plane, plus the broker, which is neither. */
enum event_plane {
	EVENT_PLANE_STRUCTURE = 1,
	EVENT_PLANE_CGROUP = 2,
	EVENT_PLANE_LSM = 4,
	EVENT_PLANE_OBSERVE = 8,
	EVENT_PLANE_BROKER = 16,
};

enum event_flag {
	EVENT_FLAG_PATH_TRUNCATED = 1U << 0,
	EVENT_FLAG_NO_ZONE = 1U << 1,	/* the file is on no mount of this jail */
	EVENT_FLAG_KILLED = 1U << 2,	/* class SYSCALL: seccomp ended the process for it */
	EVENT_FLAG_FOREIGN = 1U << 3,	/* `syscall` is a number of the other ABI: i386 */
	EVENT_FLAG_SITE = 1U << 4,	/* `site` is filled; `path` and its like are its file */
};

/* Where the process made the system call: class SYSCALL, EVENT_FLAG_SITE. */
struct event_site {
	__u64 address;		/* of the instruction after it */
	__u64 offset;		/* of that address in the mapped file; 0 when it is no file's */
};

struct custody_event {
	__u16 size;		/* sizeof(struct custody_event) */
	__u8 version;		/* EVENT_VERSION */
	__u8 verdict;		/* enum event_verdict */
	__u32 jail_id;
	__u64 time_ns;		/* CLOCK_BOOTTIME */
	__u64 cgroup_id;
	__u32 pid;		/* thread group, initial pid namespace */
	__u32 tid;
	__u16 class;		/* enum policy_class */
	__u16 object;		/* zone, endpoint, device index or POLICY_OBJECT_NONE */
	__u8 plane;		/* enum event_plane, one of them */
	__u8 family;		/* 1, 4, 6; 0 when no address */
	__u8 protocol;
	__u8 flags;		/* enum event_flag mask */
	__s32 error;		/* 0, or the negative errno that the process got */
	__u32 syscall;		/* number, or 0xffffffff when not at a syscall */
	__u64 device; /* st_dev of the file (MKDEV in kernel encoding), or major<<32|minor */
	__u64 inode;
	__u64 mount_id;
	/*
	 * Open flags, device access, exit code, socket type, ioctl; of class SYSCALL the low half
	 * of the argument by which seccomp judges the call, where it does.
	 */
	__u32 access;
	__u16 port;		/* host order */
	__u16 path_len;
	union {
		__u8 address[16];
		struct event_site site;
	};
	char comm[CUSTODY_COMM_SIZE];
	/*
	 * From BPF: components leaf first, each ended by '/', relative to the root of the mount
	 * ("model.gguf/llama/" is llama/model.gguf). The recorder turns it the right way round
	 * before it is written; in the ledger it is "/llama/model.gguf".
	 */
	char path[CUSTODY_EVENT_PATH_SIZE];
};

_Static_assert(offsetof(struct custody_event, class) == 32, "event header");
_Static_assert(offsetof(struct custody_event, device) == 48, "event file part");
_Static_assert(offsetof(struct custody_event, site) == 80, "event site");
_Static_assert(offsetof(struct custody_event, comm) == 96, "event comm");
_Static_assert(sizeof(struct custody_event) == 368, "event size");

#endif
