/* SPDX-License-Identifier: MIT */
/*
 * Tests of the page-table engine that every format must pass. A test program
 * defines PT_NAME as `fmt`, includes a format and the engine, then this, and lists
 * `struct pt_config` values of its own. Here: the reference, and random operations
 * against it; pt_test_single.h has the single matters and pt_test_shadow.h what a unit
 * that does not snoop sees.
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
#include "tests/test_memory.h"
#include "tests/test_os.h"
#include "tests/unit/pt_test_clean.h"

struct pt_config {
	const char *name;
	unsigned levels;
	uint64_t page_sizes;
	uint64_t base; /* of the universe, 1 GiB aligned */
	bool flush;    /* leaves may take the place of empty tables */
};

enum {
	UNIVERSE = 3 << 18, /* pages: 3 GiB */
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
	bench->ref = test_calloc(UNIVERSE, sizeof(*bench->ref));
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

	pa_t to = pa(0);

	KTAP_EQUAL(found, ref->memory != 0);
	KTAP_EQUAL(fmt_iova_to_phys(&bench->pt, iova(page_iova(bench, page).value + 0x123), &to),
	           found);
	if (!found || !ref->memory)
		return;
	KTAP_EQUAL(to.value, (ref->memory - 1) * PAGE_SIZE_4K + 0x123);
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
	struct bench *bench = test_malloc(sizeof(*bench));

	bench_init(bench, config, coherent);
	for (unsigned round = 0; round < rounds && !ktap_failed; round++) {
		uint64_t choice = bench_random(bench, 16);
		bench->pt.counting = bench_random(bench, 4) == 0; /* the quick ways, or not */
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

#include "tests/unit/pt_test_shadow.h"
#include "tests/unit/pt_test_single.h"

#endif
