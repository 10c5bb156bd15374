#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tests tests/run itself: each sample beside this file must be judged as its name says.
set -u
cd "$(dirname "$0")/../.." || exit
samples=tests/runner/samples
n=0

# check TEXT WANTED_STATUS WANTED_LAST_LINE [VAR=VALUE] FILE...
check() {
	local text=$1 status=$2 last=$3 output got
	shift 3
	n=$((n + 1))
	output=$(env -u CUSTODY_MUST_WORK "$@")
	got=$?
	if [ "$got" -eq "$status" ] && [ "$(tail -n 1 <<<"$output")" = "$last" ]; then
		echo "ok $n - $text"
	else
		echo "not ok $n - $text: exit $got, last line '$(tail -n 1 <<<"$output")'"
	fi
}

run=(tests/run --timeout 20)
check "a good file passes" 0 "1 passed, 0 failed, 1 skipped" "${run[@]}" $samples/good.sh
check "a failed point fails" 1 "1 passed, 1 failed, 0 skipped" "${run[@]}" $samples/bad-point.sh
check "a short plan fails" 1 "1 passed, 1 failed, 0 skipped" "${run[@]}" $samples/bad-plan.sh
check "no plan fails" 1 "1 passed, 1 failed, 0 skipped" "${run[@]}" $samples/bad-no-plan.sh
check "a bad exit status fails" 1 "1 passed, 1 failed, 0 skipped" "${run[@]}" $samples/bad-status.sh
check "a crash fails" 1 "1 passed, 1 failed, 0 skipped" "${run[@]}" $samples/bad-crash.sh
check "no test fails" 1 "0 passed, 1 failed, 0 skipped" "${run[@]}" $samples/bad-empty.sh
check "a skip without a reason fails" 1 "0 passed, 1 failed, 0 skipped" "${run[@]}" $samples/bad-skip.sh
check "a file that hangs fails" 1 "0 passed, 2 failed, 0 skipped" \
	tests/run --timeout 1 $samples/bad-late.sh
check "an absent file fails" 1 "0 passed, 1 failed, 0 skipped" "${run[@]}" $samples/no-such-file
check "no file at all fails" 1 "0 passed, 0 failed, 0 skipped" "${run[@]}"
check "nothing but skips fails" 1 "0 passed, 0 failed, 1 skipped" "${run[@]}" $samples/all-skipped.sh
check "cmocka groups are added up" 0 "2 passed, 0 failed, 1 skipped" "${run[@]}" $samples/test_two_groups
check "a cmocka group cut short fails" 1 "2 passed, 1 failed, 0 skipped" \
	"${run[@]}" $samples/test_bad_group
check "a fuzz target that ran passes" 0 "1 passed, 0 failed, 0 skipped" "${run[@]}" $samples/fuzz_good
check "a fuzz target without input fails" 1 "0 passed, 1 failed, 0 skipped" \
	"${run[@]}" $samples/fuzz_bad_idle
check "a fuzz target that crashed fails" 1 "0 passed, 1 failed, 0 skipped" \
	"${run[@]}" $samples/fuzz_bad_crash
check "one bad file spoils the good ones" 1 "2 passed, 1 failed, 1 skipped" \
	"${run[@]}" $samples/good.sh $samples/bad-plan.sh
check "CUSTODY_MUST_WORK=1 turns a skip into a failure" 1 "1 passed, 1 failed, 0 skipped" \
	CUSTODY_MUST_WORK=1 "${run[@]}" $samples/good.sh
echo "1..$n"
