/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One version of a registered model, as processes tell each other: custodyctl prints it, custodyd
 * decides by it, and the planner, which alone reads and writes the registry's text
 * (/var/lib/custody/models/NAME/registry.json), fills it in.
 *
 * Text fields end in NUL and hold valid UTF-8 without control characters, or the planner refuses.
 */
#ifndef CUSTODY_MODEL_H
#define CUSTODY_MODEL_H

#include <linux/types.h>

#include "custody/limits.h"

#define MODEL_WHY_SIZE 256
#define MODEL_SIGNER_SIZE 512
#define MODEL_NOBODY 0xffffffffU	/* model_mark.uid: nobody asked for it */

#define REGISTRY_MODELS_MAX 128		/* on one host */
#define REGISTRY_VERSIONS_MAX 64	/* of one model; numbered from 1, never used again */
#define REGISTRY_TEXT_MAX (1U << 20)	/* bytes of one registry.json */
#define REGISTRY_FILE "registry.json"

/* Something that happened to a version once. time_s 0: it did not. */
struct model_mark {
	__u64 time_s;			/* CLOCK_REALTIME */
	__u32 uid;			/* who asked, or MODEL_NOBODY */
	__u32 pad;
	char why[MODEL_WHY_SIZE];
};

struct model_version {
	__u32 version;
	__u32 current;			/* 1: this is what `start NAME` starts */
	char name[CUSTODY_NAME_SIZE];
	char profile[CUSTODY_NAME_SIZE];
	__u8 digest[CUSTODY_DIGEST_SIZE];	/* OMS root digest of the directory */
	char directory[CUSTODY_PATH_SIZE];
	char signature[CUSTODY_PATH_SIZE];	/* file; empty: none */
	char card[CUSTODY_PATH_SIZE];		/* likewise */
	char fingerprints[CUSTODY_PATH_SIZE];	/* index (fingerprint.h); likewise */
	char signer[MODEL_SIGNER_SIZE];		/* whose signature was good; empty: not checked */
	struct model_mark registered;
	struct model_mark served;		/* the first time that it served well */
	struct model_mark retired;
	struct model_mark revoked;
	__u8 fingerprints_digest[CUSTODY_DIGEST_SIZE];	/* SHA-256 of that file; zeros: none */
};

_Static_assert(sizeof(struct model_mark) == 272, "model_mark has no hidden padding");
_Static_assert(sizeof(struct model_version) == 5896, "model_version has no hidden padding");

#endif
