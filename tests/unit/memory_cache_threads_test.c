/* SPDX-License-Identifier: MIT */
/*
 * The page allocator and the heap with a cache for each processor, where threads stand for
 * processors: random use against a list, also with memory so short that each thread takes
 * what lies in the others' caches; second frees; pins against frees. And the ticket lock
 * that all of it stands on. Made for ThreadSanitizer; it holds under the others as well.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/heap.h"
#include "kernel/ticket.h"
#include "tests/ktap.h"
#include "tests/test_os.h"

enum { THREADS = 4, ROUNDS = 6000, SLOTS = 40, ARENA_PAGES = 4096, MAX_BYTES = 2600 };
#define ARENA_START UINT64_C(0x2000000)

static void *memory;
static size_t memory_bytes;
static struct page_allocator pages;
static struct heap heap;
static struct page_cache page_cache[THREADS], *page_caches[THREADS + 1];
static struct heap_cache heap_cache[THREADS], *heap_caches[THREADS + 1];
static struct ticket pages_lock, heap_lock;
static _Thread_local unsigned processor;

static void ticket_lock(struct ticket *lock)
{
	uint32_t ticket = ticket_draw(lock);

	while (!ticket_is_served(lock, ticket))
		sched_yield();
}

static uint64_t pages_enter(void)
{
	ticket_lock(&pages_lock);
	return 0;
}

static void pages_leave(uint64_t state)
{
	(void)state;
	ticket_pass(&pages_lock);
}

static uint64_t heap_enter(void)
{
	ticket_lock(&heap_lock);
	return 0;
}

static void heap_leave(uint64_t state)
{
	(void)state;
	ticket_pass(&heap_lock);
}

static uint64_t stay(unsigned *number)
{
	*number = processor;
	return 5;
}

static void go(uint64_t state)
{
	KTAP_EQUAL(state, 5);
}

/* The last one has no cache: it is served as all were before. */
static const struct page_locality locality = {.enter = stay, .leave = go, .count = THREADS + 1};

/** @p count pages in all, the allocator's own among them. */
static void setup(uint64_t count)
{
	struct boot_memory map = {.start = ARENA_START, .bytes = count * PAGE_SIZE_4K};

	memory_bytes = map.bytes;
	memory = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE,
	              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		printf("Bail out! no address space for the arena\n");
		exit(EXIT_FAILURE);
	}
	KTAP_EQUAL(page_init(&pages, &map, 1, NULL, 0, (uintptr_t)memory - ARENA_START), 0);
	pages.enter = pages_enter;
	pages.leave = pages_leave;
	heap_init(&heap, &pages);
	heap.enter = heap_enter;
	heap.leave = heap_leave;
	memset(page_cache, 0, sizeof(page_cache));
	memset(heap_cache, 0, sizeof(heap_cache));
	for (unsigned i = 0; i < THREADS; i++) {
		page_caches[i] = &page_cache[i];
		heap_caches[i] = &heap_cache[i];
	}
	page_use_caches(&pages, page_caches, &locality);
	heap_use_caches(&heap, heap_caches, &locality);
	processor = 0;
}

/** Nothing is outstanding, and with the caches emptied all pages are in runs again. */
static void drop(void)
{
	uint64_t objects, slabs;

	heap_count(&heap, &objects, &slabs);
	KTAP_EQUAL(objects, 0);
	heap_drain(&heap);
	heap_count(&heap, &objects, &slabs);
	KTAP_EQUAL(objects, 0);
	KTAP_EQUAL(heap.objects, 0);
	KTAP_CHECK(slabs <= HEAP_CLASSES); /* an empty slab of each class may stay */
	KTAP_EQUAL(page_free_count(&pages) + slabs, pages.usable_pages);
	KTAP_EQUAL(page_pinned_count(&pages), 0);
	page_drain(&pages);
	KTAP_EQUAL(pages.free_pages + slabs, pages.usable_pages);
	munmap(memory, memory_bytes);
}

