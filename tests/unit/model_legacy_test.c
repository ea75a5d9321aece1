/* SPDX-License-Identifier: MIT */
/*
 * Legacy mode of the model: translation by second-stage tables of every depth and page
 * size, pass-through, each fault reason, and what the caches keep until told otherwise.
 */
#include "tests/unit/model_bench.h"

static void sizes_and_levels(void)
{
	static const struct {
		unsigned aw, level;
	} cases[] = {{1, 1}, {1, 2}, {1, 3}, {2, 1}, {2, 2}, {2, 3}, {3, 1}, {3, 2}, {3, 3}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_new("nesting");
		unsigned levels = cases[i].aw + 2, level = cases[i].level;
		uint64_t size = BIT(12 + 9 * (level - 1)), iova = 0x40000000 + 3 * size;
		uint64_t page = 0x700000000 & ~(size - 1);

		legacy_tables(b, cases[i].aw);
		put(b, way(b, TABLES, levels, iova, level, 3), page | 3 | (level > 1 ? 0x80 : 0));
		start(b, 0);
		READS(b, iova + 0x234, page + 0x234);
		KTAP_EQUAL(b->result.page_bytes, size);
		KTAP_CHECK(b->result.write && b->result.snoop);
		KTAP_EQUAL(b->result.second_stage_reads, levels - level + 1);
		KTAP_CHECK(!b->result.cached);
		READS(b, iova + size - 8, page + size - 8);
		KTAP_CHECK(b->result.cached);
		KTAP_EQUAL(b->reports, 0);
		bench_end(b);
	}
}

static void pass_through(void)
{
	struct bench *b = bench_new("nesting");

	legacy_tables(b, 3);
	put(b, CONTEXT + DEVICE * 16, 2 << 2 | 1);
	start(b, 0);
	READS(b, 0x123456780, 0x123456780);
	FAULTS(b, MODEL_READ, BIT(52), 0x04);
	bench_end(b);

	b = bench_new("nesting"); /* the width must be the largest */
	legacy_tables(b, 2);
	put(b, CONTEXT + DEVICE * 16, 2 << 2 | 1);
	start(b, 0);
	FAULTS(b, MODEL_READ, 0x1000, 0x03);
	bench_end(b);
}

