/* SPDX-License-Identifier: Apache-2.0 */
/* What plan.c and plan_endpoint.c share. Pure; see plan.h for who runs it. */
#ifndef CUSTODY_LIB_PLAN_INTERNAL_H
#define CUSTODY_LIB_PLAN_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "custody/plan.h"

/* false, with *ret_why set to why. */
bool plan_refuse(const char **ret_why, const char *why);

bool plan_is_zero(const void *bytes, size_t n);

/* A whole string of the used pool, or the empty one; an absolute normal path; text for people. */
bool plan_check_string(const struct custody_plan *plan, struct plan_string s);
bool plan_check_path(const struct custody_plan *plan, struct plan_string s);
bool plan_check_origin(const struct custody_plan *plan, struct plan_string s);

/* A host path in /proc, /sys or /dev; one in custody's own directories, or above them. */
bool plan_is_kernel_source(const char *source);
bool plan_touches_custody(const char *path);

/* What the model must show, after the zones. */
bool plan_check_admission(const struct custody_plan *plan, const char **ret_why);

/* model.check, after that. */
bool plan_check_checkers(const struct custody_plan *plan, const char **ret_why);

/* Endpoint `index` by itself, and against those before it. */
bool plan_check_endpoint(const struct custody_plan *plan, __u32 index, const char **ret_why);

#endif
