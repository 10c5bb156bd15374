/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of watch_input.c and watch_output.c: what of a run's events becomes an input, what is
 * counted against the statement, and what is the run's own.
 *
 * link: tools/custodyctl/watch.c tools/custodyctl/watch_profile.c tools/custodyctl/watch_ledger.c
 * link: tools/custodyctl/watch_input.c tools/custodyctl/watch_output.c tools/custodyctl/profile.c
 * link: tools/custodyctl/ledger_file.c
 * link: tools/custodyctl/model_file.c tools/custodyctl/client.c tools/custodyctl/render.c
 * link: tools/custodyctl/render_ceiling.c tools/custodyctl/render_limits.c
 * link: tools/custodyctl/render_measured.c tools/custodyctl/table.c
 * link: tools/custodyctl/progress_line.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "tools/custodyctl/watch.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

enum { ZONE_RUNTIME = 3, ZONE_DATA, ZONE_OUTPUT, ZONE_SCRATCH };

struct house {
	char top[64];
	struct watch watch;
};

static const struct command_options options = { .root = "", .quiet = true };

static void make_file(const struct house *h, const char *name)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", h->top, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
}

static struct stat look(const struct house *h, const char *name)
{
	char path[256];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", h->top, name);
	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static void add_root(struct house *h, enum watch_kind kind, const char *name)
{
	struct watch_root *root = &h->watch.roots[h->watch.n_roots++];
	char path[256];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", h->top, name);
	assert_int_equal(mkdir(path, 0755), 0);
	*root = (struct watch_root){ .kind = kind, .path = strdup(path), .is_directory = true };
	root->fd = open(path, O_PATH | O_CLOEXEC);
	assert_int_equal(fstat(root->fd, &st), 0);
	root->inode = st.st_ino;
	assert_int_equal(watch_read_device(root->fd, &root->device), 0);
}

static int setup(void **state)
{
	struct house *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	h->watch = (struct watch){ .options = &options, .ledger = -1 };
	(void)snprintf(h->top, sizeof(h->top), "/tmp/custody-watch.XXXXXX");
	assert_non_null(mkdtemp(h->top));
	add_root(h, WATCH_RUNTIME, "usr");
	add_root(h, WATCH_DATA, "data");
	add_root(h, WATCH_OUTPUT, "out");
	*state = h;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct house *h = *state;

	watch_free(&h->watch);
	assert_int_equal(nftw(h->top, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(h);
	return 0;
}

/* The start: what is made up to here was there before. */
static void start(struct house *h)
{
	struct timespec now = { 0 };

	assert_int_equal(clock_gettime(CLOCK_REALTIME, &h->watch.started), 0);
	do {
		assert_int_equal(clock_gettime(CLOCK_REALTIME_COARSE, &now), 0);
	} while (watch_is_before(&h->watch, &now));
}

static struct watch_seen *see(struct house *h, __u32 zone, const char *path, ino_t inode)
{
	struct watch *w = &h->watch;
	struct watch_seen *seen = reallocarray(w->seen, w->n_seen + 1, sizeof(*seen));

	assert_non_null(seen);
	w->seen = seen;
	seen += w->n_seen++;
	*seen = (struct watch_seen){ .zone = zone, .device = w->roots[0].device, .inode = inode };
	(void)snprintf(seen->path, sizeof(seen->path), "%s", path);
	return seen;
}

/* The file of that name below top, opened in the zone under the name that it has there. */
static struct watch_seen *see_file(struct house *h, __u32 zone, const char *name)
{
	return see(h, zone, strchr(name, '/'), look(h, name).st_ino);
}

static void write_file(struct house *h, const char *name)
{
	see_file(h, ZONE_OUTPUT, name)->writing = true;
}

static void conclude(struct house *h)
{
	h->watch.end.head.time_ns = ~0ULL;
	assert_int_equal(watch_read_outputs(&h->watch), CUSTODY_EXIT_DONE);
	assert_int_equal(watch_read_inputs(&h->watch), CUSTODY_EXIT_DONE);
}

static void assert_counts(const struct house *h, __u64 unidentified, __u64 changed, __u64 outside,
			  __u64 unseen)
{
	const struct provenance *p = &h->watch.facts;

	assert_int_equal(p->unidentified, unidentified);
	assert_int_equal(p->changed, changed);
	assert_int_equal(p->outside, outside);
	assert_int_equal(p->unseen, unseen);
}

static const struct provenance_file *find(const struct house *h, const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", h->top, name);
	for (size_t i = 0; i < h->watch.inputs.n; i++) {
		if (strcmp(h->watch.inputs.list[i].path, path) == 0)
			return &h->watch.inputs.list[i];
	}
	return NULL;
}

static void test_found(void **state)
{
	struct house *h = *state;
	char hex[OMS_HEX_SIZE];

	make_file(h, "usr/lib");
	make_file(h, "usr/program");
	make_file(h, "usr/unread");
	make_file(h, "data/a b");
	start(h);
	see_file(h, ZONE_RUNTIME, "usr/lib");
	see_file(h, ZONE_RUNTIME, "usr/lib"); /* told twice, named once */
	see_file(h, ZONE_RUNTIME, "usr/program");
	see_file(h, ZONE_RUNTIME, "usr/program")->executed = true;
	see_file(h, ZONE_DATA, "data/a b");
	see(h, ZONE_DATA, "", h->watch.roots[1].inode); /* a listing is no file */
	make_file(h, "out/made");
	write_file(h, "out/made");
	conclude(h);
	assert_counts(h, 0, 0, 0, 0);
	assert_int_equal(h->watch.inputs.n, 4);
	assert_string_equal(find(h, "usr/lib")->kind, "runtime");
	assert_string_equal(find(h, "usr/program")->kind, "program");
	assert_string_equal(find(h, "data/a b")->kind, "input");
	assert_string_equal(find(h, "data")->kind, "dataset");
	oms_print_hex(find(h, "data/a b")->digest, hex);
	assert_string_equal(hex, EMPTY);
	assert_int_equal(h->watch.outputs.n, 1);
	assert_int_equal(h->watch.n_subjects, 1);
	assert_string_equal(h->watch.subjects[0].name, "out");
}

static void test_changed(void **state)
{
	struct house *h = *state;

	make_file(h, "data/old");
	start(h);
	make_file(h, "data/new");
	see_file(h, ZONE_DATA, "data/old");
	see_file(h, ZONE_DATA, "data/new");
	make_file(h, "out/made");
	write_file(h, "out/made");
	conclude(h);
	assert_counts(h, 0, 1, 0, 0);
	assert_non_null(find(h, "data/old"));
	assert_null(find(h, "data/new"));
	/* a dataset that is not what it was before has no digest */
	assert_null(find(h, "data"));
}

/* Another inode under the name, no name, a link on the way, a name that is cut. */
static void test_unidentified(void **state)
{
	struct house *h = *state;
	char link[256];

	make_file(h, "data/a");
	make_file(h, "data/b");
	make_file(h, "data/c");
	make_file(h, "data/d");
	(void)snprintf(link, sizeof(link), "%s/data/link", h->top);
	assert_int_equal(symlink("c", link), 0);
	start(h);
	see_file(h, ZONE_DATA, "data/a");
	see(h, ZONE_DATA, "/b", look(h, "data/b").st_ino + 1000000);
	see(h, ZONE_DATA, "/gone", 4);
	see(h, ZONE_DATA, "/link", look(h, "data/c").st_ino);
	see(h, ZONE_DATA, "/../data/d", look(h, "data/d").st_ino);
	make_file(h, "out/made");
	write_file(h, "out/made");
	conclude(h);
	assert_counts(h, 4, 0, 0, 0);
	assert_int_equal(h->watch.inputs.n, 1);
}

static void test_truncated(void **state)
{
	struct house *h = *state;

	make_file(h, "data/a");
	start(h);
	see_file(h, ZONE_DATA, "data/a")->truncated = true;
	make_file(h, "out/made");
	write_file(h, "out/made");
	conclude(h);
	assert_counts(h, 1, 0, 0, 0);
}

static void test_fifo(void **state)
{
	struct house *h = *state;
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/data/fifo", h->top);
	assert_int_equal(mkfifo(path, 0644), 0);
	start(h);
	see_file(h, ZONE_DATA, "data/fifo"); /* not waited for */
	make_file(h, "out/made");
	write_file(h, "out/made");
	conclude(h);
	assert_counts(h, 1, 0, 0, 0);
}

static void test_outside(void **state)
{
	struct house *h = *state;

	make_file(h, "data/a");
	start(h);
	see_file(h, POLICY_OBJECT_NONE, "data/a"); /* it is there, but was not opened there */
	make_file(h, "out/made");
	write_file(h, "out/made");
	conclude(h);
	assert_counts(h, 0, 0, 1, 0);
	assert_int_equal(h->watch.inputs.n, 0);
}

/* What is gone from a zone of outputs, and what lies on file systems of the jail. */
static void test_own(void **state)
{
	struct house *h = *state;

	start(h);
	make_file(h, "out/made");
	see(h, ZONE_OUTPUT, "/before-it-was-renamed", look(h, "out/made").st_ino);
	see(h, ZONE_OUTPUT, "/temporary", 4);
	see(h, ZONE_SCRATCH, "/x", 4)->device ^= 0x7fffffff;
	conclude(h);
	assert_counts(h, 0, 0, 0, 0);
}

/* A zone in which an input was found is none of outputs, although an inode of it was used again. */
static void test_inode_used_again(void **state)
{
	struct house *h = *state;

	make_file(h, "data/a");
	start(h);
	make_file(h, "out/made");
	see_file(h, ZONE_DATA, "data/a");
	see(h, ZONE_DATA, "/removed", look(h, "out/made").st_ino);
	see(h, ZONE_DATA, "/removed-too", 4);
	conclude(h);
	assert_counts(h, 2, 0, 0, 1);
}

static void test_unseen(void **state)
{
	struct house *h = *state;

	start(h);
	make_file(h, "out/made");
	make_file(h, "out/foreign");
	write_file(h, "out/made");
	conclude(h);
	assert_counts(h, 0, 0, 0, 1);
}

/* Somebody put it there, and the command read it. */
static void test_only_read(void **state)
{
	struct house *h = *state;

	start(h);
	make_file(h, "out/made");
	make_file(h, "out/foreign");
	make_file(h, "out/reused");
	write_file(h, "out/made");
	see_file(h, ZONE_OUTPUT, "out/foreign");
	see(h, ZONE_OUTPUT, "/directory", look(h, "out/reused").st_ino);
	conclude(h);
	assert_counts(h, 0, 0, 0, 1);
}

static void test_after_end(void **state)
{
	struct house *h = *state;

	start(h);
	make_file(h, "out/made");
	write_file(h, "out/made");
	h->watch.end.head.time_ns = 1;
	assert_int_equal(watch_read_outputs(&h->watch), CUSTODY_EXIT_DONE);
	assert_counts(h, 0, 0, 0, 1);
}

static void test_refused(void **state)
{
	struct house *h = *state;
	char path[256];

	start(h);
	h->watch.end.head.time_ns = ~0ULL;
	assert_int_equal(watch_check_outputs(&h->watch), CUSTODY_EXIT_DONE);
	assert_int_equal(watch_read_outputs(&h->watch), CUSTODY_EXIT_INCOMPLETE);
	make_file(h, "out/model.sig");
	assert_int_equal(watch_check_outputs(&h->watch), CUSTODY_EXIT_REFUSED);
	assert_int_equal(watch_read_outputs(&h->watch), CUSTODY_EXIT_REFUSED);
	(void)snprintf(path, sizeof(path), "%s/out/link", h->top);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(watch_read_outputs(&h->watch), CUSTODY_EXIT_REFUSED);
	assert_int_equal(h->watch.n_subjects, 0);
}

static void test_apart(void **state)
{
	struct house *h = *state;

	add_root(h, WATCH_OUTPUT, "data/out");
	assert_int_equal(watch_check_outputs(&h->watch), CUSTODY_EXIT_REFUSED);
	h->watch.roots[3].kind = WATCH_DATA;
	assert_int_equal(watch_check_outputs(&h->watch), CUSTODY_EXIT_DONE);
	add_root(h, WATCH_MODEL, "out/model");
	assert_int_equal(watch_check_outputs(&h->watch), CUSTODY_EXIT_REFUSED);
}

#define WATCH_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WATCH_TEST(test_found),	       WATCH_TEST(test_changed),
		WATCH_TEST(test_unidentified), WATCH_TEST(test_truncated),
		WATCH_TEST(test_fifo),	       WATCH_TEST(test_outside),
		WATCH_TEST(test_own),	       WATCH_TEST(test_inode_used_again),
		WATCH_TEST(test_unseen),       WATCH_TEST(test_after_end),
		WATCH_TEST(test_only_read),    WATCH_TEST(test_refused),
		WATCH_TEST(test_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
