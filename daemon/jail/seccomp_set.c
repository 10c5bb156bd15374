/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The syscall sets: what servers and training jobs in Python, Node or C need, by group. Linked
 * into custody-jail. Found with strace on scikit-learn, PyTorch, llama.cpp and Node at work; a
 * syscall that is missing here answers ENOSYS, is logged by the observe plane at first sight,
 * and can then be judged. tests/golden/syscalls has what every number answers in every set.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "custody/plan.h"
#include "filter.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41	/* include/uapi/linux/prctl.h, Linux 5.17 */
#endif

static const char *const set_files[] = {
	"read", "write", "pread64", "pwrite64", "readv", "writev", "preadv", "pwritev", "preadv2",
	"pwritev2", "open", "openat", "openat2", "creat", "close", "close_range", "stat", "fstat",
	"lstat", "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2",
	"lseek", "truncate", "ftruncate", "fallocate", "fsync", "fdatasync", "sync_file_range",
	"fadvise64", "readahead", "getdents", "getdents64", "getcwd", "chdir", "fchdir", "mkdir",
	"mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link",
	"linkat", "symlink", "symlinkat", "readlink", "readlinkat", "chmod", "fchmod", "fchmodat",
	"chown", "fchown", "lchown", "fchownat", "utime", "utimes", "futimesat", "utimensat",
	"umask", "flock", "fcntl", "dup", "dup2", "dup3", "pipe", "pipe2", "sendfile", "splice",
	"tee", "copy_file_range", "getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr",
	"flistxattr", "inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch",
};

static const char *const set_memory[] = {
	"brk", "munmap", "mremap", "madvise", "mincore", "msync", "mlock", "mlock2", "munlock",
	"mlockall", "munlockall", "membarrier", "get_mempolicy", "set_mempolicy", "mbind",
	"pkey_alloc", "pkey_free", "shmget", "shmdt", "shmctl",
};

static const char *const set_threads[] = {
	"futex", "futex_waitv", "set_tid_address", "set_robust_list", "get_robust_list", "rseq",
	"sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam",
	"sched_setparam", "sched_getscheduler", "sched_setscheduler", "sched_getattr",
	"sched_setattr", "sched_get_priority_max", "sched_get_priority_min",
	"sched_rr_get_interval", "getcpu", "arch_prctl",
};

static const char *const set_process[] = {
	"fork", "vfork", "execve", "exit", "exit_group", "wait4", "waitid", "getpid", "getppid",
	"gettid", "getpgid", "getpgrp", "getsid", "setpgid", "setsid", "getuid", "geteuid",
	"getgid", "getegid", "getresuid", "getresgid", "getgroups", "capget", "prlimit64",
	"getrlimit", "setrlimit", "getrusage", "times", "getpriority", "setpriority",
	"ioprio_get", "ioprio_set", "uname", "sysinfo", "pidfd_open", "pidfd_send_signal",
	"getrandom",
};

static const char *const set_signals[] = {
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait",
	"rt_sigsuspend", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "sigaltstack", "kill", "tkill",
	"tgkill", "pause", "signalfd", "signalfd4", "restart_syscall",
};

static const char *const set_time[] = {
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
	"alarm", "getitimer", "setitimer", "timer_create", "timer_settime", "timer_gettime",
	"timer_getoverrun", "timer_delete", "timerfd_create", "timerfd_settime", "timerfd_gettime",
};

static const char *const set_events[] = {
	"poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl",
	"epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2",
};

static const char *const set_network[] = {
	"connect", "accept", "accept4", "listen", "getsockname", "getpeername", "getsockopt",
	"sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "shutdown",
};

/* A server may confine itself further. */
static const char *const set_confine[] = {
	"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
};

/* Checkpoints are put on the disk before the job goes on. */
static const char *const set_storage[] = { "sync", "syncfs" };

/* Semaphores of System V, private to the jail: MPI and older loaders of data. */
static const char *const set_semaphores[] = { "semget", "semop", "semtimedop", "semctl" };

#define GROUP(name) \
	static const struct seccomp_group set_group_##name = { \
		#name, set_##name, ARRAY_SIZE(set_##name) \
	}
