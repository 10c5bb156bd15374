/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries one thing that the LSM plane judges and prints the errno it got, "0" when it was allowed.
 * Run as root, with every capability and no seccomp, by tests/root/7*.sh: what is refused is
 * refused by the plane. Exits 2 when the thing could not be tried.
 *
 *   lsm_task_probe CGROUP ACTION ARGUMENT...     CGROUP: directory, or "-" to stay where we are
 *
 * What an action needs from outside (descriptors, other processes) it makes before it
 * enters the cgroup. See probe_actions.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "lsm_try.h"

/* A child that waits to be killed; it dies with us. */
static pid_t probe_fork_sleeper(void)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0); /* it was faster */
		for (;;)
			(void)pause();
	}
	return pid;
}

/* ---- other processes; WHERE: "own", a child of the same jail, or a pid ---- */

static pid_t probe_find_other(const char *cgroup, char **argv)
{
	pid_t pid;

	probe_enter(cgroup);
	pid = strcmp(argv[0], "own") == 0 ? probe_fork_sleeper() : atoi(argv[0]);
	if (pid <= 0)
		exit(probe_broken(argv[0]));
	return pid;
}

static int probe_trace(const char *cgroup, char **argv)
{
	return probe_result(ptrace(PTRACE_SEIZE, probe_find_other(cgroup, argv), 0, 0));
}

/* An address that is in no process: EFAULT says that we were let through. */
static int probe_vmread(const char *cgroup, char **argv)
{
	char byte = 0;
	struct iovec here = { &byte, 1 }, there = { (void *)8, 1 };

	return probe_result(
		process_vm_readv(probe_find_other(cgroup, argv), &here, 1, &there, 1, 0));
}

static int probe_memory(const char *cgroup, char **argv)
{
	cleanup_fd int fd = -1;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", probe_find_other(cgroup, argv));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return probe_result(fd);
}

static int probe_kill(const char *cgroup, char **argv)
{
	return probe_result(kill(probe_find_other(cgroup, argv), atoi(argv[1])));
}

static int probe_pidfd_kill(const char *cgroup, char **argv)
{
	cleanup_fd int fd = (int)syscall(SYS_pidfd_open, atoi(argv[0]), 0);

	if (fd < 0)
		return probe_broken("pidfd_open");
	probe_enter(cgroup);
	return probe_result(syscall(SYS_pidfd_send_signal, fd, atoi(argv[1]), NULL, 0));
}

static int probe_thread_kill(const char *cgroup, char **argv)
{
	pid_t pid = probe_find_other(cgroup, argv);

	return probe_result(syscall(SYS_tgkill, pid, pid, atoi(argv[1])));
}

static int probe_queue(const char *cgroup, char **argv)
{
	return probe_result(sigqueue(probe_find_other(cgroup, argv), atoi(argv[1]),
				     (union sigval){ 0 }));
}

/* Its standard input. */
static int probe_take_fd(const char *cgroup, char **argv)
{
	cleanup_fd int fd = (int)syscall(SYS_pidfd_open, atoi(argv[0]), 0), got = -1;

	if (fd < 0)
		return probe_broken("pidfd_open");
	probe_enter(cgroup);
	got = (int)syscall(SYS_pidfd_getfd, fd, 0, 0);
	return probe_result(got);
}

static int probe_vmwrite(const char *cgroup, char **argv)
{
	char byte = 0;
	struct iovec here = { &byte, 1 }, there = { (void *)8, 1 };

	return probe_result(
		process_vm_writev(probe_find_other(cgroup, argv), &here, 1, &there, 1, 0));
}

