/* SPDX-License-Identifier: MIT */
/*
 * PASIDs on the reference model: which a device can use, directories of every size, tables
 * that grow, flushes that reach every PASID, and what happens to PASIDs when a group is
 * given back, a device leaves, or a unit is switched off and on.
 */
#include "tests/unit/vtd_model.h"
#include "vtd/context.h"
#include "vtd/pasid.h"

#define AT   UINT64_C(0x2345678000)
#define HOST UINT64_C(0x30000000)

static struct vm vm;

/** A domain that sends AT to @p to. */
static struct iommu_domain *to(struct iommu_device *device, uint32_t flags, uint64_t host)
{
	struct iommu_domain *domain = vm_domain(device, flags);

	vm_map(domain, AT, host, 0x1000);
	return domain;
}

/* ---- which PASIDs ------------------------------------------------------------------- */

static void usable_pasids(void)
{
	static const struct {
		const char *preset;
		enum iommu_mode mode;
		uint64_t ecap_off, ecap_on;
		unsigned device, usable;
	} rows[] = {
		{"nesting", IOMMU_MODE_SCALABLE, 0, 0, 20, 20},
		{"nesting", IOMMU_MODE_SCALABLE, 0, 0, 8, 8},
		{"nesting", IOMMU_MODE_SCALABLE, 0, 0, 0, 0},
		{"nesting", IOMMU_MODE_SCALABLE, UINT64_C(0x1f) << 35, UINT64_C(11) << 35, 20, 12},
		{"nesting", IOMMU_MODE_LEGACY, 0, 0, 20, 0},
		{"sapphire-rapids", IOMMU_MODE_SCALABLE, 0, 0, 20, 0}, /* ECAP.PASID is 0 */
		{"qemu-7.2", IOMMU_MODE_AUTO, 0, 0, 20, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct model_config config = *model_preset_find(rows[i].preset);
		config.ecap = (config.ecap & ~rows[i].ecap_off) | rows[i].ecap_on;
		vm_prepare(&vm, &config, rows[i].mode);
		KTAP_EQUAL(iommu_enable(&vm.iommu), 0);
		struct iommu_device *device = vm_device(&vm, 3, rows[i].device);
		KTAP_EQUAL(device->pasid_bits, rows[i].usable);
		struct iommu_domain *domain = vm_domain(device, 0);
		uint32_t end = 1u << rows[i].usable;
		int none = rows[i].usable ? -EINVAL : -EOPNOTSUPP;
		KTAP_EQUAL(iommu_attach_pasid(device, IOMMU_NO_PASID, domain), none);
		KTAP_EQUAL(iommu_attach_pasid(device, end, domain), none);
		KTAP_EQUAL(iommu_attach_pasid(device, UINT32_MAX, domain), none);
		KTAP_EQUAL(iommu_attach_pasid(device, end - 1, domain), rows[i].usable ? 0 : none);
		KTAP_EQUAL(domain->attachments, rows[i].usable != 0);
		iommu_detach_pasid(device, end - 1);
		iommu_detach_pasid(device, 1); /* nothing happens */
		KTAP_EQUAL(domain->attachments, 0);
		KTAP_EQUAL(iommu_domain_free(domain), 0);
		/* a domain for PASIDs exists where PASIDs do */
		bool pasids = vm.iommu.units->mode == IOMMU_MODE_SCALABLE && config.ecap >> 40 & 1;
		int err = iommu_domain_alloc_user(device, IOMMU_ALLOC_PASID, NULL, NULL, &domain);
		KTAP_EQUAL(err, pasids ? 0 : -EOPNOTSUPP);
		if (!err)
			KTAP_EQUAL(iommu_domain_free(domain), 0);
		vm_end(&vm);
		if (ktap_failed)
			printf("# row %zu\n", i);
	}
}

static void groups(void)
{
	struct iommu_device_desc desc = {.name = "00:05.0",
	                                 .rid = RID(0, 5, 0),
	                                 .hop_count = 1,
	                                 .hops = {{0, 0x28}},
	                                 .group = 3,
	                                 .pasid_bits = 20};
	struct iommu_device *device, *second;

	vm_start(&vm, "nesting", IOMMU_MODE_SCALABLE);
	device = vm_device(&vm, 3, 20);
	struct iommu_domain *domain = to(device, 0, HOST);
	KTAP_EQUAL(iommu_attach_pasid(device, 6, domain), 0);
	/* nobody joins a device that uses PASIDs */
	KTAP_EQUAL(iommu_device_add(&vm.iommu, &desc, &second), -EBUSY);
	KTAP_CHECK(strstr(vm.test.last_log, "uses PASIDs") != NULL);
	iommu_detach_pasid(device, 6);
	KTAP_EQUAL(iommu_device_add(&vm.iommu, &desc, &second), 0);
	KTAP_EQUAL(iommu_attach_pasid(device, 6, domain), -EINVAL);
	KTAP_EQUAL(iommu_attach_pasid(second, 6, domain), -EINVAL);
	iommu_device_remove(second);
	KTAP_EQUAL(iommu_attach_pasid(device, 6, domain), 0);
	KTAP_EQUAL(vm_dma(&vm, device, 6, AT), HOST);
	iommu_detach_pasid(device, 6);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	vm_end(&vm);
}

struct switches {
	bool refuses, ats, pasid, page_requests;
	unsigned calls;
};

static int capabilities_set(void *ctx, bool ats, bool pasid, bool page_requests)
{
	struct switches *switches = ctx;

	switches->calls++;
	if (switches->refuses && pasid)
		return -EIO;
	switches->ats = ats;
	switches->pasid = pasid;
	switches->page_requests = page_requests;
	return 0;
}

/** The device's PASID capability is on while it is behind a unit with PASIDs, and off when it
 *  leaves; if it cannot be switched on, there are no PASIDs. */
static void capability(void)
{
	for (unsigned refuses = 0; refuses < 2; refuses++) {
		struct switches switches = {.refuses = refuses};
		struct iommu_device_desc desc = {.name = "00:03.0",
		                                 .rid = RID(0, 3, 0),
		                                 .hop_count = 1,
		                                 .hops = {{0, 0x18}},
		                                 .pasid_bits = 10,
		                                 .capabilities_set = capabilities_set,
		                                 .capabilities_ctx = &switches};
		struct iommu_device *device;
		vm_start(&vm, "nesting", IOMMU_MODE_SCALABLE);
		KTAP_EQUAL(iommu_device_add(&vm.iommu, &desc, &device), 0);
		KTAP_EQUAL(device->pasid_bits, refuses ? 0 : 10);
		KTAP_EQUAL(switches.pasid, !refuses);
		struct iommu_domain *domain = to(device, 0, HOST);
		KTAP_EQUAL(iommu_attach_pasid(device, 6, domain), refuses ? -EOPNOTSUPP : 0);
		KTAP_EQUAL(vm_dma(&vm, device, 6, AT), refuses ? VM_FAILED - 0x45 : (int64_t)HOST);
		iommu_device_remove(device);
		KTAP_CHECK(!switches.pasid && switches.calls);
		/* not switched on by an addition that fails */
		for (long n = 1; !refuses; n++) {
			vm.test.fail_at = vm.test.allocations + n;
			int err = iommu_device_add(&vm.iommu, &desc, &device);
			vm.test.fail_at = 0;
			KTAP_EQUAL(switches.pasid, !err);
			if (!err)
				break;
		}
		KTAP_EQUAL(iommu_domain_free(domain), 0);
		vm_end(&vm);
	}
}

/* ---- directories and tables ------------------------------------------------------------ */

static void directories(void)
{
	for (unsigned noncoherent = 0; noncoherent < 2; noncoherent++) {
		for (unsigned bits = 1; bits <= 20; bits++) {
			vm_start(&vm, noncoherent ? "nesting-noncoherent" : "nesting",
			         IOMMU_MODE_SCALABLE);
			long pages = vm.test.pages;
			struct iommu_device *device = vm_device(&vm, 3, bits);
			/* context table, directory, first PASID table */
			long directory = bits > 15 ? 1L << (bits - 15) : 1;
			KTAP_EQUAL(vm.test.pages - pages, 2 + directory);
			struct iommu_domain *a = to(device, 0, HOST);
			struct iommu_domain *z = to(device, 0, HOST + 0x1000);
			pages = vm.test.pages;
			uint32_t last = (1u << bits) - 1;
			KTAP_EQUAL(iommu_attach_pasid(device, last, z), 0);
			KTAP_EQUAL(vm.test.pages - pages, bits > 6);
			KTAP_EQUAL(vm_dma(&vm, device, (int)last, AT), HOST + 0x1000);
			KTAP_EQUAL(iommu_attach(device->group, a), 0);
			KTAP_EQUAL(vm_dma(&vm, device, VM_NO_PASID, AT), HOST);
			KTAP_EQUAL(vm_dma(&vm, device, (int)last, AT), HOST + 0x1000);
			/* one beyond: not there */
			KTAP_EQUAL(vm_dma(&vm, device, (int)last + 1, AT),
			           VM_FAILED - (bits >= 20  ? 0x89
			                        : bits > 12 ? 0x46
			                        : bits < 6  ? 0x59
			                                    : 0x51));
			/* PASID 0 is that of requests without PASID, and not for use */
			KTAP_EQUAL(vm_dma(&vm, device, 0, AT), VM_FAILED - 0x48);
			iommu_detach_pasid(device, last);
			KTAP_EQUAL(vm_dma(&vm, device, (int)last, AT), VM_FAILED - 0x59);
			KTAP_EQUAL(vm_dma(&vm, device, VM_NO_PASID, AT), HOST);
			iommu_detach(device->group);
			iommu_device_remove(device);
			KTAP_EQUAL(iommu_domain_free(a), 0);
			KTAP_EQUAL(iommu_domain_free(z), 0);
			vm_end(&vm);
			if (ktap_failed) {
				printf("# %u bits\n", bits);
				return;
			}
		}
	}
}

/** Many PASIDs of two devices, each with its own or a shared domain. */
static void many(void)
{
	enum { COUNT = 40 };
	static struct iommu_domain *domain[COUNT];
	struct iommu_device *device[2];

	vm_start(&vm, "nesting-noncoherent", IOMMU_MODE_SCALABLE);
	device[0] = vm_device(&vm, 3, 20);
	device[1] = vm_device(&vm, 4, 10);
	for (unsigned i = 0; i < COUNT; i++)
		domain[i] = to(device[0], i & 1 ? IOMMU_ALLOC_NEST_PARENT : 0, HOST + 0x1000 * i);
	for (unsigned i = 0; i < COUNT; i++)
		for (unsigned d = 0; d < 2; d++)
			KTAP_EQUAL(
				iommu_attach_pasid(device[d], 1 + 25 * i, domain[(i + d) % COUNT]),
				0);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < COUNT; i++)
			for (unsigned d = 0; d < 2; d++) {
				int64_t at = vm_dma(&vm, device[d], (int)(1 + 25 * i), AT);
				if (round && i % 3 == 0 && d == 0)
					KTAP_EQUAL(at, VM_FAILED - 0x59);
				else
					KTAP_EQUAL(at, HOST + 0x1000 * ((i + d) % COUNT));
			}
		for (unsigned i = 0; i < COUNT && !round; i += 3)
			iommu_detach_pasid(device[0], 1 + 25 * i);
	}
	iommu_device_remove(device[0]); /* with its PASIDs attached */
	for (unsigned i = 0; i < COUNT; i++) {
		KTAP_EQUAL(domain[i]->attachments, 1);
		KTAP_EQUAL(vm_dma(&vm, device[1], (int)(1 + 25 * i), AT),
		           HOST + 0x1000 * ((i + 1) % COUNT));
	}
	iommu_device_remove(device[1]);
	for (unsigned i = 0; i < COUNT; i++)
		KTAP_EQUAL(iommu_domain_free(domain[i]), 0);
	vm_end(&vm);
}

