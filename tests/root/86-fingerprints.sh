#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The fingerprints of a registered model: made when it is registered, found again at any offset of
# any file, noticed when they are lost or changed, and made again by the next start. And what a
# terminal shows while a model is read.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# This test writes into custodyd's directories.
# shellcheck disable=SC2034 # read by daemon_start
HOUSE_NO_GUARD=1
house_open
HASH=$TOP/build/root/hash_driver
FIND=$TOP/build/root/find_driver
PRELOAD=$TOP/build/root/verity_preload.so
[ -x "$HASH" ] && [ -x "$FIND" ] && [ -e "$PRELOAD" ] || skip_all "needs what make root builds"
mkdir "$ROOT/bin"
cp "$BIN"/* "$ROOT/bin/"
BIN=$ROOT/bin
PYTHON=/usr/bin/python3
MODELS=$ROOT/var/lib/custody/models
PORT=$(free_port)
profile web "$PORT"
sed -i '/^path = /d; s/--directory [^ ]*/--directory {model}/' "$ROOT/etc/custody/profiles/web.ini"
mkdir -p "$ROOT/m/sub" "$ROOT/n"
echo hello >"$ROOT/m/index.html"
head -c 3000000 /dev/urandom >"$ROOT/m/sub/a.bin"
head -c 5000001 /dev/urandom >"$ROOT/m/b.bin"
head -c 100 /dev/zero >"$ROOT/n/zeros"
ALL=$((6 + 3000000 + 5000001))

# of VERSION PYTHON: of that version of web, as `model list --json` shows it: m
of() {
	ctl model list web --json 2>/dev/null | $PYTHON -c 'import json, sys
m = json.load(sys.stdin)["models"][int(sys.argv[1]) - 1]
print(eval(sys.argv[2]))' "$1" "$2"
}
# is TEXT WANT IS
is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "$3, not $2"; fi; }
# recorded TEXT PYTHON: r is a record of the registry
recorded() {
	local found
	found=$(ctl events --json | $PYTHON -c 'import json, sys
records = [json.loads(line) for line in sys.stdin]
print(any(eval(sys.argv[1]) for r in records if r["type"] == "model"))' "$2" 2>&1)
	is "$1" True "$found"
}
read_bytes() { ctl status web --json | $PYTHON -c 'import json, sys; print(json.load(sys.stdin)["measured"]["bytes_read"])'; }
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }

