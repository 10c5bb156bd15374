/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries one thing that root can do to custody, and prints "allowed" or the errno's name. Run by
 * tests/root/8N-guard-*.sh, as root. What it succeeds in it does not undo. "ids" counts instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "cleanup.h"

static int probe_ids(const char *kind)
{
	unsigned int given = 0, refused = 0, other = 0;
	__u32 id = 0;

	for (;;) {
		int r = kind[0] == 'm' ? bpf_map_get_next_id(id, &id)
			: kind[0] == 'p' ? bpf_prog_get_next_id(id, &id)
					 : bpf_link_get_next_id(id, &id);
		int fd;

		if (r < 0)
			break;
		fd = kind[0] == 'm' ? bpf_map_get_fd_by_id(id)
		     : kind[0] == 'p' ? bpf_prog_get_fd_by_id(id) : bpf_link_get_fd_by_id(id);
		given += fd >= 0;
		refused += fd < 0 && errno == EPERM;
		other += fd < 0 && errno != EPERM;
		if (fd >= 0)
			(void)close(fd);
	}
	(void)printf("%u %u %u\n", given, refused, other);
	return 0;
}

static int probe_result(long r)
{
	(void)printf("%s\n", r < 0 ? strerrorname_np(errno) : "allowed");
	return 0;
}

static long probe_trace(pid_t pid)
{
	long r = ptrace(PTRACE_ATTACH, pid, NULL, NULL);

	if (r == 0) {
		(void)waitpid(pid, NULL, 0);
		(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
	}
	return r;
}

static long probe_mem(pid_t pid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	return open(path, O_RDWR | O_CLOEXEC);
}

/* A bad address: what is asked first is whether we may. EFAULT would mean that we may. */
static long probe_writev(pid_t pid)
{
	char byte = 0;
	struct iovec ours = { &byte, 1 }, theirs = { (void *)8, 1 };
	long r = process_vm_writev(pid, &ours, 1, &theirs, 1, 0);

	return r < 0 && errno == EFAULT ? 0 : r;
}

static long probe_getfd(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	return pidfd < 0 ? pidfd : syscall(SYS_pidfd_getfd, pidfd, 0, 0);
}

static long probe_limit(pid_t pid)
{
	struct rlimit now;

	if (prlimit(pid, RLIMIT_CORE, NULL, &now) < 0)
		return -1;
	return prlimit(pid, RLIMIT_CORE, &now, NULL);
}

/* Has the kernel send a signal on our behalf; allowed when the process was told so. */
static long probe_sigio(pid_t pid)
{
	int fds[2];

	if (pipe(fds) < 0 || fcntl(fds[0], F_SETOWN, pid) < 0 ||
	    fcntl(fds[0], F_SETSIG, SIGKILL) < 0 ||
	    fcntl(fds[0], F_SETFL, O_ASYNC | O_NONBLOCK) < 0 || write(fds[1], "x", 1) != 1)
		return -1;
	(void)usleep(200000);
	if (kill(pid, 0) < 0)
		return 0;
	errno = EPERM;
	return -1;
}

static long probe_enter(const char *cgroup)
{
	int fd = open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD,
				   .cgroup = (__u64)fd };
	long pid = fd < 0 ? -1 : syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		(void)waitpid((pid_t)pid, NULL, 0);
	return pid;
}

static long probe_open(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC, 0600);
}

static long probe_process(const char *verb, pid_t pid, const char *more)
{
	if (strcmp(verb, "trace") == 0)
		return probe_trace(pid);
	if (strcmp(verb, "mem") == 0)
		return probe_mem(pid);
	if (strcmp(verb, "writev") == 0)
		return probe_writev(pid);
	if (strcmp(verb, "getfd") == 0)
		return probe_getfd(pid);
	if (strcmp(verb, "limit") == 0)
		return probe_limit(pid);
	if (strcmp(verb, "sigio") == 0)
		return probe_sigio(pid);
	return kill(pid, atoi(more));
}

static long probe_path(const char *verb, const char *path, const char *more)
{
	if (strcmp(verb, "pin") == 0)
		return bpf_obj_get(path);
	if (strcmp(verb, "read") == 0)
		return probe_open(path, O_RDONLY);
	if (strcmp(verb, "write") == 0)
		return probe_open(path, O_WRONLY);
	if (strcmp(verb, "append") == 0)
		return probe_open(path, O_WRONLY | O_APPEND);
	if (strcmp(verb, "create") == 0)
		return probe_open(path, O_WRONLY | O_CREAT | O_EXCL);
	if (strcmp(verb, "truncate") == 0)
		return truncate(path, 0);
	if (strcmp(verb, "unlink") == 0)
		return unlink(path);
	if (strcmp(verb, "rmdir") == 0)
		return rmdir(path);
	if (strcmp(verb, "chmod") == 0)
		return chmod(path, 0777);
	if (strcmp(verb, "xattr") == 0)
		return setxattr(path, "trusted.custody", "x", 1, 0);
	if (strcmp(verb, "umount") == 0)
		return umount2(path, MNT_DETACH);
	if (strcmp(verb, "enter") == 0)
		return probe_enter(path);
	if (strcmp(verb, "rename") == 0)
		return rename(path, more);
	if (strcmp(verb, "link") == 0)
		return link(path, more);
	return mount(more, path, NULL, MS_BIND, NULL);
}

int main(int argc, char **argv)
{
	static const char *const processes[] = { "trace", "mem", "writev", "getfd", "limit",
						 "sigio", "kill" };

	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "ids") == 0)
		return probe_ids(argv[2]);
	for (size_t i = 0; i < ARRAY_SIZE(processes); i++) {
		if (strcmp(argv[1], processes[i]) == 0)
			return probe_result(probe_process(argv[1], atoi(argv[2]), argv[3]));
	}
	return probe_result(probe_path(argv[1], argv[2], argv[3]));
}
