/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry's text and its rules, and how the text gets onto the disk.
 * link: daemon/planner/registry.c daemon/planner/registry_text.c daemon/warden/registry_file.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "fingerprint.h"
#include "daemon/planner/registry.h"
#include "daemon/warden/registry_file.h"

static struct registry_request make_request(enum registry_verb verb, __u32 version,
					    const char *why)
{
	struct registry_request request = {
		.verb = verb, .version = version, .mark = { .time_s = 1795000000, .uid = 0 },
	};

	(void)snprintf(request.add.name, sizeof(request.add.name), "digits");
	(void)snprintf(request.mark.why, sizeof(request.mark.why), "%s", why);
	return request;
}

static enum custody_exit apply(struct registry *registry, const struct registry_request *request,
			       struct model_version *ret, bool *ret_changed, const char *words)
{
	char why[REGISTRY_WHY_SIZE] = "";
	enum custody_exit r;

	*ret_changed = false;
	memset(ret, 0, sizeof(*ret));
	r = registry_apply(registry, request, ret, ret_changed, why);
	if (words && !strstr(why, words))
		fail_msg("said \"%s\", not \"%s\"", why, words);
	assert_true(r == CUSTODY_EXIT_DONE || why[0]);
	return r;
}

static enum custody_exit add(struct registry *registry, __u8 digest, const char *words)
{
	struct registry_request request = make_request(REGISTRY_ADD, 0, "");
	struct model_version model;
	bool changed;
	enum custody_exit r;

	memset(request.add.digest, digest, sizeof(request.add.digest));
	(void)snprintf(request.add.directory, sizeof(request.add.directory), "/srv/d%u", digest);
	(void)snprintf(request.add.profile, sizeof(request.add.profile), "sklearn-digits");
	r = apply(registry, &request, &model, &changed, words);
	assert_int_equal(changed, r == CUSTODY_EXIT_DONE);
	return r;
}

static enum custody_exit ask(struct registry *registry, enum registry_verb verb, __u32 version,
			     const char *why, const char *words)
{
	struct registry_request request = make_request(verb, version, why);
	struct model_version model;
	bool changed;

	return apply(registry, &request, &model, &changed, words);
}

static struct registry make_two(void)
{
	struct registry registry = { 0 };

	assert_int_equal(add(&registry, 1, NULL), CUSTODY_EXIT_DONE);
	assert_int_equal(add(&registry, 2, NULL), CUSTODY_EXIT_DONE);
	return registry;
}

static char *print(const struct registry *registry, size_t *ret_n)
{
	char *text = NULL;

	assert_int_equal(registry_print(registry, &text, ret_n), 0);
	assert_int_equal(strlen(text), *ret_n);
	return text;
}

/* ---- rules ---- */

static void test_versions_are_numbered(void **state)
{
	cleanup_registry struct registry registry = make_two();

	(void)state;
	assert_int_equal(registry.n, 2);
	assert_int_equal(registry.current, 2);
	assert_false(registry.versions[0].current);
	assert_true(registry.versions[1].current);
	assert_string_equal(registry.versions[0].name, "digits");
}

static void test_rollback_needs_one_that_served_well(void **state)
{
	cleanup_registry struct registry registry = make_two();

	(void)state;
	assert_int_equal(ask(&registry, REGISTRY_ROLLBACK, 0, "", "none to go back to"),
			 CUSTODY_EXIT_REFUSED);
	assert_int_equal(ask(&registry, REGISTRY_ROLLBACK, 1, "", "never served well"),
			 CUSTODY_EXIT_REFUSED);
	assert_int_equal(ask(&registry, REGISTRY_ROLLBACK, 2, "", "is the current version"),
			 CUSTODY_EXIT_REFUSED);
	assert_int_equal(registry.current, 2);
	assert_int_equal(ask(&registry, REGISTRY_SERVED, 1, "ran", NULL), CUSTODY_EXIT_DONE);
	assert_int_equal(ask(&registry, REGISTRY_ROLLBACK, 0, "", NULL), CUSTODY_EXIT_DONE);
	assert_int_equal(registry.current, 1);
	/* and nothing is before the first */
	assert_int_equal(ask(&registry, REGISTRY_ROLLBACK, 0, "", "none to go back to"),
			 CUSTODY_EXIT_REFUSED);
}

