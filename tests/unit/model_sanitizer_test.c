/* SPDX-License-Identifier: MIT */
/*
 * The model's sanitizer: each kind of report is provoked by one mistake of a driver, and
 * must name requester, address and what is owed; and for each mistake the sequence that
 * a correct driver performs must draw no report at all.
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

/* ---- stale ------------------------------------------------------------------------------- */

static void stale(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, 0, 0, 0);

	dma_pasid(b, MODEL_READ, 7, IOVA + 8);
	put(b, SECOND_LEAF, 0);
	dma_pasid(b, MODEL_READ, 7, IOVA + 8);
	ONE_REPORT(
		b, MODEL_REPORT_STALE,
		"00:02.0 read at 0x1008 PASID 0x7: stale, the unit says 0x80008 rw, memory fault "
		"0x79: second-stage entry of level 1 at 0x13008 holds 0x0; an invalidation is "
		"owed");
	KTAP_EQUAL(b->report.requester, DEVICE);
	KTAP_CHECK(b->report.has_requester && b->report.has_pasid);
	KTAP_EQUAL(b->report.pasid, 7);
	KTAP_EQUAL(b->report.address, IOVA + 8);
	KTAP_EQUAL(b->report.entry, SECOND_LEAF);
	KTAP_EQUAL(b->report.expected, HOST | 3);
	KTAP_EQUAL(b->report.found, 0);
	bench_end(b);
}

/* Ways in which what memory says can differ, each by a change to good tables. */
static void stale_ways(void)
{
	static const struct {
		unsigned pgtt;
		uint64_t at, value;
		enum model_access access;
		const char *words;
	} cases[] = {
		{SECOND_STAGE, SECOND_LEAF, HOST | 1, MODEL_WRITE, "memory fault 0x85"},
		{SECOND_STAGE, SECOND_LEAF, HOST | 2, MODEL_READ, "memory fault 0x86"},
		{SECOND_STAGE, SECOND_LEAF, HOST | 1, MODEL_READ, "memory 0x80000 r-"},
		{SECOND_STAGE, SECOND_LEAF, 0x90000 | 3, MODEL_READ, "memory 0x90000 rw"},
		{SECOND_STAGE, SECOND_LEAF, HOST | 3 | BIT(11), MODEL_READ, "memory 0x80000 rw"},
		{SECOND_STAGE, PASIDS, 0, MODEL_READ, "memory fault 0x59: PASID entry"},
		{SECOND_STAGE, DIRECTORY, 0, MODEL_READ, "memory fault 0x51: PASID directory"},
		{SECOND_STAGE, CONTEXT_AT, 0, MODEL_READ, "memory fault 0x41: context entry"},
		{SECOND_STAGE, ROOT, 0, MODEL_READ, "memory fault 0x39: root entry"},
		{FIRST_STAGE, FIRST_LEAF, 0, MODEL_READ, "memory fault 0x71: first-stage entry of"},
		{FIRST_STAGE, FIRST, 0, MODEL_ATOMIC, "atomic access at 0x1000: stale"},
		{NESTED, FIRST_LEAF, (GUEST + 0x2000) | 7, MODEL_WRITE, "memory fault 0x79"},
		{NESTED, GUEST_LEAF, 0x90000 | 3, MODEL_WRITE, "write at 0x1000: stale"},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_scalable(cases[i].pgtt, 0, 0, 0);

		dma(b, cases[i].access, IOVA);
		KTAP_EQUAL(b->reports, 0);
		put(b, cases[i].at, cases[i].value);
		dma(b, cases[i].access, IOVA);
		ONE_REPORT(b, MODEL_REPORT_STALE, cases[i].words);
		/* and without a request */
		KTAP_CHECK(model_sanitizer_check(b->unit) >= 1);
		KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], b->reports);
		/* told what it owes, the unit agrees again */
		flush_all(b);
		KTAP_EQUAL(model_sanitizer_check(b->unit), 0);
		dma(b, cases[i].access, IOVA);
		KTAP_EQUAL(model_sanitizer_check(b->unit), 0);
		bench_end(b);
	}
}

