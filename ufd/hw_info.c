/* SPDX-License-Identifier: MIT */
/*
 * GET_HW_INFO: what hardware stands behind a device, as its driver tells it, and what it
 * can do for the device.
 */
#include "ufd/private.h"

/** Hardware information of any driver fits in here. */
enum { HW_INFO_MAX = 256 };

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

/** IOMMU_HW_CAP_... of @p device. */
static uint64_t capabilities(struct iommu_device *device)
{
	struct iommu *iommu = device->iommu;
	const struct iommu_unit_ops *ops = device->unit->ops;
	uint64_t out = 0;

	iommu->os->lock(iommu->os->ctx, &iommu->lock);
	if (ops->can_track_dirty && ops->can_track_dirty(device))
		out |= IOMMU_HW_CAP_DIRTY_TRACKING;
	iommu->os->unlock(iommu->os->ctx, &iommu->lock);
	if (device->pasid_bits && device->desc.pasid_exec)
		out |= IOMMU_HW_CAP_PCI_PASID_EXEC;
	if (device->pasid_bits && device->desc.pasid_priv)
		out |= IOMMU_HW_CAP_PCI_PASID_PRIV;
	if (!device->desc.ats_queue_depth)
		out |= IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	return out;
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
		arguments->out_max_pasid_log2 = device->device->pasid_bits;
		arguments->out_capabilities = capabilities(device->device);
		error = ufd_respond(call);
	}
	ufd_object_release(&device->object);
	return error;
}
