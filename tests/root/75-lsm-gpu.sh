#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# LSM plane, family gpu: devices by number, ioctls by set. The devices are made with CUSE: they
# have NVIDIA's and DRM's numbers and answer everything with 0.
. "$(dirname "$0")/lsm_lib.sh"

modprobe cuse 2>/dev/null
[ -c /dev/cuse ] || skip_all "no CUSE (CONFIG_CUSE) in this kernel"

device() { # device NAME MAJOR MINOR: a CUSE device with these numbers, its node $TMP/NAME
	"$BUILD/root/cuse_device" "custody-$1-$UNIQUE" "$2" "$3" "$TMP/$1.ready" &
	STARTED="$STARTED $!"
	wait_for "$TMP/$1.ready" || { echo "Bail out! no CUSE device $1"; exit 1; }
	mknod "$TMP/$1" c "$2" "$3"
	for _ in $(seq 100); do
		[ "$(lsm - open "$TMP/$1")" = 0 ] && return
		sleep 0.05
	done
	echo "Bail out! the CUSE device $1 does not open"
	exit 1
}
device nvidia0 195 0
device nvidia1 195 1
device uvm 511 0
if modprobe vgem 2>/dev/null && [ -c /dev/dri/renderD128 ]; then
	ln -s /dev/dri/renderD128 "$TMP/render" # a real driver: the core refuses some by itself
	OWN=EINVAL CORE=EACCES
else
	device render 226 128
	OWN=0 CORE=0
fi

ioctl_event() { echo "jail=7 class=15 object=$1 verdict=$2 plane=4 error=$3 .*device=$4 .*access=$5 "; }
N0=0xc300000000 N1=0xc300000001 UVM=0x1ff00000000 DRM=0xe200000080

drive install $JAIL "$MODEL" "$BROKER" ioctls=compute device=c:195:0:/dev/nvidia0 \
	device=c:511:0:/dev/nvidia-uvm device=c:226:128:/dev/dri/renderD128 || exit 1
zones / /proc /dev "$TMP" || exit 1
is "$(lsm "$MODEL" ioctl before "$TMP/nvidia1" 0xc02046d3)" 0 "before the jail is committed: nothing is held"
drive go "$MODEL"
tap $? "the jail is committed"
ring >/dev/null

# RM_CONTROL: allowed, at first sight an event with the whole request
is "$(lsm "$MODEL" ioctl inside "$TMP/nvidia0" 0xc020462a)" 0 "NVIDIA: RM_CONTROL is in the set"
like "$(ring)" "$(ioctl_event 2 1 0 $N0 0xc020462a)" "and an event, with its row of the set"
is "$(lsm "$MODEL" ioctl inside "$TMP/nvidia0" 0xc020462a)" 0 "a second time"
unlike "$(ring)" "class=15" "is no news"
is "$(counter 15 2 | cut -d' ' -f1-2)" "2 0" "but is counted by number"
is "$(lsm "$MODEL" ioctl inside "$TMP/nvidia0" 0x0000002a)" 0 "without type and size it is the same number"
denied "NVIDIA: XFER_CMD, which hides the number in memory" 0 EPERM \
	"$(ioctl_event 65535 2 -1 $N0 0xc01046d3)" lsm ioctl inside "$TMP/nvidia0" 0xc01046d3
denied "NVIDIA: a number outside of the set" 0 EPERM \
	"$(ioctl_event 65535 2 -1 $N0 0xc00846d9)" lsm ioctl inside "$TMP/nvidia0" 0xc00846d9
denied "NVIDIA: the same with another type byte" 0 EPERM \
	"$(ioctl_event 65535 2 -1 $N0 0xc0082ad9)" lsm ioctl inside "$TMP/nvidia0" 0xc0082ad9
denied "NVIDIA: with the low byte of an allowed one in its type" 0 EPERM \
	"$(ioctl_event 65535 2 -1 $N0 0x2a00)" lsm ioctl inside "$TMP/nvidia0" 0x2a00
denied "NVIDIA: a UVM number on the frontend" 0 EPERM \
	"$(ioctl_event 65535 2 -1 $N0 0x30000001)" lsm ioctl inside "$TMP/nvidia0" 0x30000001

denied "NVIDIA: as a 32-bit task asks" 0 EPERM \
	"$(ioctl_event 65535 2 -1 $N0 0xc01046d3)" lsm ioctl32 inside "$TMP/nvidia0" 0xc01046d3
