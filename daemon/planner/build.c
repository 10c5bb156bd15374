/* SPDX-License-Identifier: Apache-2.0 */
/* Settings to a plan. Run by the planner. Trusts no setting; plan_check() has the last word. */
#include "build.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "build_ceiling.h"
#include "build_internal.h"
#include "cleanup.h"
#include "plan.h"
#include "value.h"

static const struct place build_request_place = { .file = "request", .line = 0 };

int build_digest(const struct settings *settings, __u8 ret[CUSTODY_DIGEST_SIZE])
{
	cleanup_ptr char *text = NULL;
	cleanup_file FILE *out = NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	size_t size = 0;

	out = open_memstream(&text, &size);
	if (!out)
		return -ENOMEM;
	settings_print(out, settings);
	if (fflush(out) != 0 || ferror(out))
		return -ENOMEM;
	if (EVP_Digest(text, size, digest, &n, EVP_sha256(), NULL) != 1 || n != CUSTODY_DIGEST_SIZE)
		return -EIO;
	memcpy(ret, digest, CUSTODY_DIGEST_SIZE);
	return 0;
}

struct plan_string build_add_string(struct build *b, const char *text, struct place place)
{
	struct plan_string s = { .off = b->plan->pool_used, .len = (__u32)strlen(text) };

	if (s.len == 0)
		return (struct plan_string){ 0 };
	if (s.len >= PLAN_POOL_SIZE - b->plan->pool_used) {
		problems_error(b->problems, place,
			       "the command, environment and paths are together "
			       "longer than %d bytes",
			       PLAN_POOL_SIZE);
		return (struct plan_string){ 0 };
	}
	memcpy(b->plan->pool + s.off, text, s.len);
	b->plan->pool_used += s.len + 1;
	return s;
}

struct plan_string build_add_origin(struct build *b, struct place place, const char *section,
				    const char *key)
{
	char text[320];

	if (place.line > 0)
		(void)snprintf(text, sizeof(text), "%.255s:%u [%s] %s", place.file, place.line,
			       section, key);
	else
		(void)snprintf(text, sizeof(text), "%.255s [%s] %s", place.file, section, key);
	return build_add_string(b, text, place);
}

bool build_check(struct build *b, struct place place, const char *section, const char *key,
		 const char *item)
{
	const char *why = "";
	char text[192];

	if (plan_check(b->plan, &why))
		return true;
	words_escape(item, text, sizeof(text));
	problems_error(b->problems, place, "[%s] %s: %s: %s", section, key, text, why);
	return false;
}

static void build_unknown_name(struct build *b, const char *brace, size_t n, struct place place)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%.*s", (int)n, brace);
	problems_error(b->problems, place, "%s is unknown; only {model} and {name} are replaced",
		       name);
}

/* What a piece that begins with '{' is replaced by, and its length; NULL: nothing, it stays. */
static const char *build_find_value(struct build *b, const char *brace, struct place place,
				    size_t *ret_n)
{
	size_t n = strspn(brace + 1, "abcdefghijklmnopqrstuvwxyz-_");

	if (n == 0 || brace[n + 1] != '}')
		return NULL;
	*ret_n = n + 2;
	if (strncmp(brace, "{name}", n + 2) == 0)
		return b->request->name;
	if (strncmp(brace, "{model}", n + 2) != 0) {
		build_unknown_name(b, brace, n + 2, place);
		return "";
	}
	if (b->model[0] == '\0')
		problems_error(b->problems, place,
			       "{model} stands here, but [model] path is not set; set "
			       "it, or name the directory with --model");
	return b->model;
}

/* text with {model} and {name} replaced, into ret. */
static void build_substitute(struct build *b, const char *text, struct place place, char *ret,
			     size_t size)
{
	size_t used = 0;

	while (*text && used < size) {
		size_t taken = 1;
		const char *value = *text == '{' ? build_find_value(b, text, place, &taken) : NULL;

		used += (size_t)snprintf(ret + used, size - used, "%.*s", value ? (int)size : 1,
					 value ? value : text);
		text += taken;
	}
	if (used < size)
		ret[used] = '\0';
	else
		problems_error(b->problems, place,
			       "with {model} and {name} replaced it is too long");
}

