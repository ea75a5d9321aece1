/* SPDX-License-Identifier: MIT */
/* ATS through the driver, on the reference model: when it is on, who is told what, and what
 * becomes of a device that does not answer. */
#include "tests/unit/vtd_model_ats.h"
#include "vtd/device_tlb.h"
#include "vtd/submit.h"

#define AT  UINT64_C(0x40000000)
#define AT2 UINT64_C(0x80000000)

static void start(struct ats *ats, const char *preset, enum iommu_mode mode)
{
	ats_start(ats, model_preset_find(preset), mode);
}

static struct iommu_domain *attached(struct ats_device *device)
{
	struct iommu_domain *domain = vm_domain(device->core, 0);

	KTAP_EQUAL(iommu_attach(device->core->group, domain), 0);
	return domain;
}

static void drop(struct ats_device *device, struct iommu_domain *domain)
{
	iommu_detach(device->core->group);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
}

static uint64_t data(struct ats *ats, unsigned order)
{
	return vm_run(&ats->vm, order);
}

static void end(struct ats *ats)
{
	for (unsigned i = 0; i < ats->count; i++)
		KTAP_CHECK(!ats->devices[i].ats && !ats->devices[i].pages);
	vm_end(&ats->vm);
}

/* ---- descriptors ------------------------------------------------------------------- */

static void encodings(void)
{
	const struct vtd_device_tlb_target to = {.sid = 0x1234, .pfsid = 0xabcd, .capacity = 5};
	struct vtd_descriptor d = vtd_desc_dev_tlb(to, 0x12345000, 0);

	KTAP_EQUAL(d.word[0], UINT64_C(0xabc012340005d003));
	KTAP_EQUAL(d.word[1], 0x12345000);
	KTAP_EQUAL(vtd_desc_dev_tlb(to, 0x12346000, 1).word[1], 0x12346001); /* 8K */
	KTAP_EQUAL(vtd_desc_dev_tlb(to, 0x12344000, 2).word[1], 0x12345001); /* 16K */
	KTAP_EQUAL(vtd_desc_dev_tlb(to, 0x40000000, 9).word[1], 0x400ff001); /* 2M */
	KTAP_EQUAL(vtd_desc_dev_tlb(to, 0, 52).word[1], UINT64_C(0x7ffffffffffff001));
	d = vtd_desc_p_dev_tlb(to, 0xfedcb, 0x40000000, 9);
	KTAP_EQUAL(d.word[0], UINT64_C(0xabcfedcb1234d058));
	KTAP_EQUAL(d.word[1], 0x400ff800);
	d = vtd_desc_page_response(0x1234, true, 0xfedcb, 0x155, VTD_RESPONSE_INVALID);
	KTAP_EQUAL(d.word[0], UINT64_C(0x000fedcb12341019));
	KTAP_EQUAL(d.word[1], 0x155 << 3);
	d = vtd_desc_page_response(0x1234, false, 0xfedcb, 1, VTD_RESPONSE_SUCCESS);
	KTAP_EQUAL(d.word[0], 0x12340009);
}

/* ---- on and off ---------------------------------------------------------------------- */

static void who_has_it(void)
{
	static const struct {
		const char *preset;
		enum iommu_mode mode;
		bool ats, identity;
	} rows[] = {
		{"nesting", IOMMU_MODE_AUTO, true, true},
		{"nesting", IOMMU_MODE_LEGACY, true,
	         false}, /* TT 10 refuses translation requests */
		{"cascade-lake", IOMMU_MODE_AUTO, true, false},
		{"old", IOMMU_MODE_AUTO, false, false},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ats ats;
		start(&ats, rows[i].preset, rows[i].mode);
		struct ats_device *device = ats_device(&ats, 1);
		KTAP_EQUAL(device->core->ats, rows[i].ats);
		KTAP_CHECK(!device->ats);
		struct iommu_domain *domain = attached(device), *other = vm_domain(device->core, 0),
				    *through;
		KTAP_EQUAL(device->ats, rows[i].ats);
		KTAP_EQUAL(iommu_attach(device->core->group, other), 0);
		KTAP_EQUAL(device->ats, rows[i].ats);
		if (iommu_domain_alloc_identity(device->core, &through) == 0) {
			KTAP_EQUAL(iommu_attach(device->core->group, through), 0);
			KTAP_EQUAL(device->ats, rows[i].identity);
			KTAP_EQUAL(iommu_attach(device->core->group, other), 0);
			KTAP_EQUAL(iommu_domain_free(through), 0);
		}
		iommu_detach(device->core->group);
		KTAP_CHECK(!device->ats);
		KTAP_EQUAL(iommu_domain_free(domain), 0);
		KTAP_EQUAL(iommu_domain_free(other), 0);
		end(&ats);
	}
}

