/* SPDX-License-Identifier: MIT */
/*
 * The mock IOMMU's domains: tables in a format of its own, a TLB for each domain that
 * forgets nothing until it is flushed, nested domains with a few cache words that a
 * user can read (through the self-test's calls) and invalidate, and dirty flags.
 *
 * domain_alloc_user: without flags, and with NEST_PARENT, DIRTY_TRACKING or PASID, a
 * table in the mock's format; with a parent and data of type IOMMU_HWPT_DATA_SELFTEST, a
 * nested domain whose stage 1 passes addresses unchanged; anything else is -EOPNOTSUPP.
 */
#include "ufd/mock_private.h"

#define PT_NAME mock_pt
#include "ufd/mock_format.h"
#include "iommu/pt_engine.h"

enum {
	NESTED_FLAGS = IOMMU_ALLOC_PASID | IOMMU_ALLOC_FAULT_ID_VALID,
	PAGING_FLAGS = NESTED_FLAGS | IOMMU_ALLOC_NEST_PARENT | IOMMU_ALLOC_DIRTY_TRACKING,
};

/** The table that @p domain translates by: a nested domain's is its parent's. */
static struct pt *domain_table(struct mock_domain *domain)
{
	return domain->parent ? &domain->parent->pt : &domain->pt;
}

/* ---- half pages -------------------------------------------------------------------- */

static uint64_t last_address(const struct mock_domain *domain)
{
	return (UINT64_C(1) << (pt_format_width(MOCK_LEVELS) - domain->scale)) - 1;
}

static struct iommu_leaf leaf_out(const struct mock_domain *domain, const struct iommu_leaf *leaf)
{
	struct iommu_leaf out = *leaf;

	out.iova.value >>= domain->scale;
	out.pa.value >>= domain->scale;
	out.bytes >>= domain->scale;
	return out;
}

/** mock_pt_lookup() in addresses of @p domain. */
static bool find_leaf(struct mock_domain *domain, iova_t at, struct iommu_leaf *out)
{
	if (at.value > last_address(domain) ||
	    !mock_pt_lookup(domain_table(domain), iova(at.value << domain->scale), out))
		return false;
	*out = leaf_out(domain, out);
	return true;
}

/** A visitor of leaves, in addresses of a domain. */
struct visitor {
	const struct mock_domain *domain;
	bool (*visit)(void *arg, const struct iommu_leaf *leaf);
	void *arg;
};

static bool visit_out(void *arg, const struct iommu_leaf *leaf)
{
	const struct visitor *visitor = arg;
	const struct iommu_leaf out = leaf_out(visitor->domain, leaf);

	return visitor->visit(visitor->arg, &out);
}

/** Who is told of written pages, in addresses of a domain. */
struct listener {
	const struct mock_domain *domain;
	void (*written)(void *arg, iova_t first, iova_t last);
	void *arg;
};

static void written_out(void *arg, iova_t first, iova_t last)
{
	const struct listener *listener = arg;
	const unsigned scale = listener->domain->scale;

	listener->written(listener->arg, iova(first.value >> scale), iova(last.value >> scale));
}

/** Cut [*first, *last] to what the table has, in its addresses. False: nothing is left. */
static bool range_in(const struct mock_domain *domain, iova_t *first, iova_t *last)
{
	uint64_t end = last_address(domain);

	if (first->value > end)
		return false;
	if (last->value > end)
		last->value = end;
	first->value <<= domain->scale;
	last->value = (last->value + 1) * (UINT64_C(1) << domain->scale) - 1;
	return true;
}

/* ---- the TLB ----------------------------------------------------------------------- */

/** Drop what the TLB of @p domain holds of [first, last]. */
static void tlb_drop(struct mock_unit *unit, struct mock_domain *domain, uint64_t first,
                     uint64_t last)
{
	const struct iommu_os *os = unit->unit.iommu->os;
	struct iova_node *node = iova_space_find_from(&domain->tlb, first);

	while (node && node->first <= last) {
		struct mock_tlb_entry *entry = (struct mock_tlb_entry *)node;
		node = iova_space_next(&domain->tlb, node);
		iova_space_remove(&domain->tlb, &entry->node);
		os->free(os->ctx, entry, sizeof(*entry));
		unit->stats.flushed++;
		unit->stats.cached--;
	}
}

