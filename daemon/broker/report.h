/* SPDX-License-Identifier: Apache-2.0 */
/* Events of the broker to custodyd. Run by custody-broker. */
#ifndef CUSTODY_BROKER_REPORT_H
#define CUSTODY_BROKER_REPORT_H

#include "address.h"
#include "serve.h"
#include "target.h"

/* How long one event may wait for room on the channel before it is lost. */
#define REPORT_WAIT_MS 200

/*
 * Events that may be sent at once, and a second for good: a model can make refused bind() calls
 * without end, and each would be a record in the ledger. Of those over the rate the latest is held
 * until it may go, the others are lost, and counted.
 */
#define REPORT_BURST 1024ULL
#define REPORT_RATE 16ULL
#define REPORT_HOLD_MS 500	/* how often serve_run() asks whether the held one may go */

/*
 * Sends a BROKER_EVENT for a grant, or for a denial by policy; other answers are what bind(2) says
 * of a wrong call, and what continues is the cgroup plane's to report. An event that cannot be
 * sent is counted in broker->events_lost, which the next event carries; without a custodyd the
 * first BROKER_EVENTS_KEPT are kept.
 */
void report_decision(struct broker *broker, const struct target *target,
		     const struct address_decision *decision);

/* Likewise of a connect(): every denial, and the first grant of each destination. */
void report_connect(struct broker *broker, const struct target *target,
		    const struct address_decision *decision);

/* Sends the held event, if any, when the rate allows it, or now when `last`. */
void report_held(struct broker *broker, bool last);

/* Sends what was kept. */
void report_kept(struct broker *broker);

#endif
