/* SPDX-License-Identifier: MIT */
/*
 * Cache tags, and making units forget what they hold under them: see domain.h. VT-d
 * specification 5.10, sections 6.5.2 (Tables 23, 24) and 6.5.2.13 (Table 28).
 *
 * What a change of a table owes, by the kind of entries that were cached:
 *
 *   second stage       IOTLB by page of the domain id, whatever the PASID
 *   first stage        PASID-based IOTLB by page, for every PASID
 *   parent of nested   IOTLB by domain, for the id of every child: it holds translations
 *                      by the child's addresses, which nobody can tell from the parent's
 *
 * and after that, for devices that translate for themselves, the same range of their caches;
 * of a nested domain's devices, everything. A flush makes one batch for each unit, and waits
 * once for each batch, with no lock held: a domain id or a device that goes meanwhile is
 * forgotten once more than it must be.
 */
#include "vtd/device_tlb.h"
#include "vtd/domain.h"
#include "vtd/submit.h"

void vtd_domain_lock(struct vtd_domain *domain)
{
	const struct iommu_os *os = vtd_unit_of(domain->base.unit)->os;
	os->lock(os->ctx, &domain->lock);
}

void vtd_domain_unlock(struct vtd_domain *domain)
{
	const struct iommu_os *os = vtd_unit_of(domain->base.unit)->os;
	os->unlock(os->ctx, &domain->lock);
}

/* ---- tags -------------------------------------------------------------------------- */

static struct vtd_tag *tag_find(const struct vtd_domain *domain, const struct vtd_unit *unit)
{
	for (struct vtd_tag *tag = domain->tags; tag; tag = tag->next)
		if (tag->unit == unit)
			return tag;
	return NULL;
}

uint16_t vtd_tag_did(const struct vtd_domain *domain, const struct vtd_unit *unit)
{
	return tag_find(domain, unit)->did;
}

int vtd_tag_get(struct vtd_domain *domain, struct vtd_unit *unit)
{
	struct vtd_tag *tag = tag_find(domain, unit);
	int err;

	if (tag) {
		tag->users++;
		return 0;
	}
	tag = unit->os->alloc(unit->os->ctx, sizeof(*tag));
	if (!tag)
		return -ENOMEM;
	err = vtd_domain_id_alloc(unit, &tag->did);
	if (err) {
		unit->os->free(unit->os->ctx, tag, sizeof(*tag));
		return err;
	}
	tag->unit = unit;
	tag->users = 1;
	vtd_domain_lock(domain);
	tag->next = domain->tags;
	domain->tags = tag;
	if (unit->caps.rwbf)
		__atomic_store_n(&domain->write_buffer, true, __ATOMIC_RELAXED);
	vtd_domain_unlock(domain);
	return 0;
}

/** A unit may go on using what the domain's entries led to. */
static void poison(struct vtd_domain *domain)
{
	for (struct vtd_domain *at = domain; at; at = at->parent) {
		at->poisoned = true;
		__atomic_store_n(&at->base.unforgotten, true, __ATOMIC_RELEASE);
	}
}

void vtd_tag_put(struct vtd_domain *domain, struct vtd_unit *unit, bool forgotten)
{
	struct vtd_tag *tag = tag_find(domain, unit), **at = &domain->tags;
	struct vtd_batch batch;

	if (!forgotten)
		poison(domain);
	if (--tag->users)
		return;
	vtd_domain_lock(domain);
	while (*at != tag)
		at = &(*at)->next;
	*at = tag->next;
	vtd_domain_unlock(domain);

	vtd_batch_begin(&batch, unit);
	vtd_batch_add_domain(&batch, tag->did);
	/* The tables are out of use by now, whatever comes of this: what led to them was
	 * forgotten when the last entry changed. */
	if (vtd_batch_end(&batch) == 0 && forgotten)
		vtd_domain_id_free(unit, tag->did);
	else
		vtd_log(unit, IOMMU_LOG_WARNING,
		        "domain id %u stays out of use: the unit did not confirm that it forgot it",
		        tag->did);
	unit->os->free(unit->os->ctx, tag, sizeof(*tag));
}