/* One change to good tables, one reason. */
static void reasons(void)
{
	static const struct {
		uint64_t at, value, fail, address;
		enum model_access access;
		uint8_t reason;
	} cases[] = {
		{ROOT, 0, 0, 0x1000, MODEL_READ, 0x01},
		{ROOT, 0xff00, 0, 0x1000, MODEL_READ, 0x01}, /* not present, whatever else */
		{CONTEXT + DEVICE * 16, 0, 0, 0x1000, MODEL_READ, 0x02},
		{CONTEXT + DEVICE * 16, TABLES | 1 | 3 << 2, 0, 0x1000, MODEL_READ, 0x03},
		{CONTEXT + DEVICE * 16 + 8, 5 << 8 | 0, 0, 0x1000, MODEL_READ, 0x03},
		{CONTEXT + DEVICE * 16 + 8, 5 << 8 | 4, 0, 0x1000, MODEL_READ, 0x03},
		{0, 0, TABLES, 0x1000, MODEL_READ, 0x03},
		{0, 0, 0, BIT(48), MODEL_READ, 0x04},
		{TABLES + 0x3008, 0x80000 | 1, 0, 0x1000, MODEL_WRITE, 0x05},
		{TABLES + 0x3008, 0x80000 | 1, 0, 0x1000, MODEL_ATOMIC, 0x05},
		{TABLES + 0x3008, 0, 0, 0x1000, MODEL_WRITE, 0x05},
		{TABLES + 0x3008, 0x80000 | 2, 0, 0x1000, MODEL_READ, 0x06},
		{TABLES + 0x3008, 0, 0, 0x1000, MODEL_READ, 0x06},
		{TABLES + 0x1000, TABLES + 0x2000, 0, 0x1000, MODEL_READ, 0x06},
		{0, 0, TABLES + 0x2000, 0x1000, MODEL_READ, 0x07},
		{0, 0, ROOT, 0x1000, MODEL_READ, 0x08},
		{0, 0, CONTEXT, 0x1000, MODEL_READ, 0x09},
		{ROOT, CONTEXT | 1 | 2, 0, 0x1000, MODEL_READ, 0x0a},
		{ROOT, CONTEXT | 1 | BIT(52), 0, 0x1000, MODEL_READ, 0x0a},
		{ROOT + 8, 1, 0, 0x1000, MODEL_READ, 0x0a},
		{CONTEXT + DEVICE * 16, TABLES | 1 | 1 << 4, 0, 0x1000, MODEL_READ, 0x0b},
		{CONTEXT + DEVICE * 16, TABLES | 1 | BIT(52), 0, 0x1000, MODEL_READ, 0x0b},
		{CONTEXT + DEVICE * 16 + 8, 5 << 8 | 2 | BIT(7), 0, 0x1000, MODEL_READ, 0x0b},
		{CONTEXT + DEVICE * 16 + 8, 5 << 8 | 2 | BIT(24), 0, 0x1000, MODEL_READ, 0x0b},
		{TABLES, (TABLES + 0x1000) | 3 | 0x80, 0, 0x1000, MODEL_READ, 0x0c},
		{TABLES + 0x1000, (TABLES + 0x2000) | 3 | 0x800, 0, 0x1000, MODEL_READ, 0x0c},
		{TABLES + 0x2000, 0x201000 | 0x83, 0, 0x1000, MODEL_READ, 0x0c},
		{TABLES + 0x1000, 0x40001000 | 0x83, 0, 0x1000, MODEL_READ, 0x0c},
		{TABLES + 0x3008, 0x80000 | 3 | BIT(62), 0, 0x1000, MODEL_READ, 0x0c},
		{TABLES + 0x3008, 0xfee00000 | 3, 0, 0x1000, MODEL_READ, 0x0e},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_new("nesting");

		legacy_tables(b, 2);
		put(b, way(b, TABLES, 4, 0x1000, 1, 3), 0x80000 | 3);
		if (cases[i].at)
			put(b, cases[i].at, cases[i].value);
		start(b, 0);
		b->fail = cases[i].fail;
		FAULTS(b, cases[i].access, cases[i].address, cases[i].reason);
		KTAP_CHECK(strcmp(model_fault_name(cases[i].reason), "unknown") != 0);
		if (ktap_failed)
			printf("# case %u\n", i);
		KTAP_EQUAL(b->faults, 1);
		KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], 0);
		bench_end(b);
	}
	KTAP_CHECK(!strcmp(model_fault_name(0xff), "unknown"));
}

static void device_requests(void)
{
	static const struct {
		uint64_t tt;
		enum model_request_kind kind;
		enum model_response response;
		uint8_t reason;
		bool has_pasid;
	} cases[] = {
		{0, MODEL_TRANSLATION, MODEL_UNSUPPORTED, 0x0d, false},
		{0, MODEL_TRANSLATED, MODEL_UNSUPPORTED, 0x0d, false},
		{1, MODEL_TRANSLATION, MODEL_SUCCESS, 0, false},
		{1, MODEL_TRANSLATED, MODEL_SUCCESS, 0, false},
		{2, MODEL_TRANSLATED, MODEL_UNSUPPORTED, 0x0d, false},
		{0, MODEL_UNTRANSLATED, MODEL_UNSUPPORTED, 0x31, true},
		{1, MODEL_TRANSLATION, MODEL_UNSUPPORTED, 0x31, true},
		{1, MODEL_PAGE_REQUEST, MODEL_DROPPED, 0x32, false},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_new("nesting");
		const struct model_request request = {
			.kind = cases[i].kind,
			.requester = DEVICE,
			.address = 0x1000,
			.has_pasid = cases[i].has_pasid,
			.pasid = 3,
		};

		legacy_tables(b, cases[i].tt == 2 ? 3 : 2);
		put(b, CONTEXT + DEVICE * 16,
		    (cases[i].tt == 2 ? 0 : TABLES) | cases[i].tt << 2 | 1);
		put(b, way(b, TABLES, 4, 0x1000, 1, 3), 0x80000 | 3);
		start(b, 0);
		ask(b, &request);
		KTAP_EQUAL(b->result.response, cases[i].response);
		KTAP_EQUAL(b->result.fault, cases[i].reason);
		KTAP_EQUAL(take_fault(b), cases[i].reason);
		if (cases[i].kind == MODEL_TRANSLATION && !cases[i].reason) {
			KTAP_EQUAL(b->result.address, 0x80000);
			KTAP_CHECK(b->result.read && b->result.write && !b->result.no_snoop);
		}
		if (cases[i].kind == MODEL_TRANSLATED && !cases[i].reason)
			KTAP_EQUAL(b->result.address, 0x1000);
		bench_end(b);
	}
}

