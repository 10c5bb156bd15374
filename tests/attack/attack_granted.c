/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks by sockets that live in the host's network namespace: those that the broker granted, and
 * what was accepted from them. client.py connects to them again and again while this runs.
 * link: tests/attack/common.c
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "attack.h"

#define GRANTED_WAIT_MS 4000
#define GRANTED_LISTEN_MS 2000

/* Where main() put them, so that every attack's process finds them. */
enum granted_fd { GRANTED_TCP = 90, GRANTED_UDP, GRANTED_UNIX };

static const struct sockaddr granted_none = { .sa_family = AF_UNSPEC };

static int granted_accept(int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };

	return poll(&p, 1, GRANTED_WAIT_MS) == 1 ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
}

static int granted_connect(int fd)
{
	const struct sockaddr_in to = attack_address(attack_port("PORT"));

	(void)connect(fd, &granted_none, sizeof(granted_none));
	return attack_result(connect(fd, (const struct sockaddr *)&to, sizeof(to)));
}

static int granted_fastopen(int fd)
{
	const struct sockaddr_in to = attack_address(attack_port("PORT"));

	(void)connect(fd, &granted_none, sizeof(granted_none));
	return attack_result(sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
				    (const struct sockaddr *)&to, sizeof(to)));
}

static int granted_with_client(int (*attack)(int fd))
{
	cleanup_fd int fd = granted_accept(GRANTED_TCP);

	return fd < 0 ? attack_untried("nobody connected") : attack(fd);
}

static int try_accepted_connect(void)
{
	return granted_with_client(granted_connect);
}

static int try_accepted_fast(void)
{
	return granted_with_client(granted_fastopen);
}

static int granted_bind(int fd)
{
	struct sockaddr_in at = attack_address(0);

	(void)connect(fd, &granted_none, sizeof(granted_none));
	return attack_result(bind(fd, (struct sockaddr *)&at, sizeof(at)));
}

static int try_accepted_bind(void)
{
	return granted_with_client(granted_bind);
}

/* Turned into a listener on a port of the host's: does anybody get through? */
static int granted_listen(int fd)
{
	struct sockaddr_in at = { 0 };
	socklen_t size = sizeof(at);
	cleanup_fd int friend = granted_accept(GRANTED_UNIX);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	(void)connect(fd, &granted_none, sizeof(granted_none));
	if (listen(fd, 5) < 0)
		return -errno;
	if (friend < 0 || getsockname(fd, (struct sockaddr *)&at, &size) < 0)
		return attack_untried("no client to ask");
	(void)dprintf(friend, "connect %u\n", ntohs(at.sin_port));
	return poll(&p, 1, GRANTED_LISTEN_MS) == 1 ? 0 : -ETIMEDOUT;
}

static int try_accepted_listen(void)
{
	return granted_with_client(granted_listen);
}

/* The listener itself; it listens again afterwards. */
static int try_listener_connect(void)
{
	int r = granted_connect(GRANTED_TCP);

	(void)connect(GRANTED_TCP, &granted_none, sizeof(granted_none));
	(void)listen(GRANTED_TCP, 5);
	return r;
}

static int granted_send(in_port_t port, const char *address, sa_family_t family)
{
	struct sockaddr_in to = attack_address(port);

	(void)inet_pton(AF_INET, address, &to.sin_addr);
	to.sin_family = family;
	return attack_result(sendto(GRANTED_UDP, "x", 1, 0, (const struct sockaddr *)&to,
				    sizeof(to)));
}

static int try_granted_send(void)
{
	return granted_send(attack_port("PORT"), "127.0.0.1", AF_INET);
}

static int try_granted_unspec(void)
{
	return granted_send(attack_port("PORT"), "127.0.0.1", AF_UNSPEC);
}

static int try_granted_dns(void)
{
	return granted_send(53, "127.0.0.53", AF_INET);
}

static int try_granted_udp_connect(void)
{
	return granted_connect(GRANTED_UDP);
}

