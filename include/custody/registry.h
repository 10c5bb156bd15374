/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages about the registry of models (custody/message.h has the table): what custodyctl asks,
 * what custodyd asks a planner, and what they answer.
 */
#ifndef CUSTODY_REGISTRY_H
#define CUSTODY_REGISTRY_H

#include <linux/types.h>

#include "custody/evidence.h"
#include "custody/limits.h"
#include "custody/message_head.h"
#include "custody/model.h"

/* What can be asked of the registry; those up to REVOKE by custodyctl. */
enum registry_verb {
	REGISTRY_LIST = 1,	/* NAME: its versions; no name: the current version of each */
	REGISTRY_ADD,
	REGISTRY_ROLLBACK,
	REGISTRY_REVOKE,
	REGISTRY_FIND,		/* what a start means; refused when it may not be started */
	REGISTRY_SERVED,
	REGISTRY_RETIRE,
	REGISTRY_FINGERPRINT,	/* add.fingerprints and its digest, of one that has none yet */
	_REGISTRY_VERB_MAX,
};

struct request_model {
	struct message_head head;
	struct message_peer peer;
	__u32 verb;		/* enum registry_verb */
	__u32 version;		/* 0: the current one */
	__u32 running;		/* REGISTRY_ROLLBACK: 1: also when the model runs */
	__u32 pad;
	char name[CUSTODY_NAME_SIZE];
	/* REGISTRY_ADD; empty: the profile called like the model; no signature, no card */
	char profile[CUSTODY_NAME_SIZE];
	char directory[CUSTODY_PATH_SIZE];
	char signature[CUSTODY_PATH_SIZE];
	char card[CUSTODY_PATH_SIZE];
	char why[MODEL_WHY_SIZE];	/* REGISTRY_REVOKE */
};

struct reply_model {
	struct message_head head;
	struct model_version model;
};

struct registry_request {
	struct message_head head;
	__u32 verb;		/* enum registry_verb */
	__u32 version;		/* 0: the current one */
	struct model_mark mark;	/* when, who and why: of what is to be written */
	struct model_version add;	/* name; REGISTRY_ADD: all but version, current and marks */
};

struct registry_row {
	struct message_head head;
	struct model_version model;
};

/* It is so already, or was only asked for. */
struct registry_answer {
	struct message_head head;
	struct model_version model;	/* version 0 after REGISTRY_LIST */
};

/* It will be so when the text is in place; fd: a sealed memfd, at most REGISTRY_TEXT_MAX. */
struct registry_text {
	struct message_head head;
	struct model_version model;
};

struct record_model {
	struct message_head head;
	struct ledger_model model;
};

#endif
