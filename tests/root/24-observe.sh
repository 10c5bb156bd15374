#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Observe programs: what a model opened (with the zone of the file that the kernel opened), ran,
# ended and was refused, from the moment that its policy is complete, and nobody else's doings.
. "$(dirname "$0")/policy_lib.sh"

GPU=$TMP/gpu0
mknod "$GPU" c 195 0
ZONE=$TMP/zone
mkdir "$ZONE" && mount -t tmpfs none "$ZONE" || exit 1
trap 'umount "$ZONE"; cleanup' EXIT
mkdir -p "$ZONE/llama/small"
echo weights >"$ZONE/llama/model.gguf"
ln -s ../model.gguf "$ZONE/llama/small/link"
PROBE=$(realpath "$BUILD/root/policy_probe")
events() { drive events >"$TMP/events"; }
seen() { like "$(cat "$TMP/events")" "$1" "$2"; }
unseen() { unlike "$(cat "$TMP/events")" "$1" "$2"; }

is "$(drive open)" "fresh planes=10" "programs load"
drive install $JAIL "$MODEL" "$BROKER"
drive zones $JAIL "$ZONE" "$PROBE"
tap $? "two zones: a tmpfs, and what holds the programs"
is "$(probe "$MODEL" open "$ZONE/llama/model.gguf" r)" 0 "a file is opened before the go"
is "$(counter 1 0)" "0 0 0 0 0" "which is not observed: only the jail's builder runs then"
drive go "$MODEL"
tap $? "go"
events

is "$(probe "$MODEL" open "$ZONE/llama/model.gguf" r)" 0 "the model opens it"
events
inode=$(stat -c %i "$ZONE/llama/model.gguf")
device=$(stat -c '%Hd %Ld' "$ZONE/llama/model.gguf" | awk '{ printf "0x%x", $1 * 1048576 + $2 }')
mount=$(awk -v p="$ZONE" '$5 == p { print $1 }' /proc/self/mountinfo)
seen "jail=7 class=1 object=0 verdict=1 plane=8 error=0 syscall=257 device=$device inode=$inode mount=$mount access=0x[0-9a-f]+ flags=0 .*comm=policy_probe path=model.gguf/llama/\$" \
	"event: zone, device, inode, mount id, path from the mount's root, leaf first"
seen 'class=3 object=0 verdict=3 plane=8 .*access=0 .*comm=policy_probe' "event: the process ended, code 0"
is "$(counter 1 0)" "1 0 0 1 0" "counter of the zone"
is "$(probe "$MODEL" open "$ZONE/llama/small/link" r)" 0 "opened again, through a link"
events
unseen 'class=1 object=0' "the same file is no news"
is "$(counter 1 0)" "2 0 0 1 0" "but is counted"
is "$(probe "$OTHER" open "$ZONE/llama/model.gguf" r)" 0 "somebody else opens it"
is "$(probe "$BROKER" open "$ZONE/llama/model.gguf" r)" 0 "and so does the broker"
is "$(counter 1 0)" "2 0 0 1 0" "which is not the model's doing"

events
is "$(probe "$MODEL" open /proc/version r)" 0 "a file on no zone"
is "$(probe "$MODEL" open /proc/version r)" 0 "twice"
events
is "$(grep -c 'class=1 object=65535 verdict=3 plane=8 .*flags=2 .*path=version/$' "$TMP/events")" 2 \
	"is an event each time, marked as on no zone"
is "$(probe "$MODEL" memfd)" 0 "a memfd opened again"
events
seen 'class=1 object=65535 verdict=3 .*flags=2 .*path=memfd:custody-test/$' "is on no zone"
: | probe "$MODEL" open /proc/self/fd/0 r >/dev/null
events
unseen 'class=1 object=65535' "a pipe is nobody's file"