static void test_rollback_takes_the_newest_that_served_well(void **state)
{
	cleanup_registry struct registry registry = make_two();

	(void)state;
	assert_int_equal(add(&registry, 3, NULL), CUSTODY_EXIT_DONE);
	assert_int_equal(add(&registry, 4, NULL), CUSTODY_EXIT_DONE);
	assert_int_equal(ask(&registry, REGISTRY_SERVED, 1, "ran", NULL), CUSTODY_EXIT_DONE);
	assert_int_equal(ask(&registry, REGISTRY_SERVED, 2, "ran", NULL), CUSTODY_EXIT_DONE);
	/* 3 never served: it is passed over. 2 was revoked: that is said, and 1 is not taken. */
	assert_int_equal(ask(&registry, REGISTRY_REVOKE, 2, "it leaks", NULL), CUSTODY_EXIT_DONE);
	assert_int_equal(ask(&registry, REGISTRY_ROLLBACK, 0, "", "digits@2, which would be rolled "
			     "back to, was revoked on 2026-11-18T11:06:40Z by uid 0: it leaks"),
			 CUSTODY_EXIT_REFUSED);
	assert_int_equal(registry.current, 4);
	assert_int_equal(ask(&registry, REGISTRY_ROLLBACK, 1, "", NULL), CUSTODY_EXIT_DONE);
	assert_int_equal(registry.current, 1);
}

static void test_what_ended_does_not_start(void **state)
{
	cleanup_registry struct registry registry = make_two();

	(void)state;
	assert_int_equal(ask(&registry, REGISTRY_FIND, 0, "", NULL), CUSTODY_EXIT_DONE);
	assert_int_equal(ask(&registry, REGISTRY_FIND, 1, "", NULL), CUSTODY_EXIT_DONE);
	assert_int_equal(ask(&registry, REGISTRY_FIND, 3, "", "no version 3"),
			 CUSTODY_EXIT_REFUSED);
	assert_int_equal(ask(&registry, REGISTRY_RETIRE, 1, "verdict clean", NULL),
			 CUSTODY_EXIT_DONE);
	assert_int_equal(ask(&registry, REGISTRY_FIND, 1, "", "retired on 2026"),
			 CUSTODY_EXIT_REFUSED);
	assert_int_equal(ask(&registry, REGISTRY_REVOKE, 0, "it leaks", NULL), CUSTODY_EXIT_DONE);
	assert_int_equal(ask(&registry, REGISTRY_FIND, 0, "", "by uid 0: it leaks"),
			 CUSTODY_EXIT_REFUSED);
	assert_int_equal(ask(&registry, REGISTRY_REVOKE, 2, "again", "it leaks"),
			 CUSTODY_EXIT_REFUSED);
	assert_int_equal(ask(&registry, REGISTRY_REVOKE, 1, "", "needs a reason"),
			 CUSTODY_EXIT_REFUSED);
	/* what is revoked does not come back under another number; what is retired may */
	assert_int_equal(add(&registry, 2, "byte for byte, digits@2"), CUSTODY_EXIT_REFUSED);
	assert_int_equal(registry.n, 2);
	assert_int_equal(add(&registry, 1, NULL), CUSTODY_EXIT_DONE);
}

static void test_marks_are_made_once(void **state)
{
	cleanup_registry struct registry registry = make_two();
	struct registry_request request = make_request(REGISTRY_SERVED, 1, "first");
	struct model_version model;
	bool changed;

	(void)state;
	request.mark.uid = MODEL_NOBODY;
	assert_int_equal(apply(&registry, &request, &model, &changed, NULL), CUSTODY_EXIT_DONE);
	assert_true(changed);
	request.mark.time_s++;
	(void)snprintf(request.mark.why, sizeof(request.mark.why), "second");
	assert_int_equal(apply(&registry, &request, &model, &changed, NULL), CUSTODY_EXIT_DONE);
	assert_false(changed);
	assert_string_equal(model.served.why, "first");
	assert_int_equal(model.served.uid, MODEL_NOBODY);
}

