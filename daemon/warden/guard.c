/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guard is put around, and when. Run by custodyd. See include/custody/guard.h for the
 * invariants, bpf/lsm_guard.bpf.c and bpf/lsm_artifact.bpf.c for what is then refused to whom.
 *
 * Who is custody, and why not by cgroup: a cgroup can be changed for another process by anybody
 * who may write a cgroup.procs, without any hook that could refuse. A process cannot: its number
 * and its start time are its own. So custodyd, which starts every role, names each one; its own
 * children are guarded already before that, as its children; a jail's by the jail's cgroup.
 *
 * The maintenance door. Whoever started custodyd is its keeper: pid 1 under systemd, else the
 * parent process at its start. The keeper and pid 1 may signal custody's processes, and start the
 * next custodyd when this one is gone. Nobody else may, root or not; each pass is in the ledger.
 * Root that wants to get past uses systemctl, and is on record; a clean stop with no jail left
 * takes the guard away.
 */
#include "guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "paths.h"
#include "plan.h"
#include "policy_guard.h"
#include "sequence.h"
#include "warden.h"

/* A walk of one directory tree, entering what it finds. */
struct guard_walk {
	struct policy *policy;
	struct guard_learn seen;
	__u32 files;
	bool files_too;			/* not only directories */
	bool refuse_written;
	char where[CUSTODY_PATH_SIZE];	/* the name that failed */
};

static bool guard_is_on(const struct warden *warden)
{
	return (warden->planes & CUSTODY_PLANE_LSM) != 0 && !warden->no_guard;
}

static int guard_learn_name(struct guard_walk *walk, int at, const char *name)
{
	bool written = false;
	int r = policy_guard_learn(walk->policy, at, name, &walk->seen, &written);

	if (r == 0 && written && walk->refuse_written)
		r = -ETXTBSY;
	if (r < 0)
		(void)snprintf(walk->where, sizeof(walk->where), "%s", name);
	return r;
}

/* ---- custody's own places ---- */

struct guard_place {
	const char *path;	/* below the root; NULL: one of the three that vary */
	__u32 object;
	__u32 flags;		/* of the directory */
	__u32 file_flags;	/* of the files in it; 0: they are left to the directory */
};

static const struct guard_place guard_places[] = {
	{ PATHS_LEDGER, GUARD_LEDGER, GUARD_FLAG_WRITE | GUARD_FLAG_CHILDREN, GUARD_FLAG_WRITE },
	{ PATHS_EVIDENCE, GUARD_LEDGER, GUARD_FLAG_WRITE | GUARD_FLAG_CHILDREN, 0 },
	{ PATHS_KEYS, GUARD_KEY, GUARD_FLAG_WRITE | GUARD_FLAG_READ | GUARD_FLAG_CHILDREN,
	  GUARD_FLAG_WRITE | GUARD_FLAG_READ },
	{ PATHS_JAILS, GUARD_STATE, GUARD_FLAG_WRITE | GUARD_FLAG_CHILDREN, 0 },
	{ PATHS_CEILINGS, GUARD_STATE, GUARD_FLAG_WRITE | GUARD_FLAG_CHILDREN, 0 },
	{ PATHS_MEASURED, GUARD_STATE, GUARD_FLAG_WRITE | GUARD_FLAG_CHILDREN, 0 },
	{ PATHS_MODELS, GUARD_STATE, GUARD_FLAG_WRITE | GUARD_FLAG_CHILDREN, 0 },
	{ PATHS_RUN, GUARD_STATE, GUARD_FLAG_CHILDREN, 0 },
	{ PATHS_STATE, GUARD_STATE, GUARD_FLAG_CHILDREN, 0 },
};

