/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles as text: what inih would let pass, extends, and plans made from them.
 *
 * link: daemon/planner/settings.c daemon/planner/types.c daemon/planner/value.c
 * link: daemon/planner/words.c daemon/planner/problems.c daemon/planner/profile.c
 * link: daemon/planner/support.c daemon/planner/build.c daemon/planner/build_admission.c
 * link: daemon/planner/build_ceiling.c
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "daemon/planner/build.h"
#include "plan.h"
#include "profile_memory.h"

static struct custody_plan plan;

/* Text that is refused: the line, and a piece of the message. */
struct refusal {
	const char *text;
	unsigned int line;
	const char *why;
};

#define LONG_50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct refusal refusals[] = {
	{ "read = /usr\n", 1, "before the first [section]" },
	{ "[files\nread = /usr\n", 1, "a section is [name] alone" },
	{ "[files] read = /usr\n", 1, "a section is [name] alone" },
	{ "[files]\nread /usr\n", 2, "no key = value" },
	{ "[files]\nread: /usr\n", 2, "no key = value" },
	{ "[files]\nread: /usr=1\n", 2, "no key = value" },
	{ "[files]\nread =\n", 2, "is empty" },
	{ "[files]\nread = ; /usr\n", 2, "is empty" },
	{ "[files]\nread = /usr\nread = /opt\n", 3, "stands there twice, first on line 2" },
	{ "[files]\nread = /usr\nread += /opt\n", 3, "stands there twice" },
	{ "[files]\nread = /usr\n[files]\nread = /opt\n", 4,
	  "stands there twice, first on line 2" },
	{ "[files]\nread = /usr\n\n  /usr\n", 4, "/usr stands there twice" },
	{ "[files]\n read = /usr\n", 2,
	  "indented line continues the key above it, and there is none" },
	{ "[files]\nread = /usr\n  data = /etc\n", 3, "indented line continues [files] read" },
	{ "[files]\nread = /usr\n  jit = yes\n", 3, "indented line continues [files] read" },
	{ "[files]\njit = yes\n  no\n", 3, "takes one value" },
	{ "[files]\njit = yes no\n", 2, "takes one value" },
	{ "[files]\njit += yes\n", 2, "write =, not +=" },
	{ "[files]\nfoo = yes\n  /usr\n", 2, "unknown key foo" },
	{ "[Files]\nread = /usr\n", 1, "unknown section [Files], did you mean [files]?" },
	{ "[fiels]\n", 1, "unknown section [fiels], did you mean [files]?" },
	{ "[ files ]\n", 1, "unknown section [ files ]" },
	{ "[]\nread = /usr\n", 1, "unknown section []" },
	{ "[files]\nRead = /usr\n", 2, "did you mean [files] read?" },
	{ "[process]\ncommand = /bin/sh -c \"a ; b\"\n", 2, "is not closed on this line" },
	{ "[process]\ncommand = /bin/sh -c 'a\n", 2, "is not closed on this line" },
	{ "[process]\ncommand = /bin/sh \"a\\n\"\n", 2, "a backslash stands only before" },
	{ "[process]\ncommand = /bin/sh \"a\tb\"\n", 2, "control character" },
	{ "[process]\nenvironment = A=1 A=2\n", 2, "A=2 stands there twice" },
	{ "[model]\npath = /a\001\n", 2, "control character" },
	{ "[model]\npath = /a\x7f\n", 2, "control character" },
	{ "[model]\npath = /a /b\n", 2, "takes one value" },
	{ "[model]\npath = /" LONG_50 LONG_50 LONG_50 LONG_50 "\n", 2, "longer than 198" },
	{ "[model]\npath = /" LONG_50 LONG_50 LONG_50 "0123456789\n", 2, "longer than 160" },
	{ "[profile]\ndescription = " LONG_50 LONG_50 LONG_50 "0123456789a\n", 2, "out of range" },
	{ "[model]\ncheck = /" LONG_50 LONG_50 " " LONG_50 "0123456789 0123456789 0123456\n", 2,
	  "at most 180 characters" },
	{ "[profile]\nextends = nowhere\n", 2, "extends: no profile nowhere" },
	{ "[profile]\nextends = loop-a\n", 2, "extends: loop-a extends itself" },
	{ "[profile]\nextends = deep1\n", 2, "more than 8 profiles" },
	{ "[profile]\nextends = broken\n", 3, "unknown key" },
};

