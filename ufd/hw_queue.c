/* SPDX-License-Identifier: MIT */
/*
 * Hardware queues of vIOMMUs: memory of the virtual machine that the hardware reads by
 * itself. The memory stays mapped and pinned as long as the queue exists: the queue has an
 * access on the parent's IOAS, and IOAS_UNMAP of what it pins is -EBUSY.
 *
 * Queues of a vIOMMU are made upwards from index 0; each needs the one before it.
 */
#include "ufd/private.h"

struct ufd_hw_queue {
	struct ufd_object object;  /* first; users: the queue after it */
	struct ufd_viommu *viommu; /* a user of it */
	struct ufd_hw_queue *next; /* in viommu->hw_queues, under device_lock */
	struct ufd_hw_queue *before;
	struct ufd_access *access;
	uint32_t type, index;
};

static const struct ufd_access_ops access_ops = {.owns = true};

/** Pin the queue's memory, which must be in one piece. */
static int pin_memory(struct ufd_hw_queue *self, uint64_t at, uint64_t bytes, pa_t *out)
{
	const struct ufd_hwpt *parent = self->viommu->parent;
	struct iommu_extent extent;
	size_t count = 0;

	int error =
		ufd_access_new_in(self->object.context, false, &access_ops, self, &self->access);
	if (error)
		return error;
	error = ufd_access_attach(self->access, parent->ioas->object.id);
	if (!error)
		error = ufd_access_pin(self->access, iova(at), bytes, 0, &extent, 1, &count);
	if (error) {
		ufd_access_free(self->access);
		return error == -ENOSPC ? ufd_refuse(self->object.context->file.ufd, -EFAULT,
		                                     "HW_QUEUE_ALLOC: the memory at %#llx is not "
		                                     "in one piece",
		                                     (unsigned long long)at)
		                        : error;
	}
	*out = extent.start;
	return 0;
}

/** Let the driver begin, and list the queue. device_lock is held. */
static int queue_begin(struct ufd_hw_queue *self, uint64_t at, pa_t memory, uint64_t bytes)
{
	struct ufd_viommu *viommu = self->viommu;

	int error = viommu->viommu->ops->hw_queue_add(viommu->viommu, self->type, self->index,
	                                              iova(at), memory, bytes);
	if (error)
		return error;
	for (struct ufd_hw_queue *other = viommu->hw_queues; other; other = other->next)
		if (other->type == self->type && other->index + 1 == self->index)
			self->before = other;
	if (self->before)
		ufd_object_use(&self->before->object, 1);
	self->next = viommu->hw_queues;
	viommu->hw_queues = self;
	return 0;
}

static void queue_end(struct ufd_hw_queue *self)
{
	struct ufd_viommu *viommu = self->viommu;
	struct ufd_hw_queue **link = &viommu->hw_queues;

	viommu->viommu->ops->hw_queue_remove(viommu->viommu, self->type, self->index);
	while (*link && *link != self)
		link = &(*link)->next;
	if (*link)
		*link = self->next;
	if (self->before)
		ufd_object_unuse(&self->before->object, 1);
}

static int queue_alloc(struct ufd_call *call, struct ufd_viommu *viommu)
{
	struct iommu_hw_queue_alloc *arguments = call->arguments;
	struct ufd_context *context = call->context;
	const uint64_t at = arguments->nesting_parent_iova, bytes = arguments->length;
	struct ufd_hw_queue *self = NULL;
	pa_t memory = pa(0);

	int error = ufd_object_new(context, UFD_HW_QUEUE, sizeof(*self), &self);
	if (error)
		return error;
	self->viommu = viommu;
	self->type = arguments->type;
	self->index = arguments->index;
	error = pin_memory(self, at, bytes, &memory);
	if (error) {
		ufd_object_free(&self->object, sizeof(*self));
		return error;
	}
	ufd_lock(call->ufd, &context->device_lock);
	error = queue_begin(self, at, memory, bytes);
	if (!error) {
		arguments->out_hw_queue_id = self->object.id;
		error = ufd_respond(call);
		if (error) {
			queue_end(self);
		} else {
			ufd_object_use(&viommu->object, 1);
			ufd_object_publish(&self->object);
		}
	}
	ufd_unlock(call->ufd, &context->device_lock);
	if (error) {
		ufd_access_free(self->access);
		ufd_object_free(&self->object, sizeof(*self));
	}
	return error;
}

int ufd_call_hw_queue_alloc(struct ufd_call *call)
{
	const struct iommu_hw_queue_alloc *arguments = call->arguments;
	const uint64_t at = arguments->nesting_parent_iova, bytes = arguments->length;
	struct ufd_viommu *viommu = NULL;

	if (arguments->flags || arguments->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return ufd_refuse(call->ufd, -EOPNOTSUPP, "HW_QUEUE_ALLOC: flags %#x, type %#x",
		                  arguments->flags, arguments->type);
	if (!bytes)
		return ufd_refuse(call->ufd, -EINVAL, "HW_QUEUE_ALLOC: length 0");
	if (at + (bytes - 1) < at)
		return -EOVERFLOW;
	int error = ufd_object_hold(call->context, arguments->viommu_id, UFD_VIOMMU, &viommu);
	if (error)
		return error;
	const struct iommu_viommu_ops *ops = viommu->viommu->ops;
	if (ops->has_hw_queue && ops->has_hw_queue(viommu->viommu, arguments->type))
		error = queue_alloc(call, viommu);
	else
		error = ufd_refuse(call->ufd, -EOPNOTSUPP,
		                   "vIOMMU %u has no hardware queues of type %#x",
		                   arguments->viommu_id, arguments->type);
	ufd_object_release(&viommu->object);
	return error;
}

void ufd_hw_queue_free(struct ufd_object *object)
{
	struct ufd_hw_queue *self = container_of(object, struct ufd_hw_queue, object);
	struct ufd_context *context = object->context;
	struct ufd_viommu *viommu = self->viommu;
	struct ufd_hw_queue *after = viommu->hw_queues;

	/* only when the whole context ends can the one after it be there still */
	while (after && after->before != self)
		after = after->next;
	if (after)
		ufd_hw_queue_free(&after->object);
	ufd_lock(context->file.ufd, &context->device_lock);
	queue_end(self);
	ufd_unlock(context->file.ufd, &context->device_lock);
	ufd_access_free(self->access);
	ufd_object_free(&self->object, sizeof(*self));
	ufd_object_unuse(&viommu->object, 1);
}
