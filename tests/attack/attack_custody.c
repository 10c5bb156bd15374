/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks on custody itself, from inside: races with the broker that answers bind(), messages on
 * descriptors that might be somebody's channel, and custody's files.
 * link: tests/attack/common.c -lpthread
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attack.h"
#include "custody/message.h"

#define CUSTODY_RACES 400
#define CUSTODY_KILLS 100

struct custody_race {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_un un;
	} address;
	int fd;			/* what bind() is called with */
	int local;		/* the UNIX socket that is shown to the broker */
	int internet;		/* the socket that the kernel is to bind */
	bool end;
};

static in_port_t custody_other_port(void)
{
	return (in_port_t)(attack_port("TCP") ^ 1);
}

/* Where a socket is; 0 when nowhere. */
static in_port_t custody_find_port(int fd)
{
	struct sockaddr_in at = { 0 };
	socklen_t size = sizeof(at);

	if (getsockname(fd, (struct sockaddr *)&at, &size) < 0 || at.sin_family != AF_INET)
		return 0;
	return ntohs(at.sin_port);
}

static int custody_bind(in_port_t port)
{
	const struct sockaddr_in at = attack_address(port);
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return attack_result(bind(fd, (const struct sockaddr *)&at, sizeof(at)));
}

/* The port becomes another one between the broker's look and the kernel's. */
static void *custody_rewrite(void *data)
{
	struct custody_race *race = data;
	const in_port_t ports[] = { htons(attack_port("TCP")), htons(custody_other_port()) };

	for (unsigned int i = 0; !__atomic_load_n(&race->end, __ATOMIC_RELAXED); i++)
		__atomic_store_n(&race->address.in.sin_port, ports[i & 1], __ATOMIC_RELAXED);
	return NULL;
}

static int try_race_address(void)
{
	struct custody_race race = { .address.in = attack_address(attack_port("TCP")) };
	int r = custody_bind(custody_other_port());
	pthread_t thread;

	if (r == 0)
		return 0;	/* outside there is nobody to race with */
	if (pthread_create(&thread, NULL, custody_rewrite, &race) != 0)
		return attack_untried("no thread");
	for (int i = 0; i < CUSTODY_RACES && r < 0; i++) {
		cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		(void)bind(fd, &race.address.any, sizeof(race.address.in));
		if (custody_find_port(fd) == custody_other_port())
			r = 0;
	}
	__atomic_store_n(&race.end, true, __ATOMIC_RELAXED);
	(void)pthread_join(thread, NULL);
	return r;
}

/*
 * A UNIX address is left to the kernel (the jail's own files); so a UNIX socket is shown, and when
 * the broker has let it go on, the descriptor is an internet socket and the address one of the
 * host's.
 */
static void *custody_swap(void *data)
{
	struct custody_race *race = data;
	const struct sockaddr_in in = attack_address(custody_other_port());
	const struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/scratch/swap" };

	for (unsigned int i = 0; !__atomic_load_n(&race->end, __ATOMIC_RELAXED); i++) {
		memcpy(&race->address.un, &un, sizeof(un));
		(void)dup2(race->local, race->fd);
		memcpy(&race->address.in, &in, sizeof(in));
		(void)dup2(race->internet, race->fd);
	}
	return NULL;
}

static int try_race_swap(void)
{
	struct custody_race race = { .fd = 80 };
	int r = custody_bind(custody_other_port());
	pthread_t thread;

	race.local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	race.internet = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (r == 0)
		return 0;
	if (dup2(race.local, race.fd) < 0 ||
	    pthread_create(&thread, NULL, custody_swap, &race) != 0)
		return attack_untried("no thread");
	for (int i = 0; i < CUSTODY_RACES && r < 0; i++) {
		(void)bind(race.fd, &race.address.any, sizeof(race.address.un));
		(void)bind(race.fd, &race.address.any, sizeof(race.address.in));
		if (custody_find_port(race.internet) == custody_other_port())
			r = 0;
	}
	__atomic_store_n(&race.end, true, __ATOMIC_RELAXED);
	(void)pthread_join(thread, NULL);
	return r;
}

