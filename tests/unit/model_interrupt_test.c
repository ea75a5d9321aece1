/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping and posting of the model (ch. 5, 9.9 to 9.11): the formats of a
 * request, entries in both address widths, source checks, each fault reason, posted
 * descriptors, and the interrupt-entry cache.
 */
#include "tests/unit/model_bench.h"

enum {
	SOURCE = DEVICE,
	INDEX = 5,
	ENTRY = IRTES + INDEX * 16,
	EIME = 0x800,
	SIZE = 3 /* 16 entries */
};

#define VECTOR(v)  ((uint64_t)(v) << 16)
#define XAPIC(id)  ((uint64_t)(id) << 40)
#define X2APIC(id) ((uint64_t)(id) << 32)
#define SVT(n)     ((uint64_t)(n) << 18)
#define SQ(n)      ((uint64_t)(n) << 16)

static uint64_t remappable(unsigned index)
{
	return 0xfee00010u | (index & 0x7fff) << 5 | index >> 15 << 2;
}

static void entry(struct bench *b, uint64_t low, uint64_t high)
{
	put(b, ENTRY, low);
	put(b, ENTRY + 8, high);
}

static void interrupts_on(struct bench *b, unsigned mode)
{
	if (!(r32(b, 0x1c) & 1u << QIE))
		queue_on(b, false);
	w64(b, 0xb8, IRTES | mode | SIZE);
	command(b, SIRTP, true);
	KTAP_CHECK(submit(b, 4, 0));
	command(b, IRE, true);
	KTAP_CHECK(r32(b, 0x1c) >> 25 & 1);
}

static struct bench *bench_interrupts(unsigned mode)
{
	struct bench *b = bench_new("nesting");

	interrupts_on(b, mode);
	return b;
}

static struct model_result interrupt(struct bench *b, uint64_t address, uint32_t data)
{
	model_interrupt(b->unit, address, data, SOURCE, &b->result);
	return b->result;
}

static void formats(void)
{
	struct bench *b = bench_interrupts(0);

	entry(b, VECTOR(0x41) | XAPIC(3) | 1, 0);
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0xffff0000).response, MODEL_SUCCESS);
	KTAP_CHECK(b->result.interrupt && !b->result.posted);
	KTAP_EQUAL(b->result.message_address, 0xfee03000);
	KTAP_EQUAL(b->result.message_data, 0x41);
	/* with a subhandle */
	KTAP_EQUAL(interrupt(b, remappable(INDEX - 2) | 8, 2).message_data, 0x41);
	/* without the bit, the data says nothing */
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 2).message_data, 0x41);
	/* level, lowest priority, redirection hint, logical */
	entry(b, VECTOR(0x42) | XAPIC(0xff) | 1 << 5 | 0x1c | 1, 0);
	KTAP_CHECK(submit(b, 4 | 1 << 4 | (uint64_t)INDEX << 32, 0));
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).message_address, 0xfeeff00c);
	KTAP_EQUAL(b->result.message_data, 0xc142);
	bench_end(b);

	b = bench_interrupts(EIME);
	entry(b, VECTOR(0x43) | X2APIC(0x12345678) | 1, 0);
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).message_address,
	           UINT64_C(0x1234560000000000) | 0xfee78000);
	KTAP_EQUAL(b->result.message_data, 0x43);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);

	/* the highest index: bit 15 lies apart */
	b = bench_new("nesting");
	queue_on(b, false);
	w64(b, 0xb8, 0x100000 | 15);
	command(b, SIRTP, true);
	KTAP_CHECK(submit(b, 4, 0));
	command(b, IRE, true);
	put(b, 0x100000 + 0xffff * 16, VECTOR(0x44) | 1);
	KTAP_EQUAL(interrupt(b, remappable(0xffff), 0).message_data, 0x44);
	KTAP_EQUAL(interrupt(b, remappable(0xffff) | 8, 1).fault, 0x21);
	bench_end(b);
}

