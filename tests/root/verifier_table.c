/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads every BPF program of the skeleton, together where the kernel takes them all, else each
 * alone, and prints what the kernel says of it:
 *
 *   NAME SECTION INSNS OUTSIDE JITED PROCESSED STATES PEAK
 *   NAME SECTION absent           this kernel has no such hook
 *   NAME SECTION not-permitted    the kernel does not let this process load such programs
 *   NAME SECTION rejected ERRNO   the verifier's last lines follow on stderr
 *
 * INSNS: instructions after the verifier. OUTSIDE: how many of them a process runs that is not in
 * custody, calls counted as one: where the program asks for the cgroup above the task's
 * (lsm_is_inside()), up to there, on from there as for one that is not equal, and out; elsewhere
 * the fewest on any way out on which it makes a call. Both by the shortest way. JITED: bytes of
 * machine code. The rest is the verifier's work (log level 4). Nothing is attached or pinned. Run
 * by root from tests/root/27-programs.sh and tests/vm/verifier.sh; trusts the skeleton.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "custody.skel.h"

#define TABLE_LOG_SIZE (1U << 20)
#define TABLE_COUNTS_SIZE 4096 /* of a log that holds only the counts: level 4 */
#define TABLE_FAR (~0U)

static int table_print_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

/* Where control may go after instruction i: one or two places, none after an exit. */
static int table_find_next(const struct bpf_insn *insn, __u32 i, __u32 next[2])
{
	__u8 class = BPF_CLASS(insn->code);
	__u8 op = BPF_OP(insn->code);

	next[0] = i + (insn->code == (BPF_LD | BPF_DW | BPF_IMM) ? 2 : 1);
	if ((class != BPF_JMP && class != BPF_JMP32) || op == BPF_CALL)
		return 1;
	if (op == BPF_EXIT)
		return 0;
	if (op == BPF_JA) {
		next[0] += class == BPF_JMP ? (__u32)insn->off : (__u32)insn->imm;
		return 1;
	}
	next[1] = next[0] + (__u32)insn->off;
	return 2;
}

/*
 * Breadth first, every instruction costs one: how many from `from`, itself included, to the
 * instruction `to`, or to the nearest exit when `to` is TABLE_FAR. TABLE_FAR when there is no way,
 * or memory is short.
 */
static __u32 table_measure_way(const struct bpf_insn *insns, __u32 n, __u32 from, __u32 to)
{
	cleanup_ptr __u32 *cost = malloc(n * sizeof(*cost));
	cleanup_ptr __u32 *queue = malloc(n * sizeof(*queue));
	__u32 head = 0, tail = 0;

	if (!cost || !queue || from >= n)
		return TABLE_FAR;
	memset(cost, 0xff, n * sizeof(*cost));
	cost[from] = 1;
	queue[tail++] = from;
	while (head < tail) {
		__u32 i = queue[head++];
		__u32 next[2] = { 0 };
		int ways = table_find_next(&insns[i], i, next);

		if (to == TABLE_FAR ? ways == 0 : i == to)
			return cost[i];
		for (int w = 0; w < ways; w++) {
			if (next[w] >= n || cost[next[w]] != TABLE_FAR)
				continue;
			cost[next[w]] = cost[i] + 1;
			queue[tail++] = next[w];
		}
	}
	return TABLE_FAR;
}

/* The call's operand for the helper that tells the cgroup above; 0 when /proc/kallsyms hides it. */
static __s32 table_find_helper(void)
{
	cleanup_file FILE *file = fopen("/proc/kallsyms", "re");
	unsigned long long address, base = 0, helper = 0;
	char line[512], name[128];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx %*c %127s", &address, name) != 2)
			continue;
		if (strcmp(name, "__bpf_call_base") == 0)
			base = address;
		if (strcmp(name, "bpf_get_current_ancestor_cgroup_id") == 0)
			helper = address;
	}
	return base && helper ? (__s32)(helper - base) : 0;
}

