/* SPDX-License-Identifier: MIT */
/*
 * The sanitizer: what the caches said is compared with what a walk of memory says now,
 * without caches and without side effects. A difference means that an invalidation was
 * owed and not done (6.5.3, Table 28), or that a line was not cleaned for a unit that
 * does not snoop. Entries that only became more permissive count too if a request
 * was refused for want of what memory grants.
 */
#include "model/unit.h"

void model_sanitizer_hold(struct model_unit *unit, bool hold)
{
	if (hold)
		unit->held++;
	else if (unit->held)
		unit->held--;
}

static bool same(const struct model_walk *unit_says, uint8_t fault,
                 const struct model_walk *memory_says, uint8_t memory_fault)
{
	const struct model_page *a = &unit_says->page, *b = &memory_says->page;

	/* A flag that could not be written is memory's failure, which a look does not repeat. */
	if (fault == 0x7d || fault == 0x91)
		return true;
	if (fault || memory_fault)
		return !fault == !memory_fault;
	if (!unit_says->page_known || unit_says->request->kind == MODEL_TRANSLATED)
		return true;
	if ((a->read && !b->read) || (a->write && !b->write))
		return false;
	if (!a->read && !a->write)
		return true;
	if (a->output != b->output || a->snoop != b->snoop)
		return false;
	/* Dirty flags were read and cleared, and the unit will not set them again. */
	return !(unit_says->marks_dirty && a->write && a->dirty && !b->dirty);
}

/* The entry that decides: where the walk ended, or the leaf. */
static const struct model_origin *decisive(const struct model_walk *walk, uint8_t fault)
{
	if (fault || !walk->page_known)
		return &walk->last;
	if (walk->page.first.kind && !walk->page.second.kind)
		return &walk->page.first;
	return walk->page.second.kind ? &walk->page.second : &walk->last;
}

static void say_outcome(struct model_text *text, const struct model_walk *walk, uint8_t fault)
{
	if (fault) {
		model_text_add(text, "fault ");
		model_text_hex(text, fault);
	} else if (!walk->page_known) {
		model_text_add(text, "accepted");
	} else {
		model_text_hex(text, walk->page.output);
		model_text_add(text, walk->page.read ? " r" : " -");
		model_text_add(text, walk->page.write ? "w" : "-");
		model_text_add(text, walk->page.dirty ? "" : " clean");
	}
}

static void peek(const struct model_walk *walk, struct model_walk *other,
                 struct model_result *scratch, bool memory, uint8_t *fault)
{
	model_walk_begin(other, walk->unit, walk->request, scratch);
	other->peek = true;
	other->peek_memory = memory;
	*fault = model_translate(other);
}

/* Compare, and report a difference. */
static void compare(struct model_walk *walk, uint8_t fault)
{
	struct model_walk memory, unit_view;
	struct model_result scratch = {0};
	enum model_report_kind kind = MODEL_REPORT_STALE;
	const struct model_origin *held = decisive(walk, fault), *now;
	struct model_report report;
	struct model_text text;
	uint8_t memory_fault, unit_fault;

	peek(walk, &memory, &scratch, true, &memory_fault);
	if (same(walk, fault, &memory, memory_fault))
		return;
	peek(walk, &unit_view, &scratch, false, &unit_fault);
	if (unit_view.unsnooped && same(walk, fault, &unit_view, unit_fault))
		kind = MODEL_REPORT_NOT_CLEANED;
	now = decisive(&memory, memory_fault);
	model_report_begin(&report, &text, walk);
	report.entry = now->address;
	report.expected = held->value;
	report.found = now->value;
	model_text_add(&text, kind == MODEL_REPORT_STALE ? "stale, the unit says "
	                                                 : "not cleaned, the unit sees ");
	say_outcome(&text, walk, fault);
	model_text_add(&text, ", memory ");
	say_outcome(&text, &memory, memory_fault);
	model_text_add(&text, ": ");
	model_text_entry(&text, now);
	model_text_add(&text, kind == MODEL_REPORT_STALE ? "; an invalidation is owed"
	                                                 : "; the line must be written back");
	model_report_send(walk->unit, kind, &report);
}