static void run(void *(*function)(void *), unsigned threads)
{
	pthread_t thread[THREADS];

	for (uintptr_t i = 0; i < threads; i++)
		KTAP_EQUAL(pthread_create(&thread[i], NULL, function, (void *)i), 0);
	for (unsigned i = 0; i < threads; i++)
		KTAP_EQUAL(pthread_join(thread[i], NULL), 0);
}

/* ---- the lock ------------------------------------------------------------------------------- */

static struct ticket one_lock;
static unsigned long sum;

static void *count_up(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (i % 8 || !ticket_try(&one_lock))
			ticket_lock(&one_lock);
		sum++;
		ticket_pass(&one_lock);
	}
	return NULL;
}

static void lock_excludes(void)
{
	/* Tickets count round. */
	one_lock = (struct ticket){UINT32_MAX - ROUNDS, UINT32_MAX - ROUNDS};
	sum = 0;
	run(count_up, THREADS);
	KTAP_EQUAL(sum, (unsigned long)THREADS * ROUNDS);
	KTAP_EQUAL(one_lock.next, one_lock.owner);
	KTAP_EQUAL(one_lock.owner, (uint32_t)(UINT32_MAX - ROUNDS + THREADS * ROUNDS));
}

static void lock_is_in_turn(void)
{
	struct ticket lock = {0};
	uint32_t first = ticket_draw(&lock), second = ticket_draw(&lock),
		 third = ticket_draw(&lock);

	KTAP_CHECK(ticket_is_served(&lock, first));
	KTAP_CHECK(!ticket_is_served(&lock, second));
	KTAP_CHECK(!ticket_try(&lock));
	ticket_pass(&lock);
	KTAP_CHECK(ticket_is_served(&lock, second));
	KTAP_CHECK(!ticket_is_served(&lock, third));
	KTAP_CHECK(!ticket_try(&lock));
	ticket_pass(&lock);
	ticket_pass(&lock);
	KTAP_CHECK(ticket_try(&lock));
	KTAP_CHECK(!ticket_try(&lock));
	ticket_pass(&lock);
	KTAP_EQUAL(lock.next, lock.owner);
}

/* ---- one processor ---------------------------------------------------------------------------- */

static void page_fast_path(void)
{
	pa_t run[200];

	setup(ARENA_PAGES);
	KTAP_EQUAL(page_alloc(&pages, 0, &run[0]), 0);
	KTAP_EQUAL(page_cache[0].refills, 1);
	KTAP_EQUAL(page_free_count(&pages), pages.usable_pages - 1);
	uint32_t served = pages_lock.owner;
	for (unsigned i = 0; i < 1000; i++) {
		KTAP_EQUAL(page_free(&pages, run[0], 0), 0);
		KTAP_EQUAL(page_free(&pages, run[0], 0), -EINVAL);
		KTAP_EQUAL(page_pin(&pages, run[0]), -EFAULT);
		KTAP_EQUAL(page_unpin(&pages, run[0]), -EFAULT);
		KTAP_EQUAL(page_run(&pages, run[0], NULL, NULL, NULL), -EFAULT);
		KTAP_EQUAL(page_alloc(&pages, 0, &run[1]), 0);
		KTAP_EQUAL(run[1].value, run[0].value);
		KTAP_EQUAL(page_free(&pages, run[0], 1), -EINVAL);
		KTAP_EQUAL(page_pin(&pages, run[0]), 0);
		KTAP_EQUAL(page_pinned_count(&pages), 1);
		KTAP_EQUAL(page_free(&pages, run[0], 0), -EBUSY);
		KTAP_EQUAL(page_unpin(&pages, run[0]), 0);
		KTAP_EQUAL(page_unpin(&pages, run[0]), -EINVAL);
	}
	/* (a free of order 1 goes to the runs that all share, and is refused there) */
	KTAP_EQUAL(pages_lock.owner, served + 1000);
	KTAP_EQUAL(page_free(&pages, run[0], 0), 0);

	/* The cache is bounded, and what it hands out is apart. */
	for (unsigned i = 0; i < 200; i++) {
		KTAP_EQUAL(page_alloc(&pages, 0, &run[i]), 0);
		for (unsigned j = 0; j < i; j++)
			KTAP_CHECK(run[i].value != run[j].value);
	}
	for (unsigned i = 0; i < 200; i++)
		KTAP_EQUAL(page_free(&pages, run[i], 0), 0);
	KTAP_CHECK(page_cache[0].top <= PAGE_CACHE_SLOTS);
	KTAP_CHECK(page_cache[0].drains >= 3);
	KTAP_CHECK(pages.usable_pages - pages.free_pages <= PAGE_CACHE_SLOTS);
	KTAP_EQUAL(page_free_count(&pages), pages.usable_pages);
	drop();
}

