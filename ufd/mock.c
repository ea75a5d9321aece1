/* SPDX-License-Identifier: MIT */
/*
 * The mock IOMMU driver: an IOMMU in software, for machines without one and for
 * tests. It keeps to a driver's contract in all that a caller can see.
 *
 * One unit, "mock0", takes every device of segment UFD_MOCK_SEGMENT. A device is
 * blocked until a domain is attached. Translations that were used are kept in a TLB
 * for each domain that forgets nothing until it is flushed, so a flush that the
 * caller leaves out shows as a translation that should be gone.
 *
 * domain_alloc_user: without flags, and with NEST_PARENT, a table in the mock's
 * format; with a parent and data of type IOMMU_HWPT_DATA_SELFTEST, a nested domain
 * whose stage 1 passes addresses unchanged; anything else is -EOPNOTSUPP.
 */
#include "ufd/mock.h"

#include "iommu/iommu.h"
#include "iommu/iova.h"
#include "iommu/string.h"
#include "ufd/ufd.h"

#define PT_NAME mock_pt
#include "ufd/mock_format.h"
#include "iommu/pt_engine.h"

enum {
	MOCK_LEVELS = 4,
	MOCK_REASON_WIDTH = 1,
	MOCK_REASON_ABSENT = 2,
	MOCK_REASON_NO_READ = 4,
	MOCK_REASON_NO_WRITE = 5,
	MOCK_REASON_BLOCKED = 6,
};

/** The translation of one page, as it was when it was first used. */
struct mock_tlb_entry {
	struct iova_node node; /* first */
	pa_t pa;
	uint32_t rights;
};

struct mock_domain {
	struct iommu_domain domain;
	struct pt pt;               /* not of a nested domain */
	struct mock_domain *parent; /* of a nested domain */
	struct mock_domain *children, *next_child;
	struct iova_space tlb;
	uint32_t iotlb; /* of a nested domain: the user's word */
};

/** What the hardware knows of a device. */
struct mock_device {
	struct mock_device *next;
	struct iommu_device *device;
	struct mock_domain *domain; /* NULL: blocked */
};

struct mock_unit {
	struct iommu_unit unit;
	struct iommu_lock lock; /* all below, TLBs, children, mock_device.domain */
	struct mock_device *devices;
	struct ufd_mock_stats stats;
	bool broken;
};

static struct mock_unit *mock_unit(struct iommu_unit *unit)
{
	return container_of(unit, struct mock_unit, unit);
}

static struct mock_domain *mock_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_domain, domain);
}

static void mock_lock(struct mock_unit *unit)
{
	const struct iommu_os *os = unit->unit.iommu->os;

	os->lock(os->ctx, &unit->lock);
}

static void mock_unlock(struct mock_unit *unit)
{
	const struct iommu_os *os = unit->unit.iommu->os;

	os->unlock(os->ctx, &unit->lock);
}

/** The table that @p domain translates by: a nested domain's is its parent's. */
static struct pt *domain_table(struct mock_domain *domain)
{
	return domain->parent ? &domain->parent->pt : &domain->pt;
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
	return mock_pt_map(&mock_domain(domain)->pt, start, to, bytes, rights, gather);
}

static uint64_t domain_unmap(struct iommu_domain *domain, iova_t start, uint64_t bytes,
                             struct iommu_gather *gather)
{
	return mock_pt_unmap(&mock_domain(domain)->pt, start, bytes, gather);
}

static bool domain_lookup(struct iommu_domain *domain, iova_t at, struct iommu_leaf *out)
{
	return mock_pt_lookup(domain_table(mock_domain(domain)), at, out);
}

static bool domain_visit(struct iommu_domain *domain, iova_t first, iova_t last,
                         bool (*visit)(void *arg, const struct iommu_leaf *leaf), void *arg)
{
	return mock_pt_visit(domain_table(mock_domain(domain)), first, last, visit, arg);
}

static void domain_walk(struct iommu_domain *domain, iova_t at, uint32_t access,
                        struct iommu_walk *walk)
{
	mock_pt_walk(domain_table(mock_domain(domain)), at, access, walk);
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
		tlb_drop(unit, self, gather->first.value, gather->last.value);
		for (struct mock_domain *child = self->children; child; child = child->next_child)
			tlb_drop(unit, child, gather->first.value, gather->last.value);
	}
	mock_unlock(unit);
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
	.unmap = domain_unmap,
	.lookup = domain_lookup,
	.visit = domain_visit,
	.walk = domain_walk,
	.flush = domain_flush,
	.free = domain_free,
};

