/* SPDX-License-Identifier: MIT */
/*
 * The mock IOMMU's table format: like no hardware's, so that code which takes an
 * entry for granted fails with it. 4 levels; 4 KiB, 2 MiB, 1 GiB pages; a dirty
 * flag. Made up for this project.
 *
 *   3      V: valid
 *   4      L: a leaf, at every level
 *   5, 6   R, W: rights of a leaf; both set in an entry that points to a table
 *   9      D: dirty
 *   63:16  the address divided by 4096
 *   rest   reserved, zero
 *
 * Reasons for faults: 1 width, 2 not valid, 3 reserved bit, 4 no read, 5 no write.
 *
 * This is a format in the sense of iommu/pt_engine.h.
 */
#ifndef UFD_MOCK_FORMAT_H
#define UFD_MOCK_FORMAT_H

#include "iommu/field.h"
#include "iommu/pt_entry.h"

#define MOCK_ENTRY_V         BIT64(3)
#define MOCK_ENTRY_L         BIT64(4)
#define MOCK_ENTRY_R         BIT64(5)
#define MOCK_ENTRY_W         BIT64(6)
#define MOCK_ENTRY_D         BIT64(9)
#define MOCK_ENTRY_ADDR      FIELD(63, 16)

#define PT_FORMAT_MIN_LEVELS 4
#define PT_FORMAT_MAX_LEVELS 4
#define PT_FORMAT_PAGE_SIZES (PAGE_SIZE_4K | PAGE_SIZE_2M | PAGE_SIZE_1G)
#define PT_FORMAT_PRESENT    MOCK_ENTRY_V
#define PT_FORMAT_USUAL      MOCK_ENTRY_V
#define PT_FORMAT_DIRTY      MOCK_ENTRY_D
#define PT_FORMAT_FREE_BITS  UINT64_C(0)
#define PT_FORMAT_MEMORY     FIELD(59, 12)

PT_INLINE unsigned pt_format_width(unsigned levels)
{
	return 9 * levels + 12;
}

PT_INLINE bool pt_format_in_width(uint64_t at, unsigned levels)
{
	return !(at >> (9 * levels + 12));
}

PT_INLINE int pt_format_bits(uint32_t rights, uint64_t *bits)
{
	uint64_t access = rights & (IOMMU_READ | IOMMU_WRITE);

	*bits = MOCK_ENTRY_V | access * MOCK_ENTRY_R;
	return access && !(rights & ~(IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE)) ? 0 : -EOPNOTSUPP;
}

_Static_assert(MOCK_ENTRY_R *IOMMU_WRITE == MOCK_ENTRY_W, "rights are shifted");

PT_INLINE uint64_t pt_format_leaf_mark(unsigned level)
{
	(void)level;
	return MOCK_ENTRY_L;
}

PT_INLINE uint32_t pt_format_rights(uint64_t entry)
{
	return (uint32_t)(entry / MOCK_ENTRY_R) & (IOMMU_READ | IOMMU_WRITE);
}

PT_INLINE uint64_t pt_format_place(uint64_t address)
{
	return address << 4;
}

PT_INLINE uint64_t pt_format_address(uint64_t entry)
{
	return (entry & MOCK_ENTRY_ADDR) >> 4;
}

PT_INLINE uint64_t pt_format_table(uint64_t address)
{
	return pt_format_place(address) | MOCK_ENTRY_V | MOCK_ENTRY_R | MOCK_ENTRY_W;
}

PT_INLINE bool pt_format_is_table(uint64_t entry)
{
	return (entry & (MOCK_ENTRY_V | MOCK_ENTRY_L)) == MOCK_ENTRY_V;
}

PT_INLINE bool pt_format_is_leaf(uint64_t entry, unsigned level)
{
	(void)level;
	return entry & MOCK_ENTRY_L;
}

PT_INLINE bool pt_format_privileged(uint64_t entry)
{
	(void)entry;
	return false;
}

PT_INLINE uint64_t pt_format_reserved(uint64_t entry, unsigned level, uint64_t page_sizes)
{
	uint64_t reserved = FIELD(2, 0) | FIELD(8, 7) | FIELD(15, 10);

	if (!pt_format_is_leaf(entry, level)) /* at level 1 there is no table below */
		return level == 1 ? reserved | MOCK_ENTRY_V : reserved | MOCK_ENTRY_D;
	if (!(page_sizes & pt_size(level)))
		reserved |= MOCK_ENTRY_L;
	return reserved | (pt_format_place(pt_size(level) - 1) & MOCK_ENTRY_ADDR);
}

static inline struct pt_verdict pt_format_verdict(enum pt_problem problem, uint32_t access,
                                                  bool scalable)
{
	(void)access;
	(void)scalable;
	switch (problem) {
	case PT_PROBLEM_WIDTH:
		return (struct pt_verdict){1, "MOCK.1", "address above the table's width"};
	case PT_PROBLEM_ABSENT:
		return (struct pt_verdict){2, "MOCK.2", "entry not valid"};
	case PT_PROBLEM_RESERVED:
		return (struct pt_verdict){3, "MOCK.3", "reserved bit set in an entry"};
	case PT_PROBLEM_NO_WRITE:
		return (struct pt_verdict){5, "MOCK.5", "no write permission"};
	case PT_PROBLEM_NO_READ:
	case PT_PROBLEM_PRIVILEGED: /* these two the format does not have */
	case PT_PROBLEM_INTERRUPT:
	default:
		return (struct pt_verdict){4, "MOCK.4", "no read permission"};
	}
}

#define PT_FORMAT_INTERRUPT_WINDOW 0
/* (clang-format is off because its versions disagree about braces in a macro.) */
/* clang-format off */
#define PT_FORMAT_NAMES {"", "mock L1", "mock L2", "mock L3", "mock L4", ""}
/* clang-format on */

#endif
