# SPDX-License-Identifier: MIT
#
# The bench's table for a person. Files, in this order: bench/goals.tsv, bench/baseline.tsv (may
# be /dev/null), the lines that the bench printed. Tabs between fields; see bench/bench.c for
# the last.
function human(x) { return x == "" || x == "-" ? "" : sprintf("%d", x) }
function one(x) { return x == int(x) ? sprintf("%d", x) : sprintf("%.2f", x) }

BEGIN { FS = "\t" }
FNR == 1 { file++ }
file == 1 && !/^#/ { goal[$1] = $2; linux[$1] = $3; next }
file == 2 && !/^#/ { base[$1, $2] = $3; next }
$1 != "@bench" { next }
{
	name = $2; column = $3
	value[name, column] = $5
	if (column == "coherent") { next }
	own = column; unit = $4; order[++rows] = name
	per[name] = $6; inner[name] = $7
	stores[name] = $8; cleans[name] = $9; descriptors[name] = $10; waits[name] = $11; mmio[name] = $12
	kind[name] = $4
	if ($13 == "size.unmap" && $10 > most) most = $10
	if ($13 == "size.unmap" && $11 > most_waits) most_waits = $11
	if ($13 == "size.unmap") swept++
}
function change(name,    old, now) {
	old = base[name, own]; now = value[name, own]
	if (old == "") return "new"
	if (old == now) return "="
	return old + 0 ? sprintf("%+.1f%%", (now - old) * 100 / old) : "?"
}
# In a process: nanoseconds, and what the engine takes over a plain loop that stores the same.
function hosted(    name, plain) {
	printf "%-49s %12s %12s\n", "operation", "ns", "a unit"
	for (i = 1; i <= rows; i++) {
		name = order[i]
		if (kind[name] == "bytes") continue
		printf "%-49s %12s %12s\n", name, value[name, own], \
			(inner[name] > 1 ? one(value[name, own] / inner[name]) " a " per[name] : "")
	}
	plain = value["plain stores x256, 256 tables", own]
	for (i = 1; i <= rows && plain > 0; i++)
		if (order[i] ~ /^engine\.(map|unmap) 4K x256, 256 tables$/)
			printf "%s: %.0f ns a table, %.2f times a plain loop of stores (to stay under 2.5)\n", \
				order[i], value[order[i], own] / inner[order[i]], value[order[i], own] / plain
}
END {
	if (!rows) exit 1
	if (unit == "ns") { hosted(); exit }
	printf "%-49s %12s %10s %9s %5s %11s %7s %7s %7s %5s %5s %5s %8s\n", "operation", own, \
		"coherent", "goal", "", "Linux 7.3.4", "ratio", "stores", "cleans", "desc", "waits", "mmio", "change"
	for (i = 1; i <= rows; i++) {
		name = order[i]
		if (kind[name] != unit && kind[name] != "bytes") unit = kind[name]
		now = value[name, own] / inner[name]
		met = ""
		if (goal[name] != "" && goal[name] != "-") {
			met = now <= goal[name] + 0.005 ? "ok" : sprintf("x%.1f", now / goal[name])
			goals++; reached += met == "ok"
			if (per[name] == "page" && inner[name] > 1) met = met "/p"
		}
		ratio = linux[name] > 0 && value[name, own] > 0 ? sprintf("%.1f", linux[name] / value[name, own]) : ""
		printf "%-49s %12s %10s %9s %5s %11s %7s %7s %7s %5s %5s %5s %8s", name, value[name, own], \
			value[name, "coherent"], goal[name] == "-" ? "" : goal[name], met, human(linux[name]), ratio, \
			stores[name], cleans[name], descriptors[name], waits[name], mmio[name], change(name)
		if (kind[name] == "bytes") printf "  bytes"
		else if (inner[name] > 1) printf "  %s a %s", one(now), per[name]
		printf "\n"
		if (base[name, own] != "" && value[name, own] > base[name, own] * 1.01) worse = worse "\n  " name ": " base[name, own] " -> " value[name, own]
	}
	if (swept && most) {
		printf "%-49s %12d %10s %9d %5s   (and %d wait at most, over %d sizes)\n", \
			"invalidation descriptors per unmap of 2^n, most", most, "", 1, most == 1 && most_waits == 1 ? "ok" : "x" most, most_waits, swept
		goals++; reached += most == 1 && most_waits == 1
	}
	printf "%d of %d goals reached. \"ratio\": how many times as much Linux takes. \"/p\": the goal is for a page.\n", reached, goals
	if (worse != "") printf "More than 1 %% over bench/baseline.tsv:%s\n", worse
}
