/* SPDX-License-Identifier: MIT */
/*
 * The model's registers: policies, handshakes, late commands, fault records and events,
 * register invalidation, protected memory, presets and shapes that cannot exist.
 */
#include "tests/unit/model_bench.h"

static void presets(void)
{
	KTAP_CHECK(model_preset_count() >= 10);
	for (unsigned i = 0; i < model_preset_count(); i++) {
		const struct model_config *config = model_preset(i);
		struct bench *b;

		KTAP_CHECK(!model_config_check(config));
		KTAP_CHECK(model_preset_find(config->name) == config);
		b = bench_make(config);
		KTAP_EQUAL(r32(b, 0), config->version);
		KTAP_CHECK(r64(b, 8) == config->cap && r64(b, 0x10) == config->ecap);
		KTAP_EQUAL(r32(b, 0x1c), 0);
		KTAP_EQUAL(r32(b, 0x38), 0x80000000u);
		KTAP_CHECK(!strcmp(model_unit_config(b->unit)->name, config->name));
		KTAP_CHECK((model_register_bytes(b->unit) & (model_register_bytes(b->unit) - 1)) ==
		           0);
		/* every preset translates something */
		legacy_tables(b, config->cap & 0x400 ? 2 : 1);
		put(b, CONTEXT + DEVICE * 16 + 8, 1 << 8 | (config->cap & 0x400 ? 2 : 1));
		put(b, way(b, TABLES, config->cap & 0x400 ? 4 : 3, 0x1000, 1, 3), 0x80000 | 3);
		start(b, 0);
		READS(b, 0x1000, 0x80000);
		KTAP_EQUAL(b->reports, 0);
		bench_end(b);
	}
	KTAP_CHECK(!model_preset(1000) && !model_preset_find("none"));
}

static void impossible(void)
{
	struct model_config good = *model_preset_find("nesting"), bad;
	const struct model_hooks none = {0};
	struct model_unit *memory = calloc(1, model_unit_bytes(&good));

	KTAP_CHECK(model_config_check(NULL) != NULL);
#define REFUSED(change)                                                                            \
	do {                                                                                       \
		bad = good;                                                                        \
		change;                                                                            \
		KTAP_CHECK(model_config_check(&bad) != NULL);                                      \
		KTAP_EQUAL(model_unit_bytes(&bad), 0);                                             \
	} while (0)
	REFUSED(bad.haw = 31);
	REFUSED(bad.haw = 53);
	REFUSED(bad.cap |= 7);
	REFUSED(bad.cap &= ~UINT64_C(0x1f00));
	REFUSED(bad.cap |= 0x100);
	REFUSED(bad.cap &= ~UINT64_C(0x3f0000));
	REFUSED(bad.cap = (bad.cap & ~(UINT64_C(0xf) << 34)) | UINT64_C(2) << 34);
	REFUSED(bad.cap &= ~(UINT64_C(0x3ff) << 24));
	REFUSED(bad.ecap &= ~UINT64_C(0x3ff00));
	REFUSED(bad.ecap = (bad.ecap & ~UINT64_C(0x3ff00)) | 0x8000);
	REFUSED(bad.ecap |= BIT(44));
	REFUSED(bad.ecap |= BIT(55));
	REFUSED(bad.ecap &= ~BIT(1));
	REFUSED(bad.ecap &= ~BIT(2));
	REFUSED(bad.ecap &= ~BIT(43));
	REFUSED(bad.ecap &= ~BIT(46));
	REFUSED(bad.ecap &= ~BIT(48));
	REFUSED(bad.ecap &= ~BIT(3));
	REFUSED((bad.ecap |= BIT(61), bad.ecap &= ~BIT(4)));
	REFUSED(bad.ecap |= UINT64_C(31) << 35);
	REFUSED(bad.cap &= ~BIT(61));
	REFUSED(bad.counters = 0);
	REFUSED(bad.counters = 17);
	REFUSED((bad.cap &= ~BIT(61), bad.ecap &= ~BIT(51), bad.counters = 0));
	REFUSED(bad.cap |= BIT(4));
	REFUSED(bad.pmr_shift = 11);
	REFUSED(bad.policy = (enum model_policy)9);
	REFUSED(bad.capacity[0] = 1u << 21);
#undef REFUSED
	KTAP_CHECK(!model_unit_init(memory, 1, &good, &none));
	KTAP_CHECK(!model_unit_init(memory, model_unit_bytes(&good), &good, &none));
	KTAP_CHECK(!model_unit_init(memory, model_unit_bytes(&good), &good, NULL));
	free(memory);
}

