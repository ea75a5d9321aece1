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
 * then each call below that moves memory is bracketed by them (the kernel's instance
 * takes a lock with them). Pinning, unpinning and looking need none: a pin is one atomic
 * exchange of the run's word.
 *
 * Caches: with page_use_caches() each processor keeps up to PAGE_CACHE_SLOTS
 * single pages of its own. Then taking and giving back a single page, pinning,
 * unpinning and looking take no lock, and write nothing that another processor
 * writes, unless a cache runs empty or full: then a batch is moved, under the
 * lock. Nobody's cache keeps memory from anybody: an allocation that finds none
 * empties all caches first. Every refusal (a second free, a pinned run) stays.
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

enum { PAGE_CACHE_SLOTS = 64, PAGE_CACHE_BATCH = 32 };

/** One processor's pages. All zero is empty. Only its processor puts pages in, from
 *  the bottom up; whoever takes one out takes it with an atomic exchange, so that
 *  another processor that is short of memory can take them, too. */
struct page_cache {
	uint64_t slots[PAGE_CACHE_SLOTS]; /* page numbers; 0: empty */
	unsigned top;                     /* its processor's: no page lies here or above */
	uint64_t hits, refills, drains;   /* pages had without a lock; batches moved */
} __attribute__((aligned(64)));

/** Which cache is whose. */
struct page_locality {
	/** Stay on this processor, with its interrupts away, and say its number, below
	 *  `count`; and the end of that. */
	uint64_t (*enter)(unsigned *processor);
	void (*leave)(uint64_t state);
	unsigned count;
};

struct page_allocator {
	uintptr_t direct_map;
	struct page *pages;                     /* index: page number */
	uint64_t page_count;                    /* highest usable page number + 1 */
	uint64_t free_head[PAGE_MAX_ORDER + 1]; /* page numbers, private */
	uint64_t usable_pages;
	uint64_t free_pages; /* without what the caches hold: see page_free_count */
	uint64_t lost_pages; /* usable, but too far up for bookkeeping that fits */
	/* NULL, or called around each operation; what enter returns goes to leave. */
	uint64_t (*enter)(void);
	void (*leave)(uint64_t state);
	/* NULL, or by processor number; a NULL in it is a processor that has none. */
	struct page_cache **caches;
	const struct page_locality *locality;
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
/** page_free() of a single page into the cache of this processor, on which the caller stays.
 *  False, and nothing has changed: ask page_free(). */
bool page_cache_give(struct page_allocator *allocator, struct page_cache *cache, pa_t page);
/** Pin / unpin the run that contains @p address. -EFAULT if it is not in an allocated
 *  run; pin: -EOVERFLOW at 2^32 - 1 pins; unpin: -EINVAL if there is no pin. */
int must_check page_pin(struct page_allocator *allocator, pa_t address);
int must_check page_unpin(struct page_allocator *allocator, pa_t address);
/** Does @p address lie in a single page that is allocated? */
bool page_is_single(const struct page_allocator *allocator, pa_t address);
/** The allocated run that contains @p address: its start and order. -EFAULT if none.
 *  Each of @p start, @p order, @p pins may be NULL. */
int must_check page_run(struct page_allocator *allocator, pa_t address, pa_t *start,
                        unsigned *order, uint32_t *pins);

/** From now on use @p caches, @p locality->count of them (entries may be filled in later:
 *  each once, by an atomic store). Both outlive the allocator. Nothing else runs on it. */
void page_use_caches(struct page_allocator *allocator, struct page_cache **caches,
                     const struct page_locality *locality);
/** Give every processor's cached pages back to the runs that all share. @return how many
 *  there were. Not with the allocator's bracket entered. */
uint64_t page_drain(struct page_allocator *allocator);
/** Pages that are free, in caches or not; runs that are pinned. While other processors
 *  work these are of no single moment. */
uint64_t page_free_count(const struct page_allocator *allocator);
uint64_t page_pinned_count(const struct page_allocator *allocator);

#endif
