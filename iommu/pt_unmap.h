/* SPDX-License-Identifier: MIT */
/*
 * Unmap: a part of the page-table engine. Included by iommu/pt_engine.h only, which
 * see.
 *
 * An entry is taken at the highest level at which the range covers it whole: a leaf
 * is counted, a table leaves the tree with all below it. A table that the range
 * covers in part stays, empty or not.
 */
#include "iommu/pt_entry.h"

#ifdef PT_NAME

struct PT_FN(cleared) {
	uint64_t bytes;       /* that leaves mapped */
	uint64_t first, last; /* hull of what changed */
	bool tables;
};

/** Retract @p count entries of @p level from @p slot on: leaves, tables or nothing. */
PT_INLINE void PT_FN(clear_run)(struct pt *pt, uint64_t *slot, unsigned count, uint64_t at,
                                const unsigned level, struct PT_FN(cleared) * cleared,
                                struct iommu_gather *gather)
{
	const uint64_t all = PT_FORMAT_USUAL | pt_format_leaf_mark(level);
	unsigned lowest = PT_ENTRIES, end = 0, leaves = 0, stores = 0;

	for (unsigned i = 0; i < count;) {
		unsigned drained = pt_drain(&slot[i], count - i, all);
		if (drained) {
			leaves += drained;
			stores += drained;
			if (lowest == PT_ENTRIES)
				lowest = i;
			end = i += drained;
		}
		unsigned stop = count - i >= PT_SPAN ? i + PT_SPAN : count;
		for (; i < stop; i++) {
			uint64_t entry = pt_load(&slot[i]);
			if (!(entry & PT_FORMAT_PRESENT))
				continue;
			pt_retract(&slot[i]);
			stores++;
			if (lowest == PT_ENTRIES)
				lowest = i;
			end = i + 1;
			if (level > 1 && pt_format_is_table(entry)) {
				cleared->bytes += PT_FN(table_gather)(pt, pt_format_address(entry),
				                                      level - 1, gather);
				cleared->tables = true;
			} else {
				leaves++;
			}
		}
	}
	if (!end)
		return;
	pt_count_stores(pt, stores);
	if (!pt->coherent)
		pt_clean(pt, &slot[lowest], end - lowest);
	cleared->bytes += (uint64_t)leaves << pt_shift(level);
	if (cleared->first > cleared->last)
		cleared->first = at + ((uint64_t)lowest << pt_shift(level));
	cleared->last = at + ((uint64_t)end << pt_shift(level)) - 1;
}

/** One run of unmap, at the highest level whose entries the range covers. Returns
 *  the last address dealt with, or ~0 when a leaf is larger than the range. */
PT_INLINE uint64_t PT_FN(unmap_run)(struct pt *pt, uint64_t at, uint64_t last,
                                    const unsigned target, struct PT_FN(cleared) * cleared,
                                    struct iommu_gather *gather)
{
	unsigned level;
	uint64_t *slot = PT_FN(find)(pt, at, target, &level);

	if (PT_UNLIKELY(level > target)) {
		if (pt_load(slot) & PT_FORMAT_PRESENT)
			return ~UINT64_C(0);
		return at | (pt_size(level) - 1);
	}
	unsigned count = PT_ENTRIES - pt_index(at, target);
	if ((last - at + 1) >> pt_shift(target) < count)
		count = (unsigned)((last - at + 1) >> pt_shift(target));
	PT_FN(clear_run)(pt, slot, count, at, target, cleared, gather);
	return at + ((uint64_t)count << pt_shift(target)) - 1;
}

/** Above level 2 runs are short and rare: one copy, with the level as a variable. */
PT_COLD uint64_t PT_FN(unmap_run_high)(struct pt *pt, uint64_t at, uint64_t last, unsigned target,
                                       struct PT_FN(cleared) * cleared, struct iommu_gather *gather)
{
	return PT_FN(unmap_run)(pt, at, last, target, cleared, gather);
}

/** Unmap [at, last], page-aligned and within the width. */
static __attribute__((noinline)) uint64_t PT_FN(clear)(struct pt *pt, uint64_t at, uint64_t last,
                                                       struct iommu_gather *gather)
{
	struct PT_FN(cleared) cleared;

	cleared.bytes = 0;
	cleared.first = 1;
	cleared.last = 0;
	cleared.tables = false;
	for (;;) {
		uint64_t done;
#define COVERS(n) (!(at & (pt_size(n) - 1)) && last - at >= pt_size(n) - 1)
		if (PT_LIKELY(!COVERS(2))) {
			done = PT_FN(unmap_run)(pt, at, last, 1, &cleared, gather);
		} else if (!COVERS(3)) {
			done = PT_FN(unmap_run)(pt, at, last, 2, &cleared, gather);
		} else {
			unsigned target = 3;
			while (target < pt->levels && COVERS(target + 1))
				target++;
			done = PT_FN(unmap_run_high)(pt, at, last, target, &cleared, gather);
		}
#undef COVERS
		if (done >= last) /* also where a large leaf ends it */
			break;
		at = done + 1;
	}
	if (PT_LIKELY(cleared.first <= cleared.last))
		iommu_gather_add(gather, iova(cleared.first), iova(cleared.last), cleared.tables);
	return cleared.bytes;
}

