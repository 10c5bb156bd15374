/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a file system exist anywhere on the host. Linked by custodyd and custody-sweeper.
 *
 * ustat(2) finds a superblock by device number (fs/statfs.c vfs_ustat(), fs/super.c
 * user_get_super()). EINVAL: there is none, in no mount namespace, held by no mount and no open
 * file; generic_shutdown_super() has evicted its inodes, and with them a tmpfs' pages, before it is
 * found no more. (A page that a pipe or a device holds by itself lives until that lets go.)
 *
 * The kernel gives the number of a tmpfs that is gone to the next file system without a disk, and
 * soon. Then "gone" is missed and the other one is taken for it: never the other way round. So ask
 * early, and remember.
 */
#ifndef CUSTODY_SUPERBLOCK_H
#define CUSTODY_SUPERBLOCK_H

#include <linux/types.h>
#include <stdbool.h>

/*
 * 0 and *ret, or -errno where the kernel cannot be asked: -ENOSYS (no ustat on this architecture),
 * -ERANGE for a number that is no device. dev: st_dev.
 */
int superblock_is_alive(__u64 dev, bool *ret);

#endif
