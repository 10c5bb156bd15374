#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# llama.cpp in custody, with the shipped profile: weights mapped, threads, native code at full
# width. Debian 12 has no llama-server, and no registry offers the program alone; npm's
# @node-llama-cpp/linux-x64 carries the same libraries as an addon for Node, and llama/server.js
# is a server around it. The package is fetched once into build/, by its checksum.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"

NODE=/usr/bin/node
PACKAGE=@node-llama-cpp/linux-x64
VERSION=3.22.1
INTEGRITY=5uCCDNqWCNfaAm8aR/Uzxbo4HBpKgNF91kCHPepKhgMgV2OAmatoefbOlMihsqCiH2Od35E/eUHQCFbfRBJuOg==
CACHE=$TOP/build/llama-$VERSION
ADDON=$CACHE/package/bins/linux-x64
HERE=$TOP/tests/root/llama
FETCH_S=60
OUTSIDE=

# fetch_package: into the cache, whole and checked, or not at all. Says why it could not.
fetch_package() {
	local work=$CACHE.new tarball
	rm -rf "$work"
	mkdir -p "$work/package"
	tarball=$(cd "$work" && timeout "$FETCH_S" npm pack --silent "$PACKAGE@$VERSION" 2>"$work/log") || {
		echo "npm could not fetch it: $(grep -m 1 . "$work/log")"
		return 1
	}
	[ "$(openssl dgst -sha512 -binary "$work/$tarball" | base64 -w 0)" = "$INTEGRITY" ] || {
		echo "its checksum is not the one this test knows"
		return 1
	}
	tar -xzf "$work/$tarball" -C "$work" && rm -rf "$CACHE" && mv "$work" "$CACHE"
}

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ "$(uname -m)" = x86_64 ] || skip_all "$PACKAGE is built for x86_64"
[ -x "$NODE" ] || skip_all "$NODE is not there: install nodejs"
"$NODE" -e 'process.exit(process.versions.node.split(".")[0] >= 18 ? 0 : 1)' ||
	skip_all "$NODE is older than version 18"
if [ ! -e "$ADDON/llama-addon.node" ]; then
	command -v npm >/dev/null || skip_all "$PACKAGE is not in build/, and there is no npm to fetch it"
	WHY=$(fetch_package) || skip_all "$PACKAGE: $WHY"
fi
house_open
trap '[ -z "$OUTSIDE" ] || kill "$OUTSIDE" 2>/dev/null; house_close' EXIT

# complete PORT: the tokens that follow a prompt
complete() {
	/usr/bin/python3 - "$1" <<'PY'
import json, sys, urllib.request as u
body = json.dumps({"prompt": "taken into custody", "n_predict": 24}).encode()
opener = u.build_opener(u.ProxyHandler({}))
answer = json.load(opener.open("http://127.0.0.1:%s/completion" % sys.argv[1], body, timeout=30))
assert len(answer["tokens"]) == 24, answer
print(*answer["tokens"])
PY
}
# llama_profile NAME NODE-OPTION JIT
llama_profile() {
	cat >"$ROOT/etc/custody/profiles/$1.ini" <<END
[profile]
extends = llama-server
[model]
path = $ROOT/model
[process]
command = $NODE $2 $ROOT/program/server.js
  --addon $ADDON --model {model}/model.gguf --host 127.0.0.1 --port $PORT
[files]
read += $ADDON
data += $ROOT/program
jit = $3
[network]
listen = tcp:127.0.0.1:$PORT
[retire]
drain-timeout = 2s
END
}
model_log() { cat "$ROOT/var/lib/custody/logs/$1".log* 2>/dev/null; }
# same_answer TEXT NAME: the model in custody says what it said outside
same_answer() {
	local got
	wait_for 30 fetch "$PORT" health
	got=$(complete "$PORT" 2>&1)
	if [ -n "$WANT" ] && [ "$got" = "$WANT" ]; then
		ok "$1"
	else
		not_ok "$1" "outside: $WANT; in custody: $got; its log: $(model_log "$2")"
	fi
}
weights_are_mapped() { grep -qs " $ROOT/model/model.gguf$" /proc/[0-9]*/maps; }
# What was denied for good would answer EPERM or EACCES; ENOSYS is written down at first sight.
refused_only_clone3() {
	ctl events "$1" --json >"$ROOT/events.json"
	/usr/bin/python3 - "$ROOT/events.json" <<'PY'
import json, sys
text = open(sys.argv[1]).read()
rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(l) for l in text.splitlines()]
denied = [r for r in rows if "denied" in json.dumps(r)]
assert denied and all("clone3" in json.dumps(r) for r in denied), denied
PY
}

mkdir "$ROOT/program"
cp "$HERE/server.js" "$ROOT/program/"
check "a model with random weights is written" /usr/bin/python3 "$HERE/gguf.py" "$ROOT/model/model.gguf"
PORT=$(free_port)
"$NODE" "$ROOT/program/server.js" --addon "$ADDON" --model "$ROOT/model/model.gguf" \
	--host 127.0.0.1 --port "$PORT" 2>"$ROOT/outside.log" &
OUTSIDE=$!
wait_for 30 fetch "$PORT" health
WANT=$(complete "$PORT")
[ -n "$WANT" ] && ok "outside custody the server completes a prompt" ||
	not_ok "outside custody the server completes a prompt" "$(cat "$ROOT/outside.log")"
kill "$OUTSIDE"
wait "$OUTSIDE" 2>/dev/null
OUTSIDE=

daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
llama_profile llama "" yes
check "llama.cpp in Node starts in custody, with jit = yes for Node" ctl start llama
same_answer "and completes the prompt with the same tokens" llama
check "its weights are mapped, not copied" weights_are_mapped
check "of all its system calls only clone3 was refused, for which glibc falls back on clone" \
	wait_for 5 refused_only_clone3 llama
check "stop" ctl stop llama
llama_profile llama-nojit --jitless no
check "llama.cpp itself needs no jit: it starts with jit = no below node --jitless" ctl start llama-nojit
same_answer "and completes the prompt with the same tokens again" llama-nojit
check "stop" ctl stop llama-nojit
daemon_stop
# What a stopped model's name needs to be started again stays, until it is retired.
LEFT=$(leaks | grep -v '^state ')
[ -z "$LEFT" ] && ok "nothing is left: no cgroup, process, pin or mount" ||
	not_ok "nothing is left: no cgroup, process, pin or mount" "$LEFT"
finish
