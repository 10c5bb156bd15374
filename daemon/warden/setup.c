/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyd's own surroundings: directories, lock, cgroup, bpffs, control socket, privileges, and
 * what a crash may have left half-made. Run by custodyd at its start and end. Trusts root's own
 * file systems; refuses directories that others may write.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "guard.h"
#include "paths.h"
#include "warden.h"

#define SETUP_KILL_MS 5000
#define SETUP_FILES 8192
#define SETUP_BPFFS "/sys/fs/bpf"

struct setup_directory {
	const char *path;
	mode_t mode;
	uid_t owner;
	gid_t group;	/* owner and group 0: left as they are */
};

static const struct setup_directory setup_directories[] = {
	{ PATHS_ETC, 0755, 0, 0 },
	{ PATHS_PROFILES_ETC, 0755, 0, 0 },
	{ PATHS_PROFILES_USR, 0755, 0, 0 },
	{ PATHS_STATE, 0755, 0, 0 },
	{ PATHS_LEDGER, 0750, CUSTODY_UID_RECORDER, CUSTODY_UID_RECORDER },
	{ PATHS_EVIDENCE, 0750, CUSTODY_UID_RECORDER, CUSTODY_UID_RECORDER },
	{ PATHS_KEYS, 0700, 0, 0 },
	{ PATHS_LOGS, 0750, 0, 0 },
	{ PATHS_MODELS, 0750, 0, CUSTODY_UID_PLANNER },
	{ PATHS_CEILINGS, 0700, 0, 0 },
	{ PATHS_MEASURED, 0700, 0, 0 },
	{ PATHS_RUN, 0755, 0, 0 },
	{ PATHS_JAILS, 0700, 0, 0 },
	{ SETUP_BPFFS, 0755, 0, 0 },
};

static int setup_make_directory(struct warden *warden, const struct setup_directory *directory)
{
	char path[CUSTODY_PATH_SIZE * 2];
	struct stat st;
	int r = paths_join(warden->root, directory->path, path, sizeof(path));

	if (r == 0)
		r = paths_make_directory(path, directory->mode);
	if (r == 0 && lstat(path, &st) < 0)
		r = -errno;
	if (r < 0) {
		log_error("%s cannot be made: %s.", path, strerror(-r));
		return r;
	}
	if (directory->group &&
	    (st.st_uid != directory->owner || st.st_gid != directory->group) &&
	    (chown(path, directory->owner, directory->group) < 0 || lstat(path, &st) < 0)) {
		log_error("%s cannot be given to uid %u, gid %u: %s.", path, directory->owner,
			  directory->group, strerror(errno));
		return -EPERM;
	}
	/* A bpf file system is mounted 1777 where nobody says otherwise: see setup_check_pins(). */
	if (!S_ISDIR(st.st_mode) || st.st_uid != directory->owner ||
	    ((st.st_mode & 0022) &&
	     !(strcmp(directory->path, SETUP_BPFFS) == 0 && (st.st_mode & S_ISVTX)))) {
		log_error("%s must be a directory owned by uid %u that nobody else may write: "
			  "chown %u %s; chmod go-w %s", path, directory->owner,
			  directory->owner, path, path);
		return -EPERM;
	}
	return 0;
}

