#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every role killed with -9 while models run, launch and retire: what README's table says happens,
# the ledger says so, nobody waits for ever, and nothing is left.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# This test puts other executables in the place of custody's, which the guard refuses (80-guard-custody.sh).
# shellcheck disable=SC2034 # read by daemon_start
HOUSE_NO_GUARD=1
house_open
command -v strace >/dev/null || skip_all "needs strace"
# Executables of our own, because some are replaced: custodyd starts what stands beside it.
mkdir "$ROOT/bin"
cp "$BIN"/* "$ROOT/bin/"
BIN=$ROOT/bin
echo "hello" >"$ROOT/model/hello.txt"

# Processes that are custodyd's children and run ROLE; of a jail when a name is given.
role_pids() {
	local pid
	for pid in $(pgrep -P "$DAEMON"); do
		[ "$(readlink "/proc/$pid/exe")" = "$BIN/custody-$1" ] || continue
		[ -z "${2:-}" ] || grep -q "/$2-[0-9]*/" "/proc/$pid/cgroup" || continue
		echo "$pid"
	done
}
state_is() { [ "$(state_of "$1")" = "$2" ]; }
# said NAME WORDS...: a record about NAME has all the words.
said() {
	local lines word
	lines=$(ctl events "$1" --json)
	for word in "${@:2}"; do
		lines=$(grep -F -- "$word" <<<"$lines") || return 1
	done
}
# A verdict, and "clean" only when nothing of it is missing: WORDS must be among its reasons.
retires_incomplete() {
	local out got=0
	out=$(ctl retire "$1" 2>&1) || got=$?
	[ $got = 4 ] && printf '%s' "$out" | grep -qE -- "$2" || { echo "exit $got: $out"; return 1; }
}
another() { local now; now=$(role_pids "$1"); [ -n "$now" ] && [ "$now" != "$2" ]; }
no_role() { [ -z "$(role_pids "$1")" ]; }

declare -A PORTS
for name in record freeze kill; do
	PORTS[$name]=$(free_port)
	profile "$name" "${PORTS[$name]}" $'[evidence]\non-loss = '"$name"
done
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
for name in record freeze kill; do
	check "start $name" ctl start "$name"
	check "$name serves" wait_for 10 fetch "${PORTS[$name]}" hello.txt
done

# ---- front ----
OLD=$(role_pids front)
kill -KILL "$OLD"
check "the front is started again" wait_for 10 another front "$OLD"
check "and serves requests" wait_for 10 ctl ps
check "the models did not notice" fetch "${PORTS[record]}" hello.txt

# ---- recorder ----
OLD=$(role_pids recorder)
kill -STOP "$OLD"
kill -KILL "$OLD"
check "the recorder is started again" wait_for 10 another recorder "$OLD"
check "on-loss = record: it serves on" fetch "${PORTS[record]}" hello.txt
check "on-loss = kill: it has been killed, and stopped in order" wait_for 10 state_is kill stopped
refused "its endpoint is gone" 1 refused fetch "${PORTS[kill]}"
check "on-loss = freeze: thawed, because the recorder is back" wait_for 10 state_is freeze running
check "and serves" wait_for 5 fetch "${PORTS[freeze]}" hello.txt
check "the gap is in the ledger" said record gap recorder
check "the freeze and the thaw are, with the reason" said freeze frozen "events were lost"
check "likewise the thaw" said freeze running "recorder is back"
check "likewise the kill" said kill stopped "events were lost"
check "a retirement after a gap is not clean" retires_incomplete record "gap"

# ---- a recorder that hangs: it is ended as soon as it takes no more, and a launch is refused ----
OLD=$(role_pids recorder)
kill -STOP "$OLD"
profile late "$(free_port)"
refused "a recorder that hangs: a launch is refused, with the reason" "[35]" "record" timeout 60 \
	"$BIN/custodyctl" --root "$ROOT" start late
kill -KILL "$OLD"
check "and again there is one" wait_for 10 another recorder "$OLD"
check "freeze runs on" wait_for 10 state_is freeze running
check "and starts are possible" ctl start late
check "stop" ctl stop late

# ---- broker ----
PORT=$(free_port)
profile broken "$PORT"
check "start" ctl start broken
check "it serves" wait_for 10 fetch "$PORT" hello.txt
kill -KILL "$(role_pids broker broken)"
check "the broker killed: the gap is in the ledger" wait_for 10 said broken gap broker
check "its model serves on, with the socket that it was given" fetch "$PORT" hello.txt
check "and a retirement of it is not clean" retires_incomplete broken "gap"
no_leaks_of() { ! find "$CGROUP" -maxdepth 1 -name "$1-*" | grep -q .; }
check "nothing is left of it" no_leaks_of broken

