/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for a jail's namespaces that outlive them, so that the kernel can be asked whether they
 * still exist. Run by custodyd, which has the capabilities for it.
 *
 * A process keeps the namespaces that it is in, so a namespace that is gone has no process in it
 * anywhere; no /proc has to be read for that. Neither is it kept by an fd or a bind mount.
 *
 * The name is a file handle of nsfs (Linux 6.18 and later; fs/nsfs.c nsfs_encode_fh(),
 * nsfs_fh_to_dentry()): it holds a number that is never used again before the next boot.
 * open_by_handle_at() answers ESTALE when the namespace's count has come to zero.
 */
#ifndef CUSTODY_WARDEN_NSHANDLE_H
#define CUSTODY_WARDEN_NSHANDLE_H

#include <linux/types.h>
#include <sys/types.h>

#include "custody/message.h"

#define NSHANDLE_SIZE 32

/* Goes into the state file: fixed width. */
struct nshandle {
	__s32 type;
	__u32 size;		/* bytes in use; 0: this kernel has no handle for it */
	__u8 bytes[NSHANDLE_SIZE];
};

_Static_assert(sizeof(struct nshandle) == 40, "nshandle has no hidden padding");

/*
 * Takes a handle of each namespace of the process and opens it once, so that a later ESTALE means
 * "gone" and not "not supported". Where the kernel has none, the size is 0. 0 or -errno: -EXDEV
 * when a namespace is not the one reported (inode), -EPERM when it is custodyd's own.
 */
int nshandle_take(pid_t pid, const __u64 inode[_JAIL_NS_MAX], struct nshandle ret[_JAIL_NS_MAX]);

/* Which exist no more, and which still do: bits by enum jail_namespace; in neither: not known. */
void nshandle_ask(const struct nshandle handles[_JAIL_NS_MAX], __u32 *ret_gone, __u32 *ret_alive);

#endif
