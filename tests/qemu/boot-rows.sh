# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # the variables are of lib.sh
#
# The boot paths: each ends in the same scenario with the same verdict. For boot.test
# and newest.test.

kernel_row 'kernel by PVH' ''
image_row 'ISO as a CD by SeaBIOS and GRUB' --iso "$iso"
image_row 'ISO as a CD by OVMF' --iso "$iso" --firmware ovmf
image_row 'ISO as a USB stick by SeaBIOS and GRUB' --usb "$iso"
image_row 'ISO as a USB stick by OVMF' --usb "$iso" --firmware ovmf

# Beside the application: the command line, and a scenario that the kernel does not carry.
mkdir -p "$work/esp/EFI/BOOT"
cp "$efi" "$work/esp/EFI/BOOT/BOOTX64.EFI"
cp "scenarios/$scenario.scn" "$work/esp/EFI/BOOT/beside.scn"
printf 'scenario=beside\r\n%s\r\n' "$words" >"$work/esp/EFI/BOOT/nestor.cmd"
row 'EFI application on a FAT disk, by OVMF' 0 "$passed"$'\n^# beside$' \
	--esp "$work/esp" --firmware ovmf --timeout 100