/* With a control message: another source address, or a route by way of another host. */
static int granted_send_message(int type, const void *value, size_t size, int many)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(64)];
	} control = { .header = { .cmsg_len = CMSG_LEN(size), .cmsg_level = IPPROTO_IP,
				  .cmsg_type = type } };
	struct sockaddr_in to = attack_address(attack_port("PORT"));
	struct iovec data = { .iov_base = "x", .iov_len = 1 };
	struct mmsghdr message = { .msg_hdr = { .msg_name = &to, .msg_namelen = sizeof(to),
						.msg_iov = &data, .msg_iovlen = 1 } };

	if (size > 0) {
		memcpy(CMSG_DATA(&control.header), value, size);
		message.msg_hdr.msg_control = &control;
		message.msg_hdr.msg_controllen = CMSG_SPACE(size);
	}
	return attack_result(many ? sendmmsg(GRANTED_UDP, &message, 1, 0) :
				    sendmsg(GRANTED_UDP, &message.msg_hdr, 0));
}

static int try_granted_message(void)
{
	return granted_send_message(0, NULL, 0, 0);
}

static int try_granted_many(void)
{
	return granted_send_message(0, NULL, 0, 1);
}

static int try_granted_pktinfo(void)
{
	const struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(INADDR_LOOPBACK) };

	return granted_send_message(IP_PKTINFO, &info, sizeof(info), 0);
}

static int try_granted_route(void)
{
	static const unsigned char route[] = { 131, 7, 4, 127, 0, 0, 2, 0 };

	return granted_send_message(IP_RETOPTS, route, sizeof(route), 0);
}

/* ---- options and ioctls: on the listener, on an accepted socket and on the UDP socket ---- */

static int granted_set(int level, int option, const void *value, socklen_t size)
{
	cleanup_fd int accepted = granted_accept(GRANTED_TCP);
	const int fds[] = { accepted, GRANTED_UDP, GRANTED_TCP };
	int r = 0;

	if (accepted < 0)
		return attack_untried("nobody connected");
	/* One that lets it through is one too many; the listener last, as it goes on being used. */
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (setsockopt(fds[i], level, option, value, size) == 0)
			return 0;
		r = r ? r : -errno;
	}
	return r;
}

static const struct sock_filter granted_code[] = { BPF_STMT(BPF_RET | BPF_K, 0xffff) };
static const struct sock_fprog granted_program = {
	.len = 1, .filter = (struct sock_filter *)(__UINTPTR_TYPE__)granted_code,
};
static const unsigned char granted_options[] = { 131, 7, 4, 127, 0, 0, 2, 0 };
static const int granted_zero;
static const int granted_one = 1;

#define OPTION(id, level, option, value) \
	static int try_opt_##id(void) { return granted_set(level, option, &value, sizeof(value)); }

/* The kernel had come as far as the value. */
#define OPTION_REACHED(id, level, option, value)                                    \
	static int try_opt_##id(void)                                               \
	{                                                                           \
		int r = granted_set(level, option, &value, sizeof(value));          \
		return r == -EINVAL || r == -EEXIST ? 0 : r;                        \
	}

OPTION(filter, SOL_SOCKET, SO_ATTACH_FILTER, granted_program)
OPTION_REACHED(reuse_filter, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, granted_program)
OPTION_REACHED(bpf, SOL_SOCKET, SO_ATTACH_BPF, granted_zero)
OPTION(lock_filter, SOL_SOCKET, SO_LOCK_FILTER, granted_zero)
OPTION(mark, SOL_SOCKET, SO_MARK, granted_one)
OPTION(priority, SOL_SOCKET, SO_PRIORITY, granted_one)
OPTION(ifindex, SOL_SOCKET, SO_BINDTOIFINDEX, granted_one)
OPTION(debug, SOL_SOCKET, SO_DEBUG, granted_one)
OPTION(force_buffer, SOL_SOCKET, SO_RCVBUFFORCE, granted_one)
OPTION(timestamping, SOL_SOCKET, SO_TIMESTAMPING, granted_one)
OPTION(route, IPPROTO_IP, IP_OPTIONS, granted_options)
OPTION(transparent, IPPROTO_IP, IP_TRANSPARENT, granted_one)
OPTION(freebind, IPPROTO_IP, IP_FREEBIND, granted_one)
OPTION(hdrincl, IPPROTO_IP, IP_UNICAST_IF, granted_zero)
OPTION(repair, IPPROTO_TCP, TCP_REPAIR, granted_one)

static int try_opt_device(void)
{
	return granted_set(SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
}

static int try_opt_ulp(void)
{
	int r = granted_set(IPPROTO_TCP, TCP_ULP, "tls", 4);

	return r == -ENOENT ? 0 : r; /* a kernel without it has looked for it */
}

static int try_opt_multicast(void)
{
	const struct ip_mreq group = { .imr_multiaddr.s_addr = inet_addr("239.1.2.3"),
				       .imr_interface.s_addr = htonl(INADDR_LOOPBACK) };

	return granted_set(IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group));
}

