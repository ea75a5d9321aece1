/* SPDX-License-Identifier: MIT */
/*
 * Devices that translate for themselves, on the model: ATS, PASIDs and page requests as the
 * driver switches them, answers to invalidations, and what comes back for page requests. An
 * invalidation for a device whose ATS is off is a mistake of the driver's.
 */
#ifndef TESTS_UNIT_VTD_MODEL_ATS_H
#define TESTS_UNIT_VTD_MODEL_ATS_H

#include "tests/unit/vtd_model.h"

enum { ATS_DEVICES = 3, ATS_ENTRIES = 64 };

struct ats_device {
	struct iommu_device *core;
	struct model_device_tlb tlb;
	struct model_device_tlb_entry entries[ATS_ENTRIES];
	bool ats, pasid, pages; /* on */
	bool refuses_ats, refuses_pages;
	bool deaf;            /* does not answer invalidations */
	unsigned asked;       /* invalidations that came */
	unsigned answers;     /* page responses that came */
	unsigned group, code; /* of the last */
};

struct ats {
	struct vm vm;
	struct ats_device devices[ATS_DEVICES];
	unsigned count;
};

static inline void ats_event(void *ctx, const struct model_event *event)
{
	struct ats *ats = ctx; /* the vm is its first member */

	vm_event(&ats->vm, event);
	if (event->kind != MODEL_EVENT_PAGE_RESPONSE)
		return;
	for (unsigned i = 0; i < ats->count; i++) {
		struct ats_device *device = &ats->devices[i];
		if (device->tlb.requester != event->requester)
			continue;
		device->answers++;
		device->group = event->group;
		device->code = event->response;
	}
}

static inline enum model_device_answer ats_invalidate(
	void *ctx, const struct model_device_invalidation *invalidation)
{
	struct ats *ats = ctx;

	for (unsigned i = 0; i < ats->count; i++) {
		struct ats_device *device = &ats->devices[i];
		if (device->tlb.requester != invalidation->requester)
			continue;
		if (!device->ats)
			KTAP_FAIL("a device whose ATS is off is told to invalidate");
		device->asked++;
		if (device->deaf)
			return MODEL_DEVICE_SILENT;
		(void)model_device_tlb_invalidate(&device->tlb, invalidation);
		return MODEL_DEVICE_DONE;
	}
	KTAP_FAIL("an invalidation goes to nobody");
	return MODEL_DEVICE_SILENT;
}

static inline int ats_switch(void *ctx, bool ats, bool pasid, bool pages)
{
	struct ats_device *device = ctx;

	if ((ats && device->refuses_ats) || (pages && device->refuses_pages))
		return -EIO;
	if (pages && !ats)
		KTAP_FAIL("page requests without ATS");
	if (device->ats && device->pasid != pasid)
		KTAP_FAIL("PASID is switched while ATS is on");
	if (!ats)
		for (unsigned i = 0; i < ATS_ENTRIES; i++)
			device->entries[i].valid = false;
	device->ats = ats;
	device->pasid = pasid;
	device->pages = pages;
	return 0;
}

/** A running unit of the preset (its configuration may have been changed), no devices. */
static inline void ats_start(struct ats *ats, const struct model_config *config,
                             enum iommu_mode mode)
{
	const struct model_hooks hooks = {.context = ats,
	                                  .memory = {vm_read, vm_write, vm_swap},
	                                  .event = ats_event,
	                                  .device_invalidate = ats_invalidate};

	memset(ats, 0, sizeof(*ats));
	vm_prepare_hooks(&ats->vm, config, mode, &hooks);
	KTAP_EQUAL(iommu_enable(&ats->vm.iommu), 0);
}

/** Device @p number on bus 0, which can do all that the unit can. */
static inline struct ats_device *ats_device(struct ats *ats, unsigned number)
{
	struct ats_device *device = &ats->devices[ats->count++];
	struct iommu_device_desc desc = {
		.rid = RID(0, number, 0),
		.hop_count = 1,
		.hops = {{0, (uint8_t)(number << 3)}},
		.group = number,
		.pasid_bits = 20,
		.ats_queue_depth = 32,
		.page_requests = true,
		.capabilities_set = ats_switch,
		.capabilities_ctx = device,
	};

	snprintf(desc.name, sizeof(desc.name), "00:%02x.0", number);
	model_device_tlb_init(&device->tlb, ats->vm.unit, desc.rid, device->entries, ATS_ENTRIES);
	KTAP_EQUAL(iommu_device_add(&ats->vm.iommu, &desc, &device->core), 0);
	return device;
}

/** A write by the device's own translation: where it ends up, or VM_FAILED. */
static inline int64_t ats_dma(struct ats *ats, struct ats_device *device, int pasid,
                              uint64_t address)
{
	const struct model_request request = {
		.access = MODEL_WRITE,
		.requester = device->core->desc.rid,
		.has_pasid = pasid != VM_NO_PASID,
		.pasid = pasid == VM_NO_PASID ? 0 : (uint32_t)pasid,
		.address = address,
		.bytes = 8,
	};
	struct model_result result;
	bool passed = model_device_tlb_access(&device->tlb, &request, &result);

	model_sanitizer_check(ats->vm.unit);
	return passed ? (int64_t)result.address : VM_FAILED;
}

/** Ask for a page to write. True: it lies in the queue. */
static inline bool ats_ask(struct ats *ats, struct ats_device *device, int pasid, uint64_t address,
                           uint16_t group, bool last)
{
	const struct model_request request = {
		.kind = MODEL_PAGE_REQUEST,
		.requester = device->core->desc.rid,
		.has_pasid = pasid != VM_NO_PASID,
		.pasid = pasid == VM_NO_PASID ? 0 : (uint32_t)pasid,
		.address = address,
		.page_write = true,
		.last = last,
		.group = group,
	};
	struct model_result result = {0};

	(void)model_dma(ats->vm.unit, &request, &result);
	return result.stored;
}

#endif
