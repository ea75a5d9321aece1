/* SPDX-License-Identifier: MIT */
/*
 * The second half of the page-table engine: looking at leaves, dirty flags,
 * splitting, and the walk that is shown to people. Included by iommu/pt_engine.h
 * only, which see.
 */
#include "iommu/pt_entry.h"

#ifdef PT_NAME

#include "iommu/print.h"

/* ---- lookup, visit, dirty ------------------------------------------------------ */

PT_INLINE void PT_FN(leaf)(const struct pt *pt, uint64_t at, const uint64_t *slot, uint64_t entry,
                           unsigned level, struct iommu_leaf *out)
{
	out->iova = iova(at & ~(pt_size(level) - 1));
	out->pa = pa(pt_format_address(entry));
	out->bytes = pt_size(level);
	out->rights = pt_format_rights(entry);
	out->entry = entry;
	out->entry_pa = iommu_os_pa(pt->os, slot);
	out->dirty = entry & PT_FORMAT_DIRTY;
}

PT_PUBLIC bool PT_FN(lookup)(struct pt *pt, iova_t at, struct iommu_leaf *out)
{
	unsigned level;

	if (PT_UNLIKELY(at.value >> pt_format_width(pt->levels)))
		return false;
	const uint64_t *slot = PT_FN(find)(pt, at.value, 1, &level);
	uint64_t entry = pt_load(slot);
	if (PT_UNLIKELY(!(entry & PT_FORMAT_PRESENT)))
		return false;
	if (PT_LIKELY(level == 1)) /* constants */
		PT_FN(leaf)(pt, at.value, slot, entry, 1, out);
	else
		PT_FN(leaf)(pt, at.value, slot, entry, level, out);
	return true;
}

static __attribute__((noinline)) bool PT_FN(iova_to_phys_any)(struct pt *pt, iova_t at, pa_t *out)
{
	struct iommu_leaf leaf;

	if (!PT_FN(lookup)(pt, at, &leaf))
		return false;
	*out = pa_add(leaf.pa, at.value - leaf.iova.value);
	return true;
}

/** Only where @p at leads: without a frame, as map() and unmap(). */
PT_PUBLIC bool PT_FN(iova_to_phys)(struct pt *pt, iova_t at, pa_t *out)
{
	uint64_t *slot;

	if (PT_LIKELY(pt_is_usual(pt) && !(at.value & ~(PAGE_SIZE_4K - 1) & pt->wrong_iova) &&
	              PT_FN(quick_slot)(pt, at.value, 1, &slot))) {
		uint64_t entry = pt_load(slot);
		if (PT_LIKELY(entry & PT_FORMAT_PRESENT)) {
			*out = pa(pt_format_address(entry) | (at.value & (PAGE_SIZE_4K - 1)));
			return true;
		}
	}
	return PT_FN(iova_to_phys_any)(pt, at, out);
}

typedef bool PT_FN(visitor)(void *arg, const struct iommu_leaf *leaf);

/** The entry that translates @p at, its level, and how many entries from there on lie in
 *  one table of 4 KiB pages and no further than @p last; 1 on other levels. */
PT_INLINE uint64_t *PT_FN(span)(struct pt *pt, uint64_t at, uint64_t last, unsigned *level,
                                unsigned *count)
{
	uint64_t *slot = PT_FN(find)(pt, at, 1, level);

	*count = 1;
	if (*level == 1) {
		*count = PT_ENTRIES - pt_index(at, 1);
		if (((last - at) >> PAGE_SHIFT_4K) + 1 < *count)
			*count = (unsigned)((last - at) >> PAGE_SHIFT_4K) + 1;
	}
	return slot;
}

/** What lies behind the table cannot be asked for. */
PT_INLINE uint64_t PT_FN(limit)(const struct pt *pt, uint64_t last)
{
	uint64_t limit = (UINT64_C(1) << pt_format_width(pt->levels)) - 1;

	return last < limit ? last : limit;
}

PT_PUBLIC bool PT_FN(visit)(struct pt *pt, iova_t first, iova_t end, PT_FN(visitor) * visit,
                            void *arg)
{
	const uint64_t last = PT_FN(limit)(pt, end.value);

	for (uint64_t at = first.value; at <= last;) {
		unsigned level, count;
		uint64_t *slot = PT_FN(span)(pt, at, last, &level, &count);
		for (unsigned i = 0; i < count; i++) {
			uint64_t entry = pt_load(&slot[i]);
			struct iommu_leaf leaf;
			if (!(entry & PT_FORMAT_PRESENT))
				continue;
			PT_FN(leaf)
			(pt, at + ((uint64_t)i << PAGE_SHIFT_4K), &slot[i], entry, level, &leaf);
			if (!visit(arg, &leaf))
				return false;
		}
		at = (at & ~(pt_size(level) - 1)) + ((uint64_t)count << pt_shift(level));
	}
	return true;
}

