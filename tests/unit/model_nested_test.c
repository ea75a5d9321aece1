/* SPDX-License-Identifier: MIT */
/*
 * Nested translation of the model (3.8): every pair of page sizes, the count of a
 * two-dimensional walk, rights of both stages, flags of both stages and who must be allowed
 * to write them, and what each kind of invalidation makes the unit forget.
 */
#include "tests/unit/model_scalable.h"

enum { A = 1 << 5, D = 1 << 6, EA = 1 << 10, SA = 1 << 8, SD = 1 << 9 };

/* A first-stage page of any size on a second-stage page of any size. */
static void sizes(void)
{
	for (unsigned i = 0; i < 9; i++) {
		unsigned one = 1 + i % 3, two = 1 + i / 3;
		uint64_t first = BIT(12 + 9 * (one - 1)), second = BIT(12 + 9 * (two - 1));
		uint64_t iova = 0x40000000 + 2 * first,
			 guest = UINT64_C(0x200000000) & ~(first - 1);
		uint64_t offset = 0x1238, host = UINT64_C(0x700000000);
		struct bench *b = bench_new("nesting");

		scalable_tables(b, NESTED, 0, 0, 0);
		put(b, way(b, FIRST, 4, iova, one, 7), guest | 7 | (one > 1 ? 0x80 : 0));
		guest += offset & (first - 1);
		for (unsigned level = 4; level > two; level--) {
			/* tables of their own beside those that lead to the first stage's */
			uint64_t table = level == 4 ? TABLES : 0x70000 + level * 0x1000;
			uint64_t next = level == 4 ? TABLES + 0x1000 : 0x6f000 + level * 0x1000;

			if (level == 3)
				table = TABLES + 0x1000;
			put(b, table + (guest >> (12 + 9 * (level - 1)) & 511) * 8, next | 3);
		}
		put(b,
		    (two == 3 ? TABLES + 0x1000 : 0x70000 + two * 0x1000) +
		            (guest >> (12 + 9 * (two - 1)) & 511) * 8,
		    host | 3 | (two > 1 ? 0x80 : 0));
		start(b, SCALABLE_MODE);
		READS(b, iova + (offset & (first - 1)), host + (guest & (second - 1)));
		KTAP_EQUAL(b->result.page_bytes, first < second ? first : second);
		KTAP_EQUAL(b->result.first_stage_reads, 4 - one + 1);
		KTAP_CHECK(b->result.read && b->result.write);
		KTAP_EQUAL(b->reports, 0);
		READS(b, iova + (offset & (first - 1)), host + (guest & (second - 1)));
		KTAP_CHECK(b->result.cached);
		bench_end(b);
	}
}

/* n levels on m levels: n reads of the first stage, m * (n + 1) of the second. */
static void steps(void)
{
	for (unsigned n = 4; n <= 5; n++)
		for (unsigned m = 3; m <= 5; m++) {
			struct model_config config = *model_preset_find("nesting");
			struct bench *b;

			config.policy = MODEL_POLICY_NONE;
			b = bench_make(&config);
			scalable_context(b);
			pasid_entry(b, 0, NESTED, (2 ^ (m - 2)) << 2, 0, n == 5 ? 1 << 2 : 0);
			for (unsigned i = 0; i <= n; i++) {
				uint64_t at = i == n ? GUEST : FIRST + i * 0x1000;

				put(b, way(b, TABLES, m, at, 1, 3), (i == n ? HOST : at) | 3);
			}
			put(b, way(b, FIRST, n, IOVA, 1, 7), GUEST | 7);
			start(b, SCALABLE_MODE);
			for (unsigned again = 0; again < 2; again++) {
				READS(b, IOVA, HOST);
				KTAP_EQUAL(b->result.first_stage_reads, n);
				KTAP_EQUAL(b->result.second_stage_reads, m * (n + 1));
				KTAP_CHECK(!b->result.cached);
			}
			bench_end(b);
			/* with caches, the second stage's upper tables are read once */
			b = bench_new("nesting");
			scalable_context(b);
			pasid_entry(b, 0, NESTED, (2 ^ (m - 2)) << 2, 0, n == 5 ? 1 << 2 : 0);
			for (unsigned i = 0; i <= n; i++) {
				uint64_t at = i == n ? GUEST : FIRST + i * 0x1000;

				put(b, way(b, TABLES, m, at, 1, 3), (i == n ? HOST : at) | 3);
			}
			put(b, way(b, FIRST, n, IOVA, 1, 7), GUEST | 7);
			put(b, FIRST + (n - 1) * 0x1000 + 16, (GUEST + 0x1000) | 7);
			put(b, TABLES + (m - 1) * 0x1000 + 0x31 * 8, (HOST + 0x1000) | 3);
			start(b, SCALABLE_MODE);
			READS(b, IOVA, HOST);
			KTAP_EQUAL(b->result.second_stage_reads, m + n);
			READS(b, IOVA + 0x1000, HOST + 0x1000);
			KTAP_EQUAL(b->result.first_stage_reads, 1);
			KTAP_EQUAL(b->result.second_stage_reads, 1);
			KTAP_EQUAL(b->reports, 0);
			bench_end(b);
		}
}