/** Keep a translation; without memory it is just not kept. */
static void tlb_keep(struct mock_unit *unit, struct mock_domain *domain,
                     const struct iommu_leaf *leaf)
{
	const struct iommu_os *os = unit->unit.iommu->os;
	struct mock_tlb_entry *entry = os->alloc(os->ctx, sizeof(*entry));

	if (!entry)
		return;
	entry->node.first = leaf->iova.value;
	entry->node.last = leaf->iova.value + (leaf->bytes - 1);
	entry->pa = leaf->pa;
	entry->rights = leaf->rights;
	entry->dirty = leaf->dirty;
	if (iova_space_insert(&domain->tlb, &entry->node)) {
		/* a part is cached as a smaller page: that stays, as it does in hardware */
		os->free(os->ctx, entry, sizeof(*entry));
		return;
	}
	unit->stats.cached++;
}

/* ---- domains ------------------------------------------------------------------------- */

static int domain_map(struct iommu_domain *domain, iova_t start, pa_t to, uint64_t bytes,
                      uint32_t rights, struct iommu_gather *gather)
{
	struct mock_domain *self = mock_domain(domain);
	unsigned scale = self->scale;

	if (to.value << scale >> scale != to.value)
		return -EINVAL;
	return mock_pt_map(&self->pt, iova(start.value << scale), pa(to.value << scale),
	                   bytes << scale, rights, gather);
}

static size_t domain_map_pages(struct iommu_domain *domain, iova_t start,
                               const struct iommu_extent *extents, size_t count, uint32_t rights,
                               struct iommu_gather *gather)
{
	struct mock_domain *self = mock_domain(domain);

	return self->scale ? 0
	                   : mock_pt_map_pages(&self->pt, start, extents, count, rights, gather);
}

static uint64_t domain_unmap(struct iommu_domain *domain, iova_t start, uint64_t bytes,
                             struct iommu_gather *gather)
{
	struct mock_domain *self = mock_domain(domain);
	iova_t first = start, last = iova(start.value + (bytes - 1));

	if (!range_in(self, &first, &last))
		return 0;
	return mock_pt_unmap(&self->pt, first, last.value - first.value + 1, gather) >> self->scale;
}

static void domain_trim(struct iommu_domain *domain, iova_t start, uint64_t bytes,
                        struct iommu_gather *gather)
{
	struct mock_domain *self = mock_domain(domain);
	iova_t first = start, last = iova(start.value + (bytes - 1));

	if (range_in(self, &first, &last))
		mock_pt_trim(&self->pt, first, last.value - first.value + 1, gather);
}

static bool domain_lookup(struct iommu_domain *domain, iova_t at, struct iommu_leaf *out)
{
	return find_leaf(mock_domain(domain), at, out);
}

static bool domain_visit(struct iommu_domain *domain, iova_t first, iova_t last,
                         bool (*visit)(void *arg, const struct iommu_leaf *leaf), void *arg)
{
	struct mock_domain *self = mock_domain(domain);
	struct visitor visitor = {self, visit, arg};

	return !range_in(self, &first, &last) ||
	       mock_pt_visit(domain_table(self), first, last, visit_out, &visitor);
}

void ufd_mock_domain_walk(struct mock_domain *domain, iova_t at, uint32_t access,
                          struct iommu_walk *walk)
{
	const unsigned scale = domain->scale;

	/* what is above the table's width stays so */
	at.value = at.value >> 63 ? at.value : at.value << scale;
	mock_pt_walk(domain_table(domain), at, access, walk);
	walk->result.value >>= scale;
	walk->page_bytes >>= scale;
}

static void domain_walk(struct iommu_domain *domain, iova_t at, uint32_t access,
                        struct iommu_walk *walk)
{
	ufd_mock_domain_walk(mock_domain(domain), at, access, walk);
}

static int domain_flush(struct iommu_domain *domain, struct iommu_gather *gather)
{
	struct mock_unit *unit = mock_unit(domain->unit);
	struct mock_domain *self = mock_domain(domain);
	int error = 0;

	mock_lock(unit);
	unit->stats.flushes++;
	if (unit->broken) {
		error = -ETIMEDOUT;
	} else if (!iommu_gather_empty(gather)) {
		const uint64_t first = gather->first.value >> self->scale;
		const uint64_t last = gather->last.value >> self->scale;
		tlb_drop(unit, self, first, last);
		for (struct mock_domain *child = self->children; child; child = child->next_child)
			tlb_drop(unit, child, first, last);
	}
	mock_unlock(unit);
	return error;
}

