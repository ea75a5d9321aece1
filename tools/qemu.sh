#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The one place that starts QEMU: a q35 machine under TCG with a VT-d unit, devices that
# master DMA, the serial line on standard input and output, and isa-debug-exit.
#
# What to boot, one of:
#   --kernel ELF        by QEMU's own loader, through the PVH note
#   --iso FILE          as a CD
#   --disk FILE         as a disk (never written)
#   --usb FILE          as a USB stick (never written)
#   --esp FOLDER        as a FAT disk, for an EFI application (never written)
# The machine:
#   --firmware NAME     seabios (default), ovmf
#   --iommu WORDS       commas between: plain off none intremap-off scalable first-stage
#                       caching-mode aw39 device-iotlb        (default plain; none = off)
#   --engines WORDS     spaces between: edu nvme testdev      (default "edu nvme")
#   --topology NAME     flat (default), bridge: edu behind a PCIe-to-PCI bridge
#   --smp N             processors (default 1)
#   --icount SHIFT      time runs by instructions, 2^SHIFT ns each, instead of by the host's
#                       clock: the same run every time, and waits of edu (100 ms) are short
#   --memory SIZE       as for -m (default 4G, of which the host gives what is touched)
# What the kernel gets (--kernel only; an image on disk has a configuration of its own):
#   --cmdline TEXT
#   --module FILE       one file, as the PVH module (also --initrd); no second one exists
# The run:
#   --timeout SECONDS   then it counts as hung (default 60; 0: none)
#   --interactive       for a person: no timeout, the serial line is raw, Ctrl-A X ends QEMU
#   --input FILE        what is typed on the serial line (default: nothing)
#   --input-at REGEX    when: once a line of output matches (default: at once, where a
#                       loader may take it for its own)
#   --log FILE          keeps a copy of the serial line
#   --quiet             the serial line goes to the log alone
#   --dry-run           prints the command instead of running it
#   -- ARGUMENTS...     for QEMU, as they are
#
# QEMU= names another program.
#
# Exit status: 0 the kernel says success; 1 it says failure; 2 wrong usage; 3 it hung;
# 4 it ended without a verdict; 5 QEMU did not run; 77 this QEMU lacks what is asked for.
#
# shellcheck disable=SC2054 # the commas in the arrays are QEMU's
set -uo pipefail

qemu=${QEMU:-qemu-system-x86_64}
boot='' image='' firmware=seabios iommu=plain engines='edu nvme' topology=flat smp=1 memory=4G
cmdline='' module='' icount='' timeout=60 interactive='' input=/dev/null input_at='' log='' quiet='' dry='' extra=()

say() {
	echo "qemu.sh: $*" >&2
}
usage() {
	say "$*"
	exit 2
}
unavailable() {
	echo "not available: $*" >&2
	exit 77
}

needs_value() {
	[ $# -ge 2 ] || usage "$1 needs a value"
}
while [ $# -gt 0 ]; do
	case $1 in
	--kernel | --iso | --disk | --usb | --esp)
		needs_value "$@"
		[ -z "$boot" ] || usage "$1: there is something to boot already: --$boot $image"
		boot=${1#--} image=$2
		shift
		;;
	--firmware) needs_value "$@" && firmware=$2 && shift ;;
	--iommu) needs_value "$@" && iommu=$2 && shift ;;
	--engines) needs_value "$@" && engines=$2 && shift ;;
	--topology) needs_value "$@" && topology=$2 && shift ;;
	--icount) needs_value "$@" && icount=$2 && shift ;;
	--smp) needs_value "$@" && smp=$2 && shift ;;
	--memory) needs_value "$@" && memory=$2 && shift ;;
	--cmdline) needs_value "$@" && cmdline=$2 && shift ;;
	--module | --initrd)
		needs_value "$@"
		[ -z "$module" ] || usage "$1 $2: QEMU hands one module to a PVH kernel, not two"
		module=$2
		shift
		;;
	--timeout) needs_value "$@" && timeout=$2 && shift ;;
	--input) needs_value "$@" && input=$2 && shift ;;
	--input-at) needs_value "$@" && input_at=$2 && shift ;;
	--log) needs_value "$@" && log=$2 && shift ;;
	--interactive) interactive=1 ;;
	--quiet) quiet=1 ;;
	--dry-run) dry=1 ;;
	-h | --help)
		sed -n '4,/^# shellcheck /{/^# shellcheck /d;s/^# \{0,1\}//;p}' "$0"
		exit 0
		;;
	--)
		shift
		extra=("$@")
		break
		;;
	*) usage "unknown option $1 (--help lists them)" ;;
	esac
	shift
done