is "$(lsm "$MODEL" ioctl32 inside "$TMP/nvidia0" 0xc020462a)" 0 "NVIDIA: RM_CONTROL, as a 32-bit task asks"
is "$(counter 15 2 | cut -d' ' -f1-2)" "4 0" "is the same number, and counted with it"
read -r _ refused _ <<<"$(counter 15 65535)"
is "$refused" 6 "and so are the refused"
is "$(counter 15 3 | cut -d' ' -f1-2)" "0 0" "numbers that nobody asked for count nothing"

for number in 0x30000001 0x30000002 37 75; do
	is "$(lsm "$MODEL" ioctl inside "$TMP/uvm" $number)" 0 "UVM: $number is in the set"
done
denied "UVM: TOOLS_READ_PROCESS_MEMORY" 0 EPERM \
	"$(ioctl_event 65535 2 -1 $UVM 0x3e)" lsm ioctl inside "$TMP/uvm" 62
denied "UVM: an allowed low byte in another word" 0 EPERM \
	"$(ioctl_event 65535 2 -1 $UVM 0x30000025)" lsm ioctl inside "$TMP/uvm" 0x30000025
denied "UVM: a number of the frontend's" 0 EPERM \
	"$(ioctl_event 65535 2 -1 $UVM 0xc020462a)" lsm ioctl inside "$TMP/uvm" 0xc020462a

is "$(lsm "$MODEL" ioctl inside "$TMP/render" 0xc0406400)" 0 "DRM: VERSION is in the set"
is "$(lsm "$MODEL" ioctl inside "$TMP/render" 0xc0106440)" $OWN "DRM: so are the driver's own"
is "$(lsm "$MODEL" ioctl inside "$TMP/render" 0xc010649f)" $OWN "DRM: to the last"
denied "DRM: SET_MASTER" $CORE EPERM \
	"$(ioctl_event 65535 2 -1 $DRM 0x641e)" lsm ioctl inside "$TMP/render" 0x641e
denied "DRM: MODE_GETRESOURCES" $CORE EPERM \
	"$(ioctl_event 65535 2 -1 $DRM 0xc04064a0)" lsm ioctl inside "$TMP/render" 0xc04064a0

# A device that policy does not name, opened outside and passed in
denied "ioctl on a passed descriptor" 0 EPERM \
	"$(ioctl_event 65535 2 -1 $N1 0xc020462a)" lsm ioctl before "$TMP/nvidia1" 0xc020462a
denied "mmap of a passed descriptor" ENODEV EPERM \
	"class=17 object=65535 verdict=2 plane=4 error=-1 .*device=$N1 .*access=0x1 " \
	lsm mmap before "$TMP/nvidia1"
is "$(lsm "$MODEL" ioctl before "$TMP/nvidia0" 0xc020462a)" 0 "one that policy names may be passed"
is "$(lsm "$MODEL" mmap before "$TMP/nvidia0")" ENODEV "and mapped, as far as the driver knows how"
is "$(counter 17 0)" "1 0 0 0 0" "which is counted by device"
is "$(lsm "$MODEL" mmap-anonymous)" 0 "memory of no file"
is "$(lsm "$MODEL" mmap before /dev/zero)" 0 "and of /dev/zero"
is "$(lsm "$MODEL" ioctl inside /dev/null 0x5401)" ENOTTY "an ioctl of /dev/null reaches its driver"
is "$(lsm "$OTHER" ioctl inside "$TMP/nvidia1" 0xc01046d3)" 0 "a cgroup beside custody's is not touched"

# By path it is the cgroup plane that refuses first; with its program gone, this one does.
denied "open of a device that policy does not name" 0 EPERM \
	"class=4 object=65535 verdict=2 plane=2 error=-1 .*device=$N1 " lsm open "$TMP/nvidia1"
[ ! -b /dev/vda ] || denied "a block device" 0 EPERM \
	"class=4 object=65535 verdict=2 plane=2 error=-1 .*device=0x[0-9a-f]* " lsm open /dev/vda
nothing_failed "no helper failed"
take_away device
denied "open, with the cgroup's program taken away" 0 EPERM \
	"class=4 object=65535 verdict=2 plane=4 error=-1 .*device=$N1 .*access=0x[0-9a-f]*2 " \
	lsm open "$TMP/nvidia1"
is "$(lsm "$MODEL" open "$TMP/nvidia0")" 0 "one that policy names opens"

if [ $CORE = 0 ]; then
	TESTS=$((TESTS + 1))
	echo "ok $TESTS - DRM on a real driver # SKIP no vgem in this kernel: a CUSE device stood in"
fi
plan_end
