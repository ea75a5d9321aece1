/* SPDX-License-Identifier: MIT */
/*
 * Performance counters (11.4.13): each counts the events of one group, optionally of one
 * requester or one address type only. Configuration lies in the first page of the
 * block, freeze and overflow status behind it, then the counters, 1 KiB apart.
 */
#include "model/unit.h"

enum { WIDTH = 48, GROUPS = 5, FREEZE = 0x1000, OVERFLOW = 0x1010, STRIDE = 0x400 };

/* The events of each group that the unit counts. */
static const uint32_t group_events[GROUPS] = {0x0000000a, 0x00000041, 0x000000ff, 0x00000003, 0x7};

/* A page-aligned block clear of all else; counters come after the two pages of the rest. */
uint64_t model_perfmon_base(const struct model_unit *unit)
{
	uint64_t end = unit->caps.fro * 16 + unit->caps.records * 16;

	if (end < unit->caps.iro * 16 + 16)
		end = unit->caps.iro * 16 + 16;
	if (end < MODEL_PAGE)
		end = MODEL_PAGE;
	return (end + MODEL_PAGE - 1) & ~(uint64_t)(MODEL_PAGE - 1);
}

static uint64_t counters_at(const struct model_unit *unit)
{
	return model_perfmon_base(unit) + (uint64_t)2 * MODEL_PAGE;
}

bool model_perfmon_owns(const struct model_unit *unit, uint64_t offset)
{
	uint64_t end = counters_at(unit) + (uint64_t)unit->config.counters * STRIDE;

	return unit->caps.pms && offset >= model_perfmon_base(unit) && offset < end;
}

uint32_t model_perfmon_read_register(const struct model_unit *unit, uint32_t offset)
{
	uint64_t base = model_perfmon_base(unit);

	if (!unit->caps.pms)
		return 0;
	switch (offset) {
	case MODEL_PERFCAP:
		return unit->config.counters | WIDTH << 16 | GROUPS << 24;
	case MODEL_PERFCAP + 4: /* RIDFS, ATFS; CWE, GFS, IOS */
		return 1u << 0 | 1u << 3 | 1u << 16 | 1u << 17 | 1u << 18;
	case MODEL_PERFCFGOFF:
		return (uint32_t)base;
	case MODEL_PERFFRZOFF:
		return (uint32_t)base + FREEZE;
	case MODEL_PERFOVFOFF:
		return (uint32_t)base + OVERFLOW;
	case MODEL_PERFCNTROFF:
		return (uint32_t)counters_at(unit);
	case MODEL_PERFINTRSTS:
		return unit->perfintrsts;
	default:
		break;
	}
	if (offset >= MODEL_PERFEVNTCAP && offset < MODEL_PERFEVNTCAP + 8 * GROUPS && !(offset & 4))
		return group_events[(offset - MODEL_PERFEVNTCAP) / 8];
	return 0;
}

static uint32_t half(uint64_t word, uint64_t offset)
{
	return (uint32_t)(offset & 4 ? word >> 32 : word);
}

static uint64_t with_half(uint64_t word, uint64_t offset, uint32_t value)
{
	return offset & 4 ? (word & 0xffffffff) | (uint64_t)value << 32
	                  : (word & ~UINT64_C(0xffffffff)) | value;
}

/* Where in the block an offset points: a counter's configuration, status or value. */
uint32_t model_perfmon_read(const struct model_unit *unit, uint64_t offset)
{
	uint64_t at = offset - model_perfmon_base(unit);
	unsigned counter;

	if (offset >= counters_at(unit)) {
		at = offset - counters_at(unit);
		return at % STRIDE < 8 ? half(unit->counters[at / STRIDE].value, at) : 0;
	}
	if (at >= FREEZE)
		return at - FREEZE < 8     ? half(unit->frozen, at)
		       : at - OVERFLOW < 8 ? half(unit->overflow, at)
		                           : 0;
	counter = (unsigned)(at / 0x100);
	at %= 0x100;
	if (counter >= unit->config.counters)
		return 0;
	if (at < 8)
		return half(unit->counters[counter].config, at);
	return at < 0x28 ? unit->counters[counter].filter[(at - 8) / 4] : 0;
}

