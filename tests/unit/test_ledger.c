/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of ledger.c, ledger_reader.c and record.c, in both directions: what is whole is accepted,
 * what was changed anywhere is refused with its place, and a failing disk leaves old or new.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <cmocka.h>

#include "cleanup.h"
#include "ledger.h"
#include "ledger_fixture.h"

#define ORIGIN "custody/test/chain-v1"

struct place {
	char path[40];
	int dirfd;
	struct key *key;
};

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	memcpy(place->path, "/tmp/custody-ledger-XXXXXX", 27);
	place->dirfd = fixture_make_directory(place->path);
	*state = place;
	return place->dirfd < 0 || key_make(&place->key) < 0;
}

static int tear_down(void **state)
{
	struct place *place = *state;

	(void)close(place->dirfd);
	fixture_remove(AT_FDCWD, place->path);
	key_free(&place->key);
	free(place);
	return 0;
}

static int open_at(int dirfd, struct ledger **ret, struct ledger_problem *problem)
{
	return ledger_open(dirfd, NULL, 0, NULL, NULL, ret, problem);
}

static int append_event(struct ledger *ledger)
{
	struct custody_event event = fixture_event(FIXTURE_JAIL);

	return ledger_append(ledger, LEDGER_EVENT, FIXTURE_JAIL, &event, sizeof(event), NULL);
}

/* opened, launch, two events, state, gap; a head after the launch and one at the end when asked. */
static void write_ledger(const struct place *place, bool head_at_end)
{
	struct ledger_problem problem;
	struct ledger *ledger = NULL;
	struct ledger_opened opened = { .kernel = "6.18" };
	struct ledger_launch launch = fixture_launch(FIXTURE_JAIL);
	struct ledger_state change = { .jail_id = FIXTURE_JAIL, .state = 2, .why = "started" };
	struct ledger_gap gap = { .jail_id = FIXTURE_JAIL, .cause = 1, .lost = 3, .total = 3 };
	__u64 seq = 99;

	assert_int_equal(open_at(place->dirfd, &ledger, &problem), 0);
	assert_int_equal(ledger_append(ledger, LEDGER_OPENED, 0, &opened, sizeof(opened), &seq), 0);
	assert_int_equal(seq, 0);
	assert_int_equal(ledger_append(ledger, LEDGER_LAUNCH, FIXTURE_JAIL, &launch,
				       sizeof(launch), &seq), 0);
	assert_int_equal(ledger_sign(ledger, place->key, ORIGIN, NULL), 0);
	assert_int_equal(append_event(ledger), 0);
	assert_int_equal(append_event(ledger), 0);
	assert_int_equal(ledger_append(ledger, LEDGER_STATE, FIXTURE_JAIL, &change,
				       sizeof(change), &seq), 0);
	assert_int_equal(ledger_append(ledger, LEDGER_GAP, FIXTURE_JAIL, &gap, sizeof(gap),
				       &seq), 0);
	assert_int_equal(seq, 5);
	assert_int_equal(ledger_sync(ledger, NULL), 0);
	if (head_at_end)
		assert_int_equal(ledger_sign(ledger, place->key, ORIGIN, NULL), 0);
	ledger_close(&ledger);
}

/* Reads everything; records read, or -errno with *ret_seq. */
static int read_log(int dirfd, __u64 *ret_seq)
{
	struct ledger_reader *reader = malloc(sizeof(*reader));
	struct record_entry entry;
	const char *why = "";
	int fd = openat(dirfd, LEDGER_LOG, O_RDONLY | O_CLOEXEC);
	int r;

	ledger_reader_setup(reader, fd, 0, 0, NULL, true);
	do {
		r = ledger_reader_next(reader, &entry, &why);
	} while (r == 0);
	*ret_seq = reader->seq;
	(void)close(fd);
	free(reader);
	return r == -ENODATA ? 0 : r;
}

