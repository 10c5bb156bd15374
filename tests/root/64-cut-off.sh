#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# custodyd killed with -9 at every step of launch, stop and retirement (strace kills it as it enters
# the Nth system call of a kind, so each point is met every time). The next custodyd must find a
# state that is one of those that there are, go on from it, and leave nothing behind.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# This test traces custodyd, which the guard refuses (80-guard-custody.sh).
# shellcheck disable=SC2034 # read by daemon_start
HOUSE_NO_GUARD=1
house_open
command -v strace >/dev/null || skip_all "needs strace"
PORT=$(free_port)
profile web "$PORT"
echo "hello" >"$ROOT/model/hello.txt"
# "sendmsg": messages to roles; "rename": a state file is in place; "mkdir", "rmdir": cgroups;
# "unlink": state files go; "bpf": map entries (a launch makes more than two hundred such calls, the
# timer that looks for losses a few each second: so somewhere in the middle, and only for launch).
LAUNCH="sendmsg:1 mkdir:1 mkdir:2 mkdir:3 rename:1 bpf:40 bpf:80 sendmsg:2 sendmsg:3 sendmsg:4
	rename:2 rename:3 sendmsg:5 sendmsg:6 rename:4 sendmsg:7"
STOP="rename:1 pidfd_send_signal:1 sendmsg:1 write:1 unlinkat:1 unlinkat:2 rmdir:1 sendmsg:4
	rename:2"
RETIRE="rename:1 write:1 write:2 sendmsg:3 sendmsg:14 sendmsg:22 clone3:1 clone3:2 unlinkat:1
	rmdir:1 unlink:1 unlink:2"

# Where the kill comes is custodyd's own doing and not the kernel's, and each one costs a start, which
# an emulated machine takes seconds for: there every fourth, on each kernel others.
if [ "${CUSTODY_LAB:-}" = 1 ]; then
	minor=$(uname -r | cut -d. -f2)
	some() { printf '%s\n' "$@" | awk -v m="$minor" '(NR + m) % 4 == 0'; }
	# shellcheck disable=SC2086 # words
	{ LAUNCH=$(some $LAUNCH) STOP=$(some $STOP) RETIRE=$(some $RETIRE); }
fi

traced() { grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/$DAEMON/status"; }
gone() { ! kill -0 "$DAEMON" 2>/dev/null || grep -qs '^State:[[:space:]]*Z' "/proc/$DAEMON/status"; }
is() { [ "$(state_of web)" = "$1" ]; }
cgroups() { find "$CGROUP" -mindepth 1 -maxdepth 1 -type d | wc -l; }
no_cgroups() { [ "$(cgroups)" = 0 ]; }
# A verdict may be incomplete here for what the host does not show; it may not be missing.
retired() {
	ctl retire web >"$ROOT/retired" 2>&1
	case $? in 0 | 4) grep -q 'is retired' "$ROOT/retired" ;; *) cat "$ROOT/retired"; return 1 ;; esac
}

# cut SYSCALL:N COMMAND...: 0 when custodyd died of it, 1 when the command never came that far.
cut() {
	local at=$1 tracer
	shift
	strace -qq -o /dev/null -e trace="${at%:*}" \
		-e inject="${at%:*}:signal=KILL:when=${at#*:}" -p "$DAEMON" &
	tracer=$!
	wait_for 10 traced || { kill "$tracer"; return 2; }
	timeout 60 "$BIN/custodyctl" --root "$ROOT" "$@" >"$ROOT/cut.out" 2>&1
	wait_for 1 gone || { kill "$tracer"; wait "$tracer" 2>/dev/null; return 1; }
	{ wait "$tracer" "$DAEMON"; } 2>/dev/null
	DAEMON=
}

daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
for at in $LAUNCH; do
	cut "$at" start web || { not_ok "launch, $at: custodyd dies there" "$(cat "$ROOT/cut.out")"; continue; }
	daemon_start || { not_ok "launch, $at: custodyd starts again" "$(cat "$ROOT/custodyd.log")"; break; }
	runs_or_not() { case $(state_of web) in absent | stopped) no_cgroups ;; running) fetch "$PORT" hello.txt ;; *) false ;; esac; }
	check "launch cut off at $at: it runs or it does not" wait_for 10 runs_or_not
	is running || check "launch cut off at $at: it starts now" ctl start web
	check "launch cut off at $at: and serves" wait_for 10 fetch "$PORT" hello.txt
	check "launch cut off at $at: and stops" ctl stop web
done
for at in $STOP; do
	ctl start web >"$ROOT/out" 2>&1 || { not_ok "stop, $at: it starts" "$(cat "$ROOT/out")"; continue; }
	wait_for 10 fetch "$PORT" hello.txt
	cut "$at" stop web || { not_ok "stop, $at: custodyd dies there" "$(cat "$ROOT/cut.out")"; continue; }
	daemon_start || { not_ok "stop, $at: custodyd starts again" "$(cat "$ROOT/custodyd.log")"; break; }
	# Cut off before it was saved that it is to stop: it runs as if nobody had asked.
	[[ $at =~ ^(rename|write):1$ ]] && check "stop cut off at $at: it runs, and can be asked again" ctl stop web
	check "stop cut off at $at: it is stopped" wait_for 15 is stopped
	check "stop cut off at $at: no cgroup is left" wait_for 5 no_cgroups
done
for at in $RETIRE; do
	ctl start web >"$ROOT/out" 2>&1 || { not_ok "retire, $at: it starts" "$(cat "$ROOT/out")"; continue; }
	wait_for 10 fetch "$PORT" hello.txt
	cut "$at" retire web || { not_ok "retire, $at: custodyd dies there" "$(cat "$ROOT/cut.out")"; continue; }
	daemon_start || { not_ok "retire, $at: custodyd starts again" "$(cat "$ROOT/custodyd.log")"; break; }
	[[ $at =~ ^(rename|write):1$ ]] && check "retirement cut off at $at: it can be asked again" retired
	check "retirement cut off at $at: it goes on to its end" wait_for 20 is absent
	rm -rf "$ROOT/bundle"
	check "retirement cut off at $at: there is evidence" ctl evidence export web "$ROOT/bundle"
	no_leaks "retirement cut off at $at: nothing is left of it"
done
check "the ledger verifies after all that" ctl ledger verify
daemon_stop
no_leaks "nothing is left at the end"
finish
