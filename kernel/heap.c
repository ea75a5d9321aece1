/* SPDX-License-Identifier: MIT */
/*
 * Slabs over pages. See kernel/heap.h.
 *
 * Invariants: a slab is one page: a header, then `class_places` objects of its
 * class's size. A set bit of `free` is a free place. A slab with a free place is
 * on its class's list, one without is not, and one with nothing but free places
 * goes back to the page allocator at once unless it is its class's only one.
 * Free memory is not assumed to be zero: it is zeroed when handed out.
 *
 * An object in a cache counts as taken in its slab. It carries a mark in its first
 * word that depends on its address: an object that has the mark when it is given back
 * is looked for in the caches, and is a second free only if it is there. Slots are
 * exchanged as those of the page caches are (kernel/page.c).
 *
 * `free` of a slab changes under the lock and is read without, as one word: the bit of
 * an object that somebody owns does not change.
 *
 * Lock order: this heap's, then the page allocator's.
 */
#include "kernel/heap.h"

#include "iommu/string.h"

/** How many objects of a class a cache holds at most; a batch is half of it. */
#define S(size)                                                                                    \
	(uint8_t)(PAGE_SIZE_4K / (size) > HEAP_CACHE_SLOTS ? HEAP_CACHE_SLOTS                      \
	                                                   : PAGE_SIZE_4K / (size))
/* 2^20 / size, rounded up: what is a multiple of the size, below 4096, becomes its count. */
#define R(size) ((UINT32_C(1) << 20) + (size)-1) / (size)
#define C(bytes)                                                                                   \
	{                                                                                          \
		.reciprocal = R(bytes), .size = (bytes),                                           \
		.places = (PAGE_SIZE_4K - HEAP_SLAB_HEADER) / (bytes), .slots = S(bytes),          \
	}
/* Multiples of 16. The upper ones divide a page's 4032 bytes without much waste. */
const struct heap_class heap_classes[HEAP_CLASSES] = {
	C(16),  C(32),  C(48),  C(64),  C(96),   C(128),  C(192),
	C(256), C(384), C(512), C(768), C(1008), C(1344), C(2016),
};
_Static_assert((PAGE_SIZE_4K - HEAP_SLAB_HEADER) / 16 <= 64 * HEAP_SLAB_WORDS, "a bit for each");
_Static_assert(sizeof(struct heap_slab) == HEAP_SLAB_HEADER, "the header has its place");

/* By size in units of 16 bytes, rounded up, less one. */
#define TIMES_4(n) n, n, n, n
const uint8_t heap_class_by_size[HEAP_LARGEST_SMALL / 16] = {
	0,           1,           2,           3,           4,           4,
	5,           5,                                                               /* to 128 */
	TIMES_4(6),  TIMES_4(7),  TIMES_4(8),  TIMES_4(8),  TIMES_4(9),  TIMES_4(9),  /* to 512 */
	TIMES_4(10), TIMES_4(10), TIMES_4(10), TIMES_4(10),                           /* to 768 */
	TIMES_4(11), TIMES_4(11), TIMES_4(11), 11,          11,          11,          /* to 1008 */
	12,          TIMES_4(12), TIMES_4(12), TIMES_4(12), TIMES_4(12), TIMES_4(12), /* to 1344 */
	TIMES_4(13), TIMES_4(13), TIMES_4(13), TIMES_4(13), TIMES_4(13), TIMES_4(13),
	TIMES_4(13), TIMES_4(13), TIMES_4(13), TIMES_4(13), 13,          13, /* to 2016 */
};

static unsigned class_of(size_t bytes)
{
	return heap_class_by_size[(bytes - 1) / 16];
}

static unsigned class_places(unsigned kind)
{
	return heap_classes[kind].places;
}

static unsigned order_of(size_t bytes)
{
	unsigned order = 0;

	while (PAGE_SIZE_4K << order < bytes)
		order++;
	return order;
}

static pa_t address_of(const struct heap *heap, const void *object)
{
	return pa((uintptr_t)object - heap->pages->direct_map);
}

static void *pointer_to(const struct heap *heap, pa_t address)
{
	return (void *)(heap->pages->direct_map + address.value);
}

static void list_add(struct heap *heap, struct heap_slab *slab)
{
	struct heap_slab **head = &heap->partial[slab->kind];

	slab->previous = NULL;
	slab->next = *head;
	if (*head)
		(*head)->previous = slab;
	*head = slab;
}

static void list_remove(struct heap *heap, struct heap_slab *slab)
{
	if (slab->previous)
		slab->previous->next = slab->next;
	else
		heap->partial[slab->kind] = slab->next;
	if (slab->next)
		slab->next->previous = slab->previous;
}

