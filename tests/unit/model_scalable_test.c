/* SPDX-License-Identifier: MIT */
/*
 * Scalable mode of the model (3.4.3, 9.3 to 9.6): both halves of the context table, PASIDs of
 * both directory pages, every type of translation, capabilities that turn fields into
 * reserved bits, snooping, caching mode, and what the context and PASID caches keep.
 */
#include "tests/unit/model_scalable.h"

/* Context entries of device 10h and up lie in the lower table, of 80h and up in the upper. */
static void both_halves(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, 0, 0, 0);
	struct model_request request = {.requester = 0x90, .address = IOVA, .bytes = 8};

	put(b, CONTEXT_HIGH + 0x10 * 32, DIRECTORY | 0x1d);
	KTAP_EQUAL(ask(b, &request).address, HOST);
	READS(b, IOVA, HOST);
	request.requester = 0x110; /* another bus: no root entry */
	KTAP_EQUAL(ask(b, &request).fault, 0x39);
	put(b, ROOT + 8, 0);
	flush_all(b);
	request.requester = 0x90;
	KTAP_EQUAL(ask(b, &request).fault, 0x39);
	READS(b, IOVA, HOST);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], 0);
	bench_end(b);
}

static void types(void)
{
	static const struct {
		unsigned pgtt;
		uint64_t address;
		uint64_t page;
	} cases[] = {
		{FIRST_STAGE, GUEST, 0x1000},
		{SECOND_STAGE, HOST, 0x1000},
		{NESTED, HOST, 0x1000},
		{PASS, IOVA, 0x1000},
	};

	for (unsigned i = 0; i < 4; i++) {
		struct bench *b = bench_scalable(cases[i].pgtt, 0, 0, 0);

		pasid_entry(b, 66, cases[i].pgtt, 0, 0, 0);
		READS(b, IOVA + 4, cases[i].address + 4);
		KTAP_EQUAL(b->result.page_bytes, cases[i].page);
		KTAP_EQUAL(dma_pasid(b, MODEL_WRITE, 7, IOVA).address, cases[i].address);
		KTAP_CHECK(!b->result.cached);
		KTAP_EQUAL(dma_pasid(b, MODEL_ATOMIC, 66, IOVA).address, cases[i].address);
		KTAP_CHECK(dma_pasid(b, MODEL_ATOMIC, 66, IOVA).cached);
		KTAP_EQUAL(b->reports, 0);
		bench_end(b);
	}
}

/* Second-stage depths and page sizes in scalable mode; sizes that the unit does not have. */
static void second_stage(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	for (unsigned i = 0; i < 9; i++) {
		unsigned aw = 1 + i % 3, level = 1 + i / 3;
		uint64_t size = BIT(12 + 9 * (level - 1)), iova = 0x40000000 + 3 * size;
		uint64_t page = UINT64_C(0x700000000) & ~(size - 1);

		b = bench_new("nesting");
		scalable_context(b);
		pasid_entry(b, 0, SECOND_STAGE, (uint64_t)(aw ^ 2) << 2, 0, 0);
		put(b, way(b, TABLES, aw + 2, iova, level, 3), page | 3 | (level > 1 ? 0x80 : 0));
		start(b, SCALABLE_MODE);
		READS(b, iova + 0x10, page + 0x10);
		KTAP_EQUAL(b->result.page_bytes, size);
		KTAP_EQUAL(b->result.second_stage_reads, aw + 2 - level + 1);
		FAULTS(b, MODEL_READ, BIT(12 + 9 * (aw + 2)) & (BIT(58) - 1), 0x84);
		bench_end(b);
	}
	config.cap &= ~(UINT64_C(0xf) << 34);
	for (unsigned level = 2; level <= 3; level++) {
		b = bench_make(&config);
		scalable_context(b);
		pasid_entry(b, 0, SECOND_STAGE, 0, 0, 0);
		put(b, way(b, TABLES, 4, 0x40000000, level, 3), 0x40000083);
		start(b, SCALABLE_MODE);
		FAULTS(b, MODEL_READ, 0x40000000, 0x7a);
		bench_end(b);
	}
}

