/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_request() with any bytes that message_recv() would let through, and everything front does
 * with a request that it accepts. Input: which request (one byte), then its bytes; a run whose byte
 * has the high bit set is taken apart instead: n_args, then the arguments.
 * link: daemon/front/check.c
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "daemon/front/check.h"
#include "plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* message_recv() promises a NUL in every text: so does this. */
static void fuzz_terminate(union message_buffer *buf)
{
	struct request_start *start = (struct request_start *)buf;
	struct request_name *named = (struct request_name *)buf;
	struct request_restrict *restricted = (struct request_restrict *)buf;

	if (buf->head.type == MSG_REQUEST_NAME) {
		named->name[sizeof(named->name) - 1] = '\0';
		return;
	}
	if (buf->head.type == MSG_REQUEST_RESTRICT) {
		restricted->name[sizeof(restricted->name) - 1] = '\0';
		return;
	}
	/* start is the beginning of run */
	start->name[sizeof(start->name) - 1] = '\0';
	start->profile[sizeof(start->profile) - 1] = '\0';
	start->model[sizeof(start->model) - 1] = '\0';
	_Static_assert(offsetof(struct request_run, model) == offsetof(struct request_start, model),
		       "one layout");
}

static void fuzz_make_run(struct request_run *run, const uint8_t *data, size_t size)
{
	memset(run, 0, sizeof(*run));
	run->head.type = MSG_REQUEST_RUN;
	run->name[0] = 'a';
	if (size < 1)
		return;
	run->n_args = data[0];
	run->args_len = (__u32)(size - 1);
	memcpy(run->args, data + 1, size - 1 < sizeof(run->args) ? size - 1 : sizeof(run->args));
}

/* What custodyd may take for granted about a command. */
static void fuzz_assert_args(const struct request_run *run)
{
	const char *arg = run->args;

	for (__u32 i = 0; i < run->n_args; i++) {
		const char *end = memchr(arg, '\0', (size_t)(run->args + run->args_len - arg));

		if (!end)
			abort();
		arg = end + 1;
	}
	if (arg != run->args + run->args_len || !run->args[0])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const __u32 types[] = { MSG_REQUEST_START, MSG_REQUEST_RUN, MSG_REQUEST_NAME,
				       MSG_REQUEST_RESTRICT };
	cleanup_ptr union message_buffer *buf = calloc(1, sizeof(*buf));
	const char *why = NULL;

	if (size < 1 || size - 1 > sizeof(*buf) || !buf)
		return 0;
	memcpy(buf, data + 1, size - 1);
	buf->head.type = types[data[0] % ARRAY_SIZE(types)];
	if (data[0] & 0x80 && buf->head.type == MSG_REQUEST_RUN)
		fuzz_make_run((struct request_run *)buf, data + 1, size - 1);
	fuzz_terminate(buf);
	if (!check_request(buf, &why)) {
		if (!why || !*why)
			abort();
		return 0;
	}
	if (*check_find_name(buf) && !plan_check_name(check_find_name(buf)))
		abort();
	if (check_permission(buf, CHECK_NOBODY) || !check_permission(buf, CHECK_ROOT))
		abort();
	if (check_permission(buf, CHECK_READER) && buf->head.type != MSG_REQUEST_NAME)
		abort();
	*check_find_peer(buf) = (struct message_peer){ .uid = 1 };
	if (buf->head.type == MSG_REQUEST_RUN)
		fuzz_assert_args((const struct request_run *)buf);
	return 0;
}
