/* SPDX-License-Identifier: MIT */
/*
 * Root and context tables (9.1 to 9.4), legacy and scalable: find the context entry of a
 * requester, by the context cache or by memory, and check it. Presence is tested before
 * reserved bits, reserved bits before contents.
 */
#include "model/unit.h"

unsigned model_ttm(const struct model_unit *unit)
{
	return (unsigned)model_bits(unit->root, 11, 10);
}

uint64_t model_above_haw(const struct model_unit *unit, uint64_t address)
{
	return address & model_mask(63, unit->config.haw);
}

unsigned model_aw_levels(const struct model_unit *unit, unsigned aw)
{
	return aw >= 1 && aw <= 3 && (unit->caps.sagaw >> aw & 1) ? aw + 2 : 0;
}

static void note(struct model_walk *walk, enum model_entry_kind kind, uint64_t address,
                 uint64_t value)
{
	walk->last = (struct model_origin){(uint8_t)kind, 0, address, value};
}

static uint8_t reserved(struct model_walk *walk, uint64_t bits, uint8_t reason)
{
	model_report_reserved(walk, bits);
	return reason;
}

/* ---- legacy ---------------------------------------------------------------------- */

static uint64_t legacy_reserved(const struct model_unit *unit, const uint64_t raw[4])
{
	uint64_t high = model_mask(63, 24) | MODEL_BIT(7), low = model_mask(11, 4);

	if (unit->caps.did_bits < 16)
		high |= model_mask(23, 8 + unit->caps.did_bits);
	if (model_bits(raw[0], 3, 2) != 2)
		low |= model_mask(63, unit->config.haw);
	return (raw[0] & low) | (raw[1] & high);
}

static bool legacy_valid(const struct model_unit *unit, const uint64_t raw[4])
{
	unsigned tt = (unsigned)model_bits(raw[0], 3, 2), aw = (unsigned)(raw[1] & 7);

	if (tt == 3 || (tt == 1 && !unit->caps.dt) || (tt == 2 && !unit->caps.pt))
		return false;
	if (!model_aw_levels(unit, aw))
		return false;
	/* Pass-through takes the largest width that the unit has. */
	return tt != 2 || !(unit->caps.sagaw >> (aw + 1));
}

/* ---- scalable -------------------------------------------------------------------- */

static uint64_t scalable_reserved(const struct model_unit *unit, const uint64_t raw[4])
{
	const struct model_caps *caps = &unit->caps;
	uint64_t low = model_mask(8, 7) | MODEL_BIT(5) | model_mask(63, unit->config.haw);
	uint64_t high = model_mask(63, 21);

	low |= caps->dt ? 0 : MODEL_BIT(2);
	low |= caps->pasid ? 0 : MODEL_BIT(3);
	low |= caps->prs ? 0 : MODEL_BIT(4);
	low |= caps->ptrs ? 0 : MODEL_BIT(6);
	high |= caps->rps ? 0 : model_mask(19, 0);
	high |= caps->rprivs ? 0 : MODEL_BIT(20);
	return (raw[0] & low) | (raw[1] & high) | raw[2] | raw[3];
}

static bool scalable_valid(const uint64_t raw[4])
{
	bool dte = model_bit(raw[0], 2), paside = model_bit(raw[0], 3);
	uint64_t pasids = MODEL_BIT(model_bits(raw[0], 11, 9) + 13);

	return !(model_bit(raw[0], 4) && !dte) && !(model_bit(raw[0], 6) && !paside) &&
	       model_bits(raw[1], 19, 0) < pasids;
}

/* ---- both -------------------------------------------------------------------------- */

static uint8_t read_root(struct model_walk *walk, bool legacy, uint64_t *table)
{
	struct model_unit *unit = walk->unit;
	unsigned bus = walk->request->requester >> 8, devfn = walk->request->requester & 0xff;
	uint64_t at = (unit->root & model_mask(63, 12)) + bus * 16, raw[2], used, bits;

	if (!model_walk_read_table(walk, at, raw, sizeof(raw)))
		return legacy ? 0x08 : 0x38;
	used = legacy || devfn < 0x80 ? raw[0] : raw[1];
	note(walk, MODEL_ENTRY_ROOT, at, used);
	if (!(used & 1))
		return legacy ? 0x01 : 0x39;
	bits = (raw[0] & model_mask(11, 1)) | model_above_haw(unit, used) |
	       (raw[1] & (legacy ? ~UINT64_C(0) : model_mask(11, 1)));
	if (bits)
		return reserved(walk, bits, legacy ? 0x0a : 0x3a);
	*table = used & model_mask(63, 12);
	return 0;
}

