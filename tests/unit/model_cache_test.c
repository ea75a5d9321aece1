/* SPDX-License-Identifier: MIT */
/*
 * The model's caches: capacity, eviction, holes, the policies that remember nothing or
 * forget at random, statistics; and the performance counters that watch them (11.4.13).
 */
#include "tests/unit/model_bench.h"

#include "model/unit.h"

static struct bench *translating(const struct model_config *config)
{
	struct bench *b = bench_make(config);

	legacy_tables(b, 2);
	for (uint64_t page = 0; page < 64; page++)
		put(b, way(b, TABLES, 4, page << 12, 1, 3), 0x80000 | page << 12 | 3);
	start(b, 0);
	return b;
}

static const struct model_cache_statistics *counts(struct bench *b, enum model_cache which)
{
	return &model_unit_statistics(b->unit)->caches[which];
}

static void read_pages(struct bench *b, unsigned first, unsigned count)
{
	for (uint64_t page = first; page < first + count; page++)
		READS(b, page << 12 | 8, 0x80008 | page << 12);
}

static void keeps(void)
{
	struct bench *b = translating(model_preset_find("nesting"));
	const struct model_cache_statistics *iotlb = counts(b, MODEL_CACHE_IOTLB);

	read_pages(b, 0, 64);
	KTAP_EQUAL(iotlb->lookups, 64);
	KTAP_EQUAL(iotlb->hits, 0);
	KTAP_EQUAL(iotlb->inserted, 64);
	KTAP_EQUAL(iotlb->used, 64);
	KTAP_EQUAL(counts(b, MODEL_CACHE_CONTEXT)->used, 1);
	KTAP_EQUAL(counts(b, MODEL_CACHE_CONTEXT)->hits, 63);
	read_pages(b, 0, 64);
	KTAP_EQUAL(iotlb->hits, 64);
	KTAP_EQUAL(iotlb->inserted, 64);
	KTAP_EQUAL(iotlb->evicted, 0);
	model_unit_reset(b->unit);
	KTAP_EQUAL(iotlb->used, 0);
	KTAP_EQUAL(iotlb->lookups, 128); /* counts remain */
	bench_end(b);
}

static void evicts(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.capacity[MODEL_CACHE_IOTLB] = 4;
	b = translating(&config);
	read_pages(b, 0, 6); /* 4 and 5 take the places of 0 and 1 */
	KTAP_EQUAL(counts(b, MODEL_CACHE_IOTLB)->used, 4);
	KTAP_EQUAL(counts(b, MODEL_CACHE_IOTLB)->evicted, 2);
	read_pages(b, 2, 4);
	KTAP_EQUAL(counts(b, MODEL_CACHE_IOTLB)->hits, 4);
	read_pages(b, 0, 1);
	KTAP_EQUAL(counts(b, MODEL_CACHE_IOTLB)->hits, 4);
	KTAP_EQUAL(counts(b, MODEL_CACHE_IOTLB)->evicted, 3);
	bench_end(b);
}

static void holes(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.capacity[MODEL_CACHE_IOTLB] = 4;
	b = translating(&config);
	read_pages(b, 0, 4);
	KTAP_CHECK(submit(b, 2 | 3 << 4 | 5 << 16, 0x2000)); /* leaves a hole */
	KTAP_EQUAL(counts(b, MODEL_CACHE_IOTLB)->invalidated, 1);
	KTAP_EQUAL(counts(b, MODEL_CACHE_IOTLB)->used, 3);
	read_pages(b, 7, 1); /* which the next one fills: nobody is evicted */
	KTAP_EQUAL(counts(b, MODEL_CACHE_IOTLB)->used, 4);
	KTAP_EQUAL(counts(b, MODEL_CACHE_IOTLB)->evicted, 0);
	read_pages(b, 3, 1);
	KTAP_EQUAL(counts(b, MODEL_CACHE_IOTLB)->hits, 1);
	bench_end(b);
}

static void none(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.policy = MODEL_POLICY_NONE;
	b = translating(&config);
	read_pages(b, 0, 8);
	read_pages(b, 0, 8);
	for (unsigned i = 0; i < MODEL_CACHES; i++) {
		KTAP_EQUAL(counts(b, (enum model_cache)i)->used, 0);
		KTAP_EQUAL(counts(b, (enum model_cache)i)->hits, 0);
	}
	put(b, way(b, TABLES, 4, 0x3000, 1, 3), 0); /* no invalidation is needed here */
	FAULTS(b, MODEL_READ, 0x3000, 0x06);
	bench_end(b);
}

