/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of verdict.c: clean only when everything was looked at, and nothing left or lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "verdict.h"

struct facts {
	struct evidence_fact fact[2 * _FACT_MAX];
	size_t n;
};

static struct facts all_good(void)
{
	struct facts facts = { .n = 0 };

	for (__u32 phase = EVIDENCE_BEFORE_ERASE; phase <= EVIDENCE_AFTER_ERASE; phase++) {
		for (__u32 id = 1; id < _FACT_MAX; id++)
			facts.fact[facts.n++] = (struct evidence_fact){
				.fact = id, .phase = phase, .looked = 1,
				/* before the erase there is plenty left, and that is fine */
				.value = phase == EVIDENCE_BEFORE_ERASE ? 5 : 0,
			};
	}
	return facts;
}

static struct evidence_fact *after(struct facts *facts, __u32 id)
{
	return &facts->fact[_FACT_MAX - 1 + id - 1];
}

static struct verdict_result decide(const struct facts *facts)
{
	struct verdict_input input = { .facts = facts->fact, .n_facts = facts->n };
	struct verdict_result result;

	verdict_decide(&input, &result);
	return result;
}

static bool is_loss(__u32 id)
{
	return id == FACT_EVENTS_LOST || id == FACT_GAPS || id == FACT_PLANES_MISSING ||
	       id == FACT_CEILING;
}

static void test_clean(void **state)
{
	struct facts facts = all_good();
	struct verdict_result result = decide(&facts);

	(void)state;
	assert_int_equal(result.verdict, VERDICT_CLEAN);
	assert_int_equal(result.n_reasons, 0);
	after(&facts, FACT_DRAINED)->value = 12;
	assert_int_equal(decide(&facts).verdict, VERDICT_CLEAN);
	after(&facts, FACT_DRAINED)->looked = 0;
	assert_int_equal(decide(&facts).verdict, VERDICT_CLEAN);
}

static void test_every_fact(void **state)
{
	(void)state;
	for (__u32 id = 1; id < _FACT_MAX; id++) {
		struct facts facts = all_good();
		struct verdict_result result;

		if (id == FACT_DRAINED)
			continue;
		after(&facts, id)->value = 1;
		result = decide(&facts);
		assert_int_equal(result.verdict,
				 is_loss(id) ? VERDICT_INCOMPLETE : VERDICT_RESIDUE);
		assert_int_equal(result.n_reasons, 1);
		assert_int_equal(result.reasons[0].fact, id);
		after(&facts, id)->looked = 0;	/* then its value says nothing */
		assert_int_equal(decide(&facts).verdict, VERDICT_INCOMPLETE);
		after(&facts, id)->looked = 2;
		assert_int_equal(decide(&facts).verdict, VERDICT_INCOMPLETE);
		*after(&facts, id) = (struct evidence_fact){
			.fact = id, .phase = EVIDENCE_AFTER_ERASE, .looked = 1, .unseen = 1 };
		assert_int_equal(decide(&facts).verdict, VERDICT_INCOMPLETE);
		/* not there at all: only the one from before the erase is */
		*after(&facts, id) = *after(&facts, FACT_DRAINED);
		result = decide(&facts);
		assert_int_equal(result.verdict, VERDICT_INCOMPLETE);
		assert_int_equal(result.reasons[0].why, VERDICT_WHY_MISSING);
	}
}

static void test_residue_beats_doubt(void **state)
{
	struct facts facts = all_good();
	struct verdict_result result;

	(void)state;
	after(&facts, FACT_CGROUP_POPULATED)->looked = 0;
	after(&facts, FACT_SOCKETS_INET)->value = 2;
	after(&facts, FACT_WEIGHTS_OPEN)->unseen = 3;
	result = decide(&facts);
	assert_int_equal(result.verdict, VERDICT_RESIDUE);
	assert_int_equal(result.n_reasons, 3);
}

static void test_twice(void **state)
{
	struct facts facts = all_good();

	(void)state;
	facts.fact[facts.n++] = (struct evidence_fact){ .fact = FACT_POLICY_ENTRIES, .looked = 1,
							.phase = EVIDENCE_AFTER_ERASE, .value = 1 };
	assert_int_equal(decide(&facts).verdict, VERDICT_RESIDUE);
}

static void test_losses_and_planes(void **state)
{
	struct facts facts = all_good();
	struct verdict_input input = { .facts = facts.fact, .n_facts = facts.n };
	struct verdict_result result;

	(void)state;
	input.gaps = 1;
	verdict_decide(&input, &result);
	assert_int_equal(result.verdict, VERDICT_INCOMPLETE);
	input.gaps = 0;
	input.lost = 1;
	verdict_decide(&input, &result);
	assert_int_equal(result.verdict, VERDICT_INCOMPLETE);
	input.lost = 0;
	input.planes_missing = 4;
	verdict_decide(&input, &result);
	assert_int_equal(result.verdict, VERDICT_INCOMPLETE);
}

static void test_nothing(void **state)
{
	struct facts facts = { .n = 0 };
	struct verdict_result result = decide(&facts);
	char text[256];

	(void)state;
	assert_int_equal(result.verdict, VERDICT_INCOMPLETE);
	assert_int_equal(result.n_reasons, _FACT_MAX - 2);
	for (size_t i = 0; i < result.n_reasons; i++)
		assert_true(strlen(verdict_print_reason(&result.reasons[i], text,
							sizeof(text))) > 10);
	facts.fact[0] = (struct evidence_fact){ .fact = 999, .phase = 2, .looked = 1 };
	facts.n = 1;
	result = decide(&facts);
	assert_int_equal(result.verdict, VERDICT_INCOMPLETE);
	assert_int_equal(result.reasons[result.n_reasons - 1].why, VERDICT_WHY_MALFORMED);
}

static void test_many_reasons(void **state)
{
	struct evidence_fact facts[200];
	struct verdict_input input = { .facts = facts, .n_facts = 200 };
	struct verdict_result result;

	(void)state;
	for (size_t i = 0; i < 200; i++)
		facts[i] = (struct evidence_fact){ .fact = 1, .phase = 2, .looked = 0 };
	facts[199].looked = 1;
	facts[199].value = 1;
	verdict_decide(&input, &result);
	/* the one that matters is beyond what can be listed, and still decides */
	assert_int_equal(result.n_reasons, VERDICT_REASONS_MAX);
	assert_int_equal(result.verdict, VERDICT_RESIDUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_every_fact),
		cmocka_unit_test(test_residue_beats_doubt),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_losses_and_planes),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_many_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
