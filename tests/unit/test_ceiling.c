/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Egress ceilings: the account on disk (kept, and refused when any byte of it is wrong), the
 * limits that are made from a plan, and what a plan may ask for.
 *
 * link: daemon/warden/ceiling_file.c daemon/warden/ceiling_weights.c
 * link: daemon/warden/policy_ceiling.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "daemon/warden/ceiling_file.h"
#include "daemon/warden/ceiling_weights.h"
#include "daemon/warden/policy_ceiling.h"
#include "plan.h"
#include "plan_fixture.h"

struct house {
	char dir[32];
	char path[64];
	struct ceiling_file file;
};

static int house_make(void **state)
{
	struct house *h = calloc(1, sizeof(*h));

	if (!h)
		return -1;
	(void)snprintf(h->dir, sizeof(h->dir), "/tmp/ceiling.XXXXXX");
	if (!mkdtemp(h->dir))
		return -1;
	(void)snprintf(h->path, sizeof(h->path), "%s/digits", h->dir);
	ceiling_file_begin(&h->file, "digits");
	ceiling_file_find(&h->file, "")->used = 1234567;
	ceiling_file_find(&h->file, "tcp:10.0.0.5:443")->used = 89;
	*state = h;
	return 0;
}

static int house_free(void **state)
{
	static const char *const names[] = { "digits", ".digits", "other", "link", "hole" };
	struct house *h = *state;
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", h->dir, names[i]);
		(void)remove(path);
	}
	(void)rmdir(h->dir);
	free(h);
	return 0;
}

