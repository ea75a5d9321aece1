/* SPDX-License-Identifier: MIT */
/*
 * One call that Linux does not have: let a device descriptor's device master DMA. There is
 * no device to be programmed behind the server's IOMMU, so a program says here what it
 * would have its device do. Everything else is <linux/iommufd.h> and <linux/vfio.h>.
 */
#ifndef HOST_SHIM_DMA_H
#define HOST_SHIM_DMA_H

#include <stdint.h>

/** The device reads [iova, iova + bytes) into the program's memory at @data, or, with
 *  NESTOR_DMA_WRITE, writes what is at @data there. @argsz is the structure's size.
 *  0; EFAULT: the IOMMU stopped it, or @data is not there; EINVAL: the device is not
 *  bound, the range wraps around, or is longer than NESTOR_DMA_MAX. A transfer that is
 *  stopped may have moved a part. */
struct nestor_device_dma {
	uint32_t argsz;
	uint32_t flags;
#define NESTOR_DMA_WRITE (1 << 0)
/** No transfer: the device asks for the page at @iova (PRI), to read it or with
 *  NESTOR_DMA_WRITE to write it; @bytes is the number of the request's group, below 512,
 *  @data 0. What becomes of it the device's fault queue says. On the mock only: else
 *  EOPNOTSUPP. */
#define NESTOR_DMA_PAGE_REQUEST (1 << 1)
	uint64_t iova;
	uint64_t bytes;
	uint64_t data;
};
#define NESTOR_DMA_MAX (64 * 1024)
/** _IO(';', 240) */
#define NESTOR_DEVICE_DMA 0x3bf0

#endif
