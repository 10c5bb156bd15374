/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of the registry, from the ledger, in words and in JSON. Run by custodyctl. Pure. */
#ifndef CUSTODYCTL_RENDER_MODEL_H
#define CUSTODYCTL_RENDER_MODEL_H

#include <jansson.h>
#include <stddef.h>

#include "custody/evidence.h"

/* "model     digits@2 revoked, by uid 0: it leaks" into ret. */
void render_model_line(const struct ledger_model *model, char *ret, size_t size);

/* New reference; NULL: out of memory. */
json_t *render_model_json(const struct ledger_model *model);

#endif
