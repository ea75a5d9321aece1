/* SPDX-License-Identifier: MIT */
/*
 * Groups: devices that cannot be told apart have one owner and one translation. See
 * iommu/iommu.h.
 *
 * A device's translation changes in one place, device_switch(), which also counts
 * attachments; those of its PASIDs, which are no matter of the group's, change in pasid.c.
 * A group's devices have the group's domain, all of them; only while iommu_attach() is
 * under way, with iommu->lock held, they differ.
 */
#include "iommu/private.h"

static const char *error_text(int error)
{
	const char *name = iommu_errno_name(error);

	return name ? name : "unknown error";
}

int iommu_domain_suits(const struct iommu_device *device, const struct iommu_domain *domain)
{
	const struct iommu_os *os = device->iommu->os;

	if (!device->unit) {
		iommu_log(os, IOMMU_LOG_ERROR, "%s: not attached: no IOMMU translates for it",
		          device->desc.name);
		return -ENODEV;
	}
	if (domain->iommu != device->iommu || domain->unit->ops != device->unit->ops) {
		iommu_log(os, IOMMU_LOG_ERROR,
		          "%s: not attached: the domain was made for %s, the device is behind %s",
		          device->desc.name, domain->unit->name, device->unit->name);
		return -EINVAL;
	}
	return 0;
}

/** May @p domain (not NULL) translate for the requests of @p device that carry no PASID? 0,
 *  -ENODEV, -EINVAL. (Firmware's regions are for these only: it uses no PASIDs.) */
static int domain_fits(const struct iommu_device *device, const struct iommu_domain *domain)
{
	const struct iommu_os *os = device->iommu->os;
	int error = iommu_domain_suits(device, domain);

	if (error)
		return error;
	if (domain->stage == IOMMU_STAGE_IDENTITY)
		return 0;
	for (const struct iommu_reserved *region = device->reserved; region;
	     region = region->next) {
		if (region->kind != IOMMU_RESERVED_DIRECT)
			continue;
		iommu_log(os, IOMMU_LOG_ERROR,
		          "%s: not attached: firmware needs [%#llx, %#llx] mapped one to one for "
		          "this device, always",
		          device->desc.name, (unsigned long long)region->first.value,
		          (unsigned long long)region->last.value);
		return -EINVAL;
	}
	return 0;
}

/** Give a device the translation of @p domain; NULL is blocked, and does not fail. */
static int device_switch(struct iommu_device *device, struct iommu_domain *domain)
{
	struct iommu_domain *old = device->domain;

	if (old == domain)
		return 0;
	if (device->unit) {
		int error = device->unit->ops->attach(device, IOMMU_NO_PASID, domain, old);
		if (error && domain)
			return error;
		if (error)
			iommu_log(device->iommu->os, IOMMU_LOG_ERROR, "%s: %s: not blocked: %s",
			          device->unit->name, device->desc.name, error_text(error));
	}
	device->domain = domain;
	if (domain)
		domain->attachments++;
	if (old)
		old->attachments--;
	return 0;
}

/** Back to what a device had, after a failure elsewhere. */
static void device_switch_back(struct iommu_device *device, struct iommu_domain *old)
{
	int error = device_switch(device, old);

	if (!error)
		return;
	iommu_log(device->iommu->os, IOMMU_LOG_ERROR,
	          "%s: its former domain cannot be attached again (%s): blocked", device->desc.name,
	          error_text(error));
	error = device_switch(device, NULL);
	(void)error; /* blocking does not fail */
}

static int group_attach(struct iommu_group *group, struct iommu_domain *domain)
{
	struct iommu_domain *old = group->domain;
	struct iommu_device *device, *failed = NULL;
	int error = 0;

	for (device = group->devices; device; device = device->next_in_group) {
		error = domain_fits(device, domain);
		if (error)
			return error;
	}
	for (device = group->devices; device; device = device->next_in_group) {
		error = device_switch(device, domain);
		if (error) {
			failed = device;
			break;
		}
	}
	if (!error) {
		group->domain = domain;
		return 0;
	}
	for (device = group->devices; device != failed; device = device->next_in_group)
		device_switch_back(device, old);
	return error;
}

