/* SPDX-License-Identifier: MIT */
/* The kernel's page allocator and heap: how they begin, and what they hold. */
#ifndef KERNEL_MEMORY_H
#define KERNEL_MEMORY_H

#include "boot/boot_info.h"
#include "iommu/types.h"

/** The caches of all processors: pages had without the lock, batches moved, pages in them;
 *  the same for objects. */
struct memory_caches {
	uint64_t page_hits, page_refills, page_drains, pages;
	uint64_t object_hits, object_refills, object_drains, objects;
};
void memory_caches_count(struct memory_caches *out);

/** Build kernel_pages over @p map less @p keep, and the heap over it. The direct map
 *  must reach all usable memory already: vm_init calls this. 0 or -ENOMEM. */
int must_check memory_init(const struct boot_memory *map, size_t map_count,
                           const struct boot_memory *keep, size_t keep_count);
/** page_alloc(&kernel_pages, ...), which also empties the heap's caches before it gives up. */
int must_check memory_page_alloc(unsigned order, pa_t *out);
/** A processor has come: from now on it has the caches in @p processor. */
struct processor;
void memory_use_caches(struct processor *processor);
/** Objects outstanding, and the 4 KiB pages that hold them. */
void heap_usage(uint64_t *objects, uint64_t *pages);

#endif
