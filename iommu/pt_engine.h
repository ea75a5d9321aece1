/* SPDX-License-Identifier: MIT */
/*
 * The page-table engine: a template, compiled once per format.
 *
 *	#define PT_NAME vtd_ss
 *	#include "vtd/second_stage.h"
 *	#include "iommu/pt_engine.h"
 *
 * makes vtd_ss_init(), vtd_ss_map() and the others that iommu/pt.h declares, as
 * static functions. One C file holds one format. Without PT_NAME this header
 * defines nothing.
 *
 * A format supplies, as macros:
 *   PT_FORMAT_MIN_LEVELS, _MAX_LEVELS   trees that exist, within 3..5
 *   PT_FORMAT_PAGE_SIZES  bit n: the format has leaves of 2^n bytes (to 1 GiB)
 *   PT_FORMAT_PRESENT     an entry is present if any of these bits is set
 *   PT_FORMAT_USUAL       a bit that nearly every present entry has
 *   PT_FORMAT_DIRTY       a leaf's dirty flag
 *   PT_FORMAT_FREE_BITS   what a driver may put into pt.leaf_bits
 *   PT_FORMAT_MEMORY      addresses that an entry can hold
 *   PT_FORMAT_NAMES       names of the levels, for a walk
 *   PT_FORMAT_INTERRUPT_WINDOW  1 if a result in the interrupt window is a fault
 * and as inline functions:
 *   pt_format_width(levels)         address bits that map takes
 *   pt_format_in_width(at, levels)  does hardware translate the address?
 *   pt_format_bits(rights, *bits)   a leaf's bits for rights, or -EOPNOTSUPP
 *   pt_format_leaf_mark(level)      the bits that tell a leaf from a table there
 *   pt_format_place(address), pt_format_address(entry)  to and from the field
 *   pt_format_table(address)        an entry that points to a table
 *   pt_format_is_table(entry)       does an entry, made by the line above, above
 *                                   level 1, point to a table? (as cheap as can be)
 *   pt_format_is_leaf(entry, level), pt_format_rights(entry),
 *   pt_format_privileged(entry), pt_format_reserved(entry, level, page_sizes),
 *   pt_format_verdict(problem, access, scalable): present entries as hardware reads
 *                                   them, for a walk
 *
 * How it works. A range is cut into runs: neighbouring entries of one table. For
 * each run the tree is walked down once, by constant shifts, and the run is one
 * loop. Not-present entries are always zero.
 *
 * Every table but the root is reached from one entry. A table is taken out of the
 * tree whole, by retracting that entry; what it holds is counted, not cleared, for
 * hardware may walk it until the flush.
 */
#include "iommu/pt_entry.h"

#ifdef PT_NAME

#define PT_PASTE2(a, b) a##_##b
#define PT_PASTE(a, b)  PT_PASTE2(a, b)
#define PT_FN(name)     PT_PASTE(PT_NAME, name)
#define PT_PUBLIC       static __attribute__((unused))
#define PT_COLD         static __attribute__((noinline, cold))

/* ---- tables ------------------------------------------------------------------ */

/** A new table page, zero and clean. 0 or -ENOMEM. */
PT_COLD int PT_FN(table_alloc)(struct pt *pt, uint64_t *address)
{
	pa_t page;
	int error = pt->os->page_alloc(pt->os->ctx, 0, &page);

	if (error)
		return error;
	if (!pt->coherent)
		pt_clean(pt, pt_table(pt, page.value), PT_ENTRIES);
	__atomic_fetch_add(&pt->table_pages, 1, __ATOMIC_RELAXED);
	*address = page.value;
	return 0;
}

/** Free the table at @p address with all below it, at once: nothing walks it. */
static void PT_FN(table_free)(struct pt *pt, uint64_t address, unsigned level)
{
	const uint64_t *table = pt_table(pt, address);

	for (unsigned i = 0; level > 1 && i < PT_ENTRIES; i++) {
		uint64_t entry = pt_load(&table[i]);
		if (pt_format_is_table(entry))
			PT_FN(table_free)(pt, pt_format_address(entry), level - 1);
	}
	pt->os->page_free(pt->os->ctx, pa(address), 0);
	__atomic_fetch_sub(&pt->table_pages, 1, __ATOMIC_RELAXED);
}

/** Does a leaf lie below the table at @p address? */
static bool PT_FN(table_has_leaf)(struct pt *pt, uint64_t address, unsigned level)
{
	const uint64_t *table = pt_table(pt, address);

	if (level == 1)
		return pt_any(table, PT_ENTRIES, PT_FORMAT_PRESENT);
	for (unsigned i = 0; i < PT_ENTRIES; i++) {
		uint64_t entry = pt_load(&table[i]);
		if (!(entry & PT_FORMAT_PRESENT))
			continue;
		if (!pt_format_is_table(entry) ||
		    PT_FN(table_has_leaf)(pt, pt_format_address(entry), level - 1))
			return true;
	}
	return false;
}

/** Chain the table at @p address and all below it, which no entry points to any
 *  more, into the gather. Returns the bytes that its leaves mapped. */
static uint64_t PT_FN(table_gather)(struct pt *pt, uint64_t address, unsigned level,
                                    struct iommu_gather *gather)
{
	uint64_t *table = pt_table(pt, address);
	uint64_t bytes = 0;

