/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping and posting (ch. 5, 9.9 to 9.11): format, index, entry, source
 * check, then the message, or the update of a posted-interrupt descriptor.
 */
#include "model/unit.h"

enum { TRIES = 16 };

struct interrupt {
	struct model_unit *unit;
	struct model_result *result;
	uint16_t requester;
	uint32_t index;
	uint64_t address; /* of the entry */
	uint64_t raw[2];
	bool fpd;
};

static bool extended(const struct model_unit *unit)
{
	return model_bit(unit->irta, 11);
}

static uint8_t read_entry(struct interrupt *i, uint64_t address)
{
	struct model_unit *unit = i->unit;

	if (i->index >= UINT32_C(2) << model_bits(unit->irta, 3, 0))
		return 0x21;
	i->address = (unit->irta & model_mask(63, 12)) + (uint64_t)i->index * 16;
	if (model_above_haw(unit, i->address))
		return 0x21;
	unit->statistics.table_reads++;
	if (!model_memory_read(unit, i->address, i->raw, sizeof(i->raw), unit->caps.c))
		return 0x23;
	i->fpd = model_bit(i->raw[0], 1);
	if (!unit->caps.c)
		model_sanitizer_interrupt_read(unit, i->address, i->raw, address, i->requester);
	return i->raw[0] & 1 ? 0 : 0x22;
}

static bool source_allowed(const struct interrupt *i)
{
	static const uint16_t compare[4] = {0xffff, 0xfffb, 0xfff9, 0xfff8};
	uint16_t sid = (uint16_t)i->raw[1], mask = compare[model_bits(i->raw[1], 17, 16)];
	unsigned bus = i->requester >> 8;

	switch (model_bits(i->raw[1], 19, 18)) {
	case 1:
		return (i->requester & mask) == (sid & mask);
	case 2:
		return bus >= sid >> 8 && bus <= (sid & 0xffu);
	default: /* 0: no check; 3 is reserved, which the entry's check finds */
		return true;
	}
}

static uint64_t reserved_bits(const struct interrupt *i)
{
	const struct model_unit *unit = i->unit;
	bool posted = unit->caps.pi && model_bit(i->raw[0], 15);
	uint64_t low, high;

	if (posted) {
		low = model_mask(7, 2) | model_mask(13, 12) | model_mask(37, 24);
		high = model_mask(31, 20);
	} else {
		low = model_mask(14, 12) | model_mask(31, 24) | MODEL_BIT(15);
		low |= extended(unit) ? 0 : model_mask(39, 32) | model_mask(63, 48);
		high = model_mask(63, 20);
	}
	return (i->raw[0] & low) | (i->raw[1] & high) |
	       (model_bits(i->raw[1], 19, 18) == 3 ? model_mask(19, 18) : 0);
}

/* ---- what comes out ----------------------------------------------------------------- */

static uint64_t message_address(bool x2apic, uint32_t destination, bool redirection, bool logical)
{
	uint64_t address = 0xfee00000u | (uint64_t)redirection << 3 | (uint64_t)logical << 2;

	if (!x2apic) /* the id lies in bits 15:8 of DST */
		return address | (uint64_t)(destination >> 8 & 0xff) << 12;
	return address | (uint64_t)(destination & 0xff) << 12 |
	       (uint64_t)(destination & ~UINT32_C(0xff)) << 32;
}

static void remapped(struct interrupt *i)
{
	uint64_t low = i->raw[0];
	bool level = model_bit(low, 4);

	i->result->message_address = message_address(extended(i->unit), (uint32_t)(low >> 32),
	                                             model_bit(low, 3), model_bit(low, 2));
	i->result->message_data = (uint32_t)(model_bits(low, 23, 16) | model_bits(low, 7, 5) << 8 |
	                                     (level ? 0xc000 : 0));
}

/* Set a vector's bit in PIR, then ON; each word in one atomic step (5.2.3). */
static uint8_t set_vector(struct model_unit *unit, uint64_t at, unsigned vector)
{
	uint64_t word, address = at + vector / 64 * 8;

	for (unsigned tries = 0; tries < TRIES; tries++) {
		if (!model_memory_read(unit, address, &word, sizeof(word), true))
			return 0x27;
		switch (unit->hooks.memory.swap64(unit->hooks.context, address, word,
		                                  word | MODEL_BIT(vector % 64))) {
		case MODEL_SWAP_DONE:
			return 0;
		case MODEL_SWAP_CHANGED:
			break;
		default:
			return 0x27;
		}
	}
	return 0x27;
}

static uint8_t notify(struct interrupt *i, uint64_t at)
{
	struct model_unit *unit = i->unit;
	bool urgent = model_bit(i->raw[0], 14);
	uint64_t word;

	for (unsigned tries = 0; tries < TRIES; tries++) {
		enum model_swap swap;

		if (!model_memory_read(unit, at + 32, &word, sizeof(word), true))
			return 0x27;
		if (model_bit(word, 0) || (model_bit(word, 1) && !urgent))
			return 0; /* outstanding already, or suppressed */
		swap = unit->hooks.memory.swap64(unit->hooks.context, at + 32, word, word | 1);
		if (swap == MODEL_SWAP_FAILED)
			return 0x27;
		if (swap == MODEL_SWAP_CHANGED)
			continue;
		model_event_send(
			unit, MODEL_SOURCE_POSTED,
			message_address(extended(unit), (uint32_t)(word >> 32), false, false),
			(uint32_t)model_bits(word, 23, 16));
		return 0;
	}
	return 0x27;
}

