/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Files of a model: every open, and every change of a directory entry or of what an inode says
 * about itself. The mount decides: it is a zone of the jail with the right that is needed, or the
 * answer is EACCES. No path is compared, so no name, link, handle or second mount leads around it.
 *
 * Where the kernel asks (Linux 6.1 and 6.12):
 *   open, openat, openat2, creat, open_by_handle_at, io_uring's, and a fresh open of /proc/.../fd/N
 *     path_openat() or file_open_root() -> do_open() -> vfs_open() -> do_dentry_open()
 *     -> security_file_open(). With O_PATH it returns before: such an fd reads and writes nothing,
 *     and to open it again is an open.
 *   by path: do_unlinkat(), do_rmdir(), do_mkdirat(), do_mknodat(), unix_bind_bsd(),
 *     do_symlinkat(), do_linkat(), do_renameat2() (flags included: an exchange is one call),
 *     lookup_open() -> may_o_create(), vfs_truncate() (6.1: O_TRUNC and ftruncate() as well; from
 *     6.2 on these ask security_file_truncate()),
 *     chmod_common(), chown_common() -> security_path_*(), all with the mount.
 *   setxattr and removexattr, ACLs included: vfs_setxattr() -> security_inode_setxattr(), which
 *     has no mount. No model server needs them; they are refused (EPERM, as the system call
 *     filter does), whatever the file.
 *   times alone: vfs_utimes() -> notify_change() -> security_inode_setattr(): no mount either;
 *     see lsm_inode.bpf.c.
 * What the kernel opens and changes for itself while the model waits, below an overlay and for a
 * driver's firmware, is not the model's: see lsm_file_is_kernels().
 * link() and rename() never leave one mount (EXDEV comes first), so one side's zone is both's;
 * both are asked all the same.
 */
#include "lsm_file.h"

#define S_IFMT 00170000
#define S_IFREG 0100000

#define OPEN_EXEC 0x20		/* __FMODE_EXEC: set by the kernel only, see VALID_OPEN_FLAGS */

/* Files that are on no zone and yet the model's: what it can only have made itself. */
static __always_inline bool lsm_file_is_own(const struct policy_jail *jail,
					    const struct open_file *file)
{
	if (file_is_plumbing(file))
		return true;
	return (jail->flags & POLICY_FLAG_MEMFD) && file_is_memory(file);
}

/*
 * Does the kernel open it for itself while the model waits: a directory or a copy below an
 * overlay, which it has judged as the overlay's, or firmware, which it reads from the host's root
 * (kernel_read_file_from_path_initns())? Neither is on a mount of the jail. It always does so in
 * another's name, and for firmware without the flag that every open by a system call has.
 */
static __always_inline bool lsm_file_is_kernels(const struct file *file,
						const struct open_file *info)
{
	if (!lsm_is_override())
		return false;
	return file_is_below(file) ||
	       (!(info->mode & FMODE_WRITE) && !(info->flags & OPEN_LARGE));
}

SEC("lsm/file_open")
int lsm_file_open(__u64 *ctx) /* struct file *, ret */
{
	struct subject s = subject_new(POLICY_CLASS_OPEN, POLICY_OBJECT_NONE);
	struct open_file file = {};
	struct policy_jail *jail;
	struct policy_zone *zone;
	int ret = (int)ctx[1];

	if (ret)
		return ret;
	jail = lsm_find_model(&s, &ret);
	if (!jail)
		return ret;
	if (!file_read((const struct file *)ctx[0], &file))
		return lsm_deny(&s, -EACCES, 0, 0, 0);
	/* To be run: judged by lsm_exec.bpf.c. Below an overlay's: judged as the overlay's. */
	if ((file.flags & OPEN_EXEC) || (file.mode & FMODE_NOACCOUNT))
		return 0;
	zone = lsm_find_zone(&s, file.mount_id);
	if (!zone && lsm_file_is_kernels((const struct file *)ctx[0], &file))
		return 0;
	if (!zone && lsm_file_is_own(jail, &file)) {
		(void)counter_add(&s, true, 0);
		return 0;
	}
	if (!zone || (file_read_need(&file) & ~lsm_read_rights(jail, zone)))
		ret = -EACCES;
	return lsm_report_file(&s, &file, zone, ret, file.flags);
}

/* One change of what is at dentry, seen through the mount of path. */
static __always_inline int lsm_file_change(const struct path *path, struct dentry *dentry,
					   __u32 change, __u32 need)
{
	struct subject s = subject_new(POLICY_CLASS_CHANGE, POLICY_OBJECT_NONE);
	struct open_file file = {};
	struct policy_jail *jail;
	struct policy_zone *zone;
	int ret = 0;

	jail = lsm_find_model(&s, &ret);
	if (!jail)
		return ret;
	if (!file_read_path(path, dentry, &file))
		return lsm_deny(&s, -EACCES, change, 0, 0);
	zone = lsm_find_zone(&s, file.mount_id);
	/* Size and mode of a pipe or of memory that it holds open: nobody's but the model's. */
	if (!zone && (file_is_plumbing(&file) || file_is_memory(&file))) {
		(void)counter_add(&s, true, 0);
		return 0;
	}
	if (!zone || (need & ~lsm_read_rights(jail, zone)))
		ret = -EACCES;
	return lsm_report_file(&s, &file, zone, ret, change);
}

