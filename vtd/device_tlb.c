/* SPDX-License-Identifier: MIT */
/* ATS and page requests of devices: see device_tlb.h. */
#include "vtd/device_tlb.h"

#include "vtd/context.h"
#include "vtd/page_request.h"
#include "vtd/submit.h"

/* ---- what is on -------------------------------------------------------------------- */

static bool is_silent(const struct vtd_device *device)
{
	return __atomic_load_n(&device->silent, __ATOMIC_ACQUIRE);
}

static int tell(const struct vtd_device *device, bool ats, bool pasid, bool page_requests)
{
	const struct iommu_device_desc *desc = &device->device->desc;

	if (!desc->capabilities_set)
		return 0;
	return desc->capabilities_set(desc->capabilities_ctx, ats, pasid, page_requests);
}

void vtd_device_services_init(struct vtd_unit *unit, struct vtd_device *device)
{
	const struct iommu_device_desc *desc = &device->device->desc;

	/* A requester id that several functions use says nothing about which of them holds a
	 * translation. */
	device->can_ats = unit->caps.dt && unit->caps.qi && desc->ats_queue_depth &&
	                  desc->capabilities_set && device->rid_count == 1 &&
	                  vtd_dmar_allows_ats(&unit->dmar, desc);
	device->can_page = device->can_ats && desc->page_requests && unit->pages.value;
	if (tell(device, false, device->pasid_bits != 0, false) == 0)
		return;
	vtd_log(unit, IOMMU_LOG_WARNING,
	        "%s: its ATS, PASID and PRI capabilities cannot be set: it is used without",
	        desc->name);
	device->pasid_bits = 0;
	device->can_ats = device->can_page = false;
}

void vtd_device_services_end(struct vtd_device *device)
{
	if (device->pasid_bits || device->told_ats)
		(void)tell(device, false, false, false); /* it is blocked, whatever it does */
	device->told_ats = device->told_page = false;
}

/** Legacy mode passes through with TT 10, which refuses translation requests. */
static bool uses_ats(const struct vtd_unit *unit, const struct vtd_device *device,
                     const struct vtd_domain *domain)
{
	return domain && domain != device->firmware && (unit->scalable || domain->format);
}

/** Have the unit treat the device's requests so. 0, -EIO, -ETIMEDOUT: done all the same. */
static int set_context(struct vtd_unit *unit, struct vtd_device *device, bool ats, bool page)
{
	uint64_t flags = (ats ? VTD_SM_CONTEXT_DTE : 0) | (page ? VTD_SM_CONTEXT_PRE : 0);

	if (!unit->scalable || flags == device->context_flags)
		return 0;
	return vtd_context_update(unit, device, flags);
}

static void set_told(struct vtd_device *device, bool ats, bool page)
{
	device->told_ats = ats;
	device->told_page = page;
	__atomic_store_n(&device->ats, ats && !is_silent(device), __ATOMIC_RELEASE);
}

/** Switch something on. A device that refuses is used without. */
static int switch_on(struct vtd_unit *unit, struct vtd_device *device, bool ats, bool page)
{
	const char *name = device->device->desc.name;
	int err = set_context(unit, device, ats, page);

	if (err) {
		(void)set_context(unit, device, device->told_ats, device->told_page);
		return err;
	}
	if (tell(device, ats, device->pasid_bits != 0, page) == 0) {
		set_told(device, ats, page);
		return 0;
	}
	vtd_log(unit, IOMMU_LOG_WARNING, "%s: its %s cannot be switched on: it is used without",
	        name, page && device->told_ats ? "page requests" : "ATS");
	device->can_page = false;
	device->can_ats = device->told_ats;
	(void)tell(device, device->told_ats, device->pasid_bits != 0, device->told_page);
	return set_context(unit, device, device->told_ats, device->told_page);
}

/** Switch something off. From when the unit passes no more page requests on, those that came
 *  are answered: a device stops only when it waits for none. */
