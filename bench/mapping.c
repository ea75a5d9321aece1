/* SPDX-License-Identifier: MIT */
/*
 * Rows about IOAS_MAP and IOAS_UNMAP at a fixed IOVA, with a device attached and strict
 * invalidation: sizes, kinds of memory, and how cost grows with size.
 */
#include "bench/bench.h"

#include "bench/calls.h"
#include "ufd/nestor.h"
#include "vtd/domain.h"

#define AT UINT64_C(0x2000000000) /* aligned to 64 GiB and more */

/* ---- stages ----------------------------------------------------------------------------------- */

static int open_attached(struct bench *bench)
{
	int error = bench_open(bench, bench->device);

	return error ? error : bench_attach(bench, bench->ioas);
}

static int setup_page(struct bench *bench)
{
	bench->user = bench_page(bench);
	bench->at = AT;
	return bench->user ? open_attached(bench) : -ENOMEM;
}

static int setup_contiguous(struct bench *bench)
{
	bench->user = bench_contiguous(bench);
	bench->at = AT;
	return bench->user ? open_attached(bench) : -ENOMEM;
}

static int setup_small(struct bench *bench)
{
	int error = setup_contiguous(bench);

	return error ? error : bench_small_pages(bench, true);
}

/** A process may not have as many pieces of memory as 256 MiB in single pages are. */
static bool too_scattered(const struct bench *bench)
{
	return bench->scattered && bench->row->size > bench->scattered;
}

static int setup_scattered(struct bench *bench)
{
	bench->user = bench_scattered(bench);
	bench->at = AT;
	return bench->user ? open_attached(bench) : -ENOMEM;
}

/* ---- rows ----------------------------------------------------------------------------------------- */

static int before_map(struct bench *bench)
{
	bench->bytes = bench->row->size;
	bench_prepare_map(bench, true);
	return 0;
}

static int after_map(struct bench *bench)
{
	return bench_unmap_at(bench, bench->at, bench->row->size);
}

static int before_unmap(struct bench *bench)
{
	bench->bytes = bench->row->size;
	bench_prepare_unmap(bench);
	return bench_map_at(bench, bench->at, bench->user, bench->row->size);
}

#define MAP(bytes) .before = before_map, .run = bench_run_map, .after = after_map, .size = (bytes)
#define UNMAP(bytes)                                                                               \
	.before = before_unmap, .run = bench_run_unmap, .after = bench_unmapped, .size = (bytes)
static int before_map_scattered(struct bench *bench)
{
	return too_scattered(bench) ? BENCH_NOT_HERE : before_map(bench);
}

static int before_unmap_scattered(struct bench *bench)
{
	return too_scattered(bench) ? BENCH_NOT_HERE : before_unmap(bench);
}

#define PAGES(bytes) .inner = (bytes) / PAGE_SIZE_4K, .per = "page"

#define MAP_SCATTERED(bytes)                                                                       \
	.before = before_map_scattered, .run = bench_run_map, .after = after_map, .size = (bytes), \
	PAGES(bytes)
#define UNMAP_SCATTERED(bytes)                                                                     \
	.before = before_unmap_scattered, .run = bench_run_unmap, .after = bench_unmapped,         \
	.size = (bytes), PAGES(bytes)

enum { M = 1 << 20 };

static const struct bench_row page_rows[] = {
	{.name = "ioas.map 4K", MAP(PAGE_SIZE_4K)},
	{.name = "ioas.unmap 4K", UNMAP(PAGE_SIZE_4K)},
	{.name = NULL},
};

/* ---- deferred: 64 unmaps, the last of which flushes for all --------------------------------------- */

enum { DEFERRED = 64 };

static int setup_deferred(struct bench *bench)
{
	int error = setup_page(bench);
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_NESTOR_DEFER_COUNT,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = bench->ioas,
		.val64 = DEFERRED,
	};

	return error ? error : bench_call(bench, bench->fd, IOMMU_OPTION, &option, sizeof(option));
}

