/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to custodyd and its answer, and what the commands that ask share. Run by
 * custodyctl. Trusts the replies' form (message_recv() checks), never their text.
 */
#ifndef CUSTODYCTL_CLIENT_H
#define CUSTODYCTL_CLIENT_H

#include <jansson.h>
#include <stdio.h>

#include "command.h"
#include "escape.h"
#include "message.h"

/* Problem, as a whole sentence on standard error, with "custodyctl: " before it. */
void client_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * A value on standard output, for scripts: indented, and a line feed. Takes it; NULL is one that
 * could not be made. `flags` as of json_dumpf(). 0 or -EIO.
 */
int client_print_json(json_t *json, size_t flags);

/* True when out is a terminal that takes colour and NO_COLOR is not set. */
bool client_use_colour(FILE *out);

/* Text for a terminal, escaped (escape.h): printf("%s", client_quote(text).text). */
struct client_text {
	char text[ESCAPE_SIZE(CUSTODY_TEXT_SIZE)];
};
struct client_text client_quote(const char *text);

/*
 * Copies text into a field of a message. False, with a complaint that names `what`, when it does
 * not fit.
 */
bool client_copy_text(char *field, size_t size, const char *text, const char *what);

/* Absolute path of a directory the user named, into field. False with a complaint. */
bool client_copy_directory(char *field, size_t size, const char *path);

/* One option of a command: "--profile" and where its value goes. */
struct client_option {
	const char *name;
	const char **value;
};

/*
 * Takes the options ("--name value" or "--name=value") out of argv and moves the other words to
 * argv[1], argv[2], ... Returns how many there are, or -1 with a complaint.
 */
int client_parse_options(int argc, char **argv, const struct client_option *options, size_t n);

/* Connects to the control socket. Returns 0 with *ret_fd, or an exit code with a complaint. */
int client_connect(const struct command_options *options, int *ret_fd);

/* Sends the request. Returns 0, or an exit code with a complaint. */
int client_send(int fd, __u32 type, void *body, size_t size, const int *fds, unsigned int n_fds);

/* Receives one reply. Returns 0, or an exit code with a complaint. */
int client_receive_one(int fd, union message_buffer *ret_reply);

/* Called for each reply before REPLY_DONE. */
typedef void (*client_reply_fn)(const union message_buffer *reply, void *data);

/* How far a model has been read: a line that overwrites itself, on a terminal only. */
struct client_progress {
	bool shown;		/* there is a terminal */
	bool drawn;		/* the line is on it */
	__u64 started_ns;
	__u64 last_ns;
};

void client_start_progress(struct client_progress *progress, const struct command_options *options);
void client_show_progress(void *data, __u64 done, __u64 total);	/* data: the progress */
void client_end_progress(struct client_progress *progress);

/* Shows it when the reply says that; any other reply ends the line, and false is returned. */
bool client_take_progress(const union message_buffer *reply, struct client_progress *progress);

/*
 * Connects, asks, receives. Returns the exit code: custodyd's own (its text, when that is not
 * CUSTODY_EXIT_DONE, printed as a complaint), or that of what went wrong before. *ret_done is
 * set (exit = what is returned) in every case.
 */
int client_ask(const struct command_options *options, __u32 type, void *body, size_t size,
	       client_reply_fn fn, void *data, struct reply_done *ret_done);

/* custodyd's exit code, held to the documented ones; complains with its text when not 0. */
int client_conclude(const struct reply_done *done);

/* ---- progress of start, stop, retire (progress.c) ---- */

/*
 * client_ask() that shows each REPLY_STEP as it comes and then custodyd's text; with --json one
 * object {name, exit, text, steps} at the end instead, with --quiet only complaints.
 */
int client_ask_progress(const struct command_options *options, const char *name, __u32 type,
			void *body, size_t size);

#endif
