#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# make bench-linux: the bench's operations on a Linux kernel, in the same QEMU with the same
# options, and then both tables side by side.
#
# The kernel is one that a distribution offers as a package and that has CONFIG_IOMMUFD and
# CONFIG_VFIO_DEVICE_CDEV: Debian's have not (as of 7.3.4), so Ubuntu's is taken, with the keys
# that Debian's ubuntu-keyring holds. Everything is brought below build/bench-linux, by apt
# with a configuration, lists and a state of its own; nothing is installed, and the system's
# configuration is not touched. A static program of ours (bench/linux/init.c) is all of the
# virtual machine's user space.
#
# LINUX=FILE is a kernel image to take instead, MODULES=DIR where its modules are (those that
# are built in may be missing).
#
#   tools/bench-linux.sh [--own FILE]    FILE: what the kernel's bench wrote, for the comparison
#                                        (build/bench.json)
#
# Exit status: 0; 1 something failed; 77 no such kernel can be had, with the reason.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
top=$PWD/build/bench-linux
own=$PWD/build/bench.json
[ "${1:-}" != --own ] || own=${2:?--own needs a file}
# shellcheck source=tools/archives.sh
. tools/archives.sh
debian_keys=/usr/share/keyrings/debian-archive-keyring.gpg

say() { echo "bench-linux: $*" >&2; }
unavailable() {
	say "not available: $*"
	exit 77
}

# apt_in FOLDER COMMAND...: with nothing of the system's but the program.
apt_in() {
	local folder=$1 command=$2
	shift 2
	"$command" -q -o Dir::State="$folder/state" -o Dir::State::lists="$folder/lists" \
		-o Dir::State::status="$folder/status" -o Dir::Cache="$folder/cache" \
		-o Dir::Etc::sourcelist="$folder/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts=- \
		-o APT::Architecture=amd64 -o APT::Architectures::=amd64 \
		-o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none \
		-o APT::Update::Post-Invoke-Success::= -o Acquire::Retries=2 \
		-o Acquire::http::Timeout=20 "$@" 2>>"$top/log"
}
apt_prepare() { # folder, lines of sources.list
	mkdir -p "$1/lists/partial" "$1/cache/archives/partial" "$1/state"
	: >"$1/status"
	printf '%s\n' "${@:2}" >"$1/sources.list"
	apt_in "$1" apt-get update >>"$top/log" || return 1
}
unpack() { # package file, patterns
	dpkg-deb --fsys-tarfile "$1" | tar -x -C "$top/root" --no-same-owner --wildcards "${@:2}" \
		2>>"$top/log"
}

kernel_get() {
	local tool version release debian ubuntu
	for tool in apt-get apt-cache dpkg-deb tar; do
		command -v "$tool" >/dev/null || unavailable "no $tool on this machine"
	done
	rm -rf "$top/root"
	mkdir -p "$top/root" "$top/packages"
	: >"$top/log"
	debian=$(archive_of debian "$top") && ubuntu=$(archive_of ubuntu "$top") ||
		unavailable "this system's package sources do not say where the archives are; DEBIAN_ARCHIVE= and UBUNTU_ARCHIVE= do"
	say "asking the archives for a Linux kernel with iommufd"
	apt_prepare "$top/debian" "deb [arch=amd64 signed-by=$debian_keys] $debian sid main" ||
		unavailable "Debian's lists cannot be read, see $top/log"
	(cd "$top/packages" && apt_in "$top/debian" apt-get download ubuntu-keyring) >>"$top/log" ||
		unavailable "Debian's package ubuntu-keyring cannot be had, see $top/log"
	unpack "$(ls -t "$top"/packages/ubuntu-keyring_*.deb | head -n 1)" '*.gpg'
	local keys=$top/root/usr/share/keyrings/ubuntu-archive-keyring.gpg
	[ -r "$keys" ] || unavailable "ubuntu-keyring holds no keyring of the archive"
	for release in resolute noble; do
		apt_prepare "$top/ubuntu" \
			"deb [arch=amd64 signed-by=$keys] $ubuntu $release main" \
			"deb [arch=amd64 signed-by=$keys] $ubuntu $release-updates main" && break
	done || unavailable "Ubuntu's lists cannot be read, see $top/log"
	version=$(apt_in "$top/ubuntu" apt-cache search --names-only '^linux-image-[0-9.]+-[0-9]+-generic$' |
		sed 's/^linux-image-//; s/ .*//' | sort -V | tail -n 1)
	[ "$version" ] || unavailable "no kernel package in Ubuntu's lists"
	say "downloading linux-image-$version and its modules (190 MB)"
	(cd "$top/packages" && apt_in "$top/ubuntu" apt-get download "linux-image-$version" \
		"linux-modules-$version") >>"$top/log" || unavailable "$version cannot be had, see $top/log"
	for tool in "$top/packages/linux-image-$version"_*.deb "$top/packages/linux-modules-$version"_*.deb; do
		unpack "$tool" './boot/*' '*/iommu/*' '*/vfio/*' '*/virt/lib/*'
	done
	rm -f "$top"/packages/*.deb
	cp "$top/root/boot/vmlinuz-$version" "$top/vmlinuz.new" || unavailable "the package holds no kernel"
	grep -q '^CONFIG_IOMMUFD=' "$top/root/boot/config-$version" &&
		grep -q '^CONFIG_VFIO_DEVICE_CDEV=y' "$top/root/boot/config-$version" ||
		unavailable "Linux $version was built without IOMMUFD or VFIO_DEVICE_CDEV"
	echo "$version" >"$top/version"
	mv "$top/vmlinuz.new" "$top/vmlinuz"
}

linux=${LINUX:-$top/vmlinuz}
modules=${MODULES:-$top/root}
mkdir -p "$top"
if [ "${LINUX:-}" ]; then
	[ -r "$linux" ] || { say "LINUX=$linux: no such file"; exit 1; }
	version="of ${linux##*/}"
