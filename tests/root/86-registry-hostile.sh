#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A registry that somebody wrote who knows how: hostile names and values under a digest that is right.
# Nothing of that model starts or changes, the answer is one sentence without a control character,
# and the other models are listed and start as always.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# This test writes into custody's registry, which the guard refuses.
# shellcheck disable=SC2034 # read by daemon_start
HOUSE_NO_GUARD=1
house_open
PYTHON=/usr/bin/python3
MODELS=$ROOT/var/lib/custody/models
FILE=$MODELS/web/registry.json
PORT=$(free_port)
for name in web other; do
	profile $name "$PORT"
	sed -i "s|^path = .*||; s|--directory .*|--directory {model}|" "$ROOT/etc/custody/profiles/$name.ini"
done
echo hello >"$ROOT/model/index.html"
mkdir "$ROOT/evil"
echo evil >"$ROOT/evil/index.html"

daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
check "a model is registered" ctl model register web "$ROOT/model"
check "and another" ctl model register other "$ROOT/model"
cp "$FILE" "$ROOT/good.json"
restore() { rm -rf "$MODELS/web"; install -d -m 750 -g 60612 "$MODELS/web"; install -m 640 -g 60612 "$ROOT/good.json" "$FILE"; }
# write PYTHON: changes the registry r, or its version v, and writes it as custody does, digest and all
write() {
	$PYTHON - "$ROOT/good.json" "$FILE" "$1" <<'PY'
import copy, hashlib, json, sys
whole = json.load(open(sys.argv[1]))
r = whole["registry"]
v = r["versions"][0]
exec(sys.argv[3])
text = json.dumps(r, separators=(",", ":"), ensure_ascii=False)
whole["sha256"] = hashlib.sha256(text.encode()).hexdigest()
open(sys.argv[2], "w").write(json.dumps(whole, indent=2, ensure_ascii=False) + "\n")
PY
}
printable() { ! LC_ALL=C grep -q '[^[:print:][:space:]]' "$1"; }
# held TEXT EXIT WORDS: start, revoke and list, with the registry as it is now; then it is restored
held() {
	local bad="" got verb
	for verb in "start web" "model revoke web@1 --reason why" "model list web" "model list"; do
		got=0
		# shellcheck disable=SC2086 # words
		ctl $verb >"$ROOT/out" 2>&1 || got=$?
		[[ $verb == "model list"* ]] || [ "$got" = "$2" ] || bad+="$verb: exit $got: $(cat "$ROOT/out")"$'\n'
		[[ $verb == "model list" ]] || [ "$got" = 0 ] || grep -qE "$3" "$ROOT/out" || bad+="$verb said: $(cat "$ROOT/out")"$'\n'
		[ $got -le 4 ] || bad+="$verb: exit $got"$'\n'
		printable "$ROOT/out" || bad+="$verb: control characters"$'\n'
		[ "$verb" != "model list" ] || grep -q '^other' "$ROOT/out" || bad+="the other model is not listed"$'\n'
	done
	[ "$(state_of web)" = absent ] || [ "$(state_of web)" = stopped ] || bad+="web is $(state_of web)"$'\n'
	restore
	if [ -z "$bad" ]; then ok "$1"; else not_ok "$1" "$bad"; fi
}

write "pass"
check "what is written so is taken" cmp "$FILE" "$ROOT/good.json"
while IFS='|' read -r text change; do
	write "$change"
	held "$text" 3 "registry.json .*(not whole|another model's|no current one|no registry|not as custody wrote it|not well-formed|another version)"
done <<'TABLE'
terminal escapes in a directory|v["directory"] = "/srv/\x1b[2J"
a line in a signer|v["signer"] = "a\nb"
an escape in a reason|v["revoked"] = dict(time="2026-01-01T00:00:00Z", uid=0, why="\x1b]0;x\x07")
a directory that is no path|v["directory"] = "etc"
a directory longer than any|v["directory"] = "/" + "a" * 100000
a profile that is a path|v["profile"] = "../../../etc/passwd"
another model's name|r["model"] = "other"
a name that is a path|r["model"] = "../web"
a version of 2^32 + 1|v["version"] = 4294967297
a negative version|v["version"] = -1
a version that is text|v["version"] = "1"
a version that is a fraction|v["version"] = 1.0
a current one that there is not|r["current"] = 7
no current one|r["current"] = 0
a uid of 2^32|v["registered"]["uid"] = 4294967296
a time that is none|v["registered"]["time"] = "2026-13-41T00:00:00Z"
a time before all|v["registered"]["time"] = "0000-01-01T00:00:00Z"
a digest of capital letters|v["digest"] = v["digest"].upper()
a member more|v["command"] = "/bin/sh"
a member less|del v["revoked"]
no versions|r["versions"] = []
65 versions|r["versions"] = [dict(v, version=i + 1) for i in range(65)]
two versions of one number|r["versions"] = [v, copy.deepcopy(v)]
versions that are no list|r["versions"] = {"0": v}
another format|r["format"] = 2
TABLE
$PYTHON -c 'print("[" * 500000)' >"$FILE"
held "half a million brackets" 3 "not well-formed"
sed 's/"current": 1/"current": 1, "current": 1/' "$ROOT/good.json" >"$FILE"
held "a member twice" 3 "not well-formed"
printf '{"registry": {"model": "web\\u0000x"}, "sha256": ""}' >"$FILE"
held "a NUL in a name" 3 "registry.json"
rm -r "$MODELS/web"; ln -s other "$MODELS/web"
held "a link to another model's" 3 "cannot be read"

# What is well-formed and leads elsewhere: bytes are what counts.
write "v['directory'] = '$ROOT/evil'"
refused "another directory: its bytes are not those that were registered" 3 "not what was registered as web@1" ctl start web
write "v['directory'] = '$ROOT/var/lib/custody/keys'"
refused "custody's own keys as a model" 3 "var/lib/custody/keys" ctl start web
restore

# Names beside the models'.
ODD=($'\e[31mred' ... -rf "a b" $'new\nline' UPPER "$(printf 'a%.0s' {1..200})")
mkdir "${ODD[@]/#/$MODELS/}"
check "directories with names that are none" ctl model list other
ctl model list >"$ROOT/out" 2>&1
check "the list shows the models" eval 'grep -q "^other" "$ROOT/out" && grep -q "^web" "$ROOT/out"'
check "and no control character" printable "$ROOT/out"
rmdir "${ODD[@]/#/$MODELS/}"
check "restored, the model starts" ctl start web
check "and serves" wait_for 60 fetch "$PORT" index.html
check "stop" ctl stop web
check "the ledger is whole" ctl ledger verify
daemon_stop
rm -f "$ROOT"/run/custody/jails/*
no_leaks "nothing is left"
finish