/* More rights that the unit does not know of: refused, though memory grants it. */
static void widened(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, 0, 0, 0);

	put(b, SECOND_LEAF, HOST | 1);
	READS(b, IOVA, HOST);
	put(b, SECOND_LEAF, HOST | 3);
	READS(b, IOVA, HOST); /* nothing lost so far */
	KTAP_EQUAL(b->reports, 0);
	FAULTS(b, MODEL_WRITE, IOVA, 0x85);
	ONE_REPORT(b, MODEL_REPORT_STALE, "the unit says fault 0x85, memory 0x80000 rw");
	bench_end(b);
}

/* Dirty flags were taken, and the unit will not set them again. */
static void dirty(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, SSADE, 0, 0);

	KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).response, MODEL_SUCCESS);
	put(b, SECOND_LEAF, HOST | 0x103);
	READS(b, IOVA, HOST);
	KTAP_EQUAL(b->reports, 0);
	KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).response, MODEL_SUCCESS);
	ONE_REPORT(b, MODEL_REPORT_STALE, "memory 0x80000 rw clean");
	KTAP_EQUAL(model_sanitizer_check(b->unit), 1);
	KTAP_CHECK(submit(b, 2 | 3 << 4 | DID << 16, IOVA | BIT(6)));
	KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).response, MODEL_SUCCESS);
	KTAP_EQUAL(get(b, SECOND_LEAF), HOST | 0x303);
	KTAP_EQUAL(model_sanitizer_check(b->unit), 0);
	bench_end(b);
}

/* Page requests are answered by what the caches say, too. */
static void stale_page_request(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, 0, 0, 0);
	struct model_request request = {.kind = MODEL_PAGE_REQUEST,
	                                .requester = DEVICE,
	                                .address = IOVA,
	                                .page_read = true,
	                                .last = true};

	w64(b, 0xd0, PAGES);
	KTAP_CHECK(ask(b, &request).stored);
	KTAP_EQUAL(b->reports, 0);
	put(b, PASIDS, 0);
	KTAP_CHECK(ask(b, &request).stored);
	ONE_REPORT(b, MODEL_REPORT_STALE,
	           "00:02.0 page request for 0x1000: stale, the unit says accepted, memory fault "
	           "0x59");
	bench_end(b);
}

/* Without a request: context entries of legacy mode, but not software's bits in them. */
static void check_legacy(void)
{
	struct bench *b = bench_legacy("nesting");

	READS(b, IOVA, HOST);
	put(b, LEGACY_AT + 8, DID << 8 | 2 | 0x78);
	KTAP_EQUAL(model_sanitizer_check(b->unit), 0);
	put(b, LEGACY_AT + 8, (DID + 1) << 8 | 2);
	KTAP_EQUAL(model_sanitizer_check(b->unit), 1);
	ONE_REPORT(b, MODEL_REPORT_STALE,
	           "stale, the unit says context entry at 0x2108 holds 0x502, memory 0x602");
	KTAP_EQUAL(model_sanitizer_check(b->unit), 0); /* once is enough */
	flush_all(b);
	KTAP_EQUAL(model_sanitizer_check(b->unit), 0);
	/* what cannot be read is not judged */
	READS(b, IOVA, HOST);
	put(b, LEGACY_AT + 8, DID << 8 | 2);
	b->fail = CONTEXT;
	model_sanitizer_check(b->unit);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], 2); /* the translation is */
	bench_end(b);
}

static void held(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, 0, 0, 0);

	READS(b, IOVA, HOST);
	model_sanitizer_hold(b->unit, true);
	model_sanitizer_hold(b->unit, true);
	put(b, SECOND_LEAF, 0x90000 | 3);
	READS(b, IOVA, HOST);
	model_sanitizer_hold(b->unit, false);
	READS(b, IOVA, HOST);
	KTAP_EQUAL(model_sanitizer_check(b->unit), 0);
	KTAP_CHECK(submit(b, 2 | 3 << 4 | DID << 16, IOVA));
	model_sanitizer_hold(b->unit, false);
	model_sanitizer_hold(b->unit, false); /* one too many does no harm */
	READS(b, IOVA, 0x90000);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

