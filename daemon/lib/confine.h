/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a role gives up what it does not need, before it reads its first untrusted byte, and
 * proves it: every call reads back from the kernel what it asked for and fails if it differs.
 */
#ifndef CUSTODY_CONFINE_H
#define CUSTODY_CONFINE_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Closes every fd above and including `first`. Returns 0 or -errno. */
int confine_close_fds_from(int first);

/*
 * no_new_privs, no core dump (RLIMIT_CORE 1: fs/coredump.c refuses files below a page and
 * pipes at exactly 1), not dumpable, umask 077, die with nothing. Returns 0 or -errno.
 */
int confine_set_basics(void);

/* A resource of setrlimit(2), and the most of it that there may be, soft and hard. */
struct confine_limit {
	int resource;
	rlim_t value;
};

/* 0 or -errno. */
int confine_set_limits(const struct confine_limit *limits, size_t n);

/*
 * Becomes uid/gid (all three of each) without supplementary groups, keeps only the capabilities
 * in `keep` (mask of 1ULL << CAP_x) as permitted and effective, empties the others and the
 * bounding, inheritable and ambient sets. Reads all of it back from /proc, or from / for a role
 * that has made /proc its root. Returns 0, -EPERM when the kernel shows something else, or -errno.
 * A process that has no supplementary groups already needs no right to set them (a user namespace
 * with setgroups denied).
 */
int confine_drop_privileges(uid_t uid, gid_t gid, __u64 keep);

/*
 * Gives up what confine_drop_privileges() kept (CAP_SETPCAP among it), after the caller has used
 * it; the ids stay. Works with locked securebits. Reads back; 0, -EPERM or -errno.
 */
int confine_drop_kept(uid_t uid, gid_t gid);

/*
 * Of what confine_drop_privileges() kept (CAP_SETPCAP among it), only `keep` stays. For a role that
 * cannot reach /proc any more: what came of it is for confine_prove() to say. 0 or -errno.
 */
int confine_reduce_kept(__u64 keep);

/* One allowed file system hierarchy: an open directory or file and Landlock access bits. */
struct confine_path {
	int fd;
	__u64 access;
};

#define CONFINE_READ	1ULL	/* read files and list directories below */
#define CONFINE_WRITE	2ULL	/* and create, write, rename and remove */
#define CONFINE_EXEC	4ULL	/* and run programs */
#define CONFINE_MODIFY	8ULL	/* write and truncate what exists, create and remove nothing */
#define CONFINE_LIST	16ULL	/* list directories below, read no file */
#define CONFINE_IOCTL	32ULL	/* ioctls of device files (ABI >= 5; before, nothing limits them) */

#define CONFINE_TCP_BIND	1ULL
#define CONFINE_TCP_CONNECT	2ULL

/*
 * Landlock domain in which only `paths` can be reached and (ABI >= 4) no TCP port can be bound
 * or connected, (ABI >= 6) no abstract socket or signal outside the domain. Every right that
 * the running kernel's ABI knows is handled. Returns the ABI (> 0), 0 when the kernel has no
 * Landlock (the caller decides what that means), or -errno.
 */
int confine_enter_landlock(const struct confine_path *paths, size_t n, bool deny_tcp);

/* The proof of that: no role lists the root directory. 0, or -EPERM when it is not refused. */
int confine_prove_landlock(void);

/* The same, without the proof, with a choice of what TCP may not do: mask of CONFINE_TCP_*. */
int confine_enter_landlock_net(const struct confine_path *paths, size_t n, __u64 deny_tcp);

#define CONFINE_SCOPES_ABI	6	/* no signal leaves the domain: Linux 6.12 */

/* The kernel's Landlock ABI, 0 when it has none. */
int confine_find_landlock_abi(void);

/*
 * seccomp: only the named syscalls, everything else ends the process (SCMP_ACT_KILL_PROCESS;
 * with CUSTODY_SECCOMP_ERRNO defined at build time for sanitizers, ENOSYS). `also` may be NULL.
 * A small common set (exit, read, write, close, memory, signals return, futex, clock) is always
 * there. Reads Seccomp: 2 back. Returns 0 or -errno.
 *
 * Some names stand for a syscall with checked arguments:
 */
#define CONFINE_OPENAT_READ_ONLY "openat:read-only"	/* never for writing, never creating */
#define CONFINE_IOCTL_SECCOMP "ioctl:seccomp"		/* only the seccomp listener's requests */
#define CONFINE_IOCTL_IDENTITY "ioctl:identity"	/* a file's generation, its fs-verity digest */
/* clone() of a thread, never of a process; clone3(), which cannot be seen into, is ENOSYS */
#define CONFINE_CLONE_THREAD "clone:thread"
/* socket() for TCP and UDP, and for UNIX streams and seqpackets; no other family or type */
#define CONFINE_SOCKET_CONNECT "socket:connect"
/* the same, and NETLINK, which getaddrinfo() asks for the interfaces */
#define CONFINE_SOCKET_RESOLVE "socket:resolve"
int confine_enter_seccomp(const char *const *syscalls, size_t n);

/*
 * The proof, last of all: what the kernel says of this process once it is confined. The file is
 * opened while it still can be; reading it needs nothing that a role is not allowed.
 */
int confine_open_proof(void);	/* fd of /proc/self/status, or -errno */

/*
 * Takes fd. Ids, capability sets, no_new_privs, a seccomp filter; a forbidden act is tried: the
 * filter answers one socket() that no kernel knows with an error of its own, where without it the
 * kernel's would come. 0, -EPERM when anything is not so, or -errno. On an error a role ends.
 */
int confine_prove(int fd, uid_t uid, gid_t gid, __u64 keep);

/*
 * A network namespace of its own, with nothing in it, for a role that talks by the sockets that it
 * was given. Needs CAP_SYS_ADMIN. Tries to reach an address: 0, -EPERM when that is not
 * refused for want of a network, or -errno.
 */
int confine_leave_network(void);

/* What /proc/self/status says; fields that are absent stay as they were. */
struct confine_status {
	__u32 no_new_privs;
	__u32 seccomp;
	__u64 cap_inheritable;
	__u64 cap_permitted;
	__u64 cap_effective;
	__u64 cap_bounding;
	__u64 cap_ambient;
	__u32 uid[4];		/* real, effective, saved, file system */
	__u32 gid[4];
};

/* Reads the status of a process through a directory fd for /proc ("self/status"). */
int confine_read_status(int proc_fd, const char *path, struct confine_status *ret);

#endif
