/* SPDX-License-Identifier: MIT */
/*
 * Giving a (device, PASID) another translation. VT-d specification 5.10, sections
 * 6.5.2.12, 6.5.2.13 (Table 28: which invalidations a change owes) and 9.3, 9.6.
 *
 * One way serves attach, replace and block. Hardware reads an entry in halves of 16 bytes:
 * where the old and the new entry differ in one half only, the new half takes the place of
 * the old in one store, hardware sees one or the other, and then the unit forgets what was
 * cached under the old domain id. So it is always in legacy mode, and between second stages
 * and pass-through. A first-stage pointer lies in another half than the domain id: an entry
 * that has one, or gets one, is not present for a moment and the requests are blocked.
 *
 * In every order: a half that the unit may use is complete before the entry becomes
 * present, and is cleared only after the entry was forgotten.
 */
#include "vtd/context.h"
#include "vtd/device_tlb.h"
#include "vtd/pasid.h"

/* The power-up value of IA32_PAT: WB, WT, UC-, UC, twice. Without it the first stage's
 * memory types would all be UC. */
#define PAT_DEFAULT UINT64_C(0x07460746)

/* ---- legacy mode ------------------------------------------------------------------ */

static void legacy_entry(const struct vtd_unit *unit, const struct vtd_device *device,
                         const struct vtd_domain *domain, uint64_t out[2])
{
	unsigned tt = vtd_device_has_tlb(device) ? VTD_TT_ALL : VTD_TT_UNTRANSLATED;

	out[0] = out[1] = 0;
	if (!domain)
		return;
	out[0] = VTD_CONTEXT_P;
	if (domain->format) {
		out[0] |= field_put(VTD_CONTEXT_TT, tt) | domain->pt.root.value;
		out[1] = field_put(VTD_CONTEXT_AW, domain->pt.levels - 2u);
	} else {
		/* Pass-through wants the largest width that the unit has. */
		out[0] |= field_put(VTD_CONTEXT_TT, VTD_TT_PASS_THROUGH);
		out[1] = field_put(VTD_CONTEXT_AW, unit->caps.max_levels - 2u);
	}
	out[1] |= field_put(VTD_CONTEXT_DID, vtd_tag_did(domain, unit));
}

static int program_legacy(struct vtd_unit *unit, struct vtd_device *device,
                          const struct vtd_domain *domain)
{
	uint16_t forget[VTD_MAX_RIDS];
	unsigned forget_count = 0;
	bool published = false, replaced = false;
	struct vtd_batch batch;

	vtd_batch_begin(&batch, unit);
	for (unsigned i = 0; i < device->rid_count; i++) {
		uint64_t *entry = vtd_context_entry(unit, device->rids[i]);
		uint64_t wanted[2];
		/* Between the decision about TT and the entry, the device cannot be cut off. */
		unit->os->lock(unit->os->ctx, &unit->lock);
		legacy_entry(unit, device, domain, wanted);
		uint64_t old[2] = {entry[0], entry[1]};
		bool was_present = old[0] & VTD_CONTEXT_P;
		bool changes = old[0] != wanted[0] || old[1] != wanted[1];
		if (changes)
			vtd_store128(unit, entry, wanted[0], wanted[1]);
		unit->os->unlock(unit->os->ctx, &unit->lock);
		if (!changes)
			continue;
		published |= !was_present;
		replaced |= was_present;
		if (!was_present && !unit->caps.cm)
			continue;
		/* Caching mode tags what was not present with domain id 0. */
		uint16_t old_did = was_present ? (uint16_t)field_get(VTD_CONTEXT_DID, old[1]) : 0;
		vtd_batch_add(&batch,
		              vtd_desc_context(VTD_CONTEXT_DEVICE, old_did, device->rids[i]));
		unsigned n = 0;
		while (n < forget_count && forget[n] != old_did)
			n++;
		if (n == forget_count)
			forget[forget_count++] = old_did;
	}
	for (unsigned n = 0; n < forget_count; n++)
		vtd_batch_add(&batch, vtd_desc_iotlb(VTD_IOTLB_DOMAIN, forget[n]));
	if (published && unit->caps.cm && domain)
		vtd_batch_add(&batch, vtd_desc_iotlb(VTD_IOTLB_DOMAIN, vtd_tag_did(domain, unit)));
	if (replaced)
		vtd_batch_add_device_all(&batch, device, IOMMU_NO_PASID);

	int err = published ? vtd_flush_write_buffer(unit) : 0;
	int flush_err = vtd_batch_end(&batch);
	return err ? err : flush_err;
}

