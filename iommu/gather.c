/* SPDX-License-Identifier: MIT */
/*
 * Gathering of invalidations and of table pages: see iommu/gather.h.
 *
 * The chain of pages is kept in the pages themselves. Hardware may still read
 * them, so a link must not look present: its low 12 bits are zero, and the end
 * of the chain, IOMMU_NO_PAGE, is kept with its low 12 bits cut off.
 */
#include "iommu/gather.h"

#include "iommu/ops.h"

#define LINK_MASK (~(PAGE_SIZE_4K - 1))

void iommu_gather_page(struct iommu_gather *gather, pa_t page)
{
	uint64_t *link = iommu_os_va(iommu_os(gather->domain->iommu), page);

	__atomic_store_n(link, gather->pages.value & LINK_MASK, __ATOMIC_RELAXED);
	gather->pages = page;
	gather->page_count++;
}

void iommu_gather_release_chain(struct iommu_gather *gather)
{
	while (gather->pages.value != IOMMU_NO_PAGE.value) {
		const struct iommu_os *os = iommu_os(gather->domain->iommu);
		pa_t page = gather->pages;
		const uint64_t *link = iommu_os_va(os, page);
		uint64_t next = __atomic_load_n(link, __ATOMIC_RELAXED);
		gather->pages = next == LINK_MASK ? IOMMU_NO_PAGE : pa(next);
		os->page_free(os->ctx, page, 0);
	}
	gather->page_count = 0;
}
