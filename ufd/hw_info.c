/* SPDX-License-Identifier: MIT */
/*
 * GET_HW_INFO: what hardware stands behind a device, as its driver tells it, and what it
 * can do for the device.
 */
#include "ufd/private.h"

#include "iommu/string.h"

/** Hardware information of any driver fits in here. */
enum { HW_INFO_MAX = 256 };

/** What is told of a device. */
struct told {
	uint32_t type, bytes;  /* both are 0 if the driver has nothing to say */
	uint64_t capabilities; /* IOMMU_HW_CAP_... */
	uint64_t info[HW_INFO_MAX / sizeof(uint64_t)];
};

/** Ask the driver, with the lock of all, under which devices come and go. */
static int ask(struct iommu_device *device, struct told *out)
{
	struct iommu *iommu = device->iommu;
	int result = 0;

	out->type = IOMMU_HW_INFO_TYPE_NONE;
	out->capabilities = 0;
	iommu->os->lock(iommu->os->ctx, &iommu->lock);
	if (device->unit) {
		const struct iommu_unit_ops *ops = device->unit->ops;
		if (ops->hw_info)
			result = ops->hw_info(device, &out->type, out->info, HW_INFO_MAX);
		if (ops->can_track_dirty && ops->can_track_dirty(device))
			out->capabilities |= IOMMU_HW_CAP_DIRTY_TRACKING;
	}
	iommu->os->unlock(iommu->os->ctx, &iommu->lock);
	if (result > HW_INFO_MAX) {
		iommu_log(iommu->os, IOMMU_LOG_ERROR,
		          "ufd: device %s: hardware information of %d bytes, at most %d",
		          device->desc.name, result, HW_INFO_MAX);
		return -EIO;
	}
	out->bytes = result < 0 ? 0 : (uint32_t)result;
	if (device->pasid_bits && device->desc.pasid_exec)
		out->capabilities |= IOMMU_HW_CAP_PCI_PASID_EXEC;
	if (device->pasid_bits && device->desc.pasid_priv)
		out->capabilities |= IOMMU_HW_CAP_PCI_PASID_PRIV;
	if (!device->desc.ats_queue_depth)
		out->capabilities |= IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	return result < 0 ? result : 0;
}

/** Give the caller, who has @p room bytes, what the driver told, and zeros behind it. */
static int answer_info(const struct ufd *ufd, struct told *told, uint64_t user, uint32_t room)
{
	uint32_t now = room < HW_INFO_MAX ? room : HW_INFO_MAX;

	if (now > told->bytes)
		memset((uint8_t *)told->info + told->bytes, 0, now - told->bytes);
	int error = now ? ufd_copy_out(ufd, user, told->info, now) : 0;
	if (!error && room > now)
		error = user + now < user ? -EFAULT : ufd_zero_out(ufd, user + now, room - now);
	return error;
}

int ufd_call_get_hw_info(struct ufd_call *call)
{
	struct iommu_hw_info *arguments = call->arguments;
	const uint32_t room = arguments->data_len;
	uint32_t wanted = arguments->in_data_type;
	struct told told;
	struct ufd_device *device = NULL;

	if ((arguments->flags & ~(uint32_t)IOMMU_HW_INFO_FLAG_INPUT_TYPE) ||
	    arguments->__reserved[0] || arguments->__reserved[1] || arguments->__reserved[2])
		return -EOPNOTSUPP;
	if (!(arguments->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE))
		wanted = IOMMU_HW_INFO_TYPE_DEFAULT;
	int error = ufd_object_hold(call->context, arguments->dev_id, UFD_DEVICE, &device);
	if (error)
		return error;
	error = ask(device->device, &told);
	if (!error && wanted != IOMMU_HW_INFO_TYPE_DEFAULT && wanted != told.type)
		error = ufd_refuse(call->ufd, -EOPNOTSUPP,
		                   "GET_HW_INFO: type %#x wanted, the device's is %#x", wanted,
		                   told.type);
	if (!error)
		error = answer_info(call->ufd, &told, arguments->data_uptr, room);
	if (!error) {
		arguments->data_len = told.bytes;
		arguments->out_data_type = told.type;
		arguments->out_max_pasid_log2 = device->device->pasid_bits;
		arguments->out_capabilities = told.capabilities;
		error = ufd_respond(call);
	}
	ufd_object_release(&device->object);
	return error;
}