/** A user's stage 1: nothing is mapped in it from here. */
static const struct iommu_domain_ops mock_nested_ops = {
	.lookup = domain_lookup,
	.visit = domain_visit,
	.walk = domain_walk,
	.flush = domain_flush,
	.free = domain_free,
};

static int nest(struct mock_unit *unit, struct mock_domain *self, struct iommu_domain *parent,
                const struct iommu_user_data *data)
{
	struct iommu_hwpt_selftest stage1;

	int error = iommu_user_data_copy(data, IOMMU_HWPT_DATA_SELFTEST, &stage1, sizeof(stage1),
	                                 sizeof(stage1));
	if (error)
		return error;
	self->domain.ops = &mock_nested_ops;
	self->domain.stage = IOMMU_STAGE_NESTED;
	self->domain.format = "mock stage 1, identity, on a mock parent";
	self->iotlb = stage1.iotlb;
	self->parent = mock_domain(parent);
	mock_lock(unit);
	self->next_child = self->parent->children;
	self->parent->children = self;
	mock_unlock(unit);
	return 0;
}

static int unit_domain_alloc_user(struct iommu_device *device, uint32_t flags,
                                  struct iommu_domain *parent, const struct iommu_user_data *data,
                                  struct iommu_domain **out)
{
	struct mock_unit *unit = mock_unit(device->unit);
	const struct iommu_os *os = device->iommu->os;
	int error;

	if (flags & ~(uint32_t)IOMMU_ALLOC_NEST_PARENT || (parent && flags) || (!parent && data))
		return -EOPNOTSUPP;
	struct mock_domain *self = os->alloc(os->ctx, sizeof(*self));
	if (!self)
		return -ENOMEM;
	self->domain.iommu = device->iommu;
	self->domain.unit = device->unit;
	self->domain.last = iova((UINT64_C(1) << pt_format_width(MOCK_LEVELS)) - 1);
	self->domain.max_rights = IOMMU_READ | IOMMU_WRITE;
	iova_space_init(&self->tlb);
	if (parent) {
		error = nest(unit, self, parent, data);
	} else {
		self->domain.ops = &mock_domain_ops;
		self->domain.stage = IOMMU_STAGE_SECOND;
		self->domain.format = "mock, 4 levels";
		self->domain.page_sizes = PT_FORMAT_PAGE_SIZES;
		error = mock_pt_init(&self->pt, os, MOCK_LEVELS, PT_FORMAT_PAGE_SIZES, 0, true);
		self->pt.domain = &self->domain;
		self->pt.flush = table_flush;
	}
	if (error) {
		os->free(os->ctx, self, sizeof(*self));
		return error;
	}
	*out = &self->domain;
	return 0;
}

/* ---- the unit --------------------------------------------------------------------------- */

static int unit_enable(struct iommu_unit *unit)
{
	(void)unit; /* it blocks from the first moment */
	return 0;
}

static void unit_disable(struct iommu_unit *unit)
{
	(void)unit; /* there is nothing behind it to hand back */
}

static void unit_remove(struct iommu_unit *unit)
{
	const struct iommu_os *os = unit->iommu->os;
	struct mock_unit *self = mock_unit(unit);

	os->lock_destroy(os->ctx, &self->lock);
	os->free(os->ctx, self, sizeof(*self));
}

static enum iommu_claim unit_claims(struct iommu_unit *unit, const struct iommu_device_desc *desc)
{
	return desc->segment == unit->segment ? IOMMU_CLAIM_EXPLICIT : IOMMU_CLAIM_NO;
}

static int unit_device_add(struct iommu_unit *unit, struct iommu_device *device)
{
	const struct iommu_os *os = unit->iommu->os;
	struct mock_unit *self = mock_unit(unit);
	struct mock_device *known = os->alloc(os->ctx, sizeof(*known));

	if (!known)
		return -ENOMEM;
	known->device = device;
	device->driver_data = known;
	mock_lock(self);
	known->next = self->devices;
	self->devices = known;
	mock_unlock(self);
	return 0;
}

