/* SPDX-License-Identifier: MIT */
/*
 * Map: a part of the page-table engine. Included by iommu/pt_engine.h only, which see.
 *
 * All or nothing: a call that fails takes back what it mapped, and the tables that are then
 * without an entry (one that stood empty in the range before may go, too). The latter only
 * while nobody else maps: IOMMU_BESIDE leaves it to trim(). And it says that a table was
 * made wherever that matters (gather_on_map), for it may be another's who has not flushed yet.
 */
#include "iommu/pt_entry.h"

#ifdef PT_NAME

/** What one call of map has to say on its way. */
struct PT_FN(made) {
	int error;
	bool tables; /* a new one was published */
};

/** The entry at @p slot of @p level + 1 points to no table: put a new one there, unless
 *  somebody who maps beside us is quicker. Returns the entry, or 0 and made->error. */
PT_COLD uint64_t PT_FN(grow)(struct pt *pt, uint64_t *slot, struct PT_FN(made) * made)
{
	uint64_t table, entry = pt_load(slot);

	if (!entry) {
		made->error = PT_FN(table_alloc)(pt, &table);
		if (made->error)
			return 0;
		if (!pt->coherent) /* nobody says "mapped" below before it is cleaned */
			__atomic_fetch_add(&pt->growing, 1, __ATOMIC_SEQ_CST);
		bool ours = __atomic_compare_exchange_n(slot, &entry, pt_format_table(table), false,
		                                        __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
		if (ours) {
			entry = pt_format_table(table);
			made->tables = true;
			pt_count_stores(pt, 1);
		}
		if (!pt->coherent) {
			pt_clean(pt, slot, 1);
			__atomic_fetch_sub(&pt->growing, 1, __ATOMIC_SEQ_CST);
		}
		if (!ours) {
			pt->os->page_free(pt->os->ctx, pa(table), 0);
			__atomic_fetch_sub(&pt->table_pages, 1, __ATOMIC_RELAXED);
		}
	}
	if (pt_format_is_table(entry))
		return entry;
	made->error = -EEXIST; /* a leaf */
	return 0;
}

/** After new leaves were cleaned, wait for those who have not cleaned the way to them yet: not
 *  for a unit or a lock, but for a processor that is about to clean one line. 0. */
static __attribute__((noinline)) int PT_FN(settle_slow)(struct pt *pt)
{
	while (__atomic_load_n(&pt->growing, __ATOMIC_SEQ_CST))
		pt->os->relax(pt->os->ctx);
	return 0;
}

PT_INLINE int PT_FN(settle)(struct pt *pt)
{
	if (PT_UNLIKELY(__atomic_load_n(&pt->growing, __ATOMIC_SEQ_CST)))
		return PT_FN(settle_slow)(pt);
	return 0;
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
		entry = PT_FN(grow)(pt, slot, made);                                               \
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
	pt_count_stores(pt, 1);
	if (!pt->coherent)
		pt_clean(pt, slot, 1);
	int error = pt->flush(pt, &gather);
	if (error) {
		pt_publish(slot, old);
		pt_count_stores(pt, 1);
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
	unsigned filled = pt_fill(pt, slot, count, value, step, PT_FORMAT_PRESENT);
	if (PT_UNLIKELY(!filled)) {
		int room = PT_FN(make_room)(pt, slot, count, at, level);
		if (room <= 0) {
			made->error = room;
			return 0;
		}
		for (; filled < (unsigned)room; filled++)
			pt_publish(&slot[filled], value + filled * step);
		pt_count_stores(pt, filled);
		if (!pt->coherent)
			pt_clean(pt, slot, filled);
	}
	PT_FN(settle)(pt);
	return (uint64_t)filled << pt_shift(level);
}

/** Map the whole of an entry of level 2 by a table of small pages, if there is nothing: the
 *  table is filled before anybody can see it, and cleaned once. Returns the bytes mapped; 0 and
 *  no made->error: there is something. */
PT_COLD uint64_t PT_FN(map_table)(struct pt *pt, uint64_t at, uint64_t to, uint64_t bits,
                                  struct PT_FN(made) * made)
{
	uint64_t *slot = PT_FN(reach)(pt, at, 2, made), entry = 0;
	pa_t page;

	if (PT_UNLIKELY(!slot || pt_load(slot)))
		return 0;
	made->error = pt->os->page_alloc(pt->os->ctx, 0, &page);
	if (PT_UNLIKELY(made->error))
		return 0;
	uint64_t *table = pt_table(pt, page.value);
	pt_fill_new(pt, table, pt_format_place(to) | bits | pt_format_leaf_mark(1),
	            pt_format_place(pt_size(1)));
	if (!pt->coherent)
		__atomic_fetch_add(&pt->growing, 1, __ATOMIC_SEQ_CST);
	/* nobody else maps here, but a table that nobody uses may come from one that failed */
	bool ours = __atomic_compare_exchange_n(slot, &entry, pt_format_table(page.value), false,
	                                        __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
	if (!pt->coherent) {
		pt_clean(pt, slot, 1);
		__atomic_fetch_sub(&pt->growing, 1, __ATOMIC_SEQ_CST);
	}
	if (PT_UNLIKELY(!ours)) {
		pt->os->page_free(pt->os->ctx, page, 0);
		return 0;
	}
	__atomic_fetch_add(&pt->table_pages, 1, __ATOMIC_RELAXED);
	pt_count_stores(pt, PT_ENTRIES + 1);
	made->tables = true;
	(void)PT_FN(settle)(pt);
	return pt_size(2);
}

/** Take the tables without an entry out that lie in part or whole in [at, last], below
 *  @p table of @p level. */
static void PT_FN(trim_below)(struct pt *pt, uint64_t *table, unsigned level, uint64_t at,
                              uint64_t last, struct iommu_gather *gather)
{
	for (;;) {
		uint64_t *slot = &table[pt_index(at, level)];
		uint64_t entry = pt_load(slot), end = at | (pt_size(level) - 1);
		if (pt_format_is_table(entry)) {
			uint64_t *below = pt_table(pt, pt_format_address(entry));
			if (level > 2)
				PT_FN(trim_below)
			(pt, below, level - 1, at, end < last ? end : last, gather);
			if (!pt_any(below, PT_ENTRIES, PT_FORMAT_PRESENT)) {
				pt_retract(slot);
				pt_count_stores(pt, 1);
				if (!pt->coherent)
					pt_clean(pt, slot, 1);
				iommu_gather_add(gather, iova(end & ~(pt_size(level) - 1)),
				                 iova(end), true);
				PT_FN(table_gather)
				(pt, pt_format_address(entry), level - 1, gather);
			}
		}
		if (end >= last)
			return;
		at = end + 1;
	}
}

PT_PUBLIC void PT_FN(trim)(struct pt *pt, iova_t start, uint64_t bytes, struct iommu_gather *gather)
{
	PT_FN(trim_below)
	(pt, pt_table(pt, pt->root.value), pt->levels, start.value, start.value + bytes - 1,
	 gather);
}

/** Map [at, last], of a range that began at @p start: run by run, each in the
 *  largest size that address, memory and length allow and that the table uses, or
 *  (@p how: IOMMU_SMALL) in the smallest. */
static __attribute__((noinline)) int PT_FN(map_runs)(struct pt *pt, uint64_t start, uint64_t at,
                                                     uint64_t last, uint64_t memory, uint64_t bits,
                                                     uint32_t how, struct iommu_gather *gather)
{
	uint64_t left = last - at + 1;
	struct PT_FN(made) made;

	made.error = 0;
	made.tables = false;
	for (;;) {
		uint64_t done = 0, aligned = at | memory;
#define FITS(n) (!(aligned & (pt_size(n) - 1)) && left >= pt_size(n))
		if (!(how & IOMMU_SMALL) && FITS(2)) {
			if (FITS(3) && pt->page_sizes & pt_size(3))
				done = PT_FN(map_run)(pt, at, memory, left, bits, 3, &made);
			if (!done && !made.error && pt->page_sizes & pt_size(2))
				done = PT_FN(map_run)(pt, at, memory, left, bits, 2, &made);
		}
#undef FITS
		if (!done && !made.error && !(at & (pt_size(2) - 1)) && left >= pt_size(2))
			done = PT_FN(map_table)(pt, at, memory, bits, &made);
		if (!done && !made.error)
			done = PT_FN(map_run)(pt, at, memory, left, bits, 1, &made);
		if (PT_UNLIKELY(!done)) {
			if (at > start)
				PT_FN(clear)(pt, start, at - 1, gather);
			if (made.tables && !(how & IOMMU_BESIDE))
				PT_FN(trim)(pt, iova(start), last - start + 1, gather);
			return made.error;
		}
		left -= done;
		at += done;
		if (!left)
			break;
		memory += done;
	}
	if (pt->gather_on_map)
		iommu_gather_add(gather, iova(start), iova(last),
		                 made.tables || how & IOMMU_BESIDE);
	return 0;
}

/** What the quick ways do not do. */
static __attribute__((noinline)) int PT_FN(map_any)(struct pt *pt, iova_t start, pa_t to,
                                                    uint64_t bytes, uint32_t rights,
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
	int error = pt_format_bits(rights & ~PT_HOW, &bits);
	if (PT_UNLIKELY(error))
		return error;
	return PT_FN(map_runs)(pt, at, at, last, memory, bits | pt->leaf_bits, rights, gather);
}

/** Map a range, with @p bits, that lies in one table of @p level of a usual tree. */
PT_INLINE int PT_FN(map_quick)(struct pt *pt, iova_t start, pa_t to, uint64_t bytes,
                               uint32_t rights, struct iommu_gather *gather, uint64_t bits,
                               const unsigned level)
{
	const uint64_t value = pt_format_place(to.value) | bits | pt_format_leaf_mark(level);
	const uint64_t step = pt_format_place(pt_size(level));
	const unsigned count = (unsigned)(bytes >> pt_shift(level));
	unsigned filled;
	uint64_t *slot;

	if (PT_UNLIKELY(!PT_FN(quick_slot)(pt, start.value, level, &slot)))
		return PT_FN(map_any)(pt, start, to, bytes, rights, gather);
	if (pt->coherent) {
		filled = pt_fill_spans(slot, count, value, step, PT_FORMAT_PRESENT, false);
	} else {
		filled = pt_fill_spans(slot, count, value, step, PT_FORMAT_PRESENT, true);
		pt_clean_rest(pt, slot, filled);
	}
	if (PT_LIKELY(filled == count))
		return PT_FN(settle)(pt);
	const uint64_t done = (uint64_t)filled << pt_shift(level);
	return PT_FN(map_runs)(pt, start.value, start.value + done, start.value + (bytes - 1),
	                       to.value + done, bits, rights, gather);
}

/** All but what map() does by itself: first, ranges within one table. */
static __attribute__((noinline)) int PT_FN(map_many)(struct pt *pt, iova_t start, pa_t to,
                                                     uint64_t bytes, uint32_t rights,
                                                     struct iommu_gather *gather)
{
	const uint64_t at = start.value, memory = to.value, over = bytes - PAGE_SIZE_4K;
	uint64_t bits;

	/* (no sum wraps around: what is added is small, and what it is added to was checked) */
	if (PT_LIKELY(pt_is_usual(pt) && over < PAGE_SIZE_1G &&
	              !((at | (at + over)) & pt->wrong_iova) &&
	              !((memory | (memory + over)) & pt->wrong_memory) &&
	              !pt_format_bits(rights & ~PT_HOW, &bits))) {
		bits |= pt->leaf_bits;
		if (over < pt_size(2) - PAGE_SIZE_4K && (at ^ (at + over)) < pt_size(2))
			return PT_FN(map_quick)(pt, start, to, bytes, rights, gather, bits, 1);
		if (!((at | memory | bytes) & (pt_size(2) - 1)) &&
		    (at ^ (at + over)) < pt_size(3) && !(rights & IOMMU_SMALL) &&
		    pt->page_sizes & pt_size(2))
			return over < PAGE_SIZE_1G - PAGE_SIZE_4K || memory & (pt_size(3) - 1) ||
			                       !(pt->page_sizes & pt_size(3))
			               ? PT_FN(map_quick)(pt, start, to, bytes, rights, gather,
			                                  bits, 2)
			               : PT_FN(map_quick)(pt, start, to, bytes, rights, gather,
			                                  bits, 3);
	}
	return PT_FN(map_any)(pt, start, to, bytes, rights, gather);
}

/* The commonest call by far, one small page where tables are, is kept free of all that others
 * need: it has no frame, and what it does not do goes on elsewhere with the same arguments. */
PT_PUBLIC int PT_FN(map)(struct pt *pt, iova_t start, pa_t to, uint64_t bytes, uint32_t rights,
                         struct iommu_gather *gather)
{
	uint64_t bits;

	if (PT_LIKELY(bytes == pt_size(1) && pt_is_usual(pt) && !(start.value & pt->wrong_iova) &&
	              !(to.value & pt->wrong_memory) && !pt_format_bits(rights & ~PT_HOW, &bits))) {
		uint64_t *slot;
		if (PT_LIKELY(PT_FN(quick_slot)(pt, start.value, 1, &slot) &&
		              !(pt_load(slot) & PT_FORMAT_PRESENT))) {
			pt_publish(slot, pt_format_place(to.value) | bits | pt->leaf_bits |
			                         pt_format_leaf_mark(1));
			if (pt->coherent)
				return 0;
			arch_clean_line(slot);
			arch_write_barrier();
			return PT_FN(settle)(pt);
		}
	}
	return PT_FN(map_many)(pt, start, to, bytes, rights, gather);
}

PT_PUBLIC size_t PT_FN(map_pages)(struct pt *pt, iova_t start, const struct iommu_extent *extents,
                                  size_t count, uint32_t rights, struct iommu_gather *gather)
{
	const uint64_t at = start.value;
	const uint64_t wrong = pt->wrong_memory;
	uint64_t bits;
	unsigned level;
	size_t i = 0;

	if (at % PAGE_SIZE_4K || at >> pt_format_width(pt->levels) ||
	    pt_format_bits(rights & ~PT_HOW, &bits))
		return 0;
	bits |= pt->leaf_bits | pt_format_leaf_mark(1);
	uint64_t *slot = PT_FN(find)(pt, at, 1, &level);
	if (level != 1)
		return 0;
	const size_t room = PT_ENTRIES - pt_index(at, 1), most = count < room ? count : room;
	uint64_t memory = extents[0].start.value, next;
	for (; i < most; i++, memory = next) {
		if (PT_UNLIKELY(extents[i].bytes != pt_size(1) || memory & wrong ||
		                pt_load(&slot[i]) & PT_FORMAT_PRESENT))
			break;
		next = i + 1 < count ? extents[i + 1].start.value : memory;
		if (PT_UNLIKELY(next == memory + pt_size(1)))
			break; /* together they may be a larger page */
		pt_publish(&slot[i], pt_format_place(memory) | bits);
	}
	pt_count_stores(pt, i);
	if (!pt->coherent) {
		pt_clean(pt, slot, (unsigned)i);
		(void)PT_FN(settle)(pt);
	}
	if (i && pt->gather_on_map)
		iommu_gather_add(gather, start, iova(at + i * pt_size(1) - 1),
		                 rights & IOMMU_BESIDE);
	return i;
}

#endif /* PT_NAME */
