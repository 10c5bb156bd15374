#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The registry: versions that are registered, started, rolled back, revoked and retired, each with
# its record; what may not start does not, and says why; and whatever happens while it is written,
# afterwards it is what it was before, or what it was to become.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# This test loads a library into custodyd, writes into its directories and kills it.
# shellcheck disable=SC2034 # read by daemon_start
HOUSE_NO_GUARD=1
house_open
PRELOAD=$TOP/build/root/fault_preload.so
[ -e "$PRELOAD" ] || skip_all "needs build/root/fault_preload.so"
PYTHON=/usr/bin/python3
MODELS=$ROOT/var/lib/custody/models
PORT=$(free_port)
profile web "$PORT"
LONG_PORT=$(free_port)
profile long "$LONG_PORT"
sed -i '/^path = /d' "$ROOT"/etc/custody/profiles/{web,long}.ini
sed -i 's/--directory [^ ]*/--directory {model}/' "$ROOT"/etc/custody/profiles/{web,long}.ini
mkdir "$ROOT/fault"
head -c 40 /dev/zero >"$ROOT/fault/plan"

# model N: a directory of its own, that tells its number
model() { mkdir -p "$ROOT/v$1" && echo "version $1" >"$ROOT/v$1/index.html"; }
for i in 1 2 3 4 5 6 7 8 9; do model "$i"; done
# of NAME VERSION PYTHON: of that version of NAME, as `model list --json` shows it: m
of() {
	ctl model list "$1" --json | $PYTHON -c 'import json, sys
m = json.load(sys.stdin)["models"][int(sys.argv[1]) - 1]
print(eval(sys.argv[2]))' "$2" "$3"
}
# says NAME VERSION PYTHON WANT TEXT
says() {
	local is
	is=$(of "$1" "$2" "$3" 2>&1)
	if [ "$is" = "$4" ]; then ok "$5"; else not_ok "$5" "$3 is $is, not $4"; fi
}
# recorded TEXT PYTHON: a record of the registry says so: r
recorded() {
	local found
	found=$(ctl events --json | $PYTHON -c 'import json, sys
records = [json.loads(line) for line in sys.stdin]
print(any(eval(sys.argv[1]) for r in records if r["type"] == sys.argv[2]))' "$2" "${3:-model}" 2>&1)
	if [ "$found" = True ]; then ok "$1"; else not_ok "$1" "$found: $(ctl events --json | grep -E '"(model|measured)"' | tail -3)"; fi
}
count() { ctl model list "$1" --json | $PYTHON -c 'import json, sys; print(len(json.load(sys.stdin)["models"]))'; }
runs() { [ "$(state_of "$1")" = running ]; }
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }

# ---- one that runs while everything else is tried: it will have served well at the end ----
check "a model is registered by the profile of its name" ctl model register long "$ROOT/v9"
check "and started by its name alone" ctl start long
LONG_SINCE=$SECONDS

# ---- register ----
refused "nothing is registered under a new name" 3 "No model called web is registered" ctl model list web
check "a version is registered" ctl model register web "$ROOT/v1"
DIGEST=$(of web 1 'm["digest"]')
printf 'version 1\n' | sha256sum | $PYTHON -c 'import hashlib, sys
print(hashlib.sha256(bytes.fromhex(sys.stdin.read().split()[0])).hexdigest())' >"$ROOT/want"
if [ "$DIGEST" = "$(cat "$ROOT/want")" ]; then ok "with the root digest of OpenSSF Model Signing"
else not_ok "with the root digest of OpenSSF Model Signing" "$DIGEST, not $(cat "$ROOT/want")"; fi
says web 1 '[m["current"], m["state"], m["profile"], m["directory"]]' "[True, 'active', 'web', '$ROOT/v1']" \
	"current, active, with profile and directory"
says web 1 '[m["registered"]["uid"], m["served_well"], m["signer"]]' "[0, None, None]" "who and when, and no more than is known"
recorded "and the ledger has it" "r['change'] == 'registered' and r['name'] == 'web' and r['version'] == 1 and r['digest'] == '$DIGEST'"
check "the file is text that people can read" grep -q '"directory": "'"$ROOT/v1"'"' "$MODELS/web/registry.json"
if [ "$(stat -c '%a %u %g' "$MODELS" "$MODELS/web" "$MODELS/web/registry.json" | tr '\n' ,)" = "750 0 60612,750 0 60612,640 0 60612," ]; then
	ok "root's, and the planner may read it"
