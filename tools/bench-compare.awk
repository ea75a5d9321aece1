# SPDX-License-Identifier: MIT
#
# Two kernels side by side: the lines that bench/linux/init.c printed, then build/bench.json.
function field(name,    at, rest) {
	at = index($0, "\"" name "\": ")
	if (!at) return ""
	rest = substr($0, at + length(name) + 4)
	if (substr(rest, 1, 1) == "\"") { rest = substr(rest, 2); return substr(rest, 1, index(rest, "\"") - 1) }
	match(rest, /^[0-9.]+/)
	return substr(rest, 1, RLENGTH)
}
FNR == 1 { file++ }
file == 1 && $1 == "@bench" { linux[$2] = $5; order[++rows] = $2; next }
file == 1 && $1 == "@refused" { linux[$2] = $3; order[++rows] = $2; next }
file == 2 && /^\{"name"/ && field("column") != "coherent" { own[field("name")] = field("value") }
END {
	printf "%-45s %14s %14s %9s\n", "operation", "Linux", "Nestor", "ratio"
	for (i = 1; i <= rows; i++) {
		name = order[i]; other = name
		sub(/256M mostly contiguous/, "256M contiguous, 4K entries", other)
		ratio = ""
		if (own[other] > 0 && linux[name] ~ /^[0-9]+$/) { ratio = sprintf("%.1f", linux[name] / own[other]); compared++ }
		printf "%-45s %14s %14s %9s\n", name, linux[name], own[other] == "" ? "-" : own[other], ratio
	}
	if (!compared) { print "bench-linux: nothing to compare: has make bench run?"; exit 1 }
}
