/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of one evidence bundle. Run by custody-verify. Pure. Order: signatures first, so
 * that the JSON parser sees only what the key holder wrote; then the chain; then what the
 * statement says is built again from the records and compared, byte for byte.
 */
#include "check.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "cleanup_json.h"
#include "difference.h"
#include "dsse.h"
#include "escape.h"

__attribute__((format(printf, 5, 6)))
static bool check_fail(struct check_failure *failure, const char *file, unsigned long long offset,
		       unsigned long long record, const char *format, ...)
{
	va_list ap;

	failure->file = file;
	failure->offset = offset;
	failure->record = record;
	va_start(ap, format);
	(void)vsnprintf(failure->why, sizeof(failure->why), format, ap);
	va_end(ap);
	return false;
}

static bool check_fail_internal(struct check_failure *failure, int error)
{
	return check_fail(failure, RETIREMENT_FILE_STATEMENT, 0, CHECK_NO_RECORD,
			  "the check could not be done: %s", strerror(-error));
}

static bool check_head(const struct check_bundle *bundle, struct check_result *result,
		       struct check_failure *failure)
{
	const char *why = "";
	size_t offset = 0;

	if (note_parse(bundle->head.data, bundle->head.n, bundle->key, &result->head, &why,
		       &offset) == 0)
		return true;
	return check_fail(failure, RETIREMENT_FILE_HEAD, offset, CHECK_NO_RECORD,
			  "signed head: %s", why);
}

/* Opens the envelope and reads the one value that the records do not hold. */
static bool check_statement_form(const struct check_bundle *bundle, char **ret, size_t *ret_n,
				 json_t **ret_json, struct check_failure *failure)
{
	const char *file = RETIREMENT_FILE_STATEMENT;
	const char *type = NULL;
	const char *why = "";
	json_error_t error;
	size_t offset = 0;
	int r;

	r = dsse_open(bundle->statement.data, bundle->statement.n, DSSE_TYPE_INTOTO, bundle->key,
		      ret, ret_n, &why, &offset);
	if (r == -ENOMEM)
		return check_fail_internal(failure, r);
	if (r < 0)
		return check_fail(failure, file, offset, CHECK_NO_RECORD, "envelope: %s", why);
	*ret_json = json_loadb(*ret, *ret_n, JSON_REJECT_DUPLICATES, &error);
	if (!*ret_json)
		return check_fail(failure, file, 0, CHECK_NO_RECORD,
				  "statement: the signed payload is not JSON at its byte %d",
				  error.position);
	if (json_unpack(*ret_json, "{s:s}", "predicateType", &type) < 0 ||
	    strcmp(type, RETIREMENT_PREDICATE) != 0)
		return check_fail(failure, file, 0, CHECK_NO_RECORD,
				  "statement: the payload is signed, but it is no %s",
				  RETIREMENT_PREDICATE);
	return true;
}

static bool check_parse_hash(const json_t *statement, __u8 ret[CUSTODY_DIGEST_SIZE])
{
	const char *hex = NULL;

	if (json_unpack((json_t *)statement, "{s:{s:{s:s}}}", "predicate", "ledger",
			"previousHash", &hex) < 0 || strlen(hex) != 2 * CUSTODY_DIGEST_SIZE)
		return false;
	for (size_t i = 0; i < 2 * CUSTODY_DIGEST_SIZE; i++) {
		const char *digits = "0123456789abcdef";
		const char *digit = strchr(digits, hex[i]);

		if (!digit)
			return false;
		ret[i / 2] = (__u8)(ret[i / 2] << 4 | (__u8)(digit - digits));
	}
	return true;
}

/* Every record: form, number, hash, sense. */
static bool check_records(const struct check_bundle *bundle, const __u8 *previous,
			  struct check_result *result, struct record_entry *entry,
			  struct check_failure *failure)
{
	const char *file = RETIREMENT_FILE_RECORDS;
	const char *why = "";
	__u8 hash[CUSTODY_DIGEST_SIZE];
	struct ledger_record first;
	size_t at = 0;
	__u64 seq;
	int r;

	if (bundle->records.n < sizeof(first))
		return check_fail(failure, file, 0, CHECK_NO_RECORD, "records: there is none");
	memcpy(&first, bundle->records.data, sizeof(first));
	memcpy(hash, previous, sizeof(hash));
	seq = first.seq;
	retirement_setup(&result->retirement, first.jail_id, seq, previous);
	while (at < bundle->records.n) {
		r = record_decode(bundle->records.data + at, bundle->records.n - at, hash, seq,
				  entry, &why);
		if (r == -EAGAIN)
			why = "the file ends inside it";
		if (r == 0)
			r = retirement_add(&result->retirement, entry, &why);
		if (r < 0)
			return check_fail(failure, file, at, seq, "records: %s", why);
		memcpy(hash, entry->head.hash, sizeof(hash));
		at += entry->size;
		seq++;
	}
	result->records = seq - first.seq;
	return true;
}

