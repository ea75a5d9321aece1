/* SPDX-License-Identifier: MIT */
/*
 * Rows about the page-table engine alone, in the second-stage format of VT-d, 4 levels:
 * compiled once more here, from the source that the driver is compiled from. Tables are
 * there: a neighbour keeps them. Its flush is not part of it.
 */
#define PT_NAME bench_ss
#include "vtd/second_stage.h"

#include "iommu/pt_engine.h"

#include "bench/bench.h"

#define AT     UINT64_C(0x2000000000)
#define KEPT   (AT + UINT64_C(0x3fe00000)) /* the last 2 MiB of that GiB */
#define MEMORY UINT64_C(0x40000000)

#define RANGES (AT + UINT64_C(0x100000000)) /* one table each */

enum { RIGHTS = IOMMU_READ | IOMMU_WRITE, RANGE_COUNT = 256 };

struct bench_engine {
	struct pt pt;
	struct iommu_gather gather;
	pa_t memory;
};

static void settle(struct bench *bench)
{
	iommu_gather_release(&bench->engine->gather);
	iommu_gather_init(&bench->engine->gather, bench->watched);
}

static int map(struct bench *bench, uint64_t at, uint64_t bytes)
{
	struct bench_engine *engine = bench->engine;

	return bench_ss_map(&engine->pt, iova(at), pa(MEMORY), bytes, RIGHTS, &engine->gather);
}

/* The gather wants a domain to ask for its hooks. */
static int setup(struct bench *bench)
{
	const struct iommu_os *os = bench->core->os;

	int error = bench_open(bench, bench->device);
	if (!error)
		error = bench_attach(bench, bench->ioas);
	if (error)
		return error;
	bench->engine = os->alloc(os->ctx, sizeof(*bench->engine));
	if (!bench->engine)
		return -ENOMEM;
	iommu_gather_init(&bench->engine->gather, bench->watched);
	error = bench_ss_init(&bench->engine->pt, os, 4, PT_FORMAT_PAGE_SIZES, 0,
	                      bench->coherent || !bench->vtd);
	if (error) {
		os->free(os->ctx, bench->engine, sizeof(*bench->engine));
		bench->engine = NULL;
		return error;
	}
	bench->engine->pt.domain = bench->watched;
	bench->table = &bench->engine->pt;
	error = map(bench, KEPT, PAGE_SIZE_4K);
	for (uint64_t i = 1; i <= RANGE_COUNT && !error; i++)
		error = map(bench, RANGES + i * PAGE_SIZE_2M - PAGE_SIZE_4K, PAGE_SIZE_4K);
	return error;
}

static void teardown(struct bench *bench)
{
	const struct iommu_os *os = bench->core->os;

	bench->table = NULL;
	if (bench->engine) {
		settle(bench);
		bench_ss_destroy(&bench->engine->pt);
		os->free(os->ctx, bench->engine, sizeof(*bench->engine));
		bench->engine = NULL;
	}
	bench_close(bench);
}

/* 4 KiB pages go beside the kept one, into its table; larger ones from the GiB's start on. */

static uint64_t place(const struct bench *bench)
{
	return bench->row->size < PAGE_SIZE_2M    ? KEPT + 256 * PAGE_SIZE_4K
	       : bench->row->size >= PAGE_SIZE_1G ? AT + PAGE_SIZE_1G
	                                          : AT;
}

static int run_map(struct bench *bench)
{
	struct bench_engine *engine = bench->engine;

	return bench_ss_map(&engine->pt, iova(bench->at), pa(MEMORY), bench->row->size, RIGHTS,
	                    &engine->gather);
}

static int before_map(struct bench *bench)
{
	bench->at = place(bench);
	settle(bench);
	return 0;
}

static int run_unmap(struct bench *bench)
{
	struct bench_engine *engine = bench->engine;

	return bench_ss_unmap(&engine->pt, iova(bench->at), bench->row->size, &engine->gather) ==
	                       bench->row->size
	               ? 0
	               : -EIO;
}

static int before_unmap(struct bench *bench)
{
	bench->at = place(bench);
	int error = map(bench, bench->at, bench->row->size);
	settle(bench);
	return error;
}