/** A read of dirty flags: adjacent pages are told as one run. */
struct PT_FN(dirty) {
	struct pt *pt;
	bool clear;
	void (*written)(void *arg, iova_t first, iova_t last);
	void *arg;
	struct iommu_gather *gather;
	uint64_t start, end; /* the run, end excluded; empty: none */
	uint64_t bytes;      /* of all runs that were told */
};

static void PT_FN(dirty_tell)(struct PT_FN(dirty) * dirty)
{
	if (dirty->start == dirty->end)
		return;
	iova_t first = iova(dirty->start), last = iova(dirty->end - 1);
	if (dirty->clear)
		iommu_gather_add(dirty->gather, first, last, false);
	if (dirty->written)
		dirty->written(dirty->arg, first, last);
	dirty->bytes += dirty->end - dirty->start;
	dirty->start = dirty->end;
}

PT_INLINE void PT_FN(dirty_add)(struct PT_FN(dirty) * dirty, uint64_t at, uint64_t bytes)
{
	if (PT_UNLIKELY(at != dirty->end)) {
		PT_FN(dirty_tell)(dirty);
		dirty->start = at;
	}
	dirty->end = at + bytes;
}

/** A whole group was made clean. */
PT_INLINE void PT_FN(dirty_cleared)(struct pt *pt, const uint64_t *slot)
{
	if (PT_LIKELY(pt_cleans_quickly(pt))) {
		arch_clean_line(slot);
		arch_clean_line(slot + PT_GROUP / 2);
		if ((uintptr_t)slot % ARCH_CACHE_LINE) /* then there is a third */
			arch_clean_line(slot + PT_GROUP - 1);
		arch_write_barrier();
		return;
	}
	pt_count_stores(pt, PT_GROUP);
	if (!pt->coherent)
		pt_clean(pt, slot, PT_GROUP);
}

_Static_assert(PT_GROUP * sizeof(uint64_t) == 2 * ARCH_CACHE_LINE, "a group is two lines");

/** Dirty flags of @p count entries at @p slot, each of @p bytes from @p at on. Hardware may
 *  set a flag at any time: nothing but the flag changes, in one indivisible step. */
PT_INLINE void PT_FN(dirty_entries)(struct PT_FN(dirty) * dirty, uint64_t *slot, unsigned count,
                                    uint64_t at, const uint64_t bytes)
{
	struct pt *pt = dirty->pt;

	while (count) {
		unsigned group = PT_GROUP;
		if (PT_LIKELY(count >= PT_GROUP) && !(pt_group_or(slot) & PT_FORMAT_DIRTY)) {
			/* most are clean */
			slot += PT_GROUP;
			count -= PT_GROUP;
			at += PT_GROUP * bytes;
			continue;
		}
		__asm__ volatile("" ::: "memory"); /* nobody reads both ways at once */
		if (count < PT_GROUP)
			group = count;
		if (group == PT_GROUP && pt_group_and(slot) & PT_FORMAT_DIRTY) {
			if (dirty->clear) {
				pt_group_clear(slot, PT_FORMAT_DIRTY);
				PT_FN(dirty_cleared)(pt, slot);
			}
			PT_FN(dirty_add)(dirty, at, group * bytes);
		} else {
			for (unsigned i = 0; i < group; i++) {
				if (!(pt_load(&slot[i]) & PT_FORMAT_DIRTY))
					continue;
				if (dirty->clear) {
					__atomic_fetch_and(&slot[i], ~PT_FORMAT_DIRTY,
					                   __ATOMIC_RELAXED);
					pt_count_stores(pt, 1);
					if (!pt->coherent)
						pt_clean(pt, &slot[i], 1);
				}
				PT_FN(dirty_add)(dirty, at + i * bytes, bytes);
			}
		}
		slot += group;
		count -= group;
		at += group * bytes;
	}
}

