/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of custodyctl model: what is read and written, the model's directory, the progress line.
 * Run by custodyctl. Trusts no content.
 */
#ifndef CUSTODYCTL_MODEL_FILE_H
#define CUSTODYCTL_MODEL_FILE_H

#include "client.h"
#include "oms.h"

/* The exit code of a negative errno of oms.h. */
int model_find_exit(int r);

/* Complains: "what: why." Returns the exit code of r. */
int model_complain(const char *what, int r, const struct oms_why *why);

/*
 * A regular file of at most `max` bytes (one more is read, so that the reader can refuse it), NUL
 * after it; free() it. ret_id, when not NULL, says which file it is. 0 or an exit code.
 */
int model_read_file(const char *path, size_t max, char **ret, size_t *ret_n,
		    struct oms_identity *ret_id);

/* What parsing a file has come to: 0, or a complaint, and refused whatever the error. */
int model_judge_file(const char *path, int r, const struct oms_why *why);

/* A key from a PEM file, of which no copy stays. 0 or an exit code with a complaint. */
int model_load_key(const char *path,
		   int (*parse)(const char *pem, size_t n, struct oms_key **ret,
				struct oms_why *why),
		   struct oms_key **ret);

/* Writes beside the path and renames: the file is whole or not there. 0 or an exit code. */
int model_write_file(const char *path, const char *text, size_t n);

struct model_directory {
	int fd;
	char *file; /* of a model that is one file; NULL for a directory */
	char *real; /* absolute path of the directory */
	char *name; /* what the model is called: the last part of its path */
	char *signature; /* where its signature lies when nobody says where */
};

/* 0 or an exit code with a complaint. */
int model_open_directory(const char *path, struct model_directory *ret);
void model_close_directory(struct model_directory *directory);

/* Path of a file relative to the model's directory; NULL when it lies elsewhere. free() it. */
char *model_find_relative(const struct model_directory *directory, const char *path);

#endif
