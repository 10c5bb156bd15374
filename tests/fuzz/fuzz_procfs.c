/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any text as what the sweeper reads of /proc, of which names are a hostile process's
 * own: mountinfo, maps, status numbers. Nothing is found that the lines do not hold, what is found is
 * counted once for each mount, and what goes into a fact holds no control character. Input: first
 * byte chooses the file. Trusts nothing.
 * link: daemon/sweeper/procfs.c daemon/sweeper/facts_mount.c daemon/sweeper/facts_cgroup.c
 * link: daemon/sweeper/sweep.c
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"
#include "daemon/sweeper/procfs.h"
#include "daemon/sweeper/sweep.h"

#define FUZZ_CGROUP "/sys/fs/cgroup/custody/web-1"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_require(int condition)
{
	if (!condition)
		abort();
}

/* ---- in the place of facts_kernel.c: one scratch device, one namespace ---- */

bool facts_kernel_is_namespace(const struct sweep *sweep, __u64 dev, __u64 inode)
{
	return dev == sweep->nsfs_dev && inode == 4026532008ULL;
}

bool facts_kernel_is_scratch(const struct sweep *sweep, __u64 dev)
{
	return dev == sweep->scratch[0];
}

/* A directory with one file, and "self/mountinfo" as a second name of it. */
static int fuzz_make_directory(void)
{
	char path[] = "/dev/shm/custody-fuzz.XXXXXX";	/* memory: written for each input */
	int fd;

	fuzz_require(mkdtemp(path) != NULL);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fuzz_require(fd >= 0 && mkdirat(fd, "self", 0700) == 0);
	fuzz_require(symlinkat("../mountinfo", fd, "self/mountinfo") == 0);
	return fd;
}

static int fuzz_dir = -1;

static void fuzz_remove(void)
{
	char path[64], link[128];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fuzz_dir);
	n = readlink(path, link, sizeof(link) - 1);
	(void)unlinkat(fuzz_dir, "self/mountinfo", 0);
	(void)unlinkat(fuzz_dir, "self", AT_REMOVEDIR);
	(void)unlinkat(fuzz_dir, "mountinfo", 0);
	if (n > 0) {
		link[n] = '\0';
		(void)rmdir(link);
	}
}

static void fuzz_put(const uint8_t *data, size_t size)
{
	cleanup_fd int fd = openat(fuzz_dir, "mountinfo", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
				   0600);

	fuzz_require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
}

static void fuzz_check_fact(const struct evidence_fact *fact, size_t lines)
{
	fuzz_require(memchr(fact->detail, '\0', sizeof(fact->detail)) != NULL);
	fuzz_require(fact->value <= lines);
	for (const char *c = fact->detail; *c; c++)
		fuzz_require((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void fuzz_try_mounts(const uint8_t *data, size_t size)
{
	static struct sweep_request request = { .cgroup = FUZZ_CGROUP };
	struct sweep sweep = { .request = &request, .proc = fuzz_dir, .n_scratch = 1,
			       .namespaces = 1, .nsfs_dev = makedev(0, 4),
			       .scratch = { makedev(0, 77) } };
	const char *below = NULL;
	size_t lines = 1;
	char who[32];

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	for (unsigned int i = 0; i < _FACT_MAX; i++)
		sweep.facts[i].looked = 1;
	/* A comm as a process may choose it. */
	(void)snprintf(who, sizeof(who), "pid 1 %.16s", size > 20 ? (const char *)data : "x");
	fuzz_put(data, size);
	fuzz_require(facts_mount_look_task(&sweep, fuzz_dir, 0, who) == 0);
	fuzz_check_fact(&sweep.facts[FACT_SCRATCH_MOUNTS], lines);
	fuzz_check_fact(&sweep.facts[FACT_NAMESPACE_PIDS], lines);
	if (facts_cgroup_find_path(&sweep, &below) == 0)
		fuzz_require(below > request.cgroup &&
			     below < request.cgroup + strlen(request.cgroup) && *below == '/');
	sweep_files_free(&sweep.seen_mounts);
	sweep_files_free(&sweep.seen_views);
}

static void fuzz_try_lines(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);
	unsigned int major = 7, minor = 7, number = 7;
	__u64 id = 7;

	fuzz_require(line != NULL);
	memcpy(line, data, size);
	line[size] = '\0';
	if (!procfs_parse_mount(line, &id, &major, &minor))
		fuzz_require(id == 7 && major == 7 && minor == 7);
	id = major = minor = 7;
	if (!procfs_parse_map(line, &major, &minor, &id))
		fuzz_require(id == 7 && major == 7 && minor == 7);
	if (!procfs_parse_number(line, &number))
		fuzz_require(number == 7);
	else
		fuzz_require(line[0] >= '0' && line[0] <= '9');
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	if (fuzz_dir < 0) {
		fuzz_dir = fuzz_make_directory();
		(void)atexit(fuzz_remove);
	}
	if (data[0] == 'l')
		fuzz_try_lines(data + 1, size - 1);
	else
		fuzz_try_mounts(data + 1, size - 1);
	return 0;
}
