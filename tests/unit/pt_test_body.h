/* SPDX-License-Identifier: MIT */
/*
 * Tests of the page-table engine that every format must pass. A test program
 * defines PT_NAME as `fmt`, includes a format and the engine, then this, and lists
 * `struct pt_config` values of its own.
 *
 * The reference is a flat array over a small universe of 4 KiB pages that straddles
 * a boundary of the tree's upper levels: for each page, the memory, the rights and
 * the size of the leaf that should hold it. It knows nothing of tables.
 */
#ifndef TESTS_UNIT_PT_TEST_BODY_H
#define TESTS_UNIT_PT_TEST_BODY_H

#include <string.h>

#include "iommu/iommu.h"
#include "tests/ktap.h"
#include "tests/test_os.h"

struct pt_config {
	const char *name;
	unsigned levels;
	uint64_t page_sizes;
	uint64_t base; /* of the universe, 1 GiB aligned */
	bool flush;    /* leaves may take the place of empty tables */
};

enum {
	UNIVERSE = 3 << 18, /* pages: 3 GiB */
	MAX_TABLES = 4096,
};

struct ref_page {
	uint64_t memory : 52; /* page number + 1; 0: not mapped */
	uint64_t rights : 4;
	uint64_t shift : 6; /* of the leaf */
};

struct bench {
	struct test_os test;
	struct iommu core;
	struct iommu_domain domain;
	struct iommu_gather gather;
	struct pt pt;
	const struct pt_config *config;
	struct ref_page *ref;
	uint64_t seed;
	int flush_result; /* what pt.flush answers */
	unsigned flushes;
};

static struct bench *bench_of_pt(struct pt *pt)
{
	return container_of(pt, struct bench, pt);
}

static int bench_flush(struct pt *pt, struct iommu_gather *gather)
{
	struct bench *bench = bench_of_pt(pt);

	KTAP_CHECK(!iommu_gather_empty(gather));
	KTAP_CHECK(gather->pages.value == IOMMU_NO_PAGE.value);
	bench->flushes++;
	return bench->flush_result;
}

static void bench_init(struct bench *bench, const struct pt_config *config, bool coherent)
{
	memset(bench, 0, sizeof(*bench));
	test_os_init(&bench->test);
	bench->core.os = &bench->test.os;
	bench->domain.iommu = &bench->core;
	bench->config = config;
	bench->seed = 0x1234567 + config->levels;
	iommu_gather_init(&bench->gather, &bench->domain);
	KTAP_EQUAL(fmt_init(&bench->pt, &bench->test.os, config->levels, config->page_sizes, 0,
			    coherent),
		   0);
	bench->pt.domain = &bench->domain;
	bench->pt.flush = config->flush ? bench_flush : NULL;
	bench->ref = calloc(UNIVERSE, sizeof(*bench->ref));
}

/** What a driver does after a change: here, only the pages matter. */
static void bench_settle(struct bench *bench)
{
	iommu_gather_release(&bench->gather);
	iommu_gather_init(&bench->gather, &bench->domain);
}

static void bench_exit(struct bench *bench)
{
	bench_settle(bench);
	fmt_destroy(&bench->pt);
	KTAP_EQUAL(bench->pt.table_pages, 0);
	KTAP_CHECK(test_os_is_clean(&bench->test));
	free(bench->ref);
}

static uint64_t bench_random(struct bench *bench, uint64_t below)
{
	return test_random(&bench->seed) % below;
}

static iova_t page_iova(const struct bench *bench, uint64_t page)
{
	return iova(bench->config->base + page * PAGE_SIZE_4K);
}

/** Compare what the table says of one page with the reference. */
static void check_page(struct bench *bench, uint64_t page)
{
	const struct ref_page *ref = &bench->ref[page];
	struct iommu_leaf leaf;
	bool found = fmt_lookup(&bench->pt, iova(page_iova(bench, page).value + 0x123), &leaf);

	KTAP_EQUAL(found, ref->memory != 0);
	if (!found || !ref->memory)
		return;
	uint64_t inside = page_iova(bench, page).value - leaf.iova.value;
	KTAP_EQUAL(leaf.pa.value + inside, (ref->memory - 1) * PAGE_SIZE_4K);
	KTAP_EQUAL(leaf.bytes, UINT64_C(1) << ref->shift);
	KTAP_EQUAL(leaf.rights, ref->rights);
	KTAP_CHECK(leaf.iova.value % leaf.bytes == 0 && leaf.pa.value % leaf.bytes == 0);
	KTAP_CHECK(inside < leaf.bytes);
	KTAP_EQUAL(leaf.entry, *(uint64_t *)iommu_os_va(&bench->test.os, leaf.entry_pa));
	KTAP_CHECK(!leaf.dirty);
}

struct visit_state {
	struct bench *bench;
	uint64_t next; /* page: everything below was dealt with */
};

