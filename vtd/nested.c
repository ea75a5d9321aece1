/* SPDX-License-Identifier: MIT */
/* Nested domains: see nested.h. */
#include "vtd/nested.h"

#include "vtd/device_tlb.h"
#include "vtd/vtd_s1.h"

/* ---- fitting ----------------------------------------------------------------------- */

const char *vtd_nested_misfit(const struct vtd_nested *nested, const struct vtd_domain *parent,
                              const struct vtd_unit *unit)
{
	const struct vtd_caps *caps = &unit->caps;

	if (!unit->scalable)
		return "nested translation (the unit is in legacy mode)";
	if (!vtd_can_nest(unit))
		return "nested translation (ECAP.NEST)";
	if (nested->levels == 5 && !caps->fs_5_level)
		return "an address width of 57 bits (CAP.FS5LP is 0)";
	if (nested->flags & VTD_PASID_SRE && !caps->srs)
		return "flag SRE (ECAP.SRS is 0)";
	if (nested->flags & VTD_PASID_EAFE && !caps->eafs)
		return "flag EAFE (ECAP.EAFS is 0)";
	if (nested->table > parent->base.last.value || nested->table >> caps->address_bits)
		return "the address of the stage-1 table, which is above the parent's reach";
	return NULL;
}

/* ---- making ------------------------------------------------------------------------ */