static void widths(void)
{
	struct bench *b = bench_new("nesting");
	uint64_t window = model_register_bytes(b->unit);

	KTAP_EQUAL(r64(b, 4 + 1), -1); /* unaligned */
	KTAP_EQUAL(model_read(b->unit, 0, 2), -1);
	KTAP_EQUAL(r32(b, window), ~0u);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 3);
	KTAP_CHECK(!strncmp(b->report.text, "model: register ", 16));
	w32(b, window, 1);
	r64(b, 0x38); /* two 32-bit registers in one access */
	w64(b, 0x38, 0);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 6);
	KTAP_EQUAL(r32(b, window - 4), 0);
	w32(b, window - 4, 1);
	/* 64-bit registers in halves */
	w32(b, 0x20, 0x12345000);
	w32(b, 0x24, 0x1);
	KTAP_EQUAL(r64(b, 0x20), 0x112345000);
	KTAP_EQUAL(r32(b, 0x24), 1);
	w64(b, 0x20, ~UINT64_C(0));
	KTAP_EQUAL(r64(b, 0x20), ~UINT64_C(0) & ~UINT64_C(0x3ff));
	w64(b, 0xb8, ~UINT64_C(0));
	KTAP_EQUAL(r64(b, 0xb8), ~UINT64_C(0) & ~UINT64_C(0x7f0));
	w64(b, 0x8, 0); /* read-only */
	KTAP_EQUAL(r64(b, 8), 0x39ed078c80780e66);
	KTAP_EQUAL(r32(b, 0x18), 0);
	w32(b, 0xd4, ~0u);
	w64(b, 0xd0, ~UINT64_C(0));
	KTAP_EQUAL(r64(b, 0xd0), ~UINT64_C(0xff8));
	w64(b, 0xc8, ~UINT64_C(0));
	KTAP_EQUAL(r64(b, 0xc8), 0x7ffe0);
	w64(b, 0xc0, 0x20);
	KTAP_EQUAL(r64(b, 0xc0), 0x20);
	bench_end(b);

	b = bench_new("old"); /* absent features read 0 and ignore writes */
	w64(b, 0x90, ~UINT64_C(0));
	w64(b, 0x88, 0x10);
	w64(b, 0xb8, ~UINT64_C(0));
	w64(b, 0xd0, ~UINT64_C(0));
	w64(b, 0xc8, 0x20);
	w64(b, 0xc0, 0x20);
	w32(b, 0xa4, 5);
	w32(b, 0xe4, 5);
	w64(b, 0x400, 0xf0);
	w64(b, 0x408, 1);
	w64(b, 0x108, ~UINT64_C(0));
	w64(b, 0x180, ~UINT64_C(0));
	KTAP_CHECK(!r64(b, 0x90) && !r64(b, 0x88) && !r64(b, 0xb8) && !r64(b, 0xd0) &&
	           !r64(b, 0xc8));
	KTAP_CHECK(!r64(b, 0xc0) && !r32(b, 0xa4) && !r32(b, 0xe4) && !r64(b, 0x410) &&
	           !r32(b, 0x324));
	KTAP_CHECK(!r64(b, 0x100) && !r64(b, 0x108) && !r64(b, 0x180) && !r64(b, 0x300));
	bench_end(b);
}

