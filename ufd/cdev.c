/* SPDX-License-Identifier: MIT */
/*
 * The device descriptor, in the shape of VFIO's cdev: bind to a /dev/iommu
 * descriptor once, attach (which is also replace), detach. Before it is bound every
 * other call is -EINVAL, as in Linux; closing it unbinds.
 */
#include "ufd/private.h"

/** Read @p known bytes of a VFIO structure, of which the caller must have @p least. */
static int read_arguments(const struct ufd *ufd, uint64_t user, void *out, uint32_t known,
                          uint32_t least)
{
	uint32_t size = 0;

	int error = ufd_copy_in(ufd, &size, user, sizeof(size));
	if (error)
		return error;
	if (size < least)
		return ufd_refuse(ufd, -EINVAL, "a structure of %u bytes, at least %u", size,
		                  least);
	error = ufd_copy_in(ufd, out, user, size < known ? size : known);
	*(uint32_t *)out = size;
	return error;
}

/** Write one field of the caller's structure. */
static int write_field(const struct ufd *ufd, uint64_t user, size_t offset, uint32_t value)
{
	if (user + offset < user)
		return -EFAULT;
	return ufd_copy_out(ufd, user + offset, &value, sizeof(value));
}

/** Is the device bound by any descriptor? ufd->lock is held. */
static bool bound_elsewhere(const struct ufd *ufd, const struct iommu_device *device)
{
	for (int i = 0; i < UFD_MAX_FILES; i++) {
		struct ufd_file *file = ufd->files[i]; /* also while it is being closed */
		if (file && file->kind == UFD_FILE_DEVICE) {
			const struct ufd_cdev *cdev = container_of(file, struct ufd_cdev, file);
			if (cdev->bound && cdev->device == device)
				return true;
		}
	}
	return false;
}

static int bind_context(struct ufd_cdev *cdev, struct ufd_context *context, uint64_t user)
{
	struct ufd *ufd = cdev->file.ufd;
	struct ufd_device *bound = NULL;

	ufd_lock(ufd, &ufd->lock);
	bool taken = bound_elsewhere(ufd, cdev->device);
	ufd_unlock(ufd, &ufd->lock);
	if (taken)
		return ufd_refuse(ufd, -EINVAL, "device %s is bound already",
		                  cdev->device->desc.name);
	int error = ufd_device_bind(context, cdev->device, &bound);
	if (error)
		return error;
	error = write_field(ufd, user, offsetof(struct vfio_device_bind_iommufd, out_devid),
	                    bound->object.id);
	if (error) {
		(void)ufd_device_unbind(bound);
		return error;
	}
	ufd_object_publish(&bound->object);
	ufd_lock(ufd, &ufd->lock);
	cdev->bound = bound;
	ufd_unlock(ufd, &ufd->lock);
	return 0;
}

static int cdev_bind(struct ufd_cdev *cdev, uint64_t user)
{
	struct vfio_device_bind_iommufd arguments = {0};
	struct ufd *ufd = cdev->file.ufd;
	struct ufd_file *file = NULL;

	int error = read_arguments(ufd, user, &arguments, sizeof(arguments),
	                           offsetof(struct vfio_device_bind_iommufd, out_devid) +
	                                   sizeof(arguments.out_devid));
	if (error)
		return error;
	if (arguments.flags || arguments.iommufd < 0)
		return ufd_refuse(ufd, -EINVAL,
		                  "BIND_IOMMUFD: flags %#x, must be 0; descriptor %d, must be "
		                  "/dev/iommu's",
		                  arguments.flags, (int)arguments.iommufd);
	if (cdev->bound)
		return ufd_refuse(ufd, -EINVAL, "device %s: the descriptor is bound already",
		                  cdev->device->desc.name);
	error = ufd_file_get(ufd, arguments.iommufd, &file);
	if (error)
		return error;
	if (file->kind != UFD_FILE_CONTEXT)
		error = -EBADFD;
	else
		error = bind_context(cdev, container_of(file, struct ufd_context, file), user);
	if (error) /* else the reference is the bound device's */
		ufd_file_put(file);
	return error;
}

