/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries things that a jail must refuse and says what the kernel answered: one line "NAME allowed"
 * or "NAME ERRNO" each. Run by tests/root/10-jail-boundaries.sh twice, as root on the host and
 * inside the jail; only the exact words count, so a probe that is broken passes as neither.
 *
 * Calls that would harm the host get arguments that the kernel rejects after its check of
 * privileges (EFAULT, EINVAL, EBADF): the difference to the jail's EPERM is the proof.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"

#define PROBE_PAGE 4096

/* 0 or negative errno of a call that returns -1 on failure. */
static int probe_result(long r)
{
	return r < 0 ? -errno : 0;
}

static int probe_open(const char *path, int flags)
{
	cleanup_fd int fd = open(path, flags | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : 0;
}

/* Where the tests put the files: the host's directory, and the zones inside. */
static const char *probe_path(const char *name, char *buf, size_t size)
{
	const char *top = getenv("PROBE_TOP");

	(void)snprintf(buf, size, "%s/%s", top ? top : "", name);
	return buf;
}

#define OPEN_PROBE(id, path, flags)               \
	static int probe_##id(void)               \
	{                                         \
		return probe_open(path, flags);   \
	}

#define CALL_PROBE(id, call)                      \
	static int probe_##id(void)               \
	{                                         \
		return probe_result(call);        \
	}

#define ZONE_PROBE(id, name, flags)                                               \
	static int probe_##id(void)                                               \
	{                                                                         \
		char path[256];                                                   \
		return probe_open(probe_path(name, path, sizeof(path)), flags);   \
	}

OPEN_PROBE(open_shadow, "/etc/shadow", O_RDONLY)
OPEN_PROBE(open_sysrq, "/proc/sysrq-trigger", O_WRONLY)
OPEN_PROBE(open_sysctl, "/proc/sys/kernel/hostname", O_WRONLY)
OPEN_PROBE(open_kmsg, "/proc/kmsg", O_RDONLY | O_NONBLOCK)
OPEN_PROBE(open_init_root, "/proc/1/root", O_RDONLY)
OPEN_PROBE(open_tty, "/dev/ptmx", O_RDWR)
OPEN_PROBE(open_null, "/dev/null", O_RDWR)
OPEN_PROBE(open_urandom, "/dev/urandom", O_RDONLY)
OPEN_PROBE(write_usr, "/usr/custody-probe", O_WRONLY | O_CREAT)
OPEN_PROBE(write_etc, "/etc/custody-probe", O_WRONLY | O_CREAT)
OPEN_PROBE(write_dev, "/dev/custody-probe", O_WRONLY | O_CREAT)
OPEN_PROBE(list_root, "/", O_RDONLY | O_DIRECTORY)
OPEN_PROBE(write_comm, "/proc/self/comm", O_WRONLY)
ZONE_PROBE(read_weights, "weights/model", O_RDONLY)
ZONE_PROBE(write_weights, "weights/model", O_WRONLY)
ZONE_PROBE(create_weights, "weights/new", O_WRONLY | O_CREAT)
ZONE_PROBE(read_data, "data/table", O_RDONLY)
ZONE_PROBE(write_output, "output/new", O_WRONLY | O_CREAT)
ZONE_PROBE(submount, "data/below/secret", O_RDONLY)
ZONE_PROBE(link_out, "data/link", O_RDONLY)

CALL_PROBE(mount, mount("none", "/tmp", "tmpfs", 1UL << 63, NULL))
CALL_PROBE(umount, umount2("", 0))
CALL_PROBE(fsopen, syscall(SYS_fsopen, NULL, 0))
CALL_PROBE(open_tree, syscall(SYS_open_tree, -1, "x", 1))
CALL_PROBE(move_mount, syscall(SYS_move_mount, -1, "x", -1, "y", 0))
CALL_PROBE(mount_setattr, syscall(SYS_mount_setattr, -1, "x", 0, NULL, 0))
CALL_PROBE(pivot_root, syscall(SYS_pivot_root, NULL, NULL))
CALL_PROBE(chroot, chroot(""))
CALL_PROBE(ptrace, ptrace(PTRACE_TRACEME, 0, NULL, NULL))
CALL_PROBE(process_vm_readv, process_vm_readv(getpid(), NULL, 0, NULL, 0, 1))
CALL_PROBE(pidfd_getfd, syscall(SYS_pidfd_getfd, -1, 0, 0))
CALL_PROBE(kcmp, syscall(SYS_kcmp, getpid(), getpid(), 99, 0, 0))
CALL_PROBE(bpf, syscall(SYS_bpf, BPF_PROG_LOAD, NULL, 0))
CALL_PROBE(perf_event_open, syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0))
CALL_PROBE(userfaultfd, syscall(SYS_userfaultfd, ~0))
CALL_PROBE(io_uring_setup, syscall(SYS_io_uring_setup, 0, NULL))
CALL_PROBE(keyctl, syscall(SYS_keyctl, 9999, 0, 0, 0, 0))
CALL_PROBE(seccomp, syscall(SYS_seccomp, 1, 0, NULL))
CALL_PROBE(prctl_seccomp, prctl(PR_SET_SECCOMP, 2, NULL, 0, 0))
CALL_PROBE(prctl_mm, prctl(PR_SET_MM, 99, 0, 0, 0))
CALL_PROBE(init_module, syscall(SYS_init_module, NULL, 0, NULL))
CALL_PROBE(kexec_load, syscall(SYS_kexec_load, 0, 999, NULL, ~0UL))
CALL_PROBE(reboot, syscall(SYS_reboot, 0, 0, 0, NULL))
CALL_PROBE(syslog, syscall(SYS_syslog, 99, NULL, 0))
CALL_PROBE(settimeofday, syscall(SYS_settimeofday, (void *)1, NULL))
CALL_PROBE(clock_settime, syscall(SYS_clock_settime, 99, NULL))
CALL_PROBE(iopl, syscall(SYS_iopl, 99))
CALL_PROBE(swapon, syscall(SYS_swapon, NULL, 0))
CALL_PROBE(setns, setns(-1, 0))
CALL_PROBE(setuid, setuid(0))
CALL_PROBE(mknod, mknod("", S_IFCHR | 0600, makedev(195, 0)))
CALL_PROBE(open_by_handle_at, syscall(SYS_open_by_handle_at, -1, NULL, 0))
CALL_PROBE(name_to_handle_at, syscall(SYS_name_to_handle_at, -1, "x", NULL, NULL, 0))
CALL_PROBE(fanotify_init, syscall(SYS_fanotify_init, ~0U, 0))
CALL_PROBE(execveat, syscall(SYS_execveat, -1, "", NULL, NULL, AT_EMPTY_PATH))
CALL_PROBE(memfd_secret, syscall(SYS_memfd_secret, ~0U))
CALL_PROBE(personality, personality(READ_IMPLIES_EXEC))
CALL_PROBE(personality_ask, personality(0xffffffff))
CALL_PROBE(sethostname, syscall(SYS_sethostname, NULL, 9999))
CALL_PROBE(unshare_user, unshare(CLONE_NEWUSER))
CALL_PROBE(unshare_net, unshare(CLONE_NEWNET))
CALL_PROBE(unknown_syscall, syscall(SYS_lookup_dcookie + 100000))
CALL_PROBE(kill_init, kill(1, 0))
CALL_PROBE(getpid, getpid())
CALL_PROBE(tiocsti, ioctl(0, TIOCSTI, ""))
CALL_PROBE(tiocsti_high_bits, syscall(SYS_ioctl, 0, TIOCSTI | 1UL << 32, ""))
CALL_PROBE(fionread, ioctl(0, 0x5450)) /* FIONCLEX */
CALL_PROBE(shm_exec, (long)shmat(-1, NULL, SHM_EXEC))

