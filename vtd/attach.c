/* SPDX-License-Identifier: MIT */
/*
 * Giving a device another translation. VT-d specification 5.10, sections 6.5.2.12,
 * 6.5.2.13 (Table 28: which invalidations a change owes) and 9.3, 9.6.
 *
 * One way serves attach, replace and block: the new entry takes the place of the old in
 * one 16-byte store, hardware sees one or the other, and then the unit forgets what was
 * cached under the old domain id. Only between two first-stage tables is that not
 * possible, for pointer and domain id lie in different halves of a PASID entry: the
 * entry is then not present for a moment and the device is blocked.
 */
#include "vtd/context.h"

/* ---- legacy mode ------------------------------------------------------------------ */

static void legacy_entry(const struct vtd_unit *unit, const struct vtd_domain *domain, uint16_t did,
                         uint64_t out[2])
{
	out[0] = out[1] = 0;
	if (!domain)
		return;
	out[0] = VTD_CONTEXT_P;
	if (domain->format) {
		out[0] |= field_put(VTD_CONTEXT_TT, VTD_TT_UNTRANSLATED) | domain->pt.root.value;
		out[1] = field_put(VTD_CONTEXT_AW, domain->pt.levels - 2u);
	} else {
		/* Pass-through wants the largest width that the unit has. */
		out[0] |= field_put(VTD_CONTEXT_TT, VTD_TT_PASS_THROUGH);
		out[1] = field_put(VTD_CONTEXT_AW, unit->caps.max_levels - 2u);
	}
	out[1] |= field_put(VTD_CONTEXT_DID, did);
}

static int program_legacy(struct vtd_unit *unit, struct vtd_device *device,
                          const struct vtd_domain *domain, uint16_t did)
{
	uint16_t forget[VTD_MAX_RIDS];
	unsigned forget_count = 0;
	bool published = false;
	uint64_t wanted[2];
	struct vtd_batch batch;

	legacy_entry(unit, domain, did, wanted);
	vtd_batch_begin(&batch, unit);
	for (unsigned i = 0; i < device->rid_count; i++) {
		uint64_t *entry = vtd_context_entry(unit, device->rids[i]);
		uint64_t old[2] = {entry[0], entry[1]};
		bool was_present = old[0] & VTD_CONTEXT_P;
		if (old[0] == wanted[0] && old[1] == wanted[1])
			continue;
		vtd_store128(unit, entry, wanted[0], wanted[1]);
		published |= !was_present;
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
		vtd_batch_add(&batch, vtd_desc_iotlb(VTD_IOTLB_DOMAIN, did));

	int err = published ? vtd_flush_write_buffer(unit) : 0;
	int flush_err = vtd_batch_end(&batch);
	return err ? err : flush_err;
}

/* ---- scalable mode ------------------------------------------------------------------ */

/** The first three qwords of a PASID entry; the rest is zero in all kinds used here. */
static void scalable_entry(const struct vtd_unit *unit, const struct vtd_domain *domain,
                           uint16_t did, uint64_t out[3])
{
	const struct vtd_caps *caps = &unit->caps;
	unsigned levels = caps->max_levels ? caps->max_levels : 4;
	enum vtd_pgtt pgtt = VTD_PGTT_PT;

	out[0] = out[1] = out[2] = 0;
	if (!domain)
		return;
	if (domain->format && domain->base.stage == IOMMU_STAGE_SECOND) {
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
	out[1] = field_put(VTD_PASID_DID, did) | (caps->smpwcs ? VTD_PASID_PWSNP : 0) |
	         (caps->sc ? VTD_PASID_PGSNP : 0);
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
}

static int program_scalable(struct vtd_unit *unit, struct vtd_device *device, uint32_t pasid,
                            const struct vtd_domain *domain, uint16_t did)
{
	struct vtd_pasid_entry *table = vtd_va(unit, device->pasid_table);
	uint64_t *entry = table[pasid % VTD_PASIDS_PER_TABLE].word;
	uint64_t old[3] = {entry[0], entry[1], entry[2]}, wanted[3];
	struct vtd_batch batch;
	int err = 0;

	scalable_entry(unit, domain, did, wanted);
	if (old[0] == wanted[0] && old[1] == wanted[1] && old[2] == wanted[2])
		return 0;
	bool was_present = old[0] & VTD_PASID_P;
	bool by_absence = was_present && domain && old[2] && wanted[2];

	if (by_absence) {
		vtd_store128(unit, entry, 0, 0);
		vtd_batch_begin(&batch, unit);
		owe_scalable(&batch, device, pasid, old, 0);
		err = vtd_batch_end(&batch);
	}
	/* Qword 2 is ignored unless the entry is of a first-stage kind: it is written before
	 * such an entry appears, and cleared after one has been forgotten. */
	if (wanted[2]) {
		entry[2] = wanted[2];
		vtd_clean(unit, &entry[2], sizeof(entry[2]));
	}
	vtd_store128(unit, entry, wanted[0], wanted[1]);
	if (!was_present)
		err = vtd_flush_write_buffer(unit);
	if (!by_absence) {
		vtd_batch_begin(&batch, unit);
		owe_scalable(&batch, device, pasid, old, did);
		int flush_err = vtd_batch_end(&batch);
		err = err ? err : flush_err;
	}
	if (!wanted[2] && entry[2]) {
		entry[2] = 0;
		vtd_clean(unit, &entry[2], sizeof(entry[2]));
	}
	return err;
}

int vtd_device_program(struct vtd_unit *unit, struct vtd_device *device, struct vtd_domain *domain,
                       uint16_t did)
{
	if (unit->scalable)
		return program_scalable(unit, device, IOMMU_NO_PASID, domain, did);
	return program_legacy(unit, device, domain, did);
}

/* ---- attach ------------------------------------------------------------------------- */

int vtd_attach(struct iommu_device *core, uint32_t pasid, struct iommu_domain *domain,
               struct iommu_domain *old)
{
	struct vtd_unit *unit = vtd_unit_of(core->unit);
	struct vtd_device *device = core->driver_data;
	struct vtd_domain *from = device->domain, *to = device->firmware;
	uint16_t did = 0;
	int err;

	(void)old;                   /* the driver knows better: it may be firmware's regions */
	if (pasid != IOMMU_NO_PASID) /* nothing is ever attached there */
		return domain ? -EOPNOTSUPP : 0;
	if (domain) {
		to = vtd_domain_check(domain);
		if (!to)
			return -EINVAL;
		err = vtd_domain_fits(to, unit);
		if (err)
			return err;
	}
	if (to == from)
		return 0;
	if (to) {
		/* Firmware's regions keep an id of their own: this fails for users only. */
		err = vtd_tag_get(to, unit, pasid, &did);
		if (err)
			return err;
	}

	err = vtd_device_program(unit, device, to, did);
	if (err && domain) {
		uint16_t old_did = from ? vtd_tag_did(from, unit, pasid) : 0;
		bool forgotten = vtd_device_program(unit, device, from, old_did) == 0;
		vtd_tag_put(to, unit, pasid, forgotten);
		vtd_log(unit, IOMMU_LOG_ERROR,
		        "%s keeps its old translation: the unit did not confirm the new one",
		        core->desc.name);
		return err;
	}
	if (err)
		vtd_log(unit, IOMMU_LOG_ERROR,
		        "%s is blocked, but the unit did not confirm that it forgot the old "
		        "translation",
		        core->desc.name);
	device->domain = to;
	if (from)
		vtd_tag_put(from, unit, pasid, err == 0);
	return 0;
}
