#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# LSM plane, family fd: descriptors that arrive in a jail, by SCM_RIGHTS, pidfd_getfd and seccomp.
. "$(dirname "$0")/lsm_lib.sh"

fd() { "$BUILD/root/lsm_fd_probe" "$@"; }
ZONE=$TMP/zone
mkdir "$ZONE" "$TMP/host" "$TMP/weights"
mount -t tmpfs custody-test "$ZONE" || exit 1
mount -t tmpfs custody-test "$TMP/host" || exit 1
mount -t tmpfs custody-test "$TMP/weights" || exit 1
trap 'umount "$ZONE" "$TMP/host" "$TMP/weights"; cleanup' EXIT
echo weights >"$ZONE/file"
echo secret >"$TMP/host/file"
echo weights >"$TMP/weights/file"
INODE=$(stat -c %i "$TMP/host/file")
event() { echo "jail=7 class=16 object=65535 verdict=2 plane=4 error=-13 .*${1:-flags=2 }"; }

drive install $JAIL "$MODEL" "$BROKER" || exit 1
is "$(fd "$MODEL" scm "$TMP/host/file")" 0 "before the jail is committed: nothing is held"
drive zones $JAIL "$ZONE=rwcxi" "$TMP/weights=r" || exit 1
drive go "$MODEL"
tap $? "the jail is committed"
ring >/dev/null

for way in scm getfd addfd; do
	is "$(fd "$MODEL" $way "$ZONE/file")" 0 "$way: a file of its own zone arrives"
	for kind in pipe socket packet eventfd epoll timerfd signalfd inotify pidfd memfd; do
		is "$(fd "$MODEL" $way $kind)" 0 "$way: $kind arrives"
	done
done
is "$(ring)" "" "none of it is an event"
read -r allowed _ <<<"$(counter 16 65535)"
is "$allowed" 30 "plumbing is counted"
is "$(counter 16 0)" "3 0 0 0 0" "and files by zone"

refused() { # refused WHAT TEXT EVENT
	denied "SCM_RIGHTS: $2" 0 CTRUNC "$(event "$3")" fd scm "$1"
	denied "pidfd_getfd: $2" 0 EACCES "$(event "$3")" fd getfd "$1"
	case $1 in opath:*) return ;; esac # the kernel's ADDFD takes none of these
	denied "seccomp's ADDFD: $2" 0 EACCES "$(event "$3")" fd addfd "$1"
}
refused "$TMP/host/file" "a file of the host" "flags=2 .*path=file/"
like "$(fd "$MODEL" scm "$TMP/host/file" >/dev/null; ring)" "inode=$INODE .*access=0x8000 " \
	"the event says which file"
refused "opath:$TMP/host/file" "the same, opened with O_PATH" "flags=2 .*path=file/"
refused "opath:/" "the host's root directory" "flags=2 "
refused tcp "an internet socket of the host" ""
refused loose "a UNIX socket of the host, not connected" ""
refused datagram "a pair of UNIX datagram sockets" ""
refused listener "a listening UNIX socket of the host" ""
refused netlink "a netlink socket" ""
refused namespace "a namespace" ""
refused bpf-map "a BPF map" ""
refused perf "a performance counter" ""
refused userfault "a userfaultfd" ""
refused fscontext "a file system to be mounted" ""
refused "write:$TMP/host/file" "the same, opened for writing" "access=0x8001 flags=2 .*path=file/"
# Opened for more than the zone's rights: the event has the zone.
zoned=$(event "access=0x8001 flags=0 .*path=file/")
zoned=${zoned/object=65535/object=1}
writes() { # writes WAY INSIDE
	is "$(fd - "$1" "write:$TMP/weights/file")" 0 "$1: a file of a zone that is only read, open for writing: outside"
	ring >/dev/null
	is "$(fd "$MODEL" "$1" "write:$TMP/weights/file")" "$2" "$1: the same inside: $2"
	like "$(ring)" "$zoned" "$1: event with the zone"
}
writes scm CTRUNC
writes getfd EACCES
writes addfd EACCES
is "$(fd "$MODEL" scm "$TMP/weights/file")" 0 "open for reading it arrives"
is "$(fd "$MODEL" getfd "write:$ZONE/file")" 0 "and for writing one of a zone that is written"
is "$(fd - splice "write:$TMP/weights/file")" 0 "splice into a passed descriptor works outside"
echo weights >"$TMP/weights/file"
is "$(fd "$MODEL" splice "write:$TMP/weights/file")" EBADF "inside there is nothing to splice into"
is "$(fd "$MODEL" splice "write:$TMP/host/file")" EBADF "nor for a file of the host"
is "$(cat "$TMP/weights/file" "$TMP/host/file")" "weights
secret" "and nothing was written"
is "$(fd "$MODEL" splice "write:$ZONE/file")" 0 "into a file of a zone that is written it goes"
is "$(cat "$ZONE/file")" spliced "and arrives"
is "$(fd "$OTHER" scm "$TMP/host/file")" 0 "a cgroup beside custody's is not touched"
is "$(fd "$BROKER" scm "$TMP/host/file")" 0 "nor the broker"
is "$(fd "$MODEL" getfd io_uring)" EACCES "pidfd_getfd: a ring"
nothing_failed "no helper failed"
plan_end