GROUP(files);
GROUP(memory);
GROUP(threads);
GROUP(process);
GROUP(signals);
GROUP(time);
GROUP(events);
GROUP(network);
GROUP(confine);
GROUP(storage);
GROUP(semaphores);

static const struct seccomp_group *const set_server[] = {
	&set_group_files, &set_group_memory, &set_group_threads, &set_group_process,
	&set_group_signals, &set_group_time, &set_group_events, &set_group_network,
	&set_group_confine,
};

static const struct seccomp_group *const set_training[] = {
	&set_group_files, &set_group_memory, &set_group_threads, &set_group_process,
	&set_group_signals, &set_group_time, &set_group_events, &set_group_network,
	&set_group_confine, &set_group_storage, &set_group_semaphores,
};

static const struct seccomp_set set_all[] = {
	[PLAN_SYSCALLS_MODEL_SERVER] = { "model-server", set_server, ARRAY_SIZE(set_server),
					 false },
	[PLAN_SYSCALLS_MODEL_SERVER_GPU] = { "model-server-gpu", set_server,
					     ARRAY_SIZE(set_server), true },
	[PLAN_SYSCALLS_TRAINING] = { "training", set_training, ARRAY_SIZE(set_training), true },
};
_Static_assert(ARRAY_SIZE(set_all) == _PLAN_SYSCALLS_MAX, "a set for each number of a plan");

const struct seccomp_set *seccomp_set_find(__u32 set)
{
	return set < ARRAY_SIZE(set_all) && set_all[set].name ? &set_all[set] : NULL;
}

/* clone(): no new namespace of any kind (CLONE_NEWTIME is not a bit of clone()). */
#define SET_CLONE_NEW                                                                \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

#define SET_TYPE_MASK 0xfU	/* SOCK_TYPE_MASK of include/linux/net.h */

#define ALLOW(name, ...) ALLOW_WHEN(SECCOMP_ALWAYS, name, __VA_ARGS__)
#define ALLOW_WHEN(condition, name, ...)                                                       \
	{ .syscall = (name), .action = SCMP_ACT_ALLOW, .when = (condition),                        \
	  .n_args = sizeof((struct scmp_arg_cmp[]){ __VA_ARGS__ }) / sizeof(struct scmp_arg_cmp), \
	  .args = { __VA_ARGS__ } }
#define PLAIN(name, action_, condition) \
	{ .syscall = (name), .action = (action_), .when = (condition) }

#define SOCKET(family, type, protocol)                                                      \
	ALLOW("socket", SECCOMP_INT(0, family), SECCOMP_BITS(1, SET_TYPE_MASK, type),        \
	      SECCOMP_INT(2, protocol))
/* IPPROTO_MPTCP is not among them: Landlock's and most other rules know TCP only. */
#define SOCKETS_INET(family)                                                                 \
	SOCKET(family, SOCK_STREAM, 0), SOCKET(family, SOCK_STREAM, IPPROTO_TCP),            \
	SOCKET(family, SOCK_DGRAM, 0), SOCKET(family, SOCK_DGRAM, IPPROTO_UDP)
#define SOCKETS_UNIX(type) SOCKET(AF_UNIX, type, 0), SOCKET(AF_UNIX, type, AF_UNIX)

/*
 * setsockopt() by name, because the sockets of a published endpoint are in the host's network
 * namespace. Not here: what sends packets elsewhere or tells strangers of the model's will
 * (IP_OPTIONS and IPV6_RTHDR route by the sender's list, a multicast join is announced to the
 * network), what runs programs in the kernel (SO_ATTACH_*), what chooses another interface, and
 * protocols on top (TCP_ULP). No server needs them.
 */
#define SOCKOPT(level, name) ALLOW("setsockopt", SECCOMP_INT(1, level), SECCOMP_INT(2, name))
#define SOCKOPT_SOCKET(name) SOCKOPT(SOL_SOCKET, name)
#define SOCKOPT_TCP(name) SOCKOPT(IPPROTO_TCP, name)
#define SOCKOPT_IP(name) SOCKOPT(IPPROTO_IP, name)
#define SOCKOPT_IPV6(name) SOCKOPT(IPPROTO_IPV6, name)

