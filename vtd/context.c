/* SPDX-License-Identifier: MIT */
/* Root, context and PASID tables: see context.h. */
#include "vtd/context.h"

#include "vtd/pasid.h"

/** The qword of the root table that points to the context table of @p rid. */
static uint64_t *root_word(const struct vtd_unit *unit, iommu_rid_t rid)
{
	uint64_t *root = vtd_va(unit, unit->root);
	bool upper = unit->scalable && rid & 0x80;

	return &root[2 * RID_BUS(rid) + upper];
}

uint64_t *vtd_context_entry(const struct vtd_unit *unit, iommu_rid_t rid)
{
	uint64_t word = *root_word(unit, rid);

	if (!(word & VTD_ROOT_P))
		return NULL;
	uint64_t *table = vtd_va(unit, pa(word & VTD_ROOT_CTP));
	return unit->scalable ? &table[4 * (rid & 0x7f)] : &table[2 * (rid & 0xff)];
}

/* ---- joining ------------------------------------------------------------------- */

/** A table page, zero and clean. */
static int table_page(struct vtd_unit *unit, pa_t *out)
{
	int err = unit->os->page_alloc(unit->os->ctx, 0, out);

	if (!err)
		vtd_clean(unit, vtd_va(unit, *out), PAGE_SIZE_4K);
	return err;
}

static void page_free(struct vtd_unit *unit, pa_t page)
{
	if (page.value)
		unit->os->page_free(unit->os->ctx, page, 0);
}

/** Point a scalable-mode context entry at a device's PASID directory: requests without
 *  PASID use PASID 0 (RID_PASID). */
static void point_context(struct vtd_unit *unit, uint64_t *entry, const struct vtd_device *device)
{
	uint64_t low = VTD_SM_CONTEXT_P | device->context_flags | device->pasid_directory.value |
	               field_put(VTD_SM_CONTEXT_PDTS, vtd_pasid_pdts(device->pasid_bits)) |
	               (device->pasid_bits ? VTD_SM_CONTEXT_PASIDE : 0);

	if (!(entry[0] & VTD_SM_CONTEXT_P)) {
		entry[2] = entry[3] = 0;
		vtd_clean(unit, &entry[2], 16);
	}
	vtd_store128(unit, entry, low, 0);
}

int vtd_context_reserve(struct vtd_unit *unit, struct vtd_device *device)
{
	pa_t pages[VTD_MAX_RIDS];
	uint64_t *words[VTD_MAX_RIDS];
	unsigned count = 0;
	int err = 0;

	/* Everything that can fail first. */
	for (unsigned i = 0; i < device->rid_count && !err; i++) {
		uint64_t *word = root_word(unit, device->rids[i]);
		bool have = *word & VTD_ROOT_P;
		for (unsigned n = 0; n < count; n++)
			have |= words[n] == word;
		if (have)
			continue;
		err = table_page(unit, &pages[count]);
		if (!err)
			words[count++] = word;
	}
	if (!err && unit->scalable)
		err = vtd_pasid_directory_make(unit, device);
	if (err) {
		while (count)
			page_free(unit, pages[--count]);
		return err;
	}

	for (unsigned n = 0; n < count; n++) {
		arch_write_barrier();
		__atomic_store_n(words[n], VTD_ROOT_P | pages[n].value, __ATOMIC_RELEASE);
		vtd_clean(unit, words[n], sizeof(*words[n]));
	}
	for (unsigned i = 0; i < device->rid_count && unit->scalable; i++) {
		uint64_t *entry = vtd_context_entry(unit, device->rids[i]);
		if (!(entry[0] & VTD_SM_CONTEXT_P)) /* an alias may belong to a neighbour */
			point_context(unit, entry, device);
	}
	err = vtd_flush_write_buffer(unit);
	/* Caching mode: the unit may remember that nothing was here (section 6.1). */
	if (!err && unit->caps.cm)
		err = vtd_flush_all(unit);
	if (err)
		vtd_context_release(unit, device);
	return err;
}

/* ---- leaving ------------------------------------------------------------------- */

/** Another device that uses the requester id too. */
static const struct vtd_device *sharer(const struct vtd_unit *unit, const struct vtd_device *self,
                                       iommu_rid_t rid)
{
	for (const struct vtd_device *other = unit->devices; other; other = other->next) {
		for (unsigned i = 0; other != self && i < other->rid_count; i++)
			if (other->rids[i] == rid)
				return other;
	}
	return NULL;
}