/* Interrupt entries, by a request and without. */
static void stale_interrupt(void)
{
	struct bench *b = bench_new("nesting");

	queue_on(b, false);
	w64(b, 0xb8, IRTES | 3);
	command(b, SIRTP, true);
	KTAP_CHECK(submit(b, 4, 0));
	command(b, IRE, true);
	put(b, IRTES + 16, 0x410001);
	put(b, IRTES + 32, 0x420001);
	model_interrupt(b->unit, 0xfee00030, 0, DEVICE, &b->result);
	model_interrupt(b->unit, 0xfee00050, 0, DEVICE, &b->result);
	put(b, IRTES + 16, 0x410f01); /* AVAIL is software's */
	model_interrupt(b->unit, 0xfee00030, 0, DEVICE, &b->result);
	KTAP_EQUAL(b->reports, 0);
	put(b, IRTES + 16, 0x430001);
	model_sanitizer_hold(b->unit, true);
	model_interrupt(b->unit, 0xfee00030, 0, DEVICE, &b->result);
	KTAP_EQUAL(b->reports, 0);
	model_sanitizer_hold(b->unit, false);
	model_interrupt(b->unit, 0xfee00030, 0, DEVICE, &b->result);
	ONE_REPORT(b, MODEL_REPORT_STALE,
	           "00:02.0 write at 0xfee00030: stale interrupt entry at 0x40010, the unit holds "
	           "0x410001, memory 0x430001; an interrupt entry invalidation is owed");
	model_interrupt(b->unit, 0xfee00030, 0, DEVICE, &b->result);
	KTAP_EQUAL(b->reports, 1); /* once is enough */
	put(b, IRTES + 40, 0x12);
	KTAP_EQUAL(model_sanitizer_check(b->unit), 1);
	KTAP_CHECK(strstr(b->report.text, "entry at 0x40028, the unit holds 0x0, memory 0x12"));
	KTAP_CHECK(submit(b, 4, 0));
	KTAP_EQUAL(model_sanitizer_check(b->unit), 0);
	bench_end(b);
}

/* ---- not cleaned ---------------------------------------------------------------------------- */

