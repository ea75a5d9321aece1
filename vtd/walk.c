/* SPDX-License-Identifier: MIT */
/*
 * The walk that a request takes, read from memory as the hardware would read it now:
 * root, context, PASID directory, PASID entry, then the page table. VT-d specification
 * 5.10, section 3.4; the order of checks and the reasons are those of Table 30: present,
 * then reserved bits, then programming.
 *
 * Nothing that memory says is believed: a pointer beyond the host address width ends the
 * walk, as hardware would end it.
 */
#include "vtd/walk.h"

#include "vtd/context.h"
#include "vtd/fault.h"
#include "vtd/nested.h"

struct way {
	struct vtd_unit *unit;
	struct iommu_walk *walk;
	iova_t at;
	uint32_t access;
	uint32_t pasid;
	iommu_rid_t rid;
};

static void stop(struct way *way, unsigned code)
{
	const struct vtd_reason *reason = vtd_reason(code);

	way->walk->translated = false;
	way->walk->reason = (uint16_t)code;
	way->walk->mnemonic = reason->mnemonic;
	way->walk->text = reason->text;
}

/** Start a step for the @p words qwords at @p entry. */
static struct iommu_walk_step *step(struct way *way, const char *table, uint32_t index,
                                    const uint64_t *entry, unsigned words)
{
	struct iommu_walk_step *out =
		iommu_walk_step(way->walk, table, index, iommu_os_pa(way->unit->os, entry));
	out->words = (uint8_t)words;
	for (unsigned i = 0; i < words; i++)
		out->entry[i] = __atomic_load_n(&entry[i], __ATOMIC_RELAXED);
	return out;
}

#define note(to, ...) iommu_snprintf((to)->note, sizeof((to)->note), __VA_ARGS__)

/** Address bits that the host does not have. */
static uint64_t beyond_host(const struct vtd_unit *unit)
{
	return unit->host_bits < 64 ? ~UINT64_C(0) << unit->host_bits : 0;
}

/** Domain-id bits that ND does not have, at their place in qword 1 of @p field. */
static uint64_t beyond_nd(const struct vtd_unit *unit, uint64_t field)
{
	return field & ~field_put(field, vtd_domain_id_limit(&unit->caps) - 1);
}

/* ---- the page table ------------------------------------------------------------------- */

/** The table as an entry describes it, not as the driver remembers it. */
static struct pt table_of(const struct vtd_unit *unit, uint64_t root, unsigned levels,
                          uint64_t page_sizes)
{
	struct pt pt = {
		.os = unit->os,
		.root = pa(root),
		.levels = (uint8_t)levels,
		.page_sizes = page_sizes,
		.scalable = unit->scalable,
		.reserved_bits = beyond_host(unit) & FIELD(51, 12),
	};
	return pt;
}

static void walk_second(struct way *way, uint64_t root, unsigned levels,
                        struct iommu_walk_step *from)
{
	const struct vtd_caps *caps = &way->unit->caps;
	struct pt pt = table_of(way->unit, root, levels, caps->second_sizes);
	unsigned bits = 12 + 9 * levels;

	if (caps->mgaw < bits)
		bits = caps->mgaw;
	if (way->at.value >> bits) {
		note(from, "second stage, %u levels: reaches addresses below %#llx", levels,
		     1ull << bits);
		stop(way, way->unit->scalable ? 0x84 : 0x04);
		return;
	}
	vtd_second_stage_format.walk(&pt, way->at, way->access, way->walk);
}

static void walk_first(struct way *way, uint64_t root, unsigned levels)
{
	struct pt pt = table_of(way->unit, root, levels, way->unit->caps.first_sizes);

	vtd_first_stage_format.walk(&pt, way->at, way->access, way->walk);
}

