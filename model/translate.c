/* SPDX-License-Identifier: MIT */
/*
 * Translation of one request (3.4 to 3.9, 4.2): the IOTLB, else context and PASID tables
 * and the stages that they name. The order of checks is the specification's: mode,
 * tables from the root down, presence, reserved bits, contents, rights, output.
 */
#include "model/unit.h"

void model_walk_begin(struct model_walk *walk, struct model_unit *unit,
                      const struct model_request *request, struct model_result *result)
{
	*walk = (struct model_walk){.unit = unit, .request = request, .result = result};
	if (request->kind == MODEL_TRANSLATION) {
		/* Counts as a read and a write, unless it says that it will not write (NWFS). */
		walk->marks_dirty = !(unit->caps.nwfs && request->no_write);
		return;
	}
	walk->wants_write = request->access != MODEL_READ;
	walk->wants_read = request->access != MODEL_WRITE && (request->bytes || !unit->caps.zlr);
	walk->marks_dirty = walk->wants_write;
}

static uint8_t check_mode(const struct model_walk *walk)
{
	const struct model_caps *caps = &walk->unit->caps;
	const struct model_request *request = walk->request;
	unsigned ttm = model_ttm(walk->unit);

	if (ttm == MODEL_TTM_RESERVED || (ttm == MODEL_TTM_ABORT && !caps->adms) ||
	    (ttm == MODEL_TTM_SCALABLE && !caps->smts) ||
	    (ttm == MODEL_TTM_LEGACY && model_bit(walk->unit->root, 7)))
		return 0x30;
	if (ttm == MODEL_TTM_ABORT)
		return 0x33;
	if (ttm == MODEL_TTM_LEGACY && request->kind == MODEL_PAGE_REQUEST)
		return 0x32;
	if (ttm == MODEL_TTM_LEGACY && request->has_pasid)
		return 0x31;
	if (request->has_pasid && request->execute && caps->major >= 8)
		return 0x34;
	return 0;
}

/* ---- rights and output ------------------------------------------------------------ */

static uint8_t check_rights(const struct model_walk *walk)
{
	const struct model_page *page = &walk->page;
	bool legacy = model_ttm(walk->unit) == MODEL_TTM_LEGACY;

	if (walk->request->kind != MODEL_UNTRANSLATED)
		return 0;
	if (walk->wants_write && !page->write)
		return legacy ? 0x05 : 0x85;
	if (walk->wants_read && !page->read)
		return legacy ? 0x06 : 0x86;
	if (!page->read && !page->write)
		return legacy ? 0x06 : 0x86;
	/* Execute permission is checked only where execute requests exist (before 5.x). */
	return walk->request->execute && !page->execute ? 0x82 : 0;
}

static uint8_t check_output(const struct model_walk *walk)
{
	if (walk->page.output >> 20 != 0xfee || (!walk->page.read && !walk->page.write))
		return 0;
	return model_ttm(walk->unit) == MODEL_TTM_LEGACY ? 0x0e : 0x87;
}

static uint8_t check_page(const struct model_walk *walk)
{
	uint8_t fault = check_rights(walk);

	return fault ? fault : check_output(walk);
}

/* ---- the IOTLB --------------------------------------------------------------------- */

/* Revision 4.x: execute requests are supported (ERS) and enabled (ERE). */
static bool may_execute(const struct model_walk *walk)
{
	return walk->unit->caps.ers && model_bit(walk->entry.raw[2], 1);
}

static bool key_matches(const struct model_walk *walk, const struct model_cached_page *entry)
{
	const struct model_request *request = walk->request;

	if (entry->sid != request->requester || entry->has_pasid != request->has_pasid ||
	    entry->address >> entry->page.shift != request->address >> entry->page.shift)
		return false;
	/* Without a PASID the tables decide what PASID and privilege count. */
	return !request->has_pasid ||
	       (entry->pasid == request->pasid && entry->privileged == request->privileged);
}

static struct model_cached_page *find_page(const struct model_walk *walk)
{
	struct model_cached_page *found = NULL;

	MODEL_CACHE_EACH(walk->unit, MODEL_CACHE_IOTLB, struct model_cached_page, entry)
	{
		if (!found && key_matches(walk, entry))
			found = entry;
	}
	return found;
}

