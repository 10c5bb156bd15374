/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of what the recorder does so that nothing is lost uncounted: a jail has one end on record,
 * also when it is told twice or by nobody, and a record that finds no room is a gap.
 * link: daemon/recorder/recorder.c daemon/recorder/open.c daemon/recorder/retire.c
 * link: daemon/recorder/event.c daemon/recorder/bundle.c
 */
#include <signal.h>
#include <sys/resource.h>

#include "recorder_house.h"

static __u64 count(struct house *house, __u32 jail_id, __u32 type, __u32 *ret_state)
{
	struct ledger_reader *reader = malloc(sizeof(*reader));
	struct record_entry entry;
	const char *why;
	__u64 n = 0;

	ledger_reader_setup(reader, ledger_fd(house->recorder.ledger), 0, 0, NULL, true);
	while (ledger_reader_next(reader, &entry, &why) == 0) {
		if (entry.head.jail_id != jail_id || entry.head.type != type)
			continue;
		if (type == LEDGER_STATE)
			*ret_state = entry.payload.state.state;
		n++;
	}
	free(reader);
	return n;
}

/* Whoever was not told that the end is on record says it again. */
static void test_one_end(void **state)
{
	struct house *house = *state;
	const struct recorded *recorded = (const struct recorded *)&house->answer;
	char problem[CUSTODY_TEXT_SIZE];
	__u32 last = 0;
	__u64 seq;

	launch(house, FIXTURE_JAIL);
	change_state(house, FIXTURE_JAIL, JAIL_STATE_STOPPED);
	seq = recorded->seq;
	change_state(house, FIXTURE_JAIL, JAIL_STATE_STOPPED);
	assert_int_equal(recorded->seq, seq);
	recorder_close(&house->recorder);
	assert_int_equal(start(house, problem, sizeof(problem)), 0);
	change_state(house, FIXTURE_JAIL, JAIL_STATE_STOPPED);
	assert_int_equal(recorded->seq, seq);
	assert_int_equal(count(house, FIXTURE_JAIL, LEDGER_STATE, &last), 1);
	live_and_retire(house, FIXTURE_JAIL + 1, 0);
	change_state(house, FIXTURE_JAIL + 1, JAIL_STATE_STOPPED);
	assert_int_equal(count(house, FIXTURE_JAIL + 1, LEDGER_STATE, &last), 1);
	assert_int_equal(last, JAIL_STATE_RETIRING);
}

/* A launch that nobody has in custody and that did not end: its end is written, and a gap. */
static void test_lost_end(void **state)
{
	struct house *house = *state;
	struct recorder_setup setup = {
		.fsync_ms = 50, .origin = ORIGIN, .custody_known = 1, .n_custody = 1,
		.custody = { FIXTURE_JAIL + 1 },
	};
	char problem[CUSTODY_TEXT_SIZE];
	__u32 last = 0;

	for (__u32 id = FIXTURE_JAIL; id < FIXTURE_JAIL + 3; id++)
		launch(house, id);
	change_state(house, FIXTURE_JAIL + 2, JAIL_STATE_STOPPED);
	for (int i = 0; i < 2; i++) {
		recorder_close(&house->recorder);
		assert_int_equal(recorder_open(&house->recorder, house->channel, house->ledger,
					       house->key, house->evidence, &setup, problem,
					       sizeof(problem)), 0);
		assert_int_equal(recorder_begin(&house->recorder), 0);
		assert_int_equal(count(house, FIXTURE_JAIL, LEDGER_STATE, &last), 1);
		assert_int_equal(last, JAIL_STATE_STOPPED);
		assert_int_equal(count(house, FIXTURE_JAIL, LEDGER_GAP, NULL), 1);
		assert_int_equal(count(house, FIXTURE_JAIL + 1, LEDGER_STATE, NULL), 0);
		assert_int_equal(count(house, FIXTURE_JAIL + 1, LEDGER_GAP, NULL), 0);
		assert_int_equal(count(house, FIXTURE_JAIL + 2, LEDGER_GAP, NULL), 0);
	}
	change_state(house, FIXTURE_JAIL + 1, JAIL_STATE_RETIRING);
	facts(house, FIXTURE_JAIL + 1, 0);
	assert_int_equal(retire(house, FIXTURE_JAIL + 1)->verdict, VERDICT_CLEAN);
}

/* No room for one record: one that nobody waits for is counted, and that count is a record. */
static void test_no_room(void **state)
{
	struct house *house = *state;
	struct record_state message = {
		.state = { .jail_id = FIXTURE_JAIL, .state = JAIL_STATE_RUNNING, .why = "test" },
	};
	struct rlimit limit, none;
	__u32 last = 0;

	launch(house, FIXTURE_JAIL);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &none), 0);
	limit = none;
	limit.rlim_cur = ledger_end(house->recorder.ledger);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	(void)tell(house, MSG_RECORD_STATE, 0, &message, sizeof(message));
	assert_int_equal(tell(house, MSG_RECORD_STATE, 5, &message, sizeof(message)), MSG_REFUSED);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(count(house, FIXTURE_JAIL, LEDGER_GAP, NULL), 0);
	change_state(house, FIXTURE_JAIL, JAIL_STATE_RUNNING);
	assert_int_equal(count(house, FIXTURE_JAIL, LEDGER_STATE, &last), 1);
	assert_int_equal(count(house, FIXTURE_JAIL, LEDGER_GAP, NULL), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_one_end), T(test_lost_end), T(test_no_room),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
