/* SPDX-License-Identifier: MIT */
/*
 * Commands of the model that complete late, or never: each has a time of its own, nothing
 * happens a nanosecond before it, and one long step of time equals many short ones. This
 * is what makes deadlines of software testable.
 */
#include "tests/unit/model_bench.h"

static struct bench *begin(const char *preset, struct model_latency latency)
{
	struct model_config config = *model_preset_find(preset);

	config.latency = latency;
	return bench_make(&config);
}

static void commands(void)
{
	static const struct {
		uint32_t command, busy, done; /* GSTS while pending and afterwards */
	} cases[] = {
		{1u << SRTP, 0, 1u << SRTP}, {1u << SIRTP, 0, 1u << SIRTP},
		{1u << TE, 0, 1u << TE},     {1u << IRE, 0, 1u << IRE},
		{1u << QIE, 0, 1u << QIE},   {1u << CFI, 0, 1u << CFI},
		{1u << WBF, 1u << WBF, 0},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct model_config config = *model_preset_find("cascade-lake");
		struct bench *b;

		config.cap |= BIT(4); /* RWBF */
		config.latency.command = 100;
		b = bench_make(&config);
		w32(b, 0x18, cases[i].command);
		KTAP_EQUAL(r32(b, 0x1c), cases[i].busy);
		model_tick(b->unit, 99);
		KTAP_EQUAL(r32(b, 0x1c), cases[i].busy);
		model_tick(b->unit, 1);
		KTAP_EQUAL(r32(b, 0x1c), cases[i].done);
		bench_end(b);
	}
}

static void status_falls(void)
{
	struct bench *b = begin("nesting", (struct model_latency){.command = 10});

	for (unsigned bit = SIRTP; bit <= SRTP; bit += SRTP - SIRTP) {
		w32(b, 0x18, 1u << bit);
		model_tick(b->unit, 10);
		KTAP_CHECK(r32(b, 0x1c) & 1u << bit);
		w32(b, 0x18, 1u << bit); /* again: RTPS and IRTPS fall when it starts */
		KTAP_CHECK(!(r32(b, 0x1c) & 1u << bit));
		model_tick(b->unit, 10);
		KTAP_CHECK(r32(b, 0x1c) & 1u << bit);
	}
	bench_end(b);
}

/* What is latched is what the register holds when the command completes. */
static void latched(void)
{
	struct bench *b = begin("client-39", (struct model_latency){.command = 10});

	legacy_tables(b, 1);
	put(b, CONTEXT + DEVICE * 16 + 8, 5 << 8 | 1);
	put(b, way(b, TABLES, 3, 0x1000, 1, 3), 0x80000 | 3);
	w64(b, 0x20, ROOT);
	command(b, SRTP, true);
	model_tick(b->unit, 10);
	w64(b, 0x20, 0x300000); /* a write alone changes nothing active */
	command(b, TE, true);
	KTAP_EQUAL(dma(b, MODEL_READ, 0x1000).address, 0x1000); /* off until it is done */
	model_tick(b->unit, 10);
	READS(b, 0x1000, 0x80000);
	KTAP_EQUAL(r64(b, 0x20), 0x300000);
	bench_end(b);
}

static void protected_memory(void)
{
	struct bench *b = begin("sapphire-rapids", (struct model_latency){.command = 50});

	w32(b, 0x64, 0x80000000u);
	model_tick(b->unit, 49);
	KTAP_EQUAL(r32(b, 0x64), 0x80000000u);
	w32(b, 0x68, 0x200000); /* the region is fixed already */
	KTAP_EQUAL(r32(b, 0x68), 0);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 1);
	model_tick(b->unit, 1);
	KTAP_EQUAL(r32(b, 0x64), 0x80000001u);
	command(b, SRTP, true);
	w32(b, 0x64, 0); /* a global command is pending: lost */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 2);
	model_tick(b->unit, 50);
	KTAP_EQUAL(r32(b, 0x64), 0x80000001u);
	w32(b, 0x64, 0);
	KTAP_EQUAL(r32(b, 0x64), 1);
	model_tick(b->unit, 50);
	KTAP_EQUAL(r32(b, 0x64), 0);
	bench_end(b);

	b = begin("nesting", (struct model_latency){.enhanced = 50});
	w64(b, 0x400, 0xf4);
	w32(b, 0x64, 0x80000000u); /* nor while an enhanced command runs */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 1);
	KTAP_EQUAL(r32(b, 0x64), 0);
	bench_end(b);
}

