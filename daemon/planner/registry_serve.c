/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One REGISTRY_REQUEST to rows, an answer or a new text. Run by the planner, confined to reading
 * below the directory of all models, which came with the request. Trusts custodyd; of the files
 * only what registry_parse() takes. It writes nothing: custodyd puts the text in its place.
 */
#include "registry_serve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "message.h"
#include "plan.h"
#include "serve.h"

struct registry_server {
	int channel;
	const struct registry_request *request;
	const struct source_directory *models;
	unsigned int broken;		/* registries that a list left out ... */
	char first[REGISTRY_WHY_SIZE];	/* ... and what is wrong with the first */
};

__attribute__((format(printf, 3, 4))) static int
registry_say_no(const struct registry_server *s, enum custody_exit exit_code, const char *format,
		...)
{
	char text[CUSTODY_TEXT_SIZE];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	(void)message_send_refused(s->channel, ROLE_PLANNER, s->request->head.id, exit_code, 0,
				   "%s", text);
	return (int)exit_code;
}

static int registry_read_all(int fd, char **ret, size_t *ret_n)
{
	cleanup_ptr char *text = malloc(REGISTRY_TEXT_MAX + 1);
	struct stat st;
	size_t used = 0;
	ssize_t n;

	if (!text)
		return -ENOMEM;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	while ((n = read(fd, text + used, REGISTRY_TEXT_MAX + 1 - used)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		used += n > 0 ? (size_t)n : 0;
		if (used > REGISTRY_TEXT_MAX)
			return -EFBIG;
	}
	*ret = TAKE_PTR(text);
	*ret_n = used;
	return 0;
}

/* Neither the model's directory nor the file may be a link. */
static int registry_read_file(const struct registry_server *s, const char *name, char **ret,
			      size_t *ret_n)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	cleanup_fd int directory = openat(s->models->fd, name, flags | O_DIRECTORY);
	cleanup_fd int fd = -1;

	if (directory < 0)
		return -errno;
	fd = openat(directory, REGISTRY_FILE, flags);
	return fd < 0 ? -errno : registry_read_all(fd, ret, ret_n);
}

/* 0; -ENOENT: the model is not registered; else what is wrong with its registry is in why. */
static int registry_load(const struct registry_server *s, const char *name, struct registry *ret,
			 char why[REGISTRY_WHY_SIZE])
{
	cleanup_ptr char *text = NULL;
	const char *wrong = "";
	size_t n = 0;
	int r = registry_read_file(s, name, &text, &n);

	if (r == -ENOENT)
		return r;
	if (r == 0)
		r = registry_parse(text, n, name, ret, &wrong);
	if (r < 0)
		(void)snprintf(why, REGISTRY_WHY_SIZE, "%.400s/%s/%s %s%s%s. Nothing of %s is "
			       "started or changed until it is restored from a backup, or removed "
			       "with all that it says; the ledger has what was recorded.",
			       s->models->path, name, REGISTRY_FILE,
			       wrong[0] ? wrong : "cannot be read (",
			       wrong[0] ? "" : strerror(-r), wrong[0] ? "" : ")", name);
	return r;
}

/* ---- lists ---- */

static int registry_send_row(const struct registry_server *s, const struct model_version *version)
{
	struct registry_row row = { .model = *version };

	return MESSAGE_SEND(s->channel, ROLE_PLANNER, REGISTRY_ROW, s->request->head.id, &row);
}

static int registry_send_current(struct registry_server *s, const char *name)
{
	cleanup_registry struct registry registry = { 0 };
	char why[REGISTRY_WHY_SIZE] = "";
	int r = registry_load(s, name, &registry, why);

	if (r == 0)
		return registry_send_row(s, &registry.versions[registry.current - 1]);
	if (r != -ENOENT && s->broken++ == 0)
		memcpy(s->first, why, sizeof(s->first));
	return 0;
}

static int registry_compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int registry_list_names(const struct registry_server *s,
			       char names[REGISTRY_MODELS_MAX][CUSTODY_NAME_SIZE], size_t *ret_n)
{
	int fd = openat(s->models->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	size_t n = 0;

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return -EIO;
	}
	while ((entry = readdir(dir))) {
		if (!plan_check_name(entry->d_name))
			continue;
		if (n == REGISTRY_MODELS_MAX)
			return -E2BIG;
		(void)snprintf(names[n++], CUSTODY_NAME_SIZE, "%.63s", entry->d_name);
	}
	qsort(names, n, CUSTODY_NAME_SIZE, registry_compare_names);
	*ret_n = n;
	return 0;
}

static int registry_send_end(const struct registry_server *s)
{
	struct registry_answer answer = { 0 };
	int r;

	if (s->broken)
		return registry_say_no(s, CUSTODY_EXIT_INCOMPLETE, "%u of the registries cannot be "
				       "shown. %s", s->broken, s->first);
	r = MESSAGE_SEND(s->channel, ROLE_PLANNER, REGISTRY_ANSWER, s->request->head.id, &answer);
	return r < 0 ? CUSTODY_EXIT_INTERNAL : CUSTODY_EXIT_DONE;
}

