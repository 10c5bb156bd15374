/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is refused by name, so that the refusal is EPERM (or what the call's own manual promises)
 * and not ENOSYS: the calls that an attack makes, and those whose ENOSYS would hide it from the
 * log. Linked into custody-jail. Removing a row loosens nothing: seccomp_set.c must still allow.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "filter.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59	/* include/uapi/linux/prctl.h, Linux 5.11 */
#endif
#define DENY_IPPROTO_MPTCP 262

const char *const seccomp_deny_syscalls[] = {
	/* file systems */
	"mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen", "fsconfig",
	"fsmount", "fspick", "mount_setattr", "swapon", "swapoff", "quotactl", "quotactl_fd",
	"mknod", "mknodat", "name_to_handle_at", "open_by_handle_at", "fanotify_init",
	"fanotify_mark", "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr",
	"fremovexattr",
	/* other processes */
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease",
	"pidfd_getfd", "kcmp", "migrate_pages", "move_pages",
	/* namespaces and identities */
	"unshare", "setns", "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid",
	"setfsuid", "setfsgid", "setgroups", "capset",
	/* kernel interfaces with a history */
	"bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter",
	"io_uring_register", "keyctl", "add_key", "request_key", "seccomp", "memfd_secret",
	"execveat", "vmsplice", "lookup_dcookie",
	/* the machine */
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
	"acct", "syslog", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "iopl",
	"ioperm", "modify_ldt", "sethostname", "setdomainname", "vhangup", "_sysctl", "uselib",
	"ustat", "sysfs", "nfsservctl",
};
const size_t seccomp_deny_n_syscalls = ARRAY_SIZE(seccomp_deny_syscalls);

#define DENY(name, errno_, ...) DENY_WHEN(SECCOMP_ALWAYS, name, errno_, __VA_ARGS__)
#define DENY_WHEN(condition, name, errno_, ...)                                                \
	{ .syscall = (name), .action = SCMP_ACT_ERRNO(errno_), .when = (condition),                \
	  .n_args = sizeof((struct scmp_arg_cmp[]){ __VA_ARGS__ }) / sizeof(struct scmp_arg_cmp), \
	  .args = { __VA_ARGS__ } }

#define DENY_CLONE(flag) DENY("clone", EPERM, SECCOMP_BITS(0, (__u32)(flag), (__u32)(flag)))
#define DENY_FAMILY(family) DENY("socket", EAFNOSUPPORT, SECCOMP_INT(0, family))
#define DENY_PRCTL(option) DENY("prctl", EPERM, SECCOMP_INT(0, option))
#define DENY_OPTION(level, name) \
	DENY("setsockopt", EPERM, SECCOMP_INT(1, level), SECCOMP_INT(2, name))
#define DENY_IOCTL_BITS(mask, value) DENY("ioctl", EPERM, SECCOMP_BITS(1, mask, value))
#define DENY_IOCTL(command) DENY("ioctl", EPERM, SECCOMP_INT(1, command))

const struct seccomp_rule seccomp_deny_rules[] = {
	DENY_CLONE(CLONE_NEWNS), DENY_CLONE(CLONE_NEWCGROUP), DENY_CLONE(CLONE_NEWUTS),
	DENY_CLONE(CLONE_NEWIPC), DENY_CLONE(CLONE_NEWUSER), DENY_CLONE(CLONE_NEWPID),
	DENY_CLONE(CLONE_NEWNET),

	/* Every family but UNIX (1), INET (2) and INET6 (10). */
	DENY_FAMILY(0), DENY_FAMILY(3), DENY_FAMILY(4), DENY_FAMILY(5), DENY_FAMILY(6),
	DENY_FAMILY(7), DENY_FAMILY(8), DENY_FAMILY(9),
	{ .syscall = "socket", .action = SCMP_ACT_ERRNO(EAFNOSUPPORT), .n_args = 1,
	  .args = { { .arg = 0, .op = SCMP_CMP_GT, .datum_a = AF_INET6 } } },
	DENY("socket", EPERM, SECCOMP_INT(0, AF_INET), SECCOMP_BITS(1, 0xfU, SOCK_RAW)),
	DENY("socket", EPERM, SECCOMP_INT(0, AF_INET6), SECCOMP_BITS(1, 0xfU, SOCK_RAW)),
	DENY("socket", EPROTONOSUPPORT, SECCOMP_INT(0, AF_INET), SECCOMP_BITS(1, 0xfU, SOCK_DGRAM),
	     SECCOMP_INT(2, IPPROTO_ICMP)),
	DENY("socket", EPROTONOSUPPORT, SECCOMP_INT(0, AF_INET6), SECCOMP_BITS(1, 0xfU, SOCK_DGRAM),
	     SECCOMP_INT(2, IPPROTO_ICMPV6)),
	DENY("socket", EPROTONOSUPPORT, SECCOMP_INT(0, AF_INET),
	     SECCOMP_INT(2, DENY_IPPROTO_MPTCP)),
	DENY("socket", EPROTONOSUPPORT, SECCOMP_INT(0, AF_INET6),
	     SECCOMP_INT(2, DENY_IPPROTO_MPTCP)),

	DENY_WHEN(SECCOMP_NO_JIT, "mmap", EPERM,
		  SECCOMP_BITS(2, PROT_WRITE | PROT_EXEC, PROT_WRITE | PROT_EXEC)),
	DENY_WHEN(SECCOMP_NO_JIT, "mmap", EPERM, SECCOMP_BITS(2, PROT_EXEC, PROT_EXEC),
		  SECCOMP_BITS(3, MAP_ANONYMOUS, MAP_ANONYMOUS)),
	DENY_WHEN(SECCOMP_NO_JIT, "mprotect", EPERM, SECCOMP_BITS(2, PROT_EXEC, PROT_EXEC)),
	DENY_WHEN(SECCOMP_NO_JIT, "pkey_mprotect", EPERM, SECCOMP_BITS(2, PROT_EXEC, PROT_EXEC)),
	/*
	 * RLIMIT_CORE is 1, at which a core pattern with a pipe is not run; at 0 it would be.
	 * A lease on weights, which the model owns by its mount, would keep the host waiting.
	 */
	DENY("setrlimit", EPERM, SECCOMP_INT(0, RLIMIT_CORE)),
	{ .syscall = "prlimit64", .action = SCMP_ACT_ERRNO(EPERM), .n_args = 2,
	  .args = { SECCOMP_INT(1, RLIMIT_CORE), { .arg = 2, .op = SCMP_CMP_NE, .datum_a = 0 } } },
	DENY("fcntl", EACCES, SECCOMP_INT(1, F_SETLEASE)),
	DENY("shmat", EPERM, SECCOMP_BITS(2, SHM_EXEC, SHM_EXEC)),
	{ .syscall = "memfd_create", .action = SCMP_ACT_ERRNO(EPERM), .when = SECCOMP_NO_MEMFD },

	/* With the top bit it is the question 0xffffffff, which is allowed. */
	DENY("personality", EPERM,
	     SECCOMP_BITS(0, 0x80000000U | READ_IMPLIES_EXEC, READ_IMPLIES_EXEC)),
	DENY("personality", EPERM,
	     SECCOMP_BITS(0, 0x80000000U | ADDR_NO_RANDOMIZE, ADDR_NO_RANDOMIZE)),

	DENY_PRCTL(PR_SET_SECCOMP), DENY_PRCTL(PR_SET_MM), DENY_PRCTL(PR_SET_PTRACER),
	DENY_PRCTL(PR_SET_SECUREBITS), DENY_PRCTL(PR_SET_KEEPCAPS), DENY_PRCTL(PR_CAPBSET_DROP),
	DENY_PRCTL(PR_CAP_AMBIENT), DENY_PRCTL(PR_SET_SYSCALL_USER_DISPATCH),
	DENY_PRCTL(PR_SET_SPECULATION_CTRL),

	/* Pushing input into a terminal, and its kin; also when a plan's devices open ioctl(). */
	DENY_IOCTL(TIOCSTI), DENY_IOCTL(TIOCLINUX), DENY_IOCTL(TIOCSETD), DENY_IOCTL(TIOCCONS),
	DENY_IOCTL(TIOCSCTTY),
	/* 0x8910 to 0x89ff, interfaces and routes: a published socket is of the host's network. */
	DENY_IOCTL_BITS(0xfff0U, 0x8910U), DENY_IOCTL_BITS(0xffe0U, 0x8920U),
	DENY_IOCTL_BITS(0xffc0U, 0x8940U), DENY_IOCTL_BITS(0xff80U, 0x8980U),

	/* seccomp_set.c says why; the rest of what is not listed there is ENOSYS. */
	DENY_OPTION(IPPROTO_IP, IP_OPTIONS), DENY_OPTION(IPPROTO_IP, IP_TRANSPARENT),
	DENY_OPTION(IPPROTO_IP, IP_ADD_MEMBERSHIP),
	DENY_OPTION(IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP),
	DENY_OPTION(IPPROTO_IP, MCAST_JOIN_GROUP), DENY_OPTION(IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP),
	DENY_OPTION(IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP), DENY_OPTION(IPPROTO_IPV6, IPV6_RTHDR),
	DENY_OPTION(IPPROTO_IPV6, MCAST_JOIN_GROUP),
	DENY_OPTION(IPPROTO_IPV6, MCAST_JOIN_SOURCE_GROUP),
	DENY_OPTION(SOL_SOCKET, SO_BINDTODEVICE), DENY_OPTION(SOL_SOCKET, SO_BINDTOIFINDEX),
	DENY_OPTION(SOL_SOCKET, SO_MARK), DENY_OPTION(SOL_SOCKET, SO_ATTACH_FILTER),
	DENY_OPTION(SOL_SOCKET, SO_ATTACH_BPF), DENY_OPTION(SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF),
	DENY_OPTION(SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF), DENY_OPTION(IPPROTO_TCP, TCP_REPAIR),
	DENY_OPTION(IPPROTO_TCP, TCP_ULP), DENY_OPTION(IPPROTO_TCP, TCP_MD5SIG),
};
const size_t seccomp_deny_n_rules = ARRAY_SIZE(seccomp_deny_rules);
