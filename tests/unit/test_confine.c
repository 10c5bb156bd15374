/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock domains and the drop of privileges, each tried in a child: what is left, and what the
 * kernel refuses with which errno.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "confine.h"

#define TEST_UID 60700U	/* nobody has it: inside custody's own range */

/* Runs body in a child; 0 when it returned 0, else the line or errno it returned. */
static int test_in_child(int (*body)(const char *dir), const char *dir)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(body(dir));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int test_open(const char *dir, const char *name, int flags)
{
	char path[256];
	cleanup_fd int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, flags | O_CLOEXEC, 0600);
	return fd < 0 ? errno : 0;
}

/* Enters a domain with these rights on dir; 0 or an exit status. */
static int test_enter(const char *dir, __u64 access, __u64 deny_tcp)
{
	cleanup_fd int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct confine_path path = { .fd = fd, .access = access };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 200;
	return confine_enter_landlock_net(&path, 1, deny_tcp) > 0 ? 0 : 201;
}

#define EXPECT(expr, want)              \
	do {                            \
		if ((expr) != (want))   \
			return __LINE__ & 0x7f; \
	} while (0)

static int child_read_only(const char *dir)
{
	EXPECT(test_enter(dir, CONFINE_READ, 0), 0);
	EXPECT(test_open(dir, "file", O_RDONLY), 0);
	EXPECT(test_open(dir, "file", O_WRONLY), EACCES);
	EXPECT(test_open(dir, "new", O_WRONLY | O_CREAT), EACCES);
	EXPECT(test_open("/etc", "hostname", O_RDONLY), EACCES);
	return 0;
}

static int child_modify(const char *dir)
{
	EXPECT(test_enter(dir, CONFINE_READ | CONFINE_MODIFY, 0), 0);
	EXPECT(test_open(dir, "file", O_RDWR), 0);
	EXPECT(test_open(dir, "new", O_WRONLY | O_CREAT), EACCES);
	return 0;
}

static int child_write(const char *dir)
{
	EXPECT(test_enter(dir, CONFINE_READ | CONFINE_WRITE, 0), 0);
	EXPECT(test_open(dir, "new", O_WRONLY | O_CREAT), 0);
	return 0;
}

static int child_list(const char *dir)
{
	EXPECT(test_enter(dir, CONFINE_LIST, 0), 0);
	EXPECT(test_open(dir, ".", O_RDONLY | O_DIRECTORY), 0);
	EXPECT(test_open(dir, "file", O_RDONLY), EACCES);
	return 0;
}

static int test_bind_and_connect(int *ret_bind, int *ret_connect)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	struct sockaddr_in closed = { .sin_family = AF_INET, .sin_port = htons(1) };
	cleanup_fd int a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cleanup_fd int b = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	closed.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (a < 0 || b < 0)
		return -1;
	*ret_bind = bind(a, (const struct sockaddr *)&any, sizeof(any)) < 0 ? errno : 0;
	*ret_connect = connect(b, (const struct sockaddr *)&closed, sizeof(closed)) < 0 ? errno : 0;
	return 0;
}

static int child_tcp_bind(const char *dir)
{
	int b = 0;
	int c = 0;

	EXPECT(test_enter(dir, CONFINE_READ, CONFINE_TCP_BIND), 0);
	EXPECT(test_bind_and_connect(&b, &c), 0);
	EXPECT(b, EACCES);
	EXPECT(c == EACCES, false);
	return 0;
}

static int child_tcp_both(const char *dir)
{
	int b = 0;
	int c = 0;

	EXPECT(test_enter(dir, CONFINE_READ, CONFINE_TCP_BIND | CONFINE_TCP_CONNECT), 0);
	EXPECT(test_bind_and_connect(&b, &c), 0);
	EXPECT(b, EACCES);
	EXPECT(c, EACCES);
	return 0;
}

static int child_drop(const char *dir)
{
	const __u64 keep = 1ULL << CAP_SETPCAP;

	(void)dir;
	EXPECT(confine_drop_privileges(TEST_UID, TEST_UID, keep), 0);
	EXPECT(prctl(PR_CAPBSET_READ, CAP_SETPCAP, 0, 0, 0), 1);
	EXPECT(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0), 0);
	EXPECT(confine_drop_kept(TEST_UID, TEST_UID), 0);
	EXPECT(prctl(PR_CAPBSET_READ, CAP_SETPCAP, 0, 0, 0), 0);
	EXPECT(setuid(0), -1);
	/* What is claimed is read back: another uid than the kernel's is an error. */
	EXPECT(confine_drop_kept(TEST_UID + 1, TEST_UID), -EPERM);
	return 0;
}

static int child_basics(const char *dir)
{
	cleanup_fd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct confine_status status = { 0 };
	struct rlimit core;

	(void)dir;
	EXPECT(confine_set_basics(), 0);
	EXPECT(confine_read_status(proc, "self/status", &status), 0);
	EXPECT(status.no_new_privs, 1);
	EXPECT(getrlimit(RLIMIT_CORE, &core), 0);
	EXPECT(core.rlim_max, 1);
	return 0;
}

static int test_make_dir(void **state)
{
	char *dir = strdup("/tmp/custody-confine-XXXXXX");

	if (!dir || !mkdtemp(dir) || test_open(dir, "file", O_WRONLY | O_CREAT) != 0)
		return -1;
	*state = dir;
	return 0;
}

static int test_remove_dir(void **state)
{
	static const char *const names[] = { "file", "new" };
	char *dir = *state;
	char path[256];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
	free(dir);
	return 0;
}

static void test_landlock_files(void **state)
{
	if (confine_find_landlock_abi() < 3)
		skip();
	assert_int_equal(test_in_child(child_read_only, *state), 0);
	assert_int_equal(test_in_child(child_modify, *state), 0);
	assert_int_equal(test_in_child(child_write, *state), 0);
	assert_int_equal(test_in_child(child_list, *state), 0);
}

static void test_landlock_tcp(void **state)
{
	if (confine_find_landlock_abi() < 4)
		skip();
	assert_int_equal(test_in_child(child_tcp_bind, *state), 0);
	assert_int_equal(test_in_child(child_tcp_both, *state), 0);
}

static void test_drop(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(test_in_child(child_drop, *state), 0);
}

static void test_basics(void **state)
{
	assert_int_equal(test_in_child(child_basics, *state), 0);
}

static void test_status_of_another_file(void **state)
{
	cleanup_fd int dir = open(*state, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct confine_status status = { .uid = { 7 } };

	assert_int_equal(confine_read_status(dir, "missing", &status), -ENOENT);
	assert_int_equal(confine_read_status(dir, "file", &status), 0);
	assert_int_equal(status.uid[0], 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_landlock_files),
		cmocka_unit_test(test_landlock_tcp),
		cmocka_unit_test(test_drop),
		cmocka_unit_test(test_basics),
		cmocka_unit_test(test_status_of_another_file),
	};

	return cmocka_run_group_tests(tests, test_make_dir, test_remove_dir);
}
