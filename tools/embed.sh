#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Prints assembly that carries the scenario files given as arguments, in a table:
#   struct builtin_file { const char *name, *start; uint64_t bytes; }
# `builtin_files` ends with a NULL name. See kernel/builtin.h.
set -euo pipefail

echo '	.section .note.GNU-stack,"",@progbits'
echo '	.section .rodata'
table=
for file in "$@"; do
	name=$(basename "$file" .scn)
	label=builtin_$(tr -c 'A-Za-z0-9\n' '_' <<<"$name")
	printf '%s_name:\t.asciz "%s"\n%s:\t.incbin "%s"\n%s_end:\t.byte 0\n' \
		"$label" "$name" "$label" "$file" "$label"
	table+=$(printf '\t.quad %s_name, %s, %s_end - %s' "$label" "$label" "$label" "$label")$'\n'
done
printf '\t.globl builtin_files\n\t.balign 8\nbuiltin_files:\n%s\t.quad 0, 0, 0\n' "$table"
