/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The in-toto statement of a model signature and its predicate, read and written. Run by
 * custodyctl and whatever measures models. Pure. Trusts nothing: that a statement is signed does
 * not make it well-formed.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "oms_internal.h"

/* ---- root digest and order ---- */

static int oms_statement_compare(const void *a, const void *b)
{
	return strcmp(((const struct oms_item *)a)->name, ((const struct oms_item *)b)->name);
}

/* Over the items in the order they have now. */
static int oms_statement_hash(const struct oms_manifest *manifest, __u8 ret[OMS_DIGEST_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; good && i < manifest->n_items; i++)
		good = EVP_DigestUpdate(ctx, manifest->items[i].digest, OMS_DIGEST_SIZE) == 1;
	good = good && EVP_DigestFinal_ex(ctx, ret, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return good ? 0 : -ENOMEM;
}

static int oms_statement_sort(struct oms_manifest *manifest, struct oms_why *why)
{
	qsort(manifest->items, manifest->n_items, sizeof(struct oms_item), oms_statement_compare);
	for (size_t i = 1; i < manifest->n_items; i++) {
		const char *name = manifest->items[i].name;

		if (strcmp(name, manifest->items[i - 1].name) == 0)
			return oms_explain(why, -EBADMSG, "The manifest names %s twice.",
					   oms_quote(name, strlen(name)).text);
	}
	return 0;
}

/* ---- items ---- */

/* Decimal without a sign or a leading zero, up to `end`. */
static bool oms_statement_parse_number(const char *p, const char *end, __u64 *ret)
{
	__u64 value = 0;

	if (p == end || end - p > 18 || (*p == '0' && end - p > 1))
		return false;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9')
			return false;
		value = value * 10 + (__u64)(*p - '0');
	}
	*ret = value;
	return true;
}

/* "path:start:end": the last two colons count. A shard begins where one can, and is not empty. */
static bool oms_statement_parse_shard(const char *name, __u64 shard_size, size_t *ret_path_n)
{
	const char *last = strrchr(name, ':');
	const char *first = last ? memrchr(name, ':', (size_t)(last - name)) : NULL;
	__u64 start, end;

	if (!first || !oms_statement_parse_number(first + 1, last, &start) ||
	    !oms_statement_parse_number(last + 1, last + strlen(last), &end))
		return false;
	if (start >= end || start % shard_size != 0 || end - start > shard_size)
		return false;
	*ret_path_n = (size_t)(first - name);
	return true;
}

static int oms_statement_add_item(struct oms_manifest *manifest, const char *name,
				  const json_t *digest, struct oms_why *why)
{
	struct oms_item *item = &manifest->items[manifest->n_items];
	size_t path_n = strlen(name);

	if (manifest->method == OMS_SHARDS &&
	    !oms_statement_parse_shard(name, manifest->shard_size, &path_n))
		return oms_explain(why, -EBADMSG, "%s is not the name of a shard of %llu bytes.",
				   oms_quote(name, strlen(name)).text,
				   (unsigned long long)manifest->shard_size);
	if (!oms_check_path(name, path_n))
		return oms_explain(
			why, -EBADMSG,
			"%s is not a path that a manifest may name: "
			"relative, in UTF-8, without control characters, empty parts, . and "
			"...",
			oms_quote(name, path_n).text);
	if (!json_is_string(digest) ||
	    oms_parse_hex(json_string_value(digest), json_string_length(digest), item->digest) < 0)
		return oms_explain(why, -EBADMSG,
				   "The digest of %s is not 64 lower-case hexadecimal "
				   "digits.",
				   oms_quote(name, path_n).text);
	item->name = strdup(name);
	if (!item->name)
		return -ENOMEM;
	item->path_n = path_n;
	manifest->n_items++;
	return 0;
}

static int oms_statement_parse_resource(const json_t *resource, struct oms_manifest *manifest,
					struct oms_why *why)
{
	const char *algorithm = NULL;
	const char *name = NULL;
	int r;

	r = oms_json_string(resource, "name", &name, why);
	if (r == 0)
		r = oms_json_string(resource, "algorithm", &algorithm, why);
	if (r < 0)
		return r;
	if (strcmp(algorithm, "sha256") != 0)
		return oms_explain(why, -EOPNOTSUPP, "%s is hashed by %s; custody knows sha256.",
				   oms_quote(name, strlen(name)).text,
				   oms_quote(algorithm, strlen(algorithm)).text);
	return oms_statement_add_item(manifest, name, json_object_get(resource, "digest"), why);
}

static int oms_statement_make_items(struct oms_manifest *manifest, size_t n, struct oms_why *why)
{
	if (n == 0)
		return oms_explain(why, -EBADMSG, "The manifest names no file.");
	manifest->items = calloc(n, sizeof(*manifest->items));
	return manifest->items ? 0 : -ENOMEM;
}

/* ---- serialization ---- */

static int oms_statement_parse_ignore(const json_t *array, struct oms_manifest *manifest,
				      struct oms_why *why)
{
	size_t n = json_array_size(array);