static bool visit_check(void *arg, const struct iommu_leaf *leaf)
{
	struct visit_state *state = arg;
	struct bench *bench = state->bench;
	uint64_t page = (leaf->iova.value - bench->config->base) / PAGE_SIZE_4K;

	KTAP_CHECK(page >= state->next && page < UNIVERSE);
	for (; state->next < page && state->next < UNIVERSE; state->next++)
		KTAP_EQUAL(bench->ref[state->next].memory, 0);
	for (uint64_t i = 0; i < leaf->bytes / PAGE_SIZE_4K; i++, state->next++) {
		KTAP_EQUAL(bench->ref[state->next].memory, leaf->pa.value / PAGE_SIZE_4K + i + 1);
		KTAP_EQUAL(1 << bench->ref[state->next].shift, leaf->bytes);
		KTAP_EQUAL(bench->ref[state->next].rights, leaf->rights);
	}
	return !ktap_failed;
}

/** Compare everything. */
static void check_all(struct bench *bench)
{
	struct visit_state state = {.bench = bench};

	fmt_visit(&bench->pt, iova(0), iova(~UINT64_C(0)), visit_check, &state);
	for (; state.next < UNIVERSE && !ktap_failed; state.next++)
		KTAP_EQUAL(bench->ref[state.next].memory, 0);
}

/** The largest leaf that may start at @p page. */
static unsigned ref_shift(const struct bench *bench, uint64_t page, uint64_t memory, uint64_t left)
{
	unsigned shift = PAGE_SHIFT_4K;

	for (unsigned try = PAGE_SHIFT_2M; try <= PAGE_SHIFT_1G; try += 9) {
		uint64_t pages = UINT64_C(1) << (try - PAGE_SHIFT_4K);
		if ((page | memory) % pages || left < pages)
			break;
		if (bench->config->page_sizes >> try & 1)
			shift = try;
	}
	return shift;
}

static void ref_map(struct bench *bench, uint64_t page, uint64_t memory, uint64_t count,
		    uint32_t rights)
{
	while (count) {
		unsigned shift = ref_shift(bench, page, memory, count);
		struct iommu_leaf leaf;
		if (!bench->config->flush &&
		    fmt_lookup(&bench->pt, page_iova(bench, page), &leaf)) {
			/* an empty table may have kept it smaller */
			KTAP_CHECK(leaf.bytes <= UINT64_C(1) << shift);
			shift = (unsigned)__builtin_ctzll(leaf.bytes);
		}
		for (uint64_t i = 0; i < UINT64_C(1) << (shift - PAGE_SHIFT_4K); i++)
			bench->ref[page + i] = (struct ref_page){.memory = memory + i + 1,
								 .rights = rights & 15,
								 .shift = shift & 63};
		uint64_t pages = UINT64_C(1) << (shift - PAGE_SHIFT_4K);
		page += pages;
		memory += pages;
		count -= pages;
	}
}

static bool ref_is_free(const struct bench *bench, uint64_t page, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (bench->ref[page + i].memory)
			return false;
	return true;
}

/** Unmap in the reference. Returns pages; the hull of what was mapped in *first, *last. */
static uint64_t ref_unmap(struct bench *bench, uint64_t page, uint64_t count, uint64_t *first,
			  uint64_t *last)
{
	uint64_t end = page + count, unmapped = 0;

	*first = 1;
	*last = 0;
	while (page < end) {
		struct ref_page ref = bench->ref[page];
		if (!ref.memory) {
			page++;
			continue;
		}
		uint64_t pages = UINT64_C(1) << (ref.shift - PAGE_SHIFT_4K);
		if (page % pages || end - page < pages)
			break;
		memset(&bench->ref[page], 0, pages * sizeof(bench->ref[0]));
		if (!unmapped)
			*first = page;
		*last = page + pages - 1;
		page += pages;
		unmapped += pages;
	}
	return unmapped;
}

/** A random run of pages: mostly small, sometimes of whole tables. */
static void random_run(struct bench *bench, uint64_t *page, uint64_t *count)
{
	static const unsigned align[] = {0, 0, 0, 4, 9, 9, 18};
	static const unsigned sizes[] = {1, 17, 40, 600, 512 * 3, 1 << 18};
	unsigned shift = align[bench_random(bench, ARRAY_SIZE(align))];

	/* most happens near the boundary at 1 GiB, so that operations meet */
	*page = bench_random(bench, 4) ? (1 << 18) - 4096 + bench_random(bench, 8192)
				       : bench_random(bench, UNIVERSE);
	*page = *page >> shift << shift;
	*count = sizes[bench_random(bench, bench_random(bench, 4) ? 5 : 6)];
	if (bench_random(bench, 2))
		*count = 1 + bench_random(bench, *count);
	if (bench_random(bench, 3) == 0)
		*count = (*count + 511) & ~UINT64_C(511);
	if (*count > UNIVERSE - *page)
		*count = UNIVERSE - *page;
}

