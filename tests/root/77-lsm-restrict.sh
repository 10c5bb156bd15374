#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# LSM plane: what `restrict` takes of what is open already (devices), and of opens (scratch). The
# device is made with CUSE: it answers every ioctl with 0.
. "$(dirname "$0")/lsm_lib.sh"

DEVICES=0x2000000 SCRATCH=0x4000000
for z in scratch data; do
	mkdir "$TMP/$z" && mount -t tmpfs -o mode=777 none "$TMP/$z" || exit 1
	echo a >"$TMP/$z/a"
done
trap 'umount "$TMP/scratch" "$TMP/data"; cleanup' EXIT
file() { "$BUILD/root/lsm_probe" "$@"; }
modprobe cuse 2>/dev/null
HAVE=
if [ -c /dev/cuse ]; then
	HAVE=yes
	"$BUILD/root/cuse_device" "custody-restrict-$UNIQUE" 195 7 "$TMP/ready" &
	STARTED="$STARTED $!"
	wait_for "$TMP/ready" || { echo "Bail out! no CUSE device"; exit 1; }
	mknod "$TMP/gpu" c 195 7
	for _ in $(seq 100); do
		[ "$(lsm - open "$TMP/gpu")" = 0 ] && break
		sleep 0.05
	done
fi
drive install $JAIL "$MODEL" "$BROKER" ioctls=compute device=c:195:7:/dev/nvidia7 || exit 1
mapfile -t mounts < <(stat -c %m=rwcxi / /proc /dev "$TMP" | sort -u)
drive zones $JAIL "$TMP/scratch=rwcs" "$TMP/data=rwc" "${mounts[@]}" || exit 1
drive go "$MODEL"
tap $? "the jail is committed"

# ---- scratch: opens ----
is "$(file "$MODEL" open "$TMP/scratch/a" w)" 0 "before: scratch opens for writing"
drive restrict "$MODEL" "$BROKER" $SCRATCH 0
tap $? "opens of scratch are restricted"
ring >/dev/null
is "$(file - open "$TMP/scratch/a" w)" 0 "outside it opens for writing"
is "$(file "$MODEL" open "$TMP/scratch/a" w)" EACCES "inside it does not"
like "$(ring)" "class=1 object=[0-9]* verdict=2 plane=4 error=-13 " "which is an event"
is "$(file "$MODEL" open "$TMP/scratch/a" r)" 0 "reading goes on"
is "$(file "$MODEL" open "$TMP/data/a" w)" 0 "a zone of outputs is not touched"
for change in "mkdir @/new" "unlink @/a" "rename @/a @/b" "chmod @/a" "truncate @/a"; do
	is "$(file "$MODEL" ${change//@/$TMP/scratch})" EACCES "nothing there is changed: ${change%% *}"
	is "$(file "$MODEL" ${change//@/$TMP/data})" 0 "in the other zone it is"
	rm -rf "$TMP/data"/*
	echo a >"$TMP/data/a"
done

# ---- devices: what is open ----
if [ -n "$HAVE" ]; then
	is "$(lsm "$MODEL" ioctl inside "$TMP/gpu" 0xc020462a)" 0 "before: the device answers"
	is "$(lsm "$MODEL" mmap before "$TMP/gpu")" ENODEV "and mmap reaches its driver"
	drive restrict "$MODEL" "$BROKER" $DEVICES 0
	tap $? "devices are taken"
	denied "an ioctl of a descriptor that is open" 0 EPERM \
		"class=15 object=65535 verdict=2 plane=4 error=-1 .*access=0xc020462a " \
		lsm ioctl before "$TMP/gpu" 0xc020462a
	denied "its mmap" ENODEV EPERM "class=17 object=65535 verdict=2 plane=4 error=-1 " \
		lsm mmap before "$TMP/gpu"
	denied "its open" 0 EPERM "class=4 object=65535 verdict=2 plane=[24] error=-1 " lsm open "$TMP/gpu"
	is "$(lsm "$MODEL" ioctl inside /dev/null 0x5401)" ENOTTY "standard devices are not touched"
else
	tap 0 "devices # SKIP no CUSE in this kernel"
fi
nothing_failed "no helper failed"
plan_end
