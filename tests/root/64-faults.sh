#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Nth allocation, write, fsync, clone, mount, map update, message, name or descriptor fails, in
# custodyd and in each role, while a model is launched, serves, is restricted, stopped and retired
# (fault_preload.c). Each time: an error is a whole sentence, what runs is confined, nothing is
# left, what the ledger lacks it says that it lacks, and the next launch works.
# "die" instead of a failure: kill -9 at that call (64-cut-off.sh does it to custodyd's launch and stop).
#
# Where a kind is called more often than the table at the end says, N is sampled; the test's text says
# how many of how many. FULL=1 takes every N, or FULL_LIMIT (300) of them.
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
	if [[ $role =~ ^custody(d|ctl|-verify)$ ]]; then
		cp "$at" "$ROOT/bin/"
	else
		printf '#!/bin/sh\nLD_PRELOAD=%s FAULT_FILE=%s exec %s\n' "$ROOT/fault/preload.so" \
			"$ROOT/fault/$role" "$at" >"$ROOT/bin/$role"
		chmod 755 "$ROOT/bin/$role"
	fi
done
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
# arm ROLE KIND N: its Nth call of that kind from now on fails; die:KIND: kills it.
arm() {
	local error=${ERROR[${2#die:}]}
	[[ $2 != die:* ]] || error=9999
	# shellcheck disable=SC2059 # made by le32
	printf "$(le32 "${KIND[${2#die:}]}")$(le32 "$3")$(le32 "$error")$(le32 0)$(le32 0)$(le32 0)" 1<>"$ROOT/fault/$1"
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
gone() { ! kill -0 "$DAEMON" 2>/dev/null || grep -qs '^State:[[:space:]]*Z' "/proc/$DAEMON/status"; }
# What custodyd holds while nothing runs; a model that stopped is remembered with its plan (one
# descriptor) until it is retired.
holdings() {
	local fds=("/proc/$DAEMON/fd/"*)
	echo "${#fds[@]} fds, $(pgrep -c -P "$DAEMON") children, $(grep -cF " $ROOT/" /proc/self/mountinfo) mounts, $(find "$CGROUP" -mindepth 1 -type d | wc -l) cgroups"
}
as_before() { local now; now=$(holdings); [ "$now" = "$BASE" ] || [ "$now" = "$BASE_RETIRED" ]; }
take_base() {
	ctl start web && wait_for 5 fetch "$PORT" && ctl stop web && nap 1.2 && BASE=$(holdings) || return 1
	ctl retire web
	nap 1.2
	BASE_RETIRED=$(holdings)
} >"$ROOT/out" 2>&1

field() { [[ $STATUS =~ (^|$'\n')$1:[[:space:]]*([^$'\n']*) ]] && echo "${BASH_REMATCH[2]}"; }
status_is_confined() {
	[ "$(field Seccomp)" = 2 ] && [ "$(field NoNewPrivs)" = 1 ] && [[ $(field CapPrm) =~ ^0+$ ]] &&
		[[ $(field CapBnd) =~ ^0+$ ]] && [[ $(field Uid) != 0* ]]
}
# What the server reads of itself in /proc.
confined() {
	local STATUS
	STATUS=$(fetch "$PORT") && status_is_confined
}
confined_or_ended() { confined || is stopped; }
# From outside: whatever is in the model's cgroup and is not custody's own program any more.
nothing_unconfined() {
	local pid STATUS
	for pid in $(cat "$CGROUP"/web-*/model/cgroup.procs 2>/dev/null); do
		[ "$(readlink "/proc/$pid/exe")" = "$ROOT/program/server" ] || continue
		STATUS=$(cat "/proc/$pid/status" 2>/dev/null) || continue
		status_is_confined || { echo "pid $pid runs unconfined: $STATUS"; return 1; }
	done
}
# complain TEXT: about the point that is tried now; loop() makes one test of all its points.
complain() { PROBLEMS+="$POINT (at $FROM): $1"$'\n'; }
sentence() { [[ $1 =~ ^custodyctl:\ [A-Za-z/].*\.$ ]] && [[ $1 != *"failed and gave no reason"* ]]; }
asked() { timeout 60 "$BIN/custodyctl" --root "$ROOT" "$@" 2>&1; }

# operate OPERATION: OUT and GOT.
operate() {
	GOT=0 OUT=
	case $1 in
	restrict) OUT=$(asked restrict web --cut-egress --read-only-scratch) || GOT=$? ;;
	serve) fetch "$PORT" >"$ROOT/out"; nap 1.1; fetch "$PORT" >"$ROOT/out" ;; # its timer has looked
	*) OUT=$(asked "$1" web) || GOT=$? ;;
	esac
}
# custodyd ends when it was killed here, and when its recorder does not stay up; nothing else ends it.
again() {
	gone || return 0
	[[ $POINT == *" custodyd, die:"* ]] || grep -q "No recorder stays up" "$ROOT/custodyd.log" ||
		complain "custodyd ended: $(tail -n 3 "$ROOT/custodyd.log")"
	wait "$DAEMON" 2>/dev/null
	daemon_start && REBASE=1 # another custodyd: what it holds is taken anew
}

# try ROLE KIND N OPERATION: one point.
try() {
	POINT="$4, $1, $2 $3" FROM="" REBASE=""
	if [ "$4" != start ]; then
		asked start web >"$ROOT/out" || complain "it did not start: $(cat "$ROOT/out")"
		wait_for 5 fetch "$PORT" || complain "it does not serve"
	fi
	arm "$1" "$2" "$3"
	operate "$4"
	disarm "$1"
	[ -z "${VERBOSE:-}" ] || echo "# $POINT fired=$FIRED at $FROM: $GOT ${OUT##*$'\n'}" >&2
	[ $GOT != 124 ] || complain "nobody answered"
	[ $GOT = 0 ] || sentence "${OUT##*$'\n'}" || [[ $4,$GOT,$OUT == retire,[14],*"is retired. Verdict"* ]] ||
		complain "exit $GOT, said: $OUT"
	nothing_unconfined >"$ROOT/out" || complain "$(cat "$ROOT/out")"
	again || { complain "custodyd does not start again"; return 1; }
	after_"$4" "$1" "$2"
	note_jail
	[ "$(state_of web)" != stopping ] || wait_for 15 idle
	case $(state_of web) in
	absent | stopped) ;;
	*) asked stop web >"$ROOT/out" || { nap 1; asked stop web >"$ROOT/out"; } || complain "it cannot be stopped: $(cat "$ROOT/out")" ;;
	esac
	if [ -n "$REBASE" ]; then
		[[ $(holdings) == *" 0 cgroups" ]] || complain "left: $(holdings)"
		take_base || complain "no model starts and stops: $(cat "$ROOT/out")"
	fi
	wait_for 5 as_before || complain "left: $(holdings), not $BASE"
}
unknown() { [[ $OUT == *"carried out is not known"* || $OUT == *"cannot be reached"* ]]; }
after_start() {
	if [ "$GOT" = 0 ] && [ "$1" = custody-broker ]; then
		# Its bind() may be what failed: then the server ends by itself.
		wait_for 5 confined_or_ended || complain "started, and $(state_of web) without serving"
	elif [ "$GOT" = 0 ]; then
		wait_for 5 confined || complain "started, but it does not serve, or not confined"
	elif ! unknown; then
		wait_for 2 idle || complain "refused, and $(state_of web): $OUT"
	fi
}
idle() { case $(state_of web) in absent | stopped) ;; *) false ;; esac; }
after_serve() { wait_for 5 confined || complain "it serves no more, or not confined"; }
after_stop() { [ "$GOT" != 0 ] || is stopped || complain "said that it stopped, and is $(state_of web)"; }
after_restrict() {
	local shown
	shown=$(ctl status web 2>&1)
	is running || complain "restricted, and $(state_of web)"
	[ "$GOT" != 0 ] || [[ $shown == *"egress cut"*"scratch read-only"* ]] ||
		complain "said that it is restricted, and is not: $shown"
}
after_retire() {
	if [[ $OUT == *"is retired"* || $OUT == *"is begun again"* ]] || unknown; then
		wait_for 20 is absent || complain "retired, and $(state_of web): $OUT"
		return
	fi
	[ "$GOT" != 0 ] || complain "done, said: $OUT"
	OUT=$(asked retire web) || [[ $OUT == *"is retired. Verdict: incomplete"* ]] ||
		complain "it cannot be retired afterwards: $OUT"
}

