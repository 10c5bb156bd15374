/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of the recorder and of custody-verify's check, against each other: a retirement through
 * real messages, its evidence accepted, and refused with any byte of it changed or cut.
 * link: daemon/recorder/recorder.c daemon/recorder/open.c daemon/recorder/retire.c
 * link: daemon/recorder/event.c daemon/recorder/bundle.c
 * link: tools/custody-verify/check.c tools/custody-verify/difference.c
 */
#include <errno.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cleanup.h"
#include "daemon/recorder/event.h"
#include "daemon/recorder/recorder.h"
#include "dsse.h"
#include "ledger_fixture.h"
#include "recorder_house.h"
#include "tools/custody-verify/check.h"

struct files {
	char *bytes[3];
	size_t n[3];
};

static const char *const names[] = {
	RETIREMENT_FILE_STATEMENT, RETIREMENT_FILE_RECORDS, RETIREMENT_FILE_HEAD,
};

static struct files load(struct house *house, const char *directory)
{
	int fd = openat(house->evidence, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct files files;

	assert_true(fd >= 0);
	for (int i = 0; i < 3; i++) {
		files.bytes[i] = fixture_read(fd, names[i], &files.n[i]);
		assert_non_null(files.bytes[i]);
	}
	(void)close(fd);
	return files;
}

static void unload(struct files *files)
{
	for (int i = 0; i < 3; i++)
		free(files->bytes[i]);
}

static bool verify(struct house *house, const struct files *files)
{
	/* exact copies, so that a read beyond the end is seen */
	struct files copy;
	struct check_bundle bundle;
	bool ok;

	for (int i = 0; i < 3; i++) {
		copy.bytes[i] = malloc(files->n[i] ? files->n[i] : 1);
		memcpy(copy.bytes[i], files->bytes[i], files->n[i]);
		copy.n[i] = files->n[i];
	}
	bundle = (struct check_bundle){
		.statement = { copy.bytes[0], copy.n[0] }, .records = { copy.bytes[1], copy.n[1] },
		.head = { copy.bytes[2], copy.n[2] }, .key = house->recorder.key,
	};
	ok = check_bundle(&bundle, &house->result, &house->failure);
	unload(&copy);
	return ok;
}

static void test_clean_retirement(void **state)
{
	struct house *house = *state;
	const struct retired *retired = (const struct retired *)&house->answer;
	struct files files;
	struct stat st;

	live_and_retire(house, FIXTURE_JAIL, 0);
	assert_int_equal(retired->verdict, VERDICT_CLEAN);
	assert_string_equal(retired->evidence, "digits-7");
	assert_string_equal(retired->text, "");
	files = load(house, "digits-7");
	if (!verify(house, &files))
		fail_msg("%s %llu: %s", house->failure.file, house->failure.offset,
			 house->failure.why);
	assert_int_equal(house->result.verdict.verdict, VERDICT_CLEAN);
	assert_int_equal(house->result.retirement.events, 1);
	assert_int_equal(house->result.retirement.denied, 1);
	unload(&files);
	assert_int_equal(fstatat(house->evidence, "digits-7", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0750);
	assert_int_equal(fstatat(house->evidence, ".unfinished", &st, 0), -1);
}

/* Every byte of every file, whichever bit of it; and every file cut short anywhere. */
static void test_every_byte_counts(void **state)
{
	struct house *house = *state;
	struct files files;

	live_and_retire(house, FIXTURE_JAIL, 0);
	files = load(house, "digits-7");
	assert_true(verify(house, &files));
	for (int f = 0; f < 3; f++) {
		for (size_t i = 0; i < files.n[f]; i++) {
			char bit = (char)(1 << (i % 8));

			files.bytes[f][i] = (char)(files.bytes[f][i] ^ bit);
			if (verify(house, &files))
				fail_msg("%s: byte %zu was changed unnoticed", names[f], i);
			assert_true(strlen(house->failure.why) > 10);
			files.bytes[f][i] = (char)(files.bytes[f][i] ^ bit);
		}
		for (size_t whole = files.n[f]; files.n[f] > 0;) {
			files.n[f]--;
			if (verify(house, &files))
				fail_msg("%s: cut to %zu bytes unnoticed", names[f], files.n[f]);
			if (files.n[f] == 0) {
				files.n[f] = whole;
				break;
			}
		}
	}
	assert_true(verify(house, &files));
	unload(&files);
}

/* Files of two bundles of the same ledger and key do not go together. */
static void test_mixed_bundles(void **state)
{
	struct house *house = *state;
	struct files a, b, mix;

	live_and_retire(house, FIXTURE_JAIL, FACT_SOCKETS_INET);
	live_and_retire(house, FIXTURE_JAIL + 10, 0);
	a = load(house, "digits-7");
	b = load(house, "digits-17");
	assert_true(verify(house, &a));
	assert_int_equal(house->result.verdict.verdict, VERDICT_RESIDUE);
	assert_true(verify(house, &b));
	for (int i = 1; i < 7; i++) {
		for (int f = 0; f < 3; f++) {
			mix.bytes[f] = i & 1 << f ? a.bytes[f] : b.bytes[f];
			mix.n[f] = i & 1 << f ? a.n[f] : b.n[f];
		}
		assert_false(verify(house, &mix));
	}
	unload(&a);
	unload(&b);
}

/* The recorder itself, with the right key, cannot sign a verdict that the facts do not give. */
static void test_lying_recorder(void **state)
{
	struct house *house = *state;
	struct files files;
	char *payload = NULL, *forged = NULL, *at;
	const char *why;
	size_t n = 0, offset, forged_n = 0;

	live_and_retire(house, FIXTURE_JAIL, FACT_SOCKETS_INET);
	files = load(house, "digits-7");
	assert_int_equal(dsse_open(files.bytes[0], files.n[0], DSSE_TYPE_INTOTO,
				   house->recorder.key, &payload, &n, &why, &offset), 0);
	at = strstr(payload, "\"verdict\":\"residue\"");
	assert_non_null(at);
	memcpy(at, "\"verdict\":\"cleaned\"", 19);
	assert_int_equal(dsse_seal(DSSE_TYPE_INTOTO, payload, n, house->recorder.key, &forged,
				   &forged_n), 0);
	free(files.bytes[0]);
	files.bytes[0] = forged;
	files.n[0] = forged_n;
	assert_false(verify(house, &files));
	assert_non_null(strstr(house->failure.why, "predicate.verdict"));
	free(payload);
	unload(&files);
}

static void test_residue_and_retry(void **state)
{
	struct house *house = *state;
	const struct retired *retired = (const struct retired *)&house->answer;
	struct files files;

	live_and_retire(house, FIXTURE_JAIL, FACT_SOCKETS_INET);
	assert_int_equal(retired->verdict, VERDICT_RESIDUE);
	assert_non_null(strstr(retired->text, "sockets-inet: 2"));
	change_state(house, FIXTURE_JAIL, JAIL_STATE_RETIRING);
	facts(house, FIXTURE_JAIL, 0);
	assert_int_equal(retire(house, FIXTURE_JAIL)->verdict, VERDICT_CLEAN);
	assert_string_equal(retired->evidence, "digits-7.2");
	files = load(house, "digits-7.2");
	assert_true(verify(house, &files));
	assert_int_equal(house->result.verdict.verdict, VERDICT_CLEAN);
	unload(&files);
}

static void test_missing_and_lost(void **state)
{
	struct house *house = *state;
	struct files files;
	char junk[400] = "junk";

	launch(house, FIXTURE_JAIL);
	recorder_take_sample(&house->recorder, junk, sizeof(struct custody_event));
	recorder_take_sample(&house->recorder, junk, 3);
	facts(house, FIXTURE_JAIL, 0);
	assert_int_equal(retire(house, FIXTURE_JAIL)->verdict, VERDICT_INCOMPLETE);
	files = load(house, "digits-7");
	assert_true(verify(house, &files));
	assert_int_equal(house->result.verdict.verdict, VERDICT_INCOMPLETE);
	assert_int_equal(house->result.retirement.lost, 2);
	unload(&files);
	/* another jail, no facts at all */
	launch(house, 9);
	assert_int_equal(retire(house, 9)->verdict, VERDICT_INCOMPLETE);
	files = load(house, "digits-9");
	assert_true(verify(house, &files));
	unload(&files);
}

static void test_refusals(void **state)
{
	struct house *house = *state;
	struct record_retire message = { .retire = fixture_retire(FIXTURE_JAIL) };
	struct record_launch again = { .launch = fixture_launch(FIXTURE_JAIL) };
	struct record_event event = { .event = fixture_event(FIXTURE_JAIL) };
	const struct refused *refused = (const struct refused *)&house->answer;

	assert_int_equal(tell(house, MSG_RECORD_RETIRE, 5, &message, sizeof(message)), MSG_REFUSED);
	assert_non_null(strstr(refused->text, "no launch"));
	launch(house, FIXTURE_JAIL);
	assert_int_equal(tell(house, MSG_RECORD_LAUNCH, 5, &again, sizeof(again)), MSG_REFUSED);
	message.retire.plan_digest[0] ^= 1;
	assert_int_equal(tell(house, MSG_RECORD_RETIRE, 5, &message, sizeof(message)), MSG_REFUSED);
	assert_non_null(strstr(refused->text, "not what was launched"));
	/* an event of a kernel plane is none of the broker's */
	assert_int_equal(tell(house, MSG_RECORD_EVENT, 5, &event, sizeof(event)), MSG_REFUSED);
	event.event.plane = EVENT_PLANE_BROKER;
	assert_int_equal(tell(house, MSG_RECORD_EVENT, 5, &event, sizeof(event)), MSG_RECORDED);
	/* but custodyd sees that a limit was run into */
	event.event.plane = EVENT_PLANE_CGROUP;
	assert_int_equal(tell(house, MSG_RECORD_EVENT, 5, &event, sizeof(event)), MSG_REFUSED);
	event.event.class = POLICY_CLASS_LIMIT;
	assert_int_equal(tell(house, MSG_RECORD_EVENT, 5, &event, sizeof(event)), MSG_RECORDED);
	event.event.plane = EVENT_PLANE_LSM;
	assert_int_equal(tell(house, MSG_RECORD_EVENT, 5, &event, sizeof(event)), MSG_REFUSED);
}

static void test_restart(void **state)
{
	struct house *house = *state;
	char problem[CUSTODY_TEXT_SIZE] = "";
	struct files files;
	struct stat st;

	launch(house, FIXTURE_JAIL);
	sample(house, FIXTURE_JAIL);
	assert_int_equal(recorder_end(&house->recorder), 0);
	recorder_close(&house->recorder);
	assert_int_equal(start(house, problem, sizeof(problem)), 0);
	change_state(house, FIXTURE_JAIL, JAIL_STATE_RETIRING);
	facts(house, FIXTURE_JAIL, 0);
	assert_int_equal(retire(house, FIXTURE_JAIL)->verdict, VERDICT_CLEAN);
	files = load(house, "digits-7");
	assert_true(verify(house, &files));
	unload(&files);
	/* another key for this ledger is refused */
	recorder_close(&house->recorder);
	assert_int_equal(ftruncate(house->key, 0), 0);
	assert_int_equal(start(house, problem, sizeof(problem)), -EKEYREJECTED);
	assert_non_null(strstr(problem, "signing key"));
	assert_int_equal(fstatat(house->ledger, LEDGER_VKEY, &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
}

static void test_fsync_policy(void **state)
{
	struct house *house = *state;

	sample(house, 3);
	assert_int_equal(ledger_unsynced(house->recorder.ledger), 1);
	assert_in_range(recorder_tick(&house->recorder), 1, 50);
	assert_int_equal(ledger_unsynced(house->recorder.ledger), 1);
	(void)usleep(60000);
	(void)recorder_tick(&house->recorder);
	assert_int_equal(ledger_unsynced(house->recorder.ledger), 0);
	sample(house, 3);
	launch(house, 3);	/* a launch takes everything before it along */
	assert_int_equal(ledger_unsynced(house->recorder.ledger), 0);
}

static void decode_path(const char *in, const char *want, bool truncated)
{
	struct custody_event event = fixture_event(1), out;
	const char *why = "";

	memset(event.path, 'Z', sizeof(event.path));	/* what follows is not read */
	memcpy(event.path, in, strlen(in));
	event.path_len = (__u16)strlen(in);
	assert_true(event_decode_ring(&event, sizeof(event), &out, &why));
	assert_int_equal(out.path_len, strlen(want));
	assert_memory_equal(out.path, want, out.path_len);
	for (size_t i = out.path_len; i < sizeof(out.path); i++)
		assert_int_equal(out.path[i], 0);
	assert_int_equal(!!(out.flags & EVENT_FLAG_PATH_TRUNCATED), truncated);
}

static void test_paths(void **state)
{
	struct custody_event event = fixture_event(1), out;
	const char *why = "";

	(void)state;
	decode_path("model.gguf/llama/", "/llama/model.gguf", false);
	decode_path("a/", "/a", false);
	decode_path("", "", false);
	decode_path("x/memfd:a/", "/memfd:a/x", false);
	decode_path("b//a/", "/a//b", false);
	decode_path("leaf/cu", "/cu/leaf", true);
	decode_path("//", "//", false);
	memset(event.path, 'q', sizeof(event.path));
	event.path_len = sizeof(event.path);
	assert_true(event_decode_ring(&event, sizeof(event), &out, &why));
	assert_int_equal(out.path_len, 256);
	assert_int_equal(out.path[0], '/');
	event.path_len = 257;
	assert_false(event_decode_ring(&event, sizeof(event), &out, &why));
}

static void test_malformed_events(void **state)
{
	struct custody_event out;
	const char *why;
	const struct {
		size_t off, size;
		__u32 value;
	} bad[] = {
#define BAD(field, value) { offsetof(struct custody_event, field), sizeof(out.field), value }
		BAD(size, 367), BAD(version, 2), BAD(verdict, 0), BAD(verdict, 4), BAD(class, 0),
		BAD(class, _POLICY_CLASS_MAX), BAD(plane, 0), BAD(plane, 3), BAD(plane, 32),
		BAD(plane, EVENT_PLANE_BROKER), BAD(family, 2), BAD(flags, 32), BAD(error, 1),
		BAD(flags, EVENT_FLAG_KILLED), BAD(flags, EVENT_FLAG_FOREIGN),
		BAD(flags, EVENT_FLAG_SITE),
		BAD(error, (__u32)-5000), BAD(path_len, 300),
#undef BAD
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct custody_event event = fixture_event(1);

		memcpy((char *)&event + bad[i].off, &bad[i].value, bad[i].size);
		assert_false(event_decode_ring(&event, sizeof(event), &out, &why));
	}
}

/* The site of a refused system call takes the place of an address, which it then cannot have. */
static void test_call_sites(void **state)
{
	struct custody_event event = fixture_event(1), out;
	const char *why = "";

	(void)state;
	event.class = POLICY_CLASS_SYSCALL;
	event.family = 0;
	event.flags = EVENT_FLAG_SITE | EVENT_FLAG_KILLED | EVENT_FLAG_FOREIGN;
	event.site = (struct event_site){ .address = 0x7f0000001234, .offset = 0x1234 };
	assert_true(event_decode_ring(&event, sizeof(event), &out, &why));
	assert_int_equal(out.site.offset, 0x1234);
	event.family = 4;
	assert_false(event_decode_ring(&event, sizeof(event), &out, &why));
	assert_non_null(strstr(why, "refused system call"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_clean_retirement), T(test_every_byte_counts), T(test_mixed_bundles),
		T(test_lying_recorder), T(test_residue_and_retry), T(test_missing_and_lost),
		T(test_refusals), T(test_restart), T(test_fsync_policy),
		cmocka_unit_test(test_paths), cmocka_unit_test(test_malformed_events),
		cmocka_unit_test(test_call_sites),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
