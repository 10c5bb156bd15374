#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# LSM plane, family task: what a model may do to other processes, its privileges and the kernel.
# The probes are root with every capability and no seccomp: nothing but the plane refuses them.
. "$(dirname "$0")/lsm_lib.sh"

DIR=$TMP/dir
mkdir "$DIR"
sleep 600 &
OTHER_PID=$!
STARTED="$STARTED $OTHER_PID"
task() { echo "jail=7 class=14 object=$1 verdict=2 plane=4 error=-1 .*$2"; }
other() { task "$1" "inode=$OTHER_PID .*access=$2 "; }

is "$(lsm "$STRAY" hostname)" EPERM "a cgroup below without an entry is denied (P1)"
drive install $JAIL "$MODEL" "$BROKER" || exit 1
is "$(lsm "$MODEL" hostname)" 0 "before the jail is committed its builder may use capabilities"
is "$(lsm "$MODEL" trace "$OTHER_PID")" 0 "and trace"
is "$(uring "$MODEL" make)" 0 "and make a ring"
zones / /proc /dev "$TMP" || exit 1
drive go "$MODEL"
tap $? "the jail is committed"
ring >/dev/null

denied "ptrace" 0 EPERM "$(other 0 '0x[1-9a-f]*[2a]')" lsm trace "$OTHER_PID"
is "$(lsm "$MODEL" trace own)" 0 "a model may trace its own"
denied "process_vm_readv" EFAULT EPERM "$(other 0 '[^ ]*')" lsm vmread "$OTHER_PID"
is "$(lsm "$MODEL" vmread own)" EFAULT "and read its own memory"
denied "process_vm_writev" EFAULT EPERM "$(other 0 '[^ ]*')" lsm vmwrite "$OTHER_PID"
denied "pidfd_getfd of a process outside" 0 EPERM "$(other 0 '[^ ]*')" lsm take-fd "$OTHER_PID"
denied "/proc/PID/mem" 0 EACCES "$(other 0 '[^ ]*')" lsm memory "$OTHER_PID"
denied "PTRACE_TRACEME by a parent outside" 0 EPERM "$(task 0 'access=0 ')" lsm traceme
denied "signal 0" 0 EPERM "$(other 1 0)" lsm kill "$OTHER_PID" 0
denied "SIGCONT" 0 EPERM "$(other 1 0x12)" lsm kill "$OTHER_PID" 18
denied "pidfd_send_signal" 0 EPERM "$(other 1 0x12)" lsm pidfd-kill "$OTHER_PID" 18
denied "tgkill" 0 EPERM "$(other 1 0x12)" lsm tgkill "$OTHER_PID" 18
denied "rt_sigqueueinfo" 0 EPERM "$(other 1 0x12)" lsm sigqueue "$OTHER_PID" 18
is "$(lsm "$MODEL" kill "$OTHER_PID" 9)" EPERM "SIGKILL"
kill -0 "$OTHER_PID"
tap $? "which has killed nobody"
is "$(lsm "$MODEL" kill own 9)" 0 "a model may kill its own"
is "$(lsm "$OTHER" kill "$OTHER_PID" 18)" 0 "a cgroup beside custody's is not touched"
is "$(lsm "$BROKER" hostname)" 0 "nor the broker, which is not the model"