static int run_lookup(struct bench *bench)
{
	struct bench_engine *engine = bench->engine;

	return bench_ss_iova_to_phys(&engine->pt, iova(bench->at), &engine->memory) ? 0 : -ENOENT;
}

static int before_lookup(struct bench *bench)
{
	bench->at = KEPT;
	return 0;
}

/* What no table can do without: a store for each entry, in a loop as good as a compiler makes. */
static int run_stores(struct bench *bench)
{
	uint64_t *entry = bench->slot, value = MEMORY | RIGHTS;

#pragma GCC unroll 16
	for (unsigned i = 0; i < 256; i++, value += PAGE_SIZE_4K)
		__atomic_store_n(&entry[i], value, __ATOMIC_RELAXED);
	return 0;
}

/* ---- many at once: for clocks that see no single one ------------------------------------------------ */

static int run_map_ranges(struct bench *bench)
{
	struct bench_engine *engine = bench->engine;
	int error = 0;

	for (uint64_t i = 0; i < RANGE_COUNT && !error; i++)
		error = bench_ss_map(&engine->pt, iova(RANGES + i * PAGE_SIZE_2M), pa(MEMORY),
		                     256 * PAGE_SIZE_4K, RIGHTS, &engine->gather);
	return error;
}

static int run_unmap_ranges(struct bench *bench)
{
	struct bench_engine *engine = bench->engine;
	uint64_t bytes = 0;

	for (uint64_t i = 0; i < RANGE_COUNT; i++)
		bytes += bench_ss_unmap(&engine->pt, iova(RANGES + i * PAGE_SIZE_2M),
		                        256 * PAGE_SIZE_4K, &engine->gather);
	return bytes == RANGE_COUNT * 256 * PAGE_SIZE_4K ? 0 : -EIO;
}

static int run_lookup_ranges(struct bench *bench)
{
	struct bench_engine *engine = bench->engine;
	bool found = true;

	for (uint64_t i = 1; i <= RANGE_COUNT; i++)
		found &= bench_ss_iova_to_phys(&engine->pt,
		                               iova(RANGES + i * PAGE_SIZE_2M - PAGE_SIZE_4K),
		                               &engine->memory);
	return found ? 0 : -ENOENT;
}

static int before_map_ranges(struct bench *bench)
{
	settle(bench);
	return 0;
}

static int before_unmap_ranges(struct bench *bench)
{
	int error = run_map_ranges(bench);

	settle(bench);
	return error;
}

/** As many tables' worth of stores, in as many pages. */
static int run_store_ranges(struct bench *bench)
{
	uint8_t *memory = bench->stores;

	for (unsigned i = 0; i < RANGE_COUNT; i++, memory += PAGE_SIZE_4K) {
		uint64_t *entry = (uint64_t *)memory, value = MEMORY | RIGHTS;
#pragma GCC unroll 16
		for (unsigned k = 0; k < 256; k++, value += PAGE_SIZE_4K)
			__atomic_store_n(&entry[k], value, __ATOMIC_RELAXED);
	}
	return 0;
}

static int before_store_ranges(struct bench *bench)
{
	uint64_t bytes = RANGE_COUNT * PAGE_SIZE_4K;
	uint64_t user = bench_contiguous(bench);

	bench->stores = user ? user_memory_at(bench->memory, user, &bytes) : NULL;
	return bench->stores ? 0 : -ENOMEM;
}

#define MAP(bytes, count)                                                                          \
	.before = before_map, .run = run_map, .after = run_unmap, .size = (bytes) * (count),       \
	.inner = (count), .per = "page"
#define UNMAP(bytes, count)                                                                        \
	.before = before_unmap, .run = run_unmap, .size = (bytes) * (count), .inner = (count),     \
	.per = "page"