# Every jail that custodyd spoke of as running is on record, with its end; or a gap is.
note_jail() { [[ $(ctl status web 2>&1) =~ jail\ +([0-9]+): ]] && JAILS+=" ${BASH_REMATCH[1]}"; }
accounted() {
	asked events web --json | awk -v jails="$JAILS" '
		match($0, /"jail":[0-9]+/) { id = substr($0, RSTART + 7, RLENGTH - 7) }
		/"type":"launch"/ { launch[id] = 1 }
		/"type":"gap"/ { gap[id] = 1 }
		/"state":"running"/ { running[id] = 1 }
		/"type":"(retire|verdict)"/ || /"state":"stopped"/ { end[id] = 1 }
		END {
			n = split(jails, ids, " ")
			for (i = 1; i <= n; i++)
				if (!(launch[ids[i]] && running[ids[i]]) && !gap[ids[i]]) { print "jail " ids[i] " ran and is not on record"; bad = 1 }
			for (id in launch)
				if (!end[id] && !gap[id]) { print "the end of jail " id " is neither on record nor a gap"; bad = 1 }
			exit bad
		}'
}

# loop OPERATION ROLE KIND LIMIT: every N, or LIMIT of them when there are more.
loop() {
	local i n total tried=0 limit=$4 what="$3 fails" began=$SECONDS
	[ -z "${FULL:-}" ] || limit=${FULL_LIMIT:-300}
	[[ $3 != die:* ]] || what="killed at ${3#die:}"
	PROBLEMS=
	try "$2" "${3#die:}" 1000000 "$1"
	total=$((1000000 - LEFT))
	# A recorder that ends more than five times in 20 s ends custodyd.
	[[ $2 != custody-recorder ]] || { daemon_stop; daemon_start && take_base || total=0; }
	for ((i = 1; i <= (total < limit ? total : limit); i++)); do
		n=$i
		[ "$total" -le "$limit" ] || n=$((1 + (2 * i - 1) * (total - 1) / (2 * limit)))
		try "$2" "$3" "$n" "$1" || break
		[ "$FIRED" = 0 ] || tried=$((tried + 1))
	done
	[ "$tried" -gt 0 ] || PROBLEMS+="no call failed"$'\n'
	FROM='' POINT=ledger
	accounted >"$ROOT/out" || complain "$(cat "$ROOT/out")"
	if [ -z "$PROBLEMS" ]; then
		ok "$1: $what in $2 ($tried of $total)"
	else
		not_ok "$1: $what in $2 ($tried of $total)" "$PROBLEMS"
	fi
	[ -z "${VERBOSE:-}" ] || echo "# $((SECONDS - began)) s" >&2
}

