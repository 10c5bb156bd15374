/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every setting: a good value and its canonical print, a value that is not understood, and where
 * there is a range one that is out of it.
 *
 * link: daemon/planner/settings.c daemon/planner/types.c daemon/planner/value.c
 * link: daemon/planner/words.c daemon/planner/problems.c daemon/planner/profile.c
 * link: daemon/planner/support.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "daemon/planner/profile.h"
#include "daemon/planner/settings.h"

struct sample {
	const char *name; /* section.key */
	const char *good;
	const char *canonical;
	const char *bad;   /* not understood */
	const char *range; /* out of range; NULL: there is none */
};

static const struct sample samples[] = {
	{ "profile.extends", "base", "base", "../base", NULL },
	{ "profile.description", "a  model, \"big\"", "a  model, \"big\"", "", NULL },
	{ "model.path", "\"/srv/my model\"", "\"/srv/my model\"", "srv/model", NULL },
	{ "model.require-signature", "yes", "yes", "true", NULL },
	{ "model.trusted-keys", "/a.pem '/b c.pem'", "/a.pem\n  \"/b c.pem\"", "a.pem", NULL },
	{ "model.formats", "gguf onnx", "gguf\n  onnx", "gguf exe", NULL },
	{ "model.signature", "/srv/a.sig", "/srv/a.sig", "a.sig", NULL },
	{ "model.allow-pickle", "yes", "yes", "maybe", NULL },
	{ "model.require-attestation", "urn:a by /k urn:b by /k",
	  "urn:a\n  by\n  /k\n  urn:b\n  by\n  /k", "\"urn a\" by /k", NULL },
	{ "model.attestations", "/srv/a", "/srv/a", "/srv/a/", NULL },
	{ "model.measure", "no", "no", "once", NULL },
	{ "model.check", "/bin/a -r 'b c' -r", "/bin/a -r \"b c\" -r", "\"\"", NULL },
	{ "model.check-timeout", "90s", "90s", "soon", "61m" },
	{ "process.command", "/bin/a -b 'c d' \"\"", "/bin/a\n  -b\n  \"c d\"\n  \"\"", "\"\"",
	  NULL },
	{ "process.environment", "A=1 \"B=x y\"", "A=1\n  \"B=x y\"", "A", NULL },
	{ "process.workdir", "/srv", "/srv", "/srv/", NULL },
	{ "process.memfd", "no", "no", "No", NULL },
	{ "process.programs", "/usr/bin/env -/opt/bin", "/usr/bin/env\n  -/opt/bin", "env", NULL },
	{ "files.read", "/usr -/opt", "/usr\n  -/opt", "--/usr", NULL },
	{ "files.data", "/etc/ssl", "/etc/ssl", "/etc/../ssl", NULL },
	{ "files.write", "/srv/out", "/srv/out", "-/srv/out", NULL },
	{ "files.scratch", "65536K", "64M", "64MB", "0" },
	{ "files.tmp", "1025", "1025", "1.5G", "1025T" },
	{ "files.shm", "none", "none", "-1", "99999999999999999999999" },
	{ "files.jit", "yes", "yes", "1", NULL },
	{ "network.listen", "tcp:[::1]:80 unix:/run/a.sock", "tcp:[::1]:80\n  unix:/run/a.sock",
	  "tcp:localhost:80", "tcp:127.0.0.1:65536" },
	{ "network.egress", "name:metrics.internal:9090", "name:metrics.internal:9090",
	  "metrics.internal:9090", "tcp:10.0.0.5:0" },
	{ "network.refuse", "econnrefused", "econnrefused", "EPERM", NULL },
	{ "network.egress-rate", "50M/s tcp:10.0.0.5:443=1M/s", "50M/s\n  tcp:10.0.0.5:443=1M/s",
	  "50M", "33G/s" },
	{ "network.egress-total", "auto tcp:[::1]:80=1G", "auto\n  tcp:[::1]:80=1G", "=1G", "0" },
	{ "network.on-rate", "throttle", "throttle", "drop", NULL },
	{ "network.on-ceiling", "cut", "cut", "stop", NULL },
	{ "network.loopback", "yes", "yes", "maybe", NULL },
	{ "gpu.devices", "nvidia:0 dri:128", "nvidia:0\n  dri:128", "nvidia0", "nvidia:128" },
	{ "gpu.ioctls", "compute", "compute", "some", NULL },
	{ "limits.memory", "2048M", "2G", "2 G", "1K" },
	{ "limits.memory-high", "1G", "1G", "1Gi", "1023K" },
	{ "limits.processes", "64", "64", "064", "0" },
	{ "limits.cpu", "800%", "800%", "8", "0%" },
	{ "limits.io-read", "1024K/s", "1M/s", "1M", "65535/s" },
	{ "limits.io-write", "none", "none", "8:0=1M/s", "1025T/s" },
	{ "limits.open-files", "1048576", "1048576", "many", "1048577" },
	{ "syscalls.set", "training", "training", "everything", NULL },
	{ "require.planes", "structure lsm", "structure\n  lsm", "structure selinux", NULL },
	{ "evidence.on-loss", "freeze", "freeze", "ignore", NULL },
	{ "evidence.retain", "24h", "1d", "180", "25h" },
	{ "retire.drain-timeout", "120s", "2m", "60", "61m" },
	{ "retire.scan", "/srv /home", "/srv\n  /home", "srv", NULL },
	{ "retire.erase", "crypto-erase", "crypto-erase", "shred", NULL },
};

