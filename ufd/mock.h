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
	uint32_t pagetable_type; /* of a paging HWPT */
};

/** Tables of self-test devices: pages of half a user's page; with HUGE also 512 of them. */
enum { MOCK_IOMMUPT_DEFAULT = 0, MOCK_IOMMUPT_HUGE = 1 };
/** The addresses that these tables translate. */
#define MOCK_APERTURE_START UINT64_C(0x1000000)
#define MOCK_APERTURE_LAST  UINT64_C(0x7fffffff)
enum { MOCK_PAGE_SIZE = 2048, MOCK_HUGE_PAGE_SIZE = 512 * MOCK_PAGE_SIZE };
/** With this PASID a self-test device attaches once; a replace fails with ENOMEM. */
enum { IOMMU_TEST_PASID_RESERVED = 1024 };

/** Cache words of a device, which a vIOMMU's invalidation makes 0. */
enum { UFD_MOCK_DEVICE_CACHE = 4 };
#define MOCK_DEV_CACHE_ID_MAX        3
#define MOCK_DEV_CACHE_NUM           4
#define IOMMU_TEST_DEV_CACHE_DEFAULT 0xbaddadu

/** The mock's vIOMMU: what comes in goes out, and stands in the page that can be mapped. */
#define IOMMU_VIOMMU_TYPE_SELFTEST 0xdeadbeefu
struct iommu_viommu_selftest {
	uint32_t in_data;
	uint32_t out_data;
	uint64_t out_mmap_offset;
	uint64_t out_mmap_length;
};

/** Its HWPT_INVALIDATE: cache word @cache_id of the device whose id is @vdev_id becomes 0. */
#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST         0xdeadbeefu
#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST_INVALID 0xdadbeefu
struct iommu_viommu_invalidate_selftest {
	uint32_t flags;
	uint32_t vdev_id;
	uint32_t cache_id;
};

/** Its events, and its hardware queues, of which it has two. */
#define IOMMU_VEVENTQ_TYPE_SELFTEST 0xbeefbeefu
struct iommu_viommu_event_selftest {
	uint32_t virt_id;
};
#define IOMMU_HW_QUEUE_TYPE_SELFTEST 0xdeadbeefu
#define IOMMU_TEST_HW_QUEUE_MAX      2

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

/** How a mock device differs from ufd_mock_device_add()'s: bits. */
enum ufd_mock_shape {
	UFD_MOCK_SELFTEST = 1 << 0, /* its domains are small: the aperture and pages above */
	UFD_MOCK_NO_DIRTY = 1 << 1, /* cannot track dirty pages */
	UFD_MOCK_NO_PASID = 1 << 2,
	UFD_MOCK_HUGE = 1 << 3, /* of a self-test device: tables are HUGE unless told otherwise */
};

/** The mock unit of a core, or NULL. */
struct iommu_unit *ufd_mock_unit(struct iommu *iommu);
/** As ufd_mock_device_add(), of a shape. */
int must_check ufd_mock_device_add_shape(struct iommu *iommu, iommu_rid_t rid, uint32_t shape,
                                         struct iommu_device **out);
/** Is @p device a mock device? Is @p domain a mock's table, or on such a table nested? */
bool ufd_mock_is_device(const struct iommu_device *device);
bool ufd_mock_is_paging(const struct iommu_domain *domain);
bool ufd_mock_is_nested(const struct iommu_domain *domain);
/** A device writes to @p at through a mock's table that tracks: its page, and the one that
 *  makes a naturally aligned pair with it, become dirty. False: nothing is mapped there. */
bool ufd_mock_set_dirty(struct iommu_domain *domain, iova_t at);
/** Report an event of @p device to the vIOMMU whose nested domain it has. 0, -ENOENT. */
int must_check ufd_mock_trigger_event(struct iommu_device *device);
/** Is dirty tracking on in a mock's table? */
bool ufd_mock_is_tracking(struct iommu_domain *domain);
/** Cache word @p id (below UFD_MOCK_DEVICE_CACHE) of a mock device. */
uint32_t ufd_mock_device_cache(struct iommu_device *device, unsigned id);
/** What the unit, which is the mock's, has done so far. */
void ufd_mock_stats(struct iommu_unit *unit, struct ufd_mock_stats *out);
/** What @p device was answered so far. */
void ufd_mock_answer(struct iommu_device *device, struct ufd_mock_answer *out);
/** Cache word @p id (below UFD_MOCK_IOTLB) of a nested mock domain. */
uint32_t ufd_mock_iotlb(struct iommu_domain *domain, unsigned id);
/** Let every flush, invalidation and answer end in -ETIMEDOUT from now on, as a dead unit's would; or not. */
void ufd_mock_break(struct iommu_unit *unit, bool broken);

#endif
