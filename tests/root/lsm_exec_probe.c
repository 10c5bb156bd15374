/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program or maps memory executable from inside a cgroup, in one of many ways, and prints
 * what came of it: see lsm_action.h. A program that runs prints nothing. Run as root by
 * tests/root/7*.sh. No seccomp filter: the LSM plane alone is met.
 *
 *   lsm_exec_probe CGROUP [in DIRECTORY] ACTION ARGUMENT...      see probe_actions
 */
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lsm_action.h"

static int probe_protection(const char *text)
{
	return (strchr(text, 'r') ? PROT_READ : 0) | (strchr(text, 'w') ? PROT_WRITE : 0) |
	       (strchr(text, 'x') ? PROT_EXEC : 0);
}

static int probe_exec(char **argv)
{
	(void)execv(argv[0], argv);
	return -1;
}

/* A copy in memory of the program argv[0]. */
static int probe_make_memfd(const char *path)
{
	cleanup_fd int from = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_fd int fd = memfd_create("probe", MFD_CLOEXEC);
	struct stat st;

	if (from < 0 || fd < 0 || fstat(from, &st) < 0)
		return -1;
	for (off_t left = st.st_size; left > 0;) {
		char bytes[65536];
		ssize_t n = read(from, bytes, sizeof(bytes));

		if (n <= 0 || write(fd, bytes, (size_t)n) != n)
			return -1;
		left -= n;
	}
	return TAKE_FD(fd);
}

static int probe_exec_fd(int fd)
{
	char name[] = "program";
	char *arguments[] = { name, NULL };

	(void)syscall(SYS_execveat, fd, "", arguments, environ, AT_EMPTY_PATH);
	return -1;
}

/* O_PATH asks nobody; running it does. */
static int probe_execpath(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_PATH | O_CLOEXEC);

	return fd < 0 ? PROBE_BROKEN : probe_exec_fd(fd);
}

static int probe_execproc(char **argv)
{
	int fd = open(argv[0], O_PATH); /* stays open over the exec: a script is read through it */
	char path[64];
	char *arguments[] = { path, NULL };

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0)
		return PROBE_BROKEN;
	(void)execv(path, arguments);
	return -1;
}

