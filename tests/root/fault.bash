# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What 64-faults.sh and 64-kills.sh share: custody with fault_preload.c in custodyd and in every role,
# one fault at a time while something is asked of it, and what must hold afterwards. Sourced as root
# after house_open; HOUSE_NO_GUARD=1 must be set, because other executables are put in custody's place.
#
# Each time: an error is a whole sentence, what runs is confined, nothing is left (processes,
# descriptors, mounts, cgroups, map entries), what the ledger lacks it says that it lacks, and the next
# launch works.
PRELOAD=$TOP/build/root/fault_preload.so
[ -e "$PRELOAD" ] || skip_all "needs build/root/fault_preload.so"
BPFTOOL=$(PATH=$PATH:/usr/sbin command -v bpftool) || skip_all "needs bpftool"
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
SECOND=$(free_port)
profile web "$PORT"
sed -i -e "s|^command = .*|command = $ROOT/program/server $PORT $SECOND|" \
	-e "s|^listen = .*|& tcp:127.0.0.1:$SECOND|" \
	-e "s|^drain-timeout.*|drain-timeout = 0s|" "$ROOT/etc/custody/profiles/web.ini"
printf '[files]\nread += %s\n' "$ROOT/program" >>"$ROOT/etc/custody/profiles/web.ini"
# Measured, so that the measurer has a part in every launch.
sed -i "s|^path = .*|&\nmeasure = yes|" "$ROOT/etc/custody/profiles/web.ini"
mkdir "$ROOT/model/sub"
for at in one two sub/three; do head -c 5000 /dev/zero >"$ROOT/model/$at"; done

# The kinds of fault_preload.c, and what each fails with.
declare -A KIND=([alloc]=1 [write]=2 [fsync]=3 [clone]=4 [mount]=5 [map]=6 [send]=7 [file]=8 [fd]=9
	[recv]=10 [taken]=11 [ioctl]=12 [read]=13)
declare -A ERROR=([alloc]=12 [write]=28 [fsync]=5 [clone]=11 [mount]=12 [map]=12 [send]=105
	[file]=23 [fd]=24 [recv]=104 [taken]=104 [ioctl]=5 [read]=5)

