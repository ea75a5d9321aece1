/* SPDX-License-Identifier: MIT */
/*
 * The page-table engine with the VT-d second-stage format, and that format's bits:
 * VT-d specification 9.8 and Table 30.
 */
#include "tests/unit/pt_test_clean.h"

#define PT_NAME fmt
#include "vtd/second_stage.h"
#include "iommu/pt_engine.h"

#include "tests/unit/pt_test_body.h"

#define ALL_SIZES (PAGE_SIZE_4K | PAGE_SIZE_2M | PAGE_SIZE_1G)
#define GIB       (UINT64_C(1) << 30)

static const struct pt_config four = {"SS, 4 levels", 4, ALL_SIZES, 511 * GIB, true};
static const struct pt_config three = {"SS, 3 levels", 3, ALL_SIZES, 509 * GIB, true};
static const struct pt_config five = {"SS, 5 levels", 5, ALL_SIZES, (256 * 1024 - 1) * GIB, true};
static const struct pt_config small = {"SS, 4 KiB only", 4, PAGE_SIZE_4K, 511 * GIB, false};
static const struct pt_config no_flush = {"SS, no flush", 4, ALL_SIZES, 511 * GIB, false};
static const struct pt_config no_2m = {"SS, 4 KiB and 1 GiB", 4, PAGE_SIZE_4K | PAGE_SIZE_1G,
                                       511 * GIB, true};

static void random_four(void)
{
	run_random(&four, true, 1500);
}

static void random_three(void)
{
	run_random(&three, true, 800);
}

static void random_five(void)
{
	run_random(&five, true, 800);
}

static void random_small(void)
{
	run_random(&small, true, 500);
}

static void random_no_flush(void)
{
	run_random(&no_flush, true, 800);
}

static void random_no_2m(void)
{
	run_random(&no_2m, true, 300);
}

static void not_coherent(void)
{
	run_not_coherent(&four);
	run_not_coherent(&three);
}

static void arguments(void)
{
	run_arguments(&three);
	run_pages(&three);
	run_arguments(&four);
	run_pages(&four);
	run_arguments(&five);
	run_pages(&five);
}

static void fail_nth(void)
{
	run_fail_nth(&four);
	run_fail_nth(&five);
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
	run_dirty(&small);
}

static void gather_on_map(void)
{
	run_gather_on_map(&four);
}

/** The very bits, by the specification's numbers and not by the format's names. */
static void bits(void)
{
	struct bench *bench = test_malloc(sizeof(*bench));
	uint64_t at = four.base;
	struct iommu_leaf leaf;

	bench_init(bench, &four, true);
	fmt_destroy(&bench->pt);
	KTAP_EQUAL(fmt_init(&bench->pt, &bench->test.os, 4, ALL_SIZES, UINT64_C(1) << 11, true), 0);
	KTAP_EQUAL(
		fmt_map(&bench->pt, iova(at), pa(0x123456000), 0x1000, IOMMU_READ, &bench->gather),
		0);
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(at), &leaf));
	KTAP_EQUAL(leaf.entry, 0x123456000 | 0x801);
	KTAP_EQUAL(fmt_map(&bench->pt, iova(at + 0x1000), pa(0x5000), 0x1000, IOMMU_WRITE,
	                   &bench->gather),
	           0);
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(at + 0x1000), &leaf));
	KTAP_EQUAL(leaf.entry, 0x5802);
	KTAP_EQUAL(leaf.rights, IOMMU_WRITE);
	KTAP_EQUAL(fmt_map(&bench->pt, iova(at + PAGE_SIZE_2M), pa(0x40200000), PAGE_SIZE_2M,
	                   IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE, &bench->gather),
	           0);
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(at + PAGE_SIZE_2M), &leaf));
	KTAP_EQUAL(leaf.entry, 0x40200000 | 0x883);
	KTAP_EQUAL(fmt_map(&bench->pt, iova(at + PAGE_SIZE_1G), pa(0x80000000), PAGE_SIZE_1G,
	                   IOMMU_READ, &bench->gather),
	           0);
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(at + PAGE_SIZE_1G + 0x12345678), &leaf));
	KTAP_EQUAL(leaf.entry, 0x80000000 | 0x881);
	KTAP_EQUAL(leaf.iova.value, at + PAGE_SIZE_1G);

	/* a table's entry: its address, R and W, nothing else */
	struct iommu_walk walk = {0};
	fmt_walk(&bench->pt, iova(at), IOMMU_READ, &walk);
	KTAP_EQUAL(walk.count, 4);
	for (unsigned i = 0; i < 3; i++)
		KTAP_EQUAL(walk.steps[i].entry[0] & 0xfff0000000000fff, 3);
	KTAP_EQUAL(walk.result.value, 0x123456000);
	KTAP_EQUAL(walk.page_bytes, 0x1000);
	KTAP_EQUAL(walk.rights, IOMMU_READ);
	bench_exit(bench);
	free(bench);
}