denied "a capability" 0 EPERM "$(task 2 'access=0x15 ')" lsm hostname
is "$(lsm "$MODEL" powerless)" EPERM "what is asked without having it"
is "$(ring)" "" "is no event: the kernel refused it before"
denied "unshare(CLONE_NEWNET)" 0 EPERM "$(task 2 'access=0x15 ')" lsm unshare 0x40000000
denied "setns" 0 EPERM "$(task 2 'access=0x15 ')" lsm setns /proc/self/ns/uts
denied "setns with a pidfd" 0 EPERM "$(task '[02]' '')" lsm setns-pidfd "$OTHER_PID"
denied "a user namespace" 0 EPERM "$(task 3 '')" lsm unshare 0x10000000
denied "a user namespace, by clone3" 0 EPERM "$(task 3 '')" lsm clone 0x10000000
denied "a network namespace, by clone3" 0 EPERM "$(task 2 'access=0x15 ')" lsm clone 0x40000000
denied "mount_setattr" 0 EPERM "$(task 2 'access=0x15 ')" lsm mount-setattr "$DIR"
denied "remount" 0 EPERM "$(task 4 'access=0x1021 ')" lsm remount "$DIR"
denied "mount" 0 EPERM "$(task 4 'access=0 ')" lsm mount "$DIR"
denied "umount" 0 EPERM "$(task 2 'access=0x15 ')" lsm umount "$DIR"
denied "move_mount" 0 EPERM "$(task 2 'access=0x15 ')" lsm move-mount "$DIR"
denied "pivot_root" 0 EPERM "$(task 2 'access=0x15 ')" lsm pivot-root "$DIR"
denied "fsopen" 0 EPERM "$(task 2 'access=0x15 ')" lsm fsopen
denied "open_tree" 0 EPERM "$(task 2 'access=0x15 ')" lsm open-tree "$DIR"
denied "bpf" 0 EPERM "$(task '[25]' '')" lsm bpf # Linux 6.1 asks for a capability first
denied "bpf, a program" 0 EPERM "$(task '[25]' '')" lsm bpf-program
denied "perf_event_open" 0 'E(PERM|ACCES)' "$(task '[26]' '')" lsm perf
denied "finit_module" ENOEXEC EPERM "$(task 2 'access=0x10 ')" lsm finit-module "$0"
denied "init_module" ENOEXEC EPERM "$(task 2 'access=0x10 ')" lsm init-module
denied "kexec_load" 0 EPERM "$(task 2 'access=0x16 ')" lsm kexec
denied "kexec_file_load" ENOEXEC EPERM "$(task 2 'access=0x16 ')" lsm kexec-file "$0"
is "$(lsm "$MODEL" socket 9)" EAFNOSUPPORT "a socket of a family that a module would bring"
like "$(ring)" "$(task 7 'access=0 ')" "does not load it"
denied "io_uring_setup" 0 EPERM "$(task 8 'access=0 ')" uring make
denied "io_uring_setup with a kernel thread" 0 EPERM "$(task 8 'access=0x2 ')" uring sqpoll
denied "a command through a ring made outside" 0 EPERM "$(task 8 'access=0x3 ')" uring cmd
denied "other credentials through it" 0 EPERM "$(task 8 'access=0x1 ')" uring creds
denied "userfaultfd" 0 EPERM "$(task '[29]' '')" lsm userfault

# Behind the capabilities: the hooks that a task without any is stopped before, on their own.
like "$(drive counters $JAIL)" '^14 2 0 [1-9]' "uses of capabilities are counted"
is "$(counter 14 0 | cut -d' ' -f1)" 0 "and nothing was allowed"
# Site 4, POLICY_ERROR_NO_JAIL: what was denied at the very beginning.
nothing_failed "no helper failed" 4 '[1-9][0-9]*'
take_away capable
is "$(lsm "$MODEL" hostname)" 0 "with the hook for capabilities taken away"
denied "umount" 0 EPERM "$(task 4 'access=0x2 ')" lsm umount "$DIR"
denied "move_mount" 0 EPERM "$(task 4 'access=0 ')" lsm move-mount "$DIR"
denied "pivot_root" 0 EPERM "$(task 4 'access=0 ')" lsm pivot-root "$DIR"
denied "finit_module" ENOEXEC EPERM "$(task 7 'access=0x2 ')" lsm finit-module "$0"
denied "init_module" ENOEXEC EPERM "$(task 7 'access=0x[23] ')" lsm init-module
denied "kexec_load" 0 EPERM "$(task 7 'access=0x[34] ')" lsm kexec
denied "perf_event_open" 0 EPERM "$(task 6 '')" lsm perf
denied "userfaultfd" 0 EPERM "$(task 9 '')" lsm userfault
denied "bpf" 0 EPERM "$(task 5 'access=0 ')" lsm bpf
denied "bpf, a program" 0 EPERM "$(task 5 'access=0x5 ')" lsm bpf-program
denied "kexec_file_load" ENOEXEC EPERM "$(task 7 'access=0x[34] ')" lsm kexec-file "$0"
take_away bpf
denied "a program's descriptor" 0 EPERM "$(task 5 'access=0 ')" lsm bpf-program
denied "a map's descriptor" 0 EPERM "$(task 5 'access=0 ')" lsm bpf
plan_end
