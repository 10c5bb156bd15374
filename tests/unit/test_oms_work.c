/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of oms_hash.c and oms_work.c: the same manifest and the same index from any number of
 * threads, progress, failures in the midst, and what happens where no thread can be made.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <openssl/sha.h>

#include "cleanup.h"
#include "fingerprint.h"
#include "oms.h"

#define MIB (1UL << 20)

/* Larger than a block and than what a thread is made for; multiples of nothing; one is empty. */
static const struct {
	const char *name;
	size_t n;
} files[] = {
	{ "a", 9 * MIB + 1 }, { "b", 5 * MIB }, { "c", 8 * MIB + 262143 }, { "dir/small", 77 },
	{ "empty", 0 },	      { "e", 300001 },	{ "large", 13 * MIB + 5 },
};

struct world {
	char path[64];
	int fd;
	__u8 digests[ARRAY_SIZE(files)][OMS_DIGEST_SIZE];
	__u64 bytes;
};

static void put_random(struct world *w, size_t which)
{
	size_t n = files[which].n;
	cleanup_ptr __u8 *bytes = malloc(n + 8);
	int fd = openat(w->fd, files[which].name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	__u64 state = 77 + which;

	assert_non_null(bytes);
	for (size_t i = 0; i < n; i += 8) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		memcpy(bytes + i, &(__u64){ state ^ state >> 29 }, 8);
	}
	assert_int_equal(write(fd, bytes, n), n);
	(void)close(fd);
	(void)SHA256(bytes, n, w->digests[which]);
	w->bytes += n;
}

static int make_world(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	(void)snprintf(w->path, sizeof(w->path), "/tmp/custody-work-XXXXXX");
	if (!mkdtemp(w->path))
		return -1;
	w->fd = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)mkdirat(w->fd, "dir", 0700);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		put_random(w, i);
	*state = w;
	return w->fd < 0 ? -1 : 0;
}

static int remove_world(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		(void)unlinkat(w->fd, files[i].name, 0);
	(void)unlinkat(w->fd, "dir", AT_REMOVEDIR);
	(void)rmdir(w->path);
	(void)close(w->fd);
	free(w);
	return 0;
}

struct progress {
	__u64 last;
	__u64 total;
	unsigned int calls;
	bool backwards;
	void (*act)(const struct world *w);
	const struct world *world;
};

static void show(void *data, __u64 done, __u64 total)
{
	struct progress *p = data;

	p->backwards |= done <= p->last;
	p->last = done;
	p->total = total;
	p->calls++;
	if (p->act)
		p->act(p->world);
	p->act = NULL;
}

static struct oms_manifest *make(enum oms_method method, __u64 shard_size)
{
	struct oms_manifest *manifest = NULL;

	assert_int_equal(oms_manifest_make(method, "m", NULL, &manifest), 0);
	if (method == OMS_SHARDS)
		manifest->shard_size = shard_size;
	return manifest;
}

static void expect_same_manifest(const struct oms_manifest *a, const struct oms_manifest *b)
{
	assert_int_equal(a->n_items, b->n_items);
	for (size_t i = 0; i < a->n_items; i++) {
		assert_string_equal(a->items[i].name, b->items[i].name);
		assert_memory_equal(a->items[i].digest, b->items[i].digest, OMS_DIGEST_SIZE);
	}
}

static void test_files(void **state)
{
	static const size_t sorted[] = { 0, 1, 2, 3, 5, 4, 6 };
	struct world *w = *state;

	for (unsigned int threads = 0; threads <= 8; threads++) {
		cleanup_oms_manifest struct oms_manifest *manifest = make(OMS_FILES, 0);
		struct progress progress = { 0 };
		struct oms_model model = {
			.dirfd = w->fd, .threads = threads, .progress = show, .data = &progress
		};

		assert_int_equal(oms_measure(&model, NULL, manifest, NULL), 0);
		assert_int_equal(manifest->n_items, ARRAY_SIZE(files));
		for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
			assert_string_equal(manifest->items[i].name, files[sorted[i]].name);
			assert_memory_equal(manifest->items[i].digest, w->digests[sorted[i]],
					    OMS_DIGEST_SIZE);
		}
		assert_false(progress.backwards);
		assert_int_equal(progress.last, w->bytes);
		assert_int_equal(progress.total, w->bytes);
		assert_true(progress.calls >= w->bytes / MIB);
	}
}

