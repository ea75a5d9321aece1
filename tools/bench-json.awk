# SPDX-License-Identifier: MIT
#
# The lines that the bench printed, as JSON with one object a line. Variables: build, machine,
# options.
function text(x) { gsub(/\\/, "\\\\", x); gsub(/"/, "\\\"", x); return "\"" x "\"" }
BEGIN {
	FS = "\t"
	printf "{\"build\": %s,\n \"machine\": %s,\n \"options\": %s,\n \"rows\": [", text(build), text(machine), text(options)
}
$1 == "@bench" {
	printf "%s\n{\"name\": %s, \"column\": %s, \"unit\": %s, \"value\": %s, \"per\": %s, \"inner\": %s, \"stores\": %s, \"cleans\": %s, \"descriptors\": %s, \"waits\": %s, \"mmio\": %s, \"series\": %s, \"x\": %s}", \
		rows++ ? "," : "", text($2), text($3), text($4), $5, text($6), $7, $8, $9, $10, $11, $12, text($13 == "-" ? "" : $13), $14
}
END { printf "\n ]}\n" }
