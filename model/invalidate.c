/* SPDX-License-Identifier: MIT */
/*
 * What each invalidation hits (6.5.2, Tables 23 and 24), and the register interface to
 * the same (11.4.6). Exactly what must go goes, unless the shape says that more may.
 */
#include "model/unit.h"

void model_invalidate_everything(struct model_unit *unit)
{
	for (unsigned i = 0; i < MODEL_CACHES; i++)
		if (i != MODEL_CACHE_INTERRUPT)
			model_cache_clear(unit, (enum model_cache)i);
}

/* Is [address, address + 2^shift) within reach of 2^am pages at `at`? */
static bool covered(uint64_t address, unsigned shift, uint64_t at, unsigned am)
{
	uint64_t size;

	if (12 + am >= 64)
		return true;
	size = MODEL_BIT(12 + am);
	return model_overlap(address, MODEL_BIT(shift), at & ~(size - 1), size);
}

void model_invalidate_context(struct model_unit *unit, unsigned g, uint16_t did, uint16_t sid,
                              unsigned fm)
{
	static const uint16_t function_mask[4] = {0, 4, 6, 7};
	bool legacy = model_ttm(unit) == MODEL_TTM_LEGACY;
	uint16_t mask = (uint16_t)~function_mask[fm];

	if (g == 2 && !legacy) /* scalable entries have no domain id: all of them go */
		g = 1;
	/* What SRTP asks for is what software does, however much is forgotten besides. */
	if (g == 1)
		unit->root_owed &= ~MODEL_OWED_CONTEXT;
	if (unit->config.over_invalidate) {
		model_invalidate_everything(unit);
		return;
	}
	if (g == 1) {
		model_cache_clear(unit, MODEL_CACHE_CONTEXT);
		return;
	}
	MODEL_CACHE_EACH(unit, MODEL_CACHE_CONTEXT, struct model_cached_context, entry)
	{
		if (legacy && entry->did != did)
			continue;
		if (g == 3 && (entry->sid & mask) != (sid & mask))
			continue;
		model_cache_drop(unit, MODEL_CACHE_CONTEXT, entry);
	}
}

void model_invalidate_pasid(struct model_unit *unit, unsigned g, uint16_t did, uint32_t pasid)
{
	if (g == 3)
		unit->root_owed &= ~MODEL_OWED_PASID;
	if (unit->config.over_invalidate) {
		model_invalidate_everything(unit);
		return;
	}
	if (g == 3) {
		model_cache_clear(unit, MODEL_CACHE_PASID);
		return;
	}
	MODEL_CACHE_EACH(unit, MODEL_CACHE_PASID, struct model_cached_pasid, entry)
	{
		if (entry->did == did && (g == 0 || entry->pasid == pasid))
			model_cache_drop(unit, MODEL_CACHE_PASID, entry);
	}
}

static bool first_kind(const struct model_cached_page *entry)
{
	return entry->pgtt == MODEL_PGTT_FIRST || entry->pgtt == MODEL_PGTT_NESTED;
}

void model_invalidate_iotlb(struct model_unit *unit, unsigned g, uint16_t did, uint64_t address,
                            unsigned am, bool ih)
{
	if (g == 1)
		unit->root_owed &= ~MODEL_OWED_IOTLB;
	if (unit->config.over_invalidate) {
		model_invalidate_everything(unit);
		return;
	}
	if (g == 1) {
		model_cache_clear(unit, MODEL_CACHE_IOTLB);
		model_cache_clear(unit, MODEL_CACHE_FIRST_STAGE);
		model_cache_clear(unit, MODEL_CACHE_SECOND_STAGE);
		return;
	}
	MODEL_CACHE_EACH(unit, MODEL_CACHE_IOTLB, struct model_cached_page, entry)
	{
		if (entry->did != did)
			continue;
		if (g == 2 || first_kind(entry) ||
		    covered(entry->address, entry->page.shift, address, am))
			model_cache_drop(unit, MODEL_CACHE_IOTLB, entry);
	}
	MODEL_CACHE_EACH(unit, MODEL_CACHE_FIRST_STAGE, struct model_cached_table, entry)
	{
		if (entry->did == did)
			model_cache_drop(unit, MODEL_CACHE_FIRST_STAGE, entry);
	}
	MODEL_CACHE_EACH(unit, MODEL_CACHE_SECOND_STAGE, struct model_cached_table, entry)
	{
		if (entry->did == did &&
		    (g == 2 ||
		     (!ih && covered(entry->address, 12 + 9u * entry->level, address, am))))
			model_cache_drop(unit, MODEL_CACHE_SECOND_STAGE, entry);
	}
}

