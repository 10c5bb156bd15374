#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Every BPF program loads on this kernel, and costs the verifier no more than tests/vm/verifier.txt
# says, a quarter and 64 instructions added; and what a process outside of custody runs of it is no
# longer than that table says, two instructions added. After a change that is meant: make verifier.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${CUSTODY_BUILD:-build}
table=tests/vm/verifier.txt
n=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
ok() { n=$((n + 1)); echo "ok $n - $1"; }
not_ok() { n=$((n + 1)); echo "not ok $n - $1"; }
kernel=$(uname -r | cut -d. -f1,2)

"$BUILD/root/verifier_table" >"$dir/now" 2>"$dir/log"
sed 's/^/# /' "$dir/log"
[ -s "$dir/now" ] || not_ok "the table is printed"
grep "^$kernel " "$table" | cut -d' ' -f2- >"$dir/before"
declare -A old_processed old_ways
while read -r name _ insns outside _ processed _; do
	[ "$insns" = absent ] && processed=absent
	old_processed[$name]=$processed old_ways[$name]=$outside
done <"$dir/before"
while read -r name section insns outside _ processed _; do
	old=${old_processed[$name]:-} old_outside=${old_ways[$name]:-}
	text="$section $name"
	case $insns in
	rejected) not_ok "$text: rejected, error $processed" ;;
	not-permitted) ok "$text # SKIP this kernel lets nobody load it" ;;
	absent)
		if [ "$old" = absent ]; then
			ok "$text: this kernel has no such hook, as the table says"
		else
			not_ok "$text: this kernel has no such hook, and the table does not say so"
		fi ;;
	*)
		if [ ! -s "$dir/before" ]; then
			ok "$text loads: $insns instructions, $processed processed"
		elif [ -z "$old" ] || [ "$old" = absent ]; then
			not_ok "$text loads, but is not in $table: make verifier"
		elif [ "$processed" -gt $((old * 5 / 4 + 64)) ]; then
			not_ok "$text: $processed instructions processed, $old in $table: make verifier, if it is meant"
		elif [ "$outside" -gt $((old_outside + 2)) ]; then
			not_ok "$text: $outside instructions outside of custody, $old_outside in $table: make verifier, if it is meant"
		else
			ok "$text loads: $insns instructions, $outside outside of custody, $processed processed, $old in the table"
		fi ;;
	esac
done <"$dir/now"
while read -r name _; do
	grep -q "^$name " "$dir/now" || not_ok "$name is in $table, but there is no such program: make verifier"
done <"$dir/before"
echo "1..$n"