/* ---- flushes ------------------------------------------------------------------------------- */

/** A first stage is flushed for each PASID once, a second stage for its domain id once; with
 *  one wait, however many devices and PASIDs. */
static void flushes(void)
{
	static const int pasids[] = {VM_NO_PASID, 1, 70, 0x10000};

	for (unsigned second = 0; second < 2; second++) {
		struct iommu_device *device[2];
		vm_start(&vm, "nesting", IOMMU_MODE_SCALABLE);
		device[0] = vm_device(&vm, 3, 20);
		device[1] = vm_device(&vm, 4, 20);
		struct iommu_domain *domain =
			to(device[0], second ? IOMMU_ALLOC_NEST_PARENT : 0, HOST);
		for (unsigned d = 0; d < 2; d++) {
			KTAP_EQUAL(iommu_attach(device[d]->group, domain), 0);
			for (unsigned i = 1; i < 4; i++)
				KTAP_EQUAL(
					iommu_attach_pasid(device[d], (uint32_t)pasids[i], domain),
					0);
			for (unsigned i = 0; i < 4; i++)
				KTAP_EQUAL(vm_dma(&vm, device[d], pasids[i], AT), HOST);
		}
		KTAP_EQUAL(domain->attachments, 8);
		const uint64_t *types = vm_statistics(&vm)->descriptors;
		uint64_t iotlb = types[2], p_iotlb = types[6], waits = types[5];
		KTAP_EQUAL(vm_unmap(domain, AT, 0x1000), 0);
		KTAP_EQUAL(types[2] - iotlb, second ? 1 : 0);
		KTAP_EQUAL(types[6] - p_iotlb, second ? 0 : 4);
		KTAP_EQUAL(types[5] - waits, 1);
		for (unsigned d = 0; d < 2; d++)
			for (unsigned i = 0; i < 4; i++)
				KTAP_EQUAL(vm_dma(&vm, device[d], pasids[i], AT),
				           VM_FAILED - (second ? 0x79 : 0x71));
		iommu_device_remove(device[0]);
		iommu_device_remove(device[1]);
		KTAP_EQUAL(iommu_domain_free(domain), 0);
		vm_end(&vm);
	}
}

