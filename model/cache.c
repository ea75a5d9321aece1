/* SPDX-License-Identifier: MIT */
/*
 * The unit's caches (6.2): arrays in the caller's memory, fully associative, so that
 * nothing is forgotten by accident of an address. The array fills from its start;
 * a dropped entry leaves a hole that is filled first.
 */
#include "model/unit.h"

static const uint32_t default_capacity[MODEL_CACHES] = {
	[MODEL_CACHE_CONTEXT] = 256,       [MODEL_CACHE_PASID] = 512,
	[MODEL_CACHE_IOTLB] = 4096,        [MODEL_CACHE_FIRST_STAGE] = 1024,
	[MODEL_CACHE_SECOND_STAGE] = 1024, [MODEL_CACHE_INTERRUPT] = 512,
};

static const uint32_t entry_size[MODEL_CACHES] = {
	[MODEL_CACHE_CONTEXT] = sizeof(struct model_cached_context),
	[MODEL_CACHE_PASID] = sizeof(struct model_cached_pasid),
	[MODEL_CACHE_IOTLB] = sizeof(struct model_cached_page),
	[MODEL_CACHE_FIRST_STAGE] = sizeof(struct model_cached_table),
	[MODEL_CACHE_SECOND_STAGE] = sizeof(struct model_cached_table),
	[MODEL_CACHE_INTERRUPT] = sizeof(struct model_cached_interrupt),
};

static uint32_t capacity(const struct model_config *config, unsigned which)
{
	return config->capacity[which] ? config->capacity[which] : default_capacity[which];
}

size_t model_cache_bytes(const struct model_config *config)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < MODEL_CACHES; i++)
		bytes += (size_t)capacity(config, i) * entry_size[i];
	return bytes;
}

void model_cache_place(struct model_unit *unit, void *memory)
{
	uint8_t *at = memory;
	size_t bytes = 0;

	for (unsigned i = 0; i < MODEL_CACHES; i++) {
		unit->stores[i] = (struct model_store){
			.entries = &at[bytes],
			.size = entry_size[i],
			.capacity = capacity(&unit->config, i),
		};
		bytes += (size_t)unit->stores[i].capacity * entry_size[i];
	}
}

static struct model_slot *slot_at(const struct model_store *store, uint32_t index)
{
	return (struct model_slot *)(void *)(store->entries + (size_t)index * store->size);
}

void *model_cache_at(const struct model_unit *unit, enum model_cache which, uint32_t index)
{
	struct model_slot *slot = slot_at(&unit->stores[which], index);

	return slot->valid ? slot : NULL;
}

void model_cache_drop(struct model_unit *unit, enum model_cache which, void *entry)
{
	struct model_slot *slot = entry;

	slot->valid = false;
	unit->statistics.caches[which].invalidated++;
	unit->statistics.caches[which].used--;
}

void model_cache_clear(struct model_unit *unit, enum model_cache which)
{
	struct model_store *store = &unit->stores[which];

	unit->statistics.caches[which].invalidated += unit->statistics.caches[which].used;
	unit->statistics.caches[which].used = 0;
	store->used = 0;
	store->next = 0;
}

void model_policy_set(struct model_unit *unit, enum model_policy policy)
{
	unit->config.policy = policy;
	for (unsigned i = 0; policy == MODEL_POLICY_NONE && i < MODEL_CACHES; i++)
		model_cache_clear(unit, (enum model_cache)i);
}

void *model_cache_take(struct model_unit *unit, enum model_cache which)
{
	struct model_store *store = &unit->stores[which];
	struct model_cache_statistics *counts = &unit->statistics.caches[which];
	struct model_slot *slot = NULL;

	if (unit->config.policy == MODEL_POLICY_NONE)
		return NULL;
	if (counts->used < store->used) {
		uint32_t i = 0;

		while (slot_at(store, i)->valid)
			i++;
		slot = slot_at(store, i);
	} else if (store->used < store->capacity) {
		slot = slot_at(store, store->used++);
	} else {
		slot = slot_at(store, store->next);
		store->next = (store->next + 1) % store->capacity;
		counts->evicted++;
		counts->used--;
	}
	memset(slot, 0, store->size);
	slot->valid = true;
	counts->inserted++;
	counts->used++;
	return slot;
}

void model_cache_disturb(struct model_unit *unit, enum model_cache which)
{
	struct model_store *store = &unit->stores[which];
	struct model_slot *slot;
	uint64_t dice;

	if (unit->config.policy != MODEL_POLICY_RANDOM || !store->used)
		return;
	dice = model_random(unit);
	slot = slot_at(store, (uint32_t)((dice >> 8) % store->used));
	if ((dice & 3) || !slot->valid)
		return;
	slot->valid = false;
	unit->statistics.caches[which].evicted++;
	unit->statistics.caches[which].used--;
}

void model_cache_count(struct model_unit *unit, enum model_cache which, bool hit)
{
	unit->statistics.caches[which].lookups++;
	unit->statistics.caches[which].hits += hit;
}
