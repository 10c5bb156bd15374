/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to custodyd. Run by custodyctl, as the caller. Trusts the form of replies
 * (message_recv() checks it); their text is escaped before it reaches a terminal.
 */
#include "client.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cleanup.h"
#include "escape.h"
#include "paths.h"

#define CLIENT_REPLIES (MSG_BIT(MSG_REPLY_ROW) | MSG_BIT(MSG_REPLY_COUNTER) | \
			MSG_BIT(MSG_REPLY_STEP) | MSG_BIT(MSG_REPLY_MODEL) | \
			MSG_BIT(MSG_REPLY_PROGRESS) | MSG_BIT(MSG_REPLY_CHECKED) | \
			MSG_BIT(MSG_REPLY_DONE))

void client_complain(const char *format, ...)
{
	va_list ap;

	(void)fflush(stdout);
	(void)fputs("custodyctl: ", stderr);
	va_start(ap, format);
	(void)vfprintf(stderr, format, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
}

int client_print_json(json_t *json, size_t flags)
{
	int r = json ? json_dumpf(json, stdout, JSON_INDENT(2) | flags) : -1;

	json_decref(json);
	return r < 0 || putchar('\n') == EOF ? -EIO : 0;
}

bool client_use_colour(FILE *out)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	if ((no_color && *no_color) || !term || strcmp(term, "dumb") == 0)
		return false;
	return isatty(fileno(out)) == 1;
}

struct client_text client_quote(const char *text)
{
	struct client_text quoted;

	(void)escape_text(text, strlen(text), false, quoted.text, sizeof(quoted.text));
	return quoted;
}

bool client_copy_text(char *field, size_t size, const char *text, const char *what)
{
	size_t n = strlen(text);

	if (n >= size) {
		client_complain("The %s is too long: at most %zu characters.", what, size - 1);
		return false;
	}
	memcpy(field, text, n + 1);
	return true;
}

bool client_copy_directory(char *field, size_t size, const char *path)
{
	cleanup_ptr char *absolute = realpath(path, NULL);

	if (!absolute) {
		client_complain("The model directory %s cannot be used: %s.",
				client_quote(path).text, strerror(errno));
		return false;
	}
	return client_copy_text(field, size, absolute, "model directory");
}

/* The value of one option at argv[i]; advances *i when it is the next word. */
static const char *client_take_value(int argc, char **argv, int *i, const char *name)
{
	size_t n = strlen(name);

	if (argv[*i][n] == '=')
		return argv[*i] + n + 1;
	if (*i + 1 >= argc)
		return NULL;
	return argv[++*i];
}

static const struct client_option *client_find_option(const struct client_option *options, size_t n,
						      const char *word)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(options[i].name);

		if (strncmp(word, options[i].name, len) == 0 && (!word[len] || word[len] == '='))
			return &options[i];
	}
	return NULL;
}

int client_parse_options(int argc, char **argv, const struct client_option *options, size_t n)
{
	int words = 0;

	for (int i = 1; i < argc; i++) {
		const struct client_option *option;

		if (argv[i][0] != '-') {
			argv[++words] = argv[i];
			continue;
		}
		option = client_find_option(options, n, argv[i]);
		if (!option) {
			client_complain("%s has no option %s. See custodyctl help %s.", argv[0],
					client_quote(argv[i]).text, argv[0]);
			return -1;
		}
		*option->value = client_take_value(argc, argv, &i, option->name);
		if (!*option->value || !**option->value) {
			client_complain("%s needs a value.", option->name);
			return -1;
		}
	}
	return words;
}

int client_connect(const struct command_options *options, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_fd int fd = -1;

	if (paths_join(options->root, PATHS_SOCKET, address.sun_path,
		       sizeof(address.sun_path)) < 0) {
		client_complain("The root %s is too long: the path of a socket below it has at "
				"most %zu characters.", client_quote(options->root).text,
				sizeof(address.sun_path) - 1);
		return CUSTODY_EXIT_USAGE;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		client_complain("No socket can be made: %s.", strerror(errno));
		return CUSTODY_EXIT_INTERNAL;
	}
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
	if (errno == ENOENT || errno == ECONNREFUSED)
		client_complain("custodyd is not running (no %s at %s). Start it with systemctl "
				"start custodyd, or custodyd --root %s.",
				errno == ENOENT ? "socket" : "listener",
				client_quote(address.sun_path).text,
				*options->root ? client_quote(options->root).text : "DIR");
	else
		client_complain("custodyd cannot be reached at %s: %s.",
				client_quote(address.sun_path).text, strerror(errno));
	return CUSTODY_EXIT_REFUSED;
}

int client_send(int fd, __u32 type, void *body, size_t size, const int *fds, unsigned int n_fds)
{
	int r = message_send(fd, ROLE_CONTROL, type, 1, body, size, fds, n_fds);

	/* A daemon that refuses at once has closed already: its answer is still to be read. */
	if (r == 0 || r == -EPIPE)
		return 0;
	client_complain("The request cannot be sent: %s.", strerror(-r));
	return CUSTODY_EXIT_INTERNAL;
}

int client_receive_one(int fd, union message_buffer *ret_reply)
{
	int r = message_recv(fd, ROLE_CONTROL, ROLE_FRONT, CLIENT_REPLIES, ret_reply, NULL);

	if (r == 0)
		return 0;
	if (r == -ENODATA)
		client_complain("custodyd closed the connection before it had answered. Whether "
				"the request was carried out is not known: see custodyctl ps and "
				"the journal.");
	else if (r == -EPROTO)
		client_complain("custodyd answered something that this version does not know. Is "
				"custodyctl from the same package as custodyd?");
	else
		client_complain("The answer cannot be received: %s.", strerror(-r));
	return CUSTODY_EXIT_INTERNAL;
}

/* Replies until REPLY_DONE. 0 with *ret_done, or an exit code with a complaint. */
static int client_receive(int fd, client_reply_fn fn, void *data, struct client_progress *progress,
			  struct reply_done *ret_done)
{
	union message_buffer reply;

	for (;;) {
		int r = client_receive_one(fd, &reply);

		if (r != 0) {
			client_end_progress(progress);
			return r;
		}
		if (client_take_progress(&reply, progress))
			continue;
		if (reply.head.type == MSG_REPLY_DONE) {
			memcpy(ret_done, &reply, sizeof(*ret_done));
			return 0;
		}
		if (fn)
			fn(&reply, data);
	}
}

int client_conclude(const struct reply_done *done)
{
	if (done->exit == CUSTODY_EXIT_DONE)
		return CUSTODY_EXIT_DONE;
	if (done->text[0])
		client_complain("%s", client_quote(done->text).text);
	else
		client_complain("custodyd says no, and gives no reason (exit %u).", done->exit);
	return done->exit <= CUSTODY_EXIT_INTERNAL ? (int)done->exit : CUSTODY_EXIT_INTERNAL;
}

int client_ask(const struct command_options *options, __u32 type, void *body, size_t size,
	       client_reply_fn fn, void *data, struct reply_done *ret_done)
{
	struct client_progress progress;
	cleanup_fd int fd = -1;
	int r = client_connect(options, &fd);

	client_start_progress(&progress, options);
	*ret_done = (struct reply_done){ 0 };
	if (r == 0)
		r = client_send(fd, type, body, size, NULL, 0);
	if (r == 0)
		r = client_receive(fd, fn, data, &progress, ret_done);
	if (r == 0)
		r = client_conclude(ret_done);
	ret_done->exit = (__u32)r;
	return r;
}
