/* SPDX-License-Identifier: MIT */
/*
 * Page requests of the model (7.4 to 7.7): what lies in the queue, when an event is sent,
 * the full queue and its recovery, requests that get no place and what the device hears,
 * the invalidation that a stored request implies, responses.
 */
#include "tests/unit/model_scalable.h"

enum { PQH = 0xc0, PQT = 0xc8, PQA = 0xd0, PRS = 0xdc, PECTL = 0xe0, PEDATA = 0xe4, PEADDR = 0xe8 };
enum { PPR = 1, PRO = 2, ENTRIES = 0x1000 / 32 };

static struct bench *bench_pages(unsigned pgtt)
{
	struct bench *b = bench_new("nesting");

	w64(b, PQA, PAGES);
	w64(b, PQH, 0);
	scalable_tables(b, pgtt, 0, 0, SRE);
	start(b, SCALABLE_MODE);
	w32(b, PEDATA, 0x51);
	w32(b, PEADDR, 0xfee00000);
	w32(b, PECTL, 0);
	return b;
}

static struct model_request page_request(uint64_t address)
{
	return (struct model_request){.kind = MODEL_PAGE_REQUEST,
	                              .requester = DEVICE,
	                              .address = address,
	                              .page_read = true,
	                              .last = true,
	                              .group = 3};
}

static void stored(void)
{
	struct bench *b = bench_pages(FIRST_STAGE);
	struct model_request request = page_request(0x12345678);

	KTAP_EQUAL(ask(b, &request).response, MODEL_SUCCESS);
	KTAP_CHECK(b->result.stored);
	KTAP_EQUAL(get(b, PAGES), (uint64_t)DEVICE << 16 | 1);
	KTAP_EQUAL(get(b, PAGES + 8), 0x12345000 | 3 << 3 | 4 | 1);
	KTAP_EQUAL(get(b, PAGES + 16) | get(b, PAGES + 24), 0);
	KTAP_EQUAL(r64(b, PQT), 32);
	KTAP_EQUAL(r32(b, PRS), PPR);
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_PAGE_REQUEST], 1);
	KTAP_EQUAL(b->last_interrupt.data, 0x51);
	KTAP_EQUAL(b->page_requests, 1);
	request.has_pasid = request.privileged = true;
	request.pasid = 7;
	request.page_write = true;
	request.last = false;
	request.group = 0x1ff;
	KTAP_EQUAL(ask(b, &request).response, MODEL_SUCCESS);
	KTAP_EQUAL(get(b, PAGES + 32),
	           BIT(53) | (uint64_t)7 << 32 | (uint64_t)DEVICE << 16 | 0x101);
	KTAP_EQUAL(get(b, PAGES + 40), 0x12345000 | 0x1ff << 3 | 3);
	/* one event until both bits are clear */
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_PAGE_REQUEST], 1);
	w32(b, PRS, PPR);
	KTAP_EQUAL(r32(b, PRS), 0);
	ask(b, &request);
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_PAGE_REQUEST], 2);
	KTAP_EQUAL(model_unit_statistics(b->unit)->page_requests, 3);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

/* A masked event waits; clearing the bits takes it back. */
static void masked(void)
{
	struct bench *b = bench_pages(SECOND_STAGE);
	struct model_request request = page_request(0x1000);

	w32(b, PECTL, 0x80000000u);
	ask(b, &request);
	KTAP_EQUAL(r32(b, PECTL), 0xc0000000u);
	w32(b, PRS, PPR);
	KTAP_EQUAL(r32(b, PECTL), 0x80000000u);
	ask(b, &request);
	w32(b, PECTL, 0);
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_PAGE_REQUEST], 1);
	bench_end(b);
}

static void overflow(void)
{
	struct bench *b = bench_pages(PASS);
	struct model_request request = page_request(0x1000);

	for (unsigned i = 0; i < ENTRIES - 1; i++)
		KTAP_CHECK(ask(b, &request).stored);
	KTAP_EQUAL(r32(b, PRS), PPR);
	KTAP_EQUAL(ask(b, &request).response, MODEL_SUCCESS); /* answered, not stored */
	KTAP_CHECK(!b->result.stored);
	KTAP_EQUAL(r32(b, PRS), PPR | PRO);
	w32(b, PRS, PPR); /* one bit of two */
	KTAP_EQUAL(r32(b, PRS), PRO);
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_PAGE_REQUEST], 1);
	KTAP_EQUAL(r64(b, PQT), 0x1000 - 32);
	request.last = false;
	KTAP_EQUAL(ask(b, &request).response, MODEL_DROPPED);
	request.last = true;
	/* room alone does not help while PRO is set */
	w64(b, PQH, r64(b, PQT));
	KTAP_CHECK(!ask(b, &request).stored);
	w32(b, PRS, PRO | PPR);
	KTAP_CHECK(ask(b, &request).stored);
	KTAP_EQUAL(r64(b, PQT), 0); /* around the end */
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_PAGE_REQUEST], 2);
	bench_end(b);

	/* an overflow is an event of its own when nothing was pending */
	b = bench_pages(PASS);
	for (unsigned i = 0; i < ENTRIES - 1; i++)
		ask(b, &request);
	w32(b, PRS, PPR);
	ask(b, &request);
	KTAP_EQUAL(r32(b, PRS), PRO);
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_PAGE_REQUEST], 2);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

