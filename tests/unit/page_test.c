/* SPDX-License-Identifier: MIT */
/*
 * The page allocator: the memory map against a byte-by-byte reference, and runs
 * against a reference that keeps one word per page, over an arena whose physical
 * addresses are not its virtual ones.
 */
#include <string.h>
#include <sys/mman.h>

#include "kernel/page.h"
#include "tests/ktap.h"
#include "tests/test_os.h"

#define PAGES(n) ((uint64_t)(n) << PAGE_SHIFT_4K)

/* ---- an arena: address space that costs memory only where it is touched -------------- */

struct arena {
	void *memory;
	uint64_t bytes;
	uintptr_t direct_map; /* memory stands for physical `start` and up */
};

static struct arena arena_make(uint64_t start, uint64_t bytes)
{
	struct arena arena = {.bytes = bytes};

	arena.memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena.memory == MAP_FAILED) {
		printf("Bail out! no address space for the arena\n");
		exit(EXIT_FAILURE);
	}
	arena.direct_map = (uintptr_t)arena.memory - start;
	return arena;
}

static void arena_drop(struct arena *arena)
{
	munmap(arena->memory, arena->bytes);
}

/* ---- the memory map ------------------------------------------------------------------ */

static struct boot_memory usable(uint64_t start, uint64_t bytes)
{
	return (struct boot_memory){.start = start, .bytes = bytes, .kind = BOOT_MEMORY_USABLE};
}

static struct boot_memory reserved(uint64_t start, uint64_t bytes)
{
	return (struct boot_memory){.start = start, .bytes = bytes, .kind = BOOT_MEMORY_RESERVED};
}

/** The definition: usable if some entry says so and no other entry covers it. */
static bool byte_usable(const struct boot_memory *map, size_t count, const struct boot_memory *keep,
                        size_t keep_count, uint64_t at)
{
	bool good = false;

	for (size_t i = 0; i < count; i++) {
		if (at < map[i].start || at - map[i].start >= map[i].bytes)
			continue;
		if (map[i].kind != BOOT_MEMORY_USABLE)
			return false;
		good = true;
	}
	for (size_t i = 0; i < keep_count; i++)
		if (at >= keep[i].start && at - keep[i].start < keep[i].bytes)
			return false;
	return good;
}

static void map_matches_reference(void)
{
	enum { SPACE = 256, MAP = 8, KEEP = 3 };
	uint64_t seed = 0x1234567;

	for (unsigned round = 0; round < 3000; round++) {
		struct boot_memory map[MAP], keep[KEEP];
		size_t count = test_random(&seed) % (MAP + 1);
		size_t keep_count = test_random(&seed) % (KEEP + 1);
		for (size_t i = 0; i < count; i++) {
			map[i] = usable(test_random(&seed) % SPACE, test_random(&seed) % 70);
			if (test_random(&seed) % 3 == 0)
				map[i].kind = (enum boot_memory_kind)(1 + test_random(&seed) % 5);
		}
		for (size_t i = 0; i < keep_count; i++)
			keep[i] = usable(test_random(&seed) % SPACE, test_random(&seed) % 20);

		uint64_t from = test_random(&seed) % 8, at = from, start, end;
		while (page_map_next(map, count, keep, keep_count, at, &start, &end)) {
			KTAP_CHECK(start >= at && start < end);
			for (; at < start; at++)
				KTAP_CHECK(!byte_usable(map, count, keep, keep_count, at));
			for (; at < end; at++)
				KTAP_CHECK(byte_usable(map, count, keep, keep_count, at));
			/* Ranges are maximal. */
			KTAP_CHECK(!byte_usable(map, count, keep, keep_count, end));
			if (ktap_failed)
				return;
		}
		for (; at < SPACE + 80; at++)
			KTAP_CHECK(!byte_usable(map, count, keep, keep_count, at));
	}
}

