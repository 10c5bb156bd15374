/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests: what a model consists of, and how two of them differ. Run by custodyctl and whatever
 * measures models. Pure. Trusts nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "oms_internal.h"

static const char *const oms_manifest_ignored[] = { ".git", ".gitattributes", ".github",
						    ".gitignore" };

void oms_manifest_free(struct oms_manifest **manifest)
{
	if (!*manifest)
		return;
	for (size_t i = 0; i < (*manifest)->n_items; i++)
		free((*manifest)->items[i].name);
	for (size_t i = 0; i < (*manifest)->n_ignore; i++)
		free((*manifest)->ignore[i]);
	free((*manifest)->items);
	free((*manifest)->ignore);
	free((*manifest)->model);
	free(*manifest);
	*manifest = NULL;
}

int oms_manifest_make(enum oms_method method, const char *name, const char *extra,
		      struct oms_manifest **ret)
{
	cleanup_oms_manifest struct oms_manifest *manifest = calloc(1, sizeof(*manifest));

	if (!manifest)
		return -ENOMEM;
	manifest->method = method;
	manifest->shard_size = method == OMS_SHARDS ? OMS_SHARD_SIZE : 0;
	manifest->model = strdup(name);
	manifest->ignore = calloc(ARRAY_SIZE(oms_manifest_ignored) + 1, sizeof(char *));
	if (!manifest->model || !manifest->ignore)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(oms_manifest_ignored) + (extra ? 1 : 0); i++) {
		const char *path =
			i < ARRAY_SIZE(oms_manifest_ignored) ? oms_manifest_ignored[i] : extra;

		manifest->ignore[i] = strdup(path);
		if (!manifest->ignore[i])
			return -ENOMEM;
		manifest->n_ignore = i + 1;
	}
	*ret = TAKE_PTR(manifest);
	return 0;
}

/* Length of the UTF-8 sequence of one printable character at p, 0 when there is none. */
static size_t oms_manifest_take_character(const unsigned char *p, size_t n)
{
	static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned int c = p[0];
	size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	if (len > n || (c >= 0x80 && c < 0xc2) || c > 0xf4)
		return 0;
	if (len > 1)
		c &= 0x7fU >> len;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return c < 0x20 || (c >= 0x7f && c < 0xa0) ? 0 : len;
}

static bool oms_manifest_check_component(const char *name, size_t n)
{
	return n > 0 && !(n == 1 && name[0] == '.') && !(n == 2 && memcmp(name, "..", 2) == 0);
}

bool oms_check_path(const char *path, size_t n)
{
	size_t start = 0;

	if (n == 0 || n >= 4096)
		return false;
	for (size_t i = 0; i < n;) {
		size_t len = oms_manifest_take_character((const unsigned char *)path + i, n - i);

		if (len == 0)
			return false;
		i += len;
	}
	for (size_t i = 0; i <= n; i++) {
		if (i < n && path[i] != '/')
			continue;
		if (!oms_manifest_check_component(path + start, i - start))
			return false;
		start = i + 1;
	}
	return true;
}

static void oms_manifest_report(struct oms_report *report, enum oms_difference_kind kind,
				const char *name)
{
	report->n[kind]++;
	if (report->n_first == OMS_DIFFERENCES_MAX)
		return;
	report->first[report->n_first++] = (struct oms_difference){ .kind = kind, .name = name };
}

int oms_compare(const struct oms_manifest *signed_, const struct oms_manifest *found,
		bool ignore_unlisted, struct oms_report *ret)
{
	const struct oms_item *a = signed_->items;
	const struct oms_item *b = found->items;
	const struct oms_item *a_end = a + signed_->n_items;
	const struct oms_item *b_end = b + found->n_items;

	*ret = (struct oms_report){ 0 };
	while (a < a_end || b < b_end) {
		int order = a == a_end ? 1 : b == b_end ? -1 : strcmp(a->name, b->name);

		if (order == 0 && memcmp(a->digest, b->digest, OMS_DIGEST_SIZE) != 0)
			oms_manifest_report(ret, OMS_CHANGED, a->name);
		else if (order < 0)
			oms_manifest_report(ret, OMS_MISSING, a->name);
		else if (order > 0 && !ignore_unlisted)
			oms_manifest_report(ret, OMS_UNLISTED, b->name);
		if (order <= 0)
			a++;
		if (order >= 0)
			b++;
	}
	return ret->n_first > 0 ? -ESTALE : 0;
}
