/* SPDX-License-Identifier: MIT */
/*
 * The driver as the core sees it: finding units in the DMAR table, devices joining and
 * leaving, and the table of operations. VT-d specification 5.10, chapter 8.
 */
#include "vtd/context.h"
#include "vtd/device_tlb.h"
#include "vtd/fault.h"
#include "vtd/page_request.h"
#include "vtd/pasid.h"
#include "vtd/vtd.h"
#include "vtd/walk.h"

static const struct iommu_unit_ops vtd_unit_ops;

/* ---- devices --------------------------------------------------------------------------- */

static enum iommu_claim claims(struct iommu_unit *base, const struct iommu_device_desc *desc)
{
	struct vtd_unit *unit = vtd_unit_of(base);

	return vtd_dmar_claims(&unit->dmar, &unit->drhd, desc);
}

/** USB controllers and graphics: firmware uses them while it runs, and they can do without
 *  its memory once a driver has taken over. */
static bool can_do_without(uint32_t class_code)
{
	return class_code >> 8 == 0x0c03 || class_code >> 16 == 0x03;
}

/** Map firmware's region one to one for the device; what the domain's width does not reach
 *  is left out, with a line. */
static int map_region(struct vtd_unit *unit, struct vtd_device *device,
                      const struct vtd_dmar_entry *region)
{
	struct iommu_domain *domain;
	struct iommu_gather gather;
	int err;

	if (!device->firmware) {
		err = vtd_domain_create_preferred(unit, &device->firmware);
		if (err)
			return err;
		/* An id of its own for good: going back to it later cannot fail. */
		err = vtd_tag_get(device->firmware, unit);
		if (err) {
			vtd_domain_free(&device->firmware->base);
			device->firmware = NULL;
			return err;
		}
	}
	domain = &device->firmware->base;
	if (region->limit > domain->last.value) {
		vtd_log(unit, IOMMU_LOG_WARNING,
		        "%s: firmware's region %#llx-%#llx lies beyond the unit's reach (%#llx) "
		        "and "
		        "is not mapped",
		        device->device->desc.name, (unsigned long long)region->base,
		        (unsigned long long)region->limit, (unsigned long long)domain->last.value);
		return 0;
	}
	/* Regions of one device may overlap: a page that is there is the same page. */
	iommu_gather_init(&gather, domain);
	err = domain->ops->map(domain, iova(region->base), pa(region->base),
	                       region->limit - region->base + 1, IOMMU_READ | IOMMU_WRITE, &gather);
	for (uint64_t at = region->base; err == -EEXIST && at < region->limit; at += PAGE_SIZE_4K) {
		int one = domain->ops->map(domain, iova(at), pa(at), PAGE_SIZE_4K,
		                           IOMMU_READ | IOMMU_WRITE, &gather);
		if (one && one != -EEXIST)
			err = one;
	}
	if (err == -EEXIST)
		err = 0;
	int flush_err = domain->ops->flush(domain, &gather);
	return err ? err : flush_err;
}

/** Reserve and map every RMRR that names the device. */
static int add_regions(struct vtd_unit *unit, struct vtd_device *device)
{
	const struct iommu_device_desc *desc = &device->device->desc;
	struct vtd_dmar_entry region;
	uint32_t at = 0;

	while (vtd_dmar_next(&unit->dmar, VTD_DMAR_RMRR, &at, &region)) {
		if (!region.usable || !vtd_dmar_entry_names(&unit->dmar, &region, desc))
			continue;
		int err = iommu_device_reserve(
			device->device, iova(region.base), iova(region.limit),
			can_do_without(desc->class_code) ? IOMMU_RESERVED_RELAXABLE
							 : IOMMU_RESERVED_DIRECT);
		if (!err)
			err = map_region(unit, device, &region);
		if (err)
			return err;
	}
	return 0;
}

static void collect_rids(struct vtd_device *device, const struct iommu_device_desc *desc)
{
	device->rids[device->rid_count++] = desc->rid;
	for (unsigned i = 0; i < desc->alias_count && i < IOMMU_MAX_ALIASES; i++) {
		unsigned n = 0;
		while (n < device->rid_count && device->rids[n] != desc->aliases[i])
			n++;
		if (n == device->rid_count)
			device->rids[device->rid_count++] = desc->aliases[i];
	}
}

static void device_unlink(struct vtd_unit *unit, struct vtd_device *device)
{
	struct vtd_device **at = &unit->devices;

	unit->os->lock(unit->os->ctx, &unit->lock);
	while (*at && *at != device)
		at = &(*at)->next;
	if (*at)
		*at = device->next;
	unit->os->unlock(unit->os->ctx, &unit->lock);
}

/** Everything that device_add may have made, in any state of completion. */
static void device_free(struct vtd_unit *unit, struct vtd_device *device)
{
	bool forgotten = true;

	if (device->rid.domain) { /* firmware's regions: the core has detached all else */
		forgotten = vtd_device_program(unit, device, IOMMU_NO_PASID, NULL) == 0;
		vtd_binding_set(unit, device, &device->rid, NULL);
	}
	vtd_device_services_end(device);
	vtd_context_release(unit, device);
	if (device->firmware) {
		vtd_tag_put(device->firmware, unit, forgotten);
		vtd_domain_free(&device->firmware->base);
	}
	device_unlink(unit, device);
	unit->os->free(unit->os->ctx, device, sizeof(*device));
}

