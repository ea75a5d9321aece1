#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Write the console's font to standard output as a C file (see kernel/font.h):
# the 8x16 glyphs of Latin-1, taken from a console font of the distribution
# (Debian and Ubuntu: package console-setup-linux; its fonts are in the public
# domain). FONT= names another PSF file, version 1 or 2, 8x16 with a Unicode
# table, gzipped or not.
set -eu -o pipefail

font=${FONT:-}
if [ -z "$font" ]; then
	for font in /usr/share/consolefonts/Lat15-Fixed16.psf.gz \
		/usr/share/consolefonts/Lat15-VGA16.psf.gz; do
		[ -f "$font" ] && break
	done
fi
if [ ! -r "$font" ]; then
	echo "font.sh: no console font $font: install console-setup-linux, or name one with FONT=" >&2
	exit 1
fi

gzip -dcf "$font" | od -An -v -tu1 | awk -v font="$(basename "$font")" '
function die(why) {
	print "font.sh: " font ": " why > "/dev/stderr"
	failed = 1
	exit 1
}
{ for (i = 1; i <= NF; i++) byte[n++] = $i + 0 }
function word(at) { return byte[at] + 256 * (byte[at + 1] + 256 * (byte[at + 2] + 256 * byte[at + 3])) }
function name(code, glyph) { if (code < 256 && !(code in glyph_of)) glyph_of[code] = glyph }
END {
	if (failed) exit 1
	if (n > 4 && byte[0] == 54 && byte[1] == 4) { # PSF 1
		count = byte[2] % 2 ? 512 : 256
		if (int(byte[2] / 2) % 2 == 0) die("has no Unicode table")
		if (byte[3] != 16) die("is 8x" byte[3] ", wanted is 8x16")
		first = 4
		at = first + 16 * count
		for (g = 0; g < count; g++) {
			sequence = 0
			for (;;) {
				if (at + 1 >= n) die("its Unicode table ends early")
				code = byte[at] + 256 * byte[at + 1]
				at += 2
				if (code == 65535) break
				if (code == 65534) sequence = 1
				else if (!sequence) name(code, g)
			}
		}
	} else if (n > 32 && byte[0] == 114 && byte[1] == 181 && byte[2] == 74 && byte[3] == 134) { # PSF 2
		count = word(16)
		if (word(12) % 2 == 0) die("has no Unicode table")
		if (word(20) != 16 || word(24) != 16 || word(28) != 8)
			die("is " word(28) "x" word(24) ", wanted is 8x16")
		first = word(8)
		at = first + 16 * count
		for (g = 0; g < count; g++) {
			sequence = 0
			for (;;) {
				if (at >= n) die("its Unicode table ends early")
				b = byte[at++]
				if (b == 255) break
				if (b == 254) sequence = 1
				else if (!sequence && b < 128) name(b, g)
				else if (!sequence && b >= 192 && b < 224) name((b - 192) * 64 + byte[at] - 128, g)
			}
		}
	} else die("is no PSF font")
	for (code = 32; code < 127; code++)
		if (!(code in glyph_of)) die("lacks character " code)

	print "/* SPDX-License-Identifier: MIT */"
	print "/* Made by tools/font.sh from " font ", a console font in the public domain. */"
	print "#include \"kernel/font.h\"\n"
	print "const uint8_t font_glyphs[256][FONT_HEIGHT] = {"
	for (code = 0; code < 256; code++) {
		g = code in glyph_of ? glyph_of[code] : (code < 32 || code == 127 || code == 160 ? glyph_of[32] : glyph_of[63])
		line = "\t{"
		for (i = 0; i < 16; i++) line = line sprintf("0x%02x%s", byte[first + 16 * g + i], i < 15 ? ", " : "},")
		print line
	}
	print "};"
}'