/* Killed while the broker answers, and its pid given to the next: nobody gets what was refused. */
static int try_killed(void)
{
	int r = custody_bind(custody_other_port());

	for (int i = 0; i < CUSTODY_KILLS && r < 0; i++) {
		const struct timespec while_ = { .tv_nsec = (i % 20) * 10000 };
		pid_t pid = fork();

		if (pid == 0) {
			for (;;)
				(void)custody_bind(attack_port("TCP"));
		}
		(void)nanosleep(&while_, NULL);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	if (r < 0 && custody_bind(attack_port("TCP")) < 0)
		return attack_untried("the broker answers no more");
	return r == 0 ? 0 : custody_bind(custody_other_port());
}

/* Of the other address family than the socket, and of no length: as the kernel answers. */
static int try_broken_address(void)
{
	const struct sockaddr_in at = attack_address(custody_other_port());
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	for (socklen_t size = 0; size < 200; size++) {
		(void)bind(fd, (const struct sockaddr *)&at, size);
		(void)bind(fd, (const struct sockaddr *)(__UINTPTR_TYPE__)-1, size);
		(void)bind(size % 3 ? fd : -1, NULL, size);
	}
	if (custody_find_port(fd) == custody_other_port())
		return 0;
	return attack_result(bind(fd, (const struct sockaddr *)&at, sizeof(at)));
}

/* A process that is not to be looked into, so that the broker cannot see what it asks for. */
static int try_undumpable(void)
{
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return custody_bind(custody_other_port());
}

/* A call for another table of system calls, in front of the broker. */
static int try_bind_high(void)
{
	const struct sockaddr_in at = attack_address(custody_other_port());
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return attack_result(syscall(SYS_bind | 1L << 32, fd, &at, sizeof(at)));
}

/* Whatever is open: is it somebody's channel? Every type of message, to every number. */
static int try_forged_message(void)
{
	for (int fd = 3; fd < 100; fd++) {
		for (__u32 type = 0; type <= _MSG_MAX; type++) {
			const struct message_head head = { .type = type, .size = sizeof(head) };

			if (send(fd, &head, sizeof(head), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
				return 0;
		}
	}
	return -EBADF;
}

static int custody_open(const char *name, int flags)
{
	char path[512];

	return attack_open(attack_path("STATE", name, path, sizeof(path)), flags);
}

static int try_ledger(void)
{
	return custody_open("var/lib/custody/ledger", O_RDONLY | O_DIRECTORY);
}

static int try_signing_key(void)
{
	return custody_open("var/lib/custody/keys", O_RDONLY | O_DIRECTORY);
}

static int try_state(void)
{
	return custody_open("run/custody/jails", O_RDONLY | O_DIRECTORY);
}

static int try_pinned(void)
{
	return custody_open("sys/fs/bpf/custody", O_RDONLY | O_DIRECTORY);
}

static int try_profiles(void)
{
	return custody_open("etc/custody/profiles/atk.ini", O_RDWR);
}

/* Names that are to be written down, made to fool whoever reads them. */
static int try_escapes(void)
{
	char path[512];

	(void)prctl(PR_SET_NAME, "\033[2J\a\n\",\"x\":", 0, 0, 0);
	attack_path("DIR", "evil\033[31m\n{\"verdict\":\"allowed\"}\r\x9b\x7f", path, sizeof(path));
	(void)attack_open(path, O_RDWR | O_CREAT);
	return attack_result(chroot("."));
}

#define ROW ATTACK_ROW
#define OPENED ATTACK_ROW_OPENED
static const struct attack attacks[] = {
	OPENED(race_address, "EACCES", 0, "loopback=succeeded",
	       "an address rewritten after the broker has looked at it"),
	OPENED(race_swap, "EACCES", 0, "loopback=succeeded",
	       "another socket in the place of the one that it looked at"),
	OPENED(killed, "EACCES", 0, "loopback=succeeded",
	       "killed while it answers, the pid given away at once"),
	OPENED(broken_address, "EACCES", 0, "loopback=succeeded",
	       "addresses of every length and of none"),
	OPENED(undumpable, "EACCES", 0, "loopback=succeeded",
	       "a process that is not to be looked into"),
	OPENED(bind_high, "EACCES", 0, "loopback=succeeded",
	       "the number of the call with other upper bits"),
	ROW(forged_message, "EBADF", ATTACK_SILENT | ATTACK_INSIDE, "every message to every fd"),
	ROW(ledger, "ENOENT", 0, "the ledger"),
	ROW(signing_key, "ENOENT", 0, "the key that signs it"),
	ROW(state, "ENOENT", 0, "the state of live jails"),
	ROW(pinned, "ENOENT", 0, "pinned maps and programs"),
	ROW(profiles, "ENOENT", 0, "its own profile"),
	ROW(escapes, "EPERM", ATTACK_SILENT, "escapes and quotes in what is written down"),
};

int main(int argc, char **argv)
{
	return attack_main(argc, argv, attacks, ARRAY_SIZE(attacks));
}
