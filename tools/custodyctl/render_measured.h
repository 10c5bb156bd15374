/* SPDX-License-Identifier: Apache-2.0 */
/* What was found of a model before it started, in words and as JSON. Run by custodyctl. */
#ifndef CUSTODY_RENDER_MEASURED_H
#define CUSTODY_RENDER_MEASURED_H

#include <jansson.h>

#include "custody/evidence.h"

#define RENDER_MEASURED 1024
#define RENDER_DIGEST_SHORT 13 /* twelve digits of the digest, and NUL */

/* "sha256:...: 3 files, 4.1G, signed by key ..."; of a refusal, why. */
void render_measured_line(const struct ledger_measured *measured, char ret[RENDER_MEASURED]);

/* The first digits of the digest, for a column; "-" when it was not measured. */
void render_measured_short(const struct ledger_measured *measured, char ret[RENDER_DIGEST_SHORT]);

/* null when it was not measured. */
json_t *render_measured_json(const struct ledger_measured *measured);

/* "passed: /usr/bin/clamscan ..."; of a refusal, why. */
void render_checked_line(const struct ledger_checked *checked, char ret[RENDER_MEASURED]);
json_t *render_checked_json(const struct ledger_checked *checked);

/* An array of those that were passed. */
json_t *render_checks_json(const struct ledger_checked *checks, size_t n);

#endif
