/* SPDX-License-Identifier: MIT */
/*
 * Freed tables: may the unit still reach them? Through a cache, through a register, or by
 * a path of present entries from the root (6.5.3: a table may be reused only when no
 * entry leads to it and no cache remembers it).
 */
#include "model/unit.h"

struct search {
	struct model_unit *unit;
	uint64_t address, bytes;
	unsigned found;
	uint32_t budget; /* tables still to be read, so that broken tables end too */
};

static void report(struct search *s, const char *words, uint64_t at)
{
	struct model_report report;
	struct model_text text;

	s->found++;
	model_report_begin(&report, &text, NULL);
	report.address = s->address;
	report.entry = at;
	model_text_add(&text, "freed memory at ");
	model_text_hex(&text, s->address);
	model_text_add(&text, " is still in use, by ");
	model_text_add(&text, words);
	model_text_add(&text, " ");
	model_text_hex(&text, at);
	model_report_send(s->unit, MODEL_REPORT_FREED, &report);
}

static bool hits(const struct search *s, uint64_t at, uint64_t bytes)
{
	return model_overlap(s->address, s->bytes, at, bytes);
}

/* ---- memory: every path from the root ------------------------------------------------- */

static void tree(struct search *s, uint64_t table, unsigned level, bool second, uint64_t parent)
{
	uint64_t line[8], present = !second                       ? 1
	                            : model_bit(s->unit->root, 7) ? model_mask(62, 61)
	                                                          : 3;

	if (hits(s, table, 0x1000)) {
		report(s,
		       second ? "the second-stage tables of the entry at"
		              : "the first-stage tables of the entry at",
		       parent);
		return;
	}
	if (level <= 1 || !s->budget)
		return;
	s->budget--;
	for (unsigned i = 0; i < 512; i++) {
		uint64_t value;

		if (i % 8 == 0 &&
		    !model_memory_read(s->unit, table + i * 8, line, sizeof(line), true))
			return;
		value = line[i % 8];
		if ((value & present) && !(level <= 3 && model_bit(value, 7)))
			tree(s, value & model_mask(51, 12), level - 1, second, table + i * 8);
	}
}

static void pasid_table(struct search *s, uint64_t table, uint64_t parent)
{
	uint64_t raw[8];

	if (hits(s, table, 0x1000)) {
		report(s, "the PASID directory entry at", parent);
		return;
	}
	for (unsigned i = 0; i < 64; i++) {
		uint64_t at = table + i * 64, pgtt;

		if (!model_memory_read(s->unit, at, raw, sizeof(raw), true))
			return;
		pgtt = model_bits(raw[0], 8, 6);
		if (!(raw[0] & 1))
			continue;
		if (pgtt == MODEL_PGTT_SECOND || pgtt == MODEL_PGTT_NESTED)
			tree(s, raw[0] & model_mask(63, 12),
			     model_aw_levels(s->unit, (unsigned)model_bits(raw[0], 4, 2)), true,
			     at);
		else if (pgtt == MODEL_PGTT_FIRST)
			tree(s, raw[2] & model_mask(63, 12), model_bits(raw[2], 3, 2) ? 5 : 4,
			     false, at);
	}
}

static void context(struct search *s, uint64_t at, bool legacy)
{
	uint64_t raw[4] = {0}, directory, count, word;

	if (!model_memory_read(s->unit, at, raw, legacy ? 16 : 32, true) || !(raw[0] & 1))
		return;
	if (legacy) {
		if (model_bits(raw[0], 3, 2) != 2)
			tree(s, raw[0] & model_mask(63, 12),
			     model_aw_levels(s->unit, (unsigned)(raw[1] & 7)), true, at);
		return;
	}
	directory = raw[0] & model_mask(63, 12);
	count = UINT64_C(1) << (model_bits(raw[0], 11, 9) + 7);
	if (hits(s, directory, count * 8)) {
		report(s, "the context entry at", at);
		return;
	}
	for (uint64_t i = 0; i < count; i++) {
		if (!model_memory_read(s->unit, directory + i * 8, &word, sizeof(word), true))
			return;
		if (word & 1)
			pasid_table(s, word & model_mask(63, 12), directory + i * 8);
	}
}

static void contexts(struct search *s, uint64_t table, uint64_t parent, bool legacy)
{
	unsigned size = legacy ? 16 : 32;

	if (hits(s, table, 0x1000)) {
		report(s, "the root entry at", parent);
		return;
	}
	for (unsigned i = 0; i < 0x1000 / size; i++)
		context(s, table + i * size, legacy);
}

