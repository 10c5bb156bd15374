/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custodyctl doctor: what this host can enforce, what is missing, why, and what to do. Run as
 * the caller, who must be root to be told all. Asks no daemon; leaves nothing behind.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "cgroup.h"
#include "cleanup.h"
#include "client.h"
#include "confine.h"
#include "paths.h"
#include "planes.h"
#include "table.h"

/* What profile "base" requires: its [require] planes. */
#define DOCTOR_REQUIRED (CUSTODY_PLANE_STRUCTURE | CUSTODY_PLANE_CGROUP | CUSTODY_PLANE_OBSERVE)
#define DOCTOR_KERNEL_MAJOR 6
#define DOCTOR_KERNEL_MINOR 1

enum doctor_state {
	DOCTOR_PRESENT = 0,
	DOCTOR_MISSING,
	DOCTOR_PARTLY, /* custody works, by another way or with less */
	_DOCTOR_STATE_MAX,
};

static const char *const doctor_states[_DOCTOR_STATE_MAX] = {
	[DOCTOR_PRESENT] = "present",
	[DOCTOR_MISSING] = "missing",
	[DOCTOR_PARTLY] = "partly",
};

struct doctor_row {
	const char *name;
	const char *kind; /* "plane" or "host" */
	bool required;	  /* by the default profile */
	enum doctor_state state;
	char why[PLANES_TEXT_SIZE];
	char remedy[PLANES_TEXT_SIZE];
};

__attribute__((format(printf, 3, 4))) static void
doctor_set(struct doctor_row *row, enum doctor_state state, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(row->why, sizeof(row->why), format, args);
	va_end(args);
	row->state = state;
}

static void doctor_advise(struct doctor_row *row, const char *remedy)
{
	(void)snprintf(row->remedy, sizeof(row->remedy), "%s", remedy);
}

/* ---- the host, one function a row ---- */

static void doctor_check_root(struct doctor_row *row)
{
	if (geteuid() == 0) {
		doctor_set(row, DOCTOR_PRESENT, "running as root");
		return;
	}
	doctor_set(row, DOCTOR_MISSING,
		   "running as uid %u: custodyd cannot, and much below is refused to you",
		   geteuid());
	doctor_advise(row, "run doctor as root");
}

static void doctor_check_kernel(struct doctor_row *row)
{
	int major = 0, minor = 0;
	struct utsname name;

	if (uname(&name) < 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2) {
		doctor_set(row, DOCTOR_MISSING, "the kernel does not tell its version");
	} else if (major > DOCTOR_KERNEL_MAJOR ||
		   (major == DOCTOR_KERNEL_MAJOR && minor >= DOCTOR_KERNEL_MINOR)) {
		doctor_set(row, DOCTOR_PRESENT, "Linux %s", name.release);
		return;
	} else {
		doctor_set(row, DOCTOR_MISSING, "Linux %s", name.release);
	}
	doctor_advise(row, "boot Linux 6.1 or later");
}

static void doctor_check_landlock(struct doctor_row *row)
{
	int abi = confine_find_landlock_abi();

	if (abi == 0) {
		doctor_set(row, DOCTOR_MISSING, "the kernel offers none");
		doctor_advise(row, "boot with landlock in lsm=");
	} else if (abi < 4) {
		doctor_set(row, DOCTOR_PARTLY,
			   "ABI %d: no rules for TCP (ABI 4), device ioctls (5) or signals (6)",
			   abi);
		doctor_advise(row, "boot Linux 6.12 or later for all of them");
	} else if (abi < 6) {
		doctor_set(row, DOCTOR_PARTLY,
			   "ABI %d: no scopes (ABI 6): a UNIX socket that a client hands over "
			   "reaches the host's abstract names, and a model can signal its jail's "
			   "init", abi);
		doctor_advise(row, "boot Linux 6.12 or later");
	} else {
		doctor_set(row, DOCTOR_PRESENT, "ABI %d", abi);
	}
}

