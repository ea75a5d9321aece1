/* SPDX-License-Identifier: MIT */
/*
 * What the files of the mock IOMMU share: ufd/mock.c is the unit, ufd/mock_domain.c has
 * the tables, the TLB and the stage-1 caches, ufd/mock_dma.c what its devices do.
 */
#ifndef UFD_MOCK_PRIVATE_H
#define UFD_MOCK_PRIVATE_H

#include "iommu/iommu.h"
#include "iommu/iova.h"
#include "iommu/pt.h"
#include "iommu/viommu.h"
#include "ufd/mock.h"
#include "ufd/ufd.h"

enum {
	MOCK_LEVELS = 4,
	MOCK_REASON_WIDTH = 1,
	MOCK_REASON_ABSENT = 2,
	MOCK_REASON_NO_READ = 4,
	MOCK_REASON_NO_WRITE = 5,
	MOCK_REASON_BLOCKED = 6,
};

/** The translation of one page, as it was when it was first used. */
struct mock_tlb_entry {
	struct iova_node node; /* first */
	pa_t pa;
	uint32_t rights;
	bool dirty; /* the table says so: a write need not tell it again */
};

struct mock_domain {
	struct iommu_domain domain;
	struct pt pt;               /* not of a nested domain */
	struct mock_domain *parent; /* of a nested domain */
	struct mock_domain *children, *next_child;
	struct iova_space tlb;
	uint32_t iotlb[UFD_MOCK_IOTLB]; /* of a nested domain: what its caches hold */
	bool tracking;                  /* writes set the dirty flag */
	/** Self-test: half pages. The table has all addresses times 2^this, so that its
	 *  4 KiB page is 2 KiB here. A nested domain has its parent's. */
	uint8_t scale;
};

/** What one PASID of a device has. */
struct mock_pasid {
	struct mock_pasid *next;
	uint32_t pasid;
	struct mock_domain *domain;
};

/** What the hardware knows of a device. */
struct mock_device {
	struct mock_device *next;
	struct iommu_device *device;
	struct mock_domain *domain; /* NULL: blocked */
	struct mock_pasid *pasids;  /* those that are not blocked */
	struct ufd_mock_answer answer;
	uint32_t shape; /* UFD_MOCK_...; set before the device is used */
	uint32_t cache[UFD_MOCK_DEVICE_CACHE];
};

struct mock_unit {
	struct iommu_unit unit;
	struct iommu_lock lock; /* all below, TLBs, children, mock_device's contents */
	struct mock_device *devices;
	struct ufd_mock_stats stats;
	bool broken;
};

static inline struct mock_unit *mock_unit(struct iommu_unit *unit)
{
	return container_of(unit, struct mock_unit, unit);
}

static inline struct mock_domain *mock_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_domain, domain);
}

static inline void mock_lock(struct mock_unit *unit)
{
	const struct iommu_os *os = unit->unit.iommu->os;

	os->lock(os->ctx, &unit->lock);
}

static inline void mock_unlock(struct mock_unit *unit)
{
	const struct iommu_os *os = unit->unit.iommu->os;

	os->unlock(os->ctx, &unit->lock);
}

/** What requests of a device with @p pasid (IOMMU_NO_PASID: without) go through; NULL:
 *  blocked. The unit's lock is held. */
struct mock_domain *ufd_mock_device_domain(const struct mock_device *device, uint32_t pasid);

/* ---- ufd/mock_viommu.c ------------------------------------------------------------------- */

/** iommu_unit_ops.viommu_alloc. */
int ufd_mock_viommu_alloc(struct iommu_device *device, struct iommu_domain *parent,
                          struct iommu_viommu_data *data, struct iommu_viommu **out);
/** Does @p viommu, which is NULL or the mock's, know @p device? The unit's lock is held. */
bool ufd_mock_viommu_knows(struct iommu_viommu *viommu, const struct iommu_device *device);

/* ---- ufd/mock_domain.c ---------------------------------------------------------------- */

/** iommu_unit_ops.domain_alloc_user. */
int ufd_mock_domain_alloc_user(struct iommu_device *device, uint32_t flags,
                               struct iommu_domain *parent, const struct iommu_user_data *data,
                               struct iommu_domain **out);
/** Note that a page is written, whoever says so. The unit's lock is held. */
bool ufd_mock_domain_set_dirty(struct mock_domain *domain, iova_t at);
/** Translate, by TLB or table. 0, or the reason for a fault. The unit's lock is held. */
uint16_t ufd_mock_domain_translate(struct mock_unit *unit, struct mock_domain *domain, iova_t at,
                                   uint32_t access, pa_t *out);
void ufd_mock_domain_walk(struct mock_domain *domain, iova_t at, uint32_t access,
                          struct iommu_walk *walk);

#endif
