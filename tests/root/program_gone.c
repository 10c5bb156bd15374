/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits until BPF programs are in the kernel no more; it gives them up in its own time.
 *
 *   program_gone take PIN...        removes the pins of links, and waits for their programs
 *   program_gone named PREFIX...    waits for every program whose name begins with one of these
 *
 * Prints how many are left after WAIT_S. Exit: 0 when none is, 1 when some are, 2 when it could
 * not look. Run by root from tests/root/7*.sh, where bpftool in a loop would be most of the work.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

#define WAIT_S 60
#define TAKEN_MAX 16

struct wanted {
	__u32 ids[TAKEN_MAX];
	int n_ids;
	char **prefixes;
	int n_prefixes;
};

static int gone_fail(const char *what)
{
	(void)fprintf(stderr, "program_gone: %s: %s\n", what, strerror(errno));
	return -1;
}

static int gone_take(const char *pin, struct wanted *wanted)
{
	struct bpf_link_info info = { 0 };
	__u32 size = sizeof(info);
	cleanup_fd int fd = bpf_obj_get(pin);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0 || unlink(pin) < 0)
		return gone_fail(pin);
	wanted->ids[wanted->n_ids++] = info.prog_id;
	return 0;
}

/* 1, 0, or -1: a program that cannot be looked at. One that has just gone is none. */
static int gone_is_wanted(__u32 id, const struct wanted *wanted)
{
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info);
	cleanup_fd int fd = -1;

	for (int i = 0; i < wanted->n_ids; i++) {
		if (wanted->ids[i] == id)
			return 1;
	}
	if (wanted->n_prefixes == 0)
		return 0;
	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return gone_fail("a program");
	for (int i = 0; i < wanted->n_prefixes; i++) {
		if (strncmp(info.name, wanted->prefixes[i], strlen(wanted->prefixes[i])) == 0)
			return 1;
	}
	return 0;
}

/* How many are there; -1 when that cannot be told. */
static int gone_count(const struct wanted *wanted)
{
	__u32 id = 0;
	int n = 0, r;

	while (bpf_prog_get_next_id(id, &id) == 0) {
		r = gone_is_wanted(id, wanted);
		if (r < 0)
			return r;
		n += r;
	}
	return errno == ENOENT ? n : gone_fail("the programs");
}

int main(int argc, char **argv)
{
	const struct timespec nap = { .tv_nsec = 50000000 };
	struct wanted wanted = { 0 };
	time_t end = time(NULL) + WAIT_S;
	int n;

	if (argc < 3 || argc > TAKEN_MAX + 2)
		return 2;
	if (strcmp(argv[1], "named") == 0) {
		wanted.prefixes = argv + 2;
		wanted.n_prefixes = argc - 2;
	} else if (strcmp(argv[1], "take") != 0) {
		return 2;
	}
	for (int i = 2; wanted.n_prefixes == 0 && i < argc; i++) {
		if (gone_take(argv[i], &wanted) < 0)
			return 2;
	}
	while ((n = gone_count(&wanted)) > 0 && time(NULL) < end)
		(void)nanosleep(&nap, NULL);
	if (n < 0)
		return 2;
	(void)printf("%d\n", n);
	return n == 0 ? 0 : 1;
}
