/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jail's eight namespaces. Run by custody-jail: by the outer process as root on the host, and
 * by init where it says so. Trusts the kernel.
 *
 * N1  Seven of the namespaces are made by real root and belong to the host's user namespace: even
 *     every capability inside the jail's user namespace gives nothing over its mounts, network,
 *     processes, names or time.
 * N2  The user namespace is owned by the broker's uid, and by nothing else: the broker may read
 *     the memory of this jail's processes and of no others.
 * N3  Exactly one id is mapped, the model's. Whatever else owns a file is nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "confine.h"
#include "jail.h"
#include "message.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080	/* include/uapi/linux/sched.h, Linux 5.6 */
#endif

#define NAMESPACE_HOSTNAME "custody"

int namespace_keep_proc(struct jail *jail)
{
	jail->host_proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (jail->host_proc < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno, "cannot open /proc: %m");
	return 0;
}

/* Through an AF_UNIX socket: an internet socket is the cgroup plane's to decide. */
static int namespace_raise_loopback(struct jail *jail)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo" };

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
				   "cannot find the jail's lo: %m");
	request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
				   "cannot raise the jail's lo: %m");
	return 0;
}

int namespace_unshare_all(struct jail *jail)
{
	struct mount_attr private = { .propagation = MS_PRIVATE };

	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP |
		    CLONE_NEWPID | CLONE_NEWTIME) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, -errno,
				   "cannot make the jail's namespaces: %m; the kernel needs all "
				   "of mount, ipc, uts, net, cgroup, pid and time (see custodyctl "
				   "doctor)");
	/* Nothing mounted here may show on the host, nor the other way round. */
	if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof(private)) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
				   "cannot make the jail's mounts private: %m");
	/* Up always: what it may carry is for the cgroup plane to say, with EPERM. */
	return namespace_raise_loopback(jail);
}

int namespace_set_names(struct jail *jail)
{
	if (sethostname(NAMESPACE_HOSTNAME, strlen(NAMESPACE_HOSTNAME)) < 0 ||
	    setdomainname("", 0) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
				   "cannot set the jail's host name: %m");
	return 0;
}

int namespace_start_init(struct jail *jail)
{
	int outer = -1;
	int inner = -1;
	pid_t pid;
	int r = message_make_pair(&outer, &inner);

	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r, "cannot make a socket pair: %s",
				   strerror(-r));
	pid = fork();
	if (pid < 0) {
		r = -errno;
		(void)close(outer);
		(void)close(inner);
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "cannot start the jail's init: %s", strerror(-r));
	}
	if (pid == 0) {
		(void)close(outer);
		jail->peer = inner;
		return 0;
	}
	(void)close(inner);
	jail->peer = outer;
	jail->init = pid;
	return 0;
}

/* One byte of agreement between outer and init: the other side is alive and has come this far. */
static int namespace_signal_peer(struct jail *jail, char step)
{
	ssize_t n = send(jail->peer, &step, 1, MSG_NOSIGNAL);

	return n == 1 ? 0 : -EPIPE;
}

static int namespace_await_peer(struct jail *jail, char step)
{
	char got = 0;
	ssize_t n;

	do {
		n = recv(jail->peer, &got, 1, 0);
	} while (n < 0 && errno == EINTR);
	return n == 1 && got == step ? 0 : -EPIPE;
}

static int namespace_write_map(struct jail *jail, const char *name, const char *text)
{
	cleanup_fd int fd = -1;
	char path[64];
	size_t n = strlen(text);

	(void)snprintf(path, sizeof(path), "%d/%s", (int)jail->init, name);
	fd = openat(jail->host_proc, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, n) != (ssize_t)n)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
				   "cannot write %s of the jail: %m", name);
	return 0;
}

/* outer: waits for the mounts, then for the user namespace, and maps the one id. */
int namespace_map_ids(struct jail *jail)
{
	char map[64];
	ssize_t n;
	int r;

	do {
		n = recv(jail->peer, &jail->built, sizeof(jail->built), 0);
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(jail->built))
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPIPE,
				   "the jail's init ended while it built the root");
	r = namespace_await_peer(jail, 'U');
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "the jail's init ended before its user namespace");
	(void)snprintf(map, sizeof(map), "%u %u 1\n", CUSTODY_UID_MODEL_INSIDE, jail->uid_model);
	/* setgroups first: once gid_map is written the kernel takes "deny" no more. */
	r = namespace_write_map(jail, "setgroups", "deny\n");
	if (r == 0)
		r = namespace_write_map(jail, "uid_map", map);
	if (r == 0)
		r = namespace_write_map(jail, "gid_map", map);
	return r;
}