int setup_open_directory(struct warden *warden, const char *path)
{
	char full[CUSTODY_PATH_SIZE * 2];
	int fd;

	if (paths_join(warden->root, path, full, sizeof(full)) < 0)
		return -ENAMETOOLONG;
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static int setup_lock(struct warden *warden)
{
	char path[CUSTODY_PATH_SIZE * 2];
	int r = paths_join(warden->root, PATHS_LOCK, path, sizeof(path));

	if (r < 0)
		return r;
	warden->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* The guard gives nobody a state file to write while it is closed. */
	if (warden->lock_fd < 0 && errno == EPERM) {
		log_error("Another custodyd holds %s, or the guard of one that has ended and whose "
			  "models go on. Only what started that one may start the next: see "
			  "custodyd(8), \"The guard\".", path);
		return -EBUSY;
	}
	if (warden->lock_fd < 0) {
		r = -errno;
		log_error("%s cannot be opened: %s.", path, strerror(-r));
		return r;
	}
	if (flock(warden->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	log_error("Another custodyd holds %s. One custodyd serves one root; stop that one, or give "
		  "this one another --root.", path);
	return -EBUSY;
}

/* Under another root the cgroup gets a name of that root, so that two custodyds do not meet. */
static int setup_name_cgroup(struct warden *warden)
{
	char mount[CUSTODY_PATH_SIZE / 2];
	unsigned int hash = 5381;
	int r = cgroup_find_mount(mount, sizeof(mount));

	if (r < 0) {
		log_error("No cgroup2 file system is mounted; custody binds its policy to cgroups. "
			  "Mount "
			  "one: mount -t cgroup2 none /sys/fs/cgroup/unified");
		return r;
	}
	for (const char *c = warden->root; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	if (!warden->cgroup_name[0] && warden->root[0])
		(void)snprintf(warden->cgroup_name, sizeof(warden->cgroup_name), "custody-%08x",
			       hash);
	(void)snprintf(warden->cgroup, sizeof(warden->cgroup), "%s/%s", mount,
		       warden->cgroup_name[0] ? warden->cgroup_name : "custody");
	r = cgroup_make(warden->cgroup);
	if (r < 0 && r != -EEXIST) {
		log_error("The cgroup %s cannot be made: %s.", warden->cgroup, strerror(-r));
		return r;
	}
	/*
	 * A cgroup at the top, of no unit of systemd's: a reload changes nothing in it. What is
	 * enabled for its children no one, systemd neither, can take from its parent meanwhile.
	 */
	(void)cgroup_enable_controllers(mount, CGROUP_CONTROLLERS_ALL, &warden->controllers);
	r = cgroup_enable_controllers(warden->cgroup, CGROUP_CONTROLLERS_ALL,
				      &warden->controllers);
	if (r < 0) {
		log_error("The controllers of %s cannot be read: %s.", warden->cgroup,
			  strerror(-r));
		return r;
	}
	return 0;
}

/* In a bpf file system that is everybody's, custody's name may be taken: nothing of it is used. */
static int setup_check_pins(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode) && st.st_uid == 0 && (st.st_mode & 0022) == 0)
		return 0;
	log_error("%s belongs to uid %u, or others may write it: it is not custody's. Remove it.",
		  path, st.st_uid);
	return -EPERM;
}

static int setup_mount_bpf(struct warden *warden)
{
	char path[CUSTODY_PATH_SIZE * 2];
	struct statfs fs;
	int r = paths_join(warden->root, SETUP_BPFFS, path, sizeof(path));

	if (r < 0 || statfs(path, &fs) < 0)
		return r < 0 ? r : -errno;
	if ((unsigned long)fs.f_type != BPF_FS_MAGIC &&
	    mount("custody", path, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0) {
		log_error("No bpf file system can be mounted on %s: %s.", path, strerror(errno));
		return -errno;
	}
	r = paths_join(warden->root, PATHS_BPF, warden->pin_dir, sizeof(warden->pin_dir));
	return r < 0 ? r : setup_check_pins(warden->pin_dir);
}

/* A handful of fds for each of 256 jails is more than a shell's usual 1024. */
static void setup_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= SETUP_FILES)
		return;
	limit.rlim_cur = limit.rlim_max < SETUP_FILES ? limit.rlim_max : SETUP_FILES;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("The limit of open files stays at its default, ignoring.");
}

int setup_warden(struct warden *warden)
{
	int r = 0;

	if (geteuid() != 0) {
		log_error("custodyd needs root: it makes cgroups, loads BPF programs and builds "
			  "jails.");
		return -EPERM;
	}
	/* What a jail leaves behind when its builder ends is ours to watch and to reap. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	setup_raise_files();
	(void)umask(022);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(setup_directories); i++)
		r = setup_make_directory(warden, &setup_directories[i]);
	(void)umask(077);
	if (r == 0)
		r = paths_join(warden->root, PATHS_JAILS, warden->jails_dir,
			       sizeof(warden->jails_dir));
	if (r == 0)
		r = setup_lock(warden);
	if (r == 0)
		r = paths_find_libexec(warden->libexec, sizeof(warden->libexec));
	if (r == 0)
		r = setup_name_cgroup(warden);
	return r == 0 ? setup_mount_bpf(warden) : r;
}

static bool setup_any_alive(const struct warden *warden)
{
	for (const struct jail *j = warden->jails; j; j = j->next) {
		if (jails_is_alive(j))
			return true;
	}
	return false;
}

/* A cgroup of ours without a state file: a launch that a crash cut off. It ends here. */
static int setup_remove_strays(struct warden *warden)
{
	cleanup_dir DIR *dir = opendir(warden->cgroup);
	char path[CUSTODY_PATH_SIZE * 2];
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		const char *dash = strrchr(entry->d_name, '-');
		__u32 id;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || !dash)
			continue;
		id = (__u32)strtoul(dash + 1, NULL, 10);
		if (jails_find_id(warden, id))
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", warden->cgroup, entry->d_name);
		log_warning("%s was left by a launch that did not finish; it is removed.", path);
		if (cgroup_kill(path, SETUP_KILL_MS) < 0 ||
		    policy_remove_jail(warden->policy, id) < 0 || cgroup_remove(path) < 0) {
			log_error("%s cannot be removed.", path);
			return -EBUSY;
		}
	}
	return 0;
}

