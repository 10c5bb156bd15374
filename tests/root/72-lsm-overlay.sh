#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# LSM plane, zones that are overlays (a container's root file system is one). The overlay's mount
# decides, for what it takes from below and for what it makes above as well: copies are the
# kernel's own work, and neither refused nor seen. The layers themselves are no zones.
. "$(dirname "$0")/lsm_lib.sh"

modprobe overlay 2>/dev/null
grep -qw overlay /proc/filesystems || skip_all "no overlayfs in this kernel"
mkdir "$TMP/lower" "$TMP/upper" && mount -t tmpfs none "$TMP/lower" && mount -t tmpfs none "$TMP/upper" || exit 1
L=$TMP/lower
for z in free read run none; do
	mkdir "$TMP/$z" "$TMP/upper/$z" "$TMP/upper/$z/up" "$TMP/upper/$z/work"
done
trap 'umount "$TMP/free" "$TMP/read" "$TMP/run" "$TMP/none"; umount "$TMP/lower" "$TMP/upper"; cleanup' EXIT
mkdir "$L/dir" "$L/empty"
for name in a b c d e f g h; do echo "$name of below" >"$L/$name"; done
echo inside >"$L/dir/x"
cp /bin/true "$L/program"
cp "$(ldd /bin/true | awk '$1 ~ /^libc/ { print $3 }')" "$L/library"
for z in free read run none; do
	mount -t overlay none "$TMP/$z" \
		-o "lowerdir=$L,upperdir=$TMP/upper/$z/up,workdir=$TMP/upper/$z/work" || exit 1
done
F=$TMP/free R=$TMP/read X=$TMP/run N=$TMP/none
lsm() { "$BUILD/root/lsm_probe" "$@"; }
runs() { local out; out=$("$BUILD/root/lsm_exec_probe" "$@"); echo "${out:-ran}"; }
events() { ring >"$TMP/events"; }
seen() { like "$(cat "$TMP/events")" "$1" "$2"; }
device() { stat -c '%Hd %Ld' "$1" | awk '{ printf "0x%x", $1 * 1048576 + $2 }'; }
above() { [ -e "$TMP/upper/$1" ]; }

is "$(lsm - open "$N/a" w)" 0 "outside of custody: a file of below is written, through a copy"
drive install $JAIL "$MODEL" "$BROKER"
drive zones $JAIL "$F=rwc" "$R=r" "$X=rx" /=rx /proc=r
is "$(lsm "$MODEL" open "$N/b" w)" 0 "before the go: nothing is held"
drive go "$MODEL"
tap $? "an overlay that is written, one that is read, one that is run"
events

# ---- with every right but exec ----
is "$(lsm "$MODEL" open "$F/a" r)" 0 "a file of below is read"
is "$(lsm "$MODEL" list "$F" 12)" 0 "a directory of both layers is listed"
is "$(lsm "$MODEL" open "$F/b" w)" 0 "a file of below is opened for writing"
above free/up/b
tap $? "which copies it up"
is "$(lsm "$MODEL" open "$F/c" t)" 0 "a file of below is cut to nothing"
is "$(stat -c %s "$TMP/upper/free/up/c"):$(stat -c %s "$L/c")" 0:11 "above, and not below"
is "$(lsm "$MODEL" truncate "$F/d")" 0 "truncate copies up"
is "$(lsm "$MODEL" chmod "$F/e")" 0 "chmod copies up"
is "$(stat -c %s "$TMP/upper/free/up/e")" 11 "with what is in it"
is "$(lsm "$MODEL" utimes "$F/f")" 0 "utimes copies up"
is "$(lsm "$MODEL" link "$F/g" "$F/g2")" 0 "a link to a file of below"
is "$(lsm "$MODEL" rename "$F/g2" "$F/g3")" 0 "renamed"
is "$(lsm "$MODEL" exchange "$F/a" "$F/b")" 0 "two exchanged"
is "$(lsm "$MODEL" unlink "$F/h")" 0 "a file of below is removed"
tap "$([ -c "$TMP/upper/free/up/h" ] && [ -f "$L/h" ]; echo $?)" "above by a whiteout, and not below"
is "$(lsm "$MODEL" rmdir "$F/empty")" 0 "so is a directory"
is "$(lsm "$MODEL" open "$F/dir/new" wc)" 0 "a file is made in a directory of below"
is "$(lsm "$MODEL" mkdir "$F/dir/sub")" 0 "and a directory"
is "$(lsm "$MODEL" symlink "$F/dir/link")" 0 "and a symbolic link"
is "$(lsm "$MODEL" list "$F/dir" 4)" 0 "which are listed with what was there"
is "$(lsm "$MODEL" openat2 "$F/dir/x" b)" 0 "openat2"
is "$(lsm "$MODEL" opath "$F/dir/x" w)" 0 "an O_PATH fd, opened again"
is "$(lsm "$MODEL" open "$F/" bm)" "$(lsm - open "$N/" bm)" "O_TMPFILE: what this overlayfs answers outside"
events
seen "jail=7 class=1 object=0 verdict=1 plane=4 error=0 .*device=$(device "$F/dir") inode=[0-9]+ mount=$(awk -v p="$F" '$5 == p { print $1 }' /proc/self/mountinfo) .*path=a/\$" \
	"events name the overlay's mount"
