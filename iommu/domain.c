/* SPDX-License-Identifier: MIT */
/*
 * Domains: made by a driver for a user, mapped and unmapped by extents, flushed. See
 * iommu/iommu.h.
 *
 * domain_alloc_user is the one way to a user's domain. What holds for every driver
 * is checked here, before and after the driver's part: a flag that is not known is
 * refused, and a driver that was asked for a parent of nested domains cannot answer
 * with another format.
 */
#include "iommu/private.h"
#include "iommu/string.h"

#define ALL_FLAGS                                                                                  \
	((uint32_t)(IOMMU_ALLOC_NEST_PARENT | IOMMU_ALLOC_DIRTY_TRACKING |                         \
	            IOMMU_ALLOC_FAULT_ID_VALID | IOMMU_ALLOC_PASID))
/* A nested domain's parent does the dirty tracking, and nesting goes one deep. */
#define PAGING_FLAGS ((uint32_t)(IOMMU_ALLOC_NEST_PARENT | IOMMU_ALLOC_DIRTY_TRACKING))

/** Can a domain for @p device be nested on @p parent? 0, -EOPNOTSUPP, -EINVAL. */
static int parent_fits(const struct iommu_device *device, uint32_t flags,
                       const struct iommu_domain *parent, const struct iommu_user_data *data)
{
	if (flags & PAGING_FLAGS || !data || !data->bytes)
		return -EOPNOTSUPP;
	if (parent->stage != IOMMU_STAGE_SECOND || !(parent->flags & IOMMU_ALLOC_NEST_PARENT) ||
	    parent->iommu != device->iommu || parent->unit->ops != device->unit->ops)
		return -EINVAL;
	if (parent->not_nestable) {
		iommu_log(device->iommu->os, IOMMU_LOG_ERROR,
		          "%s: no nested domain: the parent was granted for experiments, %s cannot "
		          "nest",
		          device->desc.name, device->unit->name);
		return -EOPNOTSUPP;
	}
	return 0;
}

/** Did the driver make what it was asked for? */
static bool domain_is_as_asked(const struct iommu_domain *domain, uint32_t flags,
                               const struct iommu_domain *parent)
{
	if (parent)
		return domain->stage == IOMMU_STAGE_NESTED;
	if (flags & IOMMU_ALLOC_NEST_PARENT)
		return domain->stage == IOMMU_STAGE_SECOND;
	return domain->stage == IOMMU_STAGE_FIRST || domain->stage == IOMMU_STAGE_SECOND;
}

static int domain_alloc_locked(struct iommu_device *device, uint32_t flags,
                               struct iommu_domain *parent, const struct iommu_user_data *data,
                               struct iommu_domain **out)
{
	struct iommu_domain *domain = NULL;
	int error;

	if (!device->unit)
		return -ENODEV;
	if (parent) {
		error = parent_fits(device, flags, parent, data);
		if (error)
			return error;
	}
	error = device->unit->ops->domain_alloc_user(device, flags, parent, data, &domain);
	if (error)
		return error;
	domain->iommu = device->iommu;
	domain->flags = flags;
	domain->parent = parent;
	domain->children = 0;
	domain->attachments = 0;
	if (!domain_is_as_asked(domain, flags, parent)) {
		iommu_log(device->iommu->os, IOMMU_LOG_ERROR,
		          "%s: the driver answered domain_alloc_user flags %#x with \"%s\"",
		          device->unit->name, flags, domain->format);
		domain->ops->free(domain);
		return -EOPNOTSUPP;
	}
	if (parent)
		parent->children++;
	*out = domain;
	return 0;
}

int iommu_domain_alloc_user(struct iommu_device *device, uint32_t flags,
                            struct iommu_domain *parent, const struct iommu_user_data *data,
                            struct iommu_domain **out)
{
	if (flags & ~ALL_FLAGS)
		return -EOPNOTSUPP;
	iommu_lock(device->iommu);
	int error = domain_alloc_locked(device, flags, parent, data, out);
	iommu_unlock(device->iommu);
	return error;
}