static void map_at_the_ends(void)
{
	uint64_t start, end;
	/* Lengths that overflow are cut at the processor's limit. */
	struct boot_memory far[] = {usable(UINT64_C(1) << 51, UINT64_MAX), reserved(UINT64_MAX, 1),
	                            usable(PAGE_ADDRESS_LIMIT, 4096)};
	KTAP_CHECK(page_map_next(far, 3, NULL, 0, 0, &start, &end));
	KTAP_CHECK(start == UINT64_C(1) << 51 && end == PAGE_ADDRESS_LIMIT);
	KTAP_CHECK(!page_map_next(far, 3, NULL, 0, end, &start, &end));
	KTAP_CHECK(!page_map_next(far, 3, NULL, 0, UINT64_MAX, &start, &end));

	/* All of memory forbidden. */
	struct boot_memory none[] = {usable(0, UINT64_MAX), reserved(0, UINT64_MAX)};
	KTAP_CHECK(!page_map_next(none, 2, NULL, 0, 0, &start, &end));
	struct page_allocator allocator;
	KTAP_EQUAL(page_init(&allocator, none, 2, NULL, 0, 0), -ENOMEM);
	KTAP_EQUAL(page_init(&allocator, none, 0, NULL, 0, 0), -ENOMEM);
}

/* ---- building ------------------------------------------------------------------------ */

static unsigned free_runs(const struct page_allocator *allocator, unsigned order)
{
	unsigned count = 0;

	for (uint64_t page = allocator->free_head[order]; page != UINT64_MAX; count++)
		page = *(uint64_t *)(allocator->direct_map + PAGES(page));
	return count;
}

static void low_memory_is_left_alone(void)
{
	struct arena arena = arena_make(0, 4 << 20);
	struct boot_memory map[] = {usable(0, 4 << 20)};
	struct page_allocator allocator;
	pa_t run;

	KTAP_EQUAL(page_init(&allocator, map, 1, NULL, 0, arena.direct_map), 0);
	/* 1 MiB to 4 MiB, less 2 pages of bookkeeping for 1024 pages. */
	KTAP_EQUAL(allocator.usable_pages, 768 - 2);
	while (page_alloc(&allocator, 0, &run) == 0)
		KTAP_CHECK(run.value >= 1 << 20 && run.value < 4 << 20);
	KTAP_EQUAL(allocator.free_pages, 0);
	arena_drop(&arena);
}

static void partial_pages_and_keeps(void)
{
	const uint64_t base = UINT64_C(0x40000000);
	struct arena arena = arena_make(base, PAGES(64));
	/* Two entries meet inside page 3, so it is whole; the last page is not. */
	struct boot_memory map[] = {usable(base + PAGES(3) + 100, PAGES(20)),
	                            usable(base + 1, PAGES(3) + 99),
	                            reserved(base + PAGES(10) + 5, 1)};
	struct boot_memory keep[] = {reserved(base + PAGES(15) - 1, 2)};
	struct page_allocator allocator;
	bool seen[64] = {false};
	pa_t run;

	/* The bookkeeping for 1 GiB would not fit: too far up for so little memory. */
	KTAP_EQUAL(page_init(&allocator, map, 3, keep, 1, arena.direct_map), -ENOMEM);
	arena_drop(&arena);

	const uint64_t low = UINT64_C(0x100000);
	arena = arena_make(low, PAGES(64));
	for (unsigned i = 0; i < 3; i++)
		map[i].start = map[i].start - base + low;
	keep[0].start = keep[0].start - base + low;
	KTAP_EQUAL(page_init(&allocator, map, 3, keep, 1, arena.direct_map), 0);
	while (page_alloc(&allocator, 0, &run) == 0)
		seen[(run.value - low) >> PAGE_SHIFT_4K] = true;
	for (unsigned i = 0; i < 64; i++) {
		/* Page 0 begins inside, 1 is the bookkeeping; 10, 14 and 15 are taken; the
		 * end lies inside page 23. */
		bool wanted = i >= 2 && i < 23 && i != 10 && i != 14 && i != 15;
		KTAP_EQUAL(seen[i], wanted);
	}
	arena_drop(&arena);
}

