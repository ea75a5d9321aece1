/* SPDX-License-Identifier: MIT */
/*
 * A buddy allocator over the machine's memory map, with a cache of single pages for
 * each processor. See kernel/page.h. (kernel/page_map.c reads the memory map.)
 *
 * Invariants:
 *  - Each page belongs to at most one run. Only the first page of a run has a
 *    state other than PAGE_NONE in its `struct page`; pages inside a run, pages
 *    that are not usable and the bookkeeping itself are PAGE_NONE.
 *  - No two free buddies of one order exist: they are merged when the second
 *    becomes free. A cached page is not free in this sense.
 *  - A free run's list links lie in its own first 16 bytes, so a page costs 8
 *    bytes of bookkeeping and a range of free memory costs nothing more.
 *  - A pinned run is allocated.
 *  - A page in a cache's slot is PAGE_CACHED, of order 0; whoever has exchanged it
 *    out of its slot owns it. Slots at and above `top` are empty.
 *
 * A `struct page` is one word, changed by one atomic store or exchange, so that
 * freeing and pinning decide between them without a lock. PAGE_FREE comes and goes
 * only under the lock. A run that somebody owns does not change its inner pages,
 * so looking for it needs no lock: what is found is the truth for the owner of the
 * run, and for anybody else no worse than having asked a moment earlier.
 *
 * A run that contains a page is found by looking at the at most 19 places where
 * it could begin, so no operation depends on the amount of memory.
 */
#include "kernel/page.h"

#include "iommu/string.h"
#include "kernel/page_private.h"

enum page_state { PAGE_NONE, PAGE_FREE, PAGE_ALLOCATED, PAGE_CACHED };

struct page {
	uint32_t pins;
	uint8_t state; /* enum page_state */
	uint8_t order;
	uint16_t unused;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct page) == 8, "bookkeeping is 8 bytes a page");

/** Lies at the start of a free run. Page numbers. */
struct page_link {
	uint64_t next, previous;
};

#define NO_PAGE UINT64_MAX

/* ---- runs ------------------------------------------------------------------------ */

static struct page page_get(const struct page_allocator *allocator, uint64_t page)
{
	struct page value;

	__atomic_load(&allocator->pages[page], &value, __ATOMIC_ACQUIRE);
	return value;
}

static void page_set(struct page_allocator *allocator, uint64_t page, enum page_state state,
                     unsigned order)
{
	struct page value = {.state = (uint8_t)state, .order = (uint8_t)order};

	__atomic_store(&allocator->pages[page], &value, __ATOMIC_RELEASE);
}

