/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guard, second half: inodes. Weights of models in custody, custody's own ledger, keys,
 * state, pins, executables and cgroups, and device nodes that only jails may open.
 *
 * One hook, inode_permission with MAY_WRITE, stands before every open for writing, truncate(2),
 * every change of a directory, CLONE_INTO_CGROUP (cgroup_may_write()) and BPF_OBJ_GET of a link.
 * The others are for what it is not asked about: the entry that is removed, renamed, linked or
 * mounted over, attributes, and descriptors that somebody else opened.
 */
#include "guard.h"

#define MAY_WRITE 0x2		/* include/linux/fs.h, the same from 2.6 to 6.18 */
#define S_IFMT 00170000
#define S_IFCHR 0020000
#define MINOR_BITS 20

enum guard_change {		/* `access` where no open asks */
	GUARD_CHANGE_UNLINK = 0x100,
	GUARD_CHANGE_RENAME,
	GUARD_CHANGE_LINK,
	GUARD_CHANGE_MOUNT,
	GUARD_CHANGE_UMOUNT,
	GUARD_CHANGE_ATTRIBUTE,
	GUARD_CHANGE_RECEIVE,
};

SEC("lsm/inode_permission")
int guard_permission(__u64 *ctx) /* struct inode *, int, ret */
{
	struct inode *inode = (struct inode *)ctx[0];
	int mask = (int)ctx[1];
	int ret = (int)ctx[2];
	struct guard_inode *found;
	struct guard_key key;

	if (!(mask & MAY_WRITE) || ret)
		return ret;
	found = guard_find_inode(inode, &key);
	if (!found || !(found->flags & GUARD_FLAG_WRITE) ||
	    guard_may_use(found, &key, GUARD_RIGHT_FILES))
		return 0;
	return guard_deny_inode(found, &key, NULL, (__u32)mask);
}

/* ---- learning (G3) ---- */

static __always_inline bool guard_add_owner(const struct guard_key *key, __u32 jail_id)
{
	struct guard_owner_key owner = {
		.jail_id = jail_id,
		.device = key->device,
		.inode = key->inode,
	};
	__u32 one = 1;

	return bpf_map_update_elem(&guard_owners, &owner, &one, BPF_NOEXIST) == 0;
}

static __always_inline bool guard_enter(const struct guard_learn *learn, const struct inode *inode)
{
	struct guard_inode entry = learn->as, *found;
	struct guard_key key = {};

	found = guard_find_inode(inode, &key);
	if (found && found->object != entry.object)
		return false;
	if (entry.jail_id) {
		struct guard_owner_key owner = {
			.jail_id = entry.jail_id,
			.device = key.device,
			.inode = key.inode,
		};

		if (found && bpf_map_lookup_elem(&guard_owners, &owner))
			return true;
		if (!guard_add_owner(&key, entry.jail_id))
			return false;
	}
	if (found) {
		found->owners += entry.jail_id ? 1 : 0;
		return true;
	}
	entry.owners = entry.jail_id ? 1 : 0;
	entry.generation = inode->i_generation;
	return bpf_map_update_elem(&guarded, &key, &entry, BPF_ANY) == 0;
}

/* True when the open was custodyd's, to have this inode entered. */
static __always_inline bool guard_is_learning(const struct inode *inode)
{
	__u32 zero = 0;
	struct guard_learn *learn = bpf_map_lookup_elem(&guard_learn, &zero);

	if (!learn || !learn->as.object || !guard_has_right(GUARD_RIGHT_WARDEN))
		return false;
	if (inode->i_writecount.counter > 0)
		learn->written++;
	learn->last.inode = inode->i_ino;
	learn->last.device = inode->i_sb->s_dev;
	learn->last_generation = inode->i_generation;
	if (guard_enter(learn, inode))
		learn->learnt++;
	else
		learn->failed++;
	return true;
}

/* ---- opening, and being handed what somebody else has opened ---- */

static __always_inline bool guard_is_reader(void)
{
	struct guard_reader_key by_uid = {}, by_executable = {};
	const struct task_struct *task = bpf_get_current_task_btf();
	const struct inode *inode;

	by_uid.uid = (__u32)bpf_get_current_uid_gid() + 1;
	if (bpf_map_lookup_elem(&guard_readers, &by_uid))
		return true;
	if (!task->mm)
		return false;
	inode = task->mm->exe_file->f_inode;
	by_executable.executable.inode = inode->i_ino;
	by_executable.executable.device = inode->i_sb->s_dev;
	return bpf_map_lookup_elem(&guard_readers, &by_executable) != NULL;
}

static __always_inline __u32 guard_read_settings(void)
{
	__u32 zero = 0;
	const struct guard_config *config = bpf_map_lookup_elem(&guard_config, &zero);

	return config ? config->settings : 0;
}

