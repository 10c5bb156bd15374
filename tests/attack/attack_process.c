/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks on other processes and on namespaces.
 * link: tests/attack/common.c
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

/* Not in the headers of every system that this is built on. */
#define PROCESS_NEWTIME 0x80UL

/* ---- a child of one's own: even that is nobody's to look into ---- */

ATTACK_CALL(trace_me, ptrace(PTRACE_TRACEME, 0, NULL, NULL))

static int process_trace(pid_t pid)
{
	int r = attack_result(ptrace(PTRACE_SEIZE, pid, NULL, NULL));

	if (r == 0)
		(void)kill(pid, SIGKILL);
	return r;
}

static int try_trace_child(void)
{
	return process_trace(attack_fork_sleeper());
}

static int process_read(pid_t pid)
{
	char byte = 0;
	struct iovec here = { &byte, 1 };
	struct iovec there = { (void *)(__UINTPTR_TYPE__)&process_trace, 1 };

	return attack_result(process_vm_readv(pid, &here, 1, &there, 1, 0));
}

static int try_read_child(void)
{
	return process_read(attack_fork_sleeper());
}

static int try_write_child(void)
{
	char here_byte = 0;
	char there_byte = 0;
	struct iovec here = { &here_byte, 1 };
	struct iovec there = { &there_byte, 1 };

	return attack_result(process_vm_writev(attack_fork_sleeper(), &here, 1, &there, 1, 0));
}

static int try_fd_of_child(void)
{
	pid_t pid = attack_fork_sleeper();
	cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	cleanup_fd int fd = -1;

	if (pidfd < 0)
		return attack_untried(strerrorname_np(errno));
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, 0, 0);
	return fd < 0 ? -errno : 0;
}

ATTACK_CALL(compare_child, syscall(SYS_kcmp, getpid(), attack_fork_sleeper(), 2, 0, 0))
ATTACK_CALL(move_child, syscall(SYS_move_pages, attack_fork_sleeper(), 0, NULL, NULL, NULL, 0))

static int process_advise(int syscall_number)
{
	cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, attack_fork_sleeper(), 0);
	char page[4096] __attribute__((aligned(4096)));
	struct iovec range = { page, sizeof(page) };
	int r = attack_result(syscall(syscall_number, pidfd, &range, 1, 20 /* MADV_COLD */, 0));

	/* Only of a process that ends: the kernel came as far as asking. */
	return syscall_number == SYS_process_mrelease && r == -EINVAL ? 0 : r;
}

static int try_advise_child(void)
{
	return process_advise(SYS_process_madvise);
}

static int try_release_child(void)
{
	return process_advise(SYS_process_mrelease);
}

static int process_open(const char *file, int flags)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", attack_fork_sleeper(), file);
	return attack_open(path, flags);
}

static int try_mem_of_child(void)
{
	return process_open("mem", O_RDWR);
}

/* A page of code, changed through /proc although no mapping of it may be written. */
static int try_patch_code(void)
{
	cleanup_fd int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	const unsigned char byte = 0x90;

	if (fd < 0)
		return -errno;
	return attack_result(pwrite(fd, &byte, 1, (off_t)(__UINTPTR_TYPE__)&process_trace));
}

/* ---- a process of the host, whose pid is known ---- */

ATTACK_CALL(kill_victim, kill(attack_victim(), 0))
ATTACK_CALL(kill_group, kill(-attack_victim(), 0))
ATTACK_FD(pidfd_victim, syscall(SYS_pidfd_open, attack_victim(), 0))

static int try_trace_victim(void)
{
	return attack_result(ptrace(PTRACE_SEIZE, attack_victim(), NULL, NULL));
}

static int try_read_victim(void)
{
	char byte = 0;
	struct iovec here = { &byte, 1 };
	struct iovec there = { (void *)8, 1 };
	int r = attack_result(process_vm_readv(attack_victim(), &here, 1, &there, 1, 0));

	return r == -EFAULT ? 0 : r; /* it was let through to an address that is none */
}

