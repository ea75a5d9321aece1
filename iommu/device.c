/* SPDX-License-Identifier: MIT */
/*
 * Devices: which unit translates for them, and the addresses that are reserved for
 * them. See iommu/iommu.h.
 */
#include "iommu/private.h"

/* Messages of devices to processors go here and are never translated: Intel SDM
 * volume 3, 11.11.1; VT-d specification 3.14. */
#define MSI_FIRST UINT64_C(0xfee00000)
#define MSI_LAST  UINT64_C(0xfeefffff)

int iommu_device_reserve(struct iommu_device *device, iova_t first, iova_t last,
                         enum iommu_reserved_kind kind)
{
	const struct iommu_os *os = device->iommu->os;
	struct iommu_reserved **end = &device->reserved;

	if (last.value < first.value)
		return -EINVAL;
	struct iommu_reserved *reserved = os->alloc(os->ctx, sizeof(*reserved));
	if (!reserved)
		return -ENOMEM;
	*reserved = (struct iommu_reserved){.first = first, .last = last, .kind = kind};
	while (*end)
		end = &(*end)->next;
	*end = reserved;
	return 0;
}

static void device_free(struct iommu_device *device)
{
	const struct iommu_os *os = device->iommu->os;

	while (device->reserved) {
		struct iommu_reserved *reserved = device->reserved;
		device->reserved = reserved->next;
		os->free(os->ctx, reserved, sizeof(*reserved));
	}
	os->free(os->ctx, device, sizeof(*device));
}

/** The unit that names the device; else the first that takes what others leave. */
static struct iommu_unit *unit_of(struct iommu *iommu, const struct iommu_device_desc *desc)
{
	struct iommu_unit *rest = NULL;

	for (struct iommu_unit *unit = iommu->units; unit; unit = unit->next) {
		enum iommu_claim claim = unit->ops->claims(unit, desc);
		if (claim == IOMMU_CLAIM_EXPLICIT)
			return unit;
		if (claim == IOMMU_CLAIM_REST && !rest)
			rest = unit;
	}
	return rest;
}

struct iommu_device *iommu_device_find_locked(struct iommu *iommu, uint16_t segment,
                                              iommu_rid_t rid)
{
	struct iommu_device *alias = NULL;

	for (struct iommu_device *device = iommu->devices; device; device = device->next) {
		if (device->desc.segment != segment)
			continue;
		if (device->desc.rid == rid)
			return device;
		for (unsigned i = 0; i < device->desc.alias_count && !alias; i++)
			if (device->desc.aliases[i] == rid)
				alias = device;
	}
	return alias;
}

struct iommu_device *iommu_device_find(struct iommu *iommu, uint16_t segment, iommu_rid_t rid)
{
	iommu_fault_lock(iommu);
	struct iommu_device *device = iommu_device_find_locked(iommu, segment, rid);
	iommu_fault_unlock(iommu);
	return device;
}

/** The driver's part and the group's part of iommu_device_add(). */
static int device_join(struct iommu_device *device)
{
	struct iommu_unit *unit = device->unit;
	int error =
		iommu_device_reserve(device, iova(MSI_FIRST), iova(MSI_LAST), IOMMU_RESERVED_MSI);

	if (error)
		return error;
	if (unit) {
		error = unit->ops->device_add(unit, device);
		if (error)
			return error;
	}
	error = iommu_group_join(device);
	if (error && unit)
		unit->ops->device_remove(unit, device);
	return error;
}

static int device_add_locked(struct iommu *iommu, const struct iommu_device_desc *desc,
                             struct iommu_device **out)
{
	const struct iommu_os *os = iommu->os;
	struct iommu_device *known = iommu_device_find_locked(iommu, desc->segment, desc->rid);

	if (known && known->desc.rid == desc->rid)
		return -EEXIST;
	struct iommu_device *device = os->alloc(os->ctx, sizeof(*device));
	if (!device)
		return -ENOMEM;
	device->iommu = iommu;
	device->desc = *desc;
	device->unit = unit_of(iommu, desc);
	int error = device_join(device);
	if (error) {
		device_free(device);
		return error;
	}
	struct iommu_device **end = &iommu->devices;
	while (*end)
		end = &(*end)->next;
	iommu_fault_lock(iommu);
	*end = device;
	iommu_fault_unlock(iommu);
	*out = device;
	return 0;
}

static bool name_ends(const struct iommu_device_desc *desc)
{
	for (size_t i = 0; i < sizeof(desc->name); i++)
		if (!desc->name[i])
			return true;
	return false;
}

int iommu_device_add(struct iommu *iommu, const struct iommu_device_desc *desc,
                     struct iommu_device **out)
{
	if (desc->hop_count > IOMMU_MAX_HOPS || desc->alias_count > IOMMU_MAX_ALIASES ||
	    desc->ats_queue_depth > 32 || !name_ends(desc))
		return -EINVAL;
	iommu_lock(iommu);
	int error = device_add_locked(iommu, desc, out);
	iommu_unlock(iommu);
	return error;
}

void iommu_device_drop(struct iommu_device *device)
{
	struct iommu *iommu = device->iommu;
	struct iommu_device **link = &iommu->devices;

	iommu_group_leave(device);
	if (device->unit)
		device->unit->ops->device_remove(device->unit, device);
	while (*link != device)
		link = &(*link)->next;
	iommu_fault_lock(iommu);
	*link = device->next;
	iommu_fault_forget(iommu, device);
	iommu_fault_unlock(iommu);
	device_free(device);
}

void iommu_device_remove(struct iommu_device *device)
{
	struct iommu *iommu = device->iommu;

	iommu_lock(iommu);
	iommu_device_drop(device);
	iommu_unlock(iommu);
}
