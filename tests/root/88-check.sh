#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Programs that look at a model before it starts ([model] check): what each outcome does to the launch,
# what such a program can reach, what is kept of what it prints, and that nothing of it is left,
# however it or custodyd ends.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
house_open
PYTHON=/usr/bin/python3
PORT=$(free_port)
MODEL=$ROOT/model
LOGS=$ROOT/var/lib/custody/logs
echo hello >"$MODEL/index.html"
mkdir "$ROOT/tools" "$ROOT/gate" "$ROOT/out"
chmod 777 "$ROOT/out"

cat >"$ROOT/tools/scan.py" <<'PY'
import errno, os, signal, socket, sys, time
what, model = sys.argv[1], sys.argv[2]
def tried(name, call, *words):
    try:
        call(*words)
        print(name, "done", flush=True)
    except OSError as e:
        print(name, errno.errorcode[e.errno], flush=True)
if what == "read":
    print(open(model + "/index.html").read(), end="")
elif what == "pickle":
    import pickletools
    for name in sorted(os.listdir(model)):
        for op, _, at in pickletools.genops(open(model + "/" + name, "rb")) if name.endswith(".pkl") else ():
            if op.name in ("GLOBAL", "STACK_GLOBAL", "INST", "REDUCE"):
                sys.exit("%s runs what it says: %s at %d" % (name, op.name, at))
elif what == "exit":
    print("found: a thing", flush=True)
    sys.exit(int(sys.argv[3]))
elif what == "signal":
    os.kill(os.getpid(), signal.SIGSEGV)
elif what == "hostile":
    os.write(1, b"first\n\x1b[2J\x1b]0;owned\x07\xff\xe2\x80\xaegnp.exe \"quoted\"\n\n")
    sys.exit(1)
elif what == "flood":
    for _ in range(400):
        os.write(1, b"y" * 9999 + b"\n")
elif what == "stay":
    # in a session of its own, with what it inherited open, deaf to what asks it to end
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(1000)
    print("stays", flush=True)
elif what == "wait":
    print("waits", flush=True)
    while not os.path.exists(sys.argv[3] + "/go"):
        time.sleep(0.02)
elif what == "sleep":
    time.sleep(1000)
elif what == "reach":
    def connect():
        socket.create_connection(("127.0.0.1", int(sys.argv[3])), 5).close()
    tried("connect", connect)
    tried("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(
        b"x", ("127.0.0.1", int(sys.argv[3]))))
    tried("bind", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).bind(("127.0.0.1", 0)))
    tried("weights", open, model + "/index.html", "a")
    tried("new", open, model + "/new", "w")
    tried("out", open, sys.argv[4] + "/new", "w")
    tried("scratch", open, "/scratch/new", "w")
PY
# asks NAME LINES [EXTRA]: a profile with these lines in [model], and those further down
asks() {
	profile "$1" "$PORT" "${3:-}"
	$PYTHON - "$ROOT/etc/custody/profiles/$1.ini" "$2" "$ROOT" <<'PY'
import sys
text = open(sys.argv[1]).read().replace("[process]", sys.argv[2] + "\n[process]", 1)
text = text.replace("[network]", "[files]\ndata += %s/tools %s/gate\n[network]" % (sys.argv[3], sys.argv[3]), 1)
open(sys.argv[1], "w").write(text)
PY
}
# scan WORDS...: as it stands in a profile, on one line
scan() { echo "/usr/bin/python3 $ROOT/tools/scan.py $1 {model} ${*:2}"; }
# field NAME PYTHON: of the row of NAME, as JSON, r
field() {
	ctl status "$1" --json | $PYTHON -c 'import json, sys
r = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$2"
}
# record NAME PYTHON: of the last record of a check of NAME, r
record() {
	ctl events --json "$1" | $PYTHON -c 'import json, sys
r = [json.loads(l) for l in sys.stdin if "\"type\":\"checked\"" in l][-1]
print(eval(sys.argv[1]))' "$2"
}
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "is: $2
should be: $3"; fi; }
# nothing TEXT: but the state of models that have stopped, which can still be retired
nothing() {
	local left
	left=$(leaks | grep -v '^state ')
	is "$1" "$left" ""
}