/* What both stages allow, and which stage's reason is given. */
static void rights(void)
{
	for (unsigned i = 0; i < 24; i++) {
		bool write = i & 1;
		unsigned host = i >> 1 & 3;
		enum model_access access = (enum model_access)(i >> 3);
		struct bench *b = bench_scalable(NESTED, 0, 0, 0);
		uint8_t reason = 0;

		if (!host)
			reason = 0x79;
		else if (access != MODEL_READ && !(write && (host & 2)))
			reason = 0x85;
		else if (access != MODEL_WRITE && !(host & 1))
			reason = 0x86;
		put(b, FIRST_LEAF, GUEST | 5 | (write ? 2 : 0));
		put(b, GUEST_LEAF, HOST | host);
		dma(b, access, IOVA);
		KTAP_EQUAL(b->result.fault, reason);
		KTAP_EQUAL(b->result.response, reason ? MODEL_UNSUPPORTED : MODEL_SUCCESS);
		if (!reason) {
			KTAP_EQUAL(b->result.read, host & 1);
			KTAP_EQUAL(b->result.write, write && (host & 2));
		}
		KTAP_EQUAL(b->reports, 0);
		bench_end(b);
	}
}

/* Stages whose rights have nothing in common: no access, not even one of no bytes. */
static void nothing_in_common(void)
{
	struct bench *b = bench_scalable(NESTED, 0, 0, 0);
	struct model_request request = {.requester = DEVICE, .address = IOVA};

	put(b, FIRST_LEAF, GUEST | 5);
	put(b, GUEST_LEAF, 0xfee01000 | 2);
	KTAP_EQUAL(ask(b, &request).fault, 0x86);
	request.kind = MODEL_TRANSLATION; /* and so no page of the interrupt range either */
	KTAP_EQUAL(ask(b, &request).response, MODEL_SUCCESS);
	KTAP_CHECK(!b->result.read && !b->result.write && !b->result.fault);
	bench_end(b);
}