static const struct setting_row *find_row(const char *name)
{
	const char *dot = strchr(name, '.');
	char section[32];

	(void)snprintf(section, sizeof(section), "%.*s", (int)(dot - name), name);
	return settings_find_row(section, dot + 1);
}

/* "[section]\nkey = value\n" parsed into settings. */
static void parse_one(const char *name, const char *value, struct settings *settings,
		      struct problems *problems)
{
	const struct setting_row *row = find_row(name);
	char text[512];

	(void)snprintf(text, sizeof(text), "[%s]\n%s = %s\n", row->section, row->key, value);
	profile_parse("t.ini", text, strlen(text), settings, problems);
}

static void test_table_is_covered(void **state)
{
	(void)state;
	assert_int_equal(ARRAY_SIZE(samples), setting_rows_n);
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
		assert_ptr_equal(find_row(samples[i].name), &setting_rows[i]);
}

static void test_good_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		struct problems problems = { 0 };
		struct settings settings = { 0 };
		cleanup_ptr char *text = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&text, &size);

		parse_one(samples[i].name, samples[i].good, &settings, &problems);
		assert_true(problems_none(&problems));
		settings_print_value(out, &setting_rows[i],
				     settings_find_value(&settings, &setting_rows[i]));
		assert_int_equal(fclose(out), 0);
		assert_string_equal(text, samples[i].canonical);
		settings_clear(&settings);
	}
}

/* One problem, at line 2, that names the setting and says `expected`. */
static void assert_refused(const char *name, const char *value, const char *expected)
{
	const struct setting_row *row = find_row(name);
	struct problems problems = { 0 };
	struct settings settings = { 0 };
	char both[64];

	parse_one(name, value, &settings, &problems);
	(void)snprintf(both, sizeof(both), "[%s] %s", row->section, row->key);
	assert_int_equal(problems.n, 1);
	assert_int_equal(problems.list[0].line, 2);
	assert_int_equal(problems.list[0].exit, CUSTODY_EXIT_USAGE);
	assert_string_equal(problems.list[0].file, "t.ini");
	assert_non_null(strstr(problems.list[0].text, both));
	assert_non_null(strstr(problems.list[0].text, expected));
	problems_clear(&problems);
	settings_clear(&settings);
}

static void test_bad_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		const struct setting_type *type = &setting_types[setting_rows[i].type];
		bool two = strcmp(samples[i].name, "limits.memory") == 0;

		assert_refused(samples[i].name, samples[i].bad,
			       samples[i].bad[0] == '\0' ? "is empty"
			       : two			 ? "takes one value"
							 : "is not understood");
		if (samples[i].range)
			assert_refused(samples[i].name, samples[i].range, "is out of range");
		assert_refused(samples[i].name, "", "is empty");
		if (type->none && type->list) {
			char text[128];

			(void)snprintf(text, sizeof(text), "%s none", samples[i].good);
			assert_refused(samples[i].name, text, "none stands alone");
		}
	}
}

static void test_defaults(void **state)
{
	struct problems problems = { 0 };
	struct settings settings = { 0 };

	(void)state;
	settings_set_defaults(&settings, &problems);
	assert_true(problems_none(&problems));
	profile_check_support(&settings, &problems);
	assert_true(problems_none(&problems));
	assert_int_equal(settings.scratch.number, 64 << 20);
	assert_int_equal(settings.processes.number, 256);
	assert_int_equal(settings.open_files.number, 1024);
	assert_int_equal(settings.memory.number, 0);
	assert_int_equal(settings.drain_timeout.number, 60);
	assert_int_equal(settings.retain.number, 180 * 86400);
	assert_int_equal(settings.jit.number + settings.memfd.number + settings.loopback.number, 0);
	assert_string_equal(settings.workdir.words.list[0].text, "/");
	assert_true(settings_is_none(&settings.listen));
	assert_false(settings.model_path.set);
	settings_clear(&settings);
}