[ -n "$boot" ] || usage "nothing to boot: --kernel, --iso, --disk, --usb or --esp"
[ -e "$image" ] || usage "--$boot $image: no such file"
[[ $timeout =~ ^[0-9]+$ ]] || usage "--timeout $timeout: wanted a number of seconds"
[ -z "$module" ] || [ -r "$module" ] || usage "--module $module: cannot be read"
[ -r "$input" ] || usage "--input $input: cannot be read"
if [ "$boot" != kernel ] && [ -n "$cmdline$module" ]; then
	usage "--cmdline and --module are for --kernel; --$boot has a configuration of its own"
fi
if [ "$boot" = kernel ] && [ "$firmware" != seabios ]; then
	usage "--kernel $image is started by SeaBIOS alone; for $firmware use --iso or --esp"
fi
if [ "$boot" = esp ] && [ "$firmware" != ovmf ]; then
	usage "--esp needs --firmware ovmf"
fi
command -v "$qemu" >/dev/null || unavailable "$qemu is not installed"

# In a file name that is part of an option's value a comma is written twice.
escape() {
	printf '%s' "${1//,/,,}"
}

# ---- the machine -----------------------------------------------------------------------

# No devices but the ones named here. TCG always: no result depends on the host's KVM.
# `max` has 1 GiB pages, NX, SMEP and SMAP.
arguments=(-nodefaults -no-user-config -machine q35 -accel tcg -cpu max -m "$memory" -smp "$smp"
	-vga std -display none -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=0x04)
[ -z "$icount" ] || arguments+=(-icount "shift=$icount,sleep=off")

# The options of intel-iommu have other names in other versions: asked only if needed.
unit_help=
unit_has() {
	[ -n "$unit_help" ] || unit_help=$("$qemu" -device intel-iommu,help 2>/dev/null)
	grep -qE "^ *$1=" <<<"$unit_help"
}
unit_option() { # unit_option WHAT VALUE NAME...: the first NAME that this version knows
	local what=$1 value=$2 name
	shift 2
	for name; do
		if unit_has "$name"; then
			unit+=",$name=$value"
			return
		fi
	done
	unavailable "$what: intel-iommu of $("$qemu" --version | head -n 1) has no option $*"
}

# The unit comes first: QEMU wants it there before any device that it serves. With 48 bits
# it has tables of 3 and of 4 levels, whatever the version's default.
unit=intel-iommu
intremap=on bits=48 present=1
IFS=, read -ra words <<<"$iommu"
for word in "${words[@]}"; do
	case $word in
	plain) ;;
	off | none) present= ;;
	intremap-off) intremap=off ;;
	scalable) unit_option "$word" on scalable-mode x-scalable-mode ;;
	first-stage)
		unit_option "$word" on scalable-mode x-scalable-mode
		unit_option "$word" on fsts x-flts
		;;
	caching-mode) unit+=,caching-mode=on ;;
	aw39) bits=39 ;;
	device-iotlb) unit+=,device-iotlb=on ;;
	*) usage "--iommu $word: wanted plain, off, none, intremap-off, scalable, first-stage," \
		"caching-mode, aw39 or device-iotlb" ;;
	esac
done
if [ "$present" ]; then
	arguments+=(-device "$unit,intremap=$intremap,aw-bits=$bits")
elif [ "$iommu" != off ] && [ "$iommu" != none ]; then
	usage "--iommu $iommu: off and none stand alone"
fi

case $topology in
flat) edu_at=bus=pcie.0,addr=0x10 ;;
bridge)
	arguments+=(-device pcie-pci-bridge,id=bridge0,bus=pcie.0,addr=0x13)
	edu_at=bus=bridge0,addr=0x01
	;;
*) usage "--topology $topology: wanted flat or bridge" ;;
esac
for engine in $engines; do
	case $engine in
	# Its own default masks addresses to 28 bits.
	edu) arguments+=(-device "edu,dma_mask=0xffffffffffffffff,$edu_at") ;;
	nvme)
		arguments+=(-blockdev null-co,node-name=null0,size=1048576,read-zeroes=on
			-device nvme,serial=nestor0,drive=null0,bus=pcie.0,addr=0x11)
		;;
	testdev)
		# (an unknown device is no failure here, in some versions)
		"$qemu" -device iommu-testdev,help 2>/dev/null | grep -q '^iommu-testdev' ||
			unavailable "$("$qemu" --version | head -n 1) has no iommu-testdev"
		arguments+=(-device iommu-testdev,bus=pcie.0,addr=0x12)
		;;
	*) usage "--engines $engine: wanted edu, nvme or testdev" ;;
	esac
done

# ---- what to boot ----------------------------------------------------------------------

scratch=$(mktemp -d) || exit 5
trap 'rm -rf "$scratch"' EXIT

