/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks from inside a jail on files, memory, limits and the host's facts, one line each:
 * "NAME allowed", "NAME ERRNO", "NAME killed SIGNAL" or "NAME = VALUE". Run by
 * tests/root/64-attacks.sh as the model of a real jail and, for the difference, on the host by
 * root. Each runs in a child. Arguments: DIR, a directory that may be written; ZONE, the model's
 * directory, in which the host has left a FIFO `pipe` and a file `file`.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"

#define ATTACK_SHM_BYTES (1UL << 34)
#define ATTACK_LOADER "/lib64/ld-linux-x86-64.so.2"

struct attack {
	const char *dir;
	const char *zone;
};

static int attack_result(long r)
{
	return r < 0 ? -errno : 0;
}

static int attack_open(const char *path, int flags)
{
	cleanup_fd int fd = open(path, flags | O_CLOEXEC, 0700);

	return fd < 0 ? -errno : 0;
}

/* What could be read of a file: 0, or the error of opening or reading it, ENODATA when empty. */
static int attack_read(const char *path)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char byte;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, &byte, 1);
	if (n < 0)
		return -errno;
	return n == 1 ? 0 : -ENODATA;
}

/*
 * Opens for writing and, only where `text` says what, writes. The host's run changes nothing: what
 * is the whole host's is opened and left as it is.
 */
static int attack_write(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return text ? attack_result(write(fd, text, strlen(text))) : 0;
}

#define READ(id, path)                                                    \
	static int attack_##id(const struct attack *a)                    \
	{                                                                 \
		(void)a;                                                  \
		return attack_read(path);                                 \
	}
#define WRITE(id, path, text)                                             \
	static int attack_##id(const struct attack *a)                    \
	{                                                                 \
		(void)a;                                                  \
		return attack_write(path, text);                          \
	}
#define CALL(id, call)                                                    \
	static int attack_##id(const struct attack *a)                    \
	{                                                                 \
		(void)a;                                                  \
		return attack_result(call);                               \
	}

/* Facts of the host. */
READ(read_cmdline, "/proc/cmdline")
READ(read_kallsyms, "/proc/kallsyms")
READ(read_modules, "/proc/modules")
READ(read_kcore, "/proc/kcore")
READ(read_keys, "/proc/keys")
READ(read_key_users, "/proc/key-users")
READ(read_partitions, "/proc/partitions")
READ(read_diskstats, "/proc/diskstats")
READ(read_locks, "/proc/locks")
READ(read_interrupts, "/proc/interrupts")
READ(read_timer_list, "/proc/timer_list")
READ(read_slabinfo, "/proc/slabinfo")
READ(read_init_status, "/proc/1/status")
READ(read_init_environ, "/proc/1/environ")
READ(read_init_maps, "/proc/1/maps")
READ(read_init_mem, "/proc/1/mem")
READ(read_sys, "/sys/kernel/uevent_seqnum")
READ(read_cgroup_fs, "/sys/fs/cgroup/unified/cgroup.procs")

/* Writing to the kernel through /proc. */
WRITE(write_core_pattern, "/proc/sys/kernel/core_pattern", NULL)
WRITE(write_hostname, "/proc/sys/kernel/hostname", NULL)
WRITE(write_uid_map, "/proc/self/uid_map", "0 0 1")
WRITE(write_setgroups, "/proc/self/setgroups", "allow")
WRITE(write_timens, "/proc/self/timens_offsets", "monotonic 1 0")
WRITE(write_oom_low, "/proc/self/oom_score_adj", "-1000")
WRITE(write_coredump, "/proc/self/coredump_filter", "0xff")
WRITE(write_loginuid, "/proc/self/loginuid", NULL)
WRITE(write_sched, "/proc/self/autogroup", NULL)

CALL(raise_files, ({
	const struct rlimit l = { 1 << 20, 1 << 20 };
	prlimit(0, RLIMIT_NOFILE, &l, NULL);
}))
CALL(raise_processes, ({
	const struct rlimit l = { RLIM_INFINITY, RLIM_INFINITY };
	prlimit(0, RLIMIT_NPROC, &l, NULL);
}))
CALL(raise_core, ({
	const struct rlimit l = { RLIM_INFINITY, RLIM_INFINITY };
	prlimit(0, RLIMIT_CORE, &l, NULL);
}))
CALL(raise_priority, setpriority(PRIO_PROCESS, 0, -10))
CALL(real_time, ({
	const struct sched_param p = { .sched_priority = 1 };
	sched_setscheduler(0, SCHED_FIFO, &p);
}))
CALL(signal_init, kill(1, 0))
CALL(ptracer_any, prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0))
CALL(mdwe_ask, prctl(65, 1, 0, 0, 0)) /* PR_SET_MDWE */
CALL(chroot_dot, chroot("."))

