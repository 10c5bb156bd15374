/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the filters of each set answer, by running the very programs that the kernel is given:
 * every number from 0 to 500 against tests/golden/syscalls/SET, arguments one by one, and how long
 * the programs are. After a change that is meant: build/unit/test_seccomp print SET.
 *
 * link: daemon/jail/seccomp_set.c daemon/jail/seccomp_deny.c daemon/jail/seccomp_ioctl.c
 * link: daemon/jail/seccomp_filter.c
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "cleanup.h"
#include "daemon/jail/filter.h"
#include "daemon/jail/jail.h"
#include "ioctl_request.h"
#include "ioctl_set.h"
#include "tests/unit/plan_fixture.h"

#define NUMBERS 501
#define ANSWER_SIZE 24
#define HIGH 0xdeadbeef00000000ULL	/* what the kernel does not look at in an int */

int jail_refuse(struct jail *jail, enum custody_exit exit_code, int error, const char *format, ...)
{
	(void)jail;
	(void)exit_code;
	(void)format;
	return error;
}

/* One program of a filter, as the kernel runs it; UINT32_MAX when it does what none here does. */
static __u32 run_program(const struct jail_filter *filter, const struct seccomp_data *data)
{
	const __u8 *bytes = (const __u8 *)data;
	__u32 a = 0;

	for (unsigned int i = 0; i < filter->n; i++) {
		const struct sock_filter *f = &filter->code[i];

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_in_range(f->k, 0, sizeof(*data) - sizeof(a));
			memcpy(&a, bytes + f->k, sizeof(a));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f->k;
			break;
		case BPF_JMP | BPF_JA:
			i += f->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			i += a == f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			i += a > f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			i += a >= f->k ? f->jt : f->jf;
			break;
		case BPF_RET | BPF_K:
			return f->k;
		default:
			fail_msg("instruction %u: code %#x", i, f->code);
		}
	}
	fail_msg("a program without an end");
	return UINT32_MAX;
}

/* The strictest of all; of equal ones that of the filter loaded last (kernel/seccomp.c). */
static __u32 run_filters(const struct jail *jail, const struct seccomp_data *data)
{
	const struct jail_filter *const order[] = { &jail->deny, &jail->ioctl, &jail->allow };
	__u32 answer = SECCOMP_RET_ALLOW;

	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		__u32 one = order[i]->n > 0 ? run_program(order[i], data) : SECCOMP_RET_ALLOW;

		if ((__s32)(one & SECCOMP_RET_ACTION_FULL) <
		    (__s32)(answer & SECCOMP_RET_ACTION_FULL))
			answer = one;
	}
	return answer;
}

static const char *name_answer(__u32 answer, char *buf, size_t size)
{
	switch (answer & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		return "allowed";
	case SECCOMP_RET_KILL_PROCESS:
		return "killed";
	case SECCOMP_RET_USER_NOTIF:
		return "broker";
	case SECCOMP_RET_ERRNO:
		return strerrorname_np((int)(answer & SECCOMP_RET_DATA));
	default:
		(void)snprintf(buf, size, "%#x", answer);
		return buf;
	}
}

static const char *ask(const struct jail *jail, __u32 arch, int nr, const __u64 args[6])
{
	static char buf[ANSWER_SIZE];
	struct seccomp_data data = { .nr = nr, .arch = arch };

	memcpy(data.args, args, sizeof(data.args));
	return name_answer(run_filters(jail, &data), buf, sizeof(buf));
}

static void open_jail(struct jail *jail, struct custody_plan *plan, __u32 set)
{
	plan_fixture_make(plan);
	plan->syscall_set = set;
	plan->flags = 0;
	plan->n_devices = 0;
	memset(jail, 0, sizeof(*jail));
	jail->plan = plan;
}

static void close_jail(struct jail *jail)
{
	free(jail->allow.code);
	free(jail->ioctl.code);
	free(jail->deny.code);
}

/* The golden text of a set; for the caller to free. */
static char *describe(const struct jail *jail)
{
	static const __u64 zeros[6];
	static const __u64 ones[6] = { UINT64_MAX, UINT64_MAX, UINT64_MAX,
				       UINT64_MAX, UINT64_MAX, UINT64_MAX };
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)fprintf(out, "# instructions: allow %u, ioctl %u, deny %u\n", jail->allow.n,
		      jail->ioctl.n, jail->deny.n);
	for (int nr = 0; nr < NUMBERS; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

		(void)fprintf(out, "%d %s", nr, name ? name : "-");
		(void)fprintf(out, " %s", ask(jail, AUDIT_ARCH_X86_64, nr, zeros));
		(void)fprintf(out, " %s\n", ask(jail, AUDIT_ARCH_X86_64, nr, ones));
		free(name);
	}
	assert_int_equal(fclose(out), 0);
	return text;
}