/* ---- scalable mode ------------------------------------------------------------------ */

/** The first three qwords of a PASID entry; the rest is zero in all kinds used here. */
static void scalable_entry(const struct vtd_unit *unit, const struct vtd_domain *domain,
                           uint64_t out[3])
{
	const struct vtd_caps *caps = &unit->caps;
	unsigned levels = caps->max_levels ? caps->max_levels : 4;
	enum vtd_pgtt pgtt = VTD_PGTT_PT;

	out[0] = out[1] = out[2] = 0;
	if (!domain)
		return;
	if (domain->parent) {
		pgtt = VTD_PGTT_NESTED;
		levels = domain->parent->pt.levels;
		out[0] |= domain->parent->pt.root.value;
		out[2] = domain->nested.table | domain->nested.flags |
		         field_put(VTD_PASID_FSPM, domain->nested.levels == 5 ? VTD_FSPM_5_LEVEL
		                                                              : VTD_FSPM_4_LEVEL);
	} else if (domain->format && domain->base.stage == IOMMU_STAGE_SECOND) {
		pgtt = VTD_PGTT_SECOND;
		levels = domain->pt.levels;
		out[0] |= domain->pt.root.value;
	} else if (domain->format) {
		pgtt = VTD_PGTT_FIRST;
		out[2] = field_put(VTD_PASID_FSPM,
		                   domain->pt.levels == 5 ? VTD_FSPM_5_LEVEL : VTD_FSPM_4_LEVEL) |
		         domain->pt.root.value;
		levels = 4;
	}
	/* AW counts for the second stage, is ignored beside it, and is reserved where there is
	 * no second stage at all; QEMU, alone in having such units and in reporting version
	 * 1 with scalable mode, limits first-stage addresses by it. */
	if (caps->ssts || caps->major == 1)
		out[0] |= field_put(VTD_PASID_AW, levels - 2u);
	out[0] |= VTD_PASID_P | field_put(VTD_PASID_PGTT, pgtt);
	if (pgtt == VTD_PGTT_NESTED ? domain->parent->tracking : domain->tracking)
		out[0] |= VTD_PASID_SSADE;
	out[1] = field_put(VTD_PASID_DID, vtd_tag_did(domain, unit)) |
	         (caps->smpwcs ? VTD_PASID_PWSNP : 0) | (caps->sc ? VTD_PASID_PGSNP : 0);
	if (caps->mts && (pgtt == VTD_PGTT_FIRST || pgtt == VTD_PGTT_NESTED))
		out[1] |= field_put(VTD_PASID_PAT, PAT_DEFAULT);
}

/** What is owed after a PASID entry stopped saying @p old, or, in caching mode, began to say
 *  something for domain id @p did. */
