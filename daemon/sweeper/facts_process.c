/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over every task of the host: who is in a namespace of the jail, who is in the broker's
 * cgroup, what mounts it sees, what it holds. Run by custody-sweeper. Threads are looked at one
 * by one: each may have namespaces, a root and an fd table of its own.
 *
 * A process that is there and cannot be read is `unseen`; one that exits meanwhile is not. The
 * pass is no snapshot: the warden sweeps after the cgroup was killed, when nothing of the jail is
 * left that could fork away from it.
 *
 * A fact that the kernel has answered for the whole host (facts_kernel.c) needs no process to be
 * read: none is looked at for it, and none can be unseen.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "procfs.h"
#include "sweep.h"

/* One process of the pass. */
struct facts_process {
	char who[64];			/* "pid N COMM" */
	unsigned int pid;
	unsigned int first;		/* living task whose files were looked at; 0: none */
	bool in_namespace;
	bool in_broker;
	bool missed_namespace;		/* could not be read, and is still there */
	bool missed_mounts;
	bool missed_cgroup;
	struct facts_held held;
};

static const struct facts_namespace {
	const char *name;
	enum jail_namespace kind;
} facts_namespaces[] = {
	{ "ns/user", JAIL_NS_USER },
	{ "ns/mnt", JAIL_NS_MNT },
	{ "ns/pid", JAIL_NS_PID },
	{ "ns/pid_for_children", JAIL_NS_PID },
	{ "ns/ipc", JAIL_NS_IPC },
	{ "ns/uts", JAIL_NS_UTS },
	{ "ns/net", JAIL_NS_NET },
	{ "ns/cgroup", JAIL_NS_CGROUP },
	{ "ns/time", JAIL_NS_TIME },
	{ "ns/time_for_children", JAIL_NS_TIME },
};

/* The state letter of a task: behind the last ')' of stat, since comm may hold any other one. */
static int facts_process_read_state(int task, char *ret)
{
	cleanup_fd int fd = procfs_open(task, "stat", O_RDONLY);
	char text[1024];
	char *at;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	at = strrchr(text, ')');
	if (!at || at[1] != ' ' || at[2] == '\0')
		return -EPROTO;
	*ret = at[2];
	return 0;
}

/* Compares each namespace of the task. *ret_mnt becomes the inode of its mount namespace. */
static int facts_process_look_namespaces(const struct sweep *sweep, int task,
					 struct facts_process *process, __u64 *ret_mnt)
{
	for (size_t i = 0; i < ARRAY_SIZE(facts_namespaces); i++) {
		const struct facts_namespace *ns = &facts_namespaces[i];
		__u64 want = sweep->namespaces & (1U << ns->kind)
				     ? sweep->request->ns_inode[ns->kind] : 0;
		struct stat st;

		/* Without a question there is nothing to miss; the mount namespace names a view. */
		if (want == 0 && (ns->kind != JAIL_NS_MNT ||
				  (sweep->n_scratch == 0 && sweep->namespaces == 0)))
			continue;
		if (fstatat(task, ns->name, &st, 0) < 0) {
			/* Not built into this kernel, or the task has just left it. */
			if (errno == ENOENT || want == 0)
				continue;
			return -errno;
		}
		if (want != 0 && st.st_ino == want)
			process->in_namespace = true;
		if (ns->kind == JAIL_NS_MNT)
			*ret_mnt = st.st_ino;
	}
	return 0;
}

/* "0::/custody/x-1/broker" or below it. */
static int facts_process_look_cgroup(int task, const char *path, struct facts_process *process)
{
	cleanup_file FILE *file = NULL;
	cleanup_ptr char *line = NULL;
	size_t room = 0;
	size_t n = strlen(path);
	int r = procfs_open_file(task, "cgroup", &file);

	if (r < 0)
		return r;
	while (getline(&line, &room, file) > 0) {
		const char *at = line + 3;

		if (strncmp(line, "0::", 3) != 0 || strncmp(at, path, n) != 0)
			continue;
		at += n;
		if (strncmp(at, "/broker", 7) == 0 && (at[7] == '\n' || at[7] == '/'))
			process->in_broker = true;
	}
	return ferror(file) && errno ? -errno : 0;
}

/* True when the task has an fd table of its own; unknown counts as its own. */
static bool facts_process_has_own_files(const struct facts_process *process, unsigned int tid)
{
	return syscall(SYS_kcmp, process->first, tid, KCMP_FILES, 0, 0) != 0;
}

static void facts_process_look_task(struct sweep *sweep, const char *cgroup, int task,
				    unsigned int tid, struct facts_process *process)
{
	__u64 mount_ns = 0;
	char state = '?';
	int r = facts_process_read_state(task, &state);

	/* A zombie has left its namespaces, files and mounts; its cgroup counts it no more. */
	if (sweep_is_gone(r) || (r == 0 && (state == 'Z' || state == 'X')))
		return;
	r = facts_process_look_namespaces(sweep, task, process, &mount_ns);
	if (r < 0 && !sweep_is_gone(r))
		process->missed_namespace = true;
	if (facts_mount_look_task(sweep, task, mount_ns, process->who) < 0)
		process->missed_mounts = true;
	if (cgroup) {
		r = facts_process_look_cgroup(task, cgroup, process);
		if (r < 0 && !sweep_is_gone(r))
			process->missed_cgroup = true;
	}
	if (process->first == 0 || facts_process_has_own_files(process, tid))
		facts_file_look_task(sweep, task, process->first == 0, &process->held);
	if (process->first == 0)
		process->first = tid;
}

