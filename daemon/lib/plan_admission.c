/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of plan_check() that is about what a model must show before it starts. Pure. Trusts no
 * byte of the plan.
 */
#include "plan.h"

#include "plan_internal.h"

#define PLAN_TYPE_MAX 512U /* bytes of a predicateType */

/* A file or directory outside the jail that custodyd opens: none of the kernel's or custody's. */
static bool plan_check_file(const struct custody_plan *plan, struct plan_string path)
{
	return plan_check_path(plan, path) && !plan_is_kernel_source(plan_string(plan, path)) &&
	       !plan_touches_custody(plan_string(plan, path));
}

static bool plan_check_optional_file(const struct custody_plan *plan, struct plan_string path)
{
	return (path.len == 0 && path.off == 0) || plan_check_file(plan, path);
}

static bool plan_check_keys(const struct custody_plan *plan, const char **ret_why)
{
	if ((plan->n_keys > 0) != !!(plan->admission & PLAN_ADMISSION_SIGNATURE))
		return plan_refuse(ret_why,
				   "a signature is asked for without keys, or keys without "
				   "a signature");
	for (__u32 i = 0; i < plan->n_keys; i++) {
		if (!plan_check_file(plan, plan->keys[i].path))
			return plan_refuse(ret_why, "a file of keys is no normal absolute path, or "
						    "custody's or the kernel's own");
		if (!plan_check_origin(plan, plan->keys[i].origin))
			return plan_refuse(ret_why, "the origin of a key is not printable text");
	}
	return true;
}

static bool plan_check_attestation(const struct custody_plan *plan, __u32 index,
				   const char **ret_why)
{
	const struct plan_attestation *a = &plan->attestations[index];

	if (a->type.len == 0 || a->type.len > PLAN_TYPE_MAX || !plan_check_origin(plan, a->type))
		return plan_refuse(ret_why, "the type of an attestation is no printable text");
	if (!plan_check_file(plan, a->key))
		return plan_refuse(ret_why,
				   "a file of keys is no normal absolute path, or custody's "
				   "or the kernel's own");
	if (!plan_check_origin(plan, a->origin))
		return plan_refuse(ret_why, "the origin of an attestation is not printable text");
	return true;
}

/* Nothing is asked for that is not looked at. */
static bool plan_check_unmeasured(const struct custody_plan *plan, const char **ret_why)
{
	if (plan->formats == 0 && plan->n_keys == 0 && plan->n_attestations == 0 &&
	    plan->signature.len == 0 && plan->attestations_path.len == 0)
		return true;
	return plan_refuse(ret_why, "a model is to be judged and not to be measured");
}

bool plan_check_admission(const struct custody_plan *plan, const char **ret_why)
{
	if (plan->n_keys > PLAN_KEYS_MAX || plan->n_attestations > PLAN_ATTESTATIONS_MAX)
		return plan_refuse(ret_why, "a count is out of range");
	if (!plan_is_zero(plan->keys + plan->n_keys,
			  sizeof(plan->keys) - plan->n_keys * sizeof(plan->keys[0])) ||
	    !plan_is_zero(plan->attestations + plan->n_attestations,
			  sizeof(plan->attestations) -
				  plan->n_attestations * sizeof(plan->attestations[0])))
		return plan_refuse(ret_why, "an entry that is not counted is not empty");
	if ((plan->admission & ~(__u32)PLAN_ADMISSIONS_ALL) != 0 ||
	    (plan->formats & ~(__u32)CUSTODY_FORMATS_ALL) != 0)
		return plan_refuse(ret_why, "unknown conditions of admission, or formats");
	if (!plan_check_origin(plan, plan->admission_origin) ||
	    !plan_check_origin(plan, plan->formats_origin) ||
	    !plan_check_origin(plan, plan->signature_origin))
		return plan_refuse(ret_why, "the origin of a condition is not printable text");
	if (!plan_check_optional_file(plan, plan->signature) ||
	    !plan_check_optional_file(plan, plan->attestations_path))
		return plan_refuse(ret_why,
				   "a signature or a directory of attestations is no normal "
				   "absolute path, or custody's or the kernel's own");
	if (!(plan->admission & PLAN_ADMISSION_MEASURE))
		return plan->admission == 0
			       ? plan_check_unmeasured(plan, ret_why)
			       : plan_refuse(ret_why, "a model is to be judged and not to be "
						      "measured");
	if (plan->model_path.len == 0)
		return plan_refuse(ret_why, "a model is to be measured, and there is none");
	for (__u32 i = 0; i < plan->n_attestations; i++) {
		if (!plan_check_attestation(plan, i, ret_why))
			return false;
	}
	return plan_check_keys(plan, ret_why);
}
