# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of the LSM plane (7*.sh) share on top of policy_lib.sh: the plane loaded for the
# test's own cgroup, and one line for "allowed outside, denied inside, written down".
# Sourced, as root. DRIVER_PLANES: cgroup and lsm.
export DRIVER_PLANES=6
. "$(dirname "$0")/policy_lib.sh"

ring() { "$BUILD/root/policy_driver" ring "$PIN" "$TOP"; }
lsm() { "$BUILD/root/lsm_task_probe" "$@"; }
uring() { "$BUILD/root/lsm_uring_probe" "$@"; }

# zones PATH...: the mounts that these lie on become the jail's zones, with every right
zones() {
	local mounts
	mapfile -t mounts < <(stat -c %m=rwcxi "$@" | sort -u)
	drive zones $JAIL "${mounts[@]}"
}

# denied TEXT OUTSIDE INSIDE EVENT PROGRAM ARGUMENT...
# Outside of custody PROGRAM prints OUTSIDE; in the model's cgroup it prints INSIDE, and the ring
# holds an event that matches EVENT.
denied() {
	local text=$1 outside=$2 inside=$3 event=$4 program=$5
	shift 5
	is "$("$program" - "$@")" "$outside" "$text: outside of custody $outside"
	ring >/dev/null
	like "$("$program" "$MODEL" "$@")" "^$inside\$" "$text: in a jail $inside"
	like "$(ring)" "$event" "$text: event"
}

OPENED=$(drive open 2>&1) || { echo "not ok 1 - the programs load"; echo "# $OPENED"; echo "1..1"; exit 1; }
case $OPENED in
*planes=6) ;;
*) skip_all "the plane lsm is not there: $("$BUILD/bin/custodyctl" doctor 2>/dev/null | grep -m1 -w lsm || echo "$OPENED")" ;;
esac