/** Both tables of a nested entry: @p low and @p first are its qwords 0 and 2. */
static void walk_both(struct way *way, uint64_t low, uint64_t first)
{
	const struct vtd_nested_tables tables = {
		.unit = way->unit,
		.second = low & VTD_PASID_SSPTPTR,
		.second_levels = (unsigned)field_get(VTD_PASID_AW, low) + 2,
		.first =
			{
				.table = first & VTD_PASID_FSPTPTR,
				.levels = field_get(VTD_PASID_FSPM, first) == VTD_FSPM_5_LEVEL ? 5
	                                                                                       : 4,
				.flags = first & (VTD_PASID_SRE | VTD_PASID_WPE | VTD_PASID_EAFE),
			},
	};

	vtd_nested_walk(&tables, way->at, way->access, way->walk);
}

static void pass_through(struct way *way)
{
	uint64_t at = way->at.value;

	if (at & beyond_host(way->unit)) {
		stop(way, way->unit->scalable ? 0x83 : 0x04);
		return;
	}
	way->walk->translated = true;
	way->walk->result = pa(at);
	way->walk->page_bytes = PAGE_SIZE_4K;
	way->walk->rights = IOMMU_READ | IOMMU_WRITE;
}

/* ---- legacy mode ------------------------------------------------------------------------ */

static void walk_legacy_context(struct way *way, const uint64_t *table)
{
	const struct vtd_unit *unit = way->unit;
	unsigned index = way->rid & 0xff;
	struct iommu_walk_step *at = step(way, "context", index, &table[2 * index], 2);
	uint64_t low = at->entry[0], high = at->entry[1];
	unsigned tt = (unsigned)field_get(VTD_CONTEXT_TT, low);
	unsigned aw = (unsigned)field_get(VTD_CONTEXT_AW, high);
	uint64_t root = low & VTD_CONTEXT_SSPTPTR;

	if (!(low & VTD_CONTEXT_P)) {
		note(at, "not present: the device is blocked");
		stop(way, 0x02);
		return;
	}
	uint64_t wrong_low = low & (FIELD(11, 4) | (root & beyond_host(unit)));
	uint64_t wrong_high =
		high & (FIELD(71, 71) | FIELD(127, 88) | beyond_nd(unit, VTD_CONTEXT_DID));
	if (wrong_low || wrong_high) {
		note(at, "reserved bits %#llx %#llx are set", (unsigned long long)wrong_high,
		     (unsigned long long)wrong_low);
		stop(way, 0x0b);
		return;
	}
	bool translates = tt == VTD_TT_UNTRANSLATED || (tt == VTD_TT_ALL && unit->caps.dt);
	bool passes = tt == VTD_TT_PASS_THROUGH && unit->caps.pt;
	if (!(translates || passes) || aw < VTD_AW_39 || aw > VTD_AW_57 ||
	    !(unit->caps.sagaw & 1u << aw)) {
		note(at, "translation type %u, address width %u: not supported", tt, aw);
		stop(way, 0x03);
		return;
	}
	note(at, "domain id %u, %s%u levels, table at %#llx",
	     (unsigned)field_get(VTD_CONTEXT_DID, high), passes ? "pass-through, " : "", aw + 2,
	     (unsigned long long)root);
	if (passes)
		pass_through(way);
	else
		walk_second(way, root, aw + 2, at);
}

static void walk_legacy(struct way *way)
{
	struct vtd_unit *unit = way->unit;
	const uint64_t *root = vtd_va(unit, unit->root);
	unsigned index = RID_BUS(way->rid);
	struct iommu_walk_step *at = step(way, "root", index, &root[2 * index], 2);
	uint64_t table = at->entry[0] & VTD_ROOT_CTP;

	if (!(at->entry[0] & VTD_ROOT_P)) {
		note(at, "not present: no device is known on bus %#x", index);
		stop(way, 0x01);
	} else if (at->entry[1] || at->entry[0] & FIELD(11, 1) || table & beyond_host(unit)) {
		note(at, "reserved bits are set");
		stop(way, 0x0a);
	} else if (way->pasid != IOMMU_NO_PASID) {
		note(at, "context table at %#llx", (unsigned long long)table);
		stop(way, 0x31);
	} else {
		note(at, "context table at %#llx", (unsigned long long)table);
		walk_legacy_context(way, vtd_va(unit, pa(table)));
	}
}

