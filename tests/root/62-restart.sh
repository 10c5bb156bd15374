#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# custodyd killed with -9 while a model serves: the model serves on, what was denied stays denied,
# and the next custodyd takes it over and can retire it.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# This test enters a jail's cgroup, which the guard refuses (80-guard-custody.sh).
# shellcheck disable=SC2034 # read by daemon_start
HOUSE_NO_GUARD=1
house_open
PORT=$(free_port)
OTHER=$(free_port)
NODE=$ROOT/gpu
mknod "$NODE" c 195 0
# A server that, when asked, tries to connect to a host listener and says what came of it.
cat >"$ROOT/model/server.py" <<'PY'
import http.server, json, socket, sys, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        what = self.path.strip("/")
        try:
            if what.startswith("connect-"):
                socket.create_connection(("127.0.0.1", int(what[8:])), 2)
                out = "connected"
            else:
                out = "serving"
        except OSError as e:
            out = "errno %d" % e.errno
        self.send_response(200); self.end_headers(); self.wfile.write(out.encode())
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
PY
profile web "$PORT"
sed -i "s|^command = .*|command = /usr/bin/python3 $ROOT/model/server.py $PORT|" "$ROOT/etc/custody/profiles/web.ini"
/usr/bin/python3 -c 'import socket, sys
s = socket.socket(); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(); print("up", flush=True)
while True: s.accept(); print("GOT A CONNECTION", flush=True)' "$OTHER" >"$ROOT/listener" &
LISTENER=$!
wait_for 5 grep -q up "$ROOT/listener"

# The device in a jail's cgroup: a shell of ours moved there tries to open it.
try_device() {
	/usr/bin/python3 - "$1" "$NODE" <<'PY'
import os, sys
if sys.argv[1]:
    open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
try:
    os.open(sys.argv[2], os.O_RDWR)
    print("opened")
except OSError as e:
    print("errno %d" % e.errno)
PY
}
same() { [ "$2" = "$3" ] && ok "$1" || not_ok "$1" "got: $2, want: $3"; }

daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
check "start" ctl start web
check "it serves" wait_for 10 fetch "$PORT"
JAIL=$(find "$CGROUP" -mindepth 2 -maxdepth 2 -name model)
same "the device outside the jail: no driver answers (ENXIO)" "$(try_device '')" "errno 6"
same "in the jail's cgroup it is denied (EPERM)" "$(try_device "$JAIL")" "errno 1"
same "a connection out is denied (EPERM)" "$(fetch "$PORT" "connect-$OTHER")" "errno 1"
PID_BEFORE=$(ctl ps --json | grep -o '"pid":[ 0-9]*' | head -1)

daemon_kill
same "custodyd is dead, the model serves" "$(fetch "$PORT")" "serving"
same "the device stays denied" "$(try_device "$JAIL")" "errno 1"
same "the connection stays denied" "$(fetch "$PORT" "connect-$OTHER")" "errno 1"
refused "custodyctl says that custodyd is not there" 3 "not running|cannot|refused" ctl ps

daemon_start || { not_ok "custodyd starts again"; finish; exit 1; }
same "it took the model over: same process" "$(ctl ps --json | grep -o '"pid":[ 0-9]*' | head -1)" "$PID_BEFORE"
same "the model still serves" "$(fetch "$PORT")" "serving"
seen() { ctl events web --json | grep -c '"connect"' | grep -qx '[2-9]'; }
check "the denial while no custodyd ran is in the ledger too" wait_for 5 seen
same "the device stays denied after the restart" "$(try_device "$JAIL")" "errno 1"
check "retire works, and is clean" ctl retire web
refused "the endpoint is gone" 1 "refused" fetch "$PORT"
kill "$LISTENER"
wait "$LISTENER" 2>/dev/null
grep -q GOT "$ROOT/listener" && not_ok "the host's listener saw no connection" || ok "the host's listener saw no connection"
check "the ledger verifies over both custodyds" ctl ledger verify
daemon_stop
no_leaks "nothing is left"
finish
