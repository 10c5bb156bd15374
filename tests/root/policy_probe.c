/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries one thing from inside a cgroup and prints the errno it got, "0" when it was allowed.
 * Run as root by tests/root/2*.sh. Exits 2 when the thing could not be tried, so that a broken
 * probe never passes as a denial.
 *
 *   policy_probe CGROUP ACTION ARGUMENT...      CGROUP: directory, or "-" to stay where we are
 *     open PATH r|w              mknod PATH MAJOR MINOR       burst PATH N (prints how many EPERM)
 *     socket FAMILY TYPE PROTOCOL
 *     bind|connect|sendto 4|6 tcp|udp ADDRESS PORT
 *     serve F ADDRESS PORT BYTES READY     accepts once, sends BYTES, waits for the peer's end
 *     fetch F ADDRESS PORT                 connects, prints how many bytes came
 *     regain OUTSIDE MODEL PORT TARGET FILE     CGROUP: the broker's; see probe_regain()
 *     exec PATH    exit CODE    threads N (all end, the first one last)
 *     filter NR ERRNO           raw system call NR, that a seccomp filter answers with ERRNO
 *     memfd                     opens a memfd again through /proc
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"

#define PROBE_WAIT_MS 10000
#define PROBE_INTRUDER_MS 2000 /* longer than probe_fetch() tries */

union probe_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static int probe_broken(const char *what)
{
	(void)fprintf(stderr, "policy_probe: %s: %s\n", what, strerror(errno));
	return 2;
}

static int probe_result(int r)
{
	const char *name = r < 0 ? strerrorname_np(errno) : "0";

	(void)printf("%s\n", name ? name : "?");
	return 0;
}

static int probe_enter(const char *cgroup)
{
	cleanup_fd int fd = -1;
	char path[512];

	if (strcmp(cgroup, "-") == 0)
		return 0;
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, "0", 1) != 1 ? -1 : 0;
}

static socklen_t probe_parse_address(const char *family, const char *address, const char *port,
				     union probe_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (family[0] == '4') {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons((unsigned short)atoi(port));
		return inet_pton(AF_INET, address, &ret->v4.sin_addr) == 1 ? sizeof(ret->v4) : 0;
	}
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons((unsigned short)atoi(port));
	return inet_pton(AF_INET6, address, &ret->v6.sin6_addr) == 1 ? sizeof(ret->v6) : 0;
}

static int probe_open(char **argv)
{
	cleanup_fd int fd = open(argv[0], (argv[1][0] == 'w' ? O_WRONLY : O_RDONLY) | O_CLOEXEC);

	return probe_result(fd);
}

static int probe_mknod(char **argv)
{
	return probe_result(
		mknod(argv[0], S_IFCHR | 0600,
		      makedev((unsigned int)atoi(argv[1]), (unsigned int)atoi(argv[2]))));
}

static int probe_burst(char **argv)
{
	int denied = 0;

	for (int i = 0; i < atoi(argv[1]); i++) {
		cleanup_fd int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

		if (fd < 0 && errno == EPERM)
			denied++;
	}
	(void)printf("%d\n", denied);
	return 0;
}

static int probe_socket(char **argv)
{
	cleanup_fd int fd = socket(atoi(argv[0]), atoi(argv[1]), atoi(argv[2]));

	return probe_result(fd);
}

static int probe_name_address(const char *action, char **argv)
{
	union probe_address address;
	socklen_t len = probe_parse_address(argv[0], argv[2], argv[3], &address);
	int type = strcmp(argv[1], "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;
	cleanup_fd int fd = socket(address.any.sa_family, type | SOCK_CLOEXEC, 0);

	if (len == 0 || fd < 0)
		return probe_broken("socket");
	if (strcmp(action, "bind") == 0)
		return probe_result(bind(fd, &address.any, len));
	if (strcmp(action, "connect") == 0)
		return probe_result(connect(fd, &address.any, len));
	return probe_result((int)sendto(fd, "x", 1, MSG_NOSIGNAL, &address.any, len));
}

static int probe_bind(char **argv)
{
	return probe_name_address("bind", argv);
}

static int probe_connect(char **argv)
{
	return probe_name_address("connect", argv);
}

static int probe_sendto(char **argv)
{
	return probe_name_address("sendto", argv);
}

static int probe_listen(const char *family, const char *host, const char *port)
{
	union probe_address address;
	socklen_t len = probe_parse_address(family, host, port, &address);
	cleanup_fd int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	if (len == 0 || fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, &address.any, len) < 0 || listen(fd, 4) < 0)
		return -1;
	return TAKE_FD(fd);
}

/* Waits until the fd can be read, so that a test that goes wrong ends. */
static int probe_wait(int fd, int ms)
{
	struct pollfd event = { .fd = fd, .events = POLLIN };

	return poll(&event, 1, ms) == 1 ? 0 : -1;
}

static int probe_touch(const char *path, unsigned int number)
{
	char temporary[512];
	FILE *file;

	(void)snprintf(temporary, sizeof(temporary), "%s.new", path);
	file = fopen(temporary, "we");
	if (!file)
		return -1;
	(void)fprintf(file, "%u\n", number);
	return fclose(file) == 0 ? rename(temporary, path) : -1;
}

