/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A descriptor arrives in a cgroup. Run as root by tests/root/7*.sh. What is passed is made before
 * the cgroup is entered, so that no other hook has judged it. Exits 2 when the thing could not be
 * tried.
 *
 *   lsm_fd_probe CGROUP scm WHAT     by SCM_RIGHTS from a process outside; "0" or "CTRUNC"
 *   lsm_fd_probe CGROUP splice WHAT  likewise, and then data is spliced into it: the errno besides
 *   lsm_fd_probe CGROUP getfd WHAT   by pidfd_getfd from a process inside; "0" or an errno
 *   lsm_fd_probe CGROUP addfd WHAT   by seccomp's ADDFD from a process outside; "0" or an errno
 *
 * WHAT: /PATH (to read), write:/PATH, opath:/PATH, or one of the kinds of fd_kinds.
 */
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "lsm_try.h"

/* ---- what is passed ---- */

static int fd_make_pipe(void)
{
	int fds[2];

	return pipe2(fds, O_CLOEXEC) < 0 ? -1 : fds[0];
}

static int fd_make_pair(int type)
{
	int fds[2];

	return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0 ? -1 : fds[0];
}

static int fd_make_socket(void)
{
	return fd_make_pair(SOCK_STREAM);
}

static int fd_make_packet(void)
{
	return fd_make_pair(SOCK_SEQPACKET);
}

/* Connected, but sendto() may name another. */
static int fd_make_datagram(void)
{
	return fd_make_pair(SOCK_DGRAM);
}

static int fd_make_loose(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int fd_make_listener(void)
{
	int fd = fd_make_loose();
	const struct sockaddr any = { .sa_family = AF_UNIX }; /* an abstract name of the kernel's */

	return bind(fd, &any, sizeof(any.sa_family)) < 0 || listen(fd, 1) < 0 ? -1 : fd;
}

/* Of whatever cgroup its maker is in. */
static int fd_make_tcp(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int fd_make_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static int fd_make_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int fd_make_epoll(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int fd_make_timer(void)
{
	return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
}

static int fd_make_signal(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int fd_make_inotify(void)
{
	return inotify_init1(IN_CLOEXEC);
}

static int fd_make_pidfd(void)
{
	return (int)syscall(SYS_pidfd_open, getpid(), 0);
}

static int fd_make_memfd(void)
{
	return memfd_create("probe", MFD_CLOEXEC);
}

static int fd_make_ring(void)
{
	struct io_uring_params params = { 0 };

	return (int)syscall(SYS_io_uring_setup, 4, &params);
}

static int fd_make_map(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4,
				.max_entries = 1 };

	return (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

static int fd_make_perf(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
					.config = PERF_COUNT_SW_CPU_CLOCK, .disabled = 1 };

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static int fd_make_namespace(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static int fd_make_userfault(void)
{
	return (int)syscall(SYS_userfaultfd, O_CLOEXEC);
}

static int fd_make_context(void)
{
	return fsopen("tmpfs", FSOPEN_CLOEXEC);
}

static const struct {
	const char *name;
	int (*make)(void);
} fd_kinds[] = {
	{ "pipe", fd_make_pipe },	    { "socket", fd_make_socket },
	{ "packet", fd_make_packet },	    { "datagram", fd_make_datagram },
	{ "loose", fd_make_loose },	    { "listener", fd_make_listener },
	{ "tcp", fd_make_tcp },		    { "netlink", fd_make_netlink },
	{ "eventfd", fd_make_eventfd },	    { "epoll", fd_make_epoll },
	{ "timerfd", fd_make_timer },	    { "signalfd", fd_make_signal },
	{ "inotify", fd_make_inotify },	    { "pidfd", fd_make_pidfd },
	{ "memfd", fd_make_memfd },	    { "io_uring", fd_make_ring },
	{ "bpf-map", fd_make_map },	    { "perf", fd_make_perf },
	{ "namespace", fd_make_namespace }, { "userfault", fd_make_userfault },
	{ "fscontext", fd_make_context },
};

static int fd_make(const char *what)
{
	int fd = -1;

	errno = EINVAL;
	if (what[0] == '/')
		fd = open(what, O_RDONLY | O_CLOEXEC);
	else if (strncmp(what, "opath:", 6) == 0)
		fd = open(what + 6, O_PATH | O_CLOEXEC);
	else if (strncmp(what, "write:", 6) == 0)
		fd = open(what + 6, O_WRONLY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(fd_kinds); i++) {
		if (strcmp(what, fd_kinds[i].name) == 0)
			fd = fd_kinds[i].make();
	}
	if (fd < 0)
		exit(probe_broken(what));
	return fd;
}

/* ---- SCM_RIGHTS ---- */

union fd_control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static void fd_send(int socket, int fd)
{
	union fd_control control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
						 .cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS } };
	struct iovec data = { (char[]){ 'x' }, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(socket, &message, MSG_NOSIGNAL) != 1)
		_exit(probe_broken("sendmsg"));
}

static int fd_splice(int to)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0 || write(fds[1], "spliced", 7) != 7)
		return probe_broken("pipe");
	return probe_result(splice(fds[0], NULL, to, NULL, 7, 0) == 7 ? 0 : -1);
}

static int fd_receive(int socket, bool spliced)
{
	union fd_control control;
	int fd;
	char byte;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1)
		return probe_broken("recvmsg");
	if (spliced) {
		memset(&fd, 0xff, sizeof(fd));
		if (message.msg_controllen >= CMSG_LEN(sizeof(int)))
			memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
		return fd_splice(fd);
	}
	if (message.msg_flags & MSG_CTRUNC)
		(void)puts("CTRUNC");
	else
		(void)puts(message.msg_controllen >= CMSG_LEN(sizeof(int)) ? "0" : "nothing");
	return 0;
}

static int fd_try_scm(const char *cgroup, const char *what, bool spliced)
{
	int sockets[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
		return probe_broken("socketpair");
	pid = fork();
	if (pid == 0) {
		fd_send(sockets[1], fd_make(what));
		_exit(0);
	}
	(void)close(sockets[1]);
	probe_enter(cgroup);
	r = fd_receive(sockets[0], spliced);
	(void)waitpid(pid, NULL, 0);
	return r;
}

/* ---- pidfd_getfd ---- */

static int fd_try_getfd(const char *cgroup, const char *what)
{
	cleanup_fd int pidfd = -1, got = -1;
	int fd = fd_make(what), ready[2];
	char byte;
	pid_t pid;
	int r;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return probe_broken("pipe");
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		probe_enter(cgroup);
		(void)!write(ready[1], "x", 1);
		for (;;)
			(void)pause();
	}
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0 || read(ready[0], &byte, 1) != 1)
		return probe_broken("child");
	(void)close(fd);
	probe_enter(cgroup);
	got = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	r = probe_result(got);
	(void)fflush(stdout);
	(void)kill(pid, SIGKILL);
	return r;
}