void vtd_tag_list(struct vtd_domain *domain, struct vtd_unit *unit, struct vtd_attachment *entry,
                  struct vtd_device *device, uint32_t pasid)
{
	struct vtd_attachment **at = &tag_find(domain, unit)->attachments;

	entry->device = device;
	entry->pasid = pasid;
	vtd_domain_lock(domain);
	while (*at && (*at)->pasid < pasid)
		at = &(*at)->next;
	entry->next = *at;
	*at = entry;
	vtd_domain_unlock(domain);
}

void vtd_tag_unlist(struct vtd_domain *domain, struct vtd_unit *unit, struct vtd_attachment *entry)
{
	struct vtd_attachment **at = &tag_find(domain, unit)->attachments;

	vtd_domain_lock(domain);
	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	vtd_domain_unlock(domain);
}

void vtd_binding_set(struct vtd_unit *unit, struct vtd_device *device, struct vtd_binding *binding,
                     struct vtd_domain *domain)
{
	unsigned old = binding->current;

	if (domain) {
		binding->current = !old;
		vtd_tag_list(domain, unit, &binding->attachments[binding->current], device,
		             binding->pasid);
	}
	if (binding->domain)
		vtd_tag_unlist(binding->domain, unit, &binding->attachments[old]);
	binding->domain = domain;
}

void vtd_batch_add_bindings(struct vtd_batch *batch, struct vtd_device *device)
{
	for (struct vtd_binding *at = &device->rid; at;
	     at = at == &device->rid ? device->pasids : at->next)
		if (at->domain)
			vtd_batch_add_domain(batch, vtd_tag_did(at->domain, batch->unit));
}

/* ---- flushing ---------------------------------------------------------------------- */

/** What a change within [first, last] of the domain's own table owes on the tag's unit. */
static void add_own(struct vtd_batch *batch, const struct vtd_domain *domain,
                    const struct vtd_tag *tag, iova_t first, iova_t last, bool leaves_only)
{
	const struct vtd_attachment *before = NULL;

	if (domain->base.stage != IOMMU_STAGE_FIRST)
		vtd_batch_add_range(batch, tag->did, first, last, leaves_only);
	for (const struct vtd_attachment *at = tag->attachments;
	     at && domain->base.stage == IOMMU_STAGE_FIRST; at = at->next) {
		if (!before || before->pasid != at->pasid)
			vtd_batch_add_pasid_range(batch, tag->did, at->pasid, first, last,
			                          leaves_only);
		before = at;
	}
	vtd_batch_add_tag_range(batch, tag, first, last);
}

/** The unit with the lowest address above @p above where the domain or a child has a tag;
 *  NULL: none. The domain is locked. */
static struct vtd_unit *next_unit(struct vtd_domain *domain, const struct vtd_unit *above)
{
	struct vtd_unit *next = NULL;

	for (struct vtd_domain *at = domain; at; at = at == domain ? at->children : at->sibling) {
		if (at != domain)
			vtd_domain_lock(at);
		for (struct vtd_tag *tag = at->tags; tag; tag = tag->next)
			if ((uintptr_t)tag->unit > (uintptr_t)above &&
			    (!next || (uintptr_t)tag->unit < (uintptr_t)next))
				next = tag->unit;
		if (at != domain)
			vtd_domain_unlock(at);
	}
	return next;
}

