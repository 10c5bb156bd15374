/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody-resolver: one host name to addresses, as the host resolves names (nsswitch.conf, hosts,
 * DNS). Started by custodyd as root; one shot. Becomes its own uid without any privilege before it
 * opens the first file, because what it reads from the network is anybody's: it is the one role
 * that does. custodyd judges the addresses; whoever takes this process over can lie about them.
 *
 * Confinement: own uid, no capability, no_new_privs, Landlock (reads /etc, /usr, /run and what
 * they need; writes nothing, binds no TCP port, connects to TCP 53 and 853 only where the kernel
 * can tell), seccomp, no new process, limits on memory and time. It keeps the host's network.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "confine.h"
#include "destination.h"
#include "log.h"
#include "message.h"

#define MAIN_MEMORY (256ULL << 20)
#define MAIN_SECONDS 10

/* What getaddrinfo() does with the modules of nsswitch.conf; see CONFINE_OPENAT_READ_ONLY. */
static const char *const main_syscalls[] = {
	CONFINE_OPENAT_READ_ONLY, CONFINE_SOCKET_RESOLVE,
	"connect", "bind", "getsockname", "getpeername", "getsockopt", "setsockopt",
	"sendto", "sendmmsg", "recvfrom", "recvmmsg", "ioctl", "select", "pselect6", "shutdown",
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd2", "timerfd_create",
	"timerfd_settime",
	"access", "faccessat", "faccessat2", "statx", "stat", "lstat", "fstatfs", "statfs",
	"readlink", "readlinkat", "getdents64", "pread64", "uname", "time", "getcwd",
	"geteuid", "getuid", "getegid", "getgid", "getppid", "prlimit64", "sched_yield",
	"sched_getaffinity", "getrusage", "dup", "arch_prctl", "mlock", "flock",
};

static int main_refuse(int error, const char *step)
{
	(void)message_send_refused(CUSTODY_CHANNEL_FD, ROLE_RESOLVER, 0, CUSTODY_EXIT_INTERNAL,
				   error, "resolver: %s: %s", step, strerror(-error));
	log_error("%s: %s", step, strerror(-error));
	return CUSTODY_EXIT_INTERNAL;
}

static int main_limit(void)
{
	static const struct confine_limit limits[] = {
		{ RLIMIT_AS, MAIN_MEMORY }, { RLIMIT_CPU, MAIN_SECONDS },
		{ RLIMIT_NPROC, 0 }, { RLIMIT_FSIZE, 0 }, { RLIMIT_NOFILE, 64 },
	};

	return confine_set_limits(limits, ARRAY_SIZE(limits));
}

/* What name resolution reads: configuration, libraries, and sockets of the host's own resolver. */
static int main_enter_landlock(void)
{
	static const struct {
		const char *path;
		__u64 access;
	} places[] = {
		{ "/etc", CONFINE_READ }, { "/usr", CONFINE_READ | CONFINE_EXEC },
		{ "/lib", CONFINE_READ | CONFINE_EXEC }, { "/lib64", CONFINE_READ | CONFINE_EXEC },
		{ "/run", CONFINE_READ }, { "/var/run", CONFINE_READ },
		{ "/dev/null", CONFINE_READ },
	};
	struct confine_path paths[ARRAY_SIZE(places)];
	size_t n = 0;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		int fd = open(places[i].path, O_PATH | O_CLOEXEC);

		if (fd >= 0)
			paths[n++] = (struct confine_path){ .fd = fd, .access = places[i].access };
	}
	r = confine_enter_landlock_net(paths, n, CONFINE_TCP_BIND);
	while (n > 0)
		(void)close(paths[--n].fd);
	return r > 0 ? confine_prove_landlock() : r;
}

static int main_confine(void)
{
	cleanup_fd int proof = confine_open_proof();
	int r = proof < 0 ? proof : confine_set_basics();

	if (r == 0)
		r = main_limit();
	if (r == 0)
		r = confine_drop_privileges(CUSTODY_UID_RESOLVER, CUSTODY_UID_RESOLVER, 0);
	if (r == 0)
		r = main_enter_landlock();
	if (r == 0)
		r = confine_enter_seccomp(main_syscalls, ARRAY_SIZE(main_syscalls));
	if (r == 0)
		r = confine_prove(TAKE_FD(proof), CUSTODY_UID_RESOLVER, CUSTODY_UID_RESOLVER, 0);
	return r;
}

static int main_translate(int error)
{
	switch (error) {
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_MEMORY:
		return -ENOMEM;
	default:
		return -EHOSTUNREACH;
	}
}

static bool main_add(const struct addrinfo *info, struct resolve_answer *answer)
{
	struct resolved_address *to = &answer->addresses[answer->n];
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	if (answer->n == CUSTODY_ADDRESSES_MAX)
		return false;
	*to = (struct resolved_address){ 0 };
	if (info->ai_family == AF_INET && info->ai_addrlen == sizeof(in)) {
		memcpy(&in, info->ai_addr, sizeof(in));
		to->family = 4;
		memcpy(to->address, &in.sin_addr, 4);
	} else if (info->ai_family == AF_INET6 && info->ai_addrlen == sizeof(in6)) {
		memcpy(&in6, info->ai_addr, sizeof(in6));
		to->family = 6;
		memcpy(to->address, &in6.sin6_addr, 16);
	} else {
		return true;
	}
	answer->n++;
	return true;
}

static void main_resolve(const char *name, struct resolve_answer *answer)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	int r = getaddrinfo(name, NULL, &hints, &list);

	if (r != 0) {
		answer->error = main_translate(r);
		return;
	}
	for (const struct addrinfo *i = list; i && main_add(i, answer); i = i->ai_next)
		;
	freeaddrinfo(list);
	if (answer->n == 0)
		answer->error = -EHOSTUNREACH;
}

int main(void)
{
	union message_buffer message;
	const struct resolve_request *request = (const struct resolve_request *)&message;
	struct resolve_answer answer = { 0 };
	int r;

	log_setup("custody-resolver", LOG_LEVEL_INFO);
	if (!message_is_channel(CUSTODY_CHANNEL_FD)) {
		log_error("custodyd starts this program, nobody else.");
		return CUSTODY_EXIT_USAGE;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	r = confine_close_fds_from(CUSTODY_CHANNEL_FD + 1);
	if (r == 0)
		r = main_confine();
	if (r < 0)
		return main_refuse(r, "giving up privileges");
	r = message_recv(CUSTODY_CHANNEL_FD, ROLE_RESOLVER, ROLE_WARDEN,
			 MSG_BIT(MSG_RESOLVE_REQUEST), &message, NULL);
	if (r == 0 && !destination_check_host(request->name))
		r = -EPROTO;
	if (r < 0)
		return main_refuse(r, "taking the request");
	main_resolve(request->name, &answer);
	r = MESSAGE_SEND(CUSTODY_CHANNEL_FD, ROLE_RESOLVER, RESOLVE_ANSWER, request->head.id,
			 &answer);
	return r < 0 ? main_refuse(r, "sending the addresses") : CUSTODY_EXIT_DONE;
}
