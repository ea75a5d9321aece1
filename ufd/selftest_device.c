/* SPDX-License-Identifier: MIT */
/*
 * The part of IOMMU_TEST_CMD that makes devices, attaches and detaches them.
 *
 * A self-test device is a mock device that exists as long as its object: it is bound to
 * the context from its making to its end. Destroying the object detaches what it has.
 */
#include "ufd/selftest_private.h"

/** Requester ids from here on are the self-test's, so that an embedder's are free. */
enum { FIRST_RID = 0x8000, RIDS = 0x8000 };

static int device_add(struct ufd *ufd, uint32_t shape, struct iommu_device **out)
{
	int error = -EEXIST;

	for (uint32_t tries = 0; tries < RIDS && error == -EEXIST; tries++) {
		ufd_lock(ufd, &ufd->lock);
		iommu_rid_t rid = (iommu_rid_t)(FIRST_RID + ufd->selftest_rid++ % RIDS);
		ufd_unlock(ufd, &ufd->lock);
		error = ufd_mock_device_add_shape(ufd->iommu, rid, shape, out);
	}
	return error == -EEXIST ? -ENOSPC : error;
}

static int device_new(struct ufd_context *context, uint32_t shape, struct ufd_selftest_device **out)
{
	struct ufd *ufd = context->file.ufd;
	struct ufd_selftest_device *self = NULL;

	int error = ufd_object_new(context, UFD_SELFTEST_DEVICE, sizeof(*self), &self);
	if (error)
		return error;
	error = ufd->os->lock_init(ufd->os->ctx, &self->lock, "ufd self-test device");
	if (!error) {
		error = device_add(ufd, shape | UFD_MOCK_SELFTEST, &self->device);
		if (!error) {
			error = ufd_device_bind(context, self->device, &self->bound);
			if (error)
				iommu_device_remove(self->device);
		}
		if (error)
			ufd->os->lock_destroy(ufd->os->ctx, &self->lock);
	}
	if (error) {
		ufd_object_free(&self->object, sizeof(*self));
		return error;
	}
	*out = self;
	return 0;
}

void ufd_selftest_device_free(struct ufd_object *object)
{
	struct ufd_selftest_device *self = container_of(object, struct ufd_selftest_device, object);
	const struct iommu_os *os = object->context->file.ufd->os;

	/* a call that names the device keeps it, if it does not end in time */
	if (ufd_device_unbind(self->bound))
		iommu_device_remove(self->device);
	os->lock_destroy(os->ctx, &self->lock);
	ufd_object_free(&self->object, sizeof(*self));
}

/** The HWPT that the device has without PASID, or 0. */
static uint32_t attached_id(const struct ufd_selftest_device *self)
{
	struct ufd_context *context = self->object.context;

	ufd_lock(context->file.ufd, &context->device_lock);
	const struct ufd_hwpt *hwpt = self->bound->attached ? self->bound->group->hwpt : NULL;
	uint32_t id = hwpt ? hwpt->object.id : 0;
	ufd_unlock(context->file.ufd, &context->device_lock);
	return id;
}

int ufd_selftest_mock_domain(struct ufd_call *call, bool flags)
{
	struct iommu_test_cmd *arguments = call->arguments;
	uint32_t wanted = flags ? arguments->mock_domain_flags.dev_flags : MOCK_FLAGS_DEVICE_PASID;
	struct ufd_selftest_device *self = NULL;
	uint32_t shape = 0;

	if (wanted & ~(uint32_t)(MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_HUGE_IOVA |
	                         MOCK_FLAGS_DEVICE_PASID))
		return ufd_refuse(call->ufd, -EOPNOTSUPP,
		                  "MOCK_DOMAIN_FLAGS: flags %#x, known are 0x7", wanted);
	if (!flags)
		wanted = 0;
	shape |= wanted & MOCK_FLAGS_DEVICE_NO_DIRTY ? UFD_MOCK_NO_DIRTY : 0;
	shape |= wanted & MOCK_FLAGS_DEVICE_HUGE_IOVA ? UFD_MOCK_HUGE : 0;
	shape |= wanted & MOCK_FLAGS_DEVICE_PASID ? 0 : UFD_MOCK_NO_PASID;
	int error = device_new(call->context, shape, &self);
	if (error)
		return error;
	/* the HWPT's id lies in the same place of both structures */
	error = ufd_device_attach(self->bound, arguments->id,
	                          call->user +
	                                  offsetof(struct iommu_test_cmd, mock_domain.out_hwpt_id));
	if (!error) {
		arguments->mock_domain.out_stdev_id = self->object.id;
		arguments->mock_domain.out_hwpt_id = attached_id(self);
		arguments->mock_domain.out_idev_id = self->bound->object.id;
		error = ufd_respond(call);
	}
	if (error) {
		ufd_selftest_device_free(&self->object);
		return error;
	}
	ufd_object_publish(&self->bound->object);
	ufd_object_publish(&self->object);
	return 0;
}