static void check_golden(__u32 set)
{
	const char *source = getenv("CUSTODY_SOURCE");
	static struct custody_plan plan;
	struct jail jail;
	char path[512], line[128];
	char *text, *at;
	FILE *in;

	(void)snprintf(path, sizeof(path), "%s/tests/golden/syscalls/%s", source ? source : ".",
		       seccomp_set_find(set)->name);
	in = fopen(path, "re");
	if (!in)
		fail_msg("%s cannot be read", path);
	open_jail(&jail, &plan, set);
	assert_int_equal(seccomp_compile_filters(&jail), 0);
	at = text = describe(&jail);
	while (fgets(line, sizeof(line), in)) {
		size_t n = strlen(line);

		if (strncmp(at, line, n) != 0)
			fail_msg("%s has %s, the filters say %.*s", path, line,
				 (int)strcspn(at, "\n"), at);
		at += n;
	}
	assert_string_equal(at, "");
	(void)fclose(in);
	free(text);
	close_jail(&jail);
}

static void test_golden(void **state)
{
	(void)state;
	for (__u32 set = PLAN_SYSCALLS_MODEL_SERVER; set < _PLAN_SYSCALLS_MAX; set++)
		check_golden(set);
	assert_null(seccomp_set_find(0));
	assert_null(seccomp_set_find(_PLAN_SYSCALLS_MAX));
}

