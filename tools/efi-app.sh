#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tools/efi-app.sh IN.so OUT.EFI: makes an EFI application of a shared object that is
# linked as GNU-EFI wants it. OBJCOPY= names another objcopy.
#
# The same input gives the same bytes: objcopy writes the time of day into the COFF header
# (PE format specification, 3.3), which is made 0 here, as is the checksum over it, which
# firmware does not look at.
set -eu

[ $# = 2 ] || {
	echo "usage: tools/efi-app.sh IN.so OUT.EFI" >&2
	exit 2
}
new=$2.new
trap 'rm -f "$new"' EXIT
# (.rodata and .areloc are there from GNU-EFI 3.0.18 on.)
${OBJCOPY:-objcopy} -j .text -j .sdata -j .data -j .rodata -j .dynamic -j .dynsym -j '.rel*' \
	-j '.rela*' -j .areloc -j .reloc --target=efi-app-x86_64 --subsystem=10 "$1" "$new"

number() { # number OFFSET: the little-endian 32 bits there
	od -An -v -tu4 -j "$1" -N 4 "$new" | tr -d ' '
}
zero() { # zero OFFSET: four bytes
	printf '\0\0\0\0' | dd of="$new" bs=1 seek="$1" conv=notrunc status=none
}
head=$(number 60)
[ "$(number "$head")" = 17744 ] || { # "PE", 0, 0
	echo "efi-app.sh: $2: objcopy made no PE file" >&2
	exit 1
}
zero $((head + 8))       # time stamp
zero $((head + 24 + 64)) # checksum, in the optional header
mv "$new" "$2"