/** The self-test device with @p id, held and locked. */
static int device_enter(const struct ufd_call *call, uint32_t id, struct ufd_selftest_device **out)
{
	int error = ufd_object_hold(call->context, id, UFD_SELFTEST_DEVICE, out);

	if (!error)
		ufd_lock(call->ufd, &(*out)->lock);
	return error;
}

static void device_leave(const struct ufd_call *call, struct ufd_selftest_device *self)
{
	ufd_unlock(call->ufd, &self->lock);
	ufd_object_release(&self->object);
}

int ufd_selftest_replace(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	const uint32_t pt_id = arguments->mock_domain_replace.pt_id;
	uint64_t user = call->user + offsetof(struct iommu_test_cmd, mock_domain_replace.pt_id);
	struct ufd_selftest_device *self = NULL;

	int error = device_enter(call, arguments->id, &self);
	if (error)
		return error;
	error = ufd_device_attach(self->bound, pt_id, user);
	if (error) /* a failed call leaves the structure as it was */
		(void)!ufd_copy_out(call->ufd, user, &pt_id, sizeof(pt_id));
	device_leave(call, self);
	return error;
}

/** The HWPT that a PASID of the device has, or 0. */
static uint32_t pasid_id(const struct ufd_selftest_device *self, uint32_t pasid)
{
	struct ufd_context *context = self->object.context;

	ufd_lock(context->file.ufd, &context->device_lock);
	const struct ufd_pasid *entry = self->bound->pasids;
	while (entry && entry->pasid != pasid)
		entry = entry->next;
	uint32_t id = entry ? entry->hwpt->object.id : 0;
	ufd_unlock(context->file.ufd, &context->device_lock);
	return id;
}

/** PASID_ATTACH, PASID_REPLACE, PASID_DETACH. */
int ufd_selftest_pasid(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	const uint32_t pasid = arguments->pasid_attach.pasid, pt_id = arguments->pasid_attach.pt_id;
	uint64_t user = call->user + offsetof(struct iommu_test_cmd, pasid_attach.pt_id);
	struct ufd_selftest_device *self = NULL;

	int error = device_enter(call, arguments->id, &self);
	if (error)
		return error;
	if (arguments->op == IOMMU_TEST_OP_PASID_DETACH) {
		ufd_device_detach_pasid(self->bound, pasid);
	} else {
		bool replace = arguments->op == IOMMU_TEST_OP_PASID_REPLACE;
		if (!replace == !!pasid_id(self, pasid))
			error = ufd_refuse(call->ufd, replace ? -EINVAL : -EBUSY,
			                   "PASID %u of the device has %s", pasid,
			                   replace ? "nothing to replace" : "a HWPT already");
		else
			error = ufd_device_attach_pasid(self->bound, pasid, pt_id, user);
		if (error)
			(void)!ufd_copy_out(call->ufd, user, &pt_id, sizeof(pt_id));
	}
	device_leave(call, self);
	return error;
}

int ufd_selftest_pasid_check(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	const uint32_t pasid = arguments->pasid_check.pasid;
	struct ufd_selftest_device *self = NULL;

	int error = device_enter(call, arguments->id, &self);
	if (error)
		return error;
	uint32_t id = pasid_id(self, pasid);
	if (id != arguments->pasid_check.hwpt_id)
		error = ufd_refuse(call->ufd, -EINVAL, "PASID %u has HWPT %u, not %u", pasid, id,
		                   arguments->pasid_check.hwpt_id);
	device_leave(call, self);
	return error;
}
