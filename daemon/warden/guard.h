/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard, host-wide: custody's own objects, processes and files, and the weights of models in
 * custody, against every other process. Run by custodyd. Only with the LSM plane: without it every
 * call here does nothing and returns 0, and the planes that are shown lack "lsm".
 */
#ifndef CUSTODY_WARDEN_GUARD_H
#define CUSTODY_WARDEN_GUARD_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>

struct warden;
struct jail;

/*
 * Closes the guard around custody itself, after policy_open(). adopted: the kernel holds it
 * already, and this custodyd came in by the door (-EPERM when it did not). All or nothing: what
 * cannot be guarded is named in the log, and custodyd does not start. 0 or -errno.
 */
int guard_start(struct warden *warden, bool adopted);

/*
 * Has a planner read custody.conf, and waits for it: at the start, before there is a policy. A bad
 * file is named with its line in the log, and custodyd does not start. 0 or -errno.
 */
int guard_read_host(struct warden *warden);

/* What custody.conf says, into the kernel: by guard_start(). */
int guard_apply_host(struct warden *warden);

/* A clean stop with no jail left: nothing is guarded any more. */
void guard_stop(struct warden *warden);

/* The ledger's and the key's files, once the recorder has made them. */
int guard_add_ledger(struct warden *warden);

/* A role that runs: what it may is by its role. Before it is told anything. */
int guard_add_role(struct warden *warden, pid_t pid, int role);

/* The jail's cgroups and the files below its model's directory. Undone with the jail's policy. */
int guard_add_jail(struct jail *jail);

/* The jail's first process. */
int guard_add_init(struct jail *jail);

#endif
