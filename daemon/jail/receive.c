/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes the order to build from custodyd: the plan and the five fds. Run by custody-jail as root,
 * first. Trusts custodyd for the fds, plan_check() for the plan; refuses an fd that would be a
 * way out of the jail.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "confine.h"
#include "jail.h"
#include "message.h"
#include "plan.h"

enum receive_fd { RECEIVE_PLAN, RECEIVE_STDIN, RECEIVE_STDOUT, RECEIVE_STDERR, RECEIVE_BROKER };

#define RECEIVE_BROKER_FD (CUSTODY_CHANNEL_FD + 1)
#define RECEIVE_WEIGHTS_FD (CUSTODY_CHANNEL_FD + 2)

/* A directory fd is a root of its own: openat() with it would leave the jail. */
static int receive_check_stdio(struct jail *jail, const struct message_fds *fds)
{
	for (int i = RECEIVE_STDIN; i <= RECEIVE_STDERR; i++) {
		const int flags = fcntl(fds->fd[i], F_GETFL);
		struct stat st;

		if (flags < 0 || fstat(fds->fd[i], &st) < 0)
			return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
					   "cannot look at standard stream %d: %m",
					   i - RECEIVE_STDIN);
		if (S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode) || (flags & O_PATH))
			return jail_refuse(jail, CUSTODY_EXIT_REFUSED, -EISDIR,
					   "standard stream %d is a directory, a block device or a "
					   "path; give a pipe, a file, a socket or a terminal",
					   i - RECEIVE_STDIN);
	}
	return 0;
}

static int receive_place_fds(struct jail *jail, struct message_fds *fds)
{
	/* Up first: one of them may have the number that another is to get. */
	for (unsigned int i = 0; i < fds->n; i++) {
		int high = fcntl(fds->fd[i], F_DUPFD_CLOEXEC, RECEIVE_BROKER_FD + 1);

		if (high < 0)
			return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
					   "cannot move an fd: %m");
		(void)close(fds->fd[i]);
		fds->fd[i] = high;
	}
	for (int i = 0; i < 3; i++) {
		if (dup3(fds->fd[RECEIVE_STDIN + i], i, 0) < 0)
			return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
					   "cannot place fd %d: %m", i);
	}
	if (dup3(fds->fd[RECEIVE_BROKER], RECEIVE_BROKER_FD, O_CLOEXEC) < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -errno,
				   "cannot place the broker's fd: %m");
	jail->broker = RECEIVE_BROKER_FD;
	return 0;
}

/* The model as a mount that is detached: what custodyd opened, whatever lies at its path by now. */
static int receive_weights(struct jail *jail)
{
	cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;
	union message_buffer buf;
	int r = message_recv(jail->channel, ROLE_JAIL, ROLE_WARDEN, MSG_BIT(MSG_JAIL_WEIGHTS),
			     &buf, &fds);

	if (r == 0 && fds.fd[0] != RECEIVE_WEIGHTS_FD &&
	    dup3(fds.fd[0], RECEIVE_WEIGHTS_FD, O_CLOEXEC) < 0)
		r = -errno;
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r, "no mount of the model: %s",
				   strerror(-r));
	if (fds.fd[0] == RECEIVE_WEIGHTS_FD)
		(void)TAKE_FD(fds.fd[0]);
	jail->weights = RECEIVE_WEIGHTS_FD;
	return 0;
}

int receive_plan(struct jail *jail)
{
	cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;
	union message_buffer buf;
	const char *why = "";
	int r;

	if (fcntl(jail->channel, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;	/* no channel, nobody to tell */
	r = confine_close_fds_from(jail->channel + 1);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r, "cannot close inherited fds: %s",
				   strerror(-r));
	r = message_recv(jail->channel, ROLE_JAIL, ROLE_WARDEN, MSG_BIT(MSG_JAIL_BUILD), &buf,
			 &fds);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r, "no order to build: %s",
				   strerror(-r));
	memcpy(&jail->build, &buf, sizeof(jail->build));
	if (jail->build.slot >= CUSTODY_JAILS_MAX)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, -ERANGE, "block of uids %u of %u",
				   jail->build.slot, CUSTODY_JAILS_MAX);
	jail->uid_broker = CUSTODY_UID_JAIL_BASE + jail->build.slot * CUSTODY_UID_JAIL_BLOCK +
			   CUSTODY_UID_BROKER_OFF;
	jail->uid_model = jail->uid_broker - CUSTODY_UID_BROKER_OFF + CUSTODY_UID_MODEL_OFF;
	r = receive_check_stdio(jail, &fds);
	if (r < 0)
		return r;
	r = plan_map(fds.fd[RECEIVE_PLAN], &jail->plan, &why);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r, "the plan is refused: %s%s%s",
				   strerror(-r), *why ? ": " : "", why);
	r = receive_place_fds(jail, &fds);
	if (r < 0)
		return r;
	message_close_fds(&fds);
	r = confine_close_fds_from(RECEIVE_BROKER_FD + 1);
	if (r < 0)
		return jail_refuse(jail, CUSTODY_EXIT_INTERNAL, r, "cannot close fds: %s",
				   strerror(-r));
	return jail->build.weights ? receive_weights(jail) : 0;
}