static int probe_socket(unsigned long family, unsigned long type, unsigned long protocol)
{
	cleanup_fd int fd = (int)syscall(SYS_socket, family, type, protocol);

	return fd < 0 ? -errno : 0;
}

#define SOCKET_PROBE(id, family, type, protocol)                  \
	static int probe_##id(void)                               \
	{                                                         \
		return probe_socket(family, type, protocol);      \
	}
SOCKET_PROBE(socket_inet, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)
SOCKET_PROBE(socket_inet6_udp, AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDP)
SOCKET_PROBE(socket_unix, AF_UNIX, SOCK_STREAM, 0)
SOCKET_PROBE(socket_netlink, AF_NETLINK, SOCK_RAW, 0)
SOCKET_PROBE(socket_netlink_high, AF_NETLINK | 1UL << 40, SOCK_RAW, 0)
SOCKET_PROBE(socket_packet, AF_PACKET, SOCK_RAW, 0)
SOCKET_PROBE(socket_raw, AF_INET, SOCK_RAW, IPPROTO_ICMP)
SOCKET_PROBE(socket_mptcp, AF_INET, SOCK_STREAM, 262)
SOCKET_PROBE(socket_mptcp_high, AF_INET, SOCK_STREAM, 262 | 1UL << 32)
SOCKET_PROBE(socket_alg, AF_ALG, SOCK_SEQPACKET, 0)
SOCKET_PROBE(socket_ping, AF_INET, SOCK_DGRAM, IPPROTO_ICMP)

