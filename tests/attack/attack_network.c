/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks by sockets that the model makes itself: families, addresses, and who else is there.
 * link: tests/attack/common.c
 */
#include <arpa/inet.h>
#include <linux/if_alg.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "attack.h"

#define NETWORK_MPTCP 262
#define NETWORK_FAMILIES 48

#define NETWORK_SOCKET(id, family, type, protocol) \
	ATTACK_FD(id, socket(family, (int)(type) | SOCK_CLOEXEC, (int)(protocol)))

NETWORK_SOCKET(netlink, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)
NETWORK_SOCKET(netlink_audit, AF_NETLINK, SOCK_RAW, NETLINK_AUDIT)
NETWORK_SOCKET(netlink_events, AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT)
NETWORK_SOCKET(netlink_diag, AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG)
NETWORK_SOCKET(packet, AF_PACKET, SOCK_RAW, htons(3))
NETWORK_SOCKET(raw, AF_INET, SOCK_RAW, IPPROTO_ICMP)
NETWORK_SOCKET(raw6, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)
NETWORK_SOCKET(ping, AF_INET, SOCK_DGRAM, IPPROTO_ICMP)
NETWORK_SOCKET(mptcp, AF_INET, SOCK_STREAM, NETWORK_MPTCP)
NETWORK_SOCKET(mptcp6, AF_INET6, SOCK_STREAM, NETWORK_MPTCP)
NETWORK_SOCKET(sctp, AF_INET, SOCK_STREAM, IPPROTO_SCTP)
NETWORK_SOCKET(udplite, AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE)
NETWORK_SOCKET(vsock, AF_VSOCK, SOCK_STREAM, 0)
NETWORK_SOCKET(alg, AF_ALG, SOCK_SEQPACKET, 0)
NETWORK_SOCKET(xdp, AF_XDP, SOCK_RAW, 0)
NETWORK_SOCKET(sock_packet, AF_INET, SOCK_PACKET, htons(3))

/* The upper half of a register is not part of an int: the kernel drops it, a filter must too. */
ATTACK_FD(netlink_high, syscall(41 /* socket, x86-64 */, 1UL << 32 | AF_NETLINK, SOCK_RAW, 0))

static int try_every_family(void)
{
	int r = -EAFNOSUPPORT;

	for (int family = 0; family < NETWORK_FAMILIES; family++) {
		for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++) {
			cleanup_fd int fd = socket(family, type | SOCK_CLOEXEC, 0);

			if (fd >= 0 && family != AF_UNIX && family != AF_INET && family != AF_INET6)
				return 0;
		}
	}
	return r;
}

static int try_pair_netlink(void)
{
	int pair[2];

	/* No family but AF_UNIX has pairs; TIPC has, where it is. */
	return attack_result(socketpair(30 /* AF_TIPC */, SOCK_STREAM, 0, pair));
}

/* ---- to a listener of the host ---- */

