/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One PLAN_REQUEST to one sealed plan, one HOST_REQUEST to the host's settings, one
 * REGISTRY_REQUEST to what the registry says, or one refusal. Run by the planner, started by
 * custodyd as root. Trusts custodyd; trusts no profile.
 *
 * Order: privileges go before the first byte is received. The directories come with the request,
 * so Landlock and seccomp, which are made from them, follow it; custodyd is the sender, and no
 * file is opened before both hold.
 */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "build.h"
#include "cleanup.h"
#include "confine.h"
#include "host.h"
#include "message.h"
#include "paths.h"
#include "plan.h"
#include "registry_serve.h"
#include "source.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3 */
#endif

#define SERVE_SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

/* Where a step failed, for the refusal: what was tried. */
static int serve_fail(int channel, __u64 id, int error, const char *what)
{
	(void)message_send_refused(channel, ROLE_PLANNER, id, CUSTODY_EXIT_INTERNAL, error,
				   "custody-planner: %s: %s", what, strerror(-error));
	return CUSTODY_EXIT_INTERNAL;
}

/* command: what shows all that is wrong; "" for nothing */
static int serve_refuse(int channel, __u64 id, const struct problems *problems, const char *command,
			const char *profile)
{
	const struct problem *problem = problems_first(problems);
	size_t more = problems->n + problems->dropped - 1;
	char place[300] = "";
	char rest[160] = "";

	if (!problem)
		return serve_fail(channel, id, -ENOMEM, "reading the file");
	if (problem->file[0] && problem->line > 0)
		(void)snprintf(place, sizeof(place), "%s:%u: ", problem->file, problem->line);
	if (more > 0)
		(void)snprintf(rest, sizeof(rest), " (and %zu more%s%s)", more, command, profile);
	(void)message_send_refused(channel, ROLE_PLANNER, id, problem->exit, 0, "%s%.560s%s", place,
				   problem->text, rest);
	return (int)problem->exit;
}

int serve_seal(const char *name, const void *data, size_t size, int *ret)
{
	cleanup_fd int fd =
		memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	const char *bytes = data;
	size_t done = 0;
	int seals;

	if (fd < 0 && errno == EINVAL) /* before 6.3 */
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	while (done < size) {
		ssize_t n = write(fd, bytes + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, SERVE_SEALS) < 0)
		return -errno;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SERVE_SEALS) != SERVE_SEALS)
		return -EPERM;
	*ret = TAKE_FD(fd);
	return 0;
}

static int serve_send_plan(int channel, __u64 id, const struct custody_plan *plan)
{
	struct plan_sealed sealed = { 0 };
	cleanup_fd int fd = -1;
	int r = serve_seal("custody-plan", plan, sizeof(*plan), &fd);

	if (r < 0)
		return serve_fail(channel, id, r, "sealing the plan");
	r = message_send(channel, ROLE_PLANNER, MSG_PLAN_SEALED, id, &sealed, sizeof(sealed), &fd,
			 1);
	return r < 0 ? CUSTODY_EXIT_INTERNAL : CUSTODY_EXIT_DONE;
}

static int serve_plan(int channel, const struct plan_request *message, struct source *source)
{
	const struct profile_source from = { source, source_read, source_explain };
	const struct build_request request = {
		.name = message->name,
		.profile = message->profile,
		.model = message->model,
		.args = message->args,
		.args_len = message->args_len,
		.n_args = message->n_args,
		.model_version = message->model_version,
		.signature = message->signature,
		.measure = message->measure || message->model_version,
	};
	cleanup_problems struct problems problems = { 0 };
	cleanup_profile struct profile profile = { 0 };
	cleanup_ptr struct custody_plan *plan = malloc(sizeof(*plan));

	if (!plan)
		return serve_fail(channel, message->head.id, -ENOMEM, "making the plan");
	profile_load(&from, message->profile, &profile, &problems);
	if (problems_none(&problems))
		profile_check_support(&profile.settings, &problems);
	if (problems_none(&problems))
		build_plan(&profile.settings, &request, plan, &problems);
	if (!problems_none(&problems))
		return serve_refuse(channel, message->head.id, &problems,
				    ": custodyctl profile check ", message->profile);
	return serve_send_plan(channel, message->head.id, plan);
}