void model_sanitizer_request(struct model_walk *walk, uint8_t fault)
{
	if (model_sanitizing(walk->unit) && !walk->unit->held &&
	    (walk->used_cache || walk->unsnooped))
		compare(walk, fault);
}

/* ---- interrupt entries ------------------------------------------------------------------ */

/* AVAIL (11:8) is software's and says nothing to the unit. */
static bool interrupt_differs(struct model_unit *unit, uint64_t at, const uint64_t raw[2],
                              uint64_t now[2])
{
	return model_memory_read(unit, at, now, 16, true) &&
	       (((now[0] ^ raw[0]) & ~model_mask(11, 8)) || now[1] != raw[1]);
}

static void say_interrupt(struct model_unit *unit, enum model_report_kind kind, uint64_t entry,
                          const uint64_t raw[2], const uint64_t now[2], uint64_t address,
                          uint16_t requester)
{
	const struct model_request request = {
		.access = MODEL_WRITE, .requester = requester, .address = address};
	struct model_walk walk = {.unit = unit, .request = &request};
	struct model_report report;
	struct model_text text;
	bool second = raw[0] == now[0]; /* the difference lies in the second half */

	model_report_begin(&report, &text, &walk);
	report.entry = entry;
	report.expected = raw[second];
	report.found = now[second];
	model_text_add(&text, kind == MODEL_REPORT_STALE ? "stale interrupt entry at "
	                                                 : "interrupt entry not cleaned at ");
	model_text_hex(&text, entry + 8 * second);
	model_text_add(&text, ", the unit holds ");
	model_text_hex(&text, raw[second]);
	model_text_add(&text, ", memory ");
	model_text_hex(&text, now[second]);
	model_text_add(&text, kind == MODEL_REPORT_STALE
	                              ? "; an interrupt entry invalidation is owed"
	                              : "; the line must be written back");
	model_report_send(unit, kind, &report);
}

void model_sanitizer_interrupt(struct model_unit *unit, struct model_cached_interrupt *entry,
                               uint64_t address, uint16_t requester)
{
	uint64_t now[2];

	if (!model_sanitizing(unit) || unit->held || entry->slot.reported ||
	    !interrupt_differs(unit, entry->address, entry->raw, now))
		return;
	entry->slot.reported = true;
	say_interrupt(unit, MODEL_REPORT_STALE, entry->address, entry->raw, now, address,
	              requester);
}

void model_sanitizer_interrupt_read(struct model_unit *unit, uint64_t entry, const uint64_t raw[2],
                                    uint64_t address, uint16_t requester)
{
	uint64_t now[2];

	if (model_sanitizing(unit) && !unit->held && interrupt_differs(unit, entry, raw, now))
		say_interrupt(unit, MODEL_REPORT_NOT_CLEANED, entry, raw, now, address, requester);
}

/* ---- what a device remembers ----------------------------------------------------------- */

void model_sanitizer_device(struct model_unit *unit, const struct model_request *request,
                            uint64_t output, bool read, bool write)
{
	struct model_result scratch = {0};
	struct model_report report;
	struct model_walk memory;
	struct model_text text;
	uint8_t fault;

	if (!model_sanitizing(unit) || unit->held)
		return;
	model_walk_begin(&memory, unit, request, &scratch);
	memory.peek = memory.peek_memory = true;
	fault = model_translate(&memory);
	if (!fault && memory.page.output == output && (memory.page.read || !read) &&
	    (memory.page.write || !write))
		return;
	model_report_begin(&report, &text, &memory);
	report.entry = decisive(&memory, fault)->address;
	report.expected = output;
	report.found = fault ? 0 : memory.page.output;
	model_text_add(&text, "stale, the device-TLB says ");
	model_text_hex(&text, output);
	model_text_add(&text, ", memory ");
	say_outcome(&text, &memory, fault);
	model_text_add(&text, "; a device-TLB invalidation is owed");
	model_report_send(unit, MODEL_REPORT_STALE, &report);
}

