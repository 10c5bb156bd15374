/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wastes what a jail lets it waste, for tests/attack/61-host-answers.sh, which looks at the host
 * meanwhile. Prints one line with what it got.
 *
 *   flood events SECONDS   refused system calls, as fast as they go
 *   flood bind SECONDS     refused bind(), which the broker answers
 *   flood log BYTES        that much to standard output
 *   flood fork             processes until the kernel refuses; they wait, then end
 *   flood files            descriptors until the kernel refuses
 *   flood fill FILE        a file until the kernel refuses
 *   flood names DIR        comm and file names full of terminal escapes
 *   flood idle PORT        accepts and says nothing, until the kernel refuses
 *   flood memory           memory until the kernel refuses or ends it
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

#define FLOOD_MOST 100000
#define FLOOD_MEMORY_MOST 2048UL
#define FLOOD_FILL_MOST (4ULL << 30)

static double flood_now(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int flood_events(const char *arg)
{
	const double end = flood_now() + atof(arg);
	unsigned long n = 0;

	while (flood_now() < end) {
		for (int i = 0; i < 100; i++, n++)
			(void)!chroot(".");
	}
	(void)printf("refused %lu\n", n);
	return 0;
}

static int flood_bind(const char *arg)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(1) };
	const double end = flood_now() + atof(arg);
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned long n = 0;

	for (; flood_now() < end; n++)
		(void)bind(fd, (const struct sockaddr *)&at, sizeof(at));
	(void)printf("refused %lu\n", n);
	return 0;
}

static int flood_log(const char *arg)
{
	static char chunk[65536];
	unsigned long long left = strtoull(arg, NULL, 10);

	memset(chunk, 'x', sizeof(chunk));
	while (left > 0) {
		ssize_t n = write(1, chunk, left < sizeof(chunk) ? (size_t)left : sizeof(chunk));

		if (n <= 0)
			return 1;
		left -= (unsigned long long)n;
	}
	return 0;
}

static int flood_fork(const char *arg)
{
	int n = 0;
	pid_t pid = 0;

	(void)arg;
	while (n < FLOOD_MOST && (pid = fork()) > 0)
		n++;
	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	(void)printf("processes %d %s\n", n, strerrorname_np(errno));
	(void)fflush(stdout);
	(void)sleep(1);
	return 0; /* init ends with us, and takes them along */
}

static int flood_files(const char *arg)
{
	int n = 0;

	(void)arg;
	while (n < FLOOD_MOST && open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
		n++;
	(void)printf("files %d %s\n", n, strerrorname_np(errno));
	return 0;
}

static int flood_fill(const char *path)
{
	static char chunk[1 << 20];
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	unsigned long long done = 0;
	ssize_t n = 0;

	memset(chunk, 'x', sizeof(chunk));
	while (fd >= 0 && done < FLOOD_FILL_MOST && (n = write(fd, chunk, sizeof(chunk))) > 0)
		done += (unsigned long long)n;
	(void)printf("bytes %llu %s\n", done, n < 0 || fd < 0 ? strerrorname_np(errno) : "0");
	return 0;
}

static int flood_names(const char *dir)
{
	char path[512];

	(void)prctl(PR_SET_NAME, "\033[2J\a\n\033]0;x\a", 0, 0, 0);
	(void)!chroot(".");
	(void)snprintf(path, sizeof(path),
		       "%s/evil\033[31m\n{\"verdict\":\"allowed\"}\r\x9b\x7f", dir);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) < 0;
}

/* All of it is touched: this is for a jail with a limit. */
static int flood_memory(const char *arg)
{
	unsigned long n = 0;
	char *p;

	(void)arg;
	while (n < FLOOD_MEMORY_MOST && (p = malloc(1 << 20))) {
		memset(p, 'x', 1 << 20);
		n++;
	}
	(void)printf("megabytes %lu\n", n);
	return 0;
}

/* Connections that are accepted and never answered: the other side must find another way. */
static int flood_idle(const char *port)
{
	const struct sockaddr_in at = { .sin_family = AF_INET,
					.sin_port = htons((in_port_t)atoi(port)),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int n = 0;

	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 64) < 0)
		return 1;
	(void)printf("idle\n");
	(void)fflush(stdout);
	while (accept4(fd, NULL, NULL, SOCK_CLOEXEC) >= 0)
		n++;
	(void)printf("accepted %d %s\n", n, strerrorname_np(errno));
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const char *arg);
	} modes[] = {
		{ "events", flood_events }, { "bind", flood_bind }, { "log", flood_log },
		{ "fork", flood_fork }, { "files", flood_files }, { "fill", flood_fill },
		{ "names", flood_names }, { "memory", flood_memory }, { "idle", flood_idle },
	};

	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(modes); i++) {
		if (strcmp(argv[1], modes[i].name) == 0)
			return modes[i].run(argc > 2 ? argv[2] : "");
	}
	return 2;
}
