/* SPDX-License-Identifier: MIT */
/*
 * HWPT_INVALIDATE: a user has changed its stage-1 table, and the hardware is to forget.
 *
 * The driver takes the entries of the user's array in order and stops at the first that
 * fails. How many were carried out goes back to the user in entry_num, whatever the
 * result is, so that a caller knows where to go on; 0 if the call itself is wrong.
 */
#include "ufd/private.h"

/* Linux's bounds. */
enum { ENTRY_BYTES_MAX = 4096, ENTRIES_MAX = 1 << 19 };

struct reader {
	const struct ufd *ufd;
	uint64_t user;
};

static int read_entry(void *ctx, uint64_t offset, void *out, size_t bytes)
{
	const struct reader *reader = ctx;

	if (reader->user + offset < reader->user)
		return -EFAULT;
	return ufd_copy_in(reader->ufd, out, reader->user + offset, bytes);
}

static int invalidate(struct ufd_call *call, const struct iommu_hwpt_invalidate *arguments,
                      uint32_t *done)
{
	struct ufd_object *object = NULL;
	struct reader reader = {call->ufd, arguments->data_uptr};
	struct iommu_user_array array = {
		.type = arguments->data_type,
		.entry_bytes = arguments->entry_len,
		.count = arguments->entry_num,
		.copy = read_entry,
		.ctx = &reader,
	};

	if (arguments->__reserved)
		return -EOPNOTSUPP;
	if (array.count && (!arguments->data_uptr || !array.entry_bytes))
		return ufd_refuse(call->ufd, -EINVAL,
		                  "HWPT_INVALIDATE: %u entries of %u bytes at %#llx", array.count,
		                  array.entry_bytes, (unsigned long long)arguments->data_uptr);
	if (array.entry_bytes > ENTRY_BYTES_MAX || array.count > ENTRIES_MAX)
		return ufd_refuse(call->ufd, -EINVAL,
		                  "HWPT_INVALIDATE: %u entries of %u bytes, at most %u of %u",
		                  array.count, array.entry_bytes, ENTRIES_MAX, ENTRY_BYTES_MAX);
	int error = ufd_object_hold(call->context, arguments->hwpt_id, UFD_NONE, &object);
	if (error)
		return error;
	if (object->kind == UFD_HWPT_NESTED)
		error = iommu_domain_invalidate_user(
			container_of(object, struct ufd_hwpt, object)->domain, &array);
	else if (object->kind == UFD_VIOMMU)
		error = ufd_viommu_invalidate(container_of(object, struct ufd_viommu, object),
		                              &array);
	else
		error = ufd_refuse(call->ufd, -EINVAL,
		                   "HWPT_INVALIDATE: object %u is no nested HWPT or vIOMMU",
		                   arguments->hwpt_id);
	*done = array.done;
	ufd_object_release(object);
	return error;
}

int ufd_call_hwpt_invalidate(struct ufd_call *call)
{
	struct iommu_hwpt_invalidate *arguments = call->arguments;
	uint32_t done = 0;

	int error = invalidate(call, arguments, &done);
	arguments->entry_num = done;
	int responded = ufd_respond(call);
	return responded ? responded : error;
}
