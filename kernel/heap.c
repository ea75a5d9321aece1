/* SPDX-License-Identifier: MIT */
/*
 * Slabs over pages. See kernel/heap.h.
 *
 * Invariants: a slab is one page: a header, then `class_places` objects of its
 * class's size. A set bit of `free` is a free place. A slab with a free place is
 * on its class's list, one without is not, and one with nothing but free places
 * goes back to the page allocator at once unless it is its class's only one.
 * Free memory is not assumed to be zero: it is zeroed when handed out.
 */
#include "kernel/heap.h"

#include "iommu/string.h"

enum { SLAB_WORDS = 4, SLAB_HEADER = 64 };
#define SLAB_MAGIC UINT32_C(0x51ab51ab)

struct heap_slab {
	struct heap_slab *next, *previous;
	uint32_t magic;
	uint16_t kind, used;
	uint64_t free[SLAB_WORDS];
};
_Static_assert(sizeof(struct heap_slab) <= SLAB_HEADER, "the header has its place");

/* Multiples of 16. The upper ones divide a page's 4032 bytes without much waste. */
static const uint16_t class_size[HEAP_CLASSES] = {16,  32,  48,  64,  96,   128,  192,
                                                  256, 384, 512, 768, 1008, 1344, 2016};
#define LARGEST_SMALL 2016
_Static_assert((PAGE_SIZE_4K - SLAB_HEADER) / 16 <= 64 * SLAB_WORDS, "every place has a bit");

static unsigned class_of(size_t bytes)
{
	unsigned kind = 0;

	while (class_size[kind] < bytes)
		kind++;
	return kind;
}

static unsigned class_places(unsigned kind)
{
	return (unsigned)((PAGE_SIZE_4K - SLAB_HEADER) / class_size[kind]);
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

void heap_init(struct heap *heap, struct page_allocator *pages)
{
	memset(heap, 0, sizeof(*heap));
	heap->pages = pages;
}

static struct heap_slab *slab_make(struct heap *heap, unsigned kind)
{
	pa_t page;

	if (page_alloc(heap->pages, 0, &page) != 0)
		return NULL;
	struct heap_slab *slab = pointer_to(heap, page);
	memset(slab, 0, sizeof(*slab));
	slab->magic = SLAB_MAGIC;
	slab->kind = (uint16_t)kind;
	for (unsigned place = 0; place < class_places(kind); place++)
		slab->free[place / 64] |= UINT64_C(1) << (place % 64);
	heap->slab_pages++;
	list_add(heap, slab);
	return slab;
}

void *heap_get(struct heap *heap, size_t bytes)
{
	void *object;

	if (!bytes || bytes > PAGE_SIZE_1G)
		return NULL;
	if (bytes > LARGEST_SMALL) {
		pa_t run;
		unsigned order = order_of(bytes);
		if (page_alloc(heap->pages, order, &run) != 0)
			return NULL;
		heap->run_pages += UINT64_C(1) << order;
		object = pointer_to(heap, run);
	} else {
		unsigned kind = class_of(bytes), word = 0;
		struct heap_slab *slab = heap->partial[kind];
		if (!slab)
			slab = slab_make(heap, kind);
		if (!slab)
			return NULL;
		while (!slab->free[word])
			word++;
		unsigned bit = (unsigned)__builtin_ctzll(slab->free[word]);
		slab->free[word] &= slab->free[word] - 1;
		if (++slab->used == class_places(kind))
			list_remove(heap, slab);
		object = (char *)slab + SLAB_HEADER + (size_t)(word * 64 + bit) * class_size[kind];
	}
	heap->objects++;
	memset(object, 0, bytes);
	return object;
}

static int put_small(struct heap *heap, void *object, size_t bytes)
{
	pa_t address = address_of(heap, object), run;
	unsigned kind = class_of(bytes), order;
	uint64_t offset = address.value % PAGE_SIZE_4K;

	/* The page must be one that this heap could have: read it only then. */
	if (page_run(heap->pages, address, &run, &order, NULL) != 0 || order != 0)
		return -EINVAL;
	struct heap_slab *slab = pointer_to(heap, run);
	if (slab->magic != SLAB_MAGIC || slab->kind != kind || offset < SLAB_HEADER ||
	    (offset - SLAB_HEADER) % class_size[kind])
		return -EINVAL;
	unsigned place = (unsigned)(offset - SLAB_HEADER) / class_size[kind];
	uint64_t bit = UINT64_C(1) << (place % 64);
	if (place >= class_places(kind) || slab->free[place / 64] & bit)
		return -EINVAL;

	bool only = !heap->partial[kind] || (heap->partial[kind] == slab && !slab->next);
	if (slab->used == 1 && !only) {
		/* The last object of one slab among several. The page allocator writes
		 * into the page, so everything is taken off first. */
		list_remove(heap, slab);
		slab->magic = 0;
		int result = page_free(heap->pages, run, 0);
		if (result != 0) {
			slab->magic = SLAB_MAGIC;
			list_add(heap, slab);
			return result;
		}
		heap->slab_pages--;
		return 0;
	}
	slab->free[place / 64] |= bit;
	if (slab->used-- == class_places(kind))
		list_add(heap, slab);
	return 0;
}

int heap_put(struct heap *heap, void *object, size_t bytes)
{
	int result;

	if (!object)
		return 0;
	if (!bytes || bytes > PAGE_SIZE_1G)
		return -EINVAL;
	if (bytes > LARGEST_SMALL) {
		unsigned order = order_of(bytes);
		result = page_free(heap->pages, address_of(heap, object), order);
		if (result == 0)
			heap->run_pages -= UINT64_C(1) << order;
	} else {
		result = put_small(heap, object, bytes);
	}
	if (result != 0)
		return result;
	heap->objects--;
	return 0;
}