/* Shards that end inside blocks, at their ends, and one that is the whole file. */
static void test_shards(void **state)
{
	static const __u64 sizes[] = { 1000003, 262144, 20 * MIB, 9 * MIB + 1 };
	struct world *w = *state;

	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		cleanup_oms_manifest struct oms_manifest *one = make(OMS_SHARDS, sizes[s]);
		cleanup_oms_manifest struct oms_manifest *four = make(OMS_SHARDS, sizes[s]);
		struct oms_model model = { .dirfd = w->fd, .threads = 1 };
		__u64 shards = 0;

		for (size_t i = 0; i < ARRAY_SIZE(files); i++)
			shards += (files[i].n + sizes[s] - 1) / sizes[s];
		assert_int_equal(oms_measure(&model, NULL, one, NULL), 0);
		model.threads = 4;
		assert_int_equal(oms_measure(&model, NULL, four, NULL), 0);
		assert_int_equal(one->n_items, shards);
		expect_same_manifest(one, four);
	}
}

/* The digest of a shard in the midst of a file is that of its bytes. */
static void test_shard_digest(void **state)
{
	struct world *w = *state;
	cleanup_oms_manifest struct oms_manifest *manifest = make(OMS_SHARDS, MIB + 3);
	struct oms_model model = { .dirfd = w->fd, .threads = 4 };
	cleanup_ptr __u8 *bytes = malloc(MIB + 3);
	__u8 digest[OMS_DIGEST_SIZE];
	cleanup_fd int fd = openat(w->fd, "large", O_RDONLY | O_CLOEXEC);
	bool found = false;

	assert_int_equal(pread(fd, bytes, MIB + 3, 4 * (MIB + 3)), MIB + 3);
	(void)SHA256(bytes, MIB + 3, digest);
	assert_int_equal(oms_measure(&model, NULL, manifest, NULL), 0);
	for (size_t i = 0; i < manifest->n_items; i++) {
		if (strcmp(manifest->items[i].name, "large:4194316:5242895") != 0)
			continue;
		assert_memory_equal(manifest->items[i].digest, digest, OMS_DIGEST_SIZE);
		found = true;
	}
	assert_true(found);
}

/* One index, whatever the threads; and a piece of a file is found by it. */
static void test_fingerprints(void **state)
{
	struct world *w = *state;
	cleanup_fingerprint_index struct fingerprint_index first = { 0 };
	cleanup_ptr __u8 *bytes = malloc(2 * MIB);
	struct fingerprint_scan scan;
	cleanup_fd int fd = openat(w->fd, "c", O_RDONLY | O_CLOEXEC);

	for (unsigned int threads = 1; threads <= 8; threads++) {
		cleanup_oms_manifest struct oms_manifest *manifest = make(OMS_FILES, 0);
		cleanup_fingerprint_index struct fingerprint_index index = { 0 };
		struct oms_model model = { .dirfd = w->fd,
					   .threads = threads,
					   .ret_fingerprints = threads == 1 ? &first : &index };

		assert_int_equal(oms_measure(&model, NULL, manifest, NULL), 0);
		if (threads == 1)
			continue;
		assert_int_equal(index.n, first.n);
		assert_int_equal(index.ceiling, first.ceiling);
		assert_memory_equal(index.values, first.values, first.n * sizeof(__u64));
	}
	assert_int_equal(first.bytes, w->bytes);
	assert_int_equal(first.n, fingerprint_limit(w->bytes));
	assert_int_equal(pread(fd, bytes, 2 * MIB, 3333333), 2 * MIB);
	fingerprint_scan_begin(&scan, &first);
	fingerprint_scan_add(&scan, bytes, 2 * MIB);
	assert_in_range(scan.hits, 64, 256);
}

/* ---- failures ---- */