static void random_map(struct bench *bench)
{
	static const uint32_t choices[] = {IOMMU_READ, IOMMU_READ | IOMMU_WRITE,
					   IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE, IOMMU_WRITE};
	uint32_t rights = choices[bench_random(bench, 4)];
	uint64_t page, count, memory, tables = bench->pt.table_pages;

	random_run(bench, &page, &count);
	/* memory that is aligned as the address is, often; and never within 4 KiB of it */
	memory = (UINT64_C(1) << 20) + bench_random(bench, 1 << 24);
	if (bench_random(bench, 4))
		memory = (memory >> 18 << 18) + page % (1 << 18);

	uint64_t bits;
	bool fits = pt_format_bits(rights, &bits) == 0;
	if (bench_random(bench, 4) == 0)
		bench->test.fail_at = bench->test.allocations + 1 + (long)bench_random(bench, 4);
	if (bench_random(bench, 8) == 0)
		bench->flush_result = -ETIMEDOUT;
	int result = fmt_map(&bench->pt, page_iova(bench, page), pa(memory * PAGE_SIZE_4K),
			     count * PAGE_SIZE_4K, rights, &bench->gather);
	if (!fits)
		KTAP_EQUAL(result, -EOPNOTSUPP);
	else if (!result || result == -EEXIST)
		KTAP_EQUAL(result, ref_is_free(bench, page, count) ? 0 : -EEXIST);
	else if (result == -ENOMEM)
		KTAP_CHECK(bench->test.fail_at && bench->test.allocations >= bench->test.fail_at);
	else
		KTAP_EQUAL(result, bench->flush_result ? bench->flush_result : 1);
	bench->test.fail_at = 0;
	bench->flush_result = 0;
	if (result)
		KTAP_CHECK(bench->pt.table_pages <= tables);
	else
		ref_map(bench, page, memory, count, rights & (IOMMU_READ | IOMMU_WRITE));
	check_page(bench, page);
	check_page(bench, page + count - 1);
}

static void random_unmap(struct bench *bench)
{
	uint64_t page, count, first, last;
	uint64_t tables = bench->pt.table_pages;

	random_run(bench, &page, &count);
	bench_settle(bench);
	uint64_t bytes =
		fmt_unmap(&bench->pt, page_iova(bench, page), count * PAGE_SIZE_4K, &bench->gather);
	KTAP_EQUAL(bytes, ref_unmap(bench, page, count, &first, &last) * PAGE_SIZE_4K);
	KTAP_EQUAL(bench->pt.table_pages + bench->gather.page_count, tables);
	if (bench->gather.page_count)
		KTAP_CHECK(bench->gather.tables);
	if (!bytes)
		return;
	iova_t hull_first = page_iova(bench, first);
	iova_t hull_last = iova(page_iova(bench, last + 1).value - 1);
	if (bench->gather.tables) { /* an empty table widens it */
		KTAP_CHECK(bench->gather.first.value <= hull_first.value);
		KTAP_CHECK(bench->gather.last.value >= hull_last.value);
	} else {
		KTAP_EQUAL(bench->gather.first.value, hull_first.value);
		KTAP_EQUAL(bench->gather.last.value, hull_last.value);
	}
}

static void random_split(struct bench *bench)
{
	uint64_t page, count, chunk;
	unsigned target = bench_random(bench, 2) ? PAGE_SHIFT_4K : PAGE_SHIFT_2M;

	random_run(bench, &page, &count);
	struct ref_page old = bench->ref[page];
	if (bench_random(bench, 4) == 0)
		bench->test.fail_at = bench->test.allocations + 1 + (long)bench_random(bench, 2);
	if (bench_random(bench, 4) == 0)
		bench->flush_result = -EIO;
	int result = fmt_split(&bench->pt, page_iova(bench, page), target, &bench->gather);
	if (!(bench->config->page_sizes >> target & 1))
		KTAP_EQUAL(result, -EINVAL);
	else if (!old.memory)
		KTAP_EQUAL(result, -ENOENT);
	else if (result == -ENOMEM)
		KTAP_CHECK(bench->test.fail_at && bench->test.allocations >= bench->test.fail_at);
	else
		KTAP_EQUAL(result,
			   old.shift > target && bench->config->flush ? bench->flush_result : 0);
	bench->test.fail_at = 0;
	bench->flush_result = 0;
	for (unsigned shift = old.shift; !result && shift > target;) {
		/* the leaf that holds the page becomes leaves of the next smaller size */
		do
			shift -= 9;
		while (!(bench->config->page_sizes >> shift & 1));
		unsigned from = bench->ref[page].shift;
		chunk = UINT64_C(1) << (from - PAGE_SHIFT_4K);
		for (uint64_t i = page / chunk * chunk; i < (page / chunk + 1) * chunk; i++)
			bench->ref[i].shift = shift & 63;
	}
	check_page(bench, page);
}

/** Random operations against the reference. */
static void run_random(const struct pt_config *config, bool coherent, unsigned rounds)
{
	struct bench *bench = malloc(sizeof(*bench));

	bench_init(bench, config, coherent);
	for (unsigned round = 0; round < rounds && !ktap_failed; round++) {
		uint64_t choice = bench_random(bench, 16);
		if (choice < 8)
			random_map(bench);
		else if (choice < 15)
			random_unmap(bench);
		else
			random_split(bench);
		if (bench_random(bench, 3) == 0)
			bench_settle(bench);
		for (unsigned i = 0; i < 8; i++)
			check_page(bench, bench_random(bench, UNIVERSE));
		if (round % 128 == 127)
			check_all(bench);
		if (ktap_failed)
			printf("# %s: round %u\n", config->name, round);
	}
	check_all(bench);
	if (config->flush && config->page_sizes & PAGE_SIZE_2M && !ktap_failed)
		KTAP_CHECK(bench->flushes > 0);
	/* at the end everything goes: tables, too, but the root */
	fmt_unmap(&bench->pt, iova(0), UINT64_C(1) << pt_format_width(config->levels),
		  &bench->gather);
	KTAP_EQUAL(bench->pt.table_pages, 1);
	bench_exit(bench);
	free(bench);
}

