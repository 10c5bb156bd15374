/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of what is pinned: every map, every link, its program, plane and attach point. Run by
 * custodyd. Trusts the running kernel's BTF for which hooks there are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/btf.h>

#include "cleanup.h"
#include "policy_internal.h"

const char *const policy_map_names[_POLICY_MAP_MAX] = {
	[POLICY_MAP_CONFIG] = "config",	      [POLICY_MAP_JAILS] = "jails",
	[POLICY_MAP_ENDPOINTS] = "endpoints", [POLICY_MAP_DEVICES] = "devices",
	[POLICY_MAP_IOCTLS] = "ioctls",	      [POLICY_MAP_ZONES] = "zones",
	[POLICY_MAP_COUNTERS] = "counters",   [POLICY_MAP_ERRORS] = "errors",
	[POLICY_MAP_SEEN] = "seen",	      [POLICY_MAP_SOCKETS] = "sockets",
	[POLICY_MAP_MARKS] = "marks",	      [POLICY_MAP_EVENTS] = "events",
	[POLICY_MAP_CEILINGS] = "ceilings",   [POLICY_MAP_ACCOUNTS] = "accounts",
	[POLICY_MAP_WAKES] = "wakes",
	[POLICY_MAP_GUARDED] = "guarded",     [POLICY_MAP_GUARD_OWNERS] = "guard_owners",
	[POLICY_MAP_GUARD_OBJECTS] = "guard_objects",
	[POLICY_MAP_GUARDIANS] = "guardians", [POLICY_MAP_GUARD_CONFIG] = "guard_config",
	[POLICY_MAP_GUARD_LEARN] = "guard_learn",
	[POLICY_MAP_GUARD_READERS] = "guard_readers",
	[POLICY_MAP_GUARD_NODES] = "guard_nodes",
};

#define CGROUP_LINK(NAME, TYPE)                                                                  \
	{                                                                                       \
		.name = NAME, .program = "custody_" NAME, .plane = CUSTODY_PLANE_CGROUP,        \
		.attach_type = TYPE                                                             \
	}
#define OBSERVE_LINK(NAME, TRACEPOINT)                                                           \
	{                                                                                       \
		.name = NAME, .program = "custody_" NAME, .plane = CUSTODY_PLANE_OBSERVE,       \
		.attach_type = BPF_TRACE_RAW_TP, .tracepoint = TRACEPOINT                       \
	}
/* The program of hook "x" is lsm_x. A second program on a hook has a name of its own. */
#define LSM_LINK(HOOK)                                                                           \
	{                                                                                       \
		.name = HOOK, .program = "lsm_" HOOK, .plane = CUSTODY_PLANE_LSM,               \
		.attach_type = BPF_LSM_MAC, .hook = HOOK                                        \
	}
#define LSM_LINK_SECOND(NAME, HOOK)                                                               \
	{                                                                                       \
		.name = NAME, .program = "lsm_" NAME, .plane = CUSTODY_PLANE_LSM,               \
		.attach_type = BPF_LSM_MAC, .hook = HOOK                                        \
	}
#define LSM_LINK_NEWER(HOOK)                                                                     \
	{                                                                                       \
		.name = HOOK, .program = "lsm_" HOOK, .plane = CUSTODY_PLANE_LSM,               \
		.attach_type = BPF_LSM_MAC, .hook = HOOK, .newer = true                         \
	}
#define GUARD_LINK(NAME, HOOK)                                                                   \
	{                                                                                       \
		.name = "guard-" NAME, .program = "guard_" NAME, .plane = CUSTODY_PLANE_LSM,    \
		.attach_type = BPF_LSM_MAC, .hook = HOOK                                        \
	}
#define GUARD_LINK_NEWER(NAME, HOOK)                                                             \
	{                                                                                       \
		.name = "guard-" NAME, .program = "guard_" NAME, .plane = CUSTODY_PLANE_LSM,    \
		.attach_type = BPF_LSM_MAC, .hook = HOOK, .newer = true                         \
	}