else
	not_ok "root's, and the planner may read it" "$(stat -c '%a %u %g %n' "$MODELS" "$MODELS/web" "$MODELS/web/registry.json")"
fi

# ---- start ----
check "start NAME starts it, with profile and directory from the registry" ctl start web
check "that very directory" wait_for 10 eval 'fetch "$PORT" index.html | grep -q "version 1"'
if ctl status web --json | $PYTHON -c 'import json, sys
r = json.load(sys.stdin); sys.exit(0 if r["version"] == 1 and r["measured"]["digest"] == sys.argv[1] else 1)' "$DIGEST"; then
	ok "status says which version it is, and what was measured"
else not_ok "status says which version it is, and what was measured" "$(ctl status web --json)"; fi
says web 1 'm["served_well"]' None "it has not served well yet"
check "stopped in order" ctl stop web
says web 1 'm["served_well"]["why"]' "it was stopped in order" "by which it has served well"
recorded "which is on record" "r['change'] == 'served-well' and r['version'] == 1"

# ---- what does not count ----
check "a second version" ctl model register web "$ROOT/v2"
says web 2 'm["current"]' True "is the current one from now on"
says web 1 'm["current"]' False "and the first no more"
check "start takes the second" ctl start web
check "its bytes are served" wait_for 10 eval 'fetch "$PORT" index.html | grep -q "version 2"'
check "frozen" ctl freeze web
check "and stopped so" ctl stop web
says web 2 'm["served_well"]' None "frozen is not serving well"
check "it starts again" ctl start web@2
pkill -SEGV -f "http.server $PORT" -P "$(pgrep -f "custody-jail" -P "$DAEMON" | tail -1)" 2>/dev/null ||
	kill -SEGV "$(cat "$CGROUP"/web-*/model/cgroup.procs | tail -1)"
check "and dies by itself" wait_for 10 eval '[ "$(state_of web)" = stopped ]'
says web 2 'm["served_well"]' None "an end by itself is not serving well"

# ---- rollback ----
check "while it runs" ctl start web
refused "no rollback without --restart" 3 "running.*--restart" ctl model rollback web
says web 2 'm["current"]' True "and nothing has changed"
check "rollback --restart goes back to the one that served well" ctl model rollback web --restart
says web 1 'm["current"]' True "which is current again"
check "and runs" wait_for 10 eval 'fetch "$PORT" index.html | grep -q "version 1"'
recorded "on record" "r['change'] == 'rolled-back' and r['version'] == 1 and r['requester_uid'] == 0"
check "stopped" ctl stop web
refused "there is none before the first" 3 "none to go back to" ctl model rollback web
says web 2 'm["served_well"]["why"]' "it was stopped in order" "the restart had stopped the second in order"
check "forward again, by number: it has served well by now" ctl model rollback web@2
says web 2 'm["current"]' True "it is current"
refused "to itself" 3 "web@2 is the current version" ctl model rollback web@2

# ---- refusals of a start ----
refused "another profile than the registered one" 3 "registered with the profile web, not long" ctl start web --profile long
refused "another directory" 3 "registered as the directory $ROOT/v2" ctl start web --model "$ROOT/v1"
check "the same ones are no conflict" ctl start web@1 --profile web --model "$ROOT/v1"
check "stopped" ctl stop web
refused "run is held to it too" 3 "registered as the directory" ctl run --name web --model "$ROOT/v3" -- /bin/true
refused "a version that there is not" 3 "no version 7 of web; there are 1 to 2" ctl start web@7
refused "a version of what is not registered" 3 "No model called nosuch is registered" ctl start nosuch@1
for bad in web@0 web@65 web@ web@1x web@-1 web@1@2; do
	refused "no version at all: $bad" 2 "number of a version|The name must" ctl start "$bad"
done
no_leaks_but_long() {
	local left
	left=$(leaks | grep -v "/long-\|jails/[0-9]" | grep -v "^process")
	if [ -z "$left" ]; then ok "$1"; else not_ok "$1" "$left"; fi
}
no_leaks_but_long "nothing half-made is left"