static int cdev_attach(struct ufd_cdev *cdev, uint64_t user)
{
	struct vfio_device_attach_iommufd_pt arguments = {0};
	const size_t id_offset = offsetof(struct vfio_device_attach_iommufd_pt, pt_id);
	struct ufd *ufd = cdev->file.ufd;

	int error = read_arguments(ufd, user, &arguments, sizeof(arguments),
	                           (uint32_t)(id_offset + sizeof(arguments.pt_id)));
	if (error)
		return error;
	if (arguments.flags & ~(uint32_t)VFIO_DEVICE_ATTACH_PASID)
		return ufd_refuse(ufd, -EINVAL, "ATTACH_IOMMUFD_PT: flags %#x, known is PASID 1",
		                  arguments.flags);
	if (arguments.flags && arguments.argsz < sizeof(arguments))
		return ufd_refuse(ufd, -EINVAL, "a structure of %u bytes without the PASID",
		                  arguments.argsz);
	if (user + id_offset < user)
		return -EFAULT;
	error = arguments.flags ? ufd_device_attach_pasid(cdev->bound, arguments.pasid,
	                                                  arguments.pt_id, user + id_offset)
	                        : ufd_device_attach(cdev->bound, arguments.pt_id, user + id_offset);
	if (error) /* a failed call leaves the structure as it was */
		(void)!write_field(ufd, user, id_offset, arguments.pt_id);
	return error;
}

static int cdev_detach(struct ufd_cdev *cdev, uint64_t user)
{
	struct vfio_device_detach_iommufd_pt arguments = {0};
	struct ufd *ufd = cdev->file.ufd;

	int error = read_arguments(ufd, user, &arguments, sizeof(arguments),
	                           offsetof(struct vfio_device_detach_iommufd_pt, flags) +
	                                   sizeof(arguments.flags));
	if (error)
		return error;
	if (arguments.flags & ~(uint32_t)VFIO_DEVICE_DETACH_PASID)
		return ufd_refuse(ufd, -EINVAL, "DETACH_IOMMUFD_PT: flags %#x, known is PASID 1",
		                  arguments.flags);
	if (arguments.flags && arguments.argsz < sizeof(arguments))
		return ufd_refuse(ufd, -EINVAL, "a structure of %u bytes without the PASID",
		                  arguments.argsz);
	if (arguments.flags)
		ufd_device_detach_pasid(cdev->bound, arguments.pasid);
	else
		ufd_device_detach(cdev->bound);
	return 0;
}

int ufd_cdev_ioctl(struct ufd_cdev *cdev, uint32_t command, uint64_t user)
{
	struct ufd *ufd = cdev->file.ufd;
	int error;

	ufd_lock(ufd, &cdev->lock);
	if (command == VFIO_DEVICE_BIND_IOMMUFD)
		error = cdev_bind(cdev, user);
	else if (!cdev->bound)
		error = ufd_refuse(ufd, -EINVAL,
		                   "device %s is not bound to a /dev/iommu descriptor",
		                   cdev->device->desc.name);
	else if (command == VFIO_DEVICE_ATTACH_IOMMUFD_PT)
		error = cdev_attach(cdev, user);
	else if (command == VFIO_DEVICE_DETACH_IOMMUFD_PT)
		error = cdev_detach(cdev, user);
	else
		error = ufd_refuse(ufd, -ENOTTY, "command %#x is none of a device's", command);
	ufd_unlock(ufd, &cdev->lock);
	return error;
}

void ufd_cdev_free(struct ufd_cdev *cdev)
{
	struct ufd *ufd = cdev->file.ufd;

	if (cdev->bound) {
		struct ufd_context *context = cdev->bound->object.context;
		(void)ufd_device_unbind(cdev->bound);
		ufd_file_put(&context->file);
	}
	ufd->os->lock_destroy(ufd->os->ctx, &cdev->lock);
	ufd_free(ufd, cdev, sizeof(*cdev));
}
