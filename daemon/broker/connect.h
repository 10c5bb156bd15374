/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect() of the jail to a listed destination: the broker makes the socket and begins the
 * connection in the host's network namespace and its own cgroup, then puts the socket in the
 * place of the model's. Run by custody-broker, confined.
 *
 * Non-blocking sockets: the model gets the socket with the connection under way, and EINPROGRESS;
 * poll() and SO_ERROR on it are the kernel's own. Blocking ones: the same, and the call goes on in
 * the kernel, which waits on the socket that is now there, with the model's timeouts and signals.
 * What the kernel reads again then (fd, address) decides nothing: on a socket that is connecting
 * the address is not used, and on any other the cgroup plane refuses the model every connection.
 *
 * Host names: the first connection waits, also on a non-blocking socket, until custodyd has had
 * the name resolved and its addresses written into the policy maps; at most CONNECT_WAIT_S. The
 * addresses hold for the life of the jail.
 */
#ifndef CUSTODY_BROKER_CONNECT_H
#define CUSTODY_BROKER_CONNECT_H

#include "serve.h"

#define CONNECT_WAIT_S 20	/* then EHOSTUNREACH */
#define CONNECT_RETRY_MS 20	/* a UNIX socket whose backlog is full */
#define CONNECT_LOOK_MS 500	/* how often waiting calls are looked after */
#define CONNECT_FAIL_S 1	/* a name that could not be resolved is not asked for again */

/* Opens the directories of UNIX destinations. As root. 0, or -errno with ret_why. */
int connect_open_outside(const struct custody_plan *plan, int outside[CUSTODY_ENDPOINTS_MAX],
			 char *ret_why, size_t size);

/* broker->request is a connect(): answers it, or keeps it. -errno: the listener is of no use. */
int connect_answer(struct broker *broker);

/* Answers what waited too long, and tries again what can be. */
void connect_retry(struct broker *broker);

/* How long connect_retry() need not be called, ms; -1: for ever. */
int connect_find_timeout(const struct broker *broker);

/* custodyd's answer about a name: calls that waited for it go on. */
void connect_take_name(struct broker *broker, const struct broker_resolved *said);

/* custodyd is gone: nothing is being resolved. custodyd is back: what is waited for is asked. */
void connect_forget_asked(struct broker *broker);
void connect_ask_again(struct broker *broker);

/* Ends every waiting call, as if its time were over, and lets none wait until it is taken back. */
void connect_hold(struct broker *broker, bool hold);

#endif
