/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recorder without its process, for the tests of it: real files, real messages over a real
 * socket. Used by unit tests only.
 */
#ifndef CUSTODY_TESTS_RECORDER_HOUSE_H
#define CUSTODY_TESTS_RECORDER_HOUSE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cleanup.h"
#include "daemon/recorder/recorder.h"
#include "ledger_fixture.h"
#include "tools/custody-verify/check.h"

#define ORIGIN "custody/test/chain-v1"

/* A recorder without its process: real files, real messages over a real socket. */
struct house {
	char path[40];
	int dirfd, ledger, evidence, key;
	int warden, channel;
	struct recorder recorder;
	union message_buffer answer;
	struct check_result result;
	struct check_failure failure;
};

static int start(struct house *house, char *problem, size_t size)
{
	struct recorder_setup setup = { .fsync_ms = 50, .origin = ORIGIN };
	int r = recorder_open(&house->recorder, house->channel, house->ledger, house->key,
			      house->evidence, &setup, problem, size);

	return r < 0 ? r : recorder_begin(&house->recorder);
}

static int set_up(void **state)
{
	struct house *house = calloc(1, sizeof(*house));
	char problem[CUSTODY_TEXT_SIZE] = "";

	memcpy(house->path, "/tmp/custody-recorder-XXXXXX", 29);
	house->dirfd = fixture_make_directory(house->path);
	(void)mkdirat(house->dirfd, "ledger", 0700);
	(void)mkdirat(house->dirfd, "evidence", 0700);
	house->ledger = openat(house->dirfd, "ledger", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	house->evidence = openat(house->dirfd, "evidence", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	house->key = openat(house->dirfd, "key.pem", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	*state = house;
	if (message_make_pair(&house->warden, &house->channel) < 0)
		return -1;
	return start(house, problem, sizeof(problem));
}

static int tear_down(void **state)
{
	struct house *house = *state;

	recorder_close(&house->recorder);
	(void)close(house->warden);
	(void)close(house->channel);
	(void)close(house->ledger);
	(void)close(house->evidence);
	(void)close(house->key);
	(void)close(house->dirfd);
	fixture_remove(AT_FDCWD, house->path);
	free(house);
	return 0;
}

/* Sends as custodyd, lets the recorder handle it; with an id, takes the answer's type. */
static __u32 tell(struct house *house, __u32 type, __u64 id, void *body, size_t size)
{
	union message_buffer *in = malloc(sizeof(*in));

	assert_int_equal(message_send(house->warden, ROLE_WARDEN, type, id, body, size, NULL, 0),
			 0);
	assert_int_equal(message_recv(house->channel, ROLE_RECORDER, ROLE_WARDEN, RECORDER_PERMIT,
				      in, NULL), 0);
	assert_int_equal(recorder_handle(&house->recorder, in), 0);
	free(in);
	if (id == 0)
		return MSG_NONE;
	assert_int_equal(message_recv_timeout(house->warden, ROLE_WARDEN, ROLE_RECORDER,
					      MSG_BIT(MSG_RECORDED) | MSG_BIT(MSG_RETIRED) |
					      MSG_BIT(MSG_REFUSED), &house->answer, NULL, 1000), 0);
	assert_int_equal(house->answer.head.id, id);
	return house->answer.head.type;
}

static void launch(struct house *house, __u32 jail_id)
{
	struct record_launch message = { .launch = fixture_launch(jail_id) };

	assert_int_equal(tell(house, MSG_RECORD_LAUNCH, 11, &message, sizeof(message)),
			 MSG_RECORDED);
}

static void sample(struct house *house, __u32 jail_id)
{
	struct custody_event event = fixture_event(jail_id);

	recorder_take_sample(&house->recorder, &event, sizeof(event));
}

static void change_state(struct house *house, __u32 jail_id, __u32 to)
{
	struct record_state message = {
		.state = { .jail_id = jail_id, .state = to, .why = "test" },
	};

	assert_int_equal(tell(house, MSG_RECORD_STATE, 12, &message, sizeof(message)),
			 MSG_RECORDED);
}

static void facts(struct house *house, __u32 jail_id, __u32 left)
{
	for (__u32 phase = EVIDENCE_BEFORE_ERASE; phase <= EVIDENCE_AFTER_ERASE; phase++) {
		for (__u32 id = 1; id < _FACT_MAX; id++) {
			struct record_fact message = { .fact = fixture_fact(jail_id, id, phase) };

			if (id == left)
				message.fact.fact.value = 2;
			if (id == FACT_SOCKETS_UNIX)
				memcpy(message.fact.fact.detail, "/run/\x1b[31mx\xff", 13);
			(void)tell(house, MSG_RECORD_FACT, 0, &message, sizeof(message));
		}
	}
}

static const struct retired *retire(struct house *house, __u32 jail_id)
{
	struct record_retire message = { .retire = fixture_retire(jail_id) };

	assert_int_equal(tell(house, MSG_RECORD_RETIRE, 13, &message, sizeof(message)),
			 MSG_RETIRED);
	return (const struct retired *)&house->answer;
}

static void live_and_retire(struct house *house, __u32 jail_id, __u32 left)
{
	launch(house, jail_id);
	sample(house, jail_id);
	sample(house, jail_id + 1);	/* somebody else's record in between */
	change_state(house, jail_id, JAIL_STATE_RETIRING);
	facts(house, jail_id, left);
	(void)retire(house, jail_id);
}

#endif
