/* SPDX-License-Identifier: MIT */
/*
 * Memory types of the model (3.9): CD, EMTE, IPAT, the PAT of a PASID entry and the unit's
 * MTRRs, for every type of translation. The table of effective types (PAT over MTRR) is
 * written here once more, row by row.
 */
#include "tests/unit/model_scalable.h"

enum { UC = 0, WC = 1, WT = 4, WP = 5, WB = 6, UCM = 7 };

#define CD   BIT(25)
#define EMTE BIT(26)

static const unsigned kinds[] = {UC, WC, WT, WP, WB};

/* Rows: PAT; columns: MTRR or EMT, in the order of `kinds`. */
static const struct {
	unsigned pat, effective[5];
} table[] = {
	{UC, {UC, UC, UC, UC, UC}}, {WC, {WC, WC, WC, WC, WC}}, {WT, {UC, UC, WT, WP, WT}},
	{WP, {UC, UC, WT, WP, WP}}, {WB, {UC, WC, WT, WP, WB}}, {UCM, {UC, WC, UC, UC, UC}},
	{2, {UC, UC, UC, UC, UC}},  {3, {UC, UC, UC, UC, UC}},
};

static struct bench *bench_types(unsigned pgtt, uint64_t e1)
{
	return bench_scalable(pgtt, 0, e1, 0);
}

static void plain(void)
{
	static const struct {
		unsigned pgtt;
		uint64_t e1;
		unsigned emt, type;
	} cases[] = {
		{PASS, 0, 0, WB},
		{PASS, CD, 0, UC},
		{SECOND_STAGE, 0, 1, WB},
		{SECOND_STAGE, CD, 6, UC},
		{SECOND_STAGE, EMTE, 0, UC},
		{SECOND_STAGE, EMTE, 1, WC},
		{SECOND_STAGE, EMTE, 4, WT},
		{SECOND_STAGE, EMTE, 5, WP},
		{SECOND_STAGE, EMTE, 6, WB},
		{SECOND_STAGE, EMTE, 2, UC},
		{SECOND_STAGE, EMTE, 7, UC},
		{FIRST_STAGE, CD, 0, UC},
		{NESTED, CD | EMTE, 6, UC},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_types(cases[i].pgtt, cases[i].e1);

		put(b, SECOND_LEAF, HOST | 3 | cases[i].emt << 3);
		put(b, GUEST_LEAF, HOST | 3 | cases[i].emt << 3);
		for (unsigned again = 0; again < 2; again++) {
			KTAP_EQUAL(dma(b, MODEL_READ, IOVA).response, MODEL_SUCCESS);
			KTAP_EQUAL(b->result.type, cases[i].type);
		}
		bench_end(b);
	}
	/* legacy mode, and remapping off */
	struct bench *b = bench_new("nesting");

	KTAP_EQUAL(dma(b, MODEL_READ, IOVA).type, WB);
	legacy_tables(b, 2);
	page_tables(b, SECOND_STAGE);
	start(b, LEGACY_MODE);
	KTAP_EQUAL(dma(b, MODEL_READ, IOVA).type, WB);
	bench_end(b);
}

/* PAT slots are chosen by PWT, PCD and the PAT bit, which moves with the page size. */
static void slots(void)
{
	for (unsigned slot = 0; slot < 8; slot++)
		for (unsigned level = 1; level <= 3; level++) {
			uint64_t pat = (uint64_t)WC << (32 + 4 * slot);
			uint64_t bits =
				(slot & 3) << 3 | (slot & 4 ? level > 1 ? 0x1000 : 0x80 : 0);
			struct bench *b = bench_new("nesting");

			scalable_context(b);
			pasid_entry(b, 0, FIRST_STAGE, 0, pat, 0);
			put(b, way(b, FIRST, 4, 0x40000000, level, 7),
			    0x40000000 | bits | 7 | (level > 1 ? 0x80 : 0));
			start(b, SCALABLE_MODE);
			READS(b, 0x40000000, 0x40000000);
			KTAP_EQUAL(b->result.type, WC);
			bench_end(b);
		}
}

