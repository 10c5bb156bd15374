/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the stages of custody-jail share. Three processes run this code, one after the other:
 *
 *   outer   started by custodyd as root; makes the namespaces, maps the ids, reports, ends
 *   init    pid 1 of the jail: builds the root, gives up root, then only reaps and forwards
 *   model   confines itself, checks what it became, waits for the go, becomes the model
 *
 * Trusts the kernel, custodyd's channel and the plan that plan_check() accepted. No byte of the
 * model is read by any of the three.
 *
 * Every step takes the jail, returns 0, or a negative errno after it has said why with
 * jail_refuse(). A step that fails ends its process; the others see their sockets close and end.
 */
#ifndef CUSTODY_JAIL_H
#define CUSTODY_JAIL_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "custody/message.h"
#include "custody/plan.h"

struct sock_filter;

/* One compiled seccomp filter. */
struct jail_filter {
	struct sock_filter *code;
	unsigned short n;
};

/* A mount of the jail beside what is reported of it: its fd until Landlock has it, its flags. */
struct jail_mount {
	int fd;			/* O_PATH, the mount's root; -1 when closed */
	__u64 attributes;	/* MOUNT_ATTR_* that must be in force */
};

struct jail {
	int channel;		/* custodyd; fd 3 */
	int broker;
	int host_proc;		/* the host's /proc: outer only */
	int peer;		/* outer <-> init */
	int host_root;		/* init, while it builds */
	int root;		/* the new root, init, while it builds */
	int proc_sys;		/* writable /proc/sys of the jail: init, while it is root */
	int listener;		/* seccomp notifications */
	int weights;		/* detached mount of the model: init, until it is a zone */
	const struct custody_plan *plan;
	struct jail_build build;
	uid_t uid_broker;
	uid_t uid_model;
	pid_t init;		/* host pid namespace: outer */
	pid_t holder;		/* of the user namespace of the weights' mount: init, a while */
	pid_t model;		/* jail's pid namespace: init */
	bool notify;		/* bind(), and connect() if the plan says so, go to the broker */
	struct jail_filter allow;
	struct jail_filter ioctl;	/* n is 0: every request */
	struct jail_filter deny;
	struct jail_mount mounts[CUSTODY_ZONES_MAX];
	struct jail_built built;	/* filled by init, completed by outer */
	int landlock_abi;
	__u32 structure;	/* enum evidence_structure mask: what has been read back */
	bool refused;
};

/* Sends REFUSED, once. Returns error (-EIO when it is not negative): `return jail_refuse()`. */
int jail_refuse(struct jail *jail, enum custody_exit exit_code, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A row of a sequence: what to call, its name in messages, and why it stands where it stands. */
struct jail_step {
	int (*run)(struct jail *jail);
	const char *name;
	const char *why_here;
};

/* Runs the rows in order; ends the process with status 1 at the first that fails. */
void jail_run_steps(struct jail *jail, const struct jail_step *steps, size_t n);

/* outer */
int receive_plan(struct jail *jail);
int seccomp_compile_filters(struct jail *jail);
int namespace_keep_proc(struct jail *jail);
int namespace_unshare_all(struct jail *jail);
int namespace_set_names(struct jail *jail);
int namespace_start_init(struct jail *jail);
int namespace_map_ids(struct jail *jail);
int namespace_report_built(struct jail *jail);

/* init */
int namespace_forget_outer(struct jail *jail);
int weights_start_holder(struct jail *jail);
int weights_end_holder(struct jail *jail);
int root_mount_tmpfs(struct jail *jail);
int root_make_etc(struct jail *jail);
int device_make_tree(struct jail *jail);
int procfs_make_tree(struct jail *jail);
int root_mount_zones(struct jail *jail);
int root_make_links(struct jail *jail);
int root_enter(struct jail *jail);
int limits_raise(struct jail *jail);
int procfs_forbid_memfd_exec(struct jail *jail);
int procfs_limit_shm(struct jail *jail);
int procfs_empty_core(struct jail *jail);
int procfs_offer_to_oom(struct jail *jail);
int namespace_enter_user(struct jail *jail);
int namespace_give_up_root(struct jail *jail);
int structure_leave_keyring(struct jail *jail);
int init_start_model(struct jail *jail);
int init_forget_all(struct jail *jail);
int init_confine(struct jail *jail);
int init_serve(struct jail *jail);

/* model */
int model_leave_session(struct jail *jail);
int limits_lower(struct jail *jail);
bool model_writes_proc(const struct custody_plan *plan);
int model_enter_landlock(struct jail *jail);
int seccomp_enter_filters(struct jail *jail);
int model_give_listener(struct jail *jail);
int model_close_fds(struct jail *jail);
int selfcheck_report(struct jail *jail);
int model_wait_go(struct jail *jail);
int model_execute(struct jail *jail);

/*
 * Attaches a detached mount at target inside the new root, restricts it by `attributes`, and
 * enters it into the report. Takes mount_fd, also when it fails.
 */
int root_add_mount(struct jail *jail, int mount_fd, const char *target, __u32 label, __u32 rights,
		   __u64 attributes, const char *origin);

/*
 * Makes the detached mount of a weights zone, whose files belong to whomever, readable by the
 * model: mapped, or found to be readable as it is. Refuses, with the file that is not.
 */
int weights_open_to_model(struct jail *jail, int mount_fd, const char *source, const char *origin);

/*
 * The self-check's part in structure.c: begin, one call for each line of mountinfo (mount
 * built.zones[zone]; options of the mount; type and options of its file system), then the rest.
 */
void structure_begin_mounts(struct jail *jail);
void structure_note_mount(struct jail *jail, __u32 zone, const char *target, const char *options,
			  const char *type, const char *super);
int structure_check(struct jail *jail);

/* MOUNT_ATTR_* of a zone with these rights: nothing that the rights do not need. */
__u64 root_attributes(__u32 label, __u32 rights);

/* Bytes of shared memory, POSIX and System V each, that the jail may have. */
__u64 device_shm_size(const struct custody_plan *plan);

/* tmpfs of the new root and of /dev: the only places where the jail may make mount points. */
bool root_is_own(const struct jail *jail, __u64 mount_id);

#endif
