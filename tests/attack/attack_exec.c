/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks to run code that the profile does not name: files written inside, files that came with
 * the weights, memory, loaders and interpreters.
 * link: tests/attack/common.c
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack.h"

#define EXEC_PAGE 4096
#define EXEC_LOADER "/lib64/ld-linux-x86-64.so.2"
#define EXEC_TRUE "/usr/bin/true"

static int exec_run(const char *program, const char *argument)
{
	const char *const args[] = { program, argument, NULL };

	return attack_execute(args, -ENOEXEC);
}

static int exec_make(const char *variable, const char *text, char *path, size_t size)
{
	return attack_make_file(attack_path(variable, "program", path, size),
				text ? NULL : EXEC_TRUE, text);
}

/* ---- files ---- */

static int try_written(void)
{
	char path[512];
	int r = exec_make("DIR", NULL, path, sizeof(path));

	return r ? r : exec_run(path, NULL);
}

static int try_written_script(void)
{
	char path[512];
	int r = exec_make("DIR", "#!" EXEC_TRUE "\n", path, sizeof(path));

	return r ? r : exec_run(path, NULL);
}

static int try_written_by_loader(void)
{
	char path[512];
	int r = exec_make("DIR", NULL, path, sizeof(path));

	return r ? r : exec_run(EXEC_LOADER, path);
}

static int try_written_by_fd(void)
{
	char path[512];
	int r = exec_make("DIR", NULL, path, sizeof(path));
	cleanup_fd int fd = r ? -1 : open(path, O_RDONLY);

	if (r)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return exec_run(path, NULL);
}

static int try_execveat(void)
{
	char *const args[] = { "x", NULL };
	cleanup_fd int fd = open(EXEC_TRUE, O_PATH | O_CLOEXEC);

	return attack_result(syscall(SYS_execveat, fd, "", args, NULL, 0x1000 /* AT_EMPTY_PATH */));
}

static int try_shm_file(void)
{
	int r = attack_make_file("/dev/shm/custody-attack", EXEC_TRUE, NULL);

	if (r == 0)
		r = exec_run("/dev/shm/custody-attack", NULL);
	(void)unlink("/dev/shm/custody-attack");
	return r;
}

static int exec_run_zone(const char *name)
{
	char path[512];

	return exec_run(attack_path("ZONE", name, path, sizeof(path)), NULL);
}

static int try_weights_program(void)
{
	return exec_run_zone("program");
}

static int try_weights_script(void)
{
	return exec_run_zone("script");
}

static int try_weights_loader(void)
{
	char path[512];

	return exec_run(EXEC_LOADER, attack_path("ZONE", "program", path, sizeof(path)));
}

static int try_weights_library(void)
{
	char path[512];

	return attack_map(attack_path("ZONE", "library.so", path, sizeof(path)),
			  PROT_READ | PROT_EXEC, MAP_PRIVATE);
}

static int try_shell(void)
{
	return exec_run("/usr/bin/dash", "/dev/null");
}

static int try_unlisted(void)
{
	return exec_run(EXEC_TRUE, NULL);
}

static int try_unlisted_by_loader(void)
{
	return exec_run(EXEC_LOADER, EXEC_TRUE);
}

/* What LD_PRELOAD and dlopen() do with a library of the attacker's. */
static int try_preload(void)
{
	char path[512];
	int r = attack_make_file(attack_path("DIR", "library.so", path, sizeof(path)),
				 "/lib/x86_64-linux-gnu/libm.so.6", NULL);

	/* The loader would go on without it: what counts is whether it may be mapped. */
	return r ? r : attack_map(path, PROT_READ | PROT_EXEC, MAP_PRIVATE);
}

