# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The world that the attacks are run in, for tests/attack/*.sh, after house.bash: a model's
# directory, programs, a process and sockets of the host, and the same outside, in namespaces that
# end with the attacks. Everything is below $ROOT and $OWN, and goes with them.

# world_make DIR: prog/ the attacks, tools/ what the profile lets run, sock/ published paths.
world_make() {
	local world=$1
	mkdir -p "$world/prog" "$world/tools" "$world/sock" "$world/model"
	chmod 777 "$world/sock"
	install -m 755 "$TOP"/build/attack/attack_* "$world/prog/"
	install -m 755 /usr/bin/cat "$world/tools/cat"
	install -m 4755 /usr/bin/cat "$world/tools/cat-setuid"
	install -m 755 /usr/bin/cat "$world/tools/cat-capable"
	/usr/bin/python3 -c 'import os, struct, sys # VFS_CAP_REVISION_2, effective, CAP_CHOWN
os.setxattr(sys.argv[1], "security.capability", struct.pack("<5I", 0x02000001, 1, 0, 0, 0))' \
		"$world/tools/cat-capable" 2>/dev/null
	mkfifo -m 666 "$world/model/pipe"
	echo weights >"$world/model/file"
	echo weights >"$world/model/scrap"
	install -m 755 /usr/bin/true "$world/model/program"
	printf '#!/usr/bin/true\n' >"$world/model/script"
	chmod 755 "$world/model/script"
	cp -L /lib/x86_64-linux-gnu/libm.so.6 "$world/model/library.so" 2>/dev/null
	world_variables "$world"
}

# What attack.h names; the same inside and outside but for DIR.
world_variables() {
	export ATTACK_ZONE=$1/model ATTACK_TOOLS=$1/tools ATTACK_UNIX=$1/sock/s
	export ATTACK_SINK=$1/sink ATTACK_ABSTRACT=custody-attack-$$ ATTACK_WEB
	export ATTACK_TCP ATTACK_UDP ATTACK_PORT ATTACK_CONTROL=$ROOT/run/custody/control.sock ATTACK_STATE=$ROOT
	ATTACK_TCP=$(free_port)
	ATTACK_UDP=$(free_port)
	ATTACK_PORT=$(free_port)
}

# A process of the host that listens where the attacks want to get to, and writes what it hears.
world_victim() {
	/usr/bin/python3 "$HERE/victim.py" "$OWN/heard" &
	VICTIM=$!
	export ATTACK_VICTIM=$VICTIM
	wait_for 20 grep -q up "$OWN/heard"
}

# world_profile NAME WORLD [LINES]
world_profile() {
	cat <<END
[profile]
extends = base
description = $1
[model]
path = $2/model
[files]
read += $2/prog
  $2/tools
scratch = 64M
shm = 16M
[process]
command = $2/prog/attack_file list
programs = $2/tools
  $2/prog
environment += ATTACK_DIR=/scratch
$(env | grep '^ATTACK_' | grep -v '^ATTACK_DIR=' | sed 's/^/  /')
[network]
listen = tcp:127.0.0.1:$ATTACK_TCP
  udp:127.0.0.1:$ATTACK_UDP
  unix:$2/sock/s
[limits]
processes = 64
open-files = 128
memory = 256M
${3:-}
END
}

# world_outside PROGRAM OUT: by root in namespaces of its own; attacks that mean nothing for root
# take another uid (ATTACK_USER). Runs on a copy of the world, which it may spoil.
world_outside() {
	local program=$1 out=$2 copy
	copy=$(mktemp -d "$OWN/outside.XXXXXX")
	chmod 755 "$OWN"
	timeout 120 unshare --mount --uts --ipc --net --pid --fork --mount-proc --cgroup --kill-child \
		"$HERE/outside.sh" "$program" "$copy" >"$out" 2>"$out.err"
	[ $? = 0 ] || not_ok "${program##*/} runs outside" "$(tail -5 "$out.err")"
	cat "$copy.heard" >>"$OWN/heard.outside"
	rm -rf "$copy" "$copy.heard"
}

# world_inside PROGRAM OUT [PROFILE]: as the model of a jail. Standard input is a file of the host
# that anyone may write, to see whether the model may.
world_inside() {
	local program=$1 out=$2 profile=${3:-atk} client
	echo input >"$OWN/input"
	chmod 666 "$OWN/input"
	rm -f "$ATTACK_UNIX"
	ATTACK_GIVEN=$OWN/given /usr/bin/python3 "$HERE/client.py" 2>/dev/null &
	client=$!
	timeout 120 "$BIN/custodyctl" --root "$ROOT" run --profile "$profile" --name "$profile" \
		-- "$program" run <"$OWN/input" >"$out" 2>"$out.err"
	[ $? = 0 ] || not_ok "${program##*/} runs inside" "$(tail -5 "$out.err")"
	kill "$client"
	wait "$client" 2>/dev/null
}