static int probe_clone_flags(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return -errno;
	(void)waitpid((pid_t)pid, NULL, 0);
	return 0;
}

static int probe_clone_user(void)
{
	return probe_clone_flags(CLONE_NEWUSER);
}

static int probe_clone_plain(void)
{
	return probe_clone_flags(0);
}

static int probe_clone3_user(void)
{
	struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return -errno;
	(void)waitpid((pid_t)pid, NULL, 0);
	return 0;
}

static int probe_map(int prot, int later)
{
	void *p = mmap(NULL, PROBE_PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	return later ? probe_result(mprotect(p, PROBE_PAGE, later)) : 0;
}

static int probe_map_write_exec(void)
{
	return probe_map(PROT_READ | PROT_WRITE | PROT_EXEC, 0);
}

static int probe_map_exec(void)
{
	return probe_map(PROT_READ | PROT_EXEC, 0);
}

static int probe_protect_exec(void)
{
	return probe_map(PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC);
}

static int probe_protect_read(void)
{
	return probe_map(PROT_READ | PROT_WRITE, PROT_READ);
}

static int probe_memfd(void)
{
	cleanup_fd int fd = memfd_create("probe", MFD_CLOEXEC);

	return fd < 0 ? -errno : 0;
}

/* Runs a program in a child; the errno of its execve(). */
static int probe_exec(const char *path)
{
	char *const args[] = { (char *)(__UINTPTR_TYPE__)path, NULL };
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)execv(path, args);
		_exit(errno);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

static int probe_exec_true(void)
{
	return probe_exec("/usr/bin/true");
}

/* A program that was copied where files may be written must not run there. */
static int probe_exec_written(void)
{
	char path[256];
	cleanup_fd int in = open("/usr/bin/true", O_RDONLY | O_CLOEXEC);
	cleanup_fd int out = -1;
	char buf[65536];
	ssize_t n;

	out = open(probe_path("output/true", path, sizeof(path)), O_WRONLY | O_CREAT | O_CLOEXEC,
		   0755);
	if (in < 0 || out < 0)
		return -ENODATA;
	while ((n = read(in, buf, sizeof(buf))) > 0) {
		if (write(out, buf, (size_t)n) != n)
			return -ENODATA;
	}
	if (fchmod(out, 0755) < 0)
		return -ENODATA;
	(void)close(TAKE_FD(out));
	return probe_exec(path);
}

/* Processes that are neither this one, nor its parents' inside a jail. */
static int probe_list_processes(void)
{
	cleanup_dir DIR *dir = opendir("/proc");
	const struct dirent *entry;
	int seen = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		const int pid = atoi(entry->d_name);

		if (pid > 0 && pid != getpid() && pid != getppid())
			seen++;
	}
	return seen > 0 ? 0 : -ESRCH;
}