static const struct bench_row rows[] = {
	{.name = "engine.map 4K x1", MAP(PAGE_SIZE_4K, 1)},
	{.name = "engine.unmap 4K x1", UNMAP(PAGE_SIZE_4K, 1)},
	{.name = "engine.iova_to_phys 4K", .before = before_lookup, .run = run_lookup},
	{.name = "engine.map 4K x256", MAP(PAGE_SIZE_4K, 256)},
	{.name = "engine.unmap 4K x256", UNMAP(PAGE_SIZE_4K, 256)},
	{.name = "engine.map 2M x1", MAP(PAGE_SIZE_2M, 1)},
	{.name = "engine.unmap 2M x1", UNMAP(PAGE_SIZE_2M, 1)},
	{.name = "engine.map 2M x256", MAP(PAGE_SIZE_2M, 256)},
	{.name = "engine.unmap 2M x256", UNMAP(PAGE_SIZE_2M, 256)},
	{.name = "engine.map 1G x1", MAP(PAGE_SIZE_1G, 1)},
	{.name = "engine.unmap 1G x1", UNMAP(PAGE_SIZE_1G, 1)},
	{.name = "plain stores x256", .run = run_stores, .inner = 256, .per = "store"},
	{.name = "engine.map 4K x256, 256 tables",
         .before = before_map_ranges,
         .run = run_map_ranges,
         .after = run_unmap_ranges,
         .inner = RANGE_COUNT,
         .per = "table"},
	{.name = "engine.unmap 4K x256, 256 tables",
         .before = before_unmap_ranges,
         .run = run_unmap_ranges,
         .inner = RANGE_COUNT,
         .per = "table"},
	{.name = "engine.iova_to_phys 4K, 256 tables",
         .run = run_lookup_ranges,
         .inner = RANGE_COUNT,
         .per = "table"},
	{.name = "plain stores x256, 256 tables",
         .before = before_store_ranges,
         .run = run_store_ranges,
         .inner = RANGE_COUNT,
         .per = "table"},
	{.name = NULL},
};

/* ---- dirty flags -------------------------------------------------------------------------------------- */

static int dirty_setup(struct bench *bench)
{
	int error = setup(bench);

	if (error)
		return error;
	/* an odd page of memory for an even one of addresses: no large page fits */
	return bench_ss_map(&bench->engine->pt, iova(AT + PAGE_SIZE_1G), pa(MEMORY + PAGE_SIZE_4K),
	                    PAGE_SIZE_1G, RIGHTS, &bench->engine->gather);
}

static int before_dirty(struct bench *bench)
{
	struct bench_engine *engine = bench->engine;

	for (uint64_t at = 0; at < PAGE_SIZE_1G; at += PAGE_SIZE_4K) {
		struct iommu_leaf leaf;
		if (!bench_ss_lookup(&engine->pt, iova(AT + PAGE_SIZE_1G + at), &leaf))
			return -ENOENT;
		*(uint64_t *)iommu_os_va(bench->core->os, leaf.entry_pa) |= VTD_SS_D;
	}
	return 0;
}

static int read_dirty(struct bench *bench, bool clear, uint64_t wanted)
{
	struct bench_engine *engine = bench->engine;
	iova_t first = iova(AT + PAGE_SIZE_1G);

	uint64_t bytes = bench_ss_read_dirty(&engine->pt, first, iova_add(first, PAGE_SIZE_1G - 1),
	                                     clear, NULL, NULL, &engine->gather);
	return bytes == wanted ? 0 : -EIO;
}

static int run_read_clean(struct bench *bench)
{
	return read_dirty(bench, true, 0);
}

static int run_read_dirty(struct bench *bench)
{
	return read_dirty(bench, true, PAGE_SIZE_1G);
}

#define PAGES_1G .inner = 1 << 18, .per = "page"

static const struct bench_row dirty_rows[] = {
	{.name = "engine.read_dirty 1G in 4K, all clean", .run = run_read_clean, PAGES_1G},
	{.name = "engine.read_dirty 1G in 4K, all dirty",
         .before = before_dirty,
         .run = run_read_dirty,
         PAGES_1G},
	{.name = NULL},
};

const struct bench_stage bench_engine_stages[] = {
	{"engine", setup, teardown, rows, .coherent = true},
	{"dirty.engine", dirty_setup, teardown, dirty_rows, .coherent = true, .slow = true},
	{.name = NULL},
};
