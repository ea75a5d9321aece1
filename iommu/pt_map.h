/* SPDX-License-Identifier: MIT */
/*
 * Map: a part of the page-table engine. Included by iommu/pt_engine.h only, which see.
 *
 * All or nothing: what a call has done is known by how far it came and by the tables
 * it made, so that a failure takes back exactly that (an empty table that stood in
 * the range before may go, too).
 */
#include "iommu/pt_entry.h"

#ifdef PT_NAME

/** What one call of map has made so far, so that it can be undone: tables that hold
 *  the first address, and for each level the latest one. */
struct PT_FN(made) {
	int error;
	uint64_t start;
	unsigned first, latest;          /* bit n: a table of level n */
	uint64_t window[PT_LEVEL_LIMIT]; /* the latest one's, if `latest` says so */
};

/** The entry at @p slot of @p level + 1 points to no table: put a new one there.
 *  Returns the new entry, or 0 and made->error. */
PT_COLD uint64_t PT_FN(grow)(struct pt *pt, uint64_t *slot, uint64_t at, unsigned level,
                             struct PT_FN(made) * made)
{
	uint64_t table;

	if (pt_load(slot) & PT_FORMAT_PRESENT) { /* a leaf */
		made->error = -EEXIST;
		return 0;
	}
	made->error = PT_FN(table_alloc)(pt, &table);
	if (made->error)
		return 0;
	pt_publish(slot, pt_format_table(table));
	pt->stores++;
	if (!pt->coherent)
		pt_clean(pt, slot, 1);

	unsigned shift = pt_shift(level + 1);
	if (at >> shift == made->start >> shift)
		made->first |= 1u << level;
	made->latest |= 1u << level;
	made->window[level] = at >> shift;
	return pt_format_table(table);
}

/** The entry of level @p target for @p at, with the tables that lead to it. NULL and
 *  made->error if they cannot be had. */
PT_INLINE uint64_t *PT_FN(reach)(struct pt *pt, uint64_t at, const unsigned target,
                                 struct PT_FN(made) * made)
{
	uint64_t *table = pt_table(pt, pt->root.value), *slot;
	uint64_t entry;

#define STEP(n)                                                                                    \
	slot = &table[pt_index(at, n)];                                                            \
	if (target >= (n))                                                                         \
		return slot;                                                                       \
	entry = pt_load(slot);                                                                     \
	if (PT_UNLIKELY(!pt_format_is_table(entry))) {                                             \
		entry = PT_FN(grow)(pt, slot, at, (n)-1, made);                                    \
		if (!entry)                                                                        \
			return NULL;                                                               \
	}                                                                                          \
	table = pt_table(pt, pt_format_address(entry))

	if (PT_LIKELY(pt->levels == 4))
		goto level4;
	if (pt->levels == 3)
		goto level3;
	STEP(5);
level4:
	STEP(4);
level3:
	STEP(3);
	STEP(2);
#undef STEP
	return &table[pt_index(at, 1)];
}

/** Leaves of @p level would fit at @p slot, but among @p count entries there is a
 *  present one. Returns how many entries from the first on are free now; 0: leaves
 *  of this size cannot stand here, try smaller ones; or an error. */
PT_COLD int PT_FN(make_room)(struct pt *pt, uint64_t *slot, unsigned count, uint64_t at,
                             unsigned level)
{
	unsigned free_entries = 0;

	while (free_entries < count && !(pt_load(&slot[free_entries]) & PT_FORMAT_PRESENT))
		free_entries++;
	if (free_entries)
		return (int)free_entries;

	uint64_t old = pt_load(slot);
	if (level == 1 || !pt_format_is_table(old) ||
	    PT_FN(table_has_leaf)(pt, pt_format_address(old), level - 1))
		return -EEXIST; /* the range covers all that this entry does */
	if (!pt->flush)
		return 0;

	/* Hardware may hold the table's address: it must forget before a leaf of
	 * another size stands here. Nothing is mapped below, so nothing is lost. */
	struct iommu_gather gather;
	iommu_gather_init(&gather, pt->domain);
	iommu_gather_add(&gather, iova(at), iova(at + pt_size(level) - 1), true);
	pt_retract(slot);
	pt->stores++;
	if (!pt->coherent)
		pt_clean(pt, slot, 1);
	int error = pt->flush(pt, &gather);
	if (error) {
		pt_publish(slot, old);
		pt->stores++;
		if (!pt->coherent)
			pt_clean(pt, slot, 1);
		return error;
	}
	PT_FN(table_free)(pt, pt_format_address(old), level - 1);
	return 1;
}

/** Map one run, of leaves of @p level, at the start of a range. Returns the bytes
 *  mapped; 0 and no made->error: not in this size. */
