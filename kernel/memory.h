/* SPDX-License-Identifier: MIT */
/* The kernel's page allocator and heap: how they begin, and what they hold. */
#ifndef KERNEL_MEMORY_H
#define KERNEL_MEMORY_H

#include "boot/boot_info.h"
#include "iommu/types.h"

/** Build kernel_pages over @p map less @p keep, and the heap over it. The direct map
 *  must reach all usable memory already: vm_init calls this. 0 or -ENOMEM. */
int must_check memory_init(const struct boot_memory *map, size_t map_count,
                           const struct boot_memory *keep, size_t keep_count);
/** Objects outstanding, and the 4 KiB pages that hold them. */
void heap_usage(uint64_t *objects, uint64_t *pages);

#endif
