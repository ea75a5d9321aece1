/* SPDX-License-Identifier: MIT */
/*
 * What the files of the core share, and nobody else sees.
 *
 * Locks: iommu->lock guards units, devices, groups and attachments. The list of
 * devices, and what hangs on it, changes only with fault_lock held as well, so that
 * a fault can be assigned to a device with fault_lock alone, from an interrupt.
 */
#ifndef IOMMU_PRIVATE_H
#define IOMMU_PRIVATE_H

#include "iommu/iommu.h"

static inline void iommu_lock(struct iommu *iommu)
{
	iommu->os->lock(iommu->os->ctx, &iommu->lock);
}

static inline void iommu_unlock(struct iommu *iommu)
{
	iommu->os->unlock(iommu->os->ctx, &iommu->lock);
}

static inline void iommu_fault_lock(struct iommu *iommu)
{
	iommu->os->lock(iommu->os->ctx, &iommu->fault_lock);
}

static inline void iommu_fault_unlock(struct iommu *iommu)
{
	iommu->os->unlock(iommu->os->ctx, &iommu->fault_lock);
}

/** iommu_device_find() with fault_lock, or iommu->lock, held. */
struct iommu_device *iommu_device_find_locked(struct iommu *iommu, uint16_t segment,
                                              iommu_rid_t rid);
/** Take a device out of the lists and free it; iommu->lock held. */
void iommu_device_drop(struct iommu_device *device);

/** Put @p device into the group with its number, made if need be; it gets the group's
 *  domain. iommu->lock held. 0, -ENOMEM, or as attach. */
int must_check iommu_group_join(struct iommu_device *device);
/** Undo that: the device is blocked. An empty group is freed. */
void iommu_group_leave(struct iommu_device *device);

/** Is @p domain made for the kind of unit that @p device is behind? 0, -ENODEV, -EINVAL,
 *  with a line. */
int must_check iommu_domain_suits(const struct iommu_device *device,
                                  const struct iommu_domain *domain);
/** Block every PASID of a device; iommu->lock held. */
void iommu_pasids_block(struct iommu_device *device);

/** Log lines of faults must not name a device that is gone. fault_lock held. */
void iommu_fault_forget(struct iommu *iommu, const struct iommu_device *device);

#endif