static void handshakes(void)
{
	struct model_config config = *model_preset_find("old");
	struct bench *b;

	config.latency.command = 100;
	b = bench_make(&config);
	legacy_tables(b, 1);
	put(b, CONTEXT + DEVICE * 16 + 8, 5 << 8 | 1);
	w64(b, 0x20, ROOT);
	command(b, SRTP, true);
	KTAP_EQUAL(r32(b, 0x1c), 0);
	w64(b, 0x20, 0x7000); /* while it is being latched */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 1);
	command(b, TE, true); /* while SRTP is pending: lost */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 2);
	w64(b, 0x20, ROOT);
	model_tick(b->unit, 99);
	KTAP_EQUAL(r32(b, 0x1c), 0);
	model_tick(b->unit, 1);
	KTAP_EQUAL(r32(b, 0x1c), BIT(30));
	KTAP_EQUAL(model_now(b->unit), 100);
	b->kinds[MODEL_REPORT_REGISTER] = 0;
	command(b, TE, true); /* before the invalidations that SRTP wants */
	model_tick(b->unit, 100);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 1);
	KTAP_EQUAL(r32(b, 0x1c), BIT(30) | BIT(31));
	command(b, WBF, true);
	KTAP_CHECK(r32(b, 0x1c) & BIT(27));
	model_tick(b->unit, 100);
	KTAP_CHECK(!(r32(b, 0x1c) & BIT(27)));
	command(b, TE, false);
	model_tick(b->unit, 100);
	command(b, TE, true); /* without SRTP before it */
	model_tick(b->unit, 100);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 2);
	command(b, QIE, true); /* no such thing */
	model_tick(b->unit, 100);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 3);
	KTAP_CHECK(!(r32(b, 0x1c) & BIT(26)));
	bench_end(b);

	config.latency.command = MODEL_NEVER;
	b = bench_make(&config);
	command(b, SRTP, true);
	model_tick(b->unit, MODEL_NEVER);
	model_tick(b->unit, MODEL_NEVER);
	KTAP_EQUAL(r32(b, 0x1c), 0);
	model_unit_reset(b->unit);
	KTAP_EQUAL(r32(b, 0x1c), 0);
	bench_end(b);

	b = bench_new("nesting");
	w32(b, 0x18, BIT(30) | BIT(24)); /* two at once */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 1);
	KTAP_EQUAL(r32(b, 0x1c), BIT(30) | BIT(24));
	command(b, IRE, true); /* the global invalidation is still owed */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 2);
	command(b, IRE, false);
	command(b, IRE, true);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 3);
	bench_end(b);
}

static void self_flushing(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.cap |= BIT(63) | BIT(62);
	b = bench_make(&config);
	legacy_tables(b, 2);
	put(b, way(b, TABLES, 4, 0x1000, 1, 3), 0x80000 | 3);
	w64(b, 0x20, ROOT);
	w64(b, 0xb8, IRTES | 7);
	command(b, SRTP, true);
	command(b, SIRTP, true);
	command(b, TE, true);
	command(b, IRE, true);
	KTAP_EQUAL(b->reports, 0);
	READS(b, 0x1000, 0x80000);
	put(b, ROOT, 0);
	command(b, SRTP, true);
	FAULTS(b, MODEL_READ, 0x1000, 0x01);
	put(b, ROOT, CONTEXT | 1);
	READS(b, 0x1000, 0x80000);
	command(b, IRE, false);
	command(b, TE, false); /* with SMTS all DMA caches go */
	KTAP_EQUAL(model_unit_statistics(b->unit)->caches[MODEL_CACHE_IOTLB].used, 0);
	bench_end(b);
}

static void modes(void)
{
	static const struct {
		const char *preset;
		unsigned ttm;
		uint64_t more;
		uint8_t reason;
	} cases[] = {
		{"nesting", 2, 0, 0x30},
		{"nesting", 3, 0, 0x33},
		{"sapphire-rapids", 3, 0, 0x30},
		{"nesting", 0, 0x80, 0x30},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct model_config config = *model_preset_find(cases[i].preset);
		const struct model_request page = {
			.kind = MODEL_PAGE_REQUEST, .last = true, .requester = DEVICE};
		struct bench *b;

		if (cases[i].more)
			config.ecap |= BIT(57);
		b = bench_make(&config);
		w64(b, 0x20, ROOT | cases[i].ttm << 10 | cases[i].more);
		command(b, SRTP, true);
		command(b, TE, true);
		FAULTS(b, MODEL_READ, 0x1000, cases[i].reason);
		KTAP_EQUAL(ask(b, &page).response, MODEL_INVALID_REQUEST);
		bench_end(b);
	}
}

