/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody.conf of any bytes: settings within their bounds, or a problem.
 * link: daemon/planner/host.c daemon/planner/problems.c daemon/planner/value.c
 * link: daemon/planner/words.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "daemon/planner/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_problems struct problems problems = { 0 };
	struct host_settings settings = { 0 };

	host_parse("custody.conf", (const char *)data, size, &settings, &problems);
	if (settings.n_readers > HOST_READERS_MAX)
		abort();
	for (__u32 i = 0; i < settings.n_readers; i++) {
		const char *path = settings.readers[i].path;

		if (!memchr(path, 0, sizeof(settings.readers[i].path)) ||
		    (path[0] != '\0' && path[0] != '/'))
			abort();
	}
	return 0;
}