static void test_full_registry(void **state)
{
	cleanup_registry struct registry registry = { 0 };
	cleanup_registry struct registry back = { 0 };
	cleanup_ptr char *text = NULL;
	const char *why = "";
	size_t n = 0;

	(void)state;
	for (unsigned int i = 0; i < REGISTRY_VERSIONS_MAX; i++)
		assert_int_equal(add(&registry, (__u8)(i + 1), NULL), CUSTODY_EXIT_DONE);
	assert_int_equal(add(&registry, 200, "is full"), CUSTODY_EXIT_REFUSED);
	/* the longest texts that there can be, and it still fits */
	for (unsigned int i = 0; i < REGISTRY_VERSIONS_MAX; i++) {
		struct model_version *v = &registry.versions[i];

		memset(v->directory, '"', sizeof(v->directory) - 1);
		v->directory[0] = '/';
		memcpy(v->signature, v->directory, sizeof(v->signature));
		memcpy(v->card, v->directory, sizeof(v->card));
		memcpy(v->fingerprints, v->directory, sizeof(v->fingerprints));
		memset(v->fingerprints_digest, 0xff, sizeof(v->fingerprints_digest));
		memset(v->signer, '"', sizeof(v->signer) - 1);
		memset(v->revoked.why, '"', sizeof(v->revoked.why) - 1);
		v->revoked.time_s = 1;
		v->retired = v->served = v->revoked;
	}
	text = print(&registry, &n);
	assert_int_equal(registry_parse(text, n, "digits", &back, &why), 0);
	assert_memory_equal(back.versions, registry.versions,
			    registry.n * sizeof(*registry.versions));
}

static void test_bad_requests(void **state)
{
	cleanup_registry struct registry registry = make_two();
	struct registry_request request = make_request(REGISTRY_ADD, 0, "");
	struct model_version model;
	bool changed;

	(void)state;
	(void)snprintf(request.add.profile, sizeof(request.add.profile), "p");
	assert_int_equal(apply(&registry, &request, &model, &changed, "not absolute"),
			 CUSTODY_EXIT_REFUSED);
	(void)snprintf(request.add.directory, sizeof(request.add.directory), "/a\nb");
	assert_int_equal(apply(&registry, &request, &model, &changed, "not text"),
			 CUSTODY_EXIT_REFUSED);
	(void)snprintf(request.add.directory, sizeof(request.add.directory), "/a");
	(void)snprintf(request.add.card, sizeof(request.add.card), "card.md");
	assert_int_equal(apply(&registry, &request, &model, &changed, "not absolute"),
			 CUSTODY_EXIT_REFUSED);
	request.add.card[0] = '\0';
	(void)snprintf(request.add.profile, sizeof(request.add.profile), "../p");
	assert_int_equal(apply(&registry, &request, &model, &changed, "name"),
			 CUSTODY_EXIT_REFUSED);
	assert_int_equal(ask(&registry, REGISTRY_REVOKE, 1, "bad \xff\xfe bytes", "not text"),
			 CUSTODY_EXIT_REFUSED);
	assert_int_equal(ask(&registry, REGISTRY_REVOKE, 1, "over\xe2\x80\xaewritten", "not text"),
			 CUSTODY_EXIT_REFUSED);
	assert_int_equal(registry.n, 2);
}

/* ---- fingerprints ---- */

static struct registry_request make_index(enum registry_verb verb, __u8 digest, const char *file)
{
	struct registry_request request = make_request(verb, 1, "");

	memset(request.add.fingerprints_digest, digest, sizeof(request.add.fingerprints_digest));
	(void)snprintf(request.add.fingerprints, sizeof(request.add.fingerprints), "%s", file);
	return request;
}

static void test_index_is_given_once(void **state)
{
	cleanup_registry struct registry registry = make_two();
	struct registry_request request = make_index(REGISTRY_FINGERPRINT, 7, "/m/fingerprints-7");
	cleanup_registry struct registry back = { 0 };
	cleanup_ptr char *text = NULL;
	struct model_version model;
	const char *why = "";
	size_t n = 0;
	bool changed;

	(void)state;
	assert_int_equal(apply(&registry, &request, &model, &changed, NULL), CUSTODY_EXIT_DONE);
	assert_true(changed);
	assert_string_equal(registry.versions[0].fingerprints, "/m/fingerprints-7");
	assert_string_equal(registry.versions[1].fingerprints, "");
	/* the same again is nothing new; another one is not of these bytes */
	assert_int_equal(apply(&registry, &request, &model, &changed, NULL), CUSTODY_EXIT_DONE);
	assert_false(changed);
	request = make_index(REGISTRY_FINGERPRINT, 8, "/m/fingerprints-8");
	assert_int_equal(apply(&registry, &request, &model, &changed, "it is another one"),
			 CUSTODY_EXIT_REFUSED);
	text = print(&registry, &n);
	assert_non_null(strstr(text, "\"digest\": \"sha256:0707"));
	assert_int_equal(registry_parse(text, n, "digits", &back, &why), 0);
	assert_memory_equal(back.versions, registry.versions, 2 * sizeof(*back.versions));
}

