/* SPDX-License-Identifier: MIT */
/*
 * What a user hands to the driver about a stage-1 table of its own: the ABI of iommufd
 * (IOMMU_HWPT_DATA_VTD_S1 and IOMMU_HWPT_INVALIDATE_DATA_VTD_S1), restated, for the driver
 * knows nothing of the object layer.
 */
#ifndef VTD_VTD_S1_H
#define VTD_VTD_S1_H

#include <stddef.h>
#include <stdint.h>

/** Numbers of the two data types. */
enum { VTD_S1_DATA = 1, VTD_S1_INVALIDATE_DATA = 0 };

/** Flags of struct vtd_s1. */
enum {
	VTD_S1_SRE = 1 << 0,  /* supervisor requests are served */
	VTD_S1_EAFE = 1 << 1, /* the extended accessed flag is kept */
	VTD_S1_WPE = 1 << 2,  /* supervisor requests obey write protection too */
};

struct vtd_s1 {
	uint64_t flags;
	uint64_t pgtbl_addr; /* of the top level, in the parent's address space */
	uint32_t addr_width; /* 48 or 57 */
	uint32_t reserved;   /* 0 */
};
_Static_assert(sizeof(struct vtd_s1) == 24 && offsetof(struct vtd_s1, pgtbl_addr) == 8 &&
                       offsetof(struct vtd_s1, addr_width) == 16,
               "ABI");

/** Flags of struct vtd_s1_invalidate. */
enum {
	VTD_S1_INVALIDATE_LEAF = 1 << 0, /* leaves changed, tables did not */
};

/** @npages pages of 4 KiB from @addr; address 0 and VTD_S1_ALL_PAGES: everything. */
struct vtd_s1_invalidate {
	uint64_t addr;
	uint64_t npages;
	uint32_t flags;
	uint32_t reserved; /* 0 */
};
_Static_assert(sizeof(struct vtd_s1_invalidate) == 24 &&
                       offsetof(struct vtd_s1_invalidate, npages) == 8 &&
                       offsetof(struct vtd_s1_invalidate, flags) == 16,
               "ABI");
#define VTD_S1_ALL_PAGES UINT64_MAX

#endif
