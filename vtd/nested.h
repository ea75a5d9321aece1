/* SPDX-License-Identifier: MIT */
/*
 * Nested domains: a user's first-stage table, whose every address is translated by the
 * second stage of a parent. VT-d specification 5.10, sections 3.8, 6.5.2.4 and 9.6.
 *
 * The table belongs to the user: the driver never writes it, and reads it only to show a
 * walk. What the user changes there it invalidates itself (invalidate_user); what changes
 * in the parent is flushed by the parent for all its children (flush.c).
 *
 * Checked when the domain is made, against the unit of the device that it is made for, and
 * again at each attachment, for another device's unit may have less.
 */
#ifndef VTD_NESTED_H
#define VTD_NESTED_H

#include "vtd/domain.h"

/** domain_alloc_user with @p base as parent. -EOPNOTSUPP: the unit does not nest, flags or data of a
 *  kind that is not known; -EINVAL: values that cannot be. Each with one line. */
int must_check vtd_nested_create(struct iommu_device *device, uint32_t flags,
                                 struct iommu_domain *base, const struct iommu_user_data *data,
                                 struct iommu_domain **out);
/** Leave the parent's list; part of freeing. */
void vtd_nested_unlink(struct vtd_domain *domain);
/** NULL, or what @p unit lacks for such a first stage on @p parent; a constant. */
const char *vtd_nested_misfit(const struct vtd_nested *nested, const struct vtd_domain *parent,
                              const struct vtd_unit *unit);

/** Both tables of a nested translation, as a PASID entry describes them. */
struct vtd_nested_tables {
	struct vtd_unit *unit;
	uint64_t second;        /* top of the second stage */
	unsigned second_levels; /* 3 to 5 */
	struct vtd_nested first;
};
/** Append the steps of @p at: before each first-stage entry, the second-stage steps that find
 *  its table; last, those of the page. (nested_walk.c) */
void vtd_nested_walk(const struct vtd_nested_tables *tables, iova_t at, uint32_t access,
                     struct iommu_walk *walk);

#endif
