#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# LSM plane, from the hook to the ledger, through custodyd and its recorder: what is refused in a
# real jail is a record with its class, object, errno, device, inode and path. Then a flood of
# refusals while the recorder stands still: every answer is right, every count exact, the gap is a
# record, and the retirement says incomplete.
#
# The probes are root's, and are moved into the jail's cgroup and mount namespace from outside: so
# they meet the plane without the walls before it. The guard would refuse the move: it is off.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# shellcheck disable=SC2034 # read by daemon_start
HOUSE_NO_GUARD=1
house_open
FLOOD=${FLOOD:-1000000}
PORT=$(free_port)
mkdir "$ROOT/prog" "$ROOT/host"
install -m 755 "$TOP"/build/root/lsm_{probe,exec_probe,task_probe,fd_probe} "$ROOT/prog/"
install -m 755 /bin/true "$ROOT/model/program"
echo weights >"$ROOT/model/w.bin"
echo secret >"$ROOT/host/file"
profile web "$PORT" "[files]
read += $ROOT/prog
scratch = 16M
[require]
planes = structure cgroup"
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
check "a model starts" ctl start web
wait_for 20 fetch "$PORT" w.bin
field() { ctl ps --json | /usr/bin/python3 -c '
import json, sys
rows = [m for m in json.load(sys.stdin)["models"] if m["name"] == "web"]
value = rows[0][sys.argv[1]]
print(" ".join(value["active"]) if sys.argv[1] == "planes" else value)' "$1"; }
# Where there is no LSM plane, the flood is one of devices, which the cgroup plane refuses.
CLASS=device ERRNO=EPERM FLOODED=/dev/tty
case " $(field planes) " in
*" lsm "*) CLASS=open ERRNO=EACCES FLOODED=$ROOT/host/file ;;
*) ok "records of the LSM plane # SKIP this host does not offer it" ;;
esac
PID=$(field pid)
MODEL=$(echo "$CGROUP"/web-*/model)
[ -d "$MODEL" ] || { not_ok "the model's cgroup is found"; finish; exit 1; }