static void test_index_needs_path_and_digest(void **state)
{
	static const struct {
		enum registry_verb verb;
		__u8 digest;
		const char *file, *words;
	} bad[] = {
		{ REGISTRY_FINGERPRINT, 0, "/m/f", "no path that is text, or no digest" },
		{ REGISTRY_FINGERPRINT, 7, "", "no path" },
		{ REGISTRY_FINGERPRINT, 7, "m/f", "no path" },
		{ REGISTRY_FINGERPRINT, 7, "/m/\nf", "no path" },
		{ REGISTRY_ADD, 0, "/m/f", "has no digest" },
		{ REGISTRY_ADD, 7, "", "has no digest" },
		{ REGISTRY_ADD, 7, "m/f", "not absolute" },
	};
	cleanup_registry struct registry registry = make_two();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct registry_request request = make_index(bad[i].verb, bad[i].digest,
							     bad[i].file);
		struct model_version model;
		bool changed;

		(void)snprintf(request.add.profile, sizeof(request.add.profile), "p");
		(void)snprintf(request.add.directory, sizeof(request.add.directory), "/d");
		assert_int_equal(apply(&registry, &request, &model, &changed, bad[i].words),
				 CUSTODY_EXIT_REFUSED);
	}
	assert_int_equal(registry.n, 2);
	assert_string_equal(registry.versions[0].fingerprints, "");
}

/* ---- text ---- */

static void test_text_comes_back(void **state)
{
	cleanup_registry struct registry registry = make_two();
	cleanup_registry struct registry back = { 0 };
	cleanup_ptr char *text = NULL;
	cleanup_ptr char *again = NULL;
	const char *why = "";
	size_t n = 0, m = 0;

	(void)state;
	assert_int_equal(ask(&registry, REGISTRY_SERVED, 1, "ran", NULL), CUSTODY_EXIT_DONE);
	assert_int_equal(ask(&registry, REGISTRY_REVOKE, 2, "it says \"\u2603\"; stop", NULL),
			 CUSTODY_EXIT_DONE);
	text = print(&registry, &n);
	assert_int_equal(registry_parse(text, n, "digits", &back, &why), 0);
	assert_int_equal(back.n, 2);
	assert_int_equal(back.current, 2);
	assert_memory_equal(back.versions, registry.versions, 2 * sizeof(*back.versions));
	again = print(&back, &m);
	assert_int_equal(n, m);
	assert_memory_equal(text, again, n);
}

static void parse_fails(const char *text, size_t n, const char *name)
{
	struct registry back = { 0 };
	const char *why = NULL;

	assert_int_equal(registry_parse(text, n, name, &back, &why), -EBADMSG);
	assert_non_null(why);
	assert_null(back.versions);
}

/* Cut anywhere, and with any one bit of it turned: never taken for a registry. */
static void test_damage_is_seen(void **state)
{
	cleanup_registry struct registry registry = { 0 };
	cleanup_ptr char *text = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(add(&registry, 7, NULL), CUSTODY_EXIT_DONE);
	assert_int_equal(ask(&registry, REGISTRY_REVOKE, 1, "it leaks", NULL), CUSTODY_EXIT_DONE);
	text = print(&registry, &n);
	for (size_t i = 0; i < n; i++)
		parse_fails(text, i, "digits");
	for (size_t i = 0; i < n; i++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			text[i] = (char)(text[i] ^ (1 << bit));
			parse_fails(text, n, "digits");
			text[i] = (char)(text[i] ^ (1 << bit));
		}
	}
	parse_fails(text, n, "digits2");
}

