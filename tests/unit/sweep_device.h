/* SPDX-License-Identifier: MIT */
/*
 * The devices of a sweep on the model: what their ATS and PRI capabilities are switched to,
 * and the translations that they hold. A device keeps what it was told until the unit has it
 * forget, and uses it: so a device TLB that nobody invalidates reaches memory that is not
 * pinned any more, and is found.
 */
#ifndef TESTS_UNIT_SWEEP_DEVICE_H
#define TESTS_UNIT_SWEEP_DEVICE_H

#include "tests/unit/vtd_model.h"

enum { SWEEP_DEVICES = 3, SWEEP_DEVICE_ENTRIES = 16 };

struct sweep_device {
	bool ats, page_requests; /* on */
	bool silent;             /* it does not answer, and forgets nothing */
	struct model_device_tlb tlb;
	struct model_device_tlb_entry entries[SWEEP_DEVICE_ENTRIES];
};

static inline void sweep_device_init(struct sweep_device *self, struct model_unit *unit,
                                     iommu_rid_t rid)
{
	model_device_tlb_init(&self->tlb, unit, rid, self->entries, SWEEP_DEVICE_ENTRIES);
}

/** As iommu_device_desc. What a device held goes when its ATS does. */
static inline int sweep_device_set(void *ctx, bool ats, bool pasid, bool page_requests)
{
	struct sweep_device *self = ctx;

	(void)pasid;
	KTAP_CHECK(ats || !page_requests);
	self->ats = ats;
	self->page_requests = page_requests;
	if (!ats)
		memset(self->entries, 0, sizeof(self->entries));
	return 0;
}

/** Where an access ends up. A silent device tries what it holds first, then as others do. */
static inline bool sweep_device_access(struct sweep_device *self, struct model_unit *unit,
                                       const struct model_request *request,
                                       struct model_result *result)
{
	if (self->ats && model_device_tlb_access(&self->tlb, request, result))
		return true;
	return (!self->ats || self->silent) && model_dma(unit, request, result);
}

static inline enum model_device_answer sweep_device_forget(
	struct sweep_device *self, const struct model_device_invalidation *which)
{
	if (self->silent)
		return MODEL_DEVICE_SILENT;
	model_device_tlb_invalidate(&self->tlb, which);
	return MODEL_DEVICE_DONE;
}

#endif
