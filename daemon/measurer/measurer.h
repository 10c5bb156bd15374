/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of custody-measurer share. Trusts custodyd, the kernel, and plan_check(); no byte
 * of model, signature, certificates or statements.
 */
#ifndef CUSTODY_MEASURER_H
#define CUSTODY_MEASURER_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "custody/message.h"
#include "custody/plan.h"
#include "fingerprint.h"
#include "measured.h"
#include "oms.h"

/* A signature as it was given, and what is left out of the manifest because it is it. */
struct measurer_signature {
	const char *text; /* NULL: none; in `map` or in `own` */
	size_t n;
	char *own;
	struct oms_identity identity;
};

struct measurer {
	int channel;
	int model; /* directory: the mount that becomes the jail's zone */
	__u64 id; /* of the request */
	__u32 jail_id;
	bool trust_known;
	bool fingerprinted; /* the fingerprints are asked for */
	const struct custody_plan *plan;
	struct measured_map inputs_map;
	const struct measured_inputs *inputs;
	struct measured_map known_map;
	const struct measured_table *known; /* NULL: nothing is */
	struct measurer_signature signature;

	struct oms_manifest *signed_; /* NULL: not asked for */
	struct oms_manifest *found;
	struct oms_signer signer;

	/* by tree.files' index: sorted by path */
	struct oms_tree tree;
	struct measured_file *files;
	struct measured_piece *pieces;
	size_t n_pieces;
	size_t room;
	__u64 read; /* bytes */
	struct fingerprint_index fingerprints;
	__u64 told_ms; /* CLOCK_MONOTONIC, of the last progress */
	__u32 formats; /* enum custody_format mask: found */
	bool pickles;
	__u32 attestations; /* required and there */
	__u64 listed; /* files that the digest is over ... */
	__u64 listed_bytes;
	__u32 unlisted; /* ... and those that it leaves out, but for the signature */

	char why[CUSTODY_TEXT_SIZE]; /* of the refusal */
};

/*
 * The steps return 0, or a negative errno after they have said why with measurer_refuse(). The
 * first reason stays.
 */
int measurer_refuse(struct measurer *m, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* "FILE:LINE [model] key", or the words if there is no such line. */
const char *measurer_origin(const struct measurer *m, struct plan_string origin);

/* ---- identity.c ---- */

/* What the kernel says of an open file; name and pieces are left alone. 0 or -errno. */
int identity_read(int fd, struct measured_file *ret);

/* ---- measure.c: every file of the model ---- */
int measure_list(struct measurer *m);
int measure_files(struct measurer *m);
int measure_check_again(struct measurer *m);
void measure_free(struct measurer *m);

/* The digest is over this file too: it is neither the signature nor left out by name. */
bool measure_is_listed(const struct measurer *m, const char *path, const struct oms_file *file);

/* ---- admit.c ---- */
int admit_read_signature(struct measurer *m); /* before the files: it says how they are hashed */
int admit_check_formats(struct measurer *m);
int admit_check_manifest(struct measurer *m);
int admit_check_attestations(struct measurer *m);

/* ---- table.c ---- */
int table_make(const struct measurer *m, int *ret_fd); /* sealed */
int table_make_index(const struct measurer *m, int *ret_fd); /* likewise; empty: not asked for */

/* ---- compare.c: the model again, through the mount that is the jail's by now ---- */
int compare_model(struct measurer *m);

#endif
