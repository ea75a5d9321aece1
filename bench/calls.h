/* SPDX-License-Identifier: MIT */
/*
 * The measured calls of mapping rows. Their structure lies ready in user memory before
 * the clock starts: what is measured is the call.
 */
#ifndef BENCH_CALLS_H
#define BENCH_CALLS_H

#include "bench/bench.h"
#include "ufd/iommufd.h"

/** Let the slot hold IOAS_MAP of bench->user, bench->bytes; at bench->at if @p fixed. */
static inline void bench_prepare_map(struct bench *bench, bool fixed)
{
	*(struct iommu_ioas_map *)bench->slot = (struct iommu_ioas_map){
		.size = sizeof(struct iommu_ioas_map),
		.flags = (fixed ? IOMMU_IOAS_MAP_FIXED_IOVA : 0) | IOMMU_IOAS_MAP_READABLE |
	                 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = bench->ioas,
		.user_va = bench->user,
		.length = bench->bytes,
		.iova = fixed ? bench->at : 0,
	};
}

/** The next IOAS_MAP is for @p bytes further up. */
static inline void bench_move_map(struct bench *bench, uint64_t bytes)
{
	((struct iommu_ioas_map *)bench->slot)->iova += bytes;
}

static inline uint64_t bench_mapped_at(const struct bench *bench)
{
	return ((const struct iommu_ioas_map *)bench->slot)->iova;
}

static inline int bench_run_map(struct bench *bench)
{
	return ufd_ioctl(bench->ufd, bench->fd, IOMMU_IOAS_MAP, bench->slot_user);
}

/** Let the slot hold IOAS_UNMAP of bench->bytes at bench->at. */
static inline void bench_prepare_unmap(struct bench *bench)
{
	*(struct iommu_ioas_unmap *)bench->slot = (struct iommu_ioas_unmap){
		.size = sizeof(struct iommu_ioas_unmap),
		.ioas_id = bench->ioas,
		.iova = bench->at,
		.length = bench->bytes,
	};
}

static inline int bench_run_unmap(struct bench *bench)
{
	return ufd_ioctl(bench->ufd, bench->fd, IOMMU_IOAS_UNMAP, bench->slot_user);
}

/** Did it unmap what it was to? */
static inline int bench_unmapped(struct bench *bench)
{
	const struct iommu_ioas_unmap *unmap = bench->slot;

	return unmap->length == bench->bytes ? 0 : -EIO;
}

#endif
