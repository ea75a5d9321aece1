/* SPDX-License-Identifier: MIT */
/*
 * Second-stage page tables (9.8, 3.7): 3 to 5 levels, large pages, accessed and dirty
 * flags, and the cache of their non-leaf entries. An entry counts as present if it
 * permits anything; rights are ANDed over the levels.
 */
#include "model/unit.h"

enum { TRIES = 16 };

/* What the walk knows on its way down. */
struct state {
	struct model_walk *walk;
	const struct model_second *second;
	uint64_t address, table;
	unsigned level;
	bool top, read, write;
};

unsigned model_second_width(const struct model_unit *unit, unsigned levels)
{
	unsigned width = 12 + 9 * levels;

	return width < unit->caps.mgaw ? width : unit->caps.mgaw;
}

static uint64_t reserved_bits(const struct model_unit *unit, uint64_t value, unsigned level,
                              bool leaf)
{
	uint64_t bits = unit->config.haw < 52 ? model_mask(51, unit->config.haw) : 0;

	bits |= unit->caps.ssirws ? 0 : MODEL_BIT(62);
	if (level >= 4)
		bits |= MODEL_BIT(7);
	if (!leaf || !unit->caps.sc)
		bits |= MODEL_BIT(11);
	if (leaf && level > 1) {
		bits |= model_mask(12 + 9 * (level - 1) - 1, 12);
		if (!(unit->caps.slps >> (level - 2) & 1))
			bits |= MODEL_BIT(7);
	}
	return value & bits;
}

/* The rights of one entry; I/O may have its own bits (SSIRWE). */
static void rights(const struct model_unit *unit, uint64_t value, bool *read, bool *write)
{
	unsigned at = model_bit(unit->root, 7) ? 61 : 0;

	*read = model_bit(value, at);
	*write = model_bit(value, at + 1);
}

/*
 * Set flags that are missing. Returns 0, a fault reason, or 0xff: the entry changed
 * meanwhile and must be looked at again.
 */
static uint8_t set_flags(struct state *s, uint64_t at, uint64_t *value, uint64_t flags)
{
	if (!s->second->flags || (*value & flags) == flags)
		return 0;
	if (!s->second->snooped)
		return 0x7c;
	if (s->walk->peek)
		return 0;
	switch (model_walk_set(s->walk, at, value, flags)) {
	case MODEL_SWAP_DONE:
		return 0;
	case MODEL_SWAP_CHANGED:
		return 0xff;
	default:
		return 0x7d;
	}
}

static void from_cache(struct state *s)
{
	struct model_unit *unit = s->walk->unit;
	struct model_cached_table *best = NULL;

	model_cache_disturb(unit, MODEL_CACHE_SECOND_STAGE);
	MODEL_CACHE_EACH(unit, MODEL_CACHE_SECOND_STAGE, struct model_cached_table, entry)
	{
		unsigned shift = 12 + 9u * entry->level;

		if (entry->did == s->second->did && entry->level < s->level &&
		    entry->address >> shift == s->address >> shift &&
		    (!best || entry->level < best->level))
			best = entry;
	}
	model_cache_count(unit, MODEL_CACHE_SECOND_STAGE, best);
	model_count(unit, MODEL_COUNT_SECOND_LOOKUP, s->walk->request);
	if (!best)
		return;
	model_count(unit, MODEL_COUNT_SECOND_HIT, s->walk->request);
	s->walk->used_cache = true;
	s->level = best->level;
	s->table = best->table;
	s->read = best->read;
	s->write = best->write;
	s->top = false;
}

static void remember(const struct state *s, const struct model_origin *origin)
{
	struct model_unit *unit = s->walk->unit;
	unsigned shift = 12 + 9 * s->level;
	struct model_cached_table *entry;

	/* The walk began at the lowest table that is remembered: this one is not, yet. */
	entry = model_cache_take(unit, MODEL_CACHE_SECOND_STAGE);
	if (!entry)
		return;
	entry->did = s->second->did;
	entry->level = (uint8_t)s->level;
	entry->address = s->address & model_mask(63, shift);
	entry->root = s->second->table;
	entry->table = s->table;
	entry->read = s->read;
	entry->write = s->write;
	entry->origin = *origin;
}

