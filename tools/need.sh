#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Check for what a target of the Makefile needs, and install what is missing on Debian
# and Ubuntu. Where all is there it costs nothing: it looks for programs and files, and
# asks no package manager.
#
# Usage: tools/need.sh GROUP...
#
#   build  compiler, linker            run    QEMU
#   iso    GRUB, xorriso, mtools       efi    GNU-EFI
#   font   the console font            check  prove, git, clang and its tools, OVMF
#
# Root installs at once; others by sudo, after the list is printed. Without apt-get the
# missing things are named, and that is all. CC and QEMU are honoured: a compiler or an
# emulator of one's own choice need not be the distribution's.
#
# Exit status: 0 everything is there (now); 1 something is missing; 2 wrong usage.
set -eu

missing= # Debian's names of packages
lacking= # what was looked for and not found, for people

lack() { # lack WHAT PACKAGE
	case " $missing " in
	*" $2 "*) ;;
	*) missing="$missing $2" ;;
	esac
	lacking="$lacking
  $1 (Debian and Ubuntu: $2)"
}
program() { # program NAME PACKAGE
	command -v "$1" >/dev/null 2>&1 || lack "$1" "$2"
}
a_file() { # a_file PACKAGE PATTERN...: one file that matches one of them
	package=$1
	shift
	first=$1
	for file; do
		[ -e "$file" ] && return
	done
	lack "$first" "$package"
}

# The runtime of clang's sanitizers is a package of its own, whose name carries clang's
# version in some releases and not in others, and lies in two places.
clang_runtime() {
	command -v clang >/dev/null 2>&1 || return 0 # asked again when clang is there
	folder=$(clang --print-runtime-dir 2>/dev/null || true)
	other=$(clang --print-resource-dir 2>/dev/null || true)/lib/linux
	for file in "$folder/libclang_rt.asan.a" "$folder/libclang_rt.asan-x86_64.a" \
		"$other/libclang_rt.asan-x86_64.a"; do
		[ -e "$file" ] && return
	done
	version=$(clang -dumpversion)
	version=${version%%.*}
	for package in "libclang-rt-$version-dev" libclang-rt-dev "libclang-common-$version-dev"; do
		if known "$package"; then
			lack "the runtime of clang's sanitizers" "$package"
			return
		fi
	done
	lack "the runtime of clang's sanitizers" "libclang-rt-$version-dev"
}
known() {
	command -v apt-cache >/dev/null 2>&1 && [ "$(apt-cache show "$1" 2>/dev/null)" ]
}

look() {
	missing=
	lacking=
	for group; do
		case $group in
		build)
			program make make
			compiler=${CC:-gcc}
			compiler=${compiler%% *}
			case ${compiler##*/} in
			*clang*) program "$compiler" clang ;;
			gcc | cc) program "$compiler" gcc ;;
			*)
				command -v "$compiler" >/dev/null 2>&1 || lack "$compiler (CC)" gcc
				;;
			esac
			program gcc gcc # the hosted programs
			for tool in "${CROSS_COMPILE:-}ld" "${CROSS_COMPILE:-}ar" \
				"${CROSS_COMPILE:-}nm" "${CROSS_COMPILE:-}objcopy"; do
				program "$tool" binutils
			done
			a_file libc6-dev /usr/include/stdio.h
			;;
		run)
			program "${QEMU:-qemu-system-x86_64}" qemu-system-x86
			a_file seabios /usr/share/seabios/bios-256k.bin /usr/share/qemu/bios-256k.bin
			;;
		iso)
			program grub-mkimage grub-common
			a_file grub-pc-bin /usr/lib/grub/i386-pc/multiboot2.mod
			program xorriso xorriso
			program mformat mtools
			;;
		efi)
			a_file gnu-efi /usr/include/efi/efi.h
			a_file gnu-efi /usr/lib/crt0-efi-x86_64.o /usr/lib/gnuefi/crt0-efi-x86_64.o \
				/usr/lib64/gnuefi/crt0-efi-x86_64.o
			;;
		check)
			program prove perl
			program clang clang
			program clang-format clang-format
			program clang-tidy clang-tidy
			program cppcheck cppcheck
			program git git # the lint programs ask it which files there are
			a_file ovmf /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_CODE.fd \
				/usr/share/edk2/x64/OVMF_CODE.4m.fd
			clang_runtime
			;;
		font)
			a_file console-setup-linux /usr/share/consolefonts/*.psf.gz \
				/usr/share/kbd/consolefonts/*.psf*
			program gzip gzip
			;;
		plots)
			program gnuplot gnuplot-nox
			;;
		*)
			echo "need.sh: unknown group '$group': build, run, iso, efi, check, font, plots" >&2
			exit 2
			;;
		esac
	done
}

[ $# -gt 0 ] || {
	echo "usage: tools/need.sh GROUP... (build, run, iso, efi, check, font, plots)" >&2
	exit 2
}
look "$@"
[ "$missing" ] || exit 0

stop() {
	echo "need.sh: $1$lacking" >&2
	exit 1
}
command -v apt-get >/dev/null 2>&1 ||
	stop "these are missing, and this system has no apt-get to install them:"
if [ "$(id -u)" = 0 ]; then
	run=
else
	command -v sudo >/dev/null 2>&1 ||
		stop "these are missing; install them as root (there is no sudo here):"
	run=sudo
fi

# make may ask for several groups at the same time: one installs, the others wait and look
# again.
if command -v flock >/dev/null 2>&1; then
	exec 9<"$0"
	flock 9
	look "$@"
	[ "$missing" ] || exit 0
fi

apt() {
	$run env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 "$@" >&2 9<&-
}
lists_are_fresh() {
	[ "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mtime -2 2>/dev/null |
		head -n 1)" ]
}

# Twice at most: some packages are known by name only when others are there.
updated=
for round in 1 2; do
	echo "need.sh: installing by ${run:+sudo }apt-get:$missing" >&2
	if [ -z "$updated" ] && ! lists_are_fresh; then
		apt update || stop "apt-get update failed; still missing:"
		updated=1
	fi
	# shellcheck disable=SC2086 # a list of words
	if ! apt install --no-install-recommends $missing; then
		[ -z "$updated" ] || stop "apt-get install failed; still missing:"
		apt update && updated=1
		# shellcheck disable=SC2086
		apt install --no-install-recommends $missing ||
			stop "apt-get install failed; still missing:"
	fi
	look "$@"
	[ "$missing" ] || exit 0
done
stop "installed what apt-get has, and after $round rounds these are still missing:"
