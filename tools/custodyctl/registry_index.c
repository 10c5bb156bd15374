/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of fingerprints of a version: is it there, and is it the one that the registry knows?
 * Run by custodyctl, as the caller, for model list. Trusts custodyd's word for path and digest, and
 * no byte of the file.
 */
#include "registry_index.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "client.h"
#include "fingerprint.h"
#include "render.h"

static const char *const registry_index_states[] = {
	[REGISTRY_INDEX_NONE] = "none",
	[REGISTRY_INDEX_GOOD] = "good",
	[REGISTRY_INDEX_UNREADABLE] = "unreadable",
	[REGISTRY_INDEX_MISSING] = "missing",
	[REGISTRY_INDEX_CHANGED] = "changed",
};

static enum registry_index_state registry_index_fail(int error)
{
	return error == ENOENT			     ? REGISTRY_INDEX_MISSING :
	       error == EACCES || error == EPERM ? REGISTRY_INDEX_UNREADABLE :
						     REGISTRY_INDEX_CHANGED;
}

/* Up to one byte more than there may be. 0 or -errno. */
static int registry_index_read(int fd, __u8 *bytes, size_t *ret_n)
{
	size_t n = 0;

	while (n <= FINGERPRINT_FILE_MAX) {
		ssize_t got = read(fd, bytes + n, FINGERPRINT_FILE_MAX + 1 - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*ret_n = n;
	return 0;
}

static bool registry_index_is_good(const struct model_version *model, const __u8 *bytes, size_t n)
{
	cleanup_fingerprint_index struct fingerprint_index index = { 0 };
	__u8 digest[CUSTODY_DIGEST_SIZE];
	const char *why = "";

	return EVP_Digest(bytes, n, digest, NULL, EVP_sha256(), NULL) == 1 &&
	       memcmp(digest, model->fingerprints_digest, sizeof(digest)) == 0 &&
	       fingerprint_decode(bytes, n, &index, &why) == 0;
}

enum registry_index_state registry_index_check(const struct model_version *model)
{
	cleanup_ptr __u8 *bytes = NULL;
	cleanup_fd int fd = -1;
	struct stat st;
	size_t n = 0;
	int r;

	if (!model->fingerprints[0])
		return REGISTRY_INDEX_NONE;
	fd = open(model->fingerprints, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return registry_index_fail(errno);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return REGISTRY_INDEX_CHANGED;
	bytes = malloc(FINGERPRINT_FILE_MAX + 1);
	if (!bytes)
		return REGISTRY_INDEX_UNREADABLE;
	r = registry_index_read(fd, bytes, &n);
	if (r < 0)
		return registry_index_fail(-r);
	return registry_index_is_good(model, bytes, n) ? REGISTRY_INDEX_GOOD :
							 REGISTRY_INDEX_CHANGED;
}

json_t *registry_index_json(const struct model_version *model, enum registry_index_state state)
{
	char digest[2 * CUSTODY_DIGEST_SIZE + 1];

	if (state == REGISTRY_INDEX_NONE)
		return json_null();
	for (size_t i = 0; i < CUSTODY_DIGEST_SIZE; i++)
		(void)snprintf(digest + 2 * i, 3, "%02x", model->fingerprints_digest[i]);
	return json_pack("{s:o, s:s, s:s}", "file", render_text_json(model->fingerprints), "digest",
			 digest, "state", registry_index_states[state]);
}

bool registry_index_complain(const struct model_version *model, enum registry_index_state state)
{
	if (state != REGISTRY_INDEX_MISSING && state != REGISTRY_INDEX_CHANGED)
		return false;
	client_complain("%s: the fingerprints of %s@%u %s. %s has them made again.",
			client_quote(model->fingerprints).text, client_quote(model->name).text,
			model->version,
			state == REGISTRY_INDEX_MISSING ? "are not there" :
							  "are not those that were registered",
			state == REGISTRY_INDEX_MISSING ? "Its next start" :
							  "Remove the file: the next start");
	return true;
}
