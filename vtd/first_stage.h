/* SPDX-License-Identifier: MIT */
/*
 * The first-stage table format, x86-64 paging by VT-d's rules: VT-d specification
 * 9.7 (entries) and 3.6 (translation). 4 or 5 levels; 4 KiB, 2 MiB, 1 GiB.
 *
 * Device requests are user requests unless a PASID entry says otherwise, so U/S
 * is set at every level. A right to write without one to read does not exist. The
 * accessed flag is set beforehand in entries that point to tables, which nobody
 * reads back: that saves the unit a locked write each. Leaves start with A and D
 * clear. Addresses must be canonical; map takes the lower half only.
 *
 * This is a format in the sense of iommu/pt_engine.h.
 */
#ifndef VTD_FIRST_STAGE_H
#define VTD_FIRST_STAGE_H

#include "iommu/field.h"
#include "iommu/pt_entry.h"

#define VTD_FS_P             BIT64(0)
#define VTD_FS_RW            BIT64(1)
#define VTD_FS_US            BIT64(2)
#define VTD_FS_PWT           BIT64(3)
#define VTD_FS_PCD           BIT64(4)
#define VTD_FS_A             BIT64(5)
#define VTD_FS_D             BIT64(6)
#define VTD_FS_PS            BIT64(7)  /* levels 3 and 2; PAT at level 1; reserved above */
#define VTD_FS_PAT           BIT64(12) /* of a large leaf */
#define VTD_FS_ADDR          FIELD(51, 12)

#define PT_FORMAT_MIN_LEVELS 4
#define PT_FORMAT_MAX_LEVELS 5
#define PT_FORMAT_PAGE_SIZES (PAGE_SIZE_4K | PAGE_SIZE_2M | PAGE_SIZE_1G)
#define PT_FORMAT_PRESENT    VTD_FS_P
#define PT_FORMAT_USUAL      VTD_FS_P
#define PT_FORMAT_DIRTY      VTD_FS_D
#define PT_FORMAT_FREE_BITS  (VTD_FS_PWT | VTD_FS_PCD)
#define PT_FORMAT_MEMORY     VTD_FS_ADDR

PT_INLINE unsigned pt_format_width(unsigned levels)
{
	return 9 * levels + 11;
}

/** Canonical: the bits above the width repeat its highest bit. */
PT_INLINE bool pt_format_in_width(uint64_t at, unsigned levels)
{
	uint64_t high = at >> (9 * levels + 11);

	return high == 0 || high == ~UINT64_C(0) >> (9 * levels + 11);
}

PT_INLINE int pt_format_bits(uint32_t rights, uint64_t *bits)
{
	*bits = VTD_FS_P | VTD_FS_US | (rights & IOMMU_WRITE);
	if (!(rights & IOMMU_READ))
		return -EOPNOTSUPP;
	return rights & ~(IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE) ? -EOPNOTSUPP : 0;
}

_Static_assert(VTD_FS_RW == IOMMU_WRITE, "the right is copied");

PT_INLINE uint64_t pt_format_leaf_mark(unsigned level)
{
	return level > 1 ? VTD_FS_PS : 0;
}

PT_INLINE uint32_t pt_format_rights(uint64_t entry)
{
	return (uint32_t)(IOMMU_READ | (entry & VTD_FS_RW));
}

PT_INLINE uint64_t pt_format_place(uint64_t address)
{
	return address;
}

PT_INLINE uint64_t pt_format_address(uint64_t entry)
{
	return entry & VTD_FS_ADDR;
}

PT_INLINE uint64_t pt_format_table(uint64_t address)
{
	return address | VTD_FS_P | VTD_FS_RW | VTD_FS_US | VTD_FS_A;
}

/* Hardware changes nothing but A in such an entry, and A is set. */
PT_INLINE bool pt_format_is_table(uint64_t entry)
{
	return (entry & 0xff) == (VTD_FS_P | VTD_FS_RW | VTD_FS_US | VTD_FS_A);
}

PT_INLINE bool pt_format_is_leaf(uint64_t entry, unsigned level)
{
	return level == 1 || (level <= 3 && entry & VTD_FS_PS);
}

PT_INLINE bool pt_format_privileged(uint64_t entry)
{
	return !(entry & VTD_FS_US);
}

PT_INLINE uint64_t pt_format_reserved(uint64_t entry, unsigned level, uint64_t page_sizes)
{
	uint64_t reserved = 0;

	if (level >= 4)
		reserved |= VTD_FS_PS;
	if (level == 1 || !pt_format_is_leaf(entry, level))
		return reserved;
	if (!(page_sizes & pt_size(level)))
		reserved |= VTD_FS_PS;
	return reserved | ((pt_size(level) - 1) & VTD_FS_ADDR & ~VTD_FS_PAT);
}

/** Table 30 of the specification. First stage exists in scalable mode only. */
static inline struct pt_verdict pt_format_verdict(enum pt_problem problem, uint32_t access,
                                                  bool scalable)
{
	(void)access;
	(void)scalable;
	switch (problem) {
	case PT_PROBLEM_WIDTH:
		return (struct pt_verdict){0x80, "SGN.1", "address is not canonical"};
	case PT_PROBLEM_ABSENT:
		return (struct pt_verdict){0x71, "SFS.2", "entry not present"};
	case PT_PROBLEM_RESERVED:
		return (struct pt_verdict){0x72, "SFS.3", "reserved bit set in an entry"};
	case PT_PROBLEM_NO_WRITE:
		return (struct pt_verdict){0x85, "SGN.6", "no write permission"};
	case PT_PROBLEM_PRIVILEGED:
		return (struct pt_verdict){0x81, "SGN.2", "user request to a supervisor page"};
	case PT_PROBLEM_INTERRUPT:
		return (struct pt_verdict){0x87, "SGN.8", "result in the interrupt window"};
	case PT_PROBLEM_NO_READ:
	default:
		return (struct pt_verdict){0x86, "SGN.7", "no read permission"};
	}
}

#define PT_FORMAT_INTERRUPT_WINDOW 1
/* (clang-format is off because its versions disagree about braces in a macro.) */
/* clang-format off */
#define PT_FORMAT_NAMES {"", "FS L1", "FS L2", "FS L3", "FS L4", "FS L5"}
/* clang-format on */

#endif