static int probe_bind(in_port_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -ENODATA;
	return probe_result(bind(fd, (const struct sockaddr *)&address, sizeof(address)));
}

static int probe_bind_any(void)
{
	return probe_bind(0);
}

/* To a listener of the host, whose port the test names. */
static int probe_connect_host(void)
{
	const char *port = getenv("PROBE_PORT");
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(port ? port : "1")),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -ENODATA;
	return probe_result(connect(fd, (const struct sockaddr *)&address, sizeof(address)));
}

/* Open fds but the standard streams and the one that lists. */
static int probe_inherited_fds(void)
{
	cleanup_dir DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.' && atoi(entry->d_name) > 2 &&
		    atoi(entry->d_name) != dirfd(dir))
			return 0;
	}
	return -EBADF;
}

static int probe_core_dump(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit) < 0)
		return -errno;
	return limit.rlim_max > 1 ? 0 : -EFBIG;
}

#define P(name) { #name, probe_##name }
static const struct {
	const char *name;
	int (*run)(void);
} probes[] = {
	P(open_shadow), P(open_sysrq), P(open_sysctl), P(open_kmsg), P(open_init_root), P(open_tty),
	P(open_null), P(open_urandom), P(write_usr), P(write_etc), P(write_dev), P(list_root),
	P(write_comm), P(read_weights), P(write_weights), P(create_weights), P(read_data),
	P(write_output), P(submount), P(link_out), P(mount), P(umount), P(fsopen), P(open_tree),
	P(move_mount), P(mount_setattr), P(pivot_root), P(chroot), P(ptrace), P(process_vm_readv),
	P(pidfd_getfd), P(kcmp), P(bpf), P(perf_event_open), P(userfaultfd), P(io_uring_setup),
	P(keyctl), P(seccomp), P(prctl_seccomp), P(prctl_mm), P(init_module), P(kexec_load),
	P(reboot), P(syslog), P(settimeofday), P(clock_settime), P(iopl), P(swapon), P(setns),
	P(setuid), P(mknod), P(open_by_handle_at), P(name_to_handle_at), P(fanotify_init),
	P(execveat), P(memfd_secret), P(personality), P(personality_ask), P(sethostname),
	P(unshare_user), P(unshare_net), P(unknown_syscall), P(kill_init), P(getpid), P(tiocsti),
	P(tiocsti_high_bits), P(fionread), P(shm_exec), P(socket_inet), P(socket_inet6_udp),
	P(socket_unix), P(socket_netlink), P(socket_netlink_high), P(socket_packet), P(socket_raw),
	P(socket_mptcp), P(socket_mptcp_high), P(socket_alg), P(socket_ping), P(clone_user),
	P(clone_plain), P(clone3_user), P(map_write_exec), P(map_exec), P(protect_exec),
	P(protect_read), P(memfd), P(exec_true), P(exec_written), P(list_processes), P(bind_any),
	P(connect_host), P(inherited_fds), P(core_dump),
};

/* Each in a child, so that what one changes is not there for the next. */
static void probe_run(const char *name, int (*run)(void))
{
	int status = 0;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(-run());
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
		(void)printf("%s died\n", name);
		return;
	}
	(void)printf("%s %s\n", name,
		     WEXITSTATUS(status) ? strerrorname_np(WEXITSTATUS(status)) : "allowed");
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		probe_run(probes[i].name, probes[i].run);
	return 0;
}
