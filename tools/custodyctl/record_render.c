/* SPDX-License-Identifier: Apache-2.0 */
/* Ledger records in words and in JSON. Run by custodyctl. Pure. Trusts no string of a record. */
#include "record_render.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "escape.h"
#include "event_words.h"
#include "render.h"
#include "render_measured.h"
#include "render_model.h"
#include "retirement.h"

#define NO_SYSCALL 0xffffffffU

static const char *const record_render_verdicts[] = {
	[EVENT_ALLOWED] = "allowed", [EVENT_DENIED] = "denied", [EVENT_OBSERVED] = "observed",
};

static const char *const record_render_causes[_LEDGER_GAP_MAX] = {
	[LEDGER_GAP_RING_FULL] = "ring-full",
	[LEDGER_GAP_RECORDER_DOWN] = "recorder-down",
	[LEDGER_GAP_HELPER] = "helper-failed",
	[LEDGER_GAP_BROKER] = "broker-ended",
	[LEDGER_GAP_MALFORMED] = "malformed-event",
	[LEDGER_GAP_UNWRITTEN] = "ledger-unwritable",
};

static const char *record_render_plane(__u8 plane)
{
	switch (plane) {
	case EVENT_PLANE_STRUCTURE:
		return "structure";
	case EVENT_PLANE_CGROUP:
		return "cgroup";
	case EVENT_PLANE_LSM:
		return "lsm";
	case EVENT_PLANE_OBSERVE:
		return "observe";
	default:
		return "broker";
	}
}

/* "EPERM"; "-" for none. */
static const char *record_render_error(__s32 error)
{
	const char *name = error < 0 ? strerrorname_np(-error) : NULL;

	if (error == 0)
		return "-";
	return name ? name : "E?";
}

#define X32_BIT 0x40000000U	/* asm/unistd.h, __X32_SYSCALL_BIT */

/* The table that the number is of, when it is not the native one: "i386", "x32"; or "". */
static const char *record_render_abi(const struct custody_event *event)
{
	if (event->flags & EVENT_FLAG_FOREIGN)
		return "i386";
	return event->syscall != NO_SYSCALL && (event->syscall & X32_BIT) ? "x32" : "";
}

/* "mount", "i386:mount", "syscall-999". */
static void record_render_syscall(const struct custody_event *event, char *ret, size_t size)
{
	const char *abi = record_render_abi(event);
	__u32 arch = SCMP_ARCH_NATIVE;
	cleanup_ptr char *name = NULL;

	if (event->syscall == NO_SYSCALL) {
		(void)snprintf(ret, size, "-");
		return;
	}
	if (*abi)
		arch = event->flags & EVENT_FLAG_FOREIGN ? SCMP_ARCH_X86 : SCMP_ARCH_X32;
	name = seccomp_syscall_resolve_num_arch(arch, (int)event->syscall);
	(void)snprintf(ret, size, "%s%s", abi, *abi ? ":" : "");
	if (name)
		(void)snprintf(ret + strlen(ret), size - strlen(ret), "%s", name);
	else
		(void)snprintf(ret + strlen(ret), size - strlen(ret), "syscall-%u",
			       event->syscall & ~X32_BIT);
}

/* " 0x5412 at /lib/libc.so.6+0x1234": the argument judged, the file or the bare address. */
static void record_render_site(const struct custody_event *event, const char *path, char *ret,
			       size_t size)
{
	char argument[16] = "";

	if (event->access != 0)
		(void)snprintf(argument, sizeof(argument), "0x%x ", event->access);
	if (event->path_len > 0)
		(void)snprintf(ret, size, "%sat %s+0x%llx", argument, path, event->site.offset);
	else
		(void)snprintf(ret, size, "%sat 0x%llx", argument, event->site.address);
}