PT_PUBLIC uint64_t PT_FN(read_dirty)(struct pt *pt, iova_t first, iova_t end, bool clear,
                                     void (*written)(void *arg, iova_t first, iova_t last),
                                     void *arg, struct iommu_gather *gather)
{
	struct PT_FN(dirty) dirty = {pt, clear, written, arg, gather, 0, 0, 0};
	const uint64_t last = PT_FN(limit)(pt, end.value);

	for (uint64_t at = first.value; at <= last;) {
		unsigned level, count;
		uint64_t *slot = PT_FN(span)(pt, at, last, &level, &count);
		at &= ~(pt_size(level) - 1);
		if (level == 1)
			PT_FN(dirty_entries)(&dirty, slot, count, at, PAGE_SIZE_4K);
		else
			PT_FN(dirty_entries)(&dirty, slot, 1, at, pt_size(level));
		at += (uint64_t)count << pt_shift(level);
	}
	PT_FN(dirty_tell)(&dirty);
	return dirty.bytes;
}

/* ---- split ------------------------------------------------------------------------ */

/** Build what takes the place of a leaf at @p base: leaves of the largest size that
 *  is in use, but no more than level @p target around @p at. Returns the entry;
 *  0 and *error if a table cannot be had, and then nothing is left. */
static uint64_t PT_FN(build)(struct pt *pt, uint64_t base, uint64_t memory, uint64_t bits,
                             unsigned level, uint64_t at, unsigned target, int *error)
{
	bool on_the_way = (at ^ base) < pt_size(level);
	uint64_t address;

	if (pt->page_sizes & pt_size(level) && (level <= target || !on_the_way))
		return pt_format_place(memory) | bits | pt_format_leaf_mark(level);
	*error = PT_FN(table_alloc)(pt, &address);
	if (*error)
		return 0;
	uint64_t *table = pt_table(pt, address);
	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		uint64_t offset = (uint64_t)i << pt_shift(level - 1);
		uint64_t entry = PT_FN(build)(pt, base + offset, memory + offset, bits, level - 1,
		                              at, target, error);
		if (!entry) {
			PT_FN(table_free)(pt, address, level - 1);
			return 0;
		}
		pt_publish(&table[i], entry);
	}
	pt_count_stores(pt, PT_ENTRIES);
	if (!pt->coherent)
		pt_clean(pt, table, PT_ENTRIES);
	return pt_format_table(address);
}

/** Set @p bits in all leaves of a table that hardware does not see yet. */
static void PT_FN(add_bits)(struct pt *pt, uint64_t address, unsigned level, uint64_t bits)
{
	uint64_t *table = pt_table(pt, address);

	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		uint64_t entry = pt_load(&table[i]);
		if (level > 1 && pt_format_is_table(entry))
			PT_FN(add_bits)(pt, pt_format_address(entry), level - 1, bits);
		else
			pt_publish(&table[i], entry | bits);
	}
	if (!pt->coherent)
		pt_clean(pt, table, PT_ENTRIES);
}

PT_PUBLIC int PT_FN(split)(struct pt *pt, iova_t at, unsigned page_shift,
                           struct iommu_gather *gather)
{
	unsigned level, target;
	int error = 0;

	if (page_shift >= 64 || !(pt->page_sizes >> page_shift & 1) ||
	    at.value >> pt_format_width(pt->levels))
		return -EINVAL;
	uint64_t *slot = PT_FN(find)(pt, at.value, 1, &level);
	uint64_t old = pt_load(slot);
	if (!(old & PT_FORMAT_PRESENT))
		return -ENOENT;
	target = (page_shift - 3) / 9;
	if (level <= target)
		return 0;

	uint64_t base = at.value & ~(pt_size(level) - 1);
	uint64_t memory = pt_format_address(old);
	uint64_t bits = old ^ pt_format_place(memory) ^ pt_format_leaf_mark(level);
	uint64_t table = PT_FN(build)(pt, base, memory, bits, level, at.value, target, &error);
	if (!table)
		return error;

	/* Hardware may set flags in the leaf until the moment it goes. */
	if (pt->flush) {
		struct iommu_gather own;
		uint64_t last_seen = __atomic_exchange_n(slot, 0, __ATOMIC_ACQ_REL);
		pt_count_stores(pt, 1);
		if (!pt->coherent)
			pt_clean(pt, slot, 1);
		if (last_seen != old)
			PT_FN(add_bits)(pt, pt_format_address(table), level - 1, last_seen ^ old);
		iommu_gather_init(&own, pt->domain);
		iommu_gather_add(&own, iova(base), iova(base + pt_size(level) - 1), false);
		error = pt->flush(pt, &own);
		pt_publish(slot, error ? last_seen : table);
	} else {
		uint64_t added = 0, expected = old;
		while (!__atomic_compare_exchange_n(slot, &expected, table, false, __ATOMIC_ACQ_REL,
		                                    __ATOMIC_RELAXED)) {
			PT_FN(add_bits)
			(pt, pt_format_address(table), level - 1, (expected ^ old) & ~added);
			added |= expected ^ old;
		}
		iommu_gather_add(gather, iova(base), iova(base + pt_size(level) - 1), true);
	}
	pt_count_stores(pt, 1);
	if (!pt->coherent)
		pt_clean(pt, slot, 1);
	if (error)
		PT_FN(table_free)(pt, pt_format_address(table), level - 1);
	return error;
}

