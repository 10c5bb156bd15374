/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl evidence: the signed evidence of a retirement, copied out. Run as the caller; asks no
 * daemon. Trusts no name in the evidence directory. The public key is not copied: a key that
 * comes with what it is to prove proves nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "client.h"
#include "paths.h"
#include "record.h"
#include "retirement.h"

static const char *const evidence_files[] = {
	RETIREMENT_FILE_STATEMENT, RETIREMENT_FILE_RECORDS, RETIREMENT_FILE_HEAD,
};

/* "digits-7", "digits-7.2": the jail's number and the attempt after the last '-'. */
static bool evidence_parse_name(const char *entry, const char *name, unsigned long ret[2])
{
	const char *dash = strrchr(entry, '-');
	char *end = NULL;

	if (!dash || (size_t)(dash - entry) != strlen(name) ||
	    memcmp(entry, name, strlen(name)) != 0 || dash[1] < '0' || dash[1] > '9')
		return false;
	ret[0] = strtoul(dash + 1, &end, 10);
	ret[1] = 1;
	if (*end == '.' && end[1] >= '0' && end[1] <= '9')
		ret[1] = strtoul(end + 1, &end, 10);
	return *end == '\0';
}

/* The newest bundle of that name: jail numbers only grow. */
static bool evidence_find(int dirfd, const char *name, char *ret, size_t size)
{
	unsigned long best[2] = { 0, 0 };
	cleanup_dir DIR *dir = NULL;
	cleanup_fd int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		dir = fdopendir(fd);
	if (!dir)
		return false;
	(void)TAKE_FD(fd);
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		unsigned long now[2];

		if (!evidence_parse_name(e->d_name, name, now) || strlen(e->d_name) >= size ||
		    now[0] < best[0] || (now[0] == best[0] && now[1] <= best[1]))
			continue;
		memcpy(best, now, sizeof(best));
		(void)snprintf(ret, size, "%s", e->d_name);
	}
	return best[1] != 0;
}

/* 0 or -errno. */
static int evidence_copy_file(int from, int to, const char *name)
{
	cleanup_fd int in = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_fd int out = -1;
	char buffer[65536];
	ssize_t n;

	if (in < 0)
		return -errno;
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (out < 0)
		return -errno;
	while ((n = read(in, buffer, sizeof(buffer))) > 0) {
		for (ssize_t done = 0; done < n;) {
			ssize_t w = write(out, buffer + done, (size_t)(n - done));

			if (w <= 0)
				return w < 0 ? -errno : -EIO;
			done += w;
		}
	}
	return n < 0 || fsync(out) < 0 ? -errno : 0;
}

/* An empty directory: made, or found so. -1 with a complaint. */
static int evidence_open_target(const char *path, bool *ret_made)
{
	cleanup_fd int fd = -1;
	cleanup_fd int list = -1;
	cleanup_dir DIR *dir = NULL;

	*ret_made = mkdir(path, 0777) == 0;
	if (!*ret_made && errno != EEXIST) {
		client_complain("%s cannot be made: %s.", client_quote(path).text, strerror(errno));
		return -1;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		list = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (list >= 0)
		dir = fdopendir(list);
	if (!dir) {
		client_complain("%s is no directory that can be used: %s.", client_quote(path).text,
				strerror(errno));
		return -1;
	}
	(void)TAKE_FD(list);
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		client_complain("%s is not empty: name a directory that does not exist yet.",
				client_quote(path).text);
		return -1;
	}
	return TAKE_FD(fd);
}

static int evidence_copy(int from, const char *target)
{
	cleanup_fd int to = -1;
	bool made = false;
	size_t copied = 0;
	int r = 0;

	to = evidence_open_target(target, &made);
	if (to < 0)
		return CUSTODY_EXIT_REFUSED;
	while (r == 0 && copied < ARRAY_SIZE(evidence_files))
		r = evidence_copy_file(from, to, evidence_files[copied++]);
	if (r == 0)
		return CUSTODY_EXIT_DONE;
	client_complain("%s cannot be copied: %s; nothing was exported.",
			evidence_files[copied - 1], strerror(-r));
	while (copied > 0)
		(void)unlinkat(to, evidence_files[--copied], 0);
	if (made)
		(void)rmdir(target);
	return CUSTODY_EXIT_INTERNAL;
}

static int evidence_open_directory(const struct command_options *options, int *ret_fd)
{
	char path[CUSTODY_PATH_SIZE * 2];
	int fd;

	if (paths_join(options->root, PATHS_EVIDENCE, path, sizeof(path)) < 0)
		return CUSTODY_EXIT_USAGE;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ENOENT)
			client_complain("There is no %s: no model was retired under this root "
					"yet. See custodyctl help retire.",
					client_quote(path).text);
		else
			client_complain("%s cannot be read: %s.%s", client_quote(path).text,
					strerror(errno), errno == EACCES ?
					" Evidence is root's; run this as root." : "");
		return CUSTODY_EXIT_REFUSED;
	}
	*ret_fd = fd;
	return CUSTODY_EXIT_DONE;
}

static void evidence_report(const struct command_options *options, const char *bundle,
			    const char *target)
{
	if (options->quiet)
		return;
	(void)printf("Evidence %s is in %s.\n", bundle, client_quote(target).text);
	(void)printf("Verify it anywhere with: custody-verify DIR --key ledger.pub\n"
		     "Give the auditor the key by another way than the evidence; it is "
		     "%s%s/ledger.pub here.\n", client_quote(options->root).text, PATHS_LEDGER);
}

static int evidence_export(const struct command_options *options, const char *name,
			   const char *target)
{
	char bundle[CUSTODY_NAME_SIZE * 2] = "";
	cleanup_fd int evidence = -1;
	cleanup_fd int from = -1;
	int r;

	if (!record_check_name(name, CUSTODY_NAME_SIZE)) {
		client_complain("%s is no name of a model.", client_quote(name).text);
		return CUSTODY_EXIT_USAGE;
	}
	r = evidence_open_directory(options, &evidence);
	if (r != CUSTODY_EXIT_DONE)
		return r;
	if (!evidence_find(evidence, name, bundle, sizeof(bundle))) {
		client_complain("There is no evidence of a retirement of %s: a model has evidence "
				"after custodyctl retire.", name);
		return CUSTODY_EXIT_FALSE;
	}
	from = openat(evidence, bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (from < 0) {
		client_complain("Evidence %s cannot be read: %s.", bundle, strerror(errno));
		return CUSTODY_EXIT_REFUSED;
	}
	r = evidence_copy(from, target);
	if (r == CUSTODY_EXIT_DONE)
		evidence_report(options, bundle, target);
	return r;
}

int command_evidence(int argc, char **argv, const struct command_options *options)
{
	int n = client_parse_options(argc, argv, NULL, 0);

	if (n < 0)
		return CUSTODY_EXIT_USAGE;
	if (n == 3 && strcmp(argv[1], "export") == 0)
		return evidence_export(options, argv[2], argv[3]);
	client_complain("evidence takes export NAME DIR.");
	return CUSTODY_EXIT_USAGE;
}
