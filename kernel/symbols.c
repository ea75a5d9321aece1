/* SPDX-License-Identifier: MIT */
/*
 * Names for code addresses: a binary search in the table of boot/symbols.h.
 * It takes no lock and touches constants only, so panic() may call it anywhere.
 */
#include "boot/symbols.h"

#include "boot/boot_info.h"
#include "kernel/kernel.h"

extern char kernel_text_start[], kernel_text_end[];

const char *symbol_find(uint64_t address, uint64_t *offset)
{
	if (address < (uint64_t)kernel_text_start || address >= (uint64_t)kernel_text_end)
		return NULL;

	uint64_t wanted = address - KERNEL_VIRTUAL_BASE;
	uint32_t low = 0, high = symbols_count;
	/* Invariant: entries below low begin at or before the address, from high on after. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (symbols_table[middle].address <= wanted)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	if (offset)
		*offset = wanted - symbols_table[low - 1].address;
	return symbols_names + symbols_table[low - 1].name;
}
