/* SPDX-License-Identifier: Apache-2.0 */
/* Replies in words and in JSON. Run by custodyctl. Pure. Trusts no text and no number. */
#include "render.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "escape.h"
#include "render_ceiling.h"
#include "render_limits.h"
#include "render_measured.h"

static const char *const render_states[_JAIL_STATE_MAX] = {
	[JAIL_STATE_STARTING] = "starting", [JAIL_STATE_RUNNING] = "running",
	[JAIL_STATE_FROZEN] = "frozen",	    [JAIL_STATE_STOPPING] = "stopping",
	[JAIL_STATE_STOPPED] = "stopped",   [JAIL_STATE_RETIRING] = "retiring",
	[JAIL_STATE_RETIRED] = "retired",
};
_Static_assert(_JAIL_STATE_MAX == 8, "every state has a word");

static const char *const render_classes[_POLICY_CLASS_MAX] = {
	[POLICY_CLASS_OPEN] = "open",	    [POLICY_CLASS_EXEC] = "exec",
	[POLICY_CLASS_EXIT] = "exit",	    [POLICY_CLASS_DEVICE] = "device",
	[POLICY_CLASS_SOCKET] = "socket",   [POLICY_CLASS_BIND] = "bind",
	[POLICY_CLASS_CONNECT] = "connect", [POLICY_CLASS_SENDMSG] = "sendmsg",
	[POLICY_CLASS_EGRESS] = "egress",   [POLICY_CLASS_INGRESS] = "ingress",
	[POLICY_CLASS_SYSCALL] = "syscall", [POLICY_CLASS_CHANGE] = "change",
	[POLICY_CLASS_EXECMAP] = "execmap", [POLICY_CLASS_TASK] = "task",
	[POLICY_CLASS_IOCTL] = "ioctl",	    [POLICY_CLASS_RECEIVE] = "receive",
	[POLICY_CLASS_MMAP] = "mmap",
	[POLICY_CLASS_GUARD] = "guard",	    [POLICY_CLASS_CEILING] = "ceiling",
	[POLICY_CLASS_RESOLVE] = "resolve", [POLICY_CLASS_LIMIT] = "limit",
};
_Static_assert(_POLICY_CLASS_MAX == 22, "every class has a word");

struct render_plane {
	__u32 bit;
	const char *name;
};

static const struct render_plane render_plane_names[] = {
	{ CUSTODY_PLANE_STRUCTURE, "structure" },
	{ CUSTODY_PLANE_CGROUP, "cgroup" },
	{ CUSTODY_PLANE_LSM, "lsm" },
	{ CUSTODY_PLANE_OBSERVE, "observe" },
	{ CUSTODY_PLANE_GUARD, "guard" },
	{ CUSTODY_PLANE_LIMITS, "limits" },
};
_Static_assert(CUSTODY_PLANES_ALL == 0x3f, "every plane has a name");

static void render_word(const char *const *words, size_t n, __u32 value, const char *noun,
			char *ret)
{
	if (value < n && words[value])
		(void)snprintf(ret, RENDER_WORD, "%s", words[value]);
	else
		(void)snprintf(ret, RENDER_WORD, "%s %u", noun, value);
}

void render_state(__u32 state, char *ret)
{
	render_word(render_states, ARRAY_SIZE(render_states), state, "state", ret);
}

void render_class(__u32 class, char *ret)
{
	render_word(render_classes, ARRAY_SIZE(render_classes), class, "class", ret);
}

void render_planes(__u32 required, __u32 active, char *ret)
{
	size_t used = 0;

	(void)snprintf(ret, RENDER_PLANES, "-");
	for (size_t i = 0; i < ARRAY_SIZE(render_plane_names); i++) {
		const struct render_plane *plane = &render_plane_names[i];
		const char *mark = active & plane->bit ? "" : "!";

		if (!((active | required) & plane->bit))
			continue;
		used += (size_t)snprintf(ret + used, RENDER_PLANES - used, "%s%s%s",
					 used ? "," : "", mark, plane->name);
	}
}

