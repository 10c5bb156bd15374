/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of a model: the plan of a check's jail, what is kept of what a check prints, and its
 * record, in the ledger and in a retirement.
 *
 * link: daemon/warden/check_output.c
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "daemon/warden/check_output.h"
#include "ledger_fixture.h"
#include "plan.h"
#include "plan_fixture.h"
#include "retirement.h"

static struct custody_plan plan;
static struct custody_plan check;

/* ---- the plan ---- */

static void test_plan_of_a_check(void **state)
{
	const char *why = "";

	(void)state;
	plan_fixture_make(&plan);
	assert_int_equal(plan_make_check(&plan, 1, &check), 0);
	assert_true(plan_check(&check, &why));
	assert_string_equal(check.name, "digits.check");
	assert_string_equal(check.profile, plan.profile);
	assert_memory_equal(check.profile_digest, plan.profile_digest, CUSTODY_DIGEST_SIZE);
	assert_int_equal(check.n_args, 2);
	assert_string_equal(plan_string(&check, check.args[0]), "/usr/bin/scan");
	assert_string_equal(plan_string(&check, check.args[1]), "-x");
	assert_string_equal(plan_string(&check, check.command_origin), "test.ini:4 [model] key");
	assert_string_equal(plan_string(&check, check.workdir), "/");
	/* no network, no device, no way to write but scratch, whatever the profile says */
	assert_int_equal(check.n_endpoints, 0);
	assert_int_equal(check.n_devices, 0);
	assert_int_equal(check.flags, PLAN_FLAG_JIT);
	assert_int_equal(check.n_zones, plan.n_zones - 1);
	for (__u32 i = 0; i < check.n_zones; i++)
		assert_int_not_equal(check.zones[i].label, CUSTODY_LABEL_WRITE);
	assert_string_equal(plan_string(&check, check.model_path), "/srv/models/m");
	/* the rest is the profile's */
	assert_int_equal(check.limit_memory, plan.limit_memory);
	assert_int_equal(check.limit_processes, plan.limit_processes);
	assert_int_equal(check.planes_required, plan.planes_required);
	assert_int_equal(check.syscall_set, plan.syscall_set);
	/* it asks for nothing itself, a check least of all */
	assert_int_equal(check.admission, 0);
	assert_int_equal(check.n_checkers, 0);
	assert_int_equal(check.model_version, 0);
}

static void test_plan_of_no_check(void **state)
{
	const char *why = "";

	(void)state;
	plan_fixture_make(&plan);
	assert_int_equal(plan_make_check(&plan, 2, &check), -ERANGE);
	assert_int_equal(plan_make_check(&plan, ~0U, &check), -ERANGE);
	memset(plan.pool + plan.pool_used, 'x', PLAN_POOL_SIZE - plan.pool_used - 1);
	plan.pool_used = PLAN_POOL_SIZE;
	assert_true(plan_check(&plan, &why));
	assert_int_equal(plan_make_check(&plan, 0, &check), -ENOSPC);
}

/* ---- what it prints ---- */

static void test_last_line(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *line;
	} rows[] = {
		{ "", 0, "" },
		{ "\n \t\r\n", 5, "" },
		{ "one\ntwo", 7, "two" },
		{ "one\ntwo\n\n", 9, "two" },
		{ "one\rtwo \n", 9, "two" },
		{ "a\0b\0", 4, "a\\x00b" },
		{ "ok\n\033[2J\033]0;x\007\xff" "end\n", 18, "\\x1b[2J\\x1b]0;x\\x07\\xffend" },
		{ "\xe2\x80\xae" "gnp", 6, "\\xe2\\x80\\xaegnp" },
	};
	char line[ESCAPE_SIZE(CHECK_LINE_MAX)];
	char many[CHECK_LINE_MAX * 3];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		check_output_find_line(rows[i].bytes, rows[i].n, line);
		assert_string_equal(line, rows[i].line);
	}
	memset(many, '\033', sizeof(many));
	check_output_find_line(many, sizeof(many), line);
	assert_int_equal(strlen(line), CHECK_LINE_MAX * 4);
}

