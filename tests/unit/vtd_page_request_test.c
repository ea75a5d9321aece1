/* SPDX-License-Identifier: MIT */
/* Page requests through the driver, on the reference model: to the sink and back, without a
 * sink, too many at once, from who is on his way out, and garbage in the queue. */
#include "tests/unit/vtd_model_ats.h"
#include "vtd/page_request.h"

#define AT UINT64_C(0x40000000)

enum { KEPT = 8 };

struct sink {
	struct iommu_page_sink base;
	bool full;
	unsigned count;
	struct iommu_page_request requests[KEPT];
};

struct bench {
	struct ats ats;
	struct ats_device *device;
	struct iommu_domain *domain;
	struct sink sink;
};

static bool sink_request(struct iommu_page_sink *base, struct iommu_domain *domain,
                         const struct iommu_page_request *request)
{
	struct sink *sink = container_of(base, struct sink, base);

	KTAP_CHECK(domain->page_sink == base);
	if (sink->full)
		return false;
	sink->requests[sink->count++ % KEPT] = *request;
	return true;
}

static struct vtd_unit *unit_of(struct bench *bench)
{
	return vtd_unit_of(bench->device->core->unit);
}

/** A device with a domain whose page requests go to the sink, if @p sunk. */
static void start(struct bench *bench, bool sunk)
{
	memset(bench, 0, sizeof(*bench));
	ats_start(&bench->ats, model_preset_find("nesting"), IOMMU_MODE_SCALABLE);
	bench->device = ats_device(&bench->ats, 1);
	bench->domain = vm_domain(bench->device->core, 0);
	bench->sink.base.request = sink_request;
	if (sunk)
		bench->domain->page_sink = &bench->sink.base;
	KTAP_EQUAL(iommu_attach(bench->device->core->group, bench->domain), 0);
}

static void end(struct bench *bench)
{
	iommu_detach(bench->device->core->group);
	KTAP_CHECK(!bench->device->pages && !bench->device->ats);
	KTAP_EQUAL(iommu_domain_free(bench->domain), 0);
	vm_end(&bench->ats.vm);
}

static bool ask(struct bench *bench, uint16_t group, bool last)
{
	return ats_ask(&bench->ats, bench->device, VM_NO_PASID, AT, group, last);
}

static void poll(struct bench *bench)
{
	iommu_poll(&bench->ats.vm.iommu);
}

/* ---- there and back -------------------------------------------------------------------- */

static void there_and_back(void)
{
	struct bench bench;

	start(&bench, true);
	KTAP_CHECK(bench.device->core->page_requests && bench.device->pages);
	KTAP_CHECK(ask(&bench, 5, false));
	KTAP_CHECK(ask(&bench, 5, true));
	KTAP_EQUAL(bench.sink.count, 0);
	poll(&bench);
	KTAP_EQUAL(bench.sink.count, 2);
	const struct iommu_page_request *last = &bench.sink.requests[1];
	KTAP_CHECK(last->device == bench.device->core && last->last && !last->has_pasid);
	KTAP_CHECK(!bench.sink.requests[0].last);
	KTAP_EQUAL(last->address.value, AT);
	KTAP_EQUAL(last->access, IOMMU_WRITE);
	KTAP_EQUAL(last->group, 5);
	KTAP_EQUAL(bench.device->answers, 0);
	uint64_t page = vm_run(&bench.ats.vm, 0);
	vm_map(bench.domain, AT, page, PAGE_SIZE_4K);
	KTAP_EQUAL(iommu_page_respond(last, IOMMU_PAGE_SUCCESS), 0);
	KTAP_EQUAL(bench.device->answers, 1);
	KTAP_EQUAL(bench.device->group, 5);
	KTAP_EQUAL(bench.device->code, 0);
	KTAP_EQUAL(ats_dma(&bench.ats, bench.device, VM_NO_PASID, AT), (int64_t)page);
	KTAP_EQUAL(unit_of(&bench)->stats.pages, 2);
	end(&bench);
}

static void with_pasid(void)
{
	struct bench bench;

	start(&bench, false);
	KTAP_CHECK(!bench.device->pages); /* nobody would answer */
	struct iommu_domain *other = vm_domain(bench.device->core, 0);
	other->page_sink = &bench.sink.base;
	KTAP_EQUAL(iommu_attach_pasid(bench.device->core, 0x12345, other), 0);
	KTAP_CHECK(bench.device->pages);
	KTAP_CHECK(ats_ask(&bench.ats, bench.device, 0x12345, AT, 0x1ff, true));
	poll(&bench);
	KTAP_EQUAL(bench.sink.count, 1);
	KTAP_CHECK(bench.sink.requests[0].has_pasid);
	KTAP_EQUAL(bench.sink.requests[0].pasid, 0x12345);
	KTAP_EQUAL(iommu_page_respond(&bench.sink.requests[0], IOMMU_PAGE_INVALID), 0);
	KTAP_EQUAL(bench.device->group, 0x1ff);
	KTAP_EQUAL(bench.device->code, 1);
	iommu_detach_pasid(bench.device->core, 0x12345);
	KTAP_CHECK(!bench.device->pages && bench.device->ats);
	/* Answered too late: the device does not wait any more. */
	KTAP_EQUAL(iommu_page_respond(&bench.sink.requests[0], IOMMU_PAGE_SUCCESS), 0);
	KTAP_EQUAL(bench.device->answers, 1);
	KTAP_EQUAL(iommu_domain_free(other), 0);
	end(&bench);
}