#define GUARD_TRACEPOINT(NAME, TRACEPOINT)                                                       \
	{                                                                                       \
		.name = "guard-" NAME, .program = "guard_" NAME, .plane = CUSTODY_PLANE_LSM,    \
		.attach_type = BPF_TRACE_RAW_TP, .tracepoint = TRACEPOINT                       \
	}

const struct policy_link_row policy_links[_POLICY_LINK_MAX] = {
	[POLICY_LINK_DEVICE] = CGROUP_LINK("device", BPF_CGROUP_DEVICE),
	[POLICY_LINK_SOCK_CREATE] = CGROUP_LINK("sock_create", BPF_CGROUP_INET_SOCK_CREATE),
	[POLICY_LINK_BIND4] = CGROUP_LINK("bind4", BPF_CGROUP_INET4_BIND),
	[POLICY_LINK_BIND6] = CGROUP_LINK("bind6", BPF_CGROUP_INET6_BIND),
	[POLICY_LINK_CONNECT4] = CGROUP_LINK("connect4", BPF_CGROUP_INET4_CONNECT),
	[POLICY_LINK_CONNECT6] = CGROUP_LINK("connect6", BPF_CGROUP_INET6_CONNECT),
	[POLICY_LINK_SENDMSG4] = CGROUP_LINK("sendmsg4", BPF_CGROUP_UDP4_SENDMSG),
	[POLICY_LINK_SENDMSG6] = CGROUP_LINK("sendmsg6", BPF_CGROUP_UDP6_SENDMSG),
	[POLICY_LINK_EGRESS] = CGROUP_LINK("egress", BPF_CGROUP_INET_EGRESS),
	[POLICY_LINK_INGRESS] = CGROUP_LINK("ingress", BPF_CGROUP_INET_INGRESS),
	[POLICY_LINK_SYS_EXIT] = OBSERVE_LINK("sys_exit", "sys_exit"),
	[POLICY_LINK_SIGNAL] = OBSERVE_LINK("signal", "signal_generate"),
	[POLICY_LINK_EXEC] = OBSERVE_LINK("exec", "sched_process_exec"),
	[POLICY_LINK_EXIT] = OBSERVE_LINK("exit", "sched_process_exit"),
	[POLICY_LINK_FILE_OPEN] = LSM_LINK("file_open"),
	[POLICY_LINK_PATH_MKNOD] = LSM_LINK("path_mknod"),
	[POLICY_LINK_PATH_MKDIR] = LSM_LINK("path_mkdir"),
	[POLICY_LINK_PATH_SYMLINK] = LSM_LINK("path_symlink"),
	[POLICY_LINK_PATH_LINK] = LSM_LINK("path_link"),
	[POLICY_LINK_PATH_UNLINK] = LSM_LINK("path_unlink"),
	[POLICY_LINK_PATH_RMDIR] = LSM_LINK("path_rmdir"),
	[POLICY_LINK_PATH_RENAME] = LSM_LINK("path_rename"),
	[POLICY_LINK_PATH_TRUNCATE] = LSM_LINK("path_truncate"),
	[POLICY_LINK_FILE_TRUNCATE] = LSM_LINK_NEWER("file_truncate"),
	[POLICY_LINK_PATH_CHMOD] = LSM_LINK("path_chmod"),
	[POLICY_LINK_PATH_CHOWN] = LSM_LINK("path_chown"),
	[POLICY_LINK_INODE_SETATTR] = LSM_LINK("inode_setattr"),
	[POLICY_LINK_INODE_SETXATTR] = LSM_LINK("inode_setxattr"),
	[POLICY_LINK_INODE_REMOVEXATTR] = LSM_LINK("inode_removexattr"),
	[POLICY_LINK_INODE_SET_ACL] = LSM_LINK_NEWER("inode_set_acl"),
	[POLICY_LINK_INODE_REMOVE_ACL] = LSM_LINK_NEWER("inode_remove_acl"),
	[POLICY_LINK_BPRM_CHECK_SECURITY] = LSM_LINK("bprm_check_security"),
	[POLICY_LINK_MMAP_FILE] = LSM_LINK("mmap_file"),
	[POLICY_LINK_FILE_MPROTECT] = LSM_LINK("file_mprotect"),
	[POLICY_LINK_PTRACE] = LSM_LINK("ptrace_access_check"),
	[POLICY_LINK_TRACEME] = LSM_LINK("ptrace_traceme"),
	[POLICY_LINK_TASK_KILL] = LSM_LINK("task_kill"),
	[POLICY_LINK_CAPABLE] = LSM_LINK("capable"),
	[POLICY_LINK_USERNS] = LSM_LINK("userns_create"),
	[POLICY_LINK_MOUNT] = LSM_LINK("sb_mount"),
	[POLICY_LINK_MOVE_MOUNT] = LSM_LINK("move_mount"),
	[POLICY_LINK_UMOUNT] = LSM_LINK("sb_umount"),
	[POLICY_LINK_PIVOT_ROOT] = LSM_LINK("sb_pivotroot"),
	[POLICY_LINK_BPF] = LSM_LINK("bpf"),
	[POLICY_LINK_BPF_MAP] = LSM_LINK("bpf_map"),
	[POLICY_LINK_BPF_PROG] = LSM_LINK("bpf_prog"),
	[POLICY_LINK_PERF] = LSM_LINK("perf_event_open"),
	[POLICY_LINK_MODULE_REQUEST] = LSM_LINK("kernel_module_request"),
	[POLICY_LINK_READ_FILE] = LSM_LINK("kernel_read_file"),
	[POLICY_LINK_LOAD_DATA] = LSM_LINK("kernel_load_data"),
	[POLICY_LINK_ANON_INODE] = LSM_LINK("inode_init_security_anon"),
	[POLICY_LINK_URING_CREDS] = LSM_LINK("uring_override_creds"),
	[POLICY_LINK_URING_SQPOLL] = LSM_LINK("uring_sqpoll"),
	[POLICY_LINK_URING_CMD] = LSM_LINK("uring_cmd"),
	[POLICY_LINK_RECEIVE] = LSM_LINK("file_receive"),
	[POLICY_LINK_IOCTL] = LSM_LINK("file_ioctl"),
	[POLICY_LINK_IOCTL_COMPAT] = LSM_LINK_NEWER("file_ioctl_compat"),
	[POLICY_LINK_DEVICE_OPEN] = LSM_LINK_SECOND("device_open", "file_open"),
	[POLICY_LINK_DEVICE_MMAP] = LSM_LINK_SECOND("device_mmap", "mmap_file"),
	[POLICY_LINK_GUARD_MAP] = GUARD_LINK("map", "bpf_map"),
	[POLICY_LINK_GUARD_PROGRAM] = GUARD_LINK("program", "bpf_prog"),
	[POLICY_LINK_GUARD_BPF] = GUARD_LINK("bpf", "bpf"),
	[POLICY_LINK_GUARD_TRACE] = GUARD_LINK("trace", "ptrace_access_check"),
	[POLICY_LINK_GUARD_SIGNAL] = GUARD_LINK("signal", "task_kill"),
	[POLICY_LINK_GUARD_SIGIO] = GUARD_LINK("sigio", "file_send_sigiotask"),
	[POLICY_LINK_GUARD_LIMIT] = GUARD_LINK("limit", "task_setrlimit"),
	[POLICY_LINK_GUARD_DOOR] = GUARD_LINK("door", "bprm_committed_creds"),
	[POLICY_LINK_GUARD_PERMISSION] = GUARD_LINK("permission", "inode_permission"),
	[POLICY_LINK_GUARD_OPEN] = GUARD_LINK("open", "file_open"),
	[POLICY_LINK_GUARD_RECEIVE] = GUARD_LINK("receive", "file_receive"),
	[POLICY_LINK_GUARD_UNLINK] = GUARD_LINK("unlink", "inode_unlink"),
	[POLICY_LINK_GUARD_RMDIR] = GUARD_LINK("rmdir", "inode_rmdir"),
	[POLICY_LINK_GUARD_RENAME] = GUARD_LINK("rename", "inode_rename"),
	[POLICY_LINK_GUARD_LINK] = GUARD_LINK("link", "inode_link"),
	[POLICY_LINK_GUARD_SETXATTR] = GUARD_LINK("setxattr", "inode_setxattr"),
	[POLICY_LINK_GUARD_REMOVEXATTR] = GUARD_LINK("removexattr", "inode_removexattr"),
	[POLICY_LINK_GUARD_SET_ACL] = GUARD_LINK_NEWER("set_acl", "inode_set_acl"),
	[POLICY_LINK_GUARD_REMOVE_ACL] = GUARD_LINK_NEWER("remove_acl", "inode_remove_acl"),
	[POLICY_LINK_GUARD_SETATTR] = GUARD_LINK("setattr", "inode_setattr"),
	[POLICY_LINK_GUARD_IOCTL] = GUARD_LINK("ioctl", "file_ioctl"),
	[POLICY_LINK_GUARD_IOCTL_COMPAT] = GUARD_LINK_NEWER("ioctl_compat", "file_ioctl_compat"),
	[POLICY_LINK_GUARD_MOUNT] = GUARD_LINK("mount", "sb_mount"),
	[POLICY_LINK_GUARD_MOVE_MOUNT] = GUARD_LINK("move_mount", "move_mount"),
	[POLICY_LINK_GUARD_UMOUNT] = GUARD_LINK("umount", "sb_umount"),
	[POLICY_LINK_GUARD_EXIT] = GUARD_TRACEPOINT("exit", "sched_process_exit"),
	[POLICY_LINK_GUARD_ESCAPE] = GUARD_TRACEPOINT("escape", "cgroup_attach_task"),
};