static int make_output(const char *bytes, size_t n)
{
	int fd = memfd_create("output", MFD_CLOEXEC);

	assert_true(fd >= 0);
	while (n > 0) {
		ssize_t done = write(fd, bytes, n);

		assert_true(done > 0);
		bytes += done;
		n -= (size_t)done;
	}
	return fd;
}

static void test_output_is_kept(void **state)
{
	char path[] = "/tmp/custody-checked.XXXXXX";
	static char many[CHECK_OUTPUT_MAX + 100];
	cleanup_fd int dir = fixture_make_directory(path);
	cleanup_fd int little = make_output("found\nnothing\n", 14);
	cleanup_fd int nothing = make_output("", 0);
	cleanup_fd int much = -1;
	struct check_output output = { .size = 77 };
	cleanup_ptr char *kept = NULL;
	size_t n = 0;

	(void)state;
	assert_true(dir >= 0);
	assert_int_equal(check_output_keep(little, dir, "a.out", &output), 0);
	assert_int_equal(output.size, 14);
	assert_string_equal(output.line, "nothing");
	kept = fixture_read(dir, "a.out", &n);
	assert_int_equal(n, 14);
	assert_memory_equal(kept, "found\nnothing\n", 14);
	/* one that is there is not overwritten, nor is it gone */
	output.size = 77;
	assert_int_equal(check_output_keep(little, dir, "a.out", &output), -EEXIST);
	assert_int_equal(output.size, 77);
	assert_int_equal(faccessat(dir, "a.out", F_OK, 0), 0);
	assert_int_equal(symlinkat("/tmp/elsewhere", dir, "b.out"), 0);
	assert_int_equal(check_output_keep(little, dir, "b.out", &output), -EEXIST);
	/* without output there is no file, but a digest: that of nothing */
	assert_int_equal(check_output_keep(nothing, dir, "c.out", &output), 0);
	assert_int_equal(output.size, 0);
	assert_int_equal(output.digest[0], 0xe3);
	assert_int_equal(faccessat(dir, "c.out", F_OK, 0), -1);
	memset(many, 'y', sizeof(many));
	much = make_output(many, sizeof(many));
	assert_int_equal(check_output_keep(much, dir, "d.out", &output), 0);
	assert_int_equal(output.size, CHECK_OUTPUT_MAX);
	fixture_remove(AT_FDCWD, path);
}

/* ---- its record ---- */

static struct ledger_checked make_record(void)
{
	struct ledger_checked record = {
		.jail_id = FIXTURE_JAIL, .check_jail = FIXTURE_JAIL + 1, .flags = CHECK_PASSED,
		.output_size = 3, .ran_ms = 20, .name = "digits", .command = "/usr/bin/scan",
		.output = "digits.check.7.1.out",
	};

	return record;
}

static struct ledger_checked good;

#define WRONG(W)                                                                                 \
	W(jail, good.jail_id = 0)                                                                \
	W(flag, good.flags |= 16)                                                                \
	W(index, good.index = PLAN_CHECKERS_MAX)                                                 \
	W(size, good.output_size = CHECK_OUTPUT_MAX + 1)                                         \
	W(time, good.ran_ms = ~0ULL)                                                             \
	W(name, good.name[0] = '.')                                                              \
	W(file, memcpy(good.output, "../ledger", 10))                                            \
	W(no_file, memset(good.output, 0, sizeof(good.output)))                                  \
	W(file_of_nothing, good.output_size = 0)                                                 \
	W(passed_nowhere, good.check_jail = 0)                                                   \
	W(passed_status, good.status = 256)                                                      \
	W(passed_unknown, good.status = 0x7fffffff)                                              \
	W(passed_late, good.flags |= CHECK_LATE)                                                 \
	W(passed_not_run, good.flags |= CHECK_NOT_RUN)                                           \
	W(passed_why, good.why[0] = 'x')                                                         \
	W(refused_silently, good.flags = 0)                                                      \
	W(text, memset(good.command, 'x', sizeof(good.command)))                                 \
	W(tail, good.why[9] = 'x')

