#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guard's map is full: 65536 inodes on a host. A model whose files do not all fit is refused, and
# nothing of it stays in the map; those that are guarded stay so; what a retired model leaves is room.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
# shellcheck source=tests/root/guard.bash
. "$(dirname "$0")/guard.bash"
guard_open
FILES=4000
FIT=16 # 16 times 4000 and a few hundred of custody's own; 17 times is too many
mkdir "$ROOT/w"
mount -t tmpfs -o mode=755,nr_inodes=100k none "$ROOT/w" # the lab's own disk has fewer
trap 'status=$?; umount "$ROOT/w" 2>/dev/null; (exit $status); house_close' EXIT
for ((i = 1; i <= FIT + 1; i++)); do
	mkdir "$ROOT/w/$i"
	(cd "$ROOT/w/$i" && seq $FILES | xargs touch)
	cat >"$ROOT/etc/custody/profiles/m$i.ini" <<EOF
[profile]
extends = base
description = one of many
[model]
path = $ROOT/w/$i
[process]
command = /usr/bin/sleep 600
EOF
done
daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
LAST=$((FIT + 1))
for ((i = 1; i <= FIT; i++)); do
	check "model $i starts" ctl start "m$i"
done
is "a file of the first is guarded" EPERM write "$ROOT/w/1/1"
is "and one of the last that fits" EPERM write "$ROOT/w/$FIT/$FILES"
refused "one more is refused" 3 "no room to guard every file below $ROOT/w/$LAST: .* 65536 on the host" \
	ctl start "m$LAST"
says "it is in no list" absent state_of "m$LAST"
is "none of its files stays guarded: the first" allowed write "$ROOT/w/$LAST/1"
guarded() {
	local n
	for ((n = 1; n <= FILES; n++)); do
		echo x 2>/dev/null >>"$ROOT/w/$LAST/$n" || { echo "$n"; return; }
	done
	echo none
}
says "nor any other" none guarded
is "the others' files still are" EPERM write "$ROOT/w/$FIT/1"
retired m1
is "a retired model's are not" allowed write "$ROOT/w/1/1"
check "in its room the one that was refused starts" ctl start "m$LAST"
is "and is guarded" EPERM write "$ROOT/w/$LAST/$FILES"
for ((i = 2; i <= LAST; i++)); do
	retired "m$i"
done
daemon_stop
check "no mount of the files is left" umount "$ROOT/w"
no_leaks "a clean stop leaves nothing"
finish
