/* SPDX-License-Identifier: MIT */
/*
 * The page allocator: buddy runs of 4 KiB to 1 GiB over the machine's real
 * memory map, with pin counts, so that memory under DMA cannot be freed.
 *
 * A run is 2^order pages, aligned to its size. Pins are counted on the run that
 * contains the page, so pinning 1 GiB costs as much as pinning 4 KiB. The
 * structure is an instance: tests run it hosted over an arena.
 *
 * Locking: none of its own, unless `enter` and `leave` are set after page_init:
 * then each call below is bracketed by them (the kernel's instance keeps
 * interrupts away with them).
 */
#ifndef KERNEL_PAGE_H
#define KERNEL_PAGE_H

#include "boot/boot_info.h"
#include "iommu/types.h"

enum { PAGE_MAX_ORDER = 18 }; /* 1 GiB */

/** Memory at and above this address is never used: the processor has no more
 *  physical address bits (Intel SDM volume 3, 4.1.4). */
#define PAGE_ADDRESS_LIMIT (UINT64_C(1) << 52)

struct page; /* per 4 KiB page, private */

struct page_allocator {
	uintptr_t direct_map;
	struct page *pages;                     /* index: page number */
	uint64_t page_count;                    /* highest usable page number + 1 */
	uint64_t free_head[PAGE_MAX_ORDER + 1]; /* page numbers, private */
	uint64_t usable_pages, free_pages, pinned_runs;
	uint64_t lost_pages; /* usable, but too far up for bookkeeping that fits */
	/* NULL, or called around each operation; what enter returns goes to leave. */
	uint64_t (*enter)(void);
	void (*leave)(uint64_t state);
};

/** The next range of usable bytes at or after @p from: a memory map as firmware
 *  gives it, unsorted and overlapping, where entries that are not usable and all
 *  of @p keep win over usable ones, and usable entries that touch are one range.
 *  Pure; needs no memory. @return false if there is none. */
bool page_map_next(const struct boot_memory *map, size_t map_count, const struct boot_memory *keep,
                   size_t keep_count, uint64_t from, uint64_t *start, uint64_t *end);

/** Build the allocator from a memory map as firmware gives it: unsorted,
 *  overlapping, with unusable entries that win over usable ones; @p keep lists
 *  further ranges to leave alone (image, modules, boot structures). Page 0 and
 *  everything below 1 MiB is left alone. The bookkeeping, 8 bytes a page, is put
 *  into the first usable range that holds it; if none does, the highest usable
 *  ranges are left out (lost_pages). All usable memory must be reachable through
 *  @p direct_map: free runs carry their list links. 0 or -ENOMEM. */
int must_check page_init(struct page_allocator *allocator, const struct boot_memory *map,
                         size_t map_count, const struct boot_memory *keep, size_t keep_count,
                         uintptr_t direct_map);
/** 2^order pages, not zeroed. 0, -ENOMEM, or -EINVAL for an order that is too large. */
int must_check page_alloc(struct page_allocator *allocator, unsigned order, pa_t *out);
/** Give back a run by its start. -EBUSY while any part of it is pinned, -EINVAL if
 *  it is no allocated run's start or the order is another. */
int must_check page_free(struct page_allocator *allocator, pa_t run, unsigned order);
/** Pin / unpin the run that contains @p address. -EFAULT if it is not in an allocated
 *  run; pin: -EOVERFLOW at 2^32 - 1 pins; unpin: -EINVAL if there is no pin. */
int must_check page_pin(struct page_allocator *allocator, pa_t address);
int must_check page_unpin(struct page_allocator *allocator, pa_t address);
/** The allocated run that contains @p address: its start and order. -EFAULT if none.
 *  Each of @p start, @p order, @p pins may be NULL. */
int must_check page_run(struct page_allocator *allocator, pa_t address, pa_t *start,
                        unsigned *order, uint32_t *pins);

#endif
