/* SPDX-License-Identifier: MIT */
/*
 * Rows about mapping where the kernel picks the IOVA, with many mappings alive: packed one
 * after another as they were picked, and fragmented, made in random order with gaps of
 * one to three pages.
 */
#include "bench/bench.h"

#include "bench/calls.h"

#define BASE UINT64_C(0x4000000000)

enum { SPACING = 4 * 4096 };

static int open_page(struct bench *bench)
{
	bench->live = 0;
	bench->user = bench_page(bench);
	bench->bytes = PAGE_SIZE_4K;
	int error = bench->user ? bench_open(bench, bench->device) : -ENOMEM;
	return error ? error : bench_attach(bench, bench->ioas);
}

/** Let there be @p count mappings, wherever the kernel puts them. */
static int fill_packed(struct bench *bench, uint64_t count)
{
	int error = 0;

	bench->bytes = PAGE_SIZE_4K;
	for (; bench->live < count && !error; bench->live++) {
		bench_prepare_map(bench, false);
		error = bench_run_map(bench);
	}
	return error;
}

/** A place for mapping @p i: each step of SPACING has one page, anywhere in it. */
static uint64_t fragment_at(uint64_t i)
{
	uint64_t mixed = i * UINT64_C(0x9e3779b97f4a7c15);

	return BASE + i * SPACING + (mixed >> 40) % 3 * PAGE_SIZE_4K;
}

/** @p count is a power of ten: the steps of 7919, a prime, reach every place once. */
static int fill_fragmented(struct bench *bench, uint64_t count)
{
	int error = 0;

	bench->bytes = PAGE_SIZE_4K;
	for (uint64_t n = 0, i = 0; n < count && !error; n++, i = (i + 7919) % count) {
		bench->at = fragment_at(i);
		bench_prepare_map(bench, true);
		error = bench_run_map(bench);
	}
	bench->live = count;
	return error;
}

/* ---- rows ---------------------------------------------------------------------------------------- */

static int before_any(struct bench *bench)
{
	uint64_t heap = bench->heap_bytes ? bench->heap_bytes() : 0;

	if (bench->live < bench->row->size) {
		uint64_t more = bench->row->size - bench->live;
		int error = fill_packed(bench, bench->row->size);
		if (error)
			return error;
		if (bench->heap_bytes && bench->row->size == 10000)
			bench_figure(bench, "memory.objects a mapping",
			             (bench->heap_bytes() - heap + more - 1) / more, "bytes");
	}
	bench_prepare_map(bench, false);
	return 0;
}

static int after_any(struct bench *bench)
{
	return bench_unmap_at(bench, bench_mapped_at(bench), bench->bytes);
}

static int before_any_unmap(struct bench *bench)
{
	bench_prepare_map(bench, false);
	int error = bench_run_map(bench);
	bench->at = bench_mapped_at(bench);
	bench_prepare_unmap(bench);
	return error;
}

#define ANY(count)                                                                                 \
	.before = before_any, .run = bench_run_map, .after = after_any, .size = (count),           \
	.series = "live.map"
#define ANY_UNMAP(count)                                                                           \
	.before = before_any_unmap, .run = bench_run_unmap, .after = bench_unmapped,               \
	.size = (count), .series = "live.unmap"

static const struct bench_row packed_rows[] = {
	{.name = "ioas.map 4K any-iova 0-live", ANY(0)},
	{.name = "ioas.unmap 4K any-iova 0-live", ANY_UNMAP(0)},
	{.name = "ioas.map 4K any-iova 10-live", ANY(10)},
	{.name = "ioas.unmap 4K any-iova 10-live", ANY_UNMAP(10)},
	{.name = "ioas.map 4K any-iova 100-live", ANY(100)},
	{.name = "ioas.unmap 4K any-iova 100-live", ANY_UNMAP(100)},
	{.name = "ioas.map 4K any-iova 1000-live", ANY(1000)},
	{.name = "ioas.unmap 4K any-iova 1000-live", ANY_UNMAP(1000)},
	{.name = "ioas.map 4K any-iova 10000-live", ANY(10000)},
	{.name = "ioas.unmap 4K any-iova 10000-live", ANY_UNMAP(10000)},
	{.name = "ioas.map 4K any-iova 100000-live", ANY(100000)},
	{.name = "ioas.unmap 4K any-iova 100000-live", ANY_UNMAP(100000)},
	{.name = "ioas.map 4K any-iova 1000000-live", ANY(1000000)},
	{.name = "ioas.unmap 4K any-iova 1000000-live", ANY_UNMAP(1000000)},
	{.name = NULL},
};

/* ---- fragmented ------------------------------------------------------------------------------------- */

static int setup_fragmented(struct bench *bench)
{
	int error = open_page(bench);

	return error ? error : fill_fragmented(bench, bench->most_live);
}

static int before_gap(struct bench *bench)
{
	bench->bytes = bench->row->size;
	bench_prepare_map(bench, false);
	return 0;
}

static int before_gap_unmap(struct bench *bench)
{
	bench->bytes = bench->row->size;
	return before_any_unmap(bench);
}

/** One in the middle, which was there all the time. */
static int before_middle(struct bench *bench)
{
	bench->bytes = PAGE_SIZE_4K;
	bench->at = fragment_at(bench->most_live / 2 + 1);
	bench_prepare_unmap(bench);
	return 0;
}

static int after_middle(struct bench *bench)
{
	int error = bench_unmapped(bench);

	return error ? error : bench_map_at(bench, bench->at, bench->user, bench->bytes);
}

static int before_middle_map(struct bench *bench)
{
	int error = before_middle(bench);

	if (!error)
		error = bench_unmap_at(bench, bench->at, bench->bytes);
	bench_prepare_map(bench, true);
	return error;
}

#define GAP(bytes) .before = before_gap, .run = bench_run_map, .after = after_any, .size = (bytes)
#define GAP_UNMAP(bytes)                                                                           \
	.before = before_gap_unmap, .run = bench_run_unmap, .after = bench_unmapped, .size = (bytes)

static const struct bench_row fragmented_rows[] = {
	{.name = "ioas.map 4K any-iova 1000000-live fragmented", GAP(PAGE_SIZE_4K)},
	{.name = "ioas.unmap 4K any-iova 1000000-live fragmented", GAP_UNMAP(PAGE_SIZE_4K)},
	{.name = "ioas.map 64K any-iova 1000000-live fragmented", GAP(16 * PAGE_SIZE_4K)},
	{.name = "ioas.unmap 64K any-iova 1000000-live fragmented", GAP_UNMAP(16 * PAGE_SIZE_4K)},
	{.name = "ioas.map 4K fixed 1000000-live fragmented",
         .before = before_middle_map,
         .run = bench_run_map},
	{.name = "ioas.unmap 4K fixed 1000000-live fragmented",
         .before = before_middle,
         .run = bench_run_unmap,
         .after = after_middle},
	{.name = NULL},
};

const struct bench_stage bench_live_stages[] = {
	{"live.packed", open_page, bench_close, packed_rows, .coherent = false},
	{"live.fragmented", setup_fragmented, bench_close, fragmented_rows, .coherent = false},
	{.name = NULL},
};
