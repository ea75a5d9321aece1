/* SPDX-License-Identifier: MIT */
/*
 * A buddy allocator over the machine's memory map. See kernel/page.h.
 *
 * Invariants:
 *  - Each page belongs to at most one run. Only the first page of a run has a
 *    state other than PAGE_NONE in its `struct page`; pages inside a run, pages
 *    that are not usable and the bookkeeping itself are PAGE_NONE.
 *  - No two free buddies of one order exist: they are merged when the second
 *    becomes free.
 *  - A free run's list links lie in its own first 16 bytes, so a page costs 8
 *    bytes of bookkeeping and a range of free memory costs nothing more.
 *  - A pinned run is allocated.
 *
 * A run that contains a page is found by looking at the at most 19 places where
 * it could begin, so no operation depends on the amount of memory.
 */
#include "kernel/page.h"

#include "iommu/string.h"

enum page_state { PAGE_NONE, PAGE_FREE, PAGE_ALLOCATED };

struct page {
	uint32_t pins;
	uint8_t state; /* enum page_state */
	uint8_t order;
	uint16_t unused;
};
_Static_assert(sizeof(struct page) == 8, "bookkeeping is 8 bytes a page");

/** Lies at the start of a free run. Page numbers. */
struct page_link {
	uint64_t next, previous;
};

#define NO_PAGE    UINT64_MAX
#define LOW_MEMORY UINT64_C(0x100000) /* firmware, BIOS data, boot code: never ours */

/* ---- the memory map --------------------------------------------------------------- */

/** One past the last byte of @p entry, without overflow, within the processor's
 *  address bits. */
static uint64_t entry_end(const struct boot_memory *entry)
{
	if (entry->start >= PAGE_ADDRESS_LIMIT)
		return PAGE_ADDRESS_LIMIT;
	if (entry->bytes > PAGE_ADDRESS_LIMIT - entry->start)
		return PAGE_ADDRESS_LIMIT;
	return entry->start + entry->bytes;
}

static bool entry_covers(const struct boot_memory *entry, uint64_t address)
{
	return entry->start <= address && address < entry_end(entry);
}

/** The end of the usable entries that cover @p address, or @p address if none does;
 *  then @p next is the nearest usable address above it. */
static uint64_t usable_end(const struct boot_memory *map, size_t count, uint64_t address,
                           uint64_t *next)
{
	uint64_t end = address;

	*next = PAGE_ADDRESS_LIMIT;
	for (size_t i = 0; i < count; i++) {
		if (map[i].kind != BOOT_MEMORY_USABLE)
			continue;
		uint64_t entry_last = entry_end(&map[i]);
		if (entry_covers(&map[i], address))
			end = entry_last > end ? entry_last : end;
		else if (map[i].start > address && map[i].start < entry_last &&
		         map[i].start < *next)
			*next = map[i].start;
	}
	return end;
}

/** The end of what forbids @p address among @p entries, or @p address if nothing
 *  does; then @p next is where the nearest prohibition above it begins. */
static uint64_t forbidden_end(const struct boot_memory *entries, size_t count, bool all,
                              uint64_t address, uint64_t *next)
{
	for (size_t i = 0; i < count; i++) {
		if (!all && entries[i].kind == BOOT_MEMORY_USABLE)
			continue;
		if (entry_covers(&entries[i], address))
			return entry_end(&entries[i]);
		if (entries[i].start > address && entries[i].bytes && entries[i].start < *next)
			*next = entries[i].start;
	}
	return address;
}

bool page_map_next(const struct boot_memory *map, size_t map_count, const struct boot_memory *keep,
                   size_t keep_count, uint64_t from, uint64_t *start, uint64_t *end)
{
	uint64_t at = from;

	while (at < PAGE_ADDRESS_LIMIT) {
		uint64_t next_usable;
		uint64_t top = usable_end(map, map_count, at, &next_usable);
		if (top == at) {
			at = next_usable;
			continue;
		}
		uint64_t limit = PAGE_ADDRESS_LIMIT;
		uint64_t past = forbidden_end(map, map_count, false, at, &limit);
		if (past == at)
			past = forbidden_end(keep, keep_count, true, at, &limit);
		if (past != at) {
			at = past;
			continue;
		}
		/* Free to use from here. Entries that touch or overlap carry it further. */
		while (top < limit) {
			uint64_t further = usable_end(map, map_count, top, &next_usable);
			if (further == top)
				break;
			top = further;
		}
		*start = at;
		*end = top < limit ? top : limit;
		return true;
	}
	return false;
}

/** As page_map_next, in whole pages above 1 MiB, below page number @p limit. */
static bool next_pages(const struct boot_memory *map, size_t map_count,
                       const struct boot_memory *keep, size_t keep_count, uint64_t limit,
                       uint64_t *from, uint64_t *first, uint64_t *count)
{
	uint64_t start, end;

	if (*from < LOW_MEMORY)
		*from = LOW_MEMORY;
	while (page_map_next(map, map_count, keep, keep_count, *from, &start, &end)) {
		*from = end;
		*first = (start + PAGE_SIZE_4K - 1) >> PAGE_SHIFT_4K;
		uint64_t stop = end >> PAGE_SHIFT_4K;
		if (stop > limit)
			stop = limit;
		if (*first < stop) {
			*count = stop - *first;
			return true;
		}
	}
	return false;
}

