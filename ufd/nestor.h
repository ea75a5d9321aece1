/* SPDX-License-Identifier: MIT */
/*
 * What Nestor's calls have beyond Linux's iommufd. Programs that use none of it run on
 * both; nothing of it changes what the mirrored calls do unless it is asked for.
 *
 * Deferred invalidation, an IOAS at a time, by IOMMU_OPTION with object_id the IOAS:
 *
 *   DEFER_COUNT  how many mappings may be unmapped before the units are told to forget them;
 *                0 (as an IOAS begins): strict, IOAS_UNMAP returns when they have forgotten.
 *   DEFER_US     how many microseconds after the first of them they are told at the latest;
 *                10000 unless it was set. Somebody must call ufd_flush_deferred() for that
 *                (ufd/ufd.h); calls that touch the IOAS keep the time too.
 *
 * Between an unmap and the flush a device may go on using what was mapped: the stale window.
 * The memory stays pinned and its IOVAs in use until the flush, so that what it reaches is
 * what it was allowed to reach before, never another owner's memory.
 */
#ifndef UFD_NESTOR_H
#define UFD_NESTOR_H

enum {
	IOMMU_OPTION_NESTOR_DEFER_COUNT = 0x7e570000,
	IOMMU_OPTION_NESTOR_DEFER_US = 0x7e570001,
};

enum {
	NESTOR_DEFER_COUNT_MAX = 4096,
	NESTOR_DEFER_US_MAX = 1000000,
	NESTOR_DEFER_US_DEFAULT = 10000,
};

#endif