asks read "check = $(scan read)"
asks three "check = $(scan exit 3)"
asks signal "check = $(scan signal)"
asks hostile "check = $(scan hostile)"
asks flood "check = $(scan flood)"
asks stay "check = $(scan stay)"
asks late "check = $(scan sleep)
check-timeout = 1s"
asks nobody "check = /usr/bin/no-such-scanner {model}"
asks wait "check = $(scan wait "$ROOT/gate")"
asks two "check = $(scan read)
  $(scan exit 7)"
asks base-check "check = $(scan read)"
sed -i 's/^extends = base$/extends = base-check/' "$ROOT/etc/custody/profiles/wait.ini"
sed -i 's/^check = /check += /; s/^data += .*/data += '"${ROOT//\//\\/}"'\/out/' "$ROOT/etc/custody/profiles/wait.ini"
asks words "check = scan.py"
asks pickle "allow-pickle = yes
check = $(scan pickle)"
trap 'umount -l "$LOGS" 2>/dev/null || :; house_close' EXIT
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }

# ---- let in ----
check "a model that its check lets in starts" ctl start read
check "and serves" wait_for 60 fetch "$PORT" index.html
is "status says by what" "$(field read '[(c["command"], c["passed"], c["status"]) for c in r["checks"]]')" "[('/usr/bin/python3', True, 0)]"
ctl status read | grep -q "check  *passed: /usr/bin/python3" && ok "in words too" || not_ok "in words too" "$(ctl status read)"
is "it is on record, of this jail" "$(record read 'r["jail"], r["flags"], r["why"]')" "($(field read 'r["jail_id"]'), ['passed'], None)"
is "with the digest that was measured" "$(record read 'r["model_digest"]')" "$(field read 'r["measured"]["digest"]')"
OUT=$(record read 'r["output"]')
is "what it printed is kept by the name that the record gives" "$(cat "$LOGS/$OUT")" hello
is "and is what the record says" "$(sha256sum <"$LOGS/$OUT" | cut -d' ' -f1) $(wc -c <"$LOGS/$OUT")" "$(record read 'r["output_digest"], r["output_bytes"]' | tr -d "(),'")"
is "its own jail has a launch and an end" "$(ctl events read.check --json | $PYTHON -c 'import json, sys
print([r.get("state", r["type"]) for r in map(json.loads, sys.stdin) if r["type"] in ("launch", "state")])')" "['launch', 'running', 'stopped']"
is "and is gone" "$(state_of read.check)" absent
daemon_kill
daemon_start || not_ok "custodyd says ready again"
is "the next custodyd knows what was checked" "$(field read 'len(r["checks"])')" 1
check "it is retired" ctl retire read
check "with evidence" ctl evidence export read "$ROOT/evidence"
check "that verifies" "$BIN/custody-verify" "$ROOT/evidence" --key "$ROOT/var/lib/custody/ledger/ledger.pub"
is "and names the check" "$($PYTHON - "$ROOT/evidence/statement.dsse.json" <<'PY'
import base64, json, sys
statement = json.loads(base64.b64decode(json.load(open(sys.argv[1]))["payload"]))
print([(c["command"], c["outputBytes"]) for c in statement["predicate"]["checks"]])
PY
)" "[('/usr/bin/python3', 6)]"

# ---- refused ----
refused "exit code 3: file, line, code and last line are told" 3 "three.ini:[0-9]+ .model. check: /usr/bin/python3 ended with exit code 3, so three was not started; its output is in $LOGS/three.check.[0-9]+.1.out. The last line of it: \"found: a thing\"" ctl start three
is "on record" "$(record three 'r["passed"], r["flags"], r["status"] >> 8, r["output_bytes"]')" "(False, [], 3, 15)"
refused "an end by a signal" 3 "ended with exit code 139, or by signal 11" ctl start signal
refused "a program that is not there" 3 "/usr/bin/no-such-scanner could not be run.*check: command not found in the jail" ctl start nobody
is "on record" "$(record nobody 'r["flags"]')" "['not-run']"
refused "one that does not end" 3 "had not ended after 1 s \(check-timeout\), so late was not started. It printed nothing" ctl start late
is "on record" "$(record late 'r["flags"], r["status"], r["output"]')" "(['late'], 9, None)"
refused "the second of two" 3 "two.ini:[0-9]+ .model. check: .*exit code 7" ctl start two
is "both on record" "$(ctl events two --json | grep -c '"type":"checked"') $(record two 'r["index"], r["passed"]')" "2 (1, False)"
refused "a program without its path" 2 "words.ini:[0-9]+: .model. check: scan.py: the program of a check needs an absolute path" ctl profile check words
is "nothing was started" "$(state_of three)$(state_of late)$(state_of two)" absentabsentabsent
nothing "and nothing is left"

