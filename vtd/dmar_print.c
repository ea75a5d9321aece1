/* SPDX-License-Identifier: MIT */
/*
 * The DMAR table for people: one line a structure, one a scope.
 */
#include "vtd/dmar.h"

const char *vtd_dmar_scope_type_name(unsigned type)
{
	static const char *const names[VTD_SCOPE_TYPES] = {
		[VTD_SCOPE_ENDPOINT] = "endpoint", [VTD_SCOPE_BRIDGE] = "bridge",
		[VTD_SCOPE_IOAPIC] = "IOAPIC",     [VTD_SCOPE_HPET] = "HPET",
		[VTD_SCOPE_ANDD] = "ANDD device",
	};
	return type < VTD_SCOPE_TYPES && names[type] ? names[type] : "unknown";
}

static void print_scope(const struct vtd_dmar_scope *scope, const struct vtd_dmar_entry *entry,
                        struct iommu_print *to)
{
	iommu_printf(to, "    %s ", vtd_dmar_scope_type_name(scope->type));
	if (scope->type != VTD_SCOPE_ENDPOINT && scope->type != VTD_SCOPE_BRIDGE)
		iommu_printf(to, "%u ", scope->id);
	iommu_printf(to, "%04x:%02x:", entry->segment, scope->start_bus);
	for (unsigned n = 0; n < scope->hop_count; n++)
		iommu_printf(to, "%s%02x.%x", n ? "/" : "", scope->path[2 * n],
		             scope->path[2 * n + 1]);
	if (entry->type == VTD_DMAR_SIDP && scope->flags)
		iommu_printf(to, " flags %#x%s%s%s%s%s", scope->flags,
		             scope->flags & VTD_SCOPE_REQ_WO_PASID_NESTED_NOTALLOWED
		                     ? " REQ_WO_PASID_NESTED_NOTALLOWED"
		                     : "",
		             scope->flags & VTD_SCOPE_PWSNP_NOTALLOWED ? " PWSNP_NOTALLOWED" : "",
		             scope->flags & VTD_SCOPE_PGSNP_NOTALLOWED ? " PGSNP_NOTALLOWED" : "",
		             scope->flags & VTD_SCOPE_ATC_HARDENED ? " ATC_HARDENED" : "",
		             scope->flags & VTD_SCOPE_ATC_REQUIRED ? " ATC_REQUIRED" : "");
	iommu_printf(to, "\n");
}

static void print_entry(const struct vtd_dmar_entry *entry, struct iommu_print *to)
{
	const char *unusable = entry->usable ? "" : " (not usable)";

	iommu_printf(to, "  %s", vtd_dmar_type_name(entry->type));
	switch (entry->type) {
	case VTD_DMAR_DRHD:
		iommu_printf(to, " segment %u, registers %#llx (%#llx bytes)%s%s", entry->segment,
		             (unsigned long long)entry->base, (unsigned long long)entry->bytes,
		             entry->flags & VTD_DRHD_INCLUDE_PCI_ALL ? " INCLUDE_PCI_ALL" : "",
		             unusable);
		break;
	case VTD_DMAR_RMRR:
		iommu_printf(to, " segment %u, memory %#llx-%#llx%s", entry->segment,
		             (unsigned long long)entry->base, (unsigned long long)entry->limit,
		             unusable);
		break;
	case VTD_DMAR_ATSR:
		iommu_printf(to, " segment %u%s", entry->segment,
		             entry->flags & VTD_ATSR_ALL_PORTS ? " ALL_PORTS" : "");
		break;
	case VTD_DMAR_RHSA:
		iommu_printf(to, " registers %#llx, proximity domain %u",
		             (unsigned long long)entry->base, (unsigned)entry->proximity);
		break;
	case VTD_DMAR_ANDD:
		iommu_printf(to, " %u: %s%s", entry->device, entry->name, unusable);
		break;
	case VTD_DMAR_SATC:
		iommu_printf(to, " segment %u%s", entry->segment,
		             entry->flags & VTD_SATC_ATC_REQUIRED ? " ATC_REQUIRED" : "");
		break;
	case VTD_DMAR_SIDP:
		iommu_printf(to, " segment %u", entry->segment);
		break;
	default:
		iommu_printf(to, " type %u, %u bytes", entry->type, entry->length);
		break;
	}
	iommu_printf(to, "\n");
}

void vtd_dmar_print(const struct vtd_dmar *dmar, struct iommu_print *to)
{
	uint32_t at = 0;
	struct vtd_dmar_entry entry;

	iommu_printf(to, "DMAR revision %u, %u-bit host addresses, flags %#x%s%s%s\n",
	             dmar->revision, dmar->host_address_width, dmar->flags,
	             dmar->flags & VTD_DMAR_INTR_REMAP ? " INTR_REMAP" : "",
	             dmar->flags & VTD_DMAR_X2APIC_OPT_OUT ? " X2APIC_OPT_OUT" : "",
	             dmar->flags & VTD_DMAR_DMA_CTRL_PLATFORM_OPT_IN ? " DMA_CTRL_PLATFORM_OPT_IN"
	                                                             : "");
	while (vtd_dmar_next(dmar, VTD_DMAR_ANY, &at, &entry)) {
		uint32_t scope_at = 0;
		struct vtd_dmar_scope scope;
		print_entry(&entry, to);
		while (vtd_dmar_scope_next(dmar, &entry, &scope_at, &scope))
			print_scope(&scope, &entry, to);
	}
}
