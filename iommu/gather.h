/* SPDX-License-Identifier: MIT */
/*
 * Gathering: what must be invalidated after a change of tables, and the table
 * pages that may be freed only after that.
 */
#ifndef IOMMU_GATHER_H
#define IOMMU_GATHER_H

#include "iommu/types.h"

struct iommu_domain;

/** Invalidation, gathered over any number of maps and unmaps of one domain, then
 *  flushed once. The range is a hull; table pages wait here until the hardware
 *  cannot walk them any more. */
struct iommu_gather {
	struct iommu_domain *domain;
	iova_t first, last; /* hull of what to forget; first > last: nothing */
	bool tables;        /* a table entry changed, not leaves only */
	bool write_buffer;  /* the unit must drain its write buffer (RWBF) */
	pa_t pages;         /* chain of freed table pages, IOMMU_NO_PAGE ends it */
	uint64_t page_count;
};

#define IOMMU_NO_PAGE ((pa_t){~UINT64_C(0)})

static inline void iommu_gather_init(struct iommu_gather *gather, struct iommu_domain *domain)
{
	*gather = (struct iommu_gather){
		.domain = domain,
		.first = iova(~UINT64_C(0)),
		.last = iova(0),
		.pages = IOMMU_NO_PAGE,
	};
}
/** Add [first, last] to the hull. @p tables: a table entry in it changed. */
static inline void iommu_gather_add(struct iommu_gather *gather, iova_t first, iova_t last,
                                    bool tables)
{
	if (first.value < gather->first.value)
		gather->first = first;
	if (last.value > gather->last.value || gather->first.value > gather->last.value)
		gather->last = last;
	gather->tables |= tables;
}
static inline bool iommu_gather_empty(const struct iommu_gather *gather)
{
	return gather->first.value > gather->last.value;
}
/** Is there nothing that iommu_flush() would do? */
static inline bool iommu_gather_idle(const struct iommu_gather *gather)
{
	return iommu_gather_empty(gather) && gather->pages.value == ~UINT64_C(0) &&
	       !gather->write_buffer;
}
/** Chain a table page that hardware may still walk. The link is kept in the
 *  page's first qword, with its low 12 bits zero: not present in any format. */
void iommu_gather_page(struct iommu_gather *gather, pa_t page);
/** Give all chained pages back to the page allocator: after the flush only. */
void iommu_gather_release_chain(struct iommu_gather *gather);
static inline void iommu_gather_release(struct iommu_gather *gather)
{
	if (gather->pages.value != ~UINT64_C(0))
		iommu_gather_release_chain(gather);
}

#endif