/* Weights read from outside: refused or not, it is on record once for each process. */
static __always_inline int guard_judge_read(const struct guard_inode *found,
					    const struct guard_key *key, struct dentry *dentry,
					    __u32 access)
{
	struct subject s = subject_new(POLICY_CLASS_GUARD, GUARD_READ);
	struct guard_case what = {
		.jail_id = found->jail_id,
		.object = GUARD_READ,
		.device = key->device,
		.inode = key->inode,
		.access = access,
		.dentry = dentry,
	};
	__u64 who;

	if ((guard_read_settings() & GUARD_SETTING_DENY_READ) && !guard_is_reader())
		what.error = -EPERM;
	s.jail_id = found->jail_id;
	who = (__u64)key->device << 32 | bpf_get_current_pid_tgid() >> 32;
	if (what.error || seen_first(&s, who, key->inode))
		(void)guard_report(&what);
	return what.error ? -EPERM : 0;
}

static __always_inline int guard_judge_open(const struct guard_inode *found,
					    const struct guard_key *key, const struct file *file,
					    __u32 access)
{
	struct dentry *dentry = file->f_path.dentry;
	__u32 wanted = file->f_mode & FMODE_WRITE ? GUARD_FLAG_WRITE | GUARD_FLAG_READ :
						    GUARD_FLAG_READ;

	if ((found->flags & wanted) && !guard_may_use(found, key, GUARD_RIGHT_FILES))
		return guard_deny_inode(found, key, dentry, access);
	if (!(found->flags & GUARD_FLAG_WATCH) || guard_may_use(found, key, GUARD_RIGHT_SELF))
		return 0;
	return guard_judge_read(found, key, dentry, access);
}

/* A file that is new in a guarded directory is not known by itself. */
static __always_inline int guard_judge_child(const struct file *file)
{
	const struct inode *parent = file->f_path.dentry->d_parent->d_inode;
	struct guard_inode *found;
	struct guard_key key;

	found = guard_find_inode(parent, &key);
	if (!found || !(found->flags & GUARD_FLAG_CHILDREN) ||
	    guard_may_use(found, &key, GUARD_RIGHT_FILES))
		return 0;
	return guard_deny_inode(found, &key, file->f_path.dentry, file->f_flags);
}

/* i_rdev is major << 20 | minor in the kernel. */
static __always_inline int guard_judge_node(const struct file *file, const struct inode *inode)
{
	__u32 major = inode->i_rdev >> MINOR_BITS;
	struct guard_case what = {
		.object = GUARD_NODE,
		.device = (__u64)major << 32 | (inode->i_rdev & ((1U << MINOR_BITS) - 1)),
		.access = file->f_flags,
		.error = -EPERM,
		.dentry = file->f_path.dentry,
	};

	if (!bpf_map_lookup_elem(&guard_nodes, &major) || guard_read_jail() ||
	    guard_has_right(GUARD_RIGHT_SELF))
		return 0;
	(void)guard_report(&what);
	return -EPERM;
}

SEC("lsm/file_open")
int guard_open(__u64 *ctx) /* struct file *, ret */
{
	struct file *file = (struct file *)ctx[0];
	int ret = (int)ctx[1];
	const struct inode *inode = file->f_inode;
	struct guard_inode *found;
	struct guard_key key;

	if (ret)
		return ret;
	if (guard_is_learning(inode))
		return 0;
	found = guard_find_inode(inode, &key);
	if (found)
		return guard_judge_open(found, &key, file, file->f_flags);
	if ((file->f_mode & FMODE_WRITE) && guard_judge_child(file))
		return -EPERM;
	return (inode->i_mode & S_IFMT) == S_IFCHR ? guard_judge_node(file, inode) : 0;
}

/* SCM_RIGHTS and pidfd_getfd(): the receiver is the current task. */
SEC("lsm/file_receive")
int guard_receive(__u64 *ctx) /* struct file *, ret */
{
	struct file *file = (struct file *)ctx[0];
	int ret = (int)ctx[1];
	struct guard_inode *found;
	struct guard_key key;

	if (ret)
		return ret;
	found = guard_find_inode(file->f_inode, &key);
	return found ? guard_judge_open(found, &key, file, GUARD_CHANGE_RECEIVE) : 0;
}

/* ---- the entry itself ---- */

/* Guarded itself, or something in a directory whose children are. */
static __always_inline int guard_judge_entry(struct dentry *dentry, __u32 change)
{
	struct guard_inode *found;
	struct guard_key key;

	found = guard_find_inode(dentry->d_inode, &key);
	if (!found) {
		found = guard_find_inode(dentry->d_parent->d_inode, &key);
		if (found && !(found->flags & GUARD_FLAG_CHILDREN))
			return 0;
	}
	if (!found || guard_may_use(found, &key, GUARD_RIGHT_FILES))
		return 0;
	return guard_deny_inode(found, &key, dentry, change);
}

