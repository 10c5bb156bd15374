#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Weights in custody against root outside of the jail: every way to change or take them, first on
# the same files before they are in custody, where it is allowed.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# shellcheck source=tests/root/guard.bash
. "$(dirname "$0")/guard.bash"
guard_open
PORT=$(free_port)
profile guarded "$PORT"
W=$ROOT/model/weights.bin
OTHER=$ROOT/other.bin
BOUND=$ROOT/bound.bin
fresh() { rm -rf "$W"; echo weights >"$W"; echo other >"$OTHER"; }

# Was the guard active? One word for each retirement, in their order.
guard_in_evidence() {
	/usr/bin/python3 - "$ROOT/var/lib/custody/evidence" <<'PY'
import base64, glob, json, os, sys
files = sorted(glob.glob(sys.argv[1] + "/*/statement.dsse.json"), key=os.path.getmtime)
texts = [base64.b64decode(json.load(open(f))["payload"]).decode() for f in files]
planes = [json.loads(t)["predicate"]["planes"] for t in texts]
print(*["guard" in p["active"] for p in planes])
PY
}
# Ways that need nothing but the file, on the kernel's own file system (ext4 in the lab).
ways=(relative path-only proc times owner flags version uring-open pass fetch uring-unlink)
fresh
can=()
for way in "${ways[@]}" acl; do
	got=$("$FILE_PROBE" "$way" "$W")
	[ -e "$W" ] || fresh
	case $got in
	allowed) ok "before: $way"; can+=("$way") ;;
	# a file system without flags, versions or lists has nothing to be guarded there
	ENOTTY | EOPNOTSUPP) ok "before: $way # SKIP the file system has none ($got)" ;;
	*) not_ok "before: $way" "$got" ;;
	esac
done
by "before: handle" allowed handle "$W" "$ROOT"
: >"$BOUND"
by "before: a bind mount, opened" allowed bind-open "$W" "$BOUND"
by "before: exchange" allowed exchange "$W" "$OTHER"
fresh
for verb in read write append truncate chmod xattr; do is "before: $verb" allowed "$verb" "$W"; done
fresh
is "before: hard link" allowed link "$W" "$ROOT/l"
is "before: unlink" allowed unlink "$ROOT/l"
is "before: a new file beside them" allowed create "$ROOT/model/new"

daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
check "start a model" ctl start guarded
check "it serves" wait_for 30 fetch "$PORT" weights.bin

for way in "${can[@]}"; do by "$way" EPERM "$way" "$W"; done
by "handle" EPERM handle "$W" "$ROOT"
by "a bind mount, opened" EPERM bind-open "$W" "$BOUND"
is "and nobody takes that mount of them away" EPERM umount "$BOUND"
by "exchange" EPERM exchange "$W" "$OTHER"
by "exchange, the other way" EPERM exchange "$OTHER" "$W"
for verb in write append truncate unlink chmod xattr; do is "$verb" EPERM "$verb" "$W"; done
is "no hard link" EPERM link "$W" "$ROOT/l"
is "not renamed" EPERM rename "$W" "$ROOT/x"
is "not replaced" EPERM rename "$OTHER" "$W"
is "not mounted over" EPERM bind "$W" "$OTHER"
is "their directory is not renamed" EPERM rename "$ROOT/model" "$ROOT/model2"
is "another file may come beside them" allowed create "$ROOT/model/beside"
is "reading is allowed by default" allowed read "$W"
if printf '%s\n' weights | cmp -s - "$W"; then ok "they are what they were"; else not_ok "they are what they were"; fi
for access in unlink rename link mount umount attribute write receive; do denied artifact $access; done
case " ${can[*]} " in *" flags "* | *" version "*) denied artifact ioctl ;; esac
recorded "reading" '"object_name": ?"read".*weights.bin.*"observed"'
check "the model still serves" fetch "$PORT" weights.bin
check "in words" sh -c "'$BIN/custodyctl' --root '$ROOT' events | grep -q 'artifact:receive:.*weights.bin'"

# ---- too many files for the guard: the launch is refused, and says so ----
mkdir "$ROOT/many"
(cd "$ROOT/many" && seq 1 4097 | xargs touch)
profile many "$(free_port)"
sed -i "s|^path = .*|path = $ROOT/many|" "$ROOT/etc/custody/profiles/many.ini"
refused "more files than can be guarded" 3 "no room to guard.*4096 files" ctl start many

retired guarded
is "the weights are free" allowed write "$W"
by "they may be handed on" allowed pass "$W"
is "the bind mount goes" allowed umount "$BOUND"
daemon_stop
no_leaks "a clean stop leaves nothing"

# ---- --no-guard is visible everywhere ----
daemon_start --no-guard || { not_ok "custodyd --no-guard says ready"; finish; exit 1; }
check "the log says so" grep -q -- "--no-guard" "$ROOT/custodyd.log"
check "start a model" ctl start guarded
says "ps lacks the guard" no sh -c "'$BIN/custodyctl' --root '$ROOT' ps --json | grep -q '\"guard\"' || echo no"
launch_without() { ctl events --json | grep '"type": *"launch"' | tail -1 | grep -qE '"planes_active": *(15|47),'; }
check "so does the launch record" launch_without
is "the weights may be changed" allowed append "$W"
profile required "$(free_port)" $'[require]\nplanes = structure cgroup lsm observe guard'
refused "a profile that requires the guard" 3 '"guard".*--no-guard' ctl start required
retired guarded
says "the evidence names what was in force: with the guard, then without" \
	"True False" guard_in_evidence
daemon_stop
finish