/** What the quick ways do not do. */
static __attribute__((noinline)) uint64_t PT_FN(unmap_any)(struct pt *pt, uint64_t at,
                                                           uint64_t bytes,
                                                           struct iommu_gather *gather)
{
	uint64_t last = at + bytes - 1;
	uint64_t limit = (UINT64_C(1) << pt_format_width(pt->levels)) - 1;

	if (PT_UNLIKELY((at | bytes) % PAGE_SIZE_4K || !bytes || last < at || at > limit))
		return 0;
	return PT_FN(clear)(pt, at, last < limit ? last : limit, gather);
}

/** Unmap a range that lies in one table of @p level of a usual tree. */
PT_INLINE uint64_t PT_FN(unmap_quick)(struct pt *pt, uint64_t at, uint64_t bytes,
                                      struct iommu_gather *gather, const unsigned level)
{
	const uint64_t all = PT_FORMAT_USUAL | pt_format_leaf_mark(level);
	const unsigned count = (unsigned)(bytes >> pt_shift(level));
	unsigned drained;
	uint64_t *slot;

	if (PT_UNLIKELY(!PT_FN(quick_slot)(pt, at, level, &slot)))
		return PT_FN(unmap_any)(pt, at, bytes, gather);
	if (pt->coherent) {
		drained = pt_drain_spans(slot, count, all, false);
	} else {
		drained = pt_drain_spans(slot, count, all, true);
		pt_clean_rest(pt, slot, drained);
	}
	if (PT_LIKELY(drained == count)) {
		iommu_gather_add(gather, iova(at), iova(at + (bytes - 1)), false);
		return bytes;
	}
	const uint64_t done = (uint64_t)drained << pt_shift(level);
	if (drained)
		iommu_gather_add(gather, iova(at), iova(at + (done - 1)), false);
	return done + PT_FN(clear)(pt, at + done, at + (bytes - 1), gather);
}

/** All but what unmap() does by itself: first, ranges within one table. */
static __attribute__((noinline)) uint64_t PT_FN(unmap_many)(struct pt *pt, uint64_t at,
                                                            uint64_t bytes,
                                                            struct iommu_gather *gather)
{
	const uint64_t over = bytes - PAGE_SIZE_4K;

	/* (no sum wraps around: what is added is small, and what it is added to was checked) */
	if (PT_LIKELY(pt_is_usual(pt))) {
		if (over < pt_size(2) - PAGE_SIZE_4K) {
			if (!((at | (at + over)) & pt->wrong_iova) &&
			    (at ^ (at + over)) < pt_size(2))
				return PT_FN(unmap_quick)(pt, at, bytes, gather, 1);
		} else if (over < pt_size(3) - PAGE_SIZE_4K) {
			if (!(at & pt->wrong_iova) && !((at | bytes) & (pt_size(2) - 1)) &&
			    (at ^ (at + over)) < pt_size(3))
				return PT_FN(unmap_quick)(pt, at, bytes, gather, 2);
		} else if (bytes == pt_size(3) && !(at & (pt->wrong_iova | (pt_size(3) - 1)))) {
			return PT_FN(unmap_quick)(pt, at, bytes, gather, 3);
		}
	}
	return PT_FN(unmap_any)(pt, at, bytes, gather);
}

/* The commonest call, one small page of a usual table, is kept free of all that others need:
 * it has no frame, and what it does not do goes on elsewhere with the same arguments. */
PT_PUBLIC uint64_t PT_FN(unmap)(struct pt *pt, iova_t start, uint64_t bytes,
                                struct iommu_gather *gather)
{
	if (PT_LIKELY(bytes == pt_size(1) && pt_is_usual(pt) && !(start.value & pt->wrong_iova))) {
		uint64_t *slot;
		if (PT_LIKELY(PT_FN(quick_slot)(pt, start.value, 1, &slot) &&
		              pt_load(slot) & PT_FORMAT_PRESENT)) {
			pt_retract(slot);
			iommu_gather_add(gather, start, iova(start.value + pt_size(1) - 1), false);
			if (!pt->coherent) {
				arch_clean_line(slot);
				arch_write_barrier();
			}
			return pt_size(1);
		}
	}
	return PT_FN(unmap_many)(pt, start.value, bytes, gather);
}

#endif /* PT_NAME */