echo "version 2, and one byte" >"$ROOT/v2/index.html"
refused "bytes that are not those that were registered" 3 "is not what was registered as web@2: its digest is [0-9a-f]{16}" ctl start web
recorded "the refusal is on record" "r['name'] == 'web' and 'not what was registered' in (r['why'] or '')" measured
echo more >"$ROOT/v1/extra"
refused "a file more" 3 "not what was registered as web@1" ctl start web@1
rm "$ROOT/v1/extra"
model 2
check "the bytes are back, and so is the model" ctl start web
check "stopped" ctl stop web

# ---- what cannot be registered ----
refused "a directory that is not there" 2 "cannot be used" ctl model register web "$ROOT/absent"
refused "a file" 3 "no directory" ctl model register web "$ROOT/v1/index.html"
mkdir "$ROOT/odd"
mkfifo "$ROOT/odd/pipe"
refused "a FIFO among the files" 3 "pipe" ctl model register web "$ROOT/odd"
rm "$ROOT/odd/pipe"
mknod "$ROOT/odd/null" c 1 3
refused "a device" 3 "null" ctl model register web "$ROOT/odd"
rm "$ROOT/odd/null"
ln -s /etc/passwd "$ROOT/odd/link"
refused "a link" 3 "link" ctl model register web "$ROOT/odd"
recorded "what was not registered is on record" "r['name'] == 'web' and 'refused' in r['flags'] and r['jail'] == 0" measured
rm "$ROOT/odd/link"
refused "a profile that there is not" 2 "no profile nosuch.ini" ctl model register web "$ROOT/v3" --profile nosuch
refused "a signature that nobody would verify" 3 "require-signature = yes" ctl model register web "$ROOT/v3" --signature "$ROOT/v3/index.html"
refused "a card that is a directory" 3 "card is no regular file" ctl model register web "$ROOT/v3" --card "$ROOT/v1"
for bad in ../web Web/x .web -- "web web" "$(printf 'a%.0s' {1..64})"; do
	refused "a name that is none: $bad" 2 "name|takes|option|long" ctl model register "$bad" "$ROOT/v3"
done
refused "a reason is needed" 2 "reason" ctl model revoke web
refused "that is text" 3 "not text" ctl model revoke web --reason $'\e[2J'
if [ "$(count web)" = 2 ]; then ok "two versions are there, as before"; else not_ok "two versions are there, as before" "$(count web)"; fi

# ---- a signature that lies beside the model ----
openssl ecparam -genkey -name prime256v1 -noout -out "$ROOT/key.pem" 2>/dev/null
openssl ec -in "$ROOT/key.pem" -pubout -out "$ROOT/key.pub" 2>/dev/null
sed "s|^\[process\]|[model]\nrequire-signature = yes\ntrusted-keys = $ROOT/key.pub\n&|" \
	"$ROOT/etc/custody/profiles/web.ini" >"$ROOT/etc/custody/profiles/signed.ini"
refused "a model that is not signed, by a profile that asks for it" 3 "the model is not signed" ctl model register signed "$ROOT/v5"
ctl model sign "$ROOT/v5" --key "$ROOT/key.pem" --out "$ROOT/v5.sig" >/dev/null
check "with its signature it is registered" ctl model register signed "$ROOT/v5" --signature "$ROOT/v5.sig" --card "$ROOT/v9/index.html"
HINT=$(sha256sum <"$ROOT/key.pub" | cut -d' ' -f1)
says signed 1 '[m["signature"], m["signer"], m["card"]]' "['$ROOT/v5.sig', 'key $HINT', '$ROOT/v9/index.html']" \
	"signature, signer and card are in the registry"
says signed 1 'm["fingerprints"]["state"]' good "and its fingerprints"
says signed 1 '[m["registered"]["uid"], m["registered"]["time"][:3], m["registered"]["time"][-1]]' "[0, '202', 'Z']" "who and when"
check "it starts" ctl start signed@1
check "stopped" ctl stop signed
ctl model sign "$ROOT/v6" --key "$ROOT/key.pem" --out "$ROOT/v5.sig" >/dev/null
refused "with another model's signature in its place it does not" 3 "not what was signed" ctl start signed
rm "$ROOT/v5.sig"
refused "nor without one" 3 "v5.sig cannot be read" ctl start signed

# ---- who ----
reader() { setpriv --reuid=65534 --regid=65534 --groups=60616 "$BIN/custodyctl" --root "$ROOT" "$@"; }
stranger() { setpriv --reuid=65534 --regid=65534 --clear-groups "$BIN/custodyctl" --root "$ROOT" "$@"; }
check "who may read may list" reader model list web
refused "and change nothing" 3 "root" reader model revoke web --reason "no reason"
refused "and register nothing" 3 "root" reader model register web /usr
refused "others may not even list" 3 "Only root" stranger model list

