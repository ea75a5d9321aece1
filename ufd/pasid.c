/* SPDX-License-Identifier: MIT */
/*
 * Attaching a HWPT to one PASID of a device: attach, which is also replace, and detach.
 *
 * What a device has without PASID and what its PASIDs have live side by side, if all of
 * it was made for that (IOMMU_HWPT_ALLOC_PASID): the driver may need one format for all.
 * HWPTs that an attach makes of an IOAS are not, so a PASID takes HWPTs only.
 *
 * What the device reserves stays out of the IOAS through the attachment without PASID
 * alone, as in Linux.
 */
#include "ufd/private.h"

static struct ufd_pasid **find(struct ufd_device *device, uint32_t pasid)
{
	struct ufd_pasid **link = &device->pasids;

	while (*link && (*link)->pasid != pasid)
		link = &(*link)->next;
	return link;
}

int ufd_device_can_ask(const struct ufd_device *device, const struct ufd_hwpt *hwpt)
{
	if (!hwpt->queue || device->device->page_requests)
		return 0;
	return ufd_refuse(hwpt->object.context->file.ufd, -ENODEV,
	                  "HWPT %u has a fault queue, device %s has no page requests",
	                  hwpt->object.id, device->device->desc.name);
}

/** May this PASID have @p hwpt? */
static int check(const struct ufd_device *device, const struct ufd_hwpt *hwpt)
{
	const struct ufd *ufd = hwpt->object.context->file.ufd;
	const struct ufd_hwpt *plain = device->group->hwpt;

	if (!hwpt->pasid_compatible)
		return ufd_refuse(ufd, -EINVAL, "HWPT %u was not allocated with ALLOC_PASID",
		                  hwpt->object.id);
	if (plain && !plain->pasid_compatible)
		return ufd_refuse(ufd, -EINVAL,
		                  "the device has HWPT %u without PASID, and that was not "
		                  "allocated with ALLOC_PASID",
		                  plain->object.id);
	return ufd_device_can_ask(device, hwpt);
}

/** Attach or replace; *idle as in ufd_hwpt_drop(). device_lock is held. */
static int attach(struct ufd_device *device, uint32_t pasid, struct ufd_hwpt *hwpt, uint64_t user,
                  struct ufd_hwpt **idle)
{
	const struct ufd *ufd = hwpt->object.context->file.ufd;
	struct ufd_pasid **link = find(device, pasid), *entry = *link;
	struct ufd_hwpt *old = entry ? entry->hwpt : NULL;

	int error = ufd_copy_out(ufd, user, &hwpt->object.id, sizeof(hwpt->object.id));
	if (error || old == hwpt)
		return error;
	error = check(device, hwpt);
	if (error)
		return error;
	if (!entry) {
		entry = ufd_alloc(ufd, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
	}
	error = iommu_attach_pasid(device->device, pasid, hwpt->domain);
	if (error) {
		if (!old)
			ufd_free(ufd, entry, sizeof(*entry));
		return error;
	}
	*entry = (struct ufd_pasid){.next = entry->next, .pasid = pasid, .hwpt = hwpt};
	*link = entry;
	ufd_object_use(&hwpt->object, 1);
	if (old) {
		ufd_fault_queue_sweep(old, device->device, pasid);
		*idle = ufd_hwpt_drop(old, 1);
	}
	return 0;
}

int ufd_device_attach_pasid(struct ufd_device *device, uint32_t pasid, uint32_t pt_id,
                            uint64_t user)
{
	struct ufd_context *context = device->object.context;
	struct ufd *ufd = context->file.ufd;
	struct ufd_object *target = NULL;
	struct ufd_hwpt *idle = NULL;

	if (pasid == IOMMU_NO_PASID)
		return ufd_refuse(ufd, -EINVAL, "attach: PASID 0 is what has no PASID");
	int error = ufd_object_hold(context, pt_id, UFD_NONE, &target);
	if (error)
		return error;
	if (target->kind == UFD_HWPT_PAGING || target->kind == UFD_HWPT_NESTED) {
		ufd_lock(ufd, &context->device_lock);
		error = attach(device, pasid, container_of(target, struct ufd_hwpt, object), user,
		               &idle);
		ufd_unlock(ufd, &context->device_lock);
	} else {
		error = ufd_refuse(ufd, -EINVAL,
		                   "attach to PASID %u: object %u is no HWPT with ALLOC_PASID",
		                   pasid, pt_id);
	}
	ufd_object_release(target);
	ufd_hwpt_end(idle);
	return error;
}

/** Detach the PASID that @p link points to. device_lock is held. */
static struct ufd_hwpt *detach(struct ufd_device *device, struct ufd_pasid **link)
{
	struct ufd_pasid *entry = *link;
	struct ufd_hwpt *hwpt = entry->hwpt;

	*link = entry->next;
	iommu_detach_pasid(device->device, entry->pasid);
	ufd_fault_queue_sweep(hwpt, device->device, entry->pasid);
	ufd_free(device->object.context->file.ufd, entry, sizeof(*entry));
	return ufd_hwpt_drop(hwpt, 1);
}

void ufd_device_detach_pasid(struct ufd_device *device, uint32_t pasid)
{
	struct ufd_context *context = device->object.context;
	struct ufd_hwpt *idle = NULL;

	ufd_lock(context->file.ufd, &context->device_lock);
	struct ufd_pasid **link = find(device, pasid);
	if (*link)
		idle = detach(device, link);
	ufd_unlock(context->file.ufd, &context->device_lock);
	ufd_hwpt_end(idle);
}

void ufd_device_detach_all_pasids(struct ufd_device *device)
{
	while (device->pasids)
		ufd_device_detach_pasid(device, device->pasids->pasid);
}