static uint8_t read_context(struct model_walk *walk, bool legacy)
{
	struct model_unit *unit = walk->unit;
	struct model_context *context = &walk->context;
	unsigned devfn = walk->request->requester & 0xff;
	uint64_t table, bits;
	uint8_t fault = read_root(walk, legacy, &table);

	if (fault)
		return fault;
	memset(context->raw, 0, sizeof(context->raw));
	context->address = legacy ? table + devfn * 16 : table + (devfn & 0x7f) * 32;
	if (!model_walk_read_table(walk, context->address, context->raw, legacy ? 16 : 32))
		return legacy ? 0x09 : 0x40;
	note(walk, MODEL_ENTRY_CONTEXT, context->address, context->raw[0]);
	context->fpd = model_bit(context->raw[0], 1);
	walk->fpd = walk->fpd || context->fpd;
	if (!(context->raw[0] & 1))
		return legacy ? 0x02 : 0x41;
	bits = legacy ? legacy_reserved(unit, context->raw) : scalable_reserved(unit, context->raw);
	if (bits)
		return reserved(walk, bits, legacy ? 0x0b : 0x42);
	if (legacy ? !legacy_valid(unit, context->raw) : !scalable_valid(context->raw))
		return legacy ? 0x03 : 0x43;
	return 0;
}

static bool from_cache(struct model_walk *walk, bool legacy, uint8_t *fault)
{
	struct model_unit *unit = walk->unit;

	model_cache_disturb(unit, MODEL_CACHE_CONTEXT);
	MODEL_CACHE_EACH(unit, MODEL_CACHE_CONTEXT, struct model_cached_context, entry)
	{
		if (entry->sid != walk->request->requester)
			continue;
		walk->context.address = entry->address;
		walk->context.fpd = entry->fpd;
		memcpy(walk->context.raw, entry->raw, sizeof(entry->raw));
		walk->context.legacy = legacy;
		walk->fpd = walk->fpd || entry->fpd;
		walk->used_cache = true;
		note(walk, MODEL_ENTRY_CONTEXT, entry->address, entry->raw[0]);
		*fault = entry->fault;
		return true;
	}
	return false;
}

static void remember(struct model_walk *walk, bool legacy, uint8_t fault)
{
	const struct model_context *context = &walk->context;
	struct model_cached_context *entry;

	if (legacy && !fault)
		model_sanitizer_domain(walk);
	entry = model_cache_take(walk->unit, MODEL_CACHE_CONTEXT);
	if (!entry)
		return;
	entry->sid = walk->request->requester;
	entry->did = legacy && !fault ? (uint16_t)model_bits(context->raw[1], 23, 8) : 0;
	entry->fault = fault;
	entry->fpd = context->fpd;
	entry->address = context->address;
	memcpy(entry->raw, context->raw, sizeof(entry->raw));
}

uint8_t model_context_find(struct model_walk *walk)
{
	struct model_unit *unit = walk->unit;
	bool legacy = model_ttm(unit) == MODEL_TTM_LEGACY, hit = false;
	uint8_t fault = 0;

	walk->context = (struct model_context){.legacy = legacy};
	if (!walk->peek) {
		hit = from_cache(walk, legacy, &fault);
		model_cache_count(unit, MODEL_CACHE_CONTEXT, hit);
		model_count(unit, MODEL_COUNT_CONTEXT_LOOKUP, walk->request);
	}
	if (hit) {
		model_count(unit, MODEL_COUNT_CONTEXT_HIT, walk->request);
		return fault;
	}
	fault = read_context(walk, legacy);
	if (walk->peek)
		return fault;
	/* Absence is remembered only in caching mode, and under domain 0 (6.1). */
	if (!fault || (unit->caps.cm && (fault == 0x02 || fault == 0x41)))
		remember(walk, legacy, fault);
	return fault;
}
