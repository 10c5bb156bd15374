/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every LSM program does the same way: is the current task in custody at all, whose model
 * is it, what was decided, and how a denial is written down. Programs stand in lsm_FAMILY.bpf.c.
 *
 * Which tasks are judged:
 *   outside of custody's cgroup    nothing: one comparison, see lsm_is_inside()
 *   below it, without an entry     denied, EPERM (P1), and counted in `errors`; so it is with an
 *                                  entry that makes no sense (P4)
 *   a broker                       not by file and exec: it is custody's own, confined by itself,
 *                                  and lives among the host's mounts, which are no zones
 *   a model before POLICY_FLAG_OPEN  not judged: it is custody's jail builder that runs there,
 *                                  as root, making the very mounts that become the zones; the
 *                                  flag is set before the builder gets its go, so the exec of
 *                                  the model is the first thing that is judged
 *   a model after it               by zone; what no zone allows is denied
 *
 * Verdict first, counter second, event third: nothing after the verdict can change it. `ret` is
 * what programs of others answered before us, the word of the context that follows the hook's
 * arguments: a refusal stays one. A program: SEC("lsm/HOOK") int lsm_HOOK(__u64 *ctx).
 *
 * Hooks run in the context of the task that asks, io_uring's workers included, which share the
 * cgroup of the task that made the ring (create_io_thread(), 5.12).
 */
#ifndef CUSTODY_BPF_LSM_H
#define CUSTODY_BPF_LSM_H

#include "kernel.h"
#include "common.h"
#include "file.h"

#define EPERM 1
#define EACCES 13

#define PF_IO_WORKER 0x00000010	/* include/linux/sched.h, the same from 5.12 to 6.18 */
#define PF_KTHREAD 0x00200000

/* Eight characters as one word, so that a name is compared without a table. */
#define WORD8(a, b, c, d, e, f, g, h)                                                             \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 |  \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)

/*
 * The cheap test. A cgroup's ancestors are an array in the kernel, so this is two loads and a
 * comparison, however deep the task's cgroup is. `config` is frozen: nobody changes it.
 */
static __always_inline bool lsm_is_inside(void)
{
	__u32 zero = 0;
	const struct policy_config *own = bpf_map_lookup_elem(&config, &zero);

	return own && own->cgroup_id &&
	       bpf_get_current_ancestor_cgroup_id((int)own->level) == own->cgroup_id;
}

/*
 * The jail whose model the current task is, with s->cgroup_id and s->jail_id filled; or NULL,
 * and *ret is what the hook returns then: 0, or -EPERM for a task of ours without policy.
 */
static __always_inline struct policy_jail *lsm_find_model(struct subject *s, int *ret)
{
	struct policy_jail *jail;

	*ret = 0;
	if (!lsm_is_inside())
		return NULL;
	s->cgroup_id = bpf_get_current_cgroup_id();
	jail = jail_find(s->cgroup_id);
	if (!jail) {
		*ret = -EPERM;
		return NULL;
	}
	s->jail_id = jail->jail_id;
	if (jail->role != POLICY_ROLE_MODEL || !(jail->flags & POLICY_FLAG_OPEN))
		return NULL;
	return jail;
}

static __always_inline bool lsm_is_known_zone(const struct policy_zone *zone)
{
	__u32 label = zone->label - CUSTODY_LABEL_ROOT;

	return !((zone->version ^ POLICY_ENTRY_VERSION) | (zone->rights & ~CUSTODY_RIGHTS_ALL) |
		 (zone->zone >> 16)) && label < _CUSTODY_LABEL_MAX - CUSTODY_LABEL_ROOT;
}

/*
 * The zone that a mount is; NULL, and the subject's object NONE, when it is none, or when its
 * entry makes no sense (P4).
 */
static __always_inline struct policy_zone *lsm_find_zone(struct subject *s, __u64 mount_id)
{
	struct policy_zone_key key = { .jail_id = s->jail_id, .mount_id = mount_id };
	struct policy_zone *zone = bpf_map_lookup_elem(&zones, &key);

	s->object = POLICY_OBJECT_NONE;
	if (!zone)
		return NULL;
	if (!lsm_is_known_zone(zone)) {
		error_count(POLICY_ERROR_MALFORMED);
		return NULL;
	}
	s->object = (__u16)zone->zone;
	return zone;
}