/* Completer abort for translation requests where tables are broken; 0 where nothing is there. */
static void translation_answers(void)
{
	struct bench *b = bench_new("nesting");
	struct model_request request = {
		.kind = MODEL_TRANSLATION, .requester = DEVICE, .address = 0x1000};

	legacy_tables(b, 2);
	put(b, CONTEXT + DEVICE * 16, TABLES | 1 << 2 | 1);
	put(b, way(b, TABLES, 4, 0x1000, 1, 3), 0x80000 | 1);
	put(b, way(b, TABLES, 4, 0x2000, 1, 3), 0x80000 | 3 | BIT(62));
	start(b, 0);
	KTAP_EQUAL(ask(b, &request).response, MODEL_SUCCESS);
	KTAP_CHECK(b->result.read && !b->result.write);
	request.address = 0x2000;
	KTAP_EQUAL(ask(b, &request).response, MODEL_ABORT);
	KTAP_EQUAL(take_fault(b), 0x0c);
	request.address = 0x3000;
	KTAP_EQUAL(ask(b, &request).response, MODEL_SUCCESS);
	KTAP_CHECK(!b->result.read && !b->result.write && !b->result.logged);
	request.address = BIT(49);
	KTAP_EQUAL(ask(b, &request).response, MODEL_SUCCESS);
	KTAP_CHECK(!b->result.read && !b->result.write && !b->result.logged);
	KTAP_EQUAL(b->result.fault, 0x04);
	/* the interrupt range: untranslated writes only */
	request.address = 0xfee01000;
	ask(b, &request);
	KTAP_CHECK(b->result.untranslated_only && b->result.write && !b->result.read);
	request.no_write = true;
	ask(b, &request);
	KTAP_CHECK(!b->result.untranslated_only && !b->result.write);
	KTAP_EQUAL(take_fault(b), 0);
	bench_end(b);
}

static void interrupt_range(void)
{
	struct bench *b = bench_new("nesting");
	struct model_request request = {.requester = DEVICE, .address = 0xfee00000, .bytes = 8};

	ask(b, &request); /* all off: blocked without a word */
	KTAP_EQUAL(b->result.response, MODEL_UNSUPPORTED);
	KTAP_EQUAL(b->result.fault, 0);
	legacy_tables(b, 2);
	start(b, 0);
	FAULTS(b, MODEL_READ, 0xfee00000, 0x29);
	FAULTS(b, MODEL_WRITE, 0xfee00000, 0x29);
	request.access = MODEL_WRITE;
	request.bytes = 4;
	request.address = 0xfee00002; /* not aligned: no interrupt */
	KTAP_EQUAL(ask(b, &request).fault, 0x29);
	request.address = 0xfee00000;
	KTAP_CHECK(ask(b, &request).interrupt);
	request.access = MODEL_READ;
	request.bytes = 0;
	KTAP_EQUAL(ask(b, &request).response, MODEL_SUCCESS);
	bench_end(b);
}

