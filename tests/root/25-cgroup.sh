#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# cgroup directories: freeze and kill wait for the kernel's word and no longer than told, and
# removal takes the subtree.
. "$(dirname "$0")/policy_lib.sh"

cg() { "$BUILD/root/cgroup_driver" "$@"; }

is "$(cg mount)" "$CGROUP2" "the cgroup2 mount is found"
is "$(unshare -m --propagation private sh -c "umount $CGROUP2 && $BUILD/root/cgroup_driver mount")" ENOENT \
	"and its absence noticed"
is "$(cg make "$TOP")" EEXIST "making what exists is an error"
is "$(cg id "$MODEL")" "$(stat -c %i "$MODEL")" "the id is the kernfs node's"
is "$(cg id "$TOP/nothing")" ENOENT "nothing has none"
is "$(cg populated "$TOP")" 0 "an empty subtree"
is "$(cg count "$TOP")" 0 "has no process"

sh -c 'echo 0 >"$0/cgroup.procs"; exec sleep 100' "$MODEL" &
A=$!
sh -c 'echo 0 >"$0/cgroup.procs"; trap "" TERM INT; exec sleep 100' "$BROKER" &
B=$!
STARTED="$A $B"
for _ in $(seq 200); do [ "$(cg count "$TOP")" = 2 ] && break; sleep 0.02; done
is "$(cg count "$TOP")" 2 "two processes below"
is "$(cg populated "$TOP")" 1 "it is populated"
[ "$(cg memory "$TOP")" -gt 100000 ]
tap $? "their memory is measured"
is "$(cg remove "$TOP")" EBUSY "it is not removed while they live"
is "$(cg freeze "$TOP" 2000)" 0 "freezing waits until it is so"
like "$(cat "$TOP/cgroup.events")" "frozen 1" "as the kernel says"
is "$(cg thaw "$TOP" 2000)" 0 "thawing too"
like "$(cat "$TOP/cgroup.events")" "frozen 0" "as the kernel says"
is "$(cg freeze "$TOP" 2000)" 0 "frozen again"
is "$(cg kill "$TOP" 2000)" 0 "killing works on what is frozen, and waits"
is "$(cg populated "$TOP")" 0 "nothing lives"
wait $A $B 2>/dev/null
# shellcheck disable=SC2034 # read by cleanup in policy_lib.sh
STARTED=
is "$(cg thaw "$TOP" 2000)" 0 "thawed"
is "$(cg remove "$TOP")" 0 "the subtree is removed"
[ ! -e "$TOP" ]
tap $? "it is gone"
is "$(cg remove "$TOP")" 0 "absent is removed"
is "$(cg kill "$TOP" 100)" ENOENT "but cannot be killed"
plan_end