/** Why a walk ends, by Table 30 in legacy and in scalable mode. */
static void verdicts(void)
{
	struct bench *bench = test_malloc(sizeof(*bench));
	uint64_t at = 0x40000000;
	struct iommu_leaf leaf;

	bench_init(bench, &four, true);
	struct pt *pt = &bench->pt;
#define MAP_AS(at, to, rights) fmt_map(pt, iova(at), pa(to), 0x1000, rights, &bench->gather)
	KTAP_EQUAL(MAP_AS(at, 0x7000, IOMMU_READ), 0);
	KTAP_EQUAL(MAP_AS(at + 0x1000, 0x8000, IOMMU_WRITE), 0);
	KTAP_EQUAL(MAP_AS(at + 0x2000, 0xfee01000, IOMMU_READ | IOMMU_WRITE), 0);
	KTAP_EQUAL(MAP_AS(at + 0x3000, 0x9000, IOMMU_READ | IOMMU_WRITE), 0);
	KTAP_CHECK(fmt_lookup(pt, iova(at + 0x3000), &leaf));
	*(uint64_t *)leaf.entry_pa.value |= UINT64_C(1) << 62;
	for (unsigned scalable = 0; scalable < 2; scalable++) {
		pt->scalable = scalable;
		check_walk(bench, at, IOMMU_READ, 4, 0);
		check_walk(bench, at, IOMMU_WRITE, 4, scalable ? 0x85 : 5);
		check_walk(bench, at, IOMMU_ATOMIC, 4, scalable ? 0x85 : 5);
		check_walk(bench, at + 0x1000, IOMMU_WRITE, 4, 0);
		check_walk(bench, at + 0x1000, IOMMU_READ, 4, scalable ? 0x86 : 6);
		check_walk(bench, at + 0x2000, IOMMU_READ, 4, scalable ? 0x87 : 0xe);
		check_walk(bench, at + 0x3000, IOMMU_READ, 4, scalable ? 0x7a : 0xc);
		check_walk(bench, at + 0x4000, IOMMU_READ, 4, scalable ? 0x79 : 6);
		check_walk(bench, at + 0x4000, IOMMU_WRITE, 4, scalable ? 0x79 : 5);
		check_walk(bench, at + PAGE_SIZE_2M, IOMMU_READ, 3, scalable ? 0x79 : 6);
		check_walk(bench, at + PAGE_SIZE_1G, IOMMU_WRITE, 2, scalable ? 0x79 : 5);
		check_walk(bench, UINT64_C(1) << 39, IOMMU_READ, 1, scalable ? 0x79 : 6);
		check_walk(bench, UINT64_C(1) << 48, IOMMU_READ, 0, scalable ? 0x84 : 4);
	}
	/* bits that only this unit reserves */
	KTAP_CHECK(fmt_lookup(pt, iova(at), &leaf));
	*(uint64_t *)leaf.entry_pa.value |= UINT64_C(1) << 51;
	check_walk(bench, at, IOMMU_READ, 4, 0);
	fmt_reserve(pt, UINT64_C(1) << 51);
	check_walk(bench, at, IOMMU_READ, 4, 0x7a);
	fmt_reserve(pt, 0);
	*(uint64_t *)leaf.entry_pa.value ^= UINT64_C(1) << 51;

	/* a large page where the unit has none, and one that is not aligned */
	KTAP_EQUAL(fmt_map(pt, iova(at + PAGE_SIZE_2M), pa(0x40200000), PAGE_SIZE_2M, IOMMU_READ,
	                   &bench->gather),
	           0);
	check_walk(bench, at + PAGE_SIZE_2M + 0x1234, IOMMU_READ, 3, 0);
	pt->page_sizes = PAGE_SIZE_4K;
	check_walk(bench, at + PAGE_SIZE_2M, IOMMU_READ, 3, 0x7a);
	pt->page_sizes = ALL_SIZES;
	KTAP_CHECK(fmt_lookup(pt, iova(at + PAGE_SIZE_2M), &leaf));
	*(uint64_t *)leaf.entry_pa.value |= 0x4000;
	check_walk(bench, at + PAGE_SIZE_2M, IOMMU_READ, 3, 0x7a);
	*(uint64_t *)leaf.entry_pa.value ^= 0x4000;

	/* rights are ANDed over the levels */
	struct iommu_walk walk = {0};
	fmt_walk(pt, iova(at + 0x1000), IOMMU_WRITE, &walk);
	uint64_t *upper = (uint64_t *)walk.steps[1].entry_pa.value;
	*upper &= ~UINT64_C(2);
	check_walk(bench, at, IOMMU_READ, 4, 0);
	check_walk(bench, at + 0x1000, IOMMU_WRITE, 4, 0x85);
	*upper |= 2;
	/* SNP and PS in an entry for a table, PS at the top */
	*upper |= UINT64_C(1) << 11;
	check_walk(bench, at, IOMMU_READ, 2, 0x7a);
	*upper ^= UINT64_C(1) << 11;
	*(uint64_t *)walk.steps[0].entry_pa.value |= 0x80;
	check_walk(bench, at, IOMMU_READ, 1, 0x7a);
	*(uint64_t *)walk.steps[0].entry_pa.value ^= 0x80;
	bench_exit(bench);
	free(bench);
}

static const struct ktap_case cases[] = {
	{"random operations, 4 levels", random_four},
	{"random operations, 3 levels", random_three},
	{"random operations, 5 levels", random_five},
	{"random operations, 4 KiB pages only", random_small},
	{"random operations, no flush during map", random_no_flush},
	{"random operations, 1 GiB pages but no 2 MiB pages", random_no_2m},
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