PT_INLINE uint64_t PT_FN(map_run)(struct pt *pt, uint64_t at, uint64_t to, uint64_t left,
                                  uint64_t bits, const unsigned level, struct PT_FN(made) * made)
{
	uint64_t *slot = PT_FN(reach)(pt, at, level, made);
	if (PT_UNLIKELY(!slot))
		return 0;
	unsigned count = PT_ENTRIES - pt_index(at, level);
	if (left >> pt_shift(level) < count)
		count = (unsigned)(left >> pt_shift(level));
	uint64_t value = pt_format_place(to) | bits | pt_format_leaf_mark(level);
	uint64_t step = pt_format_place(pt_size(level));
	unsigned filled = pt_fill(slot, count, value, step, PT_FORMAT_PRESENT);
	if (PT_UNLIKELY(!filled)) {
		int room = PT_FN(make_room)(pt, slot, count, at, level);
		if (room <= 0) {
			made->error = room;
			return 0;
		}
		for (; filled < (unsigned)room; filled++)
			pt_publish(&slot[filled], value + filled * step);
	}
	pt->stores += filled;
	if (!pt->coherent)
		pt_clean(pt, slot, filled);
	return (uint64_t)filled << pt_shift(level);
}

/** Take the table of @p level on the way to @p at out, if it is there. */
static void PT_FN(prune)(struct pt *pt, uint64_t at, unsigned level, struct iommu_gather *gather)
{
	uint64_t *table = pt_table(pt, pt->root.value);

	for (unsigned n = pt->levels;; n--) {
		uint64_t *slot = &table[pt_index(at, n)];
		uint64_t entry = pt_load(slot);
		if (!pt_format_is_table(entry))
			return;
		if (n > level + 1) {
			table = pt_table(pt, pt_format_address(entry));
			continue;
		}
		uint64_t base = at & ~(pt_size(n) - 1);
		pt_retract(slot);
		pt->stores++;
		if (!pt->coherent)
			pt_clean(pt, slot, 1);
		iommu_gather_add(gather, iova(base), iova(base + pt_size(n) - 1), true);
		PT_FN(table_gather)(pt, pt_format_address(entry), level, gather);
		return;
	}
}

/** A call of map failed at @p at: take back what it mapped and the tables it made.
 *  Those that the mapped part covers whole go with it; the others hold the first
 *  address or @p at. */
PT_COLD int PT_FN(undo)(struct pt *pt, uint64_t at, const struct PT_FN(made) * made,
                        struct iommu_gather *gather)
{
	if (at > made->start)
		PT_FN(clear)(pt, made->start, at - 1, gather);
	for (unsigned level = 1; level < pt->levels; level++) {
		if (made->latest >> level & 1 && made->window[level] == at >> pt_shift(level + 1))
			PT_FN(prune)(pt, at, level, gather);
		if (made->first >> level & 1)
			PT_FN(prune)(pt, made->start, level, gather);
	}
	return made->error;
}

/** Map [at, last], of a range that began at @p start: run by run, each in the
 *  largest size that address, memory and length allow and that the table uses, or
 *  (@p small) in the smallest. */
static __attribute__((noinline)) int PT_FN(map_runs)(struct pt *pt, uint64_t start, uint64_t at,
                                                     uint64_t last, uint64_t memory, uint64_t bits,
                                                     bool small, struct iommu_gather *gather)
{
	uint64_t left = last - at + 1;
	struct PT_FN(made) made;

	made.error = 0;
	made.start = start;
	made.first = made.latest = 0;
	for (;;) {
		uint64_t done = 0, aligned = at | memory;
#define FITS(n) (!(aligned & (pt_size(n) - 1)) && left >= pt_size(n))
		if (!small && FITS(2)) {
			if (FITS(3) && pt->page_sizes & pt_size(3))
				done = PT_FN(map_run)(pt, at, memory, left, bits, 3, &made);
			if (!done && !made.error && pt->page_sizes & pt_size(2))
				done = PT_FN(map_run)(pt, at, memory, left, bits, 2, &made);
		}
#undef FITS
		if (!done && !made.error)
			done = PT_FN(map_run)(pt, at, memory, left, bits, 1, &made);
		if (PT_UNLIKELY(!done))
			return PT_FN(undo)(pt, at, &made, gather);
		left -= done;
		at += done;
		if (!left)
			break;
		memory += done;
	}
	if (pt->gather_on_map)
		iommu_gather_add(gather, iova(start), iova(last), made.latest != 0);
	return 0;
}

/** Map a range that lies in one table of @p level, if the table is there and the
 *  range is free in it; else leave the rest to map_runs(). */
PT_INLINE int PT_FN(map_quick)(struct pt *pt, uint64_t at, uint64_t last, uint64_t memory,
                               uint64_t bits, const unsigned level, bool small,
                               struct iommu_gather *gather)
{
	unsigned found, filled = 0;
	uint64_t *slot = PT_FN(find)(pt, at, level, &found);

	if (PT_LIKELY(found == level)) {
		unsigned count = (unsigned)((last - at) >> pt_shift(level)) + 1;
		filled = pt_fill(slot, count,
		                 pt_format_place(memory) | bits | pt_format_leaf_mark(level),
		                 pt_format_place(pt_size(level)), PT_FORMAT_PRESENT);
		pt->stores += filled;
		if (!pt->coherent)
			pt_clean(pt, slot, filled);
		if (PT_LIKELY(filled == count)) {
			if (PT_UNLIKELY(pt->gather_on_map))
				iommu_gather_add(gather, iova(at), iova(last), false);
			return 0;
		}
	}
	uint64_t done = (uint64_t)filled << pt_shift(level);
	return PT_FN(map_runs)(pt, at, at + done, last, memory + done, bits, small, gather);
}

