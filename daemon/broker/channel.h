/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's way to custodyd: messages from it, its loss, and the next custodyd. Run by
 * custody-broker, confined. Trusts a peer that the kernel says is root of the host.
 */
#ifndef CUSTODY_BROKER_CHANNEL_H
#define CUSTODY_BROKER_CHANNEL_H

#include "serve.h"

/* An event waits REPORT_WAIT_MS for room, so that a stuck custodyd delays no call for ever. */
int channel_prepare(int fd);

/* Takes one BROKER_RESOLVED, or notices that custodyd is gone: events are kept from then on. */
void channel_read(struct broker *broker);

/*
 * Takes a connection of a custodyd that has adopted the jail, when there is none and the peer is
 * root, and tells it the events that were kept. Anybody else's is closed.
 */
void channel_rejoin(struct broker *broker);

#endif
