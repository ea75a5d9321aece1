/* SPDX-License-Identifier: MIT */
/*
 * Single properties of the page-table engine, one function each. A part of
 * pt_test_body.h, which includes it.
 */
#ifndef TESTS_UNIT_PT_TEST_SINGLE_H
#define TESTS_UNIT_PT_TEST_SINGLE_H

#include "tests/unit/pt_test_body.h"

static void run_arguments(const struct pt_config *config)
{
	struct bench *bench = test_malloc(sizeof(*bench));
	uint64_t width = UINT64_C(1) << pt_format_width(config->levels);
	uint64_t memory_end = PT_FORMAT_MEMORY + PAGE_SIZE_4K;
	struct iommu_leaf leaf;
	pa_t to = pa(0);
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
	fmt_reserve(&bench->pt, pt_format_place(PT_FORMAT_MEMORY & ~FIELD(38, 0)));
	KTAP_EQUAL(MAP(0, UINT64_C(1) << 39, 0x1000), -EINVAL);
	KTAP_EQUAL(MAP(0, (UINT64_C(1) << 39) - 0x1000, 0x2000), -EINVAL);
	KTAP_EQUAL(MAP(0, (UINT64_C(1) << 39) - 0x1000, 0x1000), 0);
	fmt_reserve(&bench->pt, 0);

	/* the first and the last page, of both spaces; tables for the last one only */
	KTAP_EQUAL(MAP(width - 0x1000, memory_end - 0x1000, 0x1000), 0);
	KTAP_EQUAL(bench->pt.table_pages, 1 + 2 * (config->levels - 1));
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(width - 1), &leaf));
	KTAP_EQUAL(leaf.pa.value, memory_end - 0x1000);
	KTAP_CHECK(!fmt_lookup(&bench->pt, iova(width), &leaf));
	KTAP_CHECK(fmt_iova_to_phys(&bench->pt, iova(width - 1), &to));
	KTAP_EQUAL(to.value, leaf.pa.value + 0xfff);
	KTAP_CHECK(!fmt_iova_to_phys(&bench->pt, iova(width), &to));
	KTAP_CHECK(!fmt_iova_to_phys(&bench->pt, iova(~UINT64_C(0)), &to));
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

/** Scattered pages: as many as can go into the table that is there, and nothing else. And
 *  IOMMU_SMALL: no large page, whatever fits. */
