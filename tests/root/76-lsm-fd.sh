#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# LSM plane, family fd: descriptors that arrive in a jail, by SCM_RIGHTS, pidfd_getfd and seccomp.
. "$(dirname "$0")/lsm_lib.sh"

fd() { "$BUILD/root/lsm_fd_probe" "$@"; }
ZONE=$TMP/zone
mkdir "$ZONE" "$TMP/host"
mount -t tmpfs custody-test "$ZONE" || exit 1
mount -t tmpfs custody-test "$TMP/host" || exit 1
trap 'umount "$ZONE" "$TMP/host"; cleanup' EXIT
echo weights >"$ZONE/file"
echo secret >"$TMP/host/file"
INODE=$(stat -c %i "$TMP/host/file")
event() { echo "jail=7 class=16 object=65535 verdict=2 plane=4 error=-13 .*${1:-flags=2 }"; }

drive install $JAIL "$MODEL" "$BROKER" || exit 1
is "$(fd "$MODEL" scm "$TMP/host/file")" 0 "before the jail is committed: nothing is held"
zones "$ZONE" || exit 1
drive go "$MODEL"
tap $? "the jail is committed"
ring >/dev/null

for way in scm getfd addfd; do
	is "$(fd "$MODEL" $way "$ZONE/file")" 0 "$way: a file of its own zone arrives"
	for kind in pipe socket eventfd epoll timerfd signalfd inotify pidfd memfd; do
		is "$(fd "$MODEL" $way $kind)" 0 "$way: $kind arrives"
	done
done
is "$(ring)" "" "none of it is an event"
read -r allowed _ <<<"$(counter 16 65535)"
is "$allowed" 27 "plumbing is counted"
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
refused netlink "a netlink socket" ""
refused namespace "a namespace" ""
refused bpf-map "a BPF map" ""
refused perf "a performance counter" ""
refused userfault "a userfaultfd" ""
refused fscontext "a file system to be mounted" ""
is "$(fd "$OTHER" scm "$TMP/host/file")" 0 "a cgroup beside custody's is not touched"
is "$(fd "$BROKER" scm "$TMP/host/file")" 0 "nor the broker"
is "$(fd "$MODEL" getfd io_uring)" EACCES "pidfd_getfd: a ring"
is "$(drive errors | cut -d' ' -f1-4)" "0 0 0 0" "no helper failed"
plan_end
