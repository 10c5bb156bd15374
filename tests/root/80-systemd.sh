#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The installed service under systemd as PID 1: it starts, limits are the cgroup controllers', a
# killed custodyd comes back and takes its jails over, a stop leaves models alone, and at the end
# nothing is left. Only in a machine that is made for it (tests/vm): it uses /etc/custody.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
[ "${CUSTODY_LAB:-}" = 1 ] || skip_all "for tests/vm: it uses this machine's own /etc/custody"
[ "$(cat /proc/1/comm)" = systemd ] || skip_all "systemd is not PID 1"

PORT=$(free_port)
ROOT=$(mktemp -d /tmp/custody-test.XXXXXX)
chmod 755 "$ROOT"
trap 'systemctl stop custodyd; rm -rf "$ROOT"' EXIT
ctl() { custodyctl "$@"; }
main_pid() { systemctl show -P MainPID custodyd; }
answers() { ctl ps >/dev/null 2>&1; }

cat >"$ROOT/server.py" <<'PY'
import http.server, os, sys, threading, time
def ask(what):
    if what == "memory":            # 96 MiB more than the profile allows, touched
        blocks = [bytearray(os.urandom(1 << 20)) for _ in range(160)]
        return "held %d" % len(blocks)
    if what == "processes":
        pids = []
        try:
            for _ in range(64):
                pid = os.fork()
                if pid == 0:
                    time.sleep(30); os._exit(0)
                pids.append(pid)
            out = "forked"
        except OSError as e:
            out = "errno %d" % e.errno
        for pid in pids:
            os.kill(pid, 9); os.waitpid(pid, 0)
        return out
    if what == "burn":
        began, used = time.monotonic(), time.process_time()
        while time.monotonic() - began < 2:
            pass
        return "%d" % (100 * (time.process_time() - used) / 2)
    return "hello"
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        out = ask(self.path.strip("/"))
        self.send_response(200); self.end_headers(); self.wfile.write(out.encode())
    def log_message(self, *a): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
PY
cat >/etc/custody/profiles/lab.ini <<EOF
[profile]
extends = base
[model]
path = $ROOT
[process]
command = /usr/bin/python3 $ROOT/server.py $PORT
[network]
listen = tcp:127.0.0.1:$PORT
[limits]
memory = 64M
processes = 16
cpu = 50%
[retire]
drain-timeout = 2s
EOF

check "systemctl start custodyd" systemctl start custodyd
check "once that is done, it answers" answers
check "doctor finds nothing that the default profile misses" ctl doctor
check "profile check" ctl profile check lab
check "start" ctl start lab
check "it serves" wait_for 30 fetch "$PORT"
CGROUP=$(find /sys/fs/cgroup/custody -mindepth 1 -maxdepth 1 -name "lab-*")
same() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got: $2, want: $3"; fi; }
same "the controller limits memory" "$(cat "$CGROUP/memory.max")" $((64 << 20))
same "and keeps it out of swap" "$(cat "$CGROUP/memory.swap.max" 2>/dev/null || echo 0)" 0
same "and the number of processes" "$(cat "$CGROUP/pids.max")" 16
same "and CPU time" "$(cat "$CGROUP/cpu.max")" "50000 100000"
same "a fork beyond the limit: EAGAIN" "$(fetch "$PORT" processes)" "errno 11"
# A machine that its host puts aside meanwhile counts that time as the process's: then once more.
for _ in 1 2 3 4 5; do
	BURNT=$(fetch "$PORT" burn)
	[ "${BURNT:-100}" -gt 70 ] || break
done
if [ "${BURNT:-0}" -ge 20 ] && [ "$BURNT" -le 70 ]; then
	ok "half a CPU is what it gets"
else
	not_ok "half a CPU is what it gets" "$BURNT %"
fi

OLD=$(main_pid)
# By pid 1: from anybody else the guard keeps a custodyd that has models.
systemctl kill --kill-who=main --signal=KILL custodyd
came_back() { [ "$(main_pid)" != "$OLD" ] && [ "$(main_pid)" != 0 ] && answers; }
check "custodyd killed with -9 is started again" wait_for 30 came_back
same "meanwhile and now the model serves" "$(fetch "$PORT")" hello
takeover() { ctl status lab --json | grep -q running; }
check "the new one knows it" takeover
check "systemctl stop custodyd" systemctl stop custodyd
same "a stop leaves the model alone" "$(fetch "$PORT")" hello
check "systemctl start custodyd, again" systemctl start custodyd
check "it answers again" answers

fetch "$PORT" memory >/dev/null 2>&1
killed() { dmesg | grep -q "Memory cgroup out of memory"; }
check "beyond its memory it is killed by its own cgroup's limit" wait_for 20 killed
check "retire: the verdict is clean" ctl retire lab
check "evidence is exported" ctl evidence export lab "$ROOT/bundle"
check "and verified" custody-verify "$ROOT/bundle" --key /var/lib/custody/ledger/ledger.pub
check "systemctl stop custodyd, at the end" systemctl stop custodyd
same "no cgroup of a jail is left" "$(find /sys/fs/cgroup/custody -mindepth 1 -type d 2>/dev/null)" ""
same "no state of a jail is left" "$(find /run/custody/jails -type f 2>/dev/null)" ""
same "nothing but the planned kill was logged as a failure" \
	"$(journalctl -u custodyd -p err --no-pager -q | grep -v -e status=9/KILL -e "result 'signal'")" ""
finish