static int registry_list_all(struct registry_server *s)
{
	char names[REGISTRY_MODELS_MAX][CUSTODY_NAME_SIZE];
	size_t n = 0;
	int r = registry_list_names(s, names, &n);

	if (r < 0)
		return registry_say_no(s, CUSTODY_EXIT_INCOMPLETE, r == -E2BIG ?
				       "%.400s holds more than the %d directories that a registry "
				       "may have." : "%.400s cannot be listed (of %d models at "
				       "most).", s->models->path, REGISTRY_MODELS_MAX);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = registry_send_current(s, names[i]);
	return r < 0 ? CUSTODY_EXIT_INTERNAL : registry_send_end(s);
}

static int registry_list_one(const struct registry_server *s, const struct registry *registry)
{
	int r = 0;

	for (__u32 i = 0; r == 0 && i < registry->n; i++)
		r = registry_send_row(s, &registry->versions[i]);
	return r < 0 ? CUSTODY_EXIT_INTERNAL : registry_send_end(s);
}

/* ---- changes ---- */

static bool registry_is_full(const struct registry_server *s)
{
	char names[REGISTRY_MODELS_MAX][CUSTODY_NAME_SIZE];
	size_t n = 0;

	return registry_list_names(s, names, &n) < 0 || n >= REGISTRY_MODELS_MAX;
}

static int registry_send_text(const struct registry_server *s, const struct registry *registry,
			      const struct model_version *version)
{
	cleanup_registry struct registry check = { 0 };
	struct registry_text message = { .model = *version };
	cleanup_ptr char *text = NULL;
	cleanup_fd int fd = -1;
	const char *why = "";
	size_t n = 0;
	int r = registry_print(registry, &text, &n);

	/* What is written now is read later by the same rules. */
	if (r == 0)
		r = registry_parse(text, n, registry->name, &check, &why);
	if (r < 0)
		return registry_say_no(s, CUSTODY_EXIT_INTERNAL, "The registry of %s could not be "
				       "written down (%s: %s); nothing was changed.",
				       s->request->add.name, strerror(-r), why);
	r = serve_seal("custody-registry", text, n, &fd);
	if (r == 0)
		r = message_send(s->channel, ROLE_PLANNER, MSG_REGISTRY_TEXT,
				 s->request->head.id, &message, sizeof(message), &fd, 1);
	return r < 0 ? CUSTODY_EXIT_INTERNAL : CUSTODY_EXIT_DONE;
}

static int registry_change(const struct registry_server *s, struct registry *registry)
{
	struct registry_answer answer = { 0 };
	char why[REGISTRY_WHY_SIZE] = "";
	bool changed = false;
	enum custody_exit exit_code = registry_apply(registry, s->request, &answer.model, &changed,
						     why);
	int r;

	if (exit_code != CUSTODY_EXIT_DONE)
		return registry_say_no(s, exit_code, "%s", why[0] ? why : "Out of memory.");
	if (changed)
		return registry_send_text(s, registry, &answer.model);
	r = MESSAGE_SEND(s->channel, ROLE_PLANNER, REGISTRY_ANSWER, s->request->head.id, &answer);
	return r < 0 ? CUSTODY_EXIT_INTERNAL : CUSTODY_EXIT_DONE;
}

int registry_serve(int channel, const struct registry_request *request,
		   const struct source_directory *models)
{
	struct registry_server server = { .channel = channel, .request = request,
					  .models = models };
	cleanup_registry struct registry registry = { 0 };
	const char *name = request->add.name;
	char why[REGISTRY_WHY_SIZE] = "";
	int r;

	if (request->verb == REGISTRY_LIST && !name[0])
		return registry_list_all(&server);
	if (!plan_check_name(name))
		return registry_say_no(&server, CUSTODY_EXIT_USAGE, "The name of the model is not "
				       "made of a-z 0-9 . _ -, or begins with . _ -.");
	r = registry_load(&server, name, &registry, why);
	if (r < 0 && r != -ENOENT)
		return registry_say_no(&server, CUSTODY_EXIT_REFUSED, "%s", why);
	if (r == -ENOENT && request->verb != REGISTRY_ADD)
		return registry_say_no(&server, CUSTODY_EXIT_REFUSED, "No model called %s is "
				       "registered; \"custodyctl model list\" shows those that "
				       "are.", name);
	if (request->verb == REGISTRY_LIST)
		return registry_list_one(&server, &registry);
	if (r == -ENOENT && registry_is_full(&server))
		return registry_say_no(&server, CUSTODY_EXIT_REFUSED, "The registry is full: "
				       "%.400s holds %d models. Move the directory of one that "
				       "is no longer needed away; the ledger remembers it.",
				       models->path, REGISTRY_MODELS_MAX);
	return registry_change(&server, &registry);
}
