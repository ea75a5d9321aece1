/* SPDX-License-Identifier: MIT */
/*
 * The translation cache of a device (ch. 4): translation requests, what is remembered and
 * for whom, device-TLB invalidations of every size, and the sanitizer's eye on it.
 */
#include "tests/unit/model_scalable.h"

enum { SLOTS = 4 };

struct device {
	struct bench *b;
	struct model_device_tlb tlb;
	struct model_device_tlb_entry entries[SLOTS];
	struct model_result result;
};

static void device_begin(struct device *d, unsigned pgtt)
{
	d->b = bench_scalable(pgtt, 0, 0, SRE);
	model_device_tlb_init(&d->tlb, d->b->unit, DEVICE, d->entries, SLOTS);
	d->b->tlb = &d->tlb;
}

static bool use(struct device *d, const struct model_request *request)
{
	return model_device_tlb_access(&d->tlb, request, &d->result);
}

static bool use_at(struct device *d, enum model_access access, uint64_t address)
{
	const struct model_request request = {.access = access, .address = address, .bytes = 8};

	return use(d, &request);
}

static void remembers(void)
{
	struct device d;

	device_begin(&d, SECOND_STAGE);
	KTAP_CHECK(use_at(&d, MODEL_READ, IOVA + 0x18));
	KTAP_EQUAL(d.result.address, HOST + 0x18);
	KTAP_EQUAL(d.tlb.misses, 1);
	KTAP_CHECK(use_at(&d, MODEL_WRITE, IOVA + 0x20));
	KTAP_EQUAL(d.result.address, HOST + 0x20);
	KTAP_EQUAL(d.tlb.hits, 1);
	KTAP_EQUAL(d.b->reports, 0);
	/* a page that is not there: no access, a page request would be due */
	KTAP_CHECK(!use_at(&d, MODEL_READ, IOVA + 0x1000));
	KTAP_EQUAL(d.result.response, MODEL_SUCCESS);
	KTAP_EQUAL(d.result.fault, 0x79);
	/* a page that may only be read, then more */
	put(d.b, SECOND_LEAF + 16, (HOST + 0x2000) | 1);
	KTAP_CHECK(use_at(&d, MODEL_READ, IOVA + 0x2000));
	KTAP_CHECK(!use_at(&d, MODEL_WRITE, IOVA + 0x2000));
	KTAP_CHECK(!use_at(&d, MODEL_ATOMIC, IOVA + 0x2000));
	KTAP_EQUAL(d.result.response, MODEL_SUCCESS);
	KTAP_CHECK(use_at(&d, MODEL_READ, IOVA + 0x2000));
	put(d.b, SECOND_LEAF + 16, (HOST + 0x2000) | 3);
	KTAP_CHECK(submit(d.b, 2 | 3 << 4 | DID << 16, IOVA + 0x2000));
	KTAP_CHECK(use_at(&d, MODEL_WRITE, IOVA + 0x2000));
	KTAP_EQUAL(d.tlb.hits, 1 + 1);
	KTAP_CHECK(use_at(&d, MODEL_WRITE, IOVA + 0x2000));
	KTAP_EQUAL(d.tlb.hits, 1 + 2);
	put(d.b, SECOND_LEAF + 24, (HOST + 0x3000) | 2);
	KTAP_CHECK(!use_at(&d, MODEL_READ, IOVA + 0x3000));
	KTAP_CHECK(use_at(&d, MODEL_WRITE, IOVA + 0x3000));
	/* broken tables */
	put(d.b, SECOND_LEAF + 32, HOST | 3 | BIT(62));
	KTAP_CHECK(!use_at(&d, MODEL_READ, IOVA + 0x4000));
	KTAP_EQUAL(d.result.response, MODEL_ABORT);
	/* interrupts are never translated */
	KTAP_CHECK(!use_at(&d, MODEL_READ, 0xfee00000));
	KTAP_EQUAL(d.result.fault, 0x29);
	KTAP_EQUAL(d.b->kinds[MODEL_REPORT_STALE], 0);
	bench_end(d.b);
}

