# SPDX-License-Identifier: Apache-2.0
# Completion of custodyctl's commands, options, profiles and models for bash.

# Names of the models in custody, when custodyd may be asked.
_custodyctl_models() {
	"${COMP_WORDS[0]}" ps --quiet 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_custodyctl_profiles() {
	local file
	for file in "${CUSTODY_ROOT:-}"/etc/custody/profiles/*.ini \
		"${CUSTODY_ROOT:-}"/usr/share/custody/profiles/*.ini; do
		[ -e "$file" ] && basename "$file" .ini
	done
}

# The command is the first word that is no option and no option's value.
_custodyctl_command() {
	local i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--root) ((i++)) ;;
		-*) ;;
		*) printf '%s\n' "${COMP_WORDS[i]}" && return ;;
		esac
	done
}

_custodyctl() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local commands="doctor run start stop freeze thaw restrict ps status events profile retire evidence
		ledger model help"
	local words=""

	case $before in
	--profile) words=$(_custodyctl_profiles) ;;
	--root | --model) mapfile -t COMPREPLY < <(compgen -d -- "$word") && return ;;
	--attest | --attest-output | --key | --cert | --roots | --out | --signature | --card | --predicate | --output) mapfile -t COMPREPLY < <(compgen -f -- "$word") && return ;;
	esac
	if [ -z "$words" ]; then
		case $(_custodyctl_command) in
		"") words="$commands --root --json --quiet --help --version" ;;
		help) words=$commands ;;
		start) words="--profile --model" ;;
		run) words="--profile --name --model --attest --attest-output --" ;;
		stop | freeze | thaw | retire) words=$(_custodyctl_models) ;;
		restrict) words="--cut-egress --drop-endpoint --no-gpu --read-only-scratch --opens-only
			$(_custodyctl_models)" ;;
		status) words="--json $(_custodyctl_models)" ;;
		events) words="-f --follow --json $(_custodyctl_models)" ;;
		ps | doctor) words="--json" ;;
		profile) words="check show $(_custodyctl_profiles)" ;;
		evidence) words="export" ;;
		ledger) words="verify checkpoint --key" ;;
		model) mapfile -t COMPREPLY < <(compgen -W "sign verify attest verify-attestation
			register list rollback revoke --profile --card --fs-verity --restart --reason
			--key --cert --out --shards --roots --signature --ignore-unsigned-files --json
			--type --predicate --output" -- "$word"; compgen -d -- "$word") && return ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _custodyctl custodyctl
