#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A model whose process does not end when it is killed (a tracer holds it in its exit, as a dead file
# server would) makes nobody else wait: custodyd answers, other models are started and stopped. When
# it ends the stop or the retirement goes on; when it does not, they fail and say so.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# This test traces a model, which the guard refuses.
# shellcheck disable=SC2034 # read by daemon_start
HOUSE_NO_GUARD=1
house_open
echo "hello" >"$ROOT/model/hello.txt"
PORT=$(free_port)
profile web "$PORT"
profile other "$(free_port)"
# PTRACE_SEIZE with PTRACE_O_TRACEEXIT: the killed process stops in its exit until the tracer is gone.
cat >"$ROOT/hold.py" <<'PY'
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
long = ctypes.c_long
if libc.syscall(long(101), long(0x4206), long(int(sys.argv[1])), long(0), long(0x40)):
    sys.exit(os.strerror(ctypes.get_errno()))
print("held", flush=True)
signal.pause()
PY
INIT=
begin() { # begin: a model that serves, its process held
	check "start" ctl start web
	check "serve" wait_for 20 fetch "$PORT" hello.txt
	INIT=$(ctl status web --json | grep -o '"pid": *[0-9]*' | grep -o '[0-9]*$')
	rm -f "$ROOT/held"
	/usr/bin/python3 "$ROOT/hold.py" "$(pgrep -P "$INIT" | head -1)" >"$ROOT/held" 2>&1 &
	HOLDER=$!
	wait_for 10 grep -q held "$ROOT/held" || not_ok "the process is held" "$(cat "$ROOT/held")"
}
release() { kill "$HOLDER"; wait "$HOLDER" 2>/dev/null; }
# The populated cgroup is one that was killed and has not ended.
hangs() { [ "$(awk '/^State:/ { print $2 }' "/proc/$(pgrep -P "$INIT" | head -1)/status")" = t ]; }

daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
for verb in stop retire; do
	begin
	timeout 100 "$BIN/custodyctl" --root "$ROOT" $verb web >"$ROOT/out" 2>&1 &
	ASKED=$!
	check "$verb: the killed process hangs in its exit" wait_for 20 hangs
	check "$verb: custodyd answers meanwhile" timeout 2 "$BIN/custodyctl" --root "$ROOT" ps
	check "$verb: it starts another model" timeout 4 "$BIN/custodyctl" --root "$ROOT" start other
	kill -0 "$ASKED" 2>/dev/null && ok "$verb: it is waited for" || not_ok "$verb: it is waited for" "$(cat "$ROOT/out")"
	release
	wait "$ASKED" && ok "$verb: it has ended, and the $verb is done" || not_ok "$verb: it has ended, and the $verb is done" "$(cat "$ROOT/out")"
	check "stop the other" ctl stop other
done

begin
refused "one that does not end: the stop fails, and says so" 5 "could not all be killed" ctl stop web
release
check "when it ends, it is stopped after all" wait_for 20 eval 'ctl status web | grep -q "is stopped"'
daemon_stop
rm -f "$ROOT"/run/custody/jails/*
no_leaks "nothing is left"
finish
