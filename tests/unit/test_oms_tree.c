/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of oms_tree.c, oms_measure.c: models on disk, also while they change. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include <openssl/sha.h>

#include "oms.h"

struct world {
	char path[64];
	int fd;
};

static int make_world(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	(void)snprintf(w->path, sizeof(w->path), "/tmp/custody-oms-XXXXXX");
	if (!w || !mkdtemp(w->path))
		return -1;
	w->fd = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = w;
	return w->fd < 0 ? -1 : 0;
}

static void remove_below(int fd)
{
	DIR *dir = fdopendir(fd);

	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    unlinkat(dirfd(dir), e->d_name, 0) == 0)
			continue;
		remove_below(openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY));
		(void)unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
	}
	(void)closedir(dir);
}

static int remove_world(void **state)
{
	struct world *w = *state;

	remove_below(w->fd);
	(void)rmdir(w->path);
	free(w);
	return 0;
}

static void put(const struct world *w, const char *name, const char *text)
{
	int fd = openat(w->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

static struct oms_manifest *make(enum oms_method method, __u64 shard_size)
{
	struct oms_manifest *manifest = NULL;

	assert_int_equal(oms_manifest_make(method, "m", NULL, &manifest), 0);
	if (method == OMS_SHARDS)
		manifest->shard_size = shard_size;
	return manifest;
}

static int measure(const struct world *w, struct oms_manifest *manifest, struct oms_why *why)
{
	struct oms_model model = { .dirfd = w->fd,
				   .ignore = manifest->ignore,
				   .n_ignore = manifest->n_ignore };

	return oms_measure(&model, NULL, manifest, why);
}

static void expect_refused(const struct world *w, int wanted, const char *word)
{
	struct oms_manifest *manifest = make(OMS_FILES, 0);
	struct oms_why why = { 0 };
	int r = measure(w, manifest, &why);

	if (r != wanted || !strstr(why.text, word))
		fail_msg("%d: %s (not %s)", r, why.text, word);
	for (const char *p = why.text; *p; p++)
		assert_true((unsigned char)*p >= 0x20);
	oms_manifest_free(&manifest);
}

static void test_names(void **state)
{
	static const char *const names[] = { ".dot", "a",     "a b",	  "a.b",
					     "a/b",  "empty", "\xc3\xbc", "\xf0\x9f\xa6\x99" };
	struct world *w = *state;
	struct oms_manifest *manifest = make(OMS_FILES, 0);
	__u8 digest[OMS_DIGEST_SIZE];

	(void)mkdirat(w->fd, "a", 0700);
	for (size_t i = 0; i < 8; i++)
		if (i != 1)
			put(w, names[i], i == 5 ? "" : names[i]);
	(void)mkdirat(w->fd, ".git", 0700);
	put(w, ".git/HEAD", "x");
	put(w, ".gitignore", "x");
	put(w, "a/.gitignore", "only the top level is ignored");
	assert_int_equal(measure(w, manifest, NULL), 0);
	assert_int_equal(manifest->n_items, 8);
	assert_string_equal(manifest->items[0].name, ".dot");
	assert_string_equal(manifest->items[1].name, "a b");
	assert_string_equal(manifest->items[2].name, "a.b");
	assert_string_equal(manifest->items[3].name, "a/.gitignore");
	assert_string_equal(manifest->items[4].name, "a/b");
	assert_string_equal(manifest->items[7].name, "\xf0\x9f\xa6\x99");
	(void)SHA256((const unsigned char *)"a/b", 3, digest);
	assert_memory_equal(manifest->items[4].digest, digest, OMS_DIGEST_SIZE);
	(void)SHA256((const unsigned char *)"", 0, digest);
	assert_memory_equal(manifest->items[5].digest, digest, OMS_DIGEST_SIZE);
	oms_manifest_free(&manifest);
}

static void test_one_file(void **state)
{
	struct world *w = *state;
	struct oms_manifest *manifest = make(OMS_FILES, 0);
	struct oms_model model = { .dirfd = w->fd, .file = "model v2.bin" };
	struct oms_why why = { 0 };

	put(w, "model v2.bin", "x");
	put(w, "other", "x");
	assert_int_equal(oms_measure(&model, NULL, manifest, &why), 0);
	assert_int_equal(manifest->n_items, 1);
	assert_string_equal(manifest->items[0].name, "model v2.bin");
	oms_manifest_free(&manifest);
	manifest = make(OMS_FILES, 0);
	model.file = "absent";
	assert_int_equal(oms_measure(&model, NULL, manifest, &why), -ENOENT);
	model.file = "../etc";
	assert_int_equal(oms_measure(&model, NULL, manifest, &why), -EINVAL);
	oms_manifest_free(&manifest);
}

/* 0, 1, 4, 5 and 8 bytes in shards of 4: tiles without rest, and none for what is empty. */
static void test_shards(void **state)
{
	static const char *const names[] = { "e:0:4", "e:4:8",	  "f:0:4",
					     "f:4:5", "four:0:4", "one:0:1" };
	struct world *w = *state;
	struct oms_manifest *manifest = make(OMS_SHARDS, 4);
	__u8 digest[OMS_DIGEST_SIZE];

	put(w, "zero", "");
	put(w, "one", "1");
	put(w, "four", "1234");
	put(w, "f", "12345");
	put(w, "e", "12345678");
	assert_int_equal(measure(w, manifest, NULL), 0);
	assert_int_equal(manifest->n_items, 6);
	for (size_t i = 0; i < 6; i++) {
		assert_string_equal(manifest->items[i].name, names[i]);
		assert_int_equal(manifest->items[i].path_n, strchr(names[i], ':') - names[i]);
	}
	(void)SHA256((const unsigned char *)"5678", 4, digest);
	assert_memory_equal(manifest->items[1].digest, digest, OMS_DIGEST_SIZE);
	oms_manifest_free(&manifest);
}

/* A file is read once however many shards name it, also when shards of another stand between. */
static void test_named_shards(void **state)
{
	struct world *w = *state;
	struct oms_manifest *manifest = make(OMS_SHARDS, 4);
	struct oms_manifest *named = make(OMS_SHARDS, 4);
	struct oms_model model = { .dirfd = w->fd };
	struct oms_report report;

	put(w, "w", "123456789");
	put(w, "w:0", "123456789");
	put(w, "w:4", "1");
	assert_int_equal(measure(w, manifest, NULL), 0);
	assert_int_equal(manifest->n_items, 7);
	put(w, "other", "1");
	assert_int_equal(oms_measure(&model, manifest, named, NULL), 0);
	assert_int_equal(named->n_items, 7);
	assert_int_equal(oms_compare(manifest, named, true, &report), 0);
	oms_manifest_free(&manifest);
	oms_manifest_free(&named);
}

static void test_compare(void **state)
{
	struct world *w = *state;
	struct oms_manifest *before = make(OMS_FILES, 0);
	struct oms_manifest *after = make(OMS_FILES, 0);
	struct oms_manifest *named = make(OMS_FILES, 0);
	struct oms_model model = { .dirfd = w->fd };
	struct oms_report report;

	put(w, "a", "1");
	put(w, "b", "1");
	put(w, "c", "1");
	assert_int_equal(measure(w, before, NULL), 0);
	assert_int_equal(oms_compare(before, before, false, &report), 0);
	put(w, "b", "2");
	(void)unlinkat(w->fd, "c", 0);
	put(w, "d", "1");
	assert_int_equal(measure(w, after, NULL), 0);
	assert_int_equal(oms_compare(before, after, false, &report), -ESTALE);
	assert_int_equal(report.n_first, 3);
	assert_int_equal(report.first[0].kind, OMS_CHANGED);
	assert_string_equal(report.first[0].name, "b");
	assert_int_equal(report.first[1].kind, OMS_MISSING);
	assert_string_equal(report.first[1].name, "c");
	assert_int_equal(report.first[2].kind, OMS_UNLISTED);
	assert_string_equal(report.first[2].name, "d");
	/* --ignore-unsigned-files does not even look at them */
	put(w, "b", "1");
	put(w, "c", "1");
	(void)mkfifoat(w->fd, "fifo", 0600);
	assert_int_equal(oms_measure(&model, before, named, NULL), 0);
	assert_int_equal(named->n_items, 3);
	assert_int_equal(oms_compare(before, named, true, &report), 0);
	/* but a file that is named must be a file */
	(void)unlinkat(w->fd, "c", 0);
	(void)mkfifoat(w->fd, "c", 0600);
	oms_manifest_free(&named);
	named = make(OMS_FILES, 0);
	assert_int_equal(oms_measure(&model, before, named, NULL), -EINVAL);
	(void)unlinkat(w->fd, "c", 0);
	(void)symlinkat("a", w->fd, "c");
	assert_int_equal(oms_measure(&model, before, named, NULL), -EINVAL);
	(void)unlinkat(w->fd, "c", 0);
	assert_int_equal(oms_measure(&model, before, named, NULL), 0);
	assert_int_equal(oms_compare(before, named, true, &report), -ESTALE);
	oms_manifest_free(&before);
	oms_manifest_free(&after);
	oms_manifest_free(&named);
}

static void test_skip_and_ignore(void **state)
{
	struct world *w = *state;
	struct oms_manifest *manifest = NULL;
	struct oms_identity id;
	struct oms_model model = { .dirfd = w->fd, .skip = &id };
	struct stat st;

	put(w, "a", "1");
	put(w, "some.sig", "1");
	(void)mkdirat(w->fd, "cache", 0700);
	(void)symlinkat("/etc/passwd", w->fd, "cache/link");
	assert_int_equal(oms_manifest_make(OMS_FILES, "m", "cache", &manifest), 0);
	assert_int_equal(fstatat(w->fd, "some.sig", &st, 0), 0);
	id = (struct oms_identity){ .dev = st.st_dev, .ino = st.st_ino };
	model.ignore = manifest->ignore;
	model.n_ignore = manifest->n_ignore;
	assert_int_equal(oms_measure(&model, NULL, manifest, NULL), 0);
	assert_int_equal(manifest->n_items, 1);
	oms_manifest_free(&manifest);
}

static void test_links(void **state)
{
	struct world *w = *state;

	put(w, "a", "1");
	(void)symlinkat("a", w->fd, "link");
	expect_refused(w, -EINVAL, "link is a symbolic link");
	(void)unlinkat(w->fd, "link", 0);
	(void)symlinkat("/usr", w->fd, "link");
	expect_refused(w, -EINVAL, "link is a symbolic link");
	(void)unlinkat(w->fd, "link", 0);
	(void)symlinkat("nowhere", w->fd, "link");
	expect_refused(w, -EINVAL, "link is a symbolic link");
}

static void test_special_files(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct world *w = *state;
	int fd;

	(void)mkdirat(w->fd, "d", 0700);
	assert_int_equal(mkfifoat(w->fd, "d/fifo", 0600), 0);
	expect_refused(w, -EINVAL, "d/fifo is a FIFO");
	(void)unlinkat(w->fd, "d/fifo", 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", w->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)close(fd);
	expect_refused(w, -EINVAL, "s is a socket");
	(void)unlinkat(w->fd, "s", 0);
	if (mknodat(w->fd, "null", S_IFCHR | 0600, makedev(1, 3)) == 0) {
		expect_refused(w, -EINVAL, "null is a device");
		(void)unlinkat(w->fd, "null", 0);
	}
	if (mknodat(w->fd, "disk", S_IFBLK | 0600, makedev(7, 200)) == 0)
		expect_refused(w, -EINVAL, "disk is a device");
}

static void test_bad_names(void **state)
{
	static const char *const names[] = { "a\xff",	  "a\nb",	  "a\x1b[31m", "\xc0\xaf",
					     "a\xc2\x85", "\xed\xa0\x80", "\x7f" };
	struct world *w = *state;

	for (size_t i = 0; i < 7; i++) {
		put(w, names[i], "1");
		expect_refused(w, -EINVAL, "is no name");
		(void)unlinkat(w->fd, names[i], 0);
	}
}

static void test_depth(void **state)
{
	struct world *w = *state;
	char path[512] = "";
	size_t n = 0;

	for (int i = 0; i <= OMS_TREE_DEPTH_MAX; i++) {
		n += (size_t)snprintf(path + n, sizeof(path) - n, "%sd", n ? "/" : "");
		assert_int_equal(mkdirat(w->fd, path, 0700), 0);
	}
	expect_refused(w, -EINVAL, "deeper than 64");
}

/* ---- a model that changes while it is read ---- */

struct meddler {
	const struct world *world;
	void (*act)(const struct world *w);
	bool done;
};

static void meddle(void *data, __u64 done, __u64 total)
{
	struct meddler *m = data;

	(void)total;
	if (m->done || done == 0)
		return;
	m->done = true;
	m->act(m->world);
}

static void act_grow(const struct world *w)
{
	int fd = openat(w->fd, "a", O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_int_equal(write(fd, "x", 1), 1);
	(void)close(fd);
}

static void act_shrink(const struct world *w)
{
	int fd = openat(w->fd, "b", O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	(void)close(fd);
}

/* Same size, mtime set back: ctime tells. */
static void act_rewrite(const struct world *w)
{
	struct timespec times[2];
	struct stat st;
	int fd = openat(w->fd, "a", O_WRONLY | O_CLOEXEC);

	(void)fstat(fd, &st);
	(void)usleep(20000); /* coarser than the kernel's file times */
	assert_int_equal(pwrite(fd, "9", 1, 0), 1);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	assert_int_equal(futimens(fd, times), 0);
	(void)close(fd);
}

static void act_replace(const struct world *w)
{
	put(w, "new", "123");
	assert_int_equal(renameat(w->fd, "new", w->fd, "b"), 0);
}

static void act_link(const struct world *w)
{
	(void)unlinkat(w->fd, "b", 0);
	(void)symlinkat("/etc/passwd", w->fd, "b");
}

static void act_fifo(const struct world *w)
{
	(void)unlinkat(w->fd, "b", 0);
	(void)mkfifoat(w->fd, "b", 0600);
}

static void act_add(const struct world *w)
{
	put(w, "new", "1");
}

static void act_remove(const struct world *w)
{
	(void)unlinkat(w->fd, "b", 0);
}

static void test_changes(void **state)
{
	static void (*const acts[])(const struct world *w) = { act_grow,    act_shrink, act_rewrite,
							       act_replace, act_link,	act_fifo,
							       act_add,	    act_remove };
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		struct meddler meddler = { .world = w, .act = acts[i] };
		struct oms_manifest *manifest = make(OMS_FILES, 0);
		struct oms_model model = { .dirfd = w->fd, .progress = meddle, .data = &meddler };
		struct oms_why why = { 0 };
		int r;

		(void)unlinkat(w->fd, "new", 0);
		(void)unlinkat(w->fd, "b", 0);
		put(w, "a", "123");
		put(w, "b", "123");
		r = oms_measure(&model, NULL, manifest, &why);
		assert_true(meddler.done);
		if (r != -EBUSY || !why.text[0])
			fail_msg("act %zu: %d %s", i, r, why.text);
		oms_manifest_free(&manifest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_one_file, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_shards, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_named_shards, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_compare, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_skip_and_ignore, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_links, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_special_files, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_bad_names, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_depth, make_world, remove_world),
		cmocka_unit_test_setup_teardown(test_changes, make_world, remove_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