static void bookkeeping_skips_small_ranges(void)
{
	struct arena arena = arena_make(0x100000, 64 << 20);
	/* 16383 pages need 32 pages of bookkeeping: neither of the first two ranges holds it. */
	struct boot_memory map[] = {usable(0x100000, PAGES(4)), usable(0x200000, PAGES(31)),
	                            usable(0x300000, PAGES(33)), usable(0x3fff000, PAGES(1))};
	struct page_allocator allocator;
	uint32_t pins;

	KTAP_EQUAL(page_init(&allocator, map, 4, NULL, 0, arena.direct_map), 0);
	KTAP_EQUAL(allocator.page_count, 16384);
	KTAP_EQUAL(allocator.usable_pages, 4 + 31 + 1 + 1);
	KTAP_EQUAL(allocator.lost_pages, 0);
	KTAP_EQUAL((uintptr_t)allocator.pages - arena.direct_map, 0x300000);
	KTAP_EQUAL(page_run(&allocator, pa(0x300000), NULL, NULL, &pins), -EFAULT);
	arena_drop(&arena);
}

static void far_memory_is_given_up(void)
{
	struct arena arena = arena_make(0x100000, 8 << 20);
	/* Bookkeeping up to 16 TiB would be 32 GiB. */
	struct boot_memory map[] = {usable(UINT64_C(1) << 44, PAGES(7)), usable(0x100000, 8 << 20)};
	struct page_allocator allocator;

	KTAP_EQUAL(page_init(&allocator, map, 2, NULL, 0, arena.direct_map), 0);
	KTAP_EQUAL(allocator.lost_pages, 7);
	KTAP_EQUAL(allocator.page_count, 0x900000 >> 12);
	arena_drop(&arena);
}

/* ---- runs ---------------------------------------------------------------------------- */

static void gigabyte_runs(void)
{
	const uint64_t gib = PAGE_SIZE_1G;
	struct arena arena = arena_make(0, 5 * gib);
	struct boot_memory map[] = {usable(0, 3 * gib), usable(3 * gib + 4096, 2 * gib - 4096)};
	struct page_allocator allocator;
	pa_t a, b, c, small;
	unsigned order;
	uint32_t pins;

	KTAP_EQUAL(page_init(&allocator, map, 2, NULL, 0, arena.direct_map), 0);
	/* Whole: 1-2, 2-3 and 4-5 GiB. */
	KTAP_EQUAL(page_alloc(&allocator, 18, &a), 0);
	KTAP_EQUAL(page_alloc(&allocator, 18, &b), 0);
	KTAP_EQUAL(page_alloc(&allocator, 18, &c), 0);
	KTAP_CHECK(!(a.value % gib) && !(b.value % gib) && !(c.value % gib));
	KTAP_CHECK(a.value != b.value && b.value != c.value && a.value != c.value);
	KTAP_EQUAL(page_alloc(&allocator, 18, &small), -ENOMEM);
	KTAP_EQUAL(page_alloc(&allocator, 19, &small), -EINVAL);
	KTAP_EQUAL(page_alloc(&allocator, UINT32_MAX, &small), -EINVAL);

	/* A pin anywhere in the run holds all of it. */
	KTAP_EQUAL(page_pin(&allocator, pa_add(b, gib - 1)), 0);
	KTAP_EQUAL(page_pin(&allocator, b), 0);
	KTAP_EQUAL(page_pinned_count(&allocator), 1);
	KTAP_EQUAL(page_free(&allocator, b, 18), -EBUSY);
	KTAP_EQUAL(page_unpin(&allocator, pa_add(b, 4096)), 0);
	KTAP_EQUAL(page_free(&allocator, b, 18), -EBUSY);
	KTAP_EQUAL(page_run(&allocator, pa_add(b, 12345), &small, &order, &pins), 0);
	KTAP_CHECK(small.value == b.value && order == 18 && pins == 1);
	KTAP_EQUAL(page_unpin(&allocator, b), 0);
	KTAP_EQUAL(page_unpin(&allocator, b), -EINVAL);
	KTAP_EQUAL(page_pinned_count(&allocator), 0);
	KTAP_EQUAL(page_free(&allocator, b, 17), -EINVAL);
	KTAP_EQUAL(page_free(&allocator, pa_add(b, 4096), 0), -EINVAL);
	KTAP_EQUAL(page_free(&allocator, pa_add(b, 1), 18), -EINVAL);
	KTAP_EQUAL(page_free(&allocator, b, 18), 0);
	KTAP_EQUAL(page_free(&allocator, b, 18), -EINVAL);
	KTAP_EQUAL(page_pin(&allocator, b), -EFAULT);
	KTAP_EQUAL(page_unpin(&allocator, b), -EFAULT);
	KTAP_EQUAL(page_run(&allocator, pa(UINT64_MAX), &small, &order, &pins), -EFAULT);
	KTAP_EQUAL(page_free(&allocator, pa(UINT64_MAX & ~UINT64_C(4095)), 0), -EINVAL);

	/* A large free run that is broken and mended again. */
	KTAP_EQUAL(free_runs(&allocator, 18), 1);
	KTAP_EQUAL(page_free(&allocator, a, 18), 0);
	KTAP_EQUAL(page_free(&allocator, c, 18), 0);
	KTAP_EQUAL(free_runs(&allocator, 18), 3);
	arena_drop(&arena);
}

