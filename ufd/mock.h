/* SPDX-License-Identifier: MIT */
/*
 * The mock IOMMU driver's numbers for a user, which are those of Linux's self-test
 * driver, and what tests may see and do behind its back.
 */
#ifndef UFD_MOCK_H
#define UFD_MOCK_H

#include "iommu/ops.h"

/** Type and content of the mock's GET_HW_INFO. */
#define IOMMU_HW_INFO_TYPE_SELFTEST   0xfeedbeefu
#define IOMMU_HW_INFO_SELFTEST_REGVAL 0xdeadbeefu
/** Type of the mock's stage-1 description. */
#define IOMMU_HWPT_DATA_SELFTEST 0xdeadu

struct iommu_test_hw_info {
	uint32_t flags;
	uint32_t test_reg;
};

/** The mock's stage 1 passes addresses unchanged; the word is kept, nothing more. */
struct iommu_hwpt_selftest {
	uint32_t iotlb;
};

struct ufd_mock_stats {
	uint64_t translations, hits; /* asked for; answered from the TLB */
	uint64_t flushes, flushed;   /* calls; TLB entries dropped by them */
	uint64_t cached;             /* TLB entries now */
};

/** What the unit, which is the mock's, has done so far. */
void ufd_mock_stats(struct iommu_unit *unit, struct ufd_mock_stats *out);
/** Let every flush end in -ETIMEDOUT from now on, as a dead unit's would; or not. */
void ufd_mock_break(struct iommu_unit *unit, bool broken);

#endif
