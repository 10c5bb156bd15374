/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody-front: the only process that takes requests from users. Started by custodyd as root
 * with the channel on fd 3; becomes its own uid with no privilege, no file system, no network
 * and a short syscall list before it reads its first byte. Trusts custodyd and the kernel.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "cleanup.h"
#include "confine.h"
#include "front.h"
#include "log.h"

/* Beyond confine.h's common set (which has poll, sendmsg, recvmsg, fcntl). */
static const char *const front_syscalls[] = {
	"accept4",	/* clients */
	"getsockopt",	/* SO_PEERCRED, SO_PEERGROUPS */
};

/* In this order: privileges need /proc to be proven, Landlock closes it, seccomp comes last. */
static int front_confine(void)
{
	cleanup_fd int proof = -1;
	int r = confine_close_fds_from(CUSTODY_CHANNEL_FD + 1);

	if (r == 0)
		r = proof = confine_open_proof();
	if (r >= 0)
		r = confine_leave_network();
	if (r == 0)
		r = confine_set_basics();
	if (r == 0)
		r = confine_drop_privileges(CUSTODY_UID_FRONT, CUSTODY_UID_FRONT, 0);
	if (r < 0)
		return r;
	r = confine_enter_landlock(NULL, 0, true);
	if (r < 0)
		return r;
	if (r == 0)
		log_warning("this kernel has no Landlock: custody-front is held by its uid and "
			    "its syscall list alone");
	r = confine_enter_seccomp(front_syscalls, ARRAY_SIZE(front_syscalls));
	if (r < 0)
		return r;
	return confine_prove(TAKE_FD(proof), CUSTODY_UID_FRONT, CUSTODY_UID_FRONT, 0);
}

static int front_receive_setup(struct front *front)
{
	union {
		union message_buffer any;
		struct front_setup setup;
	} message;
	cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;
	__u32 first_id;
	int r;

	r = message_recv(CUSTODY_CHANNEL_FD, ROLE_FRONT, ROLE_WARDEN, MSG_BIT(MSG_FRONT_SETUP),
			 &message.any, &fds);
	if (r < 0)
		return r;
	if (getrandom(&first_id, sizeof(first_id), 0) != (ssize_t)sizeof(first_id))
		return -EIO;
	r = front_open(front, CUSTODY_CHANNEL_FD, fds.fd[0], message.setup.group, first_id);
	if (r == 0)
		fds.fd[0] = -1;
	return r;
}

int main(void)
{
	struct front front;
	int r;

	log_setup("custody-front", LOG_LEVEL_INFO);
	r = front_confine();
	if (r < 0) {
		log_error("cannot confine itself: %s. custodyd must start it as root, on a kernel "
			  "with seccomp", strerror(-r));
		return CUSTODY_EXIT_INTERNAL;
	}
	r = front_receive_setup(&front);
	if (r < 0) {
		log_error("no setup from custodyd on fd %d: %s. It is started by custodyd, not by "
			  "hand", CUSTODY_CHANNEL_FD, strerror(-r));
		return CUSTODY_EXIT_INTERNAL;
	}
	do {
		r = front_step(&front, -1);
	} while (r == 0);
	front_close(&front);
	if (r == -ENODATA)
		return CUSTODY_EXIT_DONE;
	log_error("the channel to custodyd failed: %s", strerror(-r));
	return CUSTODY_EXIT_INTERNAL;
}
