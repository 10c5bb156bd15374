/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says what the kernel shows and lets be done here: one line "NAME ANSWER" for each property of a
 * jail's structure, where an answer is "allowed", an errno, or a number. Run by
 * tests/root/14-jail-structure.sh, once as root on the host and then as the model.
 *
 * structure_probe                          the table, with what the environment names:
 *   PROBE_TOP     directory of weights/, and of the tests' secret files on the host
 *   PROBE_SHM     names of files that the test made in /dev/shm and /tmp of the host
 *   PROBE_SEGMENT key of a System V segment   PROBE_ABSTRACT  name of a listening UNIX socket
 * structure_probe euid                     the effective uid, as a number
 * structure_probe wait                     ends when its standard input does
 * structure_probe crash                    dies of SIGABRT
 * structure_probe secret PROGRAM [ARG]...  runs it in a session keyring that has a secret
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"

#define PROBE_SECRET	"custody-structure-secret"
#define PROBE_FILL	(4U << 20)	/* more than the test gives to /tmp and /dev/shm */
#define PROBE_SEGMENT	(1UL << 30)	/* more than a jail of 256 MiB may have */

static long probe_result(long r)
{
	return r < 0 ? -errno : r;
}

static const char *probe_environment(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

static long probe_open(const char *path, int flags)
{
	cleanup_fd int fd = open(path, flags | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : 0;
}

static long probe_weights(const char *name, int flags)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/weights/%s", probe_environment("PROBE_TOP"), name);
	return probe_open(path, flags);
}

static long probe_read_number(const char *path, int base)
{
	cleanup_file FILE *file = fopen(path, "re");
	char text[64];

	if (!file)
		return -errno;
	return fgets(text, sizeof(text), file) ? strtol(text, NULL, base) : -ENODATA;
}

static long probe_weights_own(void)
{
	return probe_weights("private", O_RDONLY);
}

static long probe_weights_write(void)
{
	return probe_weights("private", O_WRONLY);
}

static long probe_weights_other(void)
{
	return probe_weights("other", O_RDONLY);
}

static long probe_weights_owner(void)
{
	char path[256];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/weights/private", probe_environment("PROBE_TOP"));
	return stat(path, &st) < 0 ? -errno : (long)st.st_uid;
}

static long probe_weights_lease(void)
{
	char path[256];
	cleanup_fd int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/weights/private", probe_environment("PROBE_TOP"));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : probe_result(fcntl(fd, F_SETLEASE, F_RDLCK));
}

static long probe_shm_file(void)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "/dev/shm/%s", probe_environment("PROBE_SHM"));
	return probe_open(path, O_RDONLY);
}

static long probe_tmp_file(void)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "/tmp/%s", probe_environment("PROBE_SHM"));
	return probe_open(path, O_RDONLY);
}

static long probe_fill(const char *path)
{
	static const char page[4096];
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	long r = 0;

	if (fd < 0)
		return -errno;
	for (size_t done = 0; r == 0 && done < PROBE_FILL; done += sizeof(page))
		r = write(fd, page, sizeof(page)) < 0 ? -errno : 0;
	(void)unlink(path);
	return r;
}

static long probe_fill_shm(void)
{
	return probe_fill("/dev/shm/custody-structure-fill");
}

static long probe_fill_tmp(void)
{
	return probe_fill("/tmp/custody-structure-fill");
}

/* A mount that ends with this process. */
static long probe_mount(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	(void)mount("", "/", "", MS_REC | MS_PRIVATE, NULL);
	return probe_result(mount("none", "/tmp", "tmpfs", 0, NULL));
}

static long probe_mknod(void)
{
	const char *path = "/tmp/custody-structure-node";
	long r = probe_result(mknod(path, S_IFCHR | 0600, makedev(1, 3)));

	(void)unlink(path);
	return r;
}

/* Processes that this one did not start, among those that /proc lists. */
static long probe_others(void)
{
	cleanup_dir DIR *dir = opendir("/proc");
	const struct dirent *entry;
	long n = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		pid_t pid = (pid_t)atoi(entry->d_name);

		n += pid > 0 && pid != getpid() && pid != getppid();
	}
	return n > 0;
}

static long probe_memfd_setting(void)
{
	return probe_read_number("/proc/sys/vm/memfd_noexec", 10);
}

static long probe_nesting(void)
{
	return probe_read_number("/proc/sys/user/max_user_namespaces", 10) > 0;
}

static long probe_core_contents(void)
{
	return probe_read_number("/proc/self/coredump_filter", 16) != 0;
}

static long probe_core_lower(void)
{
	const struct rlimit none = { 0, 0 };

	return probe_result(syscall(SYS_setrlimit, RLIMIT_CORE, &none));
}

static long probe_core_lower_prlimit(void)
{
	const struct rlimit none = { 0, 0 };

	return probe_result(prlimit(0, RLIMIT_CORE, &none, NULL));
}

