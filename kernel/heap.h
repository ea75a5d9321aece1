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

enum { HEAP_SLAB_WORDS = 4, HEAP_SLAB_HEADER = 64 };

/** At the beginning of a page of objects. Private, as are its functions. */
struct heap_slab {
	struct heap_slab *next, *previous;
	uint64_t magic;
	uint16_t kind, used;
	uint64_t free[HEAP_SLAB_WORDS];
};

struct heap_class {
	uint32_t reciprocal;
	uint16_t size;
	uint8_t places, slots; /* in a slab, in a cache */
};
extern const struct heap_class heap_classes[HEAP_CLASSES];

/** Not to be found by chance: each slab has its own. */
static inline uint64_t heap_slab_magic(const struct heap_slab *slab, unsigned kind)
{
	return (uint64_t)(uintptr_t)slab + UINT64_C(0x51ab51ab51ab51ab) + kind;
}

/** Does an object of @p kind begin @p offset bytes after the header, and is it taken? *place
 *  is which. */
static inline bool heap_slab_holds(const struct heap_slab *slab, uint32_t offset, unsigned kind,
                                   unsigned *place)
{
	const struct heap_class *of = &heap_classes[kind];
	const unsigned at = (unsigned)((uint64_t)offset * of->reciprocal >> 20);

	*place = at;
	return at < of->places && at * of->size == offset &&
	       !(__atomic_load_n(&slab->free[at / 64], __ATOMIC_RELAXED) >> (at % 64) & 1);
}

static inline uint64_t heap_mark_of(const void *object)
{
	return (uint64_t)(uintptr_t)object ^ UINT64_C(0x6e6573746f722121);
}

/** One processor's objects; see struct page_cache. All zero is empty. */
struct heap_cache {
	struct heap_cached {
		void *slots[HEAP_CACHE_SLOTS]; /* NULL: empty */
		unsigned top;
	} classes[HEAP_CLASSES];
	int64_t runs, run_pages;        /* large objects: taken here less given back here */
	uint64_t hits, refills, drains; /* objects had without a lock; batches moved */
} __attribute__((aligned(64)));

/* What heap_get() and heap_put() do first, for who stays on a processor and knows its cache. */

enum { HEAP_LARGEST_SMALL = 2016 };
/** The class of a size in units of 16 bytes, rounded up, less one. */
extern const uint8_t heap_class_by_size[HEAP_LARGEST_SMALL / 16];

/** An object of @p bytes, 1 to HEAP_LARGEST_SMALL, not zeroed; NULL: ask heap_get(). */
static inline void *heap_cache_take(struct heap_cache *cache, size_t bytes)
{
	struct heap_cached *cached = &cache->classes[heap_class_by_size[(bytes - 1) / 16]];
	const unsigned top = cached->top;
	void *object = NULL;

	if (__builtin_expect(top != 0, 1)) {
		object = __atomic_exchange_n(&cached->slots[top - 1], NULL, __ATOMIC_ACQ_REL);
		cached->top = top - 1;
		cache->hits++;
		if (__builtin_expect(!object, 0))
			cache->hits--;
	}
	return object;
}

/** Put an object in; there is room. */
static inline void heap_cache_push(struct heap_cached *cached, void *object)
{
	*(uint64_t *)object = heap_mark_of(object);
	__atomic_store_n(&cached->slots[cached->top++], object, __ATOMIC_RELEASE);
}

/** Take an object of @p bytes, 1 to HEAP_LARGEST_SMALL, back. False, with nothing changed:
 *  there is no room, or something is wrong with it: ask heap_put(). It lies in memory that
 *  can be read. */
static inline bool heap_cache_give(struct heap_cache *cache, void *object, size_t bytes)
{
	const unsigned kind = heap_class_by_size[(bytes - 1) / 16];
	const struct heap_slab *slab =
		(struct heap_slab *)((uintptr_t)object & ~(uintptr_t)(PAGE_SIZE_4K - 1));
	const uint32_t offset = (uint32_t)((uintptr_t)object % PAGE_SIZE_4K) - HEAP_SLAB_HEADER;
	struct heap_cached *cached = &cache->classes[kind];
	unsigned place;

	if (__builtin_expect(slab->magic != heap_slab_magic(slab, kind) ||
	                             !heap_slab_holds(slab, offset, kind, &place) ||
	                             *(const uint64_t *)object == heap_mark_of(object) ||
	                             cached->top == heap_classes[kind].slots,
	                     0))
		return false;
	heap_cache_push(cached, object);
	return true;
}

/** Zero what is larger than heap_clear() likes. */
void *heap_clear_large(void *object, size_t bytes);

/** Zero an object and return it. Classes are multiples of 16 bytes, so a little more may be. */
static inline void *heap_clear(void *object, size_t bytes)
{
	uint64_t *word = object;

#define CLEAR(n)                                                                                   \
	case n:                                                                                    \
		word[2 * (n)] = 0;                                                                 \
		word[2 * (n) + 1] = 0;                                                             \
		__attribute__((fallthrough));
	switch ((bytes - 1) / 16) {
		CLEAR(7)
		CLEAR(6)
		CLEAR(5)
		CLEAR(4)
		CLEAR(3)
		CLEAR(2)
		CLEAR(1)
	case 0:
		word[0] = 0;
		word[1] = 0;
		return object;
	default:
		return heap_clear_large(object, bytes);
	}
#undef CLEAR
}

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