/* The same seed forgets the same; another one forgets other things. */
static void random_policy(void)
{
	uint64_t hits[3];

	for (unsigned i = 0; i < 3; i++) {
		struct model_config config = *model_preset_find("nesting");
		const struct model_cache_statistics *iotlb;
		struct bench *b;

		config.policy = MODEL_POLICY_RANDOM;
		config.seed = i < 2 ? 0 : 12345;
		b = translating(&config);
		iotlb = counts(b, MODEL_CACHE_IOTLB);
		for (unsigned n = 0; n < 20; n++)
			read_pages(b, 0, 16);
		hits[i] = iotlb->hits * 1000 + iotlb->evicted;
		KTAP_CHECK(iotlb->evicted > 10 && iotlb->hits > 100);
		KTAP_EQUAL(iotlb->hits + iotlb->inserted, iotlb->lookups);
		KTAP_EQUAL(iotlb->inserted - iotlb->evicted, iotlb->used);
		bench_end(b);
	}
	KTAP_CHECK(hits[0] == hits[1] && hits[0] != hits[2]);
}

static void sizes(void)
{
	struct model_config config = *model_preset_find("nesting");
	size_t bytes = model_unit_bytes(&config), one;

	config.capacity[MODEL_CACHE_IOTLB] = 1;
	one = model_unit_bytes(&config);
	KTAP_CHECK(one && one < bytes);
	config.capacity[MODEL_CACHE_IOTLB] = 3;
	KTAP_EQUAL(model_unit_bytes(&config) - one, 2 * sizeof(struct model_cached_page));
	config.capacity[MODEL_CACHE_IOTLB] = 4096; /* the default */
	KTAP_EQUAL(model_unit_bytes(&config), bytes);
}

/* ---- memory that fails ---------------------------------------------------------------- */

static void misaligned(void)
{
	const struct model_config *config = model_preset_find("nesting");
	struct bench *b = bench_make(config);
	struct model_hooks hooks = {.context = b, .memory = {bench_read, bench_write, bench_swap}};
	size_t bytes = model_unit_bytes(config);
	uint8_t *memory = aligned_alloc(16, (bytes + 31) & ~(size_t)15);

	KTAP_CHECK(!model_unit_init(memory + 8, bytes, config, &hooks));
	KTAP_CHECK(!model_unit_init(NULL, bytes, config, &hooks));
	KTAP_CHECK(!model_unit_init(memory, bytes - 1, config, &hooks));
	hooks.memory.swap64 = NULL;
	KTAP_CHECK(!model_unit_init(memory, bytes, config, &hooks));
	hooks.memory.swap64 = bench_swap;
	hooks.memory.write = NULL;
	KTAP_CHECK(!model_unit_init(memory, bytes, config, &hooks));
	hooks.memory.write = bench_write;
	KTAP_CHECK(model_unit_init(memory, bytes, config, &hooks) != NULL);
	free(memory);
	bench_end(b);
}

/* ---- counters --------------------------------------------------------------------------- */

/* Which event a counter counts, and let it run. */
static void count(struct bench *b, unsigned counter, unsigned group, unsigned events, unsigned how)
{
	w64(b, r32(b, 0x310) + 0x100 * counter, (uint64_t)events << 32 | group << 8 | how);
	w64(b, 0x400, 0xf0 | (uint64_t)counter << 16);
	KTAP_EQUAL(r64(b, 0x410), 0);
}

static uint64_t value(struct bench *b, unsigned counter)
{
	return r64(b, r32(b, 0x31c) + 0x400 * counter);
}