/* A read marks the page as used in both; tables count as written, as their flags are. */
static void flags(void)
{
	struct bench *b = bench_scalable(NESTED, SSADE, 0, EAFE);
	uint64_t leaves = TABLES + 0x3000 + 0x20 * 8;

	READS(b, IOVA, HOST);
	for (unsigned i = 0; i < 3; i++) {
		KTAP_EQUAL(get(b, TABLES + i * 0x1000), (TABLES + (i + 1) * 0x1000) | 3 | SA);
		KTAP_EQUAL(get(b, FIRST + i * 0x1000), (FIRST + (i + 1) * 0x1000) | 7 | A | EA);
	}
	for (unsigned i = 0; i < 4; i++)
		KTAP_EQUAL(get(b, leaves + i * 8), (FIRST + i * 0x1000) | 3 | SA | SD);
	KTAP_EQUAL(get(b, FIRST_LEAF), GUEST | 7 | A | EA);
	KTAP_EQUAL(get(b, GUEST_LEAF), HOST | 3 | SA);
	KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).response, MODEL_SUCCESS);
	KTAP_EQUAL(get(b, FIRST_LEAF), GUEST | 7 | A | EA | D);
	KTAP_EQUAL(get(b, GUEST_LEAF), HOST | 3 | SA | SD);
	KTAP_CHECK(!b->result.cached);
	KTAP_CHECK(dma(b, MODEL_WRITE, IOVA).cached);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);

	b = bench_scalable(NESTED, 0, 0, 0); /* without SSADE the second stage has no flags */
	KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).response, MODEL_SUCCESS);
	KTAP_EQUAL(get(b, FIRST_LEAF), GUEST | 7 | A | D);
	KTAP_EQUAL(get(b, GUEST_LEAF), HOST | 3);
	bench_end(b);

	b = bench_scalable(NESTED, SSADE, 0, 0); /* a page that may not be written stays clean */
	put(b, FIRST_LEAF, GUEST | 5);
	FAULTS(b, MODEL_WRITE, IOVA, 0x85);
	KTAP_EQUAL(get(b, FIRST_LEAF), GUEST | 5);
	KTAP_CHECK(!(get(b, GUEST_LEAF) & SD));
	bench_end(b);
}

/* Tables in pages that the second stage lets only be read. */
static void read_only_tables(void)
{
	struct bench *b = bench_scalable(NESTED, 0, 0, 0);
	uint64_t leaves = TABLES + 0x3000 + 0x20 * 8;

	for (unsigned i = 0; i < 4; i++)
		put(b, leaves + i * 8, (FIRST + i * 0x1000) | 1);
	FAULTS(b, MODEL_READ, IOVA, 0x77);
	for (unsigned i = 0; i < 3; i++)
		put(b, FIRST + i * 0x1000, (FIRST + (i + 1) * 0x1000) | 7 | A);
	FAULTS(b, MODEL_READ, IOVA, 0x77);
	put(b, FIRST_LEAF, GUEST | 7 | A);
	READS(b, IOVA, HOST);
	FAULTS(b, MODEL_WRITE, IOVA, 0x77);
	put(b, FIRST_LEAF, GUEST | 7 | A | D);
	KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).response, MODEL_SUCCESS);
	/* and through the remembered way, too */
	put(b, FIRST_LEAF + 8, (GUEST + 0x1000) | 7);
	put(b, GUEST_LEAF + 8, (HOST + 0x1000) | 3);
	FAULTS(b, MODEL_READ, IOVA + 0x1000, 0x77);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