else
	[ -e "$linux" ] || kernel_get
	version=$(cat "$top/version")
fi

# ---- what it boots: our program, and the modules it needs -------------------------------

"${HOSTCC:-gcc}" -std=gnu11 -O2 -Wall -Wextra -Werror -static -I. -o "$top/init" bench/linux/init.c || exit 1

# The archive format of an initial file system ("newc"): a header of 13 numbers in hex, the
# name, the content, each padded to 4 bytes.
entry=0
pad() { head -c $(((4 - $1 % 4) % 4)) /dev/zero; }
member() { # name, mode, file or ""
	local bytes=0
	[ -z "$3" ] || bytes=$(stat -Lc %s "$3")
	entry=$((entry + 1))
	printf '070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x' \
		$entry "$2" 0 0 1 0 "$bytes" 0 0 0 0 $((${#1} + 1)) 0
	printf '%s\0' "$1"
	pad $((110 + ${#1} + 1))
	[ -z "$3" ] || cat "$3"
	pad "$bytes"
}
{
	for folder in dev proc sys modules; do member $folder $((8#40755)) ''; done
	member init $((8#100755)) "$top/init"
	for name in irqbypass iommufd vfio vfio-pci-core vfio-pci; do
		file=$(find "$modules" -name "$name.ko*" | head -n 1)
		[ -z "$file" ] || member "modules/${file##*/}" $((8#100644)) "$file"
	done
	member 'TRAILER!!!' 0 ''
} >"$top/initramfs"

# ---- the run -------------------------------------------------------------------------------

# shellcheck source=tools/bench-options.sh
. tools/bench-options.sh
words="console=ttyS0 quiet loglevel=4 intel_iommu=on iommu.strict=1 iommu=nopt mitigations=off"
words+=" hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=136 tsc=reliable no_timer_check panic=-1"
say "booting Linux $version (about a minute)"
tools/qemu.sh --quiet --log "$top/serial" --kernel "$linux" --module "$top/initramfs" \
	--iommu "$bench_iommu" --engines "$bench_engines" --icount 0 --memory 4G --timeout 400 \
	--cmdline "$words" -- "${bench_qemu[@]}" 2>"$top/errors"
status=$?
tr -d '\r' <"$top/serial" | grep -a '^bench-linux:' >&2
if [ "$status" != 0 ]; then
	say "the run failed (tools/qemu.sh: $status)"
	tr -d '\r' <"$top/serial" | tail -n 15 >&2
	exit 1
fi
tr -d '\r' <"$top/serial" | grep -a '^@bench' >"$top/bench.tsv"
tr -d '\r' <"$top/serial" | grep -a '^@refused' >>"$top/bench.tsv"
[ -s "$top/bench.tsv" ] || { say "it printed no result"; exit 1; }

# ---- side by side --------------------------------------------------------------------------

[ -r "$own" ] || { say "$own is missing: make bench writes it"; exit 1; }
cat <<NOTE
Linux $version and Nestor in $("${QEMU:-qemu-system-x86_64}" --version | head -n 1), VT-d in legacy mode
(tables not snooped), -icount shift=0: instructions of the guest.
What Linux does beyond: enters and leaves the kernel by a system call (see getppid), walks the
process's page tables to pin, and counts locked memory. What Nestor does beyond: it makes sure
that a deadline stands behind every wait. Both invalidate strictly, once per call at least, and
clean cache lines. "contiguous" is Nestor's own buffer of one run; Linux's has a few hundred.
Linux boots with mitigations=off.
NOTE
awk -F '\t' -f tools/bench-compare.awk "$top/bench.tsv" "$own"