static void counter_events(void)
{
	struct bench *b = translating(model_preset_find("nesting"));
	const struct model_request ats = {
		.kind = MODEL_TRANSLATION, .requester = 0x99, .address = 0x1000};

	count(b, 0, 0, 2, 0);     /* requests */
	count(b, 1, 2, 1 | 2, 0); /* context lookups and hits, added up */
	count(b, 2, 3, 1, 0);     /* IOTLB lookups */
	count(b, 3, 0, 8, 0);     /* blocked ATS requests */
	read_pages(b, 0, 4);
	KTAP_EQUAL(value(b, 0), 4);
	KTAP_EQUAL(value(b, 1), 7); /* 4 lookups, 3 hits */
	KTAP_EQUAL(value(b, 2), 4);
	KTAP_EQUAL(value(b, 3), 0);
	ask(b, &ats);
	KTAP_EQUAL(b->result.response, MODEL_UNSUPPORTED);
	KTAP_EQUAL(value(b, 3), 1);
	w64(b, 0x400, 0xf1); /* disabled: stands still, and can be set up anew */
	read_pages(b, 0, 4);
	KTAP_EQUAL(value(b, 0), 5);
	KTAP_EQUAL(r64(b, r32(b, 0x310)) & 1, 0);
	bench_end(b);
}

static void counter_filters(void)
{
	struct bench *b = translating(model_preset_find("nesting"));
	uint32_t config = r32(b, 0x310);
	struct model_request page = {
		.kind = MODEL_PAGE_REQUEST, .requester = DEVICE, .address = 0x1000};

	w32(b, config + 0x008, 0x80000000u | DEVICE);
	w32(b, config + 0x108, 0x80000000u | 0x99);
	w32(b, config + 0x214, 0x80000000u | 1); /* untranslated ones only */
	w32(b, config + 0x314, 0x80000000u | 4); /* translated ones only */
	w32(b, config + 0x00c, ~0u);             /* no such filter */
	KTAP_EQUAL(r32(b, config + 0x00c), 0);
	for (unsigned i = 0; i < 4; i++)
		count(b, i, 0, 2, 0);
	read_pages(b, 0, 3);
	KTAP_EQUAL(value(b, 0), 3);
	KTAP_EQUAL(value(b, 1), 0);
	KTAP_EQUAL(value(b, 2), 3);
	KTAP_EQUAL(value(b, 3), 0);
	ask(b, &page); /* has no address type: not filtered by it */
	KTAP_EQUAL(value(b, 2), 4);
	KTAP_EQUAL(value(b, 3), 1);
	bench_end(b);
}

static void counter_overflow(void)
{
	struct bench *b = translating(model_preset_find("nesting"));
	uint32_t at = r32(b, 0x31c), overflow = r32(b, 0x318), freeze = r32(b, 0x314);

	w32(b, 0x328, 0);
	w64(b, at, ~UINT64_C(0)); /* 48 bits stay */
	KTAP_EQUAL(r64(b, at), 0xffffffffffff);
	KTAP_EQUAL(r64(b, r32(b, 0x310)), 0); /* its configuration is another matter */
	w32(b, at + 4, 0x1234);
	KTAP_EQUAL(r64(b, at), 0x1234ffffffff);
	w64(b, at, 0xffffffffffff);
	w64(b, at + 0x400, 0xffffffffffff);
	w64(b, at + 0x800, 0xffffffffffff);
	count(b, 0, 0, 2, 0); /* neither interrupt nor freeze */
	count(b, 1, 0, 2, 2); /* interrupt */
	count(b, 2, 0, 2, 2);
	read_pages(b, 0, 2);
	KTAP_EQUAL(value(b, 0), 1);
	KTAP_EQUAL(r64(b, overflow), 7);
	KTAP_EQUAL(r64(b, freeze), 0);
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_PERFMON], 1); /* the status was set: one message */
	w32(b, overflow, 5);
	KTAP_EQUAL(r64(b, overflow), 2);
	w32(b, overflow + 4, ~0u);
	KTAP_EQUAL(r64(b, overflow), 2);
	w64(b, freeze, ~UINT64_C(0)); /* read-only */
	KTAP_EQUAL(r64(b, freeze), 0);
	w64(b, 0x400, 0xf4);
	read_pages(b, 0, 2);
	KTAP_EQUAL(value(b, 0), 1); /* frozen */
	w64(b, 0x400, 0xf5);
	read_pages(b, 0, 2);
	KTAP_EQUAL(value(b, 0), 3);
	bench_end(b);
}

