/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl ledger: is the whole ledger what it was when it was signed? Run as the caller; asks
 * no daemon. Trusts only the public key: by default the one beside the ledger, which says no
 * more than that the files agree with each other; --key names one that was kept elsewhere.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "client.h"
#include "ledger_file.h"

/* A walk over the log and, beside it, over the signed heads. */
struct ledger_check {
	struct ledger_reader reader;
	const struct key *key;
	char *heads;
	size_t heads_n;
	size_t at;		/* of the next head */
	struct note_head next;	/* size 0: none */
	unsigned long long n_heads;
	unsigned long long head_size;	/* records under the newest */
	unsigned long long torn;
};

static int ledger_complain_head(const struct ledger_check *check, size_t offset, const char *why)
{
	client_complain("The ledger is damaged: file %s, head %llu at byte %zu: %s.", LEDGER_HEADS,
			check->n_heads, check->at + offset, why);
	return CUSTODY_EXIT_FALSE;
}

/* Reads the next head into check->next and checks its signature. */
static int ledger_next_head(struct ledger_check *check)
{
	size_t left = check->heads_n - check->at;
	size_t n = note_find_end(check->heads + check->at, left);
	unsigned long long before = check->head_size;
	const char *why = "";
	size_t offset = 0;

	check->next = (struct note_head){ .size = 0 };
	if (n == 0)
		return CUSTODY_EXIT_DONE;
	if (note_parse(check->heads + check->at, n, check->key, &check->next, &why, &offset) < 0)
		return ledger_complain_head(check, offset, why);
	if (check->next.size <= before)
		return ledger_complain_head(check, 0, "it is over no more records than the one "
						      "before it");
	check->at += n + 1;
	return CUSTODY_EXIT_DONE;
}

static int ledger_match_head(struct ledger_check *check)
{
	if (check->next.size == 0 || check->reader.seq != check->next.size)
		return CUSTODY_EXIT_DONE;
	if (memcmp(check->reader.hash, check->next.hash, sizeof(check->next.hash)) != 0) {
		client_complain("The ledger is damaged: the chain up to record %llu (byte %llu of "
				"%s) is not the one that head %llu was signed for.",
				(unsigned long long)check->reader.seq - 1,
				(unsigned long long)check->reader.offset, LEDGER_LOG,
				check->n_heads);
		return CUSTODY_EXIT_FALSE;
	}
	check->n_heads++;
	check->head_size = check->next.size;
	return ledger_next_head(check);
}

static int ledger_walk(struct ledger_check *check)
{
	struct record_entry entry;
	const char *why = "";
	struct stat st;
	int r;

	while ((r = ledger_reader_next(&check->reader, &entry, &why)) == 0) {
		r = ledger_match_head(check);
		if (r != CUSTODY_EXIT_DONE)
			return r;
	}
	if (r != -ENODATA && r != -EAGAIN)
		return ledger_file_complain(&check->reader, r, why);
	if (check->next.size != 0) {
		client_complain("The ledger was cut: a signed head covers %llu records, and the "
				"log ends after %llu.", (unsigned long long)check->next.size,
				(unsigned long long)check->reader.seq);
		return CUSTODY_EXIT_FALSE;
	}
	if (r == -EAGAIN && fstat(check->reader.fd, &st) == 0)
		check->torn = (unsigned long long)st.st_size - check->reader.offset;
	return CUSTODY_EXIT_DONE;
}

static int ledger_report(const struct ledger_check *check, const struct command_options *options)
{
	unsigned long long records = check->reader.seq;
	json_t *json;

	if (!options->json) {
		(void)printf("%llu records, chained without a break; %llu signed heads agree with "
			     "the chain, by key %s.\n",
			     records, check->n_heads, key_id(check->key));
		(void)printf("%llu records at the end stand under no signed head yet.\n",
			     records - check->head_size);
		if (check->torn)
			(void)printf("%llu bytes behind them are no whole record: torn, or being "
				     "written now.\n", check->torn);
		return CUSTODY_EXIT_DONE;
	}
	json = json_pack("{s:b, s:I, s:I, s:I, s:I, s:s}", "verified", 1, "records",
			 (json_int_t)records, "heads", (json_int_t)check->n_heads,
			 "records_signed", (json_int_t)check->head_size, "torn_bytes",
			 (json_int_t)check->torn, "key", key_id(check->key));
	return client_print_json(json, JSON_SORT_KEYS) < 0 ? CUSTODY_EXIT_INTERNAL
							   : CUSTODY_EXIT_DONE;
}

