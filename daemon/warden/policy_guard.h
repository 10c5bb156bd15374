/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard's maps. Run by custodyd, used by guard.c alone. Everything that is put in is read back.
 * All return 0 or -errno; -E2BIG from the kernel means that the map is full, and fails the caller.
 */
#ifndef CUSTODY_WARDEN_POLICY_GUARD_H
#define CUSTODY_WARDEN_POLICY_GUARD_H

#include <linux/types.h>
#include <stdbool.h>

#include "custody/guard.h"
#include "policy.h"

/* pid in the initial pid namespace; start in clock ticks since boot; rights: enum guard_right. */
int policy_guard_add_process(struct policy *policy, __u32 pid, __u64 start, __u32 rights);

/* -ENOENT when it is not known. */
int policy_guard_read_process(struct policy *policy, __u32 pid, struct guard_process *ret);

/* All zero where the guard was never closed. */
int policy_guard_read_config(const struct policy *policy, struct guard_config *ret);
int policy_guard_set_config(struct policy *policy, const struct guard_config *config);

/* Host policy. A reader's value is its executable's generation, or 1 for a uid. */
int policy_guard_add_reader(struct policy *policy, const struct guard_reader_key *key, __u32 value);
int policy_guard_add_node(struct policy *policy, __u32 major);
int policy_guard_clear_readers(struct policy *policy);
int policy_guard_clear_nodes(struct policy *policy);

/* Every map, program and link under the pin directory. */
int policy_guard_add_objects(struct policy *policy, const char *dir);

/* Counters of custody itself, jail 0. Those that are there stay. */
int policy_guard_add_counters(struct policy *policy);

/*
 * Learning (G3): after begin(), whatever this process opens is entered `as` told; each learn()
 * opens one name below `at` (AT_FDCWD and a path do), and looks whether the kernel has entered it.
 * `ret_before` is zeroed by the caller before the first and then carried along; it holds the last
 * inode's key. *ret_written: somebody has the file open for writing. end() always follows.
 */
int policy_guard_begin(struct policy *policy, const struct guard_inode *as);
int policy_guard_learn(struct policy *policy, int at, const char *name,
		       struct guard_learn *ret_before, bool *ret_written);
int policy_guard_end(struct policy *policy);

/*
 * Guards nothing any more, from when this returns; the programs are detached later, in the kernel's
 * own time. Files before processes, so that custodyd has its rights for as long as it needs them.
 */
int policy_guard_open(struct policy *policy);

/*
 * Is the file guarded for this jail, the same inode (device as stat has it), as one of a model's?
 */
bool policy_guard_holds(const struct policy *policy, __u32 jail_id, __u64 device, __u64 inode,
			__u64 generation);

/* Is what this owner has one of a model's files, and not a cgroup of the jail's? */
bool policy_guard_is_artifact(const struct policy *policy, const struct guard_owner_key *owner);

/* One owner less; an inode without owners is guarded no longer. */
int policy_guard_forget(const struct policy *policy, const struct guard_owner_key *owner);

#endif
