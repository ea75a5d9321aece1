/* SPDX-License-Identifier: MIT */
/*
 * HWPTs: a domain as an object. A paging HWPT belongs to an IOAS and has its
 * mappings; a nested one stands on a NEST_PARENT HWPT and holds a table that the
 * user owns. The driver decides the format, by domain_alloc_user. Either may have a
 * fault queue, to which the page requests of what is attached go.
 */
#include "ufd/private.h"

enum { USER_DATA_KNOWN = 256 }; /* stage-1 descriptions are a few words: beyond all is zero */

enum {
	NESTED_FLAGS = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID,
	ALL_FLAGS = NESTED_FLAGS | IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
};

int ufd_hwpt_new(struct ufd_ioas *ioas, struct iommu_device *device, uint32_t flags,
                 const struct iommu_user_data *data, struct ufd_hwpt **out)
{
	struct ufd_context *context = ioas->object.context;
	struct ufd_hwpt *hwpt = NULL;

	int error = ufd_object_new(context, UFD_HWPT_PAGING, sizeof(*hwpt), &hwpt);
	if (error)
		return error;
	hwpt->pasid_compatible = flags & IOMMU_HWPT_ALLOC_PASID;
	/* where page requests go is no matter of the driver's */
	flags &= ~(uint32_t)IOMMU_HWPT_FAULT_ID_VALID;
	error = iommu_domain_alloc_user(device, flags, NULL, data, &hwpt->domain);
	if (!error) {
		hwpt->ioas = ioas;
		error = ufd_ioas_add_hwpt(ioas, hwpt);
		if (error && iommu_domain_free(hwpt->domain))
			iommu_log(context->file.ufd->os, IOMMU_LOG_ERROR,
			          "ufd: a new domain that was never attached is busy");
	}
	if (error) {
		ufd_object_free(&hwpt->object, sizeof(*hwpt));
		return error;
	}
	ufd_object_use(&ioas->object, 1);
	*out = hwpt;
	return 0;
}

static int hwpt_new_nested(struct ufd_hwpt *parent, struct ufd_viommu *viommu,
                           struct iommu_device *device, uint32_t flags,
                           const struct iommu_user_data *data, struct ufd_hwpt **out)
{
	struct ufd_context *context = parent->object.context;
	const struct ufd *ufd = context->file.ufd;
	struct ufd_hwpt *hwpt = NULL;

	if (flags & ~(uint32_t)NESTED_FLAGS || !data->bytes)
		return ufd_refuse(ufd, -EOPNOTSUPP,
		                  "HWPT_ALLOC on a HWPT: flags %#x and %u bytes of data; it takes "
		                  "flags 0x4 and 0x8, and data that describes a stage-1 table",
		                  flags, data->bytes);
	if (parent->automatic || !(parent->domain->flags & IOMMU_ALLOC_NEST_PARENT))
		return ufd_refuse(
			ufd, -EINVAL,
			"HWPT %u was not allocated with NEST_PARENT and cannot be a parent",
			parent->object.id);

	int error = ufd_object_new(context, UFD_HWPT_NESTED, sizeof(*hwpt), &hwpt);
	if (error)
		return error;
	hwpt->pasid_compatible = flags & IOMMU_HWPT_ALLOC_PASID;
	error = iommu_domain_alloc_user(device, flags & ~(uint32_t)IOMMU_HWPT_FAULT_ID_VALID,
	                                parent->domain, data, &hwpt->domain);
	if (error) {
		ufd_object_free(&hwpt->object, sizeof(*hwpt));
		return error;
	}
	hwpt->parent = parent;
	hwpt->ioas = parent->ioas;
	hwpt->viommu = viommu;
	if (viommu) {
		hwpt->domain->viommu = viommu->viommu;
		ufd_object_use(&viommu->object, 1);
	}
	ufd_object_use(&parent->object, 1);
	*out = hwpt;
	return 0;
}

void ufd_hwpt_free(struct ufd_hwpt *hwpt)
{
	struct ufd_object *used = hwpt->parent ? &hwpt->parent->object : &hwpt->ioas->object;
	const struct ufd *ufd = hwpt->object.context->file.ufd;

	struct ufd_viommu *viommu = hwpt->viommu;

	if (hwpt->queue)
		ufd_object_unuse(&hwpt->queue->object, 1);
	if (!hwpt->parent)
		ufd_ioas_remove_hwpt(hwpt->ioas, hwpt);
	else if (iommu_domain_free(hwpt->domain))
		iommu_log(ufd->os, IOMMU_LOG_ERROR, "ufd: HWPT %u: its domain is busy and is lost",
		          hwpt->object.id);
	ufd_object_free(&hwpt->object, sizeof(*hwpt));
	ufd_object_unuse(used, 1);
	if (viommu)
		ufd_object_unuse(&viommu->object, 1);
}