/* ---- walk --------------------------------------------------------------------------- */

static void PT_FN(walk_fault)(const struct pt *pt, struct iommu_walk *walk, enum pt_problem problem,
                              uint32_t access)
{
	struct pt_verdict verdict = pt_format_verdict(problem, access, pt->scalable);

	walk->translated = false;
	walk->reason = verdict.reason;
	walk->mnemonic = verdict.mnemonic;
	walk->text = verdict.text;
}

/** Read the tables as hardware would, entry by entry, believing nothing of them. */
PT_PUBLIC void PT_FN(walk)(struct pt *pt, iova_t at, uint32_t access, struct iommu_walk *walk)
{
	static const char *const names[] = PT_FORMAT_NAMES;
	const uint64_t *table = pt_table(pt, pt->root.value);
	uint32_t rights = IOMMU_READ | IOMMU_WRITE;
	bool privileged = false;

	if (access & IOMMU_ATOMIC)
		access |= IOMMU_READ | IOMMU_WRITE;
	if (!pt_format_in_width(at.value, pt->levels)) {
		PT_FN(walk_fault)(pt, walk, PT_PROBLEM_WIDTH, access);
		return;
	}
	for (unsigned level = pt->levels;; level--) {
		const uint64_t *slot = &table[pt_index(at.value, level)];
		uint64_t entry = pt_load(slot);
		struct iommu_walk_step *step = iommu_walk_step(
			walk, names[level], pt_index(at.value, level), iommu_os_pa(pt->os, slot));
		step->entry[0] = entry;
		if (!(entry & PT_FORMAT_PRESENT)) {
			iommu_snprintf(step->note, sizeof(step->note), "not present");
			PT_FN(walk_fault)(pt, walk, PT_PROBLEM_ABSENT, access);
			return;
		}
		uint64_t wrong = entry & (pt_format_reserved(entry, level, pt->page_sizes) |
		                          pt->reserved_bits);
		if (wrong) {
			iommu_snprintf(step->note, sizeof(step->note),
			               "reserved bits %#llx are set", (unsigned long long)wrong);
			PT_FN(walk_fault)(pt, walk, PT_PROBLEM_RESERVED, access);
			return;
		}
		uint64_t address = pt_format_address(entry);
		rights &= pt_format_rights(entry);
		privileged |= pt_format_privileged(entry);
		if (!pt_format_is_leaf(entry, level)) {
			iommu_snprintf(step->note, sizeof(step->note), "table at %#llx, %s%s",
			               (unsigned long long)address,
			               pt_rights_text(pt_format_rights(entry)),
			               pt_format_privileged(entry) ? ", supervisor" : "");
			table = pt_table(pt, address);
			continue;
		}
		address &= ~(pt_size(level) - 1); /* a bit of it may be PAT */
		iommu_snprintf(step->note, sizeof(step->note), "%s page at %#llx, %s%s%s",
		               pt_size_text(level), (unsigned long long)address,
		               pt_rights_text(pt_format_rights(entry)),
		               pt_format_privileged(entry) ? ", supervisor" : "",
		               entry & PT_FORMAT_DIRTY ? ", dirty" : "");
		walk->result = pa(address | (at.value & (pt_size(level) - 1)));
		walk->page_bytes = pt_size(level);
		walk->rights = rights;
		break;
	}
	if (privileged && !(access & IOMMU_PRIV))
		PT_FN(walk_fault)(pt, walk, PT_PROBLEM_PRIVILEGED, access);
	else if (access & ~rights & IOMMU_WRITE)
		PT_FN(walk_fault)(pt, walk, PT_PROBLEM_NO_WRITE, access);
	else if (access & ~rights & IOMMU_READ)
		PT_FN(walk_fault)(pt, walk, PT_PROBLEM_NO_READ, access);
	else if (PT_FORMAT_INTERRUPT_WINDOW && walk->result.value >> 20 == 0xfee)
		PT_FN(walk_fault)(pt, walk, PT_PROBLEM_INTERRUPT, access);
	else
		walk->translated = true;
}

#endif /* PT_NAME */
