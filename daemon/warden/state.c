/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a restarted custodyd needs to take its jails over again. Run by custodyd. Files under
 * /run/custody/jails (root only): ID.state, a fixed-size struct with its own digest, and
 * ID.plan, the plan. Both are checked like anything else that is read: a file that does not
 * hold is refused with its name, never repaired.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "paths.h"
#include "plan.h"
#include "warden.h"

#define STATE_MAGIC	0x54534a43U	/* "CJST" */
#define STATE_VERSION	7

enum state_flag {
	STATE_FOREGROUND = 1U << 0,	/* of a `run`, whose client ends with custodyd */
	STATE_FROZEN_BY_LOSS = 1U << 1,
	STATE_CHECK = 1U << 2,		/* of a check, whose launch ends with custodyd */
};

struct state_file {
	__u32 magic;
	__u32 version;
	__u32 size;
	__u32 id;
	__u32 slot;
	__u32 state;
	__u32 planes_active;
	__u32 init;
	__u64 init_start;	/* start time of init in clock ticks: tells a reused pid */
	__u64 cgroup_model;
	__u64 cgroup_broker;
	__u64 scratch_dev[SCRATCH_DEVICES_MAX];
	__u64 started_ns;
	__u64 lost_told;
	__u64 killed_told;
	__u64 forks_told;
	__u64 ns_inode[_JAIL_NS_MAX];
	struct nshandle ns_handle[_JAIL_NS_MAX];
	__u32 gaps;
	__s32 wait_status;
	__u32 scratch_gone;
	__u32 restricted;
	__u32 cut;
	__u32 restricted_owed;
	__u32 cut_owed;
	__u32 restricted_uid;
	__u32 n_zones;
	__u32 scratch_noswap;
	__u32 flags;		/* enum state_flag */
	__u32 gaps_owed;
	char name[CUSTODY_NAME_SIZE];
	char profile[CUSTODY_NAME_SIZE];
	char cgroup[CUSTODY_PATH_SIZE];
	__u8 plan_digest[CUSTODY_DIGEST_SIZE];
	struct jail_zone zones[CUSTODY_ZONES_MAX];
	struct ledger_measured measured;
	__u64 n_checks;
	struct ledger_checked checks[PLAN_CHECKERS_MAX];
	__u8 digest[CUSTODY_DIGEST_SIZE];	/* SHA-256 of everything before it */
};

