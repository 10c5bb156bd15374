/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check that every plan passes before a field of it is used, and access to its strings.
 * Run by custodyd, jail, broker (and by the planner on its own product). Pure.
 */
#ifndef CUSTODY_LIB_PLAN_H
#define CUSTODY_LIB_PLAN_H

#include <stdbool.h>

#include "custody/plan.h"

/*
 * True when every field is in range and consistent: magic, version, size, names, counts, enums,
 * flags, string references (inside the used pool, NUL-terminated, no NUL inside), absolute and
 * normalised paths, no two zones on one target, rights that fit labels, endpoints well formed.
 * Otherwise returns false with *ret_why set to a static text.
 */
bool plan_check(const struct custody_plan *plan, const char **ret_why);

/* Part of plan_check(): the ceilings, after the endpoints. */
bool plan_check_ceilings(const struct custody_plan *plan, const char **ret_why);

/*
 * The plan of the jail in which checkers[index] looks at the model: that of the model, which has
 * passed plan_check(), without network, devices, what can be written and what asks for anything,
 * with another name and program. 0 with *ret, which passes plan_check(); -ERANGE: there is no such
 * checker; -ENOSPC: the strings fill the plan.
 */
int plan_make_check(const struct custody_plan *plan, __u32 index, struct custody_plan *ret);

/* The string, inside the plan. Only after plan_check(). */
const char *plan_string(const struct custody_plan *plan, struct plan_string s);

/* [a-z0-9][a-z0-9._-]*, shorter than CUSTODY_NAME_SIZE: names of models and profiles. */
bool plan_check_name(const char *name);

/*
 * Maps a sealed memfd (F_SEAL_WRITE|GROW|SHRINK|SEAL, exactly sizeof(struct custody_plan)) read
 * only and checks it. Returns 0 with *ret (unmap with plan_unmap()), -EPERM when it is not
 * sealed, -EPROTO with *ret_why when plan_check() refuses, or -errno.
 */
int plan_map(int fd, const struct custody_plan **ret, const char **ret_why);
void plan_unmap(const struct custody_plan **plan);

#endif
