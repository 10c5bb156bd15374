#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# LSM plane, files: the mount that a file was reached through decides, whatever the call and the
# name. Zones: weights (read), scratch (read, write, create), /proc. Each thing is allowed before
# the go and outside, denied inside with EACCES where the right lacks, allowed where it is held.
# Each call is made in every way there is to make it. Capabilities and io_uring are taken out of
# the plane first: they would refuse some of the ways before the files are asked.
export DRIVER_PLANES=14
. "$(dirname "$0")/lsm_lib.sh"

for z in weights scratch other; do
	mkdir "$TMP/$z" && mount -t tmpfs -o mode=777 none "$TMP/$z" || exit 1
done
mkdir "$TMP/second" && mount --bind "$TMP/weights" "$TMP/second" || exit 1
trap 'umount "$TMP/second" "$TMP/weights" "$TMP/scratch" "$TMP/other"; cleanup' EXIT
W=$TMP/weights S=$TMP/scratch O=$TMP/other
fill() { # the same things everywhere
	local d
	rm -rf "${W:?}"/* "${S:?}"/* "${O:?}"/*
	mkdir "$W/llama" "$W/empty" "$S/llama" "$S/empty" "$O/llama" "$O/empty"
	for d in "$W" "$S" "$O"; do
		echo weights >"$d/llama/model.gguf"
		echo a >"$d/a"
		echo b >"$d/b"
	done
}
fill
lsm() { "$BUILD/root/lsm_probe" "$@"; }
events() { ring >"$TMP/events"; }
seen() { like "$(<"$TMP/events")" "$1" "$2"; }
unseen() { unlike "$(<"$TMP/events")" "$1" "$2"; }
device() { stat -c '%Hd %Ld' "$1" | awk '{ printf "0x%x", $1 * 1048576 + $2 }'; }

is "$(lsm "$STRAY" open "$W/a" r)" EPERM "a cgroup below custody's without an entry opens nothing"
is "$(lsm "$OTHER" open "$W/a" r)" 0 "a cgroup beside it is not touched"
is "$(lsm - open "$W/a" b)" 0 "nor is a process of the host"
drive install $JAIL "$MODEL" "$BROKER"
drive zones $JAIL "$W=r" "$S=rwc" /proc=rw
tap $? "policy and zones are installed"
is "$(lsm "$MODEL" open "$O/a" b)" 0 "before the go the jail's builder is not judged"
is "$(lsm "$BROKER" open "$O/a" b)" 0 "nor is the broker"
drive go "$MODEL"
tap $? "go"
take_away capable inode_init_security_anon
tap $? "without the hooks of capabilities and of rings"
is "$(lsm "$BROKER" open "$O/a" b)" 0 "the broker is not judged after it either"
events

# ---- opens, by every way to open ----
opens() { # opens WHAT ARGS... : how ARGS with @ = the directory answer by zone
	local text=$1
	shift
	is "$(lsm - "${@//@/$O}")" 0 "$text: allowed outside"
	is "$(lsm "$MODEL" "${@//@/$S}")" 0 "$text: allowed in a zone with the right"
	is "$(lsm "$MODEL" "${@//@/$O}")" EACCES "$text: denied on a mount that is no zone"
}
opens "open" open @/llama/model.gguf r
opens "open for writing" open @/a w
opens "openat2" openat2 @/a b
opens "open again through /proc/self/fd" opath @/a r
opens "open of an O_PATH fd for writing" opath @/a w
opens "relative to a directory fd" relative @/llama model.gguf r
opens "relative, after fchdir" in @/llama open model.gguf r
opens "openat2, after fchdir" in @/llama openat2 ../a b
opens "open to read, cut to nothing" open @/b t
opens "by handle" handle @/a r
opens "a directory" open @/llama rd
opens "O_TMPFILE" open @/ bm
opens "io_uring's worker" uring @/a r
opens "io_uring's worker, openat2" uring2 @/a b
opens "io_uring's worker, after fchdir" in @/llama uring ../a w
is "$(lsm "$MODEL" open "$W/llama/model.gguf" r)" 0 "weights are read"
is "$(lsm "$MODEL" relative "$W/llama" ../a r)" 0 "by .. too"
for how in "open @/a w" "openat2 @/a w" "opath @/a w" "handle @/a b" "open @/a bt" \
	"relative @/llama ../a w" "open @/ bm" "open @/a t" "openat2 @/a t" "opath @/a t" \
	"uring @/a w" "uring2 @/a w" "in @/llama open ../a w"; do
	read -ra words <<<"${how//@/$W}"
	is "$(lsm "$MODEL" "${words[@]}")" EACCES "weights are not written: $how"
done
is "$(lsm "$MODEL" open "$TMP/second/a" r)" EACCES "the same file through another mount is denied"
is "$(lsm - open "$TMP/second/a" r)" 0 "which works outside"
ln "$W/a" "$W/name2"
is "$(lsm "$MODEL" open "$W/name2" w)" EACCES "another name gives no other right"
is "$(lsm "$MODEL" open /etc/passwd r)" EACCES "a file of the host"
ln -s /etc/passwd "$S/link"
is "$(lsm "$MODEL" open "$S/link" r)" EACCES "by a link of the model's too"
is "$(lsm "$MODEL" open /proc/self/status r)" 0 "/proc is a zone"
is "$(lsm "$MODEL" open /proc/self/ns/net r)" EACCES "a namespace is none"
is "$(lsm "$MODEL" pipe)" 0 "a pipe is opened again"
is "$(lsm "$MODEL" openmemfd r)" EACCES "a memfd is not, unless the profile says so"

events
inode=$(stat -c %i "$W/llama/model.gguf")
mount=$(awk -v p="$W" '$5 == p { print $1 }' /proc/self/mountinfo)
seen "jail=7 class=1 object=0 verdict=1 plane=4 error=0 syscall=257 device=$(device "$W/a") inode=$inode mount=$mount access=0x[0-9a-f]+ flags=0 .*comm=lsm_probe path=model.gguf/llama/\$" \
	"event of a first open: zone, device, inode, mount, path"
mount=$(awk -v p="$O" '$5 == p { print $1 }' /proc/self/mountinfo)
seen "class=1 object=65535 verdict=2 plane=4 error=-13 syscall=257 device=$(device "$O/a") inode=$(stat -c %i "$O/a") mount=$mount access=0x[0-9a-f]*1 flags=2 .*path=a/\$" \
	"event of a denied open: no zone, the same"
seen "class=1 object=0 verdict=2 plane=4 error=-13 syscall=437 .*path=a/\$" "openat2 is named"
seen "class=1 object=0 verdict=2 plane=4 error=-13 syscall=304 .*path=a/\$" "open_by_handle_at is named"
unseen "class=(1|11) .*plane=8 error=-13" "the observe plane says nothing of it again"
unseen "class=1 .*plane=8 .*verdict=1" "nor of opens that succeed"
n=$(grep -c "path=model.gguf/llama/" "$TMP/events")
is "$(lsm "$MODEL" open "$W/llama/model.gguf" r)" 0 "a second open"
events
is "$(grep -c "inode=$inode .*path=model.gguf/llama/\$" "$TMP/events")" 0 "is no news ($n before)"

# ---- changes ----
change() { # change TEXT CODE ARGS... : @ the directory; reset between
	local text=$1 code=$2
	shift 2
	fill
	is "$(lsm - "${@//@/$O}")" 0 "$text: allowed outside"
	is "$(lsm "$MODEL" "${@//@/$S}")" 0 "$text: allowed where the zone has the right"
	is "$(lsm "$MODEL" "${@//@/$W}")" EACCES "$text: denied where it has not"
	fill
	is "$(lsm "$MODEL" "${@//@/$O}")" EACCES "$text: denied on no zone"
	events
	seen "class=12 object=0 verdict=2 plane=4 error=-13 syscall=-?[0-9]+ device=$(device "$W/a") inode=[0-9]+ mount=[0-9]+ access=$code flags=0 " "$text: event with the zone"
	seen "class=12 object=65535 verdict=2 plane=4 error=-13 .*access=$code flags=2 .*path=" "$text: event without"
	unseen "verdict=2 plane=8" "$text: said once"
}
change "create by open" 0x1 open @/new wc
change "create by mknod" 0x1 mkfile @/new
change "fifo" 0x2 mkfifo @/new
change "mkdir" 0x3 mkdir @/new
change "symlink" 0x4 symlink @/new
change "link" 0x5 link @/a @/new
change "link of an fd" 0x5 linkfd @/a @/new
change "unlink" 0x6 unlink @/a
change "rmdir" 0x7 rmdir @/empty
change "rename" 0x8 rename @/a @/new
change "rename over another" 0x8 rename @/a @/b
change "exchange" 0x8 exchange @/a @/b
change "truncate" 0x9 truncate @/a
change "ftruncate of an fd from outside" 0x9 ftruncate @/a
change "chmod" 0xa chmod @/a
change "fchmod of an fd from outside" 0xa fchmod @/a
change "chown" 0xb chown @/a
change "chown of an O_PATH fd" 0xb chownpath @/a
case $(lsm - chmodpath "$O/a") in
ENOSYS) ;; # before 6.6
*) change "chmod of an O_PATH fd" 0xa chmodpath @/a ;;
esac
change "the name of a UNIX socket" 0x2 bindunix @/new
change "mkdir, after fchdir" 0x3 in @/llama mkdir new
change "unlink, after fchdir" 0x6 in @/llama unlink ../a
change "exchange, after fchdir" 0x8 in @/llama exchange ../a model.gguf
change "io_uring: unlink" 0x6 uringchange unlink @/a -
change "io_uring: mkdir" 0x3 uringchange mkdir @/new -
change "io_uring: rename" 0x8 uringchange rename @/a @/new
change "io_uring: symlink" 0x4 uringchange symlink target @/new
change "io_uring: link" 0x5 uringchange link @/a @/new

# The hook of times has no mount: by file system.
fill
is "$(lsm - utimes "$O/a")" 0 "utimes: allowed outside"
is "$(lsm "$MODEL" utimes "$S/a")" 0 "utimes: allowed on a file system that is written"
is "$(lsm "$MODEL" utimes "$W/a")" EACCES "utimes: denied on one that is only read"
is "$(lsm "$MODEL" utimes "$O/a")" EACCES "utimes: denied on one without a zone"
events
seen "class=12 object=65535 verdict=2 plane=4 error=-13 syscall=280 device=$(device "$W/a") inode=$(stat -c %i "$W/a") .*access=0xc " "utimes: event"

fill
XATTR=/var/tmp/custody-test-$UNIQUE # on a file system that has such attributes
: >"$XATTR"
trap 'rm -f "$XATTR"; umount "$TMP/second" "$TMP/weights" "$TMP/scratch" "$TMP/other"; cleanup' EXIT
if [ "$(lsm - setxattr "$XATTR" user.custody-test)" = 0 ]; then
	is "$(lsm "$MODEL" setxattr "$XATTR" user.custody-test)" EPERM "setxattr is denied"
	is "$(lsm - fsetxattr "$XATTR" user.custody-test)" 0 "fsetxattr works outside"
	is "$(lsm "$MODEL" fsetxattr "$XATTR" user.custody-test)" EPERM "and is denied, too"
	is "$(lsm "$MODEL" removexattr "$XATTR" user.custody-test)" EPERM "so is removexattr"
	is "$(lsm - removexattr "$XATTR" user.custody-test)" 0 "which works outside"
	events
	seen "class=12 object=65535 verdict=2 plane=4 error=-1 .*access=0xd " "event"
fi
is "$(lsm - setacl "$O/a")" 0 "an access control list is set outside"
is "$(lsm "$MODEL" setacl "$S/a")" EPERM "and denied inside, even in a zone that is written"
events
seen "class=12 object=65535 verdict=2 plane=4 error=-1 syscall=188 device=$(device "$S/a") inode=$(stat -c %i "$S/a") .*access=0xd " "event"

# ---- flood: nobody reads the ring ----
events
N=${FLOOD:-100000}
read -r a0 d0 _ e0 l0 <<<"$(counter 1 65535)"
start=$(date +%s)
is "$(lsm "$MODEL" burst "$O/a" "$N")" "$N 0" "$N opens, none read from the ring: each is denied"
echo "# $N opens in $(($(date +%s) - start)) s"
read -r a1 d1 _ e1 l1 <<<"$(counter 1 65535)"
is $((d1 - d0)) "$N" "each is counted"
is $((e1 - e0 + l1 - l0)) "$N" "and its event emitted or lost"
tap $((l1 > l0 ? 0 : 1)) "some were lost ($((l1 - l0)))"
is $((a1 - a0)) 0 "none was counted as allowed"
read -r a0 d0 _ e0 l0 <<<"$(counter 1 0)"
is "$(lsm "$MODEL" burst "$W/a" 1000)" "0 0" "with the ring full, what is allowed is allowed"
read -r a1 d1 _ e1 l1 <<<"$(counter 1 0)"
is "$((a1 - a0)) $((d1 - d0))" "1000 0" "and counted"
nothing_failed "no helper failed" 4 '[0-9]+'

drive remove $JAIL
is "$(lsm "$MODEL" open "$S/a" r)" EPERM "a cgroup whose policy was removed opens nothing"
drive unpin
for _ in $(seq 200); do # the kernel detaches in its own time
	again=$(lsm "$MODEL" open "$O/a" r)
	[ "$again" != 0 ] || break
	sleep 0.05
done
is "$again" 0 "without the programs it opens again"
plan_end
