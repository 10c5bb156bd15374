# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the tests of the LSM plane (7*.sh) share on top of policy_lib.sh: the plane loaded for the
# test's own cgroup by one driver that stays, and one line for "allowed outside, denied inside,
# written down". Sourced, as root. DRIVER_PLANES: cgroup and lsm, unless the test says otherwise.
export DRIVER_PLANES=${DRIVER_PLANES:-6}
. "$(dirname "$0")/policy_lib.sh"

# Loading is most of what an emulated machine does here: one driver loads, and then serves.
serve() {
	local line="" part end=$((SECONDS + 240))
	mkfifo "$TMP/ask" "$TMP/answer"
	exec 8<>"$TMP/ask" 9<>"$TMP/answer"
	"$BUILD/root/policy_driver" serve "$PIN" "$TOP" <&8 >&9 2>"$TMP/serve.log" 8>&- 9>&- &
	STARTED="$STARTED $!"
	SERVER=$!
	while kill -0 "$SERVER" 2>/dev/null && [ $SECONDS -lt $end ]; do
		read -r -t 1 -u 9 part
		line=$line$part # of which the time-out may have cut off the rest
		[ "$line" = "= 0" ] && return 0
	done
	echo "the driver has said: $line; it is at: $(cat "/proc/$SERVER/stack" 2>&1)" >>"$TMP/serve.log"
	return 1
}
drive() { # drive VERB ARGUMENT...
	local line
	if [ "$1" = unpin ]; then
		"$BUILD/root/policy_driver" unpin "$PIN" "$TOP"
		return
	fi
	printf '%s\n' "$*" >&8
	while read -r -t 120 -u 9 line; do
		case $line in
		"= "*) return "${line#= }" ;;
		esac
		printf '%s\n' "$line"
	done
	echo "the driver does not answer: $(tail -n 1 "$TMP/serve.log")"
	return 1
}
ring() { drive ring; }
lsm() { "$BUILD/root/lsm_task_probe" "$@"; }
uring() { "$BUILD/root/lsm_uring_probe" "$@"; }

# zones PATH...: the mounts that these lie on become the jail's zones, with every right
zones() {
	local mounts
	mapfile -t mounts < <(stat -c %m=rwcxi "$@" | sort -u)
	drive zones $JAIL "${mounts[@]}"
}

# take_away LINK...: the programs of these hooks, so that what stands behind them is met. The
# kernel detaches in its own time, and gives the program up when it has.
take_away() {
	"$BUILD/root/program_gone" take "${@/#/$PIN/link-}" >/dev/null
}

# denied TEXT OUTSIDE INSIDE EVENT PROGRAM ARGUMENT...
# Outside of custody PROGRAM prints OUTSIDE; in the model's cgroup it prints INSIDE, and the ring
# holds an event that matches EVENT.
denied() {
	local text=$1 outside=$2 inside=$3 event=$4 program=$5
	shift 5
	like "$("$program" - "$@")" "^$outside\$" "$text: outside of custody $outside"
	ring >/dev/null
	like "$("$program" "$MODEL" "$@")" "^$inside\$" "$text: in a jail $inside"
	like "$(ring)" "$event" "$text: event"
}

serve || {
	case $(tail -n 1 "$TMP/serve.log") in
	"") ;;
	*) sed 's/^/# /' "$TMP/serve.log" ;;
	esac
	echo "not ok 1 - the programs load"
	echo "1..1"
	exit 1
}
OPENED=$(drive open)
case $OPENED in
*planes=$DRIVER_PLANES) ;;
*) skip_all "the plane lsm is not there: $("$BUILD/bin/custodyctl" doctor 2>/dev/null | grep -m1 -w lsm || echo "$OPENED")" ;;
esac
