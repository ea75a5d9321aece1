/* SPDX-License-Identifier: MIT */
/* The software walk from the root table, and the unit's description: see walk.c and
 * describe.c. */
#ifndef VTD_WALK_H
#define VTD_WALK_H

#include "vtd/unit.h"

/** As iommu_unit_ops. */
void vtd_walk(struct iommu_unit *base, iommu_rid_t rid, uint32_t pasid, iova_t at, uint32_t access,
              struct iommu_walk *walk);
void vtd_describe(struct iommu_unit *base, struct iommu_print *to);
void vtd_describe_stats(struct iommu_unit *base, struct iommu_print *to);

#endif
