/* SPDX-License-Identifier: MIT */
/*
 * First-stage page tables (9.7, 3.6): 4 or 5 levels, and nested on a second stage (3.8),
 * where the address of every table and of the page itself is translated once more.
 * Here too the way to a table is remembered, as a host address.
 */
#include "model/unit.h"

enum { TRIES = 16 };

struct state {
	struct model_walk *walk;
	const struct model_first *first;
	uint64_t address, table; /* table: guest address if nested, until `host` is known */
	unsigned level;
	bool top, host_known, table_writable;
	bool user, write, execute;
	uint64_t host;
	struct model_origin host_origin;
};

static uint64_t reserved_bits(const struct model_unit *unit, uint64_t value, unsigned level,
                              bool leaf)
{
	uint64_t bits = unit->config.haw < 52 ? model_mask(51, unit->config.haw) : 0;

	if (level >= 4)
		bits |= MODEL_BIT(7);
	if (leaf && level == 3)
		bits |= model_mask(29, 13) | (unit->caps.fs1gp ? 0 : MODEL_BIT(7));
	if (leaf && level == 2)
		bits |= model_mask(20, 13);
	return value & bits;
}

static uint8_t set_flags(struct state *s, uint64_t at, uint64_t *value, uint64_t flags)
{
	if ((*value & flags) == flags)
		return 0;
	if (!s->first->snooped)
		return 0x90;
	if (s->first->nested && !s->table_writable)
		return 0x77;
	if (s->walk->peek)
		return 0;
	switch (model_walk_set(s->walk, at, value, flags)) {
	case MODEL_SWAP_DONE:
		return 0;
	case MODEL_SWAP_CHANGED:
		return 0xff;
	default:
		return 0x91;
	}
}

static void from_cache(struct state *s)
{
	struct model_unit *unit = s->walk->unit;
	struct model_cached_table *best = NULL;

	model_cache_disturb(unit, MODEL_CACHE_FIRST_STAGE);
	MODEL_CACHE_EACH(unit, MODEL_CACHE_FIRST_STAGE, struct model_cached_table, entry)
	{
		unsigned shift = 12 + 9u * entry->level;

		if (entry->did == s->first->did && entry->pasid == s->first->pasid &&
		    entry->level < s->level && entry->address >> shift == s->address >> shift &&
		    (!best || entry->level < best->level))
			best = entry;
	}
	model_cache_count(unit, MODEL_CACHE_FIRST_STAGE, best);
	model_count(unit, MODEL_COUNT_FIRST_LOOKUP, s->walk->request);
	if (!best)
		return;
	model_count(unit, MODEL_COUNT_FIRST_HIT, s->walk->request);
	s->walk->used_cache = true;
	s->level = best->level;
	s->host = best->table;
	s->host_known = true;
	s->table_writable = best->table_writable;
	s->user = best->user;
	s->write = best->write;
	s->execute = best->execute;
	s->top = false;
}

static void remember(const struct state *s, const struct model_origin *origin)
{
	struct model_unit *unit = s->walk->unit;
	unsigned shift = 12 + 9 * s->level;
	struct model_cached_table *entry;

	/* The walk began at the lowest table that is remembered: this one is not, yet. */
	entry = model_cache_take(unit, MODEL_CACHE_FIRST_STAGE);
	if (!entry)
		return;
	entry->did = s->first->did;
	entry->pasid = s->first->pasid;
	entry->nested = s->first->nested;
	entry->level = (uint8_t)s->level;
	entry->address = s->address & model_mask(63, shift);
	entry->root = s->first->table;
	entry->table = s->host;
	entry->table_writable = s->table_writable;
	entry->user = s->user;
	entry->write = s->write;
	entry->execute = s->execute;
	entry->origin = *origin;
	entry->host = s->host_origin;
}

/* Where the current table lies in host memory. */
static uint8_t locate(struct state *s)
{
	const struct model_second *second = &s->first->second;
	struct model_page page;
	uint8_t fault;

	s->host_origin = (struct model_origin){0};
	s->host_known = true;
	if (!s->first->nested) {
		s->host = s->table;
		s->table_writable = true;
		return 0;
	}
	fault = model_second_walk(s->walk, second, s->table, true, second->flags, second->flags,
	                          &page);
	if (fault)
		return fault;
	if (!page.read || (second->flags && !page.write))
		return s->top ? 0x75 : 0x76;
	s->host = page.output;
	s->table_writable = page.write;
	s->host_origin = page.second;
	return 0;
}

/* A nested page: the second stage has its say about the first stage's output. */
static uint8_t finish_nested(struct state *s, struct model_page *page)
{
	struct model_walk *walk = s->walk;
	bool read = walk->wants_read, write = walk->wants_write;
	struct model_page outer;
	uint8_t fault;

	fault = model_second_walk(walk, &s->first->second, page->output, read, write,
	                          walk->marks_dirty && page->write, &outer);
	if (fault)
		return fault;
	page->output = outer.output;
	page->shift = outer.shift < page->shift ? outer.shift : page->shift;
	page->read = page->read && outer.read;
	page->write = page->write && outer.write;
	page->execute = page->execute && outer.read;
	page->snoop = outer.snoop;
	page->emt = outer.emt;
	page->ipat = outer.ipat;
	page->dirty = outer.dirty;
	page->second = outer.second;
	return 0;
}