/* More pages than slots; no slots at all. */
static void small(void)
{
	struct device d;

	device_begin(&d, SECOND_STAGE);
	for (unsigned i = 0; i <= SLOTS; i++)
		put(d.b, SECOND_LEAF + i * 8, (HOST + i * 0x1000) | 3);
	for (unsigned i = 0; i <= SLOTS; i++)
		KTAP_CHECK(use_at(&d, MODEL_READ, IOVA + i * 0x1000));
	KTAP_CHECK(use_at(&d, MODEL_READ, IOVA + SLOTS * 0x1000));
	KTAP_EQUAL(d.tlb.hits, 1);
	KTAP_CHECK(use_at(&d, MODEL_READ, IOVA)); /* was driven out */
	KTAP_EQUAL(d.tlb.hits, 1);
	/* an entry whose rights do not do gives way to what is asked for anew */
	model_device_tlb_init(&d.tlb, d.b->unit, DEVICE, d.entries, SLOTS);
	put(d.b, SECOND_LEAF, HOST | 1);
	flush_all(d.b);
	KTAP_CHECK(use_at(&d, MODEL_READ, IOVA));
	put(d.b, SECOND_LEAF, HOST | 3);
	flush_all(d.b);
	KTAP_CHECK(use_at(&d, MODEL_WRITE, IOVA));
	KTAP_CHECK(use_at(&d, MODEL_WRITE, IOVA));
	KTAP_EQUAL(d.tlb.hits, 1);
	KTAP_EQUAL(d.tlb.misses, 2);
	model_device_tlb_init(&d.tlb, d.b->unit, DEVICE, d.entries, 0);
	KTAP_CHECK(use_at(&d, MODEL_READ, IOVA));
	KTAP_CHECK(use_at(&d, MODEL_READ, IOVA));
	KTAP_EQUAL(d.tlb.misses, 2);
	bench_end(d.b);
}

/* PASIDs and privilege are apart. */
static void pasids(void)
{
	struct device d;
	struct model_request request = {.address = IOVA, .bytes = 8, .has_pasid = true, .pasid = 7};

	device_begin(&d, FIRST_STAGE);
	pasid_entry(d.b, 8, FIRST_STAGE, 0, 0, SRE);
	KTAP_CHECK(use(&d, &request));
	KTAP_EQUAL(d.result.address, GUEST);
	request.pasid = 8;
	KTAP_CHECK(use(&d, &request));
	request.privileged = true;
	KTAP_CHECK(use(&d, &request));
	request.has_pasid = false;
	KTAP_CHECK(use(&d, &request));
	KTAP_EQUAL(d.tlb.misses, 4);
	KTAP_CHECK(use(&d, &request));
	request.has_pasid = true;
	KTAP_CHECK(use(&d, &request));
	request.privileged = false;
	KTAP_CHECK(use(&d, &request));
	KTAP_EQUAL(d.tlb.hits, 3);
	KTAP_EQUAL(d.b->reports, 0);
	bench_end(d.b);
}