	if (!json_is_array(array))
		return oms_explain(why, -EBADMSG, "ignore_paths is not an array.");
	for (size_t i = 0; i < manifest->n_ignore; i++)
		free(manifest->ignore[i]);
	free(manifest->ignore);
	manifest->n_ignore = 0;
	manifest->ignore = calloc(n + 1, sizeof(char *));
	if (!manifest->ignore)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const char *path = json_string_value(json_array_get(array, i));

		if (!path || !oms_check_path(path, strlen(path)))
			return oms_explain(why, -EBADMSG,
					   "ignore_paths holds something that is not "
					   "a relative path.");
		manifest->ignore[i] = strdup(path);
		if (!manifest->ignore[i])
			return -ENOMEM;
		manifest->n_ignore = i + 1;
	}
	return 0;
}

static int oms_statement_parse_method(const json_t *serialization, struct oms_manifest *manifest,
				      struct oms_why *why)
{
	const json_t *size = json_object_get(serialization, "shard_size");
	const char *method = NULL;
	int r = oms_json_string(serialization, "method", &method, why);

	if (r < 0)
		return r;
	if (strcmp(method, "files") == 0) {
		manifest->method = OMS_FILES;
		return size ? oms_explain(why, -EBADMSG, "shard_size stands with the method files.")
			    : 0;
	}
	if (strcmp(method, "shards") != 0)
		return oms_explain(why, -EOPNOTSUPP,
				   "The serialization method %s is not known here.",
				   oms_quote(method, strlen(method)).text);
	if (!json_is_integer(size) || json_integer_value(size) <= 0)
		return oms_explain(why, -EBADMSG, "shard_size is not a positive integer.");
	manifest->method = OMS_SHARDS;
	manifest->shard_size = (__u64)json_integer_value(size);
	return 0;
}

static int oms_statement_parse_serialization(const json_t *serialization,
					     struct oms_manifest *manifest, struct oms_why *why)
{
	const json_t *links = json_object_get(serialization, "allow_symlinks");
	const json_t *ignore = json_object_get(serialization, "ignore_paths");
	const char *hash = NULL;
	int r;

	r = oms_statement_parse_method(serialization, manifest, why);
	if (r == 0)
		r = oms_json_string(serialization, "hash_type", &hash, why);
	if (r < 0)
		return r;
	if (strcmp(hash, "sha256") != 0)
		return oms_explain(why, -EOPNOTSUPP,
				   "The model is hashed by %s; custody knows "
				   "sha256.",
				   oms_quote(hash, strlen(hash)).text);
	if (!json_is_boolean(links))
		return oms_explain(why, -EBADMSG, "allow_symlinks is not true or false.");
	manifest->allow_symlinks = json_is_true(links);
	return ignore ? oms_statement_parse_ignore(ignore, manifest, why) : 0;
}

/* ---- statement ---- */

static int oms_statement_parse_predicate(const json_t *json, struct oms_manifest *manifest,
					 struct oms_why *why)
{
	const json_t *serialization = NULL;
	const json_t *resources = NULL;
	const json_t *predicate = NULL;
	int r;

	r = oms_json_object(json, "predicate", &predicate, why);
	if (r == 0)
		r = oms_json_object(predicate, "serialization", &serialization, why);
	if (r == 0)
		r = oms_statement_parse_serialization(serialization, manifest, why);
	if (r == 0)
		r = oms_json_array(predicate, "resources", &resources, why);
	if (r == 0)
		r = oms_statement_make_items(manifest, json_array_size(resources), why);
	for (size_t i = 0; r == 0 && i < json_array_size(resources); i++)
		r = oms_statement_parse_resource(json_array_get(resources, i), manifest, why);
	return r;
}

/* Each subject is a file; there is no predicate that would say how they were made. */
static int oms_statement_parse_old(const json_t *subjects, struct oms_manifest *manifest,
				   struct oms_why *why)
{
	int r = oms_statement_make_items(manifest, json_array_size(subjects), why);

	manifest->deprecated = true;
	for (size_t i = 0; r == 0 && i < json_array_size(subjects); i++) {
		const json_t *subject = json_array_get(subjects, i);
		const json_t *digest = NULL;
		const char *name = NULL;

		r = oms_json_string(subject, "name", &name, why);
		if (r == 0)
			r = oms_json_object(subject, "digest", &digest, why);
		if (r == 0)
			r = oms_statement_add_item(manifest, name,
						   json_object_get(digest, "sha256"), why);
	}
	return r < 0 ? r : oms_statement_hash(manifest, manifest->root);
}

static int oms_statement_parse_new(const json_t *json, const json_t *subjects,
				   struct oms_manifest *manifest, struct oms_why *why)
{
	const json_t *subject = json_array_get(subjects, 0);
	const json_t *set = NULL;
	const char *digest = NULL;
	const char *name = NULL;
	__u8 root[OMS_DIGEST_SIZE];
	int r;