/* ---- runs ------------------------------------------------------------------------ */

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
	allocator->pages[page].state = PAGE_FREE;
	allocator->pages[page].order = (uint8_t)order;
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
	allocator->pages[page].state = PAGE_NONE;
}

/** Make a run free and merge it with its buddies as far as they are free. */
static void release(struct page_allocator *allocator, uint64_t page, unsigned order)
{
	allocator->pages[page].state = PAGE_NONE;
	while (order < PAGE_MAX_ORDER) {
		uint64_t buddy = page ^ (UINT64_C(1) << order);
		if (buddy >= allocator->page_count)
			break;
		const struct page *other = &allocator->pages[buddy];
		if (other->state != PAGE_FREE || other->order != order)
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
	allocator->free_pages += count;
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
		for (from = 0;
		     next_pages(map, map_count, keep, keep_count, limit, &from, &first, &count);) {
			top = first + count;
			top_first = first;
		}
		if (!top)
			return -ENOMEM;
		allocator->page_count = top;
		home_pages = (top * sizeof(struct page) + PAGE_SIZE_4K - 1) >> PAGE_SHIFT_4K;
		home = NO_PAGE;
		for (from = 0; home == NO_PAGE && next_pages(map, map_count, keep, keep_count,
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
	     next_pages(map, map_count, keep, keep_count, limit, &from, &first, &count);) {
		if (first == home) {
			first += home_pages;
			count -= home_pages;
		}
		add_pages(allocator, first, count);
	}
	return 0;
}

int page_alloc(struct page_allocator *allocator, unsigned order, pa_t *out)
{
	if (order > PAGE_MAX_ORDER)
		return -EINVAL;

	uint64_t state = enter(allocator);
	unsigned have = order;
	while (have <= PAGE_MAX_ORDER && allocator->free_head[have] == NO_PAGE)
		have++;
	if (have > PAGE_MAX_ORDER)
		return leave(allocator, state, -ENOMEM);

	uint64_t page = allocator->free_head[have];
	take(allocator, page, have);
	while (have > order) {
		have--;
		push(allocator, page + (UINT64_C(1) << have), have);
	}
	allocator->pages[page] = (struct page){.state = PAGE_ALLOCATED, .order = (uint8_t)order};
	allocator->free_pages -= UINT64_C(1) << order;
	*out = pa(page << PAGE_SHIFT_4K);
	return leave(allocator, state, 0);
}

/** The first page of the allocated run that contains @p address, or NO_PAGE. */
static uint64_t find_run(const struct page_allocator *allocator, pa_t address)
{
	uint64_t page = address.value >> PAGE_SHIFT_4K;

	if (page >= allocator->page_count)
		return NO_PAGE;
	for (unsigned order = 0; order <= PAGE_MAX_ORDER; order++) {
		uint64_t head = page & ~((UINT64_C(1) << order) - 1);
		const struct page *at = &allocator->pages[head];
		/* Runs do not overlap: the first head on the way down decides, unless it
		 * is too short to reach, and then nothing contains the page. */
		if (at->state == PAGE_NONE)
			continue;
		return at->state == PAGE_ALLOCATED && at->order >= order ? head : NO_PAGE;
	}
	return NO_PAGE;
}

int page_free(struct page_allocator *allocator, pa_t run, unsigned order)
{
	uint64_t page = run.value >> PAGE_SHIFT_4K;

	if (run.value & (PAGE_SIZE_4K - 1) || page >= allocator->page_count)
		return -EINVAL;

	uint64_t state = enter(allocator);
	const struct page *at = &allocator->pages[page];
	if (at->state != PAGE_ALLOCATED || at->order != order)
		return leave(allocator, state, -EINVAL);
	if (at->pins)
		return leave(allocator, state, -EBUSY);
	allocator->free_pages += UINT64_C(1) << order;
	release(allocator, page, order);
	return leave(allocator, state, 0);
}

int page_pin(struct page_allocator *allocator, pa_t address)
{
	uint64_t state = enter(allocator);
	uint64_t page = find_run(allocator, address);

	if (page == NO_PAGE)
		return leave(allocator, state, -EFAULT);
	if (allocator->pages[page].pins == UINT32_MAX)
		return leave(allocator, state, -EOVERFLOW);
	if (!allocator->pages[page].pins++)
		allocator->pinned_runs++;
	return leave(allocator, state, 0);
}

int page_unpin(struct page_allocator *allocator, pa_t address)
{
	uint64_t state = enter(allocator);
	uint64_t page = find_run(allocator, address);

	if (page == NO_PAGE)
		return leave(allocator, state, -EFAULT);
	if (!allocator->pages[page].pins)
		return leave(allocator, state, -EINVAL);
	if (!--allocator->pages[page].pins)
		allocator->pinned_runs--;
	return leave(allocator, state, 0);
}

int page_run(struct page_allocator *allocator, pa_t address, pa_t *start, unsigned *order,
             uint32_t *pins)
{
	uint64_t state = enter(allocator);
	uint64_t page = find_run(allocator, address);

	if (page == NO_PAGE)
		return leave(allocator, state, -EFAULT);
	if (start)
		*start = pa(page << PAGE_SHIFT_4K);
	if (order)
		*order = allocator->pages[page].order;
	if (pins)
		*pins = allocator->pages[page].pins;
	return leave(allocator, state, 0);
}
