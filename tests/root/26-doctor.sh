#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# doctor: what is there, what is missing and what to do, as text and as JSON; its exit code says
# whether the default profile can be kept.
. "$(dirname "$0")/policy_lib.sh"

CTL=${CTL:-$BUILD/bin/custodyctl}
PYTHON=/usr/bin/python3
ask() { # ask JSON-FILE EXPRESSION over d (all) and c (checks by name)
	"$PYTHON" -c 'import json, sys
d = json.load(open(sys.argv[1])); c = {r["name"]: r for r in d["checks"]}
print(eval(sys.argv[2]))' "$1" "$2"
}

"$CTL" doctor >"$TMP/text"
is "$?" 0 "the default profile's requirements hold here"
for plane in structure cgroup observe; do
	like "$(cat "$TMP/text")" "^$plane +plane +present +yes +" "$plane is present"
done
unlike "$(cat "$TMP/text")" $'\033' "no colour in a file"
"$CTL" doctor --json >"$TMP/json"
is "$?" 0 "the same as JSON"
is "$(ask "$TMP/json" 'd["requirements_met"]')" True "which says so"
is "$(ask "$TMP/json" 'all(r["why"] for r in d["checks"])')" True "every row has its reason"
is "$(ask "$TMP/json" 'all(bool(r["remedy"]) == (r["state"] != "present") for r in d["checks"])')" True \
	"what is not present has a remedy, and nothing else has"
is "$(ask "$TMP/json" 'sorted(r["name"] for r in d["checks"] if r["kind"] == "plane")')" \
	"['cgroup', 'guard', 'limits', 'lsm', 'observe', 'structure']" "all six planes are there"

cp "$CTL" "$TMP/custodyctl" && chmod 755 "$TMP" "$TMP/custodyctl"
setpriv --reuid 65534 --regid 65534 --clear-groups "$TMP/custodyctl" doctor --json >"$TMP/nobody" 2>/dev/null
is "$?" 3 "without root they do not hold"
is "$(ask "$TMP/nobody" 'd["requirements_met"], c["root"]["state"], c["cgroup"]["state"]')" \
	"(False, 'missing', 'missing')" "and it says what is missing"
unshare -m --propagation private sh -c "umount $CGROUP2 && $CTL doctor --json" >"$TMP/nocgroup" 2>/dev/null
is "$?" 3 "without a cgroup2 mount they do not hold"
is "$(ask "$TMP/nocgroup" 'c["cgroup"]["remedy"].startswith("mount -t cgroup2")')" True "and it says how to mount one"
"$CTL" doctor more >/dev/null 2>&1
is "$?" 2 "an argument is a mistake"
plan_end
