#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# make plots: pictures (SVG and PNG) of the bench's curves, from its JSON: cost against mapping
# size, live mappings, children of a nest parent, devices on a domain, processors. docs/performance.md shows
# the first two: copy their SVG to docs/images/ when they change.
#
#   tools/plots.sh JSON FOLDER        (build/bench.json build/plots)
#
# Needs gnuplot. Exit status: 0; 1 the JSON has no curves; 77 there is no gnuplot.
set -euo pipefail
json=${1:?which JSON?} folder=${2:?which folder?}
gnuplot=${GNUPLOT:-gnuplot}
[ -r "$json" ] || { echo "plots.sh: $json cannot be read: make bench writes it" >&2; exit 1; }
command -v "$gnuplot" >/dev/null ||
	{ echo "plots.sh: not available: gnuplot is not installed (Debian: gnuplot-nox)" >&2; exit 77; }
mkdir -p "$folder"

# One object a line: its value and x by series, as "x value" lines in FOLDER/SERIES.dat.
series() {
	sed -n "s/.*\"value\": \([0-9]*\),.*\"series\": \"$1\", \"x\": \([0-9]*\).*/\2 \1/p" "$json" |
		sort -n >"$folder/$1.dat"
	[ -s "$folder/$1.dat" ] || { echo "plots.sh: $json has no curve $1: make bench measures all" >&2; exit 1; }
}
for name in size.map size.unmap live.map live.unmap children.unmap devices.unmap \
	lines.map.own lines.unmap.own lines.map.one lines.unmap.one; do series "$name"; done

unit=$(sed -n 's/.*"unit": "\([a-z]*\)".*/\1/p' "$json" | head -n 1)
picture() { # name, title, x label, more settings, plots
	local terminal
	for terminal in svg png; do
		"$gnuplot" <<-PLOT
			set terminal $terminal noenhanced size 800,500 background '#ffffff'
			set output '$folder/$1.$terminal'
			set title '$2'
			set xlabel '$3'
			set ylabel '$unit'
			set logscale x 2
			set grid
			set key left top
			set rmargin 6
			set style data linespoints
			$4
			plot $5
		PLOT
	done
	sed -i '1a <!-- SPDX-License-Identifier: MIT -->' "$folder/$1.svg"
}
picture size 'Mapping and unmapping, by size' 'bytes' \
	"set logscale y; set xtics ('4K' 2**12, '64K' 2**16, '1M' 2**20, '16M' 2**24, '256M' 2**28, '4G' 2**32, '64G' 2**36)" \
	"'$folder/size.map.dat' title 'IOAS_MAP, calls of 1 GiB at most', '$folder/size.unmap.dat' title 'IOAS_UNMAP, one call'"
picture live 'IOAS_MAP where the kernel picks the IOVA, 4K' 'live mappings (+1)' \
	"set logscale x 10; set yrange [0:*]; set format x '%.0f'" \
	"'$folder/live.map.dat' using (\$1+1):2 title 'IOAS_MAP', '$folder/live.unmap.dat' using (\$1+1):2 title 'IOAS_UNMAP'"
picture children 'IOAS_UNMAP of 4K on a nest parent (mock)' 'children' "set logscale y" \
	"'$folder/children.unmap.dat' title 'IOAS_UNMAP'"
picture devices 'IOAS_UNMAP of 4K with many devices on the domain (mock)' 'devices' "set yrange [0:*]" \
	"'$folder/devices.unmap.dat' title 'IOAS_UNMAP'"
# a row is the sum over 64 calls of each processor
unit='cache lines a call'
picture processors 'Cache lines that processors take from each other, 4K' 'processors' "set yrange [0:26]" \
	"'$folder/lines.map.own.dat' using 1:(\$2/64/\$1) title 'IOAS_MAP, an IOAS each', '$folder/lines.unmap.own.dat' using 1:(\$2/64/\$1) title 'IOAS_UNMAP, an IOAS each', '$folder/lines.map.one.dat' using 1:(\$2/64/\$1) title 'IOAS_MAP, ranges of one', '$folder/lines.unmap.one.dat' using 1:(\$2/64/\$1) title 'IOAS_UNMAP, ranges of one'"
echo "plots.sh: $folder: size, live, children, devices, processors as svg and png"