/* custody.conf in the directory that came along; a file that is not there sets nothing. */
static int serve_host(int channel, __u64 id, const struct source_directory *directory)
{
	cleanup_problems struct problems problems = { 0 };
	struct host_settings settings = { 0 };
	cleanup_ptr char *text = NULL;
	char path[600];
	size_t size = 0;
	int r = source_read_at(directory->fd, PATHS_CONF_NAME, &text, &size);

	(void)snprintf(path, sizeof(path), "%s/%s", directory->path, PATHS_CONF_NAME);
	if (r == 0)
		host_parse(path, text, size, &settings, &problems);
	else if (r != -ENOENT)
		problems_error(&problems, ((struct place){ .file = path }),
			       "%.500s cannot be read: %s; it must be a regular file of at most "
			       "64 KiB that everyone may read", path, strerror(-r));
	if (!problems_none(&problems))
		return serve_refuse(channel, id, &problems, "", "");
	r = MESSAGE_SEND(channel, ROLE_PLANNER, HOST_SETTINGS, id, &settings);
	return r < 0 ? CUSTODY_EXIT_INTERNAL : CUSTODY_EXIT_DONE;
}

/* The request's own fields; names are checked again by plan_check(). */
static const char *serve_check_request(const struct plan_request *message)
{
	if (!plan_check_name(message->name))
		return "the model's name is not made of a-z 0-9 . _ -, or begins with . _ -";
	if (message->args_len > REQUEST_ARGS_SIZE || message->n_args > PLAN_ARGS_MAX ||
	    (message->n_args == 0 && message->args_len != 0) ||
	    message->model_version > REGISTRY_VERSIONS_MAX)
		return "the command is malformed, or has too many arguments";
	return NULL;
}

static int serve_confine(int channel, __u64 id, const struct source *source, int proof)
{
	int abi = 0;
	int r = source_confine(source, &abi);

	if (r == 0)
		r = confine_prove(proof, CUSTODY_UID_PLANNER, CUSTODY_UID_PLANNER, 0);
	if (r < 0)
		return serve_fail(channel, id, r, "Landlock and seccomp");
	if (abi == 0) {
		(void)message_send_refused(
			channel, ROLE_PLANNER, id, CUSTODY_EXIT_REFUSED, 0,
			"the kernel has no Landlock: add landlock to the kernel's "
			"lsm= parameter");
		return CUSTODY_EXIT_REFUSED;
	}
	return 0;
}

int serve_request(int channel)
{
	union message_buffer buffer;
	cleanup_message_fds struct message_fds fds = MESSAGE_FDS_EMPTY;
	const struct plan_request *message = (const struct plan_request *)&buffer;
	struct source source = { 0 };
	cleanup_fd int proof = -1;
	bool plan = false;
	const char *why;
	int r = confine_close_fds_from(channel + 1);

	/* libcrypto reads its configuration and makes its tables while it still may. */
	if (r == 0 &&
	    EVP_Digest("", 0, (unsigned char[EVP_MAX_MD_SIZE]){ 0 }, NULL, EVP_sha256(), NULL) != 1)
		r = -EIO;
	if (r == 0)
		r = proof = confine_open_proof();
	if (r >= 0)
		r = confine_set_basics();
	if (r == 0)
		r = confine_drop_privileges(CUSTODY_UID_PLANNER, CUSTODY_UID_PLANNER, 0);
	if (r < 0)
		return serve_fail(channel, 0, r, "dropping privileges");
	r = message_recv(channel, ROLE_PLANNER, ROLE_WARDEN,
			 MSG_BIT(MSG_PLAN_REQUEST) | MSG_BIT(MSG_HOST_REQUEST) |
				 MSG_BIT(MSG_REGISTRY_REQUEST), &buffer, &fds);
	if (r < 0)
		return r == -ENODATA ? CUSTODY_EXIT_DONE : CUSTODY_EXIT_INTERNAL;
	plan = message->head.type == MSG_PLAN_REQUEST;
	source.n = plan ? 2 : 1;
	source.directories[0].fd = fds.fd[0];
	source.directories[1].fd = fds.fd[1];
	source_name_directory(&source.directories[0], plan ? PATHS_PROFILES_ETC :
			      message->head.type == MSG_HOST_REQUEST ? PATHS_ETC : PATHS_MODELS);
	if (plan)
		source_name_directory(&source.directories[1], PATHS_PROFILES_USR);
	r = serve_confine(channel, message->head.id, &source, TAKE_FD(proof));
	if (r != 0)
		return r;
	if (message->head.type == MSG_HOST_REQUEST)
		return serve_host(channel, message->head.id, &source.directories[0]);
	if (message->head.type == MSG_REGISTRY_REQUEST)
		return registry_serve(channel, (const struct registry_request *)&buffer,
				      &source.directories[0]);
	why = serve_check_request(message);
	if (why) {
		(void)message_send_refused(channel, ROLE_PLANNER, message->head.id,
					   CUSTODY_EXIT_USAGE, 0, "%s", why);
		return CUSTODY_EXIT_USAGE;
	}
	return serve_plan(channel, message, &source);
}