SEC("lsm/path_mknod")
int lsm_path_mknod(__u64 *ctx) /* const struct path *, struct dentry *, umode_t, unsigned, ret */
{
	__u32 type = (__u32)ctx[2] & S_IFMT;
	int ret = (int)ctx[4];

	if (ret)
		return ret;
	return lsm_file_change((const struct path *)ctx[0], (struct dentry *)ctx[1],
			       type == 0 || type == S_IFREG ? POLICY_CHANGE_CREATE :
							      POLICY_CHANGE_NODE,
			       CUSTODY_RIGHT_CREATE);
}

SEC("lsm/path_mkdir")
int lsm_path_mkdir(__u64 *ctx) /* const struct path *, struct dentry *, umode_t, ret */
{
	int ret = (int)ctx[3];

	return ret ? ret : lsm_file_change((const struct path *)ctx[0], (struct dentry *)ctx[1],
					   POLICY_CHANGE_MKDIR, CUSTODY_RIGHT_CREATE);
}

SEC("lsm/path_symlink")
int lsm_path_symlink(__u64 *ctx) /* const struct path *, struct dentry *, const char *, ret */
{
	int ret = (int)ctx[3];

	return ret ? ret : lsm_file_change((const struct path *)ctx[0], (struct dentry *)ctx[1],
					   POLICY_CHANGE_SYMLINK, CUSTODY_RIGHT_CREATE);
}

SEC("lsm/path_link")
int lsm_path_link(__u64 *ctx) /* struct dentry *old, const struct path *, struct dentry *, ret */
{
	int ret = (int)ctx[3];

	return ret ? ret : lsm_file_change((const struct path *)ctx[1], (struct dentry *)ctx[2],
					   POLICY_CHANGE_LINK, CUSTODY_RIGHT_CREATE);
}

SEC("lsm/path_unlink")
int lsm_path_unlink(__u64 *ctx) /* const struct path *, struct dentry *, ret */
{
	int ret = (int)ctx[2];

	return ret ? ret : lsm_file_change((const struct path *)ctx[0], (struct dentry *)ctx[1],
					   POLICY_CHANGE_UNLINK, CUSTODY_RIGHT_CREATE);
}

SEC("lsm/path_rmdir")
int lsm_path_rmdir(__u64 *ctx) /* const struct path *, struct dentry *, ret */
{
	int ret = (int)ctx[2];

	return ret ? ret : lsm_file_change((const struct path *)ctx[0], (struct dentry *)ctx[1],
					   POLICY_CHANGE_RMDIR, CUSTODY_RIGHT_CREATE);
}

SEC("lsm/path_rename")
int lsm_path_rename(__u64 *ctx) /* path, dentry, path, dentry, unsigned int flags, ret */
{
	int ret = (int)ctx[5];

	if (ret)
		return ret;
	ret = lsm_file_change((const struct path *)ctx[0], (struct dentry *)ctx[1],
			      POLICY_CHANGE_RENAME, CUSTODY_RIGHT_CREATE);
	return ret ? ret : lsm_file_change((const struct path *)ctx[2], (struct dentry *)ctx[3],
					   POLICY_CHANGE_RENAME, CUSTODY_RIGHT_CREATE);
}

/* What is at the path itself. */
static __always_inline int lsm_file_change_path(const struct path *path, __u32 change)
{
	struct dentry *dentry = NULL;

	/* Unreadable: dentry stays NULL, and so does what is read of it: denied. */
	(void)bpf_core_read(&dentry, sizeof(dentry), &path->dentry);
	return lsm_file_change(path, dentry, change, CUSTODY_RIGHT_WRITE);
}

SEC("lsm/path_truncate")
int lsm_path_truncate(__u64 *ctx) /* const struct path *, ret */
{
	int ret = (int)ctx[1];

	return ret ? ret : lsm_file_change_path((const struct path *)ctx[0],
						POLICY_CHANGE_TRUNCATE);
}

/* From 6.2 on ftruncate() and O_TRUNC ask here and not by path. */
SEC("lsm/file_truncate")
int lsm_file_truncate(__u64 *ctx) /* struct file *, ret */
{
	const struct file *file = (const struct file *)ctx[0];
	int ret = (int)ctx[1];

	return ret ? ret : lsm_file_change_path(&file->f_path, POLICY_CHANGE_TRUNCATE);
}

SEC("lsm/path_chmod")
int lsm_path_chmod(__u64 *ctx) /* const struct path *, umode_t, ret */
{
	int ret = (int)ctx[2];

	return ret ? ret : lsm_file_change_path((const struct path *)ctx[0], POLICY_CHANGE_MODE);
}

SEC("lsm/path_chown")
int lsm_path_chown(__u64 *ctx) /* const struct path *, kuid_t, kgid_t, ret */
{
	int ret = (int)ctx[3];

	return ret ? ret : lsm_file_change_path((const struct path *)ctx[0], POLICY_CHANGE_OWNER);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
