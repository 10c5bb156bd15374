/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record of the ledger: checks, hash, bytes. Run by the recorder, custodyctl and
 * custody-verify. Pure. Trusts nothing.
 */
#include "record.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <string.h>

#include "cleanup.h"
#include "custody/message.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are little endian");

struct record_row {
	const char *name;
	size_t size;
};

static const struct record_row record_rows[_LEDGER_TYPE_MAX] = {
	[LEDGER_OPENED] = { "opened", sizeof(struct ledger_opened) },
	[LEDGER_EVENT] = { "event", sizeof(struct custody_event) },
	[LEDGER_LAUNCH] = { "launch", sizeof(struct ledger_launch) },
	[LEDGER_STATE] = { "state", sizeof(struct ledger_state) },
	[LEDGER_GAP] = { "gap", sizeof(struct ledger_gap) },
	[LEDGER_COUNTER] = { "counter", sizeof(struct ledger_counter) },
	[LEDGER_FACT] = { "fact", sizeof(struct ledger_fact) },
	[LEDGER_RETIRE] = { "retire", sizeof(struct ledger_retire) },
	[LEDGER_VERDICT] = { "verdict", sizeof(struct ledger_verdict) },
	[LEDGER_MEASURED] = { "measured", sizeof(struct ledger_measured) },
	[LEDGER_MODEL] = { "model", sizeof(struct ledger_model) },
	[LEDGER_CHECKED] = { "checked", sizeof(struct ledger_checked) },
};

struct record_text {
	__u32 type;
	size_t off;
	size_t size;
};

#define TEXT(type, body, field) \
	{ type, offsetof(struct body, field), sizeof(((struct body *)0)->field) }

static const struct record_text record_texts[] = {
	TEXT(LEDGER_OPENED, ledger_opened, kernel),
	TEXT(LEDGER_LAUNCH, ledger_launch, name),
	TEXT(LEDGER_LAUNCH, ledger_launch, profile),
	TEXT(LEDGER_STATE, ledger_state, why),
	TEXT(LEDGER_FACT, ledger_fact, fact.detail),
	TEXT(LEDGER_RETIRE, ledger_retire, name),
	TEXT(LEDGER_RETIRE, ledger_retire, profile),
	TEXT(LEDGER_MEASURED, ledger_measured, name),
	TEXT(LEDGER_MEASURED, ledger_measured, signer),
	TEXT(LEDGER_MEASURED, ledger_measured, why),
	TEXT(LEDGER_MODEL, ledger_model, name),
	TEXT(LEDGER_MODEL, ledger_model, profile),
	TEXT(LEDGER_MODEL, ledger_model, why),
	TEXT(LEDGER_CHECKED, ledger_checked, name),
	TEXT(LEDGER_CHECKED, ledger_checked, command),
	TEXT(LEDGER_CHECKED, ledger_checked, output),
	TEXT(LEDGER_CHECKED, ledger_checked, why),
};

const char *record_type_name(__u32 type)
{
	return record_payload_size(type) ? record_rows[type].name : "unknown";
}

size_t record_payload_size(__u32 type)
{
	return type < _LEDGER_TYPE_MAX ? record_rows[type].size : 0;
}

static bool record_is_zero(const void *bytes, size_t n)
{
	const char *p = bytes;

	for (size_t i = 0; i < n; i++) {
		if (p[i] != 0)
			return false;
	}
	return true;
}

void record_clean_texts(__u32 type, union record_payload *payload)
{
	for (size_t i = 0; i < ARRAY_SIZE(record_texts); i++) {
		const struct record_text *t = &record_texts[i];
		char *text = (char *)payload + t->off;
		size_t n = strnlen(text, t->size);

		if (t->type == type)
			memset(text + n, 0, t->size - n);
	}
}

