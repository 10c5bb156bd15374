#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# LSM plane: a driver that loads its firmware while a model waits in its call (GPU drivers do, at
# the first open). The kernel reads it from the host's root, which is no zone of the jail's: that
# is the kernel's open and not the model's. The driver here is the kernel's own test_firmware.
. "$(dirname "$0")/lsm_lib.sh"

DRIVER=/sys/devices/virtual/misc/test_firmware
SEARCH=/sys/module/firmware_class/parameters/path
modprobe test_firmware 2>/dev/null
[ -d $DRIVER ] && [ -w $SEARCH ] || skip_all "no test_firmware in this kernel (CONFIG_TEST_FIRMWARE)"
BEFORE=$(cat $SEARCH)
trap 'printf "%s" "$BEFORE" >$SEARCH; umount "$TMP/firmware"; cleanup' EXIT
mkdir "$TMP/firmware"
mount -t tmpfs none "$TMP/firmware" || exit 1
FILE=$TMP/firmware/custody-test.bin
echo "what a device runs" >"$FILE"
printf '%s' "$TMP/firmware" >$SEARCH
lsm() { "$BUILD/root/lsm_probe" "$@"; }
load() { lsm "$1" write $DRIVER/trigger_request custody-test.bin; }
loaded() { tr -d '\0' </dev/test_firmware; }

is "$(load -)" 0 "outside of custody the driver loads its firmware"
is "$(loaded)" "what a device runs" "all of it"
drive install $JAIL "$MODEL" "$BROKER"
drive zones $JAIL /sys=rw /proc=r
drive go "$MODEL"
ring >/dev/null
echo "and now something else" >"$FILE"
is "$(load "$MODEL")" 0 "it does so in a call of the model's"
is "$(loaded)" "and now something else" "all of it"
unlike "$(ring)" "verdict=2" "and no refusal is written down"
is "$(lsm "$MODEL" open "$FILE" r)" EACCES "the model itself does not read the file"
like "$(ring)" "class=1 object=65535 verdict=2 plane=4 error=-13 .*path=custody-test.bin/" "which is written down"
rm "$FILE"
is "$(load "$MODEL")" ENOENT "firmware that is not there is not there"
nothing_failed "no helper failed"
plan_end
