#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Nth allocation, write, fsync, clone, mount, map update, message, name or descriptor fails, in
# custodyd and in each role, while a model is launched, serves, is restricted, stopped and retired
# (fault_preload.c). Each time: an error is a whole sentence, what runs is confined, nothing is
# left, what the ledger lacks it says that it lacks, and the next launch works.
#
# Where a kind is called more than a few times, N is sampled. FULL=1 takes every N.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# This test puts other executables in the place of custody's, which the guard refuses (80-guard-custody.sh).
# shellcheck disable=SC2034 # read by daemon_start
HOUSE_NO_GUARD=1
house_open
PRELOAD=$TOP/build/root/fault_preload.so
[ -e "$PRELOAD" ] || skip_all "needs build/root/fault_preload.so"
mkdir "$ROOT/real" "$ROOT/bin" "$ROOT/fault" "$ROOT/program"
cp "$BIN"/custody* "$ROOT/real/"
cp "$PRELOAD" "$ROOT/fault/preload.so"
install -m 755 "$TOP/build/root/fault_server" "$ROOT/program/server"
for at in "$ROOT"/real/*; do
	role=${at##*/}
	head -c 40 /dev/zero >"$ROOT/fault/$role"
	if [ "$role" = custodyd ] || [[ $role == custody-front ]]; then
		cp "$at" "$ROOT/bin/"
	else
		printf '#!/bin/sh\nLD_PRELOAD=%s FAULT_FILE=%s exec %s\n' "$ROOT/fault/preload.so" \
			"$ROOT/fault/$role" "$at" >"$ROOT/bin/$role"
		chmod 755 "$ROOT/bin/$role"
	fi
done
cp "$BIN/custodyctl" "$ROOT/bin/"
BIN=$ROOT/bin
PORT=$(free_port)
profile web "$PORT"
sed -i -e "s|^command = .*|command = $ROOT/program/server $PORT|" \
	-e "s|^drain-timeout.*|drain-timeout = 0s|" "$ROOT/etc/custody/profiles/web.ini"
printf '[files]\nread += %s\n' "$ROOT/program" >>"$ROOT/etc/custody/profiles/web.ini"

# The kinds of fault_preload.c, and what each fails with.
declare -A KIND=([alloc]=1 [write]=2 [fsync]=3 [clone]=4 [mount]=5 [map]=6 [send]=7 [file]=8 [fd]=9)
declare -A ERROR=([alloc]=12 [write]=28 [fsync]=5 [clone]=11 [mount]=12 [map]=12 [send]=105
	[file]=23 [fd]=24)

le32() { printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }
# arm ROLE KIND N: its Nth call of that kind from now on fails.
arm() {
	# shellcheck disable=SC2059 # made by le32
	printf "$(le32 "${KIND[$2]}")$(le32 "$3")$(le32 "${ERROR[$2]}")$(le32 0)$(le32 0)$(le32 0)" 1<>"$ROOT/fault/$1"
}
# disarm ROLE: FIRED, LEFT and FROM say what came of it.
disarm() {
	local words
	printf '\0\0\0\0' 1<>"$ROOT/fault/$1"
	read -ra words < <(od -An -v -w32 -td4 -N 32 "$ROOT/fault/$1")
	LEFT=${words[1]} FIRED=${words[3]}
	printf -v FROM %x $((words[4] & 0xffffffff))
}

