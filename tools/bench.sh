#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# make bench: the kernel's own bench in QEMU, where time counts instructions, so that the
# figures are the same on any machine; build/bench.json and a table on the screen.
#
#   tools/bench.sh [--stage NAME] [--lines PROGRAM] [--json FILE] [--no-table] [--write-baseline] KERNEL
#   tools/bench.sh --hosted PROGRAM [...]        the same operations in a process, in ns
#
#   --lines PROGRAM    how it scales, too: with nestor-lines, how many cache lines processors
#                      take from each other; and how long they wait for locks (bench-smp.sh)
#   --stage NAME       only the stages whose names begin so (docs/performance.md)
#   --json FILE        instead of build/bench.json (hosted: build/bench-host.json)
#   --write-baseline   bench/baseline.tsv becomes what was measured
#
# VTD=scalable measures with x-scalable-mode. Exit status: 0, or 1 if an operation failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
stage='' json='' table=1 write='' hosted='' lines='' program=''
usage() {
	echo "bench.sh: $*" >&2
	exit 2
}
while [ $# -gt 0 ]; do
	case $1 in
	--stage) stage=${2?--stage needs a name} && shift ;;
	--lines) lines=${2?--lines needs a program} && shift ;;
	--json) json=${2?--json needs a file} && shift ;;
	--no-table) table='' ;;
	--write-baseline) write=1 ;;
	--hosted) hosted=1 ;;
	-*) usage "unknown option $1" ;;
	*) program=$1 ;;
	esac
	shift
done
[ -x "$program" ] || usage "$program: no such program"
[ "$json" ] || json=build/bench${hosted:+-host}.json
mkdir -p "$(dirname "$json")"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# shellcheck source=tools/bench-options.sh
. tools/bench-options.sh
if [ "$hosted" ]; then
	"$program" --raw ${stage:+"$stage"} >"$work/serial" 2>"$work/errors"
	status=$?
	machine=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
	options='one process, mock IOMMU'
else
	[ "${VTD:-}" != scalable ] || bench_iommu=scalable
	tools/qemu.sh --quiet --log "$work/serial" --kernel "$program" --iommu "$bench_iommu" \
		--engines "$bench_engines" --icount 0 --timeout 600 \
		--cmdline "bench${stage:+=$stage} vtd=${VTD:-auto} scenario=none console=serial loglevel=warning panic=exit after=off" \
		-- "${bench_qemu[@]}" 2>"$work/errors"
	status=$?
	machine=$("${QEMU:-qemu-system-x86_64}" --version | head -n 1)
	options="-icount shift=0,sleep=off ${bench_qemu[*]}, intel-iommu $bench_iommu, engines $bench_engines"
fi
tr -d '\r' <"$work/serial" >"$work/lines"
build="$(git describe --always --dirty 2>/dev/null || echo unknown), $("${CC:-gcc}" --version | head -n 1)"
if [ "$lines" ]; then
	"$lines" --raw >"$work/moves" || status=1
	tools/bench-smp.sh --rows "$work/rows" "$program" >"$work/locks" || status=1
	cat "$work/rows" >>"$work/moves"
fi
awk -v build="$build" -v machine="$machine" -v options="$options" -f tools/bench-json.awk \
	"$work/lines" ${lines:+"$work/moves"} >"$json"
if [ "$table" ]; then
	echo "$machine; $options"
	grep -a '^bench: ' "$work/lines"
	baseline=bench/baseline.tsv
	if [ "$hosted" ] || [ ! -r "$baseline" ]; then baseline=/dev/null; fi
	goals=bench/goals.tsv
	[ -z "$hosted" ] || goals=/dev/null # they are in instructions
	# (awk counts no file that is empty)
	awk -f tools/bench-table.awk <(echo '#'; cat $goals) <(echo '#'; cat $baseline) \
		"$work/lines" || status=1
	if [ "$lines" ]; then
		echo
		"$lines" || status=1
		echo
		cat "$work/locks"
	fi
fi
if [ "$status" != 0 ]; then
	echo "bench.sh: the bench failed (status $status)" >&2
	grep -avE '^@' "$work/lines" | tail -n 20 >&2
	tail -n 3 "$work/errors" >&2
	exit 1
fi
if [ "$write" ]; then
	{
		echo "# Instructions of each operation when this file was written: tools/bench.sh --write-baseline."
		echo "# operation	column	instructions"
		awk -F '\t' '$1 == "@bench" { print $2 "\t" $3 "\t" $5 }' "$work/lines"
	} >bench/baseline.tsv
	echo "bench.sh: bench/baseline.tsv written"
fi
echo "bench.sh: $json written"