static void doctor_check_bpffs(struct doctor_row *row)
{
	struct statfs fs;

	if (statfs("/sys/fs/bpf", &fs) == 0 && (__u32)fs.f_type == BPF_FS_MAGIC) {
		doctor_set(row, DOCTOR_PRESENT, "mounted at /sys/fs/bpf");
		return;
	}
	doctor_set(row, DOCTOR_PARTLY,
		   "not mounted at /sys/fs/bpf; custodyd mounts it when it starts");
	doctor_advise(row, "mount -t bpf none /sys/fs/bpf");
}

static void doctor_check_controllers(struct doctor_row *row)
{
	char mount[CUSTODY_PATH_SIZE];
	__u32 offered = 0, want = CGROUP_CONTROLLERS_ALL;
	int r = cgroup_find_mount(mount, sizeof(mount));

	if (r == 0)
		r = cgroup_read_controllers(mount, &offered);
	if (r < 0) {
		doctor_set(row, DOCTOR_MISSING, "cgroup2: %s", strerror(-r));
		doctor_advise(row, "mount -t cgroup2 none /sys/fs/cgroup/unified");
		return;
	}
	if ((offered & want) == want) {
		doctor_set(row, DOCTOR_PRESENT, "memory, pids, cpu and io");
		return;
	}
	doctor_set(row, DOCTOR_PARTLY,
		   "memory: %s; processes: %s; cpu: %s; io: %s (refused: a profile with such a "
		   "limit does not start)",
		   offered & CGROUP_MEMORY ? "by cgroup" : "by rlimit",
		   offered & CGROUP_PIDS ? "by cgroup" : "by rlimit",
		   offered & CGROUP_CPU ? "by cgroup" : "refused",
		   offered & CGROUP_IO ? "by cgroup" : "refused");
	doctor_advise(row, "free the controllers from cgroup v1: boot with "
			   "systemd.unified_cgroup_hierarchy=1 or cgroup_no_v1=all");
}

static void doctor_check_swap(struct doctor_row *row)
{
	cleanup_file FILE *file = fopen("/proc/swaps", "re");
	char line[512];
	int n = 0;

	while (file && fgets(line, sizeof(line), file))
		n++;
	if (!file && errno != ENOENT) {
		doctor_set(row, DOCTOR_PARTLY, "/proc/swaps: %s", strerror(errno));
		doctor_advise(row, "mount /proc");
	} else if (n <= 1) {
		doctor_set(row, DOCTOR_PRESENT, "the host has none: weights stay in memory");
	} else {
		doctor_set(row, DOCTOR_PARTLY,
			   "%d in use: kept from the jail only by the memory controller",
			   n - 1);
		doctor_advise(row,
			      "swapoff -a, or encrypt the swap with a key that is lost at boot");
	}
}

static void doctor_check_memfd(struct doctor_row *row)
{
	cleanup_file FILE *file = fopen("/proc/sys/vm/memfd_noexec", "re");
	int value = -1;

	if (!file || fscanf(file, "%d", &value) != 1) {
		doctor_set(row, DOCTOR_PARTLY,
			   "no vm.memfd_noexec: memfd_create is kept from the jail "
			   "by its system call filter only");
		doctor_advise(row, "boot Linux 6.3 or later");
	} else if (value == 0) {
		doctor_set(row, DOCTOR_PARTLY,
			   "vm.memfd_noexec is 0: a memfd may be executed where the "
			   "filter allows to make one");
		doctor_advise(row, "sysctl vm.memfd_noexec=1");
	} else {
		doctor_set(row, DOCTOR_PRESENT, "vm.memfd_noexec is %d", value);
	}
}

static const struct {
	const char *name;
	bool required;
	void (*check)(struct doctor_row *row);
} doctor_host[] = {
	{ "root", true, doctor_check_root },
	{ "kernel", true, doctor_check_kernel },
	{ "landlock", true, doctor_check_landlock },
	{ "bpffs", false, doctor_check_bpffs },
	{ "controllers", false, doctor_check_controllers },
	{ "no-swap", false, doctor_check_swap },
	{ "memfd-noexec", false, doctor_check_memfd },
};

#define DOCTOR_ROWS (PLANES_COUNT + ARRAY_SIZE(doctor_host))

/* ---- all rows ---- */

