/* SPDX-License-Identifier: MIT */
/*
 * Root, context and PASID tables. VT-d specification 5.10, sections 3.4 and 9.1 to 9.6.
 *
 * Tables for a device are made when it joins, so pointing its entries somewhere else
 * later needs no memory and cannot fail for want of it. In legacy mode a blocked device
 * has a context entry that is not present. In scalable mode its context entries lead to
 * a PASID table of its own whose entry is not present.
 *
 * iommu->lock is held around all of these.
 */
#ifndef VTD_CONTEXT_H
#define VTD_CONTEXT_H

#include "vtd/domain.h"

/** Make the tables that the device's requester ids need. 0, -ENOMEM; a hardware error
 *  can come from units with caching mode only. */
int must_check vtd_context_reserve(struct vtd_unit *unit, struct vtd_device *device);
/** The device leaves: clear its entries but for ids that it shares with another one,
 *  and free its PASID table. */
void vtd_context_release(struct vtd_unit *unit, struct vtd_device *device);

/** The context entry of @p rid: 2 qwords in legacy mode, 4 in scalable mode; NULL if there
 *  is no table for it. */
uint64_t *vtd_context_entry(const struct vtd_unit *unit, iommu_rid_t rid);

/** Set DTE and PRE of the device's scalable-mode context entries to @p flags, others to 0,
 *  and make the unit forget what was cached by way of these entries. In legacy mode only
 *  remembered. 0, -EIO, -ETIMEDOUT: the entries are written even then. */
int must_check vtd_context_update(struct vtd_unit *unit, struct vtd_device *device, uint64_t flags);
/** Let nothing of the device's pass but untranslated requests, whatever was wanted before and
 *  will be. In memory; the unit has yet to forget its context caches. unit->lock is held. */
void vtd_context_cut_off(struct vtd_unit *unit, struct vtd_device *device);

#endif
