# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the bench's machines have in common, whatever kernel they boot: sourced by
# tools/bench.sh and tools/bench-linux.sh.
#
# Under -icount each step of a string instruction counts as one instruction, so kernels that
# choose by CPU flags must see none that makes them prefer those. The clock of the machine is
# its own: the same run every time.
# shellcheck disable=SC2034,SC2054 # for those who source it; the commas are QEMU's
bench_qemu=(-cpu max,erms=off,fsrm=off -rtc clock=vm,base=2026-01-01)
bench_iommu=plain
bench_engines=edu
