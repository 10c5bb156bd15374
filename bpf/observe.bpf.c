/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the model did, seen at the end of each system call: files opened (the file that the
 * kernel opened, never the path that was asked for), programs run, exits, refusals; and calls
 * that seccomp ended the process for, seen at the signal.
 *
 * Only for cgroups with role MODEL whose policy is complete (POLICY_FLAG_OPEN): before that it
 * is custody's own jail builder that runs there. Decides nothing.
 *
 * Limit: the returned fd is looked up again when the call ends. Another thread of the model may
 * have replaced it by then, so an open may be shown under the wrong file; the LSM plane has no
 * such gap. Where that plane is (POLICY_FLAG_LSM), opens that succeed are left to it, and so is
 * every refusal that it has written down already.
 */
#include "kernel.h"
#include "common.h"
#include "file.h"
#include "site.h"
#include "socket.h"

#include <asm/unistd_64.h>
#include <linux/audit.h>

#define EPERM 1
#define EACCES 13
#define EROFS 30
#define ENOSYS 38
#define EAFNOSUPPORT 97

#define SIGSYS 31
#define SYS_SECCOMP 1		/* si_code */
#define SECCOMP_DEAD 3		/* kernel/seccomp.c: a filter has ended this task */
#define THREAD_COMPAT 2		/* arch/x86: TS_COMPAT */
#define SOCK_RAW 3
#define SOCK_TYPE_MASK 0xfU	/* include/linux/net.h */

#define OPEN_CREAT_FLAGS 01101	/* O_CREAT | O_WRONLY | O_TRUNC: what creat() asks for */

static __always_inline struct policy_jail *observe_find_jail(__u64 cgroup_id)
{
	struct policy_jail *jail = bpf_map_lookup_elem(&jails, &cgroup_id);

	if (!jail || jail->role != POLICY_ROLE_MODEL || !(jail->flags & POLICY_FLAG_OPEN))
		return NULL;
	return jail;
}

/* Sets the subject's object to the zone that the file is on; false when it is on none. */
static __always_inline bool observe_find_zone(struct subject *s, const struct open_file *file)
{
	struct policy_zone_key key = { .jail_id = s->jail_id, .mount_id = file->mount_id };
	struct policy_zone *zone = bpf_map_lookup_elem(&zones, &key);

	s->object = zone ? zone->zone : POLICY_OBJECT_NONE;
	return zone != NULL;
}

/* Counts the file; emits it at first sight in its zone, and always when it is on none. */
static __always_inline void observe_report_file(struct subject *s, const struct file *file,
						__u8 verdict, __u32 syscall)
{
	struct policy_counter *counter;
	struct custody_event *event;
	struct open_file info = {};
	bool zoned;

	if (!file_read(file, &info))
		return;
	zoned = observe_find_zone(s, &info);
	counter = counter_add(s, true, 0);
	if (!zoned && file_is_plumbing(&info))
		return;
	if (zoned && !seen_first(s, info.device, info.inode))
		return;
	event = event_open(s, counter, EVENT_PLANE_OBSERVE, zoned ? verdict : EVENT_OBSERVED);
	if (!event)
		return;
	event_set_task(event);
	if (!zoned)
		event->flags |= EVENT_FLAG_NO_ZONE;
	event->syscall = syscall;
	event_set_file(event, &info);
	event_submit(event, counter);
}

/* The file behind a descriptor of the current task. */
static __always_inline struct file *observe_find_file(__u64 fd)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct files_struct *files = NULL;
	struct fdtable *table = NULL;
	struct file **slots = NULL;
	struct file *file = NULL;
	__u32 max = 0;
	long r = 0;

	r |= bpf_core_read(&files, sizeof(files), &task->files);
	r |= bpf_core_read(&table, sizeof(table), &files->fdt);
	r |= bpf_core_read(&max, sizeof(max), &table->max_fds);
	r |= bpf_core_read(&slots, sizeof(slots), &table->fd);
	if (r == 0 && fd < max)
		r = bpf_probe_read_kernel(&file, sizeof(file), slots + fd);
	if (r || !file)
		error_count(POLICY_ERROR_FILE_READ);
	return file;
}

static __always_inline bool observe_is_open(__u32 nr)
{
	return nr == __NR_openat || nr == __NR_open || nr == __NR_openat2 || nr == __NR_creat ||
	       nr == __NR_open_by_handle_at;
}

/* Flags as the call had them in registers; openat2 has them in memory that may have changed. */
static __always_inline __u32 observe_read_flags(__u32 nr, const struct pt_regs *regs)
{
	if (nr == __NR_open)
		return (__u32)regs->si;
	if (nr == __NR_openat || nr == __NR_open_by_handle_at)
		return (__u32)regs->dx;
	return nr == __NR_creat ? OPEN_CREAT_FLAGS : 0;
}

