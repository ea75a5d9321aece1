/* SPDX-License-Identifier: MIT */
/*
 * The kernel's functions by address, for backtraces. tools/symbols.sh makes the table
 * from the image's first link; linker.ld puts it behind all code and constants, so that
 * the second link, which has it, leaves every function where the first one put it.
 */
#ifndef BOOT_SYMBOLS_H
#define BOOT_SYMBOLS_H

#include <stdint.h>

struct symbol {
	uint32_t address; /* from KERNEL_VIRTUAL_BASE on */
	uint32_t name;    /* from symbols_names on */
};

extern const uint32_t symbols_count;
extern const struct symbol symbols_table[]; /* by address, each one once */
extern const char symbols_names[];

#endif