static int state_digest(const void *data, size_t size, __u8 ret[CUSTODY_DIGEST_SIZE])
{
	unsigned int n = CUSTODY_DIGEST_SIZE;

	return EVP_Digest(data, size, ret, &n, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

/* Field 22 of /proc/PID/stat. The comm may hold anything, so it is skipped from its last ')'. */
int state_read_start(pid_t pid, __u64 *ret)
{
	char path[64], text[1024];
	cleanup_fd int fd = -1;
	char *at;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -EIO;
	text[n] = '\0';
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return -EPROTO;
	*ret = strtoull(at + 1, NULL, 10);
	return 0;
}

static int state_write_file(const char *path, const void *data, size_t size)
{
	char temporary[CUSTODY_PATH_SIZE * 2 + 8];
	cleanup_fd int fd = -1;
	ssize_t n;

	(void)snprintf(temporary, sizeof(temporary), "%s.new", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	n = write(fd, data, size);
	if (n < 0 || (size_t)n != size || fsync(fd) < 0) {
		int error = n < 0 ? -errno : -ENOSPC;

		(void)unlink(temporary);
		return error;
	}
	return rename(temporary, path) < 0 ? -errno : 0;
}

static int state_read_file(const char *path, void *data, size_t size)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (size_t)st.st_size != size)
		return -EPROTO;
	return read(fd, data, size) == (ssize_t)size ? 0 : -EIO;
}

static void state_name_file(const struct jail *jail, const char *suffix, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s/%u.%s", jail->warden->jails_dir, jail->id, suffix);
}

int state_save(struct jail *jail)
{
	struct state_file *file __attribute__((cleanup(cleanup_free_ptr))) =
		calloc(1, sizeof(*file));
	char path[CUSTODY_PATH_SIZE + 64];
	int r;

	if (!file || !jail->plan)
		return -ENOMEM;
	file->magic = STATE_MAGIC;
	file->version = STATE_VERSION;
	file->size = sizeof(*file);
	file->id = jail->id;
	file->slot = jail->slot;
	file->state = jail->state == JAIL_STATE_STARTING ? JAIL_STATE_RUNNING : jail->state;
	file->planes_active = jail->planes_active;
	file->init = (__u32)jail->init;
	if (jail->init > 0)
		(void)state_read_start(jail->init, &file->init_start);
	file->cgroup_model = jail->cgroup_model;
	file->cgroup_broker = jail->cgroup_broker;
	memcpy(file->scratch_dev, jail->scratch_dev, sizeof(file->scratch_dev));
	file->started_ns = jail->started_ns;
	file->lost_told = jail->lost_told;
	file->killed_told = jail->killed_told;
	file->forks_told = jail->forks_told;
	memcpy(file->ns_inode, jail->ns_inode, sizeof(file->ns_inode));
	memcpy(file->ns_handle, jail->ns_handle, sizeof(file->ns_handle));
	file->gaps = jail->gaps;
	file->wait_status = jail->wait_status;
	file->scratch_gone = jail->scratch_gone;
	file->scratch_noswap = jail->scratch_noswap;
	file->n_zones = jail->n_zones;
	file->flags = (jail->foreground ? STATE_FOREGROUND : 0) |
		      (jail->frozen_by_loss ? STATE_FROZEN_BY_LOSS : 0) |
		      (jail->is_check ? STATE_CHECK : 0);
	file->gaps_owed = jail->gaps_owed;
	file->restricted = jail->restricted;
	file->cut = jail->cut;
	file->restricted_owed = jail->restricted_owed;
	file->cut_owed = jail->cut_owed;
	file->restricted_uid = jail->restricted_uid;
	(void)snprintf(file->name, sizeof(file->name), "%s", jail->name);
	(void)snprintf(file->profile, sizeof(file->profile), "%s", jail->profile);
	(void)snprintf(file->cgroup, sizeof(file->cgroup), "%s", jail->cgroup);
	memcpy(file->plan_digest, jail->plan_digest, sizeof(file->plan_digest));
	memcpy(file->zones, jail->zones, sizeof(file->zones));
	file->measured = jail->measured;
	file->n_checks = jail->n_checks;
	memcpy(file->checks, jail->checks, sizeof(file->checks));
	r = state_digest(file, offsetof(struct state_file, digest), file->digest);
	if (r < 0)
		return r;
	state_name_file(jail, "plan", path, sizeof(path));
	if (access(path, F_OK) < 0)
		r = state_write_file(path, jail->plan, sizeof(*jail->plan));
	if (r < 0)
		return r;
	state_name_file(jail, "state", path, sizeof(path));
	return state_write_file(path, file, sizeof(*file));
}

int state_remove(struct jail *jail)
{
	char path[CUSTODY_PATH_SIZE + 64];
	int r = 0;

	state_name_file(jail, "state", path, sizeof(path));
	if (unlink(path) < 0 && errno != ENOENT)
		r = -errno;
	state_name_file(jail, "plan", path, sizeof(path));
	if (unlink(path) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

int state_next_id(struct warden *warden, __u32 *ret)
{
	char path[CUSTODY_PATH_SIZE * 2];
	__u32 next = 1;
	int r = paths_join(warden->root, PATHS_NEXT_JAIL, path, sizeof(path));

	if (r == 0)
		r = state_read_file(path, &next, sizeof(next));
	if (r == -ENOENT)
		next = 1;
	else if (r < 0 || next == 0)
		return r < 0 ? r : -EOVERFLOW;
	*ret = next++;
	return state_write_file(path, &next, sizeof(next));
}

static bool state_check(const struct state_file *file)
{
	__u8 digest[CUSTODY_DIGEST_SIZE];

	if (file->magic != STATE_MAGIC || file->version != STATE_VERSION ||
	    file->size != sizeof(*file) || file->n_zones > CUSTODY_ZONES_MAX ||
	    file->n_checks > PLAN_CHECKERS_MAX ||
	    file->slot >= CUSTODY_JAILS_MAX || file->id == 0 || file->state == 0 ||
	    file->state >= _JAIL_STATE_MAX || !memchr(file->name, '\0', sizeof(file->name)) ||
	    !memchr(file->profile, '\0', sizeof(file->profile)) ||
	    !memchr(file->cgroup, '\0', sizeof(file->cgroup)) || !plan_check_name(file->name))
		return false;
	for (unsigned int i = 0; i < _JAIL_NS_MAX; i++) {
		if (file->ns_handle[i].size > NSHANDLE_SIZE)
			return false;
	}
	return state_digest(file, offsetof(struct state_file, digest), digest) == 0 &&
	       memcmp(digest, file->digest, sizeof(digest)) == 0;
}

/* The plan goes back into a sealed memfd, so that it is checked and mapped as at launch. */
static int state_load_plan(struct jail *jail)
{
	struct custody_plan *plan __attribute__((cleanup(cleanup_free_ptr))) =
		malloc(sizeof(*plan));
	char path[CUSTODY_PATH_SIZE + 64];
	cleanup_fd int fd = -1;
	const char *why = "";
	__u8 digest[CUSTODY_DIGEST_SIZE];
	int r;

	if (!plan)
		return -ENOMEM;
	state_name_file(jail, "plan", path, sizeof(path));
	r = state_read_file(path, plan, sizeof(*plan));
	if (r == 0)
		r = state_digest(plan, sizeof(*plan), digest);
	if (r < 0)
		return r;
	if (memcmp(digest, jail->plan_digest, sizeof(digest)) != 0)
		return -EPROTO;
	fd = memfd_create("plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || write(fd, plan, sizeof(*plan)) != (ssize_t)sizeof(*plan) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -EIO;
	r = plan_map(fd, &jail->plan, &why);
	if (r == 0)
		jail->plan_fd = TAKE_FD(fd);
	return r;
}

/* A text of a file ends, whatever is in it. */
static void state_end_texts(struct jail *jail)
{
	jail->measured.name[sizeof(jail->measured.name) - 1] = '\0';
	jail->measured.signer[sizeof(jail->measured.signer) - 1] = '\0';
	jail->measured.why[sizeof(jail->measured.why) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(jail->checks); i++) {
		struct ledger_checked *c = &jail->checks[i];

		c->name[sizeof(c->name) - 1] = c->command[sizeof(c->command) - 1] = '\0';
		c->output[sizeof(c->output) - 1] = c->why[sizeof(c->why) - 1] = '\0';
	}
}

static void state_fill_jail(struct jail *jail, const struct state_file *file)
{
	jail->id = file->id;
	jail->slot = file->slot;
	jail->state = (enum jail_state)file->state;
	jail->adopted = true;
	jail->planes_active = file->planes_active;
	jail->cgroup_model = file->cgroup_model;
	jail->cgroup_broker = file->cgroup_broker;
	memcpy(jail->scratch_dev, file->scratch_dev, sizeof(jail->scratch_dev));
	jail->started_ns = file->started_ns;
	jail->lost_told = file->lost_told;
	jail->killed_told = file->killed_told;
	jail->forks_told = file->forks_told;
	memcpy(jail->ns_inode, file->ns_inode, sizeof(jail->ns_inode));
	memcpy(jail->ns_handle, file->ns_handle, sizeof(jail->ns_handle));
	jail->gaps = file->gaps;
	jail->wait_status = file->wait_status;
	jail->scratch_gone = file->scratch_gone;
	jail->scratch_noswap = file->scratch_noswap;
	jail->n_zones = file->n_zones;
	jail->foreground = jail->abandoned = file->flags & STATE_FOREGROUND;
	jail->frozen_by_loss = file->flags & STATE_FROZEN_BY_LOSS;
	jail->gaps_owed = file->gaps_owed;
	jail->restricted = file->restricted;
	jail->cut = file->cut;
	jail->restricted_owed = file->restricted_owed;
	jail->cut_owed = file->cut_owed;
	jail->restricted_uid = file->restricted_uid;
	memcpy(jail->zones, file->zones, sizeof(jail->zones));
	jail->measured = file->measured;
	jail->is_check = file->flags & STATE_CHECK;
	jail->n_checks = jail->checks_told = (__u32)file->n_checks;
	memcpy(jail->checks, file->checks, sizeof(jail->checks));
	state_end_texts(jail);
	memcpy(jail->plan_digest, file->plan_digest, sizeof(jail->plan_digest));
	(void)snprintf(jail->profile, sizeof(jail->profile), "%s", file->profile);
	(void)snprintf(jail->cgroup, sizeof(jail->cgroup), "%s", file->cgroup);
}

/* Finds the jail's init again: same pid, same start time. Gone is not an error. */
static int state_find_init(struct jail *jail, const struct state_file *file)
{
	cleanup_fd int pidfd = -1;
	__u64 start = 0;

	if (file->init == 0)
		return 0;
	pidfd = (int)syscall(SYS_pidfd_open, (pid_t)file->init, 0);
	if (pidfd < 0 || state_read_start((pid_t)file->init, &start) < 0 ||
	    start != file->init_start)
		return 0;
	jail->init = (pid_t)file->init;
	return jails_watch_init(jail, TAKE_FD(pidfd));
}

/* The one process in the jail's broker cgroup; only custodyd puts any there. 0: none. */
pid_t state_read_broker(const struct jail *jail)
{
	char path[CUSTODY_PATH_SIZE + 32], line[32] = "";
	cleanup_file FILE *file = NULL;

	(void)snprintf(path, sizeof(path), "%s/broker/cgroup.procs", jail->cgroup);
	file = fopen(path, "re");
	if (!file || !fgets(line, sizeof(line), file))
		return 0;
	return (pid_t)strtol(line, NULL, 10);
}

/* It has no channel any more, but its end is still to be noticed. Asked twice: pids are reused. */
static int state_find_broker(struct jail *jail)
{
	pid_t pid = state_read_broker(jail);
	cleanup_fd int pidfd = -1;

	if (pid > 0)
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd >= 0 && state_read_broker(jail) == pid)
		return life_watch_broker(jail, TAKE_FD(pidfd));
	life_broker_gone(jail);
	return 0;
}

/* What the kernel shows against what the file says, after a crash at any point. */
static int state_reconcile(struct jail *jail, const struct state_file *file)
{
	char model[CUSTODY_PATH_SIZE + 8];
	__u64 id = 0;
	int r;

	if (!jails_is_alive(jail) || cgroup_read_id(jail->cgroup, &id) < 0)
		return 0;
	(void)snprintf(model, sizeof(model), "%s/model", jail->cgroup);
	r = cgroup_read_id(model, &id);
	if (r == -ENOENT)
		return 0;	/* its removal was cut off half way: nothing runs in it */
	if (r < 0 || id != jail->cgroup_model)
		return -ESTALE;
	slots_adopt(jail);
	r = state_find_init(jail, file);
	if (r >= 0)
		r = state_find_broker(jail);
	if (r < 0 || jail->init == 0)
		return r < 0 ? r : 0;
	/* A freeze that was cut off before it was recorded has not happened. */
	if (jail->state == JAIL_STATE_RUNNING || jail->state == JAIL_STATE_FROZEN)
		return freeze_cgroups(jail, jail->state == JAIL_STATE_FROZEN);
	return 0;
}

static int state_adopt_one(struct warden *warden, const char *path)
{
	struct state_file *file __attribute__((cleanup(cleanup_free_ptr))) = malloc(sizeof(*file));
	struct jail *jail;
	int r;

	if (!file)
		return -ENOMEM;
	r = state_read_file(path, file, sizeof(*file));
	if (r < 0 || !state_check(file))
		return r < 0 ? r : -EPROTO;
	jail = jails_new(warden, file->name);
	if (!jail)
		return -ENOMEM;
	state_fill_jail(jail, file);
	r = state_load_plan(jail);
	if (r == 0)
		r = state_reconcile(jail, file);
	if (r < 0) {
		jails_forget(jail);
		return r;
	}
	/* Whatever the ledger heard last of an earlier custodyd: this is how it was found. */
	if (jail->state == JAIL_STATE_RUNNING || jail->state == JAIL_STATE_FROZEN) {
		jail->state_owed = true;
		jail->state_why = jail->init ? "in custody again" :
					       "in custody again, and has ended already";
	}
	log_info("%s (jail %u) is in custody again: %s.", jail->name, jail->id,
		 jail->state == JAIL_STATE_RETIRING ? "its retirement goes on"
		 : jail->init ? "it runs" : "it has ended");
	return 0;
}

static bool state_has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n > m && strcmp(name + n - m, suffix) == 0;
}

/* Halves of a save or of a removal that a crash cut off: a plan or a socket without its state,
 * and "*.new". */
static void state_sweep_halves(struct warden *warden, DIR *dir)
{
	struct dirent *entry;

	rewinddir(dir);
	while ((entry = readdir(dir))) {
		bool plan = state_has_suffix(entry->d_name, ".plan") ||
			    state_has_suffix(entry->d_name, REJOIN_SUFFIX);
		__u32 id = (__u32)strtoul(entry->d_name, NULL, 10);

		if (!state_has_suffix(entry->d_name, ".new") &&
		    !(plan && !jails_find_id(warden, id)))
			continue;
		if (unlinkat(dirfd(dir), entry->d_name, 0) < 0)
			log_warning("%s/%s could not be removed, ignoring.", warden->jails_dir,
				    entry->d_name);
	}
}

int state_adopt_all(struct warden *warden)
{
	cleanup_dir DIR *dir = opendir(warden->jails_dir);
	char path[CUSTODY_PATH_SIZE * 2];
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (!state_has_suffix(entry->d_name, ".state"))
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", warden->jails_dir, entry->d_name);
		r = state_adopt_one(warden, path);
		if (r < 0) {
			log_error("%s cannot be used (%s). custodyd does not start over it: stop "
				  "that "
				  "jail by hand and remove the file, or restore it.",
				  path, strerror(-r));
			return r;
		}
	}
	state_sweep_halves(warden, dir);
	return 0;
}