static void pins_do_not_wrap(void)
{
	struct arena arena = arena_make(0x100000, 1 << 20);
	struct boot_memory map[] = {usable(0x100000, 1 << 20)};
	struct page_allocator allocator;
	pa_t run;

	KTAP_EQUAL(page_init(&allocator, map, 1, NULL, 0, arena.direct_map), 0);
	KTAP_EQUAL(page_alloc(&allocator, 3, &run), 0);
	KTAP_EQUAL(page_pin(&allocator, run), 0);
	/* The count is the first word of the page's 8 bytes. */
	uint32_t *pins = (uint32_t *)((char *)allocator.pages + (run.value >> 12) * 8);
	KTAP_EQUAL(*pins, 1);
	*pins = UINT32_MAX;
	KTAP_EQUAL(page_pin(&allocator, run), -EOVERFLOW);
	KTAP_EQUAL(*pins, UINT32_MAX);
	*pins = 1;
	KTAP_EQUAL(page_unpin(&allocator, run), 0);
	KTAP_EQUAL(page_free(&allocator, run, 3), 0);
	arena_drop(&arena);
}

/* ---- random operations against a word per page ----------------------------------------- */

enum { REF_PAGES = 4096, REF_RUNS = 300 };

struct reference {
	uint64_t base; /* page number of page 0 */
	bool usable[REF_PAGES];
	int run_of[REF_PAGES]; /* index into runs, or -1 */
	struct {
		uint64_t page;
		unsigned order;
		uint32_t pins;
		bool live;
	} runs[REF_RUNS];
	uint64_t free, pinned;
};

static void ref_take(struct reference *ref, int slot, uint64_t page, unsigned order)
{
	uint64_t first = page - ref->base;

	KTAP_EQUAL(page & ((UINT64_C(1) << order) - 1), 0);
	for (uint64_t i = first; i < first + (UINT64_C(1) << order); i++) {
		KTAP_CHECK(i < REF_PAGES && ref->usable[i]);
		if (i >= REF_PAGES)
			return;
		KTAP_EQUAL(ref->run_of[i], -1);
		ref->run_of[i] = slot;
	}
	ref->runs[slot].page = page;
	ref->runs[slot].order = order;
	ref->runs[slot].pins = 0;
	ref->runs[slot].live = true;
	ref->free -= UINT64_C(1) << order;
}

/** True if an aligned free run of @p order exists: what the allocator must find. */
static bool ref_has(const struct reference *ref, unsigned order)
{
	uint64_t size = UINT64_C(1) << order;

	for (uint64_t at = 0; at + size <= REF_PAGES; at += size) {
		uint64_t i = 0;
		while (i < size && ref->usable[at + i] && ref->run_of[at + i] < 0)
			i++;
		if (i == size)
			return true;
	}
	return false;
}

