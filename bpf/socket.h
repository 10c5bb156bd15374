/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel knows of the socket behind an open file. Reads by CO-RE only; a read that fails
 * is counted, and the answer is the one that allows nothing.
 */
#ifndef CUSTODY_BPF_SOCKET_H
#define CUSTODY_BPF_SOCKET_H

#include "kernel.h"
#include "common.h"

#include <bpf/bpf_core_read.h>

#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define SOCK_DGRAM 2
#define TCP_ESTABLISHED 1	/* include/net/tcp_states.h; UNIX sockets use it too */

/* Family, and the id of the cgroup that it belongs to, of a file of sockfs. */
static __always_inline __u16 socket_read_family(const struct file *file, struct sock **ret_sk)
{
	struct socket *socket = NULL;
	struct sock *sk = NULL;
	__u16 family = AF_UNSPEC;
	long r = 0;

	r |= bpf_core_read(&socket, sizeof(socket), &file->private_data);
	r |= bpf_core_read(&sk, sizeof(sk), &socket->sk);
	r |= bpf_core_read(&family, sizeof(family), &sk->__sk_common.skc_family);
	if (r) {
		error_count(POLICY_ERROR_FILE_READ);
		return AF_UNSPEC;
	}
	*ret_sk = sk;
	return family;
}

/* Is it bound to its peer for good? A datagram socket may name another with each message. */
static __always_inline bool socket_is_connected(const struct sock *sk)
{
	__u8 state = 0;
	__u16 type = SOCK_DGRAM;
	long r = 0;

	r |= bpf_core_read(&state, sizeof(state), &sk->__sk_common.skc_state);
	r |= bpf_core_read(&type, sizeof(type), &sk->sk_type);
	if (r) {
		error_count(POLICY_ERROR_FILE_READ);
		return false;
	}
	return state == TCP_ESTABLISHED && type != SOCK_DGRAM;
}

/* Does a socket belong to this jail: to its model, or to its broker? */
static __always_inline bool socket_is_of_jail(const struct sock *sk, __u32 jail_id)
{
	struct cgroup *cgroup = NULL;
	struct kernfs_node *node = NULL;
	struct policy_jail *jail;
	__u64 id = 0;
	long r = 0;

	r |= bpf_core_read(&cgroup, sizeof(cgroup), &sk->sk_cgrp_data.cgroup);
	r |= bpf_core_read(&node, sizeof(node), &cgroup->kn);
	r |= bpf_core_read(&id, sizeof(id), &node->id);
	if (r) {
		error_count(POLICY_ERROR_FILE_READ);
		return false;
	}
	jail = bpf_map_lookup_elem(&jails, &id);
	return jail && jail->jail_id == jail_id;
}

#endif