static long probe_core_ask(void)
{
	struct rlimit limit;

	return probe_result(getrlimit(RLIMIT_CORE, &limit));
}

/* Whether a crash leaves a core file: 1, 0. Where it may be written, and the limit permits. */
static long probe_core_file(void)
{
	const struct rlimit most = { RLIM_INFINITY, RLIM_INFINITY };
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)prlimit(0, RLIMIT_CORE, &most, NULL);
		if (mkdir("/tmp/custody-structure-core", 0700) < 0 ||
		    chdir("/tmp/custody-structure-core") < 0)
			_exit(EXIT_FAILURE);
		abort();
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? WCOREDUMP(status) != 0
								  : -EPROTO;
}

static long probe_keyring(void)
{
	return probe_result(syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user",
				    PROBE_SECRET, 0)) < 0 ? -errno : 0;
}

static long probe_segment(void)
{
	return probe_result(shmget((key_t)atol(probe_environment("PROBE_SEGMENT")), 0, 0));
}

static long probe_segment_size(void)
{
	int id = shmget(IPC_PRIVATE, PROBE_SEGMENT, IPC_CREAT | 0600);

	if (id < 0)
		return -errno;
	(void)shmctl(id, IPC_RMID, NULL);
	return 0;
}

static long probe_abstract(void)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const size_t n = strlen(probe_environment("PROBE_ABSTRACT"));

	memcpy(address.sun_path + 1, probe_environment("PROBE_ABSTRACT"), n);
	if (fd < 0)
		return -errno;
	return probe_result(connect(fd, (struct sockaddr *)&address,
				    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)));
}

#define READ(name, path)                               \
	static long probe_##name(void)                 \
	{                                              \
		return probe_open(path, O_RDONLY);     \
	}
READ(cpuinfo, "/proc/cpuinfo")
READ(meminfo, "/proc/meminfo")
READ(cmdline, "/proc/cmdline")
READ(keys, "/proc/keys")
READ(key_users, "/proc/key-users")
READ(kallsyms, "/proc/kallsyms")
READ(diskstats, "/proc/diskstats")
READ(interrupts, "/proc/interrupts")
READ(locks, "/proc/locks")
READ(swaps, "/proc/swaps")
READ(timer_list, "/proc/timer_list")
READ(init_status, "/proc/1/status")

#define CALL(name) { #name, probe_##name, false }
#define NUMBER(name) { #name, probe_##name, true }
static const struct {
	const char *name;
	long (*run)(void);
	bool number;
} probes[] = {
	CALL(weights_own), CALL(weights_write), CALL(weights_other), NUMBER(weights_owner),
	CALL(weights_lease), CALL(shm_file), CALL(tmp_file), CALL(fill_shm), CALL(fill_tmp),
	CALL(mount), CALL(mknod), NUMBER(others), NUMBER(memfd_setting), NUMBER(nesting),
	NUMBER(core_contents), CALL(core_lower), CALL(core_lower_prlimit), CALL(core_ask),
	NUMBER(core_file), CALL(keyring), CALL(segment), CALL(segment_size), CALL(abstract),
	CALL(cpuinfo), CALL(meminfo), CALL(cmdline), CALL(keys), CALL(key_users), CALL(kallsyms),
	CALL(diskstats), CALL(interrupts), CALL(locks), CALL(swaps), CALL(timer_list),
	CALL(init_status),
};

/* Each in a child, so that what one changes is not there for the next. */
static void probe_run(size_t i)
{
	int status = 0;
	pid_t pid;

	(void)printf("%s ", probes[i].name);
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		long r = probes[i].run();

		if (r < 0)
			(void)puts(strerrorname_np((int)-r));
		else if (probes[i].number)
			(void)printf("%ld\n", r);
		else
			(void)puts("allowed");
		(void)fflush(stdout);
		_exit(EXIT_SUCCESS);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		(void)printf("died\n");
}

static int probe_with_secret(char **argv)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, PROBE_SECRET, 0, 0, 0) < 0 ||
	    syscall(SYS_add_key, "user", PROBE_SECRET, "secret", 6, KEY_SPEC_SESSION_KEYRING) < 0)
		perror("keyring");	/* a kernel without: the test sees that none was found */
	(void)execvp(argv[0], argv);
	perror(argv[0]);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	char byte;

	if (strcmp(verb, "euid") == 0)
		return printf("%u\n", geteuid()) > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	if (strcmp(verb, "crash") == 0)
		abort();
	if (strcmp(verb, "secret") == 0 && argc > 2)
		return probe_with_secret(argv + 2);
	if (strcmp(verb, "wait") == 0) {
		while (read(STDIN_FILENO, &byte, 1) > 0)
			;
		return EXIT_SUCCESS;
	}
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		probe_run(i);
	return EXIT_SUCCESS;
}