static const struct profile_memory profiles[] = {
	{ "base", "[files]\nread = /usr\nscratch = 1M\n[process]\nenvironment = A=1 B=2\n" },
	{ "loop-a", "[profile]\nextends = loop-b\n" },
	{ "loop-b", "[profile]\nextends = loop-a\n" },
	{ "deep1", "[profile]\nextends = deep2\n" },
	{ "deep2", "[profile]\nextends = deep3\n" },
	{ "deep3", "[profile]\nextends = deep4\n" },
	{ "deep4", "[profile]\nextends = deep5\n" },
	{ "deep5", "[profile]\nextends = deep6\n" },
	{ "deep6", "[profile]\nextends = deep7\n" },
	{ "deep7", "[profile]\nextends = deep8\n" },
	{ "deep8", "[files]\njit = yes\n" },
	{ "checked", "[model]\ncheck = /bin/a -1\n" },
	{ "broken", "[files]\njit = yes\nreda = /usr\n" },
	{ NULL, NULL },
};

static void load(const char *text, size_t size, struct profile *profile, struct problems *problems)
{
	const struct profile_source source = profile_memory_source(profiles);

	profile_load_text(&source, "t.ini", text, size, profile, problems);
}

static void test_refusals(void **state)
{
	int failed = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		cleanup_problems struct problems problems = { 0 };
		cleanup_profile struct profile profile = { 0 };
		const struct problem *first;

		load(refusals[i].text, strlen(refusals[i].text), &profile, &problems);
		first = problems_first(&problems);
		if (first && strstr(first->text, refusals[i].why) &&
		    first->line == refusals[i].line)
			continue;
		print_error("%s: %u %s\n", refusals[i].text, first ? first->line : 0,
			    first ? first->text : "accepted");
		failed++;
	}
	assert_int_equal(failed, 0);
}

static void test_nul_byte(void **state)
{
	static const char text[] = "[files]\njit = no\0yes\n";
	cleanup_problems struct problems problems = { 0 };
	cleanup_profile struct profile profile = { 0 };

	(void)state;
	load(text, sizeof(text) - 1, &profile, &problems);
	assert_int_equal(problems.n, 1);
	assert_int_equal(problems.list[0].line, 2);
	assert_non_null(strstr(problems.list[0].text, "NUL"));
}

static void test_every_problem_is_found(void **state)
{
	static const char text[] = "[files]\nread = usr\nfoo = 1\n[limits]\ncpu = 3\nmemory = x\n";
	cleanup_problems struct problems problems = { 0 };
	cleanup_profile struct profile profile = { 0 };

	(void)state;
	load(text, sizeof(text) - 1, &profile, &problems);
	assert_int_equal(problems.n, 4);
	assert_int_equal(problems_exit(&problems), CUSTODY_EXIT_USAGE);
}

static void assert_words(const struct setting_value *value, const char *expected)
{
	char text[512] = "";
	size_t used = 0;

	for (size_t i = 0; i < value->words.n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "",
					 value->words.list[i].text);
	assert_string_equal(text, expected);
}

static void test_extends(void **state)
{
	static const char text[] =
		"\xef\xbb\xbf[profile]\r\nextends = base ; comment\r\n"
		"[files]\nread += /opt\n# comment\n  -/srv ; comment\nscratch = 2M\n"
		"[process]\nenvironment += B=3\n\tC=4\n";
	cleanup_problems struct problems problems = { 0 };
	cleanup_profile struct profile profile = { 0 };

	(void)state;
	load(text, sizeof(text) - 1, &profile, &problems);
	if (!problems_none(&problems))
		print_error("%u %s\n", problems.list[0].line, problems.list[0].text);
	assert_true(problems_none(&problems));
	assert_words(&profile.settings.read, "/usr /opt -/srv");
	assert_words(&profile.settings.environment, "A=1 B=3 C=4");
	assert_int_equal(profile.settings.scratch.number, 2 << 20);
	assert_string_equal(profile.settings.read.words.list[0].place.file, "base.ini");
	assert_int_equal(profile.settings.read.words.list[0].place.line, 2);
	assert_string_equal(profile.settings.read.words.list[2].place.file, "t.ini");
	assert_int_equal(profile.settings.read.words.list[2].place.line, 6);
}

