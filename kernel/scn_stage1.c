/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing a guest's stage-1 table: see scn_stage1.h.
 */
#include "kernel/scn_stage1.h"

#include "arch/arch.h"

/* The processor's pointer to the entry at @p where; NULL: not in the buffer. */
static uint64_t *entry_at(struct scn *scn, const struct scn_stage1 *table, uint64_t where)
{
	uint64_t bytes = sizeof(uint64_t);

	if (where < table->at || where - table->at >= table->bytes || where % sizeof(uint64_t))
		return NULL;
	void *at = user_memory_at(scn->platform->memory, table->user + (where - table->at), &bytes);
	return bytes == sizeof(uint64_t) ? at : NULL;
}

bool stage1_read(struct scn *scn, const struct scn_stage1 *table, uint64_t where, uint64_t *entry)
{
	const uint64_t *at = entry_at(scn, table, where);

	if (at) /* the hardware sets flags at any time */
		*entry = __atomic_load_n(at, __ATOMIC_ACQUIRE);
	return at;
}

bool stage1_write(struct scn *scn, const struct scn_stage1 *table, uint64_t where, uint64_t entry)
{
	uint64_t *at = entry_at(scn, table, where);
	const struct iommu_os *os = scn->os;

	if (!at)
		return false;
	__atomic_store_n(at, entry, __ATOMIC_RELEASE);
	/* A guest does not know whether the unit snoops its tables: it writes them back. */
	if (os->clean)
		os->clean(os->ctx, at, sizeof(*at));
	else
		arch_clean_line(at);
	arch_write_barrier();
	return true;
}

bool stage1_find(struct scn *scn, const struct scn_stage1 *table, uint64_t at, unsigned level,
                 struct stage1_place *out)
{
	uint64_t base = table->at;

	for (unsigned here = table->levels;; here--) {
		out->level = here;
		out->where = base + stage1_index(at, here) * sizeof(uint64_t);
		if (!stage1_read(scn, table, out->where, &out->entry))
			return false;
		if (here == level || !(out->entry & STAGE1_P) || stage1_is_page(out))
			return true;
		base = out->entry & STAGE1_ADDR;
	}
}

/* Is the table that holds the entry at @p where mapped for the device, and is it ours? */
static bool entry_is_reached(struct scn *scn, const struct scn_stage1 *table, uint32_t ioas,
                             uint64_t where)
{
	const struct scn_mapping *mapping = scn_mapping_find(scn, ioas, where);

	return mapping &&
	       mapping->user + (where - mapping->iova) == table->user + (where - table->at);
}

bool scn_stage1_leads(struct scn *scn, const struct scn_stage1 *table, uint32_t ioas, uint64_t at,
                      uint64_t *to, uint64_t *bytes)
{
	struct stage1_place place;
	unsigned level = table->levels;

	if (!stage1_canonical(at, table->levels))
		return false;
	do {
		if (!stage1_find(scn, table, at, level--, &place) || !(place.entry & STAGE1_P) ||
		    !entry_is_reached(scn, table, ioas, place.where))
			return false;
	} while (!stage1_is_page(&place));
	uint64_t span = stage1_span(place.level);
	*to = (place.entry & STAGE1_ADDR & ~(span - 1)) + (at & (span - 1));
	*bytes = span - (at & (span - 1));
	return true;
}

bool scn_way_leads(struct scn *scn, const struct scn_way *way, uint64_t at, uint64_t *user,
                   uint64_t *bytes)
{
	*bytes = UINT64_MAX;
	if (!way->ioas)
		return false;
	if (way->stage1 && !scn_stage1_leads(scn, &way->stage1->table, way->ioas, at, &at, bytes))
		return false;
	const struct scn_mapping *mapping = scn_mapping_find(scn, way->ioas, at);
	if (!mapping)
		return false;
	uint64_t skip = at - mapping->iova;
	if (*bytes > mapping->bytes - skip)
		*bytes = mapping->bytes - skip;
	*user = mapping->user + skip;
	return true;
}