/* Rules of the host's firewall, read through its socket. */
static int try_get_rules(void)
{
	char info[256] = "";
	socklen_t size = 84; /* struct ipt_getinfo */

	(void)snprintf(info, sizeof(info), "filter");
	return attack_result(getsockopt(GRANTED_UDP, IPPROTO_IP, 64, info, &size));
}

static int granted_ioctl(unsigned long request)
{
	cleanup_fd int accepted = granted_accept(GRANTED_TCP);
	union {
		struct ifreq one;
		char bytes[1024];
	} data = { .one = { .ifr_name = "lo" } };
	int r;

	if (accepted < 0)
		return attack_untried("nobody connected");
	r = ioctl(accepted, request, &data);
	/* The kernel had come as far as the answer. */
	if (r < 0 && errno != EFAULT && errno != ENOENT)
		return -errno;
	if (request == SIOCGSKNS && r >= 0)
		(void)close(r);
	return 0;
}

#define IOCTL(id, request) static int try_ioctl_##id(void) { return granted_ioctl(request); }
IOCTL(list, SIOCGIFCONF)
IOCTL(address, SIOCGIFADDR)
IOCTL(flags, SIOCGIFFLAGS)
IOCTL(hardware, SIOCGIFHWADDR)
IOCTL(index, SIOCGIFINDEX)
IOCTL(namespace, SIOCGSKNS)
IOCTL(queue, SIOCOUTQNSD)
IOCTL(stamp, SIOCGSTAMP_OLD)

static int try_ioctl_down(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK };

	return attack_result(ioctl(GRANTED_UDP, SIOCSIFFLAGS, &lo));
}

static int try_ioctl_owner(void)
{
	int victim = attack_victim();

	return attack_result(ioctl(GRANTED_UDP, SIOCSPGRP, &victim));
}

/* ---- who is at the other end ---- */

/* Somebody else's name on a message. */
static int try_forged_sender(void)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(struct ucred)),
				  .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS } };
	const struct ucred forged = { .pid = getpid(), .uid = getuid() == 0 ? 1 : 0,
				      .gid = getgid() };
	struct iovec data = { .iov_base = "\n", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	cleanup_fd int fd = granted_accept(GRANTED_UNIX);

	if (fd < 0)
		return attack_untried("nobody connected");
	memcpy(CMSG_DATA(&control.header), &forged, sizeof(forged));
	return attack_result(sendmsg(fd, &message, MSG_NOSIGNAL));
}

/* A pidfd of the client, who is a process of the host, and a signal to it. */
static int try_peer_pidfd(void)
{
	cleanup_fd int fd = granted_accept(GRANTED_UNIX);
	cleanup_fd int pidfd = -1;
	socklen_t size = sizeof(pidfd);

	if (fd < 0)
		return attack_untried("nobody connected");
	if (getsockopt(fd, SOL_SOCKET, 77 /* SO_PEERPIDFD */, &pidfd, &size) < 0)
		return errno == ENOPROTOOPT ? attack_untried("Linux before 6.5") : -errno;
	return attack_result(syscall(SYS_pidfd_send_signal, pidfd, SIGWINCH, NULL, 0));
}

static int granted_prepare(void)
{
	struct sockaddr_in tcp = attack_address(attack_port("TCP"));
	struct sockaddr_in udp = attack_address(attack_port("UDP"));
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fds[] = { socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_DGRAM, 0),
		      socket(AF_UNIX, SOCK_STREAM, 0) };

	(void)setsockopt(fds[0], SOL_SOCKET, SO_REUSEADDR, &granted_one, sizeof(granted_one));
	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", attack_env("UNIX"));
	if (bind(fds[0], (struct sockaddr *)&tcp, sizeof(tcp)) < 0 || listen(fds[0], 64) < 0 ||
	    bind(fds[1], (struct sockaddr *)&udp, sizeof(udp)) < 0 ||
	    bind(fds[2], (struct sockaddr *)&un, sizeof(un)) < 0 || listen(fds[2], 64) < 0)
		return -errno;
	return dup2(fds[0], GRANTED_TCP) < 0 || dup2(fds[1], GRANTED_UDP) < 0 ||
			       dup2(fds[2], GRANTED_UNIX) < 0 ?
		       -errno :
		       0;
}

