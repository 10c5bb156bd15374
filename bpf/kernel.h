/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few kernel types that custody's programs read, with only the fields they read. libbpf
 * relocates every access to the running kernel's layout (CO-RE), so no build needs vmlinux.h.
 * Field names and meaning hold from Linux 6.1 to 6.18.
 */
#ifndef CUSTODY_BPF_KERNEL_H
#define CUSTODY_BPF_KERNEL_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* x86-64: the registers that a system call entered with; the kernel leaves them as they were. */
struct pt_regs {
	unsigned long orig_ax;
	unsigned long di;
	unsigned long si;
	unsigned long dx;
	unsigned long ip;	/* after the instruction */
};

struct qstr {
	__u32 len;
	const unsigned char *name;
};

struct list_head {
	struct list_head *next, *prev;
};

struct iattr {
	unsigned int ia_valid;
};

struct super_block {
	struct list_head s_mounts;	/* of struct mount, by mnt_instance: newest last; to 6.16 */
	__u32 s_dev;
	struct dentry *s_root;
	unsigned long s_magic;
};

struct inode {
	unsigned short i_mode;
	unsigned int i_rdev;
	unsigned int i_nlink;
	unsigned long i_ino;
	struct super_block *i_sb;
	__u32 i_generation;
	struct {
		int counter;
	} i_writecount;		/* open for writing, or, below 0, being executed */
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
	int mnt_flags;
};

struct mnt_namespace;

struct mount {
	struct vfsmount mnt;
	struct list_head mnt_instance;
	int mnt_id;
	struct mnt_namespace *mnt_ns;	/* or an error number: the kernel's own mount */
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	unsigned int f_mode;
	struct inode *f_inode;
	struct path f_path;
	unsigned int f_flags;
	void *private_data;	/* of sockfs: struct socket */
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct signal_struct {
	struct {
		int counter;
	} live;			/* threads that have not reached exit */
};

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;	/* of whoever made it; of an accepted one, its listener's */
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	struct sock_cgroup_data sk_cgrp_data;
};

struct socket {
	struct sock *sk;
};

struct css_set {
	struct cgroup *dfl_cgrp;	/* in the cgroup2 hierarchy */
};

struct mm_struct {
	struct file *exe_file;
};

struct pid_namespace {
	struct task_struct *child_reaper;	/* its first process */
};

struct nsproxy {
	struct pid_namespace *pid_ns_for_children;
};

struct thread_info {
	__u32 status;		/* x86: THREAD_COMPAT while in a call of the i386 ABI */
};

struct seccomp {
	int mode;
};

struct task_struct {
	struct thread_info thread_info;
	struct seccomp seccomp;
	unsigned int flags;
	unsigned int ptrace;	/* not 0: traced */
	int tgid;
	const struct cred *cred;
	const struct cred *real_cred;
	int exit_code;
	__u64 start_time;
	__u64 start_boottime;
	struct task_struct *real_parent;
	struct css_set *cgroups;
	struct mm_struct *mm;
	struct task_struct *group_leader;
	struct files_struct *files;
	struct signal_struct *signal;
	struct nsproxy *nsproxy;
};

union __sifields {
	struct {
		void *_call_addr;
		int _syscall;
		unsigned int _arch;
	} _sigsys;
};

struct kernel_siginfo {
	int si_signo;
	int si_code;
	union __sifields _sifields;
};

struct linux_binprm {
	struct file *file;
};

struct bpf_map {
	__u32 id;
};

struct bpf_prog_aux {
	__u32 id;
};

struct bpf_prog {
	struct bpf_prog_aux *aux;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_pgoff;
	unsigned long vm_flags;
	struct file *vm_file;
	struct anon_vma *anon_vma;	/* set once a page of the mapping was written privately */
};

#pragma clang attribute pop

#endif