static int before_deferred(struct bench *bench)
{
	int error = 0;

	bench->bytes = PAGE_SIZE_4K;
	for (uint64_t i = 0; i < DEFERRED && !error; i++)
		error = bench_map_at(bench, AT + i * PAGE_SIZE_4K, bench->user, PAGE_SIZE_4K);
	bench_prepare_unmap(bench);
	return error;
}

static int run_deferred(struct bench *bench)
{
	struct iommu_ioas_unmap *unmap = bench->slot;
	int error = 0;

	for (uint64_t i = 0; i < DEFERRED && !error; i++) {
		error = bench_run_unmap(bench);
		unmap->iova += PAGE_SIZE_4K;
	}
	return error;
}

static const struct bench_row deferred_rows[] = {
	{.name = "ioas.unmap 4K x64, deferred",
         .before = before_deferred,
         .run = run_deferred,
         .after = bench_unmapped,
         .inner = DEFERRED,
         .per = "unmap"},
	{.name = NULL},
};

/* ---- sizes ---------------------------------------------------------------------------------------- */

static const struct bench_row large_rows[] = {
	{.name = "ioas.map 2M hugetlb", MAP(2 * M)},
	{.name = "ioas.unmap 2M hugetlb", UNMAP(2 * M)},
	{.name = "ioas.map 256M hugetlb", MAP(256 * M)},
	{.name = "ioas.unmap 256M hugetlb", UNMAP(256 * M)},
	{.name = "ioas.map 1G in 1G pages", MAP(PAGE_SIZE_1G)},
	{.name = "ioas.unmap 1G in 1G pages", UNMAP(PAGE_SIZE_1G)},
	{.name = NULL},
};

static const struct bench_row small_rows[] = {
	{.name = "ioas.map 256M contiguous, 4K entries", MAP(256 * M), PAGES(256 * M)},
	{.name = "ioas.unmap 256M contiguous, 4K entries", UNMAP(256 * M), PAGES(256 * M)},
	{.name = NULL},
};

static const struct bench_row scattered_rows[] = {
	{.name = "ioas.map 2M scattered", MAP_SCATTERED(2 * M)},
	{.name = "ioas.unmap 2M scattered", UNMAP_SCATTERED(2 * M)},
	{.name = "ioas.map 256M scattered", MAP_SCATTERED(256 * M)},
	{.name = "ioas.unmap 256M scattered", UNMAP_SCATTERED(256 * M)},
	{.name = NULL},
};

/* ---- cost against size ---------------------------------------------------------------------------- */

/* Beyond 1 GiB the same memory is mapped again and again: as many calls, one unmap. */

static uint64_t piece(const struct bench *bench)
{
	return bench->row->size < PAGE_SIZE_1G ? bench->row->size : PAGE_SIZE_1G;
}

static int map_all(struct bench *bench)
{
	int error = 0;

	for (uint64_t done = 0; done < bench->row->size && !error; done += piece(bench))
		error = bench_map_at(bench, bench->at + done, bench->user, piece(bench));
	return error;
}

static int size_before_map(struct bench *bench)
{
	bench->bytes = piece(bench);
	bench_prepare_map(bench, true);
	return 0;
}

static int size_run_map(struct bench *bench)
{
	uint64_t calls = bench->row->size / bench->bytes;
	int error = 0;

	for (uint64_t i = 0; i < calls && !error; i++) {
		error = bench_run_map(bench);
		bench_move_map(bench, bench->bytes);
	}
	return error;
}

static int size_before_unmap(struct bench *bench)
{
	bench->bytes = bench->row->size;
	bench_prepare_unmap(bench);
	return map_all(bench);
}

