/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jail's root: a tmpfs of its own, the zones of the plan, nothing else. Run by custody-jail's
 * init as root, inside its own mount namespace. Trusts the plan's paths only as far as openat2()
 * resolves them: sources without magic links, targets without any link.
 *
 * R1  Nothing is made on a file system of the host: mount points are made in the jail's own
 *     tmpfs, and a target below a zone must exist there already.
 * R2  Flags of a mount are only added. What the host mounted read-only or noexec stays so.
 * R3  Every mount of the jail is in the report, or the launch is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "destination.h"
#include "jail.h"
#include "mount.h"
#include "plan.h"

#define ROOT_SIZE	(1ULL << 20)	/* the synthetic /etc and mount points: pages, not files */
#define ROOT_INODES	4096ULL
#define ROOT_TMPFS_INODES_MIN	1024ULL
#define ROOT_BYTES_PER_INODE	16384ULL	/* as ext4's mke2fs default */

__u64 root_attributes(__u32 label, __u32 rights)
{
	__u64 attributes = MOUNT_ATTR_NOSUID;

	if (label != CUSTODY_LABEL_DEVICE)
		attributes |= MOUNT_ATTR_NODEV;
	/* A device is written through its driver; read-only keeps its node's mode and times. */
	if (!(rights & (CUSTODY_RIGHT_WRITE | CUSTODY_RIGHT_CREATE)) ||
	    label == CUSTODY_LABEL_DEVICE)
		attributes |= MOUNT_ATTR_RDONLY;
	if (!(rights & CUSTODY_RIGHT_EXEC))
		attributes |= MOUNT_ATTR_NOEXEC;
	return attributes;
}

bool root_is_own(const struct jail *jail, __u64 mount_id)
{
	for (__u32 i = 0; i < jail->built.n_zones; i++) {
		const struct jail_zone *zone = &jail->built.zones[i];

		if (zone->mount_id == mount_id)
			return zone->label == CUSTODY_LABEL_ROOT ||
			       zone->label == CUSTODY_LABEL_DEV;
	}
	return false;
}

static bool root_may_make(const void *arg, __u64 mount_id)
{
	return root_is_own(arg, mount_id);
}

static int root_record_mount(struct jail *jail, int fd, const char *target, __u32 label,
			     __u32 rights, __u64 attributes)
{
	struct jail_zone *zone = &jail->built.zones[jail->built.n_zones];
	struct jail_mount *mount = &jail->mounts[jail->built.n_zones];
	int r = mount_read_id(fd, &zone->mount_id);

	if (r < 0)
		return r;
	zone->label = label;
	zone->rights = rights;
	(void)snprintf(zone->target, sizeof(zone->target), "%s", target);
	mount->fd = fd;
	mount->attributes = attributes;
	jail->built.n_zones++;
	return 0;
}

static int root_open_target(struct jail *jail, int mount_fd, const char *target, int *ret_fd)
{
	struct stat st;

	if (fstat(mount_fd, &st) < 0)
		return -errno;
	return mount_make_target(jail->root, target, S_ISDIR(st.st_mode), root_may_make, jail,
				 ret_fd);
}

int root_add_mount(struct jail *jail, int mount_fd, const char *target, __u32 label, __u32 rights,
		   __u64 attributes, const char *origin)
{
	cleanup_fd int mount = mount_fd;
	cleanup_fd int at = -1;
	int r;

	if (jail->built.n_zones >= CUSTODY_ZONES_MAX)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, -E2BIG,
				   "%s: %s would be mount %u of the jail, and %u are the most; "
				   "name fewer directories in [files]",
				   origin, target, CUSTODY_ZONES_MAX + 1, CUSTODY_ZONES_MAX);
	r = root_open_target(jail, mount, target, &at);
	if (r == -EXDEV)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, r,
				   "%s: %s lies below another zone and does not exist there; "
				   "custody makes nothing on the host's file systems: create it "
				   "there first", origin, target);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, r,
				   "%s: cannot make %s inside the jail: %s", origin, target,
				   strerror(-r));
	/* /dev is filled first; root_enter() makes it read-only. */
	r = mount_restrict(mount, label == CUSTODY_LABEL_DEV ?
					  attributes & ~(__u64)MOUNT_ATTR_RDONLY : attributes);
	if (r == 0)
		r = mount_attach(mount, at);
	if (r == 0)
		r = root_record_mount(jail, mount, target, label, rights, attributes);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r, "%s: cannot mount %s: %s",
				   origin, target, strerror(-r));
	(void)TAKE_FD(mount);
	return 0;
}

