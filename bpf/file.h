/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel knows of an open file: its mount, device, inode, flags and path. Reads by
 * CO-RE only; a read that fails is counted by site and never guessed.
 */
#ifndef CUSTODY_BPF_FILE_H
#define CUSTODY_BPF_FILE_H

#include "kernel.h"
#include "common.h"

#include <bpf/bpf_core_read.h>
#include <linux/magic.h>

#define PATH_COMPONENTS_MAX 32

#define FMODE_READ 0x1U		/* include/linux/fs.h, the same from 6.1 to 6.18 */
#define FMODE_WRITE 0x2U
#define FMODE_PATH 0x4000U
#define FMODE_NOACCOUNT 0x20000000U	/* the kernel's own: what lies below an overlay's file */
#define MNT_INTERNAL 0x4000	/* include/linux/mount.h: a mount that is in no namespace */

#define OPEN_TMPFILE 020000000	/* __O_TMPFILE */
#define OPEN_TRUNCATE 01000	/* O_TRUNC: gone from the flags once the file is open */
#define OPEN_LARGE 0100000	/* O_LARGEFILE: in the flags of every open by a 64-bit task */

struct open_file {
	__u64 device;
	__u64 inode;
	__u64 mount_id;
	__u64 magic;		/* of the file system */
	struct dentry *dentry;
	struct dentry *root;	/* of the mount */
	__u32 flags;		/* file->f_flags; 0 when it is not open */
	__u32 mode;		/* file->f_mode */
	__u32 links;		/* names it has; 0: unlinked */
	__u32 mount_flags;
};

/* statx's stx_mnt_id: the vfsmount lies inside its struct mount, whose mnt_id it is. */
static __always_inline long file_read_mount_id(const struct vfsmount *mnt, __u64 *ret)
{
	const struct mount *mount = (const void *)mnt - bpf_core_field_offset(struct mount, mnt);
	int id = 0;
	long r = bpf_core_read(&id, sizeof(id), &mount->mnt_id);

	*ret = (__u32)id;
	return r;
}

/* A dentry seen through a mount. inode may be NULL: a name that is still to be made. */
static __always_inline long file_read_place(const struct vfsmount *mnt, struct dentry *dentry,
					    const struct inode *inode, struct open_file *ret)
{
	struct super_block *super = NULL;
	unsigned long number = 0;
	__u32 word = 0;
	long r = 0;

	ret->dentry = dentry;
	r |= bpf_core_read(&ret->root, sizeof(ret->root), &mnt->mnt_root);
	r |= bpf_core_read(&ret->mount_flags, sizeof(ret->mount_flags), &mnt->mnt_flags);
	r |= bpf_core_read(&super, sizeof(super), &mnt->mnt_sb);
	r |= bpf_core_read(&word, sizeof(word), &super->s_dev);
	ret->device = word;
	r |= bpf_core_read(&number, sizeof(number), &super->s_magic);
	ret->magic = number;
	r |= file_read_mount_id(mnt, &ret->mount_id);
	if (inode) {
		r |= bpf_core_read(&number, sizeof(number), &inode->i_ino);
		ret->inode = number;
		r |= bpf_core_read(&ret->links, sizeof(ret->links), &inode->i_nlink);
	}
	return r;
}

/*
 * Is the mount in no namespace, made by the kernel for itself (MNT_NS_INTERNAL of fs/mount.h, the
 * same from 6.1 to 6.18)? What lies below an overlay is. Nobody gets there by a path.
 */
static __always_inline bool file_is_below(const struct file *file)
{
	struct mnt_namespace *space = NULL;
	struct vfsmount *mnt = NULL;
	const struct mount *mount;

	if (bpf_core_read(&mnt, sizeof(mnt), &file->f_path.mnt))
		return false;
	mount = (const void *)mnt - bpf_core_field_offset(struct mount, mnt);
	return !bpf_core_read(&space, sizeof(space), &mount->mnt_ns) && (long)space == -22;
}

