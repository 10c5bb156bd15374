#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run by world.bash in new namespaces: outside.sh PROGRAM DIR. Makes a copy of the attacks' world at
# DIR, in memory, with a loopback and a victim of its own, so that nothing of the host is touched,
# and runs the attacks. What the victim heard is left in DIR.heard.
program=$1
copy=$2
here=$(dirname "$0")
ip link set lo up && mount -t tmpfs -o mode=755 none "$copy" || exit 1
cp -a "$ATTACK_ZONE" "$copy/model" && rm -f "$copy/model/sink" && mkdir -m 777 "$copy/dir" || exit 1
export ATTACK_ZONE=$copy/model ATTACK_DIR=$copy/dir ATTACK_GIVEN=$copy/given
export ATTACK_SINK=$copy/sink ATTACK_UNIX=$copy/s ATTACK_OUTSIDE=1
/usr/bin/python3 "$here/victim.py" "$copy.heard" &
export ATTACK_VICTIM=$!
for _ in $(seq 400); do
	grep -q up "$copy.heard" && break
	sleep 0.05
done
grep -q up "$copy.heard" || exit 1
/usr/bin/python3 "$here/client.py" 2>/dev/null &
echo input >"$copy/input"
chmod 666 "$copy/input"
"$program" run <"$copy/input"
