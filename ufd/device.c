/* SPDX-License-Identifier: MIT */
/*
 * Devices as objects: bind, attach, replace, detach. (PASIDs: ufd/pasid.c)
 *
 * Devices that cannot be told apart have one translation, so attachments are kept
 * by group: the first attach of a group gives it a HWPT, the next must name the
 * same one, a replace moves all of them, and the last detach blocks the group.
 * What any device of the group cannot use is reserved in the IOAS as long as the
 * group is attached to it.
 *
 * Attaching to an IOAS uses a HWPT of it that was made this way before, if one fits
 * the device, or makes one. Such an automatic HWPT dies with its last user.
 */
#include "ufd/private.h"

static void lock_devices(struct ufd_context *context)
{
	ufd_lock(context->file.ufd, &context->device_lock);
}

static void unlock_devices(struct ufd_context *context)
{
	ufd_unlock(context->file.ufd, &context->device_lock);
}

/* ---- binding --------------------------------------------------------------------------- */

static bool is_bound(const struct ufd_context *context, const struct iommu_device *device)
{
	for (uint32_t at = 1; at <= context->capacity; at++) {
		const struct ufd_object *object = ufd_object_at(context, at);
		if (object && object->kind == UFD_DEVICE &&
		    ((const struct ufd_device *)object)->device == device)
			return true;
	}
	return false;
}

/** The group of @p device in @p context, made if it is new, counted as bound once more. */
static int group_get(struct ufd_context *context, struct iommu_group *group, struct ufd_group **out)
{
	struct ufd_group *found = context->groups;

	while (found && found->group != group)
		found = found->next;
	if (!found) {
		found = ufd_alloc(context->file.ufd, sizeof(*found));
		if (!found)
			return -ENOMEM;
		found->group = group;
		found->next = context->groups;
		context->groups = found;
	}
	found->bound++;
	*out = found;
	return 0;
}

static void group_put(struct ufd_context *context, struct ufd_group *group)
{
	struct ufd_group **link = &context->groups;

	if (--group->bound)
		return;
	while (*link != group)
		link = &(*link)->next;
	*link = group->next;
	ufd_free(context->file.ufd, group, sizeof(*group));
}

int ufd_device_bind(struct ufd_context *context, struct iommu_device *device,
                    struct ufd_device **out)
{
	const struct ufd *ufd = context->file.ufd;
	struct ufd_device *bound = NULL;

	if (!device->unit)
		return ufd_refuse(ufd, -ENODEV, "device %s has no IOMMU", device->desc.name);
	lock_devices(context);
	ufd_lock(ufd, &context->table_lock);
	int error = is_bound(context, device) ? -EINVAL : 0;
	ufd_unlock(ufd, &context->table_lock);
	if (!error)
		error = ufd_object_new(context, UFD_DEVICE, sizeof(*bound), &bound);
	if (!error) {
		error = group_get(context, device->group, &bound->group);
		if (!error) {
			error = iommu_group_claim(device->group, context);
			if (error)
				group_put(context, bound->group);
		}
		if (error)
			ufd_object_free(&bound->object, sizeof(*bound));
	}
	if (!error) {
		bound->device = device;
		bound->object.users = 1;
		*out = bound;
	}
	unlock_devices(context);
	return error;
}

/* ---- attaching ---------------------------------------------------------------------------- */

/** Give the group the translation of @p hwpt in place of what it has. On failure it
 *  keeps that. */
static int group_set(struct ufd_group *group, struct ufd_hwpt *hwpt)
{
	struct ufd_ioas *old = group->hwpt ? group->hwpt->ioas : NULL;
	int error = 0;

	if (hwpt->ioas != old)
		error = ufd_ioas_reserve(hwpt->ioas, group->group, group);
	if (error)
		return error;
	error = iommu_attach(group->group, hwpt->domain);
	if (error && hwpt->ioas != old)
		ufd_ioas_unreserve(hwpt->ioas, group);
	if (!error && old && hwpt->ioas != old)
		ufd_ioas_unreserve(old, group);
	return error;
}

/** Answer what the devices of @p group asked while they had @p hwpt. */
static void group_sweep(const struct ufd_group *group, const struct ufd_hwpt *hwpt)
{
	for (const struct iommu_device *device = group->group->devices; device && hwpt->queue;
	     device = device->next_in_group)
		ufd_fault_queue_sweep(hwpt, device, IOMMU_NO_PASID);
}

struct ufd_hwpt *ufd_hwpt_drop(struct ufd_hwpt *hwpt, uint32_t users)
{
	if (!hwpt->automatic) {
		ufd_object_unuse(&hwpt->object, users);
		return NULL;
	}
	return ufd_object_unuse_hold(&hwpt->object, users) ? hwpt : NULL;
}

void ufd_hwpt_end(struct ufd_hwpt *hwpt)
{
	/* -EBUSY: another attach has taken it over, and will see to its end */
	if (hwpt && ufd_object_destroy(&hwpt->object) == -ENOENT)
		return;
}

/** Attach @p device to @p hwpt, or move its group there. The id is written to @p user
 *  first, for that may fail. *idle: see ufd_hwpt_drop(). */