static int probe_serve(char **argv)
{
	cleanup_fd int fd = probe_listen(argv[0], argv[1], argv[2]);
	size_t size = (size_t)atoi(argv[3]);
	cleanup_ptr char *bytes = calloc(1, size);
	cleanup_fd int peer = -1;
	char c;

	if (fd < 0 || !bytes || probe_touch(argv[4], 0) < 0)
		return probe_broken("listen");
	peer = probe_wait(fd, PROBE_WAIT_MS) < 0 ? -1 : accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (peer < 0)
		return probe_broken("accept");
	if (send(peer, bytes, size, MSG_NOSIGNAL) != (ssize_t)size || shutdown(peer, SHUT_WR) < 0 ||
	    probe_wait(peer, PROBE_WAIT_MS) < 0 || read(peer, &c, 1) != 0)
		return probe_broken("send");
	return probe_result(0);
}

static int probe_fetch(char **argv)
{
	union probe_address address;
	socklen_t len = probe_parse_address(argv[0], argv[1], argv[2], &address);
	cleanup_fd int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval wait = { .tv_sec = 1 };
	char bytes[65536];
	long sum = 0;
	ssize_t n;

	if (len == 0 || fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0)
		return probe_broken("socket");
	if (connect(fd, &address.any, len) < 0)
		return probe_result(-1);
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		sum += n;
	(void)printf("%ld\n", sum);
	return 0;
}

/* Listens without bind, which takes a free port; tells it; waits whether anybody gets through. */
static int probe_listen_anywhere(int fd, const char *file)
{
	union probe_address address;
	socklen_t len = sizeof(address);
	cleanup_fd int peer = -1;

	if (listen(fd, 4) < 0)
		return probe_result(-1);
	if (getsockname(fd, &address.any, &len) < 0 ||
	    probe_touch(file, ntohs(address.v4.sin_port)) < 0)
		return probe_broken("listen");
	errno = ETIMEDOUT;
	if (probe_wait(fd, PROBE_INTRUDER_MS) == 0)
		peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	return probe_result(peer);
}

/*
 * The way round bind and round "loopback only": the model holds a socket of the host's network
 * namespace, because its broker listened with it. It disconnects what it accepts, which makes
 * that a fresh socket there. Prints what the host's loopback then answers: to connect, to bind,
 * and to a listener on a free port.
 */
static int probe_regain(char **argv)
{
	const char *outside = argv[0], *model = argv[1], *port = argv[2], *target = argv[3];
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	cleanup_fd int listener = probe_listen("4", "127.0.0.1", port);
	union probe_address at, free_port;
	socklen_t len = probe_parse_address("4", "127.0.0.1", port, &at);
	cleanup_fd int client = -1, fd = -1;

	if (listener < 0 || probe_enter(outside) < 0)
		return probe_broken("listen");
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client < 0 || connect(client, &at.any, len) < 0)
		return probe_broken("connect");
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0 || probe_enter(model) < 0 || connect(fd, &unspec, sizeof(unspec)) < 0)
		return probe_broken("disconnect");
	(void)probe_parse_address("4", "127.0.0.1", target, &at);
	(void)probe_parse_address("4", "127.0.0.1", "0", &free_port);
	(void)probe_result(connect(fd, &at.any, len));
	(void)probe_result(bind(fd, &free_port.any, len));
	return probe_listen_anywhere(fd, argv[4]);
}

static int probe_exec(char **argv)
{
	(void)execv(argv[0], argv);
	return probe_result(-1);
}

static int probe_exit(char **argv)
{
	return atoi(argv[0]);
}

/* The filter lets everything else pass; a system call it answers is never begun. */
static int probe_filter(char **argv)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int nr = atoi(argv[0]);

	if (!filter ||
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned int)atoi(argv[1])), nr, 0) < 0 ||
	    seccomp_load(filter) < 0)
		return probe_broken("seccomp");
	seccomp_release(filter);
	return probe_result(syscall(nr, -1, 0, 0, 0, 0, 0) < 0 ? -1 : 0);
}

static int probe_memfd(char **argv)
{
	cleanup_fd int memory = memfd_create("custody-test", MFD_CLOEXEC), fd = -1;
	char path[64];

	(void)argv;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return probe_result(fd);
}

static void *probe_thread(void *data)
{
	return data;
}

static int probe_threads(char **argv)
{
	pthread_t threads[64];
	int n = atoi(argv[0]);

	if (n > (int)ARRAY_SIZE(threads))
		return 2;
	for (int i = 0; i < n; i++) {
		if (pthread_create(&threads[i], NULL, probe_thread, NULL) != 0)
			return probe_broken("pthread_create");
	}
	for (int i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
	return probe_result(0);
}

static const struct {
	const char *action;
	int n_args;
	int (*run)(char **argv);
} probe_actions[] = {
	{ "open", 2, probe_open },     { "mknod", 3, probe_mknod }, { "burst", 2, probe_burst },
	{ "socket", 3, probe_socket }, { "bind", 4, probe_bind },   { "connect", 4, probe_connect },
	{ "sendto", 4, probe_sendto }, { "serve", 5, probe_serve }, { "fetch", 3, probe_fetch },
	{ "regain", 5, probe_regain }, { "exec", 1, probe_exec },   { "exit", 1, probe_exit },
	{ "filter", 2, probe_filter }, { "memfd", 0, probe_memfd }, { "threads", 1, probe_threads },
};

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (probe_enter(argv[1]) < 0)
		return probe_broken(argv[1]);
	for (size_t i = 0; i < ARRAY_SIZE(probe_actions); i++) {
		if (strcmp(argv[2], probe_actions[i].action) == 0 &&
		    argc - 3 == probe_actions[i].n_args)
			return probe_actions[i].run(argv + 3);
	}
	return 2;
}