# ---- revoke ----
check "a third version" ctl model register web "$ROOT/v3" --card "$ROOT/v1/index.html"
says web 3 'm["card"]' "$ROOT/v1/index.html" "with its card"
check "starts" ctl start web
check "revoked while it runs" eval 'ctl model revoke web --reason "it leaks, see 7; ☃" | grep -q "still running"'
check "stopped" ctl stop web
refused "it does not start: why, by whom" 3 'web@3 was revoked on 20.*by uid 0: it leaks, see 7; ☃.*rollback' ctl start web
refused "not by its number either" 3 'was revoked' ctl start web@3
refused "nor by rollback" 3 'current version' ctl model rollback web@3
refused "nor under another number" 3 'byte for byte, web@3, which was revoked' ctl model register web "$ROOT/v3"
refused "once is enough" 3 'was revoked' ctl model revoke web@3 --reason again
recorded "on record, with the reason" "r['change'] == 'revoked' and r['version'] == 3 and r['why'].startswith('it leaks')"
check "rollback goes to the second" ctl model rollback web
says web 2 'm["current"]' True "which is current"
check "it starts" ctl start web
check "stopped" ctl stop web

# ---- retire ----
check "the second runs" ctl start web
ctl retire web >"$ROOT/retired" 2>&1
RETIRED=$?
if [[ $RETIRED =~ ^[014]$ ]]; then ok "and is retired"; else not_ok "and is retired" "exit $RETIRED: $(cat "$ROOT/retired")"; fi
says web 2 'm["state"]' retired "the registry says so"
recorded "on record" "r['change'] == 'retired' and r['version'] == 2"
refused "a retired version does not start" 3 'web@2 was retired on' ctl start web
refused "and is not rolled back to" 3 'current version' ctl model rollback web@2
check "the first still may be" ctl model rollback web
refused "from which there is no way to the retired one" 3 'which would be rolled back to, was retired' ctl model rollback web@2
check "its evidence is exported" ctl evidence export web "$ROOT/evidence"
"$BIN/custody-verify" "$ROOT/evidence" --key "$ROOT/var/lib/custody/ledger/ledger.pub" >"$ROOT/verified" 2>&1
if [ $? = $RETIRED ]; then ok "and verified, with the registry's records among its own"; else not_ok "and verified, with the registry's records among its own" "$(cat "$ROOT/verified")"; fi
check "the ledger is whole" ctl ledger verify

# ---- damage ----
cp "$MODELS/web/registry.json" "$ROOT/good.json"
damaged() { # damaged TEXT WORDS: nothing of web starts or changes, and the list shows the others
	refused "$1: no start" 3 "$2" ctl start web
	refused "$1: no change" 3 "$2" ctl model revoke web@1 --reason "whatever it is"
	refused "$1: the list shows the others, and says so" 4 "$2" ctl model list
	check "$1: the others" eval 'ctl model list 2>/dev/null | grep -q ^long'
	rm -rf "$MODELS/web/registry.json"
	install -m 640 -g 60612 "$ROOT/good.json" "$MODELS/web/registry.json"
}
sed -i 's/"revoked": {/"revoked": null, "was": {/' "$MODELS/web/registry.json"
damaged "an edit by hand that takes a revocation back" "web/registry.json .*holds a version that is not whole.*restored"
sed -i 's/it leaks/all good/' "$MODELS/web/registry.json"
damaged "another reason" "damaged, or changed by hand"
truncate -s 500 "$MODELS/web/registry.json"
damaged "cut off" "not well-formed JSON"
: >"$MODELS/web/registry.json"
damaged "empty" "not well-formed JSON"
rm "$MODELS/web/registry.json"; mkfifo "$MODELS/web/registry.json"
damaged "a FIFO in its place" "cannot be read"
rm "$MODELS/web/registry.json"; ln -s "$ROOT/good.json" "$MODELS/web/registry.json"
damaged "a link in its place" "cannot be read"
head -c 2000000 /dev/zero >"$MODELS/web/registry.json"
damaged "longer than any" "cannot be read"
cp "$MODELS/long/registry.json" "$MODELS/web/registry.json"
damaged "another model's" "another model's"
check "restored, it is as it was" ctl start web
check "stopped" ctl stop web

