/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of a jail by NETLINK_SOCK_DIAG (libnl). Run by custodyd. Trusts the kernel's
 * answer; every attribute is length-checked by libnl's policy parser.
 */
#include "sockets.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include "cleanup.h"

/* States in which a peer may still be sent something. */
#define SOCKETS_STATES                                                                     \
	((1U << TCP_ESTABLISHED) | (1U << TCP_SYN_RECV) | (1U << TCP_FIN_WAIT1) |          \
	 (1U << TCP_CLOSE_WAIT) | (1U << TCP_LAST_ACK))

#define SOCKETS_ENDED (SOCKETS_STATES | (1U << TCP_SYN_SENT) | (1U << TCP_FIN_WAIT2) |       \
		       (1U << TCP_CLOSING))
#define SOCKETS_ROUND 256	/* connections ended between two looks */
#define SOCKETS_ROUNDS 1024

/* One that is to be ended: as the dump named it. */
struct sockets_victim {
	__u8 family;
	struct inet_diag_sockid id;
};

struct sockets_count {
	__u64 cgroup[2];
	__u32 states;
	__u32 n;
	struct sockets_victim *victims;	/* room for SOCKETS_ROUND; NULL: only counted */
};

static int sockets_on_socket(struct nl_msg *msg, void *data)
{
	const struct inet_diag_msg *said = nlmsg_data(nlmsg_hdr(msg));
	struct sockets_count *count = data;
	struct nlattr *attr;
	__u64 id;

	attr = nlmsg_find_attr(nlmsg_hdr(msg), sizeof(struct inet_diag_msg), INET_DIAG_CGROUP_ID);
	if (!attr || nla_len(attr) < (int)sizeof(__u64))
		return NL_OK;
	id = nla_get_u64(attr);
	if (id != count->cgroup[0] && id != count->cgroup[1])
		return NL_OK;
	if (count->victims && count->n < SOCKETS_ROUND)
		count->victims[count->n] = (struct sockets_victim){ .family = said->idiag_family,
								    .id = said->id };
	count->n++;
	return NL_OK;
}

static void sockets_free(struct nl_sock **sock)
{
	nl_socket_free(*sock);
}

static int sockets_dump(struct nl_sock *sock, int family, struct sockets_count *count)
{
	struct inet_diag_req_v2 request = {
		.sdiag_family = (__u8)family,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = count->states,
	};
	int r = nl_send_simple(sock, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &request, sizeof(request));

	if (r < 0)
		return -EIO;
	r = nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, sockets_on_socket, count);
	if (r < 0)
		return -EIO;
	return nl_recvmsgs_default(sock) < 0 ? -EIO : 0;
}

int sockets_count_connections(__u64 cgroup_model, __u64 cgroup_broker, __u32 *ret)
{
	__attribute__((cleanup(sockets_free))) struct nl_sock *sock = nl_socket_alloc();
	struct sockets_count count = { .cgroup = { cgroup_model, cgroup_broker },
				       .states = SOCKETS_STATES };
	int r;

	if (!sock)
		return -ENOMEM;
	if (nl_connect(sock, NETLINK_SOCK_DIAG) < 0)
		return -EIO;
	r = sockets_dump(sock, AF_INET, &count);
	if (r == 0)
		r = sockets_dump(sock, AF_INET6, &count);
	if (r < 0)
		return r;
	*ret = count.n;
	return 0;
}

static int sockets_destroy_one(struct nl_sock *sock, const struct sockets_victim *victim)
{
	struct inet_diag_req_v2 request = {
		.sdiag_family = victim->family,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = SOCKETS_ENDED,
		.id = victim->id,
	};
	int r;

	if (nl_send_simple(sock, SOCK_DESTROY, NLM_F_ACK, &request, sizeof(request)) < 0)
		return -EIO;
	r = nl_wait_for_ack(sock);
	if (r == -NLE_OPNOTSUPP)
		return -EOPNOTSUPP;
	/* It has ended meanwhile: that was what we want. */
	return r < 0 && r != -NLE_OBJ_NOTFOUND ? -EIO : 0;
}

static int sockets_destroy_round(struct nl_sock *sock, struct sockets_count *count)
{
	int r;

	count->n = 0;
	r = sockets_dump(sock, AF_INET, count);
	if (r == 0 && count->n < SOCKETS_ROUND)
		r = sockets_dump(sock, AF_INET6, count);
	for (__u32 i = 0; r == 0 && i < count->n && i < SOCKETS_ROUND; i++)
		r = sockets_destroy_one(sock, &count->victims[i]);
	return r;
}

int sockets_destroy_connections(__u64 cgroup_model, __u64 cgroup_broker)
{
	__attribute__((cleanup(sockets_free))) struct nl_sock *sock = nl_socket_alloc();
	struct sockets_victim victims[SOCKETS_ROUND];
	struct sockets_count count = { .cgroup = { cgroup_model, cgroup_broker },
				       .states = SOCKETS_ENDED, .victims = victims };
	int r = 0;

	if (!sock)
		return -ENOMEM;
	if (nl_connect(sock, NETLINK_SOCK_DIAG) < 0)
		return -EIO;
	count.n = SOCKETS_ROUND;
	for (int i = 0; r == 0 && count.n >= SOCKETS_ROUND && i < SOCKETS_ROUNDS; i++)
		r = sockets_destroy_round(sock, &count);
	return r;
}