static void facts_process_count(struct sweep *sweep, const struct facts_process *process)
{
	const struct facts_held *held = &process->held;

	if (process->in_namespace)
		sweep_add(sweep, FACT_NAMESPACE_PIDS, 1, "%s", process->who);
	else if (held->namespace)
		sweep_add(sweep, FACT_NAMESPACE_PIDS, 1, "an fd of one in %s", process->who);
	else if ((process->missed_namespace && sweep->namespaces != 0) ||
		 ((process->missed_mounts || held->missed) &&
		  (sweep->namespaces & ~sweep->request->ns_alive) != 0))
		sweep_miss(sweep, FACT_NAMESPACE_PIDS, process->who);
	if (process->in_broker)
		sweep_add(sweep, FACT_BROKER_ALIVE, 1, "%s", process->who);
	else if (process->missed_cgroup)
		sweep_miss(sweep, FACT_BROKER_ALIVE, process->who);
	if (held->weights)
		sweep_add(sweep, FACT_WEIGHTS_OPEN, 1, "%s", process->who);
	else if (held->missed && sweep->weights.n > 0)
		sweep_miss(sweep, FACT_WEIGHTS_OPEN, process->who);
	if (held->scratch)
		sweep_add(sweep, FACT_SCRATCH_MOUNTS, 1, "open in %s", process->who);
	else if ((process->missed_mounts || held->missed) && sweep->n_scratch != 0)
		sweep_miss(sweep, FACT_SCRATCH_MOUNTS, process->who);
}

static void facts_process_miss_all(struct sweep *sweep, unsigned int pid)
{
	struct facts_process process = {
		.pid = pid, .missed_namespace = true, .missed_mounts = true,
		.missed_cgroup = true, .held = { .missed = true },
	};

	(void)snprintf(process.who, sizeof(process.who), "pid %u", pid);
	facts_process_count(sweep, &process);
}

static void facts_process_look_one(struct sweep *sweep, const char *cgroup, int pid_dir,
				   unsigned int pid)
{
	struct facts_process process = { .pid = pid };
	cleanup_dir DIR *tasks = NULL;
	struct dirent *entry;
	char comm[CUSTODY_COMM_SIZE + 1];
	int r = procfs_open_dir(pid_dir, "task", &tasks);

	if (r < 0) {
		if (!sweep_is_gone(r))
			facts_process_miss_all(sweep, pid);
		return;
	}
	procfs_read_comm(pid_dir, comm, sizeof(comm));
	(void)snprintf(process.who, sizeof(process.who), "pid %u %s", pid, comm);
	while ((entry = readdir(tasks))) {
		cleanup_fd int task = -1;
		unsigned int tid;

		if (!procfs_parse_number(entry->d_name, &tid))
			continue;
		task = procfs_open(dirfd(tasks), entry->d_name, O_RDONLY | O_DIRECTORY);
		if (task >= 0)
			facts_process_look_task(sweep, cgroup, task, tid, &process);
		else if (!sweep_is_gone(task))
			process.missed_namespace = process.missed_mounts = process.missed_cgroup =
				process.held.missed = true;
	}
	facts_process_count(sweep, &process);
}

static void facts_process_blind_all(struct sweep *sweep, const char *why)
{
	sweep_blind(sweep, FACT_BROKER_ALIVE, "/proc: %s", why);
	if (sweep->namespaces != 0)
		sweep_blind(sweep, FACT_NAMESPACE_PIDS, "/proc: %s", why);
	if (sweep->n_scratch != 0)
		sweep_blind(sweep, FACT_SCRATCH_MOUNTS, "/proc: %s", why);
	if (sweep->weights.n != 0)
		sweep_blind(sweep, FACT_WEIGHTS_OPEN, "/proc: %s", why);
}

void facts_process_look(struct sweep *sweep)
{
	cleanup_dir DIR *list = NULL;
	struct dirent *entry;
	const char *cgroup = NULL;
	int r = procfs_open_dir(sweep->proc, ".", &list);

	if (r < 0) {
		facts_process_blind_all(sweep, strerror(-r));
		return;
	}
	if (facts_cgroup_find_path(sweep, &cgroup) < 0)
		sweep_blind(sweep, FACT_BROKER_ALIVE, "'%s' lies below no cgroup2 mount",
			    sweep->request->cgroup);
	for (;;) {
		cleanup_fd int pid_dir = -1;
		unsigned int pid;

		errno = 0;
		entry = readdir(list);
		if (!entry)
			break;
		if (!procfs_parse_number(entry->d_name, &pid))
			continue;
		pid_dir = procfs_open(sweep->proc, entry->d_name, O_RDONLY | O_DIRECTORY);
		if (pid_dir >= 0)
			facts_process_look_one(sweep, cgroup, pid_dir, pid);
		else if (!sweep_is_gone(pid_dir))
			facts_process_miss_all(sweep, pid);
	}
	if (errno != 0)
		facts_process_blind_all(sweep, strerror(errno));
}
