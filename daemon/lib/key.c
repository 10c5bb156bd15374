/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ed25519 keys by libcrypto: PEM files, signed-note vkeys (C2SP signed-note), signatures. Run by
 * the recorder (private half), custodyctl and custody-verify (public half). Trusts the fd it is
 * given for the private key; public keys are checked.
 */
#include "key.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base64.h"
#include "cleanup.h"

#define KEY_NOTE_ED25519 0x01

struct key {
	EVP_PKEY *pkey;
	__u8 public[KEY_PUBLIC_SIZE];
	char id[KEY_ID_SIZE];
	char *name;
};

static void key_free_bio(BIO **bio)
{
	BIO_free_all(*bio);
}
#define cleanup_bio __attribute__((cleanup(key_free_bio)))

static void key_free_pkey(EVP_PKEY **pkey)
{
	EVP_PKEY_free(*pkey);
}
#define cleanup_pkey __attribute__((cleanup(key_free_pkey)))

static void key_free_context(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}
#define cleanup_context __attribute__((cleanup(key_free_context)))

void key_free(struct key **key)
{
	if (!*key)
		return;
	EVP_PKEY_free((*key)->pkey);
	free((*key)->name);
	free(*key);
	*key = NULL;
}

/* Takes over *pkey on success. */
static int key_wrap(EVP_PKEY **pkey, struct key **ret)
{
	cleanup_key struct key *key = NULL;
	__u8 digest[SHA256_DIGEST_LENGTH];
	size_t n = KEY_PUBLIC_SIZE;
	unsigned char *der = NULL;
	int der_size;

	if (EVP_PKEY_get_id(*pkey) != EVP_PKEY_ED25519)
		return -EBADMSG;
	key = calloc(1, sizeof(*key));
	if (!key)
		return -ENOMEM;
	if (EVP_PKEY_get_raw_public_key(*pkey, key->public, &n) != 1 || n != KEY_PUBLIC_SIZE)
		return -EBADMSG;
	der_size = i2d_PUBKEY(*pkey, &der);
	if (der_size <= 0)
		return -ENOMEM;
	(void)SHA256(der, (size_t)der_size, digest);
	OPENSSL_free(der);
	for (size_t i = 0; i < sizeof(digest); i++)
		(void)snprintf(key->id + 2 * i, 3, "%02x", digest[i]);
	key->pkey = TAKE_PTR(*pkey);
	*ret = TAKE_PTR(key);
	return 0;
}

int key_make(struct key **ret)
{
	cleanup_pkey EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	return pkey ? key_wrap(&pkey, ret) : -EIO;
}

/* Never asks a terminal for a password. */
static int key_refuse_password(char *buf, int size, int rwflag, void *data)
{
	(void)buf, (void)size, (void)rwflag, (void)data;
	return 0;
}

static int key_save(int fd, const struct key *key)
{
	cleanup_bio BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n;
	ssize_t written;

	if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) != 1)
		return -ENOMEM;
	n = BIO_get_mem_data(bio, &text);
	if (n <= 0)
		return -EIO;
	written = pwrite(fd, text, (size_t)n, 0);
	OPENSSL_cleanse(text, (size_t)n);
	if (written != n || fsync(fd) < 0) {
		int r = written < 0 || written == n ? -errno : -ENOSPC;

		/* an empty file is made again at the next start; half a key is not */
		return ftruncate(fd, 0) < 0 ? -errno : r;
	}
	return 0;
}

static int key_load(int fd, size_t size, struct key **ret)
{
	char text[KEY_FILE_MAX];
	cleanup_bio BIO *bio = NULL;
	cleanup_pkey EVP_PKEY *pkey = NULL;
	ssize_t n;

	if (size > sizeof(text))
		return -EBADMSG;
	n = pread(fd, text, size, 0);
	if (n < 0)
		return -errno;
	if ((size_t)n == size)
		bio = BIO_new_mem_buf(text, (int)size);
	if (bio)
		pkey = PEM_read_bio_PrivateKey(bio, NULL, key_refuse_password, NULL);
	OPENSSL_cleanse(text, sizeof(text));
	return pkey ? key_wrap(&pkey, ret) : -EBADMSG;
}

int key_open(int fd, struct key **ret, bool *ret_made)
{
	cleanup_key struct key *key = NULL;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	if (st.st_size > 0)
		r = key_load(fd, (size_t)st.st_size, &key);
	else
		r = key_make(&key);
	if (r == 0 && st.st_size == 0)
		r = key_save(fd, key);
	if (r < 0)
		return r;
	*ret_made = st.st_size == 0;
	*ret = TAKE_PTR(key);
	return 0;
}