/* Our child is to be traced by us, who stay outside. */
static int probe_traceme(const char *cgroup, char **argv)
{
	int status = 0;
	pid_t pid = fork();

	(void)argv;
	if (pid == 0) {
		probe_enter(cgroup);
		(void)probe_result(ptrace(PTRACE_TRACEME, 0, 0, 0));
		(void)fflush(stdout);
		_exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : 2;
}

/* ---- privileges and namespaces ---- */

/* CAP_SYS_ADMIN, used: the host name becomes what it is. */
static int probe_hostname(const char *cgroup, char **argv)
{
	char name[65] = "";

	(void)argv;
	if (gethostname(name, sizeof(name)) < 0)
		return probe_broken("gethostname");
	probe_enter(cgroup);
	return probe_result(sethostname(name, strlen(name)));
}

/* The same by a task that has no capability; whoever opened the cgroup's file moves it there. */
static int probe_powerless(const char *cgroup, char **argv)
{
	cleanup_fd int fd = -1;
	char path[512];

	(void)argv;
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || setresuid(65534, 65534, 65534) < 0 || write(fd, "0", 1) != 1)
		return probe_broken(cgroup);
	return probe_result(sethostname("x", 1));
}

static int probe_unshare(const char *cgroup, char **argv)
{
	probe_enter(cgroup);
	return probe_result(unshare((int)strtol(argv[0], NULL, 0)));
}

/* By clone3(2), as unshare(2) would by itself. */
static int probe_clone(const char *cgroup, char **argv)
{
	__u64 args[8] = { strtoul(argv[0], NULL, 0) }; /* struct clone_args: flags first */
	long pid;

	args[4] = SIGCHLD;
	probe_enter(cgroup);
	pid = syscall(SYS_clone3, args, sizeof(args));
	if (pid == 0)
		_exit(0);
	return probe_result(pid);
}

static int probe_setns(const char *cgroup, char **argv)
{
	cleanup_fd int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return probe_broken(argv[0]);
	probe_enter(cgroup);
	return probe_result(setns(fd, 0));
}

static int probe_setns_pidfd(const char *cgroup, char **argv)
{
	cleanup_fd int fd = (int)syscall(SYS_pidfd_open, atoi(argv[0]), 0);

	if (fd < 0)
		return probe_broken("pidfd_open");
	probe_enter(cgroup);
	return probe_result(setns(fd, CLONE_NEWUTS));
}

/* ---- mounts, each in a mount namespace of its own ---- */

static void probe_unshare_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		exit(probe_broken("unshare"));
}

static int probe_mount(const char *cgroup, char **argv)
{
	probe_unshare_mounts();
	probe_enter(cgroup);
	return probe_result(mount("none", argv[0], "tmpfs", 0, NULL));
}

static int probe_umount(const char *cgroup, char **argv)
{
	probe_unshare_mounts();
	if (mount("none", argv[0], "tmpfs", 0, NULL) < 0)
		return probe_broken("mount");
	probe_enter(cgroup);
	return probe_result(umount2(argv[0], MNT_DETACH));
}

static int probe_move_mount(const char *cgroup, char **argv)
{
	cleanup_fd int context = fsopen("tmpfs", FSOPEN_CLOEXEC), fd = -1;

	probe_unshare_mounts();
	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return probe_broken("fsopen");
	fd = fsmount(context, FSMOUNT_CLOEXEC, 0);
	if (fd < 0)
		return probe_broken("fsmount");
	probe_enter(cgroup);
	return probe_result(move_mount(fd, "", AT_FDCWD, argv[0], MOVE_MOUNT_F_EMPTY_PATH));
}

static int probe_fsopen(const char *cgroup, char **argv)
{
	cleanup_fd int fd = -1;

	(void)argv;
	probe_enter(cgroup);
	fd = fsopen("tmpfs", FSOPEN_CLOEXEC);
	return probe_result(fd);
}