static void test_round(void **state)
{
	struct place *place = *state;
	struct ledger_problem problem;
	struct ledger *ledger = NULL;
	struct stat st;
	__u64 seq;

	write_ledger(place, true);
	assert_int_equal(read_log(place->dirfd, &seq), 0);
	assert_int_equal(seq, 6);
	assert_int_equal(fstatat(place->dirfd, LEDGER_LOG, &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(open_at(place->dirfd, &ledger, &problem), 0);
	assert_int_equal(ledger_size(ledger), 6);
	assert_int_equal(ledger_torn(ledger), 0);
	assert_int_equal(append_event(ledger), 0);
	assert_int_equal(ledger_sync(ledger, NULL), 0);
	ledger_close(&ledger);
	assert_int_equal(read_log(place->dirfd, &seq), 0);
	assert_int_equal(seq, 7);
}

static void test_one_writer(void **state)
{
	struct place *place = *state;
	struct ledger_problem problem;
	struct ledger *first = NULL, *second = NULL;

	assert_int_equal(open_at(place->dirfd, &first, &problem), 0);
	assert_int_equal(open_at(place->dirfd, &second, &problem), -EBUSY);
	ledger_close(&first);
	assert_int_equal(open_at(place->dirfd, &second, &problem), 0);
	ledger_close(&second);
}

static int append(struct ledger *ledger, __u32 type, __u32 jail_id, const void *payload, size_t n)
{
	return ledger_append(ledger, type, jail_id, payload, n, NULL);
}

static void test_bad_records_are_refused(void **state)
{
	struct place *place = *state;
	struct ledger_problem problem;
	struct ledger *ledger = NULL;
	struct custody_event event = fixture_event(1);
	struct ledger_launch launch = fixture_launch(1);

	assert_int_equal(open_at(place->dirfd, &ledger, &problem), 0);
	event.verdict = 9;
	assert_int_equal(append(ledger, LEDGER_EVENT, 1, &event, sizeof(event)), -EINVAL);
	event = fixture_event(1);
	assert_int_equal(append(ledger, LEDGER_EVENT, 2, &event, sizeof(event)), -EINVAL);
	assert_int_equal(append(ledger, LEDGER_EVENT, 1, &event, 8), -EINVAL);
	assert_int_equal(append(ledger, _LEDGER_TYPE_MAX, 1, &event, sizeof(event)), -EINVAL);
	memcpy(launch.name, "../evil", 8);
	assert_int_equal(append(ledger, LEDGER_LAUNCH, 1, &launch, sizeof(launch)), -EINVAL);
	launch = fixture_launch(1);
	memset(launch.profile, 'a', sizeof(launch.profile));
	assert_int_equal(append(ledger, LEDGER_LAUNCH, 1, &launch, sizeof(launch)), -EINVAL);
	assert_int_equal(ledger_size(ledger), 0);
	ledger_close(&ledger);
}

/* Every flipped byte of a ledger whose end is signed is refused, at the right record. */
static void test_flip_every_byte(void **state)
{
	struct place *place = *state;
	struct ledger_problem problem;
	struct ledger *ledger = NULL;
	size_t n = 0, record_end = 0;
	__u64 expect = 0, seq;
	char *bytes;

	write_ledger(place, true);
	bytes = fixture_read(place->dirfd, LEDGER_LOG, &n);
	assert_non_null(bytes);
	for (size_t i = 0; i < n; i++) {
		struct ledger_record head;
		char *after;
		size_t after_n = 0;

		if (i == record_end) {
			memcpy(&head, bytes + i, sizeof(head));
			record_end += sizeof(head) + head.length;
			expect = head.seq;
		}
		bytes[i] ^= 1;
		assert_int_equal(fixture_write(place->dirfd, LEDGER_LOG, bytes, n), 0);
		assert_true(read_log(place->dirfd, &seq) < 0);
		assert_int_equal(seq, expect);
		assert_int_equal(open_at(place->dirfd, &ledger, &problem), -EBADMSG);
		assert_int_equal(problem.seq, expect);
		assert_true(problem.offset <= i && strlen(problem.why) > 0);
		after = fixture_read(place->dirfd, LEDGER_LOG, &after_n);
		assert_int_equal(after_n, n);	/* and it is left for inquiry */
		assert_memory_equal(after, bytes, n);
		free(after);
		bytes[i] ^= 1;
	}
	free(bytes);
}

/* Cut anywhere: above the newest head it is a torn end and is cut back, below it is refused. */
static void test_truncate_everywhere(void **state)
{
	struct place *place = *state;
	struct ledger_problem problem;
	struct ledger *ledger = NULL;
	size_t signed_end = 2 * sizeof(struct ledger_record) + sizeof(struct ledger_opened) +
			    sizeof(struct ledger_launch);
	size_t n = 0;
	char *bytes;
	__u64 seq;

	write_ledger(place, false);
	bytes = fixture_read(place->dirfd, LEDGER_LOG, &n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(fixture_write(place->dirfd, LEDGER_LOG, bytes, i), 0);
		if (i < signed_end) {
			assert_int_equal(open_at(place->dirfd, &ledger, &problem), -EBADMSG);
			continue;
		}
		assert_int_equal(open_at(place->dirfd, &ledger, &problem), 0);
		assert_true(ledger_size(ledger) >= 2);
		assert_int_equal(ledger_end(ledger) + ledger_torn(ledger), i);
		assert_int_equal(append_event(ledger), 0);
		ledger_close(&ledger);
		assert_int_equal(read_log(place->dirfd, &seq), 0);
	}
	free(bytes);
}

/* The very last record, under no head yet: torn. The one before it: damage. Zeros behind: torn. */
static void test_torn_or_damaged(void **state)
{
	struct place *place = *state;
	struct ledger_problem problem;
	struct ledger *ledger = NULL;
	size_t n = 0;
	size_t last = sizeof(struct ledger_record) + sizeof(struct ledger_gap);
	char *bytes, *longer;

	write_ledger(place, false);
	bytes = fixture_read(place->dirfd, LEDGER_LOG, &n);
	bytes[n - 1] ^= 1;
	assert_int_equal(fixture_write(place->dirfd, LEDGER_LOG, bytes, n), 0);
	assert_int_equal(open_at(place->dirfd, &ledger, &problem), 0);
	assert_int_equal(ledger_torn(ledger), last);
	assert_int_equal(ledger_size(ledger), 5);
	ledger_close(&ledger);
	bytes[n - 1] ^= 1;
	bytes[n - last - 1] ^= 1;
	assert_int_equal(fixture_write(place->dirfd, LEDGER_LOG, bytes, n), 0);
	assert_int_equal(open_at(place->dirfd, &ledger, &problem), -EBADMSG);
	assert_int_equal(problem.seq, 4);
	bytes[n - last - 1] ^= 1;
	longer = calloc(1, n + 5000);
	memcpy(longer, bytes, n);
	assert_int_equal(fixture_write(place->dirfd, LEDGER_LOG, longer, n + 5000), 0);
	assert_int_equal(open_at(place->dirfd, &ledger, &problem), 0);
	assert_int_equal(ledger_torn(ledger), 5000);
	ledger_close(&ledger);
	longer[n + 4000] = 1;
	assert_int_equal(fixture_write(place->dirfd, LEDGER_LOG, longer, n + 5000), 0);
	assert_int_equal(open_at(place->dirfd, &ledger, &problem), -EBADMSG);
	free(longer);
	free(bytes);
}

/* Records taken out, doubled or swapped keep their own bytes, and are noticed all the same. */
static void test_reordered(void **state)
{
	struct place *place = *state;
	size_t a = sizeof(struct ledger_record) + sizeof(struct ledger_opened);
	size_t e = a + sizeof(struct ledger_record) + sizeof(struct ledger_launch);
	size_t len = sizeof(struct ledger_record) + sizeof(struct custody_event);
	size_t n = 0;
	char *bytes, *other;
	__u64 seq;

	write_ledger(place, true);
	bytes = fixture_read(place->dirfd, LEDGER_LOG, &n);
	other = malloc(n + len);
	memcpy(other, bytes, e);	/* without the first event */
	memcpy(other + e, bytes + e + len, n - e - len);
	assert_int_equal(fixture_write(place->dirfd, LEDGER_LOG, other, n - len), 0);
	assert_int_equal(read_log(place->dirfd, &seq), -EBADMSG);
	assert_int_equal(seq, 2);
	memcpy(other, bytes, n);	/* the two events swapped */
	memcpy(other + e, bytes + e + len, len);
	memcpy(other + e + len, bytes + e, len);
	assert_int_equal(fixture_write(place->dirfd, LEDGER_LOG, other, n), 0);
	assert_int_equal(read_log(place->dirfd, &seq), -EBADMSG);
	assert_int_equal(seq, 2);
	memcpy(other, bytes, e + len);	/* the first event twice */
	memcpy(other + e + len, bytes + e, n - e);
	assert_int_equal(fixture_write(place->dirfd, LEDGER_LOG, other, n + len), 0);
	assert_int_equal(read_log(place->dirfd, &seq), -EBADMSG);
	assert_int_equal(seq, 3);
	free(other);
	free(bytes);
}

static void test_heads(void **state)
{
	struct place *place = *state;
	struct ledger_problem problem;
	struct ledger *ledger = NULL;
	size_t n = 0;
	char *heads;

	write_ledger(place, true);
	heads = fixture_read(place->dirfd, LEDGER_HEADS, &n);
	/* a torn last head is cut */
	assert_int_equal(fixture_write(place->dirfd, LEDGER_HEADS, heads, n - 10), 0);
	assert_int_equal(open_at(place->dirfd, &ledger, &problem), 0);
	ledger_close(&ledger);
	free(heads);
	heads = fixture_read(place->dirfd, LEDGER_HEADS, &n);
	assert_int_equal(note_find_end(heads, n) + 1, n);
	/* a malformed one is not */
	heads[0] = ' ';
	assert_int_equal(fixture_write(place->dirfd, LEDGER_HEADS, heads, n), 0);
	assert_int_equal(open_at(place->dirfd, &ledger, &problem), -EBADMSG);
	assert_string_equal(problem.file, LEDGER_HEADS);
	free(heads);
}

/* ---- a disk that fails ---- */

struct fault {
	int left;	/* calls until one fails; that one and all later ones while `lasting` */
	bool lasting;
	bool hit;
	size_t partial;	/* bytes that a failing write leaves all the same */
};

static bool fault_strikes(struct fault *fault)
{
	if (fault->left > 0) {
		fault->left--;
		return false;
	}
	if (fault->hit && !fault->lasting)
		return false;
	fault->hit = true;
	errno = ENOSPC;
	return true;
}

static ssize_t fault_write(void *data, int fd, const void *bytes, size_t n)
{
	struct fault *fault = data;

	if (!fault_strikes(fault))
		return write(fd, bytes, n);
	if (fault->partial > 0 && fault->partial < n) {
		assert_int_equal(write(fd, bytes, fault->partial), (ssize_t)fault->partial);
		errno = ENOSPC;
	}
	return -1;
}

static int fault_sync(void *data, int fd)
{
	return fault_strikes(data) ? -1 : fdatasync(fd);
}

static int fault_truncate(void *data, int fd, off_t size)
{
	return fault_strikes(data) ? -1 : ftruncate(fd, size);
}

/* Appends, syncs, signs; counts what was acknowledged as durable. */
static int work(struct ledger *ledger, const struct place *place, __u64 *durable)
{
	for (int i = 0; i < 4; i++) {
		int r = append_event(ledger);

		if (r == 0)
			r = ledger_sync(ledger, NULL);
		if (r < 0)
			return r;
		*durable = ledger_size(ledger);
	}
	return ledger_sign(ledger, place->key, ORIGIN, NULL);
}

static void fault_once(struct place *place, int n, bool lasting, size_t partial, bool *ret_hit)
{
	struct fault fault = { .left = n, .lasting = lasting, .partial = partial };
	struct ledger_ops ops = { fault_write, fault_sync, fault_truncate, &fault };
	struct ledger_problem problem;
	struct ledger *ledger = NULL;
	__u64 durable = 0;
	__u64 size;

	(void)unlinkat(place->dirfd, LEDGER_LOG, 0);
	(void)unlinkat(place->dirfd, LEDGER_HEADS, 0);
	if (ledger_open(place->dirfd, &ops, 0, NULL, NULL, &ledger, &problem) == 0) {
		int r = work(ledger, place, &durable);

		assert_true((r < 0) == fault.hit);
		/* a disk that recovers: the same writer goes on */
		fault.lasting = false;
		if (r < 0) {
			assert_int_equal(append_event(ledger), 0);
			assert_int_equal(ledger_sync(ledger, NULL), 0);
			durable = ledger_size(ledger);
			assert_int_equal(read_log(place->dirfd, &size), 0);
			assert_int_equal(size, durable);
		}
	}
	ledger_close(&ledger);
	*ret_hit = fault.hit;
	assert_int_equal(open_at(place->dirfd, &ledger, &problem), 0);
	assert_true(ledger_size(ledger) >= durable);
	assert_int_equal(ledger_torn(ledger), 0);
	ledger_close(&ledger);
}

static void test_fault_loop(void **state)
{
	static const size_t partials[] = { 0, 1, 63, 64, 100 };
	struct place *place = *state;

	for (int lasting = 0; lasting <= 1; lasting++) {
		for (size_t p = 0; p < ARRAY_SIZE(partials); p++) {
			bool hit = true;
			int n;

			for (n = 0; hit; n++)
				fault_once(place, n, lasting, partials[p], &hit);
			assert_true(n > 10);
		}
	}
}

/* A writer that dies with bytes that it could not take back: the next one cuts them. */
static void test_killed_with_a_torn_tail(void **state)
{
	struct place *place = *state;
	struct fault fault = { .left = 4, .lasting = true, .partial = 70 };
	struct ledger_ops ops = { fault_write, fault_sync, fault_truncate, &fault };
	struct ledger_problem problem;
	struct ledger *ledger = NULL;

	assert_int_equal(ledger_open(place->dirfd, &ops, 0, NULL, NULL, &ledger, &problem), 0);
	assert_int_equal(append_event(ledger), 0);
	assert_int_equal(ledger_sync(ledger, NULL), 0);
	assert_int_equal(append_event(ledger), 0);
	assert_int_equal(append_event(ledger), -ENOSPC);
	ledger_close(&ledger);
	assert_int_equal(open_at(place->dirfd, &ledger, &problem), 0);
	assert_int_equal(ledger_torn(ledger), 70);
	assert_int_equal(ledger_size(ledger), 2);
	ledger_close(&ledger);
}

/* After a failed sync the unsynced records are gone, and counted. */
static void test_failed_sync(void **state)
{
	struct place *place = *state;
	struct fault fault = { .left = 4 };
	struct ledger_ops ops = { fault_write, fault_sync, fault_truncate, &fault };
	struct ledger_problem problem;
	struct ledger *ledger = NULL;
	__u64 lost = 0, seq;

	assert_int_equal(ledger_open(place->dirfd, &ops, 0, NULL, NULL, &ledger, &problem), 0);
	assert_int_equal(append_event(ledger), 0);
	assert_int_equal(append_event(ledger), 0);
	assert_int_equal(append_event(ledger), 0);
	assert_int_equal(ledger_unsynced(ledger), 3);
	assert_int_equal(ledger_sync(ledger, &lost), -ENOSPC);
	assert_int_equal(lost, 3);
	assert_int_equal(ledger_size(ledger), 0);
	assert_int_equal(append_event(ledger), 0);
	assert_int_equal(ledger_sync(ledger, &lost), 0);
	assert_int_equal(lost, 0);
	ledger_close(&ledger);
	assert_int_equal(read_log(place->dirfd, &seq), 0);
	assert_int_equal(seq, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_round), T(test_one_writer), T(test_bad_records_are_refused),
		T(test_flip_every_byte), T(test_truncate_everywhere), T(test_torn_or_damaged),
		T(test_reordered), T(test_heads), T(test_fault_loop),
		T(test_killed_with_a_torn_tail), T(test_failed_sync),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