static unsigned pat_index(uint64_t value, unsigned level)
{
	return (unsigned)(model_bits(value, 4, 3) | model_bit(value, level == 1 ? 7 : 12) << 2);
}

static uint8_t leaf(struct state *s, uint64_t at, uint64_t value, struct model_page *page)
{
	struct model_walk *walk = s->walk;
	unsigned shift = 12 + 9 * (s->level - 1);
	uint64_t flags = MODEL_BIT(5) | (s->first->extended ? MODEL_BIT(10) : 0);
	bool supervisor = walk->privileged;
	uint8_t fault = 0;

	if (!supervisor && !s->user)
		return 0x81;
	*page = (struct model_page){
		.output = (value & model_mask(51, shift)) | (s->address & (MODEL_BIT(shift) - 1)),
		.shift = (uint8_t)shift,
		.read = true,
		.write = s->write || (supervisor && !s->first->protect),
		.execute = s->execute,
		.pat = (uint8_t)pat_index(value, s->level),
		.dirty = true,
	};
	if (s->first->nested)
		fault = finish_nested(s, page);
	if (fault)
		return fault;
	if ((!walk->wants_read || page->read) && (!walk->wants_write || page->write)) {
		flags |= walk->marks_dirty && page->write ? MODEL_BIT(6) : 0;
		fault = set_flags(s, at, &value, flags);
	}
	page->dirty = page->dirty && model_bit(value, 6);
	page->first = (struct model_origin){MODEL_ENTRY_FIRST, (uint8_t)s->level, at, value};
	return fault;
}

static bool canonical(uint64_t address, unsigned levels)
{
	unsigned top = 12 + 9 * levels - 1;
	uint64_t upper = address >> top;

	return upper == 0 || upper == ~UINT64_C(0) >> top;
}

/* One level: 0 and *done, or 0 to go on below, a fault, or 0xff to look again. */
static uint8_t step(struct state *s, struct model_page *page, bool *done)
{
	struct model_walk *walk = s->walk;
	const struct model_first *first = s->first;
	unsigned shift = 12 + 9 * (s->level - 1);
	uint64_t at = s->host + (s->address >> shift & 0x1ff) * 8, value, bits;
	struct model_origin origin;
	bool is_leaf;
	uint8_t fault;

	if (!model_walk_read(walk, at, &value, first->snooped, MODEL_ENTRY_FIRST, s->level))
		return s->top ? 0x73 : 0x70;
	origin = walk->last;
	if (!(value & 1))
		return 0x71;
	is_leaf = s->level == 1 || (s->level <= 3 && model_bit(value, 7));
	bits = reserved_bits(walk->unit, value, s->level, is_leaf);
	if (bits) {
		model_report_reserved(walk, bits);
		return 0x72;
	}
	if (first->nested &&
	    (value & model_mask(51, 12)) >> model_second_width(walk->unit, first->second.levels))
		return 0x74;
	if (is_leaf) {
		struct state end = *s;

		end.write = s->write && model_bit(value, 1);
		end.user = s->user && model_bit(value, 2);
		end.execute = s->execute && !model_bit(value, 63);
		*done = true;
		return leaf(&end, at, value, page);
	}
	fault = set_flags(s, at, &value, MODEL_BIT(5) | (first->extended ? MODEL_BIT(10) : 0));
	if (fault)
		return fault;
	s->write = s->write && model_bit(value, 1);
	s->user = s->user && model_bit(value, 2);
	s->execute = s->execute && !model_bit(value, 63);
	s->table = value & model_mask(51, 12);
	s->level--;
	s->top = false;
	fault = locate(s);
	if (!fault && !walk->peek)
		remember(s, &origin);
	return fault;
}

uint8_t model_first_walk(struct model_walk *walk, const struct model_first *first,
                         struct model_page *page)
{
	struct state s = {
		.walk = walk,
		.first = first,
		.address = walk->request->address,
		.table = first->table,
		.level = first->levels,
		.top = true,
		.user = true,
		.write = true,
		.execute = first->execute,
	};
	bool done = false;
	uint8_t fault;

	if (!canonical(s.address, first->levels))
		return 0x80;
	if (!walk->peek)
		from_cache(&s);
	fault = s.host_known ? 0 : locate(&s);
	for (unsigned tries = 0; !fault && !done;) {
		fault = step(&s, page, &done);
		if (fault == 0xff && ++tries < TRIES) { /* the entry changed: look again */
			fault = 0;
			done = false;
		}
	}
	return fault == 0xff ? 0x91 : fault;
}
