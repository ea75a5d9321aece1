#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tools/symbols.sh [KERNEL.elf]: prints assembly with the table of boot/symbols.h, made
# from the functions of KERNEL.elf; without an argument, an empty table. NM= names nm.
set -euo pipefail

echo '	.section .note.GNU-stack,"",@progbits'
echo '	.section .symbols,"a"'
echo '	.globl boot_symbol_count, boot_symbols, boot_symbol_names'
echo '	.balign 8'
{ [ $# -eq 0 ] || "${NM:-nm}" -n "$1"; } | LC_ALL=C awk '
	BEGIN { count = 0; at = 0 }
	($2 == "t" || $2 == "T") && $1 ~ /^ffffffff8/ && $3 !~ /[.$]L|^kernel_text_(start|end)$/ {
		address[count] = "0x" substr($1, 9) " - 0x80000000"
		name[count++] = $3
	}
	END {
		printf "boot_symbol_count:\n\t.long %d\n\t.balign 8\nboot_symbols:\n", count
		for (i = 0; i < count; i++) {
			printf "\t.long %s, %d\n", address[i], at
			at += length(name[i]) + 1
		}
		print "boot_symbol_names:"
		for (i = 0; i < count; i++)
			printf "\t.asciz \"%s\"\n", name[i]
		print "\t.byte 0"
	}'
