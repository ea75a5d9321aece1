/* SPDX-License-Identifier: MIT */
/* Domains: making and freeing them, and whether one fits a unit. See domain.h. */
#include "vtd/domain.h"

#include "vtd/nested.h"

/* Bits of the leaf formats that this file chooses; the format headers hold one
 * definition set each and cannot be included together. */
#define SECOND_STAGE_SNP BIT64(11)
#define FIRST_STAGE_A    BIT64(5)
#define FIRST_STAGE_D    BIT64(6)

enum { ADDRESS_LIMIT = 52 };

struct vtd_domain *vtd_domain_check(struct iommu_domain *domain)
{
	if (domain->ops == &vtd_second_stage_format.ops ||
	    domain->ops == &vtd_first_stage_format.ops || domain->ops == &vtd_identity_ops ||
	    domain->ops == &vtd_nested_ops)
		return vtd_domain_of(domain);
	return NULL;
}

bool vtd_walks_snoop(const struct vtd_unit *unit)
{
	/* Scalable mode asks for snooping per PASID entry (PWSNP), if the unit can. */
	return unit->scalable ? unit->caps.smpwcs : unit->caps.c;
}

bool vtd_can_second(const struct vtd_unit *unit)
{
	return unit->caps.levels && (!unit->scalable || unit->caps.ssts);
}

bool vtd_can_first(const struct vtd_unit *unit)
{
	return unit->scalable && unit->caps.fsts;
}

bool vtd_can_nest(const struct vtd_unit *unit)
{
	return unit->caps.nest && vtd_can_first(unit) && vtd_can_second(unit);
}

/* ---- making ---------------------------------------------------------------------- */

static int pt_flush(struct pt *pt, struct iommu_gather *gather)
{
	return vtd_domain_flush(pt->domain, gather);
}

int vtd_domain_new(struct vtd_unit *unit, struct vtd_domain **out)
{
	const struct iommu_os *os = unit->os;
	struct vtd_domain *domain = os->alloc(os->ctx, sizeof(*domain));
	int err;

	if (!domain)
		return -ENOMEM;
	err = os->lock_init(os->ctx, &domain->lock, "vtd domain");
	if (err) {
		os->free(os->ctx, domain, sizeof(*domain));
		return err;
	}
	domain->base.iommu = unit->base.iommu;
	domain->base.unit = &unit->base;
	domain->base.format = domain->text;
	domain->write_buffer = unit->caps.rwbf;
	__atomic_fetch_add(&unit->stats.domains, 1, __ATOMIC_RELAXED);
	*out = domain;
	return 0;
}

static void domain_delete(struct vtd_domain *domain)
{
	struct vtd_unit *unit = vtd_unit_of(domain->base.unit);
	const struct iommu_os *os = unit->os;

	os->lock_destroy(os->ctx, &domain->lock);
	__atomic_fetch_sub(&unit->stats.domains, 1, __ATOMIC_RELAXED);
	os->free(os->ctx, domain, sizeof(*domain));
}

/** By stage (1: second) and levels, 3 to 5. */
static const char *const format_names[2][3] = {
	{"VT-d first-stage, 3 levels", "VT-d first-stage, 4 levels", "VT-d first-stage, 5 levels"},
	{"VT-d second-stage, 3 levels", "VT-d second-stage, 4 levels",
         "VT-d second-stage, 5 levels"}};

