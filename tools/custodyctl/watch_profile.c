/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the host the profile shows to a run: custody-planner is asked twice, for the canonical
 * text, whose digest the ledger will have, and for its settings. Run by custodyctl. Trusts neither;
 * the digest in the record of the launch says whether it was this profile.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "client.h"
#include "profile.h"
#include "watch.h"

/* Kernel's device numbers: include/linux/kdev_t.h. */
#define WATCH_MINOR_BITS 20

int watch_read_device(int fd, __u64 *ret)
{
	cleanup_file FILE *file = fopen("/proc/self/mountinfo", "re");
	cleanup_ptr char *line = NULL;
	struct statx st = { 0 };
	size_t size = 0;

	if (!file)
		return -errno;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return -errno;
	/* Not st_dev: btrfs has one for each subvolume, overlayfs for each layer. */
	while (getline(&line, &size, file) >= 0) {
		unsigned long long id, parent;
		unsigned int major, minor;

		if (sscanf(line, "%llu %llu %u:%u", &id, &parent, &major, &minor) != 4 ||
		    id != st.stx_mnt_id)
			continue;
		*ret = (__u64)major << WATCH_MINOR_BITS | minor;
		return 0;
	}
	return -ENODEV;
}

static int watch_open_root(const char *path, struct watch_root *root)
{
	struct stat st;
	int r;

	root->fd = open(path, O_PATH | O_CLOEXEC);
	if (root->fd < 0 || fstat(root->fd, &st) < 0)
		return -errno;
	root->is_directory = S_ISDIR(st.st_mode);
	root->inode = st.st_ino;
	r = watch_read_device(root->fd, &root->device);
	if (r < 0)
		return r;
	/* Zones of two names that lie in one another must show it. */
	root->path = realpath(path, NULL);
	return root->path ? 0 : -errno;
}

/* "-/path" may be absent. */
static int watch_add_root(struct watch *watch, enum watch_kind kind, const char *word)
{
	const bool optional = word[0] == '-';
	struct watch_root root = { .kind = kind, .fd = -1 };
	int r;

	if (watch->n_roots == WATCH_ROOTS_MAX) {
		client_complain("The profile names more than %d zones.", WATCH_ROOTS_MAX);
		return CUSTODY_EXIT_REFUSED;
	}
	r = watch_open_root(word + optional, &root);
	if (r == 0) {
		watch->roots[watch->n_roots++] = root;
		return CUSTODY_EXIT_DONE;
	}
	cleanup_close_fd(&root.fd);
	if (r == -ENOENT && optional)
		return CUSTODY_EXIT_DONE;
	client_complain("%s, which the profile names, cannot be looked at: %s.",
			client_quote(word + optional).text, strerror(-r));
	return CUSTODY_EXIT_REFUSED;
}

struct watch_setting {
	const char *section;
	const char *key;
	int (*take)(struct watch *watch, const char *word);
};

static int watch_take_read(struct watch *watch, const char *word)
{
	return watch_add_root(watch, WATCH_RUNTIME, word);
}

static int watch_take_data(struct watch *watch, const char *word)
{
	return watch_add_root(watch, WATCH_DATA, word);
}

static int watch_take_write(struct watch *watch, const char *word)
{
	return watch_add_root(watch, WATCH_OUTPUT, word);
}

static int watch_take_endpoint(struct watch *watch, const char *word)
{
	(void)word;
	watch->network = true;
	return CUSTODY_EXIT_DONE;
}

static int watch_take_plane(struct watch *watch, const char *word)
{
	if (strcmp(word, "observe") == 0 || strcmp(word, "lsm") == 0)
		watch->profile_sees = true;
	return CUSTODY_EXIT_DONE;
}

static int watch_take_model(struct watch *watch, const char *word)
{
	free(watch->profile_model);
	watch->profile_model = strdup(word);
	return watch->profile_model ? CUSTODY_EXIT_DONE : CUSTODY_EXIT_INTERNAL;
}

static const struct watch_setting watch_settings[] = {
	{ "files", "read", watch_take_read },	      { "files", "data", watch_take_data },
	{ "files", "write", watch_take_write },	      { "network", "listen", watch_take_endpoint },
	{ "network", "egress", watch_take_endpoint }, { "require", "planes", watch_take_plane },
	{ "model", "path", watch_take_model },
};

/* SECTION TAB KEY TAB KIND {TAB WORD} */
static int watch_take_setting(struct watch *watch, char *line)
{
	char *save = line;
	const char *section = strsep(&save, "\t");
	const char *key = strsep(&save, "\t");
	const char *kind = strsep(&save, "\t");
	int r = CUSTODY_EXIT_DONE;

	if (!kind)
		return CUSTODY_EXIT_INTERNAL;
	for (size_t i = 0; i < ARRAY_SIZE(watch_settings); i++) {
		const struct watch_setting *setting = &watch_settings[i];

		if (strcmp(setting->section, section) != 0 || strcmp(setting->key, key) != 0)
			continue;
		while (r == CUSTODY_EXIT_DONE && save)
			r = setting->take(watch, strsep(&save, "\t"));
	}
	return r;
}

static int watch_take_settings(struct watch *watch)
{
	cleanup_ptr char *text = NULL;
	char *save;
	int r = profile_ask(watch->options, watch->profile, true, &text);

	for (save = text; r == CUSTODY_EXIT_DONE && save && *save;)
		r = watch_take_setting(watch, strsep(&save, "\n"));
	return r;
}

static int watch_take_digest(struct watch *watch)
{
	cleanup_ptr char *text = NULL;
	int r = profile_ask(watch->options, watch->profile, false, &text);

	if (r == CUSTODY_EXIT_DONE &&
	    EVP_Digest(text, strlen(text), watch->profile_digest, NULL, EVP_sha256(), NULL) != 1)
		return CUSTODY_EXIT_INTERNAL;
	return r;
}

int watch_read_profile(struct watch *watch)
{
	int r = watch_take_digest(watch);

	if (r == CUSTODY_EXIT_DONE)
		r = watch_take_settings(watch);
	if (r == CUSTODY_EXIT_DONE && !watch->model && watch->profile_model)
		watch->model = watch->profile_model;
	if (r == CUSTODY_EXIT_DONE && watch->model)
		r = watch_add_root(watch, WATCH_MODEL, watch->model);
	if (r == CUSTODY_EXIT_DONE && !watch->profile_sees) {
		client_complain("The profile %s requires neither of the planes that see what is "
				"opened: add observe or lsm to [require] planes.",
				client_quote(watch->profile).text);
		return CUSTODY_EXIT_REFUSED;
	}
	return r;
}