/* ---- seccomp ---- */

static int fd_listen(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { ARRAY_SIZE(code), code };

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			    &filter);
}

/* The child asks getppid(), which we answer by putting a descriptor into it. */
static int fd_try_addfd(const char *cgroup, const char *what)
{
	struct seccomp_notif_addfd add = { .srcfd = (__u32)fd_make(what) };
	struct seccomp_notif request = { 0 };
	struct seccomp_notif_resp answer = { 0 };
	int sockets[2], r;
	union fd_control control;
	char byte;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int listener;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
		return probe_broken("socketpair");
	if (fork() == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		listener = fd_listen();
		if (listener < 0)
			_exit(probe_broken("seccomp"));
		fd_send(sockets[1], listener);
		probe_enter(cgroup);
		(void)syscall(SYS_getppid);
		_exit(0);
	}
	(void)close(sockets[1]);
	if (recvmsg(sockets[0], &message, MSG_CMSG_CLOEXEC) != 1 ||
	    message.msg_controllen < CMSG_LEN(sizeof(int)))
		return probe_broken("listener");
	memcpy(&listener, CMSG_DATA(&control.header), sizeof(listener));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
		return probe_broken("notification");
	add.id = answer.id = request.id;
	r = probe_result(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	(void)wait(NULL);
	return r;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	if (strcmp(argv[2], "scm") == 0 || strcmp(argv[2], "splice") == 0)
		return fd_try_scm(argv[1], argv[3], argv[2][1] == 'p');
	if (strcmp(argv[2], "getfd") == 0)
		return fd_try_getfd(argv[1], argv[3]);
	return strcmp(argv[2], "addfd") == 0 ? fd_try_addfd(argv[1], argv[3]) : 2;
}
