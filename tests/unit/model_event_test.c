/* SPDX-License-Identifier: MIT */
/*
 * The model's four event message groups (FECTL, IECTL, PECTL, PERFINTRCTL and their data
 * and address registers; 7.3.2, 7.5, 11.4.7): the same rules hold for each.
 */
#include "tests/unit/model_bench.h"

struct group {
	const char *name;
	uint32_t control; /* DATA, ADDR and UADDR follow */
	enum model_source_kind source;
	void (*cause)(struct bench *b);
	void (*clear)(struct bench *b);
};

/* Scalable tables: DEVICE has device-TLB and page requests, second stage. */
static void scalable_tables(struct bench *b)
{
	put(b, ROOT, CONTEXT | 1);
	put(b, CONTEXT + DEVICE * 32, DIRECTORY | 1 | 1 << 2 | 1 << 4);
	put(b, DIRECTORY, PASIDS | 1);
	put(b, PASIDS, TABLES | 1 | 2 << 6 | 2 << 2);
	put(b, PASIDS + 8, 5);
}

static void fault_cause(struct bench *b)
{
	const struct model_request request = {.requester = 0x9900, .address = 0x1000};

	ask(b, &request);
}

static void fault_clear(struct bench *b)
{
	for (unsigned i = 0; i < 8; i++)
		w32(b, 0x800 + 16 * i + 12, 0x80000000u);
}

static void wait_cause(struct bench *b)
{
	slot(b, 5 | 1 << 4, 0);
	w64(b, 0x88, b->tail);
}

static void wait_clear(struct bench *b)
{
	w32(b, 0x9c, 1);
}

static void page_cause(struct bench *b)
{
	const struct model_request request = {.kind = MODEL_PAGE_REQUEST,
	                                      .requester = DEVICE,
	                                      .address = 0x1000,
	                                      .page_read = true,
	                                      .last = true};

	ask(b, &request);
	KTAP_EQUAL(b->result.response, MODEL_SUCCESS);
}

static void page_clear(struct bench *b)
{
	w32(b, 0xdc, 3);
}

/* The first counter counts requests; one more makes it overflow. */
static void counter_cause(struct bench *b)
{
	const struct model_request request = {.requester = DEVICE, .address = 0x1000, .bytes = 8};

	w64(b, r32(b, 0x31c), (UINT64_C(1) << 48) - 1);
	w64(b, 0x400, 0xf1);
	w64(b, r32(b, 0x310), UINT64_C(2) << 32 | 2);
	w64(b, 0x400, 0xf0);
	ask(b, &request);
	KTAP_EQUAL(r64(b, r32(b, 0x318)), 1);
}

static void counter_clear(struct bench *b)
{
	w64(b, r32(b, 0x318), 1);
	w32(b, 0x324, 1);
}

static const struct group groups[] = {
	{"fault", 0x38, MODEL_SOURCE_FAULT, fault_cause, fault_clear},
	{"invalidation", 0xa0, MODEL_SOURCE_INVALIDATION, wait_cause, wait_clear},
	{"page request", 0xe0, MODEL_SOURCE_PAGE_REQUEST, page_cause, page_clear},
	{"counter", 0x328, MODEL_SOURCE_PERFMON, counter_cause, counter_clear},
};

static struct bench *begin(void)
{
	struct bench *b = bench_new("nesting");

	w64(b, 0xd0, PAGES);
	scalable_tables(b);
	start(b, 1);
	return b;
}

#define EACH_GROUP(g) for (const struct group *g = groups; g < groups + 4; g++)

static void fields(void)
{
	EACH_GROUP(g)
	{
		struct bench *b = begin();

		KTAP_EQUAL(r32(b, g->control), 0x80000000u); /* masked after reset */
		w32(b, g->control, 0x7fffffff);              /* IP and the rest are not writable */
		KTAP_EQUAL(r32(b, g->control), 0);
		w32(b, g->control + 4, ~0u);
		KTAP_EQUAL(r32(b, g->control + 4), 0xffff);
		w32(b, g->control + 8, ~0u);
		KTAP_EQUAL(r32(b, g->control + 8), 0xfffffffcu);
		w32(b, g->control + 12, ~0u);
		KTAP_EQUAL(r32(b, g->control + 12), 0xffffffffu);
		KTAP_EQUAL(model_unit_statistics(b->unit)->messages, 0);
		model_unit_reset(b->unit);
		KTAP_EQUAL(r32(b, g->control), 0x80000000u);
		KTAP_EQUAL(r32(b, g->control + 8), 0);
		bench_end(b);
	}
}