le32() { printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }
# arm ROLE KIND N: its Nth call of that kind from now on fails; die:KIND: kills it.
arm() {
	local error=${ERROR[${2#die:}]}
	[[ $2 != die:* ]] || error=9999
	# shellcheck disable=SC2059 # made by le32
	printf "$(le32 "${KIND[${2#die:}]}")$(le32 "$3")$(le32 "$error")$(le32 0)$(le32 0)$(le32 0)" 1<>"$ROOT/fault/$1"
}
touched() { [ "$(od -An -v -td4 -j 4 -N 4 "$ROOT/fault/$1" | tr -d ' ')" != "$2" ]; }
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
	echo "${#fds[@]} fds, $(pgrep -c -P "$DAEMON") children, $(grep -cF " $ROOT/" /proc/self/mountinfo) mounts, $(entries) map entries, $(find "$CGROUP" -mindepth 1 -type d | wc -l) cgroups"
}
# What the policy maps hold that belongs to some jail.
MAPS=$ROOT/sys/fs/bpf/custody/map-
entries() {
	local map
	for map in jails endpoints devices ioctls zones counters ceilings accounts; do
		"$BPFTOOL" -j map dump pinned "$MAPS$map"
	done 2>/dev/null | grep -o '"key":' | wc -l
}
# policed CGROUP: the kernel has a policy for it.
policed() {
	local id key
	id=$(stat -c %i "$1")
	# shellcheck disable=SC2046 # eight numbers
	printf -v key '0x%02x ' $(for i in 0 8 16 24 32 40 48 56; do echo $((id >> i & 255)); done)
	# shellcheck disable=SC2086 # eight bytes
	"$BPFTOOL" map lookup pinned "${MAPS}jails" key $key >/dev/null 2>&1
}
as_before() { local now; now=$(holdings); [ "$now" = "$BASE" ] || [ "$now" = "$BASE_RETIRED" ]; }
take_base() {
	ctl start web && wait_for 60 fetch "$PORT" && [ "$(entries)" -gt 0 ] && ctl stop web && nap 1.2 && BASE=$(holdings) || return 1
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
cgroup_of() { echo "${CGROUP%/custody-*}$(sed -n 's/^0:://p' "/proc/$1/cgroup")"; }
# From outside: whatever is in the model's cgroup and is not custody's own program any more.
nothing_unconfined() {
	local pid STATUS
	for pid in $(cat "$CGROUP"/web-*/model/cgroup.procs 2>/dev/null); do
		[ "$(readlink "/proc/$pid/exe")" = "$ROOT/program/server" ] || continue
		policed "$(cgroup_of "$pid")" || ! kill -0 "$pid" 2>/dev/null || { echo "pid $pid has no policy"; return 1; }
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
	register) OUT=$(asked model register "$(registered)" "$ROOT/model" --profile web) || GOT=$? ;;
	start)
		OUT=$(asked start web) || GOT=$?
		[ $GOT != 0 ] || wait_for 3 fetch "$PORT" || : # its bind() is part of it
		;;
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
	if [ "$4" = register ]; then
		REGISTERED=$((REGISTERED + 1))
		VERSIONS=$(versions)
	elif [ "$4" != start ]; then
		asked start web >"$ROOT/out" || complain "it did not start: $(cat "$ROOT/out")"
		wait_for 60 fetch "$PORT" || complain "it does not serve"
		note_jail
		[ "$4" != thaw ] || asked freeze web >"$ROOT/out" || complain "it does not freeze: $(cat "$ROOT/out")"
	fi
	arm "$1" "$2" "$3"
	operate "$4"
	# It is told, and asked of somebody else: until it has taken something.
	[ "$1" != custody-recorder ] || wait_for 3 touched "$1" "$3"
	disarm "$1"
	[ -z "${VERBOSE:-}" ] || echo "# $POINT fired=$FIRED at $FROM: $GOT ${OUT##*$'\n'}" >&2
	[ $GOT != 124 ] || complain "nobody answered"
	[ $GOT = 0 ] || sentence "${OUT##*$'\n'}" || [[ $4,$GOT,$OUT == retire,[14],*"is retired. Verdict"* ]] ||
		complain "exit $GOT, said: $OUT"
	nothing_unconfined >"$ROOT/out" || complain "$(cat "$ROOT/out")"
	again || { complain "custodyd does not start again"; return 1; }
	after_"$4" "$1" "$2"
	note_jail
	[ -z "${JUDGE:-}" ] || [ "$FIRED" = 0 ] || [ "$4" = register ] || judged "$1" "$4"
	[ "$(state_of web)" != stopping ] || wait_for 15 idle
	case $(state_of web) in
	absent | stopped) ;;
	*) asked stop web >"$ROOT/out" || { nap 1; asked stop web >"$ROOT/out"; } || complain "it cannot be stopped: $(cat "$ROOT/out")" ;;
	esac
	if [ -n "$REBASE" ]; then
		[[ $(holdings) == *" 0 cgroups" ]] || complain "left: $(holdings)"
		take_base || complain "no model starts and stops: $(cat "$ROOT/out")"
	fi
	wait_for 60 as_before || complain "left: $(holdings), not $BASE"
}
unknown() { [[ $OUT == *"carried out is not known"* || $OUT == *"cannot be reached"* ]]; }
after_start() {
	if [ "$GOT" = 0 ] && [[ $1 =~ ^custody-(broker|jail)$ ]]; then
		# Its bind() may be what failed, or what was to become it was killed after the go.
		wait_for 60 confined_or_ended || complain "started, and $(state_of web) without serving"
	elif [ "$GOT" = 0 ]; then
		wait_for 60 confined || complain "started, but it does not serve, or not confined"
	elif ! unknown; then
		wait_for 20 idle || complain "refused, and $(state_of web): $OUT"
	fi
}
idle() { case $(state_of web) in absent | stopped) ;; *) false ;; esac; }
after_serve() { wait_for 60 confined || complain "it serves no more, or not confined"; }
after_freeze() { [ "$GOT" != 0 ] || is frozen || complain "said that it is frozen, and is $(state_of web)"; }
after_thaw() {
	[ "$GOT" != 0 ] || { is running && wait_for 60 confined; } ||
		complain "said that it goes on, and is $(state_of web), or not confined"
}
newest() { find "$ROOT/var/lib/custody/evidence" -maxdepth 1 -name "web-$1*" | sort | tail -n 1; }
statement() { grep -o '"payload":"[^"]*"' "$(newest "$1")/statement.dsse.json" | cut -d'"' -f4 | base64 -d; }
absent_or_retires() { is absent || retires; }
retires() {
	asked retire web >"$ROOT/retired" || [[ $(tail -n 1 "$ROOT/retired") == *"is retired. Verdict"* ]]
}
# judged ROLE OPERATION: the model is retired now. While the recorder was gone something may have been
# lost, without its broker a model was without endpoints, and a sweep that was cut short has not
# looked: then the verdict is not "clean"; and whenever it is not, the record says why.
judged() {
	local id=${JAILS##* } said facts
	case $(state_of web) in
	absent) [ "$2" = retire ] || return 0 ;; # it never ran
	*) wait_for 20 retires || complain "it cannot be retired: $(tail -n 1 "$ROOT/retired")" ;;
	esac
	said=$(ctl events web --json | grep "\"jail\":$id,")
	facts=$(statement "$id")
	"$BIN/custody-verify" "$(newest "$id")" --key "$ROOT/var/lib/custody/ledger/ledger.pub" >"$ROOT/out" 2>&1
	case $? in 0 | 4) ;; *) complain "its evidence: $(cat "$ROOT/out")" ;; esac
	if [[ $facts != *'"verdict":"clean"'* ]]; then
		[[ $said == *'"type":"gap"'* || $facts == *'"looked":false'* ]] ||
			complain "not clean, and no record says why: $facts"
		return
	fi
	! grep -o '{[^{}]*"looked":false[^{}]*}' <<<"$facts" | grep -q after-erase ||
		complain "clean, and something was not looked at"
	case $1,$2 in
	custody-recorder,serve | custody-recorder,restrict | custody-recorder,freeze | \
		custody-recorder,thaw | custody-recorder,retire | custody-broker,serve | custody-broker,restrict | custody-broker,freeze | custody-broker,thaw)
		complain "clean, though ${1#custody-} was killed" ;;
	esac
}
after_stop() { [ "$GOT" != 0 ] || is stopped || complain "said that it stopped, and is $(state_of web)"; }
after_restrict() {
	local shown
	shown=$(ctl status web 2>&1)
	is running || complain "restricted, and $(state_of web)"
	[ "$GOT" != 0 ] || [[ $shown == *"egress cut"*"scratch read-only"* ]] ||
		complain "said that it is restricted, and is not: $shown"
}
# registered: the model whose next version is made; none gets more versions than a registry takes.
REGISTERED=0
registered() { echo "made$((REGISTERED / 60))"; }
versions() { asked model list "$(registered)" --json | grep -c '"version":'; }
after_register() {
	local now
	asked model list >"$ROOT/out" || complain "the registry is not whole: $(cat "$ROOT/out")"
	now=$(versions)
	if [ "$GOT" = 0 ]; then
		[ "$now" = $((VERSIONS + 1)) ] || complain "said that it is registered: $VERSIONS versions, then $now"
	elif ! unknown && [[ $OUT != *"power cut"* ]]; then
		[ "$now" = "$VERSIONS" ] || complain "refused, and $VERSIONS versions, then $now: $OUT"
	else
		[[ $now =~ ^($VERSIONS|$((VERSIONS + 1)))$ ]] || complain "$VERSIONS versions, then $now"
	fi
	asked ledger verify >"$ROOT/out" || complain "$(cat "$ROOT/out")"
}
after_retire() {
	if [[ $OUT == *"is retired"* || $OUT == *"is begun again"* ]] || unknown; then
		wait_for 20 is absent || complain "retired, and $(state_of web): $OUT"
		return
	fi
	[ "$GOT" != 0 ] || complain "done, said: $OUT"
	wait_for 20 absent_or_retires || complain "it cannot be retired afterwards: $(tail -n 1 "$ROOT/retired")"
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

# fault_run TABLE: a row is OPERATION ROLE KIND=LIMIT...
fault_run() {
	local operation role kinds kind
	daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
	take_base && ok "a model starts, serves, stops and retires: $BASE_RETIRED" ||
		{ not_ok "a model starts, serves, stops and retires" "$(cat "$ROOT/out")"; finish; exit 1; }
	while read -r -u 9 operation role kinds; do
		for kind in $kinds; do
			[ "${kind##*=}" = 0 ] || ! here || loop "$operation" "$role" "${kind%=*}" "${kind##*=}"
		done
	done 9<<<"$1"
	check "the ledger verifies after all that" ctl ledger verify
	check "a model starts as always" ctl start web
	check "serves, confined" wait_for 60 confined
	check "and retires" ctl retire web
	daemon_stop
	no_leaks "nothing is left at the end"
	finish
}
