#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Prints assembly that carries the names of an image's functions, for boot/symbols.h.
#
#   tools/symbols.sh > empty.S              a table without entries, for the first link
#   tools/symbols.sh FIRST.elf > table.S    the table of that link, for the second
#
# The second link moves no function, so that its own table is the same:
#
#   tools/symbols.sh SECOND.elf | cmp - table.S
#
# NM= names another nm, as a cross compiler's. Exit status: 0; 1 the image has no
# functions; 2 nm failed or wrong usage.
set -eu
export LC_ALL=C

[ $# -le 1 ] || {
	echo "usage: tools/symbols.sh [ELF]" >&2
	exit 2
}
list=$(mktemp)
trap 'rm -f "$list"' EXIT
if [ $# = 1 ]; then
	# shellcheck disable=SC2086 # NM may carry options
	${NM:-nm} "$1" >"$list" || exit 2
fi

# "address name", sorted, one line an address; of several names for one address a global
# one wins. Marks that linker.ld sets are no functions, nor is what runs before paging.
awk '$2 ~ /^[TtWw]$/ && $1 ~ /^ffffffff[89a-f]/ && $3 !~ /^kernel_.*_(start|end)$/ {
	print $1, ($2 ~ /[TW]/ ? 0 : 1), $3
}' "$list" | sort | awk -v image="${1-}" '
	$1 == last { next }
	{
		last = $1
		# 64 bits are too many for some awks: the assembler subtracts.
		table = table sprintf("\t.long 0x%s - 0xffffffff80000000, %d\n", $1, at)
		names = names sprintf("\t.asciz \"%s\"\n", $3)
		at += length($3) + 1
		count++
	}
	END {
		if (image != "" && !count) {
			print "symbols.sh: " image " has no functions above KERNEL_VIRTUAL_BASE" > "/dev/stderr"
			exit 1
		}
		print "\t.section .symbols, \"a\", @progbits"
		print "\t.globl symbols_count, symbols_table, symbols_names"
		print "\t.balign 4"
		print "symbols_count:\n\t.long " (count + 0)
		printf "symbols_table:\n%s", table
		printf "symbols_names:\n%s", names
		print "\t.byte 0"
		print "\t.section .note.GNU-stack, \"\", @progbits"
	}'