void model_invalidate_pasid_iotlb(struct model_unit *unit, unsigned g, uint16_t did, uint32_t pasid,
                                  uint64_t address, unsigned am, bool ih)
{
	if (unit->config.over_invalidate) {
		model_invalidate_everything(unit);
		return;
	}
	MODEL_CACHE_EACH(unit, MODEL_CACHE_IOTLB, struct model_cached_page, entry)
	{
		if (entry->did != did || entry->pasid != pasid)
			continue;
		if (g == 2 ||
		    (first_kind(entry) && covered(entry->address, entry->page.shift, address, am)))
			model_cache_drop(unit, MODEL_CACHE_IOTLB, entry);
	}
	MODEL_CACHE_EACH(unit, MODEL_CACHE_FIRST_STAGE, struct model_cached_table, entry)
	{
		if (entry->did != did || entry->pasid != pasid)
			continue;
		if (g == 2 || (!ih && covered(entry->address, 12 + 9u * entry->level, address, am)))
			model_cache_drop(unit, MODEL_CACHE_FIRST_STAGE, entry);
	}
}

void model_invalidate_interrupt(struct model_unit *unit, bool global, uint16_t index, unsigned im)
{
	uint32_t mask = ~(uint32_t)(MODEL_BIT(im) - 1);

	if (global)
		unit->interrupt_owed = false;
	if (global || unit->config.over_invalidate) {
		model_cache_clear(unit, MODEL_CACHE_INTERRUPT);
		return;
	}
	MODEL_CACHE_EACH(unit, MODEL_CACHE_INTERRUPT, struct model_cached_interrupt, entry)
	{
		if ((entry->index & mask) == (index & mask))
			model_cache_drop(unit, MODEL_CACHE_INTERRUPT, entry);
	}
}

/* ---- the register interface ------------------------------------------------------- */

/* Only before version 6, in legacy mode, with the queue off. */
static bool registers_work(struct model_unit *unit, uint64_t offset)
{
	if (unit->caps.major <= 5 && model_ttm(unit) == MODEL_TTM_LEGACY &&
	    !(unit->gsts & MODEL_G_QIE))
		return true;
	model_report_register(
		unit, offset,
		"register invalidation where only the queue serves (version, mode or QIE)",
		unit->gsts);
	return false;
}

static void finish_context(struct model_unit *unit)
{
	unsigned g = (unsigned)model_bits(unit->ccmd, 62, 61), actual = 0;

	if (g && registers_work(unit, MODEL_CCMD)) {
		actual = g;
		unit->statistics.register_invalidations++;
		model_sanitizer_scan(unit);
		model_invalidate_context(
			unit, g, (uint16_t)(unit->ccmd & (MODEL_BIT(unit->caps.did_bits) - 1)),
			(uint16_t)model_bits(unit->ccmd, 31, 16),
			(unsigned)model_bits(unit->ccmd, 33, 32));
	}
	unit->ccmd &= ~(MODEL_BIT(63) | model_mask(60, 59));
	unit->ccmd |= (uint64_t)actual << 59;
}

static void finish_iotlb(struct model_unit *unit)
{
	unsigned g = (unsigned)model_bits(unit->iotlb, 61, 60), actual = 0;
	unsigned am = (unsigned)(unit->iva & 0x3f);
	bool bad_page = g == 3 && (!unit->caps.psi || am > unit->caps.mamv || !unit->iva_written);

	if (g && !bad_page && registers_work(unit, unit->caps.iro * 16 + 8)) {
		actual = g;
		unit->statistics.register_invalidations++;
		model_sanitizer_scan(unit);
		model_invalidate_iotlb(unit, g,
		                       (uint16_t)(model_bits(unit->iotlb, 47, 32) &
		                                  (MODEL_BIT(unit->caps.did_bits) - 1)),
		                       unit->iva & model_mask(63, 12), am, model_bit(unit->iva, 6));
	}
	unit->iva_written = false;
	unit->iotlb &= ~(MODEL_BIT(63) | model_mask(58, 57));
	unit->iotlb |= (uint64_t)actual << 57;
}

void model_invalidate_register_context(struct model_unit *unit, uint64_t value)
{
	unit->ccmd = value;
	unit->ccmd_due = model_due(unit, unit->config.latency.invalidation);
	model_invalidate_tick(unit);
}

void model_invalidate_register_iotlb(struct model_unit *unit, uint64_t value)
{
	unit->iotlb = value;
	unit->iotlb_due = model_due(unit, unit->config.latency.invalidation);
	model_invalidate_tick(unit);
}

void model_invalidate_tick(struct model_unit *unit)
{
	if (model_bit(unit->ccmd, 63) && unit->now >= unit->ccmd_due)
		finish_context(unit);
	if (model_bit(unit->iotlb, 63) && unit->now >= unit->iotlb_due)
		finish_iotlb(unit);
}
