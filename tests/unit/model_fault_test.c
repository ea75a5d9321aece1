/* SPDX-License-Identifier: MIT */
/*
 * The model's faults: what each reason means for each kind of request (Tables 15 and 30,
 * written here a second time), fault records field by field, overflow, the fault index,
 * FPD, and the rules of the fault status register (7.3, 11.4.6, 11.4.7).
 */
#include "tests/unit/model_bench.h"

#include "model/unit.h"

enum { FRCD = 0x800 }; /* where the preset "nesting" has its 8 records */

/* U: unsupported request, C: completer abort, 0: success without rights and without a
   record, L: the same with a record, -: no such combination. Order: untranslated,
   translation request, translated. */
static const struct {
	uint8_t code;
	char qualified;
	const char *answers;
} table[] = {
	{0x01, 'n', "UUU"}, {0x02, 'y', "UUU"}, {0x03, 'y', "UCU"}, {0x04, 'y', "U0U"},
	{0x05, 'y', "U0-"}, {0x06, 'y', "U0-"}, {0x07, 'y', "UC-"}, {0x08, 'n', "UCU"},
	{0x09, 'n', "UCU"}, {0x0a, 'n', "UCU"}, {0x0b, 'y', "UCU"}, {0x0c, 'y', "UC-"},
	{0x0d, 'y', "-UU"}, {0x0e, 'y', "UCU"}, {0x29, 'n', "U--"}, {0x30, 'n', "UCU"},
	{0x31, 'n', "UUU"}, {0x32, 'n', "---"}, {0x33, 'n', "UUU"}, {0x34, 'n', "UUU"},
	{0x38, 'n', "UCU"}, {0x39, 'n', "UUU"}, {0x3a, 'n', "UCU"}, {0x40, 'n', "UCU"},
	{0x41, 'y', "UUU"}, {0x42, 'y', "UCU"}, {0x43, 'y', "UCU"}, {0x44, 'y', "-UU"},
	{0x45, 'y', "UU-"}, {0x46, 'y', "UUU"}, {0x47, 'y', "---"}, {0x48, 'y', "UUU"},
	{0x49, 'y', "--U"}, {0x50, 'n', "UCC"}, {0x51, 'y', "U0U"}, {0x52, 'y', "UCC"},
	{0x58, 'n', "UCC"}, {0x59, 'y', "U0U"}, {0x5a, 'y', "UCC"}, {0x5b, 'y', "UCC"},
	{0x5c, 'y', "U0-"}, {0x5d, 'y', "U0-"}, {0x60, 'y', "--U"}, {0x70, 'y', "U0-"},
	{0x71, 'y', "U0-"}, {0x72, 'y', "U0-"}, {0x73, 'y', "U0-"}, {0x74, 'y', "U0-"},
	{0x75, 'y', "U0-"}, {0x76, 'y', "U0-"}, {0x77, 'y', "U0-"}, {0x78, 'y', "UC-"},
	{0x79, 'y', "U0-"}, {0x7a, 'y', "UC-"}, {0x7b, 'y', "UC-"}, {0x7c, 'y', "UC-"},
	{0x7d, 'y', "UC-"}, {0x80, 'y', "U0-"}, {0x81, 'y', "U0-"}, {0x83, 'y', "U0U"},
	{0x84, 'y', "U0-"}, {0x85, 'y', "U0-"}, {0x86, 'y', "U0-"}, {0x87, 'y', "UCU"},
	{0x89, 'y', "UUU"}, {0x90, 'y', "U0-"}, {0x91, 'y', "UL-"}, {0xa0, 'y', "--C"},
	{0xa1, 'y', "--C"}, {0xa2, 'y', "--C"}, {0xa3, 'y', "--U"}, {0xa4, 'y', "--U"},
	{0xa5, 'y', "--U"},
};