/* Every arm of the table on arguments; jit and memfd are no, the endpoint is published. */
static void test_arguments(void **state)
{
	static const struct {
		int nr;
		__u64 args[6];
		const char *want;
	} rows[] = {
		{ SYS_clone, { SIGCHLD }, "allowed" },
		{ SYS_clone, { CLONE_VM | CLONE_THREAD | CLONE_SIGHAND }, "allowed" },
		{ SYS_clone, { CLONE_NEWUSER | SIGCHLD }, "EPERM" },
		{ SYS_clone, { CLONE_NEWNS }, "EPERM" },
		{ SYS_clone, { CLONE_NEWCGROUP }, "EPERM" },
		{ SYS_clone, { CLONE_NEWUTS }, "EPERM" },
		{ SYS_clone, { CLONE_NEWIPC }, "EPERM" },
		{ SYS_clone, { CLONE_NEWPID }, "EPERM" },
		{ SYS_clone, { CLONE_NEWNET | HIGH }, "EPERM" },
		{ SYS_clone3, { 0 }, "ENOSYS" },
		{ SYS_socket, { AF_INET, SOCK_STREAM, 0 }, "allowed" },
		{ SYS_socket, { AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP }, "allowed" },
		{ SYS_socket, { AF_UNIX, SOCK_SEQPACKET | HIGH, 0 }, "allowed" },
		{ SYS_socket, { AF_UNIX | HIGH, SOCK_STREAM, 0 }, "EAFNOSUPPORT" },
		{ SYS_socket, { AF_INET, SOCK_RAW, 0 }, "EPERM" },
		{ SYS_socket, { AF_INET | HIGH, SOCK_RAW | SOCK_NONBLOCK | HIGH, 255 }, "EPERM" },
		{ SYS_socket, { AF_INET, SOCK_STREAM, 262 }, "EPROTONOSUPPORT" },
		{ SYS_socket, { AF_INET6 | HIGH, SOCK_STREAM, 262 | HIGH }, "EPROTONOSUPPORT" },
		{ SYS_socket, { AF_INET, SOCK_STREAM, IPPROTO_SCTP }, "ENOSYS" },
		{ SYS_socket, { AF_NETLINK, SOCK_RAW, 0 }, "EAFNOSUPPORT" },
		{ SYS_socket, { AF_PACKET | HIGH, SOCK_RAW, 0 }, "EAFNOSUPPORT" },
		{ SYS_socket, { AF_ALG, SOCK_SEQPACKET, 0 }, "EAFNOSUPPORT" },
		{ SYS_socket, { AF_VSOCK, SOCK_STREAM, 0 }, "EAFNOSUPPORT" },
		{ SYS_socketpair, { AF_UNIX, SOCK_STREAM, 0 }, "allowed" },
		{ SYS_socketpair, { AF_TIPC, SOCK_STREAM, 0 }, "ENOSYS" },
		{ SYS_bind, { 3 }, "broker" },
		{ SYS_prctl, { PR_SET_NAME }, "allowed" },
		{ SYS_prctl, { PR_SET_SECCOMP | HIGH }, "EPERM" },
		{ SYS_prctl, { PR_SET_MM }, "EPERM" },
		{ SYS_prctl, { PR_SET_PTRACER }, "EPERM" },
		{ SYS_prctl, { PR_CAP_AMBIENT }, "EPERM" },
		{ SYS_prctl, { PR_SET_SYSCALL_USER_DISPATCH }, "EPERM" },
		{ SYS_prctl, { PR_MCE_KILL }, "ENOSYS" },
		{ SYS_ioctl, { 0, FIONREAD }, "allowed" },
		{ SYS_ioctl, { 0, FIONREAD | HIGH }, "allowed" },
		{ SYS_ioctl, { 0, TIOCSTI }, "EPERM" },
		{ SYS_ioctl, { 0, TIOCSTI | HIGH }, "EPERM" },
		{ SYS_ioctl, { 0, TIOCLINUX }, "EPERM" },
		{ SYS_ioctl, { 0, 0xc020462a }, "EPERM" },
		{ SYS_mmap, { 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE }, "allowed" },
		{ SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE }, "allowed" },
		{ SYS_mmap, { 0, 4096, PROT_WRITE | PROT_EXEC | HIGH, MAP_PRIVATE }, "EPERM" },
		{ SYS_mmap, { 0, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | HIGH }, "EPERM" },
		{ SYS_mprotect, { 0, 4096, PROT_READ }, "allowed" },
		{ SYS_mprotect, { 0, 4096, PROT_READ | PROT_EXEC | HIGH }, "EPERM" },
		{ SYS_pkey_mprotect, { 0, 4096, PROT_READ, 0 }, "allowed" },
		{ SYS_pkey_mprotect, { 0, 4096, PROT_EXEC, 0 }, "EPERM" },
		{ SYS_memfd_create, { 0 }, "EPERM" },
		{ SYS_setrlimit, { RLIMIT_NOFILE, 4096 }, "allowed" },
		{ SYS_setrlimit, { RLIMIT_CORE | HIGH, 4096 }, "EPERM" },
		{ SYS_prlimit64, { 0, RLIMIT_CORE, 0, 4096 }, "allowed" },
		{ SYS_prlimit64, { 0, RLIMIT_CORE, 4096, 0 }, "EPERM" },
		{ SYS_prlimit64, { 0, RLIMIT_CORE | HIGH, HIGH, 0 }, "EPERM" },
		{ SYS_prlimit64, { 0, RLIMIT_NOFILE, 4096, 0 }, "allowed" },
		{ SYS_fcntl, { 3, F_GETFL }, "allowed" },
		{ SYS_fcntl, { 3, F_SETLEASE | HIGH, F_RDLCK }, "EACCES" },
		{ SYS_personality, { 0xffffffff }, "allowed" },
		{ SYS_personality, { 0x0400000 }, "EPERM" },
		{ SYS_personality, { 0x0040000 | HIGH }, "EPERM" },
		{ SYS_setsockopt, { 3, SOL_SOCKET, SO_REUSEADDR }, "allowed" },
		{ SYS_setsockopt, { 3, SOL_SOCKET | HIGH, SO_MARK | HIGH }, "EPERM" },
	};
	static struct custody_plan plan;
	struct jail jail;

	(void)state;
	open_jail(&jail, &plan, PLAN_SYSCALLS_MODEL_SERVER);
	assert_int_equal(seccomp_compile_filters(&jail), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *got = ask(&jail, AUDIT_ARCH_X86_64, rows[i].nr, rows[i].args);

		if (strcmp(got, rows[i].want) != 0)
			fail_msg("row %zu, syscall %d: %s, not %s", i, rows[i].nr, got,
				 rows[i].want);
	}
	close_jail(&jail);
}

