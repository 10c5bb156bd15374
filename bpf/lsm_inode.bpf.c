/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an inode says about itself where the kernel's hook has no mount (Linux 6.1 and 6.12):
 * extended attributes, access control lists, and times. See lsm_file.bpf.c for the rest.
 */
#include "lsm_file.h"

#define XATTR_NAME_SIZE 16

#define ATTR_MODE (1U << 0)	/* include/linux/fs.h, the same from 6.1 to 6.18 */
#define ATTR_UID (1U << 1)
#define ATTR_GID (1U << 2)
#define ATTR_SIZE (1U << 3)
#define ATTR_ATIME (1U << 4)
#define ATTR_MTIME (1U << 5)

#define MOUNTS_MAX 128	/* of one file system that are looked through */

/* Those of the kernel's own doing: overlayfs keeps its books in them. CAP_SYS_ADMIN comes first. */
static __always_inline bool lsm_inode_is_trusted(const char *name)
{
	char head[XATTR_NAME_SIZE] = "";

	if (bpf_probe_read_kernel_str(head, sizeof(head), name) < 0)
		return false;
	return head[0] == 't' && head[1] == 'r' && head[2] == 'u' && head[3] == 's' &&
	       head[4] == 't' && head[5] == 'e' && head[6] == 'd' && head[7] == '.';
}

/* The file as far as it is known without a mount: an event of object NONE, without a zone. */
static __always_inline int lsm_inode_deny_xattr(struct dentry *dentry, const char *name)
{
	struct subject s = subject_new(POLICY_CLASS_CHANGE, POLICY_OBJECT_NONE);
	struct super_block *super = NULL;
	struct inode *inode = NULL;
	unsigned long number = 0;
	__u32 device = 0;
	int ret = 0;
	long r = 0;

	if (!lsm_find_model(&s, &ret))
		return ret;
	/* Overlayfs copies attributes with the file. */
	if (lsm_is_override() || lsm_inode_is_trusted(name))
		return 0;
	r |= bpf_core_read(&inode, sizeof(inode), &dentry->d_inode);
	r |= bpf_core_read(&number, sizeof(number), &inode->i_ino);
	r |= bpf_core_read(&super, sizeof(super), &inode->i_sb);
	r |= bpf_core_read(&device, sizeof(device), &super->s_dev);
	if (r)
		error_count(POLICY_ERROR_FILE_READ);
	return lsm_deny(&s, -EPERM, POLICY_CHANGE_XATTR, device, number);
}

SEC("lsm/inode_setxattr")
int lsm_inode_setxattr(__u64 *ctx) /* idmap, struct dentry *, name, value, size, flags, ret */
{
	int ret = (int)ctx[6];

	return ret ? ret : lsm_inode_deny_xattr((struct dentry *)ctx[1], (const char *)ctx[2]);
}

SEC("lsm/inode_removexattr")
int lsm_inode_removexattr(__u64 *ctx) /* idmap, struct dentry *, const char *name, ret */
{
	int ret = (int)ctx[3];

	return ret ? ret : lsm_inode_deny_xattr((struct dentry *)ctx[1], (const char *)ctx[2]);
}

/* From 6.2 on access control lists have hooks of their own (vfs_set_acl(), vfs_remove_acl()). */
SEC("lsm/inode_set_acl")
int lsm_inode_set_acl(__u64 *ctx) /* idmap, struct dentry *, name, struct posix_acl *, ret */
{
	int ret = (int)ctx[4];

	return ret ? ret : lsm_inode_deny_xattr((struct dentry *)ctx[1], (const char *)ctx[2]);
}

SEC("lsm/inode_remove_acl")
int lsm_inode_remove_acl(__u64 *ctx) /* idmap, struct dentry *, const char *name, ret */
{
	int ret = (int)ctx[3];

	return ret ? ret : lsm_inode_deny_xattr((struct dentry *)ctx[1], (const char *)ctx[2]);
}

/* What the walk below goes by, and what it came to. */
struct times_walk {
	const struct policy_jail *jail;
	struct subject *s;
	const struct list_head *head;
	struct list_head *at;
	bool found;
};