struct plan_string build_add_word(struct build *b, const struct word *word)
{
	char text[4 * CUSTODY_PATH_SIZE];

	build_substitute(b, word->text, word->place, text, sizeof(text));
	if (!problems_none(b->problems))
		return (struct plan_string){ 0 };
	return build_add_string(b, text, word->place);
}

/* The command of the request, as it is: what stands on a command line is not substituted. */
static void build_add_request_args(struct build *b)
{
	const char *next = b->request->args;
	const char *end = next + b->request->args_len;
	struct custody_plan *plan = b->plan;

	for (__u32 i = 0; i < b->request->n_args; i++) {
		const char *nul = next < end ? memchr(next, '\0', (size_t)(end - next)) : NULL;

		if (!nul || i >= PLAN_ARGS_MAX) {
			problems_error(b->problems, build_request_place,
				       "the command is malformed, or has more than %d arguments",
				       PLAN_ARGS_MAX);
			return;
		}
		plan->args[plan->n_args++] = build_add_string(b, next, build_request_place);
		next = nul + 1;
	}
	if (next != end)
		problems_error(b->problems, build_request_place, "the command has bytes left over");
	plan->command_origin = build_add_string(b, "the command line", build_request_place);
}

static void build_add_command(struct build *b)
{
	const struct setting_value *command = &b->settings->command;
	struct custody_plan *plan = b->plan;

	if (b->request->n_args > 0) {
		build_add_request_args(b);
		return;
	}
	if (!command->set && b->request->partial) {
		plan->args[plan->n_args++] = build_add_string(b, "/command", command->place);
		return;
	}
	if (!command->set) {
		problems_error(b->problems, build_request_place,
			       "[process] command is not set in profile "
			       "%s; set it, or give a command after --",
			       b->request->profile);
		return;
	}
	for (size_t i = 0; i < command->words.n && i < PLAN_ARGS_MAX; i++)
		plan->args[plan->n_args++] = build_add_word(b, &command->words.list[i]);
	plan->command_origin = build_add_origin(b, command->place, "process", "command");
}

static void build_add_environment(struct build *b)
{
	const struct words *words = &b->settings->environment.words;

	if (settings_is_none(&b->settings->environment))
		return;
	if (words->n > PLAN_ENV_MAX) {
		problems_error(b->problems, b->settings->environment.place,
			       "[process] environment: more than %d variables", PLAN_ENV_MAX);
		return;
	}
	for (size_t i = 0; i < words->n; i++) {
		b->plan->env[b->plan->n_env++] = build_add_word(b, &words->list[i]);
		if (!build_check(b, words->list[i].place, "process", "environment",
				 words->list[i].text))
			return;
	}
}

static void build_add_programs(struct build *b)
{
	const struct setting_value *programs = &b->settings->programs;

	for (size_t i = 0; i < programs->words.n && !settings_is_none(programs); i++) {
		const struct word *word = &programs->words.list[i];
		bool optional = word->text[0] == '-';

		if (b->plan->n_programs >= PLAN_PROGRAMS_MAX) {
			problems_error(b->problems, word->place,
				       "[process] programs: more than %d", PLAN_PROGRAMS_MAX);
			return;
		}
		b->plan->programs[b->plan->n_programs++] = (struct plan_program){
			.flags = optional ? PLAN_ZONE_OPTIONAL : 0,
			.path = build_add_string(b, word->text + optional, word->place),
			.origin = build_add_origin(b, word->place, "process", "programs"),
		};
		if (!build_check(b, word->place, "process", "programs", word->text))
			return;
	}
}

/* A zone before it is in the plan: zones go in sorted by target. */
struct build_zone {
	const char *source; /* NULL: tmpfs */
	const char *target;
	struct place place;
	const char *section;
	const char *key;
	__u64 size;
	__u32 label;
	__u32 rights;
	__u32 flags;
};

struct build_zones {
	struct build_zone list[CUSTODY_ZONES_MAX];
	size_t n;
};

static void build_collect_zone(struct build *b, struct build_zones *zones, struct build_zone zone)
{
	if (zones->n >= CUSTODY_ZONES_MAX) {
		problems_error(b->problems, zone.place, "[%s] %s: more than %d zones", zone.section,
			       zone.key, CUSTODY_ZONES_MAX);
		return;
	}
	zones->list[zones->n++] = zone;
}