/* ---- groups, units, context entries --------------------------------------------------------- */

static void release_and_switch_off(void)
{
	static const int owner;

	vm_prepare(&vm, model_preset_find("nesting"), IOMMU_MODE_SCALABLE);
	struct iommu_device *device = vm_device(&vm, 3, 20);
	struct iommu_domain *domain = to(device, 0, HOST);
	struct iommu_domain *other = to(device, IOMMU_ALLOC_NEST_PARENT, HOST + 0x1000);
	/* before the unit is ours */
	KTAP_EQUAL(iommu_group_claim(device->group, &owner), 0);
	KTAP_EQUAL(iommu_attach_pasid(device, 70, domain), 0);
	KTAP_EQUAL(iommu_enable(&vm.iommu), 0);
	KTAP_EQUAL(vm_dma(&vm, device, 70, AT), HOST);
	KTAP_CHECK(iommu_pasid_domain(device, 70) == domain);
	KTAP_CHECK(!iommu_pasid_domain(device, 71));
	/* off, replaced, on again */
	iommu_disable(&vm.iommu);
	KTAP_EQUAL(iommu_attach_pasid(device, 70, other), 0);
	KTAP_EQUAL(iommu_enable(&vm.iommu), 0);
	KTAP_EQUAL(vm_dma(&vm, device, 70, AT), HOST + 0x1000);
	KTAP_EQUAL(domain->attachments, 0);
	/* requests without PASID come and go by themselves */
	KTAP_EQUAL(iommu_attach(device->group, domain), 0);
	iommu_detach(device->group);
	KTAP_EQUAL(vm_dma(&vm, device, 70, AT), HOST + 0x1000);
	KTAP_EQUAL(vm_dma(&vm, device, VM_NO_PASID, AT), VM_FAILED - 0x59);
	/* at the last release all is blocked */
	iommu_group_release(device->group, &owner);
	KTAP_EQUAL(vm_dma(&vm, device, 70, AT), VM_FAILED - 0x59);
	KTAP_CHECK(!device->pasids);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	KTAP_EQUAL(iommu_domain_free(other), 0);
	vm_end(&vm);
}