static void policy_free_btf(struct btf **btf)
{
	btf__free(*btf);
	*btf = NULL;
}

/* One pass over the kernel's types: looking each hook up would be a pass for each. */
static void policy_read_hooks(struct policy *policy, const struct btf *btf)
{
	static const char prefix[] = "bpf_lsm_";
	__u32 n = btf__type_cnt(btf);

	memset(policy->hooks, 0, sizeof(policy->hooks));
	for (__u32 id = 1; id < n; id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);
		const char *name;

		if (!btf_is_func(type))
			continue;
		name = btf__name_by_offset(btf, type->name_off);
		if (!name || strncmp(name, prefix, sizeof(prefix) - 1))
			continue;
		name += sizeof(prefix) - 1;
		for (int i = 0; i < _POLICY_LINK_MAX; i++)
			if (policy_links[i].hook && !strcmp(policy_links[i].hook, name))
				policy->hooks[i] = id;
	}
}

int policy_find_hooks(struct policy *policy, char *error, size_t size)
{
	__attribute__((cleanup(policy_free_btf))) struct btf *btf = NULL;

	if (!(policy->planes & CUSTODY_PLANE_LSM))
		return 0;
	btf = btf__load_vmlinux_btf();
	if (!btf) {
		(void)snprintf(error, size, "the kernel's BTF cannot be read");
		return -errno;
	}
	policy_read_hooks(policy, btf);
	for (int i = 0; i < _POLICY_LINK_MAX; i++) {
		const struct policy_link_row *row = &policy_links[i];

		if (!row->hook || row->newer || policy->hooks[i])
			continue;
		(void)snprintf(error, size,
			       "this kernel has no LSM hook %s; use one with "
			       "CONFIG_SECURITY_PATH and CONFIG_SECURITY_NETWORK",
			       row->hook);
		return -EOPNOTSUPP;
	}
	return 0;
}

bool policy_wants_link(const struct policy *policy, enum policy_link link)
{
	const struct policy_link_row *row = &policy_links[link];

	return (row->plane & policy->planes) && (!row->hook || policy->hooks[link] != 0);
}
