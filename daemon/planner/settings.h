/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every setting of a profile, once. Run by the planner on untrusted text; pure but for memory.
 *
 * SETTING(section, key, type, member, default, help)
 * One row, one line: it gives the member of struct settings, the parser and canonical printer
 * (by type), the default (in the syntax of the profile; "" = not set) and, by lint, an entry
 * in custody.profile(5) and a test.
 */
#ifndef CUSTODY_PLANNER_SETTINGS_H
#define CUSTODY_PLANNER_SETTINGS_H

#include <stdbool.h>
#include <stdio.h>

#include "problems.h"
#include "words.h"

/* clang-format off */
#define SETTINGS(SETTING) \
	SETTING("profile", "extends", NAME, extends, "", "profile that gives the rest") \
	SETTING("profile", "description", TEXT, description, "", "one line for people") \
	SETTING("model", "path", PATH, model_path, "", "directory: the zone weights") \
	SETTING("model", "require-signature", YES, require_signature, "no", "verify first") \
	SETTING("model", "trusted-keys", PATHS, trusted_keys, "", "keys that may have signed it") \
	SETTING("model", "formats", FORMATS, formats, "", "file formats that may be loaded") \
	SETTING("model", "signature", PATH, signature, "", "not model.sig in the model") \
	SETTING("model", "allow-pickle", YES, allow_pickle, "no", "files that are programs") \
	SETTING("model", "require-attestation", ATTESTATIONS, attestation, "none", "TYPE by KEY") \
	SETTING("model", "attestations", PATH, attestations, "", "directory of statements") \
	SETTING("model", "measure", YES, measure, "no", "digest of every file at each start") \
	SETTING("model", "check", CHECKS, check, "none", "programs that must accept it") \
	SETTING("model", "check-timeout", TIMEOUT, check_timeout, "10m", "of each of them") \
	SETTING("process", "command", COMMAND, command, "", "program and arguments") \
	SETTING("process", "environment", ENVIRONMENT, environment, "none", "NAME=VALUE") \
	SETTING("process", "workdir", PATH, workdir, "/", "directory the program starts in") \
	SETTING("process", "memfd", YES, memfd, "no", "memfd_create allowed") \
	SETTING("process", "programs", OPTIONAL_PATHS, programs, "none", "run besides the command") \
	SETTING("files", "read", OPTIONAL_PATHS, read, "none", "programs: read and run") \
	SETTING("files", "data", OPTIONAL_PATHS, data, "none", "read only, never run") \
	SETTING("files", "write", PATHS, write, "none", "outputs that outlive the jail") \
	SETTING("files", "scratch", SIZE, scratch, "64M", "private tmpfs at /scratch") \
	SETTING("files", "tmp", SIZE, tmp, "none", "private tmpfs at /tmp") \
	SETTING("files", "shm", SIZE, shm, "none", "private tmpfs at /dev/shm") \
	SETTING("files", "jit", YES, jit, "no", "anonymous executable memory") \
	SETTING("network", "listen", LISTEN, listen, "none", "published endpoints") \
	SETTING("network", "egress", EGRESS, egress, "none", "destinations to connect to") \
	SETTING("network", "refuse", REFUSE, refuse, "", "errno of a connect that is not listed") \
	SETTING("network", "egress-rate", RATE, egress_rate, "", "most bytes in a second") \
	SETTING("network", "egress-total", TOTAL, egress_total, "", "most bytes ever sent") \
	SETTING("network", "on-rate", ON_CEILING, on_rate, "", "when egress-rate is reached") \
	SETTING("network", "on-ceiling", ON_CEILING, on_ceiling, "", "when egress-total is") \
	SETTING("network", "loopback", YES, loopback, "no", "private loopback") \
	SETTING("gpu", "devices", DEVICES, devices, "none", "GPU nodes") \
	SETTING("gpu", "ioctls", IOCTLS, ioctls, "all", "ioctl commands on them") \
	SETTING("limits", "memory", MEMORY, memory, "none", "bytes of the whole jail") \
	SETTING("limits", "memory-high", MEMORY, memory_high, "none", "slowed down from here") \
	SETTING("limits", "processes", COUNT, processes, "256", "tasks, threads included") \
	SETTING("limits", "cpu", PERCENT, cpu, "none", "100% is one core") \
	SETTING("limits", "io-read", DISK_RATE, io_read, "none", "bytes a second, each disk") \
	SETTING("limits", "io-write", DISK_RATE, io_write, "none", "bytes a second, each disk") \
	SETTING("limits", "open-files", COUNT, open_files, "1024", "descriptors of a process") \
	SETTING("syscalls", "set", SYSCALLS, syscalls, "model-server", "allow-list") \
	SETTING("require", "planes", PLANES, planes, "structure cgroup", "planes needed") \
	SETTING("evidence", "on-loss", ON_LOSS, on_loss, "record", "answer to lost evidence") \
	SETTING("evidence", "retain", DAYS, retain, "180d", "how long evidence is kept") \
	SETTING("retire", "drain-timeout", TIMEOUT, drain_timeout, "60s", "for connections") \
	SETTING("retire", "scan", SCAN, scan, "none", "where to look for copies") \
	SETTING("retire", "erase", ERASE, erase, "memory", "how scratch is erased")