static void zero_length_and_snoop(void)
{
	struct bench *b = bench_new("nesting");
	struct model_request request = {.requester = DEVICE, .address = 0x1000};

	legacy_tables(b, 2);
	put(b, way(b, TABLES, 4, 0x1000, 1, 3), 0x80000 | 2);
	put(b, way(b, TABLES, 4, 0x2000, 1, 3), 0x81000 | 3 | BIT(11));
	start(b, 0);
	KTAP_EQUAL(ask(b, &request).response, MODEL_SUCCESS); /* ZLR of a write-only page */
	request.address = 0x3000;
	ask(b, &request);
	KTAP_EQUAL(take_fault(b), 0x06);
	request.address = 0x1000;
	request.bytes = 8;
	request.access = MODEL_WRITE;
	request.no_snoop = true;
	ask(b, &request);
	KTAP_CHECK(b->result.response == MODEL_SUCCESS && !b->result.snoop);
	request.address = 0x2000;
	ask(b, &request);
	KTAP_CHECK(b->result.snoop); /* SNP overrides */
	/* CAP.ZLR says so; without it a read of no bytes is a read */
	struct model_config config = *model_preset_find("nesting");

	config.cap &= ~BIT(22);
	bench_end(b);
	b = bench_make(&config);
	legacy_tables(b, 2);
	put(b, way(b, TABLES, 4, 0x1000, 1, 3), 0x80000 | 2);
	start(b, 0);
	request = (struct model_request){.requester = DEVICE, .address = 0x1000};
	KTAP_EQUAL(ask(b, &request).fault, 0x06);
	request.bytes = 0x1000;
	request.address = 0x2008; /* crosses a page: the bench's mistake */
	KTAP_CHECK(ask(b, &request).response != MODEL_SUCCESS);
	bench_end(b);
}

static void off(void)
{
	struct bench *b = bench_new("nesting");
	struct model_request request = {.requester = DEVICE, .address = 0x5000, .bytes = 8};

	KTAP_EQUAL(ask(b, &request).response, MODEL_SUCCESS);
	KTAP_EQUAL(b->result.address, 0x5000);
	request.kind = MODEL_TRANSLATION;
	KTAP_EQUAL(ask(b, &request).response, MODEL_UNSUPPORTED);
	request.address = 0xfee00000;
	KTAP_EQUAL(ask(b, &request).response, MODEL_UNSUPPORTED);
	request.kind = MODEL_PAGE_REQUEST;
	KTAP_EQUAL(ask(b, &request).response, MODEL_DROPPED);
	request.last = true;
	KTAP_EQUAL(ask(b, &request).response, MODEL_INVALID_REQUEST);
	bench_end(b);
}

static void fault_disable(void)
{
	struct bench *b = bench_new("nesting");

	legacy_tables(b, 2);
	put(b, CONTEXT + DEVICE * 16, TABLES | 2 | 1); /* FPD */
	start(b, 0);
	KTAP_EQUAL(dma(b, MODEL_READ, 0x1000).response, MODEL_UNSUPPORTED);
	KTAP_EQUAL(b->result.fault, 0x06);
	KTAP_CHECK(!b->result.logged);
	KTAP_EQUAL(take_fault(b), 0);
	dma(b, MODEL_READ, 0x1000); /* and from the cached context */
	KTAP_EQUAL(take_fault(b), 0);
	put(b, CONTEXT + DEVICE * 16, 2); /* FPD counts without P */
	KTAP_CHECK(submit(b, 1 | CC_GLOBAL, 0));
	dma(b, MODEL_READ, 0x1000);
	KTAP_EQUAL(b->result.fault, 0x02);
	KTAP_EQUAL(take_fault(b), 0);
	bench_end(b);
}

