/* SPDX-License-Identifier: MIT */
/*
 * The table of the image's functions, for backtraces: made by tools/symbols.sh from the
 * first link and put into the second.
 */
#ifndef BOOT_SYMBOLS_H
#define BOOT_SYMBOLS_H

#include <stdint.h>

struct boot_symbol {
	uint32_t address; /* from KERNEL_VIRTUAL_BASE */
	uint32_t name;    /* from boot_symbol_names */
};

/** Ascending by address. */
extern const uint32_t boot_symbol_count;
extern const struct boot_symbol boot_symbols[];
extern const char boot_symbol_names[];

#endif
