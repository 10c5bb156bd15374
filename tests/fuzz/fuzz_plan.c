/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_check() on a good plan with pieces overwritten: input is a list of {offset u32, length u8,
 * bytes}. What it accepts has only strings that end inside the pool.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "plan.h"
#include "tests/unit/plan_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_require(int condition)
{
	if (!condition)
		abort();
}

static void fuzz_string(const struct custody_plan *plan, struct plan_string s)
{
	fuzz_require(s.off < PLAN_POOL_SIZE && s.len < PLAN_POOL_SIZE - s.off);
	fuzz_require(strlen(plan_string(plan, s)) == s.len);
}

static void fuzz_path(const struct custody_plan *plan, struct plan_string s)
{
	const char *path = plan_string(plan, s);

	fuzz_string(plan, s);
	fuzz_require(path[0] == '/' && !strstr(path, "//") && !strstr(path, "/../"));
}

static void fuzz_strings(const struct custody_plan *plan)
{
	for (__u32 i = 0; i < plan->n_args; i++)
		fuzz_string(plan, plan->args[i]);
	for (__u32 i = 0; i < plan->n_env; i++)
		fuzz_string(plan, plan->env[i]);
	for (__u32 i = 0; i < plan->n_zones; i++) {
		fuzz_path(plan, plan->zones[i].target);
		fuzz_string(plan, plan->zones[i].source);
		fuzz_string(plan, plan->zones[i].origin);
		fuzz_require(!((plan->zones[i].rights & CUSTODY_RIGHT_WRITE) &&
			       (plan->zones[i].rights & CUSTODY_RIGHT_EXEC)));
	}
	for (__u32 i = 0; i < plan->n_endpoints; i++)
		fuzz_string(plan, plan->endpoints[i].path);
	for (__u32 i = 0; i < plan->n_devices; i++)
		fuzz_path(plan, plan->devices[i].path);
	fuzz_path(plan, plan->args[0]);
	fuzz_path(plan, plan->workdir);
	fuzz_string(plan, plan->model_path);
}

/* Of whatever is accepted, a check's plan is accepted too, and can do no more than it should. */
static void fuzz_checks(const struct custody_plan *plan)
{
	static struct custody_plan check;
	const char *why = NULL;

	for (__u32 i = 0; i < plan->n_checkers; i++) {
		int r = plan_make_check(plan, i, &check);

		fuzz_require(r == 0 || r == -ENOSPC);
		if (r < 0)
			continue;
		fuzz_require(plan_check(&check, &why));
		fuzz_require(check.n_endpoints == 0 && check.n_devices == 0);
		fuzz_require((check.flags & ~(__u32)PLAN_FLAG_JIT) == 0);
		fuzz_require(check.admission == 0 && check.n_checkers == 0);
		for (__u32 j = 0; j < check.n_zones; j++)
			fuzz_require(check.zones[j].label != CUSTODY_LABEL_WRITE);
	}
	fuzz_require(plan_make_check(plan, plan->n_checkers, &check) == -ERANGE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct custody_plan plan;
	unsigned char *bytes = (unsigned char *)&plan;
	const char *why = NULL;

	plan_fixture_make(&plan);
	while (size >= 5) {
		uint32_t offset;
		size_t n = data[4];

		memcpy(&offset, data, sizeof(offset));
		data += 5;
		size -= 5;
		n = n < size ? n : size;
		/* Past the pool's used part there is only one rule: zero. Stay where it matters. */
		offset %= (uint32_t)offsetof(struct custody_plan, pool) + 1024;
		memcpy(bytes + offset, data, n);
		data += n;
		size -= n;
	}
	if (plan_check(&plan, &why)) {
		fuzz_strings(&plan);
		fuzz_checks(&plan);
	} else {
		fuzz_require(why && why[0]);
	}
	return 0;
}