static int domain_dirty_tracking(struct iommu_domain *domain, bool on)
{
	struct mock_unit *unit = mock_unit(domain->unit);
	struct mock_domain *self = mock_domain(domain);
	struct iommu_gather gather;
	int error = 0;

	iommu_gather_init(&gather, domain);
	mock_lock(unit);
	if (unit->broken)
		error = -ETIMEDOUT;
	else if (on && !self->tracking)
		mock_pt_read_dirty(&self->pt, iova(0),
		                   iova((UINT64_C(1) << pt_format_width(MOCK_LEVELS)) - 1), true,
		                   NULL, NULL, &gather);
	if (!error) {
		/* translations that were used before did not note what is written */
		tlb_drop(unit, self, 0, UINT64_MAX);
		for (struct mock_domain *child = self->children; child; child = child->next_child)
			tlb_drop(unit, child, 0, UINT64_MAX);
		self->tracking = on;
	}
	mock_unlock(unit);
	return error;
}

static void domain_read_dirty(struct iommu_domain *domain, iova_t first, iova_t last, bool clear,
                              void (*written)(void *arg, iova_t first, iova_t last), void *arg,
                              struct iommu_gather *gather)
{
	struct mock_domain *self = mock_domain(domain);
	struct listener listener = {self, written, arg};

	if (range_in(self, &first, &last))
		mock_pt_read_dirty(&self->pt, first, last, clear, written ? written_out : NULL,
		                   &listener, gather);
}

