/* SPDX-License-Identifier: MIT */
/*
 * VFIO's calls on a container, that /dev/iommu takes too so that programs of VFIO's type 1
 * run on it: names, numbers and structures as in Linux's <linux/vfio.h>. Written for this
 * project. They work on the IOAS that IOMMU_VFIO_IOAS names.
 */
#ifndef UFD_VFIO_TYPE1_H
#define UFD_VFIO_TYPE1_H

#include "ufd/vfio.h"

#define VFIO_API_VERSION     0

#define VFIO_GET_API_VERSION UFD_VFIO_COMMAND(0)
#define VFIO_CHECK_EXTENSION UFD_VFIO_COMMAND(1)
#define VFIO_SET_IOMMU       UFD_VFIO_COMMAND(2)
#define VFIO_IOMMU_GET_INFO  UFD_VFIO_COMMAND(12)
#define VFIO_IOMMU_MAP_DMA   UFD_VFIO_COMMAND(13)
#define VFIO_IOMMU_UNMAP_DMA UFD_VFIO_COMMAND(14)

/* Extensions, and what SET_IOMMU takes. */
#define VFIO_TYPE1_IOMMU         1
#define VFIO_TYPE1v2_IOMMU       3
#define VFIO_DMA_CC_IOMMU        4
#define VFIO_TYPE1_NESTING_IOMMU 6
#define VFIO_NOIOMMU_IOMMU       8
#define VFIO_UNMAP_ALL           9
#define VFIO_UPDATE_VADDR        10

/** @argsz: bytes that the caller has; out: bytes that there are. With room for all,
 *  @cap_offset is where the first capability stands, else 0. */
struct vfio_iommu_type1_info {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_IOMMU_INFO_PGSIZES (1 << 0)
#define VFIO_IOMMU_INFO_CAPS    (1 << 1)
	uint64_t iova_pgsizes;
	uint32_t cap_offset;
	uint32_t pad;
};

struct vfio_info_cap_header {
	uint16_t id;
	uint16_t version;
	uint32_t next; /* offset from the structure's start; 0: none */
};

#define VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE 1
struct vfio_iova_range {
	uint64_t start;
	uint64_t end; /* inclusive */
};
struct vfio_iommu_type1_info_cap_iova_range {
	struct vfio_info_cap_header header;
	uint32_t nr_iovas;
	uint32_t reserved;
	struct vfio_iova_range iova_ranges[];
};

#define VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL 3
/** Mappings that can still be made: no limit is kept here, so the largest number. */
struct vfio_iommu_type1_info_dma_avail {
	struct vfio_info_cap_header header;
	uint32_t avail;
};

struct vfio_iommu_type1_dma_map {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_DMA_MAP_FLAG_READ  (1 << 0)
#define VFIO_DMA_MAP_FLAG_WRITE (1 << 1)
#define VFIO_DMA_MAP_FLAG_VADDR (1 << 2) /* not here */
	uint64_t vaddr;
	uint64_t iova;
	uint64_t size;
};

/** Out: @size, the bytes that were unmapped. */
struct vfio_iommu_type1_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
#define VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP (1 << 0) /* not here */
#define VFIO_DMA_UNMAP_FLAG_ALL              (1 << 1) /* with @iova and @size 0 */
#define VFIO_DMA_UNMAP_FLAG_VADDR            (1 << 2) /* not here */
	uint64_t iova;
	uint64_t size;
};

#endif