static void group_block(struct iommu_group *group)
{
	for (struct iommu_device *device = group->devices; device; device = device->next_in_group) {
		int error = device_switch(device, NULL);
		(void)error; /* blocking does not fail */
	}
	group->domain = NULL;
}

int iommu_attach(struct iommu_group *group, struct iommu_domain *domain)
{
	struct iommu *iommu = group->iommu;

	iommu_lock(iommu);
	int error = group_attach(group, domain);
	iommu_unlock(iommu);
	return error;
}

void iommu_detach(struct iommu_group *group)
{
	struct iommu *iommu = group->iommu;

	iommu_lock(iommu);
	group_block(group);
	iommu_unlock(iommu);
}

int iommu_group_claim(struct iommu_group *group, const void *owner)
{
	struct iommu *iommu = group->iommu;
	int error = 0;

	iommu_lock(iommu);
	if (group->owner_count && group->owner != owner) {
		error = -EBUSY;
	} else {
		group->owner = owner;
		group->owner_count++;
	}
	iommu_unlock(iommu);
	return error;
}

void iommu_group_release(struct iommu_group *group, const void *owner)
{
	struct iommu *iommu = group->iommu;

	iommu_lock(iommu);
	if (!group->owner_count || group->owner != owner) {
		iommu_log(iommu->os, IOMMU_LOG_ERROR,
		          "group %u: released by somebody who does not own it", group->id);
	} else if (--group->owner_count == 0) {
		for (struct iommu_device *device = group->devices; device;
		     device = device->next_in_group)
			iommu_pasids_block(device);
		group_block(group);
		group->owner = NULL;
	}
	iommu_unlock(iommu);
}

int iommu_group_join(struct iommu_device *device)
{
	struct iommu *iommu = device->iommu;
	const struct iommu_os *os = iommu->os;
	struct iommu_group **group_end = &iommu->groups;

	while (*group_end && (*group_end)->id != device->desc.group)
		group_end = &(*group_end)->next;
	struct iommu_group *group = *group_end;
	if (!group) {
		group = os->alloc(os->ctx, sizeof(*group));
		if (!group)
			return -ENOMEM;
		group->iommu = iommu;
		group->id = device->desc.group;
		*group_end = group;
	} else if (group->devices && group->devices->pasids) {
		iommu_log(os, IOMMU_LOG_ERROR,
		          "%s: does not join group %u: %s is alone there and uses PASIDs",
		          device->desc.name, group->id, group->devices->desc.name);
		return -EBUSY;
	} else if (group->domain) {
		/* the group is in use: who joins gets what the others have */
		int error = domain_fits(device, group->domain);
		if (!error)
			error = device_switch(device, group->domain);
		if (error)
			return error;
	}
	struct iommu_device **end = &group->devices;
	while (*end)
		end = &(*end)->next_in_group;
	*end = device;
	device->group = group;
	return 0;
}

void iommu_group_leave(struct iommu_device *device)
{
	struct iommu *iommu = device->iommu;
	struct iommu_group *group = device->group;
	struct iommu_device **link = &group->devices;

	iommu_pasids_block(device);
	int error = device_switch(device, NULL);

	(void)error; /* blocking does not fail */
	while (*link != device)
		link = &(*link)->next_in_group;
	*link = device->next_in_group;
	device->next_in_group = NULL;
	device->group = NULL;
	if (group->devices)
		return;
	struct iommu_group **group_link = &iommu->groups;
	while (*group_link != group)
		group_link = &(*group_link)->next;
	*group_link = group->next;
	iommu->os->free(iommu->os->ctx, group, sizeof(*group));
}