/** One unit's part of a flush. The domain is locked, and then it is not. */
static int flush_unit(struct vtd_domain *domain, struct vtd_unit *unit,
                      const struct iommu_gather *gather, iova_t last)
{
	struct vtd_tag *tag = tag_find(domain, unit);
	struct vtd_batch batch;
	int err = 0;

	vtd_batch_begin(&batch, unit);
	vtd_count(&unit->stats.flushes);
	if (gather->write_buffer)
		err = vtd_flush_write_buffer(unit);
	if (!iommu_gather_empty(gather)) {
		if (tag)
			add_own(&batch, domain, tag, gather->first, last, !gather->tables);
		for (struct vtd_domain *child = domain->children; child; child = child->sibling) {
			vtd_domain_lock(child);
			tag = tag_find(child, unit);
			if (tag) {
				vtd_batch_add(&batch, vtd_desc_iotlb(VTD_IOTLB_DOMAIN, tag->did));
				vtd_batch_add_tag_all(&batch, tag);
			}
			vtd_domain_unlock(child);
		}
	}
	vtd_domain_unlock(domain);
	int flush_err = vtd_batch_end(&batch);
	return err ? err : flush_err;
}

/** On every unit where the domain or a child has a tag. The domain is locked, and then it is
 *  not. */
static __attribute__((noinline)) int flush_units(struct vtd_domain *domain,
                                                 const struct iommu_gather *gather, iova_t last)
{
	int result = 0;

	for (struct vtd_unit *unit = next_unit(domain, NULL); unit;
	     unit = next_unit(domain, unit)) {
		int err = flush_unit(domain, unit, gather, last);
		result = result ? result : err;
		vtd_domain_lock(domain);
	}
	vtd_domain_unlock(domain);
	return result;
}

/** Is all that a change owes on the only tag's unit one descriptor, *out? The usual flush: of a
 *  second stage, and no device keeps translations. The domain is locked. */
static inline bool one_descriptor(const struct vtd_domain *domain, const struct vtd_tag *tag,
                                  const struct iommu_gather *gather, iova_t last,
                                  struct vtd_descriptor *out)
{
	if (domain->base.stage != IOMMU_STAGE_SECOND || gather->write_buffer ||
	    !vtd_one_block(tag->unit, tag->did, gather->first, last, !gather->tables, out))
		return false;
	for (const struct vtd_attachment *at = tag->attachments; at; at = at->next)
		if (vtd_device_has_tlb(at->device))
			return false;
	return true;
}

/** Any flush. */
static __attribute__((noinline)) int flush_any(struct vtd_domain *domain,
                                               const struct iommu_gather *gather, iova_t last)
{
	vtd_domain_lock(domain);
	const struct vtd_tag *tag = domain->tags;
	if (!domain->children && tag && !tag->next)
		return flush_unit(domain, tag->unit, gather, last);
	return flush_units(domain, gather, last);
}

int vtd_domain_flush(struct iommu_domain *base, struct iommu_gather *gather)
{
	struct vtd_domain *domain = vtd_domain_of(base);
	struct vtd_descriptor one;
	struct vtd_unit *unit = NULL;
	int result = 0;

	if (__builtin_expect(!iommu_gather_empty(gather) || gather->write_buffer, 1)) {
		iova_t last = gather->last;
		if (last.value > base->last.value)
			last = base->last;
		vtd_domain_lock(domain);
		const struct vtd_tag *tag = domain->tags;
		if (__builtin_expect(tag && !tag->next && !domain->children &&
		                             one_descriptor(domain, tag, gather, last, &one),
		                     1))
			unit = tag->unit;
		vtd_domain_unlock(domain);
		if (__builtin_expect(unit != NULL, 1)) {
			vtd_count(&unit->stats.flushes);
			result = vtd_submit(unit, &one, 1);
		} else {
			result = flush_any(domain, gather, last);
		}
	}
	/* A unit where the domain is attached no more may hold what is asked for. */
	if (__builtin_expect(__atomic_load_n(&base->unforgotten, __ATOMIC_ACQUIRE), 0) && !result)
		result = -EIO;
	if (!result)
		iommu_gather_release(gather);
	return result;
}
