/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends as much as it can from inside a cgroup, with several threads spread over the processors,
 * and counts what arrives elsewhere. Run as root by tests/root/28-ceiling.sh.
 *
 *   ceiling_probe CGROUP udp ADDRESS PORT TO-ADDRESS TO-PORT THREADS PACKETS SIZE
 *     every thread binds ADDRESS:PORT (SO_REUSEPORT; port 0: it does not bind) and sends PACKETS
 *     of SIZE bytes; prints
 *     "sent refused", refused those that got EPERM
 *   ceiling_probe CGROUP tcp ADDRESS PORT THREADS SECONDS READY
 *     accepts THREADS connections and writes to each for SECONDS
 *   ceiling_probe - count-udp ADDRESS PORT IDLE-MS READY
 *     prints "payload packets" of what came until nothing came for IDLE-MS
 *   ceiling_probe - count-tcp ADDRESS PORT CONNECTIONS SECONDS SKIP
 *     reads from all of them; prints "bytes" of all, and bytes a second after the first SKIP s
 *   ceiling_probe CGROUP sendto ADDRESS PORT TO-ADDRESS TO-PORT   one packet; prints its errno
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

#define PROBE_THREADS 16
#define PROBE_BUFFER (64 << 20)
#define PROBE_NSEC 1000000000ULL

struct probe_job {
	struct sockaddr_in from, to;
	long packets, size;
	unsigned long long end_ns;
	int fd, number;
	long sent, refused;
};

static int probe_broken(const char *what)
{
	(void)fprintf(stderr, "ceiling_probe: %s: %s\n", what, strerror(errno));
	return 2;
}

static unsigned long long probe_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned long long)now.tv_sec * PROBE_NSEC + (unsigned long long)now.tv_nsec;
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

static struct sockaddr_in probe_address(const char *address, const char *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons((unsigned short)atoi(port)) };

	if (inet_pton(AF_INET, address, &in.sin_addr) != 1)
		exit(2);
	return in;
}

static int probe_bind(int type, const struct sockaddr_in *address)
{
	cleanup_fd int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	int one = 1, room = PROBE_BUFFER;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0 ||
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return -1;
	return TAKE_FD(fd);
}

static int probe_touch(const char *path)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? -1 : 0;
}

static void probe_pin(int number)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)(number % (int)sysconf(_SC_NPROCESSORS_ONLN)), &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static void *probe_blast(void *data)
{
	struct probe_job *job = data;
	cleanup_ptr char *bytes = calloc(1, (size_t)job->size);

	probe_pin(job->number);
	for (long i = 0; bytes && i < job->packets; i++) {
		ssize_t n = sendto(job->fd, bytes, (size_t)job->size, 0,
				   (struct sockaddr *)&job->to, sizeof(job->to));

		job->sent += n == job->size;
		job->refused += n < 0 && errno == EPERM;
	}
	return NULL;
}

