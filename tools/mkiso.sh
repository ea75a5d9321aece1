#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# tools/mkiso.sh KERNEL EFI_APP SCENARIO_FOLDER COMMAND_LINE OUT
#
# One image that boots from a CD and from a USB stick, by BIOS and by UEFI:
#   BIOS  GRUB, by El Torito or by the boot sector; it loads /boot/nestor.elf by
#         Multiboot2, the scenarios as modules, and asks for a screen of 32 bits a pixel
#   UEFI  EFI_APP itself, from a FAT partition behind the ISO file system, which El Torito
#         and the partition table both name; the scenarios and nestor.cmd lie beside it
#
# The same input gives the same bytes: every time is SOURCE_DATE_EPOCH, every identifier is
# fixed, and nothing depends on the time zone or on the order of a folder.
set -euo pipefail
export LC_ALL=C TZ=UTC
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1700000000}
export MTOOLSRC=/dev/null MTOOLS_SKIP_CHECK=1

stop() {
	echo "mkiso.sh: $*" >&2
	exit 1
}
[ $# = 5 ] || {
	echo "usage: tools/mkiso.sh KERNEL EFI_APP SCENARIO_FOLDER COMMAND_LINE OUT" >&2
	exit 2
}
kernel=$1 app=$2 folder=$3 command_line=$4 out=$5
for file in "$kernel" "$app"; do
	[ -r "$file" ] || stop "$file: cannot be read"
done
# GRUB and the shells in between would each take these for something of their own.
[[ $command_line =~ ^[A-Za-z0-9_.,:/=+\ -]*$ ]] ||
	stop "command line '$command_line': wanted letters, digits, spaces and _.,:/=+-"
for grub in /usr/lib/grub/i386-pc /usr/share/grub/i386-pc /usr/lib/grub2/i386-pc ''; do
	[ -z "$grub" ] || [ ! -r "$grub/boot_hybrid.img" ] || break
done
[ "$grub" ] || stop "GRUB for BIOS is not installed (Debian and Ubuntu: grub-pc-bin)"

shopt -s nullglob
scenarios=("$folder"/*.scn)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/iso/boot/grub" "$work/esp"
cp "$kernel" "$work/iso/boot/nestor.elf"

# ---- BIOS --------------------------------------------------------------------------------

# Each word of the command line quoted by itself: GRUB hands on quotes that hold spaces.
words=
for word in $command_line; do
	words+=" '$word'"
done
{
	cat <<-EOT
		# Without a serial port, "serial" fails and the screen stays alone.
		if serial --unit=0 --speed=115200; then
			terminal_input console serial
			terminal_output console serial
		fi
		insmod all_video
		set timeout=0
		if [ ! -e /boot/nestor.elf ]; then
			search --no-floppy --set=root --file /boot/nestor.elf
		fi
		menuentry "Nestor" {
			multiboot2 /boot/nestor.elf$words
			# behind "multiboot2", which sets what the kernel's header wishes: any
			set gfxpayload=1024x768x32,800x600x32,auto
	EOT
	for file in "${scenarios[@]}"; do
		name=$(basename "$file")
		[[ $name =~ ^[A-Za-z0-9_.-]{1,63}$ ]] ||
			stop "$file: wanted a name of 63 letters, digits, and _.- at most"
		cp "$file" "$work/iso/boot/$name"
		printf "\tmodule2 '/boot/%s' '%s'\n" "$name" "$name"
	done
	echo '}'
} >"$work/iso/boot/grub/grub.cfg"

# Everything that the configuration needs is in the one file: no module is loaded later.
grub-mkimage -d "$grub" -O i386-pc-eltorito -p /boot/grub -o "$work/iso/boot/grub/eltorito.img" \
	biosdisk iso9660 part_msdos part_gpt normal test search search_fs_file echo serial \
	terminal all_video vbe vga multiboot2 boot ls cat reboot halt

# ---- UEFI --------------------------------------------------------------------------------

mkdir -p "$work/esp/EFI/BOOT"
cp "$app" "$work/esp/EFI/BOOT/BOOTX64.EFI"
printf '%s\n' "$command_line" >"$work/esp/EFI/BOOT/nestor.cmd"
[ ${#scenarios[@]} = 0 ] || cp "${scenarios[@]}" "$work/esp/EFI/BOOT/"

find "$work/iso" "$work/esp" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

# FAT, with room for the files in clusters of 2 KiB and for the tables.
files=("$work"/esp/EFI/BOOT/*)
kilobytes=$(($(du -k --apparent-size --total "${files[@]}" | tail -n 1 | cut -f 1) + 512 + 4 * ${#files[@]}))
esp=$work/esp.img
truncate -s $(((kilobytes + 1023) / 1024))M "$esp"
mformat -i "$esp" -N 4e535452 -v NESTOR -c 4 ::
mmd -i "$esp" ::/EFI ::/EFI/BOOT
mcopy -i "$esp" -m "${files[@]}" ::/EFI/BOOT/

# ---- both --------------------------------------------------------------------------------

xorriso -as mkisofs -quiet -o "$out.new" -V NESTOR -R -J -joliet-long \
	-b boot/grub/eltorito.img -no-emul-boot -boot-load-size 4 -boot-info-table \
	--grub2-boot-info --grub2-mbr "$grub/boot_hybrid.img" -partition_offset 16 \
	-append_partition 2 0xef "$esp" \
	-eltorito-alt-boot -e --interval:appended_partition_2:all:: -no-emul-boot \
	"$work/iso" >"$work/log" 2>&1 || {
	cat "$work/log" >&2
	rm -f "$out.new"
	stop "xorriso failed"
}
mv "$out.new" "$out"
