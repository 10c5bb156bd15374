/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an inode says about itself where the kernel's hook has no mount (Linux 6.1 and 6.12):
 * extended attributes, access control lists, and times. See lsm_file.bpf.c for the rest.
 */
#include "lsm_file.h"

#define XATTR_NAME_SIZE 16

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
	struct subject s = { .class = POLICY_CLASS_CHANGE, .object = POLICY_OBJECT_NONE };
	struct super_block *super = NULL;
	struct inode *inode = NULL;
	unsigned long number = 0;
	__u32 device = 0;
	int ret = 0;
	long r = 0;

	if (!lsm_find_model(&s, &ret))
		return ret;
	if (lsm_inode_is_trusted(name))
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

char LICENSE[] SEC("license") = "Dual BSD/GPL";
