/* SPDX-License-Identifier: MIT */
/* The page-table engine with the mock format: see ufd/mock_format.h. */
#include "tests/unit/pt_test_clean.h"

#define PT_NAME fmt
#include "ufd/mock_format.h"
#include "iommu/pt_engine.h"

#include "tests/unit/pt_test_body.h"

#define ALL_SIZES (PAGE_SIZE_4K | PAGE_SIZE_2M | PAGE_SIZE_1G)
#define GIB       (UINT64_C(1) << 30)

static const struct pt_config four = {"mock", 4, ALL_SIZES, 511 * GIB, true};
static const struct pt_config no_flush = {"mock, no flush", 4, ALL_SIZES, 511 * GIB, false};

static void random_four(void)
{
	run_random(&four, true, 1200);
}

static void random_no_flush(void)
{
	run_random(&no_flush, true, 800);
}

static void not_coherent(void)
{
	run_not_coherent(&four);
}

static void arguments(void)
{
	run_arguments(&four);
	run_pages(&four);
}

static void fail_nth(void)
{
	run_fail_nth(&four);
}

static void dead_tables(void)
{
	run_dead_tables(&four);
}

static void replace(void)
{
	run_replace(&four);
}

static void split(void)
{
	run_split(&four);
}

static void dirty(void)
{
	run_dirty(&four);
}

static void gather_on_map(void)
{
	run_gather_on_map(&four);
}

static void bits(void)
{
	struct bench *bench = test_malloc(sizeof(*bench));
	struct iommu_leaf leaf;

	bench_init(bench, &four, true);
	KTAP_EQUAL(fmt_map(&bench->pt, iova(0x40000000), pa(0x123456000), 0x1000, IOMMU_READ,
	                   &bench->gather),
	           0);
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(0x40000000), &leaf));
	KTAP_EQUAL(leaf.entry, 0x1234560000 | 0x38);
	KTAP_EQUAL(fmt_map(&bench->pt, iova(0x40200000), pa(0x40200000), PAGE_SIZE_2M,
	                   IOMMU_READ | IOMMU_WRITE, &bench->gather),
	           0);
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(0x40200000), &leaf));
	KTAP_EQUAL(leaf.entry, 0x402000000 | 0x78);
	bench_exit(bench);
	free(bench);
}

static void verdicts(void)
{
	struct bench *bench = test_malloc(sizeof(*bench));
	uint64_t at = 0x40000000;
	struct iommu_leaf leaf;

	bench_init(bench, &four, true);
	struct pt *pt = &bench->pt;
#define MAP_AS(at, to, rights) fmt_map(pt, iova(at), pa(to), 0x1000, rights, &bench->gather)
	KTAP_EQUAL(MAP_AS(at, 0x7000, IOMMU_READ), 0);
	KTAP_EQUAL(MAP_AS(at + 0x1000, 0xfee00000, IOMMU_WRITE), 0);
	check_walk(bench, at, IOMMU_READ, 4, 0);
	check_walk(bench, at, IOMMU_WRITE, 4, 5);
	check_walk(bench, at + 0x1000, IOMMU_READ, 4, 4);
	check_walk(bench, at + 0x1000, IOMMU_WRITE, 4, 0);
	check_walk(bench, at + 0x2000, IOMMU_READ, 4, 2);
	check_walk(bench, at + PAGE_SIZE_1G, IOMMU_READ, 2, 2);
	check_walk(bench, UINT64_C(1) << 48, IOMMU_READ, 0, 1);
	KTAP_CHECK(fmt_lookup(pt, iova(at), &leaf));
	*(uint64_t *)leaf.entry_pa.value |= 1;
	check_walk(bench, at, IOMMU_READ, 4, 3);
	*(uint64_t *)leaf.entry_pa.value ^= 1 | 0x10; /* valid, no leaf, at the lowest level */
	check_walk(bench, at, IOMMU_READ, 4, 3);
	*(uint64_t *)leaf.entry_pa.value ^= 0x10;
	bench_exit(bench);
	free(bench);
}

static const struct ktap_case cases[] = {
	{"random operations", random_four},
	{"random operations, no flush during map", random_no_flush},
	{"a unit that does not snoop sees whole tables only", not_coherent},
	{"wrong arguments and the ends of the spaces", arguments},
	{"a failure at each allocation leaves nothing behind", fail_nth},
	{"tables that left the tree are not touched", dead_tables},
	{"a large page in place of an empty table", replace},
	{"a page split while the unit writes to it, and without memory", split},
	{"dirty flags", dirty},
	{"map gathers for a unit with caching mode", gather_on_map},
	{"entry bits", bits},
	{"fault reasons of a walk", verdicts},
};

KTAP_MAIN(cases)