/* "tcp:127.0.0.1:80", "[::1]:53"; empty when the event has no address. */
static void record_render_address(const struct custody_event *event, char *ret, size_t size)
{
	const char *protocol = event->protocol == IPPROTO_TCP ? "tcp:" :
			       event->protocol == IPPROTO_UDP ? "udp:" : "";
	char text[INET6_ADDRSTRLEN] = "";

	ret[0] = '\0';
	if (event->family != 4 && event->family != 6)
		return;
	(void)inet_ntop(event->family == 4 ? AF_INET : AF_INET6, event->address, text,
			sizeof(text));
	(void)snprintf(ret, size, event->family == 4 ? "%s%s:%u" : "%s[%s]:%u", protocol, text,
		       event->port);
}

static void record_render_path(const struct custody_event *event, char *ret, size_t size)
{
	bool cut = event->flags & EVENT_FLAG_PATH_TRUNCATED;

	(void)snprintf(ret, size, "%s", cut ? "..." : "");
	(void)escape_bytes(event->path, event->path_len, true, ret + strlen(ret),
			   size - strlen(ret));
}

/* Of class GUARD and TASK: "signal:SIGKILL:1234", "map:17", "artifact:rename:". */
static void record_render_deed(const struct custody_event *event, char *ret, size_t size)
{
	char object[EVENT_WORDS_SIZE], access[EVENT_WORDS_SIZE];
	char number[32] = "";

	event_words_object(event, object);
	event_words_access(event, access);
	if (event->path_len == 0 && event->inode != 0)
		(void)snprintf(number, sizeof(number), "%llu", event->inode);
	(void)snprintf(ret, size, "%s:%s%s%s", object, access, *access ? ":" : "", number);
}

/* "memory: 3 killed, 5 in all" */
static void record_render_limit(const struct custody_event *event, char *ret, size_t size)
{
	char object[EVENT_WORDS_SIZE];

	event_words_object(event, object);
	(void)snprintf(ret, size, "%s: %u %s, %llu in all", object, event->access,
		       event->object == POLICY_LIMIT_PROCESSES ? "forks refused" : "killed",
		       event->inode);
}

/* What it was about: zone and path, address, or the number of a device, process, ... */
static void record_render_object(const struct custody_event *event, char *ret, size_t size)
{
	char path[ESCAPE_SIZE(CUSTODY_EVENT_PATH_SIZE) + 4];
	char address[INET6_ADDRSTRLEN + 24];
	char access[EVENT_WORDS_SIZE];
	char zone[2 * EVENT_WORDS_SIZE + 40] = "";
	bool deed = event->class == POLICY_CLASS_GUARD || event->class == POLICY_CLASS_TASK;

	record_render_path(event, path, sizeof(path));
	if (event->flags & EVENT_FLAG_SITE) {
		record_render_site(event, path, ret, size);
		return;
	}
	record_render_address(event, address, sizeof(address));
	event_words_access(event, access);
	if (deed)
		record_render_deed(event, zone, sizeof(zone));
	else if (event->flags & EVENT_FLAG_NO_ZONE)
		(void)snprintf(zone, sizeof(zone), "no-zone:");
	/* The zone itself has an empty path: a file, or the directory at its top. */
	else if (event->object != POLICY_OBJECT_NONE &&
		 (event->path_len > 0 || event->class == POLICY_CLASS_OPEN))
		(void)snprintf(zone, sizeof(zone), "zone-%u:", event->object);
	if (event->class == POLICY_CLASS_DEVICE && event->path_len == 0)
		(void)snprintf(zone, sizeof(zone), "device-%llu:%llu", event->device >> 32,
			       event->device & 0xffffffffU);
	if (event->class == POLICY_CLASS_EXIT)
		(void)snprintf(zone, sizeof(zone), "status-%u", event->access);
	if (event->class == POLICY_CLASS_CEILING)
		(void)snprintf(zone, sizeof(zone), "egress-%s",
			       event->access & CEILING_BY_TOTAL ? "total" : "rate");
	if (event->class == POLICY_CLASS_LIMIT)
		record_render_limit(event, zone, sizeof(zone));
	(void)snprintf(ret, size, "%s%s%s%s%s%s", deed ? "" : access,
		       *access && !deed ? ":" : "", zone, path, *path && *address ? " " : "",
		       address);
}

