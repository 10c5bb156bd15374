/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a retirement: read the jail's records back, judge, sign, write the evidence. Run by
 * custody-recorder. Trusts custodyd for the facts; the verdict is verdict_decide()'s alone.
 */
#include "recorder.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "bundle.h"
#include "cleanup.h"
#include "dsse.h"
#include "log.h"
#include "retirement.h"

/* Everything that one retirement needs while it is made; too big for a stack frame. */
struct retire {
	struct ledger_reader reader;
	struct retirement retirement;
	struct retirement trial;
	char *statement;
	size_t statement_n;
	char *envelope;
	size_t envelope_n;
	char note[NOTE_SIZE_MAX];
};

static void retire_free(struct retire **retire)
{
	if (!*retire)
		return;
	free((*retire)->statement);
	free((*retire)->envelope);
	free(*retire);
	*retire = NULL;
}
#define cleanup_retire __attribute__((cleanup(retire_free)))

static int retire_refuse(struct recorder *recorder, __u64 id, enum custody_exit exit_code,
			 const char *why)
{
	return message_send_refused(recorder->channel, ROLE_RECORDER, id, exit_code, EINVAL,
				    "no evidence was made: %s", why);
}

/* Takes the jail's records up to the end of the log. */
static int retire_read(struct recorder *recorder, struct retire *retire, const char **ret_why)
{
	struct record_entry entry;
	int r;

	while (retire->reader.offset < ledger_end(recorder->ledger)) {
		r = ledger_reader_next(&retire->reader, &entry, ret_why);
		if (r == 0)
			r = retirement_add(&retire->retirement, &entry, ret_why);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Would the retire record make sense? Tried before it is written. */
static int retire_try(struct recorder *recorder, struct retire *retire,
		      const struct ledger_retire *body, const char **ret_why)
{
	struct record_entry entry = {
		.head = { .type = LEDGER_RETIRE, .jail_id = body->jail_id,
			  .seq = ledger_size(recorder->ledger) },
		.payload = { .retire = *body },
	};

	record_clean_texts(LEDGER_RETIRE, &entry.payload);
	if (!record_check(LEDGER_RETIRE, body->jail_id, &entry.payload, ret_why))
		return -EINVAL;
	retire->trial = retire->retirement;
	return retirement_add(&retire->trial, &entry, ret_why);
}

/* Retire record, statement, verdict record, signed head: R3 holds from the first to the last. */
static int retire_record(struct recorder *recorder, struct retire *retire,
			 const struct ledger_retire *body, struct verdict_result *ret)
{
	struct retirement *retirement = &retire->retirement;
	struct ledger_verdict verdict = { .jail_id = body->jail_id };
	const char *why = "";
	int r;

	r = ledger_append(recorder->ledger, LEDGER_RETIRE, body->jail_id, body, sizeof(*body),
			  NULL);
	if (r == 0)
		r = retire_read(recorder, retire, &why);
	if (r == 0)
		r = retirement_print(retirement, recorder->origin, &retire->statement,
				     &retire->statement_n);
	if (r == 0)
		r = dsse_seal(DSSE_TYPE_INTOTO, retire->statement, retire->statement_n,
			      recorder->key, &retire->envelope, &retire->envelope_n);
	if (r < 0)
		return r;
	retirement_judge(retirement, ret);
	verdict.verdict = ret->verdict;
	verdict.facts_first = retirement->facts_first;
	verdict.retire_seq = retirement->retire_seq;
	(void)SHA256((const unsigned char *)retire->statement, retire->statement_n,
		     verdict.statement_digest);
	r = ledger_append(recorder->ledger, LEDGER_VERDICT, body->jail_id, &verdict,
			  sizeof(verdict), NULL);
	if (r < 0)
		return r;
	return ledger_sign(recorder->ledger, recorder->key, recorder->origin, retire->note);
}

/* The reasons as one text, cut at a whole reason when there are too many. */
static void retire_print_reasons(const struct verdict_result *result, char *ret, size_t size)
{
	size_t used = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < result->n_reasons; i++) {
		char text[256];
		int n;

		(void)verdict_print_reason(&result->reasons[i], text, sizeof(text));
		n = snprintf(ret + used, size - used, "%s%s", used ? "; " : "", text);
		if (n < 0 || (size_t)n >= size - used - 8) {
			(void)snprintf(ret + used, size - used, "%s...", used ? "; " : "");
			return;
		}
		used += (size_t)n;
	}
}

static int retire_answer(struct recorder *recorder, __u64 id, struct retire *retire,
			 const struct verdict_result *result, const char *directory)
{
	struct retired retired = {
		.verdict = result->verdict,
		.seq = retire->retirement.retire_seq + 1,
	};

	(void)snprintf(retired.evidence, sizeof(retired.evidence), "%s", directory);
	retire_print_reasons(result, retired.text, sizeof(retired.text));
	return MESSAGE_SEND(recorder->channel, ROLE_RECORDER, RETIRED, id, &retired);
}

int recorder_retire(struct recorder *recorder, const struct record_retire *message)
{
	const struct ledger_retire *body = &message->retire;
	struct recorder_launch *launch = recorder_find_launch(recorder, body->jail_id);
	cleanup_retire struct retire *retire = calloc(1, sizeof(*retire));
	char directory[CUSTODY_NAME_SIZE * 2];
	struct verdict_result result;
	struct bundle bundle;
	const char *why = "";
	int r;

	if (!launch)
		return retire_refuse(recorder, message->head.id, CUSTODY_EXIT_INTERNAL,
				     "the ledger has no launch of this jail");
	if (!retire)
		return retire_refuse(recorder, message->head.id, CUSTODY_EXIT_INTERNAL,
				     "the recorder is out of memory");
	if (recorder->drain)
		recorder->drain(recorder->drain_data);
	r = recorder_sync(recorder);
	if (r < 0)
		return recorder_refuse_write(recorder, message->head.id, "the ledger", r);
	ledger_reader_setup(&retire->reader, ledger_fd(recorder->ledger), launch->offset,
			    launch->seq, launch->previous, true);
	retirement_setup(&retire->retirement, body->jail_id, launch->seq, launch->previous);
	r = retire_read(recorder, retire, &why);
	if (r == 0)
		r = retire_try(recorder, retire, body, &why);
	if (r < 0)
		return retire_refuse(recorder, message->head.id, CUSTODY_EXIT_INTERNAL, why);
	r = retire_record(recorder, retire, body, &result);
	if (r < 0)
		return recorder_refuse_write(recorder, message->head.id, "the ledger", r);
	recorder->head_size = ledger_size(recorder->ledger);
	recorder->unsynced_since_ms = 0;
	launch->ended = true;
	launch->ended_seq = recorder->head_size - 1;
	bundle = (struct bundle){
		.name = retire->retirement.retire.name, .jail_id = body->jail_id,
		.statement = retire->envelope, .statement_n = retire->envelope_n,
		.note = retire->note, .log_fd = ledger_fd(recorder->ledger),
		.first = launch->offset, .end = ledger_end(recorder->ledger),
	};
	r = bundle_write(recorder->evidence_fd, &bundle, directory, sizeof(directory));
	if (r < 0)
		return recorder_refuse_write(recorder, message->head.id, "the evidence", r);
	log_info("%s is retired: %s; evidence %s", bundle.name, verdict_name(result.verdict),
		 directory);
	return retire_answer(recorder, message->head.id, retire, &result, directory);
}