/* A page of code, changed through /proc although no mapping of it may be written. */
static int attack_patch_code(const struct attack *a)
{
	cleanup_fd int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	const unsigned char byte = 0x90;

	(void)a;
	if (fd < 0)
		return -errno;
	return attack_result(pwrite(fd, &byte, 1, (off_t)(__UINTPTR_TYPE__)&attack_read));
}

/* Memory that RLIMIT_DATA does not count; nothing is touched, and it goes with the process. */
static int attack_shm_sysv(const struct attack *a)
{
	int id = shmget(IPC_PRIVATE, ATTACK_SHM_BYTES, IPC_CREAT | 0600);

	(void)a;
	if (id < 0)
		return -errno;
	return attack_result(shmctl(id, IPC_RMID, NULL));
}

/* A program of one's own where files may be written. */
static int attack_make_program(const char *path, const char *text)
{
	cleanup_fd int in = open("/usr/bin/true", O_RDONLY | O_CLOEXEC);
	cleanup_fd int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	char buf[65536];
	ssize_t n = text ? (ssize_t)strlen(text) : 0;

	if (in < 0 || out < 0)
		return -ENODATA;
	if (text)
		return write(out, text, (size_t)n) == n ? 0 : -ENODATA;
	while ((n = read(in, buf, sizeof(buf))) > 0) {
		if (write(out, buf, (size_t)n) != n)
			return -ENODATA;
	}
	return 0;
}

static int attack_map_file(const char *path, int flags)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return -errno;
	p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, flags, fd, 0);
	return p == MAP_FAILED ? -errno : 0;
}

static int attack_map_written(const struct attack *a)
{
	char path[512];
	int r;

	(void)snprintf(path, sizeof(path), "%s/attack", a->dir);
	r = attack_make_program(path, NULL);
	return r < 0 ? r : attack_map_file(path, MAP_PRIVATE);
}

static int attack_map_shm(const struct attack *a)
{
	int r = attack_make_program("/dev/shm/custody-attack", NULL);

	(void)a;
	if (r == 0)
		r = attack_map_file("/dev/shm/custody-attack", MAP_SHARED);
	(void)unlink("/dev/shm/custody-attack");
	return r;
}

static int attack_map_zero(const struct attack *a)
{
	(void)a;
	return attack_map_file("/dev/zero", MAP_PRIVATE);
}

/* The errno of execve(), or ENOEXEC when the program itself ended with another status than 0. */
static int attack_run(const char *program, const char *arg)
{
	char *const args[] = { (char *)(__UINTPTR_TYPE__)program, (char *)(__UINTPTR_TYPE__)arg,
			       NULL };
	int status = 0;
	int told[2];
	int error = 0;
	pid_t pid;

	if (pipe2(told, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		return -ENODATA;
	if (pid == 0) {
		(void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
		(void)execv(program, args);
		error = errno;
		(void)!write(told[1], &error, sizeof(error));
		_exit(1);
	}
	(void)close(told[1]);
	(void)!read(told[0], &error, sizeof(error));
	if (waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	if (error)
		return -error;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ENOEXEC;
}

static int attack_run_written(const struct attack *a, const char *text, const char *loader)
{
	char path[512];
	int r;

	(void)snprintf(path, sizeof(path), "%s/program", a->dir);
	r = attack_make_program(path, text);
	if (r < 0)
		return r;
	return loader ? attack_run(loader, path) : attack_run(path, NULL);
}

static int attack_exec_written(const struct attack *a)
{
	return attack_run_written(a, NULL, NULL);
}

static int attack_exec_script(const struct attack *a)
{
	return attack_run_written(a, "#!/usr/bin/true\n", NULL);
}

static int attack_exec_loader(const struct attack *a)
{
	return attack_run_written(a, NULL, ATTACK_LOADER);
}

CALL(memfd, memfd_create("x", 0))

static int attack_exec_shell(const struct attack *a)
{
	(void)a;
	return attack_run("/usr/bin/dash", "/dev/null");
}

static int attack_exec_shell_loader(const struct attack *a)
{
	(void)a;
	return attack_run(ATTACK_LOADER, "/usr/bin/true");
}

/* Standard output is a pipe of the host's: it must not open again in another direction. */
static int attack_reopen_stdout(const struct attack *a)
{
	(void)a;
	return attack_open("/proc/self/fd/1", O_RDONLY | O_NONBLOCK);
}

static int attack_chmod_stdout(const struct attack *a)
{
	(void)a;
	return attack_result(fchmod(1, 0666));
}

static int attack_overwrite_program(const struct attack *a)
{
	(void)a;
	return attack_open("/proc/self/exe", O_WRONLY);
}

static int attack_write_fifo(const struct attack *a)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/pipe", a->zone);
	return attack_open(path, O_RDWR | O_NONBLOCK);
}

static int attack_lease(const struct attack *a)
{
	char path[512];
	cleanup_fd int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/file", a->zone);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -ENODATA : attack_result(fcntl(fd, F_SETLEASE, F_RDLCK));
}

/* Up and out by dirfd, by a link of one's own making, and by a link that changes meanwhile. */
static int attack_climb(const struct attack *a)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/../../../../../../../../etc/shadow", a->dir);
	return attack_open(path, O_RDONLY);
}

static int attack_follow_link(const struct attack *a)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/link", a->dir);
	(void)unlink(path);
	if (symlink("/proc/1/root/etc/shadow", path) < 0)
		return -ENODATA;
	return attack_open(path, O_RDONLY);
}

static int attack_race_link(const struct attack *a)
{
	char path[512];
	char other[512];
	int r = -ENOENT;
	pid_t pid;

	(void)snprintf(path, sizeof(path), "%s/race", a->dir);
	(void)snprintf(other, sizeof(other), "%s/race2", a->dir);
	if (symlink("/etc/shadow", other) < 0 || symlink(a->zone, path) < 0)
		return -ENODATA;
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 20000; i++)
			(void)renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_EXCHANGE);
		_exit(0);
	}
	for (int i = 0; i < 20000 && r < 0; i++) {
		cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
		struct stat st;

		r = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? 0 : -ENOENT;
	}
	(void)waitpid(pid, NULL, 0);
	(void)unlink(path);
	(void)unlink(other);
	return r;
}