deep=$ZONE
for i in 1 2 3 4; do deep=$deep/$(printf "%0100d" $i); done
mkdir -p "$deep" && : >"$deep/file"
long=$ZONE/$(printf "%0255d" 5)
: >"$long"
is "$(probe "$MODEL" open "$deep/file" r)" 0 "a deep path"
is "$(probe "$MODEL" open "$long" r)" 0 "a long name"
many=$ZONE$(printf '/%.0sd' {1..31})
mkdir -p "$many/d" && : >"$many/leaf32" && : >"$many/d/leaf33"
is "$(probe "$MODEL" open "$many/leaf32" r)" 0 "a path of 32 components"
is "$(probe "$MODEL" open "$many/d/leaf33" r)" 0 "one of 33"
events
seen "flags=1 .*path=file/0{99}4/0{99}3/" "a path that is too long says so and keeps its leaf"
seen "flags=0 .*path=0{254}5/\$" "a name of 255 bytes fits"
seen "flags=0 .*path=leaf32/(d/){31}\$" "32 components fit"
seen "flags=1 .*path=leaf33/(d/){31}\$" "the 33rd does not, and it says so"

mount -o remount,ro "$ZONE"
is "$(probe "$MODEL" open "$ZONE/llama/model.gguf" w)" EROFS "writing to a read-only mount"
mount -o remount,rw "$ZONE"
is "$(probe "$MODEL" open "$GPU" r)" EPERM "a device that the cgroup plane denies"
events
seen 'class=1 object=65535 verdict=2 plane=8 error=-30 syscall=257 .*access=0x80001 ' "EROFS is an event with the flags asked for"
seen 'class=1 object=65535 verdict=2 plane=8 error=-1 syscall=257 ' "and so is EPERM"
seen 'class=4 object=65535 verdict=2 plane=2 ' "which the device program has told as well"
is "$(counter 1 65535 | cut -d' ' -f2)" 2 "both are counted"

is "$(probe "$MODEL" filter 321 1)" EPERM "the filter refuses bpf()"
is "$(probe "$MODEL" filter 101 13)" EACCES "the filter refuses ptrace()"
is "$(probe "$MODEL" filter 298 38)" ENOSYS "the filter does not know perf_event_open()"
is "$(probe "$MODEL" filter 298 38)" ENOSYS "twice"
is "$(probe "$MODEL" socket 2 2 136)" EPERM "the cgroup plane refuses a UDP-Lite socket"
events
seen 'class=11 object=0 verdict=2 plane=8 error=-1 syscall=321 ' "EPERM by the filter is an event"
seen 'class=11 object=0 verdict=2 plane=8 error=-13 syscall=101 ' "so is EACCES"
is "$(grep -c 'class=11 .*error=-38 syscall=298 ' "$TMP/events")" 1 "ENOSYS only at first sight"
unseen 'class=11 .*syscall=41 ' "the refused socket is told by its own program only"
is "$(counter 11 0)" "0 4 0 3 0" "every refusal is counted"

"$BUILD/root/policy_probe" "$MODEL" exec "$PROBE" >/dev/null 2>&1
"$BUILD/root/policy_probe" "$MODEL" exec "$PROBE" >/dev/null 2>&1
probe "$MODEL" exit 3
probe "$MODEL" threads 8 >/dev/null
events
is "$(grep -c "class=2 object=1 verdict=3 plane=8 error=0 .*inode=$(stat -c %i "$PROBE") .*path=policy_probe/" "$TMP/events")" 1 \
	"a program is an event when first run, with its file"
is "$(counter 2 1)" "2 0 0 1 0" "and counted each time"
seen 'class=3 .*access=0x300 ' "the exit code is told"
is "$(grep -c 'class=3 ' "$TMP/events")" 4 "one event for each process, however many threads it had"

N=12000
mount -o remount,ro "$ZONE"
is "$(probe "$MODEL" burst "$GPU" $N)" $N "with the ring full, opens are denied as before"
read -r allowed denied _ emitted lost <<<"$(counter 1 65535)"
is "$denied" $((N + 2)) "and each is counted"
tap $((lost > 0 ? 0 : 1)) "what found no room is counted as lost ($lost)"
is $((emitted + lost)) $((allowed + denied - 1)) "every event is emitted or lost (the pipe was none)"
nothing_failed "no helper failed"
drive remove $JAIL
is "$(drive count $JAIL)" 0 "removal leaves no entry, first sights included"
plan_end