/* Off, compatibility format, and who lets it pass. */
static void compatibility(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b = bench_new("nesting");

	KTAP_EQUAL(interrupt(b, 0xfee03004, 0x31).message_address, 0xfee03004);
	KTAP_EQUAL(b->result.message_data, 0x31);
	interrupts_on(b, 0);
	KTAP_EQUAL(interrupt(b, 0xfee03000, 0x31).fault, 0x25);
	KTAP_EQUAL(take_fault(b), 0x25);
	command(b, CFI, true);
	KTAP_EQUAL(interrupt(b, 0xfee03000, 0x31).message_data, 0x31);
	bench_end(b);
	b = bench_interrupts(EIME); /* never in x2APIC mode */
	command(b, CFI, true);
	KTAP_EQUAL(interrupt(b, 0xfee03000, 0x31).fault, 0x25);
	bench_end(b);

	config.ecap |= BIT(62);
	b = bench_make(&config);
	KTAP_EQUAL(interrupt(b, 0xfee03000, 0x31).fault, 0x2b);
	KTAP_EQUAL(take_fault(b), 0x2b);
	bench_end(b);
	config.ecap |= BIT(61);
	b = bench_make(&config);
	interrupts_on(b, 0);
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).fault, 0x2a);
	KTAP_EQUAL(take_fault(b), 0x2a);
	bench_end(b);
	b = bench_make(&config);
	interrupts_on(b, EIME);
	entry(b, VECTOR(0x41) | 1, 0);
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).message_data, 0x41);
	bench_end(b);
}

static void reasons(void)
{
	static const struct {
		uint8_t reason;
		bool qualified;
		unsigned mode;
		uint64_t low, high, address;
		uint32_t data;
		uint64_t fail;
		uint64_t descriptor; /* its fifth quadword */
	} cases[] = {
		{0x20, false, 0, VECTOR(65) | 1, 0, 0xfee00098, 0x10000, 0, 0},
		{0x21, false, 0, VECTOR(65) | 1, 0, 0xfee00210, 0, 0, 0},
		{0x21, false, 0, VECTOR(65) | 1, 0, 0xfee000b8, 11, 0, 0},
		{0x22, true, 0, VECTOR(65) | 0x7000, 0, 0, 0, 0, 0},
		{0x23, false, 0, VECTOR(65) | 1, 0, 0, 0, IRTES, 0},
		{0x24, true, 0, VECTOR(65) | 1 | BIT(12), 0, 0, 0, 0, 0},
		{0x24, true, 0, VECTOR(65) | 1 | BIT(24), 0, 0, 0, 0, 0},
		{0x24, true, 0, VECTOR(65) | 1 | BIT(32), 0, 0, 0, 0, 0},
		{0x24, true, 0, VECTOR(65) | 1 | BIT(48), 0, 0, 0, 0, 0},
		{0x24, true, EIME, VECTOR(65) | 1, BIT(20), 0, 0, 0, 0},
		{0x24, true, EIME, VECTOR(65) | 1, SVT(3), 0, 0, 0, 0},
		{0x24, true, 0, VECTOR(65) | BIT(15) | 4 | 1, 0, 0, 0, 0, 0},
		{0x24, true, 0, VECTOR(65) | BIT(15) | BIT(24) | 1, 0, 0, 0, 0, 0},
		{0x24, true, 0, VECTOR(65) | BIT(15) | 1, BIT(20), 0, 0, 0, 0},
		{0x25, false, 0, 0, 0, 0xfee00000, 0, 0, 0},
		{0x26, true, 0, VECTOR(65) | 1, SVT(1) | (SOURCE + 1), 0, 0, 0, 0},
		{0x27, true, 0, VECTOR(65) | BIT(15) | (uint64_t)POSTED << 32 | 1, 0, 0, 0, POSTED,
	         0},
		{0x27, true, 0, VECTOR(65) | BIT(15) | 1, BIT(63), 0, 0, 0, 0},
		{0x28, true, 0, VECTOR(65) | BIT(15) | (uint64_t)POSTED << 32 | 1, 0, 0, 0, 0, 4},
		{0x28, true, 0, VECTOR(65) | BIT(15) | (uint64_t)POSTED << 32 | 1, 0, 0, 0, 0,
	         BIT(24)},
		{0x28, true, 0, VECTOR(65) | BIT(15) | (uint64_t)POSTED << 32 | 1, 0, 0, 0, 0,
	         BIT(48)},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (unsigned fpd = 0; fpd < 2; fpd++) {
			struct bench *b = bench_interrupts(cases[i].mode);
			bool silent = fpd && cases[i].qualified;
			uint64_t at = r64(b, 0x08) >> 24 & 0x3ff;

			entry(b, cases[i].low | (fpd ? 2 : 0), cases[i].high);
			put(b, POSTED + 32, cases[i].descriptor);
			b->fail = cases[i].fail;
			interrupt(b, cases[i].address ? cases[i].address : remappable(INDEX),
			          cases[i].data);
			KTAP_EQUAL(b->result.response, MODEL_UNSUPPORTED);
			KTAP_EQUAL(b->result.fault, cases[i].reason);
			KTAP_EQUAL(b->result.logged, !silent);
			KTAP_EQUAL(b->faults, !silent);
			if (!silent && cases[i].reason > 0x21 && cases[i].reason != 0x25)
				KTAP_EQUAL(r64(b, at * 16), (uint64_t)INDEX << 48);
			KTAP_EQUAL(take_fault(b), silent ? 0 : cases[i].reason);
			KTAP_CHECK(strcmp(model_fault_name(cases[i].reason), "unknown") != 0);
			if (ktap_failed)
				printf("# case %u\n", i);
			bench_end(b);
		}
	}
}