int root_mount_tmpfs(struct jail *jail)
{
	const struct mount_tmpfs options = {
		.size = ROOT_SIZE, .inodes = ROOT_INODES, .mode = 0755,
	};
	cleanup_fd int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int root = -1;
	cleanup_fd int kept = -1;
	int r;

	if (host < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno, "cannot open /: %m");
	r = mount_make_tmpfs(&options, &root, NULL);
	/* On top of the host's root, which stays this process's root until root_enter(). */
	if (r == 0)
		r = mount_attach(root, host);
	if (r == 0) {
		kept = fcntl(root, F_DUPFD_CLOEXEC, 0);
		r = kept < 0 ? -errno : 0;
	}
	if (r == 0)
		r = root_record_mount(jail, kept, "/", CUSTODY_LABEL_ROOT, CUSTODY_RIGHT_READ,
				      root_attributes(CUSTODY_LABEL_ROOT, CUSTODY_RIGHT_READ));
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "cannot mount the jail's root tmpfs: %s", strerror(-r));
	(void)TAKE_FD(kept);
	jail->host_root = TAKE_FD(host);
	jail->root = TAKE_FD(root);
	return 0;
}

/*
 * Host names of egress have an address each that means nothing but that name: a resolver that
 * reads /etc/hosts, as they all do, needs no network, and the broker knows by it what connect()
 * is asked for. See PLAN_NAME_PREFIX_0.
 */
static int root_make_hosts(struct jail *jail, int etc)
{
	const struct custody_plan *plan = jail->plan;
	char text[128 + CUSTODY_ENDPOINTS_MAX * (PLAN_HOST_NAME_MAX + 24)];
	int n = snprintf(text, sizeof(text),
			 "127.0.0.1 localhost custody\n::1 localhost custody\n");

	for (__u32 i = 0; i < plan->n_endpoints; i++) {
		const struct plan_endpoint *endpoint = &plan->endpoints[i];

		if (endpoint->family != PLAN_FAMILY_NAME || destination_find_first(plan, i) != i)
			continue;
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%d.%d.0.%u %s\n",
			      PLAN_NAME_PREFIX_0, PLAN_NAME_PREFIX_1, i + 1,
			      plan_string(plan, endpoint->path));
	}
	return mount_write_file(etc, "hosts", text);
}

int root_make_etc(struct jail *jail)
{
	static const struct {
		const char *name;
		const char *content;
	} files[] = {
		{ "passwd", "model:x:1000:1000:model:/tmp:/usr/sbin/nologin\n"
			    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n" },
		{ "group", "model:x:1000:\nnogroup:x:65534:\n" },
		{ "nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\nservices: files\n" },
	};
	cleanup_fd int etc = -1;
	int r = mount_make_target(jail->root, "/etc", true, root_may_make, jail, &etc);

	_Static_assert(CUSTODY_UID_MODEL_INSIDE == 1000U, "the uid in passwd and group");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(files); i++)
		r = mount_write_file(etc, files[i].name, files[i].content);
	if (r == 0)
		r = root_make_hosts(jail, etc);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "cannot make the jail's /etc: %s", strerror(-r));
	return 0;
}