static void not_cleaned(void)
{
	struct bench *b = bench_new("nesting-noncoherent");

	scalable_tables(b, SECOND_STAGE, 0, 0, 0);
	start(b, SCALABLE_MODE);
	READS(b, IOVA, HOST);
	b->split = true;
	put(b, pasid_at(7), 0);
	dma_pasid(b, MODEL_READ, 7, IOVA);
	ONE_REPORT(
		b, MODEL_REPORT_NOT_CLEANED,
		"PASID 0x7: not cleaned, the unit sees 0x80000 rw, memory fault 0x59: PASID entry "
		"at 0xc1c0 holds 0x0; the line must be written back");
	bench_clean(b, pasid_at(7), 64);
	KTAP_CHECK(submit(b, 7 | 3 << 4, 0));
	KTAP_CHECK(submit(b, 2 | 1 << 4, 0));
	dma_pasid(b, MODEL_READ, 7, IOVA);
	KTAP_EQUAL(b->result.fault, 0x59);
	/* a new table that was not cleaned is not seen, and that is said, too */
	pasid_entry(b, 7, SECOND_STAGE, 0, 0, 0);
	dma_pasid(b, MODEL_READ, 7, IOVA);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_NOT_CLEANED], 2);
	bench_clean(b, pasid_at(7), 64);
	dma_pasid(b, MODEL_READ, 7, IOVA);
	KTAP_EQUAL(b->result.fault, 0);
	KTAP_EQUAL(b->reports, 2);
	bench_end(b);
	/* interrupt entries follow ECAP.C, too */
	b = bench_new("nesting-noncoherent");
	queue_on(b, false);
	w64(b, 0xb8, IRTES | 3);
	command(b, SIRTP, true);
	KTAP_CHECK(submit(b, 4, 0));
	command(b, IRE, true);
	b->split = true;
	put(b, IRTES + 16, 0x410001);
	model_interrupt(b->unit, 0xfee00030, 0, DEVICE, &b->result);
	KTAP_EQUAL(b->result.fault, 0x22);
	ONE_REPORT(b, MODEL_REPORT_NOT_CLEANED, "interrupt entry not cleaned at 0x40010");
	bench_clean(b, IRTES, 32);
	model_interrupt(b->unit, 0xfee00030, 0, DEVICE, &b->result);
	KTAP_EQUAL(b->result.message_data, 0x41);
	KTAP_EQUAL(b->reports, 1);
	bench_end(b);
	/* page tables that PWSNP leaves out of the caches' sight */
	b = bench_scalable(SECOND_STAGE, 0, PWSNP, 0);
	b->split = true;
	put(b, SECOND_LEAF + 8, (HOST + 0x1000) | 3);
	FAULTS(b, MODEL_READ, IOVA + 0x1000, 0x79);
	ONE_REPORT(b, MODEL_REPORT_NOT_CLEANED, "second-stage entry of level 1 at 0x13010");
	bench_clean(b, SECOND_LEAF + 8, 8);
	READS(b, IOVA + 0x1000, HOST + 0x1000);
	KTAP_EQUAL(b->reports, 1);
	bench_end(b);
}

/* ---- changes of present entries -------------------------------------------------------------- */

static void live_change(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, 0, 0, 0);

	READS(b, IOVA, HOST);
	put(b, TABLES + 0x2000, 0x200000 | 0x83); /* a table becomes a page, just so */
	KTAP_CHECK(submit(b, 2 | 3 << 4 | DID << 16, IOVA));
	ONE_REPORT(
		b, MODEL_REPORT_LIVE_CHANGE,
		"page size changed without not-present and invalidation between, the second-stage "
		"entry of level 2 at 0x12000 holds 0x13003 in the unit and 0x200083 in memory");
	KTAP_EQUAL(b->report.entry, TABLES + 0x2000);
	READS(b, IOVA, 0x201000);
	put(b, TABLES + 0x2000, (TABLES + 0x3000) | 3); /* and back */
	KTAP_CHECK(submit(b, 2 | 3 << 4 | DID << 16, IOVA));
	KTAP_EQUAL(b->kinds[MODEL_REPORT_LIVE_CHANGE], 2);
	READS(b, IOVA, HOST);
	/* as it should be */
	put(b, TABLES + 0x2000, 0);
	KTAP_CHECK(submit(b, 2 | 3 << 4 | DID << 16, IOVA));
	put(b, TABLES + 0x2000, 0x200000 | 0x83);
	READS(b, IOVA, 0x201000);
	KTAP_EQUAL(b->reports, 2);
	bench_end(b);

	b = bench_scalable(FIRST_STAGE, 0, 0, 0);
	READS(b, IOVA, GUEST);
	put(b, FIRST + 0x2000, 0x200000 | 0x87);
	KTAP_EQUAL(model_sanitizer_check(b->unit), 2); /* and stale */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_LIVE_CHANGE], 1);
	b->fail = FIRST; /* memory that fails is no change */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_LIVE_CHANGE], 1);
	bench_end(b);
}