JAILS=
LOOPS=0
# In an emulated machine every fourth loop, on each kernel others: what is looked for is custody's own.
here() {
	LOOPS=$((LOOPS + 1))
	[ "${CUSTODY_LAB:-}" != 1 ] || [ $(((LOOPS + MINOR) % 4)) = 0 ]
}
MINOR=$(uname -r | cut -d. -f2)
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
take_base && ok "a model starts, serves, stops and retires: $BASE_RETIRED" ||
	{ not_ok "a model starts, serves, stops and retires" "$(cat "$ROOT/out")"; finish; exit 1; }
while read -r -u 9 operation role kinds; do
	for kind in $kinds; do
		! here || loop "$operation" "$role" "${kind%=*}" "${kind##*=}"
	done
done 9<<END
${TABLE:-start custodyd clone=3 write=2 fsync=1 send=4 file=3 fd=3 map=3 alloc=4
start custody-planner file=1 write=1 alloc=2 die:file=1
start custody-jail clone=4 mount=3 write=2 file=2 alloc=2 die:mount=1
start custody-broker file=1 fd=1 send=1 die:send=1
start custody-recorder fsync=1 die:fsync=1 die:send=1
start custody-front die:send=1
serve custodyd map=1
restrict custodyd write=2 fsync=1 file=2 map=2 die:write=1
restrict custody-recorder die:write=1
stop custodyd write=2 file=2 send=2 map=2
stop custody-recorder fsync=2 die:write=2 die:fsync=2 die:send=1
retire custodyd file=2 write=1 send=1
retire custody-recorder fsync=1
retire custody-sweeper die:send=1}
END
check "the ledger verifies after all that" ctl ledger verify
check "a model starts as always" ctl start web
check "serves, confined" wait_for 5 confined
check "and retires" ctl retire web
daemon_stop
no_leaks "nothing is left at the end"
finish
