/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl run --attest: what a command in custody was made from, signed when it has ended.
 * Run by custodyctl, as the caller, which alone holds the key. Trusts the ledger as far as its
 * chain goes, and no path in it: a file is what device and inode say.
 *
 *   watch_prepare()   before the start: everything that could make the signing fail is tried
 *   the command runs  custodyd measures the model, the kernel tells what is opened and executed
 *   watch_conclude()  records -> files -> digests -> statement (daemon/lib/provenance.h)
 *
 * W1  What was opened is what the kernel said it was: no file is named an input, and no output is
 *     taken for the command's, but by device and inode.
 * W2  An input is as it was: its last change (ctime) came before the start.
 * W3  Outputs are the command's alone: their directories were empty before the start.
 * W4  What W1 to W3 cannot be said of is counted, and the statement then is not complete.
 */
#ifndef CUSTODYCTL_WATCH_H
#define CUSTODYCTL_WATCH_H

#include <time.h>

#include "command.h"
#include "ledger.h"
#include "oms.h"
#include "provenance.h"

#define WATCH_ROOTS_MAX CUSTODY_ZONES_MAX

enum watch_kind {
	WATCH_MODEL,
	WATCH_RUNTIME, /* files.read */
	WATCH_DATA, /* files.data */
	WATCH_OUTPUT, /* files.write */
};

/* A directory or file of the host that is a zone of the jail. */
struct watch_root {
	enum watch_kind kind;
	char *path;
	int fd; /* O_PATH */
	bool is_directory;
	bool used; /* something in it was opened */
	__u64 device; /* of its file system, as events have it */
	__u64 inode;
};

/* A file that the command opened or executed, as one event told. */
struct watch_seen {
	__u64 device;
	__u64 inode;
	__u32 zone; /* POLICY_OBJECT_NONE: in none */
	bool executed;
	bool writing; /* opened to be written */
	bool truncated; /* the path is not whole */
	char path[CUSTODY_EVENT_PATH_SIZE]; /* in its zone; "/a/b" */
};

struct watch_files {
	struct provenance_file *list;
	size_t n;
	size_t room;
};

/* A file that lies in a directory of results, or, without a path, the directory. */
struct watch_made {
	__u64 device;
	__u64 inode;
	char *path; /* in its zone; "/a/b" */
};

struct watch_subject {
	char *name;
	__u8 digest[OMS_DIGEST_SIZE];
};

struct watch {
	const struct command_options *options;
	const char *key_path;
	char *output; /* where the statement goes */
	const char *name; /* of the run */
	const char *profile;
	const char *model; /* NULL: none */
	const char *const *command;
	size_t n_command;
	struct oms_key *key;
	__u8 profile_digest[OMS_DIGEST_SIZE];
	char *profile_model; /* model.path of the profile */
	bool profile_sees; /* it requires a plane that sees opens */
	bool network;
	struct watch_root roots[WATCH_ROOTS_MAX];
	size_t n_roots;
	int ledger;
	struct ledger_reader *reader; /* stands behind the last record before the start */
	struct timespec started; /* CLOCK_REALTIME; whatever changes later has a later ctime */
	struct timespec booted; /* CLOCK_BOOTTIME at the same moment */
	/* of the records */
	unsigned int n_launches;
	struct record_entry launch;
	struct record_entry measured; /* head.type 0: none */
	struct record_entry end; /* likewise */
	struct watch_seen *seen;
	size_t n_seen;
	size_t seen_room;
	bool zone_is_input[CUSTODY_ZONES_MAX];
	bool zone_is_output[CUSTODY_ZONES_MAX];
	/* of the files */
	struct watch_files inputs;
	struct watch_files outputs;
	struct watch_made *made; /* sorted by device and inode */
	size_t n_made;
	struct watch_subject subjects[WATCH_ROOTS_MAX];
	size_t n_subjects;
	struct provenance facts;
};

/*
 * key, output (NULL: beside the directory of results), name, profile, model and command are set.
 * 0, or an exit code with a complaint: nothing must be started then.
 */
int watch_prepare(struct watch *watch, const char *output);

/*
 * The command has ended with status 0. 0 with the statement written; CUSTODY_EXIT_INCOMPLETE when
 * it was written and is not complete; another exit code when there is none.
 */
int watch_conclude(struct watch *watch);

void watch_free(struct watch *watch);

/* ---- its parts ---- */

/* The profile's digest, zones and endpoints (watch_profile.c). 0 or an exit code. */
int watch_read_profile(struct watch *watch);

/* The ledger up to now; and what came since, of the run (watch_ledger.c). 0 or an exit code. */
int watch_skip_records(struct watch *watch);
int watch_take_records(struct watch *watch);

/* Outputs must be empty before the start; their digests after the end (watch_output.c). */
int watch_check_outputs(const struct watch *watch);
int watch_read_outputs(struct watch *watch);
bool watch_is_made(const struct watch *watch, __u64 device, __u64 inode);

/* What was opened, found again and read (watch_input.c). 0 or an exit code. */
int watch_read_inputs(struct watch *watch);

/* Takes path over; -ENOMEM. */
int watch_add_file(struct watch_files *files, const char *kind, char *path,
		   const __u8 digest[OMS_DIGEST_SIZE]);

/* True when the time is not after the start (W2). */
bool watch_is_before(const struct watch *watch, const struct timespec *when);

/* The device number of the file system that fd lies on, as events have it. 0 or -errno. */
int watch_read_device(int fd, __u64 *ret);

#endif