/* Entries of more than 16 bytes: hitless replacement changes one piece of 16. */
static void wide_entries(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, 0, 0, 0);
	uint64_t at = pasid_at(7), other = 0x30000;
	const uint64_t forget = 7 | 1 << 4 | (uint64_t)7 << 32;

	dma_pasid(b, MODEL_READ, 7, IOVA);
	/* hitless: another table and another domain, in one piece */
	put(b, way(b, other, 4, IOVA, 1, 3), 0x90000 | 3);
	put(b, at, other | 2 << 2 | SECOND_STAGE << 6 | 1);
	put(b, at + 8, 6 | PWSNP);
	KTAP_CHECK(submit(b, forget | DID << 16, 0));
	KTAP_CHECK(submit(b, 2 | 2 << 4 | DID << 16, 0));
	KTAP_EQUAL(dma_pasid(b, MODEL_READ, 7, IOVA).address, 0x90000);
	KTAP_EQUAL(b->reports, 0);
	/* two pieces while present */
	put(b, at, TABLES | 2 << 2 | NESTED << 6 | 1);
	put(b, at + 16, FIRST | 1 << 4);
	KTAP_CHECK(submit(b, forget | 6 << 16, 0));
	ONE_REPORT(b, MODEL_REPORT_LIVE_CHANGE,
	           "more than 16 bytes changed while the entry was present, the PASID entry at "
	           "0xc1c0");
	KTAP_CHECK(submit(b, 2 | 2 << 4 | 6 << 16, 0));
	bench_end(b);

	/* in the right order: not present, invalidated, filled, present */
	b = bench_scalable(SECOND_STAGE, 0, 0, 0);
	dma_pasid(b, MODEL_READ, 7, IOVA);
	put(b, at, get(b, at) & ~UINT64_C(1));
	KTAP_CHECK(submit(b, forget | DID << 16, 0));
	KTAP_CHECK(submit(b, 2 | 2 << 4 | DID << 16, 0));
	pasid_entry(b, 7, FIRST_STAGE, 1, 3, 0);
	put(b, at, get(b, at) | 1);
	put(b, way(b, FIRST, 4, IOVA, 1, 7), GUEST | 7);
	KTAP_EQUAL(dma_pasid(b, MODEL_READ, 7, IOVA).address, GUEST);
	KTAP_EQUAL(b->reports, 0);
	/* a scalable context entry is wide, too */
	put(b, CONTEXT_AT, DIRECTORY | 0x1f);
	put(b, CONTEXT_AT + 24, 1);
	KTAP_CHECK(submit(b, 1 | CC_DEVICE | (uint64_t)DEVICE << 32, 0));
	ONE_REPORT(b, MODEL_REPORT_LIVE_CHANGE, "the context entry at");
	bench_end(b);
}

/* ---- reserved bits ------------------------------------------------------------------------------ */

static void reserved(void)
{
	static const struct {
		uint64_t at, value;
		const char *words;
	} cases[] = {
		{ROOT, CONTEXT | 3,
	         "root entry at 0x1000 holds 0x2003, reserved bits are set: 0x2"},
		{CONTEXT_AT, DIRECTORY | 0x9d, "context entry at 0x2200"},
		{DIRECTORY, PASIDS | 5, "PASID directory entry at 0x8000"},
		{PASIDS, TABLES | 0x2a9, "PASID entry at 0xc000"},
		{SECOND_LEAF, HOST | 3 | BIT(62), "reserved bits are set: 0x4000000000000000"},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_scalable(SECOND_STAGE, 0, 0, 0);

		put(b, cases[i].at, cases[i].value);
		dma(b, MODEL_READ, IOVA);
		ONE_REPORT(b, MODEL_REPORT_RESERVED, cases[i].words);
		KTAP_CHECK(strstr(b->report.text, "00:02.0 read at 0x1000: "));
		bench_end(b);
	}
}

/* ---- registers and the queue ------------------------------------------------------------------------ */

static void registers(void)
{
	struct bench *b = bench_new("nesting");

	w64(b, 0x20, ROOT);
	command(b, TE, true); /* no root pointer was latched */
	KTAP_CHECK(b->kinds[MODEL_REPORT_REGISTER] >= 1);
	KTAP_CHECK(strstr(b->report.text, "model: register 0x18: "));
	bench_end(b);
	b = bench_new("nesting");
	model_read(b->unit, 0x1d, 4);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 1);
	bench_end(b);
}

