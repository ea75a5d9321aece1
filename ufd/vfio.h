/* SPDX-License-Identifier: MIT */
/*
 * The calls on a device's descriptor that tie it to iommufd: names, numbers and
 * structures as in Linux's <linux/vfio.h> (7.3). Written for this project; the
 * rest of VFIO (regions, interrupts, migration) is not here.
 *
 * A structure's first field is its size as the caller knows it; what lies beyond
 * the fields below is not looked at.
 */
#ifndef UFD_VFIO_H
#define UFD_VFIO_H

#include <stdint.h>

#define VFIO_TYPE                (';')
#define VFIO_BASE                100

#define UFD_VFIO_COMMAND(number) ((uint32_t)(VFIO_TYPE) << 8 | (uint32_t)(VFIO_BASE + (number)))

/** Bind the device to /dev/iommu descriptor @iommufd; out: its object id there.
 *  Once a descriptor, for as long as that is open. EINVAL if it is bound, EBUSY if
 *  another owner has a device of its group. */
struct vfio_device_bind_iommufd {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_DEVICE_BIND_FLAG_TOKEN (1 << 0)
	int32_t iommufd;
	uint32_t out_devid;
	uint64_t token_uuid_ptr;
};
#define VFIO_DEVICE_BIND_IOMMUFD UFD_VFIO_COMMAND(18)

/** Give the device the translation of IOAS or HWPT @pt_id, in place of what it
 *  has; out: the id of the HWPT. */
struct vfio_device_attach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_DEVICE_ATTACH_PASID (1 << 0)
	uint32_t pt_id;
	uint32_t pasid;
};
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT UFD_VFIO_COMMAND(19)

/** Block the device. */
struct vfio_device_detach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_DEVICE_DETACH_PASID (1 << 0)
	uint32_t pasid;
};
#define VFIO_DEVICE_DETACH_IOMMUFD_PT UFD_VFIO_COMMAND(20)

#endif
