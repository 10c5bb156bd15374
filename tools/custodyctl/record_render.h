/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ledger records in words and in JSON. Run by custodyctl. Pure. Trusts no string of a record:
 * each is escaped.
 */
#ifndef CUSTODYCTL_RECORD_RENDER_H
#define CUSTODYCTL_RECORD_RENDER_H

#include <jansson.h>

#include "record.h"

/*
 * One line without its LF: time, name, verdict or type, then what the record says, separated by
 * blanks; no field of an event holds a blank. name NULL: of no jail, or of one that is not known.
 */
#define RECORD_RENDER_LINE 4096
char *record_render_line(const struct record_entry *entry, const char *name,
			 char ret[RECORD_RENDER_LINE]);

/* One object; keys are documented in custodyctl(1). NULL when out of memory. */
json_t *record_render_json(const struct record_entry *entry, const char *name);

#endif