unsigned model_reach(struct model_unit *unit, uint64_t address, uint64_t bytes)
{
	struct search s = {unit, address, bytes, 0, 1u << 16};
	bool legacy = model_ttm(unit) == MODEL_TTM_LEGACY;
	uint64_t root = unit->root & model_mask(63, 12), raw[2];

	if (!(unit->gsts & MODEL_G_TE) || model_ttm(unit) >= MODEL_TTM_RESERVED)
		return 0;
	if (hits(&s, root, 0x1000)) {
		report(&s, "the unit, as its root table at", root);
		return s.found;
	}
	for (unsigned bus = 0; bus < 256; bus++) {
		uint64_t at = root + bus * 16;

		if (!model_memory_read(unit, at, raw, sizeof(raw), true))
			break;
		if (raw[0] & 1)
			contexts(&s, raw[0] & model_mask(63, 12), at, legacy);
		if (!legacy && (raw[1] & 1))
			contexts(&s, raw[1] & model_mask(63, 12), at + 8, legacy);
	}
	return s.found;
}

/* ---- caches and registers ---------------------------------------------------------------- */

static void tables_cached(struct search *s, enum model_cache which)
{
	MODEL_CACHE_EACH(s->unit, which, struct model_cached_table, entry)
	{
		if (hits(s, entry->table, 0x1000))
			report(s, "a cached paging structure, from the entry at",
			       entry->origin.address);
		else if (hits(s, entry->origin.address, 8))
			report(s, "a cached paging structure, read at", entry->origin.address);
	}
}

static void upper_cached(struct search *s)
{
	bool legacy = model_ttm(s->unit) == MODEL_TTM_LEGACY;

	MODEL_CACHE_EACH(s->unit, MODEL_CACHE_CONTEXT, struct model_cached_context, entry)
	{
		uint64_t bytes =
			legacy ? 0x1000 : 8 * MODEL_BIT(model_bits(entry->raw[0], 11, 9) + 7);
		bool points =
			!(legacy && model_bits(entry->raw[0], 3, 2) == 2) && (entry->raw[0] & 1);

		if (hits(s, entry->address, 16) ||
		    (points && hits(s, entry->raw[0] & model_mask(63, 12), bytes)))
			report(s, "the cached context entry at", entry->address);
	}
	MODEL_CACHE_EACH(s->unit, MODEL_CACHE_PASID, struct model_cached_pasid, entry)
	{
		uint64_t pgtt = model_bits(entry->raw[0], 8, 6);
		bool second = pgtt == MODEL_PGTT_SECOND || pgtt == MODEL_PGTT_NESTED;

		if (hits(s, entry->address, 64) ||
		    (second && hits(s, entry->raw[0] & model_mask(63, 12), 0x1000)) ||
		    (pgtt == MODEL_PGTT_FIRST &&
		     hits(s, entry->raw[2] & model_mask(63, 12), 0x1000)))
			report(s, "the cached PASID entry at", entry->address);
	}
	MODEL_CACHE_EACH(s->unit, MODEL_CACHE_INTERRUPT, struct model_cached_interrupt, entry)
	{
		if (hits(s, entry->address, 16))
			report(s, "the cached interrupt entry at", entry->address);
	}
}

static void registers(struct search *s)
{
	const struct model_unit *unit = s->unit;
	uint64_t base = unit->irta & model_mask(63, 12);

	if ((unit->gsts & MODEL_G_IRE) &&
	    hits(s, base, UINT64_C(32) << model_bits(unit->irta, 3, 0)))
		report(s, "the unit, as its interrupt table at", base);
	base = unit->iqa & model_mask(63, 12);
	if ((unit->gsts & MODEL_G_QIE) && hits(s, base, model_queue_bytes(unit)))
		report(s, "the unit, as its invalidation queue at", base);
}

unsigned model_table_freed(struct model_unit *unit, uint64_t address, uint64_t bytes)
{
	struct search s = {unit, address, bytes, 0, 0};

	if (!model_sanitizing(unit) || !bytes)
		return 0;
	if (unit->gsts & MODEL_G_TE) {
		MODEL_CACHE_EACH(unit, MODEL_CACHE_IOTLB, struct model_cached_page, entry)
		{
			if ((entry->page.first.kind && hits(&s, entry->page.first.address, 8)) ||
			    (entry->page.second.kind && hits(&s, entry->page.second.address, 8)))
				report(&s, "a cached translation of", entry->address);
		}
		tables_cached(&s, MODEL_CACHE_FIRST_STAGE);
		tables_cached(&s, MODEL_CACHE_SECOND_STAGE);
	}
	upper_cached(&s);
	registers(&s);
	return s.found + model_reach(unit, address, bytes);
}