static int namespace_read_inodes(struct jail *jail)
{
	static const char *const names[_JAIL_NS_MAX] = {
		[JAIL_NS_USER] = "user", [JAIL_NS_MNT] = "mnt", [JAIL_NS_PID] = "pid",
		[JAIL_NS_IPC] = "ipc", [JAIL_NS_UTS] = "uts", [JAIL_NS_NET] = "net",
		[JAIL_NS_CGROUP] = "cgroup", [JAIL_NS_TIME] = "time",
	};
	char path[64];
	struct stat mine;
	struct stat st;

	for (int i = 0; i < _JAIL_NS_MAX; i++) {
		(void)snprintf(path, sizeof(path), "%d/ns/%s", (int)jail->init, names[i]);
		if (fstatat(jail->host_proc, path, &st, 0) < 0)
			return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
					   "cannot look at the jail's %s namespace: %m", names[i]);
		/* A namespace that custodyd is in as well is no jail. */
		(void)snprintf(path, sizeof(path), "%d/ns/%s", (int)getppid(), names[i]);
		if (fstatat(jail->host_proc, path, &mine, 0) < 0)
			return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
					   "cannot look at custodyd's %s namespace: %m", names[i]);
		if (mine.st_ino == st.st_ino)
			return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPERM,
					   "the jail shares custodyd's %s namespace", names[i]);
		jail->built.ns_inode[i] = st.st_ino;
	}
	return 0;
}

int namespace_report_built(struct jail *jail)
{
	int r = namespace_read_inodes(jail);

	if (r < 0)
		return r;
	jail->built.pid = (__u32)jail->init;
	r = MESSAGE_SEND(jail->channel, ROLE_JAIL, JAIL_BUILT, jail->build.head.id, &jail->built);
	/* Only now may init go on: BUILT comes before READY on the channel. */
	if (r == 0)
		r = namespace_signal_peer(jail, 'M');
	return r;
}

/* init: the host's /proc is the outer process's alone. */
int namespace_forget_outer(struct jail *jail)
{
	(void)close(TAKE_FD(jail->host_proc));
	if (getpid() != 1)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -EPERM,
				   "the jail's init is not pid 1 of its namespace");
	return 0;
}

/* Everything that is permitted becomes effective again after the effective uid has changed. */
static int namespace_restore_effective(void)
{
	cap_t caps = cap_get_proc();
	int r = 0;

	if (!caps)
		return -errno;
	for (cap_value_t cap = 0; r == 0 && cap_valid(cap); cap++) {
		cap_flag_value_t permitted;

		if (cap_get_flag(caps, cap, CAP_PERMITTED, &permitted) == 0 &&
		    cap_set_flag(caps, CAP_EFFECTIVE, 1, &cap, permitted) < 0)
			r = -errno;
	}
	if (r == 0 && cap_set_proc(caps) < 0)
		r = -errno;
	(void)cap_free(caps);
	return r;
}

/* user.max_user_namespaces of the new namespace: none below it, whatever seccomp says. */
static int namespace_forbid_nesting(struct jail *jail)
{
	cleanup_fd int fd =
		openat(jail->proc_sys, "user/max_user_namespaces", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0\n", 2) != 2)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
				   "cannot forbid further user namespaces: %m");
	(void)close(TAKE_FD(jail->proc_sys));
	return 0;
}

/* init: reports the mounts, then makes the user namespace as the broker's uid (N2). */
int namespace_enter_user(struct jail *jail)
{
	int r;

	if (send(jail->peer, &jail->built, sizeof(jail->built), MSG_NOSIGNAL) !=
	    (ssize_t)sizeof(jail->built))
		return -EPIPE;
	/* While it is still real root; inside, setgroups() is denied for good. */
	if (setgroups(0, NULL) < 0 || setegid(jail->uid_broker) < 0 ||
	    seteuid(jail->uid_broker) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
				   "cannot take the broker's uid %u: %m", jail->uid_broker);
	r = namespace_restore_effective();
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "cannot keep capabilities until the user namespace: %s",
				   strerror(-r));
	if (unshare(CLONE_NEWUSER) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_REFUSED, -errno,
				   "cannot make the jail's user namespace: %m; %s",
				   errno == EPERM ? "custodyd must not run in a chroot (enter it "
						    "with pivot_root, as containers do)" :
						    "raise sysctl user.max_user_namespaces");
	r = namespace_signal_peer(jail, 'U');
	if (r == 0)
		r = namespace_await_peer(jail, 'M');
	if (r < 0)
		return r;	/* outer has failed and said why */
	(void)close(TAKE_FD(jail->peer));
	return namespace_forbid_nesting(jail);
}

/* init: the model's uid, no capability in any set, and no way to get one back. */
int namespace_give_up_root(struct jail *jail)
{
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
				   SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
				   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
	int r;

	r = confine_drop_privileges(CUSTODY_UID_MODEL_INSIDE, CUSTODY_UID_MODEL_INSIDE,
				    1ULL << CAP_SETPCAP);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "cannot become the model's uid: %s", strerror(-r));
	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0 ||
	    prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) != (int)bits)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
				   "cannot lock securebits: %m");
	r = confine_drop_kept(CUSTODY_UID_MODEL_INSIDE, CUSTODY_UID_MODEL_INSIDE);
	if (r == 0)
		r = confine_set_basics();
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r,
				   "cannot give up the last capability: %s", strerror(-r));
	return 0;
}