daemon_start() {
	: >"$ROOT/custodyd.log"
	LD_PRELOAD=$ROOT/fault/preload.so FAULT_FILE=$ROOT/fault/custodyd \
		"$BIN/custodyd" --root "$ROOT" --no-guard 2>>"$ROOT/custodyd.log" &
	DAEMON=$!
	wait_for 120 daemon_serves || { sed 's/^/# /' "$ROOT/custodyd.log"; return 1; }
}
is() { [ "$(state_of web)" = "$1" ]; }
no_cgroups() { ! find "$CGROUP" -mindepth 1 -maxdepth 1 -type d | grep -q .; }
# What custodyd holds while nothing runs: descriptors, children, mounts. Compared to what it was.
holdings() {
	local fds=("/proc/$DAEMON/fd/"*)
	echo "${#fds[@]} fds, $(pgrep -c -P "$DAEMON") children, $(grep -cF " $ROOT/" /proc/self/mountinfo) mounts, $(find "$CGROUP" -mindepth 1 -type d | wc -l) cgroups"
}
# A model that stopped is remembered with its plan (one descriptor) until it is retired.
as_before() { local now; now=$(holdings); [ "$now" = "$BASE" ] || [ "$now" = "$BASE_RETIRED" ]; }
field() { [[ $STATUS =~ (^|$'\n')$1:[[:space:]]*([^$'\n']*) ]] && echo "${BASH_REMATCH[2]}"; }
# What the server reads of itself in /proc, and of every other process of the jail.
confined() {
	local STATUS
	STATUS=$(fetch "$PORT") || return 1
	held_by_status || return 1
}
held_by_status() {
	[ "$(field Seccomp)" = 2 ] && [ "$(field NoNewPrivs)" = 1 ] && [[ $(field CapPrm) =~ ^0+$ ]] &&
		[[ $(field CapBnd) =~ ^0+$ ]] && [[ $(field Uid) != 0* ]]
}
# From outside: whatever is in the model's cgroup and runs another program than custody's own.
nothing_unconfined() {
	local pid STATUS
	for pid in $(cat "$CGROUP"/web-*/model/cgroup.procs 2>/dev/null); do
		case $(readlink "/proc/$pid/exe") in "$ROOT/program/server") ;; *) continue ;; esac
		STATUS=$(cat "/proc/$pid/status" 2>/dev/null) || continue
		held_by_status || { echo "pid $pid runs unconfined: $STATUS"; return 1; }
	done
}
# complain TEXT: of the point that is being tried; the test point is made once for each loop.
complain() { PROBLEMS+="$POINT (at $FROM): $1"$'\n'; }
sentence() { [[ $1 =~ ^[A-Za-z/].*[.:][\"\)]?$ ]] && [[ $1 != *"gave no reason"* ]]; }

# try ROLE KIND N OPERATION: one point. OPERATION is start, stop, restrict or retire.
try() {
	local out got=0 wait=0
	POINT="$4, $1, $2 $3"
	if [ "$4" != start ]; then
		ctl start web >"$ROOT/out" 2>&1 || { FROM= complain "it did not start: $(cat "$ROOT/out")"; }
		wait_for 5 fetch "$PORT" || { FROM= complain "it does not serve"; }
	fi
	arm "$1" "$2" "$3"
	if [ "$4" = restrict ]; then
		out=$(timeout 60 "$BIN/custodyctl" --root "$ROOT" restrict web $RESTRICT 2>&1) || got=$?
	else
		out=$(timeout 60 "$BIN/custodyctl" --root "$ROOT" "$4" web 2>&1) || got=$?
	fi
	disarm "$1"
	[ -z "${VERBOSE:-}" ] || echo "# $POINT fired=$FIRED at $FROM: $got ${out##*$'\n'}" >&2
	[ $got != 124 ] || complain "nobody answered"
	[ $got = 0 ] || [ "$got" = 4 ] || sentence "${out##*$'\n'}" || complain "exit $got, said: $out"
	nothing_unconfined >"$ROOT/out" || complain "$(cat "$ROOT/out")"
	if gone; then
		complain "custodyd ended: $(tail -n 3 "$ROOT/custodyd.log")"
		wait "$DAEMON" 2>/dev/null
		daemon_start || return 1
	fi
	after_"$4" "$got" "$out"
	# Whatever came of it: nothing runs in the end, and nothing of it is held.
	case $(state_of web) in
	absent | stopped) ;;
	*) ctl stop web >"$ROOT/out" 2>&1 || { nap 1; ctl stop web >"$ROOT/out" 2>&1; } || complain "it cannot be stopped: $(cat "$ROOT/out")" ;;
	esac
	wait_for 4 as_before || complain "left: $(holdings), not $BASE"
}
gone() { ! kill -0 "$DAEMON" 2>/dev/null || grep -qs '^State:[[:space:]]*Z' "/proc/$DAEMON/status"; }
after_start() {
	if [ "$1" = 0 ]; then
		wait_for 5 confined || complain "started, but it does not serve, or not confined"
	elif [[ $2 != *"carried out is not known"* ]]; then
		case $(state_of web) in absent | stopped) ;; *) complain "refused, and $(state_of web): $2" ;; esac
	fi
}
after_stop() {
	[ "$1" != 0 ] || is stopped || complain "said that it stopped, and is $(state_of web)"
}
after_restrict() {
	local shown
	shown=$(ctl status web 2>&1)
	if [ "$1" = 0 ]; then
		[[ $shown == *restricted* || $shown == *cut* || $shown == *dropped* ]] || complain "said that it is restricted, and is not: $shown"
	fi
	is running || complain "restricted, and $(state_of web)"
}
after_retire() {
	case $1 in
	0 | 4) wait_for 2 is absent || complain "retired, and $(state_of web)"
		[[ $2 == *"is retired"* ]] || complain "exit $1, said: $2" ;;
	*) is absent && [[ $2 == *"carried out is not known"* ]] ||
		timeout 60 "$BIN/custodyctl" --root "$ROOT" retire web >"$ROOT/out" 2>&1 || [ $? = 4 ] || complain "it cannot be retired afterwards: $(cat "$ROOT/out")" ;;
	esac
}

# loop OPERATION ROLE KIND LIMIT: every N, or LIMIT of them when there are more.
RESTRICT="--cut-egress --read-only-scratch"
loop() {
	local n=1 total tried=0 limit=$4
	[ -z "${FULL:-}" ] || limit=${FULL_LIMIT:-300}
	PROBLEMS=
	try "$2" "$3" 1000000 "$1"
	total=$((1000000 - LEFT))
	for ((i = 1; i <= (total < limit ? total : limit); i++)); do
		n=$i
		[ "$total" -le "$limit" ] || n=$((1 + (i - 1) * (total - 1) / (limit - 1)))
		try "$2" "$3" "$n" "$1" || break
		[ "$FIRED" = 0 ] || tried=$((tried + 1))
	done
	if [ -z "$PROBLEMS" ]; then
		ok "$1: $3 fails in $2 ($tried of $total points)"
	else
		not_ok "$1: $3 fails in $2 ($tried of $total points)" "$PROBLEMS"
	fi
}

