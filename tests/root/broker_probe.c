/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test helper, run by broker_driver in place of a model: servers and attacks on bind().
 *
 *   serve ADDRESS PORT N         C server: epoll, non-blocking, accept4; answers N requests
 *   bind TYPE ADDRESS PORT       prints what bind() says and the name of the socket then
 *   bind6only ADDRESS PORT       the same on an IPv6 socket with IPV6_V6ONLY
 *   unix TYPE PATH               the same on a UNIX socket
 *   malformed PORT               wrong calls: lengths, pointers, families, descriptors
 *   rewrite GOOD BAD             a thread rewrites the port while another binds
 *   killed PORT                  processes killed inside bind()
 *   flags PORT                   close-on-exec, O_NONBLOCK and options survive the grant
 *   threads PORT                 bind() from a thread that unshared its fd table
 *   accepted PORT OTHER          an accepted socket, disconnected, tries to bind OTHER
 *
 * Each prints lines; the script compares them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"

union probe_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_storage storage;
};

static socklen_t probe_parse(const char *address, const char *port, union probe_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET6, address, &ret->in6.sin6_addr) == 1) {
		ret->in6.sin6_family = AF_INET6;
		ret->in6.sin6_port = htons((uint16_t)atoi(port));
		return sizeof(ret->in6);
	}
	ret->in.sin_family = AF_INET;
	ret->in.sin_port = htons((uint16_t)atoi(port));
	if (inet_pton(AF_INET, address, &ret->in.sin_addr) != 1)
		exit(99);
	return sizeof(ret->in);
}

static void probe_print(const char *what, int r, int fd)
{
	union probe_address name = { 0 };
	socklen_t size = sizeof(name);
	char text[INET6_ADDRSTRLEN] = "-";
	const char *result = r < 0 ? strerrorname_np(errno) : "granted";

	if (r < 0) {
		(void)printf("%s: %s\n", what, result);
		return;
	}
	(void)getsockname(fd, &name.any, &size);
	if (name.any.sa_family == AF_UNIX) {
		(void)printf("%s: bound %s\n", what, name.un.sun_path);
	} else if (name.any.sa_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &name.in6.sin6_addr, text, sizeof(text));
		(void)printf("%s: bound [%s]:%u\n", what, text, ntohs(name.in6.sin6_port));
	} else {
		(void)inet_ntop(AF_INET, &name.in.sin_addr, text, sizeof(text));
		(void)printf("%s: bound %s:%u\n", what, text, ntohs(name.in.sin_port));
	}
}