/* The errno that the process got, or that it got none any more. */
static const char *record_render_outcome(const struct custody_event *event)
{
	return event->flags & EVENT_FLAG_KILLED ? "killed" : record_render_error(event->error);
}

static void record_render_event(const struct custody_event *event, char *ret, size_t size)
{
	char comm[ESCAPE_SIZE(CUSTODY_COMM_SIZE)];
	char object[ESCAPE_SIZE(CUSTODY_EVENT_PATH_SIZE) + 384];
	char class[RENDER_WORD];
	char call[64];

	render_class(event->class, class);
	record_render_syscall(event, call, sizeof(call));
	record_render_object(event, object, sizeof(object));
	(void)escape_text(event->comm, sizeof(event->comm), true, comm, sizeof(comm));
	(void)snprintf(ret, size, "%-9s %-9s %-8s %-7s %-14s %s[%u] %s",
		       record_render_verdicts[event->verdict], record_render_plane(event->plane),
		       class, record_render_outcome(event), call, comm, event->pid, object);
}

#define RENDER_UID_NOBODY 0xffffffffU	/* custodyd did it by itself */
#define RENDER_STRUCTURE 256	/* every name of a property, and commas */
#define RENDER_UID_FIRST(slot) (CUSTODY_UID_JAIL_BASE + (slot) * CUSTODY_UID_JAIL_BLOCK)

static const char *const record_render_structure[] = {
#define RENDER_STRUCTURE_NAME(name, json, what) json,
	EVIDENCE_STRUCTURE(RENDER_STRUCTURE_NAME)
#undef RENDER_STRUCTURE_NAME
};

/* ", without A, B", or nothing. */
static void record_render_missing(const struct ledger_launch *launch, char *ret, size_t size)
{
	size_t n = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < _STRUCTURE_BIT_MAX && n < size; i++) {
		if (launch->structure & (1U << i))
			continue;
		n += (size_t)snprintf(ret + n, size - n, "%s%s", n == 0 ? ", without " : ", ",
				      record_render_structure[i]);
	}
}

/* Every property with whether it was read back. */
static json_t *record_render_structure_json(__u32 structure)
{
	json_t *json = json_object();

	for (size_t i = 0; json && i < _STRUCTURE_BIT_MAX; i++)
		(void)json_object_set_new(json, record_render_structure[i],
					  json_boolean(structure & (1U << i)));
	return json;
}

static void record_render_body(const struct record_entry *entry, char *ret, size_t size)
{
	const union record_payload *p = &entry->payload;
	char text[ESCAPE_SIZE(sizeof(p->state.why))];
	char by[32] = "";
	char planes[RENDER_PLANES];
	char missing[RENDER_STRUCTURE];
	char state[RENDER_WORD];
	char measured[RENDER_MEASURED];

	switch (entry->head.type) {
	case LEDGER_EVENT:
		record_render_event(&p->event, ret, size);
		return;
	case LEDGER_MEASURED:
		render_measured_line(&p->measured, measured);
		(void)snprintf(ret, size, "measured  %s", measured);
		return;
	case LEDGER_CHECKED:
		render_checked_line(&p->checked, measured);
		(void)snprintf(ret, size, "checked   %s", measured);
		return;
	case LEDGER_LAUNCH:
		render_planes(p->launch.planes_required, p->launch.planes_active, planes);
		record_render_missing(&p->launch, missing, sizeof(missing));
		(void)snprintf(ret, size,
			       "launch    jail %u, profile %s, planes %s, uids %u-%u, by uid %u, "
			       "Landlock %u%s",
			       p->launch.jail_id, p->launch.profile, planes,
			       RENDER_UID_FIRST(p->launch.slot),
			       RENDER_UID_FIRST(p->launch.slot) + CUSTODY_UID_JAIL_BLOCK - 1,
			       p->launch.requester_uid, p->launch.landlock_abi, missing);
		return;
	case LEDGER_STATE:
		render_state(p->state.state, state);
		if (p->state.requester_uid != RENDER_UID_NOBODY)
			(void)snprintf(by, sizeof(by), ", by uid %u", p->state.requester_uid);
		(void)snprintf(ret, size, "state     %s: %s%s", state,
			       escape_text(p->state.why, sizeof(p->state.why), false, text,
					   sizeof(text)), by);
		return;
	case LEDGER_GAP:
		(void)snprintf(ret, size, "gap       %s: %llu lost, %llu in all",
			       record_render_causes[p->gap.cause], p->gap.lost, p->gap.total);
		return;
	case LEDGER_VERDICT:
		(void)snprintf(ret, size, "verdict   %s", verdict_name(p->verdict.verdict));
		return;
	case LEDGER_MODEL:
		render_model_line(&p->model, ret, size);
		return;
	default:
		(void)snprintf(ret, size, "%s", record_type_name(entry->head.type));
		return;
	}
}