static void register_invalidations(void)
{
	struct bench *b = begin("client-39", (struct model_latency){.invalidation = 30});

	w64(b, 0x28, BIT(63) | BIT(61));
	model_tick(b->unit, 10);
	w64(b, 0x508, BIT(63) | BIT(60)); /* both at once, each with its own time */
	model_tick(b->unit, 19);
	KTAP_CHECK(r64(b, 0x28) >> 63);
	model_tick(b->unit, 1);
	KTAP_EQUAL(r64(b, 0x28), BIT(61) | BIT(59));
	KTAP_CHECK(r64(b, 0x508) >> 63);
	w32(b, 0x500, 0x5000); /* IVA is hardware's while IVT is set */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 1);
	model_tick(b->unit, 10);
	KTAP_EQUAL(r64(b, 0x508), BIT(60) | BIT(57));
	w64(b, 0x28, BIT(63) | BIT(61));
	model_tick(b->unit, 10);
	w64(b, 0x508, BIT(63) | BIT(60));
	model_tick(b->unit, 100); /* both in one step */
	KTAP_CHECK(!(r64(b, 0x28) >> 63) && !(r64(b, 0x508) >> 63));
	bench_end(b);
}

static void enhanced(void)
{
	struct bench *b = begin("nesting", (struct model_latency){.enhanced = 70});

	w64(b, 0x400, 0xf4);
	model_tick(b->unit, 69);
	KTAP_EQUAL(r64(b, 0x410), 1);
	w32(b, 0x404, 5); /* dropped, the upper half too */
	w32(b, 0x400, 0xf5);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 1);
	model_tick(b->unit, 1);
	KTAP_EQUAL(r64(b, 0x410), 0);
	KTAP_EQUAL(r64(b, r32(b, 0x314)), 0xf);
	w64(b, 0x400, 0xf5);
	KTAP_EQUAL(r64(b, 0x410), 1); /* the old result is gone */
	model_tick(b->unit, 70);
	KTAP_EQUAL(r64(b, r32(b, 0x314)), 0);
	bench_end(b);

	b = begin("nesting", (struct model_latency){.command = MODEL_NEVER});
	w32(b, 0x64, 0x80000000u);
	w64(b, 0x400, 0xf4);
	KTAP_EQUAL(r64(b, 0x410), 2 << 1); /* aborted: PMEN is in flight */
	KTAP_EQUAL(r64(b, r32(b, 0x314)), 0);
	bench_end(b);
}

/* One long step of time: the command is done at 100, the descriptors 10 each after it. */
static void chain(void)
{
	struct bench *b =
		begin("nesting", (struct model_latency){.command = 100, .descriptor = 10});

	w64(b, 0x90, QUEUE);
	for (unsigned i = 0; i < 3; i++) {
		put(b, QUEUE + 16 * i, 0x25 | (uint64_t)(i + 1) << 32);
		put(b, QUEUE + 16 * i + 8, STATUS);
	}
	w64(b, 0x88, 0x30);
	command(b, QIE, true);
	model_tick(b->unit, 129);
	KTAP_EQUAL(get(b, STATUS), 2);
	KTAP_EQUAL(model_now(b->unit), 129);
	model_tick(b->unit, 1);
	KTAP_EQUAL(get(b, STATUS), 3);
	bench_end(b);
}

static void many_steps(void)
{
	struct bench *b[2];

	for (unsigned i = 0; i < 2; i++) {
		b[i] = begin("nesting", (struct model_latency){.command = 7, .descriptor = 3});
		w64(b[i], 0x90, QUEUE);
		for (unsigned n = 0; n < 20; n++) {
			put(b[i], QUEUE + 16 * n, 0x25 | (uint64_t)(n + 1) << 32);
			put(b[i], QUEUE + 16 * n + 8, STATUS + 4 * n);
		}
		w64(b[i], 0x88, 20 * 16);
		command(b[i], QIE, true);
	}
	for (unsigned n = 0; n < 40; n++)
		model_tick(b[0]->unit, 1);
	model_tick(b[1]->unit, 40);
	KTAP_EQUAL(r64(b[0], 0x80), r64(b[1], 0x80));
	KTAP_EQUAL(r64(b[0], 0x80), (40 - 7) / 3 * 16);
	KTAP_CHECK(!memcmp(b[0]->cpu, b[1]->cpu, BENCH_BYTES));
	bench_end(b[0]);
	bench_end(b[1]);
}