/* One directory, and, when asked, the files that are in it now. */
static int guard_learn_place(struct warden *warden, const char *path,
			     const struct guard_place *place)
{
	struct guard_inode as = { .object = place->object, .flags = place->flags };
	struct guard_walk walk = { .policy = warden->policy };
	cleanup_dir DIR *dir = opendir(path);
	const struct dirent *entry;
	int r, end;

	if (!dir)
		return -errno;
	r = policy_guard_begin(walk.policy, &as);
	if (r == 0)
		r = guard_learn_name(&walk, AT_FDCWD, path);
	if (r == 0 && place->file_flags) {
		as.flags = place->file_flags;
		memset(&walk.seen, 0, sizeof(walk.seen));
		r = policy_guard_begin(walk.policy, &as);
	}
	while (r == 0 && place->file_flags && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR)
			r = guard_learn_name(&walk, dirfd(dir), entry->d_name);
	}
	end = policy_guard_end(walk.policy);
	if (r < 0)
		log_error("%s cannot be guarded at \"%s\" (%s).", path, walk.where, strerror(-r));
	return r < 0 ? r : end;
}

static int guard_learn_one(struct warden *warden, const char *path, __u32 jail_id, __u32 object,
			   __u32 flags, struct guard_learn *ret)
{
	struct guard_inode as = { .jail_id = jail_id, .object = object, .flags = flags };
	struct guard_walk walk = { .policy = warden->policy };
	int r = policy_guard_begin(walk.policy, &as);
	int end;

	if (r == 0)
		r = guard_learn_name(&walk, AT_FDCWD, path);
	end = policy_guard_end(walk.policy);
	if (r < 0)
		log_error("%s cannot be guarded (%s).", path, strerror(-r));
	if (r == 0 && ret)
		*ret = walk.seen;
	return r < 0 ? r : end;
}

/* The directory against files and cgroups made or removed in it, cgroup.procs against entering. */
static int guard_learn_cgroup(struct warden *warden, const char *path, __u32 jail_id)
{
	char procs[CUSTODY_PATH_SIZE + 32];
	int r = guard_learn_one(warden, path, jail_id, GUARD_CGROUP,
				GUARD_FLAG_WRITE | GUARD_FLAG_CHILDREN, NULL);

	(void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	return r < 0 ? r : guard_learn_one(warden, procs, jail_id, GUARD_CGROUP, GUARD_FLAG_WRITE,
					   NULL);
}

static int guard_learn_places(struct warden *warden)
{
	static const struct guard_place pins = { NULL, GUARD_PIN,
						 GUARD_FLAG_WRITE | GUARD_FLAG_CHILDREN,
						 GUARD_FLAG_WRITE };
	static const struct guard_place executables = { NULL, GUARD_EXECUTABLE,
							GUARD_FLAG_WRITE | GUARD_FLAG_CHILDREN,
							GUARD_FLAG_WRITE };
	char path[CUSTODY_PATH_SIZE * 2];
	int r = guard_learn_place(warden, warden->pin_dir, &pins);

	if (r == 0)
		r = guard_learn_place(warden, warden->libexec, &executables);
	if (r == 0)
		r = paths_join(warden->root, "/sys/fs/bpf", path, sizeof(path));
	if (r == 0)
		r = guard_learn_one(warden, path, 0, GUARD_MOUNT, 0, NULL);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(guard_places); i++) {
		r = paths_join(warden->root, guard_places[i].path, path, sizeof(path));
		if (r == 0)
			r = guard_learn_place(warden, path, &guard_places[i]);
	}
	return r == 0 ? guard_learn_cgroup(warden, warden->cgroup, 0) : r;
}

int guard_add_ledger(struct warden *warden)
{
	char path[CUSTODY_PATH_SIZE * 2];
	int r = 0;

	for (size_t i = 0; guard_is_on(warden) && r == 0 && i < ARRAY_SIZE(guard_places); i++) {
		if (!guard_places[i].file_flags)
			continue;
		r = paths_join(warden->root, guard_places[i].path, path, sizeof(path));
		if (r == 0)
			r = guard_learn_place(warden, path, &guard_places[i]);
	}
	return r;
}

/* ---- processes ---- */

static int guard_add_process(struct warden *warden, pid_t pid, __u32 rights)
{
	__u64 start = 0;
	int r = state_read_start(pid, &start);

	if (r == 0)
		r = policy_guard_add_process(warden->policy, (__u32)pid, start, rights);
	if (r < 0)
		log_error("Process %d cannot be guarded (%s).", pid, strerror(-r));
	return r;
}

