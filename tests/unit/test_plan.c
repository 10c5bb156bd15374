/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_check(): a good plan passes; every field with a bad value is refused, for its own reason.
 * No product sources besides daemon/lib.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "cleanup.h"
#include "plan.h"
#include "plan_fixture.h"

static struct custody_plan plan;

/* One change to the good plan, and a piece of the reason it must be refused for. */
struct mutation {
	const char *what;
	void (*apply)(void);
	const char *why;
};

#define ADD(text) plan_fixture_add(&plan, text)
#define EGRESS(i) (plan.flags |= PLAN_FLAG_CONNECT, plan.endpoints[i].kind = PLAN_ENDPOINT_EGRESS)
/* Endpoint 0 as a host name, well formed but for the text. */
#define HOST(text)                                                                               \
	(EGRESS(0), plan.endpoints[0].family = PLAN_FAMILY_NAME,                                 \
	 plan.endpoints[0].path = ADD(text), memset(plan.endpoints[0].address, 0, 16))

/* M(name, reason, statements) */
/* clang-format off */
#define MUTATIONS(M)                                                                             \
	M(magic, "not a plan", plan.magic++)                                                     \
	M(version, "not a plan", plan.version++)                                                 \
	M(size, "not a plan", plan.size--)                                                       \
	M(flags, "flags", plan.flags |= 1U << 3)                                                 \
	M(flags_high, "flags", plan.flags |= 1U << 31)                                           \
	M(name_empty, "name", memset(plan.name, 0, 64))                                          \
	M(name_upper, "name", plan.name[0] = 'D')                                                \
	M(name_dot, "name", plan.name[0] = '.')                                                  \
	M(name_slash, "name", plan.name[2] = '/')                                                \
	M(name_full, "name", memset(plan.name, 'a', 64))                                         \
	M(name_tail, "name", plan.name[63] = 'x')                                                \
	M(profile_dash, "name", plan.profile[0] = '-')                                           \
	M(profile_tail, "name", plan.profile[40] = 'x')                                          \
	M(planes_unknown, "planes", plan.planes_required |= 64)                                  \
	M(planes_structure, "planes", plan.planes_required &= ~1U)                               \
	M(syscalls_zero, "syscall set", plan.syscall_set = 0)                                    \
	M(syscalls_big, "syscall set", plan.syscall_set = 4)                                     \
	M(on_loss_zero, "loss", plan.on_loss = 0)                                                \
	M(on_loss_big, "loss", plan.on_loss = 4)                                                 \
	M(drain, "drain", plan.drain_timeout_s = 3601)                                           \
	M(retain, "retention", plan.retain_days = 36501)                                         \
	M(memory_small, "memory", plan.limit_memory = 1)                                         \
	M(memory_big, "memory", plan.limit_memory = (1ULL << 50) + 1)                            \
	M(processes_zero, "process limit", plan.limit_processes = 0)                             \
	M(processes_big, "process limit", plan.limit_processes = (1ULL << 22) + 1)               \
	M(cpu, "CPU", plan.limit_cpu_percent = 819201)                                           \
	M(high_small, "memory-high", plan.limit_memory_high = 1)                                 \
	M(high_above, "memory-high", plan.limit_memory_high = plan.limit_memory + 1)             \
	M(io_read_small, "disk rate", plan.limit_io_read = 65535)                                \
	M(io_write_big, "disk rate", plan.limit_io_write = (1ULL << 50) + 1)                     \
	M(files_zero, "open file", plan.limit_open_files = 0)                                    \
	M(files_big, "open file", plan.limit_open_files = (1ULL << 20) + 1)                      \
	M(pool_zero, "pool", plan.pool_used = 0)                                                 \
	M(pool_big, "pool", plan.pool_used = PLAN_POOL_SIZE + 1)                                 \
	M(pool_first, "pool", plan.pool[0] = 'x')                                                \
	M(pool_last, "pool", plan.pool[plan.pool_used - 1] = 'x')                                \
	M(pool_behind, "pool", plan.pool[PLAN_POOL_SIZE - 1] = 'x')                              \
	M(n_args_zero, "count", plan.n_args = 0)                                                 \
	M(n_args_big, "count", plan.n_args = PLAN_ARGS_MAX + 1)                                  \
	M(n_args_huge, "count", plan.n_args = 0xffffffff)                                        \
	M(n_env_big, "count", plan.n_env = PLAN_ENV_MAX + 1)                                     \
	M(n_zones_big, "count", plan.n_zones = CUSTODY_ZONES_MAX + 1)                            \
	M(n_endpoints_big, "count", plan.n_endpoints = CUSTODY_ENDPOINTS_MAX + 1)                \
	M(n_devices_big, "count", plan.n_devices = CUSTODY_DEVICES_MAX + 1)                      \
	M(args_unused, "not counted", plan.args[PLAN_ARGS_MAX - 1].off = 1)                      \
	M(env_unused, "not counted", plan.env[2].len = 1)                                        \
	M(zones_unused, "not counted", plan.zones[7].pad = 1)                                    \
	M(endpoints_unused, "not counted", plan.endpoints[3].port = 1)                           \
	M(devices_unused, "not counted", plan.devices[4].minor = 1)                              \
	M(n_programs_big, "count", plan.n_programs = PLAN_PROGRAMS_MAX + 1)                      \
	M(programs_unused, "not counted", plan.programs[1].flags = 1)                            \
	M(ioctls_none, "ioctl set", plan.ioctl_set = 0)                                          \
	M(ioctls_max, "ioctl set", plan.ioctl_set = _PLAN_IOCTLS_MAX)                            \
	M(programs_flags, "flags", plan.programs[0].flags = 2)                                   \
	M(programs_pad, "flags", plan.programs[0].pad = 1)                                       \
	M(programs_path, "program to run", plan.programs[0].path = ADD("sh"))                    \
	M(programs_root, "program to run", plan.programs[0].path = ADD("/"))                     \
	M(programs_origin, "origin", plan.programs[0].origin.off++)                              \
	M(program_empty, "program", plan.args[0] = (struct plan_string){ 0 })                    \
	M(program_relative, "program", plan.args[0] = ADD("python3"))                            \
	M(program_root, "program", plan.args[0] = ADD("/"))                                      \
	M(program_dots, "program", plan.args[0] = ADD("/usr/../bin/sh"))                         \
	M(arg_outside, "argument", plan.args[1].off = plan.pool_used)                            \
	M(arg_long, "argument", plan.args[1].len = 0xffffffff)                                   \
	M(arg_wraps, "argument", plan.args[1] = ((struct plan_string){ 5, 0xfffffffc }))         \
	M(arg_short, "argument", plan.args[1].len--)                                             \
	M(arg_inside, "argument", (plan.args[1].off++, plan.args[1].len--))                      \
	M(arg_spans, "argument", plan.args[1].len += 10)                                         \
	M(arg_empty_off, "argument", plan.args[2].off = 3)                                       \
	M(command_origin, "command", plan.command_origin = ADD("a\nb"))                          \
	M(command_origin_out, "command", plan.command_origin.off = PLAN_POOL_SIZE)               \
	M(workdir_empty, "working", plan.workdir = (struct plan_string){ 0 })                    \
	M(workdir_relative, "working", plan.workdir = ADD("tmp"))                                \
	M(workdir_slash, "working", plan.workdir = ADD("/tmp/"))                                 \
	M(env_out, "variable is no string", plan.env[0].off = 70000)                             \
	M(env_name, "NAME=VALUE", plan.env[0] = ADD("LANG"))                                     \
	M(env_empty, "NAME=VALUE", plan.env[0] = (struct plan_string){ 0 })                      \
	M(env_no_name, "NAME=VALUE", plan.env[0] = ADD("=x"))                                    \
	M(env_digit, "NAME=VALUE", plan.env[0] = ADD("1A=x"))                                    \
	M(env_blank, "NAME=VALUE", plan.env[0] = ADD("A B=x"))                                   \
	M(env_twice, "set twice", plan.env[1] = ADD("LANG=de"))                                  \
	M(label_none, "label", plan.zones[1].label = CUSTODY_LABEL_NONE)                         \
	M(label_root, "label", plan.zones[1].label = CUSTODY_LABEL_ROOT)                         \
	M(label_dev, "label", plan.zones[1].label = CUSTODY_LABEL_DEV)                           \
	M(label_device, "label", plan.zones[1].label = CUSTODY_LABEL_DEVICE)                     \
	M(label_proc, "label", plan.zones[1].label = CUSTODY_LABEL_PROC)                         \
	M(label_sys, "label", plan.zones[1].label = CUSTODY_LABEL_SYS)                           \
	M(label_max, "label", plan.zones[1].label = _CUSTODY_LABEL_MAX)                          \
	M(label_huge, "label", plan.zones[1].label = 0xffffffff)                                 \
	M(weights_write, "rights", plan.zones[0].rights |= CUSTODY_RIGHT_WRITE)                  \
	M(weights_exec, "rights", plan.zones[0].rights |= CUSTODY_RIGHT_EXEC)                    \
	M(weights_nothing, "rights", plan.zones[0].rights = 0)                                   \
	M(runtime_write, "rights", plan.zones[1].rights |= CUSTODY_RIGHT_WRITE)                  \
	M(data_exec, "rights", plan.zones[2].rights |= CUSTODY_RIGHT_EXEC)                       \
	M(write_exec, "rights", plan.zones[3].rights |= CUSTODY_RIGHT_EXEC)                      \
	M(scratch_exec, "rights", plan.zones[4].rights |= CUSTODY_RIGHT_EXEC)                    \
	M(shm_ioctl, "rights", plan.zones[6].rights |= CUSTODY_RIGHT_IOCTL)                      \
	M(rights_unknown, "rights", plan.zones[1].rights |= 1U << 9)                             \
	M(zone_flags, "flags", plan.zones[1].flags = 2)                                          \
	M(zone_pad, "padding", plan.zones[1].pad = 1)                                            \
	M(weights_optional, "optional", plan.zones[0].flags = PLAN_ZONE_OPTIONAL)                \
	M(write_optional, "optional", plan.zones[3].flags = PLAN_ZONE_OPTIONAL)                  \
	M(scratch_optional, "optional", plan.zones[4].flags = PLAN_ZONE_OPTIONAL)                \
	M(zone_origin, "origin", plan.zones[1].origin = ADD("x\x7f"))                            \
	M(source_empty, "source", plan.zones[1].source = (struct plan_string){ 0 })              \
	M(source_relative, "source", plan.zones[1].source = ADD("usr"))                          \
	M(source_root, "source", plan.zones[1].source = ADD("/"))                                \
	M(source_proc, "source", plan.zones[1].source = ADD("/proc/1/root"))                     \
	M(source_sys, "source", plan.zones[1].source = ADD("/sys"))                              \
	M(source_dev, "source", plan.zones[1].source = ADD("/dev/mem"))                          \
	M(source_state, "custody", plan.zones[1].source = ADD("/var/lib/custody/keys"))          \
	M(source_above, "custody", plan.zones[1].source = ADD("/var"))                           \
	M(source_run, "custody", plan.zones[1].source = ADD("/run"))                             \
	M(source_control, "source", plan.zones[1].source = ADD("/a\001b"))                       \
	M(source_dot, "source", plan.zones[1].source = ADD("/usr/./lib"))                        \
	M(source_double, "source", plan.zones[1].source = ADD("//usr"))                          \
	M(bind_size, "size", plan.zones[1].size = 4096)                                          \
	M(write_usr, "writable", plan.zones[3].source = ADD("/usr/local"))                       \
	M(write_etc, "writable", plan.zones[3].source = ADD("/etc"))                             \
	M(write_boot, "writable", plan.zones[3].source = ADD("/boot"))                           \
	M(target_empty, "target", plan.zones[1].target = (struct plan_string){ 0 })              \
	M(target_relative, "target", plan.zones[1].target = ADD("usr"))                          \
	M(target_trailing, "target", plan.zones[1].target = ADD("/usr/"))                        \
	M(target_dotdot, "target", plan.zones[1].target = ADD("/usr/../proc"))                   \
	M(target_root, "makes its own", plan.zones[1].target = ADD("/"))                         \
	M(target_proc, "makes its own", plan.zones[1].target = ADD("/proc"))                     \
	M(target_sys, "makes its own", plan.zones[1].target = ADD("/sys/kernel"))                \
	M(target_dev, "makes its own", plan.zones[1].target = ADD("/dev/null"))                  \
	M(target_shm, "makes its own", plan.zones[1].target = ADD("/dev/shm"))                   \
	M(target_lib, "makes its own", plan.zones[1].target = ADD("/lib64"))                     \
	M(target_twice, "same target", plan.zones[2].target = plan.zones[1].target)              \
	M(target_hides, "hide", plan.zones[2].target = ADD("/srv"))                              \
	M(tmpfs_no_size, "no size", plan.zones[4].size = 0)                                      \
	M(tmpfs_big, "out of range", plan.zones[4].size = (1ULL << 50) + 1)                      \
	M(tmpfs_source, "has a source", plan.zones[4].source = ADD("/srv"))                      \
	M(scratch_target, "elsewhere", plan.zones[4].target = ADD("/usr/lib"))                   \
	M(scratch_dev, "elsewhere", plan.zones[4].target = ADD("/dev/mqueue"))                   \
	M(shm_target, "elsewhere", plan.zones[6].target = ADD("/shm"))                           \
	M(model_none, "without model path", plan.model_path = (struct plan_string){ 0 })         \
	M(model_other, "not the source", plan.model_path = ADD("/srv/other"))                    \
	M(model_relative, "model path", plan.model_path = ADD("srv"))                            \
	M(model_off, "model path", plan.model_path = ((struct plan_string){ 4, 0 }))             \
	M(model_origin, "model", plan.model_origin.len = 0x10000)                                \
	M(weights_two, "two weights",                                                            \
	  (plan.zones[2].label = CUSTODY_LABEL_WEIGHTS, plan.zones[2].flags = 0))                \
	M(kind_zero, "neither listen", plan.endpoints[0].kind = 0)                                       \
	M(kind_egress, "broker's", plan.endpoints[0].kind = PLAN_ENDPOINT_EGRESS)                \
	M(egress_any, "destination", (EGRESS(0), memset(plan.endpoints[0].address, 0, 4)))       \
	M(egress_stand_in, "destination",                                                        \
	  (EGRESS(0), memcpy(plan.endpoints[0].address, "\x7f\x80\0\1", 4)))                     \
	M(egress_any6, "destination", (EGRESS(1), memset(plan.endpoints[1].address, 0, 16)))     \
	M(host_listen, "family", (HOST("a.b"), plan.endpoints[0].kind = PLAN_ENDPOINT_LISTEN))   \
	M(host_udp, "host name", (HOST("a.b"), plan.endpoints[0].protocol = IPPROTO_UDP))        \
	M(host_port, "host name", (HOST("a.b"), plan.endpoints[0].port = 0))                     \
	M(host_address, "host name", (HOST("a.b"), plan.endpoints[0].address[0] = 1))            \
	M(host_number, "well formed", HOST("10.0.0.5"))                                          \
	M(host_upper, "well formed", HOST("Metrics.internal"))                                   \
	M(host_line, "well formed", HOST("a\n1.2.3.4 b"))                                        \
	M(host_empty_label, "well formed", HOST("a..b"))                                         \
	M(host_dot, "well formed", HOST("a."))                                                   \
	M(host_localhost, "well formed", HOST("localhost"))                                      \
	M(host_none, "well formed", HOST(""))                                                    \
	M(refuse_alone, "errno", plan.flags = PLAN_FLAG_CONNREFUSED)                             \
	M(connect_plane, "cgroup plane",                                                         \
	  (plan.flags = PLAN_FLAG_CONNECT, plan.planes_required = CUSTODY_PLANE_STRUCTURE))      \
	M(endpoint_pad, "padding", plan.endpoints[0].pad[2] = 1)                                 \
	M(endpoint_origin, "origin", plan.endpoints[0].origin.len++)                             \
	M(family, "family", plan.endpoints[0].family = 2)                                        \
	M(protocol_raw, "neither TCP", plan.endpoints[0].protocol = IPPROTO_RAW)                 \
	M(protocol_zero, "neither TCP", plan.endpoints[0].protocol = 0)                          \
	M(port, "port", plan.endpoints[0].port = 0)                                              \
	M(address_tail, "address", plan.endpoints[0].address[4] = 1)                             \
	M(address_multicast, "address", plan.endpoints[0].address[0] = 224)                      \
	M(address_broadcast, "address", memset(plan.endpoints[0].address, 255, 4))               \
	M(address_multicast6, "address", plan.endpoints[1].address[0] = 0xff)                    \
	M(address_mapped, "address", memset(plan.endpoints[1].address + 10, 255, 2))             \
	M(inet_path, "path", plan.endpoints[0].path = ADD("/run/x"))                             \
	M(unix_protocol, "UNIX", plan.endpoints[2].protocol = IPPROTO_TCP)                       \
	M(unix_port, "UNIX", plan.endpoints[2].port = 1)                                         \
	M(unix_address, "UNIX", plan.endpoints[2].address[15] = 1)                               \
	M(unix_none, "UNIX", plan.endpoints[2].path = (struct plan_string){ 0 })                 \
	M(unix_relative, "UNIX", plan.endpoints[2].path = ADD("run/x"))                          \
	M(unix_proc, "UNIX", plan.endpoints[2].path = ADD("/proc/x"))                            \
	M(unix_control, "UNIX", plan.endpoints[2].path = ADD("/run/custody/control.sock"))       \
	M(unix_long, "UNIX",                                                                     \
	  plan.endpoints[2].path = ADD("/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
				       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"))    \
	M(endpoint_twice, "endpoints are the same", plan.endpoints[1] = plan.endpoints[0])       \
	M(device_block, "character", plan.devices[0].type = 'b')                                 \
	M(device_pad, "padding", plan.devices[0].pad = 1)                                        \
	M(device_path, "path of a device", plan.devices[0].path = ADD("nvidia0"))                \
	M(device_mem, "GPU", (plan.devices[0].major = 1, plan.devices[0].minor = 1))             \
	M(device_other, "GPU", plan.devices[0].path = ADD("/dev/mem"))                           \
	M(device_number, "GPU", plan.devices[0].minor = 1)                                       \
	M(device_zero, "GPU", plan.devices[0].path = ADD("/dev/nvidia00"))                       \
	M(device_ctl, "GPU", plan.devices[1].path = ADD("/dev/nvidia255"))                       \
	M(device_card, "GPU",                                                                    \
	  (plan.devices[2].minor = 0, plan.devices[2].path = ADD("/dev/dri/renderD0")))          \
	M(device_uvm_static, "GPU", plan.devices[3].major = 10)                                  \
	M(device_uvm_minor, "GPU", plan.devices[3].minor = 1)                                    \
	M(device_origin, "origin", plan.devices[0].origin.off++)                                 \
	M(admission_bit, "conditions", plan.admission |= 8)                                      \
	M(admission_format, "formats", plan.formats |= 0x100)                                    \
	M(admission_unmeasured, "not to be measured", plan.admission = 0)                        \
	M(admission_half, "not to be measured", plan.admission = PLAN_ADMISSION_SIGNATURE)       \
	M(admission_keyless, "without keys",                                                     \
	  (plan.n_keys = 0, plan.keys[0] = (struct plan_key){ 0 }))                              \
	M(admission_unsigned, "without", plan.admission &= ~(__u32)PLAN_ADMISSION_SIGNATURE)     \
	M(admission_keys, "count", plan.n_keys = PLAN_KEYS_MAX + 1)                              \
	M(admission_many, "count", plan.n_attestations = PLAN_ATTESTATIONS_MAX + 1)              \
	M(admission_behind, "not empty", plan.keys[1].path = plan.keys[0].path)                  \
	M(admission_key_relative, "keys", plan.keys[0].path = ADD("etc/a.pem"))                  \
	M(admission_key_kernel, "keys", plan.keys[0].path = ADD("/proc/1/environ"))              \
	M(admission_key_own, "keys", plan.attestations[0].key = ADD("/var/lib/custody/keys/k"))  \
	M(admission_type, "type", plan.attestations[0].type = (struct plan_string){ 0 })         \
	M(admission_signature, "signature", plan.signature = ADD("/srv/../s"))                   \
	M(admission_statements, "attestations", plan.attestations_path = ADD("/dev/shm"))        \
	M(admission_origin, "origin", plan.admission_origin.off++)                               \
	M(checkers_many, "count", plan.n_checkers = PLAN_CHECKERS_MAX + 1)                       \
	M(checkers_behind, "not empty", plan.checkers[2].n_args = 1)                             \
	M(checkers_uncounted, "not empty", plan.n_checkers = 1)                                  \
	M(checkers_unmeasured, "not to be measured", (plan.admission = plan.formats = 0,         \
	  plan.n_keys = plan.n_attestations = 0, memset(plan.keys, 0, sizeof(plan.keys)),        \
	  memset(plan.attestations, 0, sizeof(plan.attestations)),                               \
	  plan.signature = plan.attestations_path = (struct plan_string){ 0 }))                  \
	M(checkers_no_time, "time limit", plan.checker_timeout_s = 0)                            \
	M(checkers_long, "time limit", plan.checker_timeout_s = 3601)                            \
	M(checkers_time_only, "no check",                                                        \
	  (plan.n_checkers = 0, memset(plan.checkers, 0, sizeof(plan.checkers))))                \
	M(checkers_name, "57", (memset(plan.name, 0, 64), memset(plan.name, 'a', 58)))           \
	M(checker_args, "arguments", plan.checkers[0].n_args = PLAN_CHECKER_ARGS_MAX + 1)        \
	M(checker_no_args, "arguments", plan.checkers[0].n_args = 0)                             \
	M(checker_pad, "padding", plan.checkers[1].pad = 1)                                      \
	M(checker_args_behind, "not empty", plan.checkers[1].n_args = 1)                         \
	M(checker_relative, "absolute", plan.checkers[1].args[0] = ADD("scan"))                  \
	M(checker_string, "pool", plan.checkers[0].args[1].len++)                                \
	M(checker_origin, "origin", plan.checkers[0].origin.off++)                               \
	M(device_twice, "devices are the same", plan.devices[1] = plan.devices[0])

/* clang-format on */
#define MUTATION_FUNCTION(name, why, ...)          \
	static void mutate_##name(void)            \
	{                                          \
		(void)(__VA_ARGS__);               \
	}
MUTATIONS(MUTATION_FUNCTION)

static const struct mutation mutations[] = {
#define MUTATION_ROW(name, why, ...) { #name, mutate_##name, why },
	MUTATIONS(MUTATION_ROW)
};

static void test_good_plan(void **state)
{
	const char *why = "";

	(void)state;
	plan_fixture_make(&plan);
	assert_true(plan_check(&plan, &why));
	assert_string_equal(plan_string(&plan, plan.args[0]), "/usr/bin/python3");
	assert_string_equal(plan_string(&plan, plan.args[2]), "");
}

static void test_least_plan(void **state)
{
	const char *why = "";

	(void)state;
	plan_fixture_make(&plan);
	memset(plan.zones, 0, sizeof(plan.zones));
	memset(plan.endpoints, 0, sizeof(plan.endpoints));
	memset(plan.devices, 0, sizeof(plan.devices));
	memset(plan.env, 0, sizeof(plan.env));
	plan.n_zones = plan.n_endpoints = plan.n_devices = plan.n_env = 0;
	plan.model_path = plan.model_origin = (struct plan_string){ 0 };
	plan.admission = plan.formats = plan.n_keys = plan.n_attestations = 0;
	plan.signature = plan.attestations_path = (struct plan_string){ 0 };
	memset(plan.keys, 0, sizeof(plan.keys));
	memset(plan.attestations, 0, sizeof(plan.attestations));
	memset(plan.checkers, 0, sizeof(plan.checkers));
	plan.n_checkers = plan.checker_timeout_s = 0;
	plan.limit_memory = plan.limit_cpu_percent = plan.retain_days = plan.drain_timeout_s = 0;
	plan.flags = 0;
	assert_true(plan_check(&plan, &why));
}

static void test_mutations(void **state)
{
	int failed = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mutations); i++) {
		const char *why = "accepted";

		plan_fixture_make(&plan);
		mutations[i].apply();
		if (!plan_check(&plan, &why) && strstr(why, mutations[i].why))
			continue;
		print_error("%s: %s, expected \"%s\"\n", mutations[i].what, why, mutations[i].why);
		failed++;
	}
	assert_int_equal(failed, 0);
}

