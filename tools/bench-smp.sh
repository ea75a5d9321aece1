#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# How the kernel's locks fare with more processors: its own test of what they share (smp=, in
# which each maps and unmaps in an IOAS of its own and then in a range of one that all share),
# in QEMU on 1, 2, 4, 8 and 16 virtual processors that take turns: who meets whom differs from
# run to run, what does not meet at all never does.
#
#   tools/bench-smp.sh [--rows FILE] KERNEL
#
# "waited": of a hundred times that a lock was taken, it was another's so often; "moved": it had
# last been another processor's, so that its cache line came from there. FILE gets the same as
# rows for tools/bench.sh. Exit status: 0, or 1 if a part of the test failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
rows=/dev/null
if [ "${1:-}" = --rows ]; then rows=${2?bench-smp.sh: which file?} && shift 2; fi
kernel=${1?bench-smp.sh: which kernel?}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
for count in 1 2 4 8 16; do
	if ! tools/qemu.sh --quiet --log "$work/serial" --kernel "$kernel" --smp $count --icount 0 \
		--timeout 200 --cmdline 'smp=0 scenario=none console=serial loglevel=warning panic=exit after=off' \
		2>"$work/errors"; then
		echo "bench-smp.sh: the test failed on $count processors" >&2
		tail -n 20 "$work/serial" "$work/errors" >&2
		exit 1
	fi
	tr -d '\r' <"$work/serial" | awk -v count=$count '
		/^# locks, / { part = /on the machine/ ? (/one IOAS/ ? "one IOAS" : "own IOASes") : ""; next }
		part && /^#   [a-z]/ {
			name = substr($0, 5, 16)
			sub(/ +$/, "", name)
			printf "%d\t%s: %s\t%s\t%s\t%s\n", count, part, name, $(NF - 3), $(NF - 2), $NF
		}' >>"$work/locks"
done
awk -F '\t' '$3 && ($4 || $5) {
	printf "@bench\tlocks.%s waited for, x%d\tsmp\twaits\t%d\ttime\t%d\t0\t0\t0\t0\t0\tlocks, %s, waited\t%d\n", $2, $1, $4, $3, $2, $1
	printf "@bench\tlocks.%s moved, x%d\tsmp\tmoves\t%d\ttime\t%d\t0\t0\t0\t0\t0\tlocks, %s, moved\t%d\n", $2, $1, $5, $3, $2, $1
}' "$work/locks" >"$rows"
echo 'locks, of a hundred times taken: waited for / came from another processor'
awk -F '\t' '
	!($2 in known) { known[$2] = ++kinds; name[kinds] = $2 }
	{ taken[$1, $2] = $3; waited[$1, $2] = $4; moved[$1, $2] = $5; shared[$2] += $5 }
	END {
		printf "%-32s", "processors"
		for (n = 1; n <= 16; n *= 2) printf " %13d", n
		print ""
		for (k = 1; k <= kinds; k++) {
			if (!shared[name[k]]) continue
			printf "%-32s", name[k]
			for (n = 1; n <= 16; n *= 2) {
				all = taken[n, name[k]]
				if (all) printf " %6.1f / %4.1f", 100 * waited[n, name[k]] / all, 100 * moved[n, name[k]] / all
				else printf " %13s", "-"
			}
			print ""
		}
	}' "$work/locks"