static void build_collect_paths(struct build *b, struct build_zones *zones, const char *key,
				const struct setting_value *value, __u32 label, __u32 rights)
{
	for (size_t i = 0; i < value->words.n && !settings_is_none(value); i++) {
		const struct word *word = &value->words.list[i];
		bool optional = word->text[0] == '-';

		build_collect_zone(
			b, zones,
			(struct build_zone){ .source = word->text + optional,
					     .target = word->text + optional,
					     .place = word->place,
					     .section = "files",
					     .key = key,
					     .label = label,
					     .rights = rights,
					     .flags = optional ? PLAN_ZONE_OPTIONAL : 0 });
	}
}

static void build_collect_tmpfs(struct build *b, struct build_zones *zones, const char *key,
				const struct setting_value *value, __u32 label, const char *target)
{
	if (settings_is_none(value))
		return;
	build_collect_zone(b, zones,
			   (struct build_zone){ .target = target,
						.place = value->place,
						.section = "files",
						.key = key,
						.size = value->number,
						.label = label,
						.rights = CUSTODY_RIGHT_READ | CUSTODY_RIGHT_WRITE |
							  CUSTODY_RIGHT_CREATE });
}

static struct place build_model_place(const struct build *b)
{
	return b->request->model[0] ? build_request_place : b->settings->model_path.place;
}

static void build_collect_zones(struct build *b, struct build_zones *zones)
{
	const struct settings *s = b->settings;
	const __u32 r = CUSTODY_RIGHT_READ;
	const __u32 rwc = r | CUSTODY_RIGHT_WRITE | CUSTODY_RIGHT_CREATE;

	if (b->model[0])
		build_collect_zone(b, zones,
				   (struct build_zone){ .source = b->model,
							.target = b->model,
							.place = build_model_place(b),
							.section = "model",
							.key = "path",
							.label = CUSTODY_LABEL_WEIGHTS,
							.rights = r });
	build_collect_paths(b, zones, "read", &s->read, CUSTODY_LABEL_RUNTIME,
			    r | CUSTODY_RIGHT_EXEC);
	build_collect_paths(b, zones, "data", &s->data, CUSTODY_LABEL_DATA, r);
	build_collect_paths(b, zones, "write", &s->write, CUSTODY_LABEL_WRITE, rwc);
	build_collect_tmpfs(b, zones, "scratch", &s->scratch, CUSTODY_LABEL_SCRATCH, "/scratch");
	build_collect_tmpfs(b, zones, "tmp", &s->tmp, CUSTODY_LABEL_SCRATCH, "/tmp");
	build_collect_tmpfs(b, zones, "shm", &s->shm, CUSTODY_LABEL_SHM, "/dev/shm");
}

/* By target: what contains another is mounted before it. Equal targets keep their order. */
static int build_compare_zones(const void *a, const void *b)
{
	const struct build_zone *x = a;
	const struct build_zone *y = b;
	int r = strcmp(x->target, y->target);

	return r != 0 ? r : (int)x->place.line - (int)y->place.line;
}

static void build_add_zone(struct build *b, const struct build_zone *zone)
{
	struct plan_zone *to = &b->plan->zones[b->plan->n_zones];

	*to = (struct plan_zone){
		.label = zone->label,
		.rights = zone->rights,
		.flags = zone->flags,
		.size = zone->size,
		.target = build_add_string(b, zone->target, zone->place),
		.origin = build_add_origin(b, zone->place, zone->section, zone->key),
	};
	if (zone->source)
		to->source = build_add_string(b, zone->source, zone->place);
	if (zone->label == CUSTODY_LABEL_WEIGHTS) {
		b->plan->model_path = to->source;
		b->plan->model_origin = to->origin;
	}
	b->plan->n_zones++;
	if (build_check(b, zone->place, zone->section, zone->key, zone->target))
		return;
	b->plan->n_zones--;
	*to = (struct plan_zone){ 0 };
	b->plan->model_path = b->plan->model_origin = (struct plan_string){ 0 };
}

static void build_add_zones(struct build *b)
{
	struct build_zones zones = { 0 };

	build_collect_zones(b, &zones);
	qsort(zones.list, zones.n, sizeof(zones.list[0]), build_compare_zones);
	for (size_t i = 0; i < zones.n; i++)
		build_add_zone(b, &zones.list[i]);
}

