/* SPDX-License-Identifier: MIT */
/*
 * A driver for devices that no IOMMU translates for, so that programs which do their own
 * addressing can use /dev/iommu all the same: what is mapped is pinned, and
 * IOAS_NOIOMMU_GET_PA says where it is. Nothing is translated and nothing blocked: such a
 * device reaches all memory, whatever is attached. An embedder adds the driver only if that
 * is wanted, and last, for its unit takes what the others leave.
 *
 * A domain keeps what was mapped as nodes, one for each run, which are its leaves: of any
 * length, at any 4 KiB, over all 64 bits.
 */
#include "iommu/iova.h"
#include "ufd/ufd.h"

#include "iommu/string.h"

struct noiommu_leaf {
	struct iova_node node; /* first */
	pa_t start;
	uint32_t rights;
};

struct noiommu_domain {
	struct iommu_domain domain;
	struct iommu_lock lock;
	struct iova_space leaves; /* under lock */
};

static struct noiommu_domain *self_of(struct iommu_domain *domain)
{
	return container_of(domain, struct noiommu_domain, domain);
}

static void lock(struct noiommu_domain *self)
{
	self->domain.iommu->os->lock(self->domain.iommu->os->ctx, &self->lock);
}

static void unlock(struct noiommu_domain *self)
{
	self->domain.iommu->os->unlock(self->domain.iommu->os->ctx, &self->lock);
}

/* ---- domains -------------------------------------------------------------------------- */

static int domain_map(struct iommu_domain *domain, iova_t start, pa_t to, uint64_t bytes,
                      uint32_t rights, struct iommu_gather *gather)
{
	struct noiommu_domain *self = self_of(domain);
	const struct iommu_os *os = domain->iommu->os;
	struct noiommu_leaf *leaf = os->alloc(os->ctx, sizeof(*leaf));

	(void)gather; /* nobody has anything to forget */
	if (!leaf)
		return -ENOMEM;
	*leaf = (struct noiommu_leaf){
		.node = {.first = start.value, .last = start.value + (bytes - 1)},
		.start = to,
		.rights = rights,
	};
	lock(self);
	int error = iova_space_insert(&self->leaves, &leaf->node);
	unlock(self);
	if (error)
		os->free(os->ctx, leaf, sizeof(*leaf));
	return error;
}

static uint64_t domain_unmap(struct iommu_domain *domain, iova_t start, uint64_t bytes,
                             struct iommu_gather *gather)
{
	struct noiommu_domain *self = self_of(domain);
	const struct iommu_os *os = domain->iommu->os;
	const uint64_t last = start.value + (bytes - 1);
	uint64_t done = 0;

	(void)gather;
	lock(self);
	struct iova_node *node = iova_space_find_from(&self->leaves, start.value);
	while (node && node->first >= start.value && node->last <= last) {
		struct iova_node *next = iova_space_next(&self->leaves, node);
		done += node->last - node->first + 1;
		iova_space_remove(&self->leaves, node);
		os->free(os->ctx, node, sizeof(struct noiommu_leaf));
		node = next;
	}
	unlock(self);
	return done;
}

static void leaf_describe(const struct iova_node *node, struct iommu_leaf *out)
{
	const struct noiommu_leaf *leaf = (const struct noiommu_leaf *)node;

	*out = (struct iommu_leaf){
		.iova = iova(node->first),
		.pa = leaf->start,
		.bytes = node->last - node->first + 1,
		.rights = leaf->rights,
	};
}

static bool domain_lookup(struct iommu_domain *domain, iova_t at, struct iommu_leaf *out)
{
	struct noiommu_domain *self = self_of(domain);

	lock(self);
	const struct iova_node *node = iova_space_find(&self->leaves, at.value);
	if (node)
		leaf_describe(node, out);
	unlock(self);
	return node;
}

static bool domain_visit(struct iommu_domain *domain, iova_t first, iova_t last,
                         bool (*visit)(void *arg, const struct iommu_leaf *leaf), void *arg)
{
	struct noiommu_domain *self = self_of(domain);
	bool more = true;

	lock(self);
	const struct iova_node *node = iova_space_find_from(&self->leaves, first.value);
	for (; node && node->first <= last.value && more;
	     node = iova_space_next(&self->leaves, node)) {
		struct iommu_leaf leaf;
		leaf_describe(node, &leaf);
		more = visit(arg, &leaf);
	}
	unlock(self);
	return more;
}

/** What a device does with an address: nothing. */
static void walk_nothing(iova_t at, struct iommu_walk *walk)
{
	struct iommu_walk_step *step = iommu_walk_step(walk, "device", 0, pa(0));

	(void)iommu_snprintf(step->note, sizeof(step->note), "no IOMMU: nothing is translated");
	walk->translated = true;
	walk->result = pa(at.value);
	walk->page_bytes = PAGE_SIZE_4K;
	walk->rights = IOMMU_READ | IOMMU_WRITE;
}

static void domain_walk(struct iommu_domain *domain, iova_t at, uint32_t access,
                        struct iommu_walk *walk)
{
	(void)domain, (void)access;
	walk_nothing(at, walk);
}

