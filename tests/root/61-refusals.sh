#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Everything that must be refused, each with its own message and exit code, and after each nothing
# half-made is left.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
house_open
PORT=$(free_port)
profile good "$PORT"

# A bpf file system is mounted 1777 where nobody says otherwise.
mkdir -p "$ROOT/sys/fs/bpf"
mount -t bpf -o mode=1777 none "$ROOT/sys/fs/bpf"
setpriv --reuid=65534 --regid=65534 --clear-groups mkdir "$ROOT/sys/fs/bpf/custody"
refused "custody's name in a shared bpf file system is taken by somebody else" 3 \
	"belongs to uid 65534.*Remove it" timeout 20 "$BIN/custodyd" --root "$ROOT"
rmdir "$ROOT/sys/fs/bpf/custody"
refused "a root that is not there" 2 "Make the directory first" "$BIN/custodyd" --root "$ROOT/absent"
refused "a role run by hand" 2 "custodyd starts this program" "$BIN/custody-sweeper"

daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }

refused "unknown profile: the directories and the names that exist are listed" 2 "nosuch.*good" ctl start nosuch
no_leaks "nothing left after an unknown profile"

printf '[profile]\nextends = base\n[network]\nlisen = tcp:127.0.0.1:1\n' >"$ROOT/etc/custody/profiles/typo.ini"
refused "a profile with an error: file:line and a suggestion" 2 'typo\.ini:4.*listen' ctl start typo
no_leaks "nothing left after a profile with an error"

profile nomodel "$PORT"
sed -i "s|^path = .*|path = $ROOT/absent|" "$ROOT/etc/custody/profiles/nomodel.ini"
refused "missing model directory" 3 "$ROOT/absent" ctl start nomodel
no_leaks "nothing left after a missing model directory"

/usr/bin/python3 -c 'import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(); print("up", flush=True); time.sleep(600)' \
	"$PORT" >"$ROOT/holder" &
HOLDER=$!
wait_for 5 grep -q up "$ROOT/holder"
refused "endpoint in use" 3 "$PORT" ctl start good
kill "$HOLDER"
wait "$HOLDER" 2>/dev/null
no_leaks "nothing left after an endpoint in use"

profile lsm "$PORT" $'[require]\nplanes = structure cgroup lsm observe'
if ctl doctor --json | /usr/bin/python3 -c 'import json, sys; d = json.dumps(json.load(sys.stdin)); sys.exit(0 if "lsm" in d else 1)' &&
	! grep -qs bpf /sys/kernel/security/lsm; then
	refused "missing plane" 3 '"lsm".*doctor' ctl start lsm
else
	N=$((N + 1))
	echo "ok $N - missing plane # SKIP this kernel may have the LSM plane"
fi
no_leaks "nothing left after a missing plane"

profile nocmd "$PORT"
sed -i 's|^command = .*|command = /usr/bin/no-such-server|' "$ROOT/etc/custody/profiles/nocmd.ini"
refused "command not found in the jail" 3 "/usr/bin/no-such-server" ctl start nocmd
no_leaks "nothing left after a command that is not there"

profile nosource "$PORT" $'[files]\ndata = /no/such/directory'
refused "missing source of a zone: the setting is named" 3 'nosource\.ini:[0-9]+.*data' ctl start nosource
no_leaks "nothing left after a missing source"

refused "not root" 3 "root" setpriv --reuid=65534 --regid=65534 --clear-groups "$BIN/custodyctl" --root "$ROOT" start good
refused "custodyd not as root" 3 "root" setpriv --reuid=65534 --regid=65534 --clear-groups "$BIN/custodyd" --root "$ROOT"
refused "second custodyd" 3 "Another custodyd" "$BIN/custodyd" --root "$ROOT"
refused "a bad name" 2 "name" ctl start 'Bad/Name'
no_leaks "nothing left after refusals of the caller"

check "the good one starts" ctl start good
refused "name in use" 3 "in use" ctl start good
check "and stops" ctl stop good
daemon_stop
refused "no custodyd: said so, with what to do" 3 "not running" ctl ps

# A full disk for the ledger: a file system that holds the ledger's start and not much more. What
# is left of the log's last page may take a launch or two, so starts go on until one is refused.
mount -t tmpfs -o size=64k,mode=0750 ledger "$ROOT/var/lib/custody/ledger"
daemon_start --no-guard || not_ok "custodyd starts on a small ledger" "$(cat "$ROOT/custodyd.log")"
dd if=/dev/zero of="$ROOT/var/lib/custody/ledger/filler" bs=4k 2>/dev/null
for _ in 1 2 3 4 5 6 7 8; do
	ctl start good >/dev/null 2>&1 || break
	ctl stop good >/dev/null 2>&1 || break
done
profile other "$PORT"
refused "full disk for the ledger" 3 "ledger.*(space|room)" ctl start other
refused "and the endpoint is not served" 1 "refused" fetch "$PORT"
rm -f "$ROOT"/run/custody/jails/*.state "$ROOT"/run/custody/jails/*.plan
[ -z "$(leaks | grep -v 'mount .*/ledger')" ] && ok "nothing left after a full disk" ||
	not_ok "nothing left after a full disk" "$(leaks)"
rm -f "$ROOT"/var/lib/custody/ledger/filler
mount -o remount,size=1m "$ROOT/var/lib/custody/ledger"
# A stop that found no room is told to the ledger as soon as there is some.
not_stopping() { [ "$(state_of good)" != stopping ]; }
check "with room again what has ended is on record" wait_for 20 not_stopping
check "and it starts" ctl start good
check "and the ledger verifies, gap and all" ctl ledger verify
refused "what could not be recorded makes the retirement incomplete or clean, never silent" 0 "." ctl retire good
daemon_stop
umount "$ROOT/var/lib/custody/ledger"
no_leaks "nothing left at the end"
finish
