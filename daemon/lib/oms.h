/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSF Model Signing v1.0: sign and verify models (and datasets: a directory is a directory).
 *
 *   Sigstore bundle v0.3 (JSON) -> DSSE envelope -> in-toto Statement v1 -> manifest of the files
 *
 * Used by custodyctl, and by whatever measures models. Pure: no global state, no logging, no
 * clock, no policy. Everything it reads (bundle, certificates, model directory) may be hostile;
 * only the keys and roots that the caller gives are trusted.
 *
 * Functions return 0 or a negative errno, with one sentence in *why that is safe to print:
 *   -EKEYREJECTED  the signature is wrong, or not by whom the caller trusts
 *   -EBADMSG       the bundle, statement, key or certificate is malformed
 *   -ESTALE        the model is not what was signed (oms_report has the differences)
 *   -EOPNOTSUPP    well-formed, but of a kind that is not supported (sigstore, blake3, ...)
 *   -EINVAL        the model holds what a model may not: links, devices, FIFOs, sockets, bad names
 *   -EBUSY         the model changed while it was read
 *   -ENOMEM, and what open and read answered otherwise
 */
#ifndef CUSTODY_OMS_H
#define CUSTODY_OMS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#define OMS_DIGEST_SIZE 32
#define OMS_HEX_SIZE (2 * OMS_DIGEST_SIZE + 1) /* a digest in lower hex, and NUL */
#define OMS_WHY_SIZE 512
/* Bytes of a bundle; with OMS_VALUES_MAX about half a million files. */
#define OMS_BUNDLE_MAX (64U << 20)
/* Commas, '[' and '{' of one JSON text, and how deep they nest. */
#define OMS_VALUES_MAX (1U << 21)
#define OMS_DEPTH_MAX 32
#define OMS_CERTIFICATES_MAX 16
#define OMS_PEM_MAX (1U << 20)
/* Directories in directories of a model. */
#define OMS_TREE_DEPTH_MAX 64
#define OMS_SHARD_SIZE 1000000000ULL
#define OMS_DIFFERENCES_MAX 16

struct oms_why {
	char text[OMS_WHY_SIZE];
};

/* ---- keys and roots (oms_key.c, oms_chain.c) ---- */

struct oms_key; /* P-256, P-384 or P-521; private half or not */
struct oms_roots; /* certificates that are trusted */

/*
 * PEM text: PKCS #8 or SEC 1 private key, not encrypted; SubjectPublicKeyInfo, or the public half
 * of a private key. -EBADMSG, -EOPNOTSUPP (not one of the three curves), -ENOMEM.
 */
int oms_key_parse_private(const char *pem, size_t n, struct oms_key **ret, struct oms_why *why);
int oms_key_parse_public(const char *pem, size_t n, struct oms_key **ret, struct oms_why *why);
void oms_key_free(struct oms_key **key);
#define cleanup_oms_key __attribute__((cleanup(oms_key_free)))

/* Hex of SHA-256 of the public half's PEM text: the hint in bundles. */
const char *oms_key_hint(const struct oms_key *key);

/* One or more PEM certificates; each is an anchor, also when it is not self-signed. */
int oms_roots_parse(const char *pem, size_t n, struct oms_roots **ret, struct oms_why *why);
void oms_roots_free(struct oms_roots **roots);
#define cleanup_oms_roots __attribute__((cleanup(oms_roots_free)))

/* ---- manifest and statement (oms_statement.c, oms_manifest.c) ---- */

enum oms_method {
	OMS_FILES,
	OMS_SHARDS,
};

/* One file, or one shard of one: name = "path" or "path:start:end". */
struct oms_item {
	char *name;
	size_t path_n;
	__u8 digest[OMS_DIGEST_SIZE];
};

struct oms_manifest {
	char *model; /* informational */
	enum oms_method method;
	__u64 shard_size; /* OMS_SHARDS only */
	bool allow_symlinks; /* what the signer said; links are never followed */
	bool deprecated; /* https://model_signing/Digests/v0.1 */
	char **ignore; /* relative paths; a directory with all below it */
	size_t n_ignore;
	struct oms_item *items; /* sorted by name, no name twice */
	size_t n_items;
	__u8 root[OMS_DIGEST_SIZE]; /* SHA-256 over the digests, in the order they were signed */
};

void oms_manifest_free(struct oms_manifest **manifest);
#define cleanup_oms_manifest __attribute__((cleanup(oms_manifest_free)))

/* A signed statement taken apart; every rule of form is checked, and the root digest. */
int oms_statement_parse(const char *text, size_t n, struct oms_manifest **ret, struct oms_why *why);

/* Sorts the items, no name twice, and sets manifest->root: which model it is. */
int oms_statement_digest(struct oms_manifest *manifest, struct oms_why *why);

/* The statement as compact JSON; does the same before. free() it. */
int oms_statement_print(struct oms_manifest *manifest, char **ret, size_t *ret_n,
			struct oms_why *why);

/* A relative path as manifests may name it: UTF-8, no control characters, no "", "." or "..". */
bool oms_check_path(const char *path, size_t n);

/* ---- bundles (oms_bundle.c, oms_sign.c, oms_verify.c) ---- */

enum oms_signing {
	OMS_SIGNING_KEY,
	OMS_SIGNING_CERTIFICATE,
};

