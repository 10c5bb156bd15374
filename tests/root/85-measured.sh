#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a model must show before it starts: each condition of [model] admits a model that meets it and
# refuses one that does not, with a sentence and a record. Then the races: whatever happens to the
# model between its measurement and its start is refused, or does not reach the jail.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# This test puts gates in the place of custody's executables, which the guard refuses.
# shellcheck disable=SC2034 # read by daemon_start
HOUSE_NO_GUARD=1
house_open
command -v openssl >/dev/null || skip_all "needs openssl"
PYTHON=/usr/bin/python3
mkdir "$ROOT/bin" "$ROOT/keys" "$ROOT/work"
cp "$BIN"/* "$ROOT/bin/"
BIN=$ROOT/bin
PORT=$(free_port)
MODEL=$ROOT/model

key() { # key NAME: NAME.pem, NAME.pub
	openssl ecparam -genkey -name prime256v1 -noout -out "$ROOT/keys/$1.pem" 2>/dev/null
	openssl ec -in "$ROOT/keys/$1.pem" -pubout -out "$ROOT/keys/$1.pub" 2>/dev/null
}
key alice; key bob; key lab
# asks NAME LINES: a profile with these lines in [model]
asks() {
	profile "$1" "$PORT"
	/usr/bin/python3 - "$ROOT/etc/custody/profiles/$1.ini" "$2" <<'PY'
import sys
text = open(sys.argv[1]).read().replace("[process]", sys.argv[2] + "\n[process]", 1)
open(sys.argv[1], "w").write(text)
PY
}
sign() { "$BIN/custodyctl" --quiet model sign "$MODEL" --key "$ROOT/keys/$1.pem" >/dev/null; }
fresh() { # the model as it was, signed by alice
	rm -rf "$MODEL" "$MODEL.attestations"
	mkdir -p "$MODEL/sub"
	echo hello >"$MODEL/index.html"
	cp "$ROOT/work/weights.gguf" "$MODEL/weights.gguf"
	head -c 3000000 "$ROOT/work/random" >"$MODEL/sub/b.bin"
	chmod 600 "$MODEL/sub/b.bin"
	sign alice
}
# field NAME PYTHON: of the row of NAME, as JSON, r
field() {
	ctl status "$1" --json | $PYTHON -c 'import json, sys
r = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$2"
}
# recorded TEXT WORDS: the last record of a measurement says so
recorded() {
	local last
	last=$(ctl events --json | grep '"type":"measured"' | tail -1)
	grep -qE -- "$2" <<<"$last" && ok "$1" || not_ok "$1" "$last"
}
starts() { # starts TEXT NAME
	check "$1" ctl start "$2"
	ctl stop "$2" >/dev/null 2>&1
}
denied() { # denied TEXT WORDS NAME: refused, and on record with these words
	refused "$1" 3 "$2" ctl start "$3"
	recorded "$1: on record" '"refused"'
}

head -c 3000000 /dev/urandom >"$ROOT/work/random"
$PYTHON - "$ROOT/work" <<'PY'
import json, pickle, struct, sys, zipfile
top = sys.argv[1] + "/"
open(top + "weights.gguf", "wb").write(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
header = json.dumps({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}).encode()
open(top + "good.safetensors", "wb").write(struct.pack("<Q", len(header)) + header + b"abcd")
header = json.dumps({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 400]}}).encode()
open(top + "bad.safetensors", "wb").write(struct.pack("<Q", len(header)) + header + b"abcd")
class Evil:
    def __reduce__(self):
        return print, ("x",)
open(top + "evil.pkl", "wb").write(pickle.dumps(Evil()))
with zipfile.ZipFile(top + "torch.pt", "w") as z:
    z.writestr("archive/data.pkl", pickle.dumps(Evil()))
    z.writestr("archive/version", "3\n")
PY

asks plain ""
asks signed "require-signature = yes
trusted-keys = $ROOT/keys/alice.pub"
asks both "require-signature = yes
trusted-keys = $ROOT/keys/bob.pub $ROOT/keys/alice.pub"
asks bob "require-signature = yes
trusted-keys = $ROOT/keys/bob.pub"
asks nokey "require-signature = yes
trusted-keys = $ROOT/keys/nobody.pub"
asks elsewhere "require-signature = yes
trusted-keys = $ROOT/keys/alice.pub
signature = $ROOT/work/model.sig"
asks gguf "formats = gguf"
asks measure "measure = yes"
asks pickle "measure = yes
allow-pickle = yes"
asks elab "require-attestation = urn:test:red-team by $ROOT/keys/lab.pub
attestations = $ROOT/work/statements"
asks words "require-attestation = urn:test:red-team from $ROOT/keys/lab.pub"
asks lab "require-attestation = urn:test:red-team by $ROOT/keys/lab.pub"
fresh
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }

# ---- not measured ----
check "a model of which nothing is asked starts" ctl start plain
[ "$(field plain 'r["measured"]')" = None ] && ok "and is said not to be measured" || not_ok "and is said not to be measured" "$(field plain 'r["measured"]')"
ctl status plain | grep -q "not measured" && ok "in words too" || not_ok "in words too" "$(ctl status plain)"
ctl stop plain >/dev/null

# ---- signed ----
check "a signed model starts" ctl start signed
check "and serves" wait_for 10 fetch "$PORT" index.html
WANT=$("$BIN/custodyctl" model verify "$MODEL" --key "$ROOT/keys/alice.pub" --json | $PYTHON -c 'import json, sys
print(json.load(sys.stdin)["signed"]["digest"])')
[ "$(field signed 'r["measured"]["digest"]')" = "$WANT" ] && ok "its digest is the signature's" ||
	not_ok "its digest is the signature's" "$(field signed 'r["measured"]')"
[ "$(field signed 'r["measured"]["files"], r["measured"]["flags"], r["measured"]["formats"]')" = \
	"(3, ['signed', 'compared'], ['gguf'])" ] && ok "files, flags and formats are told" ||
	not_ok "files, flags and formats are told" "$(field signed 'r["measured"]')"
ctl ps | grep -q "${WANT:0:12}" && ok "ps shows the digest" || not_ok "ps shows the digest" "$(ctl ps)"
recorded "the ledger has it, of this jail" "\"digest\":\"$WANT\".*\"jail\":$(field signed 'r["jail_id"]'),\"name\":\"signed\""
daemon_kill
daemon_start || not_ok "custodyd says ready again"
[ "$(field signed 'r["measured"]["digest"]')" = "$WANT" ] && ok "the next custodyd knows it" ||
	not_ok "the next custodyd knows it" "$(field signed 'r["measured"]')"
check "it is retired" ctl retire signed
check "with evidence" ctl evidence export signed "$ROOT/evidence"
check "that verifies" "$BIN/custody-verify" "$ROOT/evidence" --key "$ROOT/var/lib/custody/ledger/ledger.pub"
$PYTHON - "$ROOT/evidence/statement.dsse.json" "$WANT" <<'PY' && ok "and names the weights" || not_ok "and names the weights"
import base64, json, sys
statement = json.loads(base64.b64decode(json.load(open(sys.argv[1]))["payload"]))
sys.exit(statement["predicate"]["weights"]["digest"]["sha256"] != sys.argv[2])
PY
starts "one of two trusted keys is enough" both

printf x >>"$MODEL/sub/b.bin"
denied "a byte more" "not what was signed: 1 changed.*sub/b.bin was changed" signed
fresh; flip "$MODEL/sub/b.bin" 1500000
denied "a byte changed" "sub/b.bin was changed" signed
fresh; rm "$MODEL/sub/b.bin"
denied "a file less" "1 missing.*sub/b.bin is missing" signed
fresh; echo new >"$MODEL/new.txt"
denied "a file more" "1 not signed.*new.txt is not signed" signed
fresh; rm "$MODEL/model.sig"
denied "no signature" "there is no model.sig" signed
fresh; sign bob
denied "a signature by somebody else" "signature is not one that is trusted" signed
fresh
denied "trust in somebody else" "signature is not one that is trusted" bob
denied "a key that is not there" "nokey.ini:[0-9]+ .model. trusted-keys: .*nobody.pub cannot be read" nokey
echo '{"a":1}' >"$MODEL/model.sig"
denied "a signature that is none" "signature is none" signed
fresh
$PYTHON - "$MODEL/model.sig" <<'PY'
import base64, json, sys
bundle = json.load(open(sys.argv[1]))
bundle["verificationMaterial"] = {
    "certificate": {"rawBytes": base64.b64encode(b"whatever").decode()},
    "tlogEntries": [{"logIndex": "1", "logId": {"keyId": "AA=="}, "integratedTime": "1"}]}
json.dump(bundle, open(sys.argv[1], "w"))
PY
denied "a signature by the sigstore method" \
	"signature is of a kind that is not verified: .*sigstore method.*custody does not verify.*Sign by a key or by a certificate" signed
fresh; ln -s weights.gguf "$MODEL/link"
denied "a link in the model" "symbolic link" signed
fresh; mkfifo "$MODEL/fifo"
denied "a FIFO in the model" "a FIFO" signed
fresh; mv "$MODEL/model.sig" "$ROOT/work/model.sig"
starts "a signature that lies elsewhere" elsewhere
mkfifo "$ROOT/work/f"; mv -f "$ROOT/work/f" "$ROOT/work/model.sig"
denied "a FIFO in its place is not waited for" "is no regular file" elsewhere
fresh
asks idle "trusted-keys = $ROOT/keys/alice.pub"
refused "trusted keys without require-signature would do nothing" 2 "set require-signature = yes" ctl profile check idle

# ---- formats ----
starts "GGUF, where GGUF is let in" gguf
cp "$ROOT/work/good.safetensors" "$MODEL/s"
denied "safetensors, where only GGUF is" "s is safetensors by its content, and only gguf is let in" gguf
rm "$MODEL/s"; cp "$ROOT/work/bad.safetensors" "$MODEL/s"
denied "a safetensors file that lies about its size" "^custodyctl: s: " measure
rm "$MODEL/s"; cp "$ROOT/work/evil.pkl" "$MODEL/weights.txt"
denied "a pickle, whatever it is called" "weights.txt is a pickle.*allow-pickle = yes" measure
starts "a pickle, where it is allowed" pickle
rm "$MODEL/weights.txt"; cp "$ROOT/work/torch.pt" "$MODEL/w.pt"
denied "a torch file, which holds pickles" "w.pt is .*torch.*may run what it says" measure
fresh
starts "the same without it" measure

# ---- statements ----
statement() { # statement KEY TYPE DIGEST OUT
	$PYTHON - "$ROOT/keys/$1.pem" "$2" "$3" "$4" <<'PY'
import base64, json, subprocess, sys
key, kind, digest, out = sys.argv[1:]
payload = json.dumps({"_type": "https://in-toto.io/Statement/v1", "predicateType": kind,
                      "subject": [{"name": "model", "digest": {"sha256": digest}}],
                      "predicate": {"passed": True}}).encode()
kind = b"application/vnd.in-toto+json"
pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
sig = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=pae, capture_output=True).stdout
json.dump({"payloadType": kind.decode(), "payload": base64.b64encode(payload).decode(),
           "signatures": [{"sig": base64.b64encode(sig).decode()}]}, open(out, "w"))
PY
}
DIGEST=$WANT
denied "no statement at all" "no statement of type urn:test:red-team by .*lab.pub about this model is in .*model.attestations" lab
mkdir "$MODEL.attestations"
statement bob urn:test:red-team "$DIGEST" "$MODEL.attestations/1.json"
denied "a statement by somebody else" "no statement of type" lab
statement lab urn:test:other "$DIGEST" "$MODEL.attestations/1.json"
denied "a statement of another type" "no statement of type" lab
statement lab urn:test:red-team "${DIGEST//[0-7]/8}" "$MODEL.attestations/1.json"
denied "a statement about another model" "no statement of type" lab
echo garbage >"$MODEL.attestations/0.json"
mkfifo "$MODEL.attestations/2.json"
statement lab urn:test:red-team "$DIGEST" "$MODEL.attestations/9.json"
check "the right one, among others" ctl start lab
[ "$(field lab 'r["measured"]["attestations"]')" = 1 ] && ok "and it is told" || not_ok "and it is told" "$(field lab 'r["measured"]')"
ctl stop lab >/dev/null
mkdir "$ROOT/work/statements"
denied "the right one, but elsewhere" "is in .*work/statements" elab
cp "$MODEL.attestations/9.json" "$ROOT/work/statements/"
starts "the right one, where the profile says" elab
$PYTHON - "$ROOT/work/statements/9.json" <<'PY'
import json, sys
whole = json.load(open(sys.argv[1]))
open(sys.argv[1], "w").write(" " * ((16 << 20) - len(json.dumps(whole))) + json.dumps(whole))
PY
starts "of 16 MiB, as long as one may be" elab
printf ' ' >>"$ROOT/work/statements/9.json"
denied "a byte longer" "no statement of type" elab
cp "$MODEL.attestations/9.json" "$ROOT/work/statements/"
for i in $(seq 130); do echo "{}" >"$ROOT/work/statements/x$i"; done
refused "too many to be looked at" 3 "holds more than can be looked at .128 files with the keys, 128 MiB" ctl start elab
rm "$ROOT"/work/statements/x*
for i in $(seq 13); do truncate -s 16M "$ROOT/work/statements/x$i"; done
refused "or too much" 3 "holds more than can be looked at .128 files with the keys, 128 MiB" ctl start elab
rm "$ROOT"/work/statements/x*
refused "TYPE by KEYFILE, and nothing else" 2 "write TYPE by KEYFILE" ctl profile check words
printf z >>"$MODEL/index.html"
denied "not of the model as it is now" "no statement of type" lab
fresh

# ---- between measurement and start ----
# gate: the jail is not built before $ROOT/go is there; the model has been measured by then.
mv "$BIN/custody-jail" "$BIN/real-jail"
printf '#!/bin/bash\ntouch %q\nwhile [ ! -e %q ]; do read -rt 0.02 <> <(:); done\nexec %q\n' \
	"$ROOT/held" "$ROOT/go" "$BIN/real-jail" >"$BIN/custody-jail"
chmod 755 "$BIN/custody-jail"
# race TEXT WORDS COMMAND...: the command runs between the two; WORDS: the refusal, "" when it starts
race() {
	local text=$1 words=$2 out status
	shift 2
	rm -f "$ROOT/go" "$ROOT/held"
	ctl start signed >"$ROOT/race.out" 2>&1 &
	local client=$!
	wait_for 20 test -e "$ROOT/held" || { not_ok "$text: held" "$(cat "$ROOT/race.out")"; touch "$ROOT/go"; wait $client; return; }
	"$@" >"$ROOT/race.cmd" 2>&1 || not_ok "$text: the race is run" "$(cat "$ROOT/race.cmd")"
	touch "$ROOT/go"
	wait $client; status=$?
	out=$(cat "$ROOT/race.out")
	if [ -z "$words" ]; then
		[ $status = 0 ] && ok "$text" || not_ok "$text" "exit $status: $out"
		return
	fi
	[ $status = 3 ] && grep -qE -- "$words" <<<"$out" && ok "$text" || not_ok "$text" "exit $status: $out"
	recorded "$text: on record" '"refused".*(changed between its measurement|cannot be compared)'
	# of jails that have stopped something stays to be retired
	out=$(leaks | grep -v '^state ')
	[ -z "$out" ] && ok "$text: nothing is left" || not_ok "$text: nothing is left" "$out"
}
rewrite() { # other bytes, and mtime as it was
	touch -r "$1" "$ROOT/work/time"
	printf evil | dd of="$1" bs=1 conv=notrunc && touch -r "$ROOT/work/time" "$1"
}
rename_over() { cp -p "$1" "$1.x" && mv "$1.x" "$1"; }
swap() { mv "$MODEL" "$MODEL.old" && mkdir "$MODEL" && echo evil >"$MODEL/index.html"; }
mount_over() { mount -t tmpfs none "$MODEL" && echo evil >"$MODEL/index.html"; }

race "nothing happens: it starts" "" true
ctl stop signed >/dev/null
race "a file is rewritten, and its mtime restored" "sub/b.bin is not as it was measured" rewrite "$MODEL/sub/b.bin"
fresh
race "a file is replaced by its copy" "weights.gguf is not as it was measured" rename_over "$MODEL/weights.gguf"
fresh
race "a file is added" "new is new" touch "$MODEL/new"
fresh
race "a file is removed" "sub/b.bin is gone" rm "$MODEL/sub/b.bin"
fresh
race "a file becomes a link" "symbolic link" ln -sf /etc/hostname "$MODEL/index.html"
fresh
race "a file becomes a FIFO, which nobody writes" "index.html.*FIFO" eval 'rm "$MODEL/index.html" && mkfifo "$MODEL/index.html"'
fresh
race "the mode of a file is changed" "index.html is not as it was measured" chmod 640 "$MODEL/index.html"
fresh
race "the directory is swapped: the jail has what was measured" "" swap
check "it serves" wait_for 10 fetch "$PORT" index.html
[ "$(fetch "$PORT" index.html)" = hello ] && ok "and serves the measured file" || not_ok "and serves the measured file" "$(fetch "$PORT" index.html)"
ctl stop signed >/dev/null
rm -rf "$MODEL"; mv "$MODEL.old" "$MODEL"
race "something is mounted over the directory: likewise" "" mount_over
check "it serves" wait_for 10 fetch "$PORT" index.html
[ "$(fetch "$PORT" index.html)" = hello ] && ok "and serves the measured file" || not_ok "and serves the measured file" "$(fetch "$PORT" index.html)"
ctl stop signed >/dev/null
umount "$MODEL"
# Nobody compares any more: the jail is not given its go.
kill_measurer() { kill -KILL "$(pgrep -P "$DAEMON" -f "^$BIN/custody-measurer")"; }
died() {
	refused "$1" 5 "custody-measurer ended in the middle" "${@:2}"
	recorded "$1: on record" '"refused".*custody-measurer ended in the middle'
}
rm -f "$ROOT/go" "$ROOT/held"
waits_and_dies() {
	ctl start signed & local client=$!
	wait_for 60 test -e "$ROOT/held" && kill_measurer
	wait $client; local status=$?
	touch "$ROOT/go"
	return $status
}
died "the measurer is killed while the jail is built: nothing starts" waits_and_dies
mv -f "$BIN/real-jail" "$BIN/custody-jail"

# ---- a kept measurement that is forged ----
# As root can, where no guard is: for other bytes, identity and digests all right. It is not believed.
CACHE=$ROOT/var/lib/custody/measured/signed
starts "measured and kept" signed
cp -p "$MODEL/sub/b.bin" "$ROOT/work/before"
BEFORE=$(stat -c '%.9Z' "$MODEL/sub/b.bin")
printf evil | dd of="$MODEL/sub/b.bin" bs=1 conv=notrunc 2>/dev/null
touch -r "$ROOT/work/before" "$MODEL/sub/b.bin"
$PYTHON - "$CACHE" "$BEFORE" "$(stat -c '%.9Z' "$MODEL/sub/b.bin")" <<'PY'
import hashlib, struct, sys
kept = open(sys.argv[1], "rb").read()
ns = [struct.pack("<q", int(t.replace(".", ""))) for t in sys.argv[2:]]
assert kept.count(ns[0]) == 1, "the time of its change stands there once"
kept = kept.replace(*ns)
head = 4 * 4 + 8 + 40 # struct measure_cache without its digest
bare = kept[:head] + bytes(32) + kept[head + 32:]
open(sys.argv[1], "wb").write(kept[:head] + hashlib.sha256(bare).digest() + kept[head + 32:])
PY
[ $? = 0 ] && ok "the kept measurement is forged" || not_ok "the kept measurement is forged"
denied "and not believed: the file is read" "sub/b.bin was changed" signed
grep -q "does not hold" "$ROOT/custodyd.log" && not_ok "it was well-formed" || ok "it was well-formed"
fresh

# ---- what is no file ----
mkfifo "$MODEL/pipe"
denied "a FIFO among the weights: nobody waits for its writer" "pipe.*FIFO" signed
rm "$MODEL/pipe"

# ---- the measurer itself ----
refused "run by hand" 2 "custodyd starts this program" "$BIN/custody-measurer"
mv "$BIN/custody-measurer" "$BIN/real-measurer"
printf '#!/bin/sh\nkill -KILL $$\n' >"$BIN/custody-measurer"
chmod 755 "$BIN/custody-measurer"
died "a measurer that dies: nothing starts" ctl start signed
refused "nor is anything registered" 5 "custody-measurer ended in the middle of the registration" \
	ctl model register signed "$MODEL"
recorded "which is on record too" '"refused".*in the middle of the registration'
# A table that the measurer could still change, or shorten, while custodyd reads it.
printf '#!/bin/sh\nLD_PRELOAD=%s exec %s\n' "$ROOT/work/unsealed.so" "$BIN/real-measurer" >"$BIN/custody-measurer"
cp "$TOP/build/root/unsealed_preload.so" "$ROOT/work/unsealed.so"
refused "a measurer that does not seal its table" 5 "sent what it may not send" ctl start signed
recorded "is on record" '"refused".*sent what it may not send'
mv -f "$BIN/real-measurer" "$BIN/custody-measurer"
starts "with it as it is, the model starts" signed
daemon_stop
rm -f "$ROOT"/run/custody/jails/*.state "$ROOT"/run/custody/jails/*.plan
no_leaks "nothing is left"
finish