static int probe_open_tree(const char *cgroup, char **argv)
{
	cleanup_fd int fd = -1;

	probe_enter(cgroup);
	fd = open_tree(AT_FDCWD, argv[0], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return probe_result(fd);
}

static int probe_mount_setattr(const char *cgroup, char **argv)
{
	__u64 attributes[4] = { 1 }; /* struct mount_attr: MOUNT_ATTR_RDONLY to be set */

	probe_unshare_mounts();
	if (mount("none", argv[0], "tmpfs", 0, NULL) < 0)
		return probe_broken("mount");
	probe_enter(cgroup);
	return probe_result(syscall(SYS_mount_setattr, AT_FDCWD, argv[0], 0, attributes,
				    sizeof(attributes)));
}

static int probe_remount(const char *cgroup, char **argv)
{
	probe_unshare_mounts();
	if (mount("none", argv[0], "tmpfs", 0, NULL) < 0)
		return probe_broken("mount");
	probe_enter(cgroup);
	return probe_result(mount(NULL, argv[0], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
}

static int probe_pivot_root(const char *cgroup, char **argv)
{
	probe_unshare_mounts();
	if (mount("none", argv[0], "tmpfs", 0, NULL) < 0 || chdir(argv[0]) < 0)
		return probe_broken("mount");
	probe_enter(cgroup);
	return probe_result(syscall(SYS_pivot_root, ".", "."));
}

/* ---- the kernel itself ---- */

static int probe_bpf(const char *cgroup, char **argv)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4,
				.max_entries = 1 };
	cleanup_fd int fd = -1;

	(void)argv;
	probe_enter(cgroup);
	fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	return probe_result(fd);
}

static int probe_bpf_program(const char *cgroup, char **argv)
{
	static const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K }, { .code = BPF_JMP | BPF_EXIT } };
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insn_cnt = 2,
				.insns = (__u64)(uintptr_t)code,
				.license = (__u64)(uintptr_t) "GPL" };
	cleanup_fd int fd = -1;

	(void)argv;
	probe_enter(cgroup);
	fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	return probe_result(fd);
}

static int probe_perf(const char *cgroup, char **argv)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
					.config = PERF_COUNT_SW_CPU_CLOCK, .disabled = 1 };
	cleanup_fd int fd = -1;

	(void)argv;
	probe_enter(cgroup);
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	return probe_result(fd);
}

/* A file that is no module: ENOEXEC says that we were let through. */
static int probe_finit_module(const char *cgroup, char **argv)
{
	cleanup_fd int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return probe_broken(argv[0]);
	probe_enter(cgroup);
	return probe_result(syscall(SYS_finit_module, fd, "", 0));
}

static int probe_init_module(const char *cgroup, char **argv)
{
	char text[4096] = "no module";

	(void)argv;
	probe_enter(cgroup);
	return probe_result(syscall(SYS_init_module, text, sizeof(text), ""));
}

/* Unloads nothing: there is nothing. */
static int probe_kexec(const char *cgroup, char **argv)
{
	(void)argv;
	probe_enter(cgroup);
	return probe_result(syscall(SYS_kexec_load, 0, 0, NULL, 0));
}

/* A file that is no kernel: ENOEXEC says that we were let through. */
static int probe_kexec_file(const char *cgroup, char **argv)
{
	cleanup_fd int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return probe_broken(argv[0]);
	probe_enter(cgroup);
	return probe_result(syscall(SYS_kexec_file_load, fd, -1, 1UL, "", 4UL)); /* no initramfs */
}

static int probe_socket(const char *cgroup, char **argv)
{
	cleanup_fd int fd = -1;

	probe_enter(cgroup);
	fd = socket(atoi(argv[0]), SOCK_STREAM | SOCK_CLOEXEC, 0);
	return probe_result(fd);
}

static int probe_userfault(const char *cgroup, char **argv)
{
	cleanup_fd int fd = -1;

	(void)argv;
	probe_enter(cgroup);
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	return probe_result(fd);
}

/* ---- devices ---- */

/* A node for ioctl and mmap; "before": opened before the cgroup is entered, as if passed in. */
static int probe_open_node(const char *cgroup, char **argv)
{
	bool before = strcmp(argv[0], "before") == 0;
	int fd = before ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;

	if (before && fd < 0)
		exit(probe_broken(argv[1]));
	probe_enter(cgroup);
	return before ? fd : open(argv[1], O_RDWR | O_CLOEXEC);
}