static void unit_device_remove(struct iommu_unit *unit, struct iommu_device *device)
{
	const struct iommu_os *os = unit->iommu->os;
	struct mock_unit *self = mock_unit(unit);
	struct mock_device *known = device->driver_data, **link = &self->devices;

	mock_lock(self);
	while (*link != known)
		link = &(*link)->next;
	*link = known->next;
	mock_unlock(self);
	device->driver_data = NULL;
	os->free(os->ctx, known, sizeof(*known));
}

static int unit_attach(struct iommu_device *device, uint32_t pasid, struct iommu_domain *domain,
                       struct iommu_domain *old)
{
	struct mock_unit *unit = mock_unit(device->unit);
	struct mock_device *known = device->driver_data;

	(void)old;
	if (pasid != IOMMU_NO_PASID)
		return -EOPNOTSUPP;
	if (domain && domain->unit != device->unit)
		return -EINVAL;
	mock_lock(unit);
	known->domain = domain ? mock_domain(domain) : NULL;
	mock_unlock(unit);
	return 0;
}

static int unit_hw_info(struct iommu_device *device, uint32_t *type, void *out, size_t capacity)
{
	const struct iommu_test_hw_info info = {.test_reg = IOMMU_HW_INFO_SELFTEST_REGVAL};

	(void)device;
	*type = IOMMU_HW_INFO_TYPE_SELFTEST;
	memcpy(out, &info, capacity < sizeof(info) ? capacity : sizeof(info));
	return sizeof(info);
}

static unsigned unit_poll(struct iommu_unit *unit)
{
	(void)unit; /* faults are reported as they happen */
	return 0;
}

static void unit_walk(struct iommu_unit *unit, iommu_rid_t rid, uint32_t pasid, iova_t at,
                      uint32_t access, struct iommu_walk *walk)
{
	struct mock_unit *self = mock_unit(unit);
	struct mock_domain *domain = NULL;
	struct iommu_walk_step *step = iommu_walk_step(walk, "mock device", rid, pa(0));

	(void)pasid;
	mock_lock(self);
	for (const struct mock_device *known = self->devices; known; known = known->next)
		if (known->device->desc.rid == rid)
			domain = known->domain;
	(void)iommu_snprintf(step->note, sizeof(step->note), "%s",
	                     domain ? domain->domain.format : "blocked: no domain is attached");
	if (domain) {
		mock_pt_walk(domain_table(domain), at, access, walk);
	} else {
		walk->reason = MOCK_REASON_BLOCKED;
		walk->mnemonic = "MOCK.6";
		walk->text = "the device has no domain";
	}
	mock_unlock(self);
}

static void unit_describe(struct iommu_unit *unit, struct iommu_print *to)
{
	iommu_printf(to,
	             "%s: software, segment %#x; 4 levels, 48 bits; pages of 4 KiB, 2 MiB, 1 GiB; "
	             "nests\n",
	             unit->name, unit->segment);
}

static void unit_describe_stats(struct iommu_unit *unit, struct iommu_print *to)
{
	struct ufd_mock_stats stats;

	ufd_mock_stats(unit, &stats);
	iommu_printf(to,
	             "%s: %llu translations, %llu from the TLB; %llu flushes dropped %llu of its "
	             "entries, %llu remain\n",
	             unit->name, (unsigned long long)stats.translations,
	             (unsigned long long)stats.hits, (unsigned long long)stats.flushes,
	             (unsigned long long)stats.flushed, (unsigned long long)stats.cached);
}

static const struct iommu_unit_ops mock_unit_ops = {
	.enable = unit_enable,
	.disable = unit_disable,
	.remove = unit_remove,
	.claims = unit_claims,
	.device_add = unit_device_add,
	.device_remove = unit_device_remove,
	.domain_alloc_user = unit_domain_alloc_user,
	.attach = unit_attach,
	.hw_info = unit_hw_info,
	.poll = unit_poll,
	.walk = unit_walk,
	.describe = unit_describe,
	.describe_stats = unit_describe_stats,
};

static int mock_probe(struct iommu *iommu, const struct iommu_firmware *firmware)
{
	const struct iommu_os *os = iommu->os;

	(void)firmware;
	for (const struct iommu_unit *unit = iommu->units; unit; unit = unit->next)
		if (unit->ops == &mock_unit_ops)
			return -EEXIST; /* one takes the whole segment */
	struct mock_unit *self = os->alloc(os->ctx, sizeof(*self));
	if (!self)
		return -ENOMEM;
	self->unit.ops = &mock_unit_ops;
	self->unit.segment = UFD_MOCK_SEGMENT;
	memcpy(self->unit.name, "mock0", sizeof("mock0"));
	int error = os->lock_init(os->ctx, &self->lock, "mock unit");
	if (error) {
		os->free(os->ctx, self, sizeof(*self));
		return error;
	}
	iommu_unit_add(iommu, &self->unit);
	return 1;
}

