/* SPDX-License-Identifier: MIT */
/*
 * A driver of the core's test: units that claim devices, fail when told to, and keep
 * books of what the core asked of them; and a bench of three units and four devices.
 */
#ifndef TESTS_UNIT_CORE_FAKE_H
#define TESTS_UNIT_CORE_FAKE_H

#include <string.h>

#include "iommu/iommu.h"
#include "tests/ktap.h"
#include "tests/test_os.h"

enum { MAX_RANGES = 32 };

struct fake_unit {
	struct iommu_unit unit;
	enum iommu_claim claim; /* for devices on its segment */
	uint8_t explicit_bus;   /* these are claimed explicitly; 0: none */
	int enable_error;
	int attach_error; /* for the next attachment of attach_error_rid */
	iommu_rid_t attach_error_rid;
	bool in_force; /* between enable and disable */
	unsigned enables, disables, devices, attaches, polls;
	bool direct_region; /* reserve one for every device */
	enum iommu_reserved_kind region_kind;
	enum iommu_stage wrong_stage; /* answered instead of what was asked for */
	bool answer_wrong;
};

struct fake_domain {
	struct iommu_domain domain;
	struct {
		uint64_t first, bytes, memory;
		uint32_t rights;
	} range[MAX_RANGES];
	unsigned ranges;
	int map_error; /* of the map number map_error_at from now, 1: the next */
	unsigned map_error_at;
	int flush_error;
	unsigned flushes;
};

/** What one test works with. */
struct bench {
	struct test_os test;
	struct iommu iommu;
	struct fake_unit *unit[3];
	struct iommu_device *device[4];
	struct iommu_options options;
	unsigned seen; /* faults, by on_fault */
};

static struct fake_unit *fake_of(struct iommu_unit *unit)
{
	return container_of(unit, struct fake_unit, unit);
}

static struct fake_domain *fake_domain_of(struct iommu_domain *domain)
{
	return container_of(domain, struct fake_domain, domain);
}

/* ---- the fake driver ------------------------------------------------------------ */

static int fake_enable(struct iommu_unit *unit)
{
	struct fake_unit *fake = fake_of(unit);

	KTAP_CHECK(!fake->in_force);
	fake->enables++;
	if (fake->enable_error)
		return fake->enable_error;
	fake->in_force = true;
	return 0;
}

static void fake_disable(struct iommu_unit *unit)
{
	struct fake_unit *fake = fake_of(unit);

	KTAP_CHECK(fake->in_force);
	fake->in_force = false;
	fake->disables++;
}

static void fake_remove(struct iommu_unit *unit)
{
	const struct iommu_os *os = iommu_os(unit->iommu);

	KTAP_CHECK(!fake_of(unit)->in_force);
	KTAP_EQUAL(fake_of(unit)->devices, 0);
	os->free(os->ctx, fake_of(unit), sizeof(struct fake_unit));
}

static enum iommu_claim fake_claims(struct iommu_unit *unit, const struct iommu_device_desc *desc)
{
	struct fake_unit *fake = fake_of(unit);

	if (desc->segment != unit->segment)
		return IOMMU_CLAIM_NO;
	if (fake->explicit_bus && RID_BUS(desc->rid) == fake->explicit_bus)
		return IOMMU_CLAIM_EXPLICIT;
	return fake->claim;
}

static int fake_device_add(struct iommu_unit *unit, struct iommu_device *device)
{
	struct fake_unit *fake = fake_of(unit);
	const struct iommu_os *os = iommu_os(unit->iommu);

	if (fake->direct_region) {
		int error = iommu_device_reserve(device, iova(0x7000000), iova(0x7ffffff),
		                                 fake->region_kind);
		if (error)
			return error;
	}
	device->driver_data = os->alloc(os->ctx, 32);
	if (!device->driver_data)
		return -ENOMEM;
	fake->devices++;
	return 0;
}

static void fake_device_remove(struct iommu_unit *unit, struct iommu_device *device)
{
	const struct iommu_os *os = iommu_os(unit->iommu);

	KTAP_CHECK(device->domain == NULL);
	os->free(os->ctx, device->driver_data, 32);
	fake_of(unit)->devices--;
}

static int fake_map(struct iommu_domain *domain, iova_t start, pa_t to, uint64_t bytes,
                    uint32_t rights, struct iommu_gather *gather)
{
	struct fake_domain *fake = fake_domain_of(domain);

	(void)gather;
	if (fake->map_error_at && --fake->map_error_at == 0)
		return fake->map_error;
	if (fake->ranges == MAX_RANGES)
		return -ENOMEM;
	fake->range[fake->ranges].first = start.value;
	fake->range[fake->ranges].bytes = bytes;
	fake->range[fake->ranges].memory = to.value;
	fake->range[fake->ranges++].rights = rights;
	return 0;
}