/* A byte changed anywhere is refused, or it changed one of the few bytes that mean something
 * else and are just as good; it never makes the check read outside the plan (ASan). */
static void test_every_byte(void **state)
{
	static struct custody_plan good;
	unsigned char *bytes = (unsigned char *)&plan;
	size_t accepted = 0;

	(void)state;
	plan_fixture_make(&good);
	for (size_t i = 0; i < offsetof(struct custody_plan, pool) + good.pool_used + 64; i++) {
		const char *why = "";

		plan = good;
		bytes[i] ^= 0x80;
		accepted += plan_check(&plan, &why);
	}
	/* The digest, high bits of numbers in range, bytes of strings that may be anything. */
	assert_true(accepted < 600);
}

static void test_nested_targets(void **state)
{
	const char *why = "";

	(void)state;
	plan_fixture_make(&plan);
	plan.zones[2].target = ADD("/usr/share/zone");
	assert_true(plan_check(&plan, &why));
	plan.zones[2].target = ADD("/usrlocal");
	assert_true(plan_check(&plan, &why));
	plan.zones[0].source = plan.model_path = ADD("/var/lib/custody/models/m");
	assert_true(plan_check(&plan, &why));
}

static void test_names(void **state)
{
	char name[CUSTODY_NAME_SIZE + 1];

	(void)state;
	assert_true(plan_check_name("a"));
	assert_true(plan_check_name("0.llama-3_8b"));
	memset(name, 'a', sizeof(name));
	name[63] = '\0';
	assert_true(plan_check_name(name));
	name[63] = 'a';
	name[64] = '\0';
	assert_false(plan_check_name(name));
	assert_false(plan_check_name(""));
	assert_false(plan_check_name(".."));
	assert_false(plan_check_name("-a"));
	assert_false(plan_check_name("_a"));
	assert_false(plan_check_name("a/b"));
	assert_false(plan_check_name("A"));
	assert_false(plan_check_name("a b"));
}

