/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets that are left, as the kernel's sock_diag lists them. Run by custody-sweeper. Trusts the
 * kernel's dump; the UNIX paths in it are other processes' bytes.
 *
 * Looks at the host's network namespace, where every published endpoint lives. Sockets of the
 * jail's own namespace reach nothing outside it; who keeps that namespace is NAMESPACE_PIDS.
 * TIME_WAIT and half-open connections are the kernel's bookkeeping: nobody owns them.
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "match.h"
#include "sweep.h"

#define SOCKET_NEW_SYN_RECV 12	/* TCP_NEW_SYN_RECV of include/net/tcp_states.h */
#define SOCKET_ALL_STATES 0xffffffffU
#define SOCKET_RETRIES 5	/* dumps that the kernel says were inconsistent */

/* One dump: what was asked and what came. */
struct facts_dump {
	struct sweep *sweep;
	__u8 protocol;
	bool interrupted;	/* NLM_F_DUMP_INTR: the list changed under the dump */
	bool served[CUSTODY_ENDPOINTS_MAX];
	__u64 owned;		/* by one of the jail's cgroups */
	__u32 unknown;		/* full sockets whose cgroup the kernel does not say */
	char first[64];		/* the first owned one */
	__u64 unix_bound;
	char unix_first[112];
};

static void facts_socket_read_inet(const struct inet_diag_msg *diag, __u8 protocol, bool v6only,
				   struct match_socket *ret)
{
	bool v6 = diag->idiag_family == AF_INET6;

	*ret = (struct match_socket){
		.family = v6 ? PLAN_FAMILY_INET6 : PLAN_FAMILY_INET,
		.protocol = protocol,
		.port = ntohs(diag->id.idiag_sport),
		.v6only = v6only,
		.serves = protocol == IPPROTO_UDP || diag->idiag_state == TCP_LISTEN,
	};
	memcpy(ret->address, diag->id.idiag_src, v6 ? 16 : 4);
}

/* The kernel names the cgroup of every full socket (CONFIG_SOCK_CGROUP_DATA). */
static void facts_socket_look_owner(struct facts_dump *dump, const struct inet_diag_msg *diag,
				    const struct nlattr *cgroup)
{
	const struct sweep_request *request = dump->sweep->request;
	__u64 id;

	if (diag->idiag_state == TCP_TIME_WAIT || diag->idiag_state == SOCKET_NEW_SYN_RECV ||
	    diag->idiag_state == TCP_SYN_RECV)
		return;
	/* What waits for the other side's FIN only is a time-wait socket that shows that state. */
	if (diag->idiag_state == TCP_FIN_WAIT2 && !cgroup)
		return;
	if (!cgroup || nla_len(cgroup) < (int)sizeof(id)) {
		dump->unknown++;
		return;
	}
	memcpy(&id, nla_data(cgroup), sizeof(id));
	if (id == 0 || (id != request->cgroup_model && id != request->cgroup_broker))
		return;
	if (dump->owned++ == 0)
		(void)snprintf(dump->first, sizeof(dump->first), "%s port %u, state %u",
			       dump->protocol == IPPROTO_UDP ? "udp" : "tcp",
			       ntohs(diag->id.idiag_sport), diag->idiag_state);
}

static int facts_socket_take_inet(struct nl_msg *message, void *arg)
{
	struct facts_dump *dump = arg;
	struct nlmsghdr *head = nlmsg_hdr(message);
	const struct inet_diag_msg *diag = nlmsg_data(head);
	struct nlattr *attrs[INET_DIAG_CGROUP_ID + 1] = { 0 };
	struct match_socket socket;
	bool v6only;

	if (head->nlmsg_flags & NLM_F_DUMP_INTR)
		dump->interrupted = true;
	if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return NL_OK;
	if (nlmsg_parse(head, sizeof(*diag), attrs, INET_DIAG_CGROUP_ID, NULL) < 0)
		return NL_STOP;
	v6only = attrs[INET_DIAG_SKV6ONLY] && nla_get_u8(attrs[INET_DIAG_SKV6ONLY]) != 0;
	facts_socket_look_owner(dump, diag, attrs[INET_DIAG_CGROUP_ID]);
	facts_socket_read_inet(diag, dump->protocol, v6only, &socket);
	for (unsigned int i = 0; i < dump->sweep->request->n_endpoints; i++) {
		if (match_serves_endpoint(&socket, &dump->sweep->request->endpoints[i]))
			dump->served[i] = true;
	}
	return NL_OK;
}

static int facts_socket_take_unix(struct nl_msg *message, void *arg)
{
	struct facts_dump *dump = arg;
	const struct sweep_request *request = dump->sweep->request;
	struct nlmsghdr *head = nlmsg_hdr(message);
	struct nlattr *attrs[UNIX_DIAG_NAME + 1] = { 0 };
	char path[sizeof(request->endpoints[0].path)] = "";
	size_t n;

	if (head->nlmsg_flags & NLM_F_DUMP_INTR)
		dump->interrupted = true;
	if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return NL_OK;
	if (nlmsg_parse(head, sizeof(struct unix_diag_msg), attrs, UNIX_DIAG_NAME, NULL) < 0)
		return NL_STOP;
	if (!attrs[UNIX_DIAG_NAME])
		return NL_OK;
	n = (size_t)nla_len(attrs[UNIX_DIAG_NAME]);
	memcpy(path, nla_data(attrs[UNIX_DIAG_NAME]), n < sizeof(path) ? n : sizeof(path) - 1);
	for (unsigned int i = 0; path[0] != '\0' && i < request->n_endpoints; i++) {
		const struct reply_endpoint *e = &request->endpoints[i];

		if (e->kind != PLAN_ENDPOINT_LISTEN || e->family != PLAN_FAMILY_UNIX ||
		    strncmp(path, e->path, sizeof(path)) != 0)
			continue;
		if (dump->unix_bound++ == 0)
			(void)snprintf(dump->unix_first, sizeof(dump->unix_first), "%s", path);
	}
	return NL_OK;
}