/*
 * Calls whose EPERM is the cgroup programs' verdict, which they have emitted themselves: on
 * internet sockets that are no raw ones, which the filter refuses before anybody is asked. What
 * Landlock says of UNIX sockets is nobody else's to report. The socket is looked up again, as
 * files are (Limit).
 */
static __always_inline bool observe_is_cgroup_verdict(const struct pt_regs *regs, __u32 nr,
						      long error)
{
	struct file *file;
	struct sock *sk;

	if (error != -EPERM)
		return false;
	if (nr == __NR_socket)
		return (regs->si & SOCK_TYPE_MASK) != SOCK_RAW;
	if (nr != __NR_bind && nr != __NR_connect && nr != __NR_sendto && nr != __NR_sendmsg &&
	    nr != __NR_sendmmsg)
		return false;
	file = observe_find_file(regs->di);
	return !file || socket_read_family(file, &sk) != AF_UNIX;
}

/*
 * Has the LSM plane refused this very call, and said so? A mark that belongs to another call (one
 * that went on in spite of a refusal) is dropped.
 */
static __always_inline bool observe_is_lsm_verdict(__u32 nr, long error)
{
	struct task_mark *mark =
		bpf_task_storage_get(&marks, bpf_get_current_task_btf(), NULL, 0);
	bool same;

	if (!mark || !mark->error)
		return false;
	same = mark->error == error && mark->syscall == nr;
	mark->error = 0;
	return same;
}

/* The argument by which the filters (daemon/jail/seccomp_*.c) tell calls of one number apart. */
static __always_inline __u32 observe_read_argument(__u32 nr, const struct pt_regs *regs)
{
	if (nr == __NR_socket || nr == __NR_socketpair || nr == __NR_prctl ||
	    nr == __NR_personality || nr == __NR_clone || nr == __NR_seccomp)
		return (__u32)regs->di;
	if (nr == __NR_ioctl || nr == __NR_bpf)
		return (__u32)(nr == __NR_bpf ? regs->di : regs->si);
	if (nr == __NR_setsockopt || nr == __NR_mmap || nr == __NR_mprotect ||
	    nr == __NR_pkey_mprotect || nr == __NR_shmat)
		return (__u32)regs->dx;
	return 0;
}

static __always_inline void observe_report_denial(struct subject *s, const struct pt_regs *regs,
						  __u32 nr, long error)
{
	bool open = observe_is_open(nr);
	__u32 asked = open ? observe_read_flags(nr, regs) : observe_read_argument(nr, regs);
	struct site site = {};
	struct policy_counter *counter;
	struct custody_event *event;

	s->class = open ? POLICY_CLASS_OPEN : POLICY_CLASS_SYSCALL;
	s->object = open ? POLICY_OBJECT_NONE : 0;
	counter = counter_add(s, false, 0);
	/* What the kernel or the filter does not have is asked for again and again. */
	if ((error == -ENOSYS || error == -EAFNOSUPPORT) &&
	    !seen_first(s, nr | (__u64)(open ? 0 : asked) << 32, (__u64)-error))
		return;
	site.address = regs->ip;
	if (!open)
		site_find(&site);
	event = event_open(s, counter, EVENT_PLANE_OBSERVE, EVENT_DENIED);
	if (!event)
		return;
	event_set_task(event);
	event->syscall = nr;
	event->error = (__s32)error;
	if (!open)
		event_set_site(event, &site);
	event->access = asked;
	event_submit(event, counter);
}

/* A call of the i386 ABI, whose numbers mean something else. */
static __always_inline bool observe_is_foreign(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 status = 0;

	if (bpf_core_read(&status, sizeof(status), &task->thread_info.status))
		error_count(POLICY_ERROR_FILE_READ);
	return status & THREAD_COMPAT;
}

SEC("tp_btf/sys_exit")
int custody_sys_exit(__u64 *ctx) /* struct pt_regs *, long */
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];
	long ret = (long)ctx[1];
	struct subject s = subject_new(POLICY_CLASS_OPEN, 0);
	struct policy_jail *jail;
	struct file *file;
	__u32 nr;

	s.cgroup_id = bpf_get_current_cgroup_id();
	jail = observe_find_jail(s.cgroup_id);
	if (!jail)
		return 0;
	s.jail_id = jail->jail_id;
	nr = (__u32)regs->orig_ax;
	if (ret >= 0) {
		if (!observe_is_open(nr) || (jail->flags & POLICY_FLAG_LSM) ||
		    observe_is_foreign())
			return 0;
		file = observe_find_file((__u64)ret);
		if (file)
			observe_report_file(&s, file, EVENT_ALLOWED, nr);
		return 0;
	}
	if (ret != -EPERM && ret != -EACCES && ret != -EROFS && ret != -ENOSYS &&
	    ret != -EAFNOSUPPORT)
		return 0;
	if ((jail->flags & POLICY_FLAG_LSM) && observe_is_lsm_verdict(nr, ret))
		return 0;
	if (!observe_is_cgroup_verdict(regs, nr, ret))
		observe_report_denial(&s, regs, nr, ret);
	return 0;
}

