/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jail's /dev: a small tmpfs with the five harmless nodes, the plan's devices, and shared
 * memory. Run by custody-jail's init as root while it builds. Every node is a bind mount of the
 * host's, checked to be the device that the plan names: what is opened is decided by the cgroup
 * plane by number, by the mount by path, and by the node's own mode.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"
#include "jail.h"
#include "mount.h"
#include "plan.h"

#define DEVICE_TMPFS_SIZE	(64ULL << 10)
#define DEVICE_TMPFS_INODES	256ULL
#define DEVICE_SHM_DEFAULT	(64ULL << 20)	/* when no limit of memory says otherwise */
#define DEVICE_SHM_INODES	4096ULL

#define DEVICE_ORIGIN	"custody's own /dev"

/* Bind mounts the host's node at path, which must be a character device of this number. */
static int device_add_node(struct jail *jail, const char *path, dev_t number, __u32 rights,
			   const char *origin)
{
	cleanup_fd int at = -1;
	struct stat st;
	int clone = -1;
	int r = mount_open_path(jail->host_root, path, true, &at);

	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, r,
				   "%s: device %s: %s; load its driver, or take it out "
				   "of the profile", origin, path, strerror(-r));
	if (fstat(at, &st) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno, "cannot look at %s: %m",
				   path);
	if (!S_ISCHR(st.st_mode) || st.st_rdev != number)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, -ENODEV,
				   "%s: %s is not the character device %u:%u on this host", origin,
				   path, major(number), minor(number));
	r = mount_clone_path(at, &clone);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "cannot clone the mount of %s: %s", path, strerror(-r));
	return root_add_mount(jail, clone, path, CUSTODY_LABEL_DEVICE, rights,
			      root_attributes(CUSTODY_LABEL_DEVICE, rights), origin);
}

static int device_add_common(struct jail *jail)
{
	static const struct {
		const char *path;
		unsigned int minor;
	} nodes[] = {
		{ "/dev/null", 3 }, { "/dev/zero", 5 }, { "/dev/full", 7 },
		{ "/dev/random", 8 }, { "/dev/urandom", 9 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		int r = device_add_node(jail, nodes[i].path, makedev(1, nodes[i].minor),
					CUSTODY_RIGHT_READ | CUSTODY_RIGHT_WRITE, DEVICE_ORIGIN);

		if (r < 0)
			return r;
	}
	return 0;
}

static int device_add_planned(struct jail *jail)
{
	const __u32 rights = CUSTODY_RIGHT_READ | CUSTODY_RIGHT_WRITE | CUSTODY_RIGHT_IOCTL;

	for (__u32 i = 0; i < jail->plan->n_devices; i++) {
		const struct plan_device *device = &jail->plan->devices[i];
		int r = device_add_node(jail, plan_string(jail->plan, device->path),
					makedev(device->major, device->minor), rights,
					plan_string(jail->plan, device->origin));

		if (r < 0)
			return r;
	}
	return 0;
}

static int device_add_links(struct jail *jail)
{
	static const struct {
		const char *name;
		const char *text;
	} links[] = {
		{ "fd", "/proc/self/fd" },
		{ "stdin", "/proc/self/fd/0" },
		{ "stdout", "/proc/self/fd/1" },
		{ "stderr", "/proc/self/fd/2" },
	};
	cleanup_fd int dev = -1;
	int r = mount_open_path(jail->root, "/dev", false, &dev);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(links); i++) {
		if (symlinkat(links[i].text, dev, links[i].name) < 0)
			r = -errno;
	}
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "cannot make the links of the jail's /dev: %s", strerror(-r));
	return 0;
}

/* Half of the memory limit, as the kernel gives half of the memory. */
__u64 device_shm_size(const struct custody_plan *plan)
{
	return plan->limit_memory > 0 ? plan->limit_memory / 2 : DEVICE_SHM_DEFAULT;
}

/* Only without one in the plan. */
static int device_add_shm(struct jail *jail)
{
	const __u32 rights = CUSTODY_RIGHT_READ | CUSTODY_RIGHT_WRITE | CUSTODY_RIGHT_CREATE;
	struct mount_tmpfs options = {
		.size = device_shm_size(jail->plan),
		.inodes = DEVICE_SHM_INODES,
		.mode = 01777,
		.owner = jail->uid_model,
		.noswap = true,
	};
	int fd = -1;
	int r;

	for (__u32 i = 0; i < jail->plan->n_zones; i++) {
		if (jail->plan->zones[i].label == CUSTODY_LABEL_SHM)
			return 0;
	}
	r = mount_make_tmpfs(&options, &fd, NULL);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "cannot make the jail's /dev/shm: %s", strerror(-r));
	return root_add_mount(jail, fd, "/dev/shm", CUSTODY_LABEL_SHM, rights,
			      root_attributes(CUSTODY_LABEL_SHM, rights), DEVICE_ORIGIN);
}

int device_make_tree(struct jail *jail)
{
	const struct mount_tmpfs options = {
		.size = DEVICE_TMPFS_SIZE, .inodes = DEVICE_TMPFS_INODES, .mode = 0755,
	};
	int fd = -1;
	int r = mount_make_tmpfs(&options, &fd, NULL);

	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "cannot make the jail's /dev: %s", strerror(-r));
	r = root_add_mount(jail, fd, "/dev", CUSTODY_LABEL_DEV, CUSTODY_RIGHT_READ,
			   root_attributes(CUSTODY_LABEL_DEV, CUSTODY_RIGHT_READ), DEVICE_ORIGIN);
	if (r == 0)
		r = device_add_common(jail);
	if (r == 0)
		r = device_add_planned(jail);
	if (r == 0)
		r = device_add_links(jail);
	return r == 0 ? device_add_shm(jail) : r;
}
