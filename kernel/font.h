/* SPDX-License-Identifier: MIT */
/* The console's font, made by tools/font.sh at build time. */
#ifndef KERNEL_FONT_H
#define KERNEL_FONT_H

#include <stdint.h>

enum { FONT_WIDTH = 8, FONT_HEIGHT = 16 };

/** By Latin-1 code; a row is a byte, its leftmost pixel in bit 7. A code that the font
 *  lacks looks like a question mark. */
extern const uint8_t font_glyphs[256][FONT_HEIGHT];

#endif
