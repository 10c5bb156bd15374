/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the profile asks of a model: a signature, formats, statements. Run by custody-measurer.
 * Trusts the keys that custodyd read from the files that the profile names; no byte of signature,
 * statements and model. Always "refuse unless it is shown", never "refuse if it is": who can leave
 * a file out must gain nothing by it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attestation.h"
#include "cleanup.h"
#include "escape.h"
#include "format.h"
#include "measurer.h"
#include "plan.h"
#include "provenance.h"

#define ADMIT_SIGNATURE "model.sig" /* in the model's directory, where no other is named */
#define ADMIT_NAME 256

_Static_assert(MEASURED_STATEMENT_SIZE == ATTESTATION_MAX, "what model attest writes is looked at");
_Static_assert(MEASURED_SIGNATURE_SIZE == OMS_BUNDLE_MAX, "what model sign writes is looked at");
_Static_assert(MEASURED_INPUT_SIZE == OMS_PEM_MAX, "a key is what model verify takes for one");

static const struct measured_input *admit_find_input(const struct measurer *m, __u32 kind,
						     __u32 index)
{
	for (__u32 i = 0; i < m->inputs->n; i++) {
		if (m->inputs->input[i].kind == kind && m->inputs->input[i].index == index)
			return &m->inputs->input[i];
	}
	return NULL;
}

static const char *admit_text(const struct measurer *m, const struct measured_input *input)
{
	return (const char *)m->inputs_map.data + input->off;
}

static const char *admit_quote(const char *text, char ret[ADMIT_NAME])
{
	return escape_text(text, strlen(text) + 1, false, ret, ADMIT_NAME);
}

/* ---- the signature ---- */

/* model.sig beneath the model's directory, through no link. */
static int admit_open_signature(struct measurer *m)
{
	cleanup_oms_tree struct oms_tree tree = { 0 };
	struct oms_why why = { 0 };
	cleanup_fd int fd = -1;
	size_t n = 0;
	int r = oms_tree_add(m->model, ADMIT_SIGNATURE, &tree, &why);

	if (r == -ENOENT)
		return measurer_refuse(m, r,
				       "%s: the model is not signed: there is no %s in %s. "
				       "Sign it (custodyctl model sign), or name its signature in "
				       "[model] signature.",
				       measurer_origin(m, m->plan->admission_origin),
				       ADMIT_SIGNATURE, plan_string(m->plan, m->plan->model_path));
	if (r == 0)
		r = oms_tree_open(m->model, &tree.files[0], &fd, &why);
	if (r == 0 && tree.files[0].size > OMS_BUNDLE_MAX)
		return measurer_refuse(m, -EFBIG, "%s is larger than a signature can be.",
				       ADMIT_SIGNATURE);
	if (r == 0)
		m->signature.own = malloc(tree.files[0].size + 1);
	while (r == 0 && m->signature.own && n < tree.files[0].size) {
		ssize_t got = read(fd, m->signature.own + n, tree.files[0].size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			r = got < 0 ? -errno : -EBUSY;
		n += got > 0 ? (size_t)got : 0;
	}
	if (r < 0 || !m->signature.own)
		return measurer_refuse(m, r < 0 ? r : -ENOMEM, "%s cannot be read: %s.",
				       ADMIT_SIGNATURE,
				       why.text[0] ? why.text : strerror(r < 0 ? -r : ENOMEM));
	m->signature.text = m->signature.own;
	m->signature.n = n;
	m->signature.identity =
		(struct oms_identity){ .dev = tree.files[0].dev, .ino = tree.files[0].ino };
	return 0;
}

static int admit_take_signature(struct measurer *m)
{
	const struct measured_input *input = admit_find_input(m, MEASURED_INPUT_SIGNATURE, 0);

	if (!input)
		return admit_open_signature(m);
	m->signature.text = admit_text(m, input);
	m->signature.n = input->size;
	m->signature.identity = (struct oms_identity){ .dev = input->device, .ino = input->inode };
	return 0;
}

/* A file with a certificate in it is one of roots. */
static int admit_verify_by(struct measurer *m, const struct measured_input *input,
			   const struct oms_bundle *bundle, bool *ret_usable, struct oms_why *why)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	cleanup_oms_roots struct oms_roots *roots = NULL;
	cleanup_oms_key struct oms_key *key = NULL;
	struct oms_trust trust = { .now = time(NULL) };
	const char *text = admit_text(m, input);
	int r;

	if (memmem(text, input->size, begin, sizeof(begin) - 1))
		r = oms_roots_parse(text, input->size, &roots, why);
	else
		r = oms_key_parse_public(text, input->size, &key, why);
	*ret_usable = r == 0;
	trust.key = key;
	trust.roots = roots;
	return r < 0 ? r : oms_bundle_verify(bundle, &trust, &m->signed_, &m->signer, why);
}