/* An edit by hand that is good JSON, and would let a revoked version start. */
static void test_edit_is_seen(void **state)
{
	cleanup_registry struct registry registry = { 0 };
	struct registry back = { 0 };
	cleanup_ptr char *text = NULL;
	const char *why = "";
	char *at;
	size_t n = 0;

	(void)state;
	assert_int_equal(add(&registry, 7, NULL), CUSTODY_EXIT_DONE);
	text = print(&registry, &n);
	at = strstr(text, "sklearn");
	assert_non_null(at);
	memcpy(at, "Sklearn", 7);
	assert_int_equal(registry_parse(text, n, "digits", &back, &why), -EBADMSG);
	memcpy(at, "sklaern", 7);
	assert_int_equal(registry_parse(text, n, "digits", &back, &why), -EBADMSG);
	assert_non_null(strstr(why, "damaged"));
}

static void test_other_text(void **state)
{
	static const char *const texts[] = {
		"", "{}", "[]", "null", "{\"registry\":1,\"sha256\":\"\"}",
		"{\"registry\":{},\"sha256\":\"\"}",
		"{\"registry\":{\"format\":2,\"model\":\"digits\",\"current\":1,\"versions\":[]},"
		"\"sha256\":\"\"}",
		"{\"registry\":{\"format\":1,\"model\":\"digits\",\"current\":1,\"versions\":[]},"
		"\"sha256\":\"\"}",
		"{\"registry\":{\"format\":1,\"model\":\"digits\",\"current\":1,\"versions\":[{}]},"
		"\"sha256\":\"\"}",
		"{\"registry\":{\"format\":1,\"model\":\"..\",\"current\":-1,\"versions\":{}},"
		"\"sha256\":\"\",\"sha256\":\"\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		parse_fails(texts[i], strlen(texts[i]), "digits");
}

/* ---- the file ---- */

static int make_text(const char *text, bool sealed)
{
	int fd = memfd_create("text", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	if (sealed)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW |
				       F_SEAL_SHRINK | F_SEAL_SEAL), 0);
	return fd;
}