#define refuse(device, code, format, ...)                                                          \
	(iommu_log(iommu_os((device)->iommu), IOMMU_LOG_ERROR, "%s: no nested domain: " format,    \
	           (device)->desc.name, ##__VA_ARGS__),                                            \
	 (code))

/** Read and check what the user says of its table. */
static int read_data(struct iommu_device *device, const struct iommu_user_data *data,
                     struct vtd_nested *out)
{
	const uint64_t known = VTD_S1_SRE | VTD_S1_EAFE | VTD_S1_WPE;
	const struct vtd_unit *unit = vtd_unit_of(device->unit);
	struct vtd_s1 s1;
	int err;

	if (data->type != VTD_S1_DATA)
		return refuse(device, -EOPNOTSUPP, "data type %u is not VTD_S1 (%u)", data->type,
		              VTD_S1_DATA);
	err = iommu_user_data_copy(data, VTD_S1_DATA, &s1, sizeof(s1), sizeof(s1));
	if (err)
		return refuse(device, err, "the data have %u bytes, %zu are right", data->bytes,
		              sizeof(s1));
	if (s1.flags & ~known || s1.reserved)
		return refuse(device, -EOPNOTSUPP,
		              "flags %#llx, reserved field %#x: known flags are %#llx, the "
		              "reserved field is 0",
		              (unsigned long long)s1.flags, s1.reserved, (unsigned long long)known);
	if (s1.addr_width != 48 && s1.addr_width != 57)
		return refuse(device, -EINVAL, "addr_width %u is not 48%s", s1.addr_width,
		              unit->caps.fs_5_level ? " or 57" : "");
	if (s1.pgtbl_addr & (PAGE_SIZE_4K - 1))
		return refuse(device, -EINVAL, "pgtbl_addr %#llx is not a multiple of 0x1000",
		              (unsigned long long)s1.pgtbl_addr);
	out->table = s1.pgtbl_addr;
	out->levels = s1.addr_width == 57 ? 5 : 4;
	out->flags = 0;
	if (s1.flags & VTD_S1_SRE)
		out->flags |= VTD_PASID_SRE;
	if (s1.flags & VTD_S1_EAFE)
		out->flags |= VTD_PASID_EAFE;
	if (s1.flags & VTD_S1_WPE)
		out->flags |= VTD_PASID_WPE;
	return 0;
}

int vtd_nested_create(struct iommu_device *device, uint32_t flags, struct iommu_domain *base,
                      const struct iommu_user_data *data, struct iommu_domain **out)
{
	struct vtd_unit *unit = vtd_unit_of(device->unit);
	struct vtd_domain *domain, *parent = vtd_domain_check(base);
	struct vtd_nested nested;
	int err;

	if (!vtd_can_nest(unit))
		return refuse(device, -EOPNOTSUPP, "%s %s", unit->base.name,
		              unit->scalable ? "has no nested translation (ECAP.NEST, FSTS, SSTS)"
		                             : "is in legacy mode");
	if (flags & ~(uint32_t)(IOMMU_ALLOC_PASID | IOMMU_ALLOC_FAULT_ID_VALID))
		return refuse(device, -EOPNOTSUPP, "flags %#x are not for nested domains", flags);
	if (flags & IOMMU_ALLOC_PASID && !unit->caps.pasid)
		return refuse(device, -EOPNOTSUPP, "%s has no PASIDs (ECAP.PASID is 0)",
		              unit->base.name);
	if (!parent || parent->base.stage != IOMMU_STAGE_SECOND ||
	    !(parent->base.flags & IOMMU_ALLOC_NEST_PARENT))
		return refuse(device, -EINVAL, "the parent was not made as NEST_PARENT");
	err = read_data(device, data, &nested);
	if (err)
		return err;
	const char *what = vtd_nested_misfit(&nested, parent, unit);
	if (what)
		return refuse(device, -EINVAL, "%s cannot do: %s (pgtbl_addr %#llx)",
		              unit->base.name, what, (unsigned long long)nested.table);
	err = vtd_domain_fits(parent, unit);
	if (err)
		return err;

	err = vtd_domain_new(unit, &domain);
	if (err)
		return err;
	domain->base.ops = &vtd_nested_ops;
	domain->base.stage = IOMMU_STAGE_NESTED;
	domain->base.flags = flags;
	domain->base.last = iova((UINT64_C(1) << (nested.levels == 5 ? 56 : 47)) - 1);
	domain->base.max_rights = IOMMU_READ | IOMMU_WRITE;
	domain->nested = nested;
	domain->parent = parent;
	iommu_snprintf(domain->text, sizeof(domain->text), "VT-d nested, %u on %u levels",
	               nested.levels, parent->pt.levels);
	vtd_domain_lock(parent);
	domain->sibling = parent->children;
	parent->children = domain;
	vtd_domain_unlock(parent);
	*out = &domain->base;
	return 0;
}

void vtd_nested_unlink(struct vtd_domain *domain)
{
	struct vtd_domain **at = &domain->parent->children;

	vtd_domain_lock(domain->parent);
	while (*at != domain)
		at = &(*at)->sibling;
	*at = domain->sibling;
	vtd_domain_unlock(domain->parent);
}

/* ---- the user's invalidations -------------------------------------------------------- */

enum {
	/** Beyond this many descriptors for a PASID, one that forgets all of it is cheaper. */
	MAX_BLOCKS = 16,
};

/** All that one call asks for: blocks of pages, or everything. */
struct request {
	bool everything;
	unsigned count;
	struct vtd_block blocks[MAX_BLOCKS];
	bool leaves_only[MAX_BLOCKS];
};

/** Add one entry of the user's. 0; -EOPNOTSUPP, -EINVAL: nothing was added. */
static int request_add(struct request *request, const struct vtd_s1_invalidate *entry)
{
	uint64_t first = entry->addr >> 12, pages = entry->npages;
	struct vtd_block blocks[VTD_MAX_PAGE_DESCRIPTORS];
	unsigned count = VTD_MAX_PAGE_DESCRIPTORS + 1;

	if (entry->flags & ~(uint32_t)VTD_S1_INVALIDATE_LEAF || entry->reserved)
		return -EOPNOTSUPP;
	if (entry->addr & (PAGE_SIZE_4K - 1))
		return -EINVAL;
	if (pages == VTD_S1_ALL_PAGES) {
		if (entry->addr)
			return -EINVAL;
		request->everything = true;
		return 0;
	}
	if (pages > (UINT64_C(1) << 52) - first)
		return -EINVAL;
	if (!pages || request->everything)
		return 0;
	if ((pages - 1) >> VTD_MAX_PASID_ORDER == 0)
		count = vtd_split_range(first, first + pages - 1, VTD_MAX_PASID_ORDER, blocks,
		                        VTD_MAX_PAGE_DESCRIPTORS);
	if (count > VTD_MAX_PAGE_DESCRIPTORS || request->count + count > MAX_BLOCKS) {
		request->everything = true;
		return 0;
	}
	for (unsigned i = 0; i < count; i++) {
		request->blocks[request->count] = blocks[i];
		request->leaves_only[request->count++] = entry->flags & VTD_S1_INVALIDATE_LEAF;
	}
	return 0;
}

/** The request's descriptors for one PASID of one unit. */
static void add_request(struct vtd_batch *batch, const struct request *request, uint16_t did,
                        uint32_t pasid)
{
	if (request->everything) {
		vtd_batch_add(batch, vtd_desc_p_iotlb(did, pasid));
		return;
	}
	for (unsigned i = 0; i < request->count; i++)
		vtd_batch_add(batch, vtd_desc_p_iotlb_page(
					     did, pasid, request->blocks[i].page << 12,
					     request->blocks[i].order, request->leaves_only[i]));
}

/** The same for a device that translates for itself. */
static void add_request_to_device(struct vtd_batch *batch, const struct request *request,
                                  const struct vtd_attachment *at)
{
	if (request->everything || request->count > VTD_MAX_DEVICE_BLOCKS) {
		vtd_batch_add_device_all(batch, at->device, at->pasid);
		return;
	}
	for (unsigned i = 0; i < request->count; i++) {
		uint64_t first = request->blocks[i].page << 12;
		uint64_t last = first + (PAGE_SIZE_4K << request->blocks[i].order) - 1;
		vtd_batch_add_device_range(batch, at->device, at->pasid, iova(first), iova(last));
	}
}

/** Carry a request out on every unit, with one wait for each. */
static int execute(struct vtd_domain *domain, const struct request *request)
{
	int result = 0;

	vtd_domain_lock(domain);
	for (const struct vtd_tag *tag = domain->tags; tag; tag = tag->next) {
		const struct vtd_attachment *before = NULL;
		struct vtd_batch batch;
		vtd_batch_begin(&batch, tag->unit);
		vtd_count(&tag->unit->stats.flushes);
		for (const struct vtd_attachment *at = tag->attachments; at; at = at->next) {
			if (!before || before->pasid != at->pasid)
				add_request(&batch, request, tag->did, at->pasid);
			before = at;
		}
		for (const struct vtd_attachment *at = tag->attachments; at; at = at->next)
			add_request_to_device(&batch, request, at);
		int err = vtd_batch_end(&batch);
		result = result ? result : err;
	}
	vtd_domain_unlock(domain);
	return result;
}

/** Nothing is forgotten until the user's entries are read, up to the first that is wrong: so
 *  one wait serves any number of them, and no lock is held while user memory is read. */
static int nested_invalidate_user(struct iommu_domain *base, struct iommu_user_array *array)
{
	struct request request = {.count = 0};
	uint32_t accepted = 0;
	int err = 0;

	array->done = 0;
	if (array->type != VTD_S1_INVALIDATE_DATA)
		return -EINVAL;
	for (; accepted < array->count; accepted++) {
		struct vtd_s1_invalidate entry;
		err = iommu_user_array_get(array, accepted, &entry, sizeof(entry), sizeof(entry));
		if (!err)
			err = request_add(&request, &entry);
		if (err)
			break;
	}
	if (request.everything || request.count) {
		int flush_err = execute(vtd_domain_of(base), &request);
		if (flush_err)
			return flush_err; /* which of them took effect is not known: done is 0 */
	}
	array->done = accepted;
	return err;
}

/* ---- the domain -------------------------------------------------------------------- */

static void nested_walk(struct iommu_domain *base, iova_t at, uint32_t access,
                        struct iommu_walk *walk)
{
	const struct vtd_domain *domain = vtd_domain_of(base);
	const struct vtd_nested_tables tables = {
		.unit = vtd_unit_of(base->unit),
		.second = domain->parent->pt.root.value,
		.second_levels = domain->parent->pt.levels,
		.first = domain->nested,
	};

	vtd_nested_walk(&tables, at, access, walk);
}

/** Nothing is mapped here: the user writes the table, the parent maps memory. */
static int nested_map(struct iommu_domain *domain, iova_t start, pa_t to, uint64_t bytes,
                      uint32_t rights, struct iommu_gather *gather)
{
	(void)domain, (void)start, (void)to, (void)bytes, (void)rights, (void)gather;
	return -EOPNOTSUPP;
}

static uint64_t nested_unmap(struct iommu_domain *domain, iova_t start, uint64_t bytes,
                             struct iommu_gather *gather)
{
	(void)domain, (void)start, (void)bytes, (void)gather;
	return 0;
}

static bool nested_lookup(struct iommu_domain *domain, iova_t at, struct iommu_leaf *out)
{
	(void)domain, (void)at, (void)out;
	return false;
}

static bool nested_visit(struct iommu_domain *domain, iova_t first, iova_t last,
                         bool (*visit)(void *arg, const struct iommu_leaf *leaf), void *arg)
{
	(void)domain, (void)first, (void)last, (void)visit, (void)arg;
	return true;
}

const struct iommu_domain_ops vtd_nested_ops = {
	.map = nested_map,
	.unmap = nested_unmap,
	.lookup = nested_lookup,
	.visit = nested_visit,
	.walk = nested_walk,
	.flush = vtd_domain_flush,
	.invalidate_user = nested_invalidate_user,
	.free = vtd_domain_free,
};
