/* SPDX-License-Identifier: MIT */
/*
 * The kernel's one page allocator and one object heap, each behind a lock, so
 * that interrupt handlers may use them. kernel/page.c and kernel/heap.c are the
 * instances' code.
 *
 * Lock order: heap, then pages. Nothing is taken within the pages' lock.
 */
#include "kernel/memory.h"

#include "kernel/heap.h"
#include "kernel/kernel.h"
#include "kernel/lock.h"

struct page_allocator kernel_pages;
static struct spinlock pages_lock;

static struct heap kernel_heap;
static struct spinlock heap_lock;

static uint64_t pages_enter(void)
{
	return spin_lock(&pages_lock);
}

static void pages_leave(uint64_t flags)
{
	spin_unlock(&pages_lock, flags);
}

int memory_init(const struct boot_memory *map, size_t map_count, const struct boot_memory *keep,
                size_t keep_count)
{
	int result = page_init(&kernel_pages, map, map_count, keep, keep_count, DIRECT_MAP_BASE);

	if (result != 0)
		return result;
	kernel_pages.enter = pages_enter;
	kernel_pages.leave = pages_leave;
	heap_init(&kernel_heap, &kernel_pages);
	return 0;
}

void *heap_alloc(size_t bytes)
{
	uint64_t flags = spin_lock(&heap_lock);
	void *object = heap_get(&kernel_heap, bytes);

	spin_unlock(&heap_lock, flags);
	return object;
}

void heap_free(void *object, size_t bytes)
{
	uint64_t flags = spin_lock(&heap_lock);
	int result = heap_put(&kernel_heap, object, bytes);

	spin_unlock(&heap_lock, flags);
	/* Going on would hand the same memory to two owners. */
	if (result != 0)
		panic("heap_free(%p, %zu): %s", object, bytes,
		      result == -EBUSY ? "pages of it are pinned for DMA"
		                       : "no such object of this size is allocated");
}

void heap_usage(uint64_t *objects, uint64_t *pages)
{
	uint64_t flags = spin_lock(&heap_lock);

	*objects = kernel_heap.objects;
	*pages = kernel_heap.slab_pages + kernel_heap.run_pages;
	spin_unlock(&heap_lock, flags);
}
