/* SPDX-License-Identifier: MIT */
/*
 * One page-table engine, many formats.
 *
 * A format is one header of small inline functions. A C file defines PT_NAME
 * (the prefix of the generated functions) and includes the format and then
 * "iommu/pt_engine.h": the engine is compiled once per format, and no call goes
 * through a pointer per level. The generated functions, for PT_NAME vtd_ss:
 *
 *   int      vtd_ss_init(struct pt *, const struct iommu_os *, unsigned levels,
 *                        uint64_t page_sizes, uint64_t leaf_bits, bool coherent);
 *   void     vtd_ss_destroy(struct pt *);              frees every table
 *   void     vtd_ss_reserve(struct pt *, uint64_t bits);   sets reserved_bits
 *   int      vtd_ss_map(struct pt *, iova_t, pa_t, uint64_t bytes, uint32_t rights,
 *                       struct iommu_gather *);        as iommu_domain_ops.map
 *   size_t   vtd_ss_map_pages(struct pt *, iova_t, const struct iommu_extent *, size_t count,
 *                       uint32_t rights, struct iommu_gather *);  as ...ops.map_pages
 *   uint64_t vtd_ss_unmap(struct pt *, iova_t, uint64_t bytes, struct iommu_gather *);
 *   bool     vtd_ss_lookup(struct pt *, iova_t, struct iommu_leaf *);
 *   bool     vtd_ss_iova_to_phys(struct pt *, iova_t, pa_t *);
 *   bool     vtd_ss_visit(struct pt *, iova_t first, iova_t last, visit, arg);
 *   void     vtd_ss_walk(struct pt *, iova_t, uint32_t access, struct iommu_walk *);
 *   int      vtd_ss_split(struct pt *, iova_t, unsigned page_shift, struct iommu_gather *);
 *   uint64_t vtd_ss_read_dirty(struct pt *, iova_t first, iova_t last, bool clear,
 *                       written, arg, struct iommu_gather *);
 *
 * init returns 0 or -ENOMEM (root table allocated) or -EINVAL. Entries are raw
 * uint64_t and change only by publish (fill, then set present) and retract
 * (clear present first), cleaned line by line when `coherent` is false. A table
 * page that leaves the tree goes into the gather and is freed after the flush.
 *
 * map:        -EINVAL beyond the table's or the memory's width; a failure leaves
 *             the translations as they were and the gather must be flushed.
 * split:      until the page that translates the address has 2^page_shift bytes or
 *             less; its neighbours stay as large as can be. 0 (also if it is small
 *             enough already), -ENOENT if nothing is mapped, -EINVAL for a size
 *             that the table does not use, -ENOMEM, or pt->flush's error. With
 *             pt->flush the entry is broken, flushed and made anew; without it, it
 *             is replaced in one store and gathered.
 * read_dirty: calls written (may be NULL) for each run of adjacent dirty leaves that
 *             overlap [first, last]; if `clear`, they are made clean first and gathered.
 *             Returns the bytes of all runs.
 *
 * trim:       take the tables without an entry out that [start, start + bytes) touches.
 *
 * Locking: map and unmap of ranges that do not overlap may run beside each other, if the
 * maps are with IOMMU_BESIDE; lookup, visit and read_dirty beside them, at other
 * addresses. All others, and trim, run alone.
 */
#ifndef IOMMU_PT_H
#define IOMMU_PT_H

#include "iommu/gather.h"
#include "iommu/ops.h"
#include "iommu/types.h"

struct pt {
	const struct iommu_os *os;
	pa_t root;
	/** These four are read as one: see pt_is_usual(). */
	uint8_t levels; /* of the tree: 3, 4, 5 */
	/** Hardware may hold not-present entries (VT-d caching mode): map adds what
	 *  it publishes to the gather. */
	bool gather_on_map;
	/** While this is set, by somebody who sees to it that no calls overlap, `stores` and
	 *  `cleans` count: entries written, cache lines cleaned. */
	bool counting;
	bool hooked;      /* lines are cleaned by os->clean, not by the processor's instruction */
	bool coherent;    /* hardware snoops table reads: nothing is cleaned */
	uint32_t growing; /* how many calls have published a table and not cleaned it */
	/** What the commonest calls need, of other fields: where the root table and physical
	 *  address 0 are, and which bits no page's IOVA, and no page's address, has. */
	uint64_t *top;
	uintptr_t direct_map;
	uint64_t wrong_iova, wrong_memory;
	/** Makes the hardware forget during map when a leaf takes the place of an
	 *  empty table; called with a gather that holds only that. 0 or an error. */
	int (*flush)(struct pt *pt, struct iommu_gather *gather);
	struct iommu_domain *domain; /* for that gather */
	uint64_t page_sizes;         /* bit n: leaves of 2^n bytes */
	uint64_t leaf_bits;          /* ORed into every leaf */
	uint64_t table_pages;        /* in the tree now, root included */
	uint64_t stores, cleans;
	/** Walk only: name faults by the format's second list (VT-d: scalable mode). */
	bool scalable;
	/** Further bits that this unit reserves in every present entry, over what the
	 *  format knows: address bits above the host's width, features that it lacks.
	 *  map refuses memory there; walk reports them. 0 after init; of a table that maps,
	 *  set by vtd_ss_reserve(). */
	uint64_t reserved_bits;
};

#endif
