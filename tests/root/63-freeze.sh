#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A model that is in a call which its broker decides cannot be frozen there, and a frozen broker
# decides nothing: a model that does little else is frozen and thawed all the same, and retired.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
house_open
profile busy "$(free_port)"
sed -i "s|^command = .*|command = /usr/bin/python3 $ROOT/model/busy.py|" \
	"$ROOT/etc/custody/profiles/busy.ini"
cat >"$ROOT/model/busy.py" <<'PY'
import socket, threading
def ask():
    while True:
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", 9))
            except OSError:
                pass
for i in range(4):
    threading.Thread(target=ask).start()
PY
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
check "start" ctl start busy
asks() { ctl events busy --json | grep '"bind"' | grep -q '"denied"'; }
check "it asks its broker" wait_for 30 asks
frozen() { # frozen N: N times
	local i
	for ((i = 0; i < $1; i++)); do
		ctl freeze busy || return 1
		grep -q 'frozen 1' "$CGROUP"/busy-*/cgroup.events || { echo "not frozen, at $i"; return 1; }
		ctl thaw busy || return 1
		grep -q 'frozen 0' "$CGROUP"/busy-*/model/cgroup.events || { echo "not thawed, at $i"; return 1; }
	done
}
check "frozen and thawed, 20 times" frozen 20
daemon_kill # the jail goes on
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
check "frozen and thawed by its successor" frozen 2
# It makes more denials than the ring holds, so the verdict may be that not all of them were written.
status=0
out=$(ctl retire busy 2>&1) || status=$?
case $status in 0 | 4) ok "retired" ;; *) not_ok "retired" "exit $status: $out" ;; esac
daemon_stop
no_leaks "nothing is left"
finish
