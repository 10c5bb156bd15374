#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# custody-planner on its channel, as custodyd starts it: as root, with two directories, once.
# Needs build/bin/custody-planner and build/root/planner_client.
set -u
cd "$(dirname "$0")/../.." || exit 1
planner=$PWD/build/bin/custody-planner
client=$PWD/build/root/planner_client
top=$(mktemp -d) || exit 1
trap 'rm -rf "$top"' EXIT
etc=$top/etc
usr=$top/usr
n=0

result() {	# result STATUS TEXT
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}

expect() {	# expect TEXT PATTERN REQUEST...: what comes back matches the shell pattern
	text=$1
	pattern=$2
	shift 2
	got=$("$client" "$planner" "$etc" "$usr" "$@" 2>&1)
	# shellcheck disable=SC2254
	case $got in
	$pattern) result 0 "$text" ;;
	*) result 1 "$text"; echo "# got: $got" ;;
	esac
}

if [ "$(id -u)" -ne 0 ]; then
	echo "ok 1 - planner on its channel # SKIP needs root"
	echo "1..1"
	exit 0
fi
mkdir "$etc" "$usr"
cp profiles/*.ini "$usr"
printf '[profile]\nextends = base\n[files]\nraed = /usr\nscratch = 0\n' >"$etc/broken.ini"
printf '[profile]\nextends = base\n[network]\negress = tcp:192.0.2.1:443\n' >"$etc/egress.ini"
printf '[profile]\nextends = base\n[process]\ncommand = /usr/bin/true\n' >"$etc/private.ini"
printf '[process]\ncommand = /usr/bin/etc\n' >"$etc/both.ini"
printf '[process]\ncommand = /usr/bin/usr\n' >"$usr/both.ini"
printf '[process]\ncommand = /usr/bin/out\n' >"$top/outside.ini"
ln -s ../outside.ini "$etc/outside.ini"
mkdir "$etc/folder.ini"
mkfifo "$etc/fifo.ini"
head -c 65537 /dev/zero | tr '\0' ';' >"$etc/big.ini"
chmod -R a+rX "$top"
chmod 600 "$etc/private.ini"

expect "a shipped profile becomes a sealed plan that passes the check" \
	"SEALED name=digits profile=sklearn-digits args=8 zones=8 endpoints=1 devices=0 arg0=/usr/bin/python3" \
	digits sklearn-digits /srv/models/digits
expect "a command replaces the profile's" "SEALED *args=2 *arg0=/usr/bin/env" \
	m base "" /usr/bin/env x
expect "a profile in etc is taken before one in usr" "SEALED *arg0=/usr/bin/etc" m both ""
expect "an error names file, line and the near key, and counts the rest" \
	"REFUSED exit=2 $etc/broken.ini:4: unknown key raed in *files*read? (and 1 more: *" m broken ""
printf '[profile]\nextends = base\n[process]\ncommand = /bin/true\n[gpu]\nioctls = render\n' >"$etc/set.ini"
printf '[profile]\nextends = base\n[process]\ncommand = /bin/true\n[files]\nappend = /srv\n' >"$etc/right.ini"
printf '[profile]\nextends = base\n[process]\ncommand = /bin/true\n[gpu]\ndevices = tpu:0\n' >"$etc/device.ini"
chmod a+r "$etc/set.ini" "$etc/right.ini" "$etc/device.ini"
expect "an ioctl set that does not exist: the line, and those that do" \
	"REFUSED exit=2 $etc/set.ini:6: *render is not understood*one of: all compute" m set ""
expect "a right on files that does not exist: the line, and those that do" \
	"REFUSED exit=2 $etc/right.ini:6: unknown key append in *files*its keys are: read data write scratch *" \
	m right ""
expect "a device that does not exist: the line, and those that do" \
	"REFUSED exit=2 $etc/device.ini:6: *tpu:0*nvidia:N*dri:N*nvidia-uvm:MAJOR*kfd:MAJOR*" m device ""
expect "what cannot be enforced is refused by policy, with its line" \
	"REFUSED exit=3 $etc/egress.ini:4: *egress = none" m egress "" /usr/bin/true
expect "an unknown profile names both directories and the near name" \
	"REFUSED exit=2 no profile bass.ini in $etc and $usr; did you mean base?" m bass ""
expect "a name that is a path is refused" "REFUSED exit=2 ../base is no profile name*" m ../base ""
expect "a model name that is a path is refused" "REFUSED exit=2 the model's name*" ../m base ""
expect "a model directory that is not absolute is refused" "REFUSED exit=2 the model directory*" \
	m base srv /usr/bin/true
expect "the planner is not root: what only root may read is refused" \
	"REFUSED exit=2 $etc/private.ini cannot be read: Permission denied*" m private ""
expect "Landlock: a link out of the directories is refused" \
	"REFUSED exit=2 $etc/outside.ini cannot be read: Permission denied*" m outside ""
expect "a directory is no profile" "REFUSED exit=2 *cannot be read*" m folder ""
expect "a fifo is no profile, and does not hang" "REFUSED exit=2 *cannot be read*" m fifo ""
expect "a file beyond 64 KiB is refused" "REFUSED exit=2 *cannot be read: File too large*" m big ""

"$planner" --root "$top/none" --check profiles/base.ini >/dev/null 2>&1
result $? "--check accepts a shipped profile"
"$planner" --root "$top/none" --check nothing >/dev/null 2>&1
[ $? -eq 2 ]
result $? "--check of an unknown profile is exit 2"
"$planner" --root "$top/none" --check "$etc/egress.ini" >/dev/null 2>&1
[ $? -eq 2 ]
result $? "--check: a base that is nowhere is exit 2"
cp profiles/base.ini "$etc"
"$planner" --root "$top/none" --check "$etc/egress.ini" >/dev/null 2>&1
[ $? -eq 3 ]
result $? "--check of what cannot be enforced is exit 3"
"$planner" --show profiles/sklearn-digits.ini >"$top/one.ini" && \
	"$planner" --show "$top/one.ini" | cmp -s - "$top/one.ini"
result $? "--show prints what parses to itself"
echo "1..$n"