/* An entry beyond the host address width, and posting without the capability. */
static void shapes(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.cap &= ~BIT(59);
	b = bench_make(&config);
	interrupts_on(b, 0);
	entry(b, VECTOR(0x41) | BIT(15) | 1, 0);
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).fault, 0x24);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_RESERVED], 1);
	bench_end(b);
	b = bench_new("nesting");
	queue_on(b, false);
	w64(b, 0xb8, BIT(52) | SIZE);
	command(b, SIRTP, true);
	KTAP_CHECK(submit(b, 4, 0));
	command(b, IRE, true);
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).fault, 0x21);
	bench_end(b);
}

static void sources(void)
{
	static const struct {
		uint64_t high;
		uint16_t requester;
		bool passes;
	} cases[] = {
		{SVT(0) | 0x1234, 0x10, true},        {SVT(1) | 0x10, 0x10, true},
		{SVT(1) | 0x10, 0x11, false},         {SVT(1) | SQ(1) | 0x10, 0x14, true},
		{SVT(1) | SQ(1) | 0x10, 0x12, false}, {SVT(1) | SQ(2) | 0x10, 0x16, true},
		{SVT(1) | SQ(2) | 0x10, 0x11, false}, {SVT(1) | SQ(3) | 0x10, 0x17, true},
		{SVT(1) | SQ(3) | 0x10, 0x18, false}, {SVT(2) | 0x0203, 0x0200, true},
		{SVT(2) | 0x0203, 0x03ff, true},      {SVT(2) | 0x0203, 0x01ff, false},
		{SVT(2) | 0x0203, 0x0400, false},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_interrupts(0);

		entry(b, VECTOR(0x41) | 1, cases[i].high);
		/* twice: the cached entry is checked, too */
		for (unsigned again = 0; again < 2; again++) {
			model_interrupt(b->unit, remappable(INDEX), 0, cases[i].requester,
			                &b->result);
			KTAP_EQUAL(b->result.fault, cases[i].passes ? 0 : 0x26);
			KTAP_EQUAL(take_fault(b), cases[i].passes ? 0 : 0x26);
			if (!again && !cases[i].passes)
				KTAP_CHECK(!b->result.cached);
		}
		bench_end(b);
	}
	/* an entry that one source may use is cached for all, and checked for each */
	struct bench *b = bench_interrupts(0);

	entry(b, VECTOR(0x41) | 1, SVT(1) | SOURCE);
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).fault, 0);
	model_interrupt(b->unit, remappable(INDEX), 0, SOURCE + 1, &b->result);
	KTAP_EQUAL(b->result.fault, 0x26);
	KTAP_CHECK(b->result.cached);
	bench_end(b);
}

static void posted(void)
{
	static const struct {
		bool urgent, on, sn, sent, x2apic;
	} cases[] = {
		{false, false, false, true, false}, {false, true, false, false, false},
		{false, false, true, false, false}, {true, false, true, true, false},
		{true, true, true, false, false},   {false, false, false, true, true},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_interrupts(cases[i].x2apic ? EIME : 0);
		uint64_t destination = cases[i].x2apic ? X2APIC(0x1234) : XAPIC(7);
		uint64_t control = cases[i].on | cases[i].sn << 1 | VECTOR(0xf2) | destination;

		entry(b,
		      VECTOR(0x41) | BIT(15) | (cases[i].urgent ? BIT(14) : 0) |
		              (uint64_t)POSTED << 32 | 1,
		      SVT(1) | SOURCE);
		put(b, POSTED + 32, control);
		for (unsigned again = 0; again < 2; again++) {
			interrupt(b, remappable(INDEX), 0);
			KTAP_CHECK(b->result.posted && b->result.response == MODEL_SUCCESS);
			KTAP_EQUAL(get(b, POSTED + 8), BIT(1));
			KTAP_EQUAL(get(b, POSTED + 32), control | cases[i].sent);
			KTAP_EQUAL(b->interrupts[MODEL_SOURCE_POSTED], cases[i].sent);
			KTAP_EQUAL(b->result.cached, again);
		}
		if (cases[i].sent) {
			KTAP_EQUAL(b->last_interrupt.data, 0xf2);
			KTAP_EQUAL(b->last_interrupt.address,
			           cases[i].x2apic ? UINT64_C(0x1200fee34000) : 0xfee07000);
		}
		KTAP_EQUAL(model_unit_statistics(b->unit)->posted, 2);
		KTAP_EQUAL(b->reports, 0);
		bench_end(b);
	}
}