/* From the call on, as for a process of another cgroup: the first comparison says "not equal". */
static __u32 table_measure_unequal(const struct bpf_insn *insns, __u32 n, __u32 call)
{
	for (__u32 i = call + 1; i < n; i++) {
		__u8 class = BPF_CLASS(insns[i].code);
		__u8 op = BPF_OP(insns[i].code);
		__u32 next[2] = { 0 }, way;

		if (class != BPF_JMP && class != BPF_JMP32)
			continue;
		if (op != BPF_JEQ && op != BPF_JNE)
			return TABLE_FAR;
		(void)table_find_next(&insns[i], i, next);
		way = table_measure_way(insns, n, next[op == BPF_JNE], TABLE_FAR);
		return way == TABLE_FAR ? TABLE_FAR : i - call + way;
	}
	return TABLE_FAR;
}

static bool table_is_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL);
}

/* The fewest on any way out that makes a call; every program does. */
static __u32 table_measure_calling(const struct bpf_insn *insns, __u32 n)
{
	__u32 best = TABLE_FAR;

	for (__u32 i = 0; i < n; i++) {
		__u32 before, after;

		if (!table_is_call(&insns[i]))
			continue;
		before = table_measure_way(insns, n, 0, i);
		after = table_measure_way(insns, n, i, TABLE_FAR);
		if (before != TABLE_FAR && after != TABLE_FAR && before + after - 1 < best)
			best = before + after - 1;
	}
	return best;
}

static __u32 table_measure_outside(const struct bpf_insn *insns, __u32 n, __s32 helper)
{
	for (__u32 i = 0; helper && i < n; i++) {
		__u32 before, after;

		if (!table_is_call(&insns[i]) || insns[i].src_reg != 0 || insns[i].imm != helper)
			continue;
		before = table_measure_way(insns, n, 0, i);
		after = table_measure_unequal(insns, n, i);
		if (before != TABLE_FAR && after != TABLE_FAR)
			return before + after;
	}
	return table_measure_calling(insns, n);
}

static int table_print_loaded(const struct bpf_program *program, const char *log, __s32 helper)
{
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info);
	cleanup_ptr struct bpf_insn *insns = NULL;
	const char *line = strstr(log, "processed ");
	unsigned int processed, states, peak;
	int fd = bpf_program__fd(program);
	__u32 n;

	if (!line || sscanf(line, "processed %u insns (limit %*u) max_states_per_insn %*u "
				  "total_states %u peak_states %u",
			    &processed, &states, &peak) != 3)
		return -EPROTO;
	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return -errno;
	n = info.xlated_prog_len / sizeof(*insns);
	insns = calloc(n, sizeof(*insns));
	if (!insns)
		return -ENOMEM;
	size = sizeof(info);
	memset(&info, 0, sizeof(info));
	info.xlated_prog_insns = (__u64)(uintptr_t)insns;
	info.xlated_prog_len = n * (__u32)sizeof(*insns);
	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return -errno;
	printf("%s %s %u %u %u %u %u %u\n", bpf_program__name(program),
	       bpf_program__section_name(program), n,
	       table_measure_outside(insns, n, helper), info.jited_prog_len, processed,
	       states, peak);
	return 0;
}

/* One program of a fresh object; returns what loading answered, and what the verifier wrote. */
static int table_load(const char *name, __u32 level, char *log, struct custody_bpf **ret_object)
{
	struct custody_bpf *object = custody_bpf__open();
	struct bpf_program *program;
	int r;

	if (!object)
		return -errno;
	bpf_object__for_each_program(program, object->obj) {
		bool chosen = strcmp(bpf_program__name(program), name) == 0;

		bpf_program__set_autoload(program, chosen);
		if (chosen) {
			(void)bpf_program__set_log_level(program, level);
			(void)bpf_program__set_log_buf(program, log, TABLE_LOG_SIZE);
		}
	}
	log[0] = '\0';
	r = custody_bpf__load(object);
	if (r < 0) {
		custody_bpf__destroy(object);
		return r;
	}
	*ret_object = object;
	return 0;
}

static void table_print_log_end(const char *log)
{
	const char *from = log + strlen(log);

	for (int lines = 0; from > log && lines < 12; from--)
		lines += from[-1] == '\n';
	(void)fputs(from, stderr);
}