/* The last record is the verdict on this jail, and the signed head is over exactly it. */
static bool check_end(const struct check_bundle *bundle, const struct check_result *result,
		      const struct record_entry *last, struct check_failure *failure)
{
	const struct note_head *head = &result->head;

	if (!result->retirement.judged || last->head.type != LEDGER_VERDICT ||
	    last->head.jail_id != result->retirement.jail_id)
		return check_fail(failure, RETIREMENT_FILE_RECORDS, bundle->records.n - last->size,
				  last->head.seq,
				  "records: the last one is not the jail's verdict");
	if (head->size != last->head.seq + 1)
		return check_fail(failure, RETIREMENT_FILE_HEAD, strlen(head->origin) + 1,
				  last->head.seq,
				  "signed head: it is over %llu records, and the last here is "
				  "number %llu", (unsigned long long)head->size,
				  (unsigned long long)last->head.seq);
	if (memcmp(head->hash, last->head.hash, sizeof(head->hash)) != 0)
		return check_fail(failure, RETIREMENT_FILE_HEAD, 0, last->head.seq,
				  "signed head: its hash is not that of the last record");
	return true;
}

/* The statement is what these records say, in every byte. */
static bool check_statement(const struct check_result *result, const char *payload, size_t n,
			    const json_t *statement, struct check_failure *failure)
{
	cleanup_json json_t *built = NULL;
	cleanup_ptr char *text = NULL;
	char where[512] = "";
	json_error_t error;
	size_t text_n = 0;
	int r;

	r = retirement_print(&result->retirement, result->head.origin, &text, &text_n);
	if (r < 0)
		return check_fail_internal(failure, r);
	if (text_n == n && memcmp(text, payload, n) == 0)
		return true;
	built = json_loadb(text, text_n, JSON_REJECT_DUPLICATES, &error);
	if (!built || !difference_find(statement, built, where, sizeof(where)))
		(void)snprintf(where, sizeof(where), "(the way it is written)");
	return check_fail(failure, RETIREMENT_FILE_STATEMENT, 0, result->retirement.retire_seq,
			  "statement: it is not what the records say; first difference: %.400s",
			  where);
}

static bool check_verdict(const struct check_bundle *bundle, struct check_result *result,
			  const char *payload, size_t n, const struct record_entry *last,
			  struct check_failure *failure)
{
	const struct ledger_verdict *verdict = &last->payload.verdict;
	unsigned long long at = bundle->records.n - last->size;
	__u8 digest[CUSTODY_DIGEST_SIZE];

	(void)SHA256((const unsigned char *)payload, n, digest);
	if (memcmp(digest, verdict->statement_digest, sizeof(digest)) != 0)
		return check_fail(failure, RETIREMENT_FILE_RECORDS, at, last->head.seq,
				  "verdict record: it is about another statement");
	retirement_judge(&result->retirement, &result->verdict);
	if (verdict->verdict != (__u32)result->verdict.verdict)
		return check_fail(failure, RETIREMENT_FILE_RECORDS, at, last->head.seq,
				  "verdict record: it says %s, and the facts say %s",
				  verdict_name(verdict->verdict),
				  verdict_name(result->verdict.verdict));
	return true;
}

bool check_bundle(const struct check_bundle *bundle, struct check_result *ret,
		  struct check_failure *ret_failure)
{
	cleanup_ptr char *payload = NULL;
	cleanup_json json_t *statement = NULL;
	__u8 previous[CUSTODY_DIGEST_SIZE] = { 0 };
	struct record_entry last = { 0 };
	size_t n = 0;

	if (!check_head(bundle, ret, ret_failure) ||
	    !check_statement_form(bundle, &payload, &n, &statement, ret_failure))
		return false;
	if (!check_parse_hash(statement, previous))
		return check_fail(ret_failure, RETIREMENT_FILE_STATEMENT, 0, CHECK_NO_RECORD,
				  "statement: predicate.ledger.previousHash is no hash");
	return check_records(bundle, previous, ret, &last, ret_failure) &&
	       check_end(bundle, ret, &last, ret_failure) &&
	       check_statement(ret, payload, n, statement, ret_failure) &&
	       check_verdict(bundle, ret, payload, n, &last, ret_failure);
}