static int probe_open(const char *cgroup, char **argv)
{
	cleanup_fd int fd = -1;

	probe_enter(cgroup);
	fd = open(argv[0], O_RDWR | O_CLOEXEC);
	return probe_result(fd);
}

static int probe_ioctl(const char *cgroup, char **argv)
{
	cleanup_fd int fd = probe_open_node(cgroup, argv);
	char data[16384] = "";

	return probe_result(fd < 0 ? -1 : ioctl(fd, strtoul(argv[2], NULL, 0), data));
}

#ifdef __x86_64__
/* As a 32-bit task asks: all of its addresses are below 4 GiB. */
static int probe_ioctl32(const char *cgroup, char **argv)
{
	cleanup_fd int fd = probe_open_node(cgroup, argv);
	const void *data = mmap(NULL, 16384, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long r = 54; /* ioctl in the table of i386 */

	if (fd < 0 || data == MAP_FAILED)
		return probe_broken("ioctl32");
	__asm__ volatile("int $0x80"
			 : "+a"(r)
			 : "b"(fd), "c"(strtoul(argv[2], NULL, 0)), "d"(data)
			 : "memory", "r8", "r9", "r10", "r11");
	if (r < 0)
		errno = (int)-r;
	return probe_result(r < 0 ? -1 : 0);
}
#endif

static int probe_mmap(const char *cgroup, char **argv)
{
	cleanup_fd int fd = probe_open_node(cgroup, argv);

	if (fd < 0)
		return probe_result(-1);
	return probe_result(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0);
}

static int probe_mmap_anonymous(const char *cgroup, char **argv)
{
	void *p;

	(void)argv;
	probe_enter(cgroup);
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return probe_result(p == MAP_FAILED ? -1 : 0);
}

static const struct {
	const char *action;
	int n_args;
	int (*run)(const char *cgroup, char **argv);
} probe_actions[] = {
	{ "trace", 1, probe_trace },	       { "vmread", 1, probe_vmread },
	{ "memory", 1, probe_memory },	       { "kill", 2, probe_kill },
	{ "pidfd-kill", 2, probe_pidfd_kill }, { "traceme", 0, probe_traceme },
	{ "hostname", 0, probe_hostname },     { "powerless", 0, probe_powerless },
	{ "unshare", 1, probe_unshare },       { "setns", 1, probe_setns },
	{ "setns-pidfd", 1, probe_setns_pidfd }, { "mount", 1, probe_mount },
	{ "umount", 1, probe_umount },	       { "move-mount", 1, probe_move_mount },
	{ "fsopen", 0, probe_fsopen },	       { "open-tree", 1, probe_open_tree },
	{ "pivot-root", 1, probe_pivot_root }, { "bpf", 0, probe_bpf },
	{ "perf", 0, probe_perf },	       { "finit-module", 1, probe_finit_module },
	{ "init-module", 0, probe_init_module }, { "kexec", 0, probe_kexec },
	{ "socket", 1, probe_socket },	       { "userfault", 0, probe_userfault },
	{ "open", 1, probe_open },	       { "ioctl", 3, probe_ioctl },
	{ "tgkill", 2, probe_thread_kill },    { "sigqueue", 2, probe_queue },
	{ "take-fd", 1, probe_take_fd },       { "vmwrite", 1, probe_vmwrite },
	{ "clone", 1, probe_clone },	       { "mount-setattr", 1, probe_mount_setattr },
	{ "remount", 1, probe_remount },       { "bpf-program", 0, probe_bpf_program },
	{ "kexec-file", 1, probe_kexec_file },
#ifdef __x86_64__
	{ "ioctl32", 3, probe_ioctl32 },
#endif
	{ "mmap", 2, probe_mmap },	       { "mmap-anonymous", 0, probe_mmap_anonymous },
};

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	for (size_t i = 0; i < ARRAY_SIZE(probe_actions); i++) {
		if (strcmp(argv[2], probe_actions[i].action) == 0 &&
		    argc - 3 == probe_actions[i].n_args)
			return probe_actions[i].run(argv[1], argv + 3);
	}
	return 2;
}