unlike "$(cat "$TMP/events")" "device=($(device "$L")|$(device "$TMP/upper")) " "and never a layer"
unlike "$(cat "$TMP/events")" "verdict=2" "and no copy was refused"

# ---- read only ----
for how in "open @/a w" "open @/a t" "openat2 @/a b" "opath @/a w" "truncate @/a" "chmod @/a" "unlink @/a" \
	"rename @/a @/new" "exchange @/a @/b" "link @/a @/new" "mkdir @/new" "rmdir @/empty" \
	"symlink @/new" "open @/new wc" "utimes @/a"; do
	read -ra words <<<"${how//@/$R}"
	is "$(lsm "$MODEL" "${words[@]}")" EACCES "with the right to read only: $how"
done
is "$(ls "$TMP/upper/read/up")" "" "and nothing was copied up"
is "$(lsm "$MODEL" open "$R/a" r)" 0 "it is read"
is "$(lsm "$MODEL" list "$R" 12)" 0 "and listed"
events
seen "class=12 object=1 verdict=2 plane=4 error=-13 .*access=0x6 .*path=a/\$" "a refused change is an event of its zone"
seen "class=1 object=1 verdict=2 plane=4 error=-13 .*path=a/\$" "and so is a refused open"

# ---- no zone: the overlay, and the layers of those that are ----
for how in "open @/a r" "open @/a w" "open @/new wc" "unlink @/a" "list @ 12"; do
	for place in "$N" "$L" "$TMP/upper/free/up"; do
		read -ra words <<<"${how//@/$place}"
		is "$(lsm "$MODEL" "${words[@]}")" EACCES "no zone (${place#"$TMP"/}): $how"
	done
done

# ---- execution ----
is "$(runs - exec "$F/program")" ran "outside of custody a program of below runs"
is "$(runs "$MODEL" exec "$X/program")" ran "a program of below runs in a zone with exec"
is "$(runs "$MODEL" exec "$F/program")" EACCES "and not in one without"
is "$(runs "$MODEL" exec "$N/program")" EACCES "nor on no zone"
is "$(runs "$MODEL" exec "$L/program")" EACCES "nor by its layer"
is "$(runs "$MODEL" map "$X/library" p rx -)" 0 "a library of below is mapped"
is "$(runs "$MODEL" map "$X/library" p r rx)" 0 "and by mprotect"
is "$(runs "$MODEL" map "$F/library" p rx -)" EACCES "not in a zone without"
is "$(runs "$MODEL" map "$F/library" p r rx)" EACCES "nor by mprotect"
is "$(runs "$MODEL" map "$N/library" p r rx)" EACCES "nor on no zone"
is "$(lsm - open "$X/library" w)" 0 "a copy of the library is made"
is "$(runs "$MODEL" map "$X/library" p r rx)" 0 "and is mapped as it was"
events
seen "class=13 object=2 verdict=1 plane=4 error=0 .*device=$(device "$X/dir") .*path=program/\$" "the inventory names the overlay's file"
nothing_failed "no helper failed"
plan_end
