/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's files as custodyctl reads them: without custodyd, without changing a byte. Run as
 * the caller. Trusts nothing in them.
 */
#ifndef CUSTODYCTL_LEDGER_FILE_H
#define CUSTODYCTL_LEDGER_FILE_H

#include "command.h"
#include "ledger.h"

/* Opens a file of the ledger directory. 0 with *ret_fd, or an exit code with a complaint. */
int ledger_file_open(const struct command_options *options, const char *name, int *ret_fd);

/* All bytes of such a file, NUL after them; free() it. The same answers. */
int ledger_file_read(const struct command_options *options, const char *name, size_t max,
		     char **ret, size_t *ret_n);

/* Complains about a record that is wrong, naming number, byte and check. CUSTODY_EXIT_FALSE. */
int ledger_file_complain(const struct ledger_reader *reader, int error, const char *why);

/* Which name a jail has: from its launch record. */
struct ledger_names {
	struct ledger_name {
		__u32 jail_id;
		char name[CUSTODY_NAME_SIZE];
	} *rows;
	size_t n;
};

int ledger_names_add(struct ledger_names *names, const struct ledger_launch *launch);

/* The name in a record that has one: of a launch, or of one that was refused. 0 or -ENOMEM. */
int ledger_names_take(struct ledger_names *names, const struct record_entry *entry);
const char *ledger_names_find(const struct ledger_names *names, __u32 jail_id);
bool ledger_names_has(const struct ledger_names *names, const char *name);
void ledger_names_free(struct ledger_names *names);

#endif