# ---- full, locked ----
exec {LOCK}<"$MODELS"
flock -x "$LOCK"
refused "another writer holds the lock" 3 "another process holds the lock" ctl model register web "$ROOT/v4"
exec {LOCK}<&-
recorded "what was recorded before it could be written is taken back" "r['change'] == 'registered' and r['version'] == 4 and r['failed']"
if [ "$(count web)" = 3 ]; then ok "nothing was changed"; else not_ok "nothing was changed" "$(count web)"; fi
mkdir "$ROOT/saved"
cp -a "$MODELS/." "$ROOT/saved/"
mount -t tmpfs -o size=32k,mode=0750,gid=60612 small "$MODELS"
cp -a "$ROOT/saved/." "$MODELS/"
head -c 64k /dev/zero >"$MODELS/fill" 2>/dev/null
refused "a full disk" 3 "cannot be written.*No space.*Make room" ctl model register web "$ROOT/v4"
check "and what was there is there" cmp "$MODELS/web/registry.json" "$ROOT/good.json"
umount "$MODELS"
for i in $(seq 126); do mkdir "$MODELS/empty$i"; done
refused "a registry with 128 models takes no other" 3 "The registry is full" ctl model register other "$ROOT/v4" --profile web
rmdir "$MODELS"/empty*
$PYTHON - "$MODELS/web/registry.json" <<'PY'
import hashlib, json, sys
whole = json.load(open(sys.argv[1]))
r = whole["registry"]
while len(r["versions"]) < 64:
	r["versions"].append(dict(r["versions"][0], version=len(r["versions"]) + 1))
text = json.dumps(r, separators=(",", ":"), ensure_ascii=False)
whole["sha256"] = hashlib.sha256(text.encode()).hexdigest()
open(sys.argv[1], "w").write(json.dumps(whole, indent=2, ensure_ascii=False) + "\n")
PY
check "64 versions are listed" eval '[ "$(count web)" = 64 ]'
refused "and a 65th is not taken" 3 "The registry of web is full" ctl model register web "$ROOT/v4"
install -m 640 -g 60612 "$ROOT/good.json" "$MODELS/web/registry.json"

# ---- at the same time ----
for i in 4 5 6 7; do ctl model register same "$ROOT/v$i" --profile web >"$ROOT/same$i" 2>&1 & done
for job in $(jobs -p); do [ "$job" = "$DAEMON" ] || wait "$job"; done
if [ "$(count same)" = 4 ] && [ "$(ctl model list same --json | grep -c '"directory"')" = 4 ] &&
	[ "$(for i in 1 2 3 4; do of same $i 'm["directory"]'; done | sort -u | wc -l)" = 4 ]; then
	ok "four at once: four versions, none lost"
else not_ok "four at once: four versions, none lost" "$(ctl model list same; cat "$ROOT"/same*)"; fi

# ---- 30 seconds ----
LEFT=$((32 - (SECONDS - LONG_SINCE)))
[ $LEFT -le 0 ] || nap $LEFT
long_served() { [ "$(of long 1 'm["served_well"]["why"]' 2>/dev/null)" = "it ran for 30 seconds" ]; }
check "the one that ran all the while has served well" wait_for 10 long_served
daemon_stop
daemon_start || not_ok "custodyd starts again" "$(cat "$ROOT/custodyd.log")"
check "another custodyd knows all of it" eval '[ "$(count same)" = 4 ] && [ "$(count web)" = 3 ] && runs long'
check "and which version runs" eval 'ctl status long --json | grep -q "\"version\": 1"'
check "which is stopped" ctl stop long

