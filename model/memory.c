/* SPDX-License-Identifier: MIT */
/*
 * Memory as the unit reaches it: pieces that stay within a line of 64 bytes. Table reads
 * are snooped as ECAP.C and the entries say; a look at what the processor sees always is.
 */
#include "model/unit.h"

bool model_memory_read(struct model_unit *unit, uint64_t address, void *out, size_t bytes,
                       bool snooped)
{
	return unit->hooks.memory.read(unit->hooks.context, address, out, bytes, snooped);
}

bool model_memory_write(struct model_unit *unit, uint64_t address, const void *in, size_t bytes)
{
	/* All that the unit writes (status, page requests, descriptors) is snooped (3.10). */
	return unit->hooks.memory.write(unit->hooks.context, address, in, bytes, true);
}

bool model_walk_read_table(struct model_walk *walk, uint64_t address, void *out, size_t bytes)
{
	struct model_unit *unit = walk->unit;
	bool snooped = unit->caps.c;

	if (walk->peek) {
		snooped = snooped || walk->peek_memory;
	} else {
		unit->statistics.table_reads++;
		model_count(unit, MODEL_COUNT_READS, walk->request);
	}
	walk->unsnooped = walk->unsnooped || !snooped;
	return model_memory_read(unit, address, out, bytes, snooped);
}

bool model_walk_read(struct model_walk *walk, uint64_t address, uint64_t *value, bool snooped,
                     enum model_entry_kind kind, unsigned level)
{
	struct model_unit *unit = walk->unit;

	if (walk->peek) {
		snooped = snooped || walk->peek_memory;
	} else if (kind == MODEL_ENTRY_FIRST) {
		unit->statistics.first_stage_reads++;
		walk->result->first_stage_reads++;
	} else {
		unit->statistics.second_stage_reads++;
		walk->result->second_stage_reads++;
	}
	if (!walk->peek)
		model_count(unit, MODEL_COUNT_READS, walk->request);
	walk->unsnooped = walk->unsnooped || !snooped;
	walk->last = (struct model_origin){(uint8_t)kind, (uint8_t)level, address, 0};
	if (!model_memory_read(unit, address, value, sizeof(*value), snooped))
		return false;
	walk->last.value = *value;
	return true;
}

enum model_swap model_walk_set(struct model_walk *walk, uint64_t address, uint64_t *value,
                               uint64_t flags)
{
	enum model_swap swap = walk->unit->hooks.memory.swap64(walk->unit->hooks.context, address,
	                                                       *value, *value | flags);

	if (swap == MODEL_SWAP_DONE)
		*value |= flags;
	return swap;
}