/* A field whose capability is missing is reserved. */
static void capabilities(void)
{
	static const struct {
		uint64_t cap, ecap; /* cleared */
		uint64_t at, value; /* turned over */
		uint8_t reason;
		unsigned pgtt;
	} cases[] = {
		{0, BIT(29) | BIT(42), CONTEXT_AT, 0, 0x42, SECOND_STAGE},
		{0, BIT(40), CONTEXT_AT, 0, 0x42, SECOND_STAGE},
		{0, BIT(2) | BIT(29) | BIT(33) | BIT(41) | BIT(42) | BIT(56), CONTEXT_AT, BIT(4),
	         0x42, SECOND_STAGE},
		{0, BIT(56), CONTEXT_AT, BIT(6), 0x42, SECOND_STAGE},
		{0, BIT(49), CONTEXT_AT + 8, 7, 0x42, SECOND_STAGE},
		{0, BIT(53), CONTEXT_AT + 8, BIT(20), 0x42, SECOND_STAGE},
		{0, BIT(45), PASIDS, SSADE, 0x5a, SECOND_STAGE},
		{0, BIT(45), PASIDS, SSADE, 0, FIRST_STAGE},
		{0, BIT(25), PASIDS + 8, BIT(26), 0x5a, SECOND_STAGE},
		{0, BIT(25), PASIDS + 8, BIT(26), 0, FIRST_STAGE},
		{0, BIT(25), PASIDS + 8, BIT(25), 0x5a, PASS},
		{0, BIT(25), PASIDS + 8, BIT(32), 0x5a, FIRST_STAGE},
		{0, BIT(25), PASIDS + 8, BIT(32), 0, SECOND_STAGE},
		{0, BIT(48) | BIT(45) | BIT(34), PASIDS + 8, 0, 0x5a, SECOND_STAGE},
		{0, BIT(7), PASIDS + 8, PGSNP, 0x5a, PASS},
		{4, 0, PASIDS + 8, BIT(9), 0x5a, SECOND_STAGE}, /* domain ids of 8 bits */
		{0, BIT(31), PASIDS + 16, SRE, 0x5a, FIRST_STAGE},
		{0, BIT(34), PASIDS + 16, EAFE, 0x5a, NESTED},
		{0, BIT(34), PASIDS + 16, EAFE, 0, SECOND_STAGE},
		{0, BIT(26), PASIDS, 0, 0x5b, NESTED},
		{0, BIT(26) | BIT(46), PASIDS, 0, 0x5b, SECOND_STAGE},
		{0, BIT(26) | BIT(47), PASIDS, 0, 0x5b, FIRST_STAGE},
		{0, BIT(6), PASIDS, 0, 0x5b, PASS},
		{BIT(11), 0, PASIDS, 1 << 2, 0x5b, SECOND_STAGE},     /* 57 bits not in SAGAW */
		{0, 0, PASIDS + 16, BIT(5) | BIT(6), 0, FIRST_STAGE}, /* ignored since 5.x */
		{0, BIT(7), SECOND_LEAF, BIT(11), 0x7a, SECOND_STAGE},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct model_config config = *model_preset_find("nesting");
		struct bench *b;

		config.cap &= ~cases[i].cap;
		config.ecap &= ~cases[i].ecap;
		b = bench_make(&config);
		scalable_tables(b, cases[i].pgtt, 0, 0, 0);
		put(b, cases[i].at, get(b, cases[i].at) ^ cases[i].value);
		start(b, SCALABLE_MODE);
		KTAP_EQUAL(dma(b, MODEL_READ, IOVA).fault, cases[i].reason);
		if (ktap_failed)
			printf("# case %u\n", i);
		bench_end(b);
	}
	/* and in legacy mode: domain id bits, the types of translation */
	for (unsigned i = 0; i < 4; i++) {
		struct model_config config = *model_preset_find("nesting");
		struct bench *b;

		if (i == 0)
			config.cap &= ~UINT64_C(4);
		if (i == 1)
			config.ecap &= ~(BIT(2) | BIT(29) | BIT(33) | BIT(41) | BIT(42) | BIT(56));
		if (i == 2)
			config.ecap &= ~BIT(6);
		b = bench_make(&config);
		legacy_tables(b, 3);
		put(b, CONTEXT + DEVICE * 16, TABLES | 1 | (i == 1 ? 4 : i == 2 ? 8 : 0));
		put(b, CONTEXT + DEVICE * 16 + 8, (i == 0 ? 0x105 : 5) << 8 | 3);
		put(b, way(b, TABLES, 5, IOVA, 1, 3), HOST | 3);
		start(b, LEGACY_MODE);
		KTAP_EQUAL(dma(b, MODEL_READ, IOVA).fault, i == 0 ? 0x0b : i == 3 ? 0 : 0x03);
		bench_end(b);
	}
}

