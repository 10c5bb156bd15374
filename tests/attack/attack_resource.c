/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks on what all share. Each takes more than the profile of the test gives (world.bash) and
 * succeeds when it gets that; outside it gets it, because it is little for a host.
 * link: tests/attack/common.c
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attack.h"

#define RESOURCE_PROCESSES 200	/* of 64 */
#define RESOURCE_FILES 200	/* of 128 */
#define RESOURCE_FILE_BYTES (80UL << 20)	/* of 64 MiB, or 16 */
#define RESOURCE_MEMORY (512UL << 20)	/* of 256 MiB */
#define RESOURCE_NAMES 40000

static int try_processes(void)
{
	pid_t pids[RESOURCE_PROCESSES];
	int n = 0;
	int r = 0;

	while (n < RESOURCE_PROCESSES) {
		pid_t pid = fork();

		if (pid == 0) {
			(void)pause();
			_exit(0);
		}
		if (pid < 0) {
			r = -errno;
			break;
		}
		pids[n++] = pid;
	}
	for (int i = 0; i < n; i++) {
		(void)kill(pids[i], SIGKILL);
		(void)waitpid(pids[i], NULL, 0);
	}
	return r;
}


static int try_files(void)
{
	for (int i = 0; i < RESOURCE_FILES; i++) {
		if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
			return -errno;
	}
	return 0;
}

static int try_pipes(void)
{
	for (int i = 0; i < RESOURCE_FILES / 2; i++) {
		int ends[2];

		if (pipe2(ends, O_CLOEXEC) < 0)
			return -errno;
		(void)fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
	}
	return 0;
}

static int resource_fill(const char *path)
{
	static char chunk[1 << 20];
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	unsigned long done = 0;
	ssize_t n = 0;
	int r = 0;

	memset(chunk, 'x', sizeof(chunk));
	if (fd < 0)
		return -errno;
	while (done < RESOURCE_FILE_BYTES && (n = write(fd, chunk, sizeof(chunk))) > 0)
		done += (unsigned long)n;
	if (done < RESOURCE_FILE_BYTES)
		r = -errno;
	(void)unlink(path);
	return r;
}

static int try_fill_scratch(void)
{
	char path[512];

	return resource_fill(attack_path("DIR", "fill", path, sizeof(path)));
}

static int try_fill_shm(void)
{
	return resource_fill("/dev/shm/custody-attack-fill");
}

static int try_allocate(void)
{
	char path[512];
	cleanup_fd int fd = open(attack_path("DIR", "hole", path, sizeof(path)),
				 O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int r = attack_result(fallocate(fd, 0, 0, (off_t)RESOURCE_FILE_BYTES));

	(void)unlink(path);
	return r;
}

/* Unlinked and held: the space is still somebody's. */
static int try_fill_unlinked(void)
{
	char path[512];
	int r = 0;

	for (int i = 0; r == 0 && i < 5; i++) {
		int fd = open(attack_path("DIR", "gone", path, sizeof(path)),
			      O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		(void)unlink(path);
		r = attack_result(fallocate(fd, 0, 0, 16 << 20));
	}
	return r;
}

/* Names cost memory that a size in bytes does not count. */
static int resource_name_many(int (*make)(const char *path))
{
	char path[512];
	char name[32];
	int r = 0;
	int n = 0;

	while (r == 0 && n < RESOURCE_NAMES) {
		(void)snprintf(name, sizeof(name), "n%d", n);
		r = make(attack_path("DIR", name, path, sizeof(path)));
		n += r == 0;
	}
	while (n-- > 0) {
		(void)snprintf(name, sizeof(name), "n%d", n);
		(void)remove(attack_path("DIR", name, path, sizeof(path)));
	}
	return r;
}

static int resource_touch(const char *path)
{
	return attack_open(path, O_WRONLY | O_CREAT);
}

static int resource_link(const char *path)
{
	return attack_result(symlink("x", path));
}

static int resource_mkdir(const char *path)
{
	return attack_result(mkdir(path, 0700));
}

static int try_name_files(void)
{
	return resource_name_many(resource_touch);
}

static int try_name_links(void)
{
	return resource_name_many(resource_link);
}

static int try_name_folders(void)
{
	return resource_name_many(resource_mkdir);
}

/* ---- memory ---- */

static int resource_touch_pages(char *p)
{
	if (p == MAP_FAILED)
		return -errno;
	/* Not all of it: outside this is somebody's machine. */
	p[0] = 1;
	return 0;
}

static int try_memory(void)
{
	return resource_touch_pages(mmap(NULL, RESOURCE_MEMORY, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

static int try_memory_break(void)
{
	return sbrk((intptr_t)RESOURCE_MEMORY) == (void *)-1 ? -errno : 0;
}

static int try_memory_locked(void)
{
	void *p = mmap(NULL, RESOURCE_MEMORY, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	return attack_result(syscall(SYS_mlock2, p, RESOURCE_MEMORY, 1 /* MLOCK_ONFAULT */));
}

static int try_memory_huge(void)
{
	void *p = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	return p == MAP_FAILED ? -errno : 0;
}

static int try_in_flight(void)
{
	cleanup_fd int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	for (int i = 0; i < RESOURCE_FILES; i++) {
		int more[2];
		int r = attack_send_fd(pair[0], fd);

		if (r == -EAGAIN)
			r = socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
				       more) < 0 ? -errno : dup2(more[0], pair[0]) < 0 ? -errno : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

#define ROW ATTACK_ROW
static const struct attack attacks[] = {
	ROW(processes, "EAGAIN", 0, "processes without end"),
	ROW(files, "EMFILE", 0, "open files without end"),
	ROW(pipes, "EMFILE", 0, "pipes of a megabyte"),
	ROW(in_flight, "ETOOMANYREFS EMFILE", 0, "descriptors sent and never received"),
	ROW(fill_scratch, "ENOSPC", 0, "a file larger than scratch"),
	ROW(fill_shm, "ENOSPC", 0, "a file larger than /dev/shm"),
	ROW(fill_unlinked, "ENOSPC", 0, "files without a name"),
	ROW(allocate, "ENOSPC", 0, "space that is reserved, not written"),
	ROW(name_files, "ENOSPC", 0, "empty files without end"),
	ROW(name_links, "ENOSPC", 0, "links without end"),
	ROW(name_folders, "ENOSPC", 0, "directories without end"),
	ROW(memory, "ENOMEM", 0, "private memory beyond limits.memory"),
	ROW(memory_break, "ENOMEM", 0, "the same by brk()"),
	ROW(memory_locked, "ENOMEM EAGAIN", 0, "locked memory beyond limits.memory"),
	ROW(memory_huge, "ENOMEM", ATTACK_SILENT, "a huge page"),
};

int main(int argc, char **argv)
{
	return attack_main(argc, argv, attacks, ARRAY_SIZE(attacks));
}
