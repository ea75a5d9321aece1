/* SPDX-License-Identifier: MIT */
/* Names for addresses: binary search in the table of boot/symbols.h. */
#include "boot/symbols.h"

#include "kernel/kernel.h"

const char *symbol_find(uint64_t address, uint64_t *offset)
{
	uint32_t low = 0, high = boot_symbol_count;
	uint64_t at = address - KERNEL_VIRTUAL_BASE;

	if (address < KERNEL_VIRTUAL_BASE || !high || at < boot_symbols[0].address)
		return NULL;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (boot_symbols[middle].address <= at)
			low = middle;
		else
			high = middle;
	}
	*offset = at - boot_symbols[low].address;
	return boot_symbol_names + boot_symbols[low].name;
}
