/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of custodyctl model: keys and bundles read, signatures written, the model opened.
 * Run by custodyctl, as the caller. Trusts no content.
 */
#include "model_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "write_all.h"

int model_find_exit(int r)
{
	switch (r) {
	case 0: return CUSTODY_EXIT_DONE;
	case -EKEYREJECTED:
	case -EBADMSG:
	case -ESTALE: return CUSTODY_EXIT_FALSE;
	case -EOPNOTSUPP:
	case -EINVAL: return CUSTODY_EXIT_REFUSED;
	case -ENOMEM: return CUSTODY_EXIT_INTERNAL;
	default: return CUSTODY_EXIT_INCOMPLETE;
	}
}

int model_complain(const char *what, int r, const struct oms_why *why)
{
	client_complain("%s: %s", client_quote(what).text, why->text[0] ? why->text : strerror(-r));
	return model_find_exit(r);
}

static int model_fail(const char *path, const char *verb)
{
	client_complain("%s cannot be %s: %s.", client_quote(path).text, verb, strerror(errno));
	return CUSTODY_EXIT_INCOMPLETE;
}

int model_read_file(const char *path, size_t max, char **ret, size_t *ret_n,
		    struct oms_identity *ret_id)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	cleanup_ptr char *text = NULL;
	struct stat st;
	size_t size, n = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return model_fail(path, "read");
	if (!S_ISREG(st.st_mode)) {
		client_complain("%s is no regular file.", client_quote(path).text);
		return CUSTODY_EXIT_INCOMPLETE;
	}
	size = (__u64)st.st_size < max ? (size_t)st.st_size : max + 1;
	text = malloc(size + 1);
	if (!text)
		return CUSTODY_EXIT_INTERNAL;
	while (n < size) {
		ssize_t got = read(fd, text + n, size - n);

		if (got < 0)
			return model_fail(path, "read");
		if (got == 0)
			break;
		n += (size_t)got;
	}
	text[n] = '\0';
	if (ret_id)
		*ret_id = (struct oms_identity){ .dev = st.st_dev, .ino = st.st_ino };
	*ret_n = n;
	*ret = TAKE_PTR(text);
	return CUSTODY_EXIT_DONE;
}

int model_judge_file(const char *path, int r, const struct oms_why *why)
{
	if (r == 0)
		return CUSTODY_EXIT_DONE;
	(void)model_complain(path, r, why);
	return CUSTODY_EXIT_REFUSED;
}

int model_load_key(const char *path,
		   int (*parse)(const char *pem, size_t n, struct oms_key **ret,
				struct oms_why *why),
		   struct oms_key **ret)
{
	cleanup_ptr char *pem = NULL;
	struct oms_why why = { 0 };
	size_t n = 0;
	int r = model_read_file(path, OMS_PEM_MAX, &pem, &n, NULL);

	if (r != CUSTODY_EXIT_DONE)
		return r;
	r = parse(pem, n, ret, &why);
	explicit_bzero(pem, n);
	return model_judge_file(path, r, &why);
}

int model_write_file(const char *path, const char *text, size_t n)
{
	cleanup_ptr char *temporary = NULL;
	cleanup_fd int fd = -1;
	mode_t mask = umask(0);
	int r = CUSTODY_EXIT_DONE;

	(void)umask(mask);
	if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
		temporary = NULL;
		return CUSTODY_EXIT_INTERNAL;
	}
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return model_fail(path, "written");
	if (fchmod(fd, 0666 & ~mask) < 0 || write_all(fd, text, n) < 0 || fsync(fd) < 0 ||
	    rename(temporary, path) < 0) {
		r = model_fail(path, "written");
		(void)unlink(temporary);
	}
	return r;
}

void model_close_directory(struct model_directory *directory)
{
	cleanup_close_fd(&directory->fd);
	free(directory->file);
	free(directory->real);
	free(directory->name);
	free(directory->signature);
	*directory = (struct model_directory){ .fd = -1 };
}

/* The last part of a path, when it can stand in a manifest; "model" otherwise. */
static char *model_take_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return strdup(oms_check_path(name, strlen(name)) ? name : "model");
}

static bool model_name_parts(const char *path, bool is_directory, struct model_directory *ret)
{
	cleanup_ptr char *copy = strdup(path);
	const char *slash = strrchr(path, '/');

	if (is_directory) {
		ret->real = realpath(path, NULL);
		ret->name = ret->real ? model_take_name(ret->real) : NULL;
		if (asprintf(&ret->signature, "%s/model.sig", path) < 0)
			ret->signature = NULL;
	} else if (copy) {
		ret->real = realpath(dirname(copy), NULL);
		ret->file = strdup(slash ? slash + 1 : path);
		ret->name = model_take_name(path);
		if (asprintf(&ret->signature, "%s.sig", path) < 0)
			ret->signature = NULL;
	}
	return ret->real && ret->name && ret->signature && (is_directory || ret->file);
}

int model_open_directory(const char *path, struct model_directory *ret)
{
	struct model_directory directory = { .fd = -1 };
	struct stat st;

	if (stat(path, &st) < 0)
		return model_fail(path, "read");
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
		client_complain("%s is neither a directory nor a regular file.",
				client_quote(path).text);
		return CUSTODY_EXIT_REFUSED;
	}
	if (model_name_parts(path, S_ISDIR(st.st_mode), &directory))
		directory.fd = open(directory.real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory.fd < 0) {
		int r = model_fail(path, "read");

		model_close_directory(&directory);
		return r;
	}
	*ret = directory;
	return CUSTODY_EXIT_DONE;
}

char *model_find_relative(const struct model_directory *directory, const char *path)
{
	cleanup_ptr char *copy = strdup(path);
	cleanup_ptr char *real = copy ? realpath(dirname(copy), NULL) : NULL;
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t n = strlen(directory->real);
	char *relative = NULL;

	if (!real || directory->file || strncmp(real, directory->real, n) != 0 ||
	    (real[n] != '\0' && real[n] != '/'))
		return NULL;
	if (asprintf(&relative, "%s%s%s", real[n] ? real + n + 1 : "", real[n] ? "/" : "", name) <
	    0)
		return NULL;
	return relative;
}
