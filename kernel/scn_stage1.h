/* SPDX-License-Identifier: MIT */
/*
 * Stage-1 tables as a guest writes them: x86-64 paging structures in user memory (VT-d
 * section 9.8), whose addresses are those of the parent's address space. Written from
 * the specification, beside the driver's format and not with it: here the scenario is
 * the guest, and may write what it likes.
 *
 * Invariant: no table is ever used for a second time, so what is walked here is what
 * the scenario wrote, with accessed and dirty flags by the hardware.
 */
#ifndef KERNEL_SCN_STAGE1_H
#define KERNEL_SCN_STAGE1_H

#include "iommu/field.h"
#include "kernel/scn_state.h"

#define STAGE1_P    BIT64(0)
#define STAGE1_RW   BIT64(1)
#define STAGE1_US   BIT64(2)
#define STAGE1_A    BIT64(5)
#define STAGE1_D    BIT64(6)
#define STAGE1_PS   BIT64(7) /* a page, in levels 2 and 3 */
#define STAGE1_ADDR FIELD(51, 12)

enum { STAGE1_ENTRIES = 512 };

/** Bytes that one entry of @p level (1 to 5) spans; 6: a whole table of 5 levels. */
static inline uint64_t stage1_span(unsigned level)
{
	assume(level >= 1 && level <= 6);
	return PAGE_SIZE_4K << 9 * (level - 1);
}

static inline unsigned stage1_index(uint64_t at, unsigned level)
{
	return (unsigned)(at / stage1_span(level) % STAGE1_ENTRIES);
}

/** Bits above the width must be copies of the highest (section 3.6). */
static inline bool stage1_canonical(uint64_t at, unsigned levels)
{
	unsigned shift = 64 - (9 * levels + 12);
	return (uint64_t)((int64_t)(at << shift) >> shift) == at;
}

/** Read or write the entry that lies at @p where in the parent's address space. False:
 *  that is not in the buffer. */
bool must_check stage1_read(struct scn *scn, const struct scn_stage1 *table, uint64_t where,
                            uint64_t *entry);
bool must_check stage1_write(struct scn *scn, const struct scn_stage1 *table, uint64_t where,
                             uint64_t entry);

/** Where a walk for one level ended. */
struct stage1_place {
	unsigned level; /* of the entry */
	uint64_t where; /* the entry's address in the parent's address space */
	uint64_t entry; /* what is there */
};

/** Follow @p at down to the entry of @p level, or to one that ends the walk earlier: not
 *  present, or a page. False: a table on the way lies outside of the buffer. */
bool must_check stage1_find(struct scn *scn, const struct scn_stage1 *table, uint64_t at,
                            unsigned level, struct stage1_place *out);
static inline bool stage1_is_page(const struct stage1_place *place)
{
	return place->level == 1 || (place->level <= 3 && place->entry & STAGE1_PS);
}

#endif