const struct iommu_driver ufd_mock_driver = {.name = "mock", .probe = mock_probe};

int ufd_mock_device_add(struct iommu *iommu, iommu_rid_t rid, struct iommu_device **out)
{
	struct iommu_device_desc desc = {
		.segment = UFD_MOCK_SEGMENT,
		.rid = rid,
		.hop_count = 1,
		.hops = {{(uint8_t)RID_BUS(rid), (uint8_t)rid}},
		.group = (uint32_t)UFD_MOCK_SEGMENT << 16 | rid,
	};

	(void)iommu_snprintf(desc.name, sizeof(desc.name), "mock:%02x:%02x.%x", RID_BUS(rid),
	                     RID_DEVICE(rid), RID_FUNCTION(rid));
	return iommu_device_add(iommu, &desc, out);
}

/* ---- DMA ------------------------------------------------------------------------------------ */

/** Translate, by TLB or table. 0, or the reason for a fault. */
static uint16_t translate(struct mock_unit *unit, struct mock_domain *domain, iova_t at,
                          uint32_t access, pa_t *out)
{
	struct iommu_leaf leaf;

	unit->stats.translations++;
	if (!domain)
		return MOCK_REASON_BLOCKED;
	if (!pt_format_in_width(at.value, MOCK_LEVELS))
		return MOCK_REASON_WIDTH;
	const struct mock_tlb_entry *entry =
		(struct mock_tlb_entry *)iova_space_find(&domain->tlb, at.value);
	if (entry) {
		unit->stats.hits++;
		leaf.iova = iova(entry->node.first);
		leaf.pa = entry->pa;
		leaf.rights = entry->rights;
	} else {
		if (!mock_pt_lookup(domain_table(domain), at, &leaf))
			return MOCK_REASON_ABSENT;
		tlb_keep(unit, domain, &leaf);
	}
	if (access & (IOMMU_READ | IOMMU_ATOMIC) && !(leaf.rights & IOMMU_READ))
		return MOCK_REASON_NO_READ;
	if (access & (IOMMU_WRITE | IOMMU_ATOMIC) && !(leaf.rights & IOMMU_WRITE))
		return MOCK_REASON_NO_WRITE;
	*out = pa_add(leaf.pa, at.value - leaf.iova.value);
	return 0;
}

int ufd_mock_translate(struct iommu_device *device, iova_t at, uint32_t access, pa_t *out)
{
	static const struct {
		const char *mnemonic, *text;
	} reasons[] = {
		[MOCK_REASON_WIDTH] = {"MOCK.1", "address above the table's width"},
		[MOCK_REASON_ABSENT] = {"MOCK.2", "entry not valid"},
		[MOCK_REASON_NO_READ] = {"MOCK.4", "no read permission"},
		[MOCK_REASON_NO_WRITE] = {"MOCK.5", "no write permission"},
		[MOCK_REASON_BLOCKED] = {"MOCK.6", "the device has no domain"},
	};
	struct mock_unit *unit = mock_unit(device->unit);
	const struct mock_device *known = device->driver_data;

	mock_lock(unit);
	uint16_t reason = translate(unit, known->domain, at, access, out);
	mock_unlock(unit);
	if (!reason)
		return 0;
	struct iommu_fault fault = {
		.unit = &unit->unit,
		.rid = device->desc.rid,
		.address = iova(at.value & ~(PAGE_SIZE_4K - 1)),
		.access = access,
		.reason = reason,
		.mnemonic = reasons[reason].mnemonic,
		.text = reasons[reason].text,
	};
	iommu_report_fault(device->iommu, &fault);
	return -EFAULT;
}

/* ---- for tests --------------------------------------------------------------------------------- */

void ufd_mock_stats(struct iommu_unit *unit, struct ufd_mock_stats *out)
{
	mock_lock(mock_unit(unit));
	*out = mock_unit(unit)->stats;
	mock_unlock(mock_unit(unit));
}

void ufd_mock_break(struct iommu_unit *unit, bool broken)
{
	mock_lock(mock_unit(unit));
	mock_unit(unit)->broken = broken;
	mock_unlock(mock_unit(unit));
}