/* Records fill, overflow, are cleared; one event until all is quiet. */
static void records(void)
{
	struct bench *b = bench_new("nesting");
	uint64_t at = 0x800;
	struct model_request request = {
		.requester = 0x1234, .address = 0x5008, .access = MODEL_WRITE};

	w32(b, 0x3c, 0x12345);
	w32(b, 0x40, 0xfee01003);
	w32(b, 0x44, 0x7);
	KTAP_CHECK(r32(b, 0x3c) == 0x2345 && r32(b, 0x40) == 0xfee01000 && r32(b, 0x44) == 7);
	start(b, 0);
	ask(b, &request); /* masked: pending */
	KTAP_EQUAL(r32(b, 0x34), 2);
	KTAP_EQUAL(r32(b, 0x38), 0xc0000000u);
	KTAP_EQUAL(r64(b, at), 0x5000);
	KTAP_EQUAL(r64(b, at + 8), (int64_t)(BIT(63) | UINT64_C(1) << 32 | 0x1234));
	w32(b, 0x38, 0);
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_FAULT], 1);
	KTAP_EQUAL(b->last_interrupt.address, 0x7fee01000);
	KTAP_EQUAL(b->last_interrupt.data, 0x2345);
	KTAP_EQUAL(r32(b, 0x38), 0);
	request.access = MODEL_ATOMIC;
	for (unsigned i = 1; i < 8; i++)
		ask(b, &request);
	KTAP_EQUAL(r64(b, at + 24),
	           (int64_t)(BIT(63) | BIT(62) | BIT(28) | UINT64_C(1) << 32 | 0x1234));
	KTAP_EQUAL(r32(b, 0x34), 2);
	ask(b, &request);
	KTAP_EQUAL(r32(b, 0x34), 3); /* PFO */
	ask(b, &request);
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_FAULT], 1);
	w32(b, 0x34, 1); /* PFO before the records */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 1);
	for (unsigned i = 0; i < 8; i++) {
		w32(b, at + 16 * i + 8, ~0u); /* not the word with F */
		w32(b, at + 16 * i + 12, 0x80000000u);
	}
	KTAP_EQUAL(r32(b, 0x34) & 0xff, 0);
	/* a read with a PASID, in the next record: index 0 again */
	request = (struct model_request){.requester = 1,
	                                 .has_pasid = true,
	                                 .pasid = 0xabcde,
	                                 .privileged = true,
	                                 .execute = true,
	                                 .address = 0x6000};
	ask(b, &request);
	KTAP_EQUAL(r32(b, 0x34), 2);
	KTAP_EQUAL(r64(b, at + 8),
	           (int64_t)(BIT(63) | BIT(62) | UINT64_C(0xabcde) << 40 | UINT64_C(0x31) << 32 |
	                     BIT(31) | BIT(30) | BIT(29) | 1));
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_FAULT], 2);
	/* pending goes when its cause does */
	w32(b, 0x38, 0x80000000u);
	w32(b, at + 12, 0x80000000u);
	ask(b, &request);
	KTAP_EQUAL(r32(b, 0x34), 1 << 8 | 2);
	KTAP_EQUAL(r32(b, 0x38), 0xc0000000u);
	w32(b, at + 28, 0x80000000u);
	KTAP_EQUAL(r32(b, 0x38), 0x80000000u);
	bench_end(b);
}

