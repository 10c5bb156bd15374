/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command in custody was made from: the predicate of an in-toto statement (SLSA provenance
 * v1) about the directories that it wrote. Made by custodyctl from the ledger's records and from
 * the files that they name; looked at by the measurer, which lets no model in by a statement that
 * says of itself that something is missing. Pure: no global state, no clock, no file.
 *
 * buildDefinition.buildType            PROVENANCE_BUILD_TYPE
 * ....externalParameters               command (words), profile (name), model (directory, if any)
 * ....resolvedDependencies             each {uri, digest.sha256, annotations.kind}:
 *                                        profile   its canonical text (custodyctl profile show)
 *                                        model     root digest of model.path as it was measured
 *                                        dataset   root digest of a directory of files.data
 *                                        program   executed
 *                                        runtime   opened below files.read: libraries, modules
 *                                        input     opened below the model or files.data
 * runDetails.builder                   id: PROVENANCE_BUILDER, or, when it is not complete,
 *                                        PROVENANCE_BUILDER_PART; version.custody
 * runDetails.metadata                  invocationId, startedOn, finishedOn (of the ledger)
 * runDetails.byproducts                every file below files.write: kind output
 * custody_run                          an extension, see below
 *
 * custody_run: complete; missing (sentences, empty when complete); name, jail, exitStatus, stdin;
 * planes {active, required}; losses {events, gaps}; unidentified, changed, outside, unseen
 * (counts, see struct provenance); planDigest; ledger {key, launch, end, records, head}; measured
 * {digest, files, bytes} or null.
 *
 * URIs are file:///PATH with every byte but letters, digits and "-._~/" as %XX.
 */
#ifndef CUSTODY_PROVENANCE_H
#define CUSTODY_PROVENANCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "custody/evidence.h"

#define PROVENANCE_TYPE "https://slsa.dev/provenance/v1"
#define PROVENANCE_BUILD_TYPE "urn:custody:buildtype:jail:v1"
#define PROVENANCE_BUILDER "urn:custody:builder:complete:v1"
#define PROVENANCE_BUILDER_PART "urn:custody:builder:incomplete:v1"
#define PROVENANCE_EXTENSION "custody_run"

struct provenance_file {
	const char *kind;
	char *path; /* absolute */
	__u8 digest[CUSTODY_DIGEST_SIZE];
};

struct provenance {
	const char *version; /* of custody */
	const char *const *command;
	size_t n_command;
	const char *model; /* NULL: none */
	const struct provenance_file *inputs;
	size_t n_inputs;
	const struct provenance_file *outputs;
	size_t n_outputs;
	const struct ledger_launch *launch;
	const struct ledger_measured *measured; /* NULL: there is no model */
	const char *ledger_key; /* its id */
	__u64 launch_seq;
	__u64 launch_ns; /* CLOCK_REALTIME, of the ledger */
	__u64 end_seq;
	__u64 end_ns;
	__u64 records; /* in the ledger, and the hash of the last */
	__u8 head[CUSTODY_DIGEST_SIZE];
	/* What keeps it from being complete. */
	__u64 events_lost;
	__u64 gaps; /* records of the ledger that say so */
	__u64 unidentified; /* files that were opened, and are not to be found any more */
	__u64 changed; /* inputs that were changed after the start */
	__u64 outside; /* files that were opened and lie in no zone of the profile */
	__u64 unseen; /* outputs that the kernel did not see the command open for writing */
	bool network; /* the profile has endpoints */
	bool clock; /* it was set back: what is said of "changed" is worth nothing */
};

/* Nothing of the above is missing, and a plane that sees opens was in force. */
bool provenance_is_whole(const struct provenance *p);

/* A new reference; NULL when out of memory. Says "complete" only when provenance_is_whole(). */
json_t *provenance_make(const struct provenance *p);

/*
 * False for a predicate that custody made, or seems to have made, and that does not say that it is
 * complete. True for every other one: what others leave out is theirs to say.
 */
bool provenance_may_admit(const json_t *predicate);

#endif