static void invalidations(void)
{
	static const struct {
		uint64_t low, high;
		bool pasid; /* what is remembered has PASID 7 */
		bool goes;
	} cases[] = {
		{3 | (uint64_t)DEVICE << 32, IOVA, false, true},
		{3 | (uint64_t)DEVICE << 32, IOVA + 0x1000, false, false},
		{3 | (uint64_t)DEVICE << 32, 0 | 1, false, true},
		{3 | (uint64_t)DEVICE << 32, 0x2000 | 1, false, false},
		{3 | (uint64_t)DEVICE << 32, 0x7ffffffffffff001, false, true},
		{3 | (uint64_t)(DEVICE + 1) << 32, 0x7ffffffffffff001, false, false},
		{3 | (uint64_t)DEVICE << 32, 0x7ffffffffffff001, true, false},
		{8 | (uint64_t)DEVICE << 16 | (uint64_t)7 << 32, IOVA, true, true},
		{8 | (uint64_t)DEVICE << 16 | (uint64_t)7 << 32, 0x1000 | 0x800, true, true},
		{8 | (uint64_t)DEVICE << 16 | (uint64_t)6 << 32, 0x7ffffffffffff800, true, false},
		{8 | (uint64_t)DEVICE << 16 | (uint64_t)6 << 32, 0x7ffffffffffff801, true, true},
		{8 | (uint64_t)DEVICE << 16 | (uint64_t)7 << 32, 0x7ffffffffffff800, false, false},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct model_request request = {.address = IOVA,
		                                .bytes = 8,
		                                .has_pasid = cases[i].pasid,
		                                .pasid = cases[i].pasid ? 7 : 0};
		struct device d;

		device_begin(&d, SECOND_STAGE);
		KTAP_CHECK(use(&d, &request));
		put(d.b, SECOND_LEAF, (HOST + 0x1000) | 3);
		KTAP_CHECK(submit(d.b, 2 | 2 << 4 | DID << 16, 0));
		KTAP_CHECK(submit(d.b, cases[i].low, cases[i].high));
		KTAP_EQUAL(d.b->invalidations, 1);
		KTAP_CHECK(use(&d, &request));
		KTAP_EQUAL(d.result.address, HOST + (cases[i].goes ? 0x1000 : 0));
		KTAP_EQUAL(d.b->kinds[MODEL_REPORT_STALE], !cases[i].goes);
		if (ktap_failed)
			printf("# case %u\n", i);
		bench_end(d.b);
	}
}

/* The sanitizer: rights that went, a page that went, and work in progress. */
static void stale(void)
{
	struct device d;

	device_begin(&d, SECOND_STAGE);
	KTAP_CHECK(use_at(&d, MODEL_READ, IOVA));
	put(d.b, SECOND_LEAF, HOST | 1);
	KTAP_CHECK(submit(d.b, 2 | 2 << 4 | DID << 16, 0));
	model_sanitizer_hold(d.b->unit, true);
	KTAP_CHECK(use_at(&d, MODEL_WRITE, IOVA));
	KTAP_EQUAL(d.b->reports, 0);
	model_sanitizer_hold(d.b->unit, false);
	KTAP_CHECK(use_at(&d, MODEL_WRITE, IOVA));
	KTAP_EQUAL(d.b->kinds[MODEL_REPORT_STALE], 1);
	KTAP_CHECK(strstr(d.b->report.text, "device-TLB"));
	KTAP_CHECK(strstr(d.b->report.text, "00:02.0 translation request for 0x1000"));
	put(d.b, SECOND_LEAF, HOST | 2);
	KTAP_CHECK(use_at(&d, MODEL_READ, IOVA));
	KTAP_EQUAL(d.b->kinds[MODEL_REPORT_STALE], 2);
	put(d.b, SECOND_LEAF, 0);
	KTAP_CHECK(use_at(&d, MODEL_READ, IOVA));
	KTAP_EQUAL(d.b->kinds[MODEL_REPORT_STALE], 3);
	KTAP_CHECK(strstr(d.b->report.text, "memory fault 0x79"));
	KTAP_CHECK(submit(d.b, 3 | (uint64_t)DEVICE << 32, IOVA));
	KTAP_CHECK(!use_at(&d, MODEL_READ, IOVA));
	KTAP_EQUAL(d.b->kinds[MODEL_REPORT_STALE], 3);
	bench_end(d.b);
}

/* The requests of a device whose context entry no longer has DTE. */
static void blocked(void)
{
	struct device d;

	device_begin(&d, SECOND_STAGE);
	KTAP_CHECK(use_at(&d, MODEL_READ, IOVA));
	put(d.b, CONTEXT_AT, DIRECTORY | 9);
	flush_all(d.b);
	KTAP_CHECK(!use_at(&d, MODEL_READ, IOVA));
	KTAP_EQUAL(d.result.fault, 0x44);
	bench_end(d.b);
}

static const struct ktap_case cases[] = {
	{"what a device remembers, and asks again", remembers},
	{"few slots, and none", small},
	{"PASIDs and privilege", pasids},
	{"invalidations of every reach", invalidations},
	{"a stale device-TLB is reported", stale},
	{"translated requests need DTE", blocked},
};

KTAP_MAIN(cases)