/** All but a single small page. */
static __attribute__((noinline)) int PT_FN(map_many)(struct pt *pt, uint64_t at, uint64_t last,
                                                     uint64_t memory, uint64_t bits, bool small,
                                                     struct iommu_gather *gather)
{
	uint64_t aligned = at | memory | (last + 1);

	if ((at ^ last) < pt_size(2) && last - at < pt_size(2) - 1)
		return PT_FN(map_quick)(pt, at, last, memory, bits, 1, small, gather);
	if (!small && !(aligned & (pt_size(2) - 1)) && pt->page_sizes & pt_size(2) &&
	    (at ^ last) < pt_size(3) && last - at < pt_size(3) - 1)
		return PT_FN(map_quick)(pt, at, last, memory, bits, 2, small, gather);
	return PT_FN(map_runs)(pt, at, at, last, memory, bits, small, gather);
}

/** After one small page was mapped: what only some units need. */
PT_COLD int PT_FN(map_one_done)(struct pt *pt, const uint64_t *slot, uint64_t at,
                                struct iommu_gather *gather)
{
	if (!pt->coherent)
		pt_clean(pt, slot, 1);
	if (pt->gather_on_map)
		iommu_gather_add(gather, iova(at), iova(at + pt_size(1) - 1), false);
	return 0;
}

PT_PUBLIC int PT_FN(map)(struct pt *pt, iova_t start, pa_t to, uint64_t bytes, uint32_t rights,
                         struct iommu_gather *gather)
{
	uint64_t at = start.value, last = at + bytes - 1;
	uint64_t memory = to.value, memory_last = memory + bytes - 1, bits;

	/* a length of 0 makes `last` too small or too large */
	if (PT_UNLIKELY((at | memory | bytes) % PAGE_SIZE_4K || last < at ||
	                last >> pt_format_width(pt->levels) || memory_last < memory ||
	                memory_last & (~(PT_FORMAT_MEMORY | (PAGE_SIZE_4K - 1)) |
	                               pt_format_address(pt->reserved_bits))))
		return -EINVAL;
	int error = pt_format_bits(rights & ~(uint32_t)IOMMU_SMALL, &bits);
	if (PT_UNLIKELY(error))
		return error;
	bits |= pt->leaf_bits;
	if (bytes != pt_size(1))
		return PT_FN(map_many)(pt, at, last, memory, bits, rights & IOMMU_SMALL, gather);

	/* the commonest call by far, kept free of all that the others need */
	unsigned level;
	uint64_t *slot = PT_FN(find)(pt, at, 1, &level);
	if (PT_UNLIKELY(level != 1 || pt_load(slot) & PT_FORMAT_PRESENT))
		return PT_FN(map_runs)(pt, at, at, last, memory, bits, true, gather);
	pt_publish(slot, pt_format_place(memory) | bits | pt_format_leaf_mark(1));
	pt->stores++;
	if (PT_LIKELY(pt->coherent && !pt->gather_on_map))
		return 0;
	return PT_FN(map_one_done)(pt, slot, at, gather);
}

PT_PUBLIC size_t PT_FN(map_pages)(struct pt *pt, iova_t start, const struct iommu_extent *extents,
                                  size_t count, uint32_t rights, struct iommu_gather *gather)
{
	const uint64_t at = start.value;
	const uint64_t wrong = ~PT_FORMAT_MEMORY | pt_format_address(pt->reserved_bits);
	uint64_t bits;
	unsigned level;
	size_t i = 0;

	if (at % PAGE_SIZE_4K || at >> pt_format_width(pt->levels) ||
	    pt_format_bits(rights & ~(uint32_t)IOMMU_SMALL, &bits))
		return 0;
	bits |= pt->leaf_bits | pt_format_leaf_mark(1);
	uint64_t *slot = PT_FN(find)(pt, at, 1, &level);
	if (level != 1)
		return 0;
	const size_t room = PT_ENTRIES - pt_index(at, 1), most = count < room ? count : room;
	for (; i < most; i++) {
		uint64_t memory = extents[i].start.value;
		if (PT_UNLIKELY(extents[i].bytes != pt_size(1) || memory & wrong ||
		                pt_load(&slot[i]) & PT_FORMAT_PRESENT))
			break;
		if (i + 1 < count && extents[i + 1].start.value == memory + pt_size(1))
			break; /* together they may be a larger page */
		pt_publish(&slot[i], pt_format_place(memory) | bits);
	}
	pt->stores += i;
	if (!pt->coherent)
		pt_clean(pt, slot, (unsigned)i);
	if (i && pt->gather_on_map)
		iommu_gather_add(gather, start, iova(at + i * pt_size(1) - 1), false);
	return i;
}

#endif /* PT_NAME */