#define ROW ATTACK_ROW
static const struct attack attacks[] = {
	ROW(accepted_connect, "EPERM", 0, "an accepted socket, disconnected, to a host's listener"),
	ROW(accepted_fast, "EPERM", 0, "the same by MSG_FASTOPEN"),
	ROW(accepted_bind, "EACCES", 0, "an accepted socket, disconnected, bound anew"),
	ROW(accepted_listen, "ETIMEDOUT", ATTACK_SILENT, "an accepted socket made a listener"),
	ROW(listener_connect, "EPERM", 0, "the listener, disconnected, to a host's listener"),
	ROW(granted_send, "EPERM", 0, "the UDP socket to a host's port"),
	ROW(granted_unspec, "EPERM", 0, "the same with the family left open"),
	ROW(granted_dns, "EPERM", 0, "the UDP socket to the host's resolver"),
	ROW(granted_message, "EPERM", 0, "the same by sendmsg()"),
	ROW(granted_many, "EPERM", 0, "the same by sendmmsg()"),
	ROW(granted_pktinfo, "EPERM", 0, "the same from another address"),
	/* The kernel refuses this one before it asks the plane. */
	ROW(granted_route, "EPERM", ATTACK_SILENT, "the same by way of another host"),
	ROW(granted_udp_connect, "EPERM", 0, "the UDP socket, connected"),
	ROW(opt_filter, "EPERM", 0, "a packet filter on a granted socket"),
	ROW(opt_reuse_filter, "EPERM", 0, "a program that spreads connections"),
	ROW(opt_bpf, "EPERM", 0, "a BPF program on a granted socket"),
	ROW(opt_lock_filter, "ENOSYS", 0, "its filter locked"),
	ROW(opt_mark, "EPERM", 0, "its mark"),
	ROW(opt_priority, "ENOSYS", 0, "its priority"),
	ROW(opt_device, "EPERM", 0, "its device"),
	ROW(opt_ifindex, "EPERM", 0, "its device by index"),
	ROW(opt_debug, "ENOSYS", 0, "an option that no server needs"),
	ROW(opt_force_buffer, "ENOSYS", 0, "buffers beyond the limit"),
	ROW(opt_timestamping, "ENOSYS", 0, "time stamps of the hardware"),
	ROW(opt_route, "EPERM", 0, "a route by way of another host"),
	ROW(opt_transparent, "EPERM", 0, "addresses of others"),
	ROW(opt_freebind, "ENOSYS EPERM", 0, "addresses that are nobody's"),
	ROW(opt_hdrincl, "ENOSYS EPERM", 0, "another interface for its packets"),
	ROW(opt_multicast, "EPERM", 0, "a multicast group"),
	ROW(opt_repair, "EPERM", 0, "TCP_REPAIR"),
	ROW(opt_ulp, "EPERM", 0, "a protocol on top"),
	ROW(get_rules, "EPERM", 0, "the host's firewall rules"),
	ROW(ioctl_list, "EPERM", 0, "the host's interfaces by ioctl"),
	ROW(ioctl_address, "EPERM", 0, "their addresses"),
	ROW(ioctl_flags, "EPERM", 0, "their flags"),
	ROW(ioctl_hardware, "EPERM", 0, "their hardware addresses"),
	ROW(ioctl_index, "EPERM", 0, "their numbers"),
	ROW(ioctl_down, "EPERM", 0, "an interface set"),
	ROW(ioctl_namespace, "EPERM", 0, "a descriptor of the host's network namespace"),
	ROW(ioctl_queue, "EPERM", 0, "what has not been sent"),
	ROW(ioctl_stamp, "EPERM", 0, "when the last packet came"),
	ROW(ioctl_owner, "EPERM", 0, "signals of the socket to another process"),
	ROW(forged_sender, "EINVAL EPERM", ATTACK_SILENT, "a message in another's name"),
	ROW(peer_pidfd, "EPERM EINVAL ESRCH EACCES", 0, "a signal to the client by SO_PEERPIDFD"),
};

int main(int argc, char **argv)
{
	int r = argc > 1 && strcmp(argv[1], "run") == 0 ? granted_prepare() : 0;

	if (r < 0) {
		(void)fprintf(stderr, "attack_granted: %s\n", strerror(-r));
		return 2;
	}
	return attack_main(argc, argv, attacks, ARRAY_SIZE(attacks));
}