/* ---- entries changed while present --------------------------------------------------- */

static bool present(const struct model_unit *unit, uint8_t kind, uint64_t value)
{
	if (kind == MODEL_ENTRY_SECOND)
		return value & (model_bit(unit->root, 7) ? model_mask(62, 61) : 3);
	return value & 1;
}

static void live_change(struct model_unit *unit, struct model_slot *slot,
                        const struct model_origin *was, uint64_t now, const char *words)
{
	struct model_report report;
	struct model_text text;

	slot->reported = true;
	model_report_begin(&report, &text, NULL);
	report.entry = was->address;
	report.expected = was->value;
	report.found = now;
	model_text_add(&text, words);
	model_text_add(&text, ", the ");
	model_text_entry(&text, was);
	model_text_add(&text, " in the unit and ");
	model_text_hex(&text, now);
	model_text_add(&text, " in memory");
	model_report_send(unit, MODEL_REPORT_LIVE_CHANGE, &report);
}

/* A paging entry that turned from table to page or back without an invalidation between. */
static void check_paging(struct model_unit *unit, struct model_slot *slot,
                         const struct model_origin *was)
{
	uint64_t now;

	if (slot->reported || was->level < 2 || was->level > 3)
		return;
	if (!model_memory_read(unit, was->address, &now, sizeof(now), true))
		return;
	/* Caching mode keeps absence, too: what was not present may become anything. */
	if (present(unit, was->kind, was->value) && present(unit, was->kind, now) &&
	    model_bit(now ^ was->value, 7))
		live_change(unit, slot, was, now,
		            "page size changed without not-present and invalidation between");
}

/* Entries of more than 16 bytes: only one piece of 16 may change while P stays set. */
static void check_wide(struct model_unit *unit, struct model_slot *slot, uint8_t kind,
                       uint64_t address, const uint64_t *was, unsigned words)
{
	struct model_origin origin = {kind, 0, address, was[0]};
	unsigned pieces = 0;
	uint64_t now[8];

	if (slot->reported ||
	    !model_memory_read(unit, address, now, words * sizeof(now[0]), true) || !(now[0] & 1))
		return;
	for (unsigned i = 0; i < words; i += 2)
		pieces += now[i] != was[i] || now[i + 1] != was[i + 1];
	if (pieces > 1)
		live_change(unit, slot, &origin, now[0],
		            "more than 16 bytes changed while the entry was present");
}

void model_sanitizer_scan(struct model_unit *unit)
{
	bool scalable = model_ttm(unit) == MODEL_TTM_SCALABLE;

	if (!model_sanitizing(unit))
		return;
	MODEL_CACHE_EACH(unit, MODEL_CACHE_IOTLB, struct model_cached_page, entry)
	{
		check_paging(unit, &entry->slot, &entry->page.first);
		check_paging(unit, &entry->slot, &entry->page.second);
	}
	MODEL_CACHE_EACH(unit, MODEL_CACHE_FIRST_STAGE, struct model_cached_table, entry)
	{
		check_paging(unit, &entry->slot, &entry->origin);
	}
	MODEL_CACHE_EACH(unit, MODEL_CACHE_SECOND_STAGE, struct model_cached_table, entry)
	{
		check_paging(unit, &entry->slot, &entry->origin);
	}
	MODEL_CACHE_EACH(unit, MODEL_CACHE_PASID, struct model_cached_pasid, entry)
	{
		if (!entry->fault)
			check_wide(unit, &entry->slot, MODEL_ENTRY_PASID, entry->address,
			           entry->raw, 8);
	}
	MODEL_CACHE_EACH(unit, MODEL_CACHE_CONTEXT, struct model_cached_context, entry)
	{
		if (!entry->fault && scalable)
			check_wide(unit, &entry->slot, MODEL_ENTRY_CONTEXT, entry->address,
			           entry->raw, 4);
	}
}