static void nobody_answers(void)
{
	struct bench bench;

	start(&bench, true);
	bench.sink.full = true;
	KTAP_CHECK(ask(&bench, 1, false));
	KTAP_CHECK(ask(&bench, 1, true));
	poll(&bench);
	KTAP_EQUAL(bench.device->answers, 1); /* the last of a group waits for it */
	KTAP_EQUAL(bench.device->code, 1);
	end(&bench);
}

static void capability_refused(void)
{
	struct bench bench;

	start(&bench, false);
	struct iommu_domain *wants = vm_domain(bench.device->core, 0);
	wants->page_sink = &bench.sink.base;
	bench.device->refuses_pages = true;
	KTAP_EQUAL(iommu_attach(bench.device->core->group, wants), -EIO);
	KTAP_CHECK(bench.device->ats && !bench.device->pages);
	uint64_t page = vm_run(&bench.ats.vm, 0);
	vm_map(bench.domain, AT, page, PAGE_SIZE_4K); /* what it had, it still has */
	KTAP_EQUAL(ats_dma(&bench.ats, bench.device, VM_NO_PASID, AT), (int64_t)page);
	KTAP_EQUAL(iommu_domain_free(wants), 0);
	end(&bench);
}

/* ---- the queue ---------------------------------------------------------------------------- */

static void overflow(void)
{
	const unsigned slots = (unsigned)(PAGE_SIZE_4K << VTD_PAGES_ORDER) / 32;
	struct bench bench;
	unsigned stored = 0;

	start(&bench, true);
	bench.sink.full = true; /* answered at once */
	for (unsigned i = 0; i < slots + 10; i++)
		stored += ask(&bench, (uint16_t)(i % 512), true);
	KTAP_EQUAL(stored, slots - 1);
	poll(&bench);
	KTAP_EQUAL(bench.device->answers, stored);
	KTAP_EQUAL(unit_of(&bench)->stats.pages_lost, 1);
	/* And on it goes, round the end of the queue. */
	for (unsigned i = 0; i < 10; i++)
		KTAP_CHECK(ask(&bench, (uint16_t)i, true));
	poll(&bench);
	KTAP_EQUAL(bench.device->answers, stored + 10);
	KTAP_EQUAL(unit_of(&bench)->stats.pages_lost, 1);
	end(&bench);
}

static uint64_t *slot_of(struct bench *bench, unsigned index)
{
	return vm_cpu(&bench->ats.vm, unit_of(bench)->pages.value + 32u * index);
}

static void garbage(void)
{
	struct bench bench;

	start(&bench, true);
	for (unsigned i = 0; i < 4; i++)
		KTAP_CHECK(ask(&bench, (uint16_t)i, true));
	slot_of(&bench, 0)[0] = 0x7e;                              /* no such type */
	slot_of(&bench, 1)[0] = 1 | (uint64_t)0xfff8 << 16;        /* no such device */
	slot_of(&bench, 2)[0] |= UINT64_C(0xfffff) << 32 | 1 << 8; /* a PASID it does not have */
	poll(&bench);
	KTAP_EQUAL(bench.sink.count, 1);
	KTAP_EQUAL(bench.sink.requests[0].group, 3);
	KTAP_EQUAL(bench.device->answers, 1);
	KTAP_EQUAL(bench.device->group, 2);
	KTAP_EQUAL(bench.device->code, 1);
	KTAP_EQUAL(iommu_page_respond(&bench.sink.requests[0], IOMMU_PAGE_SUCCESS), 0);
	end(&bench);
}

static void stop_marker(void)
{
	struct bench bench;

	start(&bench, true);
	KTAP_CHECK(ask(&bench, 1, true));
	slot_of(&bench, 0)[0] |= 1 << 8; /* with a PASID, and for neither read nor write */
	slot_of(&bench, 0)[1] &= ~UINT64_C(3);
	poll(&bench);
	KTAP_EQUAL(bench.sink.count, 0);
	KTAP_EQUAL(bench.device->answers, 0);
	end(&bench);
}

/* ---- on the way out ------------------------------------------------------------------------- */

