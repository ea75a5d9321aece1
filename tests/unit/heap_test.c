/* SPDX-License-Identifier: MIT */
/*
 * The object heap over a page allocator over an arena: sizes, zeroing, refusals,
 * and random use against the list of what is outstanding.
 */
#include <string.h>
#include <sys/mman.h>

#include "kernel/heap.h"
#include "tests/ktap.h"
#include "tests/test_os.h"

enum { ARENA_BYTES = 16 << 20, OBJECTS = 400 };
#define ARENA_START UINT64_C(0x2000000)

static void *memory;
static struct page_allocator pages;
static struct heap heap;

static void setup(void)
{
	struct boot_memory map = {.start = ARENA_START, .bytes = ARENA_BYTES};

	memory = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
	              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		printf("Bail out! no address space for the arena\n");
		exit(EXIT_FAILURE);
	}
	KTAP_EQUAL(page_init(&pages, &map, 1, NULL, 0, (uintptr_t)memory - ARENA_START), 0);
	heap_init(&heap, &pages);
}

static void drop(void)
{
	munmap(memory, ARENA_BYTES);
}

static void every_small_size(void)
{
	setup();
	for (size_t bytes = 1; bytes <= 9000; bytes += bytes < 300 ? 1 : 37) {
		unsigned char *a = heap_get(&heap, bytes), *b = heap_get(&heap, bytes);
		KTAP_CHECK(a && b && a != b);
		if (!a || !b)
			break;
		KTAP_EQUAL((uintptr_t)a % 16, 0);
		KTAP_CHECK(a + bytes <= b || b + bytes <= a);
		for (size_t i = 0; i < bytes; i++)
			KTAP_CHECK(a[i] == 0 && b[i] == 0);
		memset(a, 0xee, bytes);
		memset(b, 0xdd, bytes);
		KTAP_CHECK(a[0] == 0xee && a[bytes - 1] == 0xee);
		KTAP_EQUAL(heap_put(&heap, a, bytes), 0);
		KTAP_EQUAL(heap_put(&heap, b, bytes), 0);
	}
	KTAP_EQUAL(heap.objects, 0);
	KTAP_EQUAL(heap.run_pages, 0);
	/* At most one slab of each class stays. */
	KTAP_CHECK(heap.slab_pages <= HEAP_CLASSES);
	KTAP_EQUAL(pages.free_pages + heap.slab_pages, pages.usable_pages);
	drop();
}

static void refusals(void)
{
	setup();
	char *object = heap_get(&heap, 100), *run = heap_get(&heap, 10000);
	char *other = heap_get(&heap, 100);

	KTAP_CHECK(object && run && other);
	KTAP_CHECK(!heap_get(&heap, 0));
	KTAP_CHECK(!heap_get(&heap, SIZE_MAX));
	KTAP_CHECK(!heap_get(&heap, ARENA_BYTES));
	KTAP_EQUAL(heap_put(&heap, NULL, 100), 0);
	KTAP_EQUAL(heap_put(&heap, object, 0), -EINVAL);
	KTAP_EQUAL(heap_put(&heap, object, SIZE_MAX), -EINVAL);
	KTAP_EQUAL(heap_put(&heap, object, 50), -EINVAL);   /* another class */
	KTAP_EQUAL(heap_put(&heap, object, 5000), -EINVAL); /* no run */
	KTAP_EQUAL(heap_put(&heap, object + 8, 100), -EINVAL);
	KTAP_EQUAL(heap_put(&heap, &heap, 100), -EINVAL); /* not in the arena */
	KTAP_EQUAL(heap_put(&heap, run, 100), -EINVAL);
	KTAP_EQUAL(heap_put(&heap, run, 3000), -EINVAL); /* a run of another order */
	KTAP_EQUAL(heap_put(&heap, run + 4096, 3000), -EINVAL);
	KTAP_EQUAL(page_pin(&pages, pa_add(pa((uintptr_t)run - pages.direct_map), 9000)), 0);
	KTAP_EQUAL(heap_put(&heap, run, 10000), -EBUSY);
	KTAP_EQUAL(page_unpin(&pages, pa((uintptr_t)run - pages.direct_map)), 0);
	KTAP_EQUAL(heap.objects, 3);
	KTAP_EQUAL(heap_put(&heap, run, 10000), 0);
	KTAP_EQUAL(heap_put(&heap, run, 10000), -EINVAL);
	KTAP_EQUAL(heap_put(&heap, object, 100), 0);
	KTAP_EQUAL(heap_put(&heap, object, 100), -EINVAL);
	KTAP_EQUAL(heap_put(&heap, other, 100), 0);
	KTAP_EQUAL(heap_put(&heap, other, 100), -EINVAL);
	KTAP_EQUAL(heap.objects, 0);
	drop();
}

static struct {
	unsigned char *start;
	size_t bytes;
	unsigned char mark;
} objects[OBJECTS];

static void random_use(void)
{
	uint64_t seed = 7, live = 0;

	setup();
	for (unsigned step = 0; step < 60000 && !ktap_failed; step++) {
		unsigned slot = (unsigned)(test_random(&seed) % OBJECTS);
		if (!objects[slot].start) {
			size_t bytes = 1 + test_random(&seed) % (step % 9 ? 2100 : 60000);
			unsigned char *start = heap_get(&heap, bytes);
			if (!start)
				continue;
			for (size_t i = 0; i < bytes; i++)
				KTAP_CHECK(start[i] == 0);
			objects[slot].start = start;
			objects[slot].bytes = bytes;
			objects[slot].mark = (unsigned char)(step | 1);
			memset(start, objects[slot].mark, bytes);
			live++;
		} else {
			for (size_t i = 0; i < objects[slot].bytes; i++)
				KTAP_CHECK(objects[slot].start[i] == objects[slot].mark);
			KTAP_EQUAL(heap_put(&heap, objects[slot].start, objects[slot].bytes), 0);
			objects[slot].start = NULL;
			live--;
		}
		KTAP_EQUAL(heap.objects, live);
	}
	for (unsigned slot = 0; slot < OBJECTS; slot++)
		KTAP_EQUAL(heap_put(&heap, objects[slot].start, objects[slot].bytes), 0);
	KTAP_CHECK(heap.slab_pages <= HEAP_CLASSES);
	KTAP_EQUAL(heap.run_pages, 0);
	KTAP_EQUAL(pages.free_pages + heap.slab_pages, pages.usable_pages);
	drop();
}

static void exhaustion(void)
{
	void *last = NULL;
	uint64_t count = 0;

	setup();
	/* A chain through the objects themselves, until there is no page left. */
	for (void **object; (object = heap_get(&heap, 1000)); last = object, count++)
		*object = last;
	KTAP_EQUAL(pages.free_pages, 0);
	KTAP_EQUAL(count, pages.usable_pages * 4);
	KTAP_CHECK(!heap_get(&heap, 5000));
	while (last) {
		void *next = *(void **)last;
		KTAP_EQUAL(heap_put(&heap, last, 1000), 0);
		last = next;
	}
	KTAP_EQUAL(heap.objects, 0);
	KTAP_EQUAL(heap.slab_pages, 1);
	KTAP_CHECK(heap_get(&heap, 1 << 20) != NULL);
	drop();
}

static const struct ktap_case cases[] = {
	{"objects of every size are zeroed, aligned and apart", every_small_size},
	{"wrong sizes, wrong places, second frees and pins are refused", refusals},
	{"random use keeps each object's bytes and leaks nothing", random_use},
	{"memory used up is refused, and comes back", exhaustion},
};

KTAP_MAIN(cases)
