/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files beside the model that a profile names (keys, a signature, statements), copied into one
 * memfd for the measurer, which may open nothing but the model. Run by custodyd, which looks at no
 * byte of them. Paths are root's own, from the plan.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "measure.h"
#include "measured.h"
#include "plan.h"
#include "sequence.h"

struct measure_inputs {
	struct measured_inputs *head;
	int fd;
	__u64 at; /* where the next one begins */
};

/* A regular file, opened without waiting for anybody: a FIFO or a device is never opened. */
static int measure_open_file(int at, const char *path, int flags, struct stat *ret_st)
{
	cleanup_fd int seen = openat(at, path, O_PATH | O_CLOEXEC | flags);
	char link[64];
	int fd;

	if (seen < 0 || fstat(seen, ret_st) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode))
		return -EINVAL;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", seen);
	fd = open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int measure_copy(struct measure_inputs *inputs, int from, __u64 size)
{
	cleanup_ptr char *buffer = malloc(1U << 16);
	__u64 done = 0;

	if (!buffer)
		return -ENOMEM;
	while (done < size) {
		const __u64 left = size - done;
		ssize_t n = read(from, buffer, left < (1U << 16) ? left : 1U << 16);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBUSY;
		r = measured_write(inputs->fd, buffer, (size_t)n);
		if (r < 0)
			return r;
		done += (__u64)n;
	}
	inputs->at += size;
	return 0;
}

/* -E2BIG: no room for one more; -EFBIG: it is larger than `most`; -EINVAL: no regular file. */
static int measure_add_file(struct measure_inputs *inputs, int at, const char *path, int flags,
			    const struct measured_input *as, __u64 most)
{
	struct measured_input *input = &inputs->head->input[inputs->head->n];
	cleanup_fd int fd = -1;
	struct stat st;

	if (inputs->head->n == MEASURED_INPUTS_MAX)
		return -E2BIG;
	fd = measure_open_file(at, path, flags, &st);
	if (fd < 0)
		return fd;
	if ((__u64)st.st_size > most)
		return -EFBIG;
	*input = *as;
	input->off = inputs->at;
	input->size = (__u64)st.st_size;
	input->device = st.st_dev;
	input->inode = st.st_ino;
	(void)snprintf(input->name, sizeof(input->name), "%s", path);
	inputs->head->n++;
	return measure_copy(inputs, fd, input->size);
}

static int measure_add_named(struct jail *jail, struct measure_inputs *inputs,
			     struct plan_string path, struct plan_string origin,
			     const struct measured_input *as)
{
	const __u64 most = as->kind == MEASURED_INPUT_SIGNATURE ? MEASURED_SIGNATURE_SIZE
								: MEASURED_INPUT_SIZE;
	const char *name = plan_string(jail->plan, path);
	int r = measure_add_file(inputs, AT_FDCWD, name, 0, as, most);

	if (r == 0)
		return 0;
	return sequence_explain(
		jail, CUSTODY_EXIT_REFUSED, r, "%s: %s %s%s; %s.", plan_string(jail->plan, origin),
		name,
		r == -EINVAL  ? "is no regular file"
		: r == -EFBIG ? "is too large to be one"
			      : "cannot be read: ",
		r == -EINVAL || r == -EFBIG ? "" : strerror(-r),
		as->kind == MEASURED_INPUT_SIGNATURE
			? "sign the model (custodyctl model sign --out), or leave the "
			  "setting out"
			: "put the PEM file of the public key there, or correct the "
			  "path");
}

/* Whatever could be a statement in that directory: what it says is the measurer's to read. */
static int measure_add_statements(struct jail *jail, struct measure_inputs *inputs)
{
	const char *path = plan_string(jail->plan, jail->plan->attestations_path);
	struct measured_input as = { .kind = MEASURED_INPUT_ATTESTATION };
	cleanup_dir DIR *dir = path[0] ? opendir(path) : NULL;
	const __u64 begin = inputs->at;
	const struct dirent *entry;
	int r;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		r = measure_add_file(inputs, dirfd(dir), entry->d_name, O_NOFOLLOW, &as,
				     MEASURED_STATEMENT_SIZE);
		if (r == 0 && inputs->at - begin > MEASURED_STATEMENTS_SIZE)
			r = -E2BIG;
		if (r == -E2BIG)
			return sequence_explain(
				jail, CUSTODY_EXIT_REFUSED, r,
				"%s holds more than can be looked at (%u files with the "
				"keys, %u MiB); take out what is not about this model.",
				path, MEASURED_INPUTS_MAX, MEASURED_STATEMENTS_SIZE >> 20);
		if (r == -EINVAL || r == -EFBIG || r == -ENOENT)
			continue; /* no statement: what is required is looked for in the others */
		if (r < 0)
			return sequence_explain(jail, CUSTODY_EXIT_REFUSED, r,
						"%s in %s cannot be read: %s.", entry->d_name, path,
						strerror(-r));
		as.index++;
	}
	return 0;
}

static int measure_add_all(struct jail *jail, struct measure_inputs *inputs)
{
	const struct custody_plan *plan = jail->plan;
	struct measured_input as = { .kind = MEASURED_INPUT_KEY };
	int r = 0;

	for (as.index = 0; r == 0 && as.index < plan->n_keys; as.index++)
		r = measure_add_named(jail, inputs, plan->keys[as.index].path,
				      plan->keys[as.index].origin, &as);
	as.kind = MEASURED_INPUT_ATTESTATION_KEY;
	for (as.index = 0; r == 0 && as.index < plan->n_attestations; as.index++)
		r = measure_add_named(jail, inputs, plan->attestations[as.index].key,
				      plan->attestations[as.index].origin, &as);
	as = (struct measured_input){ .kind = MEASURED_INPUT_SIGNATURE };
	if (r == 0 && plan->signature.len > 0)
		r = measure_add_named(jail, inputs, plan->signature, plan->signature_origin, &as);
	return r < 0 ? r : measure_add_statements(jail, inputs);
}

int measure_make_inputs(struct jail *jail, int *ret_fd)
{
	cleanup_ptr struct measured_inputs *head = calloc(1, sizeof(*head));
	struct measure_inputs inputs = { .head = head, .at = sizeof(*head) };
	cleanup_fd int fd = -1;
	int r = head ? measured_make_fd("inputs", &fd) : -ENOMEM;

	if (r < 0)
		return r;
	head->magic = MEASURED_INPUTS_MAGIC;
	inputs.fd = fd;
	r = measured_write(fd, head, sizeof(*head));
	if (r == 0)
		r = measure_add_all(jail, &inputs);
	if (r == 0 && pwrite(fd, head, sizeof(*head), 0) != (ssize_t)sizeof(*head))
		r = -EIO;
	if (r == 0)
		r = measured_seal(fd);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}