static void combined(void)
{
	for (unsigned row = 0; row < sizeof(table) / sizeof(table[0]); row++)
		for (unsigned column = 0; column < 5; column++) {
			uint64_t pat = (uint64_t)table[row].pat << 32;
			struct bench *b = bench_types(NESTED, pat | EMTE);

			put(b, GUEST_LEAF, HOST | 3 | kinds[column] << 3);
			KTAP_EQUAL(dma(b, MODEL_READ, IOVA).type, table[row].effective[column]);
			put(b, GUEST_LEAF, HOST | 3 | kinds[column] << 3 | 0x40); /* IPAT */
			KTAP_CHECK(submit(b, 2 | 1 << 4, 0));
			KTAP_EQUAL(dma(b, MODEL_READ, IOVA).type, kinds[column]);
			bench_end(b);

			b = bench_types(row & 1 ? FIRST_STAGE : NESTED, pat);
			w64(b, 0x108, 0x800 | kinds[column]);
			KTAP_EQUAL(dma(b, MODEL_READ, IOVA).type, table[row].effective[column]);
			bench_end(b);
		}
}

/* PAT of WB shows the MTRRs as they are. */
static unsigned mtrr(struct bench *b, uint64_t host)
{
	put(b, FIRST_LEAF, host | 7);
	KTAP_CHECK(submit(b, 2 | 1 << 4, 0));
	READS(b, IOVA, host);
	return b->result.type;
}

static void mtrrs(void)
{
	struct bench *b = bench_types(FIRST_STAGE, (uint64_t)WB << 32);

	KTAP_EQUAL(mtrr(b, 0x80000000), UC); /* off */
	w64(b, 0x108, 0x800 | WB);
	KTAP_EQUAL(mtrr(b, 0x80000000), WB);
	/* variable ranges: alone, and overlapping */
	w64(b, 0x180, 0x80000000 | WC);
	w64(b, 0x188, (BIT(52) - BIT(24)) | 0x800);
	KTAP_EQUAL(mtrr(b, 0x80000000), WC);
	KTAP_EQUAL(mtrr(b, 0x80fff000), WC);
	KTAP_EQUAL(mtrr(b, 0x81000000), WB);
	w64(b, 0x190, 0x80000000 | WB);
	w64(b, 0x198, (BIT(52) - BIT(20)) | 0x800);
	KTAP_EQUAL(mtrr(b, 0x80000000), UC); /* undefined: the safe one */
	w64(b, 0x180, 0x80000000 | WT);
	KTAP_EQUAL(mtrr(b, 0x80000000), WT);
	w64(b, 0x180, 0x80000000 | WB);
	KTAP_EQUAL(mtrr(b, 0x80000000), WB);
	w64(b, 0x190, 0x80000000 | WT);
	KTAP_EQUAL(mtrr(b, 0x80000000), WT);
	w64(b, 0x190, 0x80000000 | UC);
	KTAP_EQUAL(mtrr(b, 0x80000000), UC);
	w64(b, 0x198, BIT(52) - BIT(20)); /* not valid any more */
	KTAP_EQUAL(mtrr(b, 0x80000000), WB);
	/* fixed ranges, one byte a piece */
	w64(b, 0x120, UINT64_C(0x0600040500010606));
	w64(b, 0x128, UINT64_C(0x0000000000000001));
	w64(b, 0x130, UINT64_C(0x0400000000000000));
	w64(b, 0x138, UINT64_C(0x0000000000000500));
	w64(b, 0x170, UINT64_C(0x0100000000000000));
	KTAP_EQUAL(mtrr(b, 0x20000), WB); /* FE is 0 */
	w64(b, 0x108, 0xc00 | WB);
	KTAP_EQUAL(mtrr(b, 0x20000), WC);
	KTAP_EQUAL(mtrr(b, 0x70000), WB);
	KTAP_EQUAL(mtrr(b, 0x50000), WT);
	KTAP_EQUAL(mtrr(b, 0x80000), WC);
	KTAP_EQUAL(mtrr(b, 0xbc000), WT);
	KTAP_EQUAL(mtrr(b, 0xc1000), WP);
	KTAP_EQUAL(mtrr(b, 0xff000), WC);
	KTAP_EQUAL(mtrr(b, 0x100000), WB);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

/* Without memory type support everything is write-back. */
static void unsupported(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.ecap &= ~BIT(25);
	b = bench_make(&config);
	scalable_tables(b, SECOND_STAGE, 0, 0, 0);
	put(b, SECOND_LEAF, HOST | 3 | WC << 3);
	start(b, SCALABLE_MODE);
	READS(b, IOVA, HOST);
	KTAP_EQUAL(b->result.type, WB);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"pass-through, second stage, CD", plain},
	{"PAT slots", slots},
	{"PAT over EMT and over MTRR", combined},
	{"MTRRs: off, fixed, variable, overlapping", mtrrs},
	{"without MTS", unsupported},
};

KTAP_MAIN(cases)
