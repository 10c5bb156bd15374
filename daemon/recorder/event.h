/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel and broker events on their way into the ledger. Run by custody-recorder. Pure. Trusts
 * nothing: comm and path are bytes that the model may have chosen.
 */
#ifndef CUSTODY_RECORDER_EVENT_H
#define CUSTODY_RECORDER_EVENT_H

#include <stdbool.h>
#include <stddef.h>

#include "custody/event.h"

/*
 * A sample of the ring buffer as an event record: checked, comm and path filled up with NULs,
 * path turned the right way round. False with *ret_why when it is malformed.
 */
bool event_decode_ring(const void *data, size_t n, struct custody_event *ret,
		       const char **ret_why);

/*
 * The same for an event that custodyd sends, whose path is the right way round already: what the
 * broker reported, or a limit of the cgroup plane that custodyd saw to be run into.
 */
bool event_decode_broker(const struct custody_event *event, struct custody_event *ret,
			 const char **ret_why);

#endif
