/* SPDX-License-Identifier: MIT */
/*
 * Calls of programs that hand their work over: IOAS_CHANGE_PROCESS, and VFIO_IOAS, which
 * names the IOAS for VFIO's older calls.
 */
#include "ufd/private.h"

/** Does @p ioas map anything but files? */
static bool maps_addresses(struct ufd_ioas *ioas)
{
	bool found = false;

	ufd_ioas_lock(ioas);
	for (const struct iova_node *node = iova_space_first(&ioas->areas); node && !found;
	     node = iova_space_next(&ioas->areas, node))
		found = !ufd_pages_is_file(ufd_area_pages((const struct ufd_area *)node));
	ufd_ioas_unlock(ioas);
	return found;
}

struct ufd_ioas *ufd_ioas_next(struct ufd_context *context, uint32_t id)
{
	struct ufd_ioas *ioas = NULL;

	uint32_t capacity = __atomic_load_n(&context->capacity, __ATOMIC_ACQUIRE);
	for (; id <= capacity; id++)
		if (!ufd_object_hold(context, id, UFD_IOAS, &ioas))
			return ioas;
	return NULL;
}

/** Memory that was mapped by address is the old process's: only files can go along. */
int ufd_call_ioas_change_process(struct ufd_call *call)
{
	const struct iommu_ioas_change_process *arguments = call->arguments;
	const struct ufd_memory_ops *memory = call->ufd->memory;
	struct ufd_ioas *ioas;

	if (arguments->__reserved)
		return -EOPNOTSUPP;
	for (uint32_t id = 1; (ioas = ufd_ioas_next(call->context, id)) != NULL;) {
		bool refused = maps_addresses(ioas);
		id = ioas->object.id + 1;
		ufd_object_release(&ioas->object);
		if (refused)
			return ufd_refuse(call->ufd, -EINVAL,
			                  "IOAS_CHANGE_PROCESS: IOAS %u maps memory that is of no "
			                  "file",
			                  id - 1);
	}
	return memory->change_process ? memory->change_process(call->ufd->memory_ctx) : 0;
}

int ufd_call_vfio_ioas(struct ufd_call *call)
{
	struct iommu_vfio_ioas *arguments = call->arguments;
	struct ufd_context *context = call->context;
	struct ufd_ioas *ioas = NULL;
	int error = 0;

	if (arguments->__reserved)
		return -EOPNOTSUPP;
	switch (arguments->op) {
	case IOMMU_VFIO_IOAS_GET:
		ufd_lock(call->ufd, &context->table_lock);
		arguments->ioas_id = context->vfio_ioas;
		ufd_unlock(call->ufd, &context->table_lock);
		return arguments->ioas_id ? ufd_respond(call) : -ENODEV;
	case IOMMU_VFIO_IOAS_SET:
		error = ufd_object_hold(context, arguments->ioas_id, UFD_IOAS, &ioas);
		break;
	case IOMMU_VFIO_IOAS_CLEAR:
		break;
	default:
		return ufd_refuse(call->ufd, -EOPNOTSUPP,
		                  "VFIO_IOAS: op %u, known are 0 (get), 1 (set), 2 (clear)",
		                  arguments->op);
	}
	if (error)
		return error;
	ufd_lock(call->ufd, &context->table_lock);
	context->vfio_ioas = ioas ? ioas->object.id : 0;
	ufd_unlock(call->ufd, &context->table_lock);
	if (ioas)
		ufd_object_release(&ioas->object);
	return 0;
}