static void switch_off(struct vtd_unit *unit, struct vtd_device *device, bool ats, bool page)
{
	bool drain = device->told_page && !page;

	/* An entry that could not be forgotten was logged by who waited. */
	(void)set_context(unit, device, ats, page);
	if (drain)
		vtd_page_requests_drain(unit, device);
	if (!ats)
		__atomic_store_n(&device->ats, false, __ATOMIC_RELEASE);
	if (tell(device, ats, device->pasid_bits != 0, page))
		vtd_log(unit, IOMMU_LOG_WARNING, "%s: its %s cannot be switched off",
		        device->device->desc.name, ats ? "page requests" : "ATS");
	set_told(device, ats, page);
}

/** Make it so that exactly what is used is on. */
static int update(struct vtd_unit *unit, struct vtd_device *device)
{
	bool ats = device->ats_users && device->can_ats && !is_silent(device);
	bool page = ats && device->page_users && device->can_page;
	int err = 0;

	if (!unit->live)
		return 0;
	if ((ats && !device->told_ats) || (page && !device->told_page))
		err = switch_on(unit, device, ats || device->told_ats, page || device->told_page);
	else if (ats != device->told_ats || page != device->told_page)
		switch_off(unit, device, ats, page);
	return err;
}

int vtd_device_services_get(struct vtd_unit *unit, struct vtd_device *device,
                            const struct vtd_domain *domain)
{
	int err;

	if (!uses_ats(unit, device, domain))
		return 0;
	device->ats_users++;
	device->page_users += domain->base.page_sink != NULL;
	err = update(unit, device);
	/* Who wants page requests was told that they come. */
	if (!err && unit->live && domain->base.page_sink && !device->told_page) {
		vtd_log(unit, IOMMU_LOG_ERROR, "%s: its page requests do not work any more",
		        device->device->desc.name);
		err = -EIO;
	}
	if (err)
		vtd_device_services_put(unit, device, domain);
	return err;
}

void vtd_device_services_put(struct vtd_unit *unit, struct vtd_device *device,
                             const struct vtd_domain *domain)
{
	if (!uses_ats(unit, device, domain))
		return;
	device->ats_users--;
	device->page_users -= domain->base.page_sink != NULL;
	(void)update(unit, device); /* nothing goes on by this */
}

void vtd_device_services_resume(struct vtd_unit *unit)
{
	for (struct vtd_device *device = unit->devices; device; device = device->next) {
		if (!device->ats_users)
			continue;
		int err = update(unit, device);
		/* TT says whether translation requests pass. */
		if (!err && !unit->scalable && device->told_ats)
			err = vtd_device_program(unit, device, IOMMU_NO_PASID, device->rid.domain);
		if (err)
			vtd_log(unit, IOMMU_LOG_WARNING, "%s: goes on without ATS",
			        device->device->desc.name);
	}
}

void vtd_device_services_suspend(struct vtd_unit *unit)
{
	for (struct vtd_device *device = unit->devices; device; device = device->next)
		if (device->told_ats)
			switch_off(unit, device, false, false);
}

/* ---- invalidations ------------------------------------------------------------------ */

static void add_block(struct vtd_batch *batch, const struct vtd_device *device, uint32_t pasid,
                      uint64_t address, unsigned order)
{
	const struct vtd_device_tlb_target to = {
		.sid = device->rids[0],
		.pfsid = batch->unit->caps.dit ? device->rids[0] : 0,
		.capacity = device->device->desc.ats_queue_depth % 32,
	};

	if (pasid == IOMMU_NO_PASID)
		vtd_batch_add(batch, vtd_desc_dev_tlb(to, address, order));
	else
		vtd_batch_add(batch, vtd_desc_p_dev_tlb(to, pasid, address, order));
}

