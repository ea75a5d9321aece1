/* SPDX-License-Identifier: MIT */
/*
 * vIOMMUs and virtual devices as objects.
 *
 * A vIOMMU stands on a NEST_PARENT HWPT; nested HWPTs may be made in it instead of on that
 * HWPT. A vdevice gives a device the id that the virtual machine knows it by; a device has
 * one at most. When the device goes, its vdevice ends with it and only the id is kept.
 *
 * What a vIOMMU shares for mapping is found by its offset, which is made of the object's id.
 * A mapping is a user of the vIOMMU and keeps the context.
 */
#include "ufd/private.h"

#include "iommu/string.h"

enum {
	DATA_MAX = 256,    /* a driver's description is a few words: beyond all is zero */
	OFFSET_SHIFT = 20, /* what is shared is smaller */
};

static void lock_devices(const struct ufd_context *context, struct iommu_lock *lock)
{
	ufd_lock(context->file.ufd, lock);
}

#define LOCK(context)   lock_devices(context, &(context)->device_lock)
#define UNLOCK(context) ufd_unlock((context)->file.ufd, &(context)->device_lock)

/* ---- vIOMMUs ------------------------------------------------------------------------- */

/** Copy the user's description, let the driver make the vIOMMU, copy what it answers. */
static int viommu_make(struct ufd_call *call, struct ufd_viommu *self, struct ufd_hwpt *parent,
                       struct iommu_device *device)
{
	const struct iommu_viommu_alloc *arguments = call->arguments;
	const struct iommu_unit_ops *ops = device->unit ? device->unit->ops : NULL;
	uint64_t bytes[DATA_MAX / sizeof(uint64_t)] = {0};
	struct iommu_viommu_data data = {
		.type = arguments->type,
		.bytes = arguments->data_len < sizeof(bytes) ? arguments->data_len : DATA_MAX,
		.start = bytes,
		.mmap_offset = (uint64_t)self->object.id << OFFSET_SHIFT,
	};

	if (!ops || !ops->viommu_alloc)
		return ufd_refuse(call->ufd, -EOPNOTSUPP, "device %s: its IOMMU has no vIOMMUs",
		                  device->desc.name);
	if (parent->automatic || !(parent->domain->flags & IOMMU_ALLOC_NEST_PARENT) ||
	    parent->domain->unit != device->unit)
		return ufd_refuse(call->ufd, -EINVAL,
		                  "VIOMMU_ALLOC: HWPT %u was not allocated with NEST_PARENT for "
		                  "the device's IOMMU",
		                  parent->object.id);
	int error = ufd_copy_in_struct(call->ufd, bytes, arguments->data_uptr, data.bytes,
	                               arguments->data_len);
	if (!error)
		error = ops->viommu_alloc(device, parent->domain, &data, &self->viommu);
	if (!error && data.bytes) {
		error = ufd_copy_out(call->ufd, arguments->data_uptr, bytes, data.bytes);
		if (error)
			self->viommu->ops->free(self->viommu);
	}
	return error;
}

static int viommu_alloc(struct ufd_call *call, struct ufd_hwpt *parent, struct iommu_device *device)
{
	struct iommu_viommu_alloc *arguments = call->arguments;
	struct ufd_viommu *self = NULL;

	int error = ufd_object_new(call->context, UFD_VIOMMU, sizeof(*self), &self);
	if (error)
		return error;
	error = viommu_make(call, self, parent, device);
	if (error) {
		ufd_object_free(&self->object, sizeof(*self));
		return error;
	}
	self->parent = parent;
	ufd_object_use(&parent->object, 1);
	self->sink.event = ufd_viommu_event;
	self->viommu->sink = &self->sink;
	arguments->out_viommu_id = self->object.id;
	error = ufd_respond(call);
	if (error)
		ufd_viommu_free(&self->object);
	else
		ufd_object_publish(&self->object);
	return error;
}