static void drained(void)
{
	struct bench bench;

	start(&bench, true);
	struct ats_device *other = ats_device(&bench.ats, 2);
	KTAP_EQUAL(iommu_attach(other->core->group, bench.domain), 0);
	KTAP_CHECK(ask(&bench, 1, false));
	KTAP_CHECK(ask(&bench, 1, true));
	KTAP_CHECK(ats_ask(&bench.ats, other, VM_NO_PASID, AT, 7, true));
	KTAP_CHECK(ask(&bench, 2, true));
	iommu_detach(bench.device->core->group);
	KTAP_EQUAL(bench.device->answers, 2);
	KTAP_EQUAL(bench.device->code, 1);
	KTAP_EQUAL(other->answers, 0);
	poll(&bench);
	KTAP_EQUAL(bench.sink.count, 1);
	KTAP_CHECK(bench.sink.requests[0].device == other->core);
	KTAP_EQUAL(bench.sink.requests[0].group, 7);
	KTAP_EQUAL(bench.device->answers, 2);
	/* From a blocked device nothing is stored: the unit answers itself. */
	KTAP_CHECK(!ask(&bench, 3, true));
	KTAP_EQUAL(iommu_page_respond(&bench.sink.requests[0], IOMMU_PAGE_SUCCESS), 0);
	KTAP_EQUAL(other->code, 0);
	iommu_detach(other->core->group);
	end(&bench);
}

static void replaced(void)
{
	struct bench bench;

	start(&bench, true);
	struct iommu_domain *other = vm_domain(bench.device->core, 0);
	struct sink sink = {.base.request = sink_request};
	other->page_sink = &sink.base;
	KTAP_CHECK(ask(&bench, 1, true));
	KTAP_EQUAL(iommu_attach(bench.device->core->group, other), 0);
	poll(&bench); /* who has it now has to answer for it */
	KTAP_EQUAL(bench.sink.count, 0);
	KTAP_EQUAL(sink.count, 1);
	KTAP_EQUAL(iommu_page_respond(&sink.requests[0], IOMMU_PAGE_SUCCESS), 0);
	KTAP_EQUAL(bench.device->answers, 1);
	KTAP_EQUAL(iommu_attach(bench.device->core->group, bench.domain), 0);
	KTAP_EQUAL(iommu_domain_free(other), 0);
	end(&bench);
}

static void disabled(void)
{
	struct bench bench;

	start(&bench, true);
	KTAP_CHECK(ask(&bench, 1, true));
	iommu_disable(&bench.ats.vm.iommu);
	KTAP_EQUAL(bench.device->answers, 1);
	KTAP_EQUAL(bench.device->code, 1);
	KTAP_CHECK(!bench.device->pages);
	poll(&bench);
	KTAP_EQUAL(bench.sink.count, 0);
	KTAP_EQUAL(iommu_enable(&bench.ats.vm.iommu), 0);
	KTAP_CHECK(bench.device->pages);
	KTAP_CHECK(ask(&bench, 2, true));
	poll(&bench);
	KTAP_EQUAL(bench.sink.count, 1);
	KTAP_EQUAL(bench.sink.requests[0].group, 2);
	KTAP_EQUAL(iommu_page_respond(&bench.sink.requests[0], IOMMU_PAGE_SUCCESS), 0);
	end(&bench);
}

/* ---- other units ------------------------------------------------------------------------------ */

static void not_in_legacy_mode(void)
{
	struct ats ats;

	ats_start(&ats, model_preset_find("nesting"), IOMMU_MODE_LEGACY);
	struct ats_device *device = ats_device(&ats, 1);
	KTAP_CHECK(device->core->ats && !device->core->page_requests);
	struct iommu_domain *domain = vm_domain(device->core, 0);
	KTAP_EQUAL(iommu_attach(device->core->group, domain), 0);
	KTAP_CHECK(device->ats && !device->pages);
	KTAP_CHECK(!ats_ask(&ats, device, VM_NO_PASID, AT, 1, true));
	iommu_poll(&ats.vm.iommu);
	iommu_detach(device->core->group);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	vm_end(&ats.vm);
}

static const struct ktap_case cases[] = {
	{"a page request, its answer, and the access that follows", there_and_back},
	{"with a PASID; an answer that comes too late", with_pasid},
	{"nobody to answer: invalid, for the last of a group", nobody_answers},
	{"a device whose page requests cannot be switched on", capability_refused},
	{"more requests than the queue holds", overflow},
	{"a type, a device and a PASID that do not exist", garbage},
	{"a stop marker", stop_marker},
	{"a device is blocked: its requests are answered, others' are kept", drained},
	{"replaced: the new domain's sink answers", replaced},
	{"the unit is disabled and enabled again", disabled},
	{"legacy mode has no page requests", not_in_legacy_mode},
};

KTAP_MAIN(cases)