/* ---- domain ids (6.2.2, 6.2.3) ---------------------------------------------------------- */

static void contradiction(struct model_walk *walk, const char *words, uint64_t other)
{
	struct model_report report;
	struct model_text text;

	model_report_begin(&report, &text, walk);
	report.entry = walk->last.address;
	report.expected = other;
	report.found = walk->last.value;
	model_text_entry(&text, &walk->last);
	model_text_add(&text, ", ");
	model_text_add(&text, words);
	model_text_add(&text, " ");
	model_text_hex(&text, other);
	model_report_send(walk->unit, MODEL_REPORT_STRUCTURE, &report);
}

static bool second_kind(uint64_t pgtt)
{
	return pgtt == MODEL_PGTT_SECOND || pgtt == MODEL_PGTT_NESTED;
}

static void check_pasid_pair(struct model_walk *walk, const struct model_cached_pasid *entry)
{
	const uint64_t *mine = walk->entry.raw, *other = entry->raw;
	uint64_t a = model_bits(mine[0], 8, 6), b = model_bits(other[0], 8, 6);

	if (entry->fault || entry->did != (uint16_t)mine[1])
		return;
	if (second_kind(a) != second_kind(b))
		contradiction(walk, "its domain id serves another kind of translation at",
		              entry->address);
	else if (second_kind(a) && ((mine[0] ^ other[0]) & (model_mask(63, 12) | model_mask(4, 2))))
		contradiction(walk, "its domain id has another second-stage table at",
		              entry->address);
	else if (entry->pasid == walk->pasid && a != b)
		contradiction(walk, "its domain id and PASID translate otherwise at",
		              entry->address);
	else if (entry->pasid == walk->pasid && (a == MODEL_PGTT_FIRST || a == MODEL_PGTT_NESTED) &&
	         ((mine[2] ^ other[2]) & (model_mask(63, 12) | model_mask(3, 2))))
		contradiction(walk, "its domain id and PASID have another first-stage table at",
		              entry->address);
}

void model_sanitizer_domain(struct model_walk *walk)
{
	struct model_unit *unit = walk->unit;
	const uint64_t *raw = walk->context.raw;
	bool legacy = walk->context.legacy;
	uint16_t did = legacy ? (uint16_t)model_bits(raw[1], 23, 8) : (uint16_t)walk->entry.raw[1];

	if (!model_sanitizing(unit) || unit->held)
		return;
	if (unit->caps.cm && !did)
		contradiction(walk, "domain id 0 belongs to caching mode; entry at",
		              walk->last.address);
	if (!legacy) {
		MODEL_CACHE_EACH(unit, MODEL_CACHE_PASID, struct model_cached_pasid, entry)
		{
			check_pasid_pair(walk, entry);
		}
		return;
	}
	MODEL_CACHE_EACH(unit, MODEL_CACHE_CONTEXT, struct model_cached_context, entry)
	{
		/* Pass-through entries have no table to compare. */
		bool pass = model_bits(raw[0], 3, 2) == 2,
		     other = model_bits(entry->raw[0], 3, 2) == 2;

		if (entry->fault || entry->did != did)
			continue;
		if (pass != other || (!pass && (((raw[0] ^ entry->raw[0]) & model_mask(63, 12)) ||
		                                ((raw[1] ^ entry->raw[1]) & 7))))
			contradiction(walk, "its domain id has another table or width at",
			              entry->address);
	}
}

/* ---- without a request --------------------------------------------------------------------- */

/* Would the request that an IOTLB entry answers be answered so by memory? */
static void check_cached(struct model_unit *unit, const struct model_cached_page *entry)
{
	const struct model_request request = {
		.kind = MODEL_UNTRANSLATED,
		.access = !entry->page.write ? MODEL_READ
	                  : entry->page.read ? MODEL_ATOMIC
	                                     : MODEL_WRITE,
		.requester = entry->sid,
		.has_pasid = entry->has_pasid,
		.pasid = entry->pasid,
		.privileged = entry->privileged,
		.address = entry->address,
		.bytes = 8,
	};
	struct model_result scratch = {0};
	struct model_walk walk;

	if (entry->fault || (!entry->page.read && !entry->page.write))
		return;
	model_walk_begin(&walk, unit, &request, &scratch);
	walk.page = entry->page;
	walk.page_known = true;
	walk.marks_dirty = entry->page.write && entry->page.dirty;
	compare(&walk, 0);
}