static void run_pages(const struct pt_config *config)
{
	enum { LIST = 24 };
	struct bench *bench = test_malloc(sizeof(*bench));
	struct iommu_extent list[LIST];
	struct iommu_leaf leaf;
	uint64_t at = config->base + (PT_ENTRIES - 16) * PAGE_SIZE_4K; /* 16 to the table's end */
	const uint32_t rights = IOMMU_READ | IOMMU_WRITE;

	bench_init(bench, config, true);
	struct pt *pt = &bench->pt;
	struct iommu_gather *gather = &bench->gather;
	for (unsigned i = 0; i < LIST; i++)
		list[i] = (struct iommu_extent){pa(0x10000000 + i * 0x3000), PAGE_SIZE_4K};
	KTAP_EQUAL(fmt_map_pages(pt, iova(at), list, LIST, rights, gather), 0); /* no table */
	KTAP_EQUAL(pt->table_pages, 1);
	KTAP_EQUAL(MAP(config->base, 0x9000, 0x1000), 0);
	pt->counting = true;
	uint64_t stores = pt->stores;
	KTAP_EQUAL(fmt_map_pages(pt, iova(at), list, LIST, rights, gather), 16);
	KTAP_EQUAL(pt->stores, stores + 16);
	for (unsigned i = 0; i < 16; i++) {
		KTAP_CHECK(fmt_lookup(pt, iova(at + i * PAGE_SIZE_4K), &leaf));
		KTAP_EQUAL(leaf.pa.value, list[i].start.value);
		KTAP_EQUAL(leaf.bytes, PAGE_SIZE_4K);
	}
	KTAP_CHECK(!fmt_lookup(pt, iova(at - PAGE_SIZE_4K), &leaf));
	KTAP_CHECK(!fmt_lookup(pt, iova(at + 16 * PAGE_SIZE_4K), &leaf));
	/* what is mapped stays as it is */
	KTAP_EQUAL(fmt_map_pages(pt, iova(at), list + 1, 8, rights, gather), 0);
	KTAP_EQUAL(fmt_map_pages(pt, iova(at - 2 * PAGE_SIZE_4K), list + 1, 8, rights, gather), 2);
	KTAP_CHECK(fmt_lookup(pt, iova(at), &leaf) && leaf.pa.value == list[0].start.value);
	KTAP_EQUAL(fmt_unmap(pt, iova(at - 2 * PAGE_SIZE_4K), 18 * PAGE_SIZE_4K, gather),
	           18 * PAGE_SIZE_4K);
	bench_settle(bench);
	/* neighbours, more than a page, wrong addresses, wrong rights */
	struct iommu_extent keep = list[3];
	list[3].start = pa_add(list[2].start, PAGE_SIZE_4K);
	KTAP_EQUAL(fmt_map_pages(pt, iova(at), list, 8, rights, gather), 2);
	list[3] = keep;
	list[3].bytes = 2 * PAGE_SIZE_4K;
	KTAP_EQUAL(fmt_map_pages(pt, iova(at + 2 * PAGE_SIZE_4K), list + 2, 6, rights, gather), 1);
	list[3] = keep;
	list[3].start = pa_add(keep.start, 8);
	KTAP_EQUAL(fmt_map_pages(pt, iova(at + 3 * PAGE_SIZE_4K), list + 3, 5, rights, gather), 0);
	list[3].start = pa(PT_FORMAT_MEMORY + PAGE_SIZE_4K);
	KTAP_EQUAL(fmt_map_pages(pt, iova(at + 3 * PAGE_SIZE_4K), list + 3, 5, rights, gather), 0);
	list[3] = keep;
	KTAP_EQUAL(fmt_map_pages(pt, iova(at + 8), list, 1, rights, gather), 0);
	KTAP_EQUAL(fmt_map_pages(pt, iova(UINT64_C(1) << pt_format_width(config->levels)), list, 1,
	                         rights, gather),
	           0);
	KTAP_EQUAL(fmt_map_pages(pt, iova(at + 3 * PAGE_SIZE_4K), list, 1, 0, gather), 0);
	KTAP_EQUAL(fmt_unmap(pt, iova(at), 3 * PAGE_SIZE_4K, gather), 3 * PAGE_SIZE_4K);
	KTAP_EQUAL(fmt_unmap(pt, iova(config->base), 0x1000, gather), 0x1000);
	bench_settle(bench);

	KTAP_EQUAL(fmt_map(pt, iova(config->base), pa(PAGE_SIZE_2M), 3 * PAGE_SIZE_2M,
	                   rights | IOMMU_SMALL, gather),
	           0);
	for (uint64_t offset = 0; offset < 3 * PAGE_SIZE_2M; offset += 37 * PAGE_SIZE_4K) {
		KTAP_CHECK(fmt_lookup(pt, iova(config->base + offset), &leaf));
		KTAP_EQUAL(leaf.bytes, PAGE_SIZE_4K);
		KTAP_EQUAL(leaf.pa.value, PAGE_SIZE_2M + offset);
	}
	KTAP_EQUAL(fmt_unmap(pt, iova(config->base), 3 * PAGE_SIZE_2M, gather), 3 * PAGE_SIZE_2M);
	bench_settle(bench);
	bench_exit(bench);
	free(bench);
}

/** A failure at each allocation in turn leaves nothing behind. */
static void run_fail_nth(const struct pt_config *config)
{
	struct bench *bench = test_malloc(sizeof(*bench));
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
		/* hardware may have seen every table but the one that failed */
		KTAP_EQUAL(bench->gather.tables, nth > 1);
		KTAP_EQUAL(bench->gather.page_count, nth - 1);
		KTAP_EQUAL(bench->gather.first.value <= start, nth > 1);
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
	struct bench *bench = test_malloc(sizeof(*bench));
	uint64_t at = config->base + PAGE_SIZE_1G;
	struct iommu_leaf first, second;

	bench_init(bench, config, true);
	KTAP_EQUAL(MAP(at, 0x40001000, 2 * PAGE_SIZE_2M), 0);
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(at), &first));
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(at + 0x1000), &second));
	bench->pt.counting = true;
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
	struct bench *bench = test_malloc(sizeof(*bench));
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

static bool mark_dirty(void *arg, const struct iommu_leaf *leaf)
{
	struct bench *bench = arg;

	/* stretches of dirty pages, of clean ones, and of both */
	if (leaf->bytes > PAGE_SIZE_4K || leaf->iova.value & 0x40000
	            ? !(leaf->iova.value & 0x80000)
	            : bench_random(bench, 3) == 0) {
		*(uint64_t *)iommu_os_va(&bench->test.os, leaf->entry_pa) |= PT_FORMAT_DIRTY;
		bench->ref[(leaf->iova.value - bench->config->base) / PAGE_SIZE_4K].rights = 15;
	}
	return true;
}