	if (json_array_size(subjects) != 1)
		return oms_explain(why, -EBADMSG, "The statement has %zu subjects; one is needed.",
				   json_array_size(subjects));
	r = oms_json_string(subject, "name", &name, why);
	if (r == 0)
		r = oms_json_object(subject, "digest", &set, why);
	if (r == 0)
		r = oms_json_string(set, "sha256", &digest, why);
	if (r == 0)
		r = oms_statement_parse_predicate(json, manifest, why);
	if (r == 0)
		r = oms_statement_hash(manifest, manifest->root);
	if (r < 0)
		return r;
	if (oms_parse_hex(digest, strlen(digest), root) < 0 ||
	    memcmp(root, manifest->root, sizeof(root)) != 0)
		return oms_explain(why, -EBADMSG,
				   "The subject's sha256 is not the digest of the files "
				   "that the manifest names.");
	free(manifest->model);
	manifest->model = strdup(name);
	return manifest->model ? 0 : -ENOMEM;
}

static int oms_statement_parse_json(const json_t *json, struct oms_manifest *manifest,
				    struct oms_why *why)
{
	const json_t *subjects = NULL;
	const char *predicate = NULL;
	const char *type = NULL;
	int r;

	r = oms_json_string(json, "_type", &type, why);
	if (r == 0)
		r = oms_json_string(json, "predicateType", &predicate, why);
	if (r == 0)
		r = oms_json_array(json, "subject", &subjects, why);
	if (r < 0)
		return r;
	if (strcmp(type, OMS_STATEMENT) != 0)
		return oms_explain(why, -EBADMSG, "_type is %s, not " OMS_STATEMENT ".",
				   oms_quote(type, strlen(type)).text);
	if (strcmp(predicate, OMS_PREDICATE) == 0)
		r = oms_statement_parse_new(json, subjects, manifest, why);
	else if (strcmp(predicate, OMS_PREDICATE_OLD) == 0)
		r = oms_statement_parse_old(subjects, manifest, why);
	else
		r = oms_explain(why, -EBADMSG,
				"predicateType is %s: the statement is about "
				"something else than a model's files.",
				oms_quote(predicate, strlen(predicate)).text);
	return r < 0 ? r : oms_statement_sort(manifest, why);
}

int oms_statement_parse(const char *text, size_t n, struct oms_manifest **ret, struct oms_why *why)
{
	cleanup_oms_manifest struct oms_manifest *manifest = NULL;
	cleanup_json json_t *json = NULL;
	int r;

	r = oms_manifest_make(OMS_FILES, "", NULL, &manifest);
	if (r == 0)
		r = oms_json_parse(text, n, "statement", &json, why);
	if (r == 0)
		r = oms_statement_parse_json(json, manifest, why);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(manifest);
	return 0;
}

/* ---- writing ---- */

static json_t *oms_statement_resources(const struct oms_manifest *manifest)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < manifest->n_items; i++) {
		const struct oms_item *item = &manifest->items[i];
		char hex[OMS_HEX_SIZE];

		oms_print_hex(item->digest, hex);
		if (json_array_append_new(array, json_pack("{s:s, s:s, s:s}", "name", item->name,
							   "algorithm", "sha256", "digest", hex)) <
		    0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *oms_statement_serialization(const struct oms_manifest *manifest)
{
	bool shards = manifest->method == OMS_SHARDS;
	json_t *ignore = json_array();
	json_t *all;

	for (size_t i = 0; ignore && i < manifest->n_ignore; i++) {
		if (json_array_append_new(ignore, json_string(manifest->ignore[i])) < 0) {
			json_decref(ignore);
			return NULL;
		}
	}
	all = json_pack("{s:s, s:s, s:b, s:o}", "method", shards ? "shards" : "files", "hash_type",
			"sha256", "allow_symlinks", 0, "ignore_paths", ignore);
	if (all && shards &&
	    json_object_set_new(all, "shard_size", json_integer((json_int_t)manifest->shard_size)) <
		    0) {
		json_decref(all);
		return NULL;
	}
	return all;
}

int oms_statement_digest(struct oms_manifest *manifest, struct oms_why *why)
{
	int r;

	if (manifest->n_items == 0)
		return oms_explain(why, -EINVAL, "There is no file to sign.");
	r = oms_statement_sort(manifest, why);
	return r < 0 ? r : oms_statement_hash(manifest, manifest->root);
}

int oms_statement_print(struct oms_manifest *manifest, char **ret, size_t *ret_n,
			struct oms_why *why)
{
	cleanup_json json_t *json = NULL;
	char hex[OMS_HEX_SIZE];
	char *text;
	int r = oms_statement_digest(manifest, why);

	if (r < 0)
		return r;
	oms_print_hex(manifest->root, hex);
	json = json_pack("{s:s, s:[{s:s, s:{s:s}}], s:s, s:{s:o, s:o}}", "_type", OMS_STATEMENT,
			 "subject", "name", manifest->model, "digest", "sha256", hex,
			 "predicateType", OMS_PREDICATE, "predicate", "serialization",
			 oms_statement_serialization(manifest), "resources",
			 oms_statement_resources(manifest));
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	if (!text)
		return -ENOMEM;
	*ret_n = strlen(text);
	*ret = text;
	return 0;
}
