/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of provenance.c: complete is said of nothing in which anything is missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cleanup.h"
#include "custody/plan.h"
#include "provenance.h"

#define KEY "0123456789abcdef"
#define BYTES32(hex)                                                                               \
	hex hex hex hex hex hex hex hex hex hex hex hex hex hex hex hex hex hex hex hex hex hex    \
		hex hex hex hex hex hex hex hex hex hex

static const char *const command[] = { "/usr/bin/python3", "a \"b\"", "\xff\n" };
static char input_path[] = "/srv/a b/\xc3\xa9\n%";
static char output_path[] = "/srv/out/model.npz";

static struct ledger_launch make_launch(void)
{
	struct ledger_launch launch = {
		.jail_id = 7,
		.name = "run-1",
		.profile = "training",
		.planes_required = CUSTODY_PLANE_STRUCTURE | CUSTODY_PLANE_OBSERVE,
		.planes_active =
			CUSTODY_PLANE_STRUCTURE | CUSTODY_PLANE_CGROUP | CUSTODY_PLANE_OBSERVE,
	};

	memset(launch.profile_digest, 0xaa, sizeof(launch.profile_digest));
	memset(launch.plan_digest, 0xbb, sizeof(launch.plan_digest));
	return launch;
}

static struct provenance make_provenance(const struct ledger_launch *launch)
{
	static struct provenance_file input = { .kind = "input", .path = input_path };
	static struct provenance_file output = { .kind = "output", .path = output_path };

	memset(input.digest, 0xcc, sizeof(input.digest));
	memset(output.digest, 0xdd, sizeof(output.digest));
	return (struct provenance){
		.version = "1",
		.command = command,
		.n_command = ARRAY_SIZE(command),
		.inputs = &input,
		.n_inputs = 1,
		.outputs = &output,
		.n_outputs = 1,
		.launch = launch,
		.ledger_key = KEY,
		.launch_seq = 3,
		.launch_ns = 1700000000000000001ULL,
		.end_seq = 9,
		.end_ns = 1700000001000000000ULL,
		.records = 10,
	};
}

/* At a path of keys and indices, "a/0/b". */
static const json_t *at(const json_t *json, const char *path)
{
	char copy[128], *save = copy, *word;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	while ((word = strsep(&save, "/"))) {
		json = json_is_array(json) ? json_array_get(json, (size_t)atoi(word))
					   : json_object_get(json, word);
		assert_non_null(json);
	}
	return json;
}

static void assert_text(const json_t *json, const char *path, const char *wanted)
{
	const json_t *found = at(json, path);

	assert_true(json_is_string(found));
	assert_string_equal(json_string_value(found), wanted);
}

static void test_shape(void **state)
{
	struct ledger_launch launch = make_launch();
	struct ledger_measured measured = { .jail_id = 7, .files = 2, .bytes = 30 };
	struct provenance p = make_provenance(&launch);
	json_t *json;

	(void)state;
	memset(measured.digest, 0xee, sizeof(measured.digest));
	p.model = "/srv/job";
	p.measured = &measured;
	json = provenance_make(&p);
	assert_non_null(json);
	assert_text(json, "buildDefinition/buildType", PROVENANCE_BUILD_TYPE);
	assert_text(json, "buildDefinition/externalParameters/command/0", "/usr/bin/python3");
	assert_text(json, "buildDefinition/externalParameters/command/1", "a \"b\"");
	assert_text(json, "buildDefinition/externalParameters/command/2", "\\xff\\x0a");
	assert_text(json, "buildDefinition/externalParameters/profile", "training");
	assert_text(json, "buildDefinition/externalParameters/model", "/srv/job");
	assert_text(json, "buildDefinition/resolvedDependencies/0/uri",
		    "urn:custody:profile:training");
	assert_text(json, "buildDefinition/resolvedDependencies/0/digest/sha256", BYTES32("aa"));
	assert_text(json, "buildDefinition/resolvedDependencies/1/annotations/kind", "model");
	assert_text(json, "buildDefinition/resolvedDependencies/1/digest/sha256", BYTES32("ee"));
	assert_text(json, "buildDefinition/resolvedDependencies/2/uri",
		    "file:///srv/a%20b/%C3%A9%0A%25");
	assert_text(json, "buildDefinition/resolvedDependencies/2/digest/sha256", BYTES32("cc"));
	assert_int_equal(json_array_size(at(json, "buildDefinition/resolvedDependencies")), 3);
	assert_text(json, "runDetails/builder/id", PROVENANCE_BUILDER);
	assert_text(json, "runDetails/metadata/invocationId", "urn:custody:ledger:" KEY ":jail:7");
	assert_text(json, "runDetails/metadata/startedOn", "2023-11-14T22:13:20.000000001Z");
	assert_text(json, "runDetails/byproducts/0/uri", "file:///srv/out/model.npz");
	assert_true(json_is_true(at(json, "custody_run/complete")));
	assert_int_equal(json_array_size(at(json, "custody_run/missing")), 0);
	assert_text(json, "custody_run/planes/active/2", "observe");
	assert_text(json, "custody_run/measured/digest/sha256", BYTES32("ee"));
	assert_int_equal(json_integer_value(at(json, "custody_run/ledger/launch")), 3);
	assert_true(provenance_may_admit(json));
	json_decref(json);
}