/* Sends one dump request and takes every answer. Returns 0 or -errno. */
static int facts_socket_run_dump(struct nl_sock *netlink, void *request, size_t size,
				 nl_recvmsg_msg_cb_t take, struct facts_dump *dump)
{
	int r;

	nl_socket_disable_seq_check(netlink);
	if (nl_socket_modify_cb(netlink, NL_CB_VALID, NL_CB_CUSTOM, take, dump) < 0)
		return -ENOMEM;
	r = nl_send_simple(netlink, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, request, size);
	if (r >= 0)
		r = nl_recvmsgs_default(netlink);
	if (r == -NLE_DUMP_INTR) {
		dump->interrupted = true;
		return 0;
	}
	if (r == -NLE_OBJ_NOTFOUND)
		return -ENOENT;
	return r < 0 ? -EIO : 0;
}

/* A list that changed while it was read is read again; at last that is said. */
static int facts_socket_dump(struct sweep *sweep, void *request, size_t size, __u8 protocol,
			     nl_recvmsg_msg_cb_t take, struct facts_dump *ret)
{
	for (unsigned int i = 0; i < SOCKET_RETRIES; i++) {
		struct facts_dump dump = { .sweep = sweep, .protocol = protocol };
		int r = facts_socket_run_dump(sweep->netlink, request, size, take, &dump);

		if (r < 0)
			return r;
		*ret = dump;
		if (!dump.interrupted)
			return 0;
	}
	return -EAGAIN;
}

static void facts_socket_merge_inet(struct sweep *sweep, const struct facts_dump *dump,
				    bool served[CUSTODY_ENDPOINTS_MAX])
{
	if (dump->owned > 0)
		sweep_add(sweep, FACT_SOCKETS_INET, dump->owned, "%s", dump->first);
	for (__u32 i = 0; i < dump->unknown; i++)
		sweep_miss(sweep, FACT_SOCKETS_INET, "the cgroup of a socket");
	for (unsigned int i = 0; i < CUSTODY_ENDPOINTS_MAX; i++)
		served[i] = served[i] || dump->served[i];
}

static void facts_socket_look_inet(struct sweep *sweep)
{
	static const struct {
		__u8 family;
		__u8 protocol;
		const char *name;
	} lists[] = {
		{ AF_INET, IPPROTO_TCP, "tcp" },
		{ AF_INET6, IPPROTO_TCP, "tcp6" },
		{ AF_INET, IPPROTO_UDP, "udp" },
		{ AF_INET6, IPPROTO_UDP, "udp6" },
	};
	bool served[CUSTODY_ENDPOINTS_MAX] = { false };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct inet_diag_req_v2 request = {
			.sdiag_family = lists[i].family,
			.sdiag_protocol = lists[i].protocol,
			.idiag_states = SOCKET_ALL_STATES,
		};
		struct facts_dump dump;
		int r = facts_socket_dump(sweep, &request, sizeof(request), lists[i].protocol,
					  facts_socket_take_inet, &dump);

		if (r == 0) {
			facts_socket_merge_inet(sweep, &dump, served);
			continue;
		}
		sweep_blind(sweep, FACT_SOCKETS_INET, "sock_diag %s: %s", lists[i].name,
			    strerror(-r));
		sweep_blind(sweep, FACT_ENDPOINTS_BOUND, "sock_diag %s: %s", lists[i].name,
			    strerror(-r));
	}
	for (unsigned int i = 0; i < sweep->request->n_endpoints; i++) {
		const struct reply_endpoint *e = &sweep->request->endpoints[i];

		if (served[i])
			sweep_add(sweep, FACT_ENDPOINTS_BOUND, 1, "endpoint %u, %s port %u", i,
				  e->protocol == IPPROTO_UDP ? "udp" : "tcp", e->port);
	}
}

static void facts_socket_look_unix(struct sweep *sweep)
{
	struct unix_diag_req request = {
		.sdiag_family = AF_UNIX,
		.udiag_states = SOCKET_ALL_STATES,
		.udiag_show = UDIAG_SHOW_NAME,
	};
	struct facts_dump dump;
	int r = facts_socket_dump(sweep, &request, sizeof(request), 0, facts_socket_take_unix,
				  &dump);

	if (r < 0)
		sweep_blind(sweep, FACT_SOCKETS_UNIX, "sock_diag unix: %s", strerror(-r));
	else if (dump.unix_bound > 0)
		sweep_add(sweep, FACT_SOCKETS_UNIX, dump.unix_bound, "%s", dump.unix_first);
}

void facts_socket_look(struct sweep *sweep)
{
	if (!sweep->netlink) {
		const char *why = strerror(-sweep->netlink_error);

		sweep_blind(sweep, FACT_SOCKETS_INET, "netlink sock_diag: %s", why);
		sweep_blind(sweep, FACT_ENDPOINTS_BOUND, "netlink sock_diag: %s", why);
		sweep_blind(sweep, FACT_SOCKETS_UNIX, "netlink sock_diag: %s", why);
		return;
	}
	facts_socket_look_inet(sweep);
	facts_socket_look_unix(sweep);
}
