/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events on their way into the ledger. Run by custody-recorder. Pure. Trusts nothing.
 */
#include "event.h"

#include <string.h>

#include "record.h"

static bool event_clean(const struct custody_event *event, struct custody_event *ret,
			const char **ret_why)
{
	size_t comm;

	if (!record_check_event(event, ret_why))
		return false;
	*ret = *event;
	comm = strnlen(ret->comm, sizeof(ret->comm) - 1);
	memset(ret->comm + comm, 0, sizeof(ret->comm) - comm);
	memset(ret->path + ret->path_len, 0, sizeof(ret->path) - ret->path_len);
	return true;
}

/*
 * "model.gguf/llama/" becomes "/llama/model.gguf": as long as before, since every component
 * takes its separator along. A name may itself hold '/' (memfd_create): it comes out in pieces,
 * which is why a path of an event is for people, and device, inode and mount are for decisions.
 */
static void event_turn_path(struct custody_event *event)
{
	char turned[CUSTODY_EVENT_PATH_SIZE] = { 0 };
	size_t end = event->path_len;
	size_t used = 0;

	while (end > 0) {
		size_t start = end - 1;	/* path[end - 1] is the '/' that ends this component */

		while (start > 0 && event->path[start - 1] != '/')
			start--;
		turned[used++] = '/';
		memcpy(turned + used, event->path + start, end - 1 - start);
		used += end - 1 - start;
		end = start;
	}
	memcpy(event->path, turned, sizeof(event->path));
}

bool event_decode_ring(const void *data, size_t n, struct custody_event *ret,
		       const char **ret_why)
{
	struct custody_event event;

	*ret_why = "sample of another size than an event";
	if (n != sizeof(event))
		return false;
	memcpy(&event, data, sizeof(event));
	*ret_why = "event of the broker in the kernel's ring";
	if (event.plane == EVENT_PLANE_BROKER || !event_clean(&event, &event, ret_why))
		return false;
	if (event.path_len > 0 && event.path[event.path_len - 1] != '/') {
		/* cut within a component: end it, giving up its last byte when there is no room */
		if (event.path_len == sizeof(event.path))
			event.path_len--;
		event.path[event.path_len++] = '/';
		event.flags |= EVENT_FLAG_PATH_TRUNCATED;
	}
	event_turn_path(&event);
	*ret = event;
	return true;
}

bool event_decode_broker(const struct custody_event *event, struct custody_event *ret,
			 const char **ret_why)
{
	bool limit = event->class == POLICY_CLASS_LIMIT && event->plane == EVENT_PLANE_CGROUP;

	*ret_why = "event of a kernel plane from the broker";
	return (event->plane == EVENT_PLANE_BROKER || limit) && event_clean(event, ret, ret_why);
}