/* ---- what a unit that does not snoop sees --------------------------------------- */

struct shadow {
	uint64_t page;
	uint64_t entry[512];
	bool seen[512];
};

struct shadow_bench {
	struct bench bench;
	struct shadow *shadows;
	unsigned count;
	void (*page_free)(void *ctx, pa_t run, unsigned order);
	unsigned live; /* tables reached in the last check */
};

static struct shadow_bench *shadow_bench_of(void *ctx)
{
	return container_of((struct test_os *)ctx, struct shadow_bench, bench.test);
}

static struct shadow *shadow_find(struct shadow_bench *self, uint64_t page, bool make)
{
	for (unsigned i = 0; i < self->count; i++)
		if (self->shadows[i].page == page)
			return &self->shadows[i];
	if (!make || self->count == MAX_TABLES)
		return NULL;
	struct shadow *shadow = &self->shadows[self->count++];
	memset(shadow, 0, sizeof(*shadow));
	shadow->page = page;
	return shadow;
}

/** Every table that the unit can reach was cleaned whole before it could. */
static void shadow_reach(struct shadow_bench *self, uint64_t page, unsigned level, uint64_t avoid)
{
	struct shadow *shadow = shadow_find(self, page, false);

	KTAP_CHECK(shadow != NULL);
	KTAP_CHECK(page != avoid);
	self->live++;
	for (unsigned i = 0; shadow && i < 512; i++) {
		KTAP_CHECK(shadow->seen[i]);
		uint64_t entry = shadow->entry[i];
		if (level > 1 && entry & PT_FORMAT_PRESENT && !pt_format_is_leaf(entry, level))
			shadow_reach(self, pt_format_address(entry), level - 1, avoid);
	}
}

static void shadow_clean(void *ctx, const void *start, size_t bytes)
{
	struct shadow_bench *self = shadow_bench_of(ctx);
	uintptr_t line = (uintptr_t)start & ~(uintptr_t)63;

	for (; line < (uintptr_t)start + bytes; line += 64) {
		struct shadow *shadow = shadow_find(self, line & ~(uintptr_t)4095, true);
		KTAP_CHECK(shadow != NULL);
		for (unsigned i = 0; shadow && i < 8; i++) {
			unsigned index = (unsigned)(line % 4096 / 8) + i;
			shadow->entry[index] = ((const uint64_t *)line)[i];
			shadow->seen[index] = true;
		}
	}
	if (self->bench.pt.root.value)
		shadow_reach(self, self->bench.pt.root.value, self->bench.pt.levels, 0);
}

static void shadow_page_free(void *ctx, pa_t run, unsigned order)
{
	struct shadow_bench *self = shadow_bench_of(ctx);

	/* the flush is over: nothing that the unit reads may lead here any more */
	if (self->bench.pt.root.value)
		shadow_reach(self, self->bench.pt.root.value, self->bench.pt.levels, run.value);
	struct shadow *shadow = shadow_find(self, run.value, false);
	if (shadow)
		*shadow = self->shadows[--self->count];
	self->page_free(ctx, run, order);
}

static void run_not_coherent(const struct pt_config *config)
{
	struct shadow_bench *self = calloc(1, sizeof(*self));

	self->shadows = calloc(MAX_TABLES, sizeof(*self->shadows));
	bench_init(&self->bench, config, true);
	fmt_destroy(&self->bench.pt);
	self->page_free = self->bench.test.os.page_free;
	self->bench.test.os.page_free = shadow_page_free;
	self->bench.test.os.clean = shadow_clean;
	self->bench.pt.root = pa(0);
	KTAP_EQUAL(fmt_init(&self->bench.pt, &self->bench.test.os, config->levels,
			    config->page_sizes, 0, false),
		   0);
	self->bench.pt.domain = &self->bench.domain;
	self->bench.pt.flush = config->flush ? bench_flush : NULL;
	for (unsigned round = 0; round < 120 && !ktap_failed; round++) {
		if (bench_random(&self->bench, 15) == 0)
			random_split(&self->bench);
		else if (bench_random(&self->bench, 2))
			random_map(&self->bench);
		else
			random_unmap(&self->bench);
		bench_settle(&self->bench);
		self->live = 0;
		shadow_reach(self, self->bench.pt.root.value, config->levels, 0);
		KTAP_EQUAL(self->live, self->bench.pt.table_pages);
		/* and what it reads is what the processor wrote */
		for (unsigned i = 0; i < self->count; i++)
			KTAP_CHECK(memcmp(self->shadows[i].entry, (void *)self->shadows[i].page,
					  4096) == 0);
	}
	KTAP_CHECK(self->bench.pt.cleans > 0);
	bench_settle(&self->bench);
	pa_t root = self->bench.pt.root;
	self->bench.test.os.page_free = self->page_free;
	self->bench.pt.root = root;
	bench_exit(&self->bench);
	free(self->shadows);
	free(self);
}

