#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Inside a lab machine: a shell for a developer, on the console.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
export TERM=xterm-256color
dmesg -n 4
/custody/tests/vm/guest/install.sh
cd /custody || exit 1
eval "$(tr -d '\0' </dev/vdd)" # the terminal's size
echo
echo "$(uname -r): custody is installed, the tree is here; custodyd: systemctl start custodyd;"
echo "tests: tests/run tests/root/...; the machine ends with the shell, and nothing is kept."
/bin/bash -l
echo o >/proc/sysrq-trigger
sleep 60