void model_perfmon_write(struct model_unit *unit, uint64_t offset, uint32_t value)
{
	uint64_t at = offset - model_perfmon_base(unit);
	struct model_counter *counter;

	if (offset >= counters_at(unit)) {
		at = offset - counters_at(unit);
		counter = &unit->counters[at / STRIDE];
		if (at % STRIDE < 8)
			counter->value =
				with_half(counter->value, at, value) & model_mask(WIDTH - 1, 0);
		return;
	}
	if (at >= OVERFLOW && at < OVERFLOW + 8) {
		unit->overflow &= ~with_half(0, at, value);
		return;
	}
	if (at / 0x100 >= unit->config.counters)
		return;
	counter = &unit->counters[at / 0x100];
	at %= 0x100;
	if (counter->config & 1) {
		model_report_register(unit, offset,
		                      "is a counter's configuration, and it is enabled", value);
		return;
	}
	if (at < 8) /* EN belongs to the enhanced commands */
		counter->config = with_half(counter->config, at, value) &
		                  (model_mask(59, 32) | model_mask(11, 8) | model_mask(2, 1));
	else if (at == 8) /* requester */
		counter->filter[0] = value & 0x8000ffff;
	else if (at == 0x14) /* address type */
		counter->filter[3] = value & 0x8000001f;
}

/* ---- counting -------------------------------------------------------------------------- */

static bool filtered(const struct model_counter *counter, const struct model_request *request)
{
	if (!request)
		return false;
	if ((counter->filter[0] >> 31) && (counter->filter[0] & 0xffff) != request->requester)
		return true;
	return (counter->filter[3] >> 31) && request->kind != MODEL_PAGE_REQUEST &&
	       !(counter->filter[3] >> (unsigned)request->kind & 1);
}

static void advance(struct model_unit *unit, unsigned index)
{
	struct model_counter *counter = &unit->counters[index];

	counter->value = (counter->value + 1) & model_mask(WIDTH - 1, 0);
	if (counter->value)
		return;
	unit->overflow |= MODEL_BIT(index);
	if (model_bit(counter->config, 2))
		unit->frozen = MODEL_BIT(unit->config.counters) - 1;
	if (!model_bit(counter->config, 1) || unit->perfintrsts)
		return;
	unit->perfintrsts = 1;
	model_event_raise(unit, &unit->counter_event, MODEL_SOURCE_PERFMON);
}

void model_count(struct model_unit *unit, enum model_count event,
                 const struct model_request *request)
{
	uint64_t word = (uint64_t)(unsigned)event;

	for (unsigned i = 0; i < unit->config.counters; i++) {
		const struct model_counter *counter = &unit->counters[i];

		if (!(counter->config & 1) || model_bit(unit->frozen, i) ||
		    filtered(counter, request))
			continue;
		if (model_bits(counter->config, 11, 8) == model_bits(word, 31, 28) &&
		    (model_bits(counter->config, 59, 32) & model_bits(word, 27, 0)))
			advance(unit, i);
	}
}

unsigned model_perfmon_command(struct model_unit *unit, unsigned command, uint64_t operand)
{
	enum { NO_SUCH_COUNTER = 16 };
	uint64_t all = MODEL_BIT(unit->config.counters) - 1;

	if ((command == 0xf0 || command == 0xf1) && operand >= unit->config.counters)
		return NO_SUCH_COUNTER;
	switch (command) {
	case 0xf0:
		unit->counters[operand].config |= 1;
		return 0;
	case 0xf1:
		unit->counters[operand].config &= ~UINT64_C(1);
		return 0;
	case 0xf2:
		for (unsigned i = 0; i < unit->config.counters; i++) {
			unit->counters[i].config = 0;
			memset(unit->counters[i].filter, 0, sizeof(unit->counters[i].filter));
		}
		return 0;
	case 0xf3:
		for (unsigned i = 0; i < unit->config.counters; i++)
			unit->counters[i].value = 0;
		return 0;
	case 0xf4:
		unit->frozen = all;
		return 0;
	default: /* F5h; the shape offers no others */
		unit->frozen = 0;
		return 0;
	}
}
