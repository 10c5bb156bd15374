/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks with descriptors that a friend outside hands over on a published UNIX socket (client.py,
 * which is root: the worst friend there is), and with what is handed out. With the LSM plane most
 * do not arrive at all; without it they arrive, and must be of no use.
 * link: tests/attack/common.c
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "attack.h"

#define PASSED_WAIT_MS 4000
#define PASSED_LISTENER 92

static int passed_accept(void)
{
	struct pollfd p = { .fd = PASSED_LISTENER, .events = POLLIN };

	return poll(&p, 1, PASSED_WAIT_MS) == 1 ?
		       accept4(PASSED_LISTENER, NULL, NULL, SOCK_CLOEXEC) :
		       -1;
}

/* Asks for it; 0 with the descriptor, or what the attack is to return. */
static int passed_ask(const char *what, int *ret)
{
	cleanup_fd int friend = passed_accept();
	struct pollfd p = { .fd = friend, .events = POLLIN };

	if (friend < 0)
		return attack_untried("nobody connected");
	(void)dprintf(friend, "give %s\n", what);
	if (poll(&p, 1, PASSED_WAIT_MS) != 1)
		return attack_untried("nothing was handed over");
	return attack_receive_fd(friend, ret);
}

static int passed_open(const char *what, const char *path)
{
	cleanup_fd int dir = -1;
	cleanup_fd int fd = -1;
	int r = passed_ask(what, &dir);

	if (r)
		return r;
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

static int try_dir_open(void)
{
	return passed_open("directory", "etc/passwd");
}

static int try_dir_up(void)
{
	return passed_open("directory", "../etc/passwd");
}

static int try_path_open(void)
{
	return passed_open("path", "etc/passwd");
}

static int try_process_dir(void)
{
	return passed_open("process", "environ");
}

static int try_cgroup_dir(void)
{
	return passed_open("cgroup", ".");
}

static int try_dir_chroot(void)
{
	cleanup_fd int dir = -1;
	int r = passed_ask("directory", &dir);

	if (r)
		return r;
	/* To stand there is no right to anything below. */
	return attack_result(fchdir(dir) < 0 ? -1 : chroot("."));
}

static int try_dir_create(void)
{
	cleanup_fd int dir = -1;
	int r = passed_ask("directory", &dir);

	if (r == 0)
		r = attack_result(mkdirat(dir, "tmp/custody-attack-made", 0700));
	if (r == 0)
		(void)unlinkat(dir, "tmp/custody-attack-made", AT_REMOVEDIR);
	return r;
}

static int try_dir_exec(void)
{
	char path[64];
	cleanup_fd int fd = -1;
	int r = passed_ask("program", &fd);
	const char *const args[] = { path, NULL };

	if (r)
		return r;
	(void)fcntl(fd, F_SETFD, 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return attack_execute(args, -ENOEXEC);
}

static int try_program_map(void)
{
	cleanup_fd int fd = -1;
	int r = passed_ask("program", &fd);
	void *p = r ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	return r ? r : p == MAP_FAILED ? -errno : 0;
}

static int try_file_write(void)
{
	cleanup_fd int fd = -1;
	int r = passed_ask("file", &fd);

	return r ? r : attack_result(write(fd, "x", 1));
}

static int try_file_reopen(void)
{
	cleanup_fd int fd = -1;
	int r = passed_ask("file", &fd);
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return r ? r : attack_open(path, O_RDWR);
}

static int try_ns_enter(void)
{
	cleanup_fd int fd = -1;
	int r = passed_ask("namespace", &fd);

	return r ? r : attack_result(setns(fd, CLONE_NEWNET));
}

static int try_ns_owner(void)
{
	cleanup_fd int fd = -1;
	int r = passed_ask("namespace", &fd);

	return r ? r : attack_result(ioctl(fd, NS_GET_NSTYPE));
}

static int try_pidfd_signal(void)
{
	cleanup_fd int fd = -1;
	int r = passed_ask("pidfd", &fd);

	return r ? r : attack_result(syscall(SYS_pidfd_send_signal, fd, SIGWINCH, NULL, 0));
}

static int try_pidfd_file(void)
{
	cleanup_fd int fd = -1;
	int r = passed_ask("pidfd", &fd);
	cleanup_fd int got = r ? -1 : (int)syscall(SYS_pidfd_getfd, fd, 1, 0);

	return r ? r : got < 0 ? -errno : 0;
}

static int try_pidfd_enter(void)
{
	cleanup_fd int fd = -1;
	int r = passed_ask("pidfd", &fd);

	return r ? r : attack_result(setns(fd, CLONE_NEWUTS));
}

/* Whatever the opcode: the filter cannot see it, so nothing may be submitted at all. */
static int try_ring_enter(void)
{
	cleanup_fd int fd = -1;
	int r = passed_ask("ring", &fd);

	return r ? r : attack_result(syscall(SYS_io_uring_enter, fd, 0, 0, 0, NULL, 0));
}

static int try_ring_register(void)
{
	cleanup_fd int fd = -1;
	int r = passed_ask("ring", &fd);

	return r ? r : attack_result(syscall(SYS_io_uring_register, fd,
					     IORING_REGISTER_PERSONALITY, NULL, 0));
}

/* Every opcode is one: set up in the ring's memory, submitted by the only call that submits. */
static int try_ring_opcodes(void)
{
	cleanup_fd int fd = -1;
	int r = passed_ask("ring", &fd);
	struct io_uring_sqe *entries;

	if (r)
		return r;
	entries = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	if (entries == MAP_FAILED)
		return -errno;
	for (__u8 opcode = 0; opcode < IORING_OP_LAST; opcode++) {
		memset(entries, 0, sizeof(*entries));
		entries->opcode = opcode;
		if (syscall(SYS_io_uring_enter, fd, 1, 0, 0, NULL, 0) >= 0)
			return 0;
	}
	return -errno;
}

static int try_terminal_push(void)
{
	cleanup_fd int fd = -1;
	int r = passed_ask("terminal", &fd);

	return r ? r : attack_result(ioctl(fd, TIOCSTI, "x"));
}

static int try_terminal_own(void)
{
	cleanup_fd int fd = -1;
	int r = passed_ask("terminal", &fd);

	if (r)
		return r;
	(void)setsid();
	return attack_result(ioctl(fd, TIOCSCTTY, 0));
}

static int try_unix_abstract(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *name = attack_env("ABSTRACT");
	cleanup_fd int fd = -1;
	int r = passed_ask("unix", &fd);

	if (r)
		return r;
	(void)snprintf(to.sun_path + 1, sizeof(to.sun_path) - 1, "%s", name);
	return attack_result(connect(fd, (const struct sockaddr *)&to,
				     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
						 strlen(name))));
}

static int try_tcp_reconnect(void)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	const struct sockaddr_in to = attack_address(attack_port("PORT"));
	cleanup_fd int fd = -1;
	int r = passed_ask("tcp", &fd);

	if (r)
		return r;
	(void)connect(fd, &none, sizeof(none));
	return attack_result(connect(fd, (const struct sockaddr *)&to, sizeof(to)));
}

