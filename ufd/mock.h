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

/** The mock's stage 1 passes addresses unchanged; the word is what each of its caches
 *  holds at first. */
struct iommu_hwpt_selftest {
	uint32_t iotlb;
};

/** Words of cache that a nested domain has. */
enum { UFD_MOCK_IOTLB = 4 };
#define MOCK_NESTED_DOMAIN_IOTLB_ID_MAX 3
#define IOMMU_TEST_IOTLB_DEFAULT        0xbadbeefu

/** Type and entries of the mock's HWPT_INVALIDATE: cache word @iotlb_id becomes 0, or
 *  all of them; any other id is EINVAL, any other flag EOPNOTSUPP. */
#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST         0xdeadbeefu
#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID 0xdadbeefu
#define IOMMU_TEST_INVALIDATE_FLAG_ALL              (1 << 0)
struct iommu_hwpt_invalidate_selftest {
	uint32_t flags;
	uint32_t iotlb_id;
};

/** Width of the PASIDs of mock devices. */
enum { UFD_MOCK_PASID_BITS = 20 };

/** The answers to page requests of one device: how many, and the last one. */
struct ufd_mock_answer {
	uint64_t count;
	uint32_t pasid; /* IOMMU_NO_PASID: it had none */
	uint16_t group;
	enum iommu_page_answer answer;
};

struct ufd_mock_stats {
	uint64_t translations, hits; /* asked for; answered from the TLB */
	uint64_t flushes, flushed;   /* calls; TLB entries dropped by them */
	uint64_t cached;             /* TLB entries now */
};

/** What the unit, which is the mock's, has done so far. */
void ufd_mock_stats(struct iommu_unit *unit, struct ufd_mock_stats *out);
/** What @p device was answered so far. */
void ufd_mock_answer(struct iommu_device *device, struct ufd_mock_answer *out);
/** Cache word @p id (below UFD_MOCK_IOTLB) of a nested mock domain. */
uint32_t ufd_mock_iotlb(struct iommu_domain *domain, unsigned id);
/** Let every flush, invalidation and answer end in -ETIMEDOUT from now on, as a dead unit's would; or not. */
void ufd_mock_break(struct iommu_unit *unit, bool broken);

#endif