/* True if the IOTLB answered; *fault is then its answer. */
static bool from_iotlb(struct model_walk *walk, uint8_t *fault)
{
	struct model_unit *unit = walk->unit;
	const struct model_cached_page *entry;

	model_cache_disturb(unit, MODEL_CACHE_IOTLB);
	entry = find_page(walk);
	/* A write through an entry whose dirty flags are not known to be set walks again. */
	if (entry && walk->marks_dirty && entry->page.write && !entry->page.dirty)
		entry = NULL;
	/* Only the PASID entry knows whether execution may be asked for. */
	if (entry && walk->request->has_pasid && walk->request->execute && !entry->may_ask)
		entry = NULL;
	model_cache_count(unit, MODEL_CACHE_IOTLB, entry);
	model_count(unit, MODEL_COUNT_IOTLB_LOOKUP, walk->request);
	if (!entry)
		return false;
	model_count(unit, MODEL_COUNT_IOTLB_HIT, walk->request);
	walk->used_cache = true;
	walk->fpd = walk->fpd || entry->fpd;
	walk->pgtt = entry->pgtt;
	walk->did = entry->did;
	walk->pasid = entry->pasid;
	walk->privileged = entry->privileged;
	walk->page = entry->page;
	walk->page.output |= walk->request->address & (MODEL_BIT(entry->page.shift) - 1);
	walk->page_known = true;
	walk->result->cached = true;
	walk->last = entry->page.second.kind ? entry->page.second : entry->page.first;
	*fault = entry->fault ? entry->fault : check_page(walk);
	return true;
}

static void remember(struct model_walk *walk, uint8_t fault)
{
	struct model_unit *unit = walk->unit;
	const struct model_page *page = &walk->page;
	struct model_cached_page *entry = find_page(walk);
	bool empty = !page->read && !page->write;

	/* What is not there is remembered only in caching mode, and only second stage. */
	if ((fault || empty) && !(unit->caps.cm && walk->pgtt == MODEL_PGTT_SECOND))
		return;
	if (!entry)
		entry = model_cache_take(unit, MODEL_CACHE_IOTLB);
	if (!entry)
		return;
	*entry = (struct model_cached_page){
		.slot = {.valid = true},
		.sid = walk->request->requester,
		.did = walk->did,
		.has_pasid = walk->request->has_pasid,
		.privileged =
			walk->request->has_pasid ? walk->request->privileged : walk->privileged,
		.fpd = walk->fpd,
		.may_ask = may_execute(walk),
		.pgtt = walk->pgtt,
		.fault = fault,
		.pasid = walk->pasid,
		.page = *page,
	};
	if (fault)
		entry->page.shift = 12;
	entry->page.output &= model_mask(63, entry->page.shift);
	entry->address = walk->request->address & model_mask(63, entry->page.shift);
}

/* ---- stages --------------------------------------------------------------------------- */

static uint8_t pass_through(struct model_walk *walk, uint8_t too_far)
{
	walk->pgtt = MODEL_PGTT_PASS;
	if (model_above_haw(walk->unit, walk->request->address))
		return too_far;
	walk->page = (struct model_page){
		.output = walk->request->address,
		.shift = 12,
		.read = true,
		.write = true,
		.execute = true,
		.dirty = true,
	};
	walk->page_known = true;
	return 0;
}

static uint8_t second_stage(struct model_walk *walk, const struct model_second *second)
{
	uint8_t fault;

	walk->pgtt = MODEL_PGTT_SECOND;
	if (walk->request->address >> model_second_width(walk->unit, second->levels))
		return second->legacy ? 0x04 : 0x84;
	fault = model_second_walk(walk, second, walk->request->address, walk->wants_read,
	                          walk->wants_write, walk->marks_dirty, &walk->page);
	if (!fault)
		walk->page_known = true;
	else if (fault == 0x79 && !walk->peek)
		remember(walk, fault);
	return fault;
}

static uint8_t legacy(struct model_walk *walk)
{
	const struct model_unit *unit = walk->unit;
	const uint64_t *raw = walk->context.raw;
	unsigned tt = (unsigned)model_bits(raw[0], 3, 2);
	struct model_second second = {
		.table = raw[0] & model_mask(63, 12),
		.levels = (uint8_t)model_aw_levels(unit, (unsigned)(raw[1] & 7)),
		.legacy = true,
		.snooped = unit->caps.c,
		.did = (uint16_t)model_bits(raw[1], 23, 8),
	};

	walk->did = second.did;
	if (walk->request->kind != MODEL_UNTRANSLATED && tt != 1)
		return 0x0d;
	if (tt == 2 || walk->request->kind == MODEL_TRANSLATED)
		return pass_through(walk, 0x04);
	return second_stage(walk, &second);
}

