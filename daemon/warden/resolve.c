/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names of egress. A broker asks for a name of its plan; custodyd has custody-resolver look it
 * up, judges the addresses, writes each into the ledger and then into the policy maps, and only
 * then tells the broker, which the kernel lets connect to nothing else. Run by custodyd.
 *
 * The broker is believed nothing but an index, the resolver nothing but bytes of addresses: the
 * name is the plan's, and destination_check_resolved() says which addresses a name may have. One
 * name at a time for each jail, and not before RESOLVE_PAUSE_US after the last.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "destination.h"
#include "plan.h"
#include "warden.h"

#define RESOLVE_PAUSE_US 200000ULL
#define RESOLVE_TIMEOUT_US 15000000ULL
#define RESOLVE_ERRNO_MAX 4095	/* MAX_ERRNO: no error of the kernel's is greater */

static __u64 resolve_read_clock(clockid_t clock)
{
	struct timespec now = { 0 };

	(void)clock_gettime(clock, &now);
	return (__u64)now.tv_sec * 1000000000ULL + (__u64)now.tv_nsec;
}

static const char *resolve_find_name(const struct jail *jail, __u32 endpoint)
{
	return plan_string(jail->plan, jail->plan->endpoints[endpoint].path);
}

static int resolve_on_timer(sd_event_source *source, uint64_t usec, void *data);

static int resolve_arm(struct jail *jail, __u64 delay_us)
{
	jail->resolve_timer = sd_event_source_disable_unref(jail->resolve_timer);
	return sd_event_add_time_relative(jail->warden->event, &jail->resolve_timer,
					  CLOCK_MONOTONIC, delay_us, 1000, resolve_on_timer, jail);
}

/* The next one that is wanted, after a pause. */
static void resolve_next(struct jail *jail)
{
	__u64 now = resolve_read_clock(CLOCK_MONOTONIC) / 1000;
	__u64 due = jail->resolve_begun + RESOLVE_PAUSE_US;

	if (jail->resolver.channel >= 0 || jail->resolve_wanted == 0)
		return;
	if (resolve_arm(jail, jail->resolve_begun == 0 || due <= now ? 0 : due - now) < 0)
		log_error("Host names of %s cannot be resolved: no timer.", jail->name);
}

/* One event for each address, accepted or not, or one for a failure. */
static int resolve_record(struct jail *jail, __u32 endpoint, const struct resolved_address *address,
			  int error)
{
	const char *name = resolve_find_name(jail, endpoint);
	struct custody_event event = {
		.verdict = error < 0 ? EVENT_DENIED : EVENT_ALLOWED,
		.time_ns = resolve_read_clock(CLOCK_BOOTTIME),
		.class = POLICY_CLASS_RESOLVE,
		.object = (__u16)endpoint,
		.plane = EVENT_PLANE_BROKER,
		.protocol = (__u8)jail->plan->endpoints[endpoint].protocol,
		.error = error,
		.syscall = 0xffffffffU,
		.port = jail->plan->endpoints[endpoint].port,
		.path_len = (__u16)strlen(name),
	};

	if (address) {
		event.family = address->family;
		memcpy(event.address, address->address, sizeof(event.address));
	}
	memcpy(event.path, name, event.path_len);
	return recording_put_event(jail, &event);
}

static void resolve_tell(struct jail *jail, struct broker_resolved *message)
{
	message->endpoint = jail->resolve_now;
	if (jail->broker.channel >= 0 &&
	    MESSAGE_SEND(jail->broker.channel, ROLE_WARDEN, BROKER_RESOLVED, 0, message) < 0)
		log_warning("The broker of %s did not take the addresses of %s; it asks again.",
			    jail->name, resolve_find_name(jail, jail->resolve_now));
}

static void resolve_finish(struct jail *jail)
{
	spawn_kill(&jail->resolver);
	jail->resolve_timer = sd_event_source_disable_unref(jail->resolve_timer);
	jail->resolve_wanted &= ~(1U << jail->resolve_now);
	resolve_next(jail);
}

void resolve_failed(struct jail *jail, int error)
{
	struct broker_resolved message = { .error = error };

	/* May be the resolver's own number. */
	if (error >= 0 || error < -RESOLVE_ERRNO_MAX)
		message.error = -EHOSTUNREACH;
	if (!jail || !jail->plan || !(jail->resolve_wanted & (1U << jail->resolve_now)))
		return;
	log_warning("%s: %s is not resolved: %s.", jail->name,
		    resolve_find_name(jail, jail->resolve_now), strerror(-message.error));
	(void)resolve_record(jail, jail->resolve_now, NULL, message.error);
	resolve_tell(jail, &message);
	resolve_finish(jail);
}

