# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Shared by the lint-*.test programs: which files, with which flags, and how a
# tool's complaints become one KTAP line.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
unset MAKEFLAGS MAKELEVEL # of the make that runs the tests: its job server is not ours
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Hosted flags serve the files that build hosted, freestanding ones the rest.
hosted_files() { make -s --no-print-directory print-portable; }
kernel_files() { make -s --no-print-directory print-machine; }
hosted_flags="-std=gnu11 -DNESTOR_HOSTED -I. -Wall -Wextra"
kernel_flags="-std=gnu11 -ffreestanding -mgeneral-regs-only -mcx16 -mcmodel=kernel -I. -Ibuild/kernel -Wall -Wextra"

# one_line NAME COMPLAINTS: prints the plan of one test and its verdict; exits.
one_line() {
	echo "KTAP version 1"
	echo "1..1"
	if [ -s "$2" ]; then
		head -60 "$2" | sed 's/^/# /'
		echo "not ok 1 - $1"
		exit 1
	fi
	echo "ok 1 - $1"
	exit 0
}

# skip_line NAME FOUND REASON: the plan of one test, what was found, and a skip; exits.
skip_line() {
	echo "KTAP version 1"
	echo "1..1"
	head -60 "$2" | sed 's/^/# /'
	echo "ok 1 - $1 # SKIP $3"
	exit 0
}

# need TOOL: a missing tool is a failure, not a skip: make check installs it.
need() {
	command -v "$1" >/dev/null && return
	echo "$1 is not installed; make lint installs it on Debian and Ubuntu" >"$work/missing"
	one_line "$1 is there" "$work/missing"
}
