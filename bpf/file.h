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

#define PATH_COMPONENTS_MAX 32
#define PATH_STEP 16

struct open_file {
	__u64 device;
	__u64 inode;
	__u64 mount_id;
	__u64 magic;		/* of the file system */
	struct dentry *dentry;
	struct dentry *root;	/* of the mount */
	__u32 flags;		/* file->f_flags */
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

static __always_inline bool file_read(const struct file *file, struct open_file *ret)
{
	struct super_block *super = NULL;
	struct vfsmount *mnt = NULL;
	struct inode *inode = NULL;
	unsigned long number = 0;
	__u32 device = 0;
	long r = 0;

	r |= bpf_core_read(&inode, sizeof(inode), &file->f_inode);
	r |= bpf_core_read(&mnt, sizeof(mnt), &file->f_path.mnt);
	r |= bpf_core_read(&ret->dentry, sizeof(ret->dentry), &file->f_path.dentry);
	r |= bpf_core_read(&ret->flags, sizeof(ret->flags), &file->f_flags);
	r |= bpf_core_read(&ret->root, sizeof(ret->root), &mnt->mnt_root);
	r |= bpf_core_read(&super, sizeof(super), &inode->i_sb);
	r |= bpf_core_read(&number, sizeof(number), &inode->i_ino);
	ret->inode = number;
	r |= bpf_core_read(&device, sizeof(device), &super->s_dev);
	ret->device = device;
	r |= bpf_core_read(&number, sizeof(number), &super->s_magic);
	ret->magic = number;
	r |= file_read_mount_id(mnt, &ret->mount_id);
	if (r)
		error_count(POLICY_ERROR_FILE_READ);
	return r == 0;
}

/*
 * Appends one component and '/' to event->path at event->path_len. With a variable offset the
 * verifier wants a constant size, so the room is taken in steps: at most PATH_STEP - 1 bytes at
 * the end stay unused. Returns 0 when this was the last one: no room, or an unreadable name.
 *
 * A global function, because those are verified once and not again in each round of the loop.
 */
__attribute__((noinline, weak)) int file_append_name(struct custody_event *event, __u64 dentry_address)
{
	const struct dentry *dentry = (const struct dentry *)dentry_address;
	const unsigned char *name = NULL;
	__u32 at, len = 0;
	long r = 0;

	if (!event)
		return 0;
	at = event->path_len;
	if (bpf_core_read(&name, sizeof(name), &dentry->d_name.name) ||
	    bpf_core_read(&len, sizeof(len), &dentry->d_name.len)) {
		error_count(POLICY_ERROR_PATH_READ);
		return 0;
	}
#pragma clang loop unroll(full)
	for (__u32 room = CUSTODY_EVENT_PATH_SIZE; room >= PATH_STEP; room -= PATH_STEP) {
		if (at <= CUSTODY_EVENT_PATH_SIZE - room) {
			r = bpf_probe_read_kernel_str(event->path + at, room, name);
			break;
		}
	}
	if (r < 0)
		error_count(POLICY_ERROR_PATH_READ);
	if (r <= 0 || (__u32)r - 1 < len)
		event->flags |= EVENT_FLAG_PATH_TRUNCATED;
	if (r <= 0)
		return 0;
	at += (__u32)r;
	event->path[(at - 1) & (CUSTODY_EVENT_PATH_SIZE - 1)] = '/';
	event->path_len = (__u16)at;
	return (__u32)r - 1 == len;
}

/* Components leaf first, up to the root of the mount. */
static __always_inline void file_set_path(struct custody_event *event,
					  const struct open_file *file)
{
	const struct dentry *dentry = file->dentry;
	struct dentry *parent;

	for (int i = 0; i < PATH_COMPONENTS_MAX; i++) {
		if (!dentry || dentry == file->root)
			return;
		parent = NULL;
		if (bpf_core_read(&parent, sizeof(parent), &dentry->d_parent)) {
			error_count(POLICY_ERROR_PATH_READ);
			break;
		}
		/* Its own parent and not the mount's root: a nameable file of no tree (a memfd). */
		if (!file_append_name(event, (__u64)dentry) || parent == dentry)
			return;
		dentry = parent;
	}
	event->flags |= EVENT_FLAG_PATH_TRUNCATED;
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