static void queue(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, 0, 0, 0);

	w64(b, 0x88, 0x1000); /* beyond the queue */
	ONE_REPORT(b, MODEL_REPORT_TAIL, "the queue's tail lies outside it: 0x1000");
	bench_end(b);

	b = bench_scalable(SECOND_STAGE, 0, 0, 0); /* nobody waits */
	slot(b, 2 | 1 << 4, 0);
	w64(b, 0x88, b->tail);
	KTAP_EQUAL(model_sanitizer_check(b->unit), 1);
	ONE_REPORT(b, MODEL_REPORT_NOT_AWAITED, "nobody waits for the last invalidations");
	KTAP_CHECK(submit(b, 2 | 1 << 4, 0));
	KTAP_EQUAL(model_sanitizer_check(b->unit), 0);
	bench_end(b);

	b = bench_scalable(SECOND_STAGE, 0, 0, 0); /* a wait that holds nothing back */
	slot(b, 0x25 | BIT(32), STATUS);
	slot(b, 2 | 1 << 4, 0);
	slot(b, 0x25 | BIT(33), STATUS);
	w64(b, 0x88, b->tail);
	ONE_REPORT(b, MODEL_REPORT_UNFENCED, "a wait without FN had descriptors behind it");
	b->reports = 0;
	slot(b, 0x65 | BIT(32), STATUS); /* with FN */
	slot(b, 2 | 1 << 4, 0);
	slot(b, 0x25 | BIT(33), STATUS);
	w64(b, 0x88, b->tail);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

/* ---- options -------------------------------------------------------------------------------------------- */

static void options(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.report_mask = 1 << MODEL_REPORT_RESERVED;
	b = bench_make(&config);
	scalable_tables(b, SECOND_STAGE, 0, 0, 0);
	start(b, SCALABLE_MODE);
	READS(b, IOVA, HOST);
	put(b, SECOND_LEAF, 0);
	READS(b, IOVA, HOST);
	KTAP_EQUAL(b->reports, 0);
	put(b, SECOND_LEAF + 8, 3 | BIT(62));
	FAULTS(b, MODEL_READ, IOVA + 0x1000, 0x7a);
	KTAP_EQUAL(b->reports, 1);
	bench_end(b);

	config.report_mask = 0;
	config.sanitize = false;
	b = bench_make(&config);
	scalable_tables(b, SECOND_STAGE, 0, 0, 0);
	start(b, SCALABLE_MODE);
	READS(b, IOVA, HOST);
	put(b, SECOND_LEAF, 0);
	READS(b, IOVA, HOST);
	KTAP_EQUAL(model_sanitizer_check(b->unit), 0);
	KTAP_EQUAL(model_table_freed(b->unit, TABLES, 0x1000), 0);
	KTAP_CHECK(submit(b, 2 | 1 << 4, 0));
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
	for (unsigned i = 0; i < MODEL_REPORT_KINDS; i++)
		KTAP_CHECK(strcmp(model_report_name((enum model_report_kind)i), "unknown") != 0);
	KTAP_CHECK(!strcmp(model_report_name(MODEL_REPORT_KINDS), "unknown"));
}

static const struct ktap_case cases[] = {
	{"a stale translation, in full words", stale},
	{"every way of being stale", stale_ways},
	{"rights that the unit does not know of", widened},
	{"dirty flags taken without an invalidation", dirty},
	{"page requests", stale_page_request},
	{"context entries of legacy mode", check_legacy},
	{"nothing is said while software is at it", held},
	{"stale interrupt entries", stale_interrupt},
	{"lines that were not cleaned", not_cleaned},
	{"page size changed in place", live_change},
	{"wide entries: hitless, torn, in order", wide_entries},
	{"reserved bits", reserved},
	{"registers", registers},
	{"the queue: tail, not awaited, unfenced", queue},
	{"masks, and off", options},
};

KTAP_MAIN(cases)
