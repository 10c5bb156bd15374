/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl events: what was decided, from the ledger's file. Run as the caller; asks no
 * daemon, checks the chain while it reads. Trusts no string of a record.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "client.h"
#include "ledger_file.h"
#include "record_render.h"

struct events {
	const struct command_options *options;
	const char *name;	/* NULL: every model */
	bool follow;
	int fd;
	struct ledger_names names;
	struct ledger_reader *reader;
};

static bool events_is_shown(__u32 type)
{
	return type == LEDGER_EVENT || type == LEDGER_LAUNCH || type == LEDGER_STATE ||
	       type == LEDGER_GAP || type == LEDGER_VERDICT || type == LEDGER_MEASURED ||
	       type == LEDGER_MODEL || type == LEDGER_CHECKED;
}

/* Names first: what happens while a jail is built is recorded before its launch. */
static int events_collect_names(struct events *events)
{
	struct record_entry entry;
	const char *why = "";
	int r;

	ledger_reader_setup(events->reader, events->fd, 0, 0, NULL, false);
	while ((r = ledger_reader_next(events->reader, &entry, &why)) == 0) {
		if (ledger_names_take(&events->names, &entry) < 0)
			return CUSTODY_EXIT_INTERNAL;
	}
	if (r != -ENODATA && r != -EAGAIN)
		return ledger_file_complain(events->reader, r, why);
	return CUSTODY_EXIT_DONE;
}

/* Some records of no jail say themselves whose they are. */
static const char *events_find_name(const struct events *events, const struct record_entry *entry)
{
	if (entry->head.type == LEDGER_MODEL)
		return entry->payload.model.name;
	if (entry->head.type == LEDGER_MEASURED)
		return entry->payload.measured.name;
	if (entry->head.type == LEDGER_CHECKED)
		return entry->payload.checked.name;
	return ledger_names_find(&events->names, entry->head.jail_id);
}

static bool events_print(struct events *events, const struct record_entry *entry)
{
	const char *name = events_find_name(events, entry);
	char line[RECORD_RENDER_LINE];
	json_t *json;
	bool ok;

	/* a gap of no particular jail is a gap of this one too */
	if (events->name && (!name || strcmp(name, events->name) != 0) &&
	    !(entry->head.type == LEDGER_GAP && entry->head.jail_id == 0))
		return true;
	if (!events->options->json)
		return puts(record_render_line(entry, name, line)) >= 0;
	json = record_render_json(entry, name);
	ok = json && json_dumpf(json, stdout, JSON_COMPACT | JSON_SORT_KEYS) == 0 &&
	     putchar('\n') != EOF;
	json_decref(json);
	return ok;
}

/* Everything there is now. 0, or an exit code. */
static int events_read(struct events *events)
{
	struct record_entry entry;
	const char *why = "";
	int r;

	while ((r = ledger_reader_next(events->reader, &entry, &why)) == 0) {
		if (!ledger_names_find(&events->names, entry.head.jail_id) &&
		    ledger_names_take(&events->names, &entry) < 0)
			return CUSTODY_EXIT_INTERNAL;
		if (events_is_shown(entry.head.type) && !events_print(events, &entry))
			return CUSTODY_EXIT_INTERNAL;
	}
	if (r != -ENODATA && r != -EAGAIN)
		return ledger_file_complain(events->reader, r, why);
	return fflush(stdout) == 0 ? CUSTODY_EXIT_DONE : CUSTODY_EXIT_INTERNAL;
}

static int events_wait(const struct events *events, int notify)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct stat st;

	if (read(notify, buffer, sizeof(buffer)) < 0 && errno != EINTR) {
		client_complain("The ledger cannot be watched: %s.", strerror(errno));
		return CUSTODY_EXIT_INTERNAL;
	}
	if (fstat(events->fd, &st) < 0 || (__u64)st.st_size < events->reader->offset) {
		client_complain("The recorder took records back that it could not make durable; "
				"run this again to see what stands.");
		return CUSTODY_EXIT_INTERNAL;
	}
	return CUSTODY_EXIT_DONE;
}

static int events_follow(struct events *events)
{
	cleanup_fd int notify = inotify_init1(IN_CLOEXEC);
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", events->fd);
	if (notify < 0 || inotify_add_watch(notify, path, IN_MODIFY) < 0) {
		client_complain("The ledger cannot be watched: %s.", strerror(errno));
		return CUSTODY_EXIT_INTERNAL;
	}
	do {
		r = events_read(events);
		if (r == CUSTODY_EXIT_DONE)
			r = events_wait(events, notify);
	} while (r == CUSTODY_EXIT_DONE);
	return r;
}

static int events_run(struct events *events)
{
	int r = events_collect_names(events);

	if (r != CUSTODY_EXIT_DONE)
		return r;
	if (events->name && !events->follow && !ledger_names_has(&events->names, events->name)) {
		client_complain("The ledger knows no model called %s.",
				client_quote(events->name).text);
		return CUSTODY_EXIT_REFUSED;
	}
	ledger_reader_setup(events->reader, events->fd, 0, 0, NULL, true);
	return events->follow ? events_follow(events) : events_read(events);
}

/* "[-f] [NAME]". */
static bool events_parse(int argc, char **argv, struct events *events)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-f") == 0 || strcmp(argv[i], "--follow") == 0) {
			events->follow = true;
		} else if (argv[i][0] == '-' || events->name) {
			client_complain("events takes [-f] [NAME], not %s.",
					client_quote(argv[i]).text);
			return false;
		} else {
			events->name = argv[i];
		}
	}
	return true;
}

int command_events(int argc, char **argv, const struct command_options *options)
{
	cleanup_ptr struct ledger_reader *reader = malloc(sizeof(*reader));
	struct events events = { .options = options, .fd = -1, .reader = reader };
	cleanup_fd int fd = -1;
	int r;

	if (!events_parse(argc, argv, &events))
		return CUSTODY_EXIT_USAGE;
	if (!reader)
		return CUSTODY_EXIT_INTERNAL;
	r = ledger_file_open(options, LEDGER_LOG, &fd);
	if (r != CUSTODY_EXIT_DONE)
		return r;
	events.fd = fd;
	r = events_run(&events);
	ledger_names_free(&events.names);
	return r;
}
