/* SPDX-License-Identifier: MIT */
/*
 * Freed tables: the bench says that memory was given back, and the sanitizer must find
 * every way in which the unit can still reach it: the root, each table, each cache, each
 * register; and nothing once a driver has cut the way and invalidated.
 */
#include "tests/unit/model_scalable.h"

static unsigned freed(struct bench *b, uint64_t address)
{
	return model_table_freed(b->unit, address, 0x1000);
}

#define SAYS(b, words)                                                                             \
	do {                                                                                       \
		if (!strstr((b)->report.text, (words)))                                            \
			printf("# the report is: %s\n", (b)->report.text);                         \
		KTAP_CHECK(strstr((b)->report.text, (words)));                                     \
	} while (0)

/* Every table of good structures is in use, before any request. */
static void reachable(void)
{
	static const struct {
		unsigned pgtt;
		uint64_t table;
		const char *words;
	} cases[] = {
		{SECOND_STAGE, ROOT,
	         "model: freed memory at 0x1000 is still in use, by the unit, as its "
	         "root table at 0x1000"},
		{SECOND_STAGE, CONTEXT, "the root entry at 0x1000"},
		{SECOND_STAGE, CONTEXT_HIGH, "the root entry at 0x1008"},
		{SECOND_STAGE, DIRECTORY, "the context entry at 0x2200"},
		{SECOND_STAGE, PASIDS, "the PASID directory entry at 0x8000"},
		{SECOND_STAGE, PASIDS + 0x1000, "the PASID directory entry at 0x8008"},
		{SECOND_STAGE, TABLES, "the second-stage tables of the entry at 0xc"},
		{SECOND_STAGE, TABLES + 0x1000, "the second-stage tables of the entry at 0x10000"},
		{SECOND_STAGE, TABLES + 0x3000, "the second-stage tables of the entry at 0x12000"},
		{FIRST_STAGE, FIRST, "the first-stage tables of the entry at 0xc"},
		{FIRST_STAGE, FIRST + 0x3000, "the first-stage tables of the entry at 0x22000"},
		{NESTED, TABLES + 0x2000, "the second-stage tables of the entry at 0x11000"},
		{PASS, TABLES, NULL},
		{SECOND_STAGE, HOST, NULL}, /* a page, not a table */
		{SECOND_STAGE, QUEUE, "the unit, as its invalidation queue at 0x4000"},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_scalable(cases[i].pgtt, 0, 0, 0);
		unsigned count = freed(b, cases[i].table);

		KTAP_EQUAL(count > 0, cases[i].words != NULL);
		KTAP_EQUAL(b->kinds[MODEL_REPORT_FREED], count);
		if (cases[i].words)
			SAYS(b, cases[i].words);
		KTAP_EQUAL(model_table_freed(b->unit, cases[i].table, 0), 0);
		command(b, TE, false);
		if (cases[i].table != QUEUE)
			KTAP_EQUAL(freed(b, cases[i].table), 0);
		bench_end(b);
	}
}

static void reachable_legacy(void)
{
	static const uint64_t tables[] = {ROOT, CONTEXT, TABLES, TABLES + 0x3000};

	for (unsigned i = 0; i < 4; i++) {
		struct bench *b = bench_new("nesting");

		legacy_tables(b, 2);
		page_tables(b, SECOND_STAGE);
		put(b, CONTEXT + 8 * 16, TABLES | 2 << 2 | 1); /* pass-through leads nowhere */
		put(b, CONTEXT + 8 * 16 + 8, 3);
		start(b, LEGACY_MODE);
		KTAP_EQUAL(freed(b, tables[i]), 1);
		put(b, CONTEXT + DEVICE * 16, 0);
		KTAP_EQUAL(freed(b, tables[i]), i < 2);
		bench_end(b);
	}
}

/* What only a cache remembers. */
static void remembered(void)
{
	static const struct {
		unsigned pgtt;
		uint64_t table, cut;
		unsigned count;
	} cases[] = {
		/* translation, way to the table, way below it */
		{SECOND_STAGE, TABLES + 0x3000, TABLES + 0x2000, 2},
		{SECOND_STAGE, TABLES + 0x2000, TABLES + 0x1000, 2},
		{FIRST_STAGE, FIRST + 0x3000, FIRST + 0x2000, 2},
		{FIRST_STAGE, FIRST + 0x2000, FIRST + 0x1000, 2},
		/* the PASID entry, and the first table's entry */
		{SECOND_STAGE, TABLES, PASIDS, 2},
		{FIRST_STAGE, FIRST, PASIDS, 2},
		{SECOND_STAGE, PASIDS, DIRECTORY, 1},
		{SECOND_STAGE, DIRECTORY, CONTEXT_AT, 1},
		{SECOND_STAGE, CONTEXT, ROOT, 1},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_scalable(cases[i].pgtt, 0, 0, 0);

		put(b, pasid_at(7), 0);
		dma(b, MODEL_READ, IOVA);
		KTAP_EQUAL(b->result.fault, 0);
		put(b, cases[i].cut, 0);
		KTAP_EQUAL(freed(b, cases[i].table), cases[i].count);
		if (ktap_failed)
			printf("# case %u\n", i);
		SAYS(b, "cached");
		flush_all(b);
		KTAP_EQUAL(freed(b, cases[i].table), 0);
		KTAP_EQUAL(b->reports, cases[i].count);
		bench_end(b);
	}
}