void vtd_context_release(struct vtd_unit *unit, struct vtd_device *device)
{
	struct vtd_batch batch;

	vtd_batch_begin(&batch, unit);
	for (unsigned i = 0; i < device->rid_count; i++) {
		uint64_t *entry = vtd_context_entry(unit, device->rids[i]);
		const struct vtd_device *other = sharer(unit, device, device->rids[i]);
		if (!entry || !(entry[0] & VTD_CONTEXT_P))
			continue;
		if (!unit->scalable) {
			/* The device is blocked by now; an entry that is still there is a
			 * neighbour's, who shares the id. */
			if (other)
				continue;
			vtd_store128(unit, entry, 0, 0);
		} else if ((entry[0] & VTD_SM_CONTEXT_PASIDDIRPTR) !=
		           device->pasid_directory.value) {
			continue;
		} else if (other) {
			point_context(unit, entry, other);
		} else {
			vtd_store128(unit, entry, 0, 0);
		}
		vtd_batch_add(&batch, vtd_desc_context(VTD_CONTEXT_DEVICE, 0, device->rids[i]));
	}
	/* In scalable mode the context cache is no longer tagged by domain; what the PASID
	 * and IOTLB caches hold was forgotten when the device was blocked. */
	if (unit->scalable && batch.count) {
		vtd_batch_add(&batch, vtd_desc_pasid(VTD_PASID_CACHE_GLOBAL, 0, 0));
		vtd_batch_add(&batch, vtd_desc_iotlb(VTD_IOTLB_GLOBAL, 0));
	}
	if (vtd_batch_end(&batch)) {
		vtd_log(unit, IOMMU_LOG_WARNING,
		        "%s left, but the unit did not confirm that it forgot it: its PASID tables "
		        "stay out of use",
		        device->device->desc.name);
		return;
	}
	vtd_pasid_tables_free(unit, device);
}

/* ---- flags of the entries -------------------------------------------------------- */

/** The context entry of the device's requester id @p i, if it leads to its own PASID table;
 *  else NULL. */
static uint64_t *own_entry(const struct vtd_unit *unit, const struct vtd_device *device, unsigned i)
{
	uint64_t *entry = vtd_context_entry(unit, device->rids[i]);

	if (!entry || !(entry[0] & VTD_SM_CONTEXT_P) ||
	    (entry[0] & VTD_SM_CONTEXT_PASIDDIRPTR) != device->pasid_directory.value)
		return NULL;
	return entry;
}

void vtd_context_cut_off(struct vtd_unit *unit, struct vtd_device *device)
{
	device->context_flags = 0;
	for (unsigned i = 0; i < device->rid_count; i++) {
		uint64_t *entry = unit->scalable ? own_entry(unit, device, i)
		                                 : vtd_context_entry(unit, device->rids[i]);
		if (!entry)
			continue;
		if (unit->scalable)
			point_context(unit, entry, device);
		else if (field_get(VTD_CONTEXT_TT, entry[0]) == VTD_TT_ALL)
			vtd_store128(unit, entry, entry[0] & ~VTD_CONTEXT_TT, entry[1]);
	}
}

int vtd_context_update(struct vtd_unit *unit, struct vtd_device *device, uint64_t flags)
{
	struct vtd_batch batch;

	vtd_batch_begin(&batch, unit);
	unit->os->lock(unit->os->ctx, &unit->lock);
	device->context_flags = __atomic_load_n(&device->silent, __ATOMIC_RELAXED) ? 0 : flags;
	for (unsigned i = 0; unit->scalable && i < device->rid_count; i++) {
		uint64_t *entry = own_entry(unit, device, i);
		if (entry)
			point_context(unit, entry, device);
	}
	unit->os->unlock(unit->os->ctx, &unit->lock);
	if (!unit->scalable)
		return 0;
	for (unsigned i = 0; i < device->rid_count; i++)
		if (own_entry(unit, device, i))
			vtd_batch_add(&batch,
			              vtd_desc_context(VTD_CONTEXT_DEVICE, 0, device->rids[i]));
	/* Table 28: what was cached by way of the entry, under whatever domain ids. */
	vtd_batch_add_bindings(&batch, device);
	return vtd_batch_end(&batch);
}
