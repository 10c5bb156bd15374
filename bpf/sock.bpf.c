/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets: making them, and naming an address with bind, connect or sendmsg. The kernel asks
 * for internet sockets only; other families are the system call filter's business.
 *
 * The cgroup of the task that calls decides. The model's process may hold sockets of the host's
 * network namespace (its broker makes the published ones), and 127.0.0.1 of that namespace is
 * the host's: "loopback may be used" therefore holds only for a socket that the model itself
 * made, which `sockets` remembers from sock_create.
 */
#include "ceiling.h"
#include "common.h"

#include <linux/in.h>

#include <bpf/bpf_endian.h>

#define SOCK_ALLOW 1
#define SOCK_DENY 0	/* the task gets EPERM */

#define AF_INET 2
#define SOCK_STREAM 1
#define SOCK_DGRAM 2

/* TCP and UDP. Raw, ping, MPTCP, SCTP and the rest reach what no other program here checks. */
static __always_inline bool sock_check_kind(__u32 type, __u32 protocol)
{
	return (type == SOCK_STREAM && protocol == IPPROTO_TCP) ||
	       (type == SOCK_DGRAM && protocol == IPPROTO_UDP);
}

SEC("cgroup/sock_create")
int custody_sock_create(struct bpf_sock *ctx)
{
	struct subject s = subject_new(POLICY_CLASS_SOCKET, 0);
	struct socket_origin origin = {};
	struct policy_counter *counter;
	struct custody_event *event;
	struct policy_jail *jail;
	bool allowed;

	s.cgroup_id = bpf_get_current_cgroup_id();
	jail = jail_find(s.cgroup_id);
	if (!jail)
		return SOCK_DENY;
	s.jail_id = jail->jail_id;
	allowed = sock_check_kind(ctx->type, ctx->protocol);
	counter = counter_add(&s, allowed, 0);
	origin.jail_id = jail->jail_id;
	origin.role = jail->role;
	/* Without its origin a socket can be used for less, never for more. */
	if (allowed && !bpf_sk_storage_get(&sockets, ctx, &origin, BPF_SK_STORAGE_GET_F_CREATE))
		error_count(POLICY_ERROR_SOCKET_STORAGE);
	if (allowed && !seen_first(&s, (__u64)ctx->family << 32 | ctx->type, ctx->protocol))
		return SOCK_ALLOW;
	event = event_open(&s, counter, EVENT_PLANE_CGROUP, allowed ? EVENT_ALLOWED : EVENT_DENIED);
	if (event) {
		event_set_task(event);
		event->family = ctx->family == AF_INET ? 4 : 6;
		event->protocol = (__u8)ctx->protocol;
		event->access = ctx->type;
		event->error = allowed ? 0 : -1; /* EPERM */
		event_submit(event, counter);
	}
	return allowed ? SOCK_ALLOW : SOCK_DENY;
}

/* Did the model of this jail make the socket itself? Unknown is no. */
static __always_inline bool sock_is_private(struct bpf_sock_addr *ctx, __u32 jail_id)
{
	struct bpf_sock *sk = ctx->sk;
	struct socket_origin *origin;

	if (!sk)
		return false;
	origin = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	return origin && origin->jail_id == jail_id && origin->role == POLICY_ROLE_MODEL;
}

static __always_inline bool sock_is_loopback(const struct policy_endpoint_key *key)
{
	const __u32 *address = (const __u32 *)key->address;

	if (key->family == 4)
		return key->address[0] == 127;
	return address[0] == 0 && address[1] == 0 && address[2] == 0 &&
	       address[3] == bpf_htonl(1);
}

/* Who may use which right: a broker publishes, a model reaches out. */
static __always_inline bool sock_check_role(__u32 role, __u32 right)
{
	return role == (right == POLICY_ENDPOINT_BIND ? POLICY_ROLE_BROKER : POLICY_ROLE_MODEL);
}

static __always_inline void sock_report(const struct subject *s,
					const struct policy_endpoint_key *key, __u32 type,
					bool allowed)
{
	struct policy_counter *counter = counter_add(s, allowed, 0);
	const __u64 *address = (const __u64 *)key->address;
	__u64 port = (__u64)key->port << 48 | (__u64)key->protocol << 40;
	struct custody_event *event;

	if (allowed && !seen_first(s, address[0], address[1] ^ port))
		return;
	event = event_open(s, counter, EVENT_PLANE_CGROUP, allowed ? EVENT_ALLOWED : EVENT_DENIED);
	if (!event)
		return;
	event_set_task(event);
	event->family = key->family;
	event->protocol = key->protocol;
	event->port = key->port;
	event->access = type;
	event->error = allowed ? 0 : -1; /* EPERM */
	__builtin_memcpy(event->address, key->address, sizeof(event->address));
	event_submit(event, counter);
}

