#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# LSM plane, execution: programs, libraries and every page that becomes executable come from
# zones with the exec right; anonymous memory, memfds and unlinked files only by files.jit.
export DRIVER_PLANES=14
. "$(dirname "$0")/lsm_lib.sh"

for z in data runtime; do
	mkdir "$TMP/$z" && mount -t tmpfs none "$TMP/$z" || exit 1
	cp /bin/true "$TMP/$z/program"
	printf '#!%s\n' "$TMP/$z/program" >"$TMP/$z/script"
	chmod 755 "$TMP/$z/script"
	cp "$TMP/$z/program" "$TMP/$z/gone"
done
printf '#!%s\n' "$TMP/data/program" >"$TMP/runtime/crossed"
chmod 755 "$TMP/runtime/crossed"
mkdir "$TMP/usr" && mount --bind /usr "$TMP/usr" || exit 1
trap 'umount "$TMP/data" "$TMP/runtime" "$TMP/usr"; cleanup' EXIT
D=$TMP/data R=$TMP/runtime
lsm() { "$BUILD/root/lsm_exec_probe" "$@"; }
runs() { # runs CGROUP ARGS... : "ran" when the program was run, else the errno
	local out
	out=$(lsm "$@")
	echo "${out:-ran}"
}
events() { ring >"$TMP/events"; }
seen() { like "$(<"$TMP/events")" "$1" "$2"; }
unseen() { unlike "$(<"$TMP/events")" "$1" "$2"; }

drive install $JAIL "$MODEL" "$BROKER"
# The program's libraries lie on the root file system's own mount.
drive zones $JAIL "$D=rwc" "$R=rx" /=rx
tap $? "policy and zones are installed"
is "$(runs "$MODEL" exec "$D/program")" ran "before the go everything runs"
is "$(lsm "$MODEL" anon p rwx -)" 0 "and maps"
drive go "$MODEL"
events