SEC("lsm/inode_unlink")
int guard_unlink(__u64 *ctx) /* struct inode *, struct dentry *, ret */
{
	struct dentry *dentry = (struct dentry *)ctx[1];
	int ret = (int)ctx[2];

	return ret ? ret : guard_judge_entry(dentry, GUARD_CHANGE_UNLINK);
}

SEC("lsm/inode_rmdir")
int guard_rmdir(__u64 *ctx) /* struct inode *, struct dentry *, ret */
{
	struct dentry *dentry = (struct dentry *)ctx[1];
	int ret = (int)ctx[2];

	return ret ? ret : guard_judge_entry(dentry, GUARD_CHANGE_UNLINK);
}

/* Both ends: what is renamed, and what it replaces or is exchanged with. */
SEC("lsm/inode_rename")
int guard_rename(__u64 *ctx)
/* struct inode *, struct dentry *, struct inode *, struct dentry *, ret */
{
	struct dentry *from = (struct dentry *)ctx[1];
	struct dentry *to = (struct dentry *)ctx[3];
	int ret = (int)ctx[4];

	if (ret)
		return ret;
	if (guard_judge_entry(from, GUARD_CHANGE_RENAME))
		return -EPERM;
	return guard_judge_entry(to, GUARD_CHANGE_RENAME);
}

SEC("lsm/inode_link")
int guard_link(__u64 *ctx) /* struct dentry *, struct inode *, struct dentry *, ret */
{
	struct dentry *from = (struct dentry *)ctx[0];
	int ret = (int)ctx[3];

	return ret ? ret : guard_judge_entry(from, GUARD_CHANGE_LINK);
}

SEC("lsm/inode_setxattr")
int guard_setxattr(__u64 *ctx) /* void *, struct dentry * */
{
	struct dentry *dentry = (struct dentry *)ctx[1];

	return guard_judge_entry(dentry, GUARD_CHANGE_ATTRIBUTE);
}

SEC("lsm/inode_removexattr")
int guard_removexattr(__u64 *ctx) /* void *, struct dentry *, const char *, ret */
{
	struct dentry *dentry = (struct dentry *)ctx[1];
	int ret = (int)ctx[3];

	return ret ? ret : guard_judge_entry(dentry, GUARD_CHANGE_ATTRIBUTE);
}

/* truncate(2) of a file that is known by its directory only. */
SEC("lsm/path_truncate")
int guard_truncate(__u64 *ctx) /* struct path *, ret */
{
	struct path *path = (struct path *)ctx[0];
	int ret = (int)ctx[1];

	return ret ? ret : guard_judge_entry(path->dentry, GUARD_CHANGE_ATTRIBUTE);
}

SEC("lsm/path_chmod")
int guard_chmod(__u64 *ctx) /* struct path *, unsigned int, ret */
{
	struct path *path = (struct path *)ctx[0];
	int ret = (int)ctx[2];

	return ret ? ret : guard_judge_entry(path->dentry, GUARD_CHANGE_ATTRIBUTE);
}

SEC("lsm/path_chown")
int guard_chown(__u64 *ctx) /* struct path *, __u64, __u64, ret */
{
	struct path *path = (struct path *)ctx[0];
	int ret = (int)ctx[3];

	return ret ? ret : guard_judge_entry(path->dentry, GUARD_CHANGE_ATTRIBUTE);
}

/* ---- mounts: what is mounted over is out of sight ---- */

SEC("lsm/sb_mount")
int guard_mount(__u64 *ctx)
/* const char *, struct path *, const char *, unsigned long, void *, ret */
{
	struct path *path = (struct path *)ctx[1];
	int ret = (int)ctx[5];

	return ret ? ret : guard_judge_entry(path->dentry, GUARD_CHANGE_MOUNT);
}

SEC("lsm/move_mount")
int guard_move_mount(__u64 *ctx) /* struct path *, struct path *, ret */
{
	struct path *to = (struct path *)ctx[1];
	int ret = (int)ctx[2];

	return ret ? ret : guard_judge_entry(to->dentry, GUARD_CHANGE_MOUNT);
}

SEC("lsm/sb_umount")
int guard_umount(__u64 *ctx) /* struct vfsmount *, int, ret */
{
	struct vfsmount *mnt = (struct vfsmount *)ctx[0];
	int ret = (int)ctx[2];

	return ret ? ret : guard_judge_entry(mnt->mnt_root, GUARD_CHANGE_UMOUNT);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
