/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a bundle's files and a key file. Run by custody-verify as the caller. Trusts nothing
 * that it finds: no links, no other files, no sizes beyond the limits.
 */
#ifndef CUSTODY_VERIFY_READ_H
#define CUSTODY_VERIFY_READ_H

#include "check.h"

/* The bytes of the three files; free with read_free_files(). */
struct read_files {
	char *statement;
	char *records;
	char *head;
	size_t statement_n;
	size_t records_n;
	size_t head_n;
};

/* False with a sentence in problem (size bytes). */
bool read_bundle(const char *path, struct read_files *ret, char *problem, size_t size);
void read_free_files(struct read_files *files);

/* A public key file: PEM or vkey. False with a sentence in problem. */
bool read_key(const char *path, struct key **ret, char *problem, size_t size);

#endif