static int admit_verify(struct measurer *m, const struct oms_bundle *bundle)
{
	struct oms_why first = { 0 };
	int r = 0;

	for (__u32 i = 0; i < m->plan->n_keys; i++) {
		const struct plan_key *key = &m->plan->keys[i];
		const struct measured_input *input = admit_find_input(m, MEASURED_INPUT_KEY, i);
		struct oms_why why = { 0 };
		bool usable = false;

		r = input ? admit_verify_by(m, input, bundle, &usable, &why) : -EPROTO;
		if (r == 0)
			return 0;
		if (!usable)
			return measurer_refuse(m, r, "%s: %s: %s", measurer_origin(m, key->origin),
					       plan_string(m->plan, key->path),
					       why.text[0] ? why.text : strerror(-r));
		if (r != -EKEYREJECTED || m->plan->n_keys == 1)
			first = why;
		else if (!first.text[0])
			(void)snprintf(first.text, sizeof(first.text),
				       "none of the %u keys in trusted-keys has signed it.",
				       m->plan->n_keys);
	}
	return measurer_refuse(m, r < 0 ? r : -EKEYREJECTED,
			       "%s: the model's signature is not one that is trusted: %s",
			       measurer_origin(m, m->plan->admission_origin),
			       first.text[0] ? first.text : strerror(r < 0 ? -r : EKEYREJECTED));
}

int admit_read_signature(struct measurer *m)
{
	cleanup_oms_bundle struct oms_bundle *bundle = NULL;
	struct oms_why why = { 0 };
	int r;

	r = oms_manifest_make(OMS_FILES, m->plan->name, ADMIT_SIGNATURE, &m->found);
	if (r < 0)
		return measurer_refuse(m, r, "Out of memory.");
	if (!(m->plan->admission & PLAN_ADMISSION_SIGNATURE))
		return 0;
	r = admit_take_signature(m);
	if (r < 0)
		return r;
	r = oms_bundle_parse(m->signature.text, m->signature.n, &bundle, &why);
	if (r < 0)
		return measurer_refuse(m, r, "%s: the model's signature %s: %s",
				       measurer_origin(m, m->plan->admission_origin),
				       r == -EOPNOTSUPP ? "is of a kind that is not verified"
							: "is none",
				       why.text[0] ? why.text : strerror(-r));
	r = admit_verify(m, bundle);
	if (r < 0)
		return r;
	m->found->method = m->signed_->method;
	m->found->shard_size = m->signed_->method == OMS_SHARDS ? m->signed_->shard_size : 0;
	return 0;
}

/* ---- formats ---- */

static void admit_list_formats(__u32 formats, char *ret, size_t size)
{
	size_t n = 0;

	ret[0] = '\0';
	for (__u32 bit = 1; bit & CUSTODY_FORMATS_ALL; bit <<= 1) {
		if (!(formats & bit) || n >= size)
			continue;
		n += (size_t)snprintf(ret + n, size - n, "%s%s", n > 0 ? ", " : "",
				      format_name(bit));
	}
}