static bool record_check_texts(__u32 type, const union record_payload *payload)
{
	for (size_t i = 0; i < ARRAY_SIZE(record_texts); i++) {
		const struct record_text *t = &record_texts[i];
		const char *text = (const char *)payload + t->off;
		size_t n = strnlen(text, t->size);

		if (t->type != type)
			continue;
		if (n == t->size || !record_is_zero(text + n, t->size - n))
			return false;
	}
	return true;
}

bool record_check_name(const char *name, size_t size)
{
	size_t n = strnlen(name, size);

	if (n == 0 || n == size || name[0] == '.' || name[0] == '_' || name[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++) {
		bool ok = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9');

		if (!ok && name[i] != '.' && name[i] != '_' && name[i] != '-')
			return false;
	}
	return true;
}

bool record_check_event(const struct custody_event *event, const char **ret_why)
{
	__u32 planes = EVENT_PLANE_STRUCTURE | EVENT_PLANE_CGROUP | EVENT_PLANE_LSM |
		       EVENT_PLANE_OBSERVE | EVENT_PLANE_BROKER;
	__u32 call = EVENT_FLAG_KILLED | EVENT_FLAG_FOREIGN | EVENT_FLAG_SITE;
	__u32 flags = EVENT_FLAG_PATH_TRUNCATED | EVENT_FLAG_NO_ZONE | call;

	*ret_why = "event of another size or version";
	if (event->size != sizeof(*event) || event->version != EVENT_VERSION)
		return false;
	*ret_why = "event with an unknown verdict";
	if (event->verdict < EVENT_ALLOWED || event->verdict > EVENT_OBSERVED)
		return false;
	*ret_why = "event with an unknown class";
	if (event->class == 0 || event->class >= _POLICY_CLASS_MAX)
		return false;
	*ret_why = "event that is not of exactly one plane";
	if (event->plane == 0 || (event->plane & (event->plane - 1)) || (event->plane & ~planes))
		return false;
	*ret_why = "event with an unknown address family or flag";
	if (event->family != 0 && event->family != 1 && event->family != 4 && event->family != 6)
		return false;
	if (event->flags & ~flags)
		return false;
	*ret_why = "event of something else with the flags or the site of a refused system call";
	if ((event->flags & call) &&
	    (event->class != POLICY_CLASS_SYSCALL || event->family != 0))
		return false;
	*ret_why = "event with an error that is no errno";
	if (event->error > 0 || event->error < -4095)
		return false;
	*ret_why = "event whose path is longer than its field";
	return event->path_len <= sizeof(event->path);
}

static bool record_check_event_padding(const struct custody_event *event)
{
	size_t comm = strnlen(event->comm, sizeof(event->comm));

	return comm < sizeof(event->comm) &&
	       record_is_zero(event->comm + comm, sizeof(event->comm) - comm) &&
	       record_is_zero(event->path + event->path_len,
			      sizeof(event->path) - event->path_len);
}

static bool record_check_fact(const struct ledger_fact *fact)
{
	return fact->pad == 0 && fact->fact.fact > FACT_NONE && fact->fact.fact < _FACT_MAX &&
	       (fact->fact.phase == EVIDENCE_BEFORE_ERASE ||
		fact->fact.phase == EVIDENCE_AFTER_ERASE) &&
	       fact->fact.looked <= 1 && fact->fact.value <= INT64_MAX;
}

static bool record_check_retire(const struct ledger_retire *retire)
{
	return retire->pad == 0 && retire->erase >= EVIDENCE_ERASE_NOTHING &&
	       retire->erase <= EVIDENCE_ERASE_SWAPPABLE &&
	       (retire->planes_required & ~(__u32)CUSTODY_PLANES_ALL) == 0 &&
	       (retire->planes_active & ~(__u32)CUSTODY_PLANES_ALL) == 0 &&
	       record_check_name(retire->name, sizeof(retire->name)) &&
	       record_check_name(retire->profile, sizeof(retire->profile));
}

static bool record_check_launch(const struct ledger_launch *launch)
{
	return launch->jail_id != 0 &&
	       (launch->planes_required & ~(__u32)CUSTODY_PLANES_ALL) == 0 &&
	       (launch->planes_active & ~(__u32)CUSTODY_PLANES_ALL) == 0 &&
	       (launch->structure & ~(__u32)STRUCTURE_ALL) == 0 &&
	       record_check_name(launch->name, sizeof(launch->name)) &&
	       record_check_name(launch->profile, sizeof(launch->profile));
}

static bool record_check_verdict(const struct ledger_verdict *verdict)
{
	return verdict->verdict >= VERDICT_CLEAN && verdict->verdict <= VERDICT_INCOMPLETE;
}

static bool record_check_measured(const struct ledger_measured *measured)
{
	/* what was not registered was to be of no jail */
	return (measured->jail_id != 0 || (measured->flags & MEASURED_REFUSED)) &&
	       measured->pad == 0 &&
	       record_check_name(measured->name, sizeof(measured->name)) &&
	       (measured->flags & ~(__u32)MEASURED_FLAGS_ALL) == 0 &&
	       (measured->formats & ~(__u32)CUSTODY_FORMATS_ALL) == 0 &&
	       measured->files <= INT64_MAX && measured->bytes <= INT64_MAX &&
	       measured->read <= INT64_MAX;
}

static bool record_check_model(const struct ledger_model *model)
{
	return model->jail_id == 0 && model->pad == 0 && model->failed <= 1 &&
	       model->change > LEDGER_MODEL_NONE && model->change < _LEDGER_MODEL_MAX &&
	       model->version >= 1 && model->version <= REGISTRY_VERSIONS_MAX &&
	       record_check_name(model->name, sizeof(model->name)) &&
	       record_check_name(model->profile, sizeof(model->profile));
}

/* A check that passed says nothing else; one that did not says why. */
static bool record_check_checked(const struct ledger_checked *check)
{
	const bool passed = check->flags & CHECK_PASSED;

	if (check->jail_id == 0 || (check->flags & ~(__u32)CHECK_FLAGS_ALL) != 0 ||
	    check->index >= PLAN_CHECKERS_MAX || check->output_size > CHECK_OUTPUT_MAX ||
	    check->ran_ms > INT64_MAX || !record_check_name(check->name, sizeof(check->name)) ||
	    memchr(check->output, '/', sizeof(check->output)))
		return false;
	if ((check->output[0] != '\0') != (check->output_size > 0))
		return false;
	if (!passed)
		return check->why[0] != '\0';
	return check->check_jail != 0 && check->status == 0 && check->why[0] == '\0' &&
	       !(check->flags & (CHECK_LATE | CHECK_NOT_RUN));
}

static bool record_check_gap(const struct ledger_gap *gap)
{
	return gap->pad == 0 && gap->cause >= LEDGER_GAP_RING_FULL &&
	       gap->cause < _LEDGER_GAP_MAX && gap->site < _POLICY_ERROR_MAX &&
	       gap->lost <= INT64_MAX && gap->total <= INT64_MAX;
}

static bool record_check_body(__u32 type, const union record_payload *payload,
			      const char **ret_why)
{
	*ret_why = "the payload is malformed";
	switch (type) {
	case LEDGER_OPENED:
		return true;
	case LEDGER_EVENT:
		return record_check_event(&payload->event, ret_why) &&
		       record_check_event_padding(&payload->event);
	case LEDGER_LAUNCH:
		return record_check_launch(&payload->launch);
	case LEDGER_STATE:
		return payload->state.state > 0 && payload->state.state < _JAIL_STATE_MAX;
	case LEDGER_GAP:
		return record_check_gap(&payload->gap);
	case LEDGER_COUNTER:
		return payload->counter.key.class > 0 &&
		       payload->counter.key.class < _POLICY_CLASS_MAX;
	case LEDGER_FACT:
		return record_check_fact(&payload->fact);
	case LEDGER_RETIRE:
		return record_check_retire(&payload->retire);
	case LEDGER_VERDICT:
		return record_check_verdict(&payload->verdict);
	case LEDGER_MEASURED:
		return record_check_measured(&payload->measured);
	case LEDGER_MODEL:
		return record_check_model(&payload->model);
	case LEDGER_CHECKED:
		return record_check_checked(&payload->checked);
	default:
		*ret_why = "there is no such type of record";
		return false;
	}
}

static __u32 record_find_jail(__u32 type, const union record_payload *payload)
{
	switch (type) {
	case LEDGER_OPENED:
		return 0;
	case LEDGER_EVENT:
		return payload->event.jail_id;
	case LEDGER_COUNTER:
		return payload->counter.key.jail_id;
	default:
		/* every other payload begins with it */
		return payload->state.jail_id;
	}
}

bool record_check(__u32 type, __u32 jail_id, const union record_payload *payload,
		  const char **ret_why)
{
	if (!record_check_body(type, payload, ret_why))
		return false;
	*ret_why = "a text field is not ended, or not filled up, by NUL bytes";
	if (!record_check_texts(type, payload))
		return false;
	*ret_why = "the record's header names another jail than its payload";
	return record_find_jail(type, payload) == jail_id;
}

int record_hash(const __u8 previous[CUSTODY_DIGEST_SIZE], const struct record_entry *entry,
		__u8 ret[CUSTODY_DIGEST_SIZE])
{
	__u8 bytes[CUSTODY_DIGEST_SIZE + RECORD_SIZE_MAX];
	struct ledger_record head = entry->head;

	memset(head.hash, 0, sizeof(head.hash));
	memcpy(bytes, previous, CUSTODY_DIGEST_SIZE);
	memcpy(bytes + CUSTODY_DIGEST_SIZE, &head, sizeof(head));
	memcpy(bytes + CUSTODY_DIGEST_SIZE + sizeof(head), &entry->payload, entry->head.length);
	return SHA256(bytes, CUSTODY_DIGEST_SIZE + entry->size, ret) ? 0 : -EIO;
}

void record_encode(const struct record_entry *entry, __u8 ret[RECORD_SIZE_MAX])
{
	memcpy(ret, &entry->head, sizeof(entry->head));
	memcpy(ret + sizeof(entry->head), &entry->payload, entry->head.length);
}

static int record_decode_head(const struct ledger_record *head, __u64 seq, const char **ret_why)
{
	*ret_why = "there is no record header";
	if (head->magic != LEDGER_MAGIC)
		return -EBADMSG;
	*ret_why = "the record is of another version";
	if (head->version != LEDGER_VERSION)
		return -EBADMSG;
	*ret_why = "the record's type or length is wrong";
	if (record_payload_size(head->type) == 0 ||
	    record_payload_size(head->type) != head->length)
		return -EBADMSG;
	*ret_why = "the record's number is out of order";
	return head->seq == seq ? 0 : -EBADMSG;
}

int record_decode(const void *bytes, size_t n, const __u8 *previous, __u64 seq,
		  struct record_entry *ret, const char **ret_why)
{
	struct record_entry entry = { 0 };
	__u8 hash[CUSTODY_DIGEST_SIZE];
	int r;

	if (n < sizeof(entry.head))
		return -EAGAIN;
	memcpy(&entry.head, bytes, sizeof(entry.head));
	r = record_decode_head(&entry.head, seq, ret_why);
	if (r < 0)
		return r;
	entry.size = sizeof(entry.head) + entry.head.length;
	if (n < entry.size)
		return -EAGAIN;
	memcpy(&entry.payload, (const char *)bytes + sizeof(entry.head), entry.head.length);
	if (previous) {
		r = record_hash(previous, &entry, hash);
		if (r < 0)
			return r;
		*ret_why = "the hash is wrong: this record or the one before it was changed";
		if (memcmp(hash, entry.head.hash, sizeof(hash)) != 0)
			return -EBADMSG;
	}
	if (!record_check(entry.head.type, entry.head.jail_id, &entry.payload, ret_why))
		return -EBADMSG;
	*ret = entry;
	return 0;
}
