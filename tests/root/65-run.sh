#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `custodyctl run`: exit status and signals pass through, a client that leaves takes its model with
# it, whatever happens meanwhile; two starts of one name, a stop during a start, twenty jails.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
house_open
PORT=$(free_port)
profile web "$PORT"
echo "hello" >"$ROOT/model/hello.txt"
cat >"$ROOT/etc/custody/profiles/job.ini" <<EOP
[profile]
extends = base
[model]
path = $ROOT/model
[process]
command = /usr/bin/python3 -c pass
[network]
listen = none
[retire]
drain-timeout = 2s
EOP
cat >"$ROOT/model/wait.py" <<'PY'
import signal, sys, time
def ends(number, frame):
    print("asked to end", flush=True)
    sys.exit(7)
signal.signal(signal.SIGTERM, ends)
print("waiting", flush=True)
time.sleep(600)
PY
in_jail() { ctl run --profile job --name "$1" -- "${@:2}"; }
exits() { local want=$1 got=0; shift; "$@" || got=$?; [ "$got" = "$want" ] || { echo "exit $got, want $want"; return 1; }; }
stopped() { ctl status "$1" 2>/dev/null | grep -q stopped; }
no_cgroup() { ! find "$CGROUP" -maxdepth 1 -name "$1-*" | grep -q .; }

daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
check "exit status 0" exits 0 in_jail ok /usr/bin/python3 -c 'pass'
check "exit status 42" exits 42 in_jail status /usr/bin/python3 -c 'import sys; sys.exit(42)'
check "a command killed by a signal: 128 + signal" exits 139 in_jail signal /usr/bin/python3 -c \
	'import os, signal; os.kill(os.getpid(), signal.SIGSEGV)'
[ "$(echo in | in_jail echo /usr/bin/python3 -c 'print(input() + " out")')" = "in out" ] &&
	ok "standard input and output are the caller's" || not_ok "standard input and output are the caller's"
refused "a command that is not there" 3 "/usr/bin/no-such" in_jail none /usr/bin/no-such

# SIGTERM to the client: the model is asked to end, and its status comes back.
"$BIN/custodyctl" --root "$ROOT" run --profile job --name term -- \
	/usr/bin/python3 "$ROOT/model/wait.py" >"$ROOT/term.out" 2>&1 &
CLIENT=$!
wait_for 10 grep -q waiting "$ROOT/term.out"
kill -TERM "$CLIENT"
wait "$CLIENT"
GOT=$?
[ "$GOT" = 7 ] && grep -q "asked to end" "$ROOT/term.out" && ok "SIGTERM is passed on, and the status comes back" ||
	not_ok "SIGTERM is passed on, and the status comes back" "exit $GOT: $(cat "$ROOT/term.out")"

# The client killed while the model runs.
"$BIN/custodyctl" --root "$ROOT" run --profile job --name orphan -- \
	/usr/bin/python3 "$ROOT/model/wait.py" >"$ROOT/orphan.out" 2>&1 &
CLIENT=$!
wait_for 10 grep -q waiting "$ROOT/orphan.out"
{ kill -KILL "$CLIENT"; wait "$CLIENT"; } 2>/dev/null
check "the client killed while it runs: the model is stopped" wait_for 10 no_cgroup orphan

# The client killed while it starts: custodyd is halted, so that the start cannot be over already.
kill -STOP "$DAEMON"
"$BIN/custodyctl" --root "$ROOT" run --profile job --name early -- \
	/usr/bin/python3 "$ROOT/model/wait.py" >"$ROOT/early.out" 2>&1 &
CLIENT=$!
sleep 0.5
{ kill -KILL "$CLIENT"; wait "$CLIENT"; } 2>/dev/null
kill -CONT "$DAEMON"
check "the client killed before the start: nothing runs" wait_for 10 no_cgroup early