/* Failing swaps in either stage, and in the second stage under a first-stage table. */
static void failing_flags(void)
{
	struct bench *b = bench_scalable(NESTED, SSADE, 0, 0);

	b->swap_fails = true;
	FAULTS(b, MODEL_READ, IOVA, 0x7d);
	b->swap_fails = false;
	b->swap_changes = 16;
	FAULTS(b, MODEL_READ, IOVA, 0x7d);
	b->swap_changes = 5;
	READS(b, IOVA, HOST);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
	b = bench_scalable(NESTED, SSADE, PWSNP, 0);
	FAULTS(b, MODEL_READ, IOVA, 0x7c);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

/* Which invalidation makes the unit see a change, by where the change is. */
static void invalidations(void)
{
	enum { GUEST_PAGE, GUEST_TABLE, HOST_PAGE, HOST_TABLE };
	static const struct {
		unsigned change;
		uint64_t low, high;
		bool seen;
	} cases[] = {
		{GUEST_PAGE, 6 | 3 << 4 | DID << 16, IOVA | BIT(6), true},
		{GUEST_PAGE, 6 | 3 << 4 | DID << 16, IOVA, true},
		{GUEST_PAGE, 6 | 3 << 4 | DID << 16, IOVA + 0x1000, false},
		{GUEST_PAGE, 6 | 3 << 4 | (DID + 1) << 16, IOVA, false},
		{GUEST_PAGE, 6 | 3 << 4 | DID << 16 | BIT(32), IOVA, false},
		{GUEST_PAGE, 6 | 2 << 4 | DID << 16, 0, true},
		{GUEST_TABLE, 6 | 3 << 4 | DID << 16, IOVA | BIT(6), false},
		{GUEST_TABLE, 6 | 3 << 4 | DID << 16, IOVA, true},
		{GUEST_TABLE, 6 | 2 << 4 | DID << 16, 0, true},
		{HOST_PAGE, 6 | 3 << 4 | DID << 16, IOVA, true}, /* IOTLB entry of both */
		{HOST_PAGE, 2 | 3 << 4 | DID << 16, GUEST | BIT(6), true},
		{HOST_PAGE, 2 | 2 << 4 | DID << 16, 0, true},
		{HOST_PAGE, 2 | 2 << 4 | (DID + 1) << 16, 0, false},
		{HOST_TABLE, 6 | 2 << 4 | DID << 16, 0, false}, /* second-stage way stays */
		{HOST_TABLE, 2 | 3 << 4 | DID << 16, GUEST | BIT(6), false},
		{HOST_TABLE, 2 | 3 << 4 | DID << 16, GUEST, true},
		{HOST_TABLE, 2 | 2 << 4 | DID << 16, 0, true},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_scalable(NESTED, 0, 0, 0);

		put(b, 0x38008, (GUEST + 0x1000) | 7); /* another last first-stage table */
		put(b, TABLES + 0x3000 + 0x38 * 8, 0x38000 | 3);
		put(b, GUEST_LEAF + 8, (HOST + 0x1000) | 3);
		memcpy(b->cpu + 0x39000, b->cpu + TABLES + 0x3000, 0x1000);
		put(b, 0x39000 + 8 * 0x30, (HOST + 0x1000) | 3);
		READS(b, IOVA, HOST);
		if (cases[i].change == GUEST_PAGE)
			put(b, FIRST_LEAF, (GUEST + 0x1000) | 7);
		else if (cases[i].change == GUEST_TABLE)
			put(b, FIRST + 0x2000, 0x38000 | 7);
		else if (cases[i].change == HOST_PAGE)
			put(b, GUEST_LEAF, (HOST + 0x1000) | 3);
		else
			put(b, TABLES + 0x2000, 0x39000 | 3);
		KTAP_CHECK(submit(b, cases[i].low, cases[i].high));
		dma(b, MODEL_READ, IOVA);
		if (b->result.address != HOST + (cases[i].seen ? 0x1000 : 0))
			printf("# case %u\n", i);
		KTAP_EQUAL(b->result.address, HOST + (cases[i].seen ? 0x1000 : 0));
		KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], !cases[i].seen);
		bench_end(b);
	}
}

/* Guest addresses end at min(MGAW, AW), whatever the first stage could say. */
static void guest_width(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.cap = (config.cap & ~(UINT64_C(0x3f) << 16)) | 45u << 16; /* MGAW 46 */
	b = bench_make(&config);
	scalable_tables(b, NESTED, 0, 0, 0);
	put(b, FIRST_LEAF + 8, BIT(46) | 7);
	put(b, FIRST_LEAF + 16, BIT(45) | 7);
	pasid_entry(b, 7, NESTED, 0, 0, BIT(46));
	start(b, SCALABLE_MODE);
	READS(b, IOVA, HOST);
	FAULTS(b, MODEL_READ, IOVA + 0x1000, 0x74);
	FAULTS(b, MODEL_READ, IOVA + 0x2000, 0x79);
	dma_pasid(b, MODEL_READ, 7, IOVA);
	KTAP_EQUAL(b->result.fault, 0x5b);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"every pair of page sizes", sizes},
	{"a walk in two dimensions has n and m(n+1) reads", steps},
	{"rights of both stages", rights},
	{"rights that have nothing in common", nothing_in_common},
	{"flags of both stages", flags},
	{"first-stage tables that may only be read", read_only_tables},
	{"flags that cannot be set", failing_flags},
	{"what each invalidation reaches", invalidations},
	{"the width of guest addresses", guest_width},
};

KTAP_MAIN(cases)