int ufd_call_viommu_alloc(struct ufd_call *call)
{
	const struct iommu_viommu_alloc *arguments = call->arguments;
	struct ufd_device *device = NULL;
	struct ufd_hwpt *parent = NULL;

	if (arguments->flags || arguments->__reserved ||
	    arguments->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return ufd_refuse(call->ufd, -EOPNOTSUPP, "VIOMMU_ALLOC: flags %#x, type %#x",
		                  arguments->flags, arguments->type);
	int error = ufd_object_hold(call->context, arguments->dev_id, UFD_DEVICE, &device);
	if (error)
		return error;
	error = ufd_object_hold(call->context, arguments->hwpt_id, UFD_HWPT_PAGING, &parent);
	if (!error) {
		error = viommu_alloc(call, parent, device->device);
		ufd_object_release(&parent->object);
	}
	ufd_object_release(&device->object);
	return error;
}

void ufd_viommu_free(struct ufd_object *object)
{
	struct ufd_viommu *self = container_of(object, struct ufd_viommu, object);
	struct ufd_hwpt *parent = self->parent;

	self->viommu->ops->free(self->viommu);
	ufd_object_free(&self->object, sizeof(*self));
	ufd_object_unuse(&parent->object, 1);
}

int ufd_viommu_invalidate(struct ufd_viommu *viommu, struct iommu_user_array *array)
{
	array->done = 0;
	if (!viommu->viommu->ops->invalidate_user)
		return -EOPNOTSUPP;
	return viommu->viommu->ops->invalidate_user(viommu->viommu, array);
}

/* ---- mappings ------------------------------------------------------------------------- */

struct ufd_mapping {
	struct ufd_viommu *viommu;
};

int ufd_viommu_mmap(struct ufd_context *context, uint64_t offset, uint64_t bytes, pa_t *out,
                    struct ufd_mapping **mapping)
{
	struct ufd *ufd = context->file.ufd;
	struct ufd_viommu *viommu = NULL;
	uint64_t id = offset >> OFFSET_SHIFT;

	int error = id > UINT32_MAX || ufd_object_hold(context, (uint32_t)id, UFD_VIOMMU, &viommu)
	                    ? -ENXIO
	                    : 0;
	struct ufd_mapping *made = error ? NULL : ufd_alloc(ufd, sizeof(*made));
	if (!error && (offset != id << OFFSET_SHIFT || !viommu->viommu->has_shared ||
	               bytes != PAGE_SIZE_4K << viommu->viommu->shared_order))
		error = -ENXIO;
	else if (!error && !made)
		error = -ENOMEM;
	if (error == -ENXIO)
		(void)ufd_refuse(ufd, error, "mmap: nothing is at offset %#llx with %#llx bytes",
		                 (unsigned long long)offset, (unsigned long long)bytes);
	if (!error) {
		made->viommu = viommu;
		ufd_object_use(&viommu->object, 1);
		ufd_file_hold(&context->file);
		*out = viommu->viommu->shared;
		*mapping = made;
	} else {
		ufd_free(ufd, made, sizeof(*made));
	}
	if (viommu)
		ufd_object_release(&viommu->object);
	return error;
}

void ufd_munmap(struct ufd *ufd, struct ufd_mapping *mapping)
{
	struct ufd_context *context = mapping->viommu->object.context;

	ufd_object_unuse(&mapping->viommu->object, 1);
	ufd_free(ufd, mapping, sizeof(*mapping));
	ufd_file_put(&context->file);
}

/* ---- virtual devices ------------------------------------------------------------------- */

/** Take the vdevice out of its vIOMMU and its device. device_lock is held. */
static void vdevice_unlink(struct ufd_vdevice *self)
{
	struct ufd_viommu *viommu = self->viommu;
	struct ufd_vdevice **link = &viommu->vdevices;

	viommu->viommu->ops->vdevice_remove(viommu->viommu, self->device->device);
	while (*link != self)
		link = &(*link)->next;
	*link = self->next;
	self->device->vdevice = NULL;
	self->device = NULL;
	self->viommu = NULL;
	ufd_object_unuse(&viommu->object, 1);
}

/** Make device and vIOMMU know each other through @p self. device_lock is held. */
static int vdevice_link(struct ufd_vdevice *self, struct ufd_viommu *viommu,
                        struct ufd_device *device)
{
	const struct ufd *ufd = self->object.context->file.ufd;

	if (device->vdevice)
		return ufd_refuse(ufd, -EEXIST, "device %u has a vdevice already",
		                  device->object.id);
	for (const struct ufd_vdevice *other = viommu->vdevices; other; other = other->next)
		if (other->id == self->id)
			return ufd_refuse(ufd, -EEXIST, "another device has the id %#llx",
			                  (unsigned long long)self->id);
	int error = viommu->viommu->ops->vdevice_add(viommu->viommu, device->device, self->id);
	if (error)
		return error;
	self->viommu = viommu;
	self->device = device;
	self->next = viommu->vdevices;
	viommu->vdevices = self;
	device->vdevice = self;
	ufd_object_use(&viommu->object, 1);
	return 0;
}

static int vdevice_alloc(struct ufd_call *call, struct ufd_viommu *viommu,
                         struct ufd_device *device)
{
	struct iommu_vdevice_alloc *arguments = call->arguments;
	struct ufd_context *context = call->context;
	struct ufd_vdevice *self = NULL;

	if (device->device->unit != viommu->viommu->unit)
		return ufd_refuse(call->ufd, -EINVAL,
		                  "VDEVICE_ALLOC: device %u has another IOMMU than vIOMMU %u",
		                  arguments->dev_id, arguments->viommu_id);
	int error = ufd_object_new(context, UFD_VDEVICE, sizeof(*self), &self);
	if (error)
		return error;
	self->id = arguments->virt_id;
	LOCK(context);
	error = vdevice_link(self, viommu, device);
	if (!error) {
		arguments->out_vdevice_id = self->object.id;
		error = ufd_respond(call);
		if (error)
			vdevice_unlink(self);
		else
			ufd_object_publish(&self->object);
	}
	UNLOCK(context);
	if (error)
		ufd_object_free(&self->object, sizeof(*self));
	return error;
}

int ufd_call_vdevice_alloc(struct ufd_call *call)
{
	const struct iommu_vdevice_alloc *arguments = call->arguments;
	struct ufd_viommu *viommu = NULL;
	struct ufd_device *device = NULL;

	if (arguments->virt_id > UINT32_MAX)
		return ufd_refuse(call->ufd, -EINVAL, "VDEVICE_ALLOC: id %#llx is above 2^32 - 1",
		                  (unsigned long long)arguments->virt_id);
	int error = ufd_object_hold(call->context, arguments->viommu_id, UFD_VIOMMU, &viommu);
	if (error)
		return error;
	error = ufd_object_hold(call->context, arguments->dev_id, UFD_DEVICE, &device);
	if (!error) {
		error = vdevice_alloc(call, viommu, device);
		ufd_object_release(&device->object);
	}
	ufd_object_release(&viommu->object);
	return error;
}

void ufd_vdevice_free(struct ufd_object *object)
{
	struct ufd_vdevice *self = container_of(object, struct ufd_vdevice, object);

	LOCK(object->context);
	if (self->viommu)
		vdevice_unlink(self);
	UNLOCK(object->context);
	ufd_object_free(&self->object, sizeof(*self));
}

void ufd_vdevice_bury(struct ufd_device *device)
{
	struct ufd_context *context = device->object.context;

	LOCK(context);
	struct ufd_vdevice *self = device->vdevice;
	if (self) {
		vdevice_unlink(self);
		ufd_object_shut(&self->object);
	}
	UNLOCK(context);
}
