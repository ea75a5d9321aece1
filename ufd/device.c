/* SPDX-License-Identifier: MIT */
/*
 * Devices as objects: bind, attach, replace, detach, hardware information.
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

#include "iommu/string.h"

/** Hardware information of any driver fits in here. */
enum { HW_INFO_MAX = 256 };

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
	for (uint32_t i = 0; i < context->capacity; i++) {
		const struct ufd_object *object = context->objects[i];
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

/** Drop @p users of @p hwpt. An automatic one without users is to be destroyed by the
 *  caller, once device_lock is released: it is returned with a hold. */
static struct ufd_hwpt *hwpt_drop(struct ufd_hwpt *hwpt, uint32_t users)
{
	if (!hwpt->automatic) {
		ufd_object_unuse(&hwpt->object, users);
		return NULL;
	}
	return ufd_object_unuse_hold(&hwpt->object, users) ? hwpt : NULL;
}

static void hwpt_end(struct ufd_hwpt *hwpt)
{
	/* -EBUSY: another attach has taken it over, and will see to its end */
	if (hwpt && ufd_object_destroy(&hwpt->object) == -ENOENT)
		return;
}

/** Attach @p device to @p hwpt, or move its group there. The id is written to @p user
 *  first, for that may fail. *idle: see hwpt_drop(). */
static int attach_hwpt(struct ufd_device *device, struct ufd_hwpt *hwpt, uint64_t user,
                       struct ufd_hwpt **idle)
{
	struct ufd_group *group = device->group;
	struct ufd_hwpt *old = group->hwpt;

	if (!device->attached && group->attached && old != hwpt)
		return -EINVAL; /* it would move its neighbours */
	int error = ufd_copy_out(hwpt->object.context->file.ufd, user, &hwpt->object.id,
	                         sizeof(hwpt->object.id));
	if (!error && old != hwpt)
		error = group_set(group, hwpt);
	if (error)
		return error;
	if (old && old != hwpt)
		*idle = hwpt_drop(old, group->attached);
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
	hwpt_end(idle);
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
		}
		idle = hwpt_drop(hwpt, 1);
	}
	unlock_devices(context);
	hwpt_end(idle);
}

void ufd_device_unbind(struct ufd_device *device)
{
	struct ufd_context *context = device->object.context;
	struct iommu_group *group = device->group->group;

	ufd_device_detach(device);
	lock_devices(context);
	iommu_group_release(group, context);
	group_put(context, device->group);
	unlock_devices(context);

	if (device->object.state == UFD_NEW) { /* never seen by anybody else */
		ufd_object_free(&device->object, sizeof(*device));
		return;
	}
	/* a call that names the device may still run; it has a deadline, as has this */
	if (ufd_object_unuse_hold(&device->object, 1) && ufd_object_destroy(&device->object))
		iommu_log(context->file.ufd->os, IOMMU_LOG_ERROR,
		          "ufd: device %s: its object %u stays until /dev/iommu is closed",
		          device->device->desc.name, device->object.id);
}

/* ---- hardware information ----------------------------------------------------------------- */

/** Ask the driver. *type and *bytes are 0 if it has nothing to say. */
static int hw_info(struct iommu_device *device, uint32_t *type, void *out, uint32_t *bytes)
{
	struct iommu *iommu = device->iommu;
	int result = 0;

	*type = IOMMU_HW_INFO_TYPE_NONE;
	if (device->unit && device->unit->ops->hw_info) {
		iommu->os->lock(iommu->os->ctx, &iommu->lock);
		result = device->unit->ops->hw_info(device, type, out, HW_INFO_MAX);
		iommu->os->unlock(iommu->os->ctx, &iommu->lock);
	}
	if (result > HW_INFO_MAX) {
		iommu_log(iommu->os, IOMMU_LOG_ERROR,
		          "ufd: device %s: hardware information of %d bytes, at most %d",
		          device->desc.name, result, HW_INFO_MAX);
		return -EIO;
	}
	*bytes = result < 0 ? 0 : (uint32_t)result;
	return result < 0 ? result : 0;
}

int ufd_call_get_hw_info(struct ufd_call *call)
{
	struct iommu_hw_info *arguments = call->arguments;
	uint64_t info[HW_INFO_MAX / sizeof(uint64_t)] = {0};
	uint64_t user = arguments->data_uptr;
	uint32_t room = arguments->data_len, type = 0, bytes = 0;
	uint32_t wanted = arguments->in_data_type;
	struct ufd_device *device = NULL;

	if ((arguments->flags & ~(uint32_t)IOMMU_HW_INFO_FLAG_INPUT_TYPE) ||
	    arguments->__reserved[0] || arguments->__reserved[1] || arguments->__reserved[2])
		return -EOPNOTSUPP;
	if (!(arguments->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE))
		wanted = IOMMU_HW_INFO_TYPE_DEFAULT;
	int error = ufd_object_hold(call->context, arguments->dev_id, UFD_DEVICE, &device);
	if (error)
		return error;
	error = hw_info(device->device, &type, info, &bytes);
	if (!error && wanted != IOMMU_HW_INFO_TYPE_DEFAULT && wanted != type)
		error = ufd_refuse(call->ufd, -EOPNOTSUPP,
		                   "GET_HW_INFO: type %#x wanted, the device's is %#x", wanted,
		                   type);
	if (!error) {
		uint32_t now = room < bytes ? room : bytes;
		if (now)
			error = ufd_copy_out(call->ufd, user, info, now);
		if (!error && room > now)
			error = user + now < user ? -EFAULT
			                          : ufd_zero_out(call->ufd, user + now, room - now);
	}
	if (!error) {
		arguments->data_len = bytes;
		arguments->out_data_type = type;
		arguments->out_max_pasid_log2 = 0;
		arguments->out_capabilities = 0;
		error = ufd_respond(call);
	}
	ufd_object_release(&device->object);
	return error;
}