static void who_refuses(void)
{
	struct ats ats;

	start(&ats, "nesting", IOMMU_MODE_AUTO);
	struct ats_device *device = ats_device(&ats, 1);
	device->refuses_ats = true;
	struct iommu_domain *domain = attached(device);
	uint64_t page = data(&ats, 0);
	KTAP_CHECK(!device->ats);
	vm_map(domain, AT, page, PAGE_SIZE_4K);
	KTAP_EQUAL(vm_dma(&ats.vm, device->core, VM_NO_PASID, AT), (int64_t)page);
	KTAP_EQUAL(ats_dma(&ats, device, VM_NO_PASID, AT), VM_FAILED);
	KTAP_EQUAL(vm_unmap(domain, AT, PAGE_SIZE_4K), 0);
	KTAP_EQUAL(device->asked, 0);
	drop(device, domain);
	end(&ats);
}

static void across_disable(void)
{
	static const enum iommu_mode modes[] = {IOMMU_MODE_SCALABLE, IOMMU_MODE_LEGACY};

	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
		struct ats ats;
		start(&ats, "nesting", modes[i]);
		struct ats_device *device = ats_device(&ats, 1);
		struct iommu_domain *domain = attached(device);
		uint64_t page = data(&ats, 0);
		vm_map(domain, AT, page, PAGE_SIZE_4K);
		KTAP_EQUAL(ats_dma(&ats, device, VM_NO_PASID, AT), (int64_t)page);
		iommu_disable(&ats.vm.iommu);
		KTAP_CHECK(!device->ats);
		KTAP_EQUAL(vm_unmap(domain, AT, PAGE_SIZE_4K), 0);
		KTAP_EQUAL(iommu_enable(&ats.vm.iommu), 0);
		KTAP_CHECK(device->ats);
		KTAP_EQUAL(ats_dma(&ats, device, VM_NO_PASID, AT), VM_FAILED);
		vm_map(domain, AT, page, PAGE_SIZE_4K);
		KTAP_EQUAL(ats_dma(&ats, device, VM_NO_PASID, AT), (int64_t)page);
		drop(device, domain);
		end(&ats);
	}
}

static void unplugged(void)
{
	struct ats ats;

	start(&ats, "nesting", IOMMU_MODE_AUTO);
	struct ats_device *device = ats_device(&ats, 1);
	struct iommu_domain *domain = attached(device);
	uint64_t page = data(&ats, 0);
	vm_map(domain, AT, page, PAGE_SIZE_4K);
	KTAP_EQUAL(ats_dma(&ats, device, VM_NO_PASID, AT), (int64_t)page);
	iommu_detach(device->core->group);
	iommu_device_remove(device->core);
	KTAP_CHECK(!device->ats && !device->pasid);
	KTAP_EQUAL(vm_unmap(domain, AT, PAGE_SIZE_4K), 0);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	end(&ats);
}

/* ---- who is told what ------------------------------------------------------------------ */