static void doctor_fill_rows(struct doctor_row rows[DOCTOR_ROWS])
{
	struct plane_state states[PLANES_COUNT];

	memset(rows, 0, DOCTOR_ROWS * sizeof(rows[0]));
	(void)planes_probe_all(states);
	for (size_t i = 0; i < PLANES_COUNT; i++) {
		rows[i].name = planes_name(1U << i);
		rows[i].kind = "plane";
		rows[i].required = (DOCTOR_REQUIRED & (1U << i)) != 0;
		doctor_set(&rows[i], states[i].present ? DOCTOR_PRESENT : DOCTOR_MISSING, "%s",
			   states[i].why);
		doctor_advise(&rows[i], states[i].remedy);
	}
	for (size_t i = 0; i < ARRAY_SIZE(doctor_host); i++) {
		struct doctor_row *row = &rows[PLANES_COUNT + i];

		row->name = doctor_host[i].name;
		row->kind = "host";
		row->required = doctor_host[i].required;
		doctor_host[i].check(row);
	}
}

static size_t doctor_count_failures(const struct doctor_row rows[DOCTOR_ROWS])
{
	size_t n = 0;

	for (size_t i = 0; i < DOCTOR_ROWS; i++)
		n += rows[i].required && rows[i].state == DOCTOR_MISSING;
	return n;
}

static int doctor_print_table(const struct doctor_row rows[DOCTOR_ROWS])
{
	static const char *const headings[] = { "WHAT", "KIND", "STATE", "NEEDED", "WHY", NULL };
	bool colour = client_use_colour(stdout), first = true;
	cleanup_table struct table table = { 0 };
	int r = table_open(&table, headings);

	for (size_t i = 0; r == 0 && i < DOCTOR_ROWS; i++) {
		const char *const cells[] = { rows[i].name, rows[i].kind,
					      doctor_states[rows[i].state],
					      rows[i].required ? "yes" : "no", rows[i].why };

		r = table_add_row(&table, cells);
	}
	if (r < 0)
		return r;
	table_print(&table, stdout, colour);
	for (size_t i = 0; i < DOCTOR_ROWS; i++) {
		if (rows[i].state == DOCTOR_PRESENT)
			continue;
		(void)printf("%s%s: %s.\n", first ? "\nWhat to do:\n" : "", rows[i].name,
			     rows[i].remedy);
		first = false;
	}
	return 0;
}

static int doctor_print_json(const struct doctor_row rows[DOCTOR_ROWS], bool fit)
{
	json_t *array = json_array();
	json_t *all;

	for (size_t i = 0; array && i < DOCTOR_ROWS; i++) {
		json_t *row =
			json_pack("{s:s, s:s, s:s, s:b, s:s, s:s}", "name", rows[i].name, "kind",
				  rows[i].kind, "state", doctor_states[rows[i].state], "required",
				  rows[i].required, "why", rows[i].why, "remedy", rows[i].remedy);

		if (json_array_append_new(array, row) < 0) {
			json_decref(array);
			array = NULL;
		}
	}
	/* "o" takes the array, also when it fails. */
	all = array ? json_pack("{s:b, s:o}", "requirements_met", fit, "checks", array) : NULL;
	return client_print_json(all, 0);
}

int command_doctor(int argc, char **argv, const struct command_options *options)
{
	struct doctor_row rows[DOCTOR_ROWS];
	int words = client_parse_options(argc, argv, NULL, 0);
	size_t failures;
	int r;

	if (words < 0)
		return CUSTODY_EXIT_USAGE;
	if (words > 0) {
		client_complain("doctor takes no argument but --json.");
		return CUSTODY_EXIT_USAGE;
	}
	doctor_fill_rows(rows);
	failures = doctor_count_failures(rows);
	r = options->json ? doctor_print_json(rows, failures == 0) : doctor_print_table(rows);
	if (r < 0) {
		client_complain("The checks cannot be printed: out of memory.");
		return CUSTODY_EXIT_INTERNAL;
	}
	if (failures == 0)
		return CUSTODY_EXIT_DONE;
	client_complain("Not ready: %zu of the rows that the default profile needs %s missing; "
			"\"What to do\" says what to change.", failures,
			failures == 1 ? "is" : "are");
	return CUSTODY_EXIT_REFUSED;
}