/* The 32-bit and the x32 table of system calls have other numbers: getpid() there. */
static int attack_table_32(const struct attack *a)
{
	long r = -ENOSYS;

	(void)a;
#ifdef __x86_64__
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
#endif
	return r < 0 ? (int)r : 0;
}

static int attack_table_x32(const struct attack *a)
{
	(void)a;
	return attack_result(syscall(0x40000000L | SYS_getpid));
}

#define A(name) { #name, attack_##name }
static const struct {
	const char *name;
	int (*run)(const struct attack *a);
} attacks[] = {
	A(read_cmdline), A(read_kallsyms), A(read_modules), A(read_kcore), A(read_keys),
	A(read_key_users), A(read_partitions), A(read_diskstats), A(read_locks),
	A(read_interrupts), A(read_timer_list), A(read_slabinfo), A(read_init_status),
	A(read_init_environ), A(read_init_maps), A(read_init_mem), A(read_sys), A(read_cgroup_fs),
	A(write_core_pattern), A(write_hostname), A(write_uid_map), A(write_setgroups),
	A(write_timens), A(write_oom_low), A(write_coredump), A(write_loginuid), A(write_sched),
	A(raise_files), A(raise_processes), A(raise_core), A(raise_priority), A(real_time),
	A(signal_init), A(ptracer_any), A(mdwe_ask), A(chroot_dot), A(patch_code),
	A(shm_sysv), A(map_written), A(map_shm), A(map_zero), A(exec_written), A(exec_script),
	A(exec_loader), A(exec_shell), A(exec_shell_loader), A(memfd), A(reopen_stdout),
	A(chmod_stdout), A(overwrite_program), A(write_fifo), A(lease), A(climb), A(follow_link),
	A(race_link), A(table_32), A(table_x32),
};

static void attack_try(const char *name, int (*run)(const struct attack *), const struct attack *a)
{
	int status = 0;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(-run(a));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		(void)printf("%s broken\n", name);
	else if (WIFSIGNALED(status))
		(void)printf("%s killed SIG%s\n", name, sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == 0)
		(void)printf("%s allowed\n", name);
	else
		(void)printf("%s %s\n", name, strerrorname_np(WEXITSTATUS(status)));
}

static void attack_show(const char *name, const char *path)
{
	cleanup_file FILE *file = fopen(path, "re");
	char line[256] = "";

	if (file && fgets(line, sizeof(line), file))
		line[strcspn(line, "\n")] = '\0';
	(void)printf("%s = %s\n", name, line);
}

int main(int argc, char **argv)
{
	const struct attack a = { argc > 1 ? argv[1] : "/tmp", argc > 2 ? argv[2] : "/" };

	if (argc > 2 && strncmp(argv[2], "--", 2) == 0)
		return 2;
	for (size_t i = 0; i < ARRAY_SIZE(attacks); i++)
		attack_try(attacks[i].name, attacks[i].run, &a);
	attack_show("cgroup", "/proc/self/cgroup");
	attack_show("oom_score_adj", "/proc/self/oom_score_adj");
	attack_show("boot_id", "/proc/sys/kernel/random/boot_id");
	attack_show("hostname", "/proc/sys/kernel/hostname");
	return 0;
}