/* ---- single matters ---------------------------------------------------------------- */

static void run_arguments(const struct pt_config *config)
{
	struct bench *bench = malloc(sizeof(*bench));
	uint64_t width = UINT64_C(1) << pt_format_width(config->levels);
	uint64_t memory_end = PT_FORMAT_MEMORY + PAGE_SIZE_4K;
	struct iommu_leaf leaf;
	struct pt pt;

	bench_init(bench, config, true);
	struct test_os *test = &bench->test;
	KTAP_EQUAL(fmt_init(&pt, &test->os, 2, config->page_sizes, 0, true), -EINVAL);
	KTAP_EQUAL(fmt_init(&pt, &test->os, 6, config->page_sizes, 0, true), -EINVAL);
	KTAP_EQUAL(fmt_init(&pt, &test->os, config->levels, PAGE_SIZE_2M, 0, true), -EINVAL);
	KTAP_EQUAL(fmt_init(&pt, &test->os, config->levels, PAGE_SIZE_4K | 1 << 13, 0, true),
		   -EINVAL);
	KTAP_EQUAL(fmt_init(&pt, &test->os, config->levels, PAGE_SIZE_4K, 1 << 15, true), -EINVAL);
	test->fail_at = test->allocations + 1;
	KTAP_EQUAL(fmt_init(&pt, &test->os, config->levels, PAGE_SIZE_4K, 0, true), -ENOMEM);
	test->fail_at = 0;

#define MAP(at, to, bytes)                                                                         \
	fmt_map(&bench->pt, iova(at), pa(to), bytes, IOMMU_READ | IOMMU_WRITE, &bench->gather)
	KTAP_EQUAL(MAP(0, 0, 0), -EINVAL);
	KTAP_EQUAL(MAP(0x1000, 0x1000, 0), -EINVAL);
	KTAP_EQUAL(MAP(0x800, 0x1000, 0x1000), -EINVAL);
	KTAP_EQUAL(MAP(0x1000, 0x800, 0x1000), -EINVAL);
	KTAP_EQUAL(MAP(0x1000, 0x1000, 0x800), -EINVAL);
	KTAP_EQUAL(MAP(width, 0x1000, 0x1000), -EINVAL);
	KTAP_EQUAL(MAP(width - 0x1000, 0x1000, 0x2000), -EINVAL);
	KTAP_EQUAL(MAP(~UINT64_C(0xfff), 0x1000, 0x1000), -EINVAL);
	KTAP_EQUAL(MAP(~UINT64_C(0xfff), 0x1000, 0x2000), -EINVAL);
	KTAP_EQUAL(MAP(0, memory_end - 0x1000, 0x2000), -EINVAL);
	KTAP_EQUAL(MAP(0, ~UINT64_C(0xfff), 0x1000), -EINVAL);
	KTAP_EQUAL(MAP(0, ~UINT64_C(0xfff), 0x2000), -EINVAL);
	KTAP_EQUAL(MAP(0, 0x1000, width + 0x1000), -EINVAL);
	KTAP_EQUAL(bench->pt.table_pages, 1);
	static const uint32_t wrong[] = {0, IOMMU_CACHE, IOMMU_READ | IOMMU_EXEC,
					 IOMMU_READ | IOMMU_PRIV, IOMMU_READ | 1 << 30};
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		KTAP_EQUAL(fmt_map(&bench->pt, iova(0), pa(0), 0x1000, wrong[i], &bench->gather),
			   -EOPNOTSUPP);
	KTAP_EQUAL(bench->pt.table_pages, 1);

	/* memory that the unit cannot address */
	bench->pt.reserved_bits = pt_format_place(PT_FORMAT_MEMORY & ~FIELD(38, 0));
	KTAP_EQUAL(MAP(0, UINT64_C(1) << 39, 0x1000), -EINVAL);
	KTAP_EQUAL(MAP(0, (UINT64_C(1) << 39) - 0x1000, 0x2000), -EINVAL);
	KTAP_EQUAL(MAP(0, (UINT64_C(1) << 39) - 0x1000, 0x1000), 0);
	bench->pt.reserved_bits = 0;

	/* the first and the last page, of both spaces; tables for the last one only */
	KTAP_EQUAL(MAP(width - 0x1000, memory_end - 0x1000, 0x1000), 0);
	KTAP_EQUAL(bench->pt.table_pages, 1 + 2 * (config->levels - 1));
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(width - 1), &leaf));
	KTAP_EQUAL(leaf.pa.value, memory_end - 0x1000);
	KTAP_CHECK(!fmt_lookup(&bench->pt, iova(width), &leaf));
	KTAP_CHECK(!fmt_lookup(&bench->pt, iova(~UINT64_C(0)), &leaf));

	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(0), 0, &bench->gather), 0);
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(0x1000), 0, &bench->gather), 0);
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(0x800), 0x1000, &bench->gather), 0);
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(width), 0x1000, &bench->gather), 0);
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(width), 0x2000, &bench->gather), 0);
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(~UINT64_C(0xfff)), 0x2000, &bench->gather), 0);
	KTAP_CHECK(iommu_gather_empty(&bench->gather));
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(width - 0x1000), 0x4000, &bench->gather), 0x1000);
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(0), ~UINT64_C(0xfff), &bench->gather), 0x1000);
	KTAP_EQUAL(bench->pt.table_pages, 1);

	KTAP_EQUAL(fmt_split(&bench->pt, iova(0), 13, &bench->gather), -EINVAL);
	KTAP_EQUAL(fmt_split(&bench->pt, iova(0), 64, &bench->gather), -EINVAL);
	KTAP_EQUAL(fmt_split(&bench->pt, iova(width), 12, &bench->gather), -EINVAL);
	KTAP_EQUAL(fmt_split(&bench->pt, iova(0), 12, &bench->gather), -ENOENT);
	bench_exit(bench);
	free(bench);
}