static __always_inline bool file_read_path(const struct path *path, struct dentry *dentry,
					   struct open_file *ret)
{
	struct vfsmount *mnt = NULL;
	struct inode *inode = NULL;
	long r = bpf_core_read(&mnt, sizeof(mnt), &path->mnt);

	r |= bpf_core_read(&inode, sizeof(inode), &dentry->d_inode);
	r |= file_read_place(mnt, dentry, inode, ret);
	if (r)
		error_count(POLICY_ERROR_FILE_READ);
	return r == 0;
}

static __always_inline bool file_read(const struct file *file, struct open_file *ret)
{
	struct dentry *dentry = NULL;
	struct vfsmount *mnt = NULL;
	struct inode *inode = NULL;
	long r = 0;

	r |= bpf_core_read(&inode, sizeof(inode), &file->f_inode);
	r |= bpf_core_read(&mnt, sizeof(mnt), &file->f_path.mnt);
	r |= bpf_core_read(&dentry, sizeof(dentry), &file->f_path.dentry);
	r |= bpf_core_read(&ret->flags, sizeof(ret->flags), &file->f_flags);
	r |= bpf_core_read(&ret->mode, sizeof(ret->mode), &file->f_mode);
	r |= file_read_place(mnt, dentry, inode, ret);
	if (r)
		error_count(POLICY_ERROR_FILE_READ);
	return r == 0;
}

/* Pipes, sockets and anonymous inodes are on no mount of anybody's, and are nobody's files. */
static __always_inline bool file_is_plumbing(const struct open_file *file)
{
	return file->magic == PIPEFS_MAGIC || file->magic == SOCKFS_MAGIC ||
	       file->magic == ANON_INODE_FS_MAGIC;
}

/* A memfd, or memory shared in another way: on the kernel's own mount of tmpfs or hugetlbfs. */
static __always_inline bool file_is_memory(const struct open_file *file)
{
	return (file->mount_flags & MNT_INTERNAL) &&
	       (file->magic == TMPFS_MAGIC || file->magic == HUGETLBFS_MAGIC);
}

/* What an open needs. An access mode of 3 asks for both, and gets neither: ioctls only. */
static __always_inline __u32 file_read_need(const struct open_file *file)
{
	__u32 need = 0;

	if (file->mode & FMODE_READ)
		need |= CUSTODY_RIGHT_READ;
	if (file->mode & FMODE_WRITE)
		need |= CUSTODY_RIGHT_WRITE;
	if (file->flags & OPEN_TRUNCATE)
		need |= CUSTODY_RIGHT_WRITE;
	if (file->flags & OPEN_TMPFILE)
		need |= CUSTODY_RIGHT_CREATE;
	return need ? need : CUSTODY_RIGHT_READ | CUSTODY_RIGHT_WRITE;
}

/*
 * Appends one component and '/' to event->path at event->path_len. Returns 0 when this was the
 * last one: no room, or an unreadable name. In path.bpf.c.
 */
int file_append_name(struct custody_event *event, __u64 dentry_address);

/*
 * Components leaf first, from one dentry up to another, which is left out. Returns 0. Global, in
 * path.bpf.c: verified once for a program, and not again on each of its ways here.
 */
int file_write_path(struct custody_event *event, __u64 dentry_address, __u64 root_address);

/* Up to the root of the mount. */
static __always_inline void file_set_path(struct custody_event *event,
					  const struct open_file *file)
{
	const struct dentry *dentry = NULL;

	/* As a number: the verifier hands no hook's argument on as one. */
	(void)bpf_probe_read_kernel(&dentry, sizeof(dentry), &file->dentry);
	(void)file_write_path(event, (__u64)dentry, (__u64)file->root);
}

static __always_inline void event_set_file(struct custody_event *event,
					   const struct open_file *file)
{
	event->device = file->device;
	event->inode = file->inode;
	event->mount_id = file->mount_id;
	event->access = file->flags;
	file_set_path(event, file);
}

#endif
