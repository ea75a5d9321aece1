/* SPDX-License-Identifier: MIT */
/*
 * The memory map as firmware gives it, read as ranges: unsorted entries that overlap,
 * in which whatever forbids wins. See page_map_next in kernel/page.h.
 */
#include "kernel/page_private.h"

#define LOW_MEMORY UINT64_C(0x100000) /* firmware, BIOS data, boot code: never ours */

/** One past the last byte of @p entry, without overflow, within the processor's
 *  address bits. */
static uint64_t entry_end(const struct boot_memory *entry)
{
	if (entry->start >= PAGE_ADDRESS_LIMIT)
		return PAGE_ADDRESS_LIMIT;
	if (entry->bytes > PAGE_ADDRESS_LIMIT - entry->start)
		return PAGE_ADDRESS_LIMIT;
	return entry->start + entry->bytes;
}

static bool entry_covers(const struct boot_memory *entry, uint64_t address)
{
	return entry->start <= address && address < entry_end(entry);
}

/** The end of the usable entries that cover @p address, or @p address if none does;
 *  then @p next is the nearest usable address above it. */
static uint64_t usable_end(const struct boot_memory *map, size_t count, uint64_t address,
                           uint64_t *next)
{
	uint64_t end = address;

	*next = PAGE_ADDRESS_LIMIT;
	for (size_t i = 0; i < count; i++) {
		if (map[i].kind != BOOT_MEMORY_USABLE)
			continue;
		uint64_t entry_last = entry_end(&map[i]);
		if (entry_covers(&map[i], address))
			end = entry_last > end ? entry_last : end;
		else if (map[i].start > address && map[i].start < entry_last &&
		         map[i].start < *next)
			*next = map[i].start;
	}
	return end;
}

/** The end of what forbids @p address among @p entries, or @p address if nothing
 *  does; then @p next is where the nearest prohibition above it begins. */
static uint64_t forbidden_end(const struct boot_memory *entries, size_t count, bool all,
                              uint64_t address, uint64_t *next)
{
	for (size_t i = 0; i < count; i++) {
		if (!all && entries[i].kind == BOOT_MEMORY_USABLE)
			continue;
		if (entry_covers(&entries[i], address))
			return entry_end(&entries[i]);
		if (entries[i].start > address && entries[i].bytes && entries[i].start < *next)
			*next = entries[i].start;
	}
	return address;
}

bool page_map_next(const struct boot_memory *map, size_t map_count, const struct boot_memory *keep,
                   size_t keep_count, uint64_t from, uint64_t *start, uint64_t *end)
{
	uint64_t at = from;

	while (at < PAGE_ADDRESS_LIMIT) {
		uint64_t next_usable;
		uint64_t top = usable_end(map, map_count, at, &next_usable);
		if (top == at) {
			at = next_usable;
			continue;
		}
		uint64_t limit = PAGE_ADDRESS_LIMIT;
		uint64_t past = forbidden_end(map, map_count, false, at, &limit);
		if (past == at)
			past = forbidden_end(keep, keep_count, true, at, &limit);
		if (past != at) {
			at = past;
			continue;
		}
		/* Free to use from here. Entries that touch or overlap carry it further. */
		while (top < limit) {
			uint64_t further = usable_end(map, map_count, top, &next_usable);
			if (further == top)
				break;
			top = further;
		}
		*start = at;
		*end = top < limit ? top : limit;
		return true;
	}
	return false;
}

bool page_map_pages(const struct boot_memory *map, size_t map_count, const struct boot_memory *keep,
                    size_t keep_count, uint64_t limit, uint64_t *from, uint64_t *first,
                    uint64_t *count)
{
	uint64_t start, end;

	if (*from < LOW_MEMORY)
		*from = LOW_MEMORY;
	while (page_map_next(map, map_count, keep, keep_count, *from, &start, &end)) {
		*from = end;
		*first = (start + PAGE_SIZE_4K - 1) >> PAGE_SHIFT_4K;
		uint64_t stop = end >> PAGE_SHIFT_4K;
		if (stop > limit)
			stop = limit;
		if (*first < stop) {
			*count = stop - *first;
			return true;
		}
	}
	return false;
}