static void object_fast_path(void)
{
	setup(ARENA_PAGES);
	for (size_t bytes = 1; bytes <= 2016 && !ktap_failed; bytes += 31) {
		unsigned char *object = heap_get(&heap, bytes), *other = heap_get(&heap, bytes);
		KTAP_CHECK(object && other && object != other);
		KTAP_EQUAL(heap_put(&heap, other, bytes), 0);
		uint32_t served = heap_lock.owner + pages_lock.owner;
		for (unsigned i = 0; i < 20; i++) {
			memset(object, 0xff, bytes);
			KTAP_EQUAL(heap_put(&heap, object, bytes), 0);
			KTAP_EQUAL(heap_put(&heap, object, bytes), -EINVAL);
			unsigned char *again = heap_get(&heap, bytes);
			KTAP_CHECK(again == object);
			for (size_t at = 0; at < bytes; at++)
				KTAP_EQUAL(object[at], 0);
		}
		KTAP_EQUAL(heap_lock.owner + pages_lock.owner, served);
		/* Data that looks like the mark of a cached object is data. */
		if (bytes >= 8) {
			*(uint64_t *)object = (uintptr_t)object ^ UINT64_C(0x6e6573746f722121);
			KTAP_EQUAL(heap_put(&heap, object + 16, bytes), -EINVAL);
		}
		KTAP_EQUAL(heap_put(&heap, object, bytes), 0);
		KTAP_EQUAL(heap_put(&heap, object, bytes), -EINVAL);
		heap_drain(&heap);
		KTAP_EQUAL(heap_put(&heap, object, bytes), -EINVAL); /* in its slab, or none */
	}
	drop();
}