static int open_models(char path[64])
{
	(void)snprintf(path, 64, "/tmp/custody-registry.XXXXXX");
	assert_non_null(mkdtemp(path));
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void remove_models(int models, const char *path)
{
	(void)unlinkat(models, "digits/" REGISTRY_FILE, 0);
	(void)unlinkat(models, "digits", AT_REMOVEDIR);
	(void)unlinkat(models, "digits", 0);
	assert_int_equal(rmdir(path), 0);
}

static void expect_text(int models, const char *text)
{
	cleanup_fd int fd = openat(models, "digits/" REGISTRY_FILE, O_RDONLY | O_CLOEXEC);
	char buffer[64] = "";

	assert_true(fd >= 0);
	assert_int_equal(read(fd, buffer, sizeof(buffer) - 1), (ssize_t)strlen(text));
	assert_string_equal(buffer, text);
	assert_int_equal(faccessat(models, "digits/.registry.json.new", F_OK, 0), -1);
}

static void test_file_is_replaced(void **state)
{
	cleanup_fd int one = make_text("one", true), two = make_text("second", true);
	char path[64];
	cleanup_fd int models = open_models(path);

	(void)state;
	assert_int_equal(registry_file_find(models, "digits"), -ENOENT);
	assert_int_equal(registry_file_find(models, "../etc"), -EINVAL);
	assert_int_equal(registry_file_replace(models, "digits", getgid(), one, -1), 0);
	assert_int_equal(registry_file_find(models, "digits"), 0);
	expect_text(models, "one");
	assert_int_equal(registry_file_replace(models, "digits", getgid(), two, -1), 0);
	expect_text(models, "second");
	remove_models(models, path);
}

static void test_file_refuses(void **state)
{
	cleanup_fd int good = make_text("good", true), loose = make_text("loose", false);
	cleanup_fd int empty = make_text("", true), disk = open("/etc/passwd", O_RDONLY);
	char path[64];
	cleanup_fd int models = open_models(path);
	cleanup_fd int holder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(registry_file_replace(models, "digits", getgid(), loose, -1), -EPROTO);
	assert_int_equal(registry_file_replace(models, "digits", getgid(), empty, -1), -EPROTO);
	assert_int_equal(registry_file_replace(models, "digits", getgid(), models, -1), -EPROTO);
	assert_int_equal(registry_file_replace(models, "digits", getgid(), disk, -1), -EPROTO);
	assert_int_equal(registry_file_replace(models, "..", getgid(), good, -1), -EINVAL);
	assert_int_equal(flock(holder, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(registry_file_replace(models, "digits", getgid(), good, -1), -EWOULDBLOCK);
	assert_int_equal(flock(holder, LOCK_UN), 0);
	/* where the directory should be there is a link to one */
	assert_int_equal(symlinkat("/tmp", models, "digits"), 0);
	assert_int_equal(registry_file_replace(models, "digits", getgid(), good, -1), -ENOTDIR);
	assert_int_equal(registry_file_find(models, "digits"), -ENOENT);
	remove_models(models, path);
}

static int truncate_at(int models, const char *path, off_t size)
{
	cleanup_fd int fd = openat(models, path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : ftruncate(fd, size);
}

/* An index of one value, sealed; with its name. */
static int make_index_fd(char name[REGISTRY_FILE_INDEX_SIZE], __u8 digest[CUSTODY_DIGEST_SIZE])
{
	__u64 value = 5;
	const struct fingerprint_index index = { .bytes = 9, .ceiling = 6, .values = &value,
						 .n = 1 };
	int fd = memfd_create("index", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	cleanup_ptr __u8 *bytes = NULL;
	size_t n = 0;

	assert_int_equal(fingerprint_encode(&index, &bytes, &n), 0);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	assert_int_equal(registry_file_digest_index(fd, digest), -EPROTO); /* not sealed yet */
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK |
			       F_SEAL_SEAL), 0);
	assert_int_equal(registry_file_digest_index(fd, digest), 0);
	registry_file_name_index(digest, name);
	return fd;
}

static void test_index_is_put_beside_the_text(void **state)
{
	cleanup_fd int text = make_text("one", true), empty = make_text("", true);
	char path[64], name[REGISTRY_FILE_INDEX_SIZE], at[2 * REGISTRY_FILE_INDEX_SIZE];
	__u8 digest[CUSTODY_DIGEST_SIZE];
	cleanup_fd int index = make_index_fd(name, digest);
	cleanup_fd int models = open_models(path);
	struct stat st;

	(void)state;
	(void)snprintf(at, sizeof(at), "digits/%s", name);
	assert_int_equal(registry_file_restore_index(models, "digits", index), -ENOENT);
	/* what is no index leaves no registry either */
	assert_int_equal(registry_file_replace(models, "digits", getgid(), text, empty), -EPROTO);
	assert_int_equal(registry_file_find(models, "digits"), -ENOENT);
	assert_int_equal(registry_file_replace(models, "digits", getgid(), text, index), 0);
	expect_text(models, "one");
	assert_true(registry_file_has_index(models, "digits", digest));
	assert_int_equal(fstatat(models, at, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	/* others may read it; cut off; a link to it; gone: none of it counts */
	assert_int_equal(fchmodat(models, at, 0640, 0), 0);
	assert_false(registry_file_has_index(models, "digits", digest));
	assert_int_equal(registry_file_restore_index(models, "digits", index), 0);
	assert_true(registry_file_has_index(models, "digits", digest));
	assert_int_equal(truncate_at(models, at, st.st_size - 1), 0);
	assert_false(registry_file_has_index(models, "digits", digest));
	assert_int_equal(renameat(models, at, models, "digits/x"), 0);
	assert_int_equal(symlinkat("x", models, at), 0);
	assert_false(registry_file_has_index(models, "digits", digest));
	assert_int_equal(unlinkat(models, at, 0), 0);
	assert_false(registry_file_has_index(models, "digits", digest));
	assert_int_equal(registry_file_restore_index(models, "digits", index), 0);
	assert_true(registry_file_has_index(models, "digits", digest));
	assert_int_equal(unlinkat(models, at, 0), 0);
	assert_int_equal(unlinkat(models, "digits/x", 0), 0);
	remove_models(models, path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions_are_numbered),
		cmocka_unit_test(test_rollback_needs_one_that_served_well),
		cmocka_unit_test(test_rollback_takes_the_newest_that_served_well),
		cmocka_unit_test(test_what_ended_does_not_start),
		cmocka_unit_test(test_marks_are_made_once),
		cmocka_unit_test(test_full_registry),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_text_comes_back),
		cmocka_unit_test(test_damage_is_seen),
		cmocka_unit_test(test_edit_is_seen),
		cmocka_unit_test(test_other_text),
		cmocka_unit_test(test_file_is_replaced),
		cmocka_unit_test(test_file_refuses),
		cmocka_unit_test(test_index_is_given_once),
		cmocka_unit_test(test_index_needs_path_and_digest),
		cmocka_unit_test(test_index_is_put_beside_the_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
