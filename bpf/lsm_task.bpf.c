/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a model may do to other processes, to its own privileges and to the kernel: nothing. All
 * of it answers EPERM. seccomp and the lack of capabilities come first; this is the wall behind
 * them, for a model that got round the filter, or got capabilities that nobody gave it.
 *
 * What has no hook of its own:
 *   setns, unshare     ask for CAP_SYS_ADMIN (each namespace's install function, and
 *                      copy_namespaces()), a pidfd's namespaces also for ptrace access;
 *                      a user namespace has userns_create
 *   the mount API      fsopen, fsmount, open_tree and mount_setattr ask for CAP_SYS_ADMIN
 *                      (may_mount()); what they make appears through move_mount
 *   io_uring_setup     before 6.15 there is no hook for it, but on every kernel the ring is a
 *                      secure anonymous inode: inode_init_security_anon, by its name
 */
#include "lsm.h"

#define CAP_OPT_NOAUDIT 2 /* include/linux/security.h */

/* include/linux/kernel_read_file.h: firmware is what a driver loads for itself, by its own name */
#define READING_FIRMWARE 1

/* Denies it when the current task is a model; other tasks are none of our business. */
static __always_inline int task_judge(__u16 action, __u32 access, __u64 target)
{
	struct subject s = subject_new(POLICY_CLASS_TASK, action);
	int r = 0;

	if (!lsm_find_model(&s, &r))
		return r;
	return lsm_deny(&s, -EPERM, access, 0, target);
}

/* Denies it when the other task is of another cgroup: a jail's model is all of one. */
static __always_inline int task_judge_other(const struct task_struct *task, __u16 action,
					    __u32 access)
{
	struct subject s = subject_new(POLICY_CLASS_TASK, action);
	int r = 0;

	if (!lsm_find_model(&s, &r) || task->cgroups->dfl_cgrp->kn->id == s.cgroup_id)
		return r;
	return lsm_deny(&s, -EPERM, access, 0, (__u32)task->tgid);
}

/* ---- other processes ---- */

/* Also asked for reading another's memory, descriptors and much of its /proc directory. */
SEC("lsm/ptrace_access_check")
int lsm_ptrace_access_check(__u64 *ctx) /* struct task_struct *child, unsigned int mode */
{
	return task_judge_other((struct task_struct *)ctx[0], POLICY_TASK_PTRACE, (__u32)ctx[1]);
}

SEC("lsm/ptrace_traceme")
int lsm_ptrace_traceme(__u64 *ctx) /* struct task_struct *parent */
{
	return task_judge_other((struct task_struct *)ctx[0], POLICY_TASK_PTRACE, 0);
}

/* With a cred it is the kernel's signal on behalf of that cred, in whatever task runs just now. */
SEC("lsm/task_kill")
int lsm_task_kill(__u64 *ctx) /* struct task_struct *, struct kernel_siginfo *, int sig, cred */
{
	__u64 cred = 0;

	/*
	 * Read like any memory: the verifier of some kernels takes an argument for never NULL, and
	 * this hook's is NULL for every signal that a task sends.
	 */
	if (bpf_probe_read_kernel(&cred, sizeof(cred), &ctx[3]))
		error_count(POLICY_ERROR_FILE_READ);
	if (cred)
		return 0;
	return task_judge_other((struct task_struct *)ctx[0], POLICY_TASK_SIGNAL, (__u32)ctx[2]);
}

/* ---- its own privileges ---- */

/*
 * Asked only when the capability would be granted: the kernel's own capability check comes first
 * among the security modules, and its refusal is final. So a model that has none does not come
 * here, however often something looks whether it has one, and a count above 0 means that a model
 * gained privileges.
 *
 * Only for credentials that are the task's own. The kernel borrows others' for its own work in
 * the model's context (overlayfs those of the mounter, the firmware loader those of init), and
 * the OOM killer asks about tasks that are not current.
 */
SEC("lsm/capable")
int lsm_capable(__u64 *ctx) /* const struct cred *, user_namespace *, int cap, unsigned opts */
{
	struct subject s = subject_new(POLICY_CLASS_TASK, POLICY_TASK_CAPABLE);
	__u32 cap = (__u32)ctx[2];
	int r = 0;

	if (!lsm_find_model(&s, &r))
		return r;
	if (ctx[0] != (__u64)bpf_get_current_task_btf()->real_cred)
		return 0;
	/* One check may follow another within one call: the first of each process is news. */
	if ((ctx[3] & CAP_OPT_NOAUDIT) || !seen_first(&s, bpf_get_current_pid_tgid() >> 32, cap)) {
		(void)counter_add(&s, false, 0);
		return -EPERM;
	}
	return lsm_deny(&s, -EPERM, cap, 0, 0);
}

SEC("lsm/userns_create")
int lsm_userns_create(__u64 *ctx) /* const struct cred * */
{
	(void)ctx;
	return task_judge(POLICY_TASK_USERNS, 0, 0);
}