/* Has a filter ended the current task? A model can send itself the signal, but not this. */
static __always_inline bool observe_is_ended(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	int mode = 0;

	return !bpf_core_read(&mode, sizeof(mode), &task->seccomp.mode) && mode == SECCOMP_DEAD;
}

/*
 * SECCOMP_RET_KILL_PROCESS, which a call of a foreign ABI gets: the signal says which call it
 * was. The tracepoint is reached only where a signal is made.
 */
SEC("tp_btf/signal_generate")
int custody_signal(__u64 *ctx) /* int, struct kernel_siginfo *, struct task_struct *, int, int */
{
	const struct kernel_siginfo *info = (const void *)ctx[1];
	struct subject s = subject_new(POLICY_CLASS_SYSCALL, 0);
	struct policy_counter *counter;
	struct custody_event *event;
	struct policy_jail *jail;
	struct site site = {};
	__u32 arch = 0;
	void *address = NULL;
	int code = 0, nr = 0;
	long r = 0;

	if ((int)ctx[0] != SIGSYS)
		return 0;
	s.cgroup_id = bpf_get_current_cgroup_id();
	jail = observe_find_jail(s.cgroup_id);
	if (!jail || !observe_is_ended())
		return 0;
	s.jail_id = jail->jail_id;
	r |= bpf_core_read(&code, sizeof(code), &info->si_code);
	r |= bpf_core_read(&nr, sizeof(nr), &info->_sifields._sigsys._syscall);
	r |= bpf_core_read(&arch, sizeof(arch), &info->_sifields._sigsys._arch);
	r |= bpf_core_read(&address, sizeof(address), &info->_sifields._sigsys._call_addr);
	if (r || code != SYS_SECCOMP)
		return 0;
	counter = counter_add(&s, false, 0);
	site.address = (__u64)address;
	site_find(&site);
	event = event_open(&s, counter, EVENT_PLANE_STRUCTURE, EVENT_DENIED);
	if (!event)
		return 0;
	event_set_task(event);
	event_set_site(event, &site);
	event->flags |= EVENT_FLAG_KILLED | (arch == AUDIT_ARCH_I386 ? EVENT_FLAG_FOREIGN : 0);
	event->access = 0;
	event->syscall = (__u32)nr;
	event_submit(event, counter);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int custody_exec(__u64 *ctx) /* struct task_struct *, pid_t, struct linux_binprm * */
{
	struct linux_binprm *binprm = (struct linux_binprm *)ctx[2];
	struct subject s = subject_new(POLICY_CLASS_EXEC, 0);
	struct policy_jail *jail;
	struct file *file = NULL;

	s.cgroup_id = bpf_get_current_cgroup_id();
	jail = observe_find_jail(s.cgroup_id);
	if (!jail)
		return 0;
	s.jail_id = jail->jail_id;
	if (bpf_core_read(&file, sizeof(file), &binprm->file) || !file) {
		error_count(POLICY_ERROR_FILE_READ);
		return 0;
	}
	observe_report_file(&s, file, EVENT_OBSERVED, __NR_execve);
	return 0;
}

/*
 * signal->live counts the threads that have not come this far (do_exit() decrements it before
 * the tracepoint), so 0 means that the process ends. Two last threads may both see 0: the
 * process's start time makes the second one old news.
 */
SEC("tp_btf/sched_process_exit")
int custody_exit(__u64 *ctx) /* struct task_struct *; from 6.16 on also: bool group_dead */
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	struct subject s = subject_new(POLICY_CLASS_EXIT, 0);
	struct signal_struct *signal = NULL;
	struct task_struct *leader = NULL;
	struct policy_counter *counter;
	struct custody_event *event;
	struct policy_jail *jail;
	__u64 start = 0;
	int live = 0, code = 0;
	long r = 0;

	s.cgroup_id = bpf_get_current_cgroup_id();
	jail = observe_find_jail(s.cgroup_id);
	if (!jail)
		return 0;
	s.jail_id = jail->jail_id;
	r |= bpf_core_read(&signal, sizeof(signal), &task->signal);
	r |= bpf_core_read(&live, sizeof(live), &signal->live.counter);
	r |= bpf_core_read(&leader, sizeof(leader), &task->group_leader);
	r |= bpf_core_read(&start, sizeof(start), &leader->start_time);
	r |= bpf_core_read(&code, sizeof(code), &task->exit_code);
	if (r)
		error_count(POLICY_ERROR_FILE_READ);
	if (r || live != 0 || !seen_first(&s, bpf_get_current_pid_tgid() >> 32, start))
		return 0;
	counter = counter_add(&s, true, 0);
	event = event_open(&s, counter, EVENT_PLANE_OBSERVE, EVENT_OBSERVED);
	if (!event)
		return 0;
	event_set_task(event);
	event->access = (__u32)code;
	event_submit(event, counter);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