static void owe_scalable(struct vtd_batch *batch, const struct vtd_device *device, uint32_t pasid,
                         const uint64_t old[3], uint16_t did)
{
	bool was_present = old[0] & VTD_PASID_P;
	uint16_t old_did = was_present ? (uint16_t)field_get(VTD_PASID_DID, old[1]) : 0;
	uint64_t pgtt = field_get(VTD_PASID_PGTT, old[0]);

	if (!was_present && !batch->unit->caps.cm)
		return;
	/* Not in the table of owed invalidations, but QEMU leaves pass-through only when the
	 * device's context entry is invalidated; it costs one descriptor. */
	if (pgtt == VTD_PGTT_PT || !was_present)
		for (unsigned i = 0; i < device->rid_count; i++)
			vtd_batch_add(batch,
			              vtd_desc_context(VTD_CONTEXT_DEVICE, 0, device->rids[i]));
	vtd_batch_add(batch, vtd_desc_pasid(VTD_PASID_CACHE_PASID, old_did, pasid));
	if (!was_present && did)
		vtd_batch_add(batch, vtd_desc_pasid(VTD_PASID_CACHE_PASID, did, pasid));
	if (was_present && (pgtt == VTD_PGTT_FIRST || pgtt == VTD_PGTT_PT))
		vtd_batch_add(batch, vtd_desc_p_iotlb(old_did, pasid));
	else
		vtd_batch_add(batch, vtd_desc_iotlb(VTD_IOTLB_DOMAIN, old_did));
	if (!was_present && did)
		vtd_batch_add(batch, vtd_desc_iotlb(VTD_IOTLB_DOMAIN, did));
	if (was_present)
		vtd_batch_add_device_all(batch, device, pasid);
}

/** Forget what the entry said before, and wait. */
static int forget_scalable(struct vtd_unit *unit, const struct vtd_device *device, uint32_t pasid,
                           const uint64_t old[3], uint16_t did)
{
	struct vtd_batch batch;

	vtd_batch_begin(&batch, unit);
	owe_scalable(&batch, device, pasid, old, did);
	return vtd_batch_end(&batch);
}

static int program_scalable(struct vtd_unit *unit, struct vtd_device *device, uint32_t pasid,
                            const struct vtd_domain *domain)
{
	static const uint64_t nothing[3];
	uint64_t *entry = vtd_pasid_entry(unit, device, pasid);
	uint16_t did = domain ? vtd_tag_did(domain, unit) : 0;
	/* dirty.c may be switching SSADE in what is there */
	uint64_t first = __atomic_load_n(&entry[0], __ATOMIC_RELAXED);
	uint64_t old[3] = {first, entry[1], entry[2]}, wanted[3];
	int err = 0, later;

	scalable_entry(unit, domain, wanted);
	bool low = old[0] != wanted[0] || old[1] != wanted[1], high = old[2] != wanted[2];
	bool was_present = old[0] & VTD_PASID_P;
	if (!low && !high)
		return 0;

	if (was_present && (high || !domain)) {
		vtd_store128(unit, entry, 0, 0);
		err = forget_scalable(unit, device, pasid, old, 0);
		was_present = false;
		low = domain;
	}
	if (high)
		vtd_store128(unit, &entry[2], wanted[2], 0);
	if (!low)
		return err;
	vtd_store128(unit, entry, wanted[0], wanted[1]);
	if (was_present) {
		later = forget_scalable(unit, device, pasid, old, did);
	} else {
		later = vtd_flush_write_buffer(unit);
		err = err ? err : later;
		later = forget_scalable(unit, device, pasid, nothing, did);
	}
	return err ? err : later;
}

int vtd_device_program(struct vtd_unit *unit, struct vtd_device *device, uint32_t pasid,
                       struct vtd_domain *domain)
{
	struct vtd_domain *tracker = domain ? vtd_domain_tracker(domain) : NULL;
	int err;

	if (!unit->scalable)
		return program_legacy(unit, device, domain);
	/* Between the decision about SSADE and the entry, it cannot change. */
	if (tracker)
		vtd_domain_lock(tracker);
	err = program_scalable(unit, device, pasid, domain);
	if (tracker)
		vtd_domain_unlock(tracker);
	return err;
}

/* ---- attach ------------------------------------------------------------------------- */

/** The binding of (device, pasid), made if need be, and its table. */
static int binding_make(struct vtd_unit *unit, struct vtd_device *device, uint32_t pasid,
                        struct vtd_binding **out)
{
	struct vtd_binding *binding;
	int err;