static int try_memory_read(void)
{
	char byte;
	cleanup_fd int fd = -1;
	int r = passed_ask("memory", &fd);

	if (r)
		return r;
	return pread(fd, &byte, 1, 4096) < 0 && errno != EIO ? -errno : 0;
}

/* Out: what the model can read, a client can read as well. */
static int try_weights_out(void)
{
	char path[512];
	cleanup_fd int weights = open(attack_path("ZONE", "file", path, sizeof(path)),
				      O_RDONLY | O_CLOEXEC);
	cleanup_fd int friend = passed_accept();

	if (friend < 0 || weights < 0)
		return attack_untried("nobody connected");
	return attack_send_fd(friend, weights);
}

/* Devices: what was handed over open takes no request that the profile does not list. */
static int passed_request(const char *what, unsigned long request, unsigned long argument)
{
	cleanup_fd int fd = -1;
	int r = passed_ask(what, &fd);

	return r ? r : attack_result(ioctl(fd, request, argument));
}

static int try_device_ask(void)
{
	int count = 0;

	return passed_request("random", _IOR('R', 0, int) /* RNDGETENTCNT */,
			      (unsigned long)&count);
}

static int try_device_faults(void)
{
	return passed_request("faults", _IO(0xaa, 0) /* USERFAULTFD_IOC_NEW */, 0);
}

