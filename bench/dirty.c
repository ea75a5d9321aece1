/* SPDX-License-Identifier: MIT */
/*
 * Rows about HWPT_GET_DIRTY_BITMAP: 1 GiB in 4 KiB pages, on the mock, since QEMU's unit
 * keeps no dirty flags. The engine's part in VT-d's format is in engine.c.
 */
#include "bench/bench.h"

#include "ufd/iommufd.h"
#include "ufd/mock.h"

#define AT UINT64_C(0x40000000)

/** The bitmap goes where the page buffer is: 32 KiB. */
enum { BITMAP_BYTES = 1 << 15 };

static int setup(struct bench *bench)
{
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_hwpt_set_dirty_tracking track = {.size = sizeof(track)};
	uint64_t memory = bench_contiguous(bench);

	bench->user = bench_page(bench);
	int error = memory && bench->user ? bench_open(bench, bench->mock) : -ENOMEM;
	if (!error)
		error = bench_small_pages(bench, true);
	if (error)
		return error;
	alloc.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	alloc.dev_id = bench->device_id;
	alloc.pt_id = bench->ioas;
	error = bench_call(bench, bench->fd, IOMMU_HWPT_ALLOC, &alloc, sizeof(alloc));
	if (!error)
		error = bench_map_at(bench, AT, memory, PAGE_SIZE_1G);
	if (!error)
		error = bench_watch(bench, alloc.out_hwpt_id);
	bench->hwpt = alloc.out_hwpt_id;
	track.hwpt_id = bench->hwpt;
	track.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE;
	return error ? error
	             : bench_call(bench, bench->fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &track,
	                          sizeof(track));
}

static int before_clean(struct bench *bench)
{
	*(struct iommu_hwpt_get_dirty_bitmap *)bench->slot = (struct iommu_hwpt_get_dirty_bitmap){
		.size = sizeof(struct iommu_hwpt_get_dirty_bitmap),
		.hwpt_id = bench->hwpt,
		.iova = AT,
		.length = PAGE_SIZE_1G,
		.page_size = PAGE_SIZE_4K,
		.data = bench->user,
	};
	return 0;
}

static int before_dirty(struct bench *bench)
{
	for (uint64_t at = AT; at < AT + PAGE_SIZE_1G; at += PAGE_SIZE_4K)
		if (!ufd_mock_set_dirty(bench->watched, iova(at)))
			return -ENOENT;
	return before_clean(bench);
}

static int run(struct bench *bench)
{
	return ufd_ioctl(bench->ufd, bench->fd, IOMMU_HWPT_GET_DIRTY_BITMAP, bench->slot_user);
}

/** Is the bitmap all ones, as it must be after the second row? Bits are only ever set. */
static int after_dirty(struct bench *bench)
{
	uint64_t bytes = BITMAP_BYTES;
	const uint64_t *word = user_memory_at(bench->memory, bench->user, &bytes);

	if (!word || bytes != BITMAP_BYTES)
		return -EFAULT;
	for (uint64_t i = 0; i < bytes / sizeof(*word); i++)
		if (~word[i])
			return -EIO;
	return 0;
}

static const struct bench_row rows[] = {
	{.name = "hwpt.get_dirty_bitmap 1G in 4K, all clean (mock)",
         .before = before_clean,
         .run = run,
         .inner = 1 << 18,
         .per = "page"},
	{.name = "hwpt.get_dirty_bitmap 1G in 4K, all dirty (mock)",
         .before = before_dirty,
         .run = run,
         .after = after_dirty,
         .inner = 1 << 18,
         .per = "page"},
	{.name = NULL},
};

const struct bench_stage bench_dirty_stages[] = {
	{"dirty.bitmap", setup, bench_close, rows, .slow = true},
	{.name = NULL},
};
