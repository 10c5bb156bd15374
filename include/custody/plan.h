/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan: everything custodyd and the jail need to know about one launch, in one fixed-size
 * struct with no pointers. custody-planner writes it into a memfd and seals it (write, grow,
 * shrink, seal); custodyd and custody-jail check it with plan_check() before they use a field.
 *
 * Threat: the planner parsed untrusted text and may be lying. The plan can therefore only ask
 * for what plan_check() accepts, whatever wrote it.
 */
#ifndef CUSTODY_PLAN_H
#define CUSTODY_PLAN_H

#include <linux/types.h>
#include <stddef.h>

#include "custody/ceiling.h"
#include "custody/limits.h"
#include "custody/model.h"
#include "custody/policy.h"

#define PLAN_MAGIC	0x4e4c5043U	/* "CPLN" */
#define PLAN_VERSION	1
#define PLAN_POOL_SIZE	65536
#define PLAN_ARGS_MAX	256
#define PLAN_ENV_MAX	64
#define PLAN_PROGRAMS_MAX	16
#define PLAN_KEYS_MAX		8
#define PLAN_ATTESTATIONS_MAX	8
#define PLAN_CHECKERS_MAX	4
#define PLAN_CHECKER_ARGS_MAX	32
#define PLAN_CHECKER_TIMEOUT_MAX 3600U	/* seconds */
#define PLAN_CHECKER_SUFFIX	".check" /* after a name: of the jail in which it is checked */

/* Planes of enforcement: plan.planes_required, doctor, ps, ledger and evidence use these bits. */
enum custody_plane {
	CUSTODY_PLANE_STRUCTURE = 1U << 0,
	CUSTODY_PLANE_CGROUP = 1U << 1,
	CUSTODY_PLANE_LSM = 1U << 2,
	CUSTODY_PLANE_OBSERVE = 1U << 3,
	CUSTODY_PLANE_GUARD = 1U << 4,	/* of the lsm plane: closed around all of the host */
	CUSTODY_PLANE_LIMITS = 1U << 5,	/* [limits] by cgroup controllers: of the whole jail */
	CUSTODY_PLANES_ALL = 0x3f,
};

/* A NUL-terminated string in the pool; off 0 is always the empty string. */
struct plan_string {
	__u32 off;
	__u32 len;		/* without the NUL */
};

enum plan_zone_flag {
	PLAN_ZONE_OPTIONAL = 1U << 0,	/* "-/path": skip it when the source is absent */
};

/* One mount the profile asks for. The jail adds its own (root, proc, dev, shm). */
struct plan_zone {
	__u32 label;			/* enum custody_label */
	__u32 rights;			/* enum custody_right mask */
	__u32 flags;			/* enum plan_zone_flag mask */
	__u32 pad;
	__u64 size;			/* bytes, tmpfs zones; 0 = bind mount of source */
	struct plan_string source;	/* absolute host path; empty for tmpfs */
	struct plan_string target;	/* absolute path inside the jail */
	struct plan_string origin;	/* "FILE:LINE [section] key", for messages */
};

enum plan_endpoint_kind {
	PLAN_ENDPOINT_LISTEN = 1,
	PLAN_ENDPOINT_EGRESS = 2,
};

enum plan_endpoint_family {
	PLAN_FAMILY_INET = 4,
	PLAN_FAMILY_INET6 = 6,
	PLAN_FAMILY_UNIX = 1,
	PLAN_FAMILY_NAME = 2,	/* egress only: TCP to what a host name is resolved to */
};

struct plan_endpoint {
	__u32 kind;			/* enum plan_endpoint_kind */
	__u16 family;			/* enum plan_endpoint_family */
	__u16 protocol;			/* IPPROTO_TCP or IPPROTO_UDP; 0 for unix */
	__u16 port;			/* host byte order; 0 for unix */
	__u16 pad[3];
	__u8 address[16];		/* network order; IPv4 in the first 4 bytes */
	struct plan_string path;	/* unix: on the host and in the jail; name: host name */
	struct plan_string origin;
};

struct plan_device {
	__u32 type;			/* 'c' or 'b' */
	__u32 major;
	__u32 minor;
	__u32 pad;
	struct plan_string path;	/* node on the host, same path in the jail */
	struct plan_string origin;
};

/* A program, or a directory of programs, that may be run besides args[0]. */
struct plan_program {
	__u32 flags;			/* PLAN_ZONE_OPTIONAL: skip it when it is absent */
	__u32 pad;
	struct plan_string path;	/* inside the jail */
	struct plan_string origin;
};