/** A counter that one processor changes, or one at a time, and any may read. */
static void count_add(uint64_t *counter, uint64_t more)
{
	__atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

static uint64_t count_get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static uint64_t enter(struct heap *heap)
{
	return heap->enter ? heap->enter() : 0;
}

static void leave(struct heap *heap, uint64_t state)
{
	if (heap->leave)
		heap->leave(state);
}

void heap_init(struct heap *heap, struct page_allocator *pages)
{
	memset(heap, 0, sizeof(*heap));
	heap->pages = pages;
}

/* ---- slabs; in the bracket ---------------------------------------------------------- */

static struct heap_slab *slab_make(struct heap *heap, unsigned kind)
{
	pa_t page;

	if (page_alloc(heap->pages, 0, &page) != 0)
		return NULL;
	struct heap_slab *slab = pointer_to(heap, page);
	memset(slab, 0, sizeof(*slab));
	slab->kind = (uint16_t)kind;
	slab->magic = heap_slab_magic(slab, kind);
	for (unsigned place = 0; place < class_places(kind); place++)
		slab->free[place / 64] |= UINT64_C(1) << (place % 64);
	count_add(&heap->slab_pages, 1);
	list_add(heap, slab);
	return slab;
}

/** An object of class @p kind, not zeroed; NULL if there is none. */
static void *slab_get(struct heap *heap, unsigned kind)
{
	struct heap_slab *slab = heap->partial[kind];
	unsigned word = 0;

	if (!slab)
		slab = slab_make(heap, kind);
	if (!slab)
		return NULL;
	while (!slab->free[word])
		word++;
	unsigned bit = (unsigned)__builtin_ctzll(slab->free[word]);
	__atomic_store_n(&slab->free[word], slab->free[word] & (slab->free[word] - 1),
	                 __ATOMIC_RELAXED);
	if (++slab->used == class_places(kind))
		list_remove(heap, slab);
	count_add(&heap->objects, 1);
	return (char *)slab + HEAP_SLAB_HEADER +
	       (size_t)(word * 64 + bit) * heap_classes[kind].size;
}

/** The slab of an object that is taken, and its place there; NULL if @p object is no object
 *  of class @p kind that is taken. The bracket is not needed. */
static struct heap_slab *slab_of(const struct heap *heap, const void *object, unsigned kind,
                                 unsigned *place)
{
	pa_t address = address_of(heap, object);
	unsigned at;
	uint32_t offset = (uint32_t)(address.value % PAGE_SIZE_4K) - HEAP_SLAB_HEADER;

	/* The page must be one that this heap could have: read it only then. */
	if (!page_is_single(heap->pages, address))
		return NULL;
	struct heap_slab *slab =
		(struct heap_slab *)((uintptr_t)object & ~(uintptr_t)(PAGE_SIZE_4K - 1));
	if (slab->magic != heap_slab_magic(slab, kind) || !heap_slab_holds(slab, offset, kind, &at))
		return NULL;
	*place = at;
	return slab;
}

/** 0, or -EBUSY with nothing changed if it is the last object of a page that is pinned. */
static int slab_put(struct heap *heap, struct heap_slab *slab, unsigned place)
{
	unsigned kind = slab->kind;
	bool only = !heap->partial[kind] || (heap->partial[kind] == slab && !slab->next);

	if (slab->used == 1 && !only) {
		/* The last object of one slab among several. The page allocator writes
		 * into the page, so everything is taken off first. */
		list_remove(heap, slab);
		slab->magic = 0;
		int result = page_free(heap->pages, address_of(heap, slab), 0);
		if (result != 0) {
			slab->magic = heap_slab_magic(slab, kind);
			list_add(heap, slab);
			return result;
		}
		count_add(&heap->slab_pages, -UINT64_C(1));
		count_add(&heap->objects, -UINT64_C(1));
		return 0;
	}
	uint64_t *word = &slab->free[place / 64];
	__atomic_store_n(word, *word | UINT64_C(1) << (place % 64), __ATOMIC_RELAXED);
	if (slab->used-- == class_places(kind))
		list_add(heap, slab);
	count_add(&heap->objects, -UINT64_C(1));
	return 0;
}

/** Give an object that was taken out of a cache back to its slab. If its page is pinned,
 *  which nothing here has done, it stays taken: nobody gets it again. */
static void slab_return(struct heap *heap, void *object)
{
	struct heap_slab *slab =
		(struct heap_slab *)((uintptr_t)object & ~(uintptr_t)(PAGE_SIZE_4K - 1));

	(void)!slab_put(heap, slab,
	                (unsigned)(((char *)object - (char *)slab - HEAP_SLAB_HEADER) /
	                           heap_classes[slab->kind].size));
}

/* ---- caches -------------------------------------------------------------------------- */

static unsigned cache_slots(unsigned kind)
{
	return heap_classes[kind].slots;
}
_Static_assert(PAGE_SIZE_4K / HEAP_LARGEST_SMALL >= 2, "a batch is one object at least");

/** Take the uppermost object out, or NULL. By the cache's processor. */
static void *cache_pop(struct heap_cache *cache, unsigned kind)
{
	while (cache->classes[kind].top) {
		void **slot = &cache->classes[kind].slots[--cache->classes[kind].top];
		void *object = __atomic_exchange_n(slot, NULL, __ATOMIC_ACQ_REL);
		if (object)
			return object;
	}
	return NULL;
}

/** A batch for this processor's empty class; one of its objects, or NULL. */
static void *cache_refill(struct heap *heap, struct heap_cache *cache, unsigned kind)
{
	void *objects[HEAP_CACHE_SLOTS / 2];
	unsigned count = 0, batch = cache_slots(kind) / 2;

	uint64_t state = enter(heap);
	while (count < batch && (objects[count] = slab_get(heap, kind)) != NULL)
		count++;
	leave(heap, state);
	if (!count)
		return NULL;
	count_add(&cache->refills, 1);
	while (count > 1) /* the lowest comes out first */
		heap_cache_push(&cache->classes[kind], objects[--count]);
	return objects[0];
}

/** Make room in this processor's full class. */
static void cache_shrink(struct heap *heap, struct heap_cache *cache, unsigned kind)
{
	unsigned batch = cache_slots(kind) / 2;
	void *object;

	uint64_t state = enter(heap);
	while (batch-- && (object = cache_pop(cache, kind)) != NULL)
		slab_return(heap, object);
	leave(heap, state);
	count_add(&cache->drains, 1);
}

static struct heap_cache *cache_of(const struct heap *heap, unsigned processor)
{
	return __atomic_load_n(&heap->caches[processor], __ATOMIC_ACQUIRE);
}

void heap_use_caches(struct heap *heap, struct heap_cache **caches,
                     const struct page_locality *locality)
{
	heap->caches = caches;
	heap->locality = locality;
}

/** Is a free object with its mark really in a cache? */
static bool is_cached(const struct heap *heap, const void *object, unsigned kind)
{
	for (unsigned i = 0; i < heap->locality->count; i++) {
		const struct heap_cache *cache = cache_of(heap, i);
		for (unsigned slot = 0; cache && slot < HEAP_CACHE_SLOTS; slot++)
			if (__atomic_load_n(&cache->classes[kind].slots[slot], __ATOMIC_RELAXED) ==
			    object)
				return true;
	}
	return false;
}

uint64_t heap_drain(struct heap *heap)
{
	uint64_t total = 0;

	for (unsigned i = 0; heap->locality && i < heap->locality->count; i++) {
		struct heap_cache *cache = cache_of(heap, i);
		if (!cache)
			continue;
		for (unsigned at = 0; at < HEAP_CLASSES * HEAP_CACHE_SLOTS; at++) {
			void **slot =
				&cache->classes[at / HEAP_CACHE_SLOTS].slots[at % HEAP_CACHE_SLOTS];
			/* (looked at first: an exchange would take the line from its owner) */
			if (!__atomic_load_n(slot, __ATOMIC_RELAXED))
				continue;
			void *object = __atomic_exchange_n(slot, NULL, __ATOMIC_ACQ_REL);
			if (!object)
				continue;
			uint64_t state = enter(heap);
			slab_return(heap, object);
			leave(heap, state);
			total++;
		}
	}
	return total;
}

void heap_count(const struct heap *heap, uint64_t *objects, uint64_t *pages)
{
	*objects = count_get(&heap->objects);
	*pages = count_get(&heap->slab_pages) + count_get(&heap->run_pages);
	for (unsigned i = 0; heap->locality && i < heap->locality->count; i++) {
		const struct heap_cache *cache = cache_of(heap, i);
		if (!cache)
			continue;
		*objects += (uint64_t)__atomic_load_n(&cache->runs, __ATOMIC_RELAXED);
		*pages += (uint64_t)__atomic_load_n(&cache->run_pages, __ATOMIC_RELAXED);
		for (unsigned at = 0; at < HEAP_CLASSES * HEAP_CACHE_SLOTS; at++)
			*objects -= __atomic_load_n(&cache->classes[at / HEAP_CACHE_SLOTS]
			                                     .slots[at % HEAP_CACHE_SLOTS],
			                            __ATOMIC_RELAXED) != NULL;
	}
}

/* ---- objects ------------------------------------------------------------------------- */

/** Stay on this processor; its cache, or NULL. */
static struct heap_cache *stay(const struct heap *heap, uint64_t *state)
{
	unsigned processor;

	*state = heap->locality->enter(&processor);
	return cache_of(heap, processor);
}

/** Count @p runs (1 or -1) large objects of @p order. */
static void count_runs(struct heap *heap, int runs, unsigned order)
{
	int64_t pages = (int64_t)runs * (INT64_C(1) << order);
	struct heap_cache *cache = NULL;
	uint64_t state;

	if (heap->locality) {
		cache = stay(heap, &state);
		if (cache) {
			__atomic_store_n(&cache->runs, cache->runs + runs, __ATOMIC_RELAXED);
			__atomic_store_n(&cache->run_pages, cache->run_pages + pages,
			                 __ATOMIC_RELAXED);
		}
		heap->locality->leave(state);
	}
	if (cache)
		return;
	state = enter(heap);
	count_add(&heap->objects, (uint64_t)(int64_t)runs);
	count_add(&heap->run_pages, (uint64_t)pages);
	leave(heap, state);
}

static void *get_large(struct heap *heap, size_t bytes)
{
	unsigned order = order_of(bytes);
	pa_t run;

	if (page_alloc(heap->pages, order, &run) != 0 &&
	    (!heap_drain(heap) || page_alloc(heap->pages, order, &run) != 0))
		return NULL;
	count_runs(heap, 1, order);
	return pointer_to(heap, run);
}

/** What the caches do not have, at once. */
static __attribute__((noinline)) void *get_small_slow(struct heap *heap, unsigned kind)
{
	struct heap_cache *cache = NULL;
	void *object = NULL;
	uint64_t state;

	if (heap->locality) {
		cache = stay(heap, &state);
		if (cache)
			object = cache_refill(heap, cache, kind);
		heap->locality->leave(state);
		if (object || (cache && !heap_drain(heap)))
			return object;
	}
	state = enter(heap);
	object = slab_get(heap, kind);
	leave(heap, state);
	return object;
}

static inline void *get_small(struct heap *heap, unsigned kind)
{
	void *object = NULL;
	uint64_t state;

	if (heap->locality) {
		struct heap_cache *cache = stay(heap, &state);
		if (cache) {
			object = cache_pop(cache, kind);
			cache->hits += object != NULL;
		}
		heap->locality->leave(state);
	}
	return object ? object : get_small_slow(heap, kind);
}

void *heap_clear_large(void *object, size_t bytes)
{
	return memset(object, 0, bytes);
}

void *heap_get(struct heap *heap, size_t bytes)
{
	void *object;

	if (__builtin_expect(bytes - 1 < HEAP_LARGEST_SMALL, 1)) {
		object = get_small(heap, class_of(bytes));
		if (__builtin_expect(object != NULL, 1))
			heap_clear(object, bytes);
		return object;
	}
	if (!bytes || bytes > PAGE_SIZE_1G)
		return NULL;
	object = get_large(heap, bytes);
	if (object)
		memset(object, 0, bytes);
	return object;
}

static int put_large(struct heap *heap, void *object, size_t bytes)
{
	unsigned order = order_of(bytes);
	int result = page_free(heap->pages, address_of(heap, object), order);

	if (result == 0)
		count_runs(heap, -1, order);
	return result;
}

/** No cache, a full one, or an object that looks as if it had been freed. */
static __attribute__((noinline)) int put_small_slow(struct heap *heap, void *object, unsigned kind)
{
	struct heap_cache *cache = NULL;
	unsigned place;
	uint64_t state;

	if (heap->locality) {
		int result = 0;
		cache = stay(heap, &state);
		if (cache) {
			if (!slab_of(heap, object, kind, &place) ||
			    (*(const uint64_t *)object == heap_mark_of(object) &&
			     is_cached(heap, object, kind))) {
				result = -EINVAL;
			} else {
				if (cache->classes[kind].top == cache_slots(kind))
					cache_shrink(heap, cache, kind);
				heap_cache_push(&cache->classes[kind], object);
			}
		}
		heap->locality->leave(state);
		if (cache)
			return result;
	}
	state = enter(heap);
	struct heap_slab *slab = slab_of(heap, object, kind, &place);
	int result = slab ? slab_put(heap, slab, place) : -EINVAL;
	leave(heap, state);
	return result;
}

static inline int put_small(struct heap *heap, void *object, unsigned kind)
{
	unsigned place;
	uint64_t state;
	bool done = false;

	if (heap->locality && slab_of(heap, object, kind, &place)) {
		struct heap_cache *cache = stay(heap, &state);
		done = cache && heap_cache_give(cache, object, heap_classes[kind].size);
		heap->locality->leave(state);
	}
	return done ? 0 : put_small_slow(heap, object, kind);
}

int heap_put(struct heap *heap, void *object, size_t bytes)
{
	if (!object)
		return 0;
	if (__builtin_expect(bytes - 1 < HEAP_LARGEST_SMALL, 1))
		return put_small(heap, object, class_of(bytes));
	return bytes && bytes <= PAGE_SIZE_1G ? put_large(heap, object, bytes) : -EINVAL;
}