/** Make the HWPT that @p arguments asks for on object @p target. */
static int hwpt_new_on(struct ufd_object *target, struct iommu_device *device,
                       const struct iommu_hwpt_alloc *arguments, const struct iommu_user_data *data,
                       struct ufd_hwpt **out)
{
	switch (target->kind) {
	case UFD_IOAS:
		if (arguments->flags & ~(uint32_t)ALL_FLAGS ||
		    (arguments->flags & IOMMU_HWPT_FAULT_ID_VALID &&
		     arguments->flags & IOMMU_HWPT_ALLOC_NEST_PARENT))
			return ufd_refuse(
				target->context->file.ufd, -EOPNOTSUPP,
				"HWPT_ALLOC: flags %#x: known are 0xf, and FAULT_ID_VALID "
				"not with NEST_PARENT",
				arguments->flags);
		return ufd_hwpt_new(container_of(target, struct ufd_ioas, object), device,
		                    arguments->flags, data->bytes ? data : NULL, out);
	case UFD_HWPT_PAGING:
		return hwpt_new_nested(container_of(target, struct ufd_hwpt, object), NULL, device,
		                       arguments->flags, data, out);
	case UFD_VIOMMU: {
		struct ufd_viommu *viommu = container_of(target, struct ufd_viommu, object);
		if (device->unit != viommu->viommu->unit)
			return -EINVAL;
		return hwpt_new_nested(viommu->parent, viommu, device, arguments->flags, data, out);
	}
	default:
		return ufd_refuse(target->context->file.ufd, -EINVAL,
		                  "object %u is neither an IOAS nor a HWPT that can be a parent",
		                  target->id);
	}
}

int ufd_call_hwpt_alloc(struct ufd_call *call)
{
	struct iommu_hwpt_alloc *arguments = call->arguments;
	struct ufd_context *context = call->context;
	struct ufd_object *target = NULL;
	struct ufd_device *device = NULL;
	struct ufd_fault_queue *queue = NULL;
	struct ufd_hwpt *hwpt = NULL;
	uint64_t bytes[USER_DATA_KNOWN / sizeof(uint64_t)];
	struct iommu_user_data data = {
		.type = arguments->data_type, .bytes = arguments->data_len, .start = bytes};

	if (arguments->__reserved || arguments->__reserved2)
		return -EOPNOTSUPP;
	if ((data.type == IOMMU_HWPT_DATA_NONE) != (data.bytes == 0))
		return ufd_refuse(
			call->ufd, -EINVAL,
			"HWPT_ALLOC: data of type %u with %u bytes; type 0 has none, others some",
			data.type, data.bytes);
	if (data.bytes > sizeof(bytes))
		data.bytes = sizeof(bytes);

	int error = ufd_object_hold(context, arguments->dev_id, UFD_DEVICE, &device);
	if (error)
		return error;
	error = ufd_object_hold(context, arguments->pt_id, UFD_NONE, &target);
	if (error) {
		ufd_object_release(&device->object);
		return -EINVAL; /* Linux says so, not ENOENT */
	}
	if (data.bytes)
		error = ufd_copy_in_struct(call->ufd, bytes, arguments->data_uptr, data.bytes,
		                           arguments->data_len);

	if (!error) {
		ufd_lock(call->ufd, &context->device_lock);
		error = hwpt_new_on(target, device->device, arguments, &data, &hwpt);
		if (!error && arguments->flags & IOMMU_HWPT_FAULT_ID_VALID) {
			assume(hwpt);
			error = ufd_object_hold(context, arguments->fault_id, UFD_FAULT_QUEUE,
			                        &queue);
			if (error) {
				ufd_hwpt_free(hwpt);
			} else {
				ufd_fault_queue_use(queue, hwpt);
				ufd_object_release(&queue->object);
			}
		}
		if (!error) {
			assume(hwpt);
			arguments->out_hwpt_id = hwpt->object.id;
			error = ufd_respond(call);
			if (error)
				ufd_hwpt_free(hwpt);
			else
				ufd_object_publish(&hwpt->object);
		}
		ufd_unlock(call->ufd, &context->device_lock);
	}
	ufd_object_release(target);
	ufd_object_release(&device->object);
	return error;
}