/** Without PASIDs the context entry says so, and the walk does. */
static void walks(void)
{
	struct iommu_walk walk = {0};

	vm_start(&vm, "nesting", IOMMU_MODE_SCALABLE);
	struct iommu_device *device = vm_device(&vm, 3, 20), *plain = vm_device(&vm, 4, 0);
	struct iommu_domain *domain = to(device, 0, HOST);
	KTAP_EQUAL(iommu_attach_pasid(device, 130, domain), 0);
	KTAP_EQUAL(vm_dma(&vm, plain, 130, AT), VM_FAILED - 0x45);
	const struct {
		const struct iommu_device *device;
		uint32_t pasid;
		uint64_t at;
	} rows[] = {{device, 130, AT},   {device, 130, 0}, {device, 131, AT},
	            {device, 64000, AT}, {plain, 130, AT}, {device, IOMMU_NO_PASID, AT}};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t fault;
		walk = (struct iommu_walk){0};
		device->unit->ops->walk(device->unit, rows[i].device->desc.rid, rows[i].pasid,
		                        iova(rows[i].at), IOMMU_WRITE, &walk);
		int64_t at = vm_access(&vm, rows[i].device,
		                       rows[i].pasid ? (int)rows[i].pasid : VM_NO_PASID,
		                       MODEL_WRITE, rows[i].at, &fault);
		KTAP_EQUAL(walk.translated, at != VM_FAILED);
		KTAP_EQUAL(walk.reason, fault);
	}
	iommu_detach_pasid(device, 130);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	vm_end(&vm);
}

