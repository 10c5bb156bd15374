/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy in the kernel: load, attach, pin and adopt the BPF programs; install, read back, count
 * and remove one jail's map entries. Run by custodyd only. Trusts the checked plan.
 */
#ifndef CUSTODY_WARDEN_POLICY_H
#define CUSTODY_WARDEN_POLICY_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "custody/message.h"
#include "custody/plan.h"
#include "custody/policy.h"

struct policy;

/*
 * Makes the kernel side ready: adopts what is pinned under pin_dir when it is complete and the
 * same (every link, every map, right types), otherwise loads, attaches to cgroup (absolute path
 * of custody's cgroup directory) and pins, all or nothing. Pins that are there but not complete
 * are an error that says which one is missing (-EUCLEAN), never replaced while jails may depend
 * on them. Of the planes named (enum custody_plane mask) those are used that the host offers, each
 * whole or not at all; cgroup always. `error` (size bytes) gets the reason in words. *ret_adopted
 * tells which it was.
 */
int policy_open(const char *pin_dir, const char *cgroup, __u32 planes, struct policy **ret,
		bool *ret_adopted, char *error, size_t size);

/* Closes fds; pins stay. NULL-safe, sets NULL. */
void policy_close(struct policy **policy);

/* Removes every pin: programs detach. For a clean stop with no jail left. */
int policy_unpin(const char *pin_dir);

/* Planes in force: CUSTODY_PLANE_CGROUP, _OBSERVE, _LSM bits. */
__u32 policy_read_planes(const struct policy *policy);

/* fd of the ring buffer map; stays the policy's. */
int policy_ring_fd(const struct policy *policy);

/*
 * Installs jail, endpoint, device and counter entries of a plan for the two cgroups, and reads
 * every one back. The jail's flags lack POLICY_FLAG_OPEN until policy_open_jail(). On failure
 * nothing of the jail is left. 0 or -errno.
 */
int policy_install_jail(struct policy *policy, __u32 jail_id, __u64 cgroup_model,
			__u64 cgroup_broker, const struct custody_plan *plan);

/*
 * Adds an address that a host name of the plan was resolved to, a TCP destination of endpoint
 * `endpoint`, and reads it back. An address that another endpoint has already is counted there;
 * with `own` it must be counted here. 0, -EADDRINUSE when that cannot be, or the jail publishes
 * just that address, or -errno.
 */
int policy_add_destination(struct policy *policy, __u32 jail_id, __u32 endpoint, __u16 port,
			   const struct resolved_address *address, bool own);

/* Installs the zones and their counters that the jail reported, and reads them back. */
int policy_install_zones(struct policy *policy, __u32 jail_id, const struct jail_zone *zones,
			 __u32 n);

/* Sets POLICY_FLAG_OPEN on the model's entry and reads it back: policy is complete. */
int policy_open_jail(struct policy *policy, __u64 cgroup_model);

/*
 * Sets POLICY_FLAG_DRAINING on the broker's entry, whose cgroup owns the listening sockets: from
 * the next packet on no new connection reaches an endpoint (the handshake's first packet is
 * dropped); existing ones go on. 0 or -errno.
 */
int policy_drain_jail(struct policy *policy, __u64 cgroup_broker);

/*
 * Takes from a running jail: adds flags (of POLICY_FLAGS_CUT) and cut endpoints (bit per index of
 * the plan's) to its two entries, one atomic change each, and reads them back. In force with the
 * next operation. Adding what is there already changes nothing. 0 or -errno.
 */
int policy_restrict_jail(struct policy *policy, __u64 cgroup_model, __u64 cgroup_broker,
			 __u32 flags, __u32 cut);

/* Removes everything of the jail. Returns 0 only when nothing is left. */
int policy_remove_jail(struct policy *policy, __u32 jail_id);

/* The same, but for its model's files, which stay guarded for it. */
int policy_release_jail(struct policy *policy, __u32 jail_id);

/* Entries of the jail in all policy maps together (`seen` included). */
int policy_count_entries(struct policy *policy, __u32 jail_id, __u64 *ret);

/* Calls back for every counter of the jail, summed over CPUs. */
typedef void (*policy_counter_fn)(const struct policy_counter_key *key,
				  const struct policy_counter *counter, void *data);
int policy_read_counters(struct policy *policy, __u32 jail_id, policy_counter_fn fn, void *data);

/* The same for those of every jail and of none (0), in no order: one walk of a large map. */
int policy_read_all_counters(struct policy *policy, policy_counter_fn fn, void *data);

/* Helper failures by site, summed over CPUs. */
int policy_read_errors(struct policy *policy, __u64 ret[_POLICY_ERROR_MAX]);

#endif
