/* SPDX-License-Identifier: MIT */
/*
 * Intel VT-d: the driver's one public symbol, and the structure that GET_HW_INFO
 * hands out for its devices. All other names of this folder are its own.
 */
#ifndef VTD_VTD_H
#define VTD_VTD_H

#include "iommu/ops.h"

/** The driver. probe() takes the whole DMAR table, header included; it copies what
 *  it needs. Units that cannot be driven are left out, each with one line that says
 *  why. */
extern const struct iommu_driver vtd_driver;

/** The hardware-information type of VT-d: IOMMU_HW_INFO_TYPE_INTEL_VTD. */
enum { VTD_HW_INFO_TYPE = 1 };

enum {
	/** Accessed and dirty flags may be written through a read-only second-stage
	 *  mapping of a nest parent (erratum 772415): such mappings are refused. */
	VTD_HW_INFO_ERRATA_772415_SPR17 = 1 << 0,
};

/** What unit_ops.hw_info fills: layout of struct iommu_hw_info_vtd. */
struct vtd_hw_info {
	uint32_t flags;
	uint32_t reserved;
	uint64_t cap_reg;
	uint64_t ecap_reg;
};
_Static_assert(sizeof(struct vtd_hw_info) == 24, "ABI");

#endif