static void remembered_legacy(void)
{
	for (unsigned pass = 0; pass < 2; pass++) {
		struct bench *b = bench_new("nesting");

		legacy_tables(b, 3);
		put(b, CONTEXT + DEVICE * 16, TABLES | pass << 3 | 1);
		put(b, way(b, TABLES, 5, IOVA, 1, 3), HOST | 3);
		start(b, LEGACY_MODE);
		dma(b, MODEL_READ, IOVA);
		put(b, CONTEXT + DEVICE * 16, 0);
		KTAP_EQUAL(freed(b, TABLES), pass ? 0 : 2);
		KTAP_EQUAL(freed(b, CONTEXT), 2); /* and the root still leads there */
		flush_all(b);
		KTAP_EQUAL(freed(b, TABLES), 0);
		bench_end(b);
	}
}

static void interrupts(void)
{
	struct bench *b = bench_new("nesting");

	queue_on(b, false);
	w64(b, 0xb8, IRTES | 3);
	command(b, SIRTP, true);
	KTAP_CHECK(submit(b, 4, 0));
	KTAP_EQUAL(freed(b, IRTES), 0);
	command(b, IRE, true);
	put(b, IRTES + 16, 0x410001);
	model_interrupt(b->unit, 0xfee00030, 0, DEVICE, &b->result);
	KTAP_EQUAL(freed(b, IRTES), 2);
	SAYS(b, "the unit, as its interrupt table at 0x40000");
	command(b, IRE, false);
	KTAP_EQUAL(freed(b, IRTES), 1);
	SAYS(b, "the cached interrupt entry at 0x40010");
	KTAP_CHECK(submit(b, 4, 0));
	KTAP_EQUAL(freed(b, IRTES), 0);
	command(b, QIE, false);
	KTAP_EQUAL(freed(b, QUEUE), 0);
	bench_end(b);
}

/* A search through broken memory ends, and says what it has found so far. */
static void broken(void)
{
	static const uint64_t pages[] = {ROOT, CONTEXT, DIRECTORY, PASIDS, TABLES, FIRST};

	for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		struct bench *b = bench_scalable(i == 5 ? FIRST_STAGE : SECOND_STAGE, 0, 0, 0);

		b->fail = pages[i];
		KTAP_EQUAL(freed(b, i == 5 ? FIRST + 0x3000 : TABLES + 0x3000), 0);
		bench_end(b);
	}
	/* tables that lead to themselves */
	struct bench *b = bench_new("nesting");

	legacy_tables(b, 3);
	for (unsigned i = 0; i < 512; i++)
		put(b, TABLES + i * 8, TABLES | 3);
	start(b, LEGACY_MODE);
	KTAP_EQUAL(freed(b, FIRST), 0);
	bench_end(b);
}

/* Rights of I/O in bits of their own (SSIRWE) say what is present. */
static void other_rights(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.ecap |= BIT(57);
	b = bench_make(&config);
	scalable_tables(b, SECOND_STAGE, 0, 0, 0);
	put(b, way(b, TABLES, 4, IOVA, 1, BIT(61) | BIT(62)), HOST | BIT(61));
	put(b, TABLES + 0x3010, HOST | 3);
	w64(b, 0x20, ROOT | BIT(10) | BIT(7));
	queue_on(b, true);
	command(b, SRTP, true);
	flush_all(b);
	command(b, TE, true);
	READS(b, IOVA, HOST);
	KTAP_CHECK(!b->result.write);
	FAULTS(b, MODEL_READ, IOVA + 0x1000, 0x79);
	KTAP_EQUAL(b->reports, 0);
	put(b, way(b, TABLES, 4, IOVA, 2, BIT(61)), 0x200080 | BIT(61)); /* in place */
	KTAP_CHECK(submit(b, 2 | 1 << 4, 0));
	KTAP_EQUAL(b->kinds[MODEL_REPORT_LIVE_CHANGE], 1);
	put(b, TABLES + 0x2000, (TABLES + 0x3000) | BIT(61));
	KTAP_EQUAL(freed(b, TABLES + 0x3000), 2); /* both PASIDs */
	put(b, TABLES + 0x2000, (TABLES + 0x3000) | 3);
	KTAP_EQUAL(freed(b, TABLES + 0x3000), 0);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"every table has a path from the root", reachable},
	{"and in legacy mode", reachable_legacy},
	{"what only a cache remembers", remembered},
	{"and in legacy mode", remembered_legacy},
	{"interrupt tables and the queue", interrupts},
	{"a search through broken tables ends", broken},
	{"rights of I/O in bits of their own", other_rights},
};

KTAP_MAIN(cases)
