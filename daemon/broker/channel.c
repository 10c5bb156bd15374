/* SPDX-License-Identifier: Apache-2.0 */
/* The channel to custodyd while serving. Run by custody-broker, confined. See channel.h. */
#include "channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cleanup.h"
#include "connect.h"
#include "log.h"
#include "message.h"
#include "report.h"

int channel_prepare(int fd)
{
	struct timeval wait = { .tv_usec = REPORT_WAIT_MS * 1000 };

	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0 ? -errno : 0;
}

static void channel_lose(struct broker *broker)
{
	log_warning("jail %u: custodyd is gone; serving goes on, up to %u events are kept for "
		    "the next one", broker->jail_id, BROKER_EVENTS_KEPT);
	cleanup_close_fd(&broker->channel);
	connect_forget_asked(broker);
	connect_hold(broker, false);
}

void channel_read(struct broker *broker)
{
	union message_buffer message;
	const void *said = &message;
	const struct broker_hold *hold = said;
	int r = message_recv(broker->channel, ROLE_BROKER, ROLE_WARDEN,
			     MSG_BIT(MSG_BROKER_RESOLVED) | MSG_BIT(MSG_BROKER_HOLD), &message,
			     NULL);

	if (r == -EAGAIN || r == -EINTR)
		return;
	if (r < 0) {
		channel_lose(broker);
		return;
	}
	if (message.head.type == MSG_BROKER_HOLD)
		connect_hold(broker, hold->hold != 0);
	else
		connect_take_name(broker, said);
}

void channel_rejoin(struct broker *broker)
{
	cleanup_fd int fd = accept4(broker->rejoin, NULL, NULL, SOCK_CLOEXEC);
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(peer);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != 0 ||
	    broker->channel >= 0 || channel_prepare(fd) < 0) {
		log_warning("jail %u: a connection of process %d (uid %u) is not taken",
			    broker->jail_id, peer.pid, peer.uid);
		return;
	}
	broker->channel = TAKE_FD(fd);
	log_info("jail %u: custodyd is back, process %d; %u events were kept", broker->jail_id,
		 peer.pid, broker->kept_n);
	report_kept(broker);
	connect_ask_again(broker);
}
