/* SPDX-License-Identifier: Apache-2.0 */
/* custodyctl model attest and model verify-attestation. Run by custodyctl. Trusts no content. */
#ifndef CUSTODYCTL_MODEL_ATTEST_H
#define CUSTODYCTL_MODEL_ATTEST_H

#include "command.h"

/* argv[0] is "model", argv[1] one of the two. An enum custody_exit. */
int model_attest(int argc, char **argv, const struct command_options *options);

#endif