static int network_connect(int family, int type, const char *address, in_port_t port)
{
	cleanup_fd int fd = socket(family, type | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	const struct sockaddr *any = (const struct sockaddr *)&to;
	socklen_t size = sizeof(to);

	if (fd < 0)
		return attack_untried("no socket");
	if (inet_pton(family, address, family == AF_INET ? (void *)&to.sin_addr :
							   (void *)&to6.sin6_addr) != 1)
		return attack_untried("no address");
	if (family == AF_INET6) {
		any = (const struct sockaddr *)&to6;
		size = sizeof(to6);
	}
	return attack_result(connect(fd, any, size));
}

static int try_tcp(void)
{
	return network_connect(AF_INET, SOCK_STREAM, "127.0.0.1", attack_port("PORT"));
}

static int try_tcp_any(void)
{
	return network_connect(AF_INET, SOCK_STREAM, "0.0.0.0", attack_port("PORT"));
}

static int try_tcp_mapped(void)
{
	return network_connect(AF_INET6, SOCK_STREAM, "::ffff:127.0.0.1", attack_port("PORT"));
}

static int try_udp(void)
{
	return network_connect(AF_INET, SOCK_DGRAM, "127.0.0.1", attack_port("PORT"));
}

static int try_udp_mapped(void)
{
	return network_connect(AF_INET6, SOCK_DGRAM, "::ffff:127.0.0.1", attack_port("PORT"));
}

static int try_udp6(void)
{
	return network_connect(AF_INET6, SOCK_DGRAM, "::1", attack_port("PORT"));
}

/* A name server, as the resolver asks it. */
static int try_dns(void)
{
	return network_connect(AF_INET, SOCK_DGRAM, "127.0.0.53", 53);
}

static int network_send(int type, int flags, sa_family_t family, in_port_t port)
{
	cleanup_fd int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = attack_address(port);

	to.sin_family = family;
	return attack_result(sendto(fd, "x", 1, flags | MSG_NOSIGNAL,
				    (const struct sockaddr *)&to, sizeof(to)));
}

static int try_tcp_fastopen(void)
{
	return network_send(SOCK_STREAM, MSG_FASTOPEN, AF_INET, attack_port("PORT"));
}

static int try_udp_send(void)
{
	return network_send(SOCK_DGRAM, 0, AF_INET, attack_port("PORT"));
}

static int try_udp_send_unspec(void)
{
	return network_send(SOCK_DGRAM, 0, AF_UNSPEC, attack_port("PORT"));
}

static int try_dns_send(void)
{
	return network_send(SOCK_DGRAM, 0, AF_INET, 53);
}

static int network_send_message(int many)
{
	cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = attack_address(attack_port("PORT"));
	struct iovec data = { .iov_base = "x", .iov_len = 1 };
	struct mmsghdr message = { .msg_hdr = { .msg_name = &to, .msg_namelen = sizeof(to),
						.msg_iov = &data, .msg_iovlen = 1 } };

	return attack_result(many ? sendmmsg(fd, &message, 1, 0) :
				    sendmsg(fd, &message.msg_hdr, 0));
}

static int try_udp_message(void)
{
	return network_send_message(0);
}

static int try_udp_messages(void)
{
	return network_send_message(1);
}

/* ---- UNIX sockets ---- */

static int network_connect_unix(const char *name, size_t length, int type)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	cleanup_fd int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (length > sizeof(to.sun_path))
		return attack_untried("the name is too long");
	memcpy(to.sun_path, name, length);
	return attack_result(connect(fd, (const struct sockaddr *)&to,
				     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)));
}

static int try_abstract(void)
{
	char name[100] = "";
	const char *known = attack_env("ABSTRACT");

	(void)snprintf(name + 1, sizeof(name) - 1, "%s", known);
	return network_connect_unix(name, strlen(known) + 1, SOCK_STREAM);
}

static int try_unix_path(void)
{
	return network_connect_unix(attack_env("SINK"), strlen(attack_env("SINK")), SOCK_STREAM);
}

static int try_unix_in_zone(void)
{
	char path[512];

	attack_path("ZONE", "sink", path, sizeof(path));
	return network_connect_unix(path, strlen(path), SOCK_STREAM);
}

static int try_unix_control(void)
{
	const char *path = attack_env("CONTROL");

	return network_connect_unix(path, strlen(path), SOCK_SEQPACKET);
}

static int try_unix_journal(void)
{
	const char path[] = "/dev/log";

	return network_connect_unix(path, sizeof(path) - 1, SOCK_DGRAM);
}

/* ---- bind: what the profile does not publish ---- */

static int network_bind(int family, int type, in_port_t port, const char *address)
{
	cleanup_fd int fd = socket(family, type | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 at6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };

	(void)inet_pton(family, address, family == AF_INET ? (void *)&at.sin_addr :
							     (void *)&at6.sin6_addr);
	if (family == AF_INET)
		return attack_result(bind(fd, (const struct sockaddr *)&at, sizeof(at)));
	return attack_result(bind(fd, (const struct sockaddr *)&at6, sizeof(at6)));
}

static int try_bind_any_port(void)
{
	return network_bind(AF_INET, SOCK_STREAM, 0, "0.0.0.0");
}

static int try_bind_other_port(void)
{
	return network_bind(AF_INET, SOCK_STREAM, (in_port_t)(attack_port("TCP") ^ 1), "127.0.0.1");
}

static int try_bind_udp(void)
{
	return network_bind(AF_INET, SOCK_DGRAM, 0, "0.0.0.0");
}

static int try_bind_udp6(void)
{
	return network_bind(AF_INET6, SOCK_DGRAM, 0, "::1");
}

static int try_bind_privileged(void)
{
	return network_bind(AF_INET, SOCK_STREAM, 80, "127.0.0.1");
}

/* ---- facts of the host ---- */

static int try_interfaces(void)
{
	const struct if_nameindex *list = if_nameindex();

	return list ? 0 : -errno;
}