static const char *render_protocol(__u16 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	default:
		return "ip";
	}
}

void render_endpoint(const struct reply_endpoint *endpoint, char *ret)
{
	const char *protocol = render_protocol(endpoint->protocol);
	char address[INET6_ADDRSTRLEN] = "?";
	char path[RENDER_ENDPOINT - 16];

	switch (endpoint->family) {
	case PLAN_FAMILY_UNIX:
		(void)escape_text(endpoint->path, sizeof(endpoint->path), false, path,
				  sizeof(path));
		(void)snprintf(ret, RENDER_ENDPOINT, "unix:%s", path);
		return;
	case PLAN_FAMILY_INET:
		(void)inet_ntop(AF_INET, endpoint->address, address, sizeof(address));
		(void)snprintf(ret, RENDER_ENDPOINT, "%s:%s:%u", protocol, address,
			       endpoint->port);
		return;
	case PLAN_FAMILY_INET6:
		(void)inet_ntop(AF_INET6, endpoint->address, address, sizeof(address));
		(void)snprintf(ret, RENDER_ENDPOINT, "%s:[%s]:%u", protocol, address,
			       endpoint->port);
		return;
	case PLAN_FAMILY_NAME:
		(void)escape_text(endpoint->path, sizeof(endpoint->path), false, path,
				  sizeof(path));
		(void)snprintf(ret, RENDER_ENDPOINT, "name:%s:%u", path, endpoint->port);
		return;
	default:
		(void)snprintf(ret, RENDER_ENDPOINT, "family %u", endpoint->family);
	}
}

void render_bytes(__u64 bytes, char *ret)
{
	static const char units[] = "KMGTPE";
	__u64 whole = bytes;
	__u64 tenth = 0;
	int unit = -1;

	while (whole >= 1024 && unit < 5) {
		tenth = (whole % 1024) * 10 / 1024;
		whole /= 1024;
		unit++;
	}
	if (unit < 0)
		(void)snprintf(ret, RENDER_WORD, "%llu", whole);
	else if (whole < 10)
		(void)snprintf(ret, RENDER_WORD, "%llu.%llu%c", whole, tenth, units[unit]);
	else
		(void)snprintf(ret, RENDER_WORD, "%llu%c", whole, units[unit]);
}

void render_age(__u64 seconds, char *ret)
{
	__u64 minutes = seconds / 60;
	__u64 hours = minutes / 60;

	if (minutes == 0)
		(void)snprintf(ret, RENDER_WORD, "%llus", seconds);
	else if (hours == 0)
		(void)snprintf(ret, RENDER_WORD, "%llum%02llus", minutes, seconds % 60);
	else if (hours < 24)
		(void)snprintf(ret, RENDER_WORD, "%lluh%02llum", hours, minutes % 60);
	else
		(void)snprintf(ret, RENDER_WORD, "%llud%02lluh", hours / 24, hours % 24);
}

/* ---- JSON ---- */

json_t *render_count_json(__u64 count)
{
	return json_integer(count > LLONG_MAX ? LLONG_MAX : (json_int_t)count);
}

json_t *render_text_json(const char *text)
{
	json_t *value = json_string(text);
	cleanup_ptr char *escaped = NULL;
	size_t size = ESCAPE_SIZE(strlen(text));

	if (value)
		return value;
	escaped = malloc(size);
	if (!escaped)
		return NULL;
	return json_string(escape_text(text, strlen(text), false, escaped, size));
}

