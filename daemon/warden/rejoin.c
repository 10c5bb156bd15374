/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a restarted custodyd finds the broker of a jail that it has adopted. At launch the broker
 * gets a bound socket, /run/custody/jails/ID.broker, in a directory that is root's alone, and
 * listens on it; nobody connects while the first custodyd lives. Run by custodyd. Both sides ask
 * the kernel who the other is: the broker wants root, custodyd the process that is in the jail's
 * broker cgroup, with the uid of that jail's block.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "warden.h"

/* By a directory fd: the root of a test may have a longer path than sun_path holds. */
static int rejoin_name_socket(int directory, const struct jail *jail, struct sockaddr_un *ret)
{
	int n;

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%u" REJOIN_SUFFIX,
		     directory, jail->id);
	return n < 0 || (size_t)n >= sizeof(ret->sun_path) ? -ENAMETOOLONG : 0;
}

static int rejoin_open_directory(const struct jail *jail)
{
	int fd = open(jail->warden->jails_dir, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

int rejoin_make(struct jail *jail, int *ret)
{
	cleanup_fd int directory = rejoin_open_directory(jail);
	cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un un;
	mode_t mask;
	int r;

	if (directory < 0 || fd < 0)
		return directory < 0 ? directory : -errno;
	r = rejoin_name_socket(directory, jail, &un);
	if (r < 0)
		return r;
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ? -errno : 0;
	(void)umask(mask);
	if (r == 0)
		*ret = TAKE_FD(fd);
	return r;
}

void rejoin_remove(struct jail *jail)
{
	cleanup_fd int directory = rejoin_open_directory(jail);
	char name[32];

	(void)snprintf(name, sizeof(name), "%u" REJOIN_SUFFIX, jail->id);
	if (directory >= 0 && unlinkat(directory, name, 0) < 0 && errno != ENOENT)
		log_warning("%s/%s cannot be removed (%s), ignoring.", jail->warden->jails_dir,
			    name, strerror(errno));
}

/* Is it the broker? SO_PEERCRED of who connects shows the process that listens. */
static int rejoin_check_peer(const struct jail *jail, int fd)
{
	const __u32 uid = CUSTODY_UID_JAIL_BASE + jail->slot * CUSTODY_UID_JAIL_BLOCK +
			  CUSTODY_UID_BROKER_OFF;
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	return peer.uid == uid && peer.pid > 0 && peer.pid == state_read_broker(jail) ? 0 : -EPERM;
}

static int rejoin_connect(struct jail *jail)
{
	cleanup_fd int directory = rejoin_open_directory(jail);
	cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un un;
	int r;

	if (directory < 0 || fd < 0)
		return directory < 0 ? directory : -errno;
	r = rejoin_name_socket(directory, jail, &un);
	if (r < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		return -errno;
	r = rejoin_check_peer(jail, fd);
	if (r < 0)
		return r;
	r = spawn_adopt(jail->warden, jail, &jail->broker, ROLE_BROKER, TAKE_FD(fd));
	if (r < 0) {
		spawn_close(&jail->broker);
		return r;
	}
	jail->broker.permit = MSG_BIT(MSG_BROKER_EVENT) | MSG_BIT(MSG_BROKER_RESOLVE);
	return 0;
}

void rejoin_all(struct warden *warden)
{
	for (struct jail *j = warden->jails; j; j = j->next) {
		int r;

		if (!j->adopted || !jails_is_alive(j) || j->init == 0 || j->broker_fd < 0 ||
		    j->broker.channel >= 0)
			continue;
		r = rejoin_connect(j);
		if (r == 0)
			continue;
		log_error("The broker of %s cannot be reached (%s): it serves on, what it grants "
			  "from here on are no events, and no host name is resolved for it.",
			  j->name, strerror(-r));
		if (jails_need_broker(j))
			recording_put_gap(j, LEDGER_GAP_BROKER, 0, 1);
	}
}
