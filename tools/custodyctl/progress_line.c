/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line that says how far a model has been read: bytes, rate and the time that is left. Run by
 * custodyctl, which reads the model itself (sign, verify, attest) or is told by custodyd (start,
 * run, register). Trusts no number: they are only printed.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "render.h"

static __u64 client_read_clock(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000000ULL + (__u64)now.tv_nsec;
}

void client_start_progress(struct client_progress *progress, const struct command_options *options)
{
	*progress = (struct client_progress){
		.shown = !options->quiet && isatty(STDERR_FILENO) == 1,
		.started_ns = client_read_clock(),
		.last_ns = client_read_clock(),
	};
}

/* At most five times a second. */
void client_show_progress(void *data, __u64 done, __u64 total)
{
	struct client_progress *progress = data;
	__u64 now = progress->shown ? client_read_clock() : 0;
	char read[RENDER_WORD], all[RENDER_WORD], rate[RENDER_WORD], left[RENDER_WORD];
	double speed;

	if (!progress->shown || now - progress->last_ns < 200000000ULL)
		return;
	progress->last_ns = now;
	speed = (double)done * 1e9 / (double)(now - progress->started_ns);
	render_bytes(done, read);
	render_bytes(total, all);
	render_bytes((__u64)speed, rate);
	render_age(speed > 0 && total > done ? (__u64)((double)(total - done) / speed) : 0, left);
	(void)fprintf(stderr, "\r\033[K%s of %s, %s/s, %s left", read, all, rate, left);
	(void)fflush(stderr);
	progress->drawn = true;
}

void client_end_progress(struct client_progress *progress)
{
	if (progress->drawn)
		(void)fputs("\r\033[K", stderr);
	progress->drawn = false;
}

bool client_take_progress(const union message_buffer *reply, struct client_progress *progress)
{
	const struct reply_progress *told = (const struct reply_progress *)reply;

	if (reply->head.type == MSG_REPLY_PROGRESS)
		client_show_progress(progress, told->done, told->total);
	else
		client_end_progress(progress);
	return reply->head.type == MSG_REPLY_PROGRESS;
}