static void *probe_write(void *data)
{
	struct probe_job *job = data;
	static const char bytes[1 << 18];

	probe_pin(job->number);
	while (probe_now() < job->end_ns) {
		struct pollfd p = { .fd = job->fd, .events = POLLOUT };

		if (poll(&p, 1, 100) <= 0)
			continue;
		if (send(job->fd, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
		    errno != EAGAIN)
			break;
	}
	return NULL;
}

static int probe_run_all(struct probe_job *jobs, int n, void *(*run)(void *))
{
	pthread_t threads[PROBE_THREADS];

	for (int i = 0; i < n; i++) {
		if (pthread_create(&threads[i], NULL, run, &jobs[i]) != 0)
			return -1;
	}
	for (int i = 0; i < n; i++)
		(void)pthread_join(threads[i], NULL);
	return 0;
}

static int probe_udp(char **argv)
{
	struct probe_job jobs[PROBE_THREADS] = { 0 };
	int n = atoi(argv[4]);
	long sent = 0, refused = 0;

	for (int i = 0; i < n && i < PROBE_THREADS; i++) {
		jobs[i] = (struct probe_job){ .number = i,
					      .from = probe_address(argv[0], argv[1]),
					      .to = probe_address(argv[2], argv[3]),
					      .packets = atol(argv[5]),
					      .size = atol(argv[6]) };
		jobs[i].fd = jobs[i].from.sin_port
				     ? probe_bind(SOCK_DGRAM, &jobs[i].from)
				     : socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (jobs[i].fd < 0)
			return probe_broken("bind");
	}
	if (n > PROBE_THREADS || probe_run_all(jobs, n, probe_blast) < 0)
		return probe_broken("threads");
	for (int i = 0; i < n; i++) {
		sent += jobs[i].sent;
		refused += jobs[i].refused;
	}
	(void)printf("%ld %ld\n", sent, refused);
	return 0;
}

static int probe_sendto(char **argv)
{
	struct sockaddr_in from = probe_address(argv[0], argv[1]);
	struct sockaddr_in to = probe_address(argv[2], argv[3]);
	cleanup_fd int fd = from.sin_port ? probe_bind(SOCK_DGRAM, &from)
					  : socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return probe_broken("bind");
	(void)printf("%s\n", sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1
				     ? "0" : strerrorname_np(errno));
	return 0;
}

static int probe_tcp(char **argv)
{
	struct sockaddr_in address = probe_address(argv[0], argv[1]);
	struct probe_job jobs[PROBE_THREADS] = { 0 };
	cleanup_fd int fd = probe_bind(SOCK_STREAM, &address);
	int n = atoi(argv[2]);

	if (fd < 0 || n > PROBE_THREADS || listen(fd, PROBE_THREADS) < 0 ||
	    probe_touch(argv[4]) < 0)
		return probe_broken("listen");
	for (int i = 0; i < n; i++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		jobs[i].number = i;
		jobs[i].fd = poll(&p, 1, 30000) == 1 ? accept4(fd, NULL, NULL, SOCK_CLOEXEC) : -1;
		if (jobs[i].fd < 0)
			return probe_broken("accept");
	}
	for (int i = 0; i < n; i++)
		jobs[i].end_ns = probe_now() + strtoull(argv[3], NULL, 10) * PROBE_NSEC;
	return probe_run_all(jobs, n, probe_write) < 0 ? probe_broken("threads") : 0;
}

static int probe_count_udp(char **argv)
{
	struct sockaddr_in address = probe_address(argv[0], argv[1]);
	cleanup_fd int fd = probe_bind(SOCK_DGRAM, &address);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	long bytes = 0, packets = 0;
	int wait_ms = 30000;	/* for the first one */
	char packet[65536];

	if (fd < 0 || probe_touch(argv[3]) < 0)
		return probe_broken("bind");
	while (poll(&p, 1, wait_ms) == 1) {
		ssize_t n = recv(fd, packet, sizeof(packet), 0);

		wait_ms = atoi(argv[2]);
		if (n < 0)
			continue;
		bytes += n;
		packets++;
	}
	(void)printf("%ld %ld\n", bytes, packets);
	return 0;
}

static int probe_count_tcp(char **argv)
{
	struct sockaddr_in address = probe_address(argv[0], argv[1]);
	unsigned long long start, skip = strtoull(argv[4], NULL, 10) * PROBE_NSEC;
	unsigned long long end = strtoull(argv[3], NULL, 10) * PROBE_NSEC;
	struct pollfd p[PROBE_THREADS];
	static char bytes[1 << 20];
	int n = atoi(argv[2]);
	long sum = 0, late = 0;

	for (int i = 0; i < n && i < PROBE_THREADS; i++) {
		p[i] = (struct pollfd){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
					.events = POLLIN };
		if (connect(p[i].fd, (struct sockaddr *)&address, sizeof(address)) < 0)
			return probe_broken("connect");
	}
	start = probe_now();
	while (probe_now() - start < end) {
		if (poll(p, (nfds_t)n, 100) <= 0)
			continue;
		for (int i = 0; i < n; i++) {
			ssize_t got = p[i].revents ? recv(p[i].fd, bytes, sizeof(bytes),
							  MSG_DONTWAIT) : 0;

			if (p[i].revents && got == 0)
				p[i].fd = -1;	/* poll() passes over it */
			sum += got > 0 ? got : 0;
			late += got > 0 && probe_now() - start > skip ? got : 0;
		}
	}
	(void)printf("%ld %llu\n", sum,
		     (unsigned long long)late * 1000 / ((end - skip) / 1000000));
	return 0;
}

static const struct {
	const char *name;
	int args;
	int (*run)(char **argv);
} probe_actions[] = {
	{ "udp", 7, probe_udp },	     { "tcp", 5, probe_tcp },
	{ "count-udp", 4, probe_count_udp }, { "count-tcp", 5, probe_count_tcp },
	{ "sendto", 4, probe_sendto },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 2 && i < ARRAY_SIZE(probe_actions); i++) {
		if (strcmp(argv[2], probe_actions[i].name) != 0)
			continue;
		if (argc - 3 != probe_actions[i].args)
			return 2;
		if (probe_enter(argv[1]) < 0)
			return probe_broken("cgroup");
		return probe_actions[i].run(argv + 3);
	}
	return 2;
}
