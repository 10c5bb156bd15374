/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks from inside a jail by sockets: its own, and those that the broker granted, which live
 * in the host's network namespace. Run by tests/root/64-attacks.sh as the model of a real jail
 * and, for the difference, by root on the host. One line each: "NAME allowed" or "NAME ERRNO".
 *
 *   attack_socket TCP UDP UNIX PORT   serves 127.0.0.1:TCP, the UDP port and the path; PORT is a
 *                                     listener of the host's; ends after one client of each of
 *                                     the two listeners
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"

#define ATTACK_WAIT_MS 20000

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

static void attack_say(const char *on, const char *name, long r)
{
	const char *error = r < 0 ? strerrorname_np(errno) : NULL;

	(void)printf("%s_%s %s\n", on, name, r < 0 ? (error ? error : "?") : "allowed");
	(void)fflush(stdout);
}

static struct sockaddr_in attack_address(in_port_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static struct sockaddr_in6 attack_mapped(in_port_t port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	(void)inet_pton(AF_INET6, "::ffff:127.0.0.1", &a.sin6_addr);
	return a;
}

static void attack_set(const char *on, const char *name, int fd, int level, int option,
		       const void *value, socklen_t size)
{
	attack_say(on, name, setsockopt(fd, level, option, value, size));
}

/* Options that reach past the socket's own address; restored where the host's run sets them. */
static void attack_options(const char *on, int fd)
{
	/* loose source route by 127.0.0.2: packets go there first */
	static const unsigned char route[] = { 131, 7, 4, 127, 0, 0, 2, 0 };
	struct sock_filter code[] = { BPF_STMT(BPF_RET | BPF_K, 0xffff) };
	const struct sock_fprog program = { .len = 1, .filter = code };
	const struct ip_mreq group = { .imr_multiaddr.s_addr = inet_addr("239.1.2.3") };
	const int zero = 0;
	const int one = 1;

	attack_set(on, "nodelay_or_reuse", fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	attack_set(on, "source_route", fd, IPPROTO_IP, IP_OPTIONS, route, sizeof(route));
	(void)setsockopt(fd, IPPROTO_IP, IP_OPTIONS, NULL, 0);
	attack_set(on, "multicast", fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group));
	(void)setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group));
	attack_set(on, "filter", fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
	(void)setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &zero, sizeof(zero));
	attack_set(on, "reuseport_filter", fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
		   sizeof(program));
	attack_set(on, "transparent", fd, IPPROTO_IP, IP_TRANSPARENT, &zero, sizeof(zero));
	attack_set(on, "mark", fd, SOL_SOCKET, SO_MARK, &zero, sizeof(zero));
	attack_set(on, "device", fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
	(void)setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "", 1);
	attack_set(on, "repair", fd, IPPROTO_TCP, TCP_REPAIR, &zero, sizeof(zero));
	attack_set(on, "ulp", fd, IPPROTO_TCP, TCP_ULP, "tls", 4);
	attack_set(on, "debug", fd, SOL_SOCKET, SO_DEBUG, &one, sizeof(one));
}

/* The host's interfaces, as the network namespace of the socket has them. */
static void attack_interfaces(const char *on, int fd)
{
	struct ifreq list[8];
	struct ifconf conf = { .ifc_len = sizeof(list), .ifc_req = list };
	struct ifreq one = { .ifr_name = "lo" };

	attack_say(on, "list_interfaces", ioctl(fd, SIOCGIFCONF, &conf));
	attack_say(on, "interface_address", ioctl(fd, SIOCGIFADDR, &one));
	attack_say(on, "interface_down", ioctl(fd, SIOCGIFFLAGS, &one));
}

/* Every way to name an address that is not the published one. */
static void attack_reach_tcp(const char *on, int fd, in_port_t port)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	const struct sockaddr_in to = attack_address(port);

	attack_say(on, "disconnect", connect(fd, &none, sizeof(none)));
	attack_say(on, "fastopen", sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
					  (const struct sockaddr *)&to, sizeof(to)));
	(void)connect(fd, &none, sizeof(none));
	attack_say(on, "connect", connect(fd, (const struct sockaddr *)&to, sizeof(to)));
}

