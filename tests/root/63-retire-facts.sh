#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a retirement finds when something outside the jail holds on to it, and that it finds nothing
# when nothing does: after a stop whose device numbers are another jail's, and with processes on
# the host that nobody can read.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
house_open
jobs=
stop_jobs() {
	for pid in $jobs; do kill -9 "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; done
	jobs=
}
trap 'stop_jobs; if mountpoint -q "$ROOT/ns"; then umount "$ROOT/ns"; fi; house_close' EXIT
PORT=$(free_port)
profile web "$PORT" "[files]
scratch = 16M"
OTHER=$(free_port)
profile other "$OTHER" "[files]
scratch = 16M"
sed -i "s|$ROOT/model|$ROOT/model2|" "$ROOT/etc/custody/profiles/other.ini"
mkdir "$ROOT/model2"
echo weights >"$ROOT/model/w.bin"
echo weights >"$ROOT/model2/w.bin"
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }

# hold PROGRAM: python that holds something and waits to be killed
hold() {
	rm -f "$ROOT/up"
	/usr/bin/python3 -c "import os, socket, time
$1
open('$ROOT/up', 'w').close()
time.sleep(600)" &
	jobs="$jobs $!"
	wait_for 10 test -e "$ROOT/up"
}
init_of() { ctl ps --json | /usr/bin/python3 -c '
import json, sys
rows = json.load(sys.stdin)
rows = rows if isinstance(rows, list) else rows.get("models", rows.get("jails"))
print([r for r in rows if r["name"] == sys.argv[1]][0]["pid"])' "$1"; }
# facts NAME: the facts of its exported evidence, one per line
facts() {
	rm -rf "$ROOT/bundle"
	ctl evidence export "$1" "$ROOT/bundle" >/dev/null
	/usr/bin/python3 - "$ROOT/bundle/statement.dsse.json" <<'PY'
import base64, json, sys
s = json.loads(base64.b64decode(json.load(open(sys.argv[1]))["payload"]))
for f in s["predicate"]["facts"]:
    print(f["fact"], f["phase"], "looked=%s" % f["looked"], "value=%s" % f["value"], "unseen=%s" % f["unseen"], f["detail"])
PY
}

check "start" ctl start web
check "it serves" wait_for 10 fetch "$PORT" w.bin
check "stop" ctl stop web
check "another jail, which gets the device numbers of the first" ctl start other
check "it serves as well" wait_for 10 fetch "$OTHER" w.bin
check "the stopped one retires clean all the same" ctl retire web
facts web >"$ROOT/facts"
wrong=$(grep -v 'unseen=0' "$ROOT/facts")
if [ -s "$ROOT/facts" ] && [ -z "$wrong" ]; then ok "no fact has unseen processes"; else not_ok "no fact has unseen processes" "$wrong"; fi

hold "a, b = socket.socketpair(); f = os.open('$ROOT/model2/w.bin', os.O_RDONLY)
socket.send_fds(a, [b'x'], [f]); os.close(f)"
refused "weights in the queue of a UNIX socket are a residue" 1 "residue" ctl retire other
facts other >"$ROOT/facts"
check "and the fact says so" grep -qE 'weights-open .*value=1 .*held by a process that /proc does not show' "$ROOT/facts"
stop_jobs

check "start again" ctl start web
check "it serves" wait_for 10 fetch "$PORT" w.bin
hold "f = os.open('/proc/$(init_of web)/root/scratch/copy', os.O_RDWR | os.O_CREAT)"
refused "an open file on the scratch file system is a residue" 1 "residue" ctl retire web
facts web >"$ROOT/facts"
check "and its holder is named" grep -qE "scratch-mounts .*value=1 .*open in pid ${jobs# } python3" "$ROOT/facts"
stop_jobs

check "start once more" ctl start web
check "it serves" wait_for 10 fetch "$PORT" w.bin
hold "f = os.open('/proc/$(init_of web)/ns/net', os.O_RDONLY)"
refused "a namespace that is kept is a residue" 1 "residue" ctl retire web
facts web >"$ROOT/facts"
check "and the fact names the namespace, or who holds it" grep -qE "namespace-processes .*value=1 .*(the net namespace lives|an fd of one in pid ${jobs# } python3)" "$ROOT/facts"
stop_jobs

check "start with a namespace that will be mounted" ctl start web
check "it serves" wait_for 10 fetch "$PORT" w.bin
touch "$ROOT/ns"
mount --bind "/proc/$(init_of web)/ns/ipc" "$ROOT/ns"
refused "a namespace that is bind mounted is a residue" 1 "residue" ctl retire web
facts web >"$ROOT/facts"
check "and the fact says so" grep -qE "namespace-processes .*value=[1-9].*(the ipc namespace lives|mount [0-9]+ of one, seen by)" "$ROOT/facts"
umount "$ROOT/ns"

check "start a last time" ctl start web
check "it serves" wait_for 10 fetch "$PORT" w.bin
check "nothing holds it: clean" ctl retire web
daemon_stop
no_leaks "nothing is left: no cgroup, process, state, pin or mount"
finish
