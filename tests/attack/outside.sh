#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run by world.bash in new namespaces: outside.sh PROGRAM COPY. Brings up a loopback and a victim of
# its own, so that nothing of the host is touched, and runs the attacks.
program=$1
copy=$2
ip link set lo up || exit 1
: >"$copy/heard"
export ATTACK_SINK=$copy/sink ATTACK_UNIX=$copy/s ATTACK_GIVEN=$copy/given
/usr/bin/python3 "$(dirname "$0")/victim.py" "$copy/heard" &
export ATTACK_VICTIM=$!
for _ in $(seq 400); do
	grep -q up "$copy/heard" && break
	sleep 0.05
done
/usr/bin/python3 "$(dirname "$0")/client.py" 2>/dev/null &
echo input >"$copy/input"
chmod 666 "$copy/input"
export ATTACK_OUTSIDE=1
"$program" run <"$copy/input" >"$copy/out"
status=$?
grep -q up "$copy/heard" || status=1
cat "$copy/out"
cat "$copy/heard" >>"$2.heard"
exit $status