int guard_add_role(struct warden *warden, pid_t pid, int role)
{
	if (!guard_is_on(warden))
		return 0;
	/* The others are guarded as custodyd's children, or by their jail's cgroup. */
	if (role == ROLE_RECORDER)
		return guard_add_process(warden, pid, GUARD_RIGHT_SELF | GUARD_RIGHT_FILES);
	if (role == ROLE_FRONT || role == ROLE_SWEEPER || role == ROLE_MEASURER)
		return guard_add_process(warden, pid, GUARD_RIGHT_SELF);
	return 0;
}

int guard_add_init(struct jail *jail)
{
	if (!guard_is_on(jail->warden))
		return 0;
	return guard_add_process(jail->warden, jail->init, GUARD_RIGHT_INIT);
}

/* ---- closing it ---- */

static int guard_set_door(struct warden *warden)
{
	struct guard_config config = { .warden = (__u32)getpid() };
	struct guard_learn seen = { 0 };
	char path[CUSTODY_PATH_SIZE + 32];
	int r;

	(void)snprintf(path, sizeof(path), "%s/custodyd", warden->libexec);
	r = guard_learn_one(warden, path, 0, GUARD_EXECUTABLE, GUARD_FLAG_WRITE, &seen);
	if (r < 0)
		return r;
	config.executable = seen.last;
	config.generation = seen.last_generation;
	return policy_guard_set_config(warden->policy, &config);
}

/* The order: ourselves first, because only custodyd's own opens are learnt from. */
static int guard_close_fresh(struct warden *warden)
{
	int r = policy_guard_add_counters(warden->policy);

	if (r == 0)
		r = guard_add_process(warden, getpid(),
				      GUARD_RIGHT_SELF | GUARD_RIGHT_BPF | GUARD_RIGHT_FILES |
					      GUARD_RIGHT_TASKS | GUARD_RIGHT_WARDEN);
	if (r == 0)
		r = guard_add_process(warden, getppid(), GUARD_RIGHT_KEEPER);
	return r == 0 ? guard_set_door(warden) : r;
}

/* What the custodyd before us has left in the kernel: is it closed there? */
static int guard_find_closed(struct warden *warden, bool *ret)
{
	struct guard_config config = { 0 };
	int r = policy_guard_read_config(warden->policy, &config);

	if (r == 0)
		*ret = config.executable.inode != 0;
	return r;
}

static int guard_start_open(bool closed)
{
	if (closed) {
		log_error("The guard is closed around models that are in custody, and --no-guard "
			  "does not open it. Start without it, or stop every model first.");
		return -EPERM;
	}
	log_warning("Started with --no-guard: other root processes may trace, kill and change "
		    "custody, and weights in its custody. Every launch record says so.");
	return 0;
}

int guard_start(struct warden *warden, bool adopted)
{
	struct guard_process own = { 0 };
	bool closed = false;
	int r = 0;

	if (adopted)
		r = guard_find_closed(warden, &closed);
	if (r < 0)
		return r;
	if (warden->no_guard)
		return guard_start_open(closed);
	if (!guard_is_on(warden) && warden->host.guard_line > 0) {
		log_error("%s" PATHS_ETC "/" PATHS_CONF_NAME ":%u: [guard] asks for what only the "
			  "plane lsm can hold, which this host does not offer. \"custodyctl "
			  "doctor\" says why; or take the section out.", warden->root,
			  warden->host.guard_line);
		return -ENOTSUP;
	}
	if (!guard_is_on(warden)) {
		log_info("Without the plane lsm nothing guards custody's own objects, or weights, "
			 "against other processes of root's. See custodyctl doctor.");
		return 0;
	}
	if (closed)
		r = policy_guard_read_process(warden->policy, (__u32)getpid(), &own);
	if (closed && r == 0 && !(own.rights & GUARD_RIGHT_WARDEN))
		r = -EPERM;
	if (!closed)
		r = guard_close_fresh(warden);
	if (r == 0)
		r = guard_learn_places(warden);
	if (r == 0)
		r = policy_guard_add_objects(warden->policy, warden->pin_dir);
	if (r == 0)
		r = guard_apply_host(warden);
	if (r < 0)
		log_error("The guard cannot be closed around custody (%s).", strerror(-r));
	else
		warden->planes |= CUSTODY_PLANE_GUARD;
	return r;
}

