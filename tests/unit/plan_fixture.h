/* SPDX-License-Identifier: Apache-2.0 */
/* A plan that plan_check() accepts, with one piece of every kind. For tests. */
#ifndef CUSTODY_TESTS_PLAN_FIXTURE_H
#define CUSTODY_TESTS_PLAN_FIXTURE_H

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "custody/plan.h"

static inline struct plan_string plan_fixture_add(struct custody_plan *plan, const char *text)
{
	struct plan_string s = { .off = plan->pool_used, .len = (__u32)strlen(text) };

	if (s.len == 0)
		return (struct plan_string){ 0 };
	memcpy(plan->pool + s.off, text, s.len + 1);
	plan->pool_used += s.len + 1;
	return s;
}

static inline void plan_fixture_add_zone(struct custody_plan *plan, __u32 label, __u32 rights,
					 const char *source, const char *target, __u64 size)
{
	plan->zones[plan->n_zones++] = (struct plan_zone){
		.label = label,
		.rights = rights,
		.size = size,
		.source = plan_fixture_add(plan, source),
		.target = plan_fixture_add(plan, target),
		.origin = plan_fixture_add(plan, "test.ini:1 [files] key"),
	};
}

/* Zones: 0 weights, 1 runtime, 2 data, 3 write, 4 scratch, 5 tmp, 6 shm. */
static inline void plan_fixture_add_zones(struct custody_plan *plan)
{
	const __u32 r = CUSTODY_RIGHT_READ;
	const __u32 rwc = r | CUSTODY_RIGHT_WRITE | CUSTODY_RIGHT_CREATE;

	plan_fixture_add_zone(plan, CUSTODY_LABEL_WEIGHTS, r, "/srv/models/m", "/srv/models/m", 0);
	plan_fixture_add_zone(plan, CUSTODY_LABEL_RUNTIME, r | CUSTODY_RIGHT_EXEC, "/usr", "/usr",
			      0);
	plan_fixture_add_zone(plan, CUSTODY_LABEL_DATA, r, "/etc/ssl/certs", "/etc/ssl/certs", 0);
	plan_fixture_add_zone(plan, CUSTODY_LABEL_WRITE, rwc, "/srv/out", "/srv/out", 0);
	plan_fixture_add_zone(plan, CUSTODY_LABEL_SCRATCH, rwc, "", "/scratch", 1 << 20);
	plan_fixture_add_zone(plan, CUSTODY_LABEL_SCRATCH, rwc, "", "/tmp", 1 << 20);
	plan_fixture_add_zone(plan, CUSTODY_LABEL_SHM, rwc, "", "/dev/shm", 1 << 20);
	plan->zones[2].flags = PLAN_ZONE_OPTIONAL;
	plan->model_path = plan->zones[0].source;
	plan->model_origin = plan->zones[0].origin;
}

/* Endpoints: 0 IPv4 TCP, 1 IPv6 UDP, 2 UNIX. Devices: 0 nvidia0, 1 nvidiactl, 2 renderD128, 3 uvm.
 */
static inline void plan_fixture_add_rest(struct custody_plan *plan)
{
	static const struct plan_device devices[] = {
		{ .type = 'c', .major = 195, .minor = 0 },
		{ .type = 'c', .major = 195, .minor = 255 },
		{ .type = 'c', .major = 226, .minor = 128 },
		{ .type = 'c', .major = 510, .minor = 0 },
	};
	static const char *const nodes[] = {
		"/dev/nvidia0",
		"/dev/nvidiactl",
		"/dev/dri/renderD128",
		"/dev/nvidia-uvm",
	};

	plan->endpoints[0] = (struct plan_endpoint){ .kind = PLAN_ENDPOINT_LISTEN,
						     .family = PLAN_FAMILY_INET,
						     .protocol = IPPROTO_TCP,
						     .port = 8080,
						     .address = { 127, 0, 0, 1 },
						     .origin = plan_fixture_add(
							     plan, "test.ini:2 [network] listen") };
	plan->endpoints[1] = (struct plan_endpoint){ .kind = PLAN_ENDPOINT_LISTEN,
						     .family = PLAN_FAMILY_INET6,
						     .protocol = IPPROTO_UDP,
						     .port = 53,
						     .address = { [15] = 1 } };
	plan->endpoints[2] =
		(struct plan_endpoint){ .kind = PLAN_ENDPOINT_LISTEN,
					.family = PLAN_FAMILY_UNIX,
					.path = plan_fixture_add(plan, "/run/models/m.sock") };
	plan->n_endpoints = 3;
	for (size_t i = 0; i < 4; i++) {
		plan->devices[i] = devices[i];
		plan->devices[i].path = plan_fixture_add(plan, nodes[i]);
		plan->devices[i].origin = plan->endpoints[0].origin;
	}
	plan->n_devices = 4;
	plan->programs[0].path = plan_fixture_add(plan, "/usr/bin/env");
	plan->programs[0].origin = plan->endpoints[0].origin;
	plan->n_programs = 1;
}

