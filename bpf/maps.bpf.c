/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one definition of every map. See maps.h for what they are and who writes them. */
#include "maps.h"

struct map_config config SEC(".maps");
struct map_jails jails SEC(".maps");
struct map_endpoints endpoints SEC(".maps");
struct map_devices devices SEC(".maps");
struct map_ioctls ioctls SEC(".maps");
struct map_zones zones SEC(".maps");
struct map_counters counters SEC(".maps");
struct map_errors errors SEC(".maps");
struct map_seen seen SEC(".maps");
struct map_sockets sockets SEC(".maps");
struct map_marks marks SEC(".maps");
struct map_events events SEC(".maps");
struct map_ceilings ceilings SEC(".maps");
struct map_accounts accounts SEC(".maps");
struct map_wakes wakes SEC(".maps");
struct map_guarded guarded SEC(".maps");
struct map_guard_owners guard_owners SEC(".maps");
struct map_guard_objects guard_objects SEC(".maps");
struct map_guardians guardians SEC(".maps");
struct map_guard_config guard_config SEC(".maps");
struct map_guard_learn guard_learn SEC(".maps");
struct map_guard_readers guard_readers SEC(".maps");
struct map_guard_nodes guard_nodes SEC(".maps");

char LICENSE[] SEC("license") = "Dual BSD/GPL";