static void test_replace_and_none(void **state)
{
	static const char text[] =
		"[profile]\nextends = base\n[files]\nread = /opt\nscratch = none\n"
		"data += none\n[process]\nenvironment = none\n";
	cleanup_problems struct problems problems = { 0 };
	cleanup_profile struct profile profile = { 0 };

	(void)state;
	load(text, sizeof(text) - 1, &profile, &problems);
	assert_true(problems_none(&problems));
	assert_words(&profile.settings.read, "/opt");
	assert_true(settings_is_none(&profile.settings.scratch));
	assert_true(settings_is_none(&profile.settings.data));
	assert_true(settings_is_none(&profile.settings.environment));
}

/* The canonical print parses to itself, whatever the words are made of. */
static void test_print_is_canonical(void **state)
{
	static const char text[] =
		"[process]\ncommand = /bin/sh -c \"a \"\";b\" '\"' \"'\" \"\\\\ \\\"\" '' a#b ';x' "
		"x;y\n"
		"  \"a ;b\" [x] = \xc3\xa4 +=\n[profile]\ndescription = x = [y]\n";
	cleanup_problems struct problems problems = { 0 };
	cleanup_profile struct profile one = { 0 };
	cleanup_profile struct profile two = { 0 };
	cleanup_ptr char *first = NULL;
	cleanup_ptr char *second = NULL;

	(void)state;
	load(text, sizeof(text) - 1, &one, &problems);
	assert_true(problems_none(&problems));
	assert_words(&one.settings.command,
		     "/bin/sh -c a ;b \" ' \\ \"  a#b ;x x;y a ;b [x] = \xc3\xa4 +=");
	first = profile_memory_print(&one.settings);
	load(first, strlen(first), &two, &problems);
	assert_true(problems_none(&problems));
	second = profile_memory_print(&two.settings);
	assert_string_equal(first, second);
	assert_int_equal(one.settings.command.words.n, two.settings.command.words.n);
	for (size_t i = 0; i < one.settings.command.words.n; i++)
		assert_string_equal(one.settings.command.words.list[i].text,
				    two.settings.command.words.list[i].text);
}

static const char plan_text[] =
	"[model]\npath = /srv/m\n[process]\n"
	"command = /usr/bin/python3 {model}/s.py --name={name} '{\"a\": {}}'\n"
	"environment = MODEL={model}\n"
	"[files]\nread = /usr -/opt/a\nwrite = /srv/out\ntmp = 1M\nshm = 2M\n"
	"[network]\nlisten = tcp:127.0.0.1:8080 udp:[::1]:53 unix:/run/m.sock\nloopback = yes\n"
	"[gpu]\ndevices = nvidia:0 nvidia:1 dri:128 nvidia-uvm:510\n"
	"[limits]\ncpu = 150%\n[require]\nplanes = cgroup observe\n[evidence]\non-loss = kill\n";

static const char *plan_text_of(struct plan_string s)
{
	return plan_string(&plan, s);
}

#define REQUEST(name_, profile_, model_, args_, size, n)                                           \
	{                                                                                          \
		.name = (name_), .profile = (profile_), .model = (model_), .args = (args_),        \
		.args_len = (size), .n_args = (n)                                                  \
	}

static void make_plan(const char *text, const struct build_request *request,
		      struct problems *problems)
{
	cleanup_profile struct profile profile = { 0 };

	load(text, strlen(text), &profile, problems);
	assert_true(problems_none(problems));
	build_plan(&profile.settings, request, &plan, problems);
}

