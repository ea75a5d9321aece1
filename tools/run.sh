#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# make run: boots the kernel in QEMU with a VT-d unit and devices that master DMA,
# and runs a scenario. With a terminal on standard input it stays in the shell;
# without one it powers off, and the exit status is the scenario's verdict.
#
#   tools/run.sh KERNEL SCENARIO MODE
set -euo pipefail
cd "$(dirname "$0")/.."
kernel=$1 scenario=$2 mode=${3:-auto}
unit=plain
[ "$mode" = scalable ] && unit=scalable
words="scenario=$scenario vtd=$mode console=serial panic=exit"
# QEMU comments on each access that its unit blocks; the kernel's own account is enough.
quiet() {
	grep -vE '^qemu[^:]*: (vtd_|New fault is not recorded)' >&2 || true
}
if [ -t 0 ]; then
	exec tools/qemu.sh --kernel "$kernel" --iommu "$unit" --engines "edu nvme" \
		--cmdline "$words after=shell" --interactive 2> >(quiet)
fi
# Time by instructions: the 100 ms that edu takes for each transfer are over when nothing else is
# to be done. (For a person at the shell it is not: QEMU would never rest.)
exec tools/qemu.sh --kernel "$kernel" --iommu "$unit" --engines "edu nvme" --icount 10 \
	--cmdline "$words after=off" --timeout 60 2> >(quiet)