/* Names itself in every message: the profile's line, or the jail's own doing. */
static const char *root_origin(const struct jail *jail, struct plan_string origin)
{
	return origin.len > 0 ? plan_string(jail->plan, origin) : "profile";
}

/*
 * Every writable tmpfs is in the report: what it held is gone only when the file system is. Private
 * memory is a tmpfs in any case, so a label is no reason to leave one out.
 */
static int root_record_tmpfs(struct jail *jail, int fd, bool noswap)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!noswap)
		jail->built.scratch_noswap = 0;
	for (unsigned int i = 0; i < SCRATCH_DEVICES_MAX; i++) {
		if (jail->built.scratch_dev[i] != 0)
			continue;
		jail->built.scratch_dev[i] = st.st_dev;
		return 0;
	}
	return -E2BIG;
}

static int root_mount_scratch(struct jail *jail, const struct plan_zone *zone)
{
	const char *target = plan_string(jail->plan, zone->target);
	const char *origin = root_origin(jail, zone->origin);
	const bool shared = strcmp(target, "/scratch") != 0;
	struct mount_tmpfs options = {
		.size = zone->size,
		.inodes = zone->size / ROOT_BYTES_PER_INODE,
		.mode = shared ? 01777 : 0700,
		.owner = jail->uid_model,
		.noswap = true,
	};
	bool noswap = false;
	cleanup_fd int fd = -1;
	int r;

	if (options.inodes < ROOT_TMPFS_INODES_MIN)
		options.inodes = ROOT_TMPFS_INODES_MIN;
	r = mount_make_tmpfs(&options, &fd, &noswap);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, r,
				   "%s: cannot make a tmpfs of %llu bytes for %s: %s", origin,
				   (unsigned long long)zone->size, target, strerror(-r));
	if (zone->rights & CUSTODY_RIGHT_WRITE)
		r = root_record_tmpfs(jail, fd, noswap);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "%s: cannot keep account of the tmpfs for %s: %s", origin,
				   target, strerror(-r));
	return root_add_mount(jail, TAKE_FD(fd), target, zone->label, zone->rights,
			      root_attributes(zone->label, zone->rights), origin);
}

/* A zone that is to be written but lies on a read-only mount cannot be what was asked for. */
static int root_check_writable(struct jail *jail, const struct plan_zone *zone, int fd)
{
	struct statvfs vfs;

	if (!(zone->rights & CUSTODY_RIGHT_WRITE))
		return 0;
	if (fstatvfs(fd, &vfs) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno, "cannot look at %s: %m",
				   plan_string(jail->plan, zone->source));
	if (vfs.f_flag & ST_RDONLY)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, -EROFS,
				   "%s: %s is mounted read-only on the host; remount it, or name "
				   "it in files.data",
				   root_origin(jail, zone->origin),
				   plan_string(jail->plan, zone->source));
	return 0;
}

/* Directories and regular files only: a socket or a device is not a zone. */
static int root_check_type(struct jail *jail, const struct plan_zone *zone, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno, "cannot look at %s: %m",
				   plan_string(jail->plan, zone->source));
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, -EINVAL,
				   "%s: %s is neither a directory nor a regular file",
				   root_origin(jail, zone->origin),
				   plan_string(jail->plan, zone->source));
	return 0;
}

/* The zone of the model is the very mount that came with the order: there is no path to change. */
static int root_mount_weights(struct jail *jail, const struct plan_zone *zone)
{
	const char *origin = root_origin(jail, zone->origin);
	cleanup_fd int mount = TAKE_FD(jail->weights);
	int r = root_check_type(jail, zone, mount);

	if (r == 0)
		r = weights_open_to_model(jail, mount, plan_string(jail->plan, zone->source),
					  origin);
	if (r < 0)
		return r;
	return root_add_mount(jail, TAKE_FD(mount), plan_string(jail->plan, zone->target),
			      zone->label, zone->rights,
			      root_attributes(zone->label, zone->rights), origin);
}

