/* SPDX-License-Identifier: MIT */
/* A unit for people: registers and capabilities in words, and counts. */
#include "vtd/walk.h"

#include "vtd/fault.h"
#include "vtd/queue.h"

static const char *on_off(uint32_t bit)
{
	return bit ? "on" : "off";
}

static void describe_status(struct vtd_unit *unit, struct iommu_print *to)
{
	uint32_t gsts = vtd_read(&unit->window, VTD_REG_GSTS);
	bool any = false;

	iommu_printf(to, "  GSTS  0x%08x:", gsts);
	for (unsigned bit = 32; bit-- > 0;) {
		const char *name = vtd_status_name(bit);
		if (!(gsts >> bit & 1))
			continue;
		if (name)
			iommu_printf(to, " %s", name);
		else
			iommu_printf(to, " bit%u", bit);
		any = true;
	}
	iommu_printf(to, "%s (translation %s, queue %s, interrupt remapping %s)\n",
	             any ? "" : " none", on_off(gsts & VTD_GSTS_TES), on_off(gsts & VTD_GSTS_QIES),
	             on_off(gsts & VTD_GSTS_IRES));
}

static void describe_faults(struct vtd_unit *unit, struct iommu_print *to)
{
	uint32_t fsts = vtd_read(&unit->window, VTD_REG_FSTS);
	uint32_t fectl = vtd_read(&unit->window, VTD_REG_FECTL);

	iommu_printf(
		to, "  FSTS  0x%08x:%s%s%s%s%s%s, %s\n", fsts,
		fsts & VTD_FSTS_PFO ? " PFO (log overflow)" : "",
		fsts & VTD_FSTS_PPF ? " PPF (faults pending)" : "",
		fsts & VTD_FSTS_IQE ? " IQE (queue error)" : "",
		fsts & VTD_FSTS_ICE ? " ICE (completion error)" : "",
		fsts & VTD_FSTS_ITE ? " ITE (device time-out)" : "",
		fsts & (VTD_FSTS_PFO | VTD_FSTS_PPF | VTD_FSTS_IQE | VTD_FSTS_ICE | VTD_FSTS_ITE)
			? ""
			: " nothing pending",
		fectl & VTD_EVENT_IM ? "fault event masked" : "fault event on");
}

void vtd_describe(struct iommu_unit *base, struct iommu_print *to)
{
	struct vtd_unit *unit = vtd_unit_of(base);
	uint64_t rtaddr = vtd_read(&unit->window, VTD_REG_RTADDR);
	static const char *const ttm[] = {"legacy", "scalable", "reserved", "abort-DMA"};

	iommu_printf(to, "%s: registers at %#llx, segment %u, %u-bit host addresses%s\n",
	             unit->base.name, (unsigned long long)unit->registers.value, unit->base.segment,
	             unit->host_bits,
	             unit->drhd.flags & VTD_DRHD_INCLUDE_PCI_ALL ? ", all other devices" : "");
	vtd_caps_print(&unit->caps, to, "  ");
	describe_status(unit, to);
	describe_faults(unit, to);
	iommu_printf(to, "  Mode  %s, %s%s\n", unit->scalable ? "scalable" : "legacy",
	             unit->live ? "enabled" : "not enabled", unit->broken ? ", broken" : "");
	if (unit->refusal)
		iommu_printf(to, "        cannot be enabled: %s\n", unit->refusal);
	iommu_printf(to, "  Root  %#llx (RTADDR %#llx: %s)\n", (unsigned long long)unit->root.value,
	             (unsigned long long)rtaddr, ttm[field_get(VTD_RTADDR_TTM, rtaddr)]);
	if (unit->queue_on)
		iommu_printf(
			to, "  Queue %u descriptors of %u bits at %#llx, head %#llx, tail %#llx\n",
			unit->slots, unit->slot_bytes * 8, (unsigned long long)unit->queue.value,
			(unsigned long long)vtd_read(&unit->window, VTD_REG_IQH),
			(unsigned long long)vtd_read(&unit->window, VTD_REG_IQT));
	else
		iommu_printf(to, "  Queue off%s\n",
		             unit->live ? ": invalidation by registers" : "");
	if (unit->pages_on)
		iommu_printf(to, "  Pages %u requests at %#llx, head %#llx, tail %#llx\n",
		             (unsigned)(PAGE_SIZE_4K << VTD_PAGES_ORDER) /
		                     (unsigned)sizeof(struct vtd_page_request),
		             (unsigned long long)unit->pages.value,
		             (unsigned long long)vtd_read(&unit->window, VTD_REG_PQH),
		             (unsigned long long)vtd_read(&unit->window, VTD_REG_PQT));
}

void vtd_describe_stats(struct iommu_unit *base, struct iommu_print *to)
{
	static const char *const names[VTD_DESC_TYPES] = {
		[VTD_DESC_CONTEXT] = "context",
		[VTD_DESC_IOTLB] = "iotlb",
		[VTD_DESC_DEV_TLB] = "device-tlb",
		[VTD_DESC_IEC] = "interrupt-entry",
		[VTD_DESC_WAIT] = "wait",
		[VTD_DESC_P_IOTLB] = "pasid-iotlb",
		[VTD_DESC_PASID] = "pasid",
		[VTD_DESC_P_DEV_TLB] = "pasid-device-tlb",
		[VTD_DESC_PAGE_RESPONSE] = "page-response",
		[VTD_DESC_HPT] = "hpt",
	};
	struct vtd_unit *unit = vtd_unit_of(base);
	const struct vtd_stats *stats = &unit->stats;
	bool any = false;

	iommu_printf(to, "%s: descriptors:", unit->base.name);
	for (unsigned type = 0; type < VTD_DESC_TYPES; type++) {
		if (!names[type] || !stats->descriptors[type])
			continue;
		iommu_printf(to, " %s %llu", names[type],
		             (unsigned long long)stats->descriptors[type]);
		any = true;
	}
	iommu_printf(to, "%s\n", any ? "" : " none");
	iommu_printf(to,
	             "  flushes %llu, %llu that shared a wait; register commands %llu, queue "
	             "errors %llu\n",
	             (unsigned long long)stats->flushes, (unsigned long long)stats->merged,
	             (unsigned long long)stats->register_commands,
	             (unsigned long long)stats->queue_errors);
	iommu_printf(to, "  register reads %llu, writes %llu; cache lines cleaned %llu\n",
	             (unsigned long long)unit->window.reads,
	             (unsigned long long)unit->window.writes, (unsigned long long)stats->cleans);
	iommu_printf(to, "  domains %llu, domain ids in use %u of %u\n",
	             (unsigned long long)stats->domains, unit->domain_ids_used,
	             vtd_domain_id_limit(&unit->caps) - 1);
	if (unit->pages.value)
		iommu_printf(to, "  page requests %llu, overflows of their queue %llu\n",
		             (unsigned long long)stats->pages,
		             (unsigned long long)stats->pages_lost);
	if (unit->caps.dt)
		iommu_printf(to, "  devices that did not answer an invalidation %llu\n",
		             (unsigned long long)stats->silent);
	iommu_printf(to, "  faults %llu, overflows of the log %llu\n",
	             (unsigned long long)stats->faults, (unsigned long long)stats->faults_lost);
}
