/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guard, first half: custody's BPF objects and its processes against every other process of
 * the host, root's among them; and the door by which a custodyd comes back.
 *
 * Not held here, because no hook is asked: moving a process to another cgroup (recorded only),
 * a tracing program or a kernel module that writes memory, a reboot. README, "Not held".
 */
#include "guard.h"

#include <linux/bpf.h>

#define PTRACE_MODE_ATTACH 0x02	/* include/linux/ptrace.h, the same from 4.5 to 6.18 */

/* ---- objects: an fd is all that it takes, so no fd is given ---- */

static __always_inline int guard_judge_object(__u32 type, __u32 id, __u32 access)
{
	struct guard_object_key key = { .type = type, .id = id };

	if (!bpf_map_lookup_elem(&guard_objects, &key) || guard_has_right(GUARD_RIGHT_BPF))
		return 0;
	return guard_deny(type, id, access);
}

/* bpf_map_new_fd(): an fd by id, by pin, whatever its mode (4.15). */
SEC("lsm/bpf_map")
int guard_map(__u64 *ctx) /* struct bpf_map *, unsigned int, ret */
{
	struct bpf_map *map = (struct bpf_map *)ctx[0];
	unsigned int mode = (unsigned int)ctx[1];
	int ret = (int)ctx[2];

	return ret ? ret : guard_judge_object(GUARD_MAP, map->id, mode);
}

/* bpf_prog_new_fd(), likewise. */
SEC("lsm/bpf_prog")
int guard_program(__u64 *ctx) /* struct bpf_prog *, ret */
{
	struct bpf_prog *program = (struct bpf_prog *)ctx[0];
	int ret = (int)ctx[1];

	return ret ? ret : guard_judge_object(GUARD_PROGRAM, program->aux->id, 0);
}

/*
 * Links have no hook of their own. By id they are asked for here: the kernel has copied attr, and
 * the id is its first field. By pin they are asked for in inode_permission, with MAY_WRITE.
 */
SEC("lsm/bpf")
int guard_bpf(__u64 *ctx) /* int, union bpf_attr *, unsigned int */
{
	int cmd = (int)ctx[0];
	union bpf_attr *attr = (union bpf_attr *)ctx[1];
	__u32 id = 0;

	if (cmd != BPF_LINK_GET_FD_BY_ID)
		return 0;
	if (bpf_probe_read_kernel(&id, sizeof(id), attr))
		error_count(POLICY_ERROR_FILE_READ);
	return guard_judge_object(GUARD_LINK, id, (__u32)cmd);
}

/* ---- processes ---- */

/* The id of the cgroup that another task is in; 0, which none has, when it cannot be read. */
static __always_inline __u64 guard_read_cgroup(const struct task_struct *task)
{
	return BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
}

/* Jails are there too when custodyd was told to leave the guard open; its door is not. */
static __always_inline bool guard_is_closed(void)
{
	__u32 zero = 0;
	const struct guard_config *config = bpf_map_lookup_elem(&guard_config, &zero);

	return !config || config->executable.inode != 0;
}

/*
 * Custody's own: registered, a child of custodyd (from its birth, before anybody could register
 * it), or a process of a jail. `rights` gets what is registered.
 */
static __always_inline bool guard_is_own(const struct task_struct *task, __u32 *rights)
{
	__u64 cgroup;

	*rights = guard_read_rights(task);
	if (*rights & (GUARD_RIGHT_SELF | GUARD_RIGHT_INIT))
		return true;
	if (guard_read_rights(BPF_CORE_READ(task, group_leader, real_parent)) & GUARD_RIGHT_WARDEN)
		return true;
	cgroup = guard_read_cgroup(task);
	return bpf_map_lookup_elem(&jails, &cgroup) != NULL && guard_is_closed();
}

/* A jail's own processes, its broker among them: what they may is for the jail's policy. */
static __always_inline bool guard_is_same_jail(const struct task_struct *task)
{
	__u64 cgroup = guard_read_cgroup(task);
	const struct policy_jail *jail = bpf_map_lookup_elem(&jails, &cgroup);

	return jail && jail->jail_id == guard_read_jail();
}

static __always_inline int guard_judge_task(struct task_struct *task, __u32 object, __u32 access,
					    __u32 right)
{
	__u32 rights = 0;
	bool own;

	own = guard_is_own(task, &rights);
	if (!own && !(object == GUARD_TRACE && (rights & GUARD_RIGHT_KEEPER)))
		return 0;
	if (task->tgid == bpf_get_current_pid_tgid() >> 32 || guard_has_right(right) ||
	    guard_is_same_jail(task))
		return 0;
	return guard_deny(object, task->tgid, access);
}

/*
 * Attaching, memory and descriptors of another process: ptrace, /proc/PID/mem, process_vm_*,
 * pidfd_getfd all ask for PTRACE_MODE_ATTACH. Looking (ps, ss, lsof) asks for READ, and may.
 */
SEC("lsm/ptrace_access_check")
int guard_trace(__u64 *ctx) /* struct task_struct *, unsigned int, ret */
{
	struct task_struct *child = (struct task_struct *)ctx[0];
	unsigned int mode = (unsigned int)ctx[1];
	int ret = (int)ctx[2];

	if (ret || !(mode & PTRACE_MODE_ATTACH))
		return ret;
	return guard_judge_task(child, GUARD_TRACE, mode, GUARD_RIGHT_TASKS);
}

/*
 * Signals of processes. The kernel's own (a terminal's ^C, SIGPIPE, out of memory) ask nobody.
 * Pid 1 may, because it is what stops services; so may the keeper, which started custodyd.
 */