/* The end of a stream of a PASID: never answered. */
static void stop_marker(void)
{
	struct bench *b = bench_pages(FIRST_STAGE);
	struct model_request request = page_request(0);

	request.has_pasid = true;
	request.pasid = 7;
	request.page_read = false;
	KTAP_CHECK(ask(b, &request).stored);
	KTAP_EQUAL(get(b, PAGES + 8), 3 << 3 | 4);
	w64(b, PQH, 64); /* the queue is full now */
	KTAP_EQUAL(ask(b, &request).response, MODEL_DROPPED);
	w32(b, PRS, PRO | PPR);
	put(b, CONTEXT_AT, 0);
	flush_all(b);
	KTAP_EQUAL(ask(b, &request).response, MODEL_DROPPED);
	KTAP_EQUAL(b->result.fault, 0x41);
	bench_end(b);
}

/* Tables that refuse, a queue that cannot be written, a head that is out of place. */
static void refused(void)
{
	struct bench *b = bench_pages(SECOND_STAGE);
	struct model_request request = page_request(0x1000);

	b->fail_writes = true;
	KTAP_EQUAL(ask(b, &request).response, MODEL_INVALID_REQUEST);
	request.last = false;
	KTAP_EQUAL(ask(b, &request).response, MODEL_DROPPED);
	KTAP_EQUAL(r64(b, PQT), 0);
	KTAP_EQUAL(r32(b, PRS), 0);
	b->fail_writes = false;
	put(b, CONTEXT_AT, DIRECTORY | 0xd);
	flush_all(b);
	KTAP_EQUAL(ask(b, &request).response, MODEL_DROPPED);
	KTAP_EQUAL(b->result.fault, 0x47);
	KTAP_EQUAL(take_fault(b), 0x47);
	KTAP_EQUAL(b->reports, 0);
	w64(b, PQH, 0x2000);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 1);
	bench_end(b);
}

/* What a request is about is forgotten, and no more than that. */
static void forgets(void)
{
	static const struct {
		unsigned pgtt;
		uint64_t leaf, other, flags;
		bool all; /* of the domain */
	} cases[] = {
		{FIRST_STAGE, FIRST_LEAF, FIRST_LEAF + 8, 7, false},
		{SECOND_STAGE, SECOND_LEAF, SECOND_LEAF + 8, 3, false},
		{NESTED, GUEST_LEAF, GUEST_LEAF + 8, 3, true},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_pages(cases[i].pgtt);
		struct model_request request = page_request(IOVA);

		put(b, FIRST_LEAF + 8, (GUEST + 0x1000) | 7);
		put(b, cases[i].leaf, 0x90000 | cases[i].flags);
		put(b, cases[i].other, 0x91000 | cases[i].flags);
		READS(b, IOVA, 0x90000);
		READS(b, IOVA + 0x1000, 0x91000);
		put(b, cases[i].leaf, 0xa0000 | cases[i].flags);
		KTAP_CHECK(ask(b, &request).stored);
		READS(b, IOVA, 0xa0000);
		if (cases[i].all) /* not even the second stage's tables are remembered */
			KTAP_EQUAL(b->result.second_stage_reads, 4 + 4);
		READS(b, IOVA + 0x1000, 0x91000);
		KTAP_EQUAL(b->result.cached, !cases[i].all);
		KTAP_EQUAL(b->reports, 0);
		bench_end(b);
	}
}

/* A page group response (6.5.2.9) reaches the device with all that it says. */
static void responses(void)
{
	struct bench *b = bench_pages(SECOND_STAGE);

	KTAP_CHECK(submit(b, 9 | (uint64_t)DEVICE << 16 | 1 << 12 | 1 << 4 | (uint64_t)7 << 32,
	                  0x155 << 3));
	KTAP_EQUAL(b->responses, 1);
	KTAP_EQUAL(b->last_response.requester, DEVICE);
	KTAP_CHECK(b->last_response.has_pasid);
	KTAP_EQUAL(b->last_response.pasid, 7);
	KTAP_EQUAL(b->last_response.group, 0x155);
	KTAP_EQUAL(b->last_response.response, 1);
	KTAP_CHECK(submit(b, 9 | (uint64_t)DEVICE << 16 | 0xf << 12, 0));
	KTAP_EQUAL(b->last_response.response, 0xf);
	KTAP_CHECK(!b->last_response.has_pasid);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"descriptors and events", stored},          {"masked events", masked},
	{"overflow and recovery", overflow},         {"stop markers are not answered", stop_marker},
	{"requests that cannot be stored", refused}, {"a stored request forgets its page", forgets},
	{"page group responses", responses},
};

KTAP_MAIN(cases)