static void test_plan(void **state)
{
	static const char *const targets[] = { "/dev/shm", "/opt/a", "/scratch", "/srv/m",
					       "/srv/out", "/tmp",   "/usr" };
	const struct build_request request = REQUEST("digits", "sk", "", "", 0, 0);
	cleanup_problems struct problems problems = { 0 };
	const char *why = "";

	(void)state;
	make_plan(plan_text, &request, &problems);
	assert_true(problems_none(&problems));
	assert_true(plan_check(&plan, &why));
	assert_string_equal(plan.name, "digits");
	assert_string_equal(plan.profile, "sk");
	assert_int_equal(plan.n_args, 4);
	assert_string_equal(plan_text_of(plan.args[1]), "/srv/m/s.py");
	assert_string_equal(plan_text_of(plan.args[2]), "--name=digits");
	assert_string_equal(plan_text_of(plan.args[3]), "{\"a\": {}}");
	assert_string_equal(plan_text_of(plan.env[0]), "MODEL=/srv/m");
	assert_int_equal(plan.n_zones, ARRAY_SIZE(targets));
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		assert_string_equal(plan_text_of(plan.zones[i].target), targets[i]);
	assert_int_equal(plan.zones[1].flags, PLAN_ZONE_OPTIONAL);
	assert_string_equal(plan_text_of(plan.zones[6].origin), "t.ini:7 [files] read");
	assert_string_equal(plan_text_of(plan.model_path), "/srv/m");
	assert_int_equal(plan.n_endpoints, 3);
	assert_int_equal(plan.endpoints[1].family, PLAN_FAMILY_INET6);
	assert_int_equal(plan.endpoints[1].protocol, IPPROTO_UDP);
	assert_string_equal(plan_text_of(plan.endpoints[2].path), "/run/m.sock");
	assert_int_equal(plan.n_devices, 5);
	assert_int_equal(plan.flags, PLAN_FLAG_LOOPBACK);
	assert_int_equal(plan.planes_required,
			 CUSTODY_PLANE_STRUCTURE | CUSTODY_PLANE_CGROUP | CUSTODY_PLANE_OBSERVE);
	assert_int_equal(plan.limit_cpu_percent, 150);
	assert_int_equal(plan.on_loss, PLAN_ON_LOSS_KILL);
	assert_int_equal(plan.retain_days, 180);
}

/* A program on each line, those of the extended profile first, each with its own place. */
static void test_checks(void **state)
{
	static const char text[] =
		"[profile]\nextends = checked\n[process]\ncommand = /a\n[model]\npath = /srv/m\n"
		"check += /bin/b {model}\n  /bin/c '{name}' {model}/x ; why\n"
		"check-timeout = 5s\nallow-pickle = yes\n";
	const struct build_request request = REQUEST("digits", "sk", "", "", 0, 0);
	cleanup_problems struct problems problems = { 0 };
	const char *why = "";

	(void)state;
	make_plan(text, &request, &problems);
	assert_true(problems_none(&problems));
	assert_true(plan_check(&plan, &why));
	assert_int_equal(plan.admission, PLAN_ADMISSION_MEASURE | PLAN_ADMISSION_PICKLE);
	assert_int_equal(plan.checker_timeout_s, 5);
	assert_int_equal(plan.n_checkers, 3);
	assert_int_equal(plan.checkers[0].n_args, 2);
	assert_string_equal(plan_text_of(plan.checkers[0].args[0]), "/bin/a");
	assert_int_equal(plan.checkers[1].n_args, 2);
	assert_string_equal(plan_text_of(plan.checkers[1].args[1]), "/srv/m");
	assert_int_equal(plan.checkers[2].n_args, 3);
	assert_string_equal(plan_text_of(plan.checkers[2].args[1]), "digits");
	assert_string_equal(plan_text_of(plan.checkers[2].args[2]), "/srv/m/x");
	assert_string_equal(plan_text_of(plan.checkers[2].origin), "t.ini:8 [model] check");
}

static void test_request_replaces(void **state)
{
	const struct build_request request =
		REQUEST("d", "sk", "/data/m", "/bin/a\0{model}\0", 15, 2);
	cleanup_problems struct problems problems = { 0 };

	(void)state;
	make_plan(plan_text, &request, &problems);
	assert_true(problems_none(&problems));
	assert_int_equal(plan.n_args, 2);
	assert_string_equal(plan_text_of(plan.args[0]), "/bin/a");
	assert_string_equal(plan_text_of(plan.args[1]), "{model}");
	assert_string_equal(plan_text_of(plan.model_path), "/data/m");
	assert_string_equal(plan_text_of(plan.env[0]), "MODEL=/data/m");
}

/* A plan that cannot be had: the place and a piece of the message. */
struct no_plan {
	const char *text;
	struct build_request request;
	unsigned int line;
	const char *why;
};

#define PLAIN REQUEST("n", "p", "", "", 0, 0)
#define RUN(args, n) REQUEST("n", "p", "", args, sizeof(args) - 1, n)