static void counter_commands(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.eccap3 = BIT(48); /* enable alone */
	b = translating(&config);
	KTAP_EQUAL(r64(b, 0x448), BIT(48));
	KTAP_EQUAL(r64(b, 0x430) | r64(b, 0x438) | r64(b, 0x440), 0);
	count(b, 0, 0, 2, 0);
	w64(b, 0x400, 0xf1); /* not offered: undefined, nothing happens */
	KTAP_EQUAL(r64(b, 0x410), 1 << 1);
	w64(b, 0x400, 0xb0); /* 80h below F0h + C0h: another word of ECCAP */
	KTAP_EQUAL(r64(b, 0x410), 1 << 1);
	read_pages(b, 0, 2);
	KTAP_EQUAL(value(b, 0), 2);
	w64(b, 0x410, ~UINT64_C(0)); /* read-only */
	KTAP_EQUAL(r64(b, 0x410), 1 << 1);
	KTAP_EQUAL(r64(b, 0x400) | r64(b, 0x408), 0); /* write-only */
	bench_end(b);

	b = translating(model_preset_find("nesting"));
	w64(b, 0x400, 0xf1 | 3 << 16);
	KTAP_EQUAL(r64(b, 0x410), 0);
	w64(b, 0x400, 0xf1 | 4 << 16);
	KTAP_EQUAL(r64(b, 0x410), 16 << 1);
	bench_end(b);
}

/* Interrupt requests have a group of their own; the requester's filter is not theirs. */
static void counter_interrupts(void)
{
	struct bench *b = bench_new("nesting");
	struct model_result result;

	queue_on(b, false);
	w64(b, 0xb8, IRTES | 7);
	put(b, IRTES + 5 * 16, 1 | UINT64_C(0x41) << 16);
	command(b, SIRTP, true);
	KTAP_CHECK(submit(b, 4, 0));
	command(b, IRE, true);
	w32(b, r32(b, 0x310) + 8, 0x80000000u | 0x99);
	count(b, 0, 4, 1, 0);
	count(b, 1, 4, 2, 0);
	for (unsigned i = 0; i < 3; i++)
		KTAP_CHECK(model_interrupt(b->unit, 0xfee00010 | 5 << 5, 0, DEVICE, &result));
	KTAP_EQUAL(value(b, 0), 3); /* lookups */
	KTAP_EQUAL(value(b, 1), 2); /* hits */
	bench_end(b);
}

static void counters_together(void)
{
	struct bench *b = bench_new("nesting");
	uint32_t config = r32(b, 0x310), value = r32(b, 0x31c), overflow = r32(b, 0x318);
	uint32_t freeze = r32(b, 0x314);
	struct model_request request = {.requester = DEVICE, .address = 0x1000, .bytes = 8};

	KTAP_EQUAL(r32(b, 0x300), 4 | 48 << 16 | 5 << 24);
	KTAP_EQUAL(r32(b, 0x304), 0x70009);
	KTAP_EQUAL(r64(b, 0x380 + 8 * 3), 3);
	KTAP_EQUAL(r64(b, 0x3a8), 0);
	w64(b, config, UINT64_C(2) << 32 | 0 << 8); /* requests */
	w64(b, config + 0x100,
	    UINT64_C(2) << 32 | 3 << 8 | 6);        /* IOTLB hits; interrupt, freeze all */
	w32(b, config + 0x208, 0x80000000u | 0x99); /* requests of another requester */
	w64(b, config + 0x200, UINT64_C(2) << 32);
	w32(b, config + 0x314, 0x80000000u | 2); /* translation requests only */
	w64(b, config + 0x300, UINT64_C(2) << 32);
	KTAP_EQUAL(r32(b, config + 0x208), 0x80000099u);
	w64(b, value + 0x400, (UINT64_C(1) << 48) - 2);
	for (unsigned i = 0; i < 4; i++) {
		w64(b, 0x400, 0xf0 | (uint64_t)i << 16);
		KTAP_EQUAL(r64(b, 0x410), 0);
	}
	w64(b, 0x400, 0xf0 | 4 << 16); /* no such counter */
	KTAP_EQUAL(r64(b, 0x410), 16 << 1);
	w64(b, config, 0); /* enabled: fixed */
	KTAP_EQUAL(r64(b, config), UINT64_C(2) << 32 | 1);
	legacy_tables(b, 2);
	put(b, way(b, TABLES, 4, 0x1000, 1, 3), 0x80000 | 3);
	start(b, 0);
	w32(b, 0x328, 0);
	for (unsigned i = 0; i < 4; i++)
		READS(b, 0x1000, 0x80000);
	/* the second hit overflowed the counter, and froze all */
	KTAP_EQUAL(r64(b, value), 3);
	KTAP_EQUAL(r64(b, value + 0x400), 0);
	KTAP_EQUAL(r64(b, value + 0x800), 0);
	KTAP_EQUAL(r64(b, value + 0xc00), 0);
	KTAP_EQUAL(r64(b, overflow), 2);
	KTAP_EQUAL(r64(b, freeze), 0xf);
	KTAP_EQUAL(r32(b, 0x324), 1);
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_PERFMON], 1);
	w64(b, overflow, 2);
	w32(b, 0x324, 1);
	KTAP_CHECK(!r64(b, overflow) && !r32(b, 0x324));
	w64(b, 0x400, 0xf5);
	request.kind = MODEL_TRANSLATION;
	ask(b, &request);
	KTAP_EQUAL(r64(b, value + 0xc00), 1);
	request.requester = 0x99;
	ask(b, &request);
	KTAP_EQUAL(r64(b, value + 0x800), 1);
	w64(b, 0x400, 0xf1);
	w64(b, 0x400, 0xf3);
	KTAP_EQUAL(r64(b, value + 0x800), 0);
	w64(b, 0x400, 0xf2);
	KTAP_EQUAL(r64(b, config + 0x200), 0);
	w64(b, 0x400, 0xf4);
	KTAP_EQUAL(r64(b, freeze), 0xf);
	KTAP_EQUAL(r64(b, value + 8) | r64(b, config + 0x400) | r64(b, config + 0x30), 0);
	w64(b, config + 0x400, 1);
	w64(b, config + 0x30, 1);
	KTAP_EQUAL(r64(b, freeze + 8) | r64(b, overflow + 8), 0);
	bench_end(b);
}