/* What this version cannot enforce is refused with its line, and what it can is not. */
static void test_support(void **state)
{
	static const struct {
		const char *name;
		const char *value;
		bool refused;
	} cases[] = {
		{ "model.require-signature", "no", false },
		{ "model.trusted-keys", "none", false },
		{ "model.formats", "gguf torch\nallow-pickle = yes", false },
		{ "model.measure", "yes", false },
		{ "network.egress", "none", false },
		/* without the cgroup plane, which no planes are set to require here */
		{ "network.egress", "tcp:1.2.3.4:5", true },
		{ "network.egress", "name:a.internal:5", true },
		{ "network.refuse", "econnrefused", true },
		{ "network.egress-rate", "1M/s", false },
		{ "network.egress-total", "auto", false },
		{ "network.on-ceiling", "cut", false },
		{ "gpu.ioctls", "compute", false },
		{ "gpu.ioctls", "all", false },
		{ "gpu.devices", "nvidia:0", true },
		{ "gpu.devices", "none", false },
		{ "retire.scan", "/", true },
		{ "retire.scan", "none", false },
		{ "retire.erase", "crypto-erase", true },
		{ "retire.erase", "memory", false },
		{ "syscalls.set", "model-server-gpu", false },
		{ "syscalls.set", "training", false },
		{ "syscalls.set", "model-server", false },
		{ "require.planes", "lsm", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct problems problems = { 0 };
		struct settings settings = { 0 };

		parse_one(cases[i].name, cases[i].value, &settings, &problems);
		assert_true(problems_none(&problems));
		profile_check_support(&settings, &problems);
		assert_int_equal(problems.n, cases[i].refused ? 1 : 0);
		if (cases[i].refused) {
			assert_int_equal(problems.list[0].exit, CUSTODY_EXIT_REFUSED);
			assert_int_equal(problems.list[0].line, 2);
			assert_string_equal(problems.list[0].file, "t.ini");
		}
		problems_clear(&problems);
		settings_clear(&settings);
	}
}

/* A setting of [model] that would do nothing, or cannot be met, is an error with its line. */
static void test_admission(void **state)
{
	static const struct {
		const char *name;
		const char *value;
		const char *expected; /* NULL: it is well */
	} cases[] = {
		{ "model.require-signature", "yes", "Name the public keys" },
		{ "model.require-signature", "yes\ntrusted-keys = /k", NULL },
		{ "model.trusted-keys", "/k", "set require-signature = yes" },
		{ "model.signature", "/s", "set require-signature = yes" },
		{ "model.attestations", "/a", "set require-attestation" },
		{ "model.formats", "gguf pickle", "set allow-pickle = yes" },
		{ "model.formats", "torch", "set allow-pickle = yes" },
		{ "model.formats", "gguf safetensors", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct problems problems = { 0 };
		struct settings settings = { 0 };

		parse_one(cases[i].name, cases[i].value, &settings, &problems);
		assert_true(problems_none(&problems));
		profile_check_support(&settings, &problems);
		assert_int_equal(problems.n, cases[i].expected ? 1 : 0);
		if (cases[i].expected) {
			assert_int_equal(problems.list[0].exit, CUSTODY_EXIT_USAGE);
			assert_int_equal(problems.list[0].line, 2);
			assert_non_null(strstr(problems.list[0].text, cases[i].expected));
		}
		problems_clear(&problems);
		settings_clear(&settings);
	}
}

static void assert_explained(const char *section, const char *key, const char *expected)
{
	char text[256];

	settings_explain_unknown(section, key, text, sizeof(text));
	assert_non_null(strstr(text, expected));
}

static void test_suggestions(void **state)
{
	(void)state;
	assert_explained("files", "raed", "did you mean [files] read?");
	assert_explained("limits", "proceses", "did you mean [limits] processes?");
	assert_explained("files", "listen", "did you mean [network] listen?");
	assert_explained("files", "qqqqqqqqqq",
			 "unknown key qqqqqqqqqq in [files]; its keys are: read data write "
			 "scratch tmp shm jit");
	assert_explained("file", "read", "unknown section [file], did you mean [files]?");
	assert_explained("quux", "read", "unknown section [quux]; the sections are in");
	assert_explained("", "read", "before the first [section]");
	assert_explained("files", "r\xc3\xa4", "r\\xc3\\xa4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_covered), cmocka_unit_test(test_good_values),
		cmocka_unit_test(test_bad_values),	 cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_support),
		cmocka_unit_test(test_admission),		 cmocka_unit_test(test_suggestions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