static int root_mount_bind(struct jail *jail, const struct plan_zone *zone)
{
	const char *source = plan_string(jail->plan, zone->source);
	const char *target = plan_string(jail->plan, zone->target);
	const char *origin = root_origin(jail, zone->origin);
	cleanup_fd int at = -1;
	int clone = -1;
	int r = mount_open_path(jail->host_root, source, true, &at);

	if (r == -ENOENT && (zone->flags & PLAN_ZONE_OPTIONAL))
		return 0;
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, r,
				   "%s: %s: %s; create it, or correct the path", origin, source,
				   strerror(-r));
	r = root_check_type(jail, zone, at);
	if (r == 0)
		r = root_check_writable(jail, zone, at);
	if (r < 0)
		return r;
	r = mount_clone_path(at, &clone);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "%s: cannot clone the mount of %s: %s", origin, source,
				   strerror(-r));
	if (zone->label == CUSTODY_LABEL_WEIGHTS) {
		r = weights_open_to_model(jail, clone, source, origin);
		if (r < 0) {
			(void)close(clone);
			return r;
		}
	}
	return root_add_mount(jail, clone, target, zone->label, zone->rights,
			      root_attributes(zone->label, zone->rights), origin);
}

int root_mount_zones(struct jail *jail)
{
	jail->built.scratch_noswap = 1;
	/* In the plan's order: plan_check() has seen that no later zone hides an earlier one. */
	for (__u32 i = 0; i < jail->plan->n_zones; i++) {
		const struct plan_zone *zone = &jail->plan->zones[i];
		int r = zone->size > 0 ? root_mount_scratch(jail, zone) :
			zone->label == CUSTODY_LABEL_WEIGHTS && jail->weights >= 0 ?
				root_mount_weights(jail, zone) :
				root_mount_bind(jail, zone);

		if (r < 0)
			return r;
	}
	if (jail->built.scratch_dev[0] == 0)
		jail->built.scratch_noswap = 0;
	return 0;
}

static bool root_has_target(const struct jail *jail, const char *target)
{
	for (__u32 i = 0; i < jail->built.n_zones; i++) {
		if (strcmp(jail->built.zones[i].target, target) == 0)
			return true;
	}
	return false;
}

/* /bin and its like, as the host has them, when the /usr they point into is a zone. */
int root_make_links(struct jail *jail)
{
	static const char *const names[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32" };

	if (!root_has_target(jail, "/usr"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char text[64];
		ssize_t n = readlinkat(jail->host_root, names[i], text, sizeof(text) - 1);

		if (n < 0)
			continue;	/* absent, or a directory on a host without merged /usr */
		text[n] = '\0';
		if (strncmp(text, "usr/", 4) != 0 && strncmp(text, "/usr/", 5) != 0)
			continue;
		if (symlinkat(text, jail->root, names[i]) < 0)
			return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
					   "cannot make /%s inside the jail: %m", names[i]);
	}
	return 0;
}

/* The new root is sealed, becomes the root, and the host's is gone from this namespace. */
int root_enter(struct jail *jail)
{
	int r;

	for (__u32 i = 0; i < jail->built.n_zones; i++) {
		const __u32 label = jail->built.zones[i].label;

		if (label != CUSTODY_LABEL_ROOT && label != CUSTODY_LABEL_DEV)
			continue;
		r = mount_restrict(jail->mounts[i].fd, jail->mounts[i].attributes);
		if (r < 0)
			return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
					   "cannot make %s of the jail read-only: %s",
					   jail->built.zones[i].target, strerror(-r));
	}
	(void)close(TAKE_FD(jail->host_root));
	/* "." twice: the old root lands on top of the new one, and is taken off there. */
	if (fchdir(jail->root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
				   "cannot enter the jail's root: %m (a host that runs from its "
				   "initramfs cannot pivot_root)");
	(void)close(TAKE_FD(jail->root));
	return 0;
}
