/* SPDX-License-Identifier: MIT */
/* What the files of the page allocator share. */
#ifndef KERNEL_PAGE_PRIVATE_H
#define KERNEL_PAGE_PRIVATE_H

#include "kernel/page.h"

/** As page_map_next, in whole pages above 1 MiB, below page number @p limit: the next
 *  @p count pages from page number @p first on, at or after byte *from, which moves on. */
bool page_map_pages(const struct boot_memory *map, size_t map_count, const struct boot_memory *keep,
                    size_t keep_count, uint64_t limit, uint64_t *from, uint64_t *first,
                    uint64_t *count);

#endif
