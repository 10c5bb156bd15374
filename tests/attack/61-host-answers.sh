#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What hostile models and hostile users of the host waste, and names made to fool a reader: the
# host, custodyd and a neighbouring jail answer meanwhile and afterwards. attack_* are in
# 60-attacks.sh; here are the attacks that somebody else has to look at.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/../root/house.bash"
house_open
HERE=$TOP/tests/attack
OWN=$(mktemp -d /tmp/custody-attack.XXXXXX)
chmod 755 "$OWN"
JOB=
close_all() {
	[ -z "$JOB" ] || kill "$JOB" 2>/dev/null
	rm -rf "$OWN"
	house_close
}
trap close_all EXIT
nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
# shellcheck source=tests/attack/world.bash
. "$HERE/world.bash"

world_make "$ROOT/world"
PROG=$ROOT/world/prog
install -m 755 "$TOP"/build/attack/{flood,control} "$PROG/"
chmod 755 "$ROOT"
W=$(free_port)
ATTACK_PORT=$W world_profile atk "$ROOT/world" >"$ROOT/etc/custody/profiles/atk.ini"
profile web "$W"
echo weights >"$ROOT/model/file"
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
# As custodyd.service sets it: no process of a jail may inherit it.
{ echo -900 >"/proc/$DAEMON/oom_score_adj"; } 2>/dev/null # a sandbox may forbid it
run() { timeout 100 "$BIN/custodyctl" --root "$ROOT" run --profile atk --name atk -- "$@"; }
size() { du -sk "$1" | cut -f1; }
has() { if grep -qE "$2" <<<"$1"; then ok "$3"; else not_ok "$3" "$1"; fi; }
# answers TEXT: custodyd and the neighbour do, now
answers() {
	check "$1: custodyd answers" timeout 15 "$BIN/custodyctl" --root "$ROOT" ps
	check "$1: the neighbour serves" fetch "$W" file
}

check "a neighbour starts" ctl start web
wait_for 20 fetch "$W" file
answers "before"
for stream in /var/tmp /dev/shm; do
	refused "a directory as standard input is refused: $stream" 3 "is a directory" run /usr/bin/true <"$stream"
done
has "$(run "$PROG/attack_network" run tcp tcp_mapped tcp_fastopen 2>&1 | cut -f2 | sort | uniq -c)" \
	'^ *3 EPERM$' "one jail does not reach the endpoint of another"

# ---- floods of a model: each while custodyd and the neighbour are asked ----
before=$(size "$ROOT/var/lib/custody/ledger")
during() { # TEXT ARGUMENTS OF flood...
	local text=$1
	shift
	run "$PROG/flood" "$@" >>"$OWN/flood" 2>&1 &
	JOB=$!
	wait_for 20 grep -qs . "/proc/$JOB/stat"
	sleep 0.5
	answers "$text"
	wait "$JOB"
	JOB=
}
during "refused calls" events 2
during "refused bind()" bind 2
[ "$(awk '{ n += $2 } END { print n }' "$OWN/flood")" -gt 20000 ] && ok "$(tr '\n' ' ' <"$OWN/flood")attacks in seconds" ||
	not_ok "the flood was one" "$(cat "$OWN/flood")"
cut_off() { grep -q '"cause":"ring-full".*"lost":[1-9]' <(ctl events atk --json); }
wait_for 30 cut_off
after=$(size "$ROOT/var/lib/custody/ledger")
[ $((after - before)) -lt 65536 ] && ok "the ledger grew by $((after - before)) kB, not without end" ||
	not_ok "the ledger grew by $((after - before)) kB"
check "what was not recorded is counted in the ledger" cut_off
check "and the ledger verifies" ctl ledger verify
: >"$OWN/flood"
for bomb in fork files "fill /scratch/x" "fill /dev/shm/x" memory; do
	# shellcheck disable=SC2086
	during "a bomb of ${bomb%% *}" $bomb
done
has "$(cat "$OWN/flood")" '^processes (4|5|6)[0-9] EAGAIN$' "a fork bomb ends at limits.processes"
has "$(cat "$OWN/flood")" '^files 1[0-9][0-9] EMFILE$' "open files end at limits.open-files"
has "$(cat "$OWN/flood")" '^bytes 67108864 ENOSPC$' "scratch ends at its size"
has "$(cat "$OWN/flood")" '^bytes 16777216 ENOSPC$' "/dev/shm ends at its size"
# Without a memory controller malloc() is refused; with one the jail may be ended instead.
has "$(cat "$OWN/flood")" '^megabytes [12][0-9][0-9]$|137|signal 9|SIGKILL' "memory ends at limits.memory"

sed "s|^command = .*|command = $PROG/flood log 200000000|" "$ROOT/etc/custody/profiles/atk.ini" >"$ROOT/etc/custody/profiles/log.ini"
check "a model that writes 200 MB of log starts" ctl start log
answers "a flood of log"
log_ended() { ! ctl ps | grep -q '^log  *running'; }
wait_for 90 log_ended
[ "$(size "$ROOT/var/lib/custody/logs")" -lt 65536 ] && ok "its log is bounded ($(size "$ROOT/var/lib/custody/logs") kB)" ||
	not_ok "its log is bounded" "$(size "$ROOT/var/lib/custody/logs") kB"