/* key: all but jail_id filled in. */
static __always_inline int sock_decide(struct bpf_sock_addr *ctx, struct policy_endpoint_key *key,
				       __u16 class, __u32 right)
{
	struct subject s = subject_new(class, POLICY_OBJECT_NONE);
	struct policy_endpoint *endpoint;
	struct policy_jail *jail;
	bool allowed = false;

	s.cgroup_id = bpf_get_current_cgroup_id();
	jail = jail_find(s.cgroup_id);
	if (!jail)
		return SOCK_DENY;
	s.jail_id = jail->jail_id;
	key->jail_id = jail->jail_id;
	endpoint = endpoint_find(key);
	if (endpoint) {
		s.object = endpoint->endpoint;
		allowed = (endpoint->rights & right) && sock_check_role(jail->role, right) &&
			  !jail_lost_endpoint(jail, endpoint);
	}
	if (allowed && s.class == POLICY_CLASS_CONNECT && (jail->flags & POLICY_FLAG_CEILING))
		allowed = !ceiling_is_shut(s.jail_id, endpoint->endpoint);
	if (!allowed && jail->role == POLICY_ROLE_MODEL && (jail->flags & POLICY_FLAG_LOOPBACK) &&
	    sock_is_loopback(key))
		allowed = sock_is_private(ctx, jail->jail_id);
	sock_report(&s, key, ctx->type, allowed);
	return allowed ? SOCK_ALLOW : SOCK_DENY;
}

static __always_inline int sock_decide_ipv4(struct bpf_sock_addr *ctx, __u16 class, __u32 right)
{
	struct policy_endpoint_key key = {};

	key.family = 4;
	key.protocol = ctx->protocol;
	key.port = bpf_ntohs((__u16)ctx->user_port);
	*(__u32 *)key.address = ctx->user_ip4;
	return sock_decide(ctx, &key, class, right);
}

/*
 * ::ffff:a.b.c.d reaches a.b.c.d by IPv4, so it is judged as a.b.c.d, except for bind: there
 * the endpoint is published under the address as it was written.
 */
static __always_inline int sock_decide_ipv6(struct bpf_sock_addr *ctx, __u16 class, __u32 right)
{
	struct policy_endpoint_key key = {};
	__u32 *address = (__u32 *)key.address;

	key.family = 6;
	key.protocol = ctx->protocol;
	key.port = bpf_ntohs((__u16)ctx->user_port);
	address[0] = ctx->user_ip6[0];
	address[1] = ctx->user_ip6[1];
	address[2] = ctx->user_ip6[2];
	address[3] = ctx->user_ip6[3];
	if (right == POLICY_ENDPOINT_CONNECT && address[0] == 0 && address[1] == 0 &&
	    address[2] == bpf_htonl(0xffff)) {
		key.family = 4;
		address[0] = address[3];
		address[2] = 0;
		address[3] = 0;
	}
	return sock_decide(ctx, &key, class, right);
}

SEC("cgroup/bind4")
int custody_bind4(struct bpf_sock_addr *ctx)
{
	return sock_decide_ipv4(ctx, POLICY_CLASS_BIND, POLICY_ENDPOINT_BIND);
}

SEC("cgroup/bind6")
int custody_bind6(struct bpf_sock_addr *ctx)
{
	return sock_decide_ipv6(ctx, POLICY_CLASS_BIND, POLICY_ENDPOINT_BIND);
}

SEC("cgroup/connect4")
int custody_connect4(struct bpf_sock_addr *ctx)
{
	return sock_decide_ipv4(ctx, POLICY_CLASS_CONNECT, POLICY_ENDPOINT_CONNECT);
}

SEC("cgroup/connect6")
int custody_connect6(struct bpf_sock_addr *ctx)
{
	return sock_decide_ipv6(ctx, POLICY_CLASS_CONNECT, POLICY_ENDPOINT_CONNECT);
}

SEC("cgroup/sendmsg4")
int custody_sendmsg4(struct bpf_sock_addr *ctx)
{
	return sock_decide_ipv4(ctx, POLICY_CLASS_SENDMSG, POLICY_ENDPOINT_CONNECT);
}

SEC("cgroup/sendmsg6")
int custody_sendmsg6(struct bpf_sock_addr *ctx)
{
	return sock_decide_ipv6(ctx, POLICY_CLASS_SENDMSG, POLICY_ENDPOINT_CONNECT);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