/* The kernel starts another program for a file of this kind. */
ATTACK_FD(binfmt, open("/proc/sys/fs/binfmt_misc", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 ?
			  -1 : open("/proc/sys/fs/binfmt_misc/register", O_WRONLY | O_CLOEXEC))
ATTACK_CALL(use_library, syscall(SYS_uselib, "/lib/x86_64-linux-gnu/libm.so.6"))

/* ---- memory ---- */

static int exec_map(int prot, int then)
{
	void *p = mmap(NULL, EXEC_PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	return then ? attack_result(mprotect(p, EXEC_PAGE, then)) : 0;
}

static int try_write_exec(void)
{
	return exec_map(PROT_READ | PROT_WRITE | PROT_EXEC, 0);
}

static int try_map_exec(void)
{
	return exec_map(PROT_READ | PROT_EXEC, 0);
}

static int try_protect_exec(void)
{
	return exec_map(PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC);
}

static int try_protect_key(void)
{
	void *p = mmap(NULL, EXEC_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return attack_result(syscall(SYS_pkey_mprotect, p, EXEC_PAGE, PROT_READ | PROT_EXEC, -1));
}

static int try_stack_exec(void)
{
	char here;
	void *page = (void *)((__UINTPTR_TYPE__)&here & ~(__UINTPTR_TYPE__)(EXEC_PAGE - 1));

	return attack_result(mprotect(page, EXEC_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC |
						       PROT_GROWSDOWN));
}

/* A page of a library is made writable, changed, and executable again. */
static int try_library_page(void)
{
	cleanup_fd int fd = open("/lib/x86_64-linux-gnu/libm.so.6", O_RDONLY | O_CLOEXEC);
	char *p = mmap(NULL, EXEC_PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	if (p == MAP_FAILED)
		return attack_untried("no library is mapped");
	if (mprotect(p, EXEC_PAGE, PROT_READ | PROT_WRITE) < 0)
		return -errno;
	p[0] = 0;
	return attack_result(mprotect(p, EXEC_PAGE, PROT_READ | PROT_EXEC));
}

static int try_map_shared(void)
{
	char path[512];
	int r = exec_make("DIR", NULL, path, sizeof(path));

	return r ? r : attack_map(path, PROT_READ | PROT_EXEC, MAP_SHARED);
}

static int try_map_written(void)
{
	char path[512];
	int r = exec_make("DIR", NULL, path, sizeof(path));

	return r ? r : attack_map(path, PROT_READ | PROT_EXEC, MAP_PRIVATE);
}

/* Mapped as data first: no second call may add what the mount refuses. */
static int try_map_later(void)
{
	char path[512];
	int r = exec_make("DIR", NULL, path, sizeof(path));
	cleanup_fd int fd = r ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	void *p = r ? MAP_FAILED : mmap(NULL, EXEC_PAGE, PROT_READ, MAP_PRIVATE, fd, 0);

	if (r || p == MAP_FAILED)
		return r ? r : attack_untried("no file is mapped");
	return attack_result(mprotect(p, EXEC_PAGE, PROT_READ | PROT_EXEC));
}

static int try_map_zero(void)
{
	return attack_map("/dev/zero", PROT_READ | PROT_EXEC, MAP_PRIVATE);
}

static int try_shm_map(void)
{
	int r = attack_make_file("/dev/shm/custody-attack", EXEC_TRUE, NULL);

	if (r == 0)
		r = attack_map("/dev/shm/custody-attack", PROT_READ | PROT_EXEC, MAP_SHARED);
	(void)unlink("/dev/shm/custody-attack");
	return r;
}

static int try_shm_attach(void)
{
	int id = shmget(IPC_PRIVATE, EXEC_PAGE, IPC_CREAT | 0700);
	void *p = shmat(id, NULL, SHM_EXEC);
	int r = p == (void *)-1 ? -errno : 0;

	(void)shmctl(id, IPC_RMID, NULL);
	return r;
}

ATTACK_FD(memfd, memfd_create("x", 0))
ATTACK_FD(memfd_exec, syscall(SYS_memfd_create, "x", 0x10U /* MFD_EXEC */) < 0 && errno == EINVAL ?
			      -1 : syscall(SYS_memfd_create, "x", 0x10U))

/* A program in a file that has no name. */
static int exec_fill_memfd(unsigned int flags, int *ret)
{
	cleanup_fd int from = open(EXEC_TRUE, O_RDONLY | O_CLOEXEC);
	cleanup_fd int fd = (int)syscall(SYS_memfd_create, "x", flags);
	char buf[4096];
	ssize_t n;

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 all of them are executable */
		fd = (int)syscall(SYS_memfd_create, "x", 0);
	if (fd < 0)
		return -errno;
	while ((n = read(from, buf, sizeof(buf))) > 0) {
		if (write(fd, buf, (size_t)n) != n)
			return attack_untried("the memfd cannot be written");
	}
	*ret = TAKE_FD(fd);
	return 0;
}

static int try_memfd_run(void)
{
	cleanup_fd int fd = -1;
	char path[64];
	const char *const args[] = { path, NULL };
	int r = exec_fill_memfd(0x10U /* MFD_EXEC */, &fd);

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return r ? r : attack_execute(args, -ENOEXEC);
}

static int try_memfd_map(void)
{
	cleanup_fd int fd = -1;
	int r = exec_fill_memfd(0, &fd);
	void *p = r ? MAP_FAILED : mmap(NULL, EXEC_PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);

	return r ? r : p == MAP_FAILED ? -errno : 0;
}

static int try_remap_pages(void)
{
	void *p = mmap(NULL, EXEC_PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return attack_result(syscall(SYS_remap_file_pages, p, EXEC_PAGE, 0, 0, 0));
}

#define ROW ATTACK_ROW
#define OPENED ATTACK_ROW_OPENED
#define EXEC_BOTH "memfd=EACCES jit+memfd=succeeded"
static const struct attack attacks[] = {
	ROW(written, "EACCES", 0, "a program that was written inside"),
	ROW(written_script, "EACCES", 0, "a script that was written inside"),
	ROW(written_by_loader, "ENOEXEC", 0, "the loader on a program that was written inside"),
	ROW(written_by_fd, "EACCES", 0, "a program that was written inside, by its descriptor"),
	ROW(execveat, "EPERM", 0, "execveat()"),
	ROW(shm_file, "EACCES", 0, "a program in /dev/shm"),
	ROW(weights_program, "EACCES", 0, "a program that came with the weights"),
	ROW(weights_script, "EACCES", 0, "a script that came with the weights"),
	ROW(weights_loader, "ENOEXEC", 0, "the loader on a program that came with the weights"),
	ROW(weights_library, "EPERM EACCES", 0, "a library that came with the weights"),
	ROW(shell, "EACCES", 0, "a shell"),
	ROW(unlisted, "EACCES", 0, "a program of the host that the profile does not list"),
	ROW(unlisted_by_loader, "ENOEXEC", ATTACK_KNOWN, "the same, by the loader"),
	ROW(preload, "EPERM EACCES", 0, "a library that was written inside, for LD_PRELOAD"),
	ROW(binfmt, "ENOENT EACCES", 0, "registering a binary format"),
	ROW(use_library, "EPERM", 0, "uselib()"),
	OPENED(write_exec, "EPERM", 0, "jit=succeeded", "memory that is writable and executable"),
	OPENED(map_exec, "EPERM", 0, "jit=succeeded", "anonymous executable memory"),
	OPENED(protect_exec, "EPERM", 0, "jit=succeeded", "memory made executable"),
	OPENED(protect_key, "EPERM", 0, "jit=succeeded",
	       "memory made executable by pkey_mprotect()"),
	OPENED(stack_exec, "EPERM", 0, "jit=succeeded", "the stack made executable"),
	OPENED(library_page, "EPERM", 0, "jit=succeeded",
	       "a library's page, changed and executable again"),
	ROW(map_written, "EPERM EACCES", 0, "a file that was written inside, mapped as code"),
	ROW(map_shared, "EPERM EACCES", 0, "the same, shared"),
	OPENED(map_later, "EPERM", 0, "jit=EACCES", "the same, executable later"),
	ROW(map_zero, "EPERM EACCES", 0, "/dev/zero mapped as code"),
	ROW(shm_map, "EPERM EACCES", 0, "a file in /dev/shm mapped as code"),
	ROW(shm_attach, "EPERM", 0, "System V shared memory attached as code"),
	OPENED(memfd, "EPERM", 0, "memfd=succeeded", "a memfd"),
	OPENED(memfd_run, "EPERM", ATTACK_SEALED, EXEC_BOTH, "a program in a memfd"),
	OPENED(memfd_map, "EPERM", 0, "memfd=succeeded", "a memfd's page as code"),
	OPENED(memfd_exec, "EPERM", ATTACK_SEALED, EXEC_BOTH, "a memfd that asks to be executable"),
	ROW(remap_pages, "ENOSYS", 0, "remap_file_pages()"),
};

int main(int argc, char **argv)
{
	return attack_main(argc, argv, attacks, ARRAY_SIZE(attacks));
}