static void check_dirty(void *arg, iova_t first, iova_t last)
{
	struct bench *bench = arg;
	struct iommu_leaf leaf;

	for (uint64_t at = first.value; at <= last.value; at += leaf.bytes) {
		KTAP_CHECK(fmt_lookup(&bench->pt, iova(at), &leaf));
		KTAP_CHECK(leaf.iova.value == at && leaf.bytes - 1 <= last.value - at);
		KTAP_EQUAL(bench->ref[(at - bench->config->base) / PAGE_SIZE_4K].rights, 15);
		if (ktap_failed)
			return;
	}
	/* as long as can be */
	KTAP_CHECK(!fmt_lookup(&bench->pt, iova(first.value - 1), &leaf) || !leaf.dirty);
	KTAP_CHECK(!fmt_lookup(&bench->pt, iova(last.value + 1), &leaf) || !leaf.dirty);
}

static iova_t race_at;

/** The unit writes to the page while its split allocates tables. */
static int racing_page_alloc(void *ctx, unsigned order, pa_t *out)
{
	struct bench *bench = container_of((struct test_os *)ctx, struct bench, test);
	struct test_os hooks;
	struct iommu_leaf leaf;

	if (fmt_lookup(&bench->pt, race_at, &leaf))
		*(uint64_t *)iommu_os_va(&bench->test.os, leaf.entry_pa) |= PT_FORMAT_DIRTY;
	test_os_init(&hooks);
	return hooks.os.page_alloc(ctx, order, out);
}

/** Split: what was set in the meantime is kept; out of memory changes nothing. */
static void run_split(const struct pt_config *config)
{
	for (unsigned flush = 0; flush < 2; flush++) {
		struct bench *bench = test_malloc(sizeof(*bench));
		uint64_t at = config->base + PAGE_SIZE_1G;
		struct iommu_leaf leaf;
		int result = -ENOMEM;
		long nth;

		bench_init(bench, config, true);
		bench->pt.flush = flush ? bench_flush : NULL;
		KTAP_EQUAL(MAP(at, 0x40000000, PAGE_SIZE_1G), 0);
		uint64_t tables = bench->pt.table_pages;
		for (nth = 1; nth < 10; nth++) {
			bench->test.fail_at = bench->test.allocations + nth;
			result = fmt_split(&bench->pt, iova(at + 0x5000), 12, &bench->gather);
			bench->test.fail_at = 0;
			if (!result)
				break;
			KTAP_EQUAL(result, -ENOMEM);
			KTAP_EQUAL(bench->pt.table_pages, tables);
			KTAP_EQUAL(bench->test.pages, tables);
			KTAP_CHECK(fmt_lookup(&bench->pt, iova(at + 0x5000), &leaf));
			KTAP_EQUAL(leaf.bytes, PAGE_SIZE_1G);
			KTAP_CHECK(iommu_gather_empty(&bench->gather));
		}
		KTAP_EQUAL(result, 0);
		KTAP_EQUAL(nth, 3); /* two tables */
		KTAP_EQUAL(bench->flushes, flush);
		KTAP_EQUAL(iommu_gather_empty(&bench->gather), flush);
		KTAP_CHECK(fmt_lookup(&bench->pt, iova(at + 0x5000), &leaf));
		KTAP_CHECK(leaf.bytes == PAGE_SIZE_4K && leaf.pa.value == 0x40005000);
		KTAP_CHECK(fmt_lookup(&bench->pt, iova(at + PAGE_SIZE_2M), &leaf));
		KTAP_CHECK(leaf.bytes == PAGE_SIZE_2M && leaf.pa.value == 0x40200000);

		race_at = iova(at + PAGE_SIZE_2M);
		bench->test.os.page_alloc = racing_page_alloc;
		KTAP_EQUAL(fmt_split(&bench->pt, race_at, 12, &bench->gather), 0);
		KTAP_EQUAL(fmt_read_dirty(&bench->pt, iova(0), iova(~UINT64_C(0)), false, NULL,
		                          NULL, &bench->gather),
		           PAGE_SIZE_2M);
		bench_exit(bench);
		free(bench);
	}
}

/** Dirty flags: found, cleared if asked, kept by a split. */
static void run_dirty(const struct pt_config *config)
{
	struct bench *bench = test_malloc(sizeof(*bench));
	uint64_t at = config->base + PAGE_SIZE_1G - PAGE_SIZE_2M, last;
	struct iommu_leaf leaf;

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
	struct bench *bench = test_malloc(sizeof(*bench));
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