	if (pasid >> device->pasid_bits) {
		vtd_log(unit, IOMMU_LOG_ERROR,
		        "%s cannot use PASID %#x: it has %u bits of PASID there",
		        device->device->desc.name, pasid, device->pasid_bits);
		return -EINVAL;
	}
	err = vtd_pasid_table_make(unit, device, pasid);
	if (err)
		return err;
	binding = unit->os->alloc(unit->os->ctx, sizeof(*binding));
	if (!binding)
		return -ENOMEM;
	binding->pasid = pasid;
	binding->next = device->pasids;
	device->pasids = binding;
	*out = binding;
	return 0;
}

/** A PASID without a domain needs no binding. */
static void binding_drop(struct vtd_unit *unit, struct vtd_device *device,
                         struct vtd_binding *binding)
{
	struct vtd_binding **at = &device->pasids;

	if (binding->pasid == IOMMU_NO_PASID || binding->domain)
		return;
	while (*at != binding)
		at = &(*at)->next;
	*at = binding->next;
	unit->os->free(unit->os->ctx, binding, sizeof(*binding));
}

/** Replace what the binding has by @p to. On failure all is as it was, unless @p to is NULL
 *  or firmware's (@p must): then it is done all the same, and the log says what is wrong. */
static int binding_switch(struct vtd_unit *unit, struct vtd_device *device,
                          struct vtd_binding *binding, struct vtd_domain *to, bool must)
{
	struct vtd_domain *from = binding->domain;
	const char *name = device->device->desc.name;
	int err = to ? vtd_tag_get(to, unit) : 0;

	if (err) /* firmware's regions keep an id: this fails for users only */
		return err;
	err = vtd_device_services_get(unit, device, to);
	if (err) { /* nor do firmware's regions use ATS */
		vtd_tag_put(to, unit, true);
		return err;
	}
	/* Flushes of either domain reach the device as long as it may use either. */
	if (to)
		vtd_tag_list(to, unit, &binding->attachments[!binding->current], device,
		             binding->pasid);
	err = vtd_device_program(unit, device, binding->pasid, to);
	if (err && !must) {
		bool forgotten = vtd_device_program(unit, device, binding->pasid, from) == 0;
		vtd_tag_unlist(to, unit, &binding->attachments[!binding->current]);
		vtd_device_services_put(unit, device, to);
		vtd_tag_put(to, unit, forgotten);
		vtd_log(unit, IOMMU_LOG_ERROR,
		        "%s keeps its old translation: the unit did not confirm the new one", name);
		return err;
	}
	if (err)
		vtd_log(unit, IOMMU_LOG_ERROR,
		        "%s is blocked, but the unit did not confirm that it forgot the old "
		        "translation",
		        name);
	if (from) {
		vtd_tag_unlist(from, unit, &binding->attachments[binding->current]);
		vtd_device_services_put(unit, device, from);
		vtd_tag_put(from, unit, err == 0);
	}
	binding->current = !binding->current;
	binding->domain = to;
	return 0;
}

int vtd_attach(struct iommu_device *core, uint32_t pasid, struct iommu_domain *domain,
               struct iommu_domain *old)
{
	struct vtd_unit *unit = vtd_unit_of(core->unit);
	struct vtd_device *device = core->driver_data;
	struct vtd_binding *binding = vtd_binding_find(device, pasid);
	struct vtd_domain *to = pasid == IOMMU_NO_PASID ? device->firmware : NULL;
	int err = 0;

	(void)old; /* the driver knows better: it may be firmware's regions */
	if (domain) {
		to = vtd_domain_check(domain);
		if (!to)
			return -EINVAL;
		err = vtd_domain_fits(to, unit);
		if (!err && !binding)
			err = binding_make(unit, device, pasid, &binding);
		if (err)
			return err;
	}
	if (!binding || to == binding->domain)
		return 0;
	err = binding_switch(unit, device, binding, to, !domain);
	binding_drop(unit, device, binding);
	return err;
}
