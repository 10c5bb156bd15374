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

#define IOC_WRITE (1U << 30)	/* include/uapi/asm-generic/ioctl.h: the kernel is given data */
#define FS_IOC_FIEMAP 0xc020660bU
#define FS_IOC_MEASURE_VERITY 0xc0046686U	/* include/uapi/linux/fsverity.h */
#define FS_IOC_READ_VERITY_METADATA 0xc0286687U

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
	return guard_deny_inode(found, &key, NULL, GUARD_CHANGE_WRITE);
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

static __always_inline bool guard_enter(const struct guard_learn *learn,
					const struct guard_key *key, __u32 generation)
{
	struct guard_inode entry = learn->as, *found = guard_find_key(key, generation);

	if (found && found->object != entry.object)
		return false;
	if (entry.jail_id) {
		struct guard_owner_key owner = {
			.jail_id = entry.jail_id,
			.device = key->device,
			.inode = key->inode,
		};

		if (found && bpf_map_lookup_elem(&guard_owners, &owner))
			return true;
		if (!guard_add_owner(key, entry.jail_id))
			return false;
	}
	if (found) {
		found->owners += entry.jail_id ? 1 : 0;
		return true;
	}
	entry.owners = entry.jail_id ? 1 : 0;
	entry.generation = generation;
	return bpf_map_update_elem(&guarded, key, &entry, BPF_ANY) == 0;
}

/* True when the open was custodyd's, to have this inode, whose key that is, entered. */
static __always_inline bool guard_is_learning(const struct inode *inode,
					      const struct guard_key *key)
{
	__u32 zero = 0;
	struct guard_learn *learn = bpf_map_lookup_elem(&guard_learn, &zero);

	if (!learn || !learn->as.object || !guard_has_right(GUARD_RIGHT_WARDEN))
		return false;
	if (inode->i_writecount.counter > 0)
		learn->written++;
	learn->last = *key;
	learn->last_generation = inode->i_generation;
	if (learn->as.object == GUARD_READ || guard_enter(learn, key, inode->i_generation))
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
	const __u32 *found;
	__u32 generation;

	by_uid.uid = (__u32)bpf_get_current_uid_gid() + 1;
	if (bpf_map_lookup_elem(&guard_readers, &by_uid))
		return true;
	inode = BPF_CORE_READ(task, mm, exe_file, f_inode);
	if (!inode)
		return false;
	generation = guard_probe_key(inode, &by_executable.executable);
	found = bpf_map_lookup_elem(&guard_readers, &by_executable);
	return found && *found == generation;
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
	__u32 wanted = file->f_mode & FMODE_WRITE ? GUARD_FLAG_WRITE | GUARD_FLAG_READ :
						    GUARD_FLAG_READ;

	if ((found->flags & wanted) && !guard_may_use(found, key, GUARD_RIGHT_FILES))
		return guard_deny_inode(found, key, guard_read_dentry(file), access);
	if (!(found->flags & GUARD_FLAG_WATCH) || guard_may_use(found, key, GUARD_RIGHT_SELF))
		return 0;
	return guard_judge_read(found, key, guard_read_dentry(file), access);
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
	return guard_deny_inode(found, &key, guard_read_dentry(file), file->f_flags);
}

/* i_rdev is major << 20 | minor in the kernel. */
static __always_inline int guard_judge_node(const struct file *file, const struct inode *inode,
					    __u32 access)
{
	__u32 major = inode->i_rdev >> MINOR_BITS;
	struct guard_case what = {
		.object = GUARD_NODE,
		.device = (__u64)major << 32 | (inode->i_rdev & ((1U << MINOR_BITS) - 1)),
		.access = access,
		.error = -EPERM,
	};

	if (!bpf_map_lookup_elem(&guard_nodes, &major) || guard_read_jail() ||
	    guard_has_right(GUARD_RIGHT_SELF))
		return 0;
	what.dentry = guard_read_dentry(file);
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
	guard_read_key(inode, &key);
	if (guard_is_learning(inode, &key))
		return 0;
	found = guard_find_key(&key, inode->i_generation);
	if (found)
		return guard_judge_open(found, &key, file, file->f_flags);
	if ((file->f_mode & FMODE_WRITE) && guard_judge_child(file))
		return -EPERM;
	return (inode->i_mode & S_IFMT) == S_IFCHR ? guard_judge_node(file, inode, file->f_flags)
						    : 0;
}

/*
 * SCM_RIGHTS and pidfd_getfd(): the receiver is the current task. Weights come to readers only,
 * whoever opened them: a model must not hand out what the receiver could not open.
 */