/* The loader is told to load it, as a program that anybody may run. */
static int probe_execloader(char **argv)
{
	char loader[] = "/lib64/ld-linux-x86-64.so.2";
	char *arguments[] = { loader, argv[0], NULL };
	int status = 0, from[2];
	char text[512];
	ssize_t n;
	pid_t pid;

	if (pipe2(from, O_CLOEXEC) < 0)
		return PROBE_BROKEN;
	pid = fork();
	if (pid == 0) {
		(void)dup2(from[1], STDERR_FILENO);
		(void)execv(loader, arguments);
		_exit(126);
	}
	(void)close(from[1]);
	n = read(from[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	if (pid < 0 || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) == 126)
		return PROBE_BROKEN;
	/* It has no way to say the number; it says its words for it. */
	errno = strstr(text, "failed to map segment") || strstr(text, "cannot open") ? EACCES : EIO;
	return status == 0 ? 0 : -1;
}

static int probe_execmemfd(char **argv)
{
	cleanup_fd int fd = probe_make_memfd(argv[0]);
	int r = fd < 0 ? PROBE_BROKEN : probe_enter(PROBE_CGROUP(argv));

	return r < 0 ? r : probe_exec_fd(fd);
}

/* Opened, unlinked, then run. */
static int probe_execunlinked(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	if (fd < 0 || unlink(argv[0]) < 0 || probe_enter(PROBE_CGROUP(argv)) < 0)
		return PROBE_BROKEN;
	return probe_exec_fd(fd);
}

static int probe_map(int fd, int flags, const char *protection, const char *change)
{
	void *memory = mmap(NULL, 4096, probe_protection(protection), flags, fd, 0);

	if (memory == MAP_FAILED)
		return -1;
	return change[0] == '-' ? 0 : mprotect(memory, 4096, probe_protection(change));
}

/* map PATH p|s PROT PROT2|-: of a file that was opened outside */
static int probe_mapfile(char **argv)
{
	bool shared = argv[1][0] == 's';
	bool write = shared && (strchr(argv[2], 'w') || strchr(argv[3], 'w'));
	cleanup_fd int fd = open(argv[0], (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	int r = fd < 0 ? PROBE_BROKEN : probe_enter(PROBE_CGROUP(argv));

	return r < 0 ? r : probe_map(fd, shared ? MAP_SHARED : MAP_PRIVATE, argv[2], argv[3]);
}

static int probe_mapanon(char **argv)
{
	return probe_map(-1, MAP_ANONYMOUS | (argv[0][0] == 's' ? MAP_SHARED : MAP_PRIVATE),
			 argv[1], argv[2]);
}

/* What is readable becomes executable without being asked for. */
static int probe_mapimplied(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? PROBE_BROKEN : probe_enter(PROBE_CGROUP(argv));

	if (r < 0)
		return r;
	return personality(READ_IMPLIES_EXEC) < 0 ? PROBE_BROKEN :
						    probe_map(fd, MAP_PRIVATE, "r", "-");
}

static int probe_pkey(char **argv)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)argv;
	if (memory == MAP_FAILED)
		return PROBE_BROKEN;
	return (int)syscall(SYS_pkey_mprotect, memory, 4096, PROT_READ | PROT_EXEC, -1);
}

/* Memory of System V, which the kernel maps as a file of its own. */
static int probe_shm(char **argv)
{
	int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0700);
	const void *memory = id < 0 ? (void *)-1 : shmat(id, NULL, SHM_EXEC);
	int error = errno;

	(void)argv;
	if (id < 0 || shmctl(id, IPC_RMID, NULL) < 0)
		return PROBE_BROKEN;
	errno = error;
	return memory == (void *)-1 ? -1 : 0;
}

static int probe_mapmemfd(char **argv)
{
	cleanup_fd int fd = memfd_create("probe", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return fd < 0 ? PROBE_BROKEN : -1;
	return probe_map(fd, MAP_SHARED, argv[0], argv[1]);
}

/* A library's page, written privately, then made executable again. */
static int probe_patch(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? PROBE_BROKEN : probe_enter(PROBE_CGROUP(argv));
	char *memory;

	if (r < 0)
		return r;
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (memory == MAP_FAILED)
		return PROBE_BROKEN;
	memory[0] = 'x';
	return mprotect(memory, 4096, PROT_READ | PROT_EXEC);
}

static int probe_unlinkedmap(char **argv)
{
	cleanup_fd int fd = open(argv[0], O_RDONLY | O_CLOEXEC);

	if (fd < 0 || unlink(argv[0]) < 0 || probe_enter(PROBE_CGROUP(argv)) < 0)
		return PROBE_BROKEN;
	return probe_map(fd, MAP_PRIVATE, "rx", "-");
}

static const struct probe_action probe_actions[] = {
	{ "exec", 1, probe_exec, false }, { "execmemfd", 1, probe_execmemfd, true },
	{ "execunlinked", 1, probe_execunlinked, true }, { "map", 4, probe_mapfile, true },
	{ "anon", 3, probe_mapanon, false }, { "memfd", 2, probe_mapmemfd, false },
	{ "patch", 1, probe_patch, true }, { "unlinkedmap", 1, probe_unlinkedmap, true },
	{ "execpath", 1, probe_execpath, false }, { "execproc", 1, probe_execproc, false },
	{ "execloader", 1, probe_execloader, false }, { "mapimplied", 1, probe_mapimplied, true },
	{ "pkey", 0, probe_pkey, false }, { "shm", 0, probe_shm, false },
};

int main(int argc, char **argv)
{
	return probe_choose(probe_actions, ARRAY_SIZE(probe_actions), argc, argv);
}
