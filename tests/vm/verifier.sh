#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Writes tests/vm/verifier.txt anew: what the verifier of each kernel says of each BPF program. Run
# it after a change of bpf/ ("make verifier"), and read the difference before it is committed.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=${CUSTODY_BUILD:-build}
new=$(mktemp)
trap 'rm -f "$new"' EXIT

rows() { # rows RELEASE: the rows of one kernel, those that it does not let us load left out
	awk -v k="$(cut -d. -f1,2 <<<"$1")" '$3 != "not-permitted" { print k, $0 }' | sort -k2,2
}
{
	cat <<'HEAD'
# What the verifiers say of each BPF program; made by "make verifier", read by
# tests/root/27-programs.sh. The columns are explained in tests/root/verifier_table.c.
# KERNEL PROGRAM SECTION INSNS OUTSIDE JITED PROCESSED STATES PEAK
HEAD
	seen=" "
	# One kernel of each release: its packages and its command line change nothing here.
	for name in $(awk '!/^#/ && NF { sub(/-.*/, "", $1) } !/^#/ && NF && !seen[$1]++ { print $1 }' tests/vm/kernels); do
		output=$(tests/vm/run "$name" -- 'uname -r; build/root/verifier_table')
		release=$(head -n 1 <<<"$output")
		seen="$seen$release "
		tail -n +2 <<<"$output" | rows "$release"
	done
	case $seen in
	*" $(uname -r | cut -d. -f1,2)."*) ;;
	*) "$BUILD/root/verifier_table" | rows "$(uname -r)" ;;
	esac
} >"$new"
cat "$new" >tests/vm/verifier.txt