# ---- pickles that are data, and one that is a program: what only a scanner can tell ----
$PYTHON -c 'import pickle, sys; pickle.dump({"a": [1, 2]}, open(sys.argv[1], "wb"))' "$MODEL/data.pkl"
check "a pickle of data starts" ctl start pickle
ctl stop pickle >/dev/null
$PYTHON -c 'import os, pickle, sys
class Evil:
    def __reduce__(self):
        return os.system, ("id",)
pickle.dump(Evil(), open(sys.argv[1], "wb"))' "$MODEL/evil.pkl"
refused "one that is a program does not" 3 "exit code 1.*evil.pkl runs what it says: STACK_GLOBAL" ctl start pickle
rm "$MODEL"/*.pkl

# ---- what it prints ----
SAID=$(ctl start hostile 2>&1)
grep -qF '"\\x1b[2J\\x1b]0;owned\\x07\\xff\\xe2\\x80\\xaegnp.exe "quoted""' <<<"$SAID" && ok "hostile output is escaped where it is shown" || not_ok "hostile output is escaped where it is shown" "$SAID"
LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f-\xff]' <<<"$SAID$(ctl events hostile)" && not_ok "no control byte gets through" || ok "no control byte gets through"
is "and kept as it was" "$($PYTHON -c 'import sys; print(open(sys.argv[1], "rb").read()[:12])' "$LOGS/$(record hostile 'r["output"]')")" "b'first\\n\\x1b[2J\\x1b]'"
check "four megabytes of it end no launch" ctl start flood
is "64 KiB are kept, and it is said" "$(wc -c <"$LOGS/$(record flood 'r["output"]')") $(record flood 'r["output_bytes"], r["flags"]')" "65536 (65536, ['passed', 'output-cut'])"
ctl stop flood >/dev/null
mount -t tmpfs -o size=32k none "$LOGS"
refused "where its output cannot be kept, it lets nothing in" 3 "what /usr/bin/python3 printed cannot be kept in .*No space left" ctl start flood
is "and no half of it is there" "$(find "$LOGS" -name '*.out')" ""
umount "$LOGS"
check "one that leaves a process behind" ctl start stay
is "leaves none" "$(state_of stay.check) $(find "$CGROUP" -maxdepth 1 -name 'stay.check-*' | wc -l)" "absent 0"
ctl stop stay >/dev/null

# ---- what it can reach: its profile allows the model more than it ----
SINK=$(free_port)
$PYTHON - "$SINK" "$ROOT/sink" <<'PY' &
import socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
open(sys.argv[2], "w").close()
while True:
    s.accept()[0].close()
PY
SERVER=$!
wait_for 60 test -e "$ROOT/sink" || not_ok "a server to reach"
asks reach "check = $(scan reach "$SINK" "$ROOT/out")"
sed -i "s#^command = .*#command = /usr/bin/python3 $ROOT/tools/scan.py reach {model} $SINK $ROOT/out#; s#^listen = .*#egress = tcp:127.0.0.1:$SINK#; s#^data += .*#&\nwrite = $ROOT/out#" "$ROOT/etc/custody/profiles/reach.ini"
is "outside, all of it can be done" "$($PYTHON "$ROOT/tools/scan.py" reach "$ROOT/out" "$SINK" "$ROOT/out" 2>&1 | head -6 | tr '\n' ' ')" "connect done udp done bind done weights done new done out done "
rm -f "$ROOT/out/new" "$ROOT/out/index.html"
ctl start reach >"$ROOT/reach.out" 2>&1
wait_for 60 eval '[ "$(state_of reach)" = stopped ]' || not_ok "the model of what is reached ends" "$(cat "$ROOT/reach.out")"
is "the model itself reaches what is listed" "$(head -1 "$LOGS/reach.log") $(grep '^out' "$LOGS/reach.log")" "connect done out done"
is "a check has no network, and writes nothing but scratch" "$(tr '\n' ' ' <"$LOGS/$(record reach 'r["output"]')")" "connect EPERM udp EPERM bind EACCES weights EROFS new EROFS out ENOENT scratch done "
DENIED=$(ctl events reach.check --json | $PYTHON -c 'import json, sys
print(sorted({(r["class"], r.get("error")) for r in map(json.loads, sys.stdin) if r.get("verdict") == "denied"}))')
grep -qE "\('(open|syscall)', 'EROFS'\)" <<<"$DENIED" && grep -q "('connect', 'EPERM')" <<<"$DENIED" && ok "the denials are on record, of its own jail" || not_ok "the denials are on record, of its own jail" "$DENIED"
kill "$SERVER"; wait "$SERVER" 2>/dev/null

# ---- while it runs ----
held() { [ "$(state_of wait.check)" = running ]; }
# holds COMMAND...: in the background, until the second check of `wait` runs; the first has passed
holds() {
	rm -f "$ROOT/gate/go"
	"$@" >"$ROOT/held.out" 2>&1 &
	CLIENT=$!
	wait_for 60 eval "[ \"\$(field wait 'len(r[\"checks\"])')\" = 1 ]" && wait_for 60 held ||
		not_ok "a check is held" "$(cat "$ROOT/held.out" "$ROOT/custodyd.log")"
}
given_up() { [ "$(state_of wait)$(state_of wait.check)" = absentabsent ]; }
# client TEXT EXIT WORDS: how the one in the background ended
client() {
	local status
	wait "$CLIENT"
	status=$?
	[ $status = "$2" ] && grep -qE -- "$3" "$ROOT/held.out" && ok "$1" || not_ok "$1" "exit $status: $(cat "$ROOT/held.out")"
}
holds ctl start wait
is "the model has not started, ps shows what looks at it" "$(state_of wait) $(state_of wait.check)" "starting running"
refused "its name cannot be started over it" 3 "in use" ctl start wait
echo "made while it was checked" >"$MODEL/new"
touch "$ROOT/gate/go"
client "what changes while it is checked does not start" 3 "new is new"
rm "$MODEL/new"
nothing "and nothing is left"
holds ctl start wait
check "stop ends the check and the launch" ctl stop wait
client "whoever asked is told" 3 "told to stop while its model was being checked"
is "both are gone at once" "$(state_of wait)$(state_of wait.check)" absentabsent
is "on record: one passed, one did not" "$(record wait 'r["index"], r["passed"], "told to stop" in r["why"]')" "(1, False, True)"
nothing "and nothing is left"
holds ctl start wait
refused "retire ends it too, and says that there is no evidence" 3 "never ran" ctl retire wait
client "whoever asked is told" 3 "told to stop"
holds ctl start wait
check "stopping the check itself is stopping the launch" ctl stop wait.check
client "whoever asked is told" 3 "told to stop"
holds "$BIN/custodyctl" --root "$ROOT" run --name wait --profile wait --model "$MODEL" -- /usr/bin/true
kill -KILL "$CLIENT"; wait "$CLIENT" 2>/dev/null
check "a run whose terminal is gone is given up" wait_for 60 given_up
nothing "and nothing is left"
holds ctl start wait
daemon_stop
client "a custodyd that is told to end ends the check" 3 "custodyd was stopped"
nothing "before it ends itself"
daemon_start || not_ok "custodyd says ready again"
holds ctl start wait
KILLED=$(find "$CGROUP" -maxdepth 1 -name 'wait.check-*' | wc -l)
daemon_kill
wait "$CLIENT" 2>/dev/null
is "a check runs when custodyd is killed" "$KILLED" 1
daemon_start || not_ok "custodyd says ready after it was killed"
check "the next one ends it" wait_for 60 given_up
is "on record" "$(ctl events wait.check --json | tail -1 | $PYTHON -c 'import json, sys; r = json.load(sys.stdin); print(r["state"], r["why"])')" "stopped custodyd ended while it ran"
is "it launched nothing" "$(ctl events wait --json | grep -c '"type":"launch"')" 0
nothing "and nothing is left"
touch "$ROOT/gate/go"
check "the same model starts when its checks let it" ctl start wait
ctl stop wait >/dev/null
daemon_stop
rm -f "$ROOT"/run/custody/jails/*.state "$ROOT"/run/custody/jails/*.plan
no_leaks "nothing is left in the end"
finish