static int process_open_victim(const char *file)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", attack_victim(), file);
	return attack_open(path, O_RDONLY);
}

static int try_mem_of_victim(void)
{
	return process_open_victim("mem");
}

static int try_maps_of_victim(void)
{
	return process_open_victim("maps");
}

static int try_ns_of_victim(void)
{
	return process_open_victim("ns/net");
}

static int try_limit_victim(void)
{
	struct rlimit limit;

	return attack_result(prlimit(attack_victim(), RLIMIT_NOFILE, NULL, &limit));
}

static int try_robust_list(void)
{
	void *head;
	size_t size;

	return attack_result(syscall(SYS_get_robust_list, attack_victim(), &head, &size));
}

static int try_queue_signal(void)
{
	siginfo_t info = { .si_signo = SIGURG, .si_code = -1 };

	return attack_result(syscall(SYS_rt_sigqueueinfo, attack_victim(), SIGURG, &info));
}

static int try_schedule_victim(void)
{
	struct sched_attr {
		unsigned int size, policy;
		unsigned long long flags;
		int nice;
		unsigned int priority;
		unsigned long long runtime, deadline, period;
	} attr = { .size = sizeof(attr) };

	return attack_result(syscall(SYS_sched_setattr, attack_victim(), &attr, 0));
}

ATTACK_CALL(nice_victim, setpriority(PRIO_PROCESS, (id_t)attack_victim(), 1))
ATTACK_CALL(io_victim, syscall(SYS_ioprio_set, 1, attack_victim(), 2 << 13 | 7))

static int try_affinity_victim(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	return attack_result(sched_getaffinity(attack_victim(), sizeof(set), &set));
}

/* A signal of the kernel's, sent to whom the file's owner is. */
static int try_own_victim(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return attack_untried("no pipe");
	return attack_result(fcntl(ends[0], F_SETOWN, attack_victim()));
}

ATTACK_READ(see_init, "/proc/1/stat")

/* ---- init of the jail ---- */

ATTACK_CALL(kill_init, kill(1, SIGWINCH))
ATTACK_CALL(raise_nice, setpriority(PRIO_PROCESS, 0, -10))
ATTACK_CALL(real_time, ({
	const struct sched_param p = { .sched_priority = 1 };
	sched_setscheduler(0, SCHED_FIFO, &p);
}))

static int process_raise(__rlimit_resource_t resource, rlim_t value)
{
	const struct rlimit limit = { value, value };

	return attack_result(setrlimit(resource, &limit));
}

static int try_raise_core(void)
{
	return process_raise(RLIMIT_CORE, 2);
}

static int try_raise_files(void)
{
	return process_raise(RLIMIT_NOFILE, 64) < 0 ? attack_untried("the limit is not lowered") :
						      process_raise(RLIMIT_NOFILE, 1 << 16);
}

static int try_raise_tasks(void)
{
	return process_raise(RLIMIT_NPROC, RLIM_INFINITY);
}

static int try_raise_locked(void)
{
	return process_raise(RLIMIT_MEMLOCK, RLIM_INFINITY);
}

/* ---- namespaces ---- */

static int process_clone(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return attack_result(pid);
}

static int process_clone3(unsigned long flags)
{
	struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(0);
	return attack_result(pid);
}

static int process_setns(const char *name)
{
	cleanup_fd int fd = -1;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return attack_result(setns(fd, 0));
}

