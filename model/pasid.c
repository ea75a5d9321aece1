/* SPDX-License-Identifier: MIT */
/*
 * PASID directory and PASID table (9.5, 9.6): find the entry that says how a request is
 * translated, by the PASID cache or by memory, and check it.
 */
#include "model/unit.h"

static bool has_first(uint64_t pgtt)
{
	return pgtt == MODEL_PGTT_FIRST || pgtt == MODEL_PGTT_NESTED;
}

static bool has_second(uint64_t pgtt)
{
	return pgtt == MODEL_PGTT_SECOND || pgtt == MODEL_PGTT_NESTED;
}

static uint64_t reserved_bits(const struct model_unit *unit, const uint64_t raw[8])
{
	const struct model_caps *caps = &unit->caps;
	uint64_t pgtt = model_bits(raw[0], 8, 6), haw = model_mask(63, unit->config.haw);
	uint64_t r0 = MODEL_BIT(5) | model_mask(11, 10);
	uint64_t r1 = model_mask(22, 16) | model_mask(31, 27);
	uint64_t r2 = model_mask(11, 8);

	if (has_second(pgtt)) {
		r0 |= haw | (caps->ssads ? 0 : MODEL_BIT(9));
		r1 |= caps->mts ? 0 : MODEL_BIT(26);
	}
	if (caps->did_bits < 16)
		r1 |= model_mask(15, caps->did_bits);
	r1 |= caps->smpwcs ? 0 : MODEL_BIT(23);
	r1 |= caps->sc ? 0 : MODEL_BIT(24);
	r1 |= caps->mts ? 0 : MODEL_BIT(25);
	r2 |= caps->ers ? 0 : MODEL_BIT(1);
	if (has_first(pgtt)) {
		r1 |= caps->mts ? 0 : model_mask(63, 32);
		r2 |= caps->srs ? 0 : MODEL_BIT(0);
		r2 |= caps->eafs ? 0 : MODEL_BIT(7);
	}
	if (pgtt == MODEL_PGTT_FIRST)
		r2 |= haw;
	return (raw[0] & r0) | (raw[1] & r1) | (raw[2] & r2) | raw[3] | raw[4] | raw[5] | raw[6] |
	       raw[7];
}

static bool valid(const struct model_unit *unit, const uint64_t raw[8])
{
	const struct model_caps *caps = &unit->caps;
	uint64_t pgtt = model_bits(raw[0], 8, 6), fspm = model_bits(raw[2], 3, 2);
	unsigned levels = model_aw_levels(unit, (unsigned)model_bits(raw[0], 4, 2));
	const bool supported[8] = {[MODEL_PGTT_FIRST] = caps->fsts,
	                           [MODEL_PGTT_SECOND] = caps->ssts,
	                           [MODEL_PGTT_NESTED] = caps->nest,
	                           [MODEL_PGTT_PASS] = caps->pt};

	if (!supported[pgtt] || (has_second(pgtt) && !levels))
		return false;
	if (has_first(pgtt) && (fspm > 1 || (fspm == 1 && !caps->fs5lp)))
		return false;
	return pgtt != MODEL_PGTT_NESTED ||
	       !((raw[2] & model_mask(63, 12)) >> model_second_width(unit, levels));
}

static uint8_t read_entry(struct model_walk *walk)
{
	struct model_unit *unit = walk->unit;
	struct model_pasid *entry = &walk->entry;
	uint64_t directory = walk->context.raw[0] & model_mask(63, 12), bits, word;

	directory += (uint64_t)(walk->pasid >> 6) * 8;
	if (!model_walk_read_table(walk, directory, &word, sizeof(word)))
		return 0x50;
	entry->directory = (struct model_origin){MODEL_ENTRY_DIRECTORY, 0, directory, word};
	walk->last = entry->directory;
	entry->fpd = model_bit(word, 1);
	walk->fpd = walk->fpd || entry->fpd;
	if (!(word & 1))
		return 0x51;
	bits = (word & model_mask(11, 2)) | model_above_haw(unit, word);
	if (bits) {
		model_report_reserved(walk, bits);
		return 0x52;
	}
	entry->address = (word & model_mask(63, 12)) + (walk->pasid & 63) * 64;
	if (!model_walk_read_table(walk, entry->address, entry->raw, sizeof(entry->raw)))
		return 0x58;
	walk->last = (struct model_origin){MODEL_ENTRY_PASID, 0, entry->address, entry->raw[0]};
	entry->fpd = entry->fpd || model_bit(entry->raw[0], 1);
	walk->fpd = walk->fpd || entry->fpd;
	if (!(entry->raw[0] & 1))
		return 0x59;
	bits = reserved_bits(unit, entry->raw);
	if (bits) {
		model_report_reserved(walk, bits);
		return 0x5a;
	}
	return valid(unit, entry->raw) ? 0 : 0x5b;
}

static bool from_cache(struct model_walk *walk, uint8_t *fault)
{
	struct model_unit *unit = walk->unit;

	model_cache_disturb(unit, MODEL_CACHE_PASID);
	MODEL_CACHE_EACH(unit, MODEL_CACHE_PASID, struct model_cached_pasid, entry)
	{
		if (entry->sid != walk->request->requester || entry->pasid != walk->pasid)
			continue;
		walk->entry.directory = entry->directory;
		walk->entry.address = entry->address;
		walk->entry.fpd = entry->fpd;
		memcpy(walk->entry.raw, entry->raw, sizeof(entry->raw));
		walk->fpd = walk->fpd || entry->fpd;
		walk->used_cache = true;
		walk->last =
			(struct model_origin){MODEL_ENTRY_PASID, 0, entry->address, entry->raw[0]};
		*fault = entry->fault;
		return true;
	}
	return false;
}

static void remember(struct model_walk *walk, uint8_t fault)
{
	struct model_cached_pasid *entry;

	if (!fault)
		model_sanitizer_domain(walk);
	entry = model_cache_take(walk->unit, MODEL_CACHE_PASID);
	if (!entry)
		return;
	entry->sid = walk->request->requester;
	entry->pasid = walk->pasid;
	entry->did = fault ? 0 : (uint16_t)walk->entry.raw[1];
	entry->fault = fault;
	entry->fpd = walk->entry.fpd;
	entry->directory = walk->entry.directory;
	entry->address = walk->entry.address;
	memcpy(entry->raw, walk->entry.raw, sizeof(entry->raw));
}

uint8_t model_pasid_find(struct model_walk *walk)
{
	struct model_unit *unit = walk->unit;
	bool hit = false;
	uint8_t fault = 0;

	memset(&walk->entry, 0, sizeof(walk->entry));
	if (!walk->peek) {
		hit = from_cache(walk, &fault);
		model_cache_count(unit, MODEL_CACHE_PASID, hit);
		model_count(unit, MODEL_COUNT_PASID_LOOKUP, walk->request);
	}
	if (hit) {
		model_count(unit, MODEL_COUNT_PASID_HIT, walk->request);
		return fault;
	}
	fault = read_entry(walk);
	if (walk->peek)
		return fault;
	if (!fault || (unit->caps.cm && (fault == 0x51 || fault == 0x59)))
		remember(walk, fault);
	return fault;
}