/* Returns 1 where the answer is a fault of the program, not a trait of the kernel. */
static int table_show(const struct bpf_program *wanted, char *log, __s32 helper)
{
	const char *name = bpf_program__name(wanted);
	const char *section = bpf_program__section_name(wanted);
	struct custody_bpf *object = NULL;
	int r = table_load(name, 4, log, &object);

	if (r == 0) {
		r = table_print_loaded(
			bpf_object__find_program_by_name(object->obj, name), log, helper);
		custody_bpf__destroy(object);
		if (r < 0)
			(void)fprintf(stderr, "%s: %s\n", name, strerror(-r));
		return r < 0;
	}
	if (r == -ESRCH) {
		printf("%s %s absent\n", name, section);
		return 0;
	}
	r = table_load(name, 1, log, &object);
	if (r == -EPERM && log[0] == '\0') {
		printf("%s %s not-permitted\n", name, section);
		return 0;
	}
	if (r == 0)
		custody_bpf__destroy(object);
	printf("%s %s rejected %d\n", name, section, -r);
	table_print_log_end(log);
	return 1;
}

/* Whether the kernel has what the program is attached to. */
static bool table_is_absent(const struct btf *kernel, const struct bpf_program *program)
{
	const char *section = bpf_program__section_name(program);
	char name[128];

	if (strncmp(section, "lsm/", 4) == 0) {
		(void)snprintf(name, sizeof(name), "bpf_lsm_%s", section + 4);
		return btf__find_by_name_kind(kernel, name, BTF_KIND_FUNC) < 0;
	}
	if (strncmp(section, "tp_btf/", 7) == 0) {
		(void)snprintf(name, sizeof(name), "btf_trace_%s", section + 7);
		return btf__find_by_name_kind(kernel, name, BTF_KIND_TYPEDEF) < 0;
	}
	return false;
}

/* All in one object: what is not in the kernel stays out. Nothing is printed on failure. */
static int table_show_together(char *logs, __s32 helper)
{
	struct custody_bpf *object = custody_bpf__open();
	struct btf *kernel = btf__load_vmlinux_btf();
	struct bpf_program *program;
	size_t i = 0;
	int r = object && kernel ? 0 : -EINVAL;

	if (r == 0) {
		bpf_object__for_each_program(program, object->obj) {
			bpf_program__set_autoload(program, !table_is_absent(kernel, program));
			(void)bpf_program__set_log_level(program, 4);
			(void)bpf_program__set_log_buf(program, logs + i++ * TABLE_COUNTS_SIZE,
						       TABLE_COUNTS_SIZE);
		}
		r = custody_bpf__load(object);
	}
	i = 0;
	if (r == 0) {
		bpf_object__for_each_program(program, object->obj) {
			const char *log = logs + i++ * TABLE_COUNTS_SIZE;

			if (!bpf_program__autoload(program))
				printf("%s %s absent\n", bpf_program__name(program),
				       bpf_program__section_name(program));
			else if (table_print_loaded(program, log, helper) < 0)
				(void)fprintf(stderr, "%s: no counts\n",
					      bpf_program__name(program));
		}
	}
	btf__free(kernel);
	custody_bpf__destroy(object);
	return r;
}

int main(void)
{
	struct custody_bpf *object = NULL;
	cleanup_ptr char *log = calloc(1, TABLE_LOG_SIZE);
	const __s32 helper = table_find_helper();
	const struct bpf_program *program;
	int failures = 0;

	(void)libbpf_set_print(table_print_nothing);
	object = custody_bpf__open();
	if (!object || !log)
		return 2;
	_Static_assert(TABLE_LOG_SIZE / TABLE_COUNTS_SIZE > 200, "a log for each program");
	if (table_show_together(log, helper) == 0) {
		custody_bpf__destroy(object);
		return 0;
	}
	for (program = bpf_object__next_program(object->obj, NULL); program;
	     program = bpf_object__next_program(object->obj, (struct bpf_program *)program))
		failures += table_show(program, log, helper);
	custody_bpf__destroy(object);
	return failures ? 1 : 0;
}