/*
 * Is the kernel at work in another's name (override_creds())? So it is when overlayfs reaches
 * below, and when a driver loads its firmware. A ring's personality is the one way to come here
 * by oneself, and lsm_task.bpf.c refuses it before the request begins.
 */
static __always_inline bool lsm_is_override(void)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	const struct cred *acting = NULL, *own = NULL;

	/* Not by following pointers: see guard.h. Unreadable: it is the model's. */
	return !bpf_core_read(&acting, sizeof(acting), &task->cred) &&
	       !bpf_core_read(&own, sizeof(own), &task->real_cred) && acting != own;
}

/* The zone's rights, less what `restrict` has taken from it; no zone has none. */
static __always_inline __u32 lsm_read_rights(const struct policy_jail *jail,
					     const struct policy_zone *zone)
{
	if (!zone)
		return 0;
	if ((jail->flags & POLICY_FLAG_CUT_SCRATCH) &&
	    (zone->label == CUSTODY_LABEL_SCRATCH || zone->label == CUSTODY_LABEL_SHM))
		return zone->rights & ~(CUSTODY_RIGHT_WRITE | CUSTODY_RIGHT_CREATE);
	return zone->rights;
}

/* The system call that the current task is in; NO_SYSCALL for the kernel's own threads. */
static __always_inline __u32 lsm_read_syscall(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs;

	if (task->flags & (PF_KTHREAD | PF_IO_WORKER))
		return NO_SYSCALL;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	return (__u32)regs->orig_ax;
}

/*
 * Remembers that this call was refused here and is written down already, so that the observe
 * plane, which sees the same call end with the same error, does not do it again.
 */
static __always_inline void lsm_mark_denial(int error, __u32 syscall)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_mark *mark = bpf_task_storage_get(&marks, task, NULL,
						      BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!mark) {
		error_count(POLICY_ERROR_TASK_STORAGE);
		return;
	}
	mark->error = error;
	mark->syscall = syscall;
}

/*
 * The event of a verdict (error: 0 or a negative errno) that has been counted, to be completed
 * and given to event_submit(). NULL: the ring is full, which counts as lost.
 */
static __always_inline struct custody_event *lsm_begin_event(const struct subject *s, int error,
							     struct policy_counter *counter)
{
	__u32 syscall = lsm_read_syscall();
	struct custody_event *event;

	if (error)
		lsm_mark_denial(error, syscall);
	event = event_open(s, counter, EVENT_PLANE_LSM, error ? EVENT_DENIED : EVENT_ALLOWED);
	if (!event)
		return NULL;
	event_set_task(event);
	event->syscall = syscall;
	event->error = error;
	return event;
}

/* Counts a verdict as well. */
static __always_inline struct custody_event *lsm_open_event(const struct subject *s, int error,
							    struct policy_counter **ret_counter)
{
	*ret_counter = counter_add(s, error == 0, 0);
	return lsm_begin_event(s, error, *ret_counter);
}

/*
 * Counts a verdict about a file, emits it when it is a denial or the first sight of the file, with
 * the path when there is one. `access` as the subject's class defines it; flags: EVENT_FLAG_* that
 * are added. Returns 0. Global, in lsm_report.bpf.c: verified once for a program, not on each way.
 */
int lsm_report(const struct subject *s, const struct open_file *file, int error, __u32 access,
	       __u32 flags);

/*
 * A denial that is about no file: counted, marked, emitted. access, device and inode as the
 * class defines them. Returns the error, which is what the hook returns.
 */
static __always_inline int lsm_deny(const struct subject *s, int error, __u32 access,
				    __u64 device, __u64 inode)
{
	struct policy_counter *counter;
	struct custody_event *event = lsm_open_event(s, error, &counter);

	if (event) {
		event->access = access;
		event->device = device;
		event->inode = inode;
		event_submit(event, counter);
	}
	return error;
}

#endif
