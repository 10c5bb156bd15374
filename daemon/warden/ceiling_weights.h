/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the weights weigh, for `egress-total = auto`. Run by custodyd at launch. Trusts no file's
 * own word about its size: a file that is larger than what is stored of it counts as stored.
 */
#ifndef CUSTODY_WARDEN_CEILING_WEIGHTS_H
#define CUSTODY_WARDEN_CEILING_WEIGHTS_H

#include <linux/types.h>

/*
 * `auto` is this part of the weights. Compressed without loss, weights of 16 bits come to about
 * two thirds, and at the fewest bits that still make a usable model (between one and two for each
 * weight) to a tenth. A 32nd is half a bit for each such weight, an eighth for those that are
 * stored in four.
 */
#define CEILING_WEIGHTS_PART 32U
#define CEILING_WEIGHTS_MIN (256ULL << 10)	/* bytes: less is no ceiling, but a refusal */

/*
 * Bytes of the regular files below the directory, links not followed. 0, -E2BIG when there are
 * more than 131072 entries, or -errno when one could not be looked at.
 */
int ceiling_weights_measure(const char *path, __u64 *ret);

#endif