static int device_add(struct iommu_unit *base, struct iommu_device *core)
{
	struct vtd_unit *unit = vtd_unit_of(base);
	struct vtd_device *device = unit->os->alloc(unit->os->ctx, sizeof(*device));
	int err;

	if (!device)
		return -ENOMEM;
	device->device = core;
	collect_rids(device, &core->desc);
	device->pasid_bits = vtd_pasid_bits(unit, &core->desc);
	vtd_device_services_init(unit, device);
	err = vtd_context_reserve(unit, device);
	if (err) {
		vtd_device_services_end(device);
		unit->os->free(unit->os->ctx, device, sizeof(*device));
		return err;
	}
	unit->os->lock(unit->os->ctx, &unit->lock);
	device->next = unit->devices;
	unit->devices = device;
	unit->os->unlock(unit->os->ctx, &unit->lock);

	err = add_regions(unit, device); /* the core reserves the interrupt window */
	if (!err && device->firmware) {
		vtd_binding_set(unit, device, &device->rid, device->firmware);
		err = vtd_device_program(unit, device, IOMMU_NO_PASID, device->firmware);
	}
	if (err) {
		device_free(unit, device);
		return err;
	}
	core->driver_data = device;
	core->pasid_bits = (uint8_t)device->pasid_bits;
	core->ats = device->can_ats;
	core->page_requests = device->can_page;
	return 0;
}

static void device_remove(struct iommu_unit *base, struct iommu_device *core)
{
	device_free(vtd_unit_of(base), core->driver_data);
	core->driver_data = NULL;
}

static int hw_info(struct iommu_device *device, uint32_t *type, void *out, size_t capacity)
{
	struct vtd_unit *unit = vtd_unit_of(device->unit);
	const struct vtd_hw_info info = {
		.flags = VTD_HW_INFO_ERRATA_772415_SPR17,
		.cap_reg = unit->caps.cap,
		.ecap_reg = unit->caps.ecap,
	};

	*type = VTD_HW_INFO_TYPE;
	memcpy(out, &info, capacity < sizeof(info) ? capacity : sizeof(info));
	return sizeof(info);
}

/* ---- units ------------------------------------------------------------------------------ */

static unsigned poll(struct iommu_unit *unit)
{
	unsigned faults = vtd_fault_poll(unit);

	vtd_page_requests_poll(vtd_unit_of(unit));
	return faults;
}

static void unit_remove(struct iommu_unit *unit)
{
	vtd_unit_free(vtd_unit_of(unit));
}

static const struct iommu_unit_ops vtd_unit_ops = {
	.enable = vtd_unit_enable,
	.disable = vtd_unit_disable,
	.remove = unit_remove,
	.claims = claims,
	.device_add = device_add,
	.device_remove = device_remove,
	.domain_alloc_user = vtd_domain_alloc_user,
	.domain_alloc_identity = vtd_domain_alloc_identity,
	.attach = vtd_attach,
	.page_respond = vtd_page_respond,
	.hw_info = hw_info,
	.can_track_dirty = vtd_can_track_dirty,
	.poll = poll,
	.walk = vtd_walk,
	.describe = vtd_describe,
	.describe_stats = vtd_describe_stats,
};

static void report_finding(void *ctx, const struct vtd_dmar_finding *finding)
{
	const struct iommu_os *os = ctx;

	iommu_log(os, finding->is_defect ? IOMMU_LOG_WARNING : IOMMU_LOG_DEBUG,
	          "DMAR, offset %#x: %s", finding->offset, finding->text);
}

static int probe(struct iommu *iommu, const struct iommu_firmware *firmware)
{
	const struct iommu_os *os = iommu_os(iommu);
	const struct vtd_dmar_options options = {.ctx = (void *)(uintptr_t)os,
	                                         .report = report_finding};
	struct iommu_unit *found = NULL, **last = &found;
	struct vtd_dmar_entry drhd;
	struct vtd_dmar dmar;
	uint32_t at = 0;
	unsigned number = 0;
	int count = 0, err;

	err = vtd_dmar_parse(firmware->table, firmware->bytes, &options, &dmar);
	if (err) {
		iommu_log(os, IOMMU_LOG_ERROR, "DMAR refused at offset %#x: %s", dmar.error_offset,
		          dmar.error);
		return err;
	}
	while (vtd_dmar_next(&dmar, VTD_DMAR_DRHD, &at, &drhd)) {
		struct vtd_unit *unit;
		/* Numbers follow the table, so that a unit that is left out leaves a gap. */
		unsigned mine = number++;
		if (!drhd.usable) {
			iommu_log(os, IOMMU_LOG_ERROR,
			          "vtd%u: DRHD at offset %#x: unit at %#llx left out", mine,
			          drhd.offset, (unsigned long long)drhd.base);
			continue;
		}
		err = vtd_unit_create(iommu, &dmar, &drhd, mine, &unit);
		if (err == -ENODEV)
			continue;
		if (err)
			goto fail;
		unit->base.iommu = iommu;
		unit->base.ops = &vtd_unit_ops;
		*last = &unit->base;
		last = &unit->base.next;
		count++;
	}
	while (found) {
		struct iommu_unit *unit = found;
		found = unit->next;
		unit->next = NULL;
		iommu_unit_add(iommu, unit);
	}
	return count;
fail:
	while (found) {
		struct iommu_unit *unit = found;
		found = unit->next;
		unit_remove(unit);
	}
	return err;
}

const struct iommu_driver vtd_driver = {.name = "vtd", .probe = probe};
