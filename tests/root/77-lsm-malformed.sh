#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Kernel policy that makes no sense: an entry of another version, or with a role, flag, right,
# label or class that the programs do not know, is denied and counted (P4 of custody/policy.h).
# Then what the programs do when their own maps cannot help them; and a start at which one program
# cannot be attached, after which none is.
. "$(dirname "$0")/lsm_lib.sh"

command -v bpftool >/dev/null || skip_all "needs bpftool"
mkdir "$TMP/zone" && mount -t tmpfs -o mode=777 none "$TMP/zone" || exit 1
trap 'umount "$TMP/zone"; cleanup' EXIT
echo x >"$TMP/zone/file"
F=$TMP/zone/file
lsm() { "$BUILD/root/lsm_probe" "$@"; }
words() { # words N...: as 32-bit words in the order of this machine, in hexadecimal bytes
	local n
	for n in "$@"; do
		printf '%02x %02x %02x %02x ' $((n & 255)) $((n >> 8 & 255)) $((n >> 16 & 255)) $((n >> 24 & 255))
	done
}
put() { # put MAP KEY-WORDS VALUE-WORDS
	# shellcheck disable=SC2046,SC2086
	bpftool map update pinned "$PIN/map-$1" key hex $(words $2) value hex $(words $3)
}
malformed() { drive errors | cut -d' ' -f8; }
# wrong TEXT MAP KEY VALUE GOOD ERRNO PROGRAM...: with VALUE the program gets ERRNO, and an error is counted; with GOOD it gets 0
wrong() {
	local text=$1 map=$2 key=$3 value=$4 good=$5 errno=$6 before after
	shift 6
	before=$(malformed)
	put "$map" "$key" "$value" || { tap 1 "$text: the entry is written"; return; }
	is "$("$@")" "$errno" "$text: $errno"
	after=$(malformed)
	tap $((after > before ? 0 : 1)) "$text: counted" "$before before, $after after"
	put "$map" "$key" "$good"
	is "$("$@")" 0 "$text: allowed again when it is put right"
}

drive install $JAIL "$MODEL" "$BROKER" listen=4:tcp:9:127.0.0.1
drive zones $JAIL "$TMP/zone=rwc" /dev=rw
drive go "$MODEL"
tap $? "a jail"
is "$(lsm "$MODEL" open "$F" b)" 0 "its file opens"
is "$(lsm "$MODEL" open /dev/null b)" 0 "and a device"

id=$(stat -c %i "$MODEL")
cgroup="$((id & 0xffffffff)) $((id >> 32))"
jail() { wrong "jail: $1" jails "$cgroup" "$2" "7 1 2 1 0 0" EPERM lsm "$MODEL" open "$F" r; }
jail "version 0" "7 1 2 0 0 0"
jail "version 2" "7 1 2 2 0 0"
jail "no role" "7 0 2 1 0 0"
jail "a role that is none" "7 3 2 1 0 0"
jail "a flag that is none" "7 1 66 1 0 0"
is "$(probe "$MODEL" socket 2 1 0)" 0 "a socket is made"
put jails "$cgroup" "7 1 2 9 0 0"
is "$(probe "$MODEL" socket 2 1 0)" EPERM "and by the cgroup plane not with version 9"
is "$("$BUILD/root/lsm_task_probe" "$MODEL" hostname)" EPERM "nor is a capability used"
is "$("$BUILD/root/lsm_exec_probe" "$MODEL" exec /bin/true)" EPERM "nor a program run"
put jails "$cgroup" "7 1 2 1 0 0"

mount=$(awk -v p="$TMP/zone" '$5 == p { print $1 }' /proc/self/mountinfo)
zone() { wrong "zone: $1" zones "7 0 $mount 0" "$2" "0 7 4 1" EACCES lsm "$MODEL" open "$F" b; }
zone "version 0" "0 7 4 0"
zone "version 2" "0 7 4 2"
zone "a right that is none" "0 39 4 1"
zone "no label" "0 7 0 1"
zone "a label that is none" "0 7 12 1"
zone "a number that is none" "65536 7 4 1"
put zones "7 0 $mount 0" "0 39 4 1"
ring >/dev/null
is "$(lsm "$MODEL" unlink "$F")" EACCES "nothing is changed there"
like "$(ring)" "jail=7 class=12 object=65535 verdict=2 plane=4 error=-13 .*mount=$mount access=0x6 flags=2 .*path=file/" \
	"it is written down as no zone"
