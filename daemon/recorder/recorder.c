/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events and messages into the ledger. Run by custody-recorder. Trusts custodyd's messages as
 * far as the message table and record_check() go; trusts nothing in an event.
 */
#include "recorder.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "cleanup.h"
#include "event.h"
#include "log.h"

/* Never 0. */
static __u64 recorder_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (__u64)ts.tv_sec * 1000ULL + (__u64)ts.tv_nsec / 1000000ULL + 1;
}

/* ---- losses ---- */

void recorder_lose(struct recorder *recorder, __u32 jail_id, enum ledger_gap_cause cause, __u64 n)
{
	for (size_t i = 0; i < recorder->n_losses; i++) {
		struct recorder_loss *loss = &recorder->losses[i];

		if (loss->jail_id != jail_id || loss->cause != cause)
			continue;
		loss->lost += n;
		loss->total += n;
		return;
	}
	/* the last places are kept for losses of no particular jail, one for each cause */
	if (jail_id != 0 && recorder->n_losses >= CUSTODY_JAILS_MAX) {
		recorder_lose(recorder, 0, cause, n);
		return;
	}
	recorder->losses[recorder->n_losses++] = (struct recorder_loss){
		.jail_id = jail_id, .cause = cause, .lost = n, .total = n,
	};
}

static bool recorder_has_losses(const struct recorder *recorder)
{
	for (size_t i = 0; i < recorder->n_losses; i++) {
		if (recorder->losses[i].lost != 0)
			return true;
	}
	return false;
}

int recorder_write_losses(struct recorder *recorder)
{
	for (size_t i = 0; i < recorder->n_losses; i++) {
		struct recorder_loss *loss = &recorder->losses[i];
		struct ledger_gap gap = {
			.jail_id = loss->jail_id, .cause = loss->cause, .lost = loss->lost,
			.total = loss->total,
		};
		int r;

		if (loss->lost == 0)
			continue;
		r = ledger_append(recorder->ledger, LEDGER_GAP, loss->jail_id, &gap, sizeof(gap),
				  NULL);
		if (r < 0)
			return r;
		log_warning("%llu events of jail %u reached no record; a gap record says so",
			    (unsigned long long)loss->lost, loss->jail_id);
		loss->lost = 0;
	}
	return 0;
}

/* ---- writing ---- */

static void recorder_note_failure(struct recorder *recorder, int error)
{
	if (!recorder->failing)
		log_error("the ledger cannot be written: %s; events are counted until it can",
			  strerror(-error));
	recorder->failing = true;
}

static void recorder_note_append(struct recorder *recorder)
{
	if (recorder->unsynced_since_ms == 0)
		recorder->unsynced_since_ms = recorder_now_ms();
}

int recorder_sync(struct recorder *recorder)
{
	__u64 lost = 0;
	int r = recorder_write_losses(recorder);

	if (r == 0)
		r = ledger_sync(recorder->ledger, &lost);
	if (r < 0) {
		if (lost > 0)
			recorder_lose(recorder, 0, LEDGER_GAP_UNWRITTEN, lost);
		recorder_note_failure(recorder, r);
		/* tried again after the next fsync_ms */
		recorder->unsynced_since_ms = recorder_now_ms();
		return r;
	}
	recorder->unsynced_since_ms = 0;
	if (recorder->failing)
		log_info("the ledger can be written again");
	recorder->failing = false;
	return 0;
}

int recorder_sign(struct recorder *recorder)
{
	int r = recorder_sync(recorder);

	if (r == 0)
		r = ledger_sign(recorder->ledger, recorder->key, recorder->origin, NULL);
	recorder->head_ms = recorder_now_ms();
	if (r < 0)
		recorder_note_failure(recorder, r);
	else
		recorder->head_size = ledger_size(recorder->ledger);
	return r;
}

static void recorder_append_event(struct recorder *recorder, const struct custody_event *event)
{
	int r = recorder_write_losses(recorder);

	if (r == 0)
		r = ledger_append(recorder->ledger, LEDGER_EVENT, event->jail_id, event,
				  sizeof(*event), NULL);
	if (r < 0) {
		recorder_lose(recorder, event->jail_id, LEDGER_GAP_UNWRITTEN, 1);
		recorder_note_failure(recorder, r);
	}
	recorder_note_append(recorder);
}

void recorder_take_sample(struct recorder *recorder, const void *data, size_t n)
{
	struct custody_event event;
	const char *why;

	if (event_decode_ring(data, n, &event, &why)) {
		recorder_append_event(recorder, &event);
		return;
	}
	/* whose it was cannot be believed either: it counts for every jail */
	recorder_lose(recorder, 0, LEDGER_GAP_MALFORMED, 1);
	recorder_note_append(recorder);
	log_debug("malformed event: %s", why);
}

int recorder_refuse_write(struct recorder *recorder, __u64 id, const char *what, int error)
{
	struct statvfs vfs = { 0 };
	unsigned long long free_mib = 0;

	if (fstatvfs(ledger_fd(recorder->ledger), &vfs) == 0)
		free_mib = (unsigned long long)vfs.f_bavail * vfs.f_frsize >> 20;
	return message_send_refused(
		recorder->channel, ROLE_RECORDER, id, CUSTODY_EXIT_REFUSED, -error,
		"%s cannot be written: %s; free space on the file system of the ledger: %llu MiB; "
		"make room there and try again",
		what, strerror(-error), free_mib);
}