/** Flags of the context entry change while PASIDs are in use. */
static void context_flags(void)
{
	vm_start(&vm, "nesting-noncoherent", IOMMU_MODE_SCALABLE);
	struct iommu_device *device = vm_device(&vm, 3, 20);
	struct vtd_unit *unit = vtd_unit_of(device->unit);
	struct iommu_domain *domain = to(device, 0, HOST);
	uint64_t was = ((struct vtd_device *)device->driver_data)->context_flags;
	KTAP_EQUAL(iommu_attach(device->group, domain), 0);
	KTAP_EQUAL(iommu_attach_pasid(device, 9, domain), 0);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t flags = i == 1 ? was : VTD_SM_CONTEXT_DTE | VTD_SM_CONTEXT_PRE;
		const struct model_request request = {.kind = MODEL_TRANSLATION,
		                                      .requester = device->desc.rid,
		                                      .has_pasid = true,
		                                      .pasid = 9,
		                                      .address = AT,
		                                      .bytes = 8};
		struct model_result result;
		KTAP_EQUAL(vm_dma(&vm, device, 9, AT), HOST);
		KTAP_EQUAL(vm_dma(&vm, device, VM_NO_PASID, AT), HOST);
		KTAP_EQUAL(vtd_context_update(unit, device->driver_data, flags), 0);
		KTAP_EQUAL(model_dma(vm.unit, &request, &result),
		           (flags & VTD_SM_CONTEXT_DTE) != 0);
	}
	KTAP_EQUAL(vm_dma(&vm, device, 9, AT), HOST);
	KTAP_EQUAL(vtd_context_update(unit, device->driver_data, was), 0);
	iommu_detach_pasid(device, 9);
	iommu_detach(device->group);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	vm_end(&vm);
}

static const struct ktap_case cases[] = {
	{"which PASIDs a device can use", usable_pasids},
	{"PASIDs and groups", groups},
	{"the device's PASID capability", capability},
	{"directories for 1 to 20 bits", directories},
	{"many PASIDs of two devices", many},
	{"flushes reach every PASID, with one wait", flushes},
	{"groups released, units off and on", release_and_switch_off},
	{"walks with PASIDs", walks},
	{"context flags change under PASIDs", context_flags},
};

KTAP_MAIN(cases)
