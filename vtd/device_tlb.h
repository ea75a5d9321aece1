/* SPDX-License-Identifier: MIT */
/*
 * Devices that translate for themselves: ATS, and the page requests that go with it. VT-d
 * specification 5.10, sections 4.1, 4.2, 6.5.2.5, 6.5.2.8, 6.5.2.10 (ITE) and 7.4 to 7.7; PCI
 * Express Base 6.0, chapter 10.
 *
 * A device's ATS is on exactly while one of its PASIDs (or what it sends without) has a
 * domain that can serve it; page requests, while one has a domain with a sink. Before ATS
 * goes on, the unit lets translation requests pass (DTE; in legacy mode TT), and from then on
 * every invalidation of what the device may hold is followed by one that goes to the device.
 * Before page requests go on, the unit stores them (PRE).
 *
 * A device that does not answer an invalidation is silent for good: the unit lets no
 * translated request of its pass any more, so that what it still holds is of no use to it. Its
 * untranslated requests go on. Others, and the unit, are not to blame.
 */
#ifndef VTD_DEVICE_TLB_H
#define VTD_DEVICE_TLB_H

#include "vtd/domain.h"

enum {
	/** A range is told to a device in at most so many blocks; beyond, in one that covers it:
	 *  each is a message that the device must answer. */
	VTD_MAX_DEVICE_BLOCKS = 4,
};

/** Decide what a device that joins can do, and tell it to do nothing of it yet, but for
 *  PASIDs (vtd_device.pasid_bits; 0 after a refusal). iommu->lock is held, as for all
 *  but the batches. */
void vtd_device_services_init(struct vtd_unit *unit, struct vtd_device *device);
/** It leaves: nothing is on any more. */
void vtd_device_services_end(struct vtd_device *device);

/** A binding of the device is about to get @p domain (NULL: none): switch on what that takes.
 *  0; -EIO, -ETIMEDOUT: nothing has changed. */
int must_check vtd_device_services_get(struct vtd_unit *unit, struct vtd_device *device,
                                       const struct vtd_domain *domain);
/** A binding had @p domain (NULL: none), and no entry of its names it any more: switch off what
 *  nobody else uses. Page requests that came are answered "invalid". */
void vtd_device_services_put(struct vtd_unit *unit, struct vtd_device *device,
                             const struct vtd_domain *domain);

/** The unit translates from now on: switch on what the bindings take. */
void vtd_device_services_resume(struct vtd_unit *unit);
/** It will stop: switch all off, in every device. */
void vtd_device_services_suspend(struct vtd_unit *unit);

/** May the device hold translations? */
static inline bool vtd_device_has_tlb(const struct vtd_device *device)
{
	return __atomic_load_n(&device->ats, __ATOMIC_ACQUIRE);
}

/** Add: (device, pasid) forgets [first, last], if it may hold anything. After the IOTLB's
 *  descriptors for the same: what the device asks for anew must not come from there. */
void vtd_batch_add_device_range(struct vtd_batch *batch, const struct vtd_device *device,
                                uint32_t pasid, iova_t first, iova_t last);
/** Add: (device, pasid) forgets everything, likewise. */
void vtd_batch_add_device_all(struct vtd_batch *batch, const struct vtd_device *device,
                              uint32_t pasid);
/** For all that the tag lists. The domain is locked. */
void vtd_batch_add_tag_range(struct vtd_batch *batch, const struct vtd_tag *tag, iova_t first,
                             iova_t last);
void vtd_batch_add_tag_all(struct vtd_batch *batch, const struct vtd_tag *tag);

/** Invalidations among the requests from @p first through @p last were not answered
 *  (FSTS.ITE); @p sid is whose, or if no such is among them, the unit does not say: each may be. Cut these off, in memory; what the
 *  unit may have cached of it has yet to be forgotten. Returns how many were found.
 *  unit->lock is held. */
unsigned vtd_device_cut_off(struct vtd_unit *unit, const struct vtd_request *first,
                            const struct vtd_request *last, uint16_t sid);

#endif