/* ---- messages ---- */

static int recorder_answer(struct recorder *recorder, __u64 id, __u64 seq)
{
	struct recorded recorded = { .seq = seq };

	if (id == 0)
		return 0;
	return MESSAGE_SEND(recorder->channel, ROLE_RECORDER, RECORDED, id, &recorded);
}

static int recorder_answer_failure(struct recorder *recorder, const struct message_head *head,
				   int error)
{
	if (error != -EINVAL) {
		recorder_note_failure(recorder, error);
		if (head->id == 0)
			return 0;
		return recorder_refuse_write(recorder, head->id, "the ledger", error);
	}
	log_error("custodyd sent a %s that is no valid record", message_type_name(head->type));
	if (head->id == 0)
		return 0;
	return message_send_refused(recorder->channel, ROLE_RECORDER, head->id,
				    CUSTODY_EXIT_INTERNAL, EINVAL,
				    "the recorder refused a %s: a field of it is out of range",
				    message_type_name(head->type));
}

int recorder_add_launch(struct recorder *recorder, const struct recorder_launch *launch)
{
	struct recorder_launch *grown;

	grown = reallocarray(recorder->launches, recorder->n_launches + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	recorder->launches = grown;
	grown[recorder->n_launches++] = *launch;
	return 0;
}

struct recorder_launch *recorder_find_launch(const struct recorder *recorder, __u32 jail_id)
{
	for (size_t i = recorder->n_launches; i > 0; i--) {
		if (recorder->launches[i - 1].jail_id == jail_id)
			return &recorder->launches[i - 1];
	}
	return NULL;
}

/* Appends a record that custodyd sent and makes it durable. 0 with its number, or -errno. */
static int recorder_append(struct recorder *recorder, enum ledger_type type, __u32 jail_id,
			   const void *payload, size_t n, __u64 *ret_seq)
{
	int r = recorder_write_losses(recorder);

	if (r == 0)
		r = ledger_append(recorder->ledger, type, jail_id, payload, n, ret_seq);
	if (r < 0)
		return r;
	recorder_note_append(recorder);
	return type == LEDGER_COUNTER ? 0 : recorder_sync(recorder);
}

#define RECORDER_NO_SEQ (~0ULL)

/* On disk afterwards, or counted, or with the sender, who asked for an answer and will have one. */
static int recorder_write(struct recorder *recorder, const struct message_head *head,
			  enum ledger_type type, __u32 jail_id, const void *payload, size_t n,
			  __u64 *ret_seq)
{
	__u64 seq = RECORDER_NO_SEQ;
	int r = recorder_append(recorder, type, jail_id, payload, n, &seq);

	if (r == 0 && head->id != 0)
		r = recorder_sync(recorder);
	/* A sync that failed has counted what it took back. */
	if (r < 0 && head->id == 0 && seq == RECORDER_NO_SEQ)
		recorder_lose(recorder, jail_id, LEDGER_GAP_UNWRITTEN, 1);
	if (r == 0)
		*ret_seq = seq;
	return r;
}

static int recorder_record(struct recorder *recorder, const struct message_head *head,
			   enum ledger_type type, __u32 jail_id, const void *payload, size_t n)
{
	__u64 seq = 0;
	int r = recorder_write(recorder, head, type, jail_id, payload, n, &seq);

	return r == 0 ? recorder_answer(recorder, head->id, seq) :
			recorder_answer_failure(recorder, head, r);
}

static int recorder_handle_launch(struct recorder *recorder, const struct record_launch *message)
{
	struct recorder_launch launch = { .jail_id = message->launch.jail_id };
	__u64 seq = 0;
	int r;

	if (recorder_find_launch(recorder, launch.jail_id))
		return message_send_refused(
			recorder->channel, ROLE_RECORDER, message->head.id,
			CUSTODY_EXIT_INTERNAL, EEXIST,
			"jail number %u was launched before on this ledger, and numbers are never "
			"used again", launch.jail_id);
	r = recorder_write_losses(recorder);
	launch.seq = ledger_size(recorder->ledger);
	launch.offset = ledger_end(recorder->ledger);
	memcpy(launch.previous, ledger_hash(recorder->ledger), sizeof(launch.previous));
	if (r == 0)
		r = recorder_append(recorder, LEDGER_LAUNCH, launch.jail_id, &message->launch,
				    sizeof(message->launch), &seq);
	if (r == 0)
		r = recorder_add_launch(recorder, &launch);
	if (r < 0)
		return recorder_answer_failure(recorder, &message->head, r);
	r = recorder_answer(recorder, message->head.id, seq);
	(void)recorder_sign(recorder);
	return r;
}

/* custodyd says it until it has been told that it is on record: it is written once. */
static int recorder_handle_end(struct recorder *recorder, const struct record_state *message)
{
	struct recorder_launch *launch = recorder_find_launch(recorder, message->state.jail_id);
	__u64 seq = 0;
	int r;

	if (launch && launch->ended)
		return recorder_answer(recorder, message->head.id, launch->ended_seq);
	/* What the kernel told of it comes before its end, and goes to the disk with it. */
	if (recorder->drain)
		recorder->drain(recorder->drain_data);
	r = recorder_write(recorder, &message->head, LEDGER_STATE, message->state.jail_id,
			   &message->state, sizeof(message->state), &seq);
	if (r < 0)
		return recorder_answer_failure(recorder, &message->head, r);
	if (launch) {
		launch->ended = true;
		launch->ended_seq = seq;
	}
	r = recorder_answer(recorder, message->head.id, seq);
	(void)recorder_sign(recorder);
	return r;
}

static int recorder_handle_state(struct recorder *recorder, const struct record_state *message)
{
	if (message->state.state == JAIL_STATE_STOPPED ||
	    message->state.state == JAIL_STATE_RETIRED)
		return recorder_handle_end(recorder, message);
	return recorder_record(recorder, &message->head, LEDGER_STATE, message->state.jail_id,
			       &message->state, sizeof(message->state));
}

static int recorder_handle_event(struct recorder *recorder, const struct record_event *message)
{
	struct custody_event event;
	const char *why;

	if (!event_decode_broker(&message->event, &event, &why)) {
		recorder_lose(recorder, message->event.jail_id, LEDGER_GAP_MALFORMED, 1);
		recorder_note_append(recorder);
		return recorder_answer_failure(recorder, &message->head, -EINVAL);
	}
	if (message->head.id == 0) {
		recorder_append_event(recorder, &event);
		return 0;
	}
	return recorder_record(recorder, &message->head, LEDGER_EVENT, event.jail_id, &event,
			       sizeof(event));
}

int recorder_handle(struct recorder *recorder, const union message_buffer *message)
{
	const void *body = message;
	const struct record_gap *gap = body;
	const struct record_counter *counter = body;
	const struct record_fact *fact = body;
	const struct record_measured *measured = body;
	const struct record_model *model = body;
	const struct record_checked *check = body;

	switch (message->head.type) {
	case MSG_RECORD_EVENT:
		return recorder_handle_event(recorder, body);
	case MSG_RECORD_LAUNCH:
		return recorder_handle_launch(recorder, body);
	case MSG_RECORD_STATE:
		return recorder_handle_state(recorder, body);
	case MSG_RECORD_GAP:
		return recorder_record(recorder, &message->head, LEDGER_GAP, gap->gap.jail_id,
				       &gap->gap, sizeof(gap->gap));
	case MSG_RECORD_COUNTER:
		return recorder_record(recorder, &message->head, LEDGER_COUNTER,
				       counter->counter.key.jail_id, &counter->counter,
				       sizeof(counter->counter));
	case MSG_RECORD_FACT:
		return recorder_record(recorder, &message->head, LEDGER_FACT, fact->fact.jail_id,
				       &fact->fact, sizeof(fact->fact));
	case MSG_RECORD_MEASURED:
		return recorder_record(recorder, &message->head, LEDGER_MEASURED,
				       measured->measured.jail_id, &measured->measured,
				       sizeof(measured->measured));
	case MSG_RECORD_MODEL:
		return recorder_record(recorder, &message->head, LEDGER_MODEL,
				       model->model.jail_id, &model->model, sizeof(model->model));
	case MSG_RECORD_CHECKED:
		return recorder_record(recorder, &message->head, LEDGER_CHECKED,
				       check->check.jail_id, &check->check, sizeof(check->check));
	case MSG_RECORD_RETIRE:
		return recorder_retire(recorder, body);
	default:
		return -EPROTO;
	}
}

/* ---- time ---- */

int recorder_tick(struct recorder *recorder)
{
	__u64 now = recorder_now_ms();
	__u64 gone;

	if (recorder->unsynced_since_ms == 0 && recorder_has_losses(recorder))
		recorder_note_append(recorder);
	if (recorder->unsynced_since_ms != 0 &&
	    now - recorder->unsynced_since_ms >= recorder->fsync_ms)
		(void)recorder_sync(recorder);
	if (ledger_size(recorder->ledger) != recorder->head_size &&
	    now - recorder->head_ms >= RECORDER_HEAD_SECONDS * 1000ULL)
		(void)recorder_sign(recorder);
	if (recorder->unsynced_since_ms == 0)
		return 1000;
	gone = recorder_now_ms() - recorder->unsynced_since_ms;
	return gone < recorder->fsync_ms ? (int)(recorder->fsync_ms - gone) : 1;
}

int recorder_end(struct recorder *recorder)
{
	int r = recorder_sign(recorder);

	if (recorder_has_losses(recorder))
		log_error("the recorder ends with lost events that no gap record tells of: the "
			  "ledger cannot be written");
	return r;
}

void recorder_close(struct recorder *recorder)
{
	key_free(&recorder->key);
	ledger_close(&recorder->ledger);
	free(recorder->launches);
	recorder->launches = NULL;
	recorder->n_launches = 0;
}
