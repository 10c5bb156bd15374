/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a profile. What is accepted prints canonically and parses to the same again; a plan
 * made from it passes plan_check().
 *
 * link: daemon/planner/settings.c daemon/planner/types.c daemon/planner/value.c
 * link: daemon/planner/words.c daemon/planner/problems.c daemon/planner/profile.c
 * link: daemon/planner/support.c daemon/planner/build.c daemon/planner/build_admission.c
 * link: daemon/planner/build_ceiling.c
 */
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "daemon/planner/build.h"
#include "plan.h"
#include "tests/unit/profile_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct profile_memory fuzz_profiles[] = {
	{ "base", "[files]\nread = /usr\n[process]\nenvironment = A=1\n" },
	{ "self", "[profile]\nextends = self\n" },
	{ NULL, NULL },
};

static void fuzz_require(int condition)
{
	if (!condition)
		abort();
}

static void fuzz_reparse(const struct profile_source *source, const struct settings *settings)
{
	cleanup_problems struct problems problems = { 0 };
	cleanup_profile struct profile profile = { 0 };
	cleanup_ptr char *first = profile_memory_print(settings);
	cleanup_ptr char *second = NULL;

	profile_load_text(source, "again.ini", first, strlen(first), &profile, &problems);
	fuzz_require(problems_none(&problems));
	second = profile_memory_print(&profile.settings);
	fuzz_require(strcmp(first, second) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct profile_source source = profile_memory_source(fuzz_profiles);
	const struct build_request request = {
		.name = "n", .profile = "p", .model = "", .args = "", .partial = true,
	};
	static struct custody_plan plan;
	cleanup_problems struct problems problems = { 0 };
	cleanup_profile struct profile profile = { 0 };
	const char *why = "";

	if (size > PROFILE_TEXT_MAX)
		return 0;
	profile_load_text(&source, "fuzz.ini", (const char *)data, size, &profile, &problems);
	if (!problems_none(&problems)) {
		fuzz_require(problems_exit(&problems) == CUSTODY_EXIT_USAGE);
		return 0;
	}
	fuzz_reparse(&source, &profile.settings);
	profile_check_support(&profile.settings, &problems);
	problems_clear(&problems);
	build_plan(&profile.settings, &request, &plan, &problems);
	fuzz_require(!problems_none(&problems) || plan_check(&plan, &why));
	return 0;
}