/** A failure at each allocation in turn leaves nothing behind. */
static void run_fail_nth(const struct pt_config *config)
{
	struct bench *bench = malloc(sizeof(*bench));
	uint64_t start = config->base + PAGE_SIZE_1G - 3 * PAGE_SIZE_2M + 5 * PAGE_SIZE_4K;
	int result = -ENOMEM;
	long nth;

	bench_init(bench, config, true);
	for (nth = 1; result && nth < 64; nth++) {
		long pages = bench->test.pages;
		bench->test.fail_at = bench->test.allocations + nth;
		/* memory that fits nothing but the smallest page */
		result = MAP(start, 0x123456000, 5 * PAGE_SIZE_2M);
		if (!result)
			break;
		KTAP_EQUAL(result, -ENOMEM);
		KTAP_EQUAL(bench->pt.table_pages, 1);
		bench_settle(bench);
		KTAP_EQUAL(bench->test.pages, pages);
		check_all(bench);
	}
	KTAP_EQUAL(result, 0);
	KTAP_CHECK(nth > 6);
	bench->test.fail_at = 0;
	/* one page in the way, near the end: all is taken back but what was there */
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(start), 5 * PAGE_SIZE_2M - 0x3000, &bench->gather),
		   5 * PAGE_SIZE_2M - 0x3000);
	uint64_t tables = bench->pt.table_pages;
	KTAP_EQUAL(MAP(start, 0x123456000, 5 * PAGE_SIZE_2M), -EEXIST);
	KTAP_CHECK(bench->pt.table_pages <= tables);
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(start), 5 * PAGE_SIZE_2M, &bench->gather), 0x3000);
	bench_exit(bench);
	free(bench);
}

/** Tables that left the tree stay as they are, but for the link, until the release. */
static void run_dead_tables(const struct pt_config *config)
{
	struct bench *bench = malloc(sizeof(*bench));
	uint64_t at = config->base + PAGE_SIZE_1G;
	struct iommu_leaf first, second;

	bench_init(bench, config, true);
	KTAP_EQUAL(MAP(at, 0x40001000, 2 * PAGE_SIZE_2M), 0);
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(at), &first));
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(at + 0x1000), &second));
	uint64_t stores = bench->pt.stores;
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(at), 2 * PAGE_SIZE_2M, &bench->gather),
		   2 * PAGE_SIZE_2M);
	KTAP_EQUAL(bench->pt.stores, stores + 2); /* the two that point to tables */
	KTAP_EQUAL(bench->gather.page_count, 2);
	KTAP_CHECK(bench->gather.tables);
	/* a unit that still holds the table's address finds old entries, or none */
	uint64_t link = *(uint64_t *)iommu_os_va(&bench->test.os, first.entry_pa);
	KTAP_CHECK(!(link & PT_FORMAT_PRESENT));
	KTAP_EQUAL(link & 0xfff, 0);
	KTAP_EQUAL(*(uint64_t *)iommu_os_va(&bench->test.os, second.entry_pa), second.entry);
	bench_exit(bench);
	free(bench);
}

