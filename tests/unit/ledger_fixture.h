/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of one jail's life for the tests of ledger, recorder and verifier, and a directory to
 * write them in. Included by unit tests and fuzz targets only. Trusts nothing, tests do.
 */
#ifndef CUSTODY_TESTS_LEDGER_FIXTURE_H
#define CUSTODY_TESTS_LEDGER_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "custody/message.h"
#include "record.h"

#define FIXTURE_JAIL 7

static inline struct ledger_launch fixture_launch(__u32 jail_id)
{
	struct ledger_launch launch = {
		.jail_id = jail_id, .slot = 3, .name = "digits", .profile = "sklearn-digits",
		.planes_required = CUSTODY_PLANE_STRUCTURE | CUSTODY_PLANE_CGROUP,
		.planes_active = CUSTODY_PLANE_STRUCTURE | CUSTODY_PLANE_CGROUP |
				 CUSTODY_PLANE_OBSERVE,
		.pid = 4242, .requester_uid = 0,
	};

	memset(launch.plan_digest, 0xab, sizeof(launch.plan_digest));
	memset(launch.profile_digest, 0xcd, sizeof(launch.profile_digest));
	return launch;
}

static inline struct ledger_retire fixture_retire(__u32 jail_id)
{
	struct ledger_launch launch = fixture_launch(jail_id);
	struct ledger_retire retire = {
		.jail_id = jail_id, .requester_uid = 1000,
		.planes_required = launch.planes_required, .planes_active = launch.planes_active,
		.started_ns = 1767225600000000000ULL, .drained_ns = 1767225660123456789ULL,
		.erase = EVIDENCE_ERASE_MEMORY, .name = "digits", .profile = "sklearn-digits",
	};

	memcpy(retire.plan_digest, launch.plan_digest, sizeof(retire.plan_digest));
	memcpy(retire.profile_digest, launch.profile_digest, sizeof(retire.profile_digest));
	return retire;
}

static inline struct custody_event fixture_event(__u32 jail_id)
{
	struct custody_event event = {
		.size = sizeof(event), .version = EVENT_VERSION, .verdict = EVENT_DENIED,
		.jail_id = jail_id, .class = POLICY_CLASS_OPEN, .object = 2,
		.plane = EVENT_PLANE_OBSERVE, .error = -13, .syscall = 257, .pid = 99, .tid = 99,
		.comm = "python3", .path = "shadow/etc/", .path_len = 11, .inode = 12,
	};

	return event;
}

static inline struct ledger_fact fixture_fact(__u32 jail_id, __u32 fact, __u32 phase)
{
	struct ledger_fact record = {
		.jail_id = jail_id,
		.fact = { .fact = fact, .phase = phase, .looked = 1 },
	};

	return record;
}

/* A new directory; -1 on failure. path is what mkdtemp() takes. */
static inline int fixture_make_directory(char *path)
{
	return mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

/* Removes a directory of files and of directories of files. */
static inline void fixture_remove(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, e->d_name, 0) < 0)
			fixture_remove(fd, e->d_name);
	}
	if (dir)
		(void)closedir(dir);
	(void)unlinkat(dirfd, name, AT_REMOVEDIR);
}

/* The whole file; *ret_n bytes. NULL on failure. */
static inline char *fixture_read(int dirfd, const char *name, size_t *ret_n)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	char *bytes = NULL;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0)
		bytes = malloc((size_t)st.st_size + 1);
	if (bytes && read(fd, bytes, (size_t)st.st_size) != st.st_size) {
		free(bytes);
		bytes = NULL;
	}
	if (bytes)
		*ret_n = (size_t)st.st_size;
	if (fd >= 0)
		(void)close(fd);
	return bytes;
}

static inline int fixture_write(int dirfd, const char *name, const void *bytes, size_t n)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = fd >= 0 && write(fd, bytes, n) == (ssize_t)n ? 0 : -1;

	if (fd >= 0)
		(void)close(fd);
	return r;
}

#endif