static void test_without_model(void **state)
{
	struct ledger_launch launch = make_launch();
	struct provenance p = make_provenance(&launch);
	json_t *json = provenance_make(&p);

	(void)state;
	assert_null(json_object_get(at(json, "buildDefinition/externalParameters"), "model"));
	assert_int_equal(json_array_size(at(json, "buildDefinition/resolvedDependencies")), 2);
	assert_true(json_is_null(at(json, "custody_run/measured")));
	json_decref(json);
}

static void assert_incomplete(const struct provenance *p)
{
	json_t *json = provenance_make(p);

	assert_non_null(json);
	assert_false(provenance_is_whole(p));
	assert_true(json_is_false(at(json, "custody_run/complete")));
	assert_int_equal(json_array_size(at(json, "custody_run/missing")), 1);
	assert_text(json, "runDetails/builder/id", PROVENANCE_BUILDER_PART);
	assert_false(provenance_may_admit(json));
	json_decref(json);
}

static void test_incomplete(void **state)
{
	struct ledger_launch launch = make_launch();
	struct provenance p = make_provenance(&launch);
	__u64 *const counts[] = { &p.events_lost, &p.gaps,    &p.unidentified,
				  &p.changed,	  &p.outside, &p.unseen };

	(void)state;
	assert_true(provenance_is_whole(&p));
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		*counts[i] = 1;
		assert_incomplete(&p);
		*counts[i] = 0;
	}
	p.network = true;
	assert_incomplete(&p);
	p.network = false;
	p.clock = true;
	assert_incomplete(&p);
	p.clock = false;
	launch.planes_required |= CUSTODY_PLANE_LSM;
	assert_incomplete(&p);
	launch.planes_required = CUSTODY_PLANE_STRUCTURE;
	launch.planes_active = CUSTODY_PLANE_STRUCTURE;
	assert_incomplete(&p);
	launch.planes_active |= CUSTODY_PLANE_LSM;
	assert_true(provenance_is_whole(&p));
}

/* Another's predicate is let in; one that looks like custody's only when it says all of it. */
static void test_admission(void **state)
{
	static const struct {
		const char *text;
		bool admitted;
	} rows[] = {
		{ "{}", true },
		{ "{\"buildDefinition\": {\"buildType\": \"https://x/y\"}}", true },
		{ "{\"buildDefinition\": [1], \"runDetails\": 3}", true },
		{ "{\"custody_run\": {\"complete\": true}}", false },
		{ "{\"custody_run\": null}", false },
		{ "{\"buildDefinition\": {\"buildType\": \"" PROVENANCE_BUILD_TYPE "\"}}", false },
		{ "{\"buildDefinition\": {\"buildType\": \"" PROVENANCE_BUILD_TYPE "\"},"
		  "\"runDetails\": {\"builder\": {\"id\": \"" PROVENANCE_BUILDER "\"}}}",
		  false },
		{ "{\"custody_run\": {\"complete\": \"true\"},"
		  "\"runDetails\": {\"builder\": {\"id\": \"" PROVENANCE_BUILDER "\"}}}",
		  false },
		{ "{\"custody_run\": {\"complete\": true},"
		  "\"runDetails\": {\"builder\": {\"id\": \"" PROVENANCE_BUILDER_PART "\"}}}",
		  false },
		{ "{\"custody_run\": {\"complete\": true},"
		  "\"runDetails\": {\"builder\": {\"id\": \"" PROVENANCE_BUILDER "\"}}}",
		  true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		json_t *json = json_loads(rows[i].text, 0, NULL);

		assert_non_null(json);
		assert_int_equal(provenance_may_admit(json), rows[i].admitted);
		json_decref(json);
	}
	assert_true(provenance_may_admit(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_without_model),
		cmocka_unit_test(test_incomplete),
		cmocka_unit_test(test_admission),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