/* Reasons of interrupt requests (Table 15). */
static const struct {
	uint8_t code;
	char qualified;
} interrupt_table[] = {
	{0x20, 'n'}, {0x21, 'n'}, {0x22, 'y'}, {0x23, 'n'}, {0x24, 'y'}, {0x25, 'n'},
	{0x26, 'y'}, {0x27, 'y'}, {0x28, 'y'}, {0x2a, 'n'}, {0x2b, 'n'},
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static bool equal_result(char answer, enum model_response response)
{
	switch (answer) {
	case 'U':
	case '-':
		return response == MODEL_UNSUPPORTED;
	case 'C':
		return response == MODEL_ABORT;
	default:
		return response == MODEL_SUCCESS;
	}
}

/* Answer a request with a reason; was it recorded? The record is cleared again. */
static bool answer(struct bench *b, const struct model_request *request, uint8_t code, bool fpd)
{
	struct model_walk walk;
	unsigned before = b->faults;

	model_walk_begin(&walk, b->unit, request, &b->result);
	b->result = (struct model_result){.read = true, .write = true, .execute = true};
	walk.fpd = fpd;
	model_fault_answer(&walk, code);
	KTAP_EQUAL(b->result.fault, code);
	KTAP_CHECK(!b->result.read && !b->result.write && !b->result.execute);
	KTAP_EQUAL(b->result.logged, b->faults - before);
	if (!b->result.logged)
		return false;
	KTAP_EQUAL(b->last.reason, code);
	KTAP_EQUAL(take_fault(b), code);
	return true;
}

static void answers(void)
{
	struct bench *b = bench_new("nesting");

	for (unsigned i = 0; i < COUNT(table); i++)
		for (unsigned kind = 0; kind < 3; kind++) {
			const struct model_request request = {.kind = (enum model_request_kind)kind,
			                                      .requester = 0x42};
			char wanted = table[i].answers[kind];

			KTAP_EQUAL(answer(b, &request, table[i].code, false), wanted != '0');
			KTAP_CHECK(equal_result(wanted, b->result.response));
			if (ktap_failed) {
				printf("# reason %#x kind %u\n", table[i].code, kind);
				bench_end(b);
				return;
			}
		}
	KTAP_EQUAL(model_unit_statistics(b->unit)->faults, COUNT(table) * 3);
	bench_end(b);
}

static void page_request_answers(void)
{
	struct bench *b = bench_new("nesting");
	struct model_request request = {.kind = MODEL_PAGE_REQUEST, .requester = 0x42};

	for (unsigned i = 0; i < COUNT(table); i++)
		for (unsigned last = 0; last < 2; last++) {
			request.last = last;
			KTAP_CHECK(answer(b, &request, table[i].code, false));
			KTAP_EQUAL(b->result.response,
			           last ? MODEL_INVALID_REQUEST : MODEL_DROPPED);
		}
	bench_end(b);
}

static void fpd(void)
{
	struct bench *b = bench_new("nesting");
	const struct model_request request = {.requester = 0x42};

	for (unsigned i = 0; i < COUNT(table); i++) {
		KTAP_EQUAL(answer(b, &request, table[i].code, true), table[i].qualified == 'n');
		KTAP_EQUAL(b->result.response, MODEL_UNSUPPORTED); /* blocked all the same */
		if (ktap_failed) {
			printf("# reason %#x\n", table[i].code);
			break;
		}
	}
	for (unsigned i = 0; i < COUNT(interrupt_table); i++) {
		uint8_t code = interrupt_table[i].code;

		model_fault_interrupt(b->unit, 0x42, code, BIT(48), false);
		KTAP_EQUAL(take_fault(b), code);
		model_fault_interrupt(b->unit, 0x42, code, BIT(48), true);
		KTAP_EQUAL(take_fault(b), interrupt_table[i].qualified == 'n' ? code : 0);
	}
	bench_end(b);
}

static void names(void)
{
	unsigned known = 0;

	for (unsigned code = 0; code < 256; code++)
		known += strcmp(model_fault_name((uint8_t)code), "unknown") != 0;
	/* 82h is an old one, of before 5.x */
	KTAP_EQUAL(known, COUNT(table) + COUNT(interrupt_table) + 1);
	for (unsigned i = 0; i < COUNT(table); i++)
		KTAP_CHECK(strcmp(model_fault_name(table[i].code), "unknown") != 0);
	for (unsigned i = 0; i < COUNT(interrupt_table); i++)
		KTAP_CHECK(strcmp(model_fault_name(interrupt_table[i].code), "unknown") != 0);
	KTAP_CHECK(!strcmp(model_fault_name(0x82), "no execute permission"));
	KTAP_CHECK(!strcmp(model_fault_name(0), "unknown"));
}

/* ---- records ----------------------------------------------------------------------- */

/* The record of one request that finds no root entry (or no such mode), then cleared. */
static void record_of(struct bench *b, const struct model_request *request, uint64_t low,
                      uint64_t high)
{
	uint64_t at;

	ask(b, request);
	at = (r64(b, 0x08) >> 24 & 0x3ff) * 16 + (uint64_t)(r32(b, 0x34) >> 8 & 0xff) * 16;
	KTAP_EQUAL(r64(b, at), low);
	KTAP_EQUAL(r64(b, at + 8), BIT(63) | high);
	w32(b, at + 12, 0x80000000u);
	KTAP_EQUAL(r64(b, at + 8), high); /* only F goes */
}

static void record_types(void)
{
	struct bench *b = bench_new("nesting");
	struct model_request r = {.requester = 0xfeed, .address = 0x123456789abc, .bytes = 4};
	const uint64_t low = 0x123456789000, reason = UINT64_C(1) << 32, t1 = BIT(62), t2 = BIT(28);

	start(b, 0);
	record_of(b, &r, low, t1 | reason | 0xfeed);
	r.access = MODEL_WRITE;
	record_of(b, &r, low, reason | 0xfeed);
	r.access = MODEL_ATOMIC;
	record_of(b, &r, low, t1 | t2 | reason | 0xfeed);
	r.kind = MODEL_TRANSLATION;
	record_of(b, &r, low, t1 | UINT64_C(1) << 60 | reason | 0xfeed);
	r.kind = MODEL_TRANSLATED;
	r.access = MODEL_WRITE;
	record_of(b, &r, low, UINT64_C(2) << 60 | reason | 0xfeed);
	r.kind = MODEL_PAGE_REQUEST;
	record_of(b, &r, low, t2 | UINT64_C(0x32) << 32 | 0xfeed);
	bench_end(b);
}

static void record_without_device_tlb(void)
{
	struct bench *b = bench_new("qemu-10.0"); /* ECAP.DT=0: AT is reserved */
	const struct model_request r = {
		.kind = MODEL_TRANSLATED, .requester = 0x10, .address = 0x1000};

	start(b, 0);
	record_of(b, &r, 0x1000, BIT(62) | UINT64_C(1) << 32 | 0x10);
	bench_end(b);
}

static void record_pasid(void)
{
	struct bench *b = bench_new("nesting");
	struct model_request r = {
		.requester = 0x10, .has_pasid = true, .pasid = 0xfedcb, .address = 0x1000};
	const uint64_t rest =
		BIT(62) | UINT64_C(0xfedcb) << 40 | UINT64_C(0x31) << 32 | BIT(31) | 0x10;

	start(b, 0);
	record_of(b, &r, 0x1000, rest);
	r.execute = true;
	record_of(b, &r, 0x1000, rest | BIT(30));
	r.execute = false;
	r.privileged = true;
	record_of(b, &r, 0x1000, rest | BIT(29));
	bench_end(b);
}

static void record_interrupt(void)
{
	struct bench *b = bench_new("nesting");
	struct model_result result;

	queue_on(b, false);
	w64(b, 0xb8, IRTES | 7); /* 256 entries */
	command(b, SIRTP, true);
	KTAP_CHECK(submit(b, 4, 0));
	command(b, IRE, true);
	KTAP_CHECK(!model_interrupt(b->unit, 0xfee00010 | 0x33 << 5, 0, 0xabc, &result));
	KTAP_EQUAL(r64(b, FRCD), UINT64_C(0x33) << 48); /* the index, nothing below */
	KTAP_EQUAL(r64(b, FRCD + 8), BIT(63) | UINT64_C(0x22) << 32 | 0xabc);
	bench_end(b);
}

/* Fault: a read by `requester` that finds no root entry. */
static void fault(struct bench *b, uint16_t requester)
{
	const struct model_request r = {.requester = requester, .address = 0x1000};

	ask(b, &r);
}

static void clear(struct bench *b, unsigned index)
{
	w32(b, FRCD + 16 * index + 12, 0x80000000u);
}

static void index_of_first(void)
{
	struct bench *b = bench_new("nesting");

	start(b, 0);
	fault(b, 1);
	fault(b, 2);
	KTAP_EQUAL(r32(b, 0x34), 0 << 8 | 2); /* FRI: where PPF began */
	clear(b, 0);
	KTAP_EQUAL(r32(b, 0x34), 0 << 8 | 2); /* another one is pending still */
	clear(b, 1);
	KTAP_EQUAL(r32(b, 0x34) & 0x7f, 0);
	fault(b, 3);
	KTAP_EQUAL(r32(b, 0x34), 2 << 8 | 2);
	KTAP_EQUAL(r64(b, FRCD + 2 * 16 + 8) & 0xffff, 3);
	bench_end(b);
}

static void index_wraps(void)
{
	struct bench *b = bench_new("nesting");

	start(b, 0);
	for (uint16_t i = 0; i < 20; i++) {
		fault(b, i);
		KTAP_EQUAL(r32(b, 0x34) >> 8, i % 8u);
		KTAP_EQUAL(r64(b, FRCD + i % 8u * 16 + 8) & 0xffff, i);
		clear(b, i % 8u);
	}
	bench_end(b);
}

static void index_starts_over(void)
{
	struct bench *b = bench_new("nesting");

	start(b, 0);
	fault(b, 1);
	clear(b, 0);
	w64(b, 0xb8, IRTES | 7);
	command(b, SIRTP, true);
	KTAP_CHECK(submit(b, 4, 0));
	command(b, IRE, true);
	command(b, TE, false); /* interrupt remapping is on still: nothing starts over */
	command(b, SRTP, true);
	flush_all(b);
	command(b, TE, true);
	fault(b, 2);
	KTAP_EQUAL(r32(b, 0x34), 1 << 8 | 2);
	clear(b, 1);
	command(b, TE, false);
	command(b, IRE, false);
	command(b, SRTP, true);
	flush_all(b);
	command(b, TE, true);
	fault(b, 3);
	KTAP_EQUAL(r32(b, 0x34), 0 << 8 | 2);
	bench_end(b);
}

static void overflow(void)
{
	struct bench *b = bench_new("nesting");

	start(b, 0);
	for (uint16_t i = 0; i < 8; i++)
		fault(b, i);
	KTAP_EQUAL(r32(b, 0x34), 2);
	fault(b, 8); /* index 0 is taken */
	KTAP_EQUAL(r32(b, 0x34), 3);
	KTAP_CHECK(b->result.logged);
	KTAP_EQUAL(r64(b, FRCD + 8) & 0xffff, 0);
	clear(b, 0);
	fault(b, 9); /* there is room, but PFO is set: lost */
	KTAP_EQUAL(r64(b, FRCD + 8) >> 63, 0);
	KTAP_EQUAL(b->faults, 8);
	for (unsigned i = 1; i < 8; i++)
		clear(b, i);
	KTAP_EQUAL(r32(b, 0x34) & 0x7f, 1);
	w32(b, 0x34, 1);
	KTAP_EQUAL(r32(b, 0x34) & 0x7f, 0);
	KTAP_EQUAL(b->reports, 0);
	fault(b, 10);
	KTAP_EQUAL(r64(b, FRCD + 8) & 0xffff, 10);
	KTAP_EQUAL(model_unit_statistics(b->unit)->faults_recorded, 9);
	KTAP_EQUAL(model_unit_statistics(b->unit)->faults, 11);
	bench_end(b);
}

static void single_record(void)
{
	struct bench *b = bench_new("qemu-10.0");

	start(b, 0);
	fault(b, 1);
	KTAP_EQUAL(r32(b, 0x34), 2);
	fault(b, 2);
	KTAP_EQUAL(r32(b, 0x34), 3);
	w32(b, 0x220 + 12, 0x80000000u);
	w32(b, 0x34, 1);
	KTAP_EQUAL(r32(b, 0x34), 0);
	fault(b, 3);
	KTAP_EQUAL(r64(b, 0x228) & 0xffff, 3);
	bench_end(b);
}

static void most_records(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.cap |= UINT64_C(0xff) << 40; /* NFR: 256 records, 800h to 17ffh */
	config.ecap = (config.ecap & ~UINT64_C(0x3ff00)) | 0x180 << 8;
	b = bench_make(&config);
	start(b, 0);
	for (unsigned i = 0; i < 256; i++)
		fault(b, (uint16_t)i);
	KTAP_EQUAL(r32(b, 0x34), 2);
	KTAP_EQUAL(r64(b, 0x17f8) & 0xffff, 255);
	fault(b, 0);
	KTAP_EQUAL(r32(b, 0x34), 3);
	/* behind the records and the IOTLB registers nothing lives, then come the counters */
	w64(b, 0x1810, ~UINT64_C(0));
	KTAP_EQUAL(r64(b, 0x1810), 0);
	KTAP_EQUAL(r32(b, 0x310), 0x2000);
	bench_end(b);
}

static void record_policy(void)
{
	struct bench *b = bench_new("nesting");
	uint64_t high;

	start(b, 0);
	fault(b, 0x77);
	high = r64(b, FRCD + 8);
	w64(b, FRCD, ~UINT64_C(0)); /* read-only, all but F */
	w32(b, FRCD + 8, ~0u);
	w32(b, FRCD + 12, 0x7fffffff);
	KTAP_EQUAL(r64(b, FRCD), 0x1000);
	KTAP_EQUAL(r64(b, FRCD + 8), high);
	w64(b, FRCD + 8, BIT(63));
	KTAP_EQUAL(r64(b, FRCD + 8), high & ~BIT(63));
	bench_end(b);
}

static void not_remapped(void)
{
	struct bench *b = bench_new("nesting");
	struct model_request r = {.kind = MODEL_TRANSLATION, .requester = 1, .address = 0x1000};

	ask(b, &r); /* remapping is off: refused, no fault */
	KTAP_EQUAL(b->result.response, MODEL_UNSUPPORTED);
	r.kind = MODEL_PAGE_REQUEST;
	ask(b, &r);
	KTAP_EQUAL(b->result.response, MODEL_DROPPED);
	KTAP_EQUAL(r32(b, 0x34), 0);
	KTAP_EQUAL(b->faults, 0);
	bench_end(b);
}

/* ---- fault status -------------------------------------------------------------------- */

static void invalidation_errors(struct bench *b, bool iqe, bool ice, bool ite)
{
	b->answer = MODEL_DEVICE_WRONG;
	if (ice)
		KTAP_CHECK(submit(b, 3 | UINT64_C(0x51) << 32, 0));
	b->answer = MODEL_DEVICE_SILENT;
	if (ite)
		KTAP_CHECK(!submit(b, 3 | UINT64_C(0x52) << 32, 0));
	b->answer = MODEL_DEVICE_DONE;
	if (iqe)
		KTAP_CHECK(!submit(b, 0, 0));
}

static void status_bits(void)
{
	static const uint32_t bits[] = {0x10, 0x20, 0x40};

	for (unsigned i = 0; i < 3; i++) {
		struct bench *b = bench_new("nesting");

		start(b, 0);
		w32(b, 0x38, 0);
		invalidation_errors(b, i == 0, i == 1, i == 2);
		KTAP_EQUAL(r32(b, 0x34), bits[i]);
		KTAP_EQUAL(b->interrupts[MODEL_SOURCE_FAULT], 1);
		fault(b, 1); /* no second event while one condition holds */
		KTAP_EQUAL(r32(b, 0x34), bits[i] | 2);
		KTAP_EQUAL(b->interrupts[MODEL_SOURCE_FAULT], 1);
		w32(b, 0x34, ~bits[i]); /* the others, PPF and FRI among them: nothing happens */
		KTAP_EQUAL(r32(b, 0x34), bits[i] | 2);
		if (i) /* IQE stays while the descriptor does */
			w32(b, 0x34, bits[i]);
		KTAP_EQUAL(r32(b, 0x34), i ? 2 : bits[i] | 2);
		bench_end(b);
	}
}

static void records_and_errors(void)
{
	struct bench *b = bench_new("nesting");

	start(b, 0);
	w32(b, 0x38, 0);
	fault(b, 1);
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_FAULT], 1);
	invalidation_errors(b, false, true, false); /* PPF is set: no event for ICE */
	KTAP_EQUAL(r32(b, 0x34), 0x22);
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_FAULT], 1);
	clear(b, 0);
	fault(b, 2); /* nor for PPF while ICE is set */
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_FAULT], 1);
	clear(b, 1);
	w32(b, 0x34, 0x20);
	fault(b, 3); /* all was quiet: an event */
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_FAULT], 2);
	bench_end(b);
}