static uint8_t scalable_allowed(struct model_walk *walk)
{
	const struct model_unit *unit = walk->unit;
	const struct model_request *request = walk->request;
	const uint64_t *raw = walk->context.raw;
	uint32_t rid_pasid = (uint32_t)model_bits(raw[1], 19, 0);

	walk->pasid = request->has_pasid ? request->pasid : rid_pasid;
	walk->privileged = request->has_pasid ? request->privileged : model_bit(raw[1], 20);
	if (request->kind == MODEL_PAGE_REQUEST && !model_bit(raw[0], 4))
		return 0x47;
	if ((request->kind == MODEL_TRANSLATION || request->kind == MODEL_TRANSLATED) &&
	    !model_bit(raw[0], 2))
		return 0x44;
	if (!request->has_pasid)
		return 0;
	if (request->kind == MODEL_TRANSLATED && !model_bit(raw[0], 6))
		return 0x49;
	if (!model_bit(raw[0], 3))
		return 0x45;
	if (request->pasid >> unit->caps.pss)
		return 0x89;
	if (request->pasid >> (model_bits(raw[0], 11, 9) + 13))
		return 0x46;
	return request->pasid == rid_pasid ? 0x48 : 0;
}

static uint8_t stages(struct model_walk *walk)
{
	const struct model_unit *unit = walk->unit;
	const uint64_t *raw = walk->entry.raw;
	bool snooped = model_bit(raw[1], 23), pgsnp = model_bit(raw[1], 24);
	struct model_second second = {
		.table = raw[0] & model_mask(63, 12),
		.levels = (uint8_t)model_aw_levels(unit, (unsigned)model_bits(raw[0], 4, 2)),
		.snooped = snooped,
		.flags = model_bit(raw[0], 9),
		.did = walk->did,
	};
	struct model_first first = {
		.table = raw[2] & model_mask(63, 12),
		.levels = model_bits(raw[2], 3, 2) ? 5 : 4,
		.snooped = snooped,
		.extended = model_bit(raw[2], 7),
		.protect = model_bit(raw[2], 4),
		.execute = true,
		.nested = walk->pgtt == MODEL_PGTT_NESTED,
		.second = second,
		.did = walk->did,
		.pasid = walk->pasid,
	};
	uint8_t fault;

	switch (walk->pgtt) {
	case MODEL_PGTT_SECOND:
		walk->privileged = walk->request->has_pasid && walk->request->privileged;
		fault = second_stage(walk, &second);
		break;
	case MODEL_PGTT_PASS:
		fault = pass_through(walk, 0x83);
		break;
	default:
		/* Without NXE (133) bit 63 of an entry says nothing. */
		fault = model_first_walk(walk, &first, &walk->page);
		if (!model_bit(raw[2], 5) || !unit->caps.ers)
			walk->page.execute = walk->page.read;
		walk->page_known = !fault;
		break;
	}
	if (walk->pgtt == MODEL_PGTT_SECOND || walk->pgtt == MODEL_PGTT_NESTED)
		walk->page.snoop = walk->page.snoop || pgsnp;
	else
		walk->page.snoop = pgsnp;
	return fault;
}

static uint8_t scalable(struct model_walk *walk)
{
	const struct model_request *request = walk->request;
	const uint64_t *raw = walk->entry.raw;
	uint8_t fault = scalable_allowed(walk);

	if (fault)
		return fault;
	if (request->kind == MODEL_TRANSLATED)
		return pass_through(walk, 0x83);
	fault = model_pasid_find(walk);
	if (fault)
		return fault;
	walk->pgtt = (uint8_t)model_bits(raw[0], 8, 6);
	walk->did = (uint16_t)raw[1];
	if (request->kind == MODEL_PAGE_REQUEST)
		return 0;
	if (request->has_pasid && request->execute && !may_execute(walk))
		return 0x5c;
	if ((walk->pgtt == MODEL_PGTT_FIRST || walk->pgtt == MODEL_PGTT_NESTED) &&
	    walk->privileged && !model_bit(raw[2], 0))
		return 0x5d;
	return stages(walk);
}

uint8_t model_translate(struct model_walk *walk)
{
	const struct model_request *request = walk->request;
	uint8_t fault = check_mode(walk);

	if (fault)
		return fault;
	if (!walk->peek && request->kind == MODEL_UNTRANSLATED && from_iotlb(walk, &fault))
		return fault;
	fault = model_context_find(walk);
	if (fault)
		return fault;
	if (!walk->peek && request->kind == MODEL_TRANSLATION) {
		/* The context's word on device-TLBs comes before the IOTLB's answer. */
		fault = walk->context.legacy
		                ? (model_bits(walk->context.raw[0], 3, 2) != 1 ? 0x0d : 0)
		                : scalable_allowed(walk);
		if (fault || from_iotlb(walk, &fault))
			return fault;
	}
	fault = walk->context.legacy ? legacy(walk) : scalable(walk);
	if (fault || request->kind == MODEL_PAGE_REQUEST)
		return fault;
	walk->page.type = model_memory_type(walk);
	fault = check_page(walk);
	/* A refused access has not marked the page as accessed: it must not become known. */
	if (!walk->peek && request->kind != MODEL_TRANSLATED &&
	    (!fault || (!walk->page.read && !walk->page.write)))
		remember(walk, 0);
	return fault;
}