/* Everything that can be asked of a model. */
static inline void plan_fixture_add_admission(struct custody_plan *plan)
{
	const struct plan_string origin = plan_fixture_add(plan, "test.ini:4 [model] key");

	plan->admission = PLAN_ADMISSIONS_ALL;
	plan->formats = CUSTODY_FORMAT_GGUF;
	plan->admission_origin = plan->formats_origin = plan->signature_origin = origin;
	plan->signature = plan_fixture_add(plan, "/srv/models/m.sig");
	plan->attestations_path = plan_fixture_add(plan, "/srv/models/m.attestations");
	plan->keys[0] = (struct plan_key){ plan_fixture_add(plan, "/etc/keys/a.pem"), origin };
	plan->n_keys = 1;
	plan->attestations[0] = (struct plan_attestation){
		plan_fixture_add(plan, "urn:test"), plan->keys[0].path, origin,
	};
	plan->n_attestations = 1;
	for (size_t i = 0; i < 2; i++) {
		plan->checkers[i].args[0] = plan_fixture_add(plan, "/usr/bin/scan");
		plan->checkers[i].args[1] = plan_fixture_add(plan, i ? "-x" : "/srv/models/m");
		plan->checkers[i].n_args = 2;
		plan->checkers[i].origin = origin;
	}
	plan->n_checkers = 2;
	plan->checker_timeout_s = 600;
}

static inline void plan_fixture_make(struct custody_plan *plan)
{
	memset(plan, 0, sizeof(*plan));
	plan->magic = PLAN_MAGIC;
	plan->version = PLAN_VERSION;
	plan->size = sizeof(*plan);
	plan->flags = PLAN_FLAG_JIT | PLAN_FLAG_LOOPBACK | PLAN_FLAG_MEMFD;
	(void)snprintf(plan->name, sizeof(plan->name), "digits");
	(void)snprintf(plan->profile, sizeof(plan->profile), "sklearn-digits");
	memset(plan->profile_digest, 0xab, sizeof(plan->profile_digest));
	plan->planes_required = CUSTODY_PLANE_STRUCTURE | CUSTODY_PLANE_CGROUP;
	plan->syscall_set = PLAN_SYSCALLS_MODEL_SERVER;
	plan->ioctl_set = PLAN_IOCTLS_ALL;
	plan->on_loss = PLAN_ON_LOSS_RECORD;
	plan->drain_timeout_s = 60;
	plan->limit_memory = 1ULL << 30;
	plan->limit_processes = 64;
	plan->limit_cpu_percent = 200;
	plan->limit_open_files = 1024;
	plan->limit_memory_high = 1ULL << 29;
	plan->limit_io_read = plan->limit_io_write = PLAN_DISK_RATE_MIN;
	plan->retain_days = 180;
	plan->pool_used = 1;
	plan->workdir = plan_fixture_add(plan, "/");
	plan->command_origin = plan_fixture_add(plan, "test.ini:3 [process] command");
	plan->args[0] = plan_fixture_add(plan, "/usr/bin/python3");
	plan->args[1] = plan_fixture_add(plan, "server.py");
	plan->args[2] = plan_fixture_add(plan, "");
	plan->n_args = 3;
	plan->env[0] = plan_fixture_add(plan, "LANG=C.UTF-8");
	plan->env[1] = plan_fixture_add(plan, "EMPTY=");
	plan->n_env = 2;
	plan_fixture_add_zones(plan);
	plan_fixture_add_rest(plan);
	plan_fixture_add_admission(plan);
}

#endif
