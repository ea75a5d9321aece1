/* SPDX-License-Identifier: MIT */
/*
 * The domain operations of one page-table format: a template. A C file defines
 * PT_NAME, VTD_FORMAT (the name of the table to define), includes the format, the
 * engine, and then this. The page table's functions are called directly.
 * VTD_FORMAT_TRACKS 1: units can be told to keep the format's dirty flags, or not to.
 */
#include "vtd/domain.h"

static int format_map(struct iommu_domain *base, iova_t start, pa_t to, uint64_t bytes,
                      uint32_t rights, struct iommu_gather *gather)
{
	struct vtd_domain *domain = vtd_domain_of(base);
	int err = vtd_domain_may_map(domain, rights);

	if (__builtin_expect(err, 0))
		return err;
	if (__builtin_expect(__atomic_load_n(&domain->write_buffer, __ATOMIC_RELAXED), 0))
		gather->write_buffer = true;
	return PT_FN(map)(&domain->pt, start, to, bytes, rights, gather);
}

static size_t format_map_pages(struct iommu_domain *base, iova_t start,
                               const struct iommu_extent *extents, size_t count, uint32_t rights,
                               struct iommu_gather *gather)
{
	struct vtd_domain *domain = vtd_domain_of(base);

	if (vtd_domain_may_map(domain, rights))
		return 0;
	gather->write_buffer |= __atomic_load_n(&domain->write_buffer, __ATOMIC_RELAXED);
	return PT_FN(map_pages)(&domain->pt, start, extents, count, rights, gather);
}

static uint64_t format_unmap(struct iommu_domain *base, iova_t start, uint64_t bytes,
                             struct iommu_gather *gather)
{
	return PT_FN(unmap)(&vtd_domain_of(base)->pt, start, bytes, gather);
}

static void format_trim(struct iommu_domain *base, iova_t start, uint64_t bytes,
                        struct iommu_gather *gather)
{
	PT_FN(trim)(&vtd_domain_of(base)->pt, start, bytes, gather);
}

static bool format_lookup(struct iommu_domain *base, iova_t at, struct iommu_leaf *out)
{
	return PT_FN(lookup)(&vtd_domain_of(base)->pt, at, out);
}

static bool format_iova_to_phys(struct iommu_domain *base, iova_t at, pa_t *out)
{
	return PT_FN(iova_to_phys)(&vtd_domain_of(base)->pt, at, out);
}

static bool format_visit(struct iommu_domain *base, iova_t first, iova_t last,
                         bool (*visit)(void *arg, const struct iommu_leaf *leaf), void *arg)
{
	return PT_FN(visit)(&vtd_domain_of(base)->pt, first, last, visit, arg);
}

static void format_walk(struct iommu_domain *base, iova_t at, uint32_t access,
                        struct iommu_walk *walk)
{
	PT_FN(walk)(&vtd_domain_of(base)->pt, at, access, walk);
}

#if VTD_FORMAT_TRACKS
static void format_read_dirty(struct iommu_domain *base, iova_t first, iova_t last, bool clear,
                              void (*written)(void *arg, iova_t first, iova_t last), void *arg,
                              struct iommu_gather *gather)
{
	PT_FN(read_dirty)(&vtd_domain_of(base)->pt, first, last, clear, written, arg, gather);
}
#endif

const struct vtd_format VTD_FORMAT = {
	.ops =
		{
			.map = format_map,
			.map_pages = format_map_pages,
			.unmap = format_unmap,
			.trim = format_trim,
			.lookup = format_lookup,
			.iova_to_phys = format_iova_to_phys,
			.visit = format_visit,
			.walk = format_walk,
			.flush = vtd_domain_flush,
#if VTD_FORMAT_TRACKS
			.dirty_tracking = vtd_domain_dirty_tracking,
			.read_dirty = format_read_dirty,
#endif
			.free = vtd_domain_free,
		},
	.init = PT_FN(init),
	.destroy = PT_FN(destroy),
	.reserve = PT_FN(reserve),
	.walk = PT_FN(walk),
};