static void domain_free(struct iommu_domain *domain)
{
	struct noiommu_domain *self = self_of(domain);
	const struct iommu_os *os = domain->iommu->os;

	while (self->leaves.root) {
		struct iova_node *node = self->leaves.root;
		iova_space_remove(&self->leaves, node);
		os->free(os->ctx, node, sizeof(struct noiommu_leaf));
	}
	os->lock_destroy(os->ctx, &self->lock);
	os->free(os->ctx, self, sizeof(*self));
}

static const struct iommu_domain_ops noiommu_domain_ops = {
	.map = domain_map,
	.unmap = domain_unmap,
	.lookup = domain_lookup,
	.visit = domain_visit,
	.walk = domain_walk,
	.free = domain_free,
};

static int unit_domain_alloc_user(struct iommu_device *device, uint32_t flags,
                                  struct iommu_domain *parent, const struct iommu_user_data *data,
                                  struct iommu_domain **out)
{
	const struct iommu_os *os = device->iommu->os;

	if (flags || parent || data)
		return -EOPNOTSUPP;
	struct noiommu_domain *self = os->alloc(os->ctx, sizeof(*self));
	if (!self)
		return -ENOMEM;
	int error = os->lock_init(os->ctx, &self->lock, "no-IOMMU domain");
	if (error) {
		os->free(os->ctx, self, sizeof(*self));
		return error;
	}
	iova_space_init(&self->leaves);
	self->domain = (struct iommu_domain){
		.iommu = device->iommu,
		.unit = device->unit,
		.ops = &noiommu_domain_ops,
		.stage = IOMMU_STAGE_SECOND,
		.format = "no IOMMU: a list of what is mapped",
		.page_sizes = ~(PAGE_SIZE_4K - 1),
		.last = iova(UINT64_MAX),
		.max_rights = IOMMU_READ | IOMMU_WRITE,
	};
	*out = &self->domain;
	return 0;
}

/* ---- the unit --------------------------------------------------------------------------- */

static int unit_enable(struct iommu_unit *unit)
{
	(void)unit;
	return 0;
}

static void unit_disable(struct iommu_unit *unit)
{
	(void)unit;
}

static void unit_remove(struct iommu_unit *unit)
{
	const struct iommu_os *os = unit->iommu->os;

	os->free(os->ctx, unit, sizeof(*unit));
}

static enum iommu_claim unit_claims(struct iommu_unit *unit, const struct iommu_device_desc *desc)
{
	(void)unit, (void)desc;
	return IOMMU_CLAIM_REST;
}

static int unit_device_add(struct iommu_unit *unit, struct iommu_device *device)
{
	iommu_log(
		unit->iommu->os, IOMMU_LOG_WARNING,
		"%s: no IOMMU translates for it: it reaches all memory, whatever it is attached to",
		device->desc.name);
	return 0;
}

static void unit_device_remove(struct iommu_unit *unit, struct iommu_device *device)
{
	(void)unit, (void)device;
}

static int unit_attach(struct iommu_device *device, uint32_t pasid, struct iommu_domain *domain,
                       struct iommu_domain *old)
{
	(void)device, (void)domain, (void)old;
	return pasid == IOMMU_NO_PASID ? 0 : -EINVAL;
}

static unsigned unit_poll(struct iommu_unit *unit)
{
	(void)unit;
	return 0;
}

static void unit_walk(struct iommu_unit *unit, iommu_rid_t rid, uint32_t pasid, iova_t at,
                      uint32_t access, struct iommu_walk *walk)
{
	(void)unit, (void)rid, (void)pasid, (void)access;
	walk_nothing(at, walk);
}

static void unit_describe(struct iommu_unit *unit, struct iommu_print *to)
{
	iommu_printf(to, "%s: no hardware; its devices reach all memory\n", unit->name);
}

static const struct iommu_unit_ops noiommu_unit_ops = {
	.enable = unit_enable,
	.disable = unit_disable,
	.remove = unit_remove,
	.claims = unit_claims,
	.device_add = unit_device_add,
	.device_remove = unit_device_remove,
	.domain_alloc_user = unit_domain_alloc_user,
	.attach = unit_attach,
	.poll = unit_poll,
	.walk = unit_walk,
	.describe = unit_describe,
	.describe_stats = unit_describe,
};

static int noiommu_probe(struct iommu *iommu, const struct iommu_firmware *firmware)
{
	const struct iommu_os *os = iommu->os;

	(void)firmware;
	for (const struct iommu_unit *unit = iommu->units; unit; unit = unit->next)
		if (unit->ops == &noiommu_unit_ops)
			return -EEXIST; /* one takes all */
	struct iommu_unit *unit = os->alloc(os->ctx, sizeof(*unit));
	if (!unit)
		return -ENOMEM;
	unit->ops = &noiommu_unit_ops;
	memcpy(unit->name, "noiommu", sizeof("noiommu"));
	iommu_unit_add(iommu, unit);
	return 1;
}

const struct iommu_driver ufd_noiommu_driver = {.name = "noiommu", .probe = noiommu_probe};