static json_t *render_planes_json(__u32 planes)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < ARRAY_SIZE(render_plane_names); i++) {
		if ((planes & render_plane_names[i].bit) &&
		    json_array_append_new(list, json_string(render_plane_names[i].name)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *render_endpoints_json(const struct reply_row *row)
{
	json_t *list = json_array();

	for (__u32 i = 0; list && i < row->n_endpoints && i < CUSTODY_ENDPOINTS_MAX; i++) {
		const struct reply_endpoint *endpoint = &row->endpoints[i];
		bool listen = endpoint->kind == PLAN_ENDPOINT_LISTEN;
		char text[RENDER_ENDPOINT];
		json_t *item;

		render_endpoint(endpoint, text);
		item = json_pack("{s:s, s:o}", "kind", listen ? "listen" : "egress",
				 "address", render_text_json(text));
		if (json_array_append_new(list, item) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static const char *const render_restrictions[] = {
	"egress cut", "devices taken", "devices taken (open fds excepted)", "scratch read-only",
	"scratch read-only (open fds excepted)",
};

unsigned int render_list_restrictions(const struct reply_row *row,
				      char ret[RENDER_RESTRICTIONS_MAX][RENDER_RESTRICTION])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(render_restrictions); i++) {
		if (row->restricted & (1U << i))
			(void)snprintf(ret[n++], RENDER_RESTRICTION, "%s", render_restrictions[i]);
	}
	for (__u32 i = 0; i < row->n_endpoints && i < CUSTODY_ENDPOINTS_MAX; i++) {
		char text[RENDER_ENDPOINT];

		if (!(row->cut & (1U << i)))
			continue;
		render_endpoint(&row->endpoints[i], text);
		(void)snprintf(ret[n++], RENDER_RESTRICTION, "%s dropped", text);
	}
	return n;
}

static json_t *render_restrictions_json(const struct reply_row *row)
{
	char words[RENDER_RESTRICTIONS_MAX][RENDER_RESTRICTION];
	unsigned int n = render_list_restrictions(row, words);
	json_t *list = json_array();

	for (unsigned int i = 0; i < n; i++) {
		if (json_array_append_new(list, json_string(words[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *render_row_json(const struct reply_row *row)
{
	char state[RENDER_WORD];

	render_state(row->state, state);
	return json_pack("{s:o, s:o, s:s, s:I, s:I, s:I, s:{s:o, s:o}, s:o, s:o, s:o, s:o, s:o,"
			 " s:o, s:o, s:o, s:b, s:o, s:I, s:I, s:o, s:o, s:o, s:I}",
			 "name", render_text_json(row->name),
			 "profile", render_text_json(row->profile),
			 "state", state,
			 "jail_id", (json_int_t)row->jail_id,
			 "pid", (json_int_t)row->pid,
			 "processes", (json_int_t)row->processes,
			 "planes",
			 "required", render_planes_json(row->planes_required),
			 "active", render_planes_json(row->planes_active),
			 "endpoints", render_endpoints_json(row),
			 "started_s", render_count_json(row->started_s),
			 "allowed", render_count_json(row->allowed),
			 "denied", render_count_json(row->denied),
			 "bytes_out", render_count_json(row->bytes_out),
			 "bytes_in", render_count_json(row->bytes_in),
			 "events_lost", render_count_json(row->events_lost),
			 "memory_bytes", render_count_json(row->memory_bytes),
			 "adopted", row->adopted != 0,
			 "restrictions", render_restrictions_json(row),
			 "uid_first", (json_int_t)row->uid_first,
			 "uid_count", (json_int_t)row->uid_count,
			 "ceilings", render_ceilings_json(row),
			 "limits", render_limits_json(row),
			 "measured", render_measured_json(&row->measured),
			 "version", (json_int_t)row->model_version);
}

json_t *render_counter_json(const struct reply_counter *counter)
{
	bool none = counter->key.object == POLICY_OBJECT_NONE;
	char class[RENDER_WORD];

	render_class(counter->key.class, class);
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "class", class,
			 "object", none ? json_null() : json_integer(counter->key.object),
			 "label", render_text_json(counter->label),
			 "allowed", render_count_json(counter->counter.allowed),
			 "denied", render_count_json(counter->counter.denied),
			 "bytes", render_count_json(counter->counter.bytes),
			 "emitted", render_count_json(counter->counter.emitted),
			 "lost", render_count_json(counter->counter.lost));
}