static const struct no_plan no_plans[] = {
	{ "[files]\njit = no\n", PLAIN, 0, "command is not set" },
	{ "[process]\ncommand = python3\n", PLAIN, 2,
	  "python3: the program needs an absolute path" },
	{ "[process]\ncommand = /a {model}\n", PLAIN, 2, "[model] path is not set" },
	{ "[process]\ncommand = /a\nenvironment = X={modle}\n", PLAIN, 3, "{modle} is unknown" },
	{ "[process]\ncommand = /a\n[files]\nread = /dev\n", PLAIN, 4, "/dev" },
	{ "[process]\ncommand = /a\n[files]\nread = /usr -/usr\n", PLAIN, 4, "same target" },
	{ "[process]\ncommand = /a\n[files]\nread = /usr\ndata = /usr\n", PLAIN, 5, "same target" },
	{ "[process]\ncommand = /a\n[files]\nwrite = /etc/x\n", PLAIN, 4, "writable" },
	{ "[process]\ncommand = /a\n[files]\ndata = /lib\n", PLAIN, 4, "makes its own" },
	{ "[process]\ncommand = /a\n[model]\npath = /\n", PLAIN, 4, "path" },
	{ "[process]\ncommand = /a\n[network]\nlisten = unix:/proc/x\n", PLAIN, 4, "UNIX" },
	{ "[process]\ncommand = /a\n[model]\ncheck = /b\n", PLAIN, 4, "there is none; set path" },
	{ "[process]\ncommand = /a\n[model]\npath = /m\ncheck = b\n", PLAIN, 5,
	  "b: the program of a check needs an absolute path" },
	{ "[process]\ncommand = /a\n[model]\npath = /m\ncheck = /b\ncheck-timeout = 0s\n", PLAIN, 6,
	  "no check ends in no time" },
	{ "[process]\ncommand = /a\n[model]\npath = /m\ncheck = /a\n /b\n /c\n /d\n /e\n", PLAIN, 9,
	  "at most 4 programs" },
	{ "[files]\njit = no\n", RUN("/bin/a", 1), 0, "malformed" },
	{ "[files]\njit = no\n", RUN("/bin/a\0x\0", 1), 0, "left over" },
	{ "[files]\njit = no\n", RUN("/bin/a\0", 2), 0, "malformed" },
	{ "[files]\njit = no\n", RUN("a\0", 1), 0, "the program needs an absolute path" },
	{ "[files]\njit = no\n", REQUEST("n", "p", "/a/../b", "/a\0", 3, 1), 0, "absolute path" },
};

static void test_no_plan(void **state)
{
	int failed = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(no_plans); i++) {
		cleanup_problems struct problems problems = { 0 };
		const struct problem *first;

		make_plan(no_plans[i].text, &no_plans[i].request, &problems);
		first = problems_first(&problems);
		if (first && first->line == no_plans[i].line &&
		    strstr(first->text, no_plans[i].why))
			continue;
		print_error("%zu: %u %s\n", i, first ? first->line : 0,
			    first ? first->text : "made");
		failed++;
	}
	assert_int_equal(failed, 0);
}

/* The digest is of what the profile means, not of how it is written. */
static void test_digest(void **state)
{
	static const char *const texts[] = { "[files]\nscratch = 64M\n",
					     "; c\n[files]\nscratch=65536K",
					     "[files]\nscratch = 65M\n" };
	__u8 digest[3][CUSTODY_DIGEST_SIZE];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		cleanup_problems struct problems problems = { 0 };
		cleanup_profile struct profile profile = { 0 };

		load(texts[i], strlen(texts[i]), &profile, &problems);
		assert_int_equal(build_digest(&profile.settings, digest[i]), 0);
	}
	assert_memory_equal(digest[0], digest[1], CUSTODY_DIGEST_SIZE);
	assert_memory_not_equal(digest[0], digest[2], CUSTODY_DIGEST_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_nul_byte),
		cmocka_unit_test(test_every_problem_is_found),
		cmocka_unit_test(test_extends),
		cmocka_unit_test(test_replace_and_none),
		cmocka_unit_test(test_print_is_canonical),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_request_replaces),
		cmocka_unit_test(test_no_plan),
		cmocka_unit_test(test_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