static int make_memfd(const struct custody_plan *from, size_t size, int seals)
{
	int fd = memfd_create("test-plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, from, sizeof(*from)), sizeof(*from));
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void test_map(void **state)
{
	const int all = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	static const int missing[] = { F_SEAL_WRITE, F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_SEAL };
	const struct custody_plan *map = NULL;
	const char *why = "";
	int fd;

	(void)state;
	plan_fixture_make(&plan);
	for (size_t i = 0; i < ARRAY_SIZE(missing); i++) {
		fd = make_memfd(&plan, sizeof(plan), all & ~missing[i]);
		assert_int_equal(plan_map(fd, &map, &why), -EPERM);
		(void)close(fd);
	}
	fd = make_memfd(&plan, sizeof(plan) - 1, all);
	assert_int_equal(plan_map(fd, &map, &why), -EPROTO);
	(void)close(fd);
	fd = make_memfd(&plan, sizeof(plan) + 1, all);
	assert_int_equal(plan_map(fd, &map, &why), -EPROTO);
	(void)close(fd);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(plan_map(fd, &map, &why), -EPERM);
	(void)close(fd);
	assert_int_equal(plan_map(-1, &map, &why), -EPERM);
	assert_null(map);
	fd = make_memfd(&plan, sizeof(plan), all);
	assert_int_equal(plan_map(fd, &map, &why), 0);
	(void)close(fd);
	assert_memory_equal(map, &plan, sizeof(plan));
	plan_unmap(&map);
	assert_null(map);
	plan_unmap(&map);
	plan.n_args = 0;
	fd = make_memfd(&plan, sizeof(plan), all);
	assert_int_equal(plan_map(fd, &map, &why), -EPROTO);
	(void)close(fd);
	assert_string_equal(why, "a count is out of range");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_plan),      cmocka_unit_test(test_least_plan),
		cmocka_unit_test(test_mutations),      cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_nested_targets), cmocka_unit_test(test_names),
		cmocka_unit_test(test_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
