#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A model that was measured is read again, unless the kernel says that it is the same: by fs-verity, or
# by the guard (86-relaunch-guard.sh). A change, a swapped file, times set back, a remount or a cache that does not hold each
# have it read. The system's clock is set by no test, because it is everybody's: what a clock that was
# set back can do at most, other bytes with the very same times, is done to the disk itself.
set -u
# shellcheck source=tests/root/house.bash
. "$(dirname "$0")/house.bash"
house_open
# shellcheck source=tests/root/relaunch.bash
. "$(dirname "$0")/relaunch.bash"
PRELOAD=$TOP/build/root/verity_preload.so
mkdir "$ROOT/bin" "$ROOT/disk"
cp "$BIN"/* "$ROOT/bin/"
BIN=$ROOT/bin

# ---- nothing that the kernel could say ----
fill "$MODEL"
asks "$MODEL"
HOUSE_NO_GUARD=1 daemon_start || { not_ok "custodyd says ready"; finish; exit 1; }
reads "first" "$ALL"
reads "again, and neither fs-verity nor the guard" "$ALL"
touch -r "$MODEL/b.bin" "$ROOT/time"
printf x | dd of="$MODEL/b.bin" bs=1 seek=7 conv=notrunc 2>/dev/null
touch -r "$ROOT/time" "$MODEL/b.bin"
refused "a byte changed, and its mtime set back" 3 "b.bin was changed" ctl start known
printf '\0' | dd of="$MODEL/b.bin" bs=1 seek=7 conv=notrunc 2>/dev/null
ctl start known >/dev/null
ctl status known | grep -q ", [0-9.]*M read" && ok "status says so" || not_ok "status says so" "$(ctl status known | grep weights)"
ctl stop known >/dev/null

# ---- the kernel's word, as if it had fs-verity ----
verity() {
	mv "$BIN/custody-measurer" "$BIN/real-measurer"
	printf '#!/bin/sh\nLD_PRELOAD=%q exec %q\n' "$PRELOAD" "$BIN/real-measurer" >"$BIN/custody-measurer"
	chmod 755 "$BIN/custody-measurer"
}
CACHE=$ROOT/var/lib/custody/measured/known
verity
reads "first with digests" "$ALL"
reads "again" 0 known
ctl start known >/dev/null
ctl status known | grep -q "known from before" && ok "status says so" || not_ok "status says so" "$(ctl status known | grep weights)"
ctl stop known >/dev/null
flip "$MODEL/sub/a.bin" 7
refused "a byte changed: it is read, and is not what was signed" 3 "sub/a.bin was changed" ctl start known
sign "$MODEL"
reads "signed anew: only the changed file is read" 300000
reads "again" 0 known
cp "$MODEL/sub/a.bin" "$MODEL/sub/x"; mv "$MODEL/sub/x" "$MODEL/sub/a.bin"
reads "a file swapped with its copy is read" 300000
printf '{"x":1}' >"$MODEL/model.sig"
refused "a known model with a bad signature" 3 "signature is none" ctl start known
sign "$MODEL"
reads "with a good one" 0 known
daemon_kill
HOUSE_NO_GUARD=1 daemon_start || not_ok "custodyd says ready again"
reads "after custodyd was killed" 0 known
VERITY_LOG=$ROOT/verity LD_PRELOAD=$PRELOAD "$BIN/custodyctl" --root "$ROOT" model register unwritten "$MODEL" --profile known --fs-verity >"$ROOT/out" 2>&1
STATUS=$?
[ $STATUS = 0 ] && [ "$(sort "$ROOT/verity" | tr '\n' ' ')" = "$MODEL/b.bin $MODEL/index.html $MODEL/model.sig $MODEL/sub/a.bin " ] &&
	ok "registered with --fs-verity: it is enabled on every file" ||
	not_ok "registered with --fs-verity: it is enabled on every file" "exit $STATUS: $(cat "$ROOT/out" "$ROOT/verity")"
mkdir -p "$ROOT/shm"
mount -t tmpfs none "$ROOT/shm" && echo x >"$ROOT/shm/file"
refused "where the file system has none it is refused, and nothing is registered" 3 "fs-verity cannot be enabled on file: the kernel has none, or not for this file system" \
	ctl model register unwritten "$ROOT/shm" --profile known --fs-verity
umount "$ROOT/shm"
[ "$(ctl model list unwritten --json | grep -c '"version"')" = 1 ] && ok "one version is there" || not_ok "one version is there" "$(ctl model list unwritten)"
refused "an option of register alone" 2 "model list takes" ctl model list --fs-verity

[ "$(stat -c %U:%a "$CACHE")" = root:600 ] && ok "the cache is root's alone" || not_ok "the cache is root's alone" "$(stat -c %U:%a "$CACHE")"
cp "$CACHE" "$ROOT/cache"
flip "$CACHE" 200
reads "a cache with a byte changed is none" "$ALL"
cp "$ROOT/cache" "$CACHE"; truncate -s -9 "$CACHE"
reads "a cache that is cut off is none" "$ALL"
: >"$CACHE"
reads "an empty one is none" "$ALL"
chmod 644 "$CACHE"
reads "one that others may read is none" "$ALL"
rm -f "$CACHE"; mkfifo "$CACHE"
reads "a FIFO is none" "$ALL"
reads "and what was kept is good again" 0 known
ctl start known >/dev/null
check "retired" ctl retire known
[ ! -e "$CACHE" ] && ok "nothing is kept of what is retired" || not_ok "nothing is kept of what is retired"
mv -f "$BIN/real-measurer" "$BIN/custody-measurer"
daemon_stop

# ---- fs-verity itself ----
disk() { # an ext4 with fs-verity on $ROOT/disk, or 1
	truncate -s 64M "$ROOT/image" && mkfs.ext4 -q -b 4096 -O verity "$ROOT/image" >/dev/null 2>&1 &&
		mount -o loop "$ROOT/image" "$ROOT/disk" 2>/dev/null
}
enable() { # FS_IOC_ENABLE_VERITY, SHA-256, blocks of 4096
	$PYTHON - "$@" <<'PY'
import fcntl, struct, sys
for path in sys.argv[1:]:
    with open(path, "rb") as f:
        fcntl.ioctl(f, 0x40806685, struct.pack("<IIII", 1, 1, 4096, 0) + bytes(112))
PY
}
if disk && fill "$ROOT/disk/m" && enable "$ROOT/disk/m/index.html" "$ROOT/disk/m/sub/a.bin" "$ROOT/disk/m/b.bin" 2>/dev/null; then
	asks "$ROOT/disk/m"
	HOUSE_NO_GUARD=1 daemon_start || not_ok "custodyd says ready"
	reads "fs-verity: first" "$ALL"
	reads "fs-verity: again" 0 known
	refused "fs-verity: the file cannot be written" 1 "not permitted" dd if=/dev/zero of="$ROOT/disk/m/b.bin" bs=1 count=1 conv=notrunc
	umount "$ROOT/disk" && mount -o loop "$ROOT/image" "$ROOT/disk"
	reads "fs-verity: mounted anew, it is still what it was" 0 known
	cp "$ROOT/disk/m/b.bin" "$ROOT/disk/m/x"; mv "$ROOT/disk/m/x" "$ROOT/disk/m/b.bin"
	reads "fs-verity: a copy without it is read" $((SIZE << 20))
	printf x | dd of="$ROOT/disk/m/b.bin" bs=1 seek=7 conv=notrunc 2>/dev/null
	refused "fs-verity: a byte of the copy changed" 3 "b.bin was changed" ctl start known
	fill "$ROOT/disk/r"
	check "fs-verity: registering enables it" ctl model register known "$ROOT/disk/r" --fs-verity
	check "fs-verity: twice is no mistake" ctl model register known "$ROOT/disk/r" --fs-verity
	refused "fs-verity: then the file cannot be written" 1 "not permitted" dd if=/dev/zero of="$ROOT/disk/r/b.bin" bs=1 count=1 conv=notrunc
	rm -f "$CACHE"
	reads "fs-verity: what was registered, first" "$ALL"
	reads "fs-verity: what was registered, again" 0 known
	daemon_stop
	rm -rf "$ROOT/var/lib/custody/models/known" # what follows is the profile's directory again
	umount "$ROOT/disk"
else
	umount "$ROOT/disk" 2>/dev/null
	skip "fs-verity" "this kernel has none (CONFIG_FS_VERITY)"
fi

# ---- other bytes, and all that the kernel says of the file is as it was ----
rewound() { # of FILE on the disk, the byte at OFFSET becomes another beneath the file system
	local block
	block=$(debugfs -R "bmap $1 $(($2 / 4096))" "$LOOP" 2>/dev/null) && [ "$block" -gt 0 ] &&
		flip "$LOOP" $((block * 4096 + $2 % 4096))
}
identity() { stat -c '%d %i %s %y %z' "$1"; }
# Twice: with the guard where there is one, and without.
for HOUSE_NO_GUARD in "" 1; do
	WITH=${HOUSE_NO_GUARD:+no guard}
	WITH=${WITH:-custodyd as it is}
	rm -f "$ROOT/image"
	truncate -s 64M "$ROOT/image"
	LOOP=$(losetup -f --show "$ROOT/image" 2>/dev/null)
	if [ -n "$LOOP" ] && mkfs.ext4 -q -b 4096 "$LOOP" && mount "$LOOP" "$ROOT/disk" && fill "$ROOT/disk/m"; then
		asks "$ROOT/disk/m"
		daemon_start || not_ok "custodyd says ready"
		check "$WITH: it starts" ctl start known
		ctl stop known >/dev/null
		daemon_stop
		WAS=$(identity "$ROOT/disk/m/sub/a.bin")
		umount "$ROOT/disk"
		check "$WITH: a byte is changed on the disk" rewound m/sub/a.bin 5000
		mount "$LOOP" "$ROOT/disk"
		[ "$(identity "$ROOT/disk/m/sub/a.bin")" = "$WAS" ] && ok "$WITH: inode, size and times are as they were" ||
			not_ok "$WITH: inode, size and times are as they were" "$(identity "$ROOT/disk/m/sub/a.bin"), not $WAS"
		daemon_start || not_ok "custodyd says ready"
		refused "$WITH: it is read, and is not what was signed" 3 "sub/a.bin was changed" ctl start known
		daemon_stop
		umount "$ROOT/disk"
	else
		umount "$ROOT/disk" 2>/dev/null
		skip "$WITH: other bytes with the same times" "no ext4 can be mounted from a file here"
	fi
	[ -z "$LOOP" ] || losetup -d "$LOOP"
done
unset HOUSE_NO_GUARD

daemon_stop
rm -f "$ROOT"/run/custody/jails/*.state "$ROOT"/run/custody/jails/*.plan
no_leaks "nothing is left"
finish