int iommu_domain_alloc_identity(struct iommu_device *device, struct iommu_domain **out)
{
	struct iommu_domain *domain = NULL;

	if (!device->unit)
		return -ENODEV;
	if (!device->unit->ops->domain_alloc_identity)
		return -EOPNOTSUPP;
	iommu_lock(device->iommu);
	int error = device->unit->ops->domain_alloc_identity(device, &domain);
	if (!error) {
		domain->iommu = device->iommu;
		domain->children = 0;
		domain->attachments = 0;
		*out = domain;
	}
	iommu_unlock(device->iommu);
	return error;
}

int iommu_domain_free(struct iommu_domain *domain)
{
	struct iommu *iommu = domain->iommu;
	int error = 0;

	iommu_lock(iommu);
	if (domain->attachments || domain->children) {
		error = -EBUSY;
	} else {
		if (domain->parent)
			domain->parent->children--;
		domain->ops->free(domain);
	}
	iommu_unlock(iommu);
	return error;
}

int iommu_domain_invalidate_user(struct iommu_domain *domain, struct iommu_user_array *array)
{
	array->done = 0;
	if (domain->stage != IOMMU_STAGE_NESTED || !domain->ops->invalidate_user)
		return -EOPNOTSUPP;
	return domain->ops->invalidate_user(domain, array);
}

int iommu_user_data_copy(const struct iommu_user_data *data, uint32_t type, void *out, size_t known,
                         size_t least)
{
	if (!data || data->type != type || data->bytes < least)
		return -EINVAL;
	const uint8_t *start = data->start;
	for (size_t i = known; i < data->bytes; i++)
		if (start[i])
			return -E2BIG;
	size_t bytes = data->bytes < known ? data->bytes : known;
	memcpy(out, start, bytes);
	memset((uint8_t *)out + bytes, 0, known - bytes);
	return 0;
}

/* ---- mapping --------------------------------------------------------------- */

/** After a failed flush hardware may still walk the pages: nobody gets them again. */
static __attribute__((noinline)) void lose_pages(struct iommu_gather *gather)
{
	const struct iommu_domain *domain = gather->domain;

	if (gather->page_count)
		iommu_log(domain->iommu->os, IOMMU_LOG_ERROR,
		          "%s: %llu table pages are lost: the unit did not confirm their "
		          "invalidation",
		          domain->unit->name, (unsigned long long)gather->page_count);
	gather->pages = IOMMU_NO_PAGE;
	gather->page_count = 0;
}

int iommu_flush(struct iommu_gather *gather)
{
	struct iommu_domain *domain = gather->domain;
	int error = 0;

	if (iommu_gather_idle(gather))
		return 0;
	if (domain->ops->flush)
		error = domain->ops->flush(domain, gather);
	if (__builtin_expect(!error, 1))
		iommu_gather_release(gather);
	else
		lose_pages(gather);
	gather->first = iova(~UINT64_C(0));
	gather->last = iova(0);
	gather->tables = gather->write_buffer = false;
	return error;
}

/** The extents' length, from @p start on, must fit @p domain. 0 or -EINVAL. */
static int extents_fit(const struct iommu_domain *domain, iova_t start,
                       const struct iommu_extent *extents, size_t count)
{
	uint64_t smallest = domain->page_sizes & -domain->page_sizes;
	uint64_t bytes = 0;

	if (!domain->ops->map || !smallest || !count || start.value & (smallest - 1))
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		const struct iommu_extent *extent = &extents[i];
		if (!extent->bytes || (extent->start.value | extent->bytes) & (smallest - 1) ||
		    extent->start.value + extent->bytes - 1 < extent->start.value ||
		    bytes + extent->bytes < bytes)
			return -EINVAL;
		bytes += extent->bytes;
	}
	uint64_t last = start.value + bytes - 1;
	return last < start.value || start.value < domain->first.value || last > domain->last.value
	               ? -EINVAL
	               : 0;
}