static void register_invalidation(void)
{
	struct model_config config = *model_preset_find("client-39");
	struct bench *b;
	uint64_t leaf, iotlb = 0x508;

	config.latency.invalidation = 10;
	b = bench_make(&config);
	legacy_tables(b, 1);
	leaf = way(b, TABLES, 3, 0x1000, 1, 3);
	put(b, leaf, 0x80000 | 3);
	w64(b, 0x20, ROOT);
	command(b, SRTP, true);
	w64(b, 0x28, BIT(63) | BIT(61));
	KTAP_CHECK(r64(b, 0x28) >> 63);
	w64(b, 0x28, 0); /* still pending */
	KTAP_CHECK(b->kinds[MODEL_REPORT_REGISTER] > 0);
	model_tick(b->unit, 10);
	KTAP_EQUAL(r64(b, 0x28), BIT(61) | BIT(59));
	w64(b, iotlb, BIT(63) | BIT(60));
	w64(b, iotlb, 0);
	model_tick(b->unit, 10);
	KTAP_EQUAL(r64(b, iotlb), BIT(60) | BIT(57));
	b->reports = 0;
	command(b, TE, true);
	READS(b, 0x1000, 0x80000);
	put(b, leaf, 0);
	w64(b, 0x500, 0x1000);
	w64(b, iotlb, BIT(63) | 3ull << 60 | 5ull << 32);
	model_tick(b->unit, 10);
	KTAP_EQUAL(r64(b, iotlb), 3ll << 60 | 3ll << 57 | 5ll << 32);
	FAULTS(b, MODEL_READ, 0x1000, 0x06);
	KTAP_EQUAL(r64(b, 0x500), 0);
	w64(b, 0x500, 19); /* AM above MAMV */
	w64(b, iotlb, BIT(63) | 3ull << 60 | 5ull << 32);
	model_tick(b->unit, 10);
	KTAP_EQUAL(r64(b, iotlb) >> 57 & 3, 0);
	w64(b, iotlb, BIT(63) | 3ull << 60 | 5ull << 32); /* IVA not written */
	model_tick(b->unit, 10);
	KTAP_EQUAL(r64(b, iotlb) >> 57 & 3, 0);
	w64(b, iotlb, BIT(63) | 2ull << 60 | 5ull << 32);
	model_tick(b->unit, 10);
	KTAP_EQUAL(r64(b, iotlb) >> 57 & 3, 2);
	w64(b, 0x28, BIT(63) | 3ull << 61 | DEVICE << 16 | 5); /* device */
	model_tick(b->unit, 10);
	KTAP_EQUAL(r64(b, 0x28) >> 59 & 15, 3 << 2 | 3);
	w64(b, 0x28, BIT(63)); /* reserved granularity */
	model_tick(b->unit, 10);
	KTAP_EQUAL(r64(b, 0x28), 0);
	w32(b, 0x28, 7); /* the lower half alone starts nothing */
	KTAP_EQUAL(r64(b, 0x28), 7);
	w32(b, iotlb + 4, 5);
	KTAP_EQUAL(r64(b, iotlb), 2ll << 57 | 5ll << 32); /* what was done last stays readable */
	queue_on(b, false);                               /* now only the queue serves */
	w64(b, 0x28, BIT(63) | BIT(61));
	w64(b, iotlb, BIT(63) | BIT(60));
	model_tick(b->unit, 10);
	KTAP_EQUAL(r64(b, 0x28) >> 59 & 3, 0);
	KTAP_EQUAL(r64(b, iotlb) >> 57 & 3, 0);
	KTAP_EQUAL(b->reports, 2);
	bench_end(b);

	b = bench_new("nesting"); /* version 7: registers are dead */
	w64(b, 0x28, BIT(63) | BIT(61));
	KTAP_EQUAL(r64(b, 0x28) >> 59 & 3, 0);
	bench_end(b);
}

static void protected_memory(void)
{
	struct model_config config = *model_preset_find("sapphire-rapids");
	struct bench *b;

	config.latency.command = 5;
	b = bench_make(&config);
	w32(b, 0x68, ~0u);
	KTAP_EQUAL(r32(b, 0x68), 0xffe00000u);
	w32(b, 0x68, 0x400000);
	w32(b, 0x6c, 0x400000); /* the smallest region: 2 MiB */
	w64(b, 0x70, UINT64_C(0x4000000000));
	w64(b, 0x78, ~UINT64_C(0));
	KTAP_EQUAL(r64(b, 0x78), 0x3fffffe00000);
	w32(b, 0x64, 0x80000000u);
	KTAP_EQUAL(r32(b, 0x64), 0x80000000u);
	w32(b, 0x64, 0); /* pending */
	w32(b, 0x18, BIT(30));
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 2);
	model_tick(b->unit, 5);
	KTAP_EQUAL(r32(b, 0x64), 0x80000001u);
	w32(b, 0x68, 0); /* fixed now */
	KTAP_EQUAL(r32(b, 0x68), 0x400000);
	KTAP_EQUAL(dma(b, MODEL_READ, 0x3ffff8).response, MODEL_SUCCESS);
	KTAP_EQUAL(dma(b, MODEL_READ, 0x400000).response, MODEL_UNSUPPORTED);
	KTAP_CHECK(b->result.protected_memory && !b->result.fault);
	KTAP_EQUAL(dma(b, MODEL_READ, 0x5ffff8).response, MODEL_UNSUPPORTED);
	KTAP_EQUAL(dma(b, MODEL_READ, 0x600000).response, MODEL_SUCCESS);
	KTAP_EQUAL(dma(b, MODEL_READ, 0x3fffffffff8).response, MODEL_UNSUPPORTED);
	model_tick(b->unit, 5);
	/* with translation on, the host address counts (version 2 and later) */
	legacy_tables(b, 2);
	put(b, way(b, TABLES, 4, 0x1000, 1, 3), 0x400000 | 3);
	put(b, way(b, TABLES, 4, 0x2000, 1, 3), 0x600000 | 3);
	w64(b, 0x20, ROOT);
	command(b, SRTP, true);
	model_tick(b->unit, 5);
	command(b, TE, true);
	model_tick(b->unit, 5);
	KTAP_EQUAL(dma(b, MODEL_READ, 0x1000).response, MODEL_UNSUPPORTED);
	KTAP_CHECK(b->result.protected_memory);
	READS(b, 0x2000, 0x600000);
	w32(b, 0x64, 0);
	model_tick(b->unit, 5);
	KTAP_EQUAL(r32(b, 0x64), 0);
	READS(b, 0x1000, 0x400000);
	bench_end(b);

	b = bench_new("client-39");
	w64(b, 0x70, ~UINT64_C(0));
	KTAP_EQUAL(r64(b, 0x70), 0x7ffff00000);
	bench_end(b);
	b = bench_new("old"); /* version 1: only while remapping is off */
	w32(b, 0x68, 0x400000);
	w32(b, 0x6c, 0x300000); /* limit below base: nothing protected */
	w64(b, 0x70, UINT64_C(0x100000000));
	w64(b, 0x78, UINT64_C(0x100000000));
	w32(b, 0x64, 0x80000000u);
	KTAP_EQUAL(dma(b, MODEL_READ, 0x400000).response, MODEL_SUCCESS);
	KTAP_EQUAL(dma(b, MODEL_READ, 0x100000000).response, MODEL_UNSUPPORTED);
	legacy_tables(b, 1);
	put(b, way(b, TABLES, 3, 0x1000, 1, 3), UINT64_C(0x100000000) | 3);
	start(b, 0);
	READS(b, 0x1000, 0x100000000);
	bench_end(b);
	b = bench_new("qemu-10.0"); /* absent */
	w32(b, 0x64, 0x80000000u);
	w32(b, 0x68, ~0u);
	w64(b, 0x70, ~UINT64_C(0));
	KTAP_CHECK(!r32(b, 0x64) && !r32(b, 0x68) && !r64(b, 0x70));
	bench_end(b);
}