/* A context or PASID entry that the unit holds and memory does not. */
static void check_held(struct model_unit *unit, struct model_slot *slot,
                       const struct model_origin *was, uint64_t now)
{
	struct model_report report;
	struct model_text text;

	if (slot->reported)
		return;
	slot->reported = true;
	model_report_begin(&report, &text, NULL);
	report.entry = was->address;
	report.expected = was->value;
	report.found = now;
	model_text_add(&text, "stale, the unit says ");
	model_text_entry(&text, was);
	model_text_add(&text, ", memory ");
	model_text_hex(&text, now);
	model_text_add(&text, "; an invalidation is owed");
	model_report_send(unit, MODEL_REPORT_STALE, &report);
}

static void check_words(struct model_unit *unit, struct model_slot *slot, uint8_t kind,
                        uint64_t address, const uint64_t *was, unsigned words, uint64_t ignore)
{
	uint64_t now[8];

	if (!model_memory_read(unit, address, now, words * sizeof(now[0]), true))
		return;
	for (unsigned i = 0; i < words; i++) {
		/* Software's own bits lie in the second word of a legacy context entry. */
		uint64_t mask = i == 1 ? ~ignore : ~UINT64_C(0);

		if ((now[i] ^ was[i]) & mask) {
			const struct model_origin origin = {kind, 0, address + i * 8, was[i]};

			check_held(unit, slot, &origin, now[i]);
			return;
		}
	}
}

static void check_tables(struct model_unit *unit)
{
	bool legacy = model_ttm(unit) == MODEL_TTM_LEGACY;

	MODEL_CACHE_EACH(unit, MODEL_CACHE_CONTEXT, struct model_cached_context, entry)
	{
		check_words(unit, &entry->slot, MODEL_ENTRY_CONTEXT, entry->address, entry->raw,
		            legacy ? 2 : 4, legacy ? model_mask(6, 3) : 0);
	}
	MODEL_CACHE_EACH(unit, MODEL_CACHE_PASID, struct model_cached_pasid, entry)
	{
		/* The absence of a directory entry leaves nothing to compare. */
		if (entry->address)
			check_words(unit, &entry->slot, MODEL_ENTRY_PASID, entry->address,
			            entry->raw, 8, 0);
	}
}

unsigned model_sanitizer_check(struct model_unit *unit)
{
	uint64_t before = 0, after = 0;

	if (!model_sanitizing(unit))
		return 0;
	for (unsigned i = 0; i < MODEL_REPORT_KINDS; i++)
		before += unit->statistics.reports[i];
	if (unit->queue_unawaited && unit->iqh == unit->iqt)
		model_report_simple(unit, MODEL_REPORT_NOT_AWAITED,
		                    "nobody waits for the last invalidations, their number is",
		                    unit->queue_unawaited);
	model_sanitizer_scan(unit);
	if ((unit->gsts & MODEL_G_TE) && !unit->held) {
		MODEL_CACHE_EACH(unit, MODEL_CACHE_IOTLB, struct model_cached_page, entry)
		{
			check_cached(unit, entry);
		}
		check_tables(unit);
	}
	if (unit->gsts & MODEL_G_IRE) {
		MODEL_CACHE_EACH(unit, MODEL_CACHE_INTERRUPT, struct model_cached_interrupt, entry)
		{
			model_sanitizer_interrupt(unit, entry, 0xfee00000, (uint16_t)entry->raw[1]);
		}
	}
	for (unsigned i = 0; i < MODEL_REPORT_KINDS; i++)
		after += unit->statistics.reports[i];
	return (unsigned)(after - before);
}