static void test_jit_and_memfd(void **state)
{
	static const __u64 map[6] = { 0, 4096, PROT_WRITE | PROT_EXEC,
				      MAP_PRIVATE | MAP_ANONYMOUS };
	static const __u64 protect[6] = { 0, 4096, PROT_EXEC };
	static const __u64 none[6];
	static struct custody_plan plan;
	struct jail jail;

	(void)state;
	open_jail(&jail, &plan, PLAN_SYSCALLS_TRAINING);
	plan.flags = PLAN_FLAG_JIT | PLAN_FLAG_MEMFD;
	plan.n_endpoints = 0;
	assert_int_equal(seccomp_compile_filters(&jail), 0);
	assert_string_equal(ask(&jail, AUDIT_ARCH_X86_64, SYS_mmap, map), "allowed");
	assert_string_equal(ask(&jail, AUDIT_ARCH_X86_64, SYS_mprotect, protect), "allowed");
	assert_string_equal(ask(&jail, AUDIT_ARCH_X86_64, SYS_memfd_create, none), "allowed");
	assert_string_equal(ask(&jail, AUDIT_ARCH_X86_64, SYS_bind, none), "EACCES");
	assert_string_equal(ask(&jail, AUDIT_ARCH_X86_64, SYS_syncfs, none), "allowed");
	close_jail(&jail);
}

/* i386 by its architecture, x32 by its bit: whatever the number. */
static void test_foreign(void **state)
{
	static const __u64 none[6];
	static struct custody_plan plan;
	struct jail jail;

	(void)state;
	for (__u32 set = PLAN_SYSCALLS_MODEL_SERVER; set < _PLAN_SYSCALLS_MAX; set++) {
		open_jail(&jail, &plan, set);
		assert_int_equal(seccomp_compile_filters(&jail), 0);
		for (int nr = 0; nr < NUMBERS; nr++) {
			assert_string_equal(ask(&jail, AUDIT_ARCH_I386, nr, none), "killed");
			assert_string_equal(ask(&jail, AUDIT_ARCH_X86_64, nr | 0x40000000, none),
					    "killed");
		}
		assert_string_equal(ask(&jail, AUDIT_ARCH_AARCH64, 63, none), "killed");
		close_jail(&jail);
	}
}

static const char *ask_ioctl(struct jail *jail, __u64 request)
{
	const __u64 args[6] = { 5, request };

	return ask(jail, AUDIT_ARCH_X86_64, SYS_ioctl, args);
}

static void add_device(struct custody_plan *plan, __u32 major, const char *path)
{
	struct plan_device *device = &plan->devices[plan->n_devices++];

	memset(device, 0, sizeof(*device));
	device->type = 'c';
	device->major = major;
	device->path = plan_fixture_add(plan, path);
}

static void test_gpu(void **state)
{
	static const struct {
		__u64 request;
		const char *nvidia;
		const char *all;
	} rows[] = {
		{ 0xc020462a, "allowed", "allowed" },		/* RM_CONTROL */
		{ 0xc020462aULL | HIGH, "allowed", "allowed" },
		{ 0xc020002a, "EPERM", "allowed" },		/* type, which NVIDIA ignores */
		{ 0xc030462a, "EPERM", "allowed" },		/* another size */
		{ 0x0000002a, "allowed", "allowed" },		/* UVM has the number, too */
		{ 0x00000046, "allowed", "allowed" },
		{ 0x000000d3, "EPERM", "allowed" },
		{ 0xc01046d3, "EPERM", "allowed" },		/* IOCTL_XFER_CMD */
		{ 0xc01046d3ULL | HIGH, "EPERM", "allowed" },
		{ 0xc90046c8, "allowed", "allowed" },		/* CARD_INFO, of any length */
		{ 0x890046c8, "EPERM", "allowed" },
		{ 0x30000001, "allowed", "allowed" },		/* UVM_INITIALIZE */
		{ 62, "EPERM", "allowed" },			/* UVM_TOOLS_READ_PROCESS_MEMORY */
		{ 0xc0406400, "EPERM", "allowed" },		/* DRM, which the plan has not */
		{ TIOCSTI, "EPERM", "EPERM" },
		{ TIOCSTI | HIGH, "EPERM", "EPERM" },
		{ FIONREAD, "allowed", "allowed" },
	};
	static struct custody_plan plan;
	struct jail jail;

	(void)state;
	for (int all = 0; all <= 1; all++) {
		open_jail(&jail, &plan, PLAN_SYSCALLS_MODEL_SERVER_GPU);
		plan.ioctl_set = all ? PLAN_IOCTLS_ALL : PLAN_IOCTLS_COMPUTE;
		add_device(&plan, 195, "/dev/nvidia0");
		add_device(&plan, 511, "/dev/nvidia-uvm");
		assert_int_equal(seccomp_compile_filters(&jail), 0);
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
			assert_string_equal(ask_ioctl(&jail, rows[i].request),
					    all ? rows[i].all : rows[i].nvidia);
		close_jail(&jail);
	}
	/* The set model-server has no requests of devices, whatever else the plan says. */
	plan.syscall_set = PLAN_SYSCALLS_MODEL_SERVER;
	memset(&jail, 0, sizeof(jail));
	jail.plan = &plan;
	assert_int_equal(seccomp_compile_filters(&jail), 0);
	assert_string_equal(ask_ioctl(&jail, 0xc020462a), "EPERM");
	close_jail(&jail);
}