/** Forget what one entry names. */
static int invalidate_one(struct mock_domain *self, struct iommu_user_array *array, uint32_t index)
{
	struct iommu_hwpt_invalidate_selftest entry;

	int error = iommu_user_array_get(array, index, &entry, sizeof(entry), sizeof(entry));
	if (error)
		return error;
	if (entry.flags & ~(uint32_t)IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (entry.iotlb_id > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
		return -EINVAL;
	struct mock_unit *unit = mock_unit(self->domain.unit);
	mock_lock(unit);
	if (unit->broken)
		error = -ETIMEDOUT;
	else
		for (uint32_t i = 0; i < UFD_MOCK_IOTLB; i++)
			if (entry.flags || i == entry.iotlb_id)
				self->iotlb[i] = 0;
	mock_unlock(unit);
	return error;
}

static int domain_invalidate_user(struct iommu_domain *domain, struct iommu_user_array *array)
{
	const uint32_t bytes = sizeof(struct iommu_hwpt_invalidate_selftest);
	int error = array->type == IOMMU_HWPT_INVALIDATE_DATA_SELFTEST ? 0 : -EINVAL;

	array->done = 0;
	if (array->count && array->entry_bytes != bytes)
		error = -EINVAL;
	while (!error && array->done < array->count) {
		error = invalidate_one(mock_domain(domain), array, array->done);
		array->done += !error;
	}
	return error;
}

/** A leaf takes the place of an empty table: flush at once. */
static int table_flush(struct pt *pt, struct iommu_gather *gather)
{
	return domain_flush(pt->domain, gather);
}

static void domain_free(struct iommu_domain *domain)
{
	struct mock_unit *unit = mock_unit(domain->unit);
	struct mock_domain *self = mock_domain(domain);
	const struct iommu_os *os = unit->unit.iommu->os;

	mock_lock(unit);
	uint64_t flushed = unit->stats.flushed;
	tlb_drop(unit, self, 0, UINT64_MAX);
	unit->stats.flushed = flushed; /* nobody asked for it */
	if (self->parent) {
		struct mock_domain **link = &self->parent->children;
		while (*link != self)
			link = &(*link)->next_child;
		*link = self->next_child;
	}
	mock_unlock(unit);
	if (!self->parent)
		mock_pt_destroy(&self->pt);
	os->free(os->ctx, self, sizeof(*self));
}

static const struct iommu_domain_ops mock_domain_ops = {
	.map = domain_map,
	.map_pages = domain_map_pages,
	.unmap = domain_unmap,
	.trim = domain_trim,
	.lookup = domain_lookup,
	.visit = domain_visit,
	.walk = domain_walk,
	.flush = domain_flush,
	.dirty_tracking = domain_dirty_tracking,
	.read_dirty = domain_read_dirty,
	.free = domain_free,
};

/** A user's stage 1: nothing is mapped in it from here. */
static const struct iommu_domain_ops mock_nested_ops = {
	.lookup = domain_lookup,
	.visit = domain_visit,
	.walk = domain_walk,
	.flush = domain_flush,
	.invalidate_user = domain_invalidate_user,
	.free = domain_free,
};

static int nest(struct mock_unit *unit, struct mock_domain *self, struct iommu_domain *parent,
                const struct iommu_user_data *data)
{
	struct iommu_hwpt_selftest stage1;

	if (data->type != IOMMU_HWPT_DATA_SELFTEST)
		return -EOPNOTSUPP;
	int error = iommu_user_data_copy(data, IOMMU_HWPT_DATA_SELFTEST, &stage1, sizeof(stage1),
	                                 sizeof(stage1.iotlb));
	if (error)
		return error;
	self->domain.ops = &mock_nested_ops;
	self->domain.stage = IOMMU_STAGE_NESTED;
	self->domain.format = "mock stage 1, identity, on a mock parent";
	for (unsigned i = 0; i < UFD_MOCK_IOTLB; i++)
		self->iotlb[i] = stage1.iotlb;
	self->parent = mock_domain(parent);
	self->scale = self->parent->scale;
	mock_lock(unit);
	self->next_child = self->parent->children;
	self->parent->children = self;
	mock_unlock(unit);
	return 0;
}

/** A table of its own: of the mock's usual format, or (@p shape) a self-test's. */
static int make_table(struct mock_domain *self, const struct iommu_os *os, uint32_t shape,
                      const struct iommu_user_data *data)
{
	struct iommu_hwpt_selftest wanted = {
		.pagetable_type = shape & UFD_MOCK_HUGE ? MOCK_IOMMUPT_HUGE : MOCK_IOMMUPT_DEFAULT};
	uint64_t sizes = PT_FORMAT_PAGE_SIZES;
	int error = 0;

	self->domain.ops = &mock_domain_ops;
	self->domain.stage = IOMMU_STAGE_SECOND;
	self->domain.format = "mock, 4 levels";
	if (data)
		error = iommu_user_data_copy(data, IOMMU_HWPT_DATA_SELFTEST, &wanted,
		                             sizeof(wanted), sizeof(wanted.iotlb));
	if (error)
		return error;
	if (wanted.pagetable_type > MOCK_IOMMUPT_HUGE)
		return -EOPNOTSUPP;
	if (shape & UFD_MOCK_SELFTEST) {
		self->domain.format = "mock, 4 levels, half pages";
		self->domain.first = iova(MOCK_APERTURE_START);
		self->domain.last = iova(MOCK_APERTURE_LAST);
		self->scale = 1;
		sizes = wanted.pagetable_type == MOCK_IOMMUPT_HUGE ? PAGE_SIZE_4K | PAGE_SIZE_2M
		                                                   : PAGE_SIZE_4K;
	}
	self->domain.page_sizes = sizes >> self->scale;
	return mock_pt_init(&self->pt, os, MOCK_LEVELS, sizes, 0, true);
}

int ufd_mock_domain_alloc_user(struct iommu_device *device, uint32_t flags,
                               struct iommu_domain *parent, const struct iommu_user_data *data,
                               struct iommu_domain **out)
{
	const struct mock_device *known = device->driver_data;
	struct mock_unit *unit = mock_unit(device->unit);
	const struct iommu_os *os = device->iommu->os;
	int error;

	if (flags & ~(uint32_t)(parent ? NESTED_FLAGS : PAGING_FLAGS) ||
	    (!parent && data && !(known->shape & UFD_MOCK_SELFTEST)) ||
	    (flags & IOMMU_ALLOC_DIRTY_TRACKING && known->shape & UFD_MOCK_NO_DIRTY))
		return -EOPNOTSUPP;
	struct mock_domain *self = os->alloc(os->ctx, sizeof(*self));
	if (!self)
		return -ENOMEM;
	self->domain.iommu = device->iommu;
	self->domain.unit = device->unit;
	self->domain.last = iova((UINT64_C(1) << pt_format_width(MOCK_LEVELS)) - 1);
	self->domain.max_rights = IOMMU_READ | IOMMU_WRITE;
	iova_space_init(&self->tlb);
	error = parent ? nest(unit, self, parent, data) : make_table(self, os, known->shape, data);
	if (error) {
		os->free(os->ctx, self, sizeof(*self));
		return error;
	}
	self->pt.domain = &self->domain;
	self->pt.flush = table_flush;
	*out = &self->domain;
	return 0;
}

bool ufd_mock_is_paging(const struct iommu_domain *domain)
{
	return domain->ops == &mock_domain_ops;
}

bool ufd_mock_is_nested(const struct iommu_domain *domain)
{
	return domain->ops == &mock_nested_ops;
}

/* ---- DMA ------------------------------------------------------------------------------ */

/** Set the dirty flag of the leaf at @p at. False: there is none. */
static bool set_flag(struct mock_domain *domain, iova_t at, struct iommu_leaf *leaf)
{
	const struct iommu_os *os = domain->domain.iommu->os;

	if (!find_leaf(domain, at, leaf))
		return false;
	__atomic_fetch_or((uint64_t *)iommu_os_va(os, leaf->entry_pa), MOCK_ENTRY_D,
	                  __ATOMIC_RELAXED);
	return true;
}

bool ufd_mock_domain_set_dirty(struct mock_domain *domain, iova_t at)
{
	struct iommu_leaf leaf, other;

	if (!set_flag(domain, at, &leaf))
		return false;
	/* two half pages that make a whole one are one page to the device */
	if (leaf.bytes == MOCK_PAGE_SIZE) {
		iova_t pair = iova(leaf.iova.value ^ MOCK_PAGE_SIZE);
		if (find_leaf(domain, pair, &other) && other.bytes == leaf.bytes &&
		    other.pa.value == (leaf.pa.value ^ MOCK_PAGE_SIZE) &&
		    (leaf.pa.value & MOCK_PAGE_SIZE) == (leaf.iova.value & MOCK_PAGE_SIZE))
			(void)set_flag(domain, pair, &other);
	}
	return true;
}

/** Note in the table that the page at @p at is written, unless @p entry (NULL: none) of
 *  the TLB says that it is noted. */
static void set_dirty(struct mock_domain *domain, struct mock_tlb_entry *entry, iova_t at)
{
	const struct mock_domain *owner = domain->parent ? domain->parent : domain;

	if (owner->tracking && !(entry && entry->dirty) && ufd_mock_domain_set_dirty(domain, at) &&
	    entry)
		entry->dirty = true;
}

static struct mock_tlb_entry *tlb_find(const struct mock_domain *domain, iova_t at)
{
	return (struct mock_tlb_entry *)iova_space_find(&domain->tlb, at.value);
}

uint16_t ufd_mock_domain_translate(struct mock_unit *unit, struct mock_domain *domain, iova_t at,
                                   uint32_t access, pa_t *out)
{
	struct iommu_leaf leaf;

	unit->stats.translations++;
	if (!domain)
		return MOCK_REASON_BLOCKED;
	if (at.value > last_address(domain))
		return MOCK_REASON_WIDTH;
	struct mock_tlb_entry *entry = tlb_find(domain, at);
	if (entry) {
		unit->stats.hits++;
		leaf.iova = iova(entry->node.first);
		leaf.pa = entry->pa;
		leaf.rights = entry->rights;
	} else {
		if (!find_leaf(domain, at, &leaf))
			return MOCK_REASON_ABSENT;
		tlb_keep(unit, domain, &leaf);
		entry = tlb_find(domain, at);
	}
	if (access & (IOMMU_READ | IOMMU_ATOMIC) && !(leaf.rights & IOMMU_READ))
		return MOCK_REASON_NO_READ;
	if (access & (IOMMU_WRITE | IOMMU_ATOMIC) && !(leaf.rights & IOMMU_WRITE))
		return MOCK_REASON_NO_WRITE;
	if (access & (IOMMU_WRITE | IOMMU_ATOMIC))
		set_dirty(domain, entry, at);
	*out = pa_add(leaf.pa, at.value - leaf.iova.value);
	return 0;
}
