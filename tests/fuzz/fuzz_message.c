/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message_recv() with any bytes, roles, permits and fds: never accepts what the table does not
 * say, never leaves an fd open. Input: self, from (one byte each, a bit number), fds to send (one
 * byte), what to set right by the table so that the deeper checks are reached (one byte), permit
 * (8 bytes), then the packet.
 */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "cleanup.h"
#include "message.h"

#define FUZZ_HEAD 12

enum {
	FUZZ_RIGHT_SIZE = 1,	/* packet cut or filled with 'x' to the size of its type */
	FUZZ_RIGHT_ROLES = 2,
	FUZZ_RIGHT_FDS = 4,
	FUZZ_RIGHT_PERMIT = 8,
};

struct fuzz_row {
	size_t size;
	__u32 from;
	__u32 to;
	unsigned int fds;
};

static const struct fuzz_row fuzz_rows[_MSG_MAX] = {
#define FUZZ_ROW(type, body, from_, to_, fds_) \
	[MSG_##type] = { sizeof(struct body), from_, to_, fds_ },
	CUSTODY_MESSAGES(FUZZ_ROW)
#undef FUZZ_ROW
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_send(int fd, const uint8_t *data, size_t size, unsigned int n_fds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * 16)];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[16];

	for (unsigned int i = 0; i < n_fds; i++)
		fds[i] = fd;
	if (n_fds > 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
	}
	if (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		abort();
}

/* The lowest fd that is free: what is left open moves it. */
static int fuzz_find_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		abort();
	(void)close(fd);
	return fd;
}

struct fuzz_case {
	__u32 self;
	__u32 from;
	unsigned int n_fds;
	__u64 permit;
	size_t size;
	uint8_t packet[CUSTODY_MESSAGE_MAX + 16];
};

static void fuzz_make_case(const uint8_t *data, size_t size, struct fuzz_case *c)
{
	struct message_head head = { 0 };
	const struct fuzz_row *row;

	c->self = 1U << (data[0] % 8);
	c->from = 1U << (data[1] % 8);
	c->n_fds = data[2] % 17;
	memcpy(&c->permit, data + 4, sizeof(c->permit));
	c->size = size - FUZZ_HEAD;
	memset(c->packet, data[0] & 0x80 ? 0 : 'x', sizeof(c->packet));
	memcpy(c->packet, data + FUZZ_HEAD, c->size);
	if (c->size < sizeof(head) || data[3] == 0)
		return;
	memcpy(&head, c->packet, sizeof(head));
	head.type %= _MSG_MAX;
	row = &fuzz_rows[head.type];
	if (data[3] & FUZZ_RIGHT_SIZE && row->size > 0) {
		c->size = row->size;
		head.size = (__u32)row->size;
	}
	if (data[3] & FUZZ_RIGHT_ROLES) {
		c->self = row->to & -row->to;
		c->from = row->from & -row->from;
	}
	if (data[3] & FUZZ_RIGHT_FDS)
		c->n_fds = row->fds;
	if (data[3] & FUZZ_RIGHT_PERMIT)
		c->permit |= MSG_BIT(head.type);
	memcpy(c->packet, &head, sizeof(head));
}

/* What was accepted is what the table says. */
static void fuzz_check_accepted(const union message_buffer *buf, const struct message_fds *fds,
				const struct fuzz_case *c)
{
	const struct fuzz_row *row;

	if (buf->head.type == MSG_NONE || buf->head.type >= _MSG_MAX)
		abort();
	row = &fuzz_rows[buf->head.type];
	if (!(c->permit & MSG_BIT(buf->head.type)) || buf->head.size != row->size ||
	    c->size != row->size || fds->n != row->fds || c->n_fds != row->fds ||
	    !(row->from & c->from) || !(row->to & c->self))
		abort();
	if (buf->head.type == MSG_REFUSED &&
	    !memchr(((const struct refused *)buf)->text, '\0', CUSTODY_TEXT_SIZE))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static union message_buffer buf;
	static struct fuzz_case c;
	cleanup_fd int a = -1;
	cleanup_fd int b = -1;
	int before;

	if (size < FUZZ_HEAD || size - FUZZ_HEAD > sizeof(c.packet))
		return 0;
	fuzz_make_case(data, size, &c);
	if (message_make_pair(&a, &b) < 0)
		abort();
	before = fuzz_find_free_fd();
	fuzz_send(a, c.packet, c.size, c.n_fds);
	{
		cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;

		if (message_recv(b, c.self, c.from, c.permit, &buf, &fds) == 0)
			fuzz_check_accepted(&buf, &fds, &c);
		else if (fds.n != 0)
			abort();
	}
	if (fuzz_find_free_fd() != before)
		abort();
	return 0;
}