#define WRONG_FUNCTION(name, ...)      \
	static void wrong_##name(void) \
	{                              \
		(void)(__VA_ARGS__);   \
	}
WRONG(WRONG_FUNCTION)

static bool is_record(const struct ledger_checked *record)
{
	union record_payload payload = { .checked = *record };
	const char *why = "";

	return record_check(LEDGER_CHECKED, record->jail_id, &payload, &why);
}

static void test_record(void **state)
{
	static const struct {
		const char *name;
		void (*apply)(void);
	} rows[] = {
#define WRONG_ROW(name, ...) { #name, wrong_##name },
		WRONG(WRONG_ROW)
	};

	(void)state;
	good = make_record();
	assert_true(is_record(&good));
	good.flags = CHECK_LATE;
	good.status = 9;
	good.why[0] = 'x';
	assert_true(is_record(&good));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		good = make_record();
		rows[i].apply();
		if (is_record(&good))
			fail_msg("%s is accepted", rows[i].name);
	}
}

static int add(struct retirement *retirement, __u32 type, const void *payload, size_t n, __u64 seq)
{
	struct record_entry entry = { .head = { .type = (__u16)type, .jail_id = FIXTURE_JAIL,
						.seq = seq } };
	const char *why = "";

	memcpy(&entry.payload, payload, n);
	return retirement_add(retirement, &entry, &why);
}

static void begin(struct retirement *retirement)
{
	static const __u8 previous[CUSTODY_DIGEST_SIZE];
	struct ledger_launch launch = fixture_launch(FIXTURE_JAIL);

	retirement_setup(retirement, FIXTURE_JAIL, 5, previous);
	assert_int_equal(add(retirement, LEDGER_LAUNCH, &launch, sizeof(launch), 5), 0);
}

/* In order, passed, of this model: what is launched against a check is a ledger of lies. */
static void test_retirement(void **state)
{
	static struct retirement retirement;
	struct ledger_checked record = make_record();
	struct ledger_retire retire = fixture_retire(FIXTURE_JAIL);
	cleanup_ptr char *text = NULL;
	size_t n = 0;

	(void)state;
	begin(&retirement);
	record.index = 1;
	assert_int_equal(add(&retirement, LEDGER_CHECKED, &record, sizeof(record), 6), -EBADMSG);
	record = make_record();
	record.flags = CHECK_LATE;
	assert_int_equal(add(&retirement, LEDGER_CHECKED, &record, sizeof(record), 6), -EBADMSG);
	record = make_record();
	record.name[0] = 'x';
	assert_int_equal(add(&retirement, LEDGER_CHECKED, &record, sizeof(record), 6), -EBADMSG);
	record = make_record();
	for (__u32 i = 0; i < PLAN_CHECKERS_MAX; i++) {
		record.index = i;
		assert_int_equal(add(&retirement, LEDGER_CHECKED, &record, sizeof(record), 6 + i),
				 0);
	}
	assert_int_equal(add(&retirement, LEDGER_CHECKED, &record, sizeof(record), 10), -EBADMSG);
	assert_int_equal(add(&retirement, LEDGER_RETIRE, &retire, sizeof(retire), 10), 0);
	assert_int_equal(retirement_print(&retirement, "test", &text, &n), 0);
	assert_non_null(strstr(text, "\"checks\":[{\"command\":\"/usr/bin/scan\","));
	free(TAKE_PTR(text));
	begin(&retirement);
	assert_int_equal(add(&retirement, LEDGER_RETIRE, &retire, sizeof(retire), 10), 0);
	assert_int_equal(retirement_print(&retirement, "test", &text, &n), 0);
	assert_null(strstr(text, "checks"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan_of_a_check),
		cmocka_unit_test(test_plan_of_no_check),
		cmocka_unit_test(test_last_line),
		cmocka_unit_test(test_output_is_kept),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_retirement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