void guard_stop(struct warden *warden)
{
	int r = 0;

	if (warden->policy && guard_is_on(warden))
		r = policy_guard_open(warden->policy);
	if (r < 0)
		log_warning("The guard could not be taken away at once (%s), ignoring: it ends "
			    "with the programs.", strerror(-r));
}

/* ---- a jail ---- */

static int guard_walk_below(struct guard_walk *walk, int at, const char *name, unsigned int depth);

static int guard_walk_entry(struct guard_walk *walk, int at, const struct dirent *entry,
			    unsigned int depth)
{
	struct stat st;

	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return 0;
	if (fstatat(at, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return guard_walk_below(walk, at, entry->d_name, depth + 1);
	if (!S_ISREG(st.st_mode) || !walk->files_too)
		return 0;
	if (++walk->files > GUARD_ARTIFACTS_MAX)
		return -E2BIG;
	return guard_learn_name(walk, at, entry->d_name);
}

static int guard_walk_below(struct guard_walk *walk, int at, const char *name, unsigned int depth)
{
	cleanup_fd int fd = -1;
	cleanup_dir DIR *dir = NULL;
	const struct dirent *entry;
	int r = 0;

	if (depth > GUARD_ARTIFACT_DEPTH)
		return -E2BIG;
	if (!walk->files_too)
		r = guard_learn_name(walk, at, name);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (depth ? O_NOFOLLOW : 0));
	if (fd < 0 || !(dir = fdopendir(fd)))
		return -errno;
	(void)TAKE_FD(fd);
	while (r == 0 && (entry = readdir(dir)))
		r = guard_walk_entry(walk, dirfd(dir), entry, depth);
	return r;
}

/* Directories are held as entries only: other files may come and go in them. */
static int guard_learn_model(struct jail *jail, struct guard_walk *walk, bool files)
{
	struct guard_inode as = {
		.jail_id = jail->id,
		.object = GUARD_ARTIFACT,
		.flags = files ? GUARD_FLAG_WRITE | GUARD_FLAG_WATCH : 0,
	};
	int r, end;

	*walk = (struct guard_walk){ .policy = jail->warden->policy, .files_too = files,
				     .refuse_written = files };
	r = policy_guard_begin(walk->policy, &as);
	if (r == 0)
		r = guard_walk_below(walk, jail->model_fd, ".", 0);
	end = policy_guard_end(walk->policy);
	return r < 0 ? r : end;
}

static int guard_add_model(struct jail *jail)
{
	const char *path = plan_string(jail->plan, jail->plan->model_path);
	struct guard_walk walk = { 0 };
	int r = 0;

	if (path[0])
		r = guard_learn_model(jail, &walk, false);
	if (path[0] && r == 0)
		r = guard_learn_model(jail, &walk, true);
	if (r == -ETXTBSY)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
					"%.256s, below %s, is open for writing by another process; "
					"weights in custody do not change. Close it, then start "
					"again.", walk.where, path);
	if (r == -E2BIG || r == -ENOSPC)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
					"There is no room to guard every file below %s: at most %u "
					"files of a model, %u directories deep, %u on the host.",
					path, GUARD_ARTIFACTS_MAX, GUARD_ARTIFACT_DEPTH,
					GUARD_INODES_MAX);
	if (r < 0)
		return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
					"The files below %s cannot be guarded: \"%.256s\": %s.",
					path, walk.where, strerror(-r));
	return 0;
}

int guard_add_jail(struct jail *jail)
{
	static const char *const cgroups[] = { "", "/model", "/broker" };
	char path[CUSTODY_PATH_SIZE + 16];
	int r = 0;

	if (!guard_is_on(jail->warden))
		return 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(cgroups); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", jail->cgroup, cgroups[i]);
		r = guard_learn_cgroup(jail->warden, path, jail->id);
	}
	return r == 0 ? guard_add_model(jail) : r;
}