# ---- floods of clients ----
rm -f "$ATTACK_UNIX"
run "$PROG/flood" idle "$ATTACK_TCP" >"$OWN/idle" 2>&1 &
JOB=$!
wait_for 20 grep -q idle "$OWN/idle"
/usr/bin/python3 - "$ATTACK_TCP" "$W" <<'PY' >"$OWN/clients" 2>&1
import os, socket, struct, sys
held = []
for i in range(400):        # half of a request each, on an endpoint that answers none
    s = socket.socket(); s.settimeout(2)
    try:
        s.connect(("127.0.0.1", int(sys.argv[1]))); s.send(b"GET /"); held.append(s)
    except OSError: break
print("half open", len(held))
for i in range(50):         # garbage and resets, on one that does
    s = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    s.send(os.urandom(i)); s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close()
PY
has "$(cat "$OWN/clients")" 'half open [1-9][0-9][0-9]' "hundreds of half-open connections are held ($(head -1 "$OWN/clients"))"
answers "half-open connections and 50 resets"
ctl stop atk >/dev/null 2>&1
wait "$JOB"
JOB=

# ---- names ----
run "$PROG/attack_custody" run escapes >/dev/null 2>&1
for how in "" --json; do
	# shellcheck disable=SC2086
	ctl events atk $how >"$OWN/shown"
	check "terminal escapes in names come out escaped: events $how" /usr/bin/python3 -c 'import sys
t = open(sys.argv[1], "rb").read()
assert b"x1b[31m" in t and b"x1b[2J" in t, "the names are not there"
sys.exit(any(c < 32 and c != 10 or c == 127 or c == 0x9b for c in t))' "$OWN/shown"
done
check "no name adds a field: every line is one object of known keys" /usr/bin/python3 -c 'import json, sys
for line in open(sys.argv[1]):
    e = json.loads(line)
    assert "x" not in e, line' "$OWN/shown"

# ---- a user of the host without rights ----
for path in var/lib/custody/ledger var/lib/custody/evidence var/lib/custody/keys var/lib/custody/logs run/custody/jails sys/fs/bpf/custody; do
	[ -d "$ROOT/$path" ] || continue
	refused "a user of the host lists nothing of $path" 2 "Permission denied" nobody ls "$ROOT/$path"
done
for verb in stop freeze retire; do
	refused "a user of the host cannot $verb" 3 "." nobody "$BIN/custodyctl" --root "$ROOT" "$verb" web
done
check "a version of it is registered" ctl model register web "$ROOT/model"
VERSIONS=$(ctl model list --json)
nobody timeout 120 "$PROG/control" "$ATTACK_CONTROL" web >"$OWN/control" 2>&1
has "$(cat "$OWN/control")" 'sent [1-9][0-9][0-9], .* obeyed 0$' \
	"forged and broken requests: $(cat "$OWN/control")"
has "$(ctl ps)" '^web +running' "the model that they were about runs"
answers "after them"
# Custody's group: the list of models, one model's state and its versions, and nothing else.
setpriv --reuid=65534 --regid=65534 --groups=60616 timeout 120 "$PROG/control" "$ATTACK_CONTROL" web \
	>"$OWN/control" 2>&1
has "$(cat "$OWN/control")" ' obeyed 3$' \
	"the same by custody's group, who are told three things: $(cat "$OWN/control")"
has "$(ctl status web)" 'running' "the model runs"
[[ $(ctl status web) != *RESTRICTED* ]] && ok "it was not restricted" || not_ok "it was not restricted"
[ "$(ctl model list --json)" = "$VERSIONS" ] && ok "the registry is what it was" || not_ok "the registry is what it was" "$(ctl model list --json)"
# As root, who may order: the broken ones are still refused, and no forged one crashes anybody.
timeout 120 "$PROG/control" "$ATTACK_CONTROL" none >"$OWN/control" 2>&1
has "$(cat "$OWN/control")" 'sent [1-9][0-9][0-9]' "the same by root: $(cat "$OWN/control")"
answers "after root's"
cat >"$OWN/outside.py" <<'PY'
import os, socket, sys, time
held = []
for i in range(300):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.setblocking(False)
    try:
        s.connect(sys.argv[1]); s.send(os.urandom(1 + i * 37 % 4000)); held.append(s)
    except OSError: pass
print("flooding", flush=True)
time.sleep(2)
PY
nobody /usr/bin/python3 "$OWN/outside.py" "$ATTACK_CONTROL" >"$OWN/outside" 2>&1 &
JOB=$!
check "a user of the host floods the control socket" wait_for 20 grep -q flooding "$OWN/outside"
alive() { kill -0 "$DAEMON" && grep -q . <(ctl ps); }
check "custodyd lives through 300 connections of garbage by a user of the host" wait_for 15 alive
wait "$JOB"
JOB=
answers "after them"
check "stop" ctl stop web
daemon_stop
# State and plans of models that were stopped and not retired stay: they are custodyd's to keep.
left=$(leaks | grep -v '^state ')
[ -z "$left" ] && ok "nothing else is left" || not_ok "nothing else is left" "$left"
finish