SEC("lsm/task_kill")
int guard_signal(__u64 *ctx)
/* struct task_struct *, struct kernel_siginfo *, int, const struct cred *, ret */
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	int signal = (int)ctx[2];
	int ret = (int)ctx[4];

	if (ret || signal == 0)
		return ret;
	if (bpf_get_current_pid_tgid() >> 32 == 1)
		return 0;
	return guard_judge_task(task, GUARD_SIGNAL, signal,
				GUARD_RIGHT_TASKS | GUARD_RIGHT_KEEPER);
}

/* F_SETOWN and F_SETSIG make the kernel send any signal on somebody's behalf. Nobody needs it. */
SEC("lsm/file_send_sigiotask")
int guard_sigio(__u64 *ctx) /* struct task_struct *, struct fown_struct *, int, ret */
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	int signal = (int)ctx[2];
	int ret = (int)ctx[3];
	__u32 rights = 0;

	if (ret || !guard_is_own(task, &rights))
		return ret;
	return guard_deny(GUARD_SIGNAL, task->tgid, signal);
}

/* A limit of 0 bytes or seconds ends a process as a signal does. */
SEC("lsm/task_setrlimit")
int guard_limit(__u64 *ctx) /* struct task_struct *, unsigned int, struct rlimit *, ret */
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	unsigned int resource = (unsigned int)ctx[1];
	int ret = (int)ctx[3];

	return ret ? ret : guard_judge_task(task, GUARD_LIMIT, resource, GUARD_RIGHT_TASKS);
}

/* ---- coming and going ---- */

static __always_inline bool guard_is_executable(const struct guard_config *config,
						const struct inode *inode)
{
	return config->executable.inode && inode->i_ino == config->executable.inode &&
	       inode->i_sb->s_dev == config->executable.device &&
	       inode->i_generation == config->generation;
}

static __always_inline __u32 guard_judge_door(const struct task_struct *task)
{
	const struct task_struct *parent = BPF_CORE_READ(task, real_parent);

	if (task->ptrace)
		return GUARD_DOOR_TRACED;
	if ((__u32)bpf_get_current_uid_gid() != 0)
		return GUARD_DOOR_NOT_ROOT;
	if (BPF_CORE_READ(parent, tgid) != 1 && !(guard_read_rights(parent) & GUARD_RIGHT_KEEPER))
		return GUARD_DOOR_STRANGER;
	return 0;
}

/*
 * The door (G2). While a custodyd lives its executable is a program like any other: custodyd
 * --help needs nothing.
 */
SEC("lsm/bprm_committed_creds")
int guard_door(__u64 *ctx) /* struct linux_binprm * */
{
	struct linux_binprm *bprm = (struct linux_binprm *)ctx[0];
	__u32 zero = 0, tgid = bpf_get_current_pid_tgid() >> 32;
	struct guard_config *config = bpf_map_lookup_elem(&guard_config, &zero);
	struct task_struct *task = bpf_get_current_task_btf();
	struct guard_case what = { .object = GUARD_DOOR, .inode = tgid };
	struct guard_process process = {};
	__u32 warden;

	if (!config || !guard_is_executable(config, bprm->file->f_inode))
		return 0;
	warden = config->warden;
	if (bpf_map_lookup_elem(&guardians, &warden))
		return 0;
	what.access = guard_judge_door(task);
	process.start = BPF_CORE_READ(task, group_leader, start_boottime) / GUARD_TICK_NS;
	process.rights = GUARD_RIGHT_SELF | GUARD_RIGHT_BPF | GUARD_RIGHT_FILES |
			 GUARD_RIGHT_TASKS | GUARD_RIGHT_WARDEN;
	if (!what.access && bpf_map_update_elem(&guardians, &tgid, &process, BPF_ANY))
		what.access = GUARD_DOOR_FULL;
	if (what.access)
		what.error = -EPERM;
	else
		config->warden = tgid;
	(void)guard_report(&what);
	return 0;
}

/* Before anybody can be told that the process ended, and so before its number is given again. */
SEC("tp_btf/sched_process_exit")
int guard_exit(__u64 *ctx) /* struct task_struct * */
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	__u32 tgid = task->tgid;

	if (bpf_map_lookup_elem(&guardians, &tgid) && task->signal->live.counter == 0)
		(void)bpf_map_delete_elem(&guardians, &tgid);
	return 0;
}

/* A process of a jail: by the first process of its pid namespace, which it cannot change. */
static __always_inline bool guard_is_jailed(const struct task_struct *task)
{
	const struct task_struct *init =
		BPF_CORE_READ(task, nsproxy, pid_ns_for_children, child_reaper);

	return guard_read_rights(init) & GUARD_RIGHT_INIT;
}

/* Somebody moved a process of ours to another cgroup: nothing asks before, so it is recorded. */
SEC("tp_btf/cgroup_attach_task")
int guard_escape(__u64 *ctx) /* struct cgroup *, const char *, struct task_struct * */
{
	struct cgroup *to = (struct cgroup *)ctx[0];
	struct task_struct *task = (struct task_struct *)ctx[2];
	struct guard_case what = { .object = GUARD_ESCAPE };

	if (!(guard_read_rights(task) & GUARD_RIGHT_SELF) && !guard_is_jailed(task))
		return 0;
	if (guard_has_right(GUARD_RIGHT_TASKS))
		return 0;
	what.inode = task->tgid;
	what.device = to->kn->id;
	(void)guard_report(&what);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