/* Snooping: NS of the request, PGSNP, SNP of a leaf; N of a completion. */
static void snooping(void)
{
	for (unsigned i = 0; i < 32; i++) {
		unsigned pgtt = 1 + (i & 3);
		bool pgsnp = i & 4, snp = i & 8, no_snoop = i & 16;
		bool second = pgtt == SECOND_STAGE || pgtt == NESTED;
		bool forced = pgsnp || (second && snp);
		struct bench *b = bench_scalable(pgtt, 0, pgsnp ? PGSNP : 0, 0);
		struct model_request request = {
			.requester = DEVICE, .address = IOVA, .bytes = 8, .no_snoop = no_snoop};

		put(b, SECOND_LEAF, HOST | 3 | (snp ? 0x800 : 0));
		put(b, GUEST_LEAF, HOST | 3 | (snp ? 0x800 : 0));
		for (unsigned again = 0; again < 2; again++)
			KTAP_EQUAL(ask(b, &request).snoop, !no_snoop || forced);
		request.kind = MODEL_TRANSLATION;
		KTAP_EQUAL(ask(b, &request).no_snoop, forced);
		bench_end(b);
	}
}

/* FPD keeps faults out of the records when the IOTLB finds them, too. */
static void fault_disable_cached(void)
{
	for (unsigned i = 0; i < 4; i++) {
		static const uint64_t at[] = {0, CONTEXT_AT, DIRECTORY, PASIDS};
		struct bench *b = bench_scalable(SECOND_STAGE, 0, 0, 0);

		put(b, SECOND_LEAF, HOST | 1);
		if (i)
			put(b, at[i], get(b, at[i]) | 2);
		READS(b, IOVA, HOST);
		KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).fault, 0x85);
		KTAP_CHECK(b->result.cached);
		KTAP_EQUAL(b->result.logged, !i);
		KTAP_EQUAL(b->faults, !i);
		bench_end(b);
	}
}

/* What each invalidation makes the unit see of a changed context or PASID entry. */
static void invalidations(void)
{
	static const struct {
		uint64_t low;
		bool context, pasid; /* which change is seen */
	} cases[] = {
		{1 | CC_GLOBAL, true, false},
		{1 | CC_DOMAIN | 9 << 16, true, false}, /* entries have no domain: all go */
		{1 | CC_DEVICE | (uint64_t)DEVICE << 32, true, false},
		{1 | CC_DEVICE | (uint64_t)(DEVICE + 1) << 32, false, false},
		{7 | 3 << 4, false, true},
		{7 | 0 << 4 | DID << 16, false, true},
		{7 | 0 << 4 | (DID + 1) << 16, false, false},
		{7 | 1 << 4 | DID << 16 | (uint64_t)7 << 32, false, true},
		{7 | 1 << 4 | DID << 16 | (uint64_t)6 << 32, false, false},
		{7 | 1 << 4 | (DID + 1) << 16 | (uint64_t)7 << 32, false, false},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_scalable(SECOND_STAGE, 0, 0, 0);

		dma_pasid(b, MODEL_READ, 7, IOVA);
		put(b, CONTEXT_AT, 0);
		KTAP_CHECK(submit(b, cases[i].low, 0));
		KTAP_CHECK(submit(b, 2 | 1 << 4, 0));
		KTAP_EQUAL(dma_pasid(b, MODEL_READ, 7, IOVA).fault, cases[i].context ? 0x41 : 0);
		KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], !cases[i].context);
		bench_end(b);

		b = bench_scalable(SECOND_STAGE, 0, 0, 0);
		dma_pasid(b, MODEL_READ, 7, IOVA);
		put(b, pasid_at(7), 0);
		KTAP_CHECK(submit(b, cases[i].low, 0));
		KTAP_CHECK(submit(b, 2 | 1 << 4, 0));
		KTAP_EQUAL(dma_pasid(b, MODEL_READ, 7, IOVA).fault, cases[i].pasid ? 0x59 : 0);
		KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], !cases[i].pasid);
		bench_end(b);
	}
}

