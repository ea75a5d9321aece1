/* SPDX-License-Identifier: MIT */
/*
 * Translations of single PASIDs of a device: see iommu/iommu.h.
 *
 * A device's list holds the PASIDs that have a domain, and no others. iommu->lock guards
 * it. Devices of one group cannot be kept apart, so only a device that is alone in its
 * group gets translations of its own in this way.
 */
#include "iommu/private.h"

static struct iommu_pasid *pasid_find(const struct iommu_device *device, uint32_t pasid)
{
	struct iommu_pasid *at = device->pasids;

	while (at && at->pasid != pasid)
		at = at->next;
	return at;
}

static void pasid_drop(struct iommu_device *device, struct iommu_pasid *entry)
{
	const struct iommu_os *os = device->iommu->os;
	struct iommu_pasid **link = &device->pasids;

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	os->free(os->ctx, entry, sizeof(*entry));
}

/** Can @p device have translations for @p pasid at all? 0, -EOPNOTSUPP, -EINVAL. */
static int pasid_fits(const struct iommu_device *device, uint32_t pasid)
{
	const struct iommu_os *os = device->iommu->os;

	if (!device->pasid_bits) {
		iommu_log(os, IOMMU_LOG_ERROR,
		          "%s: PASID %#x not attached: the device or its IOMMU has no PASIDs",
		          device->desc.name, pasid);
		return -EOPNOTSUPP;
	}
	if (pasid == IOMMU_NO_PASID || pasid >> device->pasid_bits) {
		iommu_log(os, IOMMU_LOG_ERROR,
		          "%s: PASID %#x not attached: the device's PASIDs are 0x1 to %#x",
		          device->desc.name, pasid, (1u << device->pasid_bits) - 1);
		return -EINVAL;
	}
	if (device->group->devices != device || device->next_in_group) {
		iommu_log(os, IOMMU_LOG_ERROR,
		          "%s: PASID %#x not attached: group %u has further devices",
		          device->desc.name, pasid, device->group->id);
		return -EINVAL;
	}
	return 0;
}

static int pasid_attach(struct iommu_device *device, uint32_t pasid, struct iommu_domain *domain)
{
	const struct iommu_os *os = device->iommu->os;
	int error = pasid_fits(device, pasid);

	if (!error)
		error = iommu_domain_suits(device, domain);
	if (error)
		return error;
	struct iommu_pasid *entry = pasid_find(device, pasid);
	struct iommu_domain *old = entry ? entry->domain : NULL;
	if (old == domain)
		return 0;
	if (!entry) {
		entry = os->alloc(os->ctx, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		entry->pasid = pasid;
	}
	error = device->unit->ops->attach(device, pasid, domain, old);
	if (error) {
		if (!old)
			os->free(os->ctx, entry, sizeof(*entry));
		return error;
	}
	entry->domain = domain;
	domain->attachments++;
	if (old) {
		old->attachments--;
	} else {
		entry->next = device->pasids;
		device->pasids = entry;
	}
	return 0;
}

/** Block one PASID that has a domain; does not fail. */
static void pasid_block(struct iommu_device *device, struct iommu_pasid *entry)
{
	int error = device->unit->ops->attach(device, entry->pasid, NULL, entry->domain);

	if (error)
		iommu_log(device->iommu->os, IOMMU_LOG_ERROR, "%s: %s: PASID %#x not blocked: %s",
		          device->unit->name, device->desc.name, entry->pasid,
		          iommu_errno_name(error) ? iommu_errno_name(error) : "unknown error");
	entry->domain->attachments--;
	pasid_drop(device, entry);
}

void iommu_pasids_block(struct iommu_device *device)
{
	while (device->pasids)
		pasid_block(device, device->pasids);
}

int iommu_attach_pasid(struct iommu_device *device, uint32_t pasid, struct iommu_domain *domain)
{
	iommu_lock(device->iommu);
	int error = pasid_attach(device, pasid, domain);
	iommu_unlock(device->iommu);
	return error;
}

void iommu_detach_pasid(struct iommu_device *device, uint32_t pasid)
{
	iommu_lock(device->iommu);
	struct iommu_pasid *entry = pasid_find(device, pasid);
	if (entry)
		pasid_block(device, entry);
	iommu_unlock(device->iommu);
}

struct iommu_domain *iommu_pasid_domain(const struct iommu_device *device, uint32_t pasid)
{
	if (pasid == IOMMU_NO_PASID)
		return device->domain;
	const struct iommu_pasid *entry = pasid_find(device, pasid);
	return entry ? entry->domain : NULL;
}