const struct seccomp_rule seccomp_set_rules[] = {
	ALLOW("clone", SECCOMP_BITS(0, (__u32)SET_CLONE_NEW, 0)),

	SOCKETS_UNIX(SOCK_STREAM), SOCKETS_UNIX(SOCK_DGRAM), SOCKETS_UNIX(SOCK_SEQPACKET),
	SOCKETS_INET(AF_INET), SOCKETS_INET(AF_INET6),
	ALLOW("socketpair", SECCOMP_INT(0, AF_UNIX)),
	PLAIN("bind", SCMP_ACT_NOTIFY, SECCOMP_BIND_NOTIFY),
	PLAIN("bind", SCMP_ACT_ERRNO(EACCES), SECCOMP_BIND_REFUSE),

	SOCKOPT_SOCKET(SO_REUSEADDR), SOCKOPT_SOCKET(SO_REUSEPORT), SOCKOPT_SOCKET(SO_KEEPALIVE),
	SOCKOPT_SOCKET(SO_LINGER), SOCKOPT_SOCKET(SO_RCVBUF), SOCKOPT_SOCKET(SO_SNDBUF),
	SOCKOPT_SOCKET(SO_RCVLOWAT), SOCKOPT_SOCKET(SO_RCVTIMEO), SOCKOPT_SOCKET(SO_SNDTIMEO),
	SOCKOPT_SOCKET(SO_BROADCAST), SOCKOPT_SOCKET(SO_OOBINLINE), SOCKOPT_SOCKET(SO_DONTROUTE),
	SOCKOPT_SOCKET(SO_PASSCRED), SOCKOPT_SOCKET(SO_TIMESTAMP), SOCKOPT_SOCKET(SO_TIMESTAMPNS),
	SOCKOPT_SOCKET(SO_ZEROCOPY), SOCKOPT_SOCKET(SO_INCOMING_CPU), SOCKOPT_SOCKET(SO_PEEK_OFF),
	SOCKOPT_SOCKET(SO_NO_CHECK), SOCKOPT_SOCKET(SO_MAX_PACING_RATE),
	SOCKOPT_TCP(TCP_NODELAY), SOCKOPT_TCP(TCP_CORK), SOCKOPT_TCP(TCP_QUICKACK),
	SOCKOPT_TCP(TCP_KEEPIDLE), SOCKOPT_TCP(TCP_KEEPINTVL), SOCKOPT_TCP(TCP_KEEPCNT),
	SOCKOPT_TCP(TCP_USER_TIMEOUT), SOCKOPT_TCP(TCP_DEFER_ACCEPT), SOCKOPT_TCP(TCP_FASTOPEN),
	SOCKOPT_TCP(TCP_LINGER2), SOCKOPT_TCP(TCP_SYNCNT), SOCKOPT_TCP(TCP_WINDOW_CLAMP),
	SOCKOPT_TCP(TCP_MAXSEG), SOCKOPT_TCP(TCP_NOTSENT_LOWAT), SOCKOPT_TCP(TCP_INQ),
	SOCKOPT_TCP(TCP_CONGESTION),
	SOCKOPT_IP(IP_TOS), SOCKOPT_IP(IP_TTL), SOCKOPT_IP(IP_RECVERR), SOCKOPT_IP(IP_PKTINFO),
	SOCKOPT_IP(IP_RECVTOS), SOCKOPT_IP(IP_RECVTTL), SOCKOPT_IP(IP_MTU_DISCOVER),
	SOCKOPT_IP(IP_BIND_ADDRESS_NO_PORT), SOCKOPT_IP(IP_MULTICAST_LOOP),
	SOCKOPT_IP(IP_MULTICAST_TTL),
	SOCKOPT_IPV6(IPV6_V6ONLY), SOCKOPT_IPV6(IPV6_RECVPKTINFO), SOCKOPT_IPV6(IPV6_TCLASS),
	SOCKOPT_IPV6(IPV6_UNICAST_HOPS), SOCKOPT_IPV6(IPV6_RECVERR),
	SOCKOPT_IPV6(IPV6_RECVTCLASS), SOCKOPT_IPV6(IPV6_RECVHOPLIMIT),
	SOCKOPT_IPV6(IPV6_MTU_DISCOVER), SOCKOPT_IPV6(IPV6_MULTICAST_LOOP),
	SOCKOPT_IPV6(IPV6_MULTICAST_HOPS),

	/* Without JIT, code comes from files only, and never from pages that can be written. */
	PLAIN("mmap", SCMP_ACT_ALLOW, SECCOMP_JIT),
	PLAIN("mprotect", SCMP_ACT_ALLOW, SECCOMP_JIT),
	PLAIN("pkey_mprotect", SCMP_ACT_ALLOW, SECCOMP_JIT),
	ALLOW_WHEN(SECCOMP_NO_JIT, "mmap", SECCOMP_BITS(2, PROT_EXEC, 0)),
	ALLOW_WHEN(SECCOMP_NO_JIT, "mmap", SECCOMP_BITS(2, PROT_WRITE | PROT_EXEC, PROT_EXEC),
		   SECCOMP_BITS(3, MAP_ANONYMOUS, 0)),
	ALLOW_WHEN(SECCOMP_NO_JIT, "mprotect", SECCOMP_BITS(2, PROT_EXEC, 0)),
	ALLOW_WHEN(SECCOMP_NO_JIT, "pkey_mprotect", SECCOMP_BITS(2, PROT_EXEC, 0)),
	ALLOW("shmat", SECCOMP_BITS(2, SHM_EXEC, 0)),
	PLAIN("memfd_create", SCMP_ACT_ALLOW, SECCOMP_MEMFD),

	/* For the load of the filters after this one, of which the last refuses it from then on. */
	ALLOW("seccomp", SECCOMP_INT(0, SECCOMP_SET_MODE_FILTER)),

	/* Ask, or set to the default; READ_IMPLIES_EXEC and its like are not to be had. */
	ALLOW("personality", SECCOMP_INT(0, 0)),
	ALLOW("personality", SECCOMP_INT(0, 0xffffffffU)),

	ALLOW("prctl", SECCOMP_INT(0, PR_SET_NAME)), ALLOW("prctl", SECCOMP_INT(0, PR_GET_NAME)),
	ALLOW("prctl", SECCOMP_INT(0, PR_SET_PDEATHSIG)),
	ALLOW("prctl", SECCOMP_INT(0, PR_GET_PDEATHSIG)),
	ALLOW("prctl", SECCOMP_INT(0, PR_SET_DUMPABLE)),
	ALLOW("prctl", SECCOMP_INT(0, PR_GET_DUMPABLE)),
	ALLOW("prctl", SECCOMP_INT(0, PR_SET_NO_NEW_PRIVS)),
	ALLOW("prctl", SECCOMP_INT(0, PR_GET_NO_NEW_PRIVS)),
	ALLOW("prctl", SECCOMP_INT(0, PR_GET_SECCOMP)),
	ALLOW("prctl", SECCOMP_INT(0, PR_GET_SECUREBITS)),
	ALLOW("prctl", SECCOMP_INT(0, PR_CAPBSET_READ)),
	ALLOW("prctl", SECCOMP_INT(0, PR_GET_KEEPCAPS)),
	ALLOW("prctl", SECCOMP_INT(0, PR_SET_TIMERSLACK)),
	ALLOW("prctl", SECCOMP_INT(0, PR_GET_TIMERSLACK)),
	ALLOW("prctl", SECCOMP_INT(0, PR_SET_THP_DISABLE)),
	ALLOW("prctl", SECCOMP_INT(0, PR_GET_THP_DISABLE)),
	ALLOW("prctl", SECCOMP_INT(0, PR_GET_TID_ADDRESS)),
	ALLOW("prctl", SECCOMP_INT(0, PR_SET_CHILD_SUBREAPER)),
	ALLOW("prctl", SECCOMP_INT(0, PR_GET_CHILD_SUBREAPER)),
	ALLOW("prctl", SECCOMP_INT(0, PR_SET_VMA)),

	/* Whole requests are compared by the filter after this one. */
	PLAIN("ioctl", SCMP_ACT_ALLOW, SECCOMP_ALWAYS),
};
const size_t seccomp_set_n_rules = ARRAY_SIZE(seccomp_set_rules);