static void act_grow(const struct world *w)
{
	cleanup_fd int fd = openat(w->fd, "e", O_WRONLY | O_APPEND | O_CLOEXEC);

	(void)!write(fd, "x", 1);
}

static void act_shrink(const struct world *w)
{
	cleanup_fd int fd = openat(w->fd, "large", O_WRONLY | O_CLOEXEC);

	(void)!ftruncate(fd, (off_t)(6 * MIB));
}

static void act_replace(const struct world *w)
{
	(void)renameat(w->fd, "b", w->fd, "e");
}

static void act_link(const struct world *w)
{
	(void)unlinkat(w->fd, "dir/small", 0);
	(void)symlinkat("/etc/passwd", w->fd, "dir/small");
}

static void test_changes(void **state)
{
	static void (*const acts[])(const struct world *w) = { act_grow, act_shrink, act_replace,
							       act_link };
	struct world *w = *state;

	for (size_t i = 0; i < 2 * ARRAY_SIZE(acts); i++) {
		cleanup_oms_manifest struct oms_manifest *manifest =
			make(i & 1 ? OMS_SHARDS : OMS_FILES, MIB);
		cleanup_fingerprint_index struct fingerprint_index index = { 0 };
		struct progress progress = { .act = acts[i / 2], .world = w };
		struct oms_model model = { .dirfd = w->fd,
					   .threads = 4,
					   .progress = show,
					   .data = &progress,
					   .ret_fingerprints = &index };
		struct oms_why why = { 0 };
		int r = oms_measure(&model, NULL, manifest, &why);

		if (r != -EBUSY || !why.text[0])
			fail_msg("act %zu: %d %s", i, r, why.text);
		assert_null(manifest->items);
		assert_int_equal(manifest->n_items, 0);
		assert_null(index.values);
		(void)unlinkat(w->fd, "dir/small", 0);
		for (size_t k = 0; k < ARRAY_SIZE(files); k++)
			put_random(w, k);
	}
}

/* A shard for each byte would be more than a signature may name: refused before it is read. */
static void test_too_many(void **state)
{
	struct world *w = *state;
	cleanup_oms_manifest struct oms_manifest *manifest = make(OMS_SHARDS, 1);
	struct progress progress = { 0 };
	struct oms_model model = { .dirfd = w->fd, .progress = show, .data = &progress };
	struct oms_why why = { 0 };

	assert_int_equal(oms_measure(&model, NULL, manifest, &why), -EINVAL);
	assert_non_null(strstr(why.text, "more files or shards than the 2097152"));
	assert_int_equal(progress.calls, 0);
}

/* ---- seccomp ---- */

/* Measures in a child for which making a thread answers `action`; how the child ended. */
static int measure_below(const struct world *w, unsigned int threads, uint32_t action)
{
	struct oms_model model = { .dirfd = w->fd, .threads = threads };
	struct oms_manifest *manifest = make(OMS_FILES, 0);
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

		if (!ctx || seccomp_rule_add(ctx, action, SCMP_SYS(clone3), 0) < 0 ||
		    seccomp_rule_add(ctx, action, SCMP_SYS(clone), 0) < 0 || seccomp_load(ctx) < 0)
			_exit(9);
		if (oms_measure(&model, NULL, manifest, NULL) != 0)
			_exit(1);
		for (size_t i = 0; i < manifest->n_items; i++) {
			if (strcmp(manifest->items[i].name, "large") == 0 &&
			    memcmp(manifest->items[i].digest, w->digests[6], OMS_DIGEST_SIZE) == 0)
				_exit(0);
		}
		_exit(2);
	}
	oms_manifest_free(&manifest);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* With 1 none is tried; with more they are, and go missing without harm where they are refused. */
static void test_seccomp(void **state)
{
	struct world *w = *state;
	int status;

	assert_int_equal(measure_below(w, 1, SCMP_ACT_KILL_PROCESS), 0);
	assert_int_equal(measure_below(w, 4, SCMP_ACT_ERRNO(EPERM)), 0);
	status = measure_below(w, 4, SCMP_ACT_KILL_PROCESS);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_shards, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_shard_digest, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_fingerprints, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_changes, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_too_many, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_seccomp, make_world, remove_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