static int try_device_machine(void)
{
	return passed_request("machines", _IO(0xae, 0) /* KVM_GET_API_VERSION */, 0);
}

static int try_device_reopen(void)
{
	cleanup_fd int fd = -1, again = -1;
	int r = passed_ask("machines", &fd);
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (r)
		return r;
	again = open(path, O_RDWR | O_CLOEXEC);
	return again < 0 ? -errno : 0;
}

#define ROW ATTACK_ROW
static const struct attack attacks[] = {
	ROW(dir_open, "EACCES", 0, "a file below a directory of the host"),
	ROW(dir_up, "EACCES", 0, "the same, up first"),
	ROW(path_open, "EACCES", 0, "a file below an O_PATH descriptor"),
	ROW(process_dir, "EACCES", 0, "a process of the host by its /proc directory"),
	ROW(cgroup_dir, "EACCES", 0, "the host's cgroups by a descriptor"),
	ROW(dir_chroot, "EPERM EACCES", 0, "a directory of the host as the root"),
	ROW(dir_create, "EACCES", 0, "a directory made on the host"),
	ROW(dir_exec, "EACCES", 0, "a program that was handed over"),
	ROW(program_map, "EACCES EPERM", ATTACK_KNOWN, "the same, mapped as code"),
	ROW(file_write, "EACCES", ATTACK_KNOWN, "a file that was handed over open, written"),
	ROW(file_reopen, "EACCES", 0, "the same, opened again"),
	ROW(ns_enter, "EPERM EACCES", 0, "the host's network namespace, entered"),
	ROW(ns_owner, "EPERM EACCES", 0, "what it is"),
	ROW(pidfd_signal, "EPERM EINVAL EACCES", 0, "a signal by a pidfd of the host"),
	ROW(pidfd_file, "EPERM EACCES", 0, "a descriptor by a pidfd of the host"),
	ROW(pidfd_enter, "EPERM EACCES", 0, "the namespaces of a pidfd of the host"),
	ROW(ring_enter, "EPERM EACCES", 0, "io_uring_enter() on a ring of another's"),
	ROW(ring_register, "EPERM EACCES", 0, "io_uring_register() on it"),
	ROW(ring_opcodes, "EPERM EACCES", 0, "every opcode of io_uring on it"),
	ROW(device_ask, "EPERM EACCES", 0, "a request to a device that was handed over"),
	ROW(device_faults, "EPERM EACCES", 0, "userfaultfd from its device, handed over"),
	ROW(device_machine, "EPERM EACCES", 0, "a request to /dev/kvm, handed over"),
	ROW(device_reopen, "EACCES EPERM", 0, "a device that was handed over, opened again"),
	ROW(terminal_push, "EPERM EACCES", 0, "TIOCSTI on a terminal that was handed over"),
	ROW(terminal_own, "EPERM EACCES", 0, "that terminal as one's own"),
	ROW(unix_abstract, "EPERM EACCES", ATTACK_SCOPED,
	    "an abstract socket by a socket of the host"),
	ROW(tcp_reconnect, "EACCES", ATTACK_KNOWN, "a TCP socket of the host, connected elsewhere"),
	ROW(memory_read, "EACCES", ATTACK_KNOWN, "memory of a process, handed over open"),
	ROW(weights_out, "", ATTACK_KNOWN, "the weights handed out to a client as a descriptor"),
};

static int passed_prepare(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", attack_env("UNIX"));
	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 || listen(fd, 64) < 0 ||
	    dup2(fd, PASSED_LISTENER) < 0)
		return -errno;
	return 0;
}

int main(int argc, char **argv)
{
	int r = argc > 1 && strcmp(argv[1], "run") == 0 ? passed_prepare() : 0;

	if (r < 0) {
		(void)fprintf(stderr, "attack_passed: %s\n", strerror(-r));
		return 2;
	}
	return attack_main(argc, argv, attacks, ARRAY_SIZE(attacks));
}
