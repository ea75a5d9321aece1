/* SPDX-License-Identifier: MIT */
/* What the readers of boot information share: unaligned loads, bounded copies. */
#ifndef BOOT_PARSE_H
#define BOOT_PARSE_H

#include "boot/boot_info.h"
#include "iommu/string.h"

static inline uint32_t boot_load32(const void *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof(value));
	return value;
}

static inline uint64_t boot_load64(const void *at)
{
	uint64_t value;
	memcpy(&value, at, sizeof(value));
	return value;
}

/** Copy text that ends with a NUL or after @p bytes into @p out of @p size; true if
 *  it did not fit and was cut. */
static inline bool boot_copy_text(char *out, size_t size, const char *text, size_t bytes)
{
	size_t length = 0;
	while (length < bytes && text[length])
		length++;
	bool cut = length >= size;
	if (cut)
		length = size - 1;
	memcpy(out, text, length);
	out[length] = '\0';
	return cut;
}

/** Append a range to the memory map; ranges of no length or that wrap are dropped. */
static inline void boot_add_memory(struct boot_info *out, uint64_t start, uint64_t bytes,
				   enum boot_memory_kind kind)
{
	if (!bytes || start + bytes < start)
		return;
	if (out->memory_count == BOOT_MAX_MEMORY) {
		out->memory_cut = true;
		return;
	}
	out->memory[out->memory_count++] = (struct boot_memory){start, bytes, kind};
}

/** The kind of an entry of an E820-like map: Multiboot2, PVH. */
static inline enum boot_memory_kind boot_memory_kind(uint32_t type)
{
	switch (type) {
	case 1:
		return BOOT_MEMORY_USABLE;
	case 3:
		return BOOT_MEMORY_ACPI_RECLAIM;
	case 4:
		return BOOT_MEMORY_ACPI_NVS;
	case 5:
		return BOOT_MEMORY_BAD;
	default:
		return BOOT_MEMORY_RESERVED;
	}
}

#endif
