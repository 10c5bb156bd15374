/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Descriptors that arrive: by SCM_RIGHTS and pidfd_getfd. A model may receive files of its own
 * zones, opened for no more than it could open them for, and plumbing: what carries bytes or wakes
 * somebody up, and opens nothing. Anything else (a file of the host, a namespace, a mount, a ring,
 * a map, a seccomp listener) answers EACCES.
 * So does an internet socket that is not of this jail: the cgroup plane asks about addresses by
 * the cgroup that a socket was made in, so one of the host's could be connected anywhere. And a
 * UNIX socket of the host that is not connected, or takes an address with each message: abstract
 * names are those of the network namespace that it was made in (Landlock scopes them from 6.12).
 *
 * For SCM_RIGHTS the message itself arrives, without the descriptors that were refused and with
 * MSG_CTRUNC (scm_detach_fds()); pidfd_getfd fails with the error. The broker's listening sockets
 * are put into the model by seccomp's ADDFD, which asks this hook in the model's context: they
 * are sockets, and pass.
 */
#include "lsm.h"
#include "socket.h"

#include <linux/magic.h>

#define PIDFS_MAGIC 0x50494446	/* 6.9: fs/pidfs.c */

/* Anonymous inodes that open nothing, by the first eight characters of their kind. */
static __always_inline bool fd_is_harmless(const struct open_file *file)
{
	const struct dentry *dentry = file->dentry;
	const unsigned char *name = NULL;
	__u64 word = 0;

	if (bpf_core_read(&name, sizeof(name), &dentry->d_name.name) ||
	    bpf_probe_read_kernel(&word, sizeof(word), name)) {
		error_count(POLICY_ERROR_FILE_READ);
		return false;
	}
	return word == WORD8('[', 'e', 'v', 'e', 'n', 't', 'f', 'd') ||
	       word == WORD8('[', 'e', 'v', 'e', 'n', 't', 'p', 'o') ||
	       word == WORD8('[', 't', 'i', 'm', 'e', 'r', 'f', 'd') ||
	       word == WORD8('[', 's', 'i', 'g', 'n', 'a', 'l', 'f') ||
	       word == WORD8('[', 'p', 'i', 'd', 'f', 'd', ']', 0) ||
	       word == WORD8('i', 'n', 'o', 't', 'i', 'f', 'y', 0) ||
	       word == WORD8('s', 'y', 'n', 'c', '_', 'f', 'i', 'l') || /* fences of a GPU */
	       word == WORD8('s', 'y', 'n', 'c', 'o', 'b', 'j', '_');
}

/* A connected UNIX socket carries bytes; of the others only the jail's own are under its policy. */
static __always_inline bool fd_is_own_socket(const struct subject *s, const struct file *file)
{
	struct sock *sk = NULL;
	__u16 family = socket_read_family(file, &sk);

	if (family == AF_UNIX && socket_is_connected(sk))
		return true;
	return (family == AF_UNIX || family == AF_INET || family == AF_INET6) &&
	       socket_is_of_jail(sk, s->jail_id);
}

static __always_inline bool fd_is_plumbing(const struct open_file *file)
{
	switch (file->magic) {
	case PIPEFS_MAGIC:
	case PIDFS_MAGIC:
	case DMA_BUF_MAGIC: /* memory of a GPU, shared between processes */
		return true;
	case ANON_INODE_FS_MAGIC:
		return fd_is_harmless(file);
	default:
		return file_is_memory(file);
	}
}

/* Could the model have opened it so? With O_PATH it is open for nothing: it may hold that. */
static __always_inline bool fd_is_within(const struct open_file *file,
					 const struct policy_zone *zone)
{
	return (file->mode & FMODE_PATH) || !(file_read_need(file) & ~zone->rights);
}

/* On no zone. */
static __always_inline bool fd_is_harmless_file(const struct subject *s, const struct file *file,
						const struct open_file *info)
{
	return info->magic == SOCKFS_MAGIC ? fd_is_own_socket(s, file) : fd_is_plumbing(info);
}

SEC("lsm/file_receive")
int lsm_file_receive(__u64 *ctx) /* struct file * */
{
	const struct file *file = (const struct file *)ctx[0];
	struct subject s = subject_new(POLICY_CLASS_RECEIVE, POLICY_OBJECT_NONE);
	struct policy_zone *zone = NULL;
	struct open_file info = {};
	int r = 0;

	if (!lsm_find_model(&s, &r))
		return r;
	if (file_read(file, &info)) {
		zone = lsm_find_zone(&s, info.mount_id);
		if (zone ? fd_is_within(&info, zone) : fd_is_harmless_file(&s, file, &info)) {
			(void)counter_add(&s, true, 0);
			return 0;
		}
	}
	(void)lsm_report(&s, &info, -EACCES, info.flags, zone ? 0 : EVENT_FLAG_NO_ZONE);
	return -EACCES;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