static void attack_reach_udp(const char *on, int fd, in_port_t port)
{
	struct sockaddr_in to = attack_address(port);
	struct iovec data = { .iov_base = "x", .iov_len = 1 };
	struct mmsghdr many = { .msg_hdr = { .msg_name = &to, .msg_namelen = sizeof(to),
					     .msg_iov = &data, .msg_iovlen = 1 } };

	attack_say(on, "sendto",
		   sendto(fd, "x", 1, 0, (const struct sockaddr *)&to, sizeof(to)));
	attack_say(on, "sendmsg", sendmsg(fd, &many.msg_hdr, 0));
	attack_say(on, "sendmmsg", sendmmsg(fd, &many, 1, 0));
	to.sin_family = AF_UNSPEC;
	attack_say(on, "sendto_unspec",
		   sendto(fd, "x", 1, 0, (const struct sockaddr *)&to, sizeof(to)));
	to.sin_family = AF_INET;
	attack_say(on, "connect", connect(fd, (const struct sockaddr *)&to, sizeof(to)));
}

static void attack_own_sockets(in_port_t port)
{
	const struct sockaddr_in6 mapped = attack_mapped(port);
	cleanup_fd int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cleanup_fd int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cleanup_fd int tcp6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cleanup_fd int udp6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	attack_reach_tcp("own_tcp", tcp, port);
	attack_reach_udp("own_udp", udp, port);
	attack_say("own_tcp6", "mapped",
		   connect(tcp6, (const struct sockaddr *)&mapped, sizeof(mapped)));
	attack_say("own_udp6", "mapped_connect",
		   connect(udp6, (const struct sockaddr *)&mapped, sizeof(mapped)));
	attack_say("own_udp6", "mapped_sendto",
		   sendto(udp6, "x", 1, 0, (const struct sockaddr *)&mapped, sizeof(mapped)));
}

static int attack_accept(int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };

	return poll(&p, 1, ATTACK_WAIT_MS) == 1 ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
}

/* A client hands over a directory of the host's: nothing below it opens. */
static void attack_take_directory(int client)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	char byte;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	const struct cmsghdr *header;
	cleanup_fd int opened = -1;
	cleanup_fd int dir = -1;

	if (recvmsg(client, &message, MSG_CMSG_CLOEXEC) != 1)
		return;
	header = CMSG_FIRSTHDR(&message);
	if (!header)
		return;
	memcpy(&dir, CMSG_DATA(header), sizeof(dir));
	opened = openat(dir, "etc/passwd", O_RDONLY | O_CLOEXEC);
	attack_say("given_directory", "open", opened);
	attack_say("given_directory", "chroot", fchdir(dir) < 0 ? -1 : chroot("."));
}

static int attack_listen_tcp(in_port_t port)
{
	struct sockaddr_in at = attack_address(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 5) < 0)
		return -1;
	return fd;
}

static int attack_listen_unix(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 5) < 0)
		return -1;
	return fd;
}

static int attack_bind_udp(in_port_t port)
{
	struct sockaddr_in at = attack_address(port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? -1 : fd;
}

/* Not only may it not connect: turned into a listener it must hear nobody (egress.bpf.c). */
static void attack_turn_into_listener(int fd)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct sockaddr_in at = { 0 };
	socklen_t size = sizeof(at);
	cleanup_fd int got = -1;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	(void)connect(fd, &none, sizeof(none));
	if (listen(fd, 5) < 0 || getsockname(fd, (struct sockaddr *)&at, &size) < 0) {
		attack_say("accepted_tcp", "listen", -1);
		return;
	}
	(void)printf("turned = %u\n", ntohs(at.sin_port));
	(void)fflush(stdout);
	if (poll(&p, 1, 3000) == 1)
		got = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	else
		errno = ETIMEDOUT;
	attack_say("accepted_tcp", "listen", got);
}

int main(int argc, char **argv)
{
	cleanup_fd int listener = -1;
	cleanup_fd int udp = -1;
	cleanup_fd int local = -1;
	cleanup_fd int client = -1;
	cleanup_fd int friend = -1;
	in_port_t port;

	if (argc != 5)
		return 2;
	port = (in_port_t)atoi(argv[4]);
	attack_own_sockets(port);
	listener = attack_listen_tcp((in_port_t)atoi(argv[1]));
	udp = attack_bind_udp((in_port_t)atoi(argv[2]));
	local = attack_listen_unix(argv[3]);
	if (listener < 0 || udp < 0 || local < 0) {
		(void)printf("broken: %m\n");
		return 2;
	}
	(void)printf("serving = yes\n");
	(void)fflush(stdout);
	attack_interfaces("granted_tcp", listener);
	attack_options("granted_tcp", listener);
	attack_options("granted_udp", udp);
	attack_reach_udp("granted_udp", udp, port);
	friend = attack_accept(local);
	attack_take_directory(friend);
	client = attack_accept(listener);
	attack_interfaces("accepted_tcp", client);
	attack_options("accepted_tcp", client);
	attack_reach_tcp("accepted_tcp", client, port);
	attack_turn_into_listener(client);
	attack_reach_tcp("granted_tcp", listener, port);
	(void)printf("done = yes\n");
	return 0;
}