static void counter_map(void)
{
	struct bench *b = bench_new("nesting");
	uint64_t window = model_register_bytes(b->unit), at;
	const uint32_t places[] = {r32(b, 0x310), r32(b, 0x314), r32(b, 0x318), r32(b, 0x31c)};

	for (unsigned i = 0; i < 4; i++) {
		KTAP_CHECK(places[i] >= 0x1000 && places[i] + 0x1000 <= window);
		KTAP_CHECK(i == 0 || places[i] > places[i - 1]);
	}
	/* every word of the window can be read and written, and nothing but counters changes */
	for (at = places[0]; at < window; at += 4) {
		r32(b, at);
		w32(b, at, 0);
	}
	KTAP_EQUAL(b->reports, 0);
	for (at = places[0]; at < window; at += 8)
		KTAP_EQUAL(r64(b, at), 0);
	KTAP_EQUAL(r64(b, 0x380), 0xa); /* what each group can count */
	KTAP_EQUAL(r64(b, 0x388), 0x41);
	KTAP_EQUAL(r64(b, 0x390), 0xff);
	KTAP_EQUAL(r64(b, 0x398), 3);
	KTAP_EQUAL(r64(b, 0x3a0), 7);
	KTAP_EQUAL(r32(b, 0x384) | r32(b, 0x308), 0);
	bench_end(b);
	b = bench_new("sapphire-rapids"); /* none */
	KTAP_EQUAL(r64(b, 0x300) | r64(b, 0x310) | r64(b, 0x380), 0);
	KTAP_EQUAL(model_register_bytes(b->unit), 0x1000);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"policy keep: everything is remembered and counted", keeps},
	{"a full cache gives up its oldest place", evicts},
	{"a hole is filled before anything is evicted", holes},
	{"policy none: nothing is remembered", none},
	{"policy random: the seed decides", random_policy},
	{"the memory that a unit needs follows its caches", sizes},
	{"memory and hooks that do not do are refused", misaligned},
	{"counters: events, groups, disabling", counter_events},
	{"counters: filters by requester and address type", counter_filters},
	{"counters: width, overflow, interrupt, freeze", counter_overflow},
	{"counters: commands that are offered, and others", counter_commands},
	{"counters: interrupt requests", counter_interrupts},
	{"counters: four at once, to overflow and freeze", counters_together},
	{"counters: where their registers are", counter_map},
};

KTAP_MAIN(cases)