static void unmasked(void)
{
	EACH_GROUP(g)
	{
		struct bench *b = begin();

		w32(b, g->control + 4, 0x4031);
		w32(b, g->control + 8, 0xfee0100c);
		w32(b, g->control + 12, 0x12300);
		w32(b, g->control, 0);
		g->cause(b);
		KTAP_EQUAL(b->interrupts[g->source], 1);
		KTAP_EQUAL(b->last_interrupt.address, 0x12300fee0100c);
		KTAP_EQUAL(b->last_interrupt.data, 0x4031);
		KTAP_EQUAL(r32(b, g->control), 0); /* sent: not pending */
		KTAP_EQUAL(model_unit_statistics(b->unit)->messages, 1);
		EACH_GROUP(other)
		KTAP_EQUAL(b->interrupts[other->source], other == g);
		if (ktap_failed)
			printf("# group %s\n", g->name);
		bench_end(b);
	}
}

static void masked(void)
{
	EACH_GROUP(g)
	{
		struct bench *b = begin();

		g->cause(b);
		KTAP_EQUAL(b->interrupts[g->source], 0);
		KTAP_EQUAL(r32(b, g->control), 0xc0000000u);
		w32(b, g->control, 0x80000000u); /* masked again: it stays pending */
		KTAP_EQUAL(r32(b, g->control), 0xc0000000u);
		w32(b, g->control, 0);
		KTAP_EQUAL(b->interrupts[g->source], 1);
		KTAP_EQUAL(r32(b, g->control), 0);
		w32(b, g->control, 0x80000000u);
		w32(b, g->control, 0); /* nothing is pending: nothing is sent */
		KTAP_EQUAL(b->interrupts[g->source], 1);
		bench_end(b);
	}
}

static void once(void)
{
	EACH_GROUP(g)
	{
		struct bench *b = begin();

		w32(b, g->control, 0);
		g->cause(b);
		g->cause(b);
		KTAP_EQUAL(b->interrupts[g->source], 1);
		g->clear(b);
		g->cause(b);
		KTAP_EQUAL(b->interrupts[g->source], 2);
		bench_end(b);
	}
}

static void cleared(void)
{
	EACH_GROUP(g)
	{
		struct bench *b = begin();

		g->cause(b);
		g->clear(b);
		KTAP_EQUAL(r32(b, g->control), 0x80000000u); /* the cause went, so did IP */
		w32(b, g->control, 0);
		KTAP_EQUAL(b->interrupts[g->source], 0);
		bench_end(b);
	}
}

static void half_cleared(void)
{
	struct bench *b = begin();

	w32(b, 0x9c, 0); /* writing 0 clears nothing */
	wait_cause(b);
	w32(b, 0x9c, 0);
	KTAP_EQUAL(r32(b, 0x9c), 1);
	KTAP_EQUAL(r32(b, 0xa0), 0xc0000000u);
	counter_cause(b);
	w32(b, 0x324, 0);
	KTAP_EQUAL(r32(b, 0x324), 1);
	KTAP_EQUAL(r32(b, 0x328), 0xc0000000u);
	page_cause(b);
	w32(b, 0xdc, 2); /* PRO, which is not set */
	KTAP_EQUAL(r32(b, 0xdc), 1);
	KTAP_EQUAL(r32(b, 0xe0), 0xc0000000u);
	bench_end(b);
}

static void nobody_listens(void)
{
	struct model_config config = *model_preset_find("nesting");
	size_t bytes = model_unit_bytes(&config);
	struct bench *b = bench_make(&config);
	const struct model_hooks hooks = {.context = b,
	                                  .memory = {bench_read, bench_write, bench_swap}};

	free(b->unit);
	b->unit = model_unit_init(aligned_alloc(16, (bytes + 15) & ~(size_t)15), bytes, &config,
	                          &hooks);
	start(b, 0);
	w32(b, 0x38, 0);
	fault_cause(b);
	KTAP_EQUAL(r32(b, 0x34), 2);
	KTAP_EQUAL(model_unit_statistics(b->unit)->messages, 1);
	KTAP_EQUAL(b->interrupts[0], 0);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"each group's registers: width, reset, what is writable", fields},
	{"each group unmasked: the message is sent as programmed", unmasked},
	{"each group masked: pending, sent when the mask goes", masked},
	{"each group: one message until the cause is cleared", once},
	{"each group: clearing the cause withdraws a pending message", cleared},
	{"status bits are cleared by ones only", half_cleared},
	{"a unit whose events nobody hears works all the same", nobody_listens},
};

KTAP_MAIN(cases)