/** A large leaf takes the place of an empty table: after a flush, or not at all. */
static void run_replace(const struct pt_config *config)
{
	struct bench *bench = malloc(sizeof(*bench));
	uint64_t at = config->base + PAGE_SIZE_1G;
	struct iommu_leaf leaf;

	bench_init(bench, config, true);
	KTAP_EQUAL(MAP(at + 0x5000, 0x1000, 0x1000), 0);
	KTAP_EQUAL(MAP(at + PAGE_SIZE_2M + 0x5000, 0x1000, 0x1000), 0);
	uint64_t tables = bench->pt.table_pages;
	/* not empty: refused, and nothing is flushed for it */
	KTAP_EQUAL(MAP(at, 0x40000000, PAGE_SIZE_2M), -EEXIST);
	KTAP_EQUAL(MAP(at, 0x40000000, PAGE_SIZE_1G), -EEXIST);
	KTAP_EQUAL(bench->flushes, 0);
	KTAP_EQUAL(bench->pt.table_pages, tables);
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(at + 0x5000), 0x1000, &bench->gather), 0x1000);
	KTAP_CHECK(!bench->gather.tables);
	KTAP_EQUAL(bench->pt.table_pages, tables);

	/* the unit does not answer: all is as it was */
	bench->flush_result = -ETIMEDOUT;
	KTAP_EQUAL(MAP(at, 0x40000000, PAGE_SIZE_2M), -ETIMEDOUT);
	KTAP_EQUAL(bench->flushes, 1);
	KTAP_EQUAL(bench->pt.table_pages, tables);
	KTAP_CHECK(!fmt_lookup(&bench->pt, iova(at), &leaf));
	KTAP_EQUAL(MAP(at + 0x5000, 0x1000, 0x1000), 0);
	KTAP_EQUAL(bench->pt.table_pages, tables);
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(at + 0x5000), 0x1000, &bench->gather), 0x1000);
	bench->flush_result = 0;

	KTAP_EQUAL(MAP(at, 0x40000000, PAGE_SIZE_2M), 0);
	KTAP_EQUAL(bench->flushes, 2);
	KTAP_EQUAL(bench->pt.table_pages, tables - 1);
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(at + 0x5000), &leaf));
	KTAP_EQUAL(leaf.bytes, PAGE_SIZE_2M);

	/* without a way to flush, small pages fill the table that stands there */
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(at + PAGE_SIZE_2M + 0x5000), 0x1000, &bench->gather),
		   0x1000);
	bench->pt.flush = NULL;
	KTAP_EQUAL(MAP(at + PAGE_SIZE_2M, 0x40000000, 2 * PAGE_SIZE_2M), 0);
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(at + PAGE_SIZE_2M + 0x5000), &leaf));
	KTAP_EQUAL(leaf.bytes, PAGE_SIZE_4K);
	KTAP_EQUAL(leaf.pa.value, 0x40005000);
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(at + 2 * PAGE_SIZE_2M), &leaf));
	KTAP_EQUAL(leaf.bytes, PAGE_SIZE_2M);
	bench->pt.flush = bench_flush;

	/* tables below tables, all empty, give way to one page of 1 GiB */
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(at), 5 * PAGE_SIZE_4K, &bench->gather), 0);
	for (uint64_t i = 0; i < 512; i++)
		KTAP_CHECK(fmt_unmap(&bench->pt, iova(at + PAGE_SIZE_2M + i * 0x1000), 0x1000,
				     &bench->gather) == 0x1000);
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(at), PAGE_SIZE_1G - 0x1000, &bench->gather),
		   2 * PAGE_SIZE_2M);
	KTAP_EQUAL(MAP(at + PAGE_SIZE_1G - 0x1000, 0x1000, 0x1000), 0);
	KTAP_EQUAL(fmt_unmap(&bench->pt, iova(at + PAGE_SIZE_1G - 0x1000), 0x1000, &bench->gather),
		   0x1000);
	KTAP_EQUAL(MAP(at, 0x40000000, PAGE_SIZE_1G), 0);
	KTAP_EQUAL(bench->flushes, 3);
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(at), &leaf));
	KTAP_EQUAL(leaf.bytes, PAGE_SIZE_1G);
	KTAP_EQUAL(bench->pt.table_pages, config->levels - 2);
	bench_exit(bench);
	free(bench);
}

static bool count_visit(void *arg, const struct iommu_leaf *leaf)
{
	unsigned *left = arg;

	(void)leaf;
	return --*left > 0;
}

static bool mark_dirty(void *arg, const struct iommu_leaf *leaf)
{
	struct bench *bench = arg;

	if (bench_random(bench, 3) == 0) {
		*(uint64_t *)iommu_os_va(&bench->test.os, leaf->entry_pa) |= PT_FORMAT_DIRTY;
		bench->ref[(leaf->iova.value - bench->config->base) / PAGE_SIZE_4K].rights = 15;
	}
	return true;
}

static bool check_dirty(void *arg, const struct iommu_leaf *leaf)
{
	struct bench *bench = arg;
	struct ref_page *ref = &bench->ref[(leaf->iova.value - bench->config->base) / PAGE_SIZE_4K];

	KTAP_CHECK(leaf->dirty);
	KTAP_EQUAL(ref->rights, 15);
	return true;
}

