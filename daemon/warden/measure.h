/* SPDX-License-Identifier: Apache-2.0 */
/* The model before it is launched: measured, judged, compared. Run by custodyd; see measure.c. */
#ifndef CUSTODY_WARDEN_MEASURE_H
#define CUSTODY_WARDEN_MEASURE_H

#include "warden.h"

/*
 * Opens the model's directory, once: a detached mount of it, which nothing on the host can mount
 * over or move. The measurer reads it, the guard learns it, the jail makes its zone of it. 0
 * without a model; a negative errno after sequence_explain().
 */
int measure_open_model(struct jail *jail);

/* Steps of the launch. */
int measure_step_read(struct jail *jail);
int measure_step_compare(struct jail *jail);
void measure_undo(struct jail *jail);
void measure_undo_read(struct jail *jail);	/* of measure_step_read: what failed is recorded */

/* What the measurer says; REFUSED comes by measure_refused(), which records it. */
int measure_message(struct jail *jail, const union message_buffer *buf, struct message_fds *fds);
void measure_refused(struct jail *jail, const char *why);

/*
 * What is kept for the next launch (measure_cache.c). load: the table into known_fd, which stays
 * empty when there is none that holds; *ret_trust: nobody can have written to its files since.
 */
void measure_cache_load(const struct jail *jail, int known_fd, bool *ret_trust);
void measure_cache_save(const struct jail *jail, int table_fd);
void measure_cache_forget(const struct jail *jail);

/* The measurer's inputs (measure_input.c): a sealed memfd of the files that the plan names. */
int measure_make_inputs(struct jail *jail, int *ret_fd);

#endif
