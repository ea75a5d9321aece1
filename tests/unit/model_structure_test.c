/* SPDX-License-Identifier: MIT */
/*
 * Entries that contradict each other (6.2.2, 6.2.3): what one domain id, or one domain id
 * and PASID, must have in common across devices, and what may differ.
 */
#include "tests/unit/model_scalable.h"

#define LEGACY_AT (CONTEXT + DEVICE * 16)

static struct bench *bench_legacy(const char *preset)
{
	struct bench *b = bench_new(preset);

	legacy_tables(b, 2);
	page_tables(b, SECOND_STAGE);
	start(b, LEGACY_MODE);
	return b;
}

static void structure(void)
{
	static const struct {
		unsigned pgtt;
		uint64_t e0, e1, e2;
		uint32_t pasid;
		const char *words;
	} cases[] = {
		{FIRST_STAGE, 0, 0, 0, 8, "its domain id serves another kind of translation at"},
		{SECOND_STAGE, BIT(20), 0, 0, 8, "its domain id has another second-stage table at"},
		{SECOND_STAGE, 1 << 2, 0, 0, 8, "its domain id has another second-stage table at"},
		{NESTED, 0, 0, 0, 7, "its domain id and PASID translate otherwise at"},
		{SECOND_STAGE, 0, 0, 0, 8, NULL},
		{SECOND_STAGE, BIT(20), 3, 0, 8, NULL}, /* another domain */
		{NESTED, 0, 0, 0, 8, NULL},
	};
	const uint16_t second = DEVICE + 1;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_scalable(SECOND_STAGE, 0, 0, 0);
		struct model_request request = {.requester = second,
		                                .has_pasid = true,
		                                .pasid = cases[i].pasid,
		                                .address = IOVA,
		                                .bytes = 8};

		/* the second device has a directory of its own */
		put(b, CONTEXT + second * 32, 0x9000 | 0x1d);
		put(b, 0x9000, 0xa000 | 1);
		memcpy(b->cpu + 0x48000, b->cpu + pasid_at(cases[i].pasid), 64);
		pasid_entry(b, cases[i].pasid, cases[i].pgtt, cases[i].e0, cases[i].e1,
		            cases[i].e2);
		memcpy(b->cpu + 0xa000 + cases[i].pasid * 64, b->cpu + pasid_at(cases[i].pasid),
		       64);
		memcpy(b->cpu + pasid_at(cases[i].pasid), b->cpu + 0x48000, 64);
		dma_pasid(b, MODEL_READ, 7, IOVA);
		ask(b, &request);
		if (cases[i].words) {
			/* the paging-structure cache serves the wrong table, too */
			REPORTED(b, MODEL_REPORT_STRUCTURE, cases[i].words);
			REPORTED(b, MODEL_REPORT_STRUCTURE, "00:02.1 read at 0x1000 PASID");
		} else {
			KTAP_EQUAL(b->reports, 0);
		}
		bench_end(b);
	}
}

static void structure_first(void)
{
	for (unsigned i = 0; i < 4; i++) {
		struct bench *b = bench_scalable(FIRST_STAGE, 0, 0, 0);
		struct model_request request = {.requester = DEVICE + 1,
		                                .has_pasid = true,
		                                .pasid = 7,
		                                .address = IOVA,
		                                .bytes = 8};

		put(b, CONTEXT + (DEVICE + 1) * 32, 0x9000 | 0x1d);
		put(b, 0x9000, 0xa000 | 1);
		memcpy(b->cpu + 0xa000 + 7 * 64, b->cpu + pasid_at(7), 64);
		put(b, 0xa000 + 7 * 64 + 16, FIRST | (i == 1 ? 0x8000 : i == 2 ? 4 : 0));
		dma_pasid(b, MODEL_READ, 7, IOVA);
		model_sanitizer_hold(b->unit, i == 3);
		ask(b, &request);
		if (i == 1 || i == 2)
			REPORTED(b, MODEL_REPORT_STRUCTURE,
			         "its domain id and PASID have another first-stage table at");
		else
			KTAP_EQUAL(b->reports, 0);
		bench_end(b);
	}
}

static void structure_legacy(void)
{
	static const struct {
		uint64_t low, high;
		bool wrong;
	} cases[] = {
		{TABLES | 1, DID << 8 | 2, false}, {TABLES | 1, DID << 8 | 2 | 0x78, false},
		{0x30000 | 1, DID << 8 | 2, true}, {TABLES | 1, DID << 8 | 3, true},
		{1 << 3 | 1, DID << 8 | 3, true},  {0x30000 | 1, 6 << 8 | 3, false},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_legacy("nesting");
		struct model_request request = {
			.requester = DEVICE + 1, .address = IOVA, .bytes = 8};

		put(b, LEGACY_AT + 16, cases[i].low);
		put(b, LEGACY_AT + 24, cases[i].high);
		READS(b, IOVA, HOST);
		ask(b, &request);
		if (!cases[i].wrong)
			KTAP_EQUAL(b->reports, 0);
		else
			REPORTED(b, MODEL_REPORT_STRUCTURE,
			         "its domain id has another table or width at");
		bench_end(b);
	}
	/* domain 0 is caching mode's */
	struct bench *b = bench_new("qemu-10.0-caching");

	legacy_tables(b, 2);
	put(b, LEGACY_AT + 8, 2);
	page_tables(b, SECOND_STAGE);
	start(b, LEGACY_MODE);
	READS(b, IOVA, HOST);
	ONE_REPORT(b, MODEL_REPORT_STRUCTURE, "domain id 0 belongs to caching mode");
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"domain ids that contradict each other", structure},
	{"domain ids of first-stage tables", structure_first},
	{"domain ids in legacy mode", structure_legacy},
};

KTAP_MAIN(cases)