enum plan_flag {
	PLAN_FLAG_JIT = 1U << 0, /* files.jit: anonymous executable memory allowed */
	PLAN_FLAG_LOOPBACK = 1U << 1, /* network.loopback: private loopback may be bound and used */
	PLAN_FLAG_MEMFD = 1U << 2, /* process.memfd: memfd_create allowed */
	PLAN_FLAG_CONNECT = 1U << 8, /* connect() is the broker's to answer: there is egress */
	PLAN_FLAG_CONNREFUSED = 1U << 9, /* network.refuse: ECONNREFUSED instead of EACCES */
};

/*
 * The address by which the jail knows the host name of endpoint i: 127.128.0.(i + 1), in its
 * /etc/hosts. Endpoints of the same name have the address of the first. Nothing is ever sent to
 * it: the broker, which answers connect(), knows it by the plan. No egress endpoint may lie in
 * 127.128.0.0/16.
 */
#define PLAN_NAME_PREFIX_0 127
#define PLAN_NAME_PREFIX_1 128
#define PLAN_HOST_NAME_MAX 107	/* bytes of a host name: what ps and status can show */

enum plan_syscall_set {
	PLAN_SYSCALLS_MODEL_SERVER = 1,
	PLAN_SYSCALLS_MODEL_SERVER_GPU,
	PLAN_SYSCALLS_TRAINING,
	_PLAN_SYSCALLS_MAX,
};

/*
 * Which ioctl requests the jail may make of its GPU nodes: by seccomp, whole values
 * (daemon/lib/ioctl_request.c); by the lsm plane, which also sees the node, numbers
 * (daemon/lib/ioctl_set.c).
 */
enum plan_ioctl_set {
	PLAN_IOCTLS_ALL = 1,
	PLAN_IOCTLS_COMPUTE = 2,
	_PLAN_IOCTLS_MAX,
};

enum plan_on_loss {
	PLAN_ON_LOSS_RECORD = 1,
	PLAN_ON_LOSS_FREEZE = 2,
	PLAN_ON_LOSS_KILL = 3,
};

/* Egress ceilings (custody/ceiling.h). 0: none. */
struct plan_ceiling {
	__u64 rate;			/* bytes a second, at most CEILING_RATE_MAX */
	__u64 total;			/* bytes, at most CEILING_TOTAL_MAX */
};

/* What a model file is, by its content: model.formats, in the order of its words. */
enum custody_format {
	CUSTODY_FORMAT_GGUF = 1U << 0,
	CUSTODY_FORMAT_SAFETENSORS = 1U << 1,
	CUSTODY_FORMAT_ONNX = 1U << 2,
	CUSTODY_FORMAT_PICKLE = 1U << 3,	/* and whatever custody cannot look into */
	CUSTODY_FORMAT_NPZ = 1U << 4,	/* and NPY */
	CUSTODY_FORMAT_TORCH = 1U << 5,	/* a zip with pickles, or the older stream of pickles */
	CUSTODY_FORMAT_HDF5 = 1U << 6,
	CUSTODY_FORMAT_TENSORFLOW = 1U << 7,	/* SavedModel, graph, checkpoint, TFLite, Keras */
	CUSTODY_FORMATS_ALL = 0xff,
};

/* What a model must show before it starts. */
enum plan_admission {
	PLAN_ADMISSION_MEASURE = 1U << 0,	/* set when there is any other */
	PLAN_ADMISSION_SIGNATURE = 1U << 1,	/* by one of `keys` */
	PLAN_ADMISSION_PICKLE = 1U << 2,	/* pickles are let in */
	PLAN_ADMISSIONS_ALL = 0x7,
};

/* Of enum custody_format: programs, which run when they are loaded. */
#define PLAN_FORMATS_CODE ((__u32)CUSTODY_FORMAT_PICKLE | (__u32)CUSTODY_FORMAT_TORCH)

/* A file of keys: PEM, one public key, or certificates that are roots. */
struct plan_key {
	struct plan_string path;
	struct plan_string origin;
};

/* A statement of this type about the model must be there, signed by this key. */
struct plan_attestation {
	struct plan_string type;	/* predicateType */
	struct plan_string key;		/* path, as in struct plan_key */
	struct plan_string origin;
};

/* model.check: a program that looks at the model, in a jail of its own (plan_make_check()). */
struct plan_checker {
	__u32 n_args;
	__u32 pad;
	struct plan_string args[PLAN_CHECKER_ARGS_MAX];
	struct plan_string origin;
};

#define PLAN_DISK_RATE_MIN 65536ULL	/* limit_io_*: bytes a second */

