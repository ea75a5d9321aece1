/* SPDX-License-Identifier: MIT */
/*
 * The page-table engine with the first-stage format, and that format's bits: VT-d
 * specification 9.7 and Table 30.
 */
#include "tests/unit/pt_test_clean.h"

#define PT_NAME fmt
#include "vtd/first_stage.h"
#include "iommu/pt_engine.h"

#include "tests/unit/pt_test_body.h"

#define ALL_SIZES (PAGE_SIZE_4K | PAGE_SIZE_2M | PAGE_SIZE_1G)
#define GIB       (UINT64_C(1) << 30)

static const struct pt_config four = {"FS, 4 levels", 4, ALL_SIZES, 511 * GIB, true};
static const struct pt_config five = {"FS, 5 levels", 5, ALL_SIZES, (256 * 1024 - 1) * GIB, true};
static const struct pt_config no_1g = {"FS, no 1 GiB pages", 4, PAGE_SIZE_4K | PAGE_SIZE_2M,
                                       511 * GIB, false};

static void random_four(void)
{
	run_random(&four, true, 1200);
}

static void random_five(void)
{
	run_random(&five, true, 600);
}

static void random_no_1g(void)
{
	run_random(&no_1g, true, 500);
}

static void not_coherent(void)
{
	run_not_coherent(&four);
}

static void arguments(void)
{
	run_arguments(&four);
	run_pages(&four);
	run_arguments(&five);
	run_pages(&five);
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
	struct pt pt;

	bench_init(bench, &four, true);
	KTAP_EQUAL(fmt_init(&pt, &bench->test.os, 3, ALL_SIZES, 0, true), -EINVAL);
	KTAP_EQUAL(fmt_map(&bench->pt, iova(0x40000000), pa(0x123456000), 0x1000, IOMMU_READ,
	                   &bench->gather),
	           0);
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(0x40000000), &leaf));
	KTAP_EQUAL(leaf.entry, 0x123456000 | 5); /* P, U/S */
	KTAP_EQUAL(fmt_map(&bench->pt, iova(0x40200000), pa(0x40200000), PAGE_SIZE_2M,
	                   IOMMU_READ | IOMMU_WRITE, &bench->gather),
	           0);
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(0x40200000), &leaf));
	KTAP_EQUAL(leaf.entry, 0x40200000 | 0x87); /* P, R/W, U/S, PS */
	KTAP_EQUAL(fmt_map(&bench->pt, iova(0x80000000), pa(0x80000000), PAGE_SIZE_1G,
	                   IOMMU_READ | IOMMU_WRITE, &bench->gather),
	           0);
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(0x80000000), &leaf));
	KTAP_EQUAL(leaf.entry, 0x80000000 | 0x87);
	KTAP_EQUAL(
		fmt_map(&bench->pt, iova(0x1000), pa(0x1000), 0x1000, IOMMU_WRITE, &bench->gather),
		-EOPNOTSUPP);

	/* a table's entry: P, R/W, U/S, A; hardware that sets flags of leaves is no matter */
	struct iommu_walk walk = {0};
	fmt_walk(&bench->pt, iova(0x40000000), IOMMU_READ, &walk);
	KTAP_EQUAL(walk.count, 4);
	for (unsigned i = 0; i < 3; i++)
		KTAP_EQUAL(walk.steps[i].entry[0] & 0xfff0000000000fff, 0x27);
	*(uint64_t *)walk.steps[3].entry_pa.value |= 0x60;
	KTAP_CHECK(fmt_lookup(&bench->pt, iova(0x40000000), &leaf));
	KTAP_CHECK(leaf.dirty);
	KTAP_EQUAL(leaf.pa.value, 0x123456000);
	bench_exit(bench);
	free(bench);
}

static void verdicts(void)
{
	struct bench *bench = test_malloc(sizeof(*bench));
	uint64_t at = 0x40000000;
	struct iommu_walk walk = {0};

	bench_init(bench, &four, true);
	struct pt *pt = &bench->pt;
#define MAP_AS(at, to, rights) fmt_map(pt, iova(at), pa(to), 0x1000, rights, &bench->gather)
	KTAP_EQUAL(MAP_AS(at, 0x7000, IOMMU_READ), 0);
	KTAP_EQUAL(MAP_AS(at + 0x1000, 0x8000, IOMMU_READ | IOMMU_WRITE), 0);
	KTAP_EQUAL(MAP_AS(at + 0x2000, 0xfeefffff & ~0xfff, IOMMU_READ), 0);
	check_walk(bench, at, IOMMU_READ, 4, 0);
	check_walk(bench, at, IOMMU_WRITE, 4, 0x85);
	check_walk(bench, at + 0x1000, IOMMU_WRITE, 4, 0);
	check_walk(bench, at + 0x1000, IOMMU_ATOMIC, 4, 0);
	check_walk(bench, at + 0x2000, IOMMU_READ, 4, 0x87);
	check_walk(bench, at + 0x4000, IOMMU_READ, 4, 0x71);
	check_walk(bench, at + PAGE_SIZE_1G, IOMMU_READ, 2, 0x71);
	check_walk(bench, UINT64_C(1) << 47, IOMMU_READ, 0, 0x80);
	check_walk(bench, ~UINT64_C(0) << 48, IOMMU_READ, 0, 0x80);
	check_walk(bench, ~UINT64_C(0) << 47, IOMMU_READ, 1, 0x71); /* canonical */

	fmt_walk(pt, iova(at + 0x1000), IOMMU_WRITE, &walk);
	uint64_t *top = (uint64_t *)walk.steps[0].entry_pa.value;
	uint64_t *middle = (uint64_t *)walk.steps[1].entry_pa.value;
	*middle &= ~UINT64_C(4); /* U/S: for supervisors only */
	check_walk(bench, at, IOMMU_READ, 4, 0x81);
	check_walk(bench, at, IOMMU_READ | IOMMU_PRIV, 4, 0);
	*middle |= 4;
	*middle &= ~UINT64_C(2);
	check_walk(bench, at + 0x1000, IOMMU_WRITE, 4, 0x85);
	*middle |= 2;
	*top |= 0x80;
	check_walk(bench, at, IOMMU_READ, 1, 0x72);
	*top ^= 0x80;
	bench_exit(bench);
	free(bench);
}

static const struct ktap_case cases[] = {
	{"random operations, 4 levels", random_four},
	{"random operations, 5 levels", random_five},
	{"random operations, no 1 GiB pages, no flush during map", random_no_1g},
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