static int try_bind_device(void)
{
	cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return attack_result(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
}

static int try_tcp_table(void)
{
	char line[64];
	cleanup_file FILE *file = fopen("/proc/net/tcp", "re");
	int lines = 0;

	while (file && fgets(line, sizeof(line), file))
		lines += strchr(line, '\n') != NULL;
	return lines > 1 ? 0 : -ENODATA;
}

#define ROW ATTACK_ROW
#define OPENED ATTACK_ROW_OPENED
#define NO_FAMILY "EAFNOSUPPORT"
static const struct attack attacks[] = {
	ROW(netlink, NO_FAMILY, 0, "a netlink socket"),
	ROW(netlink_audit, NO_FAMILY, 0, "the kernel's audit"),
	ROW(netlink_events, NO_FAMILY, 0, "device events"),
	ROW(netlink_diag, NO_FAMILY, 0, "the table of sockets by netlink"),
	ROW(netlink_high, NO_FAMILY, 0, "netlink, with other upper bits"),
	ROW(packet, NO_FAMILY, 0, "a packet socket"),
	ROW(raw, "EPERM", 0, "a raw socket"),
	ROW(raw6, "EPERM", 0, "a raw IPv6 socket"),
	ROW(ping, "EPROTONOSUPPORT", 0, "a ping socket"),
	ROW(mptcp, "EPROTONOSUPPORT", 0, "MPTCP, which rules for TCP do not see"),
	ROW(mptcp6, "EPROTONOSUPPORT", 0, "MPTCP on IPv6"),
	ROW(sctp, "ENOSYS", 0, "SCTP"),
	ROW(udplite, "ENOSYS", 0, "UDP-Lite"),
	ROW(vsock, NO_FAMILY, 0, "a socket to the hypervisor"),
	ROW(alg, NO_FAMILY, 0, "the kernel's cryptography"),
	ROW(xdp, NO_FAMILY, 0, "an XDP socket"),
	ROW(sock_packet, "ENOSYS EPERM", 0, "the packet socket of old"),
	ROW(every_family, NO_FAMILY, 0, "every other family of sockets"),
	ROW(pair_netlink, "ENOSYS", 0, "a pair of another family"),
	OPENED(tcp, "EPERM", 0, "loopback=ECONNREFUSED", "connect() to a listener of the host"),
	ROW(tcp_any, "EPERM", 0, "connect() to 0.0.0.0, which is this host"),
	OPENED(tcp_mapped, "EPERM", 0, "loopback=ECONNREFUSED", "connect() to ::ffff:127.0.0.1"),
	OPENED(tcp_fastopen, "EPERM", 0, "loopback=ECONNREFUSED",
	       "MSG_FASTOPEN to a listener of the host"),
	OPENED(udp, "EPERM", 0, "loopback=succeeded", "UDP connect() to a port of the host"),
	OPENED(udp6, "EPERM", 0, "loopback=succeeded", "UDP connect() to ::1"),
	OPENED(udp_mapped, "EPERM", 0, "loopback=succeeded", "UDP connect() to ::ffff:127.0.0.1"),
	OPENED(udp_send, "EPERM", 0, "loopback=succeeded", "sendto()"),
	OPENED(udp_send_unspec, "EPERM", 0, "loopback=succeeded",
	       "sendto() with the family left open"),
	OPENED(udp_message, "EPERM", 0, "loopback=succeeded", "sendmsg()"),
	OPENED(udp_messages, "EPERM", 0, "loopback=succeeded", "sendmmsg()"),
	OPENED(dns, "EPERM", 0, "loopback=succeeded", "the resolver, connected"),
	OPENED(dns_send, "EPERM", 0, "loopback=succeeded", "a query to the resolver"),
	ROW(abstract, "ECONNREFUSED EPERM", ATTACK_SILENT, "an abstract socket of the host"),
	ROW(unix_path, "ENOENT", 0, "a UNIX socket of the host by its path"),
	ROW(unix_in_zone, "EACCES EPERM", ATTACK_KNOWN, "a UNIX socket in a zone"),
	ROW(unix_control, "ENOENT", 0, "custody's own control socket"),
	ROW(unix_journal, "ENOENT", 0, "the host's log socket"),
	ROW(bind_any_port, "EACCES", 0, "bind() to any port"),
	OPENED(bind_other_port, "EACCES", 0, "loopback=succeeded",
	       "bind() to a port that is not listed"),
	ROW(bind_privileged, "EACCES", 0, "bind() to port 80"),
	ROW(bind_udp, "EACCES", 0, "bind() to any UDP port"),
	OPENED(bind_udp6, "EACCES", 0, "loopback=succeeded", "bind() to any UDP port of ::1"),
	ROW(bind_device, "EPERM", 0, "SO_BINDTODEVICE"),
	ROW(interfaces, NO_FAMILY " EPERM ENOSYS", 0, "the names of the interfaces"),
	ROW(tcp_table, "ENODATA", ATTACK_SILENT, "the host's connections in /proc/net"),
};

int main(int argc, char **argv)
{
	return attack_main(argc, argv, attacks, ARRAY_SIZE(attacks));
}