static void ranges(void)
{
	static const struct {
		uint64_t first, pages;
		unsigned messages;
	} rows[] = {
		{0, 1, 1},    {0, 512, 1}, {1, 1, 1},  {0, 3, 2}, {1, 6, 4},
		{1, 7, 3},    {3, 10, 4},  {1, 62, 1}, /* ten blocks: one that covers it */
		{0, 1024, 1},
	};
	struct ats ats;

	start(&ats, "nesting", IOMMU_MODE_AUTO);
	struct ats_device *device = ats_device(&ats, 1);
	struct iommu_domain *domain = attached(device);
	uint64_t run = data(&ats, 10);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t at = AT + rows[i].first * PAGE_SIZE_4K;
		uint64_t bytes = rows[i].pages * PAGE_SIZE_4K;
		vm_map(domain, at, run + rows[i].first * PAGE_SIZE_4K, bytes);
		KTAP_CHECK(ats_dma(&ats, device, VM_NO_PASID, at) != VM_FAILED);
		KTAP_CHECK(ats_dma(&ats, device, VM_NO_PASID, at + bytes - 8) != VM_FAILED);
		device->asked = 0;
		KTAP_EQUAL(vm_unmap(domain, at, bytes), 0);
		KTAP_EQUAL(device->asked, rows[i].messages);
		KTAP_EQUAL(ats_dma(&ats, device, VM_NO_PASID, at), VM_FAILED);
		KTAP_EQUAL(ats_dma(&ats, device, VM_NO_PASID, at + bytes - 8), VM_FAILED);
	}
	drop(device, domain);
	end(&ats);
}

static void everyone(void)
{
	struct ats ats;

	start(&ats, "nesting", IOMMU_MODE_SCALABLE);
	struct ats_device *one = ats_device(&ats, 1), *two = ats_device(&ats, 2),
			  *apart = ats_device(&ats, 3);
	struct iommu_domain *domain = attached(one), *other = attached(apart);
	uint64_t page = data(&ats, 0);
	KTAP_EQUAL(iommu_attach(two->core->group, domain), 0);
	KTAP_EQUAL(iommu_attach_pasid(two->core, 7, domain), 0);
	KTAP_EQUAL(iommu_attach_pasid(apart->core, 9, domain), 0);
	vm_map(domain, AT, page, PAGE_SIZE_4K);
	KTAP_EQUAL(ats_dma(&ats, one, VM_NO_PASID, AT), (int64_t)page);
	KTAP_EQUAL(ats_dma(&ats, two, VM_NO_PASID, AT), (int64_t)page);
	KTAP_EQUAL(ats_dma(&ats, two, 7, AT), (int64_t)page);
	KTAP_EQUAL(ats_dma(&ats, apart, 9, AT), (int64_t)page);
	one->asked = two->asked = apart->asked = 0;
	KTAP_EQUAL(vm_unmap(domain, AT, PAGE_SIZE_4K), 0);
	KTAP_EQUAL(one->asked, 1);
	KTAP_EQUAL(two->asked, 2);
	KTAP_EQUAL(apart->asked, 1);
	KTAP_EQUAL(ats_dma(&ats, two, 7, AT), VM_FAILED);
	iommu_detach_pasid(two->core, 7);
	KTAP_CHECK(two->ats); /* the other one uses it */
	iommu_detach(two->core->group);
	KTAP_CHECK(!two->ats);
	iommu_detach_pasid(apart->core, 9);
	drop(apart, other);
	drop(one, domain);
	end(&ats);
}

/* ---- devices that do not answer ----------------------------------------------------------- */

