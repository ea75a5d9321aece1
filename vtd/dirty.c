/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking in the second stage. VT-d specification 5.10, sections 3.7.2 (accessed and
 * dirty flags), 9.6 (SSADE) and 6.5.2.13 (Table 28: what a change of SSADE owes).
 *
 * A unit sets the dirty flag of a leaf when it writes through it, if the PASID entry that
 * led there has SSADE set. Entries with one second-stage pointer must agree about SSADE
 * (section 6.2.3): so it is switched in all entries of a domain and of the domains nested on
 * it, and only then, tag by tag, are the units told. vtd_device_program() gives SSADE to
 * entries that are written later.
 *
 * What the IOTLB holds may have been cached before tracking began, or as dirty: nothing would
 * be marked through it. So the IOTLB forgets the domain when SSADE is set, and whoever clears
 * dirty flags flushes what was cleared before he reports it.
 *
 * Locking: the domain's lock is held from the decision to the units' answer. It keeps
 * vtd_device_program() from writing entries that lead to this domain's table; entries that it
 * turns away at the same time are recognised by their pointer, and left alone.
 */
#include "vtd/device_tlb.h"
#include "vtd/domain.h"
#include "vtd/pasid.h"

const char *vtd_dirty_misfit(const struct vtd_unit *unit)
{
	if (!unit->scalable)
		return "dirty tracking (the unit is in legacy mode)";
	if (!unit->caps.ssads)
		return "dirty tracking (ECAP.SSADS is 0)";
	/* Flags are set in tables that are snooped; else every request faults (7Ch). */
	if (!unit->caps.smpwcs)
		return "dirty tracking (ECAP.SMPWCS is 0: table walks do not snoop)";
	if (!vtd_can_second(unit))
		return "dirty tracking (ECAP.SSTS is 0: no second stage)";
	return NULL;
}

bool vtd_can_track_dirty(struct iommu_device *device)
{
	return !vtd_dirty_misfit(vtd_unit_of(device->unit));
}

/* ---- entries --------------------------------------------------------------------- */

/** Switch SSADE in an entry, if it leads to the table of @p owner. */
static void entry_switch(struct vtd_unit *unit, uint64_t *entry, const struct vtd_domain *owner,
                         bool on)
{
	uint64_t old = __atomic_load_n(&entry[0], __ATOMIC_RELAXED), wanted;

	do {
		uint64_t pgtt = field_get(VTD_PASID_PGTT, old);
		if (!(old & VTD_PASID_P) || (old & VTD_PASID_SSPTPTR) != owner->pt.root.value ||
		    (pgtt != VTD_PGTT_SECOND && pgtt != VTD_PGTT_NESTED))
			return;
		wanted = on ? old | VTD_PASID_SSADE : old & ~VTD_PASID_SSADE;
	} while (!__atomic_compare_exchange_n(&entry[0], &old, wanted, false, __ATOMIC_ACQ_REL,
	                                      __ATOMIC_RELAXED));
	vtd_clean(unit, entry, sizeof(*entry));
}

static void tag_switch(const struct vtd_tag *tag, const struct vtd_domain *owner, bool on)
{
	for (const struct vtd_attachment *at = tag->attachments; at; at = at->next) {
		uint64_t *entry = vtd_pasid_entry(tag->unit, at->device, at->pasid);
		if (entry) /* a listed PASID has a table, but for one that is just leaving */
			entry_switch(tag->unit, entry, owner, on);
	}
}

/** Have the tag's unit forget the entries, and wait. */
static int tag_forget(const struct vtd_tag *tag, bool on)
{
	const struct vtd_attachment *before = NULL;
	struct vtd_batch batch;

	vtd_batch_begin(&batch, tag->unit);
	for (const struct vtd_attachment *at = tag->attachments; at; before = at, at = at->next) {
		if (before && before->pasid == at->pasid)
			continue;
		vtd_batch_add(&batch, vtd_desc_pasid(VTD_PASID_CACHE_PASID, tag->did, at->pasid));
		if (!on)
			vtd_batch_add(&batch, vtd_desc_p_iotlb(tag->did, at->pasid));
	}
	if (on && before)
		vtd_batch_add(&batch, vtd_desc_iotlb(VTD_IOTLB_DOMAIN, tag->did));
	vtd_batch_add_tag_all(&batch, tag);
	return vtd_batch_end(&batch);
}

/** Switch SSADE wherever the domain's table is used. All entries say so afterwards; the first
 *  error of a unit that did not confirm it. The domain is locked. */
static int switch_all(struct vtd_domain *domain, bool on)
{
	int result = 0;

	domain->tracking = on;
	for (unsigned told = 0; told < 2; told++) {
		for (struct vtd_domain *at = domain; at;
		     at = at == domain ? at->children : at->sibling) {
			if (at != domain)
				vtd_domain_lock(at);
			for (const struct vtd_tag *tag = at->tags; tag; tag = tag->next) {
				int err = 0;
				if (told)
					err = tag_forget(tag, on);
				else
					tag_switch(tag, domain, on);
				result = result ? result : err;
			}
			if (at != domain)
				vtd_domain_unlock(at);
		}
	}
	return result;
}

/* ---- operations ------------------------------------------------------------------ */

int vtd_domain_dirty_tracking(struct iommu_domain *base, bool on)
{
	struct vtd_domain *domain = vtd_domain_of(base);
	struct iommu_gather covered;
	int err = 0;

	vtd_domain_lock(domain);
	if (domain->tracking != on) {
		/* No unit sets flags yet, and all that is cached is forgotten below. */
		iommu_gather_init(&covered, base);
		if (on)
			base->ops->read_dirty(base, base->first, base->last, true, NULL, NULL,
			                      &covered);
		err = switch_all(domain, on);
		if (err) {
			int back = switch_all(domain, !on);
			vtd_log(vtd_unit_of(base->unit), IOMMU_LOG_ERROR,
			        "dirty tracking of a domain stays %s: a unit did not confirm the "
			        "change%s",
			        on ? "off" : "on", back ? ", nor its taking back" : "");
		}
	}
	vtd_domain_unlock(domain);
	return err;
}