case $firmware in
seabios) ;;
ovmf)
	# The variables are a copy, so that every run starts alike.
	code=
	for suffix in _4M ''; do
		for folder in /usr/share/OVMF /usr/share/edk2/x64 /usr/share/qemu; do
			if [ -r "$folder/OVMF_CODE$suffix.fd" ] &&
				[ -r "$folder/OVMF_VARS$suffix.fd" ]; then
				code=$folder/OVMF_CODE$suffix.fd
				cp "$folder/OVMF_VARS$suffix.fd" "$scratch/vars.fd" || exit 5
				break 2
			fi
		done
	done
	[ "$code" ] || unavailable "no OVMF_CODE and OVMF_VARS on this machine (package ovmf)"
	arguments+=(-drive "if=pflash,format=raw,unit=0,readonly=on,file=$code"
		-drive "if=pflash,format=raw,unit=1,file=$(escape "$scratch/vars.fd")")
	;;
*) usage "--firmware $firmware: wanted seabios or ovmf" ;;
esac

file=$(escape "$image")
case $boot in
kernel)
	arguments+=(-kernel "$image" -append "$cmdline")
	[ -z "$module" ] || arguments+=(-initrd "$module")
	;;
iso)
	arguments+=(-drive "if=none,id=boot,format=raw,media=cdrom,readonly=on,file=$file"
		-device ide-cd,drive=boot,bus=ide.0,bootindex=0)
	;;
disk)
	arguments+=(-drive "if=none,id=boot,format=raw,snapshot=on,file=$file"
		-device ide-hd,drive=boot,bus=ide.0,bootindex=0)
	;;
usb)
	arguments+=(-drive "if=none,id=boot,format=raw,snapshot=on,file=$file"
		-device qemu-xhci,id=xhci,bus=pcie.0,addr=0x14
		-device usb-storage,bus=xhci.0,drive=boot,bootindex=0)
	;;
esp)
	arguments+=(-drive "if=none,id=boot,format=raw,snapshot=on,file=fat:$file"
		-device ide-hd,drive=boot,bus=ide.0,bootindex=0)
	;;
esac

# ---- the run ---------------------------------------------------------------------------

if [ "$interactive" ]; then
	arguments+=(-chardev "stdio,id=serial0,mux=on,signal=off${log:+,logfile=$(escape "$log")}"
		-serial chardev:serial0 -mon chardev=serial0,mode=readline)
	timeout=0
else
	[ "$log" ] || log=$scratch/serial
	: >"$log" || usage "--log $log: cannot be written"
	if [ "$quiet" ]; then
		# A file takes no input: a pipe of QEMU's own does both.
		arguments+=(-chardev "stdio,id=serial0,signal=off" -serial chardev:serial0 -monitor none)
	else
		arguments+=(-chardev "stdio,id=serial0,signal=off,logfile=$(escape "$log")"
			-serial chardev:serial0 -monitor none)
	fi
fi
arguments+=("${extra[@]}")

if [ "$dry" ]; then
	line=
	for word in "$qemu" "${arguments[@]}"; do
		[[ $word =~ ^[A-Za-z0-9_./:,=+-]+$ ]] || word=${word@Q}
		line+="$word "
	done
	echo "${line% }"
	exit 0
fi

# The person at the keyboard. Gives up when the run is over.
typist() {
	if [ "$input_at" ]; then
		until grep -aqE -- "$input_at" "$log"; do
			[ -d "$scratch" ] || return 0
			sleep 0.1
		done
	fi
	cat "$input"
} 2>/dev/null

limit=()
[ "$timeout" = 0 ] || limit=(timeout --kill-after=2 "$timeout")
if [ "$interactive" ]; then
	"$qemu" "${arguments[@]}"
elif [ "$quiet" ]; then
	"${limit[@]}" "$qemu" "${arguments[@]}" < <(typist) >"$log" 2>"$scratch/errors"
else
	"${limit[@]}" "$qemu" "${arguments[@]}" < <(typist) 2>"$scratch/errors"
fi
status=$?

last_lines() {
	say "the last lines of the serial line:"
	tr -d '\r' <"$log" | tail -n 20 | sed 's/^/    /' >&2
}

[ ! -s "$scratch/errors" ] || head -n 8 "$scratch/errors" >&2 # (a crash dumps its registers)
case $status in
33) exit 0 ;;
35)
	say "the kernel reports failure"
	exit 1
	;;
124 | 137)
	say "hung: no verdict after $timeout seconds"
	last_lines
	exit 3
	;;
0)
	# With a person at it, that is how one leaves by QEMU's own keys.
	[ -z "$interactive" ] || exit 0
	say "the machine was switched off or reset without a verdict"
	last_lines
	exit 4
	;;
1)
	say "QEMU refused to start this machine or broke off"
	exit 5
	;;
*)
	if [ $((status & 1)) = 1 ] && [ "$status" -lt 128 ]; then
		say "the kernel left by isa-debug-exit with status $status; 33 is success, 35 failure"
		[ "$interactive" ] || last_lines
		exit 4
	fi
	say "QEMU ended with status $status (above 128: signal $((status - 128)))"
	[ "$interactive" ] || last_lines
	exit 5
	;;
esac