static void ref_step(struct reference *ref, struct page_allocator *allocator, uint64_t *seed)
{
	int slot = (int)(test_random(seed) % REF_RUNS);
	uint64_t at = ref->base + test_random(seed) % REF_PAGES;
	int run = ref->run_of[at - ref->base];
	pa_t start, where = pa(PAGES(at) + test_random(seed) % 4096);
	unsigned order;
	uint32_t pins;

	switch (test_random(seed) % 6) {
	case 0:
	case 1: /* allocate */
		if (ref->runs[slot].live)
			break;
		order = (unsigned)(test_random(seed) % 9 * (test_random(seed) % 2));
		bool wanted = ref_has(ref, order);
		KTAP_EQUAL(page_alloc(allocator, order, &start), wanted ? 0 : -ENOMEM);
		if (wanted && !ktap_failed)
			ref_take(ref, slot, start.value >> 12, order);
		break;
	case 2: /* free, rightly */
		if (!ref->runs[slot].live)
			break;
		order = ref->runs[slot].order;
		KTAP_EQUAL(page_free(allocator, pa(PAGES(ref->runs[slot].page)), order),
		           ref->runs[slot].pins ? -EBUSY : 0);
		if (ref->runs[slot].pins)
			break;
		for (uint64_t i = 0; i < UINT64_C(1) << order; i++)
			ref->run_of[ref->runs[slot].page - ref->base + i] = -1;
		ref->free += UINT64_C(1) << order;
		ref->runs[slot].live = false;
		break;
	case 3: /* free anything */
		order = (unsigned)(test_random(seed) % 10);
		if (run >= 0 && ref->runs[run].page == at && ref->runs[run].order == order)
			break;
		KTAP_EQUAL(page_free(allocator, pa(PAGES(at)), order), -EINVAL);
		break;
	case 4: /* pin and look */
		KTAP_EQUAL(page_pin(allocator, where), run < 0 ? -EFAULT : 0);
		if (run >= 0 && !ref->runs[run].pins++)
			ref->pinned++;
		KTAP_EQUAL(page_run(allocator, where, &start, &order, &pins),
		           run < 0 ? -EFAULT : 0);
		if (run >= 0)
			KTAP_CHECK(start.value == PAGES(ref->runs[run].page) &&
			           order == ref->runs[run].order && pins == ref->runs[run].pins);
		break;
	default: /* unpin */
		KTAP_EQUAL(page_unpin(allocator, where),
		           run < 0 ? -EFAULT : (ref->runs[run].pins ? 0 : -EINVAL));
		if (run >= 0 && ref->runs[run].pins) {
			ref->runs[run].pins--;
			if (!ref->runs[run].pins)
				ref->pinned--;
		}
	}
	KTAP_EQUAL(allocator->free_pages, ref->free);
	KTAP_EQUAL(page_pinned_count(allocator), ref->pinned);
}

static struct reference ref; /* too large for a stack */

static void random_against_reference(void)
{
	const uint64_t base = UINT64_C(0x1000000);
	struct arena arena = arena_make(base, PAGES(REF_PAGES));
	struct boot_memory map[] = {usable(base, PAGES(REF_PAGES)),
	                            reserved(base + PAGES(777), PAGES(3)),
	                            reserved(base + PAGES(2048), PAGES(1))};
	struct page_allocator allocator;
	unsigned before[PAGE_MAX_ORDER + 1];
	uint64_t seed = 42;

	KTAP_EQUAL(page_init(&allocator, map, 3, NULL, 0, arena.direct_map), 0);
	memset(&ref, 0, sizeof(ref));
	ref.base = base >> 12;
	uint64_t home = (((uintptr_t)allocator.pages - arena.direct_map) >> 12) - ref.base;
	uint64_t home_pages = (allocator.page_count * 8 + 4095) / 4096;
	for (uint64_t i = 0; i < REF_PAGES; i++) {
		ref.run_of[i] = -1;
		ref.usable[i] = !(i >= 777 && i < 780) && i != 2048 &&
		                !(i >= home && i < home + home_pages);
		ref.free += ref.usable[i];
	}
	KTAP_EQUAL(allocator.usable_pages, ref.free);
	for (unsigned order = 0; order <= PAGE_MAX_ORDER; order++)
		before[order] = free_runs(&allocator, order);

	for (unsigned step = 0; step < 60000 && !ktap_failed; step++) {
		ref_step(&ref, &allocator, &seed);
		/* What is written to allocated memory must not matter to the allocator. */
		if (step % 16 == 0) {
			unsigned slot = (unsigned)(test_random(&seed) % REF_RUNS);
			if (ref.runs[slot].live)
				memset((char *)arena.direct_map + PAGES(ref.runs[slot].page), 0xa5,
				       PAGES(1) << ref.runs[slot].order);
		}
	}

	/* Everything given back: every run has merged to what it was at first. */
	for (unsigned slot = 0; slot < REF_RUNS; slot++) {
		pa_t run = pa(PAGES(ref.runs[slot].page));
		if (!ref.runs[slot].live)
			continue;
		for (; ref.runs[slot].pins; ref.runs[slot].pins--)
			KTAP_EQUAL(page_unpin(&allocator, run), 0);
		KTAP_EQUAL(page_free(&allocator, run, ref.runs[slot].order), 0);
	}
	KTAP_EQUAL(allocator.free_pages, allocator.usable_pages);
	KTAP_EQUAL(page_pinned_count(&allocator), 0);
	for (unsigned order = 0; order <= PAGE_MAX_ORDER; order++)
		KTAP_EQUAL(free_runs(&allocator, order), before[order]);
	arena_drop(&arena);
}

