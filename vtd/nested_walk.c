/* SPDX-License-Identifier: MIT */
/*
 * The walk through two tables at once, as hardware would make it now: VT-d specification
 * 5.10, sections 3.6, 3.7 and 3.8; reasons by Table 30. Every address in the first stage,
 * its top included, is an input of the second stage.
 *
 * Five levels on five take 35 steps, and four tables lead to them: a struct iommu_walk
 * holds that many.
 */
#include "iommu/field.h"
#include "iommu/pt_entry.h"
#include "vtd/fault.h"
#include "vtd/first_stage.h"
#include "vtd/nested.h"

_Static_assert(IOMMU_WALK_STEPS >= 4 + 5 * (5 + 1) + 5, "a walk fits");

struct nested_way {
	const struct vtd_nested_tables *tables;
	struct iommu_walk *walk;
	struct pt second;
	unsigned reach; /* bits of an address that the second stage translates */
	iova_t at;
	uint32_t access;
	bool user, write; /* what the first stage grants so far */
};

static void stop(struct nested_way *way, unsigned code)
{
	const struct vtd_reason *reason = vtd_reason(code);

	way->walk->translated = false;
	way->walk->reason = (uint16_t)code;
	way->walk->mnemonic = reason->mnemonic;
	way->walk->text = reason->text;
}

#define note(to, ...) iommu_snprintf((to)->note, sizeof((to)->note), __VA_ARGS__)

/** Find the first-stage table at @p address in host memory; NULL: the walk has ended. */
static const uint64_t *find_table(struct nested_way *way, uint64_t address, bool top)
{
	struct iommu_walk *walk = way->walk;

	vtd_second_stage_format.walk(&way->second, iova(address), IOMMU_READ, walk);
	if (!walk->translated) {
		if (walk->reason == 0x86) /* a page, but not for reading */
			stop(way, top ? 0x75 : 0x76);
		return NULL;
	}
	walk->translated = false;
	return iommu_os_va(way->tables->unit->os, pa(walk->result.value));
}

/** The page itself: first-stage rights, then the second stage, then both together. */
static void finish(struct nested_way *way, uint64_t address, uint64_t bytes)
{
	struct iommu_walk *walk = way->walk;
	uint32_t rights = IOMMU_READ | (way->write ? IOMMU_WRITE : 0u);
	uint32_t wanted = way->access;
	bool supervisor = way->access & IOMMU_PRIV;

	if (wanted & IOMMU_ATOMIC)
		wanted |= IOMMU_READ | IOMMU_WRITE;
	if (!supervisor && !way->user) {
		stop(way, 0x81);
		return;
	}
	if (supervisor && !(way->tables->first.flags & VTD_PASID_WPE))
		rights |= IOMMU_WRITE;
	vtd_second_stage_format.walk(&way->second, iova(address), 0, walk);
	if (!walk->translated && walk->reason != 0x87)
		return;
	walk->rights &= rights;
	if (bytes < walk->page_bytes)
		walk->page_bytes = bytes;
	if (wanted & ~walk->rights & IOMMU_WRITE)
		stop(way, 0x85);
	else if (wanted & ~walk->rights & IOMMU_READ)
		stop(way, 0x86);
}

/** One first-stage entry. True: go on with the table at *next. */
static bool step_first(struct nested_way *way, const uint64_t *table, unsigned level,
                       uint64_t *next)
{
	static const char *const names[] = PT_FORMAT_NAMES;
	const struct vtd_unit *unit = way->tables->unit;
	const uint64_t *slot = &table[pt_index(way->at.value, level)];
	uint64_t entry = pt_load(slot), address = pt_format_address(entry);
	uint64_t beyond =
		FIELD(51, 12) & (unit->host_bits < 52 ? ~UINT64_C(0) << unit->host_bits : 0);
	struct iommu_walk_step *step =
		iommu_walk_step(way->walk, names[level], pt_index(way->at.value, level),
	                        iommu_os_pa(unit->os, slot));

	step->entry[0] = entry;
	if (!(entry & VTD_FS_P)) {
		note(step, "not present");
		stop(way, 0x71);
		return false;
	}
	uint64_t wrong =
		entry & (pt_format_reserved(entry, level, unit->caps.first_sizes) | beyond);
	if (wrong) {
		note(step, "reserved bits %#llx are set", (unsigned long long)wrong);
		stop(way, 0x72);
		return false;
	}
	way->write &= (entry & VTD_FS_RW) != 0;
	way->user &= (entry & VTD_FS_US) != 0;
	bool leaf = pt_format_is_leaf(entry, level);
	if (leaf)
		address &= ~(pt_size(level) - 1);
	note(step, "%s at %#llx of the parent, %s%s", leaf ? "page" : "table",
	     (unsigned long long)address, entry & VTD_FS_RW ? "read-write" : "read-only",
	     entry & VTD_FS_US ? "" : ", supervisor");
	if (address >> way->reach) {
		stop(way, 0x74);
		return false;
	}
	if (leaf)
		finish(way, address | (way->at.value & (pt_size(level) - 1)), pt_size(level));
	*next = address;
	return !leaf;
}

void vtd_nested_walk(const struct vtd_nested_tables *tables, iova_t at, uint32_t access,
                     struct iommu_walk *walk)
{
	const struct vtd_unit *unit = tables->unit;
	unsigned levels = tables->first.levels;
	uint64_t table = tables->first.table;
	struct nested_way way = {
		.tables = tables,
		.walk = walk,
		.second =
			{
				.os = unit->os,
				.root = pa(tables->second),
				.levels = (uint8_t)tables->second_levels,
				.page_sizes = unit->caps.second_sizes,
				.scalable = true,
				.reserved_bits =
					FIELD(51, 12) &
					(unit->host_bits < 52 ? ~UINT64_C(0) << unit->host_bits
	                                                      : 0),
			},
		.reach = 12 + 9 * tables->second_levels,
		.at = at,
		.access = access,
		.user = true,
		.write = true,
	};

	if (unit->caps.mgaw < way.reach)
		way.reach = unit->caps.mgaw;
	if (access & IOMMU_PRIV && !(tables->first.flags & VTD_PASID_SRE)) {
		stop(&way, 0x5d);
		return;
	}
	if (table >> way.reach) {
		stop(&way, 0x5b);
		return;
	}
	if (!pt_format_in_width(at.value, levels)) {
		stop(&way, 0x80);
		return;
	}
	for (unsigned level = levels;; level--) {
		const uint64_t *entries =
			find_table(&way, table | pt_index(at.value, level) * sizeof(*entries),
		                   level == levels);
		if (!entries)
			return;
		entries -= pt_index(at.value, level);
		if (!step_first(&way, entries, level, &table))
			return;
	}
}
