/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Ed25519 key that signs ledger heads and retirement statements, and its public half.
 * The private half exists only in the recorder and in the key file that custodyd opened for it;
 * custodyctl and custody-verify hold public halves.
 */
#ifndef CUSTODY_KEY_H
#define CUSTODY_KEY_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#define KEY_PUBLIC_SIZE		32
#define KEY_SIGNATURE_SIZE	64
/* hex of SHA-256 of the DER SubjectPublicKeyInfo, and NUL */
#define KEY_ID_SIZE		65
#define KEY_FILE_MAX		4096

struct key;

/*
 * Reads the PEM private key (PKCS #8, Ed25519, not encrypted) from fd. An empty file gets a new
 * key, written and synced through fd, and *ret_made = true. 0; -EBADMSG when the file holds
 * anything else (it is not touched); -errno. Free with key_free().
 */
int key_open(int fd, struct key **ret, bool *ret_made);

/*
 * A public key from text: PEM SubjectPublicKeyInfo of an Ed25519 key, or one line of signed-note
 * vkey ("name+hash+base64"), whose key hash must be right. 0, -EBADMSG, -ENOMEM.
 */
int key_parse_public(const char *text, size_t n, struct key **ret);

/* A new key in memory, for tests. */
int key_make(struct key **ret);

void key_free(struct key **key);
#define cleanup_key __attribute__((cleanup(key_free)))

/* Ed25519 (RFC 8032, pure) over n bytes. 0 or -EIO. */
int key_sign(const struct key *key, const void *data, size_t n, __u8 ret[KEY_SIGNATURE_SIZE]);
bool key_verify(const struct key *key, const void *data, size_t n,
		const __u8 signature[KEY_SIGNATURE_SIZE]);

/* Lower hex SHA-256 of the SubjectPublicKeyInfo: the DSSE keyid. */
const char *key_id(const struct key *key);

/* The name in the vkey that this key was read from; NULL for a PEM key. */
const char *key_name(const struct key *key);

/* signed-note key id of this key under a name: SHA-256(name || LF || 0x01 || public)[:4]. */
void key_hash_note(const struct key *key, const char *name, __u8 ret[4]);

/* Public half as PEM or as a vkey line (both end in LF) with a NUL. 0 or -ENOBUFS. */
int key_print_pem(const struct key *key, char *ret, size_t size);
int key_print_vkey(const struct key *key, const char *name, char *ret, size_t size);

#endif