#define PLAN_TOTAL_AUTO (~0ULL)		/* of the model's own total: from the weights, at launch */

struct custody_plan {
	__u32 magic;
	__u32 version;
	__u32 size;			/* sizeof(struct custody_plan) */
	__u32 flags;			/* enum plan_flag mask */
	char name[CUSTODY_NAME_SIZE];	/* of the model in custody: [a-z0-9][a-z0-9._-]* */
	char profile[CUSTODY_NAME_SIZE];
	__u8 profile_digest[CUSTODY_DIGEST_SIZE];	/* SHA-256 of the canonical print */
	__u32 planes_required;		/* enum custody_plane mask; STRUCTURE always set */
	__u32 syscall_set;		/* enum plan_syscall_set */
	__u32 on_loss;			/* enum plan_on_loss */
	__u32 drain_timeout_s;
	__u64 limit_memory;		/* bytes; 0 = no limit of its own */
	__u64 limit_processes;		/* tasks, threads included; never 0 */
	__u64 limit_cpu_percent;	/* 100 = one core; 0 = no limit */
	__u64 limit_open_files;		/* RLIMIT_NOFILE; never 0 */
	__u64 retain_days;		/* evidence.retain */
	struct plan_string model_path;	/* host path of the weights; empty = no model zone */
	struct plan_string model_origin;
	struct plan_string workdir;	/* absolute, inside the jail */
	struct plan_string command_origin;
	__u32 n_args;
	__u32 n_env;
	__u32 n_zones;
	__u32 n_endpoints;
	__u32 n_devices;
	__u32 n_programs;
	__u32 ioctl_set;		/* enum plan_ioctl_set */
	__u32 pool_used;		/* bytes; pool[pool_used - 1] is NUL */
	struct plan_string args[PLAN_ARGS_MAX];
	struct plan_string env[PLAN_ENV_MAX];
	struct plan_zone zones[CUSTODY_ZONES_MAX];
	struct plan_endpoint endpoints[CUSTODY_ENDPOINTS_MAX];
	struct plan_device devices[CUSTODY_DEVICES_MAX];
	struct plan_program programs[PLAN_PROGRAMS_MAX];
	struct plan_ceiling ceilings[CEILING_SLOTS];	/* by endpoint, then the model's own */
	__u32 on_rate;			/* enum ceiling_action; 0 when there is no such ceiling */
	__u32 on_ceiling;		/* likewise, for totals */
	__u64 limit_memory_high;	/* bytes from which it is slowed down; 0 = none */
	__u64 limit_io_read;		/* bytes a second from each disk; 0 = no limit */
	__u64 limit_io_write;		/* likewise, to it */
	__u32 admission;		/* enum plan_admission mask; 0: the model is not measured */
	__u32 formats;			/* enum custody_format mask: let in; 0: every one */
	__u32 n_keys;
	__u32 n_attestations;
	struct plan_string admission_origin;	/* of the setting that asks for it first */
	struct plan_string formats_origin;
	struct plan_string signature;	/* path; empty: model.sig in the model's directory */
	struct plan_string signature_origin;
	struct plan_string attestations_path;	/* directory; empty: there is none */
	struct plan_key keys[PLAN_KEYS_MAX];
	struct plan_attestation attestations[PLAN_ATTESTATIONS_MAX];
	__u32 model_version;		/* of the registry; 0: it is not registered */
	__u32 pad;
	__u32 n_checkers;		/* one after the other; each must end with exit code 0 */
	__u32 checker_timeout_s;	/* of each; 0 when there is none */
	struct plan_checker checkers[PLAN_CHECKERS_MAX];
	char pool[PLAN_POOL_SIZE];
};

_Static_assert(sizeof(struct plan_string) == 8, "plan_string is two words");
_Static_assert(sizeof(struct plan_zone) == 48, "plan_zone has no hidden padding");
_Static_assert(sizeof(struct plan_endpoint) == 48, "plan_endpoint has no hidden padding");
_Static_assert(sizeof(struct plan_device) == 32, "plan_device has no hidden padding");
_Static_assert(sizeof(struct plan_program) == 24, "plan_program has no hidden padding");
_Static_assert(sizeof(struct plan_key) == 16, "plan_key has no hidden padding");
_Static_assert(sizeof(struct plan_attestation) == 24, "plan_attestation has no hidden padding");
_Static_assert(sizeof(struct plan_checker) == 272, "plan_checker has no hidden padding");
_Static_assert(offsetof(struct custody_plan, limit_memory) == 192, "plan header is fixed");
_Static_assert(sizeof(struct custody_plan) % 8 == 0, "plan has no tail padding");

#endif
