/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the attack programs share. Each program is one table of attacks on one subject; each attack
 * is one function, run in a process of its own whose comm is the attack's name, so that what
 * custody recorded about it can be found. Run by tests/attack/ scripts as the model of a real jail,
 * and before that outside of it, where every attack must succeed or does not count.
 *
 *   attack_SUBJECT list             one line each: NAME TAB ERRNOS TAB FLAGS TAB TEXT TAB OPENED
 *   attack_SUBJECT run [NAME...]    one line each: NAME TAB OUTCOME TAB REASON
 *
 * OUTCOME: succeeded, untried, broken, killed SIGNAL, or the errno that the kernel answered.
 * The world around the attack is named by environment variables, ATTACK_*: see attack_env().
 */
#ifndef CUSTODY_ATTACK_H
#define CUSTODY_ATTACK_H

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/types.h>

#include "cleanup.h"

/* What an attack returns: 0, it succeeded; -errno, it was denied; this, it could not be tried. */
#define ATTACK_UNTRIED 1

enum attack_flag {
	ATTACK_USER = 1,	/* outside it is run by an ordinary uid: root needs no attack */
	ATTACK_SILENT = 2,	/* refused without a plane's verdict on a call: nothing to record */
	ATTACK_KNOWN = 4,	/* succeeds inside: named in the README */
	ATTACK_SCOPED = 16,	/* known to succeed where Landlock has no scopes: before 6.12 */
	ATTACK_SEALED = 32,	/* known to succeed where memfds are programs: before 6.3 */
	ATTACK_INSIDE = 8,	/* has no outside: it attacks what exists in a jail only */
};

struct attack {
	const char *name;
	const char *errnos;	/* expected inside: "EPERM", "EPERM EACCES"; "SIGSYS": killed */
	unsigned int flags;
	int (*run)(void);
	const char *text;	/* what it tries */
	/* Comes of it with settings: "jit=succeeded", "memfd=EACCES jit+memfd=succeeded"; "" */
	const char *opened;
};

/*
 * Variables: DIR, a directory that may be written; ZONE, the model's directory; TOOLS, programs
 * that may be run; VICTIM, pid of a process of the host; PORT, of its listener; ABSTRACT, name of
 * its abstract socket; SINK, path of its socket; TCP, UDP, UNIX: what the jail publishes.
 * "" when not set.
 */
const char *attack_env(const char *name);
const char *attack_path(const char *variable, const char *below, char *buf, size_t size);
in_port_t attack_port(const char *variable);
pid_t attack_victim(void);

/* 0 or -errno of a call that says -1. */
int attack_result(long r);
/* Says why, and returns ATTACK_UNTRIED. */
int attack_untried(const char *why);
int attack_open(const char *path, int flags);
int attack_read(const char *path);
/* Opens to write; writes only where there is a text: outside it may be the whole host's. */
int attack_write(const char *path, const char *text);
/* A copy of a program at path, or a file of that text; 0 or ATTACK_UNTRIED. */
int attack_make_file(const char *path, const char *program, const char *text);
/* Runs a program: its errno when it cannot be run, else instead when its status is not 0. */
int attack_execute(const char *const *args, int instead);
/* A process that waits; ended with its maker. */
pid_t attack_fork_sleeper(void);
/* Is this file something of one byte at least? 0 or -errno, -ENODATA. */
int attack_map(const char *path, int prot, int flags);
struct sockaddr_in attack_address(in_port_t port);
int attack_send_fd(int socket, int fd);
int attack_receive_fd(int socket, int *ret);

int attack_main(int argc, char **argv, const struct attack *table, size_t n);

#define ATTACK_CALL(id, call)                             \
	static int try_##id(void)                         \
	{                                                 \
		return attack_result(call);               \
	}
#define ATTACK_FD(id, call)                               \
	static int try_##id(void)                         \
	{                                                 \
		cleanup_fd int fd = (int)(call);          \
		return fd < 0 ? -errno : 0;               \
	}
#define ATTACK_READ(id, path)                             \
	static int try_##id(void)                         \
	{                                                 \
		return attack_read(path);                 \
	}
#define ATTACK_WRITE(id, path, text)                      \
	static int try_##id(void)                         \
	{                                                 \
		return attack_write(path, text);          \
	}
#define ATTACK_ROW(id, errnos, flags, text) { #id, errnos, flags, try_##id, text, "" }
#define ATTACK_ROW_OPENED(id, errnos, flags, opened, text) \
	{ #id, errnos, flags, try_##id, text, opened }

#endif
