/* SPDX-License-Identifier: MIT */
/*
 * Which device a DMAR scope names, and what follows from it: the unit that translates
 * for a device, and whether the device may or must use ATS. VT-d specification 5.10,
 * sections 8.3.1 (device scope), 8.5 (ATSR), 8.8 (SATC), 8.9 (SIDP).
 *
 * Paths are compared hop by hop with the bridges above the device, never with bus
 * numbers below the first: firmware wrote the table before buses were numbered.
 */
#include "vtd/dmar.h"

static bool hop_is(const struct vtd_dmar_scope *scope, unsigned n, const struct iommu_hop *hop)
{
	return scope->path[2 * n] == hop->devfn >> 3 && scope->path[2 * n + 1] == (hop->devfn & 7);
}

bool vtd_dmar_scope_names(const struct vtd_dmar_scope *scope, const struct iommu_device_desc *desc)
{
	if (scope->type != VTD_SCOPE_ENDPOINT && scope->type != VTD_SCOPE_BRIDGE)
		return false;

	/* A path may start below the root bus, so it is tried from each hop on its bus. */
	for (unsigned first = 0; first < desc->hop_count && first < IOMMU_MAX_HOPS; first++) {
		unsigned left = desc->hop_count - first;
		if (desc->hops[first].bus != scope->start_bus || scope->hop_count > left)
			continue;
		if (scope->type == VTD_SCOPE_ENDPOINT && scope->hop_count != left)
			continue;
		unsigned n = 0;
		while (n < scope->hop_count && hop_is(scope, n, &desc->hops[first + n]))
			n++;
		if (n == scope->hop_count)
			return true;
	}
	return false;
}

bool vtd_dmar_entry_names(const struct vtd_dmar *dmar, const struct vtd_dmar_entry *entry,
                          const struct iommu_device_desc *desc)
{
	uint32_t at = 0;
	struct vtd_dmar_scope scope;

	if (entry->segment != desc->segment)
		return false;
	while (vtd_dmar_scope_next(dmar, entry, &at, &scope))
		if (vtd_dmar_scope_names(&scope, desc))
			return true;
	return false;
}

enum iommu_claim vtd_dmar_claims(const struct vtd_dmar *dmar, const struct vtd_dmar_entry *drhd,
                                 const struct iommu_device_desc *desc)
{
	if (drhd->segment != desc->segment)
		return IOMMU_CLAIM_NO;
	if (vtd_dmar_entry_names(dmar, drhd, desc))
		return IOMMU_CLAIM_EXPLICIT;
	return drhd->flags & VTD_DRHD_INCLUDE_PCI_ALL ? IOMMU_CLAIM_REST : IOMMU_CLAIM_NO;
}

bool vtd_dmar_allows_ats(const struct vtd_dmar *dmar, const struct iommu_device_desc *desc)
{
	uint32_t at = 0;
	struct vtd_dmar_entry atsr;

	if (desc->hop_count <= 1)
		return true;
	while (vtd_dmar_next(dmar, VTD_DMAR_ATSR, &at, &atsr)) {
		if (atsr.segment != desc->segment)
			continue;
		if (atsr.flags & VTD_ATSR_ALL_PORTS || vtd_dmar_entry_names(dmar, &atsr, desc))
			return true;
	}
	return false;
}

bool vtd_dmar_requires_ats(const struct vtd_dmar *dmar, const struct iommu_device_desc *desc)
{
	bool by_sidp = dmar->count[VTD_DMAR_SIDP] != 0;
	uint32_t at = 0;
	struct vtd_dmar_entry entry;

	while (vtd_dmar_next(dmar, by_sidp ? VTD_DMAR_SIDP : VTD_DMAR_SATC, &at, &entry)) {
		uint32_t scope_at = 0;
		struct vtd_dmar_scope scope;
		if (entry.segment != desc->segment)
			continue;
		while (vtd_dmar_scope_next(dmar, &entry, &scope_at, &scope)) {
			bool required = by_sidp ? scope.flags & VTD_SCOPE_ATC_REQUIRED
			                        : entry.flags & VTD_SATC_ATC_REQUIRED;
			if (required && vtd_dmar_scope_names(&scope, desc))
				return true;
		}
	}
	return false;
}

bool vtd_dmar_scope_rid(const struct vtd_dmar_scope *scope, uint16_t segment,
                        bool (*secondary)(void *ctx, uint16_t segment, iommu_rid_t bridge,
                                          uint8_t *bus),
                        void *ctx, iommu_rid_t *out)
{
	uint8_t bus = scope->start_bus;

	for (unsigned n = 0; n < scope->hop_count; n++) {
		uint8_t device = scope->path[2 * n], function = scope->path[2 * n + 1];
		if (device > 31 || function > 7)
			return false;
		iommu_rid_t rid = RID(bus, device, function);
		if (n + 1u == scope->hop_count) {
			*out = rid;
			return true;
		}
		if (!secondary || !secondary(ctx, segment, rid, &bus))
			return false;
	}
	return false;
}