is "$(runs - exec "$D/program")" ran "outside everything runs"
is "$(runs "$MODEL" exec "$R/program")" ran "a program of a zone with exec runs"
is "$(runs "$MODEL" exec "$R/script")" ran "a script of such a zone too"
is "$(runs "$MODEL" exec "$D/program")" EACCES "a program of another zone does not"
is "$(runs "$MODEL" exec "$D/script")" EACCES "nor a script"
is "$(runs "$MODEL" exec "$R/crossed")" EACCES "nor a script whose interpreter lies in another"
is "$(runs "$MODEL" exec "$TMP/usr/bin/true")" EACCES "nor what is on no zone, whatever the file"
ln "$D/program" "$D/name2"
mkdir "$TMP/second" && mount --bind "$D" "$TMP/second" || exit 1
trap 'umount "$TMP/second" "$TMP/data" "$TMP/runtime" "$TMP/usr"; cleanup' EXIT
ways() { # ways TEXT ARGS... : @ the directory
	local text=$1
	shift
	is "$(runs - "${@//@/$D}")" ran "$text: runs outside"
	is "$(runs "$MODEL" "${@//@/$R}")" ran "$text: runs from a zone with exec"
	is "$(runs "$MODEL" "${@//@/$D}")" EACCES "$text: denied from another"
}
ways "after fchdir" in @ exec ./program
ways "an O_PATH fd, by execveat" execpath @/program
ways "through /proc/self/fd" execproc @/program
is "$(runs "$MODEL" exec "$D/name2")" EACCES "by another name"
is "$(runs "$MODEL" exec "$TMP/second/program")" EACCES "through another mount"
is "$(lsm - execloader "$D/program")" 0 "the loader loads it outside"
is "$(lsm "$MODEL" execloader "$R/program")" 0 "and from a zone with exec"
is "$(lsm "$MODEL" execloader "$D/program")" EACCES "but not from another"
is "$(runs - execmemfd /bin/true)" ran "a memfd is run outside"
is "$(runs "$MODEL" execmemfd /bin/true)" EACCES "and not inside"
is "$(runs "$MODEL" execunlinked "$R/gone")" EACCES "an unlinked program does not run"
events
inode=$(stat -c %i "$D/program")
device=$(stat -c '%Hd %Ld' "$D/program" | awk '{ printf "0x%x", $1 * 1048576 + $2 }')
mount=$(awk -v p="$D" '$5 == p { print $1 }' /proc/self/mountinfo)
seen "jail=7 class=2 object=0 verdict=2 plane=4 error=-13 syscall=59 device=$device inode=$inode mount=$mount access=0 flags=0 .*comm=lsm_exec_probe path=program/\$" \
	"event of a denied program: zone, device, inode, mount, path"
seen "class=2 object=65535 verdict=2 plane=4 error=-13 syscall=59 .*flags=2 .*path=true/bin/\$" "on no zone"
seen "class=2 object=65535 verdict=2 plane=4 error=-13 syscall=322 .*flags=[23] .*path=memfd:probe/" "a memfd, by its name"
seen "class=2 object=1 verdict=3 plane=8 .*path=program/\$" "the observe plane says which ran"
unseen "class=11 .*plane=8 error=-13" "and does not repeat the denials"
inode=$(stat -c %i "$R/program")
seen "class=13 object=1 verdict=1 plane=4 error=0 .*inode=$inode .*access=0x5 .*path=program/\$" "inventory: the program that was mapped"
seen "class=13 object=2 verdict=1 plane=4 error=0 .*path=libc.so.6/" "and its C library"
seen "class=13 object=2 verdict=1 plane=4 error=0 .*path=ld-linux-x86-64.so.2/" "and the loader"
is "$(runs "$MODEL" exec "$R/program")" ran "a second run"
events
is "$(grep -c class=13 "$TMP/events")" 0 "is no news in the inventory"

# ---- mappings: what, then outside, inside, inside with jit ----
drive install 8 "$STRAY" "$TOP/jail" jit memfd
drive zones 8 "$D=rwc" "$R=rx" /=rx
drive go "$STRAY"
tap $? "a second jail, whose profile allows JIT and memfd"
maps() { # maps TEXT MODEL-ANSWER JIT-ANSWER ARGS...
	local text=$1 model=$2 jit=$3
	shift 3
	is "$(lsm - "$@")" 0 "$text: works outside"
	is "$(lsm "$MODEL" "$@")" "$model" "$text: $model"
	is "$(lsm "$STRAY" "$@")" "$jit" "$text: $jit with JIT and memfd"
}
events
maps "library, exec zone" 0 0 map "$R/program" p rx -
maps "library, read, then exec" 0 0 map "$R/program" p r rx
maps "file, zone without exec" EACCES EACCES map "$D/program" p rx -
maps "the same, shared" EACCES EACCES map "$D/program" s rx -
maps "the same by mprotect" EACCES EACCES map "$D/program" p r rx
maps "file of no zone" EACCES EACCES map "$TMP/usr/bin/true" p rx -
maps "exec zone, written privately" EACCES 0 patch "$R/program"
maps "exec zone, writable and executable" EACCES 0 map "$R/program" p rwx -
maps "anonymous" EACCES 0 anon p rwx -
maps "anonymous by mprotect" EACCES 0 anon p rw rx
maps "anonymous shared" EACCES 0 anon s rw rx
maps "what is read becomes executable (personality)" EACCES EACCES mapimplied "$D/program"
maps "the same in a zone with exec" 0 0 mapimplied "$R/program"
maps "anonymous by pkey_mprotect" EACCES 0 pkey
maps "memory of System V" EACCES 0 shm
maps "memfd" EACCES 0 memfd rx -
maps "memfd by mprotect" EACCES 0 memfd rw rx
maps "data, not executable" 0 0 map "$D/program" s rw -
is "$("$BUILD/root/lsm_probe" "$STRAY" openmemfd r)" 0 "a memfd is opened again where the profile allows memfds"
for k in 1 2 3; do cp "$R/program" "$R/gone$k"; done
is "$(lsm - unlinkedmap "$R/gone1")" 0 "an unlinked library: works outside"
is "$(lsm "$MODEL" unlinkedmap "$R/gone2")" EACCES "EACCES inside"
is "$(lsm "$STRAY" unlinkedmap "$R/gone3")" 0 "allowed with JIT"
events
seen "jail=7 class=13 object=0 verdict=2 plane=4 error=-13 syscall=9 device=$device .*access=0x5 flags=0 .*path=program/\$" "mmap: event with the zone"
seen "jail=7 class=13 object=0 verdict=2 plane=4 error=-13 syscall=10 device=$device .*access=0x10005 flags=0 .*path=program/\$" "mprotect: event"
seen "jail=7 class=13 object=65535 verdict=2 .*error=-13 syscall=9 device=0 inode=0 .*access=0x20007 flags=2 " "anonymous: event"
seen "jail=7 class=13 object=65535 verdict=2 .*error=-13 .*access=0x40005 .*path=memfd:probe/" "memfd: event"
seen "jail=7 class=13 object=1 verdict=2 .*error=-13 .*access=0x80005 .*path=gone2/" "unlinked: event"
seen "jail=8 class=13 object=65535 verdict=1 .*access=0x20007 " "JIT is in the inventory of whom it is allowed"
unseen "plane=8 error=-13" "nothing is said twice"
nothing_failed "no helper failed"
drive remove $JAIL
drive remove 8
plan_end