/* Faults are not remembered; translations are, until each invalidation that covers them. */
static void cached(void)
{
	struct bench *b = bench_new("nesting");
	uint64_t leaf;

	legacy_tables(b, 2);
	leaf = way(b, TABLES, 4, 0x1000, 1, 3);
	start(b, 0);
	FAULTS(b, MODEL_READ, 0x1000, 0x06);
	put(b, leaf, 0x80000 | 3);
	READS(b, 0x1000, 0x80000); /* not present to present needs nothing */
	KTAP_EQUAL(b->reports, 0);
	put(b, leaf, 0);
	READS(b, 0x1008, 0x80008); /* stale */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], 1);
	KTAP_CHECK(submit(b, 2 | 3 << 4 | 6 << 16, 0x1000)); /* another domain */
	READS(b, 0x1000, 0x80000);
	KTAP_CHECK(submit(b, 2 | 3 << 4 | 5 << 16, 0x2000)); /* another page */
	READS(b, 0x1000, 0x80000);
	KTAP_CHECK(submit(b, 2 | 3 << 4 | 5 << 16, 0x1000));
	FAULTS(b, MODEL_READ, 0x1000, 0x06);
	put(b, leaf, 0x80000 | 3);
	READS(b, 0x1000, 0x80000);
	put(b, leaf, 0);
	KTAP_CHECK(submit(b, 2 | 2 << 4 | 5 << 16, 0)); /* by domain */
	FAULTS(b, MODEL_READ, 0x1000, 0x06);
	put(b, leaf, 0x80000 | 3);
	READS(b, 0x1000, 0x80000);
	put(b, leaf, 0);
	KTAP_CHECK(submit(b, 2 | 3 << 4 | 5 << 16, 0 | 1)); /* AM 1: 0 and 1000h */
	FAULTS(b, MODEL_READ, 0x1000, 0x06);
	bench_end(b);
}

/* IH keeps the way to a table; without IH it goes. */
static void table_cache(void)
{
	struct bench *b = bench_new("nesting");
	uint64_t leaf;

	legacy_tables(b, 2);
	leaf = way(b, TABLES, 4, 0x1000, 1, 3);
	put(b, leaf, 0x80000 | 3);
	put(b, 0x30008, 0x90000 | 3); /* another last table, same index */
	start(b, 0);
	READS(b, 0x1000, 0x80000);
	put(b, TABLES + 0x2000, 0x30000 | 3);
	KTAP_CHECK(submit(b, 2 | 3 << 4 | 5 << 16, 0x1000 | BIT(6)));
	READS(b, 0x1000, 0x80000); /* through the remembered table */
	KTAP_EQUAL(b->result.second_stage_reads, 1);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], 1);
	KTAP_CHECK(submit(b, 2 | 3 << 4 | 5 << 16, 0x1000));
	READS(b, 0x1000, 0x90000);
	KTAP_EQUAL(b->result.second_stage_reads, 4);
	bench_end(b);
}

static void context_cache(void)
{
	static const struct {
		uint64_t low;
		bool hits;
	} cases[] = {
		{1 | CC_GLOBAL, true},
		{1 | CC_DOMAIN | 5 << 16, true},
		{1 | CC_DOMAIN | 6 << 16, false},
		{1 | CC_DEVICE | 5 << 16 | (uint64_t)DEVICE << 32, true},
		{1 | CC_DEVICE | 6 << 16 | (uint64_t)DEVICE << 32, false},
		{1 | CC_DEVICE | 5 << 16 | (uint64_t)(DEVICE + 1) << 32, false},
		{1 | CC_DEVICE | 5 << 16 | (uint64_t)(DEVICE + 4) << 32 | BIT(48), true},
		{1 | CC_DEVICE | 5 << 16 | (uint64_t)(DEVICE + 6) << 32 | BIT(49), true},
		{1 | CC_DEVICE | 5 << 16 | (uint64_t)(DEVICE + 7) << 32 | BIT(49) | BIT(48), true},
		{1 | CC_DEVICE | 5 << 16 | (uint64_t)(DEVICE + 8) << 32 | BIT(49) | BIT(48), false},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_new("nesting");

		legacy_tables(b, 2);
		put(b, way(b, TABLES, 4, 0x1000, 1, 3), 0x80000 | 3);
		start(b, 0);
		READS(b, 0x1000, 0x80000);
		put(b, CONTEXT + DEVICE * 16, 0);
		KTAP_CHECK(submit(b, cases[i].low, 0));
		KTAP_CHECK(submit(b, 2 | 1 << 4, 0));
		dma(b, MODEL_READ, 0x1000);
		KTAP_EQUAL(b->result.fault, cases[i].hits ? 0x02 : 0);
		KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], cases[i].hits ? 0 : 1);
		bench_end(b);
	}
}