int vtd_domain_create(struct vtd_unit *unit, bool second, uint32_t flags, struct vtd_domain **out)
{
	const struct vtd_caps *caps = &unit->caps;
	bool snoop = vtd_walks_snoop(unit);
	/* The first stage always has 4 levels here: 5 add a step and no device needs them. */
	unsigned levels = second ? caps->levels : 4;
	unsigned bits = second ? caps->address_bits : 47;
	struct vtd_domain *domain;
	int err;

	if (second ? !vtd_can_second(unit) : !vtd_can_first(unit))
		return -EOPNOTSUPP;
	err = vtd_domain_new(unit, &domain);
	if (err)
		return err;
	domain->format = second ? &vtd_second_stage_format : &vtd_first_stage_format;
	err = domain->format->init(&domain->pt, unit->os, levels,
	                           second ? caps->second_sizes : caps->first_sizes,
	                           second && caps->sc ? SECOND_STAGE_SNP : 0, snoop);
	if (err) {
		domain_delete(domain);
		return err;
	}
	/* A unit that does not snoop tables cannot set flags in them (faults 7Ch, 90h): the
	 * first stage has no way to switch them off, so they are set beforehand. */
	if (!second && !snoop)
		domain->pt.leaf_bits |= FIRST_STAGE_A | FIRST_STAGE_D;
	if (unit->host_bits < ADDRESS_LIMIT)
		domain->format->reserve(&domain->pt, FIELD(ADDRESS_LIMIT - 1, unit->host_bits));
	/* Caching mode holds not-present entries of second-stage tables; first-stage faults
	 * are never cached (section 6.1). */
	domain->pt.gather_on_map = second && caps->cm;
	domain->pt.scalable = unit->scalable;
	domain->pt.flush = pt_flush;
	domain->pt.domain = &domain->base;

	domain->base.ops = &domain->format->ops;
	domain->base.stage = second ? IOMMU_STAGE_SECOND : IOMMU_STAGE_FIRST;
	domain->base.flags = flags;
	domain->base.page_sizes = domain->pt.page_sizes;
	domain->base.first = iova(0);
	domain->base.last = iova((UINT64_C(1) << bits) - 1);
	domain->base.max_rights = IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE;
	domain->base.format = format_names[second][levels - 3];
	*out = domain;
	return 0;
}

int vtd_domain_create_preferred(struct vtd_unit *unit, struct vtd_domain **out)
{
	return vtd_domain_create(unit, !vtd_can_first(unit), 0, out);
}

int vtd_domain_alloc_user(struct iommu_device *device, uint32_t flags, struct iommu_domain *parent,
                          const struct iommu_user_data *data, struct iommu_domain **out)
{
	struct vtd_unit *unit = vtd_unit_of(device->unit);
	bool nest_parent = flags & IOMMU_ALLOC_NEST_PARENT;
	bool tracks = flags & IOMMU_ALLOC_DIRTY_TRACKING;
	bool can_nest = vtd_can_nest(unit);
	struct vtd_domain *domain;
	int err;

	if (parent)
		return vtd_nested_create(device, flags, parent, data, out);
	/* Where page requests go is the core's matter. */
	if (flags & ~(uint32_t)(IOMMU_ALLOC_NEST_PARENT | IOMMU_ALLOC_DIRTY_TRACKING |
	                        IOMMU_ALLOC_PASID | IOMMU_ALLOC_FAULT_ID_VALID))
		return -EOPNOTSUPP;
	if (flags & IOMMU_ALLOC_PASID && !(unit->scalable && unit->caps.pasid))
		return -EOPNOTSUPP;
	/* Data describes a stage-1 table, which needs a parent. */
	if (data)
		return -EOPNOTSUPP;
	if (nest_parent && !can_nest && !iommu_options(device->iommu)->nest_any)
		return -EOPNOTSUPP;
	const char *misfit = tracks ? vtd_dirty_misfit(unit) : NULL;
	if (misfit) {
		vtd_log(unit, IOMMU_LOG_ERROR, "no domain for %s: the unit cannot do %s",
		        device->desc.name, misfit);
		return -EOPNOTSUPP;
	}

	/* Only the second stage has dirty flags that are kept on demand. */
	if (nest_parent || tracks)
		err = vtd_domain_create(unit, true, flags, &domain);
	else
		err = vtd_domain_create_preferred(unit, &domain);
	if (err)
		return err;
	domain->base.not_nestable = nest_parent && !can_nest;
	*out = &domain->base;
	return 0;
}

/* ---- identity ---------------------------------------------------------------------- */

static int identity_map(struct iommu_domain *domain, iova_t start, pa_t to, uint64_t bytes,
                        uint32_t rights, struct iommu_gather *gather)
{
	(void)domain, (void)start, (void)to, (void)bytes, (void)rights, (void)gather;
	return -EOPNOTSUPP;
}

static uint64_t identity_unmap(struct iommu_domain *domain, iova_t start, uint64_t bytes,
                               struct iommu_gather *gather)
{
	(void)domain, (void)start, (void)bytes, (void)gather;
	return 0;
}

static bool identity_lookup(struct iommu_domain *domain, iova_t at, struct iommu_leaf *out)
{
	if (at.value > domain->last.value)
		return false;
	*out = (struct iommu_leaf){
		.iova = iova(at.value & ~(PAGE_SIZE_4K - 1)),
		.pa = pa(at.value & ~(PAGE_SIZE_4K - 1)),
		.bytes = PAGE_SIZE_4K,
		.rights = IOMMU_READ | IOMMU_WRITE,
	};
	return true;
}