/* ---- the caller's bracket ---------------------------------------------------------------- */

static int bracket_depth, bracket_uses;

static uint64_t bracket_enter(void)
{
	KTAP_EQUAL(bracket_depth++, 0);
	bracket_uses++;
	return 77;
}

static void bracket_leave(uint64_t state)
{
	KTAP_EQUAL(state, 77);
	KTAP_EQUAL(--bracket_depth, 0);
}

static void every_call_is_bracketed(void)
{
	struct arena arena = arena_make(0x100000, 1 << 20);
	struct boot_memory map[] = {usable(0x100000, 1 << 20)};
	struct page_allocator allocator;
	pa_t run;

	KTAP_EQUAL(page_init(&allocator, map, 1, NULL, 0, arena.direct_map), 0);
	allocator.enter = bracket_enter;
	allocator.leave = bracket_leave;
	bracket_uses = 0;
	KTAP_EQUAL(page_alloc(&allocator, 0, &run), 0);
	KTAP_EQUAL(page_alloc(&allocator, 18, &run), -ENOMEM);
	KTAP_EQUAL(page_pin(&allocator, run), 0);
	KTAP_EQUAL(page_free(&allocator, run, 0), -EBUSY);
	KTAP_EQUAL(page_unpin(&allocator, run), 0);
	KTAP_EQUAL(page_unpin(&allocator, run), -EINVAL);
	KTAP_EQUAL(page_run(&allocator, run, NULL, NULL, NULL), 0);
	KTAP_EQUAL(page_free(&allocator, run, 0), 0);
	KTAP_EQUAL(page_free(&allocator, run, 0), -EINVAL);
	KTAP_EQUAL(page_pin(&allocator, run), -EFAULT);
	KTAP_EQUAL(bracket_uses, 6); /* pins are one exchange, and need no bracket */
	KTAP_EQUAL(bracket_depth, 0);
	arena_drop(&arena);
}

static const struct ktap_case cases[] = {
	{"a memory map is read as its definition says, byte by byte", map_matches_reference},
	{"maps that reach or pass the end of the address space", map_at_the_ends},
	{"nothing below 1 MiB is handed out", low_memory_is_left_alone},
	{"partial pages and kept ranges are left alone", partial_pages_and_keeps},
	{"bookkeeping goes to the first range that holds it", bookkeeping_skips_small_ranges},
	{"memory too far up for its bookkeeping is given up", far_memory_is_given_up},
	{"1 GiB runs: pins, refusals, merging", gigabyte_runs},
	{"a pin count does not wrap", pins_do_not_wrap},
	{"random operations agree with a reference", random_against_reference},
	{"each call that moves memory is bracketed by enter and leave", every_call_is_bracketed},
};

KTAP_MAIN(cases)