int setup_open_policy(struct warden *warden)
{
	char error[CUSTODY_TEXT_SIZE] = "";
	bool adopted = false;
	int r = policy_open(warden->pin_dir, warden->cgroup, CUSTODY_PLANES_ALL, &warden->policy,
			    &adopted, error, sizeof(error));

	if (r == -EUCLEAN && !setup_any_alive(warden)) {
		log_warning("%s No jail depends on it, so it is replaced.", error);
		r = policy_unpin(warden->pin_dir);
		if (r == 0)
			r = policy_open(warden->pin_dir, warden->cgroup, CUSTODY_PLANES_ALL,
					&warden->policy, &adopted, error, sizeof(error));
	}
	if (r < 0) {
		log_error("The kernel side of the policy cannot be set up: %s (%s). "
			  "\"custodyctl doctor\" says what is missing.", error, strerror(-r));
		return r;
	}
	warden->planes = CUSTODY_PLANE_STRUCTURE | policy_read_planes(warden->policy);
	if (warden->controllers == CGROUP_CONTROLLERS_ALL)
		warden->planes |= CUSTODY_PLANE_LIMITS;
	if (!adopted && setup_any_alive(warden)) {
		log_error(
			"Jails are alive, but their policy is no longer pinned in %s. They ran "
			"without "
			"it; custodyd does not pretend otherwise. Stop them (%s) and start again.",
			warden->pin_dir, warden->cgroup);
		return -EUCLEAN;
	}
	r = guard_start(warden, adopted);
	if (r < 0 && !setup_any_alive(warden)) {
		/* Nothing is left closed around nothing: the next custodyd starts afresh. */
		guard_stop(warden);
		policy_close(&warden->policy);
		(void)policy_unpin(warden->pin_dir);
	}
	return r < 0 ? r : setup_remove_strays(warden);
}

int setup_listen(struct warden *warden)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[CUSTODY_PATH_SIZE * 2];
	int r = paths_join(warden->root, PATHS_SOCKET, path, sizeof(path));

	if (r < 0)
		return r;
	if (strlen(path) >= sizeof(address.sun_path)) {
		log_error("%s is too long for a socket address; choose a shorter --root.", path);
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	warden->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (warden->listen_fd < 0)
		return -errno;
	/* Anyone may ask; who may have what is decided by SO_PEERCRED. */
	if (bind(warden->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(path, 0666) < 0 || listen(warden->listen_fd, 64) < 0) {
		log_error("%s cannot be listened on: %s.", path, strerror(errno));
		return -errno;
	}
	return 0;
}

void setup_clean(struct warden *warden)
{
	char path[CUSTODY_PATH_SIZE * 2];

	if (warden->listen_fd >= 0 &&
	    paths_join(warden->root, PATHS_SOCKET, path, sizeof(path)) == 0)
		(void)unlink(path);
	if (setup_any_alive(warden)) {
		log_info("Models are running; they go on, and the policy in the kernel with them.");
		policy_close(&warden->policy);
		return;
	}
	guard_stop(warden);
	policy_close(&warden->policy);
	if (warden->pin_dir[0] && policy_unpin(warden->pin_dir) < 0)
		log_warning("%s could not be removed, ignoring.", warden->pin_dir);
	if (warden->cgroup[0] && cgroup_remove(warden->cgroup) < 0)
		log_warning("%s could not be removed, ignoring.", warden->cgroup);
	if (warden->root[0] && paths_join(warden->root, "/sys/fs/bpf", path, sizeof(path)) == 0 &&
	    umount(path) < 0)
		log_warning("%s could not be unmounted, ignoring.", path);
}
