/* SPDX-License-Identifier: MIT */
/*
 * Rows about what calls are made of, each alone: the hooks and tables that a call cannot do
 * without. What a call costs at least is the sum of its parts (docs/performance.md): the rest
 * is between them.
 */
#include "bench/bench.h"

#include "iommu/iova.h"
#include "ufd/ufd.h"

#define AT UINT64_C(0x2000000000)

enum { MAPPING = 96, STRUCTURE = 40 }; /* bytes: of an IOAS_MAP, and what it keeps */

static struct {
	struct iommu_lock lock;
	void *object;
	pa_t page;
	uint64_t structure[STRUCTURE / sizeof(uint64_t)];
	struct iommu_extent run;
	struct iova_space space;
	struct iova_node node;
	struct iommu_gather gather;
} part;

static const struct iommu_os *hooks(const struct bench *bench)
{
	return bench->core->os;
}

static int setup(struct bench *bench)
{
	const struct iommu_os *os = hooks(bench);

	bench->user = bench_page(bench);
	int error = bench->user ? bench_open(bench, bench->device) : -ENOMEM;
	if (!error)
		error = bench_attach(bench, bench->ioas);
	return error ? error : os->lock_init(os->ctx, &part.lock, "bench part");
}

static void teardown(struct bench *bench)
{
	const struct iommu_os *os = hooks(bench);

	os->lock_destroy(os->ctx, &part.lock);
	bench_close(bench);
}

static int run_lock(struct bench *bench)
{
	const struct iommu_os *os = hooks(bench);

	os->lock(os->ctx, &part.lock);
	os->unlock(os->ctx, &part.lock);
	return 0;
}

static int run_alloc(struct bench *bench)
{
	part.object = hooks(bench)->alloc(hooks(bench)->ctx, MAPPING);
	return part.object ? 0 : -ENOMEM;
}

static int run_free(struct bench *bench)
{
	hooks(bench)->free(hooks(bench)->ctx, part.object, MAPPING);
	return 0;
}

static int run_page_alloc(struct bench *bench)
{
	return hooks(bench)->page_alloc(hooks(bench)->ctx, 0, &part.page);
}

static int run_page_free(struct bench *bench)
{
	hooks(bench)->page_free(hooks(bench)->ctx, part.page, 0);
	return 0;
}

static int run_copy_in(struct bench *bench)
{
	return bench->ufd->memory->copy_in(bench->ufd->memory_ctx, part.structure, bench->slot_user,
	                                   STRUCTURE);
}

static int run_copy_out(struct bench *bench)
{
	return bench->ufd->memory->copy_out(bench->ufd->memory_ctx, bench->slot_user,
	                                    part.structure, STRUCTURE);
}

static int run_pin(struct bench *bench)
{
	uint64_t pinned;
	size_t count;

	return bench->ufd->memory->pin(bench->ufd->memory_ctx, bench->user, PAGE_SIZE_4K, true,
	                               &part.run, 1, &count, &pinned);
}

static int run_unpin(struct bench *bench)
{
	bench->ufd->memory->unpin(bench->ufd->memory_ctx, bench->user, &part.run, 1, true);
	return 0;
}

static int run_insert(struct bench *bench)
{
	struct iova_place place;

	(void)bench;
	part.node.first = AT;
	part.node.last = AT + PAGE_SIZE_4K - 1;
	int error = iova_space_check(&part.space, part.node.first, part.node.last, &place);
	if (!error)
		iova_space_insert_at(&part.space, &part.node, &place);
	return error;
}

static int run_remove(struct bench *bench)
{
	(void)bench;
	iova_space_remove(&part.space, &part.node);
	return 0;
}

static int before_flush(struct bench *bench)
{
	iommu_gather_init(&part.gather, bench->watched);
	iommu_gather_add(&part.gather, iova(AT), iova(AT + PAGE_SIZE_4K - 1), false);
	return 0;
}

static int run_flush(struct bench *bench)
{
	(void)bench;
	return iommu_flush(&part.gather);
}

static const struct bench_row rows[] = {
	{.name = "part.lock and unlock", .run = run_lock},
	{.name = "part.alloc 96 bytes, zeroed", .run = run_alloc, .after = run_free},
	{.name = "part.free 96 bytes", .before = run_alloc, .run = run_free},
	{.name = "part.alloc a table, zeroed", .run = run_page_alloc, .after = run_page_free},
	{.name = "part.free a table", .before = run_page_alloc, .run = run_page_free},
	{.name = "part.copy in 40 bytes", .run = run_copy_in},
	{.name = "part.copy out 40 bytes", .run = run_copy_out},
	{.name = "part.pin 4K", .run = run_pin, .after = run_unpin},
	{.name = "part.unpin 4K", .before = run_pin, .run = run_unpin},
	{.name = "part.enter an IOVA", .run = run_insert, .after = run_remove},
	{.name = "part.remove an IOVA", .before = run_insert, .run = run_remove},
	{.name = "part.flush 4K", .before = before_flush, .run = run_flush},
	{.name = NULL},
};

const struct bench_stage bench_part_stages[] = {
	{"parts", setup, teardown, rows, .coherent = false},
	{.name = NULL},
};