/* Host names in lower case, without the port. */
static struct plan_string build_add_target(struct build *b, const struct value_endpoint *from,
					   struct place place)
{
	char host[PLAN_HOST_NAME_MAX + 1];
	size_t n;

	if (from->family != PLAN_FAMILY_NAME)
		return build_add_string(b, from->path ? from->path : "", place);
	n = value_host_length(from->path);
	for (size_t i = 0; i < n; i++)
		host[i] = (char)tolower((unsigned char)from->path[i]);
	host[n] = '\0';
	return build_add_string(b, host, place);
}

static bool build_add_endpoint(struct build *b, const struct word *word, __u32 kind,
			       const char *key)
{
	struct plan_endpoint *to = &b->plan->endpoints[b->plan->n_endpoints];
	struct value_endpoint from = { 0 };
	int r;

	if (b->plan->n_endpoints >= CUSTODY_ENDPOINTS_MAX) {
		problems_error(b->problems, word->place,
			       "[network] %s: more than %d endpoints, listen and egress together",
			       key, CUSTODY_ENDPOINTS_MAX);
		return false;
	}
	r = kind == PLAN_ENDPOINT_LISTEN ? value_parse_endpoint(word->text, &from)
					 : value_parse_egress(word->text, &from);
	if (r < 0)
		return false; /* settings_check_value() has said so */
	*to = (struct plan_endpoint){
		.kind = kind,
		.family = from.family,
		.protocol = from.protocol,
		.port = from.port,
		.path = build_add_target(b, &from, word->place),
		.origin = build_add_origin(b, word->place, "network", key),
	};
	memcpy(to->address, from.address, sizeof(to->address));
	b->plan->n_endpoints++;
	return build_check(b, word->place, "network", key, word->text);
}

static void build_add_endpoints(struct build *b)
{
	const struct setting_value *listen = &b->settings->listen;
	const struct setting_value *egress = &b->settings->egress;

	for (size_t i = 0; i < listen->words.n && !settings_is_none(listen); i++) {
		if (!build_add_endpoint(b, &listen->words.list[i], PLAN_ENDPOINT_LISTEN, "listen"))
			return;
	}
	for (size_t i = 0; i < egress->words.n && !settings_is_none(egress) &&
			   (b->plan->flags & PLAN_FLAG_CONNECT); i++) {
		if (!build_add_endpoint(b, &egress->words.list[i], PLAN_ENDPOINT_EGRESS, "egress"))
			return;
	}
}

static bool build_has_device(const struct custody_plan *plan, const struct value_device *node)
{
	for (__u32 i = 0; i < plan->n_devices; i++) {
		if (plan->devices[i].major == node->major && plan->devices[i].minor == node->minor)
			return true;
	}
	return false;
}

static bool build_add_device(struct build *b, const struct value_device *node, struct place place)
{
	struct custody_plan *plan = b->plan;

	if (plan->n_devices >= CUSTODY_DEVICES_MAX) {
		problems_error(b->problems, place, "[gpu] devices: more than %d nodes",
			       CUSTODY_DEVICES_MAX);
		return false;
	}
	plan->devices[plan->n_devices++] = (struct plan_device){
		.type = 'c',
		.major = node->major,
		.minor = node->minor,
		.path = build_add_string(b, node->path, place),
		.origin = build_add_origin(b, place, "gpu", "devices"),
	};
	return build_check(b, place, "gpu", "devices", node->path);
}

/* Several GPUs of NVIDIA share /dev/nvidiactl: it is there once. */
static void build_add_devices(struct build *b)
{
	const struct words *words = &b->settings->devices.words;

	for (size_t i = 0; i < words->n && !settings_is_none(&b->settings->devices); i++) {
		struct value_device nodes[VALUE_DEVICE_NODES];
		size_t n = 0;

		if (value_parse_device(words->list[i].text, nodes, &n) < 0)
			return; /* settings_check_value() has said so */
		for (size_t j = 0; j < n; j++) {
			if (!build_has_device(b->plan, &nodes[j]) &&
			    !build_add_device(b, &nodes[j], words->list[i].place))
				return;
		}
	}
}