static uint64_t fake_unmap(struct iommu_domain *domain, iova_t start, uint64_t bytes,
                           struct iommu_gather *gather)
{
	struct fake_domain *fake = fake_domain_of(domain);
	uint64_t unmapped = 0;
	unsigned kept = 0;

	for (unsigned i = 0; i < fake->ranges; i++) {
		if (fake->range[i].first >= start.value &&
		    fake->range[i].first < start.value + bytes)
			unmapped += fake->range[i].bytes;
		else
			fake->range[kept++] = fake->range[i];
	}
	fake->ranges = kept;
	if (unmapped)
		iommu_gather_add(gather, start, iova(start.value + bytes - 1), false);
	return unmapped;
}

static int fake_flush(struct iommu_domain *domain, struct iommu_gather *gather)
{
	struct fake_domain *fake = fake_domain_of(domain);

	KTAP_CHECK(!iommu_gather_empty(gather) || gather->write_buffer);
	fake->flushes++;
	return fake->flush_error;
}

static void fake_free(struct iommu_domain *domain)
{
	const struct iommu_os *os = iommu_os(domain->iommu);

	os->free(os->ctx, fake_domain_of(domain), sizeof(struct fake_domain));
}

static const struct iommu_domain_ops fake_domain_ops = {
	.map = fake_map, .unmap = fake_unmap, .flush = fake_flush, .free = fake_free};
static const struct iommu_domain_ops fake_plain_ops = {.free = fake_free};

static int fake_domain_new(struct iommu_device *device, enum iommu_stage stage,
                           struct iommu_domain **out)
{
	const struct iommu_os *os = iommu_os(device->iommu);
	struct fake_domain *fake = os->alloc(os->ctx, sizeof(*fake));

	if (!fake)
		return -ENOMEM;
	bool paging = stage == IOMMU_STAGE_FIRST || stage == IOMMU_STAGE_SECOND;
	fake->domain.iommu = device->iommu;
	fake->domain.unit = device->unit;
	fake->domain.ops = paging ? &fake_domain_ops : &fake_plain_ops;
	fake->domain.stage = stage;
	fake->domain.format = "fake";
	fake->domain.page_sizes = PAGE_SIZE_4K | PAGE_SIZE_2M;
	fake->domain.first = iova(0x10000);
	fake->domain.last = iova(0xffffffffff);
	*out = &fake->domain;
	return 0;
}

static int fake_alloc_user(struct iommu_device *device, uint32_t flags, struct iommu_domain *parent,
                           const struct iommu_user_data *data, struct iommu_domain **out)
{
	struct fake_unit *fake = fake_of(device->unit);
	enum iommu_stage stage = parent                            ? IOMMU_STAGE_NESTED
	                         : flags & IOMMU_ALLOC_NEST_PARENT ? IOMMU_STAGE_SECOND
	                                                           : IOMMU_STAGE_FIRST;

	(void)data;
	if (flags & IOMMU_ALLOC_FAULT_ID_VALID)
		return -EOPNOTSUPP;
	int error = fake_domain_new(device, fake->answer_wrong ? fake->wrong_stage : stage, out);
	if (!error && flags & IOMMU_ALLOC_NEST_PARENT)
		(*out)->not_nestable = iommu_options(device->iommu)->nest_any;
	return error;
}

static int fake_alloc_identity(struct iommu_device *device, struct iommu_domain **out)
{
	return fake_domain_new(device, IOMMU_STAGE_IDENTITY, out);
}

static int fake_attach(struct iommu_device *device, uint32_t pasid, struct iommu_domain *domain,
                       struct iommu_domain *old)
{
	struct fake_unit *fake = fake_of(device->unit);

	KTAP_EQUAL(pasid, IOMMU_NO_PASID);
	KTAP_CHECK(old == device->domain && domain != old);
	fake->attaches++;
	if (fake->attach_error && device->desc.rid == fake->attach_error_rid) {
		int error = fake->attach_error;
		fake->attach_error = 0;
		return error;
	}
	return 0;
}

static unsigned fake_poll(struct iommu_unit *unit)
{
	struct iommu_fault fault = {.unit = unit,
	                            .rid = RID(1, 0, 0),
	                            .address = iova(0x5000),
	                            .access = IOMMU_WRITE,
	                            .reason = 5,
	                            .mnemonic = "LGN.2",
	                            .text = "no write permission"};

	fake_of(unit)->polls++;
	iommu_report_fault(unit->iommu, &fault);
	return 1;
}

static void fake_walk(struct iommu_unit *unit, iommu_rid_t rid, uint32_t pasid, iova_t at,
                      uint32_t access, struct iommu_walk *walk)
{
	struct iommu_walk_step *step = iommu_walk_step(walk, "root", RID_BUS(rid), pa(0x1000));

	(void)unit;
	(void)access;
	step->entry[0] = at.value;
	iommu_snprintf(step->note, sizeof(step->note), "not present for PASID %u", pasid);
	walk->reason = 1;
	walk->mnemonic = "LRT.2";
	walk->text = "root entry not present";
}