char *record_render_line(const struct record_entry *entry, const char *name,
			 char ret[RECORD_RENDER_LINE])
{
	char body[RECORD_RENDER_LINE - 256];
	char time[RETIREMENT_TIME_SIZE];
	char jail[CUSTODY_NAME_SIZE];

	if (name)
		(void)snprintf(jail, sizeof(jail), "%s", name);
	else if (entry->head.jail_id != 0)
		(void)snprintf(jail, sizeof(jail), "jail-%u", entry->head.jail_id);
	else
		(void)snprintf(jail, sizeof(jail), "*");
	record_render_body(entry, body, sizeof(body));
	/* milliseconds are enough for people */
	(void)snprintf(ret, RECORD_RENDER_LINE, "%.23sZ %-12s %s",
		       retirement_print_time(entry->head.time_ns, time), jail, body);
	return ret;
}

/* ---- JSON ---- */

/* What only an event of a refused system call has. */
static void record_render_site_json(const struct custody_event *event, json_t *json)
{
	char address[24];

	if (event->flags & EVENT_FLAG_KILLED)
		(void)json_object_set_new(json, "killed", json_true());
	if (*record_render_abi(event))
		(void)json_object_set_new(json, "abi", json_string(record_render_abi(event)));
	if (!(event->flags & EVENT_FLAG_SITE))
		return;
	(void)snprintf(address, sizeof(address), "0x%llx", event->site.address);
	(void)json_object_set_new(json, "site_address", json_string(address));
	if (event->path_len > 0)
		(void)json_object_set_new(json, "site_offset",
					  render_count_json(event->site.offset));
}

static json_t *record_render_event_json(const struct custody_event *event)
{
	char path[ESCAPE_SIZE(CUSTODY_EVENT_PATH_SIZE)];
	char comm[ESCAPE_SIZE(CUSTODY_COMM_SIZE)];
	char address[INET6_ADDRSTRLEN + 24];
	char class[RENDER_WORD];
	char call[EVENT_WORDS_SIZE];
	json_t *json;

	render_class(event->class, class);
	record_render_syscall(event, call, sizeof(call));
	record_render_address(event, address, sizeof(address));
	(void)escape_bytes(event->path, event->path_len, false, path, sizeof(path));
	(void)escape_text(event->comm, sizeof(event->comm), false, comm, sizeof(comm));
	json = json_pack(
		"{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "verdict",
		record_render_verdicts[event->verdict], "plane", record_render_plane(event->plane),
		"class", class, "comm", comm, "pid", (json_int_t)event->pid, "tid",
		(json_int_t)event->tid, "access", (json_int_t)event->access, "boottime_ns",
		(json_int_t)event->time_ns, "cgroup", (json_int_t)event->cgroup_id,
		"path_truncated", !!(event->flags & EVENT_FLAG_PATH_TRUNCATED), "no_zone",
		!!(event->flags & EVENT_FLAG_NO_ZONE));
	if (!json)
		return NULL;
	/* what an event does not have is left out */
	event_words_object(event, call);
	if (*call)
		(void)json_object_set_new(json, "object_name", json_string(call));
	event_words_access(event, call);
	if (*call)
		(void)json_object_set_new(json, "access_name", json_string(call));
	record_render_syscall(event, call, sizeof(call));
	if (event->object != POLICY_OBJECT_NONE)
		(void)json_object_set_new(json, "object", json_integer(event->object));
	if (event->error != 0)
		(void)json_object_set_new(json, "error",
					  json_string(record_render_error(event->error)));
	if (event->syscall != NO_SYSCALL) {
		(void)json_object_set_new(json, "syscall", json_integer(event->syscall));
		(void)json_object_set_new(json, "syscall_name", json_string(call));
	}
	if (*address) {
		(void)json_object_set_new(json, "address", json_string(address));
		(void)json_object_set_new(json, "port", json_integer(event->port));
	}
	if (event->path_len > 0)
		(void)json_object_set_new(json, "path", json_string(path));
	if (event->class == POLICY_CLASS_LIMIT) {
		(void)json_object_set_new(json, "total", render_count_json(event->inode));
	} else if (event->inode != 0 || event->device != 0) {
		(void)json_object_set_new(json, "device", render_count_json(event->device));
		(void)json_object_set_new(json, "inode", render_count_json(event->inode));
		(void)json_object_set_new(json, "mount", render_count_json(event->mount_id));
	}
	record_render_site_json(event, json);
	return json;
}