static void all_conditions(void)
{
	struct bench *b = bench_new("nesting");

	start(b, 0);
	fault(b, 1);
	invalidation_errors(b, false, true, true);
	KTAP_EQUAL(r32(b, 0x34), 0x62);
	w32(b, 0x34, 0x40);
	KTAP_EQUAL(r32(b, 0x34), 0x22);
	invalidation_errors(b, true, false, false);
	KTAP_EQUAL(r32(b, 0x34), 0x32); /* each adds its bit and keeps the others */
	bench_end(b);
}

static void pending_until_quiet(void)
{
	struct bench *b = bench_new("nesting");

	start(b, 0);
	fault(b, 1);
	invalidation_errors(b, false, true, false);
	KTAP_EQUAL(r32(b, 0x38), 0xc0000000u);
	clear(b, 0);
	KTAP_EQUAL(r32(b, 0x38), 0xc0000000u); /* ICE holds it */
	w32(b, 0x34, 0x20);
	KTAP_EQUAL(r32(b, 0x38), 0x80000000u);
	bench_end(b);
}

static void error_records(void)
{
	struct bench *b = bench_new("nesting");

	start(b, 0);
	invalidation_errors(b, false, true, false);
	invalidation_errors(b, false, false, true);
	KTAP_EQUAL(r64(b, 0xb0), UINT64_C(0x51) << 48 | UINT64_C(0x52) << 32);
	w64(b, 0xb0, ~UINT64_C(0)); /* read-only */
	KTAP_EQUAL(r64(b, 0xb0), UINT64_C(0x51) << 48 | UINT64_C(0x52) << 32);
	w32(b, 0x34, 0x20);
	KTAP_EQUAL(r64(b, 0xb0), UINT64_C(0x52) << 32);
	w32(b, 0x34, 0x40);
	KTAP_EQUAL(r64(b, 0xb0), 0);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"each reason's answer to each kind of request", answers},
	{"page requests that fault: Invalid Request, or nothing", page_request_answers},
	{"FPD suppresses the record of qualified reasons only", fpd},
	{"each reason has a name, others have none", names},
	{"record: T1 T2 AT SID FI of each kind of request", record_types},
	{"record: AT is 0 without device-TLBs", record_without_device_tlb},
	{"record: PV PP EXE PRIV", record_pasid},
	{"record: the index of an interrupt request", record_interrupt},
	{"record: read-only but for F", record_policy},
	{"FRI says where the first one lies", index_of_first},
	{"records are used in turn", index_wraps},
	{"the fault index starts over when TES and IES are 0", index_starts_over},
	{"overflow: PFO, loss, recovery", overflow},
	{"a unit of one record", single_record},
	{"a unit of 256 records", most_records},
	{"no faults while remapping is off", not_remapped},
	{"IQE, ICE, ITE: set, event, cleared by themselves", status_bits},
	{"one event until all conditions are cleared", records_and_errors},
	{"conditions add up", all_conditions},
	{"IP falls with the last condition", pending_until_quiet},
	{"IQERCD: source ids, cleared with their bits", error_records},
};

KTAP_MAIN(cases)