#define NAMESPACE(id, flag)                                          \
	ATTACK_CALL(unshare_##id, unshare(flag))                     \
	static int try_clone_##id(void) { return process_clone(flag); }  \
	static int try_clone3_##id(void) { return process_clone3(flag); }

NAMESPACE(user, CLONE_NEWUSER)
NAMESPACE(mnt, CLONE_NEWNS)
NAMESPACE(net, CLONE_NEWNET)
NAMESPACE(pid, CLONE_NEWPID)
NAMESPACE(ipc, CLONE_NEWIPC)
NAMESPACE(uts, CLONE_NEWUTS)
NAMESPACE(cgroup, CLONE_NEWCGROUP)
ATTACK_CALL(unshare_time, unshare((int)PROCESS_NEWTIME))
static int try_clone3_time(void) { return process_clone3(PROCESS_NEWTIME); }
static int try_setns_net(void) { return process_setns("net"); }
static int try_setns_mnt(void) { return process_setns("mnt"); }
static int try_setns_pid(void) { return process_setns("pid"); }

/* A child in a cgroup of the caller's choice; the directory need not even be one to be asked. */
static int try_clone_into(void)
{
	cleanup_fd int fd = open("/sys/fs/cgroup/unified", O_PATH | O_CLOEXEC);
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	long pid;

	if (fd < 0)
		fd = open("/sys/fs/cgroup", O_PATH | O_CLOEXEC);
	args.cgroup = (unsigned long long)fd;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		_exit(0);
	return attack_result(pid);
}

ATTACK_CALL(ptracer_any, prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0))

/* The other tables of system calls have other numbers: getpid() there. */
static int try_table_32(void)
{
	long r = -ENOSYS;

#ifdef __x86_64__
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
#endif
	return r < 0 ? (int)r : 0;
}

/* Facts of the host, as far as they are told. */
static int try_name_told(void)
{
	char name[65] = "";

	(void)gethostname(name, sizeof(name) - 1);
	return strcmp(name, "custody") == 0 ? -ENODATA : 0;
}

/* Whatever custodyd's own score: when memory runs out, the jail goes first. */
static int try_oom_last(void)
{
	cleanup_file FILE *file = fopen("/proc/self/oom_score_adj", "re");
	int score = 0;

	if (!file || fscanf(file, "%d", &score) != 1)
		return attack_untried("no score is told");
	return score < 500 ? 0 : -ENODATA;
}

/* What a core dump would hold, wherever the host sends it. */
static int try_core_holds(void)
{
	cleanup_file FILE *file = fopen("/proc/self/coredump_filter", "re");
	unsigned int filter = 0;

	if (!file || fscanf(file, "%x", &filter) != 1)
		return attack_untried("this kernel dumps nothing");
	return filter != 0 ? 0 : -ENODATA;
}

static int try_table_x32(void)
{
	return attack_result(syscall(0x40000000L | SYS_getpid));
}

static int try_dispatch(void)
{
	return attack_result(prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, 0, 0, 0, 0));
}

static int try_filter_more(void)
{
	return attack_result(prctl(PR_SET_SECCOMP, 2, NULL, 0, 0)) == -EFAULT ? 0 : -errno;
}