/* ---- scalable mode ------------------------------------------------------------------------ */

static void walk_pasid_entry(struct way *way, const uint64_t *table)
{
	const struct vtd_unit *unit = way->unit;
	const struct vtd_caps *caps = &unit->caps;
	unsigned index = way->pasid % VTD_PASIDS_PER_TABLE;
	struct iommu_walk_step *at = step(way, "PASID entry", index, &table[8 * index], 3);
	uint64_t low = at->entry[0], mid = at->entry[1], first = at->entry[2];
	unsigned pgtt = (unsigned)field_get(VTD_PASID_PGTT, low);
	unsigned levels = (unsigned)field_get(VTD_PASID_AW, low) + 2;
	unsigned did = (unsigned)field_get(VTD_PASID_DID, mid);
	bool fs5 = field_get(VTD_PASID_FSPM, first) == VTD_FSPM_5_LEVEL;
	bool nested = pgtt == VTD_PGTT_NESTED && caps->nest;
	bool second = pgtt == VTD_PGTT_SECOND || pgtt == VTD_PGTT_NESTED;
	bool width = levels >= 3 && levels <= 5 && caps->sagaw & 1u << (levels - 2);
	const char *dirty = low & VTD_PASID_SSADE ? ", SSADE" : "";
	bool depth = field_get(VTD_PASID_FSPM, first) <= 1 && (!fs5 || caps->fs_5_level);

	if (!(low & VTD_PASID_P)) {
		note(at, "not present: the device is blocked");
		stop(way, 0x59);
		return;
	}
	if (low & (BIT64(5) | FIELD(11, 10)) || mid & (FIELD(86, 80) | FIELD(95, 91)) ||
	    mid & beyond_nd(unit, VTD_PASID_DID) || first & (BIT64(129) | FIELD(139, 136)) ||
	    (second && low & VTD_PASID_SSPTPTR & beyond_host(unit)) ||
	    (second && low & VTD_PASID_SSADE && !caps->ssads) ||
	    (pgtt == VTD_PGTT_FIRST && first & VTD_PASID_FSPTPTR & beyond_host(unit))) {
		note(at, "reserved bits are set");
		stop(way, 0x5a);
		return;
	}
	if (pgtt == VTD_PGTT_PT && caps->pt) {
		note(at, "domain id %u, pass-through", did);
		pass_through(way);
	} else if (nested && width && depth) {
		note(at, "domain id %u, nested: %u levels at %#llx on %u at %#llx%s", did,
		     fs5 ? 5 : 4, (unsigned long long)(first & VTD_PASID_FSPTPTR), levels,
		     (unsigned long long)(low & VTD_PASID_SSPTPTR), dirty);
		walk_both(way, low, first);
	} else if (pgtt == VTD_PGTT_SECOND && caps->ssts && width) {
		uint64_t root = low & VTD_PASID_SSPTPTR;
		note(at, "domain id %u, second stage, %u levels, table at %#llx%s", did, levels,
		     (unsigned long long)root, dirty);
		walk_second(way, root, levels, at);
	} else if (pgtt == VTD_PGTT_FIRST && caps->fsts && depth) {
		uint64_t root = first & VTD_PASID_FSPTPTR;
		note(at, "domain id %u, first stage, %u levels, table at %#llx", did, fs5 ? 5 : 4,
		     (unsigned long long)root);
		walk_first(way, root, fs5 ? 5 : 4);
	} else {
		note(at, "translation type %u, width %u: not supported", pgtt, levels - 2);
		stop(way, 0x5b);
	}
}

