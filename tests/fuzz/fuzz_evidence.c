/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: evidence in memory. Input beginning with 'r' is a log whose hashes are put right
 * first, so that the fuzzer gets past them; it is judged, signed by a key of ours, and must then
 * verify, if its records make sense at all. Any other input is cut into the three files.
 * Trusts nothing.
 * link: tools/custody-verify/check.c tools/custody-verify/difference.c
 */
#include <openssl/sha.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dsse.h"
#include "tools/custody-verify/check.h"

#define ORIGIN "custody/fuzz/chain-v1"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct key *get_key(void)
{
	static struct key *key;

	if (!key && key_make(&key) < 0)
		abort();
	return key;
}

/* Puts magic, length, number and hash of one record right. 0 when it does not fit. */
static size_t mend(uint8_t *bytes, size_t n, __u64 seq, __u8 hash[CUSTODY_DIGEST_SIZE])
{
	struct record_entry entry = { 0 };

	if (n < sizeof(entry.head))
		return 0;
	memcpy(&entry.head, bytes, sizeof(entry.head));
	entry.head.magic = LEDGER_MAGIC;
	entry.head.version = LEDGER_VERSION;
	entry.head.length = (__u32)record_payload_size(entry.head.type);
	entry.head.seq = seq;
	entry.size = sizeof(entry.head) + entry.head.length;
	if (entry.head.length == 0 || n < entry.size)
		return 0;
	memcpy(&entry.payload, bytes + sizeof(entry.head), entry.head.length);
	if (record_hash(hash, &entry, entry.head.hash) < 0)
		abort();
	memcpy(hash, entry.head.hash, CUSTODY_DIGEST_SIZE);
	record_encode(&entry, bytes);
	return entry.size;
}

/* Signs what the records say, with a verdict record behind them, and has it verified. */
static void seal(uint8_t *bytes, size_t used, const struct retirement *retirement,
		 const __u8 previous[CUSTODY_DIGEST_SIZE], __u64 seq)
{
	struct check_result *result = calloc(1, sizeof(*result));
	struct record_entry entry = { .head = { .type = LEDGER_VERDICT,
						.jail_id = retirement->jail_id } };
	struct note_head head = { .origin = ORIGIN, .size = seq + 1 };
	struct verdict_result verdict;
	struct check_failure failure = { 0 };
	struct check_bundle bundle = { .key = get_key() };
	char note[NOTE_SIZE_MAX];
	char *statement = NULL, *envelope = NULL;
	size_t statement_n = 0, envelope_n = 0;

	if (!result || retirement_print(retirement, ORIGIN, &statement, &statement_n) < 0 ||
	    dsse_seal(DSSE_TYPE_INTOTO, statement, statement_n, get_key(), &envelope,
		      &envelope_n) < 0)
		abort();
	retirement_judge(retirement, &verdict);
	entry.payload.verdict = (struct ledger_verdict){
		.jail_id = retirement->jail_id, .verdict = verdict.verdict,
		.facts_first = retirement->facts_first, .retire_seq = retirement->retire_seq,
	};
	(void)SHA256((const unsigned char *)statement, statement_n,
		     entry.payload.verdict.statement_digest);
	entry.head.length = sizeof(struct ledger_verdict);
	record_encode(&entry, bytes + used);
	memcpy(head.hash, previous, sizeof(head.hash));
	used += mend(bytes + used, RECORD_SIZE_MAX, seq, head.hash);
	if (note_sign(&head, get_key(), note, sizeof(note)) < 0)
		abort();
	bundle.statement = (struct check_bytes){ envelope, envelope_n };
	bundle.records = (struct check_bytes){ (const char *)bytes, used };
	bundle.head = (struct check_bytes){ note, strlen(note) };
	if (!check_bundle(&bundle, result, &failure))
		abort();
	free(statement);
	free(envelope);
	free(result);
}

static void try_records(const uint8_t *data, size_t n)
{
	struct retirement *retirement = malloc(sizeof(*retirement));
	uint8_t *bytes = malloc(n + 2 * RECORD_SIZE_MAX);
	__u8 hash[CUSTODY_DIGEST_SIZE] = { 1 };
	__u8 before[CUSTODY_DIGEST_SIZE];
	struct record_entry entry;
	const char *why = "";
	size_t at = 0;
	__u64 seq = 5;

	if (!retirement || !bytes)
		abort();
	memcpy(bytes, data, n);
	for (size_t len; (len = mend(bytes + at, n - at, seq, hash)) > 0; at += len, seq++) {
		memcpy(before, seq == 5 ? (const __u8[32]){ 1 } : entry.head.hash, sizeof(before));
		if (record_decode(bytes + at, len, before, seq, &entry, &why) < 0)
			break;
		if (seq == 5)
			retirement_setup(retirement, entry.head.jail_id, seq, before);
		if (retirement_add(retirement, &entry, &why) < 0)
			break;
		if (entry.head.type == LEDGER_RETIRE && entry.head.jail_id == retirement->jail_id) {
			seal(bytes, at + len, retirement, hash, seq + 1);
			break;
		}
	}
	free(bytes);
	free(retirement);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct check_result *result;
	struct check_failure failure = { 0 };
	struct check_bundle bundle = { .key = get_key() };
	size_t a, b;

	if (n > 0 && data[0] == 'r') {
		try_records(data + 1, n - 1);
		return 0;
	}
	if (n < 4)
		return 0;
	result = calloc(1, sizeof(*result));
	a = data[0] * 4U < n - 2 ? data[0] * 4U : n - 2;
	b = a + data[1] < n - 2 ? data[1] : n - 2 - a;
	bundle.statement = (struct check_bytes){ (const char *)data + 2, a };
	bundle.head = (struct check_bytes){ (const char *)data + 2 + a, b };
	bundle.records = (struct check_bytes){ (const char *)data + 2 + a + b, n - 2 - a - b };
	if (result && check_bundle(&bundle, result, &failure))
		abort();	/* nobody signed this */
	free(result);
	return 0;
}