	if (level == 1) {
		unsigned leaves = 0;
		for (unsigned i = 0; i < PT_ENTRIES; i += PT_GROUP) {
			if (PT_LIKELY(pt_group_and(&table[i]) & PT_FORMAT_USUAL)) {
				leaves += PT_GROUP;
				continue;
			}
			for (unsigned k = i; k < i + PT_GROUP; k++)
				leaves += (pt_load(&table[k]) & PT_FORMAT_PRESENT) != 0;
		}
		bytes = leaves * pt_size(1);
	} else {
		for (unsigned i = 0; i < PT_ENTRIES; i++) {
			uint64_t entry = pt_load(&table[i]);
			if (pt_format_is_table(entry))
				bytes += PT_FN(table_gather)(pt, pt_format_address(entry),
				                             level - 1, gather);
			else if (entry & PT_FORMAT_PRESENT)
				bytes += pt_size(level);
		}
	}
	__atomic_fetch_sub(&pt->table_pages, 1, __ATOMIC_RELAXED);
	/* iommu_gather_page() with what is at hand: see there for the link */
	__atomic_store_n(table, gather->pages.value & ~(PAGE_SIZE_4K - 1), __ATOMIC_RELAXED);
	gather->pages = pa(address);
	gather->page_count++;
	return bytes;
}

PT_PUBLIC void PT_FN(reserve)(struct pt *pt, uint64_t bits)
{
	pt->reserved_bits = bits;
	pt->wrong_memory = ~(PT_FORMAT_MEMORY & ~(PAGE_SIZE_4K - 1)) | pt_format_address(bits);
}

PT_PUBLIC int PT_FN(init)(struct pt *pt, const struct iommu_os *os, unsigned levels,
                          uint64_t page_sizes, uint64_t leaf_bits, bool coherent)
{
	uint64_t root;

	if (levels < PT_FORMAT_MIN_LEVELS || levels > PT_FORMAT_MAX_LEVELS ||
	    !(page_sizes & PAGE_SIZE_4K) || page_sizes & ~PT_FORMAT_PAGE_SIZES ||
	    leaf_bits & ~PT_FORMAT_FREE_BITS)
		return -EINVAL;
	*pt = (struct pt){
		.os = os,
		.direct_map = os->direct_map,
		.levels = (uint8_t)levels,
		.hooked = !coherent && os->clean,
		.wrong_iova = ~((UINT64_C(1) << pt_format_width(levels)) - PAGE_SIZE_4K),
		.coherent = coherent,
		.page_sizes = page_sizes,
		.leaf_bits = leaf_bits,
	};
	PT_FN(reserve)(pt, 0);
	int error = PT_FN(table_alloc)(pt, &root);
	if (!error) {
		pt->root = pa(root);
		pt->top = pt_table(pt, root);
	}
	return error;
}

/** Free the table at @p address and all below it. *unseen: how many tables of the tree have
 *  not been met, so that nobody looks for what is not there. */
static void PT_FN(tree_free)(struct pt *pt, uint64_t address, unsigned level, uint64_t *unseen)
{
	const uint64_t *table = pt_table(pt, address);

	for (unsigned i = 0; level > 1 && *unseen && i < PT_ENTRIES; i++) {
		uint64_t entry = pt_load(&table[i]);
		if (pt_format_is_table(entry)) {
			--*unseen;
			PT_FN(tree_free)(pt, pt_format_address(entry), level - 1, unseen);
		}
	}
	pt->os->page_free(pt->os->ctx, pa(address), 0);
	__atomic_fetch_sub(&pt->table_pages, 1, __ATOMIC_RELAXED);
}

PT_PUBLIC void PT_FN(destroy)(struct pt *pt)
{
	uint64_t unseen = pt->table_pages - 1;

	PT_FN(tree_free)(pt, pt->root.value, pt->levels, &unseen);
}

/* ---- the way down -------------------------------------------------------------- */

/** Walk towards the entry of level @p target for @p at; stop there, or at the first
 *  entry on the way that points to no table. Its level goes to *level. */
PT_INLINE uint64_t *PT_FN(find)(const struct pt *pt, uint64_t at, const unsigned target,
                                unsigned *level)
{
	uint64_t *table = pt_table(pt, pt->root.value), *slot;
	uint64_t entry;

#define STEP(n)                                                                                    \
	slot = &table[pt_index(at, n)];                                                            \
	*level = n;                                                                                \
	if (target >= (n))                                                                         \
		return slot;                                                                       \
	entry = pt_load(slot);                                                                     \
	if (!pt_format_is_table(entry))                                                            \
		return slot;                                                                       \
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
	*level = 1;
	return &table[pt_index(at, 1)];
}

/** The entry of @p level, 1 to 3, for @p at in a table with 4 levels, into *slot; false if a
 *  table is missing on the way. */
PT_INLINE bool PT_FN(quick_slot)(const struct pt *pt, uint64_t at, const unsigned level,
                                 uint64_t **slot)
{
	const uintptr_t here = pt->direct_map;
	uint64_t *table = pt->top; /* of which `at` has no bits above the index, see wrong_iova */

#define STEP(n)                                                                                    \
	do {                                                                                       \
		uint64_t entry = pt_load(&table[pt_index(at, n)]);                                 \
		if (PT_UNLIKELY(!pt_format_is_table(entry)))                                       \
			return false;                                                              \
		table = (uint64_t *)(here + pt_format_address(entry));                             \
		__asm__("" : "+r"(table)); /* or the sum is taken apart: two more */               \
	} while (0)
	STEP(4);
	if (level < 3)
		STEP(3);
	if (level < 2)
		STEP(2);
#undef STEP
	*slot = &table[pt_index(at, level)];
	return true;
}

#include "iommu/pt_unmap.h"
#include "iommu/pt_map.h"
#include "iommu/pt_inspect.h"

#endif /* PT_NAME */