/** Several extents, checked: neighbours in memory are one, for larger pages may fit. */
static __attribute__((noinline)) int map_extents(struct iommu_domain *domain, iova_t start,
                                                 const struct iommu_extent *extents, size_t count,
                                                 uint32_t rights, struct iommu_gather *gather)
{
	uint64_t done = 0;
	int error = 0;

	for (size_t i = 0; i < count && !error;) {
		if (extents[i].bytes == PAGE_SIZE_4K && domain->ops->map_pages) {
			size_t quick =
				domain->ops->map_pages(domain, iova_add(start, done), &extents[i],
			                               count - i, rights, gather);
			done += quick * PAGE_SIZE_4K;
			i += quick;
			if (i == count)
				break;
		}
		pa_t memory = extents[i].start;
		uint64_t bytes = extents[i++].bytes;
		while (i < count && extents[i].start.value == memory.value + bytes)
			bytes += extents[i++].bytes;
		error = domain->ops->map(domain, iova_add(start, done), memory, bytes, rights,
		                         gather);
		if (!error)
			done += bytes;
	}
	if (error && done)
		domain->ops->unmap(domain, start, done, gather);
	return error;
}

int iommu_map(struct iommu_domain *domain, iova_t start, const struct iommu_extent *extents,
              size_t count, uint32_t rights, struct iommu_gather *gather)
{
	if (__builtin_expect(count == 1, 1)) {
		const uint64_t memory = extents->start.value, bytes = extents->bytes;
		const uint64_t last = start.value + (bytes - 1);
		const uint64_t below = (domain->page_sizes & -domain->page_sizes) - 1;

		/* `below` of a domain without page sizes is all ones */
		if (!bytes || (start.value | memory | bytes) & below || last < start.value ||
		    start.value < domain->first.value || last > domain->last.value ||
		    memory + (bytes - 1) < memory || !domain->ops->map)
			return -EINVAL;
		return domain->ops->map(domain, start, extents->start, bytes, rights, gather);
	}
	int error = extents_fit(domain, start, extents, count);
	return error ? error : map_extents(domain, start, extents, count, rights, gather);
}

int iommu_map_runs(struct iommu_domain *domain, iova_t start, const struct iommu_extent *extents,
                   size_t count, uint64_t bytes, uint32_t rights, struct iommu_gather *gather)
{
	const uint64_t last = start.value + (bytes - 1);
	const uint64_t below = (domain->page_sizes & -domain->page_sizes) - 1;

	/* larger pages than all runs are made of: each is looked at */
	if (below & ~(PAGE_SIZE_4K - 1))
		return iommu_map(domain, start, extents, count, rights, gather);
	if (!bytes || start.value & below || last < start.value ||
	    start.value < domain->first.value || last > domain->last.value || !domain->ops->map)
		return -EINVAL;
	return map_extents(domain, start, extents, count, rights, gather);
}

bool iommu_iova_to_phys(struct iommu_domain *domain, iova_t at, pa_t *out)
{
	struct iommu_leaf leaf;

	if (domain->ops->iova_to_phys)
		return domain->ops->iova_to_phys(domain, at, out);
	if (!domain->ops->lookup || !domain->ops->lookup(domain, at, &leaf))
		return false;
	*out = pa_add(leaf.pa, at.value - leaf.iova.value);
	return true;
}

void iommu_trim(struct iommu_domain *domain, iova_t start, uint64_t bytes,
                struct iommu_gather *gather)
{
	uint64_t last = start.value + (bytes - 1);

	if (!domain->ops->trim || !bytes || last < start.value || start.value > domain->last.value)
		return;
	if (last > domain->last.value)
		last = domain->last.value;
	domain->ops->trim(domain, start, last - start.value + 1, gather);
}

uint64_t iommu_unmap(struct iommu_domain *domain, iova_t start, uint64_t bytes,
                     struct iommu_gather *gather)
{
	if (!domain->ops->unmap || !bytes || start.value + bytes - 1 < start.value)
		return 0;
	return domain->ops->unmap(domain, start, bytes, gather);
}