SEC("lsm/file_receive")
int guard_receive(__u64 *ctx) /* struct file *, ret */
{
	struct file *file = (struct file *)ctx[0];
	int ret = (int)ctx[1];
	const struct inode *inode = file->f_inode;
	struct guard_inode *found;
	struct guard_key key;

	if (ret)
		return ret;
	found = guard_find_inode(inode, &key);
	if (!found)
		return (inode->i_mode & S_IFMT) == S_IFCHR
			       ? guard_judge_node(file, inode, GUARD_CHANGE_RECEIVE) : 0;
	if (!(found->flags & GUARD_FLAG_WATCH))
		return guard_judge_open(found, &key, file, GUARD_CHANGE_RECEIVE);
	if (guard_may_use(found, &key, GUARD_RIGHT_SELF) ||
	    (guard_is_reader() && !(file->f_mode & FMODE_WRITE)))
		return 0;
	return guard_deny_inode(found, &key, guard_read_dentry(file), GUARD_CHANGE_RECEIVE);
}

/*
 * What changes an inode without writing to it: flags, project, verity, and the generation, by which
 * it is known. Requests that carry nothing in, the map of extents
 * and what fs-verity says of a file only look.
 */
static __always_inline int guard_judge_ioctl(const struct file *file, __u32 request)
{
	struct guard_inode *found;
	struct guard_key key;

	if (!(request & IOC_WRITE) || request == FS_IOC_FIEMAP ||
	    request == FS_IOC_MEASURE_VERITY || request == FS_IOC_READ_VERITY_METADATA)
		return 0;
	found = guard_find_inode(file->f_inode, &key);
	if (!found || guard_may_use(found, &key, GUARD_RIGHT_FILES))
		return 0;
	return guard_deny_inode(found, &key, guard_read_dentry(file), GUARD_CHANGE_IOCTL);
}

SEC("lsm/file_ioctl")
int guard_ioctl(__u64 *ctx) /* struct file *, unsigned int, unsigned long, ret */
{
	struct file *file = (struct file *)ctx[0];
	int ret = (int)ctx[3];

	return ret ? ret : guard_judge_ioctl(file, (__u32)ctx[1]);
}

SEC("lsm/file_ioctl_compat")
int guard_ioctl_compat(__u64 *ctx)
{
	struct file *file = (struct file *)ctx[0];
	int ret = (int)ctx[3];

	return ret ? ret : guard_judge_ioctl(file, (__u32)ctx[1]);
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

/* From 6.2 on access control lists have hooks of their own. */
SEC("lsm/inode_set_acl")
int guard_set_acl(__u64 *ctx) /* void *, struct dentry *, const char *, void *, ret */
{
	struct dentry *dentry = (struct dentry *)ctx[1];
	int ret = (int)ctx[4];

	return ret ? ret : guard_judge_entry(dentry, GUARD_CHANGE_ATTRIBUTE);
}

SEC("lsm/inode_remove_acl")
int guard_remove_acl(__u64 *ctx) /* void *, struct dentry *, const char *, ret */
{
	struct dentry *dentry = (struct dentry *)ctx[1];
	int ret = (int)ctx[3];

	return ret ? ret : guard_judge_entry(dentry, GUARD_CHANGE_ATTRIBUTE);
}

/* guard_find_inode() for a pointer that is a mere number to the verifier. */
static __always_inline struct guard_inode *guard_read_inode(const struct inode *inode,
							    struct guard_key *ret)
{
	__u32 generation = guard_probe_key(inode, ret);

	return guard_find_key(ret, generation);
}

static __always_inline int guard_judge_setattr(struct dentry *dentry)
{
	struct dentry *parent = NULL;
	struct inode *inode = NULL;
	struct guard_inode *found;
	struct guard_key key = {};
	long r = 0;

	r |= bpf_core_read(&inode, sizeof(inode), &dentry->d_inode);
	found = guard_read_inode(inode, &key);
	if (!found) {
		r |= bpf_core_read(&parent, sizeof(parent), &dentry->d_parent);
		r |= bpf_core_read(&inode, sizeof(inode), &parent->d_inode);
		found = guard_read_inode(inode, &key);
		if (found && !(found->flags & GUARD_FLAG_CHILDREN))
			return 0;
	}
	if (r)
		error_count(POLICY_ERROR_FILE_READ);
	if (!found || guard_may_use(found, &key, GUARD_RIGHT_FILES))
		return 0;
	return guard_deny_inode(found, &key, dentry, GUARD_CHANGE_ATTRIBUTE);
}

/*
 * notify_change(): mode, owner, size, times. The dentry is the first argument of two in 6.1 and
 * the second of three since 6.9, and is read like any memory for that.
 */
SEC("lsm/inode_setattr")
int guard_setattr(__u64 *ctx) /* [idmap,] struct dentry *, struct iattr *, ret */
{
	__u64 first = ctx[0], second = ctx[1];
	struct dentry *dentry;

	/* Read from fixed places: the verifier allows no index that depends on the kernel. */
	asm volatile("" : "+r"(first), "+r"(second));
	dentry = (void *)(bpf_get_func_arg_cnt(ctx) > 2 ? second : first);
	return guard_judge_setattr(dentry);
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