/** Dirty flags: found, cleared if asked, kept by a split. */
static void run_dirty(const struct pt_config *config)
{
	struct bench *bench = malloc(sizeof(*bench));
	uint64_t at = config->base + PAGE_SIZE_1G - PAGE_SIZE_2M, last;
	struct iommu_leaf leaf;
	unsigned stop = 3;

	bench_init(bench, config, true);
	/* small pages, then, at the boundary, large ones where there are any */
	KTAP_EQUAL(MAP(at, 0x1000, PAGE_SIZE_2M), 0);
	KTAP_EQUAL(MAP(at + PAGE_SIZE_2M, 0x40000000, 3 * PAGE_SIZE_2M), 0);
	last = at + 4 * PAGE_SIZE_2M - 1;
	KTAP_EQUAL(fmt_read_dirty(&bench->pt, iova(0), iova(~UINT64_C(0)), true, NULL, NULL,
				  &bench->gather),
		   0);
	KTAP_CHECK(iommu_gather_empty(&bench->gather));
	KTAP_CHECK(fmt_visit(&bench->pt, iova(at), iova(last), mark_dirty, bench));

	uint64_t bytes = fmt_read_dirty(&bench->pt, iova(at), iova(last), false, check_dirty, bench,
					&bench->gather);
	KTAP_CHECK(bytes > PAGE_SIZE_2M / 4 && bytes < 4 * PAGE_SIZE_2M);
	KTAP_CHECK(iommu_gather_empty(&bench->gather));
	KTAP_EQUAL(fmt_read_dirty(&bench->pt, iova(0), iova(~UINT64_C(0)), false, NULL, NULL,
				  &bench->gather),
		   bytes);
	/* stop after two, clear the rest */
	KTAP_CHECK(fmt_read_dirty(&bench->pt, iova(at), iova(last), false, count_visit, &stop,
				  &bench->gather) <= 3 * PAGE_SIZE_2M);
	KTAP_EQUAL(stop, 0);
	KTAP_EQUAL(fmt_read_dirty(&bench->pt, iova(at), iova(last), true, check_dirty, bench,
				  &bench->gather),
		   bytes);
	KTAP_CHECK(!iommu_gather_empty(&bench->gather));
	KTAP_CHECK(!bench->gather.tables);
	KTAP_EQUAL(
		fmt_read_dirty(&bench->pt, iova(at), iova(last), false, NULL, NULL, &bench->gather),
		0);

	/* a part of a range; an address within a page counts as the page */
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(at + 0x5000), &leaf));
	*(uint64_t *)iommu_os_va(&bench->test.os, leaf.entry_pa) |= PT_FORMAT_DIRTY;
	KTAP_EQUAL(fmt_read_dirty(&bench->pt, iova(at), iova(at + 0x4fff), false, NULL, NULL,
				  &bench->gather),
		   0);
	KTAP_EQUAL(fmt_read_dirty(&bench->pt, iova(at + 0x4fff), iova(at + 0x5000), false, NULL,
				  NULL, &bench->gather),
		   PAGE_SIZE_4K);
	KTAP_EQUAL(fmt_read_dirty(&bench->pt, iova(at + 0x6000), iova(last), false, NULL, NULL,
				  &bench->gather),
		   0);

	/* a dirty large page that is split is dirty all over */
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(at + PAGE_SIZE_2M), &leaf));
	if (leaf.bytes == PAGE_SIZE_2M) {
		*(uint64_t *)iommu_os_va(&bench->test.os, leaf.entry_pa) |= PT_FORMAT_DIRTY;
		KTAP_EQUAL(fmt_split(&bench->pt, iova(at + PAGE_SIZE_2M), 12, &bench->gather), 0);
		KTAP_EQUAL(fmt_read_dirty(&bench->pt, iova(at + PAGE_SIZE_2M), iova(last), true,
					  NULL, NULL, &bench->gather),
			   PAGE_SIZE_2M);
	}
	bench_exit(bench);
	free(bench);
}

/** A unit with caching mode is told of what becomes present. */
static void run_gather_on_map(const struct pt_config *config)
{
	struct bench *bench = malloc(sizeof(*bench));
	uint64_t at = config->base + PAGE_SIZE_1G - 0x2000;

	bench_init(bench, config, true);
	KTAP_EQUAL(MAP(at, 0x5000, 0x1000), 0);
	KTAP_CHECK(iommu_gather_empty(&bench->gather));
	bench->pt.gather_on_map = true;
	KTAP_EQUAL(MAP(at + 0x1000, 0x5000, 0x1000), 0);
	KTAP_EQUAL(bench->gather.first.value, at + 0x1000);
	KTAP_EQUAL(bench->gather.last.value, at + 0x1fff);
	KTAP_CHECK(!bench->gather.tables);
	bench_settle(bench);
	KTAP_EQUAL(MAP(at + 0x2000, 0x5000, 0x201000), 0);
	KTAP_EQUAL(bench->gather.first.value, at + 0x2000);
	KTAP_EQUAL(bench->gather.last.value, at + 0x202fff);
	KTAP_CHECK(bench->gather.tables);
	bench_settle(bench);
	KTAP_EQUAL(MAP(at - 0x4000, 0x5000, 0x3000), 0);
	KTAP_EQUAL(bench->gather.first.value, at - 0x4000);
	KTAP_EQUAL(bench->gather.last.value, at - 0x1001);
	bench_exit(bench);
	free(bench);
}

/** The verdict of a walk at @p at, with what the format should say. */
static void check_walk(struct bench *bench, uint64_t at, uint32_t access, unsigned steps,
		       uint16_t reason)
{
	struct iommu_walk walk = {0};

	fmt_walk(&bench->pt, iova(at), access, &walk);
	KTAP_EQUAL(walk.count, steps);
	KTAP_EQUAL(walk.translated, !reason);
	KTAP_EQUAL(walk.reason, reason);
	KTAP_EQUAL(walk.mnemonic != NULL, reason != 0);
	KTAP_EQUAL(walk.text != NULL, reason != 0);
	for (unsigned i = 0; i < walk.count; i++) {
		const struct iommu_walk_step *step = &walk.steps[i];
		KTAP_EQUAL(step->entry[0],
			   *(uint64_t *)iommu_os_va(&bench->test.os, step->entry_pa));
		KTAP_CHECK(step->note[0] && memchr(step->note, 0, sizeof(step->note)));
		KTAP_EQUAL(step->index, at >> pt_shift(bench->pt.levels - i) & 511);
	}
}

#endif
