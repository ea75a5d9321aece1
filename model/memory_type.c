/* SPDX-License-Identifier: MIT */
/*
 * Memory types (3.9, 9.9): the table of section 3.9 over CD, EMTE, IPAT, PAT and the
 * unit's MTRRs. Without memory type support everything is write-back.
 */
#include "model/unit.h"

static uint64_t reg64(const struct model_unit *unit, uint32_t offset)
{
	return unit->regs[offset / 4] | (uint64_t)unit->regs[offset / 4 + 1] << 32;
}

static uint8_t fixed_range(const struct model_unit *unit, uint64_t address)
{
	uint32_t at;
	unsigned slot;

	if (address < 0x80000) {
		at = MODEL_MTRR_FIX64K;
		slot = (unsigned)(address >> 16);
	} else if (address < 0xc0000) {
		at = MODEL_MTRR_FIX16K;
		slot = (unsigned)((address - 0x80000) >> 14);
	} else {
		at = MODEL_MTRR_FIX4K;
		slot = (unsigned)((address - 0xc0000) >> 12);
	}
	return (uint8_t)(reg64(unit, at + (slot & ~7u)) >> (slot & 7) * 8);
}

/* Overlapping ranges: UC wins, then WT over WB; anything else is undefined and reads UC. */
static uint8_t merge(uint8_t a, uint8_t b)
{
	if (a == b)
		return a;
	if ((a == MODEL_TYPE_WT && b == MODEL_TYPE_WB) ||
	    (a == MODEL_TYPE_WB && b == MODEL_TYPE_WT))
		return MODEL_TYPE_WT;
	return MODEL_TYPE_UC;
}

static uint8_t mtrr_type(const struct model_unit *unit, uint64_t address)
{
	uint64_t def = reg64(unit, MODEL_MTRRDEF);
	bool found = false;
	uint8_t type = (uint8_t)def;

	if (!model_bit(def, 11))
		return MODEL_TYPE_UC;
	if (model_bit(def, 10) && address < 0x100000)
		return fixed_range(unit, address);
	for (unsigned n = 0; n < 10; n++) {
		uint64_t base = reg64(unit, MODEL_MTRR_PHYSBASE0 + 16 * n);
		uint64_t mask = reg64(unit, MODEL_MTRR_PHYSBASE0 + 16 * n + 8);
		uint64_t compare = mask & model_mask(63, 12);

		if (!model_bit(mask, 11) || (address & compare) != (base & compare))
			continue;
		type = found ? merge(type, (uint8_t)base) : (uint8_t)base;
		found = true;
	}
	return type;
}

/* Codes that mean nothing are taken for UC, which is always safe. */
static enum model_memory_type known(uint8_t type)
{
	switch (type) {
	case MODEL_TYPE_WC:
	case MODEL_TYPE_WT:
	case MODEL_TYPE_WP:
	case MODEL_TYPE_WB:
		return (enum model_memory_type)type;
	default:
		return MODEL_TYPE_UC;
	}
}

enum { PAT_UC_MINUS = 7 };

/* The processor's table of effective types: PAT over MTRR. */
static uint8_t combine(uint8_t mtrr, uint8_t pat)
{
	switch (pat) {
	case MODEL_TYPE_WC:
		return MODEL_TYPE_WC;
	case PAT_UC_MINUS:
		return mtrr == MODEL_TYPE_WC ? MODEL_TYPE_WC : MODEL_TYPE_UC;
	case MODEL_TYPE_WB:
		return mtrr;
	case MODEL_TYPE_WT:
		if (mtrr == MODEL_TYPE_WB || mtrr == MODEL_TYPE_WT)
			return MODEL_TYPE_WT;
		return mtrr == MODEL_TYPE_WP ? MODEL_TYPE_WP : MODEL_TYPE_UC;
	case MODEL_TYPE_WP:
		if (mtrr == MODEL_TYPE_WB || mtrr == MODEL_TYPE_WP)
			return MODEL_TYPE_WP;
		return mtrr == MODEL_TYPE_WT ? MODEL_TYPE_WT : MODEL_TYPE_UC;
	default:
		return MODEL_TYPE_UC;
	}
}

enum model_memory_type model_memory_type(const struct model_walk *walk)
{
	const struct model_unit *unit = walk->unit;
	const struct model_page *page = &walk->page;
	uint64_t w1 = walk->entry.raw[1];
	bool emte = model_bit(w1, 26);
	uint8_t pat = (uint8_t)(w1 >> (32 + 4 * page->pat) & 7);

	if (!unit->caps.mts || walk->context.legacy)
		return MODEL_TYPE_WB;
	if (model_bit(w1, 25))
		return MODEL_TYPE_UC;
	if (walk->pgtt == MODEL_PGTT_PASS)
		return MODEL_TYPE_WB;
	if (walk->pgtt == MODEL_PGTT_SECOND)
		return emte ? known(page->emt) : MODEL_TYPE_WB;
	if (walk->pgtt == MODEL_PGTT_NESTED && emte)
		return known(page->ipat ? page->emt : combine(page->emt, pat));
	return known(combine(mtrr_type(unit, page->output), pat));
}