static int attach_hwpt(struct ufd_device *device, struct ufd_hwpt *hwpt, uint64_t user,
                       struct ufd_hwpt **idle)
{
	struct ufd_group *group = device->group;
	struct ufd_hwpt *old = group->hwpt;

	if (!device->attached && group->attached && old != hwpt)
		return -EINVAL; /* it would move its neighbours */
	if (device->pasids && old != hwpt && !hwpt->pasid_compatible)
		return ufd_refuse(hwpt->object.context->file.ufd, -EINVAL,
		                  "HWPT %u was not allocated with ALLOC_PASID, and PASIDs of the "
		                  "device are attached",
		                  hwpt->object.id);
	int error = old == hwpt ? 0 : ufd_device_can_ask(device, hwpt);
	if (error)
		return error;
	error = ufd_copy_out(hwpt->object.context->file.ufd, user, &hwpt->object.id,
	                     sizeof(hwpt->object.id));
	if (!error && old != hwpt)
		error = group_set(group, hwpt);
	if (error)
		return error;
	if (old && old != hwpt) {
		group_sweep(group, old);
		*idle = ufd_hwpt_drop(old, group->attached);
	}
	ufd_object_use(&hwpt->object,
	               (old != hwpt ? group->attached : 0) + (device->attached ? 0 : 1));
	group->attached += !device->attached;
	group->hwpt = hwpt;
	device->attached = true;
	return 0;
}

/** Attach to the first automatic HWPT of @p ioas that fits the device, or a new one. */
static int attach_ioas(struct ufd_device *device, struct ufd_ioas *ioas, uint64_t user,
                       struct ufd_hwpt **idle)
{
	struct ufd_hwpt *hwpt = ioas->hwpts;
	int error;

	for (; hwpt; hwpt = hwpt->next) {
		if (!hwpt->automatic || !ufd_object_try_hold(&hwpt->object))
			continue;
		error = attach_hwpt(device, hwpt, user, idle);
		ufd_object_release(&hwpt->object);
		if (error == -EINVAL) /* made for hardware that is different */
			continue;
		return error;
	}
	error = ufd_hwpt_new(ioas, device->device, 0, NULL, &hwpt);
	if (error)
		return error;
	hwpt->automatic = true;
	error = attach_hwpt(device, hwpt, user, idle);
	if (error) {
		ufd_hwpt_free(hwpt);
		return error;
	}
	ufd_object_publish(&hwpt->object);
	return 0;
}

int ufd_device_attach(struct ufd_device *device, uint32_t pt_id, uint64_t user)
{
	struct ufd_context *context = device->object.context;
	struct ufd_hwpt *idle = NULL;
	struct ufd_object *target = NULL;

	int error = ufd_object_hold(context, pt_id, UFD_NONE, &target);
	if (error)
		return error;
	lock_devices(context);
	switch (target->kind) {
	case UFD_HWPT_PAGING:
	case UFD_HWPT_NESTED:
		error = attach_hwpt(device, container_of(target, struct ufd_hwpt, object), user,
		                    &idle);
		break;
	case UFD_IOAS:
		error = attach_ioas(device, container_of(target, struct ufd_ioas, object), user,
		                    &idle);
		break;
	default:
		error = ufd_refuse(context->file.ufd, -EINVAL,
		                   "attach: object %u is neither an IOAS nor a HWPT", pt_id);
	}
	unlock_devices(context);
	ufd_object_release(target);
	ufd_hwpt_end(idle);
	return error;
}

void ufd_device_detach(struct ufd_device *device)
{
	struct ufd_context *context = device->object.context;
	struct ufd_group *group = device->group;
	struct ufd_hwpt *idle = NULL;

	lock_devices(context);
	if (device->attached) {
		struct ufd_hwpt *hwpt = group->hwpt;
		device->attached = false;
		if (--group->attached == 0) {
			iommu_detach(group->group);
			ufd_ioas_unreserve(hwpt->ioas, group);
			group->hwpt = NULL;
			group_sweep(group, hwpt);
		}
		idle = ufd_hwpt_drop(hwpt, 1);
	}
	unlock_devices(context);
	ufd_hwpt_end(idle);
}

bool ufd_device_unbind(struct ufd_device *device)
{
	struct ufd_context *context = device->object.context;
	struct iommu_group *group = device->group->group;

	ufd_device_detach_all_pasids(device);
	ufd_device_detach(device);
	ufd_vdevice_bury(device);
	lock_devices(context);
	iommu_group_release(group, context);
	group_put(context, device->group);
	unlock_devices(context);

	if (!device->object.published) { /* never seen by anybody else */
		ufd_object_free(&device->object, sizeof(*device));
		return true;
	}
	/* a call that names the device may still run; it has a deadline, as has this */
	bool gone =
		ufd_object_unuse_hold(&device->object, 1) && !ufd_object_destroy(&device->object);
	if (!gone)
		iommu_log(context->file.ufd->os, IOMMU_LOG_ERROR,
		          "ufd: device %s: its object %u stays until /dev/iommu is closed",
		          device->device->desc.name, device->object.id);
	return gone;
}
