/* SPDX-License-Identifier: MIT */
/*
 * The kernel's one page allocator and one object heap, each behind a lock, with caches
 * for each processor before it. Interrupt handlers may use them: both the locks and the
 * use of a cache keep interrupts away. kernel/page.c and kernel/heap.c are the
 * instances' code.
 *
 * Lock order: heap, then pages. Nothing is taken within the pages' lock.
 */
#include "kernel/memory.h"

#include "kernel/heap.h"
#include "kernel/kernel.h"
#include "kernel/lock.h"
#include "kernel/processor.h"
#include "kernel/smp.h"

struct page_allocator kernel_pages;
static struct spinlock pages_lock;

static struct heap kernel_heap;
static struct spinlock heap_lock;

static struct page_cache *page_caches[SMP_MAX_PROCESSORS];
static struct heap_cache *heap_caches[SMP_MAX_PROCESSORS];

static uint64_t locality_enter(unsigned *processor)
{
	uint64_t flags = irq_save();

	*processor = processor_self()->number;
	return flags;
}

static const struct page_locality locality = {
	.enter = locality_enter,
	.leave = irq_restore,
	.count = SMP_MAX_PROCESSORS,
};

static uint64_t pages_enter(void)
{
	return spin_lock(&pages_lock);
}

static void pages_leave(uint64_t flags)
{
	spin_unlock(&pages_lock, flags);
}

static uint64_t heap_enter(void)
{
	return spin_lock(&heap_lock);
}

static void heap_leave(uint64_t flags)
{
	spin_unlock(&heap_lock, flags);
}

int memory_init(const struct boot_memory *map, size_t map_count, const struct boot_memory *keep,
                size_t keep_count)
{
	int result = page_init(&kernel_pages, map, map_count, keep, keep_count, DIRECT_MAP_BASE);

	if (result != 0)
		return result;
	spin_init(&pages_lock, "pages");
	spin_init(&heap_lock, "heap");
	kernel_pages.enter = pages_enter;
	kernel_pages.leave = pages_leave;
	heap_init(&kernel_heap, &kernel_pages);
	kernel_heap.enter = heap_enter;
	kernel_heap.leave = heap_leave;
	page_use_caches(&kernel_pages, page_caches, &locality);
	heap_use_caches(&kernel_heap, heap_caches, &locality);
	memory_use_caches(&boot_processor);
	return 0;
}

void memory_use_caches(struct processor *processor)
{
	__atomic_store_n(&page_caches[processor->number], &processor->pages, __ATOMIC_RELEASE);
	__atomic_store_n(&heap_caches[processor->number], &processor->objects, __ATOMIC_RELEASE);
}

int memory_page_alloc(unsigned order, pa_t *out)
{
	int result = page_alloc(&kernel_pages, order, out);

	/* Objects in caches keep slabs, and those pages. */
	if (result == -ENOMEM && heap_drain(&kernel_heap))
		result = page_alloc(&kernel_pages, order, out);
	return result;
}

void *heap_alloc(size_t bytes)
{
	/* a running processor has its cache: see memory_use_caches() */
	if (__builtin_expect(bytes - 1 < HEAP_LARGEST_SMALL, 1)) {
		const uint64_t flags = irq_save();
		void *object = heap_cache_take(&processor_self()->objects, bytes);
		irq_restore(flags);
		if (__builtin_expect(object != NULL, 1))
			return heap_clear(object, bytes);
	}
	return heap_get(&kernel_heap, bytes);
}

/** Whatever may be wrong with it. */
static __attribute__((noinline)) void heap_free_any(void *object, size_t bytes)
{
	int result = heap_put(&kernel_heap, object, bytes);

	/* Going on would hand the same memory to two owners. */
	if (result != 0)
		panic("heap_free(%p, %zu): %s", object, bytes,
		      result == -EBUSY ? "pages of it are pinned for DMA"
		                       : "no such object of this size is allocated");
}

void heap_free(void *object, size_t bytes)
{
	if (__builtin_expect(object && bytes - 1 < HEAP_LARGEST_SMALL, 1)) {
		const uint64_t flags = irq_save();
		const bool done = heap_cache_give(&processor_self()->objects, object, bytes);
		irq_restore(flags);
		if (__builtin_expect(done, 1))
			return;
	}
	heap_free_any(object, bytes);
}

void heap_usage(uint64_t *objects, uint64_t *pages)
{
	heap_count(&kernel_heap, objects, pages);
}

void memory_caches_count(struct memory_caches *out)
{
	*out = (struct memory_caches){0};
	for (unsigned i = 0; i < SMP_MAX_PROCESSORS; i++) {
		const struct page_cache *pages = page_caches[i];
		const struct heap_cache *objects = heap_caches[i];
		if (!pages || !objects)
			continue;
		out->page_hits += pages->hits;
		out->page_refills += pages->refills;
		out->page_drains += pages->drains;
		out->object_hits += objects->hits;
		out->object_refills += objects->refills;
		out->object_drains += objects->drains;
		for (unsigned slot = 0; slot < PAGE_CACHE_SLOTS; slot++)
			out->pages += pages->slots[slot] != 0;
		for (unsigned at = 0; at < HEAP_CLASSES * HEAP_CACHE_SLOTS; at++)
			out->objects += objects->classes[at / HEAP_CACHE_SLOTS]
			                        .slots[at % HEAP_CACHE_SLOTS] != NULL;
	}
}
