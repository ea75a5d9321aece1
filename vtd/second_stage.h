/* SPDX-License-Identifier: MIT */
/*
 * The VT-d second-stage table format: VT-d specification 9.8 (entries) and 3.7
 * (translation). 3, 4 or 5 levels; pages of 4 KiB, 2 MiB, 1 GiB.
 *
 * An entry is present if it grants read or write; rights are ANDed over the
 * levels, so an entry that points to a table grants both. Accessed and dirty
 * flags are kept by units with SSADS where the PASID entry has SSADE set. SNP
 * (bit 11 of a leaf) is put into pt.leaf_bits by a driver whose unit has SC.
 *
 * This is a format in the sense of iommu/pt_engine.h, which see for the meaning
 * of each name below.
 */
#ifndef VTD_SECOND_STAGE_H
#define VTD_SECOND_STAGE_H

#include "iommu/field.h"
#include "iommu/pt_entry.h"

#define VTD_SS_R             BIT64(0)
#define VTD_SS_W             BIT64(1)
#define VTD_SS_PS            BIT64(7)
#define VTD_SS_A             BIT64(8)
#define VTD_SS_D             BIT64(9)
#define VTD_SS_SNP           BIT64(11)
#define VTD_SS_ADDR          FIELD(51, 12)
#define VTD_SS_TM            BIT64(62) /* once: transient mapping; reserved without SSIRWS */

#define PT_FORMAT_MIN_LEVELS 3
#define PT_FORMAT_MAX_LEVELS 5
#define PT_FORMAT_PAGE_SIZES (PAGE_SIZE_4K | PAGE_SIZE_2M | PAGE_SIZE_1G)
#define PT_FORMAT_PRESENT    (VTD_SS_R | VTD_SS_W)
#define PT_FORMAT_USUAL      VTD_SS_R
#define PT_FORMAT_DIRTY      VTD_SS_D
#define PT_FORMAT_FREE_BITS  (VTD_SS_SNP | FIELD(5, 3) | BIT64(6)) /* SNP, EMT, IPAT */
#define PT_FORMAT_MEMORY     VTD_SS_ADDR

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
	uint32_t access = rights & (IOMMU_READ | IOMMU_WRITE);

	*bits = access; /* R and W stand where IOMMU_READ and IOMMU_WRITE stand */
	return access && !(rights & ~(IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE)) ? 0 : -EOPNOTSUPP;
}

_Static_assert(VTD_SS_R == IOMMU_READ && VTD_SS_W == IOMMU_WRITE, "rights are copied");

PT_INLINE uint64_t pt_format_leaf_mark(unsigned level)
{
	return level > 1 ? VTD_SS_PS : 0;
}

PT_INLINE uint32_t pt_format_rights(uint64_t entry)
{
	return (uint32_t)(entry & (VTD_SS_R | VTD_SS_W));
}

PT_INLINE uint64_t pt_format_place(uint64_t address)
{
	return address;
}

PT_INLINE uint64_t pt_format_address(uint64_t entry)
{
	return entry & VTD_SS_ADDR;
}

PT_INLINE uint64_t pt_format_table(uint64_t address)
{
	return address | VTD_SS_R | VTD_SS_W;
}

/* Bits 6:2 of an entry for a table are ignored by hardware and never written. */
PT_INLINE bool pt_format_is_table(uint64_t entry)
{
	return (entry & 0xff) == (VTD_SS_R | VTD_SS_W);
}

PT_INLINE bool pt_format_is_leaf(uint64_t entry, unsigned level)
{
	return level == 1 || (level <= 3 && entry & VTD_SS_PS);
}

PT_INLINE bool pt_format_privileged(uint64_t entry)
{
	(void)entry;
	return false;
}

PT_INLINE uint64_t pt_format_reserved(uint64_t entry, unsigned level, uint64_t page_sizes)
{
	uint64_t reserved = VTD_SS_TM;

	if (level >= 4)
		reserved |= VTD_SS_PS;
	if (!pt_format_is_leaf(entry, level))
		return reserved | VTD_SS_SNP;
	if (!(page_sizes & pt_size(level)))
		reserved |= VTD_SS_PS;
	return reserved | ((pt_size(level) - 1) & VTD_SS_ADDR);
}

/** Table 30 of the specification: LGN/LSS in legacy mode, SGN/SSS in scalable. */
static inline struct pt_verdict pt_format_verdict(enum pt_problem problem, uint32_t access,
                                                  bool scalable)
{
	bool write = access & (IOMMU_WRITE | IOMMU_ATOMIC);

	switch (problem) {
	case PT_PROBLEM_WIDTH:
		return scalable ? (struct pt_verdict){0x84, "SGN.5",
		                                      "address above the table's width"}
		                : (struct pt_verdict){0x4, "LGN.1",
		                                      "address above the table's width"};
	case PT_PROBLEM_ABSENT:
		if (scalable)
			return (struct pt_verdict){0x79, "SSS.2",
			                           "entry grants neither read nor write"};
		return write ? (struct pt_verdict){0x5, "LGN.2",
		                                   "no write permission: entry not present"}
		             : (struct pt_verdict){0x6, "LGN.3",
		                                   "no read permission: entry not present"};
	case PT_PROBLEM_RESERVED:
		return scalable ? (struct pt_verdict){0x7a, "SSS.3", "reserved bit set in an entry"}
		                : (struct pt_verdict){0xc, "LSS.2", "reserved bit set in an entry"};
	case PT_PROBLEM_NO_WRITE:
		return scalable ? (struct pt_verdict){0x85, "SGN.6", "no write permission"}
		                : (struct pt_verdict){0x5, "LGN.2", "no write permission"};
	case PT_PROBLEM_INTERRUPT:
		return scalable ? (struct pt_verdict){0x87, "SGN.8",
		                                      "result in the interrupt window"}
		                : (struct pt_verdict){0xe, "LGN.4",
		                                      "result in the interrupt window"};
	case PT_PROBLEM_NO_READ:
	case PT_PROBLEM_PRIVILEGED: /* the format has no such thing */
	default:
		return scalable ? (struct pt_verdict){0x86, "SGN.7", "no read permission"}
		                : (struct pt_verdict){0x6, "LGN.3", "no read permission"};
	}
}

#define PT_FORMAT_INTERRUPT_WINDOW 1
/* (clang-format is off because its versions disagree about braces in a macro.) */
/* clang-format off */
#define PT_FORMAT_NAMES {"", "SS L1", "SS L2", "SS L3", "SS L4", "SS L5"}
/* clang-format on */

#endif