static void house_write(const struct house *h, const void *bytes, size_t n)
{
	int fd = open(h->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	(void)close(fd);
}

static void test_kept(void **state)
{
	struct house *h = *state;
	struct ceiling_file back;
	const char *why = "";

	assert_int_equal(ceiling_file_load(h->dir, "digits", &back, &why), -ENOENT);
	assert_int_equal(ceiling_file_save(h->dir, &h->file), 0);
	assert_int_equal(ceiling_file_load(h->dir, "digits", &back, &why), 0);
	assert_int_equal(back.n_rows, 2);
	assert_int_equal(ceiling_file_find(&back, "")->used, 1234567);
	assert_int_equal(ceiling_file_find(&back, "tcp:10.0.0.5:443")->used, 89);
	assert_int_equal(ceiling_file_find(&back, "tcp:10.0.0.6:443")->used, 0);
	assert_int_equal(ceiling_file_remove(h->dir, "digits"), 0);
	assert_int_equal(ceiling_file_remove(h->dir, "digits"), 0);
	assert_int_equal(ceiling_file_load(h->dir, "digits", &back, &why), -ENOENT);
	assert_int_equal(ceiling_file_load(h->dir, "../digits", &back, &why), -EINVAL);
}

/* What is there stays when the new one cannot be written. */
static void test_failed_save(void **state)
{
	struct house *h = *state;
	struct ceiling_file back;
	const char *why = "";
	char block[64];

	assert_int_equal(ceiling_file_save(h->dir, &h->file), 0);
	(void)snprintf(block, sizeof(block), "%s/.digits", h->dir);
	assert_int_equal(mkdir(block, 0700), 0);
	ceiling_file_find(&h->file, "")->used = 2345678;
	assert_true(ceiling_file_save(h->dir, &h->file) < 0);
	assert_int_equal(ceiling_file_load(h->dir, "digits", &back, &why), 0);
	assert_int_equal(ceiling_file_find(&back, "")->used, 1234567);
	assert_true(ceiling_file_save("/nonexistent", &h->file) < 0);
}

static void test_torn(void **state)
{
	static const size_t sizes[] = { 0, 1, 79, 80, 4096, sizeof(struct ceiling_file) - 1 };
	struct house *h = *state;
	struct ceiling_file back = { .n_rows = 77 };
	__u8 long_one[sizeof(h->file) + 1] = { 0 };

	assert_int_equal(ceiling_file_save(h->dir, &h->file), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const char *why = "";

		house_write(h, &h->file, sizes[i]);
		assert_int_equal(ceiling_file_load(h->dir, "digits", &back, &why), -EPROTO);
		assert_string_equal(why, "it has the wrong size");
	}
	memcpy(long_one, &h->file, sizeof(h->file));
	house_write(h, long_one, sizeof(long_one));
	const char *why = "";

	assert_int_equal(ceiling_file_load(h->dir, "digits", &back, &why), -EPROTO);
	assert_int_equal(back.n_rows, 77);	/* untouched */
}

/* Every byte counts. */
static void test_garbage(void **state)
{
	struct house *h = *state;
	__u8 bytes[sizeof(h->file)];

	assert_int_equal(ceiling_file_save(h->dir, &h->file), 0);
	memcpy(bytes, &h->file, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		const char *why = "";

		bytes[i] ^= 0x10;
		assert_int_equal(ceiling_file_check(bytes, sizeof(bytes), "digits", &why), -EPROTO);
		assert_string_not_equal(why, "");
		bytes[i] ^= 0x10;
	}
	const char *why = "";

	assert_int_equal(ceiling_file_check(bytes, sizeof(bytes), "digits", &why), 0);
	assert_int_equal(ceiling_file_check(bytes, sizeof(bytes), "digit", &why), -EPROTO);
	assert_string_equal(why, "it is another model's");
}

/* With a digest that is right, what is inside is still looked at. */
static void test_malformed(void **state)
{
	struct house *h = *state;
	struct ceiling_file back;
	const char *why = "";

	h->file.n_rows = CEILING_FILE_ROWS + 1;
	assert_int_equal(ceiling_file_save(h->dir, &h->file), 0);
	assert_int_equal(ceiling_file_load(h->dir, "digits", &back, &why), -EPROTO);
	assert_string_equal(why, "it has too many rows");
	h->file.n_rows = 2;
	memset(h->file.rows[1].endpoint, 'x', CEILING_FILE_ENDPOINT);
	assert_int_equal(ceiling_file_save(h->dir, &h->file), 0);
	assert_int_equal(ceiling_file_load(h->dir, "digits", &back, &why), -EPROTO);
	assert_string_equal(why, "an endpoint in it has no end");
	assert_int_equal(unlink(h->path), 0);
	assert_int_equal(symlink("/etc/passwd", h->path), 0);
	assert_int_equal(ceiling_file_load(h->dir, "digits", &back, &why), -ELOOP);
}

static void test_rows(void **state)
{
	struct house *h = *state;
	char name[CEILING_FILE_ENDPOINT + 1] = "";

	for (unsigned int i = 2; i < CEILING_FILE_ROWS; i++) {
		(void)snprintf(name, sizeof(name), "tcp:10.0.0.1:%u", i);
		assert_non_null(ceiling_file_find(&h->file, name));
	}
	assert_null(ceiling_file_find(&h->file, "tcp:10.0.0.1:9999"));
	assert_non_null(ceiling_file_find(&h->file, "tcp:10.0.0.1:5"));
	h->file.n_rows = 2;
	memset(name, 'x', sizeof(name) - 1);
	assert_null(ceiling_file_find(&h->file, name));
}

static void test_weights(void **state)
{
	struct house *h = *state;
	static __u8 block[1 << 20];
	__u64 sum = 77;
	char other[64];

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (__u8)(i * 2654435761U >> 11);
	house_write(h, block, sizeof(block));
	assert_int_equal(ceiling_weights_measure(h->dir, &sum), 0);
	assert_int_equal(sum, sizeof(block));
	/* a second name, a hole and a link add nothing */
	(void)snprintf(other, sizeof(other), "%s/other", h->dir);
	assert_int_equal(link(h->path, other), 0);
	assert_int_equal(ceiling_weights_measure(h->dir, &sum), 0);
	assert_int_equal(sum, sizeof(block));
	(void)snprintf(other, sizeof(other), "%s/link", h->dir);
	assert_int_equal(symlink("/usr", other), 0);
	(void)snprintf(other, sizeof(other), "%s/hole", h->dir);
	assert_int_equal(close(open(other, O_CREAT | O_WRONLY, 0600)), 0);
	assert_int_equal(truncate(other, 1LL << 40), 0);
	assert_int_equal(ceiling_weights_measure(h->dir, &sum), 0);
	assert_int_equal(sum, sizeof(block));
	assert_true(ceiling_weights_measure("/nonexistent", &sum) < 0);
}

static void test_limits(void **state)
{
	static struct custody_plan plan;
	struct ceiling_limits limits;

	(void)state;
	plan_fixture_make(&plan);
	assert_false(policy_has_ceilings(&plan));
	plan.on_rate = CEILING_THROTTLE;
	plan.on_ceiling = CEILING_FREEZE;
	plan.ceilings[0].rate = 1000;
	plan.ceilings[CEILING_MODEL].rate = CEILING_RATE_MAX;
	assert_true(policy_has_ceilings(&plan));
	policy_build_ceilings(&plan, 5000, &limits);
	assert_int_equal(limits.on_total, CEILING_FREEZE);
	assert_int_equal(limits.slot[0].burst, CEILING_BURST_MIN);
	assert_int_equal(limits.slot[0].fill_ns, CEILING_BURST_MIN * 1000000);
	assert_int_equal(limits.slot[0].granted, CEILING_NONE);
	assert_int_equal(limits.slot[CEILING_MODEL].burst, CEILING_RATE_MAX / 4);
	assert_int_equal(limits.slot[CEILING_MODEL].fill_ns, 250000000);
	assert_int_equal(limits.slot[CEILING_MODEL].total, 5000);
	assert_int_equal(limits.slot[CEILING_MODEL].granted, 0);	/* nothing yet */
	/* what the packet program multiplies stays below 2^64 */
	assert_true(limits.slot[CEILING_MODEL].burst <= UINT64_MAX / 1000000000);
}

static void test_plan(void **state)
{
	static struct custody_plan plan, good;
	const char *why = "";

	(void)state;
	plan_fixture_make(&plan);
	plan.endpoints[2] = (struct plan_endpoint){ 0 };	/* the UNIX one */
	plan.n_endpoints = 2;
	plan.on_ceiling = CEILING_CUT;
	plan.ceilings[1].total = 1;
	plan.ceilings[CEILING_MODEL].total = PLAN_TOTAL_AUTO;
	good = plan;
	assert_true(plan_check(&plan, &why));
#define REFUSED(change, reason)                                                                    \
	do {                                                                                       \
		plan = good;                                                                       \
		change;                                                                            \
		assert_false(plan_check(&plan, &why));                                             \
		assert_non_null(strstr(why, reason));                                              \
	} while (0)
	REFUSED(plan.ceilings[2].total = 1, "without its endpoint");
	REFUSED(plan.ceilings[0].total = PLAN_TOTAL_AUTO, "out of range");
	REFUSED(plan.ceilings[0].total = CEILING_TOTAL_MAX + 1, "out of range");
	REFUSED(plan.on_rate = 1; plan.ceilings[0].rate = CEILING_RATE_MAX + 1, "out of range");
	REFUSED(plan.on_rate = CEILING_CUT, "one without a ceiling");
	REFUSED(plan.ceilings[0].rate = 1, "unknown answer");
	REFUSED(plan.on_ceiling = 0, "unknown answer");
	REFUSED(plan.on_ceiling = _CEILING_ACTION_MAX, "unknown answer");
	plan_fixture_make(&plan);
	plan.on_ceiling = CEILING_CUT;
	plan.ceilings[CEILING_MODEL].total = 1;
	assert_false(plan_check(&plan, &why));
	assert_non_null(strstr(why, "UNIX"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, house_make, house_free)
	const struct CMUnitTest tests[] = {
		TEST(test_kept),      TEST(test_failed_save), TEST(test_torn),
		TEST(test_garbage),   TEST(test_malformed),   TEST(test_rows),
		TEST(test_weights),   cmocka_unit_test(test_limits), cmocka_unit_test(test_plan),
	};

	return cmocka_run_group_tests_name("ceiling", tests, NULL, NULL);
}