/* clang-format on */

#define SETTING_TYPES(TYPE)                                                                        \
	TYPE(NAME)                                                                                 \
	TYPE(TEXT) TYPE(PATH) TYPE(PATHS) TYPE(OPTIONAL_PATHS) TYPE(YES) TYPE(FORMATS)             \
		TYPE(COMMAND) TYPE(ENVIRONMENT) TYPE(SIZE) TYPE(MEMORY) TYPE(LISTEN) TYPE(EGRESS)  \
			TYPE(RATE) TYPE(TOTAL) TYPE(ON_CEILING) TYPE(DEVICES) TYPE(IOCTLS)         \
				TYPE(COUNT) TYPE(PERCENT) TYPE(SYSCALLS) TYPE(PLANES)              \
					TYPE(ON_LOSS) TYPE(DAYS) TYPE(TIMEOUT) TYPE(SCAN)          \
						TYPE(ERASE) TYPE(REFUSE) TYPE(DISK_RATE)   \
							TYPE(ATTESTATIONS) TYPE(CHECKS)

enum setting_type_id {
#define SETTING_TYPE_ENUM(type) SETTING_TYPE_##type,
	SETTING_TYPES(SETTING_TYPE_ENUM)
#undef SETTING_TYPE_ENUM
		_SETTING_TYPE_MAX,
};

/* One value: its words as written, and what they mean when that is a number. */
struct setting_value {
	struct words words; /* TEXT: one word, blanks and all */
	__u64 number;	    /* bytes, seconds, count, percent, 1 = yes, mask or choice from 1 */
	struct place place;
	bool set;
	bool append; /* "key += ..." */
};

struct settings {
#define SETTING_MEMBER(section, key, type, member, fallback, help) struct setting_value member;
	SETTINGS(SETTING_MEMBER)
#undef SETTING_MEMBER
};

struct setting_row {
	const char *section;
	const char *key;
	enum setting_type_id type;
	size_t offset; /* of the member in struct settings */
	const char *fallback;
	const char *help;
};

/* How a type is read and printed (types.c). */
struct setting_type {
	const char *form;    /* what is expected, for messages */
	const char *choices; /* words that are allowed, by blanks; NULL: not a choice */
	bool list;	     /* more than one word, "+=", lines that go on */
	bool none;	     /* the word none, alone, is nothing */
	/* Reads one word into value->number where it has one. 0, -EINVAL or -ERANGE. */
	int (*check)(const struct setting_type *type, const char *word,
		     struct setting_value *value);
	/* Prints the number; NULL: the words are printed. */
	void (*print)(FILE *out, __u64 number);
};
extern const struct setting_type setting_types[_SETTING_TYPE_MAX];

extern const struct setting_row setting_rows[];
extern const size_t setting_rows_n;

/* NULL when there is none. */
const struct setting_row *settings_find_row(const char *section, const char *key);

/* There is a row with this section. */
bool settings_is_section(const char *section);

/* "unknown key ..., did you mean ...?" for a section and key without a row. */
void settings_explain_unknown(const char *section, const char *key, char *ret, size_t size);

struct setting_value *settings_find_value(struct settings *settings, const struct setting_row *row);

/* Reads the words of a value that was set, adding problems. Sets number. */
void settings_check_value(const struct setting_row *row, struct setting_value *value,
			  struct problems *problems);

/* The defaults of the table. */
void settings_set_defaults(struct settings *settings, struct problems *problems);

/* What `from` sets replaces or extends what stands in `to`; `from` is empty then. */
void settings_merge(struct settings *to, struct settings *from, struct problems *problems);

/* Nothing is set, or the one word none. */
bool settings_is_none(const struct setting_value *value);

/* The word is the first of its line. */
bool settings_begins_line(const struct setting_value *value, size_t index);

/* One value as in a profile, without its key. */
void settings_print_value(FILE *out, const struct setting_row *row,
			  const struct setting_value *value);

/*
 * The canonical print: every setting that has a value, defaults included, in the order of the
 * table, without [profile] extends. Parses to the same settings.
 */
void settings_print(FILE *out, const struct settings *settings);

void settings_clear(struct settings *settings);

#endif