/** There are no leaves: nothing is mapped, everything passes. */
static bool identity_visit(struct iommu_domain *domain, iova_t first, iova_t last,
                           bool (*visit)(void *arg, const struct iommu_leaf *leaf), void *arg)
{
	(void)domain, (void)first, (void)last, (void)visit, (void)arg;
	return true;
}

static void identity_walk(struct iommu_domain *domain, iova_t at, uint32_t access,
                          struct iommu_walk *walk)
{
	struct vtd_unit *unit = vtd_unit_of(domain->unit);

	(void)access;
	walk->translated = at.value <= domain->last.value;
	walk->result = pa(at.value);
	walk->page_bytes = PAGE_SIZE_4K;
	walk->rights = IOMMU_READ | IOMMU_WRITE;
	if (!walk->translated) {
		walk->reason = unit->scalable ? 0x83 : 0x4;
		walk->mnemonic = unit->scalable ? "SGN.4" : "LGN.1";
		walk->text = "address above the host address width";
	}
}

const struct iommu_domain_ops vtd_identity_ops = {
	.map = identity_map,
	.unmap = identity_unmap,
	.lookup = identity_lookup,
	.visit = identity_visit,
	.walk = identity_walk,
	.flush = vtd_domain_flush,
	.free = vtd_domain_free,
};

int vtd_domain_alloc_identity(struct iommu_device *device, struct iommu_domain **out)
{
	struct vtd_unit *unit = vtd_unit_of(device->unit);
	struct vtd_domain *domain;
	int err;

	if (!unit->caps.pt)
		return -EOPNOTSUPP;
	err = vtd_domain_new(unit, &domain);
	if (err)
		return err;
	domain->base.ops = &vtd_identity_ops;
	domain->base.stage = IOMMU_STAGE_IDENTITY;
	domain->base.last = iova((UINT64_C(1) << unit->host_bits) - 1);
	domain->base.max_rights = IOMMU_READ | IOMMU_WRITE;
	iommu_snprintf(domain->text, sizeof(domain->text), "VT-d pass-through");
	*out = &domain->base;
	return 0;
}

void vtd_domain_free(struct iommu_domain *base)
{
	struct vtd_domain *domain = vtd_domain_of(base);

	if (domain->parent)
		vtd_nested_unlink(domain);
	if (domain->format && !domain->poisoned)
		domain->format->destroy(&domain->pt);
	else if (domain->format)
		vtd_log(vtd_unit_of(base->unit), IOMMU_LOG_WARNING,
		        "%llu table pages stay out of use: a unit may still walk them",
		        (unsigned long long)domain->pt.table_pages);
	domain_delete(domain);
}

/* ---- fitting ----------------------------------------------------------------------- */

int vtd_domain_fits(const struct vtd_domain *domain, struct vtd_unit *unit)
{
	const struct vtd_caps *caps = &unit->caps;
	const struct pt *pt = &domain->pt;
	const char *what = NULL;
	bool second = domain->base.stage == IOMMU_STAGE_SECOND;

	if (domain->parent) {
		what = vtd_nested_misfit(&domain->nested, domain->parent, unit);
		if (!what)
			return vtd_domain_fits(domain->parent, unit);
	} else if (!domain->format)
		what = caps->pt ? NULL : "pass-through (ECAP.PT is 0)";
	else if (second ? !vtd_can_second(unit) : !vtd_can_first(unit))
		what = "its format";
	else if (second && !(caps->sagaw & 1u << (pt->levels - 2)))
		what = "its number of levels";
	else if (second && domain->base.last.value >> caps->address_bits)
		what = "its address width";
	else if (pt->page_sizes & ~(second ? caps->second_sizes : caps->first_sizes))
		what = "its page sizes";
	else if (pt->coherent && !vtd_walks_snoop(unit))
		what = "tables that are not cleaned";
	else if (second && pt->leaf_bits & SECOND_STAGE_SNP && !caps->sc)
		what = "snoop control";
	else if (second && caps->cm && !pt->gather_on_map)
		what = "maps that are not flushed (caching mode)";
	else if (domain->base.flags & IOMMU_ALLOC_DIRTY_TRACKING)
		what = vtd_dirty_misfit(unit);
	if (!what)
		return 0;
	vtd_log(unit, IOMMU_LOG_ERROR, "cannot use a domain made for %s (%s): %s",
	        domain->base.unit->name, domain->base.format, what);
	return -EINVAL;
}