static int probe_bind(char **argv, bool v6only)
{
	union probe_address address;
	int type = strcmp(argv[2], "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;
	socklen_t size = probe_parse(argv[3], argv[4], &address);
	cleanup_fd int fd = socket(address.any.sa_family, type, 0);
	int one = 1;

	if (v6only && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
		return 99;
	probe_print("bind", bind(fd, &address.any, size), fd);
	return 0;
}

static int probe_unix(char **argv)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int type = strcmp(argv[2], "dgram") == 0 ? SOCK_DGRAM : SOCK_STREAM;
	cleanup_fd int fd = socket(AF_UNIX, type, 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", argv[3]);
	probe_print("unix", bind(fd, (struct sockaddr *)&un, sizeof(un)), fd);
	return 0;
}

static void probe_answer(int fd)
{
	static const char answer[] = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nepoll";
	char request[1024];

	(void)fcntl(fd, F_SETFL, 0);
	(void)!read(fd, request, sizeof(request));
	(void)!write(fd, answer, sizeof(answer) - 1);
}

static int probe_serve(char **argv)
{
	union probe_address address;
	socklen_t size = probe_parse(argv[2], argv[3], &address);
	const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	cleanup_fd int fd = socket(address.any.sa_family, type, 0);
	cleanup_fd int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };

	if (bind(fd, &address.any, size) < 0 || listen(fd, 16) < 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
		perror("serve");
		return 1;
	}
	for (int left = atoi(argv[4]); left > 0;) {
		if (epoll_wait(epoll, &event, 1, 10000) != 1)
			return 2;
		for (;;) {
			cleanup_fd int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

			if (peer < 0)
				break;
			probe_answer(peer);
			left--;
		}
		if (errno != EAGAIN)
			return 3;
	}
	return 0;
}

static void probe_malformed_one(const char *what, int fd, const void *address, socklen_t size)
{
	probe_print(what, (int)syscall(SYS_bind, fd, address, size), fd);
}

static int probe_malformed(char **argv)
{
	union probe_address good;
	union probe_address odd;
	socklen_t size = probe_parse("0.0.0.0", argv[2], &good);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int fd6 = socket(AF_INET6, SOCK_STREAM, 0);

	probe_malformed_one("length 0", fd, &good, 0);
	probe_malformed_one("length 1", fd, &good, 1);
	probe_malformed_one("length 15", fd, &good, 15);
	probe_malformed_one("length 129", fd, &good, 129);
	probe_malformed_one("length -1", fd, &good, (socklen_t)-1);
	probe_malformed_one("length 2^31", fd, &good, 0x80000000U);
	probe_malformed_one("null", fd, NULL, size);
	probe_malformed_one("kernel pointer", fd, (void *)0xffff800000000000UL, size);
	odd = good;
	odd.any.sa_family = AF_INET6;
	probe_malformed_one("in6 on in", fd, &odd, sizeof(odd.in6));
	probe_malformed_one("in on in6", fd6, &good, size);
	odd.any.sa_family = 4242;
	probe_malformed_one("family 4242", fd, &odd, size);
	probe_malformed_one("closed fd", 900, &good, size);
	probe_malformed_one("fd -1", -1, &good, size);
	probe_malformed_one("not a socket", STDIN_FILENO, &good, size);
	probe_malformed_one("good", fd, &good, size);
	return 0;
}

struct probe_race {
	_Atomic int stop;
	union probe_address *address;
	uint16_t good;
	uint16_t bad;
};

static void *probe_rewrite_port(void *arg)
{
	struct probe_race *race = arg;
	volatile uint16_t *port = &race->address->in.sin_port;

	while (!race->stop) {
		*port = race->good;
		*port = race->bad;
	}
	return NULL;
}

static int probe_rewrite(char **argv)
{
	union probe_address address;
	socklen_t size = probe_parse("0.0.0.0", argv[2], &address);
	struct probe_race race = { .address = &address, .good = htons((uint16_t)atoi(argv[2])),
				   .bad = htons((uint16_t)atoi(argv[3])) };
	int granted = 0, denied = 0, wrong = 0;
	pthread_t thread;

	if (pthread_create(&thread, NULL, probe_rewrite_port, &race) != 0)
		return 99;
	for (int i = 0; i < 2000; i++) {
		cleanup_fd int fd = socket(AF_INET, SOCK_STREAM, 0);
		union probe_address name = { 0 };
		socklen_t n = sizeof(name);

		if (bind(fd, &address.any, size) < 0) {
			denied += errno == EACCES;
			wrong += errno != EACCES;
			continue;
		}
		(void)getsockname(fd, &name.any, &n);
		granted++;
		wrong += name.in.sin_port != race.good;
	}
	race.stop = 1;
	(void)pthread_join(thread, NULL);
	(void)printf("both=%d wrong=%d sum=%d\n", granted > 0 && denied > 0, wrong,
		     granted + denied);
	return 0;
}

static int probe_killed(char **argv)
{
	char *again[] = { argv[0], "bind", "tcp", "0.0.0.0", argv[2] };

	for (int i = 0; i < 200; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			union probe_address address;
			socklen_t size = probe_parse("0.0.0.0", argv[2], &address);

			for (;;)
				(void)bind(socket(AF_INET, SOCK_STREAM, 0), &address.any, size);
		}
		(void)usleep((useconds_t)(i * 10));
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	return probe_bind(again, false);
}

static void probe_print_flags(const char *what, int fd)
{
	int keepalive = 0, nodelay = 0, buffer = 0;
	socklen_t n = sizeof(int);

	(void)getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &n);
	(void)getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &n);
	(void)getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, &n);
	(void)printf("%s: cloexec=%d nonblock=%d keepalive=%d nodelay=%d rcvbuf=%d\n", what,
		     (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0,
		     (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0, keepalive, nodelay, buffer);
}

static int probe_flags(char **argv)
{
	union probe_address address;
	socklen_t size = probe_parse("0.0.0.0", argv[2], &address);
	int plain = socket(AF_INET, SOCK_STREAM, 0);
	int full = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;
	int buffer = 100000;

	if (bind(plain, &address.any, size) < 0)
		return 1;
	probe_print_flags("plain", plain);
	(void)setsockopt(full, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	(void)setsockopt(full, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(full, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	if (bind(full, &address.any, size) < 0)
		return 1;
	probe_print_flags("full", full);
	return 0;
}

static void *probe_bind_unshared(void *arg)
{
	union probe_address *address = arg;
	int fd;

	if (unshare(CLONE_FILES) < 0)
		return NULL;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	probe_print("own table", bind(fd, &address->any, sizeof(address->in)), fd);
	return NULL;
}

static int probe_threads(char **argv)
{
	union probe_address address;
	pthread_t thread;

	(void)probe_parse("0.0.0.0", argv[2], &address);
	if (pthread_create(&thread, NULL, probe_bind_unshared, &address) != 0)
		return 99;
	return pthread_join(thread, NULL);
}

/* An accepted socket lives in the host's network namespace and can be disconnected. */
static int probe_accepted(char **argv)
{
	union probe_address address;
	union probe_address other;
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	socklen_t size = probe_parse("0.0.0.0", argv[2], &address);
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM, 0);
	cleanup_fd int peer = -1;

	if (bind(fd, &address.any, size) < 0 || listen(fd, 4) < 0)
		return 1;
	peer = accept(fd, NULL, NULL);
	if (peer < 0 || connect(peer, &none, sizeof(none)) < 0)
		return 2;
	size = probe_parse("127.0.0.1", argv[3], &other);
	probe_print("host loopback", bind(peer, &other.any, size), peer);
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(verb, "serve") == 0 && argc == 5)
		return probe_serve(argv);
	if (strcmp(verb, "bind") == 0 && argc == 5)
		return probe_bind(argv, false);
	if (strcmp(verb, "bind6only") == 0 && argc == 4) {
		char *as_bind[] = { argv[0], "bind", "tcp", argv[2], argv[3] };

		return probe_bind(as_bind, true);
	}
	if (strcmp(verb, "unix") == 0 && argc == 4)
		return probe_unix(argv);
	if (strcmp(verb, "malformed") == 0 && argc == 3)
		return probe_malformed(argv);
	if (strcmp(verb, "rewrite") == 0 && argc == 4)
		return probe_rewrite(argv);
	if (strcmp(verb, "killed") == 0 && argc == 3)
		return probe_killed(argv);
	if (strcmp(verb, "flags") == 0 && argc == 3)
		return probe_flags(argv);
	if (strcmp(verb, "threads") == 0 && argc == 3)
		return probe_threads(argv);
	if (strcmp(verb, "accepted") == 0 && argc == 4)
		return probe_accepted(argv);
	return 98;
}
