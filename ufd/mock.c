/* SPDX-License-Identifier: MIT */
/*
 * The mock IOMMU driver: an IOMMU in software, for machines without one and for
 * tests. It keeps to a driver's contract in all that a caller can see.
 *
 * One unit, "mock0", takes every device of segment UFD_MOCK_SEGMENT. A device, and each
 * of its 2^20 PASIDs, is blocked until a domain is attached. Page requests of a device
 * are answered into a word of its own, for tests to look at.
 */
#include "ufd/mock_private.h"

#include "iommu/string.h"

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
	for (unsigned i = 0; i < UFD_MOCK_DEVICE_CACHE; i++)
		known->cache[i] = IOMMU_TEST_DEV_CACHE_DEFAULT;
	device->driver_data = known;
	device->pasid_bits = device->desc.pasid_bits < UFD_MOCK_PASID_BITS ? device->desc.pasid_bits
	                                                                   : UFD_MOCK_PASID_BITS;
	device->page_requests = device->desc.page_requests;
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

struct mock_domain *ufd_mock_device_domain(const struct mock_device *device, uint32_t pasid)
{
	if (pasid == IOMMU_NO_PASID)
		return device->domain;
	const struct mock_pasid *entry = device->pasids;
	while (entry && entry->pasid != pasid)
		entry = entry->next;
	return entry ? entry->domain : NULL;
}

/** Give one PASID @p domain. The unit's lock is held. @p fresh is room for a new entry;
 *  what is left over is returned. */
static struct mock_pasid *attach_pasid(struct mock_device *known, uint32_t pasid,
                                       struct mock_domain *domain, struct mock_pasid *fresh)
{
	struct mock_pasid **link = &known->pasids, *entry;

	while (*link && (*link)->pasid != pasid)
		link = &(*link)->next;
	entry = *link;
	if (!domain) {
		if (entry)
			*link = entry->next;
		return entry;
	}
	if (entry) {
		entry->domain = domain;
		return fresh;
	}
	assume(fresh);
	*fresh = (struct mock_pasid){.pasid = pasid, .domain = domain};
	*link = fresh;
	return NULL;
}

static int unit_attach(struct iommu_device *device, uint32_t pasid, struct iommu_domain *domain,
                       struct iommu_domain *old)
{
	const struct iommu_os *os = device->iommu->os;
	struct mock_unit *unit = mock_unit(device->unit);
	struct mock_device *known = device->driver_data;
	struct mock_domain *new = domain ? mock_domain(domain) : NULL;
	struct mock_pasid *entry = NULL;

	if (domain && domain->unit != device->unit)
		return -EINVAL;
	if (domain && domain->flags & IOMMU_ALLOC_DIRTY_TRACKING &&
	    known->shape & UFD_MOCK_NO_DIRTY)
		return -EINVAL;
	if (domain && old && pasid == IOMMU_TEST_PASID_RESERVED && known->shape & UFD_MOCK_SELFTEST)
		return -ENOMEM; /* so that a test sees a replace fail */
	mock_lock(unit);
	bool known_to_viommu = !domain || ufd_mock_viommu_knows(domain->viommu, device);
	mock_unlock(unit);
	if (!known_to_viommu)
		return -ENOENT;
	if (pasid == IOMMU_NO_PASID) {
		mock_lock(unit);
		known->domain = new;
		mock_unlock(unit);
		return 0;
	}
	if (pasid >> UFD_MOCK_PASID_BITS)
		return -EINVAL;
	if (domain) {
		entry = os->alloc(os->ctx, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
	}
	mock_lock(unit);
	entry = attach_pasid(known, pasid, new, entry);
	mock_unlock(unit);
	os->free(os->ctx, entry, sizeof(*entry));
	return 0;
}

static int unit_page_respond(struct iommu_device *device, const struct iommu_page_request *request,
                             enum iommu_page_answer answer)
{
	struct mock_unit *unit = mock_unit(device->unit);
	struct mock_device *known = device->driver_data;
	int error = 0;

	mock_lock(unit);
	if (unit->broken) {
		error = -ETIMEDOUT;
	} else {
		known->answer.count++;
		known->answer.pasid = request->has_pasid ? request->pasid : IOMMU_NO_PASID;
		known->answer.group = request->group;
		known->answer.answer = answer;
	}
	mock_unlock(unit);
	return error;
}

static bool unit_can_track_dirty(struct iommu_device *device)
{
	const struct mock_device *known = device->driver_data;

	return !(known->shape & UFD_MOCK_NO_DIRTY);
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

	mock_lock(self);
	for (const struct mock_device *known = self->devices; known; known = known->next)
		if (known->device->desc.rid == rid)
			domain = ufd_mock_device_domain(known, pasid);
	(void)iommu_snprintf(step->note, sizeof(step->note), "%s",
	                     domain ? domain->domain.format : "blocked: no domain is attached");
	if (domain) {
		ufd_mock_domain_walk(domain, at, access, walk);
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
	             "nests, PASIDs of 20 bits, page requests, dirty tracking\n",
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
	.domain_alloc_user = ufd_mock_domain_alloc_user,
	.attach = unit_attach,
	.page_respond = unit_page_respond,
	.hw_info = unit_hw_info,
	.can_track_dirty = unit_can_track_dirty,
	.user_pasid_tables = true,
	.viommu_alloc = ufd_mock_viommu_alloc,
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

struct iommu_unit *ufd_mock_unit(struct iommu *iommu)
{
	struct iommu_unit *unit = iommu->units;

	while (unit && unit->ops != &mock_unit_ops)
		unit = unit->next;
	return unit;
}

bool ufd_mock_is_device(const struct iommu_device *device)
{
	return device->unit && device->unit->ops == &mock_unit_ops;
}

int ufd_mock_device_add(struct iommu *iommu, iommu_rid_t rid, struct iommu_device **out)
{
	return ufd_mock_device_add_shape(iommu, rid, 0, out);
}

int ufd_mock_device_add_shape(struct iommu *iommu, iommu_rid_t rid, uint32_t shape,
                              struct iommu_device **out)
{
	struct iommu_device_desc desc = {
		.segment = UFD_MOCK_SEGMENT,
		.rid = rid,
		.hop_count = 1,
		.hops = {{(uint8_t)RID_BUS(rid), (uint8_t)rid}},
		.group = (uint32_t)UFD_MOCK_SEGMENT << 16 | rid,
		.ats_queue_depth = 32, /* page requests stand on ATS */
		.pasid_bits = shape & UFD_MOCK_NO_PASID ? 0 : UFD_MOCK_PASID_BITS,
		.page_requests = true,
	};

	(void)iommu_snprintf(desc.name, sizeof(desc.name), "mock:%02x:%02x.%x", RID_BUS(rid),
	                     RID_DEVICE(rid), RID_FUNCTION(rid));
	int error = iommu_device_add(iommu, &desc, out);
	if (!error && ufd_mock_is_device(*out))
		((struct mock_device *)(*out)->driver_data)->shape = shape;
	return error;
}
