/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bytes and packets in and out of every socket below custody's cgroup, by endpoint.
 *
 * A socket belongs to the cgroup that made it, for life; an accepted one to its listener's. So
 * the sockets of a published endpoint are the broker's, and those that the model makes in its
 * own network namespace are the model's: both carry the same jail_id.
 *
 * A socket of the broker's that is at no endpoint of the jail loses every packet. The broker
 * makes none, but the model can make one: it may disconnect an accepted socket (which is in the
 * host's network namespace) and listen() again, and listening without bind() takes a free port
 * that no bind program is asked about.
 *
 * Packets are IP packets as the stack hands them over: segments that were merged count as one.
 * What leaves is charged to the jail's ceilings (ceiling.h), whichever of its two cgroups sends it.
 */
#include "ceiling.h"
#include "common.h"

#include <linux/in.h>

#include <bpf/bpf_endian.h>

#define AF_INET 2
#define AF_INET6 10
#define SKB_PASS CEILING_PASS
#define SKB_DROP CEILING_DROP
#define SKB_LOOPBACK 1 /* index of the loopback device, in every network namespace */

static __always_inline struct policy_endpoint *
skb_find_side(struct policy_endpoint_key *key, __u32 right)
{
	struct policy_endpoint *endpoint = endpoint_find(key);

	if (endpoint && (endpoint->rights & right))
		return endpoint;
	if (right != POLICY_ENDPOINT_BIND)
		return NULL;
	/* Listening on the wildcard address: accepted sockets have a real one. */
	__builtin_memset(key->address, 0, sizeof(key->address));
	endpoint = endpoint_find(key);
	return endpoint && (endpoint->rights & right) ? endpoint : NULL;
}

static __always_inline void skb_read_local(struct bpf_sock *sk, struct policy_endpoint_key *key)
{
	__u32 *address = (__u32 *)key->address;

	key->port = sk->src_port;
	if (key->family == 4) {
		address[0] = sk->src_ip4;
		return;
	}
	address[0] = sk->src_ip6[0];
	address[1] = sk->src_ip6[1];
	address[2] = sk->src_ip6[2];
	address[3] = sk->src_ip6[3];
}

static __always_inline void skb_read_remote(struct bpf_sock *sk, struct policy_endpoint_key *key)
{
	__u32 *address = (__u32 *)key->address;

	key->port = bpf_ntohs(sk->dst_port);
	if (key->family == 4) {
		address[0] = sk->dst_ip4;
		return;
	}
	address[0] = sk->dst_ip6[0];
	address[1] = sk->dst_ip6[1];
	address[2] = sk->dst_ip6[2];
	address[3] = sk->dst_ip6[3];
}

/*
 * Where a datagram that leaves goes to stands in the datagram: sendto() may name another
 * destination than the one that its socket is connected to. Extension headers are none that a
 * socket may set without privilege: what has some is at no endpoint.
 */
static __always_inline void skb_read_destination(struct __sk_buff *skb,
						 struct policy_endpoint_key *key)
{
	__u16 port = 0;
	__u8 first = 0;

	__builtin_memset(key->address, 0, sizeof(key->address));
	key->port = 0;
	if (key->family == 4) {
		if (bpf_skb_load_bytes(skb, 0, &first, 1) ||
		    bpf_skb_load_bytes(skb, 16, key->address, 4) ||
		    bpf_skb_load_bytes(skb, (first & 0xf) * 4 + 2, &port, 2))
			return;
	} else if (bpf_skb_load_bytes(skb, 6, &first, 1) || first != IPPROTO_UDP ||
		   bpf_skb_load_bytes(skb, 24, key->address, 16) ||
		   bpf_skb_load_bytes(skb, 42, &port, 2)) {
		return;
	}
	key->port = bpf_ntohs(port);
}

/* The endpoint that the socket is at, and its local port; NULL when at none. */
static __always_inline struct policy_endpoint *
skb_find_endpoint(struct __sk_buff *skb, __u32 jail_id, __u16 class, __u16 *port)
{
	struct policy_endpoint_key key = { .jail_id = jail_id };
	struct bpf_sock *sk = skb->sk;
	struct policy_endpoint *endpoint;
	struct bpf_sock *full;

	if (!sk)
		return NULL;
	if (sk->family != AF_INET && sk->family != AF_INET6)
		return NULL;
	key.family = sk->family == AF_INET ? 4 : 6;
	/* What is not a full socket yet is a TCP connection request. */
	full = bpf_sk_fullsock(sk);
	key.protocol = full ? full->protocol : IPPROTO_TCP;
	skb_read_local(sk, &key);
	*port = key.port;
	endpoint = skb_find_side(&key, POLICY_ENDPOINT_BIND);
	if (!endpoint) {
		if (class == POLICY_CLASS_EGRESS && key.protocol == IPPROTO_UDP)
			skb_read_destination(skb, &key);
		else
			skb_read_remote(sk, &key);
		endpoint = skb_find_side(&key, POLICY_ENDPOINT_CONNECT);
	}
	return endpoint;
}

/*
 * The one denial that is emitted at first sight only (jail, direction, port), not each time:
 * whoever can reach the port could otherwise fill the ring. The counter has every packet.
 */
static __always_inline void skb_report_drop(const struct subject *s,
					    struct policy_counter *counter, __u16 port)
{
	struct custody_event *event;

	if (!seen_first(s, 0, port))
		return;
	event = event_open(s, counter, EVENT_PLANE_CGROUP, EVENT_DENIED);
	if (!event)
		return;
	event->port = port;
	event->error = -1; /* EPERM, when it is the sender that is told */
	event_submit(event, counter);
}

/* While a jail drains, nothing new gets in: a packet to a listening socket is dropped. */
static __always_inline bool skb_is_refused(struct __sk_buff *skb, const struct policy_jail *jail,
					   __u16 class)
{
	struct bpf_sock *sk = skb->sk;

	return sk && class == POLICY_CLASS_INGRESS && (jail->flags & POLICY_FLAG_DRAINING) &&
	       sk->state == BPF_TCP_LISTEN;
}

/*
 * Does it count against the ceilings? Not what the model sends itself, on the loopback of a
 * network namespace in which there is nothing else: that stays in the jail.
 */
static __always_inline bool skb_is_charged(struct __sk_buff *skb, const struct policy_jail *jail,
					   const struct subject *s)
{
	if (s->class != POLICY_CLASS_EGRESS || !(jail->flags & POLICY_FLAG_CEILING))
		return false;
	return jail->role != POLICY_ROLE_MODEL || s->object != POLICY_OBJECT_NONE ||
	       skb->ifindex != SKB_LOOPBACK;
}

static __always_inline int skb_account(struct __sk_buff *skb, __u16 class)
{
	struct subject s = subject_new(class, POLICY_OBJECT_NONE);
	struct policy_endpoint *endpoint;
	struct policy_counter *counter;
	struct policy_jail *jail;
	int verdict = SKB_PASS;
	__u16 port = 0;
	bool allowed;

	s.cgroup_id = bpf_skb_cgroup_id(skb);
	jail = jail_find(s.cgroup_id);
	if (!jail)
		return SKB_DROP;
	s.jail_id = jail->jail_id;
	endpoint = skb_find_endpoint(skb, jail->jail_id, class, &port);
	if (endpoint)
		s.object = (__u16)endpoint->endpoint;
	allowed = jail->role == POLICY_ROLE_MODEL || endpoint;
	/* Dropped by `restrict`: what is connected already gets no packet through either. */
	if (endpoint && jail_lost_endpoint(jail, endpoint))
		allowed = false;
	if (allowed && skb_is_refused(skb, jail, class))
		allowed = false;
	if (allowed && skb_is_charged(skb, jail, &s))
		verdict = ceiling_charge(&s, skb->len, port);
	counter = counter_add(&s, allowed && (verdict & SKB_PASS), skb->len);
	if (!allowed)
		skb_report_drop(&s, counter, port);
	return allowed ? verdict : SKB_DROP;
}

SEC("cgroup_skb/egress")
int custody_egress(struct __sk_buff *skb)
{
	return skb_account(skb, POLICY_CLASS_EGRESS);
}

SEC("cgroup_skb/ingress")
int custody_ingress(struct __sk_buff *skb)
{
	return skb_account(skb, POLICY_CLASS_INGRESS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