/** Change a page's word from @p was to @p next, if it is still @p was. */
static bool page_change(struct page_allocator *allocator, uint64_t page, struct page was,
                        struct page next)
{
	return __atomic_compare_exchange(&allocator->pages[page], &was, &next, false,
	                                 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/** A counter that one processor changes and any may read. */
static void count_add(uint64_t *counter, uint64_t more)
{
	__atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

static uint64_t enter(struct page_allocator *allocator)
{
	return allocator->enter ? allocator->enter() : 0;
}

static int leave(struct page_allocator *allocator, uint64_t state, int result)
{
	if (allocator->leave)
		allocator->leave(state);
	return result;
}

static struct page_link *link_of(struct page_allocator *allocator, uint64_t page)
{
	return (struct page_link *)(allocator->direct_map + (page << PAGE_SHIFT_4K));
}

static void push(struct page_allocator *allocator, uint64_t page, unsigned order)
{
	struct page_link *link = link_of(allocator, page);
	uint64_t head = allocator->free_head[order];

	link->previous = NO_PAGE;
	link->next = head;
	if (head != NO_PAGE)
		link_of(allocator, head)->previous = page;
	allocator->free_head[order] = page;
	page_set(allocator, page, PAGE_FREE, order);
}

static void take(struct page_allocator *allocator, uint64_t page, unsigned order)
{
	struct page_link *link = link_of(allocator, page);

	if (link->previous != NO_PAGE)
		link_of(allocator, link->previous)->next = link->next;
	else
		allocator->free_head[order] = link->next;
	if (link->next != NO_PAGE)
		link_of(allocator, link->next)->previous = link->previous;
	page_set(allocator, page, PAGE_NONE, 0);
}

/** Make a run free and merge it with its buddies as far as they are free. The word of
 *  another page may change meanwhile, but none becomes or ceases to be free. */
static void release(struct page_allocator *allocator, uint64_t page, unsigned order)
{
	page_set(allocator, page, PAGE_NONE, 0);
	while (order < PAGE_MAX_ORDER) {
		uint64_t buddy = page ^ (UINT64_C(1) << order);
		if (buddy >= allocator->page_count)
			break;
		struct page other = page_get(allocator, buddy);
		if (other.state != PAGE_FREE || other.order != order)
			break;
		take(allocator, buddy, order);
		page &= ~(UINT64_C(1) << order);
		order++;
	}
	push(allocator, page, order);
}

/** Cut @p count pages from @p page on into aligned runs and make them free. */
static void add_pages(struct page_allocator *allocator, uint64_t page, uint64_t count)
{
	allocator->usable_pages += count;
	count_add(&allocator->free_pages, count);
	while (count) {
		unsigned order = PAGE_MAX_ORDER;
		while ((page & ((UINT64_C(1) << order) - 1)) || UINT64_C(1) << order > count)
			order--;
		release(allocator, page, order);
		page += UINT64_C(1) << order;
		count -= UINT64_C(1) << order;
	}
}

int page_init(struct page_allocator *allocator, const struct boot_memory *map, size_t map_count,
              const struct boot_memory *keep, size_t keep_count, uintptr_t direct_map)
{
	uint64_t from, first, count, limit = PAGE_ADDRESS_LIMIT >> PAGE_SHIFT_4K;
	uint64_t home, home_pages, lost = 0;

	memset(allocator, 0, sizeof(*allocator));
	allocator->direct_map = direct_map;
	for (unsigned order = 0; order <= PAGE_MAX_ORDER; order++)
		allocator->free_head[order] = NO_PAGE;

	/* The bookkeeping is an array up to the highest usable page. A little memory
	 * very far up can ask for more than there is: then do without that memory. */
	for (;;) {
		uint64_t top = 0, top_first = 0;
		for (from = 0; page_map_pages(map, map_count, keep, keep_count, limit, &from,
		                              &first, &count);) {
			top = first + count;
			top_first = first;
		}
		if (!top)
			return -ENOMEM;
		allocator->page_count = top;
		home_pages = (top * sizeof(struct page) + PAGE_SIZE_4K - 1) >> PAGE_SHIFT_4K;
		home = NO_PAGE;
		for (from = 0; home == NO_PAGE && page_map_pages(map, map_count, keep, keep_count,
		                                                 limit, &from, &first, &count);)
			if (count >= home_pages)
				home = first;
		if (home != NO_PAGE)
			break;
		lost += top - top_first;
		limit = top_first;
	}
	allocator->lost_pages = lost;
	allocator->pages = (struct page *)(direct_map + (home << PAGE_SHIFT_4K));
	memset(allocator->pages, 0, home_pages << PAGE_SHIFT_4K);

	for (from = 0;
	     page_map_pages(map, map_count, keep, keep_count, limit, &from, &first, &count);) {
		if (first == home) {
			first += home_pages;
			count -= home_pages;
		}
		add_pages(allocator, first, count);
	}
	return 0;
}

/** A run of @p order for the caller to mark, or NO_PAGE. In the bracket. */
static uint64_t run_take(struct page_allocator *allocator, unsigned order)
{
	unsigned have = order;

	while (have <= PAGE_MAX_ORDER && allocator->free_head[have] == NO_PAGE)
		have++;
	if (have > PAGE_MAX_ORDER)
		return NO_PAGE;
	uint64_t page = allocator->free_head[have];
	take(allocator, page, have);
	while (have > order) {
		have--;
		push(allocator, page + (UINT64_C(1) << have), have);
	}
	count_add(&allocator->free_pages, -(UINT64_C(1) << order));
	return page;
}

/* ---- caches ------------------------------------------------------------------------ */

/** Take the uppermost page out, or 0. By the cache's processor. */
static uint64_t cache_pop(struct page_cache *cache)
{
	while (cache->top) {
		uint64_t page =
			__atomic_exchange_n(&cache->slots[--cache->top], 0, __ATOMIC_ACQ_REL);
		if (page)
			return page;
	}
	return 0;
}

/** Put a cached page in; there is room. By the cache's processor: nobody else fills the
 *  empty slot at the top. */
static void cache_push(struct page_cache *cache, uint64_t page)
{
	__atomic_store_n(&cache->slots[cache->top++], page, __ATOMIC_RELEASE);
}

/** Give pages that were taken out of a cache back to all. In the bracket. */
static void cached_release(struct page_allocator *allocator, const uint64_t *pages, unsigned count)
{
	count_add(&allocator->free_pages, count);
	for (unsigned i = 0; i < count; i++)
		release(allocator, pages[i], 0);
}

/** A batch for this processor's empty cache; one of its pages, or 0 if there is none. Runs
 *  of eight are preferred: their words share one cache line with nobody else's. */
static uint64_t cache_refill(struct page_allocator *allocator, struct page_cache *cache)
{
	enum { LINE_ORDER = 3 };
	unsigned order = LINE_ORDER, count = 0;
	uint64_t pages[PAGE_CACHE_BATCH];

	uint64_t state = enter(allocator);
	while (count < PAGE_CACHE_BATCH) {
		uint64_t run = run_take(allocator, order);
		if (run == NO_PAGE) {
			if (!order--)
				break;
			continue;
		}
		for (uint64_t i = 0; i < UINT64_C(1) << order; i++) {
			page_set(allocator, run + i, PAGE_CACHED, 0);
			pages[count++] = run + i;
		}
	}
	if (allocator->leave)
		allocator->leave(state);
	if (!count)
		return 0;
	count_add(&cache->refills, 1);
	while (count > 1) /* the lowest comes out first */
		cache_push(cache, pages[--count]);
	return pages[0];
}
_Static_assert(PAGE_CACHE_BATCH % 8 == 0 && PAGE_CACHE_BATCH <= PAGE_CACHE_SLOTS,
               "a batch is whole runs of eight, and fits");

/** Make room in this processor's full cache. */
static void cache_shrink(struct page_allocator *allocator, struct page_cache *cache)
{
	uint64_t pages[PAGE_CACHE_BATCH], page;
	unsigned count = 0;

	while (count < PAGE_CACHE_BATCH && (page = cache_pop(cache)) != 0)
		pages[count++] = page;
	if (!count)
		return; /* others have emptied it */
	uint64_t state = enter(allocator);
	cached_release(allocator, pages, count);
	if (allocator->leave)
		allocator->leave(state);
	count_add(&cache->drains, 1);
}

/** This processor's cache, after locality->enter; NULL if it has none. */
static struct page_cache *cache_of(const struct page_allocator *allocator, unsigned processor)
{
	return __atomic_load_n(&allocator->caches[processor], __ATOMIC_ACQUIRE);
}

void page_use_caches(struct page_allocator *allocator, struct page_cache **caches,
                     const struct page_locality *locality)
{
	allocator->caches = caches;
	allocator->locality = locality;
}

uint64_t page_drain(struct page_allocator *allocator)
{
	uint64_t total = 0;

	for (unsigned i = 0; allocator->locality && i < allocator->locality->count; i++) {
		struct page_cache *cache = cache_of(allocator, i);
		uint64_t pages[PAGE_CACHE_SLOTS];
		unsigned count = 0;
		for (unsigned slot = 0; cache && slot < PAGE_CACHE_SLOTS; slot++) {
			/* (looked at first: an exchange would take the line from its owner) */
			if (!__atomic_load_n(&cache->slots[slot], __ATOMIC_RELAXED))
				continue;
			uint64_t page =
				__atomic_exchange_n(&cache->slots[slot], 0, __ATOMIC_ACQ_REL);
			if (page)
				pages[count++] = page;
		}
		if (!count)
			continue;
		uint64_t state = enter(allocator);
		cached_release(allocator, pages, count);
		(void)leave(allocator, state, 0);
		total += count;
	}
	return total;
}

uint64_t page_free_count(const struct page_allocator *allocator)
{
	uint64_t pages = 0;

	for (unsigned i = 0; allocator->locality && i < allocator->locality->count; i++) {
		const struct page_cache *cache = cache_of(allocator, i);
		for (unsigned slot = 0; cache && slot < PAGE_CACHE_SLOTS; slot++)
			pages += __atomic_load_n(&cache->slots[slot], __ATOMIC_RELAXED) != 0;
	}
	return __atomic_load_n(&allocator->free_pages, __ATOMIC_RELAXED) + pages;
}

uint64_t page_pinned_count(const struct page_allocator *allocator)
{
	uint64_t pinned = 0;

	for (uint64_t page = 0; page < allocator->page_count; page++) {
		struct page word = page_get(allocator, page);
		pinned += word.state == PAGE_ALLOCATED && word.pins;
	}
	return pinned;
}

/* ---- allocation ---------------------------------------------------------------------- */

/** A single page from this processor's cache: 0, -ENOMEM, or -ENODEV if it has no cache. */
static int alloc_cached(struct page_allocator *allocator, uint64_t *page)
{
	unsigned processor;
	uint64_t state = allocator->locality->enter(&processor);
	struct page_cache *cache = cache_of(allocator, processor);
	int result = -ENODEV;

	if (cache) {
		*page = cache_pop(cache);
		if (*page)
			count_add(&cache->hits, 1);
		else
			*page = cache_refill(allocator, cache);
		if (*page)
			page_set(allocator, *page, PAGE_ALLOCATED, 0);
		result = *page ? 0 : -ENOMEM;
	}
	allocator->locality->leave(state);
	return result;
}

static int alloc_shared(struct page_allocator *allocator, unsigned order, uint64_t *page)
{
	uint64_t state = enter(allocator);

	*page = run_take(allocator, order);
	if (*page == NO_PAGE)
		return leave(allocator, state, -ENOMEM);
	page_set(allocator, *page, PAGE_ALLOCATED, order);
	return leave(allocator, state, 0);
}

int page_alloc(struct page_allocator *allocator, unsigned order, pa_t *out)
{
	uint64_t page;
	int result = -ENODEV;

	if (order > PAGE_MAX_ORDER)
		return -EINVAL;
	if (!order && allocator->locality)
		result = alloc_cached(allocator, &page);
	if (result)
		result = alloc_shared(allocator, order, &page);
	/* What lies in caches may be all that is left, or what this run must merge from. */
	if (result && page_drain(allocator))
		result = alloc_shared(allocator, order, &page);
	if (result == 0)
		*out = pa(page << PAGE_SHIFT_4K);
	return result;
}

/** Why a run that was to be freed is not; 0 if it can be. */
static int free_refusal(struct page at, unsigned order)
{
	if (at.state != PAGE_ALLOCATED || at.order != order)
		return -EINVAL;
	return at.pins ? -EBUSY : 0;
}

/** Take an allocated run from its owner: its word becomes @p next. 0, -EINVAL or -EBUSY. */
static int disown(struct page_allocator *allocator, uint64_t page, unsigned order,
                  enum page_state next)
{
	const struct page after = {.state = (uint8_t)next, .order = (uint8_t)order};
	struct page at;
	int result;

	do {
		at = page_get(allocator, page);
		result = free_refusal(at, order);
	} while (result == 0 && !page_change(allocator, page, at, after));
	return result;
}

static int free_cached(struct page_allocator *allocator, uint64_t page)
{
	unsigned processor;
	uint64_t state = allocator->locality->enter(&processor);
	struct page_cache *cache = cache_of(allocator, processor);
	int result = -ENODEV;

	if (cache) {
		result = disown(allocator, page, 0, PAGE_CACHED);
		if (result == 0) {
			if (cache->top == PAGE_CACHE_SLOTS)
				cache_shrink(allocator, cache);
			cache_push(cache, page);
		}
	}
	allocator->locality->leave(state);
	return result;
}

bool page_cache_give(struct page_allocator *allocator, struct page_cache *cache, pa_t page)
{
	/* what can be freed has this word, and no other */
	const struct page was = {.state = PAGE_ALLOCATED}, after = {.state = PAGE_CACHED};
	const uint64_t number = page.value >> PAGE_SHIFT_4K;

	if (__builtin_expect(page.value & (PAGE_SIZE_4K - 1) || number >= allocator->page_count ||
	                             cache->top == PAGE_CACHE_SLOTS ||
	                             !page_change(allocator, number, was, after),
	                     0))
		return false;
	cache_push(cache, number);
	return true;
}

int page_free(struct page_allocator *allocator, pa_t run, unsigned order)
{
	uint64_t page = run.value >> PAGE_SHIFT_4K;

	if (run.value & (PAGE_SIZE_4K - 1) || page >= allocator->page_count)
		return -EINVAL;
	if (!order && allocator->locality) {
		int result = free_cached(allocator, page);
		if (result != -ENODEV)
			return result;
	}
	uint64_t state = enter(allocator);
	int result = disown(allocator, page, order, PAGE_NONE);
	if (result == 0) {
		count_add(&allocator->free_pages, UINT64_C(1) << order);
		release(allocator, page, order);
	}
	return leave(allocator, state, result);
}

/* ---- pins ------------------------------------------------------------------------------ */

bool page_is_single(const struct page_allocator *allocator, pa_t address)
{
	uint64_t page = address.value >> PAGE_SHIFT_4K;

	if (page >= allocator->page_count)
		return false;
	struct page word = page_get(allocator, page);
	return word.state == PAGE_ALLOCATED && !word.order;
}

/** The first page of the allocated run that contains @p address, and its word; or
 *  NO_PAGE. */
static uint64_t find_run(const struct page_allocator *allocator, pa_t address, struct page *word)
{
	uint64_t page = address.value >> PAGE_SHIFT_4K;

	if (page >= allocator->page_count)
		return NO_PAGE;
	for (unsigned order = 0; order <= PAGE_MAX_ORDER; order++) {
		uint64_t head = page & ~((UINT64_C(1) << order) - 1);
		*word = page_get(allocator, head);
		/* Runs do not overlap: the first head on the way down decides, unless it
		 * is too short to reach, and then nothing contains the page. */
		if (word->state == PAGE_NONE)
			continue;
		return word->state == PAGE_ALLOCATED && word->order >= order ? head : NO_PAGE;
	}
	return NO_PAGE;
}

/** Add @p one (1 or -1) to the pins of the run that contains @p address: by an exchange of
 *  its word, so neither a lock nor a cache is needed. */
static __attribute__((noinline)) int pins_change(struct page_allocator *allocator, pa_t address,
                                                 int one)
{
	struct page was, next;
	uint64_t page;

	do {
		page = address.value >> PAGE_SHIFT_4K;
		if (page >= allocator->page_count)
			return -EFAULT;
		was = page_get(allocator, page);
		if (was.state != PAGE_ALLOCATED) { /* not the head of its run */
			page = find_run(allocator, address, &was);
			if (page == NO_PAGE)
				return -EFAULT;
		}
		if (one > 0 && was.pins == UINT32_MAX)
			return -EOVERFLOW;
		if (one < 0 && !was.pins)
			return -EINVAL;
		next = was;
		next.pins += (uint32_t)one;
	} while (!page_change(allocator, page, was, next));
	return 0;
}

_Static_assert(offsetof(struct page, pins) == 0 && offsetof(struct page, state) == 4,
               "pins are the low half of a page's word, the state comes next");

/** The usual case: the page is the head of an allocated run, and the pins stay in bounds (they
 *  are not @p limit before). False: nothing is done. */
static inline bool pins_quick(const struct page_allocator *allocator, pa_t address, uint64_t more,
                              uint32_t limit)
{
	uint64_t page = address.value >> PAGE_SHIFT_4K;

	if (page >= allocator->page_count)
		return false;
	uint64_t *word = (uint64_t *)&allocator->pages[page];
	uint64_t was = __atomic_load_n(word, __ATOMIC_RELAXED);
	do
		if ((uint8_t)(was >> 32) != PAGE_ALLOCATED || (uint32_t)was == limit)
			return false;
	while (!__atomic_compare_exchange_n(word, &was, was + more, false, __ATOMIC_ACQ_REL,
	                                    __ATOMIC_RELAXED));
	return true;
}

int page_pin(struct page_allocator *allocator, pa_t address)
{
	return pins_quick(allocator, address, 1, UINT32_MAX) ? 0
	                                                     : pins_change(allocator, address, 1);
}

int page_unpin(struct page_allocator *allocator, pa_t address)
{
	return pins_quick(allocator, address, UINT64_MAX, 0) ? 0
	                                                     : pins_change(allocator, address, -1);
}

int page_run(struct page_allocator *allocator, pa_t address, pa_t *start, unsigned *order,
             uint32_t *pins)
{
	bool alone = !allocator->locality;
	uint64_t state = alone ? enter(allocator) : 0;
	struct page word;
	uint64_t page = find_run(allocator, address, &word);

	if (alone)
		(void)leave(allocator, state, 0);
	if (page == NO_PAGE)
		return -EFAULT;
	if (start)
		*start = pa(page << PAGE_SHIFT_4K);
	if (order)
		*order = word.order;
	if (pins)
		*pins = word.pins;
	return 0;
}