int admit_check_formats(struct measurer *m)
{
	const struct custody_plan *plan = m->plan;
	char allowed[128], name[ADMIT_NAME];

	for (size_t i = 0; i < m->tree.n; i++) {
		const struct measured_file *file = &m->files[i];
		const char *path = admit_quote(m->tree.files[i].path, name);

		if ((file->flags & MEASURED_FILE_PICKLES) &&
		    !(plan->admission & PLAN_ADMISSION_PICKLE))
			return measurer_refuse(
				m, -EPERM,
				"%s is %s that may run what it says when it is loaded. Convert it "
				"(safetensors, GGUF), or set [model] allow-pickle = yes.",
				path,
				file->format == CUSTODY_FORMAT_PICKLE ? "a pickle, or an archive,"
				: file->format == 0		      ? "a file"
								      : format_name(file->format));
		if (plan->formats == 0 || file->format == 0 || (file->format & plan->formats))
			continue;
		admit_list_formats(plan->formats, allowed, sizeof(allowed));
		return measurer_refuse(m, -EPERM,
				       "%s: %s is %s by its content, and only %s is let "
				       "in.",
				       measurer_origin(m, plan->formats_origin), path,
				       format_name(file->format), allowed);
	}
	return 0;
}

/* ---- the manifest ---- */

static int admit_add_item(struct measurer *m, const char *path, const struct measured_piece *piece,
			  bool shards)
{
	struct oms_item *item = &m->found->items[m->found->n_items];
	int n = shards ? asprintf(&item->name, "%s:%llu:%llu", path,
				  (unsigned long long)piece->start, (unsigned long long)piece->end)
		       : asprintf(&item->name, "%s", path);

	if (n < 0) {
		item->name = NULL;
		return -ENOMEM;
	}
	item->path_n = strlen(path);
	memcpy(item->digest, piece->digest, sizeof(item->digest));
	m->found->n_items++;
	return 0;
}

static int admit_compare_items(const void *a, const void *b)
{
	return strcmp(((const struct oms_item *)a)->name, ((const struct oms_item *)b)->name);
}

static int admit_make_manifest(struct measurer *m)
{
	const bool shards = m->found->method == OMS_SHARDS;
	int r = 0;

	m->found->items = calloc(m->n_pieces + 1, sizeof(*m->found->items));
	if (!m->found->items)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < m->tree.n; i++) {
		const struct measured_file *file = &m->files[i];
		const char *path = m->tree.files[i].path;

		if (!measure_is_listed(m, path, &m->tree.files[i]))
			continue;
		for (__u64 j = 0; r == 0 && j < file->n_pieces; j++)
			r = admit_add_item(m, path, &m->pieces[file->first_piece + j], shards);
	}
	if (r == 0)
		qsort(m->found->items, m->found->n_items, sizeof(*m->found->items),
		      admit_compare_items);
	return r;
}

/* Of a model that nobody signed: the digest is what a signature of its files would be over. */
static int admit_digest_unsigned(struct measurer *m)
{
	struct oms_why why = { 0 };
	int r = oms_statement_digest(m->found, &why);

	return r < 0 ? measurer_refuse(m, r, "The model's digest cannot be made: %s",
				       why.text[0] ? why.text : strerror(-r))
		     : 0;
}

int admit_check_manifest(struct measurer *m)
{
	static const char *const kinds[] = { "was changed", "is missing", "is not signed" };
	struct oms_report report = { 0 };
	char name[ADMIT_NAME];
	int r = admit_make_manifest(m);

	if (r < 0)
		return measurer_refuse(m, r, "Out of memory.");
	if (!m->signed_)
		return admit_digest_unsigned(m);
	r = oms_compare(m->signed_, m->found, false, &report);
	if (r == 0)
		return 0;
	return measurer_refuse(
		m, r,
		"%s: the model is not what was signed: %zu changed, %zu "
		"missing, %zu not signed; %s %s. custodyctl model verify lists them.",
		measurer_origin(m, m->plan->admission_origin), report.n[OMS_CHANGED],
		report.n[OMS_MISSING], report.n[OMS_UNLISTED],
		admit_quote(report.first[0].name, name), kinds[report.first[0].kind]);
}