static json_t *record_render_body_json(const struct record_entry *entry)
{
	const union record_payload *p = &entry->payload;
	char text[ESCAPE_SIZE(sizeof(p->state.why))];
	char state[RENDER_WORD];

	switch (entry->head.type) {
	case LEDGER_EVENT:
		return record_render_event_json(&p->event);
	case LEDGER_LAUNCH:
		return json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "profile",
				 p->launch.profile, "structure",
				 record_render_structure_json(p->launch.structure), "landlock_abi",
				 (json_int_t)p->launch.landlock_abi,
				 "uid_first", (json_int_t)RENDER_UID_FIRST(p->launch.slot),
				 "uid_count", (json_int_t)CUSTODY_UID_JAIL_BLOCK,
				 "planes_required", (json_int_t)p->launch.planes_required,
				 "planes_active", (json_int_t)p->launch.planes_active,
				 "requester_uid", (json_int_t)p->launch.requester_uid);
	case LEDGER_STATE:
		render_state(p->state.state, state);
		return json_pack("{s:s, s:s, s:I, s:I}", "state", state, "why",
				 escape_text(p->state.why, sizeof(p->state.why), false, text,
					     sizeof(text)),
				 "status", (json_int_t)p->state.status,
				 "requester_uid", (json_int_t)p->state.requester_uid);
	case LEDGER_GAP:
		return json_pack("{s:s, s:I, s:I, s:I}", "cause",
				 record_render_causes[p->gap.cause], "lost",
				 (json_int_t)p->gap.lost, "total", (json_int_t)p->gap.total,
				 "site", (json_int_t)p->gap.site);
	case LEDGER_MEASURED:
		return render_measured_json(&p->measured);
	case LEDGER_CHECKED:
		return render_checked_json(&p->checked);
	case LEDGER_VERDICT:
		return json_pack("{s:s}", "verdict", verdict_name(p->verdict.verdict));
	case LEDGER_MODEL:
		return render_model_json(&p->model);
	default:
		return json_object();
	}
}

json_t *record_render_json(const struct record_entry *entry, const char *name)
{
	char time[RETIREMENT_TIME_SIZE];
	json_t *json = record_render_body_json(entry);

	if (!json)
		return NULL;
	(void)json_object_set_new(json, "type", json_string(record_type_name(entry->head.type)));
	(void)json_object_set_new(json, "seq", render_count_json(entry->head.seq));
	(void)json_object_set_new(json, "jail", json_integer(entry->head.jail_id));
	(void)json_object_set_new(json, "name", name ? json_string(name) : json_null());
	(void)json_object_set_new(json, "time",
				  json_string(retirement_print_time(entry->head.time_ns, time)));
	return json;
}