# ---- roles that die or hang in the middle: each in the place of the real one ----
only_two() { [ "$(pgrep -P "$DAEMON" | wc -l)" = "$1" ]; }
CHILDREN=$(pgrep -P "$DAEMON" | wc -l)
in_place() {
	mv "$BIN/custody-$1" "$BIN/real-$1"
	printf '#!/bin/sh\n%s\n' "$2" >"$BIN/custody-$1"
	chmod 755 "$BIN/custody-$1"
}
restore() { mv -f "$BIN/real-$1" "$BIN/custody-$1"; }
strace_until() { echo "exec strace -qq -o /dev/null -e trace=$1 -e inject=$1:signal=KILL:when=$2 \"$BIN/real-$3\""; }
broken_start() {
	refused "$1: the launch is refused, with the reason" 5 "$2" timeout 60 "$BIN/custodyctl" --root "$ROOT" start late
	check "$1: no cgroup is left" wait_for 5 no_leaks_of late
	check "$1: no process is left" wait_for 5 only_two "$CHILDREN"
}
in_place planner 'kill -KILL $$'
broken_start "planner killed" "custody-planner ended"
restore planner
in_place planner 'exec sleep 600'
broken_start "planner hangs" "reading the profile.*did not end"
restore planner
in_place broker 'kill -KILL $$'
broken_start "broker killed" "custody-broker ended"
restore broker
in_place broker 'exec sleep 600'
broken_start "broker hangs" "opening the endpoints.*did not end"
restore broker
in_place jail 'kill -KILL $$'
broken_start "builder killed" "custody-jail ended"
restore jail
in_place jail 'exec sleep 600'
broken_start "builder hangs" "building the jail.*did not end"
restore jail
in_place jail "$(strace_until unshare 1 jail)"
broken_start "builder killed before its namespaces" "custody-jail ended"
restore jail
in_place jail 'echo garbage >&3; exec sleep 600'
broken_start "builder sends garbage" "may not send"
restore jail
in_place planner 'echo garbage >&3; exec sleep 600'
broken_start "planner sends garbage" "may not send"
restore planner

check "start" ctl start late
in_place sweeper 'kill -KILL $$'
check "sweeper killed: the retirement is incomplete, and says so" retires_incomplete late "not looked at"
restore sweeper
check "sweeper killed: nothing is left" wait_for 5 no_leaks_of late
check "start" ctl start late
in_place sweeper "$(strace_until sendmsg 4 sweeper)"
check "sweeper killed in the middle: likewise" retires_incomplete late "not looked at"
restore sweeper

# ---- a front that does not stay up, signals, a clean end ----
OLD=$(role_pids front)
in_place front 'kill -KILL $$'
kill -KILL "$OLD"
sleep 2.5
[ "$(grep -c 'The front ended' "$ROOT/custodyd.log")" -lt 12 ] && ok "a front that dies at once is not started in a loop" ||
	not_ok "a front that dies at once is not started in a loop" "$(grep -c 'The front ended' "$ROOT/custodyd.log") times"
restore front
check "and is started again when it can be" wait_for 10 ctl ps
for signal in HUP USR1 USR2; do kill -$signal "$DAEMON"; done
check "SIGHUP, SIGUSR1 and SIGUSR2 do not end custodyd" ctl ps
check "stop" ctl stop freeze

# SIGTERM during a launch: whoever waits is told, and nothing of it is left.
in_place planner "sleep 2; exec \"$BIN/real-planner\""
"$BIN/custodyctl" --root "$ROOT" start late >"$ROOT/late.out" 2>&1 &
CLIENT=$!
sleep 0.7
daemon_stop
wait "$CLIENT"
GOT=$?
[ $GOT = 3 ] && grep -q "custodyd was stopped" "$ROOT/late.out" && ok "SIGTERM during a launch: it is refused, with the reason" ||
	not_ok "SIGTERM during a launch: it is refused, with the reason" "exit $GOT: $(cat "$ROOT/late.out")"
restore planner
# Models that stopped are remembered until they are retired or started again.
rm -f "$ROOT"/run/custody/jails/*.state "$ROOT"/run/custody/jails/*.plan
no_leaks "nothing is left at the end"
finish
