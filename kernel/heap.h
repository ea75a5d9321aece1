/* SPDX-License-Identifier: MIT */
/*
 * The object heap: zeroed objects of any size over a page allocator.
 *
 * Small objects come from slabs, one 4 KiB page for objects of one size class;
 * larger ones are page runs of their own. The caller says the size again when it
 * frees, so an object carries no header, and a wrong size or a second free is
 * noticed. An instance; the kernel's own is behind heap_alloc and heap_free.
 *
 * Locking: none of its own, unless `enter` and `leave` are set after heap_init: then
 * they bracket what all share.
 *
 * Caches: with heap_use_caches() each processor keeps a few free objects of each size
 * class, at most HEAP_CACHE_SLOTS and about 4 KiB. Then taking and giving back a small
 * object takes no lock and writes nothing that another processor writes, unless a cache
 * runs empty or full: then a batch is moved. An allocation that finds no memory empties
 * all caches first. A wrong size and a second free are still noticed.
 */
#ifndef KERNEL_HEAP_H
#define KERNEL_HEAP_H

#include "kernel/page.h"

enum { HEAP_CLASSES = 14, HEAP_CACHE_SLOTS = 32 };

struct heap_slab; /* private */

/** One processor's objects; see struct page_cache. All zero is empty. */
struct heap_cache {
	struct {
		void *slots[HEAP_CACHE_SLOTS]; /* NULL: empty */
		unsigned top;
	} classes[HEAP_CLASSES];
	int64_t runs, run_pages;        /* large objects: taken here less given back here */
	uint64_t hits, refills, drains; /* objects had without a lock; batches moved */
} __attribute__((aligned(64)));

struct heap {
	struct page_allocator *pages;
	struct heap_slab *partial[HEAP_CLASSES]; /* slabs with a free place */
	uint64_t slab_pages, run_pages;          /* 4 KiB pages in use: see heap_count */
	uint64_t objects;                        /* outstanding, or in caches: see heap_count */
	/* NULL, or called around what all share; what enter returns goes to leave. */
	uint64_t (*enter)(void);
	void (*leave)(uint64_t state);
	/* NULL, or by processor number; a NULL in it is a processor that has none. */
	struct heap_cache **caches;
	const struct page_locality *locality;
};

void heap_init(struct heap *heap, struct page_allocator *pages);
/** @p bytes of zeroed memory, aligned to 16 (and to 4096 above 2016 bytes). NULL if
 *  @p bytes is 0, above 1 GiB, or memory is short. */
void *heap_get(struct heap *heap, size_t bytes);
/** Give back what heap_get returned for @p bytes; NULL is allowed. -EINVAL, with
 *  nothing changed, if it is no such object; -EBUSY if its pages are pinned. */
int must_check heap_put(struct heap *heap, void *object, size_t bytes);

/** From now on use @p caches, as page_use_caches does. */
void heap_use_caches(struct heap *heap, struct heap_cache **caches,
                     const struct page_locality *locality);
/** Give every processor's cached objects back to their slabs, and slabs that this empties
 *  to the page allocator. @return how many objects there were. */
uint64_t heap_drain(struct heap *heap);
/** Objects outstanding, and the 4 KiB pages that hold them, what is cached included. While
 *  other processors work these are of no single moment. */
void heap_count(const struct heap *heap, uint64_t *objects, uint64_t *pages);

#endif
