/* SPDX-License-Identifier: MIT */
/*
 * The object heap: zeroed objects of any size over a page allocator.
 *
 * Small objects come from slabs, one 4 KiB page for objects of one size class;
 * larger ones are page runs of their own. The caller says the size again when it
 * frees, so an object carries no header, and a wrong size or a second free is
 * noticed. An instance; the kernel's own is behind heap_alloc and heap_free.
 *
 * Locking: the caller's.
 */
#ifndef KERNEL_HEAP_H
#define KERNEL_HEAP_H

#include "kernel/page.h"

enum { HEAP_CLASSES = 14 };

struct heap_slab; /* private */

struct heap {
	struct page_allocator *pages;
	struct heap_slab *partial[HEAP_CLASSES]; /* slabs with a free place */
	uint64_t slab_pages, run_pages;          /* 4 KiB pages in use */
	uint64_t objects;                        /* outstanding */
};

void heap_init(struct heap *heap, struct page_allocator *pages);
/** @p bytes of zeroed memory, aligned to 16 (and to 4096 above 2016 bytes). NULL if
 *  @p bytes is 0, above 1 GiB, or memory is short. */
void *heap_get(struct heap *heap, size_t bytes);
/** Give back what heap_get returned for @p bytes; NULL is allowed. -EINVAL, with
 *  nothing changed, if it is no such object; -EBUSY if its pages are pinned. */
int must_check heap_put(struct heap *heap, void *object, size_t bytes);

#endif