static void deaf_in(enum iommu_mode mode)
{
	struct model_config config = *model_preset_find("nesting");
	struct ats ats;

	config.latency.device = 2000000;
	ats_start(&ats, &config, mode);
	struct ats_device *deaf = ats_device(&ats, 1), *good = ats_device(&ats, 2);
	struct vtd_unit *unit = vtd_unit_of(deaf->core->unit);
	struct iommu_domain *domain = attached(deaf);
	uint64_t page = data(&ats, 0), kept = data(&ats, 0);
	KTAP_EQUAL(iommu_attach(good->core->group, domain), 0);
	vm_map(domain, AT, page, PAGE_SIZE_4K);
	vm_map(domain, AT2, kept, PAGE_SIZE_4K);
	KTAP_EQUAL(ats_dma(&ats, deaf, VM_NO_PASID, AT), (int64_t)page);
	KTAP_EQUAL(ats_dma(&ats, deaf, VM_NO_PASID, AT2), (int64_t)kept);
	KTAP_EQUAL(ats_dma(&ats, good, VM_NO_PASID, AT), (int64_t)page);
	deaf->deaf = true;
	/* The unmap is a good one: whom it could not reach can use nothing any more. */
	KTAP_EQUAL(vm_unmap(domain, AT, PAGE_SIZE_4K), 0);
	KTAP_CHECK(!unit->broken);
	KTAP_EQUAL(unit->stats.silent, 1);
	ats.vm.expected |= UINT64_C(1) << MODEL_REPORT_STALE; /* it does hold it, in vain */
	KTAP_EQUAL(ats_dma(&ats, deaf, VM_NO_PASID, AT), VM_FAILED);
	KTAP_EQUAL(ats_dma(&ats, deaf, VM_NO_PASID, AT2), VM_FAILED);
	ats.vm.expected = 0;
	KTAP_EQUAL(vm_dma(&ats.vm, deaf->core, VM_NO_PASID, AT2), (int64_t)kept);
	KTAP_EQUAL(ats_dma(&ats, good, VM_NO_PASID, AT), VM_FAILED);
	KTAP_EQUAL(ats_dma(&ats, good, VM_NO_PASID, AT2), (int64_t)kept);
	/* It is asked no more, the other one is. */
	deaf->asked = good->asked = 0;
	KTAP_EQUAL(vm_unmap(domain, AT2, PAGE_SIZE_4K), 0);
	KTAP_EQUAL(deaf->asked, 0);
	KTAP_EQUAL(good->asked, 1);
	iommu_detach(deaf->core->group);
	KTAP_CHECK(!deaf->ats);
	KTAP_EQUAL(iommu_attach(deaf->core->group, domain), 0);
	KTAP_CHECK(!deaf->ats);
	iommu_detach(deaf->core->group);
	drop(good, domain);
	end(&ats);
}

static void deaf(void)
{
	deaf_in(IOMMU_MODE_SCALABLE);
	deaf_in(IOMMU_MODE_LEGACY);
}

static void all_deaf(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct ats ats;

	config.latency.device = 2000000;
	ats_start(&ats, &config, IOMMU_MODE_AUTO);
	struct ats_device *devices[ATS_DEVICES];
	struct iommu_domain *domain = NULL;
	for (unsigned i = 0; i < ATS_DEVICES; i++) {
		devices[i] = ats_device(&ats, i + 1);
		if (!domain)
			domain = vm_domain(devices[i]->core, 0);
		KTAP_EQUAL(iommu_attach(devices[i]->core->group, domain), 0);
		devices[i]->deaf = true;
	}
	struct vtd_unit *unit = vtd_unit_of(devices[0]->core->unit);
	vm_map(domain, AT, data(&ats, 0), PAGE_SIZE_4K);
	/* The model, as units do, keeps one answer due at a time: others may go unnoticed until
	 * they are asked again. */
	for (unsigned i = 0; i < ATS_DEVICES; i++) {
		KTAP_EQUAL(vm_unmap(domain, AT, PAGE_SIZE_4K), 0);
		vm_map(domain, AT, data(&ats, 0), PAGE_SIZE_4K);
	}
	KTAP_EQUAL(unit->stats.silent, ATS_DEVICES);
	KTAP_CHECK(!unit->broken);
	for (unsigned i = 0; i < ATS_DEVICES; i++)
		iommu_detach(devices[i]->core->group);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	end(&ats);
}