static uint8_t posted(struct interrupt *i)
{
	struct model_unit *unit = i->unit;
	uint64_t at = (i->raw[0] >> 32 & 0xffffffc0) | (i->raw[1] & model_mask(63, 32)), d[8], bits;
	uint8_t fault;

	if (model_above_haw(unit, at) || !model_memory_read(unit, at, d, sizeof(d), true))
		return 0x27;
	bits = (d[4] & (model_mask(15, 2) | model_mask(31, 24))) | d[5] | d[6] | d[7];
	if (!extended(unit))
		bits |= d[4] & (model_mask(39, 32) | model_mask(63, 48));
	if (bits)
		return 0x28;
	fault = set_vector(unit, at, (unsigned)model_bits(i->raw[0], 23, 16));
	if (!fault)
		fault = notify(i, at);
	if (!fault) {
		unit->statistics.posted++;
		i->result->posted = true;
	}
	return fault;
}

/* ---- the request ---------------------------------------------------------------------- */

static void remember(const struct interrupt *i, uint8_t fault)
{
	struct model_cached_interrupt *entry = model_cache_take(i->unit, MODEL_CACHE_INTERRUPT);

	if (!entry)
		return;
	entry->index = (uint16_t)i->index;
	entry->fault = fault;
	entry->fpd = i->fpd;
	entry->address = i->address;
	memcpy(entry->raw, i->raw, sizeof(entry->raw));
}

static bool from_cache(struct interrupt *i, uint64_t address, uint8_t *fault)
{
	struct model_unit *unit = i->unit;
	struct model_cached_interrupt *found = NULL;

	model_cache_disturb(unit, MODEL_CACHE_INTERRUPT);
	MODEL_CACHE_EACH(unit, MODEL_CACHE_INTERRUPT, struct model_cached_interrupt, entry)
	{
		if (entry->index == i->index)
			found = entry;
	}
	model_cache_count(unit, MODEL_CACHE_INTERRUPT, found);
	model_count(unit, MODEL_COUNT_INTERRUPT_LOOKUP, NULL);
	if (!found)
		return false;
	model_sanitizer_interrupt(unit, found, address, i->requester);
	model_count(unit,
	            model_bit(found->raw[0], 15) ? MODEL_COUNT_POSTED_HIT
	                                         : MODEL_COUNT_INTERRUPT_HIT,
	            NULL);
	i->address = found->address;
	i->fpd = found->fpd;
	memcpy(i->raw, found->raw, sizeof(i->raw));
	i->result->cached = true;
	*fault = found->fault;
	return true;
}

static uint8_t look_up(struct interrupt *i, uint64_t address)
{
	uint64_t bits;
	uint8_t fault = 0;

	if (from_cache(i, address, &fault)) {
		if (fault)
			return fault;
		return source_allowed(i) ? 0 : 0x26;
	}
	fault = read_entry(i, address);
	if (fault == 0x22 && i->unit->caps.cm)
		remember(i, fault);
	if (fault)
		return fault;
	if (!source_allowed(i))
		return 0x26;
	bits = reserved_bits(i);
	if (bits) {
		model_report_simple(i->unit, MODEL_REPORT_RESERVED,
		                    "an interrupt entry has reserved bits set, the entry at",
		                    i->address);
		return 0x24;
	}
	remember(i, 0);
	return 0;
}

/* A message that passes unchanged. */
static void compatible(struct model_result *result, uint64_t address, uint32_t data)
{
	result->message_address = address;
	result->message_data = data;
}

static uint8_t remappable(struct interrupt *i, uint64_t address, uint32_t data)
{
	bool subhandle = model_bit(address, 3);
	uint8_t fault;

	if (subhandle && data >> 16)
		return 0x20;
	i->index = (uint32_t)(model_bits(address, 19, 5) | (uint64_t)model_bit(address, 2) << 15);
	if (subhandle)
		i->index += data & 0xffff;
	fault = look_up(i, address);
	if (fault)
		return fault;
	if (model_bit(i->raw[0], 15))
		return posted(i);
	remapped(i);
	return 0;
}

void model_interrupt_request(struct model_unit *unit, uint64_t address, uint32_t data,
                             uint16_t requester, struct model_result *result)
{
	struct interrupt i = {.unit = unit, .result = result, .requester = requester};
	bool enabled = unit->gsts & MODEL_G_IRE;
	uint64_t info = 0;
	uint8_t fault = 0;

	unit->statistics.interrupts++;
	result->interrupt = true;
	result->response = MODEL_SUCCESS;
	if (!enabled && unit->caps.irreq)
		fault = 0x2b;
	else if (!enabled)
		compatible(result, address, data);
	else if (unit->caps.eimer && !extended(unit))
		fault = 0x2a;
	else if (model_bit(address, 4))
		fault = remappable(&i, address, data);
	else if ((unit->gsts & MODEL_G_CFI) && !extended(unit))
		compatible(result, address, data);
	else
		fault = 0x25;
	if (!fault)
		return;
	if (fault >= 0x21 && fault != 0x25 && fault < 0x29)
		info = (uint64_t)(i.index & 0xffff) << 48;
	result->response = MODEL_UNSUPPORTED;
	result->fault = fault;
	result->logged = !i.fpd; /* it is known only where it counts: once an entry was read */
	model_fault_interrupt(unit, requester, fault, info, i.fpd);
}