/* connect() is the kernel's to refuse (EPERM) when there is neither egress nor a wish. */
static __u32 build_find_connect(const struct settings *s)
{
	if (settings_is_none(&s->egress) && !s->refuse.set)
		return 0;
	if (!(s->planes.number & CUSTODY_PLANE_CGROUP))
		return 0; /* profile_check_support() refuses it, with its line */
	return PLAN_FLAG_CONNECT | (s->refuse.number == 2 ? PLAN_FLAG_CONNREFUSED : 0);
}

static void build_set_numbers(struct build *b)
{
	const struct settings *s = b->settings;
	struct custody_plan *plan = b->plan;

	plan->flags = (s->jit.number ? PLAN_FLAG_JIT : 0) |
		      (s->loopback.number ? PLAN_FLAG_LOOPBACK : 0) |
		      (s->memfd.number ? PLAN_FLAG_MEMFD : 0) | build_find_connect(s);
	plan->planes_required = (__u32)s->planes.number | CUSTODY_PLANE_STRUCTURE;
	plan->syscall_set = (__u32)s->syscalls.number;
	plan->ioctl_set = (__u32)s->ioctls.number;
	plan->on_loss = (__u32)s->on_loss.number;
	plan->drain_timeout_s = (__u32)s->drain_timeout.number;
	plan->limit_memory = s->memory.number;
	plan->limit_processes = s->processes.number;
	plan->limit_cpu_percent = s->cpu.number;
	plan->limit_open_files = s->open_files.number;
	plan->limit_memory_high = s->memory_high.number;
	plan->limit_io_read = s->io_read.number;
	plan->limit_io_write = s->io_write.number;
	plan->retain_days = s->retain.number / 86400;
}

static void build_set_model(struct build *b)
{
	const struct build_request *request = b->request;

	b->model = "";
	if (request->model[0])
		b->model = request->model;
	else if (b->settings->model_path.set)
		b->model = b->settings->model_path.words.list[0].text;
	else if (request->partial)
		b->model = "/model";
	if (b->model[0] && !value_check_path(b->model))
		problems_error(b->problems, build_request_place,
			       "the model directory must be an absolute path without //, . or ..");
}

static void build_add_ceilings(struct build *b)
{
	build_set_ceilings(b->settings, b->plan, b->problems);
}

/* The program first: no plan is well formed without one. */
static void build_set_program(struct build *b)
{
	const struct setting_value *workdir = &b->settings->workdir;
	const struct setting_value *command = &b->settings->command;
	bool own = command->set && b->request->n_args == 0;

	build_add_command(b);
	b->plan->workdir = build_add_string(b, workdir->words.list[0].text, workdir->place);
	if (problems_none(b->problems))
		(void)build_check(b, own ? command->place : build_request_place, "process",
				  "command", plan_string(b->plan, b->plan->args[0]));
}

/* From the fourth on each step adds pieces to a plan that plan_check() accepts. */
/* clang-format off */
static void (*const build_steps[])(struct build *b) = {
	build_set_numbers,
	build_set_model,	/* before what may hold {model} */
	build_set_program,
	build_add_environment,
	build_add_programs,
	build_add_zones,
	build_add_admission,	/* after the zone of what is to be admitted */
	build_add_endpoints,
	build_add_ceilings,	/* after the endpoints that they are about */
	build_add_devices,
};
/* clang-format on */

void build_plan(const struct settings *settings, const struct build_request *request,
		struct custody_plan *ret, struct problems *problems)
{
	struct build b = {
		.settings = settings, .request = request, .plan = ret, .problems = problems
	};

	*ret = (struct custody_plan){
		.magic = PLAN_MAGIC, .version = PLAN_VERSION, .size = sizeof(*ret), .pool_used = 1,
		.model_version = request->model_version,
	};
	(void)snprintf(ret->name, sizeof(ret->name), "%s", request->name);
	(void)snprintf(ret->profile, sizeof(ret->profile), "%s", request->profile);
	if (build_digest(settings, ret->profile_digest) < 0)
		problems_error(problems, build_request_place,
			       "the profile's digest cannot be made");
	for (size_t i = 0; i < ARRAY_SIZE(build_steps) && problems_none(problems); i++)
		build_steps[i](&b);
}
