/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an event's numbers mean: its object and its access, by class. Run by custodyctl. Pure.
 * A number without a word is shown as a number; an empty text means that there is nothing to say.
 */
#ifndef CUSTODYCTL_EVENT_WORDS_H
#define CUSTODYCTL_EVENT_WORDS_H

#include <stddef.h>

#include "custody/event.h"

#define EVENT_WORDS_SIZE 96

/* "artifact", "signal", "ptrace", ...: class GUARD, TASK and LIMIT. */
void event_words_object(const struct custody_event *event, char ret[EVENT_WORDS_SIZE]);

/* "rename", "r-x,memfd", "SIGKILL", "receive", ...: class CHANGE, EXECMAP, TASK and GUARD. */
void event_words_access(const struct custody_event *event, char ret[EVENT_WORDS_SIZE]);

#endif
