# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Shared by tests/qemu/*.test: one row, one boot of QEMU, one KTAP line.
#
# A test names its rows by `row` and its relatives, which run them one after another,
# and ends by `rows_end`. The plan is counted from the text before anything runs, so a
# test that dies early fails. prove runs two tests at a time, hence two machines.
#
# A row passes if tools/qemu.sh ends with the wanted status, if every pattern that it
# wants is in the serial log and none that it refuses. Where the QEMU at hand lacks an
# option the row is skipped and says so; a missing image is a failure.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

kernel=${NESTOR_KERNEL:-build/kernel/nestor.elf}
iso=${NESTOR_ISO:-build/nestor.iso}
efi=${NESTOR_EFI:-build/efi/BOOTX64.EFI}
scenario=${NESTOR_SCENARIO:-nested-parent}
# What every boot by -kernel is told. A panic ends the machine, with failure.
words='console=serial loglevel=info panic=exit after=off'
# The name under which the kernel finds a module that came without one.
module=module
# The shell's prompt, and what is typed there to leave it.
prompt='nestor> '
leave=poweroff
# A scenario that needs no unit.
mock_scenario=${NESTOR_MOCK_SCENARIO:-mock}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
failed=0

# plan FILE...: the header; rows are the lines in these files that start with one of the
# row commands, so the plan cannot disagree with them.
plan() {
	echo "KTAP version 1"
	echo "1..$(cat "$@" | grep -cE '^(row|kernel_row|image_row|module_row) ')"
}

skip_all() { # the reason
	echo "KTAP version 1"
	echo "1..0 # SKIP $1"
	exit 0
}

# What a kernel that ran into trouble prints, whatever its verdict.
trouble='^panic|^backtrace:'

# row NAME STATUS PATTERNS [OPTIONS...]: STATUS is what qemu.sh shall end with. PATTERNS
# are extended regular expressions, one a line: each must match a line of the serial
# log, or no line if it starts with "!".
row() {
	local name=$1 wanted=$2 patterns=$3 status pattern why=''
	shift 3
	number=$((number + 1))
	: >"$work/serial"
	tools/qemu.sh --quiet --log "$work/serial" "$@" 2>"$work/errors"
	status=$?
	if [ "$status" = 77 ]; then
		echo "ok $number - $name # SKIP $(tail -n 1 "$work/errors")"
		return
	fi
	if [ "$status" != "$wanted" ]; then
		why="qemu.sh ended with status $status, wanted $wanted (0 success, 1 failure)"
	fi
	tr -d '\r' <"$work/serial" >"$work/lines"
	while IFS= read -r pattern; do
		case $pattern in
		'') ;;
		!*) ! grep -aqE -- "${pattern#!}" "$work/lines" ||
			why=${why:-"the serial log has a line like: ${pattern#!}"} ;;
		*) grep -aqE -- "$pattern" "$work/lines" ||
			why=${why:-"the serial log has no line like: $pattern"} ;;
		esac
	done <<<"$patterns"$'\n'"!$trouble"
	if [ "$why" ]; then
		failed=$((failed + 1))
		tail -n 25 "$work/lines" | tr -cd '\t\n -~' | sed 's/^/# | /'
		sed '/^    /d;s/^/# /' "$work/errors"
		echo "# $why"
		echo "not ok $number - $name"
	else
		echo "ok $number - $name"
	fi
}

# A scenario that passed says so by its KTAP lines, not by the exit status alone: at least
# one point that was not skipped, none that failed.
passed=$'^ok [0-9]+ - [^#]*$\n!^not ok '
# No point of a scenario passed, if there were any.
nothing_passed='!^ok [0-9]+ - [^#]*$'

# kernel_row NAME WORDS [OPTIONS...]: the scenario by -kernel, with more words on the
# command line; it must pass.
kernel_row() {
	local name=$1 more=$2
	shift 2
	row "$name" 0 "$passed" --kernel "$kernel" \
		--cmdline "scenario=$scenario $words${more:+ $more}" "$@"
}

# image_row NAME [OPTIONS...]: an image with a configuration of its own runs its default
# scenario and then stays in the shell, which is left by what is typed.
image_row() {
	local name=$1
	shift
	echo "$leave" >"$work/typed"
	row "$name" 0 "$passed" --input "$work/typed" --input-at "$prompt" --timeout 100 "$@"
}

# module_row NAME STATUS PATTERNS: the file "$work/module" as the PVH module.
module_row() {
	row "$1" "$2" "$3" --kernel "$kernel" --module "$work/module" \
		--cmdline "scenario=$module $words"
}

rows_end() {
	echo "# $number rows in $SECONDS s: $("${QEMU:-qemu-system-x86_64}" --version 2>&1 |
		head -n 1)"
	[ "$failed" = 0 ]
}