/* Caching mode: absence is remembered, under domain 0, until it is invalidated. */
static void caching_mode(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.cap |= BIT(7);
	b = bench_make(&config);
	scalable_tables(b, SECOND_STAGE, 0, 0, 0);
	put(b, CONTEXT_AT, 0);
	put(b, DIRECTORY, 0);
	put(b, pasid_at(7), 0);
	put(b, SECOND_LEAF, 0);
	start(b, SCALABLE_MODE);
	KTAP_EQUAL(dma_pasid(b, MODEL_READ, 7, IOVA).fault, 0x41);
	put(b, CONTEXT_AT, DIRECTORY | 0x1d);
	KTAP_EQUAL(dma_pasid(b, MODEL_READ, 7, IOVA).fault, 0x41);
	KTAP_CHECK(submit(b, 1 | CC_DEVICE | (uint64_t)DEVICE << 32, 0));
	KTAP_EQUAL(dma_pasid(b, MODEL_READ, 7, IOVA).fault, 0x51);
	put(b, DIRECTORY, PASIDS | 1);
	KTAP_EQUAL(dma_pasid(b, MODEL_READ, 7, IOVA).fault, 0x51);
	KTAP_CHECK(submit(b, 7 | 1 << 4 | (uint64_t)7 << 32, 0));
	KTAP_EQUAL(dma_pasid(b, MODEL_READ, 7, IOVA).fault, 0x59);
	pasid_entry(b, 7, SECOND_STAGE, 0, 0, 0);
	KTAP_EQUAL(dma_pasid(b, MODEL_READ, 7, IOVA).fault, 0x59);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], 0); /* memory refuses, too: 79h */
	KTAP_CHECK(submit(b, 7 | 1 << 4 | (uint64_t)7 << 32, 0));
	KTAP_EQUAL(dma_pasid(b, MODEL_READ, 7, IOVA).fault, 0x79);
	KTAP_EQUAL(model_sanitizer_check(b->unit), 0);
	put(b, SECOND_LEAF, HOST | 3);
	KTAP_EQUAL(dma_pasid(b, MODEL_READ, 7, IOVA).fault, 0x79);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], 1);
	KTAP_CHECK(submit(b, 2 | 3 << 4 | DID << 16, IOVA));
	KTAP_EQUAL(dma_pasid(b, MODEL_READ, 7, IOVA).address, HOST);
	bench_end(b);
	/* first-stage absence is never remembered */
	b = bench_make(&config);
	scalable_tables(b, FIRST_STAGE, 0, 0, 0);
	put(b, FIRST_LEAF, 0);
	start(b, SCALABLE_MODE);
	FAULTS(b, MODEL_READ, IOVA, 0x71);
	put(b, FIRST_LEAF, GUEST | 7);
	READS(b, IOVA, GUEST);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

enum { PROTECTED = 0x200000 };

/* Protected memory blocks what tables allow, and does not say so in the records. */
static void protected_memory(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, 0, 0, 0);
	struct model_request request = {
		.kind = MODEL_TRANSLATION, .requester = DEVICE, .address = IOVA};

	put(b, SECOND_LEAF, 0x200000 | 3);
	w64(b, 0x70, BIT(32)); /* above its limit: no high region */
	w32(b, 0x68, 0x200000);
	w32(b, 0x6c, 0x3fffff);
	w32(b, 0x64, 0x80000000u);
	KTAP_EQUAL(dma(b, MODEL_READ, IOVA).response, MODEL_UNSUPPORTED);
	KTAP_CHECK(b->result.protected_memory);
	KTAP_EQUAL(b->faults, 0);
	KTAP_EQUAL(ask(b, &request).address, PROTECTED); /* no memory is accessed yet */
	request.kind = MODEL_TRANSLATED;
	request.address = PROTECTED;
	request.bytes = 8;
	KTAP_CHECK(ask(b, &request).protected_memory);
	command(b, TE, false);
	KTAP_CHECK(dma(b, MODEL_READ, PROTECTED).protected_memory);
	READS(b, IOVA, IOVA);
	w32(b, 0x64, 0);
	READS(b, PROTECTED, PROTECTED);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"both halves of the context table", both_halves},
	{"every type of translation, with and without PASID", types},
	{"second stage: depths, page sizes, widths", second_stage},
	{"fields whose capability is missing", capabilities},
	{"snooping and the N bit", snooping},
	{"FPD on the way to a cached translation", fault_disable_cached},
	{"context and PASID cache invalidation", invalidations},
	{"caching mode", caching_mode},
	{"protected memory", protected_memory},
};

KTAP_MAIN(cases)
