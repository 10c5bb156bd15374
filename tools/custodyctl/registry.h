/* SPDX-License-Identifier: Apache-2.0 */
/* custodyctl model register, list, rollback, revoke. Run as the caller. */
#ifndef CUSTODYCTL_REGISTRY_H
#define CUSTODYCTL_REGISTRY_H

#include "client.h"

/* Is it one of these four verbs of `model`? verb may be NULL. */
bool registry_has_verb(const char *verb);

/* argv[1] is the verb. Returns an exit code. */
int command_registry(int argc, char **argv, const struct command_options *options);

/*
 * "NAME" or "NAME@VERSION" into name (size bytes) and *ret_version, 0 for none. False with a
 * complaint.
 */
bool registry_take_version(char *name, size_t size, const char *text, __u32 *ret_version);

#endif