/** All memory lies in another processor's caches: it is had from there. */
static void pressure(void)
{
	uint64_t count = 0, chain = 0;
	pa_t run, big;

	setup(512);
	/* Processor 1 takes everything and gives back what its cache holds. */
	processor = 1;
	while (page_alloc(&pages, 0, &run) == 0) {
		*(uint64_t *)(pages.direct_map + run.value) = chain;
		chain = run.value;
		count++;
	}
	KTAP_EQUAL(count, pages.usable_pages);
	for (unsigned i = 0; i < PAGE_CACHE_SLOTS && chain; i++) {
		run = pa(chain);
		chain = *(uint64_t *)(pages.direct_map + chain);
		KTAP_EQUAL(page_free(&pages, run, 0), 0);
	}
	KTAP_EQUAL(pages.free_pages, 0);
	/* Processor 0 finds its pages, also as a run that must be merged. */
	processor = 0;
	KTAP_EQUAL(page_alloc(&pages, 3, &big), 0);
	KTAP_EQUAL(page_alloc(&pages, 0, &run), 0);
	KTAP_EQUAL(page_free(&pages, big, 3), 0);
	KTAP_EQUAL(page_free(&pages, run, 0), 0);
	/* A processor without a cache is served, too. */
	processor = THREADS;
	KTAP_EQUAL(page_alloc(&pages, 0, &run), 0);
	KTAP_EQUAL(page_pin(&pages, run), 0);
	KTAP_EQUAL(page_pinned_count(&pages), 1);
	KTAP_EQUAL(page_unpin(&pages, run), 0);
	KTAP_EQUAL(page_free(&pages, run, 0), 0);
	void *object = heap_get(&heap, 100), *large = heap_get(&heap, 5000);
	KTAP_CHECK(object && large);
	KTAP_EQUAL(heap_put(&heap, object, 100), 0);
	KTAP_EQUAL(heap_put(&heap, object, 100), -EINVAL);
	KTAP_EQUAL(heap_put(&heap, large, 5000), 0);
	while (chain) {
		run = pa(chain);
		chain = *(uint64_t *)(pages.direct_map + chain);
		KTAP_EQUAL(page_free(&pages, run, 0), 0);
	}
	/* Objects in processor 2's cache keep the only pages: they are given up for a run. */
	void *objects[4];
	processor = 2;
	for (unsigned i = 0; i < 4; i++)
		objects[i] = heap_get(&heap, 2000);
	for (unsigned i = 0; i < 4; i++)
		KTAP_EQUAL(heap_put(&heap, objects[i], 2000), 0);
	processor = 0;
	count = 0;
	for (chain = 0; (object = heap_get(&heap, 4096)); count++) {
		*(uint64_t *)object = chain;
		chain = (uint64_t)(uintptr_t)object;
	}
	uint64_t left, slabs;
	heap_count(&heap, &left, &slabs);
	KTAP_EQUAL(left, count);
	KTAP_EQUAL(page_free_count(&pages), 0);
	KTAP_CHECK(slabs <= count + 2); /* an empty slab of a class may stay */
	while (chain) {
		object = (void *)(uintptr_t)chain;
		chain = *(uint64_t *)object;
		KTAP_EQUAL(heap_put(&heap, object, 4096), 0);
	}
	drop();
}

/* ---- many -------------------------------------------------------------------------------------- */

struct thing {
	unsigned char *object;
	size_t bytes;
	unsigned char mark;
};

static unsigned long strange, refused, had; /* atomic */
static bool may_refuse;

static void expect(bool good)
{
	if (!good)
		__atomic_add_fetch(&strange, 1, __ATOMIC_RELAXED);
}

/** Things on their way to whoever finds them: freed elsewhere than they were made. */
static struct thing *post[8];

static void thing_free(struct thing *thing)
{
	if (!thing->object)
		return;
	for (size_t i = 0; i < thing->bytes; i++)
		expect(thing->object[i] == thing->mark);
	expect(heap_put(&heap, thing->object, thing->bytes) == 0);
	thing->object = NULL;
}

static void thing_make(struct thing *thing, uint64_t random)
{
	thing->bytes = 1 + random % MAX_BYTES;
	thing->mark = (unsigned char)(random >> 32);
	thing->object = heap_get(&heap, thing->bytes);
	if (!thing->object) {
		expect(may_refuse);
		__atomic_add_fetch(&refused, 1, __ATOMIC_RELAXED);
		return;
	}
	__atomic_add_fetch(&had, 1, __ATOMIC_RELAXED);
	for (size_t i = 0; i < thing->bytes; i++)
		expect(thing->object[i] == 0);
	memset(thing->object, thing->mark, thing->bytes);
}

static void page_use(uint64_t random)
{
	unsigned order = random % 3 ? 0 : (unsigned)(random / 3 % 4);
	pa_t run;

	if (page_alloc(&pages, order, &run) != 0) {
		expect(may_refuse);
		return;
	}
	uint64_t *word = (uint64_t *)(pages.direct_map + run.value);
	*word = random;
	expect(page_pin(&pages, run) == 0);
	expect(page_free(&pages, run, order) == -EBUSY);
	expect(*word == random);
	expect(page_unpin(&pages, run) == 0);
	expect(page_free(&pages, run, order) == 0);
}