static int key_parse_vkey(const char *text, size_t n, struct key **ret)
{
	const char *plus = memchr(text, '+', n);
	const char *plus2 = plus ? memchr(plus + 1, '+', n - (size_t)(plus + 1 - text)) : NULL;
	cleanup_pkey EVP_PKEY *pkey = NULL;
	cleanup_key struct key *key = NULL;
	__u8 raw[1 + KEY_PUBLIC_SIZE];
	__u8 hash[4];
	char hex[9];
	size_t raw_n = 0;
	int r;

	if (!plus2 || plus == text || plus2 - plus != 9)
		return -EBADMSG;
	r = base64_decode(plus2 + 1, n - (size_t)(plus2 + 1 - text), raw, sizeof(raw), &raw_n);
	if (r < 0 || raw_n != sizeof(raw) || raw[0] != KEY_NOTE_ED25519)
		return -EBADMSG;
	pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw + 1, KEY_PUBLIC_SIZE);
	if (!pkey)
		return -EBADMSG;
	r = key_wrap(&pkey, &key);
	if (r < 0)
		return r;
	key->name = strndup(text, (size_t)(plus - text));
	if (!key->name)
		return -ENOMEM;
	key_hash_note(key, key->name, hash);
	(void)snprintf(hex, sizeof(hex), "%02x%02x%02x%02x", hash[0], hash[1], hash[2], hash[3]);
	if (memcmp(hex, plus + 1, 8) != 0)
		return -EBADMSG;
	*ret = TAKE_PTR(key);
	return 0;
}

int key_parse_public(const char *text, size_t n, struct key **ret)
{
	cleanup_bio BIO *bio = NULL;
	cleanup_pkey EVP_PKEY *pkey = NULL;

	if (n == 0 || n > KEY_FILE_MAX || memchr(text, '\0', n))
		return -EBADMSG;
	if (text[0] != '-') {
		if (text[n - 1] == '\n')
			n--;
		return key_parse_vkey(text, n, ret);
	}
	bio = BIO_new_mem_buf(text, (int)n);
	if (!bio)
		return -ENOMEM;
	pkey = PEM_read_bio_PUBKEY(bio, NULL, key_refuse_password, NULL);
	return pkey ? key_wrap(&pkey, ret) : -EBADMSG;
}

int key_sign(const struct key *key, const void *data, size_t n, __u8 ret[KEY_SIGNATURE_SIZE])
{
	cleanup_context EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	__u8 signature[KEY_SIGNATURE_SIZE];
	size_t size = sizeof(signature);

	if (!ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) != 1 ||
	    EVP_DigestSign(ctx, signature, &size, data, n) != 1 || size != sizeof(signature))
		return -EIO;
	memcpy(ret, signature, sizeof(signature));
	return 0;
}

bool key_verify(const struct key *key, const void *data, size_t n,
		const __u8 signature[KEY_SIGNATURE_SIZE])
{
	cleanup_context EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	return ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key->pkey) == 1 &&
	       EVP_DigestVerify(ctx, signature, KEY_SIGNATURE_SIZE, data, n) == 1;
}

const char *key_id(const struct key *key)
{
	return key->id;
}

const char *key_name(const struct key *key)
{
	return key->name;
}

void key_hash_note(const struct key *key, const char *name, __u8 ret[4])
{
	__u8 digest[SHA256_DIGEST_LENGTH] = { 0 };
	__u8 buf[512];
	size_t n = strnlen(name, sizeof(buf) - 2 - KEY_PUBLIC_SIZE);

	memcpy(buf, name, n);
	buf[n] = '\n';
	buf[n + 1] = KEY_NOTE_ED25519;
	memcpy(buf + n + 2, key->public, KEY_PUBLIC_SIZE);
	(void)SHA256(buf, n + 2 + KEY_PUBLIC_SIZE, digest);
	memcpy(ret, digest, 4);
}

int key_print_pem(const struct key *key, char *ret, size_t size)
{
	cleanup_bio BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long n;

	if (!bio || PEM_write_bio_PUBKEY(bio, key->pkey) != 1)
		return -ENOMEM;
	n = BIO_get_mem_data(bio, &text);
	if (n <= 0 || (size_t)n >= size)
		return -ENOBUFS;
	memcpy(ret, text, (size_t)n);
	ret[n] = '\0';
	return 0;
}

int key_print_vkey(const struct key *key, const char *name, char *ret, size_t size)
{
	__u8 raw[1 + KEY_PUBLIC_SIZE] = { KEY_NOTE_ED25519 };
	char text[BASE64_LENGTH(sizeof(raw)) + 1];
	__u8 hash[4];
	int n;

	memcpy(raw + 1, key->public, KEY_PUBLIC_SIZE);
	if (base64_encode(raw, sizeof(raw), text, sizeof(text)) < 0)
		return -ENOBUFS;
	key_hash_note(key, name, hash);
	n = snprintf(ret, size, "%s+%02x%02x%02x%02x+%s\n", name, hash[0], hash[1], hash[2],
		     hash[3], text);
	return n > 0 && (size_t)n < size ? 0 : -ENOBUFS;
}
