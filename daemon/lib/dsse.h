/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DSSE v1.0 envelopes (secure-systems-lab/dsse) with one Ed25519 signature:
 *
 *   {"payload":"<base64>","payloadType":"<type>","signatures":[{"keyid":"<hex>","sig":"<base64>"}]}
 *
 * written in one way only: keys sorted, no white space, standard base64, one LF at the end.
 * dsse_open() refuses every other way of writing it, also those that DSSE would let pass, so
 * that no byte of an evidence file can change unnoticed. Pure. Trusts nothing.
 */
#ifndef CUSTODY_DSSE_H
#define CUSTODY_DSSE_H

#include <stddef.h>

#include "key.h"

#define DSSE_TYPE_INTOTO "application/vnd.in-toto+json"

/*
 * What is signed: PAE(type, payload) = "DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload.
 * 0 with n bytes to free(); -ENOMEM, -EIO.
 */
int dsse_print_pae(const char *type, const void *payload, size_t n, char **ret, size_t *ret_n);

/* The signed envelope as text with a NUL; free() it. 0, -ENOMEM, -EIO. */
int dsse_seal(const char *type, const void *payload, size_t n, const struct key *key, char **ret,
	      size_t *ret_n);

/*
 * Checks form, type, keyid and signature of an envelope that is exactly n bytes. 0 with the
 * payload (NUL after it, free() it); -EBADMSG with *ret_why and *ret_offset; -ENOMEM.
 */
int dsse_open(const char *text, size_t n, const char *type, const struct key *key, char **ret,
	      size_t *ret_n, const char **ret_why, size_t *ret_offset);

#endif
