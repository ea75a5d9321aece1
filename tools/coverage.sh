#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the tests of a coverage build reached: a line for each file, then for each folder.
# Usage: coverage.sh FOLDER, the folder of objects with their .gcda files.
# Lines: executed at least once. Branches: taken at least once, as gcov counts them.
# Status 1 if model/ has less than 95% of its lines or 90% of its branches.
set -u -o pipefail

objects=${1:?usage: coverage.sh FOLDER}
for folder in iommu vtd ufd model; do
	for notes in "$objects/$folder"/*.gcno; do
		gcov --no-output --branch-probabilities --object-directory "$objects/$folder" \
			"$notes" 2>/dev/null
	done
done | awk '
	# "Lines executed:97.50% of 40": the number reached, and the total
	function reached(text, part) { split(text, part, /[:%]/); return part[2] * $NF / 100 }
	/^File / {
		if (own) print file, lines, hit, branches, taken
		file = substr($2, 2, length($2) - 2)
		own = file ~ /\.c$/ && file !~ /^\//
		lines = hit = branches = taken = 0
	}
	/^Lines executed:/ { lines = $NF; hit = reached($0) }
	/^Taken at least once:/ { branches = $NF; taken = reached($0) }
	END { if (own) print file, lines, hit, branches, taken }' | sort -u | awk '
	function row(name, l, h, b, t) {
		printf "%-28s %6d %6.1f%% %8d %6.1f%%\n", name, l, l ? 100 * h / l : 100, b,
			b ? 100 * t / b : 100
	}
	BEGIN { printf "%-28s %6s %7s %8s %7s\n", "file", "lines", "reached", "branches", "taken" }
	{
		row($1, $2, $3, $4, $5)
		folder = substr($1, 1, index($1, "/"))
		if (!(folder in L)) order[++count] = folder
		L[folder] += $2; H[folder] += $3; B[folder] += $4; T[folder] += $5
	}
	END {
		for (i = 1; i <= count; i++)
			row(order[i], L[order[i]], H[order[i]], B[order[i]], T[order[i]])
		if (!L["model/"]) { print "no coverage of model/ was found"; exit 1 }
		lines = 100 * H["model/"] / L["model/"]
		branches = 100 * T["model/"] / B["model/"]
		good = lines >= 95 && branches >= 90
		printf "model/: %.1f%% of lines (95%% wanted), %.1f%% of branches (90%% wanted): %s\n",
			lines, branches, good ? "enough" : "NOT ENOUGH"
		exit !good
	}'