#define SIZE_ROWS(text, bytes)                                                                     \
	{                                                                                          \
		.name = "size.map " text,                                                          \
		.before = size_before_map,                                                         \
		.run = size_run_map,                                                               \
		.after = after_map,                                                                \
		.size = (bytes),                                                                   \
		.series = "size.map",                                                              \
	},                                                                                         \
	{                                                                                          \
		.name = "size.unmap " text, .before = size_before_unmap, .run = bench_run_unmap,   \
		.after = bench_unmapped, .size = (bytes), .series = "size.unmap",                  \
	}

static const struct bench_row size_rows[] = {
	SIZE_ROWS("2^12", UINT64_C(1) << 12), SIZE_ROWS("2^13", UINT64_C(1) << 13),
	SIZE_ROWS("2^14", UINT64_C(1) << 14), SIZE_ROWS("2^15", UINT64_C(1) << 15),
	SIZE_ROWS("2^16", UINT64_C(1) << 16), SIZE_ROWS("2^17", UINT64_C(1) << 17),
	SIZE_ROWS("2^18", UINT64_C(1) << 18), SIZE_ROWS("2^19", UINT64_C(1) << 19),
	SIZE_ROWS("2^20", UINT64_C(1) << 20), SIZE_ROWS("2^21", UINT64_C(1) << 21),
	SIZE_ROWS("2^22", UINT64_C(1) << 22), SIZE_ROWS("2^23", UINT64_C(1) << 23),
	SIZE_ROWS("2^24", UINT64_C(1) << 24), SIZE_ROWS("2^25", UINT64_C(1) << 25),
	SIZE_ROWS("2^26", UINT64_C(1) << 26), SIZE_ROWS("2^27", UINT64_C(1) << 27),
	SIZE_ROWS("2^28", UINT64_C(1) << 28), SIZE_ROWS("2^29", UINT64_C(1) << 29),
	SIZE_ROWS("2^30", UINT64_C(1) << 30), SIZE_ROWS("2^31", UINT64_C(1) << 31),
	SIZE_ROWS("2^32", UINT64_C(1) << 32), SIZE_ROWS("2^33", UINT64_C(1) << 33),
	SIZE_ROWS("2^34", UINT64_C(1) << 34), SIZE_ROWS("2^35", UINT64_C(1) << 35),
	SIZE_ROWS("2^36", UINT64_C(1) << 36), {.name = NULL},
};

/* ---- memory that tables take ---------------------------------------------------------------------- */

static int tables_count(struct bench *bench, const char *name, uint64_t bytes)
{
	const struct vtd_domain *domain = bench->watched ? vtd_domain_check(bench->watched) : NULL;

	int error = bench_map_at(bench, bench->at, bench->user, bytes);
	if (error)
		return error;
	if (domain)
		bench_figure(bench, name, domain->pt.table_pages * PAGE_SIZE_4K, "bytes");
	return bench_unmap_at(bench, bench->at, bytes);
}

static int tables_setup(struct bench *bench)
{
	int error = setup_small(bench);

	if (!error)
		error = tables_count(bench, "memory.tables one 4K mapping", PAGE_SIZE_4K);
	if (!error)
		error = tables_count(bench, "memory.tables 1G in 4K pages", PAGE_SIZE_1G);
	return error;
}

static const struct bench_row no_rows[] = {{.name = NULL}};

const struct bench_stage bench_mapping_stages[] = {
	{"ioas.4K", setup_page, bench_close, page_rows, .coherent = true},
	{"ioas.deferred", setup_deferred, bench_close, deferred_rows, .coherent = true},
	{"ioas.hugetlb", setup_contiguous, bench_close, large_rows, .coherent = true},
	{"ioas.contiguous", setup_small, bench_close, small_rows, .coherent = true},
	{"ioas.scattered", setup_scattered, bench_close, scattered_rows, .coherent = true},
	{"size", setup_contiguous, bench_close, size_rows, .coherent = false},
	{"memory.tables", tables_setup, bench_close, no_rows, .coherent = false},
	{.name = NULL},
};
