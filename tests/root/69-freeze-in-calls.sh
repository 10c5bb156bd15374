#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A model whose threads are always in calls that the broker answers is frozen, thawed and retired like
# any other: such a call waits in a sleep that no freeze ends, so it must have its answer first.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
house_open
PORT=$(free_port)
profile web "$PORT"
cat >"$ROOT/model/server.py" <<'PY'
import os, socket, sys
os.fork(), os.fork()
while True:
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", int(sys.argv[1]) + 1))
        except PermissionError:
            pass
PY
sed -i "s|^command = .*|command = /usr/bin/python3 $ROOT/model/server.py $PORT|" \
	"$ROOT/etc/custody/profiles/web.ini"
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
check "start" ctl start web
denied() { ctl events web --json | grep -q '"bind"'; }
check "its calls of bind are answered" wait_for 20 denied

ROUNDS=20
[ "${CUSTODY_LAB:-}" != 1 ] || ROUNDS=8
failed=
for ((i = 0; i < ROUNDS; i++)); do
	ctl freeze web >>"$ROOT/said" 2>&1 || { failed=freeze; break; }
	ctl thaw web >>"$ROOT/said" 2>&1 || { failed=thaw; break; }
done
[ -z "$failed" ] && ok "$ROUNDS times frozen and thawed" ||
	not_ok "$ROUNDS times frozen and thawed" "$failed number $((i + 1)): $(tail -3 "$ROOT/said")"
check "frozen once more" ctl freeze web
MODEL=$CGROUP/$(basename "$(echo "$CGROUP"/web-*)")
[ "$(sed -n 's/^frozen //p' "$MODEL/model/cgroup.events")" = 1 ] && ok "and the kernel says so" ||
	not_ok "and the kernel says so" "$(cat "$MODEL/model/cgroup.events")"
check "thawed" ctl thaw web
[ "$(cat "$MODEL/cgroup.freeze" "$MODEL/model/cgroup.freeze" "$MODEL/broker/cgroup.freeze" | tr -d '\n')" = 000 ] &&
	ok "and nothing of it is held" || not_ok "and nothing of it is held"
# Its denials are a flood, which is cut, and is no clean end.
refused "it is retired, in the midst of its calls" "[04]" "is retired" ctl retire web
daemon_stop
no_leaks "nothing is left"
finish