static void enhanced_commands(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.latency.enhanced = 10;
	config.latency.command = 100;
	b = bench_make(&config);
	KTAP_EQUAL(r64(b, 0x448), 0x3f000000000000);
	w64(b, 0x408, 0x123);
	KTAP_EQUAL(r64(b, 0x420), 0);
	w64(b, 0x400, 0xf4);
	KTAP_EQUAL(r64(b, 0x410), 1);
	w64(b, 0x400, 0xf5); /* in progress: dropped */
	w32(b, 0x18, BIT(30));
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 2);
	model_tick(b->unit, 10);
	KTAP_EQUAL(r64(b, 0x410), 0);
	KTAP_EQUAL(r64(b, r32(b, 0x314)), 0xf); /* F4h it was, not the dropped F5h */
	w32(b, 0x404, 0);                       /* halves: the upper first */
	w32(b, 0x400, 0x55);
	model_tick(b->unit, 10);
	KTAP_EQUAL(r64(b, 0x410), 1 << 1); /* undefined */
	w64(b, 0x400, 0xfe);
	model_tick(b->unit, 10);
	KTAP_EQUAL(r64(b, 0x410), 1 << 1);
	w32(b, 0x18, BIT(30));
	w64(b, 0x400, 0xf4);
	model_tick(b->unit, 10);
	KTAP_EQUAL(r64(b, 0x410), 2 << 1); /* aborted: a global command is pending */
	bench_end(b);
}

static void memory_type_registers(void)
{
	struct bench *b = bench_new("nesting");

	KTAP_EQUAL(r64(b, 0x100), 0x50a);
	w64(b, 0x108, ~UINT64_C(0));
	KTAP_EQUAL(r64(b, 0x108), 0xcff);
	w64(b, 0x120, UINT64_C(0x0606060606060606));
	KTAP_EQUAL(r64(b, 0x120), 0x0606060606060606);
	w64(b, 0x180, ~UINT64_C(0));
	w64(b, 0x188, ~UINT64_C(0));
	KTAP_EQUAL(r64(b, 0x180), 0xffffffffff0ff);
	KTAP_EQUAL(r64(b, 0x188), 0xffffffffff800);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"presets are units that work", presets},
	{"shapes that cannot exist are refused", impossible},
	{"access widths and policies", widths},
	{"global commands, late ones too", handshakes},
	{"SRTP and SIRTP that flush", self_flushing},
	{"table modes", modes},
	{"fault records, overflow, event", records},
	{"register invalidation", register_invalidation},
	{"protected memory regions", protected_memory},
	{"enhanced commands", enhanced_commands},
	{"memory type registers", memory_type_registers},
};

KTAP_MAIN(cases)