/* One mount of the walk: a callback, so that the verifier reads it once. 1 ends the walk. */
static long lsm_times_look(__u64 i, struct times_walk *walk)
{
	const struct mount *mount = (const void *)((const char *)walk->at -
			bpf_core_field_offset(struct mount, mnt_instance));
	struct policy_zone *zone;
	int id = 0;

	(void)i;
	if (!walk->at || walk->at == walk->head ||
	    bpf_core_read(&id, sizeof(id), &mount->mnt_id))
		return 1;
	zone = lsm_find_zone(walk->s, (__u32)id);
	walk->found = zone && (lsm_read_rights(walk->jail, zone) & CUSTODY_RIGHT_WRITE);
	return walk->found ||
	       bpf_core_read(&walk->at, sizeof(walk->at), &mount->mnt_instance.prev);
}

/*
 * The newest mount of the file system that is a zone of this jail with the right to write, so
 * that s->object is set; false when there is none among the last MOUNTS_MAX. A zone without that
 * right is mounted read-only besides, and mnt_want_write() has refused by now (EROFS): this is
 * the second wall. The list is read without its lock: when it changes meanwhile, the walk may
 * end early, and the answer is no.
 */
static __always_inline bool lsm_times_find_zone(struct subject *s, const struct policy_jail *jail,
						const struct super_block *super)
{
	struct times_walk walk = {
		.jail = jail,
		.s = s,
		.head = (const void *)((const char *)super +
				       bpf_core_field_offset(struct super_block, s_mounts)),
	};

	(void)bpf_core_read(&walk.at, sizeof(walk.at), &super->s_mounts.prev);
	(void)bpf_loop(MOUNTS_MAX, lsm_times_look, &walk, 0);
	if (!walk.found)
		s->object = POLICY_OBJECT_NONE;
	return walk.found;
}

static __always_inline int lsm_times_decide(struct dentry *dentry)
{
	struct subject s = subject_new(POLICY_CLASS_CHANGE, POLICY_OBJECT_NONE);
	struct super_block *super = NULL;
	struct inode *inode = NULL;
	struct policy_jail *jail;
	unsigned long number = 0;
	__u32 device = 0;
	int ret = 0;
	long r = 0;

	jail = lsm_find_model(&s, &ret);
	if (!jail)
		return ret;
	/* Overlayfs sets the times of its copy below. */
	if (lsm_is_override())
		return 0;
	r |= bpf_core_read(&inode, sizeof(inode), &dentry->d_inode);
	r |= bpf_core_read(&number, sizeof(number), &inode->i_ino);
	r |= bpf_core_read(&super, sizeof(super), &inode->i_sb);
	r |= bpf_core_read(&device, sizeof(device), &super->s_dev);
	if (r)
		error_count(POLICY_ERROR_FILE_READ);
	if (r || !lsm_times_find_zone(&s, jail, super))
		return lsm_deny(&s, -EACCES, POLICY_CHANGE_TIMES, device, number);
	(void)counter_add(&s, true, 0);
	return 0;
}

/*
 * The dentry is the first argument of two in 6.1 and the second of three since 6.9. Only times by
 * themselves: modes, owners and sizes were judged where their mount is known.
 */
SEC("lsm/inode_setattr")
int lsm_inode_setattr(__u64 *ctx) /* [idmap,] struct dentry *, struct iattr *, ret */
{
	__u64 first = ctx[0], second = ctx[1], third = ctx[2];
	const struct iattr *attr;
	struct dentry *dentry;
	__u32 valid = 0;

	/* Read from fixed places: the verifier allows no index that depends on the kernel. */
	asm volatile("" : "+r"(first), "+r"(second), "+r"(third));
	attr = (const void *)second;
	dentry = (void *)first;
	if (bpf_get_func_arg_cnt(ctx) > 2) {
		attr = (const void *)third;
		dentry = (void *)second;
	}
	if (bpf_core_read(&valid, sizeof(valid), &attr->ia_valid))
		return lsm_is_inside() ? -EACCES : 0;
	if (!(valid & (ATTR_ATIME | ATTR_MTIME)) ||
	    (valid & (ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_SIZE)))
		return 0;
	return lsm_times_decide(dentry);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