put zones "7 0 $mount 0" "0 7 4 1"

# /dev/null is the first of those that every jail has.
object=$(awk '$2 == "CUSTODY_DEVICES_MAX" { print $3 }' include/custody/limits.h)
device() { wrong "device: $1" devices "7 2 1 3" "$2" "6 $object 0 1" EPERM lsm "$MODEL" open /dev/null b; }
device "version 0" "6 $object 0 0"
device "version 2" "6 $object 0 2"
device "a right that is none" "7 $object 0 1"
device "an ioctl class that is none" "6 $object 5 1"
request() { "$BUILD/root/lsm_task_probe" "$MODEL" ioctl before /dev/null 0x5401; }
put devices "7 2 1 3" "6 $object 5 1"
is "$(request)" EPERM "a descriptor of that device from outside answers no ioctl"
put devices "7 2 1 3" "6 $object 0 1"
is "$(request)" ENOTTY "and put right it does"
connect() { probe "$BROKER" bind 4 tcp 127.0.0.1 9; }
is "$(connect)" 0 "the broker binds its endpoint"
endpoint="7 $((4 | 6 << 8 | 9 << 16)) $((127 | 1 << 24)) 0 0 0"
wrong "endpoint: a right that is none" endpoints "$endpoint" "0 5" "0 1" EPERM connect

# ---- what the programs fill themselves ----
echo y >"$TMP/zone/once"
ring >/dev/null
is "$(lsm "$MODEL" open "$F" r)" 0 "a file seen before"
unlike "$(ring)" "class=1 object=0 verdict=1" "is no news"
is "$(lsm "$MODEL" open "$TMP/zone/once" r)" 0 "a file that was not"
like "$(ring)" "class=1 object=0 verdict=1 .*path=once/" "is"
read -r a0 _ <<<"$(counter 1 0)"
drive see 140000 "$PIN/map-seen"
tap $? "twice as many first sights on each processor as are remembered"
is "$(lsm "$MODEL" open "$TMP/zone/once" r)" 0 "it opens all the same"
like "$(ring)" "class=1 object=0 verdict=1 .*path=once/" "and is news again: what was seen once is forgotten"
is "$(lsm "$MODEL" open /etc/passwd r)" EACCES "what is refused stays refused"
read -r a1 _ <<<"$(counter 1 0)"
is "$((a1 - a0))" 1 "and the open is counted"
before=$(drive errors | cut -d' ' -f1)
# shellcheck disable=SC2046
bpftool map delete pinned "$PIN/map-counters" key hex $(words 7 $((1 | 0xffff << 16)))
is "$(lsm "$MODEL" open /etc/passwd r)" EACCES "without its counter a refusal is one"
like "$(ring)" "class=1 object=65535 verdict=2 .*path=passwd/" "and an event"
after=$(drive errors | cut -d' ' -f1)
tap $((after > before ? 0 : 1)) "and the counter that is missing is an error that is counted"
read -r a0 _ <<<"$(counter 1 0)"
is "$(lsm "$MODEL" burst "$F" 1000)" "0 0" "a thousand opens"
read -r a1 _ <<<"$(counter 1 0)"
is "$((a1 - a0))" 1000 "each is counted"

# ---- all or nothing ----
is "$(lsm "$MODEL" open /etc/passwd r)" EACCES "with every program attached: EACCES"
drive unpin
programs() { "$BUILD/root/program_gone" named lsm_ guard_ custody_; } # after a while
is "$(programs) $(lsm "$MODEL" open /etc/passwd r)" "0 0" "with none: 0"
said=$(DRIVER_FAIL_ATTACH=40 "$BUILD/root/policy_driver" open "$PIN" "$TOP" 2>&1)
is "$?" 1 "when the 40th program cannot be attached, there is no start"
like "$said" "program (lsm|guard)_[a-z_]+ cannot be attached: No space left on device" "it says which"
is "$(ls -d "$PIN" "$PIN"-new 2>/dev/null)" "" "nothing stays pinned"
is "$(programs)" 0 "no program stays in the kernel"
is "$(lsm "$MODEL" open /etc/passwd r)" 0 "and nothing is refused by half a plane"
is "$("$BUILD/root/lsm_exec_probe" "$MODEL" anon p rwx -)" 0 "of any family"
plan_end