void vtd_batch_add_device_all(struct vtd_batch *batch, const struct vtd_device *device,
                              uint32_t pasid)
{
	if (vtd_device_has_tlb(device))
		add_block(batch, device, pasid, 0, VTD_MAX_ORDER);
}

void vtd_batch_add_device_range(struct vtd_batch *batch, const struct vtd_device *device,
                                uint32_t pasid, iova_t first, iova_t last)
{
	struct vtd_block blocks[VTD_MAX_DEVICE_BLOCKS];
	uint64_t first_page = first.value >> 12, last_page = last.value >> 12;

	if (!vtd_device_has_tlb(device))
		return;
	unsigned count = vtd_split_range(first_page, last_page, VTD_MAX_ORDER, blocks,
	                                 VTD_MAX_DEVICE_BLOCKS);
	if (count > VTD_MAX_DEVICE_BLOCKS) {
		/* The bits in which both ends agree; there are some in which they do not. */
		unsigned order = 64u - (unsigned)__builtin_clzll(first_page ^ last_page);
		blocks[0] = (struct vtd_block){first_page >> order << order, order};
		count = 1;
	}
	for (unsigned i = 0; i < count; i++)
		add_block(batch, device, pasid, blocks[i].page << 12, blocks[i].order);
}

void vtd_batch_add_tag_range(struct vtd_batch *batch, const struct vtd_tag *tag, iova_t first,
                             iova_t last)
{
	for (const struct vtd_attachment *at = tag->attachments; at; at = at->next)
		vtd_batch_add_device_range(batch, at->device, at->pasid, first, last);
}

void vtd_batch_add_tag_all(struct vtd_batch *batch, const struct vtd_tag *tag)
{
	for (const struct vtd_attachment *at = tag->attachments; at; at = at->next)
		vtd_batch_add_device_all(batch, at->device, at->pasid);
}

/* ---- devices that do not answer ------------------------------------------------------ */

/** Whom a descriptor is for; -1: no device. */
static int receiver(const struct vtd_descriptor *descriptor)
{
	switch (vtd_descriptor_type(descriptor)) {
	case VTD_DESC_DEV_TLB:
		return (int)field_get(VTD_DESC_DEV_TLB_SID, descriptor->word[0]);
	case VTD_DESC_P_DEV_TLB:
		return (int)field_get(VTD_DESC_P_DEV_TLB_SID, descriptor->word[0]);
	default:
		return -1;
	}
}

/** True if there is such a device. */
static bool cut_off(struct vtd_unit *unit, iommu_rid_t rid)
{
	struct vtd_device *device = unit->devices;

	while (device && device->rids[0] != rid)
		device = device->next;
	if (!device)
		return false;
	if (is_silent(device))
		return true;
	__atomic_store_n(&device->silent, true, __ATOMIC_RELEASE);
	__atomic_store_n(&device->ats, false, __ATOMIC_RELEASE);
	vtd_context_cut_off(unit, device);
	unit->stats.silent++;
	vtd_log(unit, IOMMU_LOG_ERROR,
	        "%s did not answer an invalidation (FSTS.ITE): its translated requests are refused "
	        "from now on",
	        device->device->desc.name);
	return true;
}

unsigned vtd_device_cut_off(struct vtd_unit *unit, const struct vtd_request *first,
                            const struct vtd_request *last, uint16_t sid)
{
	unsigned found = 0;
	bool named = false;

	for (const struct vtd_request *at = first; at; at = at == last ? NULL : at->next)
		for (unsigned i = 0; i < at->count; i++)
			named |= receiver(&at->descriptors[i]) == sid;
	for (const struct vtd_request *at = first; at; at = at == last ? NULL : at->next) {
		for (unsigned i = 0; i < at->count; i++) {
			int rid = receiver(&at->descriptors[i]);
			/* (one that is named and is here no more needs no cutting off) */
			if (rid >= 0 && (!named || rid == sid))
				found += cut_off(unit, (iommu_rid_t)rid) || named;
		}
	}
	return found;
}