static void caching_mode(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;
	uint64_t leaf;

	config.cap |= BIT(7);
	b = bench_make(&config);
	legacy_tables(b, 2);
	put(b, CONTEXT + DEVICE * 16, 0);
	leaf = way(b, TABLES, 4, 0x1000, 1, 3);
	start(b, 0);
	FAULTS(b, MODEL_READ, 0x1000, 0x02);
	put(b, CONTEXT + DEVICE * 16, TABLES | 1);
	FAULTS(b, MODEL_READ, 0x1000, 0x02);         /* remembered, under domain 0 */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], 0); /* memory faults too, with 06h */
	KTAP_CHECK(submit(b, 1 | CC_DEVICE | (uint64_t)DEVICE << 32, 0));
	FAULTS(b, MODEL_READ, 0x1000, 0x06);
	put(b, leaf, 0x80000 | 3);
	FAULTS(b, MODEL_READ, 0x1000, 0x06);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], 1);
	KTAP_CHECK(submit(b, 2 | 3 << 4 | 5 << 16, 0x1000));
	READS(b, 0x1000, 0x80000);
	bench_end(b);
}

static void policies(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.policy = MODEL_POLICY_NONE;
	b = bench_make(&config);
	legacy_tables(b, 2);
	put(b, way(b, TABLES, 4, 0x1000, 1, 3), 0x80000 | 3);
	start(b, 0);
	READS(b, 0x1000, 0x80000);
	READS(b, 0x1000, 0x80000);
	KTAP_CHECK(!b->result.cached);
	bench_end(b);

	config.policy = MODEL_POLICY_RANDOM;
	config.seed = 7;
	b = bench_make(&config);
	legacy_tables(b, 2);
	put(b, way(b, TABLES, 4, 0x1000, 1, 3), 0x80000 | 3);
	start(b, 0);
	for (unsigned i = 0; i < 200; i++)
		READS(b, 0x1000, 0x80000);
	KTAP_CHECK(model_unit_statistics(b->unit)->caches[MODEL_CACHE_IOTLB].evicted > 10);
	KTAP_CHECK(model_unit_statistics(b->unit)->caches[MODEL_CACHE_IOTLB].hits > 10);
	bench_end(b);

	config.policy = MODEL_POLICY_KEEP;
	config.capacity[MODEL_CACHE_IOTLB] = 2;
	config.over_invalidate = true;
	b = bench_make(&config);
	legacy_tables(b, 2);
	for (unsigned i = 0; i < 4; i++)
		put(b, way(b, TABLES, 4, i << 12, 1, 3), (0x80000 + (i << 12)) | 3);
	start(b, 0);
	for (unsigned i = 0; i < 4; i++)
		READS(b, i << 12, 0x80000 + (i << 12));
	KTAP_EQUAL(model_unit_statistics(b->unit)->caches[MODEL_CACHE_IOTLB].used, 2);
	KTAP_EQUAL(model_unit_statistics(b->unit)->caches[MODEL_CACHE_IOTLB].evicted, 2);
	KTAP_CHECK(submit(b, 2 | 3 << 4 | 9 << 16, 0)); /* another domain, but more may go */
	KTAP_EQUAL(model_unit_statistics(b->unit)->caches[MODEL_CACHE_IOTLB].used, 0);
	READS(b, 0, 0x80000);
	KTAP_CHECK(submit(b, 1 | CC_DEVICE, 0));
	KTAP_EQUAL(model_unit_statistics(b->unit)->caches[MODEL_CACHE_CONTEXT].used, 0);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"every depth and page size translates", sizes_and_levels},
	{"pass-through", pass_through},
	{"each reason by its own mistake", reasons},
	{"requests of devices with ATS", device_requests},
	{"answers to translation requests", translation_answers},
	{"the interrupt range is no memory", interrupt_range},
	{"zero-length reads and snooping", zero_length_and_snoop},
	{"remapping off", off},
	{"FPD", fault_disable},
	{"what the IOTLB keeps, and until when", cached},
	{"paging-structure cache and the invalidation hint", table_cache},
	{"context cache invalidation", context_cache},
	{"caching mode remembers absence", caching_mode},
	{"cache policies", policies},
};

KTAP_MAIN(cases)
