/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring from inside a cgroup: making a ring there, and using one that was made outside. Run as
 * root by tests/root/7*.sh. Prints the errno that came, "0" for none; exits 2 when the thing could
 * not be tried.
 *
 *   lsm_uring_probe CGROUP make|sqpoll|cmd|creds
 *     make, sqpoll   io_uring_setup, plain and with a kernel thread
 *     cmd            a command for /dev/null, with a ring made before CGROUP is entered
 *     creds          an operation under other credentials, likewise
 */
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "lsm_try.h"

#define RING_ENTRIES 4

struct ring {
	int fd;
	struct io_uring_params params;
	unsigned char *queues;		/* both, in one mapping */
	struct io_uring_sqe *entries;
};

static int ring_make(unsigned int flags, struct ring *ret)
{
	struct ring ring = { .params = { .flags = flags } };

	ring.fd = (int)syscall(SYS_io_uring_setup, RING_ENTRIES, &ring.params);
	if (ring.fd < 0)
		return -1;
	*ret = ring;
	return 0;
}

static void ring_map(struct ring *ring)
{
	size_t sq = ring->params.sq_off.array + ring->params.sq_entries * sizeof(__u32);
	size_t cq = ring->params.cq_off.cqes +
		    ring->params.cq_entries * sizeof(struct io_uring_cqe);

	ring->queues = mmap(NULL, sq > cq ? sq : cq, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
	ring->entries = mmap(NULL, RING_ENTRIES * sizeof(*ring->entries), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
	if (ring->queues == MAP_FAILED || (void *)ring->entries == MAP_FAILED)
		exit(probe_broken("mmap"));
}

static __u32 *ring_word(const struct ring *ring, __u32 offset)
{
	return (__u32 *)(void *)(ring->queues + offset);
}

/* Submits the first entry and waits for its completion, whose result is returned as by a call. */
static int ring_run(const struct ring *ring)
{
	const struct io_uring_cqe *done =
		(const void *)(ring->queues + ring->params.cq_off.cqes);
	__u32 *tail = ring_word(ring, ring->params.sq_off.tail);
	int r;

	ring_word(ring, ring->params.sq_off.array)[0] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	r = (int)syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	if (r != 1)
		exit(probe_broken("io_uring_enter"));
	if (done[0].res < 0) {
		errno = -done[0].res;
		return -1;
	}
	return 0;
}

static int uring_command(const char *cgroup, struct ring *ring)
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return probe_broken("/dev/null");
	ring->entries[0].opcode = IORING_OP_URING_CMD;
	ring->entries[0].fd = null;
	probe_enter(cgroup);
	return probe_result(ring_run(ring));
}

static int uring_credentials(const char *cgroup, struct ring *ring)
{
	int id = (int)syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_PERSONALITY, NULL,
			      0);

	if (id < 0)
		return probe_broken("personality");
	ring->entries[0].opcode = IORING_OP_NOP;
	ring->entries[0].personality = (__u16)id;
	probe_enter(cgroup);
	return probe_result(ring_run(ring));
}

int main(int argc, char **argv)
{
	const char *action = argc == 3 ? argv[2] : "";
	struct ring ring = { .fd = -1 };

	if (strcmp(action, "make") == 0 || strcmp(action, "sqpoll") == 0) {
		probe_enter(argv[1]);
		return probe_result(ring_make(action[0] == 's' ? IORING_SETUP_SQPOLL : 0, &ring));
	}
	if (strcmp(action, "cmd") != 0 && strcmp(action, "creds") != 0)
		return 2;
	if (ring_make(0, &ring) < 0)
		return probe_broken("io_uring_setup");
	ring_map(&ring);
	return strcmp(action, "cmd") == 0 ? uring_command(argv[1], &ring) :
					     uring_credentials(argv[1], &ring);
}
