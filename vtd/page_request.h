/* SPDX-License-Identifier: MIT */
/*
 * The page request queue. VT-d specification 5.10, sections 7.4 to 7.7 and 11.4.11.
 *
 * The unit writes requests, in scalable mode, from devices whose context entries say PRE. They
 * are taken out in order, by one at a time, and go to the core with no lock held, which finds
 * the device, and who answers. What comes from a device that is switched off meanwhile is
 * answered "invalid" where it lies.
 *
 * When the queue is full the unit answers "success" itself, so that the device asks again,
 * and stores nothing more until PRS.PRO is cleared: after all that lies there was taken.
 */
#ifndef VTD_PAGE_REQUEST_H
#define VTD_PAGE_REQUEST_H

#include "vtd/unit.h"

/** Memory for the queue, if unit and mode have page requests. 0, -ENOMEM. */
int must_check vtd_page_requests_create(struct vtd_unit *unit);
void vtd_page_requests_free(struct vtd_unit *unit);

/** Begin with an empty queue, before any device may ask. Have a message sent at requests, if the
 *  embedder has interrupts. */
void vtd_page_requests_start(struct vtd_unit *unit);
/** The unit translates no more: forget what is left. */
void vtd_page_requests_stop(struct vtd_unit *unit);

/** Hand over what lies in the queue. Takes iommu->lock: call with no lock held. Returns how
 *  many requests were taken. */
unsigned vtd_page_requests_poll(struct vtd_unit *unit);

/** Wait until all that the device has asked lies in the queue, and answer it "invalid". The unit
 *  stores no more of it by now. iommu->lock is held. */
void vtd_page_requests_drain(struct vtd_unit *unit, const struct vtd_device *device);

/** As iommu_unit_ops. A device whose page requests are off by now waits for no answer. */
int vtd_page_respond(struct iommu_device *core, const struct iommu_page_request *request,
                     enum iommu_page_answer answer);

#endif
