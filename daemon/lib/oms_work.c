/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and shards hashed on all cores. Run by custodyctl and whatever measures models. The only
 * threads of custody: measuring a model is bound by the core that computes SHA-256. Two threads
 * spend no more processor time than one (both 0.90 of what openssl speed does with as much, see
 * tests/bench), so that cores which are free divide the time. They share nothing that is written
 * but what the lock below names, live no longer than the call, and take no signal.
 *
 * A file in `files` mode is one stream and cannot be split: the largest is begun first, so that
 * none is left alone at the end if it can be helped.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "cleanup.h"
#include "oms_internal.h"

#define OMS_THREAD_BYTES (4U << 20) /* for less no thread is made */
#define OMS_THREAD_STACK (256U << 10)

struct oms_work {
	const struct oms_model *model;
	struct fingerprint_builder *builder;
	const struct oms_unit *units;
	size_t n;
	__u64 total;
	pthread_mutex_t lock; /* of all below, and of the progress function */
	size_t next;
	__u64 done;
	int r; /* the first failure; with it everybody stops */
	struct oms_why why;
};

static int oms_work_compare(const void *a, const void *b)
{
	const struct oms_unit *x = a;
	const struct oms_unit *y = b;
	__u64 x_n = x->end - x->start;
	__u64 y_n = y->end - y->start;

	if (x_n != y_n)
		return x_n < y_n ? 1 : -1;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return (x->start > y->start) - (x->start < y->start);
}

/* Of the hasher, after each block: counts, and asks whether to go on. */
static int oms_work_count(void *data, __u64 bytes)
{
	struct oms_work *work = data;
	int r;

	(void)pthread_mutex_lock(&work->lock);
	work->done += bytes;
	if (work->model->progress)
		work->model->progress(work->model->data, work->done, work->total);
	r = work->r;
	(void)pthread_mutex_unlock(&work->lock);
	return r < 0 ? -ECANCELED : 0;
}

static int oms_work_hash(struct oms_work *work, struct oms_hasher *hasher,
			 const struct oms_unit *unit, struct oms_why *why)
{
	const struct oms_file *file = unit->file;
	struct oms_range range = {
		.start = unit->start,
		.end = unit->end,
		.last = unit->end == file->size,
		.builder = work->builder,
		.read = oms_work_count,
		.data = work,
	};
	__u8 digest[OMS_DIGEST_SIZE];
	cleanup_fd int fd = -1;
	int r;

	r = oms_tree_open(work->model->dirfd, file, &fd, why);
	if (r < 0)
		return r;
	(void)posix_fadvise(fd, (off_t)unit->start, (off_t)(unit->end - unit->start),
			    POSIX_FADV_SEQUENTIAL);
	range.fd = fd;
	r = oms_hasher_run(hasher, &range, digest);
	if (r == -EBUSY)
		return oms_explain(why, r, "%s grew or shrank while it was read.",
				   oms_quote(file->path, strlen(file->path)).text);
	if (r < 0)
		return r != -ENOMEM && r != -ECANCELED ? oms_explain_io(why, file->path, r) : r;
	if (unit->digest)
		memcpy(unit->digest, digest, sizeof(digest));
	return 0;
}

static const struct oms_unit *oms_work_next(struct oms_work *work)
{
	const struct oms_unit *unit = NULL;

	(void)pthread_mutex_lock(&work->lock);
	if (work->r == 0 && work->next < work->n)
		unit = &work->units[work->next++];
	(void)pthread_mutex_unlock(&work->lock);
	return unit;
}

static void oms_work_fail(struct oms_work *work, int r, const struct oms_why *why)
{
	(void)pthread_mutex_lock(&work->lock);
	if (work->r == 0) {
		work->r = r;
		work->why = *why;
	}
	(void)pthread_mutex_unlock(&work->lock);
}

static void *oms_work_loop(void *data)
{
	cleanup_oms_hasher struct oms_hasher *hasher = NULL;
	struct oms_work *work = data;
	const struct oms_unit *unit;
	struct oms_why why = { 0 };
	int r = oms_hasher_make(&hasher);

	while (r == 0 && (unit = oms_work_next(work)))
		r = oms_work_hash(work, hasher, unit, &why);
	if (r < 0)
		oms_work_fail(work, r, &why);
	return NULL;
}

static unsigned int oms_work_count_cores(void)
{
	cpu_set_t cores;

	CPU_ZERO(&cores);
	if (sched_getaffinity(0, sizeof(cores), &cores) < 0)
		return 1;
	return (unsigned int)CPU_COUNT(&cores);
}

static unsigned int oms_work_choose_threads(const struct oms_work *work)
{
	__u64 n = work->model->threads ? work->model->threads : oms_work_count_cores();

	n = n < OMS_THREADS_MAX ? n : OMS_THREADS_MAX;
	n = n < work->n ? n : work->n;
	n = n < work->total / OMS_THREAD_BYTES ? n : work->total / OMS_THREAD_BYTES;
	return n > 0 ? (unsigned int)n : 1;
}

/* The caller is one of the threads. One that cannot be made is done without. */
static void oms_work_start(struct oms_work *work)
{
	unsigned int wanted = oms_work_choose_threads(work);
	pthread_t threads[OMS_THREADS_MAX];
	unsigned int made = 0;
	pthread_attr_t attr;
	sigset_t all, before;

	if (wanted > 1 && pthread_attr_init(&attr) == 0) {
		(void)pthread_attr_setstacksize(&attr, OMS_THREAD_STACK);
		(void)sigfillset(&all);
		(void)pthread_sigmask(SIG_SETMASK, &all, &before);
		while (made < wanted - 1 &&
		       pthread_create(&threads[made], &attr, oms_work_loop, work) == 0)
			made++;
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
		(void)pthread_attr_destroy(&attr);
	}
	(void)oms_work_loop(work);
	while (made > 0)
		(void)pthread_join(threads[--made], NULL);
}

int oms_work_run(const struct oms_model *model, struct oms_unit *units, size_t n,
		 struct fingerprint_builder *builder, struct oms_why *why)
{
	struct oms_work work = { .model = model, .builder = builder, .units = units, .n = n };

	for (size_t i = 0; i < n; i++)
		work.total += units[i].end - units[i].start;
	if (n > 0)
		qsort(units, n, sizeof(*units), oms_work_compare);
	(void)pthread_mutex_init(&work.lock, NULL);
	oms_work_start(&work);
	(void)pthread_mutex_destroy(&work.lock);
	if (work.r < 0 && why)
		*why = work.why;
	return work.r;
}
