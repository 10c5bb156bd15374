#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Pins: enforcement outlives the process that made it, a second process adopts what it finds only
# when it is complete and its own, and removal leaves nothing.
. "$(dirname "$0")/policy_lib.sh"

GPU=$TMP/gpu0
mknod "$GPU" c 195 0
refused() { # refused TEXT REGEX
	local out rc
	out=$(drive open 2>&1)
	rc=$?
	[ $rc -eq 117 ] && printf '%s\n' "$out" | grep -qE -- "$2"
	tap $? "$1" "exit $rc: $out"
}

is "$(drive open)" "fresh planes=10" "the first process loads"
is "$(drive open)" "adopted planes=10" "the second adopts"
drive install $JAIL "$MODEL" "$BROKER" device=c:195:1
tap $? "a third installs a policy"
is "$(probe "$MODEL" open "$GPU" r)" EPERM "no process is left, the device stays denied"
is "$(probe "$MODEL" open /dev/null r)" 0 "and what is allowed stays allowed"
is "$(drive open)" "adopted planes=10" "a fourth adopts"
is "$(counter 4 65535)" "0 1 0 1 0" "and finds the counters"
drive install $JAIL "$MODEL" "$BROKER" 2>"$TMP/err"
is "$?" 1 "a jail id in use is refused"
like "$(cat "$TMP/err")" 'File exists' "as such"
drive install 8 "$MODEL" "$STRAY" 2>"$TMP/err"
is "$?" 1 "so is a cgroup in use"
is "$(drive count 8)" 0 "and nothing of the refused policy is left"
is "$(probe "$MODEL" open /dev/null r)" 0 "nor was the other policy hurt"

# A pin that is renamed is missing, and what it holds stays attached.
for pin in link-device link-egress link-sys_exit map-jails map-seen map-events; do
	mv "$PIN/$pin" "$PIN/hidden"
	refused "without $pin it is not adopted" "$PIN/$pin is missing; stop every model"
	is "$(probe "$MODEL" open "$GPU" r)" EPERM "and nothing was loosened"
	mv "$PIN/hidden" "$PIN/$pin"
done
for pin in sys_exit signal exec exit; do mv "$PIN/link-$pin" "$PIN/hidden-$pin"; done
refused "without any link of the observe plane neither" "link-sys_exit is missing"
for pin in sys_exit signal exec exit; do mv "$PIN/hidden-$pin" "$PIN/link-$pin"; done
mv "$PIN/link-bind4" "$PIN/hidden" && mv "$PIN/link-bind6" "$PIN/link-bind4"
mv "$PIN/hidden" "$PIN/link-bind6"
refused "a link in the place of another is not adopted" "link bind4 is not attached where it belongs"
mv "$PIN/link-bind4" "$PIN/hidden" && mv "$PIN/link-bind6" "$PIN/link-bind4"
mv "$PIN/hidden" "$PIN/link-bind6"
mv "$PIN/map-jails" "$PIN/hidden" && mv "$PIN/link-bind6" "$PIN/map-jails"
refused "a link in the place of a map is not adopted" "map-jails is a .*link and not a bpf-map"
mv "$PIN/map-jails" "$PIN/link-bind6" && mv "$PIN/hidden" "$PIN/map-jails"
mv "$PIN/map-jails" "$PIN/hidden" && mv "$PIN/map-seen" "$PIN/map-jails"
refused "a map of another type is not adopted" "map jails has another type"
mv "$PIN/map-jails" "$PIN/map-seen" && mv "$PIN/hidden" "$PIN/map-jails"
is "$(drive open)" "adopted planes=10" "with everything in place again it is adopted"

drive remove $JAIL
is "$(drive count $JAIL)" 0 "removal leaves no entry"
drive unpin
tap $? "unpinned"
[ ! -e "$PIN" ] && [ ! -e "$PIN-new" ]
tap $? "no pin is left"
is "$(probe "$MODEL" open "$GPU" r)" ENXIO "the programs are gone with the pins"
mkdir "$PIN-new" "$PIN"
is "$(drive open)" "fresh planes=10" "leftovers of a start that died are no obstacle"
drive unpin

PIN=$TMP/not-bpffs
out=$(drive open 2>&1)
is "$?" 1 "a pin directory that is not on a bpffs is refused"
like "$out" "cannot be pinned at" "with the reason"
[ ! -e "$PIN" ] && [ ! -e "$PIN-new" ]
tap $? "and leaves nothing"
is "$(probe "$STRAY" open "$GPU" r)" ENXIO "and nothing attached"
plan_end