static void *use(void *arg)
{
	struct thing things[SLOTS] = {0};
	uint64_t seed = 77 * ((uintptr_t)arg + 1);

	processor = (unsigned)(uintptr_t)arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t random = test_random(&seed);
		struct thing *thing = &things[random % SLOTS];
		if (random >> 60 == 0) {
			page_use(random >> 8);
		} else if (!thing->object) {
			thing_make(thing, random >> 8);
		} else if (random >> 57 & 1 && thing->bytes >= sizeof(*thing)) {
			struct thing *letter = (struct thing *)thing->object, copy = *thing;
			*letter = copy;
			thing->object = NULL;
			letter = __atomic_exchange_n(&post[random >> 16 & 7], letter,
			                             __ATOMIC_ACQ_REL);
			if (letter) {
				*thing = *letter;
				memset(thing->object, thing->mark, sizeof(*letter));
			}
		} else {
			thing_free(thing);
		}
	}
	for (unsigned i = 0; i < SLOTS; i++)
		thing_free(&things[i]);
	return NULL;
}

static void random_use(uint64_t count, bool is_short)
{
	setup(count);
	may_refuse = is_short;
	strange = refused = had = 0;
	run(use, THREADS);
	for (unsigned i = 0; i < 8; i++) {
		struct thing *letter = post[i], thing;
		post[i] = NULL;
		if (!letter)
			continue;
		thing = *letter;
		memset(thing.object, thing.mark, sizeof(thing));
		thing_free(&thing);
	}
	KTAP_EQUAL(strange, 0);
	KTAP_CHECK(had > 1000);
	drop();
}

static void plenty(void)
{
	random_use(ARENA_PAGES, false);
	KTAP_EQUAL(refused, 0);
	/* The caches serve, else this test is about something else. */
	for (unsigned i = 0; i < THREADS; i++)
		KTAP_CHECK(heap_cache[i].hits > 4 * heap_cache[i].refills);
}

static void scarce(void)
{
	random_use(56, true);
	KTAP_CHECK(refused > 0);
}

/* One pins what another frees: one of them is refused, never both let through. */
static pa_t contested;
static unsigned long pinned, freed;
static pthread_barrier_t barrier;

static void *pin_or_free(void *arg)
{
	processor = (unsigned)(uintptr_t)arg;
	for (unsigned i = 0; i < 1500; i++) {
		if (processor == 0)
			expect(page_alloc(&pages, 0, &contested) == 0);
		pthread_barrier_wait(&barrier);
		pa_t page = contested;
		int result = processor == 0 ? page_free(&pages, page, 0) : page_pin(&pages, page);
		pthread_barrier_wait(&barrier);
		if (processor == 1) {
			expect(result == 0 || result == -EFAULT);
			pinned += result == 0;
			if (result == 0)
				expect(page_unpin(&pages, page) == 0);
		} else {
			expect(result == 0 || result == -EBUSY);
			freed += result == 0;
		}
		pthread_barrier_wait(&barrier);
		if (processor == 0 && result == -EBUSY)
			expect(page_free(&pages, page, 0) == 0);
	}
	return NULL;
}

static void pins_against_frees(void)
{
	setup(512);
	strange = pinned = freed = 0;
	KTAP_EQUAL(pthread_barrier_init(&barrier, NULL, 2), 0);
	run(pin_or_free, 2);
	pthread_barrier_destroy(&barrier);
	KTAP_EQUAL(strange, 0);
	KTAP_EQUAL(pinned + freed, 1500);
	drop();
}

static const struct ktap_case cases[] = {
	{"a ticket lock lets one in at a time", lock_excludes},
	{"a ticket lock serves in turn", lock_is_in_turn},
	{"pages: no lock on the fast path, a bounded cache, every refusal", page_fast_path},
	{"objects: no lock on the fast path, zeroed, every refusal", object_fast_path},
	{"what lies in a cache is had by all who need it", pressure},
	{"many processors, plenty of memory", plenty},
	{"many processors, little memory", scarce},
	{"a page is pinned or freed, never both", pins_against_frees},
};

KTAP_MAIN(cases)