/* ---- mounts ---- */

SEC("lsm/sb_mount")
int lsm_sb_mount(__u64 *ctx) /* dev_name, path, type, unsigned long flags, data */
{
	return task_judge(POLICY_TASK_MOUNT, (__u32)ctx[3], 0);
}

SEC("lsm/move_mount")
int lsm_move_mount(__u64 *ctx) /* from, to */
{
	(void)ctx;
	return task_judge(POLICY_TASK_MOUNT, 0, 0);
}

SEC("lsm/sb_umount")
int lsm_sb_umount(__u64 *ctx) /* struct vfsmount *, int flags */
{
	return task_judge(POLICY_TASK_MOUNT, (__u32)ctx[1], 0);
}

SEC("lsm/sb_pivotroot")
int lsm_sb_pivotroot(__u64 *ctx) /* old, new */
{
	(void)ctx;
	return task_judge(POLICY_TASK_MOUNT, 0, 0);
}

/* ---- the kernel itself ---- */

SEC("lsm/bpf")
int lsm_bpf(__u64 *ctx) /* int cmd, union bpf_attr *, unsigned int size */
{
	return task_judge(POLICY_TASK_BPF, (__u32)ctx[0], 0);
}

/* A descriptor of a map or program is made: by whatever way there is, or will be. */
SEC("lsm/bpf_map")
int lsm_bpf_map(__u64 *ctx) /* struct bpf_map *, fmode_t */
{
	(void)ctx;
	return task_judge(POLICY_TASK_BPF, 0, 0);
}

SEC("lsm/bpf_prog")
int lsm_bpf_prog(__u64 *ctx) /* struct bpf_prog * */
{
	(void)ctx;
	return task_judge(POLICY_TASK_BPF, 0, 0);
}

SEC("lsm/perf_event_open")
int lsm_perf_event_open(__u64 *ctx) /* before 6.16: struct perf_event_attr *; int type */
{
	(void)ctx;
	return task_judge(POLICY_TASK_PERF, 0, 0);
}

/* The kernel would load a module because of what the model asked for (a socket family, say). */
SEC("lsm/kernel_module_request")
int lsm_kernel_module_request(__u64 *ctx) /* char *kmod_name */
{
	(void)ctx;
	return task_judge(POLICY_TASK_MODULE, 0, 0);
}

/* finit_module, kexec_file_load: anything but a driver's own firmware. */
SEC("lsm/kernel_read_file")
int lsm_kernel_read_file(__u64 *ctx) /* struct file *, enum kernel_read_file_id, bool */
{
	if ((__u32)ctx[1] == READING_FIRMWARE)
		return 0;
	return task_judge(POLICY_TASK_MODULE, (__u32)ctx[1], 0);
}

/* init_module, kexec_load; the numbers are those of kernel_read_file. */
SEC("lsm/kernel_load_data")
int lsm_kernel_load_data(__u64 *ctx) /* enum kernel_load_data_id, bool */
{
	if ((__u32)ctx[0] == READING_FIRMWARE)
		return 0;
	return task_judge(POLICY_TASK_MODULE, (__u32)ctx[0], 0);
}

/* ---- io_uring and userfaultfd ---- */

SEC("lsm/inode_init_security_anon")
int lsm_inode_init_security_anon(__u64 *ctx) /* struct inode *, const struct qstr *, inode */
{
	const struct qstr *name = (const struct qstr *)ctx[1];
	const unsigned char *text = name->name;
	__u64 word = 0;

	/* Only inside: the name is read when it matters. */
	if (!lsm_is_inside())
		return 0;
	if (bpf_probe_read_kernel(&word, sizeof(word), text)) {
		error_count(POLICY_ERROR_FILE_READ);
		return task_judge(POLICY_TASK_URING, POLICY_URING_MAKE, 0);
	}
	if (word == WORD8('[', 'i', 'o', '_', 'u', 'r', 'i', 'n'))
		return task_judge(POLICY_TASK_URING, POLICY_URING_MAKE, 0);
	if (word == WORD8('[', 'u', 's', 'e', 'r', 'f', 'a', 'u'))
		return task_judge(POLICY_TASK_USERFAULT, 0, 0);
	return 0;
}

/* What a ring could do that was made elsewhere and passed in. */
SEC("lsm/uring_override_creds")
int lsm_uring_override_creds(__u64 *ctx) /* const struct cred * */
{
	(void)ctx;
	return task_judge(POLICY_TASK_URING, POLICY_URING_CREDS, 0);
}

SEC("lsm/uring_sqpoll")
int lsm_uring_sqpoll(__u64 *ctx)
{
	(void)ctx;
	return task_judge(POLICY_TASK_URING, POLICY_URING_SQPOLL, 0);
}

SEC("lsm/uring_cmd")
int lsm_uring_cmd(__u64 *ctx) /* struct io_uring_cmd * */
{
	(void)ctx;
	return task_judge(POLICY_TASK_URING, POLICY_URING_CMD, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