/** A unit that does not say who (ITESID 0): everyone who was asked may be it. */
static void nobody_named(void)
{
	struct ats ats;

	start(&ats, "nesting", IOMMU_MODE_AUTO);
	struct ats_device *one = ats_device(&ats, 1), *two = ats_device(&ats, 2),
			  *three = ats_device(&ats, 3);
	struct vtd_unit *unit = vtd_unit_of(one->core->unit);
	struct iommu_domain *domain = attached(one);
	KTAP_EQUAL(iommu_attach(two->core->group, domain), 0);
	KTAP_EQUAL(iommu_attach(three->core->group, domain), 0);
	const struct vtd_descriptor asked[] = {
		vtd_desc_iotlb(VTD_IOTLB_DOMAIN, 1),
		vtd_desc_dev_tlb((struct vtd_device_tlb_target){.sid = one->core->desc.rid}, 0, 0),
		vtd_desc_p_dev_tlb((struct vtd_device_tlb_target){.sid = two->core->desc.rid}, 5, 0,
	                           0),
	};
	/* two requests that are done together */
	struct vtd_request last = {.descriptors = &asked[1], .count = 2};
	struct vtd_request first = {.descriptors = asked, .count = 1, .next = &last};
	unit->os->lock(unit->os->ctx, &unit->lock);
	KTAP_EQUAL(vtd_device_cut_off(unit, &first, &first, 0), 0);
	KTAP_EQUAL(vtd_device_cut_off(unit, &first, &last, two->core->desc.rid), 1);
	unit->os->unlock(unit->os->ctx, &unit->lock);
	KTAP_CHECK(vtd_device_has_tlb(one->core->driver_data));
	KTAP_CHECK(!vtd_device_has_tlb(two->core->driver_data));
	unit->os->lock(unit->os->ctx, &unit->lock);
	KTAP_EQUAL(vtd_device_cut_off(unit, &first, &last, 0), 2);
	unit->os->unlock(unit->os->ctx, &unit->lock);
	KTAP_CHECK(!vtd_device_has_tlb(one->core->driver_data));
	KTAP_CHECK(vtd_device_has_tlb(three->core->driver_data));
	KTAP_EQUAL(vtd_flush_all(unit), 0);
	iommu_detach(two->core->group);
	iommu_detach(three->core->group);
	drop(one, domain);
	end(&ats);
}

/* ---- when a step fails ---------------------------------------------------------------------- */

/** Each descriptor of an attach is refused in turn: the attach fails, and nothing is on. */
static void refused_descriptors(void)
{
	struct ats ats;
	bool done = false;

	start(&ats, "nesting", IOMMU_MODE_AUTO);
	struct ats_device *device = ats_device(&ats, 1);
	struct iommu_domain *domain = vm_domain(device->core, 0);
	unsigned n = 1;
	for (; n < 40 && !done; n++) {
		ats.vm.refuse_in = n;
		ats.vm.expected = UINT64_C(1) << MODEL_REPORT_RESERVED;
		int error = iommu_attach(device->core->group, domain);
		done = ats.vm.refuse_in != 0; /* so many there are not */
		ats.vm.refuse_in = 0;
		ats.vm.expected = 0;
		KTAP_EQUAL(device->ats, error == 0);
		KTAP_CHECK(done || error != 0);
		if (!error)
			iommu_detach(device->core->group);
		KTAP_CHECK(!device->ats);
	}
	KTAP_CHECK(done && n > 2);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	end(&ats);
}

static const struct ktap_case cases[] = {
	{"descriptors, bit by bit", encodings},
	{"ATS is on while a domain uses it, where it works", who_has_it},
	{"a device that refuses is used without", who_refuses},
	{"off before the unit stops, on again when it translates", across_disable},
	{"a device that leaves", unplugged},
	{"an unmapped range, in few messages", ranges},
	{"each device and PASID of a domain is told, no other", everyone},
	{"a device that does not answer is cut off; nobody else suffers", deaf},
	{"all devices fall silent", all_deaf},
	{"a unit that does not name the silent one", nobody_named},
	{"a refused descriptor: the attach fails, and nothing is on", refused_descriptors},
};

KTAP_MAIN(cases)