# probe PROGRAM ACTION...: in the model's cgroup, in the host's mounts; inside: in the jail's
probe() {
	local program=$1
	shift
	"$ROOT/prog/$program" "$MODEL" "$@"
}
inside() {
	local program=$1
	shift
	nsenter -t "$PID" -m -p -- "$ROOT/prog/$program" /proc/self/fd/7 "$@" 7<"$MODEL"
}
is() { if [ "$1" = "$2" ]; then ok "$3"; else not_ok "$3" "got $1, wanted $2"; fi; }
# recorded TEXT PYTHON: a record of the ledger for which the expression of r holds, within 20 s
records() {
	ctl --json events web | /usr/bin/python3 -c '
import json, sys
for line in sys.stdin:
    r = json.loads(line)
    r = r.get("event", r)
    if eval(sys.argv[1]):
        sys.exit(0)
sys.exit(1)' "$1"
}
recorded() {
	if wait_for 20 records "$2"; then ok "$1"; else
		not_ok "$1" "no record: $2
$(ctl --json events web | tail -n 6)"
	fi
}
key() { stat -c '%Hd %Ld %i' "$1" | awk '{ print $1 * 1048576 + $2, $3 }'; }
# event CLASS ERROR MORE: what a record must be; MORE with D and I for device and inode of FILE
FILE=$ROOT/host/file
event() {
	local device inode more=$3
	read -r device inode <<<"$(key "$FILE")"
	more=${more//FILE/"r['device'] == $device and r['inode'] == $inode"}
	echo "r['type'] == 'event' and r['verdict'] == 'denied' and r['plane'] == 'lsm' and r['class'] == '$1' \
and r['error'] == '$2' and r['name'] == 'web' and $more"
}
ENDS="r['path'].endswith('host/file')"

records_of_all() {
	is "$("$ROOT/prog/lsm_probe" - open "$FILE" r)" 0 "outside of the jail the host's file opens"
	is "$(probe lsm_probe open "$FILE" r)" EACCES "in it it does not"
	recorded "open: a record" "$(event open EACCES "FILE and r['no_zone'] and r['syscall'] == 257 and r['comm'] == 'lsm_probe' and $ENDS")"
	is "$(probe lsm_probe chmod "$FILE")" EACCES "nor is it changed"
	recorded "change: a record" "$(event change EACCES "FILE and r['access'] == 10 and r['no_zone'] and $ENDS")"
	is "$(probe lsm_probe unlink "$FILE")" EACCES "nor removed"
	recorded "unlink: a record" "$(event change EACCES "FILE and r['access'] == 6 and $ENDS")"
	is "$(probe lsm_probe setxattr "$FILE" user.x)" EPERM "nor given an attribute"
	recorded "xattr: a record" "$(event change EPERM "FILE and r['access'] == 13")"
	is "$(probe lsm_fd_probe scm "$FILE")" CTRUNC "a descriptor of it does not arrive"
	recorded "receive: a record" "$(event receive EACCES "FILE and r['no_zone'] and $ENDS")"
	is "$(probe lsm_task_probe hostname)" EPERM "a capability is not used"
	recorded "task: a record" "$(event task EPERM "r['access'] == 21 and r['object'] == 2")"
	is "$(probe lsm_task_probe ioctl before /dev/kmsg 0x5401)" EPERM "a device that is not the jail's answers no ioctl"
	recorded "ioctl: a record" "$(event ioctl EPERM "r['device'] == $((1 << 32 | 11)) and r['access'] == 0x5401")"

	FILE=$ROOT/model/program
	is "$(inside lsm_exec_probe map "$FILE" p r -)" 0 "in the jail's own mounts a file of the weights is mapped"
	is "$(inside lsm_exec_probe map "$FILE" p rx -)" EACCES "but not as a program"
	recorded "execmap: a record, of the zone" "$(event execmap EACCES "FILE and not r['no_zone'] and r['access'] & 4 and r['path'].endswith('program') and 'object' in r")"
	is "$(inside lsm_probe open "$FILE" r)" 0 "it is read"
	recorded "first sight of an open: a record" "r['type'] == 'event' and r['verdict'] == 'allowed' and r['plane'] == 'lsm' and r['class'] == 'open' and r.get('comm') == 'lsm_probe' and r['path'].endswith('program')"
}
[ $CLASS = device ] || records_of_all

# ---- flood ----
count() { # "allowed denied emitted+lost lost" of what is no zone, or no device, of the jail
	ctl --json status web | /usr/bin/python3 -c '
import json, sys
rows = [c for c in json.load(sys.stdin)["counters"] if c["class"] == sys.argv[1] and c["object"] is None]
c = rows[0] if rows else dict(allowed=0, denied=0, emitted=0, lost=0)
print(c["allowed"], c["denied"], c["emitted"] + c["lost"], c["lost"])' $CLASS
}
recorder() {
	local pid
	for pid in $(ps -o pid= --ppid "$DAEMON"); do
		[ "$(readlink "/proc/$pid/exe")" = "$BIN/custody-recorder" ] && echo "$pid"
	done
}
RECORDER=$(recorder)
[ -n "$RECORDER" ] || not_ok "the recorder is found"
read -r a0 d0 n0 l0 <<<"$(count)"
kill -STOP "$RECORDER"
start=$(date +%s%N)
is "$(probe lsm_probe open "$FLOODED" r)" $ERRNO "what is flooded with: $ERRNO"
is "$(probe lsm_probe burst "$FLOODED" "$FLOOD")" "$FLOOD 0" "the recorder stopped: $FLOOD opens, each refused"
echo "# $(($(date +%s%N) / 1000000 - start / 1000000)) ms"
read -r a1 d1 n1 l1 <<<"$(count)"
is "$((a1 - a0)) $((d1 - d0))" "0 $((FLOOD + 1))" "each is counted, and none as allowed"
is $((n1 - n0)) $((FLOOD + 1)) "each event was emitted or lost"
check "most were lost ($((l1 - l0)))" test "$l1" -gt "$l0"
check "the model serves on" fetch "$PORT" w.bin
kill -CONT "$RECORDER"
gap() {
	ctl --json events web | /usr/bin/python3 -c '
import json, sys
lost = sum(r["lost"] for r in map(json.loads, sys.stdin) if r["type"] == "gap" and r["cause"] == "ring-full")
sys.exit(lost != int(sys.argv[1]) or lost == 0)' "$(field events_lost)"
}
if wait_for 60 gap; then ok "the gap is a record, to the event"; else
	not_ok "the gap is a record, to the event" "lost $(field events_lost); $(ctl --json events web | grep '"gap"' | tail -n 4)"
fi
retired() { ctl retire web >"$ROOT/retired" 2>&1; [ $? = 4 ] && grep -q incomplete "$ROOT/retired"; }
check "the retirement says incomplete" retired || sed 's/^/# /' "$ROOT/retired"
check "the ledger verifies" ctl ledger verify
daemon_stop
no_leaks "nothing is left"
finish