# ---- crashes: at each call that could leave something half-written ----
daemon_stop
le32() { printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }
# arm KIND N ERROR: the Nth call of that kind fails with ERROR; 9999 kills
# shellcheck disable=SC2059 # made by le32
arm() { printf "$(le32 "$1")$(le32 "$2")$(le32 "$3")$(le32 0)$(le32 0)$(le32 0)" 1<>"$ROOT/fault/plan"; }
fired() { local words; read -ra words < <(od -An -v -w32 -td4 -N 32 "$ROOT/fault/plan"); [ "${words[3]}" != 0 ]; }
disarm() { printf '\0\0\0\0' 1<>"$ROOT/fault/plan"; }
faulty_start() {
	: >"$ROOT/custodyd.log"
	LD_PRELOAD=$PRELOAD FAULT_FILE=$ROOT/fault/plan "$BIN/custodyd" --root "$ROOT" --no-guard \
		2>>"$ROOT/custodyd.log" &
	DAEMON=$!
	wait_for 120 daemon_serves
}
gone() { ! kill -0 "$DAEMON" 2>/dev/null || grep -qs '^State:[[:space:]]*Z' "/proc/$DAEMON/status"; }
# crash KIND WORDS NAME: register, killed at the 1st, 2nd, ... call of the kind until none is left;
# a new model each time (NAME and a number), but for long, which is there. The custodyd that is
# started on what a killed one left is the next to be killed.
crash() {
	local n name before after problems="" points=0
	faulty_start || { not_ok "custodyd starts" "$(cat "$ROOT/custodyd.log")"; return; }
	for n in $(seq 60); do
		name=$3
		[ "$3" = long ] || name=$3$n
		before=$(count "$name" 2>/dev/null || echo 0)
		arm "$1" "$n" 9999
		timeout 30 "$BIN/custodyctl" --root "$ROOT" model register "$name" "$ROOT/v8" --profile web >"$ROOT/out" 2>&1
		fired || { disarm; break; }
		disarm
		points=$n
		wait_for 10 gone || { problems+="$n: custodyd lives"$'\n'; break; }
		wait "$DAEMON" 2>/dev/null
		faulty_start || { problems+="$n: custodyd does not start again: $(cat "$ROOT/custodyd.log")"; break; }
		after=$(count "$name" 2>/dev/null || echo 0)
		[ "$after" = "$before" ] || [ "$after" = $((before + 1)) ] || problems+="$n: $before versions, then $after"$'\n'
		ctl model list >"$ROOT/out" 2>&1 || problems+="$n: $(cat "$ROOT/out")"$'\n'
	done
	daemon_stop
	[ "$points" -gt 0 ] || problems+="nothing was tried"
	if [ -z "$problems" ]; then ok "killed at each of $points $2: the registry is the old or the new one"
	else not_ok "killed at each of $points $2: the registry is the old or the new one" "$problems"; fi
}
crash 3 "fsyncs of a first version" synced
crash 3 "fsyncs of a further version" long
crash 2 "writes" written
crash 8 "opens, mkdirs and renames" opened

# fail KIND WORDS ERROR NAME: likewise, but the call fails
fail() {
	local n name before after r problems="" points=0
	faulty_start || { not_ok "custodyd starts"; return; }
	for n in $(seq 60); do
		name=$4
		[ "$4" = long ] || name=$4$n
		before=$(count "$name" 2>/dev/null || echo 0)
		arm "$1" "$n" "$3"
		timeout 30 "$BIN/custodyctl" --root "$ROOT" model register "$name" "$ROOT/v8" --profile web >"$ROOT/out" 2>&1
		r=$?
		fired || { disarm; break; }
		disarm
		points=$n
		after=$(count "$name" 2>/dev/null || echo 0)
		if [ $r = 0 ]; then
			[ "$after" = $((before + 1)) ] || problems+="$n: done, and not so"$'\n'
		elif [ "$after" != "$before" ] && ! grep -q "power cut" "$ROOT/out"; then
			problems+="$n: refused ($(cat "$ROOT/out")), and $after versions"$'\n'
		fi
		[[ $(cat "$ROOT/out") =~ [a-z].*\. ]] || problems+="$n: no sentence: $(cat "$ROOT/out")"$'\n'
	done
	[ "$points" -gt 0 ] || problems+="nothing was tried"
	daemon_stop
	if [ -z "$problems" ]; then ok "$points $2 that fail: a sentence, and the registry as it says"
	else not_ok "$points $2 that fail: a sentence, and the registry as it says" "$problems"; fi
}
fail 3 "fsyncs of a first version" 5 unsynced
fail 3 "fsyncs of a further version" 5 long
fail 2 "writes" 28 unwritten
fail 8 "opens, mkdirs and renames" 23 unopened

daemon_start || not_ok "custodyd starts at last" "$(cat "$ROOT/custodyd.log")"
for name in long web signed; do ctl retire $name >/dev/null 2>&1; done
check "the ledger is whole after all that" ctl ledger verify
check "and so is every registry" ctl model list
daemon_stop
no_leaks "nothing is left"
finish