static void test_drm(void **state)
{
	static struct custody_plan plan;
	struct jail jail;

	(void)state;
	open_jail(&jail, &plan, PLAN_SYSCALLS_TRAINING);
	plan.ioctl_set = PLAN_IOCTLS_COMPUTE;
	add_device(&plan, 226, "/dev/dri/renderD128");
	add_device(&plan, 510, "/dev/kfd");
	assert_int_equal(seccomp_compile_filters(&jail), 0);
	for (__u32 nr = 0; nr < 256; nr++) {
		const bool own = nr >= 0x40 && nr <= 0x9f;

		assert_string_equal(ask_ioctl(&jail, 0xc0186400U | nr | HIGH),
				    own || nr == 0xc1 || nr == 0xc2 || nr == 0xcb || nr == 0xcd ?
					    "allowed" : "EPERM");
		assert_string_equal(ask_ioctl(&jail, 0xc0186500U | nr), "EPERM");
	}
	assert_string_equal(ask_ioctl(&jail, 0x80084b01), "allowed");	/* KFD GET_VERSION */
	assert_string_equal(ask_ioctl(&jail, 0xc0884b20), "allowed");	/* SVM, longer */
	assert_string_equal(ask_ioctl(&jail, 0xc0384b22), "EPERM");	/* CRIU_OP */
	assert_string_equal(ask_ioctl(&jail, 0xc020462a), "EPERM");	/* NVIDIA's */
	close_jail(&jail);
}

static __u32 number_of(const struct ioctl_request *request)
{
	return request->class == POLICY_IOCTLS_UVM ? request->value : request->value & 0xff;
}

/* The whole values, and the numbers that the lsm plane compares, are of the same calls. */
static void test_requests_are_the_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ioctl_request_compute_n; i++) {
		const struct ioctl_request *request = &ioctl_request_compute[i];
		bool found = false;

		assert_int_equal(request->value & ~request->mask, 0);
		for (size_t j = 0; j < ioctl_set_compute_n; j++) {
			const struct ioctl_row *row = &ioctl_set_compute[j];

			found |= row->class == request->class &&
				 row->first <= number_of(request) &&
				 row->last >= number_of(request);
		}
		if (!found)
			fail_msg("request %#x is of no number", request->value);
	}
	for (size_t j = 0; j < ioctl_set_compute_n; j++) {
		const struct ioctl_row *row = &ioctl_set_compute[j];
		bool found = false;

		for (size_t i = 0; i < ioctl_request_compute_n; i++)
			found |= ioctl_request_compute[i].class == row->class &&
				 number_of(&ioctl_request_compute[i]) == row->first;
		if (!found)
			fail_msg("%s has no request", row->name);
	}
}

static int print_set(const char *name)
{
	static struct custody_plan plan;
	struct jail jail;
	char *text;

	for (__u32 set = PLAN_SYSCALLS_MODEL_SERVER; set < _PLAN_SYSCALLS_MAX; set++) {
		if (strcmp(seccomp_set_find(set)->name, name) != 0)
			continue;
		open_jail(&jail, &plan, set);
		if (seccomp_compile_filters(&jail) < 0)
			return EXIT_FAILURE;
		text = describe(&jail);
		(void)fputs(text, stdout);
		free(text);
		close_jail(&jail);
		return EXIT_SUCCESS;
	}
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden), cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_jit_and_memfd), cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_gpu), cmocka_unit_test(test_drm),
		cmocka_unit_test(test_requests_are_the_numbers),
	};

	if (argc == 3 && strcmp(argv[1], "print") == 0)
		return print_set(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