static int ledger_load_key(const struct command_options *options, const char *path,
			   struct key **ret)
{
	cleanup_ptr char *text = NULL;
	cleanup_file FILE *file = NULL;
	char bytes[KEY_FILE_MAX];
	size_t n = 0;
	int r;

	if (!path) {
		r = ledger_file_read(options, LEDGER_PUB, KEY_FILE_MAX, &text, &n);
		if (r != CUSTODY_EXIT_DONE)
			return r;
	} else {
		file = fopen(path, "re");
		if (!file) {
			client_complain("The key %s cannot be read: %s.", client_quote(path).text,
					strerror(errno));
			return CUSTODY_EXIT_USAGE;
		}
		n = fread(bytes, 1, sizeof(bytes), file);
	}
	if (key_parse_public(text ? text : bytes, n, ret) == 0)
		return CUSTODY_EXIT_DONE;
	client_complain("%s holds no Ed25519 public key, neither PEM nor vkey.",
			client_quote(path ? path : LEDGER_PUB).text);
	return path ? CUSTODY_EXIT_USAGE : CUSTODY_EXIT_FALSE;
}

static int ledger_verify(const struct command_options *options, const char *key_path)
{
	cleanup_ptr struct ledger_check *check = calloc(1, sizeof(*check));
	cleanup_ptr char *heads = NULL;
	cleanup_key struct key *key = NULL;
	cleanup_fd int fd = -1;
	int r;

	if (!check)
		return CUSTODY_EXIT_INTERNAL;
	r = ledger_load_key(options, key_path, &key);
	/* heads before the log: the log then is at least as long as the heads say */
	if (r == CUSTODY_EXIT_DONE)
		r = ledger_file_read(options, LEDGER_HEADS, LEDGER_HEADS_MAX, &heads,
				     &check->heads_n);
	if (r == CUSTODY_EXIT_DONE)
		r = ledger_file_open(options, LEDGER_LOG, &fd);
	if (r != CUSTODY_EXIT_DONE)
		return r;
	check->key = key;
	check->heads = heads;
	ledger_reader_setup(&check->reader, fd, 0, 0, NULL, true);
	r = ledger_next_head(check);
	if (r == CUSTODY_EXIT_DONE)
		r = ledger_walk(check);
	return r == CUSTODY_EXIT_DONE ? ledger_report(check, options) : r;
}

static int ledger_checkpoint(const struct command_options *options)
{
	cleanup_ptr char *heads = NULL;
	size_t n = 0;
	size_t at = 0;
	size_t last = 0;
	size_t last_n = 0;
	int r = ledger_file_read(options, LEDGER_HEADS, LEDGER_HEADS_MAX, &heads, &n);

	if (r != CUSTODY_EXIT_DONE)
		return r;
	for (size_t len; (len = note_find_end(heads + at, n - at)) != 0; at += len + 1) {
		last = at;
		last_n = len;
	}
	if (last_n == 0) {
		client_complain("No head of the ledger has been signed yet.");
		return CUSTODY_EXIT_FALSE;
	}
	return fwrite(heads + last, 1, last_n, stdout) == last_n ? CUSTODY_EXIT_DONE :
								   CUSTODY_EXIT_INTERNAL;
}

int command_ledger(int argc, char **argv, const struct command_options *options)
{
	const char *key = NULL;
	const struct client_option words[] = { { "--key", &key } };
	int n = client_parse_options(argc, argv, words, ARRAY_SIZE(words));

	if (n < 0)
		return CUSTODY_EXIT_USAGE;
	if (n == 1 && strcmp(argv[1], "verify") == 0)
		return ledger_verify(options, key);
	if (n == 1 && strcmp(argv[1], "checkpoint") == 0 && !key)
		return ledger_checkpoint(options);
	if (n >= 1 && strcmp(argv[1], "prove") == 0)
		client_complain("This version keeps the ledger as a hash chain, which has no short "
				"proofs: ledger prove comes with the Merkle log. The evidence of a "
				"retirement holds the whole stretch of chain that it is about.");
	else
		client_complain("ledger takes verify [--key FILE] or checkpoint.");
	return CUSTODY_EXIT_USAGE;
}