/* The descriptor changes under the unit, or cannot be written. */
static void posted_races(void)
{
	struct bench *b = bench_interrupts(0);

	entry(b, VECTOR(0x80) | BIT(15) | (uint64_t)POSTED << 32 | 1, 0);
	put(b, POSTED + 32, VECTOR(0xf2));
	b->swap_changes = 3;
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).fault, 0);
	KTAP_EQUAL(get(b, POSTED + 16), 1);
	put(b, POSTED + 32, VECTOR(0xf2));
	b->swap_changes = 16;
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).fault, 0x27);
	b->swap_changes = 0;
	b->swap_fails = true;
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).fault, 0x27);
	b->swap_fails = false;
	/* the bit is set, but ON is not: every later swap finds another value, or fails */
	b->swaps_good = 1;
	b->swap_changes = 16;
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).fault, 0x27);
	b->swap_changes = 2;
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).fault, 0);
	put(b, POSTED + 32, VECTOR(0xf2));
	b->swaps_good = 1;
	b->swap_changes = 0;
	b->swap_fails = true;
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).fault, 0x27);
	bench_end(b);
	/* memory that fails between the look at the descriptor and the update of a word */
	for (unsigned reads = 1; reads <= 2; reads++) {
		b = bench_interrupts(0);
		entry(b, VECTOR(0x80) | BIT(15) | (uint64_t)POSTED << 32 | 1, 0);
		put(b, POSTED + 32, VECTOR(0xf2));
		b->fail = POSTED;
		b->fail_after = reads;
		KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).fault, 0x27);
		bench_end(b);
	}
}

/* The cache keeps an entry until told otherwise; what was wrong is not kept. */
static void cached(void)
{
	static const struct {
		uint64_t descriptor;
		bool hits;
	} cases[] = {
		{4, true},
		{4 | 1 << 4 | (uint64_t)INDEX << 32, true},
		{4 | 1 << 4 | (uint64_t)(INDEX + 1) << 32, false},
		{4 | 1 << 4 | 1 << 27 | (uint64_t)(INDEX - 1) << 32, true},
		{4 | 1 << 4 | 2u << 27 | (uint64_t)(INDEX + 3) << 32, false},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench *b = bench_interrupts(0);

		entry(b, 0, 0);
		KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).fault, 0x22);
		entry(b, VECTOR(0x41) | 1, 0);
		KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).message_data, 0x41);
		KTAP_EQUAL(b->reports, 0);
		entry(b, VECTOR(0x42) | 1, 0);
		KTAP_CHECK(submit(b, cases[i].descriptor, 0));
		KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).message_data,
		           cases[i].hits ? 0x42 : 0x41);
		KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], !cases[i].hits);
		bench_end(b);
	}
}

/* Caching mode remembers absence. */
static void caching_mode(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.cap |= BIT(7);
	b = bench_make(&config);
	interrupts_on(b, 0);
	entry(b, 2, 0);
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).fault, 0x22);
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).fault, 0x22);
	KTAP_CHECK(b->result.cached && !b->result.logged);
	KTAP_EQUAL(b->reports, 0);
	entry(b, VECTOR(0x41) | 1, 0);
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).fault, 0x22);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], 1);
	KTAP_CHECK(submit(b, 4 | 1 << 4 | (uint64_t)INDEX << 32, 0));
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).message_data, 0x41);
	bench_end(b);
	/* and a unit that remembers nothing */
	config.cap &= ~BIT(7);
	config.policy = MODEL_POLICY_NONE;
	b = bench_make(&config);
	interrupts_on(b, 0);
	entry(b, VECTOR(0x41) | 1, 0);
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).cached, false);
	KTAP_EQUAL(interrupt(b, remappable(INDEX), 0).cached, false);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"remappable requests in both widths", formats},
	{"compatibility format, IRREQ, EIMER", compatibility},
	{"each reason, its record, FPD", reasons},
	{"tables and entries that the unit cannot have", shapes},
	{"source validation", sources},
	{"posted interrupts: PIR, ON, SN, URG", posted},
	{"posted descriptors that change or fail", posted_races},
	{"interrupt-entry cache", cached},
	{"caching mode", caching_mode},
};

KTAP_MAIN(cases)