#define ROW ATTACK_ROW
#define OPENED ATTACK_ROW_OPENED
#define NAMESPACE_ROWS(id)                                                          \
	ROW(unshare_##id, "EPERM", 0, "unshare() of the " #id " namespace"),          \
	ROW(clone_##id, "EPERM", 0, "clone() into a new " #id " namespace"),          \
	ROW(clone3_##id, "ENOSYS", 0, "clone3() into a new " #id " namespace")
static const struct attack attacks[] = {
	ROW(trace_me, "EPERM", 0, "PTRACE_TRACEME"),
	ROW(trace_child, "EPERM", 0, "tracing a child"),
	ROW(read_child, "EPERM", 0, "process_vm_readv() of a child"),
	ROW(write_child, "EPERM", 0, "process_vm_writev() to a child"),
	ROW(fd_of_child, "EPERM", 0, "pidfd_getfd() from a child"),
	ROW(compare_child, "EPERM", 0, "kcmp() with a child"),
	ROW(move_child, "EPERM", 0, "move_pages() of a child"),
	ROW(advise_child, "EPERM", 0, "process_madvise() of a child"),
	ROW(release_child, "EPERM", 0, "process_mrelease() of a child"),
	OPENED(mem_of_child, "EACCES", 0, "jit=succeeded", "/proc/PID/mem of a child"),
	OPENED(patch_code, "EACCES", 0, "jit=succeeded", "changing code through /proc/self/mem"),
	ROW(kill_victim, "ESRCH", 0, "a signal to a process of the host"),
	ROW(kill_group, "ESRCH", 0, "a signal to its process group"),
	ROW(pidfd_victim, "ESRCH", 0, "a pidfd of it"),
	ROW(trace_victim, "EPERM", 0, "tracing it"),
	ROW(read_victim, "EPERM", 0, "reading its memory"),
	ROW(mem_of_victim, "ENOENT", 0, "its /proc/PID/mem"),
	ROW(maps_of_victim, "ENOENT", 0, "its mappings"),
	ROW(ns_of_victim, "ENOENT", 0, "its network namespace"),
	ROW(limit_victim, "ESRCH", 0, "its limits"),
	ROW(robust_list, "ESRCH", 0, "its robust futexes"),
	ROW(queue_signal, "ESRCH", 0, "a queued signal to it"),
	ROW(schedule_victim, "ESRCH", 0, "sched_setattr() on it"),
	ROW(nice_victim, "ESRCH", 0, "its priority"),
	ROW(io_victim, "ESRCH", 0, "its priority in disk queues"),
	ROW(affinity_victim, "ESRCH", 0, "its processors"),
	ROW(own_victim, "ESRCH", 0, "SIGIO sent to it"),
	ROW(see_init, "ENOENT", 0, "the jail's init in /proc"),
	ROW(kill_init, "EPERM", ATTACK_SCOPED, "a signal to the jail's init"),
	ROW(raise_nice, "EACCES", 0, "a better priority"),
	ROW(real_time, "EPERM", 0, "a real-time policy"),
	ROW(raise_core, "EPERM", 0, "a core dump"),
	ROW(raise_files, "EPERM", 0, "more open files"),
	ROW(raise_tasks, "EPERM", 0, "more processes"),
	ROW(raise_locked, "EPERM", 0, "more locked memory"),
	NAMESPACE_ROWS(user), NAMESPACE_ROWS(mnt), NAMESPACE_ROWS(net), NAMESPACE_ROWS(pid),
	NAMESPACE_ROWS(ipc), NAMESPACE_ROWS(uts), NAMESPACE_ROWS(cgroup),
	ROW(unshare_time, "EPERM", 0, "unshare() of the time namespace"),
	ROW(clone3_time, "ENOSYS", 0, "clone3() into a new time namespace"),
	ROW(setns_net, "EPERM EACCES", 0, "setns() by a network namespace"),
	ROW(setns_mnt, "EPERM EACCES", 0, "setns() by a mount namespace"),
	ROW(setns_pid, "EPERM EACCES", 0, "setns() by a pid namespace"),
	ROW(clone_into, "ENOSYS", 0, "a child in another cgroup"),
	ROW(ptracer_any, "EPERM", 0, "anybody as one's tracer"),
	ROW(name_told, "ENODATA", ATTACK_SILENT, "the host's name"),
	ROW(oom_last, "ENODATA", ATTACK_SILENT, "a better place than the host when memory ends"),
	ROW(core_holds, "ENODATA", ATTACK_SILENT, "memory in a core dump that goes to a socket"),
	ROW(table_32, "SIGSYS", 0, "the 32-bit table of system calls"),
	ROW(table_x32, "SIGSYS", 0, "the x32 table of system calls"),
	ROW(dispatch, "EPERM", 0, "system calls sent back to user space"),
	ROW(filter_more, "EPERM", 0, "a seccomp filter of one's own"),
};

int main(int argc, char **argv)
{
	return attack_main(argc, argv, attacks, ARRAY_SIZE(attacks));
}