# ---- made ----
check "a model is registered" ctl model register web "$ROOT/m"
INDEX=$(of 1 'm["fingerprints"]["file"]')
DIGEST=$(of 1 'm["fingerprints"]["digest"]')
is "and has fingerprints, beside the registry" "$MODELS/web/fingerprints-$DIGEST" "$INDEX"
is "which custodyctl finds good" good "$(of 1 'm["fingerprints"]["state"]')"
is "the digest is that of the file" "$DIGEST" "$(sha256sum <"$INDEX" | cut -d' ' -f1)"
is "it is root's alone" "600 0 0" "$(stat -c '%a %u %g' "$INDEX")"
is "nothing half-written lies beside it" "fingerprints-$DIGEST registry.json" "$(ls -A "$MODELS/web" | tr '\n' ' ' | sed 's/ $//')"
recorded "the ledger has the digest" "r['change'] == 'registered' and r['fingerprints'] == '$DIGEST'"
check "by itself the model has that index" "$HASH" "$ROOT/m" 1 0 "$ROOT/index"
check "byte for byte" cmp "$INDEX" "$ROOT/index"
check "the same again is another version" ctl model register web "$ROOT/m"
is "with the same file" "$INDEX" "$(of 2 'm["fingerprints"]["file"]')"
check "a model of zeros, which nothing could be known by" ctl model register zeros "$ROOT/n" --profile web
read -r VALUES _ < <("$FIND" "$(ctl model list zeros --json | $PYTHON -c 'import json, sys
print(json.load(sys.stdin)["models"][0]["fingerprints"]["file"])')" "$ROOT/n/zeros")
is "has an index without values" 0 "$VALUES"

# ---- found ----
found() { "$FIND" "$INDEX" "$1"; }
head -c 4000000 /dev/urandom >"$ROOT/other"
read -r VALUES SEEN _ < <(found "$ROOT/other")
is "in a file of other bytes nothing of it is found" 0 "$SEEN"
check "it has about one value for each 16 KiB" test "$VALUES" -ge $((ALL / 16384 / 2)) -a "$VALUES" -le $((ALL / 16384))
{ head -c 12345 "$ROOT/other"; cat "$ROOT/m/sub/a.bin"; tail -c 777 "$ROOT/other"; } >"$ROOT/copy"
read -r _ A_SEEN _ < <(found "$ROOT/m/sub/a.bin")
read -r _ SEEN _ < <(found "$ROOT/copy")
check "one of its files has a part of them" test "$A_SEEN" -gt $((VALUES / 5)) -a "$A_SEEN" -lt $((VALUES * 3 / 5))
is "copied to an odd offset of another, all of those are found" "$A_SEEN" "$SEEN"
{ head -c 54321 "$ROOT/other"; tail -c +1000002 "$ROOT/m/b.bin" | head -c 1000001; } >"$ROOT/piece"
read -r _ SEEN _ < <(found "$ROOT/piece")
check "a piece of 1 MB of the other, likewise" test "$SEEN" -ge 20

# ---- lost, changed ----
starts() { # starts TEXT BYTES: it starts, and so many bytes are read; the index is good afterwards
	check "$1: it starts" ctl start web@1
	is "$1: $2 bytes are read" "$2" "$(read_bytes)"
	check "$1: it stops" ctl stop web
	is "$1: the index is good" good "$(of 1 'm["fingerprints"]["state"]')"
	check "$1: and what it was" cmp "$INDEX" "$ROOT/index"
}
says() { grep -q "made again" "$ROOT/custodyd.log"; }
starts "an index that is there" "$ALL"
if says; then not_ok "is not made again" "$(cat "$ROOT/custodyd.log")"; else ok "is not made again"; fi
flip "$INDEX" 200
refused "a byte changed: the list says so" 1 "not those that were registered" ctl model list web
is "in JSON too" changed "$(of 1 'm["fingerprints"]["state"]')"
rm "$INDEX"
refused "gone: the list says so" 1 "are not there.*next start" ctl model list web
is "in JSON too" missing "$(of 1 'm["fingerprints"]["state"]')"
starts "gone" "$ALL"
check "custodyd's log says why it was read" says
truncate -s -8 "$INDEX"
starts "cut off" "$ALL"
chmod 644 "$INDEX"
starts "one that others may read" "$ALL"
is "which they may no more" 600 "$(stat -c %a "$INDEX")"
mv "$INDEX" "$ROOT/elsewhere"; ln -s "$ROOT/elsewhere" "$INDEX"
starts "a link in its place" "$ALL"
is "which is none any more" "regular file" "$(stat -c %F "$INDEX")"
rm "$INDEX"; mkfifo "$INDEX"
starts "a FIFO in its place" "$ALL"
rm "$INDEX"; echo x >>"$ROOT/m/b.bin"
refused "of other bytes than the version's none is made" 3 "not what was registered as web@1" ctl start web@1
check "it is still missing" test ! -e "$INDEX"
truncate -s -2 "$ROOT/m/b.bin"
starts "with the bytes as they were" "$ALL"
reader() { setpriv --reuid=65534 --regid=65534 --groups=60616 "$BIN/custodyctl" --root "$ROOT" "$@"; }
is "who may list, and not read it, is told no more" unreadable \
	"$(reader model list web --json | $PYTHON -c 'import json, sys; print(json.load(sys.stdin)["models"][0]["fingerprints"]["state"])')"

# ---- a version that was registered without ----
daemon_stop
rm "$INDEX"
$PYTHON - "$MODELS/web/registry.json" <<'PY'
import hashlib, json, sys
whole = json.load(open(sys.argv[1]))
for version in whole["registry"]["versions"]:
    version["fingerprints"] = ""
text = json.dumps(whole["registry"], separators=(",", ":"), ensure_ascii=False)
whole["sha256"] = hashlib.sha256(text.encode()).hexdigest()
open(sys.argv[1], "w").write(json.dumps(whole, indent=2, ensure_ascii=False) + "\n")
PY
daemon_start || not_ok "custodyd says ready again"
is "a version that was registered without has none" None "$(of 1 'm["fingerprints"]')"
check "it starts" ctl start web@1
has_index() { [ "$(of 1 'm["fingerprints"] and m["fingerprints"]["state"]')" = good ]; }
check "and has one then" wait_for 60 has_index
check "the same as ever" cmp "$INDEX" "$ROOT/index"
recorded "on record" "r['change'] == 'fingerprinted' and r['version'] == 1 and r['fingerprints'] == '$DIGEST' and r['requester_uid'] == 0"
is "the other version has none yet" None "$(of 2 'm["fingerprints"]')"
check "stopped" ctl stop web

# ---- a version that the kernel knows, as if it had fs-verity: read once, and not again ----
mv "$BIN/custody-measurer" "$BIN/real-measurer"
printf '#!/bin/sh\nLD_PRELOAD=%q exec %q\n' "$PRELOAD" "$BIN/real-measurer" >"$BIN/custody-measurer"
chmod 755 "$BIN/custody-measurer"
starts "first with digests" "$ALL"
starts "known" 0
rm "$INDEX"
starts "known, but its index is gone" "$ALL"
starts "known again" 0
mv -f "$BIN/real-measurer" "$BIN/custody-measurer"

# ---- what stays ----
check "it runs" ctl start web@1
ctl retire web >/dev/null 2>&1
is "it is retired" retired "$(of 1 'm["state"]')"
is "and what it is known by stays, for whoever looks for it later" good "$(of 1 'm["fingerprints"]["state"]')"
check "the ledger is whole" ctl ledger verify

# ---- a terminal ----
# on_terminal COMMAND...: what it writes to a terminal, with its exit status
on_terminal() {
	$PYTHON - "$@" <<'PY'
import os, pty, sys
text = b""
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    try:
        got = os.read(fd, 4096)
    except OSError:
        break
    if not got:
        break
    text += got
sys.stdout.write(text.decode(errors="replace"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
}
LINE='[0-9.]+[KMG] of [0-9.]+[KMG], [0-9.]+[KMG]?/s, [0-9]+[smhd] left'
# a hole, which costs no disk, as large as this machine reads in 0.7 seconds at its best
mkdir "$ROOT/big"
truncate -s 64M "$ROOT/big/weights"
truncate -s "$(for _ in 1 2 3 4 5; do "$HASH" "$ROOT/big" 1 0 none; done |
	awk 'NR == 1 || $1 < best { best = $1 } END { printf "%d", 0.7 * 64 * 2^20 / best }')" "$ROOT/big/weights"
openssl ecparam -genkey -name prime256v1 -noout -out "$ROOT/key.pem" 2>/dev/null
openssl ec -in "$ROOT/key.pem" -pubout -out "$ROOT/key.pub" 2>/dev/null
shows() { # shows TEXT COMMAND...: bytes, rate and time are shown, and wiped out at the end
	local text=$1 out status
	shift
	out=$(on_terminal "$@"); status=$?
	if [ $status = 0 ] && grep -qE "$LINE" <<<"$out" && [[ ${out##*$'\r\e[K'} != *left* ]]; then ok "$text"
	else not_ok "$text" "exit $status: $out"; fi
}
shows "model register shows bytes, rate and what is left" "$BIN/custodyctl" --root "$ROOT" model register big "$ROOT/big" --profile web
shows "so does start" "$BIN/custodyctl" --root "$ROOT" start big
check "stopped" ctl stop big
shows "and run" "$BIN/custodyctl" --root "$ROOT" run --name big -- /bin/true
shows "and model sign" "$BIN/custodyctl" model sign "$ROOT/big" --key "$ROOT/key.pem"
shows "and model verify" "$BIN/custodyctl" model verify "$ROOT/big" --key "$ROOT/key.pub"
OUT=$(ctl model register big "$ROOT/big" --profile web 2>&1)
if grep -qE "$LINE" <<<"$OUT"; then not_ok "what is no terminal is not shown it" "$OUT"; else ok "what is no terminal is not shown it"; fi
OUT=$(on_terminal "$BIN/custodyctl" --quiet model verify "$ROOT/big" --key "$ROOT/key.pub")
is "nor is --quiet" "" "$OUT"
daemon_stop
rm -f "$ROOT"/run/custody/jails/*.state "$ROOT"/run/custody/jails/*.plan
no_leaks "nothing is left"
finish
