/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of a cgroup: set, read back, and how often they were run into. Run by custodyd. Trusts
 * the kernel's cgroupfs. See Documentation/admin-guide/cgroup-v2.rst.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "cgroup_internal.h"
#include "cleanup.h"

#define CGROUP_CPU_PERIOD_US 100000ULL

/* Writes and reads back: cgroupfs rounds some values, so the caller names what it must read. */
static int cgroup_write_limit(int dir, const char *name, const char *text, const char *expect)
{
	char now[CGROUP_FILE_SIZE];
	int r = cgroup_write_file(dir, name, text);

	if (r >= 0)
		r = cgroup_read_file(dir, name, now, sizeof(now));
	if (r < 0)
		return r;
	now[strcspn(now, "\n")] = '\0';
	return strcmp(now, expect) == 0 ? 0 : -EIO;
}

static int cgroup_write_number(int dir, const char *name, __u64 number)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)number);
	return cgroup_write_limit(dir, name, text, text);
}

/* True when /proc/swaps has a line below its head: or when that cannot be told. */
static bool cgroup_has_swap(void)
{
	cleanup_file FILE *file = fopen("/proc/swaps", "re");
	char line[512];
	int n = 0;

	if (!file)
		return errno != ENOENT;
	while (fgets(line, sizeof(line), file))
		n++;
	return n > 1;
}

static int cgroup_limit_memory(int dir, const struct cgroup_limits *limits)
{
	__u64 page = (__u64)sysconf(_SC_PAGESIZE);
	int r = 0;

	if (limits->memory != 0)
		r = cgroup_write_number(dir, "memory.max", limits->memory / page * page);
	if (r == 0 && limits->memory_high != 0)
		r = cgroup_write_number(dir, "memory.high", limits->memory_high / page * page);
	if (r < 0)
		return r;
	/* Whatever its limits: weights do not go to a disk. */
	r = cgroup_write_limit(dir, "memory.swap.max", "0", "0");
	/* The file is missing where the kernel does not account swap: right only without swap. */
	if (r == -ENOENT)
		return cgroup_has_swap() ? -EOPNOTSUPP : 0;
	return r;
}

/* "rbps=1048576" or "rbps=max" */
static int cgroup_print_rate(char *ret, size_t size, const char *key, __u64 rate)
{
	if (rate == 0)
		return snprintf(ret, size, "%s=max", key);
	return snprintf(ret, size, "%s=%" PRIu64, key, (uint64_t)rate);
}

/* io.max has a line for each disk, in the kernel's order: this one must begin a line of it. */
static bool cgroup_has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, line, len) == 0 && at[len] == ' ')
			return true;
	}
	return false;
}

static int cgroup_limit_disk(int dir, const struct cgroup_disk *disk, __u64 read, __u64 write)
{
	char rbps[32], wbps[32], line[96], now[CGROUP_FILE_SIZE];
	int r;

	(void)cgroup_print_rate(rbps, sizeof(rbps), "rbps", read);
	(void)cgroup_print_rate(wbps, sizeof(wbps), "wbps", write);
	(void)snprintf(line, sizeof(line), "%u:%u %s %s", disk->major, disk->minor, rbps, wbps);
	r = cgroup_write_file(dir, "io.max", line);
	if (r == 0)
		r = cgroup_read_file(dir, "io.max", now, sizeof(now));
	if (r < 0)
		return r;
	return cgroup_has_line(now, line) ? 0 : -EIO;
}

static int cgroup_limit_cpu(int dir, __u64 percent)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64,
		       (uint64_t)(percent * CGROUP_CPU_PERIOD_US / 100),
		       (uint64_t)CGROUP_CPU_PERIOD_US);
	return cgroup_write_limit(dir, "cpu.max", text, text);
}

int cgroup_set_limits(const char *path, __u32 enabled, const struct cgroup_limits *limits)
{
	cleanup_fd int dir = cgroup_open_directory(path);
	bool io = (limits->io_read || limits->io_write) && (enabled & CGROUP_IO);
	int r = 0;

	if (dir < 0)
		return dir;
	if (limits->n_disks > CGROUP_DISKS_MAX)
		return -EINVAL;
	if (enabled & CGROUP_MEMORY)
		r = cgroup_limit_memory(dir, limits);
	if (r == 0 && (enabled & CGROUP_PIDS) && limits->processes != 0)
		r = cgroup_write_number(dir, "pids.max", limits->processes);
	if (r == 0 && (enabled & CGROUP_CPU) && limits->cpu_percent != 0)
		r = cgroup_limit_cpu(dir, limits->cpu_percent);
	for (__u32 i = 0; r == 0 && io && i < limits->n_disks; i++)
		r = cgroup_limit_disk(dir, &limits->disks[i], limits->io_read, limits->io_write);
	return r;
}

int cgroup_set_oom_group(const char *path)
{
	cleanup_fd int dir = cgroup_open_directory(path);

	return dir < 0 ? dir : cgroup_write_limit(dir, "memory.oom.group", "1", "1");
}

/* The number of "key N" in a file of lines. Absent, the file or the line, is 0. */
static __u64 cgroup_parse_count(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, key, len) == 0 && at[len] == ' ')
			return strtoull(at + len + 1, NULL, 10);
	}
	return 0;
}

int cgroup_read_hits(const char *path, struct cgroup_hits *ret)
{
	cleanup_fd int dir = cgroup_open_directory(path);
	char memory[CGROUP_FILE_SIZE] = "", pids[CGROUP_FILE_SIZE] = "";
	int r;

	if (dir < 0)
		return dir;
	r = cgroup_read_file(dir, "memory.events", memory, sizeof(memory));
	if (r == 0 || r == -ENOENT)
		r = cgroup_read_file(dir, "pids.events", pids, sizeof(pids));
	if (r < 0 && r != -ENOENT)
		return r;
	*ret = (struct cgroup_hits){
		.oom = cgroup_parse_count(memory, "oom"),
		.oom_kill = cgroup_parse_count(memory, "oom_kill"),
		.oom_group_kill = cgroup_parse_count(memory, "oom_group_kill"),
		.forks = cgroup_parse_count(pids, "max"),
	};
	return 0;
}