static int resolve_begin(struct jail *jail)
{
	struct resolve_request request = { 0 };
	int r;

	while (!(jail->resolve_wanted & (1U << jail->resolve_now)))
		jail->resolve_now = (jail->resolve_now + 1) % CUSTODY_ENDPOINTS_MAX;
	jail->resolve_begun = resolve_read_clock(CLOCK_MONOTONIC) / 1000;
	(void)snprintf(request.name, sizeof(request.name), "%s",
		       resolve_find_name(jail, jail->resolve_now));
	r = spawn_role(jail->warden, jail, &jail->resolver, ROLE_RESOLVER, NULL);
	if (r == 0)
		r = MESSAGE_SEND(jail->resolver.channel, ROLE_WARDEN, RESOLVE_REQUEST, 0, &request);
	return r == 0 ? resolve_arm(jail, RESOLVE_TIMEOUT_US) : r;
}

/* Time to begin, or too much time since. */
static int resolve_on_timer(sd_event_source *source, uint64_t usec, void *data)
{
	struct jail *jail = data;
	int r = -ETIMEDOUT;

	(void)source;
	(void)usec;
	jail->resolve_timer = sd_event_source_disable_unref(jail->resolve_timer);
	if (jail->resolve_wanted == 0)
		return 0;
	if (jail->resolver.channel < 0)
		r = resolve_begin(jail);
	if (r < 0)
		resolve_failed(jail, r);
	return 0;
}

int resolve_request(struct jail *jail, const struct broker_resolve *asked)
{
	const struct custody_plan *plan = jail->plan;

	if (asked->endpoint >= plan->n_endpoints ||
	    plan->endpoints[asked->endpoint].family != PLAN_FAMILY_NAME ||
	    destination_find_first(plan, asked->endpoint) != asked->endpoint)
		return -EPROTO;
	jail->resolve_wanted |= 1U << asked->endpoint;
	if (!jail->resolve_timer)
		resolve_next(jail);
	return 0;
}

/*
 * The address as a destination of every endpoint of that name. 0 or -errno. The packet program
 * knows an endpoint by its address: one with a ceiling of its own shares none with another, which
 * would be a way round it.
 */
static int resolve_install(struct jail *jail, const struct resolved_address *address)
{
	const struct custody_plan *plan = jail->plan;
	int r = 0;

	for (__u32 i = 0; r == 0 && i < plan->n_endpoints; i++) {
		const struct plan_ceiling *ceiling = &plan->ceilings[i];

		if (plan->endpoints[i].family == PLAN_FAMILY_NAME &&
		    destination_find_first(plan, i) == jail->resolve_now)
			r = policy_add_destination(jail->warden->policy, jail->id, i,
						   plan->endpoints[i].port, address,
						   ceiling->rate != 0 || ceiling->total != 0);
	}
	return r;
}

static bool resolve_check(const struct resolved_address *address)
{
	static const __u8 zero[12];

	if (address->family != 4 && address->family != 6)
		return false;
	if (address->family == 4 && memcmp(address->address + 4, zero, sizeof(zero)) != 0)
		return false;
	return destination_check_resolved(address->family == 4 ? PLAN_FAMILY_INET
							       : PLAN_FAMILY_INET6,
					  address->address);
}

/* On record before it is in force: an address that cannot be recorded is not used. */
static int resolve_accept(struct jail *jail, const struct resolved_address *address)
{
	int r = resolve_record(jail, jail->resolve_now, address, 0);

	if (r == 0) {
		r = resolve_install(jail, address);
		if (r < 0)
			(void)resolve_record(jail, jail->resolve_now, address, r);
	}
	if (r < 0)
		log_error("%s: an address of %s is not used: %s.", jail->name,
			  resolve_find_name(jail, jail->resolve_now), strerror(-r));
	return r;
}

void resolve_answered(struct jail *jail, const struct resolve_answer *answer)
{
	struct broker_resolved message = { 0 };

	if (!jails_is_alive(jail) || !(jail->resolve_wanted & (1U << jail->resolve_now)))
		return;
	if (answer->n > CUSTODY_ADDRESSES_MAX || answer->n == 0) {
		resolve_failed(jail, answer->error);
		return;
	}
	for (__u32 i = 0; i < answer->n; i++) {
		const struct resolved_address *address = &answer->addresses[i];

		if (address->family != 4 && address->family != 6)
			continue;
		if (!resolve_check(address)) {
			log_warning("%s: %s was resolved to an address that no name may have "
				    "(loopback, link-local, multicast or none); list it as an "
				    "address if it is meant.", jail->name,
				    resolve_find_name(jail, jail->resolve_now));
			(void)resolve_record(jail, jail->resolve_now, address, -EACCES);
			continue;
		}
		if (resolve_accept(jail, address) == 0)
			message.addresses[message.n++] = *address;
	}
	if (message.n == 0)
		message.error = -EHOSTUNREACH;
	resolve_tell(jail, &message);
	resolve_finish(jail);
}

void resolve_stop(struct jail *jail)
{
	jail->resolve_wanted = 0;
	jail->resolve_timer = sd_event_source_disable_unref(jail->resolve_timer);
	spawn_kill(&jail->resolver);
}