struct oms_blob {
	__u8 *data;
	size_t n;
};

struct oms_bundle {
	enum oms_signing signing;
	char *hint; /* OMS_SIGNING_KEY; NULL when there is none */
	struct oms_blob certificates[OMS_CERTIFICATES_MAX]; /* DER; leaf first */
	size_t n_certificates;
	struct oms_blob payload; /* as carried, NUL after it */
	struct oms_blob signature; /* ASN.1 DER */
};

/* Form only: nothing of what it says is believed yet. Nothing is kept on failure. */
int oms_bundle_parse(const char *text, size_t n, struct oms_bundle **ret, struct oms_why *why);
void oms_bundle_free(struct oms_bundle **bundle);
#define cleanup_oms_bundle __attribute__((cleanup(oms_bundle_free)))

/* Whom the caller trusts: exactly one of the two. */
struct oms_trust {
	const struct oms_key *key;
	const struct oms_roots *roots;
	time_t now; /* when certificates must be valid */
};

struct oms_signer {
	char text[OMS_WHY_SIZE]; /* "key <hint>" or "certificate <subject>", safe to print */
};

/* Signature, then statement: what the bundle says is believed from here on. */
int oms_bundle_verify(const struct oms_bundle *bundle, const struct oms_trust *trust,
		      struct oms_manifest **ret, struct oms_signer *ret_signer,
		      struct oms_why *why);

/*
 * Signs the manifest. certificates: PEM, leaf first, or NULL for method "key"; the leaf must be the
 * key's, valid now, and for signing. The bundle as text with an LF and a NUL; free() it.
 */
int oms_bundle_sign(struct oms_manifest *manifest, const struct oms_key *key,
		    const char *certificates, size_t certificates_n, time_t now, char **ret,
		    size_t *ret_n, struct oms_why *why);

/* ---- models on disk (oms_tree.c, oms_hash.c, oms_work.c, oms_measure.c) ---- */

struct fingerprint_index; /* fingerprint.h */

struct oms_file {
	char *path;
	dev_t dev;
	ino_t ino;
	__u64 size;
	struct timespec mtime;
	struct timespec ctime;
};

struct oms_tree {
	struct oms_file *files;
	size_t n;
	size_t room;
	__u64 bytes;
};

struct oms_identity { /* a file to leave out wherever it lies: the signature itself */
	dev_t dev;
	ino_t ino;
};

struct oms_model {
	int dirfd; /* the model's directory, or the one its only file is in */
	const char *file; /* that file's name; NULL for a directory */
	char *const *ignore; /* see struct oms_manifest */
	size_t n_ignore;
	const struct oms_identity *skip; /* NULL: nothing */
	/* NULL: none. Called by the threads that read, one at a time. */
	void (*progress)(void *data, __u64 done, __u64 total);
	void *data;
	/* Threads that read, the caller's among them. 0: one for each core; 1: none is made. */
	unsigned int threads;
	/* What the content is known by later, made in the same pass. NULL: none. */
	struct fingerprint_index *ret_fingerprints;
};

/* Every regular file of the model, sorted by path. Contents are not read. */
int oms_tree_list(const struct oms_model *model, struct oms_tree *ret, struct oms_why *why);

/* Adds one file by name; -ENOENT when it is not there. */
int oms_tree_add(int dirfd, const char *path, struct oms_tree *tree, struct oms_why *why);

/* Opens a listed file for reading: beneath dirfd, no links, still the file that was listed. */
int oms_tree_open(int dirfd, const struct oms_file *file, int *ret_fd, struct oms_why *why);
void oms_tree_free(struct oms_tree *tree);
#define cleanup_oms_tree __attribute__((cleanup(oms_tree_free)))

#define OMS_THREADS_MAX 64
#define OMS_MEASURE_BYTES (48UL << 20)

/*
 * Hashes the model: manifest->items, from method, shard_size; the same whatever the threads. With
 * `listed` only the files that it names are looked at. -EBUSY when anything changed between the
 * first look and the last. Needs OMS_MEASURE_BYTES at most, besides the names of files and shards.
 * When fewer threads can be made (seccomp, limits) it goes on with those.
 */
int oms_measure(const struct oms_model *model, const struct oms_manifest *listed,
		struct oms_manifest *manifest, struct oms_why *why);

/* An empty manifest with the default excludes (.git and its kin) and `extra` when not NULL. */
int oms_manifest_make(enum oms_method method, const char *name, const char *extra,
		      struct oms_manifest **ret);

enum oms_difference_kind {
	OMS_CHANGED,
	OMS_MISSING,
	OMS_UNLISTED,
};

struct oms_difference {
	enum oms_difference_kind kind;
	const char *name; /* of one of the two manifests */
};

struct oms_report {
	struct oms_difference first[OMS_DIFFERENCES_MAX];
	size_t n_first;
	size_t n[OMS_UNLISTED + 1];
};

/* 0, or -ESTALE with the differences. Unlisted items of `found` are none with ignore_unlisted. */
int oms_compare(const struct oms_manifest *signed_, const struct oms_manifest *found,
		bool ignore_unlisted, struct oms_report *ret);

/* A digest in lower hex, with its NUL. */
void oms_print_hex(const __u8 digest[OMS_DIGEST_SIZE], char ret[OMS_HEX_SIZE]);

#endif