/* ---- statements about the model ---- */

/* One that custody itself made of a run, and in which something is missing, shows nothing. */
static int admit_read_attestation(const struct measurer *m, const struct measured_input *input,
				  const struct oms_key *key, const char *type,
				  const __u8 root[OMS_DIGEST_SIZE], struct oms_why *why)
{
	cleanup_attestation struct attestation *attestation = NULL;
	char name[ADMIT_NAME];
	int r = attestation_check(admit_text(m, input), input->size, key, type, root, &attestation,
				  why);

	if (r < 0 || provenance_may_admit(attestation->predicate))
		return r;
	(void)snprintf(why->text, sizeof(why->text),
		       "%s says of itself that it is not complete: see custody_run.missing in it "
		       "(custodyctl model verify-attestation --json).",
		       admit_quote(input->name, name));
	return -ENODATA;
}

/* Why the one that comes nearest is not the one: of another model rather than by another key. */
static int admit_find_attestation(struct measurer *m, const struct plan_attestation *wanted,
				  const struct oms_key *key, const __u8 root[OMS_DIGEST_SIZE],
				  struct oms_why *why)
{
	int nearest = -ENOENT;

	for (__u32 i = 0; i < m->inputs->n; i++) {
		const struct measured_input *input = &m->inputs->input[i];
		struct oms_why reason = { 0 };
		int r;

		if (input->kind != MEASURED_INPUT_ATTESTATION)
			continue;
		r = admit_read_attestation(m, input, key, plan_string(m->plan, wanted->type), root,
					   &reason);
		if (r == 0 || r == -ENOMEM)
			return r;
		if (nearest == -ENODATA || (nearest == -ESTALE && r != -ENODATA) ||
		    (nearest == -EKEYREJECTED && r != -ESTALE && r != -ENODATA))
			continue;
		nearest = r;
		*why = reason;
	}
	return nearest;
}

static int admit_check_attestation(struct measurer *m, __u32 index,
				   const __u8 root[OMS_DIGEST_SIZE])
{
	const struct plan_attestation *wanted = &m->plan->attestations[index];
	const struct measured_input *input =
		admit_find_input(m, MEASURED_INPUT_ATTESTATION_KEY, index);
	cleanup_oms_key struct oms_key *key = NULL;
	struct oms_why why = { 0 };
	int r = input ? attestation_parse_public(admit_text(m, input), input->size, &key, &why)
		      : -EPROTO;

	if (r < 0)
		return measurer_refuse(m, r, "%s: %s: %s", measurer_origin(m, wanted->origin),
				       plan_string(m->plan, wanted->key),
				       why.text[0] ? why.text : strerror(-r));
	r = admit_find_attestation(m, wanted, key, root, &why);
	if (r < 0)
		return measurer_refuse(m, r,
				       "%s: no statement of type %s by %s about this model is "
				       "in %s%s%s",
				       measurer_origin(m, wanted->origin),
				       plan_string(m->plan, wanted->type),
				       plan_string(m->plan, wanted->key),
				       plan_string(m->plan, m->plan->attestations_path),
				       why.text[0] ? "; the nearest: " : ".", why.text);
	m->attestations++;
	return 0;
}

int admit_check_attestations(struct measurer *m)
{
	const __u8 *root = m->signed_ ? m->signed_->root : m->found->root;
	int r = 0;

	for (__u32 i = 0; r == 0 && i < m->plan->n_attestations; i++)
		r = admit_check_attestation(m, i, root);
	return r;
}