# The same model retired, or the front killed, under a client that waits.
for how in retire front recorder; do
	"$BIN/custodyctl" --root "$ROOT" run --profile job --name "under-$how" -- \
		/usr/bin/python3 "$ROOT/model/wait.py" >"$ROOT/under.out" 2>&1 &
	CLIENT=$!
	wait_for 10 grep -q waiting "$ROOT/under.out"
	case $how in
	retire) ctl retire "under-$how" >/dev/null 2>&1 ;;
	*) kill -KILL "$(pgrep -P "$DAEMON" -x "custody-${how:0:7}")"; wait_for 10 ctl ps ;;
	esac
	[ $how != recorder ] || wait_for 10 ctl stop "under-$how"
	# A zombie has ended: this shell reaps it only between commands.
	ended() { ! grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$CLIENT/status"; }
	check "$how under a waiting run: the client does not wait for ever" wait_for 10 ended
	{ kill -KILL "$CLIENT"; wait "$CLIENT"; } 2>/dev/null
	check "$how under a waiting run: its model is gone" wait_for 10 no_cgroup "under-$how"
done

# ---- start and stop against each other ----
kill -STOP "$DAEMON"
for i in 1 2; do
	"$BIN/custodyctl" --root "$ROOT" start web >"$ROOT/start.$i" 2>&1 &
	eval "START_$i=$!"
done
sleep 0.5
kill -CONT "$DAEMON"
wait "$START_1"; A=$?
wait "$START_2"; B=$?
[ $((A + B)) = 3 ] && grep -q "in use" "$ROOT"/start.[12] && ok "two starts of one name: one runs, one is refused" ||
	not_ok "two starts of one name: one runs, one is refused" "exits $A $B: $(cat "$ROOT"/start.[12])"
check "and it serves" wait_for 10 fetch "$PORT" hello.txt
check "stop" ctl stop web
kill -STOP "$DAEMON"
"$BIN/custodyctl" --root "$ROOT" start web >"$ROOT/start.1" 2>&1 &
START=$!
sleep 0.3
"$BIN/custodyctl" --root "$ROOT" stop web >"$ROOT/stop.1" 2>&1 &
STOP=$!
sleep 0.3
kill -CONT "$DAEMON"
wait "$STOP"; B=$?
wait "$START"; A=$?
[ $A = 0 ] && [ $B = 3 ] && grep -q "being started" "$ROOT/stop.1" && ok "stop during a start is refused, with the reason" ||
	not_ok "stop during a start is refused, with the reason" "exits $A $B: $(cat "$ROOT/stop.1")"
ctl stop web >/dev/null 2>&1

cat >"$ROOT/etc/custody/profiles/brief.ini" <<EOP
[profile]
extends = job
[process]
command = /usr/bin/python3 -c raise(SystemExit(3))
EOP
GOT=0
OUT=$(ctl start brief 2>&1) || GOT=$?
case $GOT in
0 | 1) wait_for 10 stopped brief && ok "a model that ends at once is stopped, not running" ||
	not_ok "a model that ends at once is stopped, not running" "$OUT $(ctl ps)" ;;
*) not_ok "a model that ends at once is stopped, not running" "exit $GOT: $OUT" ;;
esac

# ---- many at once: twenty, where the machine is not emulated ----
MANY=20
[ "${CUSTODY_LAB:-}" != 1 ] || MANY=5
for i in $(seq $MANY); do
	eval "P_$i=$(free_port)"
	p=P_$i
	profile "many-$i" "${!p}"
done
FDS=$(find "/proc/$DAEMON/fd" | wc -l)
PIDS=()
for i in $(seq $MANY); do
	"$BIN/custodyctl" --root "$ROOT" start "many-$i" >"$ROOT/many.$i" 2>&1 &
	PIDS+=($!)
done
BAD=0
for pid in "${PIDS[@]}"; do wait "$pid" || BAD=$((BAD + 1)); done
[ $BAD = 0 ] && ok "$MANY starts at once: all run" || not_ok "$MANY starts at once: all run" "$BAD failed: $(cat "$ROOT"/many.*)"
SERVE=0
for i in $(seq $MANY); do p=P_$i; wait_for 10 fetch "${!p}" hello.txt && SERVE=$((SERVE + 1)); done
[ $SERVE = $MANY ] && ok "and serve" || not_ok "and serve" "$SERVE of $MANY"
PIDS=()
for i in $(seq $MANY); do
	"$BIN/custodyctl" --root "$ROOT" retire "many-$i" >"$ROOT/many.$i" 2>&1 &
	PIDS+=($!)
done
for pid in "${PIDS[@]}"; do wait "$pid"; done
[ "$(cat "$ROOT"/many.* | grep -c 'is retired')" = $MANY ] && ok "$MANY retirements at once" ||
	not_ok "$MANY retirements at once" "$(cat "$ROOT"/many.*)"
same_fds() { [ "$(find "/proc/$DAEMON/fd" | wc -l)" -le "$FDS" ]; }
check "custodyd holds no more fds than before" wait_for 5 same_fds
no_zombies() { ! ps -o stat= --ppid "$DAEMON" | grep -q Z; }
check "and has no zombies" wait_for 5 no_zombies
daemon_stop
for f in "$ROOT"/run/custody/jails/*.state; do [ -e "$f" ] && rm -f "$f" "${f%.state}.plan"; done
no_leaks "nothing is left"
finish