static void walk_pasid_directory(struct way *way, const uint64_t *directory, unsigned pdts)
{
	struct vtd_unit *unit = way->unit;
	unsigned index = way->pasid / VTD_PASIDS_PER_TABLE;

	if (way->pasid >> (pdts + VTD_PASIDS_PER_PDTS)) {
		stop(way, 0x46);
		return;
	}
	struct iommu_walk_step *at = step(way, "PASID directory", index, &directory[index], 1);
	uint64_t table = at->entry[0] & VTD_PASID_DIR_SMPTBLPTR;
	if (!(at->entry[0] & VTD_PASID_DIR_P)) {
		note(at, "not present");
		stop(way, 0x51);
	} else if (at->entry[0] & FIELD(11, 2) || table & beyond_host(unit)) {
		note(at, "reserved bits are set");
		stop(way, 0x52);
	} else {
		note(at, "PASID table at %#llx", (unsigned long long)table);
		walk_pasid_entry(way, vtd_va(unit, pa(table)));
	}
}

static void walk_scalable_context(struct way *way, const uint64_t *table)
{
	struct vtd_unit *unit = way->unit;
	unsigned index = way->rid & 0x7f;
	struct iommu_walk_step *at = step(way, "context", index, &table[4 * index], 2);
	uint64_t low = at->entry[0], mid = at->entry[1];
	uint64_t directory = low & VTD_SM_CONTEXT_PASIDDIRPTR;
	uint32_t rid_pasid = (uint32_t)field_get(VTD_SM_CONTEXT_RID_PASID, mid);
	unsigned pdts = (unsigned)field_get(VTD_SM_CONTEXT_PDTS, low);

	if (!(low & VTD_SM_CONTEXT_P)) {
		note(at, "not present: the device is unknown");
		stop(way, 0x41);
		return;
	}
	if (low & FIELD(8, 7) || mid & FIELD(127, 85) || table[4 * index + 2] ||
	    table[4 * index + 3] || directory & beyond_host(unit)) {
		note(at, "reserved bits are set");
		stop(way, 0x42);
		return;
	}
	note(at, "PASID directory at %#llx, RID_PASID %u", (unsigned long long)directory,
	     rid_pasid);
	if (way->pasid == IOMMU_NO_PASID)
		way->pasid = rid_pasid;
	else if (!(low & VTD_SM_CONTEXT_PASIDE)) {
		stop(way, 0x45);
		return;
	}
	walk_pasid_directory(way, vtd_va(unit, pa(directory)), pdts);
}

static void walk_scalable(struct way *way)
{
	struct vtd_unit *unit = way->unit;
	const uint64_t *root = vtd_va(unit, unit->root);
	unsigned index = RID_BUS(way->rid);
	bool upper = way->rid & 0x80;
	struct iommu_walk_step *at = step(way, upper ? "root (upper)" : "root (lower)", index,
	                                  &root[2 * index + upper], 1);
	uint64_t table = at->entry[0] & VTD_SM_ROOT_CTP;

	if (!(at->entry[0] & VTD_SM_ROOT_P)) {
		note(at, "not present: no device is known there");
		stop(way, 0x39);
	} else if (at->entry[0] & FIELD(11, 1) || table & beyond_host(unit)) {
		note(at, "reserved bits are set");
		stop(way, 0x3a);
	} else {
		note(at, "context table at %#llx", (unsigned long long)table);
		walk_scalable_context(way, vtd_va(unit, pa(table)));
	}
}

void vtd_walk(struct iommu_unit *base, iommu_rid_t rid, uint32_t pasid, iova_t at, uint32_t access,
              struct iommu_walk *walk)
{
	struct way way = {
		.unit = vtd_unit_of(base),
		.walk = walk,
		.at = at,
		.access = access,
		.pasid = pasid,
		.rid = rid,
	};

	if (way.unit->scalable)
		walk_scalable(&way);
	else
		walk_legacy(&way);
}