static void devices(void)
{
	struct bench *b = begin("nesting", (struct model_latency){.device = 1000});

	start(b, 0);
	b->answer = MODEL_DEVICE_SILENT;
	KTAP_CHECK(!submit(b, 3 | UINT64_C(0x31) << 32, 0));
	model_tick(b->unit, 500);
	model_tick(b->unit, 500 - 1);
	KTAP_EQUAL(r32(b, 0x34), 0);
	KTAP_EQUAL(get(b, STATUS) & 0xffffffff, b->wait_serial - 1); /* the wait waits */
	model_tick(b->unit, 1);
	KTAP_EQUAL(r32(b, 0x34), 0x40);
	bench_end(b);
}

static void never(void)
{
	struct bench *b = begin(
		"nesting", (struct model_latency){.command = MODEL_NEVER, .enhanced = MODEL_NEVER});

	command(b, SRTP, true);
	model_tick(b->unit, MODEL_NEVER);
	KTAP_EQUAL(model_now(b->unit), MODEL_NEVER - 1);
	model_tick(b->unit, MODEL_NEVER);
	KTAP_EQUAL(model_now(b->unit), MODEL_NEVER - 1); /* time ends there */
	KTAP_EQUAL(r32(b, 0x1c), 0);
	w64(b, 0x400, 0xf4);
	model_tick(b->unit, 1);
	KTAP_EQUAL(r64(b, 0x410), 1);
	bench_end(b);

	b = begin("client-39", (struct model_latency){.invalidation = MODEL_NEVER});
	w64(b, 0x28, BIT(63) | BIT(61));
	w64(b, 0x508, BIT(63) | BIT(60));
	model_tick(b->unit, MODEL_NEVER);
	KTAP_CHECK(r64(b, 0x28) >> 63 && r64(b, 0x508) >> 63);
	bench_end(b);

	b = begin("nesting", (struct model_latency){.descriptor = MODEL_NEVER - 5});
	queue_on(b, false);
	KTAP_CHECK(!submit(b, 1 | CC_GLOBAL, 0));
	model_tick(b->unit, MODEL_NEVER - 5); /* the first one ends, the next would after time */
	KTAP_EQUAL(r64(b, 0x80), 0x10);
	model_tick(b->unit, MODEL_NEVER);
	KTAP_EQUAL(r64(b, 0x80), 0x10);
	bench_end(b);

	b = begin("nesting", (struct model_latency){.device = MODEL_NEVER});
	start(b, 0);
	b->answer = MODEL_DEVICE_SILENT;
	KTAP_CHECK(!submit(b, 3, 0));
	model_tick(b->unit, MODEL_NEVER);
	KTAP_EQUAL(r32(b, 0x34), 0);
	bench_end(b);
}

/* Reset takes back what is pending, and time goes on. */
static void reset(void)
{
	struct bench *b = begin(
		"nesting", (struct model_latency){.command = 10, .descriptor = 10, .enhanced = 10});

	model_tick(b->unit, 5);
	w32(b, 0x64, 0x80000000u);
	model_tick(b->unit, 10);
	command(b, SRTP, true);
	w64(b, 0x400, 0xf4);
	model_unit_reset(b->unit);
	KTAP_EQUAL(model_now(b->unit), 15);
	model_tick(b->unit, 100);
	KTAP_EQUAL(r32(b, 0x1c), 0);
	KTAP_EQUAL(r32(b, 0x64), 0);
	KTAP_EQUAL(r64(b, 0x410), 0);
	KTAP_EQUAL(r64(b, r32(b, 0x314)), 0);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"each global command, late", commands},
	{"RTPS and IRTPS fall when their command starts", status_falls},
	{"nothing is active before its command is done", latched},
	{"PMEN, late; not while another command runs", protected_memory},
	{"CCMD and IOTLB, late", register_invalidations},
	{"ECMD, late; aborted by commands in flight", enhanced},
	{"a command, then descriptors, in one step of time", chain},
	{"one long step equals many short ones", many_steps},
	{"a device that does not answer", devices},
	{"what never completes", never},
	{"reset takes back what is pending", reset},
};

KTAP_MAIN(cases)
