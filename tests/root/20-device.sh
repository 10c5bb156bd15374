#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Device program: what the jail's policy names opens, everything else is EPERM, mknod always is.
# A node of major 195 (NVIDIA's) without a driver answers ENXIO when the open is allowed.
. "$(dirname "$0")/policy_lib.sh"

GPU=$TMP/gpu0
mknod "$GPU" c 195 0
mknod "$TMP/gpu1" c 195 1
mknod "$TMP/block" b 195 0

is "$(drive open)" "fresh planes=10" "programs load, attach and are pinned"
is "$(probe - open "$GPU" r)" ENXIO "outside of custody's cgroup the node is allowed"
is "$(probe "$OTHER" open "$GPU" r)" ENXIO "a cgroup beside custody's is not touched"
is "$(probe "$STRAY" open "$GPU" r)" EPERM "a cgroup below without an entry is denied"
is "$(probe "$STRAY" open /dev/null r)" EPERM "even /dev/null"
is "$(probe "$TOP" open /dev/null r)" EPERM "and so is custody's own cgroup"
nothing_failed "each of the three is counted" 4 3
is "$(drive events)" "" "and there is no jail to emit an event for"

drive install $JAIL "$MODEL" "$BROKER" device=c:195:1
tap $? "policy is installed"
is "$(probe "$MODEL" open "$TMP/gpu1" r)" ENXIO "the device that the plan names is allowed"
is "$(probe "$MODEL" open "$TMP/gpu1" w)" ENXIO "for writing too"
is "$(probe "$MODEL" open "$GPU" r)" EPERM "another minor is denied"
is "$(probe "$MODEL" open "$TMP/block" r)" EPERM "the same numbers as a block device are denied"
is "$(probe "$BROKER" open "$GPU" r)" EPERM "the broker is held the same way"
for node in null zero full random urandom; do
	is "$(probe "$MODEL" open /dev/$node r)" 0 "/dev/$node opens"
done
is "$(probe "$MODEL" mknod "$TMP/new" 195 1)" EPERM "mknod of an allowed device is denied"
is "$(probe - mknod "$TMP/new" 195 1)" 0 "which works outside"

events=$(drive events)
like "$events" 'jail=7 class=4 object=65535 verdict=2 plane=2 error=-1 .*device=0xc300000000 .*access=0x2 .*comm=policy_probe' \
	"the denial is an event with device, access and program"
like "$events" 'class=4 object=0 verdict=1 plane=2 error=0 .*device=0xc300000001 .*access=0x2 ' \
	"the first allowed open is an event with the plan's device index"
like "$events" 'class=4 object=0 verdict=2 .*device=0xc300000001 .*access=0x1 ' "mknod is an event"
is "$(printf '%s\n' "$events" | grep -c 'verdict=2')" 4 "one event for each denial"
is "$(counter 4 65535)" "0 3 0 3 0" "counter of devices that policy does not name"
is "$(counter 4 0)" "2 1 0 3 0" "counter of the device that it names"
is "$(counter 4 32)" "1 0 0 1 0" "counter of /dev/null"
is "$(probe "$MODEL" open "$TMP/gpu1" r)" ENXIO "a second open is allowed"
is "$(drive events)" "" "and is no news"
is "$(counter 4 0)" "3 1 0 3 0" "but is counted"

# The ring holds 4 MiB: 11155 events of 376 bytes. Nobody reads while it fills.
N=12000
is "$(probe "$MODEL" burst "$GPU" $N)" $N "with the ring full every open is still denied"
is "$(probe "$MODEL" open "$TMP/gpu1" r)" ENXIO "and what is allowed is still allowed"
read -r allowed denied _ emitted lost <<<"$(counter 4 65535)"
is "$allowed $denied" "0 $((N + 3))" "every denial is counted"
is $((emitted + lost)) $((N + 3)) "each event was emitted or counted as lost"
tap $((lost > 0 ? 0 : 1)) "some were lost ($lost)"
is "$(drive events | wc -l)" $((emitted - 3)) "what the counter says was emitted is in the ring"
is "$(probe "$MODEL" open "$GPU" r)" EPERM "with the ring empty again"
is "$(drive events | wc -l)" 1 "events flow again"
nothing_failed "no helper failed" 4 3

drive remove $JAIL
tap $? "policy is removed"
is "$(drive count $JAIL)" 0 "no entry is left in any map"
is "$(probe "$MODEL" open /dev/null r)" EPERM "a cgroup whose policy was removed is denied everything"
plan_end
