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
