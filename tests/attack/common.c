/* SPDX-License-Identifier: Apache-2.0 */
/* attack.h. Linked into every program of tests/attack; runs as whoever runs the attack. */
#include "attack.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ATTACK_TIME_S 30
#define ATTACK_NOBODY 65534
#define ATTACK_REASON_FD 100	/* of the child: the reader is its maker */
#define ATTACK_STATUS_UNTRIED 255
#define ATTACK_STATUS_BROKEN 254

const char *attack_env(const char *name)
{
	char variable[64];
	const char *value;

	(void)snprintf(variable, sizeof(variable), "ATTACK_%s", name);
	value = getenv(variable);
	return value ? value : "";
}

const char *attack_path(const char *variable, const char *below, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s/%s", attack_env(variable), below);
	return buf;
}

in_port_t attack_port(const char *variable)
{
	return (in_port_t)atoi(attack_env(variable));
}

pid_t attack_victim(void)
{
	return (pid_t)atoi(attack_env("VICTIM"));
}

int attack_result(long r)
{
	return r < 0 ? -errno : 0;
}

int attack_untried(const char *why)
{
	(void)dprintf(ATTACK_REASON_FD, "%s", why);
	return ATTACK_UNTRIED;
}

int attack_open(const char *path, int flags)
{
	cleanup_fd int fd = open(path, flags | O_CLOEXEC, 0700);

	return fd < 0 ? -errno : 0;
}

int attack_read(const char *path)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char byte;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, &byte, 1);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return n == 1 ? 0 : -ENODATA;
}

int attack_write(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return text ? attack_result(write(fd, text, strlen(text))) : 0;
}

int attack_make_file(const char *path, const char *program, const char *text)
{
	cleanup_fd int in = program ? open(program, O_RDONLY | O_CLOEXEC) : -1;
	cleanup_fd int out = -1;
	char buf[65536];
	ssize_t n;

	(void)unlink(path);
	out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	if (out < 0 || (program && in < 0))
		return attack_untried("the file cannot be made");
	if (text && write(out, text, strlen(text)) != (ssize_t)strlen(text))
		return attack_untried("the file cannot be written");
	while (program && (n = read(in, buf, sizeof(buf))) > 0) {
		if (write(out, buf, (size_t)n) != n)
			return attack_untried("the file cannot be written");
	}
	return 0;
}

int attack_execute(const char *const *args, int instead)
{
	int status = 0;
	int error = 0;
	int told[2];
	pid_t pid;

	if (pipe2(told, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		return attack_untried("no process");
	if (pid == 0) {
		(void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
		(void)execv(args[0], (char *const *)(__UINTPTR_TYPE__)args);
		error = errno;
		(void)!write(told[1], &error, sizeof(error));
		_exit(1);
	}
	(void)close(told[1]);
	(void)!read(told[0], &error, sizeof(error));
	(void)close(told[0]);
	if (waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	if (error)
		return -error;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : instead;
}

pid_t attack_fork_sleeper(void)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		(void)pause();
}

int attack_map(const char *path, int prot, int flags)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return -errno;
	p = mmap(NULL, 4096, prot, flags, fd, 0);
	return p == MAP_FAILED ? -errno : 0;
}

struct sockaddr_in attack_address(in_port_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

union attack_control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int attack_send_fd(int socket, int fd)
{
	union attack_control control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
						     .cmsg_level = SOL_SOCKET,
						     .cmsg_type = SCM_RIGHTS } };
	struct iovec data = { .iov_base = "x", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	return attack_result(sendmsg(socket, &message, MSG_NOSIGNAL));
}

/* 0 with the fd; -EACCES when the kernel withheld it, as an LSM makes it do. */
int attack_receive_fd(int socket, int *ret)
{
	union attack_control control;
	char byte;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);

	if (n < 0)
		return -errno;
	if (n != 1)
		return -ENODATA;
	if (message.msg_controllen < CMSG_LEN(sizeof(int)))
		return message.msg_flags & MSG_CTRUNC ? -EACCES : -ENODATA;
	memcpy(ret, CMSG_DATA(&control.header), sizeof(*ret));
	return 0;
}

/* ---- running a table ---- */

/* Outside, what an attack mounts or names goes with it. */
static void attack_leave_others(void)
{
	if (!*attack_env("OUTSIDE"))
		return;
	if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		_exit(ATTACK_STATUS_BROKEN);
}

static void attack_run_child(const struct attack *attack, int reason)
{
	int r;

	(void)prctl(PR_SET_NAME, attack->name, 0, 0, 0);
	(void)alarm(ATTACK_TIME_S);
	if (dup2(reason, ATTACK_REASON_FD) < 0)
		_exit(ATTACK_STATUS_BROKEN);
	attack_leave_others();
	if (attack->flags & ATTACK_USER && geteuid() == 0 &&
	    (setresgid(ATTACK_NOBODY, ATTACK_NOBODY, ATTACK_NOBODY) < 0 ||
	     setresuid(ATTACK_NOBODY, ATTACK_NOBODY, ATTACK_NOBODY) < 0))
		_exit(ATTACK_STATUS_BROKEN);
	r = attack->run();
	if (r == ATTACK_UNTRIED)
		_exit(ATTACK_STATUS_UNTRIED);
	_exit(r > 0 || r < -200 ? ATTACK_STATUS_BROKEN : -r);
}

static void attack_print_status(int status)
{
	const char *error;

	if (WIFSIGNALED(status)) {
		(void)printf("SIG%s", sigabbrev_np(WTERMSIG(status)));
		return;
	}
	switch (WEXITSTATUS(status)) {
	case 0:
		(void)printf("succeeded");
		break;
	case ATTACK_STATUS_UNTRIED:
		(void)printf("untried");
		break;
	case ATTACK_STATUS_BROKEN:
		(void)printf("broken");
		break;
	default:
		error = strerrorname_np(WEXITSTATUS(status));
		(void)printf("%s", error ? error : "broken");
	}
}

static void attack_run_one(const struct attack *attack)
{
	char reason[128] = "";
	int status = 0;
	int told[2];
	pid_t pid;

	(void)fflush(stdout);
	if (pipe2(told, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		(void)printf("%s\tbroken\tno process\n", attack->name);
		return;
	}
	if (pid == 0) {
		(void)close(told[0]);
		attack_run_child(attack, told[1]);
	}
	(void)close(told[1]);
	if (waitpid(pid, &status, 0) != pid)
		exit(2);
	(void)fcntl(told[0], F_SETFL, O_NONBLOCK);
	(void)!read(told[0], reason, sizeof(reason) - 1);
	(void)close(told[0]);
	(void)printf("%s\t", attack->name);
	attack_print_status(status);
	(void)printf("\t%s\n", reason);
}

static int attack_is_named(int argc, char **argv, const char *name)
{
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], name) == 0)
			return 1;
	}
	return argc <= 2;
}

int attack_main(int argc, char **argv, const struct attack *table, size_t n)
{
	const char *verb = argc > 1 ? argv[1] : "";

	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(verb, "list") == 0)
			(void)printf("%s\t%s\t%u\t%s\t%s\n", table[i].name, table[i].errnos,
				     table[i].flags, table[i].text, table[i].opened);
		else if (strcmp(verb, "run") != 0)
			return 2;
		else if (attack_is_named(argc, argv, table[i].name))
			attack_run_one(&table[i]);
	}
	return 0;
}
