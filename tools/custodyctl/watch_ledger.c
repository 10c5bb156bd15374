/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of one run: everything in the ledger from before its start to its end, the chain
 * checked from the first record on. Run by custodyctl. Trusts the chain, no string in a record.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "client.h"
#include "ledger_file.h"
#include "watch.h"

/* Calls take() for each record that is there now. 0 or an exit code. */
static int watch_walk(struct watch *watch,
		      int (*take)(struct watch *watch, const struct record_entry *entry))
{
	struct record_entry entry;
	const char *why = "";
	struct stat st;
	int r;

	while ((r = ledger_reader_next(watch->reader, &entry, &why)) == 0) {
		r = take ? take(watch, &entry) : 0;
		if (r < 0) {
			client_complain("Out of memory.");
			return CUSTODY_EXIT_INTERNAL;
		}
	}
	if (r != -ENODATA && r != -EAGAIN)
		return ledger_file_complain(watch->reader, r, why);
	if (fstat(watch->ledger, &st) < 0 || (__u64)st.st_size < watch->reader->offset) {
		client_complain("The recorder took records back that it could not make durable: "
				"of this run nothing can be said.");
		return CUSTODY_EXIT_INCOMPLETE;
	}
	return CUSTODY_EXIT_DONE;
}

int watch_skip_records(struct watch *watch)
{
	int r = ledger_file_open(watch->options, LEDGER_LOG, &watch->ledger);

	if (r != CUSTODY_EXIT_DONE)
		return r;
	watch->reader = malloc(sizeof(*watch->reader));
	if (!watch->reader)
		return CUSTODY_EXIT_INTERNAL;
	ledger_reader_setup(watch->reader, watch->ledger, 0, 0, NULL, true);
	return watch_walk(watch, NULL);
}

/* Does the event tell of a file that the command had from then on? */
static bool watch_is_file(const struct custody_event *event)
{
	const __u32 memory = POLICY_EXECMAP_ANONYMOUS | POLICY_EXECMAP_MEMFD;

	if (event->verdict == EVENT_DENIED)
		return false;
	if (event->class == POLICY_CLASS_EXECMAP)
		return !(event->access & memory);
	return event->class == POLICY_CLASS_OPEN || event->class == POLICY_CLASS_EXEC ||
	       event->class == POLICY_CLASS_RECEIVE;
}

static int watch_take_event(struct watch *watch, const struct custody_event *event)
{
	struct watch_seen *seen;

	if (!watch_is_file(event))
		return 0;
	if (watch->n_seen == watch->seen_room) {
		const size_t room = watch->seen_room ? 2 * watch->seen_room : 1024;

		seen = reallocarray(watch->seen, room, sizeof(*seen));
		if (!seen)
			return -ENOMEM;
		watch->seen = seen;
		watch->seen_room = room;
	}
	seen = &watch->seen[watch->n_seen++];
	*seen = (struct watch_seen){
		.device = event->device,
		.inode = event->inode,
		.zone = event->flags & EVENT_FLAG_NO_ZONE ? POLICY_OBJECT_NONE : event->object,
		.executed = event->class == POLICY_CLASS_EXEC,
		.writing = event->class == POLICY_CLASS_OPEN &&
			   (event->access & O_ACCMODE) != O_RDONLY,
		.truncated = event->flags & EVENT_FLAG_PATH_TRUNCATED,
	};
	/* record_check() has seen to the NUL, but for a path that fills the field. */
	memcpy(seen->path, event->path, sizeof(seen->path));
	if (seen->path[sizeof(seen->path) - 1] != '\0') {
		seen->path[sizeof(seen->path) - 1] = '\0';
		seen->truncated = true;
	}
	return 0;
}

static bool watch_is_end(const struct record_entry *entry)
{
	return entry->head.type == LEDGER_STATE &&
	       (entry->payload.state.state == JAIL_STATE_STOPPED ||
		entry->payload.state.state == JAIL_STATE_RETIRED);
}

/* A record of the run's own jail, or of none. */
static int watch_take_own(struct watch *watch, const struct record_entry *entry)
{
	switch (entry->head.type) {
	case LEDGER_EVENT: return watch_take_event(watch, &entry->payload.event);
	case LEDGER_COUNTER:
		watch->facts.events_lost += entry->payload.counter.counter.lost;
		return 0;
	case LEDGER_OPENED: /* another recorder: what the one before it knew may be gone */
	case LEDGER_GAP: watch->facts.gaps++; return 0;
	case LEDGER_MEASURED: watch->measured = *entry; return 0;
	default: break;
	}
	if (watch_is_end(entry))
		watch->end = *entry;
	return 0;
}

/* What happens while a jail is built is recorded before its launch, and is custody's own doing. */
static int watch_take_record(struct watch *watch, const struct record_entry *entry)
{
	if (entry->head.type == LEDGER_LAUNCH &&
	    strcmp(entry->payload.launch.name, watch->name) == 0) {
		watch->launch = *entry;
		watch->n_launches++;
		return 0;
	}
	if (watch->n_launches == 0 || watch->end.head.type != 0 ||
	    (entry->head.jail_id != 0 && entry->head.jail_id != watch->launch.head.jail_id))
		return 0;
	return watch_take_own(watch, entry);
}

int watch_take_records(struct watch *watch)
{
	int r = watch_walk(watch, watch_take_record);

	if (r != CUSTODY_EXIT_DONE)
		return r;
	if (watch->n_launches != 1 || watch->end.head.type == 0) {
		client_complain("The ledger has %u launches of %s since it was started, and %s: "
				"nothing can be said of one run.",
				watch->n_launches, client_quote(watch->name).text,
				watch->end.head.type ? "an end" : "no end");
		return CUSTODY_EXIT_INCOMPLETE;
	}
	if (watch->end.payload.state.status != 0) {
		client_complain("The ledger says that the command did not succeed (status %d).",
				watch->end.payload.state.status);
		return CUSTODY_EXIT_INCOMPLETE;
	}
	return CUSTODY_EXIT_DONE;
}
