#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One model's life through the real processes: start, serve, ps, status, events, freeze, thaw,
# stop, start again, retire, evidence, offline verification, and nothing left at the end.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
house_open
PORT=$(free_port)
profile web "$PORT"
echo "hello from the jail" >"$ROOT/model/hello.txt"

daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
ok "custodyd says ready"
check "start answers when the model runs" ctl start web
check "the published endpoint answers" wait_for 10 fetch "$PORT" hello.txt
[ "$(fetch "$PORT" hello.txt)" = "hello from the jail" ] &&
	ok "the answer comes from the model's directory" || not_ok "the answer comes from the model's directory"
refused "the same name is refused while it runs" 3 "name web is in use" ctl start web
ctl ps --json >"$ROOT/ps.json"
check "ps shows it running with its endpoint" /usr/bin/python3 - "$ROOT/ps.json" "$PORT" <<'PY'
import json, sys
rows = json.load(open(sys.argv[1]))
rows = rows if isinstance(rows, list) else rows.get("models", rows.get("jails"))
row = [r for r in rows if r["name"] == "web"][0]
assert row["state"] == "running", row
assert sys.argv[2] in json.dumps(row), row
PY
ctl status web --json >"$ROOT/status.json"
check "status counts opens in the weights zone and bytes out" /usr/bin/python3 - "$ROOT/status.json" <<'PY'
import json, sys
s = json.dumps(json.load(open(sys.argv[1])))
assert "egress" in s and "open" in s, s
PY
seen_open() { ctl events web --json | grep -q hello.txt; }
check "the open of the file is in the ledger, with its path" wait_for 5 seen_open
check "freeze" ctl freeze web
refused "a frozen model does not answer" 1 "timed out" fetch "$PORT" hello.txt
check "thaw" ctl thaw web
check "it answers again" wait_for 5 fetch "$PORT" hello.txt
check "stop" ctl stop web
refused "the endpoint is gone" 1 "refused" fetch "$PORT" hello.txt
check "it starts again under the same name" ctl start web
check "and answers" wait_for 10 fetch "$PORT" hello.txt
check "retire: the verdict is clean" ctl retire web
refused "a retired model is not known any more" 3 "No model called web" ctl status web
check "the evidence is exported" ctl evidence export web "$ROOT/bundle"
cp "$ROOT/var/lib/custody/ledger/ledger.pub" "$ROOT/key.pub"
chmod -R a+rX "$ROOT/bundle" "$ROOT/key.pub"
cp "$BIN/custody-verify" "$ROOT/"
check "an unprivileged user verifies it" setpriv --reuid=65534 --regid=65534 --clear-groups \
	"$ROOT/custody-verify" "$ROOT/bundle" --key "$ROOT/key.pub"
ctl events web --json >"$ROOT/events.json"
check "launch records and the statement name the same uids, of each launch others, and the structure" \
	/usr/bin/python3 - "$ROOT/bundle" "$ROOT/events.json" <<'PY'
import base64, glob, json, sys
statements = []
for path in glob.glob(sys.argv[1] + "/*"):
    try:
        statements.append(json.loads(base64.b64decode(json.load(open(path))["payload"])))
    except (ValueError, KeyError, TypeError):
        pass
(statement,) = statements
said = statement["predicate"]
text = open(sys.argv[2]).read()
try:
    events = json.loads(text)
    events = events if isinstance(events, list) else events["events"]
except ValueError:
    events = [json.loads(line) for line in text.splitlines()]
launches = [e for e in events if "uid_first" in json.dumps(e)]
flat = [dict(e, **next((v for v in e.values() if isinstance(v, dict) and "uid_first" in v), {})) for e in launches]
last = [e for e in flat if e.get("jail", e.get("jail_id")) == said["jail"]][-1]
assert said["uids"] == {"first": last["uid_first"], "count": 65536}, (said["uids"], last)
held = sorted(k for k, v in last["structure"].items() if v)
assert held == sorted(said["structure"]["held"]), (held, said["structure"])
assert "own-keyring" in held and "no-core-dump" in held, held
assert said["structure"]["landlockAbi"] == last["landlock_abi"], last
PY
check "the ledger verifies" ctl ledger verify
daemon_stop
no_leaks "nothing is left: no cgroup, process, state, pin or mount"
finish