static uint8_t unreadable(const struct state *s)
{
	if (s->second->legacy)
		return s->top ? 0x03 : 0x07;
	return s->top ? 0x7b : 0x78;
}

static uint8_t leaf(struct state *s, uint64_t at, uint64_t value, bool read, bool write, bool dirty,
                    struct model_page *page)
{
	unsigned shift = 12 + 9 * (s->level - 1);
	uint64_t offset = s->address & (MODEL_BIT(shift) - 1), flags = MODEL_BIT(8);
	uint8_t fault = 0;

	if ((!read || s->read) && (!write || s->write)) {
		flags |= dirty && s->write ? MODEL_BIT(9) : 0;
		fault = set_flags(s, at, &value, flags);
	}
	if (fault)
		return fault;
	*page = (struct model_page){
		.output = (value & model_mask(51, shift)) | offset,
		.shift = (uint8_t)shift,
		.read = s->read,
		.write = s->write,
		.execute = s->read,
		.dirty = !s->second->flags || model_bit(value, 9),
		.snoop = model_bit(value, 11),
		.emt = (uint8_t)model_bits(value, 5, 3),
		.ipat = model_bit(value, 6),
		.second = {MODEL_ENTRY_SECOND, (uint8_t)s->level, at, value},
	};
	return 0;
}

/* Rights are gone: scalable mode has a reason for it, legacy mode leaves it to the access. */
static uint8_t no_rights(struct state *s, struct model_page *page)
{
	*page = (struct model_page){
		.shift = (uint8_t)(12 + 9 * (s->level - 1)),
		.second = s->walk->last,
	};
	return s->second->legacy ? 0 : 0x79;
}

uint8_t model_second_walk(struct model_walk *walk, const struct model_second *second,
                          uint64_t address, bool read, bool write, bool dirty,
                          struct model_page *page)
{
	struct state s = {walk, second, address, second->table, second->levels, true, true, true};
	unsigned tries = 0;

	if (!walk->peek)
		from_cache(&s);
	for (;;) {
		unsigned shift = 12 + 9 * (s.level - 1);
		uint64_t at = s.table + (address >> shift & 0x1ff) * 8, value, bits;
		bool is_leaf, may_read, may_write;
		struct model_origin origin;
		uint8_t fault;

		if (!model_walk_read(walk, at, &value, second->snooped, MODEL_ENTRY_SECOND,
		                     s.level))
			return unreadable(&s);
		origin = walk->last;
		rights(walk->unit, value, &may_read, &may_write);
		if (!may_read && !may_write)
			return no_rights(&s, page);
		is_leaf = s.level == 1 || (s.level <= 3 && model_bit(value, 7));
		bits = reserved_bits(walk->unit, value, s.level, is_leaf);
		if (bits) {
			model_report_reserved(walk, bits);
			return second->legacy ? 0x0c : 0x7a;
		}
		may_read = may_read && s.read;
		may_write = may_write && s.write;
		if (!may_read && !may_write)
			return no_rights(&s, page);
		if (is_leaf) {
			struct state end = s;

			end.read = may_read;
			end.write = may_write;
			fault = leaf(&end, at, value, read, write, dirty, page);
		} else {
			fault = set_flags(&s, at, &value, MODEL_BIT(8));
		}
		if (fault == 0xff && ++tries < TRIES)
			continue; /* software changed the entry under us: look again */
		if (fault)
			return fault == 0xff ? 0x7d : fault;
		if (is_leaf)
			return 0;
		s.read = may_read;
		s.write = may_write;
		s.table = value & model_mask(51, 12);
		s.level--;
		s.top = false;
		if (!walk->peek)
			remember(&s, &origin);
	}
}