static const struct iommu_unit_ops fake_ops = {
	.enable = fake_enable,
	.disable = fake_disable,
	.remove = fake_remove,
	.claims = fake_claims,
	.device_add = fake_device_add,
	.device_remove = fake_device_remove,
	.domain_alloc_user = fake_alloc_user,
	.domain_alloc_identity = fake_alloc_identity,
	.attach = fake_attach,
	.poll = fake_poll,
	.walk = fake_walk,
};
/* another driver, for all that the core can tell */
static struct iommu_unit_ops other_ops;

/** Three units: two of one driver on segment 0, one of another on segment 1. */
static int fake_probe(struct iommu *iommu, const struct iommu_firmware *firmware)
{
	struct bench *bench = container_of(iommu, struct bench, iommu);
	const struct iommu_os *os = iommu_os(iommu);

	KTAP_CHECK(firmware == NULL);
	other_ops = fake_ops;
	other_ops.domain_alloc_identity = NULL;
	for (unsigned i = 0; i < 3; i++) {
		bench->unit[i] = os->alloc(os->ctx, sizeof(struct fake_unit));
		if (!bench->unit[i]) {
			while (i--)
				os->free(os->ctx, bench->unit[i], sizeof(struct fake_unit));
			return -ENOMEM;
		}
	}
	for (unsigned i = 0; i < 3; i++) {
		struct fake_unit *fake = bench->unit[i];
		fake->unit.ops = i < 2 ? &fake_ops : &other_ops;
		fake->unit.segment = i == 2;
		fake->claim = i == 1 ? IOMMU_CLAIM_NO : IOMMU_CLAIM_REST;
		fake->explicit_bus = i == 1 ? 2 : 0;
		iommu_snprintf(fake->unit.name, sizeof(fake->unit.name), "fake%u", i);
		iommu_unit_add(iommu, &fake->unit);
	}
	return 3;
}

static const struct iommu_driver fake_driver = {"fake", fake_probe};

/* ---- set-up ----------------------------------------------------------------------- */

static void on_fault(void *ctx, const struct iommu_fault *fault)
{
	struct bench *bench = ctx;
	struct iommu_fault again;

	/* locks are free: the embedder may look things up */
	KTAP_CHECK(iommu_fault_get(&bench->iommu, fault->sequence, &again));
	iommu_device_find(&bench->iommu, 0, fault->rid);
	bench->seen++;
}

static struct iommu_device_desc desc_of(uint16_t segment, iommu_rid_t rid, uint32_t group)
{
	struct iommu_device_desc desc = {.segment = segment, .rid = rid, .group = group};

	iommu_snprintf(desc.name, sizeof(desc.name), "%02x:%02x.%x", RID_BUS(rid), RID_DEVICE(rid),
	               RID_FUNCTION(rid));
	return desc;
}

/** Devices 0 and 1: group 7, behind units 0 and 1. 2: group 8, unit 0. 3: group 9, the
 *  other driver's. */
static int bench_devices(struct bench *bench)
{
	static const struct {
		uint16_t segment;
		iommu_rid_t rid;
		uint32_t group;
	} list[] = {{0, RID(1, 0, 0), 7},
	            {0, RID(2, 0, 0), 7},
	            {0, RID(1, 1, 0), 8},
	            {1, RID(1, 0, 0), 9}};

	for (unsigned i = 0; i < 4; i++) {
		struct iommu_device_desc desc =
			desc_of(list[i].segment, list[i].rid, list[i].group);
		int error = iommu_device_add(&bench->iommu, &desc, &bench->device[i]);
		if (error)
			return error;
	}
	return 0;
}

static void bench_init(struct bench *bench)
{
	memset(bench, 0, sizeof(*bench));
	test_os_init(&bench->test);
	bench->options.on_fault = on_fault;
	bench->options.ctx = bench;
	KTAP_EQUAL(iommu_init(&bench->iommu, &bench->test.os, &bench->options), 0);
	KTAP_EQUAL(iommu_probe(&bench->iommu, &fake_driver, NULL), 3);
	KTAP_EQUAL(bench_devices(bench), 0);
}

static void bench_exit(struct bench *bench)
{
	iommu_exit(&bench->iommu);
	KTAP_CHECK(test_os_is_clean(&bench->test));
}

static struct iommu_domain *domain_new(struct iommu_device *device, uint32_t flags)
{
	struct iommu_domain *domain = NULL;

	KTAP_EQUAL(iommu_domain_alloc_user(device, flags, NULL, NULL, &domain), 0);
	return domain;
}

#endif
